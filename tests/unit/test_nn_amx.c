/* The products and convolutions of AMX, three ways, against plain loops in double precision: on tiles in
 * plain C, which any machine runs and the sanitizers see; the library's machine code with its tile
 * instructions carried out by a handler of SIGILL, where the processor has AVX512-BF16 but no AMX; the
 * library itself on processors that have AMX. */
#include "amx_emulated_tiles.h"
#include "base/random.h"
#include "nn/kernels/kernels_levels.h"
#include "nn/loss.h"
#include "nn/presets/presets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "nn/kernels/kernels_tiles.h"

#ifdef LEAVEOUT_AMX
#include "amx_trap.h"

/* Its parts, to be tested where the whole says no. */
#define lo_amx_ready amx_ready_here
bool lo_amx_ready(void);
#include "nn/kernels/amx_ready.c"
#undef lo_amx_ready
#endif

/* The portable table with the products of the tiles. */
static lo_kernels emulated;

static void make_emulated(void)
{
    emulated = *lo_kernels_at(LO_BF16, lo_kernels_count(LO_BF16) - 1);
    emulated.name = "emulated";
    emulated.gemm = gemm;
    emulated.conv_group = conv_group;
    emulated.conv_filter_size = conv_filter_size;
    emulated.conv_scratch_size = conv_scratch_size;
    emulated.conv_filter = conv_filter;
    emulated.conv_filter_turned = conv_filter_turned;
    emulated.conv_apply = conv_apply;
    emulated.conv_gradient_add = conv_gradient_add;
    emulated.conv_gradient = conv_gradient;
    emulated.peak = peak;
}

/* The library's table, with the processor's tiles or trapped ones; NULL where the processor cannot run even
 * what is left. Trapped, its bits are the emulated table's. */
static const lo_kernels *library;
static bool trapped;

static void find_library(void)
{
#ifdef LEAVEOUT_AMX
    if (lo_amx_ready()) {
        library = &lo_kernels_amx_bf16;
        print_message("the library's kernels run on this processor's AMX\n");
    } else if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        library = &lo_kernels_amx_bf16;
        trapped = true;
        print_message("SKIPPED: AMX itself, which this processor (or its system) does not have. "
                      "The library's instructions are trapped and carried out in C\n");
    }
#endif
    if (library == NULL) {
        print_message("SKIPPED: the library's AMX kernels: this processor has no AVX512-BF16\n");
    }
}

/* ---- references ---- */

/* The nearest bfloat16, ties to even: eight binary digits. */
static double nearest(float x)
{
    int exponent;
    const double fraction = frexp((double)x, &exponent);
    return isfinite(x) ? ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8) : (double)x;
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

/* Values in -1 .. 1, and not a float more than asked for, so that the address sanitizer sees what reads on;
 * channels from `used` on are zero. */
static float *values(size_t rows, size_t channels, size_t used, uint64_t stream)
{
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    float *v = calloc(rows * channels, sizeof(float));
    assert_non_null(v);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < used; c++) {
            v[r * channels + c] = 2 * lo_random_unit(random, stream, r * channels + c) - 1;
        }
    }
    return v;
}

/* The same, rounded to bfloat16. */
static double *rounded_values(const float *v, size_t count)
{
    double *r = malloc(count * sizeof(double));
    assert_non_null(r);
    for (size_t i = 0; i < count; i++) {
        r[i] = nearest(v[i]);
    }
    return r;
}

static double *zeros(size_t count)
{
    double *v = calloc(count, sizeof(double));
    assert_non_null(v);
    return v;
}

/* At the start of each test that runs the library's kernels: cmocka sets the handler back between tests. */
static void begin_trap(void)
{
#ifdef LEAVEOUT_AMX
    if (trapped) {
        amx_trap_begin();
    }
#endif
}

/* What the library computed, against what the emulated table did. */
static void check_same(const float *emulated_result, const float *library_result, size_t count)
{
    if (trapped) {
        assert_memory_equal(emulated_result, library_result, count * sizeof(float));
    }
}

/* ---- the emulator itself, by examples that are worked out by hand ---- */

static void set_pair(uint32_t *tile, size_t row, size_t pair, float even, float odd)
{
    tile[row * TILE_SIDE + pair] = rounded(even) | rounded(odd) << 16;
}

