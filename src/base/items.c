#include "base/items.h"

#include "base/tree.h"
#include "base/value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lo_item {
    const char *file, *path; /* for errors; the list's */
    bool numbered;
    const lo_node *node; /* a scalar, or a map with the key name */
    const char *name;
    const lo_setting *table; /* of lo_item_accept */
    int count;
    const lo_default *own; /* [own_count]: of lo_item_accept_with */
    int own_count;
    lo_value *value;   /* [count] */
    bool *given;       /* [count] */
    lo_items **inner;  /* [count]: of LO_SETTING_ITEMS, else NULL */
    lo_node change;    /* a copy's own setting, ... */
    char *changed;     /* ... its name; NULL: it is no copy */
    const lo_item *of; /* what it is a copy of */
};

struct lo_items {
    char *file, *path;
    bool numbered;
    lo_node root;
    const lo_node *list; /* root, or, of inner lists, a node of another tree */
    int64_t count;
    lo_item *item; /* [count] */
};

/* ---- one setting, as if it were a key of the job file ---- */

static const lo_key_type key_types[] = {
    [LO_SETTING_INT] = LO_KEY_INT,     [LO_SETTING_REAL] = LO_KEY_REAL,     [LO_SETTING_BOOL] = LO_KEY_BOOL,
    [LO_SETTING_TEXT] = LO_KEY_TEXT,   [LO_SETTING_CHOICE] = LO_KEY_CHOICE, [LO_SETTING_INTS] = LO_KEY_INTS,
    [LO_SETTING_REALS] = LO_KEY_REALS, [LO_SETTING_TEXTS] = LO_KEY_TEXTS,   [LO_SETTING_ITEMS] = LO_KEY_ITEMS,
};

/* path is room for the text that stands for the setting in errors. */
static lo_key key_of(const lo_item *item, const lo_setting *setting, char *path, size_t size)
{
    const bool any = setting->low == 0 && setting->high == 0;
    (void)snprintf(path, size, "%s: %s: %s", item->path, item->name, setting->name);
    return (lo_key){.path = path,
                    .type = key_types[setting->type],
                    .low = any ? -INFINITY : setting->low,
                    .high = any ? INFINITY : setting->high,
                    .choices = setting->type == LO_SETTING_CHOICE ? setting->choices : NULL};
}

static lo_place place_of(const lo_item *item, const lo_node *node)
{
    return (lo_place){item->file != NULL ? item->file : "the job", item->numbered ? node->line : 0};
}

/* One number, one text stands for a list of one. */
static bool stands_for_list(lo_setting_type type, const lo_node *node)
{
    return (type == LO_SETTING_INTS || type == LO_SETTING_REALS || type == LO_SETTING_TEXTS) &&
           node->kind == LO_NODE_SCALAR && !lo_node_is_null(node);
}

static lo_status convert(const lo_item *item, const lo_setting *setting, const lo_node *node, lo_place place,
                         lo_value *value, lo_error *err)
{
    char path[256];
    const lo_reading reading = {place.name, err};
    const lo_key key = key_of(item, setting, path, sizeof(path));
    lo_node alone = *node; /* shares what the node owns */
    alone.name = NULL;
    const lo_node list = {.kind = LO_NODE_LIST, .line = node->line, .child = &alone, .count = 1};
    const bool one = stands_for_list(setting->type, node);
    LO_TRY(lo_value_convert(&reading, &key, place, one ? &list : node, value));
    value->canonical = lo_value_text(&key, value);
    return value->canonical != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for settings");
}

/* A default; that it does not fit the table is a programming error. */
static lo_status convert_default(const lo_item *item, const lo_setting *setting, const char *text,
                                 lo_value *value, lo_error *err)
{
    lo_node node = {0};
    lo_error why = {{0}};
    lo_status status = lo_tree_parse(text, strlen(text), "default", false, &node, &why);
    if (status == LO_OK) {
        status = convert(item, setting, &node, (lo_place){"default", 0}, value, &why);
    }
    lo_tree_free(&node);
    if (status == LO_USAGE) {
        (void)fprintf(stderr, "lo_item: %s\n", why.text);
        abort();
    }
    return status == LO_OK ? LO_OK : lo_fail(err, status, "%s", why.text);
}

