/* What a plan rests on: a few seconds of measuring here, on all ranks of this run at once. */
#ifndef LEAVEOUT_JOBS_PLAN_PROBE_H
#define LEAVEOUT_JOBS_PLAN_PROBE_H

#include "base/status.h"
#include "jobs/attribution/attribution_work.h"
#include "jobs/plan/preview.h"
#include "plan/cost.h"

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_plan_probe {
    int ranks;                    /* that measured, side by side */
    double train_rate;            /* examples a second of training, one team (most often one rank) */
    double train_spread;          /* relative standard deviation of the time of a whole training */
    double evaluate_rate;         /* examples a second of a forward pass */
    double prepare_seconds;       /* of the data set, one rank */
    double contrast_rate;         /* test x train pairs a second for all models, one rank; 0: not asked for */
    lo_attribution_speed algebra; /* of attribution's kinds of work but the network's; 0: not asked for */
    size_t trainer_bytes;
    int64_t parameters;
    lo_cost_machine machine; /* what was not measured is what the defaults say */
    bool files, messages;    /* were they measured? */
} lo_plan_probe;

/* Collective over comm. Trains and evaluates networks of the job for some seconds; multiplies bit columns as
 * the influence stage does, and dense matrices as attribution does, where the job has them; writes a file of
 * 32 MB as stages publish theirs, and records as the journal has them, in `directory` (NULL: not measured);
 * measures messages where there are ranks. Errors: as those, on all ranks alike. */
lo_status lo_plan_measure(MPI_Comm comm, const lo_preview *preview, const char *directory, lo_plan_probe *out,
                          lo_error *err);

/* Ranks that train one model together, and their cores. */
int64_t lo_plan_team(const lo_job *job);
int64_t lo_plan_cores(const lo_job *job);

#endif
