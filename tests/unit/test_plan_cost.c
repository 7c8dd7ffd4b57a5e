/* The model of what stages cost, against closed forms and against a direct simulation of the farm, step of
 * time by step of time, message by message. */
#include "plan/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static double wall_of(const lo_cost_machine *machine, int64_t tasks, double seconds, double spread,
                      int64_t workers)
{
    const lo_cost_tasks kind = {.count = tasks, .seconds = seconds, .spread = spread};
    const lo_cost_farm farm = {.kind = &kind, .kinds = 1};
    lo_cost cost;
    lo_error err;
    assert_int_equal(lo_cost_farmed(machine, &farm, workers, &cost, &err), LO_OK);
    assert_true(fabs(cost.busy - (double)tasks * seconds) < 1e-9);
    return cost.wall;
}

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance * fabs(expected))) {
        fail_msg("found %.6f, expected %.6f within %g of it", found, expected, tolerance);
    }
}

/* Tasks of one length go in rounds. */
static void rounds(void **state)
{
    (void)state;
    const lo_cost_machine nothing = {0};
    for (int64_t tasks = 1; tasks <= 40; tasks++) {
        for (int64_t workers = 1; workers <= 50; workers++) {
            assert_near(wall_of(&nothing, tasks, 2.5, 0, workers),
                        ceil((double)tasks / (double)workers) * 2.5, 1e-12);
        }
    }
    assert_true(wall_of(&nothing, 0, 2.5, 0, 4) == 0);
}

/* Two tasks on two workers: the expectation of the larger of two normals is the mean plus spread / sqrt(pi);
 * of three, plus 3 / (2 sqrt(pi)) of it. One worker does not feel the spread. */
static void order_statistics(void **state)
{
    (void)state;
    const lo_cost_machine nothing = {0};
    const double root_pi = sqrt(acos(-1));
    assert_near(wall_of(&nothing, 2, 10, 1, 2), 10 + 1 / root_pi, 0.01);
    assert_near(wall_of(&nothing, 3, 10, 1, 3), 10 + 1.5 / root_pi, 0.01);
    assert_near(wall_of(&nothing, 500, 10, 1, 1), 5000, 0.002);
}

/* Long tasks first, by hand: 5 4 | 3 3 3 on two workers: {5, 3} and {4, 3}, then the last on the second. */
static void kinds_in_order(void **state)
{
    (void)state;
    const lo_cost_machine nothing = {0};
    const lo_cost_tasks kinds[] = {{1, 5, 0}, {1, 4, 0}, {3, 3, 0}};
    const lo_cost_farm farm = {.kind = kinds, .kinds = 3};
    lo_cost cost;
    lo_error err;
    assert_int_equal(lo_cost_farmed(&nothing, &farm, 2, &cost, &err), LO_OK);
    assert_near(cost.wall, 10, 1e-12);
    assert_near(cost.busy, 18, 1e-12);
}

/* What bounds a farm beside its tasks: records, the file system they all go to, rank 0. */
static void bounds(void **state)
{
    (void)state;
    const lo_cost_tasks kind = {.count = 1000, .seconds = 0.1};
    const lo_cost_farm farm = {.kind = &kind, .kinds = 1, .record_bytes = 1e6};
    lo_cost cost;
    lo_error err;
    const lo_cost_machine disk = {.sync_seconds = 0.01, .write_rate = 1e8};
    assert_int_equal(lo_cost_farmed(&disk, &farm, 1, &cost, &err), LO_OK);
    assert_near(cost.wall, 1000 * (0.1 + 0.01 + 0.01), 1e-9);
    assert_int_equal(lo_cost_farmed(&disk, &farm, 500, &cost, &err), LO_OK);
    assert_near(cost.wall, 10, 1e-9); /* a GB at 100 MB a second */
    const lo_cost_machine slow = {.serve_seconds = 0.002};
    assert_int_equal(lo_cost_farmed(&slow, &farm, 500, &cost, &err), LO_OK);
    assert_near(cost.wall, 2, 1e-9);
    assert_int_equal(lo_cost_farmed(&slow, &farm, 1, &cost, &err), LO_OK);
    assert_near(cost.wall, 100, 1e-9); /* nobody asks */
}

/* ---- the farm itself, as mpi/farm.c describes it */

enum { MOST_WORKERS = 16 };
typedef struct worker {
    double ends;     /* of its task; < 0: none */
    double asked_at; /* when its question reaches rank 0; < 0: none is out */
    double has_at;   /* when a task that it was given reaches it; < 0: none */
    double length;   /* of that task */
} worker;

static uint64_t draw_state;

