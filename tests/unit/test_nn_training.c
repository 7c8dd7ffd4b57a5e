/* The trainer as its callers see it: order, schedule, determinism, divergence, evaluation. */
#include "nn/bench.h"
#include "nn/loss.h"
#include "nn/order.h"
#include "nn/schedule.h"
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

static const lo_recipe recipe = {.epochs = 2,
                                 .batch = 16,
                                 .lr = 0.05,
                                 .momentum = 0.9,
                                 .weight_decay = 5e-4,
                                 .schedule = LO_SCHEDULE_COSINE,
                                 .seed = 3};

static lo_trainer *trainer_of(const char *preset, const lo_recipe *how, const lo_dataset *dataset)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = {.preset = preset, .hidden = {20}, .hidden_count = 1, .width = 4};
    if (lo_trainer_create(&model, how, dataset, &trainer, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return trainer;
}

static void test_order_without_one(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static uint32_t members[COUNT], all[COUNT], rest[COUNT];
    static lo_order_entry work[2 * COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        members[i] = 3 * i;
    }
    lo_epoch_order(1, 7, 2, members, COUNT, work, all);
    bool seen[3 * COUNT] = {false};
    int64_t in_place = 0;
    for (size_t i = 0; i < COUNT; i++) { /* a permutation, and not the identity */
        assert_true(all[i] % 3 == 0 && all[i] < 3 * COUNT && !seen[all[i]]);
        seen[all[i]] = true;
        in_place += all[i] == members[i] ? 1 : 0;
    }
    assert_true(in_place < 20);

    const uint32_t gone = members[1234];
    memmove(members + 1234, members + 1235, (COUNT - 1235) * sizeof(uint32_t));
    lo_epoch_order(1, 7, 2, members, COUNT - 1, work, rest);
    size_t at = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (all[i] != gone) {
            assert_int_equal(rest[at++], all[i]);
        }
    }
    /* Another epoch, model or seed has another order. */
    lo_epoch_order(1, 7, 3, members, COUNT - 1, work, all);
    assert_memory_not_equal(all, rest, (COUNT - 1) * sizeof(uint32_t));
    lo_epoch_order(1, 8, 2, members, COUNT - 1, work, all);
    assert_memory_not_equal(all, rest, (COUNT - 1) * sizeof(uint32_t));
    lo_epoch_order(2, 7, 2, members, COUNT - 1, work, all);
    assert_memory_not_equal(all, rest, (COUNT - 1) * sizeof(uint32_t));
}

static void test_learning_rates(void **state)
{
    (void)state;
    lo_recipe r = recipe;
    r.lr = 0.2;
    for (int64_t t = 0; t < 10; t++) {
        assert_true(fabs(lo_learning_rate(&r, t, 10, 5) -
                         0.1 * (1 + cos(3.14159265358979323846 * (double)t / 10))) < 1e-15);
    }
    assert_true(lo_learning_rate(&r, 0, 10, 5) == 0.2);
    r.schedule = LO_SCHEDULE_CONSTANT;
    assert_true(lo_learning_rate(&r, 9, 10, 5) == 0.2);
}

typedef struct result {
    lo_training training;
    float margin[160];
    uint8_t correct[20];
} result;

static result train_and_evaluate(lo_trainer *trainer, const nn_data *data, uint64_t model_seed,
                                 int64_t leave_out)
{
    uint32_t members[NN_DATA_MOST];
    int64_t count = 0;
    for (int64_t i = 0; i < data->dataset.train.count; i++) {
        if (i != leave_out) {
            members[count++] = (uint32_t)i;
        }
    }
    result r;
    memset(&r, 0, sizeof(r));
    lo_error err;
    assert_int_equal(lo_trainer_run(trainer, model_seed, members, count, NULL, &r.training, &err), LO_OK);
    assert_int_equal(lo_trainer_evaluate(trainer, &data->dataset.test, NULL, r.correct, r.margin, &err),
                     LO_OK);
    r.training.seconds = 0;
    return r;
}

