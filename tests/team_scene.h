/* Trainings by teams: small ones with everything that members must agree on. What they leave must have the
 * same bits whatever team it was. */
#ifndef LEAVEOUT_TESTS_TEAM_SCENE_H
#define LEAVEOUT_TESTS_TEAM_SCENE_H

#include "nn/trainer.h"
#include "unit/nn_data.h"

#include <stdlib.h>
#include <string.h>

enum {
    TEAM_SLICES = 8,
    TEAM_BATCH = 16,
    TEAM_TRAIN = 41,
    TEAM_TEST = 300,
    TEAM_EPOCHS = 2,
    TEAM_CLASSES = 5
};

typedef struct team_scene {
    const char *what, *preset, *layers;
    int members; /* that are trained on: the last batch has some of TEAM_BATCH */
    bool augments, clips;
    lo_optimizer optimizer;
} team_scene;

/* Last batches of 9 and of 3 examples, which leave slices empty. */
static const team_scene team_scenes[] = {
    {"resnet9", "resnet9", NULL, 41, true, false, LO_OPTIMIZER_SGD},
    {"cnn", "cnn", NULL, 35, true, true, LO_OPTIMIZER_SGD},
    {"dropout", "layers",
     "[{conv: 6, bias: true}, relu, {conv: 8, kernel: 5, padding: 2, stride: 2}, batch_norm, relu, {dropout: "
     "0.3}, flatten, "
     "{linear: 20}, batch_norm, relu, {dropout: 0.2}, {linear: 5}]",
     35, false, false, LO_OPTIMIZER_ADAMW},
    {"groups", "layers",
     "[{conv: 32, groups: 1}, {conv: 32, groups: 4}, batch_norm, relu, mean_pool, {linear: 5}]", 41, false,
     false, LO_OPTIMIZER_SGD},
    {"vit", "vit", NULL, 35, true, false, LO_OPTIMIZER_ADAMW},
    {"mlp", "mlp", NULL, 41, false, false, LO_OPTIMIZER_SGD},
};
enum { TEAM_SCENES = sizeof(team_scenes) / sizeof(team_scenes[0]) };

/* What a training leaves on the leader. */
typedef struct team_trace {
    lo_training training;
    double loss[TEAM_EPOCHS], accuracy[TEAM_EPOCHS];
    float example[LO_LOG_QUANTITIES][TEAM_EPOCHS * TEAM_TRAIN];
    uint8_t right[TEAM_EPOCHS * TEAM_TRAIN];
    uint8_t correct[(TEAM_TEST + 7) / 8];
    float margin[TEAM_TEST], logits[TEAM_TEST * TEAM_CLASSES];
    size_t floats;
    float *weights; /* [floats]: with the running statistics */
} team_trace;

static inline lo_model_spec team_model(const team_scene *scene)
{
    return (lo_model_spec){.preset = scene->preset,
                           .hidden = {20},
                           .hidden_count = 1,
                           .width = strcmp(scene->preset, "vit") == 0 ? 16 : 8,
                           .depth = strcmp(scene->preset, "vit") == 0 ? 2 : 0,
                           .heads = strcmp(scene->preset, "vit") == 0 ? 2 : 0,
                           .layers = scene->layers,
                           .layers_file = "scene"};
}

static inline lo_recipe team_recipe(const team_scene *scene)
{
    lo_recipe recipe = {.epochs = TEAM_EPOCHS,
                        .batch = TEAM_BATCH,
                        .lr = 0.02,
                        .momentum = 0.9,
                        .weight_decay = 5e-4,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .epsilon = 1e-8,
                        .schedule = LO_SCHEDULE_COSINE,
                        .optimizer = scene->optimizer,
                        .label_smoothing = 0.1,
                        .clip_norm = scene->clips ? 0.5 : 0,
                        .seed = 3,
                        .slices = TEAM_SLICES};
    if (scene->augments) {
        recipe.augment = (lo_augment){.flip = LO_FLIP_RANDOM, .crop = 2, .cutout = 3};
    }
    return recipe;
}

static inline nn_data *team_data(void)
{
    return nn_data_create((lo_shape){3, 16, 16}, TEAM_CLASSES, TEAM_TRAIN, TEAM_TEST);
}

static inline lo_training_log team_log(team_trace *to)
{
    lo_training_log log = {.loss = to->loss, .accuracy = to->accuracy, .correct = to->right};
    for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
        log.example[q] = to->example[q];
    }
    return log;
}

/* Trains, evaluates, and takes what is there; to->weights is freed by the caller. */
static inline lo_status team_play(const team_scene *scene, const nn_data *data, const lo_team *ranks,
                                  int threads, lo_checkpoint *checkpoint, const lo_tick *tick, team_trace *to,
                                  lo_error *err)
{
    lo_trainer *trainer = NULL;
    const lo_model_spec model = team_model(scene);
    const lo_recipe recipe = team_recipe(scene);
    memset(to, 0, sizeof(*to));
    LO_TRY(lo_trainer_create_team(&model, &recipe, &data->dataset, ranks, threads, &trainer, err));
    uint32_t members[TEAM_TRAIN];
    for (int i = 0; i < scene->members; i++) {
        members[i] = (uint32_t)(i + TEAM_TRAIN - scene->members);
    }
    const lo_training_log log = team_log(to);
    const lo_observer observer = {.log = &log};
    lo_trainer_observe(trainer, &observer);
    lo_trainer_checkpoint(trainer, checkpoint);
    lo_status status = lo_trainer_run(trainer, 5, members, scene->members, tick, &to->training, err);
    if (status == LO_OK) {
        status = lo_trainer_evaluate(trainer, &data->dataset.test, tick, to->correct, to->margin, err);
    }
    if (status == LO_OK) {
        status = lo_trainer_logits(trainer, &data->dataset.test, tick, to->logits, err);
    }
    if (status == LO_OK) {
        const lo_network *network = lo_trainer_network(trainer);
        to->floats = network->weight_size + network->statistic_size;
        to->weights = malloc(to->floats * sizeof(float));
        if (to->weights == NULL) {
            abort();
        }
        memcpy(to->weights, network->weights, network->weight_size * sizeof(float));
        memcpy(to->weights + network->weight_size, network->statistics,
               network->statistic_size * sizeof(float));
    }
    to->training.seconds = 0;
    lo_trainer_destroy(&trainer);
    return status;
}

/* NULL, or what differs. */
static inline const char *team_difference(const team_trace *a, const team_trace *b)
{
    if (a->floats != b->floats || memcmp(a->weights, b->weights, a->floats * sizeof(float)) != 0) {
        return "weights or running statistics";
    }
    if (memcmp(a->correct, b->correct, sizeof(a->correct)) != 0 ||
        memcmp(a->margin, b->margin, sizeof(a->margin)) != 0 ||
        memcmp(a->logits, b->logits, sizeof(a->logits)) != 0) {
        return "outcomes";
    }
    team_trace x = *a, y = *b;
    x.weights = y.weights = NULL;
    return memcmp(&x, &y, sizeof(x)) != 0 ? "the training or its log" : NULL;
}

#endif
