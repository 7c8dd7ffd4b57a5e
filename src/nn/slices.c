#include "nn/slices.h"

#include <string.h>

size_t lo_slice_levels(size_t count)
{
    size_t levels = 0;
    while ((size_t)1 << levels < count) {
        levels++;
    }
    return levels;
}

void lo_slices_cut(lo_slices *slices, size_t batch)
{
    const size_t member = slices->team != NULL ? (size_t)slices->team->member : 0;
    const size_t own = member * slices->count;
    slices->batch = batch;
    slices->first = lo_slice_start(slices->total, own, batch);
    for (size_t i = 0; i <= slices->count; i++) {
        slices->start[i] = lo_slice_start(slices->total, own + i, batch) - slices->first;
    }
}

/* Slice s ends as many branches as it has ones from below: each is the waiting one plus what is at hand. What
 * has no peer yet waits at its level, where nothing waits now. */
void lo_slices_add(const lo_slices *slices, size_t s, double *values, size_t size, double *partial,
                   size_t step)
{
    size_t level = 0;
    for (; (s >> level & 1) != 0; level++) {
        const double *before = partial + level * step;
        for (size_t i = 0; i < size; i++) {
            values[i] = before[i] + values[i];
        }
    }
    if (s + 1 < slices->count) {
        memcpy(partial + level * step, values, size * sizeof(*values));
    }
}

void lo_slices_add_gradient(const lo_slices *slices, size_t s, float *gradient, size_t offset, size_t size)
{
    float *values = gradient + offset;
    if (slices->start[s] == slices->start[s + 1]) {
        memset(values, 0, size * sizeof(*values));
    }
    size_t level = 0;
    for (; (s >> level & 1) != 0; level++) {
        const float *before = slices->partial[level] + offset;
        for (size_t i = 0; i < size; i++) {
            values[i] = before[i] + values[i];
        }
    }
    if (s + 1 < slices->count) {
        memcpy(slices->partial[level] + offset, values, size * sizeof(*values));
    }
}
