/* Accuracy and what is made of it: against counts one by one, and against numbers worked out on paper. */
#include "audit/accuracy.h"
#include "audit/tow.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 331, CLASSES = 7 };

static int by_random(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a * 2654435761U, y = *(const uint32_t *)b * 2654435761U;
    return (x > y) - (x < y);
}

/* Logits on few levels, so that maxima have several places; some NaN. */
static void draw(float *z, int32_t *label)
{
    const lo_random random = lo_random_make(5, LO_FOR_TEST);
    for (uint64_t i = 0; i < N * CLASSES; i++) {
        z[i] = (float)lo_random_below(random, 0, i, 4);
        if (lo_random_below(random, 1, i, 40) == 0) {
            z[i] = NAN;
        }
    }
    for (uint64_t i = 0; i < N; i++) {
        label[i] = (int32_t)lo_random_below(random, 2, i, CLASSES);
    }
}

/* Right by its definition: every class before the label is smaller, every one after it not larger. */
static int right(const float *z, int32_t label)
{
    int count = 0;
    for (int k = 0; k < CLASSES; k++) {
        count += k < label ? z[k] < z[label] : z[k] <= z[label];
    }
    return count == CLASSES;
}

static void test_counts_are_exact_and_know_no_order(void **state)
{
    (void)state;
    float z[N * CLASSES];
    int32_t label[N];
    draw(z, label);
    const lo_logits logits = {z, label, N, CLASSES};
    uint32_t rows[N];
    int64_t expected = 0, of_rows = 0;
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = i;
        expected += right(z + i * CLASSES, label[i]);
    }
    const lo_hits all = lo_count_right(&logits, NULL, 0);
    assert_int_equal(all.examples, N);
    assert_int_equal(all.right, expected);
    assert_in_range(expected, 20, N - 20);

    qsort(rows, N, sizeof(rows[0]), by_random);
    for (int i = 0; i < 100; i++) {
        of_rows += right(z + rows[i] * CLASSES, label[rows[i]]);
    }
    const lo_hits some = lo_count_right(&logits, rows, 100),
                  rest = lo_count_right(&logits, rows + 100, N - 100);
    assert_int_equal(some.examples, 100);
    assert_int_equal(some.right, of_rows);
    assert_int_equal(some.right + rest.right, all.right);
    assert_true(lo_accuracy(some) == (double)of_rows / 100);
    assert_true(isnan(lo_accuracy(lo_count_right(&logits, rows, 0))));
}

static const lo_accuracies model = {.forget = 0.97, .retain = 0.995, .validation = 0.91, .test = 0.90};
static const lo_accuracies oracle = {.forget = 0.94, .retain = 1.0, .validation = 0.92, .test = 0.925};

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-12)) {
        fail_msg("%.15g instead of %.15g", value, expected);
    }
}

static void test_summaries_are_those_of_the_papers(void **state)
{
    (void)state;
    assert_near(lo_unlearning_accuracy(model), 0.03);
    const lo_accuracies delta = lo_accuracy_deltas(model, oracle);
    assert_near(delta.forget, -0.03);
    assert_near(delta.retain, 0.005);
    assert_near(delta.validation, 0.01);
    assert_near(delta.test, 0.025);
    assert_near(lo_tow(model, oracle), 0.97 * 0.995 * 0.975);
    assert_near(lo_tow_mia(model, 0.11, oracle, 0.13), 0.98 * 0.995 * 0.975);
    assert_near(lo_avg_gap(model, 0.11, oracle, 0.13), (0.03 + 0.005 + 0.025 + 0.02) / 4);
    assert_near(lo_aus(0.93, model, false), 0.97 / 1.07);
    assert_near(lo_aus(0.93, model, true), 0.97 / 1.97);
}

/* SalUn's table 1 (CIFAR-10, ResNet-18, 10 % random): its averages of the gaps to 5.24, 100, 94.26, 12.88. */
static void test_published_average_gaps(void **state)
{
    (void)state;
    const lo_accuracies retrain = {.forget = 1 - 0.0524, .retain = 1, .test = 0.9426};
    const struct {
        double ua, ra, ta, mia, gap;
    } row[] = {{0.63, 99.88, 94.06, 2.70, 3.78},
               {7.61, 99.67, 92.83, 37.36, 7.15},
               {4.19, 97.74, 91.59, 9.84, 2.26},
               {2.85, 99.62, 93.93, 14.39, 1.15}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const lo_accuracies method = {
            .forget = 1 - row[i].ua / 100, .retain = row[i].ra / 100, .test = row[i].ta / 100};
        assert_true(fabs(100 * lo_avg_gap(method, row[i].mia / 100, retrain, 0.1288) - row[i].gap) < 0.0051);
    }
}

static void test_a_model_that_equals_the_oracle(void **state)
{
    (void)state;
    assert_true(lo_tow(oracle, oracle) == 1);
    assert_true(lo_tow_mia(oracle, 0.13, oracle, 0.13) == 1);
    assert_true(lo_avg_gap(oracle, 0.13, oracle, 0.13) == 0);
    const lo_accuracies unknown = {.forget = 0.9, .retain = NAN, .validation = 0.9, .test = 0.9};
    assert_true(isnan(lo_tow(unknown, oracle)) && isnan(lo_avg_gap(oracle, 0, unknown, 0)));
    assert_true(isnan(lo_tow_mia(oracle, NAN, oracle, 0.1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_exact_and_know_no_order),
        cmocka_unit_test(test_summaries_are_those_of_the_papers),
        cmocka_unit_test(test_published_average_gaps),
        cmocka_unit_test(test_a_model_that_equals_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
