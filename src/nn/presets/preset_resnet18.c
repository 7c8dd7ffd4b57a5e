#include "nn/presets/resnet.h"

lo_status lo_preset_resnet18(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                             lo_error *err)
{
    const lo_resnet resnet = {.blocks = {2, 2, 2, 2}};
    return lo_resnet_build(&resnet, spec, input, classes, out, err);
}
