/* Divergences between predictions, from logits by log-softmax: nothing becomes NaN before a logit does. */
#ifndef LEAVEOUT_SCORE_DIVERGENCE_H
#define LEAVEOUT_SCORE_DIVERGENCE_H

#include <stdint.h>

/* (KL(p||q) + KL(q||p)) / 2 of the softmax probabilities of two rows of logits [classes], in nats. */
double lo_symmetric_divergence(const float *a, const float *b, int32_t classes);

#endif
