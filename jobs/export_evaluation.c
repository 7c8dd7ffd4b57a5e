/* leaveout export DIR evaluation. */
#include "base/file.h"
#include "jobs/export.h"
#include "report/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_TEXTS = 6,
    RUN_COUNTS = 4,
    RUN_FLAGS = 3,
    MOST_METRICS = 64,
    METRIC_FIELDS = 4,
    METRIC_NAMES = 1024
};
static const char *const run_texts[RUN_TEXTS] = {"method", "forget_set", "setting",
                                                 "kind",   "model",      "reason"};
static const char *const run_counts[RUN_COUNTS] = {"seed", "read_forget", "read_retain", "read_validation"};
static const char *const run_flags[RUN_FLAGS] = {"applies", "diverged", "chosen"};
static const char *const metric_fields[METRIC_FIELDS] = {"value", "low", "high", "ceiling"};

/* evaluation.h5 in memory: one row a run. */
typedef struct evaluation {
    char names[METRIC_NAMES];
    const char *metric[MOST_METRICS];
    int metrics;
    char (*text[RUN_TEXTS])[LO_H5_TEXT_SIZE];
    int64_t *count[RUN_COUNTS];
    uint8_t *flag[RUN_FLAGS];
    double *seconds, *value[MOST_METRICS][METRIC_FIELDS];
    int64_t rows;
} evaluation;

static void evaluation_free(evaluation *e)
{
    for (int i = 0; i < RUN_TEXTS; i++) {
        free(e->text[i]);
    }
    for (int i = 0; i < RUN_COUNTS; i++) {
        free(e->count[i]);
    }
    for (int m = 0; m < e->metrics; m++) {
        for (int f = 0; f < METRIC_FIELDS; f++) {
            free(e->value[m][f]);
        }
    }
    for (int i = 0; i < RUN_FLAGS; i++) {
        free(e->flag[i]);
    }
    free(e->seconds);
}

static lo_status read_metric_names(const lo_h5_reader *reader, evaluation *e, lo_error *err)
{
    LO_TRY(lo_h5_get_text(reader, "/", "metrics", e->names, sizeof(e->names), err));
    char *rest = NULL;
    for (char *name = strtok_r(e->names, " ", &rest); name != NULL && e->metrics < MOST_METRICS;
         name = strtok_r(NULL, " ", &rest)) {
        e->metric[e->metrics++] = name;
    }
    return LO_OK;
}

/* A whole column; all have the same number of rows. */
static lo_status read_run(const lo_h5_reader *reader, const char *group, const char *name, lo_h5_type type,
                          void **data, int64_t *rows, lo_error *err)
{
    char path[128];
    int64_t found = 0;
    (void)snprintf(path, sizeof(path), "/%s/%s", group, name);
    LO_TRY(lo_h5_read_all(reader, path, type, data, &found, NULL, err));
    if (*rows >= 0 && found != *rows) {
        return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, path,
                       (long long)found, (long long)*rows);
    }
    *rows = found;
    return LO_OK;
}

static lo_status read_evaluation(const lo_h5_reader *reader, evaluation *e, lo_error *err)
{
    e->rows = -1;
    LO_TRY(read_metric_names(reader, e, err));
    for (int i = 0; i < RUN_TEXTS; i++) {
        LO_TRY(read_run(reader, "run", run_texts[i], LO_H5_CHARS, (void **)&e->text[i], &e->rows, err));
    }
    for (int i = 0; i < RUN_COUNTS; i++) {
        LO_TRY(read_run(reader, "run", run_counts[i], LO_H5_I64, (void **)&e->count[i], &e->rows, err));
    }
    for (int i = 0; i < RUN_FLAGS; i++) {
        LO_TRY(read_run(reader, "run", run_flags[i], LO_H5_U8, (void **)&e->flag[i], &e->rows, err));
    }
    LO_TRY(read_run(reader, "run", "seconds", LO_H5_F64, (void **)&e->seconds, &e->rows, err));
    for (int m = 0; m < e->metrics; m++) {
        for (int f = 0; f < METRIC_FIELDS; f++) {
            LO_TRY(read_run(reader, e->metric[m], metric_fields[f], LO_H5_F64, (void **)&e->value[m][f],
                            &e->rows, err));
        }
    }
    return LO_OK;
}

