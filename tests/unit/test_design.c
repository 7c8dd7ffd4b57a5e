/* Ensemble designs: sizes, balance, chance, growth, and one answer from all three ways of asking. */
#include "data/design.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static lo_design subsets(const char *name, int64_t n, int64_t models, double ratio, uint64_t seed)
{
    lo_design design;
    lo_error err = {""};
    if (lo_design_subsets(name, n, models, ratio, seed, &design, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return design;
}

/* members as flags, [n] */
static int64_t flags_of(const lo_design *design, int64_t model, uint8_t *flag)
{
    uint32_t *members = malloc((size_t)design->n * sizeof(*members));
    assert_non_null(members);
    const int64_t count = lo_design_members(design, model, members);
    memset(flag, 0, (size_t)design->n);
    for (int64_t m = 0; m < count; m++) {
        assert_true(members[m] < design->n && (m == 0 || members[m] > members[m - 1]));
        flag[members[m]] = 1;
    }
    free(members);
    return count;
}

static void assert_one_answer(const lo_design *design, int64_t model)
{
    const size_t n = (size_t)design->n;
    const size_t bytes = (n + 7) / 8;
    uint8_t *flag = malloc(n);
    uint8_t *bits = malloc(bytes + 1);
    assert_non_null(flag);
    assert_non_null(bits);
    (void)flags_of(design, model, flag);
    memset(bits, 0xff, bytes + 1);
    lo_design_mask(design, model, bits);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(flag[i], lo_design_in(design, model, (int64_t)i));
        assert_int_equal(flag[i], bits[i / 8] >> (i % 8) & 1);
    }
    for (size_t spare = n; spare < 8 * bytes; spare++) {
        assert_int_equal(bits[spare / 8] >> (spare % 8) & 1, 0);
    }
    assert_int_equal(bits[bytes], 0xff); /* not a byte too many */
    free(flag);
    free(bits);
}

static void test_three_ways_agree(void **state)
{
    (void)state;
    const int64_t sizes[] = {3, 7, 8, 9, 63, 101, 1037};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const int64_t n = sizes[s];
        const lo_design random = subsets("random", n, 20, 0.5, s);
        const lo_design balanced = subsets("balanced", n, 20, n < 10 ? 0.5 : 0.7, s);
        const lo_design fine = subsets("balanced", n, 20, n < 100 ? 0.5 : 0.37, s);
        const int64_t left[] = {n - 1, 0, 1};
        lo_design out;
        lo_error err = {""};
        assert_int_equal(lo_design_leave_one_out(n, left, 3, 2, &out, &err), LO_OK);
        const lo_design halves = subsets("complementary", n, 20, 0.5, s);
        int64_t *group = malloc((size_t)n * sizeof(*group));
        assert_non_null(group);
        for (int64_t i = 0; i < n; i++) {
            group[i] = i % 3 - 1;
        }
        lo_design groups;
        assert_int_equal(lo_design_leave_group_out(n, group, 2, 3, &groups, &err), LO_OK);
        for (int64_t k = 0; k < 8; k++) {
            assert_one_answer(&halves, k);
            assert_one_answer(&groups, k);
            if (n >= 63) {
                const lo_design each = subsets("bernoulli", n, 20, 0.6, s);
                assert_one_answer(&each, k);
            }
            assert_one_answer(&random, k);
            assert_one_answer(&balanced, k);
            assert_one_answer(&fine, k);
            assert_one_answer(&out, k);
        }
        free(group);
    }
}

static void test_random_sizes(void **state)
{
    (void)state;
    const struct {
        int64_t n;
        double ratio;
        int64_t size;
    } cases[] = {{10, 0.7, 7},   {101, 0.7, 70}, {1000, 0.333, 333}, {999, 0.5, 499},
                 {60, 0.29, 17}, {2, 0.5, 1},    {100, 0.29, 29}};
    uint8_t flag[1000];
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const lo_design d = subsets("random", cases[c].n, 5, cases[c].ratio, 3);
        assert_int_equal(d.size, cases[c].size);
        assert_int_equal(d.block, 1);
        for (int64_t k = 0; k < 5; k++) {
            assert_int_equal(flags_of(&d, k, flag), cases[c].size);
        }
    }
}

