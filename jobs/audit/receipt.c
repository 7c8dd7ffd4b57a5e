#include "jobs/audit/receipt.h"

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "jobs/audit/audit_numbers.h"
#include "jobs/study/kept.h"
#include "jobs/unlearning/unlearning_files.h"
#include "mpi/h5file.h"
#include "nn/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT = LO_H5_TEXT_SIZE + 1, METHOD = 0, SET, SETTING, KIND, MODEL, TEXTS };
static const char *const texts[TEXTS] = {"/run/method", "/run/forget_set", "/run/setting", "/run/kind",
                                         "/run/model"};

/* Figures of a receipt, in this order, from evaluation.h5; then all of audit.h5. */
static const char *const evaluated[] = {
    "unlearning_accuracy", "retain_accuracy", "validation_accuracy", "test_accuracy", "tow", "time_ratio"};

static const char *const limits[] = {
    ("This is evidence, not proof: attacks that were not run may tell what these do not."),
    ("An oracle is one training of many that would have been possible; figures hold against these "
     "oracles."),
    ("Copies of the data elsewhere, models made from this one before, and its training's records are not "
     "looked at."),
    ("The digest of the forget set is of example numbers: whoever knows the data set can try sets of "
     "numbers."),
    ("Digests name files as they are; they do not say who made them or when.")};

typedef struct source {
    const char *study;
    lo_h5_reader audit, evaluation, forget;
    int opened;
    int64_t rows;
    char *text[TEXTS];
    int64_t *seed;
    uint8_t *diverged;
    bool
        has_settings; /* else it is of a version that did not say them, nor leave out oracles that diverged */
} source;

static void copy(const source *s, int which, int64_t row, char out[TEXT])
{
    (void)snprintf(out, TEXT, "%.*s", LO_H5_TEXT_SIZE, s->text[which] + row * LO_H5_TEXT_SIZE);
}

static bool is_kind(const source *s, int64_t row, const char *kind)
{
    char text[TEXT];
    copy(s, KIND, row, text);
    return strcmp(text, kind) == 0;
}

static void source_close(source *s)
{
    lo_h5_reader *const readers[] = {&s->audit, &s->evaluation, &s->forget};
    for (int i = 0; i < s->opened; i++) {
        lo_h5_close(readers[i]);
    }
    for (int i = 0; i < TEXTS; i++) {
        free(s->text[i]);
    }
    free(s->seed);
    free(s->diverged);
}

static lo_status source_open(const char *study, source *s, lo_error *err)
{
    static const char *const names[] = {"audit.h5", "evaluation.h5", "forget.h5"};
    *s = (source){.study = study};
    lo_h5_reader *const readers[] = {&s->audit, &s->evaluation, &s->forget};
    for (int i = 0; i < 3; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", study, names[i]);
        LO_TRY(lo_h5_open(path, readers[i], err));
        s->opened++;
    }
    for (int i = 0; i < TEXTS; i++) {
        LO_TRY(lo_h5_read_all(&s->audit, texts[i], LO_H5_CHARS, (void **)&s->text[i], &s->rows, NULL, err));
    }
    s->has_settings = lo_h5_has(&s->audit, "/setting");
    LO_TRY(lo_h5_read_all(&s->audit, "/run/seed", LO_H5_I64, (void **)&s->seed, NULL, NULL, err));
    int64_t rows = 0;
    LO_TRY(
        lo_h5_read_all(&s->evaluation, "/run/diverged", LO_H5_U8, (void **)&s->diverged, &rows, NULL, err));
    return rows == s->rows ? LO_OK
                           : lo_fail(err, LO_DATA, "%s: it has %lld rows; audit.h5 has %lld",
                                     s->evaluation.file, (long long)rows, (long long)s->rows);
}

