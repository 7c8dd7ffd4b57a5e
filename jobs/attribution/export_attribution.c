#include "base/file.h"
#include "jobs/attribution/attribution.h"
#include "jobs/export.h"
#include "report/npy.h"
#include "score/subset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_METHODS = 32 };

/* Whom rows and columns are about. */
typedef struct people {
    int64_t n, m;
    int64_t *train, *target; /* numbers in the source files */
    int32_t *train_label, *target_label;
} people;

static void people_free(people *p)
{
    free(p->train);
    free(p->target);
    free(p->train_label);
    free(p->target_label);
}

static lo_status read_people(const lo_h5_reader *reader, people *p, lo_error *err)
{
    int64_t same = 0;
    LO_TRY(lo_h5_read_all(reader, "/train/index", LO_H5_I64, (void **)&p->train, &p->n, NULL, err));
    LO_TRY(lo_h5_read_all(reader, "/train/label", LO_H5_I32, (void **)&p->train_label, &same, NULL, err));
    if (!lo_h5_has(reader, "/target/index")) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read_all(reader, "/target/index", LO_H5_I64, (void **)&p->target, &p->m, NULL, err));
    return lo_h5_read_all(reader, "/target/label", LO_H5_I32, (void **)&p->target_label, &same, NULL, err);
}

static const char *dataset(char path[128], const lo_attribution_type *type, const char *name)
{
    (void)snprintf(path, 128, "/%s/%s", type->name, name);
    return path;
}

/* The methods that the file has: their number. */
static int methods_of(const lo_h5_reader *reader, const lo_attribution_type *found[MOST_METHODS])
{
    char path[128];
    int count = 0;
    for (int i = 0; i < lo_attribution_count() && count < MOST_METHODS; i++) {
        if (lo_h5_has(reader, dataset(path, lo_attribution_at(i), "self"))) {
            found[count++] = lo_attribution_at(i);
        }
    }
    return count;
}

/* ---- csv: own outputs ---- */

static lo_status own_table(const lo_export *x, const lo_h5_reader *reader, const people *p, lo_error *err)
{
    char path[128];
    const lo_attribution_type *type[MOST_METHODS];
    float *self[MOST_METHODS] = {0};
    lo_file file = {0};
    const int methods = methods_of(reader, type);
    lo_status status = LO_OK;
    for (int k = 0; k < methods && status == LO_OK; k++) {
        int64_t n = 0;
        status = lo_h5_read_all(reader, dataset(path, type[k], "self"), LO_H5_F32, (void **)&self[k], &n,
                                NULL, err);
        if (status == LO_OK && n != p->n) {
            status = lo_fail(err, LO_DATA, "%s: %s has %lld values, not %lld", reader->file, path,
                             (long long)n, (long long)p->n);
        }
    }
    LO_TRY_GOTO(status, status, done);
    LO_TRY_GOTO(status, lo_file_begin(x->out, &file, err), done);
    lo_csv csv = lo_csv_begin(file.stream);
    lo_csv_text(&csv, "index");
    lo_csv_text(&csv, "label");
    for (int k = 0; k < methods; k++) {
        lo_csv_text(&csv, type[k]->name);
    }
    lo_csv_row(&csv);
    for (int64_t i = 0; i < p->n; i++) {
        lo_csv_int(&csv, p->train[i]);
        lo_csv_int(&csv, p->train_label[i]);
        for (int k = 0; k < methods; k++) {
            lo_csv_float(&csv, self[k][i]);
        }
        lo_csv_row(&csv);
    }
    status = lo_file_end(&file, LO_OK, err);
done:
    for (int k = 0; k < methods; k++) {
        free(self[k]);
    }
    return status;
}

/* ---- csv: the strongest of each target ---- */

typedef struct strongest {
    const lo_attribution_type *type;
    bool dense;
    int64_t items, k;
    float *row, *value;
    int64_t *index;
} strongest;

static lo_status open_strongest(const lo_export *x, const lo_h5_reader *reader, strongest *s, lo_error *err)
{
    char path[128];
    int64_t rows = 0;
    s->dense = lo_h5_has(reader, dataset(path, s->type, "value"));
    LO_TRY(
        lo_h5_sizes(reader, dataset(path, s->type, s->dense ? "value" : "top/value"), &rows, &s->items, err));
    if (!s->dense && x->top > s->items) {
        return lo_fail(err, LO_USAGE,
                       "export: --top %lld: %s/attribution.h5 holds the %lld strongest of each target "
                       "(attribution.top in its job)",
                       (long long)x->top, x->study, (long long)s->items);
    }
    s->k = x->top < s->items ? x->top : s->items;
    s->row = calloc((size_t)s->items + 1, sizeof(*s->row));
    s->value = calloc((size_t)s->items + 1, sizeof(*s->value));
    s->index = calloc((size_t)s->items + 1, sizeof(*s->index));
    return s->row != NULL && s->value != NULL && s->index != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for a row of %s", s->type->name);
}

