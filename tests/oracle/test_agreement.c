/* Agreement of scores and intervals against scipy and numpy: the values of tests/fixtures/agreement.txt, made
 * by make_agreement.py, which describes the file. */
#include "score/agreement.h"
#include "score/bootstrap.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 256 };

static void read_doubles(FILE *file, double *value, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(fscanf(file, "%lf", &value[i]), 1);
    }
}

static void expect(FILE *file, const char *what, double got)
{
    double expected = NAN;
    read_doubles(file, &expected, 1);
    if (!(fabs(got - expected) < 1e-12)) {
        fail_msg("%s: %.17g, scipy's %.17g", what, got, expected);
    }
}

static void check_case(FILE *file, int64_t n)
{
    static const lo_group_kind kinds[] = {LO_GROUP_TOP, LO_GROUP_BOTTOM, LO_GROUP_NEAR_MEDIAN,
                                          LO_GROUP_NEAR_VALUE, LO_GROUP_AT_QUANTILE};
    double threshold, size, at, x[MOST], y[MOST], copies[MOST];
    int32_t weight[MOST];
    assert_in_range(n, 1, MOST);
    read_doubles(file, &threshold, 1);
    read_doubles(file, &size, 1);
    read_doubles(file, &at, 1);
    read_doubles(file, x, n);
    read_doubles(file, y, n);
    read_doubles(file, copies, n);
    for (int64_t i = 0; i < n; i++) {
        weight[i] = (int32_t)copies[i];
    }
    lo_pairing pairing;
    assert_int_equal(lo_pairing_create(x, y, n, &pairing, NULL), LO_OK);
    const double quantile = lo_paired_quantile(&pairing, LO_SIDE_Y, at, weight);
    expect(file, "Pearson", lo_paired_pearson(&pairing, weight));
    expect(file, "Spearman", lo_paired_spearman(&pairing, weight));
    expect(file, "area", lo_paired_auc(&pairing, threshold, weight));
    expect(file, "average precision", lo_paired_precision(&pairing, threshold, weight));
    expect(file, "quantile", quantile);
    for (int k = 0; k < 5; k++) {
        const lo_group group = {kinds[k], (int64_t)size, kinds[k] == LO_GROUP_AT_QUANTILE ? quantile : at};
        const lo_overlap overlap = lo_paired_overlap(&pairing, group, group, weight);
        expect(file, "overlap", overlap.share);
        expect(file, "mean of the group", overlap.mean);
    }
    lo_pairing_destroy(&pairing);
}

static void check_intervals(FILE *file)
{
    double head[4], replicate[MOST];
    read_doubles(file, head, 4);
    const int64_t count = (int64_t)head[0];
    assert_in_range(count, 2, MOST);
    read_doubles(file, replicate, count);
    const lo_interval percentile = lo_interval_percentile(replicate, count, head[3]);
    const lo_interval bca = lo_interval_bca(replicate, count, head[1], head[2], head[3]);
    expect(file, "percentile, low", percentile.low);
    expect(file, "percentile, high", percentile.high);
    expect(file, "BCa, low", bca.low);
    expect(file, "BCa, high", bca.high);
    assert_true(fabs(bca.low - percentile.low) > 1e-6);
}

static void test_against_scipy(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/agreement.txt", "r");
    assert_non_null(file);
    int cases = 0, intervals = 0;
    char word[16];
    while (fscanf(file, "%15s", word) == 1) {
        if (word[0] == 'b') {
            check_intervals(file);
            intervals++;
        } else {
            check_case(file, strtoll(word, NULL, 10));
            cases++;
        }
    }
    assert_int_equal(cases, 5);
    assert_int_equal(intervals, 2);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_scipy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
