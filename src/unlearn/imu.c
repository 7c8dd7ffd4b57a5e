#include "unlearn/imu.h"

#include "nn/output.h"
#include "nn/per_example.h"

#include <stdlib.h>
#include <string.h>

/* ---- by gradients of each example ---- */

/* direction = gbar / F over what is not frozen, in float as the dots take it. */
static void set_direction(const lo_network *network, const double *sum, const double *square, double count,
                          double damping, float *direction)
{
    size_t at = 0, to = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const size_t elements = p->statistic ? 0 : p->out * p->in * p->taps;
        for (size_t i = 0; i < elements && !p->frozen; i++) {
            direction[to++] = (float)(sum[at + i] / count / (square[at + i] / count + damping));
        }
        at += elements;
    }
}

static lo_status dots(lo_pupil *pupil, const lo_members *members, const float *direction, double *influence,
                      lo_error *err)
{
    lo_per_example *of = NULL;
    const lo_dataset *dataset = lo_pupil_dataset(pupil);
    const lo_example_list list = {
        .examples = &dataset->train, .position = members->rows, .count = members->count};
    const lo_output output = {.kind = LO_OUTPUT_LOSS, .smoothing = lo_pupil_recipe(pupil)->label_smoothing};
    LO_TRY(lo_pupil_read(pupil, members, err));
    LO_TRY(lo_per_example_create(lo_pupil_network(pupil), dataset, NULL, 0, &of, err));
    const lo_status status =
        lo_per_example_dots(of, &list, &output, direction, 1, influence, lo_pupil_tick(pupil), err);
    lo_per_example_destroy(&of);
    return lo_pupil_agree(pupil, status);
}

lo_status lo_imu_influence(lo_pupil *pupil, const lo_members *members, double damping, double *influence,
                           lo_error *err)
{
    const size_t size = lo_pupil_size(pupil);
    lo_status status = LO_OK;
    double *sum = calloc(2 * size + 1, sizeof(*sum));
    float *direction = calloc(size + 1, sizeof(*direction));
    if (sum == NULL || direction == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for influences through %zu weights", size);
        goto done;
    }
    LO_TRY_GOTO(status, lo_pupil_gradients(pupil, members, false, sum, err), done);
    LO_TRY_GOTO(status, lo_pupil_gradients(pupil, members, true, sum + size, err), done);
    set_direction(lo_pupil_network(pupil), sum, sum + size, (double)members->count, damping, direction);
    LO_TRY_GOTO(status, dots(pupil, members, direction, influence, err), done);
    for (int64_t i = 0; i < members->count; i++) {
        influence[i] = -influence[i];
    }

done:
    free(sum);
    free(direction);
    return status;
}

/* ---- in closed form ---- */

static const lo_layer *head_of(const lo_network *network)
{
    return network->layer[network->layer_count - 1];
}

bool lo_imu_has_closed_form(const lo_pupil *pupil)
{
    const lo_network *network = lo_pupil_network((lo_pupil *)(uintptr_t)pupil);
    const lo_layer *head = head_of(network);
    const lo_shape in = lo_network_shape_of(network, head->value[0]);
    return strcmp(head->type->name, "linear") == 0 && in.height == 1 && in.width == 1;
}

/* What the closed form is computed from, [examples] rows. */
typedef struct head {
    size_t examples, classes, width;  /* width: features and 1 */
    float *logits, *features, *delta; /* features: without the 1; delta [examples, classes] */
    double *mean, *square;            /* [classes, width] */
    double *feature;                  /* [width], of one example */
} head;

static void load_features(const head *h, size_t n)
{
    for (size_t j = 0; j + 1 < h->width; j++) {
        h->feature[j] = (double)h->features[n * (h->width - 1) + j];
    }
    h->feature[h->width - 1] = 1;
}

/* Adds g_n and its squares to the sums; g_n = delta_n feature_n'. */
static void add_example(const head *h, size_t n)
{
    load_features(h, n);
    for (size_t c = 0; c < h->classes; c++) {
        const double delta = (double)h->delta[n * h->classes + c];
        double *mean = h->mean + c * h->width, *square = h->square + c * h->width;
        for (size_t j = 0; j < h->width; j++) {
            const double g = delta * h->feature[j];
            mean[j] += g;
            square[j] += g * g;
        }
    }
}

/* mean becomes gbar / F. */
static void divide(const head *h, double damping)
{
    const double count = (double)h->examples;
    for (size_t i = 0; i < h->classes * h->width; i++) {
        h->mean[i] = h->mean[i] / count / (h->square[i] / count + damping);
    }
}

static double influence_of(const head *h, size_t n)
{
    double sum = 0;
    load_features(h, n);
    for (size_t c = 0; c < h->classes; c++) {
        double dot = 0;
        for (size_t j = 0; j < h->width; j++) {
            dot += h->mean[c * h->width + j] * h->feature[j];
        }
        sum += (double)h->delta[n * h->classes + c] * dot;
    }
    return -sum;
}

static lo_status make_head(head *h, const lo_pupil *pupil, int64_t examples, lo_error *err)
{
    const lo_network *network = lo_pupil_network((lo_pupil *)(uintptr_t)pupil);
    *h = (head){.examples = (size_t)examples,
                .classes = (size_t)network->classes,
                .width = lo_shape_size(lo_network_shape_of(network, head_of(network)->value[0])) + 1};
    h->logits = malloc(h->examples * (2 * h->classes + h->width) * sizeof(*h->logits));
    h->mean = calloc((2 * h->classes + 1) * h->width, sizeof(*h->mean));
    if (h->logits == NULL || h->mean == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the features of %zu examples", h->examples);
    }
    h->delta = h->logits + h->examples * h->classes;
    h->features = h->delta + h->examples * h->classes;
    h->square = h->mean + h->classes * h->width;
    h->feature = h->square + h->classes * h->width;
    return LO_OK;
}

static void find_deltas(const head *h, const lo_pupil *pupil, const lo_members *members)
{
    const lo_output output = {.kind = LO_OUTPUT_LOSS, .smoothing = lo_pupil_recipe(pupil)->label_smoothing};
    const int32_t *label = lo_pupil_dataset(pupil)->train.label;
    for (size_t n = 0; n < h->examples; n++) {
        lo_output_slope(&output, (int64_t)n, h->logits + n * h->classes, (int32_t)h->classes,
                        label[members->rows[n]], h->delta + n * h->classes);
    }
}

static lo_status sum_up(const head *h, const lo_tick *tick, double damping, double *influence)
{
    for (size_t n = 0; n < h->examples; n++) {
        add_example(h, n);
        LO_TRY(lo_tick_call(tick));
    }
    divide(h, damping);
    for (size_t n = 0; n < h->examples; n++) {
        influence[n] = influence_of(h, n);
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

lo_status lo_imu_head_influence(lo_pupil *pupil, const lo_members *members, double damping, double *influence,
                                lo_error *err)
{
    head h;
    lo_status status = make_head(&h, pupil, members->count, err);
    if (status == LO_OK) {
        status = lo_pupil_outputs(pupil, members, head_of(lo_pupil_network(pupil))->value[0], h.logits,
                                  h.features, err);
    }
    if (status == LO_OK) {
        find_deltas(&h, pupil, members);
        status = lo_pupil_agree(pupil, sum_up(&h, lo_pupil_tick(pupil), damping, influence));
    }
    free(h.logits);
    free(h.mean);
    return status;
}
