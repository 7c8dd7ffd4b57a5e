#include "nn/network.h"

#include <math.h>

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t size = lo_layer_out_size(self);
    for (size_t n = 0; n < pass->examples; n++) {
        pass->kernels->gelu(x[0] + n * size, size, y + n * size);
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)y;
    const size_t size = lo_layer_out_size(self);
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        pass->kernels->gelu_backward(x[0] + n * size, dy + n * size, size, dx[0] + n * size);
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 50.0 : 25.0) * (double)lo_shape_size(self->in);
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)y;
    const size_t size = lo_layer_out_size(self);
    for (size_t n = 0; n < pass->examples; n++) {
        pass->kernels->gelu_backward(x[0] + n * size, x_dot[0] + n * size, size, y_dot + n * size);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* With the normal density, gelu'' = density (2 - x^2). */
static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *curve)
{
    (void)along;
    const size_t size = lo_layer_out_size(self);
    for (size_t n = 0; n < pass->examples && curve->dx_dot[0] != NULL; n++) {
        const size_t at = n * size;
        const float *x = curve->x[0] + at;
        float *dx_dot = curve->dx_dot[0] + at;
        pass->kernels->gelu_backward(x, curve->dy_dot + at, size, dx_dot);
        for (size_t i = 0; i < size && curve->x_dot[0] != NULL; i++) {
            const float density = 0.398942280F * expf(-0.5F * x[i] * x[i]);
            dx_dot[i] += density * (2 - x[i] * x[i]) * curve->x_dot[0][at + i] * curve->dy[at + i];
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, NULL};

static const lo_layer_type type = {"gelu", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_gelu(lo_network *network, lo_error *err)
{
    return lo_layer_add_map(network, &type, err);
}