static void test_emulator(void **state)
{
    (void)state;
    uint32_t left[TILE] = {0}, right[TILE] = {0};
    float sum[TILE] = {0};
    for (size_t column = 0; column < TILE_SIDE; column++) {
        set_pair(right, 0, column, 1, 1);
        set_pair(right, 1, column, 1, 1);
        set_pair(right, 2, column, 0x1p-100F, 1);
    }
    /* Row 0: even 2^24 + 1 = 2^24, odd 1 - 2^24; together 1. One chain after the other would give 0. */
    set_pair(left, 0, 0, 0x1p24F, 1);
    set_pair(left, 0, 1, 1, -0x1p24F);
    set_pair(left, 1, 2, 0x1p-30F, 0); /* a denormal product */
    set_pair(left, 2, 0, 3, 5);
    sum[2 * TILE_SIDE + 7] = 100;
    sum[3 * TILE_SIDE] = 0x1p-130F; /* denormal before */
    shape_tiles(5, TILE_SIDE);
    sum_load(0, 0, sum, TILE_ROW_BYTES);
    left_load(0, left);
    right_load(0, right);
    sum_add(0, 0);
    for (size_t i = 0; i < TILE; i++) {
        sum[i] = -1;
    }
    sum_store(0, 0, sum, TILE_ROW_BYTES);
    tiles_release();
    for (size_t column = 0; column < TILE_SIDE; column++) {
        assert_true(sum[column] == 1);
        assert_true(sum[TILE_SIDE + column] == 0);
        assert_true(sum[2 * TILE_SIDE + column] == (column == 7 ? 108 : 8));
        assert_true(sum[3 * TILE_SIDE + column] == 0);
        assert_true(sum[5 * TILE_SIDE + column] == -1); /* beyond the shape */
    }
    assert_int_equal(rounded(1.00390625F), 0x3f80); /* ties go to even */
    assert_int_equal(rounded(1.01171875F), 0x3f82);
    assert_int_equal(rounded(3.4e38F), 0x7f80);
    assert_int_equal(rounded(-0x1p-140F), 0x8000);
    assert_true((rounded(NAN) & 0x7fff) > 0x7f80);
}

/* ---- products ---- */

enum { BY_ROWS, A_BY_COLUMNS, B_TURNED, VARIANTS };

typedef struct product {
    lo_gemm g;
    float *a, *b, *c;
    double *expected;
} product;

/* C's rows are 3 floats apart: they must stay as they are. */
static product make_product(size_t m, size_t n, size_t k, int variant, bool accumulate)
{
    product p = {.a = values(m, k, k, 1),
                 .b = values(k, n, n, 2),
                 .c = values(m, n + 3, n + 3, 3),
                 .expected = zeros(m * (n + 3))};
    p.g = (lo_gemm){.m = m,
                    .n = n,
                    .k = k,
                    .a = p.a,
                    .a_row = variant == A_BY_COLUMNS ? 1 : k,
                    .a_column = variant == A_BY_COLUMNS ? m : 1,
                    .b = p.b,
                    .b_row = variant == B_TURNED ? 1 : n,
                    .b_column = variant == B_TURNED ? k : 1,
                    .c = p.c,
                    .c_row = n + 3,
                    .accumulate = accumulate};
    double *a = rounded_values(p.a, m * k), *b = rounded_values(p.b, k * n);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n + 3; j++) {
            double *sum = &p.expected[i * (n + 3) + j];
            *sum = accumulate || j >= n ? (double)p.c[i * (n + 3) + j] : 0;
            for (size_t q = 0; q < k && j < n; q++) {
                *sum += a[i * p.g.a_row + q * p.g.a_column] * b[q * p.g.b_row + j * p.g.b_column];
            }
        }
    }
    free(a);
    free(b);
    return p;
}

static void free_product(product *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->expected);
}

static void check_product(size_t m, size_t n, size_t k, int variant, bool accumulate)
{
    product p = make_product(m, n, k, variant, accumulate), q = make_product(m, n, k, variant, accumulate);
    const size_t size = m * (n + 3);
    emulated.gemm(&p.g);
    assert_true(distance(p.c, p.expected, size) < 2e-6);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = n; j < n + 3; j++) {
            assert_true(p.c[i * (n + 3) + j] == q.c[i * (n + 3) + j]);
        }
    }
    if (library != NULL) {
        library->gemm(&q.g);
        assert_true(distance(q.c, q.expected, size) < 2e-6);
        check_same(p.c, q.c, size);
    }
    free_product(&p);
    free_product(&q);
}

