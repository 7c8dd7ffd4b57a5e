/* leaveout export DIR audit, leaveout export DIR privacy. */
#include "base/file.h"
#include "jobs/audit/audit_numbers.h"
#include "jobs/export.h"
#include "report/npy.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS = 4, MOST_COLUMNS = 256, TEXTS = 5 };
static const char *const fields[FIELDS] = {"value", "low", "high", "ceiling"};
static const char *const texts[TEXTS] = {"method", "forget_set", "setting", "kind", "model"};

/* A table in memory: texts, then whole numbers, then numbers with their names. */
typedef struct table {
    int64_t rows;
    char (*text[TEXTS])[LO_H5_TEXT_SIZE];
    int texts, counts, columns;
    int64_t *count[MOST_COLUMNS];
    double *value[MOST_COLUMNS];
    char count_name[MOST_COLUMNS][96], name[MOST_COLUMNS][96];
} table;

static void table_free(table *t)
{
    for (int i = 0; i < t->texts; i++) {
        free(t->text[i]);
    }
    for (int i = 0; i < t->counts; i++) {
        free(t->count[i]);
    }
    for (int i = 0; i < t->columns; i++) {
        free(t->value[i]);
    }
    free(t);
}

/* A whole column; all have the same number of rows. */
static lo_status take(const lo_h5_reader *reader, table *t, const char *path, lo_h5_type type, void **data,
                      lo_error *err)
{
    int64_t rows = 0;
    LO_TRY(lo_h5_read_all(reader, path, type, data, &rows, NULL, err));
    if (t->rows >= 0 && rows != t->rows) {
        return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, path,
                       (long long)rows, (long long)t->rows);
    }
    t->rows = rows;
    return LO_OK;
}

static lo_status take_count(const lo_h5_reader *reader, table *t, const char *path, const char *name,
                            lo_error *err)
{
    (void)snprintf(t->count_name[t->counts], sizeof(t->count_name[0]), "%s", name);
    t->counts++;
    return take(reader, t, path, LO_H5_I64, (void **)&t->count[t->counts - 1], err);
}

/* The columns of a number: its own name is that of its value. */
static lo_status take_number(const lo_h5_reader *reader, table *t, const char *number, lo_error *err)
{
    char path[160], name[96];
    for (int f = 0; f < FIELDS; f++) {
        (void)snprintf(path, sizeof(path), "/%s/%s", number, fields[f]);
        (void)snprintf(t->name[t->columns], sizeof(t->name[0]), f == 0 ? "%s" : "%s_%s", number, fields[f]);
        t->columns++;
        LO_TRY(take(reader, t, path, LO_H5_F64, (void **)&t->value[t->columns - 1], err));
    }
    (void)snprintf(path, sizeof(path), "/%s/models", number);
    (void)snprintf(name, sizeof(name), "%s_models", number);
    return take_count(reader, t, path, name, err);
}

static lo_status read_audit(const lo_h5_reader *reader, table *t, lo_error *err)
{
    char path[64];
    for (int i = 0; i < TEXTS; i++) {
        (void)snprintf(path, sizeof(path), "/run/%s", texts[i]);
        t->texts++;
        LO_TRY(take(reader, t, path, LO_H5_CHARS, (void **)&t->text[i], err));
    }
    LO_TRY(take_count(reader, t, "/run/seed", "seed", err));
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        if (lo_h5_has(reader, lo_audit_number_at(k)->name)) {
            LO_TRY(take_number(reader, t, lo_audit_number_at(k)->name, err));
        }
    }
    return LO_OK;
}

static lo_status write_csv(const lo_export *x, const table *t, lo_error *err)
{
    lo_file file = {0};
    LO_TRY(lo_file_begin(x->out, &file, err));
    lo_csv csv = lo_csv_begin(file.stream);
    for (int64_t r = -1; r < t->rows; r++) {
        for (int i = 0; i < t->texts; i++) {
            lo_csv_text(&csv, r < 0 ? texts[i] : t->text[i][r]);
        }
        for (int i = 0; i < t->counts; i++) {
            if (r < 0) {
                lo_csv_text(&csv, t->count_name[i]);
            } else {
                lo_csv_int(&csv, t->count[i][r]);
            }
        }
        for (int i = 0; i < t->columns; i++) {
            if (r < 0) {
                lo_csv_text(&csv, t->name[i]);
            } else {
                lo_csv_double(&csv, t->value[i][r]);
            }
        }
        lo_csv_row(&csv);
    }
    LO_TRY(lo_file_end(&file, LO_OK, err));
    (void)printf("%s\n", x->out);
    return LO_OK;
}

