#include "nn/trainer.h"
#include "nn/weights.h"
#include "score/divergence.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_holdout_retraining;

static const lo_setting settings[] = {
    {"epochs", LO_SETTING_INT, "30", 1, 100000, NULL, "at most so many epochs on the validation split"},
    {"patience", LO_SETTING_INT, "4", 0, 100000, NULL,
     "end when the loss has not fallen for so many epochs; 0: never"},
    {"lr", LO_SETTING_REAL, "0.001", 0, 1000, NULL, "learning rate, constant"},
    {"momentum", LO_SETTING_REAL, "0.9", 0, 1, NULL, "of sgd"},
    {"weight_decay", LO_SETTING_REAL, "0.0005", 0, 1000, NULL, "of sgd"},
    {"batch", LO_SETTING_INT, "128", 1, 1000000, NULL, "examples a step"},
};

static lo_recipe fine_tuning(const lo_score_input *input)
{
    lo_recipe recipe = *input->recipe;
    recipe.epochs = (int32_t)lo_item_int(input->item, "epochs");
    recipe.batch = (int32_t)lo_item_int(input->item, "batch");
    recipe.optimizer = LO_OPTIMIZER_SGD;
    recipe.lr = lo_item_real(input->item, "lr");
    recipe.momentum = lo_item_real(input->item, "momentum");
    recipe.weight_decay = lo_item_real(input->item, "weight_decay");
    recipe.nesterov = false;
    recipe.label_smoothing = 0;
    recipe.clip_norm = 0;
    recipe.schedule = LO_SCHEDULE_CONSTANT;
    recipe.warmup_epochs = 0;
    recipe.augment = (lo_augment){0};
    return recipe;
}

/* Ends the training when the loss does not fall any more. */
typedef struct watch {
    double *loss, *accuracy; /* [epochs] */
    lo_training_log log;
    int64_t patience;
    bool enough;
} watch;

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    watch *w = self;
    int64_t best = 0;
    for (int64_t e = 1; e < epochs; e++) {
        best = w->loss[e] < w->loss[best] ? e : best;
    }
    w->enough = w->patience > 0 && epochs - 1 - best >= w->patience;
    return w->enough ? lo_fail(err, LO_STOPPED, "the loss does not fall any more") : LO_OK;
}

static lo_status fine_tune(const lo_score_input *input, lo_trainer *trainer, int64_t epochs, uint64_t seed,
                           lo_training *training, lo_error *err)
{
    const int64_t count = input->data->validation.count;
    watch w = {.loss = calloc((size_t)epochs, sizeof(double)),
               .accuracy = calloc((size_t)epochs, sizeof(double)),
               .patience = lo_item_int(input->item, "patience")};
    uint32_t *members = calloc((size_t)count + 1, sizeof(*members));
    lo_status status =
        w.loss != NULL && w.accuracy != NULL && members != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory to fine-tune on %lld examples", (long long)count);
    if (status == LO_OK) {
        for (int64_t i = 0; i < count; i++) {
            members[i] = (uint32_t)i;
        }
        w.log = (lo_training_log){.loss = w.loss, .accuracy = w.accuracy};
        const lo_observer observer = {.log = &w.log, .after_epoch = after_epoch, .self = &w};
        lo_trainer_observe(trainer, &observer);
        status = lo_trainer_run(trainer, seed, members, count, input->tick, training, err);
        status = w.enough && status == LO_STOPPED ? LO_OK : status;
        lo_trainer_observe(trainer, NULL);
    }
    free(w.loss);
    free(w.accuracy);
    free(members);
    return status;
}

static int64_t tasks(const lo_score_input *input)
{
    return input->originals;
}

/* Logits of the original `seed` and of its fine-tuned copy on the training examples. */
static lo_status retrain(const lo_score_input *input, int64_t seed, float *before, float *after,
                         lo_error *err)
{
    const lo_recipe recipe = fine_tuning(input);
    lo_dataset held_out = *input->data; /* what the copy is trained on in place of the training examples */
    held_out.train = input->data->validation;
    char path[4096];
    lo_trainer *trainer = NULL;
    lo_training training = {0};
    lo_status status = LO_OK;
    input->weights(input->self, seed, 0, path, sizeof(path));
    LO_TRY_GOTO(status, input->trainer(input->self, &recipe, &held_out, &trainer, err), done);
    LO_TRY_GOTO(status, lo_trainer_start_from(trainer, path, err), done);
    lo_trainer_checkpoint(trainer, input->saving);
    LO_TRY_GOTO(status, lo_trainer_logits(trainer, &input->data->train, input->tick, before, err), done);
    LO_TRY_GOTO(status, fine_tune(input, trainer, recipe.epochs, (uint64_t)seed, &training, err), done);
    LO_TRY_GOTO(status, lo_trainer_logits(trainer, &input->data->train, input->tick, after, err), done);
done:
    lo_trainer_destroy(&trainer);
    return status;
}

static lo_status task(const lo_score_input *input, int64_t number, float *values, lo_error *err)
{
    const int64_t seed = input->original[number];
    const size_t classes = (size_t)input->data->classes;
    float *before = calloc((size_t)input->n * classes + 1, sizeof(*before));
    float *after = calloc((size_t)input->n * classes + 1, sizeof(*after));
    lo_status status =
        before != NULL && after != NULL
            ? retrain(input, seed, before, after, err)
            : lo_fail(err, LO_INTERNAL, "no memory for the logits of %lld examples", (long long)input->n);
    for (int64_t i = 0; i < input->n && status == LO_OK; i++) {
        values[i] = (float)lo_symmetric_divergence(before + (size_t)i * classes, after + (size_t)i * classes,
                                                   input->data->classes);
    }
    free(before);
    free(after);
    return status;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_mean_of_tasks(input, input->originals, out, err);
}

static lo_score_work work(const lo_score_input *input)
{
    const double epochs = (double)lo_item_int(input->item, "epochs"); /* at most */
    return (lo_score_work){.trained =
                               (double)input->originals * epochs * (double)input->data->validation.count,
                           .evaluated = 2 * (double)(input->originals * input->n)};
}

const lo_score lo_score_holdout_retraining = {
    .name = "holdout_retraining",
    .description =
        "how far fine-tuning an original on the validation split moves its prediction: symmetric KL",
    .orientation = 1,
    .source =
        "Carlini, Erlingsson and Papernot 2019, arXiv 1910.13427 (ret); Zhao and Triantafillou 2024, arXiv "
        "2410.16516",
    .needs = LO_FROM_WEIGHTS | LO_FROM_VALIDATION,
    .gives = LO_GIVES_ERROR,
    .setting = settings,
    .settings = 6,
    .compute = compute,
    .tasks = tasks,
    .task = task,
    .work = work,
    .columns = 1,
    .saves = true,
};
