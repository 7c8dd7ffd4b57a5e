#include "score/scores.h"

extern const lo_score lo_score_forgetting;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const uint8_t *correct = NULL;
    LO_TRY(input->log_correct(input->self, &correct, err));
    for (int64_t i = 0; i < input->count; i++) {
        int64_t events = 0;
        bool before = false;
        bool ever = false;
        for (int64_t e = 0; e < input->epochs; e++) {
            const bool now = correct[e * input->count + i] != 0;
            events += before && !now;
            ever = ever || now;
            before = now;
        }
        out[i].value = (float)(ever ? events : input->epochs);
    }
    return LO_OK;
}

const lo_score lo_score_forgetting = {
    .name = "forgetting",
    .description = "how often an example that was right became wrong in the next epoch; one that never was "
                   "right: the epochs",
    .orientation = 1,
    .source = "Toneva et al. 2019, arXiv 1812.05159",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
