/* Scores made of scores: ranks by counting, regressions against elimination in long double on the normal
 * equations of the same problem, written without standardizing; divergences against their definitions. */
#include "unit/score_fixture.h"

#include "score/combine.h"
#include "score/divergence.h"

#include <math.h>
#include <string.h>

enum { N = 83, FEATURES = 3, FOLDS = 4, UNKNOWNS = FEATURES + 1 };

static void test_rank_shares(void **state)
{
    (void)state;
    double x[N], rank[N];
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    for (uint64_t i = 0; i < N; i++) {
        x[i] = i % 11 == 3 ? NAN : (double)lo_random_below(random, 0, i, 20);
    }
    assert_int_equal(lo_rank_share(x, N, rank, NULL), LO_OK);
    for (int i = 0; i < N; i++) {
        double below = 0, used = 0;
        for (int k = 0; k < N; k++) {
            below += x[k] < x[i] ? 1 : x[k] == x[i] ? 0.5 : 0;
            used += !isnan(x[k]);
        }
        assert_true(isnan(x[i]) ? isnan(rank[i]) : fabs(rank[i] - below / used) < 1e-14);
    }
}

static void draw(double *feature, double *target)
{
    const lo_random random = lo_random_make(2, LO_FOR_TEST);
    for (uint64_t i = 0; i < N; i++) {
        target[i] = 3;
        for (uint64_t f = 0; f < FEATURES; f++) {
            const double x = (double)lo_random_normal(random, f, i);
            feature[f * N + i] = 100 * (double)f + x * (double)(1 + 10 * f);
            target[i] += x * (double)f;
        }
        target[i] += 0.3 * (double)lo_random_normal(random, FEATURES, i);
    }
    target[5] = NAN;
    feature[N + 7] = NAN;
}

static void eliminate(long double a[UNKNOWNS][UNKNOWNS + 1])
{
    for (int p = 0; p < UNKNOWNS; p++) {
        int best = p;
        for (int r = p; r < UNKNOWNS; r++) {
            best = fabsl(a[r][p]) > fabsl(a[best][p]) ? r : best;
        }
        for (int c = 0; c <= UNKNOWNS; c++) {
            const long double swap = a[p][c];
            a[p][c] = a[best][c];
            a[best][c] = swap;
        }
        for (int r = 0; r < UNKNOWNS; r++) {
            const long double times = a[r][p] / a[p][p];
            for (int c = p; c <= UNKNOWNS && r != p; c++) {
                a[r][c] -= times * a[p][c];
            }
        }
    }
}

/* The prediction for one example from those of other folds: the gradient of the mean square plus the penalty
 * of standardized weights, set to zero. */
static double predict_directly(const double *feature, const double *target, const int *fold, int which,
                               double penalty)
{
    long double a[UNKNOWNS][UNKNOWNS + 1] = {{0}}, mean[FEATURES] = {0}, square[FEATURES] = {0}, used = 0;
    for (int i = 0; i < N; i++) {
        if (fold[i] == fold[which] || i == 5 || i == 7) {
            continue;
        }
        long double x[UNKNOWNS + 1] = {1, feature[i], feature[N + i], feature[2 * N + i], target[i]};
        used++;
        for (int r = 0; r < UNKNOWNS; r++) {
            for (int c = 0; c <= UNKNOWNS; c++) {
                a[r][c] += x[r] * x[c];
            }
        }
        for (int f = 0; f < FEATURES; f++) {
            mean[f] += x[f + 1];
            square[f] += x[f + 1] * x[f + 1];
        }
    }
    for (int f = 0; f < FEATURES; f++) {
        const long double variance = square[f] / used - mean[f] / used * (mean[f] / used);
        a[f + 1][f + 1] += used * (long double)penalty * variance;
    }
    eliminate(a);
    long double sum = a[0][UNKNOWNS] / a[0][0];
    for (int f = 0; f < FEATURES; f++) {
        sum += a[f + 1][UNKNOWNS] / a[f + 1][f + 1] * (long double)feature[f * N + which];
    }
    return (double)sum;
}

