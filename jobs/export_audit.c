/* leaveout export DIR audit, leaveout export DIR privacy. */
#include "base/file.h"
#include "jobs/audit/audit_groups.h"
#include "jobs/audit/audit_numbers.h"
#include "jobs/export.h"
#include "report/npy.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS = 7, MOST_COLUMNS = 512, TEXTS = 5, MOST_TEXTS = TEXTS + 1 };
static const char *const fields[FIELDS] = {"value", "low",       "high",      "ceiling",
                                           "apart", "apart_low", "apart_high"};
static const char *const texts[TEXTS] = {"method", "forget_set", "setting", "kind", "model"};

/* A table in memory: texts, then whole numbers, then numbers with their names. */
typedef struct table {
    int64_t rows;
    char (*text[MOST_TEXTS])[LO_H5_TEXT_SIZE]; /* those of `texts`, then what u_lira rests on */
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
    LO_TRY(take_count(reader, t, path, name, err));
    (void)snprintf(path, sizeof(path), "/%s/fitted", number);
    (void)snprintf(name, sizeof(name), "%s_fitted", number);
    return lo_h5_has(reader, path) ? take_count(reader, t, path, name, err) : LO_OK;
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
    if (lo_h5_has(reader, "/u_lira/reference")) {
        t->texts++;
        LO_TRY(take(reader, t, "/u_lira/reference", LO_H5_CHARS, (void **)&t->text[TEXTS], err));
    }
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
            lo_csv_text(&csv, r >= 0 ? t->text[i][r] : i < TEXTS ? texts[i] : "u_lira_reference");
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
    if (status == LO_OK && lo_h5_has(&reader, "/false_positive_rate")) {
        status = lo_export_dataset(x, &reader, "/false_positive_rate", LO_H5_F64, "false_positive_rate", err);
    }
    for (int k = 0; k < LO_AUDIT_CURVES && status == LO_OK; k++) {
        char path[128], name[128];
        (void)snprintf(path, sizeof(path), "/%s/roc", lo_audit_number_at(lo_audit_curve_number(k))->name);
        (void)snprintf(name, sizeof(name), "%s_roc", lo_audit_number_at(lo_audit_curve_number(k))->name);
        status = lo_h5_has(&reader, path) ? lo_export_dataset(x, &reader, path, LO_H5_F32, name, err) : LO_OK;
    }
    lo_h5_close(&reader);
    return status;
}

/* ---- groups of forget sets ---- */

static lo_status open_groups(const lo_export *x, lo_h5_reader *reader, lo_error *err)
{
    LO_TRY(lo_export_open(x, "audit.h5", reader, err));
    if (!lo_h5_has(reader, "/by_group")) {
        lo_h5_close(reader);
        return lo_fail(
            err, LO_USAGE,
            "%s: no forget set has groups; those of select: mix have, and all where a method splits "
            "by a score (rum)",
            x->study);
    }
    return LO_OK;
}

/* The columns of one number, [rows, LO_AUDIT_GROUPS]. */
typedef struct grouped {
    double *field[FIELDS];
    int64_t *models;
} grouped;

static void grouped_free(grouped *g)
{
    for (int f = 0; f < FIELDS; f++) {
        free(g->field[f]);
    }
    free(g->models);
}

static lo_status take_groups(const lo_h5_reader *reader, int64_t rows, const char *path, lo_h5_type type,
                             void **data, lo_error *err)
{
    int64_t found = 0, items = 0;
    LO_TRY(lo_h5_read_all(reader, path, type, data, &found, &items, err));
    return found == rows && items == LO_AUDIT_GROUPS
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; %lld x %d is expected", reader->file, path,
                         (long long)found, (long long)items, (long long)rows, LO_AUDIT_GROUPS);
}

static lo_status read_grouped(const lo_h5_reader *reader, int64_t rows, const char *number, grouped *out,
                              lo_error *err)
{
    char path[128];
    for (int f = 0; f < FIELDS; f++) {
        (void)snprintf(path, sizeof(path), "/by_group/%s/%s", number, fields[f]);
        LO_TRY(take_groups(reader, rows, path, LO_H5_F64, (void **)&out->field[f], err));
    }
    (void)snprintf(path, sizeof(path), "/by_group/%s/models", number);
    return take_groups(reader, rows, path, LO_H5_I64, (void **)&out->models, err);
}

/* What the rows of all numbers share: whom they are about, and of which groups. */
typedef struct group_rows {
    table *run;
    char (*score)[LO_H5_TEXT_SIZE];
    double *mean;
    int64_t *examples;
} group_rows;

