/* Stage scores: one number for every training example and score, from what the ensemble did, from the
 * originals' logs and weights, from trainings that a score has of its own, and from other scores. Examples
 * are sharded over ranks. What scores.h5 holds already is taken over from there. */
#include "base/clock.h"
#include "base/file.h"
#include "jobs/scores/score_cost.h"
#include "jobs/scores/score_list.h"
#include "jobs/scores/score_source.h"
#include "jobs/scores/score_tasks.h"
#include "jobs/stages.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE, STANDARD_ERROR, LOW, HIGH, FIELDS };
static const char *const field_names[FIELDS] = {"value", "standard_error", "low", "high"};
static const char *const count_names[4] = {"in", "in_correct", "out", "out_correct"};

/* A score on its way into the file. */
typedef struct result {
    const lo_listed_score *listed;
    uint64_t identity;     /* of all that it is computed from; rank 0's */
    bool possible, reused; /* what it needs is there; it is taken from the old file */
    bool has[FIELDS];
    int number[FIELDS]; /* datasets */
    lo_estimate *estimate;
    float *all; /* [n]: the values of all ranks, once another score asked for them */
    bool has_each;
    float *each; /* [count, originals]: the values of every original */
    int each_number;
    double share; /* of an original's training that it uses */
    double seconds, shared_seconds;
} result;

typedef struct stage {
    lo_study *study;
    lo_score_list list;
    lo_score_source source;
    result *result; /* [list.count] */
    lo_h5_reader old;
    int count_number[4];
    float *field;
    lo_score_results results; /* of the tasks of the score that is computed */
} stage;

static lo_status no_memory(const stage *s, lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples", (long long)s->source.count);
}

static void file_path(const stage *s, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/scores.h5", s->study->run.study);
}

static bool is_per_original(const lo_score *score)
{
    return (score->needs & LO_FROM_ORIGINALS) != 0 && score->tasks == NULL;
}

/* ---- what a score depends on ---- */

static uint64_t digest_number(uint64_t digest, uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)number);
    return lo_digest(digest, text);
}

static result *find_result(const stage *s, const char *name)
{
    for (int i = 0; i < s->list.count; i++) {
        if (strcmp(s->result[i].listed->name, name) == 0) {
            return &s->result[i];
        }
    }
    return NULL;
}

/* What the old file says; 0: nothing. */
static uint64_t identity_in_old(const stage *s, const result *r)
{
    char path[128];
    char found[32] = "";
    (void)snprintf(path, sizeof(path), "/%s", r->listed->name);
    return s->old.id >= 0 && lo_h5_has(&s->old, path) &&
                   lo_h5_get_text(&s->old, path, "identity", found, sizeof(found), NULL) == LO_OK
               ? strtoull(found, NULL, 16)
               : 0;
}

/* Name, settings, and what it is computed from. Scores that it uses have theirs before. */
static uint64_t identify(const stage *s, const result *r)
{
    const lo_score *score = r->listed->score;
    const lo_job *job = s->study->job;
    uint64_t d = digest_number(LO_DIGEST_START, lo_job_digest(job, LO_KEYS_RECIPE));
    d = lo_digest(lo_digest(d, score->name), r->listed->settings);
    if ((score->needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) != 0) {
        d = digest_number(d, lo_job_digest(job, LO_KEYS_ENSEMBLE));
        d = lo_digest(d, s->source.ensemble.identity);
    }
    if ((score->needs & LO_FROM_ORIGINALS) != 0) {
        d = digest_number(d, lo_job_digest(job, LO_KEYS_ORIGINALS));
        for (int64_t i = 0; i < s->source.originals; i++) {
            d = digest_number(d, (uint64_t)s->source.seed[i]);
        }
    }
    if ((score->needs & LO_FROM_FILE) != 0) {
        uint64_t content = 0;
        if (lo_file_digest(lo_item_text(r->listed->item, "file"), &content, NULL) != LO_OK) {
            return identity_in_old(s, r); /* it is gone, and not asked for by `leaveout report` */
        }
        d = digest_number(d, content);
    }
    for (int u = 0; score->uses != NULL && score->uses(r->listed->item, u) != NULL; u++) {
        const result *used = find_result(s, score->uses(r->listed->item, u));
        d = used != NULL ? digest_number(d, used->identity) : d;
    }
    return d;
}

