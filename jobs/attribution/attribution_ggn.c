/* ggn and hessian: influence by the curvature of the mean loss, first order in what an example does. Of
 * softmax regression the two are one matrix; of networks see attribution_curvature.c. */
#include "attribute/softmax.h"
#include "base/clock.h"
#include "jobs/attribution/attribution_dense.h"
#include "mpi/agree.h"

#include <math.h>
#include <string.h>

typedef struct ggn {
    lo_softmax_fit_view fit;
    double *hessian; /* [p, p], on every rank */
    int64_t p;
    const int32_t *target_label;
} ggn;

static double bytes_of(const lo_attribution *a, bool hessian, int ranks)
{
    if (a->model == LO_ATTRIBUTION_NETWORK) {
        return lo_curvature_bytes(a, hessian, ranks);
    }
    const double d = (double)a->train.size + 1;
    const double p = d * (a->classes - 1);
    return 8 * (d * ((double)a->train.count + (double)a->target.count + d) + p * p +
                (double)a->train.count * a->classes) +
           lo_dense_bytes(a, (int64_t)p, ranks);
}

static double bytes_ggn(const lo_attribution *a, int ranks)
{
    return bytes_of(a, false, ranks);
}

static double bytes_hessian(const lo_attribution *a, int ranks)
{
    return bytes_of(a, true, ranks);
}

static void work_of(const lo_attribution *a, bool hessian, lo_attribution_work *sum)
{
    if (a->model == LO_ATTRIBUTION_NETWORK) {
        lo_curvature_work(a, hessian, sum);
        return;
    }
    const double d = (double)a->train.size + 1;
    const double p = d * (a->classes - 1);
    lo_softmax_work(a, false, sum);
    sum->shared[LO_WORK_NUMBERS] += 2 * p * p + (double)a->target.count * p;
    /* Every rank makes all rows. */
    sum->alone[LO_WORK_NUMBERS] += (double)a->train.count * p;
    sum->alone[LO_WORK_THIN] += 2 * (double)a->train.count * p;
    lo_dense_work(a, (int64_t)p, false, true, sum);
}

static void work_ggn(const lo_attribution *a, lo_attribution_work *sum)
{
    work_of(a, false, sum);
}

static void work_hessian(const lo_attribution *a, lo_attribution_work *sum)
{
    work_of(a, true, sum);
}

static lo_status copy_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns,
                           double *out, int64_t stride, lo_error *err)
{
    const ggn *g = self;
    (void)err;
    for (int64_t c = 0; c < columns; c++) {
        memcpy(out + c * stride, g->hessian + (column + c) * g->p + row, (size_t)rows * sizeof(*out));
    }
    return LO_OK;
}

static lo_status margins(void *self, bool targets, int64_t first, int64_t count, double *out, double *e,
                         lo_error *err)
{
    const ggn *g = self;
    const lo_softmax *model = g->fit.model;
    const double *rows = targets ? g->fit.target_rows : model->rows;
    const int32_t *label = targets ? g->target_label : model->label;
    return lo_softmax_margin_gradients(model, g->fit.theta, rows + first * model->d, label + first, count,
                                       out, e, err);
}

static lo_status regression(lo_attribution *a, const char *method, lo_attribution_direct *out,
                            lo_attribution_notes *notes, lo_error *err)
{
    ggn g = {.target_label = a->target_examples->label};
    lo_dense d = {.a = a, .method = method, .clock = lo_clock_monotonic()};
    LO_TRY(lo_softmax_fitted(a, &g.fit, err));
    g.p = lo_softmax_parameters(g.fit.model);
    d.gradients = (lo_gradients){.size = g.p, .cheap = true, .margins = margins, .self = &g};
    out->ridge = a->penalty;
    d.fit_gradient = g.fit.gradient;
    *notes = (lo_attribution_notes){g.fit.gradient, (double)NAN, 0, g.p};
    lo_dense_say(a, method, "fit", &d.clock);
    LO_TRY(lo_softmax_fitted_hessian(a, &g.hessian, err));
    lo_dense_say(a, method, "matrix", &d.clock);
    lo_status status = lo_dense_begin(&d, err);
    if (status == LO_OK) {
        status = lo_grid_fill(&d.matrix, copy_tile, &g, err);
    }
    if (status == LO_OK) {
        status = lo_dense_solve(&d, out, err);
    }
    lo_dense_end(&d);
    return status;
}

static lo_status direct_of(lo_attribution *a, bool hessian, lo_attribution_direct *out,
                           lo_attribution_notes *notes, lo_error *err)
{
    const char *method = hessian ? "hessian" : "ggn";
    LO_TRY(lo_dense_check_output(a, method, out->output, err));
    if (a->model == LO_ATTRIBUTION_NETWORK) {
        return lo_curvature_direct(a, hessian, out, notes, err);
    }
    const lo_status status =
        a->penalty > 0 ? LO_OK
                       : lo_fail(err, LO_USAGE,
                                 "attribution.penalty: found 0; %s needs one above 0: without it softmax "
                                 "regression may have no optimum",
                                 method);
    LO_TRY(lo_agree(a->study->run.comm, status, err));
    return regression(a, method, out, notes, err);
}

static lo_status direct_ggn(lo_attribution *a, lo_attribution_direct *out, lo_attribution_notes *notes,
                            lo_error *err)
{
    return direct_of(a, false, out, notes, err);
}

static lo_status direct_hessian(lo_attribution *a, lo_attribution_direct *out, lo_attribution_notes *notes,
                                lo_error *err)
{
    return direct_of(a, true, out, notes, err);
}

const lo_attribution_type lo_attribution_ggn = {
    .name = "ggn",
    .description = "softmax regression with a ridge, or a whole network: influence functions by the "
                   "Gauss-Newton matrix",
    .source = "Koh and Liang 2017, ICML, arXiv 1703.04730; Martens 2020, JMLR 21:146",
    .logits = true,
    .networks = true,
    .bytes = bytes_ggn,
    .work = work_ggn,
    .direct = direct_ggn};

const lo_attribution_type lo_attribution_hessian = {
    .name = "hessian",
    .description = "softmax regression with a ridge, or a whole network: influence functions by the Hessian",
    .source = "Koh and Liang 2017, ICML, arXiv 1703.04730; Pearlmutter 1994, Neural Computation 6:147",
    .logits = true,
    .networks = true,
    .bytes = bytes_hessian,
    .work = work_hessian,
    .direct = direct_hessian};
