#include "nn/trainer.h"

#include "base/clock.h"
#include "nn/augment.h"
#include "nn/batch.h"
#include "nn/kernels/float_mode.h"
#include "nn/loss.h"
#include "nn/optimizers/optimizer.h"
#include "nn/order.h"
#include "nn/presets/presets.h"
#include "nn/progress.h"
#include "nn/schedule.h"
#include "nn/team_threads.h"
#include "nn/training_log.h"
#include "nn/weights.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Evaluation takes at least this many examples at a time, however small the recipe's batch is; of a batch
 * that is cut a member has few, and takes more where the batch has them. */
enum { EVALUATION_BATCH = 64, MEMBER_EVALUATION = 128, EXAMPLES_A_TICK = 64 };

struct lo_trainer {
    lo_recipe recipe;
    const lo_dataset *dataset;
    lo_network *network;
    lo_optimizer_state optimizer;
    lo_arena *arena;
    size_t capacity;      /* examples that fit the buffers */
    size_t chunk;         /* that are evaluated at once: with slices, as many whoever evaluates */
    lo_order_entry *work; /* [2 * dataset->train.count] */
    uint32_t *order;      /* [dataset->train.count] */
    int32_t *labels;      /* [capacity], or of the whole batch */
    float *squares;       /* likewise: of gradients in the input, for the log */
    float *image;         /* one example before its view is taken; NULL without augmentation */
    uint64_t model_seed;  /* of the training, and the epoch it is in: what views are keyed by */
    int64_t epoch;
    char preset[32];    /* its name */
    int64_t batches;    /* of the last training: what the running statistics have seen */
    float *start;       /* weights, then statistics, that trainings start from; NULL: fresh ones */
    uint32_t start_crc; /* of them */
    lo_checkpoint *checkpoint;
    lo_observer observer;
    lo_logging logging;

    /* In a team. */
    const lo_team *team;     /* this member's; NULL: alone */
    lo_trainer *owner;       /* the first thread's trainer, with weights, optimizer and what callers set */
    lo_thread_team *threads; /* the first's; NULL: this is the only thread */
    lo_trainer **helper;     /* likewise: [helpers], the other threads' */
    int helpers;
    float *logits;       /* [batch, step]: of all members, for the log */
    lo_tick quiet;       /* `tick`, whose errors wait in `pending` until all can be told */
    const lo_tick *tick; /* the caller's */
    lo_status pending;
};

static bool is_cut(const lo_trainer *trainer)
{
    return trainer->network->slices.total > 1;
}

static void reserve(lo_trainer *trainer, lo_memory *memory)
{
    const size_t examples = (size_t)trainer->dataset->train.count;
    const size_t batch = is_cut(trainer) ? (size_t)trainer->recipe.batch : 0;
    lo_network_reserve(trainer->network, lo_kernels_chosen(trainer->recipe.precision), trainer->capacity,
                       memory);
    if (trainer->owner == trainer) {
        lo_optimizer_reserve(&trainer->optimizer, &trainer->recipe, trainer->network, memory);
    }
    trainer->work = lo_memory_bytes(memory, 2 * examples, sizeof(lo_order_entry));
    trainer->order = lo_memory_bytes(memory, examples, sizeof(uint32_t));
    trainer->labels =
        lo_memory_bytes(memory, batch > trainer->capacity ? batch : trainer->capacity, sizeof(int32_t));
    trainer->squares = lo_memory_floats(memory, batch > trainer->capacity ? batch : trainer->capacity);
    if (lo_augments(&trainer->recipe.augment)) {
        trainer->image = lo_memory_floats(memory, lo_network_input_size(trainer->network));
    }
    if (trainer->team != NULL) {
        trainer->logits = lo_memory_floats(memory, batch * lo_network_logit_step(trainer->network));
    }
}

