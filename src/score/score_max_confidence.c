#include "score/scores.h"

extern const lo_score lo_score_max_confidence;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_log_mean(input, LO_LOG_LARGEST, out, err);
}

const lo_score lo_score_max_confidence = {
    .name = "max_confidence",
    .description = "mean of the largest probability over the epochs of a training",
    .orientation = -1,
    .source = "Jiang, Zhang, Talwar and Mozer 2021, arXiv 2002.03206",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