/* ---- lists ---- */

static const lo_node *child_named(const lo_node *map, const char *name)
{
    for (int64_t i = 0; map->kind == LO_NODE_MAP && i < map->count; i++) {
        if (strcmp(map->child[i].name, name) == 0) {
            return &map->child[i];
        }
    }
    return NULL;
}

static lo_status make_item(const lo_items *items, const lo_node *node, lo_item *item, lo_error *err)
{
    *item = (lo_item){.file = items->file, .path = items->path, .numbered = items->numbered, .node = node};
    const lo_node *name = node->kind == LO_NODE_SCALAR ? node : child_named(node, "name");
    if (name == NULL || name->kind != LO_NODE_SCALAR || lo_node_is_null(name) || name->text[0] == '\0') {
        char found[128];
        return lo_fail_at(err, place_of(item, node),
                          "%s: found %s; allowed: a name, or a map {name: NAME, ...}", items->path,
                          node->kind == LO_NODE_MAP ? "a map without a name"
                                                    : lo_node_show(node, found, sizeof(found)));
    }
    item->name = name->text;
    return LO_OK;
}

static lo_status make_items(lo_items *items, lo_error *err)
{
    const lo_node *list = items->list;
    const bool none = lo_node_is_null(list);
    items->item = calloc((size_t)list->count + 1, sizeof(*items->item));
    if (items->item == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %s", items->path);
    }
    if (list->kind != LO_NODE_LIST && !none) {
        const lo_item whole = {.file = items->file, .numbered = items->numbered};
        char found[128];
        return lo_fail_at(err, place_of(&whole, list), "%s: found %s; allowed: a list", items->path,
                          lo_node_show(list, found, sizeof(found)));
    }
    for (int64_t i = 0; i < list->count && !none; i++) {
        LO_TRY(make_item(items, &list->child[i], &items->item[i], err));
        items->count++;
    }
    return LO_OK;
}

static lo_items *new_items(const char *file, const char *path)
{
    lo_items *items = calloc(1, sizeof(*items));
    if (items == NULL) {
        return NULL;
    }
    items->numbered = file != NULL;
    items->list = &items->root;
    items->file = file != NULL ? strdup(file) : NULL;
    items->path = strdup(path);
    if (items->path == NULL || (file != NULL && items->file == NULL)) {
        lo_items_destroy(&items);
    }
    return items;
}

lo_status lo_items_parse(const char *text, const char *file, const char *path, lo_items **out, lo_error *err)
{
    lo_items *items = new_items(file, path);
    *out = NULL;
    if (items == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %s", path);
    }
    lo_status status =
        lo_tree_parse(text, strlen(text), file != NULL ? file : path, items->numbered, &items->root, err);
    if (status == LO_OK) {
        status = make_items(items, err);
    }
    if (status != LO_OK) {
        lo_items_destroy(&items);
    }
    *out = items;
    return status;
}

lo_status lo_items_read(const lo_job *job, const char *path, lo_items **out, lo_error *err)
{
    const char *file = NULL;
    const char *text = lo_job_layers(job, path, &file);
    return lo_items_parse(text, file, path, out, err);
}

/* A list within an item: its nodes are the item's. */
static lo_status inner_items(const lo_item *item, const lo_setting *setting, const lo_node *list,
                             lo_items **out, lo_error *err)
{
    char path[256];
    (void)key_of(item, setting, path, sizeof(path));
    *out = new_items(item->numbered ? item->file : NULL, path);
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %s", path);
    }
    (*out)->list = list;
    if (list->kind == LO_NODE_SCALAR && !lo_node_is_null(list)) { /* a name without brackets */
        (*out)->item = calloc(1, sizeof(*(*out)->item));
        if ((*out)->item == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for %s", path);
        }
        (*out)->count = 1;
        return make_item(*out, list, (*out)->item, err);
    }
    return make_items(*out, err);
}