static lo_status read_group_rows(const lo_h5_reader *reader, group_rows *g, lo_error *err)
{
    char path[64];
    for (int i = 0; i < TEXTS; i++) {
        (void)snprintf(path, sizeof(path), "/run/%s", texts[i]);
        g->run->texts++;
        LO_TRY(take(reader, g->run, path, LO_H5_CHARS, (void **)&g->run->text[i], err));
    }
    LO_TRY(take_count(reader, g->run, "/run/seed", "seed", err));
    LO_TRY(take(reader, g->run, "/by_group/score", LO_H5_CHARS, (void **)&g->score, err));
    LO_TRY(take_groups(reader, g->run->rows, "/by_group/mean_score", LO_H5_F64, (void **)&g->mean, err));
    return take_groups(reader, g->run->rows, "/by_group/examples", LO_H5_I64, (void **)&g->examples, err);
}

static void write_grouped(lo_csv *csv, const group_rows *g, const char *number, const grouped *values)
{
    for (int64_t i = 0; i < g->run->rows * LO_AUDIT_GROUPS; i++) {
        const int64_t r = i / LO_AUDIT_GROUPS;
        if (g->score[r][0] == '\0') {
            continue; /* its forget set has no groups */
        }
        for (int t = 0; t < TEXTS; t++) {
            lo_csv_text(csv, g->run->text[t][r]);
        }
        lo_csv_int(csv, g->run->count[0][r]);
        lo_csv_text(csv, g->score[r]);
        lo_csv_text(csv, lo_audit_group_name((int)(i % LO_AUDIT_GROUPS)));
        lo_csv_double(csv, g->mean[i]);
        lo_csv_int(csv, g->examples[i]);
        lo_csv_text(csv, number);
        for (int f = 0; f < FIELDS; f++) {
            lo_csv_double(csv, values->field[f][i]);
        }
        lo_csv_int(csv, values->models[i]);
        lo_csv_row(csv);
    }
}

static lo_status write_groups(const lo_h5_reader *reader, const group_rows *g, FILE *out, lo_error *err)
{
    static const char *const head[] = {"seed",   "score",     "group",      "mean_score", "examples",
                                       "number", "value",     "low",        "high",       "ceiling",
                                       "apart",  "apart_low", "apart_high", "models"};
    lo_csv csv = lo_csv_begin(out);
    for (int t = 0; t < TEXTS; t++) {
        lo_csv_text(&csv, texts[t]);
    }
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        lo_csv_text(&csv, head[i]);
    }
    lo_csv_row(&csv);
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        const char *number = lo_audit_by_number_at(k)->name;
        char path[96];
        grouped values = {0};
        (void)snprintf(path, sizeof(path), "/by_group/%s", number);
        if (!lo_h5_has(reader, path)) {
            continue;
        }
        const lo_status status = read_grouped(reader, g->run->rows, number, &values, err);
        if (status == LO_OK) {
            write_grouped(&csv, g, number, &values);
        }
        grouped_free(&values);
        LO_TRY(status);
    }
    return LO_OK;
}

lo_status lo_export_audit_groups_csv(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader;
    lo_file file = {0};
    group_rows g = {.run = calloc(1, sizeof(*g.run))};
    if (g.run == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a table");
    }
    g.run->rows = -1;
    lo_status status = open_groups(x, &reader, err);
    if (status == LO_OK) {
        status = read_group_rows(&reader, &g, err);
        if (status == LO_OK) {
            status = lo_file_begin(x->out, &file, err);
        }
        if (status == LO_OK) {
            status = lo_file_end(&file, write_groups(&reader, &g, file.stream, err), err);
        }
        lo_h5_close(&reader);
    }
    if (status == LO_OK) {
        (void)printf("%s\n", x->out);
    }
    free(g.score);
    free(g.mean);
    free(g.examples);
    table_free(g.run);
    return status;
}

lo_status lo_export_audit_groups_npy(const lo_export *x, lo_error *err)
{
    static const char *const more[] = {"mean_score", "examples", "right"};
    static const lo_h5_type types[] = {LO_H5_F64, LO_H5_I64, LO_H5_I64};
    lo_h5_reader reader;
    char path[128], name[128];
    LO_TRY(open_groups(x, &reader, err));
    lo_status status = LO_OK;
    for (int i = 0; i < 3 && status == LO_OK; i++) {
        (void)snprintf(path, sizeof(path), "/by_group/%s", more[i]);
        (void)snprintf(name, sizeof(name), "by_group_%s", more[i]);
        status = lo_export_dataset(x, &reader, path, types[i], name, err);
    }
    for (int k = 0; k < LO_BY_NUMBERS * FIELDS && status == LO_OK; k++) {
        const char *number = lo_audit_by_number_at(k / FIELDS)->name;
        (void)snprintf(path, sizeof(path), "/by_group/%s/%s", number, fields[k % FIELDS]);
        (void)snprintf(name, sizeof(name), "by_group_%s_%s", number, fields[k % FIELDS]);
        status = lo_h5_has(&reader, path) ? lo_export_dataset(x, &reader, path, LO_H5_F64, name, err) : LO_OK;
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
