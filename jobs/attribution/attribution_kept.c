#include "jobs/attribution/attribution_kept.h"

#include "attribute/linear.h"
#include "jobs/attribution/attribution_dense.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TILE = 128 };

static const char *const names[LO_KEPT_PARTS] = {
    "/train/gradient", "/train/loss_gradient", "/target/gradient", "/train/others", "/target/others",
    "/product",        "/train/own_product"};

static void path_of(const lo_attribution *a, const char *method, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/curvature-%s.h5", a->study->run.study, method);
}

static void digest_of(const lo_attribution *a, char digest[32])
{
    (void)snprintf(digest, 32, "%016llx",
                   (unsigned long long)lo_job_digest(a->study->job, LO_KEYS_ATTRIBUTION));
}

/* ---- writing ---- */

static lo_status add_facts(lo_h5 *h5, const lo_attribution *a, const lo_kept_facts *facts, lo_error *err)
{
    char digest[32];
    digest_of(a, digest);
    LO_TRY(lo_h5_int(h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h5, "/", "digest", digest, err));
    LO_TRY(lo_h5_text(h5, "/", "form", facts->dual ? "dual" : "primal", err));
    LO_TRY(lo_h5_int(h5, "/", "losses", facts->losses, err));
    LO_TRY(lo_h5_int(h5, "/", "parameters", facts->parameters, err));
    LO_TRY(lo_h5_real(h5, "/", "penalty", facts->ridge, err));
    return lo_h5_real(h5, "/", "fit_gradient_norm", facts->fit_gradient, err);
}

static lo_status add_part(lo_kept *kept, const lo_attribution_direct *out, lo_kept_part part, int64_t columns,
                          lo_error *err)
{
    const lo_attribution *a = kept->a;
    const bool target = part == LO_KEPT_TARGET || part == LO_KEPT_TARGET_E || part == LO_KEPT_PRODUCT;
    return lo_h5_add(&kept->h5, names[part], LO_H5_F64, target ? a->target.count : a->train.count, columns,
                     target ? out->first : a->first, target ? out->count : a->count, &kept->part[part], err);
}

static lo_status add_parts(lo_kept *kept, const lo_attribution_direct *out, const lo_kept_facts *facts,
                           int *eigen, int64_t first, int64_t count, lo_error *err)
{
    const lo_attribution *a = kept->a;
    LO_TRY(lo_h5_add(&kept->h5, "/eigenvalue", LO_H5_F64, facts->rows, 0, first, count, eigen, err));
    LO_TRY(add_part(kept, out, LO_KEPT_TRAIN, facts->rows, err));
    LO_TRY(add_part(kept, out, LO_KEPT_E, 0, err));
    if (facts->losses) {
        LO_TRY(add_part(kept, out, LO_KEPT_LOSS, facts->rows, err));
    }
    if (facts->dual) {
        LO_TRY(add_part(kept, out, LO_KEPT_OWN, 0, err));
    }
    if (a->target.count > 0) {
        LO_TRY(add_part(kept, out, LO_KEPT_TARGET, facts->rows, err));
        LO_TRY(add_part(kept, out, LO_KEPT_TARGET_E, 0, err));
    }
    return a->target.count > 0 && facts->dual ? add_part(kept, out, LO_KEPT_PRODUCT, a->train.count, err)
                                              : LO_OK;
}

void lo_kept_work(const lo_attribution *a, double size, double rows, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    sum->shared[LO_WORK_EIGEN] += 9 * size * size * size;
    sum->shared[LO_WORK_PRODUCT] += 2 * size * size * (rows + t) + 2 * size * n * t;
    sum->shared[LO_WORK_NUMBERS] += 4 * size * (rows + t);
    sum->alone[LO_WORK_NUMBERS] += 2 * size * rows; /* every rank reads all of its file */
    sum->kept_bytes += size * (rows + t) * sizeof(double);
}

