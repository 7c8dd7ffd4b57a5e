/* Estimates and their errors against a learner whose memorization is known exactly: three nearest neighbours
 * on twelve points, trained on eight of them. All 495 subsets are enumerated; then many random ensembles are
 * scored. */
#include "score/moments.h"
#include "score/pairs.h"
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

/* ---- balanced blocks ---- */

/* Masks of the balanced design, whose models depend on each other within a block: the same truth, since each
 * alone is any subset alike, and errors of two samples that are honest. */
static void test_balanced_blocks(void **state)
{
    (void)state;
    enum { MODELS = 60 };
    truth t;
    enumerate(&t);
    static unsigned outcome[SUBSETS];
    for (int k = 0; k < 495; k++) {
        outcome[t.subset[k]] = t.outcome[k];
    }
    moments m[POINTS] = {{0}};
    for (uint64_t e = 0; e < ENSEMBLES; e++) {
        lo_design design;
        lo_counts n[POINTS] = {{0}};
        assert_int_equal(lo_design_subsets("balanced", POINTS, MODELS, 2.0 / 3.0, e, &design, NULL), LO_OK);
        for (int64_t k = 0; k < MODELS; k++) {
            uint8_t mask[2];
            lo_design_mask(&design, k, mask);
            const unsigned subset = mask[0] | (unsigned)mask[1] << 8;
            assert_int_equal(__builtin_popcount(subset), SIZE);
            for (int i = 0; i < POINTS; i++) {
                const int hit = outcome[subset] >> i & 1;
                n[i].in_hit += (int)(subset >> i & 1) * hit;
                n[i].out_hit += (int)(~subset >> i & 1) * hit;
            }
        }
        for (int i = 0; i < POINTS; i++) {
            const lo_estimate s = lo_widened(
                lo_difference(n[i].in_hit, MODELS / 3 * 2, n[i].out_hit, MODELS / 3), lo_block_factor(3), 1);
            const double exact = t.in[i] - t.out[i];
            m[i].sum += s.value;
            m[i].squares += ((double)s.value - exact) * ((double)s.value - exact);
            m[i].errors += (double)s.standard_error * s.standard_error;
            m[i].covered += s.low <= exact + 1e-6 && exact - 1e-6 <= s.high;
        }
    }
    for (int i = 0; i < POINTS; i++) {
        const double spread = sqrt(m[i].squares / ENSEMBLES), error = sqrt(m[i].errors / ENSEMBLES);
        printf(
            "balanced, point %2d: memorization %+.4f, mean %+.4f, spread %.4f, reported %.4f, covered %.3f\n",
            i, t.in[i] - t.out[i], m[i].sum / ENSEMBLES, spread, error, m[i].covered / ENSEMBLES);
        assert_true(fabs(m[i].sum / ENSEMBLES - (t.in[i] - t.out[i])) <=
                    4.5 * spread / sqrt(ENSEMBLES) + 1e-6);
        assert_true(error >= 0.9 * spread && error <= 1.5 * spread);
        assert_true(m[i].covered / ENSEMBLES >= 0.93);
    }
}

/* ---- pairs of halves ---- */

typedef struct pair_truth {
    unsigned half[924], outcome[SUBSETS]; /* of each half, bit i: right on point i */
    double memorization[POINTS];
} pair_truth;

/* Every half once, and with it its complement: what the complementary design estimates. */
static void enumerate_halves(pair_truth *t)
{
    int found = 0;
    *t = (pair_truth){{0}, {0}, {0}};
    for (unsigned subset = 0; subset < SUBSETS; subset++) {
        if (__builtin_popcount(subset) == POINTS / 2) {
            t->half[found++] = subset;
            for (int i = 0; i < POINTS; i++) {
                t->outcome[subset] |= (unsigned)right(subset, i) << i;
            }
        }
    }
    assert_int_equal(found, 924);
    for (int h = 0; h < 924; h++) {
        for (int i = 0; i < POINTS; i++) {
            const int hit = t->outcome[t->half[h]] >> i & 1;
            t->memorization[i] += (t->half[h] >> i & 1) ? hit / 462.0 : -hit / 462.0;
        }
    }
}

static void score_pairs(const pair_truth *t, int pairs, uint64_t stream, moments *m)
{
    const lo_random random = lo_random_make(78, LO_FOR_TEST);
    lo_design design;
    assert_int_equal(lo_design_subsets("complementary", POINTS, 2 * pairs, 0.5, 1, &design, NULL), LO_OK);
    for (uint64_t e = 0; e < ENSEMBLES; e++) {
        lo_columns mask, correct;
        assert_int_equal(lo_columns_create(2 * pairs, POINTS, &mask, NULL), LO_OK);
        assert_int_equal(lo_columns_create(2 * pairs, POINTS, &correct, NULL), LO_OK);
        for (int k = 0; k < 2 * pairs; k++) {
            const uint64_t pick = lo_random_below(random, stream << 32 | e, (uint64_t)k / 2, 924);
            const unsigned half = k % 2 == 0 ? t->half[pick] : t->half[pick] ^ (SUBSETS - 1);
            const uint8_t in[2] = {(uint8_t)half, (uint8_t)(half >> 8)};
            const uint8_t hit[2] = {(uint8_t)t->outcome[half], (uint8_t)(t->outcome[half] >> 8)};
            lo_columns_set_row(&mask, k, in, 0);
            lo_columns_set_row(&correct, k, hit, 0);
        }
        lo_pairs counts[POINTS];
        lo_pairs_count(&design, &mask, &correct, NULL, counts);
        for (int i = 0; i < POINTS; i++) {
            assert_int_equal(counts[i].pairs, pairs);
            const lo_estimate s = lo_paired_difference(counts[i].plus, counts[i].minus, pairs);
            const double exact = t->memorization[i];
            m[i].sum += s.value;
            m[i].squares += ((double)s.value - exact) * ((double)s.value - exact);
            m[i].errors += (double)s.standard_error * s.standard_error;
            m[i].covered += s.low <= exact + 1e-6 && exact - 1e-6 <= s.high;
        }
        lo_columns_destroy(&mask);
        lo_columns_destroy(&correct);
    }
}

