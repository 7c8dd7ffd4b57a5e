/* Scores in numbers: against sums made in another way, values of scipy, and simulated coverage. */
#include "score/moments.h"
#include "unit/score_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void test_measures(void **state)
{
    (void)state;
    assert_true(lo_measure_of(LO_MEASURE_PROBABILITY, 0.0F) == 0.5);
    assert_true(fabs(lo_measure_of(LO_MEASURE_PROBABILITY, 2.0F) - 0.880797077977882) < 1e-15);
    assert_true(fabs(lo_measure_of(LO_MEASURE_PROBABILITY, -2.0F) - 0.119202922022118) < 1e-15);
    assert_true(lo_measure_of(LO_MEASURE_PROBABILITY, 1e4F) == 1.0);
    assert_true(lo_measure_of(LO_MEASURE_PROBABILITY, -1e4F) == 0.0);
    assert_true(lo_measure_of(LO_MEASURE_PROBABILITY, -80.0F) > 1e-35);
    assert_true(isnan(lo_measure_of(LO_MEASURE_PROBABILITY, NAN)));
    assert_true(lo_measure_of(LO_MEASURE_MARGIN, -3.5F) == -3.5);
}

/* scipy.stats.t.ppf(0.975, freedom), scipy 1.10.1 */
static void test_student(void **state)
{
    (void)state;
    const double known[][2] = {{1, 12.7062047361747},      {1.5, 6.01666310799045},  {2, 4.30265272991127},
                               {3, 3.18244630528426},      {4.25, 2.71320584714606}, {5, 2.57058183661474},
                               {7.5, 2.33303962655538},    {10, 2.22813885196494},   {14, 2.14478668791693},
                               {30, 2.04227245630124},     {59.5, 2.00064360921755}, {100, 1.98397151844963},
                               {1000.5, 1.96233789245935}, {1e5, 1.95998770753461},  {1e8, 1.95996400826277}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const double t = lo_student_975(known[i][0]);
        if (!(fabs(t / known[i][1] - 1) < 1e-9)) {
            fail_msg("%g degrees of freedom: %.15g, not %.15g", known[i][0], t, known[i][1]);
        }
    }
}

/* Welch's formulas by two passes. With the one model more they are those of scipy.stats.ttest_ind(equal_var =
 * False) on arms whose spread was raised by u^2 and whose degrees of freedom by one. */
static void test_difference(void **state)
{
    (void)state;
    const double a[] = {0.91, 0.85, 0.99, 0.7, 0.95};
    const double b[] = {0.1, 0.4, 0.2};
    lo_moments in = {0};
    lo_moments out = {0};
    for (int i = 0; i < 5; i++) {
        lo_moments_add(&in, a[i]);
    }
    for (int i = 0; i < 3; i++) {
        lo_moments_add(&out, b[i]);
    }
    double spread[2] = {0, 0};
    for (int i = 0; i < 5; i++) {
        spread[0] += (a[i] - 0.88) * (a[i] - 0.88);
    }
    for (int i = 0; i < 3; i++) {
        spread[1] += (b[i] - 0.7 / 3) * (b[i] - 0.7 / 3);
    }
    assert_true(fabs(in.mean - 0.88) < 1e-15 && fabs(in.spread - spread[0]) < 1e-15);
    const double va = (spread[0] + 0.25) / 25;
    const double vb = (spread[1] + 0.25) / 9;
    const double freedom = (va + vb) * (va + vb) / (va * va / 5 + vb * vb / 3);
    const lo_estimate e = lo_moments_difference(LO_MEASURE_PROBABILITY, &in, &out);
    assert_true(fabs((double)e.value - (0.88 - 0.7 / 3)) < 1e-7);
    assert_true(fabs((double)e.standard_error - sqrt(va + vb)) < 1e-7);
    assert_true(fabs((double)e.low - (0.88 - 0.7 / 3 - lo_student_975(freedom) * sqrt(va + vb))) < 1e-6);
    assert_true(e.high == 1.0F); /* clipped */
    const lo_estimate margin = lo_moments_difference(LO_MEASURE_MARGIN, &in, &out);
    assert_true(fabs((double)margin.standard_error - sqrt((spread[0] + 1) / 25 + (spread[1] + 1) / 9)) <
                1e-7);
    assert_true(margin.high > 1.0F);
    /* Ten times as wide, the variance of all eight counts instead of 1. */
    lo_moments wide[2] = {{0}, {0}};
    double sum = 0;
    double square = 0;
    for (int i = 0; i < 8; i++) {
        const double x = 10 * (i < 5 ? a[i] : b[i - 5]);
        lo_moments_add(&wide[i >= 5], x);
        sum += x;
        square += x * x;
    }
    const double all = square / 8 - sum * sum / 64;
    const lo_estimate w = lo_moments_difference(LO_MEASURE_MARGIN, &wide[0], &wide[1]);
    const double expected = sqrt((100 * spread[0] + all) / 25 + (100 * spread[1] + all) / 9);
    assert_true(all > 1 && fabs((double)w.standard_error - expected) < 1e-6);
}

