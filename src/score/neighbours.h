/* Exact nearest neighbours of some examples among all of them, which pass by in blocks.
 *
 * A block's inner products with all queries are one matrix product in float32, which decides only who is
 * worth a closer look: no candidate is passed over whose distance, by the bound on the product's rounding
 * (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), could be among the k least. Theirs
 * are computed in double from the differences. So the result is that of the direct computation, the same bits
 * whatever the BLAS, the blocks and the shards are.
 *
 * Cost: 2 count n dimension operations in float32, and some hundreds of direct distances a query. */
#ifndef LEAVEOUT_SCORE_NEIGHBOURS_H
#define LEAVEOUT_SCORE_NEIGHBOURS_H

#include "base/status.h"
#include "base/tick.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lo_neighbours {
    int64_t count, k;
    size_t dimension;
    const float *query; /* [count, dimension], the caller's */
    int64_t first;      /* query i is example first + i, and no neighbour of itself */
    int64_t *nearest; /* [count, k] examples, the nearest first, ties to the lower number; -1 where there are
                       * fewer */
    double *distance; /* [count, k] squares; infinite where there is none */
    double *norm;     /* [count] */
    float *product;   /* room for one of a block with the queries */
} lo_neighbours;

/* Before any example has passed; query is final. Errors: LO_INTERNAL without memory. The caller destroys it.
 */
lo_status lo_neighbours_create(const float *query, int64_t first, int64_t count, size_t dimension, int64_t k,
                               lo_neighbours *out, lo_error *err);
void lo_neighbours_destroy(lo_neighbours *neighbours);

/* The examples first .. first + count - 1 pass, example [count, dimension]; each once, in any order. NaN are
 * nobody's neighbours. Errors: what tick returns. */
lo_status lo_neighbours_pass(lo_neighbours *neighbours, const float *example, int64_t first, int64_t count,
                             const lo_tick *tick);

/* The class that most of nearest [k] have by label, ties to the one whose first member is nearest; -1 without
 * any. votes [classes] is room. */
int32_t lo_vote(const int64_t *nearest, int64_t k, const int32_t *label, int32_t classes, int32_t *votes);

#endif
