/* The journal: append-only records of what a rank did. It is the truth about what is finished; every other
 * file of a study's results can be made again from it.
 *
 * A file is a sequence of records, each a 96-byte little-endian header and a payload padded to 8 bytes. A
 * record counts once its header's and its payload's checksums hold; a torn tail, all that a crash can leave,
 * is ignored. */
#ifndef LEAVEOUT_BASE_JOURNAL_H
#define LEAVEOUT_BASE_JOURNAL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum lo_record_kind {
    LO_RECORD_ATTEMPT =
        1,               /* first of every file; payload: text, one key=value a line (host, processor, ...) */
    LO_RECORD_START = 2, /* this rank began the task; not synced: it only serves to find what died */
    LO_RECORD_DONE = 3,  /* the task is finished; payload: its result */
    LO_RECORD_VOID = 4,  /* payload: "FILE OFFSET" of a DONE record found damaged; it no longer counts */
    LO_RECORD_GIVEN_UP = 5, /* the task killed its rank too often and is skipped */
    LO_RECORD_END = 6,      /* this rank ended in good order; payload: the reason */
    LO_RECORD_SAVED =
        7, /* the task got so far (value: the share) and is saved: what comes now is no death of it */
    LO_RECORD_SPENT =
        8 /* rank 0: the attempt was in the stage for so many seconds, on as many cores as `value` says */
} lo_record_kind;

enum { LO_RECORD_ALONE = 1, LO_RECORD_COMPACTED = 2 }; /* flags */

typedef struct lo_record {
    uint32_t kind;  /* lo_record_kind */
    uint32_t stage; /* the stage's number */
    uint32_t flags;
    uint64_t task;
    uint64_t digest; /* of the keys that the task's result depends on */
    double seconds;  /* that the task took */
    double wall;     /* seconds since 1970 when it was written */
    double value;    /* the task's headline number (test accuracy), so that status needs no payload */
    uint64_t payload_size;
    uint32_t payload_crc;
} lo_record;

/* A journal file open for appending. */
typedef struct lo_journal {
    int fd;
    uint64_t size;
    char file[4096];
} lo_journal;

/* Creates a new file, which must not exist, writes its ATTEMPT record with `text` and syncs it and its
 * directory. Errors: LO_IO. */
lo_status lo_journal_create(const char *file, const char *text, lo_journal *out, lo_error *err);

/* Appends a record; payload_size, payload_crc and wall of *record are filled in. With sync, returns only when
 * it is on disk. A failed append (full disk) is cut off again, so that what came before stays valid; where
 * even that fails the journal is closed. Errors: LO_IO. */
lo_status lo_journal_append(lo_journal *journal, lo_record *record, const void *payload, size_t size,
                            bool sync, lo_error *err);

/* Closes; accepts one that was never opened ({.fd = -1}). */
void lo_journal_close(lo_journal *journal);

/* Calls `record_found` for every record of `file` from *offset on (0 at the start) and moves *offset behind
 * the last. The payload is handed over for kinds other than DONE only (NULL there: see lo_journal_payload);
 * DONE payloads are not read. `at` is the record's offset. *skipped counts the bytes that belong to no valid
 * record before another valid one: damage, not a torn tail. Errors: LO_IO; LO_DATA for a file made by a newer
 * version; what record_found returned. */
typedef lo_status (*lo_record_found)(void *self, uint64_t at, const lo_record *record, const char *payload);
lo_status lo_journal_scan(const char *file, uint64_t *offset, uint64_t *skipped, lo_record_found record_found,
                          void *self, lo_error *err);

/* Reads and checks the payload of the record at `at`: malloc'ed (NUL-terminated), the caller frees it.
 * Errors: LO_IO; LO_DATA, with file and offset, when a checksum does not hold or the payload was dropped by
 * compacting. */
lo_status lo_journal_payload(const char *file, uint64_t at, lo_record *record, char **payload, lo_error *err);

/* Writes the file again without the payloads of its DONE records of `stage` (whole: part, sync, rename). */
lo_status lo_journal_compact(const char *file, uint32_t stage, uint64_t *saved, lo_error *err);

#endif
