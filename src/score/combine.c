#include "score/combine.h"

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    double value;
    int64_t number;
} item;

static int by_value(const void *a, const void *b)
{
    const double x = ((const item *)a)->value, y = ((const item *)b)->value;
    return (x > y) - (x < y);
}

lo_status lo_rank_share(const double *value, int64_t n, double *rank, lo_error *err)
{
    item *items = calloc((size_t)n + 1, sizeof(*items));
    if (items == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to rank %lld values", (long long)n);
    }
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        rank[i] = (double)NAN;
        if (!isnan(value[i])) {
            items[used++] = (item){value[i], i};
        }
    }
    qsort(items, (size_t)used, sizeof(*items), by_value);
    for (int64_t first = 0, next; first < used; first = next) {
        for (next = first + 1; next < used && items[next].value == items[first].value;) {
            next++;
        }
        for (int64_t i = first; i < next; i++) {
            rank[items[i].number] = (double)(first + next) / 2 / (double)used;
        }
    }
    free(items);
    return LO_OK;
}

int64_t lo_fold_of(uint64_t seed, int64_t n, int64_t folds, int64_t example)
{
    const lo_permutation order = lo_permutation_make(lo_random_make(seed, LO_FOR_FOLDS), 0, (uint64_t)n);
    return (int64_t)lo_permutation_at(&order, (uint64_t)example) * folds / n;
}

/* What a fold's regression works in: sums over the examples that are learned from. */
typedef struct regression {
    int64_t d;
    double *mean, *scale;     /* [d] */
    double *normal, *weights; /* [d, d] lower triangle, then its Cholesky factor; [d] */
    double *x;                /* [d] of one example, standardized */
    double target;            /* mean */
} regression;

static void release(regression *r)
{
    free(r->mean);
    free(r->scale);
    free(r->normal);
    free(r->weights);
    free(r->x);
}

static lo_status reserve(regression *r, int64_t d, lo_error *err)
{
    const size_t room = (size_t)d + 1;
    *r = (regression){
        .d = d,
        .mean = calloc(room, sizeof(double)),
        .scale = calloc(room, sizeof(double)),
        .normal = calloc(room * room, sizeof(double)),
        .weights = calloc(room, sizeof(double)),
        .x = calloc(room, sizeof(double)),
    };
    const bool ok =
        r->mean != NULL && r->scale != NULL && r->normal != NULL && r->weights != NULL && r->x != NULL;
    return ok ? LO_OK
              : lo_fail(err, LO_INTERNAL, "no memory for a regression on %lld features", (long long)d);
}

static bool has_features(const lo_cross_fit *fit, int64_t i)
{
    for (int64_t f = 0; f < fit->features; f++) {
        if (isnan(fit->feature[f * fit->n + i])) {
            return false;
        }
    }
    return true;
}

/* Means and standard deviations of what is learned from; how many there are. */
static int64_t standardize(const lo_cross_fit *fit, const int64_t *fold, int64_t left_out, regression *r)
{
    int64_t used = 0;
    memset(r->mean, 0, (size_t)r->d * sizeof(double));
    memset(r->scale, 0, (size_t)r->d * sizeof(double));
    r->target = 0;
    for (int64_t i = 0; i < fit->n; i++) {
        if (fold[i] < 0 || fold[i] == left_out || isnan(fit->target[i])) {
            continue;
        }
        used++;
        r->target += (fit->target[i] - r->target) / (double)used;
        for (int64_t f = 0; f < r->d; f++) {
            const double x = fit->feature[f * fit->n + i], before = x - r->mean[f];
            r->mean[f] += before / (double)used;
            r->scale[f] += before * (x - r->mean[f]); /* Welford 1962 */
        }
    }
    for (int64_t f = 0; f < r->d; f++) {
        r->scale[f] = r->scale[f] > 0 ? 1 / sqrt(r->scale[f] / (double)used) : 0;
    }
    return used;
}

