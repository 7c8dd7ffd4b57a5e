/* An original as attribution sees it: the features that one of its layers makes, or the gradients of all its
 * parameters. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_NETWORK_H
#define LEAVEOUT_JOBS_ATTRIBUTION_NETWORK_H

#include "attribute/network_rows.h"
#include "jobs/attribution/attribution.h"
#include "nn/training.h"

typedef struct lo_attribution_network {
    lo_trainer *trainer; /* in float32 */
    lo_network_rows rows;
    double ridge;  /* the network's objective is the mean loss plus half of this times the weights' squares */
    double memory; /* bytes that it takes, buffers for gradients included */
    int value;     /* of the network, whose features are asked for */
    float *train, *target; /* features [examples, size], where they are */
} lo_attribution_network;

/* Local. The network of the job without weights: its sizes go to a (parameters, train.size, target.size). For
 * attribution.model linear nothing is made. *out is a's, in a->network; close it in any case. Errors:
 * LO_USAGE for a network or layer that there is not. */
lo_status lo_attribution_network_open(const lo_job *job, const lo_dataset *data, lo_attribution *a,
                                      lo_error *err);
void lo_attribution_network_close(lo_attribution *a);

/* Collective. The weights of the original; for model features those of all examples, shared out over ranks
 * and then on each. Errors: LO_USAGE without an originals section, or with fewer seeds, that says which key
 * to set; LO_IO, LO_DATA for weights that are missing, damaged or not finite. */
lo_status lo_attribution_network_load(lo_attribution *a, lo_error *err);

/* Collective. The norm of the gradient of the network's objective: how far it is from an optimum. */
lo_status lo_attribution_network_slope(const lo_attribution *a, double *norm, lo_error *err);

#endif
