/* LiRA, RMIA and U-LiRA: against sums written out, on planted Gaussians, under permutations of models and
 * examples. */
#include "audit/lira.h"
#include "audit/members.h"
#include "audit/rmia.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An ensemble of margins: N(0, 1) out, N(shift, spread) in, centres that differ by example; mask by chance.
 */
typedef struct ensemble {
    int64_t models, n;
    float *phi;   /* [models, n] */
    uint8_t *bit; /* [models, n] */
    lo_columns *mask;
    lo_references references;
} ensemble;

static ensemble make(int64_t models, int64_t n, double shift, double spread, uint64_t stream)
{
    const lo_random random = lo_random_make(41, LO_FOR_TEST);
    ensemble e = {.models = models, .n = n};
    e.phi = malloc((size_t)(models * n) * sizeof(*e.phi));
    e.bit = malloc((size_t)(models * n));
    e.mask = malloc(sizeof(*e.mask));
    assert_true(e.phi != NULL && e.bit != NULL && e.mask != NULL);
    assert_int_equal(lo_columns_create(models, n, e.mask, NULL), LO_OK);
    for (int64_t m = 0; m < models; m++) {
        for (int64_t i = 0; i < n; i++) {
            const uint64_t at = (uint64_t)(m * n + i);
            const int in = lo_random_unit(random, 3 * stream, at) < 0.6F;
            const float centre = 2 * lo_random_normal(random, 3 * stream + 1, (uint64_t)i);
            const float z = lo_random_normal(random, 3 * stream + 2, at);
            e.bit[at] = (uint8_t)in;
            e.phi[at] = centre + (in ? (float)shift + (float)spread * z : z);
            e.mask->word[(m / 64) * e.mask->stride + i] |= (uint64_t)in << (m % 64);
        }
    }
    e.references = (lo_references){e.phi, models, n, n, e.mask, NULL};
    return e;
}

