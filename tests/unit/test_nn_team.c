/* Batches that are cut, and threads that share the slices. (Ranks: tests/mpi/test_team.c.) */
#include "nn/trainer.h"

#include "team_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static team_trace play(const team_scene *scene, const nn_data *data, int threads)
{
    lo_error err = {""};
    team_trace t;
    if (team_play(scene, data, NULL, threads, NULL, NULL, &t, &err) != LO_OK) {
        fail_msg("%s with %d threads: %s", scene->what, threads, err.text);
    }
    return t;
}

static void check_equal(const team_scene *scene, int threads, const team_trace *expected, team_trace *found)
{
    const char *difference = team_difference(expected, found);
    if (difference != NULL) {
        fail_msg("%s with %d threads: other %s", scene->what, threads, difference);
    }
    free(found->weights);
}

/* Any number of threads that divides the slices has the bits of one. */
static void test_threads(void **state)
{
    (void)state;
    nn_data *data = team_data();
    for (int i = 0; i < TEAM_SCENES; i++) {
        team_trace alone = play(&team_scenes[i], data, 1);
        assert_false(alone.training.diverged);
        for (int threads = 2; threads <= (i == 0 ? TEAM_SLICES : 4); threads *= 2) {
            team_trace t = play(&team_scenes[i], data, threads);
            check_equal(&team_scenes[i], threads, &alone, &t);
        }
        free(alone.weights);
    }
    nn_data_destroy(data);
}