static void forget_settings(lo_item *item)
{
    for (int s = 0; s < item->count; s++) {
        lo_value_clear(&item->value[s]);
        lo_items_destroy(&item->inner[s]);
    }
    free(item->value);
    free(item->given);
    free(item->inner);
    item->value = NULL;
    item->given = NULL;
    item->inner = NULL;
    item->count = 0;
}

void lo_items_destroy(lo_items **items)
{
    if (*items == NULL) {
        return;
    }
    for (int64_t i = 0; i < (*items)->count; i++) {
        forget_settings(&(*items)->item[i]);
    }
    lo_tree_free(&(*items)->root);
    free((*items)->item);
    free((*items)->file);
    free((*items)->path);
    free(*items);
    *items = NULL;
}

int64_t lo_items_count(const lo_items *items)
{
    return items->count;
}

lo_item *lo_items_at(const lo_items *items, int64_t i)
{
    if (i < 0 || i >= items->count) {
        (void)fprintf(stderr, "lo_items: %s has no element %lld\n", items->path, (long long)i);
        abort();
    }
    return &items->item[i];
}

const char *lo_item_name(const lo_item *item)
{
    return item->name;
}

/* ---- settings ---- */

static const lo_node *node_of(const lo_item *item, const char *name)
{
    for (; item->changed != NULL; item = item->of) {
        if (strcmp(item->changed, name) == 0) {
            return &item->change;
        }
    }
    return child_named(item->node, name);
}

static int find(const lo_setting *table, int count, const char *name)
{
    for (int s = 0; s < count; s++) {
        if (strcmp(table[s].name, name) == 0) {
            return s;
        }
    }
    return -1;
}

/* The nearest setting to a name, by edit distance; NULL: none is near. */
static const char *nearest(const lo_setting *table, int count, const char *name)
{
    int best = -1, distance = 0;
    for (int s = 0; s < count; s++) {
        const int d = lo_edit_distance(name, table[s].name);
        if (lo_edit_near(name, table[s].name, d) && (best < 0 || d < distance)) {
            best = s;
            distance = d;
        }
    }
    return best >= 0 ? table[best].name : NULL;
}

static lo_status refuse_unknown(const lo_item *item, const lo_node *node, const char *name,
                                const lo_setting *table, int count, lo_error *err)
{
    const char *near = nearest(table, count, name);
    char names[1024] = "";
    for (int s = 0; s < count; s++) {
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof(names) - used, "%s%s", s > 0 ? " " : "", table[s].name);
    }
    return lo_fail_at(err, place_of(item, node), "%s: %s: no setting %.100s%s%s%s; allowed: %s", item->path,
                      item->name, name, near != NULL ? " (nearest: " : "", near != NULL ? near : "",
                      near != NULL ? ")" : "", count > 0 ? names : "none");
}

static lo_status check_names(const lo_item *item, const lo_setting *table, int count, lo_error *err)
{
    for (int64_t i = 0; item->node->kind == LO_NODE_MAP && i < item->node->count; i++) {
        const lo_node *child = &item->node->child[i];
        if (strcmp(child->name, "name") != 0 && find(table, count, child->name) < 0) {
            return refuse_unknown(item, child, child->name, table, count, err);
        }
    }
    return LO_OK;
}

/* An inner list: as it was given, or the default. */
static lo_status accept_list(lo_item *item, int s, const lo_node *node, lo_error *err)
{
    const lo_setting *setting = &item->table[s];
    char path[256];
    (void)key_of(item, setting, path, sizeof(path));
    return node != NULL ? inner_items(item, setting, node, &item->inner[s], err)
                        : lo_items_parse(setting->fallback, NULL, path, &item->inner[s], err);
}

