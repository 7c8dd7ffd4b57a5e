#include "audit/u_lira.h"

#include "audit/lira.h"
#include "audit/members.h"
#include "audit/references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Both populations as references: rows 0 .. models - 1 are in, the others out; and room. */
typedef struct pairs {
    int64_t models, n; /* models of each side */
    float *phi;        /* [2 models, n] */
    lo_columns mask;
    lo_references references;
    lo_lira options;
    int64_t *partner;       /* [2 models] */
    float *score;           /* [n, 2 models] */
    double *in, *out;       /* [n models]: the same apart, models fastest */
    lo_vulnerability *each; /* [n] */
    double *mean;           /* [max(n, models)] */
} pairs;

static void pairs_free(pairs *p)
{
    free(p->phi);
    free(p->partner);
    free(p->score);
    free(p->in);
    free(p->out);
    free(p->each);
    free(p->mean);
    lo_columns_destroy(&p->mask);
}

/* The models without a NaN, at most `most`, into out [most, n]; returns how many there are. */
static int64_t whole_ones(const lo_population *side, int64_t n, int64_t most, float *out)
{
    int64_t kept = 0;
    for (int64_t m = 0; m < side->models && kept < most; m++) {
        const float *row = side->phi + m * n;
        int64_t i = 0;
        while (i < n && !isnan(row[i])) {
            i++;
        }
        if (i == n && out != NULL) {
            memcpy(out + kept * n, row, (size_t)n * sizeof(*out));
        }
        kept += i == n;
    }
    return kept;
}

static lo_status pairs_make(const lo_population *in, const lo_population *out, int64_t n, pairs *p,
                            lo_error *err)
{
    const int64_t inside = whole_ones(in, n, INT64_MAX, NULL), outside = whole_ones(out, n, INT64_MAX, NULL);
    const int64_t models = inside < outside ? inside : outside;
    const size_t scores = (size_t)(models * n) + 1, long_side = (size_t)(n > models ? n : models) + 1;
    *p = (pairs){.models = models, .n = n};
    LO_TRY(lo_u_lira_mask(models, n, &p->mask, err));
    p->phi = malloc(2 * scores * sizeof(*p->phi));
    p->partner = malloc((2 * (size_t)models + 1) * sizeof(*p->partner));
    p->score = malloc(2 * scores * sizeof(*p->score));
    p->in = malloc(scores * sizeof(*p->in));
    p->out = malloc(scores * sizeof(*p->out));
    p->each = malloc(((size_t)n + 1) * sizeof(*p->each));
    p->mean = malloc(long_side * sizeof(*p->mean));
    if (p->phi == NULL || p->partner == NULL || p->score == NULL || p->in == NULL || p->out == NULL ||
        p->each == NULL || p->mean == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld models", (long long)models);
    }
    (void)whole_ones(in, n, models, p->phi);
    (void)whole_ones(out, n, models, p->phi + models * n);
    for (int64_t m = 0; m < models; m++) {
        p->partner[m] = models + m;
        p->partner[models + m] = m;
    }
    p->references = (lo_references){p->phi, 2 * models, n, n, &p->mask, NULL};
    return LO_OK;
}

/* One deviation of each side where so few models say it. */
static lo_status choose_deviations(pairs *p, const lo_tick *tick, lo_error *err)
{
    if (p->models >= LO_LIRA_FEW) {
        return LO_OK;
    }
    lo_lira_sums *sums = malloc((size_t)p->n * sizeof(*sums) + 1);
    lo_status status = sums != NULL ? lo_lira_spread(&p->references, sums, tick, err)
                                    : lo_fail(err, LO_INTERNAL, "no memory for deviations");
    if (status == LO_OK) {
        lo_lira_pool(sums, p->n, &p->options.in_deviation, &p->options.out_deviation);
        for (int64_t i = 0; i < p->n; i++) {
            p->options.in_degrees += sums[i].in_degrees;
            p->options.out_degrees += sums[i].out_degrees;
        }
        /* Models that agree on every example: 0 would mean each example's own. */
        p->options.in_deviation = fmax(p->options.in_deviation, 1e-30);
        p->options.out_deviation = fmax(p->options.out_deviation, 1e-30);
    }
    free(sums);
    return status;
}

/* ---- intervals ---- */

/* How many of sorted [n] are below x, those equal to it one half. */
static double below(const double *sorted, int64_t n, double x)
{
    int64_t bound[2];
    for (int k = 0; k < 2; k++) {
        int64_t low = 0, high = n;
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (k == 0 ? sorted[middle] < x : sorted[middle] <= x) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        bound[k] = low;
    }
    return (double)(bound[0] + bound[1]) / 2;
}

/* Means by model, or by example, of value [n, models]; `room` takes them. Student's interval of their mean.
 */
static lo_bounded clustered(const double *value, int64_t n, int64_t models, bool by_model, double *room)
{
    const int64_t clusters = by_model ? models : n, size = by_model ? n : models;
    const int64_t step = by_model ? models : 1, next = by_model ? 1 : models;
    for (int64_t c = 0; c < clusters; c++) {
        double sum = 0;
        for (int64_t k = 0; k < size; k++) {
            sum += value[c * next + k * step];
        }
        room[c] = sum / (double)size;
    }
    return lo_student_mean(room, clusters);
}

/* value with its interval at least as wide, on each side, as those of the means by model and by example,
 * whose mean may be shifted from it; a share. */
