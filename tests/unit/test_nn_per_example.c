/* Quantities of single examples: against each other, against the gradients of batches, and against finite
 * differences, for every layer kind. PyTorch's values are in tests/oracle/test_per_example.c. */
#include "base/random.h"
#include "nn/loss.h"
#include "nn/per_example.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 7 };

typedef struct world {
    lo_network *network;
    lo_arena *arena;
    lo_dataset dataset;
    float scale[8], shift[8];
    uint8_t *pixel;
    int32_t label[EXAMPLES];
    lo_per_example *per;
    const char *name;
} world;

static void reserve(world *w, const lo_kernels *kernels, size_t capacity)
{
    lo_arena_destroy(&w->arena);
    lo_memory memory = {0};
    lo_network_reserve(w->network, kernels, capacity, &memory);
    w->arena = lo_arena_create(memory.bytes);
    assert_non_null(w->arena);
    memory = (lo_memory){.arena = w->arena};
    lo_network_reserve(w->network, kernels, capacity, &memory);
    assert_int_equal(lo_network_initialize(w->network, 1, 1, NULL), LO_OK);
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    for (int k = 0; k < w->network->parameter_count;
         k++) { /* norms, statistics and tokens that say something */
        const lo_parameter *p = &w->network->parameter[k];
        if (p->bound > 0 || p->deviation > 0) {
            continue;
        }
        float *values = calloc(p->out * p->in * p->taps, sizeof(float));
        assert_non_null(values);
        for (size_t i = 0; i < p->out * p->in * p->taps; i++) {
            values[i] = p->fill + 0.6F * (lo_random_unit(random, (uint64_t)k, i) - 0.4F);
        }
        lo_network_set(w->network, p, values);
        free(values);
    }
}

