#include "jobs/audit/audit_runs.h"

#include "audit/accuracy.h"
#include "audit/attack.h"
#include "audit/distance.h"
#include "audit/feature.h"
#include "audit/forgetting_quality.h"
#include "audit/klom.h"
#include "audit/lira.h"
#include "audit/members.h"
#include "audit/metrics.h"
#include "audit/relearn.h"
#include "audit/rmia.h"
#include "audit/tow.h"
#include "base/clock.h"
#include "base/file.h"
#include "jobs/audit/audit_input.h"
#include "jobs/audit/audit_network.h"
#include "jobs/audit/audit_weights.h"
#include "jobs/study/original.h"
#include "jobs/audit/receipt.h"
#include "jobs/watch.h"
#include "mpi/agree.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Numbers of the file, a group each. */
enum {
    DISAGREEMENT,
    ACTIVATION,
    JS,
    AUS,
    SVC,
    LOSS,
    ENTROPY,
    POPULATION,
    TOW_MIA,
    AVG_GAP,
    LIRA,
    LIRA_RATE,
    RMIA,
    RMIA_RATE,
    U_LIRA,
    KLOM,
    QUALITY,
    WEIGHTS,
    ZRF,
    RELEARN,
    ANAMNESIS,
    ENTANGLEMENT,
    NUMBERS
};

static const struct {
    const char *name, *metric, *description;
} numbers[NUMBERS] = {
    [DISAGREEMENT] = {"disagreement", "disagreement",
                      "share of the forget set on which the model and an oracle name different classes; mean "
                      "over oracles"},
    [ACTIVATION] = {"activation_distance", "activation_distance",
                    "mean over the forget set of |softmax - an oracle's|_2; mean over oracles"},
    [JS] = {"js", "js",
            "mean over the forget set of Jensen and Shannon's divergence from an oracle, summed over "
            "classes, in "
            "nats; mean over oracles"},
    [AUS] = {"aus", "aus",
             "adaptive unlearning score: test accuracy kept, over distance of the forget accuracy"},
    [SVC] = {"mia_svc", "mia_svc",
             "efficacy: share of the forget set that a support-vector machine on the confidence, fitted "
             "to retain and test examples, takes for non-members"},
    [LOSS] = {"mia_loss", "mia_loss",
              "accuracy of logistic regression on the loss, forget set against test examples"},
    [ENTROPY] = {"mia_entropy", "mia_entropy", "the same on the entropy"},
    [POPULATION] = {"mia_population", "mia_population",
                    "share of the forget set whose loss is below that of 1 % of examples never seen"},
    [TOW_MIA] = {"tow_mia", "tow_mia",
                 "ToW with mia_svc in the place of the forget accuracy; mean over oracles"},
    [AVG_GAP] = {"avg_gap", "avg_gap",
                 "mean of |model - oracle| over UA, retain and test accuracy and mia_svc; mean over oracles"},
    [LIRA] = {"lira", "lira", "AUC of LiRA, offline, forget set against test examples"},
    [LIRA_RATE] = {"lira_tpr_at_0.01", "lira", "share of the forget set found at 1 % false positives"},
    [RMIA] = {"rmia", "rmia",
              "AUC of RMIA (gamma 1), forget set against one half of the test examples; the other half is "
              "the population"},
    [RMIA_RATE] = {"rmia_tpr_at_0.01", "rmia", "share of the forget set found at 1 % false positives"},
    [U_LIRA] = {"u_lira", "u_lira",
                "mean over the forget set of the AUC, over pairs of an unlearned model and an oracle, of "
                "LiRA: all seeds of a method together"},
    [KLOM] = {"klom", "klom",
              "95th percentile over the forget set of KL(unlearned, oracles) of margins: all seeds together"},
    [QUALITY] =
        {"forgetting_quality", "forgetting_quality",
         "forgetting quality of the 2023 competition, without its factors of accuracy: all seeds together"},
    [WEIGHTS] = {"weight_distance", "weight_distance",
                 "2 |w - w'| / (|w| + |w'|) of all parameters, w' an oracle's; mean over oracles; layer by "
                 "layer in layer"},
    [ZRF] =
        {"zrf", "zrf",
         "1 - mean over the forget set of Jensen and Shannon's divergence (nats) from a network of random "
         "weights"},
    [RELEARN] = {"relearn", "relearn",
                 "epochs of fine-tuning on the forget set (500 of it) until its loss is the original's; 101: "
                 "more than 100"},
    [ANAMNESIS] = {"anamnesis", "relearn",
                   "relearn over an oracle's, mean over oracles; below 1: what was forgotten comes back "
                   "faster than it is learned"},
    [ENTANGLEMENT] = {"entanglement", "entanglement",
                      "spread of forget and retain set over their distance, in what the last layer sees; the "
                      "larger, the more alike they are"},
};

int lo_audit_number_count(void)
{
    return NUMBERS;
}

const char *lo_audit_number_name(int i)
{
    return numbers[i].name;
}

/* Why there is no number. */
enum {
    FOUND,
    NO_MODEL,
    NO_ORACLE,
    NO_ORIGINAL,
    NO_SCORE,
    FEW_OTHERS,
    FEW_REFERENCES,
    FEW_MODELS,
    FEW_HALVES,
    NOT_KEPT,
    NO_WEIGHTS,
    NO_RELEARNING,
    NOT_ASKED,
    REASONS
};
static const char *const reasons[REASONS] = {
    [FOUND] = "",
    [NO_MODEL] = "there is no model: the method does not apply, or it diverged",
    [NO_ORACLE] = "needs an oracle that is another model: raise unlearning.oracles",
    [NO_ORIGINAL] = "needs the original of the same seed",
    [NO_SCORE] = "an original has no use for it",
    [FEW_OTHERS] = "too few examples that the model never saw, of the classes of the forget set",
    [FEW_REFERENCES] = "needs an ensemble, or 2 oracles that are other models: raise unlearning.oracles",
    [FEW_MODELS] = "needs 3 seeds and 3 oracles: raise unlearning.seeds and unlearning.oracles",
    [FEW_HALVES] = "oracles against oracles need 6: raise unlearning.oracles",
    [NOT_KEPT] = "needs the weights of the model and of an oracle: unlearning.keep_models",
    [NO_WEIGHTS] = "needs the weights of the model: unlearning.keep_models",
    [NO_RELEARNING] = "needs oracles that learn the forget set within 100 epochs, and in more than none",
    [NOT_ASKED] = "not asked for",
};

