/* Products with the derivatives of a network's logits and losses, exact, without forming a matrix.
 *
 * Of example n with logits z_n(w), J_n = dz_n / dw, loss l_n(z_n), of gradient g_n = dl_n / dz_n and second
 * derivative L_n = d2 l_n / dz_n^2, and weights a_n (1 where none are given):
 *
 *   J v       z_dot_n = J_n v for each n: tangents, carried forward (Wengert, CACM 7, 1964)
 *   J' u      sum_n a_n J_n' u_n: a backward pass
 *   G v       sum_n a_n J_n' L_n J_n v, the Gauss-Newton product: one after the other (Schraudolph, Neural
 *             Computation 14, 2002); G is positive semi-definite where the losses are convex in z
 *   H v       sum_n a_n (d2 l_n / dw^2) v, the Hessian's: the derivative along v of a forward and a backward
 *             pass, g_n's own being L_n z_dot_n (Pearlmutter, Neural Computation 6, 1994). H = G where z is
 *             linear in w. At a point where ReLU or a maximum switches, H is that of the side where forward
 *             stands.
 *
 * The loss is softmax cross-entropy, L = diag(p) - p p', unless one is given. The network is in evaluation
 * mode: batch normalization with the running statistics, which are constants (with those of a batch examples
 * would have no losses of their own), and no dropout. What is frozen, or held by a mask, has no part: such
 * elements of v are passed over, those of results are 0.
 *
 * Vectors are float64 in PyTorch's order: parameter by parameter as the network has them, each flat [out, in,
 * taps], lo_network_parameters values. Within a batch computation is float32, by the kernels of training
 * (errors of a product: some 1e-7 to 1e-6 of its norm); batches are added up in float64.
 *
 * Work, in units of a gradient of the loss (forward and backward, 3 products of matrices a layer): J' u 1, J
 * v about 1, G v 1.7, H v 3; of each further vector of a block 2/3, 1.3 and 2, since the block shares the
 * passes that do not depend on the vector. */
#ifndef LEAVEOUT_NN_PRODUCT_H
#define LEAVEOUT_NN_PRODUCT_H

#include "base/pairwise.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A loss of one's own, of the logits of an example (its place in the set). Columns are the classes. */
typedef struct lo_outer {
    void (*slope)(const void *self, int64_t example, const float *logits, double *g);
    void (*curve)(const void *self, int64_t example, const float *logits, const double *z_dot,
                  double *product);
    const void *self;
} lo_outer;

/* Which examples, and what is summed over them. */
typedef struct lo_product_set {
    const lo_dataset *dataset; /* its shape, scales and shifts */
    const lo_examples *examples;
    const uint32_t *rows; /* [count]: which of the examples; NULL: 0 .. count - 1 */
    int64_t count;
    const double *weight;  /* [count]: a_n; NULL: 1 */
    const lo_outer *outer; /* NULL: softmax cross-entropy with the examples' labels */
    double smoothing;      /* of the labels, as lo_recipe has it */
    int64_t block;         /* examples that are a term of the sum (lo_product_terms); 0: 256 */
} lo_product_set;

typedef enum lo_product_kind {
    LO_TRANSPOSED,   /* J' u, u [count, classes] */
    LO_GRADIENT,     /* sum_n a_n J_n' g_n: one product, of no vector */
    LO_GAUSS_NEWTON, /* v [parameters] */
    LO_HESSIAN
} lo_product_kind;

/* A block of vectors. */
typedef struct lo_vectors {
    lo_product_kind kind;
    int count;
    size_t length;        /* of each */
    const double *values; /* [count, length] */
    bool mean;            /* divided by the number of examples (not by their weights) */
    double damping;       /* result += damping v; of LO_GAUSS_NEWTON and LO_HESSIAN, on what is trained */
} lo_vectors;

typedef struct lo_product lo_product;

/* For a network that has its memory, of the kernels of float32; its capacity is the size of the batches. The
 * network stays the caller's: its weights may change from call to call; its gradients and activations are
 * overwritten by each. Memory: activations two to three times more, and one to two more of what convolutions
 * with normalization make before it. Errors: LO_USAGE for a kind of layer without these derivatives, which is
 * named, for other kernels, and for a network that has products already; LO_INTERNAL without memory. The
 * caller destroys it, before the network. */
lo_status lo_product_create(lo_network *network, lo_product **out, lo_error *err);
void lo_product_destroy(lo_product **product);

/* The product of each vector: out [count, lo_network_parameters]. Of each vector the bits do not depend on
 * the others; they depend on the set, its block and the network's capacity. Errors: LO_USAGE for vectors of
 * another length or values that are not finite, an example or a label that does not exist, examples of
 * another shape; LO_DATA where a weight or statistic of the network is not finite, which is named;
 * LO_INTERNAL without memory (8 to 16 bytes times the parameters times the vectors times the logarithm of the
 * number of blocks); what tick returned. */
lo_status lo_product_apply(lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                           const lo_tick *tick, double *out, lo_error *err);

/* J v: out [vectors, set->count, classes]. set's weights and block have no part. Errors: the same. */
lo_status lo_product_tangents(lo_product *product, const lo_product_set *set, const double *values,
                              int vectors, size_t length, const lo_tick *tick, double *out, lo_error *err);

/* The same as lo_product_apply in pieces, for sums over ranks (mpi/products.h): the sum is that of
 * lo_product_blocks terms, each of lo_product_size values, block after block of the set's examples. Adds
 * blocks first .. first + count - 1 to `sum`; lo_product_finish turns the sum of all, which is lost, into
 * what lo_product_apply returns. Errors: those of lo_product_apply; of lo_product_finish what tick returned.
 */
int64_t lo_product_blocks(const lo_product_set *set);
size_t lo_product_size(const lo_product *product, const lo_vectors *vectors);
lo_status lo_product_terms(lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                           int64_t first, int64_t count, const lo_tick *tick, lo_pairwise *sum,
                           lo_error *err);
lo_status lo_product_finish(const lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                            const lo_tick *tick, double *total, double *out);

#endif
