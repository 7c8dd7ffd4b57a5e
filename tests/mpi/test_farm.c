/* The farm over made-up work: every task done exactly once, whatever happens to the ranks meanwhile. */
#include "base/clock.h"
#include "mpi/agree.h"
#include "mpi/farm.h"
#include "mpi_test.h"

#include <math.h>
#include <signal.h>
#include <time.h>

enum { DIGEST = 4242, PAYLOAD = 100, MAX_TASKS = 400 };

/* One made-up stage. */
typedef struct work {
    const lo_run *run;
    double seconds;      /* of a task */
    double slow_seconds; /* of task `slow`, or of every task of rank `slow_rank` */
    int64_t slow;        /* -1: none */
    int slow_rank;       /* -1: none */
    int64_t broken;      /* a task that fails with LO_DATA; -1: none */
    bool broken_end;     /* at its end */
    int64_t raises;      /* a task that raises SIGUSR1 on its rank; -1: none */
    int64_t halts;       /* a task that makes the file `halt`; -1: none */
    int done;            /* by this rank */
    bool did_slow;       /* this rank had the slow task */
    double last_end;     /* monotonic, of this rank's last task */
    double longest_gap;  /* between two tasks of this rank, while rank slow_rank was busy */
    double busy_until;
    double from[MAX_TASKS], to[MAX_TASKS]; /* when this rank ran which task */
    char payload[PAYLOAD];
    const uint64_t *names; /* of the tasks, or NULL */
    int64_t first, end;    /* of the tasks that are asked for; end 0: all */
    bool can_save;         /* tasks ask whether to save themselves */
    double save_seconds;
    lo_checkpoint checkpoint;
    int saves; /* of this rank, stops included */
} work;

static void fill(char *payload, int64_t task)
{
    for (int i = 0; i < PAYLOAD; i++) {
        payload[i] = (char)(task * 37 + i);
    }
}

/* What a training does between its batches. The file is empty; it is the farm that is tested here. */
static lo_status save_if_asked(work *w, double share, lo_error *err)
{
    lo_checkpoint *c = &w->checkpoint;
    const lo_save wish = c->ask(c->self, share);
    if (wish != LO_SAVE_NOTHING) {
        LO_TRY(lo_file_write(c->file, "", 0, err));
        c->there = true;
        c->saved(c->self, share);
        w->saves++;
    }
    return wish == LO_SAVE_AND_STOP ? LO_STOPPED : LO_OK;
}

static lo_status run_one(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err)
{
    work *w = self;
    const double from = lo_clock_monotonic();
    if (w->last_end > 0 && from < w->busy_until) {
        w->longest_gap = fmax(w->longest_gap, from - w->last_end);
    }
    const bool slow = task == w->slow || w->run->rank == w->slow_rank;
    const double seconds = slow ? w->slow_seconds : w->seconds;
    w->did_slow = w->did_slow || slow;
    if (task == w->broken && !w->broken_end) {
        return lo_fail(err, LO_DATA, "task %lld is broken", (long long)task);
    }
    if (task == w->raises) {
        (void)raise(SIGUSR1);
    }
    if (task == w->halts) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/halt", mpi_test.study);
        LO_TRY(lo_file_write(path, "", 0, err));
    }
    while (lo_clock_monotonic() - from < seconds) {
        const struct timespec pause = {.tv_nsec = 500000};
        LO_TRY(lo_tick_call(tick));
        (void)nanosleep(&pause, NULL);
        if (w->can_save) {
            LO_TRY(save_if_asked(w, fmin(1, (lo_clock_monotonic() - from) / seconds), err));
        }
    }
    if (task == w->broken) {
        return lo_fail(err, LO_DATA, "task %lld is broken", (long long)task);
    }
    w->done++;
    fill(w->payload, task);
    w->last_end = lo_clock_monotonic();
    w->from[task] = from;
    w->to[task] = w->last_end;
    *result = (lo_result){.payload = w->payload, .size = PAYLOAD, .value = (double)task};
    (void)snprintf(result->line, sizeof(result->line), "event=ended task=%lld", (long long)task);
    return LO_OK;
}

static work make_work(const lo_run *run, double seconds)
{
    return (work){
        .run = run, .seconds = seconds, .slow = -1, .slow_rank = -1, .broken = -1, .raises = -1, .halts = -1};
}

