/* Pupils: what there is of one, and how it is set up for a method. */
#include "unlearn/pupil.h"

#include "base/random.h"
#include "nn/augment.h"
#include "nn/batch.h"
#include "nn/kernels/float_mode.h"
#include "nn/presets/presets.h"
#include "nn/trainer.h"
#include "nn/weights.h"
#include "unlearn/pupil_state.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static void reserve(lo_pupil *pupil, lo_memory *memory)
{
    lo_network *network = pupil->network;
    const lo_recipe most = {.optimizer = LO_OPTIMIZER_ADAMW}; /* which has the most arrays */
    lo_network_reserve(network, lo_kernels_chosen(pupil->precision), pupil->capacity, memory);
    lo_optimizer_reserve(&pupil->optimizer, &most, network, memory);
    pupil->sum = lo_memory_floats(memory, network->weight_size);
    pupil->gradient_mask = lo_memory_floats(memory, network->weight_size);
    for (int t = 0; t < LO_TEACHERS; t++) {
        pupil->teacher_logits[t] = lo_memory_floats(memory, pupil->capacity * lo_network_logit_step(network));
    }
    if (network->slices.total > 1) {
        pupil->logits = lo_memory_floats(memory, pupil->capacity * lo_network_logit_step(network));
        pupil->slope = lo_memory_floats(memory, pupil->capacity * lo_network_logit_step(network));
    }
    pupil->labels = lo_memory_bytes(memory, pupil->capacity, sizeof(int32_t));
    pupil->hand[0].image = lo_memory_floats(memory, lo_network_input_size(network));
}

/* Room for batches of `batch` examples, and no more: what is computed in batches of the network's capacity
 * must not depend on what the pupil did before. The weights stay. */
static lo_status make_room(lo_pupil *pupil, int64_t batch, lo_precision precision, lo_error *err)
{
    lo_network *network = pupil->network;
    const int64_t examples = pupil->dataset->train.count;
    size_t capacity = (size_t)(batch < examples ? batch : examples);
    capacity = capacity < LO_SMALLEST_ROOM ? LO_SMALLEST_ROOM : capacity;
    if (pupil->arena != NULL && capacity == pupil->capacity && precision == pupil->precision) {
        return LO_OK;
    }
    const float *weights = network->weights, *statistics = network->statistics;
    lo_arena *former = pupil->arena;
    pupil->capacity = capacity;
    pupil->precision = precision;
    lo_memory memory = {0};
    reserve(pupil, &memory);
    pupil->arena = lo_arena_create(memory.bytes);
    if (pupil->arena == NULL) {
        lo_arena_destroy(&former);
        return lo_fail(err, LO_INTERNAL, "no memory for unlearning with batches of %zu: %zu bytes", capacity,
                       memory.bytes);
    }
    memory = (lo_memory){.arena = pupil->arena};
    reserve(pupil, &memory);
    if (former != NULL) {
        memcpy(network->weights, weights, network->weight_size * sizeof(float));
        memcpy(network->statistics, statistics, network->statistic_size * sizeof(float));
        lo_arena_destroy(&former);
    }
    return lo_hands_make_room(pupil, err);
}

static lo_status reserve_weights(lo_pupil *pupil, lo_error *err)
{
    const size_t size = pupil->network->weight_size + pupil->network->statistic_size;
    lo_memory memory = {0};
    for (int round = 0; round < 2; round++) {
        pupil->original = lo_memory_floats(&memory, size);
        for (int t = 0; t < LO_TEACHERS; t++) {
            pupil->teacher[t] = lo_memory_floats(&memory, size);
        }
        if (round == 0) {
            pupil->weights_arena = lo_arena_create(memory.bytes);
            if (pupil->weights_arena == NULL) {
                return lo_fail(err, LO_INTERNAL, "no memory for the weights of teachers: %zu bytes",
                               memory.bytes);
            }
            memory = (lo_memory){.arena = pupil->weights_arena};
        }
    }
    return LO_OK;
}

lo_status lo_pupil_create(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                          lo_pupil **out, lo_error *err)
{
    return lo_pupil_create_team(model, recipe, dataset, NULL, 1, out, err);
}

static lo_status check_slices(int slices, const lo_team *ranks, int threads, lo_error *err)
{
    const int members = ranks != NULL ? ranks->members : 1, cut = slices > 1 ? slices : 1;
    if (cut > LO_MAX_SLICES || (cut & (cut - 1)) != 0 || threads < 1 || cut % members != 0 ||
        cut / members % threads != 0) {
        return lo_fail(
            err, LO_USAGE,
            "unlearning with batches of %d slices by %d ranks with %d threads each; a power of two, 1 "
            "to %d, that their product divides is allowed",
            slices, members, threads, LO_MAX_SLICES);
    }
    return LO_OK;
}

