/* KLOM, the Kullback-Leibler divergence of margins (Georgiev et al., "Attribute-to-delete", 2024): per
 * example, the margins of unlearned models against those of oracles, as histograms. */
#ifndef LEAVEOUT_AUDIT_KLOM_H
#define LEAVEOUT_AUDIT_KLOM_H

#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* KL(unlearned || oracles) in nats of one example: margins clipped to [-100, 100], 20 bins over the range of
 * both, the largest margin in the last bin (the authors' code drops it); the oracles' shares are at least
 * 1e-5 where the unlearned models have any, and are made to add up to 1 again. NaN where a side is empty or a
 * margin is NaN. Even equal distributions have a KLOM of about 20 / (2 models): compare with oracles against
 * oracles. */
double lo_klom(const double *unlearned, int64_t n, const double *oracle, int64_t m);

/* Of many examples, as lo_forgetting_quality has them: klom [examples], and the 95th percentile, *high, which
 * is what tables print. Errors: LO_DATA for fewer than 2 models a side; LO_INTERNAL without memory. */
lo_status lo_kloms(const float *unlearned, int64_t n, const float *oracle, int64_t m, int64_t stride,
                   int64_t examples, double *klom, double *high, lo_error *err);

/* That percentile alone, as lo_compare_equal_numbers asks for it: one [n, examples], other [m, examples]. */
lo_status lo_klom_high(const float *one, int64_t n, const float *other, int64_t m, int64_t examples,
                       double *high, const lo_tick *tick, lo_error *err);

#endif