static lo_trainer *trainer_of(const team_scene *scene, const nn_data *data, int slices, int batch,
                              int threads)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = team_model(scene);
    lo_recipe recipe = team_recipe(scene);
    recipe.slices = slices;
    recipe.batch = batch;
    if (lo_trainer_create_team(&model, &recipe, &data->dataset, NULL, threads, &trainer, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(lo_network_initialize(lo_trainer_network(trainer), 3, 5, NULL), LO_OK);
    lo_network_without_dropout(lo_trainer_network(trainer));
    return trainer;
}

static double take_step(lo_trainer *trainer, const uint32_t *rows, size_t count, int64_t *correct)
{
    double loss = 0;
    *correct = 0;
    assert_int_equal(lo_trainer_step(trainer, rows, count, 0, NULL, &loss, correct), LO_OK);
    return loss;
}

static const uint32_t rows[TEAM_BATCH] = {3, 1, 40, 12, 7, 9, 22, 31, 5, 4, 28, 17, 0, 39, 33, 2};

static double distance(const float *a, const float *b, size_t count)
{
    double gap = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        gap += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(gap / size);
}

/* A batch that is cut has the loss, the gradient and the running statistics of one that is not, but for
 * rounding: normalization is over the whole batch. */
static void test_against_whole(void **state)
{
    (void)state;
    nn_data *data = team_data();
    for (int i = 0; i < TEAM_SCENES; i++) {
        for (int count = TEAM_BATCH; count >= 5; count -= 11) {
            int64_t right[2];
            lo_trainer *whole = trainer_of(&team_scenes[i], data, 1, TEAM_BATCH, 1);
            lo_trainer *cut = trainer_of(&team_scenes[i], data, TEAM_SLICES, TEAM_BATCH, 2);
            const double expected = take_step(whole, rows, (size_t)count, &right[0]);
            const double found = take_step(cut, rows, (size_t)count, &right[1]);
            const lo_network *a = lo_trainer_network(whole), *b = lo_trainer_network(cut);
            assert_true(fabs(found - expected) < 1e-6 * fabs(expected));
            assert_int_equal(right[0], right[1]);
            if (a->statistic_size > 0) {
                assert_true(distance(b->statistics, a->statistics, a->statistic_size) < 1e-6);
            }
            const double gap = distance(b->gradient, a->gradient, a->weight_size);
            if (!(gap < 2e-5)) {
                fail_msg("%s, %d examples: gradients differ by %g", team_scenes[i].what, count, gap);
            }
            lo_trainer_destroy(&whole);
            lo_trainer_destroy(&cut);
        }
    }
    nn_data_destroy(data);
}

/* Without statistics of the batch, the gradient is, bit for bit, the tree's sum of those of each slice alone:
 * a mean over 2 examples is 8 times its share of a mean over 16, which is exact. */
static void test_tree(void **state)
{
    (void)state;
    nn_data *data = team_data();
    const team_scene *const plain[] = {&team_scenes[4], &team_scenes[5]};
    for (int i = 0; i < 2; i++) {
        int64_t right;
        lo_trainer *cut = trainer_of(plain[i], data, TEAM_SLICES, TEAM_BATCH, 1);
        lo_trainer *slice = trainer_of(plain[i], data, 1, TEAM_BATCH / TEAM_SLICES, 1);
        const size_t size = lo_trainer_network(cut)->weight_size;
        float *sum[TEAM_SLICES];
        (void)take_step(cut, rows, TEAM_BATCH, &right);
        for (size_t s = 0; s < TEAM_SLICES; s++) {
            sum[s] = malloc(size * sizeof(float));
            assert_non_null(sum[s]);
            (void)take_step(slice, rows + 2 * s, 2, &right);
            for (size_t k = 0; k < size; k++) {
                sum[s][k] = lo_trainer_network(slice)->gradient[k] / TEAM_SLICES;
            }
        }
        for (size_t k = 0; k < size; k++) {
            const float expected = ((sum[0][k] + sum[1][k]) + (sum[2][k] + sum[3][k])) +
                                   ((sum[4][k] + sum[5][k]) + (sum[6][k] + sum[7][k]));
            assert_true(lo_trainer_network(cut)->gradient[k] == expected);
        }
        for (size_t s = 0; s < TEAM_SLICES; s++) {
            free(sum[s]);
        }
        lo_trainer_destroy(&cut);
        lo_trainer_destroy(&slice);
    }
    nn_data_destroy(data);
}

/* One slice is no slice. */
static void test_one_slice(void **state)
{
    (void)state;
    nn_data *data = team_data();
    int64_t right;
    lo_trainer *none = trainer_of(&team_scenes[0], data, 0, TEAM_BATCH, 1);
    lo_trainer *one = trainer_of(&team_scenes[0], data, 1, TEAM_BATCH, 1);
    assert_true(take_step(none, rows, TEAM_BATCH, &right) == take_step(one, rows, TEAM_BATCH, &right));
    const lo_network *a = lo_trainer_network(none), *b = lo_trainer_network(one);
    assert_memory_equal(a->gradient, b->gradient, a->weight_size * sizeof(float));
    lo_trainer_destroy(&none);
    lo_trainer_destroy(&one);
    nn_data_destroy(data);
}

/* What a parameter is told holds on all threads. */
static void test_frozen(void **state)
{
    (void)state;
    nn_data *data = team_data();
    float *left[2];
    for (int i = 0; i < 2; i++) {
        lo_error err;
        double loss;
        int64_t right = 0;
        lo_trainer *trainer = trainer_of(&team_scenes[0], data, TEAM_SLICES, TEAM_BATCH, i == 0 ? 1 : 4);
        lo_network *network = lo_trainer_network(trainer);
        const lo_parameter *first = &network->parameter[0];
        float before[4];
        memcpy(before, network->weights + first->offset, sizeof(before));
        assert_int_equal(lo_network_freeze(network, first->name, true, &err), LO_OK);
        for (int t = 0; t < 3; t++) {
            assert_int_equal(lo_trainer_step(trainer, rows, TEAM_BATCH, 0.1, NULL, &loss, &right), LO_OK);
        }
        assert_memory_equal(before, network->weights + first->offset, sizeof(before));
        left[i] = malloc(network->weight_size * sizeof(float));
        assert_non_null(left[i]);
        memcpy(left[i], network->weights, network->weight_size * sizeof(float));
        if (i > 0) {
            assert_memory_equal(left[0], left[1], network->weight_size * sizeof(float));
        }
        lo_trainer_destroy(&trainer);
    }
    free(left[0]);
    free(left[1]);
    nn_data_destroy(data);
}

typedef struct host {
    lo_checkpoint checkpoint;
    int asked, at;
} host;

static lo_save ask(void *self, double share)
{
    host *h = self;
    (void)share;
    h->asked++;
    return h->asked == h->at ? LO_SAVE_AND_STOP : LO_SAVE_NOTHING;
}

/* Stopped after any batch with some threads and gone on with by others. */
static void test_checkpoint(void **state)
{
    (void)state;
    static const int threads[][2] = {{2, 4}, {4, 1}, {1, 2}};
    nn_data *data = team_data();
    for (int i = 0; i < TEAM_SCENES; i += 2) {
        team_trace alone = play(&team_scenes[i], data, 1);
        for (int at = 1; at <= 5; at++) {
            lo_error err;
            team_trace t;
            host h = {.at = at};
            h.checkpoint = (lo_checkpoint){.digest = 7, .ask = ask, .self = &h};
            (void)snprintf(h.checkpoint.file, sizeof(h.checkpoint.file), "test_nn_team-%ld.ckpt",
                           (long)getpid());
            const int *by = threads[at % 3];
            assert_int_equal(team_play(&team_scenes[i], data, NULL, by[0], &h.checkpoint, NULL, &t, &err),
                             LO_STOPPED);
            h.at = 0;
            assert_int_equal(team_play(&team_scenes[i], data, NULL, by[1], &h.checkpoint, NULL, &t, &err),
                             LO_OK);
            check_equal(&team_scenes[i], by[1], &alone, &t);
            lo_checkpoint_remove(&h.checkpoint);
        }
        free(alone.weights);
    }
    nn_data_destroy(data);
}

typedef struct counter {
    int calls, stop_at;
} counter;

static lo_status count_down(void *self)
{
    counter *c = self;
    return ++c->calls >= c->stop_at ? LO_STOPPED : LO_OK;
}

/* A tick that wants to stop ends the training on all threads. */
static void test_stop(void **state)
{
    (void)state;
    nn_data *data = team_data();
    for (int stop_at = 1; stop_at < 60; stop_at += 13) {
        lo_error err;
        team_trace t;
        counter c = {.stop_at = stop_at};
        const lo_tick tick = {count_down, &c};
        assert_int_equal(team_play(&team_scenes[0], data, NULL, 4, NULL, &tick, &t, &err), LO_STOPPED);
    }
    nn_data_destroy(data);
}

static void expect_refusal(const nn_data *data, int slices, int batch, int threads, const char *text)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = team_model(&team_scenes[5]);
    lo_recipe recipe = team_recipe(&team_scenes[5]);
    recipe.slices = slices;
    recipe.batch = batch;
    assert_int_equal(lo_trainer_create_team(&model, &recipe, &data->dataset, NULL, threads, &trainer, &err),
                     LO_USAGE);
    assert_null(trainer);
    if (strstr(err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, err.text);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    nn_data *data = team_data();
    expect_refusal(data, 6, 12, 1, "6 slices; a power of two, 1 to 256");
    expect_refusal(data, 512, 512, 1, "512 slices");
    expect_refusal(data, -1, 16, 1, "-1 slices");
    expect_refusal(data, 8, 20, 1, "20 examples cannot be cut into 8 equal slices");
    expect_refusal(data, 8, 16, 3, "a team of 1 ranks with 3 threads each cannot share 8 slices");
    expect_refusal(data, 1, 16, 2, "cannot share 1 slices");
    expect_refusal(data, 8, 16, 0, "0 threads");
    nn_data_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads), cmocka_unit_test(test_against_whole),
        cmocka_unit_test(test_tree),    cmocka_unit_test(test_one_slice),
        cmocka_unit_test(test_frozen),  cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
