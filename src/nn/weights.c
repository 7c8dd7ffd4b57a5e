#include "nn/weights.h"

#include "base/file.h"
#include "nn/safetensors.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEAN    ".running_mean"
#define BATCHES ".num_batches_tracked"
enum { MAX_NOTES = 16, NAME = 128 };

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

/* PyTorch's shape of a parameter: a vector, a matrix, or square kernels, which alone have steps between their
 * elements; perhaps with ones in front. */
static void describe(const lo_parameter *parameter, lo_tensor *tensor)
{
    const int64_t side = lround(sqrt((double)parameter->taps));
    const int64_t axes[4] = {(int64_t)parameter->out, (int64_t)parameter->in, side, side};
    const bool vector = parameter->in_step == 0 && parameter->in == 1;
    const int count = vector ? 1 : parameter->tap_step == 0 ? 2 : 4;
    *tensor = (lo_tensor){.name = parameter->name, .type = LO_TENSOR_F32};
    for (int i = 0; i < parameter->ones; i++) {
        tensor->shape[tensor->rank++] = 1;
    }
    for (int i = 0; i < count; i++) {
        tensor->shape[tensor->rank++] = axes[i];
    }
}

lo_status lo_weights_save(const lo_network *network, const char *preset, int64_t batches, const char *file,
                          const lo_weights_note *note, int notes, lo_error *err)
{
    lo_tensor_note all[MAX_NOTES + 3] = {{"format", "pt"}, {"version", LEAVEOUT_VERSION}, {"preset", preset}};
    const int most = 2 * network->parameter_count;
    int count = 0;
    lo_status status = LO_OK;
    lo_tensor *tensor = calloc((size_t)most + 1, sizeof(*tensor));
    char(*names)[NAME] = calloc((size_t)most + 1, sizeof(*names));
    float *values = malloc((network->weight_size + network->statistic_size + 1) * sizeof(*values));
    float *at = values;
    if (tensor == NULL || names == NULL || values == NULL || notes > MAX_NOTES) {
        status = lo_fail(err, LO_INTERNAL, "no memory to write %s", file);
        goto done;
    }
    for (int i = 0; i < notes; i++) {
        all[i + 3] = (lo_tensor_note){note[i].key, note[i].value};
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *parameter = &network->parameter[k];
        describe(parameter, &tensor[count]);
        lo_network_get(network, parameter, LO_VALUES, at);
        tensor[count++].data = at;
        at += parameter->out * parameter->in * parameter->taps;
        if (ends_with(parameter->name, MEAN)) {
            (void)snprintf(names[count], NAME, "%.*s" BATCHES, (int)(strlen(parameter->name) - strlen(MEAN)),
                           parameter->name);
            tensor[count] = (lo_tensor){.name = names[count], .type = LO_TENSOR_I64, .data = &batches};
            count++;
        }
    }
    status = lo_safetensors_write(file, tensor, count, all, notes + 3, err);
done:
    free(values);
    free(names);
    free(tensor);
    return status;
}

/* ---- loading ---- */

/* Names tensors until the error's text is full. */
typedef struct complaint {
    char text[1600];
    int count, left_out;
} complaint;

__attribute__((format(printf, 2, 3))) static void complain(complaint *to, const char *format, ...)
{
    char item[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(item, sizeof(item), format, arguments);
    va_end(arguments);
    const size_t used = strlen(to->text);
    if (used + strlen(item) + 3 > sizeof(to->text)) {
        to->left_out++;
        return;
    }
    (void)snprintf(to->text + used, sizeof(to->text) - used, "%s%s", to->count > 0 ? "; " : "", item);
    to->count++;
}

static bool same_shape(const lo_tensor *a, const lo_tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(a->shape[0])) == 0;
}

static bool is_real(lo_tensor_type type)
{
    return type == LO_TENSOR_F32 || type == LO_TENSOR_F64 || type == LO_TENSOR_F16 || type == LO_TENSOR_BF16;
}

static void compare(const lo_network *network, const lo_safetensors *file, complaint *to)
{
    char wanted[128], found[128];
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *parameter = &network->parameter[k];
        const lo_tensor *tensor = lo_safetensors_find(file, parameter->name);
        lo_tensor needed;
        describe(parameter, &needed);
        (void)lo_tensor_shape(&needed, wanted, sizeof(wanted));
        if (tensor == NULL) {
            complain(to, "%s %s is missing", parameter->name, wanted);
        } else if (!same_shape(tensor, &needed)) {
            complain(to, "%s is %s, the network's is %s", parameter->name,
                     lo_tensor_shape(tensor, found, sizeof(found)), wanted);
        } else if (!is_real(tensor->type)) {
            complain(to, "%s is of type %s, allowed are F32, F64, F16 and BF16", parameter->name,
                     lo_tensor_type_name(tensor->type));
        }
    }
    for (int i = 0; i < file->count; i++) {
        const lo_tensor *tensor = &file->tensor[i];
        if (lo_network_find(network, tensor->name) == NULL && !ends_with(tensor->name, BATCHES)) {
            complain(to, "%.128s %s is not in the network", tensor->name,
                     lo_tensor_shape(tensor, found, sizeof(found)));
        }
    }
}

lo_status lo_weights_load(lo_network *network, const char *file, lo_error *err)
{
    lo_safetensors tensors;
    complaint c = {0};
    float *values = malloc((network->weight_size + network->statistic_size + 1) * sizeof(*values));
    lo_status status = lo_safetensors_read(file, &tensors, err);
    if (status == LO_OK && values == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory to read %s", file);
    }
    if (status == LO_OK) {
        compare(network, &tensors, &c);
    }
    if (c.count > 0) {
        char more[64] = "";
        if (c.left_out > 0) {
            (void)snprintf(more, sizeof(more), "; and %d more", c.left_out);
        }
        status = lo_fail(err, LO_DATA, "%s: does not fit the network: %s%s", file, c.text, more);
    }
    if (status == LO_OK) { /* the padding too, which is NaN after a training that diverged */
        memset(network->weights, 0, network->weight_size * sizeof(float));
        memset(network->statistics, 0, network->statistic_size * sizeof(float));
    }
    for (int k = 0; k < network->parameter_count && status == LO_OK; k++) {
        const lo_parameter *parameter = &network->parameter[k];
        status = lo_tensor_floats(lo_safetensors_find(&tensors, parameter->name), values, err);
        lo_network_set(network, parameter, values);
    }
    lo_safetensors_free(&tensors);
    free(values);
    return status;
}
