#include "jobs/audit/audit_apart.h"

#include "audit/apart.h"
#include "audit/relearn.h"
#include "audit/tow.h"

#include <math.h>
#include <stdlib.h>

/* Rows with a model, of one method and of the oracles of its forget set, and room. */
typedef struct sides {
    int64_t *seed, seeds, *oracle, oracles;
    double *to, *among; /* [seeds, oracles], [oracles, oracles] */
} sides;

/* ---- distances ---- */

/* Of the distances kept; -1: of none. */
static int distance_of(int figure)
{
    switch (figure) {
    case LO_AUDIT_DISAGREEMENT:
        return LO_AUDIT_OF_DISAGREEMENT;
    case LO_AUDIT_ACTIVATION:
        return LO_AUDIT_OF_ACTIVATION;
    case LO_AUDIT_ACTIVATION_L1:
        return LO_AUDIT_OF_ACTIVATION_L1;
    case LO_AUDIT_JS:
        return LO_AUDIT_OF_JS;
    case LO_AUDIT_WEIGHTS:
        return LO_AUDIT_OF_WEIGHTS;
    default:
        return figure >= lo_audit_by(LO_BY_DISAGREEMENT, 0) && figure < lo_audit_by(LO_BY_NUMBERS, 0)
                   ? LO_AUDIT_OF_GROUPS + figure - lo_audit_by(LO_BY_DISAGREEMENT, 0)
                   : -1;
    }
}

double lo_audit_delta(const lo_audited *model, const lo_audited *oracle, int number)
{
    const lo_accuracies deltas = lo_accuracy_deltas(model->accuracies, oracle->accuracies);
    return number == LO_AUDIT_DELTA_FORGET       ? deltas.forget
           : number == LO_AUDIT_DELTA_RETAIN     ? deltas.retain
           : number == LO_AUDIT_DELTA_VALIDATION ? deltas.validation
                                                 : deltas.test;
}

static bool is_of_delta(int figure)
{
    return figure >= LO_AUDIT_DELTA_FORGET && figure <= LO_AUDIT_DELTA_TEST;
}

static bool is_of_tow(int figure)
{
    return figure >= lo_audit_by(LO_BY_TOW, 0) && figure < lo_audit_by(LO_BY_TOW + 1, 0);
}

static bool is_in_pairs(int figure)
{
    return distance_of(figure) >= 0 || is_of_tow(figure) || is_of_delta(figure) ||
           figure == LO_AUDIT_TOW_MIA || figure == LO_AUDIT_AVG_GAP || figure == LO_AUDIT_ANAMNESIS;
}

static double tow_of_group(const lo_audited *model, const lo_audited *oracle, int g)
{
    lo_accuracies mine = model->accuracies, its = oracle->accuracies;
    if (model->hits[g].examples == 0 || oracle->hits[g].examples == 0) {
        return NAN;
    }
    mine.forget = lo_accuracy(model->hits[g]);
    its.forget = lo_accuracy(oracle->hits[g]);
    return lo_tow(mine, its);
}

static double anamnesis(double mine, double its)
{
    if (isnan(mine) || isnan(its)) {
        return NAN;
    }
    return lo_anamnesis(mine > LO_RELEARN_EPOCHS ? -1 : (int64_t)mine,
                        its > LO_RELEARN_EPOCHS ? 0 : (int64_t)its);
}

/* Row r's from the k-th oracle of its forget set, row o. */
static double pair(const lo_audit *a, int figure, int64_t r, int64_t o, int64_t k)
{
    const lo_audited *model = &a->audited[r], *oracle = &a->audited[o];
    const double mine = model->figure[LO_AUDIT_SVC].value, its = oracle->figure[LO_AUDIT_SVC].value;
    const int kept = distance_of(figure);
    if (kept >= 0) {
        return lo_audit_distances(a, r, kept)[k];
    }
    if (is_of_tow(figure)) {
        return tow_of_group(model, oracle, figure - lo_audit_by(LO_BY_TOW, 0));
    }
    if (is_of_delta(figure)) {
        return lo_audit_delta(model, oracle, figure);
    }
    if (figure == LO_AUDIT_ANAMNESIS) {
        return anamnesis(model->figure[LO_AUDIT_RELEARN].value, oracle->figure[LO_AUDIT_RELEARN].value);
    }
    return figure == LO_AUDIT_TOW_MIA ? lo_tow_mia(model->accuracies, mine, oracle->accuracies, its)
                                      : lo_avg_gap(model->accuracies, mine, oracle->accuracies, its);
}

