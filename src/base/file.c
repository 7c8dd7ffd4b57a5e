#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

lo_status lo_file_sync_directory(const char *file, lo_error *err)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof(copy), "%s", file) >= (int)sizeof(copy)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", file);
    }
    const int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open its directory", file);
    }
    /* Some file systems refuse fsync of a directory with EINVAL; there is nothing more to do then. */
    if (fsync(fd) != 0 && errno != EINVAL) {
        const lo_status status = lo_fail_errno(err, LO_IO, "%s: cannot sync its directory", file);
        (void)close(fd);
        return status;
    }
    (void)close(fd);
    return LO_OK;
}

static lo_status publish(const char *part, const char *file, lo_error *err)
{
    if (rename(part, file) != 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot rename it to %s", part, file);
    }
    return lo_file_sync_directory(file, err);
}

lo_status lo_file_publish(const char *part, const char *file, lo_error *err)
{
    const int fd = open(part, O_RDONLY);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", part);
    }
    if (fsync(fd) != 0) {
        const lo_status status = lo_fail_errno(err, LO_IO, "%s: cannot sync", part);
        (void)close(fd);
        return status;
    }
    (void)close(fd);
    return publish(part, file, err);
}

lo_status lo_file_begin(const char *file, lo_file *out, lo_error *err)
{
    char host[64] = "host";
    (void)gethostname(host, sizeof(host) - 1);
    if (snprintf(out->file, sizeof(out->file), "%s", file) >= (int)sizeof(out->file) ||
        snprintf(out->part, sizeof(out->part), "%s.part.%s.%ld", file, host, (long)getpid()) >=
            (int)sizeof(out->part)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", file);
    }
    out->stream = fopen(out->part, "wb");
    if (out->stream == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot create", out->part);
    }
    return LO_OK;
}

lo_status lo_file_end(lo_file *f, lo_status status, lo_error *err)
{
    if (f->stream == NULL) {
        return status;
    }
    if (status == LO_OK &&
        (ferror(f->stream) != 0 || fflush(f->stream) != 0 || fsync(fileno(f->stream)) != 0)) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot write", f->part);
    }
    if (fclose(f->stream) != 0 && status == LO_OK) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot close", f->part);
    }
    f->stream = NULL;
    if (status == LO_OK) {
        status = publish(f->part, f->file, err);
    }
    if (status != LO_OK) {
        (void)unlink(f->part);
    }
    return status;
}

lo_status lo_file_write(const char *file, const void *data, size_t size, lo_error *err)
{
    lo_file f = {0};
    LO_TRY(lo_file_begin(file, &f, err));
    lo_status status = LO_OK;
    if (size > 0 && fwrite(data, 1, size, f.stream) != size) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot write %zu bytes", f.part, size);
    }
    return lo_file_end(&f, status, err);
}

lo_status lo_file_read(const char *file, size_t limit, char **data, size_t *size, lo_error *err)
{
    *data = NULL;
    *size = 0;
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", file);
    }
    lo_status status = LO_OK;
    char *buffer = NULL;
    size_t used = 0;
    size_t room = 1 << 16;
    for (;;) {
        char *larger = realloc(buffer, room + 1);
        if (larger == NULL) {
            status = lo_fail(err, LO_INTERNAL, "%s: no memory for %zu bytes", file, room);
            break;
        }
        buffer = larger;
        used += fread(buffer + used, 1, room - used, stream);
        if (used > limit) {
            status = lo_fail(err, LO_DATA, "%s: larger than the allowed %zu bytes", file, limit);
            break;
        }
        if (used < room) {
            if (ferror(stream) != 0) {
                status = lo_fail_errno(err, LO_IO, "%s: cannot read", file);
            }
            break;
        }
        room *= 2;
    }
    (void)fclose(stream);
    if (status != LO_OK) {
        free(buffer);
        return status;
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return LO_OK;
}

lo_status lo_file_mkdirs(const char *path, lo_error *err)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", path);
    }
    for (char *slash = copy + 1;; slash++) {
        if (*slash != '/' && *slash != '\0') {
            continue;
        }
        const char kept = *slash;
        *slash = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            return lo_fail_errno(err, LO_IO, "%s: cannot create the directory", copy);
        }
        *slash = kept;
        if (kept == '\0') {
            break;
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return lo_fail(err, LO_IO, "%s: is not a directory", path);
    }
    return LO_OK;
}

uint32_t lo_crc32(uint32_t crc, const void *data, size_t size)
{
    /* zlib takes a NULL buffer for "start again". */
    return size > 0 ? (uint32_t)crc32_z(crc, data, size) : crc;
}

static uint64_t digest_bytes(uint64_t digest, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        digest = (digest ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    }
    return digest;
}

uint64_t lo_digest(uint64_t digest, const char *text)
{
    return digest_bytes(digest, text, strlen(text));
}

lo_status lo_file_digest(const char *file, uint64_t *digest, lo_error *err)
{
    char buffer[1 << 14];
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", file);
    }
    *digest = LO_DIGEST_START;
    for (size_t size = sizeof(buffer); size == sizeof(buffer);) {
        size = fread(buffer, 1, sizeof(buffer), stream);
        *digest = digest_bytes(*digest, buffer, size);
    }
    const lo_status status = ferror(stream) == 0 ? LO_OK : lo_fail_errno(err, LO_IO, "%s: cannot read", file);
    (void)fclose(stream);
    return status;
}