static void check_same_bits(const lo_recipe *how)
{
    const char *presets[] = {"linear", "mlp", "cnn"};
    nn_data *data = nn_data_create((lo_shape){1, 10, 11}, 5, 65, 40);
    for (int i = 0; i < 3; i++) {
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            lo_error err;
            assert_int_equal(lo_kernels_pin(lo_kernels_at(LO_F32, level)->name, &err), LO_OK);
            lo_trainer *trainer = trainer_of(presets[i], how, &data->dataset);
            lo_trainer *fresh = trainer_of(presets[i], how, &data->dataset);
            const result a = train_and_evaluate(trainer, data, 1, -1);
            const result b = train_and_evaluate(trainer, data, 2, 7);
            const result again = train_and_evaluate(trainer, data, 1, -1);
            const result elsewhere = train_and_evaluate(fresh, data, 1, -1);
            assert_memory_equal(&a, &again, sizeof(a));
            assert_memory_equal(&a, &elsewhere, sizeof(a));
            assert_memory_not_equal(a.margin, b.margin, sizeof(a.margin));
            assert_false(a.training.diverged);
            lo_trainer_destroy(&trainer);
            lo_trainer_destroy(&fresh);
            assert_null(trainer);
        }
    }
    lo_error err;
    assert_int_equal(lo_kernels_pin("auto", &err), LO_OK);
    nn_data_destroy(data);
}

/* Nothing of a training, the optimizer's state and its count of steps included, stays for the next one. */
static void test_same_bits(void **state)
{
    (void)state;
    check_same_bits(&recipe);
    lo_recipe adamw = recipe;
    adamw.optimizer = LO_OPTIMIZER_ADAMW;
    adamw.lr = 0.01;
    adamw.beta1 = 0.9;
    adamw.beta2 = 0.999;
    adamw.epsilon = 1e-8;
    adamw.clip_norm = 0.5;
    adamw.label_smoothing = 0.1;
    adamw.schedule = LO_SCHEDULE_ONE_CYCLE;
    adamw.peak = 0.3;
    check_same_bits(&adamw);
    lo_recipe bf16 = recipe;
    bf16.precision = LO_BF16;
    check_same_bits(&bf16);
}

/* Bits of an outcome do not depend on which examples are evaluated with it. */
static void test_evaluation_of_parts(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){3, 9, 8}, 4, 40, 150);
    lo_trainer *trainer = trainer_of("cnn", &recipe, &data->dataset);
    lo_error err;
    float whole[150], part[150], logits[150 * 4];
    uint8_t correct[19];
    (void)train_and_evaluate(trainer, data, 1, -1);
    assert_int_equal(lo_trainer_evaluate(trainer, &data->dataset.test, NULL, correct, whole, &err), LO_OK);
    lo_examples some = data->dataset.test;
    some.pixel += 77 * lo_shape_size(data->dataset.shape);
    some.label += 77;
    some.count -= 77;
    assert_int_equal(lo_trainer_evaluate(trainer, &some, NULL, NULL, part, &err), LO_OK);
    assert_memory_equal(whole + 77, part, (size_t)some.count * sizeof(float));

    /* Margins and bits against the logits, by the definition. */
    assert_int_equal(lo_trainer_logits(trainer, &data->dataset.test, NULL, logits, &err), LO_OK);
    for (size_t i = 0; i < 150; i++) {
        const int32_t y = data->dataset.test.label[i];
        double others = 0, best = -INFINITY;
        for (int32_t k = 0; k < 4; k++) {
            const double z = (double)logits[i * 4 + (size_t)k];
            others += k != y ? exp(z) : 0;
            best = k != y ? fmax(best, z) : best;
        }
        const double own = (double)logits[i * 4 + (size_t)y];
        assert_true(fabs(own - log(others) - (double)whole[i]) < 1e-5 * (1 + fabs(own)));
        assert_int_equal(correct[i / 8] >> i % 8 & 1, own > best ? 1 : 0);
    }
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

