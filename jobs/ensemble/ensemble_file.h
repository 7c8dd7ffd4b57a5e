/* ensemble.h5 as the later stages read it: bit-columns for a slab of examples. */
#ifndef LEAVEOUT_JOBS_ENSEMBLE_FILE_H
#define LEAVEOUT_JOBS_ENSEMBLE_FILE_H

#include "base/status.h"
#include "mpi/h5file.h"
#include "score/subset.h"

#include <stdint.h>

typedef struct lo_ensemble_file {
    lo_h5_reader reader;
    int64_t rows;    /* models in the file */
    int64_t planned; /* models of the design: columns are indexed by model number */
    double until;    /* ensemble.until.standard_error that these models were enough for; 0: not decided */
    double found;    /* their standard error then */
    int64_t n_train, n_test;
    int64_t *model; /* [rows] */
    uint8_t *use;   /* [ceil(planned/8)] bits: in the file and not diverged */
    int64_t diverged;
    double seconds;    /* of training, summed */
    char identity[80]; /* changes with the file's masks and outcomes */
} lo_ensemble_file;

/* Opens DIR/ensemble.h5. Errors: LO_IO when it is not there, LO_DATA when it is damaged. Close it in any
 * case. */
lo_status lo_ensemble_open(const char *directory, lo_ensemble_file *out, lo_error *err);
void lo_ensemble_close(lo_ensemble_file *file);

/* The bits [first, first + count) of every row of a packed dataset ("/mask", "/train/correct",
 * "/test/correct") as columns indexed by model number. The caller destroys them. */
lo_status lo_ensemble_columns(const lo_ensemble_file *file, const char *path, int64_t first, int64_t count,
                              lo_columns *out, lo_error *err);

/* Was a published file made from this ensemble by these keys? It says so in its attributes `ensemble` and
 * `digest`. */
bool lo_ensemble_is_source_of(const lo_ensemble_file *file, const char *path, uint64_t digest);

#endif
