/* Figures of two populations of models that depend on how many there are (KLOM, forgetting quality): the
 * figure of unlearned models against oracles, and its ceiling, that of oracles against other oracles, from
 * equal numbers of models on all sides, so that neither number is better for having more. */
#ifndef LEAVEOUT_AUDIT_EQUAL_NUMBERS_H
#define LEAVEOUT_AUDIT_EQUAL_NUMBERS_H

#include "audit/interval.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* A figure of margins one [n, examples] and other [m, examples]. */
typedef lo_status lo_two_sides(const float *one, int64_t n, const float *other, int64_t m, int64_t examples,
                               double *value, const lo_tick *tick, lo_error *err);

typedef struct lo_two_populations {
    const float *unlearned; /* [seeds, examples]; seeds 0: of oracles alone */
    int64_t seeds;
    const float *oracle; /* [oracles, examples] */
    int64_t oracles, examples;
    lo_two_sides *figure;
    double least, most; /* that a figure can be: intervals end there */
    int64_t sample;     /* examples, evenly spread, that intervals are computed of; 0: all */
} lo_two_populations;

enum { LO_EQUAL_FEWEST = 3, LO_EQUAL_FEWEST_BOUNDED = 5 };

typedef struct lo_equal_numbers {
    lo_bounded figure, ceiling; /* without unlearned models both are the ceiling */
    lo_bounded apart;           /* figure - ceiling */
    int64_t models;             /* a side: the smaller of the seeds and half of the oracles */
} lo_equal_numbers;

/* Both numbers are means over splits: two ways to cut oracles into halves A and B of `models` each, A against
 * B and B against A for the ceiling, unlearned models against B and against A for the figure. Models are
 * ordered by what their margins are, not by their numbers, so that neither the order of models nor that of
 * examples matters. With fewer than 2 LO_EQUAL_FEWEST oracles there is no ceiling, and the figure is that of
 * as many seeds as oracles.
 *
 * Intervals: the jackknife over unlearned models and that over oracles, added (8 groups of models at most
 * are left out in turn), Student's with Satterthwaite's degrees of freedom; the examples are taken as given.
 * A figure that depends on the number of models is that of `models` a side. NaN for fewer than
 * LO_EQUAL_FEWEST_BOUNDED models a side. A sample is noisier than all examples are: the intervals become
 * wider, never narrower.
 *
 * Costs 4 figures and as many for each group left out, 8 where it has oracles. Errors: LO_DATA for fewer than
 * LO_EQUAL_FEWEST models of a side; LO_INTERNAL without memory; those of the figure and of tick. */
lo_status lo_compare_equal_numbers(const lo_two_populations *populations, lo_equal_numbers *out,
                                   const lo_tick *tick, lo_error *err);

#endif
