/* When an ensemble has models enough: the errors of its estimates are looked at after fixed numbers of
 * models, so that the answer depends on those models and on nothing else. */
#ifndef LEAVEOUT_SCORE_STOPPING_H
#define LEAVEOUT_SCORE_STOPPING_H

#include "base/status.h"
#include "data/design.h"

#include <stdint.h>

/* Which error over the examples is meant. */
typedef enum lo_over { LO_OVER_MEAN, LO_OVER_MEDIAN, LO_OVER_P90, LO_OVER_LARGEST } lo_over;

/* "mean", "median", "p90" or "largest"; LO_OVER_MEAN for anything else. */
lo_over lo_over_named(const char *name);
const char *lo_over_name(lo_over over);

/* After how many models errors are looked at next, when `now` are there (0 at the start): `first`, then a
 * quarter more than now, rounded up to whole blocks of the design, at most design->models. */
int64_t lo_stopping_next(const lo_design *design, int64_t first, int64_t now);

/* The mean of error [n] (pairwise sums), or the smallest of them that a half, nine tenths or all do not
 * exceed. One that is NaN counts as infinite: no such score has an error yet. 0 of none. Errors: LO_INTERNAL
 * without memory. */
lo_status lo_stopping_error(const float *error, int64_t n, lo_over over, double *out, lo_error *err);

/* After how many models (one of lo_stopping_next's) the error is at most `target` whatever the outcomes are,
 * for every example: exact for balanced and complementary designs, for the others with as many models in and
 * out as the ratio makes expect; design->models if that many are not enough. */
int64_t lo_stopping_bound(const lo_design *design, int64_t first, double target);

#endif
