/* What is asked of a model about an example: the scalar outputs whose change attribution measures. */
#ifndef LEAVEOUT_ATTRIBUTE_EFFECT_H
#define LEAVEOUT_ATTRIBUTE_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum lo_effect {
    LO_EFFECT_MARGIN, /* logits: phi = z_y - logsumexp of the other z; fitted values: v_y - the largest other
                         v */
    LO_EFFECT_PROBABILITY, /* of the label: softmax; fitted values: v_y, the estimate of a least-squares
                              classifier */
    LO_EFFECT_CORRECT,     /* 1: the label has the largest value (the first of equals), else 0 */
    LO_EFFECTS
} lo_effect;

/* "margin", ...; and its number, or LO_EFFECTS for a name that none has. */
const char *lo_effect_name(lo_effect output);
lo_effect lo_effect_find(const char *name);

/* The output of one example's class values [classes]: logits of a softmax model, or (`logits` false) values
 * fitted to a one-hot coding by least squares. */
double lo_effect_value(lo_effect output, bool logits, const double *value, int32_t classes, int32_t label);

#endif
