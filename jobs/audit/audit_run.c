#include "jobs/audit/audit_run.h"

#include "audit/attack.h"
#include "audit/distance.h"
#include "audit/feature.h"
#include "audit/relearn.h"
#include "audit/tow.h"
#include "jobs/audit/audit_references.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- from its outputs ---- */

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
static lo_status distances(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    static const struct {
        int number, of;
        lo_distance kind;
    } kinds[] = {{LO_AUDIT_DISAGREEMENT, LO_AUDIT_OF_DISAGREEMENT, LO_DISAGREEMENT},
                 {LO_AUDIT_ACTIVATION, LO_AUDIT_OF_ACTIVATION, LO_ACTIVATION_L2},
                 {LO_AUDIT_ACTIVATION_L1, LO_AUDIT_OF_ACTIVATION_L1, LO_ACTIVATION_L1},
                 {LO_AUDIT_JS, LO_AUDIT_OF_JS, LO_JS}};
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *value = malloc(((size_t)a->oracles + 1) * sizeof(*value));
    lo_status status = value != NULL ? LO_OK : lo_audit_no_memory(err);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && status == LO_OK; k++) {
        int64_t count = 0;
        for (int64_t o = 0; o < a->oracles && status == LO_OK && a->wanted[kinds[k].number]; o++) {
            if (a->oracle[o] != r) {
                status =
                    lo_mean_distance(&m->logits[LO_AUDIT_TRAIN], &a->oracle_model[o].logits[LO_AUDIT_TRAIN],
                                     set->forget, set->forget_count, kinds[k].kind, &value[count], err);
                lo_audit_distances(a, r, kinds[k].of)[o] = value[count++];
            }
            status = status == LO_OK ? lo_tick_call(&a->tick) : status;
        }
        *lo_audit_cell(a, r, kinds[k].number) = count > 0
                                                    ? lo_audit_found(lo_student_mean(value, count), count)
                                                    : lo_audit_missing(LO_AUDIT_NO_ORACLE);
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
static lo_status settle(lo_status status, lo_audit_figure *out, lo_audit_figure good, lo_error *err)
{
    if (status == LO_DATA) {
        *out = lo_audit_missing(LO_AUDIT_FEW_OTHERS);
        if (err != NULL) {
            err->text[0] = '\0';
        }
        return LO_OK;
    }
    *out = good;
    return status;
}

/* Whom a support-vector machine is fitted to: rows of the training and of the test set. */
typedef struct sides {
    const uint32_t *member, *other;
    int64_t members, others;
} sides;

/* each [forget_count]: what every example is taken for; may be NULL. */
static lo_status support_vectors(lo_audit *a, int64_t r, const lo_audit_model *m, int number,
                                 const sides *fitted, lo_feature which, uint8_t *each, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *retain = feature(m, LO_AUDIT_TRAIN, fitted->member, fitted->members, which);
    double *other = feature(m, LO_AUDIT_TEST, fitted->other, fitted->others, which);
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, which);
    lo_efficacy out = {0};
    lo_status status =
        retain != NULL && other != NULL && forget != NULL
            ? lo_mia_svc_each((lo_points){retain, fitted->members}, (lo_points){other, fitted->others},
                              (lo_points){forget, set->forget_count}, 1,
                              lo_job_int(a->study->job, "audit.sample"),
                              (uint64_t)lo_job_int(a->study->job, "seed"), &a->tick, &out, each, err)
            : lo_audit_no_memory(err);
    lo_audit_figure figure = lo_audit_found(out.efficacy, 0);
    figure.fitted = out.fitted;
    status = settle(status, lo_audit_cell(a, r, number), figure, err);
    free(retain);
    free(other);
    free(forget);
    return status;
}

