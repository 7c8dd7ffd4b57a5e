#include "nn/output.h"

#include <math.h>
#include <string.h>

/* The softmax over all classes but `left_out` (-1: over all), into p; 0 for that one. */
static void softmax(const float *logits, int32_t classes, int32_t left_out, float *p)
{
    double largest = -(double)INFINITY, sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        largest = k != left_out ? fmax(largest, (double)logits[k]) : largest;
    }
    for (int32_t k = 0; k < classes; k++) {
        sum += k != left_out ? exp((double)logits[k] - largest) : 0;
    }
    for (int32_t k = 0; k < classes; k++) {
        p[k] = k != left_out ? (float)(exp((double)logits[k] - largest) / sum) : 0;
    }
}

/* That of the loss: p - target. */
static void loss_slope(const float *logits, int32_t classes, int32_t label, double smoothing, float *slope)
{
    double others = 0;
    softmax(logits, classes, -1, slope);
    for (int32_t k = 0; k < classes; k++) {
        others += k != label ? (double)slope[k] : 0;
        slope[k] = (float)((double)slope[k] - smoothing / classes);
    }
    slope[label] = (float)(smoothing - smoothing / classes - others);
}

void lo_output_slope(const lo_output *output, int64_t number, const float *logits, int32_t classes,
                     int32_t label, float *slope)
{
    switch (output->kind) {
    case LO_OUTPUT_LOSS:
        loss_slope(logits, classes, label, output->smoothing, slope);
        break;
    case LO_OUTPUT_MARGIN:
    case LO_OUTPUT_LOG_PROBABILITY:
        if (output->kind == LO_OUTPUT_MARGIN) {
            softmax(logits, classes, label, slope);
            slope[label] = -1;
        } else {
            loss_slope(logits, classes, label, 0, slope);
        }
        for (int32_t k = 0; k < classes; k++) {
            slope[k] = -slope[k];
        }
        break;
    case LO_OUTPUT_LOGIT:
        memset(slope, 0, (size_t)classes * sizeof(*slope));
        slope[output->logit] = 1;
        break;
    case LO_OUTPUT_OTHER:
        output->slope(output->self, number, logits, classes, label, slope);
        break;
    }
}
