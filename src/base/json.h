/* A small JSON writer: correct escaping and commas, nothing else. */
#ifndef LEAVEOUT_BASE_JSON_H
#define LEAVEOUT_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lo_json {
    FILE *stream;
    int depth;
    bool first[32];
    bool list[32];
} lo_json;

/* The shortest decimal that reads back as value (finite), a number in JSON and in YAML. */
void lo_real_text(double value, char text[32]);

/* Bytes of the UTF-8 character that text begins with, its code point into *point; 0 if it is no UTF-8. */
int lo_utf8_length(const char *text, uint32_t *point);

/* Starts writing to stream (owned by the caller). Nesting of at most 31. key is NULL for array elements and
 * the root. NaN and infinities become null. */
lo_json lo_json_begin(FILE *stream);
void lo_json_object(lo_json *json, const char *key);
void lo_json_array(lo_json *json, const char *key);
void lo_json_end(lo_json *json);                                      /* of the innermost object or array */
void lo_json_text(lo_json *json, const char *key, const char *value); /* NULL becomes null */
void lo_json_int(lo_json *json, const char *key, int64_t value);
void lo_json_real(lo_json *json, const char *key, double value);
void lo_json_bool(lo_json *json, const char *key, bool value);

#endif
