/* Pairs of models against counting them one by one, and the contrast of pairs against the mean of
 * differences.
 */
#include "score/pairs.h"
#include "unit/score_fixture.h"

#include <math.h>
#include <string.h>

/* Masks of a design, and made-up outcomes, one byte a bit. */
typedef struct made {
    lo_design design;
    uint8_t *in, *right;
    lo_columns mask, correct;
    uint8_t *use;
} made;

static made make(lo_design design, uint64_t stream)
{
    const int64_t models = design.models, n = design.n;
    made m = {.design = design,
              .in = malloc((size_t)(models * n)),
              .right = draw_bits(models, n, 0.6, stream),
              .use = calloc((size_t)models / 8 + 1, 1)};
    uint8_t *used = draw_bits(models, 1, 0.85, stream + 100);
    assert_true(m.in != NULL && m.use != NULL);
    for (int64_t k = 0; k < models; k++) {
        for (int64_t i = 0; i < n; i++) {
            m.in[k * n + i] = lo_design_in(&design, k, i);
        }
        m.use[k / 8] = (uint8_t)(m.use[k / 8] | used[k] << (k % 8));
    }
    m.mask = columns_from(m.in, models, n);
    m.correct = columns_from(m.right, models, n);
    free(used);
    return m;
}

static void made_free(made *m)
{
    lo_columns_destroy(&m->mask);
    lo_columns_destroy(&m->correct);
    free(m->in);
    free(m->right);
    free(m->use);
}

static bool used(const made *m, int64_t model)
{
    return (m->use[model / 8] >> (model % 8) & 1) != 0;
}

/* Pairs by their definition: neighbours, or a model and the first of its block. */
static lo_pairs count_slowly(const made *m, int64_t i, bool all)
{
    const int64_t n = m->design.n, block = m->design.block;
    lo_pairs p = {0, 0, 0};
    for (int64_t k = 0; k < m->design.models; k++) {
        const int64_t twin = k / block * block;
        const int with = m->in[twin * n + i] - m->in[k * n + i];
        if (k == twin || with == 0 || (!all && (!used(m, k) || !used(m, twin)))) {
            continue;
        }
        const int gain = with * (m->right[twin * n + i] - m->right[k * n + i]);
        p.pairs++;
        p.plus += gain == 1;
        p.minus += gain == -1;
    }
    return p;
}

static void check_counts(lo_design design, uint64_t stream)
{
    made m = make(design, stream);
    lo_pairs *pairs = malloc((size_t)design.n * sizeof(*pairs));
    assert_non_null(pairs);
    int64_t seen = 0;
    for (int all = 0; all < 2; all++) {
        lo_pairs_count(&design, &m.mask, &m.correct, all ? NULL : m.use, pairs);
        for (int64_t i = 0; i < design.n; i++) {
            const lo_pairs slow = count_slowly(&m, i, all);
            assert_int_equal(pairs[i].pairs, slow.pairs);
            assert_int_equal(pairs[i].plus, slow.plus);
            assert_int_equal(pairs[i].minus, slow.minus);
            seen += slow.plus + slow.minus;
        }
    }
    assert_true(seen > 0);
    free(pairs);
    made_free(&m);
}

static lo_design halves(int64_t n, int64_t models)
{
    lo_design d;
    assert_int_equal(lo_design_subsets("complementary", n, models, 0.5, 3, &d, NULL), LO_OK);
    return d;
}

static void test_counts(void **state)
{
    (void)state;
    int64_t group[41];
    for (int64_t i = 0; i < 41; i++) {
        group[i] = i % 5 - 1;
    }
    const int64_t left[] = {40, 0, 7};
    lo_design d;
    check_counts(halves(41, 150), 1);
    check_counts(halves(6, 2), 2);
    assert_int_equal(lo_design_leave_group_out(41, group, 4, 30, &d, NULL), LO_OK);
    check_counts(d, 3);
    assert_int_equal(lo_design_leave_one_out(41, left, 3, 40, &d, NULL), LO_OK);
    check_counts(d, 4);
}

static void test_no_pairs(void **state)
{
    (void)state;
    lo_design d;
    assert_int_equal(lo_design_subsets("balanced", 20, 10, 0.5, 3, &d, NULL), LO_OK);
    made m = make(d, 5);
    lo_pairs pairs[20];
    memset(pairs, 0x55, sizeof(pairs));
    lo_pairs_count(&d, &m.mask, &m.correct, NULL, pairs);
    for (int i = 0; i < 20; i++) {
        assert_true(pairs[i].pairs == 0 && pairs[i].plus == 0 && pairs[i].minus == 0);
    }
    made_free(&m);
}

static void test_contrast(void **state)
{
    (void)state;
    enum { N = 37, TESTS = 11, MODELS = 200 };
    made m = make(halves(N, MODELS), 6);
    uint8_t *bits = draw_bits(MODELS, TESTS, 0.7, 7);
    lo_columns correct = columns_from(bits, MODELS, TESTS);
    static float value[TESTS * N];
    static float error[TESTS * N];
    static float alone[TESTS * N];
    assert_int_equal(lo_pairs_contrast(&m.mask, &correct, m.use, value, error, NULL), LO_OK);
    for (int j = 0; j < TESTS; j++) {
        for (int i = 0; i < N; i++) {
            int plus = 0, minus = 0, pairs = 0;
            for (int p = 0; p < MODELS / 2; p++) {
                const int with = m.in[2 * p * N + i] ? 2 * p : 2 * p + 1;
                const int without = 4 * p + 1 - with;
                if (used(&m, with) && used(&m, without)) {
                    const int gain = bits[with * TESTS + j] - bits[without * TESTS + j];
                    pairs++;
                    plus += gain == 1;
                    minus += gain == -1;
                }
            }
            const lo_estimate slow = lo_paired_difference(plus, minus, pairs);
            assert_true(pairs > 50 && pairs < MODELS / 2);
            assert_true(value[j * N + i] == slow.value);
            assert_true(error[j * N + i] == slow.standard_error);
        }
    }
    /* With all pairs whole the value is that of two samples. */
    assert_int_equal(lo_pairs_contrast(&m.mask, &correct, NULL, value, NULL, NULL), LO_OK);
    assert_int_equal(lo_contrast(&m.mask, &correct, NULL, alone, NULL, NULL), LO_OK);
    assert_memory_equal(value, alone, sizeof(value));
    /* Without a whole pair there is no value. */
    uint8_t ones[MODELS / 8 + 1];
    memset(ones, 0x55, sizeof(ones));
    assert_int_equal(lo_pairs_contrast(&m.mask, &correct, ones, value, error, NULL), LO_OK);
    assert_true(isnan(value[5]) && isnan(error[5]));
    lo_columns_destroy(&correct);
    free(bits);
    made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_no_pairs),
        cmocka_unit_test(test_contrast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
