/* How far a training has come, and all that its rest depends on: what a checkpoint of it holds. */
#ifndef LEAVEOUT_NN_PROGRESS_H
#define LEAVEOUT_NN_PROGRESS_H

#include "base/checkpoint.h"
#include "nn/network.h"
#include "nn/optimizers/optimizer.h"
#include "nn/training.h"

#include <stdint.h>

/* Between two batches. Numbers as they lie in the file. */
typedef struct lo_position {
    int64_t epoch, batch;  /* epochs that are finished; batches of the next one that are */
    int64_t correct;       /* over those batches */
    double loss_sum;       /* likewise: each batch's mean times its examples */
    double loss, accuracy; /* of the last finished epoch */
    double seconds;        /* spent so far, over all parts */
} lo_position;

/* Which training it is: a checkpoint of any other is refused. As it lies in the file, without gaps. */
typedef struct lo_training_identity {
    char processor[128]; /* type of processor; another one has other bits */
    uint64_t seed, model_seed;
    int64_t members, batches;        /* how many; batches of an epoch */
    int64_t weights, statistics;     /* floats in memory */
    int64_t optimizer, precision;    /* numbers of lo_optimizer, lo_precision */
    int64_t epochs, logged, kept;    /* 0, 1: curves, 2: examples too; bytes of the observer */
    uint64_t members_crc, start_crc; /* of the members, and of the weights that were started from, or 0 */
} lo_training_identity;

typedef struct lo_progress {
    lo_training_identity identity;
    lo_position at;
    lo_network *network;
    lo_optimizer_state *optimizer;
    const lo_observer *observer;
} lo_progress;

/* The share of the training that is done. */
double lo_progress_share(const lo_progress *progress);

/* Writes the checkpoint's file; at.seconds must be right. Errors: as lo_checkpoint_begin and what follows. */
lo_status lo_progress_save(const lo_progress *progress, lo_checkpoint *checkpoint, const lo_tick *tick,
                           lo_error *err);

/* Reads it, if there is one, into network, optimizer, observer and `at`, all of which hold anything after an
 * error. Errors: LO_DATA for a file that is damaged or of another training; LO_IO; what tick returned. */
lo_status lo_progress_load(lo_progress *progress, lo_checkpoint *checkpoint, const lo_tick *tick, bool *found,
                           lo_error *err);

#endif
