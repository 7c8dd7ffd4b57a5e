#include "unlearn/forget.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[LO_SELECTIONS] = {
    [LO_SELECT_RANDOM] = "random", [LO_SELECT_CLASS] = "class",   [LO_SELECT_SUBCLASS] = "subclass",
    [LO_SELECT_TOP] = "top",       [LO_SELECT_MIDDLE] = "middle", [LO_SELECT_BOTTOM] = "bottom",
    [LO_SELECT_MIX] = "mix",       [LO_SELECT_FILE] = "file",     [LO_SELECT_LABELS] = "labels",
};

const char *lo_select_name(lo_select select)
{
    return names[select];
}

lo_select lo_select_named(const char *name)
{
    int i = 0;
    while (i < LO_SELECTIONS && strcmp(name, names[i]) != 0) {
        i++;
    }
    return (lo_select)i;
}

bool lo_select_by_score(lo_select select)
{
    return select == LO_SELECT_TOP || select == LO_SELECT_MIDDLE || select == LO_SELECT_BOTTOM ||
           select == LO_SELECT_MIX;
}

/* An example that may be chosen, and what it is ordered by: first `key`, then `second`, then its position. */
typedef struct candidate {
    double key, second;
    uint64_t chance;
    uint32_t position;
} candidate;

static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->key != y->key            ? (x->key < y->key ? -1 : 1)
           : x->second != y->second    ? (x->second < y->second ? -1 : 1)
           : x->chance != y->chance    ? (x->chance < y->chance ? -1 : 1)
           : x->position < y->position ? -1
                                       : x->position > y->position;
}

/* What is being chosen: a flag for each example, and room for candidates. */
typedef struct selection {
    const lo_forget_spec *spec;
    const lo_dataset *dataset;
    uint8_t *chosen;      /* [n] */
    candidate *candidate; /* [n] */
    int64_t candidates;
    lo_error *err;
} selection;

static lo_status fail_size(const selection *s, int64_t wanted)
{
    return lo_fail(s->err, LO_USAGE,
                   "forget set %s: %lld examples are asked for, but only %lld %s (of %lld training examples "
                   "in use)",
                   s->spec->name, (long long)wanted, (long long)s->candidates,
                   lo_select_by_score(s->spec->select) ? "have a score" : "can be chosen",
                   (long long)s->dataset->train.count);
}

static int64_t size_among(const lo_forget_spec *spec, int64_t candidates)
{
    return spec->size > 0 ? spec->size : (int64_t)llround(spec->share * (double)candidates);
}

/* How many of the candidates. */
static lo_status wanted_size(const selection *s, int64_t *size)
{
    *size = size_among(s->spec, s->candidates);
    return *size > s->candidates ? fail_size(s, *size) : LO_OK;
}

static void choose_first(selection *s, int64_t size)
{
    qsort(s->candidate, (size_t)s->candidates, sizeof(*s->candidate), compare);
    for (int64_t i = 0; i < size; i++) {
        s->chosen[s->candidate[i].position] = 1;
    }
}

static lo_status choose_by_chance(selection *s)
{
    const lo_random random = lo_random_make(s->spec->seed, LO_FOR_FORGET);
    int64_t size = s->candidates;
    for (int64_t i = 0; i < s->candidates; i++) {
        candidate *c = &s->candidate[i];
        c->chance = lo_random_u64(random, s->spec->draw, (uint64_t)s->dataset->train.index[c->position]);
    }
    if (s->spec->size > 0 || s->spec->share > 0) {
        LO_TRY(wanted_size(s, &size));
    }
    choose_first(s, size);
    return LO_OK;
}

/* The candidates with a score that are not chosen yet, key: sign times the score. */
static void list_scored(selection *s, double sign)
{
    s->candidates = 0;
    for (int64_t i = 0; i < s->dataset->train.count; i++) {
        if (!isnan(s->spec->score[i]) && s->chosen[i] == 0) {
            s->candidate[s->candidates++] =
                (candidate){.key = sign * s->spec->score[i], .position = (uint32_t)i};
        }
    }
}

