#include "audit/apart.h"

#include <math.h>

/* Mean and squares of what is added (Welford). */
typedef struct spread {
    int64_t count;
    double mean, squares;
} spread;

static void add(spread *s, double value)
{
    const double off = value - s->mean;
    s->count++;
    s->mean += off / (double)s->count;
    s->squares += off * (value - s->mean);
}

lo_bounded lo_student_of_two(double value, double a, double a_degrees, double b, double b_degrees)
{
    const double all = a + b;
    if (isnan(value) || !(a >= 0) || !(b >= 0) || !(a_degrees >= 1) || !(b_degrees >= 1)) {
        return (lo_bounded){value, NAN, NAN};
    }
    const double degrees = all > 0 ? all * all / (a * a / a_degrees + b * b / b_degrees) : 1;
    const double half = all > 0 ? lo_student_quantile(0.975, degrees) * sqrt(all) : 0;
    return (lo_bounded){value, value - half, value + half};
}

static double variance_of_mean(const spread *s)
{
    return s->count > 1 ? s->squares / (double)(s->count - 1) / (double)s->count : NAN;
}

lo_bounded lo_welch(const double *a, int64_t n, const double *b, int64_t m)
{
    spread x = {0}, y = {0};
    for (int64_t i = 0; i < n; i++) {
        add(&x, a[i]);
    }
    for (int64_t i = 0; i < m; i++) {
        add(&y, b[i]);
    }
    if (n == 0 || m == 0) {
        return lo_unbounded_nan();
    }
    return lo_student_of_two(x.mean - y.mean, variance_of_mean(&x), (double)(n - 1), variance_of_mean(&y),
                             (double)(m - 1));
}

/* ---- distances ---- */

typedef struct sum {
    double value;
    int64_t count;
} sum;

static void include(sum *s, double value)
{
    if (!isnan(value)) {
        s->value += value;
        s->count++;
    }
}

static double mean_without(sum all, sum part)
{
    return all.count > part.count ? (all.value - part.value) / (double)(all.count - part.count) : NAN;
}

static sum of_model(const double *to, int64_t oracles, int64_t s)
{
    sum out = {0};
    for (int64_t o = 0; o < oracles; o++) {
        include(&out, to[s * oracles + o]);
    }
    return out;
}

static sum of_oracle(const double *to, int64_t seeds, int64_t oracles, int64_t o)
{
    sum out = {0};
    for (int64_t s = 0; s < seeds; s++) {
        include(&out, to[s * oracles + o]);
    }
    return out;
}

/* Of an oracle and the others, from it and to it. */
static sum of_pairs(const double *among, int64_t oracles, int64_t o)
{
    sum out = {0};
    for (int64_t k = 0; k < oracles; k++) {
        if (k != o) {
            include(&out, among[o * oracles + k]);
            include(&out, among[k * oracles + o]);
        }
    }
    return out;
}

/* The jackknife's variance: (n - 1) / n times the squares of what is left without each. */
static double jackknife(const spread *left)
{
    return (double)(left->count - 1) / (double)left->count * left->squares;
}

lo_bounded lo_apart_in_pairs(const double *to, int64_t seeds, const double *among, int64_t oracles)
{
    enum { FEWEST_MODELS = 2, FEWEST_ORACLES = 3 };
    const sum none = {0};
    sum every = {0}, twice = {0};
    spread models = {0}, others = {0};
    for (int64_t s = 0; s < seeds; s++) {
        const sum own = of_model(to, oracles, s);
        every.value += own.value;
        every.count += own.count;
    }
    for (int64_t o = 0; o < oracles; o++) {
        const sum own = of_pairs(among, oracles, o); /* each distance comes with both its oracles */
        twice.value += own.value;
        twice.count += own.count;
    }
    const sum pairs = {twice.value / 2, twice.count / 2};
    const double ceiling = mean_without(pairs, none), mean = mean_without(every, none);
    /* Sums of equal distances differ in the last bits. */
    const double value = fabs(mean - ceiling) <= 1e-13 * fabs(ceiling) ? 0 : mean - ceiling;
    for (int64_t s = 0; s < seeds; s++) {
        const sum own = of_model(to, oracles, s);
        if (own.count > 0) {
            add(&models, mean_without(every, own) - ceiling);
        }
    }
    for (int64_t o = 0; o < oracles; o++) {
        const sum own = of_oracle(to, seeds, oracles, o), its = of_pairs(among, oracles, o);
        if (own.count > 0 || its.count > 0) {
            add(&others, mean_without(every, own) - mean_without(pairs, its));
        }
    }
    if (models.count < FEWEST_MODELS || others.count < FEWEST_ORACLES) {
        return (lo_bounded){value, NAN, NAN};
    }
    return lo_student_of_two(value, jackknife(&models), (double)(models.count - 1), jackknife(&others),
                             (double)(others.count - 1));
}

/* ---- intervals ---- */

lo_bounded lo_apart_by_bounds(lo_bounded figure, lo_bounded ceiling)
{
    const double value = figure.value - ceiling.value;
    return (lo_bounded){value, value - hypot(figure.value - figure.low, ceiling.high - ceiling.value),
                        value + hypot(figure.high - figure.value, ceiling.value - ceiling.low)};
}

lo_told lo_tell(lo_bounded difference)
{
    if (isnan(difference.low) || isnan(difference.high)) {
        return LO_TOLD_NOTHING;
    }
    return lo_inside_noise(difference) ? LO_TOLD_NOISE : LO_TOLD_APART;
}
