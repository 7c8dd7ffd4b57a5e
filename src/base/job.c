#include "base/job.h"

#include "base/file.h"
#include "base/json.h"
#include "base/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_FILE = 64 << 20, /* bytes of a job file or of a file of numbers */
    MAX_PATH = 256       /* bytes of a key's path */
};

/* What a key holds. Which members are used depends on the key's type. */
typedef struct value {
    bool given;      /* in the file or by an override, not by default */
    int64_t integer; /* INT, BOOL */
    double real;
    char *text;      /* TEXT, CHOICE */
    int64_t count;   /* of ints or texts */
    int64_t *ints;   /* INTS, INTS_OR_FILE */
    char **texts;    /* TEXTS, NAMES */
    char *canonical; /* as YAML, one text for equal values; NULL: there is no value */
    char *standard;  /* the default, likewise */
} value;

struct lo_job {
    value *values; /* [lo_key_count()] */
};

/* A job that is being read. */
typedef struct reader {
    lo_job *job;
    const char *file;
    lo_place *places; /* [lo_key_count()]: where each key was given last */
    lo_error *err;
} reader;

/* ---- the table ---- */

/* The number of the section that holds key i, or -1. */
static int parent_of(int i)
{
    const char *path = lo_key_at(i)->path;
    const char *dot = strrchr(path, '.');
    if (dot == NULL) {
        return -1;
    }
    char parent[MAX_PATH];
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(dot - path), path);
    return lo_key_find(parent);
}

