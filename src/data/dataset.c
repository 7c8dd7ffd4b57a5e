/* The file of a prepared data set, format version 2. Little-endian; every section begins at a multiple of 64
 * bytes, gaps are zero. Pointers into the map are used as they are, so the elements have the types of
 * lo_examples.
 *
 *   byte  type
 *      0  char[8]     "LOUTDAT1"
 *      8  uint32      version of the format, 2
 *     12  uint32      size of this header, 320
 *     16  uint64      digest of the keys that made the data set
 *     24  int32[3]    channels, height, width
 *     36  int32[2]    classes of the fine level (the only one, where there is one), of the coarse one (or 0)
 *     44  int32       elements: 0 uint8, 1 float32
 *     48  int32       labels trained on: 0 the fine level, 1 the coarse one
 *     52  int32       0
 *     56  int64[3]    examples: train, validation, test
 *     80  uint64      size of the file
 *     88  uint64[2]   bytes of the names of the fine, of the coarse classes; 0: they have none
 *    104  uint64[22]  where the sections begin, in this order:
 *                       scale float32[channels], shift float32[channels], names of the fine classes, of the
 *                       coarse ones (each UTF-8, ended by a zero byte), then for train, validation and test
 *                       each: elements [count, channels, height, width], label int32[count], label_true
 *                       int32[count], index int64[count], and with a coarse level label_fine int32[count],
 *                       label_coarse int32[count]
 *    280  uint8[32]   0
 *    312  uint32      CRC-32 of the payload, bytes 320 to the end
 *    316  uint32      CRC-32 of bytes 0 to 315
 *
 * The sections' places follow from the sizes; a reader of another language need not compute them. */
#include "base/file.h"
#include "data/prepared.h"
#include "data/readers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "prepared data sets are mapped, and are little-endian");

enum {
    FORMAT_VERSION = 2,
    ALIGNMENT = 64,
    SECTION_SCALE = 0,
    SECTION_SHIFT = 1,
    SECTION_FINE_NAMES = 2,
    SECTION_COARSE_NAMES = 3,
    SECTION_PARTS = 4, /* from here, IN_PART sections a part */
    IN_PART = 6,
    SECTIONS = SECTION_PARTS + IN_PART * LO_PARTS,
    MAX_CHANNELS = 1 << 20,
    MAX_SIDE = 1 << 16,
    MAX_CLASSES = 1 << 24
};

static const char format_magic[8] = {'L', 'O', 'U', 'T', 'D', 'A', 'T', '1'};
static const int64_t max_count = INT64_C(1) << 40;
static const uint64_t max_bytes = UINT64_C(1) << 60;

typedef struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t digest;
    int32_t channels, height, width;
    int32_t fine_classes, coarse_classes;
    int32_t element;
    int32_t coarse;
    int32_t zero;
    int64_t count[LO_PARTS];
    uint64_t file_size;
    uint64_t names_size[2];
    uint64_t section[SECTIONS];
    uint8_t zeros[32];
    uint32_t payload_crc;
    uint32_t header_crc;
} header;

_Static_assert(sizeof(header) == 320 && sizeof(header) % ALIGNMENT == 0, "the header has no padding");

static uint32_t crc_of_header(const header *h)
{
    return lo_crc32(0, h, offsetof(header, header_crc));
}