typedef struct figure {
    double value, low, high;
    int64_t models; /* that it rests on, beside the one judged */
    int64_t reason;
} figure;

typedef struct audit {
    lo_study *study;
    lo_watch watch;
    lo_tick tick;
    lo_audit_input in;
    bool wanted[NUMBERS];
    int64_t first, count;      /* rows of this rank */
    figure *figure;            /* [rows, NUMBERS] */
    lo_accuracies *accuracies; /* [rows] */
    double *layer;             /* [rows, LO_AUDIT_LAYERS]: weight distances by layer, means over oracles */
    int64_t layers;
    char (*layer_name)[LO_AUDIT_LAYER];
    /* The forget set at hand: */
    int set;
    int64_t *oracle; /* [oracles]: rows */
    lo_audit_model *oracle_model;
    int64_t oracles;
    lo_audit_network *network; /* NULL: no number needs one */
    lo_logits fresh;           /* what a network of random weights says of it */
} audit;

static figure *cell(const audit *a, int64_t row, int number)
{
    return &a->figure[row * NUMBERS + number];
}

static figure missing(int reason)
{
    return (figure){(double)NAN, (double)NAN, (double)NAN, 0, reason};
}

static figure found(lo_bounded value, int64_t models)
{
    return (figure){value.value, value.low, value.high, models, FOUND};
}

static lo_status no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the audit");
}

/* ---- the forget set at hand ---- */

static void drop_oracles(audit *a)
{
    for (int64_t o = 0; o < a->oracles; o++) {
        lo_audit_unload(&a->oracle_model[o]);
    }
    a->oracles = 0;
    a->set = -1;
}

/* Reads the outputs of a set's oracles, unless they are there. */
static lo_status take_set(audit *a, int set, lo_error *err)
{
    if (a->set == set) {
        return LO_OK;
    }
    drop_oracles(a);
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        if (row->set == set && row->oracle && row->output >= 0) {
            a->oracle[a->oracles] = r;
            const lo_status status = lo_audit_load(&a->in, row, &a->oracle_model[a->oracles], err);
            a->oracles++;
            LO_TRY(status);
        }
    }
    if (a->wanted[ZRF]) {
        LO_TRY(lo_audit_fresh(a->network, set, &a->fresh, err));
    }
    a->set = set;
    return LO_OK;
}

/* ---- one model ---- */

static lo_accuracies accuracies_of(const lo_audit_model *m, const lo_audit_set *set)
{
    const lo_logits *train = &m->logits[LO_AUDIT_TRAIN];
    return (lo_accuracies){
        .forget = lo_accuracy(lo_count_right(train, set->forget, set->forget_count)),
        .retain = lo_accuracy(lo_count_right(train, set->retain, set->retain_count)),
        .validation = lo_accuracy(lo_count_right(&m->logits[LO_AUDIT_VALIDATION], NULL, 0)),
        .test = lo_accuracy(lo_count_right(&m->logits[LO_AUDIT_TEST], NULL, 0)),
    };
}

/* Mean distances from the oracles but the model itself. */
static lo_status distances(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    static const struct {
        int number;
        lo_distance kind;
    } kinds[] = {{DISAGREEMENT, LO_DISAGREEMENT}, {ACTIVATION, LO_ACTIVATION_L2}, {JS, LO_JS}};
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *value = malloc(((size_t)a->oracles + 1) * sizeof(*value));
    lo_status status = value != NULL ? LO_OK : no_memory(err);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && status == LO_OK; k++) {
        int64_t count = 0;
        for (int64_t o = 0; o < a->oracles && status == LO_OK && a->wanted[kinds[k].number]; o++) {
            if (a->oracle[o] != r) {
                status =
                    lo_mean_distance(&m->logits[LO_AUDIT_TRAIN], &a->oracle_model[o].logits[LO_AUDIT_TRAIN],
                                     set->forget, set->forget_count, kinds[k].kind, &value[count++], err);
            }
            status = status == LO_OK ? lo_tick_call(&a->tick) : status;
        }
        *cell(a, r, kinds[k].number) =
            count > 0 ? found(lo_student_mean(value, count), count) : missing(NO_ORACLE);
    }
    free(value);
    return status;
}

/* Values of a feature on some rows of a part: malloc'ed. */
static double *feature(const lo_audit_model *m, int part, const uint32_t *rows, int64_t count,
                       lo_feature which)
{
    double *out = malloc(((size_t)count + 1) * sizeof(*out));
    if (out != NULL && count > 0) {
        lo_features(&m->logits[part], rows, count, which, out);
    }
    return out;
}

/* A failure for want of examples is a figure that is missing; all others are errors. */
static lo_status settle(lo_status status, figure *out, figure good, lo_error *err)
{
    if (status == LO_DATA) {
        *out = missing(FEW_OTHERS);
        if (err != NULL) {
            err->text[0] = '\0';
        }
        return LO_OK;
    }
    *out = good;
    return status;
}

static lo_status support_vectors(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *retain = feature(m, LO_AUDIT_TRAIN, set->retain, set->retain_count, LO_FEATURE_CONFIDENCE);
    double *other = feature(m, LO_AUDIT_TEST, set->other, set->other_count, LO_FEATURE_CONFIDENCE);
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, LO_FEATURE_CONFIDENCE);
    lo_efficacy out = {0};
    lo_status status =
        retain != NULL && other != NULL && forget != NULL
            ? lo_mia_svc((lo_points){retain, set->retain_count}, (lo_points){other, set->other_count},
                         (lo_points){forget, set->forget_count}, 1, lo_job_int(a->study->job, "audit.sample"),
                         (uint64_t)lo_job_int(a->study->job, "seed"), &a->tick, &out, err)
            : no_memory(err);
    status = settle(status, cell(a, r, SVC), found(out.efficacy, 0), err);
    free(retain);
    free(other);
    free(forget);
    return status;
}

static lo_status regression(audit *a, int64_t r, const lo_audit_model *m, int number, lo_feature which,
                            lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, which);
    double *other = feature(m, LO_AUDIT_TEST, set->other, set->other_count, which);
    lo_guess out = {0};
    lo_status status = forget != NULL && other != NULL
                           ? lo_mia_logistic(forget, set->forget_count, other, set->other_count,
                                             (uint64_t)lo_job_int(a->study->job, "seed"), &out, err)
                           : no_memory(err);
    status = settle(status, cell(a, r, number), found(out.accuracy, 0), err);
    free(forget);
    free(other);
    return status;
}

