/* Examples in the order of a score. Private to src/report. */
#ifndef LEAVEOUT_REPORT_RANKED_H
#define LEAVEOUT_REPORT_RANKED_H

#include "report/page.h"

typedef struct lo_ranked {
    double strength; /* larger: more memorized */
    int64_t source, at;
    int32_t label;
} lo_ranked;

/* For qsort: the most memorized first, the least memorized first, by class and then the most memorized first;
 * ties by their number in the source. */
int lo_by_strength(const void *a, const void *b);
int lo_by_weakness(const void *a, const void *b);
int lo_by_class(const void *a, const void *b);

/* The training examples with a value, in some order. Errors: LO_INTERNAL without memory. The caller frees
 * them. */
lo_status lo_rank_examples(const lo_page *page, const lo_report_score *score,
                           int (*order)(const void *, const void *), lo_ranked **out, int64_t *count,
                           lo_error *err);

#endif
