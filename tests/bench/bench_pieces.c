/* Where the time of a training step goes, piece by piece, and what bounds each piece:
 *
 *     bench_pieces PRESET [PRECISION [BATCH [SECONDS]]]        (cnn f32 128 3)
 *
 * Trains the preset at its default size on made-up images, 1x28x28, with a table of kernels that times every
 * call of the one in use. A line for each kernel and shape: microseconds and calls a step; GFLOP/s, counted
 * as the plain algorithm does them (Winograd's convolution does 2.25 times fewer), and their share of the
 * peak measured on registers; GB/s of operands, each counted once a call, and their share of what reading
 * memory of that size gives. bound says which of the two comes nearer to its limit: products, or a level of
 * memory (L2, L3, memory, by the size of a call's operands). Both shares small: neither; latency, packing and
 * shuffling. The last line is what is between the calls: the loss, the batch's images, statistics. */
#include "base/clock.h"
#include "nn/bench.h"
#include "nn/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 64, MEMORIES = 3 };

typedef struct piece {
    char name[64];
    double seconds, flops, bytes;
    double largest; /* bytes of a call */
    long calls;
} piece;

/* The kernels' signatures leave no room for a context, so these are the file's. */
static const lo_kernels *real;
static piece pieces[MAX_PIECES];
static int piece_count;

static void count(const char *name, double begun, double flops, double bytes)
{
    const double seconds = lo_clock_monotonic() - begun;
    int i = 0;
    while (i < piece_count && strcmp(pieces[i].name, name) != 0) {
        i++;
    }
    if (i == MAX_PIECES) {
        (void)fprintf(stderr, "bench_pieces: more than %d kinds of calls\n", MAX_PIECES);
        exit(1);
    }
    if (i == piece_count) {
        (void)snprintf(pieces[piece_count++].name, sizeof(pieces[i].name), "%s", name);
    }
    pieces[i].seconds += seconds;
    pieces[i].flops += flops;
    pieces[i].bytes += bytes;
    pieces[i].largest = bytes > pieces[i].largest ? bytes : pieces[i].largest;
    pieces[i].calls++;
}

/* ---- a timed twin of each kernel ---- */

static void gemm(const lo_gemm *g)
{
    char name[64];
    const double m = (double)g->m, n = (double)g->n, k = (double)g->k, begun = lo_clock_monotonic();
    real->gemm(g);
    (void)snprintf(name, sizeof(name), "gemm %zux%zux%zu%s%s", g->m, g->k, g->n, g->a_row == 1 ? " A'" : "",
                   g->b_row == 1 ? " B'" : "");
    count(name, begun, 2 * m * n * k, 4 * (m * k + k * n + (g->accumulate ? 2 : 1) * m * n));
}

static double image_bytes(const lo_conv *c, size_t channels, size_t images)
{
    return 4 * (double)(images * c->height * c->width * channels);
}

static double filter_bytes(const lo_conv *c)
{
    return 4 * 9 * (double)(c->in * c->out);
}

static void count_conv(const char *what, const lo_conv *c, double begun, double flops, double bytes)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s %zux%zu %zu>%zu", what, c->height, c->width, c->in, c->out);
    count(name, begun, flops, bytes);
}

static double conv_flops(const lo_conv *c, size_t images)
{
    return 18 * (double)(images * c->height * c->width * c->in * c->out);
}

static void conv_filter(const lo_conv *c, const float *filter, float *transformed)
{
    const double begun = lo_clock_monotonic();
    real->conv_filter(c, filter, transformed);
    count_conv("conv_filter", c, begun, 0, 2 * filter_bytes(c));
}

static void conv_filter_turned(const lo_conv *c, const float *filter, float *transformed, float *scratch)
{
    const double begun = lo_clock_monotonic();
    real->conv_filter_turned(c, filter, transformed, scratch);
    count_conv("conv_filter_turned", c, begun, 0, 2 * filter_bytes(c));
}

static void conv_apply(const lo_conv *c, const float *transformed, const float *x, float *y, size_t images,
                       float *scratch)
{
    const double begun = lo_clock_monotonic();
    real->conv_apply(c, transformed, x, y, images, scratch);
    count_conv("conv_apply", c, begun, conv_flops(c, images),
               filter_bytes(c) + image_bytes(c, c->in + c->out, images));
}

static void conv_gradient_add(const lo_conv *c, const float *x, const float *dy, float *transformed,
                              size_t images, float *scratch)
{
    const double begun = lo_clock_monotonic();
    real->conv_gradient_add(c, x, dy, transformed, images, scratch);
    count_conv("conv_gradient_add", c, begun, conv_flops(c, images),
               2 * filter_bytes(c) + image_bytes(c, c->in + c->out, images));
}

