/* NPY arrays and CSV tables, read back by a parser of this file and, where it is there, by NumPy. */
#include "report/npy.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/leaveout-npy-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

/* A parsed file: header fields by plain text search, data as bytes. */
struct parsed {
    char *bytes;
    size_t size;
    char descr[8];
    int rank;
    int64_t shape[40];
    const char *data;
    size_t data_size;
};

static struct parsed parse(const char *file)
{
    struct parsed p = {0};
    lo_error err;
    assert_int_equal(lo_file_read(file, 1 << 24, &p.bytes, &p.size, &err), LO_OK);
    assert_true(p.size >= 64);
    assert_memory_equal(p.bytes, "\x93NUMPY\x01\x00", 8);
    const size_t header = (size_t)(uint8_t)p.bytes[8] + 256 * (size_t)(uint8_t)p.bytes[9];
    assert_int_equal((10 + header) % 64, 0);
    assert_int_equal(p.bytes[10 + header - 1], '\n');
    char text[2048];
    assert_true(header < sizeof(text));
    memcpy(text, p.bytes + 10, header);
    text[header] = '\0';
    assert_int_equal(sscanf(text, "{'descr': '%7[^']', 'fortran_order': False, 'shape': (", p.descr), 1);
    char *c = strchr(text, '(') + 1;
    while (*c != ')') {
        p.shape[p.rank++] = strtoll(c, &c, 10);
        c += strspn(c, ", ");
    }
    assert_memory_equal(c, "), }", 4);
    p.data = p.bytes + 10 + header;
    p.data_size = p.size - 10 - header;
    return p;
}

