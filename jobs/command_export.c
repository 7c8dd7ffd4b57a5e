/* leaveout export: a study's results as csv or npy. */
#include "base/file.h"
#include "jobs/commands.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/export.h"
#include "jobs/scaling/scaling_table.h"
#include "jobs/scores/score_list.h"
#include "jobs/study/outcome.h"
#include "jobs/study/study.h"
#include "mpi/h5file.h"
#include "report/npy.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef lo_export export;

lo_status lo_export_open(const lo_export *x, const char *name, lo_h5_reader *reader, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", x->study, name);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return lo_fail(
            err, LO_USAGE,
            "%s: nothing to export: there is no %s (`leaveout report %s` publishes what is done, if the "
            "job asks for it)",
            x->study, name, x->study);
    }
    return lo_h5_open(path, reader, err);
}

/* A dataset wanted whole. */
typedef struct wanted {
    const char *path;
    lo_h5_type type;
    void **data; /* malloc'ed; the caller frees it, also after an error */
} wanted;

/* Reads them all; every one must have the same number of rows, which *rows takes. */
static lo_status read_columns(const lo_h5_reader *reader, const wanted *columns, size_t count, int64_t *rows,
                              lo_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int64_t found = 0;
        LO_TRY(lo_h5_read_all(reader, columns[i].path, columns[i].type, columns[i].data, &found, NULL, err));
        if (i > 0 && found != *rows) {
            return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file,
                           columns[i].path, (long long)found, (long long)*rows);
        }
        *rows = found;
    }
    return LO_OK;
}

/* Begins a table with its head; count 0: the caller writes that. */
static lo_status begin_table(const export *x, const char *const *names, size_t count, lo_file *file,
                             lo_csv *csv, lo_error *err)
{
    LO_TRY(lo_file_begin(x->out, file, err));
    *csv = lo_csv_begin(file->stream);
    for (size_t i = 0; i < count; i++) {
        lo_csv_text(csv, names[i]);
    }
    if (count > 0) {
        lo_csv_row(csv);
    }
    return LO_OK;
}

static lo_status end_table(const export *x, lo_file *file, lo_status status, lo_error *err)
{
    status = lo_file_end(file, status, err);
    if (status == LO_OK) {
        (void)printf("%s\n", x->out);
    }
    return status;
}

lo_status lo_export_dataset(const lo_export *x, const lo_h5_reader *reader, const char *path, lo_h5_type type,
                            const char *name, lo_error *err)
{
    enum { BLOCK_BYTES = 16 << 20 };
    static const lo_npy_type types[] = {
        [LO_H5_U8] = LO_NPY_UINT8,    [LO_H5_I32] = LO_NPY_INT32,   [LO_H5_I64] = LO_NPY_INT64,
        [LO_H5_F32] = LO_NPY_FLOAT32, [LO_H5_F64] = LO_NPY_FLOAT64,
    };
    char file[PATH_MAX];
    int64_t rows;
    int64_t items;
    LO_TRY(lo_h5_sizes(reader, path, &rows, &items, err));
    (void)snprintf(file, sizeof(file), "%s/%s.npy", x->out, name);
    const int64_t shape[2] = {rows, items};
    lo_npy npy;
    LO_TRY(lo_npy_begin(file, types[type], items > 1 ? 2 : 1, shape, &npy, err));
    const int64_t row_bytes = items * (int64_t)lo_h5_size(type);
    const int64_t block = BLOCK_BYTES / row_bytes > 0 ? BLOCK_BYTES / row_bytes : 1;
    void *buffer = malloc((size_t)(block * row_bytes));
    lo_status status = buffer != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to export %s", path);
    for (int64_t r = 0; r < rows && status == LO_OK; r += block) {
        const int64_t now = rows - r < block ? rows - r : block;
        status = lo_h5_read(reader, path, type, r, now, buffer, err);
        if (status == LO_OK) {
            status = lo_npy_append(&npy, buffer, now * items, err);
        }
    }
    free(buffer);
    status = lo_npy_end(&npy, status, err);
    if (status == LO_OK) {
        (void)printf("%s\n", file);
    }
    return status;
}

/* ---- scores ---- */