/* Is what it needs there? (An ensemble without a finished model has no file yet.) */
static bool is_possible(const stage *s, const result *r)
{
    const lo_score *score = r->listed->score;
    bool possible = ((score->needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) == 0 || s->source.has_ensemble) &&
                    ((score->needs & LO_FROM_ORIGINALS) == 0 || s->source.originals > 0);
    for (int u = 0; score->uses != NULL && score->uses(r->listed->item, u) != NULL; u++) {
        const result *used = find_result(s, score->uses(r->listed->item, u));
        possible = possible && used != NULL && used->possible;
    }
    return possible;
}

/* With one original its values are the score's; earlier versions kept the mean alone. */
static bool has_each(const stage *s, const result *r)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/%s/originals", r->listed->name);
    return is_per_original(r->listed->score) && s->source.originals > 1 &&
           (!r->reused || lo_h5_has(&s->old, path));
}

/* Rank 0 looks, all take what it finds: does the old file hold the score, of the same identity? */
static bool is_in_old(const stage *s, const result *r)
{
    return r->identity != 0 && identity_in_old(s, r) == r->identity;
}

/* Of the whole file. */
static uint64_t file_digest(const stage *s)
{
    uint64_t d = lo_digest(LO_DIGEST_START, s->source.has_ensemble ? s->source.ensemble.identity : "");
    for (int i = 0; i < s->list.count; i++) {
        d = s->result[i].possible ? digest_number(d, s->result[i].identity) : d;
    }
    return d;
}

static void describe(stage *s)
{
    char path[PATH_MAX];
    file_path(s, path, sizeof(path));
    lo_h5_close(&s->old);
    int datasets;
    if (lo_h5_open(path, &s->old, NULL) != LO_OK ||
        (s->study->run.rank == 0 && lo_h5_verify(&s->old, &datasets, NULL) != LO_OK)) {
        lo_h5_close(&s->old);
        s->old.id = -1;
    }
    for (int i = 0; i < s->list.count; i++) {
        result *r = &s->result[i];
        r->identity = identify(s, r);
        r->possible = is_possible(s, r);
        r->reused = r->possible && is_in_old(s, r);
        MPI_Bcast(&r->identity, 1, MPI_UINT64_T, 0, s->study->run.comm);
        MPI_Bcast(&r->possible, 1, MPI_C_BOOL, 0, s->study->run.comm);
        MPI_Bcast(&r->reused, 1, MPI_C_BOOL, 0, s->study->run.comm);
    }
}

static bool is_up_to_date(const stage *s)
{
    char found[32] = "";
    char wanted[32];
    (void)snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)file_digest(s));
    bool same = s->old.id >= 0 &&
                lo_h5_get_text(&s->old, "/", "digest", found, sizeof(found), NULL) == LO_OK &&
                strcmp(found, wanted) == 0;
    MPI_Bcast(&same, 1, MPI_C_BOOL, 0, s->study->run.comm);
    return same;
}

static bool is_anything_possible(const stage *s)
{
    bool any = false;
    for (int i = 0; i < s->list.count; i++) {
        any = any || s->result[i].possible;
    }
    return any;
}

/* ---- computing ---- */

static void clear(const stage *s, lo_estimate *e)
{
    for (int64_t k = 0; k < s->source.count; k++) {
        e[k] = (lo_estimate){NAN, NAN, NAN, NAN};
    }
}

/* input->score: values of all examples of a score that was computed before. Collective. */
static lo_status score_of(void *self, const char *name, const float **value, int *orientation, lo_error *err)
{
    lo_score_source *source = self;
    stage *s = (stage *)(void *)((char *)source - offsetof(stage, source));
    result *r = find_result(s, name);
    if (r == NULL || r->estimate == NULL) {
        return lo_fail(err, LO_INTERNAL, "score %s is not there yet", name);
    }
    *orientation = r->listed->orientation;
    if (r->all == NULL) {
        r->all = calloc((size_t)source->n + 1, sizeof(*r->all));
        for (int64_t k = 0; k < source->count; k++) {
            s->field[k] = r->estimate[k].value;
        }
        LO_TRY(lo_score_gather(s->study, r->all != NULL ? LO_OK : no_memory(s, err), s->field, source->n, 1,
                               r->all, err));
    }
    *value = r->all;
    return LO_OK;
}

