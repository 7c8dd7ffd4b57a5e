#include "data/design.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCK = 100 };

/* Slack for ratios that are whole numbers of examples or models but for rounding: 0.7 * 10 is one. */
static const double whole_slack = 1e-9;

/* Examples are numbered in 32 bits (lo_design_members). */
static const int64_t max_examples = UINT32_MAX;

/* The smallest block of models in which a share `ratio` is a whole number; 0 if there is none. */
static int64_t smallest_block(double ratio)
{
    for (int64_t block = 2; block <= MAX_BLOCK; block++) {
        const double in = ratio * (double)block;
        if (fabs(in - round(in)) <= whole_slack && round(in) >= 1.0) {
            return block;
        }
    }
    return 0;
}

static lo_status make_random(lo_design *design, lo_error *err)
{
    design->size = (int64_t)floor(design->ratio * (double)design->n + whole_slack);
    if (design->size < 1 || design->size >= design->n) {
        return lo_fail(
            err, LO_USAGE, "ensemble.ratio: %g of %lld examples leaves %lld in a model, allowed 1 to %lld",
            design->ratio, (long long)design->n, (long long)design->size, (long long)design->n - 1);
    }
    return LO_OK;
}

static lo_status make_balanced(lo_design *design, lo_error *err)
{
    design->block = smallest_block(design->ratio);
    if (design->block == 0) {
        return lo_fail(err, LO_USAGE,
                       "ensemble.ratio: found %.12g; the balanced design needs a fraction with a denominator "
                       "of at most %d, "
                       "such as 0.7 or 0.25; the random design takes any",
                       design->ratio, MAX_BLOCK);
    }
    design->block_in = (int64_t)round(design->ratio * (double)design->block);
    /* Sizes are within one of n * ratio, so both the smallest and the largest must be a proper subset. */
    const int64_t product = design->n * design->block_in;
    const int64_t least = product / design->block;
    const int64_t most = (product + design->block - 1) / design->block;
    if (least < 1 || most >= design->n) {
        return lo_fail(
            err, LO_USAGE,
            "ensemble.ratio: %g of %lld examples leaves %lld to %lld in a model, allowed 1 to %lld",
            design->ratio, (long long)design->n, (long long)least, (long long)most, (long long)design->n - 1);
    }
    return LO_OK;
}

lo_status lo_design_subsets(const char *name, int64_t n, int64_t models, double ratio, uint64_t seed,
                            lo_design *out, lo_error *err)
{
    *out = (lo_design){.n = n,
                       .models = models,
                       .ratio = ratio,
                       .block = 1,
                       .random = lo_random_make(seed, LO_FOR_MEMBERSHIP)};
    if (n < 2 || n > max_examples) {
        return lo_fail(err, LO_USAGE, "ensemble: found %lld training examples, allowed 2 to %lld",
                       (long long)n, (long long)max_examples);
    }
    if (models < 1) {
        return lo_fail(err, LO_USAGE, "ensemble.models: found %lld, allowed 1 or more", (long long)models);
    }
    if (!(ratio > 0.0 && ratio < 1.0)) {
        return lo_fail(err, LO_USAGE, "ensemble.ratio: found %g, allowed above 0 and below 1", ratio);
    }
    if (strcmp(name, "random") == 0) {
        out->kind = LO_DESIGN_RANDOM;
        return make_random(out, err);
    }
    if (strcmp(name, "balanced") == 0) {
        out->kind = LO_DESIGN_BALANCED;
        return make_balanced(out, err);
    }
    return lo_fail(err, LO_USAGE, "ensemble.design: found %s, allowed random or balanced", name);
}

