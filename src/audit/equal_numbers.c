#include "audit/equal_numbers.h"

#include "audit/apart.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SPLITS = 2, GROUPS = 8 };

typedef struct place {
    uint64_t key;
    int64_t model;
} place;

/* Models of one side, in the order of each split; those from `used` on have no part. */
typedef struct side {
    const float *phi;
    place *order[SPLITS]; /* [count] */
    int64_t count, used, groups;
    int *group; /* [count] of a model; -1: not used */
} side;

typedef struct work {
    const lo_two_populations *is;
    side unlearned, oracle;
    int64_t models;
    bool has_ceiling;
    float *room[2]; /* [models, examples] */
    const lo_tick *tick;
} work;

/* ---- order ---- */

/* Steele, Lea and Flood's mix (OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* A sum, so that the order of examples does not matter. */
static uint64_t key_of(const float *phi, int64_t examples, int split)
{
    uint64_t key = 0;
    for (int64_t i = 0; i < examples; i++) {
        uint32_t bits;
        memcpy(&bits, &phi[i], sizeof(bits));
        key += mix(((uint64_t)split << 32) + bits);
    }
    return mix(key);
}

static int by_key(const void *a, const void *b)
{
    const uint64_t x = ((const place *)a)->key, y = ((const place *)b)->key;
    return (x > y) - (x < y);
}

static lo_status side_make(side *s, const float *phi, int64_t count, int64_t used, int64_t examples,
                           lo_error *err)
{
    *s = (side){.phi = phi, .count = count, .used = used < count ? used : count};
    s->groups = s->used < GROUPS ? s->used : GROUPS;
    s->group = malloc((size_t)count * sizeof(*s->group) + 1);
    bool enough = s->group != NULL;
    for (int p = 0; p < SPLITS; p++) {
        s->order[p] = malloc((size_t)count * sizeof(*s->order[p]) + 1);
        enough = enough && s->order[p] != NULL;
    }
    if (!enough) {
        return lo_fail(err, LO_INTERNAL, "no memory to order %lld models", (long long)count);
    }
    for (int64_t m = 0; m < count; m++) {
        s->order[0][m] = (place){key_of(phi + m * examples, examples, 0), m};
    }
    qsort(s->order[0], (size_t)count, sizeof(*s->order[0]), by_key);
    for (int64_t i = 0; i < count; i++) { /* all splits are of the same models */
        s->group[s->order[0][i].model] = i < s->used ? (int)(i % s->groups) : -1;
    }
    for (int p = 1; p < SPLITS; p++) {
        for (int64_t i = 0; i < s->used; i++) {
            const int64_t m = s->order[0][i].model;
            s->order[p][i] = (place){key_of(phi + m * examples, examples, p), m};
        }
        qsort(s->order[p], (size_t)s->used, sizeof(*s->order[p]), by_key);
    }
    return LO_OK;
}

static void side_free(side *s)
{
    for (int p = 0; p < SPLITS; p++) {
        free(s->order[p]);
    }
    free(s->group);
}

/* ---- figures ---- */

typedef struct sample {
    int64_t examples; /* of all, evenly spread */
    int left_out[2];  /* groups of unlearned models and of oracles; -1: none */
} sample;

/* `models` models from place `from` on, round about, but the group left out; returns how many. */
static int64_t gather(const work *w, const side *s, int split, int64_t from, int left_out, int64_t examples,
                      float *out)
{
    int64_t count = 0;
    for (int64_t k = 0; k < w->models; k++) {
        const int64_t m = s->order[split][(from + k) % s->used].model;
        if (s->group[m] == left_out) {
            continue;
        }
        for (int64_t i = 0; i < examples; i++) {
            out[count * examples + i] = s->phi[m * w->is->examples + i * w->is->examples / examples];
        }
        count++;
    }
    return count;
}

static lo_status one_figure(const work *w, int64_t n, int64_t m, int64_t examples, double *sum, lo_error *err)
{
    double value = NAN;
    LO_TRY(w->is->figure(w->room[0], n, w->room[1], m, examples, &value, w->tick, err));
    *sum += value / (2 * SPLITS);
    return LO_OK;
}

/* Means over splits. ceiling: NULL where it is not wanted. */
static lo_status figures(const work *w, const sample *s, double *figure, double *ceiling, lo_error *err)
{
    *figure = 0;
    if (ceiling != NULL) {
        *ceiling = 0;
    }
    for (int h = 0; h < 2 * SPLITS; h++) {
        const int split = h / 2;
        const int64_t pair = w->has_ceiling ? 2 * w->models : w->models;
        const int64_t first = split * pair, half = w->has_ceiling ? w->models : 0;
        const int64_t here = first + (h % 2 == 0 ? half : 0), there = first + (h % 2 == 0 ? 0 : half);
        const int64_t m = gather(w, &w->oracle, split, here, s->left_out[1], s->examples, w->room[1]);
        if (w->unlearned.count > 0) {
            const int64_t n =
                gather(w, &w->unlearned, split, h * w->models, s->left_out[0], s->examples, w->room[0]);
            LO_TRY(one_figure(w, n, m, s->examples, figure, err));
        }
        if (ceiling != NULL) {
            const int64_t n = gather(w, &w->oracle, split, there, s->left_out[1], s->examples, w->room[0]);
            LO_TRY(one_figure(w, n, m, s->examples, ceiling, err));
        }
    }
    return LO_OK;
}

