/* Every kernel of every level that this processor runs, against plain loops in double precision. */
#include "base/random.h"
#include "nn/kernels/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Values in -1 .. 1; channels from `used` on are the padding, zero. */
static float *values(size_t rows, size_t channels, size_t used, uint64_t stream)
{
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    float *v = calloc(rows * channels + LO_LANES, sizeof(float));
    assert_non_null(v);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < used; c++) {
            v[r * channels + c] = 2 * lo_random_unit(random, stream, r * channels + c) - 1;
        }
    }
    return v;
}

static double *zeros(size_t count)
{
    double *v = calloc(count, sizeof(double));
    assert_non_null(v);
    return v;
}

static double distance(const float *got, const double *expected, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    return sqrt(difference / (size + 1e-30));
}

static void check_gemm(const lo_kernels *kernels, size_t m, size_t n, size_t k, int variant, bool accumulate)
{
    /* variant 0: A B, 1: A' B, 2: A B' */
    float *a = values(m, k, k, 1), *b = values(k, n, n, 2), *c = values(m, n, n, 3);
    double *expected = zeros(m * n);
    lo_gemm g = {.m = m,
                 .n = n,
                 .k = k,
                 .a = a,
                 .a_row = k,
                 .a_column = 1,
                 .b = b,
                 .b_row = n,
                 .b_column = 1,
                 .c = c,
                 .c_row = n,
                 .accumulate = accumulate};
    if (variant == 1) {
        g.a_row = 1;
        g.a_column = m;
    }
    if (variant == 2) {
        g.b_row = 1;
        g.b_column = k;
    }
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            expected[i * n + j] = accumulate ? (double)c[i * n + j] : 0;
            for (size_t p = 0; p < k; p++) {
                expected[i * n + j] +=
                    (double)a[i * g.a_row + p * g.a_column] * (double)b[p * g.b_row + j * g.b_column];
            }
        }
    }
    kernels->gemm(&g);
    assert_true(distance(c, expected, m * n) < 2e-6);
    free(a);
    free(b);
    free(c);
    free(expected);
}

static void test_gemm(void **state)
{
    (void)state;
    const size_t m[] = {1, 2, 5, 13, 14, 15, 29, 128}, n[] = {16, 32, 48, 112},
                 k[] = {1, 2, 9, 31, 256, 257, 700};
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
            for (size_t j = 0; j < sizeof(n) / sizeof(n[0]); j++) {
                for (size_t p = 0; p < sizeof(k) / sizeof(k[0]); p++) {
                    for (int variant = 0; variant < 3; variant++) {
                        check_gemm(lo_kernels_at(LO_F32, level), m[i], n[j], k[p], variant,
                                   (i + j + p) % 2 == 1);
                    }
                }
            }
        }
    }
}

/* A row of a product has the same bits whatever other rows there are: evaluation does not depend on its
 * batches. */
static void test_gemm_rows_are_independent(void **state)
{
    (void)state;
    enum { M = 37, N = 48, K = 300 };
    float *a = values(M, K, K, 1), *b = values(K, N, N, 2), *c = values(M, N, N, 3),
          *one = values(1, N, N, 4);
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        lo_gemm g = {.m = M,
                     .n = N,
                     .k = K,
                     .a = a,
                     .a_row = K,
                     .a_column = 1,
                     .b = b,
                     .b_row = N,
                     .b_column = 1,
                     .c = c,
                     .c_row = N};
        lo_kernels_at(LO_F32, level)->gemm(&g);
        for (size_t i = 0; i < M; i++) {
            g.m = 1;
            g.a = a + i * K;
            g.c = one;
            lo_kernels_at(LO_F32, level)->gemm(&g);
            assert_memory_equal(one, c + i * N, N * sizeof(float));
        }
    }
    free(a);
    free(b);
    free(c);
    free(one);
}

/* The plain convolution and its two gradients, on one image of padded channels. */
static void naive_conv(const lo_conv *conv, const float *x, const float *w, const float *dy, double *y,
                       double *dx, double *dw)
{
    for (size_t i = 0; i < conv->height; i++) {
        for (size_t j = 0; j < conv->width; j++) {
            for (size_t t = 0; t < 9; t++) {
                const size_t r = i + t / 3 - 1, q = j + t % 3 - 1; /* wraps round below 0 */
                if (r >= conv->height || q >= conv->width) {
                    continue;
                }
                for (size_t a = 0; a < conv->in; a++) {
                    for (size_t b = 0; b < conv->out; b++) {
                        const size_t at_x = (r * conv->width + q) * conv->in + a;
                        const size_t at_y = (i * conv->width + j) * conv->out + b;
                        const size_t at_w = (t * conv->in + a) * conv->out + b;
                        y[at_y] += (double)x[at_x] * (double)w[at_w];
                        dx[at_x] += (double)dy[at_y] * (double)w[at_w];
                        dw[at_w] += (double)dy[at_y] * (double)x[at_x];
                    }
                }
            }
        }
    }
}

