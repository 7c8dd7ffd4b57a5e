/* The stages that farm tasks: what they have in common. */
#include "jobs/study/farmed.h"

#include "base/clock.h"
#include "base/fields.h"
#include "base/file.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what the journals say ---- */

typedef struct deaths {
    lo_study *study;
    lo_attempt *list;
    int count;
} deaths;

static bool is_live(void *self, int attempt)
{
    const deaths *d = self;
    for (int i = 0; i < d->count; i++) {
        if (d->list[i].number == attempt) {
            return d->list[i].live;
        }
    }
    return attempt == d->study->run.attempt.number;
}

/* Did the batch script see this start of the job end, or did its node take it along? The script notes every
 * step that died in log/requeue.log; Slurm's own requeue after a lost node leaves no such line. */
static bool node_was_lost(const lo_study *study, const char *job, const char *restart)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t size;
    const lo_run *run = &study->run;
    if (job[0] == '\0' || strcmp(job, run->attempt.job) != 0 ||
        (int)strtol(restart, NULL, 10) >= run->attempt.restart) {
        return false;
    }
    (void)snprintf(path, sizeof(path), "%s/log/requeue.log", run->study);
    if (lo_file_read(path, 1 << 20, &text, &size, NULL) != LO_OK) {
        return true;
    }
    char line[128];
    (void)snprintf(line, sizeof(line), "job=%s restart=%s ", job, restart);
    const bool noted = strstr(text, line) != NULL;
    free(text);
    return !noted;
}

/* When an attempt last gave a sign of life: its log gets a line every ten seconds, and outlives the
 * announcement in claims/. 0: unknown. */
static double last_sign_of(const lo_study *study, int attempt)
{
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/log/attempt-%03d.log", study->run.study, attempt);
    return stat(path, &st) == 0 ? (double)st.st_mtim.tv_sec : 0;
}

/* A death with something else to blame than the task: the time limit, or a lost node. (After a stop in good
 * order nothing is left open.) */
static bool excused(void *self, const lo_journal_file *source)
{
    enum { LIMIT_MARGIN = 60 };
    const deaths *d = self;
    char job[64];
    char restart[16];
    lo_field(source->text, "job", job, sizeof(job));
    lo_field(source->text, "restart", restart, sizeof(restart));
    const double end = lo_field_real(source->text, "end_time");
    const double last = fmax(source->last, last_sign_of(d->study, source->attempt));
    return (end > 0 && last > end - LIMIT_MARGIN) || node_was_lost(d->study, job, restart);
}

lo_status lo_farmed_void(lo_study *study, const lo_ledger *ledger, int64_t task, const char *why,
                         lo_error *err)
{
    const lo_entry *e = &ledger->entry[task];
    const char *what = ledger->stage == LO_STAGE_ENSEMBLE    ? "model"
                       : ledger->stage == LO_STAGE_ORIGINALS ? "original"
                                                             : "task";
    char text[128];
    (void)snprintf(text, sizeof(text), "%s %llu", ledger->source[e->file].name, (unsigned long long)e->at);
    (void)fprintf(stderr, "leaveout: warning: %s; %s %lld will be %s again\n", why, what, (long long)task,
                  ledger->stage == LO_STAGE_UNLEARNING || ledger->stage == LO_STAGE_AUDIT ? "done"
                                                                                          : "trained");
    lo_record v = {.kind = LO_RECORD_VOID, .stage = ledger->stage, .task = (uint64_t)task};
    return lo_run_record(&study->run, &v, text, strlen(text), true, err);
}

/* Rank 0: what tasks left behind beside their records must be there and sound, or they are not done. */
static lo_status check_files(lo_study *study, const lo_farmed *stage, lo_ledger *ledger, lo_error *err)
{
    bool lost = false;
    for (int64_t t = 0; stage->check != NULL && t < ledger->tasks; t++) {
        lo_error why = {{0}};
        if (ledger->entry[t].file >= 0 && stage->check(stage->self, t, &ledger->entry[t], &why) != LO_OK) {
            lost = true;
            LO_TRY(lo_farmed_void(study, ledger, t, why.text, err));
        }
    }
    return lost ? lo_ledger_read(ledger, err) : LO_OK;
}

