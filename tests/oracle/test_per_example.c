/* Gradients of single examples, in parameters and inputs, their norms and sums over examples, on every level
 * of kernels, against PyTorch in double precision: the values of tests/fixtures/per_example.bin, made by
 * make_per_example.py, which describes the file. */
#include "nn/per_example.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TENSORS = 64, MOST_EXAMPLES = 8, SAMPLES = 8, OUTPUTS = 3, CASES = 6, VALUES = 1 + SAMPLES };

typedef struct tensor {
    char name[96];
    int32_t kind, rows, count, statistic;
} tensor;

typedef struct per_case {
    int number; /* from 1 */
    char preset[16];
    lo_model_spec model;
    lo_dataset dataset;
    float scale[4], shift[4];
    uint8_t *pixel;
    int32_t label[MOST_EXAMPLES];
    int32_t tensors;
    tensor tensor[MOST_TENSORS];
    int32_t trained; /* tensors that are no statistics */
    float gradient[OUTPUTS][MOST_EXAMPLES][MOST_TENSORS + 1]
                  [VALUES];              /* norm and samples; last: the input's */
    float sum[MOST_TENSORS][2][SAMPLES]; /* of g, of g * g */
} per_case;

static void take(FILE *file, void *to, size_t count, size_t size)
{
    assert_int_equal(fread(to, size, count, file), count);
}

static void take_name(FILE *file, char *to, size_t size)
{
    int32_t length = 0;
    take(file, &length, 1, sizeof(length));
    assert_in_range(length, 1, (int)size - 1);
    take(file, to, (size_t)length, 1);
}

static void read_case(FILE *file, per_case *c)
{
    int32_t head[9];
    memset(c, 0, sizeof(*c));
    take_name(file, c->preset, sizeof(c->preset));
    take(file, head, 9, sizeof(int32_t));
    c->model = (lo_model_spec){
        .preset = c->preset, .width = head[0], .depth = head[1], .heads = head[2], .patch = head[3]};
    c->dataset = (lo_dataset){
        .shape = {head[4], head[5], head[6]}, .classes = head[7], .scale = c->scale, .shift = c->shift};
    for (int i = 0; i < 4; i++) {
        c->scale[i] = 1.0F / 64;
        c->shift[i] = -2;
    }
    assert_in_range(head[4], 1, 4);
    assert_in_range(head[8], 1, MOST_EXAMPLES);
    const size_t size = (size_t)head[8] * lo_shape_size(c->dataset.shape);
    c->pixel = malloc(size);
    assert_non_null(c->pixel);
    take(file, c->pixel, size, 1);
    take(file, c->label, (size_t)head[8], sizeof(int32_t));
    c->dataset.train = (lo_examples){.count = head[8], .pixel = c->pixel, .label = c->label};
    take(file, &c->tensors, 1, sizeof(int32_t));
    assert_in_range(c->tensors, 1, MOST_TENSORS);
    for (int32_t t = 0; t < c->tensors; t++) {
        take_name(file, c->tensor[t].name, sizeof(c->tensor[t].name));
        take(file, &c->tensor[t].kind, 4, sizeof(int32_t));
        c->trained += c->tensor[t].statistic ? 0 : 1;
    }
    for (int output = 0; output < OUTPUTS; output++) {
        for (int32_t n = 0; n < head[8]; n++) {
            take(file, c->gradient[output][n], (size_t)(c->trained + 1) * VALUES, sizeof(float));
        }
    }
    take(file, c->sum, (size_t)c->trained * 2 * SAMPLES, sizeof(float));
}

/* make_networks.py's start_values. */
static float start_value(int32_t number, const tensor *t, uint64_t i)
{
    static const float scales[] = {0.5F, 0.3F, 0.2F, 0.4F, 0.3F}, shifts[] = {0.9F, 0, 0, 1, 0};
    uint64_t h = (i + 1) * 0x9E3779B97F4A7C15U + ((uint64_t)number + 1) * 0xBF58476D1CE4E5B9U;
    h ^= h >> 31;
    h *= 0x94D049BB133111EBU;
    h ^= h >> 29;
    const float unit = (float)((double)(h >> 40) / 0x1p23 - 1);
    return t->rows > 0 ? unit * (float)(1.7 / sqrt((double)t->count / t->rows))
                       : unit * scales[t->kind] + shifts[t->kind];
}

static void start(lo_network *network, const per_case *c)
{
    for (int32_t t = 0; t < c->tensors; t++) {
        const lo_parameter *p = lo_network_find(network, c->tensor[t].name);
        float *values = malloc((size_t)c->tensor[t].count * sizeof(float));
        assert_non_null(p);
        assert_non_null(values);
        assert_int_equal(p->out * p->in * p->taps, c->tensor[t].count);
        for (int32_t i = 0; i < c->tensor[t].count; i++) {
            values[i] = start_value(t, &c->tensor[t], (uint64_t)i);
        }
        lo_network_set(network, p, values);
        free(values);
    }
}

static void expect_near(const per_case *c, const char *level, const char *what, int32_t n, double found,
                        double wanted, double slack)
{
    if (!(fabs(found - wanted) <= slack)) {
        fail_msg("case %d, %s with %s kernels, %s, example %d: %.9g, PyTorch's %.9g", c->number, c->preset,
                 level, what, n, found, wanted);
    }
}

/* Samples to 2e-4 of the tensor's root mean square, and norms likewise; with a part of the whole gradient's
 * norm, because what is zero but for rounding is rounding. */
