#include "nn/network.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 8 }; /* of 16 bits in one call of the generator */

typedef struct dropout {
    lo_layer base;
    uint32_t limit; /* a value goes where its number, of 16 bits, is below */
    float scale;
    float *mask; /* [capacity, size]: 0, or what the value is multiplied by */
} dropout;

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    (void)kernels;
    ((dropout *)self)->mask = lo_memory_floats(memory, capacity * lo_layer_out_size(self));
}

/* The mask of one example, whose number is `example`. */
static void draw_mask(const dropout *layer, const lo_draw *draw, uint64_t example, float *mask)
{
    const lo_random random = lo_random_make(draw->seed, LO_FOR_DROPOUT);
    /* One name for the model, the step and the layer. */
    const uint64_t of_step = lo_random_u64(random, draw->model_seed, draw->step);
    const uint64_t stream = lo_random_u64(random, of_step, (uint64_t)layer->base.value[0]);
    const size_t size = lo_layer_out_size(&layer->base);
    for (size_t i = 0; i < size; i += NUMBERS) {
        uint32_t bits[4];
        lo_random_u32x4(random, stream, example << 32 | i / NUMBERS, bits);
        for (size_t k = 0; k < NUMBERS; k++) {
            const uint32_t number = bits[k / 2] >> 16 * (k % 2) & 0xFFFFU;
            mask[i + k] = number < layer->limit ? 0 : layer->scale;
        }
    }
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const dropout *layer = (const dropout *)self;
    const size_t size = lo_layer_out_size(self);
    if (!pass->training || self->network->keeps_all) {
        memcpy(y, x[0], pass->examples * size * sizeof(float));
        return LO_OK;
    }
    for (size_t n = 0; n < pass->examples; n++) {
        float *mask = layer->mask + n * size;
        draw_mask(layer, pass->draw, pass->draw->example != NULL ? pass->draw->example[n] : n, mask);
        for (size_t i = 0; i < size; i++) {
            y[n * size + i] = mask[i] * x[0][n * size + i];
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)x;
    (void)y;
    const float *mask = ((const dropout *)self)->mask;
    const size_t count = pass->examples * lo_layer_out_size(self);
    const bool keeps_all = !pass->training || self->network->keeps_all;
    for (size_t i = 0; i < count && dx[0] != NULL; i++) {
        dx[0][i] = keeps_all ? dy[i] : mask[i] * dy[i];
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    return (with_dx ? 2.0 : 1.0) * (double)lo_shape_size(self->in);
}

/* In evaluation mode it is the identity. */
static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)x;
    (void)y;
    memcpy(y_dot, x_dot[0], pass->examples * lo_layer_out_size(self) * sizeof(float));
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, NULL, NULL};

static const lo_layer_type type = {"dropout", reserve, NULL, forward, backward, flops, &tangents};

lo_status lo_layer_add_dropout(lo_network *network, double share, lo_error *err)
{
    char name[LO_NAME_SIZE];
    (void)lo_network_name(network, &type, NULL, name);
    if (!(share >= 0 && share < 1)) {
        return lo_fail(err, LO_USAGE, "layer %s: a share of %g; 0 to below 1 is allowed", name, share);
    }
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    dropout *layer = lo_layer_create(sizeof(*layer), &type, network, lo_network_shape(network));
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->limit = (uint32_t)(share * 0x1p16);
    layer->scale = (float)(1 / (1 - share));
    return lo_network_add(network, &layer->base, err);
}
