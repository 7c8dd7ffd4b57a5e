/* Estimates and their errors against a learner whose memorization is known exactly: three nearest neighbours
 * on twelve points, trained on eight of them. All 495 subsets are enumerated; then many random ensembles are
 * scored. */
#include "unit/score_fixture.h"

#include <math.h>
#include <stdio.h>

enum { POINTS = 12, SIZE = 8, SUBSETS = 1 << POINTS, ENSEMBLES = 2000 };

static const double place[POINTS] = {0.0, 1.1, 1.9, 3.2, 3.9, 5.1, 5.8, 7.2, 8.1, 8.7, 10.2, 10.9};
static const int label[POINTS] = {0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1};

/* Is the learner trained on the points of `subset` right on point i? Ties go to the lower point. */
static bool right(unsigned subset, int i)
{
    unsigned taken = 0;
    int votes = 0;
    for (int k = 0; k < 3; k++) {
        int nearest = -1;
        for (int j = 0; j < POINTS; j++) {
            if ((subset >> j & 1) && !(taken >> j & 1) &&
                (nearest < 0 || fabs(place[j] - place[i]) < fabs(place[nearest] - place[i]))) {
                nearest = j;
            }
        }
        taken |= 1U << nearest;
        votes += label[nearest];
    }
    return (votes >= 2) == (label[i] == 1);
}

typedef struct truth {
    unsigned subset[495];
    unsigned outcome[495]; /* bit i: right on point i */
    double in[POINTS], out[POINTS];
} truth;

static void enumerate(truth *t)
{
    int found = 0;
    double count_in[POINTS] = {0};
    *t = (truth){0};
    for (unsigned subset = 0; subset < SUBSETS; subset++) {
        if (__builtin_popcount(subset) != SIZE) {
            continue;
        }
        t->subset[found] = subset;
        for (int i = 0; i < POINTS; i++) {
            const bool hit = right(subset, i), in = subset >> i & 1;
            t->outcome[found] |= (unsigned)hit << i;
            t->in[i] += hit && in;
            t->out[i] += hit && !in;
            count_in[i] += in;
        }
        found++;
    }
    assert_int_equal(found, 495);
    for (int i = 0; i < POINTS; i++) {
        t->in[i] /= count_in[i];
        t->out[i] /= 495 - count_in[i];
    }
}

typedef struct moments {
    double sum, squares, errors, covered;
} moments;

static void score_ensembles(const truth *t, int models, uint64_t stream, moments *m)
{
    const lo_random random = lo_random_make(77, LO_FOR_TEST);
    for (uint64_t e = 0; e < ENSEMBLES; e++) {
        lo_columns mask, correct;
        assert_int_equal(lo_columns_create(models, POINTS, &mask, NULL), LO_OK);
        assert_int_equal(lo_columns_create(models, POINTS, &correct, NULL), LO_OK);
        for (int k = 0; k < models; k++) {
            const uint64_t pick = lo_random_below(random, stream << 32 | e, (uint64_t)k, 495);
            const uint8_t in[2] = {(uint8_t)t->subset[pick], (uint8_t)(t->subset[pick] >> 8)};
            const uint8_t hit[2] = {(uint8_t)t->outcome[pick], (uint8_t)(t->outcome[pick] >> 8)};
            lo_columns_set_row(&mask, k, in, 0);
            lo_columns_set_row(&correct, k, hit, 0);
        }
        lo_counts counts[POINTS];
        lo_count(&mask, &correct, NULL, counts);
        for (int i = 0; i < POINTS; i++) {
            const lo_estimate s =
                lo_difference(counts[i].in_hit, counts[i].in, counts[i].out_hit, counts[i].out);
            const double exact = t->in[i] - t->out[i];
            m[i].sum += s.value;
            m[i].squares += ((double)s.value - exact) * ((double)s.value - exact);
            m[i].errors += (double)s.standard_error * s.standard_error;
            m[i].covered += s.low <= exact + 1e-6 && exact - 1e-6 <= s.high;
        }
        lo_columns_destroy(&mask);
        lo_columns_destroy(&correct);
    }
}

static bool interior(double p)
{
    return p >= 0.1 && p <= 0.9;
}

static void check(int models, uint64_t stream)
{
    truth t;
    enumerate(&t);
    moments m[POINTS] = {{0}};
    score_ensembles(&t, models, stream, m);
    int points = 0;
    printf("%d models, %d ensembles\n", models, ENSEMBLES);
    for (int i = 0; i < POINTS; i++) {
        const double exact = t.in[i] - t.out[i];
        const double spread = sqrt(m[i].squares / ENSEMBLES), error = sqrt(m[i].errors / ENSEMBLES);
        const bool inside = interior(t.in[i]) && interior(t.out[i]);
        printf("point %2d: in %.3f out %.3f, memorization %+.4f, mean %+.4f, spread %.4f, reported %.4f%s, "
               "covered %.3f\n",
               i, t.in[i], t.out[i], exact, m[i].sum / ENSEMBLES, spread, error,
               inside ? "" : " (conservative)", m[i].covered / ENSEMBLES);
        /* Unbiased: 4.5 standard errors of the mean over ensembles; exactly right where nothing varies. */
        assert_true(fabs(m[i].sum / ENSEMBLES - exact) <= 4.5 * spread / sqrt(ENSEMBLES) + 1e-6);
        /* Of size: within 15 % where both probabilities are interior. Elsewhere one success and one failure
         * added to an arm of a few dozen models make the error too large, on purpose; never too small. */
        assert_true(error >= 0.85 * spread);
        if (inside) {
            assert_true(error <= 1.15 * spread);
            points++;
        }
        assert_true(m[i].covered / ENSEMBLES >= 0.93);
    }
    assert_true(points >= 4);
}

static void test_estimates_are_unbiased_and_errors_honest(void **state)
{
    (void)state;
    check(60, 1);
    check(240, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimates_are_unbiased_and_errors_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
