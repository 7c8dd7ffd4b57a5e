/* Forgetting quality and KLOM on planted populations: equal Gaussians, shifted ones, too few models. */
#include "audit/forgetting_quality.h"
#include "audit/klom.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MODELS = 512, EXAMPLES = 60 };

static void assert_between(double low, double value, double high)
{
    if (!(low <= value && value <= high)) {
        fail_msg("%g is not between %g and %g", value, low, high);
    }
}

static void gaussian(float *out, int64_t count, float mean, float deviation, uint64_t stream)
{
    const lo_random random = lo_random_make(19, LO_FOR_TEST);
    for (int64_t i = 0; i < count; i++) {
        out[i] = mean + deviation * lo_random_normal(random, stream, (uint64_t)i);
    }
}

/* What a perfect method has: unlearning.md's simulation says 0.183 at a standard deviation of 1.5, and 0.05,
 * 0.011 at shifts of half and one. */
static void test_ceiling_is_not_one(void **state)
{
    (void)state;
    float *u = malloc(2 * MODELS * EXAMPLES * sizeof(*u)), *r = u + MODELS * EXAMPLES;
    double epsilon[EXAMPLES], quality = 0, mean = 0, again = 0;
    gaussian(u, MODELS * EXAMPLES, 0, 1.5F, 1);
    gaussian(r, MODELS * EXAMPLES, 0, 1.5F, 2);
    assert_int_equal(
        lo_forgetting_quality(u, MODELS, r, MODELS, EXAMPLES, EXAMPLES, epsilon, &quality, NULL, NULL),
        LO_OK);
    assert_between(0.16, quality, 0.21);
    for (int i = 0; i < EXAMPLES; i++) {
        mean += epsilon[i] / EXAMPLES;
    }
    assert_between(1.35, mean, 1.75);
    /* Neither the order of models nor which side is which matters to a rule's errors but through the medians.
     */
    for (int64_t m = 0; m < MODELS / 2; m++) {
        for (int64_t i = 0; i < EXAMPLES; i++) {
            const float x = u[m * EXAMPLES + i];
            u[m * EXAMPLES + i] = u[(MODELS - 1 - m) * EXAMPLES + i];
            u[(MODELS - 1 - m) * EXAMPLES + i] = x;
        }
    }
    assert_int_equal(
        lo_forgetting_quality(u, MODELS, r, MODELS, EXAMPLES, EXAMPLES, NULL, &again, NULL, NULL), LO_OK);
    assert_true(again == quality);
    for (int s = 0; s < 2; s++) {
        gaussian(u, MODELS * EXAMPLES, s == 0 ? 0.75F : 1.5F, 1.5F, 3);
        assert_int_equal(
            lo_forgetting_quality(u, MODELS, r, MODELS, EXAMPLES, EXAMPLES, NULL, &quality, NULL, NULL),
            LO_OK);
        assert_between(s == 0 ? 0.035 : 0.006, quality, s == 0 ? 0.07 : 0.017);
    }
    free(u);
}

static void test_points(void **state)
{
    (void)state;
    assert_true(lo_forgetting_points(0, 512) == 1 && lo_forgetting_points(0.5, 512) == 0.5);
    assert_true(lo_forgetting_points(6.99, 512) == ldexp(1, -13) && lo_forgetting_points(7, 512) == 0);
    assert_true(lo_forgetting_points(50, 512) == 0 && lo_forgetting_points(1.2, 4) == 0.25);
}

static void test_few_models(void **state)
{
    (void)state;
    const double equal[] = {1, 1, 1}, other[] = {2, 2};
    double epsilon = -1;
    assert_int_equal(lo_forgetting_epsilon(equal, 3, equal, 3, &epsilon, NULL), LO_OK);
    assert_true(epsilon == 0);
    assert_int_equal(lo_forgetting_epsilon(equal, 3, other, 2, &epsilon, NULL), LO_OK);
    assert_true(epsilon == 50);
    lo_error err = {0};
    assert_int_equal(lo_forgetting_epsilon(equal, 3, other, 1, &epsilon, &err), LO_DATA);
    assert_non_null(strstr(err.text, "needs 2"));
    float lost[] = {1, 2, NAN, 1};
    double quality;
    assert_int_equal(lo_forgetting_quality(lost, 2, lost + 2, 2, 1, 1, NULL, &quality, NULL, &err), LO_DATA);
    assert_non_null(strstr(err.text, "NaN"));
    double klom[1], high;
    assert_int_equal(lo_kloms(lost, 1, lost, 2, 1, 1, klom, &high, &err), LO_DATA);
    assert_int_equal(lo_kloms(lost, 2, lost + 2, 2, 1, 1, klom, &high, &err), LO_OK);
    assert_true(isnan(klom[0]) && isnan(high));
}

static void test_klom(void **state)
{
    (void)state;
    double u[1000], r[1000];
    for (int i = 0; i < 1000; i++) {
        u[i] = i % 100;
        r[i] = (i + 37) % 100;
    }
    assert_true(lo_klom(u, 1000, r, 1000) < 1e-12); /* the same margins in another order */
    assert_true(lo_klom(u, 1, u, 1) == 0);
    /* Half of the unlearned models where no oracle is: log of 1/2 over 1e-5 and over 1, half each. */
    const double two[] = {0, 1}, one[] = {0, 0};
    const double expected = 0.5 * log(0.5 / (1e-5 / 1.00001)) + 0.5 * log(0.5 / (1 / 1.00001));
    assert_true(fabs(lo_klom(two, 2, one, 2) - expected) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling_is_not_one),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_few_models),
        cmocka_unit_test(test_klom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
