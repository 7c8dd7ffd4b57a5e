/* Teams: several members, ranks or threads of ranks, that train one model together. Every member goes through
 * the same calls with its own slices of each batch (nn/slices.h); a team is how they meet. This layer knows
 * no MPI: mpi/team.h makes teams of ranks, team_threads.h those of threads. */
#ifndef LEAVEOUT_NN_TEAM_H
#define LEAVEOUT_NN_TEAM_H

#include "base/tick.h"

#include <stdbool.h>
#include <stddef.h>

/* Of one member. Each call is collective over the members, and none fails: while a member waits it calls its
 * tick, what that returns being for the caller's tick to remember. Sums are the nodes of one binary tree with
 * the members as leaves, ((0 + 1) + (2 + 3)) + ..., so that no bit depends on how many slices a member has
 * added before. */
typedef struct lo_team lo_team;
struct lo_team {
    int members; /* a power of two */
    int member;  /* this one; 0 leads: it alone decides, writes and speaks */
    bool owner;  /* has weights of its own; the others, threads, read those of the last owner before them */
    /* x [count] becomes the sum over all members, for all of them. */
    void (*sum)(const lo_team *team, double *x, size_t count, const lo_tick *tick);
    /* The same for owners; x of the others then holds anything. */
    void (*sum_gradient)(const lo_team *team, float *x, size_t count, const lo_tick *tick);
    /* Member m has bytes from[m] .. from[m + 1] - 1 of data, [members + 1] offsets that ascend; afterwards
     * the owners have all of it. Threads may give the same memory as their owner. */
    void (*gather)(const lo_team *team, void *data, const size_t *from, const lo_tick *tick);
    /* data [size] of member 0 goes to all. NULL: this member takes none. */
    void (*share)(const lo_team *team, void *data, size_t size, const lo_tick *tick);
    void *self;
};

/* Is this the member that decides? team may be NULL: somebody alone does. */
static inline bool lo_team_leads(const lo_team *team)
{
    return team == NULL || team->member == 0;
}

#endif
