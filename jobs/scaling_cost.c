/* What scores cost, and what is best at equal cost. */
#include "jobs/scaling.h"

#include "score/pareto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- costs
 * ----------------------------------------------------------------------------------------------------------
 */

static int find_listed(const lo_score_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->listed[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Marks a score and all that it is made of. */
static void mark(const lo_score_list *list, int at, uint8_t *marked)
{
    const lo_listed_score *l = &list->listed[at];
    marked[at] = 1;
    for (int u = 0; l->score->uses != NULL && l->score->uses(l->item, u) != NULL; u++) {
        const int used = find_listed(list, l->score->uses(l->item, u));
        if (used >= 0 && !marked[used]) {
            mark(list, used, marked);
        }
    }
}

/* Core-seconds of the last `models` models that are in use. */
static lo_status last_models_cost(const lo_scaling *s, int64_t models, double *sum, lo_error *err)
{
    const lo_ensemble_file *e = &s->source.ensemble;
    double *seconds = NULL;
    int64_t rows = 0;
    LO_TRY(lo_h5_read_all(&e->reader, "/seconds", LO_H5_F64, (void **)&seconds, &rows, NULL, err));
    *sum = 0;
    for (int64_t r = rows - 1; r >= 0 && models > 0; r--) {
        if ((e->use[e->model[r] / 8] >> (e->model[r] % 8) & 1) != 0) {
            *sum += seconds[r];
            models--;
        }
    }
    free(seconds);
    return LO_OK;
}

static lo_status add_cost(const lo_scaling *s, const lo_listed_score *l, lo_score_cost *cost, lo_error *err)
{
    char path[128];
    double own = 0;
    (void)snprintf(path, sizeof(path), "/%s", l->name);
    LO_TRY(lo_h5_get_real(&s->scores, path, "cost_core_seconds", &own, err));
    cost->own += own;
    if ((l->score->needs & LO_FROM_ORIGINALS) != 0) {
        cost->originals = s->source.originals_seconds;
    }
    if ((l->score->needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) != 0) {
        const int64_t all = s->held_back + s->models;
        const int64_t models = l->score->models != NULL ? l->score->models(l->item) : all;
        cost->models = models > cost->models ? models : cost->models;
    }
    return LO_OK;
}

static lo_status cost_of(lo_scaling *s, lo_scaling_row *row, uint8_t *marked, lo_error *err)
{
    memset(marked, 0, (size_t)s->list.count);
    mark(&s->list, (int)(row->listed - s->list.listed), marked);
    row->cost = (lo_score_cost){0};
    for (int i = 0; i < s->list.count; i++) {
        LO_TRY(marked[i] ? add_cost(s, &s->list.listed[i], &row->cost, err) : LO_OK);
    }
    LO_TRY(last_models_cost(s, row->cost.models, &row->cost.ensemble, err));
    row->in_reference = row->cost.models > s->held_back;
    row->total = (row->cost.own + row->cost.originals + row->cost.ensemble) / s->training;
    return LO_OK;
}

/* A training on all examples: an original's; without originals, a model's of the ensemble divided by its
 * share of the examples. */
static lo_status training_cost(lo_scaling *s, lo_error *err)
{
    if (s->source.rows > 0) {
        s->training = s->source.originals_seconds / (double)s->source.rows;
        return LO_OK;
    }
    double in = 0;
    double all = 0;
    lo_counts *counts = calloc((size_t)s->n + 1, sizeof(*counts));
    if (counts == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to count the models of %lld examples", (long long)s->n);
    }
    lo_count(&s->mask, &s->correct, s->source.ensemble.use, counts);
    for (int64_t i = 0; i < s->n; i++) {
        in += counts[i].in;
        all += counts[i].in + counts[i].out;
    }
    free(counts);
    s->training = s->source.ensemble.seconds / (double)s->source.ensemble.rows * (all / in);
    return LO_OK;
}

lo_status lo_scaling_costs(lo_scaling *scaling, lo_error *err)
{
    uint8_t *marked = calloc((size_t)scaling->list.count + 1, 1);
    lo_status status =
        marked != NULL ? training_cost(scaling, err) : lo_fail(err, LO_INTERNAL, "no memory for costs");
    for (int r = 0; r < scaling->rows && status == LO_OK; r++) {
        status = cost_of(scaling, &scaling->row[r], marked, err);
    }
    free(marked);
    return status;
}

/* ---- at equal cost
 * ----------------------------------------------------------------------------------------------------------
 */

static const char *const kinds[] = {"correctness", "probability", "margin"};
enum { KINDS = 3 };

static bool is_few(const lo_scaling_row *row)
{
    return row->listed->score->models != NULL && lo_scaling_is_rival(row);
}

/* The rows of estimates from few models of a kind, by ascending cost: into rows, returns how many. */
static int curve_of(const lo_scaling *s, const char *kind, int *rows, double *cost)
{
    int count = 0;
    for (int r = 0; r < s->rows; r++) {
        if (!is_few(&s->row[r]) || strcmp(lo_item_text(s->row[r].listed->item, "by"), kind) != 0) {
            continue;
        }
        int at = count;
        while (at > 0 && cost[at - 1] > s->row[r].total) {
            rows[at] = rows[at - 1];
            cost[at] = cost[at - 1];
            at--;
        }
        if (at > 0 && cost[at - 1] == s->row[r].total) { /* the same, listed twice */
            memmove(rows + at, rows + at + 1, (size_t)(count - at) * sizeof(*rows));
            memmove(cost + at, cost + at + 1, (size_t)(count - at) * sizeof(*cost));
            continue;
        }
        rows[at] = r;
        cost[at] = s->row[r].total;
        count++;
    }
    return count;
}

/* Room for curves. */
typedef struct curve {
    int *rows, count;
    double *cost, *value;
} curve;

static double correlation(const lo_scaling *s, int row, int64_t resample)
{
    const int64_t at = (int64_t)row * LO_COMPARED_COUNT + LO_COMPARED_SPEARMAN;
    return resample < 0 ? s->estimate[at] : s->replicate[at * s->resamples + resample];
}

/* Of a resample, or with -1 of the sample. */
static double curve_at(const lo_scaling *s, const curve *c, double cost, int64_t resample)
{
    for (int i = 0; i < c->count; i++) {
        c->value[i] = correlation(s, c->rows[i], resample);
    }
    return lo_curve_at(c->cost, c->value, c->count, cost);
}

/* The kind whose curve is highest at a cost; NULL: no curve goes there. Leaves its curve in c. */
static const char *best_curve(const lo_scaling *s, double cost, curve *c, double *value)
{
    const char *best = NULL;
    *value = NAN;
    for (int k = 0; k < KINDS; k++) {
        c->count = curve_of(s, kinds[k], c->rows, c->cost);
        const double here = curve_at(s, c, cost, -1);
        if (!isnan(here) && !(here <= *value)) {
            *value = here;
            best = kinds[k];
        }
    }
    if (best != NULL) {
        c->count = curve_of(s, best, c->rows, c->cost);
        *value = curve_at(s, c, cost, -1);
    }
    return best;
}

static void against_few_models(const lo_scaling *s, int r, curve *c, double *replicate)
{
    lo_scaling_row *row = &s->row[r];
    double there;
    const char *kind = is_few(row) ? NULL : best_curve(s, row->total, c, &there);
    row->against = kind != NULL ? kind : "";
    row->difference = (lo_interval){NAN, NAN, 0};
    row->difference_value = row->worth = NAN;
    if (kind == NULL) {
        return;
    }
    row->difference_value = correlation(s, r, -1) - there;
    row->worth = lo_curve_reach(c->cost, c->value, c->count, correlation(s, r, -1));
    for (int64_t b = 0; b < s->resamples; b++) {
        replicate[b] = correlation(s, r, b) - curve_at(s, c, row->total, b);
    }
    row->difference = lo_interval_percentile(replicate, s->resamples, 0.95);
}

/* Measured seconds tell costs apart that differ by more than this. */
static const double slack = 0.02;

static lo_status find_front(lo_scaling *s, double *cost, double *value, uint8_t *front, lo_error *err)
{
    double *replicate = calloc((size_t)(s->rows * s->resamples) + 1, sizeof(*replicate));
    double *share = calloc((size_t)s->rows + 1, sizeof(*share));
    lo_status status = replicate != NULL && share != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for the front of %d scores", s->rows);
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        cost[r] = lo_scaling_is_rival(&s->row[r]) ? s->row[r].total : NAN;
        value[r] = correlation(s, r, -1);
        for (int64_t b = 0; b < s->resamples; b++) {
            replicate[r * s->resamples + b] = correlation(s, r, b);
        }
    }
    if (status == LO_OK) {
        lo_pareto(cost, value, s->rows, slack, front);
        status = lo_pareto_share(cost, replicate, s->rows, s->resamples, slack, share, err);
    }
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        s->row[r].front = front[r] != 0;
        s->row[r].front_share = share[r];
    }
    free(replicate);
    free(share);
    return status;
}

