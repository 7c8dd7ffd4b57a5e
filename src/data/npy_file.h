/* An array of numpy in its file. The format, versions 1 to 3, is that of numpy.lib.format: the bytes 93
 * "NUMPY", the version, the size of the header, the header, which is a Python dictionary, and the elements.
 */
#ifndef LEAVEOUT_DATA_NPY_FILE_H
#define LEAVEOUT_DATA_NPY_FILE_H

#include "base/status.h"
#include "data/array.h"

#include <limits.h>
#include <stddef.h>

typedef struct lo_npy_file {
    char path[PATH_MAX];
    lo_array array;
    char kind; /* b (bool), u, i, f */
    int size;  /* of an element */
    void *map;
    size_t map_size;
    size_t data; /* where the elements begin: not aligned */
} lo_npy_file;

/* Maps the file and reads its header. Errors: LO_IO; LO_DATA for anything but plain little-endian numbers in
 * C order that fill the file. Close it in any case; do not move it meanwhile. */
lo_status lo_npy_file_open(const char *path, lo_npy_file *out, lo_error *err);
void lo_npy_file_close(lo_npy_file *file);

#endif