static void test_gemm(void **state)
{
    (void)state;
    begin_trap();
    const size_t m[] = {1, 2, 15, 16, 17, 31, 32, 33, 47}, n[] = {16, 32, 48},
                 k[] = {1, 2, 9, 31, 32, 33, 95};
    for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
        for (size_t j = 0; j < sizeof(n) / sizeof(n[0]); j++) {
            for (size_t p = 0; p < sizeof(k) / sizeof(k[0]); p++) {
                for (int variant = 0; variant < VARIANTS; variant++) {
                    check_product(m[i], n[j], k[p], variant, (i + j + p) % 2 == 1);
                }
            }
        }
    }
    /* Several blocks along k, and of rows. */
    check_product(3, 16, MOST_DEPTH + 1, BY_ROWS, false);
    check_product(20, 48, 2 * MOST_DEPTH + 37, A_BY_COLUMNS, true);
    check_product(35, 32, 1500, B_TURNED, false);
    const size_t most = LEFT_WORDS / (MOST_DEPTH / TILE_DEPTH * 2 * TILE) * SPAN;
    check_product(most + 7, 16, MOST_DEPTH, BY_ROWS, true);
    check_product(most + 17, 48, MOST_DEPTH, A_BY_COLUMNS, false);
    /* What an mlp and a first convolution ask for. */
    check_product(40, 512, 84, BY_ROWS, false);
    check_product(84, 512, 40, A_BY_COLUMNS, false);
    check_product(40, 96, 512, B_TURNED, false);
    check_product(196, 32, 9, A_BY_COLUMNS, false);
    check_product(9, 32, 196, BY_ROWS, true);
}

/* A row has the same bits whatever other rows there are. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    begin_trap();
    enum { M = 37, N = 48, K = 1100 };
    const lo_kernels *tables[] = {&emulated, library};
    for (int t = 0; t < 2 && tables[t] != NULL; t++) {
        product p = make_product(M, N, K, BY_ROWS, false);
        float one[N];
        tables[t]->gemm(&p.g);
        for (size_t i = 0; i < M; i += 5) {
            lo_gemm g = p.g;
            g.m = 1;
            g.a += i * g.a_row;
            g.c = one;
            tables[t]->gemm(&g);
            assert_memory_equal(one, p.c + i * p.g.c_row, sizeof(one));
        }
        free_product(&p);
    }
}

/* Infinity and NaN stay in their row and column; what is too small for a bfloat16 is zero. */
static void test_not_finite(void **state)
{
    (void)state;
    begin_trap();
    enum { M = 35, N = 48, K = 45 };
    const lo_kernels *tables[] = {&emulated, library};
    for (int t = 0; t < 2 && tables[t] != NULL; t++) {
        product p = make_product(M, N, K, BY_ROWS, false);
        p.a[3 * K + K - 1] = INFINITY;
        p.a[17 * K + 5] = NAN;
        p.b[7 * N + 40] = NAN;
        for (size_t q = 0; q < K; q++) {
            p.a[34 * K + q] = 1e-39F;
        }
        tables[t]->gemm(&p.g);
        for (size_t i = 0; i < M; i++) {
            for (size_t j = 0; j < N; j++) {
                const float c = p.c[i * p.g.c_row + j];
                if (i == 17 || j == 40) {
                    assert_true(isnan(c));
                } else if (i == 3) {
                    assert_true(isinf(c));
                } else if (i == 34) {
                    assert_true(c == 0);
                } else {
                    assert_true(isfinite(c));
                }
            }
        }
        free_product(&p);
    }
}

/* ---- convolutions ---- */

/* A convolution's operands, its results by plain loops, and a table's. */
typedef struct convolution {
    lo_conv conv, back;
    size_t images, x_size, y_size, w_size; /* sizes of an image, of the filter */
    float *x, *w, *dy;
    double *y0, *dx0, *dw0;
} convolution;

typedef struct answer {
    float *y, *dx, *dw;
} answer;

