#include "audit/interval.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

lo_bounded lo_unbounded_nan(void)
{
    return (lo_bounded){NAN, NAN, NAN};
}

/* The continued fraction of I_x(a, b), good for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 100000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int k = 0; k < 2; k++) {
            const double term = k == 0 ? even : odd;
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 1e-15) {
            break;
        }
    }
    return f;
}

double lo_incomplete_beta(double a, double b, double x)
{
    if (!(x > 0)) {
        return x == 0 ? 0 : NAN;
    }
    if (!(x < 1)) {
        return x == 1 ? 1 : NAN;
    }
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* x with I_x(a, b) = p, by bisection: I is monotone, and 60 halvings leave nothing of a double. */
static double beta_quantile(double a, double b, double p)
{
    double low = 0, high = 1;
    for (int i = 0; i < 200 && high - low > 1e-16 * high; i++) {
        const double middle = low + (high - low) / 2;
        if (lo_incomplete_beta(a, b, middle) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low + (high - low) / 2;
}

double lo_student_quantile(double p, double degrees)
{
    if (p == 0.5) {
        return 0;
    }
    /* P(|T| > t) = I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2). */
    const double both = 2 * (p < 0.5 ? p : 1 - p);
    const double x = beta_quantile(degrees / 2, 0.5, both);
    const double t = sqrt(degrees * (1 - x) / x);
    return p < 0.5 ? -t : t;
}

lo_bounded lo_share(int64_t hits, int64_t n)
{
    if (n <= 0) {
        return lo_unbounded_nan();
    }
    const double k = (double)hits, rest = (double)(n - hits);
    return (lo_bounded){k / (double)n, hits == 0 ? 0 : beta_quantile(k, rest + 1, 0.025),
                        hits == n ? 1 : beta_quantile(k + 1, rest, 0.975)};
}

/* Student's interval of the mean of value - ceiling; a NULL ceiling is 0. */
static lo_bounded student(const double *value, const double *ceiling, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += value[i] - (ceiling != NULL ? ceiling[i] : 0);
    }
    const double mean = n > 0 ? sum / (double)n : NAN;
    for (int64_t i = 0; i < n; i++) {
        const double off = value[i] - (ceiling != NULL ? ceiling[i] : 0) - mean;
        squares += off * off;
    }
    if (n < 2) {
        return (lo_bounded){mean, NAN, NAN};
    }
    const double error = sqrt(squares / (double)(n - 1) / (double)n);
    const double half = lo_student_quantile(0.975, (double)(n - 1)) * error;
    return (lo_bounded){mean, mean - half, mean + half};
}

lo_bounded lo_student_mean(const double *value, int64_t n)
{
    return student(value, NULL, n);
}

lo_bounded lo_student_difference(const double *value, const double *ceiling, int64_t n)
{
    return student(value, ceiling, n);
}

bool lo_inside_noise(lo_bounded difference)
{
    return !(difference.low > 0 || difference.high < 0);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return isnan(x) || isnan(y) ? isnan(x) - isnan(y) : (x > y) - (x < y);
}

void lo_sort_reals(double *value, int64_t n)
{
    if (n > 1) {
        qsort(value, (size_t)n, sizeof(*value), ascending);
    }
}

double lo_sorted_quantile(const double *sorted, int64_t n, double q)
{
    const double place = q * (double)(n - 1);
    const int64_t below = (int64_t)floor(place);
    const int64_t above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}
