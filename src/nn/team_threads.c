#include "nn/team_threads.h"

#include "nn/slices.h"

#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct member {
    lo_team team;
    lo_thread_team *all;
    int thread;
} member;

struct lo_thread_team {
    const lo_team *ranks;
    int threads;
    void *given[LO_MAX_SLICES]; /* what each thread brings to the call under way */
    member member[];
};

#ifdef _OPENMP

/* All threads have come here, and see what the others have written. */
static void wait_for_all(void)
{
#pragma omp barrier
}

/* Everybody's array is known. */
static member *begin(const lo_team *team, void *given)
{
    member *m = team->self;
    m->all->given[m->thread] = given;
    wait_for_all();
    return m;
}

static void sum(const lo_team *team, double *x, size_t count, const lo_tick *tick)
{
    member *m = begin(team, x);
    lo_thread_team *all = m->all;
    for (int apart = 1; m->thread == 0 && apart < all->threads; apart *= 2) {
        for (int t = 0; t < all->threads; t += 2 * apart) {
            double *to = all->given[t];
            const double *from = all->given[t + apart];
            for (size_t i = 0; i < count; i++) {
                to[i] += from[i];
            }
        }
    }
    if (m->thread == 0 && all->ranks != NULL) {
        all->ranks->sum(all->ranks, x, count, tick);
    }
    wait_for_all();
    if (m->thread != 0) {
        memcpy(x, all->given[0], count * sizeof(*x));
    }
    wait_for_all(); /* thread 0's is not written again before */
}

/* Each thread sums its part of all arrays. */
static void sum_gradient(const lo_team *team, float *x, size_t count, const lo_tick *tick)
{
    member *m = begin(team, x);
    lo_thread_team *all = m->all;
    const size_t threads = (size_t)all->threads, thread = (size_t)m->thread;
    const size_t from = lo_slice_start(threads, thread, count),
                 to = lo_slice_start(threads, thread + 1, count);
    for (size_t apart = 1; apart < threads; apart *= 2) {
        for (size_t t = 0; t < threads; t += 2 * apart) {
            float *restrict into = all->given[t];
            const float *restrict other = all->given[t + apart];
            for (size_t i = from; i < to; i++) {
                into[i] += other[i];
            }
        }
    }
    wait_for_all();
    if (m->thread == 0 && all->ranks != NULL) {
        all->ranks->sum_gradient(all->ranks, x, count, tick);
    }
    wait_for_all();
}

static void gather(const lo_team *team, void *data, const size_t *from, const lo_tick *tick)
{
    member *m = begin(team, data);
    lo_thread_team *all = m->all;
    const size_t own = from[team->member], size = from[team->member + 1] - own;
    if (all->given[0] != data && size > 0) {
        memcpy((char *)all->given[0] + own, (char *)data + own, size);
    }
    wait_for_all();
    if (m->thread == 0 && all->ranks != NULL) {
        size_t of_rank[LO_MAX_SLICES + 1];
        for (int r = 0; r <= all->ranks->members; r++) {
            of_rank[r] = from[r * all->threads];
        }
        all->ranks->gather(all->ranks, data, of_rank, tick);
    }
    wait_for_all();
}

static void share(const lo_team *team, void *data, size_t size, const lo_tick *tick)
{
    member *m = begin(team, data);
    const lo_thread_team *all = m->all;
    if (m->thread == 0 && all->ranks != NULL) {
        all->ranks->share(all->ranks, data, size, tick);
    }
    wait_for_all();
    if (data != NULL && data != all->given[0]) {
        memcpy(data, all->given[0], size);
    }
    wait_for_all();
}

lo_status lo_thread_team_create(const lo_team *ranks, int threads, lo_thread_team **out, lo_error *err)
{
    const int members = ranks != NULL ? ranks->members : 1, before = ranks != NULL ? ranks->member : 0;
    lo_thread_team *team = calloc(1, sizeof(*team) + (size_t)threads * sizeof(member));
    *out = team;
    if (team == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a team of %d threads", threads);
    }
    team->ranks = ranks;
    team->threads = threads;
    for (int t = 0; t < threads; t++) {
        member *m = &team->member[t];
        *m = (member){.all = team, .thread = t};
        m->team = (lo_team){.members = members * threads,
                            .member = before * threads + t,
                            .owner = t == 0,
                            .sum = sum,
                            .sum_gradient = sum_gradient,
                            .gather = gather,
                            .share = share,
                            .self = m};
    }
    return LO_OK;
}

lo_status lo_thread_team_call(lo_thread_team *team, void (*work)(void *self, int thread), void *self,
                              lo_error *err)
{
    int given = 0;
    const int dynamic = omp_get_dynamic();
    omp_set_dynamic(0);
#pragma omp parallel num_threads(team->threads)
    {
#pragma omp master
        given = omp_get_num_threads();
        wait_for_all();
        if (given == team->threads) {
            work(self, omp_get_thread_num());
        }
    }
    omp_set_dynamic(dynamic);
    return given == team->threads
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "train.threads: %d threads are asked for and the system gives %d",
                         team->threads, given);
}

#else

lo_status lo_thread_team_create(const lo_team *ranks, int threads, lo_thread_team **out, lo_error *err)
{
    (void)ranks;
    *out = NULL;
    return lo_fail(err, LO_USAGE,
                   "train.threads: found %d; this program was built without OpenMP, which 1 does not need",
                   threads);
}

lo_status lo_thread_team_call(lo_thread_team *team, void (*work)(void *self, int thread), void *self,
                              lo_error *err)
{
    (void)team;
    (void)err;
    work(self, 0);
    return LO_OK;
}

#endif

void lo_thread_team_destroy(lo_thread_team **team)
{
    free(*team);
    *team = NULL;
}

const lo_team *lo_thread_team_member(const lo_thread_team *team, int thread)
{
    return &team->member[thread].team;
}
