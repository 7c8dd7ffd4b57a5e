/* Does it matter by which score RUM chooses its groups? A part of the report's section on the audit. */
#ifndef LEAVEOUT_REPORT_CHOICES_H
#define LEAVEOUT_REPORT_CHOICES_H

#include "audit/interval.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Over the whole forget set, and on its examples of low, middle and high score. */
enum { LO_REPORT_OVER_ALL, LO_REPORT_LOW, LO_REPORT_MIDDLE, LO_REPORT_HIGH, LO_REPORT_PARTS };

/* rum on one forget set, with groups by a score or by a control. */
typedef struct lo_report_choice {
    char forget_set[128], by[64], control[32]; /* control: "none", vanilla, shuffled, reversed */
    char rest[1024];                           /* other settings, as text */
    char score[128]; /* what low, middle and high go by, the same for all of a set; "": it has no groups */
    bool reference;  /* the others of its set and settings are compared with it */
    int64_t seeds, pairs;
    lo_bounded tow[LO_REPORT_PARTS];  /* means over seeds, Student's intervals; NaN: the set has no groups */
    lo_bounded less[LO_REPORT_PARTS]; /* the same of tow less the reference's, seed by seed; NaN: there is no
                                       * reference */
} lo_report_choice;

/* "memorization", "memorization, shuffled", "all at once" */
void lo_report_choice_name(const lo_report_choice *choice, char *out, size_t size);

/* Tables and figures for each forget set, over all and by group; rows of one stand together. Nothing where no
 * set has two. */
void lo_report_write_choices(FILE *out, const lo_report_choice *choices, int64_t count);

#endif
