/* Metrics of the audit against scipy, scikit-learn and numpy: tests/oracle/make_audit.py. */
#include "oracle/audit_fixture.h"

#include "audit/attack.h"
#include "audit/distance.h"
#include "audit/entanglement.h"
#include "audit/feature.h"
#include "audit/forgetting_quality.h"
#include "audit/interval.h"
#include "audit/klom.h"
#include "audit/roc.h"

enum { CLASSES = 5 };

typedef struct outputs {
    float *a, *b;
    int32_t *label;
    int64_t n;
    lo_logits of_a, of_b;
} outputs;

static outputs read_outputs(void)
{
    outputs o = {0};
    o.a = audit_floats("a", NULL);
    o.b = audit_floats("b", NULL);
    o.label = (int32_t *)audit_rows("label", &o.n);
    o.of_a = (lo_logits){o.a, o.label, o.n, CLASSES};
    o.of_b = (lo_logits){o.b, o.label, o.n, CLASSES};
    return o;
}

static void free_outputs(outputs *o)
{
    free(o->a);
    free(o->b);
    free(o->label);
}

static void test_features(void **state)
{
    (void)state;
    outputs o = read_outputs();
    double *out = malloc((size_t)o.n * sizeof(*out));
    const lo_feature feature[] = {LO_FEATURE_CONFIDENCE, LO_FEATURE_ENTROPY, LO_FEATURE_MODIFIED_ENTROPY,
                                  LO_FEATURE_LOSS, LO_FEATURE_MARGIN};
    for (int f = 0; f < 5; f++) {
        double *expected = audit_values(lo_feature_name(feature[f]), NULL);
        lo_features(&o.of_a, NULL, 0, feature[f], out);
        for (int64_t i = 0; i < o.n; i++) {
            assert_close(out[i], expected[i], 1e-11, lo_feature_name(feature[f]), i);
        }
        free(expected);
    }
    free(out);
    free_outputs(&o);
}

static void test_distances(void **state)
{
    (void)state;
    outputs o = read_outputs();
    double *out = malloc((size_t)o.n * sizeof(*out)), mean = 0;
    const char *const name[LO_DISTANCES] = {"disagreement", "l2", "l1", "js"};
    for (int kind = 0; kind < LO_DISTANCES; kind++) {
        double *expected = audit_values(name[kind], NULL), sum = 0;
        assert_int_equal(lo_distances(&o.of_a, &o.of_b, NULL, 0, (lo_distance)kind, out, NULL), LO_OK);
        for (int64_t i = 0; i < o.n; i++) {
            assert_close(out[i], expected[i], 1e-12, name[kind], i);
        }
        const uint32_t rows[] = {7, 3, 31, 12};
        for (int r = 0; r < 4; r++) {
            sum += expected[rows[r]];
        }
        assert_int_equal(lo_mean_distance(&o.of_a, &o.of_b, rows, 4, (lo_distance)kind, &mean, NULL), LO_OK);
        assert_close(mean, sum / 4, 1e-12, name[kind], -1);
        assert_int_equal(lo_mean_distance(&o.of_a, &o.of_a, NULL, 0, (lo_distance)kind, &mean, NULL), LO_OK);
        assert_true(mean == 0); /* a model that equals the oracle */
        free(expected);
    }
    lo_logits fewer = o.of_b;
    fewer.n--;
    assert_int_equal(lo_mean_distance(&o.of_a, &fewer, NULL, 0, LO_JS, &mean, NULL), LO_INTERNAL);
    free(out);
    free_outputs(&o);
}

