/* One HDF5 file with the datasets x_train, y_train, x_test and y_test, contiguous or chunked, with whatever
 * filters the library has. */
#include "mpi/reader_hdf5.h"

#include "data/array.h"
#include "data/spool.h"

#include <hdf5.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* gzip, the strongest filter that HDF5 comes with, makes nothing smaller than this share of its size. */
enum { MAX_COMPRESSION = 1032, MAX_CHUNK = 1 << 26 };

typedef struct dataset {
    char name[PATH_MAX + 16]; /* FILE:/NAME, for errors */
    hid_t id;
    H5T_class_t class;
    size_t size; /* of an element in the file */
    lo_array array;
} dataset;

static lo_status fail(const dataset *d, const char *what, lo_error *err)
{
    (void)H5Eclear2(H5E_DEFAULT);
    return lo_fail(err, LO_DATA, "%s: %s", d->name, what);
}

/* Does the file hold enough for the elements that the dataset promises? One that was never written holds
 * none. */
static lo_status check_storage(const dataset *d, lo_error *err)
{
    const uint64_t stored = H5Dget_storage_size(d->id);
    uint64_t bytes = d->size;
    for (int i = 0; i < d->array.dimensions; i++) {
        const uint64_t n = (uint64_t)d->array.dimension[i];
        if (n == 0 || bytes > stored * MAX_COMPRESSION / n) {
            return lo_fail(err, LO_DATA,
                           "%s: the file holds %" PRIu64 " bytes of it, too few for its dimensions", d->name,
                           stored);
        }
        bytes *= n;
    }
    return LO_OK;
}

static lo_status read_dimensions(dataset *d, lo_error *err)
{
    hsize_t dims[LO_ARRAY_DIMENSIONS];
    const hid_t space = H5Dget_space(d->id);
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    const bool known =
        rank >= 1 && rank <= LO_ARRAY_DIMENSIONS && H5Sget_simple_extent_dims(space, dims, NULL) == rank;
    if (space >= 0) {
        (void)H5Sclose(space);
    }
    if (!known) {
        return fail(d, "allowed is an array of 1 to 4 dimensions", err);
    }
    d->array.dimensions = rank;
    for (int i = 0; i < rank; i++) {
        d->array.dimension[i] = dims[i] < INT64_MAX ? (int64_t)dims[i] : INT64_MAX;
    }
    return LO_OK;
}

/* Opens a dataset of the file. Close it in any case. */
static lo_status open_dataset(hid_t file, const char *path, const char *name, dataset *out, lo_error *err)
{
    (void)snprintf(out->name, sizeof(out->name), "%s:/%s", path, name);
    out->array.name = out->name;
    out->id = H5Dopen2(file, name, H5P_DEFAULT);
    if (out->id < 0) {
        return fail(out, "there is no such dataset; x_train, y_train, x_test and y_test are needed", err);
    }
    const hid_t type = H5Dget_type(out->id);
    if (type < 0) {
        return fail(out, "its type cannot be read", err);
    }
    out->class = H5Tget_class(type);
    out->size = H5Tget_size(type);
    (void)H5Tclose(type);
    LO_TRY(read_dimensions(out, err));
    return check_storage(out, err);
}

static void close_dataset(dataset *d)
{
    if (d->id >= 0) {
        (void)H5Dclose(d->id);
        d->id = -1;
    }
}

/* Reads rows [first, first + count), converted to `type`. */
static lo_status read_rows(const dataset *d, hid_t type, int64_t first, int64_t count, void *to,
                           lo_error *err)
{
    hsize_t start[LO_ARRAY_DIMENSIONS] = {(hsize_t)first};
    hsize_t size[LO_ARRAY_DIMENSIONS] = {(hsize_t)count};
    for (int i = 1; i < d->array.dimensions; i++) {
        size[i] = (hsize_t)d->array.dimension[i];
    }
    const hid_t there = H5Dget_space(d->id);
    const hid_t here = H5Screate_simple(d->array.dimensions, size, NULL);
    herr_t code = there >= 0 && here >= 0 ? 0 : -1;
    if (code >= 0) {
        code = H5Sselect_hyperslab(there, H5S_SELECT_SET, start, NULL, size, NULL);
    }
    if (code >= 0) {
        code = H5Dread(d->id, type, here, there, H5P_DEFAULT, to);
    }
    if (here >= 0) {
        (void)H5Sclose(here);
    }
    if (there >= 0) {
        (void)H5Sclose(there);
    }
    return code >= 0 ? LO_OK : fail(d, "cannot be read: the file is damaged, or a filter is missing", err);
}

/* Rows that are read at a time: some MiB, and whole chunks of the file where they are not too large, so that
 * none is decompressed twice. */
static int64_t rows_at_once(const dataset *d, size_t row)
{
    hsize_t chunk[LO_ARRAY_DIMENSIONS] = {0};
    int64_t rows = row < LO_ARRAY_CHUNK ? LO_ARRAY_CHUNK / (int64_t)row : 1;
    const hid_t plist = H5Dget_create_plist(d->id);
    if (plist >= 0 && H5Pget_layout(plist) == H5D_CHUNKED &&
        H5Pget_chunk(plist, d->array.dimensions, chunk) == d->array.dimensions && chunk[0] > 0 &&
        chunk[0] <= MAX_CHUNK / row) {
        const int64_t whole = (int64_t)chunk[0];
        rows = (rows + whole - 1) / whole * whole;
    }
    if (plist >= 0) {
        (void)H5Pclose(plist);
    }
    return rows < d->array.dimension[0] ? rows : d->array.dimension[0];
}