/* "file" and its digest; null for weights that are not kept. */
static lo_status write_model(const source *s, lo_json *json, const char *key, const char *folder,
                             const char *name, lo_error *err)
{
    char path[PATH_MAX], file[PATH_MAX], digest[LO_SHA256_TEXT];
    (void)snprintf(file, sizeof(file), "%s/%s.safetensors", folder, name);
    (void)snprintf(path, sizeof(path), "%s/%s", s->study, file);
    const bool kept = access(path, F_OK) == 0;
    if (kept) {
        LO_TRY(lo_sha256_file(path, digest, err));
    }
    lo_json_object(json, key);
    lo_json_text(json, "file", file);
    lo_json_text(json, "sha256", kept ? digest : NULL);
    lo_json_end(json);
    return LO_OK;
}

static lo_status write_request(const source *s, const char *set, char *after, size_t size, lo_json *json,
                               lo_error *err)
{
    char path[TEXT + 16], select[64] = "", digest[LO_SHA256_TEXT];
    int64_t *number = NULL, count = 0;
    lo_sha256 sha;
    (void)snprintf(path, sizeof(path), "/%s", set);
    LO_TRY(lo_h5_get_text(&s->forget, path, "select", select, sizeof(select), err));
    LO_TRY(lo_h5_get_text(&s->forget, path, "after", after, size, err));
    (void)snprintf(path, sizeof(path), "/%s/index", set);
    LO_TRY(lo_h5_read_all(&s->forget, path, LO_H5_I64, (void **)&number, &count, NULL, err));
    lo_sha256_begin(&sha);
    for (int64_t i = 0; i < count; i++) {
        char text[32];
        const int length = snprintf(text, sizeof(text), "%" PRId64 "\n", number[i]);
        lo_sha256_add(&sha, text, (size_t)length);
    }
    lo_sha256_end(&sha, digest);
    free(number);
    lo_json_object(json, "request");
    lo_json_text(json, "forget_set", set);
    lo_json_text(json, "selected_by", select);
    lo_json_int(json, "examples", count);
    lo_json_text(json, "sha256_of_numbers", digest);
    lo_json_end(json);
    return LO_OK;
}

static lo_status write_figure(const lo_h5_reader *reader, const char *name, int64_t row, lo_json *json,
                              lo_error *err)
{
    /* The difference from the oracles is of audit.h5 alone. */
    static const char *const fields[] = {"value", "low",       "high",      "ceiling",
                                         "apart", "apart_low", "apart_high"};
    char path[96];
    if (!lo_h5_has(reader, name)) {
        return LO_OK;
    }
    lo_json_object(json, name);
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        double value;
        (void)snprintf(path, sizeof(path), "/%s/%s", name, fields[f]);
        if (!lo_h5_has(reader, path)) {
            continue;
        }
        LO_TRY(lo_h5_read(reader, path, LO_H5_F64, row, 1, &value, err));
        lo_json_real(json, fields[f], value);
    }
    (void)snprintf(path, sizeof(path), "/%s/models", name);
    if (lo_h5_has(reader, path)) {
        int64_t models;
        LO_TRY(lo_h5_read(reader, path, LO_H5_I64, row, 1, &models, err));
        lo_json_int(json, "models", models);
    }
    (void)snprintf(path, sizeof(path), "/%s/fitted", name);
    if (lo_h5_has(reader, path)) {
        int64_t fitted;
        LO_TRY(lo_h5_read(reader, path, LO_H5_I64, row, 1, &fitted, err));
        lo_json_int(json, "fitted", fitted);
    }
    (void)snprintf(path, sizeof(path), "/%s/reference", name);
    if (lo_h5_has(reader, path)) {
        char text[TEXT] = "";
        LO_TRY(lo_h5_read(reader, path, LO_H5_CHARS, row, 1, text, err));
        lo_json_text(json, "reference", text);
    }
    lo_json_end(json);
    return LO_OK;
}

/* The model that the method began with: an original, or what had forgotten the set before. Its name is the
 * run's with that set's; returned is its folder. */
