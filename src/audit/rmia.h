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

/* Every model as the target of all the others: score [examples->n, models]. population: the same models'
 * margins on examples of which none has seen any (its mask is not read). NaN where the margin is, or without
 * another model that has not seen the example. O(models (n log population + population log population)).
 * Errors: LO_USAGE for an empty population; LO_INTERNAL without memory; what tick returned. */
lo_status lo_rmia_scores(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, float *score, const lo_tick *tick, lo_error *err);

/* One more model as the target of all: its margins on the examples and on the population; score
 * [examples->n]. */
lo_status lo_rmia_target(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, const float *phi, const float *population_phi, float *score,
                         const lo_tick *tick, lo_error *err);

/* The a of 0, 0.1, ... 1 with the largest AUC when reference `row` is the target (the smallest of equal
 * ones): what an attacker can do, who knows its training set. *auc may be NULL. Errors: as before; LO_DATA
 * where the model's examples are all in or all out. */
lo_status lo_rmia_tune(const lo_references *examples, const lo_references *population, double gamma,
                       int64_t row, double *a, double *auc, const lo_tick *tick, lo_error *err);

#endif
