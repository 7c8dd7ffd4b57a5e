#include "base/value.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 64 << 20 }; /* bytes of a file of numbers */

bool lo_in_words(const char *word, const char *words)
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

void lo_value_clear(lo_value *v)
{
    for (int64_t i = 0; v->texts != NULL && i < v->count; i++) {
        free(v->texts[i]);
    }
    free(v->texts);
    free(v->ints);
    free(v->reals);
    free(v->text);
    free(v->file);
    free(v->canonical);
    free(v->standard);
    *v = (lo_value){0};
}

lo_status lo_fail_memory(const lo_reading *r)
{
    return lo_fail(r->err, LO_INTERNAL, "%.400s: no memory", r->file);
}

/* "PLACE: KEY: found WHAT; allowed: ...": the error of every value that does not fit. */
static lo_status refuse(const lo_reading *r, const lo_key *key, lo_place place, const char *found)
{
    char allowed[512];
    return lo_fail_at(r->err, place, "%s: found %s; allowed: %s", key->path, found,
                      lo_key_allowed(key, allowed, sizeof(allowed)));
}

lo_status lo_refuse_node(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node)
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

static lo_status convert_int(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
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
    return in_range(key, (double)*out) ? LO_OK : lo_refuse_node(r, key, place, node);
}

static lo_status convert_real(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                              double *out)
{
    if (node->kind != LO_NODE_SCALAR || !node->plain || !is_decimal(node->text)) {
        return lo_refuse_node(r, key, place, node);
    }
    *out = strtod(node->text, NULL) + 0.0; /* -0 becomes 0 */
    if (!isfinite(*out)) {
        char shown[128];
        char found[192];
        (void)snprintf(found, sizeof(found), "%s, too large", lo_node_show(node, shown, sizeof(shown)));
        return refuse(r, key, place, found);
    }
    return in_range(key, *out) ? LO_OK : lo_refuse_node(r, key, place, node);
}

