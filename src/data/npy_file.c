#include "data/npy_file.h"

#include "data/spool.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAGIC_SIZE = 8, MAX_HEADER = 1 << 16 };

typedef lo_npy_file npy;

/* A place in the header's text, which ends with a zero byte. */
typedef struct cursor {
    const npy *file;
    const char *at;
} cursor;

static lo_status bad_header(const cursor *c, const char *allowed, lo_error *err)
{
    return lo_fail(err, LO_DATA, "%s: the header is damaged: found '%.24s', allowed is %s", c->file->path,
                   c->at, allowed);
}

static void skip_blanks(cursor *c)
{
    c->at += strspn(c->at, " \t\n");
}

/* Passes over `text`, blanks before and after; is it there? */
static bool skip(cursor *c, const char *text)
{
    skip_blanks(c);
    const size_t length = strlen(text);
    if (strncmp(c->at, text, length) != 0) {
        return false;
    }
    c->at += length;
    skip_blanks(c);
    return true;
}

/* A quoted text without escapes. */
static lo_status read_text(cursor *c, char *text, size_t size, lo_error *err)
{
    skip_blanks(c);
    const char quote = *c->at;
    const char *end = quote == '\'' || quote == '"' ? strchr(c->at + 1, quote) : NULL;
    if (end == NULL || (size_t)(end - c->at) > size) {
        return bad_header(c, "a short text in quotes", err);
    }
    const size_t length = (size_t)(end - c->at) - 1;
    memcpy(text, c->at + 1, length);
    text[length] = '\0';
    c->at = end + 1;
    skip_blanks(c);
    return LO_OK;
}

/* '<f4', '|u1', ... */
static lo_status read_type(cursor *c, npy *out, lo_error *err)
{
    char text[16];
    skip_blanks(c);
    if (*c->at == '[') {
        return lo_fail(err, LO_DATA, "%s: found an array of records; allowed are plain numbers", out->path);
    }
    LO_TRY(read_text(c, text, sizeof(text), err));
    if (strchr(text, 'O') != NULL) {
        return lo_fail(err, LO_DATA, "%s: found Python objects ('%s'); allowed are plain numbers", out->path,
                       text);
    }
    if (text[0] == '>') {
        return lo_fail(err, LO_DATA, "%s: found big-endian numbers ('%s'); allowed are little-endian ones",
                       out->path, text);
    }
    static const char *const known[] = {"b1", "u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"};
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
        const bool order = text[0] == '<' || (text[0] == '|' && known[k][1] == '1');
        if (order && strcmp(text + 1, known[k]) == 0) {
            out->kind = known[k][0];
            out->size = known[k][1] - '0';
            return LO_OK;
        }
    }
    return lo_fail(err, LO_DATA,
                   "%s: found numbers of type '%s'; allowed are b1, u1, i1, u2, i2, u4, i4, "
                   "i8, f4, f8, little-endian",
                   out->path, text);
}

/* (60000, 28, 28) */
static lo_status read_shape(cursor *c, npy *out, lo_error *err)
{
    lo_array *a = &out->array;
    if (!skip(c, "(")) {
        return bad_header(c, "the shape, a tuple", err);
    }
    a->dimensions = 0;
    while (!skip(c, ")")) {
        int64_t value = 0;
        const size_t digits = strspn(c->at, "0123456789");
        if (digits < 1 || digits > 15 || a->dimensions == LO_ARRAY_DIMENSIONS) {
            return bad_header(c, "the shape, 1 to 4 numbers of at most 15 digits", err);
        }
        for (size_t i = 0; i < digits; i++) {
            value = 10 * value + (c->at[i] - '0');
        }
        a->dimension[a->dimensions++] = value;
        c->at += digits;
        if (!skip(c, ",") && *c->at != ')') {
            return bad_header(c, "a comma", err);
        }
    }
    return LO_OK;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (10, 3), } in any order. */