static void choose(world *w, const char *const *choice, int choices)
{
    lo_error err = {""};
    lo_per_example_destroy(&w->per);
    if (lo_per_example_create(w->network, &w->dataset, choice, choices, &w->per, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
}

static world make(const lo_model_spec *spec, lo_shape shape, int32_t classes, const lo_kernels *kernels)
{
    world w = {.name = spec->layers != NULL ? spec->layers : spec->preset};
    lo_error err = {""};
    if (lo_network_build(spec, shape, classes, &w.network, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    const lo_random random = lo_random_make(5, LO_FOR_TEST);
    const size_t size = lo_shape_size(shape);
    w.pixel = malloc(EXAMPLES * size);
    assert_non_null(w.pixel);
    for (size_t i = 0; i < EXAMPLES * size; i++) {
        w.pixel[i] = (uint8_t)(256 * lo_random_unit(random, 0, i));
    }
    for (size_t n = 0; n < EXAMPLES; n++) {
        w.label[n] = (int32_t)(n % (size_t)classes);
    }
    w.dataset = (lo_dataset){.shape = shape, .classes = classes};
    reserve(&w, kernels, EXAMPLES);
    return w;
}

/* Once the world has its place. */
static void settle(world *w)
{
    for (int c = 0; c < 8; c++) {
        w->scale[c] = 1.0F / 64;
        w->shift[c] = -2;
    }
    w->dataset.scale = w->scale;
    w->dataset.shift = w->shift;
    w->dataset.train = (lo_examples){.count = EXAMPLES, .pixel = w->pixel, .label = w->label};
    choose(w, NULL, 0);
}

static void destroy(world *w)
{
    lo_per_example_destroy(&w->per);
    lo_network_destroy(&w->network);
    lo_arena_destroy(&w->arena);
    free(w->pixel);
}

static lo_example_list all_of(const world *w)
{
    return (lo_example_list){.examples = &w->dataset.train, .count = EXAMPLES};
}

static float *vectors_of(world *w, const lo_output *output)
{
    const lo_example_list list = all_of(w);
    lo_error err = {""};
    float *vectors = malloc(EXAMPLES * lo_per_example_size(w->per) * sizeof(float));
    assert_non_null(vectors);
    if (lo_per_example_vectors(w->per, &list, output, vectors, NULL, &err) != LO_OK) {
        fail_msg("%s: %s", w->name, err.text);
    }
    return vectors;
}

static double norm_of(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum);
}

static void expect_near(const world *w, const char *what, size_t n, double found, double wanted, double slack)
{
    if (!(fabs(found - wanted) <= slack)) {
        fail_msg("%s: %s of example %zu: %.9g, not %.9g (%g)", w->name, what, n, found, wanted, slack);
    }
}

/* The gradient of a batch in evaluation mode is the sum of its examples'. */
static void check_sum(world *w, const float *vectors)
{
    lo_network *network = w->network;
    const size_t size = lo_per_example_size(w->per), step = lo_network_logit_step(network);
    float *unused =
        vectors_of(w, &(lo_output){.kind = LO_OUTPUT_LOSS}); /* forward of all; lost by backward */
    assert_int_equal(lo_network_forward(network, EXAMPLES, false, NULL), LO_OK);
    memset(lo_network_logit_slope(network), 0, EXAMPLES * step * sizeof(float));
    for (size_t n = 0; n < EXAMPLES; n++) {
        lo_output_slope(&(lo_output){.kind = LO_OUTPUT_LOSS}, 0, lo_network_logits(network) + n * step,
                        network->classes, w->label[n], lo_network_logit_slope(network) + n * step);
    }
    assert_int_equal(lo_network_backward_fixed(network, EXAMPLES, NULL, NULL), LO_OK);
    for (int j = 0; j < lo_per_example_parameters(w->per); j++) {
        const lo_parameter *p = lo_per_example_parameter(w->per, j);
        const size_t count = p->out * p->in * p->taps, start = lo_per_example_start(w->per, j);
        const double first = norm_of(vectors + start, count);
        double difference = 0;
        lo_network_get(network, p, LO_GRADIENTS, unused);
        for (size_t i = 0; i < count; i++) {
            double sum = 0;
            for (size_t n = 0; n < EXAMPLES; n++) {
                sum += (double)vectors[n * size + start + i];
            }
            difference += pow(sum - (double)unused[i], 2);
        }
        expect_near(w, p->name, 0, sqrt(difference), 0, 1e-5 * (first + norm_of(unused, count)) + 1e-6);
    }
    free(unused);
}

/* The loss of example n, by a forward pass alone. */
static double loss_of(world *w, size_t n)
{
    lo_network *network = w->network;
    assert_int_equal(lo_network_forward(network, EXAMPLES, false, NULL), LO_OK);
    const float *logits = lo_network_logits(network) + n * lo_network_logit_step(network);
    double sum = 0;
    for (int32_t k = 0; k < network->classes; k++) {
        sum += exp((double)(logits[k] - logits[w->label[n]]));
    }
    return log(sum);
}

/* Each parameter's gradient against a step along it: the loss changes by the squared norm times the step. */
static void check_differences(world *w, const float *vectors)
{
    lo_network *network = w->network;
    const size_t size = lo_per_example_size(w->per), n = EXAMPLES - 2;
    float *again = vectors_of(w, &(lo_output){.kind = LO_OUTPUT_LOSS});
    float *values = malloc(size * sizeof(float)), *moved = malloc(size * sizeof(float));
    assert_non_null(values);
    assert_non_null(moved);
    for (int j = 0; j < lo_per_example_parameters(w->per); j++) {
        const lo_parameter *p = lo_per_example_parameter(w->per, j);
        const size_t count = p->out * p->in * p->taps;
        const float *g = vectors + n * size + lo_per_example_start(w->per, j);
        const double norm = norm_of(g, count), step = fmin(4e-3, 2e-3 / norm);
        double loss[2];
        lo_network_get(network, p, LO_VALUES, values);
        for (int side = 0; side < 2 && norm > 1e-2; side++) {
            for (size_t i = 0; i < count; i++) {
                moved[i] = values[i] + (float)((side == 0 ? step : -step) / norm) * g[i];
            }
            lo_network_set(network, p, moved);
            loss[side] = loss_of(w, n);
        }
        lo_network_set(network, p, values);
        if (norm > 1e-2) {
            expect_near(w, p->name, n, (loss[0] - loss[1]) / (2 * step), norm, 0.03 * norm + 1e-3);
        }
    }
    free(values);
    free(moved);
    free(again);
}

static void check_input(world *w)
{
    lo_network *network = w->network;
    const size_t size = lo_shape_size(network->input), n = 3, step = lo_network_input_size(network);
    const lo_example_list list = all_of(w);
    const lo_output loss = {.kind = LO_OUTPUT_LOSS};
    float *gradient = malloc(EXAMPLES * size * sizeof(float)), *before = malloc(size * sizeof(float));
    lo_error err;
    assert_non_null(gradient);
    assert_non_null(before);
    assert_int_equal(lo_per_example_inputs(w->per, &list, &loss, gradient, NULL, &err), LO_OK);
    const float *g = gradient + n * size;
    float *x = lo_network_input(network) + n * step;
    const double norm = norm_of(g, size), width = fmin(4e-3, 2e-3 / norm);
    double value[2];
    memcpy(before, x, size * sizeof(float));
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < size; i++) {
            x[i] = before[i] + (float)((side == 0 ? width : -width) / norm) * g[i];
        }
        value[side] = loss_of(w, n);
    }
    expect_near(w, "the input", n, (value[0] - value[1]) / (2 * width), norm, 0.03 * norm + 1e-3);
    free(gradient);
    free(before);
}

/* Norms, inner products, sums and channel sums are those of the vectors. */
static void check_reductions(world *w, const lo_output *output, const float *vectors)
{
    enum { DIRECTIONS = 2 };
    const lo_example_list list = all_of(w);
    const size_t size = lo_per_example_size(w->per), parts = (size_t)lo_per_example_parameters(w->per);
    const size_t channels = lo_per_example_channels(w->per);
    const lo_random random = lo_random_make(8, LO_FOR_TEST);
    /* In bfloat16 a gradient that is formed has rounded factors, a norm that is found without it has not. */
    const double relative = w->network->kernels->precision == LO_F32 ? 2e-5 : 1e-2;
    double total[EXAMPLES], dots[EXAMPLES * DIRECTIONS];
    double *by = calloc(EXAMPLES * parts, sizeof(double)),
           *sums = calloc(EXAMPLES * channels, sizeof(double));
    double *expected = calloc(channels, sizeof(double)), *vector = calloc(size, sizeof(double));
    float *direction = malloc(DIRECTIONS * size * sizeof(float));
    lo_error err = {""};
    assert_true(by != NULL && sums != NULL && expected != NULL && vector != NULL && direction != NULL);
    for (size_t i = 0; i < DIRECTIONS * size; i++) {
        direction[i] = lo_random_unit(random, 0, i) - 0.5F;
    }
    assert_int_equal(lo_per_example_squares(w->per, &list, output, total, by, NULL, &err), LO_OK);
    assert_int_equal(lo_per_example_dots(w->per, &list, output, direction, DIRECTIONS, dots, NULL, &err),
                     LO_OK);
    for (size_t n = 0; n < EXAMPLES; n++) {
        const float *own = vectors + n * size;
        const double norm = norm_of(own, size);
        expect_near(w, "squared norm", n, total[n], norm * norm, relative * norm * norm);
        for (size_t j = 0; j < parts; j++) {
            const lo_parameter *p = lo_per_example_parameter(w->per, (int)j);
            const double part = norm_of(own + lo_per_example_start(w->per, (int)j), p->out * p->in * p->taps);
            expect_near(w, p->name, n, by[n * parts + j], part * part,
                        relative * part * part + 1e-7 * norm * norm);
        }
        for (size_t k = 0; k < DIRECTIONS; k++) {
            double dot = 0;
            for (size_t i = 0; i < size; i++) {
                dot += (double)own[i] * (double)direction[k * size + i];
            }
            expect_near(w, "inner product", n, dots[n * DIRECTIONS + k], dot,
                        1e-5 * norm * norm_of(direction + k * size, size));
        }
    }
    static const lo_channel_term terms[] = {{LO_TERM_GRADIENT, true},
                                            {LO_TERM_ABSOLUTE, true},
                                            {LO_TERM_GRADIENT, false},
                                            {LO_TERM_SQUARE, false}};
    for (size_t t = 0; t < sizeof(terms) / sizeof(terms[0]); t++) {
        assert_int_equal(lo_per_example_channel_sums(w->per, &list, output, terms[t], sums, NULL, &err),
                         LO_OK);
        for (size_t n = 0; n < EXAMPLES; n++) {
            double most = 1e-12;
            for (size_t i = 0; i < size; i++) {
                vector[i] = (double)vectors[n * size + i];
            }
            lo_channel_sums(w->per, vector, terms[t], expected);
            for (size_t c = 0; c < channels; c++) {
                most = fmax(most, fabs(expected[c]));
            }
            for (size_t c = 0; c < channels; c++) {
                expect_near(w, "channel", n, sums[n * channels + c], expected[c], 1e-6 * most);
            }
        }
    }
    for (int term = LO_TERM_GRADIENT; term <= LO_TERM_SQUARE; term++) {
        lo_pairwise *sum = NULL;
        const lo_pairwise_node *nodes = NULL;
        assert_int_equal(lo_pairwise_create(size, 1, 0, 1, &sum, &err), LO_OK);
        assert_int_equal(lo_per_example_sums(w->per, &list, output, (lo_term)term, sum, NULL, &err), LO_OK);
        assert_int_equal(lo_pairwise_nodes(sum, &nodes), 1);
        for (size_t i = 0; i < size; i++) {
            double plain = 0;
            for (size_t n = 0; n < EXAMPLES; n++) {
                const double g = (double)vectors[n * size + i];
                plain += term == LO_TERM_GRADIENT ? g : term == LO_TERM_ABSOLUTE ? fabs(g) : g * g;
            }
            assert_true(nodes[0].value[i] == plain);
        }
        lo_pairwise_destroy(&sum);
    }
    free(by);
    free(sums);
    free(expected);
    free(vector);
    free(direction);
}

/* By the rows of the matrix, one by one. */
static void check_projection(world *w, const lo_output *output, const float *vectors,
                             const lo_projection *projection)
{
    const lo_example_list list = all_of(w);
    const size_t size = lo_per_example_size(w->per), d = projection->dimension;
    float *projected = calloc(EXAMPLES * d, sizeof(float)), *row = calloc(d, sizeof(float));
    double *plain = calloc(EXAMPLES * d, sizeof(double));
    lo_error err = {""};
    uint64_t number = 0;
    int j = 0;
    assert_true(projected != NULL && row != NULL && plain != NULL);
    assert_int_equal(lo_per_example_project(w->per, &list, output, projection, projected, NULL, &err), LO_OK);
    for (int k = 0; k < w->network->parameter_count; k++) {
        const lo_parameter *p = &w->network->parameter[k];
        const size_t count = p->out * p->in * p->taps;
        const bool chosen = j < lo_per_example_parameters(w->per) && lo_per_example_parameter(w->per, j) == p;
        for (size_t i = 0; i < count && chosen; i++) {
            lo_projection_row(projection, number + i, row);
            for (size_t n = 0; n < EXAMPLES; n++) {
                const double g = (double)vectors[n * size + lo_per_example_start(w->per, j) + i];
                for (size_t c = 0; c < d; c++) {
                    plain[n * d + c] += g * (double)row[c];
                }
            }
        }
        j += chosen ? 1 : 0;
        number += p->statistic ? 0 : count;
    }
    for (size_t n = 0; n < EXAMPLES; n++) {
        const double norm = norm_of(vectors + n * size, size);
        for (size_t c = 0; c < d; c++) {
            expect_near(w, "projection", n, (double)projected[n * d + c], plain[n * d + c], 1e-5 * norm);
        }
    }
    free(projected);
    free(row);
    free(plain);
}

static void check_network(const lo_model_spec *spec, lo_shape shape, const lo_kernels *kernels)
{
    world w = make(spec, shape, 4, kernels);
    settle(&w);
    const lo_output loss = {.kind = LO_OUTPUT_LOSS}, margin = {.kind = LO_OUTPUT_MARGIN};
    float *vectors = vectors_of(&w, &loss);
    check_sum(&w, vectors);
    if (kernels == lo_kernels_at(LO_F32, 0)) { /* which the others are near; what is slow, once */
        check_differences(&w, vectors);
        check_input(&w);
        check_projection(&w, &loss, vectors,
                         &(lo_projection){.kind = LO_PROJECT_DENSE, .seed = 3, .dimension = 50});
        check_projection(
            &w, &loss, vectors,
            &(lo_projection){.kind = LO_PROJECT_SPARSE, .seed = 3, .dimension = 50, .entries = 4});
    }
    check_reductions(&w, &loss, vectors);
    float *margins = vectors_of(&w, &margin);
    /* The same bits alone and in other batches, of other sizes. */
    reserve(&w, kernels, 3);
    choose(&w, NULL, 0);
    float *by_three = vectors_of(&w, &loss), *margins_by_three = vectors_of(&w, &margin);
    const size_t size = lo_per_example_size(w.per);
    if (memcmp(vectors, by_three, EXAMPLES * size * sizeof(float)) != 0 ||
        memcmp(margins, margins_by_three, EXAMPLES * size * sizeof(float)) != 0) {
        fail_msg("%s with %s kernels: other bits in batches of three", w.name, kernels->name);
    }
    const uint32_t position[] = {5, 2};
    const lo_example_list two = {.examples = &w.dataset.train, .position = position, .count = 2};
    lo_error err;
    assert_int_equal(lo_per_example_vectors(w.per, &two, &loss, by_three, NULL, &err), LO_OK);
    assert_memory_equal(by_three, vectors + 5 * size, size * sizeof(float));
    assert_memory_equal(by_three + size, vectors + 2 * size, size * sizeof(float));
    free(by_three);
    free(margins_by_three);
    free(margins);
    free(vectors);
    destroy(&w);
}

static void test_networks(void **state)
{
    (void)state;
    static const struct {
        lo_model_spec spec;
        lo_shape shape;
    } list[] = {
        {{.preset = "linear"}, {2, 5, 4}},
        {{.preset = "mlp", .hidden = {20, 12}, .hidden_count = 2}, {1, 6, 6}},
        {{.preset = "cnn", .width = 5}, {1, 9, 11}},
        {{.preset = "cnn", .width = 16}, {3, 12, 12}},
        {{.preset = "resnet9", .width = 4}, {3, 8, 8}},
        {{.preset = "resnet18", .width = 3}, {3, 8, 8}},
        {{.preset = "vit", .width = 12, .depth = 2, .heads = 3, .patch = 4}, {3, 8, 8}},
        {{.preset = "layers",
          .layers =
              "[{conv: 5}, relu, {conv: 18, stride: 2, bias: false}, {dropout: 0.3}, flatten, {linear: 4}]"},
         {3, 8, 8}},
        {{.preset = "layers",
          .layers = "[{conv: 7, kernel: 5, stride: 2, padding: 1}, gelu, {conv: 6, kernel: 2, padding: 1}, "
                    "{mean_pool: 2}, flatten, {linear: 4}]"},
         {2, 11, 9}},
        {{.preset = "layers",
          .layers = "[{conv: 12, groups: 3}, {conv: 24, groups: 4, stride: 2}, {conv: 24, groups: 24}, "
                    "{conv: 32, groups: 2, kernel: 1}, {max_pool: 0}, {linear: 4}]"},
         {3, 8, 8}},
        {{.preset = "layers",
          .layers =
              "[batch_norm, relu, {conv: 4}, batch_norm, {max_pool: 3, stride: 2, padding: 1}, flatten, "
              "{linear: 9}, batch_norm, gelu, {linear: 4}]"},
         {3, 7, 8}},
        {{.preset = "layers",
          .layers = "[layer_norm, {linear: 20, each: true}, gelu, {attention: 2}, flatten, {linear: 4}]"},
         {5, 3, 4}},
        {{.preset = "layers",
          .layers =
              "[{residual: [{conv: 6}, relu, {conv: 6}], shortcut: [{conv: 6, kernel: 1}], relu: true}, "
              "{max_pool: 2}, {residual: [{conv: 6}]}, flatten, {linear: 4}]"},
         {2, 6, 6}},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            check_network(&list[i].spec, list[i].shape, lo_kernels_at(LO_F32, level));
        }
        check_network(&list[i].spec, list[i].shape, lo_kernels_at(LO_BF16, 0));
    }
}

