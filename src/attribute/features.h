/* What a linear model sees of some examples: rows of numbers. The scaled inputs of the networks are one kind;
 * the outputs of a network's layer are another: whatever can fill rows. */
#ifndef LEAVEOUT_ATTRIBUTE_FEATURES_H
#define LEAVEOUT_ATTRIBUTE_FEATURES_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdint.h>

/* Features of `count` examples, `size` numbers each. fill writes the rows of the examples [first, first +
 * count) one behind the other, `stride` numbers apart (at least size), and may be called for any of them, in
 * any order, any number of times; equal calls give equal bits. */
typedef struct lo_features {
    int64_t count, size;
    lo_status (*fill)(void *self, int64_t first, int64_t count, double *out, int64_t stride, lo_error *err);
    void *self;
} lo_features;

/* What lo_features_of_inputs fills rows from; the data set must stay open. */
typedef struct lo_inputs {
    const lo_dataset *data;
    const lo_examples *examples;
} lo_inputs;

/* The inputs as networks are given them, element * scale + shift; `self` is filled in and must live as long.
 */
lo_features lo_features_of_inputs(lo_inputs *self, const lo_dataset *data, const lo_examples *examples);

/* The rows [first, first + count) with a one behind each, for the intercept: [count, size + 1], malloc'ed;
 * the caller frees it. Errors: LO_INTERNAL without memory; LO_DATA for a number that is not finite; what fill
 * returns. */
lo_status lo_features_rows(const lo_features *features, int64_t first, int64_t count, double **out,
                           lo_error *err);

#endif
