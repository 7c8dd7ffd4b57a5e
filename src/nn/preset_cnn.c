#include "nn/presets.h"

enum { DEFAULT_WIDTH = 32, BLOCKS = 3, SMALLEST = 8, WIDEST = 65536 };

lo_status lo_preset_cnn(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                        lo_error *err)
{
    if (input.height < SMALLEST || input.width < SMALLEST) {
        return lo_fail(err, LO_USAGE,
                       "preset cnn: images of %d x %d pixels; it pools three times, so %d x %d at least",
                       input.height, input.width, SMALLEST, SMALLEST);
    }
    if (spec->width < 0 || spec->width > WIDEST) {
        return lo_fail(err, LO_USAGE, "preset cnn: width %d; 1 to %d are allowed", spec->width, WIDEST);
    }
    const int32_t width = spec->width > 0 ? spec->width : DEFAULT_WIDTH;
    lo_status status = LO_OK;
    *out = lo_network_create(input, false, classes);
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    for (int block = 0; block < BLOCKS; block++) {
        LO_TRY_GOTO(status, lo_layer_add_conv_pool(*out, width << block, err), done);
    }
    LO_TRY_GOTO(status, lo_layer_add_average(*out, err), done);
    LO_TRY_GOTO(status, lo_layer_add_linear(*out, classes, false, err), done);
done:
    if (status != LO_OK) {
        lo_network_destroy(out);
    }
    return status;
}
