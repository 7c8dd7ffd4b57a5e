/* Examples as a network sees them: pixels and features, images and vectors. */
#include "nn/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

enum { VALUES = 12, EXAMPLES = 3 };

static void assert_converted(lo_shape shape, bool features)
{
    const size_t size = lo_shape_size(shape);
    const size_t area = size / (size_t)shape.channels;
    float scale[VALUES];
    float shift[VALUES];
    uint8_t pixel[EXAMPLES * VALUES];
    float feature[EXAMPLES * VALUES];
    float x[VALUES + 1];
    for (int i = 0; i < VALUES; i++) {
        scale[i] = 0.5F + (float)i;
        shift[i] = 3.0F - (float)(i * i);
    }
    for (int i = 0; i < EXAMPLES * VALUES; i++) {
        pixel[i] = (uint8_t)(i * 97);
        feature[i] = (float)(i * i) - 50.5F;
    }
    const lo_dataset dataset = {.shape = shape, .scale = scale, .shift = shift};
    const lo_examples examples = {
        .count = EXAMPLES, .pixel = features ? NULL : pixel, .feature = features ? feature : NULL};
    for (size_t row = 0; row < EXAMPLES; row++) {
        x[size] = -7;
        lo_batch_example(lo_kernels_chosen(LO_F32), &dataset, &examples, row, x);
        for (size_t i = 0; i < size; i++) {
            const double value = features ? (double)feature[row * size + i] : (double)pixel[row * size + i];
            const double wanted = value * (double)scale[i / area] + (double)shift[i / area];
            assert_true(fabs((double)x[i] - wanted) <= 1e-6 * (1 + fabs(value * (double)scale[i / area])));
        }
        assert_true(x[size] == -7);
    }
}

static void test_pixels_and_features(void **state)
{
    (void)state;
    static const lo_shape shapes[] = {{3, 2, 2}, {1, 3, 4}, {12, 1, 1}, {1, 1, 1}, {2, 1, 6}};
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        assert_converted(shapes[s], false);
        assert_converted(shapes[s], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pixels_and_features)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
