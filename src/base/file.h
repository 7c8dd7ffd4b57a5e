/* Files written whole: readers see the old file or the new one, never half of one. */
#ifndef LEAVEOUT_BASE_FILE_H
#define LEAVEOUT_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes file.part.HOST.PID, syncs it, renames it to `file`, syncs the directory. Errors: LO_IO, with the
 * part removed. */
lo_status lo_file_write(const char *file, const void *data, size_t size, lo_error *err);

/* The same in steps, for large files: begin returns a stream (or NULL and an error), end commits or, when
 * status is not LO_OK, removes the part and returns status. */
typedef struct lo_file {
    FILE *stream;
    char part[4096];
    char file[4096];
} lo_file;
lo_status lo_file_begin(const char *file, lo_file *out, lo_error *err);
lo_status lo_file_end(lo_file *f, lo_status status, lo_error *err);

/* Syncs the directory that `file` is in, so that a new name outlasts a power loss. Errors: LO_IO. */
lo_status lo_file_sync_directory(const char *file, lo_error *err);

/* Syncs and renames part to file and syncs the directory. */
lo_status lo_file_publish(const char *part, const char *file, lo_error *err);

/* Reads a whole file of at most `limit` bytes into malloc'ed memory (NUL-terminated, size excludes it).
 * Errors: LO_IO if it cannot be read; LO_DATA if it is larger. The caller frees it. */
lo_status lo_file_read(const char *file, size_t limit, char **data, size_t *size, lo_error *err);

/* mkdir -p. */
lo_status lo_file_mkdirs(const char *path, lo_error *err);

/* CRC-32 (zlib's) of a buffer of any size, continued from crc (0 at the start). */
uint32_t lo_crc32(uint32_t crc, const void *data, size_t size);

/* 64-bit digest (FNV-1a) of a text, continued from digest (LO_DIGEST_START at the start). */
#define LO_DIGEST_START 0xcbf29ce484222325ULL
uint64_t lo_digest(uint64_t digest, const char *text);

/* The same of a file's content. Errors: LO_IO. */
lo_status lo_file_digest(const char *file, uint64_t *digest, lo_error *err);

#endif
