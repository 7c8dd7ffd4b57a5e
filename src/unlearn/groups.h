/* The forget set in groups by a score: what RUM treats one after the other. */
#ifndef LEAVEOUT_UNLEARN_GROUPS_H
#define LEAVEOUT_UNLEARN_GROUPS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* group [count]: which group, 0 for the lowest scores, each of the examples position[count] is in. By rank:
 * in the order of scores (of equal ones the earlier position first) groups differ by one example at most, the
 * larger ones being the higher; of three groups the two lower have floor(count / 3), and the middle one
 * begins round((at - 0.5) count) later, at most where it ends with the last example. By the median, of three
 * groups: the floor(count / 3) nearest to the median (of an even number the mean of the two in the middle)
 * are in the middle, of two equally near the lower; the others below or above. LO_INTERNAL without memory. */
lo_status lo_group_scores(const double *score, const uint32_t *position, int64_t count, int groups,
                          bool by_median, double at, int *group, lo_error *err);

/* Of three groups by rank: how many are below the middle one. */
int64_t lo_group_middle(int64_t count, double at);

#endif
