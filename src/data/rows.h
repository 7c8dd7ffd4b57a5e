/* Rows of features and their labels, as a reader of text finds them one after another. */
#ifndef LEAVEOUT_DATA_ROWS_H
#define LEAVEOUT_DATA_ROWS_H

#include "base/status.h"
#include "data/readers.h"
#include "data/spool.h"

#include <stddef.h>
#include <stdint.h>

/* Features of a row, at most. */
enum { LO_MAX_FEATURES = 1 << 20 };

typedef struct lo_rows {
    lo_spool spool;
    int32_t *label;
    int64_t count, room;
} lo_rows;

lo_status lo_rows_open(const char *scratch, lo_rows *out, lo_error *err);

/* Errors: LO_IO, LO_INTERNAL, LO_DATA for more examples than 2^31 - 1. */
lo_status lo_rows_put(lo_rows *rows, const float *feature, size_t features, int32_t label, lo_error *err);

/* Hands the rows over to `part`. Errors: LO_IO. */
lo_status lo_rows_finish(lo_rows *rows, lo_source_part *part, lo_error *err);

/* Accepts a zeroed struct, and a finished one. */
void lo_rows_close(lo_rows *rows);

#endif
