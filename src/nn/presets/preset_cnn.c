#include "nn/presets/presets.h"

enum { DEFAULT_WIDTH = 32, BLOCKS = 3, SMALLEST = 8, WIDEST = 65536 };

/* Images that go through a layer at once: so many that their transforms take 1.2 MB, 1 to 8. The sums of
 * batch normalization are rounded by it, so that it stays. */
static size_t images_of(lo_shape in, size_t in_columns, int32_t outputs)
{
    const size_t tiles = ((size_t)in.height + 1) / 2 * (((size_t)in.width + 1) / 2);
    const size_t image = 16 * tiles * (in_columns + lo_padded((size_t)outputs)) * sizeof(float);
    const size_t images = 1250000 / image;
    return images < 1 ? 1 : images > 8 ? 8 : images;
}

static lo_status add_block(lo_network *network, int32_t outputs, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    const size_t channels = (size_t)in.channels;
    const size_t columns = lo_network_head(network) == 0 ? channels : lo_padded(channels);
    return lo_layer_add_conv(network,
                             &(lo_conv_options){.outputs = outputs,
                                                .kernel = 3,
                                                .padding = 1,
                                                .norm = true,
                                                .relu = true,
                                                .pool = true,
                                                .images = images_of(in, columns, outputs)},
                             err);
}

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
        LO_TRY_GOTO(status, add_block(*out, width << block, err), done);
    }
    LO_TRY_GOTO(status, lo_layer_add_average(*out, err), done);
    LO_TRY_GOTO(status, lo_layer_add_linear(*out, classes, false, err), done);
done:
    if (status != LO_OK) {
        lo_network_destroy(out);
    }
    return status;
}