static lo_status population(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    const int64_t validation = set->whole_class ? 0 : a->study->data.validation.count;
    const bool apart = validation >= 100;
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, LO_FEATURE_LOSS);
    double *known = apart ? feature(m, LO_AUDIT_VALIDATION, NULL, validation, LO_FEATURE_LOSS)
                          : feature(m, LO_AUDIT_TEST, set->other, set->other_count, LO_FEATURE_LOSS);
    lo_population_attack out = {0};
    lo_status status = forget != NULL && known != NULL
                           ? lo_mia_population(known, apart ? validation : set->other_count, forget,
                                               set->forget_count, NULL, 0, 0.01, &out, err)
                           : no_memory(err);
    status = settle(status, cell(a, r, POPULATION), found(out.found, 0), err);
    free(forget);
    free(known);
    return status;
}

static lo_status adaptive(audit *a, int64_t r, lo_error *err)
{
    const lo_audit_row *row = &a->in.row[r];
    const lo_audit_set *set = &a->in.set[row->set];
    *cell(a, r, AUS) = missing(NO_ORIGINAL);
    for (int64_t k = 0; k < a->in.rows; k++) {
        const lo_audit_row *o = &a->in.row[k];
        if (o->original && o->output >= 0 && o->seed == row->seed && !row->oracle) {
            lo_audit_model original;
            const lo_status status = lo_audit_load(&a->in, o, &original, err);
            if (status == LO_OK) {
                const double test = accuracies_of(&original, set).test;
                *cell(a, r, AUS) = found(
                    (lo_bounded){lo_aus(test, a->accuracies[r], set->whole_class), (double)NAN, (double)NAN},
                    1);
            }
            lo_audit_unload(&original);
            return status;
        }
    }
    return LO_OK;
}

/* ---- attacks with reference models ---- */

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

static void fill_margins(const lo_audit_model *m, int part, const uint32_t *rows, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        double phi;
        lo_features(&m->logits[part], rows + i, 1, LO_FEATURE_MARGIN, &phi);
        out[i] = (float)phi;
    }
}

static lo_status from_ensemble(audit *a, const lo_audit_set *set, references *out, lo_error *err)
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