static void check_conv(const lo_kernels *kernels, size_t height, size_t width, size_t in, size_t out,
                       size_t images)
{
    const lo_conv conv = {
        .height = height, .width = width, .in = lo_padded(in), .out = lo_padded(out), .group = images};
    lo_conv back = conv;
    back.in = conv.out;
    back.out = conv.in;
    const size_t pixels = height * width, x_size = pixels * conv.in, y_size = pixels * conv.out;
    const size_t w_size = 9 * conv.in * conv.out;
    float *x = values(images * pixels, conv.in, in, 1), *dy = values(images * pixels, conv.out, out, 2);
    float *w = values(9 * conv.in, conv.out, out, 3);
    for (size_t t = 0; t < 9; t++) {
        for (size_t a = in; a < conv.in; a++) {
            memset(w + (t * conv.in + a) * conv.out, 0, conv.out * sizeof(float));
        }
    }
    float *y = values(images, y_size, y_size, 4), *dx = values(images, x_size, x_size, 5),
          *dw = values(1, w_size, 0, 6);
    double *y0 = zeros(images * y_size), *dx0 = zeros(images * x_size), *dw0 = zeros(w_size);
    for (size_t n = 0; n < images; n++) {
        naive_conv(&conv, x + n * x_size, w, dy + n * y_size, y0 + n * y_size, dx0 + n * x_size, dw0);
    }
    const size_t size = kernels->conv_filter_size(&conv);
    const size_t scratch_size =
        kernels->conv_scratch_size(&conv) + kernels->conv_scratch_size(&back) + 9 * conv.in * conv.out;
    float *u = values(1, size, 0, 0), *scratch = values(1, scratch_size, scratch_size, 7);
    kernels->conv_filter(&conv, w, u);
    kernels->conv_apply(&conv, u, x, y, images, scratch);
    assert_true(distance(y, y0, images * y_size) < 2e-6);
    kernels->conv_filter_turned(&conv, w, u, scratch);
    kernels->conv_apply(&back, u, dy, dx, images, scratch);
    assert_true(distance(dx, dx0, images * x_size) < 2e-6);
    memset(u, 0, size * sizeof(float));
    kernels->conv_gradient_add(&conv, x, dy, u, images, scratch);
    kernels->conv_gradient(&conv, u, dw);
    assert_true(distance(dw, dw0, w_size) < 2e-6);
    for (size_t p = 0; p < images * pixels; p++) { /* padding stays zero */
        for (size_t c = out; c < conv.out; c++) {
            assert_true(y[p * conv.out + c] == 0);
        }
    }
    float *const all[] = {x, dy, w, y, dx, dw, u, scratch};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        free(all[i]);
    }
    free(y0);
    free(dx0);
    free(dw0);
}

static void test_convolutions(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        const lo_kernels *kernels = lo_kernels_at(LO_F32, level);
        check_conv(kernels, 1, 1, 1, 1, 1);
        check_conv(kernels, 2, 3, 5, 7, 2);
        check_conv(kernels, 7, 7, 20, 33, 3);
        check_conv(kernels, 14, 14, 32, 64, 2);
        check_conv(kernels, 5, 8, 40, 16, 1);
        check_conv(kernels, 9, 4, 3, 50, 4);
    }
}

/* y -> (normalize, ReLU, pool) -> out in double, and the gradient of sum(out * dout) with respect to y by the
 * textbook. */
