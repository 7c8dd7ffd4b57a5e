/* Screening: a score picks candidates, and only these are left out of trainings. */
#ifndef LEAVEOUT_SCORE_SCREENING_H
#define LEAVEOUT_SCORE_SCREENING_H

#include "base/items.h"
#include "base/status.h"

#include <stdint.h>

/* How many of n examples an item of the score screening makes candidates: its share, at least two. */
int64_t lo_screening_count(const lo_item *item, int64_t n);

/* chosen [n]: 1 for the `count` examples that the score says are memorized most (value [n] times
 * orientation), ties to the lower number, examples without a score last. Errors: LO_INTERNAL without memory.
 */
lo_status lo_screening_choose(const float *value, int orientation, int64_t n, int64_t count, uint8_t *chosen,
                              lo_error *err);

#endif
