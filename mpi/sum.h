/* Sums over ranks whose bits do not depend on the number of ranks. */
#ifndef LEAVEOUT_MPI_SUM_H
#define LEAVEOUT_MPI_SUM_H

#include "base/pairwise.h"

#include <mpi.h>

/* The terms that a rank adds up: lo_shard(terms, 1, ...). */
lo_status lo_sum_create(MPI_Comm comm, size_t size, int64_t terms, lo_pairwise **out, int64_t *first,
                        int64_t *count, lo_error *err);

/* Collective over comm: the sum of all terms, in `total` [size] on every rank, by one reduction: each rank
 * gets its part of every rank's nodes, puts them together as base/pairwise.h has it, and gives the part to
 * all. Traffic a rank: its nodes once, and the sum once. `status`: what became of this rank's terms; a
 * failure of one rank is the error of all. Errors: that, or LO_INTERNAL without memory. No tick is called: it
 * takes as long as an MPI_Allreduce of some times the size. */
lo_status lo_sum(MPI_Comm comm, lo_pairwise *own, lo_status status, double *total, lo_error *err);

#endif