static uint64_t aligned(uint64_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t lo_element_size(lo_element element)
{
    return element == LO_FEATURES ? sizeof(float) : sizeof(uint8_t);
}

/* Are levels, names and element as a header may have them? */
static bool kinds_are_sound(const header *h)
{
    const int32_t classes[2] = {h->fine_classes, h->coarse_classes};
    for (int level = 0; level < 2; level++) {
        if (classes[level] < (level == 0 ? 1 : 0) || classes[level] > MAX_CLASSES ||
            h->names_size[level] > (uint64_t)classes[level] * (LO_MAX_CLASS_NAME + 1)) {
            return false;
        }
    }
    return (h->element == LO_PIXELS || h->element == LO_FEATURES) &&
           (h->coarse == 0 || (h->coarse == 1 && h->coarse_classes > 0));
}

/* Fills in the places of the sections and the size of the file from shape and counts. False if those are out
 * of range, so that sizes could overflow. */
static bool lay_out(header *h)
{
    if (!kinds_are_sound(h) || h->channels < 1 || h->channels > MAX_CHANNELS || h->height < 1 ||
        h->height > MAX_SIDE || h->width < 1 || h->width > MAX_SIDE) {
        return false;
    }
    const uint64_t example = (uint64_t)h->channels * (uint64_t)h->height * (uint64_t)h->width *
                             lo_element_size((lo_element)h->element); /* at most 2^54 */
    uint64_t at = sizeof(*h);
    int s = 0;
    h->section[s++] = at;
    at += aligned((uint64_t)h->channels * sizeof(float));
    h->section[s++] = at;
    at += aligned((uint64_t)h->channels * sizeof(float));
    for (int level = 0; level < 2; level++) {
        h->section[s++] = at;
        at += aligned(h->names_size[level]);
    }
    const uint64_t level_size = h->coarse_classes > 0 ? sizeof(int32_t) : 0;
    for (int p = 0; p < LO_PARTS; p++) {
        if (h->count[p] < 0 || h->count[p] > max_count || (uint64_t)h->count[p] > max_bytes / example) {
            return false;
        }
        const uint64_t count = (uint64_t)h->count[p];
        const uint64_t sizes[IN_PART] = {count * example,         count * sizeof(int32_t),
                                         count * sizeof(int32_t), count * sizeof(int64_t),
                                         count * level_size,      count * level_size};
        for (int i = 0; i < IN_PART; i++) {
            h->section[s++] = at;
            at += aligned(sizes[i]);
        }
    }
    h->file_size = at;
    return true;
}

/* Writing: a stream that counts and sums what goes through it. */
typedef struct payload {
    FILE *stream;
    uint64_t at;
    uint32_t crc;
    bool failed;
} payload;

static void put(payload *out, const void *data, size_t size)
{
    out->failed = out->failed || (size > 0 && fwrite(data, 1, size, out->stream) != size);
    out->crc = lo_crc32(out->crc, data, size);
    out->at += size;
}

static void put_padding(payload *out)
{
    static const char zero[ALIGNMENT] = {0};
    put(out, zero, (size_t)(aligned(out->at) - out->at));
}

static void put_section(payload *out, const void *data, size_t size)
{
    put(out, data, size);
    put_padding(out);
}

/* The values of a part, of `size` bytes an example, neighbours in the source at once. */
static void put_values(payload *out, const lo_prepared_part *part, size_t size)
{
    const char *source = part->source;
    int64_t i = 0;
    while (i < part->count) {
        int64_t next = i + 1;
        while (next < part->count && part->index[next] == part->index[next - 1] + 1) {
            next++;
        }
        put(out, source + (size_t)part->index[i] * size, (size_t)(next - i) * size);
        i = next;
    }
    put_padding(out);
}

/* Of the examples of a part, the labels that the source has at one of its levels. */
static void put_level(payload *out, const lo_prepared_part *part, const int32_t *source)
{
    for (int64_t i = 0; source != NULL && i < part->count; i++) {
        put(out, &source[part->index[i]], sizeof(*source));
    }
    put_padding(out);
}

static void put_names(payload *out, char *const *names, int32_t count)
{
    for (int32_t c = 0; names != NULL && c < count; c++) {
        put(out, names[c], strlen(names[c]) + 1);
    }
    put_padding(out);
}

static uint64_t size_of_names(char *const *names, int32_t count)
{
    uint64_t size = 0;
    for (int32_t c = 0; names != NULL && c < count; c++) {
        size += strlen(names[c]) + 1;
    }
    return size;
}

static void put_payload(payload *out, const lo_prepared *prepared)
{
    const size_t channels = (size_t)prepared->shape.channels;
    put_section(out, prepared->scale, channels * sizeof(float));
    put_section(out, prepared->shift, channels * sizeof(float));
    put_names(out, prepared->fine_name, prepared->fine_classes);
    put_names(out, prepared->coarse_name, prepared->coarse_classes);
    for (int p = 0; p < LO_PARTS; p++) {
        const lo_prepared_part *part = &prepared->part[p];
        const size_t count = (size_t)part->count;
        put_values(out, part, lo_shape_size(prepared->shape) * lo_element_size(prepared->element));
        put_section(out, part->label, count * sizeof(*part->label));
        put_section(out, part->label_true, count * sizeof(*part->label_true));
        put_section(out, part->index, count * sizeof(*part->index));
        put_level(out, part, part->source_fine);
        put_level(out, part, part->source_coarse);
    }
}

lo_status lo_prepared_write(const lo_prepared *prepared, const char *file, lo_error *err)
{
    header h = {.version = FORMAT_VERSION,
                .header_size = sizeof(h),
                .digest = prepared->digest,
                .channels = prepared->shape.channels,
                .height = prepared->shape.height,
                .width = prepared->shape.width,
                .fine_classes = prepared->fine_classes,
                .coarse_classes = prepared->coarse_classes,
                .element = (int32_t)prepared->element,
                .coarse = prepared->coarse,
                .names_size = {size_of_names(prepared->fine_name, prepared->fine_classes),
                               size_of_names(prepared->coarse_name, prepared->coarse_classes)}};
    memcpy(h.magic, format_magic, sizeof(h.magic));
    for (int p = 0; p < LO_PARTS; p++) {
        h.count[p] = prepared->part[p].count;
    }
    if (!lay_out(&h)) {
        return lo_fail(err, LO_DATA, "%s: cannot hold %lld examples of %d x %d x %d in %d classes", file,
                       (long long)h.count[LO_PART_TRAIN], h.channels, h.height, h.width, h.fine_classes);
    }
    lo_file f = {0};
    LO_TRY(lo_file_begin(file, &f, err));
    payload out = {.stream = f.stream, .at = sizeof(h)};
    /* The header holds the sum of what follows it, so it is written last, in its place. */
    out.failed = fwrite(&h, sizeof(h), 1, f.stream) != 1;
    put_payload(&out, prepared);
    h.payload_crc = out.crc;
    h.header_crc = crc_of_header(&h);
    if (out.failed || fseek(f.stream, 0, SEEK_SET) != 0 || fwrite(&h, sizeof(h), 1, f.stream) != 1) {
        return lo_file_end(&f, lo_fail_errno(err, LO_IO, "%s: cannot write", f.part), err);
    }
    if (out.at != h.file_size) {
        return lo_file_end(&f, lo_fail(err, LO_INTERNAL, "%s: sections do not fill the file", f.part), err);
    }
    return lo_file_end(&f, LO_OK, err);
}

/* Is the header that of a whole file of `size` bytes? */
static lo_status check_header(const char *file, const header *h, uint64_t size, lo_error *err)
{
    if (memcmp(h->magic, format_magic, sizeof(h->magic)) != 0) {
        return lo_fail(err, LO_DATA, "%s: is not a prepared data set: does not begin with LOUTDAT1", file);
    }
    if (h->version > FORMAT_VERSION) {
        return lo_fail(err, LO_DATA,
                       "%s: was made by a newer leaveout: format version %u, this one knows up to %d", file,
                       h->version, FORMAT_VERSION);
    }
    if (h->version < FORMAT_VERSION) {
        return lo_fail(err, LO_DATA,
                       "%s: was made by an older leaveout: format version %u, this one's is %d; a run on the "
                       "study makes it again",
                       file, h->version, FORMAT_VERSION);
    }
    const uint32_t crc = crc_of_header(h);
    if (crc != h->header_crc) {
        return lo_fail(err, LO_DATA, "%s: the header is damaged: its checksum is %08x, stored is %08x", file,
                       crc, h->header_crc);
    }
    header expected = *h;
    if (h->header_size != sizeof(*h) || !lay_out(&expected) ||
        memcmp(expected.section, h->section, sizeof(h->section)) != 0 || expected.file_size != h->file_size) {
        return lo_fail(err, LO_DATA,
                       "%s: the header contradicts itself: version, sizes and places of sections", file);
    }
    if (size != h->file_size) {
        return lo_fail(err, LO_DATA, "%s: has %llu bytes, its header promises %llu", file,
                       (unsigned long long)size, (unsigned long long)h->file_size);
    }
    return LO_OK;
}

/* Maps the file, whose header is good then; NULL and a status if it cannot. The caller unmaps file_size
 * bytes. */
static const header *map_file(const char *file, lo_status *status, lo_error *err)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *status = lo_fail_errno(err, LO_IO, "%s: cannot open", file);
        return NULL;
    }
    void *map = MAP_FAILED;
    size_t size = 0;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        *status = lo_fail_errno(err, LO_IO, "%s: cannot ask for its size", file);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        *status = lo_fail(err, LO_IO, "%s: is not a regular file", file);
        goto fail;
    }
    size = (size_t)st.st_size;
    if (size < sizeof(header)) {
        *status = lo_fail(err, LO_DATA, "%s: is truncated: has %zu bytes, the header alone has %zu", file,
                          size, sizeof(header));
        goto fail;
    }
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        *status = lo_fail_errno(err, LO_IO, "%s: cannot map %zu bytes", file, size);
        goto fail;
    }
    LO_TRY_GOTO(*status, check_header(file, map, size, err), fail);
    (void)close(fd);
    return map;
