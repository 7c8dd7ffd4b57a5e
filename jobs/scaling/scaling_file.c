/* scaling.h5: one row a score, one group a statistic. */
#include "jobs/scaling/scaling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a column of the file is filled from. */
typedef struct filling {
    const lo_scaling *s;
    lo_h5 *h5;
    int64_t first, count; /* rows that this rank writes: rank 0 all, the others none */
} filling;

static lo_status root_text(const filling *f, const char *name, const char *value, lo_error *err)
{
    return lo_h5_text(f->h5, "/", name, value, err);
}

static lo_status write_reliability(const filling *f, lo_error *err)
{
    const lo_reliability *r = &f->s->reliability;
    const struct {
        const char *name;
        double value;
    } reals[] = {
        {"half_pearson", r->half.pearson},         {"half_spearman", r->half.spearman},
        {"spread_pearson", r->spread.pearson},     {"spread_spearman", r->spread.spearman},
        {"reliability_pearson", r->whole.pearson}, {"reliability_spearman", r->whole.spearman},
        {"ceiling_pearson", r->ceiling.pearson},   {"ceiling_spearman", r->ceiling.spearman},
        {"ceiling_of_ties", r->tie_ceiling},       {"reference_tied", r->tied},
        {"in_accuracy", f->s->in_accuracy},        {"in_accuracy_replaced", f->s->in_accuracy_replaced},
        {"training_core_seconds", f->s->training}};
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        LO_TRY(lo_h5_real(f->h5, "/", reals[i].name, reals[i].value, err));
    }
    return LO_OK;
}

