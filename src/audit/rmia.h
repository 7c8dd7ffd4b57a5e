/* RMIA, the robust membership attack (Zarifzadeh, Liu and Shokri, ICML 2024), offline: one or a few reference
 * models that were not trained on an example will do.
 *
 *   ratio(x) = p_target(x) / P(x),   P(x) = ((1 + a) mean of p(x) over references without x + (1 - a)) / 2
 *   score(x) = share of the population z with ratio(x) / ratio(z) > gamma
 *
 * p is the label's probability, from the margin. The population are examples that no model was trained on. */
#ifndef LEAVEOUT_AUDIT_RMIA_H
#define LEAVEOUT_AUDIT_RMIA_H

#include "audit/references.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

typedef struct lo_rmia {
    double
        a; /* in [0, 1]: how much of P is told by models that were not trained on x; lo_rmia_tune finds one */
    double gamma; /* 1 and larger */
} lo_rmia;

/* What the references say of the examples and of a population, ready for many targets. population: the same
 * models' margins on examples of which none has seen any (its mask is not read). The views' arrays must
 * outlive it. Errors: LO_USAGE for an empty population; LO_INTERNAL without memory; what tick returned. The
 * caller destroys it. */
typedef struct lo_rmia_attack lo_rmia_attack;
lo_status lo_rmia_create(const lo_references *examples, const lo_references *population, lo_rmia_attack **out,
                         const lo_tick *tick, lo_error *err);
void lo_rmia_destroy(lo_rmia_attack **attack);

/* Reference `row` as the target of all the others: score [n], written every `stride` floats. NaN where the
 * margin is, or without another model that has not seen the example. O((n + population) log population).
 * Errors: what tick returned. */
lo_status lo_rmia_reference(lo_rmia_attack *attack, const lo_rmia *options, int64_t row, float *score,
                            int64_t stride, const lo_tick *tick);

/* One more model as the target of all references: its margins on the examples and on the population; score
 * [n]. */
lo_status lo_rmia_target(lo_rmia_attack *attack, const lo_rmia *options, const float *phi,
                         const float *population_phi, float *score, const lo_tick *tick);

/* Every reference as the target of all the others: score [examples->n, models]. Errors: as lo_rmia_create. */
lo_status lo_rmia_scores(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, float *score, const lo_tick *tick, lo_error *err);

/* a = 0, 0.1, ... 1: values that are tried, the best of which an attacker takes who knows one reference's
 * training set. */
enum { LO_RMIA_TRIED = 11 };
static inline double lo_rmia_a(int tried)
{
    return tried / (double)(LO_RMIA_TRIED - 1);
}

#endif
