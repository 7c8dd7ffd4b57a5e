#include "jobs/scores/score_source.h"

#include "base/clock.h"
#include "jobs/study/original.h"
#include "jobs/study/outcome.h"
#include "jobs/study/recipe.h"
#include "mpi/agree.h"
#include "nn/weights.h"
#include "score/pairs.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lo_status no_memory(const lo_score_source *s, lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples", (long long)s->count);
}

/* ---- opening ---- */

static lo_status open_ensemble(lo_score_source *s, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", s->study->run.study);
    if (!s->study->has_ensemble || access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_ensemble_open(s->study->run.study, &s->ensemble, err));
    s->has_ensemble = true;
    s->has_margins = lo_h5_has(&s->ensemble.reader, "/train/logit");
    return LO_OK;
}

static lo_status read_originals(lo_score_source *s, lo_error *err)
{
    double *seconds = NULL;
    uint8_t *diverged = NULL;
    LO_TRY(lo_h5_read_all(&s->training, "/seed", LO_H5_I64, (void **)&s->seed, &s->rows, NULL, err));
    lo_status status = lo_h5_get_int(&s->training, "/", "epochs", &s->epochs, err);
    if (status == LO_OK) {
        status = lo_h5_read_all(&s->training, "/seconds", LO_H5_F64, (void **)&seconds, NULL, NULL, err);
    }
    if (status == LO_OK) {
        status = lo_h5_read_all(&s->training, "/diverged", LO_H5_U8, (void **)&diverged, NULL, NULL, err);
    }
    for (int64_t r = 0; r < s->rows && status == LO_OK; r++) {
        s->originals_seconds += seconds[r];
        if (diverged[r] == 0) {
            s->seed[s->originals++] = s->seed[r];
        }
    }
    if (status == LO_OK && s->rows > 0) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/%lld/example/input_square", (long long)s->seed[0]);
        s->has_gradients = lo_h5_has(&s->training, path);
    }
    free(seconds);
    free(diverged);
    return status;
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static lo_status open_originals(lo_score_source *s, lo_error *err)
{
    const lo_job *job = s->study->job;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/training.h5", s->study->run.study);
    if (!lo_job_has(job, "originals") || access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &s->training, err));
    s->has_originals = true;
    LO_TRY(read_originals(s, err));
    s->checkpoints = (int)lo_job_length(job, "originals.checkpoints");
    s->checkpoint = calloc((size_t)s->checkpoints + 1, sizeof(*s->checkpoint));
    if (s->checkpoint == NULL) {
        return no_memory(s, err);
    }
    for (int c = 0; c < s->checkpoints; c++) {
        s->checkpoint[c] = lo_job_int_at(job, "originals.checkpoints", c);
    }
    qsort(s->checkpoint, (size_t)s->checkpoints, sizeof(*s->checkpoint), ascending);
    return LO_OK;
}

lo_status lo_score_source_open(lo_study *study, lo_score_source *out, lo_error *err)
{
    *out = (lo_score_source){.study = study,
                             .n = study->data.train.count,
                             .model = lo_study_model_spec(study->job),
                             .recipe = lo_study_recipe(study->job),
                             .ensemble = {.reader = {.id = -1}},
                             .training = {.id = -1}};
    out->watch = (lo_watch){.run = &study->run};
    out->tick = lo_watch_tick(&out->watch);
    out->epochs = out->recipe.epochs;
    lo_shard(out->n, 1, study->run.rank, study->run.ranks, &out->first, &out->count);
    LO_TRY(open_ensemble(out, err));
    return open_originals(out, err);
}

static void forget_log(lo_score_source *s)
{
    for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
        free(s->log[q]);
        s->log[q] = NULL;
    }
    free(s->log_correct);
    s->log_correct = NULL;
}

void lo_score_source_close(lo_score_source *s)
{
    forget_log(s);
    if (s->study != NULL) {
        lo_ensemble_close(&s->ensemble);
        lo_h5_close(&s->training);
    }
    lo_trainer_destroy(&s->trainer);
    free(s->published);
    free(s->counts);
    free(s->pairs);
    free(s->row);
    free(s->row_pair);
    free(s->packed);
    free(s->margins);
    free(s->outcome.in);
    free(s->outcome.correct);
    free(s->outcome.margin);
    free(s->seed);
    free(s->weight_norm);
    free(s->checkpoint);
}

