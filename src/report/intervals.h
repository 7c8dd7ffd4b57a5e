/* A figure of named values with their intervals, one below the other. */
#ifndef LEAVEOUT_REPORT_INTERVALS_H
#define LEAVEOUT_REPORT_INTERVALS_H

#include "audit/interval.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lo_report_interval {
    char name[128];
    lo_bounded value; /* without bounds: a point; NaN: its name alone */
    bool marked;      /* in the second colour: what the others are compared with */
} lo_report_interval;

/* Draws rows [count] as a figure of its own, the first at the top. axis: what the values are; about: for
 * those who cannot see it; caption: HTML. Nothing where no value is known. */
void lo_report_draw_intervals(FILE *out, const lo_report_interval *rows, int64_t count, const char *axis,
                              const char *about, const char *caption);

#endif
