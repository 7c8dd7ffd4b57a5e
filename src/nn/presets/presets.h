/* Presets: how a model section of a job becomes a network. One file each; the table is in presets.c. */
#ifndef LEAVEOUT_NN_PRESETS_H
#define LEAVEOUT_NN_PRESETS_H

#include "nn/network.h"
#include "nn/training.h"

/* Builds a network for images of `input` and `classes` classes; the caller destroys it. Errors: LO_USAGE
 * where sizes do not fit, with the layer; LO_INTERNAL without memory. */
typedef lo_status lo_preset_build(const lo_model_spec *spec, lo_shape input, int32_t classes,
                                  lo_network **out, lo_error *err);

lo_preset_build lo_preset_linear, lo_preset_mlp, lo_preset_cnn, lo_preset_resnet9, lo_preset_resnet18,
    lo_preset_resnet50, lo_preset_vgg16_bn, lo_preset_vit, lo_preset_layers;

/* The width of a spec, or the preset's own. Errors: LO_USAGE where it is beyond 1 to 65536 over `widest`,
 * what the last layers multiply it by. */
lo_status lo_preset_width(const lo_model_spec *spec, int32_t fallback, int32_t widest, int32_t *width,
                          lo_error *err);

/* Finds the spec's preset and builds it. Errors: LO_USAGE for an unknown name, with the known ones. */
lo_status lo_network_build(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                           lo_error *err);

#endif
