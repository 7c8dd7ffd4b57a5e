/* kernel_ridge_loo: kernel ridge regression, left out in closed form. The kernel's matrix is built tile by
 * tile on the grid, inverted there, and handed back in slabs of rows: from then on every rank works alone. */
#include "attribute/kernel.h"
#include "attribute/linear.h"
#include "jobs/attribution/attribution.h"
#include "mpi/agree.h"
#include "mpi/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256 };

typedef struct kernel_method {
    const lo_attribution *a;
    lo_kernel kernel;
    double *inverse; /* [own, n]: rows of (K + penalty I)^-1 */
    double *alpha;   /* [n, classes] */
    double *full;    /* [targets, classes] */
    double *gain;    /* [targets, own]: k_t . C_i */
    int64_t group_first, group_count;
    double *group_value; /* [own groups, targets, classes] */
    bool grouped;
    int64_t block_first, block_count;
} kernel_method;

/* Rows of features that a tile needs, kept from tile to tile. */
typedef struct tile_rows {
    const lo_attribution *a;
    const lo_kernel *kernel;
    int64_t column, columns;
    double *by_row, *by_column; /* [BLOCK, size] */
} tile_rows;

static double own_of(const lo_attribution *a, int64_t total, int ranks)
{
    int64_t first;
    (void)a;
    return (double)lo_attribution_slab(total, 0, ranks, &first, &first);
}

static double bytes(const lo_attribution *a, int ranks)
{
    const double n = (double)a->train.count;
    const double targets = (double)a->target.count;
    const double own = own_of(a, a->train.count, ranks);
    const double grid = lo_grid_bytes(a->train.count, a->train.count, ranks);
    int64_t largest = 0;
    for (int64_t g = 0; g < a->groups; g++) {
        largest = a->group[g].count > largest ? a->group[g].count : largest;
    }
    const double slab = 8 * n * own;
    const double later = 8 * (targets * (own + a->classes) + TILE * n + (double)largest * (double)largest +
                              own_of(a, a->groups, ranks) * targets * a->classes);
    return (slab + grid > 2 * grid ? slab + grid : 2 * grid) + later + 8 * n * a->classes;
}

/* Every rank makes the targets' kernel for itself; a group's matrix too. */
static void work(const lo_attribution *a, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double d = (double)a->train.size;
    const double c = a->classes;
    const double rbf = a->rbf ? 1 : 0;
    double *shared = sum->shared;
    double *alone = sum->alone;
    shared[LO_WORK_PRODUCT] += 2 * n * n * d + 2 * t * n * n;
    shared[LO_WORK_NUMBERS] +=
        n * ceil(n / LO_GRID_BLOCK) * d * (1 + 2 * rbf) + (6 + rbf) * n * n + t * n * c;
    shared[LO_WORK_EXPONENTS] += rbf * n * n;
    lo_work_add_factor(n, shared);
    lo_work_add_solve(n, n / 3, false, shared);
    alone[LO_WORK_PRODUCT] += 2 * t * n * d;
    alone[LO_WORK_NUMBERS] += ceil(t / TILE) * n * d * (1 + 2 * rbf) + t * d + rbf * t * n;
    alone[LO_WORK_EXPONENTS] += rbf * t * n;
    alone[LO_WORK_THIN] += 2 * t * n * c;
    sum->bytes += (n * n + n * c) * sizeof(double);
    for (int64_t g = 0; g < a->groups; g++) {
        const double s = (double)a->group[g].count;
        shared[LO_WORK_NUMBERS] += s * t * c + s * s;
        alone[LO_WORK_NUMBERS] += s * s + 3 * t * c;
        lo_work_add_factor(s, alone);
        lo_work_add_solve(s, c, false, alone);
        sum->bytes += (s * s + t * c) * sizeof(double);
    }
}

