#include "score/scores.h"

extern const lo_score lo_score_memorization;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    (void)err;
    for (int64_t i = 0; i < input->count; i++) {
        if (input->pairs != NULL) {
            const lo_pairs *p = &input->pairs[i];
            out[i] = lo_paired_difference(p->plus, p->minus, p->pairs);
        } else {
            const lo_counts *c = &input->counts[i];
            out[i] = lo_difference(c->in_hit, c->in, c->out_hit, c->out);
        }
    }
    return LO_OK;
}

const lo_score lo_score_memorization = {
    .name = "memorization",
    .description = "how much likelier models are right on an example when they were trained on it",
    .orientation = 1,
    .source = "Feldman and Zhang 2020, arXiv 2008.03703",
    .needs = LO_FROM_COUNTS,
    .gives = LO_GIVES_ERROR | LO_GIVES_INTERVAL,
    .compute = compute,
};