/* Is key i the one named, or inside of it? */
static bool is_within(int i, const char *path)
{
    const char *own = lo_key_at(i)->path;
    const size_t length = strlen(path);
    return strncmp(own, path, length) == 0 && (own[length] == '\0' || own[length] == '.');
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* Is word one of the space-separated words? */
static bool in_words(const char *word, const char *words)
{
    const size_t length = strlen(word);
    for (const char *c = words + strspn(words, " "); *c != '\0'; c += strspn(c, " ")) {
        const size_t found = strcspn(c, " ");
        if (found == length && strncmp(c, word, length) == 0) {
            return true;
        }
        c += found;
    }
    return false;
}

static bool is_list(lo_key_type type)
{
    return type == LO_KEY_INTS || type == LO_KEY_TEXTS || type == LO_KEY_NAMES || type == LO_KEY_INTS_OR_FILE;
}

/* ---- values ---- */

static void clear_value(value *v)
{
    for (int64_t i = 0; v->texts != NULL && i < v->count; i++) {
        free(v->texts[i]);
    }
    free(v->texts);
    free(v->ints);
    free(v->text);
    free(v->canonical);
    free(v->standard);
    *v = (value){0};
}

static lo_status no_memory(const reader *r)
{
    return lo_fail(r->err, LO_INTERNAL, "%.400s: no memory", r->file);
}

/* "PLACE: KEY: found WHAT; allowed: ...": the error of every value that does not fit. */
static lo_status refuse(const reader *r, const lo_key *key, lo_place place, const char *found)
{
    char allowed[512];
    return lo_fail_at(r->err, place, "%s: found %s; allowed: %s", key->path, found,
                      lo_key_allowed(key, allowed, sizeof(allowed)));
}

static lo_status refuse_node(const reader *r, const lo_key *key, lo_place place, const lo_node *node)
{
    char found[128];
    return refuse(r, key, place, lo_node_show(node, found, sizeof(found)));
}

static bool in_range(const lo_key *key, double number)
{
    return (key->open_low ? number > key->low : number >= key->low) &&
           (key->open_high ? number < key->high : number <= key->high);
}

/* Is the text -?(0|[1-9][0-9]*)? No sign +, no 1e3, no 1_000, no 0x10, and no 010, which YAML 1.1 takes
 * for 8. */
static bool is_whole(const char *text)
{
    const char *digits = text + (text[0] == '-');
    const size_t length = strspn(digits, "0123456789");
    return length > 0 && digits[length] == '\0' && (digits[0] != '0' || length == 1);
}

/* Is the text [-+]?(digits[.digits] | .digits)[e[-+]digits]? So no nan, inf or hexadecimal number. */
static bool is_decimal(const char *text)
{
    const char *c = text + (text[0] == '-' || text[0] == '+');
    size_t digits = strspn(c, "0123456789");
    c += digits;
    if (*c == '.') {
        const size_t more = strspn(c + 1, "0123456789");
        c += 1 + more;
        digits += more;
    }
    if (digits > 0 && (*c == 'e' || *c == 'E')) {
        c += 1 + (c[1] == '-' || c[1] == '+');
        digits = strspn(c, "0123456789");
        c += digits;
    }
    return digits > 0 && *c == '\0';
}

/* Why a text is no whole number, where more can be said than that. */
static const char *hint_whole(const char *text)
{
    const bool digit = strpbrk(text, "0123456789") != NULL;
    return digit && (is_decimal(text) || strchr(text, '_') != NULL) ? ", not written in digits alone" : "";
}

static lo_status convert_int(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                             int64_t *out)
{
    char shown[128];
    char found[192];
    (void)lo_node_show(node, shown, sizeof(shown));
    if (node->kind != LO_NODE_SCALAR || !node->plain || !is_whole(node->text)) {
        (void)snprintf(found, sizeof(found), "%s%s", shown,
                       node->kind == LO_NODE_SCALAR && node->plain ? hint_whole(node->text) : "");
        return refuse(r, key, place, found);
    }
    errno = 0;
    *out = strtoll(node->text, NULL, 10);
    if (errno == ERANGE) {
        (void)snprintf(found, sizeof(found), "%s, beyond 64 bits", shown);
        return refuse(r, key, place, found);
    }
    return in_range(key, (double)*out) ? LO_OK : refuse_node(r, key, place, node);
}

static lo_status convert_real(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                              double *out)
{
    if (node->kind != LO_NODE_SCALAR || !node->plain || !is_decimal(node->text)) {
        return refuse_node(r, key, place, node);
    }
    *out = strtod(node->text, NULL) + 0.0; /* -0 becomes 0 */
    if (!isfinite(*out)) {
        char shown[128];
        char found[192];
        (void)snprintf(found, sizeof(found), "%s, too large", lo_node_show(node, shown, sizeof(shown)));
        return refuse(r, key, place, found);
    }
    return in_range(key, *out) ? LO_OK : refuse_node(r, key, place, node);
}

/* A choice or a name, with the nearest one for a slip of the pen. */
static lo_status check_choice(const reader *r, const lo_key *key, lo_place place, const lo_node *node)
{
    if (in_words(node->text, key->choices)) {
        return LO_OK;
    }
    char shown[128];
    char found[256];
    char near[64];
    (void)lo_node_show(node, shown, sizeof(shown));
    if (lo_nearest(node->text, key->choices, near, sizeof(near)) != NULL) {
        (void)snprintf(found, sizeof(found), "%s (nearest: %s)", shown, near);
        return refuse(r, key, place, found);
    }
    return refuse(r, key, place, shown);
}

static lo_status convert_text(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                              char **out)
{
    if (node->kind != LO_NODE_SCALAR || lo_node_is_null(node)) {
        return refuse_node(r, key, place, node);
    }
    if (key->choices != NULL) {
        LO_TRY(check_choice(r, key, place, node));
    } else if (key->type == LO_KEY_TEXT && node->text[0] == '\0') {
        return refuse(r, key, place, "an empty text");
    }
    *out = strdup(node->text);
    return *out != NULL ? LO_OK : no_memory(r);
}

/* The place of a node that stands in the same file or override as `place`. */
static lo_place place_of(lo_place place, const lo_node *node)
{
    return (lo_place){place.name, place.line > 0 ? node->line : 0};
}

static lo_status check_length(const reader *r, const lo_key *key, lo_place place, int64_t count)
{
    if (count >= key->least && (key->most == 0 || count <= key->most)) {
        return LO_OK;
    }
    char found[64];
    (void)snprintf(found, sizeof(found), "a list of %" PRId64, count);
    return refuse(r, key, place, found);
}

static lo_status convert_ints(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                              value *out)
{
    if (node->kind != LO_NODE_LIST) {
        return refuse_node(r, key, place, node);
    }
    LO_TRY(check_length(r, key, place, node->count));
    out->ints = calloc((size_t)node->count + 1, sizeof(*out->ints));
    if (out->ints == NULL) {
        return no_memory(r);
    }
    out->count = node->count;
    for (int64_t i = 0; i < node->count; i++) {
        const lo_node *child = &node->child[i];
        LO_TRY(convert_int(r, key, place_of(place, child), child, &out->ints[i]));
    }
    return LO_OK;
}

static lo_status check_once(const reader *r, const lo_key *key, lo_place place, const value *v, int64_t i)
{
    for (int64_t j = 0; j < i; j++) {
        if (strcmp(v->texts[j], v->texts[i]) == 0) {
            char found[128];
            (void)snprintf(found, sizeof(found), "'%.60s' twice", v->texts[i]);
            return refuse(r, key, place, found);
        }
    }
    return LO_OK;
}

/* Texts or names; one name may stand without brackets. */
static lo_status convert_texts(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                               value *out)
{
    const bool names = key->type == LO_KEY_NAMES;
    const bool one = names && node->kind == LO_NODE_SCALAR && !lo_node_is_null(node);
    if (node->kind != LO_NODE_LIST && !one) {
        return refuse_node(r, key, place, node);
    }
    const lo_node *children = one ? node : node->child;
    const int64_t count = one ? 1 : node->count;
    LO_TRY(check_length(r, key, place, count));
    out->texts = calloc((size_t)count + 1, sizeof(*out->texts));
    if (out->texts == NULL) {
        return no_memory(r);
    }
    out->count = count;
    for (int64_t i = 0; i < count; i++) {
        const lo_place at = place_of(place, &children[i]);
        LO_TRY(convert_text(r, key, at, &children[i], &out->texts[i]));
        if (names) {
            LO_TRY(check_once(r, key, at, out, i));
        }
    }
    return LO_OK;
}

static lo_status append_int(const reader *r, value *out, int64_t number)
{
    const size_t count = (size_t)out->count;
    if ((count & (count - 1)) == 0) {
        int64_t *larger = realloc(out->ints, (count == 0 ? 1 : 2 * count) * sizeof(*larger));
        if (larger == NULL) {
            return no_memory(r);
        }
        out->ints = larger;
    }
    out->ints[count] = number;
    out->count++;
    return LO_OK;
}

/* Whole numbers, one a line; # starts a comment. Cuts text into lines. */
static lo_status parse_numbers(const reader *r, const lo_key *key, const char *file, char *text, value *out)
{
    int line = 0;
    for (char *rest = text; rest != NULL;) {
        char *word = strsep(&rest, "\n");
        line++;
        word[strcspn(word, "#")] = '\0';
        word += strspn(word, " \t\r");
        size_t length = strlen(word);
        while (length > 0 && strchr(" \t\r", word[length - 1]) != NULL) {
            word[--length] = '\0';
        }
        if (length > 0) {
            const lo_node node = {.kind = LO_NODE_SCALAR, .text = word, .plain = true};
            int64_t number = 0;
            LO_TRY(convert_int(r, key, (lo_place){file, line}, &node, &number));
            LO_TRY(append_int(r, out, number));
        }
    }
    return check_length(r, key, (lo_place){file, 0}, out->count);
}

/* The numbers of a file whose path is relative to the job file's directory. */
static lo_status read_numbers(const reader *r, const lo_key *key, lo_place place, const char *name,
                              value *out)
{
    char copy[PATH_MAX];
    char file[PATH_MAX];
    if (strlen(r->file) >= sizeof(copy) || strlen(r->file) + strlen(name) + 2 > sizeof(file)) {
        return lo_fail_at(r->err, place, "%s: the path of the file is too long", key->path);
    }
    (void)snprintf(copy, sizeof(copy), "%s", r->file);
    (void)snprintf(file, sizeof(file), "%.*s%s%s", name[0] == '/' ? 0 : PATH_MAX, dirname(copy),
                   name[0] == '/' ? "" : "/", name);
    char *text = NULL;
    size_t size = 0;
    lo_status status = lo_file_read(file, MAX_FILE, &text, &size, r->err);
    if (status != LO_OK) {
        const lo_status code = status == LO_DATA ? LO_USAGE : status;
        return place.line > 0
                   ? lo_fail_prefix(r->err, code, "%.400s:%d: %s", place.name, place.line, key->path)
                   : lo_fail_prefix(r->err, code, "%.400s: %s", place.name, key->path);
    }
    status = strlen(text) == size ? parse_numbers(r, key, file, text, out)
                                  : lo_fail_at(r->err, (lo_place){file, 0}, "found a NUL byte; allowed: %s",
                                               "whole numbers, one a line");
    free(text);
    return status;
}

static lo_status convert_ints_or_file(const reader *r, const lo_key *key, lo_place place, const lo_node *node,
                                      value *out)
{
    if (node->kind != LO_NODE_SCALAR) {
        return convert_ints(r, key, place, node, out);
    }
    if (lo_node_is_null(node) || node->text[0] == '\0' || (node->plain && is_decimal(node->text))) {
        return refuse_node(r, key, place, node); /* a lone number is a list without brackets, not a file */
    }
    return read_numbers(r, key, place, node->text, out);
}

/* What a node means to a key, into a zeroed value; the caller clears it, after an error too. */
static lo_status convert(const reader *r, const lo_key *key, lo_place place, const lo_node *node, value *out)
{
    bool yes = false;
    switch (key->type) {
    case LO_KEY_INT:
        return convert_int(r, key, place, node, &out->integer);
    case LO_KEY_REAL:
        return convert_real(r, key, place, node, &out->real);
    case LO_KEY_BOOL:
        if (node->kind != LO_NODE_SCALAR || !node->plain || !in_words(node->text, "true false")) {
            return refuse_node(r, key, place, node);
        }
        yes = strcmp(node->text, "true") == 0;
        out->integer = yes;
        return LO_OK;
    case LO_KEY_TEXT:
    case LO_KEY_CHOICE:
        return convert_text(r, key, place, node, &out->text);
    case LO_KEY_INTS:
        return convert_ints(r, key, place, node, out);
    case LO_KEY_INTS_OR_FILE:
        return convert_ints_or_file(r, key, place, node, out);
    case LO_KEY_TEXTS:
    case LO_KEY_NAMES:
        return convert_texts(r, key, place, node, out);
    case LO_KEY_SECTION:
        break;
    }
    return refuse_node(r, key, place, node);
}

/* ---- values as text ---- */

/* Can a text stand without quotes, for every reader of YAML? Part of the digests: never loosen or tighten it.
 */
static bool is_plain(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+";
    static const char *const special[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    if (text[0] == '\0' || (text[0] != '/' && strchr(letters, text[0]) == NULL) ||
        text[strspn(text, rest)] != '\0') {
        return false;
    }
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (strcasecmp(text, special[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* Characters that YAML takes for line breaks or does not allow. */
static bool needs_escape(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0xa0) || point == 0x2028 || point == 0x2029 ||
           point == 0xfeff || point == 0xfffe || point == 0xffff;
}

static void write_text(FILE *stream, const char *text)
{
    if (is_plain(text)) {
        (void)fputs(text, stream);
        return;
    }
    (void)fputc('"', stream);
    while (*text != '\0') {
        uint32_t point = 0;
        const int length = lo_utf8_length(text, &point);
        if (length > 0 && needs_escape(point)) {
            (void)fprintf(stream, "\\u%04" PRIx32, point);
        } else if (point == '"' || point == '\\') {
            (void)fprintf(stream, "\\%c", (int)point);
        } else {
            (void)fwrite(text, 1, length > 0 ? (size_t)length : 1, stream);
        }
        text += length > 0 ? length : 1;
    }
    (void)fputc('"', stream);
}

static void write_list(FILE *stream, const value *v)
{
    (void)fputc('[', stream);
    for (int64_t i = 0; i < v->count; i++) {
        (void)fputs(i > 0 ? ", " : "", stream);
        if (v->texts != NULL) {
            write_text(stream, v->texts[i]);
        } else {
            (void)fprintf(stream, "%" PRId64, v->ints[i]);
        }
    }
    (void)fputc(']', stream);
}

static void write_value(FILE *stream, const lo_key *key, const value *v)
{
    char number[32];
    switch (key->type) {
    case LO_KEY_SECTION:
        break;
    case LO_KEY_INT:
        (void)fprintf(stream, "%" PRId64, v->integer);
        break;
    case LO_KEY_REAL:
        lo_real_text(v->real, number);
        (void)fputs(number, stream);
        break;
    case LO_KEY_BOOL:
        (void)fputs(v->integer != 0 ? "true" : "false", stream);
        break;
    case LO_KEY_TEXT:
    case LO_KEY_CHOICE:
        write_text(stream, v->text);
        break;
    case LO_KEY_INTS:
    case LO_KEY_INTS_OR_FILE:
    case LO_KEY_TEXTS:
    case LO_KEY_NAMES:
        write_list(stream, v);
        break;
    }
}

/* The value as YAML, the same text for equal values; malloc'ed, NULL without memory. */
static char *canonical_text(const lo_key *key, const value *v)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    write_value(stream, key, v);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- reading ---- */

/* How good a proposal key i is for an unknown name inside `section` ("" at the top), or INT_MAX: edits count
 * two, another section one. */
static int proposal_cost(int i, const char *section, const char *name)
{
    const lo_key *key = lo_key_at(i);
    const char *last = last_part(key->path);
    const size_t prefix = last == key->path ? 0 : (size_t)(last - key->path) - 1;
    const bool here = strlen(section) == prefix && strncmp(section, key->path, prefix) == 0;
    const int edits = lo_edit_distance(name, last);
    int cost = lo_edit_near(name, last, edits) ? 2 * edits + !here : INT_MAX;
    if (strchr(name, '.') != NULL) { /* train.epochs, written as one name */
        const int whole = lo_edit_distance(name, key->path);
        if (lo_edit_near(name, key->path, whole) && 2 * whole < cost) {
            cost = 2 * whole;
        }
    }
    return cost;
}

static const char *nearest_path(const char *section, const char *name)
{
    int best = INT_MAX;
    const char *path = NULL;
    for (int i = 0; i < lo_key_count(); i++) {
        const int cost = proposal_cost(i, section, name);
        if (cost < best) {
            best = cost;
            path = lo_key_at(i)->path;
        }
    }
    return path;
}

/* "seed, data, model": the keys that a section holds. */
static void list_keys(const char *section, char *text, size_t size)
{
    const size_t length = strlen(section);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < lo_key_count(); i++) {
        const char *path = lo_key_at(i)->path;
        const char *last = last_part(path);
        const bool here =
            length == 0 ? last == path : last == path + length + 1 && strncmp(path, section, length) == 0;
        if (here && used < size) {
            const int wrote = snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", last);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static lo_status refuse_unknown(const reader *r, lo_place place, const char *section, const char *name)
{
    char allowed[512];
    if (strchr(name, '.') != NULL && lo_key_find(name) >= 0) {
        return lo_fail_at(r->err, place, "%s: found as one name; allowed: maps, as in `train: {epochs: 10}`",
                          name);
    }
    list_keys(section, allowed, sizeof(allowed));
    const char *nearest = nearest_path(section, name);
    const char *dot = section[0] != '\0' ? "." : "";
    if (nearest != NULL) {
        return lo_fail_at(r->err, place, "%s%s%.80s: unknown key; the nearest is %s; allowed here: %s",
                          section, dot, name, nearest, allowed);
    }
    return lo_fail_at(r->err, place, "%s%s%.80s: unknown key; allowed here: %s", section, dot, name, allowed);
}

/* Gives key i the value of a node; a section the values of its keys. */
static lo_status assign(reader *r, int i, lo_place place, const lo_node *node)
{
    const lo_key *key = lo_key_at(i);
    value *v = &r->job->values[i];
    if (key->type != LO_KEY_SECTION) {
        value fresh = {.given = true};
        const lo_status status = convert(r, key, place, node, &fresh);
        clear_value(status == LO_OK ? v : &fresh);
        if (status == LO_OK) {
            *v = fresh;
            r->places[i] = place;
        }
        return status;
    }
    if (node->kind != LO_NODE_MAP) {
        return refuse_node(r, key, place, node);
    }
    v->given = true;
    r->places[i] = place;
    for (int64_t k = 0; k < node->count; k++) {
        const lo_node *child = &node->child[k];
        const lo_place at = {place.name, place.line > 0 ? child->name_line : 0};
        char path[MAX_PATH];
        (void)snprintf(path, sizeof(path), "%s.%s", key->path, child->name);
        const int found = strchr(child->name, '.') == NULL ? lo_key_find(path) : -1;
        if (found < 0) {
            return refuse_unknown(r, at, key->path, child->name);
        }
        LO_TRY(assign(r, found, at, child));
    }
    return LO_OK;
}

static lo_status read_text(reader *r, const char *text, size_t size)
{
    lo_node root = {0};
    lo_status status = lo_tree_parse(text, size, r->file, true, &root, r->err);
    const lo_place start = {r->file, root.line};
    if (status == LO_OK && root.kind != LO_NODE_MAP) {
        char found[128];
        char allowed[512];
        list_keys("", allowed, sizeof(allowed));
        status = lo_fail_at(r->err, start, "found %s; allowed: a map of the keys %s",
                            lo_node_show(&root, found, sizeof(found)), allowed);
    }
    for (int64_t k = 0; status == LO_OK && k < root.count; k++) {
        const lo_node *child = &root.child[k];
        const lo_place place = {r->file, child->name_line};
        const int i = strchr(child->name, '.') == NULL ? lo_key_find(child->name) : -1;
        status = i >= 0 ? assign(r, i, place, child) : refuse_unknown(r, place, "", child->name);
    }
    lo_tree_free(&root);
    return status;
}

/* An override's key: marks the sections that hold it as given, or takes it out. */
static lo_status override_key(reader *r, int i, lo_place place, const lo_node *node)
{
    if (lo_node_is_null(node) && node->text[0] != '\0') {
        for (int k = 0; k < lo_key_count(); k++) {
            if (is_within(k, lo_key_at(i)->path)) {
                clear_value(&r->job->values[k]);
            }
        }
        return LO_OK;
    }
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        if (!r->job->values[parent].given) {
            r->job->values[parent].given = true;
            r->places[parent] = place;
        }
    }
    return assign(r, i, place, node);
}

/* Names an override in errors. All of them are kept until the job is read, for the places of its keys. */
static lo_status apply_override(reader *r, const char *text, const char *name)
{
    const lo_place place = {name, 0};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals - text >= MAX_PATH) {
        return lo_fail_at(r->err, place, "found no KEY=VALUE; allowed: such as --set train.epochs=20");
    }
    char path[MAX_PATH];
    (void)snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text);
    const int i = lo_key_find(path);
    if (i < 0) {
        /* The longest part of the path that is a section says what is allowed there. */
        for (char *dot = strrchr(path, '.'); dot != NULL; dot = strrchr(path, '.')) {
            *dot = '\0';
            const int section = lo_key_find(path);
            if (section >= 0 && lo_key_at(section)->type == LO_KEY_SECTION) {
                char rest[MAX_PATH];
                (void)snprintf(rest, sizeof(rest), "%.*s", (int)(equals - text) - (int)(dot - path) - 1,
                               text + (dot - path) + 1);
                return refuse_unknown(r, place, path, rest);
            }
        }
        (void)snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text);
        return refuse_unknown(r, place, "", path);
    }
    lo_node node = {0};
    lo_status status = lo_tree_parse(equals + 1, strlen(equals + 1), name, false, &node, r->err);
    if (status == LO_OK) {
        status = override_key(r, i, place, &node);
    }
    lo_tree_free(&node);
    return status;
}

/* A default of the table, as a job file would give it. */
static lo_status convert_fallback(const reader *r, const lo_key *key, value *out)
{
    lo_node node = {0};
    const lo_place place = {"default", 0};
    lo_status status = lo_tree_parse(key->fallback, strlen(key->fallback), place.name, false, &node, r->err);
    if (status == LO_OK) {
        status = convert(r, key, place, &node, out);
    }
    lo_tree_free(&node);
    return status;
}

/* Fills a key's default in and writes both texts. */
static lo_status complete_value(const reader *r, const lo_key *key, value *v)
{
    value fallback = {0};
    lo_status status = LO_OK;
    char *standard = NULL;
    if (key->fallback != NULL) {
        LO_TRY_GOTO(status, convert_fallback(r, key, &fallback), done);
        standard = canonical_text(key, &fallback);
        if (standard == NULL) {
            status = no_memory(r);
            goto done;
        }
        if (!v->given) {
            clear_value(v);
            *v = fallback;
            fallback = (value){0};
        }
    }
    v->standard = standard;
    if (v->given || standard != NULL) {
        v->canonical = canonical_text(key, v);
        status = v->canonical != NULL ? LO_OK : no_memory(r);
    }
done:
    clear_value(&fallback);
    return status;
}

static lo_status complete(reader *r)
{
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        value *v = &r->job->values[i];
        if (key->type != LO_KEY_SECTION) {
            LO_TRY(complete_value(r, key, v));
        } else if (key->fallback != NULL && key->fallback[0] != '\0') {
            v->given = true;
        }
    }
    return LO_OK;
}

/* Does key i apply, as far as the key that decides so is concerned? */
static bool applies(const lo_job *job, int i)
{
    const char *only = lo_key_at(i)->only;
    if (only == NULL) {
        return true;
    }
    const size_t length = strcspn(only, " ");
    char path[MAX_PATH];
    (void)snprintf(path, sizeof(path), "%.*s", (int)length, only);
    const char *chosen = job->values[lo_key_find(path)].text;
    return chosen != NULL && in_words(chosen, only + length);
}

/* Has key i a value that means something: its section is there, it applies, it was given or has a default? */
static bool in_effect(const lo_job *job, int i)
{
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        if (!job->values[parent].given) {
            return false;
        }
    }
    return job->values[i].canonical != NULL && applies(job, i);
}

/* Keys that are missing, and keys that do not apply. */
static lo_status check_presence(const reader *r, int i)
{
    const lo_key *key = lo_key_at(i);
    const lo_job *job = r->job;
    const int parent = parent_of(i);
    if (parent >= 0 && !job->values[parent].given) {
        return LO_OK;
    }
    if (job->values[i].given && !applies(job, i)) {
        const size_t length = strcspn(key->only, " ");
        char path[MAX_PATH];
        (void)snprintf(path, sizeof(path), "%.*s", (int)length, key->only);
        return lo_fail_at(r->err, r->places[i], "%s: found with %s: %s; allowed only with %s: %s", key->path,
                          path, job->values[lo_key_find(path)].text, path, key->only + length + 1);
    }
    if (!job->values[i].given && key->fallback == NULL && applies(job, i)) {
        char allowed[512];
        const lo_place place = parent >= 0 ? r->places[parent] : (lo_place){r->file, 0};
        return lo_fail_at(r->err, place, "%s: is missing; allowed: %s. %s", key->path,
                          lo_key_allowed(key, allowed, sizeof(allowed)), key->help);
    }
    return LO_OK;
}

static int compare_ints(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static lo_status check_distinct(const reader *r, const char *path)
{
    const int i = lo_key_find(path);
    const value *v = &r->job->values[i];
    if (v->count < 2) {
        return LO_OK;
    }
    int64_t *sorted = malloc((size_t)v->count * sizeof(*sorted));
    if (sorted == NULL) {
        return no_memory(r);
    }
    memcpy(sorted, v->ints, (size_t)v->count * sizeof(*sorted));
    qsort(sorted, (size_t)v->count, sizeof(*sorted), compare_ints);
    lo_status status = LO_OK;
    for (int64_t k = 1; k < v->count && status == LO_OK; k++) {
        if (sorted[k] == sorted[k - 1]) {
            status = lo_fail_at(r->err, r->places[i],
                                "%s: found %" PRId64 " twice; allowed: each number once", path, sorted[k]);
        }
    }
    free(sorted);
    return status;
}

/* Rules that take more than one key. Those that need the data are checked where the data are. */
static lo_status check_rules(const reader *r)
{
    static const char *const from_ensemble[] = {"scores", "influence"};
    for (int i = 0; i < lo_key_count(); i++) {
        LO_TRY(check_presence(r, i));
    }
    for (size_t k = 0; k < sizeof(from_ensemble) / sizeof(from_ensemble[0]); k++) {
        if (lo_job_has(r->job, from_ensemble[k]) && !lo_job_has(r->job, "ensemble")) {
            return lo_fail_at(
                r->err, r->places[lo_key_find(from_ensemble[k])],
                "%s: found without an ensemble; allowed: with the section ensemble, from which it is "
                "computed",
                from_ensemble[k]);
        }
    }
    return check_distinct(r, "ensemble.examples");
}

static lo_status apply_overrides(reader *r, const char *const *overrides, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        const size_t size = strlen(overrides[i]) + sizeof("--set ");
        names[i] = malloc(size);
        if (names[i] == NULL) {
            return no_memory(r);
        }
        (void)snprintf(names[i], size, "--set %s", overrides[i]);
        LO_TRY(apply_override(r, overrides[i], names[i]));
    }
    return LO_OK;
}

static lo_status parse(const char *text, size_t size, const char *name, const char *const *overrides,
                       int count, lo_job **out, lo_error *err)
{
    const size_t keys = (size_t)lo_key_count();
    reader r = {.file = name, .err = err};
    lo_status status = LO_OK;
    char **names = calloc((size_t)count + 1, sizeof(*names));
    *out = NULL;
    r.places = calloc(keys, sizeof(*r.places));
    r.job = calloc(1, sizeof(*r.job));
    if (r.job != NULL) {
        r.job->values = calloc(keys, sizeof(*r.job->values));
    }
    if (names == NULL || r.places == NULL || r.job == NULL || r.job->values == NULL) {
        status = no_memory(&r);
        goto done;
    }
    for (size_t i = 0; i < keys; i++) {
        r.places[i] = (lo_place){name, 0};
    }
    LO_TRY_GOTO(status, read_text(&r, text, size), done);
    LO_TRY_GOTO(status, apply_overrides(&r, overrides, count, names), done);
    LO_TRY_GOTO(status, complete(&r), done);
    LO_TRY_GOTO(status, check_rules(&r), done);
    *out = r.job;
    r.job = NULL;
done:
    lo_job_destroy(&r.job);
    for (int i = 0; names != NULL && i < count; i++) {
        free(names[i]);
    }
    free(names);
    free(r.places);
    return status;
}

lo_status lo_job_parse(const char *text, const char *name, const char *const *overrides, int override_count,
                       lo_job **out, lo_error *err)
{
    return parse(text, strlen(text), name, overrides, override_count, out, err);
}

lo_status lo_job_read(const char *file, const char *const *overrides, int override_count, lo_job **out,
                      lo_error *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    lo_status status = lo_file_read(file, MAX_FILE, &text, &size, err);
    if (status == LO_OK) {
        status = parse(text, size, file, overrides, override_count, out, err);
    }
    free(text);
    return status == LO_DATA ? LO_USAGE : status;
}

void lo_job_destroy(lo_job **job)
{
    if (job == NULL || *job == NULL) {
        return;
    }
    for (int i = 0; (*job)->values != NULL && i < lo_key_count(); i++) {
        clear_value(&(*job)->values[i]);
    }
    free((*job)->values);
    free(*job);
    *job = NULL;
}

/* ---- answers ---- */

/* The value of a path whose key has one of two types; anything else is a programming error. */
static const value *value_at(const lo_job *job, const char *path, lo_key_type type, lo_key_type or_type)
{
    const int i = lo_key_find(path);
    if (i < 0 || (lo_key_at(i)->type != type && lo_key_at(i)->type != or_type)) {
        (void)fprintf(stderr, "lo_job: the table has no %s of the type that is asked for\n", path);
        abort();
    }
    return &job->values[i];
}

static const value *list_at(const lo_job *job, const char *path, lo_key_type type, lo_key_type or_type,
                            int64_t i)
{
    const value *v = value_at(job, path, type, or_type);
    if (i < 0 || i >= v->count) {
        (void)fprintf(stderr, "lo_job: %s has %" PRId64 " elements, no number %" PRId64 "\n", path, v->count,
                      i);
        abort();
    }
    return v;
}

bool lo_job_has(const lo_job *job, const char *section)
{
    const int i = lo_key_find(section);
    if (i < 0) {
        (void)fprintf(stderr, "lo_job: the table has no section %s\n", section);
        abort();
    }
    return is_list(lo_key_at(i)->type) ? job->values[i].count > 0 : job->values[i].given;
}

int64_t lo_job_int(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_INT, LO_KEY_INT)->integer;
}

