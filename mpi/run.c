#include "mpi/run.h"

#include "base/clock.h"
#include "base/file.h"
#include "mpi/agree.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Written by the handler, read between mini-batches. */
static volatile sig_atomic_t stop_signal = 0;

static void on_stop_signal(int number)
{
    /* SIGTERM leaves less time than SIGUSR1 and must not be forgotten for it. */
    if (stop_signal == 0 || stop_signal == SIGUSR1) {
        stop_signal = number;
    }
}

int lo_run_signal(void)
{
    return (int)stop_signal;
}

void lo_run_pass_signal(int number)
{
    on_stop_signal(number);
}

void lo_run_environment(void)
{
    /* Open MPI 4.1.4 may corrupt strided collective writes without range locks (Open MPI issue 12718, fixed
     * in 4.1.7). */
    (void)setenv("OMPI_MCA_fs_ufs_lock_algorithm", "3", 0);
    (void)setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    /* Published files appear by rename and are never changed: no lock is needed, and some parallel file
     * systems refuse them. */
    (void)setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
}

void lo_run_init(lo_run *run, const char *study)
{
    *run = (lo_run){.journal = {.fd = -1}, .processor = "", .task_cores = 1, .threads = 1};
    stop_signal = 0;
    MPI_Comm_dup(MPI_COMM_WORLD, &run->comm);
    MPI_Comm_rank(run->comm, &run->rank);
    MPI_Comm_size(run->comm, &run->ranks);
    (void)snprintf(run->study, sizeof(run->study), "%s", study);
    const char *end = getenv("LEAVEOUT_END_TIME");
    run->end_time = end != NULL ? strtod(end, NULL) : 0;
    struct sigaction action = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

/* Does a person watch? mpirun gives its ranks a pseudo-terminal whatever its own output is, so there it is
 * mpirun's output that counts. */
static bool is_watched(void)
{
    char link[64];
    char target[PATH_MAX];
    if (getenv("OMPI_COMM_WORLD_RANK") == NULL) {
        return isatty(STDOUT_FILENO) == 1;
    }
    (void)snprintf(link, sizeof(link), "/proc/%ld/fd/1", (long)getppid());
    const ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length < 0) {
        return false;
    }
    target[length] = '\0';
    return strncmp(target, "/dev/pts/", 9) == 0 || strncmp(target, "/dev/tty", 8) == 0;
}

/* Rank 0: refuses a study on which an older attempt works, unless told to join it. */
static lo_status look_for_others(const lo_run *run, bool join, lo_error *err)
{
    lo_attempt *list = NULL;
    int count = 0;
    LO_TRY(lo_attempt_list(run->study, &run->attempt, &list, &count, err));
    lo_status status = LO_OK;
    for (int i = 0; i < count && status == LO_OK && !join; i++) {
        const lo_attempt *a = &list[i];
        /* Of two that start at once each sees the other; the younger gives way. */
        if (a->live && a->number < run->attempt.number) {
            status = lo_fail(
                err, LO_STOPPED,
                "%s: attempt %d works on this study (job %s, host %s, %d ranks, last heartbeat %.0f s ago); "
                "--join works beside it, `leaveout stop` ends it",
                run->study, a->number, a->job[0] != '\0' ? a->job : "none", a->host, a->ranks,
                a->age > 0 ? a->age : 0.0);
        }
    }
    free(list);
    return status;
}

lo_status lo_run_begin(lo_run *run, bool join, lo_error *err)
{
    lo_status status = LO_OK;
    run->attempt = lo_attempt_self(run->ranks);
    if (run->rank == 0) {
        status = lo_attempt_begin(run->study, &run->attempt, err);
        if (status == LO_OK) {
            run->begun = true;
            status = look_for_others(run, join, err);
        }
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/log/attempt-%03d.log", run->study, run->attempt.number);
        if (status == LO_OK) {
            run->log = fopen(path, "a");
            if (run->log == NULL) {
                status = lo_fail_errno(err, LO_IO, "%s: cannot open", path);
            }
        } else if (run->begun) {
            /* It never began: no empty log, so that its number means something. */
            lo_attempt_end(run->study, &run->attempt);
            (void)unlink(path);
            run->begun = false;
        }
        run->bar = is_watched();
    }
    status = lo_agree(run->comm, status, err);
    MPI_Bcast(&run->attempt.number, 1, MPI_INT, 0, run->comm);
    run->last_beat = lo_clock_monotonic();
    return status;
}

lo_status lo_run_record(lo_run *run, lo_record *record, const void *payload, size_t size, bool sync,
                        lo_error *err)
{
    if (run->journal.fd < 0) {
        char path[PATH_MAX];
        char text[2048];
        (void)snprintf(path, sizeof(path), "%s/journal/attempt-%03d-rank-%04d.jnl", run->study,
                       run->attempt.number, run->rank);
        (void)snprintf(
            text, sizeof(text),
            "attempt=%d\nrank=%d\nranks=%d\nhost=%s\npid=%ld\njob=%s\nrestart=%d\nstart=%.3f\nend_time=%.0f\n"
            "version=%s\nprocessor=%s\ncores=%d\nthreads=%d\n",
            run->attempt.number, run->rank, run->ranks, run->attempt.host, run->attempt.pid, run->attempt.job,
            run->attempt.restart, run->attempt.start, run->end_time, LEAVEOUT_VERSION, run->processor,
            run->task_cores, run->threads);
        LO_TRY(lo_journal_create(path, text, &run->journal, err));
    }
    return lo_journal_append(&run->journal, record, payload, size, sync, err);
}

