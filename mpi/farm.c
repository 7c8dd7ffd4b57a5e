#include "mpi/farm.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "mpi/agree.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TAG_TO_COORDINATOR = 1, TAG_TO_WORKER = 2 };

/* Worker to rank 0. ASK: give me a task (one answer each); DONE: one is finished, or given back when status
 * says so, in `saved` for the better. `idle`: nothing else is in hand, and an ASK that is still unanswered is
 * urgent now. SIGNAL: this rank got the signal `status`. ALIVE: nothing but that. */
typedef enum ask_kind { ASK = 1, DONE = 2, SIGNAL = 3, ALIVE = 4 } ask_kind;
typedef struct ask {
    int32_t kind, status, idle, saved;
    int64_t task;
    double seconds;
    char line[LO_RESULT_LINE]; /* DONE: of the result */
} ask;

/* Rank 0 to worker. TASK, ALONE: run it (alone: nothing else runs); OVER: no more, the answer to the last
 * ASK; STOP: no answer, but news: give up what cannot end in `seconds` from now, or save it, but not
 * before `save_seconds`. */
typedef enum grant_kind { TASK = 1, ALONE = 2, OVER = 3, STOP = 4 } grant_kind;
typedef struct grant {
    int32_t kind, reserved;
    int64_t task;
    double seconds, save_seconds;
} grant;

enum { SUSPECT_AFTER = 3, GIVE_UP_AFTER = 3 };
typedef enum task_state { OPEN, QUEUED, RUNNING, FINISHED, SKIPPED, SUSPECT } task_state;

/* What rank 0 knows. */
typedef struct coordinator {
    uint8_t *state; /* [tasks], task_state */
    int64_t *queue; /* leased tasks not yet granted, a ring of `tasks` */
    int64_t head, queued;
    int64_t range; /* tasks a lease covers */
    int64_t ranges;
    uint8_t *leased;        /* [ranges]: by this attempt */
    int64_t next_range;     /* where to look for the next lease */
    bool may_lease;         /* false after all ranges were looked at in vain, until the next poll */
    bool may_lease_suspect; /* the same for the first suspect's */
    double idle_since;      /* since when all that is left is other attempts' work; -1: it is not */
    bool older_waits;       /* an older attempt gave a heartbeat since then: it will close the stage */
    int64_t running;        /* granted and not finished, over all ranks */
    int64_t left;           /* OPEN + QUEUED + RUNNING + SUSPECT: not finished by anybody */
    int64_t given_up;
    uint8_t *asking; /* [ranks]: 0 no unanswered ASK, 1 ahead of need, 2 idle */
    uint8_t *over;   /* [ranks]: was told OVER */
    double *silent;  /* [ranks]: seconds since something came from it, as rank 0 lived them */
    double silence;  /* a rank that is silent for as long is dead */
    double watched;  /* when silent was brought up to date */
    int over_count;
    bool closing;         /* no task will be granted any more */
    double told_deadline; /* of the stop that ranks were told of, HUGE_VAL: none */
    bool left_to_others;
    double next_poll; /* when to look again for what other attempts did */
    double next_line, next_status;
    double started;
    int64_t mine;
    double mine_seconds;
    int64_t saved;    /* tasks given back further than they were taken */
    double reserve;   /* seconds before the end at which tasks that can be saved are told to, at most */
    lo_status status; /* why it closes early */
} coordinator;

typedef struct farm {
    lo_run *run;
    const lo_work *work;
    lo_ledger *ledger;
    int team_size; /* ranks that run a task together, of which the first leads */
    int teams;
    coordinator c;
    lo_harvest harvest;

    /* This rank as a worker. */
    int64_t current; /* -1: none */
    double current_started;
    double stop_deadline; /* monotonic; -1: not stopping */
    double stop_told;     /* when that was known */
    double save_deadline; /* till when tasks that will be saved may go on */
    bool saved;           /* the current task has been */
    double saved_at;      /* or when it began */
    bool asked;           /* an ASK is unanswered (ranks above 0) */
    double asked_at;
    bool held; /* a grant came that was not begun yet */
    grant hold;
    grant inbox;
    MPI_Request receive;
    int signal_sent; /* the stop signal that rank 0 was told of */
    double spoken;   /* when rank 0 last heard from here */
    double last_tick;
    long tick_delay;           /* microseconds, for tests */
    double mean_seconds;       /* of a task, for deadlines; 0: unknown */
    char line[LO_RESULT_LINE]; /* of the last result */
    lo_error *err;
} farm;

static int leader_of(const farm *f, int rank)
{
    return rank - rank % f->team_size;
}

static void send_ask(farm *f, ask_kind kind, int64_t task, lo_status status, double seconds, bool idle)
{
    ask a = {.kind = kind,
             .status = (int32_t)status,
             .idle = idle,
             .saved = f->saved,
             .task = task,
             .seconds = seconds};
    if (kind == DONE && status == LO_OK) {
        memcpy(a.line, f->line, sizeof(a.line));
    }
    MPI_Send(&a, sizeof(a), MPI_BYTE, 0, TAG_TO_COORDINATOR, f->run->comm);
    f->spoken = lo_clock_monotonic();
}

