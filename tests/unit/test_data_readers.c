/* Readers of CIFAR, npy, CSV and svmlight: every kind of damage is refused, with the place. What sound files
 * mean is compared with numpy in tests/oracle/test_data_files.sh. */
#include "data/classes.h"
#include "data/readers.h"
#include "data/spool.h"
#include "data/text.h"

#include "unit/data_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <sys/statvfs.h>

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    temp_make(directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(directory);
    return 0;
}

static void save_text(const char *name, const char *text)
{
    save(path_in(directory, name), text, strlen(text));
}

static lo_read_options options_of(void)
{
    return (lo_read_options){.scratch = directory, .first_index = 1};
}

static lo_status read_with(const char *format, const lo_read_options *options, lo_source *out, lo_error *err)
{
    *out = (lo_source){0};
    *err = (lo_error){""};
    return lo_reader_find(format)->read(directory, options, out, err);
}

static void refused_with(const char *format, const lo_read_options *options, lo_status status, const char *a,
                         const char *b)
{
    lo_source source;
    lo_error err;
    const lo_status found = read_with(format, options, &source, &err);
    if (found != status) {
        fail_msg("status %d, not %d: %s", (int)found, (int)status, err.text);
    }
    assert_says(err.text, a, b, NULL);
    lo_source_free(&source);
}

static void refused(const char *format, lo_status status, const char *a, const char *b)
{
    const lo_read_options options = options_of();
    refused_with(format, &options, status, a, b);
}

static lo_source sound(const char *format)
{
    const lo_read_options options = options_of();
    lo_source source;
    lo_error err;
    if (read_with(format, &options, &source, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return source;
}

/* ---- CIFAR ---- */

enum { PIXELS = 3072 };

/* A file of `count` records; label l(i) = first + i, pixels as the fixture's. */
static void save_cifar(const char *name, int labels, int count, int first)
{
    const size_t record = (size_t)labels + PIXELS;
    uint8_t *data = calloc((size_t)count, record);
    assert_non_null(data);
    for (int i = 0; i < count; i++) {
        uint8_t *at = data + (size_t)i * record;
        at[0] = (uint8_t)((first + i) / (labels == 2 ? 5 : 1));
        at[labels - 1] = (uint8_t)(first + i);
        for (uint32_t p = 0; p < PIXELS; p++) {
            at[(uint32_t)labels + p] = fixture_pixel(0, (uint32_t)(first + i), p);
        }
    }
    save(path_in(directory, name), data, (size_t)count * record);
    free(data);
}

static void save_names(const char *name, const char *stem, int count)
{
    FILE *f = fopen(path_in(directory, name), "w");
    assert_non_null(f);
    for (int i = 0; i < count; i++) {
        (void)fprintf(f, "%s %d\n", stem, i);
    }
    (void)fprintf(f, "\n");
    assert_int_equal(fclose(f), 0);
}

static void make_cifar10(void)
{
    for (int b = 0; b < 5; b++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "data_batch_%d.bin", b + 1);
        save_cifar(name, 1, 2, 2 * b);
    }
    save_cifar("test_batch.bin", 1, 3, 4);
    save_names("batches.meta.txt", "class", 10);
}

static void assert_cifar(const lo_source_part *part, int64_t count, int first)
{
    assert_int_equal(part->count, count);
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(part->label[i], first + i);
        for (uint32_t p = 0; p < PIXELS; p++) {
            assert_int_equal(part->pixel[i * PIXELS + p], fixture_pixel(0, (uint32_t)(first + i), p));
        }
    }
}

