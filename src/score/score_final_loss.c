#include "nn/loss.h"
#include "nn/per_example.h"
#include "score/scores.h"

#include <stdlib.h>

extern const lo_score lo_score_final_loss;

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const int32_t classes = input->data->classes;
    const lo_example_list mine = {&input->data->train, NULL, input->first, input->count};
    lo_per_example *pass = NULL;
    lo_status status = LO_OK;
    float *logits = calloc((size_t)input->count * (size_t)classes + 1, sizeof(*logits));
    if (logits == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the logits of %lld examples",
                       (long long)input->count);
    }
    LO_TRY_GOTO(status, input->load(input->self, 0, err), done);
    LO_TRY_GOTO(status, lo_per_example_create(input->network, input->data, NULL, 0, &pass, err), done);
    LO_TRY_GOTO(status,
                lo_per_example_features(pass, &mine, input->network->layer_count, logits, input->tick, err),
                done);
    for (int64_t i = 0; i < input->count; i++) {
        const float *z = logits + i * classes;
        const int32_t label = input->data->train.label[input->first + i];
        out[i].value = lo_example_loss(z, classes, label, 0, lo_logit_margin(z, classes, label));
    }
done:
    lo_per_example_destroy(&pass);
    free(logits);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    return (lo_score_work){.evaluated = (double)input->n};
}

const lo_score lo_score_final_loss = {
    .name = "final_loss",
    .description = "cross-entropy of an original on the example, in evaluation mode",
    .orientation = 1,
    .source = "Ravikumar, Soufleri, Hashemi and Roy, ICML 2025, compare with it",
    .needs = LO_FROM_WEIGHTS,
    .compute = compute,
    .work = work,
};
