/* The file of a prepared data set: what is there, and every damage to it. */
#include "base/file.h"
#include "data/dataset.h"
#include "data/readers.h"

#include "unit/data_fixture.h"

#include <errno.h>

enum { TRAIN = 30, TEST = 11, HEADER = 320, HEADER_CRC = 316 };
static const uint64_t digest = 0x123456789abcdef0ULL;

static char directory[64];
static char made[96];

static int set_up(void **state)
{
    (void)state;
    uint8_t labels[TRAIN];
    for (int i = 0; i < TRAIN; i++) {
        labels[i] = (uint8_t)(i % 3);
    }
    temp_make(directory);
    (void)snprintf(made, sizeof(made), "%s/made.dat", directory);
    set_make(directory, TRAIN, labels, TEST, labels, 3, 3);
    const lo_data_spec spec = {.reader = lo_reader_find("idx"),
                               .path = directory,
                               .validation = 0.1,
                               .label_noise = 0.2,
                               .seed = 3,
                               .digest = digest};
    lo_error err = {""};
    assert_int_equal(lo_dataset_prepare(&spec, made, &err), LO_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(directory);
    return 0;
}

static void assert_closed(const lo_dataset *d)
{
    assert_null(d->map);
    assert_null(d->train.pixel);
    assert_int_equal(d->map_size, 0);
}

static void refused(lo_status status, const char *a, const char *b)
{
    lo_dataset d;
    lo_error err = {""};
    assert_int_equal(lo_dataset_open(made, digest, &d, &err), status);
    assert_says(err.text, made, a, b, NULL);
    assert_closed(&d);
}

/* Makes the header's checksum right again. */
static void seal(bytes *b)
{
    const uint32_t crc = lo_crc32(0, b->at, HEADER_CRC);
    memcpy(b->at + HEADER_CRC, &crc, sizeof(crc));
}

static void test_whole(void **state)
{
    (void)state;
    lo_dataset d;
    lo_error err = {""};
    assert_int_equal(lo_dataset_verify(made, &err), LO_OK);
    assert_int_equal(lo_dataset_open(made, digest, &d, &err), LO_OK);
    assert_int_equal(d.train.count, 27);
    assert_int_equal(d.validation.count, 3);
    assert_int_equal(d.test.count, TEST);
    const lo_examples *parts[] = {&d.train, &d.validation, &d.test};
    for (int p = 0; p < 3; p++) {
        assert_int_equal((uintptr_t)parts[p]->pixel % 64, 0);
        assert_int_equal((uintptr_t)parts[p]->label % 64, 0);
        assert_int_equal((uintptr_t)parts[p]->label_true % 64, 0);
        assert_int_equal((uintptr_t)parts[p]->index % 64, 0);
    }
    lo_dataset_close(&d);
    assert_closed(&d);
    lo_dataset_close(&d);
}

static void test_documented_layout(void **state)
{
    (void)state;
    bytes b = load(made);
    int32_t numbers[4];
    int64_t counts[3];
    uint64_t sizes[25]; /* of the file, of two names, and places of 22 sections */
    uint64_t stored = 0;
    assert_memory_equal(b.at, "LOUTDAT1\2\0\0\0\100\1\0\0", 16);
    memcpy(&stored, b.at + 16, 8);
    assert_true(stored == digest);
    memcpy(numbers, b.at + 24, sizeof(numbers));
    assert_int_equal(numbers[0] * 1000 + numbers[1] * 100 + numbers[2] * 10 + numbers[3], 1333);
    memcpy(counts, b.at + 56, sizeof(counts));
    assert_int_equal(counts[0] * 10000 + counts[1] * 100 + counts[2], 270311);
    memcpy(sizes, b.at + 80, sizeof(sizes));
    assert_int_equal(sizes[0], b.size);
    assert_int_equal(sizes[1] + sizes[2], 0);
    assert_int_equal(sizes[3], HEADER);
    for (int s = 3; s < 25; s++) {
        const bool after_empty = s == 6 || s % 6 <= 1; /* no names, no levels */
        assert_int_equal(sizes[s] % 64, 0);
        assert_true(s == 3 || sizes[s] > sizes[s - 1] || (after_empty && sizes[s] == sizes[s - 1]));
    }
    lo_dataset d;
    lo_error err = {""};
    assert_int_equal(lo_dataset_open(made, digest, &d, &err), LO_OK);
    assert_memory_equal(b.at + sizes[7], d.train.pixel, 27 * 9);
    assert_memory_equal(b.at + sizes[22], d.test.index, TEST * 8);
    lo_dataset_close(&d);
    bytes_free(&b);
}

static void test_missing(void **state)
{
    (void)state;
    lo_dataset d;
    lo_error err = {""};
    assert_int_equal(lo_dataset_open(path_in(directory, "none"), digest, &d, &err), LO_IO);
    assert_says(err.text, "none", strerror(ENOENT), NULL);
    assert_closed(&d);
    assert_int_equal(lo_dataset_verify(path_in(directory, "none"), &err), LO_IO);
    assert_int_equal(lo_dataset_open(directory, digest, &d, &err), LO_IO);
    assert_says(err.text, directory, "not a regular file", NULL);
}

static void test_other_keys(void **state)
{
    (void)state;
    lo_dataset d;
    lo_error err = {""};
    assert_int_equal(lo_dataset_open(made, digest + 1, &d, &err), LO_DATA);
    assert_says(err.text, made, "other keys", "123456789abcdef0", "123456789abcdef1", NULL);
    assert_closed(&d);
    assert_int_equal(lo_dataset_verify(made, &err), LO_OK); /* it is sound all the same */
}

static void test_newer_format(void **state)
{
    (void)state;
    bytes b = load(made);
    b.at[8] = 3;
    save(made, b.at, b.size); /* what the rest of a newer header is, nobody knows: no checksum is asked for */
    refused(LO_DATA, "newer leaveout", "version 3");
    b.at[8] = 1;
    save(made, b.at, b.size);
    refused(LO_DATA, "older leaveout", "version 1");
    bytes_free(&b);
}

static void test_every_byte_of_the_header(void **state)
{
    (void)state;
    bytes b = load(made);
    for (size_t at = 0; at < HEADER; at++) {
        b.at[at] ^= 0x01;
        save(made, b.at, b.size);
        refused(LO_DATA,
                at < 8    ? "LOUTDAT1"
                : at < 12 ? "leaveout: format version"
                          : "header is damaged",
                "");
        b.at[at] ^= 0x01;
    }
    bytes_free(&b);
}

static void test_every_size(void **state)
{
    (void)state;
    bytes b = load(made);
    for (size_t size = 0; size < b.size; size++) {
        save(made, b.at, size);
        refused(LO_DATA, size < HEADER ? "truncated" : "its header promises", "");
        lo_error err = {""};
        assert_int_equal(lo_dataset_verify(made, &err), LO_DATA);
    }
    uint8_t *larger = calloc(b.size + 64, 1);
    assert_non_null(larger);
    memcpy(larger, b.at, b.size);
    save(made, larger, b.size + 64);
    refused(LO_DATA, "its header promises", "");
    free(larger);
    bytes_free(&b);
}

/* Headers with a right checksum that lie: sizes that overflow or point outside must not be followed. */
static void test_headers_that_lie(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
        size_t size;
    } lies[] = {
        {12, 128, 4},                 /* size of the header */
        {24, 0, 4},                   /* channels */
        {24, 0x7fffffff, 4},          /* channels */
        {28, 0xffffffff, 4},          /* height */
        {32, 0x10001, 4},             /* width */
        {36, 0, 4},                   /* classes */
        {40, 2, 4},                   /* coarse classes */
        {44, 1, 4},                   /* elements */
        {44, 2, 4},                   /* elements */
        {48, 1, 4},                   /* labels trained on */
        {56, 33, 8},                  /* examples */
        {56, 0xffffffffffffffff, 8},  /* examples */
        {64, 1ULL << 62, 8},          /* examples */
        {72, (1ULL << 40) + 1, 8},    /* examples */
        {80, 1, 8},                   /* size of the file */
        {88, 64, 8},                  /* names */
        {88, 1ULL << 62, 8},          /* names */
        {96, 1, 8},                   /* names */
        {104, 64, 8},                 /* sections */
        {120, 0xffffffffffffffc0, 8}, /* sections */
        {272, 1ULL << 40, 8},         /* sections */
    };
    bytes b = load(made);
    for (size_t l = 0; l < sizeof(lies) / sizeof(lies[0]); l++) {
        uint8_t kept[8];
        memcpy(kept, b.at + lies[l].at, lies[l].size);
        memcpy(b.at + lies[l].at, &lies[l].value, lies[l].size);
        seal(&b);
        save(made, b.at, b.size);
        refused(LO_DATA, "contradicts itself", "");
        memcpy(b.at + lies[l].at, kept, lies[l].size);
    }
    /* As large as the header can say, without contradiction. */
    const int32_t side = 1 << 16;
    memcpy(b.at + 28, &side, 4);
    seal(&b);
    save(made, b.at, b.size);
    refused(LO_DATA, "contradicts itself", "");
    bytes_free(&b);
}