static const char *model_in(const source *s, int64_t row, const char *after, char name[3 * TEXT])
{
    char method[TEXT], set[TEXT], model[TEXT];
    copy(s, METHOD, row, method);
    copy(s, SET, row, set);
    copy(s, MODEL, row, model);
    if (after[0] == '\0') {
        (void)snprintf(name, 3 * TEXT, "%" PRId64, s->seed[row]);
        return "originals";
    }
    const size_t head = strlen(method) + 1 + strlen(set);
    (void)snprintf(name, 3 * TEXT, "%s-%s%s", method, after, head <= strlen(model) ? model + head : "");
    return "unlearned";
}

/* Is row r an oracle of the forget set? */
static bool is_oracle_of(const source *s, int64_t r, const char *set)
{
    char text[TEXT];
    copy(s, SET, r, text);
    return is_kind(s, r, "oracle") && strcmp(text, set) == 0;
}

/* The oracles that the figures are against, and how many diverged, which no figure is against. */
static lo_status write_oracles(const source *s, const char *set, lo_json *json, lo_error *err)
{
    int64_t diverged = 0;
    lo_json_array(json, "oracles");
    for (int64_t r = 0; r < s->rows; r++) {
        const bool out = s->has_settings && s->diverged[r] != 0;
        if (is_oracle_of(s, r, set) && !out) {
            char model[TEXT];
            copy(s, MODEL, r, model);
            LO_TRY(write_model(s, json, NULL, "oracles", model, err));
        }
        diverged += is_oracle_of(s, r, set) && out;
    }
    lo_json_end(json);
    if (s->has_settings) {
        lo_json_int(json, "oracles_diverged", diverged);
    }
    return LO_OK;
}

/* What the audit was told. */
static lo_status write_settings(const source *s, lo_json *json, lo_error *err)
{
    int64_t sample, seed, features;
    double own;
    char(*name)[LO_H5_TEXT_SIZE] = NULL;
    if (!s->has_settings) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read(&s->audit, "/setting/sample", LO_H5_I64, 0, 1, &sample, err));
    LO_TRY(lo_h5_read(&s->audit, "/setting/seed", LO_H5_I64, 0, 1, &seed, err));
    LO_TRY(lo_h5_read(&s->audit, "/setting/rmia_a", LO_H5_F64, 0, 1, &own, err));
    LO_TRY(lo_h5_read_all(&s->audit, "/setting/mia_features", LO_H5_CHARS, (void **)&name, &features, NULL,
                          err));
    lo_json_object(json, "audit");
    lo_json_int(json, "seed", seed);
    lo_json_int(json, "sample", sample);
    lo_json_real(json, "rmia_a", own);
    lo_json_array(json, "mia_features");
    for (int64_t i = 0; i < features; i++) {
        char text[TEXT];
        (void)snprintf(text, sizeof(text), "%.*s", LO_H5_TEXT_SIZE, name[i]);
        lo_json_text(json, NULL, text);
    }
    lo_json_end(json);
    lo_json_end(json);
    free(name);
    return LO_OK;
}

static lo_status write_receipt(const source *s, int64_t row, FILE *out, lo_error *err)
{
    char text[TEXTS][TEXT], after[TEXT] = "", name[3 * TEXT], setting[1024], version[64] = "";
    for (int i = 0; i < TEXTS; i++) {
        copy(s, i, row, text[i]);
    }
    LO_TRY(lo_h5_get_text(&s->audit, "/", "version", version, sizeof(version), err));
    LO_TRY(lo_read_setting(&s->evaluation, text[METHOD], text[SETTING], text[MODEL], setting, sizeof(setting),
                           err));
    lo_json json = lo_json_begin(out);
    lo_json_object(&json, NULL);
    lo_json_text(&json, "receipt", "leaveout unlearning 1");
    lo_json_text(&json, "version", version);
    LO_TRY(write_request(s, text[SET], after, sizeof(after), &json, err));
    lo_json_text(&json, "method", text[METHOD]);
    lo_json_text(&json, "settings", setting);
    lo_json_int(&json, "seed", s->seed[row]);
    const char *folder = model_in(s, row, after, name);
    LO_TRY(write_model(s, &json, "model_in", folder, name, err));
    LO_TRY(write_model(s, &json, "model_out", "unlearned", text[MODEL], err));
    LO_TRY(write_oracles(s, text[SET], &json, err));
    LO_TRY(write_settings(s, &json, err));
    lo_json_object(&json, "found");
    for (size_t i = 0; i < sizeof(evaluated) / sizeof(evaluated[0]); i++) {
        LO_TRY(write_figure(&s->evaluation, evaluated[i], row, &json, err));
    }
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        LO_TRY(write_figure(&s->audit, lo_audit_number_at(k)->name, row, &json, err));
    }
    lo_json_end(&json);
    lo_json_array(&json, "cannot_promise");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        lo_json_text(&json, NULL, limits[i]);
    }
    lo_json_end(&json);
    lo_json_end(&json);
    return LO_OK;
}

