/* Files written whole, directories, checksums and digests. */
#include "base/file.h"

#include "unit/data_fixture.h"

#include <errno.h>

static int entries_in(const char *directory)
{
    DIR *d = opendir(directory);
    assert_non_null(d);
    int count = 0;
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count - 2;
}

static void assert_holds(const char *file, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    lo_error err = {""};
    assert_int_equal(lo_file_read(file, 1 << 20, &data, &size, &err), LO_OK);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text); /* NUL-terminated too */
    free(data);
}

static void test_write_replaces_whole(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    const char *file = path_in(directory, "a");
    lo_error err = {""};
    assert_int_equal(lo_file_write(file, "one", 3, &err), LO_OK);
    assert_holds(file, "one");
    assert_int_equal(lo_file_write(file, "twenty", 6, &err), LO_OK);
    assert_holds(file, "twenty");
    assert_int_equal(lo_file_write(file, NULL, 0, &err), LO_OK);
    assert_holds(file, "");
    assert_int_equal(entries_in(directory), 1); /* no part is left */
    temp_remove(directory);
}

static void test_old_file_stays_until_the_end(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    const char *file = path_in(directory, "a");
    lo_error err = {""};
    lo_file f = {0};
    assert_int_equal(lo_file_write(file, "old", 3, &err), LO_OK);
    assert_int_equal(lo_file_begin(file, &f, &err), LO_OK);
    assert_true(fputs("new", f.stream) >= 0);
    assert_int_equal(fflush(f.stream), 0);
    assert_holds(file, "old");
    assert_int_equal(entries_in(directory), 2);
    assert_int_equal(lo_file_end(&f, LO_OK, &err), LO_OK);
    assert_holds(file, "new");
    assert_int_equal(entries_in(directory), 1);
    temp_remove(directory);
}

static void test_a_failure_leaves_the_old_file(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    const char *file = path_in(directory, "a");
    lo_error err = {""};
    lo_file f = {0};
    assert_int_equal(lo_file_write(file, "old", 3, &err), LO_OK);
    assert_int_equal(lo_file_begin(file, &f, &err), LO_OK);
    assert_true(fputs("half", f.stream) >= 0);
    assert_int_equal(lo_file_end(&f, LO_DATA, &err), LO_DATA);
    assert_null(f.stream);
    assert_int_equal(lo_file_end(&f, LO_DATA, &err), LO_DATA); /* ended already: only passes the status on */
    assert_holds(file, "old");
    assert_int_equal(entries_in(directory), 1);
    temp_remove(directory);
}

static void test_a_full_device_is_reported(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    lo_error err = {""};
    lo_file f = {0};
    const char *file = path_in(directory, "a");
    assert_int_equal(lo_file_begin(file, &f, &err), LO_OK);
    FILE *full = fopen("/dev/full", "wb");
    if (full == NULL) {
        print_message("skipped: no /dev/full here\n");
        (void)lo_file_end(&f, LO_STOPPED, &err);
        temp_remove(directory);
        skip();
    }
    (void)fclose(f.stream);
    f.stream = full;
    assert_true(fputs("text", f.stream) >= 0); /* buffered: fails when flushed */
    assert_int_equal(lo_file_end(&f, LO_OK, &err), LO_IO);
    assert_says(err.text, f.part, "cannot write", NULL);
    assert_int_equal(entries_in(directory), 0);
    temp_remove(directory);
}

static void test_write_where_nothing_can_be(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    lo_error err = {""};
    assert_int_equal(lo_file_write(path_in(directory, "none/a"), "x", 1, &err), LO_IO);
    assert_says(err.text, "none/a", strerror(ENOENT), NULL);
    /* The target is a directory: the rename fails, and the part goes. */
    assert_int_equal(mkdir(path_in(directory, "d"), 0777), 0);
    assert_int_equal(lo_file_write(path_in(directory, "d"), "x", 1, &err), LO_IO);
    assert_says(err.text, "/d", "cannot rename", NULL);
    assert_int_equal(entries_in(directory), 1);
    char *far = malloc(6000);
    assert_non_null(far);
    memset(far, 'p', 5999);
    far[5999] = '\0';
    assert_int_equal(lo_file_write(far, "x", 1, &err), LO_IO);
    assert_int_equal(lo_file_mkdirs(far, &err), LO_IO);
    free(far);
    temp_remove(directory);
}

