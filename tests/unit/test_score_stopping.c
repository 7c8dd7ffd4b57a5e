/* When an ensemble has models enough: the numbers at which it is looked at, the error over examples, the
 * bound.
 */
#include "score/stopping.h"
#include "score/subset.h"
#include "unit/score_fixture.h"

#include <math.h>

static lo_design make(const char *name, int64_t models, double ratio)
{
    lo_design d;
    assert_int_equal(lo_design_subsets(name, 1000, models, ratio, 1, &d, NULL), LO_OK);
    return d;
}

static void expect_looks(lo_design design, int64_t first, const int64_t *looks)
{
    int64_t now = 0;
    for (int i = 0; looks[i] > 0; i++) {
        now = lo_stopping_next(&design, first, now);
        assert_int_equal(now, looks[i]);
    }
    assert_int_equal(now, design.models);
    assert_int_equal(lo_stopping_next(&design, first, now), now);
}

static void test_looks(void **state)
{
    (void)state;
    expect_looks(make("random", 50, 0.7), 20, (const int64_t[]){20, 25, 32, 40, 50, 0});
    expect_looks(make("random", 2, 0.7), 1, (const int64_t[]){1, 2, 0});
    expect_looks(make("balanced", 73, 0.7), 20, (const int64_t[]){20, 30, 40, 50, 70, 73, 0});
    expect_looks(make("complementary", 24, 0.5), 9, (const int64_t[]){10, 14, 18, 24, 0});
    expect_looks(make("balanced", 15, 0.7), 20, (const int64_t[]){15, 0});
    const lo_design many = make("balanced", INT64_MAX / 4, 0.7);
    int looks = 0;
    for (int64_t now = 0; now < many.models; now = lo_stopping_next(&many, INT64_MAX / 8, now)) {
        looks++;
    }
    assert_true(looks > 2 && looks < 8);
    /* Those of an ensemble that may grow further are the same but for the last. */
    const lo_design few = make("random", 60, 0.7);
    assert_int_equal(lo_stopping_next(&few, 20, 40), 50);
}

static double over(const float *error, int64_t n, lo_over which)
{
    double out = -1;
    assert_int_equal(lo_stopping_error(error, n, which, &out, NULL), LO_OK);
    return out;
}

static void test_errors(void **state)
{
    (void)state;
    const float ten[] = {0.5F, 0.25F, 1.0F, 0.125F, 2.0F, 4.0F, 8.0F, 0.0625F, 16.0F, 32.0F};
    assert_true(over(ten, 10, LO_OVER_MEAN) == 6.39375);
    assert_true(over(ten, 10, LO_OVER_MEDIAN) == 1.0); /* five are at most 1 */
    assert_true(over(ten, 10, LO_OVER_P90) == 16.0);
    assert_true(over(ten, 10, LO_OVER_LARGEST) == 32.0);
    assert_true(over(ten, 3, LO_OVER_MEDIAN) == 0.5);
    assert_true(over(ten, 1, LO_OVER_P90) == 0.5);
    assert_true(over(ten, 0, LO_OVER_LARGEST) == 0.0);
    const float lacking[] = {0.5F, NAN, 0.25F};
    assert_true(isinf(over(lacking, 3, LO_OVER_MEAN)));
    assert_true(over(lacking, 3, LO_OVER_MEDIAN) == 0.5);
    assert_true(isinf(over(lacking, 3, LO_OVER_P90)));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(lo_over_named(lo_over_name((lo_over)i)), i);
    }
}

/* The largest error that any outcomes leave, tried out, is above the target one look earlier, and not then.
 */
static void test_bound(void **state)
{
    (void)state;
    const double targets[] = {0.2, 0.1, 0.05, 0.02};
    const lo_design designs[] = {make("balanced", 100000, 0.7), make("complementary", 100000, 0.5)};
    for (int d = 0; d < 2; d++) {
        for (int t = 0; t < 4; t++) {
            const int64_t bound = lo_stopping_bound(&designs[d], 10, targets[t]);
            int64_t before = 0;
            for (int64_t now = 0; now < bound; now = lo_stopping_next(&designs[d], 10, now)) {
                before = now;
            }
            double worst[2] = {0, 0};
            for (int w = 0; w < 2; w++) {
                const int64_t models = w == 0 ? before : bound;
                const int64_t in = d == 0 ? models / 10 * 7 : models / 2;
                for (int64_t a = 0; a <= in; a += in > 100 ? in / 20 : 1) {
                    const int64_t out = models - in;
                    for (int64_t b = 0; b <= (d == 0 ? out : in - a); b += in > 100 ? in / 20 : 1) {
                        const lo_estimate e =
                            d == 0 ? lo_difference(a, in, b, out) : lo_paired_difference(a, b, in);
                        const double factor = d == 0 ? sqrt(10.0 / 9.0) : 1;
                        worst[w] = fmax(worst[w], factor * (double)e.standard_error);
                    }
                }
            }
            assert_true(worst[1] <= targets[t]);
            assert_true(worst[0] > 0.97 * targets[t]);
        }
    }
    const lo_design small = make("balanced", 40, 0.7);
    assert_int_equal(lo_stopping_bound(&small, 10, 0.01), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
