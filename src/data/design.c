#include "data/design.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCK = 100 };

const char *lo_design_name(lo_design_kind kind)
{
    switch (kind) {
    case LO_DESIGN_RANDOM:
        return "random";
    case LO_DESIGN_BALANCED:
        return "balanced";
    case LO_DESIGN_LEAVE_ONE_OUT:
        return "leave_one_out";
    case LO_DESIGN_IMPORTED:
        return "imported";
    case LO_DESIGN_COMPLEMENTARY:
        return "complementary";
    case LO_DESIGN_BERNOULLI:
        return "bernoulli";
    case LO_DESIGN_LEAVE_GROUP_OUT:
        return "leave_group_out";
    }
    return "unknown";
}

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

/* Every model draws every example by itself, so that one may have none or all: so rarely that it does not
 * happen. */
static lo_status make_bernoulli(lo_design *design, lo_error *err)
{
    const double most = 1e-9;
    const double n = (double)design->n;
    const double chance = pow(1 - design->ratio, n) + pow(design->ratio, n);
    return chance <= most ? LO_OK
                          : lo_fail(err, LO_USAGE,
                                    "ensemble.ratio: %g of %lld examples, each by itself, leaves a model "
                                    "with none or with all at a chance of %.2g, allowed at most %g; the "
                                    "random design has no such models",
                                    design->ratio, (long long)design->n, chance, most);
}

