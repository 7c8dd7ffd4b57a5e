/* Scores computed anew: in a sequence of requests, of the model that has forgotten those before, on the
 * examples that it still knows. */
#ifndef LEAVEOUT_UNLEARN_RESCORE_H
#define LEAVEOUT_UNLEARN_RESCORE_H

#include "score/scores.h"
#include "unlearn/pupil.h"

/* Does one trained model give the score, without its history, other models or trainings of its own? If not,
 * LO_USAGE, which says what the score is made of and which ones there are. settings were accepted. */
lo_status lo_rescore_check(const lo_score *score, const lo_item *settings, lo_error *err);

/* The score of the request's forget set by the pupil's network as it is: value [dataset->train.count], larger
 * meaning more memorized, is written for these examples alone. Neighbours, where the score looks for some,
 * are those of forget and retain set; of equally near ones those of the forget set come first. An example
 * without a score (the network has diverged) has 0. In float32 whatever the recipe's precision. The examples
 * looked at are counted as read, and must be permitted; the request was not taken up before (lo_pupil_begin),
 * and has to be taken up again. Every member of a team computes all of it. The same bits whenever and
 * wherever it is computed. Memory: a copy of the examples that are looked at. Errors: as lo_pupil_gradients.
 */
lo_status lo_rescore(lo_pupil *pupil, const lo_request *request, const lo_tick *tick, double *value,
                     lo_error *err);

#endif
