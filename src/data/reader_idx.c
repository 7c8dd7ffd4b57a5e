/* IDX, the format of MNIST and the sets made after it (http://yann.lecun.com/exdb/mnist/): two zero bytes,
 * the type of the elements (0x08: unsigned bytes), the number of dimensions, each dimension as a big-endian
 * uint32, then the elements with the last dimension the fastest. Files are plain or gzip; zlib's gz functions
 * read both. */
#include "data/readers.h"
#include "data/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    IDX_UNSIGNED_BYTE = 0x08,
    IDX_MAX_DIMENSIONS = 3,
    IDX_MAX_SIDE = 4096, /* pixels */
    IDX_GZIP_BUFFER = 1 << 18,
    IDX_CHUNK = 1 << 20 /* bytes that are decoded at a time */
};

/* Examples are numbered in 31 bits, far more than any file of this format holds. */
static const uint32_t max_count = INT32_MAX;

/* Memory is taken in steps as bytes arrive, so that a damaged header cannot ask for more than twice what is
 * there. */
static const uint64_t first_step = 1U << 26;

typedef struct idx_file {
    gzFile stream;
    char path[PATH_MAX];
    uint64_t position; /* in the decompressed content */
    uint32_t dimension[IDX_MAX_DIMENSIONS];
} idx_file;

/* Opens DIRECTORY/STEM?KIND, where ? is - or ., plain before .gz, whichever is there first. */
static lo_status open_first(const char *directory, const char *stem, const char *kind, idx_file *f,
                            lo_error *err)
{
    static const char *const separators[] = {"-", "."};
    static const char *const endings[] = {"", ".gz"};
    char tried[512] = "";
    for (int e = 0; e < 2; e++) {
        for (int s = 0; s < 2; s++) {
            if (snprintf(f->path, sizeof(f->path), "%s/%s%s%s%s", directory, stem, separators[s], kind,
                         endings[e]) >= (int)sizeof(f->path)) {
                return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
            }
            const int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
            if (fd < 0 && errno != ENOENT) {
                return lo_fail_errno(err, LO_IO, "%s: cannot open", f->path);
            }
            if (fd < 0) {
                const size_t used = strlen(tried);
                (void)snprintf(tried + used, sizeof(tried) - used, "%s%s%s%s%s", used > 0 ? ", " : "", stem,
                               separators[s], kind, endings[e]);
                continue;
            }
            struct stat st;
            if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
                (void)close(fd);
                return lo_fail(err, LO_IO, "%s: is not a regular file", f->path);
            }
            f->stream = gzdopen(fd, "rb");
            if (f->stream == NULL) {
                (void)close(fd);
                return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", f->path);
            }
            (void)gzbuffer(f->stream, IDX_GZIP_BUFFER);
            return LO_OK;
        }
    }
    return lo_fail(err, LO_DATA, "%s: found none of %s; one of them is needed", directory, tried);
}

/* Why the stream gave less than was asked for, if not because it has ended. */
static lo_status stream_error(const idx_file *f, lo_error *err)
{
    int code = Z_OK;
    const char *text = gzerror(f->stream, &code);
    const unsigned long long position = (unsigned long long)f->position;
    switch (code) {
    case Z_OK:
    case Z_STREAM_END:
        return LO_OK;
    case Z_ERRNO:
        return lo_fail_errno(err, LO_IO, "%s: cannot read after byte %llu", f->path, position);
    case Z_MEM_ERROR:
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", f->path);
    case Z_BUF_ERROR:
        return lo_fail(err, LO_DATA,
                       "%s: the gzip stream is cut short after byte %llu of its decompressed content",
                       f->path, position);
    default:
        return lo_fail(err, LO_DATA,
                       "%s: the gzip stream is damaged (%s) after byte %llu of its decompressed content",
                       f->path, text, position);
    }
}

/* Reads up to size bytes; *got is less only at the end of the content. */
static lo_status read_up_to(idx_file *f, uint8_t *to, uint64_t size, uint64_t *got, lo_error *err)
{
    *got = 0;
    while (*got < size) {
        const uint64_t left = size - *got;
        const unsigned ask = left < (1U << 30) ? (unsigned)left : 1U << 30;
        const int n = gzread(f->stream, to + *got, ask);
        if (n > 0) {
            *got += (uint64_t)n;
            f->position += (uint64_t)n;
        }
        if (n < (int)ask) {
            LO_TRY(stream_error(f, err));
            break;
        }
    }
    return LO_OK;
}