static lo_status kernel_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns,
                             double *out, int64_t stride, lo_error *err)
{
    tile_rows *t = self;
    const lo_features *features = &t->a->train;
    if (t->column != column || t->columns != columns) {
        t->column = column;
        t->columns = columns;
        LO_TRY(features->fill(features->self, column, columns, t->by_column, features->size, err));
    }
    LO_TRY(features->fill(features->self, row, rows, t->by_row, features->size, err));
    LO_TRY(lo_tick_call(t->a->tick));
    return lo_kernel_tile(t->kernel, t->by_column, columns, t->by_row, rows, features->size, features->size,
                          out, stride, err);
}

static lo_status fill_kernel(const kernel_method *m, lo_grid_matrix *matrix, lo_error *err)
{
    const int64_t size = m->a->train.size;
    tile_rows t = {
        m->a, &m->kernel, -1, 0, lo_attribution_numbers(TILE * size), lo_attribution_numbers(TILE * size)};
    lo_status status = t.by_row != NULL && t.by_column != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for tiles of the kernel");
    status = lo_agree(m->a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_fill(matrix, kernel_tile, &t, err);
    }
    free(t.by_row);
    free(t.by_column);
    return status;
}

/* This rank's rows of the inverse. */
static lo_status invert(kernel_method *m, lo_grid *grid, lo_grid_matrix *matrix, lo_error *err)
{
    const lo_attribution *a = m->a;
    const int64_t n = a->train.count;
    bool definite = false;
    LO_TRY(lo_grid_create(a->study->run.comm, grid, err));
    grid->tick = a->tick;
    LO_TRY(lo_grid_matrix_create(grid, n, n, matrix, err));
    LO_TRY(fill_kernel(m, matrix, err));
    lo_grid_add_diagonal(matrix, (double)n * a->penalty);
    LO_TRY(lo_grid_cholesky(matrix, &definite, err));
    if (!definite) {
        return lo_fail(err, LO_USAGE,
                       "kernel_ridge_loo: the kernel's matrix of %lld examples is singular with "
                       "attribution.penalty %g; a "
                       "larger one makes it determined",
                       (long long)n, a->penalty);
    }
    LO_TRY(lo_grid_invert(matrix, err));
    m->inverse = lo_attribution_numbers(a->width * n);
    LO_TRY(lo_agree(
        a->study->run.comm,
        m->inverse != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for rows of the inverse"), err));
    return lo_grid_get_slabs(matrix, a->width, m->inverse, err);
}

/* alpha of all examples, and what it says of targets: k_t alpha, k_t . C_i. */
static lo_status predict(kernel_method *m, lo_error *err)
{
    const lo_attribution *a = m->a;
    const int64_t n = a->train.count;
    const int64_t targets = a->target.count;
    const int32_t classes = a->classes;
    m->alpha = lo_attribution_numbers(n * classes);
    m->full = lo_attribution_numbers(targets * classes);
    m->gain = lo_attribution_numbers(targets * a->count);
    double *tile = lo_attribution_numbers(TILE * n);
    double *transposed = lo_attribution_numbers(n * classes);
    double *rows = lo_attribution_numbers(TILE * a->train.size);
    double *others = lo_attribution_numbers(TILE * a->train.size);
    lo_status status = LO_OK;
    if (m->alpha == NULL || m->full == NULL || m->gain == NULL || tile == NULL || transposed == NULL ||
        rows == NULL || others == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the predictions of kernel_ridge_loo");
    }
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        lo_kernel_alpha(m->inverse, a->count, n, a->train_examples->label, classes,
                        m->alpha + a->first * classes);
        /* Each is written by one rank, zero elsewhere: exact. */
        MPI_Allreduce(MPI_IN_PLACE, m->alpha, (int)(n * classes), MPI_DOUBLE, MPI_SUM, a->study->run.comm);
        for (int64_t i = 0; i < n; i++) {
            for (int32_t c = 0; c < classes; c++) {
                transposed[c * n + i] = m->alpha[i * classes + c];
            }
        }
    }
    for (int64_t from = 0; from < targets && status == LO_OK; from += TILE) {
        const int64_t now = targets - from < TILE ? targets - from : TILE;
        status = a->target.fill(a->target.self, from, now, rows, a->target.size, err);
        for (int64_t i = 0; i < n && status == LO_OK; i += TILE) {
            const int64_t some = n - i < TILE ? n - i : TILE;
            status = a->train.fill(a->train.self, i, some, others, a->train.size, err);
            if (status == LO_OK) {
                status = lo_kernel_tile(&m->kernel, rows, now, others, some, a->train.size, a->train.size,
                                        tile + i, n, err);
            }
        }
        if (status == LO_OK) {
            lo_product_rows(now, classes, n, 1, tile, n, transposed, n, 0, m->full + from * classes, classes);
            if (a->count > 0) {
                lo_product_rows(now, a->count, n, 1, tile, n, m->inverse, n, 0, m->gain + from * a->count,
                                a->count);
            }
            status = lo_tick_call(a->tick);
        }
    }
    free(tile);
    free(transposed);
    free(rows);
    free(others);
    return lo_agree(a->study->run.comm, status, err);
}

/* Every group takes rows of all ranks: C_SS together, then each rank the part of its own rows in what targets
 * lose. */
static lo_status leave_one_group(kernel_method *m, int64_t group, double *loss, lo_error *err)
{
    const lo_attribution *a = m->a;
    const lo_left_out *set = &a->group[group];
    const int64_t n = a->train.count;
    const int64_t s = set->count;
    const int32_t classes = a->classes;
    double *block = lo_attribution_numbers(s * s);
    double *alpha = lo_attribution_numbers(s * classes);
    double *shift = lo_attribution_numbers(s * classes);
    lo_status status =
        block != NULL && alpha != NULL && shift != NULL && s * s < INT32_MAX
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for a group of %lld examples", (long long)s);
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        for (int64_t r = 0; r < s; r++) {
            const int64_t own = set->member[r] - a->first;
            for (int64_t c = 0; c < s && own >= 0 && own < a->count; c++) {
                block[r * s + c] = m->inverse[own * n + set->member[c]];
            }
            memcpy(alpha + r * classes, m->alpha + set->member[r] * classes,
                   (size_t)classes * sizeof(*alpha));
        }
        MPI_Allreduce(MPI_IN_PLACE, block, (int)(s * s), MPI_DOUBLE, MPI_SUM, a->study->run.comm);
        status =
            lo_agree(a->study->run.comm, lo_kernel_leave_group(block, alpha, s, classes, shift, err), err);
    }
    if (status == LO_OK) {
        memset(loss, 0, (size_t)(a->target.count * classes) * sizeof(*loss));
        for (int64_t r = 0; r < s; r++) {
            const int64_t own = set->member[r] - a->first;
            for (int64_t t = 0; t < a->target.count && own >= 0 && own < a->count; t++) {
                for (int32_t c = 0; c < classes; c++) {
                    loss[t * classes + c] += m->gain[t * a->count + own] * shift[r * classes + c];
                }
            }
        }
        MPI_Allreduce(MPI_IN_PLACE, loss, (int)(a->target.count * classes), MPI_DOUBLE, MPI_SUM,
                      a->study->run.comm);
    }
    free(block);
    free(alpha);
    free(shift);
    return status;
}

