/* Distances between what two models say of the same examples. Each is a mean over examples, in double, added
 * in the order of `rows`; per-example values are there too, for intervals and histograms. NaN logits make an
 * example's distance NaN (a NaN model disagrees with all). */
#ifndef LEAVEOUT_AUDIT_DISTANCE_H
#define LEAVEOUT_AUDIT_DISTANCE_H

#include "audit/logits.h"
#include "base/status.h"

#include <stdint.h>

typedef enum lo_distance {
    LO_DISAGREEMENT,  /* 1 where the largest logits (the first of equal ones) are of different classes, else 0
                       */
    LO_ACTIVATION_L2, /* |softmax(a) - softmax(b)|_2 (Chundawat et al., AAAI 2023): activation_distance */
    LO_ACTIVATION_L1, /* the same in L1 (Golatkar et al., CVPR 2020): twice the total variation */
    LO_JS, /* Jensen and Shannon's divergence in nats, summed over classes: KL(p | m) / 2 + KL(q | m) / 2,
            * m = (p + q) / 2; from 0 to log 2. Code that reduces by a mean over classes too says this /
            * classes. */
    LO_DISTANCES
} lo_distance;

/* out [count]: of examples rows [count] (NULL: all, and count is not read). Errors: LO_INTERNAL where a and b
 * have different numbers of examples or classes, or without memory. */
lo_status lo_distances(const lo_logits *a, const lo_logits *b, const uint32_t *rows, int64_t count,
                       lo_distance kind, double *out, lo_error *err);

/* Their mean; NaN without examples. Errors: the same. */
lo_status lo_mean_distance(const lo_logits *a, const lo_logits *b, const uint32_t *rows, int64_t count,
                           lo_distance kind, double *mean, lo_error *err);

/* Zero retrain forgetting (Chundawat et al., AAAI 2023): 1 - mean JS between the model and one of random
 * weights, on the forget set. With JS in nats it is in [1 - log 2, 1]; the oracle's value is what is to be
 * reached, not 1. */
static inline double lo_zrf(double mean_js)
{
    return 1 - mean_js;
}

#endif