enum { FIELDS = 4, MOST_SCORES = 64 };
static const char *const fields[FIELDS] = {"value", "standard_error", "low", "high"};
static const char *const counts[4] = {"in", "in_correct", "out", "out_correct"};

/* The numbers of the examples: beside the scores, or (of a version that did not put them there) beside the
 * outcomes. */
static lo_status index_npy(const export *x, const lo_h5_reader *scores, lo_error *err)
{
    if (lo_h5_has(scores, "/train/index")) {
        return lo_export_dataset(x, scores, "/train/index", LO_H5_I64, "train_index", err);
    }
    lo_h5_reader ensemble;
    LO_TRY(lo_export_open(x, "ensemble.h5", &ensemble, err));
    const lo_status status = lo_export_dataset(x, &ensemble, "/train/index", LO_H5_I64, "train_index", err);
    lo_h5_close(&ensemble);
    return status;
}

static lo_status score_npy(const export *x, const lo_h5_reader *reader, const char *score, lo_error *err)
{
    for (int f = 0; f < FIELDS; f++) {
        char path[128];
        char name[128];
        (void)snprintf(path, sizeof(path), "/%s/%s", score, fields[f]);
        (void)snprintf(name, sizeof(name), "%s_%s", score, fields[f]);
        if (lo_h5_has(reader, path)) {
            LO_TRY(lo_export_dataset(x, reader, path, LO_H5_F32, name, err));
        }
    }
    return LO_OK;
}

static lo_status scores_npy(const export *x, lo_error *err)
{
    lo_h5_reader reader;
    char names[LO_SCORE_NAMES_SIZE];
    char *rest = NULL;
    LO_TRY(lo_export_open(x, "scores.h5", &reader, err));
    lo_status status = lo_score_names(&reader, names, err);
    for (char *name = strtok_r(names, " ", &rest); name != NULL && status == LO_OK;
         name = strtok_r(NULL, " ", &rest)) {
        status = score_npy(x, &reader, name, err);
    }
    for (int c = 0; c < 4 && status == LO_OK; c++) {
        char path[64];
        char name[64];
        (void)snprintf(path, sizeof(path), "/models/%s", counts[c]);
        (void)snprintf(name, sizeof(name), "models_%s", counts[c]);
        status = lo_h5_has(&reader, path) ? lo_export_dataset(x, &reader, path, LO_H5_I32, name, err) : LO_OK;
    }
    if (status == LO_OK) {
        status = index_npy(x, &reader, err);
    }
    lo_h5_close(&reader);
    return status;
}

/* ---- names of classes ---- */

/* Those of the job, or else those that the data set came with, if either has any. */
typedef struct class_names {
    const lo_job *job;
    char *text; /* [count, LO_H5_TEXT_SIZE], owned; NULL: the job's, or none */
    int64_t count;
} class_names;

static lo_status class_names_read(const export *x, const lo_h5_reader *ensemble, class_names *out,
                                  lo_error *err)
{
    *out = (class_names){.job = x->job, .count = lo_job_length(x->job, "data.class_names")};
    if (out->count > 0 || !lo_h5_has(ensemble, "/class_name")) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read_all(ensemble, "/class_name", LO_H5_CHARS, (void **)&out->text, &out->count, NULL, err));
    for (int64_t c = 0; c < out->count; c++) {
        out->text[(c + 1) * LO_H5_TEXT_SIZE - 1] = '\0';
    }
    return LO_OK;
}

static void put_class_name(lo_csv *csv, const class_names *names, int32_t label)
{
    const bool known = label >= 0 && label < names->count;
    lo_csv_text(csv, !known                ? NULL
                     : names->text != NULL ? names->text + (size_t)label * LO_H5_TEXT_SIZE
                                           : lo_job_text_at(names->job, "data.class_names", label));
}

/* ---- scores ---- */

/* The columns of the scores' table, read whole: one example a row. */
typedef struct table {
    int64_t n;
    int64_t *index;
    int32_t *label, *label_true, *count[4]; /* count NULL: without an ensemble */
    class_names names;
    int scores;
    char listed[LO_SCORE_NAMES_SIZE];
    const char *name[MOST_SCORES];
    float *field[MOST_SCORES][FIELDS]; /* NULL: the score has none */
} table;