/* Rank 0: reads the journals, and what former attempts died of. */
static lo_status read_ledger(lo_study *study, const lo_farmed *stage, lo_ledger *ledger, lo_error *err)
{
    deaths d = {.study = study};
    LO_TRY(lo_ledger_read(ledger, err));
    LO_TRY(lo_attempt_list(study->run.study, &study->run.attempt, &d.list, &d.count, err));
    lo_ledger_count_deaths(ledger, is_live, excused, &d);
    lo_attempt_bury(study->run.study, d.list, d.count);
    free(d.list);
    for (int i = 0; i < ledger->sources; i++) {
        if (ledger->source[i].skipped > 0) {
            lo_run_warn(
                &study->run,
                "%s/journal/%s is damaged: %llu bytes belong to no record; what they held is computed again",
                study->run.study, ledger->source[i].name, (unsigned long long)ledger->source[i].skipped);
        }
    }
    LO_TRY(check_files(study, stage, ledger, err));
    lo_run_say(&study->run, "event=resume stage=%s done=%lld total=%lld journals=%d",
               lo_stage_name(stage->stage), (long long)ledger->done, (long long)ledger->tasks,
               ledger->sources);
    return LO_OK;
}

/* ---- running ---- */

/* Collective. Idle and record seconds are sums over ranks: what the farm cost beside training. */
static void say_farmed(lo_study *study, const lo_farmed *stage, const lo_harvest *harvest, double seconds)
{
    double spent[2] = {harvest->idle_seconds, harvest->record_seconds};
    MPI_Allreduce(MPI_IN_PLACE, spent, 2, MPI_DOUBLE, MPI_SUM, study->run.comm);
    if (harvest->mine > 0 || harvest->saved > 0) {
        lo_run_say(
            &study->run,
            "event=farmed stage=%s done=%lld total=%lld mine=%lld given_up=%lld saved=%lld seconds=%.3f "
            "idle_s=%.3f record_s=%.3f",
            lo_stage_name(stage->stage), (long long)harvest->done, (long long)stage->tasks,
            (long long)harvest->mine, (long long)harvest->given_up, (long long)harvest->saved, seconds,
            spent[0], spent[1]);
    }
}

/* Collective. Is one of the tasks to be done that nobody has given up? */
static bool has_work(const lo_study *study, const lo_ledger *ledger, int64_t first, int64_t end)
{
    bool left = false;
    for (int64_t i = first; study->run.rank == 0 && i < end; i++) {
        left = left || (ledger->entry[i].file < 0 && !ledger->entry[i].given_up);
    }
    MPI_Bcast(&left, 1, MPI_C_BOOL, 0, study->run.comm);
    return left;
}

/* A stage under work. */
typedef struct farming {
    lo_study *study;
    const lo_farmed *stage;
    lo_ledger ledger;
    lo_harvest harvest;
    int64_t end;  /* of the tasks that are asked for */
    bool is_open; /* stage->open was called */
    bool damaged; /* records did not hold: their tasks are to be done again */
} farming;

/* Runs what is missing of the tasks up to `end`. */
static lo_status farm_tasks(farming *f, lo_error *err)
{
    lo_study *study = f->study;
    const lo_farmed *stage = f->stage;
    const lo_work work = {.stage = stage->stage,
                          .tasks = stage->tasks,
                          .first = stage->first,
                          .end = f->end,
                          .run = stage->run,
                          .self = stage->self,
                          .team = stage->in_teams ? lo_rank_team_view(study->team) : NULL,
                          .checkpoint = stage->checkpoint,
                          .save_seconds = 60 * lo_job_real(study->job, "train.checkpoint_minutes")};
    if (has_work(study, &f->ledger, stage->first, f->end) && !f->is_open) {
        f->is_open = true;
        LO_TRY(lo_agree(study->run.comm, stage->open(stage->self, err), err));
    }
    const double start = lo_clock_monotonic();
    const lo_status status = lo_farm(&study->run, &work, &f->ledger, &f->harvest, err);
    say_farmed(study, stage, &f->harvest, lo_clock_monotonic() - start);
    study->news = study->news || f->harvest.mine > 0;
    return status;
}