static void check_norm_pool(const lo_kernels *kernels, size_t height, size_t width, size_t channels)
{
    const size_t pixels = height * width, down = height / 2, across = width / 2, pooled = down * across;
    float *y = values(pixels, channels, channels, 1), *dout = values(pooled, channels, channels, 2);
    float *gamma = values(1, channels, channels, 3), *beta = values(1, channels, channels, 4);
    float *out = values(pooled, channels, 0, 5), *top = values(pooled, channels, 0, 6);
    float *rows = values(5, channels, 0, 7);
    double *sum = zeros(channels), *square = zeros(channels), *expected = zeros(pixels * channels);
    gamma[0] = 0;           /* nothing may divide by gamma */
    y[channels + 1] = y[1]; /* a tie */
    const double count = (double)pixels;
    float *scale = rows, *offset = rows + channels, *pull = rows + 2 * channels, *drift = rows + 3 * channels;
    float *mean = rows + 4 * channels;

    kernels->moments(y, pixels, channels, y, sum, square);
    for (size_t c = 0; c < channels; c++) {
        double m = 0, variance = 0;
        for (size_t p = 0; p < pixels; p++) {
            m += (double)y[p * channels + c] / count;
        }
        for (size_t p = 0; p < pixels; p++) {
            variance += pow((double)y[p * channels + c] - m, 2) / count;
        }
        const double moved = sum[c] / count;
        assert_true(fabs(moved + (double)y[c] - m) < 1e-6);
        assert_true(fabs(square[c] / count - moved * moved - variance) < 1e-6);
        const double std = sqrt(variance + 1e-5);
        mean[c] = (float)m;
        scale[c] = (float)((double)gamma[c] / std);
        offset[c] = (float)((double)beta[c] - m * (double)scale[c]);

        /* The textbook: the window's first maximum takes the slope, ReLU stops it at 0. */
        double *dz = zeros(pixels), sum_dz = 0, sum_product = 0;
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                size_t best = 0;
                float z_best = -INFINITY;
                for (size_t q = 0; q < 4; q++) {
                    const size_t p = (2 * i + q / 2) * width + 2 * j + q % 2;
                    const float z = fmaf(scale[c], y[p * channels + c], offset[c]);
                    if (z > z_best) {
                        z_best = z;
                        best = p;
                    }
                }
                if (z_best > 0) {
                    dz[best] = (double)dout[(i * across + j) * channels + c];
                    sum_dz += dz[best];
                    sum_product += dz[best] * ((double)y[best * channels + c] - m);
                }
            }
        }
        for (size_t p = 0; p < pixels; p++) {
            const double xhat = ((double)y[p * channels + c] - m) / std;
            expected[p * channels + c] =
                (double)gamma[c] / std * (dz[p] - sum_dz / count - xhat * sum_product / std / count);
        }
        free(dz);
        const double product = sum_product / std;
        pull[c] = (float)(-(double)scale[c] / std * product / count);
        drift[c] = (float)(-(double)scale[c] * sum_dz / count - (double)pull[c] * m);
        sum[c] = sum_dz;
        square[c] = sum_product;
    }
    const lo_norm norm = {scale, offset, pull, drift, mean};
    kernels->norm_pool(&norm, y, height, width, channels, out, top);
    double *sum_got = zeros(channels), *product_got = zeros(channels);
    kernels->norm_pool_sums(&norm, dout, top, pooled, channels, sum_got, product_got);
    for (size_t c = 0; c < channels; c++) {
        assert_true(fabs(sum_got[c] - sum[c]) < 1e-5);
        assert_true(fabs(product_got[c] - square[c]) < 1e-5);
    }
    for (size_t i = 0; i < down; i++) {
        for (size_t j = 0; j < across; j++) {
            for (size_t c = 0; c < channels; c++) {
                double best = 0;
                for (size_t q = 0; q < 4; q++) {
                    const float v = y[((2 * i + q / 2) * width + 2 * j + q % 2) * channels + c];
                    best = fmax(best, (double)scale[c] * (double)v + (double)offset[c]);
                }
                assert_true(fabs((double)out[(i * across + j) * channels + c] - best) < 1e-6);
            }
        }
    }
    kernels->norm_pool_backward(&norm, dout, y, height, width, channels);
    assert_true(distance(y, expected, pixels * channels) < 1e-5);
    float *const all[] = {y, dout, gamma, beta, out, top, rows};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        free(all[i]);
    }
    free(sum);
    free(square);
    free(expected);
    free(sum_got);
    free(product_got);
}

static void test_norm_pool(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        check_norm_pool(lo_kernels_at(LO_F32, level), 2, 2, 16);
        check_norm_pool(lo_kernels_at(LO_F32, level), 7, 7, 48);
        check_norm_pool(lo_kernels_at(LO_F32, level), 28, 28, 32);
        check_norm_pool(lo_kernels_at(LO_F32, level), 5, 6, 16);
        check_norm_pool(lo_kernels_at(LO_F32, level), 4, 3, 16);
    }
}

