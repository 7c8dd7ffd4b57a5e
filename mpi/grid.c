#include "mpi/grid.h"

#include "attribute/linear.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ScaLAPACK, PBLAS and BLACS have no headers on Debian: all that is used is declared here, once. */
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit(int context);
int numroc_(const int *count, const int *block, const int *process, const int *source, const int *processes);
void descinit_(int *descriptor, const int *rows, const int *columns, const int *row_block,
               const int *column_block, const int *source_row, const int *source_column, const int *context,
               const int *stride, int *info);
void Cpdgemr2d(int rows, int columns, const double *a, int ia, int ja, const int *desca, double *b, int ib,
               int jb, const int *descb, int context);
void pdsyrk_(const char *triangle, const char *transposed, const int *n, const int *k, const double *alpha,
             const double *a, const int *ia, const int *ja, const int *desca, const double *beta, double *c,
             const int *ic, const int *jc, const int *descc);
void pdgemm_(const char *transposed, const char *b_transposed, const int *m, const int *n, const int *k,
             const double *alpha, const double *a, const int *ia, const int *ja, const int *desca,
             const double *b, const int *ib, const int *jb, const int *descb, const double *beta, double *c,
             const int *ic, const int *jc, const int *descc);
void pdpotrf_(const char *triangle, const int *n, double *a, const int *ia, const int *ja, const int *desca,
              int *info);
void pdpotri_(const char *triangle, const int *n, double *a, const int *ia, const int *ja, const int *desca,
              int *info);
void pdtrsm_(const char *side, const char *triangle, const char *transposed, const char *unit, const int *m,
             const int *n, const double *alpha, const double *a, const int *ia, const int *ja,
             const int *desca, double *b, const int *ib, const int *jb, const int *descb);
void pdgeadd_(const char *transposed, const int *m, const int *n, const double *alpha, const double *a,
              const int *ia, const int *ja, const int *desca, const double *beta, double *c, const int *ic,
              const int *jc, const int *descc);
void dsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *stride, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info);
void pdsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *ia, const int *ja,
              const int *desca, double *w, double *z, const int *iz, const int *jz, const int *descz,
              double *work, const int *lwork, int *iwork, const int *liwork, int *info);

/* The width at which PBLAS cuts its own products, which ScaLAPACK leaves to its users: its 32 makes products
 * of double precision a fifth slower. The library calls this one in place of its own. */
int pilaenv_(const int *context, const char *precision);
int pilaenv_(const int *context, const char *precision)
{
    (void)context;
    (void)precision;
    return 192;
}

enum { BLOCK = LO_GRID_BLOCK, PANEL = 16 * BLOCK };
static const int one = 1;
static const double unity = 1;

/* ---- the grid ---- */

static void shape(int ranks, int *rows, int *columns)
{
    *rows = (int)sqrt((double)ranks);
    while (ranks % *rows != 0) {
        --*rows;
    }
    *columns = ranks / *rows;
}

lo_status lo_grid_create(MPI_Comm comm, lo_grid *out, lo_error *err)
{
    *out = (lo_grid){.comm = comm, .context = -1, .line = -1};
    MPI_Comm_rank(comm, &out->rank);
    MPI_Comm_size(comm, &out->ranks);
    lo_linear_one_thread();
    shape(out->ranks, &out->rows, &out->columns);
    const int handle = Csys2blacs_handle(comm);
    out->context = handle;
    out->line = handle;
    Cblacs_gridinit(&out->context, "Row", out->rows, out->columns);
    Cblacs_gridinit(&out->line, "Row", 1, out->ranks);
    Cfree_blacs_system_handle(handle);
    int rows = 0;
    int columns = 0;
    Cblacs_gridinfo(out->context, &rows, &columns, &out->row, &out->column);
    return rows == out->rows && columns == out->columns
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no grid of %d x %d ranks", out->rows, out->columns);
}

void lo_grid_destroy(lo_grid *grid)
{
    if (grid->ranks > 0) {
        Cblacs_gridexit(grid->context);
        Cblacs_gridexit(grid->line);
    }
    *grid = (lo_grid){0};
}

static int64_t local_count(int64_t count, int index, int of)
{
    const int n = (int)count;
    const int block = BLOCK;
    const int zero = 0;
    return numroc_(&n, &block, &index, &zero, &of);
}

