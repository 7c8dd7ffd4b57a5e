/* Weights that go to a file and come back, trainings that start from one, and the log of a training. */
#include "nn/loss.h"
#include "nn/per_example.h"
#include "nn/safetensors.h"
#include "nn/trainer.h"
#include "nn/weights.h"

#include "nn_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRAIN = 150, TEST = 40, EPOCHS = 3 };

static char path[64];
static nn_data *data;

static int make(void **state)
{
    (void)state;
    data = nn_data_create((lo_shape){2, 8, 8}, 5, TRAIN, TEST);
    (void)snprintf(path, sizeof(path), "weights-%ld.safetensors", (long)getpid());
    return 0;
}

static int clear(void **state)
{
    (void)state;
    (void)unlink(path);
    nn_data_destroy(data);
    return 0;
}

static lo_trainer *trainer_of(const char *preset, int epochs, double lr, double smoothing)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = {.preset = preset, .hidden = {20}, .hidden_count = 1, .width = 3};
    const lo_recipe recipe = {.epochs = epochs,
                              .batch = 16,
                              .lr = lr,
                              .momentum = 0.9,
                              .label_smoothing = smoothing,
                              .schedule = LO_SCHEDULE_CONSTANT,
                              .seed = 3};
    if (lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return trainer;
}

static uint32_t members[TRAIN];

