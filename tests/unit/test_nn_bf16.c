/* The kernels of every level in bfloat16, against plain loops in double precision over rounded operands. */
#include "base/random.h"
#include "nn/kernels/kernels_levels.h"
#include "nn/loss.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static float *room(size_t count)
{
    float *v = calloc(count + LO_LANES, sizeof(float));
    assert_non_null(v);
    return v;
}

static double *zeros(size_t count)
{
    double *v = calloc(count + 1, sizeof(double));
    assert_non_null(v);
    return v;
}

/* Fills [rows, channels] with values in -1 .. 1; channels from `used` on are the padding, zero. */
static void fill(float *v, size_t rows, size_t channels, size_t used, uint64_t stream)
{
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < used; c++) {
            v[r * channels + c] = 2 * lo_random_unit(random, stream, r * channels + c) - 1;
        }
    }
}

static float *values(size_t rows, size_t channels, size_t used, uint64_t stream)
{
    float *v = room(rows * channels);
    fill(v, rows, channels, used, stream);
    return v;
}

/* The nearest number of 8 significant bits, ties to even. */
static double rounded(float x)
{
    int exponent;
    const double fraction = frexp((double)x, &exponent);
    return ldexp(rint(ldexp(fraction, 8)), exponent - 8);
}

/* ||got - expected|| / ||expected|| */
static double distance(const float *got, const double *expected, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    return sqrt(difference / (size + 1e-30));
}

/* variant 0: A B, 1: A' B, 2: A B' */
static lo_gemm product_of(int variant, size_t m, size_t n, size_t k, const float *a, const float *b, float *c)
{
    return (lo_gemm){.m = m,
                     .n = n,
                     .k = k,
                     .a = a,
                     .a_row = variant == 1 ? 1 : k,
                     .a_column = variant == 1 ? m : 1,
                     .b = b,
                     .b_row = variant == 2 ? 1 : n,
                     .b_column = variant == 2 ? k : 1,
                     .c = c,
                     .c_row = n};
}

/* c [m, n] + the product of rounded operands, in double. */
static double *plain_product(const lo_gemm *g)
{
    double *a = zeros(g->m * g->k), *b = zeros(g->k * g->n), *sum = zeros(g->m * g->n);
    for (size_t i = 0; i < g->m; i++) {
        for (size_t p = 0; p < g->k; p++) {
            a[i * g->k + p] = rounded(g->a[i * g->a_row + p * g->a_column]);
        }
    }
    for (size_t p = 0; p < g->k; p++) {
        for (size_t j = 0; j < g->n; j++) {
            b[p * g->n + j] = rounded(g->b[p * g->b_row + j * g->b_column]);
        }
    }
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            sum[i * g->n + j] = g->accumulate ? (double)g->c[i * g->n + j] : 0;
        }
        for (size_t p = 0; p < g->k; p++) {
            for (size_t j = 0; j < g->n; j++) {
                sum[i * g->n + j] += a[i * g->k + p] * b[p * g->n + j];
            }
        }
    }
    free(a);
    free(b);
    return sum;
}

/* Operands and result begin `skew` floats after where memory is aligned. */
static void check_gemm(size_t m, size_t n, size_t k, int variant, size_t skew, bool accumulate)
{
    float *a = room(m * k + skew), *b = room(n * k + skew), *c = room(m * n), *got = room(m * n + skew),
          *again = room(m * n);
    lo_gemm g = product_of(variant, m, n, k, a + skew, b + skew, c);
    g.accumulate = accumulate;
    fill(a + skew, 1, m * k, m * k, 1);
    fill(b + skew, 1, n * k, n * k, 2);
    fill(c, 1, m * n, m * n, 3);
    double *expected = plain_product(&g);
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        memcpy(got + skew, c, m * n * sizeof(float));
        memcpy(again, c, m * n * sizeof(float));
        g.c = got + skew;
        lo_kernels_at(LO_BF16, level)->gemm(&g);
        g.c = again;
        lo_kernels_at(LO_BF16, level)->gemm(&g);
        assert_memory_equal(again, got + skew, m * n * sizeof(float));
        assert_true(distance(got + skew, expected, m * n) < 2e-6);
    }
    free(a);
    free(b);
    free(c);
    free(got);
    free(again);
    free(expected);
}

static void test_gemm(void **state)
{
    (void)state;
    const size_t m[] = {1, 2, 13, 14, 15, 128, 300}, n[] = {16, 32, 48}, k[] = {1, 2, 9, 31, 257, 1045};
    for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
        for (size_t j = 0; j < sizeof(n) / sizeof(n[0]); j++) {
            for (size_t p = 0; p < sizeof(k) / sizeof(k[0]); p++) {
                for (int variant = 0; variant < 3; variant++) {
                    check_gemm(m[i], n[j], k[p], variant, (i + p) % 3, (i + j + p) % 2 == 1);
                }
            }
        }
    }
}

