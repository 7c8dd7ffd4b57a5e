/* Fine-tuning: training goes on, without the forget set. */
#include "unlearn/common.h"

static const lo_setting settings_of[] = {LO_SET_EPOCHS("10"), LO_SET_BATCH("0"),
                                         LO_SET_PACE("sgd", "0.01", "5.0e-4"),
                                         LO_SET_RATE("constant", "0.01")};

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    LO_TRY(lo_feed_retain(pupil, request, 0, &feed, err));
    const lo_status status = lo_unlearn_epochs(pupil, settings, feed, lo_loss_mean, NULL, err);
    lo_feed_close(&feed);
    return status;
}

const lo_unlearn_method lo_unlearn_finetune = {
    .name = "finetune",
    .description = "training goes on with the retain set alone",
    .source =
        "Warnecke et al., 2021, arXiv 2108.11577; settings of Jia et al., NeurIPS 2023, arXiv 2304.04934",
    .reads = LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = lo_work_retain_epochs,
    .run = run};
