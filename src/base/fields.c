#include "base/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lo_field(const char *text, const char *key, char *value, size_t size)
{
    const size_t length = strlen(key);
    value[0] = '\0';
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            (void)snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
            return;
        }
    }
}

long long lo_field_int(const char *text, const char *key)
{
    char value[64];
    lo_field(text, key, value, sizeof(value));
    return strtoll(value, NULL, 10);
}

double lo_field_real(const char *text, const char *key)
{
    char value[64];
    lo_field(text, key, value, sizeof(value));
    return strtod(value, NULL);
}
