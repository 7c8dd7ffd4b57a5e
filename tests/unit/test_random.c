/* Random numbers: known answers of Philox, distributions, permutations. */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* How many standard deviations a chi-square sum lies from its mean. Seeds are fixed, so a test passes always
 * or never; 5 would be exceeded by one true generator in a million. */
static double excess(double chi_square, double freedom)
{
    return (chi_square - freedom) / sqrt(2.0 * freedom);
}

static void test_known_answers(void **state)
{
    (void)state;
    /* Random123's tests/kat_vectors, lines "philox4x32 10": counter, key, output. */
    static const uint32_t vector[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
         0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
         0x5001e420, 0x24126ea1},
    };
    for (size_t v = 0; v < sizeof(vector) / sizeof(vector[0]); v++) {
        const uint32_t *at = vector[v];
        const lo_random random = {{at[4], at[5]}};
        uint32_t out[4];
        lo_random_u32x4(random, (uint64_t)at[1] << 32 | at[0], (uint64_t)at[3] << 32 | at[2], out);
        assert_memory_equal(out, at + 6, sizeof(out));
        assert_true(lo_random_u64(random, (uint64_t)at[1] << 32 | at[0], (uint64_t)at[3] << 32 | at[2]) ==
                    ((uint64_t)at[7] << 32 | at[6]));
    }
}

static void test_families_differ(void **state)
{
    (void)state;
    /* Every seed and purpose has a key of its own; seeds differ in high bits too. */
    enum { SEEDS = 64, PURPOSES = 8 };
    uint64_t key[SEEDS * PURPOSES];
    size_t count = 0;
    for (uint64_t s = 0; s < SEEDS; s++) {
        const uint64_t seed = s % 2 == 0 ? s : s << 32;
        for (int p = LO_FOR_LIMIT; p <= LO_FOR_TEST; p++) {
            const lo_random r = lo_random_make(seed, (lo_purpose)p);
            key[count] = (uint64_t)r.key[1] << 32 | r.key[0];
            for (size_t other = 0; other < count; other++) {
                assert_true(key[other] != key[count]);
            }
            count++;
        }
    }
    assert_int_equal(count, SEEDS * PURPOSES);
}

static void test_unit_is_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 200000, BINS = 256 };
    const lo_random random = lo_random_make(11, LO_FOR_TEST);
    int count[BINS] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        const float u = lo_random_unit(random, i / 1000, i % 1000);
        assert_true(u >= 0.0F && u < 1.0F);
        count[(int)(u * BINS)]++;
    }
    double chi = 0.0;
    const double expected = (double)DRAWS / BINS;
    for (int b = 0; b < BINS; b++) {
        chi += (count[b] - expected) * (count[b] - expected) / expected;
    }
    assert_true(fabs(excess(chi, BINS - 1)) < 5.0);
}

static void test_below_is_uniform(void **state)
{
    (void)state;
    const uint64_t ranges[] = {1, 2, 3, 10, 97, 1000};
    const lo_random random = lo_random_make(12, LO_FOR_TEST);
    for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
        const uint64_t n = ranges[r];
        const uint64_t draws = 200 * n;
        int count[1000] = {0};
        for (uint64_t i = 0; i < draws; i++) {
            const uint64_t x = lo_random_below(random, n, i, n);
            assert_true(x < n);
            count[x]++;
        }
        double chi = 0.0;
        for (uint64_t x = 0; x < n; x++) {
            chi += (count[x] - 200.0) * (count[x] - 200.0) / 200.0;
        }
        assert_true(n == 1 ? chi == 0.0 : excess(chi, (double)n - 1.0) < 5.0);
    }
    /* The ends of a range that no 64-bit product holds. */
    assert_true(lo_random_below(random, 0, 0, UINT64_MAX) < UINT64_MAX);
}

static void test_bits_are_balanced(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    const lo_random random = lo_random_make(13, LO_FOR_TEST);
    int ones[64] = {0};
    int agree[64] = {0}; /* with the same bit of the next counter */
    uint64_t last = lo_random_u64(random, 5, DRAWS);
    for (uint64_t i = 0; i < DRAWS; i++) {
        const uint64_t x = lo_random_u64(random, 5, i);
        for (int b = 0; b < 64; b++) {
            ones[b] += (int)(x >> b & 1);
            agree[b] += (int)(~(x ^ last) >> b & 1);
        }
        last = x;
    }
    const double bound = 5.0 * sqrt(DRAWS / 4.0);
    for (int b = 0; b < 64; b++) {
        assert_true(fabs(ones[b] - DRAWS / 2.0) < bound);
        assert_true(fabs(agree[b] - DRAWS / 2.0) < bound);
    }
}

