/* ggn: influence by the Gauss-Newton matrix, which for softmax regression is the Hessian: first order in what
 * an example does. The matrix is factored on the grid; targets' gradients are its right-hand sides, and each
 * rank multiplies the solutions of its targets with the gradients of all training examples. */
#include "attribute/linear.h"
#include "attribute/softmax.h"
#include "base/clock.h"
#include "jobs/attribution.h"
#include "mpi/agree.h"
#include "mpi/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256, TRIES = 16 };

typedef struct ggn {
    const lo_attribution *a;
    lo_softmax_fit_view fit;
    const lo_softmax *model; /* fit.model */
    double *hessian;         /* [p, p], on every rank */
    int64_t p;
    lo_grid grid;
    lo_grid_matrix matrix, factor;
    double damping, clock;
} ggn;

static double bytes(const lo_attribution *a, int ranks)
{
    const double d = (double)a->train.size + 1;
    const double p = d * (a->classes - 1);
    const double targets = ceil((double)a->target.count / ranks);
    const double matrices = lo_grid_bytes((int64_t)p, (int64_t)p, ranks) / 8 * (a->spectrum ? 5 : 2);
    return 8 * (d * ((double)a->train.count + (double)a->target.count + d) + p * p + matrices +
                p * (2 * targets + 4 * TILE) + (double)a->train.count * a->classes);
}

/* What the last part took, for the log: the work is a chain of few long steps. */
static void say_part(ggn *g, const char *part)
{
    lo_run *run = &g->a->study->run;
    const double now = lo_clock_monotonic();
    lo_run_say(run, "event=part method=ggn part=%s seconds=%.2f", part, now - g->clock);
    g->clock = now;
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

static lo_status factor(ggn *g, lo_attribution_direct *out, lo_error *err)
{
    const lo_attribution *a = g->a;
    LO_TRY(lo_grid_create(a->study->run.comm, &g->grid, err));
    LO_TRY(lo_grid_matrix_create(&g->grid, g->p, g->p, &g->matrix, err));
    LO_TRY(lo_grid_matrix_create(&g->grid, g->p, g->p, &g->factor, err));
    LO_TRY(lo_grid_fill(&g->matrix, copy_tile, g, err));
    LO_TRY(lo_grid_cholesky_ladder(&g->matrix, a->damping, TRIES, &g->factor, &out->damping, err));
    say_part(g, "factor");
    return LO_OK;
}

/* Eigenvalues of the curvature, without the damping. The matrix is lost. */
static lo_status find_spectrum(ggn *g, lo_attribution_direct *out, lo_error *err)
{
    lo_grid_matrix vector;
    lo_status status = lo_grid_matrix_create(&g->grid, g->p, g->p, &vector, err);
    out->eigenvalue = lo_attribution_numbers(g->p);
    if (status == LO_OK && out->eigenvalue == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %lld eigenvalues", (long long)g->p);
    }
    status = lo_agree(g->a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_eigen(&g->matrix, out->eigenvalue, &vector, err);
        out->spectrum = g->p;
    }
    lo_grid_matrix_destroy(&vector);
    say_part(g, "spectrum");
    return status;
}

/* Solves for `count` columns of this rank, of `width` a rank at most: all (A u = b), or half (L u = b). */
static lo_status solve_slab(const ggn *g, bool half, int64_t width, double *slab, lo_error *err)
{
    lo_grid_matrix side;
    lo_status status = lo_grid_matrix_create(&g->grid, g->p, width * g->grid.ranks, &side, err);
    if (status == LO_OK) {
        status = lo_grid_put_slabs(&side, width, slab, err);
    }
    if (status == LO_OK) {
        status = lo_grid_solve(&g->factor, half, &side, err);
    }
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&side, width, slab, err);
    }
    lo_grid_matrix_destroy(&side);
    return status;
}

/* Of this rank's examples: with q the margin's gradient and e the others' probability, the loss has -e q, and
 * leaving the example out takes e q' H^-1 q / n from its margin. One triangular solve: q' H^-1 q = |L^-1
 * q|^2. */
static lo_status find_own(const ggn *g, lo_attribution_direct *out, lo_error *err)
{
    const lo_attribution *a = g->a;
    double *slab = lo_attribution_numbers(TILE * g->p);
    double e[TILE];
    lo_status status = slab != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for gradients");
    status = lo_agree(a->study->run.comm, status, err);
    for (int64_t first = 0; first < a->width && status == LO_OK; first += TILE) {
        const int64_t left = a->count - first;
        const int64_t now = left < 0 ? 0 : left < TILE ? left : TILE;
        const int64_t at = a->first + first;
        status = now > 0
                     ? lo_softmax_margin_gradients(g->model, g->fit.theta, g->model->rows + at * g->model->d,
                                                   g->model->label + at, now, slab, e, err)
                     : LO_OK;
        memset(slab + now * g->p, 0, (size_t)((TILE - now) * g->p) * sizeof(*slab));
        if (status == LO_OK) {
            status = lo_tick_call(a->tick);
        }
        status = lo_agree(a->study->run.comm, status, err);
        if (status == LO_OK) {
            status = solve_slab(g, true, TILE, slab, err);
        }
        for (int64_t i = 0; i < now && status == LO_OK; i++) {
            double square = 0;
            for (int64_t r = 0; r < g->p; r++) {
                square += slab[i * g->p + r] * slab[i * g->p + r];
            }
            const double margin = e[i] * square / (double)a->train.count;
            out->own[LO_OUTPUT_MARGIN][first + i] = (float)margin;
            out->own[LO_OUTPUT_PROBABILITY][first + i] = (float)(margin * e[i] * (1 - e[i]));
            out->own[LO_OUTPUT_CORRECT][first + i] = NAN;
        }
    }
    free(slab);
    return status;
}