static lo_status result_of(void *self, int64_t task, const float **values, lo_error *err)
{
    lo_score_source *source = self;
    stage *s = (stage *)(void *)((char *)source - offsetof(stage, source));
    return lo_score_results_read(&s->results, task, values, err);
}

static lo_score_input input_of(stage *s, const result *r)
{
    lo_score_input input = lo_score_source_input(&s->source, r->listed->score->needs);
    input.item = r->listed->item;
    input.score = score_of;
    input.result = result_of;
    input.tasks = s->results.tasks;
    return input;
}

/* Of one original; what it uses of that one's training adds to the mean share. */
static lo_status compute_one(const lo_score_input *input, const lo_score *score, lo_estimate *out,
                             double *share, lo_error *err)
{
    if (score->share_of_training != NULL) {
        double of_this = 1;
        LO_TRY(score->share_of_training(input, &of_this, err));
        *share += of_this / (double)input->originals;
    }
    return score->compute(input, out, err);
}

/* Mean and standard error of the mean over originals, in their order. */
static lo_status compute_originals(stage *s, result *r, lo_error *err)
{
    const int64_t count = s->source.count;
    const int64_t seeds = s->source.originals;
    const lo_score *score = r->listed->score;
    lo_estimate *one = calloc((size_t)count + 1, sizeof(*one));
    double *sum = calloc(2 * (size_t)count + 1, sizeof(*sum));
    lo_status status = one != NULL && sum != NULL ? LO_OK : no_memory(s, err);
    float *every = calloc((size_t)(seeds * count) + 1, sizeof(*every)); /* [count, seeds] */
    status = status == LO_OK && every == NULL ? no_memory(s, err) : status;
    r->share = score->share_of_training == NULL ? 1 : 0;
    status = lo_agree(s->study->run.comm, status, err);
    for (int64_t o = 0; o < seeds && status == LO_OK; o++) {
        clear(s, one);
        status = lo_score_source_turn(&s->source, score->needs, o, err);
        const lo_score_input input = input_of(s, r);
        status = lo_agree(s->study->run.comm, status, err);
        if (status == LO_OK) {
            status = lo_agree(s->study->run.comm, compute_one(&input, score, one, &r->share, err), err);
        }
        for (int64_t k = 0; k < count; k++) {
            every[k * seeds + o] = one[k].value;
            sum[k] += (double)one[k].value;
        }
    }
    for (int64_t k = 0; k < count && status == LO_OK; k++) {
        const double mean = sum[k] / (double)seeds;
        double squares = 0;
        for (int64_t o = 0; o < seeds; o++) {
            const double away = (double)every[k * seeds + o] - mean;
            squares += away * away;
        }
        r->estimate[k].value = (float)mean;
        r->estimate[k].standard_error =
            seeds > 1 ? (float)sqrt(squares / (double)(seeds - 1) / (double)seeds) : NAN;
    }
    free(one);
    free(sum);
    r->each = every;
    return status;
}

static lo_status compute(stage *s, result *r, lo_error *err)
{
    const lo_score *score = r->listed->score;
    const double start = lo_clock_monotonic();
    lo_status status = LO_OK;
    if (score->tasks != NULL) {
        status = lo_score_results_open(&s->source, r->listed, r->identity, &s->results, err);
    }
    if (status == LO_OK && s->results.done < s->results.tasks) {
        status = lo_fail(err, LO_INTERNAL, "%lld of the %lld trainings of score %s were given up",
                         (long long)(s->results.tasks - s->results.done), (long long)s->results.tasks,
                         r->listed->name);
    }
    if (status == LO_OK) {
        status = lo_agree(s->study->run.comm, lo_score_source_prepare(&s->source, score->needs, err), err);
    }
    if (status == LO_OK && is_per_original(score)) {
        status = compute_originals(s, r, err);
    } else if (status == LO_OK) {
        const lo_score_input input = input_of(s, r);
        status = lo_agree(s->study->run.comm, score->compute(&input, r->estimate, err), err);
    }
    r->seconds = lo_clock_monotonic() - start;
    MPI_Allreduce(MPI_IN_PLACE, &r->seconds, 1, MPI_DOUBLE, MPI_SUM, s->study->run.comm);
    r->seconds += s->results.seconds;
    lo_score_results_close(&s->results);
    s->results = (lo_score_results){0};
    return status;
}

