/* A network: layers, each with one or two of the values before it as inputs, their parameters in one piece of
 * memory, and the buffers that a batch needs. */
#ifndef LEAVEOUT_NN_NETWORK_H
#define LEAVEOUT_NN_NETWORK_H

#include "nn/layers/layer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A parameter or a running statistic. Seen from outside it is PyTorch's tensor [out, in, taps], flat; in
 * memory element (o, i, t) lies at offset + o * out_step + i * in_step + t * tap_step, among zeros that stay
 * zero. */
typedef struct lo_parameter {
    char name[96]; /* linear1.weight layer1.0.bn1.running_var ... */
    size_t out, in, taps;
    size_t out_step, in_step, tap_step;
    int ones;        /* axes of size 1 that PyTorch's tensor has in front */
    size_t size;     /* floats in memory, padding included */
    float fill;      /* initial value where bound and deviation are 0 */
    float bound;     /* above 0: initial values are uniform in +-bound */
    float deviation; /* above 0: initial values are normal, of mean 0 and this standard deviation */
    bool statistic;  /* of batch normalization: not trained */
    size_t offset;   /* set when it is added */
    int layer;       /* the number of the layer that it belongs to; likewise */
    bool frozen;     /* see lo_network_freeze */
    size_t held;     /* elements held by a mask: see lo_network_mask */
} lo_parameter;

/* A vector of parameters or statistics, all of them `fill` at first. */
lo_parameter lo_vector_parameter(size_t count, float fill);

/* Names it PREFIX.SUFFIX. */
void lo_parameter_name(lo_parameter *parameter, const char *prefix, const char *suffix);

/* One of the values, in memory. */
typedef struct lo_flow {
    float *activation; /* [capacity, size]; kept from the forward pass for the backward pass */
    size_t size;       /* floats of one example */
    int last;          /* the last layer that takes it, and the first to write its gradient; the others add */
    size_t place;      /* where its gradient is among the slopes, in floats of one example */
    bool learns;       /* depends on a trained parameter */
} lo_flow;

struct lo_network {
    lo_shape input;
    bool flat; /* the first layer sees the input as a vector */
    int32_t classes;
    int layer_count;
    lo_layer **layer;
    int head; /* the value that the next layer takes */
    int parameter_count;
    lo_parameter *parameter;
    size_t weight_size, statistic_size; /* floats */

    const lo_kernels *kernels;
    size_t capacity;
    float *weights, *gradient;      /* [weight_size] */
    uint16_t *trained;              /* [weight_size / LO_LANES]: see lo_network_mask; NULL: nothing is held */
    float *statistics;              /* [statistic_size] */
    lo_flow *flow;                  /* [layer_count + 1]: the values */
    float *slopes;                  /* the gradients of the values, each while it is needed */
    float *addend[LO_LAYER_INPUTS]; /* gradients to be added to what other layers wrote */
    float *scratch;
    bool multiplied;   /* a lo_product is at work in its layers */
    bool input_learns; /* the gradient of value 0 is asked for */
    bool keeps_all;    /* dropout is the identity */
    lo_draw draw;      /* set it before a forward pass in training mode where there is dropout */
    lo_slices slices;  /* of training; total, count and team are set before memory is reserved */
    const lo_network
        *owner; /* likewise: where the weights are that this network reads; NULL: it has its own */
};

/* An empty network for images of `input`; flat: it sees them as vectors. NULL without memory. */
lo_network *lo_network_create(lo_shape input, bool flat, int32_t classes);
void lo_network_destroy(lo_network **network);

/* The head is the value that the next layer takes: what the last layer made, unless the head was moved to an
 * earlier value, from which another branch then starts. A network's logits are its last value. */
int lo_network_head(const lo_network *network);
void lo_network_move(lo_network *network, int value);

/* Shapes of the head and of any value. */
lo_shape lo_network_shape(const lo_network *network);
lo_shape lo_network_shape_of(const lo_network *network, int value);

/* For layers: a parameter (copied; *offset is where it starts; false without memory) of the layer that is
 * added next, and that layer itself, which the network then owns (it is freed on failure too). */
bool lo_network_add_parameter(lo_network *network, const lo_parameter *parameter, size_t *offset);
/* A layer of `size` bytes that begins with an lo_layer of one input: the head, and an output of shape `out`;
 * NULL without memory. */
void *lo_layer_create(size_t size, const lo_layer_type *type, const lo_network *network, lo_shape out);
/* Adds a layer that has nothing but its type and maps values one by one. */
lo_status lo_layer_add_map(lo_network *network, const lo_layer_type *type, lo_error *err);
lo_status lo_network_add(lo_network *network, lo_layer *layer, lo_error *err);

/* LO_USAGE unless the value (not the network's input) has this shape; for layers that add. */
lo_status lo_check_addend(const lo_network *network, int value, lo_shape shape, const char *name,
                          lo_error *err);

/* The name of the layer that is added next: `name`, or the type's and its number, written to buffer. */
enum { LO_NAME_SIZE = 80 };
const char *lo_network_name(const lo_network *network, const lo_layer_type *type, const char *name,
                            char buffer[LO_NAME_SIZE]);
/* The same layer name counted up: the number of layers of this type so far, plus one. */
int lo_network_count(const lo_network *network, const lo_layer_type *type);

/* Takes all memory for batches of up to `capacity` examples; called twice, first to count. */
void lo_network_reserve(lo_network *network, const lo_kernels *kernels, size_t capacity, lo_memory *memory);

/* Floats of one input example ([channels, height, width], padded at the end), and the step between two rows
 * of logits. */
size_t lo_network_input_size(const lo_network *network);
size_t lo_network_logit_step(const lo_network *network);

