#include "report/summary.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const float *sorted, int64_t count, double share)
{
    const double at = share * (double)(count - 1);
    const int64_t below = (int64_t)at;
    const int64_t above = below + 1 < count ? below + 1 : below;
    const double weight = at - (double)below;
    /* The plain form keeps infinite values from becoming NaN where no interpolation is needed. */
    return weight == 0 ? sorted[below] : (1 - weight) * sorted[below] + weight * sorted[above];
}

lo_status lo_summarize(const float *value, int64_t n, lo_summary *out, lo_error *err)
{
    *out = (lo_summary){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (value == NULL || n <= 0) {
        return LO_OK;
    }
    float *sorted = malloc((size_t)n * sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to sort %lld values", (long long)n);
    }
    int64_t count = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(value[i])) {
            sorted[count++] = value[i];
            sum += value[i];
        }
    }
    if (count > 0) {
        const double mean = sum / (double)count;
        double squares = 0;
        for (int64_t i = 0; i < count; i++) {
            squares += (sorted[i] - mean) * (sorted[i] - mean);
        }
        qsort(sorted, (size_t)count, sizeof(*sorted), ascending);
        *out = (lo_summary){.count = count,
                            .mean = mean,
                            .standard_deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : NAN,
                            .minimum = sorted[0],
                            .q05 = quantile(sorted, count, 0.05),
                            .q25 = quantile(sorted, count, 0.25),
                            .median = quantile(sorted, count, 0.5),
                            .q75 = quantile(sorted, count, 0.75),
                            .q95 = quantile(sorted, count, 0.95),
                            .maximum = sorted[count - 1]};
    }
    free(sorted);
    return LO_OK;
}

struct judged {
    float strength;
    bool relabelled;
};

static int strongest_first(const void *a, const void *b)
{
    const float x = ((const struct judged *)a)->strength;
    const float y = ((const struct judged *)b)->strength;
    return (x < y) - (x > y);
}

/* One pass over the groups of equal strength, strongest first: a relabelled example's placement is the share
 * of clean ones below it, a clean one's the share of relabelled ones above it; the area is the mean of
 * either, and its variance the sum of the variances of both means. */
static void judge(const struct judged *sorted, int64_t count, lo_detection *out)
{
    const double m = (double)out->relabelled;
    const double n = (double)out->clean;
    double above_relabelled = 0;
    double above_clean = 0;
    double sum = 0;
    double squares_relabelled = 0;
    double squares_clean = 0;
    double found = 0;
    for (int64_t first = 0, end = 0; first < count; first = end) {
        double relabelled = 0;
        for (end = first; end < count && sorted[end].strength == sorted[first].strength; end++) {
            relabelled += sorted[end].relabelled;
        }
        const double clean = (double)(end - first) - relabelled;
        const double below = (n - above_clean - clean + clean / 2) / n;
        const double above = (above_relabelled + relabelled / 2) / m;
        sum += relabelled * below;
        squares_relabelled += relabelled * below * below;
        squares_clean += clean * above * above;
        const double room = fmin(fmax(m - (double)first, 0), (double)(end - first));
        found += relabelled * room / (double)(end - first);
        above_relabelled += relabelled;
        above_clean += clean;
    }
    out->auc = sum / m;
    out->found = found / m;
    if (out->relabelled > 1 && out->clean > 1) {
        const double variance = fmax(squares_relabelled - m * out->auc * out->auc, 0) / (m - 1) / m +
                                fmax(squares_clean - n * out->auc * out->auc, 0) / (n - 1) / n;
        out->standard_error = variance > 1e-18 ? sqrt(variance) : NAN;
    }
}

lo_status lo_detect(const float *value, int orientation, const int32_t *label, const int32_t *label_true,
                    int64_t n, lo_detection *out, lo_error *err)
{
    *out = (lo_detection){0, 0, NAN, NAN, NAN};
    if (value == NULL || n <= 0) {
        return LO_OK;
    }
    struct judged *sorted = malloc((size_t)n * sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to sort %lld values", (long long)n);
    }
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(value[i])) {
            const bool relabelled = label[i] != label_true[i];
            sorted[count++] = (struct judged){orientation < 0 ? -value[i] : value[i], relabelled};
            out->relabelled += relabelled;
        }
    }
    out->clean = count - out->relabelled;
    if (out->relabelled > 0 && out->clean > 0) {
        qsort(sorted, (size_t)count, sizeof(*sorted), strongest_first);
        judge(sorted, count, out);
    }
    free(sorted);
    return LO_OK;
}
