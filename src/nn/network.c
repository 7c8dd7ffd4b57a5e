#include "nn/network.h"

#include "base/job.h"
#include "base/random.h"

#include <stdio.h>
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

lo_parameter lo_vector_parameter(size_t count, float fill)
{
    return (lo_parameter){
        .out = count, .in = 1, .taps = 1, .out_step = 1, .size = lo_padded(count), .fill = fill};
}

void lo_parameter_name(lo_parameter *parameter, const char *prefix, const char *suffix)
{
    (void)snprintf(parameter->name, sizeof(parameter->name), "%s.%s", prefix, suffix);
}

/* Room for one more element of a growing array: the array, moved perhaps, or NULL without memory. */
static void *grow(void *array, int count, size_t size)
{
    const bool full = count == 0 || (count & (count - 1)) == 0; /* its room is a power of two */
    return full ? realloc(array, (count == 0 ? 1 : 2 * (size_t)count) * size) : array;
}

lo_network *lo_network_create(lo_shape input, bool flat, int32_t classes)
{
    lo_network *network = calloc(1, sizeof(*network));
    if (network == NULL) {
        return NULL;
    }
    network->flow = calloc(1, sizeof(*network->flow));
    network->input = input;
    network->flat = flat;
    network->classes = classes;
    if (network->flow == NULL) {
        lo_network_destroy(&network);
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
    free((*network)->layer);
    free((*network)->parameter);
    free((*network)->trained);
    free((*network)->flow);
    free(*network);
    *network = NULL;
}

int lo_network_head(const lo_network *network)
{
    return network->head;
}

void lo_network_move(lo_network *network, int value)
{
    network->head = value;
}

lo_shape lo_network_shape_of(const lo_network *network, int value)
{
    if (value > 0) {
        return network->layer[value - 1]->out;
    }
    if (network->flat) {
        return (lo_shape){(int32_t)lo_shape_size(network->input), 1, 1};
    }
    return network->input;
}

lo_shape lo_network_shape(const lo_network *network)
{
    return lo_network_shape_of(network, network->head);
}

void *lo_layer_create(size_t size, const lo_layer_type *type, const lo_network *network, lo_shape out)
{
    lo_layer *layer = calloc(1, size);
    if (layer != NULL) {
        *layer = (lo_layer){.type = type, .in = lo_network_shape(network), .out = out, .inputs = 1};
    }
    return layer;
}

lo_status lo_layer_add_map(lo_network *network, const lo_layer_type *type, lo_error *err)
{
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    lo_layer *layer = lo_layer_create(sizeof(*layer), type, network, lo_network_shape(network));
    return layer != NULL ? lo_network_add(network, layer, err)
                         : lo_fail(err, LO_INTERNAL, "no memory for layer %s", type->name);
}

bool lo_network_add_parameter(lo_network *network, const lo_parameter *parameter, size_t *offset)
{
    lo_parameter *list = grow(network->parameter, network->parameter_count, sizeof(*list));
    if (list == NULL) {
        return false;
    }
    network->parameter = list;
    size_t *end = parameter->statistic ? &network->statistic_size : &network->weight_size;
    lo_parameter *p = &list[network->parameter_count++];
    *p = *parameter;
    p->offset = *end;
    p->layer = network->layer_count;
    *offset = p->offset;
    *end += lo_padded(p->size);
    return true;
}

lo_status lo_network_add(lo_network *network, lo_layer *layer, lo_error *err)
{
    const int count = network->layer_count;
    lo_layer **layers = grow(network->layer, count, sizeof(*layers));
    network->layer = layers != NULL ? layers : network->layer;
    lo_flow *flow = realloc(network->flow, ((size_t)count + 2) * sizeof(*flow));
    network->flow = flow != NULL ? flow : network->flow;
    if (layers == NULL || flow == NULL) {
        free(layer);
        return lo_fail(err, LO_INTERNAL, "no memory for layer %d of a network", count + 1);
    }
    flow[count + 1] = (lo_flow){0};
    layer->network = network;
    layer->value[0] = network->head;
    layers[count] = layer;
    network->layer_count++;
    network->head = network->layer_count;
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

lo_status lo_check_addend(const lo_network *network, int value, lo_shape shape, const char *name,
                          lo_error *err)
{
    const lo_shape other = lo_network_shape_of(network, value);
    if (value < 1 || other.channels != shape.channels || other.height != shape.height ||
        other.width != shape.width) {
        return lo_fail(err, LO_USAGE, "layer %s: %d x %d x %d and %d x %d x %d cannot be added", name,
                       other.channels, other.height, other.width, shape.channels, shape.height, shape.width);
    }
    return LO_OK;
}

const char *lo_network_name(const lo_network *network, const lo_layer_type *type, const char *name,
                            char buffer[LO_NAME_SIZE])
{
    if (name != NULL) {
        (void)snprintf(buffer, LO_NAME_SIZE, "%s", name);
    } else {
        (void)snprintf(buffer, LO_NAME_SIZE, "%s%d", type->name, lo_network_count(network, type));
    }
    return buffer;
}

size_t lo_network_input_size(const lo_network *network)
{
    return lo_padded(lo_shape_size(network->input));
}

size_t lo_network_logit_step(const lo_network *network)
{
    return lo_padded((size_t)network->classes);
}

/* ---- memory ---- */

/* The gradients of values u > v are both needed for a while: that of v from the backward pass of the last
 * layer that takes it until that of the layer that made it. */
static bool meet(const lo_network *network, int u, int v)
{
    return u - 1 <= network->flow[v].last;
}

/* The lowest place of [size] floats that gradients of later values leave to value v. */
static size_t free_place(const lo_network *network, int v)
{
    const lo_flow *own = &network->flow[v];
    size_t place = 0;
    for (int u = v + 1; u <= network->layer_count; u++) {
        const lo_flow *other = &network->flow[u];
        if (meet(network, u, v) && place < other->place + other->size && other->place < place + own->size) {
            place = other->place + other->size;
            u = v; /* from the start, with the new place */
        }
    }
    return place;
}

/* Sizes, and the places of the gradients. Returns the floats that those take for one example. */
static size_t plan_slopes(lo_network *network)
{
    size_t size = 0;
    for (int v = 0; v <= network->layer_count; v++) {
        network->flow[v].size =
            v > 0 ? lo_layer_out_size(network->layer[v - 1]) : lo_network_input_size(network);
        network->flow[v].last = v; /* the logits': from the loss on */
    }
    for (int i = 0; i < network->layer_count; i++) {
        for (int k = 0; k < network->layer[i]->inputs; k++) {
            network->flow[network->layer[i]->value[k]].last = i;
        }
    }
    for (int v = network->layer_count; v >= 0; v--) {
        lo_flow *flow = &network->flow[v];
        flow->place = free_place(network, v);
        size = flow->place + flow->size > size ? flow->place + flow->size : size;
    }
    return size;
}

/* Is the gradient of input k of layer i one to be added to what is there? */
static bool is_addend(const lo_network *network, int i, int k)
{
    const lo_layer *layer = network->layer[i];
    return network->flow[layer->value[k]].last > i || (k > 0 && layer->value[k] == layer->value[0]);
}

void lo_network_reserve(lo_network *network, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    const size_t slopes = plan_slopes(network);
    size_t scratch = 0, addend[LO_LAYER_INPUTS] = {0};
    network->kernels = kernels;
    network->capacity = capacity;
    network->weights =
        network->owner != NULL ? network->owner->weights : lo_memory_floats(memory, network->weight_size);
    network->gradient = lo_memory_floats(memory, network->weight_size);
    network->statistics = lo_memory_floats(memory, network->statistic_size);
    network->flow[0].activation = lo_memory_floats(memory, capacity * network->flow[0].size);
    for (int i = 0; i < network->layer_count; i++) {
        lo_layer *layer = network->layer[i];
        network->flow[i + 1].activation = lo_memory_floats(memory, capacity * network->flow[i + 1].size);
        if (layer->type->reserve != NULL) {
            layer->type->reserve(layer, kernels, capacity, memory);
        }
        const size_t needed = layer->type->scratch != NULL ? layer->type->scratch(layer, kernels) : 0;
        scratch = needed > scratch ? needed : scratch;
        for (int k = 0; k < layer->inputs; k++) {
            const size_t size = is_addend(network, i, k) ? network->flow[layer->value[k]].size : 0;
            addend[k] = size > addend[k] ? size : addend[k];
        }
    }
    network->slopes = lo_memory_floats(memory, capacity * slopes);
    for (int k = 0; k < LO_LAYER_INPUTS; k++) {
        network->addend[k] = lo_memory_floats(memory, capacity * addend[k]);
    }
    network->scratch = lo_memory_floats(memory, scratch);
    for (size_t level = 0; level < lo_slice_levels(network->slices.count); level++) {
        network->slices.partial[level] = lo_memory_floats(memory, network->weight_size);
    }
}

/* ---- weights ---- */

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

static float initial_value(const lo_parameter *p, lo_random random, uint64_t model_seed, uint64_t number)
{
    if (p->bound > 0) {
        return p->bound * (2.0F * lo_random_unit(random, model_seed, number) - 1.0F);
    }
    if (p->deviation > 0) {
        return p->deviation * lo_random_normal(random, model_seed, number);
    }
    return p->fill;
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
            values[place_of(p, i)] = initial_value(p, random, model_seed, number + i);
        }
        number += p->statistic ? 0 : count_of(p);
    }
    return LO_OK;
}