/* An error is never 0, not of one model, and a missing arm has no value. */
static void test_few_models(void **state)
{
    (void)state;
    lo_moments in = {0};
    lo_moments out = {0};
    lo_moments_add(&in, 1.0);
    assert_true(isnan(lo_moments_difference(LO_MEASURE_PROBABILITY, &in, &out).value));
    assert_true(isnan(lo_moments_paired(LO_MEASURE_PROBABILITY, &out).low));
    lo_moments_add(&out, 0.0);
    const lo_estimate one = lo_moments_difference(LO_MEASURE_PROBABILITY, &in, &out);
    assert_true(one.value == 1.0F && one.standard_error > 0.7F && one.low < 0.0F);
    for (int i = 0; i < 5; i++) {
        lo_moments_add(&in, 1.0);
        lo_moments_add(&out, 0.0);
    }
    const lo_estimate six = lo_moments_difference(LO_MEASURE_PROBABILITY, &in, &out);
    assert_true(six.value == 1.0F && fabs((double)six.standard_error - sqrt(0.5) / 6) < 1e-6);
}

static void test_models_and_pairs(void **state)
{
    (void)state;
    enum { N = 21, MODELS = 8 };
    uint8_t *in = draw_bits(MODELS, N, 0.5, 50);
    float margin[MODELS][N];
    lo_moments with[N] = {{0}}, without[N] = {{0}}, pairs[N] = {{0}};
    const lo_random random = lo_random_make(51, LO_FOR_TEST);
    for (int k = 0; k < MODELS; k++) {
        for (int i = 0; i < N; i++) {
            margin[k][i] = k == 3 && i == 2 ? NAN : 3 * lo_random_normal(random, (uint64_t)k, (uint64_t)i);
        }
        lo_moments_add_model(LO_MEASURE_MARGIN, in + k * N, margin[k], N, with, without);
    }
    for (int k = 0; k < MODELS; k += 2) {
        lo_moments_add_pair(LO_MEASURE_MARGIN, in + k * N, margin[k], in + (k + 1) * N, margin[k + 1], N,
                            pairs);
    }
    for (int i = 0; i < N; i++) {
        double sum[2] = {0, 0}, gain = 0, square = 0;
        int count[2] = {0, 0}, differ = 0;
        for (int k = 0; k < MODELS; k++) {
            if (!(k == 3 && i == 2)) {
                sum[in[k * N + i]] += (double)margin[k][i];
                count[in[k * N + i]]++;
            }
        }
        for (int k = 0; k < MODELS; k += 2) {
            if (in[k * N + i] != in[(k + 1) * N + i] && !(k == 2 && i == 2)) {
                const double d = (double)margin[k][i] - (double)margin[k + 1][i];
                gain += in[k * N + i] ? d : -d;
                square += d * d;
                differ++;
            }
        }
        assert_int_equal(with[i].count, count[1]);
        assert_int_equal(without[i].count, count[0]);
        assert_int_equal(pairs[i].count, differ);
        assert_true(count[1] == 0 || fabs(with[i].mean - sum[1] / count[1]) < 1e-12);
        assert_true(count[0] == 0 || fabs(without[i].mean - sum[0] / count[0]) < 1e-12);
        assert_true(differ == 0 || fabs(pairs[i].spread - (square - gain * gain / differ)) < 1e-9);
        const lo_estimate e = lo_moments_paired(LO_MEASURE_MARGIN, &pairs[i]);
        if (differ > 0) {
            const double error = sqrt(square - gain * gain / differ + fmax(square / differ, 1)) / differ;
            assert_true(fabs((double)e.value - gain / differ) < 1e-6);
            assert_true(fabs((double)e.standard_error - error) < 1e-6);
            assert_true(fabs((double)(e.high - e.value) - lo_student_975(differ) * error) < 1e-5);
        } else {
            assert_true(isnan(e.value));
        }
    }
    free(in);
}

