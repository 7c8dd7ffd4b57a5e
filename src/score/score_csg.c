#include "score/scores.h"

extern const lo_score lo_score_csg;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    int64_t epochs = 0;
    LO_TRY(lo_score_log_stop(input, &epochs, err));
    return lo_score_log_sum(input, LO_LOG_INPUT_SQUARE, epochs, 1, out, err);
}

static const lo_setting settings[] = {
    {"until", LO_SETTING_INT, "0", 0, 100000, NULL,
     "Epochs that count; 0: up to the peak of the weights' norm."},
};

const lo_score lo_score_csg = {
    .name = "csg",
    .description =
        "sum of the squared norms of the loss's gradient in the input, up to the peak of the weights' norm",
    .orientation = 1,
    .source = "Memorization through the lens of sample gradients, ICLR 2026",
    .needs = LO_FROM_LOG | LO_FROM_INPUT_SQUARES,
    .check = lo_score_check_until,
    .setting = settings,
    .settings = sizeof(settings) / sizeof(settings[0]),
    .compute = compute,
    .share_of_training = lo_score_share_until,
};
