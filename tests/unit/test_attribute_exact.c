/* Closed forms of leave-one-out and leave-group-out against refits; sums that know no order; outputs. About a
 * second. */
#include "attribute/effect.h"
#include "attribute/features.h"
#include "attribute/kernel.h"
#include "attribute/left_out.h"
#include "attribute/linear.h"
#include "attribute/ridge.h"
#include "attribute/sums.h"
#include "unit/attribute_data.h"
#include "unit/nn_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { N = 70, FEATURES = 9, CLASSES = 4 };

/* What the model without `out` says of `row`. */
static void refit(const attribute_data *data, const bool *out, double penalty, const double *row,
                  double *value)
{
    attribute_data rest = attribute_data_without(data, out);
    double *weight = numbers(data->d * data->classes);
    plain_ridge(&rest, penalty, weight);
    for (int32_t c = 0; c < data->classes; c++) {
        value[c] = plain_dot(weight + c * data->d, row, data->d);
    }
    free(weight);
    attribute_data_destroy(&rest);
}

static void ridge_without_one_is_a_refit(void **state)
{
    (void)state;
    attribute_data data = attribute_data_create(N, FEATURES, CLASSES);
    const double penalties[] = {0, 0.5};
    for (int t = 0; t < 2; t++) {
        lo_ridge ridge;
        lo_error err = {{0}};
        double *vector = numbers(N * data.d);
        double *shift = numbers(N * CLASSES);
        assert_int_equal(lo_ridge_fit(data.rows, data.label, N, N, data.d, CLASSES, penalties[t], NULL, NULL,
                                      &ridge, &err),
                         LO_OK);
        lo_ridge_leave_one(&ridge, data.rows, data.label, N, vector, shift);
        for (int64_t i = 0; i < N; i++) {
            bool out[N] = {false};
            out[i] = true;
            for (int64_t j = 0; j < N; j += 3) {
                double value[CLASSES];
                const double *row = data.rows + (j == 0 ? i : j) * data.d;
                refit(&data, out, penalties[t], row, value);
                for (int32_t c = 0; c < CLASSES; c++) {
                    const double said = plain_dot(ridge.weight + c * data.d, row, data.d) -
                                        plain_dot(vector + i * data.d, row, data.d) * shift[i * CLASSES + c];
                    assert_true(fabs(said - value[c]) < 1e-10);
                    if (j == 0) { /* on itself */
                        const double own = (c == data.label[i] ? 1 : 0) - shift[i * CLASSES + c];
                        assert_true(fabs(own - value[c]) < 1e-10);
                    }
                }
            }
        }
        free(vector);
        free(shift);
        lo_ridge_destroy(&ridge);
    }
    attribute_data_destroy(&data);
}

static void ridge_without_a_group_is_a_refit(void **state)
{
    (void)state;
    attribute_data data = attribute_data_create(N, FEATURES, CLASSES);
    lo_ridge ridge;
    lo_error err = {{0}};
    assert_int_equal(
        lo_ridge_fit(data.rows, data.label, N, N, data.d, CLASSES, 0.3, NULL, NULL, &ridge, &err), LO_OK);
    const int64_t sizes[] = {1, 6, 10, 11, 40}; /* up to d = 10 by Woodbury's identity, above by the sums */
    for (int t = 0; t < 5; t++) {
        bool out[N] = {false};
        double *rows = numbers(N * data.d);
        double *weight = numbers(CLASSES * data.d);
        int32_t label[N];
        for (int64_t m = 0; m < sizes[t]; m++) {
            const int64_t i = (m * 13 + 5) % N;
            out[i] = true;
            memcpy(rows + m * data.d, data.rows + i * data.d, (size_t)data.d * sizeof(double));
            label[m] = data.label[i];
        }
        assert_int_equal(lo_ridge_leave_group(&ridge, rows, label, sizes[t], weight, &err), LO_OK);
        for (int64_t j = 0; j < N; j++) {
            double value[CLASSES];
            refit(&data, out, 0.3, data.rows + j * data.d, value);
            for (int32_t c = 0; c < CLASSES; c++) {
                assert_true(fabs(plain_dot(weight + c * data.d, data.rows + j * data.d, data.d) - value[c]) <
                            1e-10);
            }
        }
        free(rows);
        free(weight);
    }
    lo_ridge_destroy(&ridge);
    attribute_data_destroy(&data);
}

