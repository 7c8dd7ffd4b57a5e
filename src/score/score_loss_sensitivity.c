#include "score/gradients.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_loss_sensitivity;

/* Adds the absolute sum of each example's gradient, times `weight`. */
static lo_status add_point(const lo_score_input *input, const lo_input_gradients *g, float *gradients,
                           double weight, double *sum, lo_error *err)
{
    const lo_output loss = lo_score_loss(input);
    for (int64_t at = 0; at < input->count; at += LO_GRADIENT_BLOCK) {
        const int64_t left = input->count - at;
        const int64_t count = left < LO_GRADIENT_BLOCK ? left : LO_GRADIENT_BLOCK;
        LO_TRY(lo_input_gradients_at_own(g, input->first + at, count, &loss, gradients, err));
        for (int64_t i = 0; i < count; i++) {
            double norm = 0;
            for (size_t k = 0; k < g->size; k++) {
                norm += fabs((double)gradients[(size_t)i * g->size + k]);
            }
            sum[at + i] += weight * norm;
        }
    }
    return LO_OK;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    lo_input_gradients g = {0};
    lo_status status = lo_input_gradients_create(input, &g, err);
    int64_t *point = calloc((size_t)input->checkpoints + 1, sizeof(*point));
    double *sum = calloc((size_t)input->count + 1, sizeof(*sum));
    float *gradients = malloc(LO_GRADIENT_BLOCK * g.size * sizeof(*gradients) + 1);
    if (status == LO_OK && (point == NULL || sum == NULL || gradients == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for loss_sensitivity");
    }
    const bool checkpoints = strcmp(lo_item_text(input->item, "over"), "checkpoints") == 0;
    const int points = status == LO_OK ? lo_score_points(input, checkpoints, point) : 0;
    for (int p = 0; p < points && status == LO_OK; p++) {
        status = input->load(input->self, point[p], err);
        if (status == LO_OK) {
            status = add_point(input, &g, gradients, 1.0 / points, sum, err);
        }
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i].value = (float)sum[i];
    }
    free(point);
    free(sum);
    free(gradients);
    lo_input_gradients_destroy(&g);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    const bool checkpoints = strcmp(lo_item_text(input->item, "over"), "checkpoints") == 0;
    const double points = checkpoints ? input->checkpoints + 1 : 1;
    lo_score_work work = {0};
    lo_input_gradients_add_work(input, points, 0, &work);
    return work;
}

const lo_score lo_score_loss_sensitivity = {
    .name = "loss_sensitivity",
    .description = "absolute sum of the loss's gradient in the input",
    .orientation = 1,
    .source = "Arpit et al. 2017, arXiv 1706.05394",
    .needs = LO_FROM_WEIGHTS,
    .setting = &lo_score_over,
    .settings = 1,
    .compute = compute,
    .work = work,
    .check = lo_score_check_over,
};
