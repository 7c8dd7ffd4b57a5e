/* What a study has seen of its own tasks: their times, which replace a probe's, and how long each attempt's
 * farm took, against which a prediction can be checked. */
#ifndef LEAVEOUT_JOBS_PLAN_STUDY_H
#define LEAVEOUT_JOBS_PLAN_STUDY_H

#include "base/job.h"
#include "base/status.h"
#include "mpi/ledger.h"

#include <stdint.h>

/* One stage in one attempt. */
typedef struct lo_plan_seen {
    lo_stage stage;
    int attempt;
    int64_t ranks;
    int64_t tasks;         /* that it finished, by the journals */
    double sum, squares;   /* of their seconds */
    int64_t farmed;        /* tasks, by its log; 0: the log tells nothing (it was killed, say) */
    double farm_seconds;   /* that its farm took for those */
    double record_seconds; /* that their records took, all ranks together */
} lo_plan_seen;

/* Reads journals and logs of the study in `directory`; one that is not there has seen nothing. Records of the
 * ensemble and of originals count if they were made by the job's keys. *seen is malloc'ed, the caller frees
 * it. Errors: LO_IO, LO_DATA as lo_journal_scan, LO_INTERNAL without memory. */
lo_status lo_plan_study_read(const char *directory, const lo_job *job, lo_plan_seen **seen, int *count,
                             lo_error *err);

#endif