static lo_status read_header(idx_file *f, uint32_t dimensions, lo_error *err)
{
    uint8_t bytes[4 + 4 * IDX_MAX_DIMENSIONS];
    uint64_t size = 4 + 4 * (uint64_t)dimensions;
    uint64_t got = 0;
    LO_TRY(read_up_to(f, bytes, size, &got, err));
    if (got == 0) {
        return lo_fail(err, LO_DATA, "%s: is empty", f->path);
    }
    const bool magic = got >= 4;
    if (magic && (bytes[0] != 0 || bytes[1] != 0 || bytes[2] != IDX_UNSIGNED_BYTE)) {
        return lo_fail(
            err, LO_DATA,
            "%s: wrong magic at byte 0: found %02x %02x %02x, allowed 00 00 08 (IDX, unsigned bytes)",
            f->path, bytes[0], bytes[1], bytes[2]);
    }
    if (magic && bytes[3] != dimensions) {
        return lo_fail(err, LO_DATA, "%s: wrong number of dimensions at byte 3: found %d, allowed %u",
                       f->path, bytes[3], dimensions);
    }
    if (got < size) {
        return lo_fail(err, LO_DATA, "%s: is truncated: found %llu bytes, the header alone has %llu", f->path,
                       (unsigned long long)got, (unsigned long long)size);
    }
    for (uint32_t d = 0; d < dimensions; d++) {
        const uint8_t *at = bytes + 4 + 4 * d;
        f->dimension[d] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        const uint32_t most = d == 0 ? max_count : IDX_MAX_SIDE;
        if (f->dimension[d] < 1 || f->dimension[d] > most) {
            static const char *const meaning[] = {"number of examples", "height", "width"};
            return lo_fail(err, LO_DATA, "%s: wrong %s at byte %u: found %u, allowed 1 to %u", f->path,
                           meaning[d], 4 + 4 * d, f->dimension[d], most);
        }
    }
    return LO_OK;
}

/* Reads up to `size` bytes into memory that it takes; *used is less than size only at the end of the content.
 * NULL and a status if it cannot. The caller frees it. */
static uint8_t *read_growing(idx_file *f, uint64_t size, uint64_t *used, lo_status *status, lo_error *err)
{
    uint8_t *data = NULL;
    uint64_t room = 0;
    *used = 0;
    while (*used == room && room < size) {
        room = room == 0 ? first_step : 2 * room;
        room = room < size ? room : size;
        uint8_t *larger = realloc(data, room);
        if (larger == NULL) {
            *status =
                lo_fail(err, LO_INTERNAL, "%s: no memory for %llu bytes", f->path, (unsigned long long)room);
            goto fail;
        }
        data = larger;
        uint64_t got = 0;
        LO_TRY_GOTO(*status, read_up_to(f, data + *used, room - *used, &got, err), fail);
        *used += got;
    }
    return data;
fail:
    free(data);
    return NULL;
}

/* The content's records, of `record` bytes each, have been read, `used` bytes of them: were they all there,
 * and are they all there is? */
static lo_status check_end(idx_file *f, uint64_t count, uint64_t record, uint64_t used, lo_error *err)
{
    const uint64_t size = count * record; /* below 2^31 * 2^24 */
    const uint64_t end = f->position - used + size;
    if (used < size) {
        return lo_fail(
            err, LO_DATA,
            "%s: is truncated: ends at byte %llu, in record %llu, where its header promises %llu records of "
            "%llu bytes, %llu bytes in all",
            f->path, (unsigned long long)f->position, (unsigned long long)(used / record),
            (unsigned long long)count, (unsigned long long)record, (unsigned long long)end);
    }
    /* Asking for one byte more also makes zlib check the sums at the end of the stream. */
    uint8_t extra = 0;
    uint64_t got = 0;
    LO_TRY(read_up_to(f, &extra, 1, &got, err));
    if (got > 0) {
        return lo_fail(err, LO_DATA,
                       "%s: is oversized: goes on after byte %llu, where its header promises the end",
                       f->path, (unsigned long long)end);
    }
    return LO_OK;
}

/* Decodes `count` images of `size` bytes each into a spool, and maps them. */
static lo_status read_images(idx_file *f, uint64_t count, uint64_t size, const char *scratch,
                             lo_source_part *out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_spool spool = {0};
    uint64_t used = 0;
    uint8_t *chunk = malloc(IDX_CHUNK);
    if (chunk == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", f->path);
    }
    LO_TRY_GOTO(status, lo_spool_open(scratch, &spool, err), end);
    while (used < count * size) {
        const uint64_t left = count * size - used;
        uint64_t got = 0;
        LO_TRY_GOTO(status, read_up_to(f, chunk, left < IDX_CHUNK ? left : IDX_CHUNK, &got, err), end);
        if (got == 0) {
            break;
        }
        LO_TRY_GOTO(status, lo_spool_put(&spool, chunk, got, err), end);
        used += got;
    }
    LO_TRY_GOTO(status, check_end(f, count, size, used, err), end);
    LO_TRY_GOTO(status, lo_spool_map(&spool, out, err), end);
    out->pixel = out->map;
end:
    free(chunk);
    lo_spool_close(&spool);
    return status;
}

static void close_file(idx_file *f)
{
    if (f->stream != NULL) {
        (void)gzclose_r(f->stream);
        f->stream = NULL;
    }
}

