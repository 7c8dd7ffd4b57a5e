#include "jobs/attribution/attribution_dense.h"

#include "attribute/linear.h"
#include "base/clock.h"
#include "jobs/attribution/attribution_kept.h"
#include "mpi/agree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 16, LARGEST_TILE = 256, SMALLEST_TILE = 16, TILE_BYTES = 32 << 20 };

/* Examples of a tile: less where rows are long. */
static int64_t tile_of(int64_t size)
{
    const int64_t fit = TILE_BYTES / (8 * (size > 0 ? size : 1));
    return fit > LARGEST_TILE ? LARGEST_TILE : fit < SMALLEST_TILE ? SMALLEST_TILE : fit;
}

double lo_dense_bytes(const lo_attribution *a, int64_t size, int ranks)
{
    const double targets = ceil((double)a->target.count / ranks);
    const double tile = (double)tile_of(size);
    const double columns = 2 * (targets + 1) + 5 * tile;
    return lo_grid_bytes(size, size, ranks) * (a->spectrum || a->keep ? 5 : 2) +
           8 * ((double)size * columns + tile * (targets + 1));
}

void lo_dense_work(const lo_attribution *a, int64_t size, bool losses, bool cheap, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double p = (double)size;
    const double rows = n * (losses ? 2 : 1);
    double *shared = sum->shared;
    if (a->keep) {
        lo_kept_work(a, p, rows, sum);
        return;
    }
    lo_work_add_factor(p, shared);
    lo_work_add_solve(p, t, false, shared);
    lo_work_add_solve(p, rows, true, shared);
    shared[LO_WORK_PRODUCT] += 2 * n * t * p;
    shared[LO_WORK_NUMBERS] += 2 * p * p + 2 * n * t + n * p;
    sum->bytes += p * p * sizeof(double) + (cheap ? 0 : n * p * sizeof(double));
    shared[LO_WORK_EIGEN] += a->spectrum ? 9 * p * p * p : 0;
}

void lo_dense_say(const lo_attribution *a, const char *method, const char *part, double *clock)
{
    lo_run *run = &a->study->run;
    const double now = lo_clock_monotonic();
    lo_run_say(run, "event=part method=%s part=%s seconds=%.2f", method, part, now - *clock);
    *clock = now;
}

lo_status lo_dense_check_output(const lo_attribution *a, const char *method, lo_effect output, lo_error *err)
{
    const lo_status status =
        output == LO_EFFECT_CORRECT
            ? lo_fail(err, LO_USAGE,
                      "attribution.output: found correct; %s needs an output that has a gradient: margin, "
                      "probability",
                      method)
            : LO_OK;
    return lo_agree(a->study->run.comm, status, err);
}

void lo_dense_set_own(lo_attribution_direct *out, int64_t i, double margin, double e)
{
    out->own[LO_EFFECT_MARGIN][i] = (float)margin;
    out->own[LO_EFFECT_PROBABILITY][i] = (float)(margin * e * (1 - e));
    out->own[LO_EFFECT_CORRECT][i] = NAN;
}

void lo_dense_scale_targets(const lo_attribution_direct *out, double *e)
{
    for (int64_t t = 0; t < out->count; t++) {
        e[t] = out->output == LO_EFFECT_MARGIN ? 1 : e[t] * (1 - e[t]);
    }
}

lo_status lo_dense_begin(lo_dense *d, lo_error *err)
{
    const int64_t p = d->gradients.size;
    LO_TRY(lo_grid_create(d->a->study->run.comm, &d->grid, err));
    d->grid.tick = d->a->tick;
    LO_TRY(lo_grid_matrix_create(&d->grid, p, p, &d->matrix, err));
    return LO_OK;
}

void lo_dense_end(lo_dense *d)
{
    lo_grid_matrix_destroy(&d->matrix);
    lo_grid_matrix_destroy(&d->factor);
    free(d->whole);
    d->whole = NULL;
    lo_grid_destroy(&d->grid);
}

/* Solutions are many more than columns of the factor: where a rank has room for all of it, each solves for
 * its own columns, and nothing travels any more. */