static void test_balanced_counts(void **state)
{
    (void)state;
    const struct {
        double ratio;
        int64_t block, block_in;
    } cases[] = {{0.7, 10, 7},      {0.5, 2, 1},     {0.25, 4, 1},  {1.0 / 3.0, 3, 1},
                 {2.0 / 3.0, 3, 2}, {0.37, 100, 37}, {0.98, 50, 49}};
    const int64_t sizes[] = {100, 300, 101, 117, 199, 1003};
    uint8_t flag[1003];
    int in[1003];
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            const int64_t n = sizes[s];
            const lo_design d = subsets("balanced", n, 3 * cases[c].block, cases[c].ratio, 5);
            assert_int_equal(d.block, cases[c].block);
            assert_int_equal(d.block_in, cases[c].block_in);
            const int64_t product = n * d.block_in;
            for (int64_t b = 0; b < 3; b++) {
                memset(in, 0, sizeof(in));
                for (int64_t k = b * d.block; k < (b + 1) * d.block; k++) {
                    const int64_t count = flags_of(&d, k, flag);
                    assert_true(count >= product / d.block && count <= (product + d.block - 1) / d.block);
                    for (int64_t i = 0; i < n; i++) {
                        in[i] += flag[i];
                    }
                }
                for (int64_t i = 0; i < n; i++) {
                    assert_int_equal(in[i], d.block_in);
                }
            }
        }
    }
}

/* Expected share of models that two examples are both in. */
static double pair_expectation(const lo_design *d)
{
    const double n = (double)d->n;
    if (d->kind == LO_DESIGN_RANDOM) {
        return (double)d->size * (double)(d->size - 1) / (n * (n - 1.0));
    }
    /* In one group (chance (B-1)/(n-1), where B divides n) two windows of length m around a circle of B
     * overlap in (m^2 - m)/(B - 1) places on average; in two groups places are independent. */
    const double block = (double)d->block;
    const double in = (double)d->block_in;
    const double same = (block - 1.0) / (n - 1.0);
    return same * (in * in - in) / ((block - 1.0) * block) + (1.0 - same) * in * in / (block * block);
}

/* Both examples of a pair are in as many models as chance says: mean over blocks of models, which are
 * independent. */
static void assert_pairs_like_chance(const lo_design *d, int64_t blocks)
{
    const int64_t n = d->n;
    double *sum = calloc((size_t)(n * n), sizeof(*sum));
    double *square = calloc((size_t)(n * n), sizeof(*square));
    int *both = calloc((size_t)(n * n), sizeof(*both));
    uint8_t *flag = malloc((size_t)n);
    assert_true(sum != NULL && square != NULL && both != NULL && flag != NULL);
    for (int64_t b = 0; b < blocks; b++) {
        memset(both, 0, (size_t)(n * n) * sizeof(*both));
        for (int64_t k = b * d->block; k < (b + 1) * d->block; k++) {
            (void)flags_of(d, k, flag);
            for (int64_t i = 0; i < n; i++) {
                for (int64_t j = i + 1; flag[i] != 0 && j < n; j++) {
                    both[i * n + j] += flag[j];
                }
            }
        }
        for (int64_t at = 0; at < n * n; at++) {
            const double share = (double)both[at] / (double)d->block;
            sum[at] += share;
            square[at] += share * share;
        }
    }
    const double expected = pair_expectation(d);
    double z_square = 0.0;
    double z_most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i + 1; j < n; j++) {
            const double mean = sum[i * n + j] / (double)blocks;
            const double variance = square[i * n + j] / (double)blocks - mean * mean;
            assert_true(variance > 0.0);
            const double z = (mean - expected) / sqrt(variance / (double)blocks);
            z_square += z * z;
            z_most = fmax(z_most, fabs(z));
        }
    }
    const double pairs = (double)(n * (n - 1) / 2);
    if (!(z_most < 5.0 && z_square / pairs > 0.8 && z_square / pairs < 1.2)) {
        fail_msg("pairs differ from chance: largest z %.2f, mean square %.3f", z_most, z_square / pairs);
    }
    free(sum);
    free(square);
    free(both);
    free(flag);
}

