/* What products with the Hessian and Gauss-Newton matrices cost, in gradient evaluations:
 *
 *     bench_products [EXAMPLES [BATCH [ROUNDS [VECTORS]]]]        (1000 250 7 8)
 *
 * For mlp, cnn and resnet9 on made-up images 1x28x28 (resnet9: 3x32x32, 50 examples): the median
 * time of a gradient of the loss, in training's passes (a forward and a backward pass of each batch, as an
 * optimizer takes it), and how many times that a product takes: of one vector, and of each vector of a block.
 * The kinds take turns, round after round, so that what else the machine does meets them alike. Exit code 1
 * where a single product is above the limits: 4 of the Hessian's, 3 of Gauss-Newton's. */
#include "base/clock.h"
#include "nn/batch.h"
#include "nn/loss.h"
#include "nn/presets.h"
#include "nn/product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, MOST_ROUNDS = 99 };

typedef enum timed {
    GRADIENT,
    HESSIAN,
    GAUSS_NEWTON,
    HESSIAN_BLOCK,
    GAUSS_NEWTON_BLOCK,
    TANGENT,
    TIMED
} timed;

typedef struct bench {
    lo_network *network;
    lo_product *product;
    lo_arena *arena;
    lo_dataset data;
    float scale[3], shift[3];
    uint8_t *pixel;
    int32_t *label;
    double *v, *out;
    int vectors;
} bench;

static void fail(const char *text)
{
    (void)fprintf(stderr, "bench_products: %s\n", text);
    exit(1);
}

static void *room(size_t count, size_t size)
{
    void *data = calloc(count + 1, size);
    if (data == NULL) {
        fail("no memory");
    }
    return data;
}

static uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void open_bench(bench *b, const char *preset, lo_shape shape, int64_t examples, size_t batch,
                       int vectors)
{
    lo_error err = {""};
    lo_memory memory = {0};
    uint32_t state = 1;
    const lo_model_spec spec = {.preset = preset};
    const lo_kernels *kernels = lo_kernels_chosen(LO_F32);
    *b = (bench){.vectors = vectors};
    b->pixel = room((size_t)examples * lo_shape_size(shape), 1);
    b->label = room((size_t)examples, sizeof(int32_t));
    for (size_t i = 0; i < (size_t)examples * lo_shape_size(shape); i++) {
        b->pixel[i] = (uint8_t)noise(&state);
    }
    for (int64_t n = 0; n < examples; n++) {
        b->label[n] = (int32_t)(noise(&state) % CLASSES);
    }
    for (int c = 0; c < 3; c++) {
        b->scale[c] = 1.0F / 64;
        b->shift[c] = -2;
    }
    b->data = (lo_dataset){.shape = shape, .classes = CLASSES, .scale = b->scale, .shift = b->shift};
    b->data.train = (lo_examples){.count = examples, .pixel = b->pixel, .label = b->label};
    if (lo_network_build(&spec, shape, CLASSES, &b->network, &err) != LO_OK) {
        fail(err.text);
    }
    lo_network_reserve(b->network, kernels, batch, &memory);
    b->arena = memory.arena = lo_arena_create(memory.bytes);
    lo_network_reserve(b->network, kernels, batch, &memory);
    if (lo_network_initialize(b->network, 1, 1, NULL) != LO_OK ||
        lo_product_create(b->network, &b->product, &err) != LO_OK) {
        fail(err.text);
    }
    const size_t length = (size_t)lo_network_parameters(b->network);
    b->v = room((size_t)vectors * length, sizeof(double));
    b->out = room((size_t)vectors * length + (size_t)examples * CLASSES, sizeof(double));
    for (size_t i = 0; i < (size_t)vectors * length; i++) {
        b->v[i] = (double)noise(&state) / 0x1p23 - 1;
    }
}

static void close_bench(bench *b)
{
    lo_product_destroy(&b->product);
    lo_network_destroy(&b->network);
    lo_arena_destroy(&b->arena);
    free(b->pixel);
    free(b->label);
    free(b->v);
    free(b->out);
}

