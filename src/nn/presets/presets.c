#include "nn/presets/presets.h"

#include <stdio.h>
#include <string.h>

static const struct {
    lo_preset preset;
    lo_preset_build *build;
} presets[] = {
    {{"linear", "one linear layer: softmax regression", {1, 28, 28}}, lo_preset_linear},
    {{"mlp", "linear layers with ReLU between them; hidden: their sizes, 512 by default", {1, 28, 28}},
     lo_preset_mlp},
    {{"cnn",
      "three times convolution 3x3, batch normalization, ReLU, pooling; width: channels of the first, "
      "32 by default",
      {1, 28, 28}},
     lo_preset_cnn},
    {{"resnet9",
      "two residual blocks between pooled convolutions; width: channels of the first, 64 by default",
      {3, 32, 32}},
     lo_preset_resnet9},
    {{"resnet18",
      "torchvision's, with the stem for small images: 3x3 with stride 1, no pooling; width: channels of "
      "the first, 64 by default",
      {3, 32, 32}},
     lo_preset_resnet18},
    {{"resnet50", "torchvision's; width: channels of the first convolution, 64 by default", {3, 32, 32}},
     lo_preset_resnet50},
    {{"vgg16_bn",
      "torchvision's convolutions, the mean over what is left of the image, and a classifier of 512 "
      "units (8 times width); width: channels of the first convolution, 64 by default",
      {3, 32, 32}},
     lo_preset_vgg16_bn},
    {{"vit",
      "vision transformer: depth blocks of width values and heads heads on patches of patch x patch pixels; "
      "by default 6, 192, 3 and 4",
      {3, 32, 32}},
     lo_preset_vit},
    {{"layers", "the job's own list of layers, model.layers", {0}}, lo_preset_layers},
};

int lo_preset_count(void)
{
    return (int)(sizeof(presets) / sizeof(presets[0]));
}

const lo_preset *lo_preset_at(int i)
{
    return i >= 0 && i < lo_preset_count() ? &presets[i].preset : NULL;
}

lo_status lo_preset_width(const lo_model_spec *spec, int32_t fallback, int32_t widest, int32_t *width,
                          lo_error *err)
{
    const int32_t most = 65536 / widest;
    *width = spec->width != 0 ? spec->width : fallback;
    return *width >= 1 && *width <= most ? LO_OK
                                         : lo_fail(err, LO_USAGE, "preset %s: width %d; 1 to %d are allowed",
                                                   spec->preset, *width, most);
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
    char known[512] = "";
    for (int i = 0; i < lo_preset_count(); i++) {
        if (strcmp(presets[i].preset.name, spec->preset) == 0) {
            const lo_status status = presets[i].build(spec, input, classes, out, err);
            if (status != LO_OK) {
                lo_network_destroy(out);
            }
            return status;
        }
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, " %s", presets[i].preset.name);
    }
    return lo_fail(err, LO_USAGE, "unknown preset '%s'; known:%s", spec->preset, known);
}
