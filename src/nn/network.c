#include "nn/network.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES_A_TICK = 1 << 16 }; /* about a millisecond of random numbers */

void *lo_memory_bytes(lo_memory *memory, size_t count, size_t size)
{
    memory->bytes += lo_padded((count * size + 3) / 4) * 4;
    return memory->arena != NULL ? lo_arena_take(memory->arena, count, size) : NULL;
}

float *lo_memory_floats(lo_memory *memory, size_t count)
{
    return lo_memory_bytes(memory, count, sizeof(float));
}

lo_network *lo_network_create(lo_shape input, bool flat, int32_t classes)
{
    lo_network *network = calloc(1, sizeof(*network));
    if (network != NULL) {
        network->input = input;
        network->flat = flat;
        network->classes = classes;
    }
    return network;
}

void lo_network_destroy(lo_network **network)
{
    if (*network == NULL) {
        return;
    }
    for (int i = 0; i < (*network)->layer_count; i++) {
        free((*network)->layer[i]);
    }
    free(*network);
    *network = NULL;
}

lo_shape lo_network_shape(const lo_network *network)
{
    if (network->layer_count > 0) {
        return network->layer[network->layer_count - 1]->out;
    }
    if (network->flat) {
        return (lo_shape){(int32_t)lo_shape_size(network->input), 1, 1};
    }
    return network->input;
}

int lo_network_add_parameter(lo_network *network, const lo_parameter *parameter)
{
    if (network->parameter_count == LO_MAX_PARAMETERS) {
        return -1;
    }
    size_t *end = parameter->statistic ? &network->statistic_size : &network->weight_size;
    lo_parameter *p = &network->parameter[network->parameter_count];
    *p = *parameter;
    p->offset = *end;
    *end += lo_padded(p->size);
    return network->parameter_count++;
}

lo_status lo_network_add(lo_network *network, lo_layer *layer, lo_error *err)
{
    if (network->layer_count == LO_MAX_LAYERS) {
        free(layer);
        return lo_fail(err, LO_USAGE, "a network has at most %d layers", LO_MAX_LAYERS);
    }
    layer->network = network;
    network->layer[network->layer_count++] = layer;
    return LO_OK;
}

int lo_network_count(const lo_network *network, const lo_layer_type *type)
{
    int count = 1;
    for (int i = 0; i < network->layer_count; i++) {
        count += network->layer[i]->type == type ? 1 : 0;
    }
    return count;
}

size_t lo_network_input_size(const lo_network *network)
{
    return lo_padded(lo_shape_size(network->input));
}

size_t lo_network_logit_step(const lo_network *network)
{
    return lo_padded((size_t)network->classes);
}

void lo_network_reserve(lo_network *network, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    network->kernels = kernels;
    network->capacity = capacity;
    network->weights = lo_memory_floats(memory, network->weight_size);
    network->gradient = lo_memory_floats(memory, network->weight_size);
    network->statistics = lo_memory_floats(memory, network->statistic_size);
    network->activation[0] = lo_memory_floats(memory, capacity * lo_network_input_size(network));
    size_t widest = 0, scratch = 0;
    for (int i = 0; i < network->layer_count; i++) {
        lo_layer *layer = network->layer[i];
        const size_t size = lo_layer_out_size(layer);
        const size_t needed = layer->type->scratch(layer, kernels);
        network->activation[i + 1] = lo_memory_floats(memory, capacity * size);
        layer->type->reserve(layer, kernels, capacity, memory);
        widest = size > widest ? size : widest;
        scratch = needed > scratch ? needed : scratch;
    }
    network->slope[0] = lo_memory_floats(memory, capacity * widest);
    network->slope[1] = lo_memory_floats(memory, capacity * widest);
    network->scratch = lo_memory_floats(memory, scratch);
}

static size_t count_of(const lo_parameter *p)
{
    return p->out * p->in * p->taps;
}

