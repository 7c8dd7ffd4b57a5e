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

    /* For derivatives along a direction. */
    lo_convolution along; /* with the direction's filter */
    float *slope;         /* [capacity, height, width, out]: the gradient of y, which is kept */
    float *y_dot;         /* with normalization: [capacity, out size], the tangent of y, or of top */
    float *piece[2];      /* of images: [images, height, width, out] */
    float *spare;         /* of images: [images, out size], or [images, in size] */
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
        lo_batch_norm_reserve(&layer->norm, self->network, memory);
    }
    if (layer->pool) {
        layer->top = lo_memory_floats(memory, capacity * lo_layer_out_size(self));
    }
}

static size_t scratch(const lo_layer *self, const lo_kernels *kernels)
{
    return lo_convolution_scratch(&((const conv *)self)->conv, kernels);
}

/* The last of the layer's images that go through together with image `from`, plus one; `to` is the end of
 * all, or of a slice. */
static size_t piece_end(const conv *layer, size_t from, size_t to)
{
    return to - from < layer->conv.images ? to : from + layer->conv.images;
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

/* The convolution of images from .. to - 1, all or a slice, and what needs no statistics of the batch: these
 * are gathered. */
static lo_status convolve(conv *layer, const lo_pass *pass, const float *const x[], float *y, float *out,
                          size_t from, size_t to)
{
    const size_t pixels = pixels_of(layer), columns = layer->conv.out_columns;
    const float *other = layer->base.inputs > 1 ? x[1] : NULL;
    for (size_t n = from; n < to; n = piece_end(layer, n, to)) {
        const size_t end = piece_end(layer, n, to), rows = (end - n) * pixels;
        float *own = y + n * pixels * columns;
        lo_convolution_apply(&layer->conv, pass, layer->base.network, x[0], n, end - n, y);
        add_bias(layer, pass, own, rows, layer->relu && !layer->has_norm);
        if (layer->has_norm && pass->training) {
            /* Shifted by some value of y, so that a mean far from zero costs no digits. */
            pass->kernels->moments(own, rows, columns, y + from * pixels * columns, layer->norm.sum,
                                   layer->norm.square);
        } else if (layer->has_norm) {
            normalize(layer, pass, other, n, end, out);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *out)
{
    conv *layer = (conv *)self;
    const size_t pixels = pixels_of(layer), columns = layer->conv.out_columns;
    const float *other = self->inputs > 1 ? x[1] : NULL;
    const bool gathers = layer->has_norm && pass->training;
    float *y = layer->has_norm ? layer->y : out;
    lo_convolution_prepare(&layer->conv, pass, self->network);
    if (layer->has_norm && !pass->training) {
        lo_batch_norm_recall(&layer->norm, self->network);
    }
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        const size_t rows = (slice.to - slice.from) * pixels;
        if (gathers) {
            lo_batch_norm_clear(&layer->norm);
        }
        LO_TRY(convolve(layer, pass, x, y, out, slice.from, slice.to));
        if (gathers) {
            lo_batch_norm_unshift(&layer->norm, pass, (double)rows, y + slice.from * pixels * columns);
            lo_batch_norm_add_slice(&layer->norm, pass, s);
        }
    }
    if (!gathers) {
        return LO_OK;
    }
    lo_batch_norm_finish(&layer->norm, self->network,
                         (double)(lo_batch_norm_examples(pass, pass->examples) * pixels),
                         pass->slices != NULL ? NULL : y);
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, n, pass->examples)) {
        normalize(layer, pass, other, n, piece_end(layer, n, pass->examples), out);
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

/* Where the gradient of y goes: in its place, unless that is still needed. */
static float *slope_of(const conv *layer)
{
    return layer->slope != NULL ? layer->slope : layer->y;
}

/* The gradient of y of images from .. to - 1. */
static void norm_gradient(const conv *layer, const lo_pass *pass, const float *dout, size_t from, size_t to)
{
    const lo_convolution *c = &layer->conv;
    const size_t columns = c->out_columns, size = pixels_of(layer) * columns;
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    float *slope = slope_of(layer);
    if (!layer->pool) {
        pass->kernels->norm_backward(&norm, dout + from * size, layer->y + from * size,
                                     (to - from) * pixels_of(layer), columns, slope + from * size);
        return;
    }
    if (slope != layer->y) {
        memcpy(slope + from * size, layer->y + from * size, (to - from) * size * sizeof(float));
    }
    for (size_t n = from; n < to; n++) {
        pass->kernels->norm_pool_backward(&norm, dout + n * places_of(layer) * columns, slope + n * size,
                                          c->out_height, c->out_width, columns);
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

/* Backward up to the gradient dy of the convolution, for images from .. to - 1 as a batch, in evaluation mode
 * if it has batch normalization. */
static lo_status fixed_backward(conv *layer, const lo_pass *pass, const float *out, float *dout, size_t from,
                                size_t to)
{
    const size_t size = pixels_of(layer) * layer->conv.out_columns;
    if (layer->has_norm) {
        LO_TRY(sum_gradients(layer, pass, out, dout, from, to));
        lo_batch_norm_turn(&layer->norm, layer->base.network, (double)INFINITY);
    } else if (layer->relu) {
        pass->kernels->relu_backward(dout + from * size, out + from * size, (to - from) * size);
    }
    return LO_OK;
}

/* The same for the batch. */
static lo_status backward_to_convolution(conv *layer, const lo_pass *pass, const float *out, float *dout)
{
    if (!layer->has_norm || !pass->training) {
        return fixed_backward(layer, pass, out, dout, 0, pass->examples);
    }
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        LO_TRY(sum_gradients(layer, pass, out, dout, slice.from, slice.to));
        lo_batch_norm_add_slice(&layer->norm, pass, s);
    }
    const size_t count = lo_batch_norm_examples(pass, pass->examples) * pixels_of(layer);
    lo_batch_norm_turn(&layer->norm, layer->base.network, (double)count);
    return LO_OK;
}

/* Hands out the parameters' gradients of one example after the other. */
static lo_status each_gradient(conv *layer, const lo_pass *pass, const float *x, const float *out,
                               float *dout)
{
    const lo_network *network = layer->base.network;
    for (size_t n = 0; n < pass->examples; n++) {
        LO_TRY(fixed_backward(layer, pass, out, dout, n, n + 1));
        if (layer->has_norm) {
            norm_gradient(layer, pass, dout, n, n + 1);
        }
        lo_convolution_turn(&layer->conv, pass, network, false);
        parameter_gradients(layer, pass, x, layer->has_norm ? slope_of(layer) : dout, n, n + 1, true);
        lo_convolution_finish(&layer->conv, pass, network);
        LO_TRY(pass->each->take(pass->each->self, &layer->base, n, NULL));
    }
    return LO_OK;
}

/* From there on for images from .. to - 1, all or a slice. */
static lo_status convolution_backward(const conv *layer, const lo_pass *pass, const float *x, float *dout,
                                      float *dx, size_t from, size_t to)
{
    const bool each = pass->each != NULL && !layer->base.frozen;
    const float *dy = layer->has_norm ? slope_of(layer) : dout;
    for (size_t n = from; n < to; n = piece_end(layer, n, to)) {
        const size_t images = piece_end(layer, n, to) - n;
        if (layer->has_norm && !each) {
            norm_gradient(layer, pass, dout, n, n + images);
        }
        if (!layer->base.frozen && !each) {
            parameter_gradients(layer, pass, x, dy, n, n + images, n == from);
        }
        LO_TRY(lo_tick_call(pass->tick));
        if (dx != NULL) {
            lo_convolution_back(&layer->conv, pass, layer->base.network, dy, n, images, dx);
            LO_TRY(lo_tick_call(pass->tick));
        }
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
                : backward_to_convolution(layer, pass, out, dout));
    if (self->inputs > 1 && dx[1] != NULL) {
        memcpy(dx[1], dout, pass->examples * pixels * columns * sizeof(float));
    }
    if ((self->frozen || each) && dx[0] == NULL) {
        return LO_OK;
    }
    lo_convolution_turn(&layer->conv, pass, self->network, dx[0] != NULL);
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        if (s > 0) {
            lo_convolution_clear(&layer->conv, pass, self->network);
        }
        LO_TRY(convolution_backward(layer, pass, x[0], dout, dx[0], slice.from, slice.to));
        if (self->frozen || each) {
            continue;
        }
        lo_convolution_finish(&layer->conv, pass, self->network);
        lo_pass_add(pass, self->network, s, layer->conv.weight);
        if (layer->has_bias) {
            lo_pass_add(pass, self->network, s, layer->bias);
        }
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return lo_convolution_flops(&((const conv *)self)->conv, with_dx);
}

/* ---- derivatives along a direction ---- */

static void reserve_tangents(lo_layer *self, size_t capacity, lo_memory *memory)
{
    conv *layer = (conv *)self;
    const lo_convolution *c = &layer->conv;
    const size_t size = pixels_of(layer) * c->out_columns, out = lo_layer_out_size(self);
    lo_convolution_reserve_along(c, self->network->kernels, &layer->along, memory);
    if (layer->has_norm) {
        layer->slope = lo_memory_floats(memory, capacity * size);
        layer->y_dot = lo_memory_floats(memory, capacity * out);
        lo_batch_norm_reserve_tangents(&layer->norm, memory);
    }
    for (int k = 0; k < 2; k++) {
        layer->piece[k] = lo_memory_floats(memory, c->images * size);
    }
    layer->spare = lo_memory_floats(memory, c->images * (out > c->x_size ? out : c->x_size));
}

/* The tangent of the convolution of images from .. from + images - 1, to y_dot, which is those images'. */
static void convolution_tangent(const conv *layer, const lo_pass *pass, const lo_network *along,
                                const float *x, const float *x_dot, size_t from, size_t images, float *y_dot)
{
    const lo_convolution *c = &layer->conv;
    const size_t rows = images * pixels_of(layer);
    float *own = x_dot != NULL ? layer->piece[1] : y_dot;
    if (x_dot != NULL) {
        lo_convolution_apply(c, pass, layer->base.network, x_dot + from * c->x_size, 0, images, y_dot);
    }
    if (layer->base.frozen) {
        return;
    }
    lo_convolution_apply(&layer->along, pass, along, x + from * c->x_size, 0, images, own);
    if (x_dot != NULL) {
        lo_add_values(y_dot, own, rows * c->out_columns);
    }
    if (layer->has_bias) {
        pass->kernels->bias_relu(y_dot, along->weights + layer->bias, rows, c->out_columns, false);
    }
}

/* The tangent of what comes after the convolution; y_dot, of images from .. from + images - 1, is the tangent
 * of that. */
static void norm_tangent(conv *layer, const lo_pass *pass, const lo_norm *norm, const float *other_dot,
                         size_t from, size_t images, const float *y_dot, float *out_dot)
{
    const lo_convolution *c = &layer->conv;
    const size_t size = pixels_of(layer) * c->out_columns, out = lo_layer_out_size(&layer->base);
    const float *y = layer->pool ? layer->top : layer->y;
    for (size_t n = 0; n < images && layer->pool; n++) {
        pass->kernels->norm_pool_tangent(norm, layer->y + (from + n) * size, y_dot + n * size, c->out_height,
                                         c->out_width, c->out_columns, layer->y_dot + (from + n) * out);
    }
    pass->kernels->norm_backward(norm, layer->y_dot + from * out, y + from * out, images * places_of(layer),
                                 c->out_columns, out_dot + from * out);
    if (other_dot != NULL) {
        lo_add_values(out_dot + from * out, other_dot + from * out, images * out);
    }
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *out, float *out_dot)
{
    conv *layer = (conv *)self;
    const size_t size = lo_layer_out_size(self);
    lo_norm norm = {0};
    if (!self->frozen) {
        lo_convolution_prepare(&layer->along, pass, along);
    }
    if (layer->has_norm) {
        norm = lo_batch_norm_tangent(&layer->norm, along);
    }
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, n, pass->examples)) {
        const size_t images = piece_end(layer, n, pass->examples) - n;
        float *y_dot = layer->pool ? layer->piece[0] : (layer->has_norm ? layer->y_dot : out_dot) + n * size;
        if (x_dot[0] == NULL && self->frozen) {
            memset(y_dot, 0, images * pixels_of(layer) * layer->conv.out_columns * sizeof(float));
        }
        convolution_tangent(layer, pass, along, x[0], x_dot[0], n, images, y_dot);
        if (layer->has_norm) {
            norm_tangent(layer, pass, &norm, self->inputs > 1 ? x_dot[1] : NULL, n, images, y_dot, out_dot);
        }
        if (layer->relu) {
            pass->kernels->relu_backward(out_dot + n * size, out + n * size, images * size);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* Masks by ReLU, and the sums of the tangents of the gradients of gamma and beta. */
static lo_status curve_sums(conv *layer, const lo_pass *pass, const lo_curve *v)
{
    const size_t size = lo_layer_out_size(&layer->base);
    const float *y = layer->pool ? layer->top : layer->y;
    if (layer->has_norm) {
        lo_batch_norm_clear(&layer->norm);
    }
    for (size_t n = 0; n < pass->examples; n = piece_end(layer, n, pass->examples)) {
        const size_t images = piece_end(layer, n, pass->examples) - n, at = n * size;
        if (layer->relu) {
            pass->kernels->relu_backward(v->dy + at, v->y + at, images * size);
            pass->kernels->relu_backward(v->dy_dot + at, v->y + at, images * size);
        }
        if (layer->has_norm) {
            lo_batch_norm_curve_sums(&layer->norm, pass->kernels, v->dy + at, v->dy_dot + at, y + at,
                                     layer->y_dot + at, images * places_of(layer));
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* scale dz + pull other, of normalized images or of their windows, carried to the convolution's images, in
 * `to`. windows: room for it with pooling, which may be dz. */
static void norm_curve(conv *layer, const lo_pass *pass, const lo_norm *norm, size_t from, size_t images,
                       const float *dz, const float *other, float *windows, float *to)
{
    const lo_convolution *c = &layer->conv;
    const size_t size = pixels_of(layer) * c->out_columns, out = lo_layer_out_size(&layer->base);
    float *result = layer->pool ? windows : to;
    pass->kernels->norm_backward(norm, dz, other, images * places_of(layer), c->out_columns, result);
    for (size_t n = 0; n < images && layer->pool; n++) {
        pass->kernels->norm_pool_spread(norm, layer->y + (from + n) * size, windows + n * out, c->out_height,
                                        c->out_width, c->out_columns, to + n * size);
    }
}

/* From the gradient dy of the convolution's images and its tangent dy_dot to those of its weight and input.
 */
static lo_status convolution_curve(conv *layer, const lo_pass *pass, const lo_network *along,
                                   const lo_curve *v, size_t from, size_t images, const float *dy,
                                   const float *dy_dot)
{
    const lo_convolution *c = &layer->conv;
    const lo_network *network = layer->base.network;
    const size_t at = from * c->x_size;
    if (!layer->base.frozen) {
        lo_convolution_gradient(c, pass, network, v->x[0] + at, dy_dot, 0, images);
        LO_TRY(lo_tick_call(pass->tick));
    }
    if (!layer->base.frozen && v->x_dot[0] != NULL) {
        lo_convolution_gradient(c, pass, network, v->x_dot[0] + at, dy, 0, images);
        LO_TRY(lo_tick_call(pass->tick));
    }
    if (!layer->base.frozen && layer->has_bias) {
        pass->kernels->column_sums(dy_dot, images * pixels_of(layer), c->out_columns,
                                   network->gradient + layer->bias, from > 0);
    }
    if (v->dx_dot[0] == NULL) {
        return LO_OK;
    }
    lo_convolution_back(c, pass, network, dy_dot, 0, images, v->dx_dot[0] + at);
    LO_TRY(lo_tick_call(pass->tick));
    if (!layer->base.frozen) {
        lo_convolution_back(&layer->along, pass, along, dy, 0, images, layer->spare);
        lo_add_values(v->dx_dot[0] + at, layer->spare, images * c->x_size);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *v)
{
    conv *layer = (conv *)self;
    const size_t size = lo_layer_out_size(self);
    if (layer->has_norm) {
        (void)lo_batch_norm_tangent(&layer->norm, along);
    }
    LO_TRY(curve_sums(layer, pass, v));
    if (self->inputs > 1 && v->dx_dot[1] != NULL) {
        memcpy(v->dx_dot[1], v->dy_dot, pass->examples * size * sizeof(float));
    }
    if (!self->frozen || v->dx_dot[0] != NULL) {
        lo_convolution_turn(&layer->conv, pass, self->network, v->dx_dot[0] != NULL);
        lo_convolution_turn_along(&layer->along, pass, along, v->dx_dot[0] != NULL);
    }
    const lo_norm bent = lo_batch_norm_curve(&layer->norm), plain = lo_batch_norm_plain(&layer->norm);
    for (size_t n = 0; n < pass->examples && (!self->frozen || v->dx_dot[0] != NULL);
         n = piece_end(layer, n, pass->examples)) {
        const size_t images = piece_end(layer, n, pass->examples) - n;
        float *dy = v->dy + n * size, *dy_dot = v->dy_dot + n * size;
        if (layer->has_norm) {
            norm_curve(layer, pass, &bent, n, images, dy_dot, dy, dy_dot, layer->piece[0]);
            norm_curve(layer, pass, &plain, n, images, dy, dy, layer->spare, layer->piece[1]);
            dy_dot = layer->piece[0];
            dy = layer->piece[1];
        }
        LO_TRY(convolution_curve(layer, pass, along, v, n, images, dy, dy_dot));
    }
    if (layer->has_norm) {
        lo_batch_norm_turn(&layer->norm, self->network, (double)INFINITY);
    }
    if (!self->frozen) {
        lo_convolution_finish(&layer->conv, pass, self->network);
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, reserve_tangents};

static const lo_layer_type type = {"conv", reserve, scratch, forward, backward, flops, &tangents};

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