static void test_pairs_like_chance(void **state)
{
    (void)state;
    const lo_design random = subsets("random", 60, 3000, 0.7, 8);
    assert_pairs_like_chance(&random, 3000);
    const lo_design balanced = subsets("balanced", 60, 10000, 0.7, 8);
    assert_pairs_like_chance(&balanced, 1000);
    const lo_design quarter = subsets("balanced", 60, 8000, 0.25, 9);
    assert_pairs_like_chance(&quarter, 2000);
}

/* Which models of a block an example is in is any of the choose(10, 7) = 120 sets alike: groups have
 * permutations of their own. (Sizes and balance would hold with one permutation for all groups too.) */
static void test_balanced_groups_are_independent(void **state)
{
    (void)state;
    enum { N = 50, BLOCK = 10, BLOCKS = 4000 };
    const lo_design d = subsets("balanced", N, BLOCKS * BLOCK, 0.7, 21);
    static int set[1 << BLOCK];
    static int overlap[BLOCK + 1]; /* of examples 0 and 1 */
    uint8_t flag[N];
    for (int64_t b = 0; b < BLOCKS; b++) {
        unsigned in[2] = {0, 0};
        for (int64_t k = 0; k < BLOCK; k++) {
            (void)flags_of(&d, b * BLOCK + k, flag);
            in[0] |= (unsigned)flag[0] << k;
            in[1] |= (unsigned)flag[1] << k;
        }
        set[in[0]]++;
        overlap[__builtin_popcount(in[0] & in[1])]++;
    }
    int sets = 0;
    double chi = 0.0;
    for (unsigned s = 0; s < 1U << BLOCK; s++) {
        if (__builtin_popcount(s) == 7) {
            sets++;
            chi += (set[s] - BLOCKS / 120.0) * (set[s] - BLOCKS / 120.0) / (BLOCKS / 120.0);
        } else {
            assert_int_equal(set[s], 0);
        }
    }
    assert_int_equal(sets, 120);
    assert_true((chi - 119.0) / sqrt(2.0 * 119.0) < 5.0);
    /* 4 .. 7 models in common: hypergeometric in two groups, and by distance around the circle in one. */
    const double apart[] = {35.0 / 120.0, 63.0 / 120.0, 21.0 / 120.0, 1.0 / 120.0};
    const double together[] = {5.0 / 9.0, 2.0 / 9.0, 2.0 / 9.0, 0.0};
    const double same = 9.0 / 49.0;
    double chi_overlap = 0.0;
    for (int o = 0; o < 4; o++) {
        const double expected = BLOCKS * (same * together[o] + (1.0 - same) * apart[o]);
        chi_overlap += (overlap[4 + o] - expected) * (overlap[4 + o] - expected) / expected;
    }
    assert_true(chi_overlap < 25.0); /* 3 degrees of freedom: chance of more is 2e-5 */
}

/* The same for the example that its block's permutation puts first, so that only the shuffle of its group is
 * left: every shuffle alike, not only every set of models after averaging over the starts. */
static void test_balanced_shuffles_are_uniform(void **state)
{
    (void)state;
    enum { N = 30, BLOCK = 5, BLOCKS = 6000 };
    const lo_design d = subsets("balanced", N, BLOCKS * BLOCK, 0.4, 22);
    static int set[1 << BLOCK];
    for (uint64_t b = 0; b < BLOCKS; b++) {
        const lo_permutation p = lo_permutation_make(d.random, b, N);
        int64_t first = 0;
        while (lo_permutation_at(&p, (uint64_t)first) != 0) {
            first++;
        }
        unsigned in = 0;
        for (int64_t k = 0; k < BLOCK; k++) {
            in |= (unsigned)lo_design_in(&d, (int64_t)b * BLOCK + k, first) << k;
        }
        set[in]++;
    }
    double chi = 0.0;
    for (unsigned s = 0; s < 1U << BLOCK; s++) {
        const double expected = __builtin_popcount(s) == 2 ? BLOCKS / 10.0 : 0.0; /* choose(5, 2) = 10 sets */
        assert_true(expected > 0.0 || set[s] == 0);
        chi += expected > 0.0 ? (set[s] - expected) * (set[s] - expected) / expected : 0.0;
    }
    assert_true((chi - 9.0) / sqrt(2.0 * 9.0) < 5.0);
}

