/* Forward, loss, backward, step. */
#include "nn/kernels/float_mode.h"
#include "nn/loss.h"
#include "unlearn/pupil_state.h"

#include <math.h>
#include <string.h>

double lo_loss_mean(void *self, lo_batch *batch)
{
    const double share = self != NULL ? *(const double *)self : 1;
    const double loss = lo_softmax_loss(batch->logits, batch->step, batch->label, batch->count,
                                        batch->classes, batch->smoothing, batch->slope, &batch->correct) /
                        (double)batch->count;
    if (share != 1) {
        for (size_t i = 0; i < batch->count * batch->step; i++) {
            batch->slope[i] *= (float)share;
        }
    }
    return share * loss;
}

/* ---- passes ---- */

static bool is_cut(const lo_pupil *pupil)
{
    return pupil->network->slices.total > 1;
}

/* This member's examples of a batch: the first, and how many. */
typedef struct part {
    size_t first, count;
} part;

static part part_of(const lo_network *network, const lo_batch *batch)
{
    const lo_slices *slices = &network->slices;
    return slices->total > 1 ? (part){slices->first, slices->start[slices->count]} : (part){0, batch->count};
}

static lo_status show_batch(lo_pupil *pupil, const lo_hand *hand, const lo_batch *batch)
{
    const lo_look look = {.views = pupil->views, .key = batch->key, .epoch = batch->epoch};
    const part own = part_of(hand->network, batch);
    for (size_t i = 0; i < own.count; i++) {
        lo_pupil_show(pupil, hand, &look, batch->row[own.first + i], i);
        LO_TRY(i % LO_EXAMPLES_A_TICK == 0 ? lo_tick_call(lo_hand_tick(pupil, hand)) : LO_OK);
    }
    return LO_OK;
}

/* Puts together the logits of a whole batch, those of the network being this member's. */
static void gather(const lo_network *network, const lo_batch *batch, float *whole, const lo_tick *tick)
{
    const lo_slices *slices = &network->slices;
    const size_t step = lo_network_logit_step(network), row = step * sizeof(float);
    const part mine = part_of(network, batch);
    memcpy(whole + mine.first * step, lo_network_logits(network), mine.count * row);
    if (slices->team != NULL) {
        size_t from[LO_MAX_SLICES + 1];
        for (int m = 0; m <= slices->team->members; m++) {
            from[m] = lo_slice_start(slices->total, (size_t)m * slices->count, batch->count) * row;
        }
        slices->team->gather(slices->team, whole, from, tick);
    }
}

/* The logits that a teacher gives to the batch that is shown. It looks through the same network with weights
 * of its own. */
static lo_status ask_teacher(lo_pupil *pupil, const lo_hand *hand, lo_teacher teacher, const lo_batch *batch)
{
    lo_network *network = hand->network;
    float *weights = network->weights, *statistics = network->statistics;
    const lo_tick *tick = lo_hand_tick(pupil, hand);
    network->weights = pupil->teacher[teacher];
    network->statistics = pupil->teacher[teacher] + network->weight_size;
    const lo_status status = lo_network_forward(network, part_of(network, batch).count, false, tick);
    network->weights = weights;
    network->statistics = statistics;
    gather(network, batch, pupil->teacher_logits[teacher], tick);
    return status;
}

/* This thread's share: teachers', and then the pupil's own. */
static lo_status forward_share(lo_pupil *pupil, lo_hand *hand, void *self)
{
    const lo_batch *batch = self;
    lo_network *network = hand->network;
    if (is_cut(pupil)) {
        lo_slices_cut(&network->slices, batch->count);
        network->slices.batch = pupil->training ? batch->count : 0; /* evaluation has no slices of its own */
    }
    const part own = part_of(network, batch);
    LO_TRY(show_batch(pupil, hand, batch));
    for (int t = 0; t < LO_TEACHERS; t++) {
        LO_TRY(pupil->teaches[t] ? ask_teacher(pupil, hand, (lo_teacher)t, batch) : LO_OK);
    }
    network->draw.model_seed = batch->key;
    network->draw.example = batch->row + own.first;
    LO_TRY(lo_network_forward(network, own.count, pupil->training, lo_hand_tick(pupil, hand)));
    if (is_cut(pupil)) {
        gather(network, batch, pupil->logits, lo_hand_tick(pupil, hand));
    }
    return LO_OK;
}

