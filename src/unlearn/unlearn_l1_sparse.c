/* Fine-tuning towards sparse weights. */
#include "unlearn/common.h"

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("10"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "0.01", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    {.name = "l1",
     .type = LO_SETTING_REAL,
     .fallback = "5.0e-4",
     .low = 0,
     .high = 1e6,
     .help = "times the sum of the absolute values of all weights, at first"},
    {.name = "plain_epochs",
     .type = LO_SETTING_INT,
     .fallback = "0",
     .low = 0,
     .high = 1e6,
     .help = "the last ones, without it"}};

/* It falls in a straight line, epoch by epoch, towards 0 where the plain epochs begin. */
static double strength(const lo_item *settings, int64_t epoch)
{
    const int64_t sparse = lo_item_int(settings, "epochs") - lo_item_int(settings, "plain_epochs");
    return epoch < sparse ? lo_item_real(settings, "l1") * (1 - (double)epoch / (double)sparse) : 0;
}

static lo_status train(lo_pupil *pupil, const lo_item *settings, lo_feed *feed, lo_error *err)
{
    const int64_t epochs = lo_item_int(settings, "epochs");
    lo_batch batch;
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(pupil, &e));
    lo_feed_skip(feed, e);
    for (; e < epochs; e++) {
        LO_TRY(lo_pupil_save(pupil, e, epochs));
        while (lo_feed_next(feed, &batch)) {
            LO_TRY(lo_pupil_learn(pupil, &batch, lo_loss_mean, NULL, err));
            lo_pupil_add_l1(pupil, strength(settings, e));
            LO_TRY(lo_pupil_step(pupil, lo_unlearn_rate(settings, e)));
        }
    }
    return LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    LO_TRY(lo_feed_retain(pupil, request, 0, &feed, err));
    const lo_status status = train(pupil, settings, feed, err);
    lo_feed_close(&feed);
    return status;
}

const lo_unlearn_method lo_unlearn_l1_sparse = {
    .name = "l1_sparse",
    .description = "training goes on with the retain set and a penalty on the weights' absolute values",
    .source = "Jia et al., NeurIPS 2023, arXiv 2304.04934",
    .reads = LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = lo_work_retain_epochs,
    .run = run};
