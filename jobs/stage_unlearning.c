/* Stage unlearning: oracles, trained without a forget set, and originals that are made to forget it, each a
 * task of the farm, done by a rank or a team. The leader of a team alone looks at files, writes them, and
 * says how the task went on. What is published from their records: unlearning_files.c. */
#include "audit/accuracy.h"
#include "base/clock.h"
#include "base/file.h"
#include "jobs/stages.h"
#include "jobs/study/farmed.h"
#include "jobs/study/kept.h"
#include "jobs/study/original.h"
#include "jobs/study/recipe.h"
#include "jobs/unlearning/unlearned.h"
#include "jobs/unlearning/unlearning.h"
#include "jobs/unlearning/unlearning_files.h"
#include "jobs/unlearning/unlearning_matched.h"
#include "mpi/agree.h"
#include "nn/trainer.h"
#include "nn/weights.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct worker {
    lo_study *study;
    const lo_team *team; /* NULL: this rank alone */
    lo_unlearning u;
    lo_trainer *net; /* trains oracles, and says what any model does */
    lo_pupil *pupil;
    lo_unlearned model;
    char *payload;
    bool keep;
    lo_checkpoint checkpoint;
} worker;

static lo_status worker_open(void *self, lo_error *err)
{
    worker *w = self;
    const lo_study *s = w->study;
    w->model = lo_unlearned_make(&s->data);
    w->payload = calloc(1, lo_unlearned_size(&w->model));
    if (w->payload == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the outputs of a model: %zu bytes",
                       lo_unlearned_size(&w->model));
    }
    w->team = lo_rank_team_view(s->team);
    LO_TRY(lo_job_trainer_team(s->job, &s->data, w->team, &w->net, err));
    lo_trainer_checkpoint(w->net, &w->checkpoint);
    return w->u.unlearner_count > 0 ? lo_job_pupil(s->job, &s->data, w->team, &w->pupil, err) : LO_OK;
}

static void worker_close(worker *w)
{
    lo_trainer_destroy(&w->net);
    lo_pupil_destroy(&w->pupil);
    free(w->payload);
    lo_unlearning_close(&w->u);
}

/* ---- the leader of a team, and the others ---- */

/* data [size] as the leader has it. */
static void as_leader(const worker *w, void *data, size_t size, const lo_tick *tick)
{
    if (w->team != NULL) {
        w->team->share(w->team, data, size, tick); /* what the tick returns now it will return again */
    }
}

/* How the leader's part of something ended; `status` of the others does not count. */
static lo_status leaders(const worker *w, lo_status status, const lo_tick *tick)
{
    int number = (int)status;
    as_leader(w, &number, sizeof(number), tick);
    return (lo_status)number;
}

/* ---- making models ---- */

static lo_status keep_weights(const worker *w, const lo_unlearning_task *t, const lo_tick *tick,
                              lo_error *err)
{
    char path[PATH_MAX];
    lo_status status = LO_OK;
    if (lo_team_leads(w->team)) {
        lo_unlearning_path(&w->u, w->study->run.study, t, path, sizeof(path));
        status = lo_save_weights(w->net, path, t->digest, (uint64_t)t->seed, err);
    }
    return leaders(w, status, tick);
}

static lo_status train_oracle(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err)
{
    const lo_forget_set *set = &w->u.forgotten[t->forgotten].set;
    const int64_t n = w->study->data.train.count, retained = n - set->count;
    const double start = lo_clock_monotonic();
    lo_training training = {0};
    uint32_t *members = lo_forget_retained(set, n);
    if (members == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the examples of an oracle");
    }
    const lo_status status =
        lo_trainer_run(w->net, lo_oracle_seed(t->seed), members, retained, tick, &training, err);
    free(members);
    w->model.seconds = (lo_clock_monotonic() - start + w->checkpoint.seconds) * w->study->run.task_cores;
    w->model.diverged = training.diverged;
    w->model.shown[LO_SET_RETAIN] = retained * lo_job_int(w->study->job, "train.epochs");
    return status != LO_OK || !w->keep ? status : keep_weights(w, t, tick, err);
}

/* What the pupil has become, for the trainer, whose network is built of the same layers. */
static lo_status take_over(worker *w, lo_error *err)
{
    const lo_network *from = lo_pupil_network(w->pupil);
    lo_network *to = lo_trainer_network(w->net);
    if (from->weight_size != to->weight_size || from->statistic_size != to->statistic_size) {
        return lo_fail(err, LO_INTERNAL, "the pupil's network is not the trainer's");
    }
    memcpy(to->weights, from->weights, to->weight_size * sizeof(float));
    if (to->statistic_size > 0) {
        memcpy(to->statistics, from->statistics, to->statistic_size * sizeof(float));
    }
    lo_trainer_took_over(w->net);
    return LO_OK;
}

