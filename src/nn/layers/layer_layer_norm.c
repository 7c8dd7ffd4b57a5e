#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 1 << 16,
    ROWS_A_TICK = 64
}; /* values between two ticks; rows, for derivatives along a direction */

typedef struct layer_norm {
    lo_layer base;
    size_t weight, bias; /* where they start */
    float epsilon;
    float *moment; /* [capacity, places, 2] */
    float *ones;   /* [columns] */
    float *unit;   /* [3, columns]: of a row, for derivatives along a direction */
} layer_norm;

static const lo_layer_type type;

static size_t places_of(const lo_layer *self)
{
    return (size_t)self->in.height * (size_t)self->in.width;
}

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    (void)kernels;
    layer_norm *layer = (layer_norm *)self;
    layer->moment = lo_memory_floats(memory, capacity * places_of(self) * 2);
    layer->ones = lo_memory_floats(memory, lo_padded((size_t)self->in.channels));
    for (int32_t c = 0; layer->ones != NULL && c < self->in.channels; c++) {
        layer->ones[c] = 1;
    }
}

static lo_layer_norm view(const layer_norm *layer)
{
    const float *weights = layer->base.network->weights;
    return (lo_layer_norm){.channels = (size_t)layer->base.in.channels,
                           .columns = lo_padded((size_t)layer->base.in.channels),
                           .weight = weights + layer->weight,
                           .bias = weights + layer->bias,
                           .ones = layer->ones,
                           .epsilon = layer->epsilon};
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    layer_norm *layer = (layer_norm *)self;
    const lo_layer_norm norm = view(layer);
    const size_t count = pass->examples * places_of(self), piece = PIECE / norm.columns + 1;
    for (size_t r = 0; r < count; r += piece) {
        pass->kernels->layer_norm(&norm, x[0] + r * norm.columns, count - r < piece ? count - r : piece,
                                  y + r * norm.columns, layer->moment + 2 * r);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* Backward over rows from .. to - 1, whose parameter gradients are summed. */
static lo_status backward_rows(const layer_norm *layer, const lo_pass *pass, const float *x, float *dy,
                               float *dx, size_t from, size_t to)
{
    const lo_layer_norm norm = view(layer);
    float *gradient = layer->base.network->gradient;
    const size_t piece = PIECE / norm.columns + 1;
    memset(gradient + layer->weight, 0, norm.columns * sizeof(float));
    memset(gradient + layer->bias, 0, norm.columns * sizeof(float));
    for (size_t r = from; r < to; r += piece) {
        const size_t at = r * norm.columns;
        pass->kernels->layer_norm_backward(&norm, x + at, layer->moment + 2 * r, dy + at,
                                           to - r < piece ? to - r : piece, dx != NULL ? dx + at : NULL,
                                           gradient + layer->weight, gradient + layer->bias);
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)y;
    const layer_norm *layer = (const layer_norm *)self;
    const bool each = pass->each != NULL && !self->frozen;
    const size_t places = places_of(self), parts = each ? pass->examples : lo_pass_slices(pass);
    for (size_t s = 0; s < parts; s++) {
        const lo_range part = each ? (lo_range){s, s + 1} : lo_pass_slice(pass, s);
        LO_TRY(backward_rows(layer, pass, x[0], dy, dx[0], part.from * places, part.to * places));
        if (each) {
            LO_TRY(pass->each->take(pass->each->self, self, s, NULL));
        } else {
            lo_pass_add(pass, self->network, s, layer->weight);
            lo_pass_add(pass, self->network, s, layer->bias);
        }
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 16.0 : 12.0) * (double)lo_shape_size(self->in);
}

/* ---- derivatives along a direction ---- */

static void reserve_tangents(lo_layer *self, size_t capacity, lo_memory *memory)
{
    (void)capacity;
    layer_norm *layer = (layer_norm *)self;
    layer->unit = lo_memory_floats(memory, 3 * lo_padded((size_t)self->in.channels));
}

static float dot(const float *a, const float *b, size_t count)
{
    float sum = 0;
    for (size_t c = 0; c < count; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

static float total(const float *a, size_t count)
{
    float sum = 0;
    for (size_t c = 0; c < count; c++) {
        sum += a[c];
    }
    return sum;
}

/* With u = (x - mean) r and r = 1 / sqrt(variance + epsilon): u, and its tangent r (x_dot - mean(x_dot) - u
 * mean(u x_dot)). Returns r_dot / r = -r mean(u x_dot). x_dot NULL: 0. */
static float unit_tangent(const layer_norm *layer, const float *x, const float *x_dot, const float *moment,
                          float *u, float *u_dot)
{
    const size_t count = (size_t)layer->base.in.channels;
    const float r = moment[1], share = 1.0F / (float)count;
    for (size_t c = 0; c < count; c++) {
        u[c] = (x[c] - moment[0]) * r;
        u_dot[c] = 0;
    }
    if (x_dot == NULL) {
        return 0;
    }
    const float mean = total(x_dot, count) * share, pull = dot(u, x_dot, count) * share;
    for (size_t c = 0; c < count; c++) {
        u_dot[c] = r * (x_dot[c] - mean - u[c] * pull);
    }
    return -r * pull;
}

/* y = w u + b. */
static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)y;
    const layer_norm *layer = (const layer_norm *)self;
    const size_t count = (size_t)self->in.channels, columns = lo_padded(count);
    const float *w = self->network->weights + layer->weight, *w_dot = along->weights + layer->weight;
    const float *b_dot = along->weights + layer->bias;
    float *u = layer->unit, *u_dot = u + columns;
    for (size_t r = 0, rows = pass->examples * places_of(self); r < rows; r++) {
        const size_t at = r * columns;
        (void)unit_tangent(layer, x[0] + at, x_dot[0] != NULL ? x_dot[0] + at : NULL, layer->moment + 2 * r,
                           u, u_dot);
        for (size_t c = 0; c < count; c++) {
            y_dot[at + c] = w[c] * u_dot[c] + w_dot[c] * u[c] + b_dot[c];
        }
        if (r % ROWS_A_TICK == 0) {
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

/* dx = r (g - mean(g) - u mean(g u)) with g = w dy, differentiated. */
static void input_curve(size_t count, float rate, float rate_dot, const float *u, const float *u_dot,
                        const float *g, const float *g_dot, float *dx_dot)
{
    const float share = 1.0F / (float)count;
    const float mean = total(g, count) * share, mean_dot = total(g_dot, count) * share;
    const float pull = dot(g, u, count) * share;
    const float pull_dot = (dot(g_dot, u, count) + dot(g, u_dot, count)) * share;
    for (size_t c = 0; c < count; c++) {
        const float plain = g[c] - mean - u[c] * pull;
        const float bent = g_dot[c] - mean_dot - u_dot[c] * pull - u[c] * pull_dot;
        dx_dot[c] = rate * (bent + rate_dot * plain);
    }
}

/* dw = sum dy u and db = sum dy, differentiated. dy_dot is made g_dot. */
static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *v)
{
    const layer_norm *layer = (const layer_norm *)self;
    const size_t count = (size_t)self->in.channels, columns = lo_padded(count);
    const float *w = self->network->weights + layer->weight, *w_dot = along->weights + layer->weight;
    float *dw = self->network->gradient + layer->weight, *db = self->network->gradient + layer->bias;
    float *u = layer->unit, *u_dot = u + columns, *g = u_dot + columns;
    memset(dw, 0, columns * sizeof(float));
    memset(db, 0, columns * sizeof(float));
    for (size_t r = 0, rows = pass->examples * places_of(self); r < rows; r++) {
        const size_t at = r * columns;
        const float *dy = v->dy + at, *moment = layer->moment + 2 * r;
        float *dy_dot = v->dy_dot + at;
        const float rate_dot = unit_tangent(layer, v->x[0] + at,
                                            v->x_dot[0] != NULL ? v->x_dot[0] + at : NULL, moment, u, u_dot);
        for (size_t c = 0; c < count; c++) {
            dw[c] += dy_dot[c] * u[c] + dy[c] * u_dot[c];
            db[c] += dy_dot[c];
            g[c] = w[c] * dy[c];
            dy_dot[c] = w[c] * dy_dot[c] + w_dot[c] * dy[c];
        }
        if (v->dx_dot[0] != NULL) {
            memset(v->dx_dot[0] + at, 0, columns * sizeof(float));
            input_curve(count, moment[1], rate_dot, u, u_dot, g, dy_dot, v->dx_dot[0] + at);
        }
        if (r % ROWS_A_TICK == 0) {
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, reserve_tangents};

static const lo_layer_type type = {"layer_norm", reserve, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_layer_norm(lo_network *network, double epsilon, const char *name, lo_error *err)
{
    char own[LO_NAME_SIZE];
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    (void)lo_network_name(network, &type, name, own);
    layer_norm *layer = lo_layer_create(sizeof(*layer), &type, network, lo_network_shape(network));
    const size_t channels = (size_t)lo_network_shape(network).channels;
    lo_parameter weight = lo_vector_parameter(channels, 1), bias = lo_vector_parameter(channels, 0);
    lo_parameter_name(&weight, own, "weight");
    lo_parameter_name(&bias, own, "bias");
    if (layer == NULL || !lo_network_add_parameter(network, &weight, &layer->weight) ||
        !lo_network_add_parameter(network, &bias, &layer->bias)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", own);
    }
    layer->epsilon = (float)epsilon;
    return lo_network_add(network, &layer->base, err);
}
