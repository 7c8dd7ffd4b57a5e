/* leaveout status, stop, verify, compact: commands on a study that need no ranks. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "jobs/attribution/attribution.h"
#include "jobs/commands.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/kept.h"
#include "jobs/study/original.h"
#include "jobs/audit/receipt.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearning_files.h"
#include "jobs/ensemble/until.h"
#include "mpi/h5file.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A stage whose tasks are trainings: what the journals say about them. */
typedef struct stage {
    lo_ledger ledger;
    int64_t planned, done, given_up, left;
    int64_t beyond; /* finished, but no more wanted: ensemble.until is met by fewer */
} stage;

/* A study as its files show it: job, ledgers, attempts. */
typedef struct view {
    lo_job *job;
    bool has_ensemble, has_originals, has_unlearning;
    stage models, originals; /* a stage that the job does not have has no tasks */
    stage unlearning;        /* nor one that has not begun: `left` is then all that the job makes */
    lo_listed_task *task;    /* [unlearning.planned] */
    lo_attempt *attempt;
    int attempts, live;
    int64_t published, diverged; /* models in ensemble.h5, and how many of them diverged */
    bool has_until, decided;     /* ensemble.until is given; and is known to be met, or the most are there */
    lo_until_rule until;
    double found;      /* the standard error then */
    char identity[80]; /* of ensemble.h5, as the files made from it name it */
    double rate;       /* models a second over the last minutes, all attempts; 0: unknown */
} view;

static void view_close(view *v)
{
    lo_job_destroy(&v->job);
    lo_ledger_destroy(&v->models.ledger);
    lo_ledger_destroy(&v->originals.ledger);
    lo_ledger_destroy(&v->unlearning.ledger);
    free(v->task);
    free(v->attempt);
}

static void count_left(stage *s)
{
    for (int64_t t = 0; t < s->planned; t++) {
        s->done += s->ledger.entry[t].file >= 0;
        s->given_up += s->ledger.entry[t].given_up && s->ledger.entry[t].file < 0;
    }
    s->left = s->planned - s->done - s->given_up;
    s->beyond = s->ledger.done - s->done;
}

/* planned: of `tasks`, those that are wanted. */
static lo_status stage_open(const char *directory, lo_stage number, uint64_t digest, int64_t tasks,
                            int64_t planned, stage *s, lo_error *err)
{
    s->planned = planned;
    LO_TRY(lo_ledger_create(directory, number, digest, tasks, &s->ledger, err));
    LO_TRY(lo_ledger_read(&s->ledger, err));
    count_left(s);
    return LO_OK;
}

static lo_status unlearning_open(const char *directory, view *v, lo_error *err)
{
    stage *s = &v->unlearning;
    v->has_unlearning = lo_job_has(v->job, "unlearning");
    if (!v->has_unlearning) {
        return lo_ledger_create(directory, LO_STAGE_UNLEARNING, 0, 0, &s->ledger, err);
    }
    LO_TRY(lo_read_tasks(directory, &v->task, &s->planned, err));
    LO_TRY(lo_read_listed(directory, v->task, s->planned, &s->ledger, err));
    count_left(s);
    s->left = v->task != NULL ? s->left : lo_unlearning_planned(v->job);
    return LO_OK;
}

/* What ensemble.h5 says. Returns how many models are wanted, at most. */
static int64_t look_at_ensemble(const char *directory, view *v)
{
    int64_t planned = lo_study_planned(v->job);
    lo_ensemble_file ensemble;
    v->has_until = lo_until_of(v->job, &v->until);
    if (lo_ensemble_open(directory, &ensemble, NULL) == LO_OK) {
        v->published = ensemble.rows;
        v->diverged = ensemble.diverged;
        (void)snprintf(v->identity, sizeof(v->identity), "%s", ensemble.identity);
        v->decided = v->has_until && ensemble.until == v->until.target &&
                     (ensemble.found <= ensemble.until || ensemble.planned == planned);
        if (v->decided) {
            planned = ensemble.planned;
            v->found = ensemble.found;
        }
    }
    lo_ensemble_close(&ensemble);
    return planned;
}