/* Uniform with a mean and a standard deviation. */
static double draw(double mean, double spread)
{
    draw_state = draw_state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double unit = (double)(draw_state >> 11) / 9007199254740992.0;
    return mean + spread * sqrt(12.0) * (unit - 0.5);
}

/* Time goes in steps of a tenth of rank 0's tick. A message takes `message`; rank 0 reads its mail at ticks,
 * or at every step while it has no task, and answers a rank that still works as long as more tasks are left
 * than ranks. */
static double farm_directly(int tasks, double mean, double spread, int workers, double tick, double message)
{
    worker w[MOST_WORKERS];
    const double step = tick / 10;
    int left = tasks;
    int finished = 0;
    for (int i = 0; i < workers; i++) {
        w[i] = (worker){.ends = -1, .asked_at = i > 0 ? message : -1, .has_at = -1};
    }
    for (int64_t s = 0;; s++) {
        const double now = (double)s * step;
        for (int i = 0; i < workers; i++) { /* tasks end */
            if (w[i].ends >= 0 && w[i].ends <= now) {
                w[i].ends = -1;
                finished++;
            }
        }
        if (finished == tasks) {
            return now;
        }
        const bool reads = w[0].ends < 0 || s % 10 == 0;
        if (w[0].ends < 0 && left > 0) {
            left--;
            w[0].ends = now + draw(mean, spread);
        }
        for (int i = 1; i < workers && reads; i++) { /* questions are answered */
            const bool may_have = left > 0 && (w[i].ends < 0 || left >= workers);
            if (w[i].asked_at >= 0 && w[i].asked_at <= now && may_have) {
                left--;
                w[i].asked_at = -1;
                w[i].has_at = now + message;
                w[i].length = draw(mean, spread);
            }
        }
        for (int i = 1; i < workers; i++) { /* tasks begin */
            if (w[i].ends < 0 && w[i].has_at >= 0 && w[i].has_at <= now) {
                w[i].ends = now + w[i].length;
                w[i].has_at = -1;
                w[i].asked_at = now + message;
            }
        }
    }
}

static void against_direct_simulation(void **state)
{
    (void)state;
    const struct {
        int tasks, workers;
        double mean, spread, tick, message;
    } cases[] = {{100, 1, 1, 0.1, 0.02, 0.001}, {100, 4, 1, 0.05, 0.02, 0.001}, {37, 4, 1, 0.2, 0.02, 0.001},
                 {64, 16, 1, 0.3, 0.05, 0.002}, {20, 16, 1, 0.1, 0.1, 0.001},   {9, 8, 2, 0.01, 0.4, 0.01},
                 {400, 7, 0.5, 0.1, 0.05, 0}};
    enum { REPETITIONS = 40 };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        double direct = 0;
        draw_state = 20 + c;
        for (int r = 0; r < REPETITIONS; r++) {
            direct += farm_directly(cases[c].tasks, cases[c].mean, cases[c].spread, cases[c].workers,
                                    cases[c].tick, cases[c].message) /
                      REPETITIONS;
        }
        const lo_cost_machine machine = {.claim_seconds = cases[c].tick / 2 + 2 * cases[c].message};
        const double model =
            wall_of(&machine, cases[c].tasks, cases[c].mean, cases[c].spread, cases[c].workers);
        print_message("%d tasks on %d workers: model %.3f s, simulated %.3f s\n", cases[c].tasks,
                      cases[c].workers, model, direct);
        assert_near(model, direct, 0.04);
    }
}

static void passes_and_files(void **state)
{
    (void)state;
    const lo_cost_machine machine = {
        .message_seconds = 0.001, .reduce_rate = 1e6, .sync_seconds = 0.5, .write_rate = 1e6};
    assert_near(lo_cost_sharded(&machine, 12, 1000, 1e6, 1).wall, 12, 1e-12);
    assert_near(lo_cost_sharded(&machine, 12, 1000, 1e6, 3).wall, 12 * 0.334 + 4 * 0.001 + 4.0 / 3, 1e-9);
    assert_near(lo_cost_sharded(&machine, 12, 1000, 0, 1024).wall, 0.012 + 20 * 0.001, 1e-9);
    assert_near(lo_cost_sharded(&machine, 12, 1000, 0, 1024).busy, 12, 1e-12);
    assert_near(lo_cost_published(&machine, 3e6, 2), 4, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds),
        cmocka_unit_test(order_statistics),
        cmocka_unit_test(kinds_in_order),
        cmocka_unit_test(bounds),
        cmocka_unit_test(against_direct_simulation),
        cmocka_unit_test(passes_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
