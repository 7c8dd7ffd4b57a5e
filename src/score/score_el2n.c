#include "score/early.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_el2n;

/* |p - onehot|, with 1 - p of the label as the sum of the others. */
static float distance(const float *z, int32_t classes, int32_t label)
{
    double largest = -INFINITY;
    double sum = 0;
    double others = 0;
    double square = 0;
    for (int32_t k = 0; k < classes; k++) {
        largest = fmax(largest, (double)z[k]);
    }
    for (int32_t k = 0; k < classes; k++) {
        sum += exp((double)z[k] - largest);
    }
    for (int32_t k = 0; k < classes; k++) {
        const double p = exp((double)z[k] - largest) / sum;
        others += k != label ? p : 0;
        square += k != label ? p * p : 0;
    }
    return (float)sqrt(square + others * others);
}

static lo_status task(const lo_score_input *input, int64_t seed, float *values, lo_error *err)
{
    lo_trainer *trainer = NULL;
    bool diverged = false;
    const int32_t classes = input->data->classes;
    float *logits = malloc((size_t)(input->n * classes) * sizeof(*logits) + 1);
    lo_status status = logits != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for el2n");
    if (status == LO_OK) {
        status = lo_early_train(input, seed, &trainer, &diverged, err);
    }
    if (status == LO_OK && !diverged) {
        status = lo_trainer_logits(trainer, &input->data->train, input->tick, logits, err);
    }
    for (int64_t i = 0; i < input->n && status == LO_OK; i++) {
        values[i] =
            diverged ? (float)NAN : distance(logits + i * classes, classes, input->data->train.label[i]);
    }
    lo_trainer_destroy(&trainer);
    free(logits);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    return (lo_score_work){.trained = lo_early_work(input),
                           .evaluated = (double)(lo_early_tasks(input) * input->n)};
}

const lo_score lo_score_el2n = {
    .name = "el2n",
    .description = "distance of the prediction from the label early in training, over several trainings",
    .orientation = 1,
    .source = "Paul, Ganguli and Dziugaite 2021, arXiv 2107.07075",
    .gives = LO_GIVES_ERROR,
    .setting = lo_early_settings,
    .settings = LO_EARLY_SETTINGS,
    .compute = lo_early_compute,
    .check = lo_early_check,
    .tasks = lo_early_tasks,
    .task = task,
    .work = work,
    .columns = 1,
    .saves = true,
};