static lo_status read_old(stage *s, result *r, lo_error *err)
{
    char path[128];
    for (int f = 0; f < FIELDS; f++) {
        (void)snprintf(path, sizeof(path), "/%s/%s", r->listed->name, field_names[f]);
        if (!r->has[f]) {
            continue;
        }
        LO_TRY(lo_h5_read(&s->old, path, LO_H5_F32, s->source.first, s->source.count, s->field, err));
        for (int64_t k = 0; k < s->source.count; k++) {
            lo_estimate *e = &r->estimate[k];
            *(f == VALUE            ? &e->value
              : f == STANDARD_ERROR ? &e->standard_error
              : f == LOW            ? &e->low
                                    : &e->high) = s->field[k];
        }
    }
    if (r->has_each) {
        r->each = calloc((size_t)(s->source.count * s->source.originals) + 1, sizeof(*r->each));
        (void)snprintf(path, sizeof(path), "/%s/originals", r->listed->name);
        LO_TRY(r->each != NULL ? LO_OK : no_memory(s, err));
        LO_TRY(lo_h5_read(&s->old, path, LO_H5_F32, s->source.first, s->source.count, r->each, err));
    }
    (void)snprintf(path, sizeof(path), "/%s", r->listed->name);
    r->share = 1;
    (void)lo_h5_get_real(&s->old, path, "share_of_training", &r->share, NULL); /* not of earlier versions */
    return lo_h5_get_real(&s->old, path, "cost_core_seconds", &r->seconds, err);
}

static void settle(const stage *s, result *r)
{
    const lo_score *score = r->listed->score;
    r->has[VALUE] = true;
    r->has[STANDARD_ERROR] =
        (score->gives & LO_GIVES_ERROR) != 0 || (is_per_original(score) && s->source.originals > 1);
    r->has[LOW] = r->has[HIGH] = (score->gives & LO_GIVES_INTERVAL) != 0;
    r->has_each = has_each(s, r);
    r->share = 1;
}

/* What others of the job may share with each score. */
static lo_status find_costs(stage *s, lo_error *err)
{
    const size_t room = (size_t)s->list.count + 1;
    double *own = calloc(room, sizeof(*own));
    double *share = calloc(room, sizeof(*share));
    lo_status status = own != NULL && share != NULL ? LO_OK : no_memory(s, err);
    const lo_score_costs costs = {&s->list, &s->source, own, share, lo_score_training(&s->source)};
    for (int i = 0; i < s->list.count && status == LO_OK; i++) {
        own[i] = s->result[i].seconds;
        share[i] = s->result[i].share;
    }
    for (int i = 0; i < s->list.count && status == LO_OK; i++) {
        lo_score_cost cost = {0};
        status = s->result[i].possible ? lo_score_cost_of(&costs, i, &cost, err) : LO_OK;
        s->result[i].shared_seconds = cost.originals + cost.ensemble;
    }
    free(own);
    free(share);
    return lo_agree(s->study->run.comm, status, err);
}

static lo_status compute_all(stage *s, lo_error *err)
{
    s->field = calloc((size_t)s->source.count + 1, sizeof(*s->field));
    lo_status status = s->field != NULL ? LO_OK : no_memory(s, err);
    if (status == LO_OK) {
        status = lo_score_source_prepare(&s->source, 0, err); /* the counts, which the file has too */
    }
    status = lo_agree(s->study->run.comm, status, err);
    for (int i = 0; i < s->list.count && status == LO_OK; i++) {
        result *r = &s->result[i];
        if (!r->possible) {
            continue;
        }
        settle(s, r);
        r->estimate = calloc((size_t)s->source.count + 1, sizeof(*r->estimate));
        status = lo_agree(s->study->run.comm, r->estimate != NULL ? LO_OK : no_memory(s, err), err);
        if (status == LO_OK) {
            clear(s, r->estimate);
            status = r->reused ? lo_agree(s->study->run.comm, read_old(s, r, err), err) : compute(s, r, err);
        }
        if (status == LO_OK && !r->reused) {
            s->study->news = true;
            lo_run_say(&s->study->run, "event=score name=%s core_seconds=%.2f", r->listed->name, r->seconds);
        }
    }
    return status == LO_OK ? find_costs(s, err) : status;
}