bool lo_receipt_study(const char *path, char *study, size_t size)
{
    const char *name = strrchr(path, '/');
    const char *folder = "receipts";
    const size_t length = strlen(path), before = name != NULL ? (size_t)(name - path) : 0;
    if (length < 5 || strcmp(path + length - 5, ".json") != 0 || before < strlen(folder) ||
        strncmp(name - strlen(folder), folder, strlen(folder)) != 0) {
        return false;
    }
    const size_t rest = before - strlen(folder);
    if (rest > 0 && path[rest - 1] != '/') {
        return false;
    }
    (void)snprintf(study, size, "%.*s", rest > 1 ? (int)(rest - 1) : 1, rest == 0 ? "." : path);
    return true;
}

lo_status lo_receipts_write(const char *study, int rank, int ranks, int64_t *count, lo_error *err)
{
    source s;
    char path[PATH_MAX], model[TEXT];
    *count = 0;
    lo_status status = source_open(study, &s, err);
    (void)snprintf(path, sizeof(path), "%s/receipts", study);
    if (status == LO_OK && mkdir(path, 0777) != 0 && errno != EEXIST) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot be made", path);
    }
    for (int64_t r = 0; r < s.rows && status == LO_OK; r++) {
        if (!is_kind(&s, r, "unlearned") || r % ranks != rank) {
            continue;
        }
        lo_file file;
        copy(&s, MODEL, r, model);
        (void)snprintf(path, sizeof(path), "%s/receipts/%s.json", study, model);
        status = lo_file_begin(path, &file, err);
        if (status == LO_OK) {
            status = lo_file_end(&file, write_receipt(&s, r, file.stream, err), err);
            (*count)++;
        }
    }
    source_close(&s);
    return status;
}

/* The first line in which two texts differ. */
static lo_status compare(const char *path, const char *found, size_t size, const char *expected,
                         lo_error *err)
{
    if (strlen(found) != size) {
        return lo_fail(err, LO_DATA, "%s: byte %zu is 0; a receipt is text", path, strlen(found));
    }
    for (int line = 1; *found != '\0' || *expected != '\0'; line++) {
        const size_t a = strcspn(found, "\n"), b = strcspn(expected, "\n");
        if (a != b || strncmp(found, expected, a) != 0) {
            return lo_fail(err, LO_DATA, "%s:%d: found '%.*s'; the study says '%.*s'", path, line,
                           (int)(a < 400 ? a : 400), found, (int)(b < 400 ? b : 400), expected);
        }
        found += a + (found[a] == '\n');
        expected += b + (expected[b] == '\n');
    }
    return LO_OK;
}

static lo_status compare_with(const source *s, int64_t row, const char *path, lo_error *err)
{
    enum { LIMIT = 1 << 24 };
    char *found = NULL, *expected = NULL;
    size_t size = 0, length = 0;
    LO_TRY(lo_file_read(path, LIMIT, &found, &size, err));
    FILE *out = open_memstream(&expected, &length);
    lo_status status =
        out != NULL ? write_receipt(s, row, out, err) : lo_fail(err, LO_INTERNAL, "no memory for a receipt");
    if (out != NULL && fclose(out) != 0 && status == LO_OK) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a receipt");
    }
    if (status == LO_OK) {
        status = compare(path, found, size, expected, err);
    }
    free(found);
    free(expected);
    return status;
}

