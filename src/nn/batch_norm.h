/* Batch normalization, as the layers that have it share it: parameters, running statistics, and what the
 * kernels need of a batch (Ioffe and Szegedy, ICML 2015; epsilon and momentum are PyTorch's). */
#ifndef LEAVEOUT_NN_BATCH_NORM_H
#define LEAVEOUT_NN_BATCH_NORM_H

#include "nn/network.h"

typedef struct lo_batch_norm {
    size_t channels, columns;                      /* columns: channels, padded */
    size_t gamma, beta, running_mean, running_var; /* where they start */
    double *sum, *square;                          /* [columns], to be filled by the kernels; one piece */
    double *partial;                               /* [levels, 2 columns]: sums over slices */
    double *deviation;                             /* [columns]: 1 / sqrt(variance + epsilon) */
    float *mean, *scale, *offset, *pull, *drift;   /* [columns] */
    float *zeros;                                  /* [columns]; for derivatives along a direction, as: */
    double *unused;                                /* [columns] */
} lo_batch_norm;

/* Adds NAME.weight, NAME.bias, NAME.running_mean and NAME.running_var; false without memory. */
bool lo_batch_norm_add(lo_batch_norm *norm, lo_network *network, const char *name, int32_t channels);

void lo_batch_norm_reserve(lo_batch_norm *norm, const lo_network *network, lo_memory *memory);

/* What the kernels take. */
lo_norm lo_batch_norm_view(const lo_batch_norm *norm);

/* Sets sum and square to zero. */
void lo_batch_norm_clear(lo_batch_norm *norm);

/* In a pass over slices, where sum and square were cleared before slice s and are that slice's now: takes
 * them in. After the last slice they are those of the whole batch, of all members of a team. Without slices:
 * nothing. unshift: they are sums over `rows` rows of y - shift and become, exactly but for rounding in
 * double, those of y: slices have shifts of their own. */
void lo_batch_norm_unshift(lo_batch_norm *norm, const lo_pass *pass, double rows, const float *shift);
void lo_batch_norm_add_slice(lo_batch_norm *norm, const lo_pass *pass, size_t s);

/* The examples whose sums those are, of `examples` in the pass. */
size_t lo_batch_norm_examples(const lo_pass *pass, size_t examples);

/* Training: from sum and square, over `count` values of y - shift (NULL: 0), to mean and deviation, scale and
 * offset; the running statistics follow. */
void lo_batch_norm_finish(lo_batch_norm *norm, const lo_network *network, double count, const float *shift);

/* Evaluation: the same from the running statistics. */
void lo_batch_norm_recall(lo_batch_norm *norm, const lo_network *network);

/* Backward: from the sums of dz and of dz (y - mean), in sum and square, over `count` values, to the
 * gradients of gamma and beta, pull and drift. After evaluation count is infinite: the values have no part
 * in the statistics, and dy is scale dz. */
void lo_batch_norm_turn(lo_batch_norm *norm, const lo_network *network, double count);

/* Derivatives along a direction after lo_batch_norm_recall, where the standard deviation stays what it is: z
 * = scale y + offset has the tangent scale y_dot + pull y + drift, of pull and drift that `along`'s gamma and
 * beta give. */
lo_norm lo_batch_norm_tangent(lo_batch_norm *norm, const lo_network *along);

/* With that view: dy = scale dz + pull other, which becomes dy_dot from dz_dot and dz. */
lo_norm lo_batch_norm_curve(const lo_batch_norm *norm);
/* dy = scale dz. */
lo_norm lo_batch_norm_plain(const lo_batch_norm *norm);

/* Adds up, in sum and square, the tangents of the gradients of beta and gamma: dz_dot and dz_dot (y - mean) +
 * dz y_dot (y_dot NULL: 0), over `rows` rows. lo_batch_norm_turn makes them gradients. */
void lo_batch_norm_curve_sums(lo_batch_norm *norm, const lo_kernels *kernels, const float *dz,
                              const float *dz_dot, const float *y, const float *y_dot, size_t rows);

/* For these three: called when memory is reserved. */
void lo_batch_norm_reserve_tangents(lo_batch_norm *norm, lo_memory *memory);

#endif