/* mia_svc without what classes alone give away. Where the forget set has all classes it is mia_svc. */
static lo_status matched_vectors(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    lo_audit_figure *out = lo_audit_cell(a, r, LO_AUDIT_SVC_MATCHED);
    if (set->alike_count == 0) {
        *out = lo_audit_missing(LO_AUDIT_NO_MATCH);
        return LO_OK;
    }
    if (set->alike_count == set->retain_count && set->other_alike_count == set->other_count) {
        *out = *lo_audit_cell(a, r, LO_AUDIT_SVC);
        return LO_OK;
    }
    const sides alike = {set->alike, set->other_alike, set->alike_count, set->other_alike_count};
    return support_vectors(a, r, m, LO_AUDIT_SVC_MATCHED, &alike, LO_FEATURE_CONFIDENCE, NULL, err);
}

/* each as before, on the confidence, which ToW and the mean gap need too. */
static lo_status all_support_vectors(lo_audit *a, int64_t r, const lo_audit_model *m, uint8_t *each,
                                     lo_error *err)
{
    static const struct {
        int number;
        lo_feature feature;
    } more[] = {{LO_AUDIT_SVC_CORRECT, LO_FEATURE_CORRECT},
                {LO_AUDIT_SVC_ENTROPY, LO_FEATURE_ENTROPY},
                {LO_AUDIT_SVC_MODIFIED_ENTROPY, LO_FEATURE_MODIFIED_ENTROPY},
                {LO_AUDIT_SVC_LOSS, LO_FEATURE_LOSS},
                {LO_AUDIT_SVC_MARGIN, LO_FEATURE_MARGIN}};
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    const sides all = {set->retain, set->other, set->retain_count, set->other_count};
    lo_status status = LO_OK;
    if (a->wanted[LO_AUDIT_SVC] || a->wanted_by[LO_BY_SVC] || a->wanted[LO_AUDIT_TOW_MIA] ||
        a->wanted[LO_AUDIT_AVG_GAP]) {
        status = support_vectors(a, r, m, LO_AUDIT_SVC, &all, LO_FEATURE_CONFIDENCE, each, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_SVC_MATCHED]) {
        status = matched_vectors(a, r, m, err);
    }
    for (size_t k = 0; k < sizeof(more) / sizeof(more[0]) && status == LO_OK; k++) {
        if (a->wanted[more[k].number]) {
            status = support_vectors(a, r, m, more[k].number, &all, more[k].feature, NULL, err);
        }
    }
    return status;
}

static lo_status regression(lo_audit *a, int64_t r, const lo_audit_model *m, int number, lo_feature which,
                            lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, which);
    double *other = feature(m, LO_AUDIT_TEST, set->other, set->other_count, which);
    lo_guess out = {0};
    lo_status status = forget != NULL && other != NULL
                           ? lo_mia_logistic(forget, set->forget_count, other, set->other_count,
                                             (uint64_t)lo_job_int(a->study->job, "seed"), &out, err)
                           : lo_audit_no_memory(err);
    lo_audit_figure figure = lo_audit_found(out.accuracy, 0);
    figure.fitted = out.used;
    status = settle(status, lo_audit_cell(a, r, number), figure, err);
    free(forget);
    free(other);
    return status;
}

/* The population: validation examples of the forget set's classes, or where they are fewer than 100, test
 * examples of these. */
static lo_status population(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    const bool apart = set->unseen_count >= 100;
    double *forget = feature(m, LO_AUDIT_TRAIN, set->forget, set->forget_count, LO_FEATURE_LOSS);
    double *known = apart ? feature(m, LO_AUDIT_VALIDATION, set->unseen, set->unseen_count, LO_FEATURE_LOSS)
                          : feature(m, LO_AUDIT_TEST, set->other, set->other_count, LO_FEATURE_LOSS);
    lo_population_attack out = {0};
    lo_status status = forget != NULL && known != NULL
                           ? lo_mia_population(known, apart ? set->unseen_count : set->other_count, forget,
                                               set->forget_count, NULL, 0, 0.01, &out, err)
                           : lo_audit_no_memory(err);
    status = settle(status, lo_audit_cell(a, r, LO_AUDIT_POPULATION), lo_audit_found(out.found, 0), err);
    free(forget);
    free(known);
    return status;
}

