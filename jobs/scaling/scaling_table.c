#include "jobs/scaling/scaling_table.h"

#include "score/comparison.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *path;
    lo_h5_type type;
} plain[] = {
    {"/cost/trainings", LO_H5_F64},
    {"/cost/own_trainings", LO_H5_F64},
    {"/cost/own_core_seconds", LO_H5_F64},
    {"/cost/originals_core_seconds", LO_H5_F64},
    {"/cost/ensemble_core_seconds", LO_H5_F64},
    {"/cost/ensemble_models", LO_H5_I64},
    {"/cost/trainings_after_originals", LO_H5_F64},
    {"/cost/originals", LO_H5_I64},
    {"/in_reference", LO_H5_U8},
    {"/left_out", LO_H5_I64},
    {"/front/member", LO_H5_U8},
    {"/front/share", LO_H5_F64},
    {"/front_after_originals/member", LO_H5_U8},
    {"/front_after_originals/share", LO_H5_F64},
    {"/equal_cost/value", LO_H5_F64},
    {"/equal_cost/low", LO_H5_F64},
    {"/equal_cost/high", LO_H5_F64},
    {"/equal_cost/worth_trainings", LO_H5_F64},
    {"/screening/missed_025", LO_H5_F64},
    {"/screening/missed_050", LO_H5_F64},
    {"/screening/saving", LO_H5_F64},
    {"/rmse", LO_H5_F64},
};

static const char *const statistics[] = {
#define STATISTIC(name, text, help) "/" text "/value", "/" text "/low", "/" text "/high", "/" text "/spread",
    LO_COMPARED_LIST(STATISTIC)
#undef STATISTIC
        "/spearman/corrected",
    "/pearson/corrected"};

static double number_at(const void *data, lo_h5_type type, int64_t i)
{
    return type == LO_H5_F64   ? ((const double *)data)[i]
           : type == LO_H5_I64 ? (double)((const int64_t *)data)[i]
                               : (double)((const uint8_t *)data)[i];
}

static lo_status read_column(const lo_h5_reader *reader, const char *path, lo_h5_type type, int64_t rows,
                             double **out, lo_error *err)
{
    void *data = NULL;
    int64_t found = 0;
    LO_TRY(lo_h5_read_all(reader, path, type, &data, &found, NULL, err));
    *out = calloc((size_t)found + 1, sizeof(**out));
    lo_status status = *out != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %s", path);
    if (status == LO_OK && found != rows) {
        status = lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, path,
                         (long long)found, (long long)rows);
    }
    for (int64_t i = 0; i < found && status == LO_OK; i++) {
        (*out)[i] = number_at(data, type, i);
    }
    free(data);
    return status;
}

static lo_status add_column(const lo_h5_reader *reader, const char *path, lo_h5_type type,
                            lo_scaling_table *t, lo_error *err)
{
    t->path[t->columns] = path;
    return read_column(reader, path, type, t->rows, &t->column[t->columns++], err);
}

static lo_status read_texts(const lo_h5_reader *reader, const char *path, int64_t *rows,
                            char (**out)[LO_H5_TEXT_SIZE], lo_error *err)
{
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_CHARS, (void **)out, rows, NULL, err));
    for (int64_t i = 0; i < *rows; i++) {
        (*out)[i][LO_H5_TEXT_SIZE - 1] = '\0';
    }
    return LO_OK;
}

static lo_status read_budgets(const lo_h5_reader *reader, lo_scaling_table *t, lo_error *err)
{
    if (!lo_h5_has(reader, "/budgets/best")) {
        return LO_OK;
    }
    LO_TRY(read_texts(reader, "/budgets/best", &t->budgets, &t->best, err));
    LO_TRY(read_texts(reader, "/budgets/few_models_by", &t->budgets, &t->by, err));
    LO_TRY(read_column(reader, "/budgets/trainings", LO_H5_F64, t->budgets, &t->budget, err));
    LO_TRY(read_column(reader, "/budgets/best_somers_d", LO_H5_F64, t->budgets, &t->best_value, err));
    return read_column(reader, "/budgets/few_models_somers_d", LO_H5_F64, t->budgets, &t->few_models, err);
}

static lo_status read_root(const lo_h5_reader *reader, lo_scaling_table *t, lo_error *err)
{
    LO_TRY(lo_h5_get_real(reader, "/", "ceiling_spearman", &t->ceiling, err));
    LO_TRY(lo_h5_get_real(reader, "/", "reliability_spearman", &t->reliability, err));
    LO_TRY(lo_h5_get_real(reader, "/", "reference_tied", &t->tied, err));
    LO_TRY(lo_h5_get_real(reader, "/", "in_accuracy", &t->in_accuracy, err));
    LO_TRY(lo_h5_get_real(reader, "/", "in_accuracy_replaced", &t->in_accuracy_replaced, err));
    LO_TRY(lo_h5_get_real(reader, "/", "training_core_seconds", &t->training, err));
    LO_TRY(lo_h5_get_int(reader, "/", "reference_models", &t->models, err));
    LO_TRY(lo_h5_get_int(reader, "/", "models_held_back", &t->held_back, err));
    LO_TRY(lo_h5_get_int(reader, "/", "group", &t->group, err));
    return lo_h5_get_int(reader, "/", "resamples", &t->resamples, err);
}

static lo_status read_all(const lo_h5_reader *reader, lo_scaling_table *t, lo_error *err)
{
    LO_TRY(read_root(reader, t, err));
    LO_TRY(read_texts(reader, "/score", &t->rows, &t->score, err));
    LO_TRY(read_texts(reader, "/equal_cost/few_models_by", &t->rows, &t->against, err));
    for (size_t c = 0; c < sizeof(plain) / sizeof(plain[0]); c++) {
        LO_TRY(add_column(reader, plain[c].path, plain[c].type, t, err));
    }
    for (size_t c = 0; c < sizeof(statistics) / sizeof(statistics[0]); c++) {
        LO_TRY(add_column(reader, statistics[c], LO_H5_F64, t, err));
    }
    return read_budgets(reader, t, err);
}

lo_status lo_scaling_table_read(const char *directory, lo_scaling_table *out, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    *out = (lo_scaling_table){0};
    (void)snprintf(path, sizeof(path), "%s/scaling.h5", directory);
    LO_TRY(lo_h5_open(path, &reader, err));
    const lo_status status = read_all(&reader, out, err);
    lo_h5_close(&reader);
    return status;
}

void lo_scaling_table_free(lo_scaling_table *table)
{
    for (int c = 0; c < table->columns; c++) {
        free(table->column[c]);
    }
    free(table->score);
    free(table->against);
    free(table->budget);
    free(table->best_value);
    free(table->few_models);
    free(table->best);
    free(table->by);
    *table = (lo_scaling_table){0};
}

const double *lo_scaling_column(const lo_scaling_table *table, const char *path)
{
    for (int c = 0; c < table->columns; c++) {
        if (strcmp(table->path[c], path) == 0) {
            return table->column[c];
        }
    }
    return NULL;
}