/* Ties go to even: 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 * 2^-8 between that and 1 + 2^-6. */
static void test_rounding(void **state)
{
    (void)state;
    enum { N = LO_LANES };
    const float in[] = {1 + 0x1p-8F, 1 + 0x1.8p-7F, 1 + 0x1.01p-8F, -1 - 0x1p-8F, 0x1.fffffep127F, 0x1p-127F};
    const float out[] = {1, 1 + 0x1p-6F, 1 + 0x1p-7F, -1, INFINITY, 0};
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
            float b[N] = {1, 1}, c[N] = {0}, a = in[i];
            const lo_gemm g = product_of(0, 1, N, 1, &a, b, c);
            lo_kernels_at(LO_BF16, level)->gemm(&g);
            assert_true(c[0] == out[i]);
            float d[N] = {in[i]};
            a = 1;
            const lo_gemm h = product_of(0, 1, N, 1, &a, d, c);
            lo_kernels_at(LO_BF16, level)->gemm(&h);
            assert_true(c[0] == out[i]);
        }
    }
}

/* What is not finite stays so, and where it belongs; padding never makes it of zeros. */
static void test_not_finite(void **state)
{
    (void)state;
    enum { M = 3, N = 2 * LO_LANES, K = 33 };
    uint32_t all_ones = 0x7FFFFFFF;
    float nan;
    memcpy(&nan, &all_ones, sizeof(nan));
    const float bad[] = {NAN, nan, -nan, INFINITY, -INFINITY};
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            for (int variant = 0; variant < 3; variant++) {
                float *a = values(M, K, K, 1), *b = values(K, N, N, 2), *c = room(M * N);
                const lo_gemm g = product_of(variant, M, N, K, a, b, c);
                a[g.a_row + (K - 1) * g.a_column] = bad[i]; /* row 1 */
                lo_kernels_at(LO_BF16, level)->gemm(&g);
                for (size_t p = 0; p < M * N; p++) {
                    const bool here = p / N == 1;
                    assert_true(here ? !isfinite(c[p]) : isfinite(c[p]));
                    assert_true(!here || !isnan(bad[i]) || isnan(c[p]));
                }
                free(a);
                free(b);
                free(c);
            }
        }
    }
}

static void test_rows_are_independent(void **state)
{
    (void)state;
    enum { M = 37, N = 48, K = 601 };
    float *a = values(M, K, K, 1), *b = values(K, N, N, 2), *c = room(M * N), *one = room(N);
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        lo_gemm g = product_of(0, M, N, K, a, b, c);
        lo_kernels_at(LO_BF16, level)->gemm(&g);
        for (size_t i = 0; i < M; i++) {
            g = product_of(0, 1, N, K, a + i * K, b, one);
            lo_kernels_at(LO_BF16, level)->gemm(&g);
            assert_memory_equal(one, c + i * N, N * sizeof(float));
        }
    }
    free(a);
    free(b);
    free(c);
    free(one);
}

typedef struct convolution {
    double *y, *dx, *dw;
} convolution;

static double as_it_is(float x)
{
    return (double)x;
}

/* The plain convolution and its two gradients, on operands as `operand` makes them. */
static void direct_convolution(const lo_conv *conv, size_t images, const float *x, const float *w,
                               const float *dy, double operand(float), convolution *to)
{
    const size_t x_size = images * conv->height * conv->width * conv->in;
    const size_t y_size = images * conv->height * conv->width * conv->out;
    const size_t w_size = 9 * conv->in * conv->out;
    double *x0 = zeros(x_size), *w0 = zeros(w_size), *dy0 = zeros(y_size);
    *to = (convolution){zeros(y_size), zeros(x_size), zeros(w_size)};
    for (size_t i = 0; i < x_size; i++) {
        x0[i] = operand(x[i]);
    }
    for (size_t i = 0; i < w_size; i++) {
        w0[i] = operand(w[i]);
    }
    for (size_t i = 0; i < y_size; i++) {
        dy0[i] = operand(dy[i]);
    }
    for (size_t p = 0; p < images * conv->height * conv->width; p++) {
        const size_t image = p / (conv->height * conv->width), i = p / conv->width % conv->height;
        const size_t j = p % conv->width;
        for (size_t t = 0; t < 9; t++) {
            const size_t r = i + t / 3 - 1, q = j + t % 3 - 1; /* wraps round below 0 */
            if (r >= conv->height || q >= conv->width) {
                continue;
            }
            const size_t at_x = ((image * conv->height + r) * conv->width + q) * conv->in;
            for (size_t a = 0; a < conv->in; a++) {
                const double *row = w0 + (t * conv->in + a) * conv->out;
                double *gradient = to->dw + (t * conv->in + a) * conv->out;
                for (size_t b = 0; b < conv->out; b++) {
                    to->y[p * conv->out + b] += x0[at_x + a] * row[b];
                    to->dx[at_x + a] += dy0[p * conv->out + b] * row[b];
                    gradient[b] += dy0[p * conv->out + b] * x0[at_x + a];
                }
            }
        }
    }
    free(x0);
    free(w0);
    free(dy0);
}