static lo_status leave_all_groups(kernel_method *m, lo_error *err)
{
    const lo_attribution *a = m->a;
    const int64_t items = a->target.count * a->classes;
    (void)lo_attribution_slab(a->groups, a->study->run.rank, a->study->run.ranks, &m->group_first,
                              &m->group_count);
    m->group_value = lo_attribution_numbers(m->group_count * items);
    double *loss = lo_attribution_numbers(items);
    lo_status status =
        m->group_value != NULL && loss != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for the effects of %lld groups", (long long)a->groups);
    status = lo_agree(a->study->run.comm, status, err);
    for (int64_t g = 0; g < a->groups && status == LO_OK; g++) {
        status = leave_one_group(m, g, loss, err);
        for (int64_t i = 0; i < items && g >= m->group_first && g < m->group_first + m->group_count; i++) {
            m->group_value[(g - m->group_first) * items + i] = m->full[i] - loss[i];
        }
    }
    free(loss);
    return status;
}

static lo_status begin(lo_attribution *a, void **self, lo_attribution_notes *notes, lo_error *err)
{
    kernel_method *m = calloc(1, sizeof(*m));
    lo_grid grid = {0};
    lo_grid_matrix matrix = {0};
    *self = m;
    LO_TRY(lo_agree(a->study->run.comm,
                    m != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for kernel_ridge_loo"), err));
    *m = (kernel_method){.a = a, .kernel = {a->rbf, a->gamma > 0 ? a->gamma : 1 / (double)a->train.size}};
    *notes = (lo_attribution_notes){(double)NAN, (double)NAN, 0, a->train.count * a->classes};
    lo_linear_one_thread();
    lo_status status = invert(m, &grid, &matrix, err);
    lo_grid_matrix_destroy(&matrix);
    lo_grid_destroy(&grid);
    LO_TRY(status);
    LO_TRY(predict(m, err));
    return a->groups > 0 ? leave_all_groups(m, err) : LO_OK;
}

static void end(void *self)
{
    kernel_method *m = self;
    if (m != NULL) {
        free(m->inverse);
        free(m->alpha);
        free(m->full);
        free(m->gain);
        free(m->group_value);
        free(m);
    }
}

static lo_status say_full(void *self, int64_t first, int64_t count, double *out, lo_error *err)
{
    (void)err;
    const kernel_method *m = self;
    const int64_t classes = m->a->classes;
    memcpy(out, m->full + first * classes, (size_t)(count * classes) * sizeof(*out));
    return LO_OK;
}

static lo_status leave(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    (void)gradient;
    (void)err;
    kernel_method *m = self;
    m->grouped = false;
    m->block_first = first;
    m->block_count = count;
    return LO_OK;
}

static lo_status leave_groups(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    (void)gradient;
    (void)err;
    kernel_method *m = self;
    m->grouped = true;
    m->block_first = first - m->group_first;
    m->block_count = count;
    return LO_OK;
}

/* alpha_i / C_ii of the i-th of the block. */
static double shift_of(const kernel_method *m, int64_t i, int32_t c)
{
    const int64_t own = m->block_first + i;
    const int64_t example = m->a->first + own;
    return m->alpha[example * m->a->classes + c] / m->inverse[own * m->a->train.count + example];
}

static lo_status say_own(void *self, double *with, double *without, lo_error *err)
{
    (void)err;
    const kernel_method *m = self;
    const lo_attribution *a = m->a;
    for (int64_t i = 0; i < m->block_count; i++) {
        const int64_t example = a->first + m->block_first + i;
        for (int32_t c = 0; c < a->classes; c++) {
            const double truth = c == a->train_examples->label[example] ? 1 : 0;
            with[i * a->classes + c] =
                truth - (double)a->train.count * a->penalty * m->alpha[example * a->classes + c];
            without[i * a->classes + c] = truth - shift_of(m, i, c);
        }
    }
    return LO_OK;
}

static lo_status say(void *self, int64_t first, int64_t count, const double *full, double *out, lo_error *err)
{
    (void)err;
    const kernel_method *m = self;
    const int32_t classes = m->a->classes;
    for (int64_t t = 0; t < count; t++) {
        for (int64_t i = 0; i < m->block_count; i++) {
            double *value = out + (t * m->block_count + i) * classes;
            if (m->grouped) {
                memcpy(value,
                       m->group_value + ((m->block_first + i) * m->a->target.count + first + t) * classes,
                       (size_t)classes * sizeof(*value));
                continue;
            }
            const double gain = m->gain[(first + t) * m->a->count + m->block_first + i];
            for (int32_t c = 0; c < classes; c++) {
                value[c] = full[t * classes + c] - gain * shift_of(m, i, c);
            }
        }
    }
    return LO_OK;
}

const lo_attribution_type lo_attribution_kernel_ridge = {
    .name = "kernel_ridge_loo",
    .description =
        "kernel ridge regression (linear or rbf): leave-one-out and leave-group-out in closed form",
    .source = "Sundararajan and Keerthi 2001, Neural Computation 13:1103",
    .bytes = bytes,
    .work = work,
    .begin = begin,
    .end = end,
    .say_full = say_full,
    .leave = leave,
    .leave_groups = leave_groups,
    .say_own = say_own,
    .say = say};
