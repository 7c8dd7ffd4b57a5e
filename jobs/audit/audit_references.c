#include "jobs/audit/audit_references.h"

#include "audit/feature.h"
#include "audit/lira.h"
#include "audit/members.h"
#include "audit/rmia.h"
#include "audit/roc.h"

#include <math.h>
#include <stdlib.h>

/* References of a target: the ensemble's models, or the other oracles; views of the forget set and of test
 * examples. */
typedef struct references {
    float *phi[2];
    lo_columns mask;
    lo_references forget, other;
} references;

static void references_free(references *r)
{
    free(r->phi[0]);
    free(r->phi[1]);
    lo_columns_destroy(&r->mask);
}

static lo_status from_ensemble(lo_audit *a, const lo_audit_set *set, references *out, lo_error *err)
{
    const lo_audit_input *in = &a->in;
    const int64_t models = in->ensemble.rows, n = a->study->data.train.count,
                  tests = a->study->data.test.count;
    LO_TRY(lo_columns_create(in->ensemble.planned, set->forget_count, &out->mask, err));
    for (int64_t i = 0; i < set->forget_count; i++) {
        for (int64_t w = 0; w < (in->ensemble.planned + 63) / 64; w++) {
            out->mask.word[w * out->mask.stride + i] = in->mask.word[w * in->mask.stride + set->forget[i]];
        }
    }
    for (int64_t m = 0; m < models; m++) {
        for (int64_t i = 0; i < set->forget_count; i++) {
            out->phi[0][m * set->forget_count + i] = in->margin[0][m * n + set->forget[i]];
        }
        for (int64_t i = 0; i < set->other_count; i++) {
            out->phi[1][m * set->other_count + i] = in->margin[1][m * tests + set->other[i]];
        }
    }
    return LO_OK;
}

static lo_status gather_references(lo_audit *a, int64_t target, references *out, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[target].set];
    const bool ensemble = a->in.margin[0] != NULL && a->in.margin[1] != NULL;
    const int64_t most = ensemble ? a->in.ensemble.rows : a->oracles;
    int64_t models = 0;
    *out = (references){0};
    out->phi[0] = malloc((size_t)(most * set->forget_count) * sizeof(float) + 1);
    out->phi[1] = malloc((size_t)(most * set->other_count) * sizeof(float) + 1);
    if (out->phi[0] == NULL || out->phi[1] == NULL) {
        return lo_audit_no_memory(err);
    }
    if (ensemble) {
        models = most;
        LO_TRY(from_ensemble(a, set, out, err));
    }
    for (int64_t o = 0; o < a->oracles && !ensemble; o++) {
        if (a->oracle[o] != target) {
            lo_audit_fill_margins(&a->oracle_model[o], LO_AUDIT_TRAIN, set->forget, set->forget_count,
                                  out->phi[0] + models * set->forget_count);
            lo_audit_fill_margins(&a->oracle_model[o], LO_AUDIT_TEST, set->other, set->other_count,
                                  out->phi[1] + models * set->other_count);
            models++;
        }
    }
    out->forget = (lo_references){out->phi[0],
                                  models,
                                  set->forget_count,
                                  set->forget_count,
                                  ensemble ? &out->mask : NULL,
                                  ensemble ? a->in.ensemble.model : NULL};
    out->other = (lo_references){out->phi[1], models, set->other_count, set->other_count, NULL, NULL};
    return LO_OK;
}

/* One deviation for all examples where fewer than 64 models a side say it. */
static lo_status choose_deviation(lo_audit *a, const references *refs, lo_lira *options, lo_error *err)
{
    const int64_t n = refs->forget.n + refs->other.n;
    lo_lira_sums *sums = malloc((size_t)n * sizeof(*sums) + 1);
    lo_status status =
        sums != NULL ? lo_lira_spread(&refs->forget, sums, &a->tick, err) : lo_audit_no_memory(err);
    if (status == LO_OK) {
        status = lo_lira_spread(&refs->other, sums + refs->forget.n, &a->tick, err);
    }
    int64_t fewest = INT64_MAX;
    for (int64_t i = 0; i < n && status == LO_OK; i++) {
        fewest = sums[i].out_degrees + 1 < fewest ? sums[i].out_degrees + 1 : fewest;
    }
    if (status == LO_OK && fewest < LO_LIRA_FEW) {
        double in;
        lo_lira_pool(sums, n, &in, &options->out_deviation);
    }
    free(sums);
    return status;
}

