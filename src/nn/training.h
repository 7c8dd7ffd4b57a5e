/* Training and evaluation of one network, on one core or by a team: what a task of the farm calls. */
#ifndef LEAVEOUT_NN_TRAINING_H
#define LEAVEOUT_NN_TRAINING_H

#include "base/checkpoint.h"
#include "base/status.h"
#include "base/tick.h"
#include "data/dataset.h"
#include "nn/kernels/precision.h"
#include "nn/team.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_MAX_HIDDEN = 16, LO_MAX_MILESTONES = 16 };

/* The job's model section. */
typedef struct lo_model_spec {
    const char *preset; /* a preset's name: linear mlp cnn ... */
    int32_t hidden[LO_MAX_HIDDEN];
    int32_t hidden_count;        /* mlp; 0: the preset's default */
    int32_t width;               /* image networks; 0: the preset's default, as for the next three */
    int32_t depth, heads, patch; /* vit */
    const char *layers;          /* the preset layers: a list of layers as YAML */
    const char *layers_file;     /* what stands for that text in errors; with lines where it begins by them */
} lo_model_spec;

typedef enum lo_optimizer { LO_OPTIMIZER_SGD, LO_OPTIMIZER_ADAMW } lo_optimizer;
typedef enum lo_schedule {
    LO_SCHEDULE_CONSTANT,
    LO_SCHEDULE_COSINE, /* from lr to 0 over all steps, stepped every batch */
    LO_SCHEDULE_STEP,
    LO_SCHEDULE_ONE_CYCLE
} lo_schedule;

/* How an epoch's view of an image differs from the image: see augment.h. */
typedef enum lo_flip { LO_FLIP_NONE, LO_FLIP_RANDOM, LO_FLIP_ALTERNATING } lo_flip;
typedef struct lo_augment {
    lo_flip flip;
    int32_t crop;   /* pixels by which the window moves at most; 0: not */
    int32_t cutout; /* side of the hole; 0: none */
} lo_augment;

/* The job's train section. */
typedef struct lo_recipe {
    int32_t epochs;
    int32_t batch;
    lo_optimizer optimizer;  /* as torch.optim.SGD (d = g + wd w; v = momentum v + d; w -= lr v) and AdamW */
    double lr, weight_decay; /* all optimizers */
    double momentum;         /* sgd */
    bool nesterov;           /* sgd: w -= lr (d + momentum v) */
    double beta1, beta2, epsilon; /* adamw: 0 to below 1; epsilon is a normal float above 0 */
    double label_smoothing;       /* 0 to below 1: share of the target that is spread over all classes */
    double clip_norm;             /* above 0: gradients of a larger norm are scaled down to it */
    lo_schedule schedule;
    double warmup_epochs;                  /* all schedules: linear from 0, before them */
    int32_t milestones[LO_MAX_MILESTONES]; /* step: epochs after the warm-up, at which lr is multiplied ... */
    int32_t milestone_count;
    double gamma;  /* step: by this */
    double peak;   /* one_cycle: where lr is reached, a share of the steps after the warm-up */
    uint64_t seed; /* the job's */
    lo_precision precision;
    lo_augment augment;
    int32_t slices; /* into which each batch is cut (nn/slices.h): a power of two; 0, 1: it is not */
} lo_recipe;

/* The optimizer, the schedule of a name of the job file; an unknown one gives a value that lo_trainer_create
 * refuses. */
lo_optimizer lo_optimizer_named(const char *name);
lo_schedule lo_schedule_named(const char *name);

/* A network, its optimizer state, activations and batch buffers: one arena, made once, used for any number of
 * trainings one after the other. */
typedef struct lo_trainer lo_trainer;

/* Errors: LO_USAGE for an unknown preset or sizes that do not fit (which layer, which sizes); LO_INTERNAL
 * when there is no memory. dataset must outlive the trainer. The caller destroys it. The weights are zero
 * until the first training. */
lo_status lo_trainer_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                            lo_trainer **out, lo_error *err);

