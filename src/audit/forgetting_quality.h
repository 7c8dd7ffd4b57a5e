/* Forgetting quality of the NeurIPS 2023 unlearning competition (Triantafillou et al., 2024; the rules as
 * they were released): how well do rules on one example's margin tell models that forgot it from ones that
 * never saw it? A perfect method does not score 1: with 512 + 512 margins of one Gaussian, the best of so
 * many rules leaves 0.18 to 0.20. Compare with the same of oracles against other oracles. */
#ifndef LEAVEOUT_AUDIT_FORGETTING_QUALITY_H
#define LEAVEOUT_AUDIT_FORGETTING_QUALITY_H

#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* The epsilon (delta = 1e-5) of one example, from margins unlearned [n] and oracle [m], without NaN:
 *
 * - 50 where one side's range is below 1 % of the other's.
 * - Rules "a margin of at least t is of the side with the larger median", t on a grid of 100 per unit over
 * the range of all margins; rules "a margin in [l, r] is of the side with the smaller range", r on a grid of
 * 100 per unit from 2 below that side's largest to 2 above, l on one of 400 from 2 below r - range to 2
 * above.
 * - A rule with no errors of either kind gives 50; with errors of one kind only it is dropped (too few
 * models); else max(log((1 - delta - fpr) / fnr), log((1 - delta - fnr) / fpr), 0). Epsilon is the largest,
 * at most 50.
 * - Where every rule is dropped, which stops the released program: 50 if the sides do not touch, else 0.
 *
 * O((n + m) log(n + m) + rules): 160,000 intervals whatever n is, and 100 thresholds per unit of the range.
 * Errors: LO_DATA for fewer than 2 models a side; LO_INTERNAL without memory. */
lo_status lo_forgetting_epsilon(const double *unlearned, int64_t n, const double *oracle, int64_t m,
                                double *epsilon, lo_error *err);

/* 2^-k for epsilon in [k / 2, (k + 1) / 2), 0 from ceil(log(models - 1)) on: more than so many models can
 * show. */
double lo_forgetting_points(double epsilon, int64_t models);

/* The mean of the points of examples: unlearned [n, stride] and oracle [m, stride] hold margins of `examples`
 * examples. epsilon [examples] may be NULL. The competition's score is this times the ratios of retain and
 * test accuracy to the oracles'. Fewer than 50 models a side say little: the most points that an epsilon can
 * lose is bounded by log(models). Errors: LO_DATA for fewer than 2 models a side or a NaN margin; LO_INTERNAL
 * without memory; what tick returned. */
lo_status lo_forgetting_quality(const float *unlearned, int64_t n, const float *oracle, int64_t m,
                                int64_t stride, int64_t examples, double *epsilon, double *quality,
                                const lo_tick *tick, lo_error *err);

/* That mean alone, as lo_compare_equal_numbers asks for it: one [n, examples], other [m, examples]. */
lo_status lo_forgetting_mean(const float *one, int64_t n, const float *other, int64_t m, int64_t examples,
                             double *quality, const lo_tick *tick, lo_error *err);

#endif
