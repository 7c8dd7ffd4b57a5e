#include "data/spool.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SPOOL_BUFFER = 1 << 18 };

lo_status lo_spool_open(const char *directory, lo_spool *out, lo_error *err)
{
    char path[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    *out = (lo_spool){0};
    if (directory == NULL) {
        directory = tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp";
    }
    if (snprintf(path, sizeof(path), "%s/spool-XXXXXX", directory) >= (int)sizeof(path)) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", directory);
    }
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot make a file for what is decoded", path);
    }
    (void)unlink(path);
    out->stream = fdopen(fd, "w+b");
    if (out->stream == NULL) {
        (void)close(fd);
        return lo_fail(err, LO_INTERNAL, "%s: no memory to write it", path);
    }
    (void)setvbuf(out->stream, NULL, _IOFBF, SPOOL_BUFFER);
    return LO_OK;
}

lo_status lo_spool_expect(const lo_spool *spool, uint64_t bytes, lo_error *err)
{
    struct statvfs room;
    if (fstatvfs(fileno(spool->stream), &room) == 0 && room.f_blocks > 0 &&
        bytes / room.f_frsize >= room.f_bavail) {
        return lo_fail(
            err, LO_IO,
            "the data set is %.1f MB when decoded, but the file system of the cache has %.1f MB left (No "
            "space left on device)",
            (double)bytes * 1e-6, (double)room.f_bavail * (double)room.f_frsize * 1e-6);
    }
    return LO_OK;
}

lo_status lo_spool_put(lo_spool *spool, const void *data, size_t size, lo_error *err)
{
    if (size > 0 && fwrite(data, 1, size, spool->stream) != size) {
        return lo_fail_errno(err, LO_IO, "cannot write what is decoded, after %llu bytes",
                             (unsigned long long)spool->size);
    }
    spool->size += size;
    return LO_OK;
}

lo_status lo_spool_map(lo_spool *spool, lo_source_part *part, lo_error *err)
{
    lo_status status = LO_OK;
    if (fflush(spool->stream) != 0) {
        status = lo_fail_errno(err, LO_IO, "cannot write what is decoded, %llu bytes",
                               (unsigned long long)spool->size);
        goto end;
    }
    void *map = mmap(NULL, (size_t)spool->size, PROT_READ, MAP_SHARED, fileno(spool->stream), 0);
    if (map == MAP_FAILED) {
        status = lo_fail_errno(err, LO_IO, "cannot map what was decoded, %llu bytes",
                               (unsigned long long)spool->size);
        goto end;
    }
    part->map = map;
    part->map_size = (size_t)spool->size;
end:
    lo_spool_close(spool);
    return status;
}

void lo_spool_close(lo_spool *spool)
{
    if (spool->stream != NULL) {
        (void)fclose(spool->stream);
        spool->stream = NULL;
    }
}

lo_status lo_file_map(const char *file, void **map, size_t *size, lo_error *err)
{
    lo_status status = LO_OK;
    struct stat st;
    *map = NULL;
    *size = 0;
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", file);
    }
    if (fstat(fd, &st) != 0) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot ask for its size", file);
        goto end;
    }
    if (!S_ISREG(st.st_mode)) {
        status = lo_fail(err, LO_IO, "%s: is not a regular file", file);
        goto end;
    }
    if (st.st_size == 0) {
        status = lo_fail(err, LO_DATA, "%s: is empty", file);
        goto end;
    }
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot map %lld bytes", file, (long long)st.st_size);
        goto end;
    }
    *map = at;
    *size = (size_t)st.st_size;
end:
    (void)close(fd);
    return status;
}
