/* What is asked of a model about an example: the scalar outputs whose change attribution measures. */
#ifndef LEAVEOUT_ATTRIBUTE_OUTPUT_H
#define LEAVEOUT_ATTRIBUTE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum lo_output {
    LO_OUTPUT_MARGIN, /* logits: phi = z_y - logsumexp of the other z; fitted values: v_y - the largest other
                         v */
    LO_OUTPUT_PROBABILITY, /* of the label: softmax; fitted values: v_y, the estimate of a least-squares
                              classifier */
    LO_OUTPUT_CORRECT,     /* 1: the label has the largest value (the first of equals), else 0 */
    LO_OUTPUTS
} lo_output;

/* "margin", ...; and its number, or LO_OUTPUTS for a name that none has. */
const char *lo_output_name(lo_output output);
lo_output lo_output_find(const char *name);

/* The output of one example's class values [classes]: logits of a softmax model, or (`logits` false) values
 * fitted to a one-hot coding by least squares. */
double lo_output_value(lo_output output, bool logits, const double *value, int32_t classes, int32_t label);

#endif
