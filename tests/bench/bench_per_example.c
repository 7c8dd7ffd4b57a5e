/* What quantities of single examples cost, relative to one forward and backward pass of the same examples in
 * evaluation mode:
 *
 *     bench_per_example PRESET CHANNELS SIDE [EXAMPLES [ROUNDS [DIMENSION]]]
 *
 * One line each: name, seconds, how many such passes; medians over rounds in which all take turns, in the
 * thread's own time. DIMENSION (2048): of projections, which go over one batch only; 0: squared norms alone.
 */
#include "base/random.h"
#include "nn/per_example.h"
#include "nn/presets/presets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64, KINDS = 10, MOST_ROUNDS = 64 };

typedef struct bench {
    lo_network *network;
    lo_arena *arena;
    lo_dataset dataset;
    float scale[8], shift[8];
    lo_per_example *per;
    lo_example_list list, batch; /* batch: what is projected */
    lo_projection projection;
    double *squares, *dots, *channels;
    float *direction, *projected, *inputs;
} bench;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *must(void *pointer)
{
    if (pointer == NULL) {
        (void)fprintf(stderr, "bench_per_example: no memory\n");
        exit(1);
    }
    return pointer;
}

static void check(lo_status status, const lo_error *err)
{
    if (status != LO_OK) {
        (void)fprintf(stderr, "bench_per_example: %s\n", err->text);
        exit(1);
    }
}

static void make(bench *b, const char *preset, int32_t channels, int32_t side, int64_t examples,
                 size_t dimension)
{
    lo_error err = {""};
    const lo_model_spec spec = {.preset = preset};
    const lo_shape shape = {channels, side, side};
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    const size_t size = lo_shape_size(shape);
    check(lo_network_build(&spec, shape, 10, &b->network, &err), &err);
    lo_memory memory = {0};
    for (int pass = 0; pass < 2; pass++) {
        lo_network_reserve(b->network, lo_kernels_chosen(LO_F32), BATCH, &memory);
        b->arena = pass == 0 ? must(lo_arena_create(memory.bytes)) : b->arena;
        memory = (lo_memory){.arena = b->arena};
    }
    check(lo_network_initialize(b->network, 1, 1, NULL), &err);
    uint8_t *pixel = must(malloc((size_t)examples * size));
    int32_t *label = must(calloc((size_t)examples, sizeof(*label)));
    for (size_t i = 0; i < (size_t)examples * size; i++) {
        pixel[i] = (uint8_t)(256 * lo_random_unit(random, 0, i));
    }
    for (int64_t i = 0; i < examples; i++) {
        label[i] = (int32_t)(i % 10);
    }
    for (int c = 0; c < 8; c++) {
        b->scale[c] = 1.0F / 64;
        b->shift[c] = -2;
    }
    b->dataset = (lo_dataset){.shape = shape,
                              .classes = 10,
                              .scale = b->scale,
                              .shift = b->shift,
                              .train = {.count = examples, .pixel = pixel, .label = label}};
    check(lo_per_example_create(b->network, &b->dataset, NULL, 0, &b->per, &err), &err);
    b->list = (lo_example_list){.examples = &b->dataset.train, .count = examples};
    b->batch = b->list;
    b->batch.count = examples < BATCH ? examples : BATCH;
    b->projection =
        (lo_projection){.kind = LO_PROJECT_DENSE, .seed = 1, .dimension = dimension, .entries = 4};
    b->squares = must(calloc((size_t)examples, sizeof(double)));
    b->dots = must(calloc((size_t)examples, sizeof(double)));
    b->channels = must(calloc((size_t)examples * lo_per_example_channels(b->per), sizeof(double)));
    const size_t last = lo_shape_size(lo_network_shape_of(b->network, b->network->layer_count - 1));
    b->inputs = must(calloc((size_t)examples * (size > last ? size : last), sizeof(float)));
    b->direction = must(calloc(lo_per_example_size(b->per), sizeof(float)));
    b->projected = must(calloc(BATCH * dimension + 1, sizeof(float)));
}

static lo_status drop(void *self, int64_t number, const float *vector)
{
    *(double *)self += (double)vector[0] + (double)number;
    return LO_OK;
}

static const char *const names[KINDS] = {
    "forward+backward", "squared_norms",   "inner_products", "sums_of_squares",  "channel_sums",
    "vectors",          "input_gradients", "features",       "dense_projection", "sparse_projection"};