static lo_status view_open(const char *directory, view *v, lo_error *err)
{
    *v = (view){0};
    LO_TRY(lo_study_read_job(directory, &v->job, err));
    v->has_ensemble = lo_job_has(v->job, "ensemble");
    v->has_originals = lo_job_has(v->job, "originals");
    const int64_t models = look_at_ensemble(directory, v);
    const int64_t seeds = v->has_originals ? lo_job_int(v->job, "originals.seeds") : 0;
    LO_TRY(stage_open(directory, LO_STAGE_ENSEMBLE, lo_job_digest(v->job, LO_KEYS_ENSEMBLE),
                      lo_study_planned(v->job), models, &v->models, err));
    LO_TRY(stage_open(directory, LO_STAGE_ORIGINALS, lo_job_digest(v->job, LO_KEYS_ORIGINALS), seeds, seeds,
                      &v->originals, err));
    LO_TRY(unlearning_open(directory, v, err));
    LO_TRY(lo_attempt_list(directory, NULL, &v->attempt, &v->attempts, err));
    for (int i = 0; i < v->attempts; i++) {
        v->live += v->attempt[i].live;
    }
    for (int i = 0; i < v->attempts; i++) {
        if (!v->attempt[i].live) {
            continue;
        }
        int64_t done = 0;
        double last = v->attempt[i].start;
        for (int s = 0; s < v->models.ledger.sources; s++) {
            const lo_journal_file *source = &v->models.ledger.source[s];
            if (source->attempt == v->attempt[i].number) {
                done += source->done;
                last = fmax(last, source->last);
            }
        }
        v->rate += last > v->attempt[i].start ? (double)done / (last - v->attempt[i].start) : 0;
    }
    return LO_OK;
}

static bool exists(const char *directory, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* Why nobody works on it: how the newest attempt ended. */
static void last_end(const view *v, char *text, size_t size)
{
    int newest = 0;
    if (v->live > 0) {
        (void)snprintf(text, size, "running");
        return;
    }
    (void)snprintf(text, size, "never begun");
    for (int s = 0; s < v->models.ledger.sources; s++) {
        const lo_journal_file *source = &v->models.ledger.source[s];
        if (source->attempt > newest || (source->attempt == newest && !source->ended)) {
            newest = source->attempt;
            (void)snprintf(text, size, "attempt %d %s", newest, source->ended ? source->reason : "died");
        }
    }
}

static const char *state_of(const view *v, const char *directory)
{
    if (v->live > 0) {
        return exists(directory, "halt") ? "stopping" : "running";
    }
    if (v->models.left + v->originals.left + v->unlearning.left == 0 && exists(directory, "report.html")) {
        return v->models.given_up + v->originals.given_up + v->unlearning.given_up > 0
                   ? "complete except for tasks given up"
                   : "complete";
    }
    return "waiting: run it again";
}

/* Is a file that is made from the ensemble there: no, yes, or old: models have been finished since. */
static const char *published(const view *v, const char *directory, const char *name)
{
    char path[PATH_MAX];
    char source[sizeof(v->identity)] = "";
    lo_h5_reader reader;
    if (!exists(directory, name)) {
        return "no";
    }
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (lo_h5_open(path, &reader, NULL) == LO_OK) {
        (void)lo_h5_get_text(&reader, "/", "ensemble", source, sizeof(source), NULL);
        lo_h5_close(&reader);
    }
    return v->published == v->models.done && strcmp(source, v->identity) == 0 ? "yes" : "old";
}

static void print_stage(const view *v, const stage *s)
{
    (void)printf("stage=%s done=%lld total=%lld given_up=%lld left=%lld", lo_stage_name(s->ledger.stage),
                 (long long)s->done, (long long)s->planned, (long long)s->given_up, (long long)s->left);
    if (s == &v->models && v->live > 0 && v->rate > 0) {
        (void)printf(" rate=%.3f/s left_s=%.0f", v->rate, (double)s->left / v->rate);
    }
    (void)printf("\n");
}

static void print_given_up(const char *name, const stage *s)
{
    for (int64_t t = 0; t < s->planned; t++) {
        if (s->ledger.entry[t].given_up && s->ledger.entry[t].file < 0) {
            (void)printf("%s=%lld\n", name, (long long)t);
        }
    }
}

/* The same of attribution.h5, which is made from the data and its own keys. */
static const char *attribution_published(const view *v, const char *directory)
{
    char path[PATH_MAX];
    char digest[32] = "";
    char wanted[32];
    lo_h5_reader reader;
    if (!exists(directory, "attribution.h5")) {
        return "no";
    }
    (void)snprintf(path, sizeof(path), "%s/attribution.h5", directory);
    (void)snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)lo_attribution_digest(v->job));
    if (lo_h5_open(path, &reader, NULL) == LO_OK) {
        (void)lo_h5_get_text(&reader, "/", "digest", digest, sizeof(digest), NULL);
        lo_h5_close(&reader);
    }
    return strcmp(digest, wanted) == 0 ? "yes" : "old";
}

