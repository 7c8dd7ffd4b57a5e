#include "score/agreement.h"

#include <math.h>
#include <stdlib.h>

typedef struct item {
    double value;
    int64_t number;
} item;

static int by_value(const void *a, const void *b)
{
    const item *p = a, *q = b;
    if (p->value != q->value) {
        return p->value < q->value ? -1 : 1;
    }
    return (p->number > q->number) - (p->number < q->number);
}

static void sort_numbers(const double *value, int64_t count, item *items, int64_t *order)
{
    for (int64_t i = 0; i < count; i++) {
        items[i] = (item){value[i], i};
    }
    qsort(items, (size_t)count, sizeof(*items), by_value);
    for (int64_t i = 0; i < count; i++) {
        order[i] = items[i].number;
    }
}

lo_status lo_pairing_create(const double *x, const double *y, int64_t n, lo_pairing *out, lo_error *err)
{
    const size_t room = (size_t)n + 1;
    item *items = calloc(room, sizeof(*items));
    *out = (lo_pairing){
        .n = n,
        .example = calloc(room, sizeof(*out->example)),
        .x = calloc(room, sizeof(*out->x)),
        .y = calloc(room, sizeof(*out->y)),
        .by_x = calloc(room, sizeof(*out->by_x)),
        .by_y = calloc(room, sizeof(*out->by_y)),
        .room = calloc(3 * room, sizeof(*out->room)),
        .order = calloc(room, sizeof(*out->order)),
    };
    if (items == NULL || out->example == NULL || out->x == NULL || out->y == NULL || out->by_x == NULL ||
        out->by_y == NULL || out->room == NULL || out->order == NULL) {
        free(items);
        lo_pairing_destroy(out);
        return lo_fail(err, LO_INTERNAL, "no memory to compare two scores of %lld examples", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) {
            out->example[out->used] = i;
            out->x[out->used] = x[i];
            out->y[out->used++] = y[i];
        }
    }
    sort_numbers(out->x, out->used, items, out->by_x);
    sort_numbers(out->y, out->used, items, out->by_y);
    free(items);
    return LO_OK;
}

void lo_pairing_destroy(lo_pairing *pairing)
{
    free(pairing->example);
    free(pairing->x);
    free(pairing->y);
    free(pairing->by_x);
    free(pairing->by_y);
    free(pairing->room);
    free(pairing->order);
    *pairing = (lo_pairing){0};
}

static double weight_at(const int64_t *example, const int32_t *weight, int64_t i)
{
    return weight != NULL ? weight[example[i]] : 1;
}

static double weight_of(const lo_pairing *p, const int32_t *weight, int64_t i)
{
    return weight_at(p->example, weight, i);
}

static double total_of(const lo_pairing *p, const int32_t *weight)
{
    double total = 0;
    for (int64_t i = 0; i < p->used; i++) {
        total += weight_of(p, weight, i);
    }
    return total;
}

/* The examples order[first .. next - 1] have the value of order[first]. */
static int64_t end_of_tie(const double *value, const int64_t *order, int64_t first, int64_t used)
{
    int64_t next = first + 1;
    while (next < used && value[order[next]] == value[order[first]]) {
        next++;
    }
    return next;
}

double lo_correlation(const double *x, const double *y, int64_t count, const int64_t *example,
                      const int32_t *weight)
{
    double total = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < count; i++) {
        const double w = weight_at(example, weight, i);
        if (w > 0 && !isnan(x[i]) && !isnan(y[i])) {
            total += w;
            mean_x += w * (x[i] - mean_x) / total;
            mean_y += w * (y[i] - mean_y) / total;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        const double w = weight_at(example, weight, i);
        if (w > 0 && !isnan(x[i]) && !isnan(y[i])) {
            const double dx = x[i] - mean_x, dy = y[i] - mean_y;
            xx += w * dx * dx;
            yy += w * dy * dy;
            xy += w * dx * dy;
        }
    }
    const bool defined = xx > 0 && yy > 0 && isfinite(xx) && isfinite(yy);
    return defined ? fmax(-1, fmin(1, xy / xx * sqrt(xx / yy))) : (double)NAN;
}

double lo_paired_pearson(const lo_pairing *pairing, const int32_t *weight)
{
    return lo_correlation(pairing->x, pairing->y, pairing->used, pairing->example, weight);
}

static void midranks(const lo_pairing *p, const double *value, const int64_t *order, const int32_t *weight,
                     double *rank)
{
    double below = 0;
    for (int64_t first = 0; first < p->used;) {
        const int64_t next = end_of_tie(value, order, first, p->used);
        double tied = 0;
        for (int64_t i = first; i < next; i++) {
            tied += weight_of(p, weight, order[i]);
        }
        for (int64_t i = first; i < next; i++) {
            rank[order[i]] = below + (tied + 1) / 2;
        }
        below += tied;
        first = next;
    }
}

