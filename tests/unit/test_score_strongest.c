/* The k strongest against sorting. */
#include "unit/score_fixture.h"

#include <math.h>

static const float *sorted_row;

static int stronger_first(const void *a, const void *b)
{
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    const float x = fabsf(sorted_row[i]), y = fabsf(sorted_row[j]);
    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

static void check(const float *values, int64_t rows, int64_t count, int64_t k)
{
    int64_t *index = malloc((size_t)(rows * k) * sizeof(*index));
    float *value = malloc((size_t)(rows * k) * sizeof(*value));
    int64_t *order = malloc((size_t)(count + 1) * sizeof(*order));
    lo_strongest(values, rows, count, k, index, value);
    for (int64_t r = 0; r < rows; r++) {
        int64_t kept = 0;
        for (int64_t i = 0; i < count; i++) {
            if (!isnan(values[r * count + i])) {
                order[kept++] = i;
            }
        }
        sorted_row = values + r * count;
        qsort(order, (size_t)kept, sizeof(*order), stronger_first);
        for (int64_t i = 0; i < k; i++) {
            if (i < kept) {
                assert_int_equal(index[r * k + i], order[i]);
                assert_true(value[r * k + i] == values[r * count + order[i]]);
            } else {
                assert_int_equal(index[r * k + i], -1);
                assert_true(isnan(value[r * k + i]));
            }
        }
    }
    free(index);
    free(value);
    free(order);
}

static void test_strongest_equal_a_sort(void **state)
{
    (void)state;
    const lo_random random = lo_random_make(5, LO_FOR_TEST);
    const int64_t rows = 7, count = 203;
    float *values = malloc((size_t)(rows * count) * sizeof(*values));
    for (int64_t levels = 3; levels <= 30003; levels *= 100) { /* few levels: many ties, of both signs */
        for (int64_t i = 0; i < rows * count; i++) {
            const int64_t level =
                (int64_t)lo_random_below(random, (uint64_t)levels, (uint64_t)i, (uint64_t)levels);
            values[i] = (float)(level - levels / 2) / (float)levels;
            if (level % 5 == 0 || i / count == 6) { /* the last row has nothing */
                values[i] = NAN;
            }
        }
        check(values, rows, count, 1);
        check(values, rows, count, 10);
        check(values, rows, count, count);
        check(values, rows, count, count + 5);
    }
    free(values);
}

static void test_order_sign_and_ties_by_hand(void **state)
{
    (void)state;
    const float values[] = {0.5F, -0.75F, NAN, 0.75F, -0.5F, 0};
    int64_t index[4];
    float value[4];
    lo_strongest(values, 1, 6, 4, index, value);
    const int64_t expected[] = {1, 3, 0, 4};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(index[i], expected[i]);
        assert_true(value[i] == values[expected[i]]);
    }
    lo_strongest(values, 1, 6, 0, NULL, NULL);
    lo_strongest(values, 1, 0, 1, index, value);
    assert_int_equal(index[0], -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strongest_equal_a_sort),
        cmocka_unit_test(test_order_sign_and_ties_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