static lo_bounded widen(lo_bounded b, const pairs *p, const double *value)
{
    for (int k = 0; k < 2; k++) {
        const lo_bounded c = clustered(value, p->n, p->models, k == 0, p->mean);
        if (!isnan(c.low)) {
            b.low = fmin(b.low, b.value + c.low - c.value);
            b.high = fmax(b.high, b.value + c.high - c.value);
        }
    }
    return (lo_bounded){b.value, fmax(b.low, 0), fmin(b.high, 1)};
}

/* Components of the AUC of `count` pairs of scores: the share of the out scores that the one exceeds, and of
 * the in scores that exceed the other. sorted [2 count]: room; value [count]. */
static void components(const double *in, const double *out, int64_t count, double *sorted, double *value)
{
    memcpy(sorted, in, (size_t)count * sizeof(*sorted));
    memcpy(sorted + count, out, (size_t)count * sizeof(*sorted));
    lo_sort_reals(sorted, count);
    lo_sort_reals(sorted + count, count);
    for (int64_t s = 0; s < count; s++) {
        value[s] = (below(sorted + count, count, in[s]) - below(sorted, count, out[s])) / (double)count;
    }
}

/* ---- example by example ---- */

/* The rate at k of each example with its own threshold. value [n models]: room. */
static lo_status rate_by_examples(pairs *p, int k, lo_u_lira *result, double *value, lo_error *err)
{
    const int64_t models = p->models;
    result->example_rate[k] = lo_unbounded_nan();
    for (int64_t i = 0; i < p->n; i++) {
        const double *in = p->in + i * models;
        lo_roc roc;
        LO_TRY(lo_roc_make(in, models, p->out + i * models, models, &roc, err));
        result->example_refused[k] = roc.rate[k].refused;
        if (roc.rate[k].refused != NULL) {
            return LO_OK;
        }
        p->mean[i] = roc.rate[k].tpr.value;
        for (int64_t m = 0; m < models; m++) {
            value[i * models + m] = in[m] > roc.rate[k].threshold ? 1 : 0;
        }
    }
    result->example_rate[k] = widen(lo_student_mean(p->mean, p->n), p, value);
    return LO_OK;
}

/* value [n models], sorted [2 n models]: room. */
static lo_status by_examples(pairs *p, lo_u_lira *result, double *by_example, double *value, double *sorted,
                             lo_error *err)
{
    const int64_t models = p->models;
    for (int64_t i = 0; i < p->n; i++) {
        components(p->in + i * models, p->out + i * models, models, sorted, value + i * models);
        p->mean[i] = (double)p->each[i].auc;
        if (by_example != NULL) {
            by_example[i] = p->mean[i];
        }
    }
    result->example_auc = widen(lo_student_mean(p->mean, p->n), p, value);
    for (int k = 0; k < LO_ROC_RATES; k++) {
        LO_TRY(rate_by_examples(p, k, result, value, err));
    }
    return LO_OK;
}

/* ---- all of it ---- */

/* value [n models], sorted [2 n models]: room. */
static lo_status in_all(const pairs *p, lo_u_lira *result, double *value, double *sorted, lo_error *err)
{
    const int64_t count = p->n * p->models;
    lo_roc roc;
    LO_TRY(lo_roc_make(p->in, count, p->out, count, &roc, err));
    components(p->in, p->out, count, sorted, value);
    result->auc = widen(roc.auc, p, value);
    for (int k = 0; k < LO_ROC_RATES; k++) {
        const lo_rate *rate = &roc.rate[k];
        for (int64_t s = 0; s < count && rate->refused == NULL; s++) {
            value[s] = p->in[s] > rate->threshold ? 1 : 0;
        }
        result->refused[k] = rate->refused;
        result->rate[k] = rate->refused != NULL ? lo_unbounded_nan() : widen(rate->tpr, p, value);
    }
    return LO_OK;
}

static lo_status judge_scores(pairs *p, lo_u_lira *result, double *by_example, lo_error *err)
{
    const size_t count = (size_t)(p->n * p->models);
    double *room = malloc(3 * count * sizeof(*room) + 1);
    if (room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu scores", count);
    }
    lo_status status = by_examples(p, result, by_example, room, room + count, err);
    if (status == LO_OK) {
        status = in_all(p, result, room, room + count, err);
    }
    free(room);
    return status;
}

lo_status lo_u_lira_make(const lo_population *in, const lo_population *out, int64_t n, lo_u_lira *result,
                         double *by_example, const lo_tick *tick, lo_error *err)
{
    pairs p;
    *result = (lo_u_lira){0};
    lo_status status = pairs_make(in, out, n, &p, err);
    if (status == LO_OK) {
        status = choose_deviations(&p, tick, err);
    }
    if (status == LO_OK) {
        status = lo_lira_vulnerability(&p.references, &p.options, p.each, tick, err);
    }
    if (status == LO_OK) {
        status = lo_lira_paired_scores(&p.references, &p.options, p.partner, p.score, tick, err);
    }
    for (int64_t s = 0; status == LO_OK && s < n * p.models; s++) {
        const float *row = p.score + s / p.models * 2 * p.models;
        p.in[s] = (double)row[s % p.models];
        p.out[s] = (double)row[p.models + s % p.models];
    }
    if (status == LO_OK) {
        result->models = p.models;
        result->left_out = in->models + out->models - whole_ones(in, n, INT64_MAX, NULL) -
                           whole_ones(out, n, INT64_MAX, NULL);
        status = judge_scores(&p, result, by_example, err);
    }
    pairs_free(&p);
    return status;
}