static bool is_power_of_two(int64_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

static lo_status check_slices(const lo_recipe *recipe, int ranks, int threads, lo_error *err)
{
    const int slices = recipe->slices > 1 ? recipe->slices : 1;
    if (recipe->slices < 0 || slices > LO_MAX_SLICES || !is_power_of_two(slices)) {
        return lo_fail(err, LO_USAGE,
                       "training with batches of %d slices; a power of two, 1 to %d, is allowed",
                       recipe->slices, LO_MAX_SLICES);
    }
    if (recipe->batch % slices != 0) {
        return lo_fail(err, LO_USAGE, "batches of %d examples cannot be cut into %d equal slices",
                       recipe->batch, slices);
    }
    if (ranks < 1 || threads < 1 || ranks > slices || slices % ranks != 0 || slices / ranks % threads != 0) {
        return lo_fail(
            err, LO_USAGE,
            "a team of %d ranks with %d threads each cannot share %d slices: their product divides "
            "the slices",
            ranks, threads, slices);
    }
    return LO_OK;
}

lo_status lo_recipe_check(const lo_recipe *recipe, lo_error *err)
{
    if (recipe->batch < 1 || recipe->epochs < 0) {
        return lo_fail(err, LO_USAGE, "training with batch %d for %d epochs; batch is 1 at least, epochs 0",
                       recipe->batch, recipe->epochs);
    }
    if (lo_optimizer_of(recipe) == NULL || !lo_schedule_known(recipe->schedule)) {
        return lo_fail(err, LO_USAGE, "unknown optimizer or schedule, numbers %d and %d",
                       (int)recipe->optimizer, (int)recipe->schedule);
    }
    if (recipe->optimizer == LO_OPTIMIZER_ADAMW && !((float)recipe->epsilon >= FLT_MIN)) {
        return lo_fail(err, LO_USAGE, "AdamW with epsilon %g; allowed: a float above 0", recipe->epsilon);
    }
    return LO_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* How many examples the buffers take, and how many of them evaluation uses. */
static void plan_sizes(lo_trainer *trainer)
{
    const lo_slices *slices = &trainer->network->slices;
    const size_t known = (size_t)trainer->dataset->train.count, batch = (size_t)trainer->recipe.batch;
    const size_t most = batch < known ? batch : known;
    if (!is_cut(trainer)) {
        trainer->chunk = trainer->capacity = larger(most, EVALUATION_BATCH);
        return;
    }
    const size_t slice = (most + slices->total - 1) / slices->total;
    const size_t wanted = larger(slice, most < MEMBER_EVALUATION ? most : MEMBER_EVALUATION);
    trainer->chunk = (wanted + EVALUATION_BATCH - 1) / EVALUATION_BATCH * EVALUATION_BATCH;
    trainer->capacity = larger(slice * slices->count, trainer->chunk);
}

static lo_status remember(void *self)
{
    lo_trainer *trainer = self;
    const lo_status status = lo_tick_call(trainer->tick);
    trainer->pending = trainer->pending != LO_OK ? trainer->pending : status;
    return LO_OK;
}

/* The trainer of one thread; owner NULL: of the first. */
static lo_status create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                        const lo_team *team, lo_trainer *owner, lo_trainer **out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_trainer *trainer = calloc(1, sizeof(*trainer));
    *out = NULL;
    if (trainer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a trainer");
    }
    trainer->recipe = *recipe;
    trainer->dataset = dataset;
    trainer->team = team;
    trainer->owner = owner != NULL ? owner : trainer;
    trainer->quiet = (lo_tick){remember, trainer};
    (void)snprintf(trainer->preset, sizeof(trainer->preset), "%s", model->preset);
    LO_TRY_GOTO(status, lo_network_build(model, dataset->shape, dataset->classes, &trainer->network, err),
                done);
    if (recipe->slices > 1) {
        const size_t members = team != NULL ? (size_t)team->members : 1;
        trainer->network->slices = (lo_slices){
            .total = (size_t)recipe->slices, .count = (size_t)recipe->slices / members, .team = team};
    }
    trainer->network->owner = owner != NULL ? owner->network : NULL;
    plan_sizes(trainer);
    lo_memory memory = {0};
    reserve(trainer, &memory);
    trainer->arena = lo_arena_create(memory.bytes);
    if (trainer->arena == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for training preset %s with batch %d: %zu bytes",
                         model->preset, recipe->batch, memory.bytes);
        goto done;
    }
    memory = (lo_memory){.arena = trainer->arena};
    reserve(trainer, &memory);

done:
    if (status != LO_OK) {
        lo_trainer_destroy(&trainer);
    }
    *out = trainer;
    return status;
}

lo_status lo_trainer_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                            lo_trainer **out, lo_error *err)
{
    return lo_trainer_create_team(model, recipe, dataset, NULL, 1, out, err);
}

static void do_nothing(void *self, int thread)
{
    (void)self;
    (void)thread;
}

lo_status lo_trainer_create_team(const lo_model_spec *model, const lo_recipe *recipe,
                                 const lo_dataset *dataset, const lo_team *ranks, int threads,
                                 lo_trainer **out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_trainer *trainer = NULL;
    lo_thread_team *team = NULL;
    *out = NULL;
    LO_TRY(lo_recipe_check(recipe, err));
    LO_TRY(check_slices(recipe, ranks != NULL ? ranks->members : 1, threads, err));
    LO_TRY(lo_augment_check(&recipe->augment, dataset->shape, err));
    LO_TRY(lo_kernels_check(err));
    if (threads > 1) {
        LO_TRY(lo_thread_team_create(ranks, threads, &team, err));
        LO_TRY_GOTO(status, lo_thread_team_call(team, do_nothing, NULL, err), done); /* are there so many? */
        ranks = lo_thread_team_member(team, 0);
    }
    LO_TRY_GOTO(status, create(model, recipe, dataset, ranks, NULL, &trainer, err), done);
    trainer->threads = team;
    team = NULL;
    if (threads > 1) {
        trainer->helper = calloc((size_t)threads, sizeof(lo_trainer *));
        if (trainer->helper == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for a trainer of %d threads", threads);
            goto done;
        }
    }
    for (int t = 1; t < threads; t++) {
        LO_TRY_GOTO(status,
                    create(model, recipe, dataset, lo_thread_team_member(trainer->threads, t), trainer,
                           &trainer->helper[t - 1], err),
                    done);
        trainer->helpers = t;
    }

done:
    lo_thread_team_destroy(&team);
    if (status != LO_OK) {
        lo_trainer_destroy(&trainer);
    }
    *out = trainer;
    return status;
}

void lo_trainer_destroy(lo_trainer **trainer)
{
    if (*trainer != NULL) {
        for (int t = 0; t < (*trainer)->helpers; t++) {
            lo_trainer_destroy(&(*trainer)->helper[t]);
        }
        free((*trainer)->helper);
        lo_thread_team_destroy(&(*trainer)->threads);
        lo_network_destroy(&(*trainer)->network);
        lo_arena_destroy(&(*trainer)->arena);
        free((*trainer)->start);
        free(*trainer);
        *trainer = NULL;
    }
}