static void take_example(const lo_cross_fit *fit, int64_t i, regression *r)
{
    for (int64_t f = 0; f < r->d; f++) {
        r->x[f] = (fit->feature[f * fit->n + i] - r->mean[f]) * r->scale[f];
    }
}

/* The lower triangle of the normal equations, and their right side in weights. */
static lo_status add_up(const lo_cross_fit *fit, const int64_t *fold, int64_t left_out, int64_t used,
                        regression *r, const lo_tick *tick)
{
    memset(r->normal, 0, (size_t)(r->d * r->d) * sizeof(double));
    memset(r->weights, 0, (size_t)r->d * sizeof(double));
    for (int64_t i = 0; i < fit->n; i++) {
        LO_TRY(i % 1024 == 0 ? lo_tick_call(tick) : LO_OK);
        if (fold[i] < 0 || fold[i] == left_out || isnan(fit->target[i])) {
            continue;
        }
        take_example(fit, i, r);
        for (int64_t a = 0; a < r->d; a++) {
            r->weights[a] += r->x[a] * (fit->target[i] - r->target) / (double)used;
            for (int64_t b = 0; b <= a; b++) {
                r->normal[a * r->d + b] += r->x[a] * r->x[b] / (double)used;
            }
        }
    }
    return LO_OK;
}

/* (normal + penalty) weights = weights, by Cholesky's factorization; a pivot that is lost in rounding leaves
 * its feature out. */
static void solve(regression *r, double penalty)
{
    const int64_t d = r->d;
    double *l = r->normal, *w = r->weights;
    for (int64_t a = 0; a < d; a++) {
        const double whole = l[a * d + a] + penalty;
        for (int64_t b = 0; b <= a; b++) {
            double sum = a == b ? whole : l[a * d + b];
            for (int64_t k = 0; k < b; k++) {
                sum -= l[a * d + k] * l[b * d + k];
            }
            l[a * d + b] = a == b             ? (sum > 1e-12 * whole ? sqrt(sum) : (double)INFINITY)
                           : l[b * d + b] > 0 ? sum / l[b * d + b]
                                              : 0;
        }
        for (int64_t k = 0; k < a; k++) {
            w[a] -= l[a * d + k] * w[k];
        }
        w[a] /= l[a * d + a];
    }
    for (int64_t a = d - 1; a >= 0; a--) {
        for (int64_t k = a + 1; k < d; k++) {
            w[a] -= l[k * d + a] * w[k];
        }
        w[a] /= l[a * d + a];
    }
}

static double predict(const lo_cross_fit *fit, int64_t i, regression *r)
{
    double sum = r->target;
    take_example(fit, i, r);
    for (int64_t f = 0; f < r->d; f++) {
        sum += r->weights[f] * r->x[f];
    }
    return sum;
}

static lo_status predict_fold(const lo_cross_fit *fit, const int64_t *fold, int64_t which, regression *r,
                              double *predicted, const lo_tick *tick)
{
    const int64_t used = standardize(fit, fold, which, r);
    LO_TRY(add_up(fit, fold, which, used, r, tick));
    solve(r, fit->penalty);
    for (int64_t i = 0; i < fit->n; i++) {
        if (fold[i] == which && used >= 2) {
            predicted[i] = predict(fit, i, r);
        }
    }
    return lo_tick_call(tick);
}

lo_status lo_cross_predict(const lo_cross_fit *fit, double *predicted, const lo_tick *tick, lo_error *err)
{
    regression r = {0};
    int64_t *fold = calloc((size_t)fit->n + 1, sizeof(*fold));
    lo_status status = fold != NULL
                           ? reserve(&r, fit->features, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for %lld folds", (long long)fit->n);
    for (int64_t i = 0; i < fit->n && status == LO_OK; i++) {
        predicted[i] = (double)NAN;
        fold[i] = has_features(fit, i) ? lo_fold_of(fit->seed, fit->n, fit->folds, i) : -1;
    }
    for (int64_t f = 0; f < fit->folds && status == LO_OK; f++) {
        status = predict_fold(fit, fold, f, &r, predicted, tick);
    }
    free(fold);
    release(&r);
    return status;
}