static void table_free(table *t)
{
    free(t->index);
    free(t->label);
    free(t->label_true);
    free(t->names.text);
    for (int c = 0; c < 4; c++) {
        free(t->count[c]);
    }
    for (int s = 0; s < t->scores; s++) {
        for (int f = 0; f < FIELDS; f++) {
            free(t->field[s][f]);
        }
    }
}

static lo_status read_score(const lo_h5_reader *scores, const char *name, table *t, lo_error *err)
{
    char path[128];
    const int k = t->scores++;
    t->name[k] = name;
    for (int f = 0; f < FIELDS; f++) {
        int64_t rows = 0;
        (void)snprintf(path, sizeof(path), "/%s/%s", name, fields[f]);
        if (f > 0 && !lo_h5_has(scores, path)) {
            continue;
        }
        LO_TRY(lo_h5_read_all(scores, path, LO_H5_F32, (void **)&t->field[k][f], &rows, NULL, err));
        if (rows != t->n) {
            return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", scores->file, path,
                           (long long)rows, (long long)t->n);
        }
    }
    return LO_OK;
}

/* `examples` is the file that has their numbers and labels. */
static lo_status read_table(const lo_h5_reader *scores, const lo_h5_reader *examples, table *t, lo_error *err)
{
    char path[128];
    char *rest = NULL;
    LO_TRY(lo_h5_read_all(examples, "/train/index", LO_H5_I64, (void **)&t->index, &t->n, NULL, err));
    LO_TRY(lo_h5_read_all(examples, "/train/label", LO_H5_I32, (void **)&t->label, NULL, NULL, err));
    LO_TRY(
        lo_h5_read_all(examples, "/train/label_true", LO_H5_I32, (void **)&t->label_true, NULL, NULL, err));
    for (int c = 0; c < 4; c++) {
        (void)snprintf(path, sizeof(path), "/models/%s", counts[c]);
        if (lo_h5_has(scores, path)) {
            LO_TRY(lo_h5_read_all(scores, path, LO_H5_I32, (void **)&t->count[c], NULL, NULL, err));
        }
    }
    LO_TRY(lo_score_names(scores, t->listed, err));
    for (char *name = strtok_r(t->listed, " ", &rest); name != NULL && t->scores < MOST_SCORES;
         name = strtok_r(NULL, " ", &rest)) {
        LO_TRY(read_score(scores, name, t, err));
    }
    return LO_OK;
}

static void write_head(lo_csv *csv, const table *t)
{
    static const char *const first[3] = {"index", "label", "label_true"};
    char name[128];
    for (int i = 0; i < 3; i++) {
        lo_csv_text(csv, first[i]);
    }
    for (int s = 0; s < t->scores; s++) {
        for (int f = 0; f < FIELDS; f++) {
            (void)snprintf(name, sizeof(name), f == 0 ? "%s" : "%s_%s", t->name[s], fields[f]);
            if (t->field[s][f] != NULL) {
                lo_csv_text(csv, name);
            }
        }
    }
    for (int c = 0; c < 4; c++) {
        (void)snprintf(name, sizeof(name), "models_%s", counts[c]);
        if (t->count[c] != NULL) {
            lo_csv_text(csv, name);
        }
    }
    if (t->names.count > 0) {
        lo_csv_text(csv, "class");
        lo_csv_text(csv, "class_true");
    }
    lo_csv_row(csv);
}

static void write_example(lo_csv *csv, const table *t, int64_t i)
{
    lo_csv_int(csv, t->index[i]);
    lo_csv_int(csv, t->label[i]);
    lo_csv_int(csv, t->label_true[i]);
    for (int s = 0; s < t->scores; s++) {
        for (int f = 0; f < FIELDS; f++) {
            if (t->field[s][f] != NULL) {
                lo_csv_float(csv, t->field[s][f][i]);
            }
        }
    }
    for (int c = 0; c < 4; c++) {
        if (t->count[c] != NULL) {
            lo_csv_int(csv, t->count[c][i]);
        }
    }
    if (t->names.count > 0) {
        put_class_name(csv, &t->names, t->label[i]);
        put_class_name(csv, &t->names, t->label_true[i]);
    }
    lo_csv_row(csv);
}

