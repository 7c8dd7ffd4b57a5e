/* A pupil: a network that is made to forget, its teachers where a method has some, optimizer, batches, and
 * the account of what it was shown. What methods of unlearning are written in:
 *
 *   lo_pupil_begin             the sets of a request, room for batches, evaluation or training mode
 *   lo_feed                    batches of some examples, epoch after epoch, in a keyed order
 *   lo_pupil_learn             forward, a loss of the whole batch's logits, backward; gradients add up
 *   lo_pupil_step              one step of the optimizer with the sum
 *   lo_pupil_gradients         exact sums over examples, in evaluation mode
 *
 * A loss sees the logits of a whole batch and writes the slopes of all of them, and nothing else decides what
 * flows back: ranks that share the slices of a batch gather its logits, which are few, run the loss each, and
 * take the slopes of their own slices.
 *
 * While a pupil computes, denormal numbers are flushed to zero; the caller's setting comes back. */
#ifndef LEAVEOUT_UNLEARN_PUPIL_H
#define LEAVEOUT_UNLEARN_PUPIL_H

#include "base/checkpoint.h"
#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/network.h"
#include "nn/team.h"
#include "nn/training.h"
#include "unlearn/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_pupil lo_pupil;

/* Evaluation takes so many examples at a time at least, however small batches are. */
enum { LO_SMALLEST_ROOM = 64 };

/* ---- for who runs methods ---- */

/* Room for a network of the job's model and batches of up to recipe->batch. recipe gives precision, betas,
 * augmentation, label smoothing and seed. Errors: as lo_trainer_create. The caller destroys it; dataset must
 * outlive it. */
lo_status lo_pupil_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                          lo_pupil **out, lo_error *err);
/* The same for a member of a team of ranks (NULL: this rank alone), with `threads` threads each, which share
 * recipe->slices slices of each batch (nn/slices.h); ranks times threads divide these. All members make the
 * same calls in the same order with equal arguments, and get the same bits, those of one thread alone.
 * Batches of steps are shared; what is taken over all of some examples in evaluation mode each rank computes
 * itself, on one thread, and losses (lo_batch_loss) are called on one. Member 0 leads: its tick counts, and
 * what it returns comes out on all, between two batches. Errors: also LO_USAGE for slices that do not fit. */
lo_status lo_pupil_create_team(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                               const lo_team *ranks, int threads, lo_pupil **out, lo_error *err);
void lo_pupil_destroy(lo_pupil **pupil);

/* Weights and statistics of a file (the original's), which are also what lo_pupil_original gives. Ends what
 * masks and freezing there were, forgets the account. In a team the leader alone reads the file. Errors: as
 * lo_weights_load. */
lo_status lo_pupil_load(lo_pupil *pupil, const char *file, lo_error *err);

/* Trainings from now on (lo_pupil_renew) start from the weights and statistics of a file, as those of a
 * trainer do after lo_trainer_start_from; the network holds them until the next lo_pupil_load. Errors: as
 * lo_weights_load; LO_INTERNAL without memory. */
lo_status lo_pupil_start_from(lo_pupil *pupil, const char *file, lo_error *err);

/* Until the next load the method is saved there between epochs, when the checkpoint asks for it, and goes on
 * from there; its seconds are told from now on. NULL, or without a file: not. In a team the leader's counts.
 */
void lo_pupil_checkpoint(lo_pupil *pupil, lo_checkpoint *checkpoint);

/* The network is the same object as long as the pupil lives; its buffers move when a method begins. */
lo_network *lo_pupil_network(lo_pupil *pupil);
const lo_recipe *lo_pupil_recipe(const lo_pupil *pupil);
const lo_dataset *lo_pupil_dataset(const lo_pupil *pupil);
const float *lo_pupil_original(const lo_pupil *pupil); /* weights [weight_size], then statistics */

/* Examples shown to the pupil or its teachers so far, each time counted. Parts of a request count as the sets
 * of the whole one. */
int64_t lo_pupil_shown(const lo_pupil *pupil, lo_set set);
/* The sets that may be read from now on (LO_READS_...): to read another one is LO_INTERNAL. */
void lo_pupil_permit(lo_pupil *pupil, unsigned reads);
unsigned lo_pupil_permitted(const lo_pupil *pupil);
/* A loss, a weight or a statistic became NaN or infinite. Where it was a loss all weights are NaN, as a
 * training that diverged leaves them. */
bool lo_pupil_diverged(const lo_pupil *pupil);