static void check_cross_fit(double penalty)
{
    double feature[FEATURES * N], target[N], predicted[N];
    int fold[N], size[FOLDS] = {0};
    draw(feature, target);
    const lo_cross_fit fit = {6, N, FEATURES, FOLDS, feature, target, penalty};
    assert_int_equal(lo_cross_predict(&fit, predicted, NULL, NULL), LO_OK);
    for (int i = 0; i < N; i++) {
        fold[i] = (int)lo_fold_of(6, N, FOLDS, i);
        assert_in_range(fold[i], 0, FOLDS - 1);
        size[fold[i]]++;
    }
    for (int f = 0; f < FOLDS; f++) {
        assert_in_range(size[f], N / FOLDS, N / FOLDS + 1);
    }
    for (int i = 0; i < N; i++) {
        if (i == 7) {
            assert_true(isnan(predicted[i]));
        } else {
            assert_true(fabs(predicted[i] - predict_directly(feature, target, fold, i, penalty)) < 1e-9);
        }
    }
}

static void test_cross_fit(void **state)
{
    (void)state;
    check_cross_fit(0);
    check_cross_fit(0.1);
    check_cross_fit(50);
}

/* An example's own target has no part in its prediction, its fold's neither. */
static void test_own_target_is_not_seen(void **state)
{
    (void)state;
    double feature[FEATURES * N], target[N], before[N], after[N];
    draw(feature, target);
    const lo_cross_fit fit = {6, N, FEATURES, FOLDS, feature, target, 0.01};
    assert_int_equal(lo_cross_predict(&fit, before, NULL, NULL), LO_OK);
    target[20] += 1000;
    assert_int_equal(lo_cross_predict(&fit, after, NULL, NULL), LO_OK);
    for (int i = 0; i < N; i++) {
        const bool same = lo_fold_of(6, N, FOLDS, i) == lo_fold_of(6, N, FOLDS, 20);
        assert_true(i == 7 || (before[i] == after[i]) == same);
    }
}

/* A feature that is constant, and one that is another's copy, change nothing. */
static void test_useless_features(void **state)
{
    (void)state;
    double feature[3 * N], one[N], predicted[N], expected[N], target[N];
    draw(feature, target);
    memcpy(one, feature, sizeof(one));
    for (int i = 0; i < N; i++) {
        feature[N + i] = 4;
        feature[2 * N + i] = one[i];
    }
    const lo_cross_fit alone = {6, N, 1, FOLDS, one, target, 0}, three = {6, N, 3, FOLDS, feature, target, 0};
    assert_int_equal(lo_cross_predict(&alone, expected, NULL, NULL), LO_OK);
    assert_int_equal(lo_cross_predict(&three, predicted, NULL, NULL), LO_OK);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(predicted[i] - expected[i]) < 1e-9);
    }
}

static void test_divergences(void **state)
{
    (void)state;
    const float a[] = {1, 0, -2}, b[] = {0.5F, 0.5F, 3}, sure[] = {200, 0, -200}, wrong[] = {-200, 0, 200};
    double p[3], q[3], sum_p = 0, sum_q = 0, kl = 0;
    for (int c = 0; c < 3; c++) {
        sum_p += exp((double)a[c]);
        sum_q += exp((double)b[c]);
    }
    for (int c = 0; c < 3; c++) {
        p[c] = exp((double)a[c]) / sum_p;
        q[c] = exp((double)b[c]) / sum_q;
        kl += (p[c] * log(p[c] / q[c]) + q[c] * log(q[c] / p[c])) / 2;
    }
    assert_true(fabs(lo_symmetric_divergence(a, b, 3) - kl) < 1e-12);
    assert_true(lo_symmetric_divergence(a, a, 3) == 0);
    assert_true(fabs(lo_symmetric_divergence(sure, wrong, 3) - 400) < 1e-9);
    const float undefined[] = {NAN, 0, 0};
    assert_true(isnan(lo_symmetric_divergence(a, undefined, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank_shares),
        cmocka_unit_test(test_cross_fit),
        cmocka_unit_test(test_own_target_is_not_seen),
        cmocka_unit_test(test_useless_features),
        cmocka_unit_test(test_divergences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