/* Of an oracle against the originals in turn, where there are more oracles. */
static lo_status adaptive(lo_audit *a, int64_t r, lo_error *err)
{
    const lo_audit_row *row = &a->in.row[r];
    const int64_t seed = row->oracle ? row->seed % lo_job_int(a->study->job, "unlearning.seeds") : row->seed;
    const lo_audit_set *set = &a->in.set[row->set];
    *lo_audit_cell(a, r, LO_AUDIT_AUS) = lo_audit_missing(LO_AUDIT_NO_ORIGINAL);
    for (int64_t k = 0; k < a->in.rows; k++) {
        const lo_audit_row *o = &a->in.row[k];
        if (o->original && o->output >= 0 && o->set == row->set && o->seed == seed) {
            lo_audit_model original;
            const lo_status status = lo_audit_load(&a->in, o, &original, err);
            if (status == LO_OK) {
                const double test = accuracies_of(&original, set).test;
                *lo_audit_cell(a, r, LO_AUDIT_AUS) =
                    lo_audit_found((lo_bounded){lo_aus(test, a->audited[r].accuracies, set->whole_class),
                                                (double)NAN, (double)NAN},
                                   1);
            }
            lo_audit_unload(&original);
            return status;
        }
    }
    return LO_OK;
}

/* ---- by group of the forget set ---- */

/* The share that is taken for non-members; each as of support_vectors. */
static lo_bounded taken_for_others(const lo_audit_groups *groups, int g, const uint8_t *each)
{
    int64_t others = 0, judged = 0;
    for (int64_t i = 0; i < groups->count[g]; i++) {
        const uint8_t taken = each[groups->place[g][i]];
        others += taken == LO_SVC_OTHER;
        judged += taken != LO_SVC_LEFT_OUT;
    }
    return lo_share(others, judged);
}

/* Mean disagreement with the oracles but the model itself. value [oracles]: room. */
static lo_status disagreement_of(lo_audit *a, int64_t r, const lo_audit_model *m, int g, double *value,
                                 lo_error *err)
{
    const lo_audit_groups *groups = &a->groups[a->in.row[r].set];
    int64_t count = 0;
    for (int64_t o = 0; o < a->oracles; o++) {
        if (a->oracle[o] != r) {
            LO_TRY(lo_mean_distance(&m->logits[LO_AUDIT_TRAIN], &a->oracle_model[o].logits[LO_AUDIT_TRAIN],
                                    groups->row[g], groups->count[g], LO_DISAGREEMENT, &value[count], err));
            lo_audit_distances(a, r, LO_AUDIT_OF_GROUPS + g)[o] = value[count++];
        }
    }
    *lo_audit_cell(a, r, lo_audit_by(LO_BY_DISAGREEMENT, g)) =
        count > 0 ? lo_audit_found(lo_student_mean(value, count), count)
                  : lo_audit_missing(LO_AUDIT_NO_ORACLE);
    return LO_OK;
}

