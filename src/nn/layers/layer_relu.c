#include "nn/network.h"

#include <string.h>

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t count = pass->examples * lo_layer_out_size(self);
    for (size_t i = 0; i < count; i++) {
        y[i] = x[0][i] > 0 ? x[0][i] : 0;
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    const size_t count = pass->examples * lo_layer_out_size(self);
    if (dx[0] != NULL) {
        pass->kernels->relu_backward(dy, y, count);
        memcpy(dx[0], dy, count * sizeof(float));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 2.0 : 1.0) * (double)lo_shape_size(self->in);
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)x;
    const size_t count = pass->examples * lo_layer_out_size(self);
    memcpy(y_dot, x_dot[0], count * sizeof(float));
    pass->kernels->relu_backward(y_dot, y, count);
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type type = {"relu", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_relu(lo_network *network, lo_error *err)
{
    return lo_layer_add_map(network, &type, err);
}
