/* The farm: hands the tasks of a stage to ranks.
 *
 * Two levels. A job leases ranges of tasks in the study's claims/, so that several jobs can work on one
 * study. Inside a job a rank asks rank 0 for its next task by a message when it starts the current one; rank
 * 0 works too and answers from its ticks, between mini-batches. No collective and no window is used while
 * tasks run. */
#ifndef LEAVEOUT_MPI_FARM_H
#define LEAVEOUT_MPI_FARM_H

#include "base/checkpoint.h"
#include "base/status.h"
#include "base/tick.h"
#include "mpi/ledger.h"
#include "mpi/run.h"
#include "nn/team.h"

#include <stdint.h>

enum { LO_RESULT_LINE = 256 };

/* What a task leaves behind. */
typedef struct lo_result {
    const void *payload; /* owned by the work until its next task */
    size_t size;
    double value;              /* headline number */
    char line[LO_RESULT_LINE]; /* "" or "key=value ...": rank 0 says it when it hears of the task's end */
} lo_result;

typedef struct lo_work {
    lo_stage stage;
    int64_t tasks;
    int64_t first, end; /* only the tasks first .. end-1; end 0: all of them */
    /* Runs one task on this rank; what tick returns must be returned. Its result may depend on nothing but
     * what the task's digest in the ledger (lo_ledger_digest) covers, and on its number where tasks go by
     * that. */
    lo_status (*run)(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err);
    void *self;
    /* NULL: every rank runs tasks alone. Else the ranks of a team, which follow each other, run each task
     * together: its leader asks rank 0 for tasks, records, saves and speaks for them, the others call `run`
     * when it does, with a tick that never fails, and nothing of what they return is kept but an error. */
    const lo_team *team;
    /* NULL: a task is done in one go or not at all. Else its tasks can save themselves (base/checkpoint.h):
     * before each the farm fills this in, which `run` has given to whatever saves it (lo_trainer_checkpoint),
     * and when the task is finished it removes the file, STUDY/checkpoints/STAGE-TASK.ckpt, or
     * STAGE-DIGEST.ckpt where the ledger names tasks. Such tasks may be longer than what is left of the job's
     * time, and longer than the job. */
    lo_checkpoint *checkpoint;
    double save_seconds; /* between two saves of one task; 0: only when it is told to stop */
} lo_work;

typedef struct lo_harvest {
    int64_t done;          /* tasks of the stage that are finished, by whomever */
    int64_t mine;          /* finished by this attempt */
    int64_t given_up;      /* skipped: killed their rank too often */
    int64_t saved;         /* begun by this attempt, and saved when it was stopped */
    bool left_to_others;   /* another, older attempt waits for the rest and closes the stage */
    int64_t claims;        /* this rank: tasks that rank 0 gave it on its asking */
    double claim_seconds;  /* this rank: longest wait from asking to having the task; ... */
    double claim_sum;      /* ... all of them together */
    double idle_seconds;   /* this rank: waiting for a task while none was in hand */
    double record_seconds; /* this rank: writing journal records */
} lo_harvest;

/* Collective over run->comm. Runs the tasks that the ledger (rank 0's; read before) does not hold yet,
 * records each in the journal. Returns, the same on all ranks: LO_OK when all are finished or given up, or
 * the rest is left to others; LO_STOPPED after a stop, running tasks having been finished, saved or dropped;
 * the error of a task, or of writing. The ledger is up to date on rank 0 afterwards. */
lo_status lo_farm(lo_run *run, const lo_work *work, lo_ledger *ledger, lo_harvest *out, lo_error *err);

#endif
