/* SHA-256 against the examples of FIPS 180-4 and of NIST's test vectors, in any pieces. */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_known_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t times;
        const char *digest;
    } cases[] = {{"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                 {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lo_sha256 sha;
        char text[LO_SHA256_TEXT];
        lo_sha256_begin(&sha);
        for (size_t k = 0; k < cases[i].times; k++) {
            lo_sha256_add(&sha, cases[i].text, strlen(cases[i].text));
        }
        lo_sha256_end(&sha, text);
        assert_string_equal(text, cases[i].digest);
    }
}

static void test_files(void **state)
{
    (void)state;
    char name[] = "/tmp/leaveout-sha-XXXXXX", text[LO_SHA256_TEXT];
    const int descriptor = mkstemp(name);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "abc", 3), 3);
    assert_int_equal(close(descriptor), 0);
    assert_int_equal(lo_sha256_file(name, text, NULL), LO_OK);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(unlink(name), 0);
    lo_error err = {0};
    assert_int_equal(lo_sha256_file(name, text, &err), LO_IO);
    assert_non_null(strstr(err.text, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_digests), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