static void test_growth_keeps_models(void **state)
{
    (void)state;
    const char *const names[] = {"random", "balanced", "complementary", "bernoulli"};
    uint8_t few[23];
    uint8_t many[23];
    for (int d = 0; d < 4; d++) {
        const lo_design small = subsets(names[d], 181, 8, 0.7, 4);
        const lo_design large = subsets(names[d], 181, 1000, 0.7, 4);
        for (int64_t k = 0; k < 8; k++) {
            lo_design_mask(&small, k, few);
            lo_design_mask(&large, k, many);
            assert_memory_equal(few, many, sizeof(few));
            assert_int_equal(lo_design_model_seed(&small, k), lo_design_model_seed(&large, k));
        }
    }
    const int64_t left[] = {3, 99};
    lo_design one;
    lo_design three;
    lo_error err = {""};
    assert_int_equal(lo_design_leave_one_out(181, left, 2, 1, &one, &err), LO_OK);
    assert_int_equal(lo_design_leave_one_out(181, left, 2, 3, &three, &err), LO_OK);
    for (int64_t k = 0; k < one.models; k++) {
        lo_design_mask(&one, k, few);
        lo_design_mask(&three, k, many);
        assert_memory_equal(few, many, sizeof(few));
        assert_int_equal(lo_design_model_seed(&one, k), lo_design_model_seed(&three, k));
    }
}

static void test_seeds_and_models_differ(void **state)
{
    (void)state;
    const char *const names[] = {"random", "balanced"};
    uint8_t mask[3][25];
    for (int d = 0; d < 2; d++) {
        const lo_design a = subsets(names[d], 200, 10, 0.5, 1);
        const lo_design b = subsets(names[d], 200, 10, 0.5, 2);
        lo_design_mask(&a, 0, mask[0]);
        lo_design_mask(&a, 2, mask[1]); /* 1 is the complement of 0 in a balanced block of 2 */
        lo_design_mask(&b, 0, mask[2]);
        assert_memory_not_equal(mask[0], mask[1], 25);
        assert_memory_not_equal(mask[0], mask[2], 25);
        assert_memory_not_equal(mask[1], mask[2], 25);
        assert_int_equal(lo_design_model_seed(&a, 6), 6);
    }
}

static void test_leave_one_out_twins(void **state)
{
    (void)state;
    const int64_t left[] = {5, 0, 12};
    lo_design d;
    lo_error err = {""};
    assert_int_equal(lo_design_leave_one_out(13, left, 3, 4, &d, &err), LO_OK);
    assert_int_equal(d.models, 16);
    for (int64_t k = 0; k < d.models; k++) {
        uint8_t flag[13];
        const int64_t which = k % 4;
        assert_int_equal(flags_of(&d, k, flag), which == 0 ? 13 : 12);
        for (int64_t i = 0; i < 13; i++) {
            assert_int_equal(flag[i], which == 0 || left[which - 1] != i);
        }
        assert_int_equal(lo_design_model_seed(&d, k), k / 4);
    }
}

/* The halves of a pair have nothing in common and leave nothing out; the first of all pairs of four of six
 * examples is any of the choose(6, 3) = 20 halves alike, and pairs are independent of each other. */
static void test_complementary_halves(void **state)
{
    (void)state;
    enum { N = 6, PAIRS = 8000 };
    const lo_design d = subsets("complementary", N, 2 * PAIRS, 0.3, 31);
    assert_true(d.ratio == 0.5 && d.block == 2);
    static int half[1 << N];
    static int next[2][2]; /* is example 0 in this pair's first half, and in the next one's? */
    unsigned before = 0;
    for (int64_t pair = 0; pair < PAIRS; pair++) {
        unsigned in[2] = {0, 0};
        for (int m = 0; m < 2; m++) {
            uint8_t flag[N];
            assert_int_equal(flags_of(&d, 2 * pair + m, flag), N / 2);
            for (int i = 0; i < N; i++) {
                in[m] |= (unsigned)flag[i] << i;
            }
        }
        assert_int_equal(in[0] & in[1], 0);
        assert_int_equal(in[0] | in[1], (1U << N) - 1);
        half[in[0]]++;
        next[before & 1][in[0] & 1] += pair > 0;
        before = in[0];
        assert_int_equal(lo_design_model_seed(&d, 2 * pair), pair);
        assert_int_equal(lo_design_model_seed(&d, 2 * pair + 1), pair);
    }
    double chi = 0.0;
    for (unsigned s = 0; s < 1U << N; s++) {
        const double expected = __builtin_popcount(s) == N / 2 ? PAIRS / 20.0 : 0.0;
        assert_true(expected > 0.0 || half[s] == 0);
        chi += expected > 0.0 ? (half[s] - expected) * (half[s] - expected) / expected : 0.0;
    }
    assert_true((chi - 19.0) / sqrt(2.0 * 19.0) < 5.0);
    for (int a = 0; a < 4; a++) {
        assert_true(fabs(next[a / 2][a % 2] - PAIRS / 4.0) < 5.0 * sqrt(PAIRS * 3.0 / 16.0));
    }
    /* An odd number of examples: floor and ceil. */
    const lo_design odd = subsets("complementary", 13, 4, 0.5, 2);
    uint8_t flag[13];
    assert_int_equal(flags_of(&odd, 2, flag), 6);
    assert_int_equal(flags_of(&odd, 3, flag), 7);
}

