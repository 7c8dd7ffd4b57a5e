/* Lists of a job file whose elements have settings: values, defaults, errors by line, copies, one text. */
#include "base/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const lo_setting table[] = {
    {.name = "epochs", .type = LO_SETTING_INT, .fallback = "10", .low = 1, .high = 100, .help = "passes"},
    {.name = "lr", .type = LO_SETTING_REAL, .fallback = "0.01", .high = 1, .help = "rate"},
    {.name = "strict", .type = LO_SETTING_BOOL, .fallback = "true", .help = "exact"},
    {.name = "by", .type = LO_SETTING_TEXT, .fallback = "", .help = "a score"},
    {.name = "mode", .type = LO_SETTING_CHOICE, .fallback = "eval", .choices = "eval train", .help = "mode"},
    {.name = "classes", .type = LO_SETTING_INTS, .fallback = "[]", .high = 9, .help = "classes"},
    {.name = "shares", .type = LO_SETTING_REALS, .fallback = "[0.5, 0.5]", .high = 1, .help = "shares"},
    {.name = "files", .type = LO_SETTING_TEXTS, .fallback = "[]", .help = "files"},
    {.name = "inner", .type = LO_SETTING_ITEMS, .fallback = "[none, finetune]", .help = "methods"},
};
enum { SETTINGS = sizeof(table) / sizeof(table[0]) };
static const lo_setting needed[] = {{.name = "file", .type = LO_SETTING_TEXT, .help = "what to read"}};

static lo_items *read_list(const char *text)
{
    lo_items *items = NULL;
    lo_error err = {{0}};
    if (lo_items_parse(text, "job.yaml", "list", &items, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return items;
}

static lo_items *accepted(const char *text)
{
    lo_items *items = read_list(text);
    lo_error err = {{0}};
    for (int64_t i = 0; i < lo_items_count(items); i++) {
        if (lo_item_accept(lo_items_at(items, i), table, SETTINGS, &err) != LO_OK) {
            fail_msg("%s", err.text);
        }
    }
    return items;
}

static void test_names_and_maps(void **state)
{
    (void)state;
    lo_items *items =
        accepted("[retrain, {name: del, epochs: 5, lr: 1.0e-3, strict: false, by: memorization, "
                 "mode: train, classes: [3, 1], shares: 0.25, files: a.npy}]");
    assert_int_equal(lo_items_count(items), 2);
    const lo_item *plain = lo_items_at(items, 0);
    assert_string_equal(lo_item_name(plain), "retrain");
    assert_int_equal(lo_item_int(plain, "epochs"), 10);
    assert_true(lo_item_real(plain, "lr") == 0.01);
    assert_true(lo_item_bool(plain, "strict"));
    assert_string_equal(lo_item_text(plain, "by"), "");
    assert_string_equal(lo_item_text(plain, "mode"), "eval");
    assert_int_equal(lo_item_length(plain, "classes"), 0);
    assert_int_equal(lo_item_length(plain, "shares"), 2);
    assert_false(lo_item_given(plain, "epochs"));

    const lo_item *own = lo_items_at(items, 1);
    assert_string_equal(lo_item_name(own), "del");
    assert_int_equal(lo_item_int(own, "epochs"), 5);
    assert_true(lo_item_real(own, "epochs") == 5);
    assert_true(lo_item_real(own, "lr") == 1e-3);
    assert_false(lo_item_bool(own, "strict"));
    assert_string_equal(lo_item_text(own, "by"), "memorization");
    assert_string_equal(lo_item_text(own, "mode"), "train");
    assert_int_equal(lo_item_length(own, "classes"), 2);
    assert_int_equal(lo_item_int_at(own, "classes", 1), 1);
    assert_int_equal(lo_item_length(own, "shares"), 1);
    assert_true(lo_item_real_at(own, "shares", 0) == 0.25);
    assert_string_equal(lo_item_text_at(own, "files", 0), "a.npy");
    assert_true(lo_item_given(own, "epochs"));
    lo_items_destroy(&items);
    assert_null(items);
}

static void test_inner_lists(void **state)
{
    (void)state;
    lo_error err = {{0}};
    lo_items *items =
        accepted("[rum, {name: rum, inner: [none, {name: salun, epochs: 5}]}, {name: rum, inner: none}]");
    const lo_item *usual = lo_items_at(items, 0), *own = lo_items_at(items, 1);
    assert_int_equal(lo_item_length(usual, "inner"), 2);
    assert_string_equal(lo_item_name(lo_item_inner(usual, "inner", 1)), "finetune");
    lo_item *salun = lo_item_inner(own, "inner", 1);
    assert_string_equal(lo_item_name(salun), "salun");
    assert_int_equal(lo_item_accept(salun, table, SETTINGS, &err), LO_OK);
    assert_int_equal(lo_item_int(salun, "epochs"), 5);
    assert_int_equal(lo_item_length(lo_items_at(items, 2), "inner"), 1);

    assert_int_equal(lo_item_accept(salun, needed, 1, &err), LO_USAGE);
    assert_string_equal(err.text, "job.yaml:1: list: rum: inner: salun: no setting epochs; allowed: file");
    lo_items_destroy(&items);
}

static void test_one_text_for_equal_values(void **state)
{
    (void)state;
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"[del]", "del"},
        {"[{name: del}]", "del"},
        {"[{name: del, epochs: 10, lr: 1.0e-2}]", "del"}, /* the defaults */
        {"[{name: del, lr: 0.50, epochs: 5}]", "{name: del, epochs: 5, lr: 0.5}"},
        {"[{name: del, classes: 3, by: a b}]", "{name: del, by: \"a b\", classes: [3]}"},
        {"[{shares: [1, 0.1], name: del}]", "{name: del, shares: [1, 0.1]}"},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        lo_items *items = accepted(cases[c].list);
        char *text = lo_item_canonical(lo_items_at(items, 0));
        assert_string_equal(text, cases[c].text);
        free(text);
        lo_items_destroy(&items);
    }
}

