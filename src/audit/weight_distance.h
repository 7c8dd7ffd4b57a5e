/* Distances between weights of two models of one architecture, layer by layer. */
#ifndef LEAVEOUT_AUDIT_WEIGHT_DISTANCE_H
#define LEAVEOUT_AUDIT_WEIGHT_DISTANCE_H

#include <stdint.h>

typedef struct lo_weight_distance {
    double distance; /* |a - b|_2 */
    double relative; /* |a - b| / ((|a| + |b|) / 2), the verification error of Wu, Dobriban and Davidson (ICML
                      * 2020) and Thudi et al. (EuroS&P 2022); NaN where both are 0 */
    double squares, squares_a, squares_b; /* sums of squares, to be added over layers and finished again */
} lo_weight_distance;

/* Of one parameter of `count` elements, summed in double, in order. */
lo_weight_distance lo_weights_apart(const float *a, const float *b, int64_t count);

/* All layers together, from their sums. */
lo_weight_distance lo_weights_apart_in_all(const lo_weight_distance *layer, int64_t layers);

#endif