static void conv_gradient(const lo_conv *c, const float *transformed, float *gradient)
{
    const double begun = lo_clock_monotonic();
    real->conv_gradient(c, transformed, gradient);
    count_conv("conv_gradient", c, begun, 0, 2 * filter_bytes(c));
}

static void count_rows(const char *what, double begun, size_t rows, size_t channels, double passes)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s %zux%zu", what, rows, channels);
    count(name, begun, 0, 4 * passes * (double)(rows * channels));
}

static void moments(const float *y, size_t rows, size_t channels, const float *shift, double *sum,
                    double *square)
{
    const double begun = lo_clock_monotonic();
    real->moments(y, rows, channels, shift, sum, square);
    count_rows("moments", begun, rows, channels, 1);
}

static void norm_pool(const lo_norm *norm, const float *y, size_t height, size_t width, size_t channels,
                      float *out, float *top)
{
    const double begun = lo_clock_monotonic();
    real->norm_pool(norm, y, height, width, channels, out, top);
    count_rows("norm_pool", begun, height * width, channels, 1.5);
}

static void norm_pool_sums(const lo_norm *norm, const float *dout, const float *top, size_t rows,
                           size_t channels, double *sum, double *product)
{
    const double begun = lo_clock_monotonic();
    real->norm_pool_sums(norm, dout, top, rows, channels, sum, product);
    count_rows("norm_pool_sums", begun, rows, channels, 2);
}

static void norm_pool_backward(const lo_norm *norm, const float *dout, float *y, size_t height, size_t width,
                               size_t channels)
{
    const double begun = lo_clock_monotonic();
    real->norm_pool_backward(norm, dout, y, height, width, channels);
    count_rows("norm_pool_backward", begun, height * width, channels, 2.25);
}

static void patches(const float *image, size_t channels, size_t height, size_t width, float *padded,
                    float *out)
{
    const double begun = lo_clock_monotonic();
    real->patches(image, channels, height, width, padded, out);
    count_rows("patches", begun, height * width, channels, 10);
}

static void bias_relu(float *y, const float *bias, size_t rows, size_t columns, bool relu)
{
    const double begun = lo_clock_monotonic();
    real->bias_relu(y, bias, rows, columns, relu);
    count_rows("bias_relu", begun, rows, columns, 2);
}

static void relu_backward(float *dy, const float *y, size_t n)
{
    const double begun = lo_clock_monotonic();
    real->relu_backward(dy, y, n);
    count_rows("relu_backward", begun, n, 1, 3);
}

static void column_sums(const float *x, size_t rows, size_t columns, float *sums, bool accumulate)
{
    const double begun = lo_clock_monotonic();
    real->column_sums(x, rows, columns, sums, accumulate);
    count_rows("column_sums", begun, rows, columns, 1);
}

static void convert(const uint8_t *in, size_t n, float scale, float shift, float *out)
{
    const double begun = lo_clock_monotonic();
    real->convert(in, n, scale, shift, out);
    count_rows("convert", begun, n, 1, 1.25);
}

static void sgd(const lo_sgd *step, size_t n, float *w, float *v, const float *g, const uint16_t *trained)
{
    const double begun = lo_clock_monotonic();
    real->sgd(step, n, w, v, g, trained);
    count_rows("sgd", begun, n, 1, 5);
}

static lo_kernels timed_twin(void)
{
    lo_kernels twin = *real;
    twin.gemm = gemm;
    twin.conv_filter = conv_filter;
    twin.conv_filter_turned = conv_filter_turned;
    twin.conv_apply = conv_apply;
    twin.conv_gradient_add = conv_gradient_add;
    twin.conv_gradient = conv_gradient;
    twin.moments = moments;
    twin.norm_pool = norm_pool;
    twin.norm_pool_sums = norm_pool_sums;
    twin.norm_pool_backward = norm_pool_backward;
    twin.patches = patches;
    twin.bias_relu = bias_relu;
    twin.relu_backward = relu_backward;
    twin.column_sums = column_sums;
    twin.convert = convert;
    twin.sgd = sgd;
    return twin;
}

/* ---- the limits ---- */

