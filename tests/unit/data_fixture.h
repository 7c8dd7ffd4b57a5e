/* Small data sets in IDX format, made in a temporary directory, whole or damaged. */
#ifndef LEAVEOUT_TESTS_DATA_FIXTURE_H
#define LEAVEOUT_TESTS_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TRAIN_IMAGES "train-images-idx3-ubyte"
#define TRAIN_LABELS "train-labels-idx1-ubyte"
#define TEST_IMAGES  "t10k-images-idx3-ubyte"
#define TEST_LABELS  "t10k-labels-idx1-ubyte"

static const char *const idx_names[] = {TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS};

/* A file's bytes, in memory; freed by bytes_free. */
typedef struct bytes {
    uint8_t *at;
    size_t size;
} bytes;

static inline void bytes_free(bytes *b)
{
    free(b->at);
    *b = (bytes){0};
}

static inline void temp_make(char directory[64])
{
    (void)snprintf(directory, 64, "/tmp/leaveout-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
}

static inline const char *path_in(const char *directory, const char *name)
{
    static char paths[4][512];
    static int next = 0;
    char *path = paths[next++ % 4];
    (void)snprintf(path, 512, "%s/%s", directory, name);
    return path;
}

/* Removes a directory of files (and of empty directories). */
static inline void temp_remove(const char *directory)
{
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            assert_int_equal(remove(path_in(directory, e->d_name)), 0);
        }
    }
    (void)closedir(d);
    assert_int_equal(rmdir(directory), 0);
}

static inline void save(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline bytes load(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    bytes b = {malloc(1 << 20), 0};
    assert_non_null(b.at);
    b.size = fread(b.at, 1, 1 << 20, f);
    assert_true(b.size < 1 << 20); /* all of it */
    (void)fclose(f);
    return b;
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/* The header of an IDX file and room for `content` bytes after it. */
static inline bytes idx_make(int dimensions, const uint32_t *dimension, size_t content)
{
    bytes b = {NULL, 4 + 4 * (size_t)dimensions + content};
    b.at = calloc(b.size, 1);
    assert_non_null(b.at);
    b.at[2] = 0x08;
    b.at[3] = (uint8_t)dimensions;
    for (int d = 0; d < dimensions; d++) {
        put_u32(b.at + 4 + 4 * d, dimension[d]);
    }
    return b;
}

/* What the fixture's pixel `at` of example i is; part 0 is train, 1 test. */
static inline uint8_t fixture_pixel(int part, uint32_t i, uint32_t at)
{
    return (uint8_t)(i * 37 + at * 11 + (uint32_t)part * 101 + (i * at) % 7);
}

/* Images and labels of one part; example i has label labels[i]. */
static inline void part_make(int part, uint32_t count, uint32_t height, uint32_t width, const uint8_t *labels,
                             bytes *image, bytes *label)
{
    *image = idx_make(3, (const uint32_t[]){count, height, width}, (size_t)count * height * width);
    *label = idx_make(1, (const uint32_t[]){count}, count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < height * width; at++) {
            image->at[16 + (size_t)i * height * width + at] = fixture_pixel(part, i, at);
        }
        label->at[8 + i] = labels[i];
    }
}

/* Writes a whole data set with labels given. */
static inline void set_make(const char *directory, uint32_t train, const uint8_t *train_labels, uint32_t test,
                            const uint8_t *test_labels, uint32_t height, uint32_t width)
{
    bytes b[4];
    part_make(0, train, height, width, train_labels, &b[0], &b[1]);
    part_make(1, test, height, width, test_labels, &b[2], &b[3]);
    for (int f = 0; f < 4; f++) {
        save(path_in(directory, idx_names[f]), b[f].at, b[f].size);
        bytes_free(&b[f]);
    }
}

/* gzip in memory, by zlib. */
static inline bytes gzip(const void *data, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    bytes b = {malloc(size + 1024), 0};
    assert_non_null(b.at);
    z.next_in = (void *)(uintptr_t)data;
    z.avail_in = (unsigned)size;
    z.next_out = b.at;
    z.avail_out = (unsigned)(size + 1024);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.size = z.total_out;
    (void)deflateEnd(&z);
    return b;
}

/* Fails the test unless text contains every one of the words (ended by NULL). */
static inline void assert_says(const char *text, ...)
{
    va_list words;
    va_start(words, text);
    for (const char *word = va_arg(words, const char *); word != NULL; word = va_arg(words, const char *)) {
        if (strstr(text, word) == NULL) {
            print_error("error text \"%s\"\nlacks \"%s\"\n", text, word);
            va_end(words);
            fail();
        }
    }
    va_end(words);
}

#endif
