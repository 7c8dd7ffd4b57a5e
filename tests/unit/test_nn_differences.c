/* Every type of layer, forward and backward as a training step goes: the gradient of each parameter along a
 * direction against the central difference of the loss along it. */
#include "base/random.h"
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

enum { EXAMPLES = 6, CLASSES = 4, DIRECTIONS = 2 };

typedef struct made {
    lo_network *network;
    lo_arena *arena;
    int32_t label[EXAMPLES];
} made;

static void make(made *m, const char *layers, lo_shape input)
{
    const lo_model_spec spec = {.preset = "layers", .layers = layers};
    const lo_random random = lo_random_make(2, LO_FOR_TEST);
    lo_memory memory = {0};
    lo_error err = {""};
    *m = (made){0};
    if (lo_network_build(&spec, input, CLASSES, &m->network, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    lo_network_reserve(m->network, lo_kernels_at(LO_F32, 0), EXAMPLES, &memory);
    m->arena = lo_arena_create(memory.bytes);
    assert_non_null(m->arena);
    memory = (lo_memory){.arena = m->arena};
    lo_network_reserve(m->network, lo_kernels_at(LO_F32, 0), EXAMPLES, &memory);
    assert_int_equal(lo_network_initialize(m->network, 1, 1, NULL), LO_OK);
    const size_t step = lo_network_input_size(m->network), size = lo_shape_size(input);
    for (size_t n = 0; n < EXAMPLES; n++) {
        m->label[n] = (int32_t)n % CLASSES;
        for (size_t i = 0; i < size; i++) {
            lo_network_input(m->network)[n * step + i] = lo_random_normal(random, n, i);
        }
    }
}

static void destroy(made *m)
{
    lo_network_destroy(&m->network);
    lo_arena_destroy(&m->arena);
}

/* The batch's mean loss in training mode; the slope of the logits is left for the backward pass. */
static double loss_of(const made *m)
{
    lo_network *network = m->network;
    int64_t correct = 0;
    network->draw = (lo_draw){.seed = 3, .model_seed = 4, .step = 5}; /* dropout drops the same each time */
    assert_int_equal(lo_network_forward(network, EXAMPLES, true, NULL), LO_OK);
    return lo_softmax_loss(lo_network_logits(network), lo_network_logit_step(network), m->label, EXAMPLES,
                           CLASSES, 0, lo_network_logit_slope(network), &correct) /
           EXAMPLES;
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* (loss(w + h v) - loss(w - h v)) / 2h for one parameter. */
static double difference(const made *m, const lo_parameter *parameter, const float *w, const float *v,
                         float *moved, size_t count, double h)
{
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++) {
            moved[i] = (float)((double)w[i] + (side == 0 ? h : -h) * (double)v[i]);
        }
        lo_network_set(m->network, parameter, moved);
        loss[side] = loss_of(m);
    }
    lo_network_set(m->network, parameter, w);
    return (loss[0] - loss[1]) / (2 * h);
}

/* Along the gradient's own direction, in which the difference is its norm, then with as much again of a
 * random one, across which it would show what the gradient lacks. */
static void check_parameter(const made *m, const char *layers, const lo_parameter *parameter)
{
    const lo_random random = lo_random_make(7, LO_FOR_TEST);
    const size_t count = parameter->out * parameter->in * parameter->taps;
    float *w = calloc(4 * count, sizeof(float)), *g = w + count, *v = g + count, *moved = v + count;
    assert_non_null(w);
    lo_network_get(m->network, parameter, LO_VALUES, w);
    (void)loss_of(m);
    assert_int_equal(lo_network_backward(m->network, EXAMPLES, NULL), LO_OK);
    lo_network_get(m->network, parameter, LO_GRADIENTS, g);
    const double norm = sqrt(dot(g, g, count));
    for (int d = 0; d < DIRECTIONS; d++) {
        for (size_t i = 0; i < count; i++) {
            const double own = norm > 0 ? (double)g[i] / norm : 0;
            const double other = (double)lo_random_normal(random, parameter->offset, i) / sqrt((double)count);
            v[i] = (float)(own + (d == 0 && norm > 0 ? 0 : other));
        }
        const double expected = dot(g, v, count);
        /* Richardson's extrapolation: what is left is of the fourth order. */
        const double wide = difference(m, parameter, w, v, moved, count, 4e-3);
        const double found = (4 * difference(m, parameter, w, v, moved, count, 2e-3) - wide) / 3;
        if (!(fabs(found - expected) <= 0.01 * norm + 2e-4)) {
            fail_msg("%s: %s: along direction %d the difference is %g, the gradient says %g", layers,
                     parameter->name, d, found, expected);
        }
    }
    free(w);
}

static const struct {
    const char *layers;
    lo_shape input;
} cases[] = {
    {"[flatten, {linear: 4}]", {2, 3, 3}},
    {"[flatten, {linear: 12}, gelu, {linear: 4}]", {1, 4, 4}},
    {"[flatten, {linear: 12}, gelu, {dropout: 0.4}, {linear: 4}]", {1, 4, 4}},
    {"[{conv: 5, bias: true}, gelu, mean_pool, {linear: 4}]", {3, 6, 6}},
    {"[{conv: 8, kernel: 1}, gelu, {conv: 6, kernel: 3}, gelu, mean_pool, {linear: 4}]", {3, 7, 5}},
    {"[{conv: 8, kernel: 5, stride: 2, padding: 1}, gelu, mean_pool, {linear: 4}]", {3, 9, 8}},
    {"[{conv: 8, kernel: 3, groups: 4, padding: 0}, gelu, flatten, {linear: 4}]", {4, 5, 5}},
    {"[{conv: 6}, batch_norm, gelu, mean_pool, {linear: 4}]", {2, 6, 6}},
    {"[{conv: 6, stride: 2}, batch_norm, gelu, {conv: 6}, batch_norm, gelu, mean_pool, {linear: 4}]",
     {2, 8, 8}},
    {"[flatten, {linear: 9}, batch_norm, gelu, {linear: 4}]", {1, 4, 4}},
    {"[{conv: 6}, layer_norm, gelu, mean_pool, {linear: 4}]", {2, 6, 6}},
    {"[{conv: 6}, gelu, {max_pool: 2}, flatten, {linear: 4}]", {2, 6, 6}},
    {"[{conv: 6}, gelu, {max_pool: 3, stride: 2, padding: 1}, mean_pool, {linear: 4}]", {2, 7, 7}},
    {"[{conv: 6}, gelu, {mean_pool: 3, stride: 2, padding: 1}, flatten, {linear: 4}]", {2, 7, 7}},
    {"[{conv: 6}, gelu, max_pool, {linear: 4}]", {2, 6, 6}},
    {"[{conv: 6}, {residual: [{conv: 6}, batch_norm, gelu, {conv: 6}]}, mean_pool, {linear: 4}]", {2, 6, 6}},
    {"[{conv: 6}, {residual: [{conv: 8, stride: 2}, batch_norm], shortcut: [{conv: 8, kernel: 1, stride: "
     "2}]}, "
     "gelu, mean_pool, {linear: 4}]",
     {2, 6, 6}},
    {"[{conv: 8, kernel: 2, stride: 2, padding: 0, bias: true}, tokens, layer_norm, {attention: 2}, "
     "layer_norm, "
     "first_token, {linear: 4}]",
     {3, 6, 6}},
    {"[{conv: 8, kernel: 2, stride: 2, padding: 0}, tokens, {residual: [layer_norm, {attention: 4}]}, "
     "{residual: "
     "[layer_norm, {linear: 16, each: true}, gelu, {linear: 8, each: true}]}, first_token, {linear: 4}]",
     {3, 4, 4}},
};

static void test_layers(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        made m;
        make(&m, cases[c].layers, cases[c].input);
        int checked = 0;
        for (int p = 0; p < m.network->parameter_count; p++) {
            const lo_parameter *parameter = &m.network->parameter[p];
            if (!parameter->statistic) {
                check_parameter(&m, cases[c].layers, parameter);
                checked++;
            }
        }
        assert_true(checked > 0);
        destroy(&m);
    }
}

/* ReLU switches where a difference crosses zero, so it is checked where it does not: far from zero. */
static void test_relu(void **state)
{
    (void)state;
    static const char layers[] = "[flatten, {linear: 12}, relu, {linear: 4}]";
    made m;
    make(&m, layers, (lo_shape){1, 4, 4});
    lo_network *network = m.network;
    const lo_parameter *weight = &network->parameter[0], *bias = &network->parameter[1];
    float *small = calloc(weight->out * weight->in, sizeof(float)), shift[12];
    assert_non_null(small);
    lo_network_get(network, weight, LO_VALUES, small);
    for (size_t i = 0; i < weight->out * weight->in; i++) {
        small[i] *= 0.1F;
    }
    for (int i = 0; i < 12; i++) {
        shift[i] = i % 2 == 0 ? 1.5F : -1.5F;
    }
    lo_network_set(network, weight, small);
    lo_network_set(network, bias, shift);
    for (int p = 0; p < network->parameter_count; p++) {
        check_parameter(&m, layers, &network->parameter[p]);
    }
    free(small);
    destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers), cmocka_unit_test(test_relu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