double lo_grid_bytes(int64_t rows, int64_t columns, int ranks)
{
    int grid_rows;
    int grid_columns;
    shape(ranks, &grid_rows, &grid_columns);
    return (double)local_count(rows, 0, grid_rows) * (double)local_count(columns, 0, grid_columns) *
           sizeof(double);
}

/* ---- matrices ---- */

lo_status lo_grid_matrix_create(const lo_grid *grid, int64_t rows, int64_t columns, lo_grid_matrix *out,
                                lo_error *err)
{
    *out = (lo_grid_matrix){.grid = grid, .rows = rows, .columns = columns};
    if (rows > INT_MAX || columns > INT_MAX || lo_grid_bytes(rows, columns, grid->ranks) / 8 >= INT_MAX) {
        int ranks = grid->ranks;
        while (ranks < 1 << 20 && lo_grid_bytes(rows, columns, ranks) / 8 >= INT_MAX) {
            ranks++;
        }
        return lo_fail(err, LO_USAGE, "a matrix of %lld x %lld is too large for %d ranks; %d would do",
                       (long long)rows, (long long)columns, grid->ranks, ranks);
    }
    out->local_rows = local_count(rows, grid->row, grid->rows);
    out->local_columns = local_count(columns, grid->column, grid->columns);
    const int m = (int)rows;
    const int n = (int)columns;
    const int block = BLOCK;
    const int zero = 0;
    const int stride = out->local_rows > 0 ? (int)out->local_rows : 1;
    int info = 0;
    descinit_(out->descriptor, &m, &n, &block, &block, &zero, &zero, &grid->context, &stride, &info);
    out->local = calloc((size_t)(out->local_rows * out->local_columns) + 1, sizeof(double));
    const lo_status status =
        out->local == NULL || info != 0
            ? lo_fail(err, LO_INTERNAL, "no memory for a rank's part of a matrix of %lld x %lld: %.0f MiB",
                      (long long)rows, (long long)columns,
                      lo_grid_bytes(rows, columns, grid->ranks) / 1048576)
            : LO_OK;
    return lo_agree(grid->comm, status, err);
}

void lo_grid_matrix_destroy(lo_grid_matrix *matrix)
{
    free(matrix->local);
    *matrix = (lo_grid_matrix){0};
}

/* Where a local row (column) is in the whole matrix, for the index-th of `of` rows (columns) of ranks. */
static int64_t global_of(int64_t local, int index, int of)
{
    return (local / BLOCK * of + index) * BLOCK + local % BLOCK;
}

static int64_t global_row(const lo_grid_matrix *m, int64_t local)
{
    return global_of(local, m->grid->row, m->grid->rows);
}

static int64_t global_column(const lo_grid_matrix *m, int64_t local)
{
    return global_of(local, m->grid->column, m->grid->columns);
}

lo_status lo_grid_fill(lo_grid_matrix *matrix, lo_grid_tile *tile, void *self, lo_error *err)
{
    lo_status status = LO_OK;
    for (int64_t c = 0; c < matrix->local_columns && status == LO_OK; c += BLOCK) {
        const int64_t columns = matrix->local_columns - c < BLOCK ? matrix->local_columns - c : BLOCK;
        for (int64_t r = 0; r < matrix->local_rows && status == LO_OK; r += BLOCK) {
            const int64_t rows = matrix->local_rows - r < BLOCK ? matrix->local_rows - r : BLOCK;
            status = tile(self, global_row(matrix, r), rows, global_column(matrix, c), columns,
                          matrix->local + c * matrix->local_rows + r, matrix->local_rows, err);
        }
    }
    return lo_agree(matrix->grid->comm, status, err);
}

/* The layout of slabs of `width` columns. */
static lo_status slab_layout(const lo_grid_matrix *matrix, int64_t width, int *descriptor, lo_error *err)
{
    const int m = (int)matrix->rows;
    const int n = (int)matrix->columns;
    const int block = (int)width;
    const int zero = 0;
    int info = 0;
    if (width * matrix->grid->ranks < matrix->columns || width * matrix->rows >= INT_MAX) {
        return lo_fail(err, LO_INTERNAL, "slabs of %lld columns of %lld numbers on %d ranks",
                       (long long)width, (long long)matrix->rows, matrix->grid->ranks);
    }
    descinit_(descriptor, &m, &n, &m, &block, &zero, &zero, &matrix->grid->line, &m, &info);
    return LO_OK;
}