/* The same for a member of a team of ranks (NULL: this rank alone) that has so many threads: together they
 * have recipe->slices slices of each batch, which ranks * threads must divide. Every rank of the team makes
 * such a trainer, and makes the same calls of lo_trainer_run, _step, _evaluate and _logits in the same order,
 * with equal arguments; the results' bits are those of one thread alone. Member 0 leads: its tick, checkpoint
 * and observer count, in place of the others', and what its tick returns comes out on all ranks, between two
 * batches. On the other ranks ticks are called while they wait too, and what they return is not looked at;
 * their logs hold anything. Memory: activations for the member's share of a batch; for each thread the
 * gradient, as many times more as the logarithm of its slices; ranks have weights and optimizer, threads
 * share those of their rank. ranks must outlive the trainer. Errors: also LO_USAGE for slices, threads or
 * batch that do not fit. */
lo_status lo_trainer_create_team(const lo_model_spec *model, const lo_recipe *recipe,
                                 const lo_dataset *dataset, const lo_team *ranks, int threads,
                                 lo_trainer **out, lo_error *err);

/* Nulls the handle; accepts NULL. */
void lo_trainer_destroy(lo_trainer **trainer);

typedef struct lo_training {
    double loss;     /* mean over the last epoch, label smoothing included */
    double accuracy; /* over the last epoch, from the training forward passes */
    double seconds;  /* of all parts, where it was interrupted */
    bool diverged;   /* a loss became NaN or infinite: training ended there */
} lo_training;

/* Fresh weights and one whole training on members[count] (positions in dataset->train, ascending). Every
 * random number is keyed by the recipe's seed and model_seed, so the result's bits depend on nothing else (on
 * one processor type). The order of an epoch sorts the members by a random key of (model_seed, epoch,
 * example): leaving one example out keeps the order of the others. The last batch of an epoch may be smaller.
 * Returns LO_OK also when training diverged (also if only the weights it ended with are not finite): the
 * weights are NaN then, so that the network is nowhere correct. Returns what tick returned otherwise, and
 * LO_USAGE for members that do not ascend or are no positions. While it computes, denormal numbers are
 * flushed to zero; the caller's setting comes back. */
lo_status lo_trainer_run(lo_trainer *trainer, uint64_t model_seed, const uint32_t *members, int64_t count,
                         const lo_tick *tick, lo_training *out, lo_error *err);

/* What every training from now on starts from, instead of fresh weights: the weights and running statistics
 * of a safetensors file, which must fit the network (nn/weights.h). Errors as lo_weights_load. */
lo_status lo_trainer_start_from(lo_trainer *trainer, const char *file, lo_error *err);

/* The same, from the current weights and statistics of another trainer of the same model. Errors: LO_USAGE
 * for one of other sizes; LO_INTERNAL without memory. */
lo_status lo_trainer_start_as(lo_trainer *trainer, const lo_trainer *other, lo_error *err);

/* The current weights and running statistics as a safetensors file (nn/weights.h), with the preset and these
 * notes as its metadata. Errors: LO_IO. */
typedef struct lo_weights_note {
    const char *key, *value;
} lo_weights_note;
lo_status lo_trainer_save(const lo_trainer *trainer, const char *file, const lo_weights_note *note, int notes,
                          lo_error *err);

/* What a training's forward passes say about an example, from its logits z and label y. */
typedef enum lo_quantity {
    LO_LOG_LOSS,        /* as trained on: cross-entropy, label smoothing included */
    LO_LOG_PROBABILITY, /* of the label */
    LO_LOG_LARGEST,     /* the largest probability of a class */
    LO_LOG_ENTROPY,     /* of the probabilities, in nats */
    LO_LOG_MARGIN,      /* z_y - logsumexp of the other z, as lo_trainer_evaluate has it */
    LO_LOG_GAP,         /* z_y - the largest of the other z */
    /* Squared norm of the gradient of the example's loss in the network's input, as the batch has it: in
     * training mode, times the number of its examples. Its array may be NULL where the others are not; it
     * takes a backward pass through the first layer, which training does without. */
    LO_LOG_INPUT_SQUARE,
    LO_LOG_QUANTITIES
} lo_quantity;