static void test_cifar10(void **state)
{
    (void)state;
    make_cifar10();
    lo_source s = sound("cifar10");
    assert_int_equal(s.classes, 10);
    assert_int_equal(s.coarse_classes, 0);
    assert_int_equal(s.shape.channels * 10000 + s.shape.height * 100 + s.shape.width, 33232);
    assert_cifar(&s.train, 10, 0);
    assert_cifar(&s.test, 3, 4);
    assert_string_equal(s.class_name[9], "class 9");
    lo_source_free(&s);
    assert_int_equal(remove(path_in(directory, "batches.meta.txt")), 0);
    s = sound("cifar10");
    assert_null(s.class_name);
    lo_source_free(&s);
}

static void test_damaged_cifar10(void **state)
{
    (void)state;
    make_cifar10();
    save_names("batches.meta.txt", "class", 9);
    refused("cifar10", LO_DATA, "batches.meta.txt: found 9 names", "allowed 10");
    save_text("batches.meta.txt", "a\nb\xff\n");
    refused("cifar10", LO_DATA, "batches.meta.txt:2", "UTF-8");
    save_text("batches.meta.txt", "");
    refused("cifar10", LO_DATA, "batches.meta.txt", "is empty");
    save_cifar("data_batch_3.bin", 1, 3, 8);
    refused("cifar10", LO_DATA, "data_batch_3.bin: record 2: found label 10", "allowed 0 to 9");
    bytes b = load(path_in(directory, "data_batch_2.bin"));
    save(path_in(directory, "data_batch_3.bin"), b.at, b.size - 1);
    refused("cifar10", LO_DATA, "data_batch_3.bin: found 6145 bytes", "multiple of 3073");
    bytes_free(&b);
    save_text("data_batch_3.bin", "");
    refused("cifar10", LO_DATA, "data_batch_3.bin", "is empty");
    assert_int_equal(remove(path_in(directory, "data_batch_3.bin")), 0);
    refused("cifar10", LO_IO, "data_batch_3.bin: cannot open", "");
    assert_int_equal(mkdir(path_in(directory, "data_batch_3.bin"), 0700), 0);
    refused("cifar10", LO_IO, "data_batch_3.bin", "not a regular file");
}

static void test_cifar100(void **state)
{
    (void)state;
    save_cifar("train.bin", 2, 100, 0);
    save_cifar("test.bin", 2, 7, 50);
    save_names("fine_label_names.txt", "fine", 100);
    save_names("coarse_label_names.txt", "coarse", 20);
    lo_source s = sound("cifar100");
    assert_int_equal(s.classes * 1000 + s.coarse_classes, 100020);
    assert_cifar(&s.train, 100, 0);
    assert_cifar(&s.test, 7, 50);
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(s.train.label_coarse[i], i / 5);
    }
    assert_string_equal(s.class_name[99], "fine 99");
    assert_string_equal(s.coarse_name[19], "coarse 19");
    lo_source_free(&s);
    save_cifar("test.bin", 2, 7, 94);
    refused("cifar100", LO_DATA, "test.bin: record 6: found label 20", "allowed 0 to 19");
    bytes b = load(path_in(directory, "test.bin"));
    b.at[0] = 0;
    b.at[1] = 100;
    save(path_in(directory, "test.bin"), b.at, b.size);
    refused("cifar100", LO_DATA, "test.bin: record 0: found label 100", "allowed 0 to 99");
    bytes_free(&b);
}

/* ---- npy ---- */

/* A file of numpy of this header, and `size` bytes of data. */
static void save_npy(const char *name, const char *header, const void *data, size_t size)
{
    uint8_t file[4096] = "\x93NUMPY\1";
    const size_t length = strlen(header);
    assert_true(length + size + 10 <= sizeof(file));
    file[8] = (uint8_t)length;
    file[9] = (uint8_t)(length >> 8);
    memcpy(file + 10, header, length);
    if (size > 0) {
        memcpy(file + 10 + length, data, size);
    }
    save(path_in(directory, name), file, 10 + length + size);
}

#define F4_HEADER "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n    "
#define I8_HEADER "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }\n"
static const float six[6] = {1, 2, 3, 4, 5, 6};
static const int64_t three[3] = {0, 1, 1};

