/* Which units, channels of convolutions and weights of linear layers, must go for the network to lose an
 * example: greedy localization of Maini et al., "Can neural network memorization be localized?", ICML 2023.
 */
#ifndef LEAVEOUT_UNLEARN_FLIP_H
#define LEAVEOUT_UNLEARN_FLIP_H

#include "unlearn/pupil.h"
#include "unlearn/units.h"

/* The score of each unit becomes the number of examples that lost it, or -1 where that is 0. Of each example
 * units but elements of vectors are set to zero one after the other, until its label is no longer the largest
 * logit or `most` are gone: the one whose loss, to first order, raises the example's loss most while it
 * lowers that of a batch of retained examples, sum w g largest with g the gradient of their mean loss, in
 * which the example's term has the weight minus the batch's size. Evaluation mode. The network is as before
 * afterwards. */
lo_status lo_flip_score(lo_pupil *pupil, const lo_members *members, const lo_request *request, int64_t most,
                        lo_units *units, lo_error *err);

#endif
