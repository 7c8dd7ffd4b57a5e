/* Image folders: order, labels and names; sizes and colours; what is ignored, left out and refused. */
#include "data/dataset.h"
#include "data/readers.h"
#include "data/sharing.h"

#include "image_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

enum { SIDE = 6 };

static char root[64];

static int folder_make(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/leaveout-test-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int folder_remove(void **state)
{
    (void)state;
    image_remove(root);
    return 0;
}

/* Two classes of two and three training images and one test image each, in colour. */
static void make_set(void)
{
    image_save_png(root, "train/dog/b.png", 4, SIDE, SIDE, 3);
    image_save_png(root, "train/dog/B.PNG", 2, SIDE, SIDE, 3);
    image_save_png(root, "train/dog/a10.png", 3, SIDE, SIDE, 3);
    image_save_png(root, "train/cat/2.jpg", 1, SIDE, SIDE, 3); /* what counts is what is in it */
    image_save_png(root, "train/cat/10.png", 0, SIDE, SIDE, 3);
    image_save_png(root, "test/dog/1.png", 6, SIDE, SIDE, 3);
    image_save_png(root, "test/cat/1.png", 5, SIDE, SIDE, 3);
}

static const lo_read_options plain = {.scratch = "/tmp"};

static void expect_refused(const lo_read_options *options, lo_status wanted, const char *a, const char *b)
{
    lo_error err = {{0}};
    lo_source source = {0};
    const lo_status status = lo_read_image_folder(root, options, &source, &err);
    if (status != wanted || strstr(err.text, a) == NULL || strstr(err.text, b) == NULL) {
        print_error("status %d, not %d; '%s' and '%s' in '%s'\n", (int)status, (int)wanted, a, b, err.text);
        fail();
    }
    lo_source_free(&source);
}

static void expect_read(const lo_read_options *options, lo_source *source)
{
    lo_error err = {{0}};
    *source = (lo_source){0};
    if (lo_read_image_folder(root, options, source, &err) != LO_OK) {
        print_error("%s\n", err.text);
        fail();
    }
}

/* Example i of a part is picture `seed`, as planes. */
static void expect_picture(const lo_source *source, const lo_source_part *part, int64_t i, int seed,
                           int channels)
{
    const lo_shape shape = source->shape;
    const uint8_t *pixel = part->pixel + (size_t)i * lo_shape_size(shape);
    for (int c = 0; c < shape.channels; c++) {
        for (int y = 0; y < shape.height; y++) {
            for (int x = 0; x < shape.width; x++) {
                assert_int_equal(*pixel++, image_value(seed, y, x, channels == 1 ? 0 : c));
            }
        }
    }
}

static void test_order(void **state)
{
    (void)state;
    static const int32_t labels[] = {0, 0, 1, 1, 1};
    lo_source source;
    make_set();
    expect_read(&plain, &source);
    assert_int_equal(source.element, LO_PIXELS);
    assert_int_equal(source.shape.channels, 3);
    assert_int_equal(source.shape.height, SIDE);
    assert_int_equal(source.classes, 2);
    assert_string_equal(source.class_name[0], "cat");
    assert_string_equal(source.class_name[1], "dog");
    assert_int_equal(source.train.count, 5);
    assert_int_equal(source.test.count, 2);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(source.train.label[i], labels[i]);
        expect_picture(&source, &source.train, i, i, 3);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(source.test.label[i], i);
        expect_picture(&source, &source.test, i, 5 + i, 3);
    }
    assert_null(source.train.missing);
    lo_source_free(&source);
}