static void make_npy(void)
{
    save_npy("x_train.npy", F4_HEADER, six, sizeof(six));
    save_npy("x_test.npy", F4_HEADER, six, sizeof(six));
    save_npy("y_train.npy", I8_HEADER, three, sizeof(three));
    save_npy("y_test.npy", I8_HEADER, three, sizeof(three));
}

static void test_npy(void **state)
{
    (void)state;
    make_npy();
    lo_source s = sound("npy"); /* the elements lie at odd bytes, so they are copied */
    assert_memory_equal(s.train.feature, six, sizeof(six));
    assert_memory_equal(s.test.feature, six, sizeof(six));
    assert_int_equal(s.shape.channels, 2);
    assert_int_equal(s.classes, 2);
    assert_null(s.class_name);
    lo_source_free(&s);
    /* Where they lie at a multiple of four, the file itself is what is mapped. */
    save_npy("x_train.npy", "{'shape':(3,2),'fortran_order':False,'descr':'<f4'}   ", six, sizeof(six));
    s = sound("npy");
    assert_memory_equal(s.train.feature, six, sizeof(six));
    assert_int_equal((const char *)s.train.feature - (const char *)s.train.map, 64);
    assert_int_equal(s.train.map_size, 64 + sizeof(six));
    lo_source_free(&s);
}

static void test_damaged_npy(void **state)
{
    (void)state;
    static const struct {
        const char *header, *a, *b;
    } headers[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", "x_train.npy", "Fortran order"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", "big-endian", "'>f4'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }", "Python objects", ""},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2), }", "records", ""},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3, 1), }", "'<c8'", "allowed are"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (3, 2), }", "elements of type i4", "u1"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }", "promises 3 x 3", "24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }", "promises 3 x 1", "24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "promises",
         "24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 2), }", "promises", "24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }", "promises 0 x 2", ""},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "promises no elements", ""},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "found 1 dimensions", "[n, features]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 6), }", "header is damaged",
         "1 to 4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, -2), }", "header is damaged", "-2"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2) 'x'", "header is damaged", "comma"},
        {"{'descr': '<f4', 'fortran_order': False, }", "lacks", "shape"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 2), }", "header is damaged", "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'more': 1}", "'more'", ""},
        {"{'descr: '<f4', 'fortran_order': False, 'shape': (3, 2), }", "header", ""},
        {"", "header is damaged", "dictionary"},
    };
    make_npy();
    for (size_t h = 0; h < sizeof(headers) / sizeof(headers[0]); h++) {
        save_npy("x_train.npy", headers[h].header, six, sizeof(six));
        refused("npy", LO_DATA, headers[h].a, headers[h].b);
    }
    make_npy();
    bytes b = load(path_in(directory, "x_train.npy"));
    for (size_t size = 0; size < b.size; size++) {
        save(path_in(directory, "x_train.npy"), b.at, size);
        refused("npy", LO_DATA, "x_train.npy", "");
    }
    b.at[6] = 4;
    save(path_in(directory, "x_train.npy"), b.at, b.size);
    refused("npy", LO_DATA, "format version 4", "1 to 3");
    b.at[6] = 2; /* four bytes of size */
    memset(b.at + 8, 0xff, 4);
    save(path_in(directory, "x_train.npy"), b.at, b.size);
    refused("npy", LO_DATA, "promises 4294967295 bytes of itself", "");
    b.at[0] = 0;
    save(path_in(directory, "x_train.npy"), b.at, b.size);
    refused("npy", LO_DATA, "x_train.npy", "93 NUMPY");
    bytes_free(&b);
    make_npy();
    const float bad[6] = {1, 2, 3, 4, INFINITY, NAN};
    save_npy("x_test.npy", F4_HEADER, bad, sizeof(bad));
    refused("npy", LO_DATA, "x_test.npy: example 2, feature 0 (both from 0)", "found inf");
    const double large[6] = {1, 2, 3, 1e39, 5, 6};
    save_npy("x_test.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }", large,
             sizeof(large));
    refused("npy", LO_DATA, "example 1, feature 1", "finite numbers of float32");
    assert_int_equal(remove(path_in(directory, "x_test.npy")), 0);
    refused("npy", LO_IO, "x_test.npy", "cannot open");
}

