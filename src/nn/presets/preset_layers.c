/* A network from a job's own list of layers: see docs/job-file.md. */
#include "nn/presets/presets.h"

#include "base/job.h"
#include "base/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer of the list: its type is the first key of its map, or the text that stands alone. */
typedef struct item {
    const lo_node *node;
    const char *type;
    const lo_node *value; /* of the first key; NULL: none */
} item;

typedef struct builder {
    lo_network *network;
    const char *file;
    bool numbered; /* the text's lines are the file's */
    lo_error *err;
    int convs, norms, linears, attentions; /* so far, for their names */
} builder;

static lo_status add_list(builder *b, const lo_node *list);

static lo_place place_of(const builder *b, const lo_node *node)
{
    return (lo_place){b->file, b->numbered ? node->line : 0};
}

/* The error of a layer that was built, with its place before it. */
static lo_status built(const builder *b, const item *it, lo_status status)
{
    if (status != LO_USAGE) {
        return status;
    }
    const lo_place place = place_of(b, it->node);
    return place.line > 0 ? lo_fail_prefix(b->err, status, "%.400s:%d: model.layers", place.name, place.line)
                          : lo_fail_prefix(b->err, status, "%.400s: model.layers", place.name);
}

static const lo_node *option_of(const item *it, const char *name)
{
    for (int64_t i = 1; it->node->kind == LO_NODE_MAP && i < it->node->count; i++) {
        if (strcmp(it->node->child[i].name, name) == 0) {
            return &it->node->child[i];
        }
    }
    return NULL;
}

/* A whole number of 0 to a million, or `fallback` where it is not given (below 0: it must be). */
static lo_status whole(const builder *b, const item *it, const char *name, const lo_node *node,
                       int32_t fallback, int32_t *out)
{
    const long most = 1000000;
    *out = fallback;
    if ((node == NULL || lo_node_is_null(node)) && fallback >= 0) {
        return LO_OK;
    }
    const char *text = node != NULL && node->kind == LO_NODE_SCALAR && node->plain ? node->text : "";
    char *end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > most) {
        char found[128];
        return lo_fail_at(b->err, place_of(b, node != NULL ? node : it->node),
                          "model.layers: %s: %s: found %s; allowed: a whole number, 0 to %ld", it->type, name,
                          node != NULL ? lo_node_show(node, found, sizeof(found)) : "nothing", most);
    }
    *out = (int32_t)value;
    return LO_OK;
}

static lo_status yes_no(const builder *b, const item *it, const char *name, bool fallback, bool *out)
{
    const lo_node *node = option_of(it, name);
    *out = fallback;
    if (node == NULL) {
        return LO_OK;
    }
    const bool scalar = node->kind == LO_NODE_SCALAR && node->plain;
    if (!scalar || (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0)) {
        char found[128];
        return lo_fail_at(b->err, place_of(b, node), "model.layers: %s: %s: found %s; allowed: true or false",
                          it->type, name, lo_node_show(node, found, sizeof(found)));
    }
    *out = strcmp(node->text, "true") == 0;
    return LO_OK;
}

/* ---- the types ---- */

static bool is_layer(const lo_node *list, int64_t i, const char *type)
{
    if (i >= list->count) {
        return false;
    }
    const lo_node *node = &list->child[i];
    const char *own = node->kind == LO_NODE_SCALAR                    ? node->text
                      : node->kind == LO_NODE_MAP && node->count == 1 ? node->child[0].name
                                                                      : "";
    return strcmp(own, type) == 0 && (node->kind == LO_NODE_SCALAR || lo_node_is_null(&node->child[0]));
}

static bool is_half_pool(const lo_node *list, int64_t i)
{
    const lo_node *node = i < list->count ? &list->child[i] : NULL;
    return node != NULL && node->kind == LO_NODE_MAP && node->count == 1 &&
           strcmp(node->child[0].name, "max_pool") == 0 && node->child[0].kind == LO_NODE_SCALAR &&
           strcmp(node->child[0].text, "2") == 0;
}

