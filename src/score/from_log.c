/* What scores from the log of a training share. */
#include "score/scores.h"

#include <math.h>

lo_status lo_score_log_sum(const lo_score_input *input, lo_quantity quantity, int64_t epochs, double factor,
                           lo_estimate *out, lo_error *err)
{
    const float *values = NULL;
    LO_TRY(input->log(input->self, quantity, &values, err));
    for (int64_t i = 0; i < input->count; i++) {
        double sum = 0;
        for (int64_t e = 0; e < epochs; e++) {
            sum += (double)values[e * input->count + i];
        }
        out[i].value = (float)(factor * sum);
    }
    return LO_OK;
}

lo_status lo_score_log_mean(const lo_score_input *input, lo_quantity quantity, lo_estimate *out,
                            lo_error *err)
{
    return lo_score_log_sum(input, quantity, input->epochs, 1 / (double)input->epochs, out, err);
}

lo_status lo_score_log_stop(const lo_score_input *input, int64_t *epochs, lo_error *err)
{
    const int64_t until = lo_item_int(input->item, "until");
    *epochs = until;
    if (until > 0) {
        return LO_OK;
    }
    for (int64_t e = 0; e < input->epochs; e++) {
        if (isnan(input->weight_norm[e])) {
            return lo_item_fail(input->item, err,
                                "the originals were trained by a version that did not log the norm of the "
                                "weights; say where to stop by the setting until");
        }
        *epochs = *epochs == 0 || input->weight_norm[e] > input->weight_norm[*epochs - 1] ? e + 1 : *epochs;
    }
    return LO_OK;
}

lo_status lo_score_share_until(const lo_score_input *input, double *share, lo_error *err)
{
    int64_t epochs = 0;
    LO_TRY(lo_score_log_stop(input, &epochs, err));
    *share = (double)epochs / (double)input->epochs;
    return LO_OK;
}

lo_status lo_score_check_until(const lo_score_input *input, lo_error *err)
{
    const int64_t until = lo_item_int(input->item, "until");
    return until <= input->epochs
               ? LO_OK
               : lo_item_fail(input->item, err, "until: found %lld; allowed: up to train.epochs, %lld",
                              (long long)until, (long long)input->epochs);
}
