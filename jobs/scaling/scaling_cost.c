/* What scores cost, and what is best at equal cost. */
#include "jobs/scaling/scaling.h"

#include "score/pareto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- costs ---- */

/* Of every score of the job that scores.h5 holds: its own work, its share of an original's training. */
static lo_status read_costs(const lo_scaling *s, double *own, double *share, lo_error *err)
{
    for (int i = 0; i < s->list.count; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/%s", s->list.listed[i].name);
        share[i] = 1;
        if (lo_h5_has(&s->scores, path)) {
            LO_TRY(lo_h5_get_real(&s->scores, path, "cost_core_seconds", &own[i], err));
            (void)lo_h5_get_real(&s->scores, path, "share_of_training", &share[i],
                                 NULL); /* since a version */
        }
    }
    return LO_OK;
}

static lo_status cost_of(lo_scaling *s, const lo_score_costs *costs, lo_scaling_row *row, lo_error *err)
{
    LO_TRY(lo_score_cost_of(costs, (int)(row->listed - s->list.listed), &row->cost, err));
    row->originals = row->cost.originals > 0 ? s->source.originals : 0;
    if (row->each_original) {
        row->originals = 1;
        const double all = (double)s->source.originals;
        row->cost.own /= all;
        row->cost.originals /= (double)s->source.rows;
    }
    row->in_reference = row->cost.models > s->held_back || row->cost.file_of_ensemble;
    row->later = (row->cost.own + row->cost.ensemble) / s->training;
    row->total = row->later + row->cost.originals / s->training;
    return LO_OK;
}

lo_status lo_scaling_costs(lo_scaling *s, lo_error *err)
{
    const size_t room = (size_t)s->list.count + 1;
    double *own = calloc(room, sizeof(*own));
    double *share = calloc(room, sizeof(*share));
    lo_status status =
        own != NULL && share != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for costs");
    s->training = lo_score_training(&s->source);
    const lo_score_costs costs = {&s->list, &s->source, own, share, s->training};
    if (status == LO_OK) {
        status = read_costs(s, own, share, err);
    }
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        status = cost_of(s, &costs, &s->row[r], err);
    }
    free(own);
    free(share);
    return status;
}

/* ---- at equal cost ---- */

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

typedef struct curve {
    int *rows, count;
    double *cost, *value;
} curve;

/* Of the statistic by which scores are weighed. */
static double agreement(const lo_scaling *s, int row, int64_t resample)
{
    const int64_t at = (int64_t)row * LO_COMPARED_COUNT + LO_COMPARED_SOMERS;
    return resample < 0 ? s->estimate[at] : s->replicate[at * s->resamples + resample];
}

/* Of a resample, or with -1 of the sample. */
static double curve_at(const lo_scaling *s, const curve *c, double cost, int64_t resample)
{
    for (int i = 0; i < c->count; i++) {
        c->value[i] = agreement(s, c->rows[i], resample);
    }
    return lo_curve_at(c->cost, c->value, c->count, cost);
}

/* The number of the curve that is highest at a cost, of a resample; -1: none goes there. */
static int best_curve(const lo_scaling *s, const curve *curves, double cost, int64_t resample, double *value)
{
    int best = -1;
    *value = NAN;
    for (int k = 0; k < KINDS; k++) {
        const double here = curve_at(s, &curves[k], cost, resample);
        if (!isnan(here) && !(here <= *value)) {
            *value = here;
            best = k;
        }
    }
    return best;
}

/* The best curve is chosen again in each resample: who picks the best of three is lucky at times. */
static void against_few_models(const lo_scaling *s, int r, const curve *curves, double *replicate)
{
    lo_scaling_row *row = &s->row[r];
    double there;
    const int kind = is_few(row) ? -1 : best_curve(s, curves, row->total, -1, &there);
    row->against = kind >= 0 ? kinds[kind] : "";
    row->difference = (lo_interval){NAN, NAN, 0};
    row->difference_value = row->worth = NAN;
    if (kind < 0) {
        return;
    }
    const curve *c = &curves[kind];
    row->difference_value = agreement(s, r, -1) - there;
    (void)curve_at(s, c, row->total, -1); /* for its values */
    row->worth = lo_curve_reach(c->cost, c->value, c->count, agreement(s, r, -1));
    for (int64_t b = 0; b < s->resamples; b++) {
        (void)best_curve(s, curves, row->total, b, &there);
        replicate[b] = agreement(s, r, b) - there;
    }
    row->difference = lo_interval_percentile(replicate, s->resamples, 0.95);
}

