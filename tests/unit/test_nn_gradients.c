/* Gradients of whole networks, by every level of kernels, against central finite differences of a plain
 * network in double precision that shares no code with src. */
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

enum { MOST = 1 << 14, EXAMPLES = 8, SAMPLES = 60, MOST_PARAMETERS = 32 };

/* A parameter's values in PyTorch's order. */
typedef struct plain_parameter {
    size_t count;
    double *value;
} plain_parameter;

typedef struct plain_network {
    const lo_model_spec *model;
    lo_shape input;
    int classes, examples;
    double smoothing;
    plain_parameter parameter[MOST_PARAMETERS];
    const double *x; /* [examples, channels, height, width] */
    const int32_t *label;
} plain_network;

static double a_buffer[EXAMPLES * MOST], b_buffer[EXAMPLES * MOST];

static void plain_linear(const plain_network *net, int parameter, const double *x, size_t in, size_t out,
                         bool relu, double *y)
{
    const double *w = net->parameter[parameter].value, *b = net->parameter[parameter + 1].value;
    for (int n = 0; n < net->examples; n++) {
        for (size_t o = 0; o < out; o++) {
            double sum = b[o];
            for (size_t i = 0; i < in; i++) {
                sum += w[o * in + i] * x[(size_t)n * in + i];
            }
            y[(size_t)n * out + o] = relu && sum < 0 ? 0 : sum;
        }
    }
}

/* Convolution, batch statistics, ReLU, pooling; images are [channels, height, width]. y is used as work space
 * too. */
static void plain_conv_pool(const plain_network *net, int parameter, const double *x, int in, int out,
                            int height, int width, double *pooled)
{
    static double y[EXAMPLES * MOST];
    const double *w = net->parameter[parameter].value;
    const double *gamma = net->parameter[parameter + 1].value, *beta = net->parameter[parameter + 2].value;
    for (int o = 0; o < out; o++) {
        double mean = 0, square = 0;
        for (int n = 0; n < net->examples; n++) {
            for (int i = 0; i < height; i++) {
                for (int j = 0; j < width; j++) {
                    double sum = 0;
                    for (int c = 0; c < in; c++) {
                        for (int t = 0; t < 9; t++) {
                            const int r = i + t / 3 - 1, q = j + t % 3 - 1;
                            if (r >= 0 && r < height && q >= 0 && q < width) {
                                sum += w[(o * in + c) * 9 + t] * x[((n * in + c) * height + r) * width + q];
                            }
                        }
                    }
                    y[(n * height + i) * width + j] = sum;
                    mean += sum;
                    square += sum * sum;
                }
            }
        }
        const double count = net->examples * height * width;
        mean /= count;
        const double deviation = 1 / sqrt(square / count - mean * mean + 1e-5);
        for (int n = 0; n < net->examples; n++) {
            for (int i = 0; i < height / 2; i++) {
                for (int j = 0; j < width / 2; j++) {
                    double best = 0;
                    for (int q = 0; q < 4; q++) {
                        const double v = y[(n * height + 2 * i + q / 2) * width + 2 * j + q % 2];
                        best = fmax(best, (v - mean) * deviation * gamma[o] + beta[o]);
                    }
                    pooled[((n * out + o) * (height / 2) + i) * (width / 2) + j] = best;
                }
            }
        }
    }
}

