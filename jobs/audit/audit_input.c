#include "jobs/audit/audit_input.h"

#include "audit/attack.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const parts[LO_AUDIT_PARTS] = {"train", "validation", "test"};

static lo_status no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the input of the audit");
}

static const lo_examples *examples(const lo_study *study, int part)
{
    return part == LO_AUDIT_TRAIN  ? &study->data.train
           : part == LO_AUDIT_TEST ? &study->data.test
                                   : &study->data.validation;
}

static lo_status open_file(const lo_study *study, const char *name, lo_h5_reader *reader, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, name);
    return lo_h5_open(path, reader, err);
}

/* A column of texts, [*rows] of LO_H5_TEXT_SIZE bytes. The caller frees it. */
static lo_status read_texts(const lo_h5_reader *reader, const char *path, char **texts, int64_t *rows,
                            lo_error *err)
{
    return lo_h5_read_all(reader, path, LO_H5_CHARS, (void **)texts, rows, NULL, err);
}

static void take_text(char *out, size_t size, const char *texts, int64_t row)
{
    (void)snprintf(out, size, "%.*s", LO_H5_TEXT_SIZE, texts + row * LO_H5_TEXT_SIZE);
}

static int set_named(lo_audit_input *in, const char *name)
{
    for (int s = 0; s < in->sets; s++) {
        if (strcmp(in->set[s].name, name) == 0) {
            return s;
        }
    }
    (void)snprintf(in->set[in->sets].name, sizeof(in->set[0].name), "%s", name);
    return in->sets++;
}

/* Where outputs.h5 has which model. */
static void find_outputs(lo_audit_input *in, const char *kinds, const char *names, int64_t models)
{
    for (int64_t r = 0; r < in->rows; r++) {
        lo_audit_row *row = &in->row[r];
        for (int64_t m = 0; m < models && row->output == 0; m++) {
            char kind[sizeof(row->kind)], name[sizeof(row->model)];
            take_text(kind, sizeof(kind), kinds, m);
            take_text(name, sizeof(name), names, m);
            row->output = strcmp(kind, row->kind) == 0 && strcmp(name, row->model) == 0 ? m + 1 : 0;
        }
        row->output--;
    }
}

static lo_status read_rows(lo_audit_input *in, const lo_h5_reader *e, lo_error *err)
{
    enum { KIND, METHOD, SETTING, SET, MODEL, TEXTS };
    static const char *const path[TEXTS] = {"/run/kind", "/run/method", "/run/setting", "/run/forget_set",
                                            "/run/model"};
    char *text[TEXTS] = {NULL};
    int64_t *seed = NULL;
    lo_status status = LO_OK;
    for (int t = 0; t < TEXTS && status == LO_OK; t++) {
        status = read_texts(e, path[t], &text[t], &in->rows, err);
    }
    if (status == LO_OK) {
        status = lo_h5_read_all(e, "/run/seed", LO_H5_I64, (void **)&seed, NULL, NULL, err);
    }
    in->row = calloc((size_t)in->rows + 1, sizeof(*in->row));
    in->set = calloc((size_t)in->rows + 1, sizeof(*in->set));
    if (status == LO_OK && (in->row == NULL || in->set == NULL)) {
        status = no_memory(err);
    }
    for (int64_t r = 0; r < in->rows && status == LO_OK; r++) {
        lo_audit_row *row = &in->row[r];
        take_text(row->kind, sizeof(row->kind), text[KIND], r);
        take_text(row->method, sizeof(row->method), text[METHOD], r);
        take_text(row->setting, sizeof(row->setting), text[SETTING], r);
        take_text(row->forget_set, sizeof(row->forget_set), text[SET], r);
        take_text(row->model, sizeof(row->model), text[MODEL], r);
        row->seed = seed[r];
        row->oracle = strcmp(row->kind, "oracle") == 0;
        row->original = strcmp(row->kind, "original") == 0;
        row->set = set_named(in, row->forget_set);
    }
    for (int t = 0; t < TEXTS; t++) {
        free(text[t]);
    }
    free(seed);
    return status;
}

