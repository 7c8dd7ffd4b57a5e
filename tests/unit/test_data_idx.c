/* The IDX reader: whole data sets, every kind of damage, and thousands of random ones. */
#include "data/dataset.h"
#include "data/readers.h"

#include "unit/data_fixture.h"

#include <errno.h>

enum { TRAIN = 12, TEST = 5, HEIGHT = 3, WIDTH = 4, PIXELS = HEIGHT * WIDTH };
static const lo_read_options no_options; /* scratch in TMPDIR */
static const uint8_t train_labels[TRAIN] = {0, 1, 2, 0, 1, 2, 3, 3, 0, 1, 2, 0};
static const uint8_t test_labels[TEST] = {3, 0, 1, 1, 2};

/* Every test has a directory with the whole set in it. */
static int set_up(void **state)
{
    char *directory = malloc(64);
    assert_non_null(directory);
    temp_make(directory);
    set_make(directory, TRAIN, train_labels, TEST, test_labels, HEIGHT, WIDTH);
    *state = directory;
    return 0;
}

static int tear_down(void **state)
{
    temp_remove(*state);
    free(*state);
    return 0;
}

static void assert_reads(const char *directory)
{
    lo_source s = {0};
    lo_error err = {""};
    if (lo_read_idx(directory, &no_options, &s, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(s.classes, 4);
    assert_int_equal(s.shape.channels, 1);
    assert_int_equal(s.shape.height, HEIGHT);
    assert_int_equal(s.shape.width, WIDTH);
    assert_int_equal(s.train.count, TRAIN);
    assert_int_equal(s.test.count, TEST);
    for (uint32_t i = 0; i < TRAIN; i++) {
        assert_int_equal(s.train.label[i], train_labels[i]);
        for (uint32_t at = 0; at < PIXELS; at++) {
            assert_int_equal(s.train.pixel[i * PIXELS + at], fixture_pixel(0, i, at));
        }
    }
    for (uint32_t i = 0; i < TEST; i++) {
        assert_int_equal(s.test.label[i], test_labels[i]);
        for (uint32_t at = 0; at < PIXELS; at++) {
            assert_int_equal(s.test.pixel[i * PIXELS + at], fixture_pixel(1, i, at));
        }
    }
    lo_source_free(&s);
    assert_null(s.train.pixel);
}

/* Reading fails with `status`; the error is left in err. */
static void assert_refused(const char *directory, lo_status status, lo_error *err)
{
    lo_source s = {0};
    *err = (lo_error){""};
    assert_int_equal(lo_read_idx(directory, &no_options, &s, err), status);
    assert_true(strlen(err->text) > 0);
    lo_source_free(&s);
}

static void zip(const char *directory, const char *name, bool keep_plain)
{
    char to[128];
    (void)snprintf(to, sizeof(to), "%s.gz", name);
    bytes plain = load(path_in(directory, name));
    bytes packed = gzip(plain.at, plain.size);
    save(path_in(directory, to), packed.at, packed.size);
    if (!keep_plain) {
        assert_int_equal(remove(path_in(directory, name)), 0);
    }
    bytes_free(&plain);
    bytes_free(&packed);
}

static void test_plain(void **state)
{
    assert_reads(*state);
}

static void test_gzip(void **state)
{
    for (int f = 0; f < 4; f++) {
        zip(*state, idx_names[f], false);
        assert_reads(*state); /* some packed, some not */
    }
}

static void test_plain_is_preferred(void **state)
{
    for (int f = 0; f < 4; f++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s.gz", idx_names[f]);
        save(path_in(*state, name), "no gzip", 7);
    }
    assert_reads(*state);
}

static void test_names_with_a_dot(void **state)
{
    assert_int_equal(rename(path_in(*state, TRAIN_IMAGES), path_in(*state, "train-images.idx3-ubyte")), 0);
    assert_int_equal(rename(path_in(*state, TEST_LABELS), path_in(*state, "t10k-labels.idx1-ubyte")), 0);
    assert_reads(*state);
    zip(*state, "train-images.idx3-ubyte", false);
    assert_reads(*state);
}

static void test_missing_files(void **state)
{
    lo_error err;
    for (int f = 0; f < 4; f++) {
        bytes b = load(path_in(*state, idx_names[f]));
        assert_int_equal(remove(path_in(*state, idx_names[f])), 0);
        assert_refused(*state, LO_DATA, &err);
        char gz[128];
        char dot[128];
        char dot_gz[160];
        (void)snprintf(gz, sizeof(gz), "%s.gz", idx_names[f]);
        (void)snprintf(dot, sizeof(dot), "%s", idx_names[f]);
        *strstr(dot, "-idx") = '.';
        (void)snprintf(dot_gz, sizeof(dot_gz), "%s.gz", dot);
        assert_says(err.text, (const char *)*state, idx_names[f], gz, dot, dot_gz, NULL);
        save(path_in(*state, idx_names[f]), b.at, b.size);
        bytes_free(&b);
    }
    assert_reads(*state);
}

static void test_paths_that_cannot_be_read(void **state)
{
    lo_error err;
    assert_refused(path_in(*state, "none"), LO_IO, &err);
    assert_says(err.text, "none", strerror(ENOENT), NULL);
    assert_refused(path_in(*state, TRAIN_IMAGES), LO_IO, &err);
    assert_says(err.text, TRAIN_IMAGES, "not a directory", NULL);
    assert_int_equal(remove(path_in(*state, TRAIN_LABELS)), 0);
    assert_int_equal(mkdir(path_in(*state, TRAIN_LABELS), 0777), 0);
    assert_refused(*state, LO_IO, &err);
    assert_says(err.text, TRAIN_LABELS, "not a regular file", NULL);
    assert_int_equal(rmdir(path_in(*state, TRAIN_LABELS)), 0);
    assert_int_equal(mkfifo(path_in(*state, TRAIN_LABELS), 0666), 0); /* must not wait for a writer */
    assert_refused(*state, LO_IO, &err);
    assert_says(err.text, TRAIN_LABELS, "not a regular file", NULL);
    assert_int_equal(remove(path_in(*state, TRAIN_LABELS)), 0);
    assert_int_equal(symlink(TRAIN_LABELS, path_in(*state, TRAIN_LABELS)), 0);
    assert_refused(*state, LO_IO, &err);
    assert_says(err.text, TRAIN_LABELS, strerror(ELOOP), NULL);
}

/* One damage to one file: bytes from `at` on are replaced by `by`, or the file is cut or extended to `size`.
 */
typedef struct damage {
    const char *name;
    size_t at;
    const uint8_t *by;
    size_t by_size;
    long size; /* -1: as it was */
    const char *says[3];
} damage;

#define BY(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static const damage damages[] = {
    {TRAIN_IMAGES, 0, NULL, 0, 0, {"is empty"}},
    {TEST_LABELS, 0, NULL, 0, 0, {"is empty"}},
    {TRAIN_IMAGES, 0, NULL, 0, 3, {"truncated", "found 3 bytes", "has 16"}},
    {TRAIN_LABELS, 0, NULL, 0, 7, {"truncated", "found 7 bytes", "has 8"}},
    {TRAIN_IMAGES, 0, NULL, 0, 16, {"truncated", "byte 16, in record 0", "160 bytes in all"}},
    {TRAIN_IMAGES,
     0,
     NULL,
     0,
     16 + 2 * PIXELS + 1,
     {"truncated", "byte 41, in record 2", "12 records of 12 bytes"}},
    {TRAIN_IMAGES, 0, NULL, 0, 16 + TRAIN *PIXELS - 1, {"truncated", "in record 11"}},
    {TEST_LABELS, 0, NULL, 0, 8 + TEST - 1, {"truncated", "in record 4"}},
    {TRAIN_IMAGES, 0, NULL, 0, 16 + TRAIN *PIXELS + 1, {"oversized", "byte 160"}},
    {TEST_LABELS, 0, NULL, 0, 8 + TEST + 100, {"oversized", "byte 13"}},
    {TRAIN_IMAGES, 0, BY(1, 2, 3), -1, {"wrong magic at byte 0", "01 02 03", "00 00 08"}},
    {TRAIN_LABELS, 2, BY(0x0d), -1, {"wrong magic", "00 00 0d", "00 00 08"}},
    {TRAIN_IMAGES, 3, BY(1), -1, {"dimensions at byte 3", "found 1", "allowed 3"}},
    {TEST_LABELS, 3, BY(3), -1, {"dimensions at byte 3", "found 3", "allowed 1"}},
    {TRAIN_IMAGES, 4, BY(0, 0, 0, 0), -1, {"number of examples at byte 4", "found 0", "allowed 1 to"}},
    {TRAIN_IMAGES, 4, BY(0x80, 0, 0, 0), -1, {"number of examples", "2147483648", "2147483647"}},
    {TRAIN_IMAGES, 4, BY(0xff, 0xff, 0xff, 0xff), -1, {"number of examples", "4294967295"}},
    {TRAIN_IMAGES, 8, BY(0, 0, 0, 0), -1, {"height at byte 8", "found 0", "4096"}},
    {TRAIN_IMAGES, 12, BY(0, 0, 0x10, 1), -1, {"width at byte 12", "found 4097", "4096"}},
    {TEST_IMAGES, 8, BY(0x7f, 0xff, 0xff, 0xff), -1, {"height", "2147483647"}},
    {TRAIN_LABELS, 4, BY(0, 0, 0, 11), 8 + 11, {"11 labels", "12 images", TRAIN_IMAGES}},
    {TRAIN_IMAGES, 4, BY(0x7f, 0xff, 0xff, 0xff), -1, {"12 labels", "2147483647 images", TRAIN_LABELS}},
    {TEST_IMAGES, 8, BY(0, 0, 0, 4, 0, 0, 0, 3), -1, {"4 x 3 pixels", "allowed 3 x 4"}},
    {TEST_LABELS, 8 + 2, BY(4), -1, {"record 2 (byte 10)", "found label 4", "allowed 0 to 3"}},
    {TEST_LABELS, 8 + 4, BY(255), -1, {"record 4 (byte 12)", "found label 255", "allowed 0 to 3"}},
};

static void test_damages(void **state)
{
    for (size_t d = 0; d < sizeof(damages) / sizeof(damages[0]); d++) {
        const damage *one = &damages[d];
        bytes good = load(path_in(*state, one->name));
        const size_t size = one->size < 0 ? good.size : (size_t)one->size;
        uint8_t bad[1024] = {0};
        memcpy(bad, good.at, good.size < size ? good.size : size);
        if (one->by_size > 0) {
            memcpy(bad + one->at, one->by, one->by_size);
        }
        save(path_in(*state, one->name), bad, size);
        lo_error err;
        assert_refused(*state, LO_DATA, &err);
        assert_says(err.text, path_in(*state, one->name), one->says[0], one->says[1], one->says[2], NULL);
        /* The same damage inside gzip gives the same answer. */
        if (size > 0) {
            lo_error again;
            zip(*state, one->name, false);
            assert_refused(*state, LO_DATA, &again);
            assert_says(again.text, ".gz", one->says[0], one->says[1], one->says[2], NULL);
            char gz[128];
            (void)snprintf(gz, sizeof(gz), "%s.gz", one->name);
            assert_int_equal(remove(path_in(*state, gz)), 0);
        }
        save(path_in(*state, one->name), good.at, good.size);
        bytes_free(&good);
    }
    assert_reads(*state);
}

/* A header that promises 1.6 TB, with all its labels there, and 2^31 - 1 labels of which there are 100: what
 * is missing is found before memory for it is taken. */
static void test_a_header_alone_takes_no_memory(void **state)
{
    const uint32_t count = 100000;
    bytes image = idx_make(3, (const uint32_t[]){count, 4096, 4096}, 100);
    bytes label = idx_make(1, (const uint32_t[]){count}, count);
    save(path_in(*state, TRAIN_IMAGES), image.at, image.size);
    save(path_in(*state, TRAIN_LABELS), label.at, label.size);
    lo_error err;
    assert_refused(*state, LO_DATA, &err);
    assert_says(err.text, TRAIN_IMAGES, "truncated", "byte 116, in record 0", "1677721600016 bytes in all",
                NULL);
    put_u32(image.at + 4, INT32_MAX);
    put_u32(label.at + 4, INT32_MAX);
    save(path_in(*state, TRAIN_IMAGES), image.at, image.size);
    save(path_in(*state, TRAIN_LABELS), label.at, 108);
    assert_refused(*state, LO_DATA, &err);
    assert_says(err.text, TRAIN_LABELS, "truncated", "byte 108", "2147483647 records", NULL);
    bytes_free(&image);
    bytes_free(&label);
}

static void test_gzip_damages(void **state)
{
    zip(*state, TRAIN_IMAGES, false);
    zip(*state, TRAIN_LABELS, false);
    const char *const names[] = {TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz"};
    for (int f = 0; f < 2; f++) {
        const char *path = path_in(*state, names[f]);
        bytes good = load(path);
        lo_error err;
        /* Cut anywhere, in the last bytes (sums of the content) too. */
        for (size_t size = 0; size < good.size; size++) {
            save(path, good.at, size);
            assert_refused(*state, LO_DATA, &err);
            assert_says(err.text, names[f],
                        size == 0  ? "is empty"
                        : size < 2 ? "truncated"
                                   : "cut short",
                        NULL);
        }
        /* A wrong checksum: bytes -8 to -5; a wrong length: -4 to -1. */
        for (size_t back = 1; back <= 8; back++) {
            good.at[good.size - back] ^= 0x10;
            save(path, good.at, good.size);
            assert_refused(*state, LO_DATA, &err);
            assert_says(err.text, names[f], "damaged",
                        back > 4 ? "incorrect data check" : "incorrect length check", NULL);
            good.at[good.size - back] ^= 0x10;
        }
        save(path, good.at, good.size);
        bytes_free(&good);
    }
    assert_reads(*state);
}

static uint32_t lcg(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static lo_status prepare_and_open(const char *directory, const char *made, uint64_t seed, lo_error *err)
{
    const lo_data_spec spec = {.reader = lo_reader_find("idx"),
                               .path = directory,
                               .train_limit = 8,
                               .validation = 0.25,
                               .label_noise = 0.2,
                               .seed = seed,
                               .digest = 1};
    const lo_status status = lo_dataset_prepare(&spec, made, err);
    assert_int_equal(status == LO_OK, access(made, F_OK) == 0);
    if (status == LO_OK) {
        lo_dataset d;
        assert_int_equal(lo_dataset_open(made, 1, &d, err), LO_OK);
        lo_dataset_close(&d);
        assert_int_equal(remove(made), 0);
    }
    return status;
}

/* Any bytes whatever are read or refused. */
static void test_random_damage(void **state)
{
    char made[512];
    (void)snprintf(made, sizeof(made), "%s", path_in(*state, "made"));
    uint32_t seed = 2024;
    int good_runs = 0;
    int bad_runs = 0;
    for (int f = 0; f < 4; f += 2) {
        zip(*state, idx_names[f], false); /* images packed, labels plain */
    }
    const char *const names[] = {TRAIN_IMAGES ".gz", TRAIN_LABELS, TEST_IMAGES ".gz", TEST_LABELS};
    for (int run = 0; run < 2000; run++) {
        const char *path = path_in(*state, names[lcg(&seed) % 4]);
        bytes good = load(path);
        uint8_t bad[1024];
        memcpy(bad, good.at, good.size);
        size_t size = good.size;
        const uint32_t kind = lcg(&seed) % 4;
        if (kind == 0) {
            size = lcg(&seed) % (good.size + 1);
        } else if (kind == 1) {
            bad[size++] = (uint8_t)lcg(&seed);
        } else {
            for (uint32_t flips = 1 + lcg(&seed) % 3; flips > 0; flips--) {
                /* headers are hit as often as all the rest */
                const size_t at = lcg(&seed) % (kind == 2 && size > 16 ? 16 : size);
                bad[at] = (uint8_t)(lcg(&seed) % 2 == 0 ? lcg(&seed) : bad[at] ^ 1U << lcg(&seed) % 8);
            }
        }
        save(path, bad, size);
        lo_error err = {""};
        lo_source source = {0};
        lo_status status = lo_read_idx(*state, &no_options, &source, &err);
        lo_source_free(&source);
        assert_true(status == LO_OK || status == LO_DATA);
        if (status == LO_OK &&
            good_runs % 8 == 0) { /* not every one: files are synced, which takes its time */
            status = prepare_and_open(*state, made, (uint64_t)run, &err);
            assert_true(status == LO_OK || status == LO_USAGE);
        }
        assert_int_equal(status == LO_OK, strlen(err.text) == 0);
        good_runs += status == LO_OK;
        bad_runs += status != LO_OK;
        save(path, good.at, good.size);
        bytes_free(&good);
    }
    assert_true(good_runs > 50 && bad_runs > 500); /* the loop tries both */
    assert_reads(*state);
}

static void test_table(void **state)
{
    (void)state;
    assert_true(lo_reader_count() >= 1);
    for (int i = 0; i < lo_reader_count(); i++) {
        const lo_reader *r = lo_reader_at(i);
        assert_ptr_equal(lo_reader_find(r->name), r);
        assert_null(strchr(r->name, ' '));
        assert_true(strlen(r->description) > 10 && strchr(r->description, '\n') == NULL);
    }
    assert_null(lo_reader_find("nothing"));
    assert_non_null(lo_reader_find("idx"));
}

#define WITH_SET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SET(test_plain),
        WITH_SET(test_gzip),
        WITH_SET(test_plain_is_preferred),
        WITH_SET(test_names_with_a_dot),
        WITH_SET(test_missing_files),
        WITH_SET(test_paths_that_cannot_be_read),
        WITH_SET(test_damages),
        WITH_SET(test_a_header_alone_takes_no_memory),
        WITH_SET(test_gzip_damages),
        WITH_SET(test_random_damage),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
