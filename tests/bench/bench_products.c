/* What products with the Hessian and Gauss-Newton matrices cost, in gradient evaluations:
 *
 *     bench_products PRESET CHANNELS SIDE [EXAMPLES [BATCH [ROUNDS [VECTORS]]]]        (1000 250 7 1)
 *
 * on made-up images. Prints the median seconds of a gradient of the loss (training's forward and backward
 * pass of each batch, as an optimizer takes it), and a line for each product: its name, vectors, and how many
 * such gradients one vector of them costs, which is a ratio of medians: of one vector and, with VECTORS above
 * 1, of a block of so many. In the thread's own time; the kinds take turns, round after round, so that what
 * else the machine does meets them alike. */
#include "nn/batch.h"
#include "nn/loss.h"
#include "nn/presets/presets.h"
#include "nn/product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* The thread's own seconds. */
static double own_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
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
    const double begun = own_time();
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
    const double seconds = own_time() - begun;
    return what == HESSIAN_BLOCK || what == GAUSS_NEWTON_BLOCK ? seconds / b->vectors : seconds;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static void measure(bench *b, int rounds)
{
    static const char *const names[] = {"gradient", "hessian",      "gauss_newton",
                                        "hessian",  "gauss_newton", "tangents"};
    static double seconds[TIMED][MOST_ROUNDS];
    for (int r = -1; r < rounds; r++) { /* one round to warm up */
        for (int what = 0; what < TIMED; what++) {
            const bool skipped = b->vectors == 1 && (what == HESSIAN_BLOCK || what == GAUSS_NEWTON_BLOCK);
            seconds[what][r < 0 ? 0 : r] = skipped ? 0 : seconds_of(b, (timed)what);
        }
    }
    for (int what = 0; what < TIMED; what++) {
        qsort(seconds[what], (size_t)rounds, sizeof(double), by_size);
        const double median = seconds[what][rounds / 2], unit = seconds[GRADIENT][rounds / 2];
        if (what == GRADIENT) {
            printf("gradient %.4f s\n", unit);
        } else if (median > 0) {
            const bool block = what == HESSIAN_BLOCK || what == GAUSS_NEWTON_BLOCK;
            printf("%s %d %.2f\n", names[what], block ? b->vectors : 1, median / unit);
        }
    }
}

int main(int argc, char **argv)
{
    bench b;
    const int channels = argc > 2 ? atoi(argv[2]) : 0, side = argc > 3 ? atoi(argv[3]) : 0;
    const int64_t examples = argc > 4 ? atoll(argv[4]) : 1000;
    const int64_t batch = argc > 5 ? atoll(argv[5]) : 250;
    const int rounds = argc > 6 ? atoi(argv[6]) : 7, vectors = argc > 7 ? atoi(argv[7]) : 1;
    if (channels < 1 || channels > 3 || side < 1 || examples < 1 || batch < 1 || rounds < 1 ||
        rounds > MOST_ROUNDS || vectors < 1) {
        (void)fprintf(stderr,
                      "usage: bench_products PRESET CHANNELS SIDE [EXAMPLES [BATCH [ROUNDS [VECTORS]]]]\n");
        return 2;
    }
    open_bench(&b, argv[1], (lo_shape){channels, side, side}, examples, (size_t)batch, vectors);
    measure(&b, rounds);
    close_bench(&b);
    return 0;
}
