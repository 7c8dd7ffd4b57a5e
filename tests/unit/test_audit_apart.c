/* Differences from oracles and their intervals, by simulation: how often they hold what is true. */
#include "audit/apart.h"
#include "audit/equal_numbers.h"
#include "audit/klom.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_between(double low, double value, double high)
{
    if (!(low <= value && value <= high)) {
        fail_msg("%g is not between %g and %g", value, low, high);
    }
}

/* scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval() */
static void test_welch(void **state)
{
    (void)state;
    const double a[] = {0.71, 0.64, 0.80, 0.69, 0.75}, b[] = {0.52, 0.58, 0.49};
    const lo_bounded d = lo_welch(a, 5, b, 3);
    assert_between(0.188 - 1e-12, d.value, 0.188 + 1e-12);
    assert_between(0.09286267264933787 - 1e-9, d.low, 0.09286267264933787 + 1e-9);
    assert_between(0.2831373273506622 - 1e-9, d.high, 0.2831373273506622 + 1e-9);
    assert_int_equal(lo_tell(d), LO_TOLD_APART);
    /* The order of either side is no matter. */
    const double turned[] = {0.75, 0.69, 0.80, 0.64, 0.71};
    const lo_bounded same = lo_welch(turned, 5, b, 3);
    assert_between(d.low - 1e-12, same.low, d.low + 1e-12);
    /* One of a side says nothing of its noise. */
    assert_int_equal(lo_tell(lo_welch(a, 1, b, 3)), LO_TOLD_NOTHING);
    assert_int_equal(lo_tell(lo_welch(a, 5, b, 1)), LO_TOLD_NOTHING);
    assert_true(isnan(lo_welch(a, 0, b, 3).value));
    const double equal[] = {1, 1, 1};
    assert_int_equal(lo_tell(lo_welch(equal, 3, equal, 2)), LO_TOLD_NOISE);
    assert_int_equal(lo_tell(lo_welch(equal, 3, b, 0)), LO_TOLD_NOTHING);
}

/* ---- distances ---- */

enum { PLANES = 6, MOST = 12 };

static double distance(const double *x, const double *y)
{
    double sum = 0;
    for (int i = 0; i < PLANES; i++) {
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    }
    return sqrt(sum);
}

/* Points of a normal distribution, those of a method moved by `shift`. */
static void draw(uint64_t stream, int64_t count, double shift, double *x)
{
    const lo_random random = lo_random_make(23, LO_FOR_TEST);
    for (int64_t i = 0; i < count * PLANES; i++) {
        x[i] = (double)lo_random_normal(random, stream, (uint64_t)i) + (i % PLANES == 0 ? shift : 0);
    }
}

static void fill(const double *x, int64_t seeds, const double *y, int64_t oracles, double *to, double *among)
{
    for (int64_t o = 0; o < oracles; o++) {
        for (int64_t s = 0; s < seeds; s++) {
            to[s * oracles + o] = distance(x + s * PLANES, y + o * PLANES);
        }
        for (int64_t k = 0; k < oracles; k++) {
            among[o * oracles + k] = k == o ? (double)NAN : distance(y + o * PLANES, y + k * PLANES);
        }
    }
}

static double true_difference(double shift)
{
    double x[PLANES], y[PLANES], z[PLANES], sum = 0;
    enum { DRAWS = 100000 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        draw(3 * i + (UINT64_C(1) << 40), 1, shift, x);
        draw(3 * i + (UINT64_C(1) << 40) + 1, 1, 0, y);
        draw(3 * i + (UINT64_C(1) << 40) + 2, 1, 0, z);
        sum += (distance(x, y) - distance(y, z)) / DRAWS;
    }
    return sum;
}

/* Intervals of distances hold the true difference as often as they say, equal models and shifted ones; those
 * of Student over each side's means, as if they were independent, do not where models are far. */