/* ---- for methods ---- */

/* Takes up a request: its sets are those that can be read; batches are of up to `batch` examples (0: the
 * recipe's); training mode, views as the recipe augments; an optimizer must be chosen; masks, freezing and
 * teachers there were are ended. request and tick (which may be NULL) must outlive what the pupil then does.
 * Errors: LO_INTERNAL without memory. */
lo_status lo_pupil_begin(lo_pupil *pupil, const lo_request *request, int64_t batch, const lo_tick *tick,
                         lo_error *err);
/* The same with kernels of float32, whatever the recipe's precision (lo_product wants them). The next begin
 * ends that. */
lo_status lo_pupil_begin_f32(lo_pupil *pupil, const lo_request *request, int64_t batch, const lo_tick *tick,
                             lo_error *err);
const lo_tick *lo_pupil_tick(const lo_pupil *pupil);

/* Evaluation mode: batch normalization by the running statistics, which stay, and no dropout. */
void lo_pupil_set_training(lo_pupil *pupil, bool training);
/* Are batches augmented as in training? */
void lo_pupil_set_views(lo_pupil *pupil, bool views);

/* What a run's random numbers are keyed by, one key for each use. */
typedef enum lo_use {
    LO_USE_WEIGHTS, /* fresh weights, and the order and views of a training afresh */
    LO_USE_FORGET,  /* order and views of the forget set's batches */
    LO_USE_RETAIN,
    LO_USE_BOTH, /* of forget and retain set together */
    LO_USE_VALIDATION,
    LO_USE_TEACHER, /* fresh weights of a teacher */
    LO_USE_LABELS,  /* labels drawn */
    LO_USE_CHOICE   /* which examples, units or weights are taken */
} lo_use;
uint64_t lo_pupil_key(const lo_pupil *pupil, lo_use use);
/* Uniform in 0 .. n - 1, of the counter (a, b) of a use. */
uint64_t lo_pupil_draw(const lo_pupil *pupil, lo_use use, uint64_t a, uint64_t b, uint64_t n);

/* The weights and statistics that a training of model seed `key` begins with: fresh ones in every layer, or
 * those of lo_pupil_start_from. */
lo_status lo_pupil_renew(lo_pupil *pupil, uint64_t key);

/* The optimizer of the steps from now on, all its state forgotten. */
typedef struct lo_pace {
    lo_optimizer optimizer;
    double lr, momentum, weight_decay; /* sgd and adamw as in lo_recipe; betas and epsilon the job's */
    double clip_norm;                  /* 0: none */
    bool nesterov;
} lo_pace;
lo_status lo_pupil_pace(lo_pupil *pupil, const lo_pace *pace, lo_error *err);

/* The learning rate of epoch `epoch` (from 0) of `epochs`, by torch's CosineAnnealingLR stepped every epoch:
 * from lr to floor, which it would reach after the last. */
double lo_cosine_rate(double lr, double floor, int64_t epoch, int64_t epochs);

/* Vectors of all parameters, frozen or not, in PyTorch's order: parameter by parameter as the network has
 * them (statistics left out), each flat [out, in, taps]; lo_pupil_size values. */
size_t lo_pupil_size(const lo_pupil *pupil);

/* The values of the weights. */
void lo_pupil_weights(const lo_pupil *pupil, float *to);
void lo_pupil_set_weights(lo_pupil *pupil, const float *from);
/* The head: the parameters of the last layer that has some, elements from the one returned to the last. */
size_t lo_pupil_head(const lo_pupil *pupil);

/* What is trained from now on: trained[lo_pupil_size], 0 for what keeps its bits (weight decay, momentum and
 * moments included); NULL: everything. Errors: LO_INTERNAL without memory. */
lo_status lo_pupil_train_only(lo_pupil *pupil, const uint8_t *trained, lo_error *err);
/* The same by gradients alone: those of the others are 0, but momentum and weight decay move them. */
lo_status lo_pupil_mask_gradients(lo_pupil *pupil, const uint8_t *trained, lo_error *err);
/* Weights where chosen is not 0 become fresh ones, those of a training of model seed `key` that starts from
 * no file; the others, and the statistics, stay. */
lo_status lo_pupil_reset(lo_pupil *pupil, const uint8_t *chosen, uint64_t key, lo_error *err);

/* ---- teachers */

