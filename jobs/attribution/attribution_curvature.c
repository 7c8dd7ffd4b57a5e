/* ggn and hessian of whole networks.
 *
 * Primal: the matrix of all p parameters. Gauss-Newton from the factor rows of this rank's examples: by a
 * local product and one sum into the grid's tiles where a rank can hold 8 p^2 bytes, else batch by batch on
 * the grid (ScaLAPACK's SUMMA), where no rank ever holds more than its tiles. The Hessian by its columns:
 * each rank multiplies it with the unit vectors of its slab, over all examples, so nothing is to be summed
 * and the bits do not depend on the number of ranks. */
#include "jobs/attribution/attribution_curvature.h"
#include "attribute/linear.h"
#include "base/clock.h"
#include "mpi/agree.h"
#include "nn/product.h"
#include "nn/trainer.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 128 << 20, COLUMNS = 32 };

/* ---- sizes ---- */

/* Examples whose rows are made at a time: some 256 rows or more, which is enough for fast products. */
static int64_t batch_of(const lo_attribution *a, int ranks)
{
    enum { LEAST_ROWS = 256 };
    const int64_t rank = a->classes - 1;
    int64_t first;
    int64_t own;
    const int64_t width = lo_attribution_slab(a->train.count, 0, ranks, &first, &own);
    const int64_t fit = BATCH_BYTES / (8 * a->parameters * rank);
    const int64_t least = (LEAST_ROWS + rank - 1) / rank;
    const int64_t batch = fit > least ? least : fit > 0 ? fit : 1;
    return batch < width ? batch : width;
}

static double batch_bytes(const lo_attribution *a, int ranks)
{
    return 8.0 * (double)(a->parameters * (a->classes - 1) * batch_of(a, ranks));
}

static bool is_dual(const lo_attribution *a, bool hessian)
{
    return !hessian && !a->primal && (a->dual || a->train.count * (a->classes - 1) < a->parameters);
}

/* Of the primal form without a p x p matrix on each rank. */
static double primal_bytes(const lo_attribution *a, bool hessian, int ranks)
{
    const double p = (double)a->parameters;
    const double columns = ceil(p / ranks);
    const double hessian_slab = 8 * p * columns + 8 * p * COLUMNS * 16;
    const double one = lo_grid_bytes(a->parameters, a->parameters, ranks);
    const double building = one + (hessian ? hessian_slab : 2 * batch_bytes(a, ranks));
    return fmax(building, lo_dense_bytes(a, a->parameters, ranks));
}

/* Is there room for the sum of this rank's examples, a [p, p] matrix, beside its tiles? */
static bool sums_locally(const lo_attribution *a, int ranks)
{
    const double p = (double)a->parameters;
    return a->network->memory + 8 * p * p + batch_bytes(a, ranks) +
               lo_grid_bytes(a->parameters, a->parameters, ranks) <=
           a->room;
}

double lo_curvature_bytes(const lo_attribution *a, bool hessian, int ranks)
{
    return a->network->memory +
           (is_dual(a, hessian) ? lo_dual_bytes(a, ranks) : primal_bytes(a, hessian, ranks));
}

/* A gradient of so many numbers is made, taken out of the network, and turned to double. */
static void add_rows(double rows, double size, double *work)
{
    work[LO_WORK_GRADIENTS] += rows;
    work[LO_WORK_NUMBERS] += 4 * rows * size;
}

/* The slope of the objective; the matrix; what lo_dense_work says. */
static void primal_work(const lo_attribution *a, bool hessian, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double p = (double)a->parameters;
    const bool losses = a->network->rows.smoothing > 0;
    /* A block's first vector takes three gradients, each further one two: nn/product.h. */
    const double hessian_gradients = 2 + 1.0 / COLUMNS;
    double *shared = sum->shared;
    if (hessian) {
        shared[LO_WORK_GRADIENTS] += hessian_gradients * n * p;
        shared[LO_WORK_NUMBERS] += 2 * p * p;
    } else {
        const double rows = n * (a->classes - 1);
        add_rows(rows, p, shared);
        shared[LO_WORK_PRODUCT] += rows * p * p;
    }
    sum->bytes += p * p * sizeof(double);
    add_rows((double)a->target.count + n * (losses ? 2 : 1), p, shared);
    lo_dense_work(a, a->parameters, losses, false, sum);
}

void lo_curvature_work(const lo_attribution *a, bool hessian, lo_attribution_work *sum)
{
    add_rows((double)a->train.count, (double)a->parameters, sum->shared);
    if (is_dual(a, hessian)) {
        lo_dual_work(a, sum);
    } else {
        primal_work(a, hessian, sum);
    }
}

/* Operations of the whole, on all ranks, and what that takes at the speed of what is timed here; the
 * network's passes are not in it. */