/* ---- the members of a team ---- */

/* What one thread does of a call. */
typedef lo_status member_work(lo_trainer *trainer, void *arguments);

typedef struct call {
    lo_trainer *trainer;
    member_work *work;
    void *arguments;
    lo_status status;
} call;

/* What is set for the first thread, and its running statistics, hold for all. */
static void follow_owner(lo_trainer *trainer)
{
    lo_network *network = trainer->network;
    const lo_network *of_owner = trainer->owner->network;
    network->keeps_all = of_owner->keeps_all;
    memcpy(network->statistics, of_owner->statistics, network->statistic_size * sizeof(float));
    for (int i = 0; i < network->layer_count; i++) {
        network->layer[i]->frozen = of_owner->layer[i]->frozen;
    }
}

static void work_as_thread(void *self, int thread)
{
    call *c = self;
    lo_trainer *trainer = thread == 0 ? c->trainer : c->trainer->helper[thread - 1];
    const lo_status status = c->work(trainer, c->arguments);
    if (thread == 0) {
        c->status = status;
    }
}

/* On all threads; tick is the caller's, for the first. */
static lo_status on_threads(lo_trainer *trainer, const lo_tick *tick, member_work *work, void *arguments,
                            lo_error *err)
{
    call c = {.trainer = trainer, .work = work, .arguments = arguments};
    trainer->tick = tick;
    trainer->pending = LO_OK;
    if (trainer->threads == NULL) {
        return work(trainer, arguments);
    }
    for (int t = 0; t < trainer->helpers; t++) {
        follow_owner(trainer->helper[t]);
    }
    LO_TRY(lo_thread_team_call(trainer->threads, work_as_thread, &c, err));
    return c.status;
}

/* What this member's loops call. In a team nobody leaves in the middle of a batch: the others would wait. */
static const lo_tick *tick_of(const lo_trainer *trainer)
{
    return trainer->team != NULL ? &trainer->quiet : trainer->tick;
}

static bool leads(const lo_trainer *trainer)
{
    return lo_team_leads(trainer->team);
}

static bool owns(const lo_trainer *trainer)
{
    return trainer->owner == trainer;
}

/* The leader's status, or what its tick returned meanwhile, for all members. */
static lo_status agree(lo_trainer *trainer, lo_status status)
{
    if (trainer->team != NULL) {
        int number = (int)(status != LO_OK ? status : trainer->pending);
        trainer->team->share(trainer->team, &number, sizeof(number), &trainer->quiet);
        status = (lo_status)number;
    }
    return status;
}

static void share(lo_trainer *trainer, void *data, size_t size)
{
    if (trainer->team != NULL) {
        trainer->team->share(trainer->team, data, size, &trainer->quiet);
    }
}

lo_network *lo_trainer_network(lo_trainer *trainer)
{
    return trainer->network;
}

void lo_trainer_observe(lo_trainer *trainer, const lo_observer *observer)
{
    trainer->observer = observer != NULL ? *observer : (lo_observer){0};
}

lo_status lo_trainer_save(const lo_trainer *trainer, const char *file, const lo_weights_note *note, int notes,
                          lo_error *err)
{
    return lo_weights_save(trainer->network, trainer->preset, trainer->batches, file, note, notes, err);
}

void lo_trainer_took_over(lo_trainer *trainer)
{
    trainer->batches = 0;
}

void lo_trainer_checkpoint(lo_trainer *trainer, lo_checkpoint *checkpoint)
{
    trainer->checkpoint = checkpoint;
}

size_t lo_trainer_memory(const lo_trainer *trainer)
{
    size_t bytes = lo_arena_used(trainer->arena);
    for (int t = 0; t < trainer->helpers; t++) {
        bytes += lo_arena_used(trainer->helper[t]->arena);
    }
    return bytes;
}

int64_t lo_trainer_parameters(const lo_trainer *trainer)
{
    return lo_network_parameters(trainer->network);
}

double lo_trainer_step_flops(const lo_trainer *trainer)
{
    return lo_network_flops(trainer->network);
}

/* ---- training ---- */

/* x = training example `row` as an epoch of a training sees it. */
static void take_view(const lo_trainer *trainer, uint64_t model_seed, int64_t epoch, size_t row, float *x)
{
    const lo_dataset *dataset = trainer->dataset;
    const lo_augment *augment = &trainer->recipe.augment;
    float *image = lo_augments(augment) ? trainer->image : x;
    lo_batch_example(trainer->network->kernels, dataset, &dataset->train, row, image);
    if (lo_augments(augment)) {
        const lo_view view =
            lo_view_of(augment, dataset->shape, trainer->recipe.seed, model_seed, epoch, (uint32_t)row);
        lo_view_take(&view, dataset->shape, image, x);
    }
}

lo_status lo_trainer_view(lo_trainer *trainer, uint64_t model_seed, int64_t epoch, int64_t row, float *x,
                          lo_error *err)
{
    if (row < 0 || row >= trainer->dataset->train.count || epoch < 0 || epoch >= trainer->recipe.epochs) {
        return lo_fail(err, LO_USAGE, "a view of example %lld of %lld in epoch %lld of %d", (long long)row,
                       (long long)trainer->dataset->train.count, (long long)epoch, trainer->recipe.epochs);
    }
    take_view(trainer, model_seed, epoch, (size_t)row, x);
    return LO_OK;
}

