#include "nn/optimizers/optimizer.h"

#include <math.h>
#include <string.h>

static const lo_optimizer_type *const types[] = {
    [LO_OPTIMIZER_SGD] = &lo_optimizer_type_sgd,
    [LO_OPTIMIZER_ADAMW] = &lo_optimizer_type_adamw,
};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

lo_optimizer lo_optimizer_named(const char *name)
{
    int i = 0;
    while (i < TYPES && strcmp(types[i]->name, name) != 0) {
        i++;
    }
    return (lo_optimizer)i;
}

const lo_optimizer_type *lo_optimizer_of(const lo_recipe *recipe)
{
    return (unsigned)recipe->optimizer < TYPES ? types[recipe->optimizer] : NULL;
}

void lo_optimizer_reserve(lo_optimizer_state *state, const lo_recipe *recipe, const lo_network *network,
                          lo_memory *memory)
{
    *state = (lo_optimizer_state){0};
    for (int i = 0; i < lo_optimizer_of(recipe)->arrays; i++) {
        state->array[i] = lo_memory_floats(memory, network->weight_size);
    }
}

void lo_optimizer_start(lo_optimizer_state *state, const lo_network *network)
{
    state->steps = 0;
    for (int i = 0; i < LO_OPTIMIZER_STATES && state->array[i] != NULL; i++) {
        memset(state->array[i], 0, network->weight_size * sizeof(float));
    }
}

/* What the gradient is multiplied by so that its norm is at most `limit`, as torch.nn.utils.clip_grad_norm_
 * has it; NaN where the norm is. */
static double clip(const lo_network *network, double limit)
{
    const double norm = sqrt(network->kernels->square_sum(network->gradient, network->weight_size));
    const double scale = limit / (norm + 1e-6);
    return scale >= 1 ? 1 : scale;
}

void lo_optimizer_step(lo_optimizer_state *state, const lo_recipe *recipe, lo_network *network, double lr)
{
    state->steps++;
    if (recipe->clip_norm > 0) {
        lo_network_clear_untrained(network, network->gradient);
    }
    const lo_optimizer_type *type = lo_optimizer_of(recipe);
    const double scale = recipe->clip_norm > 0 ? clip(network, recipe->clip_norm) : 1;
    size_t at = 0;
    for (size_t count = lo_network_trained_run(network, &at); count > 0;
         count = lo_network_trained_run(network, &at)) {
        type->update(recipe, network, state, lr, scale, at, count);
        at += count;
    }
}
