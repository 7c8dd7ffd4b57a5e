/* Loaded ahead of libc by a test: a file system that cannot reserve room, as NFS before version 4.2. */
#include <errno.h>
#include <sys/types.h>

int fallocate(int fd, int mode, off_t offset, off_t length);

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    (void)fd;
    (void)mode;
    (void)offset;
    (void)length;
    errno = EOPNOTSUPP;
    return -1;
}
