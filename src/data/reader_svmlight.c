/* The sparse text of SVMlight and LIBSVM: train.svm and test.svm (or .svmlight, .libsvm, .txt), one example a
 * line: LABEL INDEX:VALUE INDEX:VALUE ... # comment with increasing indices; features that are not named are
 * 0. T. Joachims, "Making large-scale SVM learning practical", 1999. There are as many features as the
 * largest index of either file says. */
#include "data/classes.h"
#include "data/readers.h"
#include "data/rows.h"
#include "data/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct sparse {
    const char *path;
    const lo_read_options *options;
    lo_text text;
    int64_t features; /* so many are known so far; of both files, when rows are read */
    int64_t rows[2];  /* of train and test, likewise */
    float *row;       /* [features]; NULL while they are counted */
    lo_classes classes;
} sparse;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of the line, from *at; its length, 0 at the end. */
static size_t next_word(const char *line, size_t length, size_t *at)
{
    while (*at < length && is_blank(line[*at])) {
        (*at)++;
    }
    size_t end = *at;
    while (end < length && !is_blank(line[end])) {
        end++;
    }
    return end - *at;
}

/* INDEX:VALUE; `after` is the index before it, which it must exceed. */
static lo_status read_pair(sparse *s, const char *word, size_t length, int64_t *after, lo_error *err)
{
    const int64_t first = s->options->first_index;
    const int shown = length < 64 ? (int)length : 64;
    const char *colon = memchr(word, ':', length);
    double index = 0;
    if (colon == NULL || memchr(word, '.', (size_t)(colon - word)) != NULL ||
        lo_text_number(word, (size_t)(colon - word), &index) != LO_NUMBER) {
        return lo_fail(err, LO_DATA, "%s: found '%.*s'; allowed is INDEX:VALUE", s->text.where, shown, word);
    }
    if (index < (double)first || index >= (double)(LO_MAX_FEATURES + first)) {
        return lo_fail(err, LO_DATA, "%s: found index %.0f, allowed %lld to %lld (data.first_index is %lld)",
                       s->text.where, index, (long long)first, (long long)(LO_MAX_FEATURES + first - 1),
                       (long long)first);
    }
    const int64_t feature = (int64_t)index - first;
    if (feature <= *after) {
        return lo_fail(err, LO_DATA, "%s: found index %.0f after index %lld; allowed are increasing ones",
                       s->text.where, index, (long long)(*after + first));
    }
    *after = feature;
    if (s->row == NULL) {
        s->features = feature >= s->features ? feature + 1 : s->features;
        return LO_OK;
    }
    const size_t used = (size_t)(colon - word) + 1;
    return lo_text_feature(s->text.where, "index", (int64_t)index, word + used, length - used,
                           &s->row[feature], err);
}

/* The line's label into *label (while features are counted: -1), its features into the row. */
static lo_status read_line(sparse *s, bool test, int32_t *label, lo_error *err)
{
    const char *line = s->text.line;
    const char *comment = memchr(line, '#', s->text.length);
    const size_t length = comment != NULL ? (size_t)(comment - line) : s->text.length;
    size_t at = 0;
    size_t word = next_word(line, length, &at);
    int64_t after = -1;
    double number = 0;
    *label = -1;
    if (word == 0) {
        return LO_OK; /* a line of comment alone */
    }
    if (lo_text_number(line + at, word, &number) == LO_NUMBER_NONE) {
        return lo_fail(err, LO_DATA, "%s: found '%.*s' where the label must be; allowed is a whole number",
                       s->text.where, word < 64 ? (int)word : 64, line + at);
    }
    if (s->row != NULL) {
        LO_TRY(lo_classes_number(&s->classes, s->text.where, line + at, word, test, label, err));
        memset(s->row, 0, (size_t)s->features * sizeof(*s->row));
    }
    for (at += word; (word = next_word(line, length, &at)) > 0; at += word) {
        LO_TRY(read_pair(s, line + at, word, &after, err));
    }
    return LO_OK;
}

/* Opens STEM with the first of the endings that is there. */
static lo_status open_part(sparse *s, bool test, lo_error *err)
{
    static const char *const endings[] = {"svm", "svmlight", "libsvm", "txt"};
    char name[32];
    for (size_t e = 0; e < sizeof(endings) / sizeof(endings[0]); e++) {
        char path[PATH_MAX];
        (void)snprintf(name, sizeof(name), "%s.%s", test ? "test" : "train", endings[e]);
        if (snprintf(path, sizeof(path), "%s/%s", s->path, name) < (int)sizeof(path) &&
            access(path, F_OK) == 0) {
            return lo_text_open(s->path, name, &s->text, err);
        }
    }
    if (access(s->path, F_OK) != 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", s->path);
    }
    return lo_fail(err, LO_DATA, "%s: found none of %s.svm, .svmlight, .libsvm, .txt; one of them is needed",
                   s->path, test ? "test" : "train");
}

static lo_status count_features(sparse *s, bool test, lo_error *err)
{
    lo_status status = LO_OK;
    LO_TRY(open_part(s, test, err));
    while (status == LO_OK && lo_text_next(&s->text)) {
        int32_t label = 0;
        status = read_line(s, test, &label, err);
        s->rows[test]++; /* or one too many, where the line is a comment */
    }
    lo_text_close(&s->text);
    return status;
}

static lo_status read_part(sparse *s, bool test, lo_source_part *out, lo_error *err)
{
    lo_rows rows = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, open_part(s, test, err), end);
    LO_TRY_GOTO(status, lo_rows_open(s->options->scratch, &rows, err), end);
    LO_TRY_GOTO(
        status,
        lo_spool_expect(&rows.spool, (uint64_t)s->rows[test] * (uint64_t)s->features * sizeof(float), err),
        end);
    while (lo_text_next(&s->text)) {
        int32_t label = 0;
        LO_TRY_GOTO(status, read_line(s, test, &label, err), end);
        if (label >= 0) {
            LO_TRY_GOTO(status, lo_rows_put(&rows, s->row, (size_t)s->features, label, err), end);
        }
    }
    if (rows.count == 0) {
        status = lo_fail(err, LO_DATA, "%s: holds no examples", s->text.path);
        goto end;
    }
    status = lo_rows_finish(&rows, out, err);
end:
    lo_rows_close(&rows);
    lo_text_close(&s->text);
    return status;
}

lo_status lo_read_svmlight(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    lo_status status = LO_OK;
    sparse *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", path);
    }
    s->path = path;
    s->options = options;
    LO_TRY_GOTO(status, count_features(s, false, err), end);
    LO_TRY_GOTO(status, count_features(s, true, err), end);
    if (s->features == 0) {
        status = lo_fail(err, LO_DATA, "%s: no line has a feature", path);
        goto end;
    }
    s->row = calloc((size_t)s->features, sizeof(*s->row));
    if (s->row == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory for %lld features", path, (long long)s->features);
        goto end;
    }
    LO_TRY_GOTO(status, read_part(s, false, &out->train, err), end);
    LO_TRY_GOTO(status, read_part(s, true, &out->test, err), end);
    LO_TRY_GOTO(status, lo_classes_settle(&s->classes, out, err), end);
    out->element = LO_FEATURES;
    out->shape = (lo_shape){(int32_t)s->features, 1, 1};
end:
    lo_classes_free(&s->classes);
    free(s->row);
    free(s);
    return status;
}