static double plain_loss(const plain_network *net)
{
    const int classes = net->classes;
    const double *x = net->x;
    double *y = a_buffer;
    int at = 0;
    size_t size = lo_shape_size(net->input);
    if (strcmp(net->model->preset, "cnn") == 0) {
        int channels = net->input.channels, height = net->input.height, width = net->input.width;
        for (int block = 0; block < 3; block++, at += 5) {
            const int out = net->model->width << block;
            plain_conv_pool(net, at, x, channels, out, height, width, y);
            x = y;
            y = y == a_buffer ? b_buffer : a_buffer;
            channels = out;
            height /= 2;
            width /= 2;
        }
        for (int k = 0; k < net->examples * channels; k++) {
            y[k] = 0;
            for (int p = 0; p < height * width; p++) {
                y[k] += x[k * height * width + p] / (height * width);
            }
        }
        x = y;
        y = y == a_buffer ? b_buffer : a_buffer;
        size = (size_t)channels;
    }
    const int hidden = strcmp(net->model->preset, "mlp") == 0 ? net->model->hidden_count : 0;
    for (int h = 0; h < hidden; h++, at += 2) {
        plain_linear(net, at, x, size, (size_t)net->model->hidden[h], true, y);
        x = y;
        y = y == a_buffer ? b_buffer : a_buffer;
        size = (size_t)net->model->hidden[h];
    }
    plain_linear(net, at, x, size, (size_t)classes, false, y);
    double loss = 0;
    for (int n = 0; n < net->examples; n++) {
        double sum = 0;
        for (int k = 0; k < classes; k++) {
            sum += exp(y[n * classes + k] - y[n * classes + net->label[n]]);
        }
        for (int k = 0; k < classes; k++) { /* cross-entropy with the target's distribution */
            const double own = k == net->label[n] ? 1 - net->smoothing : 0;
            const double gap = y[n * classes + net->label[n]] - y[n * classes + k];
            loss += (own + net->smoothing / classes) * (log(sum) + gap) / net->examples;
        }
    }
    return loss;
}

/* Inputs as the network under test wants them. */
static void fill_input(lo_network *network, const double *x, int examples)
{

    const size_t size = lo_shape_size(network->input), step = lo_network_input_size(network);
    for (size_t n = 0; n < (size_t)examples; n++) {
        for (size_t i = 0; i < size; i++) {
            lo_network_input(network)[n * step + i] = (float)x[n * size + i];
        }
    }
}