/* Labels: bytes widened to int32, each below `classes` unless that is 0. NULL and a status if it cannot. The
 * caller frees it. */
static int32_t *read_labels(idx_file *f, int32_t classes, lo_status *status, lo_error *err)
{
    const size_t count = f->dimension[0];
    uint64_t used = 0;
    int32_t *label = NULL;
    uint8_t *bytes = read_growing(f, count, &used, status, err);
    if (bytes == NULL) {
        return NULL;
    }
    LO_TRY_GOTO(*status, check_end(f, count, 1, used, err), fail);
    label = calloc(count, sizeof(*label));
    if (label == NULL) {
        *status = lo_fail(err, LO_INTERNAL, "%s: no memory for %zu labels", f->path, count);
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        label[i] = bytes[i];
        if (classes > 0 && label[i] >= classes) {
            const size_t byte = 8 + i;
            *status =
                lo_fail(err, LO_DATA,
                        "%s: record %zu (byte %zu): found label %d, allowed 0 to %d, as in the training set",
                        f->path, i, byte, label[i], classes - 1);
            goto fail;
        }
    }
    free(bytes);
    return label;
fail:
    free(bytes);
    free(label);
    return NULL;
}

static lo_status open_part(const char *directory, const char *name, idx_file *images, idx_file *labels,
                           lo_error *err)
{
    char stem[32];
    (void)snprintf(stem, sizeof(stem), "%s-images", name);
    LO_TRY(open_first(directory, stem, "idx3-ubyte", images, err));
    (void)snprintf(stem, sizeof(stem), "%s-labels", name);
    LO_TRY(open_first(directory, stem, "idx1-ubyte", labels, err));
    LO_TRY(read_header(images, 3, err));
    LO_TRY(read_header(labels, 1, err));
    if (images->dimension[0] != labels->dimension[0]) {
        return lo_fail(err, LO_DATA, "%s has %u labels for the %u images of %s; the numbers must be equal",
                       labels->path, labels->dimension[0], images->dimension[0], images->path);
    }
    return LO_OK;
}

/* Sets the shape, or compares with the one that the training set has set. */
static lo_status agree_on_shape(const idx_file *images, lo_shape *shape, lo_error *err)
{
    const lo_shape found = {1, (int32_t)images->dimension[1], (int32_t)images->dimension[2]};
    if (shape->channels != 0 && (shape->height != found.height || shape->width != found.width)) {
        return lo_fail(err, LO_DATA,
                       "%s: found images of %d x %d pixels, allowed %d x %d, as in the training set",
                       images->path, found.height, found.width, shape->height, shape->width);
    }
    *shape = found;
    return LO_OK;
}

/* Images and labels of one part ("train" or "t10k"). Labels must be below `classes` unless that is 0. */
static lo_status read_part(const char *directory, const char *name, const char *scratch, lo_source_part *out,
                           lo_shape *shape, int32_t classes, lo_error *err)
{
    idx_file *images = calloc(2, sizeof(*images)); /* two paths are too much for a stack frame */
    if (images == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory to read it", directory);
    }
    idx_file *labels = images + 1;
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, open_part(directory, name, images, labels, err), end);
    LO_TRY_GOTO(status, agree_on_shape(images, shape, err), end);
    out->count = images->dimension[0];
    out->label = read_labels(labels, classes, &status, err);
    if (out->label != NULL) {
        status = read_images(images, images->dimension[0], lo_shape_size(*shape), scratch, out, err);
    }
end:
    close_file(images);
    close_file(labels);
    free(images);
    return status;
}

/* Classes are the numbers 0 .. largest label. All but 0, which some sets leave out, must have examples: a
 * label beyond a gap is a damaged byte, not a class. */
static lo_status count_classes(const char *path, lo_source *out, lo_error *err)
{
    int64_t first[256]; /* record that has the label first, -1: none */
    memset(first, -1, sizeof(first));
    for (int64_t i = out->train.count - 1; i >= 0; i--) {
        first[out->train.label[i]] = i;
    }
    int32_t gap = 0;
    for (int32_t c = 1; c < 256; c++) {
        if (first[c] < 0) {
            gap = gap > 0 ? gap : c;
        } else if (gap > 0) {
            return lo_fail(err, LO_DATA,
                           "%s: training labels: record %lld: found label %d, but no example has label %d; "
                           "allowed are labels "
                           "without gaps",
                           path, (long long)first[c], c, gap);
        } else {
            out->classes = c + 1;
        }
    }
    out->classes = out->classes > 0 ? out->classes : 1;
    return LO_OK;
}

lo_status lo_read_idx(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return lo_fail(err, LO_IO, "%s: is not a directory; format idx reads a directory of four files",
                       path);
    }
    LO_TRY(read_part(path, "train", options->scratch, &out->train, &out->shape, 0, err));
    LO_TRY(count_classes(path, out, err));
    return read_part(path, "t10k", options->scratch, &out->test, &out->shape, out->classes, err);
}
