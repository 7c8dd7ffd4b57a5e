/* A small classification problem with overlapping classes, and plain dense algebra to solve it again by brute
 * force. */
#ifndef LEAVEOUT_TESTS_ATTRIBUTE_DATA_H
#define LEAVEOUT_TESTS_ATTRIBUTE_DATA_H

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct attribute_data {
    int64_t n, d; /* d numbers a row, the last 1 */
    int32_t classes;
    double *rows;
    int32_t *label;
} attribute_data;

static inline double *numbers(int64_t count)
{
    double *memory = calloc((size_t)count, sizeof(*memory));
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static inline attribute_data attribute_data_create(int64_t n, int64_t features, int32_t classes)
{
    const lo_random random = lo_random_make(11, LO_FOR_TEST);
    attribute_data data = {n, features + 1, classes, numbers(n * (features + 1)), NULL};
    data.label = calloc((size_t)n, sizeof(*data.label));
    for (int64_t i = 0; i < n && data.label != NULL; i++) {
        data.label[i] = (int32_t)(i % classes);
        for (int64_t f = 0; f < features; f++) {
            const double center = lo_random_unit(random, (uint64_t)(10000 + data.label[i]), (uint64_t)f);
            data.rows[i * data.d + f] =
                center - 0.5 + 2 * ((double)lo_random_unit(random, (uint64_t)i, (uint64_t)f) - 0.5);
        }
        data.rows[i * data.d + features] = 1;
    }
    return data;
}

static inline void attribute_data_destroy(attribute_data *data)
{
    free(data->rows);
    free(data->label);
}

/* Without the examples of which out is set. */
static inline attribute_data attribute_data_without(const attribute_data *data, const bool *out)
{
    attribute_data rest = {0, data->d, data->classes, numbers(data->n * data->d),
                           calloc((size_t)data->n, sizeof(int32_t))};
    for (int64_t i = 0; i < data->n; i++) {
        if (!out[i]) {
            memcpy(rest.rows + rest.n * data->d, data->rows + i * data->d, (size_t)data->d * sizeof(double));
            rest.label[rest.n++] = data->label[i];
        }
    }
    return rest;
}

/* a [n, n] x = b [n, count] by Gauss's elimination with pivots, in place. */
static inline void eliminate(double *a, int64_t n, double *b, int64_t count)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++) {
            pivot = fabs(a[i * n + k]) > fabs(a[pivot * n + k]) ? i : pivot;
        }
        for (int64_t j = 0; j < n; j++) {
            const double swap = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        for (int64_t j = 0; j < count; j++) {
            const double swap = b[k * count + j];
            b[k * count + j] = b[pivot * count + j];
            b[pivot * count + j] = swap;
        }
        for (int64_t i = 0; i < n; i++) {
            const double factor = i == k ? 0 : a[i * n + k] / a[k * n + k];
            for (int64_t j = k; j < n && factor != 0; j++) {
                a[i * n + j] -= factor * a[k * n + j];
            }
            for (int64_t j = 0; j < count && factor != 0; j++) {
                b[i * count + j] -= factor * b[k * count + j];
            }
        }
    }
    for (int64_t k = 0; k < n; k++) {
        for (int64_t j = 0; j < count; j++) {
            b[k * count + j] /= a[k * n + k];
        }
    }
}

/* The least-squares model [classes, d], from its normal equations. */
static inline void plain_ridge(const attribute_data *data, double penalty, double *weight)
{
    const int64_t d = data->d;
    double *a = numbers(d * d);
    double *b = numbers(d * data->classes);
    for (int64_t i = 0; i < data->n; i++) {
        const double *x = data->rows + i * d;
        for (int64_t f = 0; f < d; f++) {
            for (int64_t g = 0; g < d; g++) {
                a[f * d + g] += x[f] * x[g];
            }
            b[f * data->classes + data->label[i]] += x[f];
        }
    }
    for (int64_t f = 0; f < d - 1; f++) {
        a[f * d + f] += penalty;
    }
    eliminate(a, d, b, data->classes);
    for (int64_t f = 0; f < d; f++) {
        for (int32_t c = 0; c < data->classes; c++) {
            weight[c * d + f] = b[f * data->classes + c];
        }
    }
    free(a);
    free(b);
}

static inline double plain_dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* The softmax model [classes, d] that minimizes sum of losses / whole + penalty / 2 |W|^2, the intercept of
 * the last class fixed at 0: Newton's method on all other parameters, by elimination, until the gradient is
 * at rounding. */
static inline void plain_softmax(const attribute_data *data, int64_t whole, double penalty, double *weight)
{
    enum { STEPS = 60 };
    const int64_t d = data->d;
    const int32_t classes = data->classes;
    const int64_t p = d * classes - 1;
    double *hessian = numbers((p + 1) * (p + 1));
    double *gradient = numbers(p + 1);
    double *probability = numbers(classes);
    double last = INFINITY;
    memset(weight, 0, (size_t)(d * classes) * sizeof(*weight));
    for (int step = 0; step < STEPS; step++) {
        memset(hessian, 0, (size_t)(p * p) * sizeof(*hessian));
        memset(gradient, 0, (size_t)p * sizeof(*gradient));
        for (int64_t i = 0; i < data->n; i++) {
            const double *x = data->rows + i * d;
            double sum = 0;
            for (int32_t c = 0; c < classes; c++) {
                probability[c] = exp(plain_dot(weight + c * d, x, d));
                sum += probability[c];
            }
            for (int32_t c = 0; c < classes; c++) {
                probability[c] /= sum;
            }
            for (int64_t r = 0; r < p; r++) {
                const int32_t c = (int32_t)(r / d);
                gradient[r] += x[r % d] * (probability[c] - (c == data->label[i])) / (double)whole;
                for (int64_t s = 0; s < p; s++) {
                    const int32_t e = (int32_t)(s / d);
                    hessian[r * p + s] += x[r % d] * x[s % d] *
                                          ((c == e ? probability[c] : 0) - probability[c] * probability[e]) /
                                          (double)whole;
                }
            }
        }
        for (int64_t r = 0; r < p; r++) {
            gradient[r] += r % d == d - 1 ? 0 : penalty * weight[r];
            hessian[r * p + r] += r % d == d - 1 ? 0 : penalty;
        }
        const double norm = sqrt(plain_dot(gradient, gradient, p));
        if (norm < 1e-15 || (norm < 1e-11 && norm >= last)) {
            break;
        }
        last = norm;
        eliminate(hessian, p, gradient, 1);
        for (int64_t r = 0; r < p; r++) {
            weight[r] -= gradient[r];
        }
    }
    free(hessian);
    free(gradient);
    free(probability);
}

#endif
