/* Bits by column and counts, against loops over an explicit ensemble. */
#include "unit/score_fixture.h"

#include <math.h>
#include <string.h>

static int bit_of(const lo_columns *c, int64_t model, int64_t column)
{
    return (int)(c->word[(model / 64) * c->stride + column] >> (model % 64) & 1);
}

static void test_rows_become_columns_from_any_bit(void **state)
{
    (void)state;
    const int64_t models = 131;
    const int64_t widths[] = {1, 7, 8, 16, 17, 40, 101};
    for (size_t k = 0; k < sizeof(widths) / sizeof(widths[0]); k++) {
        const int64_t count = widths[k];
        uint8_t *bit = draw_bits(models, count, 0.5, k);
        lo_columns columns;
        assert_int_equal(lo_columns_create(models, count, &columns, NULL), LO_OK);
        assert_int_equal(columns.stride % 16, 0);
        assert_int_equal((uintptr_t)columns.word % 64, 0);
        for (int64_t step = 0; step < models; step++) {
            const int64_t m = (step * 37 + 5) % models; /* in any order */
            const int64_t first = m % 19;
            uint8_t *row = pack_row(bit + m * count, count, first);
            /* Exactly as many bytes as the row has, so that a checker of memory sees a byte read beyond. */
            const size_t bytes = (size_t)((first + count + 7) / 8);
            uint8_t *tight = malloc(bytes);
            memcpy(tight, row, bytes);
            lo_columns_set_row(&columns, m, tight, first);
            free(tight);
            free(row);
        }
        for (int64_t m = 0; m < models; m++) {
            for (int64_t i = 0; i < count; i++) {
                assert_int_equal(bit_of(&columns, m, i), bit[m * count + i]);
            }
        }
        for (int64_t w = 0; w < 3; w++) {
            for (int64_t i = 0; i < columns.stride; i++) {
                const uint64_t word = columns.word[w * columns.stride + i];
                assert_true(i < count || word == 0);
                assert_true(w < 2 || word >> (models - 128) == 0);
            }
        }
        lo_columns_destroy(&columns);
        assert_null(columns.word);
        free(bit);
    }
}

static void test_impossible_sizes_are_refused(void **state)
{
    (void)state;
    lo_columns columns;
    lo_error err = {""};
    assert_int_equal(lo_columns_create(INT64_C(1) << 40, INT64_C(1) << 40, &columns, &err), LO_INTERNAL);
    assert_non_null(strstr(err.text, "1099511627776"));
}

static void check_counts(int64_t models, int64_t n, double ratio, const uint8_t *use_bit, uint64_t stream)
{
    uint8_t *in = draw_bits(models, n, ratio, stream);
    uint8_t *hit = draw_bits(models, n, 0.6, stream + 1);
    lo_columns mask = columns_from(in, models, n);
    lo_columns correct = columns_from(hit, models, n);
    uint8_t *use = use_bit != NULL ? pack_row(use_bit, models, 0) : NULL;
    lo_counts *counts = malloc((size_t)n * sizeof(*counts));
    lo_count(&mask, &correct, use, counts);
    double accuracy = 0;
    int64_t trained = 0;
    for (int64_t i = 0; i < n; i++) {
        lo_counts expected = {0};
        for (int64_t m = 0; m < models; m++) {
            if (use_bit != NULL && use_bit[m] == 0) {
                continue;
            }
            expected.in += in[m * n + i];
            expected.out += !in[m * n + i];
            expected.in_hit += in[m * n + i] && hit[m * n + i];
            expected.out_hit += !in[m * n + i] && hit[m * n + i];
        }
        assert_memory_equal(&counts[i], &expected, sizeof(expected));
        if (i % 3 == 0 && expected.in > 0) {
            accuracy += (double)expected.in_hit / expected.in;
            trained++;
        }
    }
    uint8_t *select = calloc((size_t)n, 1);
    for (int64_t i = 0; i < n; i += 3) {
        select[i] = 1;
    }
    const double got = lo_in_accuracy(counts, n, select);
    if (trained > 0) {
        assert_true(fabs(got - accuracy / (double)trained) < 1e-12);
    } else {
        assert_true(isnan(got));
    }
    free(select);
    free(counts);
    free(use);
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(in);
    free(hit);
}

static void test_counts_equal_loops(void **state)
{
    (void)state;
    const int64_t models[] = {1, 63, 64, 65, 200};
    for (size_t k = 0; k < sizeof(models) / sizeof(models[0]); k++) {
        uint8_t *use = draw_bits(models[k], 1, 0.5, 900 + k);
        check_counts(models[k], 37, 0.7, NULL, 10 * k);
        check_counts(models[k], 37, 0.7, use, 10 * k + 3);
        for (int64_t m = 0; m < models[k]; m++) {
            use[m] = 0;
        }
        check_counts(models[k], 5, 0.7, use, 10 * k + 6);
        free(use);
    }
    check_counts(70, 9, 0.0, NULL, 500);
    check_counts(70, 9, 1.0, NULL, 502);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_become_columns_from_any_bit),
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_counts_equal_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