static lo_status read_dictionary(cursor *c, npy *out, lo_error *err)
{
    bool order = false;
    bool shape = false;
    if (!skip(c, "{")) {
        return bad_header(c, "a dictionary", err);
    }
    while (!skip(c, "}")) {
        char key[24];
        LO_TRY(read_text(c, key, sizeof(key), err));
        if (!skip(c, ":")) {
            return bad_header(c, "a colon", err);
        }
        if (strcmp(key, "descr") == 0) {
            LO_TRY(read_type(c, out, err));
        } else if (strcmp(key, "fortran_order") == 0) {
            if (skip(c, "True")) {
                return lo_fail(err, LO_DATA,
                               "%s: found Fortran order; allowed is C order (numpy.ascontiguousarray)",
                               out->path);
            }
            if (!skip(c, "False")) {
                return bad_header(c, "True or False", err);
            }
            order = true;
        } else if (strcmp(key, "shape") == 0) {
            LO_TRY(read_shape(c, out, err));
            shape = true;
        } else {
            return lo_fail(err, LO_DATA, "%s: the header has '%s'; allowed are descr, fortran_order, shape",
                           out->path, key);
        }
        if (!skip(c, ",") && *c->at != '}') {
            return bad_header(c, "a comma", err);
        }
    }
    if (!order || !shape || out->size == 0) {
        return lo_fail(err, LO_DATA, "%s: the header lacks descr, fortran_order or shape", out->path);
    }
    return LO_OK;
}

/* Do the elements that the header promises fill the file? */
static lo_status check_size(const npy *f, lo_error *err)
{
    const lo_array *a = &f->array;
    const uint64_t there = f->map_size - f->data;
    uint64_t bytes = (uint64_t)f->size;
    bool fits = a->dimensions > 0;
    for (int d = 0; d < a->dimensions && fits; d++) {
        const uint64_t n = (uint64_t)a->dimension[d];
        fits = n > 0 && bytes <= there / n; /* so that no product overflows */
        bytes *= n;
    }
    if (!fits || bytes != there) {
        char shape[128] = "";
        for (int d = 0; d < a->dimensions; d++) {
            const size_t used = strlen(shape);
            (void)snprintf(shape + used, sizeof(shape) - used, "%s%" PRId64, d > 0 ? " x " : "",
                           a->dimension[d]);
        }
        return lo_fail(err, LO_DATA,
                       "%s: the header promises %s elements of %d bytes; found are %" PRIu64
                       " bytes after it",
                       f->path, shape[0] != '\0' ? shape : "no", f->size, there);
    }
    return LO_OK;
}

static lo_status read_header(npy *f, lo_error *err)
{
    const uint8_t *bytes = f->map;
    if (f->map_size < MAGIC_SIZE + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0) {
        return lo_fail(err, LO_DATA, "%s: is not a file of numpy: does not begin with 93 NUMPY", f->path);
    }
    const uint8_t version = bytes[6];
    if (version < 1 || version > 3) {
        return lo_fail(err, LO_DATA, "%s: found format version %d, allowed 1 to 3", f->path, version);
    }
    const size_t field = version == 1 ? 2 : 4;
    size_t size = 0;
    for (size_t i = 0; i < field; i++) {
        size |= (size_t)bytes[MAGIC_SIZE + i] << (8 * i);
    }
    f->data = MAGIC_SIZE + field + size;
    if (size > MAX_HEADER || f->data > f->map_size) {
        return lo_fail(err, LO_DATA,
                       "%s: the header promises %zu bytes of itself; the file has %zu, and %d are allowed",
                       f->path, size, f->map_size, MAX_HEADER);
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", f->path);
    }
    memcpy(text, bytes + MAGIC_SIZE + field, size);
    text[size] = '\0';
    cursor c = {f, text};
    const lo_status status = read_dictionary(&c, f, err);
    free(text);
    LO_TRY(status);
    return check_size(f, err);
}

lo_status lo_npy_file_open(const char *path, lo_npy_file *out, lo_error *err)
{
    *out = (npy){0};
    if (snprintf(out->path, sizeof(out->path), "%s", path) >= (int)sizeof(out->path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", path);
    }
    out->array.name = out->path;
    LO_TRY(lo_file_map(out->path, &out->map, &out->map_size, err));
    return read_header(out, err);
}

void lo_npy_file_close(lo_npy_file *file)
{
    if (file->map != NULL) {
        (void)munmap(file->map, file->map_size);
        file->map = NULL;
    }
}