/* 2^16 examples of 2^48 bytes are 0 bytes, modulo 2^64: with that, places of sections and size of the file
 * agree. */
static void test_sizes_that_wrap_around(void **state)
{
    (void)state;
    bytes b = load(made);
    const int32_t side = 1 << 16;
    const int64_t count = 1 << 16;
    const uint64_t sizes[] = {4ULL << 16, 4ULL << 16, 0, 0, 0, 4ULL << 16, 4ULL << 16, 8ULL << 16};
    uint64_t at = HEADER;
    for (int d = 0; d < 3; d++) {
        memcpy(b.at + 24 + 4 * d, &side, 4);
        memcpy(b.at + 56 + 8 * d, d == 0 ? &count : &(const int64_t){0}, 8);
    }
    for (int section = 0; section < 22; section++) {
        memcpy(b.at + 104 + 8 * section, &at, 8);
        at += section < 8 ? sizes[section] : 0;
    }
    memcpy(b.at + 80, &at, 8);
    seal(&b);
    uint8_t *file = calloc(at, 1);
    assert_non_null(file);
    memcpy(file, b.at, HEADER);
    save(made, file, at);
    refused(LO_DATA, "contradicts itself", "");
    free(file);
    bytes_free(&b);
}

static void test_every_byte_of_the_content(void **state)
{
    (void)state;
    bytes b = load(made);
    for (size_t at = HEADER; at < b.size; at++) {
        b.at[at] ^= 0x40;
        save(made, b.at, b.size);
        lo_error err = {""};
        assert_int_equal(lo_dataset_verify(made, &err), LO_DATA);
        assert_says(err.text, made, "content is damaged", NULL);
        lo_dataset d; /* opening may not notice, but must not crash */
        const lo_status status = lo_dataset_open(made, digest, &d, &err);
        assert_true(status == LO_OK || status == LO_DATA);
        lo_dataset_close(&d);
        b.at[at] ^= 0x40;
    }
    bytes_free(&b);
}