/* All 2^6 patterns of three examples in two models are as likely as independent draws make them; sizes spread
 * like a binomial's. */
static void test_bernoulli_is_independent(void **state)
{
    (void)state;
    enum { N = 101, MODELS = 20000 };
    const double ratio = 0.7;
    const lo_design d = subsets("bernoulli", N, MODELS, ratio, 41);
    static int pattern[64];
    uint8_t flag[N];
    double sizes = 0.0;
    double squares = 0.0;
    unsigned seen = 0;
    for (int64_t k = 0; k < MODELS; k++) {
        const double size = (double)flags_of(&d, k, flag);
        sizes += size;
        squares += (size - N * ratio) * (size - N * ratio);
        /* 40 and 41 share a block of four numbers, 97 has another. */
        seen = (seen << 3 | (unsigned)(flag[40] | flag[41] << 1 | flag[97] << 2)) & 63U;
        pattern[seen] += k % 2 == 1;
    }
    assert_true(fabs(sizes / MODELS - N * ratio) < 5.0 * sqrt(N * ratio * (1 - ratio) / MODELS));
    assert_true(fabs(squares / MODELS / (N * ratio * (1 - ratio)) - 1.0) < 5.0 * sqrt(2.0 / MODELS));
    double chi = 0.0;
    for (unsigned p = 0; p < 64; p++) {
        const int in = __builtin_popcount(p);
        const double expected = MODELS / 2.0 * pow(ratio, in) * pow(1 - ratio, 6 - in);
        chi += (pattern[p] - expected) * (pattern[p] - expected) / expected;
    }
    assert_true((chi - 63.0) / sqrt(2.0 * 63.0) < 5.0);
}

static void test_leave_group_out_twins(void **state)
{
    (void)state;
    const int64_t group[] = {1, -1, 0, 2, 1, 0, -1, 1, 2, 0};
    lo_design d;
    lo_error err = {""};
    assert_int_equal(lo_design_leave_group_out(10, group, 3, 2, &d, &err), LO_OK);
    assert_int_equal(d.models, 8);
    for (int64_t k = 0; k < d.models; k++) {
        uint8_t flag[10];
        (void)flags_of(&d, k, flag);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(flag[i], k % 4 == 0 || group[i] != k % 4 - 1);
        }
        assert_int_equal(lo_design_model_seed(&d, k), k / 4);
    }
    int64_t a;
    int64_t b;
    assert_int_equal(lo_design_pairs(&d, 8, 4, &a, &b), 6);
    assert_true(a == 4 && b == 6);
    assert_int_equal(lo_design_pairs(&d, 5, 0, &a, &b), 3);
    assert_int_equal(lo_design_pairs(&d, 6, 3, &a, &b), 4);
    assert_true(a == 4 && b == 5);
    const lo_design halves = subsets("complementary", 9, 6, 0.5, 2);
    assert_int_equal(lo_design_pairs(&halves, 6, 2, &a, &b), 3);
    assert_true(a == 4 && b == 5);
    const lo_design balanced = subsets("balanced", 20, 10, 0.5, 2);
    assert_int_equal(lo_design_pairs(&balanced, 10, 0, NULL, NULL), 0);
}

