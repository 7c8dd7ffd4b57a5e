/* Retraining: what all other methods are compared with. Every layer begins as the recipe's trainings do:
 * afresh, not only the direct children of the model as in code that calls reset_parameters on these, or from
 * the file that they all start from (train.from). */
#include "nn/schedule.h"
#include "unlearn/common.h"

static const lo_setting settings_of[] = {
    {.name = "epochs",
     .type = LO_SETTING_INT,
     .fallback = "0",
     .low = 0,
     .high = 1e6,
     .help = "passes over the retain set; 0: train.epochs"},
};

static lo_status train(lo_pupil *pupil, const lo_recipe *recipe, lo_feed *feed, lo_error *err)
{
    const int64_t batches = lo_feed_batches(feed), steps = recipe->epochs * batches;
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(pupil, &e));
    lo_feed_skip(feed, e);
    for (; e < recipe->epochs; e++) {
        int64_t step = e * batches;
        lo_batch batch;
        LO_TRY(lo_pupil_save(pupil, e, recipe->epochs));
        while (lo_feed_next(feed, &batch)) {
            LO_TRY(lo_pupil_learn(pupil, &batch, lo_loss_mean, NULL, err));
            LO_TRY(lo_pupil_step(pupil, lo_learning_rate(recipe, step++, steps, batches)));
        }
    }
    return LO_OK;
}

/* A training of the recipe on the retain set, of the model seed `key`: bit for bit what lo_trainer_run
 * makes. */
static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    lo_recipe recipe = *lo_pupil_recipe(pupil);
    const int64_t epochs = lo_item_int(settings, "epochs");
    const lo_pace pace = {.optimizer = recipe.optimizer,
                          .lr = recipe.lr,
                          .momentum = recipe.momentum,
                          .weight_decay = recipe.weight_decay,
                          .clip_norm = recipe.clip_norm,
                          .nesterov = recipe.nesterov};
    recipe.epochs = epochs > 0 ? (int32_t)epochs : recipe.epochs;
    LO_TRY(lo_pupil_begin(pupil, request, 0, tick, err));
    LO_TRY(lo_pupil_pace(pupil, &pace, err));
    const uint64_t key = lo_pupil_key(pupil, LO_USE_WEIGHTS);
    LO_TRY(lo_pupil_renew(pupil, key));
    const lo_feed_spec spec = {.rows = request->retain, .count = request->retain_count, .key = key};
    LO_TRY(lo_feed_open(pupil, &spec, &feed, err));
    const lo_status status = train(pupil, &recipe, feed, err);
    lo_feed_close(&feed);
    return status;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t epochs = lo_item_int(settings, "epochs");
    lo_unlearn_work work = {.drawn = 1};
    lo_work_train(&work, LO_SET_RETAIN, (double)((epochs > 0 ? epochs : sizes->epochs) * sizes->retain));
    return work;
}

const lo_unlearn_method lo_unlearn_retrain = {
    .name = "retrain",
    .description = "the recipe from its start on the retain set alone: the oracle",
    .source = "the definition of exact unlearning: Cao and Yang, IEEE S&P 2015",
    .reads = LO_READS_RETAIN,
    .afresh = true,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