static lo_status make_forget(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err);

/* Where the pupil begins: at the original, or at what has forgotten the sets before, which is made now if it
 * is not there yet: it has the same bits whoever makes it. *path is "" when that cannot be. */
static lo_status find_start(worker *w, const lo_unlearning_task *t, const lo_tick *tick, char *path,
                            size_t size, lo_error *err)
{
    const int before = w->u.forgotten[t->forgotten].before;
    if (before < 0) {
        lo_original_path(w->study->run.study, t->seed, 0, path, size);
        return LO_OK;
    }
    const lo_unlearning_task *former =
        &w->u.task[lo_unlearning_find(&w->u, t->kind, before, t->unlearner, t->seed)];
    lo_unlearning_path(&w->u, w->study->run.study, former, path, size);
    bool there = lo_team_leads(w->team) && lo_check_weights(path, former->digest, NULL) == LO_OK;
    as_leader(w, &there, sizeof(there), tick);
    if (there) {
        return LO_OK;
    }
    LO_TRY(make_forget(w, former, tick, err));
    if (w->model.applies == 0) {
        path[0] = '\0';
        return LO_OK;
    }
    return keep_weights(w, former, tick, err);
}

/* One method on one request. The trainer's network is the result. */
static lo_status run_method(worker *w, const lo_unlearning_task *t, const lo_request *request,
                            const lo_tick *tick, lo_error *err)
{
    const lo_unlearner *l = &w->u.unlearner[t->unlearner];
    const unsigned lacking = lo_job_bool(w->study->job, "unlearning.retain") ? 0 : LO_READS_RETAIN;
    char why[LO_REASON] = "";
    lo_pupil_permit(w->pupil, lo_unlearn_reads(l->method, l->item) & ~lacking);
    const char *reason = l->method->inapplicable != NULL
                             ? l->method->inapplicable(request, w->pupil, l->item, why, sizeof(why))
                             : NULL;
    w->model.applies = reason == NULL;
    if (reason != NULL) {
        (void)snprintf(w->model.reason, sizeof(w->model.reason), "%s", reason);
        return LO_OK;
    }
    const double start = lo_clock_monotonic();
    /* What a sequence has to make again before its own task is not saved: the file is that of the task. */
    lo_pupil_checkpoint(w->pupil, w->checkpoint.digest == t->digest ? &w->checkpoint : NULL);
    LO_TRY(l->method->run(w->pupil, request, l->item, tick, err));
    w->model.seconds = (lo_clock_monotonic() - start + w->checkpoint.seconds) * w->study->run.task_cores;
    w->model.diverged = lo_pupil_diverged(w->pupil);
    for (int set = 0; set < LO_SETS; set++) {
        w->model.shown[set] = lo_pupil_shown(w->pupil, (lo_set)set);
    }
    return take_over(w, err);
}

static lo_status make_forget(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err)
{
    const lo_forgotten *f = &w->u.forgotten[t->forgotten];
    const lo_unlearner *l = &w->u.unlearner[t->unlearner];
    const lo_listed_score *rescore = f->depth > 0 ? l->rescore : NULL;
    const int64_t n = w->study->data.train.count;
    char start[PATH_MAX];
    LO_TRY(find_start(w, t, tick, start, sizeof(start), err));
    if (start[0] == '\0') {
        return LO_OK; /* what was said of the request before holds for this one */
    }
    uint32_t *retained = lo_forget_retained(&f->set, n);
    if (retained == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a retain set");
    }
    const lo_request request = {.dataset = &w->study->data,
                                .name = f->name,
                                .forget = f->step.position,
                                .forget_count = f->step.count,
                                .retain = retained,
                                .retain_count = n - f->set.count,
                                .whole_class = f->step.whole_class,
                                .seed = (uint64_t)lo_job_int(w->study->job, "seed"),
                                .run = (uint64_t)t->seed + ((uint64_t)f->depth << 32),
                                .score = l->score,
                                .rescore = rescore != NULL ? rescore->score : NULL,
                                .rescore_settings = rescore != NULL ? rescore->item : NULL};
    lo_status status = lo_pupil_load(w->pupil, start, err);
    if (status == LO_OK) {
        status = run_method(w, t, &request, tick, err);
    }
    free(retained);
    return status;
}

/* Where a matched model begins: at its oracle, which is made now if it is not there yet. It has the same bits
 * whoever makes it, but is not saved half way: the file is that of this task. */