static void say_sizes(const lo_curvature *c, bool hessian)
{
    const lo_attribution *a = c->a;
    lo_run *run = &a->study->run;
    const bool dual = is_dual(a, hessian);
    const double order = dual ? (double)a->train.count * (double)c->rank : (double)c->p;
    lo_attribution_work work = {0};
    lo_attribution_speed speed = lo_attribution_measure();
    lo_curvature_work(a, hessian, &work);
    MPI_Allreduce(MPI_IN_PLACE, speed.seconds, LO_WORK_KINDS, MPI_DOUBLE, MPI_MAX, run->comm);
    const double seconds =
        lo_work_seconds(work.shared, &speed) / run->ranks + lo_work_seconds(work.alone, &speed);
    lo_run_say(run,
               "event=sized method=%s form=%s sums=%s parameters=%lld matrix=%.0f memory_per_rank_mib=%.0f "
               "gflop=%.1f "
               "seconds=%.0f",
               c->method, dual ? "dual" : "primal", !dual && sums_locally(a, run->ranks) ? "local" : "grid",
               (long long)c->p, order, lo_curvature_bytes(a, hessian, run->ranks) / 1048576,
               (lo_work_flops(work.shared) + run->ranks * lo_work_flops(work.alone)) / 1e9, seconds);
}

/* ---- rows ---- */

lo_status lo_curvature_rows(const lo_curvature *c, const lo_network_rows *rows, lo_row_kind kind,
                            bool targets, int64_t first, int64_t count, int64_t from, int64_t width,
                            double *out, double *e, lo_error *err)
{
    const lo_attribution *a = c->a;
    return lo_network_rows_fill(rows, kind, targets ? a->target_examples : a->train_examples, first, count,
                                from, width, out, e, a->tick, err);
}

/* The whole rows. */
static lo_status fill_rows(const lo_curvature *c, lo_row_kind kind, bool targets, int64_t first,
                           int64_t count, double *out, double *e, lo_error *err)
{
    return lo_curvature_rows(c, &c->a->network->rows, kind, targets, first, count, 0, c->p, out, e, err);
}

static lo_status margins(void *self, bool targets, int64_t first, int64_t count, double *out, double *e,
                         lo_error *err)
{
    const lo_curvature *c = self;
    return fill_rows(c, LO_ROWS_MARGIN, targets, first, count, out, e, err);
}

static lo_status losses(void *self, int64_t first, int64_t count, double *out, lo_error *err)
{
    const lo_curvature *c = self;
    return fill_rows(c, LO_ROWS_LOSS, false, first, count, out, NULL, err);
}

/* ---- the Gauss-Newton matrix ---- */

/* A [p, p] matrix on each rank, summed into the tiles. */
static lo_status sum_local(const lo_curvature *c, lo_grid_matrix *matrix, lo_error *err)
{
    const lo_attribution *a = c->a;
    const int64_t batch = batch_of(a, a->study->run.ranks);
    double *full = lo_attribution_numbers(c->p * c->p);
    double *rows = lo_attribution_numbers(batch * c->rank * c->p);
    lo_status status =
        full != NULL && rows != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for a matrix of %lld parameters", (long long)c->p);
    for (int64_t at = 0; at < a->count && status == LO_OK; at += batch) {
        const int64_t now = a->count - at < batch ? a->count - at : batch;
        status = fill_rows(c, LO_ROWS_FACTOR, false, a->first + at, now, rows, NULL, err);
        if (status == LO_OK) {
            lo_gram_add_upper(rows, now * c->rank, c->p, 1 / (double)a->train.count, full);
        }
    }
    free(rows);
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_sum(matrix, full, err);
    }
    free(full);
    return status;
}

/* Batch by batch of all ranks' rows, on the grid. */
static lo_status sum_batches(const lo_curvature *c, lo_grid_matrix *matrix, lo_error *err)
{
    const lo_attribution *a = c->a;
    const int64_t batch = batch_of(a, a->study->run.ranks);
    const int64_t width = batch * c->rank;
    lo_grid_matrix side = {0};
    double *rows = lo_attribution_numbers(width * c->p);
    lo_status status =
        rows != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %lld rows", (long long)width);
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_matrix_create(matrix->grid, c->p, width * matrix->grid->ranks, &side, err);
    }
    for (int64_t at = 0; at < a->width && status == LO_OK; at += batch) {
        const int64_t left = a->count - at;
        const int64_t now = left < 0 ? 0 : left < batch ? left : batch;
        memset(rows, 0, (size_t)(width * c->p) * sizeof(*rows));
        status = lo_agree(
            a->study->run.comm,
            fill_rows(c, LO_ROWS_FACTOR, false, a->first + (now > 0 ? at : 0), now, rows, NULL, err), err);
        if (status == LO_OK) {
            status = lo_grid_put_slabs(&side, width, rows, err);
        }
        if (status == LO_OK) {
            status = lo_grid_syrk(1 / (double)a->train.count, &side, at > 0 ? 1 : 0, matrix, err);
        }
    }
    lo_grid_matrix_destroy(&side);
    free(rows);
    return status;
}

