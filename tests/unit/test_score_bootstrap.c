/* Bootstrap intervals by simulation, reliability against a truth that is known, Pareto fronts by hand. */
#include "unit/score_fixture.h"

#include "score/bootstrap.h"
#include "score/pareto.h"
#include "score/rank.h"
#include "score/reliability.h"

#include <math.h>
#include <string.h>

/* A sample of pairs with correlation RHO, and two statistics of it: the correlation, and the variance of x.
 */
#define RHO 0.6
enum { N = 60, STATISTICS = 2, RESAMPLES = 400 };

typedef struct sample {
    double x[N], y[N];
} sample;

static sample draw(uint64_t stream)
{
    const lo_random random = lo_random_make(8, LO_FOR_TEST);
    sample s;
    for (uint64_t i = 0; i < N; i++) {
        const double a = (double)lo_random_normal(random, stream, 2 * i);
        const double b = (double)lo_random_normal(random, stream, 2 * i + 1);
        s.x[i] = a;
        s.y[i] = RHO * a + sqrt(1 - RHO * RHO) * b;
    }
    return s;
}

static lo_status compute(void *self, const int32_t *weight, double *value, lo_error *err)
{
    (void)err;
    const sample *s = self;
    double w = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < N; i++) {
        const double k = weight != NULL ? weight[i] : 1;
        w += k;
        x += k * s->x[i];
        y += k * s->y[i];
        xx += k * s->x[i] * s->x[i];
        yy += k * s->y[i] * s->y[i];
        xy += k * s->x[i] * s->y[i];
    }
    const double variance = (xx - x * x / w) / w;
    value[0] = (xy - x * y / w) / w / sqrt(variance * ((yy - y * y / w) / w));
    value[1] = variance;
    return LO_OK;
}

/* How often intervals of 90 % hold the truth: BCa's do, of a variance too, of which the percentiles' are
 * known to be too low. 400 samples: a standard deviation of 1.5 %. */
static void test_coverage(void **state)
{
    (void)state;
    enum { SAMPLES = 400 };
    const double truth[STATISTICS] = {RHO, 1};
    int percentile_holds[STATISTICS] = {0}, bca_holds[STATISTICS] = {0};
    double replicate[STATISTICS * RESAMPLES];
    for (uint64_t k = 0; k < SAMPLES; k++) {
        sample s = draw(k);
        const lo_bootstrap b = {k, N, RESAMPLES, STATISTICS, compute, &s};
        double estimate[STATISTICS], acceleration[STATISTICS];
        assert_int_equal(compute(&s, NULL, estimate, NULL), LO_OK);
        assert_int_equal(lo_bootstrap_replicates(&b, 0, RESAMPLES, replicate, NULL, NULL), LO_OK);
        assert_int_equal(lo_bootstrap_acceleration(&b, N, acceleration, NULL, NULL), LO_OK);
        for (int i = 0; i < STATISTICS; i++) {
            double *own = replicate + i * RESAMPLES;
            const lo_interval p = lo_interval_percentile(own, RESAMPLES, 0.9);
            const lo_interval c = lo_interval_bca(own, RESAMPLES, estimate[i], acceleration[i], 0.9);
            assert_true(p.low < p.high && c.low < c.high && p.undefined == 0);
            percentile_holds[i] += p.low <= truth[i] && truth[i] <= p.high;
            bca_holds[i] += c.low <= truth[i] && truth[i] <= c.high;
        }
    }
    print_message("percentile %d %d, BCa %d %d of %d\n", percentile_holds[0], percentile_holds[1],
                  bca_holds[0], bca_holds[1], SAMPLES);
    assert_in_range(percentile_holds[0], 0.85 * SAMPLES, 0.94 * SAMPLES);
    assert_in_range(bca_holds[0], 0.86 * SAMPLES, 0.94 * SAMPLES);
    assert_in_range(bca_holds[1], 0.85 * SAMPLES, 0.94 * SAMPLES);
    assert_true(bca_holds[1] > percentile_holds[1]);
}