/* The total above is the most that are allowed until it is known that fewer are enough. */
static void print_until(const view *v)
{
    if (v->has_until && v->decided) {
        (void)printf("stage=ensemble until=%g over=%s found=%.5f enough=%s\n", v->until.target,
                     lo_over_name(v->until.over), v->found,
                     v->found <= v->until.target ? "yes" : "no, and no more are allowed");
    } else if (v->has_until) {
        (void)printf("stage=ensemble until=%g over=%s enough=unknown total=\"the most\"\n", v->until.target,
                     lo_over_name(v->until.over));
    }
}

static void status_as_text(const view *v, const char *directory, const char *ended)
{
    (void)printf("study=%s state=\"%s\"\n", directory, state_of(v, directory));
    if (v->has_originals) {
        print_stage(v, &v->originals);
        (void)printf("stage=originals published=%s\n", exists(directory, "training.h5") ? "yes" : "no");
    }
    if (v->has_ensemble) {
        print_stage(v, &v->models);
        print_until(v);
        (void)printf("stage=ensemble published_models=%lld diverged=%lld\n", (long long)v->published,
                     (long long)v->diverged);
        if (lo_job_has(v->job, "influence")) {
            (void)printf("stage=influence published=%s\n", published(v, directory, "influence.h5"));
        }
        if (lo_job_has(v->job, "audit")) {
            (void)printf("stage=audit published=%s\n", published(v, directory, "privacy.h5"));
        }
    }
    if (v->has_ensemble || lo_job_has(v->job, "scores")) {
        (void)printf("stage=scores published=%s\n", published(v, directory, "scores.h5"));
    }
    if (lo_job_has(v->job, "scaling")) {
        (void)printf("stage=scaling published=%s\n", published(v, directory, "scaling.h5"));
    }
    if (lo_job_has(v->job, "attribution")) {
        (void)printf("stage=attribution published=%s\n", attribution_published(v, directory));
    }
    if (v->has_unlearning) {
        print_stage(v, &v->unlearning);
        (void)printf("stage=unlearning published=%s\n", exists(directory, "evaluation.h5") ? "yes" : "no");
    }
    (void)printf("stage=report published=%s\n", exists(directory, "report.html") ? "yes" : "no");
    for (int i = 0; i < v->attempts; i++) {
        const lo_attempt *a = &v->attempt[i];
        char start[32];
        lo_clock_iso(a->start, start, sizeof(start));
        (void)printf("attempt=%d live=%s job=%s host=%s ranks=%d since=%s heartbeat_s=%.0f\n", a->number,
                     a->live ? "yes" : "no", a->job[0] != '\0' ? a->job : "none", a->host, a->ranks, start,
                     fmax(a->age, 0));
    }
    if (v->live == 0) {
        (void)printf("last=\"%s\"\n", ended);
    }
    print_given_up("given_up", &v->models);
    print_given_up("given_up_original", &v->originals);
    print_given_up("given_up_unlearning", &v->unlearning);
}

