/* The table of scores: what gives every training example one number that says how much it is memorized, or
 * stands in for that. A new score is one file that defines an lo_score, and one line in the list of scores.c.
 *
 * A score says what it needs, and is computed from just that by one function, which every rank calls for its
 * own block of examples (shard). What it needs decides how often:
 *
 *   LO_FROM_COUNTS, LO_FROM_OUTCOMES   once, from what the models of the ensemble did
 *   LO_FROM_LOG, _WEIGHTS, _CHECKPOINTS  once for each original; the score is the mean over originals, and
 *                                      with two or more of them it has the standard error of that mean
 *   LO_FROM_SCORES                     once, from other scores of the job
 *   tasks                              trainings of its own, which the ranks share before: see lo_score.task
 *
 * Values do not depend on the number of ranks: an example's are computed from it alone, or (gather) from
 * values of all examples that every rank has. */
#ifndef LEAVEOUT_SCORE_SCORES_H
#define LEAVEOUT_SCORE_SCORES_H

#include "base/checkpoint.h"
#include "base/items.h"
#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/network.h"
#include "nn/training.h"
#include "score/subset.h"

#include <stdbool.h>
#include <stdint.h>

/* Outcomes of pairs of models that differ in one example only, on that example: `plus` pairs of which only
 * the model trained with the example was right on it, `minus` pairs of which only the other was. */
typedef struct lo_pairs {
    int32_t plus, minus, pairs;
} lo_pairs;

/* What a score is computed from: bits of lo_score.needs. */
enum {
    LO_FROM_COUNTS = 1,         /* how often the ensemble's models were right on an example, in and out */
    LO_FROM_OUTCOMES = 2,       /* every model's outcome */
    LO_FROM_LOG = 4,            /* the log of an original's training (originals.log becomes true by itself) */
    LO_FROM_WEIGHTS = 8,        /* the weights at the end of it */
    LO_FROM_CHECKPOINTS = 16,   /* and those of originals.checkpoints, of which there must be some */
    LO_FROM_VALIDATION = 32,    /* the validation split, which must not be empty */
    LO_FROM_SCORES = 64,        /* other scores of the job: see lo_score.uses */
    LO_FROM_FILE = 128,         /* a file of numbers made elsewhere */
    LO_FROM_INPUT_SQUARES = 256 /* LO_LOG_INPUT_SQUARE, with LO_FROM_LOG: it makes trainings longer */
};
enum { LO_FROM_ORIGINALS = LO_FROM_LOG | LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS };

/* What a score gives beside its values: bits of lo_score.gives. */
enum { LO_GIVES_ERROR = 1, LO_GIVES_INTERVAL = 2 };

/* What a model of the ensemble did on the training examples of a shard: `in` and `correct` are 0 or 1, margin
 * is phi (see lo_logit_margin), NaN where it was not stored. */
typedef struct lo_model_outcome {
    uint8_t *in, *correct; /* [count] */
    float *margin;         /* [count] */
} lo_model_outcome;

/* What a score may look at. Its needs decide what is there; all else is NULL or 0. Functions take `self`
 * first. */
typedef struct lo_score_input {
    const lo_dataset *data;     /* data->train has n examples */
    int64_t n, first, count;    /* training examples; this rank's are first .. first + count - 1 */
    const lo_item *item;        /* the score's settings */
    const lo_model_spec *model; /* the job's, for trainings of the score's own */
    const lo_recipe *recipe;
    const lo_tick *tick;
    void *self;

    /* LO_FROM_COUNTS */
    const lo_counts *counts; /* [count] of lo_count */
    const lo_pairs *pairs;   /* [count] of lo_pairs_count for designs with pairs, else NULL */
    int64_t block;           /* models of a balanced block (lo_block_factor); 0: they are independent */

    /* LO_FROM_OUTCOMES: row 0 .. models - 1, those that diverged left out, in ascending order of their
     * numbers. The result is valid until the next call. */
    int64_t models;
    lo_status (*outcome)(void *self, int64_t row, lo_model_outcome *out, lo_error *err);
    /* For designs with pairs: the rows of pair 0 .. row_pairs - 1, those without a model left out. */
    int64_t row_pairs;
    void (*row_pair)(void *self, int64_t pair, int64_t *a, int64_t *b);

    /* LO_FROM_ORIGINALS, of one original: its number; the epochs of the recipe. */
    uint64_t seed;
    int64_t epochs;
    /* LO_FROM_LOG: a quantity of every epoch, [epochs, count], the whole training's; correct likewise, 0 or
     * 1. weight_norm [epochs]: the norm of all weights after each epoch, NaN where an early version has
     * logged. Valid while this original is looked at. */
    lo_status (*log)(void *self, lo_quantity quantity, const float **values, lo_error *err);
    lo_status (*log_correct)(void *self, const uint8_t **correct, lo_error *err);
    const double *weight_norm;
    /* LO_FROM_WEIGHTS, _CHECKPOINTS: the network of the recipe, and what puts weights into it: those after
     * `epochs`, one of checkpoint[checkpoints] (ascending), or with 0 those at the end. */
    lo_network *network;
    lo_status (*load)(void *self, int64_t epochs, lo_error *err);
    const int64_t *checkpoint;
    int checkpoints;

    /* Collective, so every rank calls it equally often, also with a status other than LO_OK, which is then
     * everyone's: the rows [count, width] of all ranks, [n, width] in the order of the examples. */
    lo_status (*gather)(void *self, lo_status status, const float *mine, int64_t width, float *all,
                        lo_error *err);

    /* LO_FROM_SCORES: a score that lo_score.uses names; value [n] and its orientation. Valid until the stage
     * ends; within a task, where it is read from what is published, until the next call. */
    lo_status (*score)(void *self, const char *name, const float **value, int *orientation, lo_error *err);

    /* Scores with tasks: how many of them there are, and what one has given, [n, columns], valid until the
     * next call. */
    int64_t tasks;
    lo_status (*result)(void *self, int64_t task, const float **values, lo_error *err);

    /* Within a task: a trainer of the job's model, with train.from, for another recipe or other data than the
     * job's (the caller destroys it); where the weights of an original are, after `epochs` or with 0 at the
     * end; how many originals there are, and which seeds they have; and for lo_trainer_checkpoint. */
    lo_status (*trainer)(void *self, const lo_recipe *recipe, const lo_dataset *data, lo_trainer **out,
                         lo_error *err);
    void (*weights)(void *self, int64_t seed, int64_t epochs, char *path, size_t size);
    int64_t originals;
    const int64_t *original; /* [originals] */
    lo_checkpoint *saving;
} lo_score_input;

