/* Attacks on one model, on planted scores: two Gaussians a known distance apart, sides that are equal, sides
 * that do not touch; and what they refuse. */
#include "audit/attack.h"
#include "audit/roc.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4000 };

static void gaussian(double *out, int64_t n, double mean, uint64_t stream)
{
    const lo_random random = lo_random_make(77, LO_FOR_TEST);
    for (int64_t i = 0; i < n; i++) {
        out[i] = mean + (double)lo_random_normal(random, stream, (uint64_t)i);
    }
}

static void assert_between(double low, double value, double high)
{
    if (!(low <= value && value <= high)) {
        fail_msg("%g is not between %g and %g", value, low, high);
    }
}

/* P(N(0,1) < x). */
static double normal(double x)
{
    return erfc(-x / M_SQRT2) / 2;
}

static void test_two_gaussians(void **state)
{
    (void)state;
    static double member[N], other[N];
    gaussian(other, N, 0, 1);
    for (int s = 0; s < 3; s++) {
        const double shift = (double[]){0, 0.5, 2}[s];
        gaussian(member, N, shift, (uint64_t)(2 + s));
        lo_roc roc;
        assert_int_equal(lo_roc_make(member, N, other, N, &roc, NULL), LO_OK);
        assert_between(roc.auc.low - 0.005, normal(shift / M_SQRT2), roc.auc.high + 0.005);
        assert_between(0.005, roc.auc.high - roc.auc.low, 0.04);
        assert_between(normal(shift / 2) - 0.03, roc.accuracy, normal(shift / 2) + 0.03);
        /* The threshold is an estimate too: one standard deviation of 1 % of 4,000 moves it by 0.06. */
        assert_between(normal(shift - 2.326 - 0.18) - 0.02, roc.rate[0].tpr.value,
                       normal(shift - 2.326 + 0.18) + 0.02);
        const double epsilon = lo_epsilon(roc.rate[0].fpr, 1 - roc.rate[0].tpr.value, 0);
        const double expected = log(normal(shift - 2.326) / 0.01);
        assert_between(expected - 0.6, epsilon, expected + 0.6);
    }
}

static void test_sides_that_do_not_touch(void **state)
{
    (void)state;
    const double member[] = {5, 6, 7, 8}, other[] = {1, 2, 3};
    lo_roc roc;
    assert_int_equal(lo_roc_make(member, 4, other, 3, &roc, NULL), LO_OK);
    assert_true(roc.auc.value == 1 && roc.auc.high == 1 && roc.auc.low < 0.9 && roc.accuracy == 1);
    assert_int_equal(lo_roc_make(other, 3, member, 4, &roc, NULL), LO_OK);
    assert_true(roc.auc.value == 0 && roc.auc.low == 0 && roc.auc.high > 0.1 && roc.accuracy == 0.5);
    assert_int_equal(lo_roc_make(member, 4, other, 0, &roc, NULL), LO_OK);
    assert_true(isnan(roc.auc.value) && roc.rate[0].refused != NULL);
    double tpr[2];
    const double fpr[] = {0, 0.1};
    assert_int_equal(lo_roc_curve(member, 4, other, 3, fpr, 2, tpr, NULL), LO_OK);
    assert_true(tpr[0] == 1 && isnan(tpr[1]));
    assert_true(isinf(lo_epsilon(0, 0.1, 0)) && lo_epsilon(0.5, 0.5, 0) == 0 &&
                lo_epsilon(0.9, 0.9, 1e-5) == 0);
    assert_true(fabs(lo_epsilon(0.1, 0.3, 0) - log(7)) < 1e-12);
}

static void shuffle(double *value, int64_t n, uint64_t stream)
{
    const lo_permutation order = lo_permutation_make(lo_random_make(3, LO_FOR_TEST), stream, (uint64_t)n);
    double *copy = malloc((size_t)n * sizeof(*copy));
    assert_non_null(copy);
    memcpy(copy, value, (size_t)n * sizeof(*copy));
    for (int64_t i = 0; i < n; i++) {
        value[i] = copy[lo_permutation_at(&order, (uint64_t)i)];
    }
    free(copy);
}

