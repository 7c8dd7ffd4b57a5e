#include "score/scores.h"

extern const lo_score lo_score_cscore;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    (void)err;
    for (int64_t i = 0; i < input->count; i++) {
        out[i] = lo_proportion(input->counts[i].out_hit, input->counts[i].out);
    }
    return LO_OK;
}

const lo_score lo_score_cscore = {
    .name = "cscore",
    .description = "how often models that were not trained on an example are right on it",
    .orientation = -1,
    .source = "Jiang, Zhang, Talwar and Mozer 2021, arXiv 2002.03206",
    .needs = LO_FROM_COUNTS,
    .gives = LO_GIVES_ERROR | LO_GIVES_INTERVAL,
    .compute = compute,
};
