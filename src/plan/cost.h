/* What stages cost on any number of ranks: a model of the farm, of sharded passes and of published files,
 * from a few numbers that can be measured (task times, claims, records, messages, bandwidths). Pure: the same
 * numbers give the same prediction. */
#ifndef LEAVEOUT_PLAN_COST_H
#define LEAVEOUT_PLAN_COST_H

#include "base/status.h"

#include <stdint.h>

/* A machine, as far as the stages feel it. All seconds are of wall time, all rates bytes a second; a rate of
 * 0 is one that costs nothing. */
typedef struct lo_cost_machine {
    double sync_seconds;    /* till a record is on disk, of a rank */
    double write_rate;      /* of files, all ranks together */
    double claim_seconds;   /* from asking rank 0 to having a task, where nothing hides it */
    double serve_seconds;   /* that rank 0 spends on the messages of one task */
    double message_seconds; /* a small message takes */
    double reduce_rate;     /* of long messages in a reduction, a rank */
} lo_cost_machine;

/* Tasks that are alike: how many, and mean and standard deviation of their seconds, records left out. */
typedef struct lo_cost_tasks {
    int64_t count;
    double seconds, spread;
} lo_cost_tasks;

/* A farmed stage: its tasks in the order in which they are handed out, and the record of each. */
typedef struct lo_cost_farm {
    const lo_cost_tasks *kind; /* [kinds] */
    int kinds;
    double record_bytes;
} lo_cost_farm;

typedef struct lo_cost {
    double wall; /* seconds until the last worker is done */
    double busy; /* seconds of tasks, all workers together */
} lo_cost;

/* A farmed stage on `workers` ranks or teams (>= 1): list scheduling, every worker that is free taking the
 * next task (Graham, SIAM J. Appl. Math. 17, 1969), simulated with normal task times and averaged over
 * repetitions. A worker asks for its next task when it begins one, which hides the claim but for its first
 * and, as mpi/farm.c grants the last `workers` tasks to idle ranks only, its last. Never faster than the file
 * system takes all records, or rank 0 serves all tasks. Time: O(tasks log workers), memory 16 min(workers,
 * tasks) bytes. Errors: LO_INTERNAL without memory. */
lo_status lo_cost_farmed(const lo_cost_machine *machine, const lo_cost_farm *farm, int64_t workers,
                         lo_cost *out, lo_error *err);

/* A pass over `items` of `seconds` on one rank, cut into contiguous shards, and a reduction of `bytes` to all
 * ranks: 2 ceil(log2 ranks) messages and 2 (ranks - 1) / ranks of the bytes (Rabenseifner's algorithm;
 * Thakur, Rabenseifner, Gropp, Int. J. High Perf. Comp. Appl. 19, 2005). */
lo_cost lo_cost_sharded(const lo_cost_machine *machine, double seconds, int64_t items, double bytes,
                        int64_t ranks);

/* Files that all ranks write together: seconds. */
double lo_cost_published(const lo_cost_machine *machine, double bytes, int64_t files);

#endif