static lo_status share_factor(lo_dense *d, lo_error *err)
{
    const int64_t p = d->gradients.size;
    const double bytes = 8.0 * (double)p * (double)p;
    int there = 1;
    if (d->grid.ranks > 1) {
        d->whole = bytes <= d->a->spare ? malloc((size_t)bytes) : NULL;
        there = d->whole != NULL;
        MPI_Allreduce(MPI_IN_PLACE, &there, 1, MPI_INT, MPI_MIN, d->grid.comm);
    }
    if (!there || d->whole == NULL) {
        free(d->whole);
        d->whole = NULL;
        return LO_OK;
    }
    return lo_grid_whole(&d->factor, d->whole, err);
}

/* Solves for the columns of this rank, of `width` a rank: all (A u = b), or half (L u = b). */
static lo_status solve_slab(const lo_dense *d, bool half, int64_t width, double *slab, lo_error *err)
{
    enum { COLUMNS_A_TICK = 256 };
    const int64_t p = d->gradients.size;
    for (int64_t c = 0; d->whole != NULL && c < width; c += COLUMNS_A_TICK) {
        lo_factor_solve(d->whole, p, half, slab + c * p,
                        width - c < COLUMNS_A_TICK ? width - c : COLUMNS_A_TICK);
        LO_TRY(lo_tick_call(d->a->tick));
    }
    if (d->whole != NULL) {
        return LO_OK;
    }
    lo_grid_matrix side;
    lo_status status = lo_grid_matrix_create(&d->grid, d->gradients.size, width * d->grid.ranks, &side, err);
    if (status == LO_OK) {
        status = lo_grid_put_slabs(&side, width, slab, err);
    }
    if (status == LO_OK) {
        status = lo_grid_solve(&d->factor, half, &side, err);
    }
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&side, width, slab, err);
    }
    lo_grid_matrix_destroy(&side);
    return status;
}

/* ---- training examples, tile by tile ---- */

typedef struct pass {
    lo_dense *d;
    lo_attribution_direct *out;
    int64_t tile;
    double *solved, *scale; /* of targets: [count, size], [count] */
    double *margin, *loss;  /* [tile, size] of this rank's examples; loss NULL: -e times margin */
    double *shared;         /* [tile, size]: another rank's */
    double *product;        /* [count, tile] */
    double e[LARGEST_TILE], factor[LARGEST_TILE];
} pass;

static void pass_free(pass *p)
{
    free(p->solved);
    free(p->scale);
    free(p->margin);
    free(p->loss);
    free(p->shared);
    free(p->product);
}

static lo_status pass_allocate(pass *p, int64_t targets, lo_error *err)
{
    const int64_t size = p->d->gradients.size;
    p->tile = tile_of(size);
    p->solved = lo_attribution_numbers(targets * size);
    p->scale = lo_attribution_numbers(targets);
    p->margin = lo_attribution_numbers(p->tile * size);
    p->loss = p->d->gradients.losses != NULL ? lo_attribution_numbers(p->tile * size) : NULL;
    p->shared = lo_attribution_numbers(p->tile * size);
    p->product = lo_attribution_numbers(targets * p->tile);
    return p->solved != NULL && p->scale != NULL && p->margin != NULL && p->shared != NULL &&
                   p->product != NULL && (p->loss != NULL || p->d->gradients.losses == NULL)
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for gradients of %lld numbers", (long long)size);
}

/* Solutions of this rank's targets. */
static lo_status solve_targets(pass *p, int64_t width, lo_error *err)
{
    const lo_dense *d = p->d;
    lo_attribution_direct *out = p->out;
    lo_status status = LO_OK;
    if (out->count > 0) {
        status =
            d->gradients.margins(d->gradients.self, true, out->first, out->count, p->solved, p->scale, err);
    }
    LO_TRY(lo_agree(d->a->study->run.comm, status, err));
    LO_TRY(solve_slab(d, false, width, p->solved, err));
    lo_dense_scale_targets(out, p->scale);
    return LO_OK;
}