static float *input_at(lo_trainer *trainer, size_t at)
{
    return lo_network_input(trainer->network) + at * lo_network_input_size(trainer->network);
}

/* This member's examples of a batch: the first, and how many. */
typedef struct part {
    size_t first, count;
} part;

static part part_of(const lo_trainer *trainer, size_t batch)
{
    const lo_slices *slices = &trainer->network->slices;
    return is_cut(trainer) ? (part){slices->first, slices->start[slices->count]} : (part){0, batch};
}

static lo_status load(lo_trainer *trainer, const uint32_t *rows, size_t batch, const lo_tick *tick)
{
    const part own = part_of(trainer, batch);
    for (size_t i = 0; i < batch; i++) {
        trainer->labels[i] = trainer->dataset->train.label[rows[i]];
    }
    for (size_t i = 0; i < own.count; i++) {
        take_view(trainer, trainer->model_seed, trainer->epoch, rows[own.first + i], input_at(trainer, i));
        LO_TRY(i % EXAMPLES_A_TICK == 0 ? lo_tick_call(tick) : LO_OK);
    }
    return LO_OK;
}

/* The loss of a batch that is cut, summed as its gradients are. */
static double sum_loss(lo_trainer *trainer, size_t batch, const lo_tick *tick, int64_t *correct)
{
    enum { LOSS, CORRECT, SUMS };
    double sum[SUMS] = {0}, partial[LO_SLICE_LEVELS * SUMS];
    lo_network *network = trainer->network;
    const lo_slices *slices = &network->slices;
    const size_t step = lo_network_logit_step(network);
    for (size_t s = 0; s < slices->count; s++) {
        const size_t from = slices->start[s];
        int64_t right = 0;
        sum[LOSS] = lo_softmax_loss_of(lo_network_logits(network) + from * step, step,
                                       trainer->labels + slices->first + from, slices->start[s + 1] - from,
                                       batch, network->classes, trainer->recipe.label_smoothing,
                                       lo_network_logit_slope(network) + from * step, &right);
        sum[CORRECT] = (double)right;
        lo_slices_add(slices, s, sum, SUMS, partial, SUMS);
    }
    if (trainer->team != NULL) {
        trainer->team->sum(trainer->team, sum, SUMS, tick);
    }
    *correct += (int64_t)sum[CORRECT];
    return sum[LOSS];
}

static double batch_loss(lo_trainer *trainer, size_t batch, const lo_tick *tick, int64_t *correct)
{
    lo_network *network = trainer->network;
    const double sum =
        is_cut(trainer)
            ? sum_loss(trainer, batch, tick, correct)
            : lo_softmax_loss(lo_network_logits(network), lo_network_logit_step(network), trainer->labels,
                              batch, network->classes, trainer->recipe.label_smoothing,
                              lo_network_logit_slope(network), correct);
    return sum / (double)batch;
}

/* Where each member's examples begin in an array of `size` bytes an example. */
static void offsets(const lo_trainer *trainer, size_t batch, size_t size, size_t from[LO_MAX_SLICES + 1])
{
    const lo_slices *slices = &trainer->network->slices;
    for (int m = 0; m <= trainer->team->members; m++) {
        from[m] = lo_slice_start(slices->total, (size_t)m * slices->count, batch) * size;
    }
}

/* What the leader writes down of a batch takes the logits of all members. */
static void log_batch(lo_trainer *trainer, const uint32_t *rows, size_t batch, const lo_tick *tick)
{
    const lo_network *network = trainer->network;
    const lo_training_log *log = trainer->owner->observer.log;
    const size_t step = lo_network_logit_step(network);
    const float *logits = lo_network_logits(network);
    if (trainer->team != NULL && log != NULL && log->correct != NULL) {
        size_t from[LO_MAX_SLICES + 1];
        const part own = part_of(trainer, batch);
        offsets(trainer, batch, step * sizeof(float), from);
        memcpy(trainer->logits + own.first * step, logits, own.count * step * sizeof(float));
        trainer->team->gather(trainer->team, trainer->logits, from, tick);
        logits = trainer->logits;
    }
    if (leads(trainer)) {
        lo_logging_batch(&trainer->logging, rows, logits, step, trainer->labels, batch, network->classes,
                         trainer->recipe.label_smoothing);
    }
}

/* The same of the gradients in the input. */
static void log_inputs(lo_trainer *trainer, const uint32_t *rows, size_t batch, const lo_tick *tick)
{
    const lo_network *network = trainer->network;
    const part own = part_of(trainer, batch);
    lo_logging_squares(lo_network_input_slope(network), lo_network_input_size(network), own.count, batch,
                       trainer->squares + own.first);
    if (trainer->team != NULL) {
        size_t from[LO_MAX_SLICES + 1];
        offsets(trainer, batch, sizeof(float), from);
        trainer->team->gather(trainer->team, trainer->squares, from, tick);
    }
    if (leads(trainer)) {
        lo_logging_inputs(&trainer->logging, rows, trainer->squares, batch);
    }
}

static lo_status backward(lo_trainer *trainer, const uint32_t *rows, size_t batch, const lo_tick *tick)
{
    lo_network *network = trainer->network;
    network->input_learns = lo_logs_inputs(trainer->owner->observer.log);
    const lo_status status = lo_network_backward(network, part_of(trainer, batch).count, tick);
    if (status == LO_OK && network->input_learns) {
        log_inputs(trainer, rows, batch, tick);
    }
    network->input_learns = false;
    return status;
}

