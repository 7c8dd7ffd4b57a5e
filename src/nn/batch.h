/* A batch as a network sees it: pixels of a data set, converted. */
#ifndef LEAVEOUT_NN_BATCH_H
#define LEAVEOUT_NN_BATCH_H

#include "data/dataset.h"
#include "nn/kernels.h"

#include <stdint.h>

/* x = the image, [channels, height, width], each channel's pixels times its scale plus its shift. */
void lo_batch_image(const lo_kernels *kernels, const lo_dataset *dataset, const uint8_t *pixel, float *x);

#endif
