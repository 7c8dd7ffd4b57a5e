/* U-LiRA: an algorithm that forgets and leaves a mark, one that does not forget, both by closed forms; scores
 * and intervals against sums written out; no lean where nothing can be told; what too few cannot support. */
#include "audit/lira.h"
#include "audit/u_lira.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double below_normal(double z)
{
    return erfc(-z / M_SQRT2) / 2;
}

static void assert_near(double value, double expected, double apart)
{
    if (!(fabs(value - expected) <= apart)) {
        fail_msg("%.6g instead of %.6g +- %.2g", value, expected, apart);
    }
}

/* Margins of models that would have N(centre of the example, 1), moved by `shift`: malloc'ed. */
static float *margins(int64_t models, int64_t n, double shift, uint64_t stream)
{
    const lo_random random = lo_random_make(43, LO_FOR_TEST);
    float *phi = malloc((size_t)(models * n) * sizeof(*phi));
    assert_non_null(phi);
    for (int64_t m = 0; m < models; m++) {
        for (int64_t i = 0; i < n; i++) {
            phi[m * n + i] = 3 * lo_random_normal(random, 1, (uint64_t)i) + (float)shift +
                             lo_random_normal(random, 2 + stream, (uint64_t)(m * n + i));
        }
    }
    return phi;
}

