/* The table of scores, and what its scores make of an ensemble given outcome by outcome. */
#include "unit/score_fixture.h"

#include "score/pairs.h"
#include "score/scores.h"

#include <math.h>
#include <string.h>

static void test_the_table_names_its_scores(void **state)
{
    (void)state;
    assert_true(lo_score_count() >= 2);
    for (int i = 0; i < lo_score_count(); i++) {
        const lo_score *s = lo_score_at(i);
        assert_ptr_equal(lo_score_find(s->name), s);
        assert_true(s->orientation == 1 || s->orientation == -1);
        assert_true(strlen(s->description) > 0 && strchr(s->description, '\n') == NULL);
        assert_true(strlen(s->source) > 0);
        assert_true(strchr(s->name, ' ') == NULL);
    }
    assert_int_equal(lo_score_find("memorization")->orientation, 1);
    assert_int_equal(lo_score_find("cscore")->orientation, -1);
    assert_null(lo_score_find("memorisation"));
}

static void test_scores_of_a_subset_ensemble(void **state)
{
    (void)state;
    const int64_t models = 90, n = 50;
    uint8_t *in = draw_bits(models, n, 0.7, 1), *hit = draw_bits(models, n, 0.6, 2);
    for (int64_t m = 0; m < models; m++) {
        in[m * n + 4] = 1; /* never left out */
        in[m * n + 9] = 0; /* never in */
    }
    lo_columns mask = columns_from(in, models, n), correct = columns_from(hit, models, n);
    lo_counts counts[50];
    lo_count(&mask, &correct, NULL, counts);
    const lo_score_input input = {.n = n, .count = n, .counts = counts};
    lo_estimate memorization[50], cscore[50];
    assert_int_equal(lo_score_find("memorization")->compute(&input, memorization, NULL), LO_OK);
    assert_int_equal(lo_score_find("cscore")->compute(&input, cscore, NULL), LO_OK);
    for (int64_t i = 0; i < n; i++) {
        double with = 0, without = 0, size = 0;
        for (int64_t m = 0; m < models; m++) {
            size += in[m * n + i];
            with += in[m * n + i] && hit[m * n + i];
            without += !in[m * n + i] && hit[m * n + i];
        }
        if (i == 4 || i == 9) {
            assert_true(isnan(memorization[i].value) && isnan(memorization[i].standard_error));
            assert_true(isnan(memorization[i].low) && isnan(memorization[i].high));
        } else {
            assert_true(fabs(memorization[i].value - (with / size - without / ((double)models - size))) <
                        1e-6);
        }
        if (i == 4) {
            assert_true(isnan(cscore[i].value) && isnan(cscore[i].low));
        } else {
            assert_true(fabs(cscore[i].value - without / ((double)models - size)) < 1e-6);
        }
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(in);
    free(hit);
}

/* Seven seeds of (twin, without 3, without 0, without 11); some models unusable, the last seed cut short. */
static void check_leave_one_out(const uint8_t *use_bit, int64_t models)
{
    const int64_t n = 14, left[] = {3, 0, 11}, seeds = 7;
    const lo_design design = {.kind = LO_DESIGN_LEAVE_ONE_OUT,
                              .n = n,
                              .models = 4 * seeds,
                              .left = left,
                              .left_count = 3,
                              .block = 4,
                              .seeds = seeds};
    uint8_t *hit = draw_bits(models, n, 0.6, 33), *in = malloc((size_t)(models * n));
    for (int64_t m = 0; m < models; m++) {
        for (int64_t i = 0; i < n; i++) {
            in[m * n + i] = m % 4 == 0 || i != left[m % 4 - 1];
        }
    }
    lo_columns mask = columns_from(in, models, n), correct = columns_from(hit, models, n);
    uint8_t *use = use_bit != NULL ? pack_row(use_bit, models, 0) : NULL;
    lo_counts counts[14];
    lo_pairs pairs[14];
    lo_count(&mask, &correct, use, counts);
    lo_pairs_count(&design, &mask, &correct, use, pairs);
    const lo_score_input input = {.n = n, .count = n, .counts = counts, .pairs = pairs};
    lo_estimate memorization[14], cscore[14];
    assert_int_equal(lo_score_find("memorization")->compute(&input, memorization, NULL), LO_OK);
    assert_int_equal(lo_score_find("cscore")->compute(&input, cscore, NULL), LO_OK);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, right = 0;
        int found = 0, without = 0;
        for (int64_t m = 0; m < models; m++) {
            const int64_t twin = m / 4 * 4;
            if (in[m * n + i] || (use_bit != NULL && !use_bit[m])) {
                continue;
            }
            right += hit[m * n + i];
            without++;
            if (use_bit == NULL || use_bit[twin]) {
                sum += hit[twin * n + i] - hit[m * n + i];
                found++;
            }
        }
        assert_int_equal(pairs[i].pairs, found);
        assert_int_equal(found > 0 || without > 0, (i == 3 || i == 0 || i == 11) && without > 0);
        assert_true(found > 0 ? fabs(memorization[i].value - sum / found) < 1e-6
                              : isnan(memorization[i].value));
        assert_true(without > 0 ? fabs(cscore[i].value - right / without) < 1e-6 : isnan(cscore[i].value));
    }
    free(use);
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(in);
    free(hit);
}

static void test_leave_one_out_pairs_models_by_seed(void **state)
{
    (void)state;
    check_leave_one_out(NULL, 28);
    check_leave_one_out(NULL, 27); /* the last model of the last seed is not there yet */
    check_leave_one_out(NULL, 1);
    uint8_t use[28];
    for (int m = 0; m < 28; m++) {
        use[m] = m != 4 && m != 8 && m != 13 && m != 27; /* twins of seeds 1 and 2, and two others */
    }
    check_leave_one_out(use, 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_names_its_scores),
        cmocka_unit_test(test_scores_of_a_subset_ensemble),
        cmocka_unit_test(test_leave_one_out_pairs_models_by_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
