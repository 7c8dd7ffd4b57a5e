/* Stage scores: what the ensemble's outcomes say about every training example. Examples are sharded over
 * ranks; counts are integers, so the result does not depend on how. */
#include "base/clock.h"
#include "base/file.h"
#include "jobs/ensemble_file.h"
#include "jobs/stages.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "score/scores.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 4, MAX_SCORES = 12 };
static const char *const field_names[FIELDS] = {"value", "standard_error", "low", "high"};

/* This rank's examples: counts, and for leave_one_out the pairs. */
typedef struct shard {
    int64_t first, count;
    lo_counts *counts;
    lo_pairs *pairs;
    lo_estimate *estimate[MAX_SCORES];
    double seconds[MAX_SCORES]; /* core seconds that a score cost, over all ranks */
    float *field;
    int32_t *number;
} shard;

static void shard_free(shard *s)
{
    free(s->counts);
    free(s->pairs);
    for (int i = 0; i < MAX_SCORES; i++) {
        free(s->estimate[i]);
    }
    free(s->field);
    free(s->number);
}

static lo_status count_shard(const lo_study *study, const lo_ensemble_file *file, shard *s, lo_error *err)
{
    const size_t room = (size_t)s->count + 1;
    s->counts = calloc(room, sizeof(*s->counts));
    s->field = calloc(room, sizeof(*s->field));
    s->number = calloc(room, sizeof(*s->number));
    if (s->counts == NULL || s->field == NULL || s->number == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples", (long long)s->count);
    }
    lo_columns mask = {0};
    lo_columns correct = {0};
    lo_status status = lo_ensemble_columns(file, "/mask", s->first, s->count, &mask, err);
    if (status == LO_OK) {
        status = lo_ensemble_columns(file, "/train/correct", s->first, s->count, &correct, err);
    }
    if (status == LO_OK) {
        lo_count(&mask, &correct, file->use, s->counts);
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    if (status == LO_OK && study->design.kind == LO_DESIGN_LEAVE_ONE_OUT) {
        /* Few examples, named all over the set: count them all, keep this shard's. */
        lo_columns all = {0};
        lo_pairs *pairs = calloc((size_t)study->design.n, sizeof(*pairs));
        s->pairs = calloc(room, sizeof(*s->pairs));
        status = pairs != NULL && s->pairs != NULL
                     ? lo_ensemble_columns(file, "/train/correct", 0, study->design.n, &all, err)
                     : lo_fail(err, LO_INTERNAL, "no memory for pairs");
        if (status == LO_OK) {
            lo_count_pairs(&study->design, &all, file->use, pairs);
            memcpy(s->pairs, pairs + s->first, (size_t)s->count * sizeof(*pairs));
        }
        lo_columns_destroy(&all);
        free(pairs);
    }
    return status;
}

typedef struct plan {
    int score_count;
    const lo_score *score[MAX_SCORES];
    int number[MAX_SCORES][FIELDS];
    int counts[4];
} plan;

/* Estimates every score of this rank's examples, and what each cost: its own time and its share of the
 * counting. */
static lo_status estimate_shard(const plan *p, shard *s, double counting, lo_error *err)
{
    const lo_score_input input = {s->count, s->counts, s->pairs};
    for (int i = 0; i < p->score_count; i++) {
        const double start = lo_clock_monotonic();
        s->estimate[i] = calloc((size_t)s->count + 1, sizeof(*s->estimate[i]));
        if (s->estimate[i] == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples",
                           (long long)s->count);
        }
        p->score[i]->estimate(&input, s->estimate[i]);
        s->seconds[i] = lo_clock_monotonic() - start + counting / p->score_count;
    }
    return LO_OK;
}

