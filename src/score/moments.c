#include "score/moments.h"

#include <math.h>
#include <stdbool.h>

static const lo_estimate undefined = {NAN, NAN, NAN, NAN};

double lo_measure_of(lo_measure measure, float margin)
{
    const double phi = (double)margin;
    if (measure == LO_MEASURE_MARGIN) {
        return phi;
    }
    /* exp of what is not positive cannot overflow. */
    return phi >= 0 ? 1 / (1 + exp(-phi)) : exp(phi) / (1 + exp(phi));
}

void lo_moments_add(lo_moments *moments, double value)
{
    const double before = value - moments->mean;
    moments->count++;
    moments->mean += before / (double)moments->count;
    moments->spread += before * (value - moments->mean);
}

void lo_moments_add_model(lo_measure measure, const uint8_t *trained, const float *margin, int64_t count,
                          lo_moments *in, lo_moments *out)
{
    for (int64_t i = 0; i < count; i++) {
        const double value = lo_measure_of(measure, margin[i]);
        if (isfinite(value)) {
            lo_moments_add(trained[i] != 0 ? &in[i] : &out[i], value);
        }
    }
}

void lo_moments_add_pair(lo_measure measure, const uint8_t *trained_a, const float *margin_a,
                         const uint8_t *trained_b, const float *margin_b, int64_t count, lo_moments *pairs)
{
    for (int64_t i = 0; i < count; i++) {
        const bool with_a = trained_a[i] != 0;
        const double gain = lo_measure_of(measure, margin_a[i]) - lo_measure_of(measure, margin_b[i]);
        if (with_a != (trained_b[i] != 0) && isfinite(gain)) {
            lo_moments_add(&pairs[i], with_a ? gain : -gain);
        }
    }
}

/* ---- Student's t ---- */

/* Continued fraction of the incomplete beta function (modified Lentz; Abramowitz and Stegun 26.5.8). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 / (1 - (a + b) * x / (a + 1));
    double value = d;
    for (int m = 1; m <= 1000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / fmax(1 + even * d, tiny);
        c = fmax(1 + even / c, tiny);
        value *= d * c;
        d = 1 / fmax(1 + odd * d, tiny);
        c = fmax(1 + odd / c, tiny);
        const double step = d * c;
        value *= step;
        if (fabs(step - 1) < 1e-15) {
            break;
        }
    }
    return value;
}

/* Regularized incomplete beta function I_x(a, b). */
static double incomplete_beta(double a, double b, double x)
{
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Chance of a larger t in size, given t > 0: 26.7.1 and 26.5.27. */
static double two_tails(double t, double freedom)
{
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
}

double lo_student_975(double freedom)
{
    const double normal = 1.959963984540054;
    const double few = 12.706204736174707; /* one degree of freedom */
    const double pi = 3.141592653589793;
    if (!(freedom > 1)) {
        return few;
    }
    if (freedom > 1e7) {
        return normal + (normal * normal * normal + normal) / (4 * freedom);
    }
    /* The tails are convex in t: Newton's steps from the left never pass the root. */
    const double peak = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * pi);
    double t = normal;
    for (int i = 0; i < 50; i++) {
        const double density = peak * exp(-(freedom + 1) / 2 * log1p(t * t / freedom));
        const double step = (two_tails(t, freedom) - 0.05) / (2 * density);
        t += step;
        if (step < 1e-13 * t) {
            break;
        }
    }
    return t;
}

/* ---- estimates ---- */

/* The squared distance from the mean of the one model more, for a margin of which `typical` is the mean
 * square about a centre that no arm favours. */
static double unseen(lo_measure measure, double typical)
{
    return measure == LO_MEASURE_PROBABILITY ? 0.25 : fmax(typical, 1);
}

static double variance_of_mean(const lo_moments *m, double one_more)
{
    const double count = (double)m->count;
    return (m->spread + one_more) / (count * count);
}

static lo_estimate estimate(lo_measure measure, double value, double variance, double freedom)
{
    const double error = sqrt(variance);
    const double half = lo_student_975(freedom) * error;
    const double most = measure == LO_MEASURE_PROBABILITY ? 1 : INFINITY;
    return (lo_estimate){.value = (float)value,
                         .standard_error = (float)error,
                         .low = (float)fmax(value - half, -most),
                         .high = (float)fmin(value + half, most)};
}

lo_estimate lo_moments_difference(lo_measure measure, const lo_moments *in, const lo_moments *out)
{
    if (in->count < 1 || out->count < 1) {
        return undefined;
    }
    const double m = (double)in->count;
    const double n = (double)out->count;
    const double value = in->mean - out->mean;
    const double pooled = (in->spread + out->spread + m * n / (m + n) * value * value) / (m + n);
    const double a = variance_of_mean(in, unseen(measure, pooled));
    const double b = variance_of_mean(out, unseen(measure, pooled));
    const double freedom = (a + b) * (a + b) / (a * a / m + b * b / n);
    return estimate(measure, value, a + b, freedom);
}

lo_estimate lo_moments_paired(lo_measure measure, const lo_moments *pairs)
{
    if (pairs->count < 1) {
        return undefined;
    }
    const double count = (double)pairs->count;
    const double square = pairs->spread / count + pairs->mean * pairs->mean;
    return estimate(measure, pairs->mean, variance_of_mean(pairs, unseen(measure, square)), count);
}
