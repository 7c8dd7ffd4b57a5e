/* What scores from the log of a training share. */
#include "score/scores.h"

lo_status lo_score_log_mean(const lo_score_input *input, lo_quantity quantity, lo_estimate *out,
                            lo_error *err)
{
    const float *values = NULL;
    LO_TRY(input->log(input->self, quantity, &values, err));
    for (int64_t i = 0; i < input->count; i++) {
        double sum = 0;
        for (int64_t e = 0; e < input->epochs; e++) {
            sum += (double)values[e * input->count + i];
        }
        out[i].value = (float)(sum / (double)input->epochs);
    }
    return LO_OK;
}
