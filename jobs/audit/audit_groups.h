/* The forget sets of an audit in groups of low, middle and high score: the papers' question is asked of each.
 */
#ifndef LEAVEOUT_JOBS_AUDIT_GROUPS_H
#define LEAVEOUT_JOBS_AUDIT_GROUPS_H

#include "base/status.h"
#include "jobs/audit/audit_input.h"

#include <stdint.h>

enum { LO_AUDIT_GROUPS = 3 };

/* "low", "middle", "high" */
const char *lo_audit_group_name(int group);

/* The groups of one forget set: thirds in the order of a score, lo_group_scores by rank, as rum takes them by
 * default. */
typedef struct lo_audit_groups {
    char by[LO_H5_TEXT_SIZE + 1];    /* the score; "": the set has no groups, and nothing else is filled in */
    uint32_t *row[LO_AUDIT_GROUPS];  /* [count]: positions in the training set, ascending */
    int64_t *place[LO_AUDIT_GROUPS]; /* [count]: positions in the forget set */
    int64_t count[LO_AUDIT_GROUPS];
    double mean[LO_AUDIT_GROUPS]; /* of their scores */
} lo_audit_groups;

/* Local. *groups [in->sets]: by the score that a set of `select: mix` was chosen by; of others by the one
 * that a method of the job splits forget sets by (rum), by memorization where there are several and it is one
 * of them, else by the first. Sets of fewer than 3 examples, or with an example that has no score, have none.
 * Errors: LO_IO, LO_DATA, LO_INTERNAL. Free it in any case. */
lo_status lo_audit_groups_read(const lo_audit_input *in, lo_audit_groups **groups, lo_error *err);
void lo_audit_groups_free(lo_audit_groups **groups, int sets);

#endif
