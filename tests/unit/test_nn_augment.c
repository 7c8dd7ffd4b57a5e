/* Views: what they show, how often, that one computed alone is the one that training took. */
#include "nn/augment.h"
#include "nn/trainer.h"

#include "nn_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const lo_shape shape = {2, 7, 9};
enum { SIZE = 2 * 7 * 9 };

/* Places of a row that is padded by reflection by hand: -3 .. 11 for 9 pixels. */
static const int reflected[] = {3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5};

static void test_windows(void **state)
{
    (void)state;
    float image[SIZE], x[SIZE];
    for (int i = 0; i < SIZE; i++) {
        image[i] = (float)(i + 1);
    }
    for (int right = -3; right <= 3; right++) {
        for (int flipped = 0; flipped < 2; flipped++) {
            const lo_view view = {.flipped = flipped == 1, .right = right};
            lo_view_take(&view, shape, image, x);
            for (int r = 0; r < 14; r++) {
                for (int j = 0; j < 9; j++) {
                    const int column = reflected[j + right + 3];
                    assert_true(x[r * 9 + j] == image[r * 9 + (flipped ? 8 - column : column)]);
                }
            }
        }
    }
    const lo_view down = {.down = -2}, up = {.down = 2}, hole = {.top = -1, .left = 7, .hole = 3};
    lo_view_take(&down, shape, image, x);
    assert_memory_equal(x, image + 18, 9 * sizeof(float));
    assert_memory_equal(x + 18, image, 9 * sizeof(float));
    lo_view_take(&up, shape, image, x);
    assert_memory_equal(x, image + 18, 9 * sizeof(float));
    assert_memory_equal(x + 54, image + 36, 9 * sizeof(float)); /* row 8 is row 4 again */
    lo_view_take(&hole, shape, image, x);
    for (int i = 0; i < SIZE; i++) {
        const int row = i / 9 % 7, column = i % 9;
        assert_true(x[i] == (row < 2 && column > 6 ? 0 : image[i]));
    }
}

static void test_chances(void **state)
{
    (void)state;
    enum { DRAWS = 20000, CROP = 2 };
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = CROP, .cutout = 4};
    const lo_augment alternating = {.flip = LO_FLIP_ALTERNATING};
    int flips = 0, first_flips = 0, window[2][2 * CROP + 1] = {{0}}, top[7] = {0}, left[9] = {0};
    for (uint32_t i = 0; i < DRAWS; i++) {
        const lo_view view = lo_view_of(&augment, shape, 1, 2, 3, i);
        flips += view.flipped ? 1 : 0;
        window[0][view.down + CROP]++;
        window[1][view.right + CROP]++;
        top[view.top + 2]++;
        left[view.left + 2]++;
        const bool first = lo_view_of(&alternating, shape, 1, 2, 0, i).flipped;
        first_flips += first ? 1 : 0;
        assert_true(lo_view_of(&alternating, shape, 1, 2, 1, i).flipped != first);
        assert_true(lo_view_of(&alternating, shape, 1, 2, 2, i).flipped == first);
    }
    const double five_errors = 5 * sqrt(0.25 / DRAWS);
    assert_true(fabs(flips / (double)DRAWS - 0.5) < five_errors);
    assert_true(fabs(first_flips / (double)DRAWS - 0.5) < five_errors);
    for (int k = 0; k < 2 * CROP + 1; k++) {
        assert_true(fabs(window[0][k] / (double)DRAWS - 0.2) < five_errors);
        assert_true(fabs(window[1][k] / (double)DRAWS - 0.2) < five_errors);
    }
    for (int k = 0; k < 7; k++) {
        assert_true(fabs(top[k] / (double)DRAWS - 1.0 / 7) < five_errors);
    }
    for (int k = 0; k < 9; k++) {
        assert_true(fabs(left[k] / (double)DRAWS - 1.0 / 9) < five_errors);
    }
}

/* At the end of a training the network's input is the last batch, whose views are computed again. */
static void test_training_sees_the_views(void **state)
{
    (void)state;
    enum { EXAMPLES = 21, BATCH = 8, LAST = EXAMPLES % BATCH };
    nn_data *data = nn_data_create(shape, 3, EXAMPLES, 2);
    const lo_model_spec model = {.preset = "layers", .layers = "[{conv: 4}, relu, flatten, {linear: 3}]"};
    lo_recipe recipe = {.epochs = 3,
                        .batch = BATCH,
                        .lr = 0.01,
                        .seed = 5,
                        .augment = {.flip = LO_FLIP_RANDOM, .crop = 2, .cutout = 3}};
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_OK);
    uint32_t members[EXAMPLES];
    for (uint32_t i = 0; i < EXAMPLES; i++) {
        members[i] = i;
    }
    lo_training out;
    assert_int_equal(lo_trainer_run(trainer, 77, members, EXAMPLES, NULL, &out, &err), LO_OK);
    lo_network *network = lo_trainer_network(trainer);
    float view[SIZE], other[SIZE];
    int same = 0, seen = 0;
    for (int64_t row = 0; row < EXAMPLES; row++) {
        assert_int_equal(lo_trainer_view(trainer, 77, 2, row, view, &err), LO_OK);
        for (size_t n = 0; n < LAST; n++) {
            seen += memcmp(view, lo_network_input(network) + n * lo_network_input_size(network),
                           sizeof(view)) == 0;
        }
        assert_int_equal(lo_trainer_view(trainer, 77, 1, row, other, &err), LO_OK);
        same += memcmp(view, other, sizeof(view)) == 0;
        assert_int_equal(lo_trainer_view(trainer, 78, 2, row, other, &err), LO_OK);
        same += memcmp(view, other, sizeof(view)) == 0;
    }
    assert_int_equal(seen, LAST);
    assert_true(same < 5);
    assert_int_equal(lo_trainer_view(trainer, 77, 3, 0, view, &err), LO_USAGE);
    assert_int_equal(lo_trainer_view(trainer, 77, 0, EXAMPLES, view, &err), LO_USAGE);
    lo_trainer_destroy(&trainer);
    recipe.augment.crop = 7;
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "images of 7 x 9"));
    nn_data_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows), cmocka_unit_test(test_chances),
                                       cmocka_unit_test(test_training_sees_the_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
