#include "jobs/audit/audit_weights.h"

#include "nn/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lo_tensor *tensor_named(const lo_safetensors *s, const char *name)
{
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->tensor[i].name, name) == 0) {
            return &s->tensor[i];
        }
    }
    return NULL;
}

static lo_status compare(const lo_tensor *a, const lo_tensor *b, lo_weight_distance *out, lo_error *err)
{
    const int64_t count = lo_tensor_count(a);
    if (b == NULL || lo_tensor_count(b) != count) {
        return lo_fail(err, LO_DATA, "weight_distance: tensor %s is not in both models, or of another size",
                       a->name);
    }
    float *x = malloc(2 * (size_t)count * sizeof(*x) + 1);
    lo_status status = x != NULL ? lo_tensor_floats(a, x, err)
                                 : lo_fail(err, LO_INTERNAL, "no memory for %lld weights", (long long)count);
    if (status == LO_OK) {
        status = lo_tensor_floats(b, x + count, err);
    }
    if (status == LO_OK) {
        *out = lo_weights_apart(x, x + count, count);
    }
    free(x);
    return status;
}

lo_status lo_audit_weights(const char *a, const char *b, lo_weight_distance *layer, int64_t *layers,
                           char (*name)[LO_AUDIT_LAYER], lo_error *err)
{
    lo_safetensors first = {0}, second = {0};
    *layers = 0;
    lo_status status = lo_safetensors_read(a, &first, err);
    if (status == LO_OK) {
        status = lo_safetensors_read(b, &second, err);
    }
    for (int i = 0; i < first.count && status == LO_OK && *layers < LO_AUDIT_LAYERS; i++) {
        const lo_tensor *t = &first.tensor[i];
        if (strstr(t->name, "running_") != NULL || strstr(t->name, "num_batches") != NULL) {
            continue;
        }
        if (name != NULL) {
            (void)snprintf(name[*layers], LO_AUDIT_LAYER, "%s", t->name);
        }
        status = compare(t, tensor_named(&second, t->name), &layer[(*layers)++], err);
    }
    lo_safetensors_free(&first);
    lo_safetensors_free(&second);
    return status;
}
