/* Trainings that a score has of its own: tasks of the farm, each kept as a record of the journal. */
#ifndef LEAVEOUT_JOBS_SCORE_TASKS_H
#define LEAVEOUT_JOBS_SCORE_TASKS_H

#include "jobs/scores/score_list.h"
#include "jobs/scores/score_source.h"

#include <stdbool.h>
#include <stdint.h>

/* The results of a score's tasks. */
typedef struct lo_score_results {
    lo_ledger ledger;
    int64_t n, tasks, done;
    int columns;
    double seconds; /* core-seconds of all that are done */
    char *payload;  /* of the one that was read last; its values follow a head of 8 bytes */
} lo_score_results;

/* Collective. Runs the tasks that no journal holds; `identity` is the digest of all that they depend on.
 * Returns as lo_run_farmed. */
lo_status lo_score_tasks_run(lo_score_source *source, const lo_listed_score *listed, uint64_t identity,
                             lo_error *err);

/* Collective. What the journals hold of them. The caller destroys it in any case. */
lo_status lo_score_results_open(lo_score_source *source, const lo_listed_score *listed, uint64_t identity,
                                lo_score_results *out, lo_error *err);
void lo_score_results_close(lo_score_results *results);

/* [n, columns] of a task that is done; valid until the next call. Local. */
lo_status lo_score_results_read(lo_score_results *results, int64_t task, const float **values, lo_error *err);

#endif