/* What a score computes beside reading, in examples that pass the network: forward and backward with a step,
 * or as much work (gradients in the input alone are 0.7 of it), and forward alone. */
typedef struct lo_score_work {
    double trained, evaluated;
    double everywhere; /* forward alone, by every rank however many there are */
    double operations; /* in float32 beside the network, in products of matrices or as much work */
} lo_score_work;

typedef struct lo_score {
    const char *name;        /* as in the job file: "memorization" */
    const char *description; /* one line */
    int orientation;         /* +1: large means more memorized; -1: small does */
    const char *source;      /* publication */
    unsigned needs, gives;
    bool among; /* LO_FROM_WEIGHTS: an example's value depends on the other training examples too */
    const lo_setting *setting; /* [settings]; may be NULL */
    int settings;

    /* Writes out [input->count]: value, NaN where undefined, and what `gives` says; the rest is NaN before.
     * Errors: as the functions of input, LO_INTERNAL without memory. */
    lo_status (*compute)(const lo_score_input *input, lo_estimate *out, lo_error *err);

    /* Before anything is trained, with the data, the settings and the number of models that the ensemble will
     * have: what is wrong with them, naming the key to set (lo_item_fail). May be NULL. */
    lo_status (*check)(const lo_score_input *input, lo_error *err);

    /* Trainings of its own: how many tasks, from settings and recipe, and one of them, done by one rank
     * alone: values [n, columns] of all training examples (input->first is 0, count is n). Done tasks are
     * kept in the journal. task NULL: none. */
    int64_t (*tasks)(const lo_score_input *input);
    lo_status (*task)(const lo_score_input *input, int64_t task, float *values, lo_error *err);
    int columns;
    bool saves; /* a task gives input->saving to its trainer, so that it can be saved half way */

    /* For leaveout plan, with data, settings and recipe: its work, of all its tasks together, or with one
     * original. NULL: nothing to speak of. */
    lo_score_work (*work)(const lo_score_input *input);

    /* LO_FROM_LOG: how much of an original's training it looks at, 0 to 1: a training that ends there would
     * do. NULL: all. Errors: as compute. */
    lo_status (*share_of_training)(const lo_score_input *input, double *share, lo_error *err);

    /* LO_FROM_SCORES: the number-th score it needs, NULL after the last. */
    const char *(*uses)(const lo_item *item, int number);

    /* LO_FROM_OUTCOMES: how many models it looks at, the last of the ensemble. NULL: all of them. */
    int64_t (*models)(const lo_item *item);
} lo_score;

int lo_score_count(void);
const lo_score *lo_score_at(int i);

/* NULL for a name that no score has. */
const lo_score *lo_score_find(const char *name);

/* For scores with tasks that give one value an example: the mean of those that are not NaN, over `tasks`, and
 * with two or more the standard error of that mean. */
lo_status lo_score_mean_of_tasks(const lo_score_input *input, int64_t tasks, lo_estimate *out, lo_error *err);

/* For scores from the log, in double: the sum of a quantity over the first `epochs`, times a factor. */
lo_status lo_score_log_sum(const lo_score_input *input, lo_quantity quantity, int64_t epochs, double factor,
                           lo_estimate *out, lo_error *err);

/* For those with the setting `until`: that, or where it is 0 the epochs up to the (first) largest norm of the
 * weights; lo_score.share_of_training and lo_score.check for it. Errors: LO_USAGE. */
lo_status lo_score_log_stop(const lo_score_input *input, int64_t *epochs, lo_error *err);
lo_status lo_score_share_until(const lo_score_input *input, double *share, lo_error *err);
lo_status lo_score_check_until(const lo_score_input *input, lo_error *err);

/* The mean over all epochs. */
lo_status lo_score_log_mean(const lo_score_input *input, lo_quantity quantity, lo_estimate *out,
                            lo_error *err);

#endif
