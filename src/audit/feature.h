/* What a membership attack looks at: one number per example, from the logits, in double. Each keeps its
 * precision where a probability is almost 0 or 1. NaN where a logit is. */
#ifndef LEAVEOUT_AUDIT_FEATURE_H
#define LEAVEOUT_AUDIT_FEATURE_H

#include "audit/logits.h"

#include <stdint.h>

typedef enum lo_feature {
    LO_FEATURE_CORRECT,          /* 1 or 0 */
    LO_FEATURE_CONFIDENCE,       /* p_y */
    LO_FEATURE_ENTROPY,          /* -sum p log p, nats */
    LO_FEATURE_MODIFIED_ENTROPY, /* -(1 - p_y) log p_y - sum over j != y of p_j log(1 - p_j) (Song and Mittal,
                                  * USENIX Security 2021, eq. 8) */
    LO_FEATURE_LOSS,             /* -log p_y */
    LO_FEATURE_MARGIN,           /* phi = z_y - logsumexp of the others = log(p_y / (1 - p_y)) */
    LO_FEATURE_KINDS
} lo_feature;

/* "correct", "confidence", "entropy", "modified_entropy", "loss", "margin". */
const char *lo_feature_name(lo_feature feature);

/* The feature of examples rows [count] (NULL: all logits->n, and count is not read): out [count]. */
void lo_features(const lo_logits *logits, const uint32_t *rows, int64_t count, lo_feature feature,
                 double *out);

/* Log-probabilities of one example: out [classes]. */
void lo_log_probabilities(const float *logits, int32_t classes, double *out);

#endif