static void test_pairs_hold_what_is_true(void **state)
{
    (void)state;
    enum { REPEATS = 1000 };
    static const struct {
        int64_t seeds, oracles;
        double shift, least;
    } cases[] = {{3, 6, 0, 0.93}, {3, 6, 3, 0.93}, {10, 5, 0, 0.93}, {5, 12, 6, 0.93}, {12, 12, 1, 0.93}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const int64_t seeds = cases[c].seeds, oracles = cases[c].oracles;
        const double truth = true_difference(cases[c].shift);
        double x[MOST * PLANES], y[MOST * PLANES], to[MOST * MOST], among[MOST * MOST];
        int held = 0;
        for (uint64_t r = 0; r < REPEATS; r++) {
            draw(2 * r, seeds, cases[c].shift, x);
            draw(2 * r + 1, oracles, 0, y);
            fill(x, seeds, y, oracles, to, among);
            const lo_bounded d = lo_apart_in_pairs(to, seeds, among, oracles);
            held += d.low <= truth && truth <= d.high;
        }
        printf("# %d seeds, %d oracles, shift %g: held %.3f\n", (int)seeds, (int)oracles, cases[c].shift,
               (double)held / REPEATS);
        assert_between(cases[c].least, (double)held / REPEATS, 0.995);
    }
}

/* A direct jackknife, and numbering. */
static void test_pairs_directly(void **state)
{
    (void)state;
    enum { S = 4, O = 5 };
    double x[S * PLANES], y[O * PLANES], to[S * O], among[O * O], left[S + O], squares[2] = {0},
                                                                               mean[2] = {0};
    draw(1, S, 1, x);
    draw(2, O, 0, y);
    fill(x, S, y, O, to, among);
    for (int out = -1; out < S + O; out++) {
        double a = 0, b = 0;
        int n = 0, m = 0;
        for (int o = 0; o < O; o++) {
            for (int s = 0; s < S && o + S != out; s++) {
                a += s == out ? 0 : to[s * O + o];
                n += s != out;
            }
            for (int k = 0; k < O && o + S != out; k++) {
                b += k == o || k + S == out ? 0 : among[o * O + k];
                m += k != o && k + S != out;
            }
        }
        if (out >= 0) {
            left[out] = a / n - b / m;
            mean[out >= S] += left[out] / (out < S ? S : O);
        }
    }
    for (int i = 0; i < S + O; i++) {
        squares[i >= S] += (left[i] - mean[i >= S]) * (left[i] - mean[i >= S]);
    }
    const double v = squares[0] * (S - 1) / S, w = squares[1] * (O - 1) / O;
    const double degrees = (v + w) * (v + w) / (v * v / (S - 1) + w * w / (O - 1));
    const double half = lo_student_quantile(0.975, degrees) * sqrt(v + w);
    const lo_bounded d = lo_apart_in_pairs(to, S, among, O);
    assert_between(half - 1e-12, d.high - d.value, half + 1e-12);
    assert_between(half - 1e-12, d.value - d.low, half + 1e-12);
    /* Oracles in another order. */
    double turned[O * PLANES];
    for (int o = 0; o < O; o++) {
        memcpy(turned + o * PLANES, y + (o + 2) % O * PLANES, PLANES * sizeof(*y));
    }
    fill(x, S, turned, O, to, among);
    const lo_bounded same = lo_apart_in_pairs(to, S, among, O);
    assert_between(d.low - 1e-12, same.low, d.low + 1e-12);
    assert_between(d.high - 1e-12, same.high, d.high + 1e-12);
    assert_int_equal(lo_tell(lo_apart_in_pairs(to, 1, among, O)), LO_TOLD_NOTHING);
    assert_int_equal(lo_tell(lo_apart_in_pairs(to, S, among, 1)), LO_TOLD_NOTHING);
    /* Equal distances are no difference, though their sums are rounded. */
    double tenth[S * O], tenths[O * O];
    for (int i = 0; i < O * O; i++) {
        tenths[i] = 0.1;
        tenth[i < S * O ? i : 0] = 0.1;
    }
    assert_int_equal(lo_tell(lo_apart_in_pairs(tenth, S, tenths, O)), LO_TOLD_NOISE);
    /* A distance that is not known has no part. */
    for (int o = 0; o < O; o++) {
        to[3 * O + o] = NAN;
    }
    const lo_bounded three = lo_apart_in_pairs(to, S, among, O), fewer = lo_apart_in_pairs(to, 3, among, O);
    assert_true(three.value == fewer.value && three.low == fewer.low && three.high == fewer.high);
}

