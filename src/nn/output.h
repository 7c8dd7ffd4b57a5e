/* The scalar of an example that is differentiated: what it is, and its gradient in the logits. */
#ifndef LEAVEOUT_NN_OUTPUT_H
#define LEAVEOUT_NN_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

typedef enum lo_output_kind {
    LO_OUTPUT_LOSS,            /* cross-entropy; with smoothing, as lo_softmax_loss has it */
    LO_OUTPUT_MARGIN,          /* z_label - log(sum of exp(z_other)): see lo_logit_margin */
    LO_OUTPUT_LOG_PROBABILITY, /* of the label: minus the loss without smoothing */
    LO_OUTPUT_LOGIT,           /* z_logit */
    LO_OUTPUT_OTHER            /* the caller's own */
} lo_output_kind;

typedef struct lo_output {
    lo_output_kind kind;
    double smoothing; /* of the loss */
    int32_t logit;    /* of a logit */
    /* The caller's own: writes the gradient in the logits [classes] of the example at place `number` of the
     * list in work. */
    void (*slope)(void *self, int64_t number, const float *logits, int32_t classes, int32_t label,
                  float *slope);
    void *self;
} lo_output;

/* slope [classes]: the gradient of an example's output in its logits [classes]. Differences that cancel are
 * taken as sums: where the label has almost all probability, 1 - p is the sum of the others'. */
void lo_output_slope(const lo_output *output, int64_t number, const float *logits, int32_t classes,
                     int32_t label, float *slope);

#endif