static void plain_convolution(convolution *c)
{
    const size_t height = c->conv.height, width = c->conv.width, in = c->conv.in, out = c->conv.out;
    double *x = rounded_values(c->x, c->images * c->x_size), *w = rounded_values(c->w, c->w_size);
    double *dy = rounded_values(c->dy, c->images * c->y_size);
    for (size_t p = 0; p < c->images * height * width; p++) {
        const size_t n = p / (height * width), i = p / width % height, j = p % width;
        for (size_t t = 0; t < 9; t++) {
            const size_t r = i + t / 3 - 1, q = j + t % 3 - 1; /* wraps round below 0 */
            if (r >= height || q >= width) {
                continue;
            }
            const size_t from = ((n * height + r) * width + q) * in;
            for (size_t a = 0; a < in; a++) {
                double dx = 0;
                for (size_t b = 0; b < out; b++) {
                    const size_t at_w = (t * in + a) * out + b;
                    c->y0[p * out + b] += x[from + a] * w[at_w];
                    dx += dy[p * out + b] * w[at_w];
                    c->dw0[at_w] += dy[p * out + b] * x[from + a];
                }
                c->dx0[from + a] += dx;
            }
        }
    }
    free(x);
    free(w);
    free(dy);
}

static convolution make_convolution(size_t height, size_t width, size_t in, size_t out, size_t images)
{
    convolution c = {.conv = {.height = height, .width = width, .in = lo_padded(in), .out = lo_padded(out)},
                     .images = images};
    c.conv.group = conv_group(&c.conv);
    c.back = c.conv;
    c.back.in = c.conv.out;
    c.back.out = c.conv.in;
    c.x_size = height * width * c.conv.in;
    c.y_size = height * width * c.conv.out;
    c.w_size = 9 * c.conv.in * c.conv.out;
    c.x = values(images * height * width, c.conv.in, in, 1);
    c.dy = values(images * height * width, c.conv.out, out, 2);
    c.w = values(9 * c.conv.in, c.conv.out, out, 3);
    for (size_t t = 0; t < 9; t++) {
        for (size_t a = in; a < c.conv.in; a++) {
            memset(c.w + (t * c.conv.in + a) * c.conv.out, 0, c.conv.out * sizeof(float));
        }
    }
    c.y0 = zeros(images * c.y_size);
    c.dx0 = zeros(images * c.x_size);
    c.dw0 = zeros(c.w_size);
    plain_convolution(&c);
    return c;
}

/* By groups of `group` images, as a layer does it. */
static answer convolve(const lo_kernels *kernels, const convolution *c, size_t group)
{
    lo_conv conv = c->conv, back = c->back;
    conv.group = group;
    back.group = group;
    const size_t forth_size = kernels->conv_scratch_size(&conv),
                 back_size = kernels->conv_scratch_size(&back);
    const size_t size = kernels->conv_filter_size(&conv);
    const size_t scratch_size = forth_size > back_size ? forth_size : back_size;
    float *scratch = values(1, scratch_size > c->w_size ? scratch_size : c->w_size, scratch_size, 7);
    float *filter = values(1, size, size, 8), *turned = values(1, size, size, 9),
          *sum = values(1, size, 0, 0);
    const answer a = {.y = values(c->images, c->y_size, c->y_size, 4),
                      .dx = values(c->images, c->x_size, c->x_size, 5),
                      .dw = values(1, c->w_size, c->w_size, 6)};
    kernels->conv_filter(&conv, c->w, filter);
    kernels->conv_filter_turned(&conv, c->w, turned, scratch);
    for (size_t n = 0; n < c->images; n += group) {
        const size_t images = c->images - n < group ? c->images - n : group;
        const float *x = c->x + n * c->x_size, *dy = c->dy + n * c->y_size;
        kernels->conv_apply(&conv, filter, x, a.y + n * c->y_size, images, scratch);
        kernels->conv_gradient_add(&conv, x, dy, sum, images, scratch);
        kernels->conv_apply(&back, turned, dy, a.dx + n * c->x_size, images, scratch);
    }
    kernels->conv_gradient(&conv, sum, a.dw);
    free(scratch);
    free(filter);
    free(turned);
    free(sum);
    return a;
}

static void free_answer(answer *a)
{
    free(a->y);
    free(a->dx);
    free(a->dw);
}

static void free_convolution(convolution *c)
{
    free(c->x);
    free(c->w);
    free(c->dy);
    free(c->y0);
    free(c->dx0);
    free(c->dw0);
}

static void check_answer(const convolution *c, const answer *a, size_t out)
{
    assert_true(distance(a->y, c->y0, c->images * c->y_size) < 2e-6);
    assert_true(distance(a->dx, c->dx0, c->images * c->x_size) < 2e-6);
    assert_true(distance(a->dw, c->dw0, c->w_size) < 2e-6);
    for (size_t p = 0; p < c->images * c->conv.height * c->conv.width; p++) { /* padding stays zero */
        for (size_t b = out; b < c->conv.out; b++) {
            assert_true(a->y[p * c->conv.out + b] == 0);
        }
    }
}

