/* Rows of a network for the Gauss-Newton matrix: their outer products against J' (diag p - p p') J with the
 * whole Jacobian, and the other gradients against the engine's own. */
#include "attribute/network_rows.h"
#include "base/random.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 5, CLASSES = 4, SIDE = 8, PIXELS = SIDE * SIDE };

static void factor_is_a_root(void **state)
{
    (void)state;
    const double cases[][CLASSES] = {
        {0.1, 0.2, 0.3, 0.4}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0.5, 0, 0.5}, {1e-300, 1 - 1e-12, 1e-12, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const double *p = cases[i];
        float factor[CLASSES - 1][CLASSES];
        for (int32_t k = 0; k < CLASSES - 1; k++) {
            lo_softmax_factor(p, CLASSES, k, factor[k]);
        }
        for (int a = 0; a < CLASSES; a++) {
            for (int b = 0; b < CLASSES; b++) {
                double sum = 0;
                for (int k = 0; k < CLASSES - 1; k++) {
                    sum += (double)factor[k][a] * (double)factor[k][b];
                }
                double others = 0;
                for (int c = 0; c < CLASSES; c++) {
                    others += c != a ? p[c] : 0;
                }
                const double wanted = a == b ? p[a] * others : -p[a] * p[b];
                assert_true(fabs(sum - wanted) <= 3e-7 * fabs(wanted) + 1e-30);
            }
        }
    }
}

typedef struct world {
    lo_network *network;
    lo_arena *arena;
    lo_dataset dataset;
    uint8_t pixel[EXAMPLES * PIXELS];
    int32_t label[EXAMPLES];
    float scale, shift;
    lo_network_rows rows;
} world;

static void make(world *w)
{
    const lo_model_spec spec = {.preset = "cnn", .width = 2};
    const lo_shape shape = {1, SIDE, SIDE};
    const lo_random random = lo_random_make(9, LO_FOR_TEST);
    lo_memory memory = {0};
    lo_error err = {""};
    memset(w, 0, sizeof(*w));
    for (size_t i = 0; i < sizeof(w->pixel); i++) {
        w->pixel[i] = (uint8_t)(256 * lo_random_unit(random, 0, i));
    }
    for (int i = 0; i < EXAMPLES; i++) {
        w->label[i] = i % CLASSES;
    }
    w->scale = 1.0F / 64;
    w->shift = -2;
    w->dataset = (lo_dataset){.shape = shape, .classes = CLASSES, .scale = &w->scale, .shift = &w->shift};
    w->dataset.train = (lo_examples){.count = EXAMPLES, .pixel = w->pixel, .label = w->label};
    assert_int_equal(lo_network_build(&spec, shape, CLASSES, &w->network, &err), LO_OK);
    lo_network_reserve(w->network, lo_kernels_chosen(LO_F32), 3, &memory);
    w->arena = memory.arena = lo_arena_create(memory.bytes);
    lo_network_reserve(w->network, lo_kernels_chosen(LO_F32), 3, &memory);
    assert_int_equal(lo_network_initialize(w->network, 1, 1, NULL), LO_OK);
    w->rows = (lo_network_rows){.classes = CLASSES, .smoothing = 0.1};
    assert_int_equal(lo_per_example_create(w->network, &w->dataset, NULL, 0, &w->rows.per_example, &err),
                     LO_OK);
}

static void end(world *w)
{
    lo_per_example_destroy(&w->rows.per_example);
    lo_network_destroy(&w->network);
    lo_arena_destroy(&w->arena);
}

static double *fill(const world *w, lo_row_kind kind, int64_t from, int64_t width, double *e)
{
    lo_error err = {""};
    double *out = calloc((size_t)(EXAMPLES * CLASSES * width), sizeof(*out));
    assert_int_equal(lo_network_rows_fill(&w->rows, kind, &w->dataset.train, 1, EXAMPLES - 1, from, width,
                                          out, e, NULL, &err),
                     LO_OK);
    return out;
}