/* Batch 16 of 33 and 17 examples: last batches of one. */
static void test_last_batch_of_one(void **state)
{
    (void)state;
    const char *presets[] = {"linear", "mlp", "cnn"};
    for (int i = 0; i < 3; i++) {
        nn_data *data = nn_data_create((lo_shape){2, 8, 8}, 2, 33, 10);
        lo_trainer *trainer = trainer_of(presets[i], &recipe, &data->dataset);
        const result r = train_and_evaluate(trainer, data, 5, -1);
        assert_false(r.training.diverged);
        assert_true(isfinite(r.training.loss) && isfinite(r.margin[9]));
        lo_training out;
        lo_error err;
        const uint32_t only = 32;
        assert_int_equal(lo_trainer_run(trainer, 5, &only, 1, NULL, &out, &err), LO_OK);
        assert_true(isfinite(out.loss));
        lo_trainer_destroy(&trainer);
        nn_data_destroy(data);
    }
}

static void test_learns(void **state)
{
    (void)state;
    const char *presets[] = {"linear", "mlp", "cnn"};
    nn_data *data = nn_data_create((lo_shape){1, 12, 12}, 3, 120, 60);
    lo_recipe longer = recipe;
    longer.epochs = 20;
    for (int i = 0; i < 3; i++) {
        lo_trainer *trainer = trainer_of(presets[i], &longer, &data->dataset);
        const result r = train_and_evaluate(trainer, data, 5, -1);
        assert_true(r.training.accuracy > 0.9);
        int right = 0;
        for (int j = 0; j < 60; j++) {
            right += r.correct[j / 8] >> j % 8 & 1;
        }
        assert_true(right > 45); /* of 60; chance is 20 */
        lo_trainer_destroy(&trainer);
    }
    nn_data_destroy(data);
}

static void test_divergence(void **state)
{
    (void)state;
    const char *presets[] = {"linear", "mlp", "cnn"};
    nn_data *data = nn_data_create((lo_shape){1, 12, 12}, 3, 64, 10);
    lo_recipe wild = recipe;
    wild.lr = 1e6;
    wild.epochs = 30;
    for (int i = 0; i < 3; i++) {
        lo_trainer *trainer = trainer_of(presets[i], &wild, &data->dataset);
        lo_trainer *calm = trainer_of(presets[i], &recipe, &data->dataset);
        result r = train_and_evaluate(trainer, data, 5, -1);
        if (strcmp(presets[i], "linear") != 0) {
            assert_true(r.training.diverged);
        }
        if (r.training.diverged) {
            for (int j = 0; j < 10; j++) {
                assert_true(isnan(r.margin[j]));
            }
            assert_int_equal(r.correct[0] | r.correct[1], 0);
        }
        lo_trainer_destroy(&trainer);
        r = train_and_evaluate(calm, data, 5, -1);
        assert_false(r.training.diverged);
        lo_trainer_destroy(&calm);
    }
    nn_data_destroy(data);
}

/* What came before a divergence, and the divergence itself, leave nothing behind in the trainer. */
static void test_after_divergence(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 12, 12}, 3, 64, 10);
    lo_trainer *trainer = trainer_of("cnn", &recipe, &data->dataset);
    const result before = train_and_evaluate(trainer, data, 5, -1);
    lo_network *network = lo_trainer_network(trainer);
    for (size_t i = 0; i < network->weight_size; i++) {
        network->weights[i] = NAN;
    }
    float margin[10];
    uint8_t correct[2];
    lo_error err;
    assert_int_equal(lo_trainer_evaluate(trainer, &data->dataset.test, NULL, correct, margin, &err), LO_OK);
    assert_true(isnan(margin[0]) && correct[0] == 0 && correct[1] == 0);
    const result after = train_and_evaluate(trainer, data, 5, -1);
    assert_memory_equal(&before, &after, sizeof(before));
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

static lo_status stop_at_zero(void *self)
{
    int *left = self;
    return --*left <= 0 ? LO_STOPPED : LO_OK;
}