static void check_values(const per_case *c, const char *level, const char *name, int32_t n,
                         const float *found, size_t count, const float wanted[VALUES], double whole)
{
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        square += (double)found[i] * (double)found[i];
    }
    const double slack = 2e-4 * (double)wanted[0] + 2e-6 * whole;
    expect_near(c, level, name, n, sqrt(square), (double)wanted[0], slack);
    for (size_t i = 0; i < SAMPLES; i++) {
        const double value = (double)wanted[1 + i];
        expect_near(c, level, name, n, (double)found[i * count / SAMPLES], value,
                    slack / sqrt((double)count) + 2e-4 * fabs(value));
    }
}

static void check_case(per_case *c, const lo_kernels *kernels)
{
    lo_network *network = NULL;
    lo_error err = {""};
    lo_memory memory = {0};
    assert_int_equal(lo_network_build(&c->model, c->dataset.shape, c->dataset.classes, &network, &err),
                     LO_OK);
    lo_network_reserve(network, kernels, 3, &memory);
    lo_arena *arena = lo_arena_create(memory.bytes);
    assert_non_null(arena);
    memory = (lo_memory){.arena = arena};
    lo_network_reserve(network, kernels, 3, &memory);
    start(network, c);
    lo_per_example *per = NULL;
    assert_int_equal(lo_per_example_create(network, &c->dataset, NULL, 0, &per, &err), LO_OK);
    const lo_example_list list = {.examples = &c->dataset.train, .count = c->dataset.train.count};
    const size_t examples = (size_t)list.count, size = lo_per_example_size(per), parts = (size_t)c->trained;
    const size_t input = lo_shape_size(c->dataset.shape);
    assert_int_equal(lo_per_example_parameters(per), c->trained);
    float *vectors = malloc(examples * size * sizeof(float)),
          *inputs = malloc(examples * input * sizeof(float));
    double *squares = malloc(examples * parts * sizeof(double)), total[MOST_EXAMPLES];
    assert_true(vectors != NULL && inputs != NULL && squares != NULL);
    static const lo_output outputs[OUTPUTS] = {
        {.kind = LO_OUTPUT_LOSS}, {.kind = LO_OUTPUT_MARGIN}, {.kind = LO_OUTPUT_LOGIT, .logit = 1}};
    for (int o = 0; o < OUTPUTS; o++) {
        assert_int_equal(lo_per_example_vectors(per, &list, &outputs[o], vectors, NULL, &err), LO_OK);
        assert_int_equal(lo_per_example_inputs(per, &list, &outputs[o], inputs, NULL, &err), LO_OK);
        assert_int_equal(lo_per_example_squares(per, &list, &outputs[o], total, squares, NULL, &err), LO_OK);
        for (int32_t n = 0; n < list.count; n++) {
            int32_t at = 0;
            const double whole = sqrt(total[n]);
            check_values(c, kernels->name, "the input", n, inputs + (size_t)n * input, input,
                         c->gradient[o][n][c->trained], 0);
            for (int32_t t = 0; t < c->tensors; t++) {
                if (c->tensor[t].statistic) {
                    continue;
                }
                int j = 0;
                while (strcmp(lo_per_example_parameter(per, j)->name, c->tensor[t].name) != 0) {
                    j++;
                }
                const float *wanted = c->gradient[o][n][at++];
                check_values(c, kernels->name, c->tensor[t].name, n,
                             vectors + (size_t)n * size + lo_per_example_start(per, j),
                             (size_t)c->tensor[t].count, wanted, whole);
                expect_near(c, kernels->name, "squared norm", n, sqrt(squares[(size_t)n * parts + (size_t)j]),
                            (double)wanted[0], 2e-4 * (double)wanted[0] + 2e-6 * whole);
            }
        }
    }
    for (int term = 0; term < 2; term++) {
        lo_pairwise *sum = NULL;
        const lo_pairwise_node *nodes = NULL;
        assert_int_equal(lo_pairwise_create(size, 1, 0, 1, &sum, &err), LO_OK);
        assert_int_equal(lo_per_example_sums(per, &list, &outputs[0],
                                             term == 0 ? LO_TERM_GRADIENT : LO_TERM_SQUARE, sum, NULL, &err),
                         LO_OK);
        assert_int_equal(lo_pairwise_nodes(sum, &nodes), 1);
        for (int32_t t = 0, at = 0; t < c->tensors; t++) {
            int j = 0;
            if (c->tensor[t].statistic) {
                continue;
            }
            while (strcmp(lo_per_example_parameter(per, j)->name, c->tensor[t].name) != 0) {
                j++;
            }
            double scale = 0;
            for (int32_t n = 0; n < list.count; n++) {
                scale += pow((double)c->gradient[0][n][at][0], 2) / c->tensor[t].count + 1e-12 * total[n];
            }
            scale = term == 0 ? sqrt(scale) : scale;
            for (size_t i = 0; i < SAMPLES; i++) {
                const size_t element = i * (size_t)c->tensor[t].count / SAMPLES;
                const double wanted = (double)c->sum[at][term][i];
                expect_near(c, kernels->name, c->tensor[t].name, -1,
                            nodes[0].value[lo_per_example_start(per, j) + element], wanted,
                            5e-4 * (fabs(wanted) + scale));
            }
            at++;
        }
        lo_pairwise_destroy(&sum);
    }
    free(vectors);
    free(inputs);
    free(squares);
    lo_per_example_destroy(&per);
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
}

static void test_per_example(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/per_example.bin", "rb");
    static per_case c;
    assert_non_null(file);
    for (int number = 1; number <= CASES; number++) {
        read_case(file, &c);
        c.number = number;
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            check_case(&c, lo_kernels_at(LO_F32, level));
        }
        free(c.pixel);
    }
    assert_int_equal(fgetc(file), EOF);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_per_example)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
