#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct linear {
    lo_layer base;
    bool relu;
    size_t inputs, columns; /* columns: outputs, padded */
    size_t weight, bias;    /* where they start: weight [padded inputs, columns], bias [columns] */
} linear;

static const lo_layer_type type;

/* Examples between two ticks: products of some 0.2 GFLOP, 20 ms even without vector units. */
static size_t examples_a_piece(const linear *layer)
{
    const size_t examples = (size_t)1e8 / (layer->inputs * layer->columns);
    return examples > 16 ? examples : 16;
}

static void reserve(lo_layer *layer, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    (void)layer;
    (void)kernels;
    (void)capacity;
    (void)memory;
}

static size_t scratch(const lo_layer *layer, const lo_kernels *kernels)
{
    (void)layer;
    (void)kernels;
    return 0;
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const input[], float *y)
{
    const linear *layer = (const linear *)self;
    const float *weights = self->network->weights, *x = input[0];
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = examples_a_piece(layer);
    for (size_t n = 0; n < pass->examples; n += piece, x += piece * step, y += piece * columns) {
        const size_t rows = pass->examples - n < piece ? pass->examples - n : piece;
        const lo_gemm product = {.m = rows,
                                 .n = columns,
                                 .k = layer->inputs,
                                 .a = x,
                                 .a_row = step,
                                 .a_column = 1,
                                 .b = weights + layer->weight,
                                 .b_row = columns,
                                 .b_column = 1,
                                 .c = y,
                                 .c_row = columns};
        pass->kernels->gemm(&product);
        pass->kernels->bias_relu(y, weights + layer->bias, rows, columns, layer->relu);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* dW (+)= x' dy and db (+)= the sums of dy. */
static void parameter_gradients(const linear *layer, const lo_kernels *kernels, const float *x,
                                const float *dy, size_t rows, bool accumulate)
{
    float *gradient = layer->base.network->gradient;
    const lo_gemm product = {.m = layer->inputs,
                             .n = layer->columns,
                             .k = rows,
                             .a = x,
                             .a_row = 1,
                             .a_column = lo_padded(layer->inputs),
                             .b = dy,
                             .b_row = layer->columns,
                             .b_column = 1,
                             .c = gradient + layer->weight,
                             .c_row = layer->columns,
                             .accumulate = accumulate};
    kernels->gemm(&product);
    kernels->column_sums(dy, rows, layer->columns, gradient + layer->bias, accumulate);
}

/* dx = dy W'. */
static void input_gradient(const linear *layer, const lo_kernels *kernels, const float *dy, float *dx,
                           size_t rows)
{
    const size_t step = lo_padded(layer->inputs);
    const lo_gemm product = {.m = rows,
                             .n = step,
                             .k = layer->columns,
                             .a = dy,
                             .a_row = layer->columns,
                             .a_column = 1,
                             .b = layer->base.network->weights + layer->weight,
                             .b_row = 1,
                             .b_column = layer->columns,
                             .c = dx,
                             .c_row = step};
    kernels->gemm(&product);
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    const linear *layer = (const linear *)self;
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = examples_a_piece(layer);
    for (size_t n = 0; n < pass->examples; n += piece) {
        const size_t rows = pass->examples - n < piece ? pass->examples - n : piece;
        if (layer->relu) {
            pass->kernels->relu_backward(dy + n * columns, y + n * columns, rows * columns);
        }
        if (!self->frozen) {
            parameter_gradients(layer, pass->kernels, x[0] + n * step, dy + n * columns, rows, n > 0);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (dx[0] != NULL) {
            input_gradient(layer, pass->kernels, dy + n * columns, dx[0] + n * step, rows);
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 6.0 : 4.0) * self->in.channels * self->out.channels;
}

static const lo_layer_type type = {"linear", reserve, scratch, forward, backward, flops};

lo_status lo_layer_add_linear(lo_network *network, int32_t outputs, bool relu, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    const int number = lo_network_count(network, &type);
    if (outputs < 1 || in.channels < 1 || in.height != 1 || in.width != 1) {
        return lo_fail(err, LO_USAGE,
                       "layer linear%d: %d outputs of an input of %d x %d x %d; it takes a vector", number,
                       outputs, in.channels, in.height, in.width);
    }
    linear *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer linear%d", number);
    }
    layer->base = (lo_layer){.type = &type, .in = in, .out = {outputs, 1, 1}, .inputs = 1};
    layer->relu = relu;
    layer->inputs = (size_t)in.channels;
    layer->columns = lo_padded((size_t)outputs);
    const float bound = 1.0F / sqrtf((float)in.channels);
    lo_parameter weight = {.out = (size_t)outputs,
                           .in = layer->inputs,
                           .taps = 1,
                           .out_step = 1,
                           .in_step = layer->columns,
                           .size = lo_padded(layer->inputs) * layer->columns,
                           .bound = bound};
    lo_parameter bias = {
        .out = (size_t)outputs, .in = 1, .taps = 1, .out_step = 1, .size = layer->columns, .bound = bound};
    (void)snprintf(weight.name, sizeof(weight.name), "linear%d.weight", number);
    (void)snprintf(bias.name, sizeof(bias.name), "linear%d.bias", number);
    if (!lo_network_add_parameter(network, &weight, &layer->weight) ||
        !lo_network_add_parameter(network, &bias, &layer->bias)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer linear%d", number);
    }
    return lo_network_add(network, &layer->base, err);
}