/* Halves that have nothing in common: the estimate is that of all halves, the error that of pairs. */
static void test_pairs_of_halves(void **state)
{
    (void)state;
    pair_truth t;
    enumerate_halves(&t);
    const int counts[] = {20, 100};
    for (int c = 0; c < 2; c++) {
        moments m[POINTS] = {{0}};
        score_pairs(&t, counts[c], (uint64_t)c + 1, m);
        for (int i = 0; i < POINTS; i++) {
            const double spread = sqrt(m[i].squares / ENSEMBLES), error = sqrt(m[i].errors / ENSEMBLES);
            printf(
                "%3d pairs, point %2d: memorization %+.4f, mean %+.4f, spread %.4f, reported %.4f, covered "
                "%.3f\n",
                counts[c], i, t.memorization[i], m[i].sum / ENSEMBLES, spread, error,
                m[i].covered / ENSEMBLES);
            assert_true(fabs(m[i].sum / ENSEMBLES - t.memorization[i]) <=
                        4.5 * spread / sqrt(ENSEMBLES) + 1e-6);
            assert_true(error >= 0.9 * spread && error <= (counts[c] < 50 ? 1.3 : 1.1) * spread);
            assert_true(m[i].covered / ENSEMBLES >= 0.93);
        }
    }
}

/* Bernoulli masks: the two-sample error, over masks of any size that the design draws. */
static void test_independent_members(void **state)
{
    (void)state;
    enum { MODELS = 60 };
    const lo_random random = lo_random_make(79, LO_FOR_TEST);
    double exact[POINTS] = {0}, weight[POINTS][2] = {{0}}, hits[POINTS][2] = {{0}};
    static uint16_t outcome[SUBSETS];
    for (unsigned subset = 0; subset < SUBSETS; subset++) {
        const int size = __builtin_popcount(subset);
        if (size < 3) {
            continue; /* the learner needs three; draws are repeated below */
        }
        const double chance = pow(0.7, size) * pow(0.3, POINTS - size);
        for (int i = 0; i < POINTS; i++) {
            const bool hit = right(subset, i), in = subset >> i & 1;
            outcome[subset] = (uint16_t)(outcome[subset] | (unsigned)hit << i);
            weight[i][in] += chance;
            hits[i][in] += hit ? chance : 0;
        }
    }
    moments m[POINTS] = {{0}};
    for (uint64_t e = 0; e < ENSEMBLES; e++) {
        lo_counts n[POINTS] = {{0}};
        for (uint64_t k = 0; k < MODELS; k++) {
            unsigned subset = 0;
            for (uint64_t again = 0; __builtin_popcount(subset) < 3; again++) {
                subset = 0;
                for (int i = 0; i < POINTS; i++) {
                    const float u = lo_random_unit(random, e << 32 | k, again * POINTS + (uint64_t)i);
                    subset |= (unsigned)(u < 0.7F) << i;
                }
            }
            for (int i = 0; i < POINTS; i++) {
                const int hit = outcome[subset] >> i & 1;
                n[i].in += (int)(subset >> i & 1);
                n[i].in_hit += (int)(subset >> i & 1) * hit;
                n[i].out_hit += (int)(~subset >> i & 1) * hit;
            }
        }
        for (int i = 0; i < POINTS; i++) {
            const lo_estimate s = lo_difference(n[i].in_hit, n[i].in, n[i].out_hit, MODELS - n[i].in);
            exact[i] = hits[i][1] / weight[i][1] - hits[i][0] / weight[i][0];
            m[i].sum += s.value;
            m[i].squares += ((double)s.value - exact[i]) * ((double)s.value - exact[i]);
            m[i].covered += s.low <= exact[i] + 1e-6 && exact[i] - 1e-6 <= s.high;
        }
    }
    for (int i = 0; i < POINTS; i++) {
        const double spread = sqrt(m[i].squares / ENSEMBLES);
        assert_true(fabs(m[i].sum / ENSEMBLES - exact[i]) <= 4.5 * spread / sqrt(ENSEMBLES) + 1e-6);
        assert_true(m[i].covered / ENSEMBLES >= 0.93);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balanced_blocks),
        cmocka_unit_test(test_pairs_of_halves),
        cmocka_unit_test(test_independent_members),
        cmocka_unit_test(test_estimates_are_unbiased_and_errors_honest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
