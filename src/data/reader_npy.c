/* Arrays of numpy, one a file: x_train.npy, y_train.npy, x_test.npy, y_test.npy. The format, versions 1 to 3,
 * is that of numpy.lib.format: the bytes 93 "NUMPY", the version, the size of the header, the header, which
 * is a Python dictionary, and the elements. What lies in the file as it is needed is mapped, not copied. */
#include "data/array.h"
#include "data/readers.h"
#include "data/spool.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAGIC_SIZE = 8, MAX_HEADER = 1 << 16 };

typedef struct npy {
    char path[PATH_MAX];
    lo_array array;
    char kind; /* u, i, f */
    int size;  /* of an element */
    void *map;
    size_t map_size;
    size_t data; /* where the elements begin */
} npy;

/* ---- the header ---- */

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
    static const char *const known[] = {"u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"};
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
        const bool order = text[0] == '<' || (text[0] == '|' && known[k][1] == '1');
        if (order && strcmp(text + 1, known[k]) == 0) {
            out->kind = known[k][0];
            out->size = known[k][1] - '0';
            return LO_OK;
        }
    }
    return lo_fail(err, LO_DATA,
                   "%s: found numbers of type '%s'; allowed are u1, i1, u2, i2, u4, i4, i8, "
                   "f4, f8, little-endian",
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

/* Opens DIRECTORY/NAME. Close it in any case. */
static lo_status open_npy(const char *directory, const char *name, npy *out, lo_error *err)
{
    *out = (npy){0};
    if (snprintf(out->path, sizeof(out->path), "%s/%s", directory, name) >= (int)sizeof(out->path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
    }
    out->array.name = out->path;
    LO_TRY(lo_file_map(out->path, &out->map, &out->map_size, err));
    return read_header(out, err);
}

static void close_npy(npy *f)
{
    if (f->map != NULL) {
        (void)munmap(f->map, f->map_size);
        f->map = NULL;
    }
}

/* ---- examples ---- */

/* Elements [first, first + count), which may lie anywhere, as bytes or as float32. */
static void copy_elements(const npy *f, size_t first, size_t count, void *to)
{
    const char *from = (const char *)f->map + f->data + first * (size_t)f->size;
    if (f->size != sizeof(double)) {
        memcpy(to, from, count * (size_t)f->size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, from + i * sizeof(value), sizeof(value));
        ((float *)to)[i] = (float)value;
    }
}

/* Converts the examples, some at a time, through a spool. */
static lo_status convert(const npy *f, const lo_source *source, bool channels_last, const char *scratch,
                         lo_source_part *part, lo_error *err)
{
    lo_status status = LO_OK;
    lo_spool spool = {0};
    const size_t row = lo_shape_size(source->shape);
    const size_t element = source->element == LO_FEATURES ? sizeof(float) : 1;
    const int64_t rows = f->array.dimension[0];
    const int64_t chunk = row * element < LO_ARRAY_CHUNK ? LO_ARRAY_CHUNK / (int64_t)(row * element) : 1;
    char *from = malloc((size_t)chunk * row * element);
    char *to = malloc((size_t)chunk * row * element);
    if (from == NULL || to == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory to read it", f->path);
        goto end;
    }
    LO_TRY_GOTO(status, lo_spool_open(scratch, &spool, err), end);
    LO_TRY_GOTO(status, lo_spool_expect(&spool, (uint64_t)rows * row * element, err), end);
    for (int64_t first = 0; first < rows; first += chunk) {
        const int64_t n = rows - first < chunk ? rows - first : chunk;
        copy_elements(f, (size_t)first * row, (size_t)n * row, from);
        if (source->element == LO_FEATURES) {
            LO_TRY_GOTO(status,
                        lo_array_check_finite(&f->array, first, n, row, (const float *)(void *)from, err),
                        end);
        }
        if (channels_last) {
            lo_array_channels_first(source->shape, source->element, n, from, to);
        }
        LO_TRY_GOTO(status, lo_spool_put(&spool, channels_last ? to : from, (size_t)n * row * element, err),
                    end);
    }
    status = lo_spool_map(&spool, part, err);
end:
    free(from);
    free(to);
    lo_spool_close(&spool);
    return status;
}

/* The file's examples as values of `part`, which takes the map over where nothing is to be converted. */
static lo_status take_examples(npy *f, const lo_source *source, bool channels_last, const char *scratch,
                               lo_source_part *part, lo_error *err)
{
    const bool features = source->element == LO_FEATURES;
    const size_t element = features ? sizeof(float) : 1;
    if (channels_last || (size_t)f->size != element || f->data % element != 0) {
        LO_TRY(convert(f, source, channels_last, scratch, part, err));
        part->pixel = features ? NULL : part->map;
        part->feature = features ? part->map : NULL;
        return LO_OK;
    }
    const void *data = (const char *)f->map + f->data;
    if (features) {
        LO_TRY(lo_array_check_finite(&f->array, 0, f->array.dimension[0], lo_shape_size(source->shape), data,
                                     err));
    }
    part->pixel = features ? NULL : data;
    part->feature = features ? data : NULL;
    part->map = f->map;
    part->map_size = f->map_size;
    f->map = NULL;
    return LO_OK;
}

/* ---- labels ---- */

static int64_t integer_at(const npy *f, int64_t i)
{
    const char *at = (const char *)f->map + f->data + (size_t)i * (size_t)f->size;
    uint64_t bits = 0;
    memcpy(&bits, at, (size_t)f->size);
    const int unused = 64 - 8 * f->size;
    return f->kind == 'i' ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

static lo_status take_labels(const npy *y, bool test, lo_classes *classes, lo_source_part *part,
                             lo_error *err)
{
    const int64_t count = y->array.dimension[0];
    if (y->kind == 'f') {
        return lo_fail(err, LO_DATA, "%s: found labels of type f%d; allowed are whole numbers", y->path,
                       y->size);
    }
    int64_t *value = malloc((size_t)count * sizeof(*value));
    if (value == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %" PRId64 " labels", y->path, count);
    }
    for (int64_t i = 0; i < count; i++) {
        value[i] = integer_at(y, i);
    }
    const lo_status status = lo_array_classes(&y->array, value, test, classes, part, err);
    free(value);
    return status;
}

/* ---- both ---- */

static lo_status read_part(const char *path, const lo_read_options *options, bool test, lo_classes *classes,
                           lo_source *out, lo_error *err)
{
    lo_source_part *part = test ? &out->test : &out->train;
    bool channels_last = false;
    lo_status status = LO_OK;
    npy *files = calloc(2, sizeof(*files));
    if (files == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", path);
    }
    npy *x = files;
    npy *y = files + 1;
    LO_TRY_GOTO(status, open_npy(path, test ? "x_test.npy" : "x_train.npy", x, err), end);
    LO_TRY_GOTO(status, open_npy(path, test ? "y_test.npy" : "y_train.npy", y, err), end);
    if (x->kind != 'f' && !(x->kind == 'u' && x->size == 1)) {
        status = lo_fail(err, LO_DATA,
                         "%s: found elements of type %c%d; allowed are u1 (pixels), f4 and f8 (features)",
                         x->path, x->kind, x->size);
        goto end;
    }
    LO_TRY_GOTO(status,
                lo_array_shape(&x->array, x->kind == 'f' ? LO_FEATURES : LO_PIXELS, options->layout, out,
                               &channels_last, err),
                end);
    LO_TRY_GOTO(status, lo_array_labels(&y->array, &x->array, err), end);
    LO_TRY_GOTO(status, take_labels(y, test, classes, part, err), end);
    status = take_examples(x, out, channels_last, options->scratch, part, err);
end:
    close_npy(x);
    close_npy(y);
    free(files);
    return status;
}

lo_status lo_read_npy(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    lo_classes classes = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, read_part(path, options, false, &classes, out, err), end);
    LO_TRY_GOTO(status, read_part(path, options, true, &classes, out, err), end);
    status = lo_classes_settle(&classes, out, err);
end:
    lo_classes_free(&classes);
    return status;
}
