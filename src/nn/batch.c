#include "nn/batch.h"

/* Vectors: each value has a scale and a shift of its own. */
static void convert_vector(const lo_dataset *dataset, const lo_examples *examples, size_t row, float *x)
{
    const size_t size = (size_t)dataset->shape.channels;
    const float *scale = dataset->scale;
    const float *shift = dataset->shift;
    if (examples->feature != NULL) {
        const float *feature = examples->feature + row * size;
        for (size_t i = 0; i < size; i++) {
            x[i] = feature[i] * scale[i] + shift[i];
        }
    } else {
        const uint8_t *pixel = examples->pixel + row * size;
        for (size_t i = 0; i < size; i++) {
            x[i] = (float)pixel[i] * scale[i] + shift[i];
        }
    }
}

void lo_batch_example(const lo_kernels *kernels, const lo_dataset *dataset, const lo_examples *examples,
                      size_t row, float *x)
{
    const size_t channels = (size_t)dataset->shape.channels;
    const size_t area = (size_t)dataset->shape.height * (size_t)dataset->shape.width;
    if (area == 1) {
        convert_vector(dataset, examples, row, x);
        return;
    }
    for (size_t c = 0; c < channels; c++) {
        const size_t from = (row * channels + c) * area;
        const size_t to = c * area;
        if (examples->feature == NULL) {
            kernels->convert(examples->pixel + from, area, dataset->scale[c], dataset->shift[c], x + to);
            continue;
        }
        for (size_t i = 0; i < area; i++) {
            x[to + i] = examples->feature[from + i] * dataset->scale[c] + dataset->shift[c];
        }
    }
}
