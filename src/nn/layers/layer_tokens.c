#include "nn/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- class token and positions ---- */

typedef struct tokens {
    lo_layer base;
    size_t count, columns;        /* tokens, the class's included; their values, padded */
    size_t class_token, position; /* where they start: [columns], [count, columns] */
} tokens;

/* With the parameters among `weights`; x NULL: zeros. */
static void put_tokens(const tokens *layer, const float *weights, size_t examples, const float *x, float *y)
{
    const size_t size = layer->count * layer->columns, rest = size - layer->columns;
    const float *token = weights + layer->class_token, *position = weights + layer->position;
    for (size_t n = 0; n < examples; n++) {
        float *own = y + n * size;
        memcpy(own, token, layer->columns * sizeof(float));
        if (x != NULL) {
            memcpy(own + layer->columns, x + n * rest, rest * sizeof(float));
        } else {
            memset(own + layer->columns, 0, rest * sizeof(float));
        }
        for (size_t i = 0; i < size; i++) {
            own[i] += position[i];
        }
    }
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    put_tokens((const tokens *)self, self->network->weights, pass->examples, x[0], y);
    return LO_OK;
}

/* The layer is linear in x and the parameters together. */
static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)x;
    (void)y;
    put_tokens((const tokens *)self, along->weights, pass->examples, x_dot[0], y_dot);
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    const tokens *layer = (const tokens *)self;
    const size_t size = layer->count * layer->columns, rest = size - layer->columns;
    float *gradient = self->network->gradient;
    const bool each = pass->each != NULL && !self->frozen;
    const size_t parts = each ? pass->examples : lo_pass_slices(pass); /* whose gradients are summed */
    for (size_t s = 0; s < parts; s++) {
        const lo_range part = each ? (lo_range){s, s + 1} : lo_pass_slice(pass, s);
        pass->kernels->column_sums(dy + part.from * size, part.to - part.from, size,
                                   gradient + layer->position, false);
        memcpy(gradient + layer->class_token, gradient + layer->position, layer->columns * sizeof(float));
        if (each) {
            LO_TRY(pass->each->take(pass->each->self, self, s, NULL));
        } else {
            lo_pass_add(pass, self->network, s, layer->position);
            lo_pass_add(pass, self->network, s, layer->class_token);
        }
    }
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        memcpy(dx[0] + n * rest, dy + n * size + layer->columns, rest * sizeof(float));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    (void)with_dx;
    return 2.0 * (double)lo_shape_size(self->out);
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type type = {"tokens", NULL, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_tokens(lo_network *network, const char *class_name, const char *position_name,
                              lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    const lo_shape out = {in.channels, in.height * in.width + 1, 1};
    tokens *layer = lo_layer_create(sizeof(*layer), &type, network, out);
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", class_name);
    }
    layer->count = (size_t)out.height;
    layer->columns = lo_padded((size_t)in.channels);
    lo_parameter token = lo_vector_parameter((size_t)in.channels, 0);
    token.ones = 2;
    lo_parameter position = {.out = layer->count, /* [tokens, channels] */
                             .in = (size_t)in.channels,
                             .taps = 1,
                             .out_step = layer->columns,
                             .in_step = 1,
                             .ones = 1,
                             .size = layer->count * layer->columns,
                             .deviation = 0.02F};
    (void)snprintf(token.name, sizeof(token.name), "%s", class_name);
    (void)snprintf(position.name, sizeof(position.name), "%s", position_name);
    if (!lo_network_add_parameter(network, &token, &layer->class_token) ||
        !lo_network_add_parameter(network, &position, &layer->position)) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", class_name);
    }
    return lo_network_add(network, &layer->base, err);
}

/* ---- the first token ---- */

static lo_status first_forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const size_t columns = lo_layer_out_size(self), size = (size_t)self->in.height * columns;
    for (size_t n = 0; n < pass->examples; n++) {
        memcpy(y + n * columns, x[0] + n * size, columns * sizeof(float));
    }
    return LO_OK;
}

static lo_status first_backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                                float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    const size_t columns = lo_layer_out_size(self), size = (size_t)self->in.height * columns;
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        memcpy(dx[0] + n * size, dy + n * columns, columns * sizeof(float));
        memset(dx[0] + n * size + columns, 0, (size - columns) * sizeof(float));
    }
    return LO_OK;
}

static lo_status first_tangent(lo_layer *self, const lo_pass *pass, const lo_network *along,
                               const float *const x[], const float *const x_dot[], const float *y,
                               float *y_dot)
{
    (void)along;
    (void)x;
    (void)y;
    return first_forward(self, pass, x_dot, y_dot);
}

static const lo_layer_tangents first_tangents = {first_tangent, NULL, NULL};

static const lo_layer_type first_type = {"first_token",  NULL,  NULL,           first_forward,
                                         first_backward, flops, &first_tangents};

lo_status lo_layer_add_first_token(lo_network *network, lo_error *err)
{
    const lo_shape out = {lo_network_shape(network).channels, 1, 1};
    lo_layer *layer = lo_layer_create(sizeof(*layer), &first_type, network, out);
    return layer != NULL ? lo_network_add(network, layer, err)
                         : lo_fail(err, LO_INTERNAL, "no memory for layer %s", first_type.name);
}
