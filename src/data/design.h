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
    LO_DESIGN_IMPORTED, /* models made elsewhere: their members are not computed, so here they have none */
    LO_DESIGN_COMPLEMENTARY,
    LO_DESIGN_BERNOULLI,
    LO_DESIGN_LEAVE_GROUP_OUT
} lo_design_kind;

/* The name of a design in job files: "balanced". */
const char *lo_design_name(lo_design_kind kind);

typedef struct lo_design {
    lo_design_kind kind;
    int64_t n;        /* training examples in use */
    int64_t models;   /* models asked for; leave_one_out and leave_group_out: (left_count + 1) * seeds */
    double ratio;     /* random, balanced, bernoulli, complementary (0.5): share of the examples in a model */
    int64_t size;     /* random: examples in a model, floor(ratio * n) (Feldman and Zhang 2020) */
    int64_t block;    /* models that belong together: balanced, the denominator of the ratio; complementary,
                       * 2; leave_one_out and leave_group_out, those of a seed; else 1 */
    int64_t block_in; /* balanced: models of a block that an example is in */
    const int64_t
        *left; /* leave_one_out: position (0 .. n-1) of each example left out; owned by the caller */
    const int64_t *group; /* leave_group_out: [n], the group of each example, -1: none; owned by the caller */
    int64_t left_count;   /* leave_one_out: examples; leave_group_out: groups */
    int64_t seeds;        /* the same: trainings per example or group, and full-data twins */
    lo_random random;
} lo_design;

/* `name` is "random", "balanced", "bernoulli" or "complementary", which has the ratio 0.5 whatever `ratio`
 * says. Errors: LO_USAGE for an unknown name, a ratio outside (0, 1), a subset that would be empty or
 * everything (bernoulli: whose chance of that is above 1e-9), models < 1, (complementary) an odd number of
 * models, or (balanced) a ratio that is not a fraction with a denominator of at most 100. */
lo_status lo_design_subsets(const char *name, int64_t n, int64_t models, double ratio, uint64_t seed,
                            lo_design *out, lo_error *err);

/* Model r * (left_count + 1) is the full-data twin of seed r; model r * (left_count + 1) + 1 + e leaves
 * left[e] out. So more seeds append models. Errors: LO_USAGE for a position outside 0 .. n-1, one named
 * twice, none, or seeds < 1. */
lo_status lo_design_leave_one_out(int64_t n, const int64_t *left, int64_t left_count, int64_t seeds,
                                  lo_design *out, lo_error *err);

/* The same of whole groups: model r * (groups + 1) + 1 + g is that of seed r without the members of group g.
 * group [n]: 0 .. groups-1, or -1. Errors: LO_USAGE for a group outside, one without members, one that holds
 * every example, groups < 1 or seeds < 1. */
lo_status lo_design_leave_group_out(int64_t n, const int64_t *group, int64_t groups, int64_t seeds,
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

/* What initial weights and order of a model are keyed by: the model's number; for leave_one_out and
 * leave_group_out its seed: a model and its twin differ in nothing but what is left out; for complementary
 * its pair's number: what two halves have in common leaves their difference. */
uint64_t lo_design_model_seed(const lo_design *design, int64_t model);

/* Models whose outcomes are compared pair by pair: leave_one_out and leave_group_out compare each model with
 * its twin, complementary the two halves. Pair p of the first `models` models is (*a, *b), a < b; every
 * example that is in one of them alone is compared by it. Returns how many pairs there are: 0 for the other
 * designs. Pairs are numbered so that those of few models are the first of those of many. a and b may be
 * NULL. */
int64_t lo_design_pairs(const lo_design *design, int64_t models, int64_t pair, int64_t *a, int64_t *b);

#endif
