#include "data/classes.h"

#include "base/file.h"
#include "data/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 256 };

/* Numbers up to here are whole numbers of a double, each written in one way. */
static const double max_number = 9007199254740992.0;

/* ---- the hash table ---- */

static int32_t find_slot(const lo_classes *classes, const char *text)
{
    const uint32_t mask = (uint32_t)classes->slots - 1;
    uint32_t at = (uint32_t)lo_digest(LO_DIGEST_START, text) & mask;
    while (classes->slot[at] != 0 && strcmp(classes->text[classes->slot[at] - 1], text) != 0) {
        at = (at + 1) & mask;
    }
    return (int32_t)at;
}

/* Room for one more; the table stays at most half full. False: no memory. */
static bool make_room(lo_classes *classes)
{
    if (classes->count < classes->room) {
        return true;
    }
    const int32_t slots = classes->slots == 0 ? FIRST_SLOTS : 2 * classes->slots;
    char **text = realloc(classes->text, (size_t)slots / 2 * sizeof(*text));
    if (text == NULL) {
        return false;
    }
    classes->text = text;
    int32_t *slot = calloc((size_t)slots, sizeof(*slot));
    if (slot == NULL) {
        return false;
    }
    free(classes->slot);
    classes->slot = slot;
    classes->slots = slots;
    classes->room = slots / 2;
    for (int32_t c = 0; c < classes->count; c++) {
        classes->slot[find_slot(classes, classes->text[c])] = c + 1;
    }
    return true;
}

/* A label as it is compared and shown, into `out`: numbers in one way of writing. */
static lo_status normalize(const char *where, const char *text, size_t length, char out[], size_t size,
                           lo_error *err)
{
    double value = 0;
    const lo_number_kind kind = lo_text_number(text, length, &value);
    if (length == 0 || kind == LO_NUMBER_NOT_FINITE) {
        return lo_fail(err, LO_DATA, "%s: the label is missing: found '%.*s'", where, (int)length, text);
    }
    if (kind == LO_NUMBER_NONE) {
        if (!lo_source_name_allowed(text, length)) {
            return lo_fail(
                err, LO_DATA,
                "%s: the label is not allowed: found %zu bytes; allowed are 1 to %d bytes of UTF-8 "
                "without control characters",
                where, length, LO_MAX_CLASS_NAME);
        }
        (void)snprintf(out, size, "%.*s", (int)length, text);
        return LO_OK;
    }
    if (value != floor(value) || fabs(value) > max_number) {
        return lo_fail(err, LO_DATA,
                       "%s: found label %.*s; allowed are whole numbers and names: labels are classes, and "
                       "there is no regression",
                       where, (int)length, text);
    }
    (void)snprintf(out, size, "%.0f", value == 0 ? 0.0 : value); /* -0 is 0 */
    return LO_OK;
}

lo_status lo_classes_number(lo_classes *classes, const char *where, const char *text, size_t length,
                            bool known, int32_t *number, lo_error *err)
{
    char label[LO_MAX_CLASS_NAME + 1];
    LO_TRY(normalize(where, text, length, label, sizeof(label), err));
    if (!make_room(classes)) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for the labels", where);
    }
    const int32_t at = find_slot(classes, label);
    if (classes->slot[at] == 0) {
        if (known) {
            return lo_fail(err, LO_DATA, "%s: found label '%s', which no training example has", where, label);
        }
        if (classes->count == LO_MAX_LABELS) {
            return lo_fail(err, LO_DATA, "%s: found more than %d labels", where, LO_MAX_LABELS);
        }
        classes->text[classes->count] = strdup(label);
        if (classes->text[classes->count] == NULL) {
            return lo_fail(err, LO_INTERNAL, "%s: no memory for the labels", where);
        }
        classes->slot[at] = ++classes->count;
    }
    *number = classes->slot[at] - 1;
    return LO_OK;
}

/* ---- sorting ---- */

typedef struct sorted {
    const char *text;
    double value;
    int32_t number;
} sorted;

static int by_value(const void *left, const void *right)
{
    const double a = ((const sorted *)left)->value;
    const double b = ((const sorted *)right)->value;
    return a < b ? -1 : a > b;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(((const sorted *)left)->text, ((const sorted *)right)->text);
}

/* Fills `order`; were all labels numbers? */
static bool sort_labels(const lo_classes *classes, sorted *order)
{
    bool numbers = true;
    for (int32_t c = 0; c < classes->count; c++) {
        order[c].text = classes->text[c];
        order[c].number = c;
        numbers =
            lo_text_number(order[c].text, strlen(order[c].text), &order[c].value) == LO_NUMBER && numbers;
    }
    qsort(order, (size_t)classes->count, sizeof(*order), numbers ? by_value : by_text);
    return numbers;
}

static void renumber(lo_source_part *part, const int32_t *to)
{
    for (int64_t i = 0; i < part->count; i++) {
        part->label[i] = to[part->label[i]];
    }
}

lo_status lo_classes_settle(lo_classes *classes, lo_source *source, lo_error *err)
{
    lo_status status = LO_OK;
    const size_t count = (size_t)classes->count;
    sorted *order = calloc(count + 1, sizeof(*order));
    int32_t *to = calloc(count + 1, sizeof(*to));
    if (order == NULL || to == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %zu classes", count);
        goto end;
    }
    bool plain = sort_labels(classes, order);
    for (int32_t c = 0; c < classes->count; c++) {
        to[order[c].number] = c;
        plain = plain && order[c].value == c;
    }
    renumber(&source->train, to);
    renumber(&source->test, to);
    source->classes = classes->count;
    if (!plain) {
        source->class_name = lo_source_names(classes->count);
        for (int32_t c = 0; source->class_name != NULL && c < classes->count; c++) {
            if (!lo_source_name(source->class_name, c, order[c].text, strlen(order[c].text))) {
                status = lo_fail(err, LO_INTERNAL, "no memory for the names of %zu classes", count);
            }
        }
        if (source->class_name == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the names of %zu classes", count);
        }
    }
end:
    free(order);
    free(to);
    return status;
}

void lo_classes_free(lo_classes *classes)
{
    for (int32_t c = 0; c < classes->count; c++) {
        free(classes->text[c]);
    }
    free(classes->text);
    free(classes->slot);
    *classes = (lo_classes){0};
}