static void send_grant(farm *f, int rank, grant_kind kind, int64_t task)
{
    const double now = lo_clock_monotonic();
    grant g = {.kind = kind,
               .task = task,
               .seconds = f->run->stop_deadline - now,
               .save_seconds = f->run->save_deadline - now};
    MPI_Send(&g, sizeof(g), MPI_BYTE, rank, TAG_TO_WORKER, f->run->comm);
}

/* ---- rank 0: which task next ---- */

/* The tasks that are asked for: first .. end_of_work()-1. */
static int64_t end_of_work(const farm *f)
{
    return f->work->end > 0 ? f->work->end : f->work->tasks;
}

static int64_t count_of_work(const farm *f)
{
    return end_of_work(f) - f->work->first;
}

static void queue_push(farm *f, int64_t task)
{
    coordinator *c = &f->c;
    c->queue[(c->head + c->queued) % f->work->tasks] = task;
    c->queued++;
    c->state[task] = QUEUED;
}

/* Marks what the journals say is finished. */
static void take_over_ledger(farm *f)
{
    coordinator *c = &f->c;
    for (int64_t t = 0; t < f->work->tasks; t++) {
        if (f->ledger->entry[t].file >= 0 && c->state[t] != FINISHED && c->state[t] != RUNNING) {
            if (c->state[t] == SKIPPED) {
                c->given_up--;
            } else {
                c->left--;
            }
            /* A queued one stays in the ring and is passed over. */
            c->state[t] = FINISHED;
        }
    }
}

/* Leases ranges until the queue holds enough for every team to have one running and one in hand, or nothing
 * is free. */
static lo_status refill(farm *f)
{
    coordinator *c = &f->c;
    const int64_t wanted = f->teams;
    for (int64_t looked = 0; c->may_lease && c->queued < wanted; looked++) {
        if (looked == c->ranges) {
            c->may_lease = false;
            break;
        }
        const int64_t r = c->next_range;
        c->next_range = (r + 1) % c->ranges;
        const int64_t from = r * c->range;
        const int64_t to = from + c->range < f->work->tasks ? from + c->range : f->work->tasks;
        bool open = false;
        for (int64_t t = from; t < to; t++) {
            open = open || c->state[t] == OPEN;
        }
        if (!open) {
            continue;
        }
        if (c->leased[r] == 0) {
            bool taken = false;
            LO_TRY(lo_lease_take(f->run->study, lo_stage_name(f->work->stage), r, &f->run->attempt, &taken,
                                 f->err));
            if (!taken) {
                continue;
            }
            c->leased[r] = 1;
            /* Its last holder may have finished some of it before the lease became ours. */
            LO_TRY(lo_ledger_read(f->ledger, f->err));
            take_over_ledger(f);
        }
        for (int64_t t = from; t < to; t++) {
            if (c->state[t] == OPEN) {
                queue_push(f, t);
            }
        }
    }
    return LO_OK;
}

static int64_t queue_pop(farm *f)
{
    coordinator *c = &f->c;
    while (c->queued > 0) {
        const int64_t task = c->queue[c->head];
        c->head = (c->head + 1) % f->work->tasks;
        c->queued--;
        if (c->state[task] == QUEUED) {
            return task;
        }
    }
    return -1;
}

static int64_t first_in_state(const farm *f, task_state state)
{
    for (int64_t t = 0; t < f->work->tasks; t++) {
        if (f->c.state[t] == state) {
            return t;
        }
    }
    return -1;
}

/* Stops granting; `status` says why when it is not that all is done. */
static void close_farm(farm *f, lo_status status)
{
    if (!f->c.closing || f->c.status == LO_OK) {
        f->c.status = status;
    }
    f->c.closing = true;
}

/* Left to end in good order, before the scheduler ends the job; and to save tasks before that. */
enum { MARGIN_SECONDS = 30, SAVE_SECONDS = 60 };

static bool can_save(const farm *f)
{
    return f->work->checkpoint != NULL;
}

/* Would as many tasks, one after the other, end before the scheduler ends the job, or at least get further?
 */
static bool fits_in_time(const farm *f, int tasks)
{
    double needed = tasks * f->mean_seconds;
    if (can_save(f) && (needed <= 0 || needed > f->c.reserve)) {
        needed = f->c.reserve;
    }
    return needed <= 0 || lo_run_time_left(f->run) > needed + MARGIN_SECONDS;
}

/* There is no time for another task, and tasks that can be saved have to think of it. */
static void run_out_of_time(farm *f)
{
    lo_run *run = f->run;
    const double left = lo_run_time_left(run);
    (void)snprintf(run->stop_reason, sizeof(run->stop_reason), "no time left for another task");
    lo_run_say(run, "event=stopping reason=\"no time left for another task\" left_s=%.0f", left);
    if (can_save(f)) {
        run->stopping = true;
        run->save_deadline = lo_clock_monotonic();
        run->stop_deadline = run->save_deadline + left - MARGIN_SECONDS;
    }
    close_farm(f, LO_STOPPED);
}

