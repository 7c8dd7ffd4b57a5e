#include "jobs/unlearning/unlearned.h"

#include <string.h>

/* The fixed part as it lies in the record. */
typedef struct fixed {
    int64_t classes, n[LO_PARTS];
    double seconds;
    int64_t shown[LO_SETS], diverged, applies;
    char reason[LO_REASON], processor[LO_MAX_PROCESSOR];
} fixed;

const lo_examples *lo_part(const lo_dataset *data, int part)
{
    return part == 0 ? &data->train : part == 1 ? &data->validation : &data->test;
}

lo_unlearned lo_unlearned_make(const lo_dataset *data)
{
    lo_unlearned model = {.classes = data->classes, .applies = 1};
    for (int p = 0; p < LO_PARTS; p++) {
        model.n[p] = lo_part(data, p)->count;
    }
    return model;
}

static size_t bytes_of(const lo_unlearned *model, int part)
{
    return (size_t)(model->n[part] * model->classes) * sizeof(float);
}

size_t lo_unlearned_size(const lo_unlearned *model)
{
    size_t size = sizeof(fixed);
    for (int p = 0; p < LO_PARTS && model->applies != 0; p++) {
        size += bytes_of(model, p);
    }
    return size;
}

void lo_unlearned_map(lo_unlearned *model, char *buffer)
{
    char *at = buffer + sizeof(fixed);
    for (int p = 0; p < LO_PARTS; p++) {
        model->logits[p] = model->applies != 0 ? (float *)(void *)at : NULL;
        at += bytes_of(model, p);
    }
}

void lo_unlearned_seal(const lo_unlearned *model, char *buffer)
{
    fixed f = {.classes = model->classes,
               .seconds = model->seconds,
               .diverged = model->diverged,
               .applies = model->applies};
    memcpy(f.n, model->n, sizeof(f.n));
    memcpy(f.shown, model->shown, sizeof(f.shown));
    memcpy(f.reason, model->reason, sizeof(f.reason));
    memcpy(f.processor, model->processor, sizeof(f.processor));
    memcpy(buffer, &f, sizeof(f));
}

lo_status lo_unlearned_read(char *payload, size_t size, const lo_dataset *data, lo_unlearned *out,
                            lo_error *err)
{
    fixed f = {0};
    *out = lo_unlearned_make(data);
    if (size >= sizeof(f)) {
        memcpy(&f, payload, sizeof(f));
    }
    out->applies = f.applies;
    if (size != lo_unlearned_size(out) || f.classes != out->classes ||
        memcmp(f.n, out->n, sizeof(f.n)) != 0) {
        return lo_fail(err, LO_DATA,
                       "a record of %zu bytes, %lld training and %lld test examples; %zu, %lld and %lld are "
                       "expected",
                       size, (long long)f.n[0], (long long)f.n[2], lo_unlearned_size(out),
                       (long long)out->n[0], (long long)out->n[2]);
    }
    out->seconds = f.seconds;
    out->diverged = f.diverged;
    memcpy(out->shown, f.shown, sizeof(out->shown));
    memcpy(out->reason, f.reason, sizeof(out->reason));
    memcpy(out->processor, f.processor, sizeof(out->processor));
    out->reason[LO_REASON - 1] = out->processor[LO_MAX_PROCESSOR - 1] = '\0';
    lo_unlearned_map(out, payload);
    return LO_OK;
}