/* Once by the pupil, and once by each teacher. */
static lo_status read_batch(lo_pupil *pupil, lo_batch *batch, lo_error *err)
{
    const int32_t *label = batch->stand_in != NULL ? batch->stand_in : pupil->dataset->train.label;
    for (int t = -1; t < LO_TEACHERS; t++) {
        for (size_t i = 0; i < batch->count && (t < 0 || pupil->teaches[t]); i++) {
            LO_TRY(lo_pupil_read_row(pupil, batch->row[i], err));
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        pupil->labels[i] = label[batch->row[i]];
    }
    return LO_OK;
}

static lo_status forward(lo_pupil *pupil, lo_batch *batch, lo_error *err)
{
    lo_network *network = pupil->network;
    LO_TRY(read_batch(pupil, batch, err));
    LO_TRY(lo_pupil_on_hands(pupil, forward_share, batch, err));
    network->draw.step++;
    for (int t = 0; t < LO_TEACHERS; t++) {
        batch->teacher[t] = pupil->teaches[t] ? pupil->teacher_logits[t] : batch->teacher[t];
    }
    batch->label = pupil->labels;
    batch->logits = lo_network_logits(network);
    batch->slope = lo_network_logit_slope(network);
    if (is_cut(pupil)) {
        batch->logits = pupil->logits;
        batch->slope = pupil->slope;
    }
    batch->step = lo_network_logit_step(network);
    batch->classes = network->classes;
    batch->smoothing = pupil->recipe.label_smoothing;
    return LO_OK;
}

/* Backward in evaluation mode, slice by slice, so that bits do not depend on who has which. One pass destroys
 * what forward left: where this member has several slices each goes forward again. */
static lo_status backward_slices(lo_pupil *pupil, const lo_hand *hand, const lo_batch *batch)
{
    lo_network *network = hand->network;
    const lo_tick *tick = lo_hand_tick(pupil, hand);
    const lo_slices *slices = &network->slices;
    const size_t size = lo_network_input_size(network);
    for (size_t s = 0; s < slices->count; s++) {
        const size_t from = slices->start[s], count = slices->start[s + 1] - from;
        if (slices->count > 1 && count > 0) {
            memmove(lo_network_input(network), lo_network_input(network) + from * size,
                    count * size * sizeof(float));
            LO_TRY(lo_network_forward(network, count, false, tick));
        }
        if (count > 0) {
            memcpy(lo_network_logit_slope(network), pupil->slope + (slices->first + from) * batch->step,
                   count * batch->step * sizeof(float));
            LO_TRY(lo_network_backward_fixed(network, count, NULL, tick));
        }
        lo_slices_add_gradient(slices, s, network->gradient, 0, network->weight_size);
    }
    return LO_OK;
}

static lo_status backward_alone(lo_pupil *pupil, const lo_hand *hand, const lo_batch *batch)
{
    lo_network *network = hand->network;
    const lo_tick *tick = lo_hand_tick(pupil, hand);
    const part own = part_of(network, batch);
    if (is_cut(pupil) && !pupil->training) {
        return backward_slices(pupil, hand, batch);
    }
    if (is_cut(pupil)) {
        memcpy(lo_network_logit_slope(network), pupil->slope + own.first * batch->step,
               own.count * batch->step * sizeof(float));
    }
    return pupil->training ? lo_network_backward(network, own.count, tick)
                           : lo_network_backward_fixed(network, own.count, NULL, tick);
}

/* This thread's share, and the sum over all members, which the first thread has. */
static lo_status backward_share(lo_pupil *pupil, lo_hand *hand, void *self)
{
    const lo_network *network = hand->network;
    const lo_team *team = network->slices.team;
    LO_TRY(backward_alone(pupil, hand, self));
    if (team != NULL) {
        team->sum_gradient(team, network->gradient, network->weight_size, lo_hand_tick(pupil, hand));
    }
    return LO_OK;
}

/* The gradient that a backward pass leaves is the sum with those before it. */
static lo_status backward(lo_pupil *pupil, lo_batch *batch, lo_error *err)
{
    lo_network *network = pupil->network;
    if (pupil->gathered > 0) {
        float *gradient = network->gradient;
        network->gradient = pupil->sum;
        pupil->sum = gradient;
    }
    LO_TRY(lo_pupil_on_hands(pupil, backward_share, batch, err));
    if (pupil->gathered > 0) {
        lo_add_values(network->gradient, pupil->sum, network->weight_size);
    }
    pupil->gathered++;
    return LO_OK;
}

/* A network that diverged knows nothing: as a training that did. */
static void diverge(lo_pupil *pupil)
{
    pupil->diverged = true;
    for (size_t i = 0; i < pupil->network->weight_size; i++) {
        pupil->network->weights[i] = NAN;
    }
}

static lo_status learn(lo_pupil *pupil, lo_batch *batch, lo_batch_loss *loss, void *self, lo_error *err)
{
    LO_TRY(forward(pupil, batch, err));
    batch->loss = loss(self, batch);
    if (!isfinite(batch->loss)) {
        diverge(pupil);
        return LO_OK;
    }
    LO_TRY(batch->flat ? LO_OK : backward(pupil, batch, err));
    return lo_pupil_agree(pupil, lo_tick_call(pupil->tick));
}

lo_status lo_pupil_learn(lo_pupil *pupil, lo_batch *batch, lo_batch_loss *loss, void *self, lo_error *err)
{
    if (pupil->diverged) {
        batch->loss = (double)NAN;
        return LO_OK;
    }
    const lo_float_mode mode = lo_flush_denormals();
    const lo_status status = learn(pupil, batch, loss, self, err);
    lo_restore_floats(mode);
    pupil->network->slices.batch = 0;
    return status;
}

/* ---- steps ---- */

static void clear_if_empty(lo_pupil *pupil)
{
    if (pupil->gathered == 0) {
        memset(pupil->network->gradient, 0, pupil->network->weight_size * sizeof(float));
        pupil->gathered = 1;
    }
}

void lo_pupil_add_l1(lo_pupil *pupil, double strength)
{
    const lo_network *network = pupil->network;
    const float pull = (float)strength, *w = network->weights;
    clear_if_empty(pupil);
    for (size_t i = 0; i < network->weight_size; i++) {
        network->gradient[i] += w[i] > 0 ? pull : w[i] < 0 ? -pull : 0;
    }
}

lo_status lo_pupil_step(lo_pupil *pupil, double lr)
{
    lo_network *network = pupil->network;
    clear_if_empty(pupil);
    pupil->gathered = 0;
    if (pupil->diverged) {
        return LO_OK;
    }
    const lo_float_mode mode = lo_flush_denormals();
    for (size_t i = 0; pupil->masks_gradients && i < network->weight_size; i++) {
        network->gradient[i] *= pupil->gradient_mask[i];
    }
    lo_optimizer_step(&pupil->optimizer, &pupil->pace, network, lr);
    lo_restore_floats(mode);
    return lo_tick_call(pupil->tick);
}

void lo_pupil_take_gradient(lo_pupil *pupil, float *to)
{
    const lo_network *network = pupil->network;
    clear_if_empty(pupil);
    pupil->gathered = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (!p->statistic) {
            lo_network_get(network, p, LO_GRADIENTS, to);
            to += p->out * p->in * p->taps;
        }
    }
}

lo_status lo_pupil_epoch(lo_pupil *pupil, lo_feed *feed, lo_batch_loss *loss, void *self, double lr,
                         int64_t *correct, lo_error *err)
{
    lo_batch batch;
    while (lo_feed_next(feed, &batch)) {
        LO_TRY(lo_pupil_learn(pupil, &batch, loss, self, err));
        LO_TRY(lo_pupil_step(pupil, lr));
        if (correct != NULL) {
            *correct += batch.correct;
        }
    }
    return LO_OK;
}