/* A name that is the beginning of another; a class without test images; folders in folders; val for test. */
static void test_classes(void **state)
{
    (void)state;
    lo_source source;
    image_save_png(root, "train/ab/1.png", 2, SIDE, SIDE, 3);
    image_save_png(root, "train/a/images/1.png", 1, SIDE, SIDE, 3);
    image_save_png(root, "train/a/0.png", 0, SIDE, SIDE, 3);
    image_save_png(root, "train/a-b/1.png", 3, SIDE, SIDE, 3);
    image_save_png(root, "val/ab/1.png", 4, SIDE, SIDE, 3);
    expect_read(&plain, &source);
    assert_int_equal(source.classes, 3);
    assert_string_equal(source.class_name[0], "a");
    assert_string_equal(source.class_name[1], "a-b");
    assert_string_equal(source.class_name[2], "ab");
    static const int seeds[] = {0, 1, 3, 2};
    static const int32_t labels[] = {0, 0, 1, 2};
    for (int i = 0; i < 4; i++) {
        expect_picture(&source, &source.train, i, seeds[i], 3);
        assert_int_equal(source.train.label[i], labels[i]);
    }
    assert_int_equal(source.test.label[0], 2);
    lo_source_free(&source);
    /* Where there is test, val is nobody's. */
    image_save_png(root, "test/a/1.png", 6, SIDE, SIDE, 3);
    expect_read(&plain, &source);
    assert_int_equal(source.test.count, 1);
    expect_picture(&source, &source.test, 0, 6, 3);
    lo_source_free(&source);
}

static void test_grey(void **state)
{
    (void)state;
    lo_source source;
    image_save_png(root, "train/a/1.png", 1, SIDE, SIDE, 1);
    image_save_png(root, "train/a/2.png", 2, SIDE, SIDE, 1);
    image_save_png(root, "test/a/1.png", 3, SIDE, SIDE, 1);
    expect_read(&plain, &source);
    assert_int_equal(source.shape.channels, 1);
    expect_picture(&source, &source.train, 0, 1, 1);
    expect_picture(&source, &source.train, 1, 2, 1);
    expect_picture(&source, &source.test, 0, 3, 1);
    lo_source_free(&source);
    /* One picture in colour makes all of them so. */
    image_save_png(root, "test/a/2.png", 4, SIDE, SIDE, 3);
    expect_read(&plain, &source);
    assert_int_equal(source.shape.channels, 3);
    expect_picture(&source, &source.train, 1, 2, 1);
    expect_picture(&source, &source.test, 1, 4, 3);
    lo_source_free(&source);
}

static void test_sizes(void **state)
{
    (void)state;
    lo_source source;
    make_set();
    image_save_png(root, "test/dog/2.png", 7, SIDE, SIDE + 1, 3);
    expect_refused(&plain, LO_DATA, "train/cat/10.png has 6 x 6 pixels", "test/dog/2.png has 6 x 7");
    const lo_read_options resize = {.scratch = "/tmp", .resize_height = 3, .resize_width = 12};
    expect_read(&resize, &source);
    assert_int_equal(source.shape.height, 3);
    assert_int_equal(source.shape.width, 12);
    assert_int_equal(source.test.count, 3);
    lo_source_free(&source);
}

static void test_unreadable(void **state)
{
    (void)state;
    lo_source source;
    lo_read_remark remark = {0};
    size_t size = 0;
    make_set();
    image_save(root, "train/cat/1.png", "", 0);
    uint8_t *data = image_jpeg(1, SIDE, SIDE, 3, 0, &size);
    image_save(root, "train/dog/a2.jpeg", data, size / 2);
    free(data);
    image_save(root, "test/cat/0.jpg", "text", 4);
    lo_read_options options = {.scratch = "/tmp", .max_unreadable = 2, .remark = &remark};
    expect_refused(&options, LO_DATA, "3 of 10 images cannot be read; allowed: 2 (data.max_unreadable)",
                   "the first: train/cat/1.png: the file is empty; train/dog/a2.jpeg: JPEG: ");
    options.max_unreadable = 3;
    expect_read(&options, &source);
    assert_int_equal(remark.unreadable, 3);
    assert_non_null(strstr(remark.named, "test/cat/0.jpg: neither JPEG nor PNG"));
    /* The others keep their numbers. */
    static const bool missing[] = {true, false, false, false, false, true, false};
    static const int seeds[] = {-1, 0, 1, 2, 3, -1, 4};
    assert_int_equal(source.train.count, 7);
    for (int i = 0; i < 7; i++) {
        if (source.train.missing[i] != missing[i]) {
            print_error("example %d\n", i);
            fail();
        }
        if (!missing[i]) {
            expect_picture(&source, &source.train, i, seeds[i], 3);
        }
    }
    assert_true(source.test.missing[0]);
    expect_picture(&source, &source.test, 1, 5, 3);
    lo_source_free(&source);
}