static lo_status write_root(const filling *f, uint64_t digest, lo_error *err)
{
    const lo_scaling *s = f->s;
    char text[32];
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)digest);
    LO_TRY(lo_h5_int(f->h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(root_text(f, "version", LEAVEOUT_VERSION, err));
    LO_TRY(root_text(f, "digest", text, err));
    LO_TRY(root_text(f, "ensemble", s->source.ensemble.identity, err));
    LO_TRY(root_text(f, "reference", "memorization of the ensemble without its last models_held_back models",
                     err));
    LO_TRY(lo_h5_int(f->h5, "/", "reference_models", s->models, err));
    LO_TRY(lo_h5_int(f->h5, "/", "models_held_back", s->held_back, err));
    LO_TRY(lo_h5_int(f->h5, "/", "examples", s->n, err));
    LO_TRY(lo_h5_int(f->h5, "/", "replaced_labels", s->noisy, err));
    LO_TRY(lo_h5_int(f->h5, "/", "group", s->group, err));
    LO_TRY(lo_h5_int(f->h5, "/", "resamples", s->resamples, err));
    LO_TRY(lo_h5_int(f->h5, "/", "splits", s->splits, err));
    return write_reliability(f, err);
}

/* ---- columns ---- */

enum {
    SCORE,
    OWN,
    ORIGINALS,
    ENSEMBLE,
    MODELS,
    TOTAL,
    OWN_TRAININGS,
    LATER,
    ROW_ORIGINALS,
    IN_REFERENCE,
    LEFT_OUT,
    FRONT,
    FRONT_SHARE,
    LATER_FRONT,
    LATER_FRONT_SHARE,
    AGAINST,
    DIFFERENCE,
    DIFFERENCE_LOW,
    DIFFERENCE_HIGH,
    WORTH,
    MISSED_QUARTER,
    MISSED_HALF,
    SAVING,
    RMSE,
    COLUMNS
};

static const struct {
    const char *path;
    lo_h5_type type;
} columns[COLUMNS] = {
    [SCORE] = {"/score", LO_H5_CHARS},
    [OWN] = {"/cost/own_core_seconds", LO_H5_F64},
    [ORIGINALS] = {"/cost/originals_core_seconds", LO_H5_F64},
    [ENSEMBLE] = {"/cost/ensemble_core_seconds", LO_H5_F64},
    [MODELS] = {"/cost/ensemble_models", LO_H5_I64},
    [TOTAL] = {"/cost/trainings", LO_H5_F64},
    [OWN_TRAININGS] = {"/cost/own_trainings", LO_H5_F64},
    [LATER] = {"/cost/trainings_after_originals", LO_H5_F64},
    [ROW_ORIGINALS] = {"/cost/originals", LO_H5_I64},
    [IN_REFERENCE] = {"/in_reference", LO_H5_U8},
    [LEFT_OUT] = {"/left_out", LO_H5_I64},
    [FRONT] = {"/front/member", LO_H5_U8},
    [FRONT_SHARE] = {"/front/share", LO_H5_F64},
    [LATER_FRONT] = {"/front_after_originals/member", LO_H5_U8},
    [LATER_FRONT_SHARE] = {"/front_after_originals/share", LO_H5_F64},
    [AGAINST] = {"/equal_cost/few_models_by", LO_H5_CHARS},
    [DIFFERENCE] = {"/equal_cost/value", LO_H5_F64},
    [DIFFERENCE_LOW] = {"/equal_cost/low", LO_H5_F64},
    [DIFFERENCE_HIGH] = {"/equal_cost/high", LO_H5_F64},
    [WORTH] = {"/equal_cost/worth_trainings", LO_H5_F64},
    [MISSED_QUARTER] = {"/screening/missed_025", LO_H5_F64},
    [MISSED_HALF] = {"/screening/missed_050", LO_H5_F64},
    [SAVING] = {"/screening/saving", LO_H5_F64},
    [RMSE] = {"/rmse", LO_H5_F64},
};

static double real_of(const lo_scaling *s, int r, int column)
{
    const lo_scaling_row *row = &s->row[r];
    switch (column) {
    case OWN:
        return row->cost.own;
    case ORIGINALS:
        return row->cost.originals;
    case ENSEMBLE:
        return row->cost.ensemble;
    case TOTAL:
        return row->total;
    case OWN_TRAININGS:
        return row->cost.own / s->training;
    case LATER:
        return row->later;
    case FRONT_SHARE:
        return row->front_share;
    case LATER_FRONT_SHARE:
        return row->later_front_share;
    case SAVING:
        return row->saving;
    case RMSE:
        return row->rmse;
    case DIFFERENCE:
        return row->difference_value;
    case DIFFERENCE_LOW:
        return row->difference.low;
    case DIFFERENCE_HIGH:
        return row->difference.high;
    case WORTH:
        return row->worth;
    default:
        return column == MISSED_HALF ? row->missed_half : row->missed_quarter;
    }
}

static int64_t whole_of(const lo_scaling *s, int r, int column)
{
    const lo_scaling_row *row = &s->row[r];
    return column == MODELS          ? row->cost.models
           : column == ROW_ORIGINALS ? row->originals
           : column == IN_REFERENCE  ? row->in_reference
           : column == FRONT         ? row->front
           : column == LATER_FRONT   ? row->later_front
                                     : s->n - s->comparison.reference[row->first].used;
}

/* One element of a column, where it goes in memory. */
static void put(const lo_scaling *s, int r, int column, char *to)
{
    const lo_h5_type type = columns[column].type;
    if (type == LO_H5_CHARS) {
        memset(to, 0, LO_H5_TEXT_SIZE);
        (void)snprintf(to, LO_H5_TEXT_SIZE, "%s", column == SCORE ? s->row[r].name : s->row[r].against);
    } else if (type == LO_H5_F64) {
        const double value = real_of(s, r, column);
        memcpy(to, &value, sizeof(value));
    } else if (type == LO_H5_I64) {
        const int64_t value = whole_of(s, r, column);
        memcpy(to, &value, sizeof(value));
    } else {
        *to = (char)whole_of(s, r, column);
    }
}

static lo_status write_column(const filling *f, int column, int number, char *room, lo_error *err)
{
    const size_t size = lo_h5_size(columns[column].type);
    for (int64_t r = 0; r < f->count; r++) {
        put(f->s, (int)r, column, room + (size_t)r * size);
    }
    return lo_h5_write(f->h5, number, f->count, room, LO_OK, err);
}

/* ---- statistics ---- */

enum { VALUE, LOW, HIGH, SPREAD, CORRECTED, FIELDS };
static const char *const fields[FIELDS] = {"value", "low", "high", "spread", "corrected"};

/* Correlations are there as they would be with a reference without noise, too. */
static int fields_of(int statistic)
{
    return statistic == LO_COMPARED_SPEARMAN || statistic == LO_COMPARED_PEARSON ? FIELDS : CORRECTED;
}

static double field_of(const lo_scaling *s, int r, int statistic, int field)
{
    const int64_t at = (int64_t)r * LO_COMPARED_COUNT + statistic;
    const double reliability =
        statistic == LO_COMPARED_SPEARMAN ? s->reliability.whole.spearman : s->reliability.whole.pearson;
    return field == VALUE    ? s->estimate[at]
           : field == LOW    ? s->low[at]
           : field == HIGH   ? s->high[at]
           : field == SPREAD ? s->spread[at]
                             : lo_disattenuated(s->estimate[at], reliability, 1);
}

static lo_status write_statistic(const filling *f, int statistic, const int *number, double *room,
                                 lo_error *err)
{
    for (int field = 0; field < fields_of(statistic); field++) {
        for (int64_t r = 0; r < f->count; r++) {
            room[r] = field_of(f->s, (int)r, statistic, field);
        }
        LO_TRY(lo_h5_write(f->h5, number[field], f->count, room, LO_OK, err));
    }
    return LO_OK;
}

static lo_status add_statistics(const filling *f, int number[LO_COMPARED_COUNT][FIELDS], lo_error *err)
{
    char path[96];
    for (int k = 0; k < LO_COMPARED_COUNT; k++) {
        for (int field = 0; field < fields_of(k); field++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", lo_compared_name((lo_compared)k), fields[field]);
            LO_TRY(
                lo_h5_add(f->h5, path, LO_H5_F64, f->s->rows, 0, f->first, f->count, &number[k][field], err));
        }
        (void)snprintf(path, sizeof(path), "/%s", lo_compared_name((lo_compared)k));
        LO_TRY(lo_h5_text(f->h5, path, "description", lo_compared_help((lo_compared)k), err));
    }
    return LO_OK;
}

/* ---- budgets ---- */

enum { BUDGET, BEST, BEST_VALUE, FEW, FEW_BY, BUDGET_COLUMNS };
static const struct {
    const char *path;
    lo_h5_type type;
} budget_columns[BUDGET_COLUMNS] = {
    [BUDGET] = {"/budgets/trainings", LO_H5_F64},         [BEST] = {"/budgets/best", LO_H5_CHARS},
    [BEST_VALUE] = {"/budgets/best_somers_d", LO_H5_F64}, [FEW] = {"/budgets/few_models_somers_d", LO_H5_F64},
    [FEW_BY] = {"/budgets/few_models_by", LO_H5_CHARS},
};

static void put_budget(const lo_scaling *s, int b, int column, char *to)
{
    const lo_scaling_budget *budget = &s->budget[b];
    if (budget_columns[column].type == LO_H5_CHARS) {
        const char *best = budget->best >= 0 ? s->row[budget->best].name : "";
        const char *by = budget->by != NULL ? budget->by : "";
        memset(to, 0, LO_H5_TEXT_SIZE);
        (void)snprintf(to, LO_H5_TEXT_SIZE, "%s", column == BEST ? best : by);
        return;
    }
    const double value = column == BUDGET   ? budget->trainings
                         : column == FEW    ? budget->few_models
                         : budget->best < 0 ? (double)NAN
                                            : lo_scaling_estimate(s, budget->best, LO_COMPARED_SOMERS);
    memcpy(to, &value, sizeof(value));
}

static lo_status write_budgets(const filling *f, const int *number, char *room, lo_error *err)
{
    const int64_t count = f->count > 0 ? f->s->budgets : 0;
    for (int column = 0; column < BUDGET_COLUMNS; column++) {
        const size_t size = lo_h5_size(budget_columns[column].type);
        for (int64_t b = 0; b < count; b++) {
            put_budget(f->s, (int)b, column, room + (size_t)b * size);
        }
        LO_TRY(lo_h5_write(f->h5, number[column], count, room, LO_OK, err));
    }
    return LO_OK;
}

/* ---- the file ---- */

static lo_status add_all(const filling *f, int column[COLUMNS], int statistic[LO_COMPARED_COUNT][FIELDS],
                         int budget[BUDGET_COLUMNS], lo_error *err)
{
    const int64_t budgets = f->s->budgets;
    for (int c = 0; c < COLUMNS; c++) {
        LO_TRY(lo_h5_add(f->h5, columns[c].path, columns[c].type, f->s->rows, 0, f->first, f->count,
                         &column[c], err));
    }
    LO_TRY(add_statistics(f, statistic, err));
    for (int c = 0; c < BUDGET_COLUMNS && budgets > 0; c++) {
        LO_TRY(lo_h5_add(f->h5, budget_columns[c].path, budget_columns[c].type, budgets, 0,
                         f->count > 0 ? 0 : budgets, f->count > 0 ? budgets : 0, &budget[c], err));
    }
    return LO_OK;
}

lo_status lo_scaling_write(const lo_scaling *scaling, uint64_t digest, lo_h5 *h5, lo_error *err)
{
    const bool mine = scaling->study->run.rank == 0;
    const filling f = {scaling, h5, mine ? 0 : scaling->rows, mine ? scaling->rows : 0};
    const size_t most = (size_t)(scaling->rows > scaling->budgets ? scaling->rows : scaling->budgets);
    int column[COLUMNS];
    int statistic[LO_COMPARED_COUNT][FIELDS];
    int budget[BUDGET_COLUMNS];
    char *room = calloc(most + 1, LO_H5_TEXT_SIZE);
    lo_status status =
        room != NULL ? write_root(&f, digest, err) : lo_fail(err, LO_INTERNAL, "no memory for scaling.h5");
    if (status == LO_OK) {
        status = add_all(&f, column, statistic, budget, err);
    }
    for (int c = 0; c < COLUMNS && status == LO_OK; c++) {
        status = write_column(&f, c, column[c], room, err);
    }
    for (int k = 0; k < LO_COMPARED_COUNT && status == LO_OK; k++) {
        status = write_statistic(&f, k, statistic[k], (double *)(void *)room, err);
    }
    if (status == LO_OK && scaling->budgets > 0) {
        status = write_budgets(&f, budget, room, err);
    }
    free(room);
    return status;
}