static void test_distributions(void **state)
{
    (void)state;
    int64_t n = 0;
    double *at = audit_values("beta_at", NULL), *expected = audit_values("beta", &n);
    for (int64_t i = 0; i < n; i++) {
        const double x = lo_incomplete_beta(at[3 * i], at[3 * i + 1], at[3 * i + 2]);
        if (!(fabs(x - expected[i]) <= 1e-10 * expected[i] + 1e-300)) {
            fail_msg("I_%g(%g, %g) is %.15g instead of %.15g", at[3 * i + 2], at[3 * i], at[3 * i + 1], x,
                     expected[i]);
        }
    }
    free(at);
    free(expected);
    at = audit_values("student_at", NULL);
    expected = audit_values("student", &n);
    for (int64_t i = 0; i < n; i++) {
        assert_close(lo_student_quantile(at[2 * i], at[2 * i + 1]), expected[i], 1e-9, "student", i);
    }
    free(at);
    free(expected);
    at = audit_values("share_at", NULL);
    expected = audit_values("share", &n);
    for (int64_t i = 0; i < n / 2; i++) {
        const lo_bounded b = lo_share((int64_t)at[2 * i], (int64_t)at[2 * i + 1]);
        assert_close(b.low, expected[2 * i], 1e-10, "share", i);
        assert_close(b.high, expected[2 * i + 1], 1e-10, "share", i);
    }
    free(at);
    free(expected);
    at = audit_values("mean_of", &n);
    expected = audit_values("mean", NULL);
    const lo_bounded mean = lo_student_mean(at, n);
    assert_close(mean.low, expected[0], 1e-10, "mean", 0);
    assert_close(mean.high, expected[1], 1e-10, "mean", 1);
    free(at);
    free(expected);
}

static void test_entanglement(void **state)
{
    (void)state;
    int64_t forget_count = 0, retain_count = 0;
    float *values = audit_floats("embedding", NULL);
    uint32_t *forget = audit_rows("embedding_forget", &forget_count);
    uint32_t *retain = audit_rows("embedding_retain", &retain_count);
    double *expected = audit_values("entanglement", NULL), score = 0;
    assert_int_equal(lo_entanglement(values, 6, forget, forget_count, retain, retain_count, &score, NULL),
                     LO_OK);
    assert_close(score, expected[0], 1e-11, "entanglement", 0);
    /* Neither the order of the examples nor which set is called which changes it. */
    const uint32_t first = forget[0];
    forget[0] = forget[5];
    forget[5] = first;
    double other = 0;
    assert_int_equal(lo_entanglement(values, 6, retain, retain_count, forget, forget_count, &other, NULL),
                     LO_OK);
    assert_close(other, score, 1e-13, "entanglement", 1);
    assert_int_equal(lo_entanglement(values, 6, forget, 0, retain, retain_count, &score, NULL), LO_OK);
    assert_true(isnan(score));
    free(values);
    free(forget);
    free(retain);
    free(expected);
}

/* The order of scores is turned around and NaNs are put between: neither changes anything. */
static double *turned(const double *value, int64_t n, int64_t *count)
{
    double *out = malloc((size_t)(n + n / 7 + 1) * sizeof(*out));
    assert_non_null(out);
    *count = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        out[(*count)++] = value[i];
        if (i % 7 == 3) {
            out[(*count)++] = NAN;
        }
    }
    return out;
}

static void check_roc(const char *name)
{
    char key[64];
    const char *const part[] = {"member", "other", "roc", "tpr"};
    double *value[4];
    int64_t n[4];
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof(key), "%s_%s", name, part[i]);
        value[i] = audit_values(key, &n[i]);
    }
    lo_roc roc, again;
    assert_int_equal(lo_roc_make(value[0], n[0], value[1], n[1], &roc, NULL), LO_OK);
    assert_int_equal(roc.left_out, 0);
    assert_close(roc.auc.value, value[2][0], 1e-13, name, 0);
    assert_close(roc.auc.low, value[2][1], 1e-10, name, 1);
    assert_close(roc.auc.high, value[2][2], 1e-10, name, 2);
    assert_close(roc.accuracy, value[2][3], 1e-13, name, 3);
    const double at = 0.1;
    double tpr;
    assert_int_equal(lo_roc_curve(value[0], n[0], value[1], n[1], &at, 1, &tpr, NULL), LO_OK);
    assert_close(tpr, value[3][2], 1e-13, name, 4);
    for (int i = 0; i < LO_ROC_RATES; i++) {
        if (n[1] < 1000) {
            assert_non_null(roc.rate[i].refused);
            assert_true(isnan(roc.rate[i].tpr.value));
            continue;
        }
        assert_null(roc.rate[i].refused);
        assert_close(roc.rate[i].tpr.value, value[3][i], 1e-13, name, 5 + i);
        assert_true(roc.rate[i].fpr <= roc.rate[i].at);
        assert_true(roc.rate[i].tpr.low < value[3][i] && roc.rate[i].tpr.high > value[3][i]);
    }
    int64_t members, others;
    double *member = turned(value[0], n[0], &members), *other = turned(value[1], n[1], &others);
    assert_int_equal(lo_roc_make(member, members, other, others, &again, NULL), LO_OK);
    assert_int_equal(again.left_out, members - n[0] + others - n[1]);
    again.left_out = 0;
    assert_true(again.auc.value == roc.auc.value && again.auc.low == roc.auc.low);
    assert_true(again.accuracy == roc.accuracy && again.members == roc.members);
    for (int i = 0; i < 4; i++) {
        free(value[i]);
    }
    free(member);
    free(other);
}