/* In a team nobody leaves in the middle of a batch: the others would wait. */
static lo_status remember(void *self)
{
    lo_pupil *pupil = self;
    const lo_status status = lo_tick_call(pupil->callers);
    pupil->pending = pupil->pending != LO_OK ? pupil->pending : status;
    return LO_OK;
}

lo_status lo_pupil_agree(lo_pupil *pupil, lo_status status)
{
    if (pupil->tick == &pupil->quiet) {
        int number = (int)(status != LO_OK ? status : pupil->pending);
        pupil->pending = LO_OK; /* what the tick returns while the others are waited for is told next time */
        lo_pupil_share(pupil, &number, sizeof(number));
        status = (lo_status)number;
    }
    return status;
}

lo_status lo_pupil_create_team(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                               const lo_team *ranks, int threads, lo_pupil **out, lo_error *err)
{
    lo_status status = LO_OK;
    *out = NULL;
    LO_TRY(lo_recipe_check(recipe, err));
    LO_TRY(check_slices(recipe->slices, ranks, threads, err));
    LO_TRY(lo_augment_check(&recipe->augment, dataset->shape, err));
    LO_TRY(lo_kernels_check(err));
    lo_pupil *pupil = calloc(1, sizeof(*pupil));
    if (pupil == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a pupil");
    }
    const size_t examples = (size_t)dataset->train.count;
    pupil->recipe = pupil->pace = *recipe;
    pupil->dataset = dataset;
    pupil->training = true;
    pupil->permit = LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION;
    LO_TRY_GOTO(status, lo_network_build(model, dataset->shape, dataset->classes, &pupil->network, err),
                done);
    if (recipe->slices > 1) {
        const size_t members = (size_t)threads * (ranks != NULL ? (size_t)ranks->members : 1);
        pupil->network->slices = (lo_slices){
            .total = (size_t)recipe->slices, .count = (size_t)recipe->slices / members, .team = ranks};
    }
    pupil->team = ranks;
    pupil->quiet = (lo_tick){remember, pupil};
    pupil->tick = ranks != NULL || threads > 1 ? &pupil->quiet : NULL;
    LO_TRY_GOTO(status, lo_hands_create(pupil, model, threads, err), done);
    LO_TRY_GOTO(status, make_room(pupil, recipe->batch, recipe->precision, err), done);
    LO_TRY_GOTO(status, reserve_weights(pupil, err), done);
    pupil->part = calloc(2 * examples + 1, 1);
    if (pupil->part == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the sets of %zu examples", examples);
        goto done;
    }
    pupil->whole = pupil->part + examples;

done:
    if (status != LO_OK) {
        lo_pupil_destroy(&pupil);
    }
    *out = pupil;
    return status;
}

void lo_pupil_destroy(lo_pupil **pupil)
{
    if (*pupil != NULL) {
        lo_hands_destroy(*pupil);
        lo_network_destroy(&(*pupil)->network);
        lo_arena_destroy(&(*pupil)->arena);
        lo_arena_destroy(&(*pupil)->weights_arena);
        free((*pupil)->part);
        free((*pupil)->start);
        free((*pupil)->part_start);
        free(*pupil);
        *pupil = NULL;
    }
}

static void copy_weights(const lo_network *network, float *to)
{
    memcpy(to, network->weights, network->weight_size * sizeof(float));
    memcpy(to + network->weight_size, network->statistics, network->statistic_size * sizeof(float));
}

/* Everything is trained. */
static lo_status end_masks(lo_pupil *pupil, lo_error *err)
{
    pupil->masks_gradients = false;
    return lo_pupil_train_only(pupil, NULL, err);
}

void lo_pupil_share(lo_pupil *pupil, void *data, size_t size)
{
    if (pupil->team != NULL) {
        pupil->team->share(pupil->team, data, size, &pupil->quiet);
    }
}

lo_status lo_pupil_load(lo_pupil *pupil, const char *file, lo_error *err)
{
    lo_network *network = pupil->network;
    pupil->callers = NULL; /* that of the method before is gone */
    pupil->pending = LO_OK;
    lo_pupil_checkpoint(pupil, NULL);
    const lo_status status = lo_team_leads(pupil->team) ? lo_weights_load(network, file, err) : LO_OK;
    LO_TRY(lo_pupil_agree(pupil, status));
    lo_pupil_share(pupil, network->weights, network->weight_size * sizeof(float));
    lo_pupil_share(pupil, network->statistics, network->statistic_size * sizeof(float));
    copy_weights(pupil->network, pupil->original);
    memset(pupil->shown, 0, sizeof(pupil->shown));
    pupil->diverged = false;
    return end_masks(pupil, err);
}