static lo_status gather_references(audit *a, int64_t target, references *out, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[target].set];
    const bool ensemble = a->in.margin[0] != NULL && a->in.margin[1] != NULL;
    const int64_t most = ensemble ? a->in.ensemble.rows : a->oracles;
    int64_t models = 0;
    *out = (references){0};
    out->phi[0] = malloc((size_t)(most * set->forget_count) * sizeof(float) + 1);
    out->phi[1] = malloc((size_t)(most * set->other_count) * sizeof(float) + 1);
    if (out->phi[0] == NULL || out->phi[1] == NULL) {
        return no_memory(err);
    }
    if (ensemble) {
        models = most;
        LO_TRY(from_ensemble(a, set, out, err));
    }
    for (int64_t o = 0; o < a->oracles && !ensemble; o++) {
        if (a->oracle[o] != target) {
            fill_margins(&a->oracle_model[o], LO_AUDIT_TRAIN, set->forget, set->forget_count,
                         out->phi[0] + models * set->forget_count);
            fill_margins(&a->oracle_model[o], LO_AUDIT_TEST, set->other, set->other_count,
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
static lo_status choose_deviation(audit *a, const references *refs, lo_lira *options, lo_error *err)
{
    const int64_t n = refs->forget.n + refs->other.n;
    lo_lira_sums *sums = malloc((size_t)n * sizeof(*sums) + 1);
    lo_status status = sums != NULL ? lo_lira_spread(&refs->forget, sums, &a->tick, err) : no_memory(err);
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

/* Figures of scores: forget set against others. */
static lo_status judge_scores(audit *a, int64_t r, int number, const float *forget, int64_t forget_count,
                              const float *other, int64_t other_count, int64_t models, lo_error *err)
{
    double *x = malloc((size_t)(forget_count + other_count + 1) * sizeof(*x));
    if (x == NULL) {
        return no_memory(err);
    }
    for (int64_t i = 0; i < forget_count; i++) {
        x[i] = (double)forget[i];
    }
    for (int64_t i = 0; i < other_count; i++) {
        x[forget_count + i] = (double)other[i];
    }
    lo_roc roc;
    const lo_status status = lo_roc_make(x, forget_count, x + forget_count, other_count, &roc, err);
    if (status == LO_OK) {
        *cell(a, r, number) = isnan(roc.auc.value) ? missing(FEW_OTHERS) : found(roc.auc, models);
        *cell(a, r, number + 1) =
            roc.rate[0].refused != NULL ? missing(FEW_OTHERS) : found(roc.rate[0].tpr, models);
    }
    free(x);
    return status;
}

static lo_status likelihood_ratios(audit *a, int64_t r, const references *refs, const float *phi,
                                   lo_error *err)
{
    const int64_t f = refs->forget.n, o = refs->other.n;
    lo_lira options = {.offline = true};
    float *score = malloc((size_t)(f + o) * sizeof(*score) + 1);
    lo_status status = score != NULL ? choose_deviation(a, refs, &options, err) : no_memory(err);
    if (status == LO_OK) {
        status = lo_lira_target(&refs->forget, &options, phi, score, &a->tick, err);
    }
    if (status == LO_OK) {
        status = lo_lira_target(&refs->other, &options, phi + f, score + f, &a->tick, err);
    }
    if (status == LO_OK) {
        status = judge_scores(a, r, LIRA, score, f, score + f, o, refs->forget.models, err);
    }
    free(score);
    return status;
}

/* Test examples 0, 2, 4, ... are the population, the others the non-members. */
static lo_status population_ratios(audit *a, int64_t r, const references *refs, const float *phi,
                                   lo_error *err)
{
    enum { HALVES = 2 };
    const int64_t f = refs->forget.n, o = refs->other.n, models = refs->other.models;
    const int64_t half[HALVES] = {(o + 1) / 2, o / 2};
    float *room = malloc((size_t)(models + 1) * (size_t)(o + 1) * sizeof(*room));
    float *score = malloc((size_t)(f + o) * sizeof(*score) + 1);
    lo_status status = room != NULL && score != NULL ? LO_OK : no_memory(err);
    if (status == LO_OK && (half[0] < 10 || half[1] < 10)) {
        *cell(a, r, RMIA) = *cell(a, r, RMIA_RATE) = missing(FEW_OTHERS);
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
        status = judge_scores(a, r, RMIA, score, f, score + f, half[1], models, err);
    }
end:
    free(room);
    free(score);
    return status;
}

static lo_status reference_attacks(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    references refs;
    float *phi = malloc((size_t)(set->forget_count + set->other_count) * sizeof(*phi) + 1);
    lo_status status = phi != NULL ? gather_references(a, r, &refs, err) : no_memory(err);
    if (phi == NULL) {
        return status;
    }
    if (status == LO_OK && refs.forget.models < 2) {
        for (int k = LIRA; k <= RMIA_RATE; k++) {
            *cell(a, r, k) = missing(FEW_REFERENCES);
        }
    } else if (status == LO_OK) {
        fill_margins(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, phi);
        fill_margins(m, LO_AUDIT_TEST, set->other, set->other_count, phi + set->forget_count);
        status = a->wanted[LIRA] ? likelihood_ratios(a, r, &refs, phi, err) : LO_OK;
        if (status == LO_OK && a->wanted[RMIA]) {
            status = population_ratios(a, r, &refs, phi, err);
        }
    }
    references_free(&refs);
    free(phi);
    return status;
}

/* Where a row's weights are, if they are kept. */
static bool weights_of(const audit *a, int64_t r, char path[PATH_MAX])
{
    const lo_audit_row *row = &a->in.row[r];
    const char *folder = row->original ? "originals" : row->oracle ? "oracles" : "unlearned";
    (void)snprintf(path, PATH_MAX, "%s/%s/%s.safetensors", a->study->run.study, folder, row->model);
    return row->output >= 0 && access(path, F_OK) == 0;
}

static lo_status weights(audit *a, int64_t r, lo_error *err)
{
    lo_weight_distance *layer = calloc(LO_AUDIT_LAYERS, sizeof(*layer));
    double *value = malloc(((size_t)a->oracles + 1) * sizeof(*value)),
           *by_layer = a->layer + r * LO_AUDIT_LAYERS;
    char mine[PATH_MAX], its[PATH_MAX];
    int64_t count = 0, layers = 0;
    lo_status status = layer != NULL && value != NULL ? LO_OK : no_memory(err);
    const bool kept = weights_of(a, r, mine);
    for (int64_t o = 0; o < a->oracles && status == LO_OK && kept; o++) {
        if (a->oracle[o] == r || !weights_of(a, a->oracle[o], its)) {
            continue;
        }
        status = lo_audit_weights(mine, its, layer, &layers, NULL, err);
        if (status == LO_OK) {
            value[count++] = lo_weights_apart_in_all(layer, layers).relative;
            status = lo_tick_call(&a->tick);
        }
        for (int64_t l = 0; l < layers; l++) {
            by_layer[l] += layer[l].relative;
        }
    }
    for (int64_t l = 0; l < LO_AUDIT_LAYERS; l++) {
        by_layer[l] = count > 0 ? by_layer[l] / (double)count : (double)NAN;
    }
    *cell(a, r, WEIGHTS) = count > 0 ? found(lo_student_mean(value, count), count) : missing(NOT_KEPT);
    free(layer);
    free(value);
    return status;
}

/* The layers of the first model that is kept: the same on every rank. */
static lo_status name_layers(audit *a, lo_error *err)
{
    char path[PATH_MAX];
    for (int64_t r = 0; r < a->in.rows; r++) {
        if (weights_of(a, r, path)) {
            lo_weight_distance *layer = calloc(LO_AUDIT_LAYERS, sizeof(*layer));
            const lo_status status = layer != NULL
                                         ? lo_audit_weights(path, path, layer, &a->layers, a->layer_name, err)
                                         : no_memory(err);
            free(layer);
            return status;
        }
    }
    return LO_OK;
}

/* ---- what is asked of the network ---- */

static lo_status from_random(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double js = NAN;
    LO_TRY(lo_mean_distance(&m->logits[LO_AUDIT_TRAIN], &a->fresh, set->forget, set->forget_count, LO_JS, &js,
                            err));
    *cell(a, r, ZRF) = found((lo_bounded){lo_zrf(js), (double)NAN, (double)NAN}, 0);
    return LO_OK;
}

/* What a row is compared with: of a run the original that it began with, of an oracle that of the same seed,
 * in turn where there are more oracles. */
static void original_of(const audit *a, int64_t r, char path[PATH_MAX])
{
    const int64_t originals = lo_job_int(a->study->job, "originals.seeds");
    lo_original_path(a->study->run.study, a->in.row[r].seed % originals, 0, path, PATH_MAX);
}

static lo_status relearning(audit *a, int64_t r, lo_error *err)
{
    char mine[PATH_MAX], original[PATH_MAX];
    int64_t epochs = 0;
    *cell(a, r, RELEARN) = missing(NO_WEIGHTS);
    original_of(a, r, original);
    if (!weights_of(a, r, mine) || access(original, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_audit_relearn(a->network, original, mine, a->in.row[r].set, &epochs, err));
    *cell(a, r, RELEARN) = found((lo_bounded){(double)epochs, (double)NAN, (double)NAN}, 1);
    return LO_OK;
}

static lo_status entangled(audit *a, int64_t r, lo_error *err)
{
    char mine[PATH_MAX];
    double score = NAN;
    *cell(a, r, ENTANGLEMENT) = missing(NO_WEIGHTS);
    if (!weights_of(a, r, mine)) {
        return LO_OK;
    }
    LO_TRY(lo_audit_entanglement(a->network, mine, a->in.row[r].set, &score, err));
    *cell(a, r, ENTANGLEMENT) = found((lo_bounded){score, (double)NAN, (double)NAN}, 0);
    return LO_OK;
}

static lo_status ask_network(audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    LO_TRY(a->wanted[ZRF] ? from_random(a, r, m, err) : LO_OK);
    LO_TRY(a->wanted[RELEARN] ? relearning(a, r, err) : LO_OK);
    return a->wanted[ENTANGLEMENT] ? entangled(a, r, err) : LO_OK;
}

static lo_status audit_model(audit *a, int64_t r, lo_error *err)
{
    const lo_audit_row *row = &a->in.row[r];
    const lo_audit_set *set = &a->in.set[row->set];
    lo_audit_model m = {0};
    LO_TRY(take_set(a, row->set, err));
    lo_status status = lo_audit_load(&a->in, row, &m, err);
    if (status == LO_OK) {
        a->accuracies[r] = accuracies_of(&m, set);
        status = distances(a, r, &m, err);
    }
    if (status == LO_OK && (a->wanted[SVC] || a->wanted[TOW_MIA] || a->wanted[AVG_GAP])) {
        status = support_vectors(a, r, &m, err);
    }
    if (status == LO_OK && a->wanted[LOSS]) {
        status = regression(a, r, &m, LOSS, LO_FEATURE_LOSS, err);
    }
    if (status == LO_OK && a->wanted[ENTROPY]) {
        status = regression(a, r, &m, ENTROPY, LO_FEATURE_ENTROPY, err);
    }
    if (status == LO_OK && a->wanted[POPULATION]) {
        status = population(a, r, &m, err);
    }
    if (status == LO_OK && a->wanted[AUS]) {
        status = adaptive(a, r, err);
    }
    if (status == LO_OK && (a->wanted[LIRA] || a->wanted[RMIA])) {
        status = reference_attacks(a, r, &m, err);
    }
    if (status == LO_OK && a->wanted[WEIGHTS]) {
        status = weights(a, r, err);
    }
    if (status == LO_OK) {
        status = ask_network(a, r, &m, err);
    }
    lo_audit_unload(&m);
    return status;
}

/* ---- all seeds of a method together ---- */

static bool same_group(const lo_audit_row *a, const lo_audit_row *b)
{
    return a->set == b->set && strcmp(a->kind, b->kind) == 0 && strcmp(a->method, b->method) == 0 &&
           strcmp(a->setting, b->setting) == 0;
}

/* The first row of the group of r. */
static int64_t group_of(const audit *a, int64_t r)
{
    int64_t first = 0;
    while (!same_group(&a->in.row[first], &a->in.row[r])) {
        first++;
    }
    return first;
}

/* Margins of a population on a forget set. */
typedef struct population_margins {
    float *phi; /* [models, forget_count] */
    int64_t models;
} population_margins;

/* The models of a group that there are; of oracles every second one, from `odd` on. */
static lo_status gather_group(audit *a, int64_t first, int odd, population_margins *out, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[first].set];
    int64_t seen = 0;
    out->models = 0;
    out->phi = malloc((size_t)(a->in.rows * set->forget_count) * sizeof(*out->phi) + 1);
    if (out->phi == NULL) {
        return no_memory(err);
    }
    for (int64_t r = first; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        if (!same_group(row, &a->in.row[first]) || row->output < 0 || (odd >= 0 && seen++ % 2 != odd)) {
            continue;
        }
        lo_audit_model m;
        const lo_status status = lo_audit_load(&a->in, row, &m, err);
        if (status == LO_OK) {
            fill_margins(&m, LO_AUDIT_TRAIN, set->forget, set->forget_count,
                         out->phi + out->models++ * set->forget_count);
        }
        lo_audit_unload(&m);
        LO_TRY(status);
    }
    return LO_OK;
}

/* As many of each side. */
static lo_status unlearned_against_never(audit *a, int64_t r, const population_margins *u,
                                         const population_margins *o, int64_t f, lo_error *err)
{
    const int64_t models = u->models < o->models ? u->models : o->models;
    float *phi = malloc((size_t)(2 * models * f) * sizeof(*phi) + 1);
    lo_vulnerability *each = malloc((size_t)f * sizeof(*each) + 1);
    lo_lira_sums *sums = malloc((size_t)f * sizeof(*sums) + 1);
    double *auc = malloc((size_t)f * sizeof(*auc) + 1);
    lo_columns mask = {0};
    lo_lira options = {0};
    lo_status status = phi != NULL && each != NULL && sums != NULL && auc != NULL ? LO_OK : no_memory(err);
    if (status == LO_OK) {
        status = lo_u_lira_mask(models, f, &mask, err);
    }
    if (status == LO_OK) {
        memcpy(phi, u->phi, (size_t)(models * f) * sizeof(*phi));
        memcpy(phi + models * f, o->phi, (size_t)(models * f) * sizeof(*phi));
        const lo_references refs = {phi, 2 * models, f, f, &mask, NULL};
        if (models < LO_LIRA_FEW) {
            status = lo_lira_spread(&refs, sums, &a->tick, err);
            lo_lira_pool(sums, status == LO_OK ? f : 0, &options.in_deviation, &options.out_deviation);
        }
        status = status == LO_OK ? lo_lira_vulnerability(&refs, &options, each, &a->tick, err) : status;
    }
    for (int64_t i = 0; i < f && status == LO_OK; i++) {
        auc[i] = (double)each[i].auc;
    }
    if (status == LO_OK) {
        *cell(a, r, U_LIRA) = found(lo_student_mean(auc, f), 2 * models);
    }
    lo_columns_destroy(&mask);
    free(phi);
    free(each);
    free(sums);
    free(auc);
    return status;
}

static lo_status compare_populations(audit *a, int64_t r, const population_margins *u,
                                     const population_margins *o, int64_t f, lo_error *err)
{
    double *klom = malloc((size_t)f * sizeof(*klom) + 1), high = NAN, quality = NAN;
    const int64_t models = u->models + o->models;
    lo_status status = klom != NULL ? LO_OK : no_memory(err);
    if (status == LO_OK && a->wanted[U_LIRA]) {
        status = unlearned_against_never(a, r, u, o, f, err);
    }
    if (status == LO_OK && a->wanted[KLOM]) {
        status = lo_kloms(u->phi, u->models, o->phi, o->models, f, f, klom, &high, err);
        *cell(a, r, KLOM) = found((lo_bounded){high, (double)NAN, (double)NAN}, models);
    }
    if (status == LO_OK && a->wanted[QUALITY]) {
        status =
            lo_forgetting_quality(u->phi, u->models, o->phi, o->models, f, f, NULL, &quality, &a->tick, err);
        *cell(a, r, QUALITY) = found((lo_bounded){quality, (double)NAN, (double)NAN}, models);
    }
    free(klom);
    return status;
}

/* The first row of a group stands for it: runs against oracles, oracles against each other. */
static lo_status audit_group(audit *a, int64_t r, lo_error *err)
{
    enum { FEWEST = 3 };
    const lo_audit_row *row = &a->in.row[r];
    int64_t oracle = -1;
    for (int64_t k = 0; k < a->in.rows && oracle < 0; k++) {
        oracle = a->in.row[k].oracle && a->in.row[k].set == row->set ? k : -1;
    }
    int reason = row->original ? NO_SCORE : oracle < 0 ? NO_ORACLE : FOUND;
    population_margins u = {0}, o = {0};
    lo_status status = LO_OK;
    if (reason == FOUND) {
        status = gather_group(a, r, row->oracle ? 0 : -1, &u, err);
    }
    if (reason == FOUND && status == LO_OK) {
        status = gather_group(a, oracle, row->oracle ? 1 : -1, &o, err);
    }
    if (status == LO_OK && reason == FOUND && (u.models < FEWEST || o.models < FEWEST)) {
        reason = row->oracle ? FEW_HALVES : FEW_MODELS;
    }
    for (int k = U_LIRA; k <= QUALITY; k++) {
        *cell(a, r, k) = missing(reason);
    }
    if (status == LO_OK && reason == FOUND) {
        status = compare_populations(a, r, &u, &o, a->in.set[row->set].forget_count, err);
    }
    free(u.phi);
    free(o.phi);
    return status;
}

/* ---- all rows ---- */

static lo_status audit_rows(audit *a, lo_error *err)
{
    for (int64_t r = a->first; r < a->first + a->count; r++) {
        for (int k = 0; k < NUMBERS; k++) {
            *cell(a, r, k) = missing(NO_MODEL);
        }
        if (a->in.row[r].output >= 0) {
            LO_TRY(audit_model(a, r, err));
        }
        if (group_of(a, r) == r && (a->wanted[U_LIRA] || a->wanted[KLOM] || a->wanted[QUALITY])) {
            LO_TRY(audit_group(a, r, err));
        }
    }
    return LO_OK;
}

/* Every rank gets the rows of all. */
static void share_rows(audit *a)
{
    const lo_run *run = &a->study->run;
    for (int k = 0; k < run->ranks; k++) {
        int64_t first, count;
        lo_shard(a->in.rows, 1, k, run->ranks, &first, &count);
        MPI_Bcast(a->figure + first * NUMBERS, (int)(count * NUMBERS * (int64_t)sizeof(figure)), MPI_BYTE, k,
                  run->comm);
        MPI_Bcast(a->accuracies + first, (int)(count * (int64_t)sizeof(lo_accuracies)), MPI_BYTE, k,
                  run->comm);
        MPI_Bcast(a->layer + first * LO_AUDIT_LAYERS, (int)(count * LO_AUDIT_LAYERS), MPI_DOUBLE, k,
                  run->comm);
    }
}

/* Figures that need those of oracles: means over the oracles but the model itself. */
/* relearn over that of the oracles but the model itself. ratio [rows]: room. */
static void finish_relearning(audit *a, int64_t r, double *ratio)
{
    const lo_audit_row *row = &a->in.row[r];
    const double mine = cell(a, r, RELEARN)->value;
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows && !isnan(mine); o++) {
        const lo_audit_row *oracle = &a->in.row[o];
        const double its = cell(a, o, RELEARN)->value;
        if (!oracle->oracle || oracle->set != row->set || o == r || isnan(its)) {
            continue;
        }
        ratio[count] = lo_anamnesis(mine > LO_RELEARN_EPOCHS ? -1 : (int64_t)mine,
                                    its > LO_RELEARN_EPOCHS ? 0 : (int64_t)its);
        count += !isnan(ratio[count]);
    }
    *cell(a, r, ANAMNESIS) = count > 0     ? found(lo_student_mean(ratio, count), count)
                             : isnan(mine) ? missing((int)cell(a, r, RELEARN)->reason)
                                           : missing(NO_RELEARNING);
}

static lo_status finish_rows(audit *a, lo_error *err)
{
    double *tow = malloc(2 * (size_t)a->in.rows * sizeof(*tow) + 1), *gap = tow + a->in.rows;
    if (tow == NULL) {
        return no_memory(err);
    }
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        int64_t count = 0;
        for (int64_t o = 0; o < a->in.rows && row->output >= 0; o++) {
            const lo_audit_row *oracle = &a->in.row[o];
            if (oracle->oracle && oracle->output >= 0 && oracle->set == row->set && o != r) {
                const double mine = cell(a, r, SVC)->value, its = cell(a, o, SVC)->value;
                tow[count] = lo_tow_mia(a->accuracies[r], mine, a->accuracies[o], its);
                gap[count++] = lo_avg_gap(a->accuracies[r], mine, a->accuracies[o], its);
            }
        }
        const int reason = row->output < 0 ? NO_MODEL : count == 0 ? NO_ORACLE : (int)cell(a, r, SVC)->reason;
        *cell(a, r, TOW_MIA) = reason == FOUND ? found(lo_student_mean(tow, count), count) : missing(reason);
        *cell(a, r, AVG_GAP) = reason == FOUND ? found(lo_student_mean(gap, count), count) : missing(reason);
        finish_relearning(a, r, tow);
        for (int k = U_LIRA; k <= QUALITY; k++) {
            *cell(a, r, k) = row->output < 0 ? missing(NO_MODEL) : *cell(a, group_of(a, r), k);
        }
        for (int k = 0; k < NUMBERS; k++) {
            *cell(a, r, k) = a->wanted[k] ? *cell(a, r, k) : missing(NOT_ASKED);
        }
    }
    free(tow);
    return LO_OK;
}

/* What oracles have: the mean over those of the row's forget set but itself. */
static double ceiling(const audit *a, int64_t r, int number)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows; o++) {
        if (a->in.row[o].oracle && a->in.row[o].set == a->in.row[r].set &&
            !isnan(cell(a, o, number)->value)) {
            sum += cell(a, o, number)->value;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

/* ---- the file ---- */

static void state_of(const audit *a, char state[32])
{
    uint64_t digest = lo_digest(LO_DIGEST_START, a->in.state);
    for (int k = 0; k < NUMBERS; k++) {
        digest = a->wanted[k] ? lo_digest(digest, numbers[k].name) : digest;
    }
    if (a->in.has_ensemble) {
        digest = lo_digest(digest, a->in.ensemble.identity);
    }
    char text[32];
    const double own = lo_job_real(a->study->job, "audit.rmia_a");
    (void)snprintf(text, sizeof(text), "%" PRId64, lo_job_int(a->study->job, "audit.sample"));
    digest = lo_digest(digest, text);
    if (a->wanted[RMIA] && own != 0.5) { /* a file of before there was the key has the default */
        (void)snprintf(text, sizeof(text), "%a", own);
        digest = lo_digest(digest, text);
    }
    (void)snprintf(state, 32, "%016" PRIx64, digest);
}

static bool is_there(const audit *a, const char *path)
{
    char now[32] = "", wanted[32], receipts[PATH_MAX];
    lo_h5_reader reader;
    bool there =
        a->study->run.rank == 0 && access(path, F_OK) == 0 && lo_h5_open(path, &reader, NULL) == LO_OK;
    if (there) {
        state_of(a, wanted);
        (void)lo_h5_get_text(&reader, "/", "state", now, sizeof(now), NULL);
        lo_h5_close(&reader);
        (void)snprintf(receipts, sizeof(receipts), "%s/receipts", a->study->run.study);
        there = strcmp(now, wanted) == 0 && access(receipts, F_OK) == 0;
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, a->study->run.comm);
    return there;
}

enum { RUN_METHOD, RUN_SET, RUN_SETTING, RUN_KIND, RUN_MODEL, RUN_TEXTS };
static const char *const run_texts[RUN_TEXTS] = {"/run/method", "/run/forget_set", "/run/setting",
                                                 "/run/kind", "/run/model"};
enum { VALUE, LOW, HIGH, CEILING, FIELDS };
static const char *const fields[FIELDS] = {"value", "low", "high", "ceiling"};

typedef struct datasets {
    int text[RUN_TEXTS], seed, field[NUMBERS][FIELDS], models[NUMBERS], layer, layer_name;
} datasets;

/* Why a number is missing, of a run or else of an oracle, for the file. */
static const char *refused(const audit *a, int number)
{
    for (int oracles = 0; oracles < 2; oracles++) {
        for (int64_t r = 0; r < a->in.rows; r++) {
            const lo_audit_row *row = &a->in.row[r];
            const figure *f = cell(a, r, number);
            if (!row->original && row->oracle == (oracles == 1) && f->reason != FOUND &&
                f->reason != NO_MODEL) {
                return reasons[f->reason];
            }
        }
    }
    return "";
}

static lo_status add_datasets(const audit *a, lo_h5 *h, datasets *d, lo_error *err)
{
    const int64_t rows = a->in.rows, mine = a->study->run.rank == 0 ? rows : 0;
    char path[96], state[32];
    for (int t = 0; t < RUN_TEXTS; t++) {
        LO_TRY(lo_h5_add(h, run_texts[t], LO_H5_CHARS, rows, 0, 0, mine, &d->text[t], err));
    }
    LO_TRY(lo_h5_add(h, "/run/seed", LO_H5_I64, rows, 0, 0, mine, &d->seed, err));
    for (int k = 0; k < NUMBERS; k++) {
        if (!a->wanted[k]) {
            continue;
        }
        for (int f = 0; f < FIELDS; f++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", numbers[k].name, fields[f]);
            LO_TRY(lo_h5_add(h, path, LO_H5_F64, rows, 0, 0, mine, &d->field[k][f], err));
        }
        (void)snprintf(path, sizeof(path), "/%s/models", numbers[k].name);
        LO_TRY(lo_h5_add(h, path, LO_H5_I64, rows, 0, 0, mine, &d->models[k], err));
        (void)snprintf(path, sizeof(path), "/%s", numbers[k].name);
        LO_TRY(lo_h5_text(h, path, "description", numbers[k].description, err));
        LO_TRY(lo_h5_text(h, path, "best", lo_metric_find(numbers[k].metric)->best, err));
        LO_TRY(lo_h5_text(h, path, "refused", refused(a, k), err));
    }
    state_of(a, state);
    if (a->wanted[WEIGHTS] && a->layers > 0) {
        LO_TRY(lo_h5_add(h, "/weight_distance/layer", LO_H5_F64, rows, a->layers, 0, mine, &d->layer, err));
        LO_TRY(lo_h5_add(h, "/weight_distance/layer_name", LO_H5_CHARS, a->layers, 0, 0,
                         mine > 0 ? a->layers : 0, &d->layer_name, err));
    }
    if (a->wanted[SVC]) {
        LO_TRY(lo_h5_int(h, "/mia_svc", "sample", lo_job_int(a->study->job, "audit.sample"), err));
    }
    if (a->wanted[RMIA]) {
        LO_TRY(lo_h5_real(h, "/rmia", "a", lo_job_real(a->study->job, "audit.rmia_a"), err));
    }
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h, "/", "outputs", a->in.state, err));
    return lo_h5_text(h, "/", "state", state, err);
}

static lo_status write_rows(const audit *a, lo_h5 *h, const datasets *d, char *texts, double *column,
                            int64_t *count, lo_error *err)
{
    const int64_t rows = a->in.rows, mine = a->study->run.rank == 0 ? rows : 0;
    for (int t = 0; t < RUN_TEXTS; t++) {
        memset(texts, 0, (size_t)rows * LO_H5_TEXT_SIZE);
        for (int64_t r = 0; r < rows; r++) {
            const lo_audit_row *row = &a->in.row[r];
            const char *const text[RUN_TEXTS] = {row->method, row->forget_set, row->setting, row->kind,
                                                 row->model};
            memcpy(texts + r * LO_H5_TEXT_SIZE, text[t], strlen(text[t]));
        }
        LO_TRY(lo_h5_write(h, d->text[t], mine, texts, LO_OK, err));
    }
    for (int64_t r = 0; r < rows; r++) {
        count[r] = a->in.row[r].seed;
    }
    LO_TRY(lo_h5_write(h, d->seed, mine, count, LO_OK, err));
    for (int k = 0; k < NUMBERS; k++) {
        for (int f = 0; f < FIELDS && a->wanted[k]; f++) {
            for (int64_t r = 0; r < rows; r++) {
                const figure *c = cell(a, r, k);
                column[r] = f == VALUE  ? c->value
                            : f == LOW  ? c->low
                            : f == HIGH ? c->high
                                        : ceiling(a, r, k);
            }
            LO_TRY(lo_h5_write(h, d->field[k][f], mine, column, LO_OK, err));
        }
        for (int64_t r = 0; r < rows; r++) {
            count[r] = cell(a, r, k)->models;
        }
        if (a->wanted[k]) {
            LO_TRY(lo_h5_write(h, d->models[k], mine, count, LO_OK, err));
        }
    }
    return LO_OK;
}

/* Row by row: in memory they are wider. */
static lo_status write_layers(const audit *a, lo_h5 *h, const datasets *d, lo_error *err)
{
    const bool first = a->study->run.rank == 0;
    for (int64_t r = 0; r < a->in.rows; r++) {
        LO_TRY(lo_h5_write(h, d->layer, first ? 1 : 0, a->layer + r * LO_AUDIT_LAYERS, LO_OK, err));
    }
    return lo_h5_write(h, d->layer_name, first ? a->layers : 0, a->layer_name, LO_OK, err);
}

static lo_status publish(audit *a, const char *path, lo_error *err)
{
    const size_t rows = (size_t)a->in.rows + 1;
    char *texts = calloc(rows, LO_H5_TEXT_SIZE);
    double *column = calloc(rows, sizeof(*column));
    int64_t *count = calloc(rows, sizeof(*count));
    lo_h5 h = {.id = -1};
    datasets d = {0};
    lo_status status = texts != NULL && column != NULL && count != NULL ? LO_OK : no_memory(err);
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_h5_create(a->study->run.comm, path, rows * (NUMBERS * 48 + 1024) + (1 << 18), &h, err);
    }
    if (status == LO_OK) {
        status = add_datasets(a, &h, &d, err);
        if (status == LO_OK) {
            status = write_rows(a, &h, &d, texts, column, count, err);
        }
        if (status == LO_OK && a->wanted[WEIGHTS] && a->layers > 0) {
            status = write_layers(a, &h, &d, err);
        }
        status = lo_h5_commit(&h, status, err);
    }
    free(texts);
    free(column);
    free(count);
    return status;
}

