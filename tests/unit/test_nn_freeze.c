/* Frozen parameters and masks: bits that no optimizer changes, and everything else as if they learnt. */
#include "base/random.h"
#include "nn/trainer.h"

#include "nn_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 12, STEPS = 4 };

static const char layers[] = "[{conv: 6}, batch_norm, relu, {max_pool: 2}, {conv: 5, stride: 2}, gelu, "
                             "{residual: [{conv: 5}]}, layer_norm, flatten, {linear: 4}]";

static const lo_recipe recipes[] = {
    {.epochs = 1, .batch = EXAMPLES, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.1},
    {.epochs = 1,
     .batch = EXAMPLES,
     .lr = 0.05,
     .momentum = 0.9,
     .weight_decay = 0.1,
     .nesterov = true,
     .clip_norm = 0.1},
    {.epochs = 1,
     .batch = EXAMPLES,
     .optimizer = LO_OPTIMIZER_ADAMW,
     .lr = 0.01,
     .weight_decay = 0.3,
     .beta1 = 0.9,
     .beta2 = 0.999,
     .epsilon = 1e-8},
};
enum { RECIPES = sizeof(recipes) / sizeof(recipes[0]) };

static lo_trainer *open_trainer(const lo_recipe *recipe, const lo_dataset *dataset)
{
    const lo_model_spec model = {.preset = "layers", .layers = layers};
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    if (lo_trainer_create(&model, recipe, dataset, &trainer, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(lo_network_initialize(lo_trainer_network(trainer), 1, 1, NULL), LO_OK);
    return trainer;
}

static void take_steps(lo_trainer *trainer, double lr, int steps)
{
    uint32_t rows[EXAMPLES];
    for (uint32_t i = 0; i < EXAMPLES; i++) {
        rows[i] = i;
    }
    for (int i = 0; i < steps; i++) {
        double loss = 0;
        int64_t correct = 0;
        assert_int_equal(lo_trainer_step(trainer, rows, EXAMPLES, lr, NULL, &loss, &correct), LO_OK);
    }
}

static float *copy_weights(const lo_network *network)
{
    float *copy = malloc(network->weight_size * sizeof(float));
    assert_non_null(copy);
    memcpy(copy, network->weights, network->weight_size * sizeof(float));
    return copy;
}

/* Each parameter frozen alone, before and after the others have momentum. */
static void test_frozen(void **state)
{
    (void)state;
    nn_data *data = nn_data_create((lo_shape){3, 9, 8}, 4, EXAMPLES, 2);
    for (int r = 0; r < RECIPES; r++) {
        lo_trainer *trainer = open_trainer(&recipes[r], &data->dataset);
        lo_network *network = lo_trainer_network(trainer);
        lo_error err = {""};
        take_steps(trainer, recipes[r].lr, 1);
        for (int k = 0; k < network->parameter_count; k++) {
            const lo_parameter *p = &network->parameter[k];
            if (p->statistic) {
                assert_int_equal(lo_network_freeze(network, p->name, true, &err), LO_USAGE);
                continue;
            }
            assert_int_equal(lo_network_freeze(network, p->name, true, &err), LO_OK);
            float *before = copy_weights(network);
            take_steps(trainer, recipes[r].lr, 2);
            for (int j = 0; j < network->parameter_count; j++) {
                const lo_parameter *q = &network->parameter[j];
                const bool same =
                    memcmp(before + q->offset, network->weights + q->offset, q->size * sizeof(float)) == 0;
                if (!q->statistic && same != (j == k)) {
                    fail_msg("recipe %d: %s frozen, %s %s", r, p->name, q->name, same ? "stayed" : "changed");
                }
            }
            free(before);
            assert_int_equal(lo_network_freeze(network, p->name, false, &err), LO_OK);
        }
        lo_trainer_destroy(&trainer);
    }
    nn_data_destroy(data);
}

/* A whole part of the network frozen: the rest takes the same steps as if the gradients of that part had been
 * computed and thrown away. */
static void test_frozen_below(void **state)
{
    (void)state;
    static const char *const below[] = {"conv1.weight", "batch_norm1.weight", "batch_norm1.bias",
                                        "conv2.weight", "conv2.bias"};
    nn_data *data = nn_data_create((lo_shape){3, 9, 8}, 4, EXAMPLES, 2);
    lo_trainer *frozen = open_trainer(&recipes[0], &data->dataset),
               *masked = open_trainer(&recipes[0], &data->dataset);
    lo_network *a = lo_trainer_network(frozen), *b = lo_trainer_network(masked);
    uint8_t none[1024] = {0};
    lo_error err = {""};
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        assert_int_equal(lo_network_freeze(a, below[i], true, &err), LO_OK);
        assert_int_equal(lo_network_mask(b, below[i], none, &err), LO_OK);
    }
    take_steps(frozen, 0.05, STEPS);
    take_steps(masked, 0.05, STEPS);
    assert_memory_equal(a->weights, b->weights, a->weight_size * sizeof(float));
    assert_memory_equal(a->statistics, b->statistics, a->statistic_size * sizeof(float));
    assert_true(a->layer[0]->frozen && a->layer[1]->frozen && !a->layer[3]->frozen);
    assert_int_equal(lo_network_freeze(a, "no.such", true, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "no.such"));
    lo_trainer_destroy(&frozen);
    lo_trainer_destroy(&masked);
    nn_data_destroy(data);
}

/* Random halves of every parameter: held elements keep their bits, all others change; taken back, they
 * change. */
static void test_masks(void **state)
{
    (void)state;
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    nn_data *data = nn_data_create((lo_shape){3, 9, 8}, 4, EXAMPLES, 2);
    for (int r = 0; r < RECIPES; r++) {
        lo_trainer *trainer = open_trainer(&recipes[r], &data->dataset);
        lo_network *network = lo_trainer_network(trainer);
        lo_error err = {""};
        uint8_t trained[1024];
        float before[1024], after[1024];
        take_steps(trainer, recipes[r].lr, 1); /* there is momentum */
        for (int k = 0; k < network->parameter_count; k++) {
            const lo_parameter *p = &network->parameter[k];
            const size_t count = p->out * p->in * p->taps;
            assert_in_range(count, 1, 1024);
            if (p->statistic) {
                continue;
            }
            for (size_t i = 0; i < count; i++) {
                trained[i] = (uint8_t)lo_random_below(random, (uint64_t)k, i, 2);
            }
            lo_network_get(network, p, LO_VALUES, before);
            assert_int_equal(lo_network_mask(network, p->name, trained, &err), LO_OK);
            take_steps(trainer, recipes[r].lr, 2);
            lo_network_get(network, p, LO_VALUES, after);
            for (size_t i = 0; i < count; i++) {
                const bool same = memcmp(&before[i], &after[i], sizeof(float)) == 0;
                if (trained[i] == 0 && !same) {
                    fail_msg("recipe %d: %s[%zu] changed", r, p->name, i);
                }
                assert_true(trained[i] == 0 || !same || before[i] == 0);
            }
            assert_int_equal(lo_network_mask(network, p->name, NULL, &err), LO_OK);
            take_steps(trainer, recipes[r].lr, 1);
            lo_network_get(network, p, LO_VALUES, after);
            assert_memory_not_equal(before, after, count * sizeof(float));
        }
        lo_trainer_destroy(&trainer);
    }
    nn_data_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frozen), cmocka_unit_test(test_frozen_below),
                                       cmocka_unit_test(test_masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