static lo_status step(lo_trainer *trainer, const uint32_t *rows, size_t batch, double lr, const lo_tick *tick,
                      double *loss, int64_t *correct)
{
    lo_network *network = trainer->network;
    if (is_cut(trainer)) {
        lo_slices_cut(&network->slices, batch);
    }
    const part own = part_of(trainer, batch);
    LO_TRY(load(trainer, rows, batch, tick));
    network->draw.seed = trainer->recipe.seed;
    network->draw.model_seed = trainer->model_seed;
    network->draw.example = rows + own.first;
    LO_TRY(lo_network_forward(network, own.count, true, tick));
    network->draw.step++;
    *loss = batch_loss(trainer, batch, tick, correct);
    log_batch(trainer, rows, batch, tick);
    if (!isfinite(*loss)) {
        return LO_OK;
    }
    LO_TRY(backward(trainer, rows, batch, tick));
    if (trainer->team != NULL) {
        trainer->team->sum_gradient(trainer->team, network->gradient, network->weight_size, tick);
    }
    if (owns(trainer)) {
        lo_optimizer_step(&trainer->optimizer, &trainer->recipe, network, lr);
    }
    return agree(trainer, lo_tick_call(tick));
}

static lo_status guarded_step(lo_trainer *trainer, const uint32_t *rows, size_t batch, double lr,
                              const lo_tick *tick, double *loss, int64_t *correct)
{
    const lo_float_mode mode = lo_flush_denormals();
    const lo_status status = step(trainer, rows, batch, lr, tick, loss, correct);
    lo_restore_floats(mode);
    trainer->network->slices.batch = 0;
    return status;
}

typedef struct one_step {
    const uint32_t *rows;
    size_t count;
    double lr;
    double loss; /* of the first thread, as the next */
    int64_t correct;
} one_step;

static lo_status step_as_member(lo_trainer *trainer, void *arguments)
{
    one_step *s = arguments;
    double loss = 0;
    int64_t correct = 0;
    const lo_status status =
        guarded_step(trainer, s->rows, s->count, s->lr, tick_of(trainer), &loss, &correct);
    if (owns(trainer)) {
        s->loss = loss;
        s->correct = correct;
    }
    return status;
}

lo_status lo_trainer_step(lo_trainer *trainer, const uint32_t *rows, size_t count, double lr,
                          const lo_tick *tick, double *loss, int64_t *correct)
{
    one_step s = {.rows = rows, .count = count, .lr = lr};
    const lo_status status = on_threads(trainer, tick, step_as_member, &s, NULL);
    *loss = s.loss;
    *correct += s.correct;
    return status;
}

static bool all_finite(const float *values, size_t count)
{
    float zero = 0; /* becomes NaN when a value is infinite or NaN */
    for (size_t i = 0; i < count; i++) {
        zero += values[i] * 0.0F;
    }
    return zero == 0;
}

/* A network that diverged knows nothing: NaN weights are nowhere correct, whatever was left in them. */
static void forget_weights(lo_network *network)
{
    for (size_t i = 0; i < network->weight_size; i++) {
        network->weights[i] = NAN;
    }
}

/* What the network holds now is what trainings start from. */
static lo_status keep_start(lo_trainer *trainer, lo_error *err)
{
    const lo_network *network = trainer->network;
    const size_t size = network->weight_size + network->statistic_size;
    free(trainer->start);
    trainer->start = malloc(size * sizeof(float));
    if (trainer->start == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the %zu weights that a training starts from", size);
    }
    memcpy(trainer->start, network->weights, network->weight_size * sizeof(float));
    memcpy(trainer->start + network->weight_size, network->statistics,
           network->statistic_size * sizeof(float));
    trainer->start_crc = lo_crc32(0, trainer->start, size * sizeof(float));
    return LO_OK;
}

lo_status lo_trainer_start_from(lo_trainer *trainer, const char *file, lo_error *err)
{
    LO_TRY(lo_weights_load(trainer->network, file, err));
    return keep_start(trainer, err);
}

lo_status lo_trainer_start_as(lo_trainer *trainer, const lo_trainer *other, lo_error *err)
{
    lo_network *to = trainer->network;
    const lo_network *from = other->network;
    if (to->weight_size != from->weight_size || to->statistic_size != from->statistic_size) {
        return lo_fail(err, LO_USAGE, "a network of %zu weights cannot start as one of %zu", to->weight_size,
                       from->weight_size);
    }
    memcpy(to->weights, from->weights, to->weight_size * sizeof(float));
    memcpy(to->statistics, from->statistics, to->statistic_size * sizeof(float));
    return keep_start(trainer, err);
}

static lo_status begin_weights(lo_trainer *trainer, uint64_t model_seed, const lo_tick *tick)
{
    lo_network *network = trainer->network;
    lo_optimizer_start(&trainer->optimizer, network);
    if (trainer->start == NULL) {
        return lo_network_initialize(network, trainer->recipe.seed, model_seed, tick);
    }
    memcpy(network->weights, trainer->start, network->weight_size * sizeof(float));
    memcpy(network->statistics, trainer->start + network->weight_size,
           network->statistic_size * sizeof(float));
    return LO_OK;
}

/* One training under way. */
typedef struct course {
    const uint32_t *members;
    const lo_tick *tick;
    lo_progress progress;
    double begun; /* monotonic, less what earlier parts took */
} course;

