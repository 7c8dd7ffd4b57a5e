/* The vision transformer of Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, with
 * torchvision's names and initial weights, small as small images want it. Without dropout. */
#include "nn/presets/presets.h"

#include <stdio.h>

enum {
    DEFAULT_WIDTH = 192,
    DEFAULT_DEPTH = 6,
    DEFAULT_HEADS = 3,
    DEFAULT_PATCH = 4,
    WIDEST = 4,
    DEEPEST = 1024
};

static const double EPSILON = 1e-6; /* of layer normalization: torchvision's */

typedef struct vit {
    int32_t width, depth, heads, patch;
} vit;

static lo_status sizes_of(const lo_model_spec *spec, lo_shape input, vit *v, lo_error *err)
{
    v->depth = spec->depth > 0 ? spec->depth : DEFAULT_DEPTH;
    v->heads = spec->heads > 0 ? spec->heads : DEFAULT_HEADS;
    v->patch = spec->patch > 0 ? spec->patch : DEFAULT_PATCH;
    LO_TRY(lo_preset_width(spec, DEFAULT_WIDTH, WIDEST, &v->width, err));
    if (v->width % v->heads != 0) {
        return lo_fail(err, LO_USAGE, "preset vit: width %d and %d heads; the heads divide the width",
                       v->width, v->heads);
    }
    if (v->depth > DEEPEST) {
        return lo_fail(err, LO_USAGE, "preset vit: depth %d; at most %d is allowed", v->depth, DEEPEST);
    }
    if (input.height % v->patch != 0 || input.width % v->patch != 0) {
        return lo_fail(err, LO_USAGE,
                       "preset vit: images of %d x %d and patches of %d x %d; patches fill the image",
                       input.height, input.width, v->patch, v->patch);
    }
    return LO_OK;
}

static lo_status add_linear(lo_network *network, const char *block, const char *name, const char *separator,
                            int32_t outputs, lo_start start, lo_error *err)
{
    char full[LO_NAME_SIZE];
    (void)snprintf(full, sizeof(full), "%s.%s", block, name);
    const lo_linear_options options = {
        .outputs = outputs, .each = true, .name = full, .separator = separator, .start = start};
    return lo_layer_add_linear_as(network, &options, err);
}

static lo_status add_norm(lo_network *network, const char *block, const char *name, lo_error *err)
{
    char full[LO_NAME_SIZE];
    (void)snprintf(full, sizeof(full), "%s.%s", block, name);
    return lo_layer_add_layer_norm(network, EPSILON, full, err);
}

/* Attention, then a linear layer of four times the width and back, each after a normalization and around a
 * residual connection. */
static lo_status add_block(lo_network *network, const vit *v, int32_t number, lo_error *err)
{
    char block[LO_NAME_SIZE / 2];
    (void)snprintf(block, sizeof(block), "encoder.layers.encoder_layer_%d", number);
    const int start = lo_network_head(network);
    LO_TRY(add_norm(network, block, "ln_1", err));
    LO_TRY(add_linear(network, block, "self_attention.in_proj", "_", 3 * v->width, LO_START_GLOROT_NO_BIAS,
                      err));
    LO_TRY(lo_layer_add_attention(network, v->heads, err));
    LO_TRY(
        add_linear(network, block, "self_attention.out_proj", ".", v->width, LO_START_DEFAULT_NO_BIAS, err));
    LO_TRY(lo_layer_add_sum(network, start, false, err));
    const int middle = lo_network_head(network);
    LO_TRY(add_norm(network, block, "ln_2", err));
    LO_TRY(add_linear(network, block, "mlp.0", ".", 4 * v->width, LO_START_GLOROT, err));
    LO_TRY(lo_layer_add_gelu(network, err));
    LO_TRY(add_linear(network, block, "mlp.3", ".", v->width, LO_START_GLOROT, err));
    return lo_layer_add_sum(network, middle, false, err);
}

lo_status lo_preset_vit(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                        lo_error *err)
{
    vit v;
    LO_TRY(sizes_of(spec, input, &v, err));
    lo_network *network = *out = lo_network_create(input, false, classes);
    if (network == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    const lo_conv_options patches = {.outputs = v.width,
                                     .kernel = v.patch,
                                     .stride = v.patch,
                                     .bias = true,
                                     .name = "conv_proj",
                                     .start = LO_START_FAN_IN};
    LO_TRY(lo_layer_add_conv(network, &patches, err));
    LO_TRY(lo_layer_add_tokens(network, "class_token", "encoder.pos_embedding", err));
    for (int32_t i = 0; i < v.depth; i++) {
        LO_TRY(add_block(network, &v, i, err));
    }
    LO_TRY(lo_layer_add_layer_norm(network, EPSILON, "encoder.ln", err));
    LO_TRY(lo_layer_add_first_token(network, err));
    const lo_linear_options head = {.outputs = classes, .name = "heads.head", .start = LO_START_ZERO};
    return lo_layer_add_linear_as(network, &head, err);
}
