/* Sums over examples whose bits do not depend on the order of the addition, hence not on how the examples lie
 * on ranks.
 *
 * Every addend is cut into two parts, each a whole multiple of a power of two that is coarse enough for all
 * partial sums to be exact: then addition is associative. What is cut off is below 2^-80 of the bound that
 * was given. J. Demmel and H. D. Nguyen, "Parallel reproducible summation", IEEE Trans. Comput. 64:2060
 * (2015).
 *
 * Beside it there is base/pairwise.h, whose sums are reproducible because everybody adds in the order of one
 * tree: it needs no bound, but hands the tree's nodes from rank to rank. Here a bound is known, sums come in
 * the middle of an iteration, and a plain sum over ranks (MPI_Allreduce) is enough. */
#ifndef LEAVEOUT_ATTRIBUTE_SUMS_H
#define LEAVEOUT_ATTRIBUTE_SUMS_H

#include "base/status.h"

#include <stdint.h>

/* How the parts of a sum, and of a maximum, that lie in several processes come together; NULL: there is one
 * process. */
typedef struct lo_reduction {
    lo_status (*sum)(void *self, double *value, int64_t count, lo_error *err);
    lo_status (*largest)(void *self, double *value, int64_t count, lo_error *err);
    void *self;
} lo_reduction;

typedef struct lo_sums {
    int64_t count;
    double round_high, round_low; /* adding and subtracting one of these rounds to a multiple of its unit */
    double *part;                 /* [2, count]: the high parts' sums, the low parts' */
} lo_sums;

/* Room for `count` sums of at most `addends` addends (up to 2^20) of at most `largest` in size, over all
 * processes. Errors: LO_INTERNAL without memory. The caller destroys them. */
lo_status lo_sums_create(int64_t count, double largest, int64_t addends, lo_sums *out, lo_error *err);
void lo_sums_destroy(lo_sums *sums);

/* Adds value [count] to the sums. */
void lo_sums_add(lo_sums *sums, const double *value);

/* The sums over all processes, into out [count]. */
lo_status lo_sums_end(lo_sums *sums, const lo_reduction *reduction, double *out, lo_error *err);

#endif
