#include "data/array.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 1 << 16, MAX_CHANNELS = 1 << 20 };

static bool may_be_channels(int64_t size)
{
    return size == 1 || size == 3;
}

/* [n, height, width, channels], or [n, channels, height, width]? */
static lo_status find_channels(const lo_array *x, lo_layout layout, bool *last, lo_error *err)
{
    const bool first_fits = may_be_channels(x->dimension[1]);
    const bool last_fits = may_be_channels(x->dimension[3]);
    *last = layout == LO_CHANNELS_LAST || (layout == LO_LAYOUT_AUTO && last_fits);
    if (layout == LO_LAYOUT_AUTO && first_fits == last_fits) {
        return lo_fail(err, LO_USAGE,
                       "%s: found %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                       ", where the channels could be %s; data.layout must say nchw or nhwc",
                       x->name, x->dimension[0], x->dimension[1], x->dimension[2], x->dimension[3],
                       first_fits ? "first or last" : "anywhere");
    }
    return LO_OK;
}

static bool in_range(int64_t value, int64_t most)
{
    return value >= 1 && value <= most;
}

lo_status lo_array_shape(const lo_array *x, lo_element element, lo_layout layout, lo_source *out,
                         bool *channels_last, lo_error *err)
{
    const int64_t *d = x->dimension;
    int64_t shape[3] = {1, 1, 1};
    *channels_last = false;
    if (x->dimensions < 2 || x->dimensions > 4) {
        return lo_fail(err, LO_DATA,
                       "%s: found %d dimensions, allowed are [n, features], [n, height, width], [n, height, "
                       "width, channels] and [n, channels, height, width]",
                       x->name, x->dimensions);
    }
    if (x->dimensions == 4) {
        LO_TRY(find_channels(x, layout, channels_last, err));
        shape[0] = *channels_last ? d[3] : d[1];
        shape[1] = *channels_last ? d[1] : d[2];
        shape[2] = *channels_last ? d[2] : d[3];
    } else if (x->dimensions == 3) {
        shape[1] = d[1];
        shape[2] = d[2];
    } else {
        shape[0] = d[1];
    }
    if (!in_range(d[0], INT32_MAX) || !in_range(shape[0], MAX_CHANNELS) || !in_range(shape[1], MAX_SIDE) ||
        !in_range(shape[2], MAX_SIDE)) {
        return lo_fail(err, LO_DATA,
                       "%s: found %" PRId64 " examples of %" PRId64 " x %" PRId64 " x %" PRId64
                       " (channels, height, width); allowed are 1 to %d of 1 to %d, %d and %d",
                       x->name, d[0], shape[0], shape[1], shape[2], INT32_MAX, MAX_CHANNELS, MAX_SIDE,
                       MAX_SIDE);
    }
    const lo_shape found = {(int32_t)shape[0], (int32_t)shape[1], (int32_t)shape[2]};
    if (out->shape.channels != 0 &&
        (out->element != element || memcmp(&out->shape, &found, sizeof(found)) != 0)) {
        return lo_fail(
            err, LO_DATA,
            "%s: found %s of %d x %d x %d (channels, height, width), allowed are %s of %d x %d x %d, as "
            "in the training set",
            x->name, element == LO_PIXELS ? "pixels" : "features", found.channels, found.height, found.width,
            out->element == LO_PIXELS ? "pixels" : "features", out->shape.channels, out->shape.height,
            out->shape.width);
    }
    out->element = element;
    out->shape = found;
    return LO_OK;
}

void lo_array_channels_first(lo_shape shape, lo_element element, int64_t rows, const void *from, void *to)
{
    const size_t channels = (size_t)shape.channels;
    const size_t area = (size_t)shape.height * (size_t)shape.width;
    for (int64_t r = 0; r < rows; r++) {
        const size_t row = (size_t)r * channels * area;
        for (size_t c = 0; c < channels; c++) {
            for (size_t i = 0; i < area; i++) {
                const size_t a = row + c * area + i;
                const size_t b = row + i * channels + c;
                if (element == LO_FEATURES) {
                    ((float *)to)[a] = ((const float *)from)[b];
                } else {
                    ((uint8_t *)to)[a] = ((const uint8_t *)from)[b];
                }
            }
        }
    }
}

lo_status lo_array_check_finite(const lo_array *x, int64_t first, int64_t rows, size_t features,
                                const float *value, lo_error *err)
{
    for (int64_t r = 0; r < rows; r++) {
        for (size_t f = 0; f < features; f++) {
            const float v = value[(size_t)r * features + f];
            if (!isfinite(v)) {
                return lo_fail(err, LO_DATA,
                               "%s: example %" PRId64
                               ", feature %zu (both from 0): found %s; allowed are finite "
                               "numbers of float32",
                               x->name, first + r, f, isnan(v) ? "nan" : "inf");
            }
        }
    }
    return LO_OK;
}

lo_status lo_array_labels(const lo_array *y, const lo_array *x, lo_error *err)
{
    if (y->dimensions != 1 && !(y->dimensions == 2 && y->dimension[1] == 1)) {
        return lo_fail(err, LO_DATA,
                       "%s: found %d dimensions, allowed is [n], or [n, 1]: one label an example", y->name,
                       y->dimensions);
    }
    if (y->dimension[0] != x->dimension[0]) {
        return lo_fail(err, LO_DATA, "%s: found %" PRId64 " labels for the %" PRId64 " examples of %s",
                       y->name, y->dimension[0], x->dimension[0], x->name);
    }
    return LO_OK;
}

lo_status lo_array_classes(const lo_array *y, const int64_t *value, bool test, lo_classes *classes,
                           lo_source_part *part, lo_error *err)
{
    const int64_t count = y->dimension[0];
    part->label = calloc((size_t)count, sizeof(*part->label));
    if (part->label == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %" PRId64 " labels", y->name, count);
    }
    part->count = count;
    for (int64_t i = 0; i < count; i++) {
        char text[32];
        char where[PATH_MAX + 64];
        const int length = snprintf(text, sizeof(text), "%" PRId64, value[i]);
        (void)snprintf(where, sizeof(where), "%s: example %" PRId64, y->name, i);
        LO_TRY(lo_classes_number(classes, where, text, (size_t)length, test, &part->label[i], err));
    }
    return LO_OK;
}
