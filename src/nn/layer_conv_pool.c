/* Convolution, batch normalization, ReLU and pooling in one layer: between the statistics of a batch, which
 * everything must wait for, whole groups of images go through all of it while they are in the cache. */
#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double EPSILON = 1e-5, MOMENTUM = 0.1; /* PyTorch's */

enum { IMAGES_A_TICK = 64 };

typedef struct conv_pool {
    lo_layer base;
    bool first;    /* its input is the data, [channels, height, width], and nobody asks for its gradient */
    size_t x_size; /* floats of an input example */
    lo_conv conv;  /* channels padded, but for the input's of the first layer */
    size_t weight, gamma, beta, running_mean, running_var; /* where they start; weight is
 [9, in, out], in a first layer [in, 9, out] */
    float *y;   /* [capacity, height, width, out]: the convolution, then its gradient */
    float *top; /* [capacity, pooled, out]: what won in each window */
    float *filter, *filter_turned, *filter_gradient; /* transformed; not in a first layer */
    double *sum, *square;                            /* [out] */
    float *mean, *scale, *offset, *pull, *drift;     /* [out] */
    double *deviation;                               /* [out]: 1 / sqrt(variance + epsilon) */
} conv_pool;

static const lo_layer_type type;

static size_t pixels_of(const conv_pool *layer)
{
    return layer->conv.height * layer->conv.width;
}

static size_t pooled_of(const conv_pool *layer)
{
    return (layer->conv.height / 2) * (layer->conv.width / 2);
}

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    conv_pool *layer = (conv_pool *)self;
    const size_t out = layer->conv.out;
    layer->conv.group = kernels->conv_group(&layer->conv);
    layer->y = lo_memory_floats(memory, capacity * pixels_of(layer) * out);
    layer->top = lo_memory_floats(memory, capacity * pooled_of(layer) * out);
    if (!layer->first) {
        const size_t size = kernels->conv_filter_size(&layer->conv);
        layer->filter = lo_memory_floats(memory, size);
        layer->filter_turned = lo_memory_floats(memory, size);
        layer->filter_gradient = lo_memory_floats(memory, size);
    }
    layer->sum = lo_memory_bytes(memory, out, sizeof(double));
    layer->square = lo_memory_bytes(memory, out, sizeof(double));
    layer->deviation = lo_memory_bytes(memory, out, sizeof(double));
    float **const rows[] = {&layer->mean, &layer->scale, &layer->offset, &layer->pull, &layer->drift};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i] = lo_memory_floats(memory, out);
    }
}

/* The convolution from `out` to `in` channels that carries the gradient back. */
static lo_conv turned(const lo_conv *conv)
{
    lo_conv back = *conv;
    back.in = conv->out;
    back.out = conv->in;
    return back;
}

static size_t scratch(const lo_layer *self, const lo_kernels *kernels)
{
    const conv_pool *layer = (const conv_pool *)self;
    const lo_conv *conv = &layer->conv;
    if (layer->first) {
        return lo_padded_image(conv->height, conv->width) + 9 * conv->in * pixels_of(layer) + LO_LANES;
    }
    const lo_conv back = turned(conv);
    size_t size = 9 * conv->in * conv->out;
    const size_t forth_size = kernels->conv_scratch_size(conv), back_size = kernels->conv_scratch_size(&back);
    size = forth_size > size ? forth_size : size;
    return back_size > size ? back_size : size;
}

/* ---- the first layer: the 3x3 patches of an image as a matrix [9 channels, pixels]
 * ------------------------------ */

static void first_apply(const conv_pool *layer, const lo_pass *pass, const float *x, float *y, size_t images)
{
    const lo_conv *conv = &layer->conv;
    const size_t pixels = pixels_of(layer), k = 9 * conv->in;
    float *padded = pass->scratch, *patches = padded + lo_padded_image(conv->height, conv->width);
    for (size_t n = 0; n < images; n++) {
        pass->kernels->patches(x + n * layer->x_size, conv->in, conv->height, conv->width, padded, patches);
        const lo_gemm product = {.m = pixels,
                                 .n = conv->out,
                                 .k = k,
                                 .a = patches,
                                 .a_row = 1,
                                 .a_column = pixels,
                                 .b = layer->base.network->weights + layer->weight,
                                 .b_row = conv->out,
                                 .b_column = 1,
                                 .c = y + n * pixels * conv->out,
                                 .c_row = conv->out};
        pass->kernels->gemm(&product);
    }
}