static double median_of_all(selection *s)
{
    uint8_t *chosen = s->chosen;
    uint8_t *nothing = calloc((size_t)s->dataset->train.count + 1, 1);
    if (nothing == NULL) {
        return (double)NAN;
    }
    s->chosen = nothing;
    list_scored(s, 1);
    s->chosen = chosen;
    free(nothing);
    qsort(s->candidate, (size_t)s->candidates, sizeof(*s->candidate), compare);
    const double low = s->candidate[(s->candidates - 1) / 2].key, high = s->candidate[s->candidates / 2].key;
    return low + (high - low) / 2;
}

/* Where among the candidates the middle by rank begins. `at` is a share of all that have a score; those of a
 * mix that are chosen already were taken from both ends. */
static int64_t first_by_rank(const selection *s, int64_t size)
{
    int64_t scored = 0;
    for (int64_t i = 0; i < s->dataset->train.count; i++) {
        scored += isnan(s->spec->score[i]) ? 0 : 1;
    }
    const int64_t moved = (int64_t)llround((s->spec->at - 0.5) * (double)scored);
    const int64_t first = (s->candidates - size) / 2 + moved, last = s->candidates - size;
    return first < 0 ? 0 : first > last ? last : first;
}

static lo_status choose_middle(selection *s, int64_t size)
{
    if (s->spec->by_rank) {
        list_scored(s, 1);
        qsort(s->candidate, (size_t)s->candidates, sizeof(*s->candidate), compare);
        for (int64_t i = first_by_rank(s, size), left = size; left > 0; i++, left--) {
            s->chosen[s->candidate[i].position] = 1;
        }
        return LO_OK;
    }
    const double median = median_of_all(s);
    if (isnan(median)) {
        return lo_fail(s->err, LO_INTERNAL, "forget set %s: no memory", s->spec->name);
    }
    list_scored(s, 1);
    for (int64_t i = 0; i < s->candidates; i++) {
        candidate *c = &s->candidate[i];
        c->second = c->key;
        c->key = fabs(c->key - median);
    }
    choose_first(s, size);
    return LO_OK;
}

/* A mix has something of each part. */
static lo_status check_parts(const lo_forget_spec *spec, int64_t size, lo_error *err)
{
    return spec->select != LO_SELECT_MIX || size >= 3
               ? LO_OK
               : lo_fail(err, LO_USAGE, "forget set %s: a mix of %lld examples; allowed: at least 3",
                         spec->name, (long long)size);
}

static lo_status choose_by_score(selection *s)
{
    int64_t size;
    list_scored(s, 1);
    LO_TRY(wanted_size(s, &size));
    LO_TRY(check_parts(s->spec, size, s->err));
    const int64_t third = s->spec->select == LO_SELECT_MIX ? size / 3 : 0;
    const int64_t top = s->spec->select == LO_SELECT_TOP ? size : third > 0 ? size - 2 * third : 0;
    if (top > 0) {
        list_scored(s, -1);
        choose_first(s, top);
    }
    if (s->spec->select == LO_SELECT_BOTTOM || third > 0) {
        list_scored(s, 1);
        choose_first(s, third > 0 ? third : size);
    }
    return s->spec->select == LO_SELECT_MIDDLE || third > 0 ? choose_middle(s, third > 0 ? third : size)
                                                            : LO_OK;
}

