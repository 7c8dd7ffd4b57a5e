#include "nn/network.h"

#include <stdlib.h>

static const lo_layer_type type;

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

static lo_status tangent(lo_layer *layer, const lo_pass *pass, const lo_network *along,
                         const float *const x[], const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)x;
    (void)y;
    return forward(layer, pass, x_dot, y_dot);
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type type = {"average", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_average(lo_network *network, lo_error *err)
{
    char name[LO_NAME_SIZE];
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    lo_layer *layer =
        lo_layer_create(sizeof(*layer), &type, network, (lo_shape){lo_network_shape(network).channels, 1, 1});
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s",
                       lo_network_name(network, &type, NULL, name));
    }
    return lo_network_add(network, layer, err);
}