/* The rows' products of example i with a vector: |F' J v|^2 = v' J' R J v. */
static void rows_are_the_curvature(void **state)
{
    (void)state;
    world w;
    lo_error err = {""};
    make(&w);
    const int64_t size = (int64_t)lo_per_example_size(w.rows.per_example);
    const lo_example_list list = {.examples = &w.dataset.train, .first = 1, .count = EXAMPLES - 1};
    float *jacobian = calloc((size_t)(EXAMPLES * CLASSES * size), sizeof(*jacobian));
    double e[EXAMPLES];
    double *rows = fill(&w, LO_ROWS_FACTOR, 0, size, NULL);
    double *margin = fill(&w, LO_ROWS_MARGIN, 0, size, e);
    assert_int_equal(lo_per_example_jacobian(w.rows.per_example, &list, jacobian, NULL, &err), LO_OK);
    const lo_random random = lo_random_make(11, LO_FOR_TEST);
    for (int64_t i = 0; i < EXAMPLES - 1; i++) {
        /* p from the margin's gradient in the logits would be circular: from a forward pass of one example.
         */
        double p[CLASSES], along[CLASSES] = {0}, energy = 0, mean = 0, wanted = 0, sum = 0;
        float logits[CLASSES];
        const lo_example_list one = {.examples = &w.dataset.train, .first = 1 + i, .count = 1};
        int value = 0;
        assert_int_equal(lo_network_value(w.network, "logits", &value, &err), LO_OK);
        assert_int_equal(lo_per_example_features(w.rows.per_example, &one, value, logits, NULL, &err), LO_OK);
        for (int c = 0; c < CLASSES; c++) {
            p[c] = exp((double)logits[c]);
            sum += p[c];
        }
        for (int64_t k = 0; k < size; k++) {
            const double v = 2 * (double)lo_random_unit(random, (uint64_t)i, (uint64_t)k) - 1;
            for (int c = 0; c < CLASSES; c++) {
                along[c] += (double)jacobian[(i * CLASSES + c) * size + k] * v;
            }
        }
        for (int c = 0; c < CLASSES; c++) {
            p[c] /= sum;
            mean += p[c] * along[c];
        }
        for (int c = 0; c < CLASSES; c++) {
            wanted += p[c] * (along[c] - mean) * (along[c] - mean);
        }
        for (int r = 0; r < CLASSES - 1; r++) {
            double dot = 0;
            for (int64_t k = 0; k < size; k++) {
                dot += rows[(i * (CLASSES - 1) + r) * size + k] *
                       (2 * (double)lo_random_unit(random, (uint64_t)i, (uint64_t)k) - 1);
            }
            energy += dot * dot;
        }
        assert_true(fabs(energy - wanted) < 1e-5 * wanted);
        assert_true(fabs(e[i] - (1 - p[w.label[1 + i]])) < 1e-6);
    }
    free(jacobian);
    free(rows);
    free(margin);
    end(&w);
}

static void slices_and_losses(void **state)
{
    (void)state;
    world w;
    lo_error err = {""};
    make(&w);
    const int64_t size = (int64_t)lo_per_example_size(w.rows.per_example);
    const lo_example_list list = {.examples = &w.dataset.train, .first = 1, .count = EXAMPLES - 1};
    const lo_output smooth = {.kind = LO_OUTPUT_LOSS, .smoothing = 0.1};
    float *vectors = calloc((size_t)(EXAMPLES * size), sizeof(*vectors));
    double *whole = fill(&w, LO_ROWS_FACTOR, 0, size, NULL);
    double *slice = fill(&w, LO_ROWS_FACTOR, 7, 20, NULL);
    double *loss = fill(&w, LO_ROWS_LOSS, 0, size, NULL);
    for (int64_t r = 0; r < (EXAMPLES - 1) * (CLASSES - 1); r++) {
        assert_memory_equal(slice + r * 20, whole + r * size + 7, 20 * sizeof(*slice));
    }
    assert_int_equal(lo_per_example_vectors(w.rows.per_example, &list, &smooth, vectors, NULL, &err), LO_OK);
    for (int64_t k = 0; k < (EXAMPLES - 1) * size; k++) {
        assert_true(loss[k] == (double)vectors[k]);
    }
    free(vectors);
    free(whole);
    free(slice);
    free(loss);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(factor_is_a_root),
                                       cmocka_unit_test(rows_are_the_curvature),
                                       cmocka_unit_test(slices_and_losses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