/* Matched models of forget sets that have rows. */
static lo_status read_matched(lo_audit_input *in, const char *kinds, const char *names, int64_t models,
                              lo_error *err)
{
    enum { METHOD, SETTING, SET, TEXTS };
    static const char *const path[TEXTS] = {"/model/method", "/model/setting", "/model/forget_set"};
    char *text[TEXTS] = {NULL};
    int64_t *seed = NULL;
    lo_status status = LO_OK;
    for (int t = 0; t < TEXTS && status == LO_OK; t++) {
        status = read_texts(&in->outputs, path[t], &text[t], &models, err);
    }
    if (status == LO_OK) {
        status = lo_h5_read_all(&in->outputs, "/model/seed", LO_H5_I64, (void **)&seed, NULL, NULL, err);
    }
    in->matched = calloc((size_t)models + 1, sizeof(*in->matched));
    if (status == LO_OK && in->matched == NULL) {
        status = no_memory(err);
    }
    for (int64_t m = 0; m < models && status == LO_OK; m++) {
        lo_audit_row *row = &in->matched[in->matched_count];
        take_text(row->kind, sizeof(row->kind), kinds, m);
        take_text(row->model, sizeof(row->model), names, m);
        take_text(row->method, sizeof(row->method), text[METHOD], m);
        take_text(row->setting, sizeof(row->setting), text[SETTING], m);
        take_text(row->forget_set, sizeof(row->forget_set), text[SET], m);
        row->seed = seed[m];
        row->output = m;
        row->set = 0;
        while (row->set < in->sets && strcmp(in->set[row->set].name, row->forget_set) != 0) {
            row->set++;
        }
        in->matched_count += strcmp(row->kind, "matched") == 0 && row->set < in->sets;
    }
    for (int t = 0; t < TEXTS; t++) {
        free(text[t]);
    }
    free(seed);
    return status;
}

static lo_status read_models(lo_audit_input *in, lo_error *err)
{
    char *kinds = NULL, *names = NULL;
    int64_t models = 0;
    lo_h5_reader e;
    LO_TRY(open_file(in->study, "evaluation.h5", &e, err));
    lo_status status = read_rows(in, &e, err);
    lo_h5_close(&e);
    if (status == LO_OK) {
        status = lo_h5_get_text(&in->outputs, "/", "state", in->state, sizeof(in->state), err);
    }
    if (status == LO_OK) {
        status = read_texts(&in->outputs, "/model/kind", &kinds, &models, err);
    }
    if (status == LO_OK) {
        status = read_texts(&in->outputs, "/model/name", &names, &models, err);
    }
    if (status == LO_OK) {
        find_outputs(in, kinds, names, models);
        status = read_matched(in, kinds, names, models, err);
    }
    free(kinds);
    free(names);
    return status;
}

/* Positions of source numbers; both ascend. */
static lo_status place(const lo_study *study, const char *set, const int64_t *number, int64_t count,
                       lo_audit_set *out, lo_error *err)
{
    const lo_examples *train = &study->data.train;
    int64_t at = 0;
    out->forget = malloc(((size_t)count + 1) * sizeof(*out->forget));
    out->retain = malloc(((size_t)train->count + 1) * sizeof(*out->retain));
    if (out->forget == NULL || out->retain == NULL) {
        return no_memory(err);
    }
    for (int64_t i = 0; i < train->count; i++) {
        if (at < count && train->index[i] == number[at]) {
            out->forget[out->forget_count++] = (uint32_t)i;
            at++;
        } else {
            out->retain[out->retain_count++] = (uint32_t)i;
        }
    }
    return at == count ? LO_OK
                       : lo_fail(err, LO_DATA,
                                 "forget.h5: /%s/index has %lld, which is no training example of this study",
                                 set, (long long)number[at]);
}

/* Examples of the forget set's classes, malloc'ed. Where there are none there are no non-members, and attacks
 * say so. */
static lo_status same_class(const lo_study *study, const lo_examples *from, const lo_audit_set *set,
                            uint32_t **rows, int64_t *count, lo_error *err)
{
    *rows = malloc(((size_t)from->count + 1) * sizeof(**rows));
    if (*rows == NULL ||
        lo_same_class(from->label, NULL, from->count, study->data.train.label, set->forget, set->forget_count,
                      study->data.classes, *rows, count, NULL) == LO_INTERNAL) {
        return no_memory(err);
    }
    return LO_OK;
}

/* The retain examples of the forget set's classes, and the test examples of the classes of these. */
static lo_status find_alike(const lo_study *study, lo_audit_set *set, lo_error *err)
{
    const lo_examples *train = &study->data.train, *test = &study->data.test;
    const int32_t classes = study->data.classes;
    set->alike = malloc(((size_t)set->retain_count + 1) * sizeof(*set->alike));
    set->other_alike = malloc(((size_t)test->count + 1) * sizeof(*set->other_alike));
    if (set->alike == NULL || set->other_alike == NULL ||
        lo_same_class(train->label, set->retain, set->retain_count, train->label, set->forget,
                      set->forget_count, classes, set->alike, &set->alike_count, NULL) == LO_INTERNAL ||
        lo_same_class(test->label, NULL, test->count, train->label, set->alike, set->alike_count, classes,
                      set->other_alike, &set->other_alike_count, NULL) == LO_INTERNAL) {
        return no_memory(err);
    }
    return LO_OK;
}

