/* Teams of ranks: nn/team.h over MPI. */
#ifndef LEAVEOUT_MPI_TEAM_H
#define LEAVEOUT_MPI_TEAM_H

#include "base/status.h"
#include "nn/team.h"

#include <mpi.h>

typedef struct lo_rank_team lo_rank_team;

/* Collective over comm. Ranks r size to r size + size - 1 are team r; messages go over a communicator of its
 * own. size is a power of two that divides the number of ranks (LO_USAGE otherwise). Sums take 2 (1 - 1 /
 * size) times their array through each rank, in pieces of a megabyte; waiting ranks call their tick, and
 * after a while rest between calls. *out is NULL for size 1. */
lo_status lo_rank_team_create(MPI_Comm comm, int size, lo_rank_team **out, lo_error *err);

/* Collective over the team. Nulls the handle; accepts NULL. */
void lo_rank_team_destroy(lo_rank_team **team);

/* This rank's membership; NULL of NULL. The team's. */
const lo_team *lo_rank_team_view(const lo_rank_team *team);

#endif