/* Room for a training's log; the caller's. Row e of a matrix is epoch e, column i is members[i]: what was
 * known about it in the one pass of that epoch in which it was trained on (in training mode, so with the
 * weights as they were then). What a training that diverged did not reach is NaN, and not correct. */
typedef struct lo_training_log {
    double *loss, *accuracy;           /* [epochs], as lo_training has them for the last one */
    float *example[LO_LOG_QUANTITIES]; /* [epochs, members]; all NULL: nothing about examples */
    uint8_t *correct;                  /* [epochs, members] 0 or 1; NULL where example is */
} lo_training_log;

/* Who watches trainings. `log` may be NULL. after_epoch may be NULL; it is called with the number of epochs
 * that are finished, 1 to the last, while nothing has diverged; the weights are then that epoch's; what it
 * returns ends the training unless it is LO_OK. A checkpoint holds the log, and kept[kept_size], which is
 * what after_epoch gathers in memory; epochs after the last checkpoint are trained, and after_epoch is called
 * for them, again. */
typedef struct lo_observer {
    const lo_training_log *log;
    lo_status (*after_epoch)(void *self, int64_t epochs, lo_error *err);
    void *self;
    void *kept;
    size_t kept_size;
} lo_observer;

/* The observer (copied) of all trainings from now on; NULL: none. A log costs no second pass. */
void lo_trainer_observe(lo_trainer *trainer, const lo_observer *observer);

/* What a training of model_seed saw of training example `row` in an epoch (from 0): x [channels, height,
 * width], as the network has it. Errors: LO_USAGE for a row or an epoch that there is not. */
lo_status lo_trainer_view(lo_trainer *trainer, uint64_t model_seed, int64_t epoch, int64_t row, float *x,
                          lo_error *err);

/* Where every training from now on saves itself when it is asked to, and goes on from if there is a
 * checkpoint of just this training (weights, statistics, state of the optimizer, position, sums, log): bit
 * for bit as if it had not been interrupted. A file that is damaged or of another training is warned of and
 * not used. Where it is asked to stop, lo_trainer_run saves and returns LO_STOPPED. checkpoint is not copied,
 * and is the caller's, also the removal of its file; NULL: none. */
void lo_trainer_checkpoint(lo_trainer *trainer, lo_checkpoint *checkpoint);

/* Outcomes of the current weights on examples (evaluation mode): correct [ceil(count/8)] packed bits, example
 * i is bit i%8 of byte i/8 (argmax equals examples->label; ties go to the lower class); margin [count], the
 * logit margin phi = z_y - logsumexp of the other z. A network with NaN weights is nowhere correct and has
 * NaN margins. Either output may be NULL. */
lo_status lo_trainer_evaluate(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                              uint8_t *correct, float *margin, lo_error *err);

/* Logits of the current weights on examples, [count, classes], evaluation mode. */
lo_status lo_trainer_logits(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                            float *logits, lo_error *err);

/* Bytes of the arenas: what one trainer costs a rank, all its threads. */
size_t lo_trainer_memory(const lo_trainer *trainer);

/* Number of parameters, and floating point operations of one training step on one example. */
int64_t lo_trainer_parameters(const lo_trainer *trainer);
double lo_trainer_step_flops(const lo_trainer *trainer);

/* A preset: one file each in src/nn, one line in the table lo_presets. */
typedef struct lo_preset {
    const char *name;
    const char *description;
    lo_shape shape; /* images that benchmarks take; 0 x 0 x 0: it has no size of its own */
} lo_preset;
int lo_preset_count(void);
const lo_preset *lo_preset_at(int i);

/* What the arithmetic runs on, for the study's records: processor, level of the kernels, C library, such as
 * "AuthenticAMD-25-17 avx512 glibc-2.36". Results of two runs with the same text have equal bits. Static
 * memory. */
const char *lo_processor_type(void);

#endif