/* What a rank's tile in a round is of: examples [*first, *first + returned). */
static int64_t tile_at(const pass *p, int rank, int64_t round, int64_t *first)
{
    const lo_attribution *a = p->d->a;
    int64_t count;
    (void)lo_attribution_slab(a->train.count, rank, a->study->run.ranks, first, &count);
    *first += round * p->tile;
    count -= round * p->tile;
    return count < 0 ? 0 : count < p->tile ? count : p->tile;
}

/* Gradients of losses of `rank`'s tile, up to factors: *rows is what they are. */
static lo_status share_tile(pass *p, int rank, int64_t first, int64_t count, double **rows, lo_error *err)
{
    const lo_dense *d = p->d;
    const lo_run *run = &d->a->study->run;
    const bool own = rank == run->rank;
    *rows = !own ? p->shared : p->loss != NULL ? p->loss : p->margin;
    if (!d->gradients.cheap) {
        memcpy(p->factor, p->e, sizeof(p->factor));
        MPI_Bcast(*rows, (int)(count * d->gradients.size), MPI_DOUBLE, rank, run->comm);
        MPI_Bcast(p->factor, (int)count, MPI_DOUBLE, rank, run->comm);
        return LO_OK;
    }
    if (own) {
        memcpy(p->factor, p->e, sizeof(p->factor));
        return LO_OK;
    }
    return d->gradients.margins(d->gradients.self, false, first, count, *rows, p->factor, err);
}

/* Columns [first, first + count) of the values. */
static void multiply(const pass *p, int64_t first, int64_t count, const double *rows)
{
    const int64_t n = p->d->a->train.count;
    const int64_t size = p->d->gradients.size;
    const lo_attribution_direct *out = p->out;
    if (out->count == 0) {
        return;
    }
    lo_product_rows(out->count, count, size, 1 / (double)n, p->solved, size, rows, size, 0, p->product,
                    count);
    for (int64_t t = 0; t < out->count; t++) {
        for (int64_t i = 0; i < count; i++) {
            const double factor = p->loss != NULL ? -1 : p->factor[i];
            out->value[t * n + first + i] = (float)(p->scale[t] * factor * p->product[t * count + i]);
        }
    }
}

/* Own changes of a tile: q' A^-1 g, which without smoothing is a square. */
static lo_status own_changes(pass *p, int64_t first, int64_t count, lo_error *err)
{
    const lo_dense *d = p->d;
    const int64_t size = d->gradients.size;
    const double n = (double)d->a->train.count;
    LO_TRY(solve_slab(d, true, p->tile, p->margin, err));
    if (p->loss != NULL) {
        LO_TRY(solve_slab(d, true, p->tile, p->loss, err));
    }
    for (int64_t i = 0; i < count; i++) {
        const double *q = p->margin + i * size;
        const double *g = p->loss != NULL ? p->loss + i * size : q;
        double sum = 0;
        for (int64_t k = 0; k < size; k++) {
            sum += q[k] * g[k];
        }
        lo_dense_set_own(p->out, first + i - d->a->first, (p->loss != NULL ? -1 : p->e[i]) * sum / n,
                         p->e[i]);
    }
    return LO_OK;
}

static lo_status make_tile(pass *p, int64_t first, int64_t count, lo_error *err)
{
    const lo_gradients *g = &p->d->gradients;
    LO_TRY(lo_tick_call(p->d->a->tick));
    if (count == 0) {
        return LO_OK;
    }
    LO_TRY(g->margins(g->self, false, first, count, p->margin, p->e, err));
    return g->losses != NULL ? g->losses(g->self, first, count, p->loss, err) : LO_OK;
}

/* Each rank makes the tile of its own examples; every rank multiplies it with its targets' solutions. */
static lo_status one_round(pass *p, int64_t round, lo_error *err)
{
    const lo_run *run = &p->d->a->study->run;
    int64_t own_first;
    const int64_t own = tile_at(p, run->rank, round, &own_first);
    LO_TRY(lo_agree(run->comm, make_tile(p, own_first, own, err), err));
    lo_status status = LO_OK;
    for (int r = 0; r < run->ranks && p->d->a->target.count > 0 && status == LO_OK; r++) {
        double *rows = NULL;
        int64_t first;
        const int64_t count = tile_at(p, r, round, &first);
        if (count > 0) {
            status = share_tile(p, r, first, count, &rows, err);
            if (status == LO_OK) {
                multiply(p, first, count, rows);
            }
        }
    }
    LO_TRY(lo_agree(run->comm, status, err));
    return own_changes(p, own_first, own, err);
}

