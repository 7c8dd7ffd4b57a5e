#include "base/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    MAX_DEPTH = 16, /* of nesting: bounds the recursion */
    MAX_KEYS = 1000 /* in one map: bounds the search for keys given twice */
};

typedef struct parsing {
    yaml_parser_t parser;
    const char *text;
    size_t size;
    const char *name;
    bool numbered;
    lo_error *err;
} parsing;

lo_status lo_fail_at(lo_error *err, lo_place place, const char *format, ...)
{
    char text[1600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (place.line > 0) {
        return lo_fail(err, LO_USAGE, "%.400s:%d: %s", place.name, place.line, text);
    }
    return lo_fail(err, LO_USAGE, "%.400s: %s", place.name, text);
}

static lo_status no_memory(const parsing *p)
{
    return lo_fail(p->err, LO_INTERNAL, "%.400s: no memory", p->name);
}

/* The place of a mark; libyaml counts lines from 0. */
static lo_place place_at(const parsing *p, yaml_mark_t mark)
{
    return (lo_place){p->name, p->numbered ? (int)mark.line + 1 : 0};
}

/* libyaml's own complaint. Its reader (encoding, control characters) knows a byte's offset, the rest line and
 * column. */
static lo_status fail_yaml(const parsing *p)
{
    const yaml_parser_t *parser = &p->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "unknown problem";
    if (parser->error == YAML_MEMORY_ERROR) {
        return no_memory(p);
    }
    if (parser->error == YAML_READER_ERROR) {
        int line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < p->size; i++) {
            line += p->text[i] == '\n';
        }
        return lo_fail_at(p->err, (lo_place){p->name, p->numbered ? line : 0},
                          "not YAML: %s at byte %zu; allowed: UTF-8 text without control characters", problem,
                          parser->problem_offset);
    }
    const yaml_mark_t mark = parser->problem_mark;
    const bool tab = mark.index < p->size && p->text[mark.index] == '\t';
    const char *context = parser->context != NULL ? parser->context : "";
    char place[480];
    (void)snprintf(place, sizeof(place), p->numbered ? "%.400s:%zu:%zu" : "%.400s", p->name, mark.line + 1,
                   mark.column + 1);
    return lo_fail(p->err, LO_USAGE, "%s: not YAML: %s%s%s%s", place, problem, context[0] != '\0' ? ", " : "",
                   context, tab ? "; indent with spaces, not tabs" : "");
}

static lo_status next_event(parsing *p, yaml_event_t *event)
{
    return yaml_parser_parse(&p->parser, event) != 0 ? LO_OK : fail_yaml(p);
}

static lo_status refuse_extras(const parsing *p, const yaml_event_t *event, const yaml_char_t *anchor,
                               const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return lo_fail_at(
            p->err, place_at(p, event->start_mark),
            "found the anchor '&%.60s'; anchors and aliases are not allowed: write the value out",
            (const char *)anchor);
    }
    if (tag != NULL) {
        return lo_fail_at(p->err, place_at(p, event->start_mark),
                          "found the tag '%.60s'; tags are not allowed: the key says what type its value has",
                          (const char *)tag);
    }
    return LO_OK;
}

static lo_status copy_scalar(const parsing *p, const yaml_event_t *event, char **out)
{
    const size_t length = event->data.scalar.length;
    const char *value = (const char *)event->data.scalar.value;
    LO_TRY(refuse_extras(p, event, event->data.scalar.anchor, event->data.scalar.tag));
    if (memchr(value, '\0', length) != NULL) {
        return lo_fail_at(p->err, place_at(p, event->start_mark),
                          "found a text with a NUL byte; not allowed");
    }
    *out = strndup(value, length);
    return *out != NULL ? LO_OK : no_memory(p);
}

/* One more child, zeroed; NULL when there is no memory. Room doubles at powers of two. */
static lo_node *add_child(lo_node *node)
{
    const int64_t count = node->count;
    if ((count & (count - 1)) == 0) {
        const size_t room = count == 0 ? 1 : 2 * (size_t)count;
        lo_node *larger = realloc(node->child, room * sizeof(*larger));
        if (larger == NULL) {
            return NULL;
        }
        node->child = larger;
    }
    node->count = count + 1;
    node->child[count] = (lo_node){0};
    return &node->child[count];
}

static lo_status check_name(const parsing *p, const yaml_event_t *event, const lo_node *map, const char *name)
{
    const lo_place place = place_at(p, event->start_mark);
    if (map->count > MAX_KEYS) {
        return lo_fail_at(p->err, place, "found more than %d keys in one map; not allowed", MAX_KEYS);
    }
    for (int64_t i = 0; i + 1 < map->count; i++) {
        if (strcmp(map->child[i].name, name) == 0) {
            return lo_fail_at(p->err, place, "%.80s: found twice, first on line %d; allowed once", name,
                              map->child[i].name_line);
        }
    }
    return LO_OK;
}

static lo_status read_node(parsing *p, const yaml_event_t *event, int depth, lo_node *node);