fail:
    if (map != MAP_FAILED) {
        (void)munmap(map, size);
    }
    (void)close(fd);
    return NULL;
}

static const void *section_at(const header *h, int section)
{
    return (const char *)h + h->section[section];
}

static lo_examples examples_at(const header *h, int part)
{
    const int first = SECTION_PARTS + IN_PART * part;
    const bool features = h->element == LO_FEATURES;
    const bool levels = h->coarse_classes > 0;
    return (lo_examples){.count = h->count[part],
                         .pixel = features ? NULL : section_at(h, first),
                         .feature = features ? section_at(h, first) : NULL,
                         .label = section_at(h, first + 1),
                         .label_true = section_at(h, first + 2),
                         .index = section_at(h, first + 3),
                         .label_fine = levels ? section_at(h, first + 4) : NULL,
                         .label_coarse = levels ? section_at(h, first + 5) : NULL};
}

/* Labels index arrays, so they are checked even where the content's checksum is not. */
static lo_status check_labels(const char *file, const int32_t *label, int64_t count, int32_t classes,
                              lo_error *err)
{
    for (int64_t i = 0; label != NULL && i < count; i++) {
        if (label[i] < 0 || label[i] >= classes) {
            return lo_fail(err, LO_DATA, "%s: is damaged: record %lld has label %d, allowed 0 to %d", file,
                           (long long)i, label[i], classes - 1);
        }
    }
    return LO_OK;
}