static void status_as_json(const view *v, const char *directory, const char *ended)
{
    lo_json json = lo_json_begin(stdout);
    lo_json_object(&json, NULL);
    lo_json_text(&json, "study", directory);
    lo_json_text(&json, "state", state_of(v, directory));
    lo_json_object(&json, "ensemble");
    lo_json_int(&json, "done", v->models.done);
    lo_json_int(&json, "total", v->models.planned);
    lo_json_int(&json, "given_up", v->models.given_up);
    lo_json_int(&json, "left", v->models.left);
    lo_json_int(&json, "published", v->published);
    lo_json_int(&json, "diverged", v->diverged);
    if (v->has_until) {
        lo_json_object(&json, "until");
        lo_json_real(&json, "standard_error", v->until.target);
        lo_json_text(&json, "over", lo_over_name(v->until.over));
        lo_json_bool(&json, "decided", v->decided);
        lo_json_real(&json, "found", v->decided ? v->found : (double)NAN);
        lo_json_end(&json);
    }
    lo_json_real(&json, "models_per_second", v->rate);
    lo_json_real(&json, "seconds_left", v->rate > 0 ? (double)v->models.left / v->rate : (double)NAN);
    lo_json_end(&json);
    if (v->has_originals) {
        lo_json_object(&json, "originals");
        lo_json_int(&json, "done", v->originals.ledger.done);
        lo_json_int(&json, "total", v->originals.planned);
        lo_json_int(&json, "given_up", v->originals.given_up);
        lo_json_int(&json, "left", v->originals.left);
        lo_json_end(&json);
    }
    if (v->has_unlearning) {
        lo_json_object(&json, "unlearning");
        lo_json_int(&json, "done", v->unlearning.ledger.done);
        lo_json_int(&json, "total", v->unlearning.planned);
        lo_json_int(&json, "given_up", v->unlearning.given_up);
        lo_json_int(&json, "left", v->unlearning.left);
        lo_json_end(&json);
    }
    lo_json_object(&json, "published");
    lo_json_bool(&json, "training", exists(directory, "training.h5"));
    lo_json_bool(&json, "ensemble", exists(directory, "ensemble.h5"));
    lo_json_bool(&json, "scores", exists(directory, "scores.h5"));
    lo_json_bool(&json, "scaling", exists(directory, "scaling.h5"));
    lo_json_bool(&json, "influence", exists(directory, "influence.h5"));
    lo_json_bool(&json, "attribution", exists(directory, "attribution.h5"));
    lo_json_bool(&json, "evaluation", exists(directory, "evaluation.h5"));
    lo_json_bool(&json, "privacy", exists(directory, "privacy.h5"));
    lo_json_bool(&json, "audit", exists(directory, "audit.h5"));
    lo_json_bool(&json, "report", exists(directory, "report.html"));
    lo_json_end(&json);
    lo_json_array(&json, "attempts");
    for (int i = 0; i < v->attempts; i++) {
        const lo_attempt *a = &v->attempt[i];
        lo_json_object(&json, NULL);
        lo_json_int(&json, "number", a->number);
        lo_json_bool(&json, "live", a->live);
        lo_json_text(&json, "job", a->job);
        lo_json_text(&json, "host", a->host);
        lo_json_int(&json, "ranks", a->ranks);
        lo_json_real(&json, "heartbeat_seconds", a->age);
        lo_json_end(&json);
    }
    lo_json_end(&json);
    lo_json_text(&json, "last", ended);
    lo_json_end(&json);
    (void)printf("\n");
}

lo_status lo_command_status(const lo_command_line *line, lo_error *err)
{
    view v;
    lo_status status = view_open(line->operand[0], &v, err);
    if (status == LO_OK) {
        char ended[160];
        last_end(&v, ended, sizeof(ended));
        if (lo_option_value(line, "json") != NULL) {
            status_as_json(&v, line->operand[0], ended);
        } else {
            status_as_text(&v, line->operand[0], ended);
        }
    }
    view_close(&v);
    return status;
}

