/* A layer: how it computes forward and backward, what memory it needs, and which parameters it owns. A layer
 * type is one file layer_*.c; it embeds lo_layer as its first member. */
#ifndef LEAVEOUT_NN_LAYER_H
#define LEAVEOUT_NN_LAYER_H

#include "base/arena.h"
#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/kernels/kernels.h"
#include "nn/slices.h"

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

/* What the gradients of a weight [inputs, columns] are made of where each example's is the outer product of
 * two vectors, whose elements the product rounds as its precision has it. */
typedef struct lo_factors {
    const float *x, *dy; /* [examples, x_step], of which `inputs` count; [examples, columns] */
    size_t inputs, x_step, columns;
    size_t offset; /* of the weight among the network's */
} lo_factors;

/* Who wants the gradients of parameters of one example at a time, in a backward pass in evaluation mode. A
 * layer that owns parameters then computes those of one example after the other, each time calls take, and
 * computes the gradients of its inputs for the whole batch as ever. */
typedef struct lo_each {
    /* The layer's parameter gradients of example n of the batch are where those of a batch are, but for that
     * of its first parameter, its weight, where weight_square is not NULL: the sum of its squares instead. */
    lo_status (*take)(void *self, const lo_layer *layer, size_t n, const double *weight_square);
    /* NULL, or takes the factors of all examples of the batch, before any of them, in place of the weight's
     * gradients; weight_square is then there, and nothing. */
    lo_status (*take_factors)(void *self, const lo_factors *factors);
    void *self;
    bool squares; /* squared norms are enough: a layer need not form the gradient of its weight */
} lo_each;

/* What a pass over a batch has at hand. */
typedef struct lo_pass {
    const lo_kernels *kernels;
    size_t examples;
    bool training; /* batch statistics, and running ones updated; else the running ones are used */
    float *scratch;
    const lo_tick *tick;
    const struct lo_draw *draw;
    const lo_each *each; /* backward: NULL in training, and where the batch's gradient is wanted */
    /* In training, a batch that is cut: parameters' gradients are made slice after slice, each taken by
     * lo_pass_add. NULL: it is one piece. */
    const lo_slices *slices;
} lo_pass;

/* Examples from .. to - 1 of a pass. */
typedef struct lo_range {
    size_t from, to;
} lo_range;

/* The slices that a pass goes through, one of all examples where it is not cut, and slice s of them. */
static inline size_t lo_pass_slices(const lo_pass *pass)
{
    return pass->slices != NULL ? pass->slices->count : 1;
}
static inline lo_range lo_pass_slice(const lo_pass *pass, size_t s)
{
    const lo_slices *slices = pass->slices;
    return slices != NULL ? (lo_range){slices->start[s], slices->start[s + 1]}
                          : (lo_range){0, pass->examples};
}

/* What random numbers of a step are keyed by. */
typedef struct lo_draw {
    uint64_t seed, model_seed, step;
    const uint32_t *example; /* [examples]: which ones they are; NULL: 0, 1, ... */
} lo_draw;

/* What the derivative of backward along a direction takes: a layer's inputs and output, the gradient of the
 * output, and the tangents (derivatives along the direction) of them all. x_dot[i] is NULL where it is zero.
 */
typedef struct lo_curve {
    const float *const *x, *const *x_dot;
    const float *y;
    float *dy;            /* as backward takes it; made 0 where ReLU stopped it, else kept */
    float *dy_dot;        /* lost */
    float *const *dx_dot; /* written unless NULL */
} lo_curve;

/* Derivatives along a direction, of a layer in evaluation mode. `along` is the network with the direction in
 * place of its weights. They come after forward in evaluation mode, and leave x, y and what forward has kept
 * in the layer as they are. */
typedef struct lo_layer_tangents {
    /* The tangent of y (Wengert, CACM 7, 1964): what forward becomes when it is differentiated. */
    lo_status (*tangent)(lo_layer *layer, const lo_pass *pass, const lo_network *along,
                         const float *const x[], const float *const x_dot[], const float *y, float *y_dot);
    /* The tangents of the gradients that backward writes, of the parameters in place of their gradients: the
     * R-operator (Pearlmutter, Neural Computation 6, 1994). After tangent. NULL: backward of dy_dot, as of
     * layers that are linear where ReLU or a maximum does not switch. */
    lo_status (*curve)(lo_layer *layer, const lo_pass *pass, const lo_network *along, const lo_curve *curve);
    /* As of the layer's type; what only these two need. NULL: nothing. */
    void (*reserve)(lo_layer *layer, size_t capacity, lo_memory *memory);
} lo_layer_tangents;

typedef struct lo_layer_type {
    const char *name;
    /* Takes the layer's own memory for batches of up to `capacity` examples; called twice (counting, taking).
     * NULL: none. */
    void (*reserve)(lo_layer *layer, const lo_kernels *kernels, size_t capacity, lo_memory *memory);
    /* Floats of scratch that forward and backward need; contents are lost between calls. Asked after
     * reserve. */
    size_t (*scratch)(const lo_layer *layer, const lo_kernels *kernels);
    /* y from the layer's inputs x[layer->inputs]. */
    lo_status (*forward)(lo_layer *layer, const lo_pass *pass, const float *const x[], float *y);
    /* After forward with the same x and y, in the same mode: writes the gradients of the layer's parameters,
     * which a frozen layer may leave out, or hands out those of each example (see lo_each), and writes those
     * of each x[i] whose dx[i] is not NULL. dy is lost. */
    lo_status (*backward)(lo_layer *layer, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[]);
    /* Floating point operations of one step on one example; with_dx: the gradient of x is needed too. Counted
     * as the plain algorithm does them, one multiplication and one addition a weight. */
    double (*flops)(const lo_layer *layer, bool with_dx);
    const lo_layer_tangents *tangents; /* NULL: nobody has worked them out */
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

/* sum += addend, value by value. */
static inline void lo_add_values(float *restrict sum, const float *restrict addend, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += addend[i];
    }
}