/* ---- the ensemble ---- */

static lo_status count_models(lo_score_source *s, lo_error *err)
{
    s->counts = calloc((size_t)s->count + 1, sizeof(*s->counts));
    if (s->counts == NULL) {
        return no_memory(s, err);
    }
    lo_columns mask = {0};
    lo_columns correct = {0};
    lo_status status = lo_ensemble_columns(&s->ensemble, "/mask", s->first, s->count, &mask, err);
    if (status == LO_OK) {
        status = lo_ensemble_columns(&s->ensemble, "/train/correct", s->first, s->count, &correct, err);
    }
    if (status == LO_OK) {
        lo_count(&mask, &correct, s->ensemble.use, s->counts);
    }
    if (status == LO_OK && lo_design_pairs(&s->study->design, s->ensemble.planned, 0, NULL, NULL) > 0) {
        s->pairs = calloc((size_t)s->count + 1, sizeof(*s->pairs));
        status = s->pairs != NULL ? LO_OK : no_memory(s, err);
        if (status == LO_OK) {
            lo_pairs_count(&s->study->design, &mask, &correct, s->ensemble.use, s->pairs);
        }
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    return status;
}

/* Pairs of models of which both can be used, as places in the list of these. */
static lo_status list_pairs(lo_score_source *s, lo_error *err)
{
    const lo_ensemble_file *e = &s->ensemble;
    const lo_design *design = &s->study->design;
    const int64_t pairs = lo_design_pairs(design, e->planned, 0, NULL, NULL);
    int64_t *place = calloc((size_t)e->planned + 1, sizeof(*place)); /* from 1; 0: none */
    s->row_pair = calloc(2 * (size_t)pairs + 1, sizeof(*s->row_pair));
    if (place == NULL || s->row_pair == NULL) {
        free(place);
        return no_memory(s, err);
    }
    for (int64_t k = 0; k < s->models; k++) {
        place[e->model[s->row[k]]] = k + 1;
    }
    for (int64_t p = 0; p < pairs; p++) {
        int64_t a;
        int64_t b;
        (void)lo_design_pairs(design, e->planned, p, &a, &b);
        if (place[a] > 0 && place[b] > 0) {
            s->row_pair[2 * s->row_pairs] = place[a] - 1;
            s->row_pair[2 * s->row_pairs++ + 1] = place[b] - 1;
        }
    }
    free(place);
    return LO_OK;
}

static void row_pair(void *self, int64_t pair, int64_t *a, int64_t *b)
{
    const lo_score_source *s = self;
    *a = s->row_pair[2 * pair];
    *b = s->row_pair[2 * pair + 1];
}

static lo_status list_models(lo_score_source *s, lo_error *err)
{
    const lo_ensemble_file *e = &s->ensemble;
    const size_t room = (size_t)s->count + 1;
    s->row = calloc((size_t)e->rows + 1, sizeof(*s->row));
    s->packed = calloc(lo_bit_bytes(s->n) + 1, 1);
    s->margins = calloc((size_t)s->n + 1, sizeof(*s->margins));
    s->outcome = (lo_model_outcome){calloc(room, 1), calloc(room, 1), calloc(room, sizeof(float))};
    if (s->row == NULL || s->packed == NULL || s->margins == NULL || s->outcome.in == NULL ||
        s->outcome.correct == NULL || s->outcome.margin == NULL) {
        return no_memory(s, err);
    }
    for (int64_t r = 0; r < e->rows; r++) { /* rows ascend by model */
        if ((e->use[e->model[r] / 8] >> (e->model[r] % 8) & 1) != 0) {
            s->row[s->models++] = r;
        }
    }
    return list_pairs(s, err);
}

static lo_status read_bits(lo_score_source *s, const char *path, int64_t row, uint8_t *bits, lo_error *err)
{
    LO_TRY(lo_h5_read(&s->ensemble.reader, path, LO_H5_U8, row, 1, s->packed, err));
    for (int64_t k = 0; k < s->count; k++) {
        const int64_t i = s->first + k;
        bits[k] = s->packed[i / 8] >> (i % 8) & 1;
    }
    return LO_OK;
}

static lo_status outcome(void *self, int64_t row, lo_model_outcome *out, lo_error *err)
{
    lo_score_source *s = self;
    const int64_t r = s->row[row];
    LO_TRY(read_bits(s, "/mask", r, s->outcome.in, err));
    LO_TRY(read_bits(s, "/train/correct", r, s->outcome.correct, err));
    if (s->has_margins) {
        LO_TRY(lo_h5_read(&s->ensemble.reader, "/train/logit", LO_H5_F32, r, 1, s->margins, err));
    }
    for (int64_t k = 0; k < s->count; k++) {
        s->outcome.margin[k] = s->has_margins ? s->margins[s->first + k] : NAN;
    }
    *out = s->outcome;
    return LO_OK;
}

/* ---- the originals ---- */

/* This rank's columns of /SEED/example/NAME: elements of `size` bytes. */
static lo_status read_log(lo_score_source *s, const char *name, lo_h5_type type, void **out, lo_error *err)
{
    const size_t size = lo_h5_size(type);
    char path[64];
    char *row = malloc((size_t)s->n * size + 1);
    *out = malloc((size_t)(s->epochs * s->count) * size + 1);
    (void)snprintf(path, sizeof(path), "/%lld/example/%s", (long long)s->now, name);
    lo_status status = row != NULL && *out != NULL ? LO_OK : no_memory(s, err);
    for (int64_t e = 0; e < s->epochs && status == LO_OK; e++) {
        status = lo_h5_read(&s->training, path, type, e, 1, row, err);
        if (status == LO_OK) {
            memcpy((char *)*out + (size_t)(e * s->count) * size, row + (size_t)s->first * size,
                   (size_t)s->count * size);
        }
    }
    free(row);
    if (status != LO_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static lo_status log_of(void *self, lo_quantity quantity, const float **values, lo_error *err)
{
    static const char *const name[LO_LOG_QUANTITIES] = {[LO_LOG_LOSS] = "loss",
                                                        [LO_LOG_PROBABILITY] = "probability",
                                                        [LO_LOG_LARGEST] = "largest",
                                                        [LO_LOG_ENTROPY] = "entropy",
                                                        [LO_LOG_MARGIN] = "margin",
                                                        [LO_LOG_GAP] = "gap",
                                                        [LO_LOG_INPUT_SQUARE] = "input_square"};
    lo_score_source *s = self;
    if (s->log[quantity] == NULL) {
        LO_TRY(read_log(s, name[quantity], LO_H5_F32, (void **)&s->log[quantity], err));
    }
    *values = s->log[quantity];
    return LO_OK;
}

static lo_status log_correct(void *self, const uint8_t **correct, lo_error *err)
{
    lo_score_source *s = self;
    if (s->log_correct == NULL) {
        LO_TRY(read_log(s, "correct", LO_H5_U8, (void **)&s->log_correct, err));
    }
    *correct = s->log_correct;
    return LO_OK;
}

static void weights(void *self, int64_t seed, int64_t epochs, char *path, size_t size)
{
    const lo_score_source *s = self;
    lo_original_path(s->study->run.study, seed, epochs, path, size);
}

static lo_status load(void *self, int64_t epochs, lo_error *err)
{
    lo_score_source *s = self;
    char path[PATH_MAX];
    weights(s, s->now, epochs, path, sizeof(path));
    return lo_weights_load(lo_trainer_network(s->trainer), path, err);
}

lo_status lo_score_source_turn(lo_score_source *s, unsigned needs, int64_t i, lo_error *err)
{
    char path[64];
    if (s->now != s->seed[i]) {
        forget_log(s);
        s->now = s->seed[i];
    }
    if ((needs & LO_FROM_LOG) == 0) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "/%lld/epoch/weight_norm", (long long)s->now);
    if (lo_h5_has(&s->training, path)) {
        return lo_h5_read(&s->training, path, LO_H5_F64, 0, s->epochs, s->weight_norm, err);
    }
    for (int64_t e = 0; e < s->epochs; e++) {
        s->weight_norm[e] = (double)NAN;
    }
    return LO_OK;
}

/* ---- what scores are given ---- */

lo_status lo_score_source_prepare(lo_score_source *s, unsigned needs, lo_error *err)
{
    if (s->has_ensemble && s->counts == NULL) {
        LO_TRY(count_models(s, err));
    }
    if ((needs & LO_FROM_OUTCOMES) != 0 && s->has_ensemble && s->row == NULL) {
        LO_TRY(list_models(s, err));
    }
    if ((needs & LO_FROM_ORIGINALS) != 0 && s->weight_norm == NULL) {
        s->now = -1;
        s->weight_norm = calloc((size_t)s->epochs + 1, sizeof(*s->weight_norm));
        if (s->weight_norm == NULL) {
            return no_memory(s, err);
        }
    }
    /* Differences of gradients are lost in the rounding of bf16; sizes are what one training step takes. */
    lo_recipe recipe = s->recipe;
    recipe.precision = LO_F32;
    return (needs & (LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS)) != 0 && s->trainer == NULL
               ? lo_trainer_create(&s->model, &recipe, &s->study->data, &s->trainer, err)
               : LO_OK;
}

lo_status lo_score_gather(lo_study *study, lo_status status, const float *mine, int64_t n, int64_t width,
                          float *all, lo_error *err)
{
    const lo_run *run = &study->run;
    LO_TRY(lo_agree(run->comm, status, err));
    int64_t first;
    int64_t count;
    lo_shard(n, 1, run->rank, run->ranks, &first, &count);
    memcpy(all + first * width, mine, (size_t)(count * width) * sizeof(float));
    for (int r = 0; r < run->ranks; r++) {
        enum { PIECE = 1 << 24 };
        lo_shard(n, 1, r, run->ranks, &first, &count);
        for (int64_t at = 0; at < count * width; at += PIECE) {
            const int now = (int)(count * width - at < PIECE ? count * width - at : PIECE);
            MPI_Bcast(all + first * width + at, now, MPI_FLOAT, r, run->comm);
        }
    }
    return LO_OK;
}

static lo_status gather(void *self, lo_status status, const float *mine, int64_t width, float *all,
                        lo_error *err)
{
    lo_score_source *s = self;
    return lo_score_gather(s->study, status, mine, s->n, width, all, err);
}

static lo_status trainer_of(void *self, const lo_recipe *recipe, const lo_dataset *data, lo_trainer **out,
                            lo_error *err)
{
    lo_score_source *s = self;
    return lo_job_trainer_of(s->study->job, recipe, data, out, err);
}

lo_score_input lo_score_source_input(lo_score_source *s, unsigned needs)
{
    lo_score_input input = {.data = &s->study->data,
                            .n = s->n,
                            .first = s->first,
                            .count = s->count,
                            .model = &s->model,
                            .recipe = &s->recipe,
                            .tick = &s->tick,
                            .self = s,
                            .epochs = s->epochs,
                            .originals = s->originals,
                            .original = s->seed,
                            .gather = gather,
                            .trainer = trainer_of,
                            .weights = weights};
    if ((needs & LO_FROM_COUNTS) != 0) {
        input.counts = s->counts;
        input.pairs = s->pairs;
        input.block = s->study->design.kind == LO_DESIGN_BALANCED ? s->study->design.block : 0;
    }
    if ((needs & LO_FROM_OUTCOMES) != 0) {
        input.models = s->models;
        input.outcome = outcome;
        input.row_pairs = s->row_pairs;
        input.row_pair = row_pair;
    }
    if ((needs & LO_FROM_ORIGINALS) != 0) {
        input.seed = (uint64_t)s->now;
    }
    if ((needs & LO_FROM_LOG) != 0) {
        input.log = log_of;
        input.log_correct = log_correct;
        input.weight_norm = s->weight_norm;
    }
    if ((needs & (LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS)) != 0) {
        input.network = s->trainer != NULL ? lo_trainer_network(s->trainer) : NULL;
        input.load = load;
        input.checkpoint = s->checkpoint;
        input.checkpoints = s->checkpoints;
    }
    return input;
}