/* Fresh weights: PyTorch's defaults. Value i of the trained parameters, counted through all of them in their
 * order, comes from counter (model_seed, i) of the seed's stream for weights. Statistics as new. */
lo_status lo_network_initialize(lo_network *network, uint64_t seed, uint64_t model_seed, const lo_tick *tick);

/* The input's buffer, [examples, lo_network_input_size], and the logits' of the last forward pass. */
float *lo_network_input(lo_network *network);
const float *lo_network_logits(const lo_network *network);

/* A forward pass over the first `examples` examples of the input; a backward pass after one in training mode,
 * from the gradient of the logits in lo_network_logit_slope. Both call tick between the layers and inside
 * long ones. */
lo_status lo_network_forward(lo_network *network, size_t examples, bool training, const lo_tick *tick);
float *lo_network_logit_slope(lo_network *network);
lo_status lo_network_backward(lo_network *network, size_t examples, const lo_tick *tick);

/* The same after a forward pass in evaluation mode, where the network is a map of each example alone: batch
 * normalization with the running statistics, no dropout. each NULL: the gradients of the batch, as in
 * training; else those of each example (see lo_each), with what masks hold set to 0. Frozen layers are passed
 * over. What the forward pass left is lost: another backward pass needs another one. */
lo_status lo_network_backward_fixed(lo_network *network, size_t examples, const lo_each *each,
                                    const lo_tick *tick);

/* The gradient of the input, laid out as lo_network_input, after a backward pass before which input_learns
 * was set. */
const float *lo_network_input_slope(const lo_network *network);

/* Values by name, for features: "input"; "logits", the last; the others are named after the layer that makes
 * them: the name of its parameters (conv1, layer1.0.conv2, class_token), or its type and number (sum2,
 * max_pool1). Convolutions have batch normalization, ReLU and 2x2 pooling in them where these follow. */
void lo_network_value_name(const lo_network *network, int value, char buffer[LO_NAME_SIZE]);
/* Errors: LO_USAGE for an unknown name, with the nearest one. */
lo_status lo_network_value(const lo_network *network, const char *name, int *value, lo_error *err);

/* Copies a value of example n of the last forward pass: [channels, height, width]. */
void lo_network_take(const lo_network *network, int value, size_t n, float *to);
/* For passes backward of other kinds: calls `step` in place of the backward function of each layer i that
 * leads to a trained parameter, from the last to the first; arguments as of lo_layer_type's. What it writes
 * in place of gradients is passed on as gradients are. */
typedef lo_status lo_backward_step(void *self, const lo_pass *pass, int i, const float *const x[],
                                   const float *y, float *dy, float *const dx[]);
lo_status lo_network_backward_by(lo_network *network, const lo_pass *pass, lo_backward_step *step,
                                 void *self);

/* In a backward pass over slices: the gradient of the trained parameter that begins at `offset` is slice s's.
 * Slices come in their order from 0; after the last the gradient is their sum. Without slices: nothing. */
void lo_pass_add(const lo_pass *pass, const lo_network *network, size_t s, size_t offset);

/* Sets `learns` of the values. A backward pass does so itself. */
void lo_network_find_learning(lo_network *network);

/* Dropout becomes the identity, for comparisons. */
void lo_network_without_dropout(lo_network *network);

/* A frozen parameter keeps its bits through every step of every optimizer (weight decay, momentum and moments
 * included), adds nothing to the norm at which gradients are clipped, and where a layer has no others its
 * gradient is not computed. Running statistics are no parameters: they follow the batches, as in PyTorch.
 * Holds until it is taken back, over trainings; initial values and lo_network_set change it all the same.
 * Errors: LO_USAGE where the network has no such parameter. */
lo_status lo_network_freeze(lo_network *network, const char *name, bool frozen, lo_error *err);

/* The same for elements of a parameter: trained [out * in * taps], in PyTorch's order, is 0 for those that
 * are held; NULL holds none. network->trained has a bit for each weight in memory, LO_LANES of them to a
 * number, lowest first: 0 where one is held. Errors: also LO_INTERNAL without memory, where the last mask
 * stays. */
lo_status lo_network_mask(lo_network *network, const char *name, const uint8_t *trained, lo_error *err);

/* Is the weight at `place` in memory held by a mask? */
static inline bool lo_network_holds(const lo_network *network, size_t place)
{
    return network->trained != NULL && (network->trained[place / LO_LANES] >> place % LO_LANES & 1) == 0;
}

/* The bits of the weights from `place`, a multiple of LO_LANES, on; NULL: nothing is held. */
static inline const uint16_t *lo_network_bits(const lo_network *network, size_t place)
{
    return network->trained != NULL ? network->trained + place / LO_LANES : NULL;
}

/* Sets to 0 the elements of a vector [weight_size], laid out as the weights, that are frozen or held. */
void lo_network_clear_untrained(const lo_network *network, float *vector);

/* The next run of weights from *at on that is not frozen: its length, and *at its start; 0: there is none. */
size_t lo_network_trained_run(const lo_network *network, size_t *at);

/* Trained parameters, as PyTorch counts them, and operations of a step on one example. */
int64_t lo_network_parameters(const lo_network *network);
double lo_network_flops(const lo_network *network);

/* Values of a parameter, its gradient or a statistic in PyTorch's order, [out * in * taps]. */
typedef enum lo_values { LO_VALUES, LO_GRADIENTS } lo_values;
const lo_parameter *lo_network_find(const lo_network *network, const char *name);
void lo_network_get(const lo_network *network, const lo_parameter *parameter, lo_values what, float *values);
void lo_network_set(lo_network *network, const lo_parameter *parameter, const float *values);

#endif
