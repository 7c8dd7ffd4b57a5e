/* Pairs of models that differ in what they were trained on: a model and its twin (leave_one_out,
 * leave_group_out), two halves (complementary). What a pair has in common, its initial weights for one,
 * leaves the difference of its outcomes, so errors come from the spread of differences over pairs. */
#ifndef LEAVEOUT_SCORE_PAIRS_H
#define LEAVEOUT_SCORE_PAIRS_H

#include "base/status.h"
#include "base/tick.h"
#include "data/design.h"
#include "score/scores.h"
#include "score/subset.h"

#include <stdint.h>

/* Counts the pairs of a design (lo_design_pairs) on every column: a pair counts for an example that one of
 * its models alone was trained on, when both are in `use` ([ceil(models/8)] bits, or NULL for all). mask and
 * correct have the same models and columns, any shard of the training examples; pairs [mask->count] takes
 * zeros where no pair counts, everywhere for a design without pairs. Cost: pairs x columns bit tests. */
void lo_pairs_count(const lo_design *design, const lo_columns *mask, const lo_columns *correct,
                    const uint8_t *use, lo_pairs *pairs);

/* The influence contrast of a complementary ensemble (models 2k and 2k + 1 are halves): lo_contrast over the
 * pairs of which both models are in use, with the standard error of paired differences (lo_paired_difference)
 * instead of that of two samples. Shapes and errors are those of lo_contrast. */
lo_status lo_pairs_contrast(const lo_columns *mask, const lo_columns *correct, const uint8_t *use,
                            float *contrast, float *error, const lo_tick *tick);

#endif
