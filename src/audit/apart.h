/* How far a figure of models is from that of oracles, with an interval: is the difference noise? */
#ifndef LEAVEOUT_AUDIT_APART_H
#define LEAVEOUT_AUDIT_APART_H

#include "audit/interval.h"

#include <stdint.h>

/* mean(a) - mean(b) of two independent samples with Welch's interval (Biometrika 34:28, 1947). The bounds are
 * NaN for fewer than two values a side; all is NaN where a side is empty. */
lo_bounded lo_welch(const double *a, int64_t n, const double *b, int64_t m);

/* The mean distance of `seeds` models from oracles less the mean distance of two oracles.
 *
 * to [seeds, oracles]; among [oracles, oracles], its diagonal not read; NaN: not known, has no part. Neither
 * distances of one model nor those from one oracle are independent, and the oracles are in both means: the
 * variance is the jackknife's over models plus that over oracles, leaving out in turn one of them with all
 * its distances (Arvesen, Ann. Math. Stat. 40:2076, 1969: U-statistics of two samples), Student's with
 * Satterthwaite's degrees of freedom. The bounds are NaN for fewer than 2 models or 3 oracles; all is NaN
 * without a distance on a side. O(seeds oracles + oracles^2). */
lo_bounded lo_apart_in_pairs(const double *to, int64_t seeds, const double *among, int64_t oracles);

/* figure - ceiling from the interval of each, by the method of variance estimates recovery (Zou and Donner,
 * Stat. Med. 27:1693, 2008). It takes them to be independent: where they rest on the same oracles, which
 * moves both alike, the interval is too wide rather than too narrow. Bounds NaN where one is missing. */
lo_bounded lo_apart_by_bounds(lo_bounded figure, lo_bounded ceiling);

/* value -+ t sqrt(a + b) of two independent variances with their degrees of freedom (Satterthwaite 1946). */
lo_bounded lo_student_of_two(double value, double a, double a_degrees, double b, double b_degrees);

typedef enum lo_told {
    LO_TOLD_NOTHING, /* there is no interval: it cannot be told */
    LO_TOLD_NOISE,   /* 0 is in it */
    LO_TOLD_APART
} lo_told;

lo_told lo_tell(lo_bounded difference);

#endif