/* In one piece, in groups, and by the library. Outputs and gradients of the input have the same bits in any
 * groups; so has the filter's gradient in groups of whole tiles of 32. */
static void check_convolution(size_t height, size_t width, size_t in, size_t out, size_t images)
{
    convolution c = make_convolution(height, width, in, out, images);
    answer whole = convolve(&emulated, &c, images), again = convolve(&emulated, &c, 3);
    check_answer(&c, &whole, out);
    check_answer(&c, &again, out);
    assert_memory_equal(whole.y, again.y, images * c.y_size * sizeof(float));
    assert_memory_equal(whole.dx, again.dx, images * c.x_size * sizeof(float));
    free_answer(&again);
    again = convolve(&emulated, &c, GRADIENT_IMAGES);
    assert_memory_equal(whole.dw, again.dw, c.w_size * sizeof(float));
    free_answer(&again);
    if (library != NULL) {
        again = convolve(library, &c, GRADIENT_IMAGES);
        check_answer(&c, &again, out);
        check_same(whole.y, again.y, images * c.y_size);
        check_same(whole.dx, again.dx, images * c.x_size);
        check_same(whole.dw, again.dw, c.w_size);
        free_answer(&again);
    }
    free_answer(&whole);
    free_convolution(&c);
}

static void test_convolutions(void **state)
{
    (void)state;
    begin_trap();
    check_convolution(1, 1, 1, 1, 1);
    check_convolution(1, 1, 40, 33, 5);
    check_convolution(2, 2, 16, 32, 9);
    check_convolution(1, 20, 16, 16, 2);
    check_convolution(20, 1, 32, 48, 2);
    check_convolution(2, 3, 5, 7, 35);
    check_convolution(3, 2, 48, 20, 70);
    check_convolution(7, 7, 64, 48, 2);
    check_convolution(9, 5, 33, 64, 3);
    check_convolution(5, 17, 16, 50, 4);
    check_convolution(14, 14, 32, 64, 1);
    check_convolution(4, 33, 20, 16, 6);
    check_convolution(28, 28, 16, 16, 1);
    for (size_t images = 6; images <= 8; images++) {
        check_convolution(4, 4, 16, 16, images);
    }
}

/* More rows than are packed at once, and more images than are padded at once. */
static void test_large_images(void **state)
{
    (void)state;
    begin_trap();
    const lo_conv conv = {.height = 6, .width = 40, .in = 64, .out = 16, .group = 32};
    assert_true(gradient_rows(&conv) < conv.height && gradient_rows(&conv) > 1);
    assert_true(apply_images(&conv) < 15);
    check_convolution(conv.height, conv.width, conv.in, conv.out, 15);
}

static void test_infinite_pixel(void **state)
{
    (void)state;
    begin_trap();
    convolution c = make_convolution(6, 5, 16, 16, 2);
    const lo_kernels *tables[] = {&emulated, library};
    c.x[(2 * 5 + 3) * 16 + 4] = INFINITY; /* image 0, row 2, column 3 */
    for (int t = 0; t < 2 && tables[t] != NULL; t++) {
        answer a = convolve(tables[t], &c, 2);
        for (size_t p = 0; p < 2 * 6 * 5; p++) {
            const size_t i = p / 5, j = p % 5;
            for (size_t b = 0; b < 16; b++) {
                assert_true(isfinite(a.y[p * 16 + b]) == (i < 1 || i > 3 || j < 2));
            }
        }
        free_answer(&a);
    }
    free_convolution(&c);
}

/* ---- a whole step of training ---- */

enum { CLASSES = 10, EXAMPLES = 33 };

typedef struct step {
    double loss;
    size_t size;
    float *gradient;
} step;

