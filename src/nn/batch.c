#include "nn/batch.h"

void lo_batch_image(const lo_kernels *kernels, const lo_dataset *dataset, const uint8_t *pixel, bool flat,
                    float *x)
{
    const size_t channels = (size_t)dataset->shape.channels;
    const size_t area = (size_t)dataset->shape.height * (size_t)dataset->shape.width;
    for (size_t c = 0; c < channels; c++) {
        const float scale = dataset->scale[c], shift = dataset->shift[c];
        const uint8_t *from = pixel + c * area;
        if (flat || channels == 1) {
            kernels->convert(from, area, scale, shift, x + c * area);
            continue;
        }
        for (size_t i = 0; i < area; i++) {
            x[i * channels + c] = (float)from[i] * scale + shift;
        }
    }
}