/* More than ten are counted, ten are named. */
static void test_ten_named(void **state)
{
    (void)state;
    make_set();
    for (int i = 0; i < 12; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "train/cat/x%02d.png", i);
        image_save(root, name, "x", 1);
    }
    expect_refused(&plain, LO_DATA, "12 of 19 images cannot be read", "train/cat/x09.png");
    lo_error err = {{0}};
    lo_source source = {0};
    (void)lo_read_image_folder(root, &plain, &source, &err);
    assert_null(strstr(err.text, "x10.png"));
    lo_source_free(&source);
}

/* What is left out is in no part of the prepared set, and no limit counts it. */
static void test_prepared(void **state)
{
    (void)state;
    lo_error err = {{0}};
    lo_dataset d;
    char file[128];
    make_set();
    image_save(root, "train/cat/1.png", "", 0);
    (void)snprintf(file, sizeof(file), "%s/data.dat", root);
    lo_data_spec spec = {.reader = lo_reader_find("image_folder"),
                         .read = {.max_unreadable = 1},
                         .path = root,
                         .seed = 1,
                         .digest = 5};
    assert_int_equal(lo_dataset_prepare(&spec, file, &err), LO_OK);
    assert_int_equal(lo_dataset_open(file, 5, &d, &err), LO_OK);
    assert_int_equal(d.train.count, 5);
    assert_int_equal(d.classes, 2);
    assert_string_equal(d.class_name[1], "dog");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(d.train.index[i], i + 1);
        assert_int_equal(d.train.label[i], i >= 2);
        assert_int_equal(d.train.pixel[(size_t)i * 3 * SIDE * SIDE], image_value(i, 0, 0, 0));
    }
    lo_dataset_close(&d);
    spec.train_limit = 5;
    assert_int_equal(lo_dataset_prepare(&spec, file, &err), LO_OK);
    spec.train_limit = 6;
    assert_int_equal(lo_dataset_prepare(&spec, file, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "data.train_limit: found 6, allowed at most 5"));
    spec.train_limit = 0;
    spec.read.resize_height = 4;
    assert_int_equal(lo_dataset_prepare(&spec, file, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "data.resize: found one number"));
}

static void test_ignored(void **state)
{
    (void)state;
    lo_source source;
    lo_read_remark remark = {0};
    const lo_read_options options = {.scratch = "/tmp", .remark = &remark};
    make_set();
    image_save(root, "train/cat/.DS_Store", "x", 1);
    image_save(root, "train/.hidden/1.png", "x", 1);
    image_save(root, "train/cat/notes.txt", "x", 1);
    image_save(root, "train/cat/png", "x", 1);
    image_save(root, "test/readme.png", "x", 1); /* in no class */
    expect_read(&options, &source);
    assert_int_equal(source.classes, 2);
    assert_int_equal(source.train.count, 5);
    assert_int_equal(remark.hidden, 2);
    assert_int_equal(remark.other, 3);
    assert_int_equal(remark.unreadable, 0);
    lo_source_free(&source);
}

