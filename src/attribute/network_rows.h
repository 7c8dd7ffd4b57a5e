/* What influence functions ask of a network about single examples: gradients, as rows of numbers, in the
 * order of lo_per_example.
 *
 * With the Jacobian J [classes, parameters] of an example's logits and the curvature of its loss in them, R =
 * diag(p) - p p', the example adds J' R J to the Gauss-Newton matrix. R = F F' with the classes - 1 columns
 *
 *   F_k = sqrt(d_k) (1 at k, -p_i / q_k at i > k),   q_k = sum_{i > k} p_i,   d_k = p_k q_k / (p_k + q_k)
 *
 * (K. Tanabe and M. Sagae, "An exact Cholesky decomposition and the generalized inverse of the
 * variance-covariance matrix of the multinomial distribution", JRSS B 54:211, 1992), in which nothing
 * cancels. Each column is the slope of one backward pass, which gives row k of the example's part F' J: no
 * Jacobian is stored, and the matrix is the sum of the rows' outer products.
 *
 * Rows are computed in float32 and given as double. */
#ifndef LEAVEOUT_ATTRIBUTE_NETWORK_ROWS_H
#define LEAVEOUT_ATTRIBUTE_NETWORK_ROWS_H

#include "nn/per_example.h"

typedef enum lo_row_kind {
    LO_ROWS_FACTOR, /* F' J: classes - 1 rows an example */
    LO_ROWS_MARGIN, /* the gradient of the margin, one row an example */
    LO_ROWS_LOSS    /* the gradient of the loss that was trained on, one row an example */
} lo_row_kind;

typedef struct lo_network_rows {
    lo_per_example *per_example; /* of the network, all its parameters */
    int32_t classes;
    double smoothing; /* of the labels, in the loss */
} lo_network_rows;

static inline int64_t lo_rows_of_example(const lo_network_rows *rows, lo_row_kind kind)
{
    return kind == LO_ROWS_FACTOR ? rows->classes - 1 : 1;
}

/* Elements [from, from + width) of the rows of the examples [first, first + count): out [count,
 * lo_rows_of_example, width]. e [count], which may be NULL and is filled with LO_ROWS_MARGIN alone: the
 * probability of all classes but the label; without smoothing the loss has the gradient -e times the
 * margin's. Work: a forward and a backward pass a row, whatever the width. Errors: those of
 * lo_per_example_each_vector. */
lo_status lo_network_rows_fill(const lo_network_rows *rows, lo_row_kind kind, const lo_examples *examples,
                               int64_t first, int64_t count, int64_t from, int64_t width, double *out,
                               double *e, const lo_tick *tick, lo_error *err);

/* The column F_k of the probabilities p [classes]: slope [classes]. */
void lo_softmax_factor(const double *p, int32_t classes, int32_t k, float *slope);

#endif
