/* Agreement: the same status, and the same error text, on every rank. A failure of one rank must never leave
 * the others waiting in a collective. */
#ifndef LEAVEOUT_MPI_AGREE_H
#define LEAVEOUT_MPI_AGREE_H

#include "base/status.h"

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

/* Collective over comm. Returns the gravest status of all ranks (the largest; LO_STOPPED, which is no
 * failure, below all others but LO_OK); err takes the text of the lowest rank that has it. */
lo_status lo_agree(MPI_Comm comm, lo_status status, lo_error *err);

/* Collective over comm. Broadcasts from rank 0 any number of bytes, in pieces below INT_MAX. */
void lo_broadcast(MPI_Comm comm, void *data, size_t size);

/* The same in pieces of at most `piece` bytes (1 to INT_MAX). */
void lo_broadcast_pieces(MPI_Comm comm, void *data, size_t size, size_t piece);

/* Collective over comm. Broadcasts a malloc'ed buffer and its size: ranks other than 0 get one of their own,
 * which the caller frees. Errors: LO_INTERNAL (on all ranks) when one has no memory. */
lo_status lo_broadcast_buffer(MPI_Comm comm, char **data, size_t *size, lo_error *err);

/* Collective over comm. The contiguous block [first, first + count) of 0 .. total-1 that a rank owns: blocks
 * follow the ranks' order, their sizes differ by at most `grain`, all but the last are multiples of grain.
 * (Local; listed here because every sharded pass uses it.) */
void lo_shard(int64_t total, int64_t grain, int rank, int ranks, int64_t *first, int64_t *count);

#endif
