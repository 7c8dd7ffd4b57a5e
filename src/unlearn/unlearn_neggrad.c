/* Gradient ascent on the forget set. Nothing bounds it but few and small steps, clipping, or stopping. */
#include "unlearn/common.h"

#include <string.h>

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("5"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "1.0e-4", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    LO_SET_MODE("train"),
    {.name = "stop_accuracy",
     .type = LO_SETTING_REAL,
     .fallback = "0",
     .low = 0,
     .high = 1,
     .help = "ends after the first epoch whose accuracy on the forget set (before its steps) is not above"}};

static lo_status ascend(lo_pupil *pupil, const lo_request *request, const lo_item *settings, lo_feed *feed,
                        lo_error *err)
{
    const double stop = lo_item_real(settings, "stop_accuracy");
    const int64_t epochs = lo_item_int(settings, "epochs");
    double share = -1, accuracy = 2; /* above any */
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(pupil, &e));
    lo_feed_skip(feed, e);
    for (; e < epochs && (stop <= 0 || accuracy > stop); e++) { /* what is saved was not to stop */
        int64_t correct = 0;
        LO_TRY(lo_pupil_save(pupil, e, epochs));
        LO_TRY(
            lo_pupil_epoch(pupil, feed, lo_loss_mean, &share, lo_unlearn_rate(settings, e), &correct, err));
        accuracy = (double)correct / (double)request->forget_count;
    }
    return LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    lo_pupil_set_training(pupil, strcmp(lo_item_text(settings, "mode"), "train") == 0);
    LO_TRY(lo_feed_forget(pupil, request, 0, NULL, &feed, err));
    const lo_status status = ascend(pupil, request, settings, feed, err);
    lo_feed_close(&feed);
    return status;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    lo_unlearn_work work = {.trained = 0};
    lo_work_train(&work, LO_SET_FORGET, (double)(lo_item_int(settings, "epochs") * sizes->forget));
    return work;
}

const lo_unlearn_method lo_unlearn_neggrad = {
    .name = "neggrad",
    .description = "gradient ascent on the forget set",
    .source = "Golatkar et al., CVPR 2020, arXiv 1911.04933; settings of Jia et al., NeurIPS 2023",
    .reads = LO_READS_FORGET,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
