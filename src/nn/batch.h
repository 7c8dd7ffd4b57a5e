/* A batch as a network sees it: pixels of a data set, converted. */
#ifndef LEAVEOUT_NN_BATCH_H
#define LEAVEOUT_NN_BATCH_H

#include "data/dataset.h"
#include "nn/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x [step] of one image [channels, height, width]: pixel * scale + shift per channel. flat: in the same
 * order, else [height, width, channels]. Padding beyond the image is left alone. */
void lo_batch_image(const lo_kernels *kernels, const lo_dataset *dataset, const uint8_t *pixel, bool flat,
                    float *x);

#endif