static void first_gradient(const conv_pool *layer, const lo_pass *pass, const float *x, const float *dy,
                           size_t images)
{
    const lo_conv *conv = &layer->conv;
    const size_t pixels = pixels_of(layer), k = 9 * conv->in;
    float *padded = pass->scratch, *patches = padded + lo_padded_image(conv->height, conv->width);
    for (size_t n = 0; n < images; n++) {
        pass->kernels->patches(x + n * layer->x_size, conv->in, conv->height, conv->width, padded, patches);
        const lo_gemm product = {.m = k,
                                 .n = conv->out,
                                 .k = pixels,
                                 .a = patches,
                                 .a_row = pixels,
                                 .a_column = 1,
                                 .b = dy + n * pixels * conv->out,
                                 .b_row = conv->out,
                                 .b_column = 1,
                                 .c = layer->base.network->gradient + layer->weight,
                                 .c_row = conv->out,
                                 .accumulate = true};
        pass->kernels->gemm(&product);
    }
}

/* ---- forward
 * ---------------------------------------------------------------------------------------------------- */

/* From sums over `count` values of y - shift to mean, deviation and the running statistics. */
static void finish_statistics(conv_pool *layer, double count, const float *shift)
{
    float *statistics = layer->base.network->statistics;
    float *running_mean = statistics + layer->running_mean, *running_var = statistics + layer->running_var;
    for (size_t c = 0; c < (size_t)layer->base.out.channels; c++) {
        const double moved = layer->sum[c] / count;
        const double mean = moved + (double)shift[c];
        const double variance = fmax(layer->square[c] / count - moved * moved, 0);
        const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        layer->mean[c] = (float)mean;
        layer->deviation[c] = 1 / sqrt(variance + EPSILON);
        running_mean[c] = (float)((1 - MOMENTUM) * (double)running_mean[c] + MOMENTUM * mean);
        running_var[c] = (float)((1 - MOMENTUM) * (double)running_var[c] + MOMENTUM * unbiased);
    }
}

static void use_running_statistics(conv_pool *layer)
{
    const float *statistics = layer->base.network->statistics;
    for (size_t c = 0; c < (size_t)layer->base.out.channels; c++) {
        layer->mean[c] = statistics[layer->running_mean + c];
        layer->deviation[c] = 1 / sqrt((double)statistics[layer->running_var + c] + EPSILON);
    }
}

static lo_norm norm_of(const conv_pool *layer)
{
    return (lo_norm){layer->scale, layer->offset, layer->pull, layer->drift, layer->mean};
}

static void pool(conv_pool *layer, const lo_pass *pass, size_t from, size_t images, float *out)
{
    const lo_norm norm = norm_of(layer);
    const lo_conv *conv = &layer->conv;
    for (size_t n = from; n < from + images; n++) {
        const size_t at = n * pooled_of(layer) * conv->out;
        pass->kernels->norm_pool(&norm, layer->y + n * pixels_of(layer) * conv->out, conv->height,
                                 conv->width, conv->out, out + at, layer->top + at);
    }
}

