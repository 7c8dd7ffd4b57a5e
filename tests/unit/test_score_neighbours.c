/* Nearest neighbours against sorting all distances, where rounding would confuse them. */
#include "unit/score_fixture.h"

#include "score/neighbours.h"

#include <math.h>
#include <string.h>

enum { N = 700, K = 30 };

/* Clusters far from the origin: inner products in float32 cannot order what is in one. Every 50th example is
 * a copy of the one before, so there are ties. */
static float *draw(size_t dimension, double offset, double width)
{
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    float *x = malloc(N * dimension * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < N; i++) {
        for (size_t d = 0; d < dimension; d++) {
            const double noise = (double)lo_random_normal(random, i, d);
            x[i * dimension + d] = (float)(offset + (double)(i % 5 == d % 5) + width * noise);
        }
        if (i % 50 == 49) {
            memcpy(x + i * dimension, x + (i - 1) * dimension, dimension * sizeof(*x));
        }
    }
    return x;
}

static void nearest_by_sorting(const float *x, size_t dimension, int64_t of, int64_t *nearest)
{
    static long double distance[N];
    for (int64_t i = 0; i < N; i++) {
        distance[i] = i == of ? INFINITY : 0;
        for (size_t d = 0; d < dimension && i != of; d++) {
            const long double e =
                (long double)x[(size_t)of * dimension + d] - (long double)x[(size_t)i * dimension + d];
            distance[i] += e * e;
        }
    }
    for (int64_t k = 0; k < K; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < N; i++) {
            best = distance[i] < distance[best] ? i : best;
        }
        nearest[k] = best;
        distance[best] = INFINITY;
    }
}

static void check(size_t dimension, double offset, double width)
{
    enum { FIRST = 40, COUNT = 131 };
    float *x = draw(dimension, offset, width);
    lo_neighbours n;
    assert_int_equal(lo_neighbours_create(x + FIRST * dimension, FIRST, COUNT, dimension, K, &n, NULL),
                     LO_OK);
    for (int64_t at = N; at > 0;) { /* blocks of odd sizes, from the end */
        const int64_t size = at < 333 ? at : 333;
        at -= size;
        assert_int_equal(lo_neighbours_pass(&n, x + (size_t)at * dimension, at, size, NULL), LO_OK);
    }
    int64_t expected[K];
    for (int64_t q = 0; q < COUNT; q++) {
        nearest_by_sorting(x, dimension, FIRST + q, expected);
        assert_memory_equal(n.nearest + q * K, expected, sizeof(expected));
        for (int64_t k = 1; k < K; k++) {
            assert_true(n.distance[q * K + k] >= n.distance[q * K + k - 1]);
        }
    }
    lo_neighbours_destroy(&n);
    free(x);
}

static void test_are_those_of_a_sort(void **state)
{
    (void)state;
    check(3, 0, 1);
    check(40, 0, 0.5);
    check(37, 1000, 1e-3); /* float32's unit there is 6e-5, of a square 0.06 */
    check(203, 10, 1e-2);
}

static void test_few_and_none(void **state)
{
    (void)state;
    const float x[] = {0, 3, 1, NAN};
    lo_neighbours n;
    assert_int_equal(lo_neighbours_create(x, 0, 4, 1, 3, &n, NULL), LO_OK);
    assert_int_equal(lo_neighbours_pass(&n, x, 0, 4, NULL), LO_OK);
    const int64_t expected[] = {2, 1, -1, 2, 0, -1, 0, 1, -1, -1, -1, -1};
    assert_memory_equal(n.nearest, expected, sizeof(expected));
    assert_true(n.distance[0] == 1 && n.distance[1] == 9 && isinf(n.distance[2]));
    lo_neighbours_destroy(&n);
}

static void test_votes(void **state)
{
    (void)state;
    const int32_t label[] = {2, 0, 1, 1, 0, 2};
    int32_t votes[3];
    const int64_t tie[] = {5, 2, 3, 1, 0, -1}, most[] = {5, 2, 3, 1, 4, 1}, none[] = {-1};
    assert_int_equal(lo_vote(tie, 6, label, 3, votes), 2);  /* 2 1 1 0 2: the nearest is of class 2 */
    assert_int_equal(lo_vote(most, 6, label, 3, votes), 0); /* 2 1 1 0 0 0 */
    assert_int_equal(lo_vote(none, 1, label, 3, votes), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_are_those_of_a_sort),
        cmocka_unit_test(test_few_and_none),
        cmocka_unit_test(test_votes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
