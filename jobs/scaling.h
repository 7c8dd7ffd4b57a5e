/* The study of scores: what each costs, how well it agrees with memorization, and what is best for a budget.
 * What the files of the stage share. */
#ifndef LEAVEOUT_JOBS_SCALING_H
#define LEAVEOUT_JOBS_SCALING_H

#include "jobs/score_list.h"
#include "jobs/score_source.h"
#include "mpi/h5file.h"
#include "score/bootstrap.h"
#include "score/comparison.h"
#include "score/reliability.h"

#include <stdbool.h>
#include <stdint.h>

/* What a score costs, in core-seconds: its own work, that of the scores that it is made of included, and the
 * trainings that others may share with it. */
typedef struct lo_score_cost {
    double own;
    double originals; /* all of the job's, if it needs any */
    double ensemble;  /* of the models that it looks at */
    int64_t models;   /* how many of the ensemble's last ones that are; all of them: of the reference too */
} lo_score_cost;

/* A row of the study: a score. */
typedef struct lo_scaling_row {
    const lo_listed_score *listed;
    lo_score_cost cost;
    double total;       /* own and shared, in trainings */
    bool in_reference;  /* it looks at models that the reference is made of */
    bool front;         /* no other row that is not in_reference beats it in Spearman's correlation */
    double front_share; /* of the resamples */
    /* The estimate from few models at equal cost, where their curve goes that far: */
    const char *against;     /* "probability", ...: which; "": none */
    lo_interval difference;  /* of Spearman's correlations, this row's less the curve's, 95 % */
    double difference_value; /* of the sample */
    double worth;            /* trainings at which the curve reaches this row; NaN: not within it */
    /* screening: of the examples whose reference is above 0.25, and 0.5, the share that is no candidate */
    double missed_quarter, missed_half;
} lo_scaling_row;

/* The best that a budget buys. */
typedef struct lo_scaling_budget {
    double trainings;
    int best;          /* row; -1: none */
    double few_models; /* the best curve's correlation there; NaN: none */
    const char *by;    /* which */
} lo_scaling_budget;

typedef struct lo_scaling {
    lo_study *study;
    lo_score_list list;
    lo_score_source source;
    lo_h5_reader scores; /* scores.h5 */
    int64_t n, group, resamples, splits;
    int64_t held_back; /* models that few_models looks at, and the reference does not */
    int64_t models;    /* that the reference is made of */
    int64_t noisy;     /* examples with a replaced label */
    uint8_t *use;      /* [ceil(planned/8)]: those models */
    lo_columns mask, correct;
    int rows;
    lo_scaling_row *row; /* [rows] */
    double training;     /* core-seconds of a training on the whole training set */
    lo_reliability reliability;
    lo_comparison comparison;
    /* On rank 0: [rows, LO_COMPARED_COUNT]; replicate [rows * LO_COMPARED_COUNT, resamples]. */
    double *estimate, *low, *high, *replicate;
    int budgets;
    lo_scaling_budget *budget;
} lo_scaling;

static inline double lo_scaling_estimate(const lo_scaling *s, int row, lo_compared statistic)
{
    return s->estimate[row * LO_COMPARED_COUNT + (int)statistic];
}

/* May this row be taken for a budget, or be on the front? Not one that has the reference's noise in it. */
static inline bool lo_scaling_is_rival(const lo_scaling_row *row)
{
    return !row->in_reference;
}

/* Local. Costs of the rows, from what scores.h5 and the ensemble say. */
lo_status lo_scaling_costs(lo_scaling *scaling, lo_error *err);

/* Rank 0, from estimates, replicates and costs: fronts, equal cost, budgets. */
lo_status lo_scaling_weigh(lo_scaling *scaling, lo_error *err);

/* Collective. Writes scaling.h5; rank 0 has the rows. */
lo_status lo_scaling_write(const lo_scaling *scaling, uint64_t digest, lo_h5 *h5, lo_error *err);

/* Before anything is trained: is there what the section needs? Errors: LO_USAGE. */
lo_status lo_scaling_check(const lo_job *job, lo_error *err);

#endif
