/* What a run of a method goes through, foreseen from its settings and the sizes of its sets: for plans.
 *
 * Reads are exact for every method that does not look at what it has learnt; where a run may end early
 * (stop_accuracy, tolerance) they are what it takes if it does not. */
#ifndef LEAVEOUT_UNLEARN_WORK_H
#define LEAVEOUT_UNLEARN_WORK_H

#include "base/items.h"
#include "nn/network.h"
#include "unlearn/request.h"

#include <stdint.h>

/* Of a request and a recipe. */
typedef struct lo_unlearn_sizes {
    int64_t forget, retain, validation; /* examples */
    int64_t batch, epochs;              /* the recipe's */
} lo_unlearn_sizes;

typedef struct lo_unlearn_work {
    double read[LO_SETS]; /* as lo_pupil_shown counts it, teachers' passes too */
    /* Examples that go through the network, by what is done with them: */
    double trained;   /* forward and backward, in batches of steps */
    double evaluated; /* forward alone; or forward and backward through the head alone */
    double summed;    /* forward and backward, each one's gradient added up (lo_pupil_gradients) */
    double products;  /* times the Gauss-Newton matrix of the example */
    double drawn;     /* and how often all weights are drawn afresh */
} lo_unlearn_work;

/* Examples of a set that are read and gone through. */
void lo_work_train(lo_unlearn_work *work, lo_set set, double examples);
void lo_work_evaluate(lo_unlearn_work *work, lo_set set, double examples);
void lo_work_sum(lo_unlearn_work *work, lo_set set, double examples);

/* How many batches `count` examples make, and how many examples the first `taken` batches of a feed have that
 * begins again at its end (lo_feed_cycle). batch 0: the recipe's. */
int64_t lo_work_batches(const lo_unlearn_sizes *sizes, int64_t batch, int64_t count);
double lo_work_cycled(const lo_unlearn_sizes *sizes, int64_t batch, int64_t count, int64_t taken);

/* For methods' work: the setting `epochs` passes over the retain set. */
lo_unlearn_work lo_work_retain_epochs(const lo_unlearn_sizes *sizes, const lo_item *settings);

/* Examples that this machine trains on and evaluates in a second; and the network's weights whose gradients
 * are formed one example at a time to be summed, and those that are summed from factors (lo_each). */
typedef struct lo_work_rates {
    double trained, evaluated;
    double formed, factored;
} lo_work_rates;
lo_work_rates lo_work_rates_of(const lo_network *network, double trained, double evaluated);

/* Seconds of one rank in one thread. */
double lo_unlearn_seconds(const lo_unlearn_work *work, const lo_work_rates *rates);

#endif
