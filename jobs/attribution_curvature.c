/* ggn and hessian of whole networks.
 *
 * Primal: the matrix of all p parameters. Gauss-Newton from the factor rows of this rank's examples: by a
 * local product and one sum into the grid's tiles where a rank can hold 8 p^2 bytes, else batch by batch on
 * the grid (ScaLAPACK's SUMMA), where no rank ever holds more than its tiles. The Hessian by its columns:
 * each rank multiplies it with the unit vectors of its slab, over all examples, so nothing is to be summed
 * and the bits do not depend on the number of ranks.
 *
 * Dual: with B [p, N] the factor rows of all examples as columns, N = n (classes - 1), and K = B'B,
 *
 *   (B B' / n + lam I)^-1 = (I - B (K + n lam I)^-1 B') / lam
 *
 * so that with K + n lam I = L L' and the gradients' images y = L^-1 B' q
 *
 *   q' A^-1 g = (q . g - y_q . y_g) / lam.
 *
 * Slices of parameters are computed one after the other, each by a pass over all rows, and added to K, B'q
 * and q . g on the grid: rows are never stored whole. */
#include "attribute/linear.h"
#include "base/clock.h"
#include "jobs/attribution_dense.h"
#include "jobs/attribution_network.h"
#include "mpi/agree.h"
#include "nn/product.h"
#include "nn/trainer.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 128 << 20, COLUMNS = 32, SLICE = 64 };

typedef struct curvature {
    lo_attribution *a;
    const lo_attribution_network *net;
    const lo_network_rows *rows;
    const char *method;
    int64_t p, rank; /* parameters; rows of K of an example, classes - 1 */
    double clock;
} curvature;

/* ---- sizes
 * ------------------------------------------------------------------------------------------------------- */

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

/* Bytes of the dual form's matrices on the grid. */
static double dual_matrices(const lo_attribution *a, int ranks)
{
    const int64_t n = a->train.count;
    const int64_t order = n * (a->classes - 1);
    const int64_t targets = (a->target.count + ranks - 1) / ranks * ranks;
    const bool smooth = a->network->rows.smoothing > 0;
    return lo_grid_bytes(order, order, ranks) * (a->spectrum ? 5 : 1) +
           lo_grid_bytes(order, n, ranks) * (smooth ? 2 : 1) + lo_grid_bytes(order, targets, ranks) +
           lo_grid_bytes(n, targets, ranks) * 2 + 8.0 * 3 * (double)n;
}

/* Bytes that one parameter of a slice takes: rows as they are made, and on the grid. */
static double slice_bytes(const lo_attribution *a, int ranks)
{
    int64_t first;
    int64_t own;
    const int64_t width = lo_attribution_slab(a->train.count, 0, ranks, &first, &own);
    const bool smooth = a->network->rows.smoothing > 0;
    return 16.0 * ((double)width * (a->classes + (smooth ? 1 : 0)) + ceil((double)a->target.count / ranks));
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
    return a->network->memory + (is_dual(a, hessian) ? dual_matrices(a, ranks) + SLICE * slice_bytes(a, ranks)
                                                     : primal_bytes(a, hessian, ranks));
}

/* Operations of the whole, on all ranks, and what that takes at the speed of a product that is timed here. */
static void say_sizes(const curvature *c, bool dual)
{
    enum { TRIAL = 384 };
    const lo_attribution *a = c->a;
    lo_run *run = &a->study->run;
    const double order = dual ? (double)a->train.count * (double)c->rank : (double)c->p;
    const double inner = dual ? (double)c->p : (double)a->train.count * (double)c->rank;
    const double sides = (double)a->train.count + (double)a->target.count;
    const double flops = order * order * inner + order * order * order / 3 + order * order * sides +
                         (dual ? 2 * order * inner * sides : 0) +
                         (a->spectrum ? 9 * order * order * order : 0);
    double *trial = lo_attribution_numbers(3 * TRIAL * TRIAL);
    double seconds = 0;
    if (trial != NULL) {
        lo_product_rows(TRIAL, TRIAL, TRIAL, 1, trial, TRIAL, trial, TRIAL, 0, trial + 2 * TRIAL * TRIAL,
                        TRIAL);
        const double start = lo_clock_monotonic();
        lo_product_rows(TRIAL, TRIAL, TRIAL, 1, trial, TRIAL, trial, TRIAL, 0, trial + 2 * TRIAL * TRIAL,
                        TRIAL);
        seconds = lo_clock_monotonic() - start;
    }
    free(trial);
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, run->comm);
    const double speed = 2.0 * TRIAL * TRIAL * TRIAL / fmax(seconds, 1e-9) * run->ranks;
    lo_run_say(run,
               "event=sized method=%s form=%s sums=%s parameters=%lld matrix=%.0f memory_per_rank_mib=%.0f "
               "gflop=%.1f "
               "seconds=%.0f",
               c->method, dual ? "dual" : "primal", !dual && sums_locally(a, run->ranks) ? "local" : "grid",
               (long long)c->p, order,
               lo_curvature_bytes(a, strcmp(c->method, "hessian") == 0, run->ranks) / 1048576, flops / 1e9,
               flops / speed);
}