static lo_status make_gauss_newton(const lo_curvature *c, lo_grid_matrix *matrix, lo_error *err)
{
    return sums_locally(c->a, c->a->study->run.ranks) ? sum_local(c, matrix, err)
                                                      : sum_batches(c, matrix, err);
}

/* ---- the Hessian ---- */

/* Columns [first, first + count) of this rank, which multiplies unit vectors over all examples. */
static lo_status hessian_columns(const lo_curvature *c, lo_product *product, int64_t first, int64_t count,
                                 double *out, lo_error *err)
{
    const lo_attribution *a = c->a;
    const lo_product_set set = {.dataset = &a->study->data,
                                .examples = a->train_examples,
                                .count = a->train.count,
                                .smoothing = c->a->network->rows.smoothing};
    double *unit = lo_attribution_numbers(COLUMNS * c->p);
    lo_status status =
        unit != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for columns of the Hessian");
    for (int64_t at = 0; at < count && status == LO_OK; at += COLUMNS) {
        const int64_t now = count - at < COLUMNS ? count - at : COLUMNS;
        const lo_vectors vectors = {
            .kind = LO_HESSIAN, .count = (int)now, .length = (size_t)c->p, .values = unit, .mean = true};
        for (int64_t k = 0; k < now; k++) {
            unit[k * c->p + first + at + k] = 1;
        }
        status = lo_product_apply(product, &set, &vectors, a->tick, out + at * c->p, err);
        for (int64_t k = 0; k < now; k++) {
            unit[k * c->p + first + at + k] = 0;
        }
    }
    free(unit);
    return status;
}

static lo_status make_hessian(const lo_curvature *c, lo_grid_matrix *matrix, lo_error *err)
{
    const lo_run *run = &c->a->study->run;
    const int64_t width = (c->p + run->ranks - 1) / run->ranks;
    const int64_t first = width * run->rank < c->p ? width * run->rank : c->p;
    const int64_t count = c->p - first < width ? c->p - first : width;
    lo_product *product = NULL;
    double *slab = lo_attribution_numbers(width * c->p);
    lo_status status = slab != NULL ? LO_OK
                                    : lo_fail(err, LO_INTERNAL, "no memory for %lld columns of the Hessian",
                                              (long long)width);
    if (status == LO_OK) {
        status = lo_product_create(lo_trainer_network(c->a->network->trainer), &product, err);
        status = status == LO_OK ? status : lo_fail_prefix(err, status, "hessian");
    }
    if (status == LO_OK) {
        status = hessian_columns(c, product, first, count, slab, err);
    }
    lo_product_destroy(&product);
    status = lo_agree(run->comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_put_slabs(matrix, width, slab, err);
    }
    free(slab);
    return status;
}

static lo_status primal(lo_curvature *c, bool hessian, lo_attribution_direct *out, lo_error *err)
{
    lo_dense d = {.a = c->a,
                  .method = c->method,
                  .clock = c->clock,
                  .fit_gradient = c->fit_gradient,
                  .gradients = {.size = c->p,
                                .margins = margins,
                                .losses = c->a->network->rows.smoothing > 0 ? losses : NULL,
                                .self = c}};
    lo_status status = lo_dense_begin(&d, err);
    if (status == LO_OK) {
        status = hessian ? make_hessian(c, &d.matrix, err) : make_gauss_newton(c, &d.matrix, err);
        lo_dense_say(c->a, c->method, "matrix", &d.clock);
    }
    if (status == LO_OK) {
        lo_grid_add_diagonal(&d.matrix, out->ridge);
        status = lo_dense_solve(&d, out, err);
    }
    lo_dense_end(&d);
    return status;
}

/* ---- the methods ---- */

lo_status lo_curvature_direct(lo_attribution *a, bool hessian, lo_attribution_direct *out,
                              lo_attribution_notes *notes, lo_error *err)
{
    lo_curvature c = {.a = a,
                      .method = hessian ? "hessian" : "ggn",
                      .p = a->parameters,
                      .rank = a->classes - 1,
                      .clock = lo_clock_monotonic()};
    lo_linear_one_thread();
    say_sizes(&c, hessian);
    LO_TRY(lo_attribution_network_slope(a, &c.fit_gradient, err));
    out->ridge = a->network->ridge;
    *notes = (lo_attribution_notes){c.fit_gradient, (double)NAN, 0, c.p};
    lo_dense_say(a, c.method, "gradient", &c.clock);
    return is_dual(a, hessian) ? lo_dual_direct(&c, out, err) : primal(&c, hessian, out, err);
}
