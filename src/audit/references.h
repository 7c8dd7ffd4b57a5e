/* Models whose training sets are known, and their margins: what attacks with reference models start from. The
 * models of an ensemble, oracles and originals all serve. */
#ifndef LEAVEOUT_AUDIT_REFERENCES_H
#define LEAVEOUT_AUDIT_REFERENCES_H

#include "score/subset.h"

#include <stdbool.h>
#include <stdint.h>

/* A view; the arrays are the caller's. A NaN margin (a model that diverged) counts nowhere. */
typedef struct lo_references {
    const float *phi; /* [models, stride]: margins on examples 0 .. n - 1 */
    int64_t models, n, stride;
    const lo_columns *mask; /* who was trained on what; NULL: nobody on any of these examples */
    const int64_t *model;   /* [models]: the row's number in the mask; NULL: the row itself */
} lo_references;

static inline bool lo_trained_on(const lo_references *references, int64_t row, int64_t example)
{
    if (references->mask == NULL) {
        return false;
    }
    const int64_t m = references->model != NULL ? references->model[row] : row;
    return (references->mask->word[(m / 64) * references->mask->stride + example] >> (m % 64) & 1) != 0;
}

static inline float lo_margin_of(const lo_references *references, int64_t row, int64_t example)
{
    return references->phi[row * references->stride + example];
}

#endif