/* value [count, n] = factor_t e_i u_t . q_i / n, tile by tile of the training examples. */
static lo_status multiply(const ggn *g, const lo_attribution_direct *out, const double *solved,
                          const double *scale, lo_error *err)
{
    const lo_attribution *a = g->a;
    const int64_t n = a->train.count;
    double *tile = lo_attribution_numbers(TILE * g->p);
    double *product = lo_attribution_numbers(TILE * (out->count + 1));
    double e[TILE];
    lo_status status = tile != NULL && product != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for tiles of gradients");
    for (int64_t first = 0; first < n && status == LO_OK && out->count > 0; first += TILE) {
        const int64_t now = n - first < TILE ? n - first : TILE;
        status = lo_softmax_margin_gradients(g->model, g->fit.theta, g->model->rows + first * g->model->d,
                                             g->model->label + first, now, tile, e, err);
        if (status != LO_OK) {
            break;
        }
        lo_product_rows(out->count, now, g->p, 1 / (double)n, solved, g->p, tile, g->p, 0, product, now);
        for (int64_t t = 0; t < out->count; t++) {
            for (int64_t i = 0; i < now; i++) {
                out->value[t * n + first + i] = (float)(scale[t] * e[i] * product[t * now + i]);
            }
        }
        status = lo_tick_call(a->tick);
    }
    free(tile);
    free(product);
    return status;
}

static lo_status find_values(ggn *g, lo_attribution_direct *out, lo_error *err)
{
    const lo_attribution *a = g->a;
    const int ranks = a->study->run.ranks;
    const int64_t width = (a->target.count + ranks - 1) / ranks;
    double *slab = lo_attribution_numbers(width * g->p);
    double *scale = lo_attribution_numbers(width);
    lo_status status =
        slab != NULL && scale != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for gradients");
    if (status == LO_OK && out->count > 0) {
        status =
            lo_softmax_margin_gradients(g->model, g->fit.theta, g->fit.target_rows + out->first * g->model->d,
                                        a->target_examples->label + out->first, out->count, slab, scale, err);
    }
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = solve_slab(g, false, width, slab, err);
        say_part(g, "solve");
    }
    for (int64_t t = 0; t < out->count; t++) {
        scale[t] = out->output == LO_OUTPUT_MARGIN ? 1 : scale[t] * (1 - scale[t]);
    }
    if (status == LO_OK) {
        status = lo_agree(a->study->run.comm, multiply(g, out, slab, scale, err), err);
        say_part(g, "values");
    }
    free(slab);
    free(scale);
    return status;
}

static lo_status direct(lo_attribution *a, lo_attribution_direct *out, lo_attribution_notes *notes,
                        lo_error *err)
{
    ggn g = {.a = a, .clock = lo_clock_monotonic()};
    lo_status status = LO_OK;
    if (out->output == LO_OUTPUT_CORRECT) {
        status = lo_fail(err, LO_USAGE,
                         "attribution.output: found correct; ggn needs an output that has a gradient: "
                         "margin, probability");
    } else if (!(a->penalty > 0)) {
        status = lo_fail(
            err, LO_USAGE,
            "attribution.penalty: found 0; ggn needs one above 0: without it softmax regression may have no "
            "optimum");
    }
    LO_TRY(lo_agree(a->study->run.comm, status, err));
    LO_TRY(lo_softmax_fitted(a, &g.fit, err));
    g.model = g.fit.model;
    g.p = lo_softmax_parameters(g.model);
    *notes = (lo_attribution_notes){g.fit.gradient, (double)NAN, 0, g.p};
    say_part(&g, "fit");
    LO_TRY(lo_softmax_fitted_hessian(a, &g.hessian, err));
    say_part(&g, "hessian");
    status = factor(&g, out, err);
    if (status == LO_OK && a->target.count > 0) {
        status = find_values(&g, out, err);
    }
    if (status == LO_OK) {
        status = find_own(&g, out, err);
        say_part(&g, "self");
    }
    if (status == LO_OK && a->spectrum) {
        status = find_spectrum(&g, out, err);
    }
    lo_grid_matrix_destroy(&g.matrix);
    lo_grid_matrix_destroy(&g.factor);
    lo_grid_destroy(&g.grid);
    return status;
}

const lo_attribution_type lo_attribution_ggn = {
    .name = "ggn",
    .description = "softmax regression with a ridge: influence functions by the Gauss-Newton matrix, which "
                   "is its Hessian",
    .source = "Koh and Liang 2017, ICML, arXiv 1703.04730; Martens 2020, JMLR 21:146",
    .logits = true,
    .bytes = bytes,
    .direct = direct};