static void test_moments_far_from_zero(void **state)
{
    (void)state;
    enum { ROWS = 5000, CHANNELS = 16 };
    float *y = values(ROWS, CHANNELS, CHANNELS, 1);
    for (size_t i = 0; i < ROWS * CHANNELS; i++) {
        y[i] = 1000 + y[i];
    }
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        double sum[CHANNELS] = {0}, square[CHANNELS] = {0};
        lo_kernels_at(LO_F32, level)->moments(y, ROWS, CHANNELS, y, sum, square);
        for (size_t c = 0; c < CHANNELS; c++) {
            double mean = 0, variance = 0;
            for (size_t r = 0; r < ROWS; r++) {
                mean += (double)y[r * CHANNELS + c] / ROWS;
            }
            for (size_t r = 0; r < ROWS; r++) {
                variance += pow((double)y[r * CHANNELS + c] - mean, 2) / ROWS;
            }
            const double moved = sum[c] / ROWS;
            assert_true(fabs(square[c] / ROWS - moved * moved - variance) < 1e-5 * variance);
        }
    }
    free(y);
}

static void test_small_ones(void **state)
{
    (void)state;
    enum { ROWS = 70, COLUMNS = 48, SIZE = ROWS * COLUMNS };
    uint8_t bytes[301];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        const lo_kernels *kernels = lo_kernels_at(LO_F32, level);
        float *x = values(ROWS, COLUMNS, COLUMNS, 1), *y = values(ROWS, COLUMNS, COLUMNS, 1);
        float *w = values(ROWS, COLUMNS, COLUMNS, 2), *v = values(ROWS, COLUMNS, COLUMNS, 3);
        float *bias = values(1, COLUMNS, COLUMNS, 4);
        kernels->bias_relu(y, bias, ROWS, COLUMNS, true);
        for (size_t i = 0; i < SIZE; i++) {
            assert_true(y[i] == fmaxf(x[i] + bias[i % COLUMNS], 0));
        }
        y[0] = NAN;
        kernels->bias_relu(y, bias, 1, COLUMNS, true);
        assert_true(isnan(y[0])); /* ReLU lets NaN through, as PyTorch's does */
        y[0] = 0;
        memcpy(w, x, SIZE * sizeof(float));
        kernels->relu_backward(w, y, SIZE);
        for (size_t i = 0; i < SIZE; i++) {
            assert_true(w[i] == (y[i] > 0 ? x[i] : 0));
        }
        float sums[COLUMNS];
        kernels->column_sums(x, ROWS, COLUMNS, sums, false);
        kernels->column_sums(x, ROWS, COLUMNS, sums, true);
        for (size_t c = 0; c < COLUMNS; c++) {
            double sum = 0;
            for (size_t r = 0; r < ROWS; r++) {
                sum += 2 * (double)x[r * COLUMNS + c];
            }
            assert_true(fabs(sum - (double)sums[c]) < 1e-5);
        }
        const lo_sgd sgd = {.lr = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F, .scale = 0.5F};
        for (size_t i = 0; i < SIZE; i++) {
            w[i] = x[i] - 0.3F;
        }
        float *v0 = values(ROWS, COLUMNS, COLUMNS, 3);
        kernels->sgd(&sgd, SIZE, w, v, x, NULL);
        for (size_t i = 0; i < SIZE; i++) {
            const double before = (double)(x[i] - 0.3F);
            const double velocity = 0.9 * (double)v0[i] + (0.5 * (double)x[i] + 0.01 * before);
            assert_true(fabs((double)v[i] - velocity) < 1e-6);
            assert_true(fabs((double)w[i] - (before - 0.1 * velocity)) < 1e-6);
            w[i] = x[i] - 0.3F;
        }
        memcpy(v, v0, SIZE * sizeof(float));
        kernels->sgd_nesterov(&sgd, SIZE, w, v, x, NULL);
        for (size_t i = 0; i < SIZE; i++) {
            const double before = (double)(x[i] - 0.3F), slope = 0.5 * (double)x[i] + 0.01 * before;
            const double velocity = 0.9 * (double)v0[i] + slope;
            assert_true(fabs((double)v[i] - velocity) < 1e-6);
            assert_true(fabs((double)w[i] - (before - 0.1 * (slope + 0.9 * velocity))) < 1e-6);
        }
        float converted[301];
        kernels->convert(bytes, sizeof(bytes), 0.25F, -3, converted);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            assert_true(converted[i] == 0.25F * (float)bytes[i] - 3);
        }
        free(x);
        free(y);
        free(w);
        free(v);
        free(v0);
        free(bias);
    }
}

