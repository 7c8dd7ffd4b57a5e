#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

typedef struct sum {
    lo_layer base;
    bool relu;
} sum;

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const bool relu = ((const sum *)self)->relu;
    const size_t count = pass->examples * lo_layer_out_size(self);
    for (size_t i = 0; i < count; i++) {
        const float both = x[0][i] + x[1][i];
        y[i] = relu && !(both > 0) ? 0 : both;
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    const size_t count = pass->examples * lo_layer_out_size(self);
    if (((const sum *)self)->relu) {
        pass->kernels->relu_backward(dy, y, count);
    }
    for (int k = 0; k < self->inputs; k++) {
        if (dx[k] != NULL) {
            memcpy(dx[k], dy, count * sizeof(float));
        }
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    (void)with_dx;
    return (double)lo_shape_size(self->in);
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)x;
    const size_t count = pass->examples * lo_layer_out_size(self);
    for (size_t i = 0; i < count; i++) {
        y_dot[i] = (x_dot[0] != NULL ? x_dot[0][i] : 0) + (x_dot[1] != NULL ? x_dot[1][i] : 0);
    }
    if (((const sum *)self)->relu) {
        pass->kernels->relu_backward(y_dot, y, count);
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type type = {"sum", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_sum(lo_network *network, int other, bool relu, lo_error *err)
{
    char name[LO_NAME_SIZE];
    (void)lo_network_name(network, &type, NULL, name);
    LO_TRY(lo_check_addend(network, other, lo_network_shape(network), name, err));
    sum *layer = lo_layer_create(sizeof(*layer), &type, network, lo_network_shape(network));
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->base.inputs = 2;
    layer->base.value[1] = other;
    layer->relu = relu;
    return lo_network_add(network, &layer->base, err);
}