lo_status lo_kept_create(const lo_attribution *a, const lo_attribution_direct *out,
                         const lo_kept_facts *facts, lo_kept *kept, lo_error *err)
{
    char path[PATH_MAX];
    int eigen = 0;
    int64_t first;
    int64_t count;
    const double numbers =
        (double)facts->rows * (double)(a->train.count * (facts->losses ? 2 : 1) + a->target.count) +
        (facts->dual ? (double)a->train.count * (double)a->target.count : 0);
    *kept = (lo_kept){.a = a, .h5 = {.id = -1}};
    path_of(a, facts->method, path, sizeof(path));
    lo_shard(facts->rows, 1, a->study->run.rank, a->study->run.ranks, &first, &count);
    LO_TRY(lo_h5_create(a->study->run.comm, path, (uint64_t)(8 * numbers) + (1 << 18), &kept->h5, err));
    lo_status status = add_parts(kept, out, facts, &eigen, first, count, err);
    if (status == LO_OK) {
        status = add_facts(&kept->h5, a, facts, err);
    }
    if (status == LO_OK) {
        status = lo_h5_write(&kept->h5, eigen, count, facts->eigenvalue + first, LO_OK, err);
    }
    return status == LO_OK ? LO_OK : lo_h5_commit(&kept->h5, status, err);
}

lo_status lo_kept_write(lo_kept *kept, lo_kept_part part, int64_t rows, const double *data, lo_error *err)
{
    return lo_h5_write(&kept->h5, kept->part[part], rows, data, LO_OK, err);
}

lo_status lo_kept_commit(lo_kept *kept, lo_status status, lo_error *err)
{
    return lo_h5_commit(&kept->h5, status, err);
}

/* ---- reading ---- */

bool lo_kept_there(const lo_attribution *a, const char *method)
{
    char path[PATH_MAX];
    char found[32] = "";
    char wanted[32];
    bool there = false;
    path_of(a, method, path, sizeof(path));
    digest_of(a, wanted);
    if (a->study->run.rank == 0 && access(path, F_OK) == 0) {
        lo_h5_reader reader;
        there = lo_h5_open(path, &reader, NULL) == LO_OK &&
                lo_h5_get_text(&reader, "/", "digest", found, sizeof(found), NULL) == LO_OK &&
                strcmp(found, wanted) == 0;
        lo_h5_close(&reader);
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, a->study->run.comm);
    return there;
}

/* What values are computed from. */
typedef struct kept_values {
    const lo_attribution *a;
    lo_attribution_direct *out;
    lo_h5_reader reader;
    bool dual, losses;
    int64_t rows;
    double *weight;                   /* [rows]: 1 / (eigenvalue + damping) */
    double factor;                    /* of a sum of products: 1 / n, dual -1 / (n lam) */
    double *target;                   /* [own targets, rows], weighted */
    double *scale;                    /* [own targets] */
    double *base;                     /* dual: [own targets, n] */
    double *row, *loss, *product, *e; /* of a tile: [TILE, rows], [TILE, rows], [own targets, TILE], [TILE] */
} kept_values;

static void values_free(kept_values *v)
{
    lo_h5_close(&v->reader);
    free(v->weight);
    free(v->target);
    free(v->scale);
    free(v->base);
    free(v->row);
    free(v->loss);
    free(v->product);
    free(v->e);
}

/* The damping that is used, and what it makes of the eigenvalues. */
static lo_status weigh(kept_values *v, lo_error *err)
{
    const lo_attribution *a = v->a;
    const double n = (double)a->train.count;
    double *weight = v->weight;
    double sum = 0;
    double used = a->damping;
    for (int64_t k = 0; k < v->rows; k++) {
        sum += weight[k];
    }
    if (v->dual && !(v->out->ridge + used > 0)) {
        return lo_fail(err, LO_USAGE, "attribution.damping: found 0; the dual form needs one above 0");
    }
    const double mean = fabs(sum) / (double)v->rows;
    const double largest = fmax(fabs(weight[0]), fabs(weight[v->rows - 1]));
    while (!v->dual && !(weight[0] + used > 1e-14 * largest)) {
        used = fmax(10 * used, mean > 0 ? 1e-12 * mean : 1e-12);
    }
    const double lambda = v->out->ridge + used;
    v->out->damping = used;
    v->factor = v->dual ? -1 / (n * lambda) : 1 / n;
    for (int64_t k = 0; k < v->rows; k++) {
        weight[k] = 1 / (weight[k] + (v->dual ? n * lambda : used));
    }
    return LO_OK;
}

