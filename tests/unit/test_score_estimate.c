/* Estimates and their intervals: closed forms, NaN rules, and coverage by exact summation of probabilities.
 */
#include "unit/score_fixture.h"

#include <math.h>
#include <stdio.h>

static const double z = 1.959963984540054;

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) {
        printf("got %.9g, expected %.9g\n", got, expected);
    }
    assert_true(fabs(got - expected) <= tolerance);
}

typedef struct ends {
    double low, high;
} ends;

/* Wilson's interval as the roots of (x - n t)^2 = z^2 n t (1 - t). */
static ends wilson_by_roots(double x, double n)
{
    const double a = n * (n + z * z), b = -(2 * n * x + n * z * z), c = x * x;
    const double root = sqrt(fmax(0, b * b - 4 * a * c));
    return (ends){(-b - root) / (2 * a), (-b + root) / (2 * a)};
}

static ends newcombe(int x, int n, int y, int m)
{
    const double p = (double)x / n, q = (double)y / m;
    const ends a = wilson_by_roots(x, n), b = wilson_by_roots(y, m);
    return (ends){fmax(-1, p - q - sqrt((p - a.low) * (p - a.low) + (b.high - q) * (b.high - q))),
                  fmin(1, p - q + sqrt((a.high - p) * (a.high - p) + (q - b.low) * (q - b.low)))};
}

static void test_published_examples(void **state)
{
    (void)state;
    /* Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10; the
     * wider Agresti-Caffo end may lie outside. */
    const ends large = newcombe(56, 70, 48, 80), small = newcombe(9, 10, 3, 10);
    near(large.low, 0.0524, 5e-5);
    near(large.high, 0.3339, 5e-5);
    near(small.low, 0.1705, 5e-5);
    near(small.high, 0.8090, 5e-5);
    const lo_estimate e = lo_difference(56, 70, 48, 80);
    near(e.value, 0.2, 1e-7);
    assert_true(e.low <= 0.05245 && e.high >= 0.33385);
    /* Wilson's interval of 81 of 263, Newcombe 1998, Statistics in Medicine 17:857, table I, method 3. */
    const lo_estimate p = lo_proportion(81, 263);
    near(p.low, 0.2553, 5e-5);
    near(p.high, 0.3662, 5e-5);
}

static void check_difference(int x, int n, int y, int m)
{
    const lo_estimate e = lo_difference(x, n, y, m);
    const double p = (x + 1.0) / (n + 2), q = (y + 1.0) / (m + 2);
    const double error = sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2));
    const ends score = newcombe(x, n, y, m);
    near(e.value, (double)x / n - (double)y / m, 1e-6);
    near(e.standard_error, error, 1e-6);
    near(e.low, fmax(-1, fmin(score.low, p - q - z * error)), 1e-6);
    near(e.high, fmin(1, fmax(score.high, p - q + z * error)), 1e-6);
    assert_true(e.low <= e.value && e.value <= e.high && e.standard_error > 0);
}

static void test_differences_equal_their_formulas(void **state)
{
    (void)state;
    for (int n = 1; n <= 9; n += 2) {
        for (int m = 1; m <= 8; m++) {
            for (int x = 0; x <= n; x++) {
                for (int y = 0; y <= m; y++) {
                    check_difference(x, n, y, m);
                }
            }
        }
    }
    check_difference(699, 700, 3, 300);
    check_difference(1 << 23, 1 << 24, 5, 1 << 20);
}

static void test_proportions_equal_their_formulas(void **state)
{
    (void)state;
    for (int n = 1; n <= 40; n++) {
        for (int x = 0; x <= n; x++) {
            const lo_estimate e = lo_proportion(x, n);
            const ends score = wilson_by_roots(x, n);
            const double p = (x + 1.0) / (n + 2);
            near(e.value, (double)x / n, 1e-7);
            near(e.standard_error, sqrt(p * (1 - p) / (n + 2)), 1e-7);
            near(e.low, score.low, 1e-6);
            near(e.high, score.high, 1e-6);
            assert_true(0 <= e.low && e.low <= e.value && e.value <= e.high && e.high <= 1);
        }
    }
}

static void test_paired_differences_equal_their_formulas(void **state)
{
    (void)state;
    for (int pairs = 1; pairs <= 30; pairs++) {
        for (int plus = 0; plus <= pairs; plus++) {
            for (int minus = 0; plus + minus <= pairs; minus++) {
                const lo_estimate e = lo_paired_difference(plus, minus, pairs);
                /* One pair of either kind added: mean and variance of the R + 2 differences. */
                const double n = pairs + 2, mean = (plus - minus) / n;
                const double error = sqrt(((plus + minus + 2) / n - mean * mean) / n);
                near(e.value, (double)(plus - minus) / pairs, 1e-6);
                near(e.standard_error, error, 1e-6);
                near(e.low, fmax(-1, mean - z * error), 1e-6);
                near(e.high, fmin(1, mean + z * error), 1e-6);
                assert_true(e.low <= e.value && e.value <= e.high && e.standard_error > 0);
            }
        }
    }
}