/* Where the figures of an attack go: of the AUC and, after it, of the rates and epsilon. */
static void set_figures(lo_audit *a, int64_t r, int number, const lo_roc *roc, int64_t models)
{
    lo_audit_figure *out = lo_audit_cell(a, r, number);
    out[0] = isnan(roc->auc.value) ? lo_audit_missing(LO_AUDIT_FEW_OTHERS) : lo_audit_found(roc->auc, models);
    for (int k = 0; k < LO_ROC_RATES; k++) {
        out[1 + k] = roc->rate[k].refused != NULL ? lo_audit_missing(LO_AUDIT_FEW_OTHERS)
                                                  : lo_audit_found(roc->rate[k].tpr, models);
    }
    const lo_rate *at = &roc->rate[0];
    const double fpr = lo_share((int64_t)llround(at->fpr * (double)roc->others), roc->others).high;
    out[1 + LO_ROC_RATES] =
        at->refused != NULL
            ? lo_audit_missing(LO_AUDIT_FEW_OTHERS)
            : lo_audit_found((lo_bounded){lo_epsilon(fpr, 1 - at->tpr.low, 0), (double)NAN, (double)NAN},
                             models);
}
_Static_assert((int)LO_AUDIT_LIRA_EPSILON == (int)LO_AUDIT_LIRA + 1 + (int)LO_ROC_RATES &&
                   (int)LO_AUDIT_RMIA_EPSILON == (int)LO_AUDIT_RMIA + 1 + (int)LO_ROC_RATES,
               "an attack's figures stand together");

static lo_status find_curve(lo_audit *a, int64_t r, int curve, const double *forget, int64_t forget_count,
                            const double *other, int64_t other_count, lo_error *err)
{
    double point[LO_ROC_POINTS], found[LO_ROC_POINTS];
    for (int i = 0; i < LO_ROC_POINTS; i++) {
        point[i] = lo_roc_point(i);
    }
    LO_TRY(lo_roc_curve(forget, forget_count, other, other_count, point, LO_ROC_POINTS, found, err));
    for (int i = 0; i < LO_ROC_POINTS; i++) {
        a->audited[r].curve[curve][i] = (float)found[i];
    }
    return LO_OK;
}

/* Figures and curve of scores: forget set against others. */
static lo_status judge_scores(lo_audit *a, int64_t r, int curve, const float *forget, int64_t forget_count,
                              const float *other, int64_t other_count, int64_t models, lo_error *err)
{
    double *x = malloc((size_t)(forget_count + other_count + 1) * sizeof(*x));
    if (x == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t i = 0; i < forget_count; i++) {
        x[i] = (double)forget[i];
    }
    for (int64_t i = 0; i < other_count; i++) {
        x[forget_count + i] = (double)other[i];
    }
    lo_roc roc;
    lo_status status = lo_roc_make(x, forget_count, x + forget_count, other_count, &roc, err);
    if (status == LO_OK) {
        set_figures(a, r, lo_audit_curve_number(curve), &roc, models);
        status = find_curve(a, r, curve, x, forget_count, x + forget_count, other_count, err);
    }
    free(x);
    return status;
}

static lo_status likelihood_ratios(lo_audit *a, int64_t r, const references *refs, const float *phi,
                                   lo_error *err)
{
    const int64_t f = refs->forget.n, o = refs->other.n;
    lo_lira options = {.offline = true};
    float *score = malloc((size_t)(f + o) * sizeof(*score) + 1);
    lo_status status = score != NULL ? choose_deviation(a, refs, &options, err) : lo_audit_no_memory(err);
    if (status == LO_OK) {
        status = lo_lira_target(&refs->forget, &options, phi, score, &a->tick, err);
    }
    if (status == LO_OK) {
        status = lo_lira_target(&refs->other, &options, phi + f, score + f, &a->tick, err);
    }
    if (status == LO_OK) {
        status = judge_scores(a, r, LO_AUDIT_CURVE_LIRA, score, f, score + f, o, refs->forget.models, err);
    }
    free(score);
    return status;
}

