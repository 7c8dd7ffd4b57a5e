#include "nn/presets/presets.h"

enum { DEFAULT_HIDDEN = 512, WIDEST = 1 << 20 };

lo_status lo_preset_mlp(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                        lo_error *err)
{
    if (spec->hidden_count < 0 || spec->hidden_count > LO_MAX_HIDDEN) {
        return lo_fail(err, LO_USAGE, "preset mlp: %d hidden layers; 0 to %d are allowed", spec->hidden_count,
                       LO_MAX_HIDDEN);
    }
    for (int32_t i = 0; i < spec->hidden_count; i++) {
        if (spec->hidden[i] < 1 || spec->hidden[i] > WIDEST) {
            return lo_fail(err, LO_USAGE, "preset mlp: layer linear%d of %d outputs; 1 to %d are allowed",
                           i + 1, spec->hidden[i], WIDEST);
        }
    }
    const int32_t fallback = DEFAULT_HIDDEN;
    const int32_t *hidden = spec->hidden_count > 0 ? spec->hidden : &fallback;
    const int32_t count = spec->hidden_count > 0 ? spec->hidden_count : 1;
    lo_status status = LO_OK;
    *out = lo_network_create(input, true, classes);
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    for (int32_t i = 0; i < count; i++) {
        LO_TRY_GOTO(status, lo_layer_add_linear(*out, hidden[i], true, err), done);
    }
    LO_TRY_GOTO(status, lo_layer_add_linear(*out, classes, false, err), done);
done:
    if (status != LO_OK) {
        lo_network_destroy(out);
    }
    return status;
}
