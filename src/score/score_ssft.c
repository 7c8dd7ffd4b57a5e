#include "base/random.h"
#include "nn/trainer.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_ssft;

static const lo_setting settings[] = {
    {"epochs", LO_SETTING_INT, "10", 1, 100000, NULL, "epochs on the second split"},
    {"lr", LO_SETTING_REAL, "0", 0, 1000, NULL, "learning rate there, constant; 0: the recipe's"},
    {"repeats", LO_SETTING_INT, "1", 1, 1000, NULL, "pairs of halves; each takes two trainings on halves"},
};

/* Streams of LO_FOR_SPLIT from here on are this score's; seeds of its models are no other's. */
static const uint64_t OWN = UINT64_C(1) << 40;

/* The half that task `task` trains on first, and the other: positions, ascending. */
static int64_t split(const lo_score_input *input, int64_t task, uint32_t *first, uint32_t *second)
{
    const lo_random random = lo_random_make(input->recipe->seed, LO_FOR_SPLIT);
    const lo_permutation order = lo_permutation_make(random, OWN + (uint64_t)task / 2, (uint64_t)input->n);
    int64_t firsts = 0, seconds = 0;
    for (int64_t i = 0; i < input->n; i++) {
        const bool low = lo_permutation_at(&order, (uint64_t)i) < (uint64_t)input->n / 2;
        if (low == (task % 2 == 0)) {
            first[firsts++] = (uint32_t)i;
        } else {
            second[seconds++] = (uint32_t)i;
        }
    }
    return firsts;
}

/* Watches the second training: the last epoch after which each example was right. */
typedef struct watch {
    const lo_score_input *input;
    lo_trainer *trainer;
    uint8_t *correct; /* [ceil(n/8)] */
    float *last;      /* [n] */
} watch;

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    watch *w = self;
    LO_TRY(lo_trainer_evaluate(w->trainer, &w->input->data->train, w->input->tick, w->correct, NULL, err));
    for (int64_t i = 0; i < w->input->n; i++) {
        w->last[i] = (w->correct[i / 8] >> (i % 8) & 1) != 0 ? (float)epochs : w->last[i];
    }
    return LO_OK;
}

static lo_recipe second_recipe(const lo_score_input *input)
{
    lo_recipe recipe = *input->recipe;
    recipe.epochs = (int32_t)lo_item_int(input->item, "epochs");
    const double lr = lo_item_real(input->item, "lr");
    recipe.lr = lr > 0 ? lr : recipe.lr;
    recipe.schedule = LO_SCHEDULE_CONSTANT;
    recipe.warmup_epochs = 0;
    return recipe;
}

/* Trains on one half, then on the other, and writes the last epoch at which each example was still right. */
static lo_status forget(const lo_score_input *input, int64_t task, const uint32_t *half, int64_t count,
                        watch *w, lo_error *err)
{
    const lo_recipe recipe = second_recipe(input);
    const uint64_t seed = OWN + (uint64_t)task;
    const int64_t others = input->n - count;
    lo_trainer *learner = NULL;
    lo_training training = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, input->trainer(input->self, input->recipe, input->data, &learner, err), done);
    lo_trainer_checkpoint(learner, input->saving);
    LO_TRY_GOTO(status, lo_trainer_run(learner, seed, half, count, input->tick, &training, err), done);
    LO_TRY_GOTO(status, input->trainer(input->self, &recipe, input->data, &w->trainer, err), done);
    LO_TRY_GOTO(status, lo_trainer_start_as(w->trainer, learner, err), done);
    const lo_observer observer = {.after_epoch = after_epoch, .self = w};
    lo_trainer_observe(w->trainer, &observer);
    LO_TRY_GOTO(status, lo_trainer_run(w->trainer, seed, half + count, others, input->tick, &training, err),
                done);
    for (int64_t i = 0; training.diverged && i < input->n; i++) {
        w->last[i] = (float)NAN;
    }
done:
    lo_trainer_destroy(&learner);
    lo_trainer_destroy(&w->trainer);
    return status;
}

static int64_t tasks(const lo_score_input *input)
{
    return 2 * lo_item_int(input->item, "repeats");
}

static lo_status task(const lo_score_input *input, int64_t number, float *values, lo_error *err)
{
    watch w = {.input = input, .correct = calloc((size_t)input->n / 8 + 1, 1), .last = values};
    uint32_t *half = calloc((size_t)input->n + 1, sizeof(*half));
    uint32_t *other = calloc((size_t)input->n + 1, sizeof(*other));
    lo_status status =
        w.correct != NULL && half != NULL && other != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for halves of %lld examples", (long long)input->n);
    if (status == LO_OK) {
        const int64_t count = split(input, number, half, other);
        for (int64_t i = 0; i < input->n; i++) {
            values[i] = 0;
        }
        for (int64_t i = count; i < input->n; i++) {
            half[i] = other[i - count];
        }
        status = forget(input, number, half, count, &w, err);
        for (int64_t i = count; i < input->n; i++) {
            values[half[i]] = (float)NAN; /* not on this side */
        }
    }
    free(w.correct);
    free(half);
    free(other);
    return status;
}

static lo_status check(const lo_score_input *input, lo_error *err)
{
    return input->n >= 2 ? LO_OK
                         : lo_item_fail(input->item, err, "two halves take 2 training examples at least");
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_mean_of_tasks(input, tasks(input), out, err);
}

static lo_score_work work(const lo_score_input *input)
{
    const double halves = (double)tasks(input) * (double)input->n / 2;
    const double epochs = (double)lo_item_int(input->item, "epochs");
    return (lo_score_work){.trained = halves * ((double)input->recipe->epochs + epochs),
                           .evaluated = 2 * halves * epochs};
}

const lo_score lo_score_ssft = {
    .name = "ssft",
    .description =
        "epochs on other examples until an example is forgotten for good (second-split forgetting)",
    .orientation = -1,
    .source = "Maini, Garg, Lipton and Kolter 2022, arXiv 2210.15031",
    .gives = LO_GIVES_ERROR,
    .setting = settings,
    .settings = 3,
    .compute = compute,
    .check = check,
    .tasks = tasks,
    .task = task,
    .work = work,
    .columns = 1,
    .saves = true,
};
