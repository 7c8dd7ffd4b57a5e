/* The JSON writer. JSON is a part of YAML: libyaml reads what was written back. */
#include "base/json.h"
#include "base/random.h"
#include "base/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory {
    FILE *stream;
    char *text;
    size_t size;
} memory;

static void open_memory(memory *m)
{
    m->stream = open_memstream(&m->text, &m->size);
    assert_non_null(m->stream);
}

static void expect_text(memory *m, const char *expected)
{
    assert_int_equal(fclose(m->stream), 0);
    assert_string_equal(m->text, expected);
    free(m->text);
}

static void commas_and_brackets_are_right(void **state)
{
    (void)state;
    memory m;
    open_memory(&m);
    lo_json json = lo_json_begin(m.stream);
    lo_json_object(&json, NULL);
    lo_json_int(&json, "a", INT64_MIN);
    lo_json_array(&json, "list");
    lo_json_real(&json, NULL, 0.5);
    lo_json_array(&json, NULL);
    lo_json_end(&json);
    lo_json_object(&json, NULL);
    lo_json_end(&json);
    lo_json_bool(&json, NULL, true);
    lo_json_end(&json);
    lo_json_text(&json, "t", NULL);
    lo_json_bool(&json, "f", false);
    lo_json_end(&json);
    expect_text(&m, "{\n"
                    "  \"a\": -9223372036854775808,\n"
                    "  \"list\": [\n"
                    "    0.5,\n"
                    "    [],\n"
                    "    {},\n"
                    "    true\n"
                    "  ],\n"
                    "  \"t\": null,\n"
                    "  \"f\": false\n"
                    "}\n");
}

static void texts_are_escaped(void **state)
{
    (void)state;
    memory m;
    open_memory(&m);
    lo_json json = lo_json_begin(m.stream);
    lo_json_array(&json, NULL);
    lo_json_text(&json, NULL, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f");
    lo_json_text(&json, NULL, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"); /* 2, 3 and 4 bytes of UTF-8 */
    /* No UTF-8: a lone continuation, a cut sequence, an overlong slash, a surrogate, beyond U+10FFFF. */
    lo_json_text(&json, NULL, "\x80|\xe2\x82|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xff");
    lo_json_text(&json, NULL, "");
    lo_json_end(&json);
    expect_text(&m, "[\n"
                    "  \"a\\\"b\\\\c/\\u0008\\u000c\\n\\u000d\\t\\u0001\\u001f\\u007f\",\n"
                    "  \"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\",\n"
                    "  "
                    "\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|"
                    "\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\",\n"
                    "  \"\"\n"
                    "]\n");
}

static void numbers_that_are_none_become_null(void **state)
{
    (void)state;
    memory m;
    open_memory(&m);
    lo_json json = lo_json_begin(m.stream);
    lo_json_array(&json, NULL);
    lo_json_real(&json, NULL, NAN);
    lo_json_real(&json, NULL, INFINITY);
    lo_json_real(&json, NULL, -INFINITY);
    lo_json_end(&json);
    expect_text(&m, "[\n  null,\n  null,\n  null\n]\n");
}

static void a_lone_value_is_a_document(void **state)
{
    (void)state;
    memory m;
    open_memory(&m);
    lo_json json = lo_json_begin(m.stream);
    lo_json_int(&json, NULL, 3);
    expect_text(&m, "3");
}

static void thirty_one_levels_fit(void **state)
{
    (void)state;
    memory m;
    open_memory(&m);
    lo_json json = lo_json_begin(m.stream);
    for (int i = 0; i < 31; i++) {
        lo_json_array(&json, NULL);
    }
    for (int i = 0; i < 31; i++) {
        lo_json_end(&json);
    }
    assert_int_equal(json.depth, 0);
    assert_int_equal(fclose(m.stream), 0);
    assert_int_equal(strspn(m.text, "[] \n"), strlen(m.text));
    free(m.text);
}

static void reals_are_short_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {1.0, "1"},
                 {0.1, "0.1"},
                 {-2.5, "-2.5"},
                 {5e-4, "0.0005"},
                 {1e-5, "1.0e-05"},
                 {1e100, "1.0e+100"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.0 / 3.0, "0.3333333333333333"},
                 {5e-324, "5.0e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {9007199254740993.0, "9007199254740992"}};
    char text[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lo_real_text(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
    const lo_random random = lo_random_make(5, LO_FOR_TEST);
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t bits = lo_random_u64(random, 0, i);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value)) {
            lo_real_text(value, text);
            assert_true(strtod(text, NULL) == value);
            assert_true(strlen(text) < sizeof(text));
        }
    }
}

/* Any text without NUL comes back from another reader as it was. */
static void texts_read_back(void **state)
{
    (void)state;
    const lo_random random = lo_random_make(6, LO_FOR_TEST);
    for (uint64_t round = 0; round < 500; round++) {
        char value[32];
        for (uint64_t i = 0; i < 31; i++) {
            value[i] = (char)(1 + lo_random_below(random, round, i, 127));
        }
        value[31] = '\0';
        memory m;
        open_memory(&m);
        lo_json json = lo_json_begin(m.stream);
        lo_json_object(&json, NULL);
        lo_json_text(&json, value, value);
        lo_json_end(&json);
        assert_int_equal(fclose(m.stream), 0);
        lo_node root = {0};
        lo_error err = {0};
        if (lo_tree_parse(m.text, m.size, "json", true, &root, &err) != LO_OK) {
            fail_msg("%s in\n%s", err.text, m.text);
        }
        assert_int_equal(root.kind, LO_NODE_MAP);
        assert_int_equal(root.count, 1);
        assert_string_equal(root.child[0].name, value);
        assert_string_equal(root.child[0].text, value);
        lo_tree_free(&root);
        free(m.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_brackets_are_right),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(numbers_that_are_none_become_null),
        cmocka_unit_test(a_lone_value_is_a_document),
        cmocka_unit_test(thirty_one_levels_fit),
        cmocka_unit_test(reals_are_short_and_read_back),
        cmocka_unit_test(texts_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