static const lo_model_spec small_cnn = {.preset = "cnn", .width = 4};

static void test_outputs(void **state)
{
    (void)state;
    enum { CLASSES = 5 };
    const float near[CLASSES] = {3, -1, 0.5F, 2, 1}, far[CLASSES] = {0, 40, 1, -3, 0};
    float slope[CLASSES];
    for (int which = 0; which < 2; which++) {
        const float *logits = which == 0 ? near : far;
        for (int kind = LO_OUTPUT_LOSS; kind <= LO_OUTPUT_LOG_PROBABILITY; kind++) {
            const lo_output output = {.kind = (lo_output_kind)kind,
                                      .smoothing = kind == LO_OUTPUT_LOSS ? 0.1 : 0};
            lo_output_slope(&output, 0, logits, CLASSES, 1, slope);
            double sum = 0, others = 0;
            for (int k = 0; k < CLASSES; k++) {
                sum += exp((double)logits[k]);
                others += k != 1 ? exp((double)logits[k]) : 0;
            }
            for (int k = 0; k < CLASSES; k++) {
                const double e = exp((double)logits[k]), p = k == 1 ? 1 - others / sum : e / sum;
                const double own = k == 1 ? 1 : 0;
                const double loss = (k == 1 ? -others / sum : p) + 0.1 * (own - 1.0 / CLASSES);
                const double wanted = kind == LO_OUTPUT_LOSS     ? loss
                                      : kind == LO_OUTPUT_MARGIN ? (k == 1 ? 1 : -e / others)
                                                                 : (k == 1 ? others / sum : -p);
                assert_true(fabs((double)slope[k] - wanted) <= 1e-6 * fabs(wanted));
            }
        }
    }
    lo_output_slope(&(lo_output){.kind = LO_OUTPUT_LOGIT, .logit = 3}, 0, near, CLASSES, 1, slope);
    for (int k = 0; k < CLASSES; k++) {
        assert_true(slope[k] == (k == 3 ? 1.0F : 0.0F));
    }
}

