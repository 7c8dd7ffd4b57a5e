/* Presets: how a model section of a job becomes a network. One file each; the table is in presets.c. */
#ifndef LEAVEOUT_NN_PRESETS_H
#define LEAVEOUT_NN_PRESETS_H

#include "nn/network.h"
#include "nn/training.h"

/* Builds a network for images of `input` and `classes` classes; the caller destroys it. Errors: LO_USAGE
 * where sizes do not fit, with the layer; LO_INTERNAL without memory. */
typedef lo_status lo_preset_build(const lo_model_spec *spec, lo_shape input, int32_t classes,
                                  lo_network **out, lo_error *err);

lo_preset_build lo_preset_linear, lo_preset_mlp, lo_preset_cnn;

/* Finds the spec's preset and builds it. Errors: LO_USAGE for an unknown name, with the known ones. */
lo_status lo_network_build(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                           lo_error *err);

#endif
