/* The influence contrast: against loops in double, equal bits at all levels, sums that must vanish. */
#include "unit/score_fixture.h"

#include "score/contrast_kernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const float guard = -12345.5F;

typedef struct ensemble {
    int64_t models, train, test;
    uint8_t *in, *hit;
    uint8_t *use; /* one byte a model, or NULL */
    lo_columns mask, correct;
    uint8_t *use_packed;
} ensemble;

static ensemble make(int64_t models, int64_t train, int64_t test, double ratio, double share, uint64_t stream)
{
    ensemble e = {.models = models, .train = train, .test = test};
    e.in = draw_bits(models, train, ratio, stream);
    e.hit = draw_bits(models, test, 0.6, stream + 1);
    if (share < 1) {
        e.use = draw_bits(models, 1, share, stream + 2);
        e.use_packed = pack_row(e.use, models, 0);
    }
    e.mask = columns_from(e.in, models, train);
    e.correct = columns_from(e.hit, models, test);
    return e;
}

static void destroy(ensemble *e)
{
    free(e->in);
    free(e->hit);
    free(e->use);
    free(e->use_packed);
    lo_columns_destroy(&e->mask);
    lo_columns_destroy(&e->correct);
}

static lo_counts counts_of(const ensemble *e, int64_t j, int64_t i)
{
    lo_counts c = {0};
    for (int64_t m = 0; m < e->models; m++) {
        if (e->use != NULL && e->use[m] == 0) {
            continue;
        }
        const int in = e->in[m * e->train + i], hit = e->hit[m * e->test + j];
        c.in += in;
        c.out += !in;
        c.in_hit += in && hit;
        c.out_hit += !in && hit;
    }
    return c;
}

static void check_value(float got, double expected)
{
    if (isnan(expected)) {
        assert_true(isnan(got));
    } else {
        assert_true(fabs((double)got - expected) <= 1e-6);
    }
}

static void check_against_loops(const ensemble *e, const float *contrast, const float *error)
{
    for (int64_t j = 0; j < e->test; j++) {
        for (int64_t i = 0; i < e->train; i++) {
            const lo_counts c = counts_of(e, j, i);
            const bool defined = c.in > 0 && c.out > 0;
            const double value = (double)c.in_hit / c.in - (double)c.out_hit / c.out;
            check_value(contrast[j * e->train + i], defined ? value : (double)NAN);
            const double p = (c.in_hit + 1.0) / (c.in + 2), q = (c.out_hit + 1.0) / (c.out + 2);
            const double expected = sqrt(p * (1 - p) / (c.in + 2) + q * (1 - q) / (c.out + 2));
            check_value(error[j * e->train + i], defined ? expected : (double)NAN);
        }
    }
}

static float *guarded(int64_t cells)
{
    float *values = malloc((size_t)(cells + 2) * sizeof(*values));
    for (int64_t i = 0; i < cells + 2; i++) {
        values[i] = guard;
    }
    return values;
}

/* All levels, with and without errors and at an address that no vector likes, against loops and one another.
 */
static void check_levels(ensemble *e)
{
    const int64_t cells = e->train * e->test;
    const size_t bytes = (size_t)cells * sizeof(float);
    float *contrast = guarded(cells), *error = guarded(cells), *first = NULL, *first_error = NULL;
    for (int level = 0; lo_contrast_kernel_at(level) != NULL; level++) {
        const lo_contrast_kernel *kernel = lo_contrast_kernel_at(level);
        memset(contrast + 1, 0xff, bytes);
        assert_int_equal(
            lo_contrast_with(kernel, &e->mask, &e->correct, e->use_packed, contrast + 1, error + 1, NULL),
            LO_OK);
        if (level == 0) {
            check_against_loops(e, contrast + 1, error + 1);
            first = malloc(bytes);
            first_error = malloc(bytes);
            memcpy(first, contrast + 1, bytes);
            memcpy(first_error, error + 1, bytes);
        }
        assert_memory_equal(first, contrast + 1, bytes);
        assert_memory_equal(first_error, error + 1, bytes);
        memset(contrast + 1, 0xff, bytes);
        assert_int_equal(
            lo_contrast_with(kernel, &e->mask, &e->correct, e->use_packed, contrast + 1, NULL, NULL), LO_OK);
        assert_memory_equal(first, contrast + 1, bytes);
        assert_true(contrast[0] == guard && contrast[cells + 1] == guard);
        assert_true(error[0] == guard && error[cells + 1] == guard);
    }
    free(contrast);
    free(error);
    free(first);
    free(first_error);
    destroy(e);
}

