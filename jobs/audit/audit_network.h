/* What the audit of unlearning asks of the networks themselves, and not of stored outputs: a network of fresh
 * weights on the forget set, embeddings, and how fast forgotten examples are learned again. */
#ifndef LEAVEOUT_JOBS_AUDIT_NETWORK_H
#define LEAVEOUT_JOBS_AUDIT_NETWORK_H

#include "audit/logits.h"
#include "base/status.h"
#include "base/tick.h"
#include "jobs/audit/audit_input.h"

#include <stdint.h>

/* Relearning: at most so many forget examples, drawn once for a set, so many epochs, in batches of at most
 * so many, by SGD of that pace. */
enum { LO_RELEARN_EXAMPLES = 500, LO_RELEARN_EPOCHS = 100, LO_RELEARN_BATCH = 32 };
#define LO_RELEARN_LR        0.01
#define LO_RELEARN_MOMENTUM  0.9
#define LO_RELEARN_TOLERANCE 1e-5

/* A network of the job's model, for this rank alone. */
typedef struct lo_audit_network lo_audit_network;

/* Local. input and tick must outlive it. Errors: as lo_pupil_create. Close it in any case. */
lo_status lo_audit_network_open(const lo_audit_input *input, const lo_tick *tick, lo_audit_network **out,
                                lo_error *err);
void lo_audit_network_close(lo_audit_network **network);

/* Logits of the job's model with the fresh weights of the job's seed: [n, classes], set at the forget
 * examples of the set and 0 elsewhere, until the next call. Errors: as lo_pupil_outputs. */
lo_status lo_audit_fresh(lo_audit_network *network, int set, lo_logits *out, lo_error *err);

/* lo_entanglement of the forget and the retain set, in what the last layer of the model in `file` sees.
 * Errors: as lo_pupil_load. */
lo_status lo_audit_entanglement(lo_audit_network *network, const char *file, int set, double *score,
                                lo_error *err);

/* Epochs of fine-tuning the model in `file` on forget examples (as they are, in training mode) until its mean
 * loss on them (in evaluation mode) is at most that of the model in `original` + LO_RELEARN_TOLERANCE;
 * LO_RELEARN_EPOCHS + 1 where that takes more, or the loss becomes NaN. Random numbers depend on the job's
 * seed alone: equal for all models. Errors: as lo_pupil_load. */
lo_status lo_audit_relearn(lo_audit_network *network, const char *original, const char *file, int set,
                           int64_t *epochs, lo_error *err);

#endif