static void free_convolution(convolution *c)
{
    free(c->y);
    free(c->dx);
    free(c->dw);
}

/* The kernels' y, dx and dw, the images in groups of conv->group. */
static void kernels_convolution(const lo_kernels *kernels, const lo_conv *conv, size_t images, const float *x,
                                const float *w, const float *dy, float *y, float *dx, float *dw)
{
    lo_conv back = *conv;
    back.in = conv->out;
    back.out = conv->in;
    const size_t x_step = conv->height * conv->width * conv->in;
    const size_t y_step = conv->height * conv->width * conv->out;
    const size_t size = kernels->conv_filter_size(conv);
    float *filter = room(size), *turned = room(size), *sum = room(size);
    float *scratch =
        room(kernels->conv_scratch_size(conv) + kernels->conv_scratch_size(&back) + 9 * conv->in * conv->out);
    kernels->conv_filter(conv, w, filter);
    kernels->conv_filter_turned(conv, w, turned, scratch);
    for (size_t n = 0; n < images; n += conv->group) {
        const size_t count = images - n < conv->group ? images - n : conv->group;
        kernels->conv_apply(conv, filter, x + n * x_step, y + n * y_step, count, scratch);
        kernels->conv_apply(&back, turned, dy + n * y_step, dx + n * x_step, count, scratch);
        kernels->conv_gradient_add(conv, x + n * x_step, dy + n * y_step, sum, count, scratch);
    }
    kernels->conv_gradient(conv, sum, dw);
    free(filter);
    free(turned);
    free(sum);
    free(scratch);
}

static void check_conv(const lo_kernels *kernels, size_t height, size_t width, size_t in, size_t out,
                       size_t images, size_t group)
{
    const lo_conv conv = {
        .height = height, .width = width, .in = lo_padded(in), .out = lo_padded(out), .group = group};
    const size_t pixels = images * height * width, y_size = pixels * conv.out, x_size = pixels * conv.in;
    const size_t w_size = 9 * conv.in * conv.out;
    float *x = values(pixels, conv.in, in, 1), *dy = values(pixels, conv.out, out, 2);
    float *w = values(9 * conv.in, conv.out, out, 3);
    for (size_t t = 0; t < 9; t++) {
        for (size_t a = in; a < conv.in; a++) {
            memset(w + (t * conv.in + a) * conv.out, 0, conv.out * sizeof(float));
        }
    }
    convolution exact, direct;
    direct_convolution(&conv, images, x, w, dy, as_it_is, &exact);
    direct_convolution(&conv, images, x, w, dy, rounded, &direct);
    float *got[2][3];
    for (int i = 0; i < 2; i++) {
        got[i][0] = room(y_size);
        got[i][1] = room(x_size);
        got[i][2] = room(w_size);
        kernels_convolution(kernels, &conv, images, x, w, dy, got[i][0], got[i][1], got[i][2]);
    }
    const double *wanted[] = {exact.y, exact.dx, exact.dw}, *plain[] = {direct.y, direct.dx, direct.dw};
    const size_t sizes[] = {y_size, x_size, w_size};
    for (int i = 0; i < 3; i++) {
        double *difference = zeros(sizes[i]);
        double error = 0, size = 1e-30;
        for (size_t p = 0; p < sizes[i]; p++) {
            difference[p] = plain[i][p] - wanted[i][p];
            error += difference[p] * difference[p];
            size += wanted[i][p] * wanted[i][p];
        }
        /* The transforms cost a factor of two over rounding the operands themselves; single values may do
         * worse. */
        const double ours = distance(got[0][i], wanted[i], sizes[i]);
        assert_true(ours <= (sizes[i] > 1000 ? 3 * sqrt(error / size) : 0.01));
        assert_memory_equal(got[0][i], got[1][i], sizes[i] * sizeof(float));
        free(difference);
        free(got[0][i]);
        free(got[1][i]);
    }
    free_convolution(&exact);
    free_convolution(&direct);
    free(x);
    free(dy);
    free(w);
}

