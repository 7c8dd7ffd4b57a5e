/* Quantities of single examples: gradients of a scalar output (see nn/output.h) in the parameters or in the
 * input, whole or reduced, and features. Batches go through the network in evaluation mode - batch
 * normalization with the running statistics, no dropout - so that an example's results do not depend on the
 * others, and are the same bits in every batch and shard.
 *
 * One backward pass carries the slopes of a batch down; on the way each layer with parameters computes their
 * gradients example by example from its inputs and output slopes (Rochette, Manoel and Tramel, 2019, arXiv
 * 1912.06015), and what is asked for is taken of them at once: nothing but lo_per_example_vectors and
 * projections holds whole gradients. Squared norms of linear layers on vectors are products of two norms, and
 * their gradients are not formed (Goodfellow, 2015, arXiv 1510.01799).
 *
 * A vector over the parameters is the concatenation of the chosen parameters in the order of the network
 * (lo_per_example_parameter), each flat as PyTorch's tensor [out, in, taps]. Elements that a mask holds have
 * the gradient 0. With train.precision bf16 the products of the passes round their operands, as in training.
 * Every layer kind is supported. */
#ifndef LEAVEOUT_NN_PER_EXAMPLE_H
#define LEAVEOUT_NN_PER_EXAMPLE_H

#include "base/pairwise.h"
#include "nn/network.h"
#include "nn/output.h"
#include "nn/projection.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lo_per_example lo_per_example;

/* Some examples in an order. */
typedef struct lo_example_list {
    const lo_examples *examples;
    const uint32_t *position; /* [count], below examples->count; NULL: first, first + 1, ... */
    int64_t first, count;
} lo_example_list;

/* For a network whose memory is reserved (a trainer's, say) with weights to look at. choice [choices] names
 * parameters (conv1.weight), or layers (conv1: all its parameters); NULL: all. Frozen ones are left out.
 * network and dataset must outlive it, and it is made anew after parameters are frozen or held. The caller
 * destroys it. Errors: LO_USAGE for a name that the network has not, with the nearest one, and where nothing
 * is left; LO_INTERNAL without memory. */
lo_status lo_per_example_create(lo_network *network, const lo_dataset *dataset, const char *const *choice,
                                int choices, lo_per_example **out, lo_error *err);
void lo_per_example_destroy(lo_per_example **self);

/* The length of vectors; how many parameters (tensors) were chosen, which ones, and where each starts in a
 * vector. */
size_t lo_per_example_size(const lo_per_example *self);
int lo_per_example_parameters(const lo_per_example *self);
const lo_parameter *lo_per_example_parameter(const lo_per_example *self, int i);
size_t lo_per_example_start(const lo_per_example *self, int i);

/* All that follow go through the list batch by batch and call tick between examples and layers. They leave
 * the network's buffers and gradient changed, its weights and statistics as they were. Errors: LO_USAGE for a
 * position beyond the examples, a logit beyond the classes, a dimension out of range; LO_INTERNAL without
 * memory; what tick returns. */

/* vectors [count, lo_per_example_size]. */
lo_status lo_per_example_vectors(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 float *vectors, const lo_tick *tick, lo_error *err);

/* The same, each vector handed to sink while it is in memory: 256 MiB of them at most, or one. number is
 * the example's in the list, from 0. What sink returns other than LO_OK ends the pass. */
typedef lo_status lo_vector_sink(void *self, int64_t number, const float *vector);
lo_status lo_per_example_each_vector(lo_per_example *self, const lo_example_list *list,
                                     const lo_output *output, lo_vector_sink *sink, void *sink_self,
                                     const lo_tick *tick, lo_error *err);

/* Rows of the Jacobian of the logits: rows [count, classes, lo_per_example_size]; a forward and a backward
 * pass for each class. */
lo_status lo_per_example_jacobian(lo_per_example *self, const lo_example_list *list, float *rows,
                                  const lo_tick *tick, lo_error *err);

/* Squared norms of the vectors: total [count]; by_parameter [count, lo_per_example_parameters], of the parts
 * that belong to each. Either may be NULL. */
lo_status lo_per_example_squares(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 double *total, double *by_parameter, const lo_tick *tick, lo_error *err);

/* Inner products with vectors: direction [directions, lo_per_example_size], dots [count, directions]. */
lo_status lo_per_example_dots(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                              const float *direction, size_t directions, double *dots, const lo_tick *tick,
                              lo_error *err);

/* Sums over examples, in double precision: the terms of LO_SUM_BLOCK consecutive examples are added one after
 * the other, and each block of them (the last may be smaller) is a term of `sum`, which has
 * lo_per_example_size values. On ranks: lo_sum_create of mpi/sum.h for all blocks, the examples of this
 * rank's blocks here, then lo_sum; the bits do not depend on the number of ranks. Errors: also LO_USAGE for a
 * sum of another size, LO_INTERNAL where it takes fewer terms. */
enum { LO_SUM_BLOCK = 256 };
lo_status lo_per_example_sums(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                              lo_term term, lo_pairwise *sum, const lo_tick *tick, lo_error *err);

/* Output channels: the first dimension of each parameter, so that a vector (bias, gamma) has one for each
 * element. What is summed over a channel: terms g or weight * g, as they are, absolute, or squared. Summing
 * over examples and then taking absolute values (SalUn; DEL, arXiv 2412.02432) is lo_channel_sums of
 * lo_per_example_sums; within one example, these. */
typedef struct lo_channel_term {
    lo_term term;
    bool weighted; /* of weight * g in place of g */
} lo_channel_term;
size_t lo_per_example_channels(const lo_per_example *self); /* of all chosen parameters together */

/* sums [count, lo_per_example_channels], each example's own. */
lo_status lo_per_example_channel_sums(lo_per_example *self, const lo_example_list *list,
                                      const lo_output *output, lo_channel_term term, double *sums,
                                      const lo_tick *tick, lo_error *err);

/* The same of one vector [lo_per_example_size], as lo_per_example_sums gives it, with the network's weights:
 * sums [lo_per_example_channels]. */
void lo_channel_sums(const lo_per_example *self, const double *vector, lo_channel_term term, double *sums);

/* Projections of the vectors: projected [count, dimension]. Elements of vectors have the numbers that they
 * have in the whole network, so that a choice of parameters keeps their rows of the matrix. Memory: at most
 * 256 MiB of gradients, or one example's of the largest layer, and 4 MiB. */
lo_status lo_per_example_project(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 const lo_projection *projection, float *projected, const lo_tick *tick,
                                 lo_error *err);

/* The gradient in the network's input, which is pixel * scale + shift (see lo_dataset): gradients [count,
 * channels, height, width]. */
lo_status lo_per_example_inputs(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                float *gradients, const lo_tick *tick, lo_error *err);

/* What a value (see lo_network_value) is for each example: features [count, channels, height, width] of
 * lo_network_shape_of. */
lo_status lo_per_example_features(lo_per_example *self, const lo_example_list *list, int value,
                                  float *features, const lo_tick *tick, lo_error *err);

#endif
