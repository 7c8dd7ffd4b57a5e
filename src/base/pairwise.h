/* Sums of many long terms, in float64 and in an order that nothing but the number of terms decides: not how
 * many at a time, not who adds which.
 *
 * The terms are the leaves of a binary tree. Node i of level l + 1 is the sum of nodes 2 i and 2 i + 1 of
 * level l, or node 2 i alone where the other would begin beyond the last term; the top node is the sum. It is
 * Higham's pairwise summation (SIAM J. Sci. Comput. 14, 1993), whose error grows with the logarithm of the
 * number of terms. Who adds a run of consecutive terms keeps the nodes that lie within it, at most about
 * twice the logarithm of its length; the nodes of all runs are then put together (mpi/sum.h). */
#ifndef LEAVEOUT_BASE_PAIRWISE_H
#define LEAVEOUT_BASE_PAIRWISE_H

#include "base/status.h"
#include "base/tick.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lo_pairwise_node {
    int level;
    int64_t number; /* it holds the terms from number << level on */
    double *value;
} lo_pairwise_node;

enum { LO_MOST_NODES = 128 }; /* of one run */

typedef struct lo_pairwise lo_pairwise;

/* Terms first .. first + count - 1 of `terms`, each of `size` values, to be given one by one. count may be 0.
 * Memory: two times the binary logarithm of count, terms of 8 size bytes, taken when they are needed. Errors:
 * LO_INTERNAL without memory. The caller destroys it. */
lo_status lo_pairwise_create(size_t size, int64_t terms, int64_t first, int64_t count, lo_pairwise **out,
                             lo_error *err);
void lo_pairwise_destroy(lo_pairwise **sum);

/* *term: where the next term is to be put, zeros at first. Errors: LO_INTERNAL without memory, or when all
 * terms were given; what tick (which may be NULL) returned. */
lo_status lo_pairwise_next(lo_pairwise *sum, const lo_tick *tick, double **term, lo_error *err);

/* Takes in what was put there. Errors: what tick returned, after which the sum is of no use. */
lo_status lo_pairwise_take(lo_pairwise *sum, const lo_tick *tick);

/* The nodes of the run, once all of its terms were given: their number. The values are the sum's. */
int lo_pairwise_nodes(lo_pairwise *sum, const lo_pairwise_node **nodes);
size_t lo_pairwise_size(const lo_pairwise *sum);
int64_t lo_pairwise_terms(const lo_pairwise *sum);

/* *total: the sum, where the run is all terms, which were given. It is the sum's; no term follows. Errors:
 * LO_INTERNAL where terms lack, or without memory; what tick returned. */
lo_status lo_pairwise_total(lo_pairwise *sum, const lo_tick *tick, double **total, lo_error *err);

/* Levels and numbers of the nodes of a run, as lo_pairwise_nodes has them; values are NULL. */
int lo_pairwise_plan(int64_t first, int64_t count, lo_pairwise_node nodes[LO_MOST_NODES]);

/* Puts together the nodes of all runs, in the order of their terms: nodes[0].value becomes the sum; the other
 * values are lost. Errors: what tick returned. */
lo_status lo_pairwise_join(int64_t terms, lo_pairwise_node *nodes, int count, size_t size,
                           const lo_tick *tick);

#endif