static void make_folder(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void test_missing_parts(void **state)
{
    (void)state;
    expect_refused(&plain, LO_DATA, "has no folder test (or val)", "needed are train/CLASS/");
    make_folder("test");
    expect_refused(&plain, LO_DATA, "has no folder train", "");
    make_folder("train");
    expect_refused(&plain, LO_DATA, "/train: has no folders; needed is one for each class", "");
    image_save(root, "train/cat/notes.txt", "x", 1);
    expect_refused(&plain, LO_DATA, "/train/cat: a class without images", "1 other files");
    image_save_png(root, "train/cat/1.png", 1, SIDE, SIDE, 3);
    expect_refused(&plain, LO_DATA, "/test: has no folders", "");
    image_save_png(root, "test/cow/1.png", 1, SIDE, SIDE, 3);
    expect_refused(&plain, LO_DATA, "/test/cow: a class that the training part lacks", "");
    image_save(root, "train/cow/1.png", "x", 1);
    const lo_read_options lenient = {.scratch = "/tmp", .max_unreadable = 10};
    expect_refused(&lenient, LO_DATA, "/train/cow: none of its images can be read", "");
    image_save_png(root, "train/cow/2.png", 1, SIDE, SIDE, 3);
    image_save(root, "test/cow/1.png", "x", 1);
    expect_refused(&lenient, LO_DATA, "none of the 1 images for testing can be read", "");
    image_save(root, "train/cow/2.png", "x", 1);
    image_save(root, "train/cat/1.png", "x", 1);
    expect_refused(&lenient, LO_DATA, "none of 4 images can be read; the first is train/cat/1.png", "");
    image_remove(root);
    expect_refused(&plain, LO_IO, "cannot open", root);
}

static void test_names(void **state)
{
    (void)state;
    make_set();
    image_save_png(root, "train/\xff\xfe/1.png", 1, SIDE, SIDE, 3);
    expect_refused(&plain, LO_DATA, "the name of a class", "UTF-8");
}

/* A link to its own folder is no endless loop. */
static void test_loop(void **state)
{
    (void)state;
    char path[256];
    make_set();
    (void)snprintf(path, sizeof(path), "%s/train/cat/again", root);
    assert_int_equal(symlink(".", path), 0);
    expect_refused(&plain, LO_DATA, "folders are nested more than 8 deep", "");
}

/* Shares of any size, decoded by several views of the list, collect to the same. */
static void test_shares(void **state)
{
    (void)state;
    lo_error err;
    lo_source alone;
    make_set();
    image_save_png(root, "train/cat/1.png", 8, SIDE, SIDE, 1);
    expect_read(&plain, &alone);
    for (int64_t share = 1; share <= 8; share++) {
        lo_listing listing = {0};
        lo_sharing view[2] = {{0}};
        lo_source source = {0};
        const lo_shared_read *shared = lo_reader_find("image_folder")->shared;
        assert_int_equal(shared->list(root, &plain, &listing, &err), LO_OK);
        for (int v = 0; v < 2; v++) {
            assert_int_equal(shared->open(root, &plain, &listing, &view[v], &err), LO_OK);
            assert_int_equal(view[v].examples, 8);
        }
        uint8_t *record = malloc((size_t)share * view[0].record);
        int turn = 0;
        for (int64_t first = 0; first < 8; first += share) {
            const int64_t count = 8 - first < share ? 8 - first : share;
            assert_int_equal(shared->decode(&view[turn++ % 2], first, count, record, &err), LO_OK);
            assert_int_equal(shared->collect(&view[0], first, count, record, &err), LO_OK);
        }
        assert_int_equal(shared->finish(&view[0], &source, &err), LO_OK);
        const size_t image = lo_shape_size(source.shape);
        assert_memory_equal(source.train.pixel, alone.train.pixel, 6 * image);
        assert_memory_equal(source.test.pixel, alone.test.pixel, 2 * image);
        lo_source_free(&source);
        shared->close(&view[0]);
        shared->close(&view[1]);
        free(listing.text);
        free(record);
    }
    lo_source_free(&alone);
}

static lo_status stop_after(void *self)
{
    int *left = self;
    return (*left)-- > 0 ? LO_OK : LO_STOPPED;
}

/* Stopped wherever: in good order, with nothing left behind (a sanitizer looks). */
static void test_stopped(void **state)
{
    (void)state;
    lo_error err;
    make_set();
    bool done = false;
    int stops = 0;
    for (int ticks = 0; !done; ticks++) {
        int left = ticks;
        const lo_tick tick = {stop_after, &left};
        const lo_read_options options = {.scratch = "/tmp", .tick = &tick};
        lo_source source = {0};
        const lo_status status = lo_read_image_folder(root, &options, &source, &err);
        done = status == LO_OK;
        assert_true(done || status == LO_STOPPED);
        stops += !done;
        lo_source_free(&source);
    }
    assert_true(stops > 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),         TEST(test_classes),   TEST(test_grey),     TEST(test_sizes),
        TEST(test_unreadable),    TEST(test_ten_named), TEST(test_prepared), TEST(test_ignored),
        TEST(test_missing_parts), TEST(test_names),     TEST(test_loop),     TEST(test_shares),
        TEST(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