static void test_ticks(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 12, 12}, 3, 64, 10);
    lo_trainer *trainer = trainer_of("cnn", &recipe, &data->dataset);
    uint32_t members[64];
    for (uint32_t i = 0; i < 64; i++) {
        members[i] = i;
    }
    lo_training out;
    lo_error err;
    int left = 25;
    const lo_tick tick = {stop_at_zero, &left};
    assert_int_equal(lo_trainer_run(trainer, 1, members, 64, &tick, &out, &err), LO_STOPPED);
    assert_int_equal(left, 0);
    left = 1;
    assert_int_equal(lo_trainer_evaluate(trainer, &data->dataset.test, &tick, NULL, NULL, &err), LO_STOPPED);
    left = 1000000; /* 8 steps of 5 layers, forward and backward, at least one tick each */
    assert_int_equal(lo_trainer_run(trainer, 1, members, 64, &tick, &out, &err), LO_OK);
    assert_true(1000000 - left >= 8 * 10);
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

static void test_wrong_use(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 7, 12}, 3, 20, 10);
    lo_trainer *trainer = NULL;
    lo_error err;
    lo_model_spec model = {.preset = "resnet"};
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "resnet"));
    assert_non_null(strstr(err.text, "linear mlp cnn"));
    assert_null(trainer);
    model.preset = "cnn";
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "7 x 12"));
    model = (lo_model_spec){.preset = "mlp", .hidden = {0}, .hidden_count = 1};
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "linear1"));
    lo_recipe empty = recipe;
    empty.batch = 0;
    model = (lo_model_spec){.preset = "mlp"};
    assert_int_equal(lo_trainer_create(&model, &empty, &data->dataset, &trainer, &err), LO_USAGE);
    lo_recipe unknown = recipe;
    unknown.schedule = lo_schedule_named("triangle");
    assert_int_equal(lo_trainer_create(&model, &unknown, &data->dataset, &trainer, &err), LO_USAGE);
    unknown = recipe;
    unknown.optimizer = lo_optimizer_named("adam");
    assert_int_equal(lo_trainer_create(&model, &unknown, &data->dataset, &trainer, &err), LO_USAGE);
    unknown.optimizer = LO_OPTIMIZER_ADAMW; /* epsilon is 0 */
    assert_int_equal(lo_trainer_create(&model, &unknown, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "epsilon"));
    trainer = trainer_of("mlp", &recipe, &data->dataset);
    const uint32_t beyond = 20, descending[] = {5, 4};
    lo_training out;
    assert_int_equal(lo_trainer_run(trainer, 1, &beyond, 1, NULL, &out, &err), LO_USAGE);
    assert_int_equal(lo_trainer_run(trainer, 1, &beyond, 0, NULL, &out, &err), LO_USAGE);
    assert_int_equal(lo_trainer_run(trainer, 1, descending, 2, NULL, &out, &err), LO_USAGE);
    lo_trainer_destroy(&trainer);
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

static void test_environment(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 8, 8}, 3, 20, 10);
    const lo_model_spec model = {.preset = "linear"};
    lo_trainer *trainer = NULL;
    lo_error err;
    assert_int_equal(setenv("LEAVEOUT_ISA", "abacus", 1), 0);
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "abacus"));
    assert_int_equal(setenv("LEAVEOUT_ISA", "portable", 1), 0);
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_OK);
    assert_string_equal(lo_trainer_network(trainer)->kernels->name, "portable");
    assert_int_equal(unsetenv("LEAVEOUT_ISA"), 0);
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

static float a_denormal(void)
{
    volatile float tiny = 1e-38F;
    tiny = tiny / 16;
    return tiny;
}

static lo_status watch_denormals(void *self)
{
    float *largest = self;
    const float here = a_denormal();
    *largest = here > *largest ? here : *largest;
    return LO_OK;
}

/* While a trainer computes a step, denormal numbers are zero; its caller's are not. */
static void test_denormals(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 8, 8}, 3, 20, 10);
    lo_trainer *trainer = trainer_of("linear", &recipe, &data->dataset);
    float largest = 0;
    const lo_tick tick = {watch_denormals, &largest};
    lo_error err;
    assert_true(a_denormal() > 0);
    assert_int_equal(lo_trainer_evaluate(trainer, &data->dataset.test, &tick, NULL, NULL, &err), LO_OK);
    assert_true(a_denormal() > 0);