static void test_all_levels_equal_loops_on_odd_sizes(void **state)
{
    (void)state;
    const int64_t size[][3] = {{1, 1, 1},   {2, 3, 2},      {63, 17, 9},    {64, 16, 8},
                               {65, 33, 7}, {130, 100, 19}, {1000, 45, 11}, {1985, 16, 3}};
    for (size_t k = 0; k < sizeof(size) / sizeof(size[0]); k++) {
        ensemble all = make(size[k][0], size[k][1], size[k][2], 0.7, 1, 100 * k);
        check_levels(&all);
        ensemble half = make(size[k][0], size[k][1], size[k][2], 0.5, 0.5, 100 * k + 10);
        check_levels(&half);
    }
    int levels = 0;
    while (lo_contrast_kernel_at(levels) != NULL) {
        printf("level %s\n", lo_contrast_kernel_at(levels)->name);
        levels++;
    }
    assert_true(levels >= 1);
    assert_string_equal(lo_contrast_level(), lo_contrast_kernel_at(levels - 1)->name);
}

static void test_several_tiles_of_columns(void **state)
{
    (void)state;
    /* 20 words a column: tiles of 102 groups, 1632 columns. */
    ensemble e = make(1250, 3300, 9, 0.7, 0.9, 7000);
    check_levels(&e);
}

static void test_examples_in_all_or_no_models_have_none(void **state)
{
    (void)state;
    ensemble e = make(70, 40, 9, 0.5, 1, 8000);
    for (int64_t m = 0; m < e.models; m++) {
        e.in[m * e.train + 3] = 1;
        e.in[m * e.train + 17] = 0;
    }
    lo_columns_destroy(&e.mask);
    e.mask = columns_from(e.in, e.models, e.train);
    float contrast[9 * 40];
    assert_int_equal(lo_contrast(&e.mask, &e.correct, NULL, contrast, NULL, NULL), LO_OK);
    for (int64_t j = 0; j < e.test; j++) {
        for (int64_t i = 0; i < e.train; i++) {
            assert_int_equal(isnan(contrast[j * e.train + i]) != 0, i == 3 || i == 17);
        }
    }
    check_levels(&e);
    ensemble none = make(70, 20, 9, 0.5, 0, 8010);
    check_levels(&none);
}

/* 2^24 models, the most that are exact: every count is known without looking at a bit. */
static void test_counts_are_exact_to_2_to_the_24(void **state)
{
    (void)state;
    const int64_t models = INT64_C(1) << 24;
    lo_columns mask, correct;
    assert_int_equal(lo_columns_create(models, 2, &mask, NULL), LO_OK);
    assert_int_equal(lo_columns_create(models, 2, &correct, NULL), LO_OK);
    for (int64_t w = 0; w < models / 64; w++) {
        mask.word[w * mask.stride] = w == 5 ? ~UINT64_C(1) : ~UINT64_C(0); /* in all models but one */
        mask.word[w * mask.stride + 1] = UINT64_C(0x7777777777777777);     /* in three of four */
        correct.word[w * correct.stride] =
            w == 5 ? ~UINT64_C(3) : ~UINT64_C(0); /* wrong in that one and another */
        correct.word[w * correct.stride + 1] = UINT64_C(0x1111111111111111);
    }
    const double in = (double)models - 1, three_quarters = 12582912, quarter = 4194304;
    const double expected[4] = {(in - 1) / in, (three_quarters - 2) / three_quarters - 1,
                                (quarter - 1) / in - 1, quarter / three_quarters};
    for (int level = 0; lo_contrast_kernel_at(level) != NULL; level++) {
        float contrast[4];
        assert_int_equal(
            lo_contrast_with(lo_contrast_kernel_at(level), &mask, &correct, NULL, contrast, NULL, NULL),
            LO_OK);
        for (int i = 0; i < 4; i++) {
            assert_true(contrast[i] == (float)expected[i]);
        }
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
}

/* Sum over the training examples of one row. */
static double row_sum(const float *row, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += row[i];
    }
    return sum;
}

