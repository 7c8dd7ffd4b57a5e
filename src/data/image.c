#include "data/image.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t jpeg_magic[] = {0xff, 0xd8, 0xff};
static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

lo_status lo_image_decode(const uint8_t *data, size_t size, lo_image *out, lo_error *err)
{
    if (size == 0) {
        return lo_fail(err, LO_DATA, "the file is empty");
    }
    if (size >= sizeof(jpeg_magic) && memcmp(data, jpeg_magic, sizeof(jpeg_magic)) == 0) {
        return lo_image_decode_jpeg(data, size, out, err);
    }
    if (size >= sizeof(png_magic) && memcmp(data, png_magic, sizeof(png_magic)) == 0) {
        return lo_image_decode_png(data, size, out, err);
    }
    char found[3 * sizeof(png_magic) + 1] = "";
    for (size_t i = 0; i < sizeof(png_magic) && i < size; i++) {
        (void)snprintf(found + 3 * i, 4, " %02x", data[i]);
    }
    return lo_fail(err, LO_DATA, "neither JPEG nor PNG: begins with%s", found);
}

lo_status lo_image_reserve(lo_image *image, uint32_t height, uint32_t width, int32_t channels, lo_error *err)
{
    if (height < 1 || height > LO_IMAGE_MAX_SIDE || width < 1 || width > LO_IMAGE_MAX_SIDE ||
        (uint64_t)height * width > LO_IMAGE_MAX_AREA) {
        return lo_fail(err, LO_DATA, "found %u x %u pixels, allowed 1 to %d a side and %d in all", height,
                       width, LO_IMAGE_MAX_SIDE, LO_IMAGE_MAX_AREA);
    }
    const size_t size = (size_t)height * width * (size_t)channels;
    if (size > image->room) {
        free(image->pixel);
        image->room = 0;
        image->pixel = malloc(size);
        if (image->pixel == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for a picture of %u x %u pixels", height, width);
        }
        image->room = size;
    }
    image->height = (int32_t)height;
    image->width = (int32_t)width;
    image->channels = channels;
    return LO_OK;
}

void lo_image_free(lo_image *image)
{
    free(image->pixel);
    *image = (lo_image){0};
}

/* Reads what fd has, at most LO_IMAGE_MAX_BYTES, into the growing buffer. */
static lo_status read_all(int fd, uint8_t **data, size_t *room, size_t *size, lo_error *err)
{
    enum { FIRST = 1 << 16 };
    *size = 0;
    for (;;) {
        if (*size == *room) {
            const size_t larger = *room > 0 ? 2 * *room : FIRST;
            uint8_t *grown = realloc(*data, larger);
            if (grown == NULL) {
                return lo_fail(err, LO_INTERNAL, "no memory for %zu bytes of a picture file", larger);
            }
            *data = grown;
            *room = larger;
        }
        const ssize_t got = read(fd, *data + *size, *room - *size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return lo_fail_errno(err, LO_IO, "cannot read after byte %zu", *size);
        }
        if (got == 0) {
            return LO_OK;
        }
        *size += (size_t)got;
        if (*size > LO_IMAGE_MAX_BYTES) {
            return lo_fail(err, LO_DATA, "has more than %d bytes, the most allowed", LO_IMAGE_MAX_BYTES);
        }
    }
}

lo_status lo_image_read(const char *file, uint8_t **data, size_t *room, lo_image *out, lo_error *err)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (fd < 0) {
        const bool of_the_file = errno == ENOENT || errno == EACCES || errno == ELOOP || errno == ENXIO;
        return lo_fail_errno(err, of_the_file ? LO_DATA : LO_IO, "cannot open");
    }
    size_t size = 0;
    struct stat st;
    lo_status status = LO_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = lo_fail(err, LO_DATA, "is not a regular file");
    } else {
        status = read_all(fd, data, room, &size, err);
    }
    (void)close(fd);
    return status == LO_OK ? lo_image_decode(*data, size, out, err) : status;
}

/* ---- scaling ---- */

enum { WEIGHT_BITS = 22 }; /* weights sum to 2^22: with 8 bits of pixel and a sign they fit 32 bits */

/* How the pixels of one side come from those of another: output i is the sum of weight[i * most + k] times
 * input first[i] + k, k below count[i]. */
typedef struct resampling {
    int32_t most;
    int32_t *first, *count; /* [size] */
    int32_t *weight;        /* [size, most] */
    double *exact;          /* [most] scratch */
} resampling;

static void resampling_free(resampling *r)
{
    free(r->first);
    free(r->weight);
    free(r->exact);
    *r = (resampling){0};
}

/* Each output pixel is a triangle over the input, two of the larger pixels wide: between pixels when growing,
 * an average when shrinking. Pillow computes the weights in these very steps. */