/* ---- the jackknife ---- */

typedef struct spread {
    int64_t count;
    double mean, squares;
} spread;

static void add(spread *s, double value)
{
    const double off = value - s->mean;
    s->count++;
    s->mean += off / (double)s->count;
    s->squares += off * (value - s->mean);
}

static double variance(const spread *s)
{
    return s->count > 0 ? (double)(s->count - 1) / (double)s->count * s->squares : 0;
}

enum { FIGURE, CEILING, APART, KINDS };

/* What is left without each group of a side. */
static lo_status leave_out(const work *w, int of_oracles, int64_t examples, spread left[KINDS], lo_error *err)
{
    const side *s = of_oracles ? &w->oracle : &w->unlearned;
    for (int g = 0; g < s->groups; g++) {
        sample without = {examples, {-2, -2}};
        double value = NAN, ceiling = 0;
        without.left_out[of_oracles] = g;
        const bool both = of_oracles && w->has_ceiling;
        LO_TRY(figures(w, &without, &value, both ? &ceiling : NULL, err));
        add(&left[FIGURE], value);
        add(&left[CEILING], ceiling);
        add(&left[APART], value - ceiling);
    }
    return LO_OK;
}

static lo_bounded bounded(const work *w, double value, const spread *models, const spread *oracles)
{
    const double a = variance(models), b = variance(oracles);
    const lo_bounded x = lo_student_of_two(value, a, models->count > 1 ? (double)(models->count - 1) : 1, b,
                                           (double)(oracles->count - 1));
    return (lo_bounded){value, fmax(x.low, w->is->least), fmin(x.high, w->is->most)};
}

static lo_status bound(const work *w, lo_equal_numbers *out, lo_error *err)
{
    const int64_t all = w->is->examples, asked = w->is->sample;
    const int64_t examples = asked > 0 && asked < all ? asked : all;
    const spread none = {0};
    spread models[KINDS] = {{0}}, oracles[KINDS] = {{0}};
    if (w->unlearned.count > 0) {
        LO_TRY(leave_out(w, 0, examples, models, err));
    }
    LO_TRY(leave_out(w, 1, examples, oracles, err));
    if (w->has_ceiling) {
        out->ceiling = bounded(w, out->ceiling.value, &none, &oracles[CEILING]);
    }
    if (w->unlearned.count > 0) {
        out->figure = bounded(w, out->figure.value, &models[FIGURE], &oracles[FIGURE]);
    }
    if (w->unlearned.count > 0 && w->has_ceiling) {
        out->apart =
            lo_student_of_two(out->apart.value, variance(&models[APART]), (double)(models[APART].count - 1),
                              variance(&oracles[APART]), (double)(oracles[APART].count - 1));
    }
    return LO_OK;
}

lo_status lo_compare_equal_numbers(const lo_two_populations *populations, lo_equal_numbers *out,
                                   const lo_tick *tick, lo_error *err)
{
    const lo_two_populations *p = populations;
    const int64_t seeds = p->seeds > 0 ? p->seeds : p->oracles / 2, half = p->oracles / 2;
    work w = {.is = p, .has_ceiling = half >= LO_EQUAL_FEWEST, .tick = tick};
    const int64_t most = w.has_ceiling ? half : p->oracles;
    w.models = seeds < most ? seeds : most;
    if (w.models < LO_EQUAL_FEWEST) {
        return lo_fail(err, LO_DATA,
                       "%lld seeds and %lld oracles; %d of each are needed, and %d oracles for "
                       "oracles against oracles",
                       (long long)p->seeds, (long long)p->oracles, LO_EQUAL_FEWEST, 2 * LO_EQUAL_FEWEST);
    }
    *out = (lo_equal_numbers){lo_unbounded_nan(), lo_unbounded_nan(), lo_unbounded_nan(), w.models};
    const size_t size = (size_t)(w.models * p->examples) * sizeof(float) + 1;
    w.room[0] = malloc(size);
    w.room[1] = malloc(size);
    lo_status status = w.room[0] != NULL && w.room[1] != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for %lld models", (long long)w.models);
    if (status == LO_OK) {
        status = side_make(&w.unlearned, p->unlearned, p->seeds, 2 * SPLITS * w.models, p->examples, err);
    }
    if (status == LO_OK) {
        status = side_make(&w.oracle, p->oracle, p->oracles, 2 * SPLITS * w.models, p->examples, err);
    }
    const sample all = {p->examples, {-2, -2}};
    double figure = NAN, ceiling = NAN;
    if (status == LO_OK) {
        status = figures(&w, &all, &figure, w.has_ceiling ? &ceiling : NULL, err);
    }
    if (status == LO_OK) {
        out->figure.value = p->seeds > 0 ? figure : ceiling;
        out->ceiling.value = ceiling;
        out->apart.value = p->seeds > 0 ? figure - ceiling : (double)NAN;
        status = w.models >= LO_EQUAL_FEWEST_BOUNDED ? bound(&w, out, err) : LO_OK;
        out->figure = p->seeds > 0 ? out->figure : out->ceiling;
    }
    side_free(&w.unlearned);
    side_free(&w.oracle);
    free(w.room[0]);
    free(w.room[1]);
    return status;
}