static lo_status spectrum_of(const kept_values *v, lo_error *err)
{
    lo_attribution_direct *out = v->out;
    out->eigenvalue = lo_attribution_numbers(v->rows);
    if (out->eigenvalue == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld eigenvalues", (long long)v->rows);
    }
    out->spectrum = v->rows;
    for (int64_t k = 0; k < v->rows; k++) {
        out->eigenvalue[k] = v->dual ? v->weight[k] / (double)v->a->train.count + out->ridge : v->weight[k];
    }
    return LO_OK;
}

static lo_status read_facts(kept_values *v, lo_attribution_notes *notes, lo_error *err)
{
    char form[16];
    int64_t losses = 0;
    int64_t parameters = 0;
    double slope = 0;
    LO_TRY(lo_h5_get_text(&v->reader, "/", "form", form, sizeof(form), err));
    LO_TRY(lo_h5_get_int(&v->reader, "/", "losses", &losses, err));
    LO_TRY(lo_h5_get_int(&v->reader, "/", "parameters", &parameters, err));
    LO_TRY(lo_h5_get_real(&v->reader, "/", "penalty", &v->out->ridge, err));
    LO_TRY(lo_h5_get_real(&v->reader, "/", "fit_gradient_norm", &slope, err));
    LO_TRY(lo_h5_read_all(&v->reader, "/eigenvalue", LO_H5_F64, (void **)&v->weight, &v->rows, NULL, err));
    v->dual = strcmp(form, "dual") == 0;
    v->losses = losses != 0;
    v->out->form = v->dual ? "dual" : "primal";
    v->out->size = v->rows;
    *notes = (lo_attribution_notes){slope, (double)NAN, 0, parameters};
    return LO_OK;
}

static lo_status values_begin(kept_values *v, const char *method, lo_attribution_notes *notes, lo_error *err)
{
    char path[PATH_MAX];
    const int64_t targets = v->out->count;
    path_of(v->a, method, path, sizeof(path));
    LO_TRY(lo_h5_open(path, &v->reader, err));
    LO_TRY(read_facts(v, notes, err));
    if (v->a->spectrum) {
        LO_TRY(spectrum_of(v, err));
    }
    LO_TRY(weigh(v, err));
    v->target = lo_attribution_numbers(targets * v->rows);
    v->scale = lo_attribution_numbers(targets);
    v->base = lo_attribution_numbers(v->dual ? targets * v->a->train.count : 0);
    v->row = lo_attribution_numbers(TILE * v->rows);
    v->loss = lo_attribution_numbers(v->losses ? TILE * v->rows : 0);
    v->product = lo_attribution_numbers(targets * TILE);
    v->e = lo_attribution_numbers(TILE);
    return v->target != NULL && v->scale != NULL && v->base != NULL && v->row != NULL && v->loss != NULL &&
                   v->product != NULL && v->e != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for %lld targets of %lld numbers", (long long)targets,
                         (long long)v->rows);
}

static lo_status read_targets(kept_values *v, lo_error *err)
{
    const lo_attribution_direct *out = v->out;
    if (out->count == 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read(&v->reader, names[LO_KEPT_TARGET], LO_H5_F64, out->first, out->count, v->target, err));
    LO_TRY(lo_h5_read(&v->reader, names[LO_KEPT_TARGET_E], LO_H5_F64, out->first, out->count, v->scale, err));
    if (v->dual) {
        LO_TRY(
            lo_h5_read(&v->reader, names[LO_KEPT_PRODUCT], LO_H5_F64, out->first, out->count, v->base, err));
    }
    for (int64_t t = 0; t < out->count; t++) {
        for (int64_t k = 0; k < v->rows; k++) {
            v->target[t * v->rows + k] *= v->weight[k];
        }
    }
    lo_dense_scale_targets(out, v->scale);
    return LO_OK;
}