static lo_training run(lo_trainer *trainer, int64_t count, uint64_t seed)
{
    lo_error err = {""};
    lo_training training;
    for (uint32_t i = 0; i < count; i++) {
        members[i] = count < TRAIN ? 2 * i + 1 : i;
    }
    if (lo_trainer_run(trainer, seed, members, count, NULL, &training, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return training;
}

static void logits_of(lo_trainer *trainer, float *logits)
{
    assert_int_equal(lo_trainer_logits(trainer, &data->dataset.test, NULL, logits, NULL), LO_OK);
}

static void test_there_and_back(void **state)
{
    (void)state;
    static const char *const presets[] = {"linear", "mlp", "cnn", "resnet18"};
    for (size_t p = 0; p < 4; p++) {
        static float before[TEST * 5], after[TEST * 5];
        lo_error err = {""};
        lo_trainer *one = trainer_of(presets[p], EPOCHS, 0.05, 0);
        lo_trainer *other = trainer_of(presets[p], 0, 0.05, 0);
        (void)run(one, TRAIN, 7);
        logits_of(one, before);
        const lo_weights_note note = {"seed", "7"};
        assert_int_equal(lo_trainer_save(one, path, &note, 1, &err), LO_OK);
        assert_int_equal(lo_trainer_start_from(other, path, &err), LO_OK);
        (void)run(other, TRAIN, 8); /* of no epochs: the start itself, whatever the seed */
        logits_of(other, after);
        assert_memory_equal(before, after, sizeof(before));

        lo_trainer *third = trainer_of(presets[p], 0, 0.05, 0); /* without a file */
        assert_int_equal(lo_trainer_start_as(third, one, &err), LO_OK);
        (void)run(one, TRAIN, 9);
        (void)run(third, TRAIN, 8);
        logits_of(third, after);
        assert_memory_equal(before, after, sizeof(before));
        lo_trainer *small = trainer_of(p == 0 ? "mlp" : "linear", 0, 0.05, 0);
        assert_int_equal(lo_trainer_start_as(small, one, &err), LO_USAGE);
        lo_trainer_destroy(&small);
        lo_trainer_destroy(&third);

        lo_safetensors file;
        assert_int_equal(lo_safetensors_read(path, &file, &err), LO_OK);
        assert_int_equal(lo_safetensors_verify(path, &file, &err), LO_OK);
        assert_string_equal(lo_safetensors_note(&file, "preset"), presets[p]);
        assert_string_equal(lo_safetensors_note(&file, "seed"), "7");
        if (p == 2) { /* shapes as PyTorch has them, and how many batches the statistics have seen */
            const lo_tensor *kernel = lo_safetensors_find(&file, "conv2.weight");
            const lo_tensor *batches = lo_safetensors_find(&file, "bn2.num_batches_tracked");
            assert_true(kernel->rank == 4 && kernel->shape[0] == 6 && kernel->shape[1] == 3 &&
                        kernel->shape[2] == 3 && kernel->shape[3] == 3);
            assert_int_equal(lo_safetensors_find(&file, "bn2.running_var")->rank, 1);
            assert_true(batches->type == LO_TENSOR_I64 && batches->rank == 0);
            int64_t seen;
            memcpy(&seen, batches->data, sizeof(seen));
            assert_int_equal(seen, EPOCHS * ((TRAIN + 15) / 16));
        }
        lo_safetensors_free(&file);
        lo_trainer_destroy(&one);
        lo_trainer_destroy(&other);
    }
}

/* What is missing, misshapen, of another type and too much is named in one error, and nothing is taken. */
static void test_misfits(void **state)
{
    (void)state;
    static const float zeros[4000];
    static const uint8_t bytes[64];
    static float before[TEST * 5], after[TEST * 5];
    lo_tensor tensor[] = {
        {.name = "linear1.weight", .type = LO_TENSOR_F32, .rank = 2, .shape = {20, 127}, .data = zeros},
        {.name = "linear1.bias", .type = LO_TENSOR_U8, .rank = 1, .shape = {20}, .data = bytes},
        {.name = "linear2.weight", .type = LO_TENSOR_F32, .rank = 2, .shape = {5, 20}, .data = zeros},
        {.name = "fc.bias", .type = LO_TENSOR_F32, .rank = 1, .shape = {5}, .data = zeros},
    };
    lo_error err = {""};
    lo_trainer *trainer = trainer_of("mlp", 1, 0.05, 0);
    (void)run(trainer, TRAIN, 1);
    logits_of(trainer, before);
    assert_int_equal(lo_safetensors_write(path, tensor, 4, NULL, 0, &err), LO_OK);
    assert_int_equal(lo_trainer_start_from(trainer, path, &err), LO_DATA);
    static const char *const named[] = {path, "linear1.weight is [20, 127], the network's is [20, 128]",
                                        "linear1.bias is of type U8", "linear2.bias [5] is missing",
                                        "fc.bias [5] is not in the network"};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (strstr(err.text, named[i]) == NULL) {
            fail_msg("'%s' lacks '%s'", err.text, named[i]);
        }
    }
    assert_null(strstr(err.text, "linear2.weight"));
    logits_of(trainer, after);
    assert_memory_equal(before, after, sizeof(before));
    lo_trainer_destroy(&trainer);
}

/* ---- the log ---- */

typedef struct room {
    double loss[EPOCHS], accuracy[EPOCHS];
    float value[LO_LOG_QUANTITIES][EPOCHS * TRAIN];
    uint8_t correct[EPOCHS * TRAIN];
    lo_training_log log;
    int64_t called; /* after_epoch, how often */
} room;

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    (void)err;
    room *r = self;
    r->called++;
    assert_int_equal(epochs, r->called);
    return LO_OK;
}

static void watch(lo_trainer *trainer, room *r)
{
    *r = (room){0};
    r->log = (lo_training_log){.loss = r->loss, .accuracy = r->accuracy, .correct = r->correct};
    for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
        r->log.example[q] = r->value[q];
    }
    lo_trainer_observe(trainer, &(lo_observer){.log = &r->log, .after_epoch = after_epoch, .self = r});
}

