/* Tables as RFC 4180 describes them: train.csv and test.csv, one example a line, fields separated by commas
 * and quoted or not. One column is the label, a number or a name; all others are features. */
#include "data/classes.h"
#include "data/readers.h"
#include "data/rows.h"
#include "data/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct field {
    const char *at;
    size_t length;
    bool doubled; /* it was quoted and holds quotes, written twice */
} field;

typedef struct table {
    const char *path;
    const lo_read_options *options;
    lo_text text;
    field *fields;  /* [columns] of the line that was read last */
    size_t columns; /* 0: no line has been read */
    size_t label;   /* column of the label, from 0 */
    bool header;
    char *names; /* the training set's header, owned; NULL: it has none */
    float *row;  /* [columns] */
    lo_classes classes;
} table;

static lo_status fail_at(const table *t, size_t column, const char *what, lo_error *err)
{
    return lo_fail(err, LO_DATA, "%s: field %zu: %s", t->text.where, column + 1, what);
}

/* The field that begins at *at, without blanks and quotes around it; *at moves behind its comma, or behind
 * the end. */
static lo_status next_field(const table *t, size_t column, size_t *at, field *out, lo_error *err)
{
    const char *line = t->text.line;
    const size_t length = t->text.length;
    size_t begin = *at;
    while (begin < length && (line[begin] == ' ' || line[begin] == '\t')) {
        begin++;
    }
    const bool quoted = begin < length && line[begin] == '"';
    size_t end = begin += quoted;
    *out = (field){0};
    while (end < length &&
           (quoted ? line[end] != '"' || (end + 1 < length && line[end + 1] == '"') : line[end] != ',')) {
        out->doubled = out->doubled || line[end] == '"';
        end += quoted && line[end] == '"' ? 2 : 1;
    }
    size_t after = end;
    if (quoted) {
        if (end >= length) {
            return fail_at(t, column, "the quote does not end on its line", err);
        }
        after++;
        while (after < length && (line[after] == ' ' || line[after] == '\t')) {
            after++;
        }
        if (after < length && line[after] != ',') {
            return fail_at(t, column, "found text after the closing quote; allowed is a comma", err);
        }
    } else {
        while (end > begin && (line[end - 1] == ' ' || line[end - 1] == '\t')) {
            end--;
        }
        if (out->doubled) {
            return fail_at(t, column, "found a quote inside a field that is not quoted", err);
        }
    }
    out->at = line + begin;
    out->length = end - begin;
    *at = after + 1;
    return LO_OK;
}

/* Splits the line into fields, of which there must be as many as in the lines before. */
static lo_status split(table *t, lo_error *err)
{
    const size_t most = t->columns > 0 ? t->columns : LO_MAX_FEATURES + 1;
    size_t count = 0;
    for (size_t at = 0; at <= t->text.length; count++) {
        field one;
        LO_TRY(next_field(t, count, &at, &one, err));
        if (count < most) {
            t->fields[count] = one;
        }
    }
    if (t->columns > 0 && count != t->columns) {
        return lo_fail(err, LO_DATA,
                       "%s: found %zu fields, allowed %zu, as in the first line of %s/train.csv",
                       t->text.where, count, t->columns, t->path);
    }
    if (count < 2 || count > most) {
        return lo_fail(err, LO_DATA, "%s: found %zu fields; allowed are 2 to %zu, separated by commas",
                       t->text.where, count, most);
    }
    t->columns = count;
    return LO_OK;
}

/* The text of a field, its quotes single, cut after `size` - 1 bytes. Returns its length. */
static size_t field_text(const field *f, char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < f->length && length < size - 1; i++) {
        text[length++] = f->at[i];
        i += f->doubled && f->at[i] == '"';
    }
    text[length] = '\0';
    return length;
}

/* The column whose name in the first line is the one asked for; `columns` if none is. */
static size_t named_column(const table *t, const char *name)
{
    char text[512];
    size_t c = 0;
    for (; c < t->columns; c++) {
        (void)field_text(&t->fields[c], text, sizeof(text));
        if (strcmp(text, name) == 0) {
            break;
        }
    }
    return c;
}

/* Which column is the label, by the first line? */
static lo_status find_label(table *t, lo_error *err)
{
    const char *asked = t->options->label_column;
    double number = 0;
    t->label = t->columns - 1;
    if (asked == NULL) {
        return LO_OK;
    }
    if (t->options->header != LO_HEADER_ABSENT) {
        const size_t named = named_column(t, asked);
        if (named < t->columns) {
            t->label = named;
            return LO_OK;
        }
    }
    if (strcmp(asked, "last") == 0) {
        return LO_OK;
    }
    if (lo_text_number(asked, strlen(asked), &number) == LO_NUMBER && number >= 1 &&
        number <= (double)t->columns && number == (double)(size_t)number) {
        t->label = (size_t)number - 1;
        return LO_OK;
    }
    return lo_fail(
        err, LO_USAGE,
        "data.label_column: found '%s', allowed a name in the header of %s, a number, 1 to %zu, or last",
        asked, t->text.path, t->columns);
}

