#include "score/scores.h"

#include <math.h>

extern const lo_score lo_score_variability;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const float *p = NULL;
    LO_TRY(input->log(input->self, LO_LOG_PROBABILITY, &p, err));
    for (int64_t i = 0; i < input->count; i++) {
        double mean = 0;
        double squares = 0;
        for (int64_t e = 0; e < input->epochs; e++) {
            mean += (double)p[e * input->count + i] / (double)input->epochs;
        }
        for (int64_t e = 0; e < input->epochs; e++) {
            const double away = (double)p[e * input->count + i] - mean;
            squares += away * away;
        }
        out[i].value = (float)sqrt(squares / (double)input->epochs);
    }
    return LO_OK;
}

const lo_score lo_score_variability = {
    .name = "variability",
    .description = "standard deviation of the probability of the label over the epochs of a training",
    .orientation = 1,
    .source = "Swayamdipta et al. 2020, arXiv 2009.10795",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