static void own_slope(void *self, int64_t number, const float *logits, int32_t classes, int32_t label,
                      float *slope)
{
    int64_t *sum = self;
    (void)logits;
    (void)label;
    *sum += number;
    for (int32_t k = 0; k < classes; k++) {
        slope[k] = k == 2 ? 1 : 0;
    }
}

typedef struct seen {
    const float *vectors;
    size_t size;
    int64_t next;
} seen;

static lo_status see(void *self, int64_t number, const float *vector)
{
    seen *s = self;
    assert_int_equal(number, s->next++);
    assert_memory_equal(vector, s->vectors + (size_t)number * s->size, s->size * sizeof(float));
    return number == 4 ? LO_STOPPED : LO_OK;
}

static void test_jacobian_and_own_outputs(void **state)
{
    (void)state;
    world w = make(&small_cnn, (lo_shape){1, 8, 8}, 4, lo_kernels_at(LO_F32, 0));
    settle(&w);
    const size_t size = lo_per_example_size(w.per);
    const lo_example_list list = all_of(&w);
    float *rows = malloc(EXAMPLES * 4 * size * sizeof(float));
    lo_error err;
    int64_t sum = 0;
    assert_non_null(rows);
    assert_int_equal(lo_per_example_jacobian(w.per, &list, rows, NULL, &err), LO_OK);
    float *third = vectors_of(&w, &(lo_output){.kind = LO_OUTPUT_LOGIT, .logit = 2});
    float *own = vectors_of(&w, &(lo_output){.kind = LO_OUTPUT_OTHER, .slope = own_slope, .self = &sum});
    assert_int_equal(sum, EXAMPLES * (EXAMPLES - 1) / 2);
    assert_memory_equal(third, own, EXAMPLES * size * sizeof(float));
    for (size_t n = 0; n < EXAMPLES; n++) {
        assert_memory_equal(rows + (4 * n + 2) * size, third + n * size, size * sizeof(float));
    }
    /* The margin's gradient is J' times its slope. */
    float *margin = vectors_of(&w, &(lo_output){.kind = LO_OUTPUT_MARGIN}), slope[4], logits[4];
    for (size_t n = 0; n < EXAMPLES; n++) {
        double difference = 0;
        assert_int_equal(lo_network_forward(w.network, EXAMPLES, false, NULL), LO_OK);
        memcpy(logits, lo_network_logits(w.network) + n * lo_network_logit_step(w.network), sizeof(logits));
        lo_output_slope(&(lo_output){.kind = LO_OUTPUT_MARGIN}, 0, logits, 4, w.label[n], slope);
        for (size_t i = 0; i < size; i++) {
            double product = 0;
            for (size_t k = 0; k < 4; k++) {
                product += (double)slope[k] * (double)rows[(4 * n + k) * size + i];
            }
            difference += pow(product - (double)margin[n * size + i], 2);
        }
        expect_near(&w, "margin", n, sqrt(difference), 0, 1e-5 * norm_of(margin + n * size, size));
    }
    seen s = {own, size, 0};
    assert_int_equal(lo_per_example_each_vector(w.per, &list,
                                                &(lo_output){.kind = LO_OUTPUT_LOGIT, .logit = 2}, see, &s,
                                                NULL, &err),
                     LO_STOPPED);
    assert_int_equal(s.next, 5);
    free(rows);
    free(third);
    free(own);
    free(margin);
    destroy(&w);
}

