/* The report's section on unlearning: for each forget set a table of methods beside what never saw it. */
#ifndef LEAVEOUT_REPORT_UNLEARNING_H
#define LEAVEOUT_REPORT_UNLEARNING_H

#include <stdbool.h>
#include <stdint.h>

/* A mean over seeds with its 95 % interval; NaN where it is not known. */
typedef struct lo_report_mean {
    double value, low, high;
} lo_report_mean;

/* What the models of one method have become on one forget set. */
typedef struct lo_report_unlearned {
    char forget_set[128], method[128],
        setting[128];     /* method: "original" and "oracle" too; setting "": defaults */
    char label[160];      /* short, telling the method's runs apart where it can; "": as the method */
    int64_t forget_count; /* examples of the forget set */
    int64_t seeds, diverged;
    bool searched, chosen; /* other settings were tried; these are the best */
    bool applies;          /* to this forget set and network; else: */
    char reason[128];      /* why not */
    lo_report_mean unlearning, retain, test, tow;
    double tow_ceiling; /* of oracles against each other */
    double original;    /* accuracy of the originals on the forget set */
    double seconds, time_ratio;
} lo_report_unlearned;

/* Is it a method of forgetting, and of the settings that were tried the chosen ones? Oracles, originals and
 * retraining are what methods are compared with. */
bool lo_unlearning_competes(const lo_report_unlearned *row);

#endif