lo_status lo_command_stop(const lo_command_line *line, lo_error *err)
{
    const char *directory = line->operand[0];
    view v;
    lo_status status = view_open(directory, &v, err);
    if (status == LO_OK && v.live == 0) {
        (void)printf("study=%s: nobody works on it\n", directory);
    } else if (status == LO_OK) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/halt", directory);
        status = lo_file_write(path, "asked by leaveout stop\n", 23, err);
        for (int i = 0; status == LO_OK && i < v.attempts; i++) {
            if (v.attempt[i].live) {
                (void)printf("asked attempt=%d job=%s host=%s to finish its running tasks and exit\n",
                             v.attempt[i].number, v.attempt[i].job[0] != '\0' ? v.attempt[i].job : "none",
                             v.attempt[i].host);
            }
        }
    }
    view_close(&v);
    return status;
}

/* ---- verify ---- */

typedef struct checks {
    int64_t files, records, datasets;
    int damaged;
} checks;

static void report_damage(checks *c, const char *text)
{
    c->damaged++;
    (void)printf("damaged: %s\n", text);
}

/* `again`: it can be made from what else the study holds. */
static void verify_h5(const char *directory, const char *name, bool again, checks *c)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    lo_error err = {{0}};
    int datasets = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (access(path, F_OK) != 0) {
        return;
    }
    c->files++;
    lo_status status = lo_h5_open(path, &reader, &err);
    if (status == LO_OK) {
        status = lo_h5_verify(&reader, &datasets, &err);
    }
    c->datasets += datasets;
    lo_h5_close(&reader);
    if (status != LO_OK) {
        report_damage(c, err.text);
        const bool computed = strcmp(name, "attribution.h5") == 0;
        (void)printf("%s\n",
                     computed ? "  delete it: `leaveout run` makes it again"
                     : again
                         ? "  delete it: `leaveout report` makes it again"
                         : "  do not delete it: the journal was compacted, only this file holds the models");
    }
}

static bool is_compacted(const stage *s)
{
    for (int64_t t = 0; t < s->planned; t++) {
        if (s->ledger.entry[t].compacted) {
            return true;
        }
    }
    return false;
}

/* Both ledgers have read the same journals. */
static void verify_journals(const lo_ledger *ledger, checks *c)
{
    for (int i = 0; i < ledger->sources; i++) {
        c->files++;
        if (ledger->source[i].skipped > 0) {
            char text[256];
            (void)snprintf(text, sizeof(text), "journal/%s: %llu bytes belong to no record",
                           ledger->source[i].name, (unsigned long long)ledger->source[i].skipped);
            report_damage(c, text);
        }
    }
}

static void verify_records(const lo_ledger *ledger, checks *c)
{
    for (int64_t t = 0; t < ledger->tasks; t++) {
        const lo_entry *e = &ledger->entry[t];
        lo_record record;
        char *payload = NULL;
        lo_error err = {{0}};
        if (e->file < 0 || e->compacted) {
            continue;
        }
        c->records++;
        if (lo_ledger_payload(ledger, t, &record, &payload, &err) != LO_OK) {
            report_damage(c, err.text);
        }
        free(payload);
    }
}

/* The weights of finished trainings that the job wants kept. */
static void verify_weights(const char *directory, const view *v, checks *c)
{
    const int64_t keep = lo_job_int(v->job, "ensemble.keep_models");
    char path[PATH_MAX];
    lo_error err = {{0}};
    for (int64_t k = 0; k < keep && k < v->models.planned; k++) {
        lo_kept_model_path(directory, k, path, sizeof(path));
        if (v->models.ledger.entry[k].file >= 0) {
            c->files++;
            if (lo_check_weights(path, v->models.ledger.digest, &err) != LO_OK) {
                report_damage(c, err.text);
            }
        }
    }
    for (int64_t k = 0; k < v->originals.planned; k++) {
        if (v->originals.ledger.entry[k].file >= 0) {
            c->files += 1 + lo_job_length(v->job, "originals.checkpoints");
            if (lo_original_check(directory, v->job, k, &err) != LO_OK) {
                report_damage(c, err.text);
            }
        }
    }
}