static void test_npy_that_disagrees(void **state)
{
    (void)state;
    make_npy();
    save_npy("x_test.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, sizeof(six));
    refused("npy", LO_DATA, "x_test.npy: found features of 3 x 1 x 1", "features of 2 x 1 x 1");
    save_npy("x_test.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }", six, 6);
    refused("npy", LO_DATA, "found pixels", "allowed are features");
    make_npy();
    save_npy("y_test.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", three, 16);
    refused("npy", LO_DATA, "y_test.npy: found 2 labels for the 3 examples", "x_test.npy");
    const int64_t unknown[3] = {1, 0, 2};
    save_npy("y_test.npy", I8_HEADER, unknown, sizeof(unknown));
    refused("npy", LO_DATA, "y_test.npy: example 2: found label '2'", "no training example");
    save_npy("y_test.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", three, 24);
    refused("npy", LO_DATA, "labels of type f8", "whole numbers");
    save_npy("y_test.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (3, 2), }", three, 24);
    refused("npy", LO_DATA, "y_test.npy: found 2 dimensions", "one label an example");
    /* Channels that could be anywhere. */
    uint8_t image[2 * 81] = {0};
    const char *header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 9, 3), }";
    save_npy("x_train.npy", header, image, sizeof(image));
    save_npy("y_train.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", three, 16);
    save_npy("x_test.npy", header, image, sizeof(image));
    save_npy("y_test.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", three, 16);
    refused("npy", LO_USAGE, "first or last; data.layout", "nchw or nhwc");
    lo_read_options options = options_of();
    lo_source s;
    lo_error err;
    options.layout = LO_CHANNELS_LAST;
    assert_int_equal(read_with("npy", &options, &s, &err), LO_OK);
    assert_int_equal(s.shape.height * 10 + s.shape.width, 39);
    lo_source_free(&s);
    options.layout = LO_CHANNELS_FIRST;
    assert_int_equal(read_with("npy", &options, &s, &err), LO_OK);
    assert_int_equal(s.shape.height * 10 + s.shape.width, 93);
    lo_source_free(&s);
}

/* ---- CSV ---- */

