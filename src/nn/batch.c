#include "nn/batch.h"

void lo_batch_image(const lo_kernels *kernels, const lo_dataset *dataset, const uint8_t *pixel, float *x)
{
    const size_t area = (size_t)dataset->shape.height * (size_t)dataset->shape.width;
    for (int32_t c = 0; c < dataset->shape.channels; c++) {
        const size_t at = (size_t)c * area;
        kernels->convert(pixel + at, area, dataset->scale[c], dataset->shift[c], x + at);
    }
}
