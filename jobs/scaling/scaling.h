/* The study of scores: what each costs, how well it agrees with memorization, and what is best for a budget.
 * What the files of the stage share. */
#ifndef LEAVEOUT_JOBS_SCALING_H
#define LEAVEOUT_JOBS_SCALING_H

#include "jobs/scores/score_cost.h"
#include "jobs/scores/score_list.h"
#include "jobs/scores/score_source.h"
#include "mpi/h5file.h"
#include "score/bootstrap.h"
#include "score/comparison.h"
#include "score/reliability.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum { LO_SCALING_BLOCKS = 100 }; /* that are left out in turn, for the acceleration of BCa */

/* A row of the study: a score, or a score from one original. Where several sets of values are worth the same
 * (those of each original, estimates from few models of disjoint groups of models), the row's statistics are
 * their means. */
typedef struct lo_scaling_row {
    const lo_listed_score *listed;
    char name[LO_H5_TEXT_SIZE];
    bool each_original; /* statistics of each original's values, at the cost of one */
    int64_t originals;  /* whose mean the values are; 0: it needs none */
    int first, columns; /* its sets of values, numbers of the comparison */
    lo_score_cost cost;
    double total;       /* own and shared, in trainings; NaN: not known */
    double later;       /* the same less the originals, for who has trained them already */
    bool in_reference;  /* it looks at models that the reference is made of */
    bool front;         /* no other rival beats it in Somers' D at its cost */
    double front_share; /* of the resamples */
    bool later_front;   /* the same by `later` */
    double later_front_share;
    /* The estimate from few models at equal cost, where their curve goes that far: */
    const char *against;     /* "probability", ...: which; "": none */
    lo_interval difference;  /* of Somers' D, this row's less the curve's, 95 % */
    double difference_value; /* of the sample */
    double worth;            /* trainings at which the curve reaches this row; NaN: not within it */
    double rmse;             /* from the reference, of scores on its scale; NaN: another scale */
    /* screening: of the examples whose reference is above 0.25, and 0.5, the share that is no candidate; and
     * how many times as many models leave as many without each example that leave out all alike */
    double missed_quarter, missed_half, saving;
} lo_scaling_row;

/* The best that a budget buys. */
typedef struct lo_scaling_budget {
    double trainings;
    int best;          /* row; -1: none */
    double few_models; /* the best curve's Somers' D there; NaN: none */
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
    int rows, columns;                        /* sets of values of all rows */
    lo_scaling_row *row;                      /* [rows] */
    double training;                          /* core-seconds of a training on the whole training set */
    double in_accuracy, in_accuracy_replaced; /* of the reference's models on what they were trained on: all,
                                                 and replaced labels (NaN without) */
    lo_reliability reliability;
    lo_comparison comparison;
    double *each; /* [columns, LO_COMPARED_COUNT]: room */
    /* On rank 0: [rows, LO_COMPARED_COUNT]; replicate [rows * LO_COMPARED_COUNT, resamples]. spread: the
     * standard deviation of the row's sets of values, NaN for one alone. */
    double *estimate, *low, *high, *spread, *replicate;
    int budgets;
    lo_scaling_budget *budget;
} lo_scaling;

static inline double lo_scaling_estimate(const lo_scaling *s, int row, lo_compared statistic)
{
    return s->estimate[row * LO_COMPARED_COUNT + (int)statistic];
}

/* May this row be taken for a budget, or be on the front? Not one that has the reference's noise in it, nor
 * one whose cost nobody knows. */
static inline bool lo_scaling_is_rival(const lo_scaling_row *row)
{
    return !row->in_reference && !isnan(row->total);
}

/* Collective. Costs of the rows, from what scores.h5 and the ensemble say. */
lo_status lo_scaling_costs(lo_scaling *scaling, lo_error *err);

/* Rank 0, from estimates, replicates and costs: fronts, equal cost, budgets. */
lo_status lo_scaling_weigh(lo_scaling *scaling, lo_error *err);

/* Local. The rows' sets of values, values [columns, n], turned so that large means more memorized, and what
 * else is found by looking at them and at reference [n]. Errors: LO_IO, LO_DATA, LO_INTERNAL. */
lo_status lo_scaling_values(lo_scaling *scaling, double *values, lo_error *err);
lo_status lo_scaling_look(lo_scaling *scaling, const double *values, const double *reference, lo_error *err);

/* Which rows there are, from the job and scores.h5. */
lo_status lo_scaling_choose_rows(lo_scaling *scaling, lo_error *err);

/* The models that the largest estimate from few models looks at. */
int64_t lo_scaling_most_models(const lo_score_list *list);

/* Is this what the others are compared with? */
bool lo_scaling_is_reference(const lo_listed_score *listed);

/* Collective. Writes scaling.h5; rank 0 has the rows. */
lo_status lo_scaling_write(const lo_scaling *scaling, uint64_t digest, lo_h5 *h5, lo_error *err);

/* Before anything is trained: is there what the section needs? Errors: LO_USAGE. */
lo_status lo_scaling_check(const lo_job *job, lo_error *err);

#endif