static void test_choices(void **state)
{
    (void)state;
    world w = make(&small_cnn, (lo_shape){1, 8, 8}, 4, lo_kernels_at(LO_F32, 0));
    settle(&w);
    const lo_output loss = {.kind = LO_OUTPUT_LOSS};
    const size_t whole = lo_per_example_size(w.per);
    float *all = vectors_of(&w, &loss);
    const size_t last = lo_per_example_start(w.per, 9), bn = lo_per_example_start(w.per, 5);
    assert_string_equal(lo_per_example_parameter(w.per, 9)->name, "linear1.weight");
    assert_string_equal(lo_per_example_parameter(w.per, 5)->name, "bn2.bias");
    assert_int_equal(whole, (size_t)lo_network_parameters(w.network));
    static const char *const choice[] = {"linear1", "bn2.bias"};
    choose(&w, choice, 2);
    assert_int_equal(lo_per_example_parameters(w.per), 3);
    const size_t size = lo_per_example_size(w.per);
    assert_int_equal(size, 8 + 16 * 4 + 4);
    float *some = vectors_of(&w, &loss);
    for (size_t n = 0; n < EXAMPLES; n++) {
        assert_memory_equal(some + n * size, all + n * whole + bn, 8 * sizeof(float));
        assert_memory_equal(some + n * size + 8, all + n * whole + last, (16 * 4 + 4) * sizeof(float));
    }
    check_reductions(&w, &loss, some);
    check_projection(&w, &loss, some,
                     &(lo_projection){.kind = LO_PROJECT_DENSE, .seed = 9, .dimension = 130});
    for (int i = 0; i < w.network->layer_count; i++) {
        assert_false(w.network->layer[i]->frozen);
    }
    free(some);
    /* Frozen parameters are left out, held elements have no gradient. */
    lo_error err = {""};
    uint8_t trained[64];
    memset(trained, 1, sizeof(trained));
    trained[5] = trained[40] = 0;
    assert_int_equal(lo_network_mask(w.network, "linear1.weight", trained, &err), LO_OK);
    assert_int_equal(lo_network_freeze(w.network, "linear1.bias", true, &err), LO_OK);
    choose(&w, NULL, 0);
    assert_int_equal(lo_per_example_size(w.per), whole - 4);
    some = vectors_of(&w, &loss);
    for (size_t n = 0; n < EXAMPLES; n++) {
        assert_memory_equal(some + n * (whole - 4), all + n * whole, last * sizeof(float));
        for (size_t i = 0; i < 64; i++) {
            assert_true(some[n * (whole - 4) + last + i] == (trained[i] ? all[n * whole + last + i] : 0.0F));
        }
    }
    check_reductions(&w, &loss, some);
    free(some);
    free(all);
    destroy(&w);
}

