/* What is taken over all of some examples, in evaluation mode. */
#include "nn/kernels/float_mode.h"
#include "nn/loss.h"
#include "nn/per_example.h"
#include "unlearn/pupil_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Called with the logits of `count` examples, the first of which is members->rows[first]. */
typedef void batch_sink(void *self, lo_pupil *pupil, int64_t first, size_t count);

static uint32_t row_at(const lo_members *members, int64_t i)
{
    return members->rows != NULL ? members->rows[i] : (uint32_t)i;
}

static lo_status each_batch(lo_pupil *pupil, const lo_members *members, const lo_look *look, batch_sink *sink,
                            void *self)
{
    const lo_examples *examples = members->validation ? &pupil->dataset->validation : &pupil->dataset->train;
    const int64_t room = (int64_t)pupil->capacity;
    for (int64_t first = 0; first < members->count; first += room) {
        const int64_t left = members->count - first;
        const size_t count = (size_t)(left < room ? left : room);
        for (size_t i = 0; i < count; i++) {
            const uint32_t row = row_at(members, first + (int64_t)i);
            lo_pupil_show(pupil, pupil->hand, look, row, i);
            pupil->labels[i] = examples->label[row];
            LO_TRY(i % LO_EXAMPLES_A_TICK == 0 ? lo_tick_call(pupil->tick) : LO_OK);
        }
        LO_TRY(lo_network_forward(pupil->network, count, false, pupil->tick));
        sink(self, pupil, first, count);
    }
    return LO_OK;
}

static lo_status go_through(lo_pupil *pupil, const lo_members *members, const lo_look *look, batch_sink *sink,
                            void *self, lo_error *err)
{
    LO_TRY(lo_pupil_read(pupil, members, err));
    const lo_float_mode mode = lo_flush_denormals();
    const lo_status status = each_batch(pupil, members, look, sink, self);
    lo_restore_floats(mode);
    return lo_pupil_agree(pupil, status);
}

static void add_measure(void *self, lo_pupil *pupil, int64_t first, size_t count)
{
    lo_measure *to = self;
    const lo_network *network = pupil->network;
    const size_t step = lo_network_logit_step(network);
    (void)first;
    for (size_t i = 0; i < count; i++) {
        const float *z = lo_network_logits(network) + i * step;
        const int32_t label = pupil->labels[i];
        const float margin = lo_logit_margin(z, network->classes, label);
        to->loss +=
            (double)lo_example_loss(z, network->classes, label, pupil->recipe.label_smoothing, margin);
        to->correct += lo_is_correct(z, network->classes, label) ? 1 : 0;
    }
}

lo_status lo_pupil_measure(lo_pupil *pupil, const lo_members *members, bool views, uint64_t key,
                           int64_t epoch, lo_measure *out, lo_error *err)
{
    const lo_look look = {.validation = members->validation, .views = views, .key = key, .epoch = epoch};
    *out = (lo_measure){.count = members->count};
    LO_TRY(go_through(pupil, members, &look, add_measure, out, err));
    out->loss /= (double)out->count;
    return LO_OK;
}

typedef struct outputs {
    float *logits, *features;
    int value;
} outputs;

static void store_outputs(void *self, lo_pupil *pupil, int64_t first, size_t count)
{
    const outputs *to = self;
    const lo_network *network = pupil->network;
    const size_t classes = (size_t)network->classes;
    const size_t size = to->features != NULL ? lo_shape_size(lo_network_shape_of(network, to->value)) : 0;
    for (size_t i = 0; i < count; i++) {
        const size_t at = (size_t)first + i;
        if (to->logits != NULL) {
            memcpy(to->logits + at * classes, lo_network_logits(network) + i * lo_network_logit_step(network),
                   classes * sizeof(float));
        }
        if (to->features != NULL) {
            lo_network_take(network, to->value, i, to->features + at * size);
        }
    }
}

lo_status lo_pupil_outputs(lo_pupil *pupil, const lo_members *members, int value, float *logits,
                           float *features, lo_error *err)
{
    outputs to = {logits, features, value};
    const lo_look look = {.validation = members->validation};
    return go_through(pupil, members, &look, store_outputs, &to, err);
}

/* From the vector of what is not frozen to that of all parameters. */
static void spread(const lo_network *network, const lo_per_example *of, const double *total, double *sum)
{
    size_t at = 0;
    for (int k = 0, j = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const size_t count = p->out * p->in * p->taps;
        if (p->statistic) {
            continue;
        }
        if (j < lo_per_example_parameters(of) && lo_per_example_parameter(of, j) == p) {
            memcpy(sum + at, total + lo_per_example_start(of, j), count * sizeof(double));
            j++;
        } else {
            memset(sum + at, 0, count * sizeof(double));
        }
        at += count;
    }
}

lo_status lo_pupil_gradients(lo_pupil *pupil, const lo_members *members, bool squares, double *sum,
                             lo_error *err)
{
    lo_status status = LO_OK;
    lo_per_example *of = NULL;
    lo_pairwise *pairwise = NULL;
    double *total = NULL;
    const int64_t blocks = (members->count + LO_SUM_BLOCK - 1) / LO_SUM_BLOCK;
    const lo_example_list list = {.examples = members->validation ? &pupil->dataset->validation
                                                                  : &pupil->dataset->train,
                                  .position = members->rows,
                                  .count = members->count};
    const lo_output output = {.kind = LO_OUTPUT_LOSS, .smoothing = pupil->recipe.label_smoothing};
    LO_TRY(lo_pupil_read(pupil, members, err));
    LO_TRY(lo_per_example_create(pupil->network, pupil->dataset, NULL, 0, &of, err));
    LO_TRY_GOTO(status, lo_pairwise_create(lo_per_example_size(of), blocks, 0, blocks, &pairwise, err), done);
    LO_TRY_GOTO(status,
                lo_per_example_sums(of, &list, &output, squares ? LO_TERM_SQUARE : LO_TERM_GRADIENT, pairwise,
                                    pupil->tick, err),
                done);
    LO_TRY_GOTO(status, lo_pairwise_total(pairwise, pupil->tick, &total, err), done);
    spread(pupil->network, of, total, sum);

done:
    lo_pairwise_destroy(&pairwise);
    lo_per_example_destroy(&of);
    return lo_pupil_agree(pupil, status);
}
