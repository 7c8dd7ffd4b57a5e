#include "nn/batch_norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double EPSILON = 1e-5, MOMENTUM = 0.1;

bool lo_batch_norm_add(lo_batch_norm *norm, lo_network *network, const char *name, int32_t channels)
{
    norm->channels = (size_t)channels;
    norm->columns = lo_padded(norm->channels);
    const struct {
        const char *suffix;
        size_t *offset;
        float fill;
        bool statistic;
    } list[] = {
        {"weight", &norm->gamma, 1, false},
        {"bias", &norm->beta, 0, false},
        {"running_mean", &norm->running_mean, 0, true},
        {"running_var", &norm->running_var, 1, true},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        lo_parameter parameter = lo_vector_parameter(norm->channels, list[i].fill);
        parameter.statistic = list[i].statistic;
        lo_parameter_name(&parameter, name, list[i].suffix);
        if (!lo_network_add_parameter(network, &parameter, list[i].offset)) {
            return false;
        }
    }
    return true;
}

void lo_batch_norm_reserve(lo_batch_norm *norm, const lo_network *network, lo_memory *memory)
{
    const size_t levels = lo_slice_levels(network->slices.count);
    norm->sum = lo_memory_bytes(memory, 2 * norm->columns, sizeof(double));
    norm->square = norm->sum != NULL ? norm->sum + norm->columns : NULL;
    norm->partial = lo_memory_bytes(memory, levels * 2 * norm->columns, sizeof(double));
    norm->deviation = lo_memory_bytes(memory, norm->columns, sizeof(double));
    float **const rows[] = {&norm->mean, &norm->scale, &norm->offset, &norm->pull, &norm->drift};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i] = lo_memory_floats(memory, norm->columns);
    }
}

lo_norm lo_batch_norm_view(const lo_batch_norm *norm)
{
    return (lo_norm){norm->scale, norm->offset, norm->pull, norm->drift, norm->mean};
}

void lo_batch_norm_clear(lo_batch_norm *norm)
{
    memset(norm->sum, 0, norm->columns * sizeof(double));
    memset(norm->square, 0, norm->columns * sizeof(double));
}

void lo_batch_norm_unshift(lo_batch_norm *norm, const lo_pass *pass, double rows, const float *shift)
{
    for (size_t c = 0; pass->slices != NULL && rows > 0 && c < norm->columns; c++) {
        const double s = (double)shift[c];
        norm->square[c] += s * (2 * norm->sum[c] + rows * s);
        norm->sum[c] += rows * s;
    }
}

void lo_batch_norm_add_slice(lo_batch_norm *norm, const lo_pass *pass, size_t s)
{
    const lo_slices *slices = pass->slices;
    if (slices == NULL) {
        return;
    }
    lo_slices_add(slices, s, norm->sum, 2 * norm->columns, norm->partial, 2 * norm->columns);
    if (s + 1 == slices->count && slices->team != NULL) {
        slices->team->sum(slices->team, norm->sum, 2 * norm->columns, pass->tick);
    }
}

size_t lo_batch_norm_examples(const lo_pass *pass, size_t examples)
{
    return pass->slices != NULL ? pass->slices->batch : examples;
}

static void set_scale(lo_batch_norm *norm, const lo_network *network)
{
    for (size_t c = 0; c < norm->channels; c++) {
        const double scale = (double)network->weights[norm->gamma + c] * norm->deviation[c];
        norm->scale[c] = (float)scale;
        norm->offset[c] = (float)((double)network->weights[norm->beta + c] - (double)norm->mean[c] * scale);
    }
}