typedef enum lo_teacher {
    LO_TEACHER_NOW,   /* the network as it is at this moment */
    LO_TEACHER_FRESH, /* fresh weights of LO_USE_TEACHER */
    LO_TEACHERS
} lo_teacher;
/* From now on batches come with this teacher's logits too, in evaluation mode. */
lo_status lo_pupil_teach(lo_pupil *pupil, lo_teacher teacher, lo_error *err);
/* No teacher any more. */
void lo_pupil_dismiss(lo_pupil *pupil);

/* ---- batches */

/* Batches of some training examples (rows), or of validation examples, epoch after epoch: in the order of
 * lo_epoch_order for the key, and in the views of that key and epoch. Each example once an epoch; the last
 * batch may be smaller. */
typedef struct lo_feed lo_feed;

/* rows[count] ascend and must outlive it; label [dataset->train.count], if not NULL, stands in for the
 * training set's labels and may change between batches. batch 0: the size that the pupil began with. Errors:
 * LO_INTERNAL without memory. The caller closes it. */
typedef struct lo_feed_spec {
    const uint32_t *rows;
    int64_t count;
    int64_t batch;
    uint64_t key;
    const int32_t *label;
    int64_t epoch; /* the number of the first one */
} lo_feed_spec;
lo_status lo_feed_open(lo_pupil *pupil, const lo_feed_spec *spec, lo_feed **out, lo_error *err);
void lo_feed_close(lo_feed **feed);
/* Of the feed, and of any: batches of an epoch. */
int64_t lo_feed_batches(const lo_feed *feed);

/* A batch, and what is known of it after the forward pass. */
typedef struct lo_batch {
    const uint32_t *row; /* [count] */
    size_t count;
    int64_t epoch; /* views are keyed by it */
    uint64_t key;
    const int32_t *stand_in; /* of labels; NULL: the data set's */
    /* For losses: */
    const int32_t *label;              /* [count] */
    const float *logits;               /* [count, step], of which `classes` columns count */
    const float *teacher[LO_TEACHERS]; /* likewise; NULL for those that do not teach */
    size_t step;
    int32_t classes;
    double smoothing; /* the recipe's label smoothing */
    float *slope;     /* [count, step], to be written, 0 in padding */
    bool flat;        /* to be set where the slope is 0 everywhere: nothing flows back */
    /* After lo_pupil_learn: */
    double loss;
    int64_t correct;
} lo_batch;

/* The next batch; false once at the end of every epoch, after which the next epoch begins. */
bool lo_feed_next(lo_feed *feed, lo_batch *batch);
/* The next batch, over the ends of epochs (itertools.cycle, but each epoch in an order and views of its own).
 * The feed has examples. */
void lo_feed_cycle(lo_feed *feed, lo_batch *batch);

/* The loss of a batch: writes the slope, the gradient of what it returns in the logits. */
typedef double lo_batch_loss(void *self, lo_batch *batch);

/* Cross-entropy as the recipe has it, the batch's mean times *(const double *)self (1 where self is NULL). */
lo_batch_loss lo_loss_mean;

/* Forward, loss, backward; the gradient is added to those since the last step. A loss that is not finite
 * changes nothing but lo_pupil_diverged, and all weights become NaN. Errors: LO_INTERNAL where a set is read
 * that is not permitted, or an example of none; what tick returned. */
lo_status lo_pupil_learn(lo_pupil *pupil, lo_batch *batch, lo_batch_loss *loss, void *self, lo_error *err);
/* Adds the gradient of strength * sum |w| over all parameters that are trained; 0 at 0. */
void lo_pupil_add_l1(lo_pupil *pupil, double strength);
/* A step with the sum of the gradients, which is then empty. Nothing after divergence. */
lo_status lo_pupil_step(lo_pupil *pupil, double lr);

/* The sum of the gradients instead of a step: to [lo_pupil_size]; empty then. */
void lo_pupil_take_gradient(lo_pupil *pupil, float *to);

/* One epoch of a feed: learn and step with each batch. *correct (may be NULL): how many it was right on. */
lo_status lo_pupil_epoch(lo_pupil *pupil, lo_feed *feed, lo_batch_loss *loss, void *self, double lr,
                         int64_t *correct, lo_error *err);