/* As training takes it, but for the step. */
static void gradient(bench *b)
{
    lo_network *network = b->network;
    const size_t step = lo_network_logit_step(network), size = lo_network_input_size(network);
    int64_t correct = 0;
    for (size_t n = 0; n < (size_t)b->data.train.count; n += network->capacity) {
        const size_t left = (size_t)b->data.train.count - n;
        const size_t count = left < network->capacity ? left : network->capacity;
        for (size_t i = 0; i < count; i++) {
            lo_batch_example(network->kernels, &b->data, &b->data.train, n + i,
                             lo_network_input(network) + i * size);
        }
        if (lo_network_forward(network, count, true, NULL) != LO_OK) {
            fail("forward");
        }
        (void)lo_softmax_loss(lo_network_logits(network), step, b->label + n, count, CLASSES, 0,
                              lo_network_logit_slope(network), &correct);
        if (lo_network_backward(network, count, NULL) != LO_OK) {
            fail("backward");
        }
    }
}

static double seconds_of(bench *b, timed what)
{
    lo_error err = {""};
    lo_status status = LO_OK;
    const size_t length = (size_t)lo_network_parameters(b->network);
    const bool hessian = what == HESSIAN || what == HESSIAN_BLOCK;
    const lo_vectors vectors = {.kind = hessian ? LO_HESSIAN : LO_GAUSS_NEWTON,
                                .count = what == HESSIAN || what == GAUSS_NEWTON ? 1 : b->vectors,
                                .length = length,
                                .values = b->v,
                                .mean = true};
    const lo_product_set set = {.dataset = &b->data,
                                .examples = &b->data.train,
                                .count = b->data.train.count,
                                .block = b->data.train.count};
    const double begun = lo_clock_monotonic();
    if (what == GRADIENT) {
        gradient(b);
    } else if (what == TANGENT) {
        status = lo_product_tangents(b->product, &set, b->v, 1, length, NULL, b->out, &err);
    } else {
        status = lo_product_apply(b->product, &set, &vectors, NULL, b->out, &err);
    }
    if (status != LO_OK) {
        fail(err.text);
    }
    const double seconds = lo_clock_monotonic() - begun;
    return what == HESSIAN_BLOCK || what == GAUSS_NEWTON_BLOCK ? seconds / b->vectors : seconds;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static int measure(const char *preset, lo_shape shape, int64_t examples, size_t batch, int rounds,
                   int vectors)
{
    bench b;
    static double seconds[TIMED][MOST_ROUNDS];
    open_bench(&b, preset, shape, examples, batch, vectors);
    for (int r = -1; r < rounds; r++) { /* one round to warm up */
        for (int what = 0; what < TIMED; what++) {
            seconds[what][r < 0 ? 0 : r] = seconds_of(&b, (timed)what);
        }
    }
    for (int what = 0; what < TIMED; what++) {
        qsort(seconds[what], (size_t)rounds, sizeof(double), by_size);
    }
    const double unit = seconds[GRADIENT][rounds / 2];
    const double h = seconds[HESSIAN][rounds / 2] / unit, g = seconds[GAUSS_NEWTON][rounds / 2] / unit;
    printf(
        "%-8s gradient %7.1f ms   Hessian %.2f  Gauss-Newton %.2f  of blocks of %d: %.2f  %.2f   J v %.2f\n",
        preset, 1e3 * unit, h, g, vectors, seconds[HESSIAN_BLOCK][rounds / 2] / unit,
        seconds[GAUSS_NEWTON_BLOCK][rounds / 2] / unit, seconds[TANGENT][rounds / 2] / unit);
    (void)fflush(stdout);
    close_bench(&b);
    return h > 4 || g > 3 ? 1 : 0;
}

int main(int argc, char **argv)
{
    const int64_t examples = argc > 1 ? atoll(argv[1]) : 1000;
    const size_t batch = argc > 2 ? (size_t)atoll(argv[2]) : 250;
    const int rounds = argc > 3 ? atoi(argv[3]) : 7, vectors = argc > 4 ? atoi(argv[4]) : 8;
    if (examples < 10 || batch < 1 || rounds < 1 || rounds > MOST_ROUNDS || vectors < 1) {
        (void)fprintf(stderr, "usage: bench_products [EXAMPLES [BATCH [ROUNDS [VECTORS]]]]\n");
        return 2;
    }
    int above = measure("mlp", (lo_shape){1, 28, 28}, examples, batch, rounds, vectors);
    above |= measure("cnn", (lo_shape){1, 28, 28}, examples, batch, rounds, vectors);
    above |= measure("resnet9", (lo_shape){3, 32, 32}, examples / 10, batch < 50 ? batch : 50,
                     rounds > 3 ? 3 : rounds, vectors > 2 ? 2 : vectors);
    return above;
}