/* In pieces of some 2^26 numbers: Cpdgemr2d counts in int. */
static void copy_panels(const lo_grid_matrix *matrix, const double *from, const int *from_layout, double *to,
                        const int *to_layout)
{
    int64_t panel = ((int64_t)1 << 26) / (matrix->rows > 0 ? matrix->rows : 1);
    panel = panel > 0 ? panel : 1;
    for (int64_t c = 0; c < matrix->columns; c += panel) {
        const int columns = (int)(matrix->columns - c < panel ? matrix->columns - c : panel);
        Cpdgemr2d((int)matrix->rows, columns, from, 1, (int)c + 1, from_layout, to, 1, (int)c + 1, to_layout,
                  matrix->grid->line);
    }
}

lo_status lo_grid_put_slabs(lo_grid_matrix *matrix, int64_t width, const double *slab, lo_error *err)
{
    int layout[9];
    LO_TRY(slab_layout(matrix, width, layout, err));
    copy_panels(matrix, slab, layout, matrix->local, matrix->descriptor);
    return LO_OK;
}

lo_status lo_grid_get_slabs(const lo_grid_matrix *matrix, int64_t width, double *slab, lo_error *err)
{
    int layout[9];
    LO_TRY(slab_layout(matrix, width, layout, err));
    copy_panels(matrix, matrix->local, matrix->descriptor, slab, layout);
    return LO_OK;
}

/* The diagonal's elements of this rank: the next one from local column *c on, or NULL. */
static double *next_on_diagonal(const lo_grid_matrix *m, int64_t *c)
{
    for (; *c < m->local_columns; ++*c) {
        const int64_t at = global_column(m, *c);
        const int64_t block = at / BLOCK;
        if (block % m->grid->rows == m->grid->row && at < m->rows) {
            const int64_t r = block / m->grid->rows * BLOCK + at % BLOCK;
            return &m->local[(*c)++ * m->local_rows + r];
        }
    }
    return NULL;
}

void lo_grid_add_diagonal(lo_grid_matrix *matrix, double value)
{
    int64_t c = 0;
    for (double *element = next_on_diagonal(matrix, &c); element != NULL;
         element = next_on_diagonal(matrix, &c)) {
        *element += value;
    }
}

void lo_grid_column_dots(const lo_grid_matrix *a, const lo_grid_matrix *b, double *dots)
{
    memset(dots, 0, (size_t)a->columns * sizeof(*dots));
    for (int64_t c = 0; c < a->local_columns; c++) {
        const double *left = a->local + c * a->local_rows;
        const double *right = b->local + c * a->local_rows;
        double sum = 0;
        for (int64_t r = 0; r < a->local_rows; r++) {
            sum += left[r] * right[r];
        }
        dots[global_column(a, c)] = sum;
    }
    MPI_Allreduce(MPI_IN_PLACE, dots, (int)a->columns, MPI_DOUBLE, MPI_SUM, a->grid->comm);
}

double lo_grid_trace(const lo_grid_matrix *matrix)
{
    int64_t c = 0;
    double sum = 0;
    for (const double *element = next_on_diagonal(matrix, &c); element != NULL;
         element = next_on_diagonal(matrix, &c)) {
        sum += *element;
    }
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, matrix->grid->comm);
    return sum;
}

/* One rank's stop is everybody's. */
static lo_status tick_all(const lo_grid *grid, lo_error *err)
{
    return grid->tick != NULL ? lo_agree(grid->comm, lo_tick_call(grid->tick), err) : LO_OK;
}

/* ---- linear algebra ---- */

lo_status lo_grid_syrk(double scale, const lo_grid_matrix *a, double keep, lo_grid_matrix *out, lo_error *err)
{
    const int n = (int)a->rows;
    const int k = (int)a->columns;
    if (out->rows != a->rows || out->columns != a->rows) {
        return lo_fail(err, LO_INTERNAL, "a product of the wrong size");
    }
    pdsyrk_("L", "N", &n, &k, &scale, a->local, &one, &one, a->descriptor, &keep, out->local, &one, &one,
            out->descriptor);
    return LO_OK;
}

