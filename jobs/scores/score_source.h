/* Where the stage of scores finds what they are computed from: the ensemble's file, the originals' log and
 * weights. */
#ifndef LEAVEOUT_JOBS_SCORE_SOURCE_H
#define LEAVEOUT_JOBS_SCORE_SOURCE_H

#include "base/tick.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/study.h"
#include "jobs/watch.h"
#include "mpi/h5file.h"
#include "nn/trainer.h"
#include "score/scores.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_score_source {
    lo_study *study;
    int64_t n, first, count; /* examples; this rank's */
    lo_model_spec model;
    lo_recipe recipe;
    lo_tick tick;
    lo_watch watch; /* of the tick */

    /* The ensemble. */
    bool has_ensemble;
    lo_ensemble_file ensemble;
    lo_counts *counts; /* [count] */
    lo_pairs *pairs;   /* [count], or NULL */
    bool has_margins;
    int64_t *row;                 /* [rows]: of those that did not diverge, ascending by model */
    int64_t models;               /* how many */
    int64_t row_pairs, *row_pair; /* [row_pairs, 2]: numbers in `row` of models to be compared */
    uint8_t *packed;              /* a row of bits */
    float *margins;               /* a row of margins of all examples */
    lo_model_outcome outcome;

    /* The originals. */
    bool has_originals;
    lo_h5_reader training;
    int64_t *seed;           /* [originals]: those that did not diverge */
    int64_t originals, rows; /* and all */
    double originals_seconds;
    bool has_gradients; /* they have logged those in the input, which takes longer */
    int64_t epochs;
    int64_t now;                   /* the one that is looked at, its seed */
    float *log[LO_LOG_QUANTITIES]; /* [epochs, count], NULL: not read yet; as the next two */
    uint8_t *log_correct;
    double *weight_norm;
    float *published; /* [n]: a score of scores.h5, for trainings that look at one */
    lo_trainer *trainer;
    int64_t *checkpoint;
    int checkpoints;
} lo_score_source;

/* Opens what is there, on every rank by itself. Errors: LO_IO, LO_DATA, LO_INTERNAL. Close it in any case. */
lo_status lo_score_source_open(lo_study *study, lo_score_source *out, lo_error *err);
void lo_score_source_close(lo_score_source *source);

/* Makes ready what `needs` says, for lo_score_source_input. Local. */
lo_status lo_score_source_prepare(lo_score_source *source, unsigned needs, lo_error *err);

/* Looks at an original from now on, of seed number i. */
lo_status lo_score_source_turn(lo_score_source *source, unsigned needs, int64_t i, lo_error *err);

/* What a score with these needs may look at. */
lo_score_input lo_score_source_input(lo_score_source *source, unsigned needs);

/* Collective over the study's ranks: see lo_score_input.gather. */
lo_status lo_score_gather(lo_study *study, lo_status status, const float *mine, int64_t n, int64_t width,
                          float *all, lo_error *err);

#endif
