/* Scores from what models say in numbers, not only right or wrong: the probability of the label and the logit
 * margin. Means of two arms (models with and without an example) or of pairs of models, with errors from
 * their spread. Everything is accumulated model by model in the order in which the caller brings the models:
 * bring them by their numbers, and the bits depend on nothing else. */
#ifndef LEAVEOUT_SCORE_MOMENTS_H
#define LEAVEOUT_SCORE_MOMENTS_H

#include "score/subset.h"

#include <stdint.h>

/* What is measured of a model on an example, from its margin phi = z_y - logsumexp of the other z. */
typedef enum lo_measure {
    LO_MEASURE_PROBABILITY, /* of the label: 1 / (1 + exp(-phi)), 0 to 1 */
    LO_MEASURE_MARGIN       /* phi itself */
} lo_measure;

/* float64, without overflow; NaN stays NaN. */
double lo_measure_of(lo_measure measure, float margin);

/* Count, mean and sum of squared distances from the mean of values that were added (Welford 1962). {0} is
 * none. */
typedef struct lo_moments {
    int64_t count;
    double mean, spread;
} lo_moments;

void lo_moments_add(lo_moments *moments, double value);

/* Adds one model to the arms of `count` examples: its value on example i goes to in[i] if trained[i] (0 or 1)
 * is 1, else to out[i]. margin [count]; one that is no finite number (of a model that diverged, or was
 * imported without margins) is not added. */
void lo_moments_add_model(lo_measure measure, const uint8_t *trained, const float *margin, int64_t count,
                          lo_moments *in, lo_moments *out);

/* Adds a pair of models to `count` examples: value of the model trained with the example minus that of the
 * other, where just one of them was; both must be finite. */
void lo_moments_add_pair(lo_measure measure, const uint8_t *trained_a, const float *margin_a,
                         const uint8_t *trained_b, const float *margin_b, int64_t count, lo_moments *pairs);

/* Difference of the arms' means, mean(in) - mean(out). Each arm is given one model more, at the distance u
 * from its mean, in its spread but not in its mean: v = (spread + u^2) / count^2,   standard_error =
 * sqrt(v_in + v_out) low, high = value -+ t standard_error, t the 97.5 % point of Student's t with Welch's
 * degrees of freedom (v_in + v_out)^2 / (v_in^2 / in + v_out^2 / out)                 (Welch 1947, Biometrika
 * 34:28), of a probability clipped to [-1, 1]. For a probability u = 1/2, half of its range; for a margin u^2
 * is the variance of all models of both arms together, at least 1. Without the one model more v would be the
 * variance of a mean; with it an arm's error is never below u / count, and exists for an arm of one model:
 * that all models agree says little about the one that was not trained. NaN where an arm has no models. */
lo_estimate lo_moments_difference(lo_measure measure, const lo_moments *in, const lo_moments *out);

/* Mean of paired differences: v = (spread + u^2) / count^2 likewise, with Student's t of count degrees of
 * freedom; for margins u^2 is the mean square of the differences, at least 1. NaN without pairs. */
lo_estimate lo_moments_paired(lo_measure measure, const lo_moments *pairs);

/* The 97.5 % point of Student's t with `freedom` degrees of freedom, any real number from 1 on; relative
 * error below 1e-9. */
double lo_student_975(double freedom);

#endif
