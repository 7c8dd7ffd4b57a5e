#include "audit/accuracy.h"

#include "nn/loss.h"

#include <math.h>

lo_hits lo_count_right(const lo_logits *logits, const uint32_t *rows, int64_t count)
{
    lo_hits hits = {0, rows != NULL ? count : logits->n};
    for (int64_t i = 0; i < hits.examples; i++) {
        const float *z = lo_logits_row(logits, rows, i);
        hits.right += lo_is_correct(z, logits->classes, lo_logits_label(logits, rows, i)) ? 1 : 0;
    }
    return hits;
}

double lo_accuracy(lo_hits hits)
{
    return hits.examples > 0 ? (double)hits.right / (double)hits.examples : NAN;
}

double lo_unlearning_accuracy(lo_accuracies model)
{
    return 1 - model.forget;
}

lo_accuracies lo_accuracy_deltas(lo_accuracies model, lo_accuracies oracle)
{
    return (lo_accuracies){oracle.forget - model.forget, oracle.retain - model.retain,
                           oracle.validation - model.validation, oracle.test - model.test};
}