/* The dataset's examples, through a spool, into `part`. */
static lo_status take_examples(const dataset *d, const lo_source *source, bool channels_last,
                               const char *scratch, lo_source_part *part, lo_error *err)
{
    const bool features = source->element == LO_FEATURES;
    const size_t count = lo_shape_size(source->shape);
    const size_t row = count * (features ? sizeof(float) : 1);
    const int64_t rows = d->array.dimension[0];
    const int64_t step = rows_at_once(d, row);
    lo_status status = LO_OK;
    lo_spool spool = {0};
    char *from = malloc((size_t)step * row);
    char *to = malloc((size_t)step * row);
    if (from == NULL || to == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory to read it", d->name);
        goto end;
    }
    LO_TRY_GOTO(status, lo_spool_open(scratch, &spool, err), end);
    LO_TRY_GOTO(status, lo_spool_expect(&spool, (uint64_t)rows * row, err), end);
    for (int64_t first = 0; first < rows; first += step) {
        const int64_t n = rows - first < step ? rows - first : step;
        LO_TRY_GOTO(status, read_rows(d, features ? H5T_NATIVE_FLOAT : H5T_NATIVE_UINT8, first, n, from, err),
                    end);
        if (features) {
            LO_TRY_GOTO(status, lo_array_check_finite(&d->array, first, n, count, (float *)(void *)from, err),
                        end);
        }
        if (channels_last) {
            lo_array_channels_first(source->shape, source->element, n, from, to);
        }
        LO_TRY_GOTO(status, lo_spool_put(&spool, channels_last ? to : from, (size_t)n * row, err), end);
    }
    LO_TRY_GOTO(status, lo_spool_map(&spool, part, err), end);
    part->pixel = features ? NULL : part->map;
    part->feature = features ? part->map : NULL;
end:
    free(from);
    free(to);
    lo_spool_close(&spool);
    return status;
}

static lo_status take_labels(const dataset *y, bool test, lo_classes *classes, lo_source_part *part,
                             lo_error *err)
{
    const int64_t count = y->array.dimension[0];
    if (y->class != H5T_INTEGER) {
        return fail(y, "allowed are labels that are whole numbers", err);
    }
    int64_t *value = malloc((size_t)count * sizeof(*value));
    if (value == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %" PRId64 " labels", y->name, count);
    }
    lo_status status = read_rows(y, H5T_NATIVE_INT64, 0, count, value, err);
    if (status == LO_OK) {
        status = lo_array_classes(&y->array, value, test, classes, part, err);
    }
    free(value);
    return status;
}

static lo_status read_part(hid_t file, const char *path, const lo_read_options *options, bool test,
                           lo_classes *classes, lo_source *out, lo_error *err)
{
    lo_source_part *part = test ? &out->test : &out->train;
    bool channels_last = false;
    lo_status status = LO_OK;
    dataset *x = calloc(2, sizeof(*x)); /* two names are too much for a stack frame */
    if (x == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", path);
    }
    dataset *y = x + 1;
    x->id = -1;
    y->id = -1;
    LO_TRY_GOTO(status, open_dataset(file, path, test ? "x_test" : "x_train", x, err), end);
    LO_TRY_GOTO(status, open_dataset(file, path, test ? "y_test" : "y_train", y, err), end);
    if (x->class != H5T_FLOAT && !(x->class == H5T_INTEGER && x->size == 1)) {
        status = fail(x, "allowed are elements of uint8 (pixels), float32 and float64 (features)", err);
        goto end;
    }
    LO_TRY_GOTO(status,
                lo_array_shape(&x->array, x->class == H5T_FLOAT ? LO_FEATURES : LO_PIXELS, options->layout,
                               out, &channels_last, err),
                end);
    LO_TRY_GOTO(status, lo_array_labels(&y->array, &x->array, err), end);
    LO_TRY_GOTO(status, take_labels(y, test, classes, part, err), end);
    status = take_examples(x, out, channels_last, options->scratch, part, err);
end:
    close_dataset(x);
    close_dataset(y);
    free(x);
    return status;
}

static lo_status read_hdf5(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    void *map = NULL;
    size_t size = 0;
    lo_classes classes = {0};
    /* What HDF5 would say of a missing file, a directory or an empty file helps nobody. */
    LO_TRY(lo_file_map(path, &map, &size, err));
    (void)munmap(map, size);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) {
        (void)H5Eclear2(H5E_DEFAULT);
        return lo_fail(err, LO_DATA, "%s: is not a sound HDF5 file", path);
    }
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, read_part(file, path, options, false, &classes, out, err), end);
    LO_TRY_GOTO(status, read_part(file, path, options, true, &classes, out, err), end);
    status = lo_classes_settle(&classes, out, err);
end:
    (void)H5Fclose(file);
    lo_classes_free(&classes);
    return status;
}

const lo_reader lo_reader_hdf5 = {
    .name = "hdf5",
    .description = "an HDF5 file with datasets x_train, y_train, x_test, y_test of images or features",
    .read = read_hdf5};