/* The next grant for a rank. kind 0: no answer yet. */
static grant next_grant(farm *f, int rank, bool idle)
{
    coordinator *c = &f->c;
    grant g = {.task = -1};
    if (!c->closing && f->run->stopping) {
        close_farm(f, LO_STOPPED);
    }
    if (!c->closing && !fits_in_time(f, 1)) {
        run_out_of_time(f);
    }
    if (!c->closing && c->queued < f->teams) {
        const lo_status status = refill(f);
        if (status != LO_OK) {
            close_farm(f, status);
        }
    }
    if (c->closing) {
        /* A rank that has something running gets its answer when it comes back. */
        g.kind = idle ? OVER : 0;
        return g;
    }
    if (c->queued > 0) {
        /* Near the end a task in hand is a task that an idle rank could have begun; and one in hand begins
         * only when the current one ends. */
        if (!idle && (c->queued < f->teams || !fits_in_time(f, 2))) {
            return g;
        }
        const int64_t task = queue_pop(f);
        if (task >= 0) {
            g = (grant){.kind = TASK, .task = task};
            c->state[task] = RUNNING;
            c->running++;
            return g;
        }
    }
    if (!idle) {
        return g;
    }
    const int64_t suspect = first_in_state(f, SUSPECT);
    const bool others_only_suspects =
        c->left > 0 && suspect >= 0 && first_in_state(f, OPEN) < 0 && c->running == 0;
    if (others_only_suspects && c->may_lease_suspect && (rank != 0 || f->teams == 1)) {
        /* Not rank 0 where there is another: what kills its rank should not take the coordinator's journal
         * along. */
        bool taken = false;
        const int64_t r = suspect / c->range;
        if (c->leased[r] != 0 || (lo_lease_take(f->run->study, lo_stage_name(f->work->stage), r,
                                                &f->run->attempt, &taken, f->err) == LO_OK &&
                                  taken)) {
            c->leased[r] = 1;
            c->state[suspect] = RUNNING;
            c->running++;
            return (grant){.kind = ALONE, .task = suspect};
        }
        c->may_lease_suspect = false; /* another attempt tries it: look again at the next poll */
    }
    if (c->left == 0) {
        close_farm(f, LO_OK);
        g.kind = OVER;
        return g;
    }
    if (c->running == 0 && !others_only_suspects && c->older_waits) {
        /* What is left is other attempts' work, and an older one than this waits for it. */
        c->left_to_others = true;
        close_farm(f, LO_OK);
        g.kind = OVER;
    }
    return g;
}

static void note_over(farm *f, int rank)
{
    if (f->c.over[rank] == 0) {
        f->c.over[rank] = 1;
        f->c.over_count++;
    }
}

static void finish_task(farm *f, int64_t task, lo_status status, double seconds, bool saved, const char *line)
{
    enum { GRACE_SECONDS = 20 };
    coordinator *c = &f->c;
    c->running--;
    if (status == LO_OK) {
        c->state[task] = FINISHED;
        c->left--;
        c->mine++;
        c->mine_seconds += seconds;
        f->mean_seconds = c->mine_seconds / (double)c->mine;
        if (line[0] != '\0') {
            lo_run_say(f->run, "%s", line);
        }
    } else {
        c->state[task] = OPEN;
        c->saved += saved;
        if (status != LO_STOPPED) {
            /* The rank that failed brings status and text to the agreement at the end; the others stop at
             * once, or when they have saved what they do. */
            close_farm(f, LO_STOPPED);
            f->run->stopping = true;
            f->run->save_deadline = lo_clock_monotonic();
            f->run->stop_deadline = f->run->save_deadline + (can_save(f) ? GRACE_SECONDS : 0);
        }
    }
}

/* Answers what can be answered. */
static void answer(farm *f)
{
    coordinator *c = &f->c;
    for (int rank = 1; rank < f->run->ranks; rank++) {
        if (c->asking[rank] == 0) {
            continue;
        }
        const grant g = next_grant(f, rank, c->asking[rank] == 2);
        if (g.kind == 0) {
            continue;
        }
        c->asking[rank] = 0;
        if (g.kind == OVER) {
            note_over(f, rank);
        }
        send_grant(f, rank, (grant_kind)g.kind, g.task);
    }
}

static void write_status(farm *f)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/status.json", f->run->study);
    lo_file file;
    if (lo_file_begin(path, &file, NULL) != LO_OK) {
        return; /* a status that cannot be written stops no work */
    }
    const coordinator *c = &f->c;
    const double elapsed = lo_clock_monotonic() - c->started;
    const double rate = elapsed > 0 ? (double)c->mine / elapsed : 0;
    lo_json json = lo_json_begin(file.stream);
    lo_json_object(&json, NULL);
    lo_json_text(&json, "stage", lo_stage_name(f->work->stage));
    lo_json_text(&json, "state", c->closing ? "closing" : "running");
    lo_json_int(&json, "total", count_of_work(f));
    lo_json_int(&json, "done", count_of_work(f) - c->left - c->given_up);
    lo_json_int(&json, "given_up", c->given_up);
    lo_json_int(&json, "running", c->running);
    lo_json_real(&json, "tasks_per_second", rate);
    lo_json_real(&json, "seconds_left", rate > 0 ? (double)c->left / rate : (double)NAN);
    lo_json_int(&json, "attempt", f->run->attempt.number);
    lo_json_text(&json, "job", f->run->attempt.job);
    lo_json_text(&json, "host", f->run->attempt.host);
    lo_json_int(&json, "ranks", f->run->ranks);
    lo_json_real(&json, "updated", lo_clock_wall());
    lo_json_end(&json);
    (void)fputc('\n', file.stream);
    (void)lo_file_end(&file, LO_OK, NULL);
}

