/* Picture files that are damaged, cut short, lie about their sizes or are none: refused with a reason, in
 * silence. What good ones decode to is compared in tests/oracle/test_images.c. */
#include "data/image.h"

#include "image_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

static void expect_refused(const uint8_t *data, size_t size, const char *reason)
{
    lo_error err = {{0}};
    lo_image image = {0};
    /* A copy of exactly this size: reading beyond it would be seen by a sanitizer. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    assert_int_equal(lo_image_decode(copy, size, &image, &err), LO_DATA);
    if (strstr(err.text, reason) == NULL) {
        print_error("no '%s' in '%s'\n", reason, err.text);
        fail();
    }
    lo_image_free(&image);
    free(copy);
}

static void test_no_pictures(void **state)
{
    (void)state;
    expect_refused((const uint8_t *)"", 0, "is empty");
    expect_refused((const uint8_t *)"GIF89a and more", 15, "neither JPEG nor PNG: begins with 47 49 46");
    expect_refused((const uint8_t *)"\xff\xd8", 2, "neither JPEG nor PNG: begins with ff d8");
    expect_refused((const uint8_t *)"\xff\xd8\xff", 3, "JPEG: ");
    expect_refused((const uint8_t *)"\x89PNG\r\n\x1a\n", 8, "PNG: the file is cut short");
}

/* Every beginning of a picture, but the whole of it. */
static void test_cut_short(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        size_t size = 0;
        const int channels = kind % 2 == 0 ? 1 : 3;
        uint8_t *data =
            kind < 2 ? image_png(1, 9, 11, channels, &size) : image_jpeg(1, 9, 11, channels, 0, &size);
        for (size_t length = 0; length < size; length++) {
            expect_refused(data, length, "");
        }
        lo_error err;
        lo_image image = {0};
        assert_int_equal(lo_image_decode(data, size, &image, &err), LO_OK);
        assert_int_equal(image.height, 9);
        assert_int_equal(image.width, 11);
        assert_int_equal(image.channels, channels);
        lo_image_free(&image);
        free(data);
    }
}

/* Any byte changed: a picture or a reason, and nothing on standard error. */
static void test_damaged(void **state)
{
    (void)state;
    char path[] = "/tmp/leaveout-stderr-XXXXXX";
    const int file = mkstemp(path);
    (void)fflush(stderr);
    const int before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0 && dup2(file, STDERR_FILENO) >= 0);
    int refused = 0;
    int decoded = 0;
    for (int kind = 0; kind < 3; kind++) {
        size_t size = 0;
        uint8_t *data = kind == 0   ? image_png(2, 8, 8, 3, &size)
                        : kind == 1 ? image_jpeg(2, 16, 16, 3, 0, &size)
                                    : image_jpeg(2, 16, 16, 3, 20, &size);
        lo_image image = {0};
        for (size_t at = 0; at < size; at++) {
            for (int bit = 0; bit < 8; bit += 3) {
                lo_error err = {{0}};
                data[at] ^= (uint8_t)(1 << bit);
                const lo_status status = lo_image_decode(data, size, &image, &err);
                data[at] ^= (uint8_t)(1 << bit);
                refused += status == LO_DATA && err.text[0] != '\0';
                decoded += status == LO_OK;
                assert_true(status == LO_DATA || status == LO_OK);
            }
        }
        lo_image_free(&image);
        free(data);
    }
    (void)fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
    (void)close(before);
    (void)close(file);
    (void)unlink(path);
    /* In a JPEG most bytes are pixels that nothing guards. */
    assert_true(refused > 500);
    assert_true(decoded > 500);
}

