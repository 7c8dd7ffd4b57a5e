#include "attribute/effect.h"

#include <math.h>
#include <string.h>

static const char *const names[LO_EFFECTS] = {"margin", "probability", "correct"};

const char *lo_effect_name(lo_effect output)
{
    return names[output];
}

lo_effect lo_effect_find(const char *name)
{
    int i = 0;
    while (i < LO_EFFECTS && strcmp(names[i], name) != 0) {
        i++;
    }
    return (lo_effect)i;
}

static int32_t largest_of(const double *value, int32_t classes, int32_t but)
{
    int32_t best = but == 0 ? 1 : 0;
    for (int32_t c = best + 1; c < classes; c++) {
        best = c != but && value[c] > value[best] ? c : best;
    }
    return best;
}

/* z_y - log sum over the others of exp z_c. */
static double logit_margin(const double *value, int32_t classes, int32_t label)
{
    const double top = value[largest_of(value, classes, label)];
    double sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        sum += c != label ? exp(value[c] - top) : 0;
    }
    return value[label] - top - log(sum);
}

double lo_effect_value(lo_effect output, bool logits, const double *value, int32_t classes, int32_t label)
{
    if (output == LO_EFFECT_CORRECT) {
        return largest_of(value, classes, -1) == label ? 1 : 0;
    }
    if (!logits) {
        return output == LO_EFFECT_PROBABILITY ? value[label]
                                               : value[label] - value[largest_of(value, classes, label)];
    }
    const double margin = logit_margin(value, classes, label);
    return output == LO_EFFECT_MARGIN ? margin : 1 / (1 + exp(-margin));
}
