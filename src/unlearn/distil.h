/* Losses against a teacher's logits. */
#ifndef LEAVEOUT_UNLEARN_DISTIL_H
#define LEAVEOUT_UNLEARN_DISTIL_H

#include "unlearn/pupil.h"

/* weight * T^2 KL(softmax(t / T) || softmax(z / T)) of example n of a batch, z its logits and t those of a
 * teacher [classes]; its gradient in z is added to the batch's slope. */
double lo_distil(const lo_batch *batch, size_t n, const float *teacher, double temperature, double weight);

/* The slope of all examples is 0. */
void lo_clear_slope(const lo_batch *batch);

#endif