/* What each group has; ToW, which needs other rows, comes later. */
static lo_status judge_groups(lo_audit *a, int64_t r, const lo_audit_model *m, const uint8_t *each,
                              lo_error *err)
{
    const lo_audit_groups *groups = &a->groups[a->in.row[r].set];
    const lo_audit_figure *svc = lo_audit_cell(a, r, LO_AUDIT_SVC);
    double *value = malloc(((size_t)a->oracles + 1) * sizeof(*value));
    lo_status status = value != NULL ? LO_OK : lo_audit_no_memory(err);
    for (int g = 0; g < LO_AUDIT_GROUPS && status == LO_OK; g++) {
        for (int k = 0; k < LO_BY_NUMBERS; k++) {
            *lo_audit_cell(a, r, lo_audit_by(k, g)) = lo_audit_missing(LO_AUDIT_NO_GROUPS);
        }
        a->audited[r].hits[g] = (lo_hits){0};
        if (groups->by[0] == '\0') {
            continue;
        }
        const lo_hits hits = lo_count_right(&m->logits[LO_AUDIT_TRAIN], groups->row[g], groups->count[g]);
        a->audited[r].hits[g] = hits;
        *lo_audit_cell(a, r, lo_audit_by(LO_BY_FORGET_ACCURACY, g)) =
            lo_audit_found(lo_share(hits.right, hits.examples), 0);
        *lo_audit_cell(a, r, lo_audit_by(LO_BY_SVC, g)) =
            svc->reason == LO_AUDIT_FOUND ? lo_audit_found(taken_for_others(groups, g, each), 0)
                                          : lo_audit_missing((int)svc->reason);
        status = disagreement_of(a, r, m, g, value, err);
    }
    free(value);
    return status;
}

/* ---- from its weights ---- */

static lo_status weights(lo_audit *a, int64_t r, lo_error *err)
{
    lo_weight_distance *layer = calloc(LO_AUDIT_LAYERS, sizeof(*layer));
    double *value = malloc(((size_t)a->oracles + 1) * sizeof(*value)), *by_layer = a->layer + r * a->layers;
    char mine[PATH_MAX], its[PATH_MAX];
    int64_t count = 0, layers = 0;
    lo_status status = layer != NULL && value != NULL ? LO_OK : lo_audit_no_memory(err);
    const bool kept = lo_audit_weights_of(a, r, mine);
    for (int64_t l = 0; l < a->layers; l++) {
        by_layer[l] = 0;
    }
    for (int64_t o = 0; o < a->oracles && status == LO_OK && kept; o++) {
        if (a->oracle[o] == r || !lo_audit_weights_of(a, a->oracle[o], its)) {
            continue;
        }
        status = lo_audit_weights(mine, its, layer, &layers, NULL, err);
        if (status == LO_OK) {
            value[count] = lo_weights_apart_in_all(layer, layers).relative;
            lo_audit_distances(a, r, LO_AUDIT_OF_WEIGHTS)[o] = value[count++];
            status = lo_tick_call(&a->tick);
        }
        for (int64_t l = 0; l < layers && l < a->layers; l++) {
            by_layer[l] += layer[l].relative;
        }
    }
    for (int64_t l = 0; l < a->layers; l++) {
        by_layer[l] = count > 0 ? by_layer[l] / (double)count : (double)NAN;
    }
    *lo_audit_cell(a, r, LO_AUDIT_WEIGHTS) = count > 0 ? lo_audit_found(lo_student_mean(value, count), count)
                                                       : lo_audit_missing(LO_AUDIT_NOT_KEPT);
    free(layer);
    free(value);
    return status;
}

lo_status lo_audit_name_layers(lo_audit *a, lo_error *err)
{
    char path[PATH_MAX];
    for (int64_t r = 0; r < a->in.rows; r++) {
        if (lo_audit_weights_of(a, r, path)) {
            lo_weight_distance *layer = calloc(LO_AUDIT_LAYERS, sizeof(*layer));
            const lo_status status = layer != NULL
                                         ? lo_audit_weights(path, path, layer, &a->layers, a->layer_name, err)
                                         : lo_audit_no_memory(err);
            free(layer);
            return status;
        }
    }
    return LO_OK;
}

/* ---- what is asked of the network ---- */

static lo_status from_random(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    double js = NAN;
    LO_TRY(lo_mean_distance(&m->logits[LO_AUDIT_TRAIN], &a->fresh, set->forget, set->forget_count, LO_JS, &js,
                            err));
    *lo_audit_cell(a, r, LO_AUDIT_ZRF) =
        lo_audit_found((lo_bounded){lo_zrf(js), (double)NAN, (double)NAN}, 0);
    return LO_OK;
}