static void unmake(ensemble *e)
{
    free(e->phi);
    free(e->bit);
    lo_columns_destroy(e->mask);
    free(e->mask);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct normal {
    double mean, median, deviation, squares;
    int64_t n;
} normal;

/* A side of example i by hand, without model `without`. */
static normal side(const ensemble *e, int64_t i, int in, int64_t without)
{
    double value[64];
    normal s = {0};
    for (int64_t m = 0; m < e->models; m++) {
        const int64_t at = m * e->n + i;
        if (m != without && e->bit[at] == in && !isnan(e->phi[at])) {
            value[s.n++] = (double)e->phi[at];
        }
    }
    for (int64_t k = 0; k < s.n; k++) {
        s.mean += value[k] / (double)s.n;
    }
    for (int64_t k = 0; k < s.n; k++) {
        s.squares += (value[k] - s.mean) * (value[k] - s.mean);
    }
    qsort(value, (size_t)s.n, sizeof(*value), by_value);
    s.median = s.n == 0 ? NAN : s.n % 2 ? value[s.n / 2] : (value[s.n / 2 - 1] + value[s.n / 2]) / 2;
    s.deviation = s.n > 1 ? sqrt(s.squares / (double)(s.n - 1)) : NAN;
    return s;
}

static double log_normal(double x, double centre, double deviation)
{
    return -(x - centre) * (x - centre) / (2 * deviation * deviation) - log(deviation * sqrt(2 * M_PI));
}

static void assert_score(float value, double expected)
{
    if (isnan(expected) ? !isnan(value) : !(fabs((double)value - expected) < 2e-5 * (1 + fabs(expected)))) {
        fail_msg("score %.9g instead of %.9g", (double)value, expected);
    }
}

static double by_hand(const ensemble *e, int64_t m, int64_t i, const lo_lira *options)
{
    const double x = (double)e->phi[m * e->n + i];
    const normal in = side(e, i, 1, m), out = side(e, i, 0, m);
    const int least = options->in_deviation != 0 ? 1 : 2;
    const double in_sd = options->in_deviation != 0 ? options->in_deviation : in.deviation;
    const double out_sd = options->out_deviation != 0 ? options->out_deviation : out.deviation;
    const double in_centre = options->median ? in.median : in.mean;
    const double out_centre = options->median ? out.median : out.mean;
    if (isnan(x) || out.n < least || (!options->offline && in.n < least)) {
        return NAN;
    }
    return options->offline ? (x - out_centre) / out_sd
                            : log_normal(x, in_centre, in_sd) - log_normal(x, out_centre, out_sd);
}

static void test_lira_by_hand(void **state)
{
    (void)state;
    ensemble e = make(11, 40, 1.5, 0.5, 0);
    e.phi[3 * e.n + 7] = NAN;          /* a model that diverged, on one example */
    for (int64_t m = 0; m < 10; m++) { /* an example that only one model has not seen */
        e.bit[m * e.n + 9] = 1;
        e.mask->word[9] |= UINT64_C(1) << m;
    }
    e.bit[10 * e.n + 9] = 0;
    e.mask->word[9] &= ~(UINT64_C(1) << 10);
    lo_lira_sums sums[40];
    assert_int_equal(lo_lira_spread(&e.references, sums, NULL, NULL), LO_OK);
    double in_sd, out_sd, squares[2] = {0}, degrees[2] = {0};
    lo_lira_pool(sums, e.n, &in_sd, &out_sd);
    for (int64_t i = 0; i < e.n; i++) {
        for (int in = 0; in < 2; in++) {
            const normal s = side(&e, i, in, -1);
            squares[in] += s.squares;
            degrees[in] += s.n > 0 ? (double)(s.n - 1) : 0;
        }
    }
    assert_true(fabs(in_sd / sqrt(squares[1] / degrees[1]) - 1) < 1e-12);
    assert_true(fabs(out_sd / sqrt(squares[0] / degrees[0]) - 1) < 1e-12);
    float score[40 * 11], target[40];
    for (int kind = 0; kind < 8; kind++) {
        const lo_lira options = {.offline = (kind & 1) != 0,
                                 .median = (kind & 2) != 0,
                                 .in_deviation = kind & 4 ? in_sd : 0,
                                 .out_deviation = kind & 4 ? out_sd : 0};
        assert_int_equal(lo_lira_scores(&e.references, &options, score, NULL, NULL), LO_OK);
        for (int64_t i = 0; i < e.n; i++) {
            for (int64_t m = 0; m < e.models; m++) {
                assert_score(score[i * e.models + m], by_hand(&e, m, i, &options));
            }
        }
        /* A target that is no reference: model 4 of an ensemble without it. */
        lo_references others = e.references;
        float *phi = malloc(10 * 40 * sizeof(*phi));
        int64_t model[10];
        for (int64_t m = 0, k = 0; m < 11; m++) {
            if (m != 4) {
                memcpy(phi + k * 40, e.phi + m * 40, 40 * sizeof(*phi));
                model[k++] = m;
            }
        }
        others.phi = phi;
        others.models = 10;
        others.model = model;
        assert_int_equal(lo_lira_target(&others, &options, e.phi + 4 * 40, target, NULL, NULL), LO_OK);
        for (int64_t i = 0; i < e.n; i++) {
            assert_score(target[i], by_hand(&e, 4, i, &options));
        }
        free(phi);
    }
    unmake(&e);
}

/* Pair by pair, both models taken out and their sides made anew. */
static void test_vulnerability_by_hand(void **state)
{
    (void)state;
    ensemble e = make(12, 25, 1, 0.7, 5);
    lo_vulnerability out[25];
    for (int kind = 0; kind < 4; kind++) {
        const lo_lira options = {.offline = (kind & 1) != 0, .median = (kind & 2) != 0};
        assert_int_equal(lo_lira_vulnerability(&e.references, &options, out, NULL, NULL), LO_OK);
        for (int64_t i = 0; i < e.n; i++) {
            double wins = 0, right = 0, pairs = 0;
            for (int64_t a = 0; a < e.models; a++) {
                for (int64_t b = 0; b < e.models; b++) {
                    if (e.bit[a * e.n + i] != 1 || e.bit[b * e.n + i] != 0) {
                        continue;
                    }
                    const normal in = side(&e, i, 1, a), other = side(&e, i, 0, b);
                    const double centre[2] = {options.median ? other.median : other.mean,
                                              options.median ? in.median : in.mean};
                    double score[2];
                    for (int k = 0; k < 2; k++) {
                        const double x = (double)e.phi[(k == 0 ? a : b) * e.n + i];
                        score[k] = options.offline ? (x - centre[0]) / other.deviation
                                                   : log_normal(x, centre[1], in.deviation) -
                                                         log_normal(x, centre[0], other.deviation);
                    }
                    wins += isnan(score[0] + score[1]) ? NAN : score[0] > score[1];
                    right += isnan(wins) ? (double)NAN : (score[0] > 0) + (score[1] < 0);
                    pairs++;
                }
            }
            assert_score(out[i].auc, wins / pairs);
            assert_score(out[i].accuracy, options.offline ? NAN : right / (2 * pairs));
        }
    }
    unmake(&e);
}

static double probability(const ensemble *e, int64_t m, int64_t i)
{
    return 1 / (1 + exp(-(double)e->phi[m * e->n + i]));
}

static double ratio_by_hand(const ensemble *e, int64_t m, int64_t i, double a, int look)
{
    double sum = 0, count = 0;
    for (int64_t k = 0; k < e->models; k++) {
        if (k != m && (!look || e->bit[k * e->n + i] == 0)) {
            sum += probability(e, k, i);
            count++;
        }
    }
    return count > 0 ? probability(e, m, i) / ((1 + a) / 2 * sum / count + (1 - a) / 2) : NAN;
}

static void test_rmia_by_hand(void **state)
{
    (void)state;
    ensemble e = make(9, 30, 1, 1, 1), z = make(9, 50, 0, 1, 2);
    float score[30 * 9], target[30];
    const lo_rmia options = {0.3, 1.1};
    assert_int_equal(lo_rmia_scores(&e.references, &z.references, &options, score, NULL, NULL), LO_OK);
    for (int64_t m = 0; m < 9; m++) {
        for (int64_t i = 0; i < 30; i++) {
            const double x = ratio_by_hand(&e, m, i, options.a, 1);
            double wins = 0;
            for (int64_t j = 0; j < 50; j++) {
                wins += x / ratio_by_hand(&z, m, j, options.a, 0) > options.gamma;
            }
            assert_score(score[i * 9 + m], isnan(x) ? NAN : wins / 50);
        }
    }
    /* The first model as a target of the eight others. */
    lo_references others = e.references, population = z.references;
    int64_t model[8];
    for (int64_t k = 0; k < 8; k++) {
        model[k] = k + 1;
    }
    others.phi += 30;
    population.phi += 50;
    others.models = population.models = 8;
    others.model = model;
    lo_rmia_attack *attack = NULL;
    assert_int_equal(lo_rmia_create(&others, &population, &attack, NULL, NULL), LO_OK);
    assert_int_equal(lo_rmia_target(attack, &options, e.phi, z.phi, target, NULL), LO_OK);
    lo_rmia_destroy(&attack);
    for (int64_t i = 0; i < 30; i++) {
        assert_score(target[i], (double)score[i * 9]);
    }
    lo_references empty = z.references;
    empty.n = 0;
    lo_error err = {0};
    assert_int_equal(lo_rmia_scores(&e.references, &empty, &options, score, NULL, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "population"));
    unmake(&e);
    unmake(&z);
}

/* P(N(0,1) < x). */
static double below(double x)
{
    return erfc(-x / M_SQRT2) / 2;
}

static void assert_between(double low, double value, double high)
{
    if (!(low <= value && value <= high)) {
        fail_msg("%g is not between %g and %g", value, low, high);
    }
}

static void test_planted_shift(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        const double shift = s == 0 ? 0 : 1.5;
        ensemble e = make(100, 1500, shift, 1, 10), z = make(100, 1000, 0, 1, 11);
        float *score = malloc(1500 * 100 * sizeof(*score)), *auc_of = malloc(1500 * sizeof(*auc_of));
        lo_vulnerability *each = malloc(1500 * sizeof(*each));
        lo_members all;
        /* Centres are known to 1/sqrt(40) and so are deviations: the AUC is a little below that of known
         * ones. */
        for (int kind = 0; kind < 2; kind++) {
            const lo_lira options = {.offline = kind == 1};
            assert_int_equal(lo_lira_scores(&e.references, &options, score, NULL, NULL), LO_OK);
            assert_int_equal(lo_members_in_all(&e.references, score, &all, NULL, NULL), LO_OK);
            assert_int_equal(all.models, 100);
            assert_int_equal(all.pooled.members + all.pooled.others, 150000);
            assert_between(below(shift / M_SQRT2) - 0.015, all.auc.value, below(shift / M_SQRT2) + 0.005);
            assert_between(below(shift / M_SQRT2) - 0.015, all.pooled.auc.value,
                           below(shift / M_SQRT2) + 0.005);
            if (s == 0) {
                assert_true(all.auc.low < 0.5 && all.auc.high > 0.5);
            }
            assert_between(below(shift - 2.326) - 0.04, all.pooled.rate[0].tpr.value,
                           below(shift - 2.326) + 0.01);
            assert_null(all.refused[0]);
            assert_non_null(
                all.refused[1]); /* 600 examples that a target has not seen cannot support 0.1 % */
            assert_true(isnan(all.rate[1].value) && !isnan(all.pooled.rate[1].tpr.value));
            assert_int_equal(lo_lira_vulnerability(&e.references, &options, each, NULL, NULL), LO_OK);
            double mean = 0;
            for (int i = 0; i < 1500; i++) {
                mean += (double)each[i].auc / 1500;
            }
            assert_between(below(shift / M_SQRT2) - 0.01, mean, below(shift / M_SQRT2) + 0.005);
        }
        const lo_rmia options = {lo_rmia_a(5), 1};
        assert_int_equal(lo_rmia_scores(&e.references, &z.references, &options, score, NULL, NULL), LO_OK);
        assert_int_equal(lo_members_in_all(&e.references, score, &all, NULL, NULL), LO_OK);
        /* Ratios of probabilities are no likelihood ratios of these Gaussians: less, but not nothing. */
        assert_between(s == 0 ? 0.48 : 0.65, all.auc.value, below(shift / M_SQRT2) + 0.02);
        assert_int_equal(lo_members_by_example(&e.references, score, auc_of, NULL, NULL), LO_OK);
        double mean = 0;
        for (int i = 0; i < 1500; i++) {
            mean += (double)auc_of[i] / 1500;
        }
        assert_between(below(shift / M_SQRT2) - (s == 0 ? 0.01 : 0.03), mean, below(shift / M_SQRT2) + 0.01);
        free(auc_of);
        free(score);
        free(each);
        unmake(&e);
        unmake(&z);
    }
}

