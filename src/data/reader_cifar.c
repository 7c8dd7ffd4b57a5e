/* The binary version of CIFAR-10 and CIFAR-100 (A. Krizhevsky, "Learning multiple layers of features from
 * tiny images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html): records of one label, or of a coarse and
 * a fine one, a byte each, and 3072 bytes of pixels, [3, 32, 32]. Names of the classes are lines of text. */
#include "data/readers.h"
#include "data/spool.h"
#include "data/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CIFAR_SIDE = 32, CIFAR_PIXELS = 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_MAX_FILES = 5 };

/* What the two versions differ in. */
typedef struct layout {
    int32_t classes, coarse_classes; /* 0: one label a record */
    const char *train[CIFAR_MAX_FILES];
    const char *test;
    const char *names, *coarse_names;
} layout;

static const layout cifar10 = {.classes = 10,
                               .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin"},
                               .test = "test_batch.bin",
                               .names = "batches.meta.txt"};
static const layout cifar100 = {.classes = 100,
                                .coarse_classes = 20,
                                .train = {"train.bin"},
                                .test = "test.bin",
                                .names = "fine_label_names.txt",
                                .coarse_names = "coarse_label_names.txt"};

typedef struct batch {
    char path[PATH_MAX];
    void *map;
    size_t size;
    int64_t records;
} batch;

static size_t labels_a_record(const layout *l)
{
    return l->coarse_classes > 0 ? 2 : 1;
}

static lo_status open_batch(const layout *l, const char *directory, const char *name, batch *out,
                            lo_error *err)
{
    const size_t record = labels_a_record(l) + CIFAR_PIXELS;
    if (snprintf(out->path, sizeof(out->path), "%s/%s", directory, name) >= (int)sizeof(out->path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
    }
    LO_TRY(lo_file_map(out->path, &out->map, &out->size, err));
    if (out->size % record != 0) {
        return lo_fail(err, LO_DATA,
                       "%s: found %zu bytes, allowed is a multiple of %zu, the size of a record", out->path,
                       out->size, record);
    }
    out->records = (int64_t)(out->size / record);
    return LO_OK;
}

static void close_batches(batch *batches, int count)
{
    for (int f = 0; f < count; f++) {
        if (batches[f].map != NULL) {
            (void)munmap(batches[f].map, batches[f].size);
        }
    }
}

static lo_status check_label(const batch *b, int64_t record, int32_t label, int32_t classes, lo_error *err)
{
    if (label >= classes) {
        return lo_fail(err, LO_DATA, "%s: record %lld: found label %d, allowed 0 to %d", b->path,
                       (long long)record, label, classes - 1);
    }
    return LO_OK;
}

/* The labels of a file's records into out from `first` on, its pixels into the spool. */
static lo_status read_batch(const layout *l, const batch *b, int64_t first, lo_source_part *out,
                            lo_spool *spool, lo_error *err)
{
    const size_t labels = labels_a_record(l);
    const uint8_t *at = b->map;
    for (int64_t r = 0; r < b->records; r++, at += labels + CIFAR_PIXELS) {
        if (labels == 2) {
            LO_TRY(check_label(b, r, at[0], l->coarse_classes, err));
            out->label_coarse[first + r] = at[0];
        }
        LO_TRY(check_label(b, r, at[labels - 1], l->classes, err));
        out->label[first + r] = at[labels - 1];
        LO_TRY(lo_spool_put(spool, at + labels, CIFAR_PIXELS, err));
    }
    return LO_OK;
}

static lo_status read_part(const layout *l, const char *directory, const char *scratch,
                           const char *const *names, lo_source_part *out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_spool spool = {0};
    int files = 0;
    batch *batches = calloc(CIFAR_MAX_FILES, sizeof(*batches));
    if (batches == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", directory);
    }
    for (; files < CIFAR_MAX_FILES && names[files] != NULL; files++) {
        LO_TRY_GOTO(status, open_batch(l, directory, names[files], &batches[files], err), end);
        out->count += batches[files].records;
    }
    out->label = calloc((size_t)out->count, sizeof(*out->label));
    out->label_coarse = l->coarse_classes > 0 ? calloc((size_t)out->count, sizeof(*out->label)) : NULL;
    if (out->label == NULL || (l->coarse_classes > 0 && out->label_coarse == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory for %lld labels", directory, (long long)out->count);
        goto end;
    }
    LO_TRY_GOTO(status, lo_spool_open(scratch, &spool, err), end);
    LO_TRY_GOTO(status, lo_spool_expect(&spool, (uint64_t)out->count * CIFAR_PIXELS, err), end);
    int64_t first = 0;
    for (int f = 0; f < files; f++) {
        LO_TRY_GOTO(status, read_batch(l, &batches[f], first, out, &spool, err), end);
        first += batches[f].records;
    }
    LO_TRY_GOTO(status, lo_spool_map(&spool, out, err), end);
    out->pixel = out->map;
end:
    close_batches(batches, CIFAR_MAX_FILES);
    lo_spool_close(&spool);
    free(batches);
    return status;
}

/* The names of `classes` classes, a line each; *names stays NULL where there is no such file. */
static lo_status read_names(const char *directory, const char *name, int32_t classes, char ***names,
                            lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = LO_OK;
    int32_t lines = 0;
    lo_text *text = calloc(1, sizeof(*text));
    *names = lo_source_names(classes);
    if (text == NULL || *names == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory to read it", path);
        goto end;
    }
    LO_TRY_GOTO(status, lo_text_open(directory, name, text, err), end);
    for (; lo_text_next(text); lines++) {
        if (lines < classes && !lo_source_name(*names, lines, text->line, text->length)) {
            status = lo_fail(err, LO_DATA, "%s: allowed is a name of at most %d bytes of UTF-8", text->where,
                             LO_MAX_CLASS_NAME);
            goto end;
        }
    }
    if (lines != classes) {
        status =
            lo_fail(err, LO_DATA, "%s: found %d names, allowed %d, one for each class", path, lines, classes);
    }
end:
    if (text != NULL) {
        lo_text_close(text);
    }
    free(text);
    return status;
}

static lo_status read_cifar(const layout *l, const char *path, const lo_read_options *options, lo_source *out,
                            lo_error *err)
{
    const char *const test[CIFAR_MAX_FILES] = {l->test};
    out->element = LO_PIXELS;
    out->shape = (lo_shape){3, CIFAR_SIDE, CIFAR_SIDE};
    out->classes = l->classes;
    out->coarse_classes = l->coarse_classes;
    LO_TRY(read_part(l, path, options->scratch, l->train, &out->train, err));
    LO_TRY(read_part(l, path, options->scratch, test, &out->test, err));
    LO_TRY(read_names(path, l->names, l->classes, &out->class_name, err));
    return l->coarse_names != NULL
               ? read_names(path, l->coarse_names, l->coarse_classes, &out->coarse_name, err)
               : LO_OK;
}

lo_status lo_read_cifar10(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    return read_cifar(&cifar10, path, options, out, err);
}

lo_status lo_read_cifar100(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    return read_cifar(&cifar100, path, options, out, err);
}
