#include "score/scores.h"

extern const lo_score lo_score_csl;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_log_sum(input, LO_LOG_LOSS, input->epochs, 1, out, err);
}

const lo_score lo_score_csl = {
    .name = "csl",
    .description = "cumulative sample loss: the sum of an example's losses over the epochs of a training",
    .orientation = 1,
    .source = "Ravikumar, Soufleri and Roy 2025, ICML",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
