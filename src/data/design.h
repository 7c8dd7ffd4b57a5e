/* Ensemble designs: which examples a model of the ensemble is trained on (its mask). Membership of one
 * example in one model is a computation; nothing else needs to be generated. */
#ifndef LEAVEOUT_DATA_DESIGN_H
#define LEAVEOUT_DATA_DESIGN_H

#include "base/random.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum lo_design_kind {
    LO_DESIGN_RANDOM,
    LO_DESIGN_BALANCED,
    LO_DESIGN_LEAVE_ONE_OUT,
    LO_DESIGN_IMPORTED /* models made elsewhere: their members are not computed, so here they have none */
} lo_design_kind;

typedef struct lo_design {
    lo_design_kind kind;
    int64_t n;        /* training examples in use */
    int64_t models;   /* models asked for; leave_one_out: (left + 1) * seeds */
    double ratio;     /* random, balanced: share of the examples in a model */
    int64_t size;     /* random: examples in a model, floor(ratio * n) (Feldman and Zhang 2020) */
    int64_t block;    /* balanced: models in a block, the denominator of the ratio; else 1 */
    int64_t block_in; /* balanced: models of a block that an example is in */
    const int64_t
        *left; /* leave_one_out: position (0 .. n-1) of each example left out; owned by the caller */
    int64_t left_count;
    int64_t seeds; /* leave_one_out: trainings per example, and full-data twins */
    lo_random random;
} lo_design;

/* `name` is "random" or "balanced". Errors: LO_USAGE for an unknown name, a ratio outside (0, 1), a subset
 * that would be empty or everything, models < 1, or (balanced) a ratio that is not a fraction with a
 * denominator of at most 100. */
lo_status lo_design_subsets(const char *name, int64_t n, int64_t models, double ratio, uint64_t seed,
                            lo_design *out, lo_error *err);

/* Model r * (left_count + 1) is the full-data twin of seed r; model r * (left_count + 1) + 1 + e leaves
 * left[e] out. So more seeds append models. Errors: LO_USAGE for a position outside 0 .. n-1, one named
 * twice, none, or seeds < 1. */
lo_status lo_design_leave_one_out(int64_t n, const int64_t *left, int64_t left_count, int64_t seeds,
                                  lo_design *out, lo_error *err);

/* n examples, so many models made elsewhere. */
lo_design lo_design_imported(int64_t n, int64_t models);

/* Is example i in model k? */
bool lo_design_in(const lo_design *design, int64_t model, int64_t example);

/* The members of a model, ascending, into members[n]; returns how many. Same answers as lo_design_in, faster.
 */
int64_t lo_design_members(const lo_design *design, int64_t model, uint32_t *members);

/* The same as packed bits: example i is bit i%8 of byte i/8; bits [ceil(n/8)] bytes, spare bits zero. */
void lo_design_mask(const lo_design *design, int64_t model, uint8_t *bits);

/* What initial weights and order of a model are keyed by: the model's number, or, for leave_one_out, its
 * seed: a model and its twin differ in nothing but the example. */
uint64_t lo_design_model_seed(const lo_design *design, int64_t model);

#endif
