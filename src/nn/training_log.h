/* A training's log while it is filled: inside a trainer. */
#ifndef LEAVEOUT_NN_TRAINING_LOG_H
#define LEAVEOUT_NN_TRAINING_LOG_H

#include "nn/training.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_logging {
    const lo_training_log *log; /* NULL: nothing is logged */
    const uint32_t *members;    /* NULL: all examples, in their order */
    int64_t count, epoch;
} lo_logging;

/* For a training of `epochs` on members[count], which ascend, of `known` examples. Everything is NaN to begin
 * with. log may be NULL; it and members must outlive the training. */
lo_logging lo_logging_begin(const lo_training_log *log, const uint32_t *members, int64_t count, int64_t known,
                            int64_t epochs);

/* What the logits [count, step] of a batch say: rows[count] are its examples, labels[count] theirs. */
void lo_logging_batch(const lo_logging *logging, const uint32_t *rows, const float *logits, size_t step,
                      const int32_t *labels, size_t count, int32_t classes, double smoothing);

/* Does the log want gradients in the input? */
bool lo_logs_inputs(const lo_training_log *log);

/* squares [count]: the squared norms of the gradients of examples' own losses, from slopes [count, size],
 * those of the mean loss of a batch of `batch`. */
void lo_logging_squares(const float *slopes, size_t size, size_t count, size_t batch, float *squares);

/* Writes them down: squares [count] of the examples rows[count]. */
void lo_logging_inputs(const lo_logging *logging, const uint32_t *rows, const float *squares, size_t count);

/* The epoch is finished; the next begins. */
void lo_logging_epoch(lo_logging *logging, double loss, double accuracy);

#endif
