/* Picture files: JPEG and PNG, told apart by their first bytes, not by their names. For readers. */
#ifndef LEAVEOUT_DATA_IMAGE_H
#define LEAVEOUT_DATA_IMAGE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    LO_IMAGE_MAX_SIDE = 1 << 14,  /* pixels: a header that promises more is refused before memory is taken */
    LO_IMAGE_MAX_AREA = 1 << 26,  /* pixels of one picture */
    LO_IMAGE_MAX_BYTES = 1 << 28, /* of a file */
    LO_IMAGE_MAX_SCANS = 100      /* of a progressive JPEG: each costs a pass over the whole picture */
};

/* A decoded picture. Zeroed before its first use; decoding into it again reuses its memory. */
typedef struct lo_image {
    int32_t height, width;
    int32_t channels; /* 1: grey, 3: red, green, blue */
    uint8_t *pixel;   /* [height, width, channels]; owned, released by lo_image_free */
    size_t room;      /* bytes at pixel */
} lo_image;

/* Decodes a whole file in memory. Alpha is dropped (not blended), 16 bits become 8 (the high ones), fewer
 * than 8 and palettes are expanded; orientation, gamma and colour profiles are ignored. Nothing is printed.
 * Errors, in one line without the file's name: LO_DATA for what is neither JPEG nor PNG, is damaged, cut
 * short, larger than the limits, or a JPEG of another colour space than grey, YCbCr or RGB (CMYK), also for
 * anything that libjpeg warns of; LO_INTERNAL when there is no memory. */
lo_status lo_image_decode(const uint8_t *data, size_t size, lo_image *out, lo_error *err);

/* Reads and decodes a file; *data and *room are a buffer that is kept and grown from call to call, and that
 * the caller frees. Errors as above, and LO_DATA for a file that is not there (a link to nowhere), must not
 * be read, is no regular file or larger than the limit: one such among many is a matter of the data set;
 * LO_IO for what can be the matter with any file, such as a disk that fails. */
lo_status lo_image_read(const char *file, uint8_t **data, size_t *room, lo_image *out, lo_error *err);

/* Writes the picture, scaled to height x width, as `channels` planes [channels, height, width]; channels is
 * the picture's own, or 3 for a grey one, whose plane is then there three times. Scaled as Pillow's
 * Image.resize with BILINEAR (a triangle as wide as the larger of the two pixels, whole numbers of 22 bits;
 * first along rows), to the bit. Errors: LO_INTERNAL when there is no memory. */
lo_status lo_image_planes(const lo_image *image, int32_t channels, int32_t height, int32_t width,
                          uint8_t *plane, lo_error *err);

void lo_image_free(lo_image *image);

/* For the decoders: checks a header's sizes against the limits and takes the memory. Errors: LO_DATA,
 * LO_INTERNAL. */
lo_status lo_image_reserve(lo_image *image, uint32_t height, uint32_t width, int32_t channels, lo_error *err);

/* The decoders, for lo_image_decode only. */
lo_status lo_image_decode_jpeg(const uint8_t *data, size_t size, lo_image *out, lo_error *err);
lo_status lo_image_decode_png(const uint8_t *data, size_t size, lo_image *out, lo_error *err);

#endif
