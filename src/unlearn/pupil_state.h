/* What a pupil is made of; for pupil_*.c alone. */
#ifndef LEAVEOUT_UNLEARN_PUPIL_STATE_H
#define LEAVEOUT_UNLEARN_PUPIL_STATE_H

#include "base/checkpoint.h"
#include "nn/optimizers/optimizer.h"
#include "nn/order.h"
#include "unlearn/pupil.h"

enum { LO_EXAMPLES_A_TICK = 64 };

struct lo_pupil {
    lo_recipe recipe;
    lo_recipe pace; /* the recipe with the optimizer of the steps */
    const lo_dataset *dataset;
    lo_network *network;
    lo_arena *weights_arena; /* original, teachers' weights: weights, then statistics */
    float *original, *teacher[LO_TEACHERS];
    float *start; /* weights, then statistics, that trainings start from; NULL: fresh ones */
    bool teaches[LO_TEACHERS];

    /* Made anew when a method begins with another size or precision. */
    lo_arena *arena;
    size_t capacity;
    int64_t batch; /* of feeds that ask for no other */
    lo_precision precision;
    lo_optimizer_state optimizer;
    float *sum;                         /* [weight_size]: what gradients are added up in */
    float *gradient_mask;               /* [weight_size]: 1 or 0 */
    float *teacher_logits[LO_TEACHERS]; /* [capacity, logit step] */
    int32_t *labels;                    /* [capacity] */
    float *logits, *slope;              /* [capacity, logit step]: of a whole batch that is cut into slices */
    float *image;                       /* one example before its view is taken */

    const lo_request *request;
    const lo_tick *tick; /* what loops call: the caller's, or in a team `quiet` */

    /* In a team: the caller's tick, whose errors wait until all members can be told. */
    const lo_team *team;
    lo_tick quiet;
    const lo_tick *callers;
    lo_status pending;

    /* Between epochs; the leader's. */
    lo_checkpoint *checkpoint; /* NULL: nothing is saved */
    double begun;              /* monotonic: when the method began */

    bool training, views, masks_gradients, diverged;
    int gathered;    /* gradients since the last step */
    unsigned permit; /* LO_READS_... */
    uint8_t *part;   /* [train.count]: 1 + set that the example is in for this request; 0: in none */
    uint8_t *whole;  /* likewise for the whole request, by which is counted */
    int64_t shown[LO_SETS];
};

/* data [size] of a team's leader goes to all its members. */
void lo_pupil_share(lo_pupil *pupil, void *data, size_t size);

/* Checks and counts the reading of training example `row`, or of `count` validation examples. */
lo_status lo_pupil_read_row(lo_pupil *pupil, uint32_t row, lo_error *err);
lo_status lo_pupil_read_validation(lo_pupil *pupil, int64_t count, lo_error *err);

/* Writes example `row` of the training set (or validation set) as input `at` of the network. */
typedef struct lo_look {
    bool validation, views;
    uint64_t key;
    int64_t epoch;
} lo_look;
void lo_pupil_show(lo_pupil *pupil, const lo_look *look, uint32_t row, size_t at);

#endif