/* NULL: the table's. */
static const char *own_default(const lo_item *item, const char *name)
{
    for (int i = 0; i < item->own_count; i++) {
        if (strcmp(item->own[i].name, name) == 0) {
            return item->own[i].value;
        }
    }
    return NULL;
}

static lo_status accept_one(lo_item *item, int s, lo_error *err)
{
    const lo_setting *setting = &item->table[s];
    const lo_node *node = node_of(item, setting->name);
    const char *own = own_default(item, setting->name);
    lo_value standard = {0};
    lo_status status = LO_OK;
    item->given[s] = node != NULL;
    if (node == NULL && setting->fallback == NULL) {
        return lo_fail_at(err, place_of(item, item->node), "%s: %s: %s is missing: %s", item->path,
                          item->name, setting->name, setting->help);
    }
    if (setting->fallback != NULL && setting->fallback[0] != '\0') {
        status = convert_default(item, setting, setting->fallback, &standard, err);
    }
    if (status == LO_OK && node != NULL) {
        const bool changed = item->changed != NULL && node == &item->change;
        const lo_place place = changed ? (lo_place){item->changed, 0} : place_of(item, node);
        status = convert(item, setting, node, place, &item->value[s], err);
        item->value[s].standard = standard.canonical;
        standard.canonical = NULL;
    } else if (status == LO_OK && own != NULL) {
        status = convert_default(item, setting, own, &item->value[s], err);
        item->value[s].standard = standard.canonical;
        standard.canonical = NULL;
    } else if (status == LO_OK) {
        item->value[s] = standard;
        item->value[s].standard = standard.canonical != NULL ? strdup(standard.canonical) : NULL;
        standard = (lo_value){0};
    }
    lo_value_clear(&standard);
    if (status == LO_OK && setting->type == LO_SETTING_ITEMS) {
        status = accept_list(item, s, node, err);
    }
    return status;
}

lo_status lo_item_accept(lo_item *item, const lo_setting *table, int count, lo_error *err)
{
    return lo_item_accept_with(item, table, count, NULL, 0, err);
}

lo_status lo_item_accept_with(lo_item *item, const lo_setting *table, int count, const lo_default *defaults,
                              int default_count, lo_error *err)
{
    forget_settings(item);
    LO_TRY(check_names(item, table, count, err));
    item->value = calloc((size_t)count + 1, sizeof(*item->value));
    item->given = calloc((size_t)count + 1, sizeof(*item->given));
    item->inner = calloc((size_t)count + 1, sizeof(*item->inner));
    if (item->value == NULL || item->given == NULL || item->inner == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the settings of %s", item->name);
    }
    item->table = table;
    item->count = count;
    item->own = defaults;
    item->own_count = default_count;
    for (int s = 0; s < count; s++) {
        LO_TRY(accept_one(item, s, err));
    }
    return LO_OK;
}

lo_status lo_item_with(const lo_item *item, const char *name, const char *value, lo_item **out, lo_error *err)
{
    lo_item *copy = calloc(1, sizeof(*copy));
    lo_status status = LO_OK;
    *out = NULL;
    if (copy == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the settings of %s", item->name);
    }
    *copy = (lo_item){.file = item->file,
                      .path = item->path,
                      .numbered = item->numbered,
                      .node = item->node,
                      .name = item->name,
                      .changed = strdup(name),
                      .of = item};
    if (copy->changed == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the settings of %s", item->name);
    } else if (find(item->table, item->count, name) < 0) {
        status = refuse_unknown(item, item->node, name, item->table, item->count, err);
    } else {
        status = lo_tree_parse(value, strlen(value), name, false, &copy->change, err);
    }
    if (status == LO_OK) {
        status = lo_item_accept_with(copy, item->table, item->count, item->own, item->own_count, err);
    }
    if (status != LO_OK) {
        lo_item_free(&copy);
    }
    *out = copy;
    return status;
}

void lo_item_free(lo_item **copy)
{
    if (*copy != NULL) {
        forget_settings(*copy);
        lo_tree_free(&(*copy)->change);
        free((*copy)->changed);
        free(*copy);
        *copy = NULL;
    }
}

