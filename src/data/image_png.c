/* PNG by libpng. */
#include "data/image.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

/* All that decoding one file needs. It outlives the jump out of libpng: what changes after setjmp is here,
 * not in local variables, whose values a jump would leave undefined. */
typedef struct png_work {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    const uint8_t *next;
    size_t left;
    lo_status status;
    lo_error *err;
    lo_image *out;
} png_work;

__attribute__((noreturn)) static void on_error(png_structp png, png_const_charp reason)
{
    png_work *work = png_get_error_ptr(png);
    work->status = lo_fail(work->err, LO_DATA, "PNG: %s", reason);
    longjmp(work->escape, 1);
}

/* Warnings are about what is not read here: profiles, texts, times. Damaged pixels are errors. */
static void on_warning(png_structp png, png_const_charp reason)
{
    (void)png;
    (void)reason;
}

static void on_read(png_structp png, png_bytep to, size_t size)
{
    png_work *work = png_get_io_ptr(png);
    if (size > work->left) {
        png_error(png, "the file is cut short");
    }
    memcpy(to, work->next, size);
    work->next += size;
    work->left -= size;
}

/* Everything becomes grey or RGB of 8 bits. */
static void set_transformations(png_structp png, int type)
{
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_palette_to_rgb(png);
    }
    if (type == PNG_COLOR_TYPE_GRAY) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
}

static lo_status decode(png_work *work)
{
    png_structp png = work->png;
    png_set_user_limits(png, LO_IMAGE_MAX_SIDE, LO_IMAGE_MAX_SIDE);
    /* Texts, profiles and the like are skipped unread: their headers may promise any number of bytes, and
     * libpng (1.6.39) takes memory for them before it looks whether they are there. */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_read_fn(png, work, on_read);
    png_read_info(png, work->info);
    const int type = png_get_color_type(png, work->info);
    set_transformations(png, type);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, work->info);
    const int channels = png_get_channels(png, work->info);
    const uint32_t height = png_get_image_height(png, work->info);
    const uint32_t width = png_get_image_width(png, work->info);
    const size_t stride = png_get_rowbytes(png, work->info);
    if ((channels != 1 && channels != 3) || stride != (size_t)width * (size_t)channels) {
        return lo_fail(work->err, LO_DATA, "PNG: colour type %d gives %d channels, allowed 1 or 3", type,
                       channels);
    }
    LO_TRY(lo_image_reserve(work->out, height, width, channels, work->err));
    for (int p = 0; p < passes; p++) {
        for (uint32_t y = 0; y < height; y++) {
            png_read_row(png, work->out->pixel + y * stride, NULL);
        }
    }
    png_read_end(png, NULL);
    return LO_OK;
}

lo_status lo_image_decode_png(const uint8_t *data, size_t size, lo_image *out, lo_error *err)
{
    png_work work;
    memset(&work, 0, sizeof(work));
    work.next = data;
    work.left = size;
    work.err = err;
    work.out = out;
    if (setjmp(work.escape) == 0) {
        work.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &work, on_error, on_warning);
        work.info = work.png != NULL ? png_create_info_struct(work.png) : NULL;
        work.status =
            work.info != NULL ? decode(&work) : lo_fail(err, LO_INTERNAL, "no memory to decode a PNG file");
    }
    png_destroy_read_struct(&work.png, &work.info, NULL);
    return work.status;
}