static void show_progress(farm *f, double now)
{
    enum { LINE_SECONDS = 10, STATUS_SECONDS = 5 };
    coordinator *c = &f->c;
    if (now >= c->next_line) {
        c->next_line = now + (f->run->bar ? 1 : LINE_SECONDS);
        const double elapsed = now - c->started;
        const double rate = elapsed > 0 ? (double)c->mine / elapsed : 0;
        const int64_t total = count_of_work(f);
        const int64_t done = total - c->left - c->given_up;
        char eta[32] = "unknown";
        if (rate > 0) {
            (void)snprintf(eta, sizeof(eta), "%.0f", (double)c->left / rate);
        }
        lo_run_progress(f->run, (double)done / (double)total,
                        "event=progress stage=%s done=%lld total=%lld running=%lld rate=%.3f/s eta_s=%s",
                        lo_stage_name(f->work->stage), (long long)done, (long long)total,
                        (long long)(c->running < f->teams ? c->running : f->teams), rate, eta);
    }
    if (now >= c->next_status) {
        c->next_status = now + STATUS_SECONDS;
        write_status(f);
    }
}

/* A node that restarts before the scheduler misses it takes its ranks along, and nobody says so: the others
 * would wait for them until the job's time is up. No collective can end that any more; the step must die, so
 * that the batch script starts another. */
static void watch_ranks(farm *f, double now)
{
    /* None of lo_status: another start may mend it. A job that was suspended has not been listening. */
    enum { DEATH_CODE = 71, LONGEST_STEP = 1 };
    coordinator *c = &f->c;
    const double step = now - c->watched < LONGEST_STEP ? now - c->watched : LONGEST_STEP;
    c->watched = now;
    for (int rank = 1; rank < f->run->ranks; rank++) {
        c->silent[rank] += step;
        if (c->over[leader_of(f, rank)] == 0 && c->silent[rank] > c->silence) {
            lo_run_warn(f->run,
                        "rank %d has been silent for %.0f s: it is lost, or its node; this attempt ends",
                        rank, c->silent[rank]);
            MPI_Abort(f->run->comm, DEATH_CODE);
        }
    }
}

/* From now on what cannot end before `deadline` is given up, or saved, but not before `save_deadline`. */
static void heed_stop(farm *f, double deadline, double save_deadline)
{
    f->stop_told = f->stop_deadline < 0 ? lo_clock_monotonic() : f->stop_told;
    f->stop_deadline = deadline;
    f->save_deadline = save_deadline;
}

/* Rank 0's duties, called from its ticks and while it waits. */
static void serve(farm *f)
{
    enum { POLL_SECONDS = 2 };
    coordinator *c = &f->c;
    bool news = false;
    for (;;) {
        int there = 0;
        MPI_Status from;
        MPI_Iprobe(MPI_ANY_SOURCE, TAG_TO_COORDINATOR, f->run->comm, &there, &from);
        if (!there) {
            break;
        }
        ask a;
        MPI_Recv(&a, sizeof(a), MPI_BYTE, from.MPI_SOURCE, TAG_TO_COORDINATOR, f->run->comm,
                 MPI_STATUS_IGNORE);
        c->silent[from.MPI_SOURCE] = 0;
        if (a.kind == ALIVE) {
            continue;
        }
        if (a.kind == DONE) {
            a.line[sizeof(a.line) - 1] = '\0';
            finish_task(f, a.task, (lo_status)a.status, a.seconds, a.saved != 0, a.line);
            if (a.idle && c->asking[from.MPI_SOURCE] != 0) {
                c->asking[from.MPI_SOURCE] = 2;
            }
        } else if (a.kind == SIGNAL) {
            lo_run_pass_signal((int)a.status);
        } else {
            c->asking[from.MPI_SOURCE] = a.idle ? 2 : 1;
        }
        news = true;
    }
    lo_run_watch(f->run);
    const double now = lo_clock_monotonic();
    watch_ranks(f, now);
    if (can_save(f) && c->running > 0 && !c->closing && !f->run->stopping && !fits_in_time(f, 1)) {
        run_out_of_time(f);
    }
    if (f->run->stopping && f->run->stop_deadline < c->told_deadline) {
        c->told_deadline = f->run->stop_deadline;
        heed_stop(f, f->run->stop_deadline, f->run->save_deadline);
        for (int rank = f->team_size; rank < f->run->ranks; rank += f->team_size) {
            if (c->over[rank] == 0) {
                send_grant(f, rank, STOP, -1);
            }
        }
        news = true;
    }
    if (!c->closing && c->queued == 0 && c->left > c->running && now >= c->next_poll) {
        /* Somebody else's ranges: are they finished, or has their holder died? */
        c->next_poll = now + POLL_SECONDS;
        if (lo_ledger_read(f->ledger, f->err) == LO_OK) {
            take_over_ledger(f);
        }
        c->may_lease = true;
        c->may_lease_suspect = true;
        if (c->running > 0) {
            c->idle_since = -1;
        } else if (c->idle_since < 0) {
            c->idle_since = now;
        }
        c->older_waits = c->idle_since >= 0 && lo_run_elder_beats(f->run, now - c->idle_since);
        news = true;
    }
    if (news) {
        answer(f);
    }
    show_progress(f, now);
}