static lo_status read_sets(lo_audit_input *in, lo_error *err)
{
    const lo_study *study = in->study;
    lo_h5_reader reader;
    LO_TRY(open_file(study, "forget.h5", &reader, err));
    lo_status status = LO_OK;
    for (int s = 0; s < in->sets && status == LO_OK; s++) {
        lo_audit_set *set = &in->set[s];
        char path[LO_H5_TEXT_SIZE + 16];
        int64_t *number = NULL, count = 0, whole = 0;
        (void)snprintf(path, sizeof(path), "/%s/index", set->name);
        status = lo_h5_read_all(&reader, path, LO_H5_I64, (void **)&number, &count, NULL, err);
        if (status == LO_OK) {
            status = place(study, set->name, number, count, set, err);
        }
        (void)snprintf(path, sizeof(path), "/%s", set->name);
        if (status == LO_OK) {
            status = lo_h5_get_int(&reader, path, "whole_class", &whole, err);
        }
        set->whole_class = whole != 0;
        if (status == LO_OK) {
            status = same_class(study, &study->data.test, set, &set->other, &set->other_count, err);
        }
        if (status == LO_OK) {
            status = same_class(study, &study->data.validation, set, &set->unseen, &set->unseen_count, err);
        }
        status = status == LO_OK ? find_alike(study, set, err) : status;
        free(number);
    }
    lo_h5_close(&reader);
    return status;
}

/* Rows of models that are not in use are NaN. */
static lo_status read_margins(lo_audit_input *in, const char *path, int64_t n, float **out, lo_error *err)
{
    const lo_ensemble_file *f = &in->ensemble;
    LO_TRY(lo_h5_read_all(&f->reader, path, LO_H5_F32, (void **)out, NULL, NULL, err));
    for (int64_t r = 0; r < f->rows; r++) {
        const int64_t model = f->model[r];
        for (int64_t i = 0; i < n && (f->use[model / 8] >> (model % 8) & 1) == 0; i++) {
            (*out)[r * n + i] = NAN;
        }
    }
    return LO_OK;
}

static lo_status read_ensemble(lo_audit_input *in, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", in->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    in->has_ensemble = true;
    LO_TRY(lo_ensemble_open(in->study->run.study, &in->ensemble, err));
    if (!lo_h5_has(&in->ensemble.reader, "/train/logit") || in->ensemble.rows < 2) {
        return LO_OK;
    }
    LO_TRY(lo_ensemble_columns(&in->ensemble, "/mask", 0, in->study->data.train.count, &in->mask, err));
    LO_TRY(read_margins(in, "/train/logit", in->study->data.train.count, &in->margin[0], err));
    return lo_h5_has(&in->ensemble.reader, "/test/logit")
               ? read_margins(in, "/test/logit", in->study->data.test.count, &in->margin[1], err)
               : LO_OK;
}

lo_status lo_audit_open(const lo_study *study, bool ensemble, lo_audit_input *out, lo_error *err)
{
    *out = (lo_audit_input){.study = study};
    LO_TRY(open_file(study, "outputs.h5", &out->outputs, err));
    LO_TRY(read_models(out, err));
    LO_TRY(read_sets(out, err));
    return ensemble ? read_ensemble(out, err) : LO_OK;
}

void lo_audit_close(lo_audit_input *input)
{
    lo_h5_close(&input->outputs);
    for (int s = 0; s < input->sets && input->set != NULL; s++) {
        free(input->set[s].forget);
        free(input->set[s].retain);
        free(input->set[s].other);
        free(input->set[s].unseen);
        free(input->set[s].alike);
        free(input->set[s].other_alike);
    }
    free(input->set);
    free(input->row);
    free(input->matched);
    free(input->margin[0]);
    free(input->margin[1]);
    lo_columns_destroy(&input->mask);
    if (input->has_ensemble) {
        lo_ensemble_close(&input->ensemble);
    }
}

lo_status lo_audit_load(const lo_audit_input *input, const lo_audit_row *row, lo_audit_model *out,
                        lo_error *err)
{
    *out = (lo_audit_model){0};
    for (int p = 0; p < LO_AUDIT_PARTS; p++) {
        const lo_examples *e = examples(input->study, p);
        char path[32];
        (void)snprintf(path, sizeof(path), "/%s/logit", parts[p]);
        out->value[p] = malloc((size_t)(e->count * input->study->data.classes) * sizeof(float) + 1);
        out->logits[p] = (lo_logits){out->value[p], e->label, e->count, input->study->data.classes};
        if (out->value[p] == NULL) {
            return no_memory(err);
        }
        if (e->count > 0) {
            LO_TRY(lo_h5_read(&input->outputs, path, LO_H5_F32, row->output, 1, out->value[p], err));
        }
    }
    return LO_OK;
}

void lo_audit_unload(lo_audit_model *model)
{
    for (int p = 0; p < LO_AUDIT_PARTS; p++) {
        free(model->value[p]);
        model->value[p] = NULL;
    }
}