static void a_singular_matrix_is_refused(void **state)
{
    (void)state;
    attribute_data data = attribute_data_create(N, FEATURES, CLASSES);
    lo_ridge ridge;
    lo_error err = {{0}};
    for (int64_t i = 0; i < N; i++) { /* a feature twice, at another scale */
        data.rows[i * data.d + 3] = 1e-5 * data.rows[i * data.d + 2];
    }
    assert_int_equal(lo_ridge_fit(data.rows, data.label, N, N, data.d, CLASSES, 0, NULL, NULL, &ridge, &err),
                     LO_USAGE);
    assert_non_null(strstr(err.text, "singular with a penalty of 0"));
    lo_ridge_destroy(&ridge);
    /* Determined, but not without the one example that has the feature. */
    for (int64_t i = 0; i < N; i++) {
        data.rows[i * data.d + 3] = i == 8 ? 1 : 0;
    }
    double *vector = numbers(N * data.d);
    double *shift = numbers(N * CLASSES);
    double *weight = numbers(CLASSES * data.d);
    assert_int_equal(lo_ridge_fit(data.rows, data.label, N, N, data.d, CLASSES, 0, NULL, NULL, &ridge, &err),
                     LO_OK);
    lo_ridge_leave_one(&ridge, data.rows, data.label, N, vector, shift);
    assert_true(isnan(shift[8 * CLASSES]));
    assert_false(isnan(shift[9 * CLASSES]));
    assert_int_equal(lo_ridge_leave_group(&ridge, data.rows + 6 * data.d, data.label + 6, 4, weight, &err),
                     LO_DATA);
    assert_int_equal(lo_ridge_leave_group(&ridge, data.rows + 6 * data.d, data.label + 6, 40, weight, &err),
                     LO_DATA);
    lo_ridge_destroy(&ridge);
    free(vector);
    free(shift);
    free(weight);
    attribute_data_destroy(&data);
}

/* The kernel's values between two rows, plainly. */
static double plain_kernel(const lo_kernel *kernel, const double *a, const double *b, int64_t size)
{
    double square = 0;
    for (int64_t f = 0; f < size; f++) {
        square += (a[f] - b[f]) * (a[f] - b[f]);
    }
    return kernel->rbf ? exp(-kernel->gamma * square) : plain_dot(a, b, size);
}

/* What kernel ridge regression on the examples that are not out says of example j. */
static void kernel_refit(const attribute_data *data, const bool *out, const lo_kernel *kernel, double penalty,
                         int64_t j, double *value)
{
    attribute_data rest = attribute_data_without(data, out);
    double *a = numbers(rest.n * rest.n);
    double *b = numbers(rest.n * CLASSES);
    for (int64_t r = 0; r < rest.n; r++) {
        for (int64_t s = 0; s < rest.n; s++) {
            a[r * rest.n + s] =
                plain_kernel(kernel, rest.rows + r * data->d, rest.rows + s * data->d, FEATURES) +
                (r == s ? penalty : 0);
        }
        b[r * CLASSES + rest.label[r]] = 1;
    }
    eliminate(a, rest.n, b, CLASSES);
    memset(value, 0, CLASSES * sizeof(*value));
    for (int64_t r = 0; r < rest.n; r++) {
        for (int32_t c = 0; c < CLASSES; c++) {
            value[c] += plain_kernel(kernel, rest.rows + r * data->d, data->rows + j * data->d, FEATURES) *
                        b[r * CLASSES + c];
        }
    }
    free(a);
    free(b);
    attribute_data_destroy(&rest);
}

