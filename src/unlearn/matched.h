/* Another set to forget, for a model that never saw the forget set: of the same size and kind, from the
 * retain set. A model without the forget set that was made to forget such a set by the same method has the
 * method's mark, but nothing of the forget set: the out side of U-LiRA (Hayes et al., 2024). */
#ifndef LEAVEOUT_UNLEARN_MATCHED_H
#define LEAVEOUT_UNLEARN_MATCHED_H

#include "base/status.h"
#include "data/dataset.h"
#include "unlearn/forget.h"

#include <stddef.h>
#include <stdint.h>

/* The set for model `number` beside `set`, which spec describes (of it are read name, select, seed, and by
 * score also score, by_rank and at). What "the same kind" is:
 *
 *   whole classes, subclasses  as many other classes, no class having less than half or more than twice the
 *                              examples that the set's classes have in the mean, by chance; models 0, 1, ...
 *                              go through all of these before one comes again
 *   by score                   what the same rule chooses among the retained, the middle always by rank: the
 *                              same for all models
 *   random                     as many of the retained, by chance
 *   file, labels               by chance as many of each class as the set has
 *
 * Chance is keyed by (seed, number, class) and depends on who is retained. Where there is no such set *out is
 * empty, and `why` [size] says so in one line without a full stop; which depends on the set, not on the
 * number. The caller frees *out. O(train.count), by score times its logarithm. Errors: LO_INTERNAL without
 * memory. */
lo_status lo_matched_select(const lo_forget_spec *spec, const lo_dataset *dataset, const lo_forget_set *set,
                            int64_t number, lo_forget_set *out, char *why, size_t size, lo_error *err);

#endif
