#include "base/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1 };
static const char magic[8] = {'L', 'O', 'U', 'T', 'C', 'K', 'P', 'T'};

typedef struct header {
    char magic[8];
    uint32_t version, size; /* of the format; of this header */
    uint64_t digest;
    uint64_t bytes; /* of the pieces */
    uint32_t crc;   /* of the 32 bytes before it */
    uint32_t zero;
} header;

/* Pieces are moved in parts of this size, with a tick after each. */
enum { PART = 8 << 20 };

/* ---- writing ---- */

static lo_status write_part(lo_checkpoint_writer *writer, const void *data, size_t size, lo_error *err)
{
    writer->crc = lo_crc32(writer->crc, data, size);
    if (fwrite(data, 1, size, writer->to.stream) != size) {
        return lo_fail_errno(err, LO_IO, "%s: cannot write", writer->to.part);
    }
    return LO_OK;
}

lo_status lo_checkpoint_begin(const lo_checkpoint *checkpoint, uint64_t size, const lo_tick *tick,
                              lo_checkpoint_writer *out, lo_error *err)
{
    header h = {.version = VERSION, .size = sizeof(h), .digest = checkpoint->digest, .bytes = size};
    memcpy(h.magic, magic, sizeof(magic));
    h.crc = lo_crc32(0, &h, offsetof(header, crc));
    *out = (lo_checkpoint_writer){.tick = tick};
    LO_TRY(lo_file_begin(checkpoint->file, &out->to, err));
    return write_part(out, &h, sizeof(h), err);
}

lo_status lo_checkpoint_put(lo_checkpoint_writer *writer, const void *data, size_t size, lo_error *err)
{
    for (size_t at = 0; at < size; at += PART) {
        const size_t part = size - at < PART ? size - at : PART;
        LO_TRY(write_part(writer, (const char *)data + at, part, err));
        LO_TRY(lo_tick_call(writer->tick));
    }
    return LO_OK;
}

lo_status lo_checkpoint_end(lo_checkpoint_writer *writer, lo_status status, lo_error *err)
{
    const uint32_t crc = writer->crc;
    if (status == LO_OK) {
        status = write_part(writer, &crc, sizeof(crc), err);
    }
    return lo_file_end(&writer->to, status, err);
}

/* ---- reading ---- */

static lo_status read_part(lo_checkpoint_reader *reader, void *data, size_t size, lo_error *err)
{
    errno = 0;
    if (fread(data, 1, size, reader->from) == size) {
        return LO_OK;
    }
    return ferror(reader->from) != 0 ? lo_fail_errno(err, LO_IO, "%s: cannot read", reader->file)
                                     : lo_fail(err, LO_DATA, "%s: is cut short", reader->file);
}

static lo_status check_header(const lo_checkpoint *checkpoint, const header *h, lo_error *err)
{
    if (memcmp(h->magic, magic, sizeof(magic)) != 0) {
        return lo_fail(err, LO_DATA, "%s: is no checkpoint", checkpoint->file);
    }
    if (h->crc != lo_crc32(0, h, offsetof(header, crc))) {
        return lo_fail(err, LO_DATA, "%s: its header is damaged", checkpoint->file);
    }
    if (h->version != VERSION || h->size != sizeof(*h)) {
        return lo_fail(err, LO_DATA, "%s: is of format %u; this version reads %d", checkpoint->file,
                       h->version, VERSION);
    }
    if (h->digest != checkpoint->digest) {
        return lo_fail(err, LO_DATA, "%s: is of another job: its digest is %016llx, not %016llx",
                       checkpoint->file, (unsigned long long)h->digest,
                       (unsigned long long)checkpoint->digest);
    }
    return LO_OK;
}

/* From the header on to the end, and back to behind the header. */
static lo_status check_sum(lo_checkpoint_reader *reader, const header *h, lo_error *err)
{
    static_assert(sizeof(header) == 40, "as docs/study-format.md has it");
    char buffer[1 << 16];
    uint32_t crc = lo_crc32(0, h, sizeof(*h));
    uint32_t found;
    for (uint64_t left = h->bytes; left > 0;) {
        const size_t part = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);
        LO_TRY(read_part(reader, buffer, part, err));
        crc = lo_crc32(crc, buffer, part);
        left -= part;
        LO_TRY(lo_tick_call(reader->tick));
    }
    LO_TRY(read_part(reader, &found, sizeof(found), err));
    if (crc != found || fgetc(reader->from) != EOF) {
        return lo_fail(err, LO_DATA, "%s: is damaged: its checksum does not hold", reader->file);
    }
    return fseek(reader->from, sizeof(*h), SEEK_SET) == 0
               ? LO_OK
               : lo_fail_errno(err, LO_IO, "%s: cannot read again", reader->file);
}

lo_status lo_checkpoint_open(const lo_checkpoint *checkpoint, const lo_tick *tick, bool *found,
                             lo_checkpoint_reader *out, lo_error *err)
{
    header h;
    *out = (lo_checkpoint_reader){.file = checkpoint->file, .tick = tick};
    out->from = fopen(checkpoint->file, "rb");
    *found = out->from != NULL || errno != ENOENT;
    if (!*found) {
        return LO_OK;
    }
    if (out->from == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", checkpoint->file);
    }
    lo_status status = read_part(out, &h, sizeof(h), err);
    if (status == LO_OK) {
        status = check_header(checkpoint, &h, err);
    }
    if (status == LO_OK) {
        status = check_sum(out, &h, err);
    }
    if (status != LO_OK) {
        return lo_checkpoint_close(out, status, err);
    }
    out->left = h.bytes;
    return LO_OK;
}

lo_status lo_checkpoint_get(lo_checkpoint_reader *reader, void *data, size_t size, lo_error *err)
{
    if (size > reader->left) {
        return lo_fail(err, LO_DATA, "%s: has other pieces", reader->file);
    }
    for (size_t at = 0; at < size; at += PART) {
        const size_t part = size - at < PART ? size - at : PART;
        LO_TRY(read_part(reader, (char *)data + at, part, err));
        LO_TRY(lo_tick_call(reader->tick));
    }
    reader->left -= size;
    return LO_OK;
}

lo_status lo_checkpoint_close(lo_checkpoint_reader *reader, lo_status status, lo_error *err)
{
    if (status == LO_OK && reader->left > 0) {
        status = lo_fail(err, LO_DATA, "%s: has other pieces", reader->file);
    }
    if (reader->from != NULL) {
        (void)fclose(reader->from);
        reader->from = NULL;
    }
    return status;
}

void lo_checkpoint_complain(const lo_checkpoint *checkpoint, const lo_error *why, const char *then)
{
    lo_error text;
    (void)lo_fail(&text, LO_IO, "%.1800s; %s", why->text, then);
    if (checkpoint->warn != NULL) {
        checkpoint->warn(checkpoint->self, text.text);
    }
}

void lo_checkpoint_remove(lo_checkpoint *checkpoint)
{
    if (checkpoint->there) {
        (void)unlink(checkpoint->file);
        checkpoint->there = false;
    }
}
