/* What the presets of residual networks share (He, Zhang, Ren and Sun, "Deep residual learning for image
 * recognition", CVPR 2016), with torchvision's names and initial weights. */
#ifndef LEAVEOUT_NN_RESNET_H
#define LEAVEOUT_NN_RESNET_H

#include "nn/presets/presets.h"

typedef struct lo_resnet {
    int32_t blocks[4]; /* of each stage; a stage has twice the channels of the one before */
    bool bottleneck; /* blocks of 1x1, 3x3 and 1x1 convolutions, the last four times as wide; else of two 3x3
                      */
    bool large_images; /* the stem is 7x7 with stride 2 and pooling, else 3x3 with stride 1 */
} lo_resnet;

lo_status lo_resnet_build(const lo_resnet *resnet, const lo_model_spec *spec, lo_shape input, int32_t classes,
                          lo_network **out, lo_error *err);

#endif
