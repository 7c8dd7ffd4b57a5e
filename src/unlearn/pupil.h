/* A pupil: a network that is made to forget, its teacher where a method has one, optimizer, batches, and the
 * account of what it was shown. What methods of unlearning are written in. */
#ifndef LEAVEOUT_UNLEARN_PUPIL_H
#define LEAVEOUT_UNLEARN_PUPIL_H

#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/network.h"
#include "nn/training.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_pupil lo_pupil;

/* Which examples: the training set's, or the validation set's. */
typedef enum lo_set { LO_SET_FORGET, LO_SET_RETAIN, LO_SET_VALIDATION, LO_SETS } lo_set;

/* The optimizer of the steps from now on, all its state forgotten. */
typedef struct lo_pace {
    lo_optimizer optimizer;
    double lr, momentum, weight_decay; /* sgd and adamw as in lo_recipe; betas and epsilon the job's */
    double clip_norm;                  /* 0: none */
} lo_pace;

/* Room for a network of the job's model and batches of up to `batch` examples. recipe gives precision, betas,
 * augmentation and seed. Errors: as lo_trainer_create. The caller destroys it; dataset must outlive it. */
lo_status lo_pupil_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                          lo_pupil **out, lo_error *err);
void lo_pupil_destroy(lo_pupil **pupil);

/* Weights and statistics of a file (the original's), which are also what lo_pupil_original gives. Ends what
 * masks and freezing there were, forgets the account. Errors: as lo_weights_load. */
lo_status lo_pupil_load(lo_pupil *pupil, const char *file, lo_error *err);

lo_network *lo_pupil_network(lo_pupil *pupil);
const lo_recipe *lo_pupil_recipe(const lo_pupil *pupil);
const float *lo_pupil_original(const lo_pupil *pupil); /* weights [weight_size], then statistics */

/* Examples shown to the pupil or its teachers so far, each time counted. */
int64_t lo_pupil_shown(const lo_pupil *pupil, lo_set set);
/* The sets that may be read from now on (LO_READS_...): to read another one is LO_INTERNAL. */
void lo_pupil_permit(lo_pupil *pupil, unsigned reads);
bool lo_pupil_diverged(const lo_pupil *pupil);

/* The methods' owner adds here what its methods need: forward and backward passes over a batch of a set with
 * a loss of logits given by the method, gradient sums over a set in evaluation mode, steps under masks, the
 * teacher's logits. */

#endif
