/* How far a score from an ensemble can be trusted to order examples: split-half reliability, and what it says
 * about correlations with other scores. */
#ifndef LEAVEOUT_SCORE_RELIABILITY_H
#define LEAVEOUT_SCORE_RELIABILITY_H

#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* Two disjoint random halves of the models in `use` ([ceil(models/8)] bits, NULL: all), as bits of the same
 * kind. `unit` consecutive models (the pair of a complementary design, a seed of leave_one_out; else 1) stay
 * together; of an odd number of units one is in neither half. Split s of a seed is permutation s of
 * LO_FOR_SPLIT. */
void lo_split_models(uint64_t seed, int64_t split, const uint8_t *use, int64_t models, int64_t unit,
                     uint8_t *first, uint8_t *second);

/* The score of each of n examples from the models in `use` alone; NaN where it has none. */
typedef lo_status lo_half_score(void *self, const uint8_t *use, double *score, lo_error *err);

typedef struct lo_halving {
    uint64_t seed;
    int64_t splits; /* 10 will do */
    int64_t models, unit, n;
    const uint8_t *use;
    lo_half_score *score;
    void *self;
} lo_halving;

/* Correlations between the scores of the halves, as means over the splits, and what follows for the whole
 * ensemble. In the model behind it a score is a truth plus an error that is independent from half to half and
 * of equal variance; then Pearson's are exact, and for ranks they are the usual approximation. */
typedef struct lo_correlation_pair {
    double pearson, spearman;
} lo_correlation_pair;
typedef struct lo_reliability {
    lo_correlation_pair half;  /* between two halves of the models */
    lo_correlation_pair whole; /* of the score from all of them with another such: Spearman and Brown (1910),
                                  2 r / (1 + r) */
    lo_correlation_pair ceiling; /* upper bounds of what a proxy that knew the truth would reach: the root of
                                    `whole`, and for ranks not above tie_ceiling either */
    lo_correlation_pair spread;  /* standard deviation of the halves' correlations over the splits */
    double tie_ceiling;          /* of all models' score: lo_tie_ceiling, */
    double tied;                 /* and the share of the examples that share their value with another */
    int64_t splits;
} lo_reliability;

/* Where the score of a half is made by all ranks together, this is collective too. Errors: LO_INTERNAL
 * without memory; LO_USAGE with fewer than two units of models; what score and tick return. */
lo_status lo_split_half(const lo_halving *halving, lo_reliability *out, const lo_tick *tick, lo_error *err);

/* The largest Spearman's correlation that values without ties can have with value [n], which has some:
 * sqrt(1 - sum(t^3 - t) / (m^3 - m)), over the ties of t values each, m being how many are not NaN (Kendall,
 * Rank Correlation Methods, 1948, chapter 3). It is reached by an order that agrees with all that the values
 * tell apart. *tied: the share of the m that are in a tie. NaN for m below 2, or one value alone. Errors:
 * LO_INTERNAL without memory. */
lo_status lo_tie_ceiling(const double *value, int64_t n, double *ceiling, double *tied, lo_error *err);

/* The correlation of a score made of `times` as many models as one whose correlation with its like is r. */
double lo_spearman_brown(double r, double times);

/* A correlation corrected for the errors of both sides (Spearman 1904): r over the root of the product of the
 * reliabilities. 1 for a side that is taken as it is. It is an estimate, and can be above 1. NaN where a
 * reliability is not above 0. */
double lo_disattenuated(double r, double reliability_x, double reliability_y);

#endif
