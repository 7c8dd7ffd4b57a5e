/* Pupils: batches, steps, sums, permission, account; and the methods that are little more than these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/loss.h"
#include "unlearn/common.h"

#include "unlearn_data.h"

#include <math.h>

/* Every example once an epoch, none more, none left out; orders differ. */
static void test_feed(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_feed *feed = NULL;
    lo_batch batch;
    uint32_t first[2] = {0};
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 9, NULL, &err), &err);
    unlearn_check(lo_feed_retain(u->pupil, &u->request, 0, &feed, &err), &err);
    assert_int_equal(lo_feed_batches(feed), (u->request.retain_count + 8) / 9);
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[UNLEARN_TRAIN] = {0};
        int64_t total = 0, batches = 0;
        while (lo_feed_next(feed, &batch)) {
            first[epoch] = total == 0 ? batch.row[0] : first[epoch];
            assert_int_equal(batch.epoch, epoch);
            batches++;
            for (size_t i = 0; i < batch.count; i++) {
                seen[batch.row[i]]++;
                total++;
            }
        }
        assert_int_equal(batches, lo_feed_batches(feed));
        assert_int_equal(total, u->request.retain_count);
        for (int64_t i = 0; i < total; i++) {
            assert_int_equal(seen[u->request.retain[i]], 1);
        }
    }
    assert_int_not_equal(first[0], first[1]);
    lo_feed_close(&feed);
    unlearn_close(u);
}

/* A set that is not permitted, and an example that is in none. */
static void test_permission(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_measure measure;
    const uint32_t stranger = 10;
    const lo_members none = {.rows = &stranger, .count = 1};
    const lo_members forget = lo_members_forget(&u->request), retain = lo_members_retain(&u->request),
                     validation = lo_members_validation(&u->request);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    assert_int_equal(lo_pupil_measure(u->pupil, &none, false, 0, 0, &measure, &err), LO_INTERNAL);
    assert_non_null(strstr(err.text, "example 10"));
    lo_pupil_permit(u->pupil, LO_READS_FORGET);
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    assert_int_equal(lo_pupil_measure(u->pupil, &retain, false, 0, 0, &measure, &err), LO_INTERNAL);
    assert_non_null(strstr(err.text, "retain"));
    assert_int_equal(lo_pupil_measure(u->pupil, &validation, false, 0, 0, &measure, &err), LO_INTERNAL);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 2 * u->request.forget_count);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 0);

    /* A method that lies about what it reads is found out. */
    lo_item *item = NULL;
    const lo_unlearn_method *method = unlearn_method(u, "finetune", &item);
    assert_int_equal(method->run(u->pupil, &u->request, item, NULL, &err), LO_INTERNAL);
    unlearn_close(u);
}

/* Counted: a part's retained examples that the whole request forgets are forget examples. */
static void test_parts_of_requests(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_measure measure;
    lo_request part = u->request;
    part.whole = &u->request;
    part.forget_count = 1;
    part.retain = u->request.forget + 1;
    part.retain_count = 4;
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_begin(u->pupil, &part, 0, NULL, &err), &err);
    lo_pupil_permit(u->pupil, LO_READS_RETAIN);
    const lo_members retain = lo_members_retain(&part), rest = {.rows = u->request.forget + 5, .count = 1};
    unlearn_check(lo_pupil_measure(u->pupil, &retain, false, 0, 0, &measure, &err), &err);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 4);
    assert_int_equal(lo_pupil_measure(u->pupil, &rest, false, 0, 0, &measure, &err), LO_INTERNAL);
    unlearn_close(u);
}

/* Retraining is a training on the retain set: the same bits, whatever it starts from. */
static void expect_training(unlearn_data *u, const char *start)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    lo_training training;
    unlearn_run(u, "retrain");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 4 * u->request.retain_count);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 0);
    unlearn_check(lo_trainer_create(&u->model, &u->recipe, &u->data->dataset, &trainer, &err), &err);
    if (start != NULL) {
        unlearn_check(lo_trainer_start_from(trainer, start, &err), &err);
    }
    unlearn_check(lo_trainer_run(trainer, lo_pupil_key(u->pupil, LO_USE_WEIGHTS), u->request.retain,
                                 u->request.retain_count, NULL, &training, &err),
                  &err);
    const lo_network *a = lo_pupil_network(u->pupil), *b = lo_trainer_network(trainer);
    assert_memory_equal(a->weights, b->weights, a->weight_size * sizeof(float));
    assert_memory_equal(a->statistics, b->statistics, a->statistic_size * sizeof(float));
    lo_trainer_destroy(&trainer);
}

