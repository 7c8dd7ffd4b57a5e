/* Schedules: how the learning rate changes during a training. */
#ifndef LEAVEOUT_NN_SCHEDULE_H
#define LEAVEOUT_NN_SCHEDULE_H

#include "nn/training.h"

/* The learning rate of step `step` (from 0) of `steps`. Over recipe->warmup_epochs, rounded to whole steps,
 * it rises linearly from 0 (at step 0) towards lr; the schedule begins after that, its time is the rest. A
 * pure function; the recipe's schedule is a known one (lo_schedule_known). */
double lo_learning_rate(const lo_recipe *recipe, int64_t step, int64_t steps, int64_t steps_per_epoch);

bool lo_schedule_known(lo_schedule schedule);

#endif