/* Resamples do not depend on who computes which, nor accelerations much on blocks. */
static void test_pieces_are_the_whole(void **state)
{
    (void)state;
    enum { FIRST = 17, MORE = 23 };
    sample s = draw(1000);
    const lo_bootstrap b = {5, N, FIRST + MORE, STATISTICS, compute, &s};
    double whole[STATISTICS * (FIRST + MORE)], first[STATISTICS * FIRST], more[STATISTICS * MORE];
    assert_int_equal(lo_bootstrap_replicates(&b, 0, FIRST + MORE, whole, NULL, NULL), LO_OK);
    assert_int_equal(lo_bootstrap_replicates(&b, 0, FIRST, first, NULL, NULL), LO_OK);
    assert_int_equal(lo_bootstrap_replicates(&b, FIRST, MORE, more, NULL, NULL), LO_OK);
    for (int i = 0; i < STATISTICS; i++) {
        assert_memory_equal(whole + i * (FIRST + MORE), first + i * FIRST, sizeof(double) * FIRST);
        assert_memory_equal(whole + i * (FIRST + MORE) + FIRST, more + i * MORE, sizeof(double) * MORE);
    }
    int32_t weight[N];
    lo_resample(5, 3, N, weight);
    int64_t sum = 0;
    for (int i = 0; i < N; i++) {
        sum += weight[i];
    }
    assert_int_equal(sum, N);
    double one_by_one[STATISTICS], blocks[STATISTICS];
    assert_int_equal(lo_bootstrap_acceleration(&b, N, one_by_one, NULL, NULL), LO_OK);
    assert_int_equal(lo_bootstrap_acceleration(&b, N / 2, blocks, NULL, NULL), LO_OK);
    for (int i = 0; i < STATISTICS; i++) {
        assert_true(fabs(one_by_one[i] - blocks[i]) < 0.05);
    }
    /* Of a mean the acceleration is the skewness over 6 root n; of a variance, of its summands' squares. */
    double mean = 0, squares = 0, cubes = 0;
    for (int i = 0; i < N; i++) {
        mean += s.x[i] / N;
    }
    double centred[N], level = 0;
    for (int i = 0; i < N; i++) {
        centred[i] = (s.x[i] - mean) * (s.x[i] - mean);
        level += centred[i] / N;
    }
    for (int i = 0; i < N; i++) {
        squares += pow(centred[i] - level, 2);
        cubes += pow(centred[i] - level, 3);
    }
    assert_true(fabs(one_by_one[1] - cubes / (6 * pow(squares, 1.5))) < 0.01);
}

static void test_undefined_replicates(void **state)
{
    (void)state;
    double some[] = {3, NAN, 1, 2, NAN}, none[] = {NAN, NAN}, all[] = {1, 2, 3, 4};
    const lo_interval i = lo_interval_percentile(some, 5, 0.5);
    assert_true(i.low == 1.5 && i.high == 2.5 && i.undefined == 2);
    assert_true(isnan(lo_interval_percentile(none, 2, 0.9).low));
    assert_true(isnan(lo_interval_bca(all, 4, 9, 0, 0.9).low));
    assert_true(isnan(lo_interval_bca(all, 4, 2, NAN, 0.9).high));
    assert_true(fabs(lo_normal_quantile(0.975) - 1.959963984540054) < 1e-14);
    assert_true(fabs(lo_normal_quantile(1e-9) + 5.997807015007687) < 1e-9);
}

/* Models that score an example by truth + noise: of k of them the mean has the reliability
 * 1 / (1 + noise^2 / k). */
enum { MODELS = 48, EXAMPLES = 4000 };
#define NOISE 4.0

static lo_status mean_of_models(void *self, const uint8_t *use, double *score, lo_error *err)
{
    (void)self;
    (void)err;
    const lo_random random = lo_random_make(21, LO_FOR_TEST);
    for (uint64_t i = 0; i < EXAMPLES; i++) {
        double sum = 0, count = 0;
        for (uint64_t m = 0; m < MODELS; m++) {
            if (use[m / 8] >> (m % 8) & 1) {
                sum += NOISE * (double)lo_random_normal(random, i, m);
                count++;
            }
        }
        score[i] = (double)lo_random_normal(random, i, MODELS) + sum / count;
    }
    return LO_OK;
}

