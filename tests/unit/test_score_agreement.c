/* Agreement of scores: ties, resamples and examples without a score, against samples written out and ties
 * broken at random. Values against scipy: tests/oracle/test_agreement.c. */
#include "unit/score_fixture.h"

#include "score/agreement.h"
#include "score/bootstrap.h"
#include "score/comparison.h"
#include "score/rank.h"

#include <math.h>
#include <string.h>

enum { N = 90 };

static void draw(double *x, double *y, uint64_t stream, uint64_t levels)
{
    const lo_random random = lo_random_make(31, LO_FOR_TEST);
    for (uint64_t i = 0; i < N; i++) {
        x[i] = (double)lo_random_below(random, stream, 2 * i, levels);
        y[i] = x[i] + (double)lo_random_below(random, stream, 2 * i + 1, levels);
    }
}

/* A resample by weights is the sample with its copies written out. */
static void test_weights_are_copies(void **state)
{
    (void)state;
    double x[N], y[N], long_x[N], long_y[N];
    int32_t weight[N];
    draw(x, y, 1, 12);
    x[4] = NAN;
    y[7] = NAN;
    lo_resample(3, 5, N, weight);
    weight[4] = weight[4] > 0 ? weight[4] : 1;
    int64_t count = 0;
    for (int i = 0; i < N; i++) {
        for (int32_t copy = 0; copy < weight[i] && count < N; copy++) {
            long_x[count] = x[i];
            long_y[count++] = y[i];
        }
    }
    lo_pairing by_weight, by_copy;
    assert_int_equal(lo_pairing_create(x, y, N, &by_weight, NULL), LO_OK);
    assert_int_equal(lo_pairing_create(long_x, long_y, count, &by_copy, NULL), LO_OK);
    assert_int_equal(by_weight.used, N - 2);
    assert_true(fabs(lo_paired_pearson(&by_weight, weight) - lo_paired_pearson(&by_copy, NULL)) < 1e-13);
    assert_true(fabs(lo_paired_spearman(&by_weight, weight) - lo_paired_spearman(&by_copy, NULL)) < 1e-13);
    assert_true(lo_paired_auc(&by_weight, 11, weight) == lo_paired_auc(&by_copy, 11, NULL));
    assert_true(fabs(lo_paired_precision(&by_weight, 11, weight) - lo_paired_precision(&by_copy, 11, NULL)) <
                1e-13);
    for (int kind = LO_GROUP_TOP; kind <= LO_GROUP_AT_QUANTILE; kind++) {
        const lo_group group = {(lo_group_kind)kind, 20, 0.7};
        const lo_overlap a = lo_paired_overlap(&by_weight, group, group, weight);
        const lo_overlap b = lo_paired_overlap(&by_copy, group, group, NULL);
        assert_true(fabs(a.share - b.share) < 1e-13 && fabs(a.mean - b.mean) < 1e-12);
    }
    lo_pairing_destroy(&by_weight);
    lo_pairing_destroy(&by_copy);
}

/* Somers' D over all pairs of copies. */
static double somers_directly(const double *x, const double *y, const int32_t *weight)
{
    double excess = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            const double copies = weight != NULL ? (double)weight[i] * weight[k] : 1;
            if (!isnan(x[i]) && !isnan(x[k]) && y[i] < y[k]) {
                pairs += copies;
                excess += x[i] < x[k] ? copies : x[i] > x[k] ? -copies : 0;
            }
        }
    }
    return excess / pairs;
}

static void test_somers(void **state)
{
    (void)state;
    static const uint64_t levels[] = {2, 3, 12, 100000};
    double x[N], y[N], rough[N];
    int32_t weight[N];
    lo_pairing p;
    for (uint64_t k = 0; k < 4; k++) {
        draw(x, y, 40 + k, levels[k]);
        x[3] = NAN;
        y[8] = NAN;
        lo_resample(9, (int64_t)k, N, weight);
        assert_int_equal(lo_pairing_create(x, y, N, &p, NULL), LO_OK);
        assert_true(lo_paired_somers(&p, NULL) == somers_directly(x, y, NULL));
        assert_true(lo_paired_somers(&p, weight) == somers_directly(x, y, weight));
        assert_true(lo_paired_somers(&p, NULL) < 0.999 && lo_paired_somers(&p, NULL) > 0.1);
        lo_pairing_destroy(&p);
    }
    /* a score without ties that orders as a reference with ties does: 1, where ranks' correlation is less */
    for (int i = 0; i < N; i++) {
        x[i] = i * 37 % N;
        y[i] = fmax(0, floor(x[i] / 10) - 4);
        rough[i] = y[i] > 1 ? 1 : 0;
    }
    assert_int_equal(lo_pairing_create(x, y, N, &p, NULL), LO_OK);
    assert_true(lo_paired_somers(&p, NULL) == 1 && lo_paired_spearman(&p, NULL) < 0.95);
    lo_pairing_destroy(&p);
    assert_int_equal(lo_pairing_create(x, rough, N, &p, NULL), LO_OK);
    assert_true(lo_paired_somers(&p, NULL) == 2 * lo_paired_auc(&p, 0.5, NULL) - 1);
    lo_pairing_destroy(&p);
    assert_int_equal(lo_pairing_create(rough, y, N, &p, NULL), LO_OK);
    assert_true(lo_paired_somers(&p, NULL) == somers_directly(rough, y, NULL));
    assert_true(lo_paired_somers(&p, NULL) < 1);
    lo_pairing_destroy(&p);
    double flat[N] = {0};
    assert_int_equal(lo_pairing_create(x, flat, N, &p, NULL), LO_OK);
    assert_true(isnan(lo_paired_somers(&p, NULL)));
    lo_pairing_destroy(&p);
    assert_int_equal(lo_pairing_create(flat, x, N, &p, NULL), LO_OK);
    assert_true(isnan(lo_paired_somers(&p, NULL)));
    lo_pairing_destroy(&p);
}