/* ---- passes ---- */

float *lo_network_input(lo_network *network)
{
    return network->flow[0].activation;
}

const float *lo_network_logits(const lo_network *network)
{
    return network->flow[network->layer_count].activation;
}

static float *slope_of(lo_network *network, int value)
{
    return network->slopes + network->capacity * network->flow[value].place;
}

float *lo_network_logit_slope(lo_network *network)
{
    return slope_of(network, network->layer_count);
}

const float *lo_network_input_slope(const lo_network *network)
{
    return network->slopes + network->capacity * network->flow[0].place;
}

/* What a pass in training goes through slice by slice. */
static const lo_slices *slices_of(const lo_network *network, bool training)
{
    return training && network->slices.batch > 0 ? &network->slices : NULL;
}

void lo_pass_add(const lo_pass *pass, const lo_network *network, size_t s, size_t offset)
{
    for (int k = 0; pass->slices != NULL && k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (!p->statistic && p->offset == offset) {
            lo_slices_add_gradient(pass->slices, s, network->gradient, offset, p->size);
        }
    }
}

static void inputs_of(const lo_network *network, const lo_layer *layer, const float *x[])
{
    for (int k = 0; k < layer->inputs; k++) {
        x[k] = network->flow[layer->value[k]].activation;
    }
}

