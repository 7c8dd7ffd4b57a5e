/* Small requests for tests of unlearning: a data set, a trained original, who is to be forgotten. */
#ifndef LEAVEOUT_TESTS_UNLEARN_DATA_H
#define LEAVEOUT_TESTS_UNLEARN_DATA_H

#include "nn/trainer.h"
#include "unlearn/methods.h"

#include "nn_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNLEARN_TRAIN = 150, UNLEARN_VALIDATION = 40, UNLEARN_CLASSES = 4 };

typedef struct unlearn_data {
    nn_data *data;
    lo_model_spec model;
    lo_recipe recipe;
    char original[64]; /* a file */
    uint32_t forget[UNLEARN_TRAIN], retain[UNLEARN_TRAIN];
    double score[UNLEARN_TRAIN];
    lo_request request;
    lo_pupil *pupil;
    lo_items *items;
} unlearn_data;

static const char unlearn_layers[] =
    "[{conv: 6}, batch_norm, relu, {max_pool: 2}, {conv: 7, stride: 2}, relu, flatten, {linear: 4}]";

/* Every seventh example is to be forgotten, but those of number 11 k are in neither set. */
static inline void unlearn_choose(unlearn_data *u)
{
    u->request = (lo_request){.dataset = &u->data->dataset,
                              .name = "sevenths",
                              .forget = u->forget,
                              .retain = u->retain,
                              .seed = u->recipe.seed,
                              .run = 77,
                              .score = u->score};
    for (uint32_t i = 0; i < UNLEARN_TRAIN; i++) {
        u->score[i] = (double)((i * 37) % UNLEARN_TRAIN) / UNLEARN_TRAIN;
        if (i % 11 == 10) {
            continue;
        }
        if (i % 7 == 3) {
            u->forget[u->request.forget_count++] = i;
        } else {
            u->retain[u->request.retain_count++] = i;
        }
    }
}

static inline void unlearn_check(lo_status status, const lo_error *err)
{
    if (status != LO_OK) {
        fail_msg("status %d: %s", status, err->text);
    }
}

static inline void unlearn_reload(unlearn_data *u)
{
    lo_error err = {""};
    unlearn_check(lo_pupil_load(u->pupil, u->original, &err), &err);
}

/* layers NULL: those above. */
static inline unlearn_data *unlearn_open(const char *layers, const lo_augment *augment)
{
    static int number;
    unlearn_data *u = calloc(1, sizeof(*u));
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    lo_training training;
    if (u == NULL) {
        abort();
    }
    u->data = nn_data_create((lo_shape){2, 8, 7}, UNLEARN_CLASSES, UNLEARN_TRAIN, UNLEARN_VALIDATION);
    u->data->dataset.validation = u->data->dataset.test;
    u->model = (lo_model_spec){.preset = "layers", .layers = layers != NULL ? layers : unlearn_layers};
    u->recipe = (lo_recipe){.epochs = 4,
                            .batch = 16,
                            .lr = 0.05,
                            .momentum = 0.9,
                            .weight_decay = 5e-4,
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-8,
                            .schedule = LO_SCHEDULE_COSINE,
                            .seed = 5};
    u->recipe.augment = augment != NULL ? *augment : (lo_augment){0};
    unlearn_choose(u);
    (void)snprintf(u->original, sizeof(u->original), "unlearn-%d-%d.safetensors", (int)getpid(), number++);
    unlearn_check(lo_trainer_create(&u->model, &u->recipe, &u->data->dataset, &trainer, &err), &err);
    uint32_t all[UNLEARN_TRAIN];
    for (uint32_t i = 0; i < UNLEARN_TRAIN; i++) {
        all[i] = i;
    }
    unlearn_check(lo_trainer_run(trainer, 1, all, UNLEARN_TRAIN, NULL, &training, &err), &err);
    unlearn_check(lo_trainer_save(trainer, u->original, NULL, 0, &err), &err);
    lo_trainer_destroy(&trainer);
    unlearn_check(lo_pupil_create(&u->model, &u->recipe, &u->data->dataset, &u->pupil, &err), &err);
    unlearn_reload(u);
    return u;
}

static inline void unlearn_close(unlearn_data *u)
{
    (void)remove(u->original);
    lo_items_destroy(&u->items);
    lo_pupil_destroy(&u->pupil);
    nn_data_destroy(u->data);
    free(u);
}

/* "name" or "{name: ..., setting: value}", with its method and accepted settings; replaces the last one. */
static inline const lo_unlearn_method *unlearn_method(unlearn_data *u, const char *text, lo_item **item)
{
    char list[512];
    lo_error err = {""};
    lo_items_destroy(&u->items);
    (void)snprintf(list, sizeof(list), "[%s]", text);
    unlearn_check(lo_items_parse(list, "job.yaml", "unlearning.methods", &u->items, &err), &err);
    *item = lo_items_at(u->items, 0);
    const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(*item));
    if (method == NULL) {
        fail_msg("no method %s", lo_item_name(*item));
        return NULL;
    }
    unlearn_check(lo_item_accept(*item, method->settings, method->setting_count, &err), &err);
    return method;
}

/* Runs a method as a job does, on the network as it is, with nothing permitted that it does not declare. */
static inline void unlearn_run_on(unlearn_data *u, const lo_request *request, const char *text)
{
    lo_item *item = NULL;
    lo_error err = {""};
    char why[512];
    const lo_unlearn_method *method = unlearn_method(u, text, &item);
    unlearn_check(lo_request_check(request, method, item, &err), &err);
    lo_pupil_permit(u->pupil, lo_unlearn_reads(method, item));
    if (method->inapplicable != NULL) {
        const char *reason = method->inapplicable(request, u->pupil, item, why, sizeof(why));
        if (reason != NULL) {
            fail_msg("%s: %s", text, reason);
        }
    }
    unlearn_check(method->run(u->pupil, request, item, NULL, &err), &err);
}

static inline void unlearn_run(unlearn_data *u, const char *text)
{
    unlearn_reload(u);
    unlearn_run_on(u, &u->request, text);
}

/* The request is refused as wrong use, with a text that says what is expected. */
static inline void unlearn_refused(unlearn_data *u, const lo_request *request, const char *text,
                                   const char *expected)
{
    lo_item *item = NULL;
    lo_error err = {""};
    const lo_unlearn_method *method = unlearn_method(u, text, &item);
    assert_int_equal(lo_request_check(request, method, item, &err), LO_USAGE);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("'%s' instead of '%s'", err.text, expected);
    }
}

/* Weights, then statistics; malloc'ed. */
static inline float *unlearn_weights(const unlearn_data *u)
{
    const lo_network *network = lo_pupil_network(u->pupil);
    float *copy = malloc((network->weight_size + network->statistic_size) * sizeof(float));
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, network->weights, network->weight_size * sizeof(float));
    memcpy(copy + network->weight_size, network->statistics, network->statistic_size * sizeof(float));
    return copy;
}

static inline size_t unlearn_weights_size(const unlearn_data *u)
{
    const lo_network *network = lo_pupil_network(u->pupil);
    return (network->weight_size + network->statistic_size) * sizeof(float);
}

#endif
