/* JPEG by libjpeg (libjpeg-turbo). Its default settings are kept: the accurate integer transform and smooth
 * upsampling, which is what Pillow and torchvision decode to. */
#include "data/image.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h> /* jpeglib.h needs FILE and size_t */
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { JPEG_MEMORY = 1 << 29 }; /* bytes that libjpeg may take: a progressive picture is held whole */

/* All that decoding one file needs. It outlives the jump out of libjpeg: what changes after setjmp is here,
 * not in local variables, whose values a jump would leave undefined. */
typedef struct jpeg_work {
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    lo_status status;
    lo_error *err;
    lo_image *out;
} jpeg_work;

/* libjpeg's default prints and exits. */
__attribute__((noreturn)) static void on_error(j_common_ptr codec)
{
    jpeg_work *work = codec->client_data;
    char reason[JMSG_LENGTH_MAX];
    (*codec->err->format_message)(codec, reason);
    work->status = lo_fail(work->err, codec->err->msg_code == JERR_OUT_OF_MEMORY ? LO_INTERNAL : LO_DATA,
                           "JPEG: %s", reason);
    longjmp(work->escape, 1);
}

/* Below 0 are warnings: the file is damaged and libjpeg would invent pixels. The rest is chatter. */
static void on_message(j_common_ptr codec, int level)
{
    if (level < 0) {
        on_error(codec);
    }
}

static void on_output(j_common_ptr codec)
{
    (void)codec;
}

/* A few kilobytes of empty scans can ask for hours of work. */
static void on_progress(j_common_ptr codec)
{
    jpeg_work *work = codec->client_data;
    if (work->codec.input_scan_number > LO_IMAGE_MAX_SCANS) {
        work->status =
            lo_fail(work->err, LO_DATA, "JPEG: more than %d scans, the most allowed", LO_IMAGE_MAX_SCANS);
        longjmp(work->escape, 1);
    }
}

static lo_status check_colours(const jpeg_work *work)
{
    const J_COLOR_SPACE space = work->codec.jpeg_color_space;
    if (space == JCS_GRAYSCALE || space == JCS_YCbCr || space == JCS_RGB) {
        return LO_OK;
    }
    return lo_fail(work->err, LO_DATA, "JPEG: found %s, allowed grey, YCbCr or RGB",
                   space == JCS_CMYK || space == JCS_YCCK ? "CMYK" : "an unknown colour space");
}

static lo_status decode(jpeg_work *work, const uint8_t *data, size_t size)
{
    struct jpeg_decompress_struct *codec = &work->codec;
    jpeg_create_decompress(codec);
    codec->mem->max_memory_to_use = JPEG_MEMORY;
    codec->progress = &work->progress;
    jpeg_mem_src(codec, data, size);
    (void)jpeg_read_header(codec, TRUE);
    LO_TRY(check_colours(work));
    const bool grey = codec->jpeg_color_space == JCS_GRAYSCALE;
    codec->out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    LO_TRY(lo_image_reserve(work->out, codec->image_height, codec->image_width, grey ? 1 : 3, work->err));
    (void)jpeg_start_decompress(codec);
    const size_t stride = (size_t)work->out->width * (size_t)work->out->channels;
    while (codec->output_scanline < codec->output_height) {
        JSAMPROW row = work->out->pixel + codec->output_scanline * stride;
        (void)jpeg_read_scanlines(codec, &row, 1);
    }
    (void)jpeg_finish_decompress(codec);
    return LO_OK;
}

lo_status lo_image_decode_jpeg(const uint8_t *data, size_t size, lo_image *out, lo_error *err)
{
    jpeg_work work;
    memset(&work, 0, sizeof(work));
    work.err = err;
    work.out = out;
    work.codec.err = jpeg_std_error(&work.errors);
    work.codec.client_data = &work;
    work.errors.error_exit = on_error;
    work.errors.emit_message = on_message;
    work.errors.output_message = on_output;
    work.progress.progress_monitor = on_progress;
    if (setjmp(work.escape) == 0) {
        work.status = decode(&work, data, size);
    }
    jpeg_destroy_decompress(&work.codec);
    return work.status;
}