/* What one attempt did. */
typedef struct outcome {
    lo_status status;
    lo_harvest harvest;
    lo_error err;
} outcome;

/* One attempt over all that is left. `meddle` may change rank 0's ledger before. */
static outcome farm(lo_run *run, work *w, int64_t tasks, bool join, void (*meddle)(lo_ledger *ledger))
{
    outcome o = {.status = LO_OK};
    lo_ledger ledger;
    lo_error err = {{0}};
    CHECK_OK(lo_run_begin(run, join, &err));
    CHECK_OK(lo_ledger_create(run->study, LO_STAGE_ENSEMBLE, DIGEST, tasks, &ledger, &err));
    if (w->names != NULL) {
        CHECK_OK(lo_ledger_name(&ledger, w->names, &err));
    }
    if (run->rank == 0) {
        CHECK_OK(lo_ledger_read(&ledger, &err));
        if (meddle != NULL) {
            meddle(&ledger);
        }
    }
    const lo_work job = {.stage = LO_STAGE_ENSEMBLE,
                         .tasks = tasks,
                         .first = w->first,
                         .end = w->end,
                         .run = run_one,
                         .self = w,
                         .checkpoint = w->can_save ? &w->checkpoint : NULL,
                         .save_seconds = w->save_seconds};
    o.status = lo_farm(run, &job, &ledger, &o.harvest, &o.err);
    lo_ledger_destroy(&ledger);
    return o;
}

static void end(lo_run *run)
{
    lo_run_end(run, "test");
    MPI_Barrier(MPI_COMM_WORLD);
}

static outcome farm_alone(work *w, int64_t tasks)
{
    lo_run run;
    lo_run_init(&run, mpi_test.study);
    w->run = &run;
    const outcome o = farm(&run, w, tasks, false, NULL);
    end(&run);
    return o;
}

static int64_t sum(int64_t mine)
{
    MPI_Allreduce(MPI_IN_PLACE, &mine, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return mine;
}

/* `done` of the tasks have one DONE record, with the right payload, and none has two. */
static void check_journals(int64_t tasks, int64_t done)
{
    lo_ledger ledger;
    lo_error err = {{0}};
    CHECK_OK(lo_ledger_create(mpi_test.study, LO_STAGE_ENSEMBLE, DIGEST, tasks, &ledger, &err));
    CHECK_OK(lo_ledger_read(&ledger, &err));
    int64_t records = 0;
    for (int i = 0; i < ledger.sources; i++) {
        records += ledger.source[i].done;
        CHECK(ledger.source[i].ended);
        CHECK_INT((long long)ledger.source[i].skipped, 0);
    }
    CHECK_INT(ledger.done, done);
    CHECK_INT(records, done);
    for (int64_t t = 0; t < tasks; t++) {
        char expected[PAYLOAD];
        char *payload = NULL;
        lo_record record;
        if (ledger.entry[t].file >= 0) {
            fill(expected, t);
            CHECK_OK(lo_ledger_payload(&ledger, t, &record, &payload, &err));
            CHECK(payload != NULL && record.payload_size == PAYLOAD &&
                  memcmp(payload, expected, PAYLOAD) == 0);
            CHECK(ledger.entry[t].value == (double)t);
            free(payload);
        }
    }
    lo_ledger_destroy(&ledger);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* The same status and text on every rank. */
static void check_same(const outcome *o)
{
    lo_error first = o->err;
    int status = (int)o->status;
    MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    MPI_Bcast(&first, sizeof(first), MPI_BYTE, 0, MPI_COMM_WORLD);
    CHECK_INT(o->status, status);
    CHECK(status == LO_OK || strcmp(first.text, o->err.text) == 0);
}

static void test_counts(void)
{
    const int64_t counts[] = {0, 1, 2, 3, 5, 100};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "count-%lld", (long long)counts[i]);
        mpi_test_folder(name);
        for (int round = 0; round < 2; round++) { /* the second finds nothing to do */
            work w = make_work(NULL, 0.0005);
            const outcome o = farm_alone(&w, counts[i]);
            CHECK_INT(o.status, LO_OK);
            CHECK_INT(o.harvest.done, counts[i]);
            CHECK_INT(o.harvest.mine, round == 0 ? counts[i] : 0);
            CHECK_INT(sum(w.done), round == 0 ? counts[i] : 0);
            CHECK(!o.harvest.left_to_others);
            CHECK_INT(o.harvest.given_up, 0);
            check_journals(counts[i], counts[i]);
        }
        work w = make_work(NULL, 0); /* an ensemble that grows */
        CHECK_INT(farm_alone(&w, counts[i] + 3).status, LO_OK);
        CHECK_INT(sum(w.done), 3);
        check_journals(counts[i] + 3, counts[i] + 3);
    }
}

