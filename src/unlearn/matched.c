#include "unlearn/matched.h"

#include "base/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being drawn: flags and room over the training examples. */
typedef struct drawing {
    const lo_forget_spec *spec;
    const lo_dataset *dataset;
    const lo_forget_set *set;
    int64_t number;
    uint8_t *gone;   /* [n]: in the set */
    uint8_t *chosen; /* [n] */
    uint32_t *pool;  /* [n] */
    char *why;
    size_t size;
    lo_error *err;
} drawing;

/* `count` of pool [pooled], by chance: the first of a keyed permutation. */
static void draw(const drawing *d, int64_t pooled, int64_t count, int64_t stratum)
{
    const lo_random random = lo_random_make(d->spec->seed, LO_FOR_MATCHED);
    const uint64_t stream = (uint64_t)d->number * (uint64_t)(d->dataset->classes + 1) + (uint64_t)stratum;
    const lo_permutation order = lo_permutation_make(random, stream, (uint64_t)pooled);
    for (int64_t k = 0; k < count; k++) {
        d->chosen[d->pool[lo_permutation_at(&order, (uint64_t)k)]] = 1;
    }
}

static void draw_from_all(const drawing *d)
{
    int64_t pooled = 0;
    for (int64_t i = 0; i < d->dataset->train.count; i++) {
        if (d->gone[i] == 0) {
            d->pool[pooled++] = (uint32_t)i;
        }
    }
    draw(d, pooled, d->set->count, 0);
}

/* As many of each class. */
static void draw_by_class(const drawing *d)
{
    const lo_examples *train = &d->dataset->train;
    for (int32_t c = 0; c < d->dataset->classes; c++) {
        int64_t pooled = 0, wanted = 0;
        for (int64_t i = 0; i < train->count; i++) {
            if (train->label[i] == c && d->gone[i] != 0) {
                wanted++;
            } else if (train->label[i] == c) {
                d->pool[pooled++] = (uint32_t)i;
            }
        }
        if (wanted > pooled) {
            (void)snprintf(d->why, d->size,
                           "class %" PRId32 " has %" PRId64 " examples to forget and only %" PRId64
                           " others for a set like it",
                           c, wanted, pooled);
            return;
        }
        if (wanted > 0) {
            draw(d, pooled, wanted, c + 1);
        }
    }
}

/* ---- other classes ---- */

typedef struct class_size {
    int64_t all, gone; /* training examples, and those in the set */
} class_size;

/* The labels that the set's classes are classes of. */
static const int32_t *labels_of(const drawing *d)
{
    const lo_examples *train = &d->dataset->train;
    if (d->spec->select != LO_SELECT_SUBCLASS) {
        return train->label;
    }
    const bool fine =
        memcmp(train->label_true, train->label_fine, (size_t)train->count * sizeof(*train->label)) == 0;
    return fine ? train->label_coarse : train->label_fine;
}

/* Counts into class [classes], malloc'ed; NULL without memory. */
static class_size *count_classes(const drawing *d, const int32_t *label, int32_t *classes)
{
    const int64_t n = d->dataset->train.count;
    *classes = 0;
    for (int64_t i = 0; i < n; i++) {
        *classes = label[i] >= *classes ? label[i] + 1 : *classes;
    }
    class_size *class = calloc((size_t)*classes + 1, sizeof(*class));
    for (int64_t i = 0; class != NULL && i < n; i++) {
        class[label[i]].all++;
        class[label[i]].gone += d->gone[i];
    }
    return class;
}

/* Lists in pool the classes that are retained and of a size with the set's; *forgotten: how many the set has.
 */
static int64_t list_alike(const drawing *d, const class_size *class, int32_t classes, int64_t *forgotten)
{
    int64_t alike = 0;
    *forgotten = 0;
    for (int32_t c = 0; c < classes; c++) {
        *forgotten += class[c].gone > 0;
    }
    const double mean = (double)d->set->count / (double)*forgotten;
    for (int32_t c = 0; c < classes; c++) {
        const double size = (double)class[c].all;
        if (class[c].gone == 0 && size >= mean / 2 && size <= mean * 2) {
            d->pool[alike++] = (uint32_t)c;
        }
    }
    return alike;
}

