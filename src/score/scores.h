/* The table of scores: what turns the outcomes of an ensemble into one number per training example. A new
 * score is one file that defines an lo_score, and one line in the list of scores.c. */
#ifndef LEAVEOUT_SCORE_SCORES_H
#define LEAVEOUT_SCORE_SCORES_H

#include "base/status.h"
#include "data/design.h"
#include "score/subset.h"

#include <stdint.h>

/* Outcomes of pairs of models that differ in one example only, on that example: `plus` pairs of which only
 * the model trained with the example was right on it, `minus` pairs of which only the other was. */
typedef struct lo_pairs {
    int32_t plus, minus, pairs;
} lo_pairs;

/* What a score may look at. */
typedef struct lo_score_input {
    int64_t n;               /* training examples */
    const lo_counts *counts; /* [n] of lo_count */
    const lo_pairs *pairs;   /* [n] of lo_count_pairs for leave_one_out ensembles, else NULL */
} lo_score_input;

typedef struct lo_score {
    const char *name;        /* as in the job file: "memorization" */
    const char *description; /* one line */
    int orientation;         /* +1: large means more memorized; -1: small does */
    const char *source;      /* publication */
    void (*estimate)(const lo_score_input *input,
                     lo_estimate *out); /* out [n]; NaN where undefined; cannot fail */
} lo_score;

int lo_score_count(void);
const lo_score *lo_score_at(int i);

/* NULL for a name that no score has. */
const lo_score *lo_score_find(const char *name);

/* Pairs of a leave_one_out design: for each example left out, the model without it and the full-data twin of
 * the same seed, over the seeds of which both are in `use` ([ceil(models/8)] bits, or NULL for all). correct
 * [models, design->n] are outcomes on the training examples; it may hold fewer models than the design asks
 * for, or more. pairs [design->n] takes zeros for examples that are never left out. */
void lo_count_pairs(const lo_design *design, const lo_columns *correct, const uint8_t *use, lo_pairs *pairs);

#endif