static course make_course(lo_trainer *trainer, uint64_t model_seed, const uint32_t *members, int64_t count,
                          const lo_tick *tick)
{
    const lo_recipe *recipe = &trainer->recipe;
    const lo_training_log *log = trainer->observer.log;
    course c = {.members = members, .tick = tick, .begun = lo_clock_monotonic()};
    c.progress = (lo_progress){
        .network = trainer->network, .optimizer = &trainer->optimizer, .observer = &trainer->observer};
    c.progress.identity =
        (lo_training_identity){.seed = recipe->seed,
                               .model_seed = model_seed,
                               .members = count,
                               .batches = (count + recipe->batch - 1) / recipe->batch,
                               .weights = (int64_t)trainer->network->weight_size,
                               .statistics = (int64_t)trainer->network->statistic_size,
                               .optimizer = recipe->optimizer,
                               .precision = recipe->precision,
                               .epochs = recipe->epochs,
                               .logged = log == NULL                                 ? 0
                                         : log->correct == NULL                      ? 1
                                         : log->example[LO_LOG_INPUT_SQUARE] == NULL ? 2
                                                                                     : 3,
                               .kept = (int64_t)trainer->observer.kept_size,
                               .members_crc = lo_crc32(0, members, (size_t)count * sizeof(*members)),
                               .start_crc = trainer->start != NULL ? trainer->start_crc : 0};
    (void)snprintf(c.progress.identity.processor, sizeof(c.progress.identity.processor), "%s",
                   lo_processor_type());
    return c;
}

/* A checkpoint that cannot be read or written costs time, never the training. */
static bool has_failed(lo_status status)
{
    return status == LO_DATA || status == LO_IO;
}

static lo_status resume(lo_trainer *trainer, course *c, bool *resumed)
{
    lo_error why = {{0}};
    lo_checkpoint *checkpoint = trainer->checkpoint;
    *resumed = false;
    if (checkpoint == NULL || checkpoint->file[0] == '\0') {
        return LO_OK;
    }
    checkpoint->seconds = 0;
    const lo_status status = lo_progress_load(&c->progress, checkpoint, c->tick, resumed, &why);
    if (has_failed(status)) {
        *resumed = false;
        lo_checkpoint_complain(checkpoint, &why, "the training begins again");
        return LO_OK;
    }
    return status;
}

static lo_logging begin_log(const lo_trainer *trainer, const course *c)
{
    const lo_training_identity *id = &c->progress.identity;
    return lo_logging_begin(trainer->observer.log, c->members, id->members, trainer->dataset->train.count,
                            id->epochs);
}

/* Weights, statistics and the optimizer's state as the leader has them: of a checkpoint, which it alone read.
 */
static void share_progress(lo_trainer *trainer)
{
    const lo_network *network = trainer->network;
    const size_t bytes = network->weight_size * sizeof(float);
    share(trainer, owns(trainer) ? network->weights : NULL, bytes);
    for (int i = 0; i < lo_optimizer_of(&trainer->recipe)->arrays; i++) {
        share(trainer, trainer->optimizer.array[i], bytes); /* of helpers NULL */
    }
}

static lo_status begin(lo_trainer *trainer, course *c)
{
    struct {
        lo_position at;
        bool resumed;
    } found = {0};
    const lo_training_identity *id = &c->progress.identity;
    lo_position *at = &c->progress.at;
    trainer->model_seed = id->model_seed;
    if (leads(trainer)) {
        trainer->logging = begin_log(trainer, c);
        LO_TRY(resume(trainer, c, &found.resumed));
        found.at = *at;
    }
    share(trainer, &found, sizeof(found));
    if (found.resumed) {
        *at = found.at;
        share_progress(trainer);
        trainer->logging.epoch = at->epoch;
        trainer->optimizer.steps = at->epoch * id->batches + at->batch;
        trainer->batches = trainer->optimizer.steps;
        c->begun -= at->seconds;
    } else {
        *at = (lo_position){0};
        if (leads(trainer)) {
            trainer->logging =
                begin_log(trainer, c); /* what could not be used may have left something there */
        }
        trainer->batches = 0;
        LO_TRY(owns(trainer) ? begin_weights(trainer, id->model_seed, c->tick) : LO_OK);
    }
    trainer->network->draw.step = (uint64_t)trainer->batches;
    share(trainer, trainer->network->statistics, trainer->network->statistic_size * sizeof(float));
    return LO_OK;
}

/* Between two batches: saves the training when who runs it asks for that. */
static lo_status save_alone(lo_trainer *trainer, course *c)
{
    lo_error why = {{0}};
    lo_checkpoint *checkpoint = trainer->checkpoint;
    if (checkpoint == NULL || checkpoint->file[0] == '\0' || checkpoint->ask == NULL) {
        return LO_OK;
    }
    const double share = lo_progress_share(&c->progress);
    const lo_save wish = checkpoint->ask(checkpoint->self, share);
    if (wish == LO_SAVE_NOTHING) {
        return LO_OK;
    }
    c->progress.at.seconds = lo_clock_monotonic() - c->begun;
    const lo_status status = lo_progress_save(&c->progress, checkpoint, c->tick, &why);
    if (has_failed(status) && !checkpoint->complained) {
        checkpoint->complained = true;
        lo_checkpoint_complain(checkpoint, &why, "the training goes on without a checkpoint");
    } else if (status == LO_OK && checkpoint->saved != NULL) {
        checkpoint->saved(checkpoint->self, share);
    }
    if (status != LO_OK && !has_failed(status)) {
        return status;
    }
    return wish == LO_SAVE_AND_STOP ? LO_STOPPED : LO_OK;
}

