#include "base/journal.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "journal records are little-endian; add the conversions"
#endif

enum { MAGIC = 0x524e4a4c, VERSION = 1, HEADER = 96, ALIGNMENT = 8, SMALL_PAYLOAD = 1 << 20 };

/* The header as it lies in the file. */
typedef struct header {
    uint32_t magic;
    uint32_t version;
    uint32_t kind, stage, flags, payload_crc;
    uint64_t task, digest, payload_size;
    double seconds, wall, value;
    uint32_t reserved[5];
    uint32_t header_crc; /* of all before it */
} header;
_Static_assert(sizeof(header) == HEADER, "the header has no padding");

static uint64_t padded(uint64_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint32_t header_crc(const header *h)
{
    return lo_crc32(0, h, offsetof(header, header_crc));
}

static header pack(const lo_record *r)
{
    header h = {.magic = MAGIC,
                .version = VERSION,
                .kind = r->kind,
                .stage = r->stage,
                .flags = r->flags,
                .payload_crc = r->payload_crc,
                .task = r->task,
                .digest = r->digest,
                .payload_size = r->payload_size,
                .seconds = r->seconds,
                .wall = r->wall,
                .value = r->value};
    h.header_crc = header_crc(&h);
    return h;
}

static lo_record unpack(const header *h)
{
    return (lo_record){.kind = h->kind,
                       .stage = h->stage,
                       .flags = h->flags,
                       .task = h->task,
                       .digest = h->digest,
                       .seconds = h->seconds,
                       .wall = h->wall,
                       .value = h->value,
                       .payload_size = h->payload_size,
                       .payload_crc = h->payload_crc};
}

static bool valid(const header *h)
{
    return h->magic == MAGIC && h->header_crc == header_crc(h);
}

/* Writes all of the pieces; a short write is an error with errno set. */
static bool write_all(int fd, struct iovec *piece, int count)
{
    while (count > 0) {
        const ssize_t done = writev(fd, piece, count);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        size_t left = (size_t)done;
        while (count > 0 && left >= piece->iov_len) {
            left -= piece->iov_len;
            piece++;
            count--;
        }
        if (count > 0) {
            if (done == 0) {
                errno = ENOSPC;
                return false;
            }
            piece->iov_base = (char *)piece->iov_base + left;
            piece->iov_len -= left;
        }
    }
    return true;
}

lo_status lo_journal_append(lo_journal *journal, lo_record *record, const void *payload, size_t size,
                            bool sync, lo_error *err)
{
    static const char zeros[ALIGNMENT];
    record->payload_size = size;
    record->payload_crc = lo_crc32(0, payload, size);
    record->wall = lo_clock_wall();
    header h = pack(record);
    struct iovec piece[3] = {
        {&h, HEADER}, {(void *)(uintptr_t)payload, size}, {(void *)(uintptr_t)zeros, padded(size) - size}};
    if (!write_all(journal->fd, piece, 3) || (sync && fdatasync(journal->fd) != 0)) {
        const lo_status status =
            lo_fail_errno(err, LO_IO, "%s: cannot append a record of %zu bytes", journal->file, size);
        /* A partial record at the end would only be ignored, but a later append must not land behind it. */
        if (ftruncate(journal->fd, (off_t)journal->size) != 0) {
            lo_journal_close(journal);
        }
        return status;
    }
    journal->size += HEADER + padded(size);
    return LO_OK;
}

lo_status lo_journal_create(const char *file, const char *text, lo_journal *out, lo_error *err)
{
    out->size = 0;
    (void)snprintf(out->file, sizeof(out->file), "%s", file);
    out->fd = open(file, O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
    if (out->fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot create the journal", file);
    }
    lo_record record = {.kind = LO_RECORD_ATTEMPT};
    lo_status status = lo_journal_append(out, &record, text, strlen(text), true, err);
    if (status == LO_OK) {
        status = lo_file_sync_directory(file, err); /* what the records' own syncs do not cover: its name */
    }
    if (status != LO_OK) {
        lo_journal_close(out);
        (void)unlink(file);
    }
    return status;
}

void lo_journal_close(lo_journal *journal)
{
    if (journal->fd >= 0) {
        (void)close(journal->fd);
        journal->fd = -1;
    }
}

/* Reads exactly size bytes at offset, or returns false: errno is 0 where the file ends before, else says what
 * went wrong. A disk that cannot be read is not a damaged record. */
static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
    char *to = buffer;
    errno = 0;
    while (size > 0) {
        const ssize_t got = pread(fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        errno = 0;
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

/* Reads a payload and checks it; NULL when it does not hold (errno 0) or there is no memory or no reading. */
static char *read_payload(int fd, uint64_t at, const header *h)
{
    char *payload = malloc(h->payload_size + 1);
    if (payload == NULL) {
        return NULL;
    }
    if (!read_at(fd, payload, h->payload_size, at + HEADER) ||
        lo_crc32(0, payload, h->payload_size) != h->payload_crc) {
        const int reason = errno;
        free(payload);
        errno = reason;
        return NULL;
    }
    payload[h->payload_size] = '\0';
    return payload;
}

/* The next offset from `at` on where a valid header starts, or size when there is none (errno: as read_at).
 */
static uint64_t next_header(int fd, uint64_t at, uint64_t size)
{
    header h;
    for (; at + HEADER <= size; at += ALIGNMENT) {
        uint32_t magic;
        if (!read_at(fd, &magic, sizeof(magic), at)) {
            break;
        }
        if (magic == MAGIC && read_at(fd, &h, HEADER, at) && valid(&h) &&
            h.payload_size <= size - at - HEADER) {
            return at;
        }
    }
    return size;
}

static lo_status cannot_read(const char *file, lo_error *err)
{
    return lo_fail_errno(err, LO_IO, "%s: cannot read the journal", file);
}

lo_status lo_journal_scan(const char *file, uint64_t *offset, uint64_t *skipped, lo_record_found record_found,
                          void *self, lo_error *err)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        const lo_status status = lo_fail_errno(err, LO_IO, "%s: cannot open the journal", file);
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    const uint64_t size = (uint64_t)st.st_size;
    lo_status status = LO_OK;
    uint64_t at = *offset;
    while (status == LO_OK && at + HEADER <= size) {
        header h;
        const bool whole = read_at(fd, &h, HEADER, at) && valid(&h) && h.payload_size <= size - at - HEADER;
        if (errno != 0) {
            status = cannot_read(file, err);
            break;
        }
        if (whole && h.version > VERSION) {
            status = lo_fail(err, LO_DATA,
                             "%s: record at byte %llu has format version %u; this leaveout reads up to %d",
                             file, (unsigned long long)at, h.version, VERSION);
            break;
        }
        char *payload = NULL;
        if (whole && h.kind != LO_RECORD_DONE && h.payload_size <= SMALL_PAYLOAD) {
            payload = read_payload(fd, at, &h);
            if (payload == NULL && errno != 0) {
                status = cannot_read(file, err);
                break;
            }
        }
        if (!whole || (h.kind != LO_RECORD_DONE && payload == NULL)) {
            const uint64_t next = next_header(fd, at + ALIGNMENT, size);
            if (next >= size) {
                status = errno != 0 ? cannot_read(file, err) : LO_OK; /* a torn tail */
                break;
            }
            *skipped += next - at;
            at = next;
            free(payload);
            continue;
        }
        const lo_record record = unpack(&h);
        status = record_found(self, at, &record, payload);
        free(payload);
        at += HEADER + padded(h.payload_size);
    }
    if (status == LO_OK) {
        /* May lie beyond the end, when padding is still to come: the next record starts there all the same.
         */
        *offset = at;
    }
    (void)close(fd);
    return status;
}

lo_status lo_journal_payload(const char *file, uint64_t at, lo_record *record, char **payload, lo_error *err)
{
    *payload = NULL;
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open the journal", file);
    }
    lo_status status = LO_OK;
    header h;
    const bool found = read_at(fd, &h, HEADER, at);
    if (!found && errno != 0) {
        status = cannot_read(file, err);
    } else if (!found || !valid(&h)) {
        status = lo_fail(err, LO_DATA, "%s: no valid record at byte %llu", file, (unsigned long long)at);
    } else if ((h.flags & LO_RECORD_COMPACTED) != 0) {
        status = lo_fail(err, LO_DATA, "%s: the payload at byte %llu was dropped by compacting", file,
                         (unsigned long long)at);
    } else {
        *record = unpack(&h);
        *payload = read_payload(fd, at, &h);
        if (*payload == NULL && errno != 0) {
            status = cannot_read(file, err);
        } else if (*payload == NULL) {
            status =
                lo_fail(err, LO_DATA,
                        "%s: the payload of the record at byte %llu (task %llu) does not match its checksum",
                        file, (unsigned long long)at, (unsigned long long)h.task);
        }
    }
    (void)close(fd);
    return status;
}

typedef struct compaction {
    const char *file;
    FILE *to;
    uint32_t stage;
    uint64_t saved;
    lo_error *err;
} compaction;

static lo_status compact_record(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    static const char zeros[ALIGNMENT];
    compaction *c = self;
    lo_record kept = *record;
    char *owned = NULL;
    if (record->kind == LO_RECORD_DONE && (record->flags & LO_RECORD_COMPACTED) == 0) {
        if (record->stage == c->stage) {
            kept.flags |= LO_RECORD_COMPACTED;
            c->saved += padded(kept.payload_size);
            kept.payload_size = 0;
            kept.payload_crc = 0;
        } else {
            LO_TRY(lo_journal_payload(c->file, at, &kept, &owned, c->err));
            payload = owned;
        }
    }
    const header h = pack(&kept);
    const bool written =
        fwrite(&h, HEADER, 1, c->to) == 1 &&
        fwrite(kept.payload_size > 0 ? payload : zeros, 1, kept.payload_size, c->to) == kept.payload_size &&
        fwrite(zeros, 1, padded(kept.payload_size) - kept.payload_size, c->to) ==
            padded(kept.payload_size) - kept.payload_size;
    free(owned);
    return written ? LO_OK : lo_fail_errno(c->err, LO_IO, "%s: cannot write", c->file);
}

lo_status lo_journal_compact(const char *file, uint32_t stage, uint64_t *saved, lo_error *err)
{
    lo_file f = {0};
    LO_TRY(lo_file_begin(file, &f, err));
    compaction c = {.file = file, .to = f.stream, .stage = stage, .err = err};
    uint64_t offset = 0;
    uint64_t skipped = 0;
    lo_status status = lo_journal_scan(file, &offset, &skipped, compact_record, &c, err);
    status = lo_file_end(&f, status, err);
    if (status == LO_OK) {
        *saved += c.saved;
    }
    return status;
}
