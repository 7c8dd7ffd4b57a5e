#include "mpi/team.h"

#include "mpi/agree.h"
#include "nn/slices.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { PIECE = 1 << 20, TAG_TEAM = 1 }; /* bytes of a message: what stays in the cache until it is added */

struct lo_rank_team {
    lo_team view;
    MPI_Comm comm;
    char *piece; /* [PIECE]: of the other's */
};

/* Until both have come through. Whoever waits for long is idle, and leaves the core to others. */
static void wait_for(MPI_Request request[2], const lo_tick *tick)
{
    enum { BUSY_ROUNDS = 2000, NAP = 100000 /* ns */ };
    int there = 0;
    for (int round = 0; !there; round++) {
        MPI_Testall(2, request, &there, MPI_STATUSES_IGNORE);
        if (there) {
            break;
        }
        (void)lo_tick_call(tick); /* remembers by itself what came of it */
        if (round < BUSY_ROUNDS) {
            (void)sched_yield();
        } else {
            (void)nanosleep(&(struct timespec){.tv_nsec = NAP}, NULL);
        }
    }
}

static void exchange(const lo_rank_team *team, int with, const void *mine, size_t size, void *theirs,
                     size_t their_size, const lo_tick *tick)
{
    MPI_Request request[2];
    MPI_Irecv(theirs, (int)their_size, MPI_BYTE, with, TAG_TEAM, team->comm, &request[0]);
    MPI_Isend(mine, (int)size, MPI_BYTE, with, TAG_TEAM, team->comm, &request[1]);
    wait_for(request, tick);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The piece from `at` on of [size] bytes, none beyond the end. */
static size_t piece_of(size_t size, size_t at)
{
    return at < size ? least(size - at, PIECE) : 0;
}

/* Members 2^k apart exchange what each has the sum of, for growing k: the nodes of the tree. a + b is b + a.
 */
static void sum(const lo_team *view, double *x, size_t count, const lo_tick *tick)
{
    const lo_rank_team *team = view->self;
    const double *other = (const double *)(const void *)team->piece;
    const size_t size = count * sizeof(*x);
    for (int apart = 1; apart < view->members; apart *= 2) {
        for (size_t at = 0; at < size; at += PIECE) {
            const size_t bytes = piece_of(size, at);
            double *own = x + at / sizeof(*x);
            exchange(team, view->member ^ apart, own, bytes, team->piece, bytes, tick);
            for (size_t i = 0; i < bytes / sizeof(*x); i++) {
                own[i] += other[i];
            }
        }
    }
}

/* Values from .. to - 1 of an array. */
typedef struct stretch {
    size_t from, to;
} stretch;

static size_t size_of(stretch s)
{
    return (s.to - s.from) * sizeof(float);
}

/* Halves what this member sums: the other half goes to the one that is `apart` away. */
static stretch halve(const lo_team *view, int apart, float *x, stretch all, const lo_tick *tick)
{
    const lo_rank_team *team = view->self;
    const float *other = (const float *)(const void *)team->piece;
    const size_t middle = all.from + (all.to - all.from) / 2;
    const stretch low = {all.from, middle}, high = {middle, all.to};
    const bool upper = (view->member & apart) != 0;
    const stretch kept = upper ? high : low, gone = upper ? low : high;
    for (size_t at = 0; at < size_of(kept) || at < size_of(gone); at += PIECE) {
        float *own = x + kept.from + at / sizeof(*x);
        const size_t bytes = piece_of(size_of(kept), at);
        exchange(team, view->member ^ apart, x + gone.from + at / sizeof(*x), piece_of(size_of(gone), at),
                 team->piece, bytes, tick);
        for (size_t i = 0; i < bytes / sizeof(*x); i++) {
            own[i] += other[i];
        }
    }
    return kept;
}

/* Everything in its place already: mine goes to the other, the other's comes. */
static void swap(const lo_rank_team *team, int with, char *data, size_t mine, size_t size, size_t theirs,
                 size_t their_size, const lo_tick *tick)
{
    for (size_t at = 0; at < size || at < their_size; at += PIECE) {
        exchange(team, with, data + mine + at, piece_of(size, at), data + theirs + at,
                 piece_of(their_size, at), tick);
    }
}

/* Recursive halving, then doubling (Thakur, Rabenseifner and Gropp, IJHPCA 19, 2005): each member sums its
 * part of the array over all, in the order of the tree, and hands it out. */
static void sum_gradient(const lo_team *view, float *x, size_t count, const lo_tick *tick)
{
    enum { MOST_LEVELS = 32 };
    stretch had[MOST_LEVELS], now = {0, count};
    int level = 0;
    for (int apart = 1; apart < view->members; apart *= 2) {
        had[level++] = now;
        now = halve(view, apart, x, now, tick);
    }
    for (int apart = view->members / 2; apart > 0; apart /= 2) {
        const stretch all = had[--level];
        const stretch other =
            now.from == all.from ? (stretch){now.to, all.to} : (stretch){all.from, now.from};
        swap(view->self, view->member ^ apart, (char *)x, now.from * sizeof(*x), size_of(now),
             other.from * sizeof(*x), size_of(other), tick);
        now = all;
    }
}

static void gather(const lo_team *view, void *data, const size_t *from, const lo_tick *tick)
{
    for (int apart = 1; apart < view->members; apart *= 2) {
        const int own = view->member & ~(apart - 1), other = own ^ apart;
        swap(view->self, view->member ^ apart, data, from[own], from[own + apart] - from[own], from[other],
             from[other + apart] - from[other], tick);
    }
}

/* Member 0 has it all, the others nothing to add. */
static void share(const lo_team *view, void *data, size_t size, const lo_tick *tick)
{
    size_t from[LO_MAX_SLICES + 1] = {0};
    for (int m = 1; m <= view->members; m++) {
        from[m] = size;
    }
    gather(view, data, from, tick);
}

lo_status lo_rank_team_create(MPI_Comm comm, int size, lo_rank_team **out, lo_error *err)
{
    int rank, ranks;
    *out = NULL;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    if (size < 1 || size > LO_MAX_SLICES || (size & (size - 1)) != 0 || ranks % size != 0) {
        return lo_fail(err, LO_USAGE,
                       "%d ranks cannot form teams of %d: that is a power of two and divides their number",
                       ranks, size);
    }
    if (size == 1) {
        return LO_OK;
    }
    lo_rank_team *team = calloc(1, sizeof(*team));
    char *piece = malloc(PIECE);
    const lo_status status = lo_agree(
        comm,
        team != NULL && piece != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a team of ranks"),
        err);
    if (status != LO_OK) {
        free(team);
        free(piece);
        return status;
    }
    team->piece = piece;
    MPI_Comm_split(comm, rank / size, rank, &team->comm);
    team->view = (lo_team){.members = size,
                           .member = rank % size,
                           .owner = true,
                           .sum = sum,
                           .sum_gradient = sum_gradient,
                           .gather = gather,
                           .share = share,
                           .self = team};
    *out = team;
    return LO_OK;
}

void lo_rank_team_destroy(lo_rank_team **team)
{
    if (*team != NULL) {
        MPI_Comm_free(&(*team)->comm);
        free((*team)->piece);
        free(*team);
        *team = NULL;
    }
}

const lo_team *lo_rank_team_view(const lo_rank_team *team)
{
    return team != NULL ? &team->view : NULL;
}
