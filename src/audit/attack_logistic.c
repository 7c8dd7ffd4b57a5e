#include "audit/attack.h"

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct slope2 {
    double value, gradient[2], hessian[3]; /* of (slope, intercept): ss, si, ii */
} slope2;

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static slope2 objective(const double *x, const uint8_t *member, int64_t n, double c, lo_logistic at)
{
    slope2 f = {.value = at.slope * at.slope / 2, .gradient = {at.slope, 0}, .hessian = {1, 0, 0}};
    for (int64_t i = 0; i < n; i++) {
        const double sign = member[i] ? 1 : -1, z = at.slope * x[i] + at.intercept;
        const double wrong = 1 / (1 + exp(sign * z)), curve = c * wrong * (1 - wrong);
        f.value += c * softplus(-sign * z);
        f.gradient[0] -= c * sign * wrong * x[i];
        f.gradient[1] -= c * sign * wrong;
        f.hessian[0] += curve * x[i] * x[i];
        f.hessian[1] += curve * x[i];
        f.hessian[2] += curve;
    }
    return f;
}

lo_logistic lo_logistic_fit(const double *x, const uint8_t *member, int64_t n, double c)
{
    lo_logistic at = {0};
    slope2 f = objective(x, member, n, c, at);
    for (int i = 0; i < 200 && hypot(f.gradient[0], f.gradient[1]) > 1e-9 * (double)n * c; i++) {
        const double ridge = 1e-14 * (f.hessian[0] + f.hessian[2]) + 1e-300, ii = f.hessian[2] + ridge;
        const double determinant = f.hessian[0] * ii - f.hessian[1] * f.hessian[1];
        const double step[2] = {(ii * f.gradient[0] - f.hessian[1] * f.gradient[1]) / determinant,
                                (f.hessian[0] * f.gradient[1] - f.hessian[1] * f.gradient[0]) / determinant};
        const double fall = f.gradient[0] * step[0] + f.gradient[1] * step[1];
        bool moved = false;
        for (double share = 1; share > 1e-10 && !moved; share /= 2) {
            const lo_logistic next = {at.slope - share * step[0], at.intercept - share * step[1]};
            const slope2 there = objective(x, member, n, c, next);
            moved = there.value <= f.value - 1e-4 * share * fall;
            if (moved) {
                at = next;
                f = there;
            }
        }
        if (!moved) {
            break; /* rounding is all that is left */
        }
    }
    return at;
}

/* n of the values that are no NaN, drawn after sorting: out [n]. room [count]. */
static void draw(const double *value, int64_t count, int64_t n, uint64_t seed, uint64_t stream, double *out,
                 double *room)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isnan(value[i])) {
            room[kept++] = value[i];
        }
    }
    lo_sort_reals(room, kept);
    const lo_permutation drawn =
        lo_permutation_make(lo_random_make(seed, LO_FOR_AUDIT), stream, (uint64_t)kept);
    for (int64_t i = 0, taken = 0; i < kept && taken < n; i++) {
        if (lo_permutation_at(&drawn, (uint64_t)i) < (uint64_t)n) {
            out[taken++] = room[i];
        }
    }
}

/* The accuracy of split s on what it holds out; x [2 n]: members, then others; fit_x, fit_member: room. */
static double one_split(const double *x, int64_t n, uint64_t seed, int split, double *fit_x,
                        uint8_t *fit_member)
{
    const int64_t held = (n + LO_SPLITS - 1) / LO_SPLITS;
    int64_t fitted = 0, right = 0;
    lo_permutation order[2];
    for (int side = 0; side < 2; side++) {
        order[side] = lo_permutation_make(lo_random_make(seed, LO_FOR_AUDIT),
                                          (uint64_t)(16 + 2 * split + side), (uint64_t)n);
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        if (lo_permutation_at(&order[i / n], (uint64_t)(i % n)) >= (uint64_t)held) {
            fit_x[fitted] = x[i];
            fit_member[fitted++] = i < n;
        }
    }
    const lo_logistic fit = lo_logistic_fit(fit_x, fit_member, fitted, 1);
    for (int64_t i = 0; i < 2 * n; i++) {
        if (lo_permutation_at(&order[i / n], (uint64_t)(i % n)) < (uint64_t)held) {
            right += (fit.slope * x[i] + fit.intercept > 0) == (i < n) ? 1 : 0;
        }
    }
    return (double)right / (double)(2 * held);
}

/* Nadeau and Bengio: the variance of the mean of k splits is (1 / k + held / fitted) times that of one. */
static lo_bounded over_splits(const double accuracy[LO_SPLITS], int64_t n)
{
    const lo_bounded plain = lo_student_mean(accuracy, LO_SPLITS);
    const double held = (double)((n + LO_SPLITS - 1) / LO_SPLITS);
    const double wider = sqrt(1 + LO_SPLITS * held / ((double)n - held));
    return (lo_bounded){plain.value, fmax(0, plain.value - wider * (plain.value - plain.low)),
                        fmin(1, plain.value + wider * (plain.high - plain.value))};
}

static int64_t numbers(const double *value, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        count += !isnan(value[i]);
    }
    return count;
}

lo_status lo_mia_logistic(const double *member, int64_t members, const double *other, int64_t others,
                          uint64_t seed, lo_guess *out, lo_error *err)
{
    const int64_t m = numbers(member, members), o = numbers(other, others), n = m < o ? m : o;
    *out = (lo_guess){.accuracy = lo_unbounded_nan(), .splits = LO_SPLITS};
    if (n < LO_SPLITS) {
        return lo_fail(
            err, LO_DATA,
            "an attack by logistic regression has %lld members and %lld non-members; it needs %d of each",
            (long long)m, (long long)o, LO_SPLITS);
    }
    const size_t longest = (size_t)(members > others ? members : others);
    double *room = malloc((4 * (size_t)n + longest) * sizeof(*room));
    uint8_t *fit_member = malloc(2 * (size_t)n);
    lo_status status = LO_OK;
    if (room == NULL || fit_member == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)(2 * n));
        goto end;
    }
    double *x = room, *fit_x = room + 2 * n, *sorted = room + 4 * n, accuracy[LO_SPLITS];
    draw(member, members, n, seed, 2, x, sorted);
    draw(other, others, n, seed, 3, x + n, sorted);
    for (int s = 0; s < LO_SPLITS; s++) {
        accuracy[s] = one_split(x, n, seed, s, fit_x, fit_member);
    }
    out->accuracy = over_splits(accuracy, n);
    out->used = 2 * n;
end:
    free(fit_member);
    free(room);
    return status;
}