/* Every position is one of 0 .. n-1, and named once. */
static lo_status check_left(int64_t n, const int64_t *left, int64_t left_count, lo_error *err)
{
    uint8_t *seen = calloc((size_t)n / 8 + 1, 1);
    if (seen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to check %lld examples", (long long)n);
    }
    lo_status status = LO_OK;
    for (int64_t e = 0; e < left_count && status == LO_OK; e++) {
        const int64_t i = left[e];
        if (i < 0 || i >= n) {
            status =
                lo_fail(err, LO_USAGE, "ensemble.examples: entry %lld is position %lld, allowed 0 to %lld",
                        (long long)e, (long long)i, (long long)n - 1);
        } else if ((seen[i / 8] >> (i % 8) & 1) != 0) {
            status = lo_fail(err, LO_USAGE, "ensemble.examples: entry %lld names position %lld a second time",
                             (long long)e, (long long)i);
        } else {
            seen[i / 8] = (uint8_t)(seen[i / 8] | 1U << (i % 8));
        }
    }
    free(seen);
    return status;
}

lo_status lo_design_leave_one_out(int64_t n, const int64_t *left, int64_t left_count, int64_t seeds,
                                  lo_design *out, lo_error *err)
{
    *out = (lo_design){.kind = LO_DESIGN_LEAVE_ONE_OUT,
                       .n = n,
                       .block = 1,
                       .left = left,
                       .left_count = left_count,
                       .seeds = seeds};
    if (n < 2 || n > max_examples) {
        return lo_fail(err, LO_USAGE, "ensemble: found %lld training examples, allowed 2 to %lld",
                       (long long)n, (long long)max_examples);
    }
    if (left_count < 1) {
        return lo_fail(err, LO_USAGE, "ensemble.examples: found none, allowed 1 to %lld", (long long)n);
    }
    LO_TRY(check_left(n, left, left_count, err));
    const int64_t most = INT64_MAX / (left_count + 1);
    if (seeds < 1 || seeds > most) {
        return lo_fail(err, LO_USAGE, "ensemble.seeds: found %lld, allowed 1 to %lld", (long long)seeds,
                       (long long)most);
    }
    out->models = (left_count + 1) * seeds;
    return LO_OK;
}

/* One model of a design, ready to be asked about its examples. */
typedef struct view {
    const lo_design *design;
    lo_permutation permutation; /* random: of the model; balanced: of its block of models */
    uint64_t block_number;      /* balanced */
    uint32_t turn;              /* balanced: which model of its block this is */
    uint64_t full;              /* balanced: groups of `block` examples */
    uint32_t rest;              /* balanced: examples of one more, smaller group; 0: there is none */
    const uint8_t *place; /* balanced: place_in_group of every group, or NULL to compute each when asked */
    int64_t left;         /* leave_one_out: the position left out, or -1 */
} view;

static view view_make(const lo_design *design, int64_t model)
{
    view v = {.design = design, .left = -1};
    switch (design->kind) {
    case LO_DESIGN_RANDOM:
        v.permutation = lo_permutation_make(design->random, (uint64_t)model, (uint64_t)design->n);
        break;
    case LO_DESIGN_BALANCED:
        v.block_number = (uint64_t)(model / design->block);
        v.turn = (uint32_t)(model % design->block);
        v.full = (uint64_t)(design->n / design->block);
        v.rest = (uint32_t)(design->n % design->block);
        v.permutation = lo_permutation_make(design->random, v.block_number, (uint64_t)design->n);
        break;
    case LO_DESIGN_LEAVE_ONE_OUT: {
        const int64_t within = model % (design->left_count + 1);
        v.left = within > 0 ? design->left[within - 1] : -1;
        break;
    }
    case LO_DESIGN_IMPORTED:
        break;
    }
    return v;
}

/* Where the random permutation of (block of models, group of examples) puts this model's turn. It is a
 * Fisher-Yates shuffle from Philox counters of its own: those of a block's permutation are (block, 0) and
 * (block, 1), the group's follow. Bias of a draw below MAX_BLOCK / 2^32. */
