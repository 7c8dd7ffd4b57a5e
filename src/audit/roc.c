#include "audit/roc.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Scores sorted ascending, without NaN. */
typedef struct sides {
    double *member, *other;
    int64_t members, others;
} sides;

static int64_t without_nan(const double *from, int64_t n, double *to)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(from[i])) {
            to[kept++] = from[i];
        }
    }
    return kept;
}

static lo_status sort_sides(const double *member, int64_t members, const double *other, int64_t others,
                            sides *out, lo_error *err)
{
    double *room = malloc((size_t)(members + others + 1) * sizeof(*room));
    if (room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld scores", (long long)(members + others));
    }
    out->member = room;
    out->members = without_nan(member, members, out->member);
    out->other = room + out->members;
    out->others = without_nan(other, others, out->other);
    lo_sort_reals(out->member, out->members);
    lo_sort_reals(out->other, out->others);
    return LO_OK;
}

/* DeLong's variance of the AUC and the AUC, from placements: how many of the other side each score exceeds,
 * ties one half. */
static void placements(const double *a, int64_t na, const double *b, int64_t nb, double *mean,
                       double *variance)
{
    double sum = 0, squares = 0;
    int64_t below = 0, through = 0;
    for (int64_t i = 0; i < na; i++) {
        while (below < nb && b[below] < a[i]) {
            below++;
        }
        through = through > below ? through : below;
        while (through < nb && b[through] <= a[i]) {
            through++;
        }
        /* Offset by one half: sums of squares of numbers around 0 keep their digits. */
        const double v = ((double)below + (double)through) / 2 / (double)nb - 0.5;
        sum += v;
        squares += v * v;
    }
    *mean = sum / (double)na + 0.5;
    *variance = na > 1 ? (squares - sum * sum / (double)na) / (double)(na - 1) : 0;
}

/* Newcombe's method 5: the ends t of |auc - t| = 1.96 sqrt(V(t)), V Hanley and McNeil's variance with
 * exponential shapes and both sides' sizes at their mean. */
static double newcombe_end(double auc, double m, double n, bool upper)
{
    const double size = (m + n) / 2 - 1;
    double inside = auc, outside = upper ? 1 : 0;
    for (int i = 0; i < 100; i++) {
        const double t = (inside + outside) / 2;
        const double v = t * (1 - t) * (1 + size * (1 - t) / (2 - t) + size * t / (1 + t)) / (m * n);
        if (fabs(auc - t) < 1.959963984540054 * sqrt(v)) {
            inside = t;
        } else {
            outside = t;
        }
    }
    return inside;
}

static lo_bounded area(const sides *s)
{
    const double m = (double)s->members, n = (double)s->others;
    double auc, complement, of_members, of_others;
    placements(s->member, s->members, s->other, s->others, &auc, &of_members);
    placements(s->other, s->others, s->member, s->members, &complement, &of_others);
    const double half = 1.959963984540054 * sqrt(fmax(of_members, 0) / m + fmax(of_others, 0) / n);
    const double low = fmin(auc - half, newcombe_end(auc, m, n, false));
    const double high = fmax(auc + half, newcombe_end(auc, m, n, true));
    return (lo_bounded){auc, fmax(low, 0), fmin(high, 1)};
}

/* How many of sorted [n] are larger than x. */
static int64_t above(const double *sorted, int64_t n, double x)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] > x) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return n - low;
}

/* The lowest threshold that at most a share `at` of the others exceeds. */
static double threshold_at(const sides *s, double at)
{
    int64_t allowed = (int64_t)floor(at * (double)s->others + 1e-9);
    if (allowed >= s->others) {
        return -INFINITY;
    }
    return s->other[s->others - 1 - allowed];
}

static lo_rate rate_at(const sides *s, double at)
{
    lo_rate rate = {.at = at, .tpr = lo_unbounded_nan(), .fpr = NAN, .threshold = NAN};
    if (s->members == 0 || s->others == 0) {
        rate.refused = "there are no members, or no others";
        return rate;
    }
    if (at * (double)s->others < 1 - 1e-9) {
        rate.refused = at < 0.005 ? "needs 1000 others (scores of examples or models that are out)"
                                  : "needs 100 others (scores of examples or models that are out)";
        return rate;
    }
    rate.threshold = threshold_at(s, at);
    rate.tpr = lo_share(above(s->member, s->members, rate.threshold), s->members);
    rate.fpr = (double)above(s->other, s->others, rate.threshold) / (double)s->others;
    return rate;
}

static double best_accuracy(const sides *s)
{
    double best = 0.5;
    int64_t m = 0, o = 0;
    while (m < s->members || o < s->others) {
        const double next = m >= s->members  ? s->other[o]
                            : o >= s->others ? s->member[m]
                                             : fmin(s->member[m], s->other[o]);
        while (m < s->members && s->member[m] <= next) {
            m++;
        }
        while (o < s->others && s->other[o] <= next) {
            o++;
        }
        /* Threshold `next`: o of the others are below or at it, m of the members. */
        const double accuracy = ((double)o / (double)s->others + 1 - (double)m / (double)s->members) / 2;
        best = accuracy > best ? accuracy : best;
    }
    return best;
}

lo_status lo_roc_make(const double *member, int64_t members, const double *other, int64_t others, lo_roc *out,
                      lo_error *err)
{
    sides s;
    LO_TRY(sort_sides(member, members, other, others, &s, err));
    *out = (lo_roc){.members = s.members,
                    .others = s.others,
                    .left_out = members + others - s.members - s.others,
                    .auc = lo_unbounded_nan(),
                    .accuracy = NAN,
                    .rate = {rate_at(&s, 0.01), rate_at(&s, 0.001)}};
    if (s.members > 0 && s.others > 0) {
        out->auc = area(&s);
        out->accuracy = best_accuracy(&s);
    }
    free(s.member);
    return LO_OK;
}

lo_status lo_roc_curve(const double *member, int64_t members, const double *other, int64_t others,
                       const double *fpr, int64_t count, double *tpr, lo_error *err)
{
    sides s;
    LO_TRY(sort_sides(member, members, other, others, &s, err));
    for (int64_t i = 0; i < count; i++) {
        const bool supported =
            s.members > 0 && s.others > 0 && (fpr[i] == 0 || fpr[i] * (double)s.others >= 1 - 1e-9);
        tpr[i] = supported ? (double)above(s.member, s.members, threshold_at(&s, fpr[i])) / (double)s.members
                           : NAN;
    }
    free(s.member);
    return LO_OK;
}

double lo_epsilon(double fpr, double fnr, double delta)
{
    const double one = log(1 - delta - fpr) - log(fnr), other = log(1 - delta - fnr) - log(fpr);
    /* The logarithm of a negative number (rates that add up to more than 1) refutes nothing. */
    const double best = isnan(one) ? other : isnan(other) ? one : fmax(one, other);
    return isnan(best) ? 0 : fmax(best, 0);
}
