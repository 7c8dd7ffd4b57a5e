#include "audit/forgetting_quality.h"

#include "audit/interval.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double cap = 50, delta = 1e-5, per_unit = 100, buffer = 2;

/* Sorted margins of a side. */
typedef struct side {
    const double *value;
    int64_t count;
} side;

typedef struct rules {
    side positive, negative;
    double *log_rate[2]; /* [count + 1] of k / count, of either side */
    double *log_rest[2]; /* of 1 - delta - k / count */
    double best;         /* NaN: none survived */
} rules;

static double range(side s)
{
    return s.value[s.count - 1] - s.value[0];
}

static double median(side s)
{
    return (s.value[(s.count - 1) / 2] + s.value[s.count / 2]) / 2;
}

/* A rule that takes fp of the negative side for positive, and fn of the positive side for negative. */
static void judge(rules *r, int64_t fp, int64_t fn)
{
    if (fp == 0 && fn == 0) {
        r->best = cap;
    } else if (fp > 0 && fn > 0) {
        const double one = r->log_rest[1][fp] - r->log_rate[0][fn];
        const double other = r->log_rest[0][fn] - r->log_rate[1][fp];
        /* NaN, the logarithm of a negative number, compares as not larger. */
        double epsilon = one > 0 ? one : 0;
        epsilon = other > epsilon ? other : epsilon;
        r->best = !(epsilon <= r->best) ? epsilon : r->best;
    }
}

static double on_grid(double from, double to, int64_t points, int64_t i)
{
    return i == points - 1 && points > 1 ? to : from + (double)i * ((to - from) / (double)(points - 1));
}

/* Positive: at least t. */
static void thresholds(rules *r)
{
    const side p = r->positive, q = r->negative;
    const double from = fmin(p.value[0], q.value[0]);
    const double to = fmax(p.value[p.count - 1], q.value[q.count - 1]);
    const int64_t points = (int64_t)ceil((to - from) * per_unit);
    int64_t below_p = 0, below_q = 0;
    for (int64_t i = 0; i < points; i++) {
        const double t = points > 1 ? on_grid(from, to, points, i) : from;
        while (below_p < p.count && p.value[below_p] < t) {
            below_p++;
        }
        while (below_q < q.count && q.value[below_q] < t) {
            below_q++;
        }
        judge(r, q.count - below_q, below_p);
    }
}

