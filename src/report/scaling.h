/* The study of scores on the report's page: a table, the Pareto front, and what a budget buys. */
#ifndef LEAVEOUT_REPORT_SCALING_H
#define LEAVEOUT_REPORT_SCALING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LO_REPORT_NAME = 128 };

/* A score; NaN where there is nothing to say. */
typedef struct lo_report_compared {
    char name[LO_REPORT_NAME];
    double trainings, own;                 /* cost, and its own part, in trainings */
    double spearman, low, high, corrected; /* with a 95 % interval, and corrected for the reference's noise */
    double pearson, auc_quarter, auc_half; /* areas for a reference above 0.25 and 0.5 */
    double top, middle_median, middle_rank, bottom;     /* overlaps */
    double noise;                                       /* area for replaced labels */
    double difference, difference_low, difference_high; /* from few models at equal cost */
    bool front, in_reference;
} lo_report_compared;

typedef struct lo_report_budget {
    double trainings, value, few_models; /* the best score's correlation, and few models' */
    char best[LO_REPORT_NAME];           /* "": none */
} lo_report_budget;

typedef struct lo_report_scaling {
    int64_t rows, budgets; /* 0: there is no study of scores */
    lo_report_compared *row;
    lo_report_budget *budget;
    double ceiling, reliability; /* of ranks */
    double training;             /* core-seconds */
    int64_t models, held_back;   /* of the reference; left out of it */
    int64_t group, resamples;
} lo_report_scaling;

/* Writes the section, or nothing without rows. */
void lo_report_write_scaling(FILE *out, const lo_report_scaling *scaling);

#endif