static lo_status gather_table(const export *x, table *t, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5_reader scores = {.id = -1};
    lo_h5_reader ensemble = {.id = -1};
    LO_TRY(lo_export_open(x, "scores.h5", &scores, err));
    lo_status status = LO_OK;
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", x->study);
    const bool own = lo_h5_has(&scores, "/train/index");
    if (!own || access(path, F_OK) == 0) {
        status = lo_export_open(x, "ensemble.h5", &ensemble, err);
    }
    if (status == LO_OK) {
        status = read_table(&scores, own ? &scores : &ensemble, t, err);
    }
    if (status == LO_OK) {
        status = class_names_read(x, ensemble.id >= 0 ? &ensemble : &scores, &t->names, err);
    }
    lo_h5_close(&scores);
    lo_h5_close(&ensemble);
    return status;
}

static lo_status scores_csv(const export *x, lo_error *err)
{
    table t = {0};
    lo_file file = {0};
    lo_status status = gather_table(x, &t, err);
    if (status == LO_OK) {
        status = lo_file_begin(x->out, &file, err);
    }
    if (status == LO_OK) {
        lo_csv csv = lo_csv_begin(file.stream);
        write_head(&csv, &t);
        for (int64_t i = 0; i < t.n; i++) {
            write_example(&csv, &t, i);
        }
        status = end_table(x, &file, LO_OK, err);
    }
    table_free(&t);
    return status;
}

/* ---- influence ---- */

static lo_status influence_npy(const export *x, lo_error *err)
{
    static const struct {
        const char *path, *name;
        lo_h5_type type;
    } sets[] = {{"/contrast", "influence", LO_H5_F32},
                {"/standard_error", "influence_standard_error", LO_H5_F32},
                {"/top/value", "influence_top_value", LO_H5_F32},
                {"/top/index", "influence_top_position", LO_H5_I64},
                {"/top/standard_error", "influence_top_standard_error", LO_H5_F32}};
    lo_h5_reader reader;
    LO_TRY(lo_export_open(x, "influence.h5", &reader, err));
    lo_status status = LO_OK;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]) && status == LO_OK; i++) {
        if (lo_h5_has(&reader, sets[i].path)) {
            status = lo_export_dataset(x, &reader, sets[i].path, sets[i].type, sets[i].name, err);
        }
    }
    lo_h5_close(&reader);
    return status;
}

/* A row's strongest entries: the file's own, or found in the dense row. */
typedef struct strongest {
    int64_t items, k;
    bool dense, errors;
    float *row, *error, *value;
    int64_t *index;
} strongest;

static lo_status read_strongest(const lo_h5_reader *reader, strongest *s, int64_t test, lo_error *err)
{
    LO_TRY(lo_h5_read(reader, s->dense ? "/contrast" : "/top/value", LO_H5_F32, test, 1, s->row, err));
    if (s->errors) {
        LO_TRY(lo_h5_read(reader, s->dense ? "/standard_error" : "/top/standard_error", LO_H5_F32, test, 1,
                          s->error, err));
    }
    if (s->dense) {
        lo_strongest(s->row, 1, s->items, s->k, s->index, s->value);
        return LO_OK;
    }
    memcpy(s->value, s->row, (size_t)s->k * sizeof(*s->value));
    return lo_h5_read(reader, "/top/index", LO_H5_I64, test, 1, s->index, err);
}

