/* Entanglement of two sets in the space of a layer's values. */
#ifndef LEAVEOUT_AUDIT_ENTANGLEMENT_H
#define LEAVEOUT_AUDIT_ENTANGLEMENT_H

#include "base/status.h"

#include <stdint.h>

/* RUM's entanglement score (Zhao et al., NeurIPS 2024, eq. 2; Goldblum et al., ICML 2020) of embeddings
 * values [n, size], examples forget [forget_count] and retain [retain_count]:
 *
 *     (mean over R of |v - m_R|^2 + mean over F of |v - m_F|^2) / ((|m_R - m|^2 + |m_F - m|^2) / 2)
 *
 * with m_R, m_F the means of the sets and m that of both together, every example counted once (exact means,
 * no sampling, no mean of means). Larger: more entangled. Infinite where the means coincide, NaN where a set
 * is empty. Summed in double, in two passes. Errors: LO_INTERNAL without memory. */
lo_status lo_entanglement(const float *values, int64_t size, const uint32_t *forget, int64_t forget_count,
                          const uint32_t *retain, int64_t retain_count, double *score, lo_error *err);

#endif