/* Lists the examples with one of the named labels; every one of these must occur. */
static lo_status list_labelled(selection *s, const int32_t *label)
{
    const int64_t n = s->dataset->train.count;
    s->candidates = 0;
    for (int64_t k = 0; k < s->spec->numbers; k++) {
        const int64_t class = s->spec->number[k];
        const int64_t before = s->candidates;
        for (int64_t j = 0; j < k; j++) {
            if (s->spec->number[j] == class) {
                return lo_fail(s->err, LO_USAGE, "forget set %s: class %lld is given twice", s->spec->name,
                               (long long)class);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            if (label[i] == class) {
                s->candidate[s->candidates++] = (candidate){.position = (uint32_t)i};
            }
        }
        if (s->candidates == before) {
            return lo_fail(s->err, LO_USAGE,
                           "forget set %s: class %lld does not occur among the %lld training examples in use "
                           "(classes are numbered from 0)",
                           s->spec->name, (long long)class, (long long)n);
        }
    }
    return LO_OK;
}

static lo_status choose_class(selection *s)
{
    const lo_examples *train = &s->dataset->train;
    const int32_t *label = train->label;
    if (s->spec->select == LO_SELECT_SUBCLASS) {
        if (train->label_fine == NULL || train->label_coarse == NULL) {
            return lo_fail(s->err, LO_USAGE,
                           "forget set %s: select subclass needs data with two levels of classes, such as "
                           "cifar100; these have one",
                           s->spec->name);
        }
        const size_t bytes = (size_t)train->count * sizeof(*label);
        const bool fine = memcmp(train->label_true, train->label_fine, bytes) == 0;
        label = fine ? train->label_coarse : train->label_fine;
    }
    LO_TRY(list_labelled(s, label));
    if (s->spec->select == LO_SELECT_LABELS) {
        return choose_by_chance(s);
    }
    choose_first(s, s->candidates);
    return LO_OK;
}

/* Source numbers are in ascending order. */
static int64_t position_of(const lo_examples *examples, int64_t number)
{
    int64_t low = 0, high = examples->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (examples->index[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < examples->count && examples->index[low] == number ? low : -1;
}

static lo_status choose_numbers(selection *s)
{
    const lo_examples *train = &s->dataset->train;
    for (int64_t k = 0; k < s->spec->numbers; k++) {
        const int64_t i = position_of(train, s->spec->number[k]);
        if (i < 0) {
            return lo_fail(s->err, LO_USAGE,
                           "forget set %s: example %lld is not among the %lld training examples in use "
                           "(numbers %lld to %lld, after limit and validation)",
                           s->spec->name, (long long)s->spec->number[k], (long long)train->count,
                           (long long)train->index[0], (long long)train->index[train->count - 1]);
        }
        if (s->chosen[i] != 0) {
            return lo_fail(s->err, LO_USAGE, "forget set %s: example %lld is given twice", s->spec->name,
                           (long long)s->spec->number[k]);
        }
        s->chosen[i] = 1;
    }
    return LO_OK;
}

static lo_status choose(selection *s)
{
    switch (s->spec->select) {
    case LO_SELECT_RANDOM:
        s->candidates = s->dataset->train.count;
        for (int64_t i = 0; i < s->candidates; i++) {
            s->candidate[i] = (candidate){.position = (uint32_t)i};
        }
        return choose_by_chance(s);
    case LO_SELECT_CLASS:
    case LO_SELECT_SUBCLASS:
    case LO_SELECT_LABELS:
        return choose_class(s);
    case LO_SELECT_TOP:
    case LO_SELECT_MIDDLE:
    case LO_SELECT_BOTTOM:
    case LO_SELECT_MIX:
        return choose_by_score(s);
    case LO_SELECT_FILE:
        return choose_numbers(s);
    case LO_SELECTIONS:
        break;
    }
    return lo_fail(s->err, LO_INTERNAL, "forget set %s: no such selection", s->spec->name);
}

lo_status lo_forget_check_size(const char *name, int64_t count, int64_t n, lo_error *err)
{
    if (count == 0) {
        return lo_fail(err, LO_USAGE, "forget set %s is empty; allowed: 1 to %lld examples", name,
                       (long long)(n / 2));
    }
    return 2 * count > n
               ? lo_fail(err, LO_USAGE,
                         "forget set %s has %lld of %lld training examples, more than the %lld that would "
                         "remain; allowed: 1 to %lld",
                         name, (long long)count, (long long)n, (long long)(n - count), (long long)(n / 2))
               : LO_OK;
}

/* Are the chosen ones all of their classes? */
static bool is_whole_class(const lo_dataset *dataset, const uint8_t *chosen, uint8_t *seen)
{
    for (int64_t i = 0; i < dataset->train.count; i++) {
        seen[dataset->train.label[i]] |= (uint8_t)(1 << chosen[i]);
    }
    for (int32_t c = 0; c < dataset->classes; c++) {
        if (seen[c] == 3) {
            return false;
        }
    }
    return true;
}

lo_status lo_forget_of(const lo_dataset *dataset, const char *name, const uint8_t *chosen, lo_forget_set *out,
                       lo_error *err)
{
    const int64_t n = dataset->train.count;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        count += chosen[i];
    }
    LO_TRY(lo_forget_check_size(name, count, n, err));
    uint8_t *seen = calloc((size_t)dataset->classes + 1, 1);
    out->position = calloc((size_t)count, sizeof(*out->position));
    if (out->position == NULL || seen == NULL) {
        free(seen);
        return lo_fail(err, LO_INTERNAL, "forget set %s: no memory for %lld examples", name,
                       (long long)count);
    }
    for (int64_t i = 0; i < n; i++) {
        if (chosen[i] != 0) {
            out->position[out->count++] = (uint32_t)i;
        }
    }
    out->whole_class = is_whole_class(dataset, chosen, seen);
    free(seen);
    return LO_OK;
}

lo_status lo_forget_select(const lo_forget_spec *spec, const lo_dataset *dataset, lo_forget_set *out,
                           lo_error *err)
{
    const size_t n = (size_t)dataset->train.count;
    selection s = {.spec = spec,
                   .dataset = dataset,
                   .chosen = calloc(n + 1, 1),
                   .candidate = calloc(n + 1, sizeof(candidate)),
                   .err = err};
    *out = (lo_forget_set){0};
    lo_status status = s.chosen != NULL && s.candidate != NULL
                           ? choose(&s)
                           : lo_fail(err, LO_INTERNAL, "forget set %s: no memory", spec->name);
    if (status == LO_OK) {
        status = lo_forget_of(dataset, spec->name, s.chosen, out, err);
    }
    free(s.chosen);
    free(s.candidate);
    if (status != LO_OK) {
        lo_forget_free(out);
    }
    return status;
}

lo_status lo_forget_foresee(const lo_forget_spec *spec, int64_t n, int64_t *count, lo_error *err)
{
    *count = size_among(spec, n);
    LO_TRY(lo_forget_check_size(spec->name, *count, n, err));
    return check_parts(spec, *count, err);
}

void lo_forget_free(lo_forget_set *set)
{
    free(set->position);
    *set = (lo_forget_set){0};
}

lo_status lo_forget_unite(const lo_dataset *dataset, const char *name, const lo_forget_set *set,
                          const lo_forget_set *more, lo_forget_set *out, lo_error *err)
{
    uint8_t *chosen = calloc((size_t)dataset->train.count + 1, 1);
    lo_status status = LO_OK;
    *out = (lo_forget_set){0};
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "forget set %s: no memory", name);
    }
    for (int64_t i = 0; i < set->count; i++) {
        chosen[set->position[i]] = 1;
    }
    for (int64_t i = 0; i < more->count && status == LO_OK; i++) {
        const uint32_t p = more->position[i];
        status = chosen[p] == 0
                     ? LO_OK
                     : lo_fail(err, LO_USAGE,
                               "forget set %s: example %lld is in two of the sets that are forgotten one "
                               "after the other; allowed: in one",
                               name, (long long)dataset->train.index[p]);
        chosen[p] = 1;
    }
    if (status == LO_OK) {
        status = lo_forget_of(dataset, name, chosen, out, err);
    }
    free(chosen);
    if (status != LO_OK) {
        lo_forget_free(out);
    }
    return status;
}

uint32_t *lo_forget_retained(const lo_forget_set *set, int64_t n)
{
    uint32_t *retained = calloc((size_t)(n - set->count) + 1, sizeof(*retained));
    int64_t next = 0, count = 0;
    for (int64_t i = 0; retained != NULL && i < n; i++) {
        if (next < set->count && set->position[next] == (uint32_t)i) {
            next++;
        } else {
            retained[count++] = (uint32_t)i;
        }
    }
    return retained;
}
