#include "nn/batch.h"

void lo_batch_example(const lo_kernels *kernels, const lo_dataset *dataset, const lo_examples *examples,
                      size_t row, float *x)
{
    const size_t channels = (size_t)dataset->shape.channels;
    const size_t area = (size_t)dataset->shape.height * (size_t)dataset->shape.width;
    const float *feature = examples->feature;
    for (size_t c = 0; c < channels; c++) {
        const size_t from = (row * channels + c) * area;
        const size_t to = c * area;
        if (feature == NULL) {
            kernels->convert(examples->pixel + from, area, dataset->scale[c], dataset->shift[c], x + to);
            continue;
        }
        for (size_t i = 0; i < area; i++) {
            x[to + i] = feature[from + i] * dataset->scale[c] + dataset->shift[c];
        }
    }
}