static void test_refusals(void **state)
{
    (void)state;
    world w = make(&small_cnn, (lo_shape){1, 8, 8}, 4, lo_kernels_at(LO_F32, 0));
    settle(&w);
    lo_error err = {""};
    lo_per_example *none = NULL;
    const char *wrong = "conv4.weight", *strange = "nothing at all";
    assert_int_equal(lo_per_example_create(w.network, &w.dataset, &wrong, 1, &none, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "conv4.weight (nearest: conv"));
    assert_int_equal(lo_per_example_create(w.network, &w.dataset, &strange, 1, &none, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "it has conv1.weight bn1.weight"));
    const char *statistic = "bn1.running_mean";
    assert_int_equal(lo_per_example_create(w.network, &w.dataset, &statistic, 1, &none, &err), LO_USAGE);
    assert_int_equal(lo_network_freeze(w.network, "conv1.weight", true, &err), LO_OK);
    const char *frozen = "conv1";
    assert_int_equal(lo_per_example_create(w.network, &w.dataset, &frozen, 1, &none, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "frozen"));
    double total[EXAMPLES];
    lo_example_list list = all_of(&w);
    assert_int_equal(lo_per_example_squares(w.per, &list, &(lo_output){.kind = LO_OUTPUT_LOGIT, .logit = 4},
                                            total, NULL, NULL, &err),
                     LO_USAGE);
    assert_non_null(strstr(err.text, "logit 4; 0 to 3"));
    const uint32_t beyond[] = {1, EXAMPLES};
    const lo_example_list wrong_list = {.examples = &w.dataset.train, .position = beyond, .count = 2};
    assert_int_equal(lo_per_example_squares(w.per, &wrong_list, &(lo_output){0}, total, NULL, NULL, &err),
                     LO_USAGE);
    list.first = 1;
    assert_int_equal(lo_per_example_squares(w.per, &list, &(lo_output){0}, total, NULL, NULL, &err),
                     LO_USAGE);
    list.first = 0;
    const lo_projection wide = {.kind = LO_PROJECT_SPARSE, .dimension = 3, .entries = 4};
    assert_int_equal(lo_per_example_project(w.per, &list, &(lo_output){0}, &wide, NULL, NULL, &err),
                     LO_USAGE);
    lo_pairwise *sum = NULL;
    assert_int_equal(lo_pairwise_create(3, 1, 0, 1, &sum, &err), LO_OK);
    assert_int_equal(lo_per_example_sums(w.per, &list, &(lo_output){0}, LO_TERM_SQUARE, sum, NULL, &err),
                     LO_USAGE);
    lo_pairwise_destroy(&sum);
    destroy(&w);
}