static lo_status find_oracle(worker *w, const lo_unlearning_task *t, const lo_tick *tick, char *path,
                             size_t size, lo_error *err)
{
    const lo_unlearning_task *oracle =
        &w->u.task[lo_unlearning_find(&w->u, LO_MODEL_ORACLE, t->forgotten, -1, t->seed)];
    lo_unlearning_path(&w->u, w->study->run.study, oracle, path, size);
    bool there = lo_team_leads(w->team) && lo_check_weights(path, oracle->digest, NULL) == LO_OK;
    as_leader(w, &there, sizeof(there), tick);
    if (there) {
        return LO_OK;
    }
    lo_trainer_checkpoint(w->net, NULL);
    const lo_status status = train_oracle(w, oracle, tick, err);
    lo_trainer_checkpoint(w->net, &w->checkpoint);
    w->model.seconds = 0; /* what it took counts in its own task */
    w->model.diverged = w->model.shown[LO_SET_RETAIN] = 0;
    return status;
}

/* An oracle that forgets another set. */
static lo_status make_matched(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err)
{
    const lo_unlearner *l = &w->u.unlearner[t->unlearner];
    char start[PATH_MAX];
    lo_request request;
    uint32_t *retained = NULL;
    lo_error refused = {""};
    LO_TRY(find_oracle(w, t, tick, start, sizeof(start), err));
    lo_status status = lo_matched_request(&w->u, t, &request, &retained, err);
    const lo_status allowed =
        status == LO_OK ? lo_request_check(&request, l->method, l->item, &refused) : status;
    if (allowed == LO_USAGE) {
        w->model.applies = 0;
        (void)snprintf(w->model.reason, sizeof(w->model.reason), "%.*s", LO_REASON - 1, refused.text);
    } else if (allowed != LO_OK && status == LO_OK) {
        status = lo_fail(err, allowed, "%s", refused.text);
    } else if (status == LO_OK) {
        status = lo_pupil_load(w->pupil, start, err);
        if (status == LO_OK) {
            status = run_method(w, t, &request, tick, err);
        }
    }
    free(retained);
    return status;
}

static lo_status load_original(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err)
{
    lo_network *network = lo_trainer_network(w->net);
    char path[PATH_MAX];
    lo_original_path(w->study->run.study, t->seed, 0, path, sizeof(path));
    const lo_status status = lo_team_leads(w->team) ? lo_weights_load(network, path, err) : LO_OK;
    LO_TRY(leaders(w, status, tick));
    as_leader(w, network->weights, network->weight_size * sizeof(float), tick);
    as_leader(w, network->statistics, network->statistic_size * sizeof(float), tick);
    return LO_OK;
}

/* ---- a task ---- */

static double share(const worker *w, int part, const uint32_t *rows, int64_t count)
{
    const lo_examples *e = lo_part(&w->study->data, part);
    const lo_logits logits = {w->model.logits[part], e->label, e->count, (int32_t)w->model.classes};
    return lo_accuracy(lo_count_right(&logits, rows, count));
}

/* "key=value ...", as soon as it is known. */
static void describe(const worker *w, const lo_unlearning_task *t, lo_result *result)
{
    if (t->kind == LO_MODEL_ORIGINAL) {
        return;
    }
    const lo_forgotten *f = &w->u.forgotten[t->forgotten];
    char who[96] = "oracle";
    if (t->unlearner >= 0) {
        const lo_unlearner *l = &w->u.unlearner[t->unlearner];
        (void)snprintf(who, sizeof(who), "%s%s", l->method->name, l->suffix);
    }
    if (w->model.applies == 0) {
        (void)snprintf(result->line, sizeof(result->line),
                       "event=%s method=%s forget_set=%s seed=%" PRId64 " applies=no",
                       lo_model_kind_name(t->kind), who, f->name, t->seed);
        return;
    }
    (void)snprintf(
        result->line, sizeof(result->line),
        "event=%s method=%s forget_set=%s seed=%" PRId64 " forget_accuracy=%.4f test_accuracy=%.4f "
        "seconds=%.2f diverged=%s",
        lo_model_kind_name(t->kind), who, f->name, t->seed, share(w, 0, f->set.position, f->set.count),
        share(w, 2, NULL, 0), w->model.seconds, w->model.diverged != 0 ? "yes" : "no");
}

