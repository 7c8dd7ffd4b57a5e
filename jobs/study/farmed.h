/* A stage whose tasks ranks do one by one (mpi/farm.h), with a file that is published from their records. */
#ifndef LEAVEOUT_JOBS_FARMED_H
#define LEAVEOUT_JOBS_FARMED_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "mpi/farm.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_farmed {
    lo_stage stage;
    uint64_t digest;
    const uint64_t *names; /* [tasks]: a digest for each task (lo_ledger_name); NULL: they go by number */
    int64_t tasks;
    int64_t first, end; /* only the tasks first .. end-1; end 0: all */
    /* Collective: how many tasks are wanted, counted from 0, as far as the finished ones tell: *end, which
     * grows from call to call until it stays. *damaged as of `publish`. NULL: all. */
    lo_status (*wanted)(void *self, const lo_ledger *ledger, int64_t *end, bool *damaged, lo_error *err);
    /* Local: what a rank needs before its first task; called once, and not at all when nothing is to be done.
     */
    lo_status (*open)(void *self, lo_error *err);
    lo_status (*run)(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err);
    bool in_teams; /* `run` is called on all ranks of study->team, of which one leads (lo_study_leads) and
                      writes */
    /* NULL: a task is done in one go. Else it can be saved half way, every train.checkpoint_minutes and when
     * it is stopped: give this to lo_trainer_checkpoint, and add its `seconds` to those measured. */
    lo_checkpoint *checkpoint;
    /* Rank 0: is the file that a finished task left beside its record there, and sound? NULL: tasks leave
     * none. */
    lo_status (*check)(void *self, int64_t task, const lo_entry *entry, lo_error *err);
    /* Collective: publishes what is finished. *damaged: a record did not hold and was declared void. */
    lo_status (*publish)(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);
    void *self;
} lo_farmed;

/* Collective. Runs the tasks that no journal holds, and again those whose records or files are damaged, then
 * publishes; after a stop too. Returns as lo_farm; adds to the study what was given up or left to others. */
lo_status lo_run_farmed(lo_study *study, const lo_farmed *stage, lo_error *err);

/* Declares the record of a finished task void, with a warning that says why: it will be done again. */
lo_status lo_farmed_void(lo_study *study, const lo_ledger *ledger, int64_t task, const char *why,
                         lo_error *err);

/* A `publish` for stages whose file is made later, of the records of several farms or of all ranks: what does
 * not hold is declared void, and so found while it can still be done again. */
lo_status lo_farmed_check(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);

#endif