static void all_nan(lo_estimate e)
{
    assert_true(isnan(e.value) && isnan(e.standard_error) && isnan(e.low) && isnan(e.high));
}

static void test_nothing_comes_of_nothing(void **state)
{
    (void)state;
    all_nan(lo_difference(0, 0, 3, 5));
    all_nan(lo_difference(3, 5, 0, 0));
    all_nan(lo_difference(0, 0, 0, 0));
    all_nan(lo_proportion(0, 0));
    all_nan(lo_paired_difference(0, 0, 0));
    /* One model a side is something: anything but certainty. */
    const lo_estimate e = lo_difference(1, 1, 0, 1);
    assert_true(e.value == 1 && e.low < 0 && e.high == 1 && e.standard_error > 0.3F);
}

/* probability[k] of k successes of n. */
static void binomial(int n, double p, double *probability)
{
    for (int k = 0; k <= n; k++) {
        if (p <= 0 || p >= 1) {
            probability[k] = k == (p <= 0 ? 0 : n);
        } else {
            probability[k] = exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) +
                                 (n - k) * log1p(-p));
        }
    }
}

typedef struct table {
    int n, m;
    ends *wider, *newcombe; /* [n + 1, m + 1] */
} table;

static table tabulate(int n, int m)
{
    const size_t cells = (size_t)(n + 1) * (size_t)(m + 1);
    table t = {
        .n = n, .m = m, .wider = malloc(cells * sizeof(ends)), .newcombe = malloc(cells * sizeof(ends))};
    for (int x = 0; x <= n; x++) {
        for (int y = 0; y <= m; y++) {
            const lo_estimate e = lo_difference(x, n, y, m);
            t.wider[x * (m + 1) + y] = (ends){e.low, e.high};
            t.newcombe[x * (m + 1) + y] = newcombe(x, n, y, m);
        }
    }
    return t;
}

static double coverage(const ends *interval, int n, int m, double p, double q)
{
    double in[1024], out[1024], covered = 0;
    assert_true(n < 1024 && m < 1024);
    binomial(n, p, in);
    binomial(m, q, out);
    for (int x = 0; x <= n; x++) {
        for (int y = 0; y <= m; y++) {
            const ends e = interval[x * (m + 1) + y];
            covered += e.low <= p - q + 1e-6 && p - q - 1e-6 <= e.high ? in[x] * out[y] : 0;
        }
    }
    return covered;
}

typedef struct tally {
    double lowest, sum_both, sum_one;
    int both, one;
} tally;

static void note(tally *t, double covered, double p, double q)
{
    const bool in = p > 0 && p<1, out = q> 0 && q < 1;
    t->lowest = fmin(t->lowest, covered);
    if (in || out) {
        t->sum_one += covered;
        t->one++;
    }
    if (in && out) {
        t->sum_both += covered;
        t->both++;
    }
}

static void test_coverage_of_differences(void **state)
{
    (void)state;
    const int outs[] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20, 30, 45, 60, 120, 200, 400};
    const double rate[] = {0, 0.05, 0.5, 0.95, 1};
    tally ours = {.lowest = 1}, score = {.lowest = 1};
    for (size_t k = 0; k < sizeof(outs) / sizeof(outs[0]); k++) {
        const int m = outs[k], n = (int)lround(m * 0.7 / 0.3);
        table t = tabulate(n, m);
        for (int i = 0; i < 5; i++) {
            for (int j = 0; j < 5; j++) {
                const double covered = coverage(t.wider, n, m, rate[i], rate[j]);
                if (covered < 0.91) {
                    printf("%d in, %d out, %.2f in, %.2f out: %.4f\n", n, m, rate[i], rate[j], covered);
                }
                assert_true(covered >= 0.91);
                note(&ours, covered, rate[i], rate[j]);
                note(&score, coverage(t.newcombe, n, m, rate[i], rate[j]), rate[i], rate[j]);
            }
        }
        free(t.wider);
        free(t.newcombe);
    }
    printf("coverage: lowest %.4f, mean %.4f (both arms vary), %.4f (at least one); Newcombe alone: %.4f, "
           "%.4f, %.4f\n",
           ours.lowest, ours.sum_both / ours.both, ours.sum_one / ours.one, score.lowest,
           score.sum_both / score.both, score.sum_one / score.one);
    assert_true(ours.sum_both / ours.both >= 0.95 && ours.sum_both / ours.both <= 0.98);
    assert_true(ours.sum_one / ours.one >= 0.95 && ours.sum_one / ours.one <= 0.98);
    /* Why the interval is not Newcombe's alone. */
    assert_true(score.lowest < 0.91);
}

