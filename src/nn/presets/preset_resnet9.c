/* The small residual network of speed contests (after Page, "How to train your ResNet", 2018). Names are
 * those of the PyTorch module that tests/oracle/make_networks.py defines. */
#include "nn/presets/presets.h"

#include <stdio.h>

enum { DEFAULT_WIDTH = 64, WIDEST = 8 };

/* Convolution 3x3, batch normalization, ReLU and, if asked for, pooling; parameters PREFIX.0 and PREFIX.1. */
static lo_status add_block(lo_network *network, const char *prefix, int32_t outputs, bool pool, lo_error *err)
{
    char name[LO_NAME_SIZE], norm_name[LO_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "%s.0", prefix);
    (void)snprintf(norm_name, sizeof(norm_name), "%s.1", prefix);
    const lo_conv_options options = {.outputs = outputs,
                                     .kernel = 3,
                                     .padding = 1,
                                     .norm = true,
                                     .relu = true,
                                     .pool = pool,
                                     .name = name,
                                     .norm_name = norm_name};
    return lo_layer_add_conv(network, &options, err);
}

static lo_status add_residual(lo_network *network, int number, int32_t channels, lo_error *err)
{
    const int start = lo_network_head(network);
    for (int i = 0; i < 2; i++) {
        char prefix[LO_NAME_SIZE];
        (void)snprintf(prefix, sizeof(prefix), "%d.body.%d", number, i);
        LO_TRY(add_block(network, prefix, channels, false, err));
    }
    return lo_layer_add_sum(network, start, false, err);
}

lo_status lo_preset_resnet9(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                            lo_error *err)
{
    int32_t width = 0;
    LO_TRY(lo_preset_width(spec, DEFAULT_WIDTH, WIDEST, &width, err));
    lo_network *network = *out = lo_network_create(input, false, classes);
    if (network == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    LO_TRY(add_block(network, "0", width, false, err));
    LO_TRY(add_block(network, "1", 2 * width, true, err));
    LO_TRY(add_residual(network, 2, 2 * width, err));
    LO_TRY(add_block(network, "3", 4 * width, true, err));
    LO_TRY(add_block(network, "4", 8 * width, true, err));
    LO_TRY(add_residual(network, 5, 8 * width, err));
    LO_TRY(lo_layer_add_max_pool(network, 0, 0, 0, err));
    const lo_linear_options last = {.outputs = classes, .name = "8"};
    return lo_layer_add_linear_as(network, &last, err);
}
