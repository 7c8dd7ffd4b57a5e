/* Small texts of "key=value" lines: what claims and the heads of journals are made of. */
#ifndef LEAVEOUT_BASE_FIELDS_H
#define LEAVEOUT_BASE_FIELDS_H

#include <stddef.h>

/* The value of the line "key=value", copied to value[size] (cut off if longer); "" when there is no such
 * line. text may be NULL. */
void lo_field(const char *text, const char *key, char *value, size_t size);

/* The same as a whole number or a real; 0 when there is none. */
long long lo_field_int(const char *text, const char *key);
double lo_field_real(const char *text, const char *key);

#endif