static lo_status save_if_asked(lo_trainer *trainer, course *c)
{
    return agree(trainer, leads(trainer) ? save_alone(trainer, c) : LO_OK);
}

static lo_status end_epoch(lo_trainer *trainer, course *c, lo_training *out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_position *at = &c->progress.at;
    const lo_observer *observer = &trainer->observer;
    *at = (lo_position){.epoch = at->epoch + 1, .loss = out->loss, .accuracy = out->accuracy};
    if (leads(trainer)) {
        lo_logging_epoch(&trainer->logging, out->loss, out->accuracy);
    }
    if (out->diverged) {
        return LO_OK;
    }
    if (leads(trainer) && observer->after_epoch != NULL) {
        status = observer->after_epoch(observer->self, at->epoch, err);
    }
    LO_TRY(agree(trainer, status));
    return save_if_asked(trainer, c);
}

/* The epoch from the batch on at which the training is. */
static lo_status train_epoch(lo_trainer *trainer, course *c, lo_training *out, lo_error *err)
{
    const lo_recipe *recipe = &trainer->recipe;
    const lo_training_identity *id = &c->progress.identity;
    lo_position *at = &c->progress.at;
    int64_t seen = at->batch * recipe->batch;
    trainer->epoch = at->epoch;
    LO_TRY(lo_tick_call(c->tick));
    lo_epoch_order(recipe->seed, id->model_seed, at->epoch, c->members, id->members, trainer->work,
                   trainer->order);
    while (at->batch < id->batches && !out->diverged) {
        const int64_t size = id->members - seen < recipe->batch ? id->members - seen : recipe->batch;
        const double lr =
            lo_learning_rate(recipe, trainer->batches, recipe->epochs * id->batches, id->batches);
        double loss = 0;
        LO_TRY(guarded_step(trainer, trainer->order + seen, (size_t)size, lr, c->tick, &loss, &at->correct));
        at->loss_sum += loss * (double)size;
        seen += size;
        out->diverged = !isfinite(loss);
        at->batch++;
        trainer->batches++;
        if (at->batch < id->batches && !out->diverged) {
            LO_TRY(save_if_asked(trainer, c));
        }
    }
    out->loss = at->loss_sum / (double)seen;
    out->accuracy = (double)at->correct / (double)seen;
    return end_epoch(trainer, c, out, err);
}

static lo_status train(lo_trainer *trainer, course *c, lo_training *out, lo_error *err)
{
    const lo_network *network = trainer->network;
    const lo_position *at = &c->progress.at;
    LO_TRY(begin(trainer, c));
    out->loss = at->loss;
    out->accuracy = at->accuracy;
    while (at->epoch < trainer->recipe.epochs && !out->diverged) {
        LO_TRY(train_epoch(trainer, c, out, err));
    }
    if (leads(trainer)) {
        out->diverged = out->diverged || !all_finite(network->weights, network->weight_size) ||
                        !all_finite(network->statistics, network->statistic_size);
    }
    share(trainer, &out->diverged, sizeof(out->diverged));
    if (out->diverged && owns(trainer)) {
        forget_weights(trainer->network);
    }
    return LO_OK;
}

typedef struct one_training {
    uint64_t model_seed;
    const uint32_t *members;
    int64_t count;
    lo_training *out; /* of the first thread, as the next */
    lo_error *err;
} one_training;

static lo_status train_as_member(lo_trainer *trainer, void *arguments)
{
    const one_training *t = arguments;
    lo_training result = {0};
    lo_error unheard;
    course c = make_course(trainer, t->model_seed, t->members, t->count, tick_of(trainer));
    const lo_status status = train(trainer, &c, &result, owns(trainer) ? t->err : &unheard);
    trainer->logging = (lo_logging){0};
    result.seconds = lo_clock_monotonic() - c.begun;
    if (owns(trainer)) {
        *t->out = result;
    }
    return status;
}

lo_status lo_trainer_run(lo_trainer *trainer, uint64_t model_seed, const uint32_t *members, int64_t count,
                         const lo_tick *tick, lo_training *out, lo_error *err)
{
    const int64_t known = trainer->dataset->train.count;
    *out = (lo_training){0};
    if (count < 1 || count > known) {
        return lo_fail(err, LO_USAGE, "training on %lld members; 1 to the %lld training examples are allowed",
                       (long long)count, (long long)known);
    }
    for (int64_t i = 0; i < count; i++) {
        if (members[i] >= known || (i > 0 && members[i] <= members[i - 1])) {
            return lo_fail(err, LO_USAGE, "member %lld of %lld is %u; members ascend and are below %lld",
                           (long long)i, (long long)count, members[i], (long long)known);
        }
    }
    one_training t = {model_seed, members, count, out, err};
    return on_threads(trainer, tick, train_as_member, &t, err);
}

/* ---- evaluation ---- */

/* Called with the logits of `count` examples that start at `first`. */
typedef void logits_sink(void *self, const lo_trainer *trainer, int64_t first, size_t count);