static void test_reliability_of_a_known_truth(void **state)
{
    (void)state;
    const lo_halving halving = {3, 6, MODELS, 1, EXAMPLES, NULL, mean_of_models, NULL};
    lo_reliability r;
    assert_int_equal(lo_split_half(&halving, &r, NULL, NULL), LO_OK);
    const double half = 1 / (1 + NOISE * NOISE / (MODELS / 2)), whole = 1 / (1 + NOISE * NOISE / MODELS);
    assert_true(fabs(r.half.pearson - half) < 0.025);
    const double ranks = lo_spearman_brown(6 / acos(-1) * asin(half / 2), 2); /* of normal variables */
    assert_true(fabs(r.whole.pearson - whole) < 0.025 && fabs(r.whole.spearman - ranks) < 0.025);
    assert_true(fabs(lo_spearman_brown(half, 2) - whole) < 1e-14);
    assert_true(r.spread.pearson > 0 && r.spread.pearson < 0.02 && r.splits == 6);

    /* A proxy that knows the truth reaches the ceiling; corrected, one. */
    double *score = calloc(EXAMPLES, sizeof(*score)), *truth = calloc(EXAMPLES, sizeof(*truth));
    assert_true(score != NULL && truth != NULL);
    uint8_t all[MODELS / 8];
    memset(all, 0xff, sizeof(all));
    assert_int_equal(mean_of_models(NULL, all, score, NULL), LO_OK);
    const lo_random random = lo_random_make(21, LO_FOR_TEST);
    for (uint64_t i = 0; i < EXAMPLES; i++) {
        truth[i] = (double)lo_random_normal(random, i, MODELS);
    }
    const double found = lo_pearson(score, truth, EXAMPLES).value;
    assert_true(fabs(found - r.ceiling.pearson) < 0.02);
    assert_true(r.tie_ceiling == 1 && r.tied == 0 && r.ceiling.spearman == sqrt(r.whole.spearman));
    assert_true(fabs(lo_disattenuated(found, r.whole.pearson, 1) - 1) < 0.02);
    assert_true(isnan(lo_disattenuated(found, 0, 1)) && isnan(lo_disattenuated(found, -0.1, 1)));
    free(score);
    free(truth);
}

/* What is learned without being memorized has a truth of 0, and most of an ensemble's estimates of it are
 * exactly 0: models are right with probability `truth` when they have seen the example, else never. */
static double inflated_truth(uint64_t i)
{
    const double u = (double)lo_random_unit(lo_random_make(22, LO_FOR_TEST), i, MODELS);
    return i % 5 < 4 ? 0 : u;
}

static lo_status share_of_models(void *self, const uint8_t *use, double *score, lo_error *err)
{
    (void)self;
    (void)err;
    const lo_random random = lo_random_make(22, LO_FOR_TEST);
    for (uint64_t i = 0; i < EXAMPLES; i++) {
        double hits = 0, count = 0;
        for (uint64_t m = 0; m < MODELS; m++) {
            if (use[m / 8] >> (m % 8) & 1) {
                hits += (double)lo_random_unit(random, i, m) < inflated_truth(i);
                count++;
            }
        }
        score[i] = hits / count;
    }
    return LO_OK;
}

static void test_ceiling_of_a_tied_reference(void **state)
{
    (void)state;
    const lo_halving halving = {3, 4, MODELS, 1, EXAMPLES, NULL, share_of_models, NULL};
    static double reference[EXAMPLES], best[EXAMPLES], knowing[EXAMPLES];
    lo_reliability r;
    lo_agreement a;
    uint8_t all[MODELS / 8];
    memset(all, 0xff, sizeof(all));
    assert_int_equal(lo_split_half(&halving, &r, NULL, NULL), LO_OK);
    assert_int_equal(share_of_models(NULL, all, reference, NULL), LO_OK);
    int tied = 0;
    for (uint64_t i = 0; i < EXAMPLES; i++) { /* in the reference's order, and in the truth's; no ties */
        const double jitter = 1e-6 * (double)lo_random_unit(lo_random_make(23, LO_FOR_TEST), i, 0);
        best[i] = reference[i] + jitter;
        knowing[i] = inflated_truth(i) + jitter;
        bool other = false;
        for (uint64_t k = 0; k < EXAMPLES && !other; k++) {
            other = k != i && reference[k] == reference[i];
        }
        tied += other;
    }
    assert_true(fabs(r.tied - tied / (double)EXAMPLES) < 1e-12 && r.tied > 0.8);
    assert_int_equal(lo_spearman(best, reference, EXAMPLES, &a, NULL), LO_OK);
    assert_true(fabs(a.value - r.tie_ceiling) < 1e-9);
    const double root = sqrt(r.whole.spearman); /* alone it promises what no score without ties can reach */
    print_message("root of reliability %.3f, ties allow %.3f\n", root, r.tie_ceiling);
    assert_true(root > r.tie_ceiling + 0.1);
    assert_true(r.ceiling.spearman == r.tie_ceiling);
    assert_int_equal(lo_spearman(knowing, reference, EXAMPLES, &a, NULL), LO_OK);
    assert_true(a.value < r.ceiling.spearman && a.value > r.ceiling.spearman - 0.05);

    double ceiling, share;
    const double flat[] = {2, 2, NAN, 2}, three[] = {1, NAN, 2, 2};
    assert_int_equal(lo_tie_ceiling(flat, 4, &ceiling, &share, NULL), LO_OK);
    assert_true(isnan(ceiling) && share == 1);
    assert_int_equal(lo_tie_ceiling(three, 4, &ceiling, &share, NULL), LO_OK);
    assert_true(fabs(ceiling - sqrt(1 - 6.0 / 24)) < 1e-15 && fabs(share - 2.0 / 3) < 1e-15);
}

