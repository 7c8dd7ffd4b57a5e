#include "report/picture.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

bool lo_picture_possible(lo_shape shape)
{
    return (shape.channels == 1 || shape.channels == 3) && shape.height > 1 && shape.width > 1;
}

lo_shape lo_picture_shape(lo_shape shape, int side)
{
    const int64_t longest = shape.height > shape.width ? shape.height : shape.width;
    if (longest <= side) {
        return shape;
    }
    const int64_t height = (shape.height * (int64_t)side + longest / 2) / longest;
    const int64_t width = (shape.width * (int64_t)side + longest / 2) / longest;
    return (lo_shape){shape.channels, (int32_t)(height > 0 ? height : 1), (int32_t)(width > 0 ? width : 1)};
}

/* Mean of the source pixels that fall on one pixel of the smaller picture. */
static uint8_t block_mean(const uint8_t *plane, int64_t width, int64_t top, int64_t bottom, int64_t left,
                          int64_t right)
{
    int64_t sum = 0;
    for (int64_t y = top; y < bottom; y++) {
        for (int64_t x = left; x < right; x++) {
            sum += plane[y * width + x];
        }
    }
    const int64_t count = (bottom - top) * (right - left);
    return (uint8_t)((sum + count / 2) / count);
}

/* From planes [channels, height, width] to the interleaved rows of a PNG, averaged down. */
static void interleave(lo_shape from, const uint8_t *pixel, lo_shape to, uint8_t *out)
{
    const int64_t plane = (int64_t)from.height * from.width;
    for (int64_t y = 0; y < to.height; y++) {
        const int64_t top = y * from.height / to.height;
        const int64_t bottom = (y + 1) * from.height / to.height;
        for (int64_t x = 0; x < to.width; x++) {
            const int64_t left = x * from.width / to.width;
            const int64_t right = (x + 1) * from.width / to.width;
            for (int64_t c = 0; c < to.channels; c++) {
                *out++ = block_mean(pixel + c * plane, from.width, top, bottom, left, right);
            }
        }
    }
}

void lo_base64_write(FILE *out, const uint8_t *data, size_t size)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t have = size - i < 3 ? size - i : 3;
        const uint32_t bits = (uint32_t)data[i] << 16 | (have > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                              (have > 2 ? (uint32_t)data[i + 2] : 0);
        const char four[4] = {digit[bits >> 18], digit[bits >> 12 & 63],
                              have > 1 ? digit[bits >> 6 & 63] : '=', have > 2 ? digit[bits & 63] : '='};
        (void)fwrite(four, 1, sizeof(four), out);
    }
}

lo_status lo_picture_write(FILE *out, lo_shape shape, const uint8_t *pixel, int side, lo_error *err)
{
    lo_status status = LO_OK;
    const lo_shape small = lo_picture_shape(shape, side);
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)small.width,
                       .height = (png_uint_32)small.height,
                       .format = small.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *rows = malloc(lo_shape_size(small));
    uint8_t *png = malloc(size);
    if (rows == NULL || png == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a picture of %d x %d", small.width, small.height);
        goto done;
    }
    interleave(shape, pixel, small, rows);
    if (png_image_write_to_memory(&image, png, &size, 0, rows, 0, NULL) == 0) {
        status = lo_fail(err, LO_INTERNAL, "a picture of %d x %d: libpng says: %s", small.width, small.height,
                         image.message);
        goto done;
    }
    (void)fputs("data:image/png;base64,", out);
    lo_base64_write(out, png, size);
done:
    png_image_free(&image);
    free(png);
    free(rows);
    return status;
}