static lo_status influence_rows(const export *x, const lo_h5_reader *reader, const lo_h5_reader *ensemble,
                                strongest *s, lo_error *err)
{
    static const char *const heads[] = {"test_index",     "test_label",  "rank",
                                        "train_index",    "train_label", "influence",
                                        "standard_error", "test_class",  "train_class"};
    const size_t unnamed = sizeof(heads) / sizeof(heads[0]) - 2;
    class_names names = {0};
    int64_t rows = 0;
    int64_t *train = NULL;
    int64_t *test = NULL;
    int32_t *train_label = NULL;
    int32_t *test_label = NULL;
    lo_csv csv = {0};
    lo_file file = {0};
    const wanted of_train[] = {{"/train/index", LO_H5_I64, (void **)&train},
                               {"/train/label", LO_H5_I32, (void **)&train_label}};
    const wanted of_test[] = {{"/test/index", LO_H5_I64, (void **)&test},
                              {"/test/label", LO_H5_I32, (void **)&test_label}};
    lo_status status = read_columns(ensemble, of_train, 2, &rows, err);
    if (status == LO_OK) {
        status = read_columns(ensemble, of_test, 2, &rows, err);
    }
    if (status == LO_OK) {
        status = class_names_read(x, ensemble, &names, err);
    }
    if (status == LO_OK) {
        status = begin_table(x, heads, names.count > 0 ? unnamed + 2 : unnamed, &file, &csv, err);
    }
    if (status == LO_OK) {
        for (int64_t j = 0; j < rows && status == LO_OK; j++) {
            status = read_strongest(reader, s, j, err);
            for (int64_t i = 0; i < s->k && status == LO_OK && s->index[i] >= 0; i++) {
                lo_csv_int(&csv, test[j]);
                lo_csv_int(&csv, test_label[j]);
                lo_csv_int(&csv, i + 1);
                lo_csv_int(&csv, train[s->index[i]]);
                lo_csv_int(&csv, train_label[s->index[i]]);
                lo_csv_float(&csv, s->value[i]);
                lo_csv_float(&csv, s->errors ? s->error[s->dense ? s->index[i] : i] : NAN);
                if (names.count > 0) {
                    put_class_name(&csv, &names, test_label[j]);
                    put_class_name(&csv, &names, train_label[s->index[i]]);
                }
                lo_csv_row(&csv);
            }
        }
        status = end_table(x, &file, status, err);
    }
    free(train);
    free(test);
    free(train_label);
    free(test_label);
    free(names.text);
    return status;
}

static lo_status influence_csv(const export *x, lo_error *err)
{
    lo_h5_reader reader = {.id = -1};
    lo_h5_reader ensemble = {.id = -1};
    strongest s = {0};
    int64_t rows;
    lo_status status = lo_export_open(x, "influence.h5", &reader, err);
    if (status == LO_OK) {
        status = lo_export_open(x, "ensemble.h5", &ensemble, err);
    }
    if (status == LO_OK) {
        s.dense = lo_h5_has(&reader, "/contrast");
        s.errors = lo_h5_has(&reader, s.dense ? "/standard_error" : "/top/standard_error");
        status = lo_h5_sizes(&reader, s.dense ? "/contrast" : "/top/value", &rows, &s.items, err);
    }
    if (status == LO_OK && !s.dense && x->top > s.items) {
        status = lo_fail(err, LO_USAGE,
                         "export: --top %lld: %s/influence.h5 holds the %lld strongest of each test "
                         "example (influence.top in its job)",
                         (long long)x->top, x->study, (long long)s.items);
    }
    if (status == LO_OK) {
        const int64_t top = x->top > 0 ? x->top : s.dense ? 10 : s.items;
        s.k = s.items < top ? s.items : top;
        s.row = calloc((size_t)s.items + 1, sizeof(*s.row));
        s.error = calloc((size_t)s.items + 1, sizeof(*s.error));
        s.value = calloc((size_t)s.k + 1, sizeof(*s.value));
        s.index = calloc((size_t)s.items + 1, sizeof(*s.index)); /* the file's rows are read whole */
        if (s.row == NULL || s.error == NULL || s.value == NULL || s.index == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for a row of influence");
        }
    }
    if (status == LO_OK) {
        status = influence_rows(x, &reader, &ensemble, &s, err);
    }
    free(s.row);
    free(s.error);
    free(s.value);
    free(s.index);
    lo_h5_close(&reader);
    lo_h5_close(&ensemble);
    return status;
}

/* ---- models and outcomes ---- */

