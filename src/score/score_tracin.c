#include "nn/schedule.h"
#include "score/gradients.h"
#include "score/scores.h"

#include <stdlib.h>

extern const lo_score lo_score_tracin;

/* The rate of the last step of an epoch, from 1 on. */
static double rate_after(const lo_score_input *input, int64_t epoch)
{
    const int64_t steps_per_epoch = (input->n + input->recipe->batch - 1) / input->recipe->batch;
    return lo_learning_rate(input->recipe, epoch * steps_per_epoch - 1, input->epochs * steps_per_epoch,
                            steps_per_epoch);
}

static lo_status add_points(const lo_score_input *input, const int64_t *point, int points, double *square,
                            double *sum, lo_error *err)
{
    lo_per_example *pass = NULL;
    const lo_output loss = lo_score_loss(input);
    const lo_example_list list = {
        .examples = &input->data->train, .first = input->first, .count = input->count};
    lo_status status = lo_per_example_create(input->network, input->data, NULL, 0, &pass, err);
    for (int p = 0; p < points && status == LO_OK; p++) {
        const double rate = rate_after(input, point[p] > 0 ? point[p] : input->epochs);
        status = input->load(input->self, point[p], err);
        if (status == LO_OK) {
            status = lo_per_example_squares(pass, &list, &loss, square, NULL, input->tick, err);
        }
        for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
            sum[i] += rate * square[i];
        }
    }
    lo_per_example_destroy(&pass);
    return status;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    int64_t *point = calloc((size_t)input->checkpoints + 1, sizeof(*point));
    double *square = calloc((size_t)input->count + 1, sizeof(*square));
    double *sum = calloc((size_t)input->count + 1, sizeof(*sum));
    lo_status status = point != NULL && square != NULL && sum != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for tracin");
    if (status == LO_OK) {
        status = add_points(input, point, lo_score_points(input, true, point), square, sum, err);
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i].value = (float)sum[i];
    }
    free(point);
    free(square);
    free(sum);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    return (lo_score_work){.trained = 1.2 * (input->checkpoints + 1) * (double)input->n};
}

const lo_score lo_score_tracin = {
    .name = "tracin",
    .description = "self-influence: sum over checkpoints of learning rate times the gradient's squared norm",
    .orientation = 1,
    .source = "Pruthi, Liu, Kale and Sundararajan 2020, arXiv 2002.08484",
    .needs = LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS,
    .compute = compute,
    .work = work,
};