/* A convolution with what follows it of batch normalization, ReLU and pooling by 2, as one layer. *next: the
 * first element of the list that is not in it. */
static lo_status add_conv(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    char name[LO_NAME_SIZE], norm_name[LO_NAME_SIZE];
    lo_conv_options o = {.name = name, .norm_name = norm_name};
    LO_TRY(whole(b, it, "outputs", it->value, -1, &o.outputs));
    LO_TRY(whole(b, it, "kernel", option_of(it, "kernel"), 3, &o.kernel));
    LO_TRY(whole(b, it, "stride", option_of(it, "stride"), 1, &o.stride));
    LO_TRY(whole(b, it, "padding", option_of(it, "padding"), (o.kernel - 1) / 2, &o.padding));
    LO_TRY(whole(b, it, "groups", option_of(it, "groups"), 1, &o.groups));
    o.norm = is_layer(list, *next, "batch_norm");
    LO_TRY(yes_no(b, it, "bias", !o.norm, &o.bias));
    (void)snprintf(name, sizeof(name), "conv%d", ++b->convs);
    (void)snprintf(norm_name, sizeof(norm_name), "batch_norm%d", b->norms + 1);
    if (o.norm) {
        b->norms++;
        *next += 1;
    }
    if (is_layer(list, *next, "relu")) {
        o.relu = true;
        *next += 1;
    }
    if (o.norm && o.relu && is_half_pool(list, *next)) {
        o.pool = true;
        *next += 1;
    }
    return built(b, it, lo_layer_add_conv(b->network, &o, b->err));
}

static lo_status add_linear(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    char name[LO_NAME_SIZE];
    lo_linear_options o = {.name = name};
    LO_TRY(whole(b, it, "outputs", it->value, -1, &o.outputs));
    LO_TRY(yes_no(b, it, "each", false, &o.each));
    (void)snprintf(name, sizeof(name), "linear%d", ++b->linears);
    if (is_layer(list, *next, "relu")) {
        o.relu = true;
        *next += 1;
    }
    return built(b, it, lo_layer_add_linear_as(b->network, &o, b->err));
}

static lo_status add_pool(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    (void)list;
    (void)next;
    int32_t size = 0, stride = 0, padding = 0;
    LO_TRY(whole(b, it, "size", it->value, 0, &size));
    LO_TRY(whole(b, it, "stride", option_of(it, "stride"), size, &stride));
    LO_TRY(whole(b, it, "padding", option_of(it, "padding"), 0, &padding));
    return built(b, it,
                 strcmp(it->type, "max_pool") == 0
                     ? lo_layer_add_max_pool(b->network, size, stride, padding, b->err)
                     : lo_layer_add_mean_pool(b->network, size, stride, padding, b->err));
}

static lo_status add_dropout(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    (void)list;
    (void)next;
    const char *text = it->value != NULL && it->value->kind == LO_NODE_SCALAR ? it->value->text : "";
    char *end = NULL;
    const double share = strtod(text, &end);
    if (end == text || *end != '\0' || !(share >= 0 && share < 1)) {
        char found[128];
        return lo_fail_at(b->err, place_of(b, it->node),
                          "model.layers: dropout: found %s; allowed: a share, at least 0 and below 1",
                          it->value != NULL ? lo_node_show(it->value, found, sizeof(found)) : "nothing");
    }
    return built(b, it, lo_layer_add_dropout(b->network, share, b->err));
}

