/* Readers of data sets in the formats they come in. A new format is one file, reader_NAME.c, and one line in
 * the table of readers.c. */
#ifndef LEAVEOUT_DATA_READERS_H
#define LEAVEOUT_DATA_READERS_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdint.h>

/* The examples of one part of the sources, decoded; example i has source number i. */
typedef struct lo_source_part {
    int64_t count;
    uint8_t *pixel; /* [count, channels, height, width]; malloc'ed, owned */
    int32_t *label; /* [count], 0 .. classes-1; malloc'ed, owned */
} lo_source_part;

/* What a reader delivers. Zeroed before it is read; released by lo_source_free, after an error too. */
typedef struct lo_source {
    lo_shape shape;
    int32_t classes;
    lo_source_part train, test;
} lo_source;

typedef struct lo_reader {
    const char *name;        /* the job's data.format */
    const char *description; /* one line */
    /* Reads everything under `path` into the zeroed `out`. Guarantees: both parts have examples, all of out's
     * shape, and every label is below classes. Errors: LO_DATA with file, position or record, what was found
     * and what is allowed; LO_IO for what cannot be opened or read; LO_INTERNAL when there is no memory. */
    lo_status (*read)(const char *path, lo_source *out, lo_error *err);
} lo_reader;

int lo_reader_count(void);
const lo_reader *lo_reader_at(int i);

/* NULL if there is none of that name. */
const lo_reader *lo_reader_find(const char *name);

/* Releases the parts and zeroes the struct; accepts a zeroed one. */
void lo_source_free(lo_source *source);

/* The readers, for the table only. */
lo_status lo_read_idx(const char *path, lo_source *out, lo_error *err);

#endif
