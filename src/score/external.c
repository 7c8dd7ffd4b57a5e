#include "score/external.h"

#include "data/npy_file.h"
#include "data/text.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the file ---- */

static double npy_number(const lo_npy_file *f, int64_t i)
{
    const char *at = (const char *)f->map + f->data + (size_t)i * (size_t)f->size;
    union {
        float f32;
        double f64;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } v = {0};
    memcpy(&v, at, (size_t)f->size);
    switch (f->kind) {
    case 'f':
        return f->size == 8 ? v.f64 : (double)v.f32;
    case 'i':
        return f->size == 8   ? (double)v.i64
               : f->size == 4 ? (double)v.i32
               : f->size == 2 ? (double)v.i16
                              : (double)v.i8;
    default:
        return f->size == 8   ? (double)v.u64
               : f->size == 4 ? (double)v.u32
               : f->size == 2 ? (double)v.u16
                              : (double)v.u8;
    }
}

static lo_status read_npy(const char *file, double **numbers, int64_t *count, lo_error *err)
{
    lo_npy_file f;
    lo_status status = lo_npy_file_open(file, &f, err);
    if (status == LO_OK && (f.array.dimensions != 1 || (f.kind == 'f' && f.size != 4 && f.size != 8))) {
        status = lo_fail(err, LO_DATA,
                         "%s: an array of %d dimensions of '%c%d'; allowed is one dimension of float32, "
                         "float64 or whole numbers",
                         file, f.array.dimensions, f.kind, f.size);
    }
    if (status == LO_OK) {
        *count = f.array.dimension[0];
        *numbers = malloc((size_t)*count * sizeof(**numbers) + 1);
        if (*numbers == NULL) {
            status = lo_fail(err, LO_INTERNAL, "%s: no memory for its numbers", file);
        }
    }
    for (int64_t i = 0; status == LO_OK && i < *count; i++) {
        (*numbers)[i] = npy_number(&f, i);
    }
    lo_npy_file_close(&f);
    return status;
}

/* The last of the line's values, without blanks around it. */
static const char *last_value(const lo_text *text, size_t *length)
{
    const char *end = text->line + text->length;
    const char *at = end;
    while (at > text->line && at[-1] != ',') {
        at--;
    }
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (end > at && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *length = (size_t)(end - at);
    return at;
}

static bool is_nan(const char *text, size_t length)
{
    return length == 3 && strncasecmp(text, "nan", 3) == 0;
}

static lo_status take_line(const lo_text *text, double **numbers, int64_t *count, int64_t *room,
                           lo_error *err)
{
    size_t length;
    double value = (double)NAN;
    const char *at = last_value(text, &length);
    if (!is_nan(at, length) && lo_text_number(at, length, &value) != LO_NUMBER) {
        return text->line_number == 1 ? LO_OK
                                      : lo_fail(err, LO_DATA, "%s: found '%.*s'; allowed is a number or nan",
                                                text->where, length < 40 ? (int)length : 40, at);
    }
    if (*count == *room) {
        *room = *room * 2 + 1024;
        double *larger = realloc(*numbers, (size_t)*room * sizeof(**numbers));
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "%s: no memory for its numbers", text->path);
        }
        *numbers = larger;
    }
    (*numbers)[(*count)++] = value;
    return LO_OK;
}

static lo_status read_text(const char *file, double **numbers, int64_t *count, lo_error *err)
{
    lo_text text = {0};
    int64_t room = 0;
    const char *slash = strrchr(file, '/');
    char directory[PATH_MAX] = ".";
    if (slash != NULL) {
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - file), file);
    }
    lo_status status =
        lo_text_open(slash == file ? "/" : directory, slash != NULL ? slash + 1 : file, &text, err);
    while (status == LO_OK && lo_text_next(&text)) {
        status = take_line(&text, numbers, count, &room, err);
    }
    lo_text_close(&text);
    return status;
}

/* ---- the examples ---- */

static lo_status place(const char *file, const double *numbers, int64_t count, const lo_examples *examples,
                       float *value, lo_error *err)
{
    const int64_t n = examples->count;
    const int64_t source = n > 0 ? examples->index[n - 1] + 1 : 0; /* numbers ascend */
    if (count != n && count < source) {
        return lo_fail(
            err, LO_DATA,
            "%s: found %lld numbers; needed are %lld, one for each training example in use, or one "
            "for each of the source files, at least %lld",
            file, (long long)count, (long long)n, (long long)source);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = count == n ? i : examples->index[i];
        value[i] = (float)numbers[at];
        if (isinf(value[i])) {
            return lo_fail(err, LO_DATA,
                           "%s: number %lld (from 0) is %g; allowed are float32 numbers and nan", file,
                           (long long)at, numbers[at]);
        }
    }
    return LO_OK;
}

lo_status lo_external_read(const char *file, const lo_examples *examples, float *value, lo_error *err)
{
    const size_t length = strlen(file);
    const bool npy = length > 4 && strcmp(file + length - 4, ".npy") == 0;
    double *numbers = NULL;
    int64_t count = 0;
    lo_status status = npy ? read_npy(file, &numbers, &count, err) : read_text(file, &numbers, &count, err);
    if (status == LO_OK) {
        status = place(file, numbers, count, examples, value, err);
    }
    free(numbers);
    return status;
}

/* ---- the score ---- */

static lo_status read_all(const lo_score_input *input, float **value, lo_error *err)
{
    *value = malloc((size_t)input->n * sizeof(**value) + 1);
    if (*value == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a score of %lld examples", (long long)input->n);
    }
    return lo_external_read(lo_item_text(input->item, "file"), &input->data->train, *value, err);
}

static lo_status check(const lo_score_input *input, lo_error *err)
{
    float *value = NULL;
    const lo_status status = read_all(input, &value, err);
    free(value);
    return status == LO_OK ? LO_OK : lo_fail_prefix(err, status, "scores");
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    float *value = NULL;
    const lo_status status = read_all(input, &value, err);
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i].value = value[input->first + i];
    }
    free(value);
    return status;
}

static const lo_setting settings[] = {
    {"file", LO_SETTING_TEXT, "", 0, 0, NULL, "The file of numbers, .npy or text."},
    {"orientation", LO_SETTING_CHOICE, "large", 0, 0, "large small",
     "Which values mean more memorized, large or small ones."},
    {"cost", LO_SETTING_REAL, "0", 0, 1e12, NULL,
     "Trainings on the whole training set that it took; where it is not given, it is no rival for a budget."},
    {"uses_ensemble", LO_SETTING_BOOL, "false", 0, 0, NULL,
     "It was made from this study's ensemble, so it shares the reference's noise."},
};

const lo_score lo_score_external = {
    .name = "file",
    .description = "numbers from a file",
    .orientation = 1,
    .source = "the job",
    .needs = LO_FROM_FILE,
    .setting = settings,
    .settings = sizeof(settings) / sizeof(settings[0]),
    .compute = compute,
    .check = check,
};