static lo_status check_examples(const char *file, const lo_examples *examples, const lo_dataset *d,
                                lo_error *err)
{
    LO_TRY(check_labels(file, examples->label, examples->count, d->classes, err));
    LO_TRY(check_labels(file, examples->label_true, examples->count, d->classes, err));
    LO_TRY(check_labels(file, examples->label_fine, examples->count, d->fine_classes, err));
    return check_labels(file, examples->label_coarse, examples->count, d->coarse_classes, err);
}

/* Points names[0 .. count-1] at the texts of a section. False unless it holds just so many. */
static bool split_names(const char *text, uint64_t size, int32_t count, const char **names)
{
    const char *end = text + size;
    for (int32_t c = 0; c < count; c++) {
        const char *zero = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
        if (zero == NULL || zero == text) {
            return false;
        }
        names[c] = text;
        text = zero + 1;
    }
    return text == end;
}

/* The names of the classes, where there are any. */
static lo_status open_names(const char *file, const header *h, lo_dataset *d, lo_error *err)
{
    const int32_t classes[2] = {h->fine_classes, h->coarse_classes};
    const char *const *level[2] = {NULL, NULL};
    if (h->names_size[0] + h->names_size[1] == 0) {
        return LO_OK;
    }
    d->names = calloc((size_t)classes[0] + (size_t)classes[1], sizeof(*d->names));
    if (d->names == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for the names of its classes", file);
    }
    for (int l = 0; l < 2; l++) {
        const char **names = d->names + (l == 0 ? 0 : classes[0]);
        if (h->names_size[l] == 0) {
            continue;
        }
        if (!split_names(section_at(h, SECTION_FINE_NAMES + l), h->names_size[l], classes[l], names)) {
            return lo_fail(err, LO_DATA, "%s: is damaged: its names of classes are not %d texts", file,
                           classes[l]);
        }
        level[l] = names;
    }
    d->class_name = level[h->coarse];
    d->fine_name = h->coarse_classes > 0 ? level[0] : NULL;
    d->coarse_name = level[1];
    return LO_OK;
}

