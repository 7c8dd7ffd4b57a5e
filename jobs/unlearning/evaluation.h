/* What unlearning achieved: one row for each model and forget set, and a value of every metric for it. Pure
 * functions of counts; who gathers them is unlearning_files.c. */
#ifndef LEAVEOUT_JOBS_EVALUATION_H
#define LEAVEOUT_JOBS_EVALUATION_H

#include "audit/accuracy.h"
#include "audit/interval.h"
#include "jobs/unlearning/unlearned.h"
#include "jobs/unlearning/unlearning.h"

#include <stdint.h>

typedef enum lo_eval_metric {
    LO_EVAL_UNLEARNING_ACCURACY, /* UA = 1 - forget accuracy */
    LO_EVAL_FORGET_ACCURACY,
    LO_EVAL_RETAIN_ACCURACY,
    LO_EVAL_VALIDATION_ACCURACY,
    LO_EVAL_TEST_ACCURACY,
    LO_EVAL_ORIGINAL_FORGET_ACCURACY, /* of the original that it began with, on the same forget set */
    LO_EVAL_TOW,
    LO_EVAL_TIME_RATIO,          /* seconds over the oracles' */
    LO_EVAL_RUN_TIME_EFFICIENCY, /* the oracles' over its own */
    LO_EVAL_CRITERION,           /* what a search chooses settings by: the smaller the better */
    LO_EVAL_METRICS
} lo_eval_metric;

/* "unlearning_accuracy", ... and one line on it. */
const char *lo_eval_name(lo_eval_metric metric);
const char *lo_eval_description(lo_eval_metric metric);

/* Sets whose hits are counted. */
enum { LO_ON_FORGET, LO_ON_RETAIN, LO_ON_VALIDATION, LO_ON_TEST, LO_ON };

/* Mean losses: on the forget set; on validation examples that look like those that are kept: of classes that
 * are not forgotten as a whole. NaN without examples. */
enum {
    LO_LOSS_FORGET, /* mean loss on forget examples of classes that have a retained one; NaN without any */
    LO_LOSS_UNSEEN, /* likewise on validation examples */
    LO_LOSS_GONE,   /* share of the other forget examples that it is right on; 0 without any */
    LO_LOSSES
};

/* What is known of a task. */
typedef struct lo_measured {
    int64_t done, applies, diverged, shown[LO_SETS];
    double seconds;
    char reason[LO_REASON], processor[LO_MAX_PROCESSOR];
    lo_hits *hits; /* [forgotten_count, LO_ON]: of the sets that the task is about, of an original all */
    double *loss;  /* [forgotten_count, LO_LOSSES], likewise */
} lo_measured;

/* A model on a forget set. */
typedef struct lo_eval_row {
    const lo_unlearning_task *task;
    const lo_measured *measured;
    int forgotten;
    lo_bounded value[LO_EVAL_METRICS]; /* 95 % */
    double ceiling[LO_EVAL_METRICS];   /* what the oracles have: of ToW each against the others */
    bool chosen;                       /* of the settings of its method those with the smallest criterion on
                                        * this set, mean over seeds; true where there are no others */
} lo_eval_row;

/* The criterion (unlearning.criterion) is
 *   oracle_gap       the mean of |accuracy - mean of the oracles'| on forget, retain and validation set, or,
 *                    without one, test set
 *   validation_loss  |mean loss on the forget set - on unseen examples| + |mean loss on unseen examples - the
 *                    original's|; where whole classes are forgotten, whose losses have no such aim, the
 * forget accuracy stands in place of the first term.
 *
 * The rows of all finished tasks: set by set the originals, the oracles, then the runs in the job's order of
 * methods. measured [u->tasks]. Accuracies have Clopper and Pearson's interval; ToW is the mean over the
 * oracles (of an oracle the others) with Student's interval, cut at 0 and 1; what needs an oracle is NaN
 * without. malloc'ed
 * [*count]; the caller frees it. Errors: LO_INTERNAL without memory. */
lo_status lo_evaluate(const lo_unlearning *u, const lo_measured *measured, lo_eval_row **rows, int64_t *count,
                      lo_error *err);

/* "original", "oracle", or the method's name; its settings as text, "" for the defaults. */
const char *lo_eval_method(const lo_unlearning *u, const lo_eval_row *row);
const char *lo_eval_setting(const lo_unlearning *u, const lo_eval_row *row);

#endif