static void test_csv(void **state)
{
    (void)state;
    static const struct {
        const char *train, *status, *rest;
    } cases[] = {
        {"1,2,0\n3,4\n", "train.csv:2: found 2 fields, allowed 3", "train.csv"},
        {"1,2,0\n\n3,4,5,6\n", "train.csv:3: found 4 fields", ""},
        {"1,2,0\n3,x,1\n", "train.csv:2: field 2: found 'x'", "a number"},
        {"a,b,c\n3,,1\n", "train.csv:2: field 2: found ''", "a number"},
        {"1,nan,0\n3,4,1\n", "train.csv:1: field 2: found 'nan'", "finite"},
        {"1,2,0\n3,-Inf,1\n", "train.csv:2: field 2: found '-Inf'", "finite"},
        {"1,2,0\n3,1e39,1\n", "train.csv:2: field 2: found '1e39'", "float32"},
        {"1,2,0\n3,0x10,1\n", "found '0x10'", ""},
        {"1,2,0\n3,4,\n", "train.csv:2: the label is missing", ""},
        {"1,2,0\n3,4,NaN\n", "train.csv:2: the label is missing", "NaN"},
        {"1,2,0\n3,4,1.5\n", "train.csv:2: found label 1.5", "no regression"},
        {"1,2,0\n3,4,a\tb\n", "train.csv:2: the label is not allowed", ""},
        {"1,2,0\n3,\"4,1\n", "train.csv:2: field 2: the quote does not end", ""},
        {"1,2,0\n3,\"4\"5,1\n", "train.csv:2: field 2: found text after", ""},
        {"1,2,0\n3,4\"5,1\n", "train.csv:2: field 2: found a quote inside", ""},
        {"1\n2\n", "train.csv:1: found 1 fields", "2 to"},
        {"a,b,c\n", "train.csv: holds no examples", ""},
        {"\n\n \n", "train.csv: holds no examples", ""},
        {"", "train.csv: is empty", ""},
    };
    save_text("test.csv", "1,2,0\n");
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        save_text("train.csv", cases[c].train);
        refused("csv", LO_DATA, cases[c].status, cases[c].rest);
    }
    save_text("train.csv", "1,2,0\n3,4,1\n");
    save_text("test.csv", "1,2,3\n");
    refused("csv", LO_DATA, "test.csv:1: found label '3'", "no training example");
    save_text("test.csv", "1,2\n");
    refused("csv", LO_DATA, "test.csv:1: found 2 fields, allowed 3", "");
    save_text("test.csv", "a,b,c\n1,2,0\n");
    refused("csv", LO_DATA, "test.csv:1: found a header", "none");
    save_text("train.csv", "a,b,d\n1,2,0\n3,4,1\n");
    refused("csv", LO_DATA, "test.csv:1: the header is not that", "");
    lo_read_options options = options_of();
    options.label_column = "c";
    refused_with("csv", &options, LO_USAGE, "data.label_column: found 'c'", "1 to 3");
    options.label_column = "4";
    refused_with("csv", &options, LO_USAGE, "data.label_column: found '4'", "1 to 3");
    assert_int_equal(remove(path_in(directory, "test.csv")), 0);
    refused("csv", LO_IO, "test.csv: cannot open", "");
}

/* A file without an end of line that ends where a page ends: nothing behind it is touched. */
static void test_csv_that_fills_a_page(void **state)
{
    (void)state;
    char page[4096 + 1];
    memset(page, ' ', 4096);
    memcpy(page, "1,2,0\n3,4,1\n5,", 14);
    memcpy(page + 4096 - 13, "6.0000000,1.0", 14);
    save_text("train.csv", page);
    page[4096 - 4] = '\0';
    memcpy(page + 4096 - 17, "6.000000000,1", 13);
    page[4096 - 4] = '\0';
    save_text("test.csv", page);
    lo_source s = sound("csv");
    assert_int_equal(s.train.count, 3);
    assert_true(s.train.feature[5] == 6);
    assert_int_equal(s.train.label[2], 1);
    lo_source_free(&s);
}

static void test_headers_can_be_said(void **state)
{
    (void)state;
    save_text("train.csv", "1,2,3\n4,5,0\n6,7,1\n");
    save_text("test.csv", "1,2,3\n4,5,0\n");
    lo_read_options options = options_of();
    lo_source s;
    lo_error err;
    options.header = LO_HEADER_PRESENT;
    options.label_column = "3"; /* a name here */
    assert_int_equal(read_with("csv", &options, &s, &err), LO_OK);
    assert_int_equal(s.train.count * 10 + s.classes, 22);
    assert_null(s.class_name);
    lo_source_free(&s);
    options.header = LO_HEADER_AUTO;
    options.label_column = "1"; /* a number here, and a name in the first line */
    assert_int_equal(read_with("csv", &options, &s, &err), LO_OK);
    assert_int_equal(s.train.count * 10 + s.classes, 33);
    assert_string_equal(s.class_name[2], "6");
    lo_source_free(&s);
}

/* ---- svmlight ---- */