/* Parts of the tasks, one after the other and overlapping: each is done once, and none that is not asked for.
 */
static void test_parts(void)
{
    enum { TASKS = 150 };
    const int64_t part[][3] = {{40, 47, 7}, {0, 3, 3}, {45, 100, 53}, {149, 150, 1}, {0, 0, 86}};
    int64_t done = 0;
    mpi_test_folder("parts");
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        work w = make_work(NULL, 0.0005);
        w.first = part[i][0];
        w.end = part[i][1];
        const outcome o = farm_alone(&w, TASKS);
        done += part[i][2];
        CHECK_INT(o.status, LO_OK);
        CHECK_INT(o.harvest.mine, part[i][2]);
        CHECK_INT(o.harvest.done, done);
        for (int64_t t = 0; t < TASKS; t++) {
            CHECK(w.to[t] == 0 || w.end == 0 || (t >= w.first && t < w.end));
        }
        check_journals(TASKS, done);
    }
    CHECK_INT(done, TASKS);
}

/* While one rank has a long task the others do the rest. */
static void test_balance(void)
{
    enum { TASKS = 60 };
    mpi_test_folder("balance");
    work w = make_work(NULL, 0.004);
    w.slow = 1;
    w.slow_seconds = 0.8;
    const outcome o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_OK);
    check_journals(TASKS, TASKS);
    CHECK(!w.did_slow || mpi_test.ranks == 1 || w.done <= 4);
}

/* Rank 0 in the middle of a long task answers from its ticks. */
static void test_busy_coordinator(void)
{
    enum { TASKS = 80 };
    mpi_test_folder("busy");
    work w = make_work(NULL, 0.01);
    w.slow_rank = 0;
    w.slow_seconds = 0.5;
    w.busy_until = lo_clock_monotonic() + 0.4;
    const outcome o = farm_alone(&w, mpi_test.ranks > 1 ? TASKS : 2);
    CHECK_INT(o.status, LO_OK);
    CHECK(mpi_test.rank == 0 || w.longest_gap < 0.1);
    CHECK(mpi_test.rank == 0 || w.done > 10 / mpi_test.ranks);
    check_journals(mpi_test.ranks > 1 ? TASKS : 2, mpi_test.ranks > 1 ? TASKS : 2);
}

/* Tasks with digests of their own: what is done stays done when others come before it, and what each result
 * says of itself is in the log of rank 0. */
static void test_named(void)
{
    uint64_t names[40];
    char path[1024];
    char *log = NULL;
    size_t size;
    lo_error err = {{0}};
    lo_run run;
    mpi_test_folder("named");
    lo_run_init(&run, mpi_test.study);
    work w = make_work(&run, 0.002);
    for (int i = 0; i < 40; i++) {
        names[i] = (uint64_t)(1000 - 7 * i);
    }
    w.names = names + 20;
    CHECK_INT(farm_alone(&w, 20).harvest.mine, 20);
    w.names = names;
    const outcome o = farm_alone(&w, 40);
    CHECK_INT(o.harvest.mine, 20);
    CHECK_INT(o.harvest.done, 40);
    CHECK_INT(sum(w.done), 40);
    for (int task = 20; task < 40; task++) {
        CHECK(w.from[task] == 0); /* not begun a second time */
    }
    (void)snprintf(path, sizeof(path), "%s/log/attempt-002.log", mpi_test.study);
    CHECK_OK(lo_file_read(path, 1 << 20, &log, &size, &err));
    int lines = 0;
    for (const char *at = log; at != NULL && (at = strstr(at, "event=ended task=")) != NULL; at++) {
        lines++;
    }
    CHECK_INT(lines, 20);
    free(log);
}

