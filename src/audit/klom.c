#include "audit/klom.h"

#include "audit/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 20 };

static double clipped(double x)
{
    return x < -100 ? -100 : x > 100 ? 100 : x;
}

static void widen(const double *value, int64_t n, double *from, double *to)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = clipped(value[i]);
        *from = !(x >= *from) ? x : *from;
        *to = !(x <= *to) ? x : *to;
    }
}

/* Bin i is from edge i on to below edge i + 1, the edges being numpy's linspace. */
static void count_bins(const double *value, int64_t n, double from, double to, double share[BINS])
{
    const double step = (to - from) / BINS;
    memset(share, 0, BINS * sizeof(*share));
    for (int64_t i = 0; i < n; i++) {
        const double x = clipped(value[i]);
        int bin = (int)((x - from) / step);
        bin = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
        if (bin > 0 && x < from + bin * step) {
            bin--;
        } else if (bin < BINS - 1 && x >= from + (bin + 1) * step) {
            bin++;
        }
        share[bin] += 1 / (double)n;
    }
}

double lo_klom(const double *unlearned, int64_t n, const double *oracle, int64_t m)
{
    double from = NAN, to = NAN, p[BINS], q[BINS], all = 0, sum = 0;
    for (int64_t i = 0; i < n + m; i++) {
        if (isnan(i < n ? unlearned[i] : oracle[i - n])) {
            return NAN;
        }
    }
    if (n == 0 || m == 0) {
        return NAN;
    }
    widen(unlearned, n, &from, &to);
    widen(oracle, m, &from, &to);
    to = from >= to ? from + 1 : to;
    count_bins(unlearned, n, from, to, p);
    count_bins(oracle, m, from, to, q);
    for (int k = 0; k < BINS; k++) {
        q[k] = p[k] > 0 && q[k] < 1e-5 ? 1e-5 : q[k];
        all += q[k];
    }
    for (int k = 0; k < BINS; k++) {
        sum += p[k] > 0 ? p[k] * log(p[k] / q[k] * all) : 0;
    }
    return sum > 0 ? sum : 0;
}

lo_status lo_kloms(const float *unlearned, int64_t n, const float *oracle, int64_t m, int64_t stride,
                   int64_t examples, double *klom, double *high, lo_error *err)
{
    if (n < 2 || m < 2) {
        return lo_fail(err, LO_DATA, "klom has %lld unlearned models and %lld oracles; it needs 2 of each",
                       (long long)n, (long long)m);
    }
    double *column = malloc(((size_t)(n + m) + (size_t)examples) * sizeof(*column));
    if (column == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the margins of %lld models", (long long)(n + m));
    }
    double *sorted = column + n + m;
    int64_t defined = 0;
    for (int64_t i = 0; i < examples; i++) {
        for (int64_t k = 0; k < n + m; k++) {
            column[k] = (double)(k < n ? unlearned[k * stride + i] : oracle[(k - n) * stride + i]);
        }
        klom[i] = lo_klom(column, n, column + n, m);
        if (!isnan(klom[i])) {
            sorted[defined++] = klom[i];
        }
    }
    lo_sort_reals(sorted, defined);
    *high = defined > 0 ? lo_sorted_quantile(sorted, defined, 0.95) : NAN;
    free(column);
    return LO_OK;
}

lo_status lo_klom_high(const float *one, int64_t n, const float *other, int64_t m, int64_t examples,
                       double *high, const lo_tick *tick, lo_error *err)
{
    enum { AT_ONCE = 64 };
    double *klom = malloc((size_t)examples * sizeof(*klom) + 1);
    if (klom == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)examples);
    }
    lo_status status = LO_OK;
    int64_t defined = 0;
    for (int64_t i = 0; i < examples && status == LO_OK; i += AT_ONCE) {
        const int64_t some = examples - i < AT_ONCE ? examples - i : AT_ONCE;
        status = lo_kloms(one + i, n, other + i, m, examples, some, klom + i, high, err);
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    if (status == LO_OK) {
        lo_sort_reals(klom, examples);
        while (defined < examples && !isnan(klom[defined])) {
            defined++;
        }
        *high = defined > 0 ? lo_sorted_quantile(klom, defined, 0.95) : NAN;
    }
    free(klom);
    return status;
}
