/* The stages of a job as a plan sees them: tasks, passes and files, of which src/plan makes wall times for
 * any number of ranks. */
#ifndef LEAVEOUT_JOBS_PLAN_STAGES_H
#define LEAVEOUT_JOBS_PLAN_STAGES_H

#include "base/status.h"
#include "jobs/plan/plan_probe.h"
#include "jobs/plan/preview.h"
#include "mpi/ledger.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_PLAN_KINDS = 32, LO_PLAN_STAGES = 8 };

typedef struct lo_plan_stage {
    lo_stage number; /* of its tasks in the journals; 0: it farms none */
    const char *name;
    char what[64]; /* " models=20", for people */
    lo_cost_tasks kind[LO_PLAN_KINDS];
    int kinds;
    int64_t tasks;       /* of all kinds */
    int64_t team, cores; /* ranks that do a task together; cores */
    double record_bytes;
    double pass_seconds; /* of passes that all ranks share, of one rank */
    int64_t pass_items;
    double pass_bytes;      /* that the ranks gather then */
    double alone_seconds;   /* of every rank, whatever their number */
    double written_bytes;   /* files written within the stage; ... */
    double published_bytes; /* ... and when it closes, from records */
    double disk_bytes;
    double reported_bytes; /* of its files that the report reads */
    double record_seconds; /* of a record, as measured in a study; below 0: the machine says it */
} lo_plan_stage;

typedef struct lo_plan {
    lo_plan_stage stage[LO_PLAN_STAGES];
    int stages;
    double start_seconds; /* of the program, the data and the report: every run has them */
    double cache_bytes, other_bytes;
    double record_memory; /* what a rank holds beside lo_plan_memory's: the largest record */
    bool influence, errors;
} lo_plan;

typedef struct lo_plan_cost {
    double wall, published; /* seconds: of the stage; of its files when it closes */
    double files;           /* seconds of both that files take, records left out */
    double core;            /* core seconds that do work */
} lo_plan_cost;

/* The stages of a job, of `design` (a preview's, with more models or fewer). Errors: as the stages' own,
 * LO_INTERNAL without memory. */
lo_status lo_plan_stages(const lo_preview *preview, const lo_design *design, const lo_plan_probe *probe,
                         lo_plan *out, lo_error *err);

/* What a stage takes on so many ranks. Errors: LO_INTERNAL without memory. */
lo_status lo_plan_cost_of(const lo_plan_stage *stage, const lo_cost_machine *machine, int64_t ranks,
                          lo_plan_cost *out, lo_error *err);

/* The largest that a rank becomes, in bytes; the mapped data set, which ranks of a node share, not counted.
 */
double lo_plan_memory(const lo_plan *plan, const lo_preview *preview, const lo_design *design,
                      const lo_plan_probe *probe, int64_t ranks);

#endif
