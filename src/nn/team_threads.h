/* Teams of the threads of one rank (OpenMP), on top of a team of ranks or of this rank alone. */
#ifndef LEAVEOUT_NN_TEAM_THREADS_H
#define LEAVEOUT_NN_TEAM_THREADS_H

#include "base/status.h"
#include "nn/team.h"

typedef struct lo_thread_team lo_thread_team;

/* Thread t of rank member r is member r * threads + t. ranks may be NULL; it must outlive the team. Only
 * thread 0 calls it, and ticks. Errors: LO_USAGE where the program was built without OpenMP; LO_INTERNAL. */
lo_status lo_thread_team_create(const lo_team *ranks, int threads, lo_thread_team **out, lo_error *err);

/* Nulls the handle; accepts NULL. */
void lo_thread_team_destroy(lo_thread_team **team);

/* Thread t's membership; the thread team's. */
const lo_team *lo_thread_team_member(const lo_thread_team *team, int thread);

/* Calls work(self, t) on thread t, for all threads, and returns when all have; the caller is thread 0. The
 * team's calls are made inside. Errors: LO_INTERNAL when the system gives fewer threads (OMP_THREAD_LIMIT).
 */
lo_status lo_thread_team_call(lo_thread_team *team, void (*work)(void *self, int thread), void *self,
                              lo_error *err);

#endif