/* Runs tasks for as long as more are wanted. Where others do the rest of what is wanted now, they are waited
 * for, since more may be wanted then. */
static lo_status farm_wanted(farming *f, lo_error *err)
{
    if (f->stage->wanted == NULL) {
        return farm_tasks(f, err);
    }
    for (int64_t done = -1;;) {
        LO_TRY(f->stage->wanted(f->stage->self, &f->ledger, &f->end, &f->damaged, err));
        if (f->damaged || f->end == done) {
            return LO_OK;
        }
        done = f->end;
        do {
            LO_TRY(farm_tasks(f, err));
        } while (f->harvest.left_to_others);
    }
}

/* One round: runs what is missing, publishes what is finished. */
static lo_status farm_round(farming *f, lo_error *err)
{
    lo_status status = farm_wanted(f, err);
    if ((status == LO_OK || status == LO_STOPPED) && !f->harvest.left_to_others && !f->damaged) {
        lo_error publishing = {{0}};
        const lo_status published = f->stage->publish(f->study, &f->ledger, &f->damaged, &publishing);
        if (status == LO_OK && published != LO_OK) {
            *err = publishing;
            status = published;
        }
    }
    return status;
}

lo_status lo_run_farmed(lo_study *study, const lo_farmed *stage, lo_error *err)
{
    enum { ROUNDS = 3 };
    lo_run *run = &study->run;
    farming f = {.study = study, .stage = stage, .end = stage->end > 0 ? stage->end : stage->tasks};
    lo_status status =
        lo_ledger_create(run->study, stage->stage, stage->digest, stage->tasks, &f.ledger, err);
    if (status == LO_OK && stage->names != NULL) {
        status = lo_ledger_name(&f.ledger, stage->names, err);
    }
    if (status == LO_OK && run->rank == 0) {
        status = read_ledger(study, stage, &f.ledger, err);
    }
    status = lo_agree(run->comm, status, err);
    f.damaged = status == LO_OK;
    for (int round = 0; round < ROUNDS && f.damaged && status == LO_OK; round++) {
        f.damaged = false;
        status = farm_round(&f, err);
        if (status == LO_OK && f.damaged) {
            status = lo_agree(run->comm, run->rank == 0 ? lo_ledger_read(&f.ledger, err) : LO_OK, err);
        }
    }
    study->given_up += f.harvest.given_up;
    study->left_to_others = study->left_to_others || f.harvest.left_to_others;
    lo_ledger_destroy(&f.ledger);
    return status;
}

lo_status lo_farmed_check(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err)
{
    int64_t first;
    int64_t count;
    lo_status status = LO_OK;
    LO_TRY(lo_ledger_share(ledger, study->run.comm, err));
    lo_shard(ledger->tasks, 1, study->run.rank, study->run.ranks, &first, &count);
    *damaged = false;
    for (int64_t t = first; t < first + count && status == LO_OK; t++) {
        lo_record record;
        char *payload = NULL;
        lo_error why = {{0}};
        if (ledger->entry[t].file >= 0 && lo_ledger_payload(ledger, t, &record, &payload, &why) == LO_DATA) {
            *damaged = true;
            status = lo_farmed_void(study, ledger, t, why.text, err);
        }
        free(payload);
    }
    MPI_Allreduce(MPI_IN_PLACE, damaged, 1, MPI_C_BOOL, MPI_LOR, study->run.comm);
    return lo_agree(study->run.comm, status, err);
}