void lo_batch_norm_finish(lo_batch_norm *norm, const lo_network *network, double count, const float *shift)
{
    float *running_mean = network->statistics + norm->running_mean;
    float *running_var = network->statistics + norm->running_var;
    for (size_t c = 0; c < norm->channels; c++) {
        const double moved = norm->sum[c] / count;
        const double mean = moved + (shift != NULL ? (double)shift[c] : 0);
        const double variance = fmax(norm->square[c] / count - moved * moved, 0);
        const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        norm->mean[c] = (float)mean;
        norm->deviation[c] = 1 / sqrt(variance + EPSILON);
        running_mean[c] = (float)((1 - MOMENTUM) * (double)running_mean[c] + MOMENTUM * mean);
        running_var[c] = (float)((1 - MOMENTUM) * (double)running_var[c] + MOMENTUM * unbiased);
    }
    set_scale(norm, network);
}

void lo_batch_norm_recall(lo_batch_norm *norm, const lo_network *network)
{
    for (size_t c = 0; c < norm->channels; c++) {
        norm->mean[c] = network->statistics[norm->running_mean + c];
        norm->deviation[c] = 1 / sqrt((double)network->statistics[norm->running_var + c] + EPSILON);
    }
    set_scale(norm, network);
}

/* With xhat = (y - mean) / std and N values a channel, dy = scale (dz - sum(dz) / N - xhat sum(dz xhat) / N),
 * which is pull y + drift + scale dz. */
void lo_batch_norm_turn(lo_batch_norm *norm, const lo_network *network, double count)
{
    /* Sums over the whole batch, which a team's members add up once more: they are the leader's, plus zeros,
     * as alone (-0 + 0 is 0). */
    const bool sliced = network->slices.batch > 0, leads = lo_team_leads(network->slices.team);
    for (size_t c = 0; c < norm->channels; c++) {
        const double scale = (double)norm->scale[c];
        const double product = norm->square[c] * norm->deviation[c]; /* sum(dz xhat) */
        const double pull = -scale * norm->deviation[c] * product / count;
        network->gradient[norm->gamma + c] = (float)product;
        network->gradient[norm->beta + c] = (float)norm->sum[c];
        if (sliced) {
            network->gradient[norm->gamma + c] = leads ? (float)product + 0.0F : 0;
            network->gradient[norm->beta + c] = leads ? (float)norm->sum[c] + 0.0F : 0;
        }
        norm->pull[c] = (float)pull;
        norm->drift[c] = (float)(-scale * norm->sum[c] / count - pull * (double)norm->mean[c]);
    }
}

void lo_batch_norm_reserve_tangents(lo_batch_norm *norm, lo_memory *memory)
{
    norm->zeros = lo_memory_floats(memory, norm->columns);
    norm->unused = lo_memory_bytes(memory, norm->columns, sizeof(double));
}

lo_norm lo_batch_norm_tangent(lo_batch_norm *norm, const lo_network *along)
{
    for (size_t c = 0; c < norm->channels; c++) {
        const double pull = (double)along->weights[norm->gamma + c] * norm->deviation[c];
        norm->pull[c] = (float)pull;
        norm->drift[c] = (float)((double)along->weights[norm->beta + c] - (double)norm->mean[c] * pull);
    }
    return lo_batch_norm_view(norm);
}

lo_norm lo_batch_norm_curve(const lo_batch_norm *norm)
{
    lo_norm view = lo_batch_norm_view(norm);
    view.drift = norm->zeros;
    return view;
}

lo_norm lo_batch_norm_plain(const lo_batch_norm *norm)
{
    lo_norm view = lo_batch_norm_view(norm);
    view.pull = view.drift = norm->zeros;
    return view;
}

void lo_batch_norm_curve_sums(lo_batch_norm *norm, const lo_kernels *kernels, const float *dz,
                              const float *dz_dot, const float *y, const float *y_dot, size_t rows)
{
    lo_norm view = lo_batch_norm_view(norm);
    kernels->norm_sums(&view, dz_dot, y, rows, norm->columns, norm->sum, norm->square);
    if (y_dot == NULL) {
        return;
    }
    view.mean = norm->zeros;
    kernels->norm_sums(&view, dz, y_dot, rows, norm->columns, norm->unused, norm->square);
}
