/* Stage influence: the contrast of every training example on every test example. Test examples are sharded
 * over ranks; each rank computes and writes its slab of rows, block by block. */
#include "jobs/study/derived.h"
#include "jobs/stages.h"
#include "mpi/agree.h"
#include "score/pairs.h"
#include "score/subset.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct slab {
    int64_t first, count; /* test examples of this rank */
    int64_t n, top, block;
    bool errors;
    lo_columns mask;      /* all training examples */
    float *value, *error; /* [block, n] */
    int64_t *top_index;   /* [block, top] */
    float *top_value, *top_error;
    int value_set, error_set, index_set; /* datasets */
} slab;

static void slab_free(slab *s)
{
    lo_columns_destroy(&s->mask);
    free(s->value);
    free(s->error);
    free(s->top_index);
    free(s->top_value);
    free(s->top_error);
}

int64_t lo_influence_block(int64_t n)
{
    enum { BLOCK_BYTES = 64 << 20, MOST = 256 };
    const int64_t rows = BLOCK_BYTES / (n * (int64_t)sizeof(float));
    return rows < 1 ? 1 : rows > MOST ? MOST : rows;
}

static lo_status prepare(const lo_study *study, const lo_ensemble_file *file, void *self, uint64_t *bytes,
                         lo_error *err)
{
    slab *s = self;
    lo_shard(study->data.test.count, 1, study->run.rank, study->run.ranks, &s->first, &s->count);
    s->n = study->data.train.count;
    s->errors = lo_job_bool(study->job, "influence.errors");
    s->top = lo_job_int(study->job, "influence.top");
    s->top = s->top > s->n ? s->n : s->top;
    s->block = lo_influence_block(s->n);
    const int64_t items = s->top > 0 ? s->top * 3 : s->n;
    *bytes =
        (uint64_t)study->data.test.count * (uint64_t)items * sizeof(float) * (s->errors ? 2 : 1) + (1 << 16);
    const size_t dense = (size_t)(s->block * s->n);
    const size_t strong = (size_t)(s->block * s->top) + 1;
    s->value = malloc(dense * sizeof(*s->value));
    s->error = s->errors ? malloc(dense * sizeof(*s->error)) : NULL;
    s->top_index = calloc(strong, sizeof(*s->top_index));
    s->top_value = calloc(strong, sizeof(*s->top_value));
    s->top_error = calloc(strong, sizeof(*s->top_error));
    if (s->value == NULL || (s->errors && s->error == NULL) || s->top_index == NULL || s->top_value == NULL ||
        s->top_error == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a block of %lld rows of influence",
                       (long long)s->block);
    }
    return lo_ensemble_columns(file, "/mask", 0, s->n, &s->mask, err);
}

static lo_status add_datasets(const lo_study *study, slab *s, lo_h5 *h5, lo_error *err)
{
    const int64_t n_test = study->data.test.count;
    const char *value = s->top > 0 ? "/top/value" : "/contrast";
    const char *error = s->top > 0 ? "/top/standard_error" : "/standard_error";
    const int64_t row = s->top > 0 ? s->top : s->n;
    LO_TRY(lo_h5_add(h5, value, LO_H5_F32, n_test, row, s->first, s->count, &s->value_set, err));
    if (s->top > 0) {
        LO_TRY(lo_h5_add(h5, "/top/index", LO_H5_I64, n_test, row, s->first, s->count, &s->index_set, err));
    }
    if (s->errors) {
        LO_TRY(lo_h5_add(h5, error, LO_H5_F32, n_test, row, s->first, s->count, &s->error_set, err));
    }
    LO_TRY(lo_h5_text(h5, "/", "source",
                      "Feldman and Zhang 2020: mean correctness with the training example minus without",
                      err));
    if (s->top > 0) {
        LO_TRY(lo_h5_text(h5, "/top/index", "meaning", "position in /train/index of ensemble.h5; -1: none",
                          err));
    }
    return lo_h5_text(h5, value, "meaning",
                      "row: test example, column: training example; positive: keeping the training example "
                      "raises the rate at "
                      "which the test example is classified correctly",
                      err);
}

static bool bit(const lo_columns *columns, int64_t model, int64_t column)
{
    return (columns->word[model / 64 * columns->stride + column] >> (model % 64) & 1) != 0;
}

static bool in_use(const lo_ensemble_file *file, int64_t model)
{
    return (file->use[model / 8] >> (model % 8) & 1) != 0;
}

/* leave_one_out: the named examples' columns are mean differences between a seed's full-data twin and its
 * model without the example; the others are NaN. */