/* The weights of oracles and of what has forgotten. */
static void verify_unlearned(const char *directory, const view *v, checks *c)
{
    lo_error err = {{0}};
    for (int64_t t = 0; t < v->unlearning.planned; t++) {
        const lo_entry *e = &v->unlearning.ledger.entry[t];
        c->files += e->file >= 0 && strcmp(v->task[t].kind, "original") != 0;
        if (lo_check_listed(directory, v->job, &v->task[t], e, &err) != LO_OK) {
            report_damage(c, err.text);
        }
    }
}

/* A receipt lies in its study, which is all that it is held against. */
static lo_status verify_receipt(const char *path, const char *study, lo_error *err)
{
    LO_TRY(lo_receipt_verify(path, study, err));
    (void)printf("receipt=%s study=%s holds=yes\n", path, study);
    return LO_OK;
}

lo_status lo_command_verify(const lo_command_line *line, lo_error *err)
{
    const char *directory = line->operand[0];
    char study[PATH_MAX];
    view v;
    checks c = {0};
    if (lo_receipt_study(directory, study, sizeof(study))) {
        return verify_receipt(directory, study, err);
    }
    lo_status status = view_open(directory, &v, err);
    if (status == LO_OK) {
        char path[PATH_MAX];
        lo_error damage = {{0}};
        lo_study_cache_path(directory, v.job, path, sizeof(path));
        if (access(path, F_OK) == 0) {
            c.files++;
            if (lo_dataset_verify(path, &damage) != LO_OK) {
                report_damage(&c, damage.text);
            }
        }
        verify_journals(&v.models.ledger, &c);
        verify_records(&v.models.ledger, &c);
        verify_records(&v.originals.ledger, &c);
        verify_records(&v.unlearning.ledger, &c);
        verify_weights(directory, &v, &c);
        verify_unlearned(directory, &v, &c);
        verify_h5(directory, "training.h5", !is_compacted(&v.originals), &c);
        verify_h5(directory, "ensemble.h5", !is_compacted(&v.models), &c);
        verify_h5(directory, "scores.h5", true, &c);
        verify_h5(directory, "scaling.h5", true, &c);
        verify_h5(directory, "influence.h5", true, &c);
        verify_h5(directory, "attribution.h5", true, &c);
        verify_h5(directory, "curvature-ggn.h5", true, &c);
        verify_h5(directory, "curvature-hessian.h5", true, &c);
        verify_h5(directory, "forget.h5", true, &c);
        verify_h5(directory, "outputs.h5", true, &c);
        verify_h5(directory, "evaluation.h5", true, &c);
        verify_h5(directory, "privacy.h5", true, &c);
        verify_h5(directory, "audit.h5", true, &c);
        const int64_t left = v.models.left + v.originals.left + v.unlearning.left;
        char originals[64] = "", unlearning[64] = "";
        if (v.has_unlearning) {
            (void)snprintf(unlearning, sizeof(unlearning), " unlearning=%lld of %lld",
                           (long long)v.unlearning.done, (long long)(v.unlearning.done + v.unlearning.left));
        }
        if (v.has_originals) {
            (void)snprintf(originals, sizeof(originals), " originals=%lld of %lld",
                           (long long)v.originals.ledger.done, (long long)v.originals.planned);
        }
        (void)printf("files=%lld records=%lld datasets=%lld damaged=%d models=%lld of %lld%s%s complete=%s\n",
                     (long long)c.files, (long long)c.records, (long long)c.datasets, c.damaged,
                     (long long)v.models.done, (long long)v.models.planned, originals, unlearning,
                     left == 0 ? "yes" : "no");
        if (c.damaged > 0) {
            status = lo_fail(err, LO_DATA,
                             "%s: %d things are damaged (named above); `leaveout run` trains again what the "
                             "journal has lost",
                             directory, c.damaged);
        } else if (left > 0) {
            status = lo_fail(err, LO_STOPPED, "%s: sound but not complete: %lld models are to be trained",
                             directory, (long long)left);
        }
    }
    view_close(&v);
    return status;
}

/* ---- compact ---- */

/* Every finished task of a stage must stand, checked, in the published file, whose dataset `list` has the
 * numbers, before its record's payload may go. */
