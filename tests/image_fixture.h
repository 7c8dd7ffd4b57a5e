/* Picture files made by the tests, in memory and in folders. For unit and MPI tests: nothing of cmocka. */
#ifndef LEAVEOUT_TESTS_IMAGE_FIXTURE_H
#define LEAVEOUT_TESTS_IMAGE_FIXTURE_H

#include <ftw.h>
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>

/* Pixel of channel c of picture `seed`: a slope that no other picture has. */
static inline uint8_t image_value(int seed, int y, int x, int c)
{
    return (uint8_t)(seed * 37 + y * 5 + x * 3 + c * 50);
}

/* malloc'ed: [height, width, channels]. */
static inline uint8_t *image_pixels(int seed, int height, int width, int channels)
{
    uint8_t *pixel = malloc((size_t)height * width * channels);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < channels; c++) {
                pixel[((size_t)y * width + x) * channels + c] = image_value(seed, y, x, c);
            }
        }
    }
    return pixel;
}

/* A PNG of 1 or 3 channels in memory; the caller frees it. */
static inline uint8_t *image_png(int seed, int height, int width, int channels, size_t *size)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    uint8_t *pixel = image_pixels(seed, height, width, channels);
    png_alloc_size_t room = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *data = malloc(room);
    if (png_image_write_to_memory(&image, data, &room, 0, pixel, 0, NULL) == 0) {
        abort();
    }
    free(pixel);
    *size = room;
    return data;
}

/* A JPEG in memory, of 1, 3 or (CMYK) 4 channels, with at most 200 scans of its own if scans > 0: the first
 * all constants, then one for each coefficient, component and bit. The caller frees it. */
static inline uint8_t *image_jpeg(int seed, int height, int width, int channels, int scans, size_t *size)
{
    enum { MOST = 200, COEFFICIENTS = 63 };
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr errors;
    static jpeg_scan_info script[MOST];
    unsigned char *data = NULL;
    unsigned long length = 0;
    codec.err = jpeg_std_error(&errors);
    jpeg_create_compress(&codec);
    jpeg_mem_dest(&codec, &data, &length);
    codec.image_width = (JDIMENSION)width;
    codec.image_height = (JDIMENSION)height;
    codec.input_components = channels;
    codec.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, 95, TRUE);
    if (scans > 0) {
        script[0] = (jpeg_scan_info){channels, {0, 1, 2, 3}, 0, 0, 0, 0};
        int at = 1;
        for (int c = 0; c < channels; c++) {
            for (int k = 1; k <= COEFFICIENTS && at < scans && at < MOST; k++) {
                script[at++] = (jpeg_scan_info){1, {c}, k, k, 0, 0};
            }
        }
        codec.scan_info = script;
        codec.num_scans = at;
    }
    jpeg_start_compress(&codec, TRUE);
    uint8_t *pixel = image_pixels(seed, height, width, channels);
    while (codec.next_scanline < codec.image_height) {
        JSAMPROW row = pixel + (size_t)codec.next_scanline * width * channels;
        (void)jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    free(pixel);
    *size = length;
    return data;
}

/* Writes root/name, making its folders. */
static inline void image_save(const char *root, const char *name, const void *data, size_t size)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0) {
        perror(path);
        abort();
    }
}

static inline void image_save_png(const char *root, const char *name, int seed, int height, int width,
                                  int channels)
{
    size_t size = 0;
    uint8_t *data = image_png(seed, height, width, channels, &size);
    image_save(root, name, data, size);
    free(data);
}

static inline void image_save_jpeg(const char *root, const char *name, int seed, int height, int width,
                                   int channels)
{
    size_t size = 0;
    uint8_t *data = image_jpeg(seed, height, width, channels, 0, &size);
    image_save(root, name, data, size);
    free(data);
}

static inline int image_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Removes a folder and all in it. */
static inline void image_remove(const char *root)
{
    (void)nftw(root, image_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