lo_status lo_grid_gram(double scale, const lo_grid_matrix *a, double keep, lo_grid_matrix *out, lo_error *err)
{
    const int n = (int)a->columns;
    const int k = (int)a->rows;
    if (out->rows != a->columns || out->columns != a->columns) {
        return lo_fail(err, LO_INTERNAL, "a product of the wrong size");
    }
    pdsyrk_("L", "T", &n, &k, &scale, a->local, &one, &one, a->descriptor, &keep, out->local, &one, &one,
            out->descriptor);
    return LO_OK;
}

lo_status lo_grid_product(double scale, const lo_grid_matrix *a, const lo_grid_matrix *b, double keep,
                          lo_grid_matrix *out, lo_error *err)
{
    const int m = (int)a->columns;
    const int n = (int)b->columns;
    const int k = (int)a->rows;
    if (b->rows != a->rows || out->rows != a->columns || out->columns != b->columns) {
        return lo_fail(err, LO_INTERNAL, "a product of the wrong size");
    }
    pdgemm_("T", "N", &m, &n, &k, &scale, a->local, &one, &one, a->descriptor, b->local, &one, &one,
            b->descriptor, &keep, out->local, &one, &one, out->descriptor);
    return LO_OK;
}

/* Panel `panel` of columns, one block for each column of the grid: where the lower triangle's tiles of the
 * rank at (row, column) lie. Calls `visit` for each; returns how many numbers they hold. */
typedef void visit_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t at);
static int64_t visit_panel(const lo_grid_matrix *m, int64_t panel, int row, int column, visit_tile *visit,
                           void *self)
{
    const lo_grid *grid = m->grid;
    const int64_t block = panel * grid->columns + column;
    const int64_t first = block * BLOCK;
    const int64_t columns = m->columns - first < BLOCK ? m->columns - first : BLOCK;
    int64_t at = 0;
    for (int64_t r = block; columns > 0 && r * BLOCK < m->rows; r++) {
        if (r % grid->rows == row) {
            const int64_t rows = m->rows - r * BLOCK < BLOCK ? m->rows - r * BLOCK : BLOCK;
            if (visit != NULL) {
                visit(self, r * BLOCK, rows, first, columns, at);
            }
            at += rows * columns;
        }
    }
    return at;
}

typedef struct panel_copy {
    lo_grid_matrix *matrix;
    const double *full;
    double *buffer;
} panel_copy;

static void pack_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t at)
{
    const panel_copy *p = self;
    for (int64_t c = 0; c < columns; c++) {
        memcpy(p->buffer + at + c * rows, p->full + (column + c) * p->matrix->rows + row,
               (size_t)rows * sizeof(double));
    }
}

static void place_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t at)
{
    const panel_copy *p = self;
    const lo_grid_matrix *m = p->matrix;
    const int64_t local_row = row / BLOCK / m->grid->rows * BLOCK;
    const int64_t local_column = column / BLOCK / m->grid->columns * BLOCK;
    for (int64_t c = 0; c < columns; c++) {
        memcpy(m->local + (local_column + c) * m->local_rows + local_row, p->buffer + at + c * rows,
               (size_t)rows * sizeof(double));
    }
}

lo_status lo_grid_sum(lo_grid_matrix *out, const double *full, lo_error *err)
{
    const lo_grid *grid = out->grid;
    const int64_t most = (out->rows + BLOCK) * BLOCK * grid->columns;
    double *send = malloc((size_t)most * sizeof(*send));
    double *receive = malloc((size_t)most * sizeof(*receive));
    int *counts = calloc((size_t)grid->ranks, sizeof(*counts));
    lo_status status = LO_OK;
    if (send == NULL || receive == NULL || counts == NULL || most > INT_MAX) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a panel of %lld numbers", (long long)most);
    }
    status = lo_agree(grid->comm, status, err);
    const int64_t panels = ((out->columns + BLOCK - 1) / BLOCK + grid->columns - 1) / grid->columns;
    for (int64_t panel = 0; panel < panels && status == LO_OK; panel++) {
        int64_t at = 0;
        for (int r = 0; r < grid->ranks; r++) {
            panel_copy pack = {out, full, send + at};
            counts[r] = (int)visit_panel(out, panel, r / grid->columns, r % grid->columns, pack_tile, &pack);
            at += counts[r];
        }
        MPI_Reduce_scatter(send, receive, counts, MPI_DOUBLE, MPI_SUM, grid->comm);
        panel_copy place = {out, NULL, receive};
        (void)visit_panel(out, panel, grid->row, grid->column, place_tile, &place);
    }
    free(send);
    free(receive);
    free(counts);
    return status;
}

