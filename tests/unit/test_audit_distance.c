/* Weight distances, relearning, features at the ends of float, and means over seeds: closed forms. */
#include "audit/distance.h"
#include "audit/feature.h"
#include "audit/interval.h"
#include "audit/relearn.h"
#include "audit/weight_distance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * (1 + fabs(expected)))) {
        fail_msg("%.15g instead of %.15g", value, expected);
    }
}

static void test_weights(void **state)
{
    (void)state;
    const float a[] = {3, 0, 4, 1, 1}, b[] = {0, 4, 4, 1, 2};
    const lo_weight_distance layer[2] = {lo_weights_apart(a, b, 3), lo_weights_apart(a + 3, b + 3, 2)};
    assert_near(layer[0].distance, 5);
    assert_near(layer[0].relative, 2 * 5 / (5 + sqrt(32)));
    assert_near(layer[1].distance, 1);
    const lo_weight_distance all = lo_weights_apart_in_all(layer, 2), whole = lo_weights_apart(a, b, 5);
    assert_near(all.distance, whole.distance);
    assert_near(all.relative, whole.relative);
    assert_true(lo_weights_apart(a, a, 5).relative == 0); /* a model that is the original */
}

static void test_relearning(void **state)
{
    (void)state;
    const double loss[] = {2.3, NAN, 0.5, 0.1 + 0.9e-5, 0.2};
    assert_int_equal(lo_relearn_epochs(loss, 5, 0.1, 1e-5), 3);
    assert_int_equal(lo_relearn_epochs(loss, 5, 0.1, 0.8e-5), -1);
    assert_int_equal(lo_relearn_epochs(loss, 5, 2.3, 0), 0); /* a model that is the original */
    assert_near(lo_anamnesis(3, 12), 0.25);
    assert_true(isnan(lo_anamnesis(-1, 12)) && isnan(lo_anamnesis(3, 0)) && isnan(lo_anamnesis(3, -1)));
}

/* Where p is 1 in double its complement is not 0: log(1 - p) and entropies keep it. */
static void test_features_of_a_sure_model(void **state)
{
    (void)state;
    const float z[] = {0, 60, 0, 0, 0, -800};
    const int32_t label[] = {1, 0};
    const lo_logits logits = {z, label, 2, 3};
    double out[2];
    lo_features(&logits, NULL, 0, LO_FEATURE_LOSS, out);
    assert_true(fabs(out[0] / (2 * exp(-60)) - 1) < 1e-12);
    lo_features(&logits, NULL, 0, LO_FEATURE_MARGIN, out);
    assert_near(out[0], 60 - M_LN2);
    lo_features(&logits, NULL, 0, LO_FEATURE_ENTROPY, out);
    assert_true(fabs(out[0] / (2 * exp(-60) * 61) - 1) < 1e-12);
    assert_near(out[1], M_LN2);
    lo_features(&logits, NULL, 0, LO_FEATURE_MODIFIED_ENTROPY, out);
    assert_true(out[0] > 0 && out[0] < 1e-50);
    assert_near(out[1], M_LN2); /* half of log 2 for the label, half for the other, nothing for the third */
    double js = 0;
    const float opposite[] = {60, 0, 0, 0, 0, -800};
    const lo_logits other = {opposite, label, 2, 3};
    const uint32_t first = 0;
    assert_int_equal(lo_mean_distance(&logits, &other, &first, 1, LO_JS, &js, NULL), LO_OK);
    assert_near(js, M_LN2); /* the most there is */
    assert_near(lo_zrf(js), 1 - M_LN2);
    const float far[] = {0, -720, -720, 0}; /* e^720 is beyond double, e^-720 is not 0 */
    const lo_logits one = {far, label, 1, 2}, another = {far + 2, label, 1, 2};
    assert_int_equal(lo_mean_distance(&one, &another, NULL, 0, LO_JS, &js, NULL), LO_OK);
    assert_near(js, M_LN2);
    const float lost[] = {0, NAN, 0, 0, 0, 0};
    const lo_logits nan = {lost, label, 2, 3};
    for (int f = 1; f < LO_FEATURE_KINDS; f++) {
        lo_features(&nan, NULL, 0, (lo_feature)f, out);
        assert_true(isnan(out[0]) && !isnan(out[1]));
    }
    assert_int_equal(lo_distances(&nan, &nan, NULL, 0, LO_DISAGREEMENT, out, NULL), LO_OK);
    assert_true(out[0] == 1 && out[1] == 0);
}

static void test_differences_inside_the_noise(void **state)
{
    (void)state;
    const double value[] = {0.90, 0.91, 0.92}, near[] = {0.91, 0.90, 0.92}, far[] = {0.80, 0.81, 0.83};
    assert_true(lo_inside_noise(lo_student_difference(value, near, 3)));
    const lo_bounded apart = lo_student_difference(value, far, 3);
    assert_near(apart.value, 0.29 / 3);
    assert_false(lo_inside_noise(apart));
    assert_true(lo_inside_noise(lo_student_difference(value, far, 1))); /* one seed says nothing */
    assert_true(isnan(lo_student_mean(value, 0).value) && isnan(lo_student_mean(value, 1).low));
    const double sorted[] = {1, 2, 4};
    assert_near(lo_sorted_quantile(sorted, 3, 0.75), 3);
    assert_near(lo_sorted_quantile(sorted, 3, 1), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_relearning),
        cmocka_unit_test(test_features_of_a_sure_model),
        cmocka_unit_test(test_differences_inside_the_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
