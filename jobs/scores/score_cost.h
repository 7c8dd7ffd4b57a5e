/* What a score costs beside the work that is its own: the trainings that it shares with others. */
#ifndef LEAVEOUT_JOBS_SCORE_COST_H
#define LEAVEOUT_JOBS_SCORE_COST_H

#include "jobs/scores/score_list.h"
#include "jobs/scores/score_source.h"

/* In core-seconds. All of it is that of the score and of all that it is made of; trainings that several of
 * these need count once. */
typedef struct lo_score_cost {
    double own;            /* NaN: there is a file among them that does not say (setting cost) */
    double originals;      /* all of the job's, if it needs any, as far as they are used */
    double ensemble;       /* of the models that it looks at */
    int64_t models;        /* how many of the ensemble's last ones that are */
    bool file_of_ensemble; /* there is a file among them that was made from the ensemble (uses_ensemble) */
} lo_score_cost;

typedef struct lo_score_costs {
    const lo_score_list *list;
    const lo_score_source *source;
    const double *own;   /* [list->count]: core-seconds of each score alone */
    const double *share; /* [list->count]: how much of an original's training it uses (share_of_training) */
    double training;     /* lo_score_training */
} lo_score_costs;

/* Collective over the study's ranks. The core-seconds of a training on the whole training set: a model of the
 * ensemble's divided by its share of the examples, so without what originals log. NaN without an ensemble.
 * lo_score_source_prepare comes before. */
double lo_score_training(const lo_score_source *source);

/* Local. Of score number `at`. Originals that log gradients in the input for a score (it makes them longer
 * than a training) count as a training for the others, and in full for that one. Errors: LO_IO, LO_DATA;
 * LO_INTERNAL without memory. */
lo_status lo_score_cost_of(const lo_score_costs *costs, int at, lo_score_cost *out, lo_error *err);

#endif