/* A task that fails ends the farm everywhere, with its text; what was done stays. */
static void test_broken_task(void)
{
    enum { TASKS = 40 };
    for (int64_t broken = 0; broken < TASKS; broken += 13) {
        char name[32];
        (void)snprintf(name, sizeof(name), "broken-%lld", (long long)broken);
        mpi_test_folder(name);
        work w = make_work(NULL, 0.002);
        w.broken = broken;
        outcome o = farm_alone(&w, TASKS);
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "task %lld is broken", (long long)broken);
        CHECK_INT(o.status, LO_DATA);
        CHECK_TEXT(o.err.text, expected);
        check_same(&o);
        const int64_t done = sum(w.done);
        CHECK(done < TASKS);
        CHECK_INT(o.harvest.done, done);
        check_journals(TASKS, done);
        w = make_work(NULL, 0.001);
        o = farm_alone(&w, TASKS);
        CHECK_INT(o.status, LO_OK);
        CHECK_INT(sum(w.done), TASKS - done);
        check_journals(TASKS, TASKS);
    }
}

/* A rank that cannot write its journal. */
static void test_no_journal(void)
{
    enum { TASKS = 20 };
    mpi_test_folder("no-journal");
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/journal/attempt-001-rank-%04d.jnl", mpi_test.study,
                   mpi_test.ranks - 1);
    if (mpi_test.rank == 0) {
        CHECK(lo_file_write(path, "", 0, NULL) == LO_OK); /* in the way */
    }
    MPI_Barrier(MPI_COMM_WORLD);
    work w = make_work(NULL, 0.01);
    const outcome o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_IO);
    CHECK_TEXT(o.err.text, "cannot create the journal");
    check_same(&o);
}

static void unlink_halt(void)
{
    if (mpi_test.rank == 0) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/halt", mpi_test.study);
        (void)unlink(path);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* A stop, asked for on one rank only, in the middle: all end with it, and the rest is done by another
 * attempt. */
static void test_stop(const char *name, work (*make)(int64_t task))
{
    enum { TASKS = 300, AT = 20 };
    mpi_test_folder(name);
    work w = make(AT);
    outcome o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_STOPPED);
    CHECK_TEXT(o.err.text, "run again");
    check_same(&o);
    const int64_t done = sum(w.done);
    CHECK(done > AT - 2 * mpi_test.ranks && done < TASKS);
    check_journals(TASKS, done);
    unlink_halt();
    w = make_work(NULL, 0.001);
    o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_OK);
    CHECK_INT(sum(w.done), TASKS - done);
    check_journals(TASKS, TASKS);
}

static work stop_by_signal(int64_t task)
{
    work w = make_work(NULL, 0.01);
    w.raises = task;
    return w;
}

static work stop_by_file(int64_t task)
{
    work w = make_work(NULL, 0.01);
    w.halts = task;
    w.slow = task;
    w.slow_seconds = 1.2; /* the file is looked for once a second */
    return w;
}

/* What cannot end before the deadline is dropped, and nothing of it is recorded. */
static void test_deadline(void)
{
    enum { TASKS = 8 };
    mpi_test_folder("deadline");
    char soon[32];
    (void)snprintf(soon, sizeof(soon), "%.3f",
                   lo_clock_wall() + 30.5); /* 0.5 s after the margin is taken off */
    (void)setenv("LEAVEOUT_END_TIME", soon, 1);
    work w = make_work(NULL, 100);
    w.raises = 0;
    const double from = lo_clock_monotonic();
    const outcome o = farm_alone(&w, TASKS);
    (void)unsetenv("LEAVEOUT_END_TIME");
    CHECK_INT(o.status, LO_STOPPED);
    CHECK(lo_clock_monotonic() - from < 5);
    CHECK_INT(sum(w.done), 0);
    check_journals(TASKS, 0);
}

/* No task begins that would not end in time. */
static void test_time_limit(void)
{
    enum { TASKS = 100 };
    mpi_test_folder("limit");
    char soon[32];
    const double limit = lo_clock_wall() + 31; /* a margin of 30 s */
    (void)snprintf(soon, sizeof(soon), "%.3f", limit);
    (void)setenv("LEAVEOUT_END_TIME", soon, 1);
    work w = make_work(NULL, 0.2);
    const outcome o = farm_alone(&w, TASKS);
    (void)unsetenv("LEAVEOUT_END_TIME");
    CHECK_INT(o.status, LO_STOPPED);
    CHECK_TEXT(o.err.text, "no time left");
    const int64_t done = sum(w.done);
    CHECK(done > 0 && done < TASKS);
    CHECK(w.done == 0 || w.last_end - lo_clock_monotonic() + lo_clock_wall() < limit - 29.8);
    check_journals(TASKS, done);
}