static void test_svmlight(void **state)
{
    (void)state;
    static const struct {
        const char *train, *a, *b;
    } cases[] = {
        {"+1 1:1\n-1 0:2\n", "train.svm:2: found index 0", "data.first_index is 1"},
        {"+1 1:1\n-1 3:2 2:1\n", "train.svm:2: found index 2 after index 3", "increasing"},
        {"+1 1:1\n-1 2:2 2:1\n", "train.svm:2: found index 2 after index 2", ""},
        {"+1 1:1\n-1 2000000:2\n", "train.svm:2: found index 2000000", "allowed 1 to 1048576"},
        {"+1 1:1\n-1 99999999999999999999999:2\n", "train.svm:2: found index", "allowed 1 to"},
        {"+1 1:1\n-1 -1:2\n", "train.svm:2: found index -1", ""},
        {"+1 1:1\n-1 1.5:2\n", "train.svm:2: found '1.5:2'", "INDEX:VALUE"},
        {"+1 1:1\n-1 qid:3 1:2\n", "train.svm:2: found 'qid:3'", "INDEX:VALUE"},
        {"+1 1:1\n-1 2\n", "train.svm:2: found '2'", "INDEX:VALUE"},
        {"+1 1:1\n-1 2:\n", "train.svm:2: index 2: found ''", "a number"},
        {"+1 1:1\n-1 2:x\n", "train.svm:2: index 2: found 'x'", "a number"},
        {"+1 1:1\n-1 2:nan\n", "train.svm:2: index 2: found 'nan'", "finite"},
        {"+1 1:1\nyes 2:1\n", "train.svm:2: found 'yes' where the label", ""},
        {"+1 1:1\n0.5 2:1\n", "train.svm:2: found label 0.5", "no regression"},
        {"+1 1:1\n1,2 2:1\n", "train.svm:2: found '1,2'", ""},
        {"# nothing\n\n", "train.svm: holds no examples", ""},
    };
    save_text("test.svm", "+1 1:1\n");
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        save_text("train.svm", cases[c].train);
        refused("svmlight", LO_DATA, cases[c].a, cases[c].b);
    }
    save_text("train.svm", "+1\n-1 # no feature\n");
    save_text("test.svm", "+1\n");
    refused("svmlight", LO_DATA, "no line has a feature", "");
    save_text("train.svm", "+1 2:1\n-1 1:1\n");
    save_text("test.svm", "2 1:1\n");
    refused("svmlight", LO_DATA, "test.svm:1: found label '2'", "no training example");
    assert_int_equal(remove(path_in(directory, "test.svm")), 0);
    refused("svmlight", LO_DATA, "found none of test.svm", "one of them is needed");
}

/* Sparse data that no disk holds when they are dense: nothing is written. */
static void test_svmlight_that_is_too_large(void **state)
{
    (void)state;
    enum { ROWS = 1 << 21 }; /* times 2^20 features of 4 bytes: 8 TiB */
    struct statvfs room;
    if (statvfs(directory, &room) != 0 || (double)room.f_bavail * (double)room.f_frsize > 8e12) {
        skip(); /* here it would be written */
    }
    char *text = malloc(2 * ROWS + 32);
    assert_non_null(text);
    for (int i = 0; i < ROWS; i++) {
        memcpy(text + 2 * i, "1\n", 2);
    }
    strcpy(text + 2 * ROWS, "2 1048576:1\n");
    save_text("train.svm", text);
    save_text("test.svm", "1 1:1\n");
    free(text);
    const lo_read_options options = options_of();
    lo_source source;
    lo_error err;
    if (read_with("svmlight", &options, &source, &err) != LO_IO) {
        fail_msg("%s", err.text);
    }
    assert_says(err.text, "8796097.2 MB when decoded", "No space left", NULL);
    lo_source_free(&source);
}

/* ---- what they share ---- */

