#include "nn/schedule.h"

#include <math.h>
#include <string.h>

/* Where a schedule stands: step `step` of `steps`, of which an epoch has `epoch`. */
typedef struct moment {
    double step, steps, epoch;
} moment;

/* A schedule is a function from the moment to a share of lr. */
typedef double share_of_lr(const lo_recipe *recipe, const moment *now);

static double constant(const lo_recipe *recipe, const moment *now)
{
    (void)recipe;
    (void)now;
    return 1;
}

/* Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without restarts.
 */
static double cosine(const lo_recipe *recipe, const moment *now)
{
    (void)recipe;
    return (1 + cos(M_PI * now->step / now->steps)) / 2;
}

/* As torch.optim.lr_scheduler.MultiStepLR: times gamma at every milestone. */
static double step(const lo_recipe *recipe, const moment *now)
{
    int passed = 0;
    for (int i = 0; i < recipe->milestone_count; i++) {
        passed += now->step >= recipe->milestones[i] * now->epoch ? 1 : 0;
    }
    return pow(recipe->gamma, passed);
}

/* Half a cosine from one value to another as `part` goes from 0 to 1. */
static double ease(double from, double to, double part)
{
    return to + (from - to) / 2 * (1 + cos(M_PI * part));
}

/* Smith and Topin, "Super-convergence", 2018, arXiv 1708.07120, as torch.optim.lr_scheduler.OneCycleLR has it
 * by default but for the momentum, which stays: up from lr / 25, and down to a 10000th of that. The top lies
 * one step before the share `peak` of all steps. */
static double one_cycle(const lo_recipe *recipe, const moment *now)
{
    const double start = 1.0 / 25, end = start / 1e4;
    const double top = recipe->peak * now->steps - 1, last = now->steps - 1;
    if (now->step <= top && top > 0) {
        return ease(start, 1, now->step / top);
    }
    return ease(1, end, (now->step - top) / (last - top));
}

static const struct {
    const char *name;
    share_of_lr *share;
} schedules[] = {
    [LO_SCHEDULE_CONSTANT] = {"constant", constant},
    [LO_SCHEDULE_COSINE] = {"cosine", cosine},
    [LO_SCHEDULE_STEP] = {"step", step},
    [LO_SCHEDULE_ONE_CYCLE] = {"one_cycle", one_cycle},
};

enum { SCHEDULES = sizeof(schedules) / sizeof(schedules[0]) };

lo_schedule lo_schedule_named(const char *name)
{
    int i = 0;
    while (i < SCHEDULES && strcmp(schedules[i].name, name) != 0) {
        i++;
    }
    return (lo_schedule)i;
}

bool lo_schedule_known(lo_schedule schedule)
{
    return (unsigned)schedule < SCHEDULES;
}

double lo_learning_rate(const lo_recipe *recipe, int64_t at, int64_t steps, int64_t steps_per_epoch)
{
    const int64_t warmup = llround(recipe->warmup_epochs * (double)steps_per_epoch);
    if (at < warmup) {
        return recipe->lr * (double)at / (double)warmup;
    }
    const moment now = {(double)(at - warmup), (double)(steps - warmup), (double)steps_per_epoch};
    return recipe->lr * schedules[recipe->schedule].share(recipe, &now);
}