/* How many records of a kind the journals hold. */
static lo_status count_record(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    int64_t *counts = self;
    (void)at;
    (void)payload;
    counts[record->kind]++;
    return LO_OK;
}

static int64_t count_records(lo_record_kind kind)
{
    lo_error err = {{0}};
    int64_t counts[16] = {0};
    for (int attempt = 1; attempt <= 4; attempt++) {
        char path[1024];
        uint64_t offset = 0, skipped = 0;
        (void)snprintf(path, sizeof(path), "%s/journal/attempt-%03d-rank-%04d.jnl", mpi_test.study, attempt,
                       mpi_test.rank);
        if (access(path, F_OK) == 0) {
            CHECK_OK(lo_journal_scan(path, &offset, &skipped, count_record, counts, &err));
        }
    }
    return sum(counts[kind]);
}

static int64_t count_files(void)
{
    int64_t count = 0;
    for (int64_t t = 0; mpi_test.rank == 0 && t < MAX_TASKS; t++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/checkpoints/ensemble-%06lld.ckpt", mpi_test.study,
                       (long long)t);
        count += access(path, F_OK) == 0;
    }
    return sum(count);
}

static void make_savable(work *w, const char *name)
{
    lo_error err = {{0}};
    char path[1024];
    mpi_test_folder(name);
    (void)snprintf(path, sizeof(path), "%s/checkpoints", mpi_test.study);
    CHECK_OK(lo_file_mkdirs(path, &err));
    MPI_Barrier(MPI_COMM_WORLD);
    w->can_save = true;
}

/* Tasks that can be saved: every so often, and the files are gone with the tasks. */
static void test_saved_from_time_to_time(void)
{
    enum { TASKS = 6 };
    work w = make_work(NULL, 0.1);
    w.save_seconds = 0.03;
    make_savable(&w, "saved");
    const outcome o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_OK);
    CHECK_INT(o.harvest.saved, 0);
    const int64_t saves = sum(w.saves);
    CHECK(saves >= TASKS && saves <= 3 * TASKS);
    CHECK_INT(count_records(LO_RECORD_SAVED), saves);
    CHECK_INT(count_files(), 0);
    check_journals(TASKS, TASKS);
}

/* After a stop, what cannot end soon is saved, at once where nobody waits for it, and no death is counted;
 * what can end does. */
static void test_saved_at_stop(const char *name, double seconds, double limit)
{
    enum { TASKS = 40 };
    char soon[32];
    work w = make_work(NULL, seconds);
    make_savable(&w, name);
    (void)snprintf(soon, sizeof(soon), "%.3f", lo_clock_wall() + limit);
    if (limit > 0) {
        (void)setenv("LEAVEOUT_END_TIME", soon, 1);
    }
    w.raises = strstr(name, "signal") != NULL ? 0 : -1;
    w.halts = strstr(name, "halt") != NULL ? 0 : -1;
    const double from = lo_clock_monotonic();
    const outcome o = farm_alone(&w, TASKS);
    (void)unsetenv("LEAVEOUT_END_TIME");
    CHECK_INT(o.status, LO_STOPPED);
    check_same(&o);
    CHECK(lo_clock_monotonic() - from < 5);
    const bool ends = seconds < 5;
    CHECK(ends ? sum(w.done) > 0 : sum(w.done) == 0);
    /* All that ranks had begun, which after an early stop are not all ranks. What ends saves itself before
     * its last part, and then the file is gone. */
    const int64_t saves = sum(w.saves);
    CHECK_INT(o.harvest.saved, ends ? 0 : saves);
    CHECK_INT(count_files(), ends ? 0 : saves);
    CHECK(saves > 0 && saves <= mpi_test.ranks);
    check_journals(TASKS, sum(w.done));
    if (!ends) { /* the next attempt finds them, and takes them away in the end */
        unlink_halt();
        w = make_work(NULL, 0.001);
        w.can_save = true;
        CHECK_INT(farm_alone(&w, TASKS).status, LO_OK);
        CHECK_INT(count_files(), 0);
        check_journals(TASKS, TASKS);
    }
}