static void test_convolutions(void **state)
{
    (void)state;
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        const lo_kernels *kernels = lo_kernels_at(LO_BF16, level);
        check_conv(kernels, 1, 1, 1, 1, 1, 1);
        check_conv(kernels, 2, 3, 5, 7, 2, 2);
        check_conv(kernels, 7, 7, 20, 33, 3, 2);
        check_conv(kernels, 14, 14, 32, 64, 2, 2);
        check_conv(kernels, 5, 8, 40, 16, 1, 1);
        check_conv(kernels, 9, 4, 3, 50, 5, 4);
    }
}

enum { EXAMPLES = 24, CLASSES = 7 };

/* The network's gradients after one pass over made-up examples, and its loss. The caller frees them. */
static float *gradients_of(const lo_kernels *kernels, const lo_model_spec *model, lo_shape input,
                           lo_network **network, lo_arena **arena, double *loss)
{
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    lo_error err;
    lo_memory memory = {0};
    int32_t label[EXAMPLES];
    int64_t correct = 0;
    assert_int_equal(lo_network_build(model, input, CLASSES, network, &err), LO_OK);
    lo_network_reserve(*network, kernels, EXAMPLES, &memory);
    *arena = lo_arena_create(memory.bytes);
    assert_non_null(*arena);
    memory = (lo_memory){.arena = *arena};
    lo_network_reserve(*network, kernels, EXAMPLES, &memory);
    assert_int_equal(lo_network_initialize(*network, 1, 1, NULL), LO_OK);
    const size_t step = lo_network_input_size(*network), size = lo_shape_size(input);
    for (size_t n = 0; n < EXAMPLES; n++) {
        label[n] = (int32_t)lo_random_below(random, 1, n, CLASSES);
        for (size_t i = 0; i < size; i++) {
            lo_network_input(*network)[n * step + i] =
                lo_random_unit(random, 2, (size_t)label[n] * size + i) +
                2 * lo_random_unit(random, 3, n * size + i) - 1.5F;
        }
    }
    assert_int_equal(lo_network_forward(*network, EXAMPLES, true, NULL), LO_OK);
    *loss = lo_softmax_loss(lo_network_logits(*network), lo_network_logit_step(*network), label, EXAMPLES,
                            CLASSES, 0, lo_network_logit_slope(*network), &correct) /
            EXAMPLES;
    assert_int_equal(lo_network_backward(*network, EXAMPLES, NULL), LO_OK);
    float *gradients = room((*network)->weight_size);
    memcpy(gradients, (*network)->gradient, (*network)->weight_size * sizeof(float));
    return gradients;
}

/* A whole step in bfloat16 is near float32's, and not the same: the loss within 1 %, the gradient of each
 * parameter within 15 % of its norm. The first layers' are the farthest, since what ReLU and pooling let
 * through changes where values nearly tie; 2 to 12 % are usual. */
static void check_step(const lo_kernels *kernels, const lo_model_spec *model, lo_shape input)
{
    lo_network *network = NULL, *reference = NULL;
    lo_arena *arena = NULL, *reference_arena = NULL;
    double loss, expected_loss;
    float *got = gradients_of(kernels, model, input, &network, &arena, &loss);
    float *expected =
        gradients_of(&lo_kernels_portable, model, input, &reference, &reference_arena, &expected_loss);
    assert_true(fabs(loss - expected_loss) < 0.01 * expected_loss);
    assert_memory_not_equal(got, expected, network->weight_size * sizeof(float));
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        double difference = 0, size = 0;
        for (size_t i = p->offset; i < p->offset + p->size && !p->statistic; i++) {
            difference += pow((double)got[i] - (double)expected[i], 2);
            size += pow((double)expected[i], 2);
        }
        if (!(sqrt(difference) <= 0.15 * sqrt(size))) {
            fail_msg("%s, %s: gradient of %s differs by %g of %g", model->preset, kernels->name, p->name,
                     sqrt(difference), sqrt(size));
        }
    }
    free(got);
    free(expected);
    lo_network_destroy(&network);
    lo_network_destroy(&reference);
    lo_arena_destroy(&arena);
    lo_arena_destroy(&reference_arena);
}

static void test_steps(void **state)
{
    (void)state;
    const lo_model_spec mlp = {.preset = "mlp", .hidden = {130, 50}, .hidden_count = 2};
    const lo_model_spec cnn = {.preset = "cnn", .width = 10};
    for (int level = 0; level < lo_kernels_count(LO_BF16); level++) {
        check_step(lo_kernels_at(LO_BF16, level), &mlp, (lo_shape){1, 13, 11});
        check_step(lo_kernels_at(LO_BF16, level), &cnn, (lo_shape){3, 15, 12});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),         cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_convolutions), cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests_name("nn_bf16", tests, NULL, NULL);
}
