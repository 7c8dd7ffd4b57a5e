#include "base/status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_codes_are_the_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(LO_OK, 0);
    assert_int_equal(LO_USAGE, 2);
    assert_int_equal(LO_DATA, 65);
    assert_int_equal(LO_INTERNAL, 70);
    assert_int_equal(LO_IO, 74);
    assert_int_equal(LO_STOPPED, 75);
}

static void test_every_code_has_its_own_text(void **state)
{
    (void)state;
    const lo_status codes[] = {
#define CODE(name, value, text) name,
        LO_STATUS_LIST(CODE)
#undef CODE
    };
    const int count = (int)(sizeof(codes) / sizeof(codes[0]));
    assert_int_equal(count, 6);
    for (int i = 0; i < count; i++) {
        assert_true(strlen(lo_status_text(codes[i])) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(lo_status_text(codes[i]), lo_status_text(codes[j]));
        }
    }
    assert_string_equal(lo_status_text((lo_status)1234), "unknown status");
}

static void test_fail_formats_and_returns(void **state)
{
    (void)state;
    lo_error err = {"old"};
    assert_int_equal(lo_fail(&err, LO_DATA, "%s: record %d is %.1f, must be below 3", "a.idx", 7, 4.5),
                     LO_DATA);
    assert_string_equal(err.text, "a.idx: record 7 is 4.5, must be below 3");
    assert_int_equal(lo_fail(NULL, LO_IO, "nobody reads %s", "this"), LO_IO);
}

static void test_fail_errno_appends_the_reason(void **state)
{
    (void)state;
    lo_error err;
    errno = ENOENT;
    assert_int_equal(lo_fail_errno(&err, LO_IO, "cannot open %s", "x"), LO_IO);
    char expected[256] = "cannot open x: ";
    strcat(expected, strerror(ENOENT));
    assert_string_equal(err.text, expected);
    assert_int_equal(lo_fail_errno(NULL, LO_IO, "x"), LO_IO);
}

static void test_prefix_goes_in_front(void **state)
{
    (void)state;
    lo_error err;
    lo_fail(&err, LO_DATA, "label 12, allowed are 0 to 9");
    assert_int_equal(lo_fail_prefix(&err, LO_DATA, "%s, record %d", "train", 3), LO_DATA);
    assert_string_equal(err.text, "train, record 3: label 12, allowed are 0 to 9");
    assert_int_equal(lo_fail_prefix(NULL, LO_USAGE, "x"), LO_USAGE);
}

static void test_long_texts_are_cut_not_overrun(void **state)
{
    (void)state;
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct {
        lo_error err;
        char guard[8];
    } box = {.guard = "guard"};
    lo_fail(&box.err, LO_IO, "%s", large);
    assert_int_equal(strlen(box.err.text), sizeof(box.err.text) - 1);
    errno = EIO;
    lo_fail_errno(&box.err, LO_IO, "%s", large);
    assert_int_equal(strlen(box.err.text), sizeof(box.err.text) - 1);
    lo_fail_prefix(&box.err, LO_IO, "a");
    assert_int_equal(strlen(box.err.text), sizeof(box.err.text) - 1);
    assert_memory_equal(box.err.text, "a: xxx", 6);
    assert_string_equal(box.guard, "guard");
}

static lo_status tried(lo_status first, int *reached)
{
    LO_TRY(first);
    *reached = 1;
    return LO_OK;
}

static lo_status tried_goto(lo_status first, int *reached, int *cleaned)
{
    lo_status status;
    LO_TRY_GOTO(status, first, done);
    *reached = 1;
done:
    *cleaned = 1;
    return status;
}

static void test_try_stops_at_the_first_failure(void **state)
{
    (void)state;
    int reached = 0, cleaned = 0;
    assert_int_equal(tried(LO_DATA, &reached), LO_DATA);
    assert_int_equal(reached, 0);
    assert_int_equal(tried(LO_OK, &reached), LO_OK);
    assert_int_equal(reached, 1);
    reached = 0;
    assert_int_equal(tried_goto(LO_STOPPED, &reached, &cleaned), LO_STOPPED);
    assert_int_equal(reached, 0);
    assert_int_equal(cleaned, 1);
    cleaned = 0;
    assert_int_equal(tried_goto(LO_OK, &reached, &cleaned), LO_OK);
    assert_int_equal(reached, 1);
    assert_int_equal(cleaned, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_are_the_exit_codes),
        cmocka_unit_test(test_every_code_has_its_own_text),
        cmocka_unit_test(test_fail_formats_and_returns),
        cmocka_unit_test(test_fail_errno_appends_the_reason),
        cmocka_unit_test(test_prefix_goes_in_front),
        cmocka_unit_test(test_long_texts_are_cut_not_overrun),
        cmocka_unit_test(test_try_stops_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