static void test_roc(void **state)
{
    (void)state;
    check_roc("tied");
    check_roc("many");
}

static void check_svc(const char *name, int64_t size)
{
    char key[64];
    const char *const part[] = {"member", "other", "forget"};
    double *value[3];
    int64_t n[3];
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof(key), "%s_%s", name, part[i]);
        value[i] = audit_values(key, &n[i]);
        n[i] /= size;
    }
    double *expected = audit_values(name, NULL);
    lo_efficacy out;
    const lo_points member = {value[0], n[0]}, other = {value[1], n[1]}, forget = {value[2], n[2]};
    assert_int_equal(lo_mia_svc(member, other, forget, size, 0, 1, NULL, &out, NULL), LO_OK);
    assert_close(out.efficacy.value, expected[0], 1e-14, name, 0);
    assert_close(out.accuracy, expected[1], 1e-14, name, 1);
    assert_int_equal(out.fitted, 300);
    for (int i = 0; i < 3; i++) {
        free(value[i]);
    }
    free(expected);
}

static void test_support_vectors(void **state)
{
    (void)state;
    check_svc("svc", 1);
    check_svc("svc3", 3);
}

static void test_logistic_regression(void **state)
{
    (void)state;
    int64_t n = 0;
    double *x = audit_values("logistic_x", &n), *is_member = audit_values("logistic_member", NULL);
    uint8_t *member = malloc((size_t)n);
    for (int64_t i = 0; i < n; i++) {
        member[i] = is_member[i] != 0;
    }
    const double c[] = {1, 0.01};
    const char *const name[] = {"logistic_1", "logistic_0.01"};
    for (int i = 0; i < 2; i++) {
        double *expected = audit_values(name[i], NULL);
        const lo_logistic fit = lo_logistic_fit(x, member, n, c[i]);
        assert_close(fit.slope, expected[0], 1e-6, name[i], 0);
        assert_close(fit.intercept, expected[1], 1e-6, name[i], 1);
        free(expected);
    }
    free(x);
    free(is_member);
    free(member);
}

static void test_populations(void **state)
{
    (void)state;
    enum { EXAMPLES = 9, UNLEARNED = 60, ORACLES = 50 };
    float *unlearned = audit_floats("population_unlearned", NULL),
          *oracle = audit_floats("population_oracle", NULL);
    double *expected = audit_values("population_epsilon", NULL),
           *quality = audit_values("population_quality", NULL);
    double epsilon[EXAMPLES], klom[EXAMPLES], found = 0, high = 0;
    assert_int_equal(lo_forgetting_quality(unlearned, UNLEARNED, oracle, ORACLES, EXAMPLES, EXAMPLES, epsilon,
                                           &found, NULL, NULL),
                     LO_OK);
    for (int i = 0; i < EXAMPLES; i++) {
        assert_close(epsilon[i], expected[i], 1e-12, "epsilon", i);
    }
    assert_close(found, quality[0], 1e-12, "quality", 0);
    free(expected);
    free(quality);
    expected = audit_values("population_klom", NULL);
    quality = audit_values("population_klom_95", NULL);
    assert_int_equal(lo_kloms(unlearned, UNLEARNED, oracle, ORACLES, EXAMPLES, EXAMPLES, klom, &high, NULL),
                     LO_OK);
    for (int i = 0; i < EXAMPLES; i++) {
        assert_close(klom[i], expected[i], 1e-12, "klom", i);
    }
    assert_close(high, quality[0], 1e-12, "klom, 95 %", 0);
    free(expected);
    free(quality);
    free(unlearned);
    free(oracle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_entanglement),
        cmocka_unit_test(test_roc),
        cmocka_unit_test(test_support_vectors),
        cmocka_unit_test(test_logistic_regression),
        cmocka_unit_test(test_populations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
