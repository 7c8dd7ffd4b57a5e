/* What the sections of report.html share: the page that they write to, and what was counted for all of them.
 * Private to src/report. */
#ifndef LEAVEOUT_REPORT_PAGE_H
#define LEAVEOUT_REPORT_PAGE_H

#include "report/report.h"
#include "report/summary.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    GALLERY_CLASSES = 20,  /* classes whose examples are shown */
    GALLERY_PICTURES = 8,  /* most and least memorized ones of a class */
    INFLUENCE_ROWS = 16,   /* test examples that are shown */
    INFLUENCE_COLUMNS = 8, /* and their training examples */
    SIDE_SHOWN = 84        /* of a picture, CSS pixels */
};

typedef struct lo_page {
    FILE *out;
    const lo_report *report;
    const lo_report_score *memorization; /* NULL without it */
    bool leave_groups; /* models differ in one left-out example (or group), not in random subsets */
    int64_t above_quarter, above_half, surely_above_quarter;
    lo_summary value, error; /* of memorization */
    lo_summary error_above;  /* of the examples memorized above 0.25 */
    lo_summary accuracy;     /* of the models on the test examples */
    int side;                /* pictures are at most this large */
} lo_page;

/* Fills in what is computed before anything is written; `out` and `report` are set. Errors: LO_INTERNAL
 * without memory. */
lo_status lo_page_prepare(lo_page *page, lo_error *err);

/* Is there, or will there be, an ensemble, so that memorization has a meaning here? */
bool lo_page_of_ensemble(const lo_page *page);

/* Has the score values? */
bool lo_report_usable(const lo_report_score *score);

/* Writes a class's name, or "class 3". */
void lo_page_class(const lo_page *page, int32_t label);

const char *lo_plural(int64_t count, const char *one, const char *many);

/* Decimals that show so many digits of numbers as large as `size`; 4 digits of the summary's largest; of a
 * share in percent, 70 % or 12.5 %. */
int lo_decimals_for(double size, int digits);
int lo_decimals_of(const lo_summary *summary);
int lo_decimals_of_share(double share);

#endif
