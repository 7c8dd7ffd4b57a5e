/* Configuration D of Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
 * recognition", ICLR 2015, with batch normalization: torchvision's convolutions, names and initial weights.
 * The classifier is that of the papers on small images: the mean over what is left of the image (1x1 of
 * 32x32) and linear layers of 512 units where torchvision's have 7x7 places and 4096. */
#include "nn/presets/presets.h"

#include <stdio.h>

enum { DEFAULT_WIDTH = 64, WIDEST = 8, HIDDEN_LAYERS = 2 };

/* Multiples of the width; 0: pooling. */
static const int32_t features[] = {1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0};
enum { FEATURES = sizeof(features) / sizeof(features[0]) };

static lo_status add_features(lo_network *network, int32_t width, lo_error *err)
{
    enum { MODULES = 3 }; /* of torchvision's list: convolution, normalization, ReLU */
    int number = 0;       /* in that list */
    for (int i = 0; i < FEATURES; i++) {
        if (features[i] == 0) { /* done by the convolution before it */
            number++;
            continue;
        }
        char name[LO_NAME_SIZE], norm_name[LO_NAME_SIZE];
        (void)snprintf(name, sizeof(name), "features.%d", number);
        (void)snprintf(norm_name, sizeof(norm_name), "features.%d", number + 1);
        const lo_conv_options options = {.outputs = features[i] * width,
                                         .kernel = 3,
                                         .padding = 1,
                                         .bias = true,
                                         .norm = true,
                                         .relu = true,
                                         .pool = features[i + 1] == 0,
                                         .name = name,
                                         .norm_name = norm_name,
                                         .start = LO_START_FAN_OUT};
        LO_TRY(lo_layer_add_conv(network, &options, err));
        number += MODULES;
    }
    return LO_OK;
}

lo_status lo_preset_vgg16_bn(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                             lo_error *err)
{
    int32_t width = 0;
    LO_TRY(lo_preset_width(spec, DEFAULT_WIDTH, WIDEST, &width, err));
    lo_network *network = *out = lo_network_create(input, false, classes);
    if (network == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    LO_TRY(add_features(network, width, err));
    LO_TRY(lo_layer_add_average(network, err));
    for (int i = 0; i <= HIDDEN_LAYERS; i++) {
        char name[LO_NAME_SIZE];
        (void)snprintf(name, sizeof(name), "classifier.%d", 3 * i); /* linear, ReLU, dropout */
        const lo_linear_options options = {.outputs = i < HIDDEN_LAYERS ? 8 * width : classes,
                                           .relu = i < HIDDEN_LAYERS,
                                           .name = name,
                                           .start = LO_START_SMALL};
        LO_TRY(lo_layer_add_linear_as(network, &options, err));
        if (i < HIDDEN_LAYERS) {
            LO_TRY(lo_layer_add_dropout(network, 0.5, err));
        }
    }
    return LO_OK;
}