/* The distances to the centre with ties broken at random: who are the K nearest? */
static void choose_at_random(const double *key, int size, uint64_t stream, uint8_t *chosen)
{
    const lo_random random = lo_random_make(77, LO_FOR_TEST);
    double jittered[N];
    for (uint64_t i = 0; i < N; i++) {
        jittered[i] = key[i] + 1e-3 * (double)lo_random_unit(random, stream, i);
    }
    for (int i = 0; i < N; i++) {
        int before = 0;
        for (int k = 0; k < N; k++) {
            before += jittered[k] < jittered[i];
        }
        chosen[i] = before < size;
    }
}

static void test_overlap_is_what_random_ties_have_on_average(void **state)
{
    (void)state;
    enum { TRIALS = 2000, SIZE = 25 };
    double x[N], y[N], key_x[N], key_y[N], common = 0, mean = 0;
    uint8_t in_x[N], in_y[N];
    draw(x, y, 2, 5);
    for (int i = 0; i < N; i++) {
        key_x[i] = fabs(x[i] - 3);
        key_y[i] = -y[i];
    }
    for (uint64_t t = 0; t < TRIALS; t++) {
        choose_at_random(key_x, SIZE, 2 * t, in_x);
        choose_at_random(key_y, SIZE, 2 * t + 1, in_y);
        for (int i = 0; i < N; i++) {
            common += in_x[i] && in_y[i] ? 1.0 / SIZE / TRIALS : 0;
            mean += in_x[i] ? y[i] / SIZE / TRIALS : 0;
        }
    }
    lo_pairing pairing;
    assert_int_equal(lo_pairing_create(x, y, N, &pairing, NULL), LO_OK);
    const lo_overlap got = lo_paired_overlap(&pairing, (lo_group){LO_GROUP_NEAR_VALUE, SIZE, 3},
                                             (lo_group){LO_GROUP_TOP, SIZE, 0}, NULL);
    assert_true(fabs(got.share - common) < 0.01 && got.share < 1);
    assert_true(fabs(got.mean - mean) < 0.05);
    lo_pairing_destroy(&pairing);
}

static void test_groups_add_up_and_refuse(void **state)
{
    (void)state;
    double x[N], y[N], share[N];
    draw(x, y, 3, 6);
    lo_pairing pairing;
    assert_int_equal(lo_pairing_create(x, y, N, &pairing, NULL), LO_OK);
    for (int kind = LO_GROUP_TOP; kind <= LO_GROUP_AT_QUANTILE; kind++) {
        for (int64_t size = 1; size <= N; size++) {
            double sum = 0;
            assert_true(lo_paired_group(&pairing, LO_SIDE_X, (lo_group){(lo_group_kind)kind, size, 0.9}, NULL,
                                        share));
            for (int i = 0; i < N; i++) {
                assert_true(share[i] >= 0 && share[i] <= 1);
                sum += share[i];
            }
            assert_true(fabs(sum - (double)size) < 1e-9);
        }
        const lo_group large = {(lo_group_kind)kind, N + 1, 0.5}, none = {(lo_group_kind)kind, 0, 0.5};
        assert_false(lo_paired_group(&pairing, LO_SIDE_X, large, NULL, share));
        assert_false(lo_paired_group(&pairing, LO_SIDE_X, none, NULL, share));
        assert_true(isnan(lo_paired_overlap(&pairing, large, large, NULL).share));
    }
    lo_pairing_destroy(&pairing);
}

