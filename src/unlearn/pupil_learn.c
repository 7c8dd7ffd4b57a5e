/* Forward, loss, backward, step. */
#include "nn/float_mode.h"
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

/* ---- passes
 * ----------------------------------------------------------------------------------------------------- */

static lo_status show_batch(lo_pupil *pupil, const lo_batch *batch, lo_error *err)
{
    const int32_t *label = batch->stand_in != NULL ? batch->stand_in : pupil->dataset->train.label;
    const lo_look look = {.views = pupil->views, .key = batch->key, .epoch = batch->epoch};
    for (size_t i = 0; i < batch->count; i++) {
        LO_TRY(lo_pupil_read_row(pupil, batch->row[i], err));
        lo_pupil_show(pupil, &look, batch->row[i], i);
        pupil->labels[i] = label[batch->row[i]];
        LO_TRY(i % LO_EXAMPLES_A_TICK == 0 ? lo_tick_call(pupil->tick) : LO_OK);
    }
    return LO_OK;
}

/* The logits that a teacher gives to the batch that is shown. It looks through the same network with weights
 * of its own. */
static lo_status ask_teacher(lo_pupil *pupil, lo_teacher teacher, lo_batch *batch, lo_error *err)
{
    lo_network *network = pupil->network;
    float *weights = network->weights, *statistics = network->statistics;
    for (size_t i = 0; i < batch->count; i++) {
        LO_TRY(lo_pupil_read_row(pupil, batch->row[i], err));
    }
    network->weights = pupil->teacher[teacher];
    network->statistics = pupil->teacher[teacher] + network->weight_size;
    const lo_status status = lo_network_forward(network, batch->count, false, pupil->tick);
    network->weights = weights;
    network->statistics = statistics;
    memcpy(pupil->teacher_logits[teacher], lo_network_logits(network),
           batch->count * lo_network_logit_step(network) * sizeof(float));
    batch->teacher[teacher] = pupil->teacher_logits[teacher];
    return status;
}

static lo_status forward(lo_pupil *pupil, lo_batch *batch, lo_error *err)
{
    lo_network *network = pupil->network;
    LO_TRY(show_batch(pupil, batch, err));
    for (int t = 0; t < LO_TEACHERS; t++) {
        LO_TRY(pupil->teaches[t] ? ask_teacher(pupil, (lo_teacher)t, batch, err) : LO_OK);
    }
    network->draw.model_seed = batch->key;
    network->draw.example = batch->row;
    LO_TRY(lo_network_forward(network, batch->count, pupil->training, pupil->tick));
    network->draw.step++;
    batch->label = pupil->labels;
    batch->logits = lo_network_logits(network);
    batch->slope = lo_network_logit_slope(network);
    batch->step = lo_network_logit_step(network);
    batch->classes = network->classes;
    batch->smoothing = pupil->recipe.label_smoothing;
    return LO_OK;
}

/* The gradient that a backward pass leaves is the sum with those before it. */
static lo_status backward(lo_pupil *pupil, size_t count)
{
    lo_network *network = pupil->network;
    if (pupil->gathered > 0) {
        float *gradient = network->gradient;
        network->gradient = pupil->sum;
        pupil->sum = gradient;
    }
    LO_TRY(pupil->training ? lo_network_backward(network, count, pupil->tick)
                           : lo_network_backward_fixed(network, count, NULL, pupil->tick));
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
    LO_TRY(batch->flat ? LO_OK : backward(pupil, batch->count));
    return lo_tick_call(pupil->tick);
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
    return status;
}

/* ---- steps
 * ------------------------------------------------------------------------------------------------------ */

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
    const float part = (float)strength, *w = network->weights;
    clear_if_empty(pupil);
    for (size_t i = 0; i < network->weight_size; i++) {
        network->gradient[i] += w[i] > 0 ? part : w[i] < 0 ? -part : 0;
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