static uint32_t place_in_group(const view *v, uint64_t group)
{
    const uint32_t block = (uint32_t)v->design->block;
    const uint64_t calls = (block + 2) / 4; /* block - 1 draws, four a call */
    uint8_t order[MAX_BLOCK];
    uint32_t word[4];
    for (uint32_t i = 0; i < block; i++) {
        order[i] = (uint8_t)i;
    }
    for (uint32_t draw = 0; draw < block - 1; draw++) {
        if (draw % 4 == 0) {
            lo_random_u32x4(v->design->random, v->block_number, 2 + group * calls + draw / 4, word);
        }
        const uint32_t last = block - 1 - draw;
        const uint32_t other = (uint32_t)((uint64_t)word[draw % 4] * (last + 1) >> 32);
        const uint8_t kept = order[last];
        order[last] = order[other];
        order[other] = kept;
    }
    return order[v->turn];
}

/* A group is `block` examples; each is in the models whose places are the block_in from its own start on,
 * around a circle. With every start taken once, each model gets block_in of the group; the last group may
 * have fewer examples, whose starts are spread evenly, so that models differ by at most one. */
static inline bool in_balanced(const view *v, uint64_t example)
{
    const lo_design *design = v->design;
    const uint32_t block = (uint32_t)design->block;
    const uint64_t position = lo_permutation_at(&v->permutation, example);
    const uint64_t group = position / block;
    uint32_t start = (uint32_t)(position % block);
    if (v->rest > 0 && group == v->full) {
        start = start * block / v->rest;
    }
    const uint32_t place = v->place != NULL ? v->place[group] : place_in_group(v, group);
    const uint32_t distance = place >= start ? place - start : place + block - start;
    return distance < (uint32_t)design->block_in;
}

static inline bool view_in(const view *v, int64_t example)
{
    switch (v->design->kind) {
    case LO_DESIGN_RANDOM:
        return lo_permutation_at(&v->permutation, (uint64_t)example) < (uint64_t)v->design->size;
    case LO_DESIGN_BALANCED:
        return in_balanced(v, (uint64_t)example);
    case LO_DESIGN_LEAVE_ONE_OUT:
        return example != v->left;
    case LO_DESIGN_IMPORTED:
        break;
    }
    return false;
}

/* The places of all groups, computed once each: `block` times fewer shuffles when all examples are asked
 * about. Without memory for them answers are the same, only later. The caller frees it. */
static uint8_t *places_make(const view *v)
{
    if (v->design->kind != LO_DESIGN_BALANCED) {
        return NULL;
    }
    const uint64_t groups = v->full + (v->rest > 0 ? 1 : 0);
    uint8_t *place = malloc(groups);
    for (uint64_t group = 0; place != NULL && group < groups; group++) {
        place[group] = (uint8_t)place_in_group(v, group);
    }
    return place;
}

bool lo_design_in(const lo_design *design, int64_t model, int64_t example)
{
    const view v = view_make(design, model);
    return view_in(&v, example);
}

int64_t lo_design_members(const lo_design *design, int64_t model, uint32_t *members)
{
    view v = view_make(design, model);
    uint8_t *place = places_make(&v);
    v.place = place;
    int64_t count = 0;
    for (int64_t i = 0; i < design->n; i++) {
        members[count] = (uint32_t)i; /* stays if i is a member, else is written over */
        count += view_in(&v, i);
    }
    free(place);
    return count;
}

void lo_design_mask(const lo_design *design, int64_t model, uint8_t *bits)
{
    view v = view_make(design, model);
    uint8_t *place = places_make(&v);
    v.place = place;
    memset(bits, 0, ((size_t)design->n + 7) / 8);
    for (int64_t i = 0; i < design->n; i++) {
        bits[i / 8] = (uint8_t)(bits[i / 8] | (unsigned)view_in(&v, i) << (i % 8));
    }
    free(place);
}

uint64_t lo_design_model_seed(const lo_design *design, int64_t model)
{
    if (design->kind == LO_DESIGN_LEAVE_ONE_OUT) {
        return (uint64_t)(model / (design->left_count + 1));
    }
    return (uint64_t)model;
}

lo_design lo_design_imported(int64_t n, int64_t models)
{
    return (lo_design){.kind = LO_DESIGN_IMPORTED, .n = n, .models = models, .block = 1};
}