/* ---- every rank: running tasks ---- */

/* Ranks above 0: tells rank 0 of a signal, and now and then that it is there. */
static void speak(farm *f)
{
    enum { ALIVE_SECONDS = 5 };
    const int number = lo_run_signal();
    if (number != f->signal_sent) {
        f->signal_sent = number;
        send_ask(f, SIGNAL, -1, (lo_status)number, 0, false);
    }
    if (lo_clock_monotonic() - f->spoken > ALIVE_SECONDS) {
        send_ask(f, ALIVE, -1, LO_OK, 0, false);
    }
}

/* The same, and takes what has come from rank 0. */
static void listen(farm *f)
{
    int there = 0;
    speak(f);
    MPI_Test(&f->receive, &there, MPI_STATUS_IGNORE);
    while (there) {
        const grant g = f->inbox;
        MPI_Irecv(&f->inbox, sizeof(f->inbox), MPI_BYTE, 0, TAG_TO_WORKER, f->run->comm, &f->receive);
        if (g.kind == STOP) {
            const double now = lo_clock_monotonic();
            heed_stop(f, now + g.seconds, now + g.save_seconds);
        } else {
            if (g.kind == TASK) {
                const double waited = lo_clock_monotonic() - f->asked_at;
                f->harvest.claims++;
                f->harvest.claim_sum += waited;
                f->harvest.claim_seconds = fmax(f->harvest.claim_seconds, waited);
            }
            f->asked = false;
            f->hold = g;
            f->held = true;
        }
        MPI_Test(&f->receive, &there, MPI_STATUS_IGNORE);
    }
}

/* Between mini-batches. */
/* For tests: LEAVEOUT_FAULT=kill-task:N kills the rank that runs task N, kill-saved:N the one that has just
 * saved it, slow-tasks:MS delays every task, slow-ticks:US every tick; several stand with commas between. -1:
 * it is not asked for. */
static long fault(const char *kind)
{
    const char *text = getenv("LEAVEOUT_FAULT");
    const char *found = text != NULL ? strstr(text, kind) : NULL;
    return found != NULL && found[strlen(kind)] == ':' ? strtol(found + strlen(kind) + 1, NULL, 10) : -1;
}

static bool is_early(farm *f, double now)
{
    enum { TICKS_PER_SECOND = 1000 };
    const bool early = now - f->last_tick < 1.0 / TICKS_PER_SECOND;
    f->last_tick = early ? f->last_tick : now;
    return early;
}

static lo_status on_tick(void *self)
{
    farm *f = self;
    if (f->tick_delay > 0) {
        (void)nanosleep(&(struct timespec){.tv_nsec = f->tick_delay * 1000}, NULL);
    }
    const double now = lo_clock_monotonic();
    if (is_early(f, now)) {
        return LO_OK;
    }
    if (f->run->rank == 0) {
        serve(f);
    } else {
        listen(f);
    }
    if (f->stop_deadline >= 0) {
        /* Give up now what cannot end in time: the time is better spent on leaving in good order. What can be
         * saved is told so between its batches. */
        const double end = f->mean_seconds > 0 && !can_save(f) ? f->current_started + f->mean_seconds : now;
        if (now >= f->stop_deadline || end > f->stop_deadline) {
            return LO_STOPPED;
        }
    }
    return LO_OK;
}

/* ---- every rank: saving tasks ---- */

/* When a task should save itself: lo_checkpoint's ask. After a stop it is given the time to end, as long as
 * that is not long, judged by how far it has come. */
static lo_save on_boundary(void *self, double share)
{
    enum { PATIENCE_SECONDS = 120 };
    farm *f = self;
    const double now = lo_clock_monotonic();
    if (f->stop_deadline >= 0) {
        const double spent = now - f->current_started + f->work->checkpoint->seconds;
        const double end = share > 0 ? now + spent * (1 - share) / share : HUGE_VAL;
        if (end > fmin(f->stop_deadline, f->stop_told + PATIENCE_SECONDS)) {
            return now < f->save_deadline ? LO_SAVE_NOTHING : LO_SAVE_AND_STOP;
        }
        /* What follows the last batch may take too long. */
        return share < 1 ? LO_SAVE_NOTHING : LO_SAVE_AND_GO_ON;
    }
    const double every = f->work->save_seconds;
    if (every <= 0 || now - f->saved_at < every) {
        return LO_SAVE_NOTHING;
    }
    f->saved_at = now;
    return LO_SAVE_AND_GO_ON;
}

