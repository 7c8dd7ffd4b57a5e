#include "nn/presets/presets.h"

lo_status lo_preset_linear(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                           lo_error *err)
{
    (void)spec;
    *out = lo_network_create(input, true, classes);
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    const lo_status status = lo_layer_add_linear(*out, classes, false, err);
    if (status != LO_OK) {
        lo_network_destroy(out);
    }
    return status;
}
