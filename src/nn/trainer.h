/* Inside a trainer: single steps on chosen batches, for benchmarks and tests. */
#ifndef LEAVEOUT_NN_TRAINER_H
#define LEAVEOUT_NN_TRAINER_H

#include "nn/network.h"
#include "nn/training.h"

/* LO_USAGE for sizes that are out of range and for unknown optimizers and schedules. */
lo_status lo_recipe_check(const lo_recipe *recipe, lo_error *err);

/* The trainer's network; its weights are what the last training left. */
lo_network *lo_trainer_network(lo_trainer *trainer);

/* The weights there are now come from elsewhere: nobody knows how many batches their running statistics have
 * seen, and lo_trainer_save writes 0. */
void lo_trainer_took_over(lo_trainer *trainer);

/* One step of the optimizer on examples rows[count] of dataset->train, count <= the recipe's batch. *loss is
 * the batch's mean before the step; *correct is raised by how many were right. A loss that is not finite
 * changes no weight. */
lo_status lo_trainer_step(lo_trainer *trainer, const uint32_t *rows, size_t count, double lr,
                          const lo_tick *tick, double *loss, int64_t *correct);

#endif
