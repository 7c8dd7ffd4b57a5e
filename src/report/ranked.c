#include "report/ranked.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

int lo_by_strength(const void *a, const void *b)
{
    const lo_ranked *x = a;
    const lo_ranked *y = b;
    if (x->strength != y->strength) {
        return x->strength < y->strength ? 1 : -1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

int lo_by_weakness(const void *a, const void *b)
{
    const lo_ranked *x = a;
    const lo_ranked *y = b;
    if (x->strength != y->strength) {
        return x->strength > y->strength ? 1 : -1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

int lo_by_class(const void *a, const void *b)
{
    const lo_ranked *x = a;
    const lo_ranked *y = b;
    return x->label != y->label ? (x->label > y->label) - (x->label < y->label) : lo_by_strength(a, b);
}

/* The examples with a value, in some order. Errors: LO_INTERNAL without memory. The caller frees it. */
lo_status lo_rank_examples(const lo_page *page, const lo_report_score *score,
                           int (*order)(const void *, const void *), lo_ranked **out, int64_t *count,
                           lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    *count = 0;
    *out = malloc((size_t)(train->count > 0 ? train->count : 1) * sizeof(**out));
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to rank %" PRId64 " examples", train->count);
    }
    for (int64_t i = 0; i < train->count; i++) {
        if (!isnan(score->value[i])) {
            (*out)[(*count)++] =
                (lo_ranked){score->orientation < 0 ? -(double)score->value[i] : (double)score->value[i],
                            train->index[i], i, train->label[i]};
        }
    }
    qsort(*out, (size_t)*count, sizeof(**out), order);
    return LO_OK;
}
