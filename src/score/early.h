/* Scores from the beginning of a training, averaged over trainings of their own: the settings `epoch` and
 * `seeds`. Training number s has the seed s, so its weights are those of original s after that epoch. */
#ifndef LEAVEOUT_SCORE_EARLY_H
#define LEAVEOUT_SCORE_EARLY_H

#include "score/scores.h"

enum { LO_EARLY_SETTINGS = 2 };
extern const lo_setting lo_early_settings[LO_EARLY_SETTINGS];

/* lo_score.check, lo_score.tasks and lo_score.compute of such scores: the mean over the trainings. */
lo_status lo_early_check(const lo_score_input *input, lo_error *err);
int64_t lo_early_tasks(const lo_score_input *input);
lo_status lo_early_compute(const lo_score_input *input, lo_estimate *out, lo_error *err);

/* Examples that all the trainings go through. */
double lo_early_work(const lo_score_input *input);

/* Trains on everything by the recipe, up to the epoch. *diverged: its weights are NaN. The caller destroys
 * the trainer. Errors: as lo_trainer_run. */
lo_status lo_early_train(const lo_score_input *input, int64_t seed, lo_trainer **out, bool *diverged,
                         lo_error *err);

#endif