static void test_features(void **state)
{
    (void)state;
    static const char *const names[] = {"input", "0.0",       "1.0",   "2.body.0.0", "2.body.1.0",
                                        "sum1",  "3.0",       "4.0",   "5.body.0.0", "5.body.1.0",
                                        "sum2",  "max_pool1", "logits"};
    const lo_model_spec spec = {.preset = "resnet9", .width = 2};
    world w = make(&spec, (lo_shape){3, 8, 8}, 4, lo_kernels_at(LO_F32, 0));
    settle(&w);
    lo_error err = {""};
    char name[LO_NAME_SIZE];
    int value = 0;
    assert_int_equal(w.network->layer_count, 12);
    for (int v = 0; v <= 12; v++) {
        lo_network_value_name(w.network, v, name);
        assert_string_equal(name, names[v]);
        assert_int_equal(lo_network_value(w.network, names[v], &value, &err), LO_OK);
        assert_int_equal(value, v);
    }
    assert_int_equal(lo_network_value(w.network, "sum3", &value, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "sum3 (nearest: sum"));
    const lo_example_list list = all_of(&w);
    float *found[3];
    for (int k = 0; k < 3; k++) {
        const int which = k == 0 ? 0 : k == 1 ? 5 : 12;
        const lo_shape shape = lo_network_shape_of(w.network, which);
        found[k] = malloc(EXAMPLES * lo_shape_size(shape) * sizeof(float));
        assert_non_null(found[k]);
        assert_int_equal(lo_per_example_features(w.per, &list, which, found[k], NULL, &err), LO_OK);
    }
    assert_int_equal(lo_network_forward(w.network, EXAMPLES, false, NULL), LO_OK);
    for (size_t n = 0; n < EXAMPLES; n++) {
        for (size_t i = 0; i < 3 * 64; i++) {
            assert_true(found[0][n * 192 + i] == (float)w.pixel[n * 192 + i] / 64 - 2);
        }
        for (size_t c = 0; c < 4; c++) {
            for (size_t p = 0; p < 16; p++) { /* 4 channels of 4 x 4 in rows of LO_LANES */
                assert_true(found[1][n * 64 + c * 16 + p] ==
                            w.network->flow[5].activation[n * w.network->flow[5].size + p * LO_LANES + c]);
            }
            assert_true(found[2][n * 4 + c] ==
                        lo_network_logits(w.network)[n * lo_network_logit_step(w.network) + c]);
        }
    }
    for (int k = 0; k < 3; k++) {
        free(found[k]);
    }
    destroy(&w);
}

/* Inner products of vectors survive projection, to the deviation that theory gives; and the matrix depends on
 * nothing but the seed. */