static lo_status resampling_make(int32_t from, int32_t to, resampling *r, lo_error *err)
{
    const double scale = (double)from / to;
    const double support = scale > 1.0 ? scale : 1.0;
    *r = (resampling){.most = (int32_t)ceil(support) * 2 + 1};
    r->first = calloc(2 * (size_t)to, sizeof(*r->first));
    r->weight = calloc((size_t)to * (size_t)r->most, sizeof(*r->weight));
    r->exact = calloc((size_t)r->most, sizeof(*r->exact));
    if (r->first == NULL || r->weight == NULL || r->exact == NULL) {
        resampling_free(r);
        return lo_fail(err, LO_INTERNAL, "no memory to scale %d pixels to %d", from, to);
    }
    r->count = r->first + to;
    for (int32_t i = 0; i < to; i++) {
        const double centre = (i + 0.5) * scale;
        const double low = centre - support + 0.5;
        const double high = centre + support + 0.5;
        const int32_t first = low > 0.0 ? (int32_t)low : 0;
        const int32_t last = high < from ? (int32_t)high : from;
        double sum = 0.0;
        for (int32_t k = 0; k < last - first; k++) {
            const double distance = fabs((k + first - centre + 0.5) * (1.0 / support));
            r->exact[k] = distance < 1.0 ? 1.0 - distance : 0.0;
            sum += r->exact[k];
        }
        for (int32_t k = 0; k < last - first; k++) {
            r->weight[i * r->most + k] = (int32_t)(0.5 + r->exact[k] / sum * (1 << WEIGHT_BITS));
        }
        r->first[i] = first;
        r->count[i] = last - first;
    }
    return LO_OK;
}

/* One output pixel; inputs lie `step` bytes apart. */
static uint8_t weigh(const resampling *r, int32_t i, const uint8_t *from, size_t step)
{
    const int32_t *weight = r->weight + (size_t)i * (size_t)r->most;
    const uint8_t *at = from + (size_t)r->first[i] * step;
    int32_t sum = 1 << (WEIGHT_BITS - 1);
    for (int32_t k = 0; k < r->count[i]; k++) {
        sum += weight[k] * at[(size_t)k * step];
    }
    sum >>= WEIGHT_BITS; /* nothing is negative, and rounded weights may sum to a little more than 1 */
    return (uint8_t)(sum < 255 ? sum : 255);
}

/* Along each row: middle is [image->height, width, channels]. */
static void scale_rows(const lo_image *image, const resampling *r, int32_t width, uint8_t *middle)
{
    const size_t channels = (size_t)image->channels;
    for (int32_t y = 0; y < image->height; y++) {
        const uint8_t *row = image->pixel + (size_t)y * (size_t)image->width * channels;
        for (int32_t x = 0; x < width; x++) {
            for (size_t c = 0; c < channels; c++) {
                *middle++ = weigh(r, x, row + c, channels);
            }
        }
    }
}

/* Along each column of middle, whose rows are stride bytes: `to` is [height, stride]. */
static void scale_columns(const resampling *r, const uint8_t *middle, size_t stride, int32_t height,
                          uint8_t *to)
{
    for (int32_t y = 0; y < height; y++) {
        for (size_t i = 0; i < stride; i++) {
            *to++ = weigh(r, y, middle + i, stride);
        }
    }
}

/* From pixels of `from` channels to planes; one of grey is repeated. */
static void deinterleave(const uint8_t *pixel, size_t area, size_t from, size_t channels, uint8_t *plane)
{
    for (size_t c = 0; c < channels; c++) {
        const uint8_t *at = pixel + (from == channels ? c : 0);
        for (size_t i = 0; i < area; i++) {
            *plane++ = at[i * from];
        }
    }
}

static lo_status scale(const lo_image *image, int32_t height, int32_t width, uint8_t *to, lo_error *err)
{
    resampling rows = {0};
    resampling columns = {0};
    const size_t stride = (size_t)width * (size_t)image->channels;
    lo_status status = LO_OK;
    uint8_t *middle = malloc((size_t)image->height * stride);
    if (middle == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory to scale a picture");
        goto end;
    }
    LO_TRY_GOTO(status, resampling_make(image->width, width, &rows, err), end);
    LO_TRY_GOTO(status, resampling_make(image->height, height, &columns, err), end);
    scale_rows(image, &rows, width, middle);
    scale_columns(&columns, middle, stride, height, to);
end:
    resampling_free(&rows);
    resampling_free(&columns);
    free(middle);
    return status;
}

lo_status lo_image_planes(const lo_image *image, int32_t channels, int32_t height, int32_t width,
                          uint8_t *plane, lo_error *err)
{
    const size_t area = (size_t)height * (size_t)width;
    const size_t from = (size_t)image->channels;
    if (image->height == height && image->width == width) {
        deinterleave(image->pixel, area, from, (size_t)channels, plane);
        return LO_OK;
    }
    uint8_t *scaled = calloc(area, from);
    if (scaled == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to scale a picture to %d x %d", height, width);
    }
    const lo_status status = scale(image, height, width, scaled, err);
    if (status == LO_OK) {
        deinterleave(scaled, area, from, (size_t)channels, plane);
    }
    free(scaled);
    return status;
}
