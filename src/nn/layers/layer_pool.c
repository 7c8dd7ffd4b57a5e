#include "nn/network.h"

#include <stdlib.h>

typedef struct pool {
    lo_layer base;
    lo_pool pool;
} pool;

static size_t in_size(const pool *layer)
{
    return layer->pool.height * layer->pool.width * layer->pool.channels;
}

static double flops(const lo_layer *self, bool with_dx)
{
    const lo_pool *p = &((const pool *)self)->pool;
    return (with_dx ? 2.0 : 1.0) * (double)(p->rows * p->columns) * (double)lo_shape_size(self->out);
}

static lo_status max_forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const pool *layer = (const pool *)self;
    for (size_t n = 0; n < pass->examples; n++) {
        pass->kernels->max_pool(&layer->pool, x[0] + n * in_size(layer), y + n * lo_layer_out_size(self));
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status max_backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                              float *dy, float *const dx[])
{
    const pool *layer = (const pool *)self;
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        const size_t in = n * in_size(layer), out = n * lo_layer_out_size(self);
        pass->kernels->max_pool_backward(&layer->pool, x[0] + in, y + out, dy + out, dx[0] + in);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status mean_forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const pool *layer = (const pool *)self;
    for (size_t n = 0; n < pass->examples; n++) {
        pass->kernels->mean_pool(&layer->pool, x[0] + n * in_size(layer), y + n * lo_layer_out_size(self));
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status mean_backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                               float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    const pool *layer = (const pool *)self;
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        pass->kernels->mean_pool_backward(&layer->pool, dy + n * lo_layer_out_size(self),
                                          dx[0] + n * in_size(layer));
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status max_tangent(lo_layer *self, const lo_pass *pass, const lo_network *along,
                             const float *const x[], const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)y;
    const pool *layer = (const pool *)self;
    for (size_t n = 0; n < pass->examples; n++) {
        const size_t in = n * in_size(layer);
        pass->kernels->max_pool_tangent(&layer->pool, x[0] + in, x_dot[0] + in,
                                        y_dot + n * lo_layer_out_size(self));
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status mean_tangent(lo_layer *self, const lo_pass *pass, const lo_network *along,
                              const float *const x[], const float *const x_dot[], const float *y,
                              float *y_dot)
{
    (void)along;
    (void)x;
    (void)y;
    return mean_forward(self, pass, x_dot, y_dot);
}

static const lo_layer_tangents max_tangents = {max_tangent, NULL, NULL};
static const lo_layer_tangents mean_tangents = {mean_tangent, NULL, NULL};

static const lo_layer_type max_type = {"max_pool",   NULL,  NULL,         max_forward,
                                       max_backward, flops, &max_tangents};
static const lo_layer_type mean_type = {"mean_pool",   NULL,  NULL,          mean_forward,
                                        mean_backward, flops, &mean_tangents};

static lo_status add(lo_network *network, const lo_layer_type *type, int32_t size, int32_t stride,
                     int32_t padding, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    char name[LO_NAME_SIZE];
    (void)lo_network_name(network, type, NULL, name);
    const int32_t rows = size > 0 ? size : in.height, columns = size > 0 ? size : in.width;
    stride = size > 0 ? stride : 1;
    if (size < 0 || stride < 1 || padding < 0 || 2 * (int64_t)padding > rows ||
        2 * (int64_t)padding > columns || rows > in.height + 2 * padding ||
        columns > in.width + 2 * padding) {
        return lo_fail(
            err, LO_USAGE,
            "layer %s: windows of %d x %d with stride %d and padding %d on an input of %d x %d x %d; "
            "windows fit into the padded input, strides are 1 at least, padding is at most half of "
            "a window",
            name, rows, columns, stride, padding, in.channels, in.height, in.width);
    }
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    const lo_shape out = {in.channels, (in.height + 2 * padding - rows) / stride + 1,
                          (in.width + 2 * padding - columns) / stride + 1};
    pool *layer = lo_layer_create(sizeof(*layer), type, network, out);
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->pool = (lo_pool){.height = (size_t)in.height,
                            .width = (size_t)in.width,
                            .channels = lo_padded((size_t)in.channels),
                            .rows = (size_t)rows,
                            .columns = (size_t)columns,
                            .stride = (size_t)stride,
                            .padding = (size_t)padding,
                            .out_height = (size_t)out.height,
                            .out_width = (size_t)out.width};
    return lo_network_add(network, &layer->base, err);
}

lo_status lo_layer_add_max_pool(lo_network *network, int32_t size, int32_t stride, int32_t padding,
                                lo_error *err)
{
    return add(network, &max_type, size, stride, padding, err);
}

lo_status lo_layer_add_mean_pool(lo_network *network, int32_t size, int32_t stride, int32_t padding,
                                 lo_error *err)
{
    return add(network, &mean_type, size, stride, padding, err);
}