bool lo_job_bool(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_BOOL, LO_KEY_BOOL)->integer != 0;
}

double lo_job_real(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_REAL, LO_KEY_REAL)->real;
}

const char *lo_job_text(const lo_job *job, const char *path)
{
    const char *text = value_at(job, path, LO_KEY_TEXT, LO_KEY_CHOICE)->text;
    return text != NULL ? text : "";
}

int64_t lo_job_length(const lo_job *job, const char *path)
{
    const int i = lo_key_find(path);
    const lo_key_type type = i >= 0 && is_list(lo_key_at(i)->type) ? lo_key_at(i)->type : LO_KEY_INTS;
    return value_at(job, path, type, type)->count;
}

int64_t lo_job_int_at(const lo_job *job, const char *path, int64_t i)
{
    return list_at(job, path, LO_KEY_INTS, LO_KEY_INTS_OR_FILE, i)->ints[i];
}

const char *lo_job_text_at(const lo_job *job, const char *path, int64_t i)
{
    return list_at(job, path, LO_KEY_TEXTS, LO_KEY_NAMES, i)->texts[i];
}

bool lo_job_lists(const lo_job *job, const char *path, const char *name)
{
    const value *v = value_at(job, path, LO_KEY_TEXTS, LO_KEY_NAMES);
    for (int64_t i = 0; i < v->count; i++) {
        if (strcmp(v->texts[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A key's line: the help after a short value, before a long one. */
static void write_line(FILE *stream, int i, const char *text)
{
    enum { COMMENT = 36 };
    const lo_key *key = lo_key_at(i);
    int depth = 0;
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        depth++;
    }
    const char *last = last_part(key->path);
    const bool unit = key->unit != NULL && key->unit[0] != '\0';
    char help[512];
    (void)snprintf(help, sizeof(help), "# %s%s%s%s", key->help, unit ? " [" : "", unit ? key->unit : "",
                   unit ? "]" : "");
    const size_t length = 2 * (size_t)depth + strlen(last) + 2 + strlen(text);
    if (length >= COMMENT) {
        (void)fprintf(stream, "%*s%s\n%*s%s: %s\n", 2 * depth, "", help, 2 * depth, "", last, text);
    } else {
        (void)fprintf(stream, "%*s%s:%s%s%*s%s\n", 2 * depth, "", last, text[0] != '\0' ? " " : "", text,
                      COMMENT - (int)length + (text[0] == '\0'), "", help);
    }
}

char *lo_job_effective(const lo_job *job)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        const bool stage = parent_of(i) < 0 && is_list(key->type);
        if (key->type == LO_KEY_SECTION || stage) {
            if (lo_job_has(job, key->path)) {
                write_line(stream, i, stage ? job->values[i].canonical : "");
            }
        } else if (in_effect(job, i)) {
            write_line(stream, i, job->values[i].canonical);
        }
    }
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Do the results of group `group` depend on the keys of group `own`? */
static bool covers(lo_key_group group, lo_key_group own)
{
    if (own == LO_KEYS_NONE) {
        return false;
    }
    return own == group || (own < group && own <= LO_KEYS_ENSEMBLE);
}

/* Is key i one whose change makes other results of this group? */
static bool decides(const lo_job *job, int i, lo_key_group group)
{
    const lo_key *key = lo_key_at(i);
    return key->type != LO_KEY_SECTION && !key->grows && covers(group, key->group) && in_effect(job, i);
}

uint64_t lo_job_digest(const lo_job *job, lo_key_group group)
{
    uint64_t digest = LO_DIGEST_START;
    for (int i = 0; i < lo_key_count(); i++) {
        const value *v = &job->values[i];
        /* Keys at their default are left out: a version that knows more keys gives the same digest to a job
         * that does not use them. */
        if (!decides(job, i, group) || (v->standard != NULL && strcmp(v->canonical, v->standard) == 0)) {
            continue;
        }
        digest = lo_digest(digest, lo_key_at(i)->path);
        digest = lo_digest(digest, "=");
        digest = lo_digest(digest, v->canonical);
        digest = lo_digest(digest, "\n");
    }
    return digest;
}

int lo_job_differences(const lo_job *study, const lo_job *job, lo_key_group group, char *text, size_t size)
{
    int count = 0;
    size_t used = strnlen(text, size);
    for (int i = 0; i < lo_key_count(); i++) {
        if (!decides(study, i, group) || !decides(job, i, group) ||
            strcmp(study->values[i].canonical, job->values[i].canonical) == 0) {
            continue;
        }
        count++;
        if (used < size) {
            const int wrote =
                snprintf(text + used, size - used, "%s: %.200s in the study, %.200s in the job\n",
                         lo_key_at(i)->path, study->values[i].canonical, job->values[i].canonical);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
    return count;
}
