/* Stage scores: what the ensemble's outcomes say about every training example. Examples are sharded over
 * ranks; counts are integers, so the result does not depend on how. */
#include "base/clock.h"
#include "base/file.h"
#include "jobs/derived.h"
#include "jobs/stages.h"
#include "mpi/agree.h"
#include "score/scores.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 4, MAX_SCORES = 12 };
static const char *const field_names[FIELDS] = {"value", "standard_error", "low", "high"};
static const char *const count_names[4] = {"in", "in_correct", "out", "out_correct"};

/* The scores asked for, and this rank's examples: counts, and for leave_one_out the pairs. */
typedef struct shard {
    int score_count;
    const lo_score *score[MAX_SCORES];
    int number[MAX_SCORES][FIELDS], count_number[4]; /* datasets */
    int64_t first, count;
    lo_counts *counts;
    lo_pairs *pairs;
    lo_estimate *estimate[MAX_SCORES];
    double seconds[MAX_SCORES]; /* that a score cost this rank; then all ranks */
    float *field;
    int32_t *whole;
} shard;

static void shard_free(shard *s)
{
    free(s->counts);
    free(s->pairs);
    for (int i = 0; i < MAX_SCORES; i++) {
        free(s->estimate[i]);
    }
    free(s->field);
    free(s->whole);
}

static lo_status count_shard(const lo_study *study, const lo_ensemble_file *file, shard *s, lo_error *err)
{
    const size_t room = (size_t)s->count + 1;
    s->counts = calloc(room, sizeof(*s->counts));
    s->field = calloc(room, sizeof(*s->field));
    s->whole = calloc(room, sizeof(*s->whole));
    if (s->counts == NULL || s->field == NULL || s->whole == NULL) {
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

/* Estimates every score of this rank's examples, and what each cost: its own time and its share of the
 * counting. */
static lo_status estimate_shard(shard *s, double counting, lo_error *err)
{
    const lo_score_input input = {s->count, s->counts, s->pairs};
    for (int i = 0; i < s->score_count; i++) {
        const double start = lo_clock_monotonic();
        s->estimate[i] = calloc((size_t)s->count + 1, sizeof(*s->estimate[i]));
        if (s->estimate[i] == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples",
                           (long long)s->count);
        }
        s->score[i]->estimate(&input, s->estimate[i]);
        s->seconds[i] = lo_clock_monotonic() - start + counting / s->score_count;
    }
    return LO_OK;
}

static lo_status prepare(const lo_study *study, const lo_ensemble_file *ensemble, void *self, uint64_t *bytes,
                         lo_error *err)
{
    shard *s = self;
    const double start = lo_clock_monotonic();
    lo_shard(study->data.train.count, 1, study->run.rank, study->run.ranks, &s->first, &s->count);
    *bytes = (uint64_t)study->data.train.count * (uint64_t)(s->score_count * 16 + 16) + (1 << 16);
    LO_TRY(count_shard(study, ensemble, s, err));
    return estimate_shard(s, lo_clock_monotonic() - start, err);
}

static lo_status add_datasets(const lo_study *study, const lo_ensemble_file *ensemble, shard *s, lo_h5 *h5,
                              lo_error *err)
{
    const int64_t n = study->data.train.count;
    char path[128];
    for (int i = 0; i < s->score_count; i++) {
        const lo_score *score = s->score[i];
        for (int f = 0; f < FIELDS; f++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", score->name, field_names[f]);
            LO_TRY(lo_h5_add(h5, path, LO_H5_F32, n, 0, s->first, s->count, &s->number[i][f], err));
        }
        (void)snprintf(path, sizeof(path), "/%s", score->name);
        LO_TRY(lo_h5_int(h5, path, "orientation", score->orientation, err));
        LO_TRY(lo_h5_text(h5, path, "description", score->description, err));
        LO_TRY(lo_h5_text(h5, path, "source", score->source, err));
        LO_TRY(lo_h5_real(h5, path, "cost_core_seconds", s->seconds[i], err));
        LO_TRY(lo_h5_real(h5, path, "shared_training_core_seconds", ensemble->seconds, err));
    }
    for (int c = 0; c < 4; c++) {
        (void)snprintf(path, sizeof(path), "/models/%s", count_names[c]);
        LO_TRY(lo_h5_add(h5, path, LO_H5_I32, n, 0, s->first, s->count, &s->count_number[c], err));
    }
    return lo_h5_text(
        h5, "/models", "meaning",
        "per example: models trained with it, of these correct on it, models without it, of these correct",
        err);
}

static lo_status write_file(lo_study *study, const lo_ensemble_file *ensemble, void *self, lo_h5 *h5,
                            lo_error *err)
{
    shard *s = self;
    MPI_Allreduce(MPI_IN_PLACE, s->seconds, MAX_SCORES, MPI_DOUBLE, MPI_SUM, study->run.comm);
    LO_TRY(add_datasets(study, ensemble, s, h5, err));
    for (int i = 0; i < s->score_count; i++) {
        for (int f = 0; f < FIELDS; f++) {
            for (int64_t k = 0; k < s->count; k++) {
                const lo_estimate *e = &s->estimate[i][k];
                s->field[k] = f == 0 ? e->value : f == 1 ? e->standard_error : f == 2 ? e->low : e->high;
            }
            LO_TRY(lo_h5_write(h5, s->number[i][f], s->count, s->field, LO_OK, err));
        }
    }
    for (int c = 0; c < 4; c++) {
        for (int64_t k = 0; k < s->count; k++) {
            const lo_counts *n = &s->counts[k];
            s->whole[k] = c == 0 ? n->in : c == 1 ? n->in_hit : c == 2 ? n->out : n->out_hit;
        }
        LO_TRY(lo_h5_write(h5, s->count_number[c], s->count, s->whole, LO_OK, err));
    }
    return LO_OK;
}

lo_status lo_stage_scores(lo_study *study, lo_error *err)
{
    shard s = {0};
    uint64_t digest = lo_digest(lo_job_digest(study->job, LO_KEYS_ENSEMBLE), "scores");
    /* Without a list the report still wants memorization and consistency: they cost nothing. */
    const bool all = lo_job_length(study->job, "scores") == 0;
    for (int i = 0; i < lo_score_count() && s.score_count < MAX_SCORES; i++) {
        const lo_score *score = lo_score_at(i);
        if (all || lo_job_lists(study->job, "scores", score->name)) {
            s.score[s.score_count++] = score;
            digest = lo_digest(digest, score->name);
        }
    }
    if (!study->has_ensemble || s.score_count == 0) {
        return LO_OK;
    }
    const lo_derived derived = {"scores.h5", digest, prepare, write_file, &s};
    const lo_status status = lo_derive(study, &derived, err);
    shard_free(&s);
    return status;
}
