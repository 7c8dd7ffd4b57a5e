#include "jobs/unlearning/unlearning_shown.h"

#include "audit/interval.h"
#include "jobs/audit/choices_shown.h"
#include "jobs/unlearning/evaluation.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { METHOD, FORGET_SET, SETTING, REASON, MODEL, TEXTS };
static const char *const texts[TEXTS] = {"/run/method", "/run/forget_set", "/run/setting", "/run/reason",
                                         "/run/model"};

static const lo_eval_metric shown[] = {LO_EVAL_UNLEARNING_ACCURACY, LO_EVAL_RETAIN_ACCURACY,
                                       LO_EVAL_TEST_ACCURACY,       LO_EVAL_TOW,
                                       LO_EVAL_TIME_RATIO,          LO_EVAL_ORIGINAL_FORGET_ACCURACY};
enum { SHOWN = sizeof(shown) / sizeof(shown[0]) };

typedef struct file {
    lo_h5_reader reader;
    char (*text[TEXTS])[LO_H5_TEXT_SIZE];
    double *value[SHOWN], *ceiling, *seconds;
    uint8_t *diverged, *applies, *chosen;
    int64_t rows;
} file;

static void file_free(file *f)
{
    lo_h5_close(&f->reader);
    for (int i = 0; i < TEXTS; i++) {
        free(f->text[i]);
    }
    for (int m = 0; m < SHOWN; m++) {
        free(f->value[m]);
    }
    free(f->ceiling);
    free(f->seconds);
    free(f->diverged);
    free(f->applies);
    free(f->chosen);
}

static lo_status read_column(file *f, const char *path, lo_h5_type type, void **data, lo_error *err)
{
    int64_t rows = 0;
    LO_TRY(lo_h5_read_all(&f->reader, path, type, data, &rows, NULL, err));
    if (f->rows >= 0 && rows != f->rows) {
        return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", f->reader.file, path,
                       (long long)rows, (long long)f->rows);
    }
    f->rows = rows;
    return LO_OK;
}

static lo_status read_file(file *f, lo_error *err)
{
    char path[64];
    f->rows = -1;
    for (int i = 0; i < TEXTS; i++) {
        LO_TRY(read_column(f, texts[i], LO_H5_CHARS, (void **)&f->text[i], err));
    }
    LO_TRY(read_column(f, "/run/seconds", LO_H5_F64, (void **)&f->seconds, err));
    LO_TRY(read_column(f, "/run/diverged", LO_H5_U8, (void **)&f->diverged, err));
    LO_TRY(read_column(f, "/run/applies", LO_H5_U8, (void **)&f->applies, err));
    LO_TRY(read_column(f, "/run/chosen", LO_H5_U8, (void **)&f->chosen, err));
    for (int m = 0; m < SHOWN; m++) {
        (void)snprintf(path, sizeof(path), "/%s/value", lo_eval_name(shown[m]));
        LO_TRY(read_column(f, path, LO_H5_F64, (void **)&f->value[m], err));
    }
    (void)snprintf(path, sizeof(path), "/%s/ceiling", lo_eval_name(LO_EVAL_TOW));
    return read_column(f, path, LO_H5_F64, (void **)&f->ceiling, err);
}

/* Were other settings of this method tried on this set, one of which is worse? */
static bool has_rivals(const file *f, int64_t row)
{
    for (int64_t r = 0; r < f->rows; r++) {
        if (strcmp(f->text[METHOD][r], f->text[METHOD][row]) == 0 &&
            strcmp(f->text[FORGET_SET][r], f->text[FORGET_SET][row]) == 0 && f->chosen[r] == 0) {
            return true;
        }
    }
    return false;
}

/* Rows that are of one method on one forget set stand together. */
static bool same(const file *f, int64_t a, int64_t b)
{
    return strcmp(f->text[METHOD][a], f->text[METHOD][b]) == 0 &&
           strcmp(f->text[FORGET_SET][a], f->text[FORGET_SET][b]) == 0 &&
           strcmp(f->text[SETTING][a], f->text[SETTING][b]) == 0;
}

static lo_report_mean mean_of(const double *value, int64_t count)
{
    const lo_bounded b = lo_student_mean(value, count);
    /* Of shares, all of them. */
    return (lo_report_mean){b.value, isnan(b.low) ? b.low : fmax(b.low, 0),
                            isnan(b.high) ? b.high : fmin(b.high, 1)};
}

/* The mean over the rows from .. to-1. Rows that do not apply do so for all seeds. */
static void condense(const file *f, int64_t from, int64_t to, lo_report_unlearned *out)
{
    *out = (lo_report_unlearned){.applies = f->applies[from] != 0, .tow_ceiling = f->ceiling[from]};
    memcpy(out->method, f->text[METHOD][from], sizeof(out->method));
    memcpy(out->forget_set, f->text[FORGET_SET][from], sizeof(out->forget_set));
    memcpy(out->setting, f->text[SETTING][from], sizeof(out->setting));
    memcpy(out->reason, f->text[REASON][from], sizeof(out->reason));
    lo_choice_label(&f->reader, out->method, out->setting, f->text[MODEL][from], out->label,
                    sizeof(out->label));
    out->chosen = f->chosen[from] != 0;
    out->seeds = to - from;
    for (int64_t r = from; r < to; r++) {
        out->diverged += f->diverged[r] != 0;
    }
    out->unlearning = mean_of(f->value[0] + from, out->seeds);
    out->retain = mean_of(f->value[1] + from, out->seeds);
    out->test = mean_of(f->value[2] + from, out->seeds);
    out->tow = mean_of(f->value[3] + from, out->seeds);
    out->time_ratio = lo_student_mean(f->value[4] + from, out->seeds).value;
    out->original = lo_student_mean(f->value[5] + from, out->seeds).value;
    out->seconds = lo_student_mean(f->seconds + from, out->seeds).value;
}

/* The sizes of the forget sets, from forget.h5 where it is there. */
static void find_sizes(const char *study, lo_report_unlearned *rows, int64_t count)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/forget.h5", study);
    if (lo_h5_open(path, &reader, NULL) != LO_OK) {
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        int64_t items;
        (void)snprintf(path, sizeof(path), "/%s/index", rows[r].forget_set);
        (void)lo_h5_sizes(&reader, path, &rows[r].forget_count, &items, NULL);
    }
    lo_h5_close(&reader);
}

lo_status lo_unlearning_show(const char *study, lo_report_unlearned **rows, int64_t *count, lo_error *err)
{
    char path[PATH_MAX];
    file f = {.reader = {.id = -1}};
    *rows = NULL;
    *count = 0;
    (void)snprintf(path, sizeof(path), "%s/evaluation.h5", study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &f.reader, err));
    lo_status status = read_file(&f, err);
    if (status == LO_OK) {
        *rows = calloc((size_t)f.rows + 1, sizeof(**rows));
        status = *rows != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the report of unlearning");
    }
    for (int64_t r = 0, next; status == LO_OK && r < f.rows; r = next) {
        for (next = r + 1; next < f.rows && same(&f, r, next); next++) {
        }
        condense(&f, r, next, &(*rows)[*count]);
        (*rows)[(*count)++].searched = has_rivals(&f, r);
    }
    file_free(&f);
    if (status == LO_OK) {
        find_sizes(study, *rows, *count);
    }
    return status;
}
