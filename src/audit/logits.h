/* What a model said of a list of examples: all metrics of outputs are functions of this. */
#ifndef LEAVEOUT_AUDIT_LOGITS_H
#define LEAVEOUT_AUDIT_LOGITS_H

#include <stddef.h>
#include <stdint.h>

/* A view; the arrays are the caller's. */
typedef struct lo_logits {
    const float *value;   /* [n, classes] */
    const int32_t *label; /* [n], 0 .. classes - 1 */
    int64_t n;
    int32_t classes;
} lo_logits;

/* The logits of example rows[i], or i where rows is NULL. */
static inline const float *lo_logits_row(const lo_logits *logits, const uint32_t *rows, int64_t i)
{
    return logits->value + (rows != NULL ? (int64_t)rows[i] : i) * logits->classes;
}

static inline int32_t lo_logits_label(const lo_logits *logits, const uint32_t *rows, int64_t i)
{
    return logits->label[rows != NULL ? (int64_t)rows[i] : i];
}

#endif