/* At any rates, not only those: the bottom of a fine grid. */
static void test_coverage_on_a_fine_grid(void **state)
{
    (void)state;
    const int outs[] = {4, 5, 6, 8, 12, 20, 30};
    const double rate[] = {0.001, 0.005, 0.02, 0.05, 0.1,  0.2,   0.35, 0.5,
                           0.65,  0.8,   0.9,  0.95, 0.98, 0.995, 0.999};
    double lowest = 1;
    for (size_t k = 0; k < sizeof(outs) / sizeof(outs[0]); k++) {
        const int m = outs[k], n = (int)lround(m * 0.7 / 0.3);
        table t = tabulate(n, m);
        for (int i = 0; i < 15; i++) {
            for (int j = 0; j < 15; j++) {
                lowest = fmin(lowest, coverage(t.wider, n, m, rate[i], rate[j]));
            }
        }
        free(t.wider);
        free(t.newcombe);
    }
    printf("lowest coverage on the fine grid %.4f\n", lowest);
    assert_true(lowest >= 0.91);
}

static double paired_coverage(int pairs, double up, double down)
{
    const double same = 1 - up - down;
    double covered = 0;
    for (int plus = 0; plus <= pairs; plus++) {
        for (int minus = 0; plus + minus <= pairs; minus++) {
            const int rest = pairs - plus - minus;
            if ((up <= 0 && plus > 0) || (down <= 0 && minus > 0) || (same <= 1e-12 && rest > 0)) {
                continue;
            }
            double log_probability =
                lgamma(pairs + 1.0) - lgamma(plus + 1.0) - lgamma(minus + 1.0) - lgamma(rest + 1.0);
            log_probability += plus > 0 ? plus * log(up) : 0;
            log_probability += minus > 0 ? minus * log(down) : 0;
            log_probability += rest > 0 ? rest * log(same) : 0;
            const lo_estimate e = lo_paired_difference(plus, minus, pairs);
            covered += e.low <= up - down + 1e-6 && up - down - 1e-6 <= e.high ? exp(log_probability) : 0;
        }
    }
    return covered;
}

static void test_coverage_of_paired_differences(void **state)
{
    (void)state;
    const double rate[] = {0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1};
    const int sizes[] = {1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 40, 100};
    double lowest = 1, lowest_from_15 = 1, sum = 0;
    int cells = 0;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        for (int i = 0; i < 10; i++) {
            for (int j = 0; j < 10; j++) {
                if (rate[i] + rate[j] > 1 + 1e-12) {
                    continue;
                }
                const double covered = paired_coverage(sizes[k], rate[i], rate[j]);
                lowest = fmin(lowest, covered);
                if (sizes[k] >= 15) {
                    lowest_from_15 = fmin(lowest_from_15, covered);
                }
                sum += covered;
                cells++;
            }
        }
    }
    printf("paired coverage: lowest %.4f, lowest from 15 pairs %.4f, mean %.4f\n", lowest, lowest_from_15,
           sum / cells);
    assert_true(lowest >= 0.8749 && lowest_from_15 >= 0.925);
    assert_true(sum / cells >= 0.95 && sum / cells <= 0.99);
}

/* Blocks: wider by the factor on both sides, clipped; what is undefined stays so, and a factor of 1 changes
 * no bit. */
static void test_widened(void **state)
{
    (void)state;
    assert_true(lo_block_factor(0) == 1 && lo_block_factor(1) == 1);
    assert_true(fabs(lo_block_factor(2) - sqrt(2)) < 1e-15 &&
                fabs(lo_block_factor(10) - 1.0540925533894598) < 1e-15);
    const lo_estimate e = {0.5F, 0.125F, 0.25F, 0.875F};
    const lo_estimate w = lo_widened(e, 2, 1);
    assert_true(w.value == 0.5F && w.standard_error == 0.25F && w.low == 0.0F && w.high == 1.0F);
    assert_true(lo_widened(e, 2, (double)INFINITY).high == 1.25F);
    const lo_estimate same = lo_widened(e, 1, 1);
    assert_memory_equal(&same, &e, sizeof(e));
    const lo_estimate none = lo_widened(lo_difference(0, 0, 1, 2), 2, 1);
    assert_true(isnan(none.value) && isnan(none.standard_error) && isnan(none.low) && isnan(none.high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_examples),
        cmocka_unit_test(test_differences_equal_their_formulas),
        cmocka_unit_test(test_proportions_equal_their_formulas),
        cmocka_unit_test(test_paired_differences_equal_their_formulas),
        cmocka_unit_test(test_nothing_comes_of_nothing),
        cmocka_unit_test(test_coverage_of_differences),
        cmocka_unit_test(test_coverage_on_a_fine_grid),
        cmocka_unit_test(test_coverage_of_paired_differences),
        cmocka_unit_test(test_widened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
