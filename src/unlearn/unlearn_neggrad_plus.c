/* Descent on the retain set and ascent on the forget set in one step. */
#include "unlearn/common.h"

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("5"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "0.01", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    {.name = "alpha",
     .type = LO_SETTING_REAL,
     .fallback = "0.95",
     .low = 0,
     .high = 1,
     .help = "weight of the retain set's loss; 1 - alpha of the forget set's"}};

/* Each batch of the retain set goes with the next one of the forget set, over and over. Two passes forward,
 * each with batch statistics of its own. */
static lo_status descend(lo_pupil *pupil, const lo_item *settings, lo_feed *retain, lo_feed *forget,
                         lo_error *err)
{
    double keep = lo_item_real(settings, "alpha"), leave = keep - 1;
    const int64_t epochs = lo_item_int(settings, "epochs");
    lo_batch batch;
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(pupil, &e));
    lo_feed_skip(retain, e);
    for (int64_t step = 0; step < e * lo_feed_batches(retain); step++) {
        lo_feed_cycle(forget, &batch);
    }
    for (; e < epochs; e++) {
        LO_TRY(lo_pupil_save(pupil, e, epochs));
        while (lo_feed_next(retain, &batch)) {
            LO_TRY(lo_pupil_learn(pupil, &batch, lo_loss_mean, &keep, err));
            lo_feed_cycle(forget, &batch);
            LO_TRY(lo_pupil_learn(pupil, &batch, lo_loss_mean, &leave, err));
            LO_TRY(lo_pupil_step(pupil, lo_unlearn_rate(settings, e)));
        }
    }
    return LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *retain = NULL, *forget = NULL;
    lo_status status = LO_OK;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    LO_TRY_GOTO(status, lo_feed_retain(pupil, request, 0, &retain, err), done);
    LO_TRY_GOTO(status, lo_feed_forget(pupil, request, 0, NULL, &forget, err), done);
    status = descend(pupil, settings, retain, forget, err);

done:
    lo_feed_close(&retain);
    lo_feed_close(&forget);
    return status;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t batch = lo_item_int(settings, "batch");
    const int64_t steps = lo_item_int(settings, "epochs") * lo_work_batches(sizes, batch, sizes->retain);
    lo_unlearn_work work = lo_work_retain_epochs(sizes, settings);
    lo_work_train(&work, LO_SET_FORGET, lo_work_cycled(sizes, batch, sizes->forget, steps));
    return work;
}

const lo_unlearn_method lo_unlearn_neggrad_plus = {
    .name = "neggrad_plus",
    .description = "descent on the retain set and ascent on the forget set together",
    .source = "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
