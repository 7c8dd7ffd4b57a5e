/* The forget set with labels drawn by chance, the retain set with its own. */
#include "unlearn/relabel.h"

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("10"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "0.01", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    LO_SET_RELABEL("separate", "false", "epoch"),
    {.name = "retain",
     .type = LO_SETTING_BOOL,
     .fallback = "true",
     .help = "the retain set is trained on too; else see stop_accuracy"},
    {.name = "stop_accuracy",
     .type = LO_SETTING_REAL,
     .fallback = "0",
     .low = 0,
     .high = 1,
     .help =
         "separate passes: ends after the first epoch with no higher accuracy on the forget set; 0: never"}};

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_relabel relabel = lo_relabel_of(settings);
    relabel.retain = lo_item_bool(settings, "retain");
    relabel.mixed = relabel.mixed && relabel.retain;
    relabel.stop = lo_item_real(settings, "stop_accuracy");
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    return lo_relabel_train(pupil, request, settings, &relabel, err);
}

static unsigned reads_with(const lo_item *settings)
{
    return LO_READS_FORGET | (lo_item_bool(settings, "retain") ? LO_READS_RETAIN : 0);
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    lo_unlearn_sizes shown = *sizes;
    shown.retain = lo_item_bool(settings, "retain") ? sizes->retain : 0;
    return lo_relabel_work(&shown, settings);
}

const lo_unlearn_method lo_unlearn_random_label = {
    .name = "random_label",
    .description = "trains on the forget set with labels drawn by chance, and on the retain set",
    .source = "Golatkar et al., CVPR 2020; as in Fan et al., ICLR 2024, arXiv 2310.12508",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .reads_with = reads_with,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .inapplicable = lo_relabel_inapplicable,
    .work = foresee,
    .run = run};