/* ---- rows
 * -------------------------------------------------------------------------------------------------------- */

static lo_status fill_rows(const curvature *c, lo_row_kind kind, bool targets, int64_t first, int64_t count,
                           int64_t from, int64_t width, double *out, double *e, lo_error *err)
{
    const lo_attribution *a = c->a;
    return lo_network_rows_fill(c->rows, kind, targets ? a->target_examples : a->train_examples, first, count,
                                from, width, out, e, a->tick, err);
}

static lo_status margins(void *self, bool targets, int64_t first, int64_t count, double *out, double *e,
                         lo_error *err)
{
    const curvature *c = self;
    return fill_rows(c, LO_ROWS_MARGIN, targets, first, count, 0, c->p, out, e, err);
}

static lo_status losses(void *self, int64_t first, int64_t count, double *out, lo_error *err)
{
    const curvature *c = self;
    return fill_rows(c, LO_ROWS_LOSS, false, first, count, 0, c->p, out, NULL, err);
}

/* ---- the Gauss-Newton matrix
 * ---------------------------------------------------------------------------------------- */

/* A [p, p] matrix on each rank, summed into the tiles. */
static lo_status sum_local(const curvature *c, lo_grid_matrix *matrix, lo_error *err)
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
        status = fill_rows(c, LO_ROWS_FACTOR, false, a->first + at, now, 0, c->p, rows, NULL, err);
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
static lo_status sum_batches(const curvature *c, lo_grid_matrix *matrix, lo_error *err)
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
            fill_rows(c, LO_ROWS_FACTOR, false, a->first + (now > 0 ? at : 0), now, 0, c->p, rows, NULL, err),
            err);
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

static lo_status make_gauss_newton(const curvature *c, lo_grid_matrix *matrix, lo_error *err)
{
    return sums_locally(c->a, c->a->study->run.ranks) ? sum_local(c, matrix, err)
                                                      : sum_batches(c, matrix, err);
}

/* ---- the Hessian
 * ------------------------------------------------------------------------------------------------------- */

