#include "score/scores.h"

extern const lo_score lo_score_aum;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_log_mean(input, LO_LOG_GAP, out, err);
}

const lo_score lo_score_aum = {
    .name = "aum",
    .description = "area under the margin: mean of the label's logit minus the largest other one",
    .orientation = -1,
    .source = "Pleiss, Zhang, Elenberg and Weinberger 2020, arXiv 2001.10528",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
