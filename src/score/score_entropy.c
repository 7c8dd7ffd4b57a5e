#include "score/scores.h"

extern const lo_score lo_score_entropy;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_log_mean(input, LO_LOG_ENTROPY, out, err);
}

const lo_score lo_score_entropy = {
    .name = "entropy",
    .description = "mean entropy of the prediction over the epochs of a training",
    .orientation = 1,
    .source = "Jiang, Zhang, Talwar and Mozer 2021, arXiv 2002.03206",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