static void test_halves(void **state)
{
    (void)state;
    enum { ALL = 31 };
    uint8_t use[4] = {0xff, 0xff, 0xff, 0x3f}, first[4], second[4];
    int together[ALL] = {0};
    for (int64_t split = 0; split < 400; split++) {
        lo_split_models(9, split, use, ALL, 2, first, second);
        int count[2] = {0};
        for (int m = 0; m < ALL; m++) {
            const int a = first[m / 8] >> (m % 8) & 1, b = second[m / 8] >> (m % 8) & 1;
            assert_false(a && b);
            count[0] += a;
            count[1] += b;
            if (m % 2 == 1) {
                assert_int_equal(a, first[m / 8] >> ((m - 1) % 8) & 1);
            }
            together[m] += a == (first[0] & 1) && a + b == 1;
        }
        /* 15 pairs are used, model 30 not at all; one pair is left over */
        assert_int_equal(count[0], 14);
        assert_int_equal(count[1], 14);
        assert_int_equal((first[3] | second[3]) >> 6, 0);
    }
    for (int m = 2; m < 30; m++) { /* on the same side as model 0, or both on none: about half the time */
        assert_in_range(together[m], 130, 250);
    }
    const lo_halving one = {1, 2, 2, 2, 1, NULL, mean_of_models, NULL};
    lo_reliability r;
    assert_int_equal(lo_split_half(&one, &r, NULL, NULL), LO_USAGE);
}

static void test_pareto(void **state)
{
    (void)state;
    const double cost[] = {1, 1, 2, 3, 3, 4, NAN, 0.5}, value[] = {0.5, 0.6, 0.6, 0.9, 0.9, 0.8, 2, NAN};
    const uint8_t expected[] = {0, 1, 0, 1, 1, 0, 0, 0};
    uint8_t front[8];
    lo_pareto(cost, value, 8, 0, front);
    assert_memory_equal(front, expected, sizeof(expected));
    /* the first three cost about the same: the best of them; of equals the cheapest */
    const double about[] = {1, 1.01, 1.02, 1.5, 1.51}, worth[] = {0.5, 0.6, 0.55, 0.7, 0.7};
    const uint8_t best[] = {0, 1, 0, 1, 0};
    lo_pareto(about, worth, 5, 0.02, front);
    assert_memory_equal(front, best, sizeof(best));
    const double dear[] = {1, 2, 3}, replicate[] = {0, 0, 0, 5, /**/ 1, 1, -1, 1, /**/ 2, 0, 3, 4};
    double share[3];
    assert_int_equal(lo_pareto_share(dear, replicate, 3, 4, 0, share, NULL), LO_OK);
    assert_true(share[0] == 1 && share[1] == 0.5 && share[2] == 0.5);
}

static void test_curves(void **state)
{
    (void)state;
    const double cost[] = {2, 4, 16}, value[] = {0.5, 0.7, 0.6};
    assert_true(fabs(lo_curve_at(cost, value, 3, sqrt(8)) - 0.6) < 1e-14);
    assert_true(fabs(lo_curve_at(cost, value, 3, 8) - 0.65) < 1e-14);
    assert_true(lo_curve_at(cost, value, 3, 2) == 0.5 && lo_curve_at(cost, value, 3, 16) == 0.6);
    assert_true(isnan(lo_curve_at(cost, value, 3, 1.9)) && isnan(lo_curve_at(cost, value, 3, 17)));
    assert_true(fabs(lo_curve_reach(cost, value, 3, 0.6) - sqrt(8)) < 1e-14);
    assert_true(lo_curve_reach(cost, value, 3, 0.5) == 2);
    assert_true(isnan(lo_curve_reach(cost, value, 3, 0.4)) && isnan(lo_curve_reach(cost, value, 3, 0.71)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_pieces_are_the_whole),
        cmocka_unit_test(test_undefined_replicates),
        cmocka_unit_test(test_reliability_of_a_known_truth),
        cmocka_unit_test(test_ceiling_of_a_tied_reference),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_pareto),
        cmocka_unit_test(test_curves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