static lo_status models_csv(const export *x, lo_error *err)
{
    static const char *const names[] = {"model", "seed", "test_accuracy", "seconds", "diverged"};
    lo_h5_reader reader;
    int64_t rows = 0;
    int64_t *model = NULL;
    int64_t *seed = NULL;
    double *accuracy = NULL;
    double *seconds = NULL;
    uint8_t *diverged = NULL;
    lo_csv csv = {0};
    lo_file file = {0};
    const wanted columns[] = {{"/model", LO_H5_I64, (void **)&model},
                              {"/seed", LO_H5_I64, (void **)&seed},
                              {"/test_accuracy", LO_H5_F64, (void **)&accuracy},
                              {"/seconds", LO_H5_F64, (void **)&seconds},
                              {"/diverged", LO_H5_U8, (void **)&diverged}};
    LO_TRY(lo_export_open(x, "ensemble.h5", &reader, err));
    lo_status status = read_columns(&reader, columns, sizeof(columns) / sizeof(columns[0]), &rows, err);
    if (status == LO_OK) {
        status = begin_table(x, names, sizeof(names) / sizeof(names[0]), &file, &csv, err);
    }
    if (status == LO_OK) {
        for (int64_t r = 0; r < rows; r++) {
            lo_csv_int(&csv, model[r]);
            lo_csv_int(&csv, seed[r]);
            lo_csv_double(&csv, accuracy[r]);
            lo_csv_double(&csv, seconds[r]);
            lo_csv_int(&csv, diverged[r]);
            lo_csv_row(&csv);
        }
        status = end_table(x, &file, LO_OK, err);
    }
    free(model);
    free(seed);
    free(accuracy);
    free(seconds);
    free(diverged);
    lo_h5_close(&reader);
    return status;
}

/* Packed bits as one byte a value, which numpy wants. */
static lo_status bits_to_npy(const export *x, const lo_h5_reader *reader, const char *path, int64_t n,
                             const char *name, lo_error *err)
{
    char file[PATH_MAX];
    int64_t rows;
    int64_t bytes;
    lo_npy npy;
    LO_TRY(lo_h5_sizes(reader, path, &rows, &bytes, err));
    if (bytes != (int64_t)lo_bit_bytes(n)) {
        return lo_fail(err, LO_DATA, "%s: %s has rows of %lld bytes; %zu are expected", reader->file, path,
                       (long long)bytes, lo_bit_bytes(n));
    }
    (void)snprintf(file, sizeof(file), "%s/%s.npy", x->out, name);
    const int64_t shape[2] = {rows, n};
    LO_TRY(lo_npy_begin(file, LO_NPY_UINT8, 2, shape, &npy, err));
    uint8_t *packed = malloc((size_t)bytes + 1);
    uint8_t *plain = malloc((size_t)n + 1);
    lo_status status =
        packed != NULL && plain != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to export %s", path);
    for (int64_t r = 0; r < rows && status == LO_OK; r++) {
        status = lo_h5_read(reader, path, LO_H5_U8, r, 1, packed, err);
        for (int64_t i = 0; i < n; i++) {
            plain[i] = (uint8_t)(packed[i / 8] >> (i % 8) & 1);
        }
        if (status == LO_OK) {
            status = lo_npy_append(&npy, plain, n, err);
        }
    }
    free(packed);
    free(plain);
    status = lo_npy_end(&npy, status, err);
    if (status == LO_OK) {
        (void)printf("%s\n", file);
    }
    return status;
}

static lo_status models_npy(const export *x, lo_error *err)
{
    lo_h5_reader reader;
    int64_t n = 0;
    int64_t n_test = 0;
    LO_TRY(lo_export_open(x, "ensemble.h5", &reader, err));
    lo_status status = lo_h5_get_int(&reader, "/", "n_train", &n, err);
    if (status == LO_OK) {
        status = lo_h5_get_int(&reader, "/", "n_test", &n_test, err);
    }
    if (status == LO_OK) {
        status = bits_to_npy(x, &reader, "/mask", n, "mask", err);
    }
    if (status == LO_OK) {
        status = bits_to_npy(x, &reader, "/train/correct", n, "train_correct", err);
    }
    if (status == LO_OK) {
        status = bits_to_npy(x, &reader, "/test/correct", n_test, "test_correct", err);
    }
    if (status == LO_OK) {
        status = lo_export_dataset(x, &reader, "/train/logit", LO_H5_F32, "train_logit", err);
    }
    if (status == LO_OK) {
        status = lo_export_dataset(x, &reader, "/test/logit", LO_H5_F32, "test_logit", err);
    }
    if (status == LO_OK) {
        status = lo_export_dataset(x, &reader, "/test_accuracy", LO_H5_F64, "test_accuracy", err);
    }
    lo_h5_close(&reader);
    return status;
}

/* ---- the study of scores ---- */

