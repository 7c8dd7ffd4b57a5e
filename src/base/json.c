#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = sizeof(((lo_json *)0)->first) / sizeof(bool) };

void lo_real_text(double value, char text[32])
{
    char shortest[28];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(shortest, sizeof(shortest), "%.*g", digits, value);
        if (strtod(shortest, NULL) == value) {
            break;
        }
    }
    /* YAML 1.1 reads 1e-05 as a text and 1.0e-05 as a number. */
    const size_t mantissa = strcspn(shortest, "e");
    const bool bare = shortest[mantissa] == 'e' && strchr(shortest, '.') == NULL;
    memcpy(text, shortest, mantissa);
    memcpy(text + mantissa, ".0", 2);
    memcpy(text + mantissa + (bare ? 2 : 0), shortest + mantissa, strlen(shortest + mantissa) + 1);
}

int lo_utf8_length(const char *text, uint32_t *point)
{
    const unsigned char *c = (const unsigned char *)text;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const int length = c[0] < 0x80             ? 1
                       : (c[0] & 0xe0) == 0xc0 ? 2
                       : (c[0] & 0xf0) == 0xe0 ? 3
                       : (c[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (length == 0) {
        return 0;
    }
    *point = length == 1 ? c[0] : c[0] & (0x7fU >> length);
    for (int i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (c[i] & 0x3fU);
    }
    const bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
    return *point >= least[length] && *point <= 0x10ffff && !surrogate ? length : 0;
}

/* Bytes that are no UTF-8 (a file name's, say) become U+FFFD: the document stays valid. */
static void write_string(FILE *stream, const char *text)
{
    (void)fputc('"', stream);
    while (*text != '\0') {
        uint32_t point = 0;
        const int length = lo_utf8_length(text, &point);
        if (length == 0) {
            (void)fputs("\\ufffd", stream);
        } else if (point == '"' || point == '\\') {
            (void)fprintf(stream, "\\%c", (int)point);
        } else if (point == '\n') {
            (void)fputs("\\n", stream);
        } else if (point == '\t') {
            (void)fputs("\\t", stream);
        } else if (point < 0x20 || point == 0x7f) {
            (void)fprintf(stream, "\\u%04x", (unsigned)point);
        } else {
            (void)fwrite(text, 1, (size_t)length, stream);
        }
        text += length > 0 ? length : 1;
    }
    (void)fputc('"', stream);
}

static void new_line(lo_json *json)
{
    (void)fputc('\n', json->stream);
    for (int i = 0; i < json->depth; i++) {
        (void)fputs("  ", json->stream);
    }
}

/* What comes before a value: comma, line, key. */
static void start_value(lo_json *json, const char *key)
{
    if (json->depth > 0) {
        if (!json->first[json->depth]) {
            (void)fputc(',', json->stream);
        }
        new_line(json);
    }
    json->first[json->depth] = false;
    if (key != NULL) {
        write_string(json->stream, key);
        (void)fputs(": ", json->stream);
    }
}

lo_json lo_json_begin(FILE *stream)
{
    return (lo_json){.stream = stream};
}

static void open_value(lo_json *json, const char *key, char bracket)
{
    start_value(json, key);
    (void)fputc(bracket, json->stream);
    if (json->depth + 1 >= MAX_DEPTH) {
        (void)fprintf(stderr, "lo_json: nested deeper than %d\n", MAX_DEPTH - 1);
        abort();
    }
    json->depth++;
    json->first[json->depth] = true;
    json->list[json->depth] = bracket == '[';
}

void lo_json_object(lo_json *json, const char *key)
{
    open_value(json, key, '{');
}

void lo_json_array(lo_json *json, const char *key)
{
    open_value(json, key, '[');
}

void lo_json_end(lo_json *json)
{
    if (json->depth == 0) {
        (void)fprintf(stderr, "lo_json: nothing to end\n");
        abort();
    }
    const bool empty = json->first[json->depth];
    const char bracket = json->list[json->depth] ? ']' : '}';
    json->depth--;
    if (!empty) {
        new_line(json);
    }
    (void)fputc(bracket, json->stream);
    if (json->depth == 0) {
        (void)fputc('\n', json->stream);
    }
}

void lo_json_text(lo_json *json, const char *key, const char *value)
{
    start_value(json, key);
    if (value == NULL) {
        (void)fputs("null", json->stream);
    } else {
        write_string(json->stream, value);
    }
}

void lo_json_int(lo_json *json, const char *key, int64_t value)
{
    start_value(json, key);
    (void)fprintf(json->stream, "%" PRId64, value);
}

void lo_json_real(lo_json *json, const char *key, double value)
{
    char text[32] = "null";
    if (isfinite(value)) {
        lo_real_text(value, text);
    }
    start_value(json, key);
    (void)fputs(text, json->stream);
}

void lo_json_bool(lo_json *json, const char *key, bool value)
{
    start_value(json, key);
    (void)fputs(value ? "true" : "false", json->stream);
}
