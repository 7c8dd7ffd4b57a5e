/* A convolution of any kernel, stride, padding and groups, as the layers that have one share it. Three ways:
 * 3x3 with stride 1 and padding 1 by Winograd's kernels, 1x1 as a product of matrices, all else as a product
 * with the patches of some images at a time. */
#ifndef LEAVEOUT_NN_CONVOLUTION_H
#define LEAVEOUT_NN_CONVOLUTION_H

#include "nn/network.h"

typedef enum lo_way { LO_BY_WINOGRAD, LO_BY_PRODUCT, LO_BY_PATCHES } lo_way;

typedef struct lo_convolution {
    lo_way way;
    bool planar; /* its input is the network's, [channels, height, width]; without groups */
    size_t kernel, stride, padding, groups;
    size_t height, width, in, in_columns; /* columns: channels as they lie in memory, padded */
    size_t out_height, out_width, out, out_columns;
    size_t images;                     /* that a call takes at most: what fits the cache */
    size_t x_size;                     /* floats of an input example */
    size_t weight;                     /* where it starts */
    lo_conv conv;                      /* by Winograd */
    float *filter, *turned, *gradient; /* by Winograd: transformed; with groups: as dense matrices */
} lo_convolution;

/* What is asked for; the network's head is the input. */
typedef struct lo_convolution_spec {
    int32_t outputs, kernel, stride, padding, groups; /* stride and groups 0: 1 */
} lo_convolution_spec;

/* Sizes of the convolution and the shape of its output. Errors: LO_USAGE where they do not fit, beginning
 * with `name`. */
lo_status lo_convolution_plan(lo_convolution *c, const lo_network *network, const lo_convolution_spec *spec,
                              const char *name, lo_shape *out, lo_error *err);

/* Its weight, [out, in / groups, kernel * kernel], not yet named, with PyTorch's default of initial values.
 */
lo_parameter lo_convolution_weight(const lo_convolution *c);

void lo_convolution_reserve(lo_convolution *c, const lo_kernels *kernels, lo_memory *memory);
size_t lo_convolution_scratch(const lo_convolution *c, const lo_kernels *kernels);

/* Forward: prepare once, then apply to images from .. from + images - 1 of x, all at once or in pieces. */
void lo_convolution_prepare(const lo_convolution *c, const lo_pass *pass, const lo_network *network);
void lo_convolution_apply(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                          const float *x, size_t from, size_t images, float *y);

/* Backward: turn once, add images from .. to the gradient of the weight (unless the layer is frozen) and
 * write theirs of x (unless dx is NULL), then finish. */
void lo_convolution_turn(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                         bool with_dx);
/* Begins another gradient of the weight after the first one was finished. */
void lo_convolution_clear(const lo_convolution *c, const lo_pass *pass, const lo_network *network);
void lo_convolution_gradient(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                             const float *x, const float *dy, size_t from, size_t images);
void lo_convolution_back(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                         const float *dy, size_t from, size_t images, float *dx);
void lo_convolution_finish(const lo_convolution *c, const lo_pass *pass, const lo_network *network);

/* For derivatives along a direction: the same convolution for a network with the direction in place of its
 * weights, to be used between lo_convolution_prepare and, for its lo_convolution_back, _turn_along, which
 * leaves gradients alone. */
void lo_convolution_reserve_along(const lo_convolution *c, const lo_kernels *kernels, lo_convolution *along,
                                  lo_memory *memory);
void lo_convolution_turn_along(const lo_convolution *along, const lo_pass *pass, const lo_network *network,
                               bool with_dx);

/* Operations on one example: forward, and the gradient of the weight, and with_dx that of x. */
double lo_convolution_flops(const lo_convolution *c, bool with_dx);

#endif
