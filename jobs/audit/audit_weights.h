/* Weights of two models of a study, compared layer by layer. */
#ifndef LEAVEOUT_JOBS_AUDIT_WEIGHTS_H
#define LEAVEOUT_JOBS_AUDIT_WEIGHTS_H

#include "audit/weight_distance.h"
#include "base/status.h"

#include <stdint.h>

enum { LO_AUDIT_LAYERS = 1024, LO_AUDIT_LAYER = 128 };

/* Parameters of two files of one network, in the first one's order; running statistics are none. layer
 * [*layers] of at most LO_AUDIT_LAYERS; name (may be NULL) takes theirs. Errors: LO_IO, LO_DATA for networks
 * that differ, LO_INTERNAL. */
lo_status lo_audit_weights(const char *a, const char *b, lo_weight_distance *layer, int64_t *layers,
                           char (*name)[LO_AUDIT_LAYER], lo_error *err);

#endif