/* Where value i, in PyTorch's order, of a parameter lies. */
static size_t place_of(const lo_parameter *p, size_t i)
{
    const size_t tap = i % p->taps, in = i / p->taps % p->in, out = i / p->taps / p->in;
    return p->offset + out * p->out_step + in * p->in_step + tap * p->tap_step;
}

lo_status lo_network_initialize(lo_network *network, uint64_t seed, uint64_t model_seed, const lo_tick *tick)
{
    const lo_random random = lo_random_make(seed, LO_FOR_WEIGHTS);
    uint64_t number = 0;
    memset(network->weights, 0, network->weight_size * sizeof(float));
    memset(network->statistics, 0, network->statistic_size * sizeof(float));
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        float *values = p->statistic ? network->statistics : network->weights;
        for (size_t i = 0; i < count_of(p); i++) {
            if (i % VALUES_A_TICK == 0) {
                LO_TRY(lo_tick_call(tick));
            }
            float value = p->fill;
            if (p->bound > 0) {
                value = p->bound * (2.0F * lo_random_unit(random, model_seed, number + i) - 1.0F);
            }
            values[place_of(p, i)] = value;
        }
        number += p->statistic ? 0 : count_of(p);
    }
    return LO_OK;
}

float *lo_network_input(lo_network *network)
{
    return network->activation[0];
}

const float *lo_network_logits(const lo_network *network)
{
    return network->activation[network->layer_count];
}

/* The last layer's slope is slope[0]; each layer before takes the other one. */
static float *slope_of(lo_network *network, int layer)
{
    return network->slope[(network->layer_count - layer) % 2];
}

float *lo_network_logit_slope(lo_network *network)
{
    return slope_of(network, network->layer_count);
}

lo_status lo_network_forward(lo_network *network, size_t examples, bool training, const lo_tick *tick)
{
    const lo_pass pass = {network->kernels, examples, training, network->scratch, tick};
    for (int i = 0; i < network->layer_count; i++) {
        lo_layer *layer = network->layer[i];
        LO_TRY(layer->type->forward(layer, &pass, network->activation[i], network->activation[i + 1]));
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

lo_status lo_network_backward(lo_network *network, size_t examples, const lo_tick *tick)
{
    const lo_pass pass = {network->kernels, examples, true, network->scratch, tick};
    for (int i = network->layer_count - 1; i >= 0; i--) {
        lo_layer *layer = network->layer[i];
        LO_TRY(layer->type->backward(layer, &pass, network->activation[i], network->activation[i + 1],
                                     slope_of(network, i + 1), i > 0 ? slope_of(network, i) : NULL));
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

int64_t lo_network_parameters(const lo_network *network)
{
    size_t count = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        count += network->parameter[k].statistic ? 0 : count_of(&network->parameter[k]);
    }
    return (int64_t)count;
}

double lo_network_flops(const lo_network *network)
{
    double flops = 0;
    for (int i = 0; i < network->layer_count; i++) {
        flops += network->layer[i]->type->flops(network->layer[i], i > 0);
    }
    return flops;
}

const lo_parameter *lo_network_find(const lo_network *network, const char *name)
{
    for (int k = 0; k < network->parameter_count; k++) {
        if (strcmp(network->parameter[k].name, name) == 0) {
            return &network->parameter[k];
        }
    }
    return NULL;
}

void lo_network_get(const lo_network *network, const lo_parameter *parameter, lo_values what, float *values)
{
    const float *from = parameter->statistic   ? network->statistics
                        : what == LO_GRADIENTS ? network->gradient
                                               : network->weights;
    for (size_t i = 0; i < count_of(parameter); i++) {
        values[i] = from[place_of(parameter, i)];
    }
}

void lo_network_set(lo_network *network, const lo_parameter *parameter, const float *values)
{
    float *to = parameter->statistic ? network->statistics : network->weights;
    for (size_t i = 0; i < count_of(parameter); i++) {
        to[place_of(parameter, i)] = values[i];
    }
}
