/* Three steps of every preset and optimizer, on every level of kernels, against PyTorch in double precision:
 * the values of tests/fixtures/training_steps.bin, made by make_training_steps.py, which describes the file.
 */
#include "nn/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TENSORS = 32, STATES = 3 };

typedef struct tensor {
    int32_t count;
    float *state[STATES]; /* at the start, after one step, after three */
} tensor;

typedef struct steps_case {
    int number; /* from 1 */
    lo_model_spec model;
    lo_recipe recipe;
    lo_dataset dataset;
    float scale[8], shift[8];
    uint8_t *pixel;
    int32_t *label;
    double loss[3];
    int32_t tensor_count;
    tensor tensors[MOST_TENSORS];
    float *logits;
} steps_case;

/* `count` objects of `size` bytes from the file, malloc'ed. */
static void *take(FILE *file, size_t count, size_t size)
{
    void *data = malloc(count * size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, size, count, file), count);
    return data;
}

static bool read_case(FILE *file, steps_case *c)
{
    static const char *const names[] = {"linear", "mlp", "cnn"};
    int32_t head[10];
    float reals[8];
    memset(c, 0, sizeof(*c));
    if (fread(head, sizeof(int32_t), 10, file) != 10) {
        return false;
    }
    assert_in_range(head[0], 0, 2);
    assert_in_range(head[1], 1, 8);
    assert_in_range(head[9], 0, LO_MAX_HIDDEN);
    c->model = (lo_model_spec){.preset = names[head[0]], .width = head[6], .hidden_count = head[9]};
    assert_int_equal(fread(c->model.hidden, sizeof(int32_t), (size_t)head[9], file), head[9]);
    assert_int_equal(fread(reals, sizeof(float), 8, file), 8);
    assert_int_equal(fread(c->scale, sizeof(float), (size_t)head[1], file), head[1]);
    assert_int_equal(fread(c->shift, sizeof(float), (size_t)head[1], file), head[1]);
    const size_t batch = (size_t)head[5];
    c->recipe = (lo_recipe){.epochs = 1,
                            .batch = head[5],
                            .optimizer = head[7] == 1 ? LO_OPTIMIZER_ADAMW : LO_OPTIMIZER_SGD,
                            .nesterov = head[8] == 1,
                            .lr = (double)reals[0],
                            .weight_decay = (double)reals[1],
                            .momentum = (double)reals[2],
                            .beta1 = (double)reals[3],
                            .beta2 = (double)reals[4],
                            .epsilon = (double)reals[5],
                            .label_smoothing = (double)reals[6],
                            .clip_norm = (double)reals[7]};
    c->dataset = (lo_dataset){
        .shape = {head[1], head[2], head[3]}, .classes = head[4], .scale = c->scale, .shift = c->shift};
    c->pixel = take(file, batch * lo_shape_size(c->dataset.shape), 1);
    c->label = take(file, batch, sizeof(int32_t));
    c->dataset.train = (lo_examples){.count = head[5], .pixel = c->pixel, .label = c->label};
    assert_int_equal(fread(c->loss, sizeof(double), 3, file), 3);
    assert_int_equal(fread(&c->tensor_count, sizeof(int32_t), 1, file), 1);
    assert_in_range(c->tensor_count, 1, MOST_TENSORS);
    for (int32_t t = 0; t < c->tensor_count; t++) {
        assert_int_equal(fread(&c->tensors[t].count, sizeof(int32_t), 1, file), 1);
        for (int s = 0; s < STATES; s++) {
            c->tensors[t].state[s] = take(file, (size_t)c->tensors[t].count, sizeof(float));
        }
    }
    c->logits = take(file, batch * (size_t)head[4], sizeof(float));
    return true;
}

static void free_case(steps_case *c)
{
    for (int32_t t = 0; t < c->tensor_count; t++) {
        for (int s = 0; s < STATES; s++) {
            free(c->tensors[t].state[s]);
        }
    }
    free(c->pixel);
    free(c->label);
    free(c->logits);
}

static double norm_of_difference(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += pow((double)a[i] - (b != NULL ? (double)b[i] : 0), 2);
    }
    return sqrt(sum);
}

/* All parameters and statistics as PyTorch has them: relative 1e-5 in norm, and 1e-3 of how far they have
 * moved. */
static void compare(const lo_network *network, const steps_case *c, int state)
{
    assert_int_equal(network->parameter_count, c->tensor_count);
    for (int32_t t = 0; t < c->tensor_count; t++) {
        const tensor *expected = &c->tensors[t];
        const lo_parameter *parameter = &network->parameter[t];
        const size_t count = (size_t)expected->count;
        assert_int_equal(parameter->out * parameter->in * parameter->taps, count);
        float *got = malloc(count * sizeof(float));
        assert_non_null(got);
        lo_network_get(network, parameter, LO_VALUES, got);
        const double difference = norm_of_difference(got, expected->state[state], count);
        const double size = norm_of_difference(expected->state[state], NULL, count);
        const double moved = norm_of_difference(expected->state[state], expected->state[0], count);
        if (!(difference <= 1e-5 * size && difference <= 1e-3 * moved)) {
            fail_msg("case %d, %s with %s kernels, %s, state %d: differs by %g; norm %g, moved by %g",
                     c->number, c->model.preset, network->kernels->name, parameter->name, state, difference,
                     size, moved);
        }
        free(got);
    }
}

static void check_case(const steps_case *c)
{
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    const size_t batch = (size_t)c->recipe.batch, logits = batch * (size_t)c->dataset.classes;
    assert_int_equal(lo_trainer_create(&c->model, &c->recipe, &c->dataset, &trainer, &err), LO_OK);
    lo_network *network = lo_trainer_network(trainer);
    assert_int_equal(network->parameter_count, c->tensor_count);
    for (int32_t t = 0; t < c->tensor_count; t++) {
        lo_network_set(network, &network->parameter[t], c->tensors[t].state[0]);
    }
    uint32_t rows[64];
    assert_in_range(batch, 1, 64);
    for (uint32_t i = 0; i < batch; i++) {
        rows[i] = i;
    }
    for (int step = 0; step < 3; step++) {
        double loss = 0;
        int64_t correct = 0;
        assert_int_equal(lo_trainer_step(trainer, rows, batch, c->recipe.lr, NULL, &loss, &correct), LO_OK);
        if (!(fabs(loss - c->loss[step]) < 1e-5 * (1 + c->loss[step]))) {
            fail_msg("%s, step %d: loss %.9g, PyTorch's %.9g", c->model.preset, step, loss, c->loss[step]);
        }
        if (step != 1) {
            compare(network, c, step == 0 ? 1 : 2);
        }
    }
    float *got = malloc(logits * sizeof(float));
    assert_non_null(got);
    assert_int_equal(lo_trainer_logits(trainer, &c->dataset.train, NULL, got, &err), LO_OK);
    assert_true(norm_of_difference(got, c->logits, logits) <
                2e-5 * norm_of_difference(c->logits, NULL, logits));
    free(got);
    lo_trainer_destroy(&trainer);
}

static void test_steps(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/training_steps.bin", "rb");
    assert_non_null(file);
    steps_case c;
    int cases = 0;
    while (read_case(file, &c)) {
        c.number = ++cases;
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            lo_error err;
            assert_int_equal(lo_kernels_pin(lo_kernels_at(LO_F32, level)->name, &err), LO_OK);
            check_case(&c);
        }
        free_case(&c);
    }
    assert_int_equal(cases, 18);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