lo_status lo_network_forward(lo_network *network, size_t examples, bool training, const lo_tick *tick)
{
    const lo_pass pass = {.kernels = network->kernels,
                          .examples = examples,
                          .training = training,
                          .scratch = network->scratch,
                          .tick = tick,
                          .draw = &network->draw,
                          .slices = slices_of(network, training)};
    for (int i = 0; i < network->layer_count; i++) {
        lo_layer *layer = network->layer[i];
        const float *x[LO_LAYER_INPUTS];
        inputs_of(network, layer, x);
        LO_TRY(layer->type->forward(layer, &pass, x, network->flow[i + 1].activation));
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

/* Which values depend on a trained parameter: the others' gradients are not needed. */
void lo_network_find_learning(lo_network *network)
{
    lo_flow *flow = network->flow;
    for (int v = 0; v <= network->layer_count; v++) {
        flow[v].learns = v == 0 && network->input_learns;
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const int i = network->parameter[k].layer;
        flow[i + 1].learns = flow[i + 1].learns || !network->layer[i]->frozen;
    }
    for (int i = 0; i < network->layer_count; i++) {
        for (int k = 0; k < network->layer[i]->inputs; k++) {
            flow[i + 1].learns = flow[i + 1].learns || flow[network->layer[i]->value[k]].learns;
        }
    }
}

static lo_status layer_backward(lo_network *network, int i, const lo_pass *pass, lo_backward_step *step,
                                void *self)
{
    lo_layer *layer = network->layer[i];
    const float *x[LO_LAYER_INPUTS];
    float *dx[LO_LAYER_INPUTS];
    inputs_of(network, layer, x);
    for (int k = 0; k < layer->inputs; k++) {
        const int v = layer->value[k];
        dx[k] = !network->flow[v].learns   ? NULL
                : is_addend(network, i, k) ? network->addend[k]
                                           : slope_of(network, v);
    }
    LO_TRY(step(self, pass, i, x, network->flow[i + 1].activation, slope_of(network, i + 1), dx));
    for (int k = 0; k < layer->inputs; k++) {
        if (dx[k] != NULL && is_addend(network, i, k)) {
            const int v = layer->value[k];
            lo_add_values(slope_of(network, v), dx[k], pass->examples * network->flow[v].size);
        }
    }
    return LO_OK;
}

lo_status lo_network_backward_by(lo_network *network, const lo_pass *pass, lo_backward_step *step, void *self)
{
    lo_network_find_learning(network);
    for (int i = network->layer_count - 1; i >= 0; i--) {
        if (network->flow[i + 1].learns) {
            LO_TRY(layer_backward(network, i, pass, step, self));
            LO_TRY(lo_tick_call(pass->tick));
        }
    }
    return LO_OK;
}

static lo_status backward_step(void *self, const lo_pass *pass, int i, const float *const x[], const float *y,
                               float *dy, float *const dx[])
{
    lo_layer *layer = ((const lo_network *)self)->layer[i];
    return layer->type->backward(layer, pass, x, y, dy, dx);
}

static lo_status backward(lo_network *network, const lo_pass *pass)
{
    return lo_network_backward_by(network, pass, backward_step, network);
}

lo_status lo_network_backward(lo_network *network, size_t examples, const lo_tick *tick)
{
    return backward(network, &(lo_pass){.kernels = network->kernels,
                                        .examples = examples,
                                        .training = true,
                                        .scratch = network->scratch,
                                        .tick = tick,
                                        .draw = &network->draw,
                                        .slices = slices_of(network, true)});
}

/* ---- what does not learn ---- */

static lo_status find_trained(lo_network *network, const char *name, lo_parameter **out, lo_error *err)
{
    for (int k = 0; k < network->parameter_count; k++) {
        lo_parameter *p = &network->parameter[k];
        if (!p->statistic && strcmp(p->name, name) == 0) {
            *out = p;
            return LO_OK;
        }
    }
    return lo_fail(err, LO_USAGE, "the network has no parameter %s", name);
}

lo_status lo_network_freeze(lo_network *network, const char *name, bool frozen, lo_error *err)
{
    lo_parameter *parameter = NULL;
    LO_TRY(find_trained(network, name, &parameter, err));
    parameter->frozen = frozen;
    bool all = true;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        all = all && (p->layer != parameter->layer || p->statistic || p->frozen);
    }
    network->layer[parameter->layer]->frozen = all;
    return LO_OK;
}

/* A bit for each weight, all of them set. */
static lo_status make_bits(lo_network *network, lo_error *err)
{
    const size_t words = network->weight_size / LO_LANES;
    if (network->trained == NULL) {
        network->trained = malloc((words + 1) * sizeof(*network->trained));
        if (network->trained == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for a mask of %zu weights", network->weight_size);
        }
        memset(network->trained, 0xFF, words * sizeof(*network->trained));
    }
    return LO_OK;
}

lo_status lo_network_mask(lo_network *network, const char *name, const uint8_t *trained, lo_error *err)
{
    lo_parameter *p = NULL;
    LO_TRY(find_trained(network, name, &p, err));
    LO_TRY(trained != NULL ? make_bits(network, err) : LO_OK);
    p->held = 0;
    if (network->trained == NULL) {
        return LO_OK;
    }
    memset(network->trained + p->offset / LO_LANES, 0xFF, p->size / LO_LANES * sizeof(*network->trained));
    for (size_t i = 0; trained != NULL && i < count_of(p); i++) {
        if (trained[i] == 0) {
            const size_t place = place_of(p, i);
            network->trained[place / LO_LANES] &= (uint16_t) ~(1U << place % LO_LANES);
            p->held++;
        }
    }
    return LO_OK;
}

/* 0 where masks hold elements of the parameter, in a vector laid out as the weights. */
static void clear_held(const lo_network *network, const lo_parameter *p, float *vector)
{
    for (size_t i = 0; p->held > 0 && i < p->size; i++) {
        const size_t place = p->offset + i;
        vector[place] = lo_network_holds(network, place) ? 0 : vector[place];
    }
}

void lo_network_clear_untrained(const lo_network *network, float *vector)
{
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (p->frozen && !p->statistic) {
            memset(vector + p->offset, 0, p->size * sizeof(float));
        }
        clear_held(network, p, vector);
    }
}