lo_status lo_pupil_start_from(lo_pupil *pupil, const char *file, lo_error *err)
{
    const lo_network *network = pupil->network;
    const size_t size = network->weight_size + network->statistic_size;
    LO_TRY(lo_weights_load(pupil->network, file, err));
    free(pupil->start);
    pupil->start = malloc(size * sizeof(float));
    if (pupil->start == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the %zu weights that a training starts from", size);
    }
    copy_weights(network, pupil->start);
    return LO_OK;
}

lo_network *lo_pupil_network(lo_pupil *pupil)
{
    return pupil->network;
}

const lo_recipe *lo_pupil_recipe(const lo_pupil *pupil)
{
    return &pupil->recipe;
}

const lo_dataset *lo_pupil_dataset(const lo_pupil *pupil)
{
    return pupil->dataset;
}

const float *lo_pupil_original(const lo_pupil *pupil)
{
    return pupil->original;
}

/* ---- sets, permission and account ---- */

int64_t lo_pupil_shown(const lo_pupil *pupil, lo_set set)
{
    return pupil->shown[set];
}

void lo_pupil_permit(lo_pupil *pupil, unsigned reads)
{
    pupil->permit = reads;
}

unsigned lo_pupil_permitted(const lo_pupil *pupil)
{
    return pupil->permit;
}

static lo_status refuse(lo_set set, lo_error *err)
{
    static const char *const names[] = {"forget", "retain", "validation"};
    return lo_fail(err, LO_INTERNAL, "unlearning read the %s set, which it does not declare", names[set]);
}

lo_status lo_pupil_read_row(lo_pupil *pupil, uint32_t row, lo_error *err)
{
    if ((int64_t)row >= pupil->dataset->train.count || pupil->part[row] == 0 || pupil->whole[row] == 0) {
        return lo_fail(err, LO_INTERNAL, "unlearning read training example %u, which is in no set", row);
    }
    const lo_set set = (lo_set)(pupil->part[row] - 1);
    if ((pupil->permit >> set & 1) == 0) {
        return refuse(set, err);
    }
    pupil->shown[pupil->whole[row] - 1]++;
    return LO_OK;
}

lo_status lo_pupil_read_validation(lo_pupil *pupil, int64_t count, lo_error *err)
{
    if ((pupil->permit & LO_READS_VALIDATION) == 0) {
        return refuse(LO_SET_VALIDATION, err);
    }
    pupil->shown[LO_SET_VALIDATION] += count;
    return LO_OK;
}

lo_status lo_pupil_read(lo_pupil *pupil, const lo_members *members, lo_error *err)
{
    if (members->validation) {
        return lo_pupil_read_validation(pupil, members->count, err);
    }
    for (int64_t i = 0; i < members->count; i++) {
        LO_TRY(lo_pupil_read_row(pupil, members->rows != NULL ? members->rows[i] : (uint32_t)i, err));
    }
    return LO_OK;
}

static void mark(const lo_request *request, int64_t examples, uint8_t *set)
{
    memset(set, 0, (size_t)examples);
    for (int64_t i = 0; i < request->forget_count; i++) {
        set[request->forget[i]] = 1 + LO_SET_FORGET;
    }
    for (int64_t i = 0; i < request->retain_count; i++) {
        set[request->retain[i]] = 1 + LO_SET_RETAIN;
    }
}

static lo_status begin(lo_pupil *pupil, const lo_request *request, int64_t batch, lo_precision precision,
                       const lo_tick *tick, lo_error *err)
{
    const int64_t examples = pupil->dataset->train.count;
    pupil->batch = batch > 0 ? batch : pupil->recipe.batch;
    LO_TRY(make_room(pupil, pupil->batch, precision, err));
    LO_TRY(end_masks(pupil, err));
    mark(request, examples, pupil->part);
    if (request->whole == NULL) {
        memcpy(pupil->whole, pupil->part, (size_t)examples);
        pupil->diverged = false;
        pupil->part_number = 0;
        pupil->part_count = 1;
    }
    pupil->request = request;
    pupil->pace = pupil->recipe;
    pupil->kept_count = 0;
    pupil->callers = tick;
    pupil->tick = pupil->team != NULL || pupil->threads != NULL ? &pupil->quiet : tick;
    pupil->training = pupil->views = true;
    pupil->gathered = 0;
    pupil->network->draw = (lo_draw){.seed = pupil->recipe.seed, .model_seed = request->run};
    lo_pupil_dismiss(pupil);
    lo_optimizer_start(&pupil->optimizer, pupil->network);
    return LO_OK;
}

