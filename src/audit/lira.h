/* LiRA, the likelihood-ratio attack (Carlini et al., S&P 2022): per example a Gaussian of the margins of
 * models that were trained on it (in) and one of those that were not (out).
 *
 *   online:  log N(phi; in) - log N(phi; out)
 *   offline: (phi - centre of out) / deviation of out; increasing in the paper's one-sided tail, without its
 *            saturation
 *
 * Each deviation is of its own side (released code takes the out side's from the in side's scores). Models
 * are sorted by their margins before anything is summed: their order changes no bit. */
#ifndef LEAVEOUT_AUDIT_LIRA_H
#define LEAVEOUT_AUDIT_LIRA_H

#include "audit/references.h"
#include "audit/roc.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_lira {
    bool offline;
    bool median; /* centres are medians, as in the authors' code, else means */
    /* Deviations: 0, each example's own (n - 1 in the denominator; 2 models of a side at least, the target
     * not counted); else these, of all examples together (1 model), for fewer than LO_LIRA_FEW a side:
     * lo_lira_pool. */
    double in_deviation, out_deviation;
    /* Their degrees of freedom (lo_lira_pool): what is taken out of a side is then taken out of its deviation
     * too, which matters to few examples and models: an outlier must not be excused by its own spread. 0: it
     * is not. */
    int64_t in_degrees, out_degrees;
} lo_lira;

enum { LO_LIRA_FEW = 64 };

/* What an example adds to deviations of all: squared distances from its sides' means, and their degrees of
 * freedom. */
typedef struct lo_lira_sums {
    double in_squares, out_squares;
    int64_t in_degrees, out_degrees;
} lo_lira_sums;

/* Of each example: sums [n]. Errors: LO_INTERNAL without memory; what tick returned. */
lo_status lo_lira_spread(const lo_references *references, lo_lira_sums *sums, const lo_tick *tick,
                         lo_error *err);

/* The deviations over all examples, those of all shards included; a side without degrees of freedom has NaN.
 */
void lo_lira_pool(const lo_lira_sums *sums, int64_t n, double *in_deviation, double *out_deviation);

/* Every model as the target of all the others: score [n, models], the model itself taken out of its side. NaN
 * where the margin is or a side has too few others. O(n models log models). Errors: as before. */
lo_status lo_lira_scores(const lo_references *references, const lo_lira *options, float *score,
                         const lo_tick *tick, lo_error *err);

/* The same with another model taken out too, of the other side: partner [models], a row, each the other's;
 * -1 (and partner NULL): none. NaN where the partner's margin is. Where the margins of partners could be
 * exchanged, so can their scores, which are judged by the same sides. Errors: as before. */
lo_status lo_lira_paired_scores(const lo_references *references, const lo_lira *options,
                                const int64_t *partner, float *score, const lo_tick *tick, lo_error *err);

/* One more model, phi [n], as the target of all: score [n]. Errors: as before. */
lo_status lo_lira_target(const lo_references *references, const lo_lira *options, const float *phi,
                         float *score, const lo_tick *tick, lo_error *err);

/* How well an example's models are told apart. */
typedef struct lo_vulnerability {
    float auc; /* over pairs of a model in and one out, ties one half; NaN unless there are some of each */
    float accuracy; /* over the same pairs, the share of models guessed right by score > 0; NaN offline */
} lo_vulnerability;

/* Example by example: out [n]. Both models of a pair are taken out of the sides that judge them: with one
 * alone taken out, which moves its side's centre away from it, examples of which nothing can be told would
 * have an AUC well below one half (Airola et al., Comput. Stat. Data Anal. 55:1828, 2011). O(n in out).
 * Errors: as before. */
lo_status lo_lira_vulnerability(const lo_references *references, const lo_lira *options,
                                lo_vulnerability *out, const lo_tick *tick, lo_error *err);

#endif