static lo_status find_all(lo_dense *d, lo_attribution_direct *out, lo_error *err)
{
    const lo_attribution *a = d->a;
    const int64_t width = (a->target.count + a->study->run.ranks - 1) / a->study->run.ranks;
    pass p = {.d = d, .out = out};
    lo_status status = lo_agree(a->study->run.comm, pass_allocate(&p, width, err), err);
    if (status == LO_OK && a->target.count > 0) {
        status = solve_targets(&p, width, err);
        lo_dense_say(a, d->method, "targets", &d->clock);
    }
    for (int64_t round = 0; round * p.tile < a->width && status == LO_OK; round++) {
        status = one_round(&p, round, err);
    }
    pass_free(&p);
    lo_dense_say(a, d->method, "values", &d->clock);
    return status;
}

/* ---- the spectrum ---- */

lo_status lo_dense_spectrum(lo_grid_matrix *matrix, double scale, double shift, lo_attribution_direct *out,
                            lo_error *err)
{
    const int64_t size = matrix->rows;
    lo_grid_matrix vector;
    lo_status status = lo_grid_matrix_create(matrix->grid, size, size, &vector, err);
    out->eigenvalue = lo_attribution_numbers(size);
    if (status == LO_OK && out->eigenvalue == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %lld eigenvalues", (long long)size);
    }
    status = lo_agree(matrix->grid->comm, status, err);
    if (status == LO_OK) {
        status = lo_grid_eigen(matrix, out->eigenvalue, &vector, err);
        out->spectrum = size;
        for (int64_t i = 0; i < size; i++) {
            out->eigenvalue[i] = out->eigenvalue[i] / scale + shift;
        }
    }
    lo_grid_matrix_destroy(&vector);
    return status;
}

/* ---- kept for another damping ---- */

/* Columns of this rank, of `width` a rank at most, in the basis of the eigenvectors. */
static lo_status rotate_slab(const lo_dense *d, const lo_grid_matrix *vector, int64_t width, double *slab,
                             lo_error *err)
{
    lo_grid_matrix side;
    lo_grid_matrix rotated = {0};
    const int64_t p = d->gradients.size;
    lo_status status = lo_grid_matrix_create(&d->grid, p, width * d->grid.ranks, &side, err);
    if (status == LO_OK) {
        status = lo_grid_matrix_create(&d->grid, p, width * d->grid.ranks, &rotated, err);
    }
    if (status == LO_OK) {
        status = lo_grid_put_slabs(&side, width, slab, err);
    }
    if (status == LO_OK) {
        status = lo_grid_product(1, vector, &side, 0, &rotated, err);
    }
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&rotated, width, slab, err);
    }
    lo_grid_matrix_destroy(&side);
    lo_grid_matrix_destroy(&rotated);
    return status;
}

static lo_status keep_targets(pass *p, const lo_grid_matrix *vector, int64_t width, lo_kept *kept,
                              lo_error *err)
{
    const lo_dense *d = p->d;
    const lo_attribution_direct *out = p->out;
    lo_status status = LO_OK;
    if (out->count > 0) {
        status =
            d->gradients.margins(d->gradients.self, true, out->first, out->count, p->solved, p->scale, err);
    }
    LO_TRY(lo_agree(d->a->study->run.comm, status, err));
    LO_TRY(rotate_slab(d, vector, width, p->solved, err));
    LO_TRY(lo_kept_write(kept, LO_KEPT_TARGET, out->count, p->solved, err));
    return lo_kept_write(kept, LO_KEPT_TARGET_E, out->count, p->scale, err);
}

