/* Values with 95 % intervals, and the distributions that they need. All in double, deterministic. */
#ifndef LEAVEOUT_AUDIT_INTERVAL_H
#define LEAVEOUT_AUDIT_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_bounded {
    double value, low, high; /* 95 %; bounds are NaN where there are too few numbers for one */
} lo_bounded;

/* NaN in all three. */
lo_bounded lo_unbounded_nan(void);

/* The regularized incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1]: its continued fraction by
 * Lentz's method (Abramowitz and Stegun 26.5.8), to about 1e-14. */
double lo_incomplete_beta(double a, double b, double x);

/* t with P(Student's t with `degrees` > 0 degrees of freedom < t) = p, p in (0, 1). */
double lo_student_quantile(double p, double degrees);

/* hits / n with Clopper and Pearson's interval (Biometrika 26:404, 1934), which covers at least 95 % whatever
 * the truth. All NaN where n is 0. */
lo_bounded lo_share(int64_t hits, int64_t n);

/* The mean of n values and Student's interval, mean -+ t(0.975, n - 1) s / sqrt(n): for a few seeds. The
 * bounds are NaN for fewer than two values; all is NaN where one is or there are none. */
lo_bounded lo_student_mean(const double *value, int64_t n);

/* The mean of value[i] - ceiling[i] over paired seeds, by Student's interval: is the difference inside the
 * noise? */
lo_bounded lo_student_difference(const double *value, const double *ceiling, int64_t n);

/* The interval of a difference has 0 in it, or there is none: nothing can be said. */
bool lo_inside_noise(lo_bounded difference);

/* Sorts ascending in place, NaN last. */
void lo_sort_reals(double *value, int64_t n);

/* Value q in [0, 1] of sorted [n >= 1], interpolated linearly (numpy's default). */
double lo_sorted_quantile(const double *sorted, int64_t n, double q);

#endif