/* Is the line that was read a header? */
static bool is_header(const table *t)
{
    if (t->options->header != LO_HEADER_AUTO) {
        return t->options->header == LO_HEADER_PRESENT;
    }
    for (size_t c = 0; c < t->columns; c++) {
        double value = 0;
        if (c != t->label && t->fields[c].length > 0 &&
            lo_text_number(t->fields[c].at, t->fields[c].length, &value) == LO_NUMBER_NONE) {
            return true;
        }
    }
    return false;
}

/* The training set's first line says what columns there are: no more than it has commas, and one. */
static lo_status learn_columns(table *t, lo_error *err)
{
    size_t room = 1;
    for (size_t i = 0; i < t->text.length; i++) {
        room += t->text.line[i] == ',';
    }
    t->fields = calloc(room, sizeof(*t->fields));
    if (t->fields == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", t->text.path);
    }
    LO_TRY(split(t, err));
    LO_TRY(find_label(t, err));
    t->header = is_header(t);
    t->row = calloc(t->columns, sizeof(*t->row));
    t->names = t->header ? strndup(t->text.line, t->text.length) : NULL;
    if (t->row == NULL || (t->header && t->names == NULL)) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %zu columns", t->text.path, t->columns);
    }
    return LO_OK;
}

/* The test set's first line must be of the same kind. */
static lo_status compare_columns(table *t, lo_error *err)
{
    LO_TRY(split(t, err));
    if (is_header(t) != t->header) {
        return lo_fail(err, LO_DATA,
                       "%s: found %s header, where %s/train.csv has %s (data.header says which)",
                       t->text.where, t->header ? "no" : "a", t->path, t->header ? "one" : "none");
    }
    if (t->header &&
        (strlen(t->names) != t->text.length || memcmp(t->names, t->text.line, t->text.length) != 0)) {
        return lo_fail(err, LO_DATA,
                       "%s: the header is not that of %s/train.csv; the columns must be the same",
                       t->text.where, t->path);
    }
    return LO_OK;
}

static lo_status read_row(table *t, bool test, lo_rows *rows, lo_error *err)
{
    char text[LO_MAX_CLASS_NAME + 2]; /* a longer one is found too long */
    int32_t label = 0;
    size_t features = 0;
    for (size_t c = 0; c < t->columns; c++) {
        const field *f = &t->fields[c];
        if (c == t->label) {
            const size_t length = field_text(f, text, sizeof(text));
            LO_TRY(lo_classes_number(&t->classes, t->text.where, text, length, test, &label, err));
        } else {
            LO_TRY(lo_text_feature(t->text.where, "field", (int64_t)c + 1, f->at, f->length,
                                   &t->row[features], err));
            features++;
        }
    }
    return lo_rows_put(rows, t->row, features, label, err);
}

static lo_status read_part(table *t, bool test, lo_source_part *out, lo_error *err)
{
    lo_rows rows = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, lo_text_open(t->path, test ? "test.csv" : "train.csv", &t->text, err), end);
    LO_TRY_GOTO(status, lo_rows_open(t->options->scratch, &rows, err), end);
    for (bool first = true; lo_text_next(&t->text); first = false) {
        LO_TRY_GOTO(status,
                    !first ? split(t, err)
                    : test ? compare_columns(t, err)
                           : learn_columns(t, err),
                    end);
        if (!first || !t->header) {
            LO_TRY_GOTO(status, read_row(t, test, &rows, err), end);
        }
    }
    if (rows.count == 0) {
        status = lo_fail(err, LO_DATA, "%s: holds no examples", t->text.path);
        goto end;
    }
    status = lo_rows_finish(&rows, out, err);
end:
    lo_rows_close(&rows);
    lo_text_close(&t->text);
    return status;
}

lo_status lo_read_csv(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    lo_status status = LO_OK;
    table *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", path);
    }
    t->path = path;
    t->options = options;
    LO_TRY_GOTO(status, read_part(t, false, &out->train, err), end);
    LO_TRY_GOTO(status, read_part(t, true, &out->test, err), end);
    LO_TRY_GOTO(status, lo_classes_settle(&t->classes, out, err), end);
    out->element = LO_FEATURES;
    out->shape = (lo_shape){(int32_t)t->columns - 1, 1, 1};
end:
    lo_classes_free(&t->classes);
    free(t->fields);
    free(t->names);
    free(t->row);
    free(t);
    return status;
}
