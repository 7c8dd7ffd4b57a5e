/* How fast forgotten examples are learned again. The stage fine-tunes on the forget set and hands in the
 * losses. */
#ifndef LEAVEOUT_AUDIT_RELEARN_H
#define LEAVEOUT_AUDIT_RELEARN_H

#include <stdint.h>

/* The first number of epochs after which the forget loss is at most target + tolerance (loss[e]: after e
 * epochs, loss[0] before any; target: the original's loss); -1 where it never is. NaN losses are not there
 * yet. */
int64_t lo_relearn_epochs(const double *loss, int64_t count, double target, double tolerance);

/* Anamnesis index (Chundawat et al., TIFS 2023): the model's relearn time over the oracle's; 1 is the
 * oracle's, below 1: the model relearns faster, so it had not forgotten. NaN where either was never there or
 * the oracle took none. */
double lo_anamnesis(int64_t model_epochs, int64_t oracle_epochs);

#endif