static lo_status make(audit *a, const char *path, lo_error *err)
{
    const double start = lo_clock_monotonic();
    const MPI_Comm comm = a->study->run.comm;
    const size_t rows = (size_t)a->in.rows + 1;
    a->figure = calloc(rows * NUMBERS, sizeof(*a->figure));
    a->accuracies = calloc(rows, sizeof(*a->accuracies));
    a->layer = calloc(rows * LO_AUDIT_LAYERS, sizeof(*a->layer));
    a->layer_name = calloc(LO_AUDIT_LAYERS, sizeof(*a->layer_name));
    a->oracle = calloc(rows, sizeof(*a->oracle));
    a->oracle_model = calloc(rows, sizeof(*a->oracle_model));
    a->set = -1;
    lo_shard(a->in.rows, 1, a->study->run.rank, a->study->run.ranks, &a->first, &a->count);
    lo_status status = a->figure != NULL && a->accuracies != NULL && a->layer != NULL &&
                               a->layer_name != NULL && a->oracle != NULL && a->oracle_model != NULL
                           ? LO_OK
                           : no_memory(err);
    status = lo_agree(comm, status, err);
    if (status == LO_OK) {
        status = lo_agree(comm, a->wanted[WEIGHTS] ? name_layers(a, err) : LO_OK, err);
    }
    const bool asks = a->wanted[ZRF] || a->wanted[RELEARN] || a->wanted[ENTANGLEMENT];
    if (status == LO_OK && asks) {
        status = lo_agree(comm, lo_audit_network_open(&a->in, &a->tick, &a->network, err), err);
    }
    if (status == LO_OK) {
        status = lo_agree(comm, audit_rows(a, err), err);
    }
    if (status == LO_OK) {
        share_rows(a);
        status = lo_agree(comm, finish_rows(a, err), err);
    }
    if (status == LO_OK) {
        status = publish(a, path, err);
    }
    int64_t receipts = 0;
    if (status == LO_OK) {
        status = lo_agree(
            comm,
            lo_receipts_write(a->study->run.study, a->study->run.rank, a->study->run.ranks, &receipts, err),
            err);
        MPI_Allreduce(MPI_IN_PLACE, &receipts, 1, MPI_INT64_T, MPI_SUM, comm);
    }
    if (status == LO_OK) {
        a->study->news = true;
        lo_run_say(&a->study->run, "event=published file=audit.h5 rows=%lld receipts=%lld seconds=%.2f",
                   (long long)a->in.rows, (long long)receipts, lo_clock_monotonic() - start);
    }
    drop_oracles(a);
    lo_audit_network_close(&a->network);
    free(a->figure);
    free(a->accuracies);
    free(a->layer);
    free(a->layer_name);
    free(a->oracle);
    free(a->oracle_model);
    return status;
}