static lo_status relearning(lo_audit *a, int64_t r, lo_error *err)
{
    char mine[PATH_MAX], original[PATH_MAX];
    int64_t epochs = 0;
    *lo_audit_cell(a, r, LO_AUDIT_RELEARN) = lo_audit_missing(LO_AUDIT_NO_WEIGHTS);
    lo_audit_original_of(a, r, original);
    if (!lo_audit_weights_of(a, r, mine) || access(original, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_audit_relearn(a->network, original, mine, a->in.row[r].set, &epochs, err));
    *lo_audit_cell(a, r, LO_AUDIT_RELEARN) =
        lo_audit_found((lo_bounded){(double)epochs, (double)NAN, (double)NAN}, 1);
    return LO_OK;
}

static lo_status entangled(lo_audit *a, int64_t r, lo_error *err)
{
    char mine[PATH_MAX];
    double score = NAN;
    *lo_audit_cell(a, r, LO_AUDIT_ENTANGLEMENT) = lo_audit_missing(LO_AUDIT_NO_WEIGHTS);
    if (!lo_audit_weights_of(a, r, mine)) {
        return LO_OK;
    }
    LO_TRY(lo_audit_entanglement(a->network, mine, a->in.row[r].set, &score, err));
    *lo_audit_cell(a, r, LO_AUDIT_ENTANGLEMENT) =
        lo_audit_found((lo_bounded){score, (double)NAN, (double)NAN}, 0);
    return LO_OK;
}

static lo_status ask_network(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err)
{
    LO_TRY(a->wanted[LO_AUDIT_ZRF] ? from_random(a, r, m, err) : LO_OK);
    LO_TRY(a->wanted[LO_AUDIT_RELEARN] ? relearning(a, r, err) : LO_OK);
    return a->wanted[LO_AUDIT_ENTANGLEMENT] ? entangled(a, r, err) : LO_OK;
}
/* ---- all of it ---- */

lo_status lo_audit_run(lo_audit *a, int64_t r, lo_error *err)
{
    const lo_audit_row *row = &a->in.row[r];
    const lo_audit_set *set = &a->in.set[row->set];
    lo_audit_model m = {0};
    for (int64_t i = 0; i < LO_AUDIT_DISTANCES * a->most_oracles; i++) {
        lo_audit_distances(a, r, 0)[i] = (double)NAN;
    }
    LO_TRY(lo_audit_take_set(a, row->set, err));
    uint8_t *each = calloc((size_t)set->forget_count + 1, sizeof(*each));
    lo_status status = each != NULL ? lo_audit_load(&a->in, row, &m, err) : lo_audit_no_memory(err);
    if (status == LO_OK) {
        a->audited[r].accuracies = accuracies_of(&m, set);
        status = distances(a, r, &m, err);
    }
    if (status == LO_OK) {
        status = all_support_vectors(a, r, &m, each, err);
    }
    if (status == LO_OK) {
        status = judge_groups(a, r, &m, each, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_LOSS]) {
        status = regression(a, r, &m, LO_AUDIT_LOSS, LO_FEATURE_LOSS, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_ENTROPY]) {
        status = regression(a, r, &m, LO_AUDIT_ENTROPY, LO_FEATURE_ENTROPY, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_POPULATION]) {
        status = population(a, r, &m, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_AUS]) {
        status = adaptive(a, r, err);
    }
    if (status == LO_OK && (a->wanted[LO_AUDIT_LIRA] || a->wanted[LO_AUDIT_RMIA])) {
        status = lo_audit_by_references(a, r, &m, err);
    }
    if (status == LO_OK && a->wanted[LO_AUDIT_WEIGHTS]) {
        status = weights(a, r, err);
    }
    if (status == LO_OK) {
        status = ask_network(a, r, &m, err);
    }
    lo_audit_unload(&m);
    free(each);
    return status;
}