/* Measured seconds differ from training to training: a score may cost this much more than the budget. */
static const double tolerance = 1.05;

static void fill_budget(const lo_scaling *s, lo_scaling_budget *b, curve *c)
{
    b->best = -1;
    for (int r = 0; r < s->rows; r++) {
        const bool affordable =
            lo_scaling_is_rival(&s->row[r]) && s->row[r].total <= tolerance * b->trainings;
        const double here = correlation(s, r, -1);
        if (affordable && !isnan(here) && (b->best < 0 || here > correlation(s, b->best, -1))) {
            b->best = r;
        }
    }
    b->by = best_curve(s, b->trainings, c, &b->few_models);
}

lo_status lo_scaling_weigh(lo_scaling *scaling, lo_error *err)
{
    lo_scaling *s = scaling;
    const size_t rows = (size_t)s->rows + 1;
    curve c = {calloc(rows, sizeof(int)), 0, calloc(rows, sizeof(double)), calloc(rows, sizeof(double))};
    double *replicate = calloc((size_t)s->resamples + 1, sizeof(*replicate));
    uint8_t *front = calloc(rows, 1);
    lo_status status =
        c.rows != NULL && c.cost != NULL && c.value != NULL && replicate != NULL && front != NULL
            ? find_front(s, c.cost, c.value, front, err)
            : lo_fail(err, LO_INTERNAL, "no memory to weigh %d scores", s->rows);
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        against_few_models(s, r, &c, replicate);
    }
    for (int b = 0; b < s->budgets && status == LO_OK; b++) {
        fill_budget(s, &s->budget[b], &c);
    }
    free(c.rows);
    free(c.cost);
    free(c.value);
    free(replicate);
    free(front);
    return status;
}
