/* The study of scores on the report's page: a table, the Pareto front, and what a budget buys. */
#ifndef LEAVEOUT_REPORT_SCALING_H
#define LEAVEOUT_REPORT_SCALING_H

#include <stdbool.h>
#include <stdint.h>

enum { LO_REPORT_NAME = 128 };

/* A score; NaN where there is nothing to say. */
typedef struct lo_report_compared {
    char name[LO_REPORT_NAME];
    double trainings, own, originals; /* cost, and its own part, in trainings; originals it is a mean over */
    double later;                     /* cost less the originals */
    double somers, low, high;         /* with a 95 % interval: what fronts and budgets go by */
    double spread;                    /* over originals, or groups of models */
    double spearman, corrected;       /* and corrected for the reference's noise */
    double rmse;                      /* from the reference */
    double missed, saving;            /* screening: of those above 0.5; models */
    double pearson, auc_quarter, auc_half;              /* areas for a reference above 0.25 and 0.5 */
    double top, middle_median, middle_rank, bottom;     /* overlaps */
    double noise;                                       /* area for replaced labels */
    double difference, difference_low, difference_high; /* from few models at equal cost */
    bool front, later_front, in_reference;
} lo_report_compared;

typedef struct lo_report_budget {
    double trainings, value, few_models; /* the best score's Somers' D, and few models' */
    char best[LO_REPORT_NAME];           /* "": none */
} lo_report_budget;

typedef struct lo_report_scaling {
    int64_t rows, budgets; /* 0: there is no study of scores */
    lo_report_compared *row;
    lo_report_budget *budget;
    double ceiling, reliability; /* of ranks */
    double tied;                 /* share of the reference's examples with a value that others have too */
    double in_accuracy, in_accuracy_replaced; /* of its models on what they were trained on */
    double training;                          /* core-seconds */
    int64_t models, held_back;                /* of the reference; left out of it */
    int64_t group, resamples;
} lo_report_scaling;

#endif