/* ---- the file ---- */

static lo_status write_root(const stage *s, lo_h5 *h5, lo_error *err)
{
    const lo_ensemble_file *e = &s->source.ensemble;
    char text[32];
    char names[LO_SCORE_NAMES_SIZE] = "";
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)file_digest(s));
    LO_TRY(lo_h5_int(h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h5, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h5, "/", "digest", text, err));
    for (int i = 0; i < s->list.count; i++) {
        const size_t used = strlen(names);
        if (s->result[i].possible) {
            (void)snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? " " : "",
                           s->list.listed[i].name);
        }
    }
    LO_TRY(lo_h5_text(h5, "/", "scores", names, err));
    LO_TRY(lo_h5_text(h5, "/", "ensemble", e->identity, err));
    LO_TRY(lo_h5_int(h5, "/", "models", e->rows - e->diverged, err));
    LO_TRY(lo_h5_int(h5, "/", "models_diverged", e->diverged, err));
    LO_TRY(lo_h5_int(h5, "/", "originals", s->source.originals, err));
    LO_TRY(lo_h5_real(h5, "/", "originals_core_seconds", s->source.originals_seconds, err));
    return lo_h5_real(h5, "/", "shared_training_core_seconds", e->seconds, err);
}

static lo_status add_score(const stage *s, result *r, lo_h5 *h5, lo_error *err)
{
    const lo_score *score = r->listed->score;
    char path[128];
    char text[32];
    for (int f = 0; f < FIELDS; f++) {
        (void)snprintf(path, sizeof(path), "/%s/%s", r->listed->name, field_names[f]);
        if (r->has[f]) {
            LO_TRY(lo_h5_add(h5, path, LO_H5_F32, s->source.n, 0, s->source.first, s->source.count,
                             &r->number[f], err));
        }
    }
    if (r->has_each) {
        (void)snprintf(path, sizeof(path), "/%s/originals", r->listed->name);
        LO_TRY(lo_h5_add(h5, path, LO_H5_F32, s->source.n, s->source.originals, s->source.first,
                         s->source.count, &r->each_number, err));
    }
    (void)snprintf(path, sizeof(path), "/%s", r->listed->name);
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)r->identity);
    LO_TRY(lo_h5_int(h5, path, "orientation", r->listed->orientation, err));
    LO_TRY(lo_h5_real(h5, path, "share_of_training", r->share, err));
    LO_TRY(lo_h5_text(h5, path, "description", score->description, err));
    LO_TRY(lo_h5_text(h5, path, "source", score->source, err));
    LO_TRY(lo_h5_text(h5, path, "settings", r->listed->settings, err));
    LO_TRY(lo_h5_text(h5, path, "identity", text, err));
    LO_TRY(lo_h5_real(h5, path, "cost_core_seconds", r->seconds, err));
    return lo_h5_real(h5, path, "shared_training_core_seconds", r->shared_seconds, err);
}

static lo_status add_counts(stage *s, lo_h5 *h5, lo_error *err)
{
    char path[64];
    for (int c = 0; c < 4; c++) {
        (void)snprintf(path, sizeof(path), "/models/%s", count_names[c]);
        LO_TRY(lo_h5_add(h5, path, LO_H5_I32, s->source.n, 0, s->source.first, s->source.count,
                         &s->count_number[c], err));
    }
    return lo_h5_text(
        h5, "/models", "meaning",
        "per example: models trained with it, of these correct on it, models without it, of these correct",
        err);
}

static lo_status write_values(const stage *s, const result *r, lo_h5 *h5, lo_error *err)
{
    for (int f = 0; f < FIELDS; f++) {
        for (int64_t k = 0; k < s->source.count && r->has[f]; k++) {
            const lo_estimate *e = &r->estimate[k];
            s->field[k] = f == VALUE            ? e->value
                          : f == STANDARD_ERROR ? e->standard_error
                          : f == LOW            ? e->low
                                                : e->high;
        }
        if (r->has[f]) {
            LO_TRY(lo_h5_write(h5, r->number[f], s->source.count, s->field, LO_OK, err));
        }
    }
    return r->has_each ? lo_h5_write(h5, r->each_number, s->source.count, r->each, LO_OK, err) : LO_OK;
}