static lo_status keep_round(pass *p, const lo_grid_matrix *vector, int64_t round, lo_kept *kept,
                            lo_error *err)
{
    const lo_dense *d = p->d;
    const lo_run *run = &d->a->study->run;
    int64_t first;
    const int64_t count = tile_at(p, run->rank, round, &first);
    LO_TRY(lo_agree(run->comm, make_tile(p, first, count, err), err));
    LO_TRY(rotate_slab(d, vector, p->tile, p->margin, err));
    LO_TRY(lo_kept_write(kept, LO_KEPT_TRAIN, count, p->margin, err));
    if (p->loss != NULL) {
        LO_TRY(rotate_slab(d, vector, p->tile, p->loss, err));
        LO_TRY(lo_kept_write(kept, LO_KEPT_LOSS, count, p->loss, err));
    }
    return lo_kept_write(kept, LO_KEPT_E, count, p->e, err);
}

static lo_status keep_rows(lo_dense *d, lo_attribution_direct *out, const lo_grid_matrix *vector,
                           const double *eigenvalue, lo_error *err)
{
    const lo_attribution *a = d->a;
    const int64_t width = (a->target.count + a->study->run.ranks - 1) / a->study->run.ranks;
    const lo_kept_facts facts = {.method = d->method,
                                 .losses = d->gradients.losses != NULL,
                                 .rows = d->gradients.size,
                                 .eigenvalue = eigenvalue,
                                 .ridge = out->ridge,
                                 .fit_gradient = d->fit_gradient,
                                 .parameters = d->gradients.size};
    lo_kept kept;
    pass p = {.d = d, .out = out};
    lo_status status = lo_agree(a->study->run.comm, pass_allocate(&p, width, err), err);
    if (status == LO_OK) {
        status = lo_kept_create(a, out, &facts, &kept, err);
    }
    if (status == LO_OK) {
        status = a->target.count > 0 ? keep_targets(&p, vector, width, &kept, err) : LO_OK;
        for (int64_t round = 0; round * p.tile < a->width && status == LO_OK; round++) {
            status = keep_round(&p, vector, round, &kept, err);
        }
        status = lo_kept_commit(&kept, status, err);
    }
    pass_free(&p);
    return status;
}

static lo_status keep(lo_dense *d, lo_attribution_direct *out, lo_error *err)
{
    const int64_t size = d->gradients.size;
    lo_grid_matrix vector;
    double *eigenvalue = lo_attribution_numbers(size);
    lo_status status =
        lo_agree(d->grid.comm,
                 eigenvalue != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for eigenvalues"), err);
    lo_status made = lo_grid_matrix_create(&d->grid, size, size, &vector, err);
    status = status == LO_OK ? made : status;
    if (status == LO_OK) {
        status = lo_grid_eigen(&d->matrix, eigenvalue, &vector, err);
        lo_dense_say(d->a, d->method, "spectrum", &d->clock);
    }
    if (status == LO_OK) {
        status = keep_rows(d, out, &vector, eigenvalue, err);
        lo_dense_say(d->a, d->method, "keep", &d->clock);
    }
    lo_grid_matrix_destroy(&vector);
    free(eigenvalue);
    return status;
}

/* ---- the whole ---- */

lo_status lo_dense_solve(lo_dense *d, lo_attribution_direct *out, lo_error *err)
{
    const lo_attribution *a = d->a;
    const int64_t p = d->gradients.size;
    out->form = "primal";
    out->size = p;
    if (a->keep) {
        return keep(d, out, err);
    }
    LO_TRY(lo_grid_matrix_create(&d->grid, p, p, &d->factor, err));
    LO_TRY(lo_grid_cholesky_ladder(&d->matrix, a->damping, TRIES, &d->factor, &out->damping, err));
    LO_TRY(share_factor(d, err));
    lo_dense_say(a, d->method, "factor", &d->clock);
    LO_TRY(find_all(d, out, err));
    if (a->spectrum) {
        LO_TRY(lo_dense_spectrum(&d->matrix, 1, 0, out, err));
        lo_dense_say(a, d->method, "spectrum", &d->clock);
    }
    return LO_OK;
}
