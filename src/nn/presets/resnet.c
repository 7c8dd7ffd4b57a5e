#include "nn/presets/resnet.h"

#include <stdio.h>

enum { DEFAULT_WIDTH = 64, STAGES = 4, EXPANSION = 4, WIDEST = 8 * EXPANSION };

/* Adds PREFIXconvN and PREFIXbnN, or PREFIXdownsample.0 and .1 for number 0. */
static lo_status add_conv(lo_network *network, const char *prefix, int number, int32_t outputs,
                          int32_t kernel, int32_t stride, bool relu, int add, lo_error *err)
{
    char name[LO_NAME_SIZE], norm_name[LO_NAME_SIZE];
    if (number > 0) {
        (void)snprintf(name, sizeof(name), "%sconv%d", prefix, number);
        (void)snprintf(norm_name, sizeof(norm_name), "%sbn%d", prefix, number);
    } else {
        (void)snprintf(name, sizeof(name), "%sdownsample.0", prefix);
        (void)snprintf(norm_name, sizeof(norm_name), "%sdownsample.1", prefix);
    }
    const lo_conv_options options = {.outputs = outputs,
                                     .kernel = kernel,
                                     .stride = stride,
                                     .padding = kernel / 2,
                                     .norm = true,
                                     .relu = relu,
                                     .add = add,
                                     .name = name,
                                     .norm_name = norm_name,
                                     .start = LO_START_FAN_OUT};
    return lo_layer_add_conv(network, &options, err);
}

/* A block of `channels` (times EXPANSION): its last convolution adds the block's input, or the projection of
 * that. */
static lo_status add_block(lo_network *network, const lo_resnet *resnet, const char *prefix, int32_t channels,
                           int32_t stride, lo_error *err)
{
    const int start = lo_network_head(network);
    const int32_t outputs = resnet->bottleneck ? EXPANSION * channels : channels;
    int shortcut = start;
    if (stride != 1 || lo_network_shape(network).channels != outputs) {
        LO_TRY(add_conv(network, prefix, 0, outputs, 1, stride, false, 0, err));
        shortcut = lo_network_head(network);
        lo_network_move(network, start);
    }
    if (resnet->bottleneck) {
        LO_TRY(add_conv(network, prefix, 1, channels, 1, 1, true, 0, err));
        LO_TRY(add_conv(network, prefix, 2, channels, 3, stride, true, 0, err));
        return add_conv(network, prefix, 3, outputs, 1, 1, true, shortcut, err);
    }
    LO_TRY(add_conv(network, prefix, 1, channels, 3, stride, true, 0, err));
    return add_conv(network, prefix, 2, outputs, 3, 1, true, shortcut, err);
}

lo_status lo_resnet_build(const lo_resnet *resnet, const lo_model_spec *spec, lo_shape input, int32_t classes,
                          lo_network **out, lo_error *err)
{
    int32_t width = 0;
    LO_TRY(lo_preset_width(spec, DEFAULT_WIDTH, WIDEST, &width, err));
    lo_network *network = *out = lo_network_create(input, false, classes);
    if (network == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    if (resnet->large_images) {
        LO_TRY(add_conv(network, "", 1, width, 7, 2, true, 0, err));
        LO_TRY(lo_layer_add_max_pool(network, 3, 2, 1, err));
    } else {
        LO_TRY(add_conv(network, "", 1, width, 3, 1, true, 0, err));
    }
    for (int stage = 0; stage < STAGES; stage++) {
        for (int32_t block = 0; block < resnet->blocks[stage]; block++) {
            char prefix[LO_NAME_SIZE];
            (void)snprintf(prefix, sizeof(prefix), "layer%d.%d.", stage + 1, block);
            const int32_t stride = stage > 0 && block == 0 ? 2 : 1;
            LO_TRY(add_block(network, resnet, prefix, width << stage, stride, err));
        }
    }
    LO_TRY(lo_layer_add_average(network, err));
    const lo_linear_options last = {.outputs = classes, .name = "fc"};
    return lo_layer_add_linear_as(network, &last, err);
}