static void test_classes_are_sorted(void **state)
{
    (void)state;
    static const char *const labels[] = {"10", "9", "-1", "+9", "10.0", "1e1", "-0"};
    static const int32_t numbers[] = {3, 2, 0, 2, 3, 3, 1};
    enum { LABELS = sizeof(labels) / sizeof(labels[0]) };
    int32_t label[LABELS];
    lo_classes classes = {0};
    lo_error err = {""};
    lo_source s = {.train = {.count = LABELS, .label = label}};
    for (int i = 0; i < LABELS; i++) {
        assert_int_equal(
            lo_classes_number(&classes, "here", labels[i], strlen(labels[i]), false, &label[i], &err), LO_OK);
    }
    assert_int_equal(lo_classes_settle(&classes, &s, &err), LO_OK);
    assert_memory_equal(label, numbers, sizeof(numbers));
    assert_int_equal(s.classes, 4);
    assert_string_equal(s.class_name[0], "-1");
    assert_string_equal(s.class_name[3], "10");
    s.train.label = NULL;
    lo_source_free(&s);
    lo_classes_free(&classes);
}

static void test_many_classes(void **state)
{
    (void)state;
    lo_classes classes = {0};
    lo_error err = {""};
    int32_t *label = calloc(LO_MAX_LABELS, sizeof(*label));
    lo_source s = {.train = {.count = LO_MAX_LABELS, .label = label}};
    char text[16];
    for (int i = 0; i < LO_MAX_LABELS; i++) {
        (void)snprintf(text, sizeof(text), "c%05d", (i * 7919) % LO_MAX_LABELS);
        assert_int_equal(lo_classes_number(&classes, "here", text, strlen(text), false, &label[i], &err),
                         LO_OK);
    }
    int32_t one = -1;
    assert_int_equal(lo_classes_number(&classes, "here", "x", 1, false, &one, &err), LO_DATA);
    assert_says(err.text, "here", "more than 65536 labels", NULL);
    assert_int_equal(lo_classes_settle(&classes, &s, &err), LO_OK);
    for (int i = 0; i < LO_MAX_LABELS; i++) {
        assert_int_equal(label[i], (i * 7919) % LO_MAX_LABELS);
    }
    lo_source_free(&s);
    lo_classes_free(&classes);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lo_number_kind kind;
        double value;
    } cases[] = {
        {"0", LO_NUMBER, 0},
        {"999999999", LO_NUMBER, 999999999},
        {"9999999999", LO_NUMBER, 9999999999.0},
        {"-1.5e-3", LO_NUMBER, -0.0015},
        {".5", LO_NUMBER, 0.5},
        {"+7", LO_NUMBER, 7},
        {"", LO_NUMBER_NONE, 0},
        {"-", LO_NUMBER_NONE, 0},
        {"1e", LO_NUMBER_NONE, 0},
        {"1 2", LO_NUMBER_NONE, 0},
        {" 1", LO_NUMBER_NONE, 0},
        {"0x1p3", LO_NUMBER_NONE, 0},
        {"1,5", LO_NUMBER_NONE, 0},
        {"NAN", LO_NUMBER_NOT_FINITE, 0},
        {"-infinity", LO_NUMBER_NOT_FINITE, 0},
        {"1e999", LO_NUMBER_NOT_FINITE, 0},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        double value = 0;
        assert_int_equal(lo_text_number(cases[c].text, strlen(cases[c].text), &value), cases[c].kind);
        assert_true(cases[c].kind != LO_NUMBER || value == cases[c].value);
    }
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_cifar10),
        IN_DIRECTORY(test_damaged_cifar10),
        IN_DIRECTORY(test_cifar100),
        IN_DIRECTORY(test_npy),
        IN_DIRECTORY(test_damaged_npy),
        IN_DIRECTORY(test_npy_that_disagrees),
        IN_DIRECTORY(test_csv),
        IN_DIRECTORY(test_csv_that_fills_a_page),
        IN_DIRECTORY(test_headers_can_be_said),
        IN_DIRECTORY(test_svmlight),
        IN_DIRECTORY(test_svmlight_that_is_too_large),
        cmocka_unit_test(test_classes_are_sorted),
        cmocka_unit_test(test_many_classes),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
