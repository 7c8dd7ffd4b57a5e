/* What exports of a study's results share. */
#ifndef LEAVEOUT_JOBS_EXPORT_H
#define LEAVEOUT_JOBS_EXPORT_H

#include "base/job.h"
#include "mpi/h5file.h"

typedef struct lo_export {
    const char *study;
    const char *out; /* file (csv) or directory (npy) */
    const lo_job *job;
    int64_t top; /* 0: as many as the file has, of a dense one 10 */
} lo_export;

/* Opens a published file. Errors: LO_USAGE when there is none. */
lo_status lo_export_open(const lo_export *x, const char *name, lo_h5_reader *reader, lo_error *err);

/* Copies a dataset to DIR/NAME.npy, row blocks at a time. */
lo_status lo_export_dataset(const lo_export *x, const lo_h5_reader *reader, const char *path, lo_h5_type type,
                            const char *name, lo_error *err);

/* attribution.h5. csv: a row for each training example with what every method says of its own output, or with
 * --top a row for each of the strongest training examples of every target and method. npy: every dataset as
 * METHOD_NAME.npy, and whom rows and columns are about. */
lo_status lo_export_attribution_csv(const lo_export *x, lo_error *err);
lo_status lo_export_attribution_npy(const lo_export *x, lo_error *err);

/* evaluation.h5: a row for each model and forget set. npy: the metrics alone, their rows those of the csv. */
lo_status lo_export_evaluation_csv(const lo_export *x, lo_error *err);
lo_status lo_export_evaluation_npy(const lo_export *x, lo_error *err);

/* audit.h5: a row for each model and forget set, as of evaluation.h5. npy: the numbers alone, rows as of the
 * csv. */
lo_status lo_export_audit_csv(const lo_export *x, lo_error *err);
lo_status lo_export_audit_npy(const lo_export *x, lo_error *err);

/* Groups of forget sets in audit.h5. csv: a row for each model, forget set, number and group. npy: the
 * numbers alone, [rows of audit, groups]. Errors: LO_USAGE where no forget set has groups. */
lo_status lo_export_audit_groups_csv(const lo_export *x, lo_error *err);
lo_status lo_export_audit_groups_npy(const lo_export *x, lo_error *err);

/* privacy.h5: a row for each training example. npy: likewise. */
lo_status lo_export_privacy_csv(const lo_export *x, lo_error *err);
lo_status lo_export_privacy_npy(const lo_export *x, lo_error *err);

#endif
