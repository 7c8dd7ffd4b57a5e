/* A layer: how it computes forward and backward, what memory it needs, and which parameters it owns. A layer
 * type is one file layer_*.c; it embeds lo_layer as its first member. */
#ifndef LEAVEOUT_NN_LAYER_H
#define LEAVEOUT_NN_LAYER_H

#include "base/arena.h"
#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_layer lo_layer;
typedef struct lo_network lo_network;

/* Memory is planned by the code that takes it: with no arena, pieces are only counted. */
typedef struct lo_memory {
    lo_arena *arena;
    size_t bytes;
} lo_memory;

/* `count` zeroed floats of the arena, aligned to 64 bytes; NULL while counting. */
float *lo_memory_floats(lo_memory *memory, size_t count);
void *lo_memory_bytes(lo_memory *memory, size_t count, size_t size);

/* What a pass over a batch has at hand. */
typedef struct lo_pass {
    const lo_kernels *kernels;
    size_t examples;
    bool training; /* batch statistics, and running ones updated; else the running ones are used */
    float *scratch;
    const lo_tick *tick;
} lo_pass;

typedef struct lo_layer_type {
    const char *name;
    /* Takes the layer's own memory for batches of up to `capacity` examples; called twice (counting, taking).
     */
    void (*reserve)(lo_layer *layer, const lo_kernels *kernels, size_t capacity, lo_memory *memory);
    /* Floats of scratch that forward and backward need; contents are lost between calls. Asked after
     * reserve. */
    size_t (*scratch)(const lo_layer *layer, const lo_kernels *kernels);
    /* y from the layer's inputs x[layer->inputs]. */
    lo_status (*forward)(lo_layer *layer, const lo_pass *pass, const float *const x[], float *y);
    /* After forward with the same x and y, in training mode: writes the gradients of the layer's parameters,
     * which a frozen layer may leave out, and of each x[i] whose dx[i] is not NULL. dy is lost. */
    lo_status (*backward)(lo_layer *layer, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[]);
    /* Floating point operations of one step on one example; with_dx: the gradient of x is needed too. Counted
     * as the plain algorithm does them, one multiplication and one addition a weight. */
    double (*flops)(const lo_layer *layer, bool with_dx);
} lo_layer_type;

/* What flows through a network are its values: value 0 is the network's input, value i + 1 what layer i
 * makes. */
enum { LO_LAYER_INPUTS = 2 };

struct lo_layer {
    const lo_layer_type *type;
    lo_shape in, out;           /* in: of the first input */
    int inputs;                 /* 1 or 2 */
    int value[LO_LAYER_INPUTS]; /* which values they are; the first is set by lo_network_add */
    bool frozen;                /* has parameters, none of which is trained: their gradient is not needed */
    const lo_network *network;  /* where parameters, gradients and statistics are */
};

/* Floats of one example's activation. */
static inline size_t lo_layer_out_size(const lo_layer *layer)
{
    return (size_t)layer->out.height * (size_t)layer->out.width * lo_padded((size_t)layer->out.channels);
}

/* The types; each adds itself to a network that is being built, and takes its head (lo_network_head). Errors:
 * LO_USAGE where the sizes do not fit, LO_INTERNAL without memory. */

/* y = W x + b, then ReLU if asked for. x is a vector. */
lo_status lo_layer_add_linear(lo_network *network, int32_t outputs, bool relu, lo_error *err);
/* 3x3 convolution with padding 1 and no bias, batch normalization, ReLU, 2x2 maximum pooling. */
lo_status lo_layer_add_conv_pool(lo_network *network, int32_t outputs, lo_error *err);
/* The mean over height and width. */
lo_status lo_layer_add_average(lo_network *network, lo_error *err);

#endif
