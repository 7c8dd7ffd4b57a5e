/* Slices: a batch cut into contiguous parts whose gradients and sums are added in one fixed order, whoever
 * computes them.
 *
 * Of a batch of n examples, slice i of S holds examples i n / S to (i + 1) n / S - 1, rounded down: none or
 * one more than the others, none at all where n < S. S is a power of two, and sums over slices are those of
 * the binary tree over them ((0 + 1) + (2 + 3)) + ...: each of 1, 2, 4, ... members of a team (nn/team.h)
 * has one of its branches, which it adds up alone and which the team then adds, so that bits do not depend on
 * the number of members. */
#ifndef LEAVEOUT_NN_SLICES_H
#define LEAVEOUT_NN_SLICES_H

#include "nn/team.h"

#include <stddef.h>

enum { LO_MAX_SLICES = 256, LO_SLICE_LEVELS = 8 };

typedef struct lo_slices {
    size_t total;        /* of a batch; 0 or 1: it is not cut, and nothing here counts */
    size_t count;        /* this member's */
    const lo_team *team; /* NULL: it has all of them */

    /* Of the batch at hand. */
    size_t batch;                    /* its examples, of all members; 0: there is none, and passes go through
                                        what is there as one piece */
    size_t first;                    /* this member's first */
    size_t start[LO_MAX_SLICES + 1]; /* [count + 1]: where this member's slices start, from its first */
    float *partial[LO_SLICE_LEVELS]; /* [weight_size] each: branches of gradients that wait for their peer */
} lo_slices;

/* Where slice i of `total` starts in a batch of `batch` examples. */
static inline size_t lo_slice_start(size_t total, size_t i, size_t batch)
{
    return i * batch / total;
}

/* Levels of partial sums that a member with so many slices keeps: the binary logarithm. */
size_t lo_slice_levels(size_t count);

/* A batch of so many examples is at hand. */
void lo_slices_cut(lo_slices *slices, size_t batch);

/* After slice s, in their order from 0: values [size], slice s's, are taken into a sum that has
 * lo_slice_levels(count) partial sums at partial[level * step]. After the last slice values are the sum over
 * them all. */
void lo_slices_add(const lo_slices *slices, size_t s, double *values, size_t size, double *partial,
                   size_t step);

/* The same for gradient[offset] .. gradient[offset + size - 1] of a gradient [weight_size], which counts as
 * zeros for a slice without examples. */
void lo_slices_add_gradient(const lo_slices *slices, size_t s, float *gradient, size_t offset, size_t size);

#endif