/* ---- verifying ---- */

/* What unlearning listed of the models that it made. */
typedef struct listed {
    lo_listed_task *task;
    int64_t count;
} listed;

/* A model's file, where it is kept, is as it was written, and of the task of that name: a digest in a receipt
 * can be changed with the file. */
static lo_status verify_model(const source *s, const listed *tasks, const char *folder, const char *kind,
                              const char *name, lo_error *err)
{
    char path[PATH_MAX];
    lo_safetensors file = {0};
    (void)snprintf(path, sizeof(path), "%s/%s/%s.safetensors", s->study, folder, name);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    for (int64_t t = 0; t < tasks->count; t++) {
        if (strcmp(tasks->task[t].kind, kind) == 0 && strcmp(tasks->task[t].name, name) == 0 &&
            strcmp(kind, "original") != 0) {
            return lo_check_weights(path, tasks->task[t].digest, err);
        }
    }
    lo_status status = lo_safetensors_read(path, &file, err);
    status = status == LO_OK ? lo_safetensors_verify(path, &file, err) : status;
    lo_safetensors_free(&file);
    return status;
}

static lo_status verify_models(const source *s, int64_t row, lo_error *err)
{
    char set[TEXT], model[TEXT], path[TEXT + 16], after[TEXT] = "", name[3 * TEXT];
    listed tasks = {0};
    copy(s, SET, row, set);
    copy(s, MODEL, row, model);
    (void)snprintf(path, sizeof(path), "/%s", set);
    LO_TRY(lo_h5_get_text(&s->forget, path, "after", after, sizeof(after), err));
    LO_TRY(lo_read_tasks(s->study, &tasks.task, &tasks.count, err));
    const char *folder = model_in(s, row, after, name);
    lo_status status =
        verify_model(s, &tasks, folder, after[0] == '\0' ? "original" : "unlearned", name, err);
    if (status == LO_OK) {
        status = verify_model(s, &tasks, "unlearned", "unlearned", model, err);
    }
    for (int64_t r = 0; r < s->rows && status == LO_OK; r++) {
        if (is_oracle_of(s, r, set)) {
            copy(s, MODEL, r, model);
            status = verify_model(s, &tasks, "oracles", "oracle", model, err);
        }
    }
    free(tasks.task);
    return status;
}

/* The files that receipts are made from are as they were written. */
static lo_status verify_files(const source *s, lo_error *err)
{
    const lo_h5_reader *const readers[] = {&s->audit, &s->evaluation, &s->forget};
    for (int i = 0; i < s->opened; i++) {
        int datasets = 0;
        LO_TRY(lo_h5_verify(readers[i], &datasets, err));
    }
    return LO_OK;
}

lo_status lo_receipt_verify(const char *path, const char *study, lo_error *err)
{
    source s;
    char model[TEXT], wanted[PATH_MAX];
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    lo_status status = source_open(study, &s, err);
    status = status == LO_OK ? verify_files(&s, err) : status;
    int64_t row = -1;
    for (int64_t r = 0; r < s.rows && status == LO_OK && row < 0; r++) {
        copy(&s, MODEL, r, model);
        (void)snprintf(wanted, sizeof(wanted), "%s.json", model);
        row = is_kind(&s, r, "unlearned") && strcmp(wanted, name) == 0 ? r : -1;
    }
    if (status == LO_OK && row < 0) {
        status = lo_fail(err, LO_DATA, "%s: %s has no run of unlearning of that name", path, study);
    }
    if (status == LO_OK) {
        status = compare_with(&s, row, path, err);
    }
    if (status == LO_OK) {
        status = verify_models(&s, row, err);
    }
    source_close(&s);
    return status;
}