static void put_be32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* Headers that promise more than is sensible are refused before any memory is taken for it. */
static void test_bombs(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *png = image_png(3, 8, 8, 3, &size);
    static const struct {
        uint32_t width, height;
        const char *reason;
    } cases[] = {{16384, 16384, "found 16384 x 16384 pixels, allowed 1 to 16384 a side and 67108864 in all"},
                 {100000, 1, "PNG: "},
                 {0x7fffffff, 0x7fffffff, "PNG: "},
                 {0, 8, "PNG: "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_be32(png + 16, cases[i].width);
        put_be32(png + 20, cases[i].height);
        put_be32(png + 29, (uint32_t)crc32(0, png + 12, 17));
        expect_refused(png, size, cases[i].reason);
    }
    free(png);
    uint8_t *jpeg = image_jpeg(3, 8, 8, 3, 0, &size);
    size_t frame = 0;
    while (jpeg[frame] != 0xff || jpeg[frame + 1] != 0xc0) {
        frame++;
    }
    memcpy(jpeg + frame + 5, "\xff\xdc\xff\xdc", 4); /* 65500 x 65500 */
    expect_refused(jpeg, size, "found 65500 x 65500 pixels");
    memcpy(jpeg + frame + 5, "\x20\x00\x20\x00", 4); /* allowed, but the pixels are not there */
    expect_refused(jpeg, size, "JPEG: ");
    free(jpeg);
}

/* A chunk of any kind that promises more than there is. */
static void test_large_chunks(void **state)
{
    (void)state;
    static const char kinds[][5] = {"sPLT", "iCCP", "tEXt", "zTXt", "iTXt", "eXIf", "sCAL", "abcd"};
    enum { HEADER = 33, CHUNK = 12 };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        size_t size = 0;
        uint8_t *png = image_png(3, 8, 8, 3, &size);
        uint8_t *data = malloc(size + CHUNK);
        memcpy(data, png, HEADER);
        put_be32(data + HEADER, 0x60000000);
        memcpy(data + HEADER + 4, kinds[k], 4);
        memcpy(data + HEADER + 8, png + HEADER, size - HEADER);
        expect_refused(data, size + CHUNK, "PNG: the file is cut short");
        free(data);
        free(png);
    }
}

static void test_scans(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *data = image_jpeg(4, 24, 24, 3, 190, &size);
    expect_refused(data, size, "JPEG: more than 100 scans");
    free(data);
    data = image_jpeg(4, 24, 24, 3, 60, &size);
    lo_error err;
    lo_image image = {0};
    assert_int_equal(lo_image_decode(data, size, &image, &err), LO_OK);
    lo_image_free(&image);
    free(data);
}

static void test_cmyk(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *data = image_jpeg(5, 8, 8, 4, 0, &size);
    expect_refused(data, size, "JPEG: found CMYK, allowed grey, YCbCr or RGB");
    free(data);
}

static void expect_unreadable(const char *path, const char *reason)
{
    lo_error err = {{0}};
    lo_image image = {0};
    uint8_t *data = NULL;
    size_t room = 0;
    assert_int_equal(lo_image_read(path, &data, &room, &image, &err), LO_DATA);
    assert_non_null(strstr(err.text, reason));
    lo_image_free(&image);
    free(data);
}

static void test_files(void **state)
{
    (void)state;
    char root[] = "/tmp/leaveout-test-XXXXXX";
    char path[128];
    assert_non_null(mkdtemp(root));
    expect_unreadable(root, "is not a regular file");
    (void)snprintf(path, sizeof(path), "%s/none.png", root);
    expect_unreadable(path, "cannot open: No such file");
    (void)snprintf(path, sizeof(path), "%s/pipe.png", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unreadable(path, "is not a regular file");
    image_remove(root);
}

/* A buffer that has served a large picture serves a small one, and the other way round. */
static void test_reuse(void **state)
{
    (void)state;
    lo_error err;
    lo_image image = {0};
    for (int i = 0; i < 6; i++) {
        size_t size = 0;
        const int side = i % 2 == 0 ? 4 : 40 + i;
        uint8_t *data = image_png(i, side, side + 1, 3, &size);
        assert_int_equal(lo_image_decode(data, size, &image, &err), LO_OK);
        uint8_t *wanted = image_pixels(i, side, side + 1, 3);
        assert_int_equal(image.height, side);
        assert_int_equal(image.width, side + 1);
        assert_memory_equal(image.pixel, wanted, (size_t)side * (side + 1) * 3);
        free(wanted);
        free(data);
    }
    lo_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_pictures), cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_damaged),     cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_scans),       cmocka_unit_test(test_large_chunks),
        cmocka_unit_test(test_cmyk),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_reuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
