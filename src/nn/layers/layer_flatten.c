#include "nn/network.h"

#include <string.h>

/* The image [places, channels] as the vector [channels, places], and back. */
static void to_vector(lo_shape shape, const float *image, float *vector)
{
    const size_t channels = (size_t)shape.channels, places = (size_t)shape.height * (size_t)shape.width;
    for (size_t c = 0; c < channels; c++) {
        for (size_t p = 0; p < places; p++) {
            vector[c * places + p] = image[p * lo_padded(channels) + c];
        }
    }
}

static void to_image(lo_shape shape, const float *vector, float *image)
{
    const size_t channels = (size_t)shape.channels, places = (size_t)shape.height * (size_t)shape.width;
    memset(image, 0, places * lo_padded(channels) * sizeof(float));
    for (size_t c = 0; c < channels; c++) {
        for (size_t p = 0; p < places; p++) {
            image[p * lo_padded(channels) + c] = vector[c * places + p];
        }
    }
}

static size_t image_size(lo_shape shape)
{
    return (size_t)shape.height * (size_t)shape.width * lo_padded((size_t)shape.channels);
}

/* ---- flatten ---- */

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t size = lo_layer_out_size(self);
    if (self->value[0] == 0) { /* the network's input is a vector already, padded likewise */
        memcpy(y, x[0], pass->examples * size * sizeof(float));
        return LO_OK;
    }
    for (size_t n = 0; n < pass->examples; n++) {
        to_vector(self->in, x[0] + n * image_size(self->in), y + n * size);
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    if (self->value[0] == 0 && dx[0] != NULL) {
        memcpy(dx[0], dy, pass->examples * lo_layer_out_size(self) * sizeof(float));
        return LO_OK;
    }
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        to_image(self->in, dy + n * lo_layer_out_size(self), dx[0] + n * image_size(self->in));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    (void)self;
    (void)with_dx;
    return 0;
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)x;
    (void)y;
    return self->type->forward(self, pass, x_dot, y_dot);
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type flatten = {"flatten", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_flatten(lo_network *network, lo_error *err)
{
    const lo_shape out = {(int32_t)lo_shape_size(lo_network_shape(network)), 1, 1};
    lo_layer *layer = lo_layer_create(sizeof(*layer), &flatten, network, out);
    return layer != NULL ? lo_network_add(network, layer, err)
                         : lo_fail(err, LO_INTERNAL, "no memory for a layer that flattens");
}

/* ---- the network's input as an image ---- */

static lo_status image_forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t size = lo_network_input_size(self->network);
    for (size_t n = 0; n < pass->examples; n++) {
        to_image(self->in, x[0] + n * size, y + n * image_size(self->in));
    }
    return LO_OK;
}

static lo_status image_backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                                float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    const size_t size = lo_network_input_size(self->network);
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        to_vector(self->in, dy + n * image_size(self->in), dx[0] + n * size);
    }
    return LO_OK;
}

static const lo_layer_type image = {"image", NULL, NULL, image_forward, image_backward, flops, &tangents};

lo_status lo_layer_add_image(lo_network *network, lo_error *err)
{
    lo_layer *layer = lo_layer_create(sizeof(*layer), &image, network, lo_network_shape(network));
    return layer != NULL ? lo_network_add(network, layer, err)
                         : lo_fail(err, LO_INTERNAL, "no memory for a layer that takes images");
}