#if defined(__x86_64__) || defined(__aarch64__)
    assert_true(largest == 0);
#endif
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

static void test_bench(void **state)
{
    (void)state;
    lo_bench bench;
    lo_error err;
    const lo_model_spec mlp = {.preset = "mlp"}, unknown = {.preset = "lp"};
    const lo_shape shape = {1, 28, 28};
    assert_int_equal(lo_bench_train(&mlp, shape, LO_F32, 32, 0.05, &bench, &err), LO_OK);
    assert_true(bench.images_per_s > 0 && bench.peak_gflops > 0);
    assert_true(fabs(bench.share_of_peak - bench.gflops / bench.peak_gflops) < 1e-12);
    assert_true(fabs(bench.gflops - bench.images_per_s * (4.0 * 784 * 512 + 6.0 * 512 * 10) * 1e-9) <
                1e-9 * bench.gflops);
    assert_int_equal(lo_bench_train(&mlp, shape, LO_F32, 0, 1, &bench, &err), LO_USAGE);
    assert_int_equal(lo_bench_train(&unknown, shape, LO_F32, 1, 1, &bench, &err), LO_USAGE);
}

static void test_sizes(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 28, 28}, 10, 20, 10);
    const lo_model_spec model[] = {{.preset = "linear"}, {.preset = "mlp"}, {.preset = "cnn"}};
    const int64_t parameters[] = {7850, 407050, 94186}; /* as PyTorch counts them */
    for (int i = 0; i < 3; i++) {
        lo_trainer *trainer = NULL;
        lo_error err;
        assert_int_equal(lo_trainer_create(&model[i], &recipe, &data->dataset, &trainer, &err), LO_OK);
        assert_int_equal(lo_trainer_parameters(trainer), parameters[i]);
        assert_true(lo_trainer_memory(trainer) >= (size_t)parameters[i] * 3 * sizeof(float));
        assert_true(lo_trainer_step_flops(trainer) > (double)parameters[i] * 3);
        lo_trainer_destroy(&trainer);
    }
    assert_true(strlen(lo_processor_type()) > 10);
    assert_non_null(strstr(lo_processor_type(), lo_kernels_chosen(LO_F32)->name));
    assert_string_equal(lo_preset_at(0)->name, "linear");
    assert_null(lo_preset_at(lo_preset_count()));
    nn_data_destroy(data);
}

/* Initial weights: uniform in +-1/sqrt(fan in), and each keyed by its own number. */
static void test_initial_weights(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){1, 28, 28}, 10, 20, 10);
    lo_trainer *trainer = NULL;
    lo_error err;
    const lo_model_spec model = {.preset = "mlp"};
    assert_int_equal(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err), LO_OK);
    lo_network *network = lo_trainer_network(trainer);
    assert_int_equal(lo_network_initialize(network, 3, 11, NULL), LO_OK);
    const size_t count = 512 * 784;
    float *w = malloc(count * sizeof(float));
    assert_non_null(w);
    lo_network_get(network, lo_network_find(network, "linear1.weight"), LO_VALUES, w);
    double mean = 0, square = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        mean += (double)w[i] / (double)count;
        square += (double)w[i] * (double)w[i] / (double)count;
        largest = fmax(largest, fabs((double)w[i]));
    }
    const double bound = 1 / sqrt(784.0);
    assert_true(largest <= bound && largest > 0.999 * bound);
    assert_true(fabs(mean) < 0.01 * bound);
    assert_true(fabs(square - bound * bound / 3) < 0.01 * bound * bound);
    free(w);

    /* Value i, counted through weight, bias, weight, bias, is number i of the model's stream. */
    const lo_random random = lo_random_make(3, LO_FOR_WEIGHTS);
    float bias[512], last[10];
    lo_network_get(network, lo_network_find(network, "linear1.bias"), LO_VALUES, bias);
    lo_network_get(network, lo_network_find(network, "linear2.bias"), LO_VALUES, last);
    for (size_t i = 0; i < 512; i++) {
        const double expected = bound * (2 * (double)lo_random_unit(random, 11, count + i) - 1);
        assert_true(fabs((double)bias[i] - expected) < 1e-7);
    }
    const double number_nine = (double)lo_random_unit(random, 11, count + 512 + 5120 + 9);
    assert_true(fabs((double)last[9] - (2 * number_nine - 1) / sqrt(512.0)) < 1e-7);
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