static lo_status take_unheld(void *self, const lo_layer *layer, size_t n, const double *weight_square)
{
    const lo_each *each = self;
    const lo_network *network = layer->network;
    for (int k = 0; k < network->parameter_count; k++) {
        if (network->layer[network->parameter[k].layer] == layer) {
            clear_held(network, &network->parameter[k], network->gradient);
        }
    }
    return each->take(each->self, layer, n, weight_square);
}

/* Who takes factors sees to what is held. */
static lo_status pass_factors(void *self, const lo_factors *factors)
{
    const lo_each *each = self;
    return each->take_factors(each->self, factors);
}

static bool has_held(const lo_network *network)
{
    bool held = false;
    for (int k = 0; k < network->parameter_count; k++) {
        held = held || network->parameter[k].held > 0;
    }
    return held;
}

lo_status lo_network_backward_fixed(lo_network *network, size_t examples, const lo_each *each,
                                    const lo_tick *tick)
{
    lo_each unheld = {.self = (void *)(uintptr_t)each, .take = take_unheld};
    if (each != NULL && each->take_factors != NULL) {
        unheld.take_factors = pass_factors;
    }
    return backward(network, &(lo_pass){.kernels = network->kernels,
                                        .examples = examples,
                                        .scratch = network->scratch,
                                        .tick = tick,
                                        .draw = &network->draw,
                                        .each = each != NULL && has_held(network) ? &unheld : each});
}

