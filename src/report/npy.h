/* Arrays and tables for other programs: NPY version 1.0 (numpy.lib.format) and CSV (RFC 4180, lines ending in
 * \n). */
#ifndef LEAVEOUT_REPORT_NPY_H
#define LEAVEOUT_REPORT_NPY_H

#include "base/file.h"

#include <stdbool.h>

typedef enum lo_npy_type {
    LO_NPY_FLOAT32,
    LO_NPY_FLOAT64,
    LO_NPY_INT64,
    LO_NPY_INT32,
    LO_NPY_UINT8
} lo_npy_type;

enum { LO_NPY_RANK_MAX = 32 };

/* An array being written, in C order. */
typedef struct lo_npy {
    lo_file file;
    size_t size;  /* bytes of an element */
    int64_t left; /* elements that are still to come */
} lo_npy;

/* Starts `file` with the header of an array of shape [rank] (rank 0: one number). Errors: LO_USAGE for a rank
 * above LO_NPY_RANK_MAX, a negative or an overflowing extent; LO_IO. After an error there is nothing to end.
 */
lo_status lo_npy_begin(const char *file, lo_npy_type type, int rank, const int64_t *shape, lo_npy *out,
                       lo_error *err);

/* Appends the next `count` elements, in this machine's byte order. Errors: LO_INTERNAL when the array has no
 * room for them; LO_IO. */
lo_status lo_npy_append(lo_npy *npy, const void *data, int64_t count, lo_error *err);

/* Publishes the file, or, when status is not LO_OK, removes what was written and returns status. Errors:
 * LO_INTERNAL when elements are missing; LO_IO. */
lo_status lo_npy_end(lo_npy *npy, lo_status status, lo_error *err);

/* A whole array at once. */
lo_status lo_npy_write(const char *file, lo_npy_type type, int rank, const int64_t *shape, const void *data,
                       lo_error *err);

/* A table being written to a stream that the caller owns and checks (ferror). Fields of a row are separated
 * by commas; a text that holds a comma, a quote, a line break, or blanks at its ends is quoted. NaN is
 * written as NaN, infinities as Inf and -Inf: R, NumPy and pandas read them. */
typedef struct lo_csv {
    FILE *stream;
    bool inside; /* a row has begun */
} lo_csv;

lo_csv lo_csv_begin(FILE *stream);
void lo_csv_text(lo_csv *csv, const char *text); /* NULL: an empty field */
void lo_csv_int(lo_csv *csv, int64_t value);
void lo_csv_float(lo_csv *csv, float value);   /* as many digits as read back to the same bits */
void lo_csv_double(lo_csv *csv, double value); /* likewise */
void lo_csv_row(lo_csv *csv);                  /* ends the row */

#endif