static void inject_fault(int64_t task)
{
    const long delay = fault("slow-tasks");
    if (fault("kill-task") == task) {
        (void)raise(SIGKILL);
    }
    if (delay > 0) {
        (void)nanosleep(&(struct timespec){.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000}, NULL);
    }
}

/* A note for the next attempt: dying from now on is not what the task did at its beginning. Not to have it
 * costs nothing but that. */
static void on_saved(void *self, double share)
{
    farm *f = self;
    lo_record record = {.kind = LO_RECORD_SAVED,
                        .stage = f->work->stage,
                        .task = (uint64_t)f->current,
                        .digest = lo_ledger_digest(f->ledger, f->current),
                        .seconds = lo_clock_monotonic() - f->current_started + f->work->checkpoint->seconds,
                        .value = share};
    (void)lo_run_record(f->run, &record, NULL, 0, false, NULL);
    f->saved = true;
    if (fault("kill-saved") == f->current) {
        (void)raise(SIGKILL);
    }
}

static void on_warning(void *self, const char *text)
{
    farm *f = self;
    if (f->run->rank == 0) {
        lo_run_warn(f->run, "%s", text);
    } else {
        (void)fprintf(stderr, "leaveout: warning: %s\n", text);
    }
}

static void offer_checkpoint(farm *f, int64_t task)
{
    lo_checkpoint *c = f->work->checkpoint;
    f->saved = false;
    f->saved_at = lo_clock_monotonic();
    if (c != NULL) {
        *c = (lo_checkpoint){.digest = lo_ledger_digest(f->ledger, task),
                             .ask = on_boundary,
                             .saved = on_saved,
                             .warn = on_warning,
                             .self = f,
                             .complained = c->complained};
        char name[32];
        if (f->ledger->name != NULL) {
            (void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)f->ledger->name[task]);
        } else {
            (void)snprintf(name, sizeof(name), "%06lld", (long long)task);
        }
        (void)snprintf(c->file, sizeof(c->file), "%s/checkpoints/%s-%s.ckpt", f->run->study,
                       lo_stage_name(f->work->stage), name);
    }
}