size_t lo_network_trained_run(const lo_network *network, size_t *at)
{
    size_t end = network->weight_size;
    for (int k = 0; k < network->parameter_count; k++) { /* in the order of their offsets */
        const lo_parameter *p = &network->parameter[k];
        if (!p->frozen || p->statistic) {
            continue;
        }
        if (p->offset <= *at && *at < p->offset + lo_padded(p->size)) {
            *at = p->offset + lo_padded(p->size);
        } else if (p->offset > *at) {
            end = p->offset;
            break;
        }
    }
    return end - *at;
}

void lo_network_without_dropout(lo_network *network)
{
    network->keeps_all = true;
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
    double flops = 0; /* all layers but the first need their input's gradient */
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
    const lo_parameter *p = parameter;
    const float *from = p->offset + (p->statistic           ? network->statistics
                                     : what == LO_GRADIENTS ? network->gradient
                                                            : network->weights);
    for (size_t first = 0; first < p->out; first += LO_LANES) { /* whole cache lines of outputs */
        const size_t end = p->out - first < LO_LANES ? p->out : first + LO_LANES;
        for (size_t rest = 0; rest < p->in * p->taps; rest++) {
            const float *row = from + rest / p->taps * p->in_step + rest % p->taps * p->tap_step;
            for (size_t o = first; o < end; o++) {
                values[o * p->in * p->taps + rest] = row[o * p->out_step];
            }
        }
    }
}