void lo_run_end(lo_run *run, const char *reason)
{
    if (run->journal.fd >= 0) {
        lo_record record = {.kind = LO_RECORD_END};
        (void)lo_run_record(run, &record, reason, strlen(reason), true, NULL);
        lo_journal_close(&run->journal);
    }
    if (run->rank == 0) {
        if (run->begun) {
            lo_attempt_end(run->study, &run->attempt);
        }
        if (run->log != NULL) {
            (void)fclose(run->log);
            run->log = NULL;
        }
    }
    MPI_Comm_free(&run->comm);
}

double lo_run_time_left(const lo_run *run)
{
    return run->end_time > 0 ? run->end_time - lo_clock_wall() : 1e30;
}

static void stop(lo_run *run, double deadline, double save_deadline, const char *reason)
{
    run->stopping = true;
    run->stop_deadline = deadline;
    run->save_deadline = save_deadline;
    (void)snprintf(run->stop_reason, sizeof(run->stop_reason), "%s", reason);
    lo_run_say(run, "event=stopping reason=\"%s\"", reason);
}

void lo_run_watch(lo_run *run)
{
    enum { BEAT_SECONDS = 5, HALT_SECONDS = 1, TERM_SECONDS = 20, USR1_SECONDS = 120, MARGIN_SECONDS = 30 };
    const double now = lo_clock_monotonic();
    if (now - run->last_beat > BEAT_SECONDS) {
        run->last_beat = now;
        lo_attempt_beat(run->study, &run->attempt);
    }
    const int number = lo_run_signal();
    if (number != 0) {
        /* USR1 is the scheduler's warning: use what is left, less a margin for publishing. */
        const double left = number == SIGUSR1 ? lo_run_time_left(run) - MARGIN_SECONDS : TERM_SECONDS;
        const double deadline = now + (left < USR1_SECONDS ? left : USR1_SECONDS);
        /* A stop may come after a milder one; another look at the same signal changes nothing. */
        if (!run->stopping || deadline < run->stop_deadline - 1) {
            stop(run, deadline, number == SIGUSR1 ? (now + deadline) / 2 : now,
                 number == SIGUSR1   ? "signal USR1"
                 : number == SIGTERM ? "signal TERM"
                                     : "signal INT");
        }
    }
    if (!run->stopping && now - run->last_halt_check > HALT_SECONDS) {
        run->last_halt_check = now;
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/halt", run->study);
        if (access(path, F_OK) == 0) {
            stop(run, 1e30, now, "asked by leaveout stop");
        }
    }
}

bool lo_run_elder_beats(const lo_run *run, double seconds)
{
    lo_attempt *list = NULL;
    int count = 0;
    if (lo_attempt_list(run->study, &run->attempt, &list, &count, NULL) != LO_OK) {
        return false;
    }
    bool beats = false;
    for (int i = 0; i < count; i++) {
        beats = beats || (list[i].live && list[i].number < run->attempt.number && list[i].age < seconds);
    }
    free(list);
    return beats;
}

static void clear_bar(lo_run *run)
{
    if (run->bar_shown) {
        (void)fputs("\r\033[K", stdout);
        run->bar_shown = false;
    }
}

__attribute__((format(printf, 2, 0))) static void write_line(FILE *stream, const char *format, va_list args)
{
    char stamp[32];
    lo_clock_iso(lo_clock_wall(), stamp, sizeof(stamp));
    (void)fprintf(stream, "%s ", stamp);
    (void)vfprintf(stream, format, args);
    (void)fputc('\n', stream);
    (void)fflush(stream);
}

void lo_run_say(lo_run *run, const char *format, ...)
{
    if (run->rank != 0) {
        return;
    }
    clear_bar(run);
    va_list args;
    va_start(args, format);
    write_line(stdout, format, args);
    va_end(args);
    if (run->log != NULL) {
        va_start(args, format);
        write_line(run->log, format, args);
        va_end(args);
    }
}

void lo_run_progress(lo_run *run, double share, const char *format, ...)
{
    enum { WIDTH = 30 };
    if (run->rank != 0) {
        return;
    }
    va_list args;
    if (run->log != NULL) {
        va_start(args, format);
        write_line(run->log, format, args);
        va_end(args);
    }
    va_start(args, format);
    if (run->bar) {
        char cells[WIDTH + 1];
        for (int i = 0; i < WIDTH; i++) {
            cells[i] = i < (int)(share * WIDTH + 0.5) ? '#' : '.';
        }
        cells[WIDTH] = '\0';
        (void)fprintf(stdout, "\r\033[K[%s] ", cells);
        (void)vfprintf(stdout, format, args);
        (void)fflush(stdout);
        run->bar_shown = true;
    } else {
        write_line(stdout, format, args);
    }
    va_end(args);
}

void lo_run_warn(lo_run *run, const char *format, ...)
{
    if (run->rank != 0) {
        return;
    }
    clear_bar(run);
    va_list args;
    (void)fputs("leaveout: warning: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    if (run->log != NULL) {
        va_start(args, format);
        write_line(run->log, format, args);
        va_end(args);
    }
}