static void test_by_bounds(void **state)
{
    (void)state;
    const lo_bounded figure = {0.7, 0.6, 0.9}, ceiling = {0.5, 0.45, 0.54};
    const lo_bounded d = lo_apart_by_bounds(figure, ceiling);
    assert_between(0.2 - hypot(0.1, 0.04) - 1e-12, d.low, 0.2 - hypot(0.1, 0.04) + 1e-12);
    assert_between(0.2 + hypot(0.2, 0.05) - 1e-12, d.high, 0.2 + hypot(0.2, 0.05) + 1e-12);
    /* A ceiling known to no better than this hides what an exact one would show. */
    const lo_bounded vague = {0.5, 0.2, 0.8};
    assert_int_equal(lo_tell(d), LO_TOLD_APART);
    assert_int_equal(lo_tell(lo_apart_by_bounds(figure, vague)), LO_TOLD_NOISE);
    assert_int_equal(lo_tell(lo_apart_by_bounds(figure, lo_unbounded_nan())), LO_TOLD_NOTHING);
}

/* ---- equal numbers ---- */

enum { EXAMPLES = 24, MODELS = 40 };

/* Margins with a part that a model has in common on all examples. */
static void margins(uint64_t stream, int64_t models, double shift, float *phi)
{
    const lo_random random = lo_random_make(29, LO_FOR_TEST);
    for (int64_t m = 0; m < models; m++) {
        const float own = lo_random_normal(random, stream, (uint64_t)(m * (EXAMPLES + 1)));
        for (int64_t i = 0; i < EXAMPLES; i++) {
            const float noise = lo_random_normal(random, stream, (uint64_t)(m * (EXAMPLES + 1) + i + 1));
            phi[m * EXAMPLES + i] = (float)shift + 0.4F * own + noise;
        }
    }
}

static lo_equal_numbers compare(const float *u, int64_t seeds, const float *o, int64_t oracles)
{
    const lo_two_populations p = {.unlearned = u,
                                  .seeds = seeds,
                                  .oracle = o,
                                  .oracles = oracles,
                                  .examples = EXAMPLES,
                                  .figure = lo_klom_high,
                                  .most = INFINITY};
    lo_equal_numbers out;
    lo_error err = {0};
    assert_int_equal(lo_compare_equal_numbers(&p, &out, NULL, &err), LO_OK);
    return out;
}

typedef struct tally {
    double apart, squares, naive, truth;
    int noise, held;
} tally;

/* What `repeats` studies say of a method whose margins are off by `shift`. */
static tally simulate(int64_t seeds, int64_t oracles, double shift, int repeats)
{
    float u[MODELS * EXAMPLES], o[MODELS * EXAMPLES];
    double whole, klom[EXAMPLES];
    lo_bounded *figure = malloc((size_t)repeats * sizeof(*figure));
    tally t = {0};
    for (int r = 0; r < repeats; r++) {
        margins(2 * (uint64_t)r, seeds, shift, u);
        margins(2 * (uint64_t)r + 1, oracles, 0, o);
        const lo_equal_numbers x = compare(u, seeds, o, oracles);
        assert_int_equal(x.models, seeds < oracles / 2 ? seeds : oracles / 2);
        assert_int_equal(lo_kloms(u, seeds, o, oracles, EXAMPLES, EXAMPLES, klom, &whole, NULL), LO_OK);
        t.naive += (whole - x.ceiling.value) / repeats;
        t.apart += x.apart.value / repeats;
        t.squares += x.apart.value * x.apart.value / repeats;
        t.noise += lo_tell(x.apart) == LO_TOLD_NOISE;
        t.truth += x.figure.value / repeats;
        figure[r] = x.figure;
    }
    for (int r = 0; r < repeats; r++) {
        t.held += figure[r].low <= t.truth && t.truth <= figure[r].high;
    }
    free(figure);
    return t;
}