/* When all tasks are finished: what killed attempts, or two that did the same task, left there. */
static void remove_checkpoints(const farm *f)
{
    char path[PATH_MAX];
    char prefix[64];
    (void)snprintf(path, sizeof(path), "%s/checkpoints", f->run->study);
    (void)snprintf(prefix, sizeof(prefix), "%s-", lo_stage_name(f->work->stage));
    DIR *directory = opendir(path);
    for (struct dirent *e = NULL; directory != NULL && (e = readdir(directory)) != NULL;) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strstr(e->d_name, ".ckpt") != NULL) {
            (void)unlinkat(dirfd(directory), e->d_name, 0);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

/* ---- every rank: tasks, one after the other ---- */

enum { NO_MORE = -1 };

/* A leader tells its team what it does next. */
static void lead(farm *f, int64_t task)
{
    const lo_tick tick = {on_tick, f}; /* what it returns now it will return again */
    if (f->work->team != NULL) {
        f->work->team->share(f->work->team, &task, sizeof(task), &tick);
    }
}

static lo_status on_follower_tick(void *self)
{
    farm *f = self;
    if (!is_early(f, lo_clock_monotonic())) {
        speak(f);
    }
    return LO_OK;
}

/* The others of a team, as long as it runs tasks. The leader's errors are theirs too. */
static lo_status follow(farm *f)
{
    lo_status status = LO_OK;
    const lo_tick tick = {on_follower_tick, f};
    const lo_team *team = f->work->team;
    for (int64_t task = 0; task != NO_MORE;) {
        const double from = lo_clock_monotonic();
        team->share(team, &task, sizeof(task), &tick);
        f->harvest.idle_seconds += lo_clock_monotonic() - from;
        if (task != NO_MORE) {
            lo_result result = {0};
            if (f->work->checkpoint != NULL) {
                *f->work->checkpoint = (lo_checkpoint){0};
            }
            const lo_status ended = f->work->run(f->work->self, task, &tick, &result, f->err);
            status = ended == LO_OK || ended == LO_STOPPED ? status : ended;
        }
    }
    return status;
}

static lo_status run_task(farm *f, int64_t task, bool alone, double *seconds)
{
    lo_record record = {.kind = LO_RECORD_START,
                        .stage = f->work->stage,
                        .flags = alone ? LO_RECORD_ALONE : 0,
                        .task = (uint64_t)task,
                        .digest = lo_ledger_digest(f->ledger, task)};
    LO_TRY(lo_run_record(f->run, &record, NULL, 0, false, f->err));
    inject_fault(task);
    const lo_tick tick = {on_tick, f};
    lo_result result = {0};
    offer_checkpoint(f, task);
    f->current = task;
    f->current_started = lo_clock_monotonic();
    lead(f, task);
    lo_status status = f->work->run(f->work->self, task, &tick, &result, f->err);
    const double ended = lo_clock_monotonic();
    *seconds = ended - f->current_started + (can_save(f) ? f->work->checkpoint->seconds : 0);
    f->current = -1;
    if (status == LO_OK) {
        record.kind = LO_RECORD_DONE;
        record.seconds = *seconds;
        record.value = result.value;
        status = lo_run_record(f->run, &record, result.payload, result.size, true, f->err);
        f->harvest.record_seconds += lo_clock_monotonic() - ended;
        if (status == LO_OK) {
            f->harvest.mine++;
            memcpy(f->line, result.line, sizeof(f->line));
            if (can_save(f)) {
                lo_checkpoint_remove(f->work->checkpoint);
            }
            if (f->run->rank != 0) {
                f->mean_seconds += (*seconds - f->mean_seconds) / (double)f->harvest.mine;
            }
        }
    }
    return status;
}

static void rest(void)
{
    const struct timespec pause = {.tv_nsec = 300000};
    (void)nanosleep(&pause, NULL);
}

/* Ranks above 0. */
static lo_status work_for(farm *f)
{
    lo_status status = LO_OK;
    MPI_Irecv(&f->inbox, sizeof(f->inbox), MPI_BYTE, 0, TAG_TO_WORKER, f->run->comm, &f->receive);
    bool over = false;
    while (!over) {
        if (!f->held && !f->asked) {
            f->asked = true;
            f->asked_at = lo_clock_monotonic();
            send_ask(f, ASK, -1, LO_OK, 0, true);
        }
        const double from = lo_clock_monotonic();
        while (!f->held) {
            listen(f);
            if (!f->held) {
                rest();
            }
        }
        f->harvest.idle_seconds += lo_clock_monotonic() - from;
        const grant g = f->hold;
        f->held = false;
        if (g.kind == OVER) {
            over = true;
        } else if (status != LO_OK || f->stop_deadline >= 0) {
            f->saved = false;
            send_ask(f, DONE, g.task, LO_STOPPED, 0, false); /* returned unbegun */
        } else {
            if (g.kind == TASK) {
                f->asked = true;
                f->asked_at = lo_clock_monotonic();
                send_ask(f, ASK, -1, LO_OK, 0, false);
            }
            double seconds = 0;
            const lo_status ended = run_task(f, g.task, g.kind == ALONE, &seconds);
            listen(f);
            send_ask(f, DONE, g.task, ended, seconds, !f->held);
            if (!f->held) {
                f->asked_at = lo_clock_monotonic(); /* near the end only idle ranks are answered */
            }
            if (ended != LO_OK && ended != LO_STOPPED) {
                status = ended;
            }
        }
    }
    lead(f, NO_MORE);
    MPI_Cancel(&f->receive);
    MPI_Wait(&f->receive, MPI_STATUS_IGNORE);
    return status;
}

/* Rank 0: coordinates, and works like the others. */
static lo_status coordinate(farm *f)
{
    lo_status status = LO_OK;
    while (f->c.over_count < f->teams) {
        serve(f);
        grant g = {0};
        if (f->c.over[0] == 0) {
            g = next_grant(f, 0, true);
            answer(f);
        }
        if (g.kind == OVER) {
            note_over(f, 0);
        } else if (g.kind == TASK || g.kind == ALONE) {
            double seconds = 0;
            const lo_status ended = run_task(f, g.task, g.kind == ALONE, &seconds);
            finish_task(f, g.task, ended, seconds, f->saved, f->line);
            if (ended != LO_OK && ended != LO_STOPPED) {
                status = ended;
            }
        } else {
            const double from = lo_clock_monotonic();
            rest();
            f->harvest.idle_seconds += lo_clock_monotonic() - from;
        }
    }
    lead(f, NO_MORE);
    return status;
}

/* ---- beginning and end ---- */

static void free_coordinator(coordinator *c)
{
    free(c->state);
    free(c->queue);
    free(c->leased);
    free(c->asking);
    free(c->over);
    free(c->silent);
}

/* Skips a task that killed its rank too often, for good. */
static lo_status give_up(farm *f, int64_t task)
{
    lo_record record = {.kind = LO_RECORD_GIVEN_UP,
                        .stage = f->work->stage,
                        .task = (uint64_t)task,
                        .digest = lo_ledger_digest(f->ledger, task)};
    LO_TRY(lo_run_record(f->run, &record, NULL, 0, true, f->err));
    lo_run_warn(
        f->run,
        "task %lld of stage %s is given up: its rank died %d times while it ran beside others and %d times "
        "while it ran alone",
        (long long)task, lo_stage_name(f->work->stage), f->ledger->entry[task].deaths,
        f->ledger->entry[task].lone_deaths);
    f->ledger->entry[task].given_up = true;
    return LO_OK;
}

static lo_status begin_coordinator(farm *f)
{
    enum { SILENT_SECONDS = 300 };
    coordinator *c = &f->c;
    const int64_t tasks = f->work->tasks;
    /* Small enough to share the work between jobs, large enough to keep claims/ small: a 64th of the tasks,
     * 16 at most. */
    c->range = tasks / 64 < 1 ? 1 : tasks / 64 > 16 ? 16 : tasks / 64;
    c->ranges = (tasks + c->range - 1) / c->range;
    c->state = calloc((size_t)tasks, 1);
    c->queue = calloc((size_t)tasks, sizeof(*c->queue));
    c->leased = calloc((size_t)c->ranges, 1);
    c->asking = calloc((size_t)f->run->ranks, 1);
    c->over = calloc((size_t)f->run->ranks, 1);
    c->silent = calloc((size_t)f->run->ranks, sizeof(*c->silent));
    if (c->state == NULL || c->queue == NULL || c->leased == NULL || c->asking == NULL || c->over == NULL ||
        c->silent == NULL) {
        return lo_fail(f->err, LO_INTERNAL, "no memory to coordinate %lld tasks", (long long)tasks);
    }
    double seconds = 0;
    for (int64_t t = 0; t < tasks; t++) {
        lo_entry *e = &f->ledger->entry[t];
        if (e->file >= 0) {
            c->state[t] = FINISHED;
            seconds += e->seconds;
            continue;
        }
        if (t < f->work->first || t >= end_of_work(f)) {
            c->state[t] = FINISHED; /* not asked for: as if somebody else had done it */
            continue;
        }
        if (!e->given_up && e->lone_deaths >= GIVE_UP_AFTER) {
            LO_TRY(give_up(f, t));
        }
        if (e->given_up) {
            c->state[t] = SKIPPED;
            c->given_up++;
            continue;
        }
        c->state[t] = e->deaths >= SUSPECT_AFTER ? SUSPECT : OPEN;
        c->left++;
    }
    f->mean_seconds = f->ledger->done > 0 ? seconds / (double)f->ledger->done : 0;
    /* Of a job that is all too short, half. */
    c->reserve = fmin(SAVE_SECONDS, fmax(0, (lo_run_time_left(f->run) - MARGIN_SECONDS) / 2));
    c->may_lease = true;
    c->may_lease_suspect = true;
    c->started = lo_clock_monotonic();
    c->watched = c->started;
    c->told_deadline = HUGE_VAL;
    c->idle_since = -1;
    const char *silence = getenv("LEAVEOUT_SILENT_SECONDS");
    c->silence = silence != NULL ? strtod(silence, NULL) : 0;
    c->silence = c->silence > 0 ? c->silence : SILENT_SECONDS;
    c->next_line = c->started + (f->run->bar ? 0 : 2);
    c->next_status = c->started;
    /* Joined attempts start at different places, so that they do not race for the same leases. */
    c->next_range = f->run->attempt.number > 1 ? (c->ranges * (f->run->attempt.number % 8)) / 8 : 0;
    return LO_OK;
}

lo_status lo_farm(lo_run *run, const lo_work *work, lo_ledger *ledger, lo_harvest *out, lo_error *err)
{
    const int team_size = work->team != NULL ? work->team->members : 1;
    farm f = {.run = run,
              .work = work,
              .team_size = team_size,
              .teams = run->ranks / team_size,
              .ledger = ledger,
              .current = -1,
              .stop_deadline = -1,
              .tick_delay = fault("slow-ticks"),
              .err = err,
              .receive = MPI_REQUEST_NULL};
    *out = (lo_harvest){0};
    lo_status status = run->rank == 0 ? begin_coordinator(&f) : LO_OK;
    int64_t left = run->rank == 0 ? f.c.left : 0;
    status = lo_agree(run->comm, status, err);
    MPI_Bcast(&left, 1, MPI_INT64_T, 0, run->comm);
    MPI_Bcast(&f.mean_seconds, 1, MPI_DOUBLE, 0, run->comm);
    if (status == LO_OK && left > 0) {
        status = run->rank == 0 ? coordinate(&f) : lo_team_leads(work->team) ? work_for(&f) : follow(&f);
        if (run->rank == 0) {
            for (int64_t r = 0; r < f.c.ranges; r++) {
                if (f.c.leased[r] != 0) {
                    lo_lease_release(run->study, lo_stage_name(work->stage), r, &run->attempt);
                }
            }
            if (status == LO_OK && f.c.status == LO_STOPPED) {
                status = lo_fail(err, LO_STOPPED,
                                 "stopped (%s) with %lld of %lld tasks left; run again to continue",
                                 run->stop_reason, (long long)f.c.left, (long long)count_of_work(&f));
            } else if (status == LO_OK) {
                status = f.c.status;
            }
            const lo_status read = lo_ledger_read(ledger, status == LO_OK ? err : NULL);
            status = status == LO_OK ? read : status;
            write_status(&f);
        }
        status = lo_agree(run->comm, status, err);
    }
    /* Those of other parts of the work are not this one's to remove. */
    if (run->rank == 0 && work->checkpoint != NULL && f.c.left == 0 && count_of_work(&f) == work->tasks) {
        remove_checkpoints(&f);
    }
    *out = f.harvest;
    struct {
        int64_t done, given_up, mine, saved, left_to_others;
    } shared = {ledger->done, f.c.given_up, f.c.mine, f.c.saved, f.c.left_to_others};
    MPI_Bcast(&shared, sizeof(shared), MPI_BYTE, 0, run->comm);
    out->done = shared.done;
    out->given_up = shared.given_up;
    out->mine = shared.mine;
    out->saved = shared.saved;
    run->finished += shared.mine;
    run->saved += shared.saved;
    out->left_to_others = shared.left_to_others != 0;
    free_coordinator(&f.c);
    return status;
}
