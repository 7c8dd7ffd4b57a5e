/* A batch as a network sees it: examples of a data set, converted. */
#ifndef LEAVEOUT_NN_BATCH_H
#define LEAVEOUT_NN_BATCH_H

#include "data/dataset.h"
#include "nn/kernels/kernels.h"

#include <stddef.h>

/* x = example `row`, [channels, height, width], each channel's pixels or features times its scale plus its
 * shift. */
void lo_batch_example(const lo_kernels *kernels, const lo_dataset *dataset, const lo_examples *examples,
                      size_t row, float *x);

#endif
