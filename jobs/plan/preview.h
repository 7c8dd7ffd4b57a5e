/* A job looked at outside any study: for `leaveout check` and `leaveout plan`. */
#ifndef LEAVEOUT_JOBS_PREVIEW_H
#define LEAVEOUT_JOBS_PREVIEW_H

#include "base/job.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/design.h"
#include "jobs/options.h"

typedef struct lo_preview {
    lo_job *job;
    lo_dataset data;
    lo_read_remark remark;  /* what the reader passed over */
    double prepare_seconds; /* that preparing the data took */
    lo_design design;       /* zeroed when the job has no ensemble */
    int64_t *left;
} lo_preview;

/* Reads the job file that is the command line's first operand with its --set overrides, prepares the data in
 * $TMPDIR (the file is unlinked at once) and lays out the ensemble. Errors: whatever is wrong with the job or
 * its data. Close it in any case. */
lo_status lo_preview_open(const lo_command_line *line, lo_preview *out, lo_error *err);
void lo_preview_close(lo_preview *preview);

#endif