/* Gradients of a tile's losses up to factors; with `margins`, those of its margins are read too. */
static lo_status read_tile(kept_values *v, int64_t first, int64_t count, bool margins, lo_error *err)
{
    if (margins || !v->losses) {
        LO_TRY(lo_h5_read(&v->reader, names[LO_KEPT_TRAIN], LO_H5_F64, first, count, v->row, err));
    }
    if (v->losses) {
        LO_TRY(lo_h5_read(&v->reader, names[LO_KEPT_LOSS], LO_H5_F64, first, count, v->loss, err));
    }
    return lo_h5_read(&v->reader, names[LO_KEPT_E], LO_H5_F64, first, count, v->e, err);
}

static void multiply(const kept_values *v, int64_t first, int64_t count)
{
    const int64_t n = v->a->train.count;
    lo_product_rows(v->out->count, count, v->rows, v->factor, v->target, v->rows,
                    v->losses ? v->loss : v->row, v->rows, 0, v->product, count);
    for (int64_t t = 0; t < v->out->count; t++) {
        for (int64_t i = 0; i < count; i++) {
            const double base = v->dual ? -v->factor * v->base[t * n + first + i] : 0;
            v->out->value[t * n + first + i] =
                (float)(v->scale[t] * (v->losses ? -1 : v->e[i]) * (base + v->product[t * count + i]));
        }
    }
}

static void own_changes(const kept_values *v, int64_t first, int64_t count, const double *own)
{
    for (int64_t i = 0; i < count; i++) {
        const double *q = v->row + i * v->rows;
        const double *g = v->losses ? v->loss + i * v->rows : q;
        double sum = 0;
        for (int64_t k = 0; k < v->rows; k++) {
            sum += q[k] * g[k] * v->weight[k];
        }
        sum = v->factor * (sum - (v->dual ? own[i] : 0));
        lo_dense_set_own(v->out, first + i - v->a->first, (v->losses ? -1 : v->e[i]) * sum, v->e[i]);
    }
}

static lo_status all_values(kept_values *v, lo_error *err)
{
    const lo_attribution *a = v->a;
    double own[TILE] = {0};
    LO_TRY(read_targets(v, err));
    for (int64_t first = 0; first < a->train.count && v->out->count > 0; first += TILE) {
        const int64_t now = a->train.count - first < TILE ? a->train.count - first : TILE;
        LO_TRY(read_tile(v, first, now, false, err));
        multiply(v, first, now);
        LO_TRY(lo_tick_call(a->tick));
    }
    for (int64_t at = 0; at < a->count; at += TILE) {
        const int64_t now = a->count - at < TILE ? a->count - at : TILE;
        LO_TRY(read_tile(v, a->first + at, now, true, err));
        if (v->dual) {
            LO_TRY(lo_h5_read(&v->reader, names[LO_KEPT_OWN], LO_H5_F64, a->first + at, now, own, err));
        }
        own_changes(v, a->first + at, now, own);
        LO_TRY(lo_tick_call(a->tick));
    }
    return LO_OK;
}

lo_status lo_kept_direct(lo_attribution *a, const char *method, lo_attribution_direct *out,
                         lo_attribution_notes *notes, lo_error *err)
{
    kept_values v = {.a = a, .out = out, .reader = {.id = -1}};
    lo_linear_one_thread();
    lo_status status = values_begin(&v, method, notes, err);
    if (status == LO_OK) {
        status = all_values(&v, err);
    }
    values_free(&v);
    return lo_agree(a->study->run.comm, status, err);
}
