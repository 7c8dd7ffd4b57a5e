#include "score/scores.h"

#include <string.h>

extern const lo_score lo_score_epochs_to_learn;

/* The epoch, from 1 on, in which it was right for the first time, or from which on it stayed right. */
static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const uint8_t *correct = NULL;
    const bool first = strcmp(lo_item_text(input->item, "when"), "first") == 0;
    LO_TRY(input->log_correct(input->self, &correct, err));
    for (int64_t i = 0; i < input->count; i++) {
        int64_t e = first ? 0 : input->epochs;
        while (first && e < input->epochs && correct[e * input->count + i] == 0) {
            e++;
        }
        while (!first && e > 0 && correct[(e - 1) * input->count + i] != 0) {
            e--;
        }
        out[i].value = (float)(e + 1);
    }
    return LO_OK;
}

static const lo_setting settings[] = {
    {"when", LO_SETTING_CHOICE, "for_good", 0, 0, "for_good first",
     "The epoch from which on it stays right, or the first in which it is."},
};

const lo_score lo_score_epochs_to_learn = {
    .name = "epochs_to_learn",
    .description = "epoch from which on an example is right; one more than there are if it never is",
    .orientation = 1,
    .source = "Jiang, Zhang, Talwar and Mozer 2021, arXiv 2002.03206",
    .needs = LO_FROM_LOG,
    .setting = settings,
    .settings = sizeof(settings) / sizeof(settings[0]),
    .compute = compute,
};
