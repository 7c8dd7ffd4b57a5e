/* Decoding and scaling against Pillow's: tests/fixtures/images.bin, made by make_images.py. */
#include "data/image.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

static const uint8_t *take(cursor *c, size_t size)
{
    assert_true((size_t)(c->end - c->at) >= size);
    const uint8_t *start = c->at;
    c->at += size;
    return start;
}

static int32_t take_int(cursor *c)
{
    int32_t value;
    memcpy(&value, take(c, sizeof(value)), sizeof(value));
    return value;
}

/* The largest difference between planes and interleaved pixels. */
static int difference(const uint8_t *plane, const uint8_t *pixel, int32_t channels, int32_t area)
{
    int largest = 0;
    for (int32_t c = 0; c < channels; c++) {
        for (int32_t i = 0; i < area; i++) {
            const int d = abs(plane[c * area + i] - pixel[i * channels + c]);
            largest = d > largest ? d : largest;
        }
    }
    return largest;
}

static void check_planes(const lo_image *image, const char *what, int32_t height, int32_t width,
                         const uint8_t *wanted)
{
    lo_error err;
    uint8_t *plane = malloc((size_t)3 * height * width);
    assert_non_null(plane);
    assert_int_equal(lo_image_planes(image, image->channels, height, width, plane, &err), LO_OK);
    const int d = difference(plane, wanted, image->channels, height * width);
    if (d != 0) {
        print_error("%s at %d x %d: differs by up to %d\n", what, height, width, d);
    }
    assert_int_equal(d, 0);
    if (image->channels == 1) {
        assert_int_equal(lo_image_planes(image, 3, height, width, plane, &err), LO_OK);
        for (int c = 0; c < 3; c++) {
            assert_memory_equal(plane + c * height * width, wanted, (size_t)height * width);
        }
    }
    free(plane);
}

static void test_pillow(void **state)
{
    (void)state;
    lo_error err;
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(lo_file_read(FIXTURES "/images.bin", 1 << 24, &data, &size, &err), LO_OK);
    cursor c = {(const uint8_t *)data, (const uint8_t *)data + size};
    lo_image image = {0};
    int cases = 0;
    while (c.at < c.end) {
        char name[64] = "";
        const int32_t length = take_int(&c);
        assert_in_range(length, 1, 63);
        memcpy(name, take(&c, (size_t)length), (size_t)length);
        const int32_t file_size = take_int(&c);
        const uint8_t *file = take(&c, (size_t)file_size);
        if (lo_image_decode(file, (size_t)file_size, &image, &err) != LO_OK) {
            print_error("%s: %s\n", name, err.text);
            fail();
        }
        assert_int_equal(image.height, take_int(&c));
        assert_int_equal(image.width, take_int(&c));
        assert_int_equal(image.channels, take_int(&c));
        const size_t area = (size_t)image.height * image.width;
        check_planes(&image, name, image.height, image.width, take(&c, area * image.channels));
        const int32_t height = take_int(&c);
        const int32_t width = take_int(&c);
        check_planes(&image, name, height, width, take(&c, (size_t)height * width * image.channels));
        cases++;
    }
    assert_int_equal(cases, 16);
    lo_image_free(&image);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pillow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