/* A distinct score against itself has everything in common, against its opposite nothing but the middle. */
static void test_ends_of_the_scale(void **state)
{
    (void)state;
    double x[N], down[N];
    for (int i = 0; i < N; i++) {
        x[i] = i == N - 1 ? INFINITY : (double)(i * 37 % N);
        down[i] = -x[i];
    }
    lo_pairing same, opposite;
    assert_int_equal(lo_pairing_create(x, x, N, &same, NULL), LO_OK);
    assert_int_equal(lo_pairing_create(down, x, N, &opposite, NULL), LO_OK);
    const lo_group top = {LO_GROUP_TOP, 10, 0}, bottom = {LO_GROUP_BOTTOM, 10, 0},
                   middle = {LO_GROUP_AT_QUANTILE, 10, 0.5};
    assert_true(lo_paired_overlap(&same, top, top, NULL).share == 1);
    assert_true(lo_paired_overlap(&same, bottom, bottom, NULL).share == 1);
    assert_true(lo_paired_overlap(&opposite, top, top, NULL).share == 0);
    assert_true(lo_paired_overlap(&opposite, middle, middle, NULL).share == 1);
    assert_true(lo_paired_spearman(&opposite, NULL) == -1);
    assert_true(lo_paired_auc(&same, 30, NULL) == 1 && lo_paired_precision(&same, 30, NULL) == 1);
    assert_true(isnan(lo_paired_auc(&same, INFINITY, NULL)));
    assert_true(isnan(lo_paired_pearson(&same, NULL)));
    lo_pairing_destroy(&same);
    lo_pairing_destroy(&opposite);
    assert_int_equal(lo_pairing_create(x, x, 0, &same, NULL), LO_OK);
    assert_true(isnan(lo_paired_spearman(&same, NULL)) &&
                isnan(lo_paired_quantile(&same, LO_SIDE_X, 0, NULL)));
    assert_true(isnan(lo_paired_overlap(&same, top, top, NULL).share));
    lo_pairing_destroy(&same);
}

/* Of two scores in one comparison, each has the statistics that it has alone. */
static void test_a_comparison_is_its_statistics(void **state)
{
    (void)state;
    double x[N], z[N], y[N], value[2 * LO_COMPARED_COUNT], noise[N];
    uint8_t noisy[N];
    int32_t weight[N];
    draw(x, y, 5, 9);
    draw(z, noise, 6, 7);
    for (int i = 0; i < N; i++) {
        y[i] /= 16;
        noisy[i] = noise[i] > 9 ? 7 : 0;
        noise[i] = noisy[i] != 0;
    }
    lo_resample(1, 2, N, weight);
    const double *const scores[] = {x, z};
    lo_comparison c;
    assert_int_equal(lo_comparison_create(scores, 2, y, noisy, N, 13, NULL, &c, NULL), LO_OK);
    assert_int_equal(lo_comparison_compute(&c, weight, value, NULL), LO_OK);
    for (int s = 0; s < 2; s++) {
        const double *v = value + s * LO_COMPARED_COUNT;
        lo_pairing p, q;
        assert_int_equal(lo_pairing_create(scores[s], y, N, &p, NULL), LO_OK);
        assert_int_equal(lo_pairing_create(scores[s], noise, N, &q, NULL), LO_OK);
        const lo_group half = {LO_GROUP_NEAR_VALUE, 13, 0.5}, bottom = {LO_GROUP_BOTTOM, 13, 0};
        const lo_group rank = {LO_GROUP_AT_QUANTILE, 13, lo_paired_quantile(&p, LO_SIDE_Y, 0.5, weight)};
        const lo_group top = {LO_GROUP_TOP, 13, 0}, median = {LO_GROUP_NEAR_MEDIAN, 13, 0};
        const lo_group mine[] = {top, median, rank, bottom}, its[] = {top, half, half, bottom};
        for (int g = 0; g < 4; g++) {
            const lo_overlap found = lo_paired_overlap(&p, mine[g], its[g], weight);
            assert_true(v[LO_COMPARED_TOP + g] == found.share);
            assert_true(v[LO_COMPARED_TOP_MEAN + g] == found.mean);
        }
        assert_true(v[LO_COMPARED_SOMERS] == lo_paired_somers(&p, weight));
        assert_true(v[LO_COMPARED_PEARSON] == lo_paired_pearson(&p, weight));
        assert_true(v[LO_COMPARED_AUC_HALF] == lo_paired_auc(&p, 0.5, weight));
        assert_true(v[LO_COMPARED_NOISE_AUC] == lo_paired_auc(&q, 0.5, weight));
        assert_true(v[LO_COMPARED_SPEARMAN] == lo_paired_spearman(&p, weight));
        assert_true(v[LO_COMPARED_AUC_QUARTER] == lo_paired_auc(&p, 0.25, weight));
        assert_true(v[LO_COMPARED_MIDDLE_RANK] == lo_paired_overlap(&p, rank, half, weight).share);
        assert_true(v[LO_COMPARED_BOTTOM_MEAN] == lo_paired_overlap(&p, bottom, bottom, weight).mean);
        assert_true(v[LO_COMPARED_NOISE_PRECISION] == lo_paired_precision(&q, 0.5, weight));
        lo_pairing_destroy(&p);
        lo_pairing_destroy(&q);
    }
    lo_comparison_destroy(&c);
    for (int k = 0; k < LO_COMPARED_COUNT; k++) {
        assert_true(strlen(lo_compared_name((lo_compared)k)) > 0 &&
                    strlen(lo_compared_help((lo_compared)k)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_copies),
        cmocka_unit_test(test_somers),
        cmocka_unit_test(test_overlap_is_what_random_ties_have_on_average),
        cmocka_unit_test(test_groups_add_up_and_refuse),
        cmocka_unit_test(test_ends_of_the_scale),
        cmocka_unit_test(test_a_comparison_is_its_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
