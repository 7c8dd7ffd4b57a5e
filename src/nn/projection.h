/* Random projections of vectors over a network's parameters to `dimension` numbers, by matrices that are
 * never stored: each piece is computed where it is needed, from the seed and the parameters' numbers alone.
 * Expected inner products, and squared norms, are those before; their deviation is about sqrt(2 / dimension)
 * of the norms' product (Johnson and Lindenstrauss, 1984). */
#ifndef LEAVEOUT_NN_PROJECTION_H
#define LEAVEOUT_NN_PROJECTION_H

#include "base/random.h"
#include "base/tick.h"
#include "nn/kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

typedef enum lo_projection_kind {
    /* Every element is +-1 / sqrt(dimension) (Achlioptas, JCSS 2003). The first columns of a projection are
     * those of a narrower one with the same seed, but for that factor. */
    LO_PROJECT_DENSE,
    /* The dimensions are cut into `entries` runs, in each of which a parameter has one +-1 / sqrt(entries)
     * (Kane and Nelson, J. ACM 2014). */
    LO_PROJECT_SPARSE
} lo_projection_kind;

typedef struct lo_projection {
    lo_projection_kind kind;
    uint64_t seed;
    size_t dimension;
    size_t entries; /* sparse: 1 to dimension */
} lo_projection;

/* The row of parameter `number` as a vector [dimension]. Parameters are numbered as
 * lo_network_initialize counts them: through all trained ones, in PyTorch's order. */
void lo_projection_row(const lo_projection *projection, uint64_t number, float *row);

/* Floats of scratch that lo_projection_add needs, and the step between two examples' sums. */
size_t lo_projection_scratch(const lo_projection *projection);
size_t lo_projection_step(const lo_projection *projection);

/* Adds the part of parameters number .. number + count - 1 to the sums [examples, lo_projection_step] of
 * examples: values [examples, step], of which the first count of each row belong to those parameters. What an
 * example gets does not depend on the others. The sums lack the factor 1 / sqrt(dimension) or 1 /
 * sqrt(entries), lo_projection_scale. */
lo_status lo_projection_add(const lo_projection *projection, const lo_kernels *kernels, uint64_t number,
                            size_t count, const float *values, size_t step, size_t examples, float *sums,
                            float *scratch, const lo_tick *tick);
float lo_projection_scale(const lo_projection *projection);

#endif
