#include "nn/batch_norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 }; /* values between two ticks, and while they are in the cache */

typedef struct batch_norm {
    lo_layer base;
    lo_batch_norm norm;
    bool relu;
} batch_norm;

static const lo_layer_type type;

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    (void)kernels;
    (void)capacity;
    lo_batch_norm_reserve(&((batch_norm *)self)->norm, memory);
}

static size_t rows_of(const lo_layer *self, const lo_pass *pass)
{
    return pass->examples * (size_t)self->in.height * (size_t)self->in.width;
}

/* A whole number of rows, the same for every batch. */
static size_t piece_of(const batch_norm *layer)
{
    const size_t rows = PIECE / layer->norm.columns;
    return rows > 1 ? rows : 1;
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    batch_norm *layer = (batch_norm *)self;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    if (pass->training) {
        lo_batch_norm_clear(&layer->norm);
        for (size_t r = 0; r < count; r += piece) {
            pass->kernels->moments(x[0] + r * columns, count - r < piece ? count - r : piece, columns, x[0],
                                   layer->norm.sum, layer->norm.square);
            LO_TRY(lo_tick_call(pass->tick));
        }
        lo_batch_norm_finish(&layer->norm, self->network, (double)count, x[0]);
    } else {
        lo_batch_norm_recall(&layer->norm, self->network);
    }
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    for (size_t r = 0; r < count; r += piece) {
        pass->kernels->norm_apply(&norm, x[0] + r * columns, NULL, count - r < piece ? count - r : piece,
                                  columns, layer->relu, y + r * columns);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* dy made dz, and the parameters' gradients, of rows from .. to - 1. */
static lo_status parameter_gradients(batch_norm *layer, const lo_pass *pass, const float *x, const float *y,
                                     float *dy, size_t from, size_t to)
{
    const size_t columns = layer->norm.columns, piece = piece_of(layer);
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    lo_batch_norm_clear(&layer->norm);
    for (size_t r = from; r < to; r += piece) {
        const size_t rows = to - r < piece ? to - r : piece, at = r * columns;
        if (layer->relu) {
            pass->kernels->relu_backward(dy + at, y + at, rows * columns);
        }
        pass->kernels->norm_sums(&norm, dy + at, x + at, rows, columns, layer->norm.sum, layer->norm.square);
        LO_TRY(lo_tick_call(pass->tick));
    }
    lo_batch_norm_turn(&layer->norm, layer->base.network,
                       pass->training ? (double)(to - from) : (double)INFINITY);
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    batch_norm *layer = (batch_norm *)self;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    const bool each = pass->each != NULL && !self->frozen;
    const size_t rows_at_once = each ? count / pass->examples : count;
    for (size_t r = 0; r < count; r += rows_at_once) {
        LO_TRY(parameter_gradients(layer, pass, x[0], y, dy, r, r + rows_at_once));
        if (each) {
            LO_TRY(pass->each->take(pass->each->self, self, r / rows_at_once, NULL));
        }
    }
    for (size_t r = 0; r < count && dx[0] != NULL; r += piece) {
        const size_t rows = count - r < piece ? count - r : piece, at = r * columns;
        pass->kernels->norm_backward(&norm, dy + at, x[0] + at, rows, columns, dx[0] + at);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 12.0 : 8.0) * (double)lo_shape_size(self->in);
}

static void reserve_tangents(lo_layer *self, size_t capacity, lo_memory *memory)
{
    (void)capacity;
    lo_batch_norm_reserve_tangents(&((batch_norm *)self)->norm, memory);
}

static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    batch_norm *layer = (batch_norm *)self;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    const lo_norm norm = lo_batch_norm_tangent(&layer->norm, along);
    for (size_t r = 0; r < count; r += piece) {
        const size_t rows = count - r < piece ? count - r : piece, at = r * columns;
        float *own = y_dot + at;
        if (x_dot[0] == NULL) {
            memset(own, 0, rows * columns * sizeof(float));
        }
        pass->kernels->norm_backward(&norm, x_dot[0] != NULL ? x_dot[0] + at : own, x[0] + at, rows, columns,
                                     own);
        if (layer->relu) {
            pass->kernels->relu_backward(own, y + at, rows * columns);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *v)
{
    batch_norm *layer = (batch_norm *)self;
    const lo_kernels *kernels = pass->kernels;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    (void)lo_batch_norm_tangent(&layer->norm, along);
    const lo_norm norm = lo_batch_norm_curve(&layer->norm);
    lo_batch_norm_clear(&layer->norm);
    for (size_t r = 0; r < count; r += piece) {
        const size_t rows = count - r < piece ? count - r : piece, at = r * columns;
        if (layer->relu) {
            kernels->relu_backward(v->dy + at, v->y + at, rows * columns);
            kernels->relu_backward(v->dy_dot + at, v->y + at, rows * columns);
        }
        lo_batch_norm_curve_sums(&layer->norm, kernels, v->dy + at, v->dy_dot + at, v->x[0] + at,
                                 v->x_dot[0] != NULL ? v->x_dot[0] + at : NULL, rows);
        if (v->dx_dot[0] != NULL) {
            kernels->norm_backward(&norm, v->dy_dot + at, v->dy + at, rows, columns, v->dx_dot[0] + at);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    lo_batch_norm_turn(&layer->norm, self->network, (double)INFINITY);
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, reserve_tangents};

static const lo_layer_type type = {"batch_norm", reserve, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_batch_norm(lo_network *network, bool relu, const char *name, lo_error *err)
{
    char own[LO_NAME_SIZE];
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    (void)lo_network_name(network, &type, name, own);
    batch_norm *layer = lo_layer_create(sizeof(*layer), &type, network, lo_network_shape(network));
    if (layer == NULL || !lo_batch_norm_add(&layer->norm, network, own, lo_network_shape(network).channels)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", own);
    }
    layer->relu = relu;
    return lo_network_add(network, &layer->base, err);
}