/* A perfect method neither beats nor misses its ceiling, whatever the numbers of models, where all models
 * beside the ceiling of two halves of the oracles seem to beat it; intervals hold what they should. */
static void test_equal_numbers_are_fair(void **state)
{
    (void)state;
    enum { REPEATS = 200 };
    static const int64_t numbers[][2] = {{40, 20}, {10, 20}, {5, 10}, {6, 40}};
    for (size_t c = 0; c < sizeof(numbers) / sizeof(numbers[0]); c++) {
        const tally t = simulate(numbers[c][0], numbers[c][1], 0, REPEATS);
        const double error = sqrt((t.squares - t.apart * t.apart) / REPEATS);
        printf("# %d seeds, %d oracles: apart %.4f (error %.4f), all models %.4f, noise %.3f, held %.3f\n",
               (int)numbers[c][0], (int)numbers[c][1], t.apart, error, t.naive, (double)t.noise / REPEATS,
               (double)t.held / REPEATS);
        assert_between(-4 * error, t.apart, 4 * error);
        assert_true(t.naive < -20 * error);
        assert_between(0.93, (double)t.noise / REPEATS, 1);
        assert_between(0.93, (double)t.held / REPEATS, 1);
    }
    /* And a method that is far is told apart. */
    const tally far = simulate(20, 40, 2, 40);
    assert_between(0, far.noise, 4);
}

static void assert_same(const lo_equal_numbers *x, const lo_equal_numbers *y)
{
    const double one[] = {x->figure.value, x->figure.low, x->ceiling.value, x->apart.low, x->apart.high};
    const double two[] = {y->figure.value, y->figure.low, y->ceiling.value, y->apart.low, y->apart.high};
    for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
        assert_between(two[i] - 1e-9, one[i], two[i] + 1e-9);
    }
}

/* Numbers of models and the order of examples are no matter; too few models say so. */
static void test_equal_numbers_by_content(void **state)
{
    (void)state;
    enum { S = 7, O = 13 };
    float u[S * EXAMPLES], o[O * EXAMPLES], v[S * EXAMPLES], w[O * EXAMPLES];
    margins(1, S, 0.5, u);
    margins(2, O, 0, o);
    for (int64_t i = 0; i < EXAMPLES; i++) {
        const int64_t at = (i + 5) % EXAMPLES;
        for (int64_t m = 0; m < S; m++) {
            v[m * EXAMPLES + i] = u[(m * 3 + 1) % S * EXAMPLES + at];
        }
        for (int64_t m = 0; m < O; m++) {
            w[m * EXAMPLES + i] = o[(m * 5 + 2) % O * EXAMPLES + at];
        }
    }
    const lo_equal_numbers x = compare(u, S, o, O), y = compare(v, S, w, O);
    assert_int_equal(x.models, 6);
    assert_false(isnan(x.apart.low) || isnan(x.figure.high) || isnan(x.ceiling.high));
    assert_same(&x, &y);
    const lo_equal_numbers alone = compare(NULL, 0, o, O); /* the row of an oracle */
    assert_true(alone.figure.value == alone.ceiling.value && isnan(alone.apart.value));
    assert_int_equal(alone.models, 6);
    const lo_equal_numbers few = compare(u, 3, o, O), fewer = compare(u, 3, o, 5);
    assert_true(!isnan(few.apart.value) && isnan(few.apart.low) && isnan(few.figure.low));
    assert_true(!isnan(fewer.figure.value) && isnan(fewer.ceiling.value) && isnan(fewer.apart.value));
    const lo_two_populations p = {u, 2, o, O, EXAMPLES, lo_klom_high, 0, INFINITY, 0};
    lo_equal_numbers out;
    lo_error err = {0};
    assert_int_equal(lo_compare_equal_numbers(&p, &out, NULL, &err), LO_DATA);
    assert_non_null(strstr(err.text, "2 seeds"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welch),
        cmocka_unit_test(test_pairs_hold_what_is_true),
        cmocka_unit_test(test_pairs_directly),
        cmocka_unit_test(test_by_bounds),
        cmocka_unit_test(test_equal_numbers_are_fair),
        cmocka_unit_test(test_equal_numbers_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