static void set_scale(conv_pool *layer)
{
    const float *weights = layer->base.network->weights;
    for (size_t c = 0; c < (size_t)layer->base.out.channels; c++) {
        const double scale = (double)weights[layer->gamma + c] * layer->deviation[c];
        layer->scale[c] = (float)scale;
        layer->offset[c] = (float)((double)weights[layer->beta + c] - (double)layer->mean[c] * scale);
    }
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const input[], float *out)
{
    conv_pool *layer = (conv_pool *)self;
    const lo_kernels *kernels = pass->kernels;
    const lo_conv *conv = &layer->conv;
    const float *x = input[0];
    const size_t pixels = pixels_of(layer), examples = pass->examples;
    if (!layer->first) {
        kernels->conv_filter(conv, self->network->weights + layer->weight, layer->filter);
    }
    if (pass->training) {
        memset(layer->sum, 0, conv->out * sizeof(double));
        memset(layer->square, 0, conv->out * sizeof(double));
    } else {
        use_running_statistics(layer);
        set_scale(layer);
    }
    for (size_t n = 0; n < examples; n += conv->group) {
        const size_t images = examples - n < conv->group ? examples - n : conv->group;
        float *y = layer->y + n * pixels * conv->out;
        if (layer->first) {
            first_apply(layer, pass, x + n * layer->x_size, y, images);
        } else {
            kernels->conv_apply(conv, layer->filter, x + n * layer->x_size, y, images, pass->scratch);
        }
        if (pass->training) {
            /* Shifted by some value of y, so that a mean far from zero costs no digits. */
            kernels->moments(y, images * pixels, conv->out, layer->y, layer->sum, layer->square);
        } else {
            pool(layer, pass, n, images, out);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    if (!pass->training) {
        return LO_OK;
    }
    finish_statistics(layer, (double)(examples * pixels), layer->y);
    set_scale(layer);
    for (size_t n = 0; n < examples; n += conv->group) {
        pool(layer, pass, n, examples - n < conv->group ? examples - n : conv->group, out);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* ---- backward
 * --------------------------------------------------------------------------------------------------- */

/* With xhat = (y - mean) / std and N values a channel, dy = scale (dz - sum(dz) / N - xhat sum(dz xhat) / N),
 * which is pull y + drift + scale dz. */
static void set_backward(conv_pool *layer, double count)
{
    float *gradient = layer->base.network->gradient;
    for (size_t c = 0; c < (size_t)layer->base.out.channels; c++) {
        const double scale = (double)layer->scale[c];
        const double product = layer->square[c] * layer->deviation[c]; /* sum(dz xhat) */
        const double pull = -scale * layer->deviation[c] * product / count;
        gradient[layer->gamma + c] = (float)product;
        gradient[layer->beta + c] = (float)layer->sum[c];
        layer->pull[c] = (float)pull;
        layer->drift[c] = (float)(-scale * layer->sum[c] / count - pull * (double)layer->mean[c]);
    }
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *out,
                          float *dout, float *const dx[])
{
    (void)out;
    conv_pool *layer = (conv_pool *)self;
    const lo_kernels *kernels = pass->kernels;
    const lo_conv *conv = &layer->conv;
    const lo_norm norm = norm_of(layer);
    const size_t pixels = pixels_of(layer), pooled = pooled_of(layer), examples = pass->examples;
    float *weights = self->network->weights + layer->weight,
          *gradient = self->network->gradient + layer->weight;

    memset(layer->sum, 0, conv->out * sizeof(double));
    memset(layer->square, 0, conv->out * sizeof(double));
    for (size_t n = 0; n < examples; n += IMAGES_A_TICK) {
        const size_t images = examples - n < IMAGES_A_TICK ? examples - n : IMAGES_A_TICK;
        const size_t at = n * pooled * conv->out;
        kernels->norm_pool_sums(&norm, dout + at, layer->top + at, images * pooled, conv->out, layer->sum,
                                layer->square);
        LO_TRY(lo_tick_call(pass->tick));
    }
    set_backward(layer, (double)(examples * pixels));

    const lo_conv back = turned(conv);
    if (layer->first) {
        memset(gradient, 0, 9 * conv->in * conv->out * sizeof(float));
    } else {
        memset(layer->filter_gradient, 0, kernels->conv_filter_size(conv) * sizeof(float));
        kernels->conv_filter_turned(conv, weights, layer->filter_turned, pass->scratch);
    }
    for (size_t n = 0; n < examples; n += conv->group) {
        const size_t images = examples - n < conv->group ? examples - n : conv->group;
        float *y = layer->y + n * pixels * conv->out;
        for (size_t i = 0; i < images; i++) {
            kernels->norm_pool_backward(&norm, dout + (n + i) * pooled * conv->out,
                                        y + i * pixels * conv->out, conv->height, conv->width, conv->out);
        }
        const float *from = x[0] + n * layer->x_size;
        if (layer->first && !self->frozen) {
            first_gradient(layer, pass, from, y, images);
        } else if (!self->frozen) {
            kernels->conv_gradient_add(conv, from, y, layer->filter_gradient, images, pass->scratch);
        }
        if (dx[0] != NULL) {
            kernels->conv_apply(&back, layer->filter_turned, y, dx[0] + n * pixels * conv->in, images,
                                pass->scratch);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    if (!layer->first) {
        kernels->conv_gradient(conv, layer->filter_gradient, gradient);
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    const double product = 18.0 * self->in.height * self->in.width * self->in.channels * self->out.channels;
    return (with_dx ? 3.0 : 2.0) * product;
}

static const lo_layer_type type = {"conv_pool", reserve, scratch, forward, backward, flops};

/* ---- construction
 * ----------------------------------------------------------------------------------------------- */

static bool add_parameters(conv_pool *layer, lo_network *network, int number)
{
    const size_t in = (size_t)layer->base.in.channels, out = (size_t)layer->base.out.channels;
    const lo_conv *conv = &layer->conv;
    const struct {
        const char *name;
        size_t *offset;
        lo_parameter parameter;
    } list[] = {
        {"conv%d.weight",
         &layer->weight,
         {.out = out,
          .in = in,
          .taps = 9,
          .out_step = 1,
          .in_step = layer->first ? 9 * conv->out : conv->out,
          .tap_step = layer->first ? conv->out : conv->in * conv->out,
          .size = 9 * conv->in * conv->out,
          .bound = 1.0F / sqrtf(9.0F * (float)in)}},
        {"bn%d.weight",
         &layer->gamma,
         {.out = out, .in = 1, .taps = 1, .out_step = 1, .size = conv->out, .fill = 1}},
        {"bn%d.bias", &layer->beta, {.out = out, .in = 1, .taps = 1, .out_step = 1, .size = conv->out}},
        {"bn%d.running_mean",
         &layer->running_mean,
         {.out = out, .in = 1, .taps = 1, .out_step = 1, .size = conv->out, .statistic = true}},
        {"bn%d.running_var",
         &layer->running_var,
         {.out = out, .in = 1, .taps = 1, .out_step = 1, .size = conv->out, .fill = 1, .statistic = true}},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        lo_parameter parameter = list[i].parameter;
        const char *mark = strchr(list[i].name, '%');
        (void)snprintf(parameter.name, sizeof(parameter.name), "%.*s%d%s", (int)(mark - list[i].name),
                       list[i].name, number, mark + 2);
        if (!lo_network_add_parameter(network, &parameter, list[i].offset)) {
            return false;
        }
    }
    return true;
}

lo_status lo_layer_add_conv_pool(lo_network *network, int32_t outputs, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    const int number = lo_network_count(network, &type);
    if (outputs < 1 || in.channels < 1 || in.height < 2 || in.width < 2) {
        return lo_fail(
            err, LO_USAGE,
            "layer conv%d: %d outputs of an input of %d x %d x %d; it takes images of 2x2 pixels at least",
            number, outputs, in.channels, in.height, in.width);
    }
    conv_pool *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer conv%d", number);
    }
    layer->first = lo_network_head(network) == 0;
    layer->base =
        (lo_layer){.type = &type, .in = in, .out = {outputs, in.height / 2, in.width / 2}, .inputs = 1};
    layer->conv = (lo_conv){.height = (size_t)in.height,
                            .width = (size_t)in.width,
                            .in = layer->first ? (size_t)in.channels : lo_padded((size_t)in.channels),
                            .out = lo_padded((size_t)outputs)};
    layer->x_size = layer->first ? lo_network_input_size(network) : pixels_of(layer) * layer->conv.in;
    if (!add_parameters(layer, network, number)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer conv%d", number);
    }
    return lo_network_add(network, &layer->base, err);
}
