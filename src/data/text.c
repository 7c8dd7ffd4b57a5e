#include "data/text.h"

#include "data/spool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

enum { MAX_NUMBER = 127, FAST_DIGITS = 9 };

lo_status lo_text_open(const char *directory, const char *name, lo_text *out, lo_error *err)
{
    out->map = NULL;
    if (snprintf(out->path, sizeof(out->path), "%s/%s", directory, name) >= (int)sizeof(out->path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
    }
    lo_text_rewind(out);
    return lo_file_map(out->path, &out->map, &out->size, err);
}

void lo_text_rewind(lo_text *text)
{
    text->next = 0;
    text->line_number = 0;
    text->line = NULL;
    text->length = 0;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t') {
            return false;
        }
    }
    return true;
}

bool lo_text_next(lo_text *text)
{
    const char *all = text->map;
    do {
        if (text->next == 0 && text->size >= 3 && memcmp(all, "\xef\xbb\xbf", 3) == 0) {
            text->next = 3;
        }
        if (text->next >= text->size) {
            return false;
        }
        const size_t left = text->size - text->next;
        text->line = all + text->next;
        const char *end = memchr(text->line, '\n', left);
        text->length = end != NULL ? (size_t)(end - text->line) : left;
        text->next += text->length + (end != NULL);
        text->length -= text->length > 0 && text->line[text->length - 1] == '\r';
        text->line_number++;
    } while (is_blank(text->line, text->length));
    (void)snprintf(text->where, sizeof(text->where), "%s:%lld", text->path, (long long)text->line_number);
    return true;
}

void lo_text_close(lo_text *text)
{
    if (text->map != NULL) {
        (void)munmap(text->map, text->size);
        text->map = NULL;
    }
}

/* Few digits alone, as most pixels and labels are. */
static bool fast_number(const char *text, size_t length, double *value)
{
    int32_t whole = 0;
    if (length < 1 || length > FAST_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        whole = 10 * whole + (text[i] - '0');
    }
    *value = whole;
    return true;
}

static bool says_not_finite(const char *number)
{
    static const char *const words[] = {"nan", "inf", "infinity"};
    number += *number == '+' || *number == '-';
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        if (strcasecmp(number, words[w]) == 0) {
            return true;
        }
    }
    return false;
}

lo_number_kind lo_text_number(const char *text, size_t length, double *value)
{
    char copy[MAX_NUMBER + 1];
    *value = 0;
    if (fast_number(text, length, value)) {
        return LO_NUMBER;
    }
    if (length < 1 || length > MAX_NUMBER) {
        return LO_NUMBER_NONE;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (says_not_finite(copy)) {
        return LO_NUMBER_NOT_FINITE;
    }
    if (strspn(copy, "0123456789+-.eE") != length) { /* strtod knows more ways of writing than this */
        return LO_NUMBER_NONE;
    }
    char *end = NULL;
    *value = strtod(copy, &end);
    if (end != copy + length) {
        return LO_NUMBER_NONE;
    }
    return isfinite(*value) ? LO_NUMBER : LO_NUMBER_NOT_FINITE;
}

lo_status lo_text_feature(const char *where, const char *what, int64_t number, const char *text,
                          size_t length, float *feature, lo_error *err)
{
    double value = 0;
    const int shown = length < 64 ? (int)length : 64;
    const lo_number_kind kind = lo_text_number(text, length, &value);
    *feature = (float)value;
    if (kind == LO_NUMBER_NONE) {
        return lo_fail(err, LO_DATA, "%s: %s %lld: found '%.*s'; allowed is a number", where, what,
                       (long long)number, shown, text);
    }
    if (kind == LO_NUMBER_NOT_FINITE || !isfinite(*feature)) {
        return lo_fail(err, LO_DATA, "%s: %s %lld: found '%.*s'; allowed are finite numbers of float32",
                       where, what, (long long)number, shown, text);
    }
    return LO_OK;
}
