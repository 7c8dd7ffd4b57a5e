#include "nn/presets.h"

#include <stdio.h>
#include <string.h>

static const struct {
    lo_preset preset;
    lo_preset_build *build;
} presets[] = {
    {{"linear", "one linear layer: softmax regression"}, lo_preset_linear},
    {{"mlp", "linear layers with ReLU between them; hidden: their sizes, 512 by default"}, lo_preset_mlp},
    {{"cnn", "three times convolution 3x3, batch normalization, ReLU, pooling; width: channels of the first, "
             "32 by default"},
     lo_preset_cnn},
};

int lo_preset_count(void)
{
    return (int)(sizeof(presets) / sizeof(presets[0]));
}

const lo_preset *lo_preset_at(int i)
{
    return i >= 0 && i < lo_preset_count() ? &presets[i].preset : NULL;
}

lo_status lo_network_build(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                           lo_error *err)
{
    *out = NULL;
    if (input.channels < 1 || input.height < 1 || input.width < 1 || classes < 2) {
        return lo_fail(err, LO_USAGE,
                       "preset %s: images of %d x %d x %d in %d classes; at least 1 x 1 x 1 in 2 classes",
                       spec->preset, input.channels, input.height, input.width, classes);
    }
    char known[256] = "";
    for (int i = 0; i < lo_preset_count(); i++) {
        if (strcmp(presets[i].preset.name, spec->preset) == 0) {
            return presets[i].build(spec, input, classes, out, err);
        }
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, " %s", presets[i].preset.name);
    }
    return lo_fail(err, LO_USAGE, "unknown preset '%s'; known:%s", spec->preset, known);
}