static int64_t at_most(side s, double x)
{
    int64_t low = 0, high = s.count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (s.value[middle] <= x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Positive, which is the narrower side: in [l, right]. */
static void intervals_to(rules *r, double right, double width)
{
    const side p = r->positive, q = r->negative;
    const int64_t points = (int64_t)ceil(2 * buffer * per_unit), p_right = at_most(p, right),
                  q_right = at_most(q, right);
    const double from = right - width - buffer, to = right - width + buffer;
    int64_t below_p = 0, below_q = 0;
    for (int64_t i = 0; i < points; i++) {
        const double l = on_grid(from, to, points, i);
        while (below_p < p.count && p.value[below_p] < l) {
            below_p++;
        }
        while (below_q < q.count && q.value[below_q] < l) {
            below_q++;
        }
        const int64_t in_p = p_right > below_p ? p_right - below_p : 0;
        const int64_t in_q = q_right > below_q ? q_right - below_q : 0;
        judge(r, in_q, p.count - in_p);
    }
}

static void intervals(rules *r)
{
    const double width = range(r->positive);
    const double from = r->positive.value[0] + width - buffer;
    const double to = r->positive.value[r->positive.count - 1] + buffer;
    const int64_t points = (int64_t)ceil((to - from) * per_unit);
    for (int64_t i = 0; i < points; i++) {
        intervals_to(r, on_grid(from, to, points, i), width);
    }
}

static void swap_sides(rules *r)
{
    const side s = r->positive;
    r->positive = r->negative;
    r->negative = s;
    double *rate = r->log_rate[0], *rest = r->log_rest[0];
    r->log_rate[0] = r->log_rate[1];
    r->log_rate[1] = rate;
    r->log_rest[0] = r->log_rest[1];
    r->log_rest[1] = rest;
}

static void fill_logarithms(double *rate, double *rest, int64_t count)
{
    for (int64_t k = 0; k <= count; k++) {
        rate[k] = log((double)k / (double)count);
        rest[k] = log(1 - delta - (double)k / (double)count);
    }
}

/* The largest epsilon of all rules; r->log_... are filled. */
static double strongest(rules *r)
{
    const double a = range(r->positive), b = range(r->negative);
    if (fmin(a, b) / fmax(a, b) < 0.01) {
        return cap;
    }
    if (!(median(r->positive) > median(r->negative))) {
        swap_sides(r);
    }
    thresholds(r);
    if (range(r->positive) >= range(r->negative)) {
        swap_sides(r);
    }
    intervals(r);
    if (isnan(r->best)) {
        const side p = r->positive, q = r->negative;
        const bool apart = p.value[0] > q.value[q.count - 1] || q.value[0] > p.value[p.count - 1];
        return apart ? cap : 0;
    }
    return fmin(r->best, cap);
}

lo_status lo_forgetting_epsilon(const double *unlearned, int64_t n, const double *oracle, int64_t m,
                                double *epsilon, lo_error *err)
{
    if (n < 2 || m < 2) {
        return lo_fail(
            err, LO_DATA,
            "forgetting quality has %lld unlearned models and %lld oracles; it needs 2 of each, and 50 to "
            "mean something",
            (long long)n, (long long)m);
    }
    double *room = malloc(((size_t)(n + m) * 3 + 4) * sizeof(*room));
    if (room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the margins of %lld models", (long long)(n + m));
    }
    double *u = room, *o = u + n, *logs = o + m;
    memcpy(u, unlearned, (size_t)n * sizeof(*u));
    memcpy(o, oracle, (size_t)m * sizeof(*o));
    lo_sort_reals(u, n);
    lo_sort_reals(o, m);
    rules r = {.positive = {u, n},
               .negative = {o, m},
               .log_rate = {logs, logs + 2 * (n + 1)},
               .log_rest = {logs + n + 1, logs + 2 * (n + 1) + m + 1},
               .best = NAN};
    fill_logarithms(r.log_rate[0], r.log_rest[0], n);
    fill_logarithms(r.log_rate[1], r.log_rest[1], m);
    *epsilon = strongest(&r);
    free(room);
    return LO_OK;
}

double lo_forgetting_points(double epsilon, int64_t models)
{
    const double most = ceil(log((double)(models - 1)));
    const double bucket = floor(epsilon * 2);
    return (bucket + 1) / 2 <= most ? ldexp(1, -(int)bucket) : 0;
}

lo_status lo_forgetting_quality(const float *unlearned, int64_t n, const float *oracle, int64_t m,
                                int64_t stride, int64_t examples, double *epsilon, double *quality,
                                const lo_tick *tick, lo_error *err)
{
    double *column = malloc(((size_t)(n + m) + 1) * sizeof(*column)), sum = 0;
    if (column == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the margins of %lld models", (long long)(n + m));
    }
    lo_status status = LO_OK;
    for (int64_t i = 0; i < examples && status == LO_OK; i++) {
        bool lost = false;
        for (int64_t k = 0; k < n + m; k++) {
            column[k] = (double)(k < n ? unlearned[k * stride + i] : oracle[(k - n) * stride + i]);
            lost = lost || isnan(column[k]);
        }
        double here = 0;
        status = lost ? lo_fail(err, LO_DATA,
                                "forgetting quality: a model's margin on example %lld is NaN: leave out "
                                "models that diverged",
                                (long long)i)
                      : lo_forgetting_epsilon(column, n, column + n, m, &here, err);
        if (status == LO_OK) {
            sum += lo_forgetting_points(here, n < m ? n : m);
            if (epsilon != NULL) {
                epsilon[i] = here;
            }
            status = lo_tick_call(tick);
        }
    }
    *quality = examples > 0 ? sum / (double)examples : NAN;
    free(column);
    return status;
}

lo_status lo_forgetting_mean(const float *one, int64_t n, const float *other, int64_t m, int64_t examples,
                             double *quality, const lo_tick *tick, lo_error *err)
{
    return lo_forgetting_quality(one, n, other, m, examples, examples, NULL, quality, tick, err);
}