static lo_status add_plain(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    (void)list;
    char name[LO_NAME_SIZE];
    lo_network *network = b->network;
    if (strcmp(it->type, "relu") == 0) {
        return built(b, it, lo_layer_add_relu(network, b->err));
    }
    if (strcmp(it->type, "gelu") == 0) {
        return built(b, it, lo_layer_add_gelu(network, b->err));
    }
    if (strcmp(it->type, "flatten") == 0) {
        return built(b, it, lo_layer_add_flatten(network, b->err));
    }
    if (strcmp(it->type, "tokens") == 0) {
        return built(b, it, lo_layer_add_tokens(network, "class_token", "position", b->err));
    }
    if (strcmp(it->type, "first_token") == 0) {
        return built(b, it, lo_layer_add_first_token(network, b->err));
    }
    if (strcmp(it->type, "layer_norm") == 0) {
        return built(b, it, lo_layer_add_layer_norm(network, 1e-5, NULL, b->err));
    }
    const bool relu = is_layer(list, *next, "relu");
    *next += relu ? 1 : 0;
    (void)snprintf(name, sizeof(name), "batch_norm%d", ++b->norms);
    return built(b, it, lo_layer_add_batch_norm(network, relu, name, b->err));
}

/* Self-attention with its linear maps. */
static lo_status add_attention(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    (void)list;
    (void)next;
    char in[LO_NAME_SIZE], out[LO_NAME_SIZE];
    int32_t heads = 0;
    LO_TRY(whole(b, it, "heads", it->value, -1, &heads));
    const int number = ++b->attentions;
    const int32_t width = lo_network_shape(b->network).channels;
    if (heads < 1 || width % heads != 0 || width > INT32_MAX / 3) {
        return lo_fail_at(b->err, place_of(b, it->node),
                          "model.layers: attention: %d heads of %d values; the heads divide the values",
                          heads, width);
    }
    (void)snprintf(in, sizeof(in), "attention%d.in_proj", number);
    (void)snprintf(out, sizeof(out), "attention%d.out_proj", number);
    const lo_linear_options before = {
        .outputs = 3 * width, .each = true, .name = in, .separator = "_", .start = LO_START_GLOROT_NO_BIAS};
    const lo_linear_options after = {
        .outputs = width, .each = true, .name = out, .start = LO_START_DEFAULT_NO_BIAS};
    LO_TRY(built(b, it, lo_layer_add_linear_as(b->network, &before, b->err)));
    LO_TRY(built(b, it, lo_layer_add_attention(b->network, heads, b->err)));
    return built(b, it, lo_layer_add_linear_as(b->network, &after, b->err));
}

/* The list's output plus its input, or plus what `shortcut` makes of that. */
static lo_status add_residual(builder *b, const item *it, const lo_node *list, int64_t *next)
{
    (void)list;
    (void)next;
    const lo_node *shortcut = option_of(it, "shortcut");
    bool relu = false;
    LO_TRY(yes_no(b, it, "relu", false, &relu));
    if (lo_network_head(b->network) == 0) {
        LO_TRY(lo_layer_add_image(b->network, b->err));
    }
    const int start = lo_network_head(b->network);
    int other = start;
    if (shortcut != NULL) {
        LO_TRY(add_list(b, shortcut));
        other = lo_network_head(b->network);
        lo_network_move(b->network, start);
    }
    if (it->value == NULL) {
        return lo_fail_at(b->err, place_of(b, it->node),
                          "model.layers: residual: found nothing; allowed: a list of layers");
    }
    LO_TRY(add_list(b, it->value));
    return built(b, it, lo_layer_add_sum(b->network, other, relu, b->err));
}

static const struct {
    const char *name;
    const char *options; /* beside the value of the layer's own key */
    lo_status (*add)(builder *b, const item *it, const lo_node *list, int64_t *next);
} types[] = {
    {"conv", "kernel stride padding groups bias", add_conv},
    {"linear", "each", add_linear},
    {"batch_norm", "", add_plain},
    {"layer_norm", "", add_plain},
    {"relu", "", add_plain},
    {"gelu", "", add_plain},
    {"dropout", "", add_dropout},
    {"max_pool", "stride padding", add_pool},
    {"mean_pool", "stride padding", add_pool},
    {"flatten", "", add_plain},
    {"residual", "shortcut relu", add_residual},
    {"tokens", "", add_plain},
    {"attention", "", add_attention},
    {"first_token", "", add_plain},
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

/* ---- the list ---- */

static lo_status unknown_type(const builder *b, const lo_node *node, const char *found)
{
    char known[256] = "", near[64];
    for (int i = 0; i < TYPES; i++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? " " : "", types[i].name);
    }
    const char *nearest = lo_nearest(found, known, near, sizeof(near));
    return lo_fail_at(b->err, place_of(b, node), "model.layers: unknown layer %.80s%s%s%s; allowed: %s",
                      found, nearest != NULL ? " (nearest: " : "", nearest != NULL ? nearest : "",
                      nearest != NULL ? ")" : "", known);
}

