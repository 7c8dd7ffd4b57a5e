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
    lo_batch_norm_reserve(&((batch_norm *)self)->norm, self->network, memory);
}

static size_t places_of(const lo_layer *self)
{
    return (size_t)self->in.height * (size_t)self->in.width;
}

static size_t rows_of(const lo_layer *self, const lo_pass *pass)
{
    return pass->examples * places_of(self);
}

/* A whole number of rows, the same for every batch. */
static size_t piece_of(const batch_norm *layer)
{
    const size_t rows = PIECE / layer->norm.columns;
    return rows > 1 ? rows : 1;
}

/* Mean and deviation of the batch. */
static lo_status take_moments(batch_norm *layer, const lo_pass *pass, const float *x)
{
    const size_t columns = layer->norm.columns, piece = piece_of(layer), places = places_of(&layer->base);
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        const size_t from = slice.from * places, to = slice.to * places;
        const float *shift = x + from * columns;
        lo_batch_norm_clear(&layer->norm);
        for (size_t r = from; r < to; r += piece) {
            pass->kernels->moments(x + r * columns, to - r < piece ? to - r : piece, columns, shift,
                                   layer->norm.sum, layer->norm.square);
            LO_TRY(lo_tick_call(pass->tick));
        }
        lo_batch_norm_unshift(&layer->norm, pass, (double)(to - from), shift);
        lo_batch_norm_add_slice(&layer->norm, pass, s);
    }
    const size_t count = lo_batch_norm_examples(pass, pass->examples) * places;
    lo_batch_norm_finish(&layer->norm, layer->base.network, (double)count, pass->slices != NULL ? NULL : x);
    return LO_OK;
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    batch_norm *layer = (batch_norm *)self;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    if (pass->training) {
        LO_TRY(take_moments(layer, pass, x[0]));
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

/* dy made dz, and the two sums, of rows from .. to - 1. */
static lo_status sum_gradients(batch_norm *layer, const lo_pass *pass, const float *x, const float *y,
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
    return LO_OK;
}

/* Those of the whole batch, and the parameters' gradients. */
static lo_status turn_batch(batch_norm *layer, const lo_pass *pass, const float *x, const float *y, float *dy)
{
    const size_t places = places_of(&layer->base);
    for (size_t s = 0; s < lo_pass_slices(pass); s++) {
        const lo_range slice = lo_pass_slice(pass, s);
        LO_TRY(sum_gradients(layer, pass, x, y, dy, slice.from * places, slice.to * places));
        lo_batch_norm_add_slice(&layer->norm, pass, s);
    }
    const size_t count = lo_batch_norm_examples(pass, pass->examples) * places;
    lo_batch_norm_turn(&layer->norm, layer->base.network, pass->training ? (double)count : (double)INFINITY);
    return LO_OK;
}

/* The parameters' gradients of one example after the other, in evaluation mode. */
static lo_status each_gradient(batch_norm *layer, const lo_pass *pass, const float *x, const float *y,
                               float *dy)
{
    const size_t places = places_of(&layer->base);
    for (size_t n = 0; n < pass->examples; n++) {
        LO_TRY(sum_gradients(layer, pass, x, y, dy, n * places, (n + 1) * places));
        lo_batch_norm_turn(&layer->norm, layer->base.network, (double)INFINITY);
        LO_TRY(pass->each->take(pass->each->self, &layer->base, n, NULL));
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    batch_norm *layer = (batch_norm *)self;
    const size_t count = rows_of(self, pass), columns = layer->norm.columns, piece = piece_of(layer);
    const lo_norm norm = lo_batch_norm_view(&layer->norm);
    const bool each = pass->each != NULL && !self->frozen;
    LO_TRY(each ? each_gradient(layer, pass, x[0], y, dy) : turn_batch(layer, pass, x[0], y, dy));
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