static lo_status read_strongest(const lo_h5_reader *reader, strongest *s, int64_t target, lo_error *err)
{
    char path[128];
    if (s->dense) {
        LO_TRY(lo_h5_read(reader, dataset(path, s->type, "value"), LO_H5_F32, target, 1, s->row, err));
        lo_strongest(s->row, 1, s->items, s->k, s->index, s->value);
        return LO_OK;
    }
    LO_TRY(lo_h5_read(reader, dataset(path, s->type, "top/value"), LO_H5_F32, target, 1, s->value, err));
    return lo_h5_read(reader, dataset(path, s->type, "top/index"), LO_H5_I64, target, 1, s->index, err);
}

static lo_status method_rows(const lo_export *x, const lo_h5_reader *reader, const people *p,
                             const lo_attribution_type *type, lo_csv *csv, lo_error *err)
{
    strongest s = {.type = type};
    lo_status status = open_strongest(x, reader, &s, err);
    for (int64_t t = 0; t < p->m && status == LO_OK; t++) {
        status = read_strongest(reader, &s, t, err);
        for (int64_t i = 0; i < s.k && status == LO_OK && s.index[i] >= 0; i++) {
            lo_csv_text(csv, type->name);
            lo_csv_int(csv, p->target[t]);
            lo_csv_int(csv, p->target_label[t]);
            lo_csv_int(csv, i + 1);
            lo_csv_int(csv, p->train[s.index[i]]);
            lo_csv_int(csv, p->train_label[s.index[i]]);
            lo_csv_float(csv, s.value[i]);
            lo_csv_row(csv);
        }
    }
    free(s.row);
    free(s.value);
    free(s.index);
    return status;
}

static lo_status strongest_table(const lo_export *x, const lo_h5_reader *reader, const people *p,
                                 lo_error *err)
{
    static const char *const heads[] = {"method",      "target_index", "target_label", "rank",
                                        "train_index", "train_label",  "value"};
    const lo_attribution_type *type[MOST_METHODS];
    const int methods = methods_of(reader, type);
    lo_file file = {0};
    if (p->m == 0) {
        return lo_fail(err, LO_USAGE, "export: --top: %s/attribution.h5 has no targets (attribution.targets)",
                       x->study);
    }
    LO_TRY(lo_file_begin(x->out, &file, err));
    lo_csv csv = lo_csv_begin(file.stream);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        lo_csv_text(&csv, heads[i]);
    }
    lo_csv_row(&csv);
    lo_status status = LO_OK;
    for (int k = 0; k < methods && status == LO_OK; k++) {
        status = method_rows(x, reader, p, type[k], &csv, err);
    }
    return lo_file_end(&file, status, err);
}

lo_status lo_export_attribution_csv(const lo_export *x, lo_error *err)
{
    lo_h5_reader reader = {.id = -1};
    people p = {0};
    lo_status status = lo_export_open(x, "attribution.h5", &reader, err);
    if (status == LO_OK) {
        status = read_people(&reader, &p, err);
    }
    if (status == LO_OK) {
        status = x->top > 0 ? strongest_table(x, &reader, &p, err) : own_table(x, &reader, &p, err);
    }
    if (status == LO_OK) {
        (void)printf("%s\n", x->out);
    }
    people_free(&p);
    lo_h5_close(&reader);
    return status;
}

/* ---- npy ---- */

typedef struct set {
    const char *path, *name;
    lo_h5_type type;
} set;

static lo_status copy_if_there(const lo_export *x, const lo_h5_reader *reader, const char *group,
                               const set *s, lo_error *err)
{
    char path[128];
    char name[128];
    (void)snprintf(path, sizeof(path), "/%s/%s", group, s->path);
    (void)snprintf(name, sizeof(name), "%s_%s", group, s->name);
    return lo_h5_has(reader, path) ? lo_export_dataset(x, reader, path, s->type, name, err) : LO_OK;
}

lo_status lo_export_attribution_npy(const lo_export *x, lo_error *err)
{
    static const set sets[] = {{"self", "self", LO_H5_F32},
                               {"self_margin", "self_margin", LO_H5_F32},
                               {"self_probability", "self_probability", LO_H5_F32},
                               {"self_correct", "self_correct", LO_H5_F32},
                               {"gradient_norm", "gradient_norm", LO_H5_F64},
                               {"value", "value", LO_H5_F32},
                               {"top/value", "top_value", LO_H5_F32},
                               {"top/index", "top_position", LO_H5_I64},
                               {"group/value", "group_value", LO_H5_F32},
                               {"group/gradient_norm", "group_gradient_norm", LO_H5_F64},
                               {"spectrum", "spectrum", LO_H5_F64}};
    static const set about[] = {{"index", "index", LO_H5_I64}, {"label", "label", LO_H5_I32}};
    const lo_attribution_type *type[MOST_METHODS];
    lo_h5_reader reader;
    LO_TRY(lo_export_open(x, "attribution.h5", &reader, err));
    const int methods = methods_of(&reader, type);
    lo_status status = LO_OK;
    for (size_t i = 0; i < 2 && status == LO_OK; i++) {
        status = copy_if_there(x, &reader, "train", &about[i], err);
        if (status == LO_OK) {
            status = copy_if_there(x, &reader, "target", &about[i], err);
        }
    }
    for (int k = 0; k < methods && status == LO_OK; k++) {
        for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]) && status == LO_OK; i++) {
            status = copy_if_there(x, &reader, type[k]->name, &sets[i], err);
        }
    }
    lo_h5_close(&reader);
    return status;
}