static void test_errors_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *list, *error;
    } lists[] = {
        {"del", "job.yaml:1: list: found 'del'; allowed: a list"},
        {"[del,\n 3,\n {epochs: 3}]",
         "job.yaml:3: list: found a map without a name; allowed: a name, or a map {name: NAME, ...}"},
        {"[[a]]", "job.yaml:1: list: found a list; allowed: a name, or a map {name: NAME, ...}"},
        {"[{name: [a]}]",
         "job.yaml:1: list: found a map without a name; allowed: a name, or a map {name: NAME, ...}"},
    };
    static const struct {
        const char *list, *error;
    } settings[] = {
        {"[{name: del,\n epoch: 3}]", "job.yaml:2: list: del: no setting epoch (nearest: epochs); allowed: "
                                      "epochs lr strict by mode classes shares files inner"},
        {"[{name: del, epochs: 0}]",
         "job.yaml:1: list: del: epochs: found '0'; allowed: a whole number, 1 to 100"},
        {"[{name: del, lr: -1}]", "job.yaml:1: list: del: lr: found '-1'; allowed: a number, 0 to 1"},
        {"[{name: del, mode: evil}]",
         "job.yaml:1: list: del: mode: found 'evil' (nearest: eval); allowed: one of: eval train"},
        {"[{name: del, classes: [1, 10]}]",
         "job.yaml:1: list: del: classes: found '10'; allowed: a list of whole numbers, each 0 to 9"},
        {"[{name: del, shares: [x]}]",
         "job.yaml:1: list: del: shares: found 'x'; allowed: a list of numbers, each 0 to 1"},
        {"[{name: del, strict: 1}]", "job.yaml:1: list: del: strict: found '1'; allowed: true or false"},
        {"[{name: del, inner: [[]]}]",
         "job.yaml:1: list: del: inner: found a list; allowed: a name, or a map {name: NAME, ...}"},
    };
    lo_error err;
    lo_items *items = NULL;
    for (size_t c = 0; c < sizeof(lists) / sizeof(lists[0]); c++) {
        assert_int_equal(lo_items_parse(lists[c].list, "job.yaml", "list", &items, &err), LO_USAGE);
        assert_string_equal(err.text, lists[c].error);
        assert_null(items);
    }
    for (size_t c = 0; c < sizeof(settings) / sizeof(settings[0]); c++) {
        items = read_list(settings[c].list);
        assert_int_equal(lo_item_accept(lo_items_at(items, 0), table, SETTINGS, &err), LO_USAGE);
        assert_string_equal(err.text, settings[c].error);
        lo_items_destroy(&items);
    }
    items = read_list("[mine]");
    assert_int_equal(lo_item_accept(lo_items_at(items, 0), needed, 1, &err), LO_USAGE);
    assert_string_equal(err.text, "job.yaml:1: list: mine: file is missing: what to read");
    assert_int_equal(lo_item_fail(lo_items_at(items, 0), &err, "%d of %d", 3, 4), LO_USAGE);
    assert_string_equal(err.text, "job.yaml:1: list: mine: 3 of 4");
    lo_items_destroy(&items);
}

