#include "unlearn/groups.h"

#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    double key;
    double score;
    int64_t place; /* among the positions, which ascend */
} ranked;

static int compare(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return x->place < y->place ? -1 : 1;
}

int64_t lo_group_middle(int64_t count, double at)
{
    const int64_t size = count / 3, first = size + (int64_t)llround((at - 0.5) * (double)count);
    return first < 0 ? 0 : first > count - size ? count - size : first;
}

/* Three parts, the middle one around the share `at` of the order. */
static void by_matched_rank(const ranked *order, int64_t count, double at, int *group)
{
    const int64_t size = count / 3, begin = lo_group_middle(count, at);
    for (int64_t i = 0; i < count; i++) {
        group[order[i].place] = i < begin ? 0 : i < begin + size ? 1 : 2;
    }
}

/* Parts that differ by one example at most; the larger ones are the higher. */
static void by_rank(const ranked *order, int64_t count, int groups, int *group)
{
    for (int64_t i = 0; i < count; i++) {
        group[order[i].place] = (int)(((i + 1) * groups - 1) / count);
    }
}

/* Of the examples in order: those nearest to the median are in the middle. */
static void by_distance(ranked *order, int64_t count, int *group)
{
    const double median = (order[(count - 1) / 2].score + order[count / 2].score) / 2;
    for (int64_t i = 0; i < count; i++) {
        group[order[i].place] =
            order[i].score > median || (order[i].score == median && i > (count - 1) / 2) ? 2 : 0;
        order[i].key = fabs(order[i].score - median);
    }
    qsort(order, (size_t)count, sizeof(*order), compare);
    for (int64_t i = 0; i < count / 3; i++) {
        group[order[i].place] = 1;
    }
}

lo_status lo_group_scores(const double *score, const uint32_t *position, int64_t count, int groups,
                          bool by_median, double at, int *group, lo_error *err)
{
    ranked *order = calloc((size_t)count + 1, sizeof(*order));
    if (order == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for groups of %lld examples", (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        order[i] = (ranked){score[position[i]], score[position[i]], i};
    }
    qsort(order, (size_t)count, sizeof(*order), compare);
    if (by_median && groups == 3) {
        by_distance(order, count, group);
    } else if (groups == 3) {
        by_matched_rank(order, count, at, group);
    } else {
        by_rank(order, count, groups, group);
    }
    free(order);
    return LO_OK;
}