static lo_status write_counts(const stage *s, lo_h5 *h5, lo_error *err)
{
    int32_t *whole = (int32_t *)(void *)s->field; /* of the same size */
    for (int c = 0; c < 4; c++) {
        for (int64_t k = 0; k < s->source.count; k++) {
            const lo_counts *n = &s->source.counts[k];
            const int32_t value = c == 0 ? n->in : c == 1 ? n->in_hit : c == 2 ? n->out : n->out_hit;
            memcpy(&whole[k], &value, sizeof(value));
        }
        LO_TRY(lo_h5_write(h5, s->count_number[c], s->source.count, whole, LO_OK, err));
    }
    return LO_OK;
}

static lo_status write_all(stage *s, lo_h5 *h5, lo_error *err)
{
    const lo_examples *train = &s->study->data.train;
    int index;
    int label[2];
    LO_TRY(write_root(s, h5, err));
    for (int i = 0; i < s->list.count; i++) {
        if (s->result[i].possible) {
            LO_TRY(add_score(s, &s->result[i], h5, err));
        }
    }
    if (s->source.has_ensemble) {
        LO_TRY(add_counts(s, h5, err));
    }
    LO_TRY(lo_h5_add(h5, "/train/index", LO_H5_I64, s->source.n, 0, s->source.first, s->source.count, &index,
                     err));
    for (int l = 0; l < 2; l++) {
        LO_TRY(lo_h5_add(h5, l == 0 ? "/train/label" : "/train/label_true", LO_H5_I32, s->source.n, 0,
                         s->source.first, s->source.count, &label[l], err));
    }
    for (int i = 0; i < s->list.count; i++) {
        if (s->result[i].possible) {
            LO_TRY(write_values(s, &s->result[i], h5, err));
        }
    }
    if (s->source.has_ensemble) {
        LO_TRY(write_counts(s, h5, err));
    }
    LO_TRY(lo_h5_write(h5, index, s->source.count, train->index + s->source.first, LO_OK, err));
    LO_TRY(lo_h5_write(h5, label[0], s->source.count, train->label + s->source.first, LO_OK, err));
    return lo_h5_write(h5, label[1], s->source.count, train->label_true + s->source.first, LO_OK, err);
}

static lo_status publish(stage *s, lo_error *err)
{
    const double start = lo_clock_monotonic();
    char path[PATH_MAX];
    lo_h5 h5 = {.id = -1};
    LO_TRY(compute_all(s, err));
    lo_h5_close(&s->old);
    s->old.id = -1;
    const uint64_t row = (uint64_t)s->list.count * (16 + 4 * (uint64_t)s->source.originals) + 32;
    const uint64_t bytes = (uint64_t)s->source.n * row + (1 << 16);
    file_path(s, path, sizeof(path));
    LO_TRY(lo_h5_create(s->study->run.comm, path, bytes, &h5, err));
    const lo_status status = lo_h5_commit(&h5, write_all(s, &h5, err), err);
    if (status == LO_OK) {
        s->study->news = true;
        lo_run_say(&s->study->run, "event=published file=scores.h5 models=%lld originals=%lld seconds=%.2f",
                   (long long)(s->source.ensemble.rows - s->source.ensemble.diverged),
                   (long long)s->source.originals, lo_clock_monotonic() - start);
    }
    return status;
}

/* ---- the stage ---- */

/* Where nothing may be computed that takes long: what the file does not hold is left out. */
static void leave_out_dear(stage *s)
{
    for (int i = 0; i < s->list.count; i++) {
        result *r = &s->result[i];
        const bool dear = r->listed->score->tasks != NULL ||
                          (r->listed->score->needs & (LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS)) != 0;
        r->possible = r->possible && (r->reused || !dear);
        for (int u = 0; r->listed->score->uses != NULL && r->listed->score->uses(r->listed->item, u) != NULL;
             u++) {
            r->possible = r->possible && find_result(s, r->listed->score->uses(r->listed->item, u))->possible;
        }
    }
}