static void check_gradients(const lo_kernels *kernels, const lo_model_spec *model, lo_shape input,
                            int classes, int examples, double smoothing)
{
    static double x[EXAMPLES * MOST];
    int32_t label[EXAMPLES];
    lo_network *network = NULL;
    lo_error err;
    const lo_random random = lo_random_make((uint64_t)classes, LO_FOR_TEST);
    assert_int_equal(lo_network_build(model, input, classes, &network, &err), LO_OK);
    lo_memory memory = {0};
    lo_network_reserve(network, kernels, (size_t)examples, &memory);
    lo_arena *arena = lo_arena_create(memory.bytes);
    assert_non_null(arena);
    memory.arena = arena;
    lo_network_reserve(network, kernels, (size_t)examples, &memory);
    assert_int_equal(lo_network_initialize(network, 1, 1, NULL), LO_OK);
    plain_network plain = {.model = model,
                           .input = input,
                           .classes = classes,
                           .examples = examples,
                           .smoothing = smoothing,
                           .x = x,
                           .label = label};
    for (size_t i = 0; i < (size_t)examples * lo_shape_size(input); i++) {
        x[i] = (double)(4 * lo_random_unit(random, 0, i) - 2);
    }
    for (int n = 0; n < examples; n++) {
        label[n] = (int32_t)lo_random_below(random, 1, (uint64_t)n, (uint64_t)classes);
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        plain_parameter *q = &plain.parameter[k];
        q->count = p->out * p->in * p->taps;
        q->value = calloc(q->count, sizeof(double));
        float *values = calloc(q->count, sizeof(float));
        assert_non_null(q->value);
        assert_non_null(values);
        lo_network_get(network, p, LO_VALUES, values);
        if (p->bound <= 0 && !p->statistic) { /* gamma and beta away from 1 and 0, and of both signs */
            for (size_t i = 0; i < q->count; i++) {
                values[i] += 1.5F * lo_random_unit(random, 10 + (uint64_t)k, i) - 1.2F;
            }
            lo_network_set(network, p, values);
        }
        for (size_t i = 0; i < q->count; i++) {
            q->value[i] = (double)values[i];
        }
        free(values);
    }
    fill_input(network, x, examples);
    int64_t correct = 0;
    assert_int_equal(lo_network_forward(network, (size_t)examples, true, NULL), LO_OK);
    const double loss =
        lo_softmax_loss(lo_network_logits(network), lo_network_logit_step(network), label, (size_t)examples,
                        classes, smoothing, lo_network_logit_slope(network), &correct) /
        examples;
    assert_int_equal(lo_network_backward(network, (size_t)examples, NULL), LO_OK);
    const double plain_value = plain_loss(&plain);
    if (!(fabs(loss - plain_value) < 1e-5 * (1 + plain_value))) {
        fail_msg("%s: loss %.9g, plainly %.9g", model->preset, loss, plain_value);
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        plain_parameter *q = &plain.parameter[k];
        if (p->statistic) {
            continue;
        }
        float *gradient = calloc(q->count, sizeof(float));
        assert_non_null(gradient);
        lo_network_get(network, p, LO_GRADIENTS, gradient);
        double difference = 0, size = 0;
        const size_t stride = q->count / SAMPLES + 1;
        for (size_t i = 0; i < q->count; i += stride) {
            const double step = 1e-6, before = q->value[i];
            q->value[i] = before + step;
            const double above = plain_loss(&plain);
            q->value[i] = before - step;
            const double below = plain_loss(&plain);
            q->value[i] = before;
            const double slope = (above - below) / (2 * step);
            difference += pow((double)gradient[i] - slope, 2);
            size += slope * slope;
        }
        if (!(sqrt(difference) <= 2e-5 * sqrt(size) + 1e-8)) {
            fail_msg(
                "%s, %s kernels, %s, %d x %d x %d, %d classes, %d examples: gradient differs by %g of %g",
                model->preset, kernels->name, p->name, input.channels, input.height, input.width, classes,
                examples, sqrt(difference), sqrt(size));
        }
        free(gradient);
    }
    for (int k = 0; k < network->parameter_count; k++) {
        free(plain.parameter[k].value);
    }
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
}

static void on_all_levels(const lo_model_spec *model, lo_shape input, int classes, int examples)
{
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        check_gradients(lo_kernels_at(LO_F32, level), model, input, classes, examples, 0);
    }
}

static void test_label_smoothing(void **state)
{
    (void)state;
    const lo_model_spec mlp = {.preset = "mlp", .hidden = {19}, .hidden_count = 1};
    const lo_model_spec cnn = {.preset = "cnn", .width = 3};
    for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
        check_gradients(lo_kernels_at(LO_F32, level), &mlp, (lo_shape){1, 6, 7}, 2, 7, 0.1);
        check_gradients(lo_kernels_at(LO_F32, level), &mlp, (lo_shape){1, 6, 7}, 11, 5, 0.9);
        check_gradients(lo_kernels_at(LO_F32, level), &cnn, (lo_shape){2, 9, 8}, 5, 3, 0.3);
    }
}

static void test_linear(void **state)
{
    (void)state;
    const lo_model_spec model = {.preset = "linear"};
    for (int classes = 2; classes <= 11; classes++) {
        on_all_levels(&model, (lo_shape){1 + classes % 3, 5, 7}, classes, 1 + classes % 7);
    }
}

static void test_mlp(void **state)
{
    (void)state;
    const lo_model_spec one = {.preset = "mlp", .hidden = {19}, .hidden_count = 1};
    const lo_model_spec three = {.preset = "mlp", .hidden = {33, 7, 16}, .hidden_count = 3};
    for (int classes = 2; classes <= 11; classes++) {
        on_all_levels(&one, (lo_shape){1, 9, 9}, classes, 1 + classes % 8);
        on_all_levels(&three, (lo_shape){3, 4, 3}, classes, 8 - classes % 8);
    }
}