/* The quantities of an example's outputs by their definitions, in double precision. */
static void by_definition(const float *z, int classes, int label, double smoothing, double *out)
{
    double total = 0, others = 0, largest = -INFINITY, entropy = 0, mean = 0;
    for (int k = 0; k < classes; k++) {
        total += exp((double)z[k]);
        others += k != label ? exp((double)z[k]) : 0;
    }
    for (int k = 0; k < classes; k++) {
        const double p = exp((double)z[k]) / total;
        largest = fmax(largest, p);
        entropy -= p > 0 ? p * log(p) : 0;
        mean -= log(p) / classes;
    }
    const double p = exp((double)z[label]) / total;
    out[LO_LOG_LOSS] = -(1 - smoothing) * log(p) + smoothing * mean;
    out[LO_LOG_PROBABILITY] = p;
    out[LO_LOG_LARGEST] = largest;
    out[LO_LOG_ENTROPY] = entropy;
    out[LO_LOG_MARGIN] = (double)z[label] - log(others);
    out[LO_LOG_GAP] = INFINITY;
    for (int k = 0; k < classes; k++) {
        out[LO_LOG_GAP] = k != label ? fmin(out[LO_LOG_GAP], (double)(z[label] - z[k])) : out[LO_LOG_GAP];
    }
}

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * (1 + fabs(expected)))) {
        fail_msg("%.9g, expected %.9g", value, expected);
    }
}

/* A learning rate so small that no weight moves: each epoch then sees what an evaluation sees. Members are
 * every second example, so that columns and examples differ. */
static void test_log_against_evaluation(void **state)
{
    (void)state;
    enum { MEMBERS = TRAIN / 2 };
    static room r;
    static float logits[TRAIN * 5];
    for (int s = 0; s < 2; s++) {
        const double smoothing = s == 0 ? 0 : 0.2;
        lo_trainer *trainer = trainer_of("mlp", EPOCHS, 1e-30, smoothing);
        watch(trainer, &r);
        (void)run(trainer, MEMBERS, 5);
        assert_int_equal(r.called, EPOCHS);
        assert_int_equal(lo_trainer_logits(trainer, &data->dataset.train, NULL, logits, NULL), LO_OK);
        for (int e = 0; e < EPOCHS; e++) {
            for (int i = 0; i < MEMBERS; i++) {
                const float *z = logits + (size_t)members[i] * 5;
                const int label = data->dataset.train.label[members[i]];
                double expected[LO_LOG_QUANTITIES];
                by_definition(z, 5, label, smoothing, expected);
                for (int q = 0; q < LO_LOG_INPUT_SQUARE; q++) {
                    near((double)r.value[q][e * MEMBERS + i], expected[q], 2e-6);
                }
                assert_int_equal(r.correct[e * MEMBERS + i], lo_is_correct(z, 5, label));
            }
        }
        lo_trainer_destroy(&trainer);
    }
}

/* Likewise the gradients in the input, without layers that mix examples: those of per_example.h. */
static void test_logged_gradients(void **state)
{
    (void)state;
    static room r;
    const lo_output loss = {.kind = LO_OUTPUT_LOSS, .smoothing = 0.2};
    const lo_example_list list = {.examples = &data->dataset.train, .count = TRAIN};
    const size_t size = lo_shape_size(data->dataset.shape);
    float *gradient = malloc(TRAIN * size * sizeof(float));
    lo_per_example *pass = NULL;
    lo_trainer *trainer = trainer_of("mlp", EPOCHS, 1e-30, 0.2);
    watch(trainer, &r);
    (void)run(trainer, TRAIN, 5);
    assert_int_equal(lo_per_example_create(lo_trainer_network(trainer), &data->dataset, NULL, 0, &pass, NULL),
                     LO_OK);
    assert_int_equal(lo_per_example_inputs(pass, &list, &loss, gradient, NULL, NULL), LO_OK);
    for (int e = 0; e < EPOCHS; e++) {
        for (int i = 0; i < TRAIN; i++) {
            double square = 0;
            for (size_t k = 0; k < size; k++) {
                square += (double)gradient[(size_t)i * size + k] * (double)gradient[(size_t)i * size + k];
            }
            assert_true(square > 0);
            near((double)r.value[LO_LOG_INPUT_SQUARE][e * TRAIN + i] / square, 1, 2e-5);
        }
    }
    free(gradient);
    lo_per_example_destroy(&pass);
    lo_trainer_destroy(&trainer);
}