/* A task that fails leaves the others the time to save themselves. */
static void test_saved_beside_a_broken_task(void)
{
    enum { TASKS = 12 };
    work w = make_work(NULL, 100);
    make_savable(&w, "beside");
    w.slow_seconds = 0.5;
    w.slow = 0;
    w.broken_end = true;
    w.broken = 0;
    const double from = lo_clock_monotonic();
    const outcome o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_DATA);
    CHECK_TEXT(o.err.text, "task 0 is broken");
    CHECK(lo_clock_monotonic() - from < 5);
    CHECK_INT(sum(w.saves), mpi_test.ranks - 1);
    CHECK_INT(count_files(), mpi_test.ranks - 1);
}

static void suspect(lo_ledger *ledger)
{
    ledger->entry[2].deaths = 3;
    ledger->entry[3].deaths = 3;
    ledger->entry[3].lone_deaths = 2;
    ledger->entry[4].deaths = 3;
    ledger->entry[4].lone_deaths = 3;
}

/* A suspect runs last and alone; one that died alone three times is given up, for good. */
static void test_suspects(void)
{
    enum { TASKS = 20 };
    mpi_test_folder("suspects");
    lo_run run;
    lo_run_init(&run, mpi_test.study);
    work w = make_work(&run, 0.01);
    outcome o = farm(&run, &w, TASKS, false, suspect);
    end(&run);
    CHECK_INT(o.status, LO_OK);
    CHECK_INT(o.harvest.given_up, 1);
    CHECK_INT(o.harvest.done, TASKS - 1);
    check_journals(TASKS, TASKS - 1);
    MPI_Allreduce(MPI_IN_PLACE, w.from, MAX_TASKS, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, w.to, MAX_TASKS, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    for (int t = 0; t < TASKS; t++) {
        for (int s = 2; s <= 3; s++) {
            CHECK(t == s || w.to[t] <= w.from[s] || w.from[t] >= w.to[s]); /* alone */
            CHECK(t == 2 || t == 3 || w.to[t] <= w.from[s]);               /* last */
        }
    }
    CHECK(mpi_test.rank != 0 || mpi_test.ranks == 1 || w.done < TASKS);
    w = make_work(NULL, 0.001);
    o = farm_alone(&w, TASKS);
    CHECK_INT(o.status, LO_OK);
    CHECK_INT(o.harvest.given_up, 1);
    CHECK_INT(sum(w.done), 0);
}

/* Two attempts at once, of half of the ranks each, share the tasks; one closes the stage. */
static void test_joined(void)
{
    enum { TASKS = 150 };
    if (mpi_test.ranks == 1) {
        return;
    }
    mpi_test_folder("joined");
    lo_run run;
    MPI_Comm half;
    const int which = mpi_test.rank % 2;
    lo_run_init(&run, mpi_test.study);
    MPI_Comm_free(&run.comm);
    MPI_Comm_split(MPI_COMM_WORLD, which, mpi_test.rank, &half);
    run.comm = half;
    MPI_Comm_rank(run.comm, &run.rank);
    MPI_Comm_size(run.comm, &run.ranks);
    work w = make_work(&run, 0.005);
    const outcome o = farm(&run, &w, TASKS, true, NULL);
    end(&run);
    CHECK_INT(o.status, LO_OK);
    CHECK(w.done > 0);
    CHECK_INT(sum(w.done), TASKS);
    check_journals(TASKS, TASKS);
    /* One of them closes; both may, when both saw the last task done. */
    CHECK(sum(o.harvest.left_to_others ? 0 : 1) > 0);
    CHECK(o.harvest.left_to_others || o.harvest.done == TASKS);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    (void)unsetenv("LEAVEOUT_END_TIME");
    test_counts();
    test_parts();
    test_balance();
    test_busy_coordinator();
    test_named();
    test_broken_task();
    test_no_journal();
    test_stop("signal", stop_by_signal);
    test_stop("halt", stop_by_file);
    test_deadline();
    test_time_limit();
    test_saved_from_time_to_time();
    test_saved_at_stop("signal, saved", 1000, 33); /* 3 s; it may use half of them */
    test_saved_at_stop("halt, saved", 1000, 0);
    test_saved_at_stop("limit, saved", 1000, 31.5);
    test_saved_at_stop("halt, ended", 1.2, 0);
    test_saved_beside_a_broken_task();
    test_suspects();
    test_joined();
    return mpi_test_end("test_farm");
}
