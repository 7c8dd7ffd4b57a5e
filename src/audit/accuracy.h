/* Accuracy on the sets that unlearning has: how many of how many, counted one by one (no batch is dropped, no
 * example padded or seen twice), so that sums over shards are exact. */
#ifndef LEAVEOUT_AUDIT_ACCURACY_H
#define LEAVEOUT_AUDIT_ACCURACY_H

#include "audit/logits.h"

#include <stdint.h>

typedef struct lo_hits {
    int64_t right, examples;
} lo_hits;

/* Of the examples rows [count], or of all where rows is NULL (count is not read then). Right: no class has a
 * larger logit than the label's, and none before it an equal one (the first of the largest, as numpy's and
 * PyTorch's argmax); NaN logits are wrong. */
lo_hits lo_count_right(const lo_logits *logits, const uint32_t *rows, int64_t count);

/* right / examples, in [0, 1]; NaN without examples. */
double lo_accuracy(lo_hits hits);

/* Accuracies in [0, 1] of one model; NaN where a set is empty or was not looked at. Papers' names:
 * forget: FA, "forget accuracy"; 1 - forget: UA, "unlearning accuracy"; retain: RA; test: TA. */
typedef struct lo_accuracies {
    double forget, retain, validation, test;
} lo_accuracies;

double lo_unlearning_accuracy(lo_accuracies model); /* UA = 1 - forget accuracy */

/* The deltas of DEL's tables (Torkzadehmahani et al., TMLR 2025): oracle - model, set by set; nearest 0 is
 * best, positive: the model is worse than the oracle there. */
lo_accuracies lo_accuracy_deltas(lo_accuracies model, lo_accuracies oracle);

#endif