lo_status lo_export_audit_csv(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    table *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a table");
    }
    t->rows = -1;
    lo_status status = lo_export_open(x, "audit.h5", &reader, err);
    if (status == LO_OK) {
        status = read_audit(&reader, t, err);
        lo_h5_close(&reader);
    }
    if (status == LO_OK) {
        status = write_csv(x, t, err);
    }
    table_free(t);
    return status;
}

lo_status lo_export_audit_npy(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    LO_TRY(lo_export_open(x, "audit.h5", &reader, err));
    lo_status status = lo_export_dataset(x, &reader, "/run/seed", LO_H5_I64, "run_seed", err);
    for (int k = 0; k < LO_AUDIT_NUMBERS && status == LO_OK; k++) {
        const char *number = lo_audit_number_at(k)->name;
        for (int f = 0; f < FIELDS && status == LO_OK && lo_h5_has(&reader, number); f++) {
            char path[128], name[128];
            (void)snprintf(path, sizeof(path), "/%s/%s", number, fields[f]);
            (void)snprintf(name, sizeof(name), "%s_%s", number, fields[f]);
            status = lo_export_dataset(x, &reader, path, LO_H5_F64, name, err);
        }
    }
    lo_h5_close(&reader);
    return status;
}

/* ---- privacy.h5 */

static const char *const by_example[] = {"lira/auc", "lira/accuracy", "lira_offline/auc", "rmia/auc"};
enum { BY_EXAMPLE = sizeof(by_example) / sizeof(by_example[0]) };

static void column_name(const char *path, char *name, size_t size)
{
    (void)snprintf(name, size, "%s", path);
    for (char *c = name; *c != '\0'; c++) {
        *c = (char)(*c == '/' ? '_' : *c);
    }
}

static lo_status read_privacy(const lo_export *x, const lo_h5_reader *reader, table *t, lo_error *err)
{
    lo_h5_reader ensemble;
    LO_TRY(lo_export_open(x, "ensemble.h5", &ensemble, err));
    const lo_status status = take_count(&ensemble, t, "/train/index", "train_index", err);
    lo_h5_close(&ensemble);
    LO_TRY(status);
    for (int i = 0; i < BY_EXAMPLE; i++) {
        if (!lo_h5_has(reader, by_example[i])) {
            continue;
        }
        float *single = NULL;
        const lo_status got = take(reader, t, by_example[i], LO_H5_F32, (void **)&single, err);
        double *value = got == LO_OK ? malloc(((size_t)t->rows + 1) * sizeof(*value)) : NULL;
        for (int64_t r = 0; r < t->rows && value != NULL; r++) {
            value[r] = (double)single[r];
        }
        free(single);
        column_name(by_example[i], t->name[t->columns], sizeof(t->name[0]));
        t->value[t->columns++] = value;
        LO_TRY(got);
        if (value == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for %lld rows", (long long)t->rows);
        }
    }
    return LO_OK;
}

lo_status lo_export_privacy_csv(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    table *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a table");
    }
    t->rows = -1;
    lo_status status = lo_export_open(x, "privacy.h5", &reader, err);
    if (status == LO_OK) {
        status = read_privacy(x, &reader, t, err);
        lo_h5_close(&reader);
    }
    if (status == LO_OK) {
        status = write_csv(x, t, err);
    }
    table_free(t);
    return status;
}

lo_status lo_export_privacy_npy(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader, ensemble;
    LO_TRY(lo_export_open(x, "privacy.h5", &reader, err));
    lo_status status = lo_export_open(x, "ensemble.h5", &ensemble, err);
    if (status == LO_OK) {
        status = lo_export_dataset(x, &ensemble, "/train/index", LO_H5_I64, "train_index", err);
        lo_h5_close(&ensemble);
    }
    for (int i = 0; i < BY_EXAMPLE && status == LO_OK; i++) {
        char name[96];
        column_name(by_example[i], name, sizeof(name));
        status = lo_h5_has(&reader, by_example[i])
                     ? lo_export_dataset(x, &reader, by_example[i], LO_H5_F32, name, err)
                     : LO_OK;
    }
    lo_h5_close(&reader);
    return status;
}