lo_status lo_pupil_begin(lo_pupil *pupil, const lo_request *request, int64_t batch, const lo_tick *tick,
                         lo_error *err)
{
    return begin(pupil, request, batch, pupil->recipe.precision, tick, err);
}

lo_status lo_pupil_begin_f32(lo_pupil *pupil, const lo_request *request, int64_t batch, const lo_tick *tick,
                             lo_error *err)
{
    return begin(pupil, request, batch, LO_F32, tick, err);
}

const lo_tick *lo_pupil_tick(const lo_pupil *pupil)
{
    return pupil->tick;
}

void lo_pupil_set_training(lo_pupil *pupil, bool training)
{
    pupil->training = training;
}

void lo_pupil_set_views(lo_pupil *pupil, bool views)
{
    pupil->views = views;
}

uint64_t lo_pupil_key(const lo_pupil *pupil, lo_use use)
{
    return lo_random_u64(lo_random_make(pupil->request->seed, LO_FOR_UNLEARNING), pupil->request->run, use);
}

uint64_t lo_pupil_draw(const lo_pupil *pupil, lo_use use, uint64_t a, uint64_t b, uint64_t n)
{
    const lo_random random = lo_random_make(lo_pupil_key(pupil, use), LO_FOR_UNLEARNING);
    return lo_random_below(random, a, b, n);
}

/* ---- weights ---- */

lo_status lo_pupil_renew(lo_pupil *pupil, uint64_t key)
{
    lo_network *network = pupil->network;
    pupil->diverged = false;
    if (pupil->start == NULL) {
        return lo_network_initialize(network, pupil->recipe.seed, key, pupil->tick);
    }
    memcpy(network->weights, pupil->start, network->weight_size * sizeof(float));
    memcpy(network->statistics, pupil->start + network->weight_size, network->statistic_size * sizeof(float));
    return LO_OK;
}

static bool all_finite(const float *values, size_t count)
{
    float zero = 0; /* becomes NaN when a value is infinite or NaN */
    for (size_t i = 0; i < count; i++) {
        zero += values[i] * 0.0F;
    }
    return zero == 0;
}

bool lo_pupil_diverged(const lo_pupil *pupil)
{
    const lo_network *network = pupil->network;
    return pupil->diverged || !all_finite(network->weights, network->weight_size) ||
           !all_finite(network->statistics, network->statistic_size);
}

size_t lo_pupil_size(const lo_pupil *pupil)
{
    return (size_t)lo_network_parameters(pupil->network);
}

static size_t count_of(const lo_parameter *p)
{
    return p->out * p->in * p->taps;
}

void lo_pupil_weights(const lo_pupil *pupil, float *to)
{
    const lo_network *network = pupil->network;
    for (int k = 0; k < network->parameter_count; k++) {
        if (!network->parameter[k].statistic) {
            lo_network_get(network, &network->parameter[k], LO_VALUES, to);
            to += count_of(&network->parameter[k]);
        }
    }
}

void lo_pupil_set_weights(lo_pupil *pupil, const float *from)
{
    lo_network *network = pupil->network;
    for (int k = 0; k < network->parameter_count; k++) {
        if (!network->parameter[k].statistic) {
            lo_network_set(network, &network->parameter[k], from);
            from += count_of(&network->parameter[k]);
        }
    }
}

size_t lo_pupil_head(const lo_pupil *pupil)
{
    const lo_network *network = pupil->network;
    size_t at = 0, start = 0;
    int layer = -1;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (!p->statistic) {
            start = p->layer != layer ? at : start;
            layer = p->layer;
            at += count_of(p);
        }
    }
    return start;
}

static bool any_is(const uint8_t *values, size_t count, bool set)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        found = (values[i] != 0) == set;
    }
    return found;
}

lo_status lo_pupil_train_only(lo_pupil *pupil, const uint8_t *trained, lo_error *err)
{
    lo_network *network = pupil->network;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (p->statistic) {
            continue;
        }
        /* What is not trained at all is frozen, so that its gradient is not computed. */
        const bool frozen = trained != NULL && !any_is(trained, count_of(p), true);
        const bool mixed = !frozen && trained != NULL && any_is(trained, count_of(p), false);
        LO_TRY(lo_network_freeze(network, p->name, frozen, err));
        LO_TRY(lo_network_mask(network, p->name, mixed ? trained : NULL, err));
        trained += trained != NULL ? count_of(p) : 0;
    }
    return LO_OK;
}