static lo_status check_content(const char *file, uint64_t digest, const lo_dataset *dataset, lo_error *err)
{
    if (dataset->digest != digest) {
        return lo_fail(
            err, LO_DATA,
            "%s: was made from other keys of the data section: digest %016llx, this job's is %016llx", file,
            (unsigned long long)dataset->digest, (unsigned long long)digest);
    }
    LO_TRY(check_examples(file, &dataset->train, dataset, err));
    LO_TRY(check_examples(file, &dataset->validation, dataset, err));
    return check_examples(file, &dataset->test, dataset, err);
}

lo_status lo_dataset_open(const char *file, uint64_t digest, lo_dataset *out, lo_error *err)
{
    *out = (lo_dataset){0};
    lo_status status = LO_OK;
    const header *h = map_file(file, &status, err);
    if (h == NULL) {
        return status;
    }
    *out = (lo_dataset){.shape = {h->channels, h->height, h->width},
                        .classes = h->coarse == 1 ? h->coarse_classes : h->fine_classes,
                        .fine_classes = h->coarse_classes > 0 ? h->fine_classes : 0,
                        .coarse_classes = h->coarse_classes,
                        .scale = section_at(h, SECTION_SCALE),
                        .shift = section_at(h, SECTION_SHIFT),
                        .train = examples_at(h, LO_PART_TRAIN),
                        .validation = examples_at(h, LO_PART_VALIDATION),
                        .test = examples_at(h, LO_PART_TEST),
                        .digest = h->digest,
                        .map = (void *)(uintptr_t)h, /* only unmapped: the pages are read-only */
                        .map_size = (size_t)h->file_size};
    LO_TRY_GOTO(status, check_content(file, digest, out, err), end);
    status = open_names(file, h, out, err);
end:
    if (status != LO_OK) {
        lo_dataset_close(out);
    }
    return status;
}

lo_status lo_dataset_verify(const char *file, lo_error *err)
{
    lo_status status = LO_OK;
    const header *h = map_file(file, &status, err);
    if (h == NULL) {
        return status;
    }
    const size_t size = (size_t)h->file_size;
    const uint32_t crc = lo_crc32(0, h + 1, size - sizeof(*h));
    if (crc != h->payload_crc) {
        status = lo_fail(err, LO_DATA, "%s: the content is damaged: its checksum is %08x, stored is %08x",
                         file, crc, h->payload_crc);
    }
    (void)munmap((void *)(uintptr_t)h, size);
    return status;
}

void lo_dataset_close(lo_dataset *dataset)
{
    if (dataset->map != NULL) {
        (void)munmap(dataset->map, dataset->map_size);
    }
    free(dataset->names);
    *dataset = (lo_dataset){0};
}