static void test_copies_with_another_setting(void **state)
{
    (void)state;
    lo_error err = {{0}};
    lo_items *items = accepted("[{name: del, epochs: 5}]");
    lo_item *first = NULL, *second = NULL, *none = NULL;
    assert_int_equal(lo_item_with(lo_items_at(items, 0), "lr", "0.2", &first, &err), LO_OK);
    assert_int_equal(lo_item_with(first, "epochs", "7", &second, &err), LO_OK);
    char *text = lo_item_canonical(second);
    assert_string_equal(text, "{name: del, epochs: 7, lr: 0.2}");
    free(text);
    text = lo_item_canonical(first);
    assert_string_equal(text, "{name: del, epochs: 5, lr: 0.2}");
    free(text);
    assert_int_equal(lo_item_with(first, "epochs", "700", &none, &err), LO_USAGE);
    assert_null(none);
    assert_string_equal(err.text,
                        "epochs: list: del: epochs: found '700'; allowed: a whole number, 1 to 100");
    assert_int_equal(lo_item_with(first, "rate", "7", &none, &err), LO_USAGE);
    lo_item_free(&second);
    lo_item_free(&first);
    lo_items_destroy(&items);
}

/* Other defaults than the table's are settings like any other that was not given: they give way to what was,
 * and stand in the canonical text. */
static void test_own_defaults(void **state)
{
    static const lo_default own[] = {{"epochs", "30"}, {"mode", "train"}, {"strict", "true"}};
    lo_items *items = read_list("[del, {name: del, epochs: 10}, {name: del, epochs: 30, mode: train}]");
    lo_error err = {{0}};
    lo_item *copy = NULL;
    (void)state;
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(lo_item_accept_with(lo_items_at(items, i), table, SETTINGS, own, 3, &err), LO_OK);
    }
    const lo_item *plain = lo_items_at(items, 0), *given = lo_items_at(items, 1);
    assert_int_equal(lo_item_int(plain, "epochs"), 30);
    assert_string_equal(lo_item_text(plain, "mode"), "train");
    assert_true(lo_item_real(plain, "lr") == 0.01);
    assert_false(lo_item_given(plain, "epochs"));
    assert_int_equal(lo_item_int(given, "epochs"), 10);
    assert_string_equal(lo_item_text(given, "mode"), "train");
    char *first = lo_item_canonical(plain), *second = lo_item_canonical(given),
         *third = lo_item_canonical(lo_items_at(items, 2));
    assert_string_equal(first, "{name: del, epochs: 30, mode: train}");
    assert_string_equal(second, "{name: del, mode: train}");
    assert_string_equal(first, third);
    free(first);
    free(second);
    free(third);
    assert_int_equal(lo_item_with(plain, "lr", "0.2", &copy, &err), LO_OK);
    assert_int_equal(lo_item_int(copy, "epochs"), 30);
    lo_item_free(&copy);
    lo_items_destroy(&items);
}

static void test_lists_without_elements(void **state)
{
    (void)state;
    lo_items *items = read_list("");
    assert_int_equal(lo_items_count(items), 0);
    lo_items_destroy(&items);
    items = read_list("[]");
    assert_int_equal(lo_items_count(items), 0);
    lo_items_destroy(&items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_maps),
        cmocka_unit_test(test_inner_lists),
        cmocka_unit_test(test_one_text_for_equal_values),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_copies_with_another_setting),
        cmocka_unit_test(test_own_defaults),
        cmocka_unit_test(test_lists_without_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
