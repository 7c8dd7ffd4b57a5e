#include "score/rank.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct item {
    double value;
    int64_t index;
} item;

static int by_value(const void *a, const void *b)
{
    const double x = ((const item *)a)->value, y = ((const item *)b)->value;
    return (x > y) - (x < y);
}

/* Midranks, from 1, of values without NaN; item [n] is room to work in. */
static void midranks(const double *values, int64_t n, item *items, double *rank)
{
    for (int64_t i = 0; i < n; i++) {
        items[i] = (item){values[i], i};
    }
    qsort(items, (size_t)n, sizeof(*items), by_value);
    for (int64_t first = 0; first < n;) {
        int64_t next = first + 1;
        while (next < n && items[next].value == items[first].value) {
            next++;
        }
        for (int64_t i = first; i < next; i++) {
            rank[items[i].index] = (double)(first + 1 + next) / 2;
        }
        first = next;
    }
}

typedef struct room {
    item *items;
    double *x, *y, *rank;
} room;

static void release(room *r)
{
    free(r->items);
    free(r->x);
    free(r->y);
    free(r->rank);
}

static lo_status reserve(room *r, int64_t n, lo_error *err)
{
    const size_t count = n > 0 ? (size_t)n : 1;
    *r = (room){
        .items = calloc(count, sizeof(*r->items)),
        .x = calloc(count, sizeof(*r->x)),
        .y = calloc(count, sizeof(*r->y)),
        .rank = calloc(count, sizeof(*r->rank)),
    };
    if (r->items == NULL || r->x == NULL || r->y == NULL || r->rank == NULL) {
        release(r);
        return lo_fail(err, LO_INTERNAL, "no memory to rank %lld values", (long long)n);
    }
    return LO_OK;
}

lo_status lo_auc(const double *score, const uint8_t *positive, int64_t n, lo_agreement *out, lo_error *err)
{
    room r;
    LO_TRY(reserve(&r, n, err));
    int64_t used = 0, positives = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(score[i])) {
            r.x[used] = score[i];
            r.y[used] = positive[i] != 0;
            positives += positive[i] != 0;
            used++;
        }
    }
    midranks(r.x, used, r.items, r.rank);
    double sum = 0;
    for (int64_t i = 0; i < used; i++) {
        sum += r.y[i] * r.rank[i];
    }
    const double p = (double)positives, q = (double)(used - positives);
    *out = (lo_agreement){.value = p > 0 && q > 0 ? (sum - p * (p + 1) / 2) / (p * q) : (double)NAN,
                          .used = used,
                          .left_out = n - used};
    release(&r);
    return LO_OK;
}

lo_agreement lo_pearson(const double *x, const double *y, int64_t n)
{
    double mean_x = 0, mean_y = 0;
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) {
            used++;
            mean_x += (x[i] - mean_x) / (double)used;
            mean_y += (y[i] - mean_y) / (double)used;
        }
    }
    double xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) {
            const double dx = x[i] - mean_x, dy = y[i] - mean_y;
            xx += dx * dx;
            yy += dy * dy;
            xy += dx * dy;
        }
    }
    const bool defined = xx > 0 && yy > 0 && isfinite(xx) && isfinite(yy);
    const double value = defined ? fmax(-1, fmin(1, xy / xx * sqrt(xx / yy))) : (double)NAN;
    return (lo_agreement){.value = value, .used = used, .left_out = n - used};
}

lo_status lo_spearman(const double *x, const double *y, int64_t n, lo_agreement *out, lo_error *err)
{
    room r;
    LO_TRY(reserve(&r, n, err));
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) {
            r.x[used] = x[i];
            r.y[used] = y[i];
            used++;
        }
    }
    midranks(r.x, used, r.items, r.rank);
    for (int64_t i = 0; i < used; i++) {
        r.x[i] = r.rank[i];
    }
    midranks(r.y, used, r.items, r.rank);
    *out = lo_pearson(r.x, r.rank, used);
    out->left_out = n - used;
    release(&r);
    return LO_OK;
}