static void test_permutations_change_nothing(void **state)
{
    (void)state;
    enum { MODELS = 20, N = 60 };
    ensemble e = make(MODELS, N, 1, 1, 20), p = make(MODELS, N, 1, 1, 20), z = make(MODELS, 30, 0, 1, 21),
             zp = make(MODELS, 30, 0, 1, 21);
    memset(p.mask->word, 0, (size_t)p.mask->stride * sizeof(uint64_t));
    for (int64_t m = 0; m < MODELS; m++) {
        const int64_t from = (m * 7 + 3) % MODELS;
        memcpy(zp.phi + m * 30, z.phi + from * 30, 30 * sizeof(float));
        for (int64_t i = 0; i < N; i++) {
            const int64_t at = from * N + (i * 11 + 5) % N;
            p.phi[m * N + i] = e.phi[at];
            p.mask->word[i] |= (uint64_t)e.bit[at] << m;
        }
    }
    float a[MODELS * N], b[MODELS * N];
    lo_vulnerability each_a[N], each_b[N];
    float auc_a[N], auc_b[N];
    for (int kind = 0; kind < 3; kind++) {
        const lo_lira lira = {.offline = kind == 1};
        const lo_rmia rmia = {0.5, 1};
        lo_members in_a, in_b;
        const ensemble *of[2] = {&e, &p}, *population[2] = {&z, &zp};
        for (int k = 0; k < 2; k++) {
            float *score = k == 0 ? a : b;
            assert_int_equal(kind < 2 ? lo_lira_scores(&of[k]->references, &lira, score, NULL, NULL)
                                      : lo_rmia_scores(&of[k]->references, &population[k]->references, &rmia,
                                                       score, NULL, NULL),
                             LO_OK);
            assert_int_equal(lo_members_in_all(&of[k]->references, score, k == 0 ? &in_a : &in_b, NULL, NULL),
                             LO_OK);
            assert_int_equal(
                lo_members_by_example(&of[k]->references, score, k == 0 ? auc_a : auc_b, NULL, NULL), LO_OK);
            assert_int_equal(
                lo_lira_vulnerability(&of[k]->references, &lira, k == 0 ? each_a : each_b, NULL, NULL),
                LO_OK);
        }
        for (int64_t m = 0; m < MODELS; m++) {
            for (int64_t i = 0; i < N; i++) {
                assert_true(b[i * MODELS + m] == a[(i * 11 + 5) % N * MODELS + (m * 7 + 3) % MODELS]);
            }
        }
        assert_true(in_a.auc.value == in_b.auc.value && in_a.auc.low == in_b.auc.low);
        assert_true(in_a.pooled.auc.value == in_b.pooled.auc.value);
        for (int64_t i = 0; i < N; i++) {
            assert_true(each_b[i].auc == each_a[(i * 11 + 5) % N].auc);
            assert_true(auc_b[i] == auc_a[(i * 11 + 5) % N]);
        }
    }
    unmake(&e);
    unmake(&p);
    unmake(&z);
    unmake(&zp);
}