/* The diagonal of this rank, malloc'ed. */
static double *own_diagonal(const lo_grid_matrix *a)
{
    double *diagonal = malloc((size_t)(a->local_columns + 1) * sizeof(*diagonal));
    int64_t c = 0;
    int64_t at = 0;
    for (const double *element = NULL; diagonal != NULL && (element = next_on_diagonal(a, &c)) != NULL;
         at++) {
        diagonal[at] = *element;
    }
    return diagonal;
}

/* Panel by panel, what is right of it brought up to date: ScaLAPACK's own order of work, with ticks. */
static lo_status factor_panels(lo_grid_matrix *a, int *info, lo_error *err)
{
    const int n = (int)a->rows;
    const double minus = -1;
    lo_status status = LO_OK;
    for (int k = 0; k < n && *info == 0 && status == LO_OK; k += PANEL) {
        const int width = n - k < PANEL ? n - k : PANEL;
        const int rest = n - k - width;
        const int at = k + 1;
        const int next = k + width + 1;
        pdpotrf_("L", &width, a->local, &at, &at, a->descriptor, info);
        if (rest > 0 && *info == 0) {
            pdtrsm_("R", "L", "T", "N", &rest, &width, &unity, a->local, &at, &at, a->descriptor, a->local,
                    &next, &at, a->descriptor);
            pdsyrk_("L", "N", &rest, &width, &minus, a->local, &next, &at, a->descriptor, &unity, a->local,
                    &next, &next, a->descriptor);
            status = tick_all(a->grid, err);
        }
    }
    return status;
}