/* "/spearman/value" is the column spearman_value. */
static void write_scaling_head(lo_csv *csv, const lo_scaling_table *study)
{
    lo_csv_text(csv, "score");
    lo_csv_text(csv, "equal_cost_few_models_by");
    for (int c = 0; c < study->columns; c++) {
        char name[80];
        (void)snprintf(name, sizeof(name), "%s", study->path[c] + 1);
        for (char *at = strchr(name, '/'); at != NULL; at = strchr(at, '/')) {
            *at = '_';
        }
        lo_csv_text(csv, name);
    }
    lo_csv_row(csv);
}

static lo_status scaling_csv(const export *x, lo_error *err)
{
    lo_file file;
    lo_csv csv;
    lo_h5_reader reader;
    lo_scaling_table study = {0};
    LO_TRY(lo_export_open(x, "scaling.h5", &reader, err)); /* says so where there is none */
    lo_h5_close(&reader);
    lo_status status = lo_scaling_table_read(x->study, &study, err);
    if (status == LO_OK) {
        status = begin_table(x, NULL, 0, &file, &csv, err);
    }
    if (status == LO_OK) {
        write_scaling_head(&csv, &study);
        for (int64_t r = 0; r < study.rows; r++) {
            lo_csv_text(&csv, study.score[r]);
            lo_csv_text(&csv, study.against[r]);
            for (int c = 0; c < study.columns; c++) {
                lo_csv_double(&csv, study.column[c][r]);
            }
            lo_csv_row(&csv);
        }
        status = end_table(x, &file, LO_OK, err);
    }
    lo_scaling_table_free(&study);
    return status;
}

static lo_status scaling_npy(const export *x, lo_error *err)
{
    (void)x;
    return lo_fail(err, LO_USAGE, "export: scaling is a table with names; --format csv is allowed");
}

/* ---- the command ---- */

/* Writes what the command line names. */
static lo_status export_named(const lo_command_line *line, export *x, lo_error *err)
{
    static const struct {
        const char *name;
        lo_status (*csv)(const export *x, lo_error *err);
        lo_status (*npy)(const export *x, lo_error *err);
    } kinds[] = {{"scores", scores_csv, scores_npy},
                 {"influence", influence_csv, influence_npy},
                 {"attribution", lo_export_attribution_csv, lo_export_attribution_npy},
                 {"models", models_csv, models_npy},
                 {"scaling", scaling_csv, scaling_npy},
                 {"evaluation", lo_export_evaluation_csv, lo_export_evaluation_npy},
                 {"audit", lo_export_audit_csv, lo_export_audit_npy},
                 {"audit_groups", lo_export_audit_groups_csv, lo_export_audit_groups_npy},
                 {"privacy", lo_export_privacy_csv, lo_export_privacy_npy}};
    const char *what = line->operand[1];
    const char *format = lo_option_value(line, "format");
    char fallback[PATH_MAX];
    const bool npy = format != NULL && strcmp(format, "npy") == 0;
    if (format != NULL && !npy && strcmp(format, "csv") != 0) {
        return lo_fail(err, LO_USAGE, "export: --format: found '%s'; allowed are csv and npy", format);
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, what) != 0) {
            continue;
        }
        (void)snprintf(fallback, sizeof(fallback), npy ? "%s/export" : "%s/export/%s.csv", x->study, what);
        if (x->out == NULL) {
            char directory[PATH_MAX];
            (void)snprintf(directory, sizeof(directory), "%s/export", x->study);
            LO_TRY(lo_file_mkdirs(directory, err));
            x->out = fallback;
        } else if (npy) {
            LO_TRY(lo_file_mkdirs(x->out, err));
        }
        return npy ? kinds[i].npy(x, err) : kinds[i].csv(x, err);
    }
    return lo_fail(err, LO_USAGE,
                   "export: found '%s'; allowed are scores, influence, attribution, models, scaling, "
                   "evaluation, audit, audit_groups and privacy",
                   what);
}

lo_status lo_command_export(const lo_command_line *line, lo_error *err)
{
    export x = {.study = line->operand[0], .out = lo_option_value(line, "out")};
    lo_job *job = NULL;
    LO_TRY(lo_option_int(line, "top", 1, 1 << 20, 0, &x.top, err));
    LO_TRY(lo_study_read_job(x.study, &job, err));
    x.job = job;
    const lo_status status = export_named(line, &x, err);
    lo_job_destroy(&job);
    return status;
}