static double largest_row_sum(ensemble *e)
{
    float *contrast = malloc((size_t)(e->train * e->test) * sizeof(*contrast));
    assert_int_equal(lo_contrast(&e->mask, &e->correct, NULL, contrast, NULL, NULL), LO_OK);
    double largest = 0;
    for (int64_t j = 0; j < e->test; j++) {
        largest = fmax(largest, fabs(row_sum(contrast + j * e->train, e->train)));
    }
    free(contrast);
    return largest;
}

static void test_contrasts_of_an_equal_design_sum_to_zero(void **state)
{
    (void)state;
    /* Model m has the `size` examples that follow m * 7 on a circle of n: each example is in `size` of each n
     * models. */
    const int64_t n = 211, size = 148, rounds = 3;
    ensemble e = make(n * rounds, n, 20, 0.5, 1, 9000);
    for (int64_t m = 0; m < e.models; m++) {
        memset(e.in + m * n, 0, (size_t)n);
        for (int64_t t = 0; t < size; t++) {
            e.in[m * n + (m * 7 + t) % n] = 1;
        }
    }
    lo_columns_destroy(&e.mask);
    e.mask = columns_from(e.in, e.models, n);
    const double equal = largest_row_sum(&e);
    assert_true(equal <= 1e-6 * (double)n);

    /* Models of equal size, but one example's place in one model given to another. */
    e.in[0] = 0;
    e.in[size + 3] = 1;
    lo_columns_destroy(&e.mask);
    e.mask = columns_from(e.in, e.models, n);
    const double swapped = largest_row_sum(&e);
    assert_true(swapped > 1e-6 * (double)n);
    destroy(&e);

    ensemble unequal = make(633, n, 20, 0.7, 1, 9100);
    const double random = largest_row_sum(&unequal);
    printf("largest |sum| / n: equal %.1e, one swap %.1e, independent %.1e\n", equal / (double)n,
           swapped / (double)n, random / (double)n);
    assert_true(random > 1e-4 * (double)n);
    destroy(&unequal);
}

static lo_status stop_at_third(void *self)
{
    int *calls = self;
    return ++*calls == 3 ? LO_STOPPED : LO_OK;
}

static void test_a_tick_stops_it(void **state)
{
    (void)state;
    ensemble e = make(10, 20, 50, 0.7, 1, 9500);
    float contrast[50 * 20];
    int calls = 0;
    const lo_tick tick = {stop_at_third, &calls};
    assert_int_equal(lo_contrast(&e.mask, &e.correct, NULL, contrast, NULL, &tick), LO_STOPPED);
    assert_int_equal(calls, 3);
    destroy(&e);
}

static void test_different_models_are_refused(void **state)
{
    (void)state;
    ensemble e = make(10, 4, 4, 0.7, 1, 9600);
    float contrast[16];
    e.correct.models = 9;
    assert_int_equal(lo_contrast(&e.mask, &e.correct, NULL, contrast, NULL, NULL), LO_INTERNAL);
    destroy(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_levels_equal_loops_on_odd_sizes),
        cmocka_unit_test(test_several_tiles_of_columns),
        cmocka_unit_test(test_examples_in_all_or_no_models_have_none),
        cmocka_unit_test(test_counts_are_exact_to_2_to_the_24),
        cmocka_unit_test(test_contrasts_of_an_equal_design_sum_to_zero),
        cmocka_unit_test(test_a_tick_stops_it),
        cmocka_unit_test(test_different_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