lo_status lo_grid_cholesky(lo_grid_matrix *a, bool *definite, lo_error *err)
{
    int info = 0;
    double *before = own_diagonal(a);
    LO_TRY(lo_agree(a->grid->comm,
                    before != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a diagonal"), err));
    lo_status status = factor_panels(a, &info, err);
    /* As of lo_cholesky_is_singular: what a row adds to those before it, against its size. */
    int sound = info == 0;
    int64_t c = 0;
    int64_t at = 0;
    for (const double *element = NULL; (element = next_on_diagonal(a, &c)) != NULL; at++) {
        sound = sound && *element * *element > 1e-12 * before[at];
    }
    free(before);
    MPI_Allreduce(MPI_IN_PLACE, &sound, 1, MPI_INT, MPI_MIN, a->grid->comm);
    *definite = sound != 0;
    LO_TRY(status);
    return info >= 0 ? LO_OK : lo_fail(err, LO_INTERNAL, "PDPOTRF refuses its argument %d", -info);
}

lo_status lo_grid_cholesky_ladder(const lo_grid_matrix *a, double damping, int tries, lo_grid_matrix *factor,
                                  double *used, lo_error *err)
{
    /* Of an indefinite matrix, as a Hessian may be, the trace can be 0 or less. */
    const double mean = fabs(lo_grid_trace(a)) / (double)(a->rows > 0 ? a->rows : 1);
    *used = damping;
    for (int t = 0; t < tries; t++) {
        bool definite = false;
        memcpy(factor->local, a->local, (size_t)(a->local_rows * a->local_columns) * sizeof(double));
        lo_grid_add_diagonal(factor, *used);
        LO_TRY(lo_grid_cholesky(factor, &definite, err));
        if (definite) {
            return LO_OK;
        }
        *used = fmax(10 * *used, mean > 0 ? 1e-12 * mean : 1e-12);
    }
    return lo_fail(err, LO_USAGE,
                   "a matrix of %lld x %lld is singular with a damping of %g, and with %d larger ones",
                   (long long)a->rows, (long long)a->rows, damping, tries - 1);
}

/* A strip of local columns [count, rows] of the rank at (row, column) of the grid, into the whole matrix. */
static void place_strip(const lo_grid_matrix *m, int row, int column, int64_t first, int64_t count,
                        int64_t rows, const double *strip, double *full)
{
    for (int64_t c = 0; c < count; c++) {
        double *to = full + global_of(first + c, column, m->grid->columns) * m->rows;
        for (int64_t r = 0; r < rows; r += BLOCK) {
            memcpy(to + global_of(r, row, m->grid->rows), strip + c * rows + r,
                   (size_t)(rows - r < BLOCK ? rows - r : BLOCK) * sizeof(double));
        }
    }
}

lo_status lo_grid_whole(const lo_grid_matrix *matrix, double *full, lo_error *err)
{
    const lo_grid *grid = matrix->grid;
    lo_status status = LO_OK;
    double *strip = malloc((size_t)local_count(matrix->rows, 0, grid->rows) * BLOCK * sizeof(*strip));
    if (strip == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a strip of a matrix");
    }
    status = lo_agree(grid->comm, status, err);
    for (int rank = 0; rank < grid->ranks && status == LO_OK; rank++) {
        const int row = rank / grid->columns, column = rank % grid->columns;
        const int64_t rows = local_count(matrix->rows, row, grid->rows);
        const int64_t columns = local_count(matrix->columns, column, grid->columns);
        for (int64_t c = 0; c < columns; c += BLOCK) {
            const int64_t now = columns - c < BLOCK ? columns - c : BLOCK;
            double *from = rank == grid->rank ? matrix->local + c * rows : strip;
            MPI_Bcast(from, (int)(rows * now), MPI_DOUBLE, rank, grid->comm);
            place_strip(matrix, row, column, c, now, rows, from, full);
        }
        status = tick_all(grid, err);
    }
    free(strip);
    return status;
}

lo_status lo_grid_solve(const lo_grid_matrix *factor, bool half, lo_grid_matrix *b, lo_error *err)
{
    const int n = (int)factor->rows;
    const int columns = (int)b->columns;
    if (b->rows != factor->rows) {
        return lo_fail(err, LO_INTERNAL, "right-hand sides of the wrong size");
    }
    lo_status status = LO_OK;
    for (int c = 0; c < columns && status == LO_OK; c += PANEL) {
        const int now = columns - c < PANEL ? columns - c : PANEL;
        const int at = c + 1;
        pdtrsm_("L", "L", "N", "N", &n, &now, &unity, factor->local, &one, &one, factor->descriptor, b->local,
                &one, &at, b->descriptor);
        if (!half) {
            pdtrsm_("L", "L", "T", "N", &n, &now, &unity, factor->local, &one, &one, factor->descriptor,
                    b->local, &one, &at, b->descriptor);
        }
        status = tick_all(factor->grid, err);
    }
    return status;
}

lo_status lo_grid_invert(lo_grid_matrix *factor, lo_error *err)
{
    const int n = (int)factor->rows;
    int info = 0;
    lo_grid_matrix lower;
    lo_status status = lo_grid_matrix_create(factor->grid, factor->rows, factor->columns, &lower, err);
    if (status == LO_OK) {
        pdpotri_("L", &n, factor->local, &one, &one, factor->descriptor, &info);
        status = info == 0 ? LO_OK : lo_fail(err, LO_INTERNAL, "PDPOTRI ends with %d", info);
    }
    /* Half of the diagonal and what is below; the sum of that and its transpose is the whole. */
    for (int64_t c = 0; c < factor->local_columns && status == LO_OK; c++) {
        const int64_t column = global_column(factor, c);
        for (int64_t r = 0; r < factor->local_rows; r++) {
            const int64_t row = global_row(factor, r);
            double *element = &factor->local[c * factor->local_rows + r];
            *element = row > column ? *element : row == column ? *element / 2 : 0;
        }
    }
    if (status == LO_OK) {
        memcpy(lower.local, factor->local,
               (size_t)(factor->local_rows * factor->local_columns) * sizeof(double));
        pdgeadd_("T", &n, &n, &unity, lower.local, &one, &one, lower.descriptor, &unity, factor->local, &one,
                 &one, factor->descriptor);
    }
    lo_grid_matrix_destroy(&lower);
    return status;
}

/* By LAPACK: a [n, n], its lower triangle column by column, becomes the vectors. */
static lo_status eigen_here(int n, double *a, double *value, lo_error *err)
{
    int info = 0;
    int query = -1;
    int whole = 0;
    double real = 0;
    dsyevd_("V", "L", &n, a, &n, value, &real, &query, &whole, &query, &info);
    const int room = (int)real + 1;
    double *work = malloc((size_t)room * sizeof(*work));
    int *whole_work = malloc((size_t)(whole + 1) * sizeof(*whole_work));
    lo_status status = work != NULL && whole_work != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for %d eigenvalues", n);
    if (status == LO_OK) {
        dsyevd_("V", "L", &n, a, &n, value, work, &room, whole_work, &whole, &info);
        status = info == 0 ? LO_OK : lo_fail(err, LO_INTERNAL, "DSYEVD ends with %d", info);
    }
    free(work);
    free(whole_work);
    return status;
}

/* On rank 0: a slab as wide as the matrix is all of it. */
static lo_status eigen_on_one(const lo_grid_matrix *a, double *value, lo_grid_matrix *vector, lo_error *err)
{
    const lo_grid *grid = a->grid;
    double *whole = malloc((size_t)(a->rows * a->rows + 1) * sizeof(*whole));
    lo_status status = whole != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for eigenvectors");
    status = lo_agree(grid->comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_get_slabs(a, a->rows, whole, err);
    }
    if (status == LO_OK && grid->rank == 0) {
        status = eigen_here((int)a->rows, whole, value, err);
    }
    status = lo_agree(grid->comm, status, err);
    if (status == LO_OK) {
        MPI_Bcast(value, (int)a->rows, MPI_DOUBLE, 0, grid->comm);
        status = lo_grid_put_slabs(vector, a->rows, whole, err);
    }
    free(whole);
    return status;
}

lo_status lo_grid_eigen(lo_grid_matrix *a, double *value, lo_grid_matrix *vector, lo_error *err)
{
    /* Where a row or column of the grid has no tile PDSYEVD (ScaLAPACK 2.2.1) returns vectors that are none.
     */
    const int most = a->grid->rows > a->grid->columns ? a->grid->rows : a->grid->columns;
    if (a->rows <= (int64_t)BLOCK * most) {
        return eigen_on_one(a, value, vector, err);
    }
    const int n = (int)a->rows;
    int info = 0;
    int query = -1;
    int whole = 0;
    double real = 0;
    pdsyevd_("V", "L", &n, a->local, &one, &one, a->descriptor, value, vector->local, &one, &one,
             vector->descriptor, &real, &query, &whole, &query, &info);
    /* The size comes as a floating-point number: a little more, and never below what the documentation says.
     */
    const int64_t least =
        6 * (int64_t)n + 2 * a->local_rows * a->local_columns + 3 * (int64_t)n + 2 * BLOCK * BLOCK;
    const int64_t room = (int64_t)fmax(1.01 * real + 1024, (double)least);
    const int64_t whole_room = 7 * (int64_t)n + 8 * (int64_t)a->grid->columns + 2 > whole
                                   ? 7 * (int64_t)n + 8 * (int64_t)a->grid->columns + 2
                                   : whole;
    double *work = room < INT_MAX ? malloc((size_t)room * sizeof(*work)) : NULL;
    int *whole_work = malloc((size_t)whole_room * sizeof(*whole_work));
    lo_status status = LO_OK;
    if (work == NULL || whole_work == NULL) {
        status =
            lo_fail(err, LO_INTERNAL, "no memory for the eigenvalues of a matrix of %d x %d: %.0f MiB a rank",
                    n, n, (double)room * 8 / 1048576);
    }
    status = lo_agree(a->grid->comm, status, err);
    if (status == LO_OK) {
        const int size = (int)room;
        const int whole_size = (int)whole_room;
        pdsyevd_("V", "L", &n, a->local, &one, &one, a->descriptor, value, vector->local, &one, &one,
                 vector->descriptor, work, &size, whole_work, &whole_size, &info);
        status = info == 0 ? LO_OK : lo_fail(err, LO_INTERNAL, "PDSYEVD ends with %d", info);
    }
    free(work);
    free(whole_work);
    return status;
}