static lo_status choose_classes(const drawing *d)
{
    const int32_t *label = labels_of(d);
    int32_t classes;
    int64_t forgotten;
    class_size *class = count_classes(d, label, &classes);
    if (class == NULL) {
        return lo_fail(d->err, LO_INTERNAL, "forget set %s: no memory", d->spec->name);
    }
    const int64_t alike = list_alike(d, class, classes, &forgotten);
    free(class);
    if (alike < forgotten) {
        (void)snprintf(d->why, d->size,
                       "%" PRId64 " classes are forgotten, and %" PRId64
                       " others are of such a size (half to twice)",
                       forgotten, alike);
        return LO_OK;
    }
    const lo_permutation order =
        lo_permutation_make(lo_random_make(d->spec->seed, LO_FOR_MATCHED), 0, (uint64_t)alike);
    for (int64_t k = 0; k < forgotten; k++) {
        const uint64_t at = (uint64_t)(d->number * forgotten + k) % (uint64_t)alike;
        const int32_t c = (int32_t)d->pool[lo_permutation_at(&order, at)];
        for (int64_t i = 0; i < d->dataset->train.count; i++) {
            d->chosen[i] = label[i] == c ? 1 : d->chosen[i];
        }
    }
    return LO_OK;
}

/* ---- the same rule ---- */

static lo_status choose_by_rule(const drawing *d)
{
    const int64_t n = d->dataset->train.count;
    double *score = malloc((size_t)n * sizeof(*score) + 1);
    if (score == NULL) {
        return lo_fail(d->err, LO_INTERNAL, "forget set %s: no memory", d->spec->name);
    }
    for (int64_t i = 0; i < n; i++) {
        score[i] = d->gone[i] != 0 ? (double)NAN : d->spec->score[i];
    }
    lo_forget_spec rest = *d->spec;
    lo_forget_set found = {0};
    lo_error why = {""};
    rest.size = d->set->count;
    rest.share = 0;
    rest.score = score;
    if (!rest.by_rank) { /* the median has left a hole, and is on one side of it: by rank the middle is on
                            both */
        rest.by_rank = true;
        rest.at = 0.5;
    }
    lo_status status = lo_forget_select(&rest, d->dataset, &found, &why);
    for (int64_t i = 0; i < found.count; i++) {
        d->chosen[found.position[i]] = 1;
    }
    if (status == LO_USAGE) {
        (void)snprintf(d->why, d->size, "among the retained: %s", why.text);
        status = LO_OK;
    } else if (status != LO_OK && d->err != NULL) {
        *d->err = why;
    }
    lo_forget_free(&found);
    free(score);
    return status;
}

static lo_status choose(const drawing *d)
{
    const lo_select select = d->spec->select;
    if (select == LO_SELECT_SUBCLASS || (d->set->whole_class && !lo_select_by_score(select))) {
        return choose_classes(d);
    }
    if (lo_select_by_score(select)) {
        return choose_by_rule(d);
    }
    if (select == LO_SELECT_RANDOM) {
        draw_from_all(d);
    } else {
        draw_by_class(d);
    }
    return LO_OK;
}

/* What the flags say, as a set. */
static lo_status gather(const drawing *d, lo_forget_set *out)
{
    const int64_t left = d->dataset->train.count - d->set->count;
    int64_t count = 0;
    for (int64_t i = 0; i < d->dataset->train.count; i++) {
        count += d->chosen[i];
    }
    if (2 * count > left) {
        (void)snprintf(d->why, d->size,
                       "a set like it would have %" PRId64 " of %" PRId64
                       " retained examples, more than would remain",
                       count, left);
        return LO_OK;
    }
    return lo_forget_of(d->dataset, d->spec->name, d->chosen, out, d->err);
}

lo_status lo_matched_select(const lo_forget_spec *spec, const lo_dataset *dataset, const lo_forget_set *set,
                            int64_t number, lo_forget_set *out, char *why, size_t size, lo_error *err)
{
    const size_t n = (size_t)dataset->train.count;
    drawing d = {.spec = spec,
                 .dataset = dataset,
                 .set = set,
                 .number = number,
                 .gone = calloc(n + 1, 1),
                 .chosen = calloc(n + 1, 1),
                 .pool = calloc(n + 1, sizeof(*d.pool)),
                 .why = why,
                 .size = size,
                 .err = err};
    lo_status status = LO_OK;
    *out = (lo_forget_set){0};
    why[0] = '\0';
    if (d.gone == NULL || d.chosen == NULL || d.pool == NULL) {
        status = lo_fail(err, LO_INTERNAL, "forget set %s: no memory", spec->name);
        goto end;
    }
    for (int64_t i = 0; i < set->count; i++) {
        d.gone[set->position[i]] = 1;
    }
    status = choose(&d);
    if (status == LO_OK && why[0] == '\0') {
        status = gather(&d, out);
    }
end:
    free(d.gone);
    free(d.chosen);
    free(d.pool);
    return status;
}
