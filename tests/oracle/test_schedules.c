/* Learning rates, step by step, against PyTorch's schedulers: the values of tests/fixtures/schedules.txt,
 * made by make_schedules.py, which describes the file. */
#include "nn/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool read_recipe(FILE *file, char name[16], lo_recipe *recipe, int64_t *epoch)
{
    *recipe = (lo_recipe){0};
    if (fscanf(file, "%15s", name) != 1) {
        return false;
    }
    assert_int_equal(fscanf(file, "%lf %" SCNd32 " %" SCNd64 " %lf %lf %lf %" SCNd32, &recipe->lr,
                            &recipe->epochs, epoch, &recipe->warmup_epochs, &recipe->gamma, &recipe->peak,
                            &recipe->milestone_count),
                     7);
    assert_in_range(recipe->milestone_count, 0, LO_MAX_MILESTONES);
    for (int i = 0; i < recipe->milestone_count; i++) {
        assert_int_equal(fscanf(file, "%" SCNd32, &recipe->milestones[i]), 1);
    }
    recipe->schedule = lo_schedule_named(name);
    return true;
}

static void test_rates(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/schedules.txt", "r");
    assert_non_null(file);
    char name[16];
    lo_recipe recipe;
    int64_t epoch;
    int cases = 0;
    while (read_recipe(file, name, &recipe, &epoch)) {
        const int64_t steps = recipe.epochs * epoch;
        assert_true(lo_schedule_known(recipe.schedule));
        for (int64_t t = 0; t < steps; t++) {
            double expected = NAN;
            assert_int_equal(fscanf(file, "%lf", &expected), 1);
            const double got = lo_learning_rate(&recipe, t, steps, epoch);
            if (!(fabs(got - expected) <= 1e-12 * recipe.lr)) {
                fail_msg("case %d, %s, step %d of %d: %.17g, PyTorch's %.17g", cases + 1, name, (int)t,
                         (int)steps, got, expected);
            }
        }
        cases++;
    }
    assert_int_equal(cases, 10);
    (void)fclose(file);
}

/* Wherever a recipe puts its warm-up and its peak, rates are in 0 .. lr, and defined for a training of one
 * step. */
static void test_short_trainings(void **state)
{
    (void)state;
    static const double peaks[] = {0.01, 0.3, 0.5, 0.99}, warmups[] = {0, 0.2, 0.5, 1, 7};
    for (int schedule = 0; schedule <= LO_SCHEDULE_ONE_CYCLE; schedule++) {
        for (int i = 0; i < 4 * 5; i++) {
            const lo_recipe recipe = {.epochs = 1,
                                      .lr = 0.3,
                                      .schedule = (lo_schedule)schedule,
                                      .warmup_epochs = warmups[i / 4],
                                      .milestones = {1},
                                      .milestone_count = 1,
                                      .gamma = 0.1,
                                      .peak = peaks[i % 4]};
            for (int64_t steps = 1; steps < 12; steps++) {
                for (int64_t t = 0; t < steps; t++) {
                    const double rate = lo_learning_rate(&recipe, t, steps, steps);
                    assert_true(rate >= 0 && rate <= 0.3);
                }
            }
        }
    }
    assert_false(lo_schedule_known(lo_schedule_named("ramp")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates), cmocka_unit_test(test_short_trainings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
