/* Augmentation: an epoch sees another view of each example. A view depends on (seed, model_seed, epoch,
 * example) and nothing else, so that any one can be computed alone. */
#ifndef LEAVEOUT_NN_AUGMENT_H
#define LEAVEOUT_NN_AUGMENT_H

#include "nn/kernels/kernels.h"
#include "nn/training.h"

#include <stdbool.h>
#include <stdint.h>

/* Which part of an image a view shows. */
typedef struct lo_view {
    bool flipped;            /* left and right exchanged */
    int32_t down, right;     /* of the window: -crop to crop; beyond the edge the image is reflected */
    int32_t top, left, hole; /* corner and side of the square that is zero, in the view; may pass its edges */
} lo_view;

/* The view of an example (its position in the training set) in an epoch, from 0. A random flip: with
 * probability one half. An alternating one: in epoch 0 by chance, then every other epoch (Jordan, 2024, arXiv
 * 2404.00498). The window is shifted by up to crop pixels each way. The hole's centre is any pixel, so that
 * it may pass the edge (DeVries and Taylor, 2017, arXiv 1708.04552). */
lo_view lo_view_of(const lo_augment *augment, lo_shape shape, uint64_t seed, uint64_t model_seed,
                   int64_t epoch, uint32_t example);

/* x = the view of an image, both [channels, height, width]. The hole is zero, which is the mean of a
 * normalized input. */
void lo_view_take(const lo_view *view, lo_shape shape, const float *image, float *x);

/* Does it change anything? */
bool lo_augments(const lo_augment *augment);

/* LO_USAGE where the images are too small. */
lo_status lo_augment_check(const lo_augment *augment, lo_shape shape, lo_error *err);

#endif
