#include "score/scores.h"

extern const lo_score lo_score_binary_accuracy;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const uint8_t *correct = NULL;
    LO_TRY(input->log_correct(input->self, &correct, err));
    for (int64_t i = 0; i < input->count; i++) {
        int64_t right = 0;
        for (int64_t e = 0; e < input->epochs; e++) {
            right += correct[e * input->count + i];
        }
        out[i].value = (float)((double)right / (double)input->epochs);
    }
    return LO_OK;
}

const lo_score lo_score_binary_accuracy = {
    .name = "binary_accuracy",
    .description = "share of the epochs of a training in which an example was right",
    .orientation = -1,
    .source = "Jiang, Zhang, Talwar and Mozer 2021, arXiv 2002.03206",
    .needs = LO_FROM_LOG,
    .compute = compute,
};
