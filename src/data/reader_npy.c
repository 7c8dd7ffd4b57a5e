/* Arrays of numpy, one a file: x_train.npy, y_train.npy, x_test.npy, y_test.npy. What lies in the file as it
 * is needed is mapped, not copied. */
#include "data/array.h"
#include "data/npy_file.h"
#include "data/readers.h"
#include "data/spool.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef lo_npy_file npy;

/* Opens DIRECTORY/NAME. Close it in any case. */
static lo_status open_npy(const char *directory, const char *name, npy *out, lo_error *err)
{
    char path[PATH_MAX];
    *out = (npy){0};
    if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
    }
    return lo_npy_file_open(path, out, err);
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
    if (y->kind == 'f' || y->kind == 'b') {
        return lo_fail(err, LO_DATA, "%s: found labels of type %c%d; allowed are whole numbers", y->path,
                       y->kind, y->size);
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
    lo_npy_file_close(x);
    lo_npy_file_close(y);
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
