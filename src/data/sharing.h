/* Reading that processes can share, for sources whose examples are files of their own and take long to
 * decode. One process lists what there is; all open that list and decode parts of it; one collects the
 * results, in the order of the list, and makes the source of them. What it makes does not depend on who
 * decoded what. */
#ifndef LEAVEOUT_DATA_SHARING_H
#define LEAVEOUT_DATA_SHARING_H

#include "base/status.h"
#include "data/readers.h"

#include <stddef.h>
#include <stdint.h>

/* What there is to decode: the same bytes in every process. malloc'ed; the one who has it frees it. */
typedef struct lo_listing {
    char *text;
    size_t size;
} lo_listing;

/* One process's view of a list that it has opened. */
typedef struct lo_sharing {
    int64_t examples; /* in the list */
    size_t record;    /* bytes that a decoded example takes */
    void *self;       /* the reader's */
} lo_sharing;

struct lo_shared_read {
    /* Finds out what there is. Errors: as of a reader's read; LO_STOPPED if the tick says so. */
    lo_status (*list)(const char *path, const lo_read_options *options, lo_listing *out, lo_error *err);
    /* Takes up a list; touches no file. path and options must outlive it. Close it in any case. */
    lo_status (*open)(const char *path, const lo_read_options *options, const lo_listing *listing,
                      lo_sharing *out, lo_error *err);
    /* Decodes examples [first, first + count) of the list into record [count, sharing->record]. */
    lo_status (*decode)(lo_sharing *sharing, int64_t first, int64_t count, uint8_t *record, lo_error *err);
    /* The collecting process takes the records of examples [first, first + count), all in order. */
    lo_status (*collect)(lo_sharing *sharing, int64_t first, int64_t count, const uint8_t *record,
                         lo_error *err);
    /* The source, when all are collected. Guarantees and errors of a reader's read. */
    lo_status (*finish)(lo_sharing *sharing, lo_source *out, lo_error *err);
    void (*close)(lo_sharing *sharing); /* accepts a zeroed one */
};

/* How many examples a process decodes between two hand-overs: some MiB, some tenths of a second. */
int64_t lo_sharing_grain(const lo_sharing *sharing);

/* All of it in one process: a reader's read. */
lo_status lo_read_alone(const lo_shared_read *shared, const char *path, const lo_read_options *options,
                        lo_source *out, lo_error *err);

#endif
