/* One attempt: this run of the program as the ranks see it. Where they are, when they must end, who asked
 * them to. */
#ifndef LEAVEOUT_MPI_RUN_H
#define LEAVEOUT_MPI_RUN_H

#include "base/journal.h"
#include "base/status.h"
#include "mpi/claims.h"
#include "mpi/ledger.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lo_run {
    MPI_Comm comm;
    int rank, ranks;
    char study[3072];
    lo_attempt attempt; /* number is the same on all ranks; host and pid are this rank's */
    bool begun;         /* the attempt is announced */
    lo_journal journal; /* this rank's; made when it first has something to say */
    const char *processor;
    int task_cores;  /* that work on one task: ranks of a team times threads */
    int threads;     /* of a rank */
    double end_time; /* wall time at which the scheduler ends the job (LEAVEOUT_END_TIME), 0: unknown */
    FILE *log;       /* rank 0: log/attempt-AAA.log */
    bool bar;        /* rank 0: a terminal, which gets a bar instead of lines */
    bool bar_shown;

    /* Stopping: decided by rank 0, known to all through the farm's messages. */
    bool stopping;
    double stop_deadline; /* monotonic; running tasks that cannot end before are saved or given up */
    double save_deadline; /* monotonic; till when those that will be saved may go on */
    char stop_reason[96];
    int64_t finished; /* tasks that this attempt has finished, all ranks */
    int64_t saved;    /* tasks that it has brought further, and saved */
    double last_beat, last_halt_check;
} lo_run;

/* Sets what Open MPI reads in MPI_Init and HDF5 in its first call, so that a user need not: safe collective
 * writes, no spinning, no file locks. Call it before. */
void lo_run_environment(void);

/* Collective over MPI_COMM_WORLD, after MPI_Init. Installs the handlers of SIGUSR1, SIGTERM and SIGINT, which
 * only set a flag. */
void lo_run_init(lo_run *run, const char *study);

/* Collective. Announces the attempt (rank 0) and opens its log. With `join` false a study on which another
 * attempt works is refused: LO_STOPPED with that attempt's job, host and heartbeat age. */
lo_status lo_run_begin(lo_run *run, bool join, lo_error *err);

/* Local. Appends to this rank's journal, creating it first if need be. */
lo_status lo_run_record(lo_run *run, lo_record *record, const void *payload, size_t size, bool sync,
                        lo_error *err);

/* Collective. Ends the attempt in good order: END records with the reason, announcement removed, log closed.
 */
void lo_run_end(lo_run *run, const char *reason);

/* Rank 0 only, from time to time: heartbeat, `halt` file, signals. Sets run->stopping. */
void lo_run_watch(lo_run *run);

/* Has this rank received a stop signal? Its number, or 0. */
int lo_run_signal(void);

/* Rank 0: another rank has received this signal; it counts as if it had come here. */
void lo_run_pass_signal(int number);

/* Rank 0: has a living attempt of the study that is older than this one given a heartbeat in the last
 * `seconds`? Such a one waits for the others and closes stages. */
bool lo_run_elder_beats(const lo_run *run, double seconds);

/* Seconds until the scheduler ends the job; a large number when unknown. */
double lo_run_time_left(const lo_run *run);

/* Rank 0: prints "TIME key=value ..." to standard output and to the attempt's log. Other ranks: nothing. */
void lo_run_say(lo_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same to the log alone, with the bar redrawn on a terminal: progress. share in [0, 1]. */
void lo_run_progress(lo_run *run, double share, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Rank 0: one line "leaveout: warning: ..." on standard error and in the log. */
void lo_run_warn(lo_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
