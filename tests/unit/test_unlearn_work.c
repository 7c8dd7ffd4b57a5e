/* What plans foresee of methods: the examples of each set that a run will read, as it then counts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unlearn_data.h"

#include <math.h>

static lo_unlearn_sizes sizes_of(const unlearn_data *u)
{
    return (lo_unlearn_sizes){.forget = u->request.forget_count,
                              .retain = u->request.retain_count,
                              .validation = UNLEARN_VALIDATION,
                              .batch = u->recipe.batch,
                              .epochs = u->recipe.epochs};
}

static lo_unlearn_work foreseen(unlearn_data *u, const char *text)
{
    lo_item *item = NULL;
    const lo_unlearn_sizes sizes = sizes_of(u);
    const lo_unlearn_method *method = unlearn_method(u, text, &item);
    return method->work(&sizes, item);
}

static void check(unlearn_data *u, const char *text)
{
    const lo_unlearn_work work = foreseen(u, text);
    double sum = 0;
    unlearn_run(u, text);
    for (int set = 0; set < LO_SETS; set++) {
        const int64_t shown = lo_pupil_shown(u->pupil, (lo_set)set);
        if (fabs(work.read[set] - (double)shown) > 1e-6) {
            fail_msg("%s: %.2f examples of set %d foreseen, %lld read", text, work.read[set], set,
                     (long long)shown);
        }
        sum += work.read[set];
    }
    /* Whatever is read goes through the network in one way. */
    assert_true(fabs(work.trained + work.evaluated + work.summed + work.products - sum) < 1e-6);
}

static void test_reads(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "retrain",
        "{name: retrain, epochs: 2}",
        "finetune",
        "{name: neggrad, epochs: 2}",
        "{name: neggrad_plus, epochs: 3}",
        "{name: neggrad_plus, epochs: 3, batch: 5}",
        "{name: neggrad_plus, epochs: 1, batch: 1000}",
        "{name: random_label, epochs: 2}",
        "{name: random_label, epochs: 2, passes: mixed}",
        "{name: random_label, epochs: 2, retain: false}",
        "amnesiac",
        "{name: salun, epochs: 2}",
        "{name: l1_sparse, epochs: 3, plain_epochs: 1}",
        "scrub",
        "{name: scrub, epochs: 1, max_epochs: 4, batch_forget: 3}",
        "{name: scrub, rewind: true}",
        "bad_teacher",
        "{name: bad_teacher, epochs: 2, share: 0.77}",
        "ssd",
        "{name: ssd, importance: batch, batch: 7}",
        "{name: influence, iterations: 4, tolerance: 0}",
        "{name: influence, iterations: 2, tolerance: 0, examples: 20}",
        "{name: del, epochs: 2}",
        "{name: del, epochs: 2, over: all, granularity: param}",
        "{name: del, epochs: 1, criterion: weight}",
        "{name: del, epochs: 1, criterion: deepest}",
        "nabla_tau",
        "{name: nabla_tau, tau: 1, batch: 3}",
        "{name: nabla_tau, epochs: 7, tau_refresh: 3}",
        "{name: imu, epochs: 2, refresh: batch}",
        "{name: imu, epochs: 2, refresh: batch, weights: all}",
        "{name: imu, epochs: 3, refresh: epoch, top: 0}",
        "{name: imu, epochs: 3, top: 0, weights: all}",
        "{name: rum, inner: [none, {name: finetune, epochs: 2}, {name: salun, epochs: 1}]}",
        "{name: rum, inner: [{name: neggrad_plus, epochs: 1}], control: vanilla}",
        "{name: rum, inner: [none, {name: ssd}, {name: finetune, epochs: 1}], control: reversed}",
        "{name: rum, inner: [{name: nabla_tau, epochs: 2}, none, {name: ssd}], control: shuffled, at: 0.2}",
        "{name: rum, groups: 4, inner: [{name: random_label, epochs: 1}]}",
    };
    unlearn_data *u = unlearn_open(NULL, NULL);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check(u, texts[i]);
    }
    unlearn_close(u);
}

/* Runs that end by what they have learnt take no more than is foreseen. */
static void test_early_ends(void **state)
{
    (void)state;
    static const char *const texts[] = {"{name: neggrad, epochs: 20, lr: 0.05, stop_accuracy: 0.5}",
                                        "{name: influence, iterations: 50, tolerance: 0.5}",
                                        "{name: del, epochs: 1, criterion: greedy, flips: 3}",
                                        "{name: imu, epochs: 4, top: 0.5}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const lo_unlearn_work work = foreseen(u, texts[i]);
        unlearn_run(u, texts[i]);
        for (int set = 0; set < LO_SETS; set++) {
            assert_true((double)lo_pupil_shown(u->pupil, (lo_set)set) <= work.read[set]);
        }
        assert_true(lo_pupil_shown(u->pupil, LO_SET_FORGET) > 0);
    }
    unlearn_close(u);
}

/* Every method of the list foresees something of itself by its defaults. */
static void test_all_listed(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    for (int i = 0; i < lo_unlearn_method_count(); i++) {
        const lo_unlearn_method *method = lo_unlearn_method_at(i);
        assert_non_null(method->work);
        const lo_unlearn_work work = foreseen(u, method->name);
        assert_true(work.read[LO_SET_FORGET] + work.read[LO_SET_RETAIN] > 0);
        const lo_work_rates slow = {100, 300, 1000, 40}, fast = {200, 600, 500, 20};
        assert_true(fabs(lo_unlearn_seconds(&work, &slow) - 2 * lo_unlearn_seconds(&work, &fast)) <
                    1e-9 * lo_unlearn_seconds(&work, &slow));
    }
    unlearn_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads), cmocka_unit_test(test_early_ends),
                                       cmocka_unit_test(test_all_listed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