static lo_status published_holds_all(const char *directory, const char *name, const char *list,
                                     const stage *s, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    int64_t *held = NULL;
    int64_t rows = 0;
    int datasets;
    if (s->ledger.done == 0) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    LO_TRY(lo_h5_open(path, &reader, err));
    lo_status status = lo_h5_verify(&reader, &datasets, err);
    if (status == LO_OK) {
        status = lo_h5_read_all(&reader, list, LO_H5_I64, (void **)&held, &rows, NULL, err);
    }
    lo_h5_close(&reader);
    for (int64_t t = 0; t < s->planned && status == LO_OK; t++) {
        bool found = s->ledger.entry[t].file < 0;
        for (int64_t r = 0; r < rows && !found; r++) {
            found = held[r] == t;
        }
        if (!found) {
            status = lo_fail(err, LO_DATA,
                             "%s does not hold number %lld of stage %s; `leaveout report` publishes it", path,
                             (long long)t, lo_stage_name(s->ledger.stage));
        }
    }
    free(held);
    return status;
}

/* A void record is named by its place, which compacting moves: its task must be done again before. */
static lo_status no_task_is_void(const char *directory, const stage *s, lo_error *err)
{
    return s->ledger.voids == 0 || s->left == 0
               ? LO_OK
               : lo_fail(
                     err, LO_STOPPED,
                     "%s: records of stage %s were damaged, and what they held is not computed again yet; "
                     "compact it after `leaveout run`",
                     directory, lo_stage_name(s->ledger.stage));
}

/* Rewrites the journals of a study that nobody else works on. */
static lo_status compact(const char *directory, const lo_attempt *self, lo_error *err)
{
    view v;
    uint64_t saved = 0;
    lo_status status = view_open(directory, &v, err);
    for (int i = 0; status == LO_OK && i < v.attempts; i++) {
        if (v.attempt[i].live && v.attempt[i].number != self->number) {
            status =
                lo_fail(err, LO_STOPPED, "%s: attempt %d works on this study; compact it when it is done",
                        directory, v.attempt[i].number);
        }
    }
    if (status == LO_OK && v.models.beyond > 0) {
        status =
            lo_fail(err, LO_USAGE,
                    "%s: %lld models are finished beyond those that ensemble.until found enough, which "
                    "ensemble.h5 does not hold: compacting would lose them; allowed without ensemble.until",
                    directory, (long long)v.models.beyond);
    }
    if (status == LO_OK) {
        status = no_task_is_void(directory, &v.models, err);
    }
    if (status == LO_OK) {
        status = no_task_is_void(directory, &v.originals, err);
    }
    if (status == LO_OK) {
        status = no_task_is_void(directory, &v.unlearning, err);
    }
    if (status == LO_OK) {
        status = published_holds_all(directory, "ensemble.h5", "/model", &v.models, err);
    }
    if (status == LO_OK) {
        status = published_holds_all(directory, "training.h5", "/seed", &v.originals, err);
    }
    for (int i = 0; i < v.models.ledger.sources && status == LO_OK; i++) {
        char path[PATH_MAX];
        lo_ledger_path(&v.models.ledger, i, path, sizeof(path));
        status = lo_journal_compact(path, LO_STAGE_ENSEMBLE, &saved, err);
        if (status == LO_OK) {
            status = lo_journal_compact(path, LO_STAGE_ORIGINALS, &saved, err);
        }
    }
    if (status == LO_OK) {
        (void)printf("journals=%d bytes_saved=%llu\n", v.models.ledger.sources, (unsigned long long)saved);
    }
    view_close(&v);
    return status;
}

lo_status lo_command_compact(const lo_command_line *line, lo_error *err)
{
    const char *directory = line->operand[0];
    lo_job *job = NULL;
    LO_TRY(lo_study_read_job(directory, &job, err));
    lo_job_destroy(&job);
    /* Announced like a run, so that one that starts meanwhile finds the study busy. */
    lo_attempt self = lo_attempt_self(1);
    LO_TRY(lo_attempt_begin(directory, &self, err));
    const lo_status status = compact(directory, &self, err);
    lo_attempt_end(directory, &self);
    return status;
}