/* Two steps, by the definition with its bias corrections; padding, where all is 0, stays 0. */
static void check_adamw(const lo_kernels *kernels)
{
    enum { ROWS = 5, COLUMNS = 48, USED = 45, SIZE = ROWS * COLUMNS };
    const double lr = 0.01, decay = 0.3, beta1 = 0.8, beta2 = 0.95, epsilon = 1e-3;
    float *g = values(ROWS, COLUMNS, USED, 1), *w = values(ROWS, COLUMNS, USED, 2);
    float *m = values(ROWS, COLUMNS, 0, 0), *v = values(ROWS, COLUMNS, 0, 0);
    double weight[SIZE], first[SIZE] = {0}, second[SIZE] = {0};
    for (size_t i = 0; i < SIZE; i++) {
        weight[i] = (double)w[i];
    }
    for (int t = 1; t <= 2; t++) {
        const double correction1 = 1 - pow(beta1, t), correction2 = 1 - pow(beta2, t);
        const lo_adamw adamw = {.rate = (float)(lr / correction1),
                                .keep = (float)(1 - lr * decay),
                                .beta1 = (float)beta1,
                                .rest1 = (float)(1 - beta1),
                                .beta2 = (float)beta2,
                                .rest2 = (float)(1 - beta2),
                                .correction = (float)(1 / sqrt(correction2)),
                                .epsilon = (float)epsilon,
                                .scale = 0.25F};
        kernels->adamw(&adamw, SIZE, w, m, v, g, NULL);
        for (size_t i = 0; i < SIZE; i++) {
            const double slope = 0.25 * (double)g[i];
            first[i] = beta1 * first[i] + (1 - beta1) * slope;
            second[i] = beta2 * second[i] + (1 - beta2) * slope * slope;
            weight[i] -= lr * decay * weight[i];
            weight[i] -= lr * (first[i] / correction1) / (sqrt(second[i] / correction2) + epsilon);
            g[i] *= -0.5F;
        }
        assert_true(distance(m, first, SIZE) < 1e-6);
        assert_true(distance(v, second, SIZE) < 1e-6);
        assert_true(distance(w, weight, SIZE) < 1e-6);
    }
    for (size_t i = 0; i < SIZE; i++) {
        assert_true(i % COLUMNS < USED || (w[i] == 0 && m[i] == 0 && v[i] == 0));
    }
    free(g);
    free(w);
    free(m);
    free(v);
}

static void test_adamw(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        check_adamw(lo_kernels_at(LO_F32, level));
    }
}

/* One optimizer's step; m has no part in SGD. */
static void masked_step(const lo_kernels *kernels, int which, size_t count, float *w, float *m, float *v,
                        const float *g, const uint16_t *trained)
{
    const lo_sgd sgd = {.lr = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F, .scale = 0.5F};
    const lo_adamw adamw = {.rate = 0.02F,
                            .keep = 0.99F,
                            .beta1 = 0.8F,
                            .rest1 = 0.2F,
                            .beta2 = 0.9F,
                            .rest2 = 0.1F,
                            .correction = 2,
                            .epsilon = 1e-3F,
                            .scale = 0.5F};
    if (which == 2) {
        kernels->adamw(&adamw, count, w, m, v, g, trained);
    } else {
        (which == 0 ? kernels->sgd : kernels->sgd_nesterov)(&sgd, count, w, v, g, trained);
    }
}

/* Where the bit is set an element has the bits that it has without a mask; else those that it had, whatever
 * its gradient is. */