/* ---- answers ---- */

/* The number of a setting of one of two types; anything else is a programming error. */
static int setting_at(const lo_item *item, const char *name, lo_setting_type type, lo_setting_type or_type)
{
    const int s = find(item->table, item->count, name);
    if (s < 0 || (item->table[s].type != type && item->table[s].type != or_type)) {
        (void)fprintf(stderr, "lo_item: %s has no setting %s of the type that is asked for\n", item->name,
                      name);
        abort();
    }
    return s;
}

static const lo_value *element_at(const lo_item *item, const char *name, lo_setting_type type, int64_t i)
{
    const lo_value *value = &item->value[setting_at(item, name, type, type)];
    if (i < 0 || i >= value->count) {
        (void)fprintf(stderr, "lo_item: %s of %s has %lld elements, no number %lld\n", name, item->name,
                      (long long)value->count, (long long)i);
        abort();
    }
    return value;
}

bool lo_item_given(const lo_item *item, const char *name)
{
    const int s = find(item->table, item->count, name);
    return s >= 0 && item->given[s];
}

int64_t lo_item_int(const lo_item *item, const char *name)
{
    return item->value[setting_at(item, name, LO_SETTING_INT, LO_SETTING_INT)].integer;
}

double lo_item_real(const lo_item *item, const char *name)
{
    const int s = setting_at(item, name, LO_SETTING_REAL, LO_SETTING_INT);
    return item->table[s].type == LO_SETTING_INT ? (double)item->value[s].integer : item->value[s].real;
}

bool lo_item_bool(const lo_item *item, const char *name)
{
    return item->value[setting_at(item, name, LO_SETTING_BOOL, LO_SETTING_BOOL)].integer != 0;
}

const char *lo_item_text(const lo_item *item, const char *name)
{
    const char *text = item->value[setting_at(item, name, LO_SETTING_TEXT, LO_SETTING_CHOICE)].text;
    return text != NULL ? text : "";
}

int64_t lo_item_length(const lo_item *item, const char *name)
{
    const int s = find(item->table, item->count, name);
    if (s < 0 || item->table[s].type < LO_SETTING_INTS) {
        (void)fprintf(stderr, "lo_item: %s has no list %s\n", item->name, name);
        abort();
    }
    return item->inner[s] != NULL ? lo_items_count(item->inner[s]) : item->value[s].count;
}

int64_t lo_item_int_at(const lo_item *item, const char *name, int64_t i)
{
    return element_at(item, name, LO_SETTING_INTS, i)->ints[i];
}

double lo_item_real_at(const lo_item *item, const char *name, int64_t i)
{
    return element_at(item, name, LO_SETTING_REALS, i)->reals[i];
}

const char *lo_item_text_at(const lo_item *item, const char *name, int64_t i)
{
    return element_at(item, name, LO_SETTING_TEXTS, i)->texts[i];
}

lo_item *lo_item_inner(const lo_item *item, const char *name, int64_t i)
{
    (void)element_at(item, name, LO_SETTING_ITEMS, i);
    return lo_items_at(item->inner[find(item->table, item->count, name)], i);
}

char *lo_item_canonical(const lo_item *item)
{
    char *text = NULL;
    size_t size = 0;
    bool any = false;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    for (int s = 0; s < item->count; s++) {
        const lo_value *v = &item->value[s];
        if (v->canonical != NULL && (v->standard == NULL || strcmp(v->canonical, v->standard) != 0)) {
            (void)fprintf(stream, "%s%s, %s: %s", any ? "" : "{name: ", any ? "" : item->name,
                          item->table[s].name, v->canonical);
            any = true;
        }
    }
    (void)fputs(any ? "}" : item->name, stream);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

lo_status lo_item_fail(const lo_item *item, lo_error *err, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return lo_fail_at(err, place_of(item, item->node), "%s: %s: %s", item->path, item->name, text);
}
