#include "jobs/attribution/attribution_shown.h"

#include "jobs/attribution/attribution.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TARGETS = 8, SIDE = 4, OWN = 8 };

void lo_attribution_shown_free(lo_report_attribution *shown)
{
    free(shown->method);
    free(shown->target);
    free(shown->index);
    free(shown->value);
    free(shown->own_index);
    free(shown->own_value);
    free(shown->eigenvalue);
    *shown = (lo_report_attribution){0};
}

static lo_status read_methods(const lo_h5_reader *reader, lo_report_attribution *out, lo_error *err)
{
    char path[128];
    out->method = calloc((size_t)lo_attribution_count(), sizeof(*out->method));
    if (out->method == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the methods of attribution");
    }
    for (int i = 0; i < lo_attribution_count(); i++) {
        const lo_attribution_type *type = lo_attribution_at(i);
        (void)snprintf(path, sizeof(path), "/%s", type->name);
        if (!lo_h5_has(reader, path)) {
            continue;
        }
        lo_report_method *m = &out->method[out->methods++];
        *m = (lo_report_method){.name = type->name,
                                .description = type->description,
                                .fit_gradient = NAN,
                                .largest_gradient = NAN};
        LO_TRY(lo_h5_get_int(reader, path, "parameters", &m->parameters, err));
        LO_TRY(lo_h5_get_real(reader, path, "penalty", &m->penalty, err));
        LO_TRY(lo_h5_get_real(reader, path, "cost_core_seconds", &m->core_seconds, err));
        LO_TRY(lo_h5_get_real(reader, path, "fit_gradient_norm", &m->fit_gradient, err));
        LO_TRY(lo_h5_get_real(reader, path, "damping", &m->damping, err));
        /* A file made before there were forms has none. */
        if (type->direct != NULL &&
            lo_h5_get_text(reader, path, "form", m->form, sizeof(m->form), NULL) == LO_OK) {
            LO_TRY(lo_h5_get_int(reader, path, "matrix_rows", &m->rows, err));
        }
        if (type->certificate) {
            LO_TRY(lo_h5_get_real(reader, path, "largest_gradient_norm", &m->largest_gradient, err));
        }
    }
    return LO_OK;
}

/* The `most` entries of a row that are farthest in the direction of `sign`; fewer where there are no more of
 * that sign. */
static void farthest(const float *row, const int64_t *position, int64_t items, int sign, int64_t most,
                     int64_t *index, float *value)
{
    for (int64_t k = 0; k < most; k++) {
        index[k] = -1;
        value[k] = NAN;
    }
    for (int64_t i = 0; i < items; i++) {
        const float size = (float)sign * row[i];
        int64_t at = most;
        while (at > 0 && size > 0 && (index[at - 1] < 0 || size > (float)sign * value[at - 1])) {
            at--;
        }
        if (at < most && size > 0) {
            memmove(index + at + 1, index + at, (size_t)(most - 1 - at) * sizeof(*index));
            memmove(value + at + 1, value + at, (size_t)(most - 1 - at) * sizeof(*value));
            index[at] = position != NULL ? position[i] : i;
            value[at] = row[i];
        }
    }
}

/* A row's values and, where only the strongest are kept, positions. */
typedef struct rows {
    const lo_h5_reader *reader;
    char value[128], index[128];
    bool dense;
    int64_t count, items;
    float *row;
    int64_t *position;
} rows;

static lo_status read_row(const rows *r, int64_t target, lo_error *err)
{
    LO_TRY(lo_h5_read(r->reader, r->value, LO_H5_F32, target, 1, r->row, err));
    return r->dense ? LO_OK : lo_h5_read(r->reader, r->index, LO_H5_I64, target, 1, r->position, err);
}

/* Targets worth showing: of each class the one on which some training example does most, the strongest first.
 */
static lo_status choose_targets(const rows *r, const lo_examples *examples, int32_t classes,
                                lo_report_attribution *out, lo_error *err)
{
    float *strength = calloc((size_t)classes, sizeof(*strength));
    int64_t *best = calloc((size_t)classes, sizeof(*best));
    lo_status status = strength != NULL && best != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory to choose targets for the report");
    for (int64_t t = 0; t < r->count && status == LO_OK; t++) {
        const int32_t label = examples->label[t];
        status = read_row(r, t, err);
        for (int64_t i = 0; i < r->items && status == LO_OK; i++) {
            const float size = fabsf(r->row[i]);
            if (label >= 0 && label < classes && size > strength[label]) {
                strength[label] = size;
                best[label] = t;
            }
        }
    }
    for (out->rows = 0; out->rows < TARGETS && status == LO_OK; out->rows++) {
        int32_t label = 0;
        for (int32_t c = 1; c < classes; c++) {
            label = strength[c] > strength[label] ? c : label;
        }
        if (!(strength[label] > 0)) {
            break;
        }
        out->target[out->rows] = best[label];
        strength[label] = 0;
    }
    free(strength);
    free(best);
    return status;
}