/* Nothing is wrong with the study; but who asked for a score wants to know. */
static void say_impossible(stage *s)
{
    for (int i = 0; i < s->list.count; i++) {
        if (!s->result[i].possible) {
            lo_run_say(
                &s->study->run,
                "event=note text=\"score %s is not computed: no model that it needs is finished, or all "
                "diverged\"",
                s->list.listed[i].name);
        }
    }
}

static lo_status farm_all(stage *s, lo_error *err)
{
    for (int i = 0; i < s->list.count && !s->study->left_to_others; i++) {
        const result *r = &s->result[i];
        if (r->possible && !r->reused && r->listed->score->tasks != NULL) {
            LO_TRY(lo_score_tasks_run(&s->source, r->listed, r->identity, err));
        }
    }
    return LO_OK;
}

/* Trainings that look at other scores look at published ones: what they use comes first. */
static bool leave_out_waiting(stage *s)
{
    bool any = false;
    for (int i = 0; i < s->list.count; i++) {
        result *r = &s->result[i];
        const lo_score *score = r->listed->score;
        for (int u = 0; score->uses != NULL && score->uses(r->listed->item, u) != NULL; u++) {
            const result *used = find_result(s, score->uses(r->listed->item, u));
            const bool waits = score->tasks != NULL && r->possible && !r->reused && !used->reused;
            any = any || waits;
            r->possible = r->possible && used->possible && !waits;
        }
    }
    return any;
}

static lo_status run(stage *s, bool computing, bool *waiting, lo_error *err)
{
    describe(s);
    if (!computing) {
        leave_out_dear(s);
    }
    *waiting = leave_out_waiting(s);
    if (computing && !*waiting) { /* what waits is possible in the next round */
        say_impossible(s);
    }
    if (!is_anything_possible(s) || is_up_to_date(s)) {
        return LO_OK;
    }
    if (computing) {
        LO_TRY(farm_all(s, err));
        if (s->study->left_to_others) {
            return LO_OK;
        }
    }
    LO_TRY(lo_study_lock(s->study, err));
    describe(s); /* another attempt may have published meanwhile */
    if (!computing) {
        leave_out_dear(s);
    }
    (void)leave_out_waiting(s);
    const lo_status status = is_up_to_date(s) ? LO_OK : publish(s, err);
    lo_study_unlock(s->study);
    return status;
}

static void forget_results(stage *s)
{
    for (int i = 0; i < s->list.count && s->result != NULL; i++) {
        free(s->result[i].estimate);
        free(s->result[i].all);
        free(s->result[i].each);
        s->result[i].each = NULL;
        s->result[i].estimate = NULL;
        s->result[i].all = NULL;
    }
    free(s->field);
    s->field = NULL;
}

static void stage_free(stage *s)
{
    forget_results(s);
    free(s->result);
    lo_h5_close(&s->old);
    lo_score_source_close(&s->source);
    lo_score_list_destroy(&s->list);
}

static lo_status make_scores(lo_study *study, bool computing, lo_error *err)
{
    stage s = {.study = study, .old = {.id = -1}};
    lo_status status = lo_score_list_read(study->job, &s.list, err);
    if (status == LO_OK && s.list.count > 0) {
        s.result = calloc((size_t)s.list.count, sizeof(*s.result));
        status = s.result != NULL ? lo_score_source_open(study, &s.source, err)
                                  : lo_fail(err, LO_INTERNAL, "no memory for the list of scores");
        for (int i = 0; i < s.list.count && s.result != NULL; i++) {
            s.result[i].listed = &s.list.listed[i];
        }
    }
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK && s.list.count > 0) {
        bool waiting = false;
        status = run(&s, computing, &waiting, err);
        if (status == LO_OK && waiting && !study->left_to_others) {
            forget_results(&s);
            status = run(&s, computing, &waiting, err);
        }
    }
    stage_free(&s);
    return status;
}

lo_status lo_stage_scores(lo_study *study, lo_error *err)
{
    return make_scores(study, true, err);
}

lo_status lo_publish_scores(lo_study *study, lo_error *err)
{
    return make_scores(study, false, err);
}
