/* Published files: HDF5 written by all ranks at once, in contiguous slabs, and read back by one.
 *
 * A file is written as FILE.part: all datasets and attributes are created first, then raw data, then the part
 * is closed, read back and compared, synced and renamed. So a file under its own name always opens and is
 * whole. */
#ifndef LEAVEOUT_MPI_H5FILE_H
#define LEAVEOUT_MPI_H5FILE_H

#include "base/status.h"

#include <hdf5.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

enum { LO_H5_MAX_RANK = 2 };

enum { LO_H5_TEXT_SIZE = 128 };
typedef enum lo_h5_type {
    LO_H5_U8,
    LO_H5_I32,
    LO_H5_I64,
    LO_H5_F32,
    LO_H5_F64,
    LO_H5_CHARS /* texts of LO_H5_TEXT_SIZE bytes, padded with zeros */
} lo_h5_type;
size_t lo_h5_size(lo_h5_type type);

typedef struct lo_h5_dataset {
    char path[128];
    hid_t id;
    lo_h5_type type;
    int rank;
    int64_t rows, row_items; /* dims[0] and the product of the others */
    int64_t next, last;      /* rows of this rank's slab not written yet: next .. last-1 */
    int64_t first;
    uint32_t crc; /* of what this rank wrote */
} lo_h5_dataset;

typedef struct lo_h5 {
    MPI_Comm comm;
    char file[4096], part[4096];
    hid_t id;
    int datasets, room;
    lo_h5_dataset *dataset; /* [room], of which `datasets` are there */
} lo_h5;

/* Collective over comm, like all that follows up to lo_h5_commit; each returns the same status on every rank.
 * Creates FILE.part. `bytes` is what the file will need: without that much room on the file system it is
 * refused at once (LO_IO). */
lo_status lo_h5_create(MPI_Comm comm, const char *file, uint64_t bytes, lo_h5 *out, lo_error *err);

/* Creates a dataset (groups on its path too) of rows x row_items (row_items 0: one-dimensional). The rank's
 * slab is the rows [first, first + count): slabs in the order of ranks cover the dataset. Returns its number
 * in *number. */
lo_status lo_h5_add(lo_h5 *h5, const char *path, lo_h5_type type, int64_t rows, int64_t row_items,
                    int64_t first, int64_t count, int *number, lo_error *err);

/* Attributes of an object ("/" or a dataset's or group's path). Create them before the first write. */
lo_status lo_h5_text(lo_h5 *h5, const char *object, const char *name, const char *value, lo_error *err);
lo_status lo_h5_real(lo_h5 *h5, const char *object, const char *name, double value, lo_error *err);
lo_status lo_h5_int(lo_h5 *h5, const char *object, const char *name, int64_t value, lo_error *err);

/* Writes the next `rows` rows of this rank's slab (0 is allowed: ranks with less to write take part with
 * nothing). A failure of one rank's preparation may be passed in by `status`: then nobody writes and all
 * return it. */
lo_status lo_h5_write(lo_h5 *h5, int number, int64_t rows, const void *data, lo_status status, lo_error *err);

/* Closes, reads back and compares checksums, syncs, renames. `status` other than LO_OK on any rank removes
 * the part and returns that. The handle is closed either way. */
lo_status lo_h5_commit(lo_h5 *h5, lo_status status, lo_error *err);

/* Could HDF5 not close a file that it failed to write? Then it crashes when it is shut down, and MPI_Finalize
 * shuts it down: the process must end without. The same on every rank. */
bool lo_h5_is_stuck(void);

/* ---- reading, by one process, of published files ---- */

typedef struct lo_h5_reader {
    hid_t id;
    char file[4096];
} lo_h5_reader;

/* Errors: LO_IO when there is no such file or it cannot be read, LO_DATA when it is not a sound HDF5 file. */
lo_status lo_h5_open(const char *file, lo_h5_reader *out, lo_error *err);
void lo_h5_close(lo_h5_reader *reader);
bool lo_h5_has(const lo_h5_reader *reader, const char *path);

/* Sizes of a dataset; one-dimensional ones have row_items 1. Errors: LO_DATA when it is missing or of another
 * type. */
lo_status lo_h5_sizes(const lo_h5_reader *reader, const char *path, int64_t *rows, int64_t *row_items,
                      lo_error *err);

/* Rows [first, first + count) into data, as `type` (the dataset's own). */
lo_status lo_h5_read(const lo_h5_reader *reader, const char *path, lo_h5_type type, int64_t first,
                     int64_t count, void *data, lo_error *err);

/* A whole dataset, malloc'ed; the caller frees it. rows and row_items may be NULL. */
lo_status lo_h5_read_all(const lo_h5_reader *reader, const char *path, lo_h5_type type, void **data,
                         int64_t *rows, int64_t *row_items, lo_error *err);

/* Attributes; a missing one is LO_DATA. */
lo_status lo_h5_get_int(const lo_h5_reader *reader, const char *object, const char *name, int64_t *value,
                        lo_error *err);
lo_status lo_h5_get_real(const lo_h5_reader *reader, const char *object, const char *name, double *value,
                         lo_error *err);
lo_status lo_h5_get_text(const lo_h5_reader *reader, const char *object, const char *name, char *value,
                         size_t size, lo_error *err);

/* Compares every dataset with the checksum stored beside it. *datasets counts them. Errors: LO_DATA naming
 * the dataset. */
lo_status lo_h5_verify(const lo_h5_reader *reader, int *datasets, lo_error *err);

#endif
