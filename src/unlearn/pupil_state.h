/* What a pupil is made of; for pupil_*.c alone. */
#ifndef LEAVEOUT_UNLEARN_PUPIL_STATE_H
#define LEAVEOUT_UNLEARN_PUPIL_STATE_H

#include "base/checkpoint.h"
#include "nn/optimizers/optimizer.h"
#include "nn/order.h"
#include "nn/team_threads.h"
#include "unlearn/pupil.h"

enum { LO_EXAMPLES_A_TICK = 64, LO_MOST_KEPT = 4 };

/* What a thread of a pupil works with: a network of its own, for its share of a batch's slices. */
typedef struct lo_hand {
    lo_network *network;
    lo_arena *arena; /* of the network; NULL: the pupil's */
    float *image;    /* one example before its view is taken */
} lo_hand;

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
    lo_hand *hand;                      /* [hands]: the first is the pupil's own network */
    int hands;

    const lo_request *request;
    const lo_tick *tick; /* what loops call: the caller's, or in a team `quiet` */

    lo_thread_team *threads; /* on top of the ranks; NULL: this is the only one */

    /* In a team, or with threads: the caller's tick, whose errors wait until all members can be told. */
    const lo_team *team; /* of ranks */
    lo_tick quiet;
    const lo_tick *callers;
    lo_status pending;

    /* Between epochs and parts; file and time are the leader's. */
    lo_checkpoint *checkpoint;       /* NULL: nothing is saved */
    double begun;                    /* monotonic: when the method began */
    bool refused;                    /* the file was looked at, and complained of */
    int64_t part_number, part_count; /* of the request that the method goes through */
    float *part_start; /* weights, then statistics, that this part began with; NULL before the second */
    lo_kept kept[LO_MOST_KEPT];
    int kept_count;

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
void lo_pupil_show(const lo_pupil *pupil, const lo_hand *hand, const lo_look *look, uint32_t row, size_t at);

/* work(pupil, hand, self) on all threads, each with its hand, that of the first as the pupil's network is:
 * weights, statistics, frozen layers, draws. Denormal numbers are flushed. Returns the first thread's status:
 * no work may end early but for its tick (lo_hand_tick), which does not fail where there are several. Errors:
 * LO_INTERNAL when the system gives fewer threads. */
typedef lo_status lo_hand_work(lo_pupil *pupil, lo_hand *hand, void *self);
lo_status lo_pupil_on_hands(lo_pupil *pupil, lo_hand_work *work, void *self, lo_error *err);
const lo_tick *lo_hand_tick(const lo_pupil *pupil, const lo_hand *hand);

/* pupil_hands.c: the networks of the threads after the first, and their memory for batches of the pupil's
 * capacity and precision; made anew when these change. */
lo_status lo_hands_create(lo_pupil *pupil, const lo_model_spec *model, int threads, lo_error *err);
lo_status lo_hands_make_room(lo_pupil *pupil, lo_error *err);
void lo_hands_destroy(lo_pupil *pupil);

#endif