lo_status lo_pupil_mask_gradients(lo_pupil *pupil, const uint8_t *trained, lo_error *err)
{
    lo_network *network = pupil->network;
    float *weights = network->weights, *values = calloc(lo_pupil_size(pupil) + 1, sizeof(float));
    if (values == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a mask of gradients");
    }
    for (size_t i = 0; i < lo_pupil_size(pupil); i++) {
        values[i] = trained[i] != 0 ? 1 : 0;
    }
    network->weights = pupil->gradient_mask; /* laid out as the weights are */
    lo_pupil_set_weights(pupil, values);
    network->weights = weights;
    pupil->masks_gradients = true;
    free(values);
    return LO_OK;
}

lo_status lo_pupil_reset(lo_pupil *pupil, const uint8_t *chosen, uint64_t key, lo_error *err)
{
    lo_network *network = pupil->network;
    const size_t size = lo_pupil_size(pupil);
    float *former = malloc((2 * size + network->statistic_size + 1) * sizeof(float));
    if (former == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a copy of %zu weights", size);
    }
    float *fresh = former + size, *statistics = fresh + size;
    lo_pupil_weights(pupil, former);
    memcpy(statistics, network->statistics, network->statistic_size * sizeof(float));
    const lo_status status = lo_network_initialize(network, pupil->recipe.seed, key, pupil->tick);
    if (status == LO_OK) {
        lo_pupil_weights(pupil, fresh);
        for (size_t i = 0; i < size; i++) {
            fresh[i] = chosen[i] != 0 ? fresh[i] : former[i];
        }
        lo_pupil_set_weights(pupil, fresh);
        memcpy(network->statistics, statistics, network->statistic_size * sizeof(float));
    }
    free(former);
    return status;
}

/* ---- pace and teachers ---- */

lo_status lo_pupil_pace(lo_pupil *pupil, const lo_pace *pace, lo_error *err)
{
    lo_recipe *to = &pupil->pace;
    *to = pupil->recipe;
    to->optimizer = pace->optimizer;
    to->lr = pace->lr;
    to->momentum = pace->momentum;
    to->weight_decay = pace->weight_decay;
    to->clip_norm = pace->clip_norm;
    to->nesterov = pace->nesterov;
    LO_TRY(lo_recipe_check(to, err));
    lo_optimizer_start(&pupil->optimizer, pupil->network);
    return LO_OK;
}

double lo_cosine_rate(double lr, double floor, int64_t epoch, int64_t epochs)
{
    return floor + (lr - floor) * (1 + cos(M_PI * (double)epoch / (double)epochs)) / 2;
}

lo_status lo_pupil_teach(lo_pupil *pupil, lo_teacher teacher, lo_error *err)
{
    lo_network *network = pupil->network;
    float *weights = network->weights, *statistics = network->statistics;
    (void)err;
    pupil->teaches[teacher] = true;
    if (teacher == LO_TEACHER_NOW) {
        copy_weights(network, pupil->teacher[teacher]);
        return LO_OK;
    }
    network->weights = pupil->teacher[teacher];
    network->statistics = pupil->teacher[teacher] + network->weight_size;
    const lo_status status =
        lo_network_initialize(network, pupil->recipe.seed, lo_pupil_key(pupil, LO_USE_TEACHER), pupil->tick);
    network->weights = weights;
    network->statistics = statistics;
    return status;
}

void lo_pupil_dismiss(lo_pupil *pupil)
{
    memset(pupil->teaches, 0, sizeof(pupil->teaches));
}

/* ---- views ---- */

void lo_pupil_show(const lo_pupil *pupil, const lo_hand *hand, const lo_look *look, uint32_t row, size_t at)
{
    const lo_dataset *dataset = pupil->dataset;
    const lo_network *network = hand->network;
    const lo_augment *augment = &pupil->recipe.augment;
    const bool viewed = look->views && lo_augments(augment);
    float *x = lo_network_input(hand->network) + at * lo_network_input_size(network);
    float *image = viewed ? hand->image : x;
    lo_batch_example(network->kernels, dataset, look->validation ? &dataset->validation : &dataset->train,
                     row, image);
    if (viewed) {
        /* Validation examples are numbered after those of training: none shares its views with another. */
        const uint32_t number = row + (look->validation ? (uint32_t)dataset->train.count : 0);
        const lo_view view =
            lo_view_of(augment, dataset->shape, pupil->recipe.seed, look->key, look->epoch, number);
        lo_view_take(&view, dataset->shape, image, x);
    }
}