static void refuse_groups(int64_t n, const int64_t *group, int64_t groups, int64_t seeds, const char *word)
{
    lo_design d;
    lo_error err = {""};
    assert_int_equal(lo_design_leave_group_out(n, group, groups, seeds, &d, &err), LO_USAGE);
    if (strstr(err.text, word) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err.text, word);
    }
}

static void refuse_subsets(const char *name, int64_t n, int64_t models, double ratio, const char *word)
{
    lo_design d;
    lo_error err = {""};
    assert_int_equal(lo_design_subsets(name, n, models, ratio, 1, &d, &err), LO_USAGE);
    if (strstr(err.text, word) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err.text, word);
    }
}

static void refuse_left(int64_t n, const int64_t *left, int64_t count, int64_t seeds, const char *word)
{
    lo_design d;
    lo_error err = {""};
    assert_int_equal(lo_design_leave_one_out(n, left, count, seeds, &d, &err), LO_USAGE);
    if (strstr(err.text, word) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err.text, word);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    refuse_subsets("latin", 100, 10, 0.5, "ensemble.design: found latin");
    refuse_subsets("random", 100, 0, 0.5, "ensemble.models: found 0");
    refuse_subsets("complementary", 100, 7, 0.5, "ensemble.models: found 7");
    refuse_subsets("bernoulli", 20, 7, 0.5, "none or with all at a chance of 1.9e-06");
    refuse_groups(4, (const int64_t[]){0, 1, 2, -1}, 2, 1, "position 2 is in group 2, allowed -1 to 1");
    refuse_groups(4, (const int64_t[]){0, 2, 2, -1}, 3, 1, "number 1 of the groups has 0 of the 4");
    refuse_groups(4, (const int64_t[]){0, 0, 0, 0}, 1, 1, "number 0 of the groups has 4 of the 4");
    refuse_groups(4, (const int64_t[]){0, 0, 1, -1}, 0, 1, "found 0 groups, allowed 1 to 4");
    refuse_groups(4, (const int64_t[]){0, 0, 1, -1}, 2, 0, "ensemble.seeds: found 0");
    const double bad[] = {0.0, 1.0, -0.1, 1.5, (double)NAN, (double)INFINITY};
    for (size_t r = 0; r < sizeof(bad) / sizeof(bad[0]); r++) {
        refuse_subsets("random", 100, 10, bad[r], "ensemble.ratio: found");
        refuse_subsets("balanced", 100, 10, bad[r], "ensemble.ratio: found");
    }
    refuse_subsets("random", 10, 10, 0.05, "leaves 0 in a model, allowed 1 to 9");
    refuse_subsets("random", 1, 10, 0.5, "found 1 training examples");
    refuse_subsets("balanced", 5, 10, 0.1, "leaves 0 to 1");
    refuse_subsets("balanced", 5, 10, 0.9, "leaves 4 to 5");
    refuse_subsets("balanced", 1000, 10, 0.7001, "denominator of at most 100");
    refuse_subsets("balanced", 1000, 10, 1.0 / 101.0, "denominator of at most 100");
    refuse_subsets("balanced", 1000, 10, 1e-12, "denominator of at most 100");

    refuse_left(10, (const int64_t[]){1, 10}, 2, 1, "entry 1 is position 10, allowed 0 to 9");
    refuse_left(10, (const int64_t[]){-1}, 1, 1, "position -1");
    refuse_left(10, (const int64_t[]){4, 9, 4}, 3, 1, "entry 2 names position 4 a second time");
    refuse_left(10, NULL, 0, 1, "found none");
    refuse_left(10, (const int64_t[]){4}, 1, 0, "ensemble.seeds: found 0");
    refuse_left(10, (const int64_t[]){4}, 1, INT64_MAX, "ensemble.seeds: found 9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_ways_agree),
        cmocka_unit_test(test_random_sizes),
        cmocka_unit_test(test_balanced_counts),
        cmocka_unit_test(test_pairs_like_chance),
        cmocka_unit_test(test_balanced_groups_are_independent),
        cmocka_unit_test(test_balanced_shuffles_are_uniform),
        cmocka_unit_test(test_growth_keeps_models),
        cmocka_unit_test(test_seeds_and_models_differ),
        cmocka_unit_test(test_leave_one_out_twins),
        cmocka_unit_test(test_complementary_halves),
        cmocka_unit_test(test_bernoulli_is_independent),
        cmocka_unit_test(test_leave_group_out_twins),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
