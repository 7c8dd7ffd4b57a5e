#include "nn/network.h"

#include <stdlib.h>

static const lo_layer_type type;

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

static lo_status forward(lo_layer *layer, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t pixels = (size_t)layer->in.height * (size_t)layer->in.width;
    const size_t channels = lo_padded((size_t)layer->in.channels);
    for (size_t n = 0; n < pass->examples; n++) {
        float *mean = y + n * channels;
        pass->kernels->column_sums(x[0] + n * pixels * channels, pixels, channels, mean, false);
        for (size_t c = 0; c < channels; c++) {
            mean[c] /= (float)pixels;
        }
    }
    return LO_OK;
}

static lo_status backward(lo_layer *layer, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    if (dx[0] == NULL) {
        return LO_OK;
    }
    const size_t pixels = (size_t)layer->in.height * (size_t)layer->in.width;
    const size_t channels = lo_padded((size_t)layer->in.channels);
    for (size_t n = 0; n < pass->examples; n++) {
        const float *slope = dy + n * channels;
        for (size_t p = 0; p < pixels; p++) {
            float *to = dx[0] + (n * pixels + p) * channels;
            for (size_t c = 0; c < channels; c++) {
                to[c] = slope[c] / (float)pixels;
            }
        }
    }
    return LO_OK;
}

static double flops(const lo_layer *layer, bool with_dx)
{
    (void)with_dx;
    return 2.0 * (double)lo_shape_size(layer->in);
}

static const lo_layer_type type = {"average", reserve, scratch, forward, backward, flops};

lo_status lo_layer_add_average(lo_network *network, lo_error *err)
{
    lo_layer *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer average%d", lo_network_count(network, &type));
    }
    layer->type = &type;
    layer->inputs = 1;
    layer->in = lo_network_shape(network);
    layer->out = (lo_shape){layer->in.channels, 1, 1};
    return lo_network_add(network, layer, err);
}