static void kernel_ridge_without_one_or_some_is_a_refit(void **state)
{
    (void)state;
    attribute_data data = attribute_data_create(N, FEATURES, CLASSES);
    const lo_kernel kernels[] = {{false, 0}, {true, 0.2}};
    const double penalty = 0.4;
    lo_error err = {{0}};
    for (int t = 0; t < 2; t++) {
        double *kernel = numbers(N * N);
        double *inverse = numbers(N * N);
        double alpha[N * CLASSES];
        assert_int_equal(
            lo_kernel_tile(&kernels[t], data.rows, N, data.rows, N, FEATURES, data.d, kernel, N, &err),
            LO_OK);
        memcpy(inverse, kernel, (size_t)(N * N) * sizeof(double));
        for (int64_t i = 0; i < N; i++) {
            inverse[i * N + i] += penalty;
        }
        assert_true(lo_cholesky(inverse, N));
        lo_cholesky_invert(inverse, N);
        lo_kernel_alpha(inverse, N, N, data.label, CLASSES, alpha);
        for (int64_t i = 0; i < N; i += 4) {
            bool out[N] = {false};
            double value[CLASSES];
            out[i] = true;
            for (int64_t j = 0; j < N; j += 5) {
                kernel_refit(&data, out, &kernels[t], penalty, j, value);
                const double gain = plain_dot(kernel + j * N, inverse + i * N, N);
                for (int32_t c = 0; c < CLASSES; c++) {
                    double said = 0;
                    for (int64_t r = 0; r < N; r++) {
                        said += kernel[j * N + r] * alpha[r * CLASSES + c];
                    }
                    said -= gain * alpha[i * CLASSES + c] / inverse[i * N + i];
                    assert_true(fabs(said - value[c]) < 1e-10);
                }
            }
            kernel_refit(&data, out, &kernels[t], penalty, i, value);
            for (int32_t c = 0; c < CLASSES; c++) {
                const double own = (c == data.label[i] ? 1 : 0) - alpha[i * CLASSES + c] / inverse[i * N + i];
                assert_true(fabs(own - value[c]) < 1e-10);
            }
        }
        enum { GROUP = 12 };
        bool out[N] = {false};
        double block[GROUP * GROUP];
        double part[GROUP * CLASSES];
        double shift[GROUP * CLASSES];
        for (int64_t r = 0; r < GROUP; r++) {
            out[r * 5] = true;
            for (int64_t s = 0; s < GROUP; s++) {
                block[r * GROUP + s] = inverse[r * 5 * N + s * 5];
            }
            memcpy(part + r * CLASSES, alpha + r * 5 * CLASSES, CLASSES * sizeof(double));
        }
        assert_int_equal(lo_kernel_leave_group(block, part, GROUP, CLASSES, shift, &err), LO_OK);
        for (int64_t j = 0; j < N; j++) {
            double value[CLASSES];
            kernel_refit(&data, out, &kernels[t], penalty, j, value);
            for (int32_t c = 0; c < CLASSES; c++) {
                double said = 0;
                for (int64_t r = 0; r < N; r++) {
                    said += kernel[j * N + r] * alpha[r * CLASSES + c];
                }
                for (int64_t r = 0; r < GROUP; r++) {
                    said -= plain_dot(kernel + j * N, inverse + r * 5 * N, N) * shift[r * CLASSES + c];
                }
                assert_true(fabs(said - value[c]) < 1e-9);
            }
        }
        free(kernel);
        free(inverse);
    }
    attribute_data_destroy(&data);
}

/* Two processes in one: the second's parts are added when the first asks for the sum. */
typedef struct other {
    const lo_sums *sums;
} other;

static lo_status add_other(void *self, double *value, int64_t count, lo_error *err)
{
    (void)err;
    const other *o = self;
    for (int64_t i = 0; i < count; i++) {
        value[i] += o->sums->part[i];
    }
    return LO_OK;
}

static void sums_have_the_bits_of_any_order(void **state)
{
    (void)state;
    enum { ADDENDS = 1000, WIDE = 3 };
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    double value[ADDENDS][WIDE];
    double first[WIDE];
    double again[WIDE];
    double exact[WIDE] = {0};
    lo_error err = {{0}};
    for (int64_t i = 0; i < ADDENDS; i++) {
        for (int64_t w = 0; w < WIDE; w++) {
            value[i][w] = ((double)lo_random_unit(random, (uint64_t)i, (uint64_t)w) - 0.5) *
                          pow(10, (double)(i % 17) - 12);
            exact[w] += value[i][w];
        }
    }
    for (int order = 0; order < 4; order++) {
        lo_sums one;
        lo_sums two;
        assert_int_equal(lo_sums_create(WIDE, 1e5, ADDENDS, &one, &err), LO_OK);
        assert_int_equal(lo_sums_create(WIDE, 1e5, ADDENDS, &two, &err), LO_OK);
        for (int64_t i = 0; i < ADDENDS; i++) {
            const int64_t at = order % 2 == 0 ? i : (i * 373 + 11) % ADDENDS;
            lo_sums_add(order >= 2 && i % 3 == 0 ? &two : &one, value[at]);
        }
        other self = {&two};
        const lo_reduction reduction = {.sum = add_other, .self = &self};
        assert_int_equal(lo_sums_end(&one, order >= 2 ? &reduction : NULL, order == 0 ? first : again, &err),
                         LO_OK);
        for (int64_t w = 0; w < WIDE && order > 0; w++) {
            assert_memory_equal(&first[w], &again[w], sizeof(double));
        }
        lo_sums_destroy(&one);
        lo_sums_destroy(&two);
    }
    for (int64_t w = 0; w < WIDE; w++) {
        assert_true(fabs(first[w] - exact[w]) < 1e-10);
    }
}