static lo_status evaluate_chunk(lo_trainer *trainer, const lo_examples *examples, int64_t first, size_t count,
                                const lo_tick *tick)
{
    for (size_t i = 0; i < count; i++) {
        lo_batch_example(trainer->network->kernels, trainer->dataset, examples, (size_t)first + i,
                         input_at(trainer, i));
        trainer->labels[i] = examples->label[(size_t)first + i];
        LO_TRY(i % EXAMPLES_A_TICK == 0 ? lo_tick_call(tick) : LO_OK);
    }
    return lo_network_forward(trainer->network, count, false, tick);
}

static int64_t chunks_of(const lo_trainer *trainer, int64_t count)
{
    const int64_t chunk = (int64_t)trainer->chunk;
    return (count + chunk - 1) / chunk;
}

/* The first of `count` examples that a member evaluates: whole chunks. */
static int64_t first_of(const lo_trainer *trainer, int64_t count, int member)
{
    const int members = trainer->team != NULL ? trainer->team->members : 1;
    const int64_t first = chunks_of(trainer, count) * member / members * (int64_t)trainer->chunk;
    return first < count ? first : count;
}

/* Those of this member. */
static lo_status each_chunk(lo_trainer *trainer, const lo_examples *examples, logits_sink *sink, void *self)
{
    lo_status status = LO_OK;
    const lo_team *team = trainer->team;
    const lo_tick *tick = tick_of(trainer);
    const int member = team != NULL ? team->member : 0, members = team != NULL ? team->members : 1;
    const int64_t rounds = (chunks_of(trainer, examples->count) + members - 1) / members;
    const int64_t end = first_of(trainer, examples->count, member + 1);
    int64_t first = first_of(trainer, examples->count, member);
    const lo_float_mode mode = lo_flush_denormals();
    for (int64_t round = 0; round < rounds && status == LO_OK; round++) {
        const int64_t left = end - first;
        const size_t count = left < (int64_t)trainer->chunk ? (size_t)left : trainer->chunk;
        if (count > 0) {
            status = evaluate_chunk(trainer, examples, first, count, tick);
        }
        if (status == LO_OK && count > 0) {
            sink(self, trainer, first, count);
        }
        first += (int64_t)count;
        status = agree(trainer, status);
    }
    lo_restore_floats(mode);
    return status;
}

/* Of `unit` bytes for `per` examples each: data [examples] comes together on all ranks. */
static void gather_results(lo_trainer *trainer, void *data, int64_t count, int64_t per, size_t unit)
{
    size_t from[LO_MAX_SLICES + 1];
    const lo_team *team = trainer->team;
    for (int m = 0; team != NULL && m <= team->members; m++) {
        from[m] = (size_t)((first_of(trainer, count, m) + per - 1) / per) * unit;
    }
    if (team != NULL && data != NULL) {
        team->gather(team, data, from, &trainer->quiet);
    }
}

typedef struct outcomes {
    uint8_t *correct;
    float *margin;
} outcomes;

static void store_outcomes(void *self, const lo_trainer *trainer, int64_t first, size_t count)
{
    const outcomes *to = self;
    const lo_network *network = trainer->network;
    const size_t step = lo_network_logit_step(network);
    for (size_t i = 0; i < count; i++) {
        const float *logits = lo_network_logits(network) + i * step;
        const size_t at = (size_t)first + i;
        if (to->correct != NULL && lo_is_correct(logits, network->classes, trainer->labels[i])) {
            to->correct[at / 8] |= (uint8_t)(1U << at % 8);
        }
        if (to->margin != NULL) {
            to->margin[at] = lo_logit_margin(logits, network->classes, trainer->labels[i]);
        }
    }
}

typedef struct evaluation {
    const lo_examples *examples;
    outcomes to;
    float *logits;
} evaluation;

static lo_status evaluate_as_member(lo_trainer *trainer, void *arguments)
{
    evaluation *e = arguments;
    const int64_t count = e->examples->count;
    LO_TRY(each_chunk(trainer, e->examples, store_outcomes, &e->to));
    gather_results(trainer, e->to.correct, count, 8, 1);
    gather_results(trainer, e->to.margin, count, 1, sizeof(float));
    return LO_OK;
}

lo_status lo_trainer_evaluate(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                              uint8_t *correct, float *margin, lo_error *err)
{
    evaluation e = {.examples = examples, .to = {correct, margin}};
    if (correct != NULL) {
        memset(correct, 0, (size_t)(examples->count + 7) / 8);
    }
    return on_threads(trainer, tick, evaluate_as_member, &e, err);
}

static void store_logits(void *self, const lo_trainer *trainer, int64_t first, size_t count)
{
    float *to = self;
    const lo_network *network = trainer->network;
    const size_t classes = (size_t)network->classes;
    for (size_t i = 0; i < count; i++) {
        memcpy(to + ((size_t)first + i) * classes,
               lo_network_logits(network) + i * lo_network_logit_step(network), classes * sizeof(float));
    }
}

static lo_status take_logits_as_member(lo_trainer *trainer, void *arguments)
{
    const evaluation *e = arguments;
    LO_TRY(each_chunk(trainer, e->examples, store_logits, e->logits));
    gather_results(trainer, e->logits, e->examples->count, 1,
                   (size_t)trainer->network->classes * sizeof(float));
    return LO_OK;
}

lo_status lo_trainer_logits(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                            float *logits, lo_error *err)
{
    evaluation e = {.examples = examples, .logits = logits};
    return on_threads(trainer, tick, take_logits_as_member, &e, err);
}
