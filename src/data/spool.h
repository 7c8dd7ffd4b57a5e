/* A spool takes the values of a data set that must be decoded, in order, and gives them back mapped: a file
 * without a name, in the page cache, so that memory need not hold what a disk can. */
#ifndef LEAVEOUT_DATA_SPOOL_H
#define LEAVEOUT_DATA_SPOOL_H

#include "base/status.h"
#include "data/readers.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lo_spool {
    FILE *stream;
    uint64_t size; /* bytes so far */
} lo_spool;

/* Makes the file in `directory` (NULL: TMPDIR, or /tmp). Its space is free again when the map is released or
 * the process ends, however it ends. Errors: LO_IO. */
lo_status lo_spool_open(const char *directory, lo_spool *out, lo_error *err);

/* Will `bytes` in all fit the file system? Asked before much is written, so that a damaged header, or sparse
 * data that become dense, do not fill the disk. Errors: LO_IO. */
lo_status lo_spool_expect(const lo_spool *spool, uint64_t bytes, lo_error *err);

/* Appends. Errors: LO_IO, a full disk being one. */
lo_status lo_spool_put(lo_spool *spool, const void *data, size_t size, lo_error *err);

/* Maps what has been put, read-only, into part->map and closes the spool. Errors: LO_IO, also for nothing. */
lo_status lo_spool_map(lo_spool *spool, lo_source_part *part, lo_error *err);

/* Closes; accepts a zeroed one, and one that was mapped. */
void lo_spool_close(lo_spool *spool);

/* Maps the whole file, read-only, which must be a regular one that is not empty. *map is unmapped by the
 * caller, with *size. Errors: LO_IO, and LO_DATA for an empty one. */
lo_status lo_file_map(const char *file, void **map, size_t *size, lo_error *err);

#endif