static step train_step(const lo_kernels *kernels, const lo_model_spec *model, lo_shape input)
{
    lo_network *network = NULL;
    lo_error err;
    lo_memory memory = {0};
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    assert_int_equal(lo_network_build(model, input, CLASSES, &network, &err), LO_OK);
    lo_network_reserve(network, kernels, EXAMPLES, &memory);
    memory.arena = lo_arena_create(memory.bytes);
    lo_arena *arena = memory.arena;
    assert_non_null(arena);
    lo_network_reserve(network, kernels, EXAMPLES, &memory);
    assert_int_equal(lo_network_initialize(network, 1, 1, NULL), LO_OK);
    for (size_t n = 0; n < EXAMPLES; n++) {
        for (size_t i = 0; i < lo_shape_size(input); i++) {
            lo_network_input(network)[n * lo_network_input_size(network) + i] =
                4 * lo_random_unit(random, n, i) - 2;
        }
    }
    assert_int_equal(lo_network_forward(network, EXAMPLES, true, NULL), LO_OK);
    int32_t label[EXAMPLES];
    int64_t correct = 0;
    for (size_t n = 0; n < EXAMPLES; n++) {
        label[n] = (int32_t)lo_random_below(random, 1000, n, CLASSES);
    }
    step s = {.size = network->weight_size};
    s.loss = lo_softmax_loss(lo_network_logits(network), lo_network_logit_step(network), label, EXAMPLES,
                             CLASSES, 0, lo_network_logit_slope(network), &correct);
    assert_int_equal(lo_network_backward(network, EXAMPLES, NULL), LO_OK);
    s.gradient = malloc(s.size * sizeof(float));
    assert_non_null(s.gradient);
    memcpy(s.gradient, network->gradient, s.size * sizeof(float));
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
    return s;
}

static double step_distance(const step *a, const step *b)
{
    double *expected = zeros(b->size);
    assert_int_equal(a->size, b->size);
    for (size_t i = 0; i < b->size; i++) {
        expected[i] = (double)b->gradient[i];
    }
    const double result = distance(a->gradient, expected, b->size);
    free(expected);
    return result;
}

/* Loss and gradient are as near to float32's as those of another level's bfloat16 are. */
static void check_step(const lo_model_spec *model, lo_shape input)
{
    const lo_kernels *tables[] = {&emulated, library};
    step exact = train_step(lo_kernels_at(LO_F32, lo_kernels_count(LO_F32) - 1), model, input);
    step other = train_step(lo_kernels_at(LO_BF16, lo_kernels_count(LO_BF16) - 1), model, input);
    const double usual = step_distance(&other, &exact);
    assert_true(usual > 1e-4); /* rounding is to be seen */
    for (int t = 0; t < 2 && tables[t] != NULL; t++) {
        const long products = amx.products;
        step s = train_step(tables[t], model, input);
        assert_true(amx.products > products || (tables[t] == library && !trapped));
        const double error = step_distance(&s, &exact);
        if (!(error < 1.2 * usual && error > 1e-4)) {
            fail_msg("%s, %s: gradient is %g off, another level's %g", model->preset, tables[t]->name, error,
                     usual);
        }
        assert_true(fabs(s.loss - exact.loss) < 2e-3 * exact.loss);
        free(s.gradient);
    }
    free(exact.gradient);
    free(other.gradient);
}

static void test_steps(void **state)
{
    (void)state;
    begin_trap();
    const lo_model_spec mlp = {.preset = "mlp", .hidden = {70, 40}, .hidden_count = 2};
    const lo_model_spec cnn = {.preset = "cnn", .width = 12};
    check_step(&mlp, (lo_shape){1, 9, 9});
    check_step(&cnn, (lo_shape){3, 10, 13});
}

static void test_peak(void **state)
{
    (void)state;
    float result = 0;
    const double operations = emulated.peak(1, &result);
    assert_true(operations == 2.0 * SPAN * SPAN * TILE_DEPTH);
    assert_true(result == TILE_DEPTH);
}

/* The product by which the level is checked before it is used. */
static void test_check_before_use(void **state)
{
    (void)state;
#ifdef LEAVEOUT_AMX
    begin_trap();
    if (library != NULL) {
        assert_true(product_is_right());
    }
    if (trapped) {
        assert_false(processor_has_amx() && ask_for_tiles());
    }
#endif
}

/* The level is there, in both precisions, just where it is ready. */
static void test_level(void **state)
{
    (void)state;
    bool ready = false;
#ifdef LEAVEOUT_AMX
    ready = lo_amx_ready();
#endif
    for (int precision = LO_F32; precision <= LO_BF16; precision++) {
        for (int i = 0; i < lo_kernels_count((lo_precision)precision); i++) {
            assert_int_equal(strcmp(lo_kernels_at((lo_precision)precision, i)->name, "amx") == 0,
                             ready && i == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emulator),
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_large_images),
        cmocka_unit_test(test_infinite_pixel),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_check_before_use),
        cmocka_unit_test(test_level),
    };
    make_emulated();
    find_library();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
