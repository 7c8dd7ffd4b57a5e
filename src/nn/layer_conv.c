/* Convolution, and batch normalization, another value's addition and ReLU with it: between the statistics of
 * a batch, which everything must wait for, pieces of it go through while they are in the cache. */
#include "nn/batch_norm.h"
#include "nn/convolution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct conv {
    lo_layer base;
    lo_convolution conv;
    lo_batch_norm norm;
    bool has_bias, has_norm, relu, pool;
    size_t bias; /* where it starts */
    float *y;    /* with normalization: [capacity, height, width, out], the convolution, then its gradient */
    float *top;  /* with pooling: [capacity, pooled, out], what won in each window */
} conv;

static const lo_layer_type type;

enum { POOLED_IMAGES = 64 }; /* whose gradients are summed between two ticks, with pooling */

/* Places of the convolution's output. */
static size_t pixels_of(const conv *layer)
{
    return layer->conv.out_height * layer->conv.out_width;
}

/* Places of the layer's output. */
static size_t places_of(const conv *layer)
{
    return (size_t)layer->base.out.height * (size_t)layer->base.out.width;
}

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    conv *layer = (conv *)self;
    lo_convolution_reserve(&layer->conv, kernels, memory);
    if (layer->has_norm) {
        layer->y = lo_memory_floats(memory, capacity * pixels_of(layer) * layer->conv.out_columns);
        lo_batch_norm_reserve(&layer->norm, memory);
    }
    if (layer->pool) {
        layer->top = lo_memory_floats(memory, capacity * lo_layer_out_size(self));
    }
}

static size_t scratch(const lo_layer *self, const lo_kernels *kernels)
{
    return lo_convolution_scratch(&((const conv *)self)->conv, kernels);
}

/* The last of the layer's images that go through together with image `from`, plus one. */
static size_t piece_end(const conv *layer, const lo_pass *pass, size_t from)
{
    return pass->examples - from < layer->conv.images ? pass->examples : from + layer->conv.images;
}

static void add_bias(const conv *layer, const lo_pass *pass, float *y, size_t rows, bool relu)
{
    if (layer->has_bias) {
        const float *bias = layer->base.network->weights + layer->bias;
        pass->kernels->bias_relu(y, bias, rows, layer->conv.out_columns, relu);
    } else if (relu) {
        for (size_t i = 0; i < rows * layer->conv.out_columns; i++) {
            y[i] = y[i] > 0 ? y[i] : 0;
        }
    }
}