static bool in_words(const char *word, const char *words)
{
    const size_t length = strlen(word);
    for (const char *c = words; *c != '\0'; c += strcspn(c, " ")) {
        c += strspn(c, " ");
        if (strcspn(c, " ") == length && strncmp(c, word, length) == 0) {
            return true;
        }
    }
    return false;
}

static lo_status check_options(const builder *b, const item *it, const char *options)
{
    for (int64_t i = 1; it->node->kind == LO_NODE_MAP && i < it->node->count; i++) {
        const lo_node *option = &it->node->child[i];
        if (!in_words(option->name, options)) {
            return lo_fail_at(b->err, place_of(b, option),
                              "model.layers: %s: unknown option %.80s; allowed: %s", it->type, option->name,
                              options[0] != '\0' ? options : "none");
        }
    }
    return LO_OK;
}

static lo_status add_one(builder *b, const lo_node *list, int64_t *next)
{
    char found[128];
    const lo_node *node = &list->child[(*next)++];
    item it = {.node = node};
    if (node->kind == LO_NODE_SCALAR && node->text[0] != '\0') {
        it.type = node->text;
    } else if (node->kind == LO_NODE_MAP && node->count > 0) {
        it.type = node->child[0].name;
        it.value = lo_node_is_null(&node->child[0]) ? NULL : &node->child[0];
    } else {
        return unknown_type(b, node, lo_node_show(node, found, sizeof(found)));
    }
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(types[i].name, it.type) == 0) {
            LO_TRY(check_options(b, &it, types[i].options));
            return types[i].add(b, &it, list, next);
        }
    }
    return unknown_type(b, node, it.type);
}

static lo_status add_list(builder *b, const lo_node *list)
{
    char found[128];
    if (list->kind != LO_NODE_LIST || list->count == 0) {
        return lo_fail_at(b->err, place_of(b, list), "model.layers: found %s; allowed: a list of layers",
                          list->kind == LO_NODE_LIST ? "an empty list"
                                                     : lo_node_show(list, found, sizeof(found)));
    }
    for (int64_t i = 0; i < list->count;) {
        LO_TRY(add_one(b, list, &i));
    }
    return LO_OK;
}

/* The network ends with a vector of as many values as there are classes. */
static lo_status check_end(const builder *b, const lo_node *list, int32_t classes)
{
    const lo_shape end = lo_network_shape(b->network);
    if (b->network->layer_count > 0 && end.channels == classes && end.height == 1 && end.width == 1) {
        return LO_OK;
    }
    return lo_fail_at(b->err, place_of(b, &list->child[list->count - 1]),
                      "model.layers: the last layer makes %d x %d x %d; for %d classes it is a vector of %d",
                      end.channels, end.height, end.width, classes, classes);
}

lo_status lo_preset_layers(const lo_model_spec *spec, lo_shape input, int32_t classes, lo_network **out,
                           lo_error *err)
{
    const char *text = spec->layers != NULL ? spec->layers : "";
    const char *file = spec->layers_file != NULL ? spec->layers_file : "model.layers";
    builder b = {.file = file, .numbered = spec->layers_file != NULL, .err = err};
    lo_node root = {0};
    lo_status status = LO_OK;
    b.network = *out = lo_network_create(input, false, classes);
    if (b.network == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    LO_TRY_GOTO(status, lo_tree_parse(text, strlen(text), file, b.numbered, &root, err), done);
    LO_TRY_GOTO(status, add_list(&b, &root), done);
    status = check_end(&b, &root, classes);
done:
    lo_tree_free(&root);
    return status;
}
