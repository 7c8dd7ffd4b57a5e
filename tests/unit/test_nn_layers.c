/* Layers where PyTorch is no oracle: dropout's masks, gradients where branches meet, sizes that do not fit.
 */
#include "base/random.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct made {
    lo_network *network;
    lo_arena *arena;
} made;

/* Memory and weights for a network that is built. */
static made finish(lo_network *network, size_t examples)
{
    made m = {.network = network};
    lo_memory memory = {0};
    lo_network_reserve(network, lo_kernels_at(LO_F32, 0), examples, &memory);
    m.arena = lo_arena_create(memory.bytes);
    assert_non_null(m.arena);
    memory = (lo_memory){.arena = m.arena};
    lo_network_reserve(network, lo_kernels_at(LO_F32, 0), examples, &memory);
    assert_int_equal(lo_network_initialize(network, 1, 1, NULL), LO_OK);
    return m;
}

static made make(const char *layers, lo_shape input, int32_t classes, size_t examples)
{
    const lo_model_spec spec = {.preset = "layers", .layers = layers};
    lo_network *network = NULL;
    lo_error err = {""};
    if (lo_network_build(&spec, input, classes, &network, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return finish(network, examples);
}

static void destroy(made *m)
{
    lo_network_destroy(&m->network);
    lo_arena_destroy(&m->arena);
}

static void fill_input(lo_network *network, size_t examples)
{
    const lo_random random = lo_random_make(2, LO_FOR_TEST);
    const size_t step = lo_network_input_size(network), size = lo_shape_size(network->input);
    for (size_t n = 0; n < examples; n++) {
        for (size_t i = 0; i < size; i++) {
            lo_network_input(network)[n * step + i] = 0.5F + lo_random_unit(random, n, i);
        }
    }
}

/* What the first layer made of an example. */
static const float *first_value(const lo_network *network, size_t n)
{
    return network->flow[1].activation + n * network->flow[1].size;
}

static void test_dropout(void **state)
{
    (void)state;
    enum { EXAMPLES = 3, SIZE = 40 * 40 };
    const uint32_t rows[EXAMPLES] = {70, 5, 9};
    made m = make("[flatten, {dropout: 0.3}, {linear: 2}]", (lo_shape){1, 40, 40}, 2, EXAMPLES);
    lo_network *network = m.network;
    const lo_flow *out = &network->flow[2];
    float *before = malloc(EXAMPLES * out->size * sizeof(float));
    assert_non_null(before);
    fill_input(network, EXAMPLES);
    network->draw = (lo_draw){.seed = 3, .model_seed = 4, .step = 5, .example = rows};
    assert_int_equal(lo_network_forward(network, EXAMPLES, true, NULL), LO_OK);
    memcpy(before, out->activation, EXAMPLES * out->size * sizeof(float));
    int zeros = 0;
    for (size_t n = 0; n < EXAMPLES; n++) {
        for (size_t i = 0; i < SIZE; i++) {
            const float x = first_value(network, n)[i], y = before[n * out->size + i];
            zeros += y == 0 ? 1 : 0;
            assert_true(y == 0 || fabsf(y - x / 0.7F) < 1e-6F * fabsf(x) + 1e-6F);
        }
    }
    /* Five standard errors of a share of 0.3. */
    assert_true(fabs(zeros / (double)(EXAMPLES * SIZE) - 0.3) < 5 * sqrt(0.3 * 0.7 / (EXAMPLES * SIZE)));
    /* The gradient takes the same way. */
    for (size_t i = 0; i < EXAMPLES * lo_network_logit_step(network); i++) {
        lo_network_logit_slope(network)[i] = i % lo_network_logit_step(network) < 2 ? 1 : 0;
    }
    assert_int_equal(lo_network_backward(network, EXAMPLES, NULL), LO_OK);
    float *gradient = malloc(2 * SIZE * sizeof(float));
    assert_non_null(gradient);
    lo_network_get(network, &network->parameter[0], LO_GRADIENTS, gradient);
    for (size_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (size_t n = 0; n < EXAMPLES; n++) {
            sum += (double)before[n * out->size + i];
        }
        assert_true(fabs(sum - (double)gradient[i]) < 1e-5 * (1 + sum));
    }
    /* An example's mask is the same in another place of another batch, another in another step or model. */
    const uint32_t alone[1] = {5};
    memmove(lo_network_input(network), lo_network_input(network) + lo_network_input_size(network),
            SIZE * sizeof(float));
    network->draw.example = alone;
    assert_int_equal(lo_network_forward(network, 1, true, NULL), LO_OK);
    assert_memory_equal(out->activation, before + out->size, SIZE * sizeof(float));
    network->draw.step = 6;
    assert_int_equal(lo_network_forward(network, 1, true, NULL), LO_OK);
    assert_memory_not_equal(out->activation, before + out->size, SIZE * sizeof(float));
    network->draw = (lo_draw){.seed = 3, .model_seed = 5, .step = 5, .example = alone};
    assert_int_equal(lo_network_forward(network, 1, true, NULL), LO_OK);
    assert_memory_not_equal(out->activation, before + out->size, SIZE * sizeof(float));
    /* Evaluation is the identity. */
    assert_int_equal(lo_network_forward(network, 1, false, NULL), LO_OK);
    assert_memory_equal(out->activation, first_value(network, 0), SIZE * sizeof(float));
    free(gradient);
    free(before);
    destroy(&m);
}

/* One value that four layers take, a sum of a value with itself, sums of sums: y = W (8 relu(V x)) by
 * branches has the gradients of the plain network whose last weights are 8 times as large, and eight times
 * its. */
static void test_branches(void **state)
{
    (void)state;
    enum { EXAMPLES = 4 };
    lo_error err;
    const lo_shape input = {3, 6, 5};
    lo_network *network = lo_network_create(input, true, 3);
    assert_int_equal(lo_layer_add_linear(network, 20, true, &err), LO_OK);
    const int start = lo_network_head(network);
    assert_int_equal(lo_layer_add_sum(network, start, false, &err), LO_OK); /* 2 */
    const int two = lo_network_head(network);
    assert_int_equal(lo_layer_add_sum(network, start, false, &err), LO_OK); /* 3 */
    assert_int_equal(lo_layer_add_sum(network, two, false, &err), LO_OK);   /* 5 */
    const int five = lo_network_head(network);
    lo_network_move(network, start);
    assert_int_equal(lo_layer_add_sum(network, two, false, &err), LO_OK); /* 3 */
    assert_int_equal(lo_layer_add_sum(network, five, true, &err), LO_OK); /* 8 */
    assert_int_equal(lo_layer_add_linear(network, 3, false, &err), LO_OK);
    made branches = finish(network, EXAMPLES);
    made plain = make("[flatten, {linear: 20}, relu, {linear: 3}]", input, 3, EXAMPLES);
    fill_input(branches.network, EXAMPLES);
    fill_input(plain.network, EXAMPLES);
    float weight[60], gradient[2][1800];
    const lo_parameter *last = &network->parameter[2];
    lo_network_get(network, last, LO_VALUES, weight);
    for (int i = 0; i < 60; i++) {
        weight[i] *= 8;
    }
    lo_network_set(plain.network, &plain.network->parameter[2], weight);
    made *both[2] = {&branches, &plain};
    for (int k = 0; k < 2; k++) {
        lo_network *net = both[k]->network;
        assert_int_equal(lo_network_forward(net, EXAMPLES, true, NULL), LO_OK);
        for (size_t i = 0; i < EXAMPLES * lo_network_logit_step(net); i++) {
            lo_network_logit_slope(net)[i] = i % lo_network_logit_step(net) < 3 ? (float)(1 + i % 5) : 0;
        }
        assert_int_equal(lo_network_backward(net, EXAMPLES, NULL), LO_OK);
        lo_network_get(net, &net->parameter[0], LO_GRADIENTS, gradient[k]);
    }
    for (int i = 0; i < 1800; i++) {
        assert_true(fabsf(gradient[0][i] - gradient[1][i]) <= 1e-4F * (1 + fabsf(gradient[1][i])));
    }
    for (int k = 0; k < 3; k++) {
        assert_true(fabsf(lo_network_logits(branches.network)[k] - lo_network_logits(plain.network)[k]) <
                    1e-4F);
    }
    destroy(&branches);
    destroy(&plain);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *layers, *says, *too;
    } list[] = {
        {"[{linear: 4}]", "layer linear1: 4 outputs of an input of 3 x 9 x 8", "it takes a vector"},
        {"[flatten, {linear: 5}]", "the last layer makes 5 x 1 x 1", "a vector of 4"},
        {"[{conv: 4, kernel: 12, padding: 1}]", "layer conv1: a kernel of 12 x 12 on an input of 3 x 9 x 8",
         "padding 1"},
        {"[{conv: 4}, {conv: 8, groups: 3}]", "layer conv2: 3 groups of 4 inputs and 8 outputs", "divide"},
        {"[{conv: 0}]", "layer conv1: 0 outputs", "1 to 65536"},
        {"[{conv: 4}, {max_pool: 10}]", "layer max_pool1: windows of 10 x 10", "4 x 9 x 8"},
        {"[{mean_pool: 3, padding: 2}]", "layer mean_pool1: windows of 3 x 3", "at most half"},
        {"[{residual: [{conv: 4}]}]", "layer sum1: 3 x 9 x 8 and 4 x 9 x 8 cannot be added", ""},
        {"[{conv: 4}, {attention: 3}]", "attention: 3 heads of 4 values", "divide"},
        {"[{conv: four}]", "conv: outputs: found 'four'", "whole number"},
        {"[{conv: 4, kernels: 3}]", "conv: unknown option kernels", "kernel stride"},
        {"[{convolution: 4}]", "unknown layer convolution", "allowed: conv linear"},
        {"[{lineer: 4}]", "unknown layer lineer (nearest: linear)", ""},
        {"[{dropout: 1}]", "dropout: found '1'", "below 1"},
        {"[]", "an empty list", ""},
        {"[{residual: 3}]", "found '3'", "a list of layers"},
        {"[{conv: 4, bias: 1}]", "conv: bias: found '1'", "true or false"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const lo_model_spec spec = {.preset = "layers", .layers = list[i].layers};
        lo_network *network = NULL;
        lo_error err = {""};
        assert_int_equal(lo_network_build(&spec, (lo_shape){3, 9, 8}, 4, &network, &err), LO_USAGE);
        assert_null(network);
        if (strstr(err.text, list[i].says) == NULL || strstr(err.text, list[i].too) == NULL) {
            fail_msg("%s: %s", list[i].layers, err.text);
        }
    }
    static const lo_model_spec specs[] = {{.preset = "vit", .patch = 5},
                                          {.preset = "vit", .width = 10, .heads = 4},
                                          {.preset = "vgg16_bn", .width = 2},
                                          {.preset = "resnet9", .width = 10000},
                                          {.preset = "resnet50", .width = -1}};
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        lo_network *network = NULL;
        lo_error err = {""};
        assert_int_equal(lo_network_build(&specs[i], (lo_shape){3, 16, 16}, 4, &network, &err), LO_USAGE);
        assert_null(network);
        assert_true(strlen(err.text) > 20);
    }
}

/* torchvision counts as many. */
static void test_parameter_counts(void **state)
{
    (void)state;
    static const struct {
        const char *preset;
        int64_t parameters;
    } list[] = {{"resnet9", 6573130}, {"resnet18", 11173962}, {"resnet50", 23528522}, {"vgg16_bn", 15253578}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const lo_model_spec spec = {.preset = list[i].preset};
        lo_network *network = NULL;
        lo_error err = {""};
        assert_int_equal(lo_network_build(&spec, (lo_shape){3, 32, 32}, 10, &network, &err), LO_OK);
        if (lo_network_parameters(network) != list[i].parameters) {
            fail_msg("%s has %lld parameters", list[i].preset, (long long)lo_network_parameters(network));
        }
        lo_network_destroy(&network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dropout), cmocka_unit_test(test_branches),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_parameter_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