/* The oracle is a training, from fresh weights or from a file. */
static void test_retrain(void **state)
{
    (void)state;
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u =
        unlearn_open("[{conv: 6}, batch_norm, relu, flatten, {dropout: 0.2}, {linear: 4}]", &augment);
    lo_error err = {""};
    expect_training(u, NULL);
    /* Nothing of the original is left: no weight has its value. */
    const lo_network *a = lo_pupil_network(u->pupil);
    for (int k = 0; k < a->parameter_count; k++) {
        const lo_parameter *p = &a->parameter[k];
        for (size_t i = 0; i < p->out && !p->statistic; i++) {
            assert_true(a->weights[p->offset + i] != lo_pupil_original(u->pupil)[p->offset + i]);
        }
    }
    float *fresh = unlearn_weights(u);
    unlearn_check(lo_pupil_start_from(u->pupil, u->original, &err), &err);
    expect_training(u, u->original);
    float *continued = unlearn_weights(u);
    assert_memory_not_equal(fresh, continued, unlearn_weights_size(u));
    free(fresh);
    free(continued);
    unlearn_close(u);
}

/* With a file to start from, what a method resets and a fresh teacher are of random weights all the same. */
static void test_start_is_of_trainings_alone(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    static const char *const methods[] = {"{name: del, epochs: 1}", "{name: bad_teacher, epochs: 1}"};
    for (int i = 0; i < 2; i++) {
        unlearn_run(u, methods[i]);
        float *before = unlearn_weights(u);
        unlearn_check(lo_pupil_start_from(u->pupil, u->original, &err), &err);
        unlearn_run(u, methods[i]);
        float *after = unlearn_weights(u);
        assert_memory_equal(before, after, unlearn_weights_size(u));
        free(before);
        free(after);
    }
    unlearn_close(u);
}

/* With the recipe's own settings and one epoch, fine-tuning is the training's steps. */
static void test_finetune(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    lo_training training;
    lo_recipe recipe = u->recipe;
    recipe.epochs = 2;
    recipe.schedule = LO_SCHEDULE_CONSTANT;
    unlearn_run(u, "{name: finetune, epochs: 2, lr: 0.05}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 2 * u->request.retain_count);
    unlearn_check(lo_trainer_create(&u->model, &recipe, &u->data->dataset, &trainer, &err), &err);
    unlearn_check(lo_trainer_start_from(trainer, u->original, &err), &err);
    unlearn_check(lo_trainer_run(trainer, lo_pupil_key(u->pupil, LO_USE_RETAIN), u->request.retain,
                                 u->request.retain_count, NULL, &training, &err),
                  &err);
    const lo_network *a = lo_pupil_network(u->pupil), *b = lo_trainer_network(trainer);
    assert_memory_equal(a->weights, b->weights, a->weight_size * sizeof(float));
    assert_memory_equal(a->statistics, b->statistics, a->statistic_size * sizeof(float));
    lo_trainer_destroy(&trainer);
    unlearn_close(u);
}

/* Gradients of two batches add up to that of one, in evaluation mode. */
static void test_gradients_add_up(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD, .lr = 1};
    lo_network *network = lo_pupil_network(u->pupil);
    float *after[2];
    for (int parts = 1; parts <= 2; parts++) {
        unlearn_reload(u);
        unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
        unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
        lo_pupil_set_training(u->pupil, false);
        double share = 1.0 / parts;
        for (int part = 0; part < parts; part++) {
            lo_batch batch = {.row = u->request.retain + 6 * part, .count = parts == 1 ? 12 : 6};
            unlearn_check(lo_pupil_learn(u->pupil, &batch, lo_loss_mean, &share, &err), &err);
        }
        assert_int_equal(lo_pupil_step(u->pupil, 1), LO_OK);
        after[parts - 1] = unlearn_weights(u);
    }
    double moved = 0, differs = 0;
    for (size_t i = 0; i < network->weight_size; i++) {
        moved += pow((double)after[0][i] - (double)lo_pupil_original(u->pupil)[i], 2);
        differs += pow((double)after[0][i] - (double)after[1][i], 2);
    }
    assert_true(moved > 1e-6);
    assert_true(sqrt(differs) < 1e-5 * sqrt(moved));
    free(after[0]);
    free(after[1]);
    unlearn_close(u);
}