/* Margins of a model that is right with probability `right`: around +4 then, around -4 else. */
static float draw_margin(lo_random random, uint64_t a, uint64_t b, double right)
{
    const float centre = lo_random_unit(random, a, 2 * b) < (float)right ? 4.0F : -4.0F;
    return centre + lo_random_normal(random, a, 2 * b + 1);
}

/* Mean of a normal variable's sigmoid around +4, by the trapezoid rule. */
static double mean_probability(void)
{
    double sum = 0;
    for (int i = -800; i <= 800; i++) {
        const double x = i / 100.0;
        sum += 0.01 * exp(-x * x / 2) / sqrt(2 * 3.141592653589793) / (1 + exp(-(4 + x)));
    }
    return sum;
}

/* Covers the truth often enough, from few models on and where one arm (nearly) always agrees. */
static void test_coverage(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    const struct {
        int in, out;
        double right_in, right_out;
    } cases[] = {{7, 3, 1, 0.5},    {14, 6, 0.95, 0.05}, {14, 6, 1, 0},       {14, 6, 0.9, 0.5},
                 {35, 15, 1, 0.05}, {35, 15, 0.95, 0.3}, {70, 30, 0.99, 0.9}, {10, 10, 0.95, 0.05}};
    const double p = mean_probability();
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const lo_random random = lo_random_make(500 + c, LO_FOR_TEST);
        const double moved = cases[c].right_in - cases[c].right_out;
        const double truth[2] = {moved * (2 * p - 1), moved * 8};
        double covered[2] = {0, 0}, errors[2] = {0, 0}, squares[2] = {0, 0};
        for (uint64_t d = 0; d < DRAWS; d++) {
            for (int measure = 0; measure < 2; measure++) {
                lo_moments in = {0}, out = {0};
                for (int k = 0; k < cases[c].in + cases[c].out; k++) {
                    const bool with = k < cases[c].in;
                    const double right = with ? cases[c].right_in : cases[c].right_out;
                    lo_moments_add(
                        with ? &in : &out,
                        lo_measure_of((lo_measure)measure, draw_margin(random, d, (uint64_t)k, right)));
                }
                const lo_estimate e = lo_moments_difference((lo_measure)measure, &in, &out);
                covered[measure] += (double)e.low <= truth[measure] && truth[measure] <= (double)e.high;
                errors[measure] += (double)e.standard_error * (double)e.standard_error;
                squares[measure] += ((double)e.value - truth[measure]) * ((double)e.value - truth[measure]);
            }
        }
        printf(
            "%d in, %d out, right %.2f and %.2f: probability covered %.3f, error %.2f of the spread; margin "
            "%.3f, %.2f\n",
            cases[c].in, cases[c].out, cases[c].right_in, cases[c].right_out, covered[0] / DRAWS,
            sqrt(errors[0] / squares[0]), covered[1] / DRAWS, sqrt(errors[1] / squares[1]));
        assert_true(sqrt(errors[0] / squares[0]) > 0.93 && sqrt(errors[1] / squares[1]) > 0.93);
        assert_true(covered[0] / DRAWS > 0.93);
        /* Three models that would be right half the time all are, one time in eight: nothing shows then. */
        assert_true(covered[1] / DRAWS > (cases[c].out < 6 ? 0.78 : 0.90));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),         cmocka_unit_test(test_student),
        cmocka_unit_test(test_difference),       cmocka_unit_test(test_few_models),
        cmocka_unit_test(test_models_and_pairs), cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