/* The examples' means are the epoch's values, and watching changes no bit. */
static void test_log_of_a_training(void **state)
{
    (void)state;
    static room r;
    static float before[TEST * 5], after[TEST * 5];
    lo_trainer *trainer = trainer_of("cnn", EPOCHS, 0.05, 0.1);
    (void)run(trainer, TRAIN, 5);
    logits_of(trainer, before);
    watch(trainer, &r);
    const lo_training training = run(trainer, TRAIN, 5);
    logits_of(trainer, after);
    assert_memory_equal(before, after, sizeof(before));
    for (int e = 0; e < EPOCHS; e++) {
        double loss = 0, correct = 0;
        for (int i = 0; i < TRAIN; i++) {
            loss += (double)r.value[LO_LOG_LOSS][e * TRAIN + i];
            correct += r.correct[e * TRAIN + i];
        }
        near(loss / TRAIN, r.loss[e], 1e-6);
        near(correct / TRAIN, r.accuracy[e], 1e-12);
    }
    assert_true(r.loss[EPOCHS - 1] == training.loss && r.accuracy[EPOCHS - 1] == training.accuracy);
    assert_true(r.loss[EPOCHS - 1] < r.loss[0]);

    /* Without arrays for examples the epochs are there all the same; without an observer nothing is touched.
     */
    const double last = r.loss[EPOCHS - 1];
    lo_training_log epochs_only = {.loss = r.loss, .accuracy = r.accuracy};
    r.loss[EPOCHS - 1] = 0;
    lo_trainer_observe(trainer, &(lo_observer){.log = &epochs_only});
    (void)run(trainer, TRAIN, 5);
    assert_true(r.loss[EPOCHS - 1] == last);
    lo_trainer_observe(trainer, NULL);
    r.loss[0] = -1;
    (void)run(trainer, TRAIN, 5);
    assert_true(r.loss[0] == -1);
    lo_trainer_destroy(&trainer);
}

/* Confident examples keep their precision; nothing becomes NaN until a logit is. */
static void test_confident(void **state)
{
    (void)state;
    const float sure[4] = {90, 0, 0, -400};
    float largest, entropy;
    lo_softmax_spread(sure, 4, &largest, &entropy);
    assert_true(largest == 1);
    near((double)entropy / exp(-90.0), 2 * 91, 1e-4);
    near((double)lo_example_loss(sure, 4, 1, 0, lo_logit_margin(sure, 4, 1)), 90, 1e-7);
    near((double)lo_example_loss(sure, 4, 0, 0, lo_logit_margin(sure, 4, 0)) / exp(-90.0), 2, 1e-5);
    const float far[3] = {-INFINITY, 1, 1};
    lo_softmax_spread(far, 3, &largest, &entropy);
    near((double)largest, 0.5, 1e-7);
    near((double)entropy, log(2), 1e-6);
    assert_true(isinf(lo_example_loss(far, 3, 0, 0, lo_logit_margin(far, 3, 0))));
    const float broken[3] = {0, NAN, 1};
    lo_softmax_spread(broken, 3, &largest, &entropy);
    assert_true(isnan(largest) && isnan(entropy));
}

/* What a training that diverged did not reach is NaN. */
static void test_log_of_divergence(void **state)
{
    (void)state;
    static room r;
    lo_trainer *trainer = trainer_of("mlp", EPOCHS, 1e30, 0);
    watch(trainer, &r);
    assert_true(run(trainer, TRAIN, 5).diverged);
    assert_true(r.called < EPOCHS);
    assert_true(isnan(r.accuracy[EPOCHS - 1]) && isnan(r.value[LO_LOG_LOSS][EPOCHS * TRAIN - 1]));
    assert_int_equal(r.correct[EPOCHS * TRAIN - 1], 0);
    lo_trainer_destroy(&trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),         cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_log_against_evaluation), cmocka_unit_test(test_logged_gradients),
        cmocka_unit_test(test_log_of_a_training),      cmocka_unit_test(test_confident),
        cmocka_unit_test(test_log_of_divergence),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
