/* Selective synaptic dampening: weights that matter much more to the forget set than to all data are made
 * smaller. No training. */
#include "unlearn/common.h"

#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    {.name = "alpha",
     .type = LO_SETTING_REAL,
     .fallback = "0",
     .low = 0,
     .high = 1e9,
     .help = "how much more a weight must matter to the forget set to be dampened; 0: per_example a fifth of "
             "what "
             "is possible, n / n_f, batch 10"},
    {.name = "lambda",
     .type = LO_SETTING_REAL,
     .fallback = "1",
     .low = 0,
     .high = 1e9,
     .help = "it is multiplied by this times the ratio of importances, by 1 at most"},
    {.name = "importance",
     .type = LO_SETTING_CHOICE,
     .fallback = "per_example",
     .choices = "per_example batch",
     .help =
         "mean of squared gradients of single examples, or of batches' mean gradients, as the public code"},
    LO_SET_BATCH("0")};

/* sum += the squares of the mean gradients of batches of exactly `batch` examples, the last one smaller, in
 * the order of the members; divided by their number. */
static lo_status batch_importance(lo_pupil *pupil, const lo_members *members, int64_t size, double *sum,
                                  lo_error *err)
{
    const size_t weights = lo_pupil_size(pupil);
    lo_status status = LO_OK;
    int64_t batches = 0;
    float *gradient = calloc(weights + 1, sizeof(*gradient));
    if (gradient == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a gradient");
    }
    for (int64_t at = 0; at < members->count; at += size, batches++) {
        const int64_t left = members->count - at;
        lo_batch batch = {.row = members->rows + at, .count = (size_t)(left < size ? left : size)};
        LO_TRY_GOTO(status, lo_pupil_learn(pupil, &batch, lo_loss_mean, NULL, err), done);
        lo_pupil_take_gradient(pupil, gradient);
        for (size_t i = 0; i < weights; i++) {
            sum[i] += (double)gradient[i] * (double)gradient[i];
        }
    }
    for (size_t i = 0; i < weights; i++) {
        sum[i] /= (double)batches;
    }

done:
    free(gradient);
    return status;
}

/* Importances of single examples: of all data the mean of both sets' sums. */
static lo_status importances(lo_pupil *pupil, const lo_request *request, double *forget, double *all,
                             lo_error *err)
{
    const lo_members first = lo_members_forget(request), rest = lo_members_retain(request);
    LO_TRY(lo_pupil_gradients(pupil, &first, true, forget, err));
    LO_TRY(lo_pupil_gradients(pupil, &rest, true, all, err));
    for (size_t i = 0; i < lo_pupil_size(pupil); i++) {
        all[i] = (all[i] + forget[i]) / (double)(first.count + rest.count);
        forget[i] /= (double)first.count;
    }
    return LO_OK;
}

static lo_status importances_by_batch(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                                      double *forget, double *all, lo_error *err)
{
    const lo_members first = lo_members_forget(request);
    const int64_t given = lo_item_int(settings, "batch");
    const int64_t size = given > 0 ? given : lo_pupil_recipe(pupil)->batch;
    uint32_t *both = lo_unlearn_both(request);
    if (both == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a list of all examples");
    }
    const lo_members members = {.rows = both, .count = request->forget_count + request->retain_count};
    lo_pupil_set_training(pupil, false);
    lo_pupil_set_views(pupil, false);
    lo_status status = batch_importance(pupil, &first, size, forget, err);
    if (status == LO_OK) {
        status = batch_importance(pupil, &members, size, all, err);
    }
    free(both);
    return status;
}

/* The mean of squares over all examples is at least that of the forget set times its share: a ratio of n /
 * n_f is the largest there is. */
static double threshold(const lo_request *request, const lo_item *settings, bool exact)
{
    const double given = lo_item_real(settings, "alpha");
    const double most =
        (double)(request->forget_count + request->retain_count) / (double)request->forget_count;
    return given > 0 ? given : exact ? 0.2 * most : 10;
}

static void dampen(double alpha, double lambda, const double *forget, const double *all, size_t size,
                   float *weight)
{
    for (size_t i = 0; i < size; i++) {
        if (forget[i] > alpha * all[i]) {
            const double factor = lambda * all[i] / forget[i];
            weight[i] *= (float)(factor < 1 ? factor : 1);
        }
    }
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const bool exact = strcmp(lo_item_text(settings, "importance"), "per_example") == 0;
    lo_status status = LO_OK;
    LO_TRY(lo_pupil_begin(pupil, request, lo_item_int(settings, "batch"), tick, err));
    const size_t size = lo_pupil_size(pupil);
    double *forget = calloc(2 * size + 1, sizeof(*forget)), *all = forget + size;
    float *weight = calloc(size + 1, sizeof(*weight));
    if (forget == NULL || weight == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the importance of %zu weights", size);
        goto done;
    }
    LO_TRY_GOTO(status,
                exact ? importances(pupil, request, forget, all, err)
                      : importances_by_batch(pupil, request, settings, forget, all, err),
                done);
    lo_pupil_weights(pupil, weight);
    dampen(threshold(request, settings, exact), lo_item_real(settings, "lambda"), forget, all, size, weight);
    lo_pupil_set_weights(pupil, weight);

done:
    free(forget);
    free(weight);
    return status;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const bool exact = strcmp(lo_item_text(settings, "importance"), "per_example") == 0;
    lo_unlearn_work work = {.trained = 0};
    void (*const add)(lo_unlearn_work *, lo_set, double) = exact ? lo_work_sum : lo_work_train;
    add(&work, LO_SET_FORGET, (exact ? 1 : 2) * (double)sizes->forget);
    add(&work, LO_SET_RETAIN, (double)sizes->retain);
    return work;
}

const lo_unlearn_method lo_unlearn_ssd = {
    .name = "ssd",
    .description = "dampens the weights that matter to the forget set much more than to all data",
    .source = "Foster et al., AAAI 2024, arXiv 2308.07707",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
