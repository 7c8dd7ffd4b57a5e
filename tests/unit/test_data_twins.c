/* Examples of the training set that other sets have too: against all pairs, compared byte by byte. */
#include "data/twins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { TRAIN = 300, TEST = 120, VALIDATION = 40, SIZE = 11, COLOURS = 2 };

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Few values, so that some examples are alike; 11 bytes are no multiple of a word. */
static void fill(uint8_t *pixel, int64_t count, uint64_t seed)
{
    for (int64_t i = 0; i < count * SIZE; i++) {
        pixel[i] = (uint8_t)(next(&seed) % COLOURS);
    }
}

static void expect_pairs(const lo_dataset *data, const lo_examples *part, const lo_twins *found,
                         int64_t *some)
{
    int64_t count = 0;
    for (int64_t i = 0; i < part->count; i++) {
        int64_t first = -1;
        for (int64_t k = 0; k < data->train.count && first < 0; k++) {
            first = memcmp(part->pixel + i * SIZE, data->train.pixel + k * SIZE, SIZE) == 0 ? k : -1;
        }
        if (first >= 0 && count < LO_TWINS_SHOWN) {
            assert_int_equal(found->own[count], part->index[i]);
            assert_int_equal(found->train[count], data->train.index[first]);
        }
        count += first >= 0;
    }
    assert_int_equal(found->count, count);
    *some += count > LO_TWINS_SHOWN && count < part->count;
}

static void test_pairs(void **state)
{
    (void)state;
    static uint8_t pixel[TRAIN + TEST + VALIDATION][SIZE];
    static int64_t index[TRAIN + TEST + VALIDATION];
    int64_t some = 0;
    for (int64_t i = 0; i < TRAIN + TEST + VALIDATION; i++) {
        index[i] = 2 * i + 5;
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        fill(pixel[0], TRAIN + TEST + VALIDATION, seed);
        const lo_dataset data = {
            .shape = {1, 1, SIZE},
            .train = {.count = TRAIN, .pixel = pixel[0], .index = index},
            .test = {.count = TEST, .pixel = pixel[TRAIN], .index = index + TRAIN},
            .validation = {.count = VALIDATION, .pixel = pixel[TRAIN + TEST], .index = index + TRAIN + TEST}};
        lo_twins test, validation;
        assert_int_equal(lo_find_twins(&data, &test, &validation, NULL), LO_OK);
        expect_pairs(&data, &data.test, &test, &some);
        expect_pairs(&data, &data.validation, &validation, &some);
    }
    assert_true(some > 10);
}

static void test_none_and_features(void **state)
{
    (void)state;
    const float train[3][2] = {{1, 2}, {3, 4}, {5, 6}}, test[2][2] = {{2, 1}, {5, 6}};
    const int64_t index[] = {10, 20, 30};
    const lo_dataset data = {.shape = {2, 1, 1},
                             .train = {.count = 3, .feature = train[0], .index = index},
                             .test = {.count = 2, .feature = test[0], .index = index}};
    lo_twins found, none;
    char text[128], room[12];
    assert_int_equal(lo_find_twins(&data, &found, &none, NULL), LO_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(none.count, 0);
    lo_twins_text(&found, "test", text, sizeof(text));
    assert_string_equal(text, "test 20 is training 30");
    lo_twins_text(&none, "validation", text, sizeof(text));
    assert_string_equal(text, "");
    const lo_twins many = {9, {1, 2, 3, 4}, {5, 6, 7, 8}};
    lo_twins_text(&many, "test", text, sizeof(text));
    assert_string_equal(
        text, "test 1 is training 5, test 2 is training 6, test 3 is training 7, test 4 is training 8, ...");
    lo_twins_text(&many, "test", room, sizeof(room));
    assert_int_equal(strlen(room), sizeof(room) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs),
                                       cmocka_unit_test(test_none_and_features)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