/* A permuted data set gives permuted scores: to rounding, as the sums' blocks hold other examples. */
static void a_permuted_data_set_gives_permuted_shifts(void **state)
{
    (void)state;
    enum { MANY = 600 };
    attribute_data data = attribute_data_create(MANY, FEATURES, CLASSES);
    attribute_data turned = attribute_data_create(MANY, FEATURES, CLASSES);
    lo_ridge ridge[2];
    double *vector = numbers(MANY * data.d);
    double *shift[2] = {numbers(MANY * CLASSES), numbers(MANY * CLASSES)};
    for (int64_t i = 0; i < MANY; i++) {
        const int64_t from = (i * 7 + 3) % MANY;
        memcpy(turned.rows + i * data.d, data.rows + from * data.d, (size_t)data.d * sizeof(double));
        turned.label[i] = data.label[from];
    }
    for (int t = 0; t < 2; t++) {
        const attribute_data *set = t == 0 ? &data : &turned;
        assert_int_equal(
            lo_ridge_fit(set->rows, set->label, MANY, MANY, set->d, CLASSES, 1, NULL, NULL, &ridge[t], NULL),
            LO_OK);
        lo_ridge_leave_one(&ridge[t], set->rows, set->label, MANY, vector, shift[t]);
        lo_ridge_destroy(&ridge[t]);
    }
    for (int64_t i = 0; i < MANY; i++) {
        for (int32_t c = 0; c < CLASSES; c++) {
            assert_true(fabs(shift[1][i * CLASSES + c] - shift[0][(i * 7 + 3) % MANY * CLASSES + c]) < 1e-12);
        }
    }
    free(vector);
    free(shift[0]);
    free(shift[1]);
    attribute_data_destroy(&data);
    attribute_data_destroy(&turned);
}

static void outputs_are_what_they_say(void **state)
{
    (void)state;
    const double z[3] = {1, 2.5, -0.5};
    const double sum = exp(1) + exp(2.5) + exp(-0.5);
    for (int32_t y = 0; y < 3; y++) {
        assert_true(fabs(lo_effect_value(LO_EFFECT_PROBABILITY, true, z, 3, y) - exp(z[y]) / sum) < 1e-14);
        assert_true(fabs(lo_effect_value(LO_EFFECT_MARGIN, true, z, 3, y) - (z[y] - log(sum - exp(z[y])))) <
                    1e-14);
        assert_true(lo_effect_value(LO_EFFECT_CORRECT, true, z, 3, y) == (y == 1));
        assert_true(lo_effect_value(LO_EFFECT_PROBABILITY, false, z, 3, y) == z[y]);
    }
    assert_true(lo_effect_value(LO_EFFECT_MARGIN, false, z, 3, 1) == 1.5);
    assert_true(lo_effect_value(LO_EFFECT_MARGIN, false, z, 3, 0) == -1.5);
    const double tie[2] = {1, 1};
    assert_true(lo_effect_value(LO_EFFECT_CORRECT, true, tie, 2, 0) == 1);
    assert_true(lo_effect_value(LO_EFFECT_CORRECT, true, tie, 2, 1) == 0);
    assert_int_equal(lo_effect_find("correct"), LO_EFFECT_CORRECT);
    assert_int_equal(lo_effect_find("x"), LO_EFFECTS);
}

static void features_are_the_networks_inputs(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){2, 3, 4}, 3, 20, 5);
    lo_inputs inputs;
    lo_error err = {{0}};
    double *rows = NULL;
    const lo_features features = lo_features_of_inputs(&inputs, &data->dataset, &data->dataset.train);
    assert_int_equal(features.count, 20);
    assert_int_equal(features.size, 24);
    assert_int_equal(lo_features_rows(&features, 5, 7, &rows, &err), LO_OK);
    for (int64_t i = 0; i < 7; i++) {
        for (int64_t f = 0; f < 24; f++) {
            const int c = (int)(f / 12);
            const double pixel = data->dataset.train.pixel[(5 + i) * 24 + f];
            assert_true(rows[i * 25 + f] == pixel * (double)data->scale[c] + (double)data->shift[c]);
        }
        assert_true(rows[i * 25 + 24] == 1);
    }
    free(rows);
    data->scale[1] = NAN;
    assert_int_equal(lo_features_rows(&features, 5, 7, &rows, &err), LO_DATA);
    assert_null(rows);
    nn_data_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ridge_without_one_is_a_refit),
        cmocka_unit_test(ridge_without_a_group_is_a_refit),
        cmocka_unit_test(a_singular_matrix_is_refused),
        cmocka_unit_test(kernel_ridge_without_one_or_some_is_a_refit),
        cmocka_unit_test(sums_have_the_bits_of_any_order),
        cmocka_unit_test(a_permuted_data_set_gives_permuted_shifts),
        cmocka_unit_test(outputs_are_what_they_say),
        cmocka_unit_test(features_are_the_networks_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