static bool is_unlearned(const lo_study *study)
{
    static const char *const names[] = {"outputs.h5", "evaluation.h5", "forget.h5"};
    bool there = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, names[i]);
        there = there && access(path, F_OK) == 0;
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

lo_status lo_audit_runs(lo_study *study, lo_error *err)
{
    if (!lo_job_has(study->job, "audit") || !lo_job_has(study->job, "unlearning") || !is_unlearned(study)) {
        return LO_OK;
    }
    audit a = {.study = study, .watch = {.run = &study->run}};
    bool any = false;
    a.tick = lo_watch_tick(&a.watch);
    for (int k = 0; k < NUMBERS; k++) {
        a.wanted[k] = lo_job_length(study->job, "audit.metrics") == 0 ||
                      lo_job_lists(study->job, "audit.metrics", numbers[k].metric);
        any = any || a.wanted[k];
    }
    if (!any) {
        return LO_OK;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/audit.h5", study->run.study);
    LO_TRY(lo_study_lock(study, err));
    lo_status status =
        lo_agree(study->run.comm, lo_audit_open(study, a.wanted[LIRA] || a.wanted[RMIA], &a.in, err), err);
    if (status == LO_OK && !is_there(&a, path)) {
        status = make(&a, path, err);
    }
    lo_audit_close(&a.in);
    lo_study_unlock(study);
    return status;
}
