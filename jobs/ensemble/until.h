/* ensemble.until: when an ensemble has models enough. Rank 0 looks at the outcomes of the first models in the
 * journals, after numbers of models that are fixed (score/stopping.h); so the answer does not depend on
 * ranks, interruptions or the order in which models were finished. */
#ifndef LEAVEOUT_JOBS_UNTIL_H
#define LEAVEOUT_JOBS_UNTIL_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "mpi/ledger.h"
#include "score/stopping.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_until_rule {
    double target;
    lo_over over;
    int64_t first;
} lo_until_rule;

/* The job's rule. False: it has none. */
bool lo_until_of(const lo_job *job, lo_until_rule *out);

typedef struct lo_until lo_until;

/* Local: what rank 0 remembers between two looks, to be given back to each. The caller destroys it. Errors:
 * LO_INTERNAL without memory. */
lo_status lo_until_create(const lo_study *study, lo_until **out, lo_error *err);
void lo_until_destroy(lo_until **until);

typedef struct lo_until_answer {
    int64_t models; /* that are wanted, as far as is known */
    bool decided;   /* all of them are finished, and no more are wanted */
    double error;   /* with decided: of these models */
} lo_until_answer;

/* Collective. Takes the finished models of the ledger (rank 0's) into account, up to the first that is
 * missing. A model that was given up or diverged counts as one that says nothing. *damaged: a record did not
 * hold and was declared void; then there is no answer. Says on rank 0 what it finds, once. Errors: LO_IO,
 * LO_INTERNAL. */
lo_status lo_until_look(lo_until *until, lo_study *study, const lo_ledger *ledger, lo_until_answer *out,
                        bool *damaged, lo_error *err);

#endif