static void test_publish(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    const char *part = path_in(directory, "a.part");
    const char *file = path_in(directory, "a");
    lo_error err = {""};
    save(part, "text", 4);
    assert_int_equal(lo_file_publish(part, file, &err), LO_OK);
    assert_holds(file, "text");
    assert_int_equal(entries_in(directory), 1);
    assert_int_equal(lo_file_publish(part, file, &err), LO_IO);
    assert_says(err.text, part, NULL);
    temp_remove(directory);
}

static void test_read_limit(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    const char *file = path_in(directory, "a");
    lo_error err = {""};
    char *data = NULL;
    size_t size = 0;
    const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000}; /* around the buffer's steps */
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        char *text = malloc(sizes[s] + 1);
        assert_non_null(text);
        for (size_t i = 0; i < sizes[s]; i++) {
            text[i] = (char)('a' + i % 23);
        }
        save(file, text, sizes[s]);
        assert_int_equal(lo_file_read(file, sizes[s], &data, &size, &err), LO_OK);
        assert_int_equal(size, sizes[s]);
        assert_memory_equal(data, text, size);
        assert_int_equal(data[size], '\0');
        free(data);
        free(text);
        if (sizes[s] > 0) {
            assert_int_equal(lo_file_read(file, sizes[s] - 1, &data, &size, &err), LO_DATA);
            assert_null(data);
            assert_says(err.text, file, "larger than", NULL);
        }
    }
    assert_int_equal(lo_file_read(path_in(directory, "none"), 10, &data, &size, &err), LO_IO);
    assert_says(err.text, "none", strerror(ENOENT), NULL);
    assert_int_equal(lo_file_read(directory, 10, &data, &size, &err), LO_IO);
    assert_says(err.text, directory, strerror(EISDIR), NULL);
    temp_remove(directory);
}

static void test_mkdirs(void **state)
{
    (void)state;
    char directory[64];
    temp_make(directory);
    lo_error err = {""};
    struct stat st;
    assert_int_equal(lo_file_mkdirs(path_in(directory, "a//b/c/"), &err), LO_OK);
    assert_int_equal(stat(path_in(directory, "a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(lo_file_mkdirs(path_in(directory, "a/b/c"), &err), LO_OK); /* is there */
    save(path_in(directory, "a/f"), "x", 1);
    assert_int_equal(lo_file_mkdirs(path_in(directory, "a/f"), &err), LO_IO);
    assert_says(err.text, "a/f", NULL);
    assert_int_equal(lo_file_mkdirs(path_in(directory, "a/f/g"), &err), LO_IO);
    assert_int_equal(remove(path_in(directory, "a/f")), 0);
    assert_int_equal(rmdir(path_in(directory, "a/b/c")), 0);
    assert_int_equal(rmdir(path_in(directory, "a/b")), 0);
    temp_remove(directory);
}

static void test_sums(void **state)
{
    (void)state;
    assert_int_equal(lo_crc32(0, "123456789", 9), 0xcbf43926); /* the check value of CRC-32 */
    assert_int_equal(lo_crc32(lo_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    assert_int_equal(lo_crc32(0, "", 0), 0);
    /* FNV-1a, 64 bits, of the test suite of its draft RFC. */
    assert_true(lo_digest(LO_DIGEST_START, "") == 0xcbf29ce484222325ULL);
    assert_true(lo_digest(LO_DIGEST_START, "a") == 0xaf63dc4c8601ec8cULL);
    assert_true(lo_digest(LO_DIGEST_START, "foobar") == 0x85944171f73967e8ULL);
    assert_true(lo_digest(lo_digest(LO_DIGEST_START, "foo"), "bar") == 0x85944171f73967e8ULL);
    assert_true(lo_digest(LO_DIGEST_START, "\xff") != lo_digest(LO_DIGEST_START, "\x7f"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_replaces_whole),
        cmocka_unit_test(test_old_file_stays_until_the_end),
        cmocka_unit_test(test_a_failure_leaves_the_old_file),
        cmocka_unit_test(test_a_full_device_is_reported),
        cmocka_unit_test(test_write_where_nothing_can_be),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_read_limit),
        cmocka_unit_test(test_mkdirs),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