static void write_evaluation_head(const evaluation *e, lo_csv *csv)
{
    for (int m = 0; m < e->metrics; m++) {
        for (int f = 0; f < METRIC_FIELDS; f++) {
            char name[160];
            (void)snprintf(name, sizeof(name), f == 0 ? "%s" : "%s_%s", e->metric[m], metric_fields[f]);
            lo_csv_text(csv, name);
        }
    }
    lo_csv_row(csv);
}

static void write_evaluation_row(const evaluation *e, int64_t r, lo_csv *csv)
{
    for (int i = 0; i < RUN_TEXTS; i++) {
        lo_csv_text(csv, e->text[i][r]);
    }
    for (int i = 0; i < RUN_COUNTS; i++) {
        lo_csv_int(csv, e->count[i][r]);
    }
    for (int i = 0; i < RUN_FLAGS; i++) {
        lo_csv_int(csv, e->flag[i][r]);
    }
    lo_csv_double(csv, e->seconds[r]);
    for (int m = 0; m < e->metrics; m++) {
        for (int f = 0; f < METRIC_FIELDS; f++) {
            lo_csv_double(csv, e->value[m][f][r]);
        }
    }
    lo_csv_row(csv);
}

lo_status lo_export_evaluation_csv(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    evaluation e = {.rows = 0};
    lo_file file = {0};
    LO_TRY(lo_export_open(x, "evaluation.h5", &reader, err));
    lo_status status = read_evaluation(&reader, &e, err);
    lo_h5_close(&reader);
    if (status == LO_OK) {
        status = lo_file_begin(x->out, &file, err);
    }
    if (status == LO_OK) {
        lo_csv csv = lo_csv_begin(file.stream);
        for (int i = 0; i < RUN_TEXTS; i++) {
            lo_csv_text(&csv, run_texts[i]);
        }
        for (int i = 0; i < RUN_COUNTS; i++) {
            lo_csv_text(&csv, run_counts[i]);
        }
        for (int i = 0; i < RUN_FLAGS; i++) {
            lo_csv_text(&csv, run_flags[i]);
        }
        lo_csv_text(&csv, "seconds");
        write_evaluation_head(&e, &csv);
        for (int64_t r = 0; r < e.rows; r++) {
            write_evaluation_row(&e, r, &csv);
        }
        status = lo_file_end(&file, LO_OK, err);
        if (status == LO_OK) {
            (void)printf("%s\n", x->out);
        }
    }
    evaluation_free(&e);
    return status;
}

/* Numbers alone: their rows are those of the table as csv. */
lo_status lo_export_evaluation_npy(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    evaluation e = {.rows = 0};
    LO_TRY(lo_export_open(x, "evaluation.h5", &reader, err));
    lo_status status = read_metric_names(&reader, &e, err);
    if (status == LO_OK) {
        status = lo_export_dataset(x, &reader, "/run/seed", LO_H5_I64, "run_seed", err);
    }
    for (int m = 0; m < e.metrics && status == LO_OK; m++) {
        for (int f = 0; f < METRIC_FIELDS && status == LO_OK; f++) {
            char path[128], name[128];
            (void)snprintf(path, sizeof(path), "/%s/%s", e.metric[m], metric_fields[f]);
            (void)snprintf(name, sizeof(name), "%s_%s", e.metric[m], metric_fields[f]);
            status = lo_export_dataset(x, &reader, path, LO_H5_F64, name, err);
        }
    }
    lo_h5_close(&reader);
    return status;
}