/* Columns [first, first + count) of this rank, which multiplies unit vectors over all examples. */
static lo_status hessian_columns(const curvature *c, lo_product *product, int64_t first, int64_t count,
                                 double *out, lo_error *err)
{
    const lo_attribution *a = c->a;
    const lo_product_set set = {.dataset = &a->study->data,
                                .examples = a->train_examples,
                                .count = a->train.count,
                                .smoothing = c->rows->smoothing};
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

static lo_status make_hessian(const curvature *c, lo_grid_matrix *matrix, lo_error *err)
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
        status = lo_product_create(lo_trainer_network(c->net->trainer), &product, err);
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

static lo_status primal(curvature *c, bool hessian, lo_attribution_direct *out, lo_error *err)
{
    lo_dense d = {
        .a = c->a,
        .method = c->method,
        .clock = c->clock,
        .gradients = {
            .size = c->p, .margins = margins, .losses = c->rows->smoothing > 0 ? losses : NULL, .self = c}};
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

/* ---- the dual form
 * ------------------------------------------------------------------------------------------------------ */

/* Rows of one kind: as a rank makes them, and as columns on the grid, a slice of parameters at a time. */
typedef struct side {
    lo_row_kind kind;
    bool targets;
    int64_t first, count, width; /* this rank's examples; a rank's at most */
    int64_t each;                /* rows an example */
    int64_t columns;             /* of all ranks, `each` an example */
    double *rows, *e;            /* [count * each, slice], [count] */
    lo_grid_matrix slice;        /* [slice, columns] */
    lo_grid_matrix image;        /* B' of it: [order, columns]; then L^-1 B' of it */
} side;

typedef struct dual_form {
    curvature *c;
    lo_attribution_direct *out;
    lo_grid grid;
    int64_t order, slice;
    double lambda;
    side factor, margin, loss, target; /* loss: with smoothing alone */
    lo_grid_matrix gram;               /* K [order, order] */
    lo_grid_matrix values;             /* q_t . g_i [n, targets] */
    double *own;                       /* [n]: q_i . g_i of this rank's examples */
} dual_form;

static void side_free(side *s)
{
    free(s->rows);
    free(s->e);
    lo_grid_matrix_destroy(&s->slice);
    lo_grid_matrix_destroy(&s->image);
}

static void dual_free(dual_form *f)
{
    side_free(&f->factor);
    side_free(&f->margin);
    side_free(&f->loss);
    side_free(&f->target);
    lo_grid_matrix_destroy(&f->gram);
    lo_grid_matrix_destroy(&f->values);
    lo_grid_destroy(&f->grid);
    free(f->own);
}

static bool has_losses(const dual_form *f)
{
    return f->c->rows->smoothing > 0;
}

/* The gradients of losses, up to the factor -e where there is no smoothing. */
static side *losses_of(dual_form *f)
{
    return has_losses(f) ? &f->loss : &f->margin;
}

static lo_status side_make(dual_form *f, side *s, lo_error *err)
{
    s->each = lo_rows_of_example(f->c->rows, s->kind);
    s->columns *= s->each;
    s->rows = lo_attribution_numbers(s->width * s->each * f->slice);
    s->e = lo_attribution_numbers(s->width);
    const lo_status status =
        s->rows != NULL && s->e != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for rows of %lld numbers", (long long)f->slice);
    LO_TRY(lo_agree(f->grid.comm, status, err));
    LO_TRY(lo_grid_matrix_create(&f->grid, f->slice, s->columns, &s->slice, err));
    return s->kind == LO_ROWS_FACTOR ? LO_OK
                                     : lo_grid_matrix_create(&f->grid, f->order, s->columns, &s->image, err);
}

/* As many parameters at a time as there is room for. */
static int64_t slice_of(const curvature *c)
{
    const lo_attribution *a = c->a;
    const int ranks = a->study->run.ranks;
    const double left = a->room - a->network->memory - dual_matrices(a, ranks);
    const double each = slice_bytes(a, ranks);
    const double most = fmin(left / each, 2e9 / (each / 16));
    const int64_t fit = most > SLICE ? (int64_t)most / SLICE * SLICE : SLICE;
    return fit < c->p ? fit : c->p;
}

static lo_status dual_make(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const int ranks = a->study->run.ranks;
    const int64_t targets = (a->target.count + ranks - 1) / ranks;
    const side examples = {
        .first = a->first, .count = a->count, .width = a->width, .columns = a->train.count};
    LO_TRY(lo_grid_create(a->study->run.comm, &f->grid, err));
    f->order = a->train.count * f->c->rank;
    f->slice = slice_of(f->c);
    f->factor = examples;
    f->margin = examples;
    f->loss = examples;
    f->margin.kind = LO_ROWS_MARGIN;
    f->loss.kind = LO_ROWS_LOSS;
    f->target = (side){.kind = LO_ROWS_MARGIN,
                       .targets = true,
                       .first = f->out->first,
                       .count = f->out->count,
                       .width = targets,
                       .columns = targets * ranks};
    LO_TRY(side_make(f, &f->factor, err));
    LO_TRY(side_make(f, &f->margin, err));
    if (has_losses(f)) {
        LO_TRY(side_make(f, &f->loss, err));
    }
    if (targets > 0) {
        LO_TRY(side_make(f, &f->target, err));
        LO_TRY(lo_grid_matrix_create(&f->grid, a->train.count, targets * ranks, &f->values, err));
    }
    LO_TRY(lo_grid_matrix_create(&f->grid, f->order, f->order, &f->gram, err));
    f->own = lo_attribution_numbers(a->width);
    return lo_agree(f->grid.comm,
                    f->own != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for products"), err);
}

/* Parameters [from, from + slice) of a side's rows, onto the grid; beyond the last parameter there are zeros.
 */
static lo_status side_load(dual_form *f, side *s, int64_t from, lo_error *err)
{
    const int64_t left = f->c->p - from;
    const int64_t now = left < f->slice ? left : f->slice;
    const int64_t rows = s->count * s->each;
    lo_status status = LO_OK;
    if (s->count > 0) {
        status = fill_rows(f->c, s->kind, s->targets, s->first, s->count, from, now, s->rows,
                           s->kind == LO_ROWS_MARGIN ? s->e : NULL, err);
    }
    for (int64_t r = rows - 1; r >= 0 && now < f->slice; r--) {
        memmove(s->rows + r * f->slice, s->rows + r * now, (size_t)now * sizeof(*s->rows));
        memset(s->rows + r * f->slice + now, 0, (size_t)(f->slice - now) * sizeof(*s->rows));
    }
    LO_TRY(lo_agree(f->grid.comm, status, err));
    return lo_grid_put_slabs(&s->slice, s->width * s->each, s->rows, err);
}

static lo_status add_image(dual_form *f, side *s, int64_t from, lo_error *err)
{
    LO_TRY(side_load(f, s, from, err));
    return lo_grid_product(1, &f->factor.slice, &s->slice, from > 0 ? 1 : 0, &s->image, err);
}

static lo_status add_slice(dual_form *f, int64_t from, lo_error *err)
{
    const double keep = from > 0 ? 1 : 0;
    side *loss = losses_of(f);
    LO_TRY(side_load(f, &f->factor, from, err));
    LO_TRY(lo_grid_gram(1, &f->factor.slice, keep, &f->gram, err));
    LO_TRY(add_image(f, &f->margin, from, err));
    if (loss != &f->margin) {
        LO_TRY(add_image(f, loss, from, err));
    }
    for (int64_t i = 0; i < f->margin.count; i++) {
        const double *q = f->margin.rows + i * f->slice;
        const double *g = loss->rows + i * f->slice;
        for (int64_t k = 0; k < f->slice; k++) {
            f->own[i] += q[k] * g[k];
        }
    }
    if (f->target.width > 0) {
        LO_TRY(add_image(f, &f->target, from, err));
        LO_TRY(lo_grid_product(1, &loss->slice, &f->target.slice, keep, &f->values, err));
    }
    return lo_tick_call(f->c->a->tick);
}

static lo_status dual_factor(dual_form *f, lo_error *err)
{
    const double n = (double)f->c->a->train.count;
    const double mean = lo_grid_trace(&f->gram) / (double)f->order;
    bool definite = false;
    if (f->c->a->spectrum) {
        lo_grid_matrix copy;
        LO_TRY(lo_grid_matrix_create(&f->grid, f->order, f->order, &copy, err));
        memcpy(copy.local, f->gram.local, (size_t)(copy.local_rows * copy.local_columns) * sizeof(double));
        const lo_status status = lo_dense_spectrum(&copy, n, f->out->ridge, f->out, err);
        lo_grid_matrix_destroy(&copy);
        LO_TRY(status);
        lo_dense_say(f->c->a, f->c->method, "spectrum", &f->c->clock);
    }
    lo_grid_add_diagonal(&f->gram, n * f->lambda);
    LO_TRY(lo_grid_cholesky(&f->gram, &definite, err));
    return definite
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "attribution.damping: found %g; with it the dual matrix of %lld rows is singular to "
                         "working precision: at least %.1e would do",
                         f->c->a->damping, (long long)f->order, 1e-10 * mean * (double)f->order / n);
}

static lo_status dual_own(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const side *loss = losses_of(f);
    const int64_t columns = f->margin.image.columns;
    double *dots = lo_attribution_numbers(columns);
    LO_TRY(lo_agree(f->grid.comm, dots != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for products"),
                    err));
    lo_grid_column_dots(&f->margin.image, &loss->image, dots);
    for (int64_t i = 0; i < a->count; i++) {
        const double e = f->margin.e[i];
        const double product = (f->own[i] - dots[a->first + i]) / (f->lambda * (double)a->train.count);
        lo_dense_set_own(f->out, i, (has_losses(f) ? -1 : e) * product, e);
    }
    free(dots);
    return LO_OK;
}

/* The e of all training examples, [width * ranks], on every rank. */
static lo_status gather_e(const dual_form *f, double **out, lo_error *err)
{
    const int64_t width = f->margin.width;
    *out = lo_attribution_numbers(width * f->grid.ranks);
    LO_TRY(lo_agree(f->grid.comm, *out != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for factors"),
                    err));
    MPI_Allgather(f->margin.e, (int)width, MPI_DOUBLE, *out, (int)width, MPI_DOUBLE, f->grid.comm);
    return LO_OK;
}

static lo_status dual_values(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const int64_t n = a->train.count;
    double *e = NULL;
    LO_TRY(lo_grid_product(-1, &losses_of(f)->image, &f->target.image, 1, &f->values, err));
    LO_TRY(gather_e(f, &e, err));
    double *slab = lo_attribution_numbers(f->target.width * n);
    lo_status status =
        lo_agree(f->grid.comm, slab != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for values"), err);
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&f->values, f->target.width, slab, err);
    }
    lo_dense_scale_targets(f->out, f->target.e);
    for (int64_t t = 0; t < f->out->count && status == LO_OK; t++) {
        for (int64_t i = 0; i < n; i++) {
            const double factor = (has_losses(f) ? -1 : e[i]) / (f->lambda * (double)n);
            f->out->value[t * n + i] = (float)(f->target.e[t] * factor * slab[t * n + i]);
        }
    }
    free(slab);
    free(e);
    return status;
}

static lo_status dual_run(dual_form *f, lo_error *err)
{
    curvature *c = f->c;
    LO_TRY(dual_make(f, err));
    for (int64_t from = 0; from < c->p; from += f->slice) {
        LO_TRY(lo_agree(f->grid.comm, add_slice(f, from, err), err));
    }
    lo_dense_say(c->a, c->method, "matrix", &c->clock);
    LO_TRY(dual_factor(f, err));
    lo_dense_say(c->a, c->method, "factor", &c->clock);
    LO_TRY(lo_grid_solve(&f->gram, true, &f->margin.image, err));
    if (has_losses(f)) {
        LO_TRY(lo_grid_solve(&f->gram, true, &f->loss.image, err));
    }
    LO_TRY(dual_own(f, err));
    if (f->target.width > 0) {
        LO_TRY(lo_grid_solve(&f->gram, true, &f->target.image, err));
        LO_TRY(dual_values(f, err));
    }
    lo_dense_say(c->a, c->method, "values", &c->clock);
    return LO_OK;
}

static lo_status dual(curvature *c, lo_attribution_direct *out, lo_error *err)
{
    dual_form f = {.c = c, .out = out, .lambda = out->ridge + c->a->damping};
    if (!(f.lambda > 0)) {
        return lo_fail(
            err, LO_USAGE,
            "attribution.damping: found 0, and the training has no weight decay; the Gauss-Newton "
            "matrix of %lld examples is singular in %lld parameters, and its dual form needs one above 0",
            (long long)c->a->train.count, (long long)c->p);
    }
    out->form = "dual";
    out->size = c->a->train.count * c->rank;
    out->damping = c->a->damping;
    const lo_status status = dual_run(&f, err);
    dual_free(&f);
    return status;
}

/* ---- the methods
 * ---------------------------------------------------------------------------------------------------- */

lo_status lo_curvature_direct(lo_attribution *a, bool hessian, lo_attribution_direct *out,
                              lo_attribution_notes *notes, lo_error *err)
{
    curvature c = {.a = a,
                   .net = a->network,
                   .rows = &a->network->rows,
                   .method = hessian ? "hessian" : "ggn",
                   .p = a->parameters,
                   .rank = a->classes - 1,
                   .clock = lo_clock_monotonic()};
    double slope = 0;
    lo_linear_one_thread();
    say_sizes(&c, is_dual(a, hessian));
    LO_TRY(lo_attribution_network_slope(a, &slope, err));
    out->ridge = a->network->ridge;
    *notes = (lo_attribution_notes){slope, (double)NAN, 0, c.p};
    lo_dense_say(a, c.method, "gradient", &c.clock);
    return is_dual(a, hessian) ? dual(&c, out, err) : primal(&c, hessian, out, err);
}