/* A method that is epochs of feeds and nothing else is interrupted between two of them, and goes on with the
 * bits it would have had:
 *
 *     LO_TRY(lo_pupil_resume(pupil, &e));              how many are done; everything before the first one,
 * such lo_feed_skip(feed, e);                           as masks and teachers, was computed again for (; e <
 * epochs; e++) { LO_TRY(lo_pupil_save(pupil, e, epochs));
 *         ... an epoch, which depends on e, and on nothing else that epochs before it have left
 *     }
 *
 * Saved is what the pupil has: weights, statistics, the optimizer's state, the account; and what the method
 * says that it keeps beside. A file that cannot be read or written is complained of, and costs time. Errors:
 * LO_STOPPED when it was saved in order to stop; what tick returned; LO_INTERNAL without memory. */
lo_status lo_pupil_resume(lo_pupil *pupil, int64_t *done);
lo_status lo_pupil_save(lo_pupil *pupil, int64_t done, int64_t epochs);
/* The feed, of which nothing was taken, as it is after so many epochs; after so many batches, over the ends
 * of epochs, as lo_feed_cycle takes them. */
void lo_feed_skip(lo_feed *feed, int64_t epochs);
void lo_feed_skip_batches(lo_feed *feed, int64_t batches);

/* State of the method itself: `size` bytes at `data`, or where `each` so many for every epoch that is done.
 */
typedef struct lo_kept {
    void *data;
    size_t size;
    bool each;
} lo_kept;
/* list[count], 4 at most, is saved with the pupil from now on, until the next begin, and filled again by
 * lo_pupil_resume. The data must outlive that. */
void lo_pupil_keep(lo_pupil *pupil, const lo_kept *list, int count);

/* A method that goes through parts of its request (request->whole), each with a method of its own that may be
 * of epochs, is interrupted between two of them, and within them where those methods are:
 *
 *     LO_TRY(lo_pupil_resume_part(pupil, &p));      the network is as it was when part p began
 *     for (; p < parts; p++) {
 *         LO_TRY(lo_pupil_save_part(pupil, p, parts, err));
 *         ... begin and go through the part
 *     }
 *
 * Saved is also what the part began with, from which masks and teachers are made again. Errors as above. */
lo_status lo_pupil_resume_part(lo_pupil *pupil, int64_t *part);
lo_status lo_pupil_save_part(lo_pupil *pupil, int64_t part, int64_t parts, lo_error *err);

/* ---- over all of some examples */

/* rows[count] of the training set, or of the validation set; rows NULL: all of that. */
typedef struct lo_members {
    bool validation;
    const uint32_t *rows;
    int64_t count;
} lo_members;

/* Mean loss (float64, in the order of rows) and correct predictions in evaluation mode, of the examples as
 * they are, or where `views` in the views of (key, epoch). Errors: as lo_pupil_learn. */
typedef struct lo_measure {
    double loss;
    int64_t correct, count;
} lo_measure;
lo_status lo_pupil_measure(lo_pupil *pupil, const lo_members *members, bool views, uint64_t key,
                           int64_t epoch, lo_measure *out, lo_error *err);

/* Logits of the same examples, [count, classes], and features [count, size of the value] where value is not
 * -1 (lo_network_take). No views, evaluation mode. Either may be NULL. */
lo_status lo_pupil_outputs(lo_pupil *pupil, const lo_members *members, int value, float *logits,
                           float *features, lo_error *err);

/* sum [lo_pupil_size]: the sum over the examples of each one's gradient of the recipe's cross-entropy, or of
 * its squares, in evaluation mode and without views; exact (lo_per_example_sums), the same bits whatever the
 * batch. Frozen parameters and held elements have 0. Errors: as lo_pupil_learn; LO_INTERNAL without
 * memory. */
lo_status lo_pupil_gradients(lo_pupil *pupil, const lo_members *members, bool squares, double *sum,
                             lo_error *err);

/* For methods that work the network themselves: these examples are now read once. Errors: as
 * lo_pupil_learn. */
lo_status lo_pupil_read(lo_pupil *pupil, const lo_members *members, lo_error *err);

/* And after that work: what it ended with. In a team the leader's status, or what its tick returned
 * meanwhile, for all members; alone `status`. */
lo_status lo_pupil_agree(lo_pupil *pupil, lo_status status);

/* The request's sets. */
static inline lo_members lo_members_forget(const lo_request *request)
{
    return (lo_members){.rows = request->forget, .count = request->forget_count};
}
static inline lo_members lo_members_retain(const lo_request *request)
{
    return (lo_members){.rows = request->retain, .count = request->retain_count};
}
static inline lo_members lo_members_validation(const lo_request *request)
{
    return (lo_members){.validation = true, .count = request->dataset->validation.count};
}

#endif