static void test_projection_statistics(void **state)
{
    (void)state;
    enum { SIZE = 3000, DIMENSION = 512, VECTORS = 12 };
    static float values[VECTORS * SIZE], sums[VECTORS * DIMENSION], again[VECTORS * DIMENSION],
        row[DIMENSION];
    const lo_random random = lo_random_make(12, LO_FOR_TEST);
    for (size_t i = 0; i < VECTORS * SIZE; i++) {
        values[i] = lo_random_normal(random, 1, i) + (i % SIZE < 30 ? 3.0F : 0.0F);
    }
    for (int kind = LO_PROJECT_DENSE; kind <= LO_PROJECT_SPARSE; kind++) {
        const lo_projection projection = {
            .kind = (lo_projection_kind)kind, .seed = 7, .dimension = DIMENSION, .entries = 4};
        float *scratch = calloc(lo_projection_scratch(&projection), sizeof(float));
        const lo_kernels *kernels = lo_kernels_at(LO_F32, 0);
        assert_non_null(scratch);
        memset(sums, 0, sizeof(sums));
        memset(again, 0, sizeof(again));
        assert_int_equal(
            lo_projection_add(&projection, kernels, 100, SIZE, values, SIZE, VECTORS, sums, scratch, NULL),
            LO_OK);
        for (size_t n = VECTORS; n-- > 0;) { /* one by one, the same bits */
            assert_int_equal(lo_projection_add(&projection, kernels, 100, SIZE, values + n * SIZE, SIZE, 1,
                                               again + n * DIMENSION, scratch, NULL),
                             LO_OK);
        }
        assert_memory_equal(sums, again, sizeof(sums));
        double bias = 0, spread = 0;
        int pairs = 0;
        const double scale = pow((double)lo_projection_scale(&projection), 2);
        for (size_t a = 0; a < VECTORS; a++) {
            for (size_t b = 0; b <= a; b++, pairs++) {
                double before = 0, after = 0;
                for (size_t i = 0; i < SIZE; i++) {
                    before += (double)values[a * SIZE + i] * (double)values[b * SIZE + i];
                }
                for (size_t i = 0; i < DIMENSION; i++) {
                    after += scale * (double)sums[a * DIMENSION + i] * (double)sums[b * DIMENSION + i];
                }
                const double error =
                    (after - before) / (norm_of(values + a * SIZE, SIZE) * norm_of(values + b * SIZE, SIZE));
                bias += error;
                spread += error * error;
            }
        }
        /* Of 78 pairs: deviations of sqrt(1 / 512) to sqrt(2 / 512), 0.044 to 0.0625. */
        assert_true(sqrt(spread / pairs) > 0.03 && sqrt(spread / pairs) < 0.075);
        assert_true(fabs(bias / pairs) < 0.03);
        int entries = 0;
        lo_projection_row(&projection, 123, row);
        for (size_t i = 0; i < DIMENSION; i++) {
            entries += row[i] != 0 ? 1 : 0;
        }
        assert_int_equal(entries, kind == LO_PROJECT_DENSE ? DIMENSION : 4);
        free(scratch);
    }
    /* A value that is part of stored results. */
    const lo_projection fixed = {.kind = LO_PROJECT_DENSE, .seed = 1, .dimension = 64};
    uint64_t bits = 0;
    lo_projection_row(&fixed, 5, row);
    for (size_t i = 0; i < 64; i++) {
        bits |= row[i] < 0 ? UINT64_C(1) << i : 0;
    }
    uint32_t wanted[4];
    lo_random_u32x4(lo_random_make(1, LO_FOR_PROJECTION), 5, 0, wanted);
    assert_true(bits == ((uint64_t)wanted[1] << 32 | wanted[0]));
}

static lo_status count_tick(void *self)
{
    int *left = self;
    return --*left > 0 ? LO_OK : LO_STOPPED;
}

static void test_ticks(void **state)
{
    (void)state;
    world w = make(&small_cnn, (lo_shape){1, 8, 8}, 4, lo_kernels_at(LO_F32, 0));
    settle(&w);
    const lo_example_list list = all_of(&w);
    double total[EXAMPLES];
    lo_error err;
    int left = 1 << 20;
    const lo_tick tick = {count_tick, &left};
    assert_int_equal(lo_per_example_squares(w.per, &list, &(lo_output){0}, total, NULL, &tick, &err), LO_OK);
    const int used = (1 << 20) - left;
    assert_true(used > 4 * EXAMPLES); /* each layer of each example */
    for (int stop = 1; stop < used; stop += used / 10) {
        left = stop;
        assert_int_equal(lo_per_example_squares(w.per, &list, &(lo_output){0}, total, NULL, &tick, &err),
                         LO_STOPPED);
        assert_false(w.network->layer[0]->frozen || w.network->input_learns);
    }
    destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks),
                                       cmocka_unit_test(test_outputs),
                                       cmocka_unit_test(test_jacobian_and_own_outputs),
                                       cmocka_unit_test(test_choices),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_features),
                                       cmocka_unit_test(test_projection_statistics),
                                       cmocka_unit_test(test_ticks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
