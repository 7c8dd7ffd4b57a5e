/* Rank statistics against definitions by pairs. */
#include "unit/score_fixture.h"

#include "score/rank.h"

#include <math.h>

enum { N = 157 };

/* Values on few levels, so that there are ties, some of them NaN; y leans on x. */
static void draw(double *x, double *y, uint8_t *positive, uint64_t stream, uint64_t levels)
{
    const lo_random random = lo_random_make(11, LO_FOR_TEST);
    for (uint64_t i = 0; i < N; i++) {
        x[i] = (double)lo_random_below(random, stream, 4 * i, levels);
        y[i] = x[i] + (double)lo_random_below(random, stream, 4 * i + 1, 2 * levels);
        positive[i] = (double)lo_random_below(random, stream, 4 * i + 2, 3 * levels) < y[i] ? 200 : 0;
        if (lo_random_below(random, stream, 4 * i + 3, 9) == 0) {
            *(i % 2 ? &x[i] : &y[i]) = NAN;
        }
    }
}

/* Pearson's correlation as a sum over all pairs of examples: no means, no ranks by sorting. */
static double pearson_by_pairs(const double *x, const double *y)
{
    double xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            if (!isnan(x[i]) && !isnan(y[i]) && !isnan(x[j]) && !isnan(y[j])) {
                xx += (x[i] - x[j]) * (x[i] - x[j]);
                yy += (y[i] - y[j]) * (y[i] - y[j]);
                xy += (x[i] - x[j]) * (y[i] - y[j]);
            }
        }
    }
    return xy / sqrt(xx * yy);
}

/* Rank as one plus how many are smaller plus half of how many others are equal, among complete pairs. */
static void ranks_by_counting(const double *x, const double *other, double *rank)
{
    for (int i = 0; i < N; i++) {
        double r = 1;
        for (int j = 0; j < N; j++) {
            if (j != i && !isnan(other[j])) {
                r += x[j] < x[i] ? 1 : x[j] == x[i] ? 0.5 : 0;
            }
        }
        rank[i] = isnan(x[i]) ? NAN : r;
    }
}

static void test_correlations_equal_sums_over_pairs(void **state)
{
    (void)state;
    for (uint64_t levels = 2; levels < 3000; levels *= 6) {
        double x[N], y[N], rank_x[N], rank_y[N];
        uint8_t positive[N];
        draw(x, y, positive, levels, levels);
        int64_t complete = 0;
        for (int i = 0; i < N; i++) {
            complete += !isnan(x[i]) && !isnan(y[i]);
        }
        assert_true(complete < N);
        const lo_agreement p = lo_pearson(x, y, N);
        assert_true(fabs(p.value - pearson_by_pairs(x, y)) < 1e-12);
        assert_int_equal(p.used, complete);
        assert_int_equal(p.left_out, N - complete);

        ranks_by_counting(x, y, rank_x);
        ranks_by_counting(y, x, rank_y);
        lo_agreement s;
        assert_int_equal(lo_spearman(x, y, N, &s, NULL), LO_OK);
        assert_true(fabs(s.value - pearson_by_pairs(rank_x, rank_y)) < 1e-12);
        assert_int_equal(s.used, complete);
        assert_int_equal(s.left_out, N - complete);
    }
}

static void test_auc_is_the_share_of_ordered_pairs(void **state)
{
    (void)state;
    for (uint64_t levels = 2; levels < 3000; levels *= 6) {
        double x[N], y[N], wins = 0, pairs = 0;
        uint8_t positive[N];
        draw(x, y, positive, 50 + levels, levels);
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                if (positive[i] && !positive[j] && !isnan(y[i]) && !isnan(y[j])) {
                    wins += y[i] > y[j] ? 1 : y[i] == y[j] ? 0.5 : 0;
                    pairs++;
                }
            }
        }
        assert_true(pairs > 0);
        lo_agreement a;
        assert_int_equal(lo_auc(y, positive, N, &a, NULL), LO_OK);
        assert_true(fabs(a.value - wins / pairs) < 1e-12);
        assert_int_equal(a.used + a.left_out, N);
        assert_true(a.left_out > 0);
    }
}

static void test_ends_of_the_scale(void **state)
{
    (void)state;
    const double up[] = {1, 2, 3, 4, INFINITY}, squares[] = {1, 4, 9, 16, 25},
                 down[] = {5, 3, 2, 1, -INFINITY};
    const double same[] = {2, 2, 2, 2, 2};
    const uint8_t last[] = {0, 0, 0, 1, 1}, all[] = {1, 1, 1, 1, 1};
    lo_agreement a;
    assert_int_equal(lo_spearman(up, squares, 5, &a, NULL), LO_OK);
    assert_true(a.value == 1);
    assert_int_equal(lo_spearman(up, down, 5, &a, NULL), LO_OK);
    assert_true(a.value == -1);
    assert_int_equal(lo_spearman(up, same, 5, &a, NULL), LO_OK);
    assert_true(isnan(a.value) && a.used == 5);
    assert_int_equal(lo_spearman(up, down, 0, &a, NULL), LO_OK);
    assert_true(isnan(a.value) && a.used == 0);
    assert_int_equal(lo_spearman(up, down, 1, &a, NULL), LO_OK);
    assert_true(isnan(a.value) && a.used == 1);
    assert_true(isnan(lo_pearson(up, squares, 5).value));
    assert_true(isnan(lo_pearson(same, squares, 5).value));
    assert_int_equal(lo_auc(up, last, 5, &a, NULL), LO_OK);
    assert_true(a.value == 1);
    assert_int_equal(lo_auc(down, last, 5, &a, NULL), LO_OK);
    assert_true(a.value == 0);
    assert_int_equal(lo_auc(same, last, 5, &a, NULL), LO_OK);
    assert_true(a.value == 0.5);
    assert_int_equal(lo_auc(up, all, 5, &a, NULL), LO_OK);
    assert_true(isnan(a.value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_correlations_equal_sums_over_pairs),
        cmocka_unit_test(test_auc_is_the_share_of_ordered_pairs),
        cmocka_unit_test(test_ends_of_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