static void check_masked(const lo_kernels *kernels, int which)
{
    enum { WORDS = 7, SIZE = WORDS * LO_LANES, ARRAYS = 3 };
    const uint16_t trained[WORDS] = {0x8001, 0, 0xFFFF, 0x1234, 0x00F0, 0xFF00, 0xA5C3};
    float *g = values(1, SIZE, SIZE, 1), *before[ARRAYS], *plain[ARRAYS], *masked[ARRAYS];
    for (int a = 0; a < ARRAYS; a++) {
        before[a] = values(1, SIZE, SIZE, 2 + (uint64_t)a);
        for (size_t i = 0; i < SIZE && a == 2; i++) {
            before[a][i] = fabsf(before[a][i]); /* a second moment */
        }
        plain[a] = calloc(SIZE, sizeof(float));
        masked[a] = calloc(SIZE, sizeof(float));
        assert_true(plain[a] != NULL && masked[a] != NULL);
        memcpy(plain[a], before[a], SIZE * sizeof(float));
        memcpy(masked[a], before[a], SIZE * sizeof(float));
    }
    masked_step(kernels, which, SIZE, plain[0], plain[1], plain[2], g, NULL);
    g[17] = (float)NAN; /* held */
    masked_step(kernels, which, SIZE, masked[0], masked[1], masked[2], g, trained);
    for (size_t i = 0; i < SIZE; i++) {
        const bool held = (trained[i / LO_LANES] >> i % LO_LANES & 1) == 0;
        for (int a = 0; a < ARRAYS; a++) {
            assert_memory_equal(&masked[a][i], held ? &before[a][i] : &plain[a][i], sizeof(float));
        }
        assert_true(plain[0][i] != before[0][i]);
    }
    for (int a = 0; a < ARRAYS; a++) {
        free(before[a]);
        free(plain[a]);
        free(masked[a]);
    }
    free(g);
}

static void test_masked_steps(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        for (int which = 0; which < 3; which++) {
            check_masked(lo_kernels_at(LO_F32, level), which);
        }
    }
}

/* The exact order, so that bits are those of every other level. */
static void test_square_sum(void **state)
{
    (void)state;
    enum { SIZE = 1008 };
    float *x = values(1, SIZE, SIZE, 1);
    double lanes[LO_LANES] = {0}, expected = 0;
    x[3] = 1e25F;
    x[17] = -3e-30F;
    for (size_t i = 0; i < SIZE; i++) {
        lanes[i % LO_LANES] += (double)x[i] * (double)x[i];
    }
    for (size_t lane = 0; lane < LO_LANES; lane++) {
        expected += lanes[lane];
    }
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        assert_true(lo_kernels_at(LO_F32, level)->square_sum(x, SIZE) == expected);
        assert_true(lo_kernels_at(LO_F32, level)->square_sum(x, 0) == 0);
    }
    x[SIZE - 1] = NAN;
    assert_true(isnan(lo_kernels_at(LO_F32, 0)->square_sum(x, SIZE)));
    free(x);
}

static void check_patches(const lo_kernels *kernels, size_t channels, size_t height, size_t width)
{
    const size_t pixels = height * width;
    float *image = values(channels, pixels, pixels, 1),
          *padded = values(1, lo_padded_image(height, width), 0, 0);
    float *patches = values(9 * channels, pixels, 0, 0);
    kernels->patches(image, channels, height, width, padded, patches);
    for (size_t c = 0; c < channels; c++) {
        for (size_t t = 0; t < 9; t++) {
            for (size_t p = 0; p < pixels; p++) {
                const size_t r = p / width + t / 3 - 1, q = p % width + t % 3 - 1; /* wraps round below 0 */
                const bool inside = r < height && q < width;
                assert_true(patches[(c * 9 + t) * pixels + p] ==
                            (inside ? image[c * pixels + r * width + q] : 0));
            }
        }
    }
    free(image);
    free(padded);
    free(patches);
}

static void test_patches(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        check_patches(lo_kernels_at(LO_F32, level), 1, 28, 28);
        check_patches(lo_kernels_at(LO_F32, level), 3, 5, 17);
        check_patches(lo_kernels_at(LO_F32, level), 2, 1, 1);
    }
}

static void test_pinning(void **state)
{
    (void)state;
    lo_error err;
    assert_int_equal(lo_kernels_pin("portable", &err), LO_OK);
    assert_string_equal(lo_kernels_chosen(LO_F32)->name, "portable");
    assert_int_equal(lo_kernels_pin("pentium", &err), LO_USAGE);
    assert_non_null(strstr(err.text, "pentium"));
    assert_non_null(strstr(err.text, "portable"));
    assert_int_equal(lo_kernels_pin("auto", &err), LO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_gemm_rows_are_independent),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_norm_pool),
        cmocka_unit_test(test_moments_far_from_zero),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_patches),
        cmocka_unit_test(test_pinning),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_masked_steps),
        cmocka_unit_test(test_square_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
