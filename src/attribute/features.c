#include "attribute/features.h"

#include <math.h>
#include <stdlib.h>

static lo_status fill_inputs(void *self, int64_t first, int64_t count, double *out, int64_t stride,
                             lo_error *err)
{
    (void)err;
    const lo_inputs *inputs = self;
    const lo_dataset *data = inputs->data;
    const lo_examples *examples = inputs->examples;
    const int64_t plane = (int64_t)data->shape.height * data->shape.width;
    const int64_t size = (int64_t)lo_shape_size(data->shape);
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = (first + i) * size;
        double *row = out + i * stride;
        for (int64_t c = 0, f = 0; c < data->shape.channels; c++) {
            const double scale = (double)data->scale[c];
            const double shift = (double)data->shift[c];
            for (const int64_t end = f + plane; f < end; f++) {
                const double element = examples->pixel != NULL ? (double)examples->pixel[from + f]
                                                               : (double)examples->feature[from + f];
                row[f] = element * scale + shift;
            }
        }
    }
    return LO_OK;
}

lo_features lo_features_of_inputs(lo_inputs *self, const lo_dataset *data, const lo_examples *examples)
{
    *self = (lo_inputs){data, examples};
    return (lo_features){examples->count, (int64_t)lo_shape_size(data->shape), fill_inputs, self};
}

lo_status lo_features_rows(const lo_features *features, int64_t first, int64_t count, double **out,
                           lo_error *err)
{
    const int64_t stride = features->size + 1;
    *out = malloc((size_t)(count > 0 ? count : 1) * (size_t)stride * sizeof(**out));
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld x %lld features", (long long)count,
                       (long long)stride);
    }
    lo_status status = count > 0 ? features->fill(features->self, first, count, *out, stride, err) : LO_OK;
    for (int64_t i = 0; i < count && status == LO_OK; i++) {
        double *row = *out + i * stride;
        double sum = 0;
        for (int64_t f = 0; f < features->size; f++) {
            sum += row[f];
        }
        row[features->size] = 1;
        if (!isfinite(sum)) {
            status = lo_fail(err, LO_DATA, "features of example %lld: not finite; allowed are finite numbers",
                             (long long)(first + i));
        }
    }
    if (status != LO_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}