/* What is masked keeps its bits under momentum and weight decay, and what is reset is fresh. */
static void test_masks(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    const lo_network *network = lo_pupil_network(u->pupil);
    const size_t size = lo_pupil_size(u->pupil);
    uint8_t *chosen = calloc(size, 1);
    assert_non_null(chosen);
    for (size_t i = 0; i < size; i++) {
        chosen[i] = lo_random_unit(lo_random_make(3, LO_FOR_TEST), 0, i) < 0.3F;
    }
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_reset(u->pupil, chosen, 99, &err), &err);
    float *reset = unlearn_weights(u);
    lo_pupil_renew(u->pupil, 99);
    float *fresh = unlearn_weights(u);
    unlearn_reload(u);
    const float *original = lo_pupil_original(u->pupil);
    size_t at = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        for (size_t o = 0; o < p->out && !p->statistic; o++) {
            for (size_t i = 0; i < p->in; i++) {
                for (size_t t = 0; t < p->taps; t++, at++) {
                    const size_t place = p->offset + o * p->out_step + i * p->in_step + t * p->tap_step;
                    assert_true(reset[place] == (chosen[at] != 0 ? fresh[place] : original[place]));
                }
            }
        }
    }
    assert_int_equal(at, size);
    assert_memory_equal(reset + network->weight_size, original + network->weight_size,
                        network->statistic_size * sizeof(float));
    free(reset);
    free(fresh);
    free(chosen);
    unlearn_close(u);
}

/* Sums do not depend on the batch; they are the derivative of the sum of the losses. */
static void test_sums(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    const size_t size = lo_pupil_size(u->pupil);
    const lo_members forget = lo_members_forget(&u->request);
    double *sum[2];
    for (int i = 0; i < 2; i++) {
        sum[i] = calloc(size, sizeof(double));
        unlearn_check(lo_pupil_begin(u->pupil, &u->request, i == 0 ? 5 : 100, NULL, &err), &err);
        unlearn_check(lo_pupil_gradients(u->pupil, &forget, false, sum[i], &err), &err);
    }
    assert_memory_equal(sum[0], sum[1], size * sizeof(double));
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD, .lr = 1};
    unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
    lo_pupil_set_training(u->pupil, false);
    lo_batch batch = {.row = u->request.forget, .count = (size_t)u->request.forget_count};
    double share = (double)batch.count;
    unlearn_check(lo_pupil_learn(u->pupil, &batch, lo_loss_mean, &share, &err), &err);
    const lo_network *network = lo_pupil_network(u->pupil);
    double differs = 0, norm = 0;
    size_t at = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        for (size_t i = 0; i < p->out * p->in * p->taps && !p->statistic; i++, at++) {
            const size_t place = p->offset + i / p->taps / p->in * p->out_step +
                                 i / p->taps % p->in * p->in_step + i % p->taps * p->tap_step;
            differs += pow(sum[0][at] - (double)network->gradient[place], 2);
            norm += sum[0][at] * sum[0][at];
        }
    }
    assert_true(norm > 0 && sqrt(differs) < 1e-5 * sqrt(norm));
    free(sum[0]);
    free(sum[1]);
    unlearn_close(u);
}

/* Ascent that runs away is found out, and said without an error. */
static void test_divergence(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    unlearn_run(u, "{name: neggrad, lr: 1.0e+6, epochs: 30}");
    assert_true(lo_pupil_diverged(u->pupil));
    unlearn_run(u, "{name: neggrad, lr: 1.0e-4}");
    assert_false(lo_pupil_diverged(u->pupil));
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 5 * u->request.forget_count);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 0);
    unlearn_run(u, "{name: neggrad, lr: 0.05, epochs: 100, stop_accuracy: 0.3}");
    assert_true(lo_pupil_shown(u->pupil, LO_SET_FORGET) < 100 * u->request.forget_count);
    unlearn_close(u);
}

/* Bits depend on the request and the settings, not on what the pupil did before. */
static void test_repeatable(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    unlearn_run(u, "{name: neggrad_plus, epochs: 2}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 2 * u->request.retain_count);
    float *first = unlearn_weights(u);
    unlearn_run(u, "{name: finetune, batch: 100, optimizer: adamw, epochs: 1}");
    unlearn_run(u, "{name: neggrad_plus, epochs: 2}");
    float *second = unlearn_weights(u);
    assert_memory_equal(first, second, unlearn_weights_size(u));
    free(first);
    free(second);
    unlearn_close(u);
}

static void test_bad_requests(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    uint32_t position[2] = {4, 4};
    lo_request bad = u->request;
    bad.forget_count = 0;
    unlearn_refused(u, &bad, "neggrad", "is empty");
    bad = u->request;
    bad.retain_count = 3;
    unlearn_refused(u, &bad, "finetune", "more than the 3 retained");
    bad = u->request;
    bad.forget = position;
    bad.forget_count = 2;
    unlearn_refused(u, &bad, "finetune", "position 1 of its forget set is 4");
    position[1] = UNLEARN_TRAIN;
    unlearn_refused(u, &bad, "finetune", "are below 150");
    position[1] = u->request.retain[20];
    unlearn_refused(u, &bad, "finetune", "both forgotten and retained");
    unlearn_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_parts_of_requests),
        cmocka_unit_test(test_retrain),
        cmocka_unit_test(test_start_is_of_trainings_alone),
        cmocka_unit_test(test_finetune),
        cmocka_unit_test(test_gradients_add_up),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