static void test_permutation_is_a_bijection(void **state)
{
    (void)state;
    const lo_random random = lo_random_make(14, LO_FOR_TEST);
    const uint64_t large[] = {65535, 65536, 65537, 100000};
    for (uint64_t t = 1; t <= 304; t++) {
        const uint64_t n = t <= 300 ? t : large[t - 301];
        const lo_permutation p = lo_permutation_make(random, t, n);
        bool *seen = calloc(n, sizeof(*seen));
        assert_non_null(seen);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t at = lo_permutation_at(&p, i);
            assert_true(at < n);
            assert_false(seen[at]);
            seen[at] = true;
        }
        free(seen);
    }
}

static void test_permutation_beyond_32_bits(void **state)
{
    (void)state;
    const uint64_t n = (1ULL << 40) + 12345;
    const lo_permutation p = lo_permutation_make(lo_random_make(15, LO_FOR_TEST), 0, n);
    double sum = 0.0;
    enum { DRAWS = 2000 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        const uint64_t at = lo_permutation_at(&p, i);
        assert_true(at < n);
        sum += (double)at / (double)n;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 5.0 / sqrt(12.0 * DRAWS));
}

static void test_permutation_is_uniform(void **state)
{
    (void)state;
    enum { STREAMS = 20000, MOST = 60 };
    static int place[MOST][MOST]; /* [element][position] */
    static int pair[MOST][MOST];  /* positions of elements 0 and 1 */
    const uint64_t sizes[] = {2, 3, 4, 7, 10, 17, 60};
    const lo_random random = lo_random_make(16, LO_FOR_TEST);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const uint64_t n = sizes[s];
        memset(place, 0, sizeof(place));
        memset(pair, 0, sizeof(pair));
        for (uint64_t stream = 0; stream < STREAMS; stream++) {
            const lo_permutation p = lo_permutation_make(random, stream, n);
            for (uint64_t i = 0; i < n; i++) {
                place[i][lo_permutation_at(&p, i)]++;
            }
            pair[lo_permutation_at(&p, 0)][lo_permutation_at(&p, 1)]++;
        }
        double chi = 0.0;
        double chi_pair = 0.0;
        const double cell = STREAMS / (double)n;
        const double pairs = (double)(n * (n - 1));
        for (uint64_t i = 0; i < n; i++) {
            for (uint64_t at = 0; at < n; at++) {
                chi += (place[i][at] - cell) * (place[i][at] - cell) / cell;
                if (i != at) {
                    chi_pair +=
                        (pair[i][at] - STREAMS / pairs) * (pair[i][at] - STREAMS / pairs) / (STREAMS / pairs);
                }
            }
        }
        /* Rows and columns have fixed sums: (n-1)/n of the sum is chi-square with (n-1)^2 degrees of freedom.
         */
        const double freedom = (double)((n - 1) * (n - 1));
        const double z = excess(chi * (double)(n - 1) / (double)n, freedom);
        const double z_pair = excess(chi_pair, pairs - 1.0);
        if (!(z < 5.0 && z_pair < 5.0)) {
            print_error("n = %d: place %.1f, pair %.1f standard deviations\n", (int)n, z, z_pair);
            fail();
        }
    }
}

static void test_normal(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    double power[5] = {0};
    for (uint64_t i = 0; i < COUNT; i++) {
        const double x = (double)lo_random_normal(random, 1, i);
        for (int k = 1; k <= 4; k++) {
            power[k] += pow(x, k) / COUNT;
        }
    }
    /* Within five standard errors of 0, 1, 0, 3. */
    assert_true(fabs(power[1]) < 5 * sqrt(1.0 / COUNT));
    assert_true(fabs(power[2] - 1) < 5 * sqrt(2.0 / COUNT));
    assert_true(fabs(power[3]) < 5 * sqrt(15.0 / COUNT));
    assert_true(fabs(power[4] - 3) < 5 * sqrt(96.0 / COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_families_differ),
        cmocka_unit_test(test_unit_is_uniform),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_bits_are_balanced),
        cmocka_unit_test(test_permutation_is_a_bijection),
        cmocka_unit_test(test_permutation_beyond_32_bits),
        cmocka_unit_test(test_permutation_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
