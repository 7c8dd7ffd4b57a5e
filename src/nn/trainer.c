#include "nn/trainer.h"

#include "base/clock.h"
#include "nn/augment.h"
#include "nn/batch.h"
#include "nn/float_mode.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "nn/order.h"
#include "nn/presets.h"
#include "nn/progress.h"
#include "nn/schedule.h"
#include "nn/training_log.h"
#include "nn/weights.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Evaluation takes at least this many examples at a time, however small the recipe's batch is. */
enum { EVALUATION_BATCH = 64, EXAMPLES_A_TICK = 64 };

struct lo_trainer {
    lo_recipe recipe;
    const lo_dataset *dataset;
    lo_network *network;
    lo_optimizer_state optimizer;
    lo_arena *arena;
    size_t capacity;      /* examples that fit the buffers */
    lo_order_entry *work; /* [2 * dataset->train.count] */
    uint32_t *order;      /* [dataset->train.count] */
    int32_t *labels;      /* [capacity] */
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
};

static void reserve(lo_trainer *trainer, lo_memory *memory)
{
    const size_t examples = (size_t)trainer->dataset->train.count;
    lo_network_reserve(trainer->network, lo_kernels_chosen(trainer->recipe.precision), trainer->capacity,
                       memory);
    lo_optimizer_reserve(&trainer->optimizer, &trainer->recipe, trainer->network, memory);
    trainer->work = lo_memory_bytes(memory, 2 * examples, sizeof(lo_order_entry));
    trainer->order = lo_memory_bytes(memory, examples, sizeof(uint32_t));
    trainer->labels = lo_memory_bytes(memory, trainer->capacity, sizeof(int32_t));
    if (lo_augments(&trainer->recipe.augment)) {
        trainer->image = lo_memory_floats(memory, lo_network_input_size(trainer->network));
    }
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

lo_status lo_trainer_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                            lo_trainer **out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_trainer *trainer = NULL;
    *out = NULL;
    LO_TRY(lo_recipe_check(recipe, err));
    LO_TRY(lo_augment_check(&recipe->augment, dataset->shape, err));
    LO_TRY(lo_kernels_check(err));
    trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a trainer");
    }
    trainer->recipe = *recipe;
    trainer->dataset = dataset;
    (void)snprintf(trainer->preset, sizeof(trainer->preset), "%s", model->preset);
    trainer->capacity = (size_t)recipe->batch;
    if ((int64_t)trainer->capacity > dataset->train.count) {
        trainer->capacity = (size_t)dataset->train.count;
    }
    if (trainer->capacity < EVALUATION_BATCH) {
        trainer->capacity = EVALUATION_BATCH;
    }
    LO_TRY_GOTO(status, lo_network_build(model, dataset->shape, dataset->classes, &trainer->network, err),
                done);
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

void lo_trainer_destroy(lo_trainer **trainer)
{
    if (*trainer != NULL) {
        lo_network_destroy(&(*trainer)->network);
        lo_arena_destroy(&(*trainer)->arena);
        free((*trainer)->start);
        free(*trainer);
        *trainer = NULL;
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

void lo_trainer_checkpoint(lo_trainer *trainer, lo_checkpoint *checkpoint)
{
    trainer->checkpoint = checkpoint;
}

size_t lo_trainer_memory(const lo_trainer *trainer)
{
    return lo_arena_used(trainer->arena);
}

int64_t lo_trainer_parameters(const lo_trainer *trainer)
{
    return lo_network_parameters(trainer->network);
}

double lo_trainer_step_flops(const lo_trainer *trainer)
{
    return lo_network_flops(trainer->network);
}

/* ---- training
 * --------------------------------------------------------------------------------------------------- */

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

static lo_status step(lo_trainer *trainer, const uint32_t *rows, size_t count, double lr, const lo_tick *tick,
                      double *loss, int64_t *correct)
{
    lo_network *network = trainer->network;
    for (size_t i = 0; i < count; i++) {
        take_view(trainer, trainer->model_seed, trainer->epoch, rows[i], input_at(trainer, i));
        trainer->labels[i] = trainer->dataset->train.label[rows[i]];
        LO_TRY(i % EXAMPLES_A_TICK == 0 ? lo_tick_call(tick) : LO_OK);
    }
    network->draw.seed = trainer->recipe.seed;
    network->draw.model_seed = trainer->model_seed;
    network->draw.example = rows;
    LO_TRY(lo_network_forward(network, count, true, tick));
    network->draw.step++;
    *loss = lo_softmax_loss(lo_network_logits(network), lo_network_logit_step(network), trainer->labels,
                            count, network->classes, trainer->recipe.label_smoothing,
                            lo_network_logit_slope(network), correct) /
            (double)count;
    lo_logging_batch(&trainer->logging, rows, lo_network_logits(network), lo_network_logit_step(network),
                     trainer->labels, count, network->classes, trainer->recipe.label_smoothing);
    if (!isfinite(*loss)) {
        return LO_OK;
    }
    LO_TRY(lo_network_backward(network, count, tick));
    lo_optimizer_step(&trainer->optimizer, &trainer->recipe, network, lr);
    return lo_tick_call(tick);
}

lo_status lo_trainer_step(lo_trainer *trainer, const uint32_t *rows, size_t count, double lr,
                          const lo_tick *tick, double *loss, int64_t *correct)
{
    const lo_float_mode mode = lo_flush_denormals();
    const lo_status status = step(trainer, rows, count, lr, tick, loss, correct);
    lo_restore_floats(mode);
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
                               .logged = log == NULL            ? 0
                                         : log->correct == NULL ? 1
                                                                : 2,
                               .kept = (int64_t)trainer->observer.kept_size,
                               .members_crc = lo_crc32(0, members, (size_t)count * sizeof(*members)),
                               .start_crc = trainer->start != NULL ? trainer->start_crc : 0};
    (void)snprintf(c.progress.identity.processor, sizeof(c.progress.identity.processor), "%s",
                   lo_processor_type());
    return c;
}

/* A checkpoint that cannot be read or written costs time, never the training. */
static void complain(const lo_checkpoint *checkpoint, const lo_error *why, const char *then)
{
    lo_error text;
    (void)lo_fail(&text, LO_IO, "%.1800s; %s", why->text, then);
    if (checkpoint->warn != NULL) {
        checkpoint->warn(checkpoint->self, text.text);
    }
}

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
        complain(checkpoint, &why, "the training begins again");
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

static lo_status begin(lo_trainer *trainer, course *c)
{
    bool resumed;
    const lo_training_identity *id = &c->progress.identity;
    const lo_position *at = &c->progress.at;
    trainer->model_seed = id->model_seed;
    trainer->logging = begin_log(trainer, c);
    LO_TRY(resume(trainer, c, &resumed));
    if (resumed) {
        trainer->logging.epoch = at->epoch;
        trainer->batches = trainer->optimizer.steps;
        trainer->network->draw.step = (uint64_t)trainer->batches;
        c->begun -= at->seconds;
        return LO_OK;
    }
    c->progress.at = (lo_position){0};
    trainer->logging = begin_log(trainer, c); /* what could not be used may have left something there */
    trainer->batches = 0;
    trainer->network->draw.step = 0;
    lo_optimizer_start(&trainer->optimizer, trainer->network);
    return begin_weights(trainer, id->model_seed, c->tick);
}

/* Between two batches: saves the training when who runs it asks for that. */
static lo_status save_if_asked(lo_trainer *trainer, course *c)
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
        complain(checkpoint, &why, "the training goes on without a checkpoint");
    } else if (status == LO_OK && checkpoint->saved != NULL) {
        checkpoint->saved(checkpoint->self, share);
    }
    if (status != LO_OK && !has_failed(status)) {
        return status;
    }
    return wish == LO_SAVE_AND_STOP ? LO_STOPPED : LO_OK;
}

