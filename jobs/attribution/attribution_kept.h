/* What another damping needs, kept in the study: STUDY/curvature-METHOD.h5 holds the eigenvalues of the
 * matrix and the gradients in the basis of its eigenvectors, from which values with any damping are sums of
 * products. It is written with attribution.keep, and used whenever it is there and of the same keys. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_KEPT_H
#define LEAVEOUT_JOBS_ATTRIBUTION_KEPT_H

#include "jobs/attribution/attribution.h"
#include "mpi/h5file.h"

typedef enum lo_kept_part {
    LO_KEPT_TRAIN,    /* [n, rows]: gradients of margins: V'q, V the eigenvectors; of the dual form U'(B'q) */
    LO_KEPT_LOSS,     /* [n, rows]: of losses, where these are not -e times the margins' */
    LO_KEPT_TARGET,   /* [targets, rows]: of targets' margins */
    LO_KEPT_E,        /* [n]: probability of all classes but the label */
    LO_KEPT_TARGET_E, /* [targets] */
    LO_KEPT_PRODUCT,  /* dual: q_t . g_i [targets, n] */
    LO_KEPT_OWN,      /* dual: q_i . g_i [n] */
    LO_KEPT_PARTS
} lo_kept_part;

typedef struct lo_kept {
    const lo_attribution *a;
    lo_h5 h5;
    int part[LO_KEPT_PARTS]; /* datasets; -1: not there */
} lo_kept;

typedef struct lo_kept_facts {
    const char *method;
    bool dual, losses;
    int64_t rows;             /* of the matrix */
    const double *eigenvalue; /* [rows]: primal of the matrix with the ridge, dual of B'B */
    double ridge, fit_gradient;
    int64_t parameters;
} lo_kept_facts;

/* Collective, all of them. Creates the file; then every part is written by rows of each rank's slab (of its
 * training examples, of its targets), in rounds that all ranks take part in; then it is put in place, or with
 * a status other than LO_OK removed. Commit what was created. Errors: LO_IO. */
lo_status lo_kept_create(const lo_attribution *a, const lo_attribution_direct *out,
                         const lo_kept_facts *facts, lo_kept *kept, lo_error *err);
lo_status lo_kept_write(lo_kept *kept, lo_kept_part part, int64_t rows, const double *data, lo_error *err);
lo_status lo_kept_commit(lo_kept *kept, lo_status status, lo_error *err);

/* Is there a file of these keys, whatever the damping? */
bool lo_kept_there(const lo_attribution *a, const char *method);

/* Values with a's damping from the file, which must be there. A primal matrix that is not definite with it
 * takes the next larger one, tenfold, as lo_grid_cholesky_ladder. Cost: 2 rows (targets + 1) n operations. */
lo_status lo_kept_direct(lo_attribution *a, const char *method, lo_attribution_direct *out,
                         lo_attribution_notes *notes, lo_error *err);

/* Adds the eigenvectors of a matrix of `size` rows, `rows` gradients of training examples and those of the
 * targets in their basis, the file of it, and values from it once. */
void lo_kept_work(const lo_attribution *a, double size, double rows, lo_attribution_work *sum);

#endif