/* The key of the pair that `event` begins, into a new child of map. */
static lo_status read_name(parsing *p, const yaml_event_t *event, lo_node *map, lo_node **child)
{
    if (event->type != YAML_SCALAR_EVENT) {
        return lo_fail_at(p->err, place_at(p, event->start_mark),
                          "found %s as a key; allowed: a name, as in `epochs: 10`",
                          event->type == YAML_ALIAS_EVENT ? "an alias" : "a list or map");
    }
    *child = add_child(map);
    if (*child == NULL) {
        return no_memory(p);
    }
    (*child)->name_line = (int)event->start_mark.line + 1;
    LO_TRY(copy_scalar(p, event, &(*child)->name));
    return check_name(p, event, map, (*child)->name);
}

/* The children of a list or map, up to its end. */
static lo_status read_children(parsing *p, int depth, lo_node *node)
{
    lo_status status = LO_OK;
    while (status == LO_OK) {
        yaml_event_t event;
        LO_TRY(next_event(p, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        lo_node *child = NULL;
        if (node->kind == LO_NODE_MAP) {
            status = read_name(p, &event, node, &child);
            yaml_event_delete(&event);
            LO_TRY(status);
            LO_TRY(next_event(p, &event));
        } else {
            child = add_child(node);
        }
        status = child != NULL ? read_node(p, &event, depth + 1, child) : no_memory(p);
        yaml_event_delete(&event);
    }
    return status;
}

static lo_status read_node(parsing *p, const yaml_event_t *event, int depth, lo_node *node)
{
    const lo_place place = place_at(p, event->start_mark);
    node->line = (int)event->start_mark.line + 1;
    if (depth > MAX_DEPTH) {
        return lo_fail_at(p->err, place, "found nesting deeper than %d; not allowed", MAX_DEPTH);
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        node->kind = LO_NODE_SCALAR;
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        return copy_scalar(p, event, &node->text);
    case YAML_SEQUENCE_START_EVENT:
        node->kind = LO_NODE_LIST;
        LO_TRY(refuse_extras(p, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
        return read_children(p, depth, node);
    case YAML_MAPPING_START_EVENT:
        node->kind = LO_NODE_MAP;
        LO_TRY(refuse_extras(p, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
        return read_children(p, depth, node);
    case YAML_ALIAS_EVENT:
        return lo_fail_at(
            p->err, place,
            "found the alias '*%.60s'; anchors and aliases are not allowed: write the value out",
            (const char *)event->data.alias.anchor);
    default:
        return lo_fail_at(p->err, place, "found an unexpected YAML event");
    }
}

/* The documents of the stream, of which there may be one. */
static lo_status read_stream(parsing *p, lo_node *root)
{
    int documents = 0;
    bool ended = false;
    lo_status status = LO_OK;
    while (status == LO_OK && !ended) {
        yaml_event_t event;
        LO_TRY(next_event(p, &event));
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            ended = true;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (++documents > 1) {
                status = lo_fail_at(p->err, place_at(p, event.start_mark),
                                    "found a second YAML document; allowed: one");
            }
            break;
        default:
            status = read_node(p, &event, 0, root);
        }
        yaml_event_delete(&event);
    }
    return status;
}

lo_status lo_tree_parse(const char *text, size_t size, const char *name, bool numbered, lo_node *root,
                        lo_error *err)
{
    parsing p = {.text = text, .size = size, .name = name, .numbered = numbered, .err = err};
    *root = (lo_node){.kind = LO_NODE_SCALAR, .line = 1, .plain = true};
    if (yaml_parser_initialize(&p.parser) == 0) {
        return no_memory(&p);
    }
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)text, size);
    lo_status status = read_stream(&p, root);
    yaml_parser_delete(&p.parser);
    if (status == LO_OK && root->kind == LO_NODE_SCALAR && root->text == NULL) {
        root->text = strdup("");
        status = root->text != NULL ? LO_OK : no_memory(&p);
    }
    return status;
}

void lo_tree_free(lo_node *node)
{
    for (int64_t i = 0; i < node->count; i++) {
        lo_tree_free(&node->child[i]);
    }
    free(node->child);
    free(node->name);
    free(node->text);
    *node = (lo_node){0};
}

bool lo_node_is_null(const lo_node *node)
{
    return node->kind == LO_NODE_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0);
}

const char *lo_node_show(const lo_node *node, char *buffer, size_t size)
{
    if (node->kind != LO_NODE_SCALAR) {
        (void)snprintf(buffer, size, node->kind == LO_NODE_LIST ? "a list" : "a map");
    } else if (lo_node_is_null(node)) {
        (void)snprintf(buffer, size, "nothing");
    } else {
        (void)snprintf(buffer, size, node->plain ? "'%.80s'%s" : "the quoted text '%.80s'%s", node->text,
                       strlen(node->text) > 80 ? "..." : "");
        for (char *c = buffer; *c != '\0'; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f) {
                *c = '?';
            }
        }
    }
    return buffer;
}