static lo_status make_model(worker *w, const lo_unlearning_task *t, const lo_tick *tick, lo_error *err)
{
    if (t->kind == LO_MODEL_ORIGINAL) {
        return load_original(w, t, tick, err);
    }
    if (t->kind == LO_MODEL_ORACLE) {
        return train_oracle(w, t, tick, err);
    }
    if (t->kind == LO_MODEL_MATCHED) {
        return make_matched(w, t, tick, err);
    }
    LO_TRY(make_forget(w, t, tick, err));
    return w->keep && w->model.applies != 0 ? keep_weights(w, t, tick, err) : LO_OK;
}

static lo_status run_task(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err)
{
    worker *w = self;
    const lo_unlearning_task *t = &w->u.task[task];
    w->model = lo_unlearned_make(&w->study->data);
    (void)snprintf(w->model.processor, sizeof(w->model.processor), "%s", w->study->run.processor);
    LO_TRY(make_model(w, t, tick, err));
    lo_unlearned_map(&w->model, w->payload);
    for (int p = 0; p < LO_PARTS && w->model.applies != 0; p++) {
        const lo_examples *examples = lo_part(&w->study->data, p);
        LO_TRY(examples->count > 0 ? lo_trainer_logits(w->net, examples, tick, w->model.logits[p], err)
                                   : LO_OK);
    }
    lo_unlearned_seal(&w->model, w->payload);
    *result = (lo_result){.payload = w->payload,
                          .size = lo_unlearned_size(&w->model),
                          .value = w->model.applies != 0 ? share(w, 2, NULL, 0) : LO_NOTHING_MADE};
    describe(w, t, result);
    return LO_OK;
}

static lo_status check_task(void *self, int64_t task, const lo_entry *entry, lo_error *err)
{
    const worker *w = self;
    const lo_unlearning_task *t = &w->u.task[task];
    char path[PATH_MAX];
    if (!w->keep || t->kind == LO_MODEL_ORIGINAL || t->kind == LO_MODEL_MATCHED ||
        entry->value == LO_NOTHING_MADE) {
        return LO_OK;
    }
    lo_unlearning_path(&w->u, w->study->run.study, t, path, sizeof(path));
    return lo_check_weights(path, t->digest, err);
}

/* Forget sets that oracles cannot forget the like of. */
static void say_unmatched(lo_study *study, const lo_unlearning *u)
{
    for (int f = 0; f < u->forgotten_count; f++) {
        const lo_forgotten *g = &u->forgotten[f];
        if (g->unmatched[0] != '\0') {
            lo_run_say(&study->run, "event=unmatched forget_set=%s reason=\"%s\"", g->name, g->unmatched);
        }
    }
}

/* What the eight digits behind a method's name stand for. */
static void say_settings(lo_study *study, const lo_unlearning *u)
{
    for (int i = 0; i < u->unlearner_count; i++) {
        const lo_unlearner *l = &u->unlearner[i];
        if (l->suffix[0] != '\0') {
            lo_run_say(&study->run, "event=settings method=%s%s settings=\"%s\"", l->method->name, l->suffix,
                       l->canonical);
        }
    }
}

/* What the steps of a sequence are split by is not what everybody expects. */
static void say_scores(lo_study *study, const lo_unlearning *u)
{
    for (int i = 0; i < u->unlearner_count && lo_job_length(study->job, "unlearning.sequence") > 1; i++) {
        const lo_unlearner *l = &u->unlearner[i];
        if (l->score != NULL && l->rescore == NULL) {
            lo_run_say(
                &study->run,
                "event=note text=\"%s%s splits every request of the sequence by the originals' scores; "
                "rescore: NAME has them computed anew\"",
                l->method->name, l->suffix);
        }
    }
}

lo_status lo_stage_unlearning(lo_study *study, lo_error *err)
{
    if (!lo_job_has(study->job, "unlearning")) {
        return LO_OK;
    }
    worker w = {.study = study, .keep = lo_job_bool(study->job, "unlearning.keep_models")};
    lo_status status = lo_unlearning_open(study, &w.u, err);
    if (status == LO_OK) {
        status = lo_publish_forget(study, &w.u, err);
    }
    if (status == LO_OK) {
        say_settings(study, &w.u);
        say_unmatched(study, &w.u);
        say_scores(study, &w.u);
        const lo_farmed stage = {.stage = LO_STAGE_UNLEARNING,
                                 .names = w.u.digest,
                                 .tasks = w.u.tasks,
                                 .open = worker_open,
                                 .run = run_task,
                                 .checkpoint = &w.checkpoint,
                                 .check = check_task,
                                 .in_teams = true,
                                 .publish = lo_publish_unlearning,
                                 .self = &w};
        status = lo_run_farmed(study, &stage, err);
    }
    worker_close(&w);
    return status;
}