static void test_labels_out_of_range(void **state)
{
    (void)state;
    bytes b = load(made);
    static const int sections[] = {5, 6, 11, 12, 17, 18}; /* label and label_true of each part */
    for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
        uint64_t section = 0;
        memcpy(&section, b.at + 104 + 8 * sections[s], 8);
        const int32_t bad[] = {3, -1, INT32_MIN};
        int32_t kept = 0;
        memcpy(&kept, b.at + section + 8, 4);
        for (int v = 0; v < 3; v++) {
            memcpy(b.at + section + 8, &bad[v], 4);
            save(made, b.at, b.size);
            refused(LO_DATA, "record 2 has label", "allowed 0 to 2");
        }
        memcpy(b.at + section + 8, &kept, 4);
    }
    bytes_free(&b);
}

#define WITH_SET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SET(test_whole),
        WITH_SET(test_documented_layout),
        WITH_SET(test_missing),
        WITH_SET(test_other_keys),
        WITH_SET(test_newer_format),
        WITH_SET(test_every_byte_of_the_header),
        WITH_SET(test_every_size),
        WITH_SET(test_headers_that_lie),
        WITH_SET(test_sizes_that_wrap_around),
        WITH_SET(test_every_byte_of_the_content),
        WITH_SET(test_labels_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