static lo_bounded in_pairs(const lo_audit *a, const sides *s, int figure)
{
    for (int64_t k = 0; k < s->oracles; k++) {
        for (int64_t i = 0; i < s->seeds; i++) {
            s->to[i * s->oracles + k] = pair(a, figure, s->seed[i], s->oracle[k], k);
        }
        for (int64_t i = 0; i < s->oracles; i++) {
            s->among[i * s->oracles + k] =
                i != k ? pair(a, figure, s->oracle[i], s->oracle[k], k) : (double)NAN;
        }
    }
    return lo_apart_in_pairs(s->to, s->seeds, s->among, s->oracles);
}

/* ---- the others ---- */

static int64_t fill(const lo_audit *a, const int64_t *row, int64_t rows, int figure, double *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++) {
        out[count] = lo_audit_cell(a, row[i], figure)->value;
        count += !isnan(out[count]);
    }
    return count;
}

static lo_bounded of_samples(const lo_audit *a, const sides *s, int figure)
{
    const int64_t n = fill(a, s->seed, s->seeds, figure, s->to);
    const int64_t m = fill(a, s->oracle, s->oracles, figure, s->among);
    return lo_welch(s->to, n, s->among, m);
}

static lo_bounded bounds_of(const lo_audit_figure *f)
{
    return (lo_bounded){f->value, f->low, f->high};
}

static lo_bounded of_populations(const lo_audit *a, const sides *s, int figure)
{
    const lo_audit_figure *own = lo_audit_cell(a, s->seed[0], figure);
    if (figure == LO_AUDIT_KLOM || figure == LO_AUDIT_QUALITY) {
        return own->apart;
    }
    const lo_bounded ceiling = own->reference == LO_AUDIT_AGAINST_MATCHED || s->oracles == 0
                                   ? own->ceiling
                                   : bounds_of(lo_audit_cell(a, s->oracle[0], figure));
    return lo_apart_by_bounds(bounds_of(own), ceiling);
}

/* ---- all of it ---- */

static void find_sides(const lo_audit *a, int64_t first, sides *s)
{
    s->seeds = 0;
    s->oracles = 0;
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        if (row->output >= 0 && lo_audit_same_group(row, &a->in.row[first])) {
            s->seed[s->seeds++] = r;
        }
        if (row->output >= 0 && row->oracle && row->set == a->in.row[first].set) {
            s->oracle[s->oracles++] = r;
        }
    }
}

static void tell_group(lo_audit *a, const sides *s)
{
    for (int k = 0; k < LO_AUDIT_FIGURES; k++) {
        const bool together = k >= LO_AUDIT_U_LIRA && k <= LO_AUDIT_QUALITY;
        const lo_bounded apart = together         ? of_populations(a, s, k)
                                 : is_in_pairs(k) ? in_pairs(a, s, k)
                                                  : of_samples(a, s, k);
        for (int64_t i = 0; i < s->seeds; i++) {
            lo_audit_cell(a, s->seed[i], k)->apart = apart;
        }
    }
}

lo_status lo_audit_tell_apart(lo_audit *a, lo_error *err)
{
    const size_t rows = (size_t)a->in.rows, most = (size_t)a->most_oracles;
    sides s = {.seed = malloc(rows * sizeof(*s.seed) + 1),
               .oracle = malloc(rows * sizeof(*s.oracle) + 1),
               .to = malloc((rows * (most + 1) + 1) * sizeof(*s.to)),
               .among = malloc((most * most + 1) * sizeof(*s.among))};
    const bool enough = s.seed != NULL && s.oracle != NULL && s.to != NULL && s.among != NULL;
    for (int64_t r = 0; r < a->in.rows && enough; r++) {
        find_sides(a, r, &s);
        if (!a->in.row[r].oracle && s.seeds > 0 && s.seed[0] == r) {
            tell_group(a, &s);
        }
    }
    free(s.seed);
    free(s.oracle);
    free(s.to);
    free(s.among);
    return enough ? LO_OK : lo_audit_no_memory(err);
}