static lo_u_lira judge(const float *in, int64_t in_models, const float *out, int64_t out_models, int64_t n,
                       double *each)
{
    lo_u_lira result;
    lo_error err = {""};
    const lo_population a = {in, in_models}, b = {out, out_models};
    if (lo_u_lira_make(&a, &b, n, &result, each, NULL, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return result;
}

/* Two Gaussians. The algorithm forgets all, but lowers every model's margins by 2, whatever it was to forget.
 * Against models as they are it seems to give the examples away; against its own kind it does not. */
static void a_mark_is_no_memory(void **state)
{
    (void)state;
    enum { MODELS = 120, N = 60 };
    const double mark = 2;
    float *unlearned = margins(MODELS, N, -mark, 1), *never = margins(MODELS, N, 0, 2);
    float *matched = margins(MODELS, N, -mark, 3);
    const lo_u_lira fooled = judge(unlearned, MODELS, never, MODELS, N, NULL);
    const lo_u_lira fair = judge(unlearned, MODELS, matched, MODELS, N, NULL);
    assert_int_equal(fooled.models, MODELS);
    assert_near(fooled.example_auc.value, below_normal(mark / M_SQRT2), 0.01);
    assert_near(fooled.auc.value, below_normal(mark / M_SQRT2), 0.01);
    assert_near(fooled.rate[0].value, below_normal(mark - 2.326348), 0.03);
    assert_near(fooled.rate[1].value, below_normal(mark - 3.090232), 0.03);
    assert_near(fooled.example_rate[0].value, below_normal(mark - 2.326348),
                0.1); /* one of 120 others above */
    assert_near(fair.example_auc.value, 0.5, 0.01);
    assert_near(fair.auc.value, 0.5, 0.01);
    assert_near(fair.rate[0].value, 0.01, 0.005);
    assert_true(fair.auc.low < 0.5 && fair.auc.high > 0.5 && fair.rate[0].low < 0.01);
    assert_true(fooled.auc.low > 0.9 && fooled.example_auc.low > 0.9);
    free(unlearned);
    free(never);
    free(matched);
}

/* The same mark, and one half of the examples is not forgotten: that half is found. */
static void what_is_not_forgotten_is_found(void **state)
{
    (void)state;
    enum { MODELS = 80, N = 60 };
    float *unlearned = margins(MODELS, N, -2, 1), *matched = margins(MODELS, N, -2, 3);
    double each[N], mean[2] = {0};
    for (int64_t k = 0; k < MODELS * N; k++) {
        unlearned[k] += k % N < N / 2 ? 1.5F : 0;
    }
    const lo_u_lira found = judge(unlearned, MODELS, matched, MODELS, N, each);
    for (int64_t i = 0; i < N; i++) {
        mean[i / (N / 2)] += each[i] / (N / 2.0);
    }
    assert_near(mean[0], below_normal(1.5 / M_SQRT2), 0.02);
    assert_near(mean[1], 0.5, 0.02);
    assert_near(found.example_auc.value, (mean[0] + mean[1]) / 2, 1e-12);
    free(unlearned);
    free(matched);
}

/* ---- by hand ---- */

enum { FEW = 5, SOME = 7 };

/* Models of a side without one, example i: mean. */
static double mean_without(const float *phi, int64_t i, int64_t without)
{
    double sum = 0;
    for (int64_t m = 0; m < FEW; m++) {
        sum += m == without ? 0 : (double)phi[m * SOME + i];
    }
    return sum / (FEW - 1);
}

/* The deviation of all examples without a model of one of them. */
static double pooled(const float *phi, int64_t example, int64_t without)
{
    double squares = 0;
    for (int64_t i = 0; i < SOME; i++) {
        double mean = 0;
        for (int64_t m = 0; m < FEW; m++) {
            mean += (double)phi[m * SOME + i] / FEW;
        }
        mean = i == example ? mean_without(phi, i, without) : mean;
        for (int64_t m = 0; m < FEW; m++) {
            squares += i == example && m == without ? 0 : pow((double)phi[m * SOME + i] - mean, 2);
        }
    }
    return sqrt(squares / ((FEW - 1) * SOME - 1));
}

/* Half the width of Student's interval of n means. */
static double half_width(const double *mean, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < n; c++) {
        sum += mean[c] / (double)n;
    }
    for (int64_t c = 0; c < n; c++) {
        squares += (mean[c] - sum) * (mean[c] - sum);
    }
    return lo_student_quantile(0.975, (double)(n - 1)) * sqrt(squares / (double)(n - 1) / (double)n);
}

static void scores_and_intervals_by_hand(void **state)
{
    (void)state;
    float *in = margins(FEW, SOME, 1, 4), *out = margins(FEW, SOME, 0, 5);
    double score[2][FEW][SOME], by_model[FEW] = {0}, by_example[SOME] = {0}, auc = 0;
    for (int64_t m = 0; m < FEW; m++) {
        for (int64_t i = 0; i < SOME; i++) {
            const double a = mean_without(in, i, m), b = mean_without(out, i, m);
            const double sd[2] = {pooled(in, i, m), pooled(out, i, m)};
            for (int k = 0; k < 2; k++) {
                const double x = (double)(k == 0 ? in : out)[m * SOME + i];
                score[k][m][i] =
                    -pow((x - a) / sd[0], 2) / 2 - log(sd[0]) + pow((x - b) / sd[1], 2) / 2 + log(sd[1]);
            }
        }
    }
    for (int64_t s = 0; s < FEW * SOME; s++) {
        for (int64_t t = 0; t < FEW * SOME; t++) {
            const double won = score[0][s / SOME][s % SOME] > score[1][t / SOME][t % SOME] ? 1.0 : 0.0;
            auc += won / (FEW * SOME) / (FEW * SOME);
            by_model[s / SOME] += won / (FEW * SOME) / SOME;
            by_model[t / SOME] += won / (FEW * SOME) / SOME;
            by_example[s % SOME] += won / (FEW * SOME) / FEW;
            by_example[t % SOME] += won / (FEW * SOME) / FEW;
        }
    }
    const lo_u_lira r = judge(in, FEW, out, FEW, SOME, NULL);
    assert_near(r.auc.value, auc, 1e-9);
    const double half = fmax(half_width(by_model, FEW), half_width(by_example, SOME));
    assert_true(r.auc.low <= fmax(auc - half, 0) + 1e-9 && r.auc.high >= fmin(auc + half, 1) - 1e-9);
    lo_roc roc;
    assert_int_equal(lo_roc_make(&score[0][0][0], FEW * SOME, &score[1][0][0], FEW * SOME, &roc, NULL),
                     LO_OK);
    assert_near(r.auc.low, fmax(fmin(roc.auc.low, auc - half), 0), 1e-9);
    assert_near(r.auc.high, fmin(fmax(roc.auc.high, auc + half), 1), 1e-9);
    assert_non_null(r.refused[0]); /* 35 scores */
    assert_non_null(r.example_refused[1]);
    assert_true(isnan(r.rate[0].value) && isnan(r.example_rate[0].value));
    /* As many of each side, and those with a NaN do not count. */
    float *more = malloc((size_t)(FEW + 3) * SOME * sizeof(*more));
    assert_non_null(more);
    memcpy(more, in, SOME * sizeof(*more));
    memcpy(more + SOME, in, SOME * sizeof(*more));
    more[SOME + 3] = NAN;
    memcpy(more + (size_t)(2 * SOME), in + SOME, (FEW - 1) * SOME * sizeof(*more));
    memset(more + (size_t)(FEW + 1) * SOME, 0, 2 * SOME * sizeof(*more));
    const lo_u_lira same = judge(more, FEW + 3, out, FEW, SOME, NULL);
    assert_true(same.models == FEW && same.left_out == 1);
    assert_true(same.auc.value == r.auc.value && same.example_auc.low == r.example_auc.low);
    lo_error err = {""};
    lo_u_lira none;
    const lo_population a = {in, FEW}, b = {out, 2};
    assert_int_equal(lo_u_lira_make(&a, &b, SOME, &none, NULL, NULL, &err), LO_DATA);
    assert_non_null(strstr(err.text, "needs 3"));
    free(in);
    free(out);
    free(more);
}

/* Three models a side that cannot be told apart: both AUCs are 0.5 in the mean (that of all scores 0.003
 * less: models of one example are compared across numbers), and the interval covers it. With the target alone
 * taken out of its side the AUC of all scores is far below. */
static void few_models_lean_to_no_side(void **state)
{
    (void)state;
    enum { MODELS = 3, N = 40, TIMES = 200 };
    double mean = 0, example = 0, alone = 0;
    int covered = 0, by_example = 0;
    for (int t = 0; t < TIMES; t++) {
        float *in = margins(MODELS, N, 0, 100 + 2 * (uint64_t)t),
              *out = margins(MODELS, N, 0, 101 + 2 * (uint64_t)t);
        const lo_u_lira r = judge(in, MODELS, out, MODELS, N, NULL);
        mean += r.auc.value / TIMES;
        example += r.example_auc.value / TIMES;
        covered += r.auc.low <= 0.5 && r.auc.high >= 0.5;
        by_example += r.example_auc.low <= 0.5 && r.example_auc.high >= 0.5;
        double wins = 0;
        for (int64_t i = 0; i < N; i++) {
            for (int64_t s = 0; s < MODELS * MODELS; s++) {
                const float *side[2] = {in, out};
                double centre[2] = {0}, own[2], ratio[2];
                for (int k = 0; k < 2; k++) {
                    for (int64_t m = 0; m < MODELS; m++) {
                        centre[k] += (double)side[k][m * N + i] / MODELS;
                    }
                }
                const double x[2] = {(double)in[s / MODELS * N + i], (double)out[s % MODELS * N + i]};
                for (int k = 0; k < 2; k++) {
                    own[k] = centre[k] + (centre[k] - x[k]) / (MODELS - 1);
                }
                ratio[0] = -pow(x[0] - own[0], 2) + pow(x[0] - centre[1], 2);
                ratio[1] = -pow(x[1] - centre[0], 2) + pow(x[1] - own[1], 2);
                wins += ratio[0] > ratio[1] ? 1.0 : 0.0;
            }
        }
        alone += wins / (MODELS * MODELS * N) / TIMES;
        free(in);
        free(out);
    }
    assert_near(mean, 0.497, 0.012);
    assert_near(example, 0.5, 0.012);
    assert_true(covered > TIMES * 93 / 100 && by_example > TIMES * 93 / 100);
    assert_true(alone < 0.45);
}

/* Every model is off by a draw of its own, on all examples alike: many examples do not make that certain. */
static void models_that_are_off_as_a_whole(void **state)
{
    (void)state;
    enum { MODELS = 6, N = 100, TIMES = 100 };
    const lo_random random = lo_random_make(44, LO_FOR_TEST);
    int covered = 0;
    for (int t = 0; t < TIMES; t++) {
        float *side[2];
        for (int k = 0; k < 2; k++) {
            side[k] = margins(MODELS, N, 0, 2000 + 2 * (uint64_t)t + (uint64_t)k);
            for (int64_t m = 0; m < MODELS * N; m++) {
                side[k][m] += 2 * lo_random_normal(random, 2 * (uint64_t)t + (uint64_t)k, (uint64_t)(m / N));
            }
        }
        const lo_u_lira r = judge(side[0], MODELS, side[1], MODELS, N, NULL);
        covered +=
            r.example_auc.low <= 0.5 && r.example_auc.high >= 0.5 && r.auc.low <= 0.5 && r.auc.high >= 0.5;
        free(side[0]);
        free(side[1]);
    }
    assert_true(covered > TIMES * 85 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_no_memory),
        cmocka_unit_test(what_is_not_forgotten_is_found),
        cmocka_unit_test(scores_and_intervals_by_hand),
        cmocka_unit_test(few_models_lean_to_no_side),
        cmocka_unit_test(models_that_are_off_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
