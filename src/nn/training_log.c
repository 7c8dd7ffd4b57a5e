#include "nn/training_log.h"

#include "nn/loss.h"

#include <math.h>
#include <string.h>

lo_logging lo_logging_begin(const lo_training_log *log, const uint32_t *members, int64_t count, int64_t known,
                            int64_t epochs)
{
    for (int64_t e = 0; log != NULL && e < epochs; e++) {
        log->loss[e] = log->accuracy[e] = (double)NAN;
    }
    for (int q = 0; log != NULL && q < LO_LOG_QUANTITIES; q++) {
        for (int64_t i = 0; log->example[q] != NULL && i < epochs * count; i++) {
            log->example[q][i] = NAN;
        }
    }
    if (log != NULL && log->correct != NULL) {
        memset(log->correct, 0, (size_t)(epochs * count));
    }
    return (lo_logging){.log = log, .members = count < known ? members : NULL, .count = count};
}

/* The column of an example: where it stands among the members. */
static int64_t column_of(const lo_logging *logging, uint32_t example)
{
    if (logging->members == NULL) {
        return example;
    }
    int64_t low = 0, high = logging->count - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (logging->members[middle] < example) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void lo_logging_batch(const lo_logging *logging, const uint32_t *rows, const float *logits, size_t step,
                      const int32_t *labels, size_t count, int32_t classes, double smoothing)
{
    const lo_training_log *log = logging->log;
    if (log == NULL || log->correct == NULL) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        const float *z = logits + n * step;
        const int64_t at = logging->epoch * logging->count + column_of(logging, rows[n]);
        const float margin = lo_logit_margin(z, classes, labels[n]);
        log->correct[at] = lo_is_correct(z, classes, labels[n]) ? 1 : 0;
        log->example[LO_LOG_MARGIN][at] = margin;
        log->example[LO_LOG_GAP][at] = lo_logit_gap(z, classes, labels[n]);
        log->example[LO_LOG_LOSS][at] = lo_example_loss(z, classes, labels[n], smoothing, margin);
        log->example[LO_LOG_PROBABILITY][at] = 1 / (1 + expf(-margin));
        lo_softmax_spread(z, classes, &log->example[LO_LOG_LARGEST][at], &log->example[LO_LOG_ENTROPY][at]);
    }
}

bool lo_logs_inputs(const lo_training_log *log)
{
    return log != NULL && log->example[LO_LOG_INPUT_SQUARE] != NULL;
}

void lo_logging_squares(const float *slopes, size_t size, size_t count, size_t batch, float *squares)
{
    for (size_t n = 0; n < count; n++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++) {
            sum += (double)slopes[n * size + i] * (double)slopes[n * size + i];
        }
        squares[n] = (float)(sum * (double)batch * (double)batch);
    }
}

void lo_logging_inputs(const lo_logging *logging, const uint32_t *rows, const float *squares, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        const int64_t at = logging->epoch * logging->count + column_of(logging, rows[n]);
        logging->log->example[LO_LOG_INPUT_SQUARE][at] = squares[n];
    }
}

void lo_logging_epoch(lo_logging *logging, double loss, double accuracy)
{
    if (logging->log != NULL) {
        logging->log->loss[logging->epoch] = loss;
        logging->log->accuracy[logging->epoch] = accuracy;
    }
    logging->epoch++;
}
