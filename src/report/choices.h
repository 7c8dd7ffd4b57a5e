/* Does it matter by which score RUM chooses its groups? A part of the report's section on the audit. */
#ifndef LEAVEOUT_REPORT_CHOICES_H
#define LEAVEOUT_REPORT_CHOICES_H

#include "audit/interval.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* rum on one forget set, with groups by a score or by a control. */
typedef struct lo_report_choice {
    char forget_set[128], by[64], control[32]; /* control: "none", vanilla, shuffled, reversed */
    char rest[512];                            /* other settings, as text */
    bool reference;                            /* the others of its set and settings are compared with it */
    int64_t seeds, pairs;
    lo_bounded tow;  /* mean over seeds, Student's interval */
    lo_bounded less; /* the same of tow less the reference's, seed by seed; NaN: there is no reference */
} lo_report_choice;

/* A table and a figure for each forget set; rows of one stand together. Nothing where no set has two. */
void lo_report_write_choices(FILE *out, const lo_report_choice *choices, int64_t count);

#endif