double lo_paired_spearman(lo_pairing *pairing, const int32_t *weight)
{
    double *rank_x = pairing->room, *rank_y = pairing->room + pairing->used;
    midranks(pairing, pairing->x, pairing->by_x, weight, rank_x);
    midranks(pairing, pairing->y, pairing->by_y, weight, rank_y);
    return lo_correlation(rank_x, rank_y, pairing->used, pairing->example, weight);
}

/* A tree of sums of the weights at places 1 .. size (Fenwick 1994): both take log2(size) steps. */
static void tree_add(double *tree, int64_t size, int64_t place, double weight)
{
    for (; place <= size; place += place & -place) {
        tree[place] += weight;
    }
}

static double tree_sum(const double *tree, int64_t place)
{
    double sum = 0;
    for (; place > 0; place -= place & -place) {
        sum += tree[place];
    }
    return sum;
}

/* place [used]: which distinct value of x an example has, from 1; returns how many there are. */
static int64_t places_of_x(const lo_pairing *p, int64_t *place)
{
    int64_t distinct = 0;
    for (int64_t first = 0; first < p->used;) {
        const int64_t next = end_of_tie(p->x, p->by_x, first, p->used);
        distinct++;
        for (int64_t i = first; i < next; i++) {
            place[p->by_x[i]] = distinct;
        }
        first = next;
    }
    return distinct;
}

double lo_paired_somers(lo_pairing *pairing, const int32_t *weight)
{
    int64_t *place = pairing->order;
    double *tree = pairing->room; /* [distinct + 1]: of the examples with a smaller y */
    const int64_t distinct = places_of_x(pairing, place);
    double below = 0, excess = 0, pairs = 0;
    for (int64_t k = 0; k <= distinct; k++) {
        tree[k] = 0;
    }
    for (int64_t first = 0; first < pairing->used;) {
        const int64_t next = end_of_tie(pairing->y, pairing->by_y, first, pairing->used);
        double tied = 0;
        for (int64_t i = first; i < next; i++) {
            const int64_t at = pairing->by_y[i];
            const double w = weight_of(pairing, weight, at);
            const double smaller = tree_sum(tree, place[at] - 1);
            excess += w * (smaller - (below - tree_sum(tree, place[at])));
            tied += w;
        }
        for (int64_t i = first; i < next; i++) {
            const int64_t at = pairing->by_y[i];
            tree_add(tree, distinct, place[at], weight_of(pairing, weight, at));
        }
        pairs += below * tied;
        below += tied;
        first = next;
    }
    return pairs > 0 && distinct > 1 ? excess / pairs : (double)NAN;
}

/* Of a tie of x: how many copies are above the threshold, and how many are not. */
static void count_tie(const lo_pairing *p, int64_t first, int64_t next, double threshold,
                      const int32_t *weight, double *above, double *others)
{
    *above = *others = 0;
    for (int64_t i = first; i < next; i++) {
        *(p->y[p->by_x[i]] > threshold ? above : others) += weight_of(p, weight, p->by_x[i]);
    }
}

double lo_paired_auc(const lo_pairing *pairing, double threshold, const int32_t *weight)
{
    double wins = 0, positives = 0, negatives = 0;
    for (int64_t first = 0; first < pairing->used;) {
        const int64_t next = end_of_tie(pairing->x, pairing->by_x, first, pairing->used);
        double above, others;
        count_tie(pairing, first, next, threshold, weight, &above, &others);
        wins += above * (negatives + others / 2);
        positives += above;
        negatives += others;
        first = next;
    }
    return positives > 0 && negatives > 0 ? wins / positives / negatives : (double)NAN;
}

double lo_paired_precision(const lo_pairing *pairing, double threshold, const int32_t *weight)
{
    double sum = 0, positives = 0, taken = 0;
    for (int64_t next = pairing->used; next > 0;) {
        int64_t first = next - 1;
        while (first > 0 && pairing->x[pairing->by_x[first - 1]] == pairing->x[pairing->by_x[first]]) {
            first--;
        }
        double above, others;
        count_tie(pairing, first, next, threshold, weight, &above, &others);
        positives += above;
        taken += above + others;
        sum += above > 0 ? above * positives / taken : 0;
        next = first;
    }
    return positives > 0 && positives < taken ? sum / positives : (double)NAN;
}

