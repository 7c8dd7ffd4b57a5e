#include "attribute/network_rows.h"

#include "attribute/softmax_basis.h"

#include <math.h>
#include <stdlib.h>

void lo_softmax_factor(const double *p, int32_t classes, int32_t k, float *slope)
{
    double rest = 0;
    for (int32_t c = classes - 1; c > k; c--) {
        rest += p[c];
    }
    /* Where all that is left has no probability the column is zero. */
    const double size = p[k] > 0 && rest > 0 ? sqrt(p[k] * (rest / (p[k] + rest))) : 0;
    for (int32_t c = 0; c < classes; c++) {
        slope[c] = (float)(c < k || size == 0 ? 0 : c == k ? size : -(p[c] / rest) * size);
    }
}

/* What the slopes of one pass are made from. */
typedef struct pass {
    int32_t column;
    double *e;
    double *p; /* [classes] */
} pass;

static void probabilities(const pass *s, const float *logits, int32_t classes)
{
    for (int32_t c = 0; c < classes; c++) {
        s->p[c] = (double)logits[c];
    }
    (void)lo_basis_softmax(classes, s->p);
}

static void factor_slope(void *self, int64_t number, const float *logits, int32_t classes, int32_t label,
                         float *slope)
{
    const pass *s = self;
    (void)number;
    (void)label;
    probabilities(s, logits, classes);
    lo_softmax_factor(s->p, classes, s->column, slope);
}

static void margin_slope(void *self, int64_t number, const float *logits, int32_t classes, int32_t label,
                         float *slope)
{
    const pass *s = self;
    const lo_output margin = {.kind = LO_OUTPUT_MARGIN};
    if (s->e != NULL) {
        probabilities(s, logits, classes);
        double others = 0;
        for (int32_t c = 0; c < classes; c++) {
            others += c != label ? s->p[c] : 0;
        }
        s->e[number] = others;
    }
    lo_output_slope(&margin, number, logits, classes, label, slope);
}

/* Where the vectors of a pass go. */
typedef struct sink {
    double *out;
    int64_t step, from, width;
} sink;

static lo_status take(void *self, int64_t number, const float *vector)
{
    const sink *s = self;
    double *out = s->out + number * s->step;
    const float *values = vector + s->from;
    for (int64_t i = 0; i < s->width; i++) {
        out[i] = (double)values[i];
    }
    return LO_OK;
}

lo_status lo_network_rows_fill(const lo_network_rows *rows, lo_row_kind kind, const lo_examples *examples,
                               int64_t first, int64_t count, int64_t from, int64_t width, double *out,
                               double *e, const lo_tick *tick, lo_error *err)
{
    const lo_example_list list = {.examples = examples, .first = first, .count = count};
    const int64_t each = lo_rows_of_example(rows, kind);
    lo_status status = LO_OK;
    pass s = {.e = e, .p = calloc((size_t)rows->classes, sizeof(*s.p))};
    if (s.p == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the probabilities of %d classes", rows->classes);
    }
    const lo_output output[] = {
        [LO_ROWS_FACTOR] = {.kind = LO_OUTPUT_OTHER, .slope = factor_slope, .self = &s},
        [LO_ROWS_MARGIN] = {.kind = LO_OUTPUT_OTHER, .slope = margin_slope, .self = &s},
        [LO_ROWS_LOSS] = {.kind = LO_OUTPUT_LOSS, .smoothing = rows->smoothing}};
    for (int64_t k = 0; k < each && count > 0 && status == LO_OK; k++) {
        sink to = {out + k * width, each * width, from, width};
        s.column = (int32_t)k;
        status = lo_per_example_each_vector(rows->per_example, &list, &output[kind], take, &to, tick, err);
    }
    free(s.p);
    return status;
}