static void paired_contrast(const lo_design *design, const lo_ensemble_file *file, const lo_columns *correct,
                            const slab *s)
{
    for (int64_t i = 0; i < correct->count * s->n; i++) {
        s->value[i] = NAN;
        if (s->errors) {
            s->error[i] = NAN;
        }
    }
    for (int64_t j = 0; j < correct->count; j++) {
        for (int64_t e = 0; e < design->left_count; e++) {
            int64_t plus = 0;
            int64_t minus = 0;
            int64_t pairs = 0;
            for (int64_t r = 0; r < design->seeds; r++) {
                const int64_t twin = r * (design->left_count + 1);
                const int64_t model = twin + 1 + e;
                if (in_use(file, twin) && in_use(file, model)) {
                    const int difference = bit(correct, twin, j) - bit(correct, model, j);
                    plus += difference > 0;
                    minus += difference < 0;
                    pairs++;
                }
            }
            const lo_estimate estimate = lo_paired_difference(plus, minus, pairs);
            s->value[j * s->n + design->left[e]] = estimate.value;
            if (s->errors) {
                s->error[j * s->n + design->left[e]] = estimate.standard_error;
            }
        }
    }
}

/* Errors of models that were drawn in balanced blocks. */
static void widen(const lo_design *design, slab *s, int64_t rows)
{
    const double factor = design->kind == LO_DESIGN_BALANCED ? lo_block_factor(design->block) : 1;
    for (int64_t i = 0; s->errors && factor > 1 && i < rows * s->n; i++) {
        s->error[i] = (float)(factor * (double)s->error[i]);
    }
}

/* Fills value and error, or the strongest of them, for `now` test examples from `from` on. */
static lo_status compute_block(const lo_study *study, const lo_ensemble_file *file, slab *s, int64_t from,
                               int64_t now, lo_error *err)
{
    if (now == 0) {
        return LO_OK;
    }
    lo_columns correct = {0};
    LO_TRY(lo_ensemble_columns(file, "/test/correct", from, now, &correct, err));
    lo_status status = LO_OK;
    if (study->design.kind == LO_DESIGN_LEAVE_ONE_OUT) {
        paired_contrast(&study->design, file, &correct, s);
    } else if (study->design.kind == LO_DESIGN_COMPLEMENTARY) {
        status = lo_pairs_contrast(&s->mask, &correct, file->use, s->value, s->error, NULL);
    } else {
        status = lo_contrast(&s->mask, &correct, file->use, s->value, s->error, NULL);
        widen(&study->design, s, now);
    }
    lo_columns_destroy(&correct);
    if (status == LO_OK && s->top > 0) {
        lo_strongest(s->value, now, s->n, s->top, s->top_index, s->top_value);
        for (int64_t i = 0; s->errors && i < now * s->top; i++) {
            s->top_error[i] = s->top_index[i] >= 0 ? s->error[i / s->top * s->n + s->top_index[i]] : NAN;
        }
    }
    return status;
}

static lo_status write_file(lo_study *study, const lo_ensemble_file *file, void *self, lo_h5 *h5,
                            lo_error *err)
{
    slab *s = self;
    LO_TRY(add_datasets(study, s, h5, err));
    int64_t rounds = (s->count + s->block - 1) / s->block;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, study->run.comm);
    for (int64_t round = 0; round < rounds; round++) {
        const int64_t left = s->count - round * s->block;
        const int64_t now = left < 0 ? 0 : left < s->block ? left : s->block;
        lo_status status = compute_block(study, file, s, s->first + round * s->block, now, err);
        status = lo_h5_write(h5, s->value_set, now, s->top > 0 ? s->top_value : s->value, status, err);
        if (status == LO_OK && s->top > 0) {
            status = lo_h5_write(h5, s->index_set, now, s->top_index, LO_OK, err);
        }
        if (status == LO_OK && s->errors) {
            status = lo_h5_write(h5, s->error_set, now, s->top > 0 ? s->top_error : s->error, LO_OK, err);
        }
        if (study->run.rank == 0) {
            lo_run_watch(&study->run);
        }
        if (status != LO_OK) {
            return status;
        }
    }
    return LO_OK;
}

lo_status lo_stage_influence(lo_study *study, lo_error *err)
{
    if (!study->has_ensemble || !lo_job_has(study->job, "influence") || study->data.test.count == 0) {
        return LO_OK;
    }
    slab s = {0};
    const lo_derived derived = {"influence.h5", lo_job_digest(study->job, LO_KEYS_INFLUENCE), prepare,
                                write_file, &s};
    const lo_status status = lo_derive(study, &derived, err);
    slab_free(&s);
    return status;
}
