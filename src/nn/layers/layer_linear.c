#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct linear {
    lo_layer base;
    bool relu;
    size_t places;          /* rows of an example: 1, or each place of an image or a sequence */
    size_t inputs, columns; /* columns: outputs, padded */
    size_t weight, bias;    /* where they start: weight [padded inputs, columns], bias [columns] */
} linear;

static const lo_layer_type type;

/* Rows between two ticks: of vectors, products of some 0.2 GFLOP, 20 ms even without vector units; of places,
 * of which there are many, as many as the products take at once. */
static size_t rows_a_piece(const linear *layer)
{
    const size_t least = 16, many = 256;
    const size_t rows = layer->places > 1 ? many : (size_t)1e8 / (layer->inputs * layer->columns);
    return rows > least ? rows : least;
}

/* y (+)= x W of rows; W among `weights`. */
static void apply(const linear *layer, const lo_kernels *kernels, const float *weights, const float *x,
                  size_t rows, bool accumulate, float *y)
{
    const lo_gemm product = {.m = rows,
                             .n = layer->columns,
                             .k = layer->inputs,
                             .a = x,
                             .a_row = lo_padded(layer->inputs),
                             .a_column = 1,
                             .b = weights + layer->weight,
                             .b_row = layer->columns,
                             .b_column = 1,
                             .c = y,
                             .c_row = layer->columns,
                             .accumulate = accumulate};
    kernels->gemm(&product);
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const input[], float *y)
{
    const linear *layer = (const linear *)self;
    const float *weights = self->network->weights;
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = rows_a_piece(layer);
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        const size_t end = slice.to * layer->places;
        for (size_t n = slice.from * layer->places; n < end; n += piece) {
            const size_t rows = end - n < piece ? end - n : piece;
            apply(layer, pass->kernels, weights, input[0] + n * step, rows, false, y + n * columns);
            pass->kernels->bias_relu(y + n * columns, weights + layer->bias, rows, columns, layer->relu);
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

/* dW (+)= x' dy. */
static void weight_gradient(const linear *layer, const lo_kernels *kernels, const float *x, const float *dy,
                            size_t rows, bool accumulate)
{
    const lo_gemm product = {.m = layer->inputs,
                             .n = layer->columns,
                             .k = rows,
                             .a = x,
                             .a_row = 1,
                             .a_column = lo_padded(layer->inputs),
                             .b = dy,
                             .b_row = layer->columns,
                             .b_column = 1,
                             .c = layer->base.network->gradient + layer->weight,
                             .c_row = layer->columns,
                             .accumulate = accumulate};
    kernels->gemm(&product);
}

/* That and db (+)= the sums of dy. */
static void parameter_gradients(const linear *layer, const lo_kernels *kernels, const float *x,
                                const float *dy, size_t rows, bool accumulate)
{
    weight_gradient(layer, kernels, x, dy, rows, accumulate);
    kernels->column_sums(dy, rows, layer->columns, layer->base.network->gradient + layer->bias, accumulate);
}

/* The same for one example after the other. The weight's gradient of a vector is the outer product of x and
 * dy, whose squared norm is that of x times that of dy (Goodfellow, 2015, arXiv 1510.01799). */
static lo_status each_gradient(const linear *layer, const lo_pass *pass, const float *x, const float *dy)
{
    const lo_kernels *kernels = pass->kernels;
    const lo_each *each = pass->each;
    const size_t step = lo_padded(layer->inputs) * layer->places, columns = layer->columns * layer->places;
    const bool factored = each->take_factors != NULL && layer->places == 1;
    if (factored) {
        LO_TRY(each->take_factors(each->self, &(lo_factors){.x = x,
                                                            .dy = dy,
                                                            .inputs = layer->inputs,
                                                            .x_step = step,
                                                            .columns = columns,
                                                            .offset = layer->weight}));
    }
    for (size_t n = 0; n < pass->examples; n++, x += step, dy += columns) {
        double square = 0;
        const bool spared = (each->squares || factored) && layer->places == 1;
        if (spared) {
            square = factored ? 0 : kernels->square_sum(x, step) * kernels->square_sum(dy, columns);
            kernels->column_sums(dy, 1, columns, layer->base.network->gradient + layer->bias, false);
        } else {
            parameter_gradients(layer, kernels, x, dy, layer->places, false);
        }
        LO_TRY(each->take(each->self, &layer->base, n, spared ? &square : NULL));
    }
    return LO_OK;
}

/* dx (+)= dy W'; W among `weights`. */
static void input_gradient(const linear *layer, const lo_kernels *kernels, const float *weights,
                           const float *dy, size_t rows, bool accumulate, float *dx)
{
    const size_t step = lo_padded(layer->inputs);
    const lo_gemm product = {.m = rows,
                             .n = step,
                             .k = layer->columns,
                             .a = dy,
                             .a_row = layer->columns,
                             .a_column = 1,
                             .b = weights + layer->weight,
                             .b_row = 1,
                             .b_column = layer->columns,
                             .c = dx,
                             .c_row = step,
                             .accumulate = accumulate};
    kernels->gemm(&product);
}

/* Backward over rows from .. to - 1, which are all or a slice. */
static lo_status backward_rows(const linear *layer, const lo_pass *pass, const float *x, const float *y,
                               float *dy, float *dx, size_t from, size_t to)
{
    const lo_network *network = layer->base.network;
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = rows_a_piece(layer);
    for (size_t n = from; n < to; n += piece) {
        const size_t rows = to - n < piece ? to - n : piece;
        if (layer->relu) {
            pass->kernels->relu_backward(dy + n * columns, y + n * columns, rows * columns);
        }
        if (!layer->base.frozen && pass->each == NULL) {
            parameter_gradients(layer, pass->kernels, x + n * step, dy + n * columns, rows, n > from);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (dx != NULL) {
            input_gradient(layer, pass->kernels, network->weights, dy + n * columns, rows, false,
                           dx + n * step);
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    const linear *layer = (const linear *)self;
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        LO_TRY(backward_rows(layer, pass, x[0], y, dy, dx[0], slice.from * layer->places,
                             slice.to * layer->places));
        if (!self->frozen) {
            lo_pass_add(pass, self->network, s, layer->weight);
            lo_pass_add(pass, self->network, s, layer->bias);
        }
    }
    return self->frozen || pass->each == NULL ? LO_OK : each_gradient(layer, pass, x[0], dy);
}

static double flops(const lo_layer *self, bool with_dx)
{
    const double places = (double)((const linear *)self)->places;
    return (with_dx ? 6.0 : 4.0) * places * self->in.channels * self->out.channels;
}

/* x_dot W + x W_dot + b_dot. */
static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    const linear *layer = (const linear *)self;
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = rows_a_piece(layer);
    const size_t count = pass->examples * layer->places;
    for (size_t n = 0; n < count; n += piece) {
        const size_t rows = count - n < piece ? count - n : piece;
        float *own = y_dot + n * columns;
        if (!self->frozen) {
            apply(layer, pass->kernels, along->weights, x[0] + n * step, rows, false, own);
            pass->kernels->bias_relu(own, along->weights + layer->bias, rows, columns, false);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (x_dot[0] != NULL) {
            apply(layer, pass->kernels, self->network->weights, x_dot[0] + n * step, rows, !self->frozen,
                  own);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (layer->relu) {
            pass->kernels->relu_backward(own, y + n * columns, rows * columns);
        }
    }
    return LO_OK;
}

/* dW_dot = x' dy_dot + x_dot' dy, db_dot = the sums of dy_dot, dx_dot = dy_dot W' + dy W_dot'. */
static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *v)
{
    const linear *layer = (const linear *)self;
    const lo_kernels *kernels = pass->kernels;
    const size_t step = lo_padded(layer->inputs), columns = layer->columns, piece = rows_a_piece(layer);
    const size_t count = pass->examples * layer->places;
    for (size_t n = 0; n < count; n += piece) {
        const size_t rows = count - n < piece ? count - n : piece;
        float *dy = v->dy + n * columns, *dy_dot = v->dy_dot + n * columns;
        if (layer->relu) {
            kernels->relu_backward(dy, v->y + n * columns, rows * columns);
            kernels->relu_backward(dy_dot, v->y + n * columns, rows * columns);
        }
        if (!self->frozen) {
            parameter_gradients(layer, kernels, v->x[0] + n * step, dy_dot, rows, n > 0);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (!self->frozen && v->x_dot[0] != NULL) {
            weight_gradient(layer, kernels, v->x_dot[0] + n * step, dy, rows, true);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (v->dx_dot[0] != NULL) {
            input_gradient(layer, kernels, self->network->weights, dy_dot, rows, false,
                           v->dx_dot[0] + n * step);
            LO_TRY(lo_tick_call(pass->tick));
        }
        if (v->dx_dot[0] != NULL && !self->frozen) {
            input_gradient(layer, kernels, along->weights, dy, rows, true, v->dx_dot[0] + n * step);
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, NULL};

static const lo_layer_type type = {"linear", NULL, NULL, forward, backward, flops, &tangents};

static void start(lo_start how, lo_parameter *weight, lo_parameter *bias)
{
    const float fan_in = (float)weight->in, fan_out = (float)weight->out;
    const bool small = how == LO_START_SMALL || how == LO_START_FAN_OUT;
    weight->bound = bias->bound = 0;
    if (how == LO_START_DEFAULT || how == LO_START_DEFAULT_NO_BIAS) {
        weight->bound = 1.0F / sqrtf(fan_in);
    } else if (how == LO_START_GLOROT || how == LO_START_GLOROT_NO_BIAS) {
        weight->bound = sqrtf(6.0F / (fan_in + fan_out));
    } else if (small) {
        weight->deviation = 0.01F;
    }
    bias->bound = how == LO_START_DEFAULT ? weight->bound : 0;
    bias->deviation = how == LO_START_GLOROT ? 1e-6F : 0;
}

lo_status lo_layer_add_linear(lo_network *network, int32_t outputs, bool relu, lo_error *err)
{
    return lo_layer_add_linear_as(network, &(lo_linear_options){.outputs = outputs, .relu = relu}, err);
}

lo_status lo_layer_add_linear_as(lo_network *network, const lo_linear_options *options, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    const int32_t outputs = options->outputs;
    char name[LO_NAME_SIZE];
    (void)lo_network_name(network, &type, options->name, name);
    if (outputs < 1 || in.channels < 1 || (!options->each && (in.height != 1 || in.width != 1))) {
        return lo_fail(err, LO_USAGE, "layer %s: %d outputs of an input of %d x %d x %d; it takes a vector",
                       name, outputs, in.channels, in.height, in.width);
    }
    if (options->each && lo_network_head(network) == 0 && !network->flat) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    linear *layer = lo_layer_create(sizeof(*layer), &type, network, (lo_shape){outputs, in.height, in.width});
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->relu = options->relu;
    layer->places = (size_t)in.height * (size_t)in.width;
    layer->inputs = (size_t)in.channels;
    layer->columns = lo_padded((size_t)outputs);
    lo_parameter weight = {.out = (size_t)outputs,
                           .in = layer->inputs,
                           .taps = 1,
                           .out_step = 1,
                           .in_step = layer->columns,
                           .size = lo_padded(layer->inputs) * layer->columns};
    lo_parameter bias = lo_vector_parameter((size_t)outputs, 0);
    start(options->start, &weight, &bias);
    const char *separator = options->separator != NULL ? options->separator : ".";
    (void)snprintf(weight.name, sizeof(weight.name), "%s%sweight", name, separator);
    (void)snprintf(bias.name, sizeof(bias.name), "%s%sbias", name, separator);
    if (!lo_network_add_parameter(network, &weight, &layer->weight) ||
        !lo_network_add_parameter(network, &bias, &layer->bias)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    return lo_network_add(network, &layer->base, err);
}