static void test_logistic_attack(void **state)
{
    (void)state;
    static double member[N], other[N];
    lo_guess equal, far, again;
    gaussian(member, N, 0, 10);
    gaussian(other, N, 0, 11);
    assert_int_equal(lo_mia_logistic(member, 700, other, N, 4, &equal, NULL), LO_OK);
    assert_int_equal(equal.used, 1400);
    assert_between(equal.accuracy.low, 0.5, equal.accuracy.high);
    assert_between(0.45, equal.accuracy.value, 0.55);
    gaussian(member, N, 2, 12);
    assert_int_equal(lo_mia_logistic(member, N, other, N, 4, &far, NULL), LO_OK);
    assert_between(normal(1) - 0.02, far.accuracy.value, normal(1) + 0.02);
    shuffle(member, N, 0);
    shuffle(other, N, 1);
    assert_int_equal(lo_mia_logistic(member, N, other, N, 4, &again, NULL), LO_OK);
    assert_memory_equal(&far, &again, sizeof(far));
    lo_error err = {0};
    assert_int_equal(lo_mia_logistic(member, 9, other, N, 4, &far, &err), LO_DATA);
    assert_non_null(strstr(err.text, "needs 10"));
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Split by split: the tenth that is held out is in no fit; the interval is wider than ten independent
 * accuracies would have it. */
static void test_logistic_attack_split_by_split(void **state)
{
    (void)state;
    enum { EACH = 53, HELD = 6, SEED = 21 };
    double x[2][EACH], accuracy[LO_SPLITS], mean = 0, squares = 0;
    for (int side = 0; side < 2; side++) {
        gaussian(x[side], EACH, side == 0 ? 0.9 : 0, (uint64_t)(40 + side));
    }
    lo_guess found;
    assert_int_equal(lo_mia_logistic(x[0], EACH, x[1], EACH, SEED, &found, NULL), LO_OK);
    for (int side = 0; side < 2; side++) {
        qsort(x[side], EACH, sizeof(double), ascending);
    }
    for (int s = 0; s < LO_SPLITS; s++) {
        double fit_x[2 * EACH], held_x[2 * HELD];
        uint8_t fit_member[2 * EACH], held_member[2 * HELD];
        int64_t fitted = 0, held = 0;
        for (int side = 0; side < 2; side++) {
            const lo_permutation order =
                lo_permutation_make(lo_random_make(SEED, LO_FOR_AUDIT), (uint64_t)(16 + 2 * s + side), EACH);
            for (uint64_t i = 0; i < EACH; i++) {
                const bool out = lo_permutation_at(&order, i) < HELD;
                *(out ? &held_x[held] : &fit_x[fitted]) = x[side][i];
                *(out ? &held_member[held] : &fit_member[fitted]) = side == 0;
                held += out;
                fitted += !out;
            }
        }
        const lo_logistic fit = lo_logistic_fit(fit_x, fit_member, fitted, 1);
        accuracy[s] = 0;
        for (int64_t i = 0; i < held; i++) {
            accuracy[s] +=
                (fit.slope * held_x[i] + fit.intercept > 0) == (held_member[i] != 0) ? 1.0 / (2 * HELD) : 0;
        }
        mean += accuracy[s] / LO_SPLITS;
    }
    for (int s = 0; s < LO_SPLITS; s++) {
        squares += (accuracy[s] - mean) * (accuracy[s] - mean);
    }
    const double t = 2.262157162740992, ratio = HELD / (double)(EACH - HELD); /* 9 degrees of freedom */
    const double half = t * sqrt((1.0 / LO_SPLITS + ratio) * squares / (LO_SPLITS - 1));
    assert_true(squares > 0 && mean - half > 0 && mean + half < 1);
    assert_true(fabs(found.accuracy.value - mean) < 1e-12);
    assert_true(fabs(found.accuracy.low - (mean - half)) < 1e-9);
    assert_true(fabs(found.accuracy.high - (mean + half)) < 1e-9);
}

static void test_support_vector_attack(void **state)
{
    (void)state;
    static double member[N], other[N], forget[N];
    gaussian(member, N, 2, 20);
    gaussian(other, N, 0, 21);
    gaussian(forget, N, 2, 22);
    lo_efficacy original, oracle, again;
    /* Forgotten examples as members are: few are taken for non-members; as non-members are: most. */
    const lo_points m = {member, N}, o = {other, 500}, like_members = {forget, 1000},
                    like_others = {other + 500, 1000};
    assert_int_equal(lo_mia_svc(m, o, like_members, 1, 0, 8, NULL, &original, NULL), LO_OK);
    assert_int_equal(original.fitted, 1000);
    assert_between(normal(-1) - 0.05, original.efficacy.value, normal(-1) + 0.05);
    assert_int_equal(lo_mia_svc(m, o, like_others, 1, 0, 8, NULL, &oracle, NULL), LO_OK);
    assert_between(normal(1) - 0.05, oracle.efficacy.value, normal(1) + 0.05);
    shuffle(member, N, 3);
    shuffle(other, 500, 4);
    assert_int_equal(lo_mia_svc(m, o, like_members, 1, 0, 8, NULL, &again, NULL), LO_OK);
    assert_memory_equal(&original, &again, sizeof(again));
    assert_int_equal(lo_mia_svc(m, o, like_members, 1, 100, 8, NULL, &again, NULL), LO_OK);
    assert_int_equal(again.fitted, 200);
    lo_error err = {0};
    const lo_points none = {forget, 0};
    assert_int_equal(lo_mia_svc(m, o, none, 1, 0, 8, NULL, &again, &err), LO_DATA);
    assert_non_null(strstr(err.text, "it needs"));
    forget[0] = NAN;
    assert_int_equal(lo_mia_svc(m, o, like_members, 1, 100, 8, NULL, &again, NULL), LO_OK);
    assert_int_equal(again.left_out, 1);

    /* What each is taken for adds up, and a part judged alone is taken for the same. */
    uint8_t each[1000], alone[1000];
    const int64_t n = like_members.count, half = n / 2;
    int64_t taken[3] = {0};
    assert_true(n <= 1000);
    assert_int_equal(lo_mia_svc_each(m, o, like_members, 1, 100, 8, NULL, &again, each, NULL), LO_OK);
    for (int64_t i = 0; i < n; i++) {
        taken[each[i]]++;
    }
    assert_int_equal(each[0], LO_SVC_LEFT_OUT);
    assert_int_equal(taken[LO_SVC_LEFT_OUT], 1);
    assert_true(again.efficacy.value == (double)taken[LO_SVC_OTHER] / (double)(n - 1));
    const lo_points rest = {like_members.value + half, n - half};
    assert_int_equal(lo_mia_svc_each(m, o, rest, 1, 100, 8, NULL, &again, alone, NULL), LO_OK);
    assert_memory_equal(each + half, alone, (size_t)(n - half));
    assert_true(taken[LO_SVC_MEMBER] > 0 && taken[LO_SVC_OTHER] > 0);
}

static void test_population_attack(void **state)
{
    (void)state;
    double population[1000], forget[200], other[1000];
    for (int i = 0; i < 1000; i++) {
        population[i] = (double)((i * 37) % 1000); /* 0 .. 999 in some order */
        other[i] = i + 0.5;
    }
    for (int i = 0; i < 200; i++) {
        forget[i] = i - 50.0;
    }
    lo_population_attack out;
    assert_int_equal(lo_mia_population(population, 1000, forget, 200, other, 1000, 0.01, &out, NULL), LO_OK);
    assert_true(out.threshold == 9 && out.found.value == 0.3 && out.false_found.value == 0.009);
    for (int i = 0; i < 1000; i++) {
        population[i] = population[i] < 8 ? population[i] : 8; /* nearly all equal: only 8 are below */
    }
    assert_int_equal(lo_mia_population(population, 1000, forget, 200, other, 0, 0.01, &out, NULL), LO_OK);
    assert_true(out.threshold == 7 && isnan(out.false_found.value));
    lo_error err = {0};
    assert_int_equal(lo_mia_population(population, 99, forget, 200, other, 0, 0.01, &out, &err), LO_DATA);
    assert_non_null(strstr(err.text, "needs 100"));
}

static void test_non_members_of_the_same_class(void **state)
{
    (void)state;
    const int32_t test_label[] = {0, 1, 2, 1, 0, 2}, forget_label[] = {9, 2, 0, 2};
    const uint32_t forget[] = {1, 3}, rows[] = {5, 4, 2, 0}, both[] = {1, 2};
    uint32_t out[6];
    int64_t found = 0;
    assert_int_equal(lo_same_class(test_label, rows, 4, forget_label, forget, 2, 3, out, &found, NULL),
                     LO_OK);
    assert_true(found == 2 && out[0] == 5 && out[1] == 2);
    assert_int_equal(lo_same_class(test_label, NULL, 6, forget_label, both, 2, 3, out, &found, NULL), LO_OK);
    assert_true(found == 4 && out[0] == 0 && out[3] == 5);
    lo_error err = {0};
    assert_int_equal(lo_same_class(test_label, NULL, 2, forget_label, forget, 2, 3, out, &found, &err),
                     LO_DATA);
    assert_non_null(strstr(err.text, "same classes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_gaussians),
        cmocka_unit_test(test_sides_that_do_not_touch),
        cmocka_unit_test(test_logistic_attack),
        cmocka_unit_test(test_logistic_attack_split_by_split),
        cmocka_unit_test(test_support_vector_attack),
        cmocka_unit_test(test_population_attack),
        cmocka_unit_test(test_non_members_of_the_same_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