static lo_status end_epoch(lo_trainer *trainer, course *c, lo_training *out, lo_error *err)
{
    lo_position *at = &c->progress.at;
    const lo_observer *observer = &trainer->observer;
    lo_logging_epoch(&trainer->logging, out->loss, out->accuracy);
    *at = (lo_position){.epoch = at->epoch + 1, .loss = out->loss, .accuracy = out->accuracy};
    if (out->diverged) {
        return LO_OK;
    }
    if (observer->after_epoch != NULL) {
        LO_TRY(observer->after_epoch(observer->self, at->epoch, err));
    }
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
        LO_TRY(
            lo_trainer_step(trainer, trainer->order + seen, (size_t)size, lr, c->tick, &loss, &at->correct));
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
    out->diverged = out->diverged || !all_finite(network->weights, network->weight_size) ||
                    !all_finite(network->statistics, network->statistic_size);
    if (out->diverged) {
        forget_weights(trainer->network);
    }
    return LO_OK;
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
    course c = make_course(trainer, model_seed, members, count, tick);
    const lo_status status = train(trainer, &c, out, err);
    trainer->logging = (lo_logging){0};
    out->seconds = lo_clock_monotonic() - c.begun;
    return status;
}

/* ---- evaluation
 * ------------------------------------------------------------------------------------------------- */

/* Called with the logits of `count` examples that start at `first`. */
typedef void logits_sink(void *self, const lo_trainer *trainer, int64_t first, size_t count);

static lo_status each_batch(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                            logits_sink *sink, void *self)
{
    lo_status status = LO_OK;
    const lo_float_mode mode = lo_flush_denormals();
    for (int64_t first = 0; first < examples->count && status == LO_OK; first += (int64_t)trainer->capacity) {
        const int64_t left = examples->count - first;
        const size_t count = left < (int64_t)trainer->capacity ? (size_t)left : trainer->capacity;
        for (size_t i = 0; i < count && status == LO_OK; i++) {
            lo_batch_example(trainer->network->kernels, trainer->dataset, examples, (size_t)first + i,
                             input_at(trainer, i));
            trainer->labels[i] = examples->label[(size_t)first + i];
            status = i % EXAMPLES_A_TICK == 0 ? lo_tick_call(tick) : LO_OK;
        }
        if (status == LO_OK) {
            status = lo_network_forward(trainer->network, count, false, tick);
        }

        if (status == LO_OK) {
            sink(self, trainer, first, count);
        }
    }
    lo_restore_floats(mode);
    return status;
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

lo_status lo_trainer_evaluate(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                              uint8_t *correct, float *margin, lo_error *err)
{
    (void)err;
    outcomes to = {correct, margin};
    if (correct != NULL) {
        memset(correct, 0, (size_t)(examples->count + 7) / 8);
    }
    return each_batch(trainer, examples, tick, store_outcomes, &to);
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

lo_status lo_trainer_logits(lo_trainer *trainer, const lo_examples *examples, const lo_tick *tick,
                            float *logits, lo_error *err)
{
    (void)err;
    return each_batch(trainer, examples, tick, store_logits, logits);
}
