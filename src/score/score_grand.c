#include "nn/per_example.h"
#include "nn/trainer.h"
#include "score/early.h"
#include "score/gradients.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_grand;

static lo_status norms(const lo_score_input *input, lo_trainer *trainer, double *square, lo_error *err)
{
    lo_per_example *pass = NULL;
    const lo_output loss = lo_score_loss(input);
    const lo_example_list list = {.examples = &input->data->train, .count = input->n};
    LO_TRY(lo_per_example_create(lo_trainer_network(trainer), input->data, NULL, 0, &pass, err));
    const lo_status status = lo_per_example_squares(pass, &list, &loss, square, NULL, input->tick, err);
    lo_per_example_destroy(&pass);
    return status;
}

static lo_status task(const lo_score_input *input, int64_t seed, float *values, lo_error *err)
{
    lo_trainer *trainer = NULL;
    bool diverged = false;
    double *square = calloc((size_t)input->n + 1, sizeof(*square));
    lo_status status = square != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for grand");
    if (status == LO_OK) {
        status = lo_early_train(input, seed, &trainer, &diverged, err);
    }
    if (status == LO_OK && !diverged) {
        status = norms(input, trainer, square, err);
    }
    for (int64_t i = 0; i < input->n && status == LO_OK; i++) {
        values[i] = diverged ? (float)NAN : (float)sqrt(square[i]);
    }
    lo_trainer_destroy(&trainer);
    free(square);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    return (lo_score_work){.trained =
                               lo_early_work(input) + 1.2 * (double)(lo_early_tasks(input) * input->n)};
}

const lo_score lo_score_grand = {
    .name = "grand",
    .description = "norm of the loss's gradient in the weights early in training, over several trainings",
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