/* A choice or a name, with the nearest one for a slip of the pen. */
static lo_status check_choice(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node)
{
    if (lo_in_words(node->text, key->choices)) {
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

static lo_status convert_text(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                              char **out)
{
    if (node->kind != LO_NODE_SCALAR || lo_node_is_null(node)) {
        return lo_refuse_node(r, key, place, node);
    }
    if (key->choices != NULL) {
        LO_TRY(check_choice(r, key, place, node));
    } else if (key->type == LO_KEY_TEXT && node->text[0] == '\0') {
        return refuse(r, key, place, "an empty text");
    }
    *out = strdup(node->text);
    return *out != NULL ? LO_OK : lo_fail_memory(r);
}

/* The place of a node that stands in the same file or override as `place`. */
static lo_place place_of(lo_place place, const lo_node *node)
{
    return (lo_place){place.name, place.line > 0 ? node->line : 0};
}

static lo_status check_length(const lo_reading *r, const lo_key *key, lo_place place, int64_t count)
{
    if (count >= key->least && (key->most == 0 || count <= key->most)) {
        return LO_OK;
    }
    char found[64];
    (void)snprintf(found, sizeof(found), "a list of %" PRId64, count);
    return refuse(r, key, place, found);
}

static lo_status convert_ints(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                              lo_value *out)
{
    if (node->kind != LO_NODE_LIST) {
        return lo_refuse_node(r, key, place, node);
    }
    LO_TRY(check_length(r, key, place, node->count));
    out->ints = calloc((size_t)node->count + 1, sizeof(*out->ints));
    if (out->ints == NULL) {
        return lo_fail_memory(r);
    }
    out->count = node->count;
    for (int64_t i = 0; i < node->count; i++) {
        const lo_node *child = &node->child[i];
        LO_TRY(convert_int(r, key, place_of(place, child), child, &out->ints[i]));
    }
    return LO_OK;
}

static lo_status convert_reals(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                               lo_value *out)
{
    if (node->kind != LO_NODE_LIST) {
        return lo_refuse_node(r, key, place, node);
    }
    LO_TRY(check_length(r, key, place, node->count));
    out->reals = calloc((size_t)node->count + 1, sizeof(*out->reals));
    if (out->reals == NULL) {
        return lo_fail_memory(r);
    }
    out->count = node->count;
    for (int64_t i = 0; i < node->count; i++) {
        const lo_node *child = &node->child[i];
        LO_TRY(convert_real(r, key, place_of(place, child), child, &out->reals[i]));
    }
    return LO_OK;
}

static lo_status check_once(const lo_reading *r, const lo_key *key, lo_place place, const lo_value *v,
                            int64_t i)
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
static lo_status convert_texts(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                               lo_value *out)
{
    const bool names = key->type == LO_KEY_NAMES;
    const bool one = names && node->kind == LO_NODE_SCALAR && !lo_node_is_null(node);
    if (node->kind != LO_NODE_LIST && !one) {
        return lo_refuse_node(r, key, place, node);
    }
    const lo_node *children = one ? node : node->child;
    const int64_t count = one ? 1 : node->count;
    LO_TRY(check_length(r, key, place, count));
    out->texts = calloc((size_t)count + 1, sizeof(*out->texts));
    if (out->texts == NULL) {
        return lo_fail_memory(r);
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

static lo_status append_int(const lo_reading *r, lo_value *out, int64_t number)
{
    const size_t count = (size_t)out->count;
    if ((count & (count - 1)) == 0) {
        int64_t *larger = realloc(out->ints, (count == 0 ? 1 : 2 * count) * sizeof(*larger));
        if (larger == NULL) {
            return lo_fail_memory(r);
        }
        out->ints = larger;
    }
    out->ints[count] = number;
    out->count++;
    return LO_OK;
}

/* Whole numbers, one a line; # starts a comment. Cuts text into lines. */
static lo_status parse_numbers(const lo_reading *r, const lo_key *key, const char *file, char *text,
                               lo_value *out)
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
static lo_status read_numbers(const lo_reading *r, const lo_key *key, lo_place place, const char *name,
                              lo_value *out)
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

static lo_status convert_ints_or_file(const lo_reading *r, const lo_key *key, lo_place place,
                                      const lo_node *node, lo_value *out)
{
    if (node->kind != LO_NODE_SCALAR) {
        return convert_ints(r, key, place, node, out);
    }
    if (lo_node_is_null(node) || node->text[0] == '\0' || (node->plain && is_decimal(node->text))) {
        return lo_refuse_node(r, key, place, node); /* a lone number is a list without brackets, not a file */
    }
    return read_numbers(r, key, place, node->text, out);
}

static void write_text(FILE *stream, const char *text);

/* A node in flow style, each element of a list on its line. A map of one name without value is the name. */
static void write_node(FILE *stream, const lo_node *node, int *line)
{
    for (; *line < node->line; ++*line) {
        (void)fputc('\n', stream);
    }
    if (node->kind == LO_NODE_SCALAR) {
        /* What a block may hold without quotes, a list in brackets may not. */
        if (node->plain && strpbrk(node->text, ",[]{}\n") == NULL) {
            (void)fputs(node->text, stream);
        } else {
            write_text(stream, node->text);
        }
        return;
    }
    const bool map = node->kind == LO_NODE_MAP;
    if (map && node->count == 1 && lo_node_is_null(&node->child[0])) {
        write_text(stream, node->child[0].name);
        return;
    }
    (void)fputc(map ? '{' : '[', stream);
    for (int64_t i = 0; i < node->count; i++) {
        (void)fputs(i > 0 ? ", " : "", stream);
        if (map) {
            write_text(stream, node->child[i].name);
            (void)fputs(": ", stream);
        }
        write_node(stream, &node->child[i], line);
    }
    (void)fputc(map ? '}' : ']', stream);
}

/* A list that is kept as it was written, for those who know what its elements may be. */
static lo_status convert_written(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                                 lo_value *out)
{
    const bool items = key->type == LO_KEY_ITEMS;
    const bool one = items && node->kind == LO_NODE_SCALAR && !lo_node_is_null(node); /* without brackets */
    if ((node->kind != LO_NODE_LIST && !one) || (!items && node->count == 0)) {
        return lo_refuse_node(r, key, place, node);
    }
    if (items) {
        out->count = one ? 1 : node->count;
        LO_TRY(check_length(r, key, place, out->count));
    }
    size_t size = 0;
    int line = 1;
    FILE *stream = open_memstream(&out->text, &size);
    if (stream == NULL) {
        return lo_fail_memory(r);
    }
    (void)fputs(one ? "[" : "", stream);
    write_node(stream, node, &line);
    (void)fputs(one ? "]" : "", stream);
    if (fclose(stream) != 0) {
        return lo_fail_memory(r);
    }
    out->file = place.line > 0 ? strdup(place.name) : NULL;
    return place.line > 0 && out->file == NULL ? lo_fail_memory(r) : LO_OK;
}

lo_status lo_value_convert(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                           lo_value *out)
{
    bool yes = false;
    switch (key->type) {
    case LO_KEY_INT:
        return convert_int(r, key, place, node, &out->integer);
    case LO_KEY_REAL:
        return convert_real(r, key, place, node, &out->real);
    case LO_KEY_BOOL:
        if (node->kind != LO_NODE_SCALAR || !node->plain || !lo_in_words(node->text, "true false")) {
            return lo_refuse_node(r, key, place, node);
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
    case LO_KEY_LAYERS:
    case LO_KEY_ITEMS:
        return convert_written(r, key, place, node, out);
    case LO_KEY_REALS:
        return convert_reals(r, key, place, node, out);
    case LO_KEY_SECTION:
        break;
    }
    return lo_refuse_node(r, key, place, node);
}

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

static void write_list(FILE *stream, const lo_value *v)
{
    (void)fputc('[', stream);
    for (int64_t i = 0; i < v->count; i++) {
        (void)fputs(i > 0 ? ", " : "", stream);
        if (v->texts != NULL) {
            write_text(stream, v->texts[i]);
        } else if (v->reals != NULL) {
            char number[32];
            lo_real_text(v->reals[i], number);
            (void)fputs(number, stream);
        } else {
            (void)fprintf(stream, "%" PRId64, v->ints[i]);
        }
    }
    (void)fputc(']', stream);
}

static void write_value(FILE *stream, const lo_key *key, const lo_value *v)
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
    case LO_KEY_REALS:
        write_list(stream, v);
        break;
    case LO_KEY_LAYERS: /* on one line */
    case LO_KEY_ITEMS:
        for (const char *c = v->text; *c != '\0'; c++) {
            if (*c != '\n') {
                (void)fputc(*c, stream);
            }
        }
        break;
    }
}

char *lo_value_text(const lo_key *key, const lo_value *v)
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