static lo_status create_file(lo_study *study, const lo_ensemble_file *file, const shard *s, plan *p,
                             uint64_t digest, lo_h5 *h5, lo_error *err)
{
    static const char *const count_names[4] = {"in", "in_correct", "out", "out_correct"};
    const int64_t n = study->data.train.count;
    char path[PATH_MAX];
    char text[64];
    (void)snprintf(path, sizeof(path), "%s/scores.h5", study->run.study);
    LO_TRY(lo_h5_create(study->run.comm, path, (uint64_t)n * (uint64_t)(p->score_count * 16 + 16) + (1 << 16),
                        h5, err));
    for (int i = 0; i < p->score_count; i++) {
        char group[64];
        for (int f = 0; f < FIELDS; f++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", p->score[i]->name, field_names[f]);
            LO_TRY(lo_h5_add(h5, path, LO_H5_F32, n, 0, s->first, s->count, &p->number[i][f], err));
        }
        (void)snprintf(group, sizeof(group), "/%s", p->score[i]->name);
        LO_TRY(lo_h5_int(h5, group, "orientation", p->score[i]->orientation, err));
        LO_TRY(lo_h5_text(h5, group, "description", p->score[i]->description, err));
        LO_TRY(lo_h5_text(h5, group, "source", p->score[i]->source, err));
        LO_TRY(lo_h5_real(h5, group, "cost_core_seconds", s->seconds[i], err));
        LO_TRY(lo_h5_real(h5, group, "shared_training_core_seconds", file->seconds, err));
    }
    for (int c = 0; c < 4; c++) {
        (void)snprintf(path, sizeof(path), "/models/%s", count_names[c]);
        LO_TRY(lo_h5_add(h5, path, LO_H5_I32, n, 0, s->first, s->count, &p->counts[c], err));
    }
    LO_TRY(lo_h5_text(
        h5, "/models", "meaning",
        "per example: models trained with it, of these correct on it, models without it, of these correct",
        err));
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)digest);
    LO_TRY(lo_h5_int(h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h5, "/", "digest", text, err));
    LO_TRY(lo_h5_text(h5, "/", "ensemble", file->identity, err));
    LO_TRY(lo_h5_text(h5, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_int(h5, "/", "models", file->rows - file->diverged, err));
    return lo_h5_int(h5, "/", "models_diverged", file->diverged, err);
}

static lo_status write_scores(shard *s, const plan *p, lo_h5 *h5, lo_error *err)
{
    for (int i = 0; i < p->score_count; i++) {
        for (int f = 0; f < FIELDS; f++) {
            for (int64_t k = 0; k < s->count; k++) {
                const lo_estimate *e = &s->estimate[i][k];
                s->field[k] = f == 0 ? e->value : f == 1 ? e->standard_error : f == 2 ? e->low : e->high;
            }
            LO_TRY(lo_h5_write(h5, p->number[i][f], s->count, s->field, LO_OK, err));
        }
    }
    for (int c = 0; c < 4; c++) {
        for (int64_t k = 0; k < s->count; k++) {
            const lo_counts *n = &s->counts[k];
            s->number[k] = c == 0 ? n->in : c == 1 ? n->in_hit : c == 2 ? n->out : n->out_hit;
        }
        LO_TRY(lo_h5_write(h5, p->counts[c], s->count, s->number, LO_OK, err));
    }
    return LO_OK;
}

lo_status lo_stage_scores(lo_study *study, lo_error *err)
{
    lo_run *run = &study->run;
    plan p = {0};
    uint64_t digest = lo_digest(lo_job_digest(study->job, LO_KEYS_ENSEMBLE), "scores");
    /* Without a list the report still wants memorization and consistency: they cost nothing. */
    const bool all = lo_job_length(study->job, "scores") == 0;
    for (int i = 0; i < lo_score_count() && p.score_count < MAX_SCORES; i++) {
        const lo_score *score = lo_score_at(i);
        if (all || lo_job_lists(study->job, "scores", score->name)) {
            p.score[p.score_count++] = score;
            digest = lo_digest(digest, score->name);
        }
    }
    if (!study->has_ensemble || p.score_count == 0) {
        return LO_OK;
    }
    const double start = lo_clock_monotonic();
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/scores.h5", run->study);
    lo_ensemble_file file;
    LO_TRY(lo_study_lock(study, err));
    lo_status status = lo_agree(run->comm, lo_ensemble_open(run->study, &file, err), err);
    bool done = status == LO_OK && run->rank == 0 && lo_ensemble_is_source_of(&file, path, digest);
    MPI_Bcast(&done, 1, MPI_C_BOOL, 0, run->comm);
    if (status == LO_OK && !done) {
        shard s = {0};
        lo_h5 h5 = {.id = -1};
        lo_shard(study->data.train.count, 1, run->rank, run->ranks, &s.first, &s.count);
        status = count_shard(study, &file, &s, err);
        if (status == LO_OK) {
            status = estimate_shard(&p, &s, lo_clock_monotonic() - start, err);
        }
        status = lo_agree(run->comm, status, err);
        MPI_Allreduce(MPI_IN_PLACE, s.seconds, MAX_SCORES, MPI_DOUBLE, MPI_SUM, run->comm);
        if (status == LO_OK) {
            status = create_file(study, &file, &s, &p, digest, &h5, err);
            if (status == LO_OK) {
                status = write_scores(&s, &p, &h5, err);
            }
            if (h5.id >= 0) {
                status = lo_h5_commit(&h5, status, err);
            }
        }
        shard_free(&s);
        if (status == LO_OK) {
            study->news = true;
            lo_run_say(run, "event=published file=scores.h5 scores=%d examples=%lld models=%lld seconds=%.2f",
                       p.score_count, (long long)study->data.train.count,
                       (long long)(file.rows - file.diverged), lo_clock_monotonic() - start);
        }
    }
    lo_ensemble_close(&file);
    lo_study_unlock(study);
    return status;
}