/* Seconds for all examples. */
static double measure(bench *b, int kind)
{
    lo_error err = {""};
    const lo_output loss = {.kind = LO_OUTPUT_LOSS};
    double share = 1;
    const double start = now();
    switch (kind) {
    case 0:
        for (int64_t at = 0; at < b->list.count; at += BATCH) {
            const size_t left = (size_t)(b->list.count - at), count = left < BATCH ? left : BATCH;
            const size_t step = lo_network_logit_step(b->network);
            check(lo_network_forward(b->network, count, false, NULL), &err);
            for (size_t n = 0; n < count; n++) {
                lo_output_slope(&loss, 0, lo_network_logits(b->network) + n * step, 10, 0,
                                lo_network_logit_slope(b->network) + n * step);
            }
            check(lo_network_backward_fixed(b->network, count, NULL, NULL), &err);
        }
        break;
    case 1:
        check(lo_per_example_squares(b->per, &b->list, &loss, b->squares, NULL, NULL, &err), &err);
        break;
    case 2:
        check(lo_per_example_dots(b->per, &b->list, &loss, b->direction, 1, b->dots, NULL, &err), &err);
        break;
    case 3: {
        lo_pairwise *sum = NULL;
        const int64_t blocks = (b->list.count + LO_SUM_BLOCK - 1) / LO_SUM_BLOCK;
        check(lo_pairwise_create(lo_per_example_size(b->per), blocks, 0, blocks, &sum, &err), &err);
        check(lo_per_example_sums(b->per, &b->list, &loss, LO_TERM_SQUARE, sum, NULL, &err), &err);
        lo_pairwise_destroy(&sum);
        break;
    }
    case 4: {
        const lo_channel_term term = {LO_TERM_ABSOLUTE, true};
        check(lo_per_example_channel_sums(b->per, &b->list, &loss, term, b->channels, NULL, &err), &err);
        break;
    }
    case 5:
        check(lo_per_example_each_vector(b->per, &b->list, &loss, drop, b->dots, NULL, &err), &err);
        break;
    case 6:
        check(lo_per_example_inputs(b->per, &b->list, &loss, b->inputs, NULL, &err), &err);
        break;
    case 7:
        check(lo_per_example_features(b->per, &b->list, b->network->layer_count - 1, b->inputs, NULL, &err),
              &err);
        break;
    default:
        b->projection.kind = kind == 8 ? LO_PROJECT_DENSE : LO_PROJECT_SPARSE;
        share = (double)b->batch.count / (double)b->list.count;
        check(lo_per_example_project(b->per, &b->batch, &loss, &b->projection, b->projected, NULL, &err),
              &err);
    }
    return (now() - start) / share;
}

int main(int argc, char **argv)
{
    static bench b;
    static double seconds[KINDS][MOST_ROUNDS];
    if (argc < 4 || argc > 7) {
        (void)fprintf(stderr,
                      "usage: bench_per_example PRESET CHANNELS SIDE [EXAMPLES [ROUNDS [DIMENSION]]]\n");
        return 2;
    }
    const int64_t examples = argc > 4 ? atoi(argv[4]) : 1000;
    const int rounds = argc > 5 ? atoi(argv[5]) : 5, dimension = argc > 6 ? atoi(argv[6]) : 2048;
    if (examples < 1 || rounds < 1 || rounds > MOST_ROUNDS || dimension < 0) {
        (void)fprintf(stderr, "bench_per_example: 1 example at least, 1 to %d rounds\n", MOST_ROUNDS);
        return 2;
    }
    make(&b, argv[1], atoi(argv[2]), atoi(argv[3]), examples, (size_t)dimension);
    const int kinds = dimension > 0 ? KINDS : 2;
    for (int round = -1; round < rounds; round++) { /* the first is thrown away */
        for (int kind = 0; kind < kinds; kind++) {
            const double taken = measure(&b, kind);
            seconds[kind][round < 0 ? 0 : round] = taken;
        }
    }
    for (int kind = 0; kind < kinds; kind++) {
        qsort(seconds[kind], (size_t)rounds, sizeof(double), order);
        (void)printf("%-18s %9.4f s %7.2f\n", names[kind], seconds[kind][rounds / 2],
                     seconds[kind][rounds / 2] / seconds[0][rounds / 2]);
    }
    (void)printf("parameters %zu, level %s\n", lo_per_example_size(b.per), b.network->kernels->name);
    lo_per_example_destroy(&b.per);
    lo_network_destroy(&b.network);
    lo_arena_destroy(&b.arena);
    free((void *)(uintptr_t)b.dataset.train.pixel);
    free((void *)(uintptr_t)b.dataset.train.label);
    free(b.squares);
    free(b.dots);
    free(b.channels);
    free(b.inputs);
    free(b.direction);
    free(b.projected);
    return 0;
}