double lo_paired_quantile(const lo_pairing *pairing, lo_side side, double value, const int32_t *weight)
{
    const double *values = side == LO_SIDE_X ? pairing->x : pairing->y;
    double below = 0, total = 0;
    for (int64_t i = 0; i < pairing->used; i++) {
        const double w = weight_of(pairing, weight, i);
        below += values[i] < value ? w : values[i] == value ? w / 2 : 0;
        total += w;
    }
    return total > 0 ? below / total : (double)NAN;
}

/* Gives each of the examples order[0 .. used - 1], whose keys ascend, its share of the positions from `first`
 * to `end`: position 0 is the first copy's. */
static void share_positions(const lo_pairing *p, const double *key, const int64_t *order, double first,
                            double end, const int32_t *weight, double *share)
{
    double below = 0;
    for (int64_t i = 0; i < p->used;) {
        const int64_t next = end_of_tie(key, order, i, p->used);
        double tied = 0;
        for (int64_t k = i; k < next; k++) {
            tied += weight_of(p, weight, order[k]);
        }
        const double common = fmin(end, below + tied) - fmax(first, below);
        for (int64_t k = i; k < next; k++) {
            share[order[k]] = common > 0 ? common / tied : 0;
        }
        below += tied;
        i = next;
    }
}

static double median_of(const lo_pairing *p, const double *value, const int64_t *order, double total,
                        const int32_t *weight)
{
    double below = 0, lower = NAN;
    for (int64_t i = 0; i < p->used; i++) {
        below += weight_of(p, weight, order[i]);
        if (isnan(lower) && 2 * below >= total) {
            lower = value[order[i]];
        }
        if (2 * below > total) {
            return lower == value[order[i]] ? lower : (lower + value[order[i]]) / 2;
        }
    }
    return lower;
}

/* The order of the examples by their distance from `centre`: both sides of it ascend in distance, so they are
 * merged. */
static void order_by_distance(const lo_pairing *p, const double *value, const int64_t *ascending,
                              double centre, double *distance, int64_t *order)
{
    int64_t right = 0;
    for (int64_t i = 0; i < p->used; i++) {
        distance[i] = value[i] == centre ? 0 : fabs(value[i] - centre); /* infinite ones may be the centre */
        right += value[i] < centre;
    }
    int64_t left = right - 1;
    for (int64_t k = 0; k < p->used; k++) {
        const bool from_left =
            right == p->used || (left >= 0 && distance[ascending[left]] < distance[ascending[right]]);
        order[k] = ascending[from_left ? left-- : right++];
    }
}

static void share_nearest(lo_pairing *p, const double *value, const int64_t *ascending, double centre,
                          int64_t size, const int32_t *weight, double *share)
{
    double *distance = p->room + 2 * p->used;
    order_by_distance(p, value, ascending, centre, distance, p->order);
    share_positions(p, distance, p->order, 0, (double)size, weight, share);
}

bool lo_paired_group(lo_pairing *pairing, lo_side side, lo_group group, const int32_t *weight, double *share)
{
    const double *value = side == LO_SIDE_X ? pairing->x : pairing->y;
    const int64_t *order = side == LO_SIDE_X ? pairing->by_x : pairing->by_y;
    const double total = total_of(pairing, weight), size = (double)group.size;
    if (!(size >= 1 && size <= total) || isnan(group.at)) {
        return false;
    }
    double first = 0;
    switch (group.kind) {
    case LO_GROUP_NEAR_MEDIAN:
        share_nearest(pairing, value, order, median_of(pairing, value, order, total, weight), group.size,
                      weight, share);
        return true;
    case LO_GROUP_NEAR_VALUE:
        share_nearest(pairing, value, order, group.at, group.size, weight, share);
        return true;
    case LO_GROUP_TOP:
        first = total - size;
        break;
    case LO_GROUP_BOTTOM:
        break;
    case LO_GROUP_AT_QUANTILE:
        first = fmax(0, fmin(total - size, group.at * total - size / 2));
        break;
    }
    share_positions(pairing, value, order, first, first + size, weight, share);
    return true;
}

lo_overlap lo_paired_overlap(lo_pairing *pairing, lo_group of_x, lo_group of_y, const int32_t *weight)
{
    double *share_x = pairing->room, *share_y = pairing->room + pairing->used;
    if (!lo_paired_group(pairing, LO_SIDE_X, of_x, weight, share_x) ||
        !lo_paired_group(pairing, LO_SIDE_Y, of_y, weight, share_y)) {
        return (lo_overlap){(double)NAN, (double)NAN};
    }
    double common = 0, sum = 0;
    for (int64_t i = 0; i < pairing->used; i++) {
        const double w = weight_of(pairing, weight, i);
        common += w * share_x[i] * share_y[i];
        sum += share_x[i] > 0 ? w * share_x[i] * pairing->y[i] : 0;
    }
    return (lo_overlap){common / (double)of_x.size, sum / (double)of_x.size};
}
