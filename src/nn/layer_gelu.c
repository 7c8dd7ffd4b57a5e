#include "nn/network.h"

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

static const lo_layer_type type = {"gelu", NULL, NULL, forward, backward, flops};

lo_status lo_layer_add_gelu(lo_network *network, lo_error *err)
{
    return lo_layer_add_map(network, &type, err);
}
