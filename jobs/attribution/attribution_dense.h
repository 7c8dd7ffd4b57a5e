/* Influence functions by a matrix of all parameters, which lies on the grid: what ggn and hessian share,
 * whoever the gradients are of.
 *
 * With q_t the gradient of target t's margin, g_i that of training example i's loss and A the damped
 * curvature of the mean loss, leaving i out takes -(1/n) q_t' A^-1 g_i from t's margin. Targets are solved
 * for (A u = q); the gradients of the training examples pass by in tiles, each is made once. An example's own
 * change needs half a solution: |L^-1 q|^2, A = L L'. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_DENSE_H
#define LEAVEOUT_JOBS_ATTRIBUTION_DENSE_H

#include "jobs/attribution/attribution.h"
#include "mpi/grid.h"

/* Where gradients come from: rows of `size` numbers. */
typedef struct lo_gradients {
    int64_t size;
    bool cheap; /* making a row takes no longer than sending it */
    /* Of the margins of targets, or training examples: out [count, size], e [count] takes the probability of
     * all classes but the label. */
    lo_status (*margins)(void *self, bool targets, int64_t first, int64_t count, double *out, double *e,
                         lo_error *err);
    /* Of the losses of training examples; NULL: they are -e times the margins'. */
    lo_status (*losses)(void *self, int64_t first, int64_t count, double *out, lo_error *err);
    void *self;
} lo_gradients;

typedef struct lo_dense {
    const lo_attribution *a;
    const char *method;
    lo_gradients gradients;
    lo_grid grid;
    lo_grid_matrix matrix, factor; /* [size, size] */
    double *whole;                 /* the factor on every rank, where there is room for it; else NULL */
    double clock, fit_gradient;
} lo_dense;

/* Local: bytes that the largest rank takes, gradients' own needs not counted. */
double lo_dense_bytes(const lo_attribution *a, int64_t size, int ranks);

/* Adds what lo_dense_begin and lo_dense_solve do, the gradients not counted: are losses not -e times the
 * margins, are rows cheap? (See lo_gradients.) */
void lo_dense_work(const lo_attribution *a, int64_t size, bool losses, bool cheap, lo_attribution_work *sum);

/* Collective, all of them. Makes grid and matrices; fill d->matrix then (its lower triangle) with the
 * curvature, and call lo_dense_solve for what lo_attribution_direct takes. lo_dense_end in any case. Errors
 * of solve: LO_USAGE where no damping makes the matrix definite; those of the gradients. */
lo_status lo_dense_begin(lo_dense *d, lo_error *err);
lo_status lo_dense_solve(lo_dense *d, lo_attribution_direct *out, lo_error *err);
void lo_dense_end(lo_dense *d);

/* Collective: the eigenvalues of a matrix of the grid, which is lost, over `scale`, plus `shift`. */
lo_status lo_dense_spectrum(lo_grid_matrix *matrix, double scale, double shift, lo_attribution_direct *out,
                            lo_error *err);

/* What the last part took, for the log: the work is a chain of few long steps. */
void lo_dense_say(const lo_attribution *a, const char *method, const char *part, double *clock);

/* Errors: LO_USAGE for an output that has no gradient. */
lo_status lo_dense_check_output(const lo_attribution *a, const char *method, lo_effect output, lo_error *err);

/* An example's own changes from that of its margin: the probability's by the chain rule. */
void lo_dense_set_own(lo_attribution_direct *out, int64_t i, double margin, double e);

/* The targets' e [count] become the derivatives of their outputs by their margins. */
void lo_dense_scale_targets(const lo_attribution_direct *out, double *e);

/* ggn and hessian of whole networks: see attribution_curvature.c. */
double lo_curvature_bytes(const lo_attribution *a, bool hessian, int ranks);
void lo_curvature_work(const lo_attribution *a, bool hessian, lo_attribution_work *sum);
lo_status lo_curvature_direct(lo_attribution *a, bool hessian, lo_attribution_direct *out,
                              lo_attribution_notes *notes, lo_error *err);

#endif