static void test_cnn(void **state)
{
    (void)state;
    const lo_model_spec narrow = {.preset = "cnn", .width = 3}, wide = {.preset = "cnn", .width = 9};
    on_all_levels(&narrow, (lo_shape){1, 8, 8}, 2, 1);
    on_all_levels(&narrow, (lo_shape){2, 9, 11}, 5, 3);
    on_all_levels(&narrow, (lo_shape){3, 15, 8}, 11, 2);
    on_all_levels(&wide, (lo_shape){1, 10, 13}, 7, 4);
}

/* Logits and the weights' gradient of examples from .. from + count - 1, slopes given. */
static void pass_over(lo_network *network, size_t from, size_t count, float *gradient)
{
    const lo_random random = lo_random_make(5, LO_FOR_TEST);
    const size_t inputs = lo_network_input_size(network), outputs = lo_network_logit_step(network);
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < inputs; i++) {
            lo_network_input(network)[n * inputs + i] = lo_random_unit(random, from + n, i / 64) - 0.5F;
        }
        for (size_t o = 0; o < outputs; o++) {
            lo_network_logit_slope(network)[n * outputs + o] =
                lo_random_unit(random, from + n, 100000 + o) - 0.5F;
        }
    }
    assert_int_equal(lo_network_forward(network, count, true, NULL), LO_OK);
    assert_int_equal(lo_network_backward(network, count, NULL), LO_OK);
    lo_network_get(network, &network->parameter[0], LO_GRADIENTS, gradient);
}

/* A layer so large that its batch is cut into pieces between ticks: the gradient of 20 examples is that of
 * the first 11 plus that of the last 9, and the logits are the same bits. */
static void test_large_linear(void **state)
{
    (void)state;
    enum { INPUTS = 12288, OUTPUTS = 1100, WEIGHTS = INPUTS * OUTPUTS, EXAMPLES_HERE = 20, FIRST = 11 };
    const lo_model_spec model = {.preset = "linear"};
    lo_network *network = NULL;
    lo_error err;
    assert_int_equal(lo_network_build(&model, (lo_shape){3, 64, 64}, OUTPUTS, &network, &err), LO_OK);
    lo_memory memory = {0};
    lo_network_reserve(network, lo_kernels_at(LO_F32, 0), EXAMPLES_HERE, &memory);
    lo_arena *arena = lo_arena_create(memory.bytes);
    assert_non_null(arena);
    memory.arena = arena;
    lo_network_reserve(network, lo_kernels_at(LO_F32, 0), EXAMPLES_HERE, &memory);
    assert_int_equal(lo_network_initialize(network, 1, 1, NULL), LO_OK);
    float *whole = malloc(3 * sizeof(float) * WEIGHTS), *first = whole + WEIGHTS, *last = first + WEIGHTS;
    assert_non_null(whole);
    const size_t step = lo_network_logit_step(network);
    float logits[OUTPUTS];
    pass_over(network, 0, EXAMPLES_HERE, whole);
    memcpy(logits, lo_network_logits(network) + (EXAMPLES_HERE - 1) * step, sizeof(logits));
    pass_over(network, 0, FIRST, first);
    pass_over(network, FIRST, EXAMPLES_HERE - FIRST, last);
    assert_memory_equal(logits, lo_network_logits(network) + (EXAMPLES_HERE - FIRST - 1) * step,
                        sizeof(logits));
    double difference = 0, size = 0;
    for (size_t i = 0; i < WEIGHTS; i++) {
        difference += pow((double)whole[i] - (double)first[i] - (double)last[i], 2);
        size += pow((double)whole[i], 2);
    }
    assert_true(difference < 1e-12 * size);
    free(whole);
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),          cmocka_unit_test(test_mlp),
        cmocka_unit_test(test_label_smoothing), cmocka_unit_test(test_cnn),
        cmocka_unit_test(test_large_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