static lo_status make_complementary(lo_design *design, lo_error *err)
{
    design->ratio = 0.5;
    design->block = 2;
    return design->models % 2 == 0
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "ensemble.models: found %lld; the complementary design trains pairs of models, "
                         "allowed: an even number",
                         (long long)design->models);
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
    if (strcmp(name, "complementary") == 0) {
        out->kind = LO_DESIGN_COMPLEMENTARY;
        return make_complementary(out, err);
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
    if (strcmp(name, "bernoulli") == 0) {
        out->kind = LO_DESIGN_BERNOULLI;
        return make_bernoulli(out, err);
    }
    return lo_fail(err, LO_USAGE,
                   "ensemble.design: found %s, allowed random, balanced, bernoulli or complementary", name);
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

/* What leave_one_out and leave_group_out have in common: for each seed a twin and left_count models. */
static lo_status make_left_out(lo_design *design, lo_error *err)
{
    const int64_t most = INT64_MAX / (design->left_count + 1);
    if (design->seeds < 1 || design->seeds > most) {
        return lo_fail(err, LO_USAGE, "ensemble.seeds: found %lld, allowed 1 to %lld",
                       (long long)design->seeds, (long long)most);
    }
    design->block = design->left_count + 1;
    design->models = design->block * design->seeds;
    return LO_OK;
}

lo_status lo_design_leave_one_out(int64_t n, const int64_t *left, int64_t left_count, int64_t seeds,
                                  lo_design *out, lo_error *err)
{
    *out = (lo_design){
        .kind = LO_DESIGN_LEAVE_ONE_OUT, .n = n, .left = left, .left_count = left_count, .seeds = seeds};
    if (n < 2 || n > max_examples) {
        return lo_fail(err, LO_USAGE, "ensemble: found %lld training examples, allowed 2 to %lld",
                       (long long)n, (long long)max_examples);
    }
    if (left_count < 1) {
        return lo_fail(err, LO_USAGE, "ensemble.examples: found none, allowed 1 to %lld", (long long)n);
    }
    LO_TRY(check_left(n, left, left_count, err));
    return make_left_out(out, err);
}

/* Every group has members, and none has them all. */
static lo_status check_groups(int64_t n, const int64_t *group, int64_t groups, lo_error *err)
{
    int64_t *members = calloc((size_t)groups, sizeof(*members));
    if (members == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to check %lld groups", (long long)groups);
    }
    lo_status status = LO_OK;
    for (int64_t i = 0; i < n && status == LO_OK; i++) {
        if (group[i] < -1 || group[i] >= groups) {
            status =
                lo_fail(err, LO_USAGE, "ensemble.groups: position %lld is in group %lld, allowed -1 to %lld",
                        (long long)i, (long long)group[i], (long long)groups - 1);
        } else if (group[i] >= 0) {
            members[group[i]]++;
        }
    }
    for (int64_t g = 0; g < groups && status == LO_OK; g++) {
        if (members[g] < 1 || members[g] >= n) {
            status = lo_fail(err, LO_USAGE,
                             "ensemble.groups: number %lld of the groups has %lld of the %lld training "
                             "examples in use, allowed 1 to %lld",
                             (long long)g, (long long)members[g], (long long)n, (long long)n - 1);
        }
    }
    free(members);
    return status;
}

lo_status lo_design_leave_group_out(int64_t n, const int64_t *group, int64_t groups, int64_t seeds,
                                    lo_design *out, lo_error *err)
{
    *out = (lo_design){
        .kind = LO_DESIGN_LEAVE_GROUP_OUT, .n = n, .group = group, .left_count = groups, .seeds = seeds};
    if (n < 2 || n > max_examples) {
        return lo_fail(err, LO_USAGE, "ensemble: found %lld training examples, allowed 2 to %lld",
                       (long long)n, (long long)max_examples);
    }
    if (groups < 1 || groups > n) {
        return lo_fail(err, LO_USAGE, "ensemble.groups: found %lld groups, allowed 1 to %lld",
                       (long long)groups, (long long)n);
    }
    LO_TRY(check_groups(n, group, groups, err));
    return make_left_out(out, err);
}

/* One model of a design, ready to be asked about its examples. */
typedef struct view {
    const lo_design *design;
    lo_permutation
        permutation; /* random: of the model; balanced: of its block of models; complementary: of its pair */
    uint64_t block_number; /* balanced */
    uint32_t turn;         /* balanced: which model of its block this is */
    uint64_t full;         /* balanced: groups of `block` examples */
    uint32_t rest;         /* balanced: examples of one more, smaller group; 0: there is none */
    const uint8_t *place;  /* balanced: place_in_group of every group, or NULL to compute each when asked */
    int64_t left;          /* leave_one_out: the position left out; leave_group_out: the group; -1: nothing */
    uint64_t model;        /* bernoulli, complementary */
    uint64_t threshold;    /* bernoulli: of 2^32 */
} view;

static view view_make(const lo_design *design, int64_t model)
{
    view v = {.design = design, .left = -1, .model = (uint64_t)model};
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
        const int64_t within = model % design->block;
        v.left = within > 0 ? design->left[within - 1] : -1;
        break;
    }
    case LO_DESIGN_LEAVE_GROUP_OUT:
        v.left = model % design->block - 1;
        break;
    case LO_DESIGN_COMPLEMENTARY:
        v.permutation = lo_permutation_make(design->random, (uint64_t)(model / 2), (uint64_t)design->n);
        break;
    case LO_DESIGN_BERNOULLI:
        v.threshold = (uint64_t)llround(design->ratio * 4294967296.0);
        break;
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

/* One of four numbers of the counter (model, example / 4). */
static inline bool in_bernoulli(const view *v, uint64_t example)
{
    uint32_t word[4];
    lo_random_u32x4(v->design->random, v->model, example / 4, word);
    return word[example % 4] < v->threshold;
}

/* The even model of a pair has the examples that the pair's permutation puts into the first half, floor(n /
 * 2) of them, and the odd one the others. */
static inline bool in_half(const view *v, uint64_t example)
{
    const bool first = lo_permutation_at(&v->permutation, example) < v->permutation.n / 2;
    return first == (v->model % 2 == 0);
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
    case LO_DESIGN_LEAVE_GROUP_OUT:
        return v->left < 0 || v->design->group[example] != v->left;
    case LO_DESIGN_COMPLEMENTARY:
        return in_half(v, (uint64_t)example);
    case LO_DESIGN_BERNOULLI:
        return in_bernoulli(v, (uint64_t)example);
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
    switch (design->kind) {
    case LO_DESIGN_LEAVE_ONE_OUT:
    case LO_DESIGN_LEAVE_GROUP_OUT:
    case LO_DESIGN_COMPLEMENTARY:
        return (uint64_t)(model / design->block);
    case LO_DESIGN_RANDOM:
    case LO_DESIGN_BALANCED:
    case LO_DESIGN_BERNOULLI:
    case LO_DESIGN_IMPORTED:
        break;
    }
    return (uint64_t)model;
}

int64_t lo_design_pairs(const lo_design *design, int64_t models, int64_t pair, int64_t *a, int64_t *b)
{
    const bool twins = design->kind == LO_DESIGN_LEAVE_ONE_OUT || design->kind == LO_DESIGN_LEAVE_GROUP_OUT;
    if (!twins && design->kind != LO_DESIGN_COMPLEMENTARY) {
        return 0;
    }
    /* The first model of a block is compared with each of the others. */
    const int64_t others = design->block - 1;
    const int64_t first = pair / others * design->block;
    if (a != NULL) {
        *a = first;
    }
    if (b != NULL) {
        *b = first + 1 + pair % others;
    }
    const int64_t rest = models % design->block;
    return models / design->block * others + (rest > 1 ? rest - 1 : 0);
}

lo_design lo_design_imported(int64_t n, int64_t models)
{
    return (lo_design){.kind = LO_DESIGN_IMPORTED, .n = n, .models = models, .block = 1};
}
