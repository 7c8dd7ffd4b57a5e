/* Wrong labels, drawn once, in the same batches as the retain set. */
#include "unlearn/relabel.h"

static const lo_setting settings_of[] = {LO_SET_EPOCHS("3"), LO_SET_BATCH("0"),
                                         LO_SET_PACE("adamw", "1.0e-4", "0"),
                                         LO_SET_RATE("constant", "0.01")};

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const lo_relabel relabel = {.mixed = true, .wrong = true, .once = true, .retain = true};
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    return lo_relabel_train(pupil, request, settings, &relabel, err);
}

const lo_unlearn_method lo_unlearn_amnesiac = {
    .name = "amnesiac",
    .description = "trains on the forget set with wrong labels, drawn once, mixed with the retain set",
    .source = "Graves et al., AAAI 2021, arXiv 2010.10981; settings of Foster et al., AAAI 2024",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .inapplicable = lo_relabel_inapplicable,
    .work = lo_relabel_work,
    .run = run};
