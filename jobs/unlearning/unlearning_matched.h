/* Matched models (unlearning.matched): each oracle of a forget set, made by each method of the job to forget
 * another set of the same size and kind (unlearn/matched.h). They never saw the forget set and bear the
 * method's mark: what u_lira compares unlearned models with. Tasks of stage unlearning like any others; their
 * outputs are in outputs.h5, and nothing of them is in evaluation.h5.
 *
 * The settings that a search tries have none, only the methods listed; nor have steps of a sequence but the
 * first. */
#ifndef LEAVEOUT_JOBS_UNLEARNING_MATCHED_H
#define LEAVEOUT_JOBS_UNLEARNING_MATCHED_H

#include "base/status.h"
#include "jobs/unlearning/unlearning.h"
#include "mpi/h5file.h"
#include "unlearn/request.h"

#include <stdbool.h>
#include <stdint.h>

/* Local; part of lo_unlearning_open and _check, when sets and methods are known. Chooses the other sets,
 * where the job asks for them; study NULL: only whether there is one. Errors: LO_USAGE where the job lacks
 * what they need; LO_INTERNAL without memory. */
lo_status lo_unlearning_match(lo_unlearning *u, const char *study, lo_error *err);

/* Has this method on this set matched models? */
bool lo_matched_has(const lo_unlearning *u, int forgotten, int unlearner);

/* Of the examples of all other sets, and of why there are none; the digest as it is without matched models.
 */
uint64_t lo_matched_digest(const lo_unlearning *u, uint64_t digest);

/* The request of a matched task. retained (malloc'ed, [request->retain_count]) is what neither set has; the
 * caller frees it. Errors: LO_INTERNAL without memory. */
lo_status lo_matched_request(const lo_unlearning *u, const lo_unlearning_task *task, lo_request *request,
                             uint32_t **retained, lo_error *err);

/* The other sets of one forget set in forget.h5: made by _add, filled by _write, by who is `first`. */
typedef struct lo_matched_sets {
    int index, count;
} lo_matched_sets;
lo_status lo_matched_add(lo_h5 *h, const lo_unlearning *u, int forgotten, bool first, lo_matched_sets *sets,
                         lo_error *err);
lo_status lo_matched_write(lo_h5 *h, const lo_unlearning *u, int forgotten, bool first,
                           const lo_matched_sets *sets, lo_error *err);
uint64_t lo_matched_bytes(const lo_unlearning *u);

#endif
