/* What the two forms of a network's curvature share: attribution_curvature.c (primal), attribution_dual.c. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_CURVATURE_H
#define LEAVEOUT_JOBS_ATTRIBUTION_CURVATURE_H

#include "jobs/attribution/attribution_dense.h"
#include "jobs/attribution/attribution_network.h"

typedef struct lo_curvature {
    lo_attribution *a;
    const char *method;
    int64_t p, rank; /* parameters; factor rows of an example, classes - 1 */
    double clock, fit_gradient;
} lo_curvature;

/* Elements [from, from + width) of rows of training examples or targets: see lo_network_rows_fill. */
lo_status lo_curvature_rows(const lo_curvature *c, const lo_network_rows *rows, lo_row_kind kind,
                            bool targets, int64_t first, int64_t count, int64_t from, int64_t width,
                            double *out, double *e, lo_error *err);

/* Local: bytes that the dual form takes on the largest of `ranks` ranks; adds what it does, the slope of the
 * objective not counted. */
double lo_dual_bytes(const lo_attribution *a, int ranks);
void lo_dual_work(const lo_attribution *a, lo_attribution_work *sum);

/* Collective. Errors: LO_USAGE for a damping of 0, or one with which the matrix is singular. */
lo_status lo_dual_direct(lo_curvature *c, lo_attribution_direct *out, lo_error *err);

#endif