/* Test examples 0, 2, 4, ... are the population, the others the non-members. */
static lo_status population_ratios(lo_audit *a, int64_t r, const references *refs, const float *phi,
                                   lo_error *err)
{
    enum { HALVES = 2 };
    const int64_t f = refs->forget.n, o = refs->other.n, models = refs->other.models;
    const int64_t half[HALVES] = {(o + 1) / 2, o / 2};
    float *room = malloc((size_t)(models + 1) * (size_t)(o + 1) * sizeof(*room));
    float *score = malloc((size_t)(f + o) * sizeof(*score) + 1);
    lo_status status = room != NULL && score != NULL ? LO_OK : lo_audit_no_memory(err);
    if (status == LO_OK && (half[0] < 10 || half[1] < 10)) {
        for (int k = LO_AUDIT_RMIA; k <= LO_AUDIT_RMIA_EPSILON; k++) {
            *lo_audit_cell(a, r, k) = lo_audit_missing(LO_AUDIT_FEW_OTHERS);
        }
        goto end;
    }
    float *side[HALVES] = {room,
                           room != NULL ? room + (models + 1) * half[0] : NULL}; /* [models + 1, half] */
    for (int64_t m = 0; m <= models && status == LO_OK; m++) {
        for (int64_t i = 0; i < o; i++) {
            side[i % HALVES][m * half[i % HALVES] + i / HALVES] =
                m < models ? refs->other.phi[m * o + i] : phi[f + i];
        }
    }
    const lo_references z = {side[0], models, half[0], half[0], NULL, NULL};
    const lo_references others = {side[1], models, half[1], half[1], NULL, NULL};
    const lo_rmia options = {.a = lo_job_real(a->study->job, "audit.rmia_a"), .gamma = 1};
    const lo_references *of[HALVES] = {&refs->forget, &others};
    const float *own[HALVES] = {phi, side[1] + models * half[1]};
    for (int k = 0; k < HALVES && status == LO_OK; k++) {
        lo_rmia_attack *attack = NULL;
        status = lo_rmia_create(of[k], &z, &attack, &a->tick, err);
        if (status == LO_OK) {
            status = lo_rmia_target(attack, &options, own[k], side[0] + models * half[0],
                                    score + (k == 0 ? 0 : f), &a->tick);
        }
        lo_rmia_destroy(&attack);
    }
    if (status == LO_OK) {
        status = judge_scores(a, r, LO_AUDIT_CURVE_RMIA, score, f, score + f, half[1], models, err);
    }
end:
    free(room);
    free(score);
    return status;
}

lo_status lo_audit_by_references(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    references refs;
    float *phi = malloc((size_t)(set->forget_count + set->other_count) * sizeof(*phi) + 1);
    lo_status status = phi != NULL ? gather_references(a, r, &refs, err) : lo_audit_no_memory(err);
    if (phi == NULL) {
        return status;
    }
    if (status == LO_OK && refs.forget.models < 2) {
        for (int k = LO_AUDIT_LIRA; k <= LO_AUDIT_RMIA_EPSILON; k++) {
            *lo_audit_cell(a, r, k) = lo_audit_missing(LO_AUDIT_FEW_REFERENCES);
        }
    } else if (status == LO_OK) {
        lo_audit_fill_margins(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, phi);
        lo_audit_fill_margins(m, LO_AUDIT_TEST, set->other, set->other_count, phi + set->forget_count);
        status = a->wanted[LO_AUDIT_LIRA] ? likelihood_ratios(a, r, &refs, phi, err) : LO_OK;
        if (status == LO_OK && a->wanted[LO_AUDIT_RMIA]) {
            status = population_ratios(a, r, &refs, phi, err);
        }
    }
    references_free(&refs);
    free(phi);
    return status;
}