/* Half of the examples are forgotten well (both populations alike), half not at all. */
static void test_u_lira(void **state)
{
    (void)state;
    enum { MODELS = 60, N = 40 };
    ensemble e = make(2 * MODELS, N, 0, 1, 30);
    lo_columns mask = {0};
    assert_int_equal(lo_u_lira_mask(MODELS, N, &mask, NULL), LO_OK);
    for (int64_t m = 0; m < MODELS; m++) {
        for (int64_t i = N / 2; i < N; i++) {
            e.phi[m * N + i] += 3;
        }
    }
    const lo_references references = {e.phi, 2 * MODELS, N, N, &mask, NULL};
    const lo_lira options = {0};
    lo_vulnerability each[N];
    assert_int_equal(lo_lira_vulnerability(&references, &options, each, NULL, NULL), LO_OK);
    double mean[2] = {0}, accuracy[2] = {0};
    for (int i = 0; i < N; i++) {
        mean[i / (N / 2)] += (double)each[i].auc / (N / 2);
        accuracy[i / (N / 2)] += (double)each[i].accuracy / (N / 2);
    }
    assert_between(0.45, mean[0], 0.55);
    assert_between(below(3 / M_SQRT2) - 0.02, mean[1], below(3 / M_SQRT2) + 0.02);
    assert_between(0.45, accuracy[0], 0.55);
    assert_between(below(1.5) - 0.03, accuracy[1], below(1.5) + 0.03);
    lo_error err = {0};
    assert_int_equal(lo_u_lira_mask(2, N, &mask, &err), LO_DATA);
    assert_non_null(strstr(err.text, "needs 3"));
    lo_columns_destroy(&mask);
    unmake(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lira_by_hand),
        cmocka_unit_test(test_vulnerability_by_hand),
        cmocka_unit_test(test_rmia_by_hand),
        cmocka_unit_test(test_planted_shift),
        cmocka_unit_test(test_permutations_change_nothing),
        cmocka_unit_test(test_u_lira),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