/* GB/s of streaming through `bytes` of memory again and again, two thirds of it reads. */
static double stream_rate(size_t bytes)
{
    const size_t n = bytes / sizeof(float) / 2;
    float *a = aligned_alloc(64, n * sizeof(float)), *b = aligned_alloc(64, n * sizeof(float));
    double best = 0;
    for (int try = 0; a != NULL && b != NULL && try < 5; try++) {
        const size_t passes = ((size_t)1 << 27) / bytes + 1;
        memset(a, 0, n * sizeof(float));
        memset(b, 0, n * sizeof(float));
        const double begun = lo_clock_monotonic();
        for (size_t pass = 0; pass < passes; pass++) {
            real->relu_backward(a, b, n);
        }
        const double rate = (double)(3 * passes * n * sizeof(float)) / (lo_clock_monotonic() - begun) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(a);
    free(b);
    return best;
}

typedef struct memory_level {
    const char *name;
    double up_to; /* bytes of operands */
    size_t probe;
    double rate;
} memory_level;

static void print_piece(const piece *p, const char *name, long steps, double step_seconds, double peak,
                        const memory_level *memory)
{
    int level = 0;
    while (level < MEMORIES - 1 && p->largest > memory[level].up_to) {
        level++;
    }
    const double gflops = p->flops / p->seconds * 1e-9, gbytes = p->bytes / p->seconds * 1e-9;
    const double of_peak = gflops / peak, of_memory = gbytes / memory[level].rate;
    const char *bound = of_peak < 0.25 && of_memory < 0.25 ? "neither"
                        : of_peak > of_memory              ? "products"
                                                           : memory[level].name;
    (void)printf("%-34s %9.1f %7.1f %6.1f%% %8.1f %8.0f%% %8.1f %9.0f%%  %s\n", name,
                 p->seconds / (double)steps * 1e6, (double)p->calls / (double)steps,
                 100 * p->seconds / step_seconds, gflops, 100 * of_peak, gbytes, 100 * of_memory, bound);
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const piece *)a)->seconds, y = ((const piece *)b)->seconds;
    return (x < y) - (x > y);
}

int main(int argc, char **argv)
{
    const lo_model_spec model = {.preset = argc > 1 ? argv[1] : "cnn"};
    const lo_precision precision = argc > 2 && strcmp(argv[2], "bf16") == 0 ? LO_BF16 : LO_F32;
    const int batch = argc > 3 ? atoi(argv[3]) : 128;
    const double seconds = argc > 4 ? strtod(argv[4], NULL) : 3;
    lo_bench_run run;
    lo_error error = {0};
    if (lo_bench_open(&model, (lo_shape){1, 28, 28}, precision, batch, &run, &error) != LO_OK) {
        (void)fprintf(stderr, "bench_pieces: %s\n", error.text);
        return 1;
    }
    lo_network *network = lo_trainer_network(run.trainer);
    real = network->kernels;
    const lo_kernels timed = timed_twin();

    memory_level memory[MEMORIES] = {
        {"L2", 1 << 20, 1 << 19, 0}, {"L3", 16 << 20, 4 << 20, 0}, {"memory", 0, (size_t)256 << 20, 0}};
    for (int i = 0; i < MEMORIES; i++) {
        memory[i].rate = stream_rate(memory[i].probe);
    }
    const double peak = lo_bench_peak(precision);
    double elapsed = 0;
    (void)lo_bench_step(&run);
    network->kernels = &timed;
    const double begun = lo_clock_monotonic();
    while (elapsed < seconds) {
        (void)lo_bench_step(&run);
        elapsed = lo_clock_monotonic() - begun;
    }
    const long steps = (long)run.steps - 1;
    (void)printf("preset=%s precision=%s level=%s batch=%d step_us=%.1f images_per_s=%.0f peak_gflops=%.1f "
                 "L2_gb_s=%.0f L3_gb_s=%.0f memory_gb_s=%.0f\n",
                 model.preset, precision == LO_BF16 ? "bf16" : "f32", real->name, batch,
                 elapsed / (double)steps * 1e6, (double)(steps * batch) / elapsed, peak, memory[0].rate,
                 memory[1].rate, memory[2].rate);
    (void)printf("%-34s %9s %7s %7s %8s %9s %8s %10s  %s\n", "piece", "us/step", "calls", "share", "GFLOP/s",
                 "of peak", "GB/s", "of memory", "bound");
    qsort(pieces, (size_t)piece_count, sizeof(pieces[0]), by_seconds);
    piece rest = {.seconds = elapsed, .calls = steps};
    for (int i = 0; i < piece_count; i++) {
        print_piece(&pieces[i], pieces[i].name, steps, elapsed, peak, memory);
        rest.seconds -= pieces[i].seconds;
    }
    print_piece(&rest, "(between the calls)", steps, elapsed, peak, memory);
    lo_bench_close(&run);
    return 0;
}
