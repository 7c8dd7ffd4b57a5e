#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 }; /* values between two ticks */

typedef struct layer_norm {
    lo_layer base;
    size_t weight, bias; /* where they start */
    float epsilon;
    float *moment; /* [capacity, places, 2] */
    float *ones;   /* [columns] */
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

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)y;
    layer_norm *layer = (layer_norm *)self;
    const lo_layer_norm norm = view(layer);
    float *gradient = self->network->gradient;
    const bool each = pass->each != NULL && !self->frozen;
    const size_t places = places_of(self), count = pass->examples * places;
    const size_t piece = each ? places : PIECE / norm.columns + 1;
    for (size_t r = 0; r < count; r += piece) {
        const size_t at = r * norm.columns;
        if (r == 0 || each) {
            memset(gradient + layer->weight, 0, norm.columns * sizeof(float));
            memset(gradient + layer->bias, 0, norm.columns * sizeof(float));
        }
        pass->kernels->layer_norm_backward(
            &norm, x[0] + at, layer->moment + 2 * r, dy + at, count - r < piece ? count - r : piece,
            dx[0] != NULL ? dx[0] + at : NULL, gradient + layer->weight, gradient + layer->bias);
        if (each) {
            LO_TRY(pass->each->take(pass->each->self, self, r / places, NULL));
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 16.0 : 12.0) * (double)lo_shape_size(self->in);
}

static const lo_layer_type type = {"layer_norm", reserve, NULL, forward, backward, flops};

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
