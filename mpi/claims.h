/* Claims: how jobs that work on one study at the same time, on hosts that share nothing but its directory,
 * keep out of each other's way. An attempt is one run of the program; a lease gives an attempt a range of
 * tasks. Both are small files made with O_EXCL; an attempt beats its file's time stamp; a lease whose attempt
 * is dead is void. */
#ifndef LEAVEOUT_MPI_CLAIMS_H
#define LEAVEOUT_MPI_CLAIMS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_attempt {
    int number;
    int ranks;
    long pid;                 /* of rank 0 */
    unsigned long long birth; /* its start time in clock ticks since boot: pids are used again */
    int restart;              /* Slurm's restart count */
    char host[64];
    char place[96]; /* boot id and process namespace: where the pid means something */
    char job[64];   /* Slurm job id, or "" */
    double start;   /* wall time */
    double age;     /* seconds since its last heartbeat, by the file system's clock */
    bool live;
} lo_attempt;

/* Who and where this process is: host, place, pid, birth, job, restart, start. */
lo_attempt lo_attempt_self(int ranks);

/* Reserves the next attempt number of the study (self->number) by creating log/attempt-AAA.log, and announces
 * it as claims/attempt-AAA. Errors: LO_IO. */
lo_status lo_attempt_begin(const char *study, lo_attempt *self, lo_error *err);

/* The heartbeat. Call it every few seconds. A failure (file system away for a moment) is not an error yet. */
void lo_attempt_beat(const char *study, const lo_attempt *self);

/* Ends the announcement. */
void lo_attempt_end(const char *study, const lo_attempt *self);

/* The announced attempts, ascending; self (may be NULL) serves to tell who is dead: a process of this host
 * that is gone, an earlier start of this same Slurm job, or one without a heartbeat for
 * LEAVEOUT_STALE_SECONDS (60). malloc'ed; the caller frees it. Errors: LO_IO. */
lo_status lo_attempt_list(const char *study, const lo_attempt *self, lo_attempt **out, int *count,
                          lo_error *err);

/* Removes the announcements of dead attempts that `self` can tell to be dead. */
void lo_attempt_bury(const char *study, const lo_attempt *list, int count);

/* Tries to lease range `range` of a stage. *taken says whether it is this attempt's now; it is not while
 * another live attempt holds it. Errors: LO_IO. */
lo_status lo_lease_take(const char *study, const char *stage, int64_t range, const lo_attempt *self,
                        bool *taken, lo_error *err);

/* Gives the lease of a range back, if it is this attempt's. */
void lo_lease_release(const char *study, const char *stage, int64_t range, const lo_attempt *self);

#endif