/* The types; each adds itself to a network that is being built, and takes its head (lo_network_head). Errors:
 * LO_USAGE where the sizes do not fit, LO_INTERNAL without memory. */

/* Names: a layer's parameters are NAME.weight, NAME.bias and so on; name NULL is the type's name and the
 * number of layers of that type so far, from 1. */

/* How weights start: uniform as PyTorch's layers do it by default; normal with deviation sqrt(2 / fan out)
 * (He et al., ICCV 2015), biases zero, as torchvision's ResNet and VGG; normal with deviation 0.01, biases
 * zero, as torchvision's VGG classifier; uniform by Glorot and Bengio (AISTATS 2010), biases normal with
 * deviation 1e-6 or zero, as torchvision's VisionTransformer; zero. */
typedef enum lo_start {
    LO_START_DEFAULT,
    LO_START_FAN_OUT,
    LO_START_SMALL,
    LO_START_GLOROT,
    LO_START_GLOROT_NO_BIAS,
    LO_START_DEFAULT_NO_BIAS,
    LO_START_FAN_IN,
    LO_START_ZERO
} lo_start;

/* y = W x + b, then ReLU if asked for. x is a vector. */
lo_status lo_layer_add_linear(lo_network *network, int32_t outputs, bool relu, lo_error *err);

typedef struct lo_linear_options {
    int32_t outputs;
    bool relu;
    bool each; /* the same map at every place of an image or of a sequence; else x is a vector */
    const char *name;
    const char *separator; /* between name and "weight", "bias"; NULL: a dot */
    lo_start start;
} lo_linear_options;
lo_status lo_layer_add_linear_as(lo_network *network, const lo_linear_options *options, lo_error *err);

/* Convolution; then, as asked for, batch normalization, adding another value, ReLU, 2x2 maximum pooling. What
 * follows the normalization comes with it alone, pooling with ReLU and without adding. */
typedef struct lo_conv_options {
    int32_t outputs, kernel, stride, padding, groups; /* stride and groups 0: 1 */
    bool bias, norm, relu, pool;
    int add;       /* the value that is added before ReLU, of the output's shape; 0: none */
    size_t images; /* that go through at once, of which rounding depends; 0: what fits the cache */
    const char *name, *norm_name;
    lo_start start;
} lo_conv_options;
lo_status lo_layer_add_conv(lo_network *network, const lo_conv_options *options, lo_error *err);

/* Batch normalization over examples and places, then ReLU if asked for. */
lo_status lo_layer_add_batch_norm(lo_network *network, bool relu, const char *name, lo_error *err);
/* Normalization of each place over its channels (Ba, Kiros and Hinton, 2016, arXiv 1607.06450). */
lo_status lo_layer_add_layer_norm(lo_network *network, double epsilon, const char *name, lo_error *err);

lo_status lo_layer_add_relu(lo_network *network, lo_error *err);
lo_status lo_layer_add_gelu(lo_network *network, lo_error *err);

/* In training each value is zero with probability `share`, and the others are scaled up by 1 / (1 - share)
 * (Srivastava et al., JMLR 2014). The mask depends on lo_draw and the layer alone. */
lo_status lo_layer_add_dropout(lo_network *network, double share, lo_error *err);

/* The largest value of windows of size x size, or their mean, padding counted as zeros; padding is at most
 * half of the size. Size 0: of the whole image. */
lo_status lo_layer_add_max_pool(lo_network *network, int32_t size, int32_t stride, int32_t padding,
                                lo_error *err);
lo_status lo_layer_add_mean_pool(lo_network *network, int32_t size, int32_t stride, int32_t padding,
                                 lo_error *err);
/* The mean over height and width. */
lo_status lo_layer_add_average(lo_network *network, lo_error *err);

/* The head plus another value of its shape, then ReLU if asked for. */
lo_status lo_layer_add_sum(lo_network *network, int other, bool relu, lo_error *err);

/* The image as a vector, [channels, height, width] as PyTorch has it. */
lo_status lo_layer_add_flatten(lo_network *network, lo_error *err);
/* The network's input as the layers want images, [height, width, channels]; the layers that need it add it.
 */
lo_status lo_layer_add_image(lo_network *network, lo_error *err);

/* The places of an image as a sequence of tokens (height: their number, width 1) after a learnt class token,
 * plus learnt positions: parameters class_name and position_name (Dosovitskiy et al., ICLR 2021). */
lo_status lo_layer_add_tokens(lo_network *network, const char *class_name, const char *position_name,
                              lo_error *err);
/* The first token, as a vector. */
lo_status lo_layer_add_first_token(lo_network *network, lo_error *err);
/* Self-attention of a sequence whose tokens hold query, key and value, each of `heads` heads (Vaswani et al.,
 * NeurIPS 2017); without the linear maps before and after it. */
lo_status lo_layer_add_attention(lo_network *network, int32_t heads, lo_error *err);

#endif