/* A whole training is its steps: epochs in their order, batches of which the last is smaller, the schedule
 * step by step. */
static void test_training_is_its_steps(void **state)
{
    (void)state;
    enum { COUNT = 37, BATCH = 16, EPOCHS = 2, STEPS = 6 };
    nn_data *data = nn_data_create((lo_shape){1, 9, 9}, 4, 50, 30);
    lo_trainer *trainer = trainer_of("cnn", &recipe, &data->dataset);
    lo_trainer *replay = trainer_of("cnn", &recipe, &data->dataset);
    uint32_t members[COUNT], order[COUNT];
    lo_order_entry work[2 * COUNT];
    lo_training out;
    lo_error err;
    for (uint32_t i = 0; i < COUNT; i++) {
        members[i] = i + 5;
    }
    assert_int_equal(lo_trainer_run(trainer, 9, members, COUNT, NULL, &out, &err), LO_OK);

    double loss_sum = 0;
    int64_t correct = 0;
    assert_int_equal(lo_network_initialize(lo_trainer_network(replay), recipe.seed, 9, NULL), LO_OK);
    for (int step = 0; step < STEPS; step++) {
        const size_t from = (size_t)(step % 3) * BATCH, size = step % 3 == 2 ? 5 : BATCH;
        const double lr = 0.05 / 2 * (1 + cos(M_PI * step / STEPS));
        double loss = 0;
        if (step % 3 == 0) {
            lo_epoch_order(recipe.seed, 9, step / 3, members, COUNT, work, order);
            loss_sum = 0;
            correct = 0;
        }
        assert_int_equal(lo_trainer_step(replay, order + from, size, lr, NULL, &loss, &correct), LO_OK);
        loss_sum += loss * (double)size;
    }
    const lo_network *a = lo_trainer_network(trainer), *b = lo_trainer_network(replay);
    assert_memory_equal(a->weights, b->weights, a->weight_size * sizeof(float));
    assert_memory_equal(a->statistics, b->statistics, a->statistic_size * sizeof(float));
    assert_true(fabs(out.loss - loss_sum / COUNT) < 1e-12);
    assert_true(fabs(out.accuracy - (double)correct / COUNT) < 1e-12);
    lo_trainer_destroy(&trainer);
    lo_trainer_destroy(&replay);
    nn_data_destroy(data);
}

static void test_outcomes_of_logits(void **state)
{
    (void)state;
    const float tie[] = {1, 3, 3, 2}, far[] = {-2000, 2000, 0}, equal[] = {5, 5, 5}, none[] = {1, NAN, 0};
    const float endless[] = {0, INFINITY};
    assert_true(lo_is_correct(tie, 4, 1)); /* ties go to the lower class */
    assert_false(lo_is_correct(tie, 4, 2));
    assert_false(lo_is_correct(tie, 4, 3));
    assert_true(lo_is_correct(equal, 3, 0));
    assert_false(lo_is_correct(none, 3, 0) || lo_is_correct(none, 3, 1) || lo_is_correct(none, 3, 2));
    assert_true(lo_logit_margin(far, 3, 1) == 2000);
    assert_true(lo_logit_margin(far, 3, 0) == -4000);
    assert_true(fabsf(lo_logit_margin(equal, 3, 2) + logf(2)) < 1e-6F);
    assert_true(isnan(lo_logit_margin(none, 3, 0)));
    assert_true(lo_logit_margin(endless, 2, 1) == INFINITY);
    assert_true(lo_logit_margin(endless, 2, 0) == -INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_without_one),
        cmocka_unit_test(test_learning_rates),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_evaluation_of_parts),
        cmocka_unit_test(test_last_batch_of_one),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_after_divergence),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_training_is_its_steps),
        cmocka_unit_test(test_outcomes_of_logits),
        cmocka_unit_test(test_initial_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