static void test_every_type_reads_back(void **state)
{
    (void)state;
    const float f4[] = {1.5F, -0.0F, NAN, 3e38F, 1e-40F, 2};
    const double f8[] = {1.0 / 3, -1e300};
    const int64_t i8[] = {INT64_MIN, INT64_MAX, 7};
    const int32_t i4[] = {INT32_MIN, 0, INT32_MAX, 5};
    const uint8_t u1[] = {0, 255, 128};
    const uint16_t one = 1;
    const char order = *(const char *)&one == 1 ? '<' : '>';
    const struct {
        lo_npy_type type;
        const char *name;
        char order;
        int rank;
        int64_t shape[3];
        const void *data;
        size_t size;
    } cases[] = {
        {LO_NPY_FLOAT32, "f4", order, 2, {2, 3}, f4, sizeof(f4)},
        {LO_NPY_FLOAT64, "f8", order, 1, {2}, f8, sizeof(f8)},
        {LO_NPY_INT64, "i8", order, 3, {1, 3, 1}, i8, sizeof(i8)},
        {LO_NPY_INT32, "i4", order, 2, {4, 1}, i4, sizeof(i4)},
        {LO_NPY_UINT8, "u1", '|', 1, {3}, u1, sizeof(u1)},
        {LO_NPY_FLOAT64, "f8", order, 0, {0}, f8, sizeof(double)},
        {LO_NPY_FLOAT32, "f4", order, 2, {0, 5}, f4, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lo_error err = {""};
        const char *file = path_of("case.npy");
        assert_int_equal(
            lo_npy_write(file, cases[i].type, cases[i].rank, cases[i].shape, cases[i].data, &err), LO_OK);
        struct parsed p = parse(file);
        assert_int_equal(p.descr[0], cases[i].order);
        assert_string_equal(p.descr + 1, cases[i].name);
        assert_int_equal(p.rank, cases[i].rank);
        for (int r = 0; r < p.rank; r++) {
            assert_int_equal(p.shape[r], cases[i].shape[r]);
        }
        assert_int_equal(p.data_size, cases[i].size);
        assert_memory_equal(p.data, cases[i].data, cases[i].size);
        free(p.bytes);
    }
}

static void test_rows_can_be_streamed(void **state)
{
    (void)state;
    lo_error err = {""};
    const char *file = path_of("rows.npy");
    const int64_t shape[] = {100, 7};
    lo_npy npy;
    assert_int_equal(lo_npy_begin(file, LO_NPY_INT32, 2, shape, &npy, &err), LO_OK);
    for (int32_t row = 0; row < 100; row++) {
        int32_t values[7];
        for (int32_t c = 0; c < 7; c++) {
            values[c] = row * 1000 + c;
        }
        assert_int_equal(lo_npy_append(&npy, values, 7, &err), LO_OK);
    }
    assert_int_not_equal(access(file, F_OK), 0); /* not before it is whole */
    assert_int_equal(lo_npy_end(&npy, LO_OK, &err), LO_OK);
    struct parsed p = parse(file);
    assert_int_equal(p.data_size, 2800);
    int32_t last;
    memcpy(&last, p.data + 2796, 4);
    assert_int_equal(last, 99006);
    free(p.bytes);
}

static void test_wrong_use_leaves_no_file(void **state)
{
    (void)state;
    lo_error err = {""};
    const char *file = path_of("wrong.npy");
    const int64_t shape[33] = {2, 2};
    const int64_t negative[] = {2, -1};
    const int64_t huge[] = {INT64_MAX / 4, 2};
    const float values[8] = {0};
    lo_npy npy;
    assert_int_equal(lo_npy_begin(file, LO_NPY_FLOAT32, 33, shape, &npy, &err), LO_USAGE);
    assert_int_equal(lo_npy_begin(file, LO_NPY_FLOAT32, 2, negative, &npy, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "-1"));
    assert_int_equal(lo_npy_begin(file, LO_NPY_FLOAT32, 2, huge, &npy, &err), LO_USAGE);
    assert_int_equal(lo_npy_begin(path_of("no/such.npy"), LO_NPY_FLOAT32, 2, shape, &npy, &err), LO_IO);

    file = path_of("wrong.npy");
    assert_int_equal(lo_npy_begin(file, LO_NPY_FLOAT32, 2, shape, &npy, &err), LO_OK);
    assert_int_equal(lo_npy_append(&npy, values, 5, &err), LO_INTERNAL);
    assert_int_equal(lo_npy_append(&npy, values, 3, &err), LO_OK);
    assert_int_equal(lo_npy_end(&npy, LO_OK, &err), LO_INTERNAL); /* one element is missing */
    assert_int_not_equal(access(path_of("wrong.npy"), F_OK), 0);
}

static void test_numpy_reads_it(void **state)
{
    (void)state;
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
        printf("skipped: no /usr/bin/python3 with numpy to read the arrays\n");
        return;
    }
    lo_error err = {""};
    float values[30];
    for (int i = 0; i < 30; i++) {
        values[i] = 0.1F * (float)i;
    }
    const int64_t shape[] = {5, 2, 3};
    const int64_t long_shape[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 30};
    assert_int_equal(lo_npy_write(path_of("a.npy"), LO_NPY_FLOAT32, 3, shape, values, &err), LO_OK);
    assert_int_equal(lo_npy_write(path_of("b.npy"), LO_NPY_FLOAT32, 32, long_shape, values, &err), LO_OK);
    assert_int_equal(lo_npy_write(path_of("c.npy"), LO_NPY_UINT8, 0, NULL, "\x2a", &err), LO_OK);
    char command[1024];
    snprintf(command, sizeof(command),
             "cd %s && /usr/bin/python3 -c \"import numpy as n; a = n.load('a.npy'); e = (n.float32(0.1) * "
             "n.arange(30, dtype='f4')).reshape(5, 2, 3); assert a.dtype == n.float32 and a.shape == e.shape "
             "and (a == "
             "e).all(); assert n.load('b.npy').ndim == 32; c = n.load('c.npy'); assert c == 42 and c.dtype "
             "== n.uint8 and "
             "c.shape == ()\"",
             directory);
    assert_int_equal(system(command), 0);
}

static void test_csv(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    lo_csv csv = lo_csv_begin(stream);
    lo_csv_text(&csv, "");
    lo_csv_text(&csv, "plain text");
    lo_csv_text(&csv, "a,b");
    lo_csv_text(&csv, "say \"no\"");
    lo_csv_text(&csv, "two\nlines");
    lo_csv_text(&csv, " blank");
    lo_csv_text(&csv, NULL);
    lo_csv_row(&csv);
    lo_csv_int(&csv, INT64_MIN);
    lo_csv_float(&csv, 0.1F);
    lo_csv_double(&csv, 0.1);
    lo_csv_float(&csv, NAN);
    lo_csv_double(&csv, -INFINITY);
    lo_csv_row(&csv);
    fclose(stream);
    assert_string_equal(text, ",plain text,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\" blank\",\n"
                              "-9223372036854775808,0.100000001,0.10000000000000001,NaN,-Inf\n");
    assert_true(strtof("0.100000001", NULL) == 0.1F);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_reads_back),
        cmocka_unit_test(test_rows_can_be_streamed),
        cmocka_unit_test(test_wrong_use_leaves_no_file),
        cmocka_unit_test(test_numpy_reads_it),
        cmocka_unit_test(test_csv),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
