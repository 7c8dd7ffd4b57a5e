#include "score/gradients.h"

#include "nn/batch.h"
#include "score/probe.h"

#include <stdlib.h>
#include <string.h>

const lo_setting lo_score_over = {
    "over",
    LO_SETTING_CHOICE,
    "checkpoints",
    0,
    0,
    "checkpoints end",
    "At which weights: the mean over originals.checkpoints and the end, or the end alone."};

lo_status lo_score_check_over(const lo_score_input *input, lo_error *err)
{
    return input->checkpoints > 0 || strcmp(lo_item_text(input->item, "over"), "end") == 0
               ? LO_OK
               : lo_item_fail(input->item, err,
                              "it is the mean over weights from within the training, and none are kept; set "
                              "originals.checkpoints, [1, 2, 4, 8] say, or over: end");
}

int lo_score_points(const lo_score_input *input, bool checkpoints, int64_t *point)
{
    int count = 0;
    for (int c = 0; checkpoints && c < input->checkpoints; c++) {
        if (input->checkpoint[c] < input->epochs) {
            point[count++] = input->checkpoint[c];
        }
    }
    point[count++] = 0;
    return count;
}

lo_output lo_score_loss(const lo_score_input *input)
{
    return (lo_output){.kind = LO_OUTPUT_LOSS, .smoothing = input->recipe->label_smoothing};
}

lo_status lo_input_gradients_create(const lo_score_input *input, lo_input_gradients *out, lo_error *err)
{
    const lo_dataset *data = input->data;
    const size_t channels = (size_t)data->shape.channels;
    *out = (lo_input_gradients){.input = input, .size = lo_shape_size(data->shape), .plain = *data};
    out->scale = calloc(channels, sizeof(*out->scale));
    out->shift = calloc(channels, sizeof(*out->shift));
    if (out->scale == NULL || out->shift == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for gradients in the input");
    }
    for (size_t c = 0; c < channels; c++) {
        out->scale[c] = 1;
    }
    out->plain.scale = out->scale;
    out->plain.shift = out->shift;
    LO_TRY(lo_per_example_create(input->network, data, NULL, 0, &out->own, err));
    return lo_per_example_create(input->network, &out->plain, NULL, 0, &out->given, err);
}

void lo_input_gradients_destroy(lo_input_gradients *g)
{
    lo_per_example_destroy(&g->own);
    lo_per_example_destroy(&g->given);
    free(g->scale);
    free(g->shift);
    g->scale = g->shift = NULL;
}

lo_status lo_input_gradients_at_own(const lo_input_gradients *g, int64_t first, int64_t count,
                                    const lo_output *output, float *gradients, lo_error *err)
{
    const lo_example_list list = {.examples = &g->input->data->train, .first = first, .count = count};
    return lo_per_example_inputs(g->own, &list, output, gradients, g->input->tick, err);
}

lo_status lo_input_gradients_at(const lo_input_gradients *g, int64_t first, int64_t count, const float *x,
                                const lo_output *output, float *gradients, lo_error *err)
{
    const lo_examples moved = {.count = count, .feature = x, .label = g->input->data->train.label + first};
    const lo_example_list list = {.examples = &moved, .count = count};
    return lo_per_example_inputs(g->given, &list, output, gradients, g->input->tick, err);
}

void lo_input_of(const lo_input_gradients *g, int64_t example, float *x)
{
    lo_batch_example(g->input->network->kernels, g->input->data, &g->input->data->train, (size_t)example, x);
}

/* A pass forward and the gradients of all values, in training steps: these have none of the input, but of the
 * weights, each as much work as the pass forward of its layer. Channels of the input are few: padding counts.
 */
static double share_of_step(const lo_network *network)
{
    double pass = 0, slopes = 0;
    for (int i = 0; i < network->layer_count; i++) {
        const lo_layer *layer = network->layer[i];
        const double without = layer->type->flops(layer, false);
        pass += without / 2;
        const double channels = layer->in.channels, padded = (double)lo_padded((size_t)layer->in.channels);
        slopes += (layer->type->flops(layer, true) - without) * (i == 0 ? padded / channels : 1);
    }
    return (pass + slopes) / lo_network_flops(network);
}

void lo_input_gradients_add_work(const lo_score_input *input, double passes, double moved,
                                 lo_score_work *work)
{
    /* Of a value: it is read, moved by a random number, read again; the difference of gradients is squared.
     * As if in float32 and in vectors. */
    const double move = 150;
    const double n = (double)input->n;
    lo_network *network = lo_probe_network(input);
    work->trained += (network != NULL ? share_of_step(network) : 1) * passes * n;
    work->operations += move * moved * n * (double)lo_shape_size(input->data->shape);
    lo_network_destroy(&network);
}
