#include "score/reliability.h"

#include "base/random.h"
#include "score/rank.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_used(const uint8_t *use, int64_t model)
{
    return use == NULL || (use[model / 8] >> (model % 8) & 1) != 0;
}

/* Does one of the models from `first` on, a unit, count? */
static bool unit_used(const uint8_t *use, int64_t first, int64_t unit, int64_t models)
{
    for (int64_t m = first; m < models && m < first + unit; m++) {
        if (is_used(use, m)) {
            return true;
        }
    }
    return false;
}

static int64_t count_units(const uint8_t *use, int64_t models, int64_t unit)
{
    int64_t units = 0;
    for (int64_t m = 0; m < models; m += unit) {
        units += unit_used(use, m, unit, models);
    }
    return units;
}

void lo_split_models(uint64_t seed, int64_t split, const uint8_t *use, int64_t models, int64_t unit,
                     uint8_t *first, uint8_t *second)
{
    const size_t bytes = (size_t)((models + 7) / 8);
    memset(first, 0, bytes);
    memset(second, 0, bytes);
    const int64_t units = count_units(use, models, unit);
    if (units < 2) {
        return;
    }
    const lo_random random = lo_random_make(seed, LO_FOR_SPLIT);
    const lo_permutation order = lo_permutation_make(random, (uint64_t)split, (uint64_t)units);
    uint64_t number = 0;
    for (int64_t start = 0; start < models; start += unit) {
        if (!unit_used(use, start, unit, models)) {
            continue;
        }
        const int64_t place = (int64_t)lo_permutation_at(&order, number++);
        uint8_t *half = place < units / 2 ? first : second;
        for (int64_t m = start; m < models && m < start + unit && place < units / 2 * 2; m++) {
            half[m / 8] |= (uint8_t)(is_used(use, m) << (m % 8));
        }
    }
}

double lo_spearman_brown(double r, double times)
{
    return times * r / (1 + (times - 1) * r);
}

double lo_disattenuated(double r, double reliability_x, double reliability_y)
{
    return reliability_x > 0 && reliability_y > 0 ? r / sqrt(reliability_x * reliability_y) : (double)NAN;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

lo_status lo_tie_ceiling(const double *value, int64_t n, double *ceiling, double *tied, lo_error *err)
{
    double *sorted = calloc((size_t)n + 1, sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the ties of %lld values", (long long)n);
    }
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        sorted[count] = value[i];
        count += !isnan(value[i]);
    }
    qsort(sorted, (size_t)count, sizeof(*sorted), ascending);
    double lost = 0, members = 0;
    for (int64_t first = 0, next = 0; first < count; first = next) {
        while (next < count && sorted[next] == sorted[first]) {
            next++;
        }
        const double t = (double)(next - first);
        lost += t * t * t - t;
        members += t > 1 ? t : 0;
    }
    free(sorted);
    const double m = (double)count, all = m * m * m - m;
    *ceiling = count > 1 && lost < all ? sqrt(1 - lost / all) : (double)NAN;
    *tied = count > 0 ? members / m : (double)NAN;
    return LO_OK;
}

static lo_status correlate_split(const lo_halving *h, int64_t split, uint8_t *use, double *score,
                                 lo_correlation_pair *out, lo_error *err)
{
    uint8_t *second = use + (h->models + 7) / 8;
    lo_split_models(h->seed, split, h->use, h->models, h->unit, use, second);
    LO_TRY(h->score(h->self, use, score, err));
    LO_TRY(h->score(h->self, second, score + h->n, err));
    lo_agreement ranks;
    LO_TRY(lo_spearman(score, score + h->n, h->n, &ranks, err));
    *out = (lo_correlation_pair){lo_pearson(score, score + h->n, h->n).value, ranks.value};
    return LO_OK;
}

static double root(double reliability)
{
    return reliability >= 0 ? sqrt(reliability) : (double)NAN;
}

static double spread_of(double sum, double squares, double count)
{
    return count > 1 ? sqrt(fmax(0, (squares - sum * sum / count) / (count - 1))) : (double)NAN;
}

static lo_reliability conclude(lo_correlation_pair sum, lo_correlation_pair squares, int64_t splits)
{
    const double count = (double)splits;
    lo_reliability r = {.splits = splits};
    r.half = (lo_correlation_pair){sum.pearson / count, sum.spearman / count};
    r.whole =
        (lo_correlation_pair){lo_spearman_brown(r.half.pearson, 2), lo_spearman_brown(r.half.spearman, 2)};
    r.ceiling = (lo_correlation_pair){root(r.whole.pearson), root(r.whole.spearman)};
    r.spread = (lo_correlation_pair){spread_of(sum.pearson, squares.pearson, count),
                                     spread_of(sum.spearman, squares.spearman, count)};
    return r;
}

/* The score from all models that count: its ties. use [ceil(models/8)] is room. */
static lo_status look_at_ties(const lo_halving *h, uint8_t *use, double *score, lo_reliability *r,
                              lo_error *err)
{
    memset(use, 0, (size_t)((h->models + 7) / 8));
    for (int64_t m = 0; m < h->models; m++) {
        use[m / 8] |= (uint8_t)(is_used(h->use, m) << (m % 8));
    }
    LO_TRY(h->score(h->self, use, score, err));
    LO_TRY(lo_tie_ceiling(score, h->n, &r->tie_ceiling, &r->tied, err));
    r->ceiling.spearman = r->tie_ceiling < r->ceiling.spearman ? r->tie_ceiling : r->ceiling.spearman;
    return LO_OK;
}

lo_status lo_split_half(const lo_halving *halving, lo_reliability *out, const lo_tick *tick, lo_error *err)
{
    const int64_t units = count_units(halving->use, halving->models, halving->unit);
    if (units < 2) {
        return lo_fail(err, LO_USAGE,
                       "reliability takes two halves of an ensemble: it has %lld parts to share out",
                       (long long)units);
    }
    uint8_t *use = calloc(2 * (size_t)((halving->models + 7) / 8), 1);
    double *score = calloc(2 * (size_t)halving->n + 1, sizeof(*score));
    lo_status status = use != NULL && score != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for the halves of an ensemble");
    lo_correlation_pair sum = {0}, squares = {0};
    for (int64_t s = 0; s < halving->splits && status == LO_OK; s++) {
        lo_correlation_pair r;
        LO_TRY_GOTO(status, correlate_split(halving, s, use, score, &r, err), done);
        sum.pearson += r.pearson;
        sum.spearman += r.spearman;
        squares.pearson += r.pearson * r.pearson;
        squares.spearman += r.spearman * r.spearman;
        status = lo_tick_call(tick);
    }
    if (status == LO_OK) {
        *out = conclude(sum, squares, halving->splits);
        status = look_at_ties(halving, use, score, out, err);
    }
done:
    free(use);
    free(score);
    return status;
}