/* Normalizes images from .. to - 1 of y. */
static void normalize(const conv *layer, const lo_pass *pass, const float *other, size_t from, size_t to,
                      float *out)
{
    const lo_convolution *c = &layer->conv;
    const size_t columns = c->out_columns, at = from * pixels_of(layer) * columns;
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    for (size_t n = from; n < to && layer->pool; n++) {
        const size_t place = n * places_of(layer) * columns;
        pass->kernels->norm_pool(&norm, layer->y + n * pixels_of(layer) * columns, c->out_height,
                                 c->out_width, columns, out + place, layer->top + place);
    }
    if (layer->pool) {
        return;
    }
    pass->kernels->norm_apply(&norm, layer->y + at, other != NULL ? other + at : NULL,
                              (to - from) * pixels_of(layer), columns, layer->relu, out + at);
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *out)
{
    conv *layer = (conv *)self;
    const size_t pixels = pixels_of(layer), columns = layer->conv.out_columns;
    const float *other = self->inputs > 1 ? x[1] : NULL;
    float *y = layer->has_norm ? layer->y : out;
    lo_convolution_prepare(&layer->conv, pass, self->network);
    if (layer->has_norm && pass->training) {
        lo_batch_norm_clear(&layer->norm);
    } else if (layer->has_norm) {
        lo_batch_norm_recall(&layer->norm, self->network);
    }
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, pass, n)) {
        const size_t end = piece_end(layer, pass, n), rows = (end - n) * pixels;
        float *own = y + n * pixels * columns;
        lo_convolution_apply(&layer->conv, pass, self->network, x[0], n, end - n, y);
        add_bias(layer, pass, own, rows, layer->relu && !layer->has_norm);
        if (layer->has_norm && pass->training) {
            /* Shifted by some value of y, so that a mean far from zero costs no digits. */
            pass->kernels->moments(own, rows, columns, y, layer->norm.sum, layer->norm.square);
        } else if (layer->has_norm) {
            normalize(layer, pass, other, n, end, out);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    if (!layer->has_norm || !pass->training) {
        return LO_OK;
    }
    lo_batch_norm_finish(&layer->norm, self->network, (double)(pass->examples * pixels), y);
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, pass, n)) {
        normalize(layer, pass, other, n, piece_end(layer, pass, n), out);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* The two sums of batch normalization's gradient over images from .. to - 1, where dout is made dz on the
 * way. */
static lo_status sum_gradients(conv *layer, const lo_pass *pass, const float *out, float *dout, size_t from,
                               size_t to)
{
    const size_t places = places_of(layer), columns = layer->conv.out_columns;
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    double *sum = layer->norm.sum, *product = layer->norm.square;
    size_t images = 0;
    lo_batch_norm_clear(&layer->norm);
    for (size_t n = from; n < to; n += images) {
        images = layer->pool ? POOLED_IMAGES : layer->conv.images;
        images = to - n < images ? to - n : images;
        const size_t rows = images * places, at = n * places * columns;
        if (layer->pool) {
            pass->kernels->norm_pool_sums(&norm, dout + at, layer->top + at, rows, columns, sum, product);
        } else {
            if (layer->relu) {
                pass->kernels->relu_backward(dout + at, out + at, rows * columns);
            }
            pass->kernels->norm_sums(&norm, dout + at, layer->y + at, rows, columns, sum, product);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* Turns y of images from .. to - 1 into its gradient. */
static void norm_gradient(const conv *layer, const lo_pass *pass, const float *dout, size_t from, size_t to)
{
    const lo_convolution *c = &layer->conv;
    const size_t columns = c->out_columns, size = pixels_of(layer) * columns;
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    for (size_t n = from; n < to && layer->pool; n++) {
        pass->kernels->norm_pool_backward(&norm, dout + n * places_of(layer) * columns, layer->y + n * size,
                                          c->out_height, c->out_width, columns);
    }
    if (!layer->pool) {
        float *y = layer->y + from * size;
        pass->kernels->norm_backward(&norm, dout + from * size, y, (to - from) * pixels_of(layer), columns,
                                     y);
    }
}

/* The gradients of the parameters but the norm's of images from .. to - 1, added to those of the images
 * before unless they are the first. */
static void parameter_gradients(const conv *layer, const lo_pass *pass, const float *x, const float *dy,
                                size_t from, size_t to, bool first)
{
    const size_t pixels = pixels_of(layer), columns = layer->conv.out_columns;
    lo_convolution_gradient(&layer->conv, pass, layer->base.network, x, dy, from, to - from);
    if (layer->has_bias) {
        pass->kernels->column_sums(dy + from * pixels * columns, (to - from) * pixels, columns,
                                   layer->base.network->gradient + layer->bias, !first);
    }
}

/* Backward up to the gradient dy of the convolution, for images from .. to - 1 as a batch. */
static lo_status backward_to_convolution(conv *layer, const lo_pass *pass, const float *out, float *dout,
                                         size_t from, size_t to)
{
    const size_t pixels = pixels_of(layer), size = pixels * layer->conv.out_columns;
    if (layer->has_norm) {
        LO_TRY(sum_gradients(layer, pass, out, dout, from, to));
        lo_batch_norm_turn(&layer->norm, layer->base.network,
                           pass->training ? (double)((to - from) * pixels) : (double)INFINITY);
    } else if (layer->relu) {
        pass->kernels->relu_backward(dout + from * size, out + from * size, (to - from) * size);
    }
    return LO_OK;
}

/* Hands out the parameters' gradients of one example after the other. */
static lo_status each_gradient(conv *layer, const lo_pass *pass, const float *x, const float *out,
                               float *dout)
{
    const lo_network *network = layer->base.network;
    for (size_t n = 0; n < pass->examples; n++) {
        LO_TRY(backward_to_convolution(layer, pass, out, dout, n, n + 1));
        if (layer->has_norm) {
            norm_gradient(layer, pass, dout, n, n + 1);
        }
        lo_convolution_turn(&layer->conv, pass, network, false);
        parameter_gradients(layer, pass, x, layer->has_norm ? layer->y : dout, n, n + 1, true);
        lo_convolution_finish(&layer->conv, pass, network);
        LO_TRY(pass->each->take(pass->each->self, &layer->base, n, NULL));
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *out,
                          float *dout, float *const dx[])
{
    conv *layer = (conv *)self;
    const size_t pixels = pixels_of(layer), columns = layer->conv.out_columns;
    const bool each = pass->each != NULL && !self->frozen;
    LO_TRY(each ? each_gradient(layer, pass, x[0], out, dout)
                : backward_to_convolution(layer, pass, out, dout, 0, pass->examples));
    if (self->inputs > 1 && dx[1] != NULL) {
        memcpy(dx[1], dout, pass->examples * pixels * columns * sizeof(float));
    }
    if ((self->frozen || each) && dx[0] == NULL) {
        return LO_OK;
    }
    lo_convolution_turn(&layer->conv, pass, self->network, dx[0] != NULL);
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, pass, n)) {
        const size_t images = piece_end(layer, pass, n) - n;
        const float *dy = layer->has_norm ? layer->y : dout;
        if (layer->has_norm && !each) {
            norm_gradient(layer, pass, dout, n, n + images);
        }
        if (!self->frozen && !each) {
            parameter_gradients(layer, pass, x[0], dy, n, n + images, n == 0);
        }
        LO_TRY(lo_tick_call(pass->tick));
        if (dx[0] != NULL) {
            lo_convolution_back(&layer->conv, pass, self->network, dy, n, images, dx[0]);
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    if (!self->frozen && !each) {
        lo_convolution_finish(&layer->conv, pass, self->network);
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return lo_convolution_flops(&((const conv *)self)->conv, with_dx);
}

static const lo_layer_type type = {"conv", reserve, scratch, forward, backward, flops};

static bool add_parameters(conv *layer, lo_network *network, const lo_conv_options *options, const char *name)
{
    char norm_name[LO_NAME_SIZE];
    const size_t fan_out = layer->conv.out * layer->conv.kernel * layer->conv.kernel;
    const size_t fan_in = layer->conv.in * layer->conv.kernel * layer->conv.kernel;
    lo_parameter weight = lo_convolution_weight(&layer->conv);
    lo_parameter bias = lo_vector_parameter(layer->conv.out, 0);
    bias.bound = weight.bound;
    if (options->start == LO_START_FAN_OUT || options->start == LO_START_FAN_IN) {
        const size_t fan = options->start == LO_START_FAN_OUT ? fan_out : 2 * fan_in;
        weight.deviation = (float)sqrt(2.0 / (double)fan);
        weight.bound = bias.bound = 0;
    }
    lo_parameter_name(&weight, name, "weight");
    lo_parameter_name(&bias, name, "bias");
    if (!lo_network_add_parameter(network, &weight, &layer->conv.weight) ||
        (layer->has_bias && !lo_network_add_parameter(network, &bias, &layer->bias))) {
        return false;
    }
    if (options->norm_name != NULL) {
        (void)snprintf(norm_name, sizeof(norm_name), "%s", options->norm_name);
    } else {
        (void)snprintf(norm_name, sizeof(norm_name), "bn%d", lo_network_count(network, &type));
    }
    return !layer->has_norm || lo_batch_norm_add(&layer->norm, network, norm_name, layer->base.out.channels);
}

static lo_status pooled(lo_shape *out, const char *name, lo_error *err)
{
    if (out->height < 2 || out->width < 2) {
        return lo_fail(err, LO_USAGE, "layer %s: it makes images of %d x %d x %d; pooling takes 2x2 at least",
                       name, out->channels, out->height, out->width);
    }
    out->height /= 2;
    out->width /= 2;
    return LO_OK;
}

lo_status lo_layer_add_conv(lo_network *network, const lo_conv_options *options, lo_error *err)
{
    char name[LO_NAME_SIZE];
    lo_convolution plan;
    lo_shape out;
    (void)lo_network_name(network, &type, options->name, name);
    if (options->groups > 1 && lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    const lo_convolution_spec spec = {options->outputs, options->kernel, options->stride, options->padding,
                                      options->groups};
    LO_TRY(lo_convolution_plan(&plan, network, &spec, name, &out, err));
    if (options->pool) {
        LO_TRY(pooled(&out, name, err));
    } else if (options->add > 0) {
        LO_TRY(lo_check_addend(network, options->add, out, name, err));
    }
    conv *layer = lo_layer_create(sizeof(*layer), &type, network, out);
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->conv = plan;
    if (options->images > 0) {
        layer->conv.images = layer->conv.conv.group = options->images;
    }
    layer->has_bias = options->bias;
    layer->has_norm = options->norm;
    layer->relu = options->relu;
    layer->pool = options->pool;
    if (options->add > 0 && !options->pool) {
        layer->base.inputs = 2;
        layer->base.value[1] = options->add;
    }
    if (!add_parameters(layer, network, options, name)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    return lo_network_add(network, &layer->base, err);
}