/* Measured seconds tell costs apart that differ by more than this. */
static const double slack = 0.02;

/* Room for fronts, [rows] and replicate [rows, resamples]. */
typedef struct front_room {
    double *cost, *value, *share, *replicate;
    uint8_t *front;
} front_room;

/* later: by what is left to pay for who has trained the originals. */
static lo_status find_front(lo_scaling *s, bool later, const front_room *room, lo_error *err)
{
    for (int r = 0; r < s->rows; r++) {
        const double cost = later ? s->row[r].later : s->row[r].total;
        room->cost[r] = lo_scaling_is_rival(&s->row[r]) ? cost : NAN;
        room->value[r] = agreement(s, r, -1);
        for (int64_t b = 0; b < s->resamples; b++) {
            room->replicate[r * s->resamples + b] = agreement(s, r, b);
        }
    }
    lo_pareto(room->cost, room->value, s->rows, slack, room->front);
    LO_TRY(lo_pareto_share(room->cost, room->replicate, s->rows, s->resamples, slack, room->share, err));
    for (int r = 0; r < s->rows; r++) {
        *(later ? &s->row[r].later_front : &s->row[r].front) = room->front[r] != 0;
        *(later ? &s->row[r].later_front_share : &s->row[r].front_share) = room->share[r];
    }
    return LO_OK;
}

static lo_status find_fronts(lo_scaling *s, lo_error *err)
{
    const size_t rows = (size_t)s->rows + 1;
    const front_room room = {calloc(rows, sizeof(double)), calloc(rows, sizeof(double)),
                             calloc(rows, sizeof(double)),
                             calloc(rows * (size_t)s->resamples, sizeof(double)), calloc(rows, 1)};
    lo_status status = room.cost != NULL && room.value != NULL && room.share != NULL &&
                               room.replicate != NULL && room.front != NULL
                           ? find_front(s, false, &room, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for the front of %d scores", s->rows);
    if (status == LO_OK) {
        status = find_front(s, true, &room, err);
    }
    free(room.cost);
    free(room.value);
    free(room.share);
    free(room.replicate);
    free(room.front);
    return status;
}

/* Measured seconds differ from training to training: a score may cost this much more than the budget. */
static const double tolerance = 1.05;

static void fill_budget(const lo_scaling *s, lo_scaling_budget *b, const curve *curves)
{
    b->best = -1;
    for (int r = 0; r < s->rows; r++) {
        const bool affordable =
            lo_scaling_is_rival(&s->row[r]) && s->row[r].total <= tolerance * b->trainings;
        const double here = agreement(s, r, -1);
        if (affordable && !isnan(here) && (b->best < 0 || here > agreement(s, b->best, -1))) {
            b->best = r;
        }
    }
    const int kind = best_curve(s, curves, b->trainings, -1, &b->few_models);
    b->by = kind >= 0 ? kinds[kind] : NULL;
}

static lo_status draw_curves(const lo_scaling *s, curve *curves, lo_error *err)
{
    const size_t rows = (size_t)s->rows + 1;
    for (int k = 0; k < KINDS; k++) {
        curves[k] =
            (curve){calloc(rows, sizeof(int)), 0, calloc(rows, sizeof(double)), calloc(rows, sizeof(double))};
        if (curves[k].rows == NULL || curves[k].cost == NULL || curves[k].value == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory to weigh %d scores", s->rows);
        }
        curves[k].count = curve_of(s, kinds[k], curves[k].rows, curves[k].cost);
    }
    return LO_OK;
}

lo_status lo_scaling_weigh(lo_scaling *s, lo_error *err)
{
    curve curves[KINDS] = {{0}};
    double *replicate = calloc((size_t)s->resamples + 1, sizeof(*replicate));
    lo_status status =
        replicate != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to weigh %d scores", s->rows);
    if (status == LO_OK) {
        status = find_fronts(s, err);
    }
    if (status == LO_OK) {
        status = draw_curves(s, curves, err);
    }
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        against_few_models(s, r, curves, replicate);
    }
    for (int b = 0; b < s->budgets && status == LO_OK; b++) {
        fill_budget(s, &s->budget[b], curves);
    }
    free(replicate);
    for (int k = 0; k < KINDS; k++) {
        free(curves[k].rows);
        free(curves[k].cost);
        free(curves[k].value);
    }
    return status;
}