static lo_status read_pictures(const lo_h5_reader *reader, const lo_study *study, const char *method,
                               lo_report_attribution *out, lo_error *err)
{
    const int64_t n = study->data.train.count;
    rows r = {.reader = reader};
    (void)snprintf(r.value, sizeof(r.value), "/%s/value", method);
    (void)snprintf(r.index, sizeof(r.index), "/%s/top/index", method);
    r.dense = lo_h5_has(reader, r.value);
    if (!r.dense) {
        (void)snprintf(r.value, sizeof(r.value), "/%s/top/value", method);
        if (!lo_h5_has(reader, r.value)) {
            return LO_OK;
        }
    }
    LO_TRY(lo_h5_sizes(reader, r.value, &r.count, &r.items, err));
    if (r.count != out->targets->count || (r.dense && r.items != n)) {
        return lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; it is not of this study's data", reader->file,
                       r.value, (long long)r.count, (long long)r.items);
    }
    r.row = calloc((size_t)r.items + 1, sizeof(*r.row));
    r.position = r.dense ? NULL : calloc((size_t)r.items + 1, sizeof(*r.position));
    out->k = SIDE;
    out->target = calloc(TARGETS, sizeof(*out->target));
    out->index = calloc((size_t)TARGETS * 2 * SIDE, sizeof(*out->index));
    out->value = calloc((size_t)TARGETS * 2 * SIDE, sizeof(*out->value));
    lo_status status = r.row != NULL && (r.dense || r.position != NULL) && out->target != NULL &&
                               out->index != NULL && out->value != NULL
                           ? choose_targets(&r, out->targets, study->data.classes, out, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for the pictures of attribution");
    for (int64_t t = 0; t < out->rows && status == LO_OK; t++) {
        const int64_t at = t * 2 * SIDE;
        status = read_row(&r, out->target[t], err);
        farthest(r.row, r.position, r.items, 1, SIDE, out->index + at, out->value + at);
        farthest(r.row, r.position, r.items, -1, SIDE, out->index + at + SIDE, out->value + at + SIDE);
    }
    free(r.row);
    free(r.position);
    return status;
}

static lo_status read_own(const lo_h5_reader *reader, const lo_study *study, const char *method,
                          lo_report_attribution *out, lo_error *err)
{
    char path[128];
    float *self = NULL;
    int64_t count = 0;
    (void)snprintf(path, sizeof(path), "/%s/self", method);
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_F32, (void **)&self, &count, NULL, err));
    lo_status status = LO_OK;
    out->own_index = calloc(OWN, sizeof(*out->own_index));
    out->own_value = calloc(OWN, sizeof(*out->own_value));
    if (count != study->data.train.count) {
        status = lo_fail(err, LO_DATA, "%s: %s has %lld values; it is not of this study's data", reader->file,
                         path, (long long)count);
    } else if (out->own_index == NULL || out->own_value == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the pictures of attribution");
    } else {
        out->own = OWN;
        farthest(self, NULL, count, 1, OWN, out->own_index, out->own_value);
    }
    free(self);
    return status;
}

/* Of the last method that has one. */
static lo_status read_spectrum(const lo_h5_reader *reader, lo_report_attribution *out, lo_error *err)
{
    char path[128];
    for (int i = out->methods - 1; i >= 0; i--) {
        (void)snprintf(path, sizeof(path), "/%s/spectrum", out->method[i].name);
        if (lo_h5_has(reader, path)) {
            (void)snprintf(out->spectrum_of, sizeof(out->spectrum_of), "%s", out->method[i].name);
            out->damping = out->method[i].damping;
            return lo_h5_read_all(reader, path, LO_H5_F64, (void **)&out->eigenvalue, &out->eigenvalues, NULL,
                                  err);
        }
    }
    return LO_OK;
}

static lo_status read_model(const lo_h5_reader *reader, lo_report_attribution *out, lo_error *err)
{
    if (lo_h5_get_text(reader, "/", "model", out->model, sizeof(out->model), NULL) != LO_OK) {
        (void)snprintf(out->model, sizeof(out->model), "linear"); /* made before there were others */
    }
    if (strcmp(out->model, "linear") != 0) {
        LO_TRY(lo_h5_get_int(reader, "/", "original", &out->original, err));
    }
    return strcmp(out->model, "features") == 0
               ? lo_h5_get_text(reader, "/", "features", out->features, sizeof(out->features), err)
               : LO_OK;
}

lo_status lo_attribution_show(const lo_study *study, lo_report_attribution *out, lo_error *err)
{
    char path[PATH_MAX];
    char text[64] = "";
    lo_h5_reader reader;
    *out = (lo_report_attribution){0};
    (void)snprintf(path, sizeof(path), "%s/attribution.h5", study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &reader, err));
    lo_status status = read_methods(&reader, out, err);
    if (status == LO_OK && out->methods > 0) {
        status = lo_h5_get_text(&reader, "/", "targets", text, sizeof(text), err);
    }
    out->targets = strcmp(text, "train") == 0 ? &study->data.train : &study->data.test;
    out->targets_are = strcmp(text, "train") == 0 ? "training" : "test";
    if (status == LO_OK && out->methods > 0) {
        status = read_model(&reader, out, err);
    }
    if (status == LO_OK) {
        status = read_spectrum(&reader, out, err);
    }
    if (status == LO_OK && out->methods > 0) {
        const char *method = out->method[out->methods - 1].name;
        (void)snprintf(path, sizeof(path), "/%s", method);
        status = lo_h5_get_text(&reader, path, "output", out->output, sizeof(out->output), err);
        if (status == LO_OK) {
            status = read_own(&reader, study, method, out, err);
        }
        if (status == LO_OK) {
            status = read_pictures(&reader, study, method, out, err);
        }
    }
    lo_h5_close(&reader);
    return status;
}
