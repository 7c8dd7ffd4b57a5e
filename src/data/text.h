/* Text files of numbers: mapped, line by line. */
#ifndef LEAVEOUT_DATA_TEXT_H
#define LEAVEOUT_DATA_TEXT_H

#include "base/status.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_text {
    char path[PATH_MAX];
    char where[PATH_MAX + 32]; /* PATH:LINE of the line that was read last, for errors */
    void *map;
    size_t size;
    size_t next; /* byte at which the next line begins */
    int64_t line_number;
    const char *line; /* the line that was read last, without its end; no zero byte follows it */
    size_t length;
} lo_text;

/* Opens and maps DIRECTORY/NAME. Errors: LO_IO, LO_DATA for an empty file. */
lo_status lo_text_open(const char *directory, const char *name, lo_text *out, lo_error *err);

/* Steps to the next line that is not blank; false at the end. Lines end with LF or CR LF; a byte order mark
 * before the first is skipped. */
bool lo_text_next(lo_text *text);

/* Begins again with the first line. */
void lo_text_rewind(lo_text *text);

/* Accepts a zeroed struct. */
void lo_text_close(lo_text *text);

typedef enum lo_number_kind {
    LO_NUMBER,
    LO_NUMBER_NONE,      /* it is not written as a number */
    LO_NUMBER_NOT_FINITE /* it says that it is infinite or not a number */
} lo_number_kind;

/* Is the text a decimal number, which goes into *value? Without blanks around it. */
lo_number_kind lo_text_number(const char *text, size_t length, double *value);

/* The text as a feature. Errors: LO_DATA beginning with `where` and `what`, for what is no number, not
 * finite, or too large for float32. */
lo_status lo_text_feature(const char *where, const char *what, int64_t number, const char *text,
                          size_t length, float *feature, lo_error *err);

#endif