void lo_network_set(lo_network *network, const lo_parameter *parameter, const float *values)
{
    float *to = parameter->statistic ? network->statistics : network->weights;
    for (size_t i = 0; i < count_of(parameter); i++) {
        to[place_of(parameter, i)] = values[i];
    }
}

/* ---- values ---- */

static int number_of_type(const lo_network *network, int layer)
{
    int number = 1;
    for (int i = 0; i < layer; i++) {
        number += network->layer[i]->type == network->layer[layer]->type ? 1 : 0;
    }
    return number;
}

void lo_network_value_name(const lo_network *network, int value, char buffer[LO_NAME_SIZE])
{
    const int last = network->layer_count;
    if (value == 0 || value == last) {
        (void)snprintf(buffer, LO_NAME_SIZE, "%s", value == 0 ? "input" : "logits");
        return;
    }
    for (int k = 0; k < network->parameter_count; k++) { /* the layer's first parameter is NAME.weight */
        if (network->parameter[k].layer == value - 1) {
            const char *name = network->parameter[k].name, *dot = strrchr(name, '.');
            const bool prefixed = dot != NULL && strcmp(dot, ".weight") == 0;
            const int length = (int)(prefixed ? (size_t)(dot - name) : strlen(name));
            (void)snprintf(buffer, LO_NAME_SIZE, "%.*s", length, name);
            return;
        }
    }
    (void)snprintf(buffer, LO_NAME_SIZE, "%s%d", network->layer[value - 1]->type->name,
                   number_of_type(network, value - 1));
}

lo_status lo_network_value(const lo_network *network, const char *name, int *value, lo_error *err)
{
    char own[LO_NAME_SIZE], near[LO_NAME_SIZE];
    size_t length = 1;
    for (int v = 0; v <= network->layer_count; v++) {
        lo_network_value_name(network, v, own);
        length += strlen(own) + 1;
        if (strcmp(own, name) == 0) {
            *value = v;
            return LO_OK;
        }
    }
    char *known = calloc(length, 1);
    if (known == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the names of a network's values");
    }
    for (int v = 0, at = 0; v <= network->layer_count; v++) {
        lo_network_value_name(network, v, own);
        at += snprintf(known + at, length - (size_t)at, "%s%s", v > 0 ? " " : "", own);
    }
    const char *nearest = lo_nearest(name, known, near, sizeof(near));
    const lo_status status =
        nearest != NULL ? lo_fail(err, LO_USAGE, "the network has no value %s (nearest: %s)", name, nearest)
                        : lo_fail(err, LO_USAGE, "the network has no value %s; it has %s", name, known);
    free(known);
    return status;
}

void lo_network_take(const lo_network *network, int value, size_t n, float *to)
{
    const lo_shape shape = lo_network_shape_of(network, value);
    const size_t places = (size_t)shape.height * (size_t)shape.width, channels = (size_t)shape.channels;
    const lo_flow *flow = &network->flow[value];
    const float *from = flow->activation + n * flow->size;
    if (value == 0) {
        memcpy(to, from, lo_shape_size(shape) * sizeof(float));
        return;
    }
    for (size_t c = 0; c < channels; c++) {
        for (size_t p = 0; p < places; p++) {
            to[c * places + p] = from[p * lo_padded(channels) + c];
        }
    }
}
