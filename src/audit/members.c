#include "audit/members.h"

#include <math.h>
#include <stdlib.h>

typedef struct room {
    double *in, *out;
    int64_t members, others;
} room;

static lo_status room_create(int64_t count, room *r, lo_error *err)
{
    *r = (room){.in = malloc((2 * (size_t)count + 1) * sizeof(*r->in))};
    r->out = r->in != NULL ? r->in + count : NULL;
    return r->in != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %lld scores", (long long)count);
}

static void put(room *r, const lo_references *references, int64_t m, int64_t i, float score)
{
    if (isnan(score)) {
        return;
    }
    if (lo_trained_on(references, m, i)) {
        r->in[r->members++] = (double)score;
    } else {
        r->out[r->others++] = (double)score;
    }
}

static void put_all(room *r, const lo_references *references, const float *score)
{
    for (int64_t i = 0; i < references->n; i++) {
        for (int64_t m = 0; m < references->models; m++) {
            put(r, references, m, i, score[i * references->models + m]);
        }
    }
}

/* Means of each target's own figures; value [3, models]: AUC and the rates. */
static lo_status by_target(const lo_references *references, const float *score, double *value,
                           lo_members *out, const lo_tick *tick, lo_error *err)
{
    const int64_t models = references->models;
    room r;
    LO_TRY(room_create(references->n, &r, err));
    int64_t targets = 0;
    lo_status status = LO_OK;
    for (int64_t m = 0; m < models && status == LO_OK; m++) {
        r.members = r.others = 0;
        for (int64_t i = 0; i < references->n; i++) {
            put(&r, references, m, i, score[i * models + m]);
        }
        lo_roc roc;
        status = lo_roc_make(r.in, r.members, r.out, r.others, &roc, err);
        if (status == LO_OK && r.members > 0 && r.others > 0) {
            value[targets] = roc.auc.value;
            for (int k = 0; k < LO_ROC_RATES; k++) {
                value[(k + 1) * models + targets] = roc.rate[k].tpr.value;
                out->refused[k] = roc.rate[k].refused != NULL ? roc.rate[k].refused : out->refused[k];
            }
            targets++;
        }
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    /* Sorted, the models' order changes no bit of the means. */
    for (int k = 0; k <= LO_ROC_RATES; k++) {
        lo_sort_reals(value + k * models, targets);
    }
    out->models = targets;
    out->auc = lo_student_mean(value, targets);
    for (int k = 0; k < LO_ROC_RATES; k++) {
        out->rate[k] = lo_student_mean(value + (k + 1) * models, targets);
    }
    free(r.in);
    return status;
}

lo_status lo_members_in_all(const lo_references *references, const float *score, lo_members *out,
                            const lo_tick *tick, lo_error *err)
{
    *out = (lo_members){0};
    double *value = malloc((3 * (size_t)references->models + 1) * sizeof(*value));
    room r = {0};
    lo_status status = value != NULL ? room_create(references->n * references->models, &r, err)
                                     : lo_fail(err, LO_INTERNAL, "no memory for figures of %lld models",
                                               (long long)references->models);
    if (status == LO_OK) {
        put_all(&r, references, score);
        status = lo_roc_make(r.in, r.members, r.out, r.others, &out->pooled, err);
    }
    if (status == LO_OK) {
        status = by_target(references, score, value, out, tick, err);
    }
    free(value);
    free(r.in);
    return status;
}

lo_status lo_members_by_example(const lo_references *references, const float *score, float *auc,
                                const lo_tick *tick, lo_error *err)
{
    room r;
    LO_TRY(room_create(references->models, &r, err));
    lo_status status = LO_OK;
    for (int64_t i = 0; i < references->n && status == LO_OK; i++) {
        r.members = r.others = 0;
        for (int64_t m = 0; m < references->models; m++) {
            put(&r, references, m, i, score[i * references->models + m]);
        }
        lo_roc roc;
        status = lo_roc_make(r.in, r.members, r.out, r.others, &roc, err);
        auc[i] = (float)roc.auc.value;
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    free(r.in);
    return status;
}

lo_status lo_members_curve(const lo_references *references, const float *score, const double *fpr,
                           int64_t count, double *tpr, lo_error *err)
{
    room r;
    LO_TRY(room_create(references->n * references->models, &r, err));
    put_all(&r, references, score);
    const lo_status status = lo_roc_curve(r.in, r.members, r.out, r.others, fpr, count, tpr, err);
    free(r.in);
    return status;
}

lo_status lo_u_lira_mask(int64_t models, int64_t n, lo_columns *mask, lo_error *err)
{
    if (models < 3) {
        return lo_fail(
            err, LO_DATA,
            "u_lira has %lld unlearned models and as many that never saw the examples; it needs 3 of each",
            (long long)models);
    }
    LO_TRY(lo_columns_create(2 * models, n, mask, err));
    for (int64_t m = 0; m < models; m++) {
        for (int64_t i = 0; i < n; i++) {
            mask->word[(m / 64) * mask->stride + i] |= UINT64_C(1) << (m % 64);
        }
    }
    return LO_OK;
}
