#include "score/subset.h"

#include <math.h>

/* The 97.5 % point of the normal distribution. */
static const double z = 1.959963984540054;

static const lo_estimate undefined = {NAN, NAN, NAN, NAN};

typedef struct interval {
    double low, high;
} interval;

/* Wilson's score interval of a proportion (Wilson 1927). Never of width zero. */
static interval wilson(int64_t hit, int64_t count)
{
    const double n = (double)count;
    const double p = (double)hit / n;
    const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    /* At no and at all hits the ends are 0 and 1 but for rounding. */
    return (interval){.low = hit == 0 ? 0 : centre - half, .high = hit == count ? 1 : centre + half};
}

/* Newcombe's hybrid score interval of a difference (Newcombe 1998, "Interval estimation for the difference
 * between independent proportions", Statistics in Medicine 17:873, method 10). */
static interval newcombe(int64_t in_hit, int64_t in, int64_t out_hit, int64_t out)
{
    const interval a = wilson(in_hit, in);
    const interval b = wilson(out_hit, out);
    const double p = (double)in_hit / (double)in;
    const double q = (double)out_hit / (double)out;
    return (interval){.low = p - q - hypot(p - a.low, b.high - q),
                      .high = p - q + hypot(a.high - p, q - b.low)};
}

static double with_one_of_each(int64_t hit, int64_t count)
{
    return ((double)hit + 1) / ((double)count + 2);
}

/* Variance of a proportion after one success and one failure were added. */
static double added_variance(int64_t hit, int64_t count)
{
    const double p = with_one_of_each(hit, count);
    return p * (1 - p) / ((double)count + 2);
}

static interval normal(double centre, double standard_error)
{
    return (interval){.low = centre - z * standard_error, .high = centre + z * standard_error};
}

static lo_estimate clipped(double value, double standard_error, interval bounds, double lowest)
{
    return (lo_estimate){
        .value = (float)value,
        .standard_error = (float)standard_error,
        .low = (float)fmax(bounds.low, lowest),
        .high = (float)fmin(bounds.high, 1),
    };
}

lo_estimate lo_difference(int64_t in_hit, int64_t in, int64_t out_hit, int64_t out)
{
    if (in <= 0 || out <= 0) {
        return undefined;
    }
    const double value = (double)in_hit / (double)in - (double)out_hit / (double)out;
    const double error = sqrt(added_variance(in_hit, in) + added_variance(out_hit, out));
    const interval score = newcombe(in_hit, in, out_hit, out);
    const interval added = normal(with_one_of_each(in_hit, in) - with_one_of_each(out_hit, out), error);
    const interval wider = {.low = fmin(score.low, added.low), .high = fmax(score.high, added.high)};
    return clipped(value, error, wider, -1);
}

double lo_block_factor(int64_t block)
{
    return block > 1 ? sqrt((double)block / (double)(block - 1)) : 1;
}

lo_estimate lo_widened(lo_estimate estimate, double factor, double most)
{
    if (isnan(estimate.value) || factor == 1) {
        return estimate;
    }
    const double value = (double)estimate.value;
    const interval wider = {.low = value - factor * (value - (double)estimate.low),
                            .high = value + factor * ((double)estimate.high - value)};
    return (lo_estimate){.value = estimate.value,
                         .standard_error = (float)(factor * (double)estimate.standard_error),
                         .low = (float)fmax(wider.low, -most),
                         .high = (float)fmin(wider.high, most)};
}

lo_estimate lo_proportion(int64_t hit, int64_t count)
{
    if (count <= 0) {
        return undefined;
    }
    return clipped((double)hit / (double)count, sqrt(added_variance(hit, count)), wilson(hit, count), 0);
}

lo_estimate lo_paired_difference(int64_t plus, int64_t minus, int64_t pairs)
{
    if (pairs <= 0) {
        return undefined;
    }
    const double up = with_one_of_each(plus, pairs);
    const double down = with_one_of_each(minus, pairs);
    const double error = sqrt((up + down - (up - down) * (up - down)) / ((double)pairs + 2));
    return clipped((double)(plus - minus) / (double)pairs, error, normal(up - down, error), -1);
}
