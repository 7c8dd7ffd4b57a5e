#include "jobs/scaling/scaling_shown.h"

#include "jobs/scaling/scaling_table.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *path;
    size_t offset; /* of a double in lo_report_compared */
} shown[] = {
    {"/cost/trainings", offsetof(lo_report_compared, trainings)},
    {"/cost/own_trainings", offsetof(lo_report_compared, own)},
    {"/cost/originals", offsetof(lo_report_compared, originals)},
    {"/cost/trainings_after_originals", offsetof(lo_report_compared, later)},
    {"/somers_d/value", offsetof(lo_report_compared, somers)},
    {"/somers_d/low", offsetof(lo_report_compared, low)},
    {"/somers_d/high", offsetof(lo_report_compared, high)},
    {"/somers_d/spread", offsetof(lo_report_compared, spread)},
    {"/rmse", offsetof(lo_report_compared, rmse)},
    {"/screening/missed_050", offsetof(lo_report_compared, missed)},
    {"/screening/saving", offsetof(lo_report_compared, saving)},
    {"/spearman/value", offsetof(lo_report_compared, spearman)},
    {"/spearman/corrected", offsetof(lo_report_compared, corrected)},
    {"/pearson/value", offsetof(lo_report_compared, pearson)},
    {"/auc_025/value", offsetof(lo_report_compared, auc_quarter)},
    {"/auc_050/value", offsetof(lo_report_compared, auc_half)},
    {"/top/value", offsetof(lo_report_compared, top)},
    {"/middle_median/value", offsetof(lo_report_compared, middle_median)},
    {"/middle_rank/value", offsetof(lo_report_compared, middle_rank)},
    {"/bottom/value", offsetof(lo_report_compared, bottom)},
    {"/noise_auc/value", offsetof(lo_report_compared, noise)},
    {"/equal_cost/value", offsetof(lo_report_compared, difference)},
    {"/equal_cost/low", offsetof(lo_report_compared, difference_low)},
    {"/equal_cost/high", offsetof(lo_report_compared, difference_high)},
};

static double at(const lo_scaling_table *table, const char *path, int64_t row)
{
    const double *column = lo_scaling_column(table, path);
    return column != NULL ? column[row] : (double)NAN;
}

static lo_status copy(const lo_scaling_table *table, lo_report_scaling *out, lo_error *err)
{
    out->row = calloc((size_t)table->rows + 1, sizeof(*out->row));
    out->budget = calloc((size_t)table->budgets + 1, sizeof(*out->budget));
    if (out->row == NULL || out->budget == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the report");
    }
    for (int64_t r = 0; r < table->rows; r++) {
        lo_report_compared *c = &out->row[r];
        (void)snprintf(c->name, sizeof(c->name), "%s", table->score[r]);
        for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++) {
            *(double *)(void *)((char *)c + shown[k].offset) = at(table, shown[k].path, r);
        }
        c->front = at(table, "/front/member", r) > 0;
        c->later_front = at(table, "/front_after_originals/member", r) > 0;
        c->in_reference = at(table, "/in_reference", r) > 0;
    }
    for (int64_t b = 0; b < table->budgets; b++) {
        lo_report_budget *budget = &out->budget[b];
        budget->trainings = table->budget[b];
        budget->value = table->best_value[b];
        budget->few_models = table->few_models[b];
        (void)snprintf(budget->best, sizeof(budget->best), "%s", table->best[b]);
    }
    out->rows = table->rows;
    out->budgets = table->budgets;
    return LO_OK;
}

lo_status lo_scaling_show(const lo_study *study, lo_report_scaling *out, lo_error *err)
{
    char path[PATH_MAX];
    lo_scaling_table table;
    *out = (lo_report_scaling){0};
    (void)snprintf(path, sizeof(path), "%s/scaling.h5", study->run.study);
    if (!lo_job_has(study->job, "scaling") || access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = lo_scaling_table_read(study->run.study, &table, err);
    if (status == LO_OK) {
        out->ceiling = table.ceiling;
        out->reliability = table.reliability;
        out->tied = table.tied;
        out->in_accuracy = table.in_accuracy;
        out->in_accuracy_replaced = table.in_accuracy_replaced;
        out->training = table.training;
        out->models = table.models;
        out->held_back = table.held_back;
        out->group = table.group;
        out->resamples = table.resamples;
        status = copy(&table, out, err);
    }
    lo_scaling_table_free(&table);
    return status;
}

void lo_scaling_shown_free(lo_report_scaling *scaling)
{
    free(scaling->row);
    free(scaling->budget);
    *scaling = (lo_report_scaling){0};
}
