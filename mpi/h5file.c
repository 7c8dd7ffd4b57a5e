#include "mpi/h5file.h"

#include "base/file.h"
#include "mpi/agree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

/* HDF5's state is the process's, and so is this about it. */
static bool stuck;

bool lo_h5_is_stuck(void)
{
    return stuck;
}

#define CRC_ATTRIBUTE "crc32"
enum { WRITE_BYTES = 1 << 28, READ_BYTES = 1 << 24 };

size_t lo_h5_size(lo_h5_type type)
{
    static const size_t size[] = {1, 4, 8, 4, 8, LO_H5_TEXT_SIZE};
    return size[type];
}

/* The fixed-length text type, made once: HDF5 has none ready. */
static hid_t chars_type(void)
{
    static hid_t type = -1;
    if (type < 0) {
        type = H5Tcopy(H5T_C_S1);
        (void)H5Tset_size(type, LO_H5_TEXT_SIZE);
        (void)H5Tset_strpad(type, H5T_STR_NULLPAD);
    }
    return type;
}

static hid_t file_type(lo_h5_type type)
{
    switch (type) {
    case LO_H5_U8:
        return H5T_STD_U8LE;
    case LO_H5_I32:
        return H5T_STD_I32LE;
    case LO_H5_I64:
        return H5T_STD_I64LE;
    case LO_H5_F32:
        return H5T_IEEE_F32LE;
    case LO_H5_F64:
        return H5T_IEEE_F64LE;
    case LO_H5_CHARS:
        return chars_type();
    }
    return -1;
}

static herr_t take_description(unsigned n, const H5E_error2_t *error, void *text)
{
    /* The innermost entry says why; the outer ones say where it passed. */
    if (n == 0 && error->desc != NULL) {
        (void)snprintf(text, 512, "%s", error->desc);
    }
    return 0;
}

static lo_status fail(lo_error *err, lo_status code, const char *file, const char *what)
{
    char why[512] = "unknown HDF5 error";
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_description, why);
    (void)H5Eclear2(H5E_DEFAULT);
    return lo_fail(err, code, "%s: cannot %s: %s", file, what, why);
}

static void silence(void)
{
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* A parallel write into a full file system fails late, and HDF5 does not survive it: have the room before.
 * File systems that cannot reserve any are taken at their word that there is some. */
static lo_status reserve(const char *part, uint64_t bytes, lo_error *err)
{
    const int fd = open(part, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", part);
    }
    lo_status status = LO_OK;
    if (fallocate(fd, 0, 0, (off_t)bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot reserve %.1f MB", part, (double)bytes * 1e-6);
    }
    (void)close(fd);
    return status;
}

lo_status lo_h5_create(MPI_Comm comm, const char *file, uint64_t bytes, lo_h5 *out, lo_error *err)
{
    silence();
    bytes += bytes / 50 + 65536; /* what HDF5 adds */
    *out = (lo_h5){.comm = comm, .id = -1};
    (void)snprintf(out->file, sizeof(out->file), "%s", file);
    (void)snprintf(out->part, sizeof(out->part), "%.4000s.part", file);
    lo_status status = LO_OK;
    int rank;
    MPI_Comm_rank(comm, &rank);
    if (rank == 0) {
        (void)unlink(out->part);
        struct statvfs room;
        char directory[4096];
        (void)snprintf(directory, sizeof(directory), "%s", file);
        char *slash = strrchr(directory, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        if (statvfs(slash != NULL ? directory : ".", &room) == 0 &&
            (uint64_t)room.f_bavail * room.f_frsize < bytes) {
            status =
                lo_fail(err, LO_IO,
                        "%s: needs %.1f MB, but its file system has %.1f MB left (No space left on device)",
                        file, (double)bytes * 1e-6, (double)room.f_bavail * (double)room.f_frsize * 1e-6);
        }
    }
    status = lo_agree(comm, status, err);
    if (status != LO_OK) {
        return status;
    }
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    (void)H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL);
    (void)H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    out->id = H5Fcreate(out->part, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    (void)H5Pclose(access);
    if (out->id < 0) {
        status = fail(err, LO_IO, out->part, "create the file");
    } else if (rank == 0) {
        status = reserve(out->part, bytes, err);
    }
    status = lo_agree(comm, status, err);
    if (status != LO_OK) {
        (void)lo_h5_commit(out, status, NULL); /* closes and removes what there is */
    }
    return status;
}

/* For one more dataset. */
static lo_status make_room(lo_h5 *h5, lo_error *err)
{
    if (h5->datasets < h5->room) {
        return LO_OK;
    }
    const int room = h5->room > 0 ? 2 * h5->room : 16;
    lo_h5_dataset *larger = realloc(h5->dataset, (size_t)room * sizeof(*larger));
    if (larger == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %d datasets", h5->file, room);
    }
    h5->dataset = larger;
    h5->room = room;
    return LO_OK;
}

lo_status lo_h5_add(lo_h5 *h5, const char *path, lo_h5_type type, int64_t rows, int64_t row_items,
                    int64_t first, int64_t count, int *number, lo_error *err)
{
    lo_status status = lo_agree(h5->comm, make_room(h5, err), err);
    if (status != LO_OK) {
        return status;
    }
    lo_h5_dataset *d = &h5->dataset[h5->datasets];
    *d = (lo_h5_dataset){.type = type,
                         .rank = row_items > 0 ? 2 : 1,
                         .rows = rows,
                         .row_items = row_items > 0 ? row_items : 1,
                         .first = first,
                         .next = first,
                         .last = first + count};
    (void)snprintf(d->path, sizeof(d->path), "%s", path);
    const hsize_t dims[LO_H5_MAX_RANK] = {(hsize_t)rows, (hsize_t)d->row_items};
    const hid_t space = H5Screate_simple(d->rank, dims, NULL);
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_layout(create, H5D_CONTIGUOUS);
    (void)H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY);
    (void)H5Pset_fill_time(create, H5D_FILL_TIME_NEVER); /* every byte is written, and checked */
    (void)H5Pset_attr_phase_change(create, 0, 0);
    const hid_t link = H5Pcreate(H5P_LINK_CREATE);
    (void)H5Pset_create_intermediate_group(link, 1);
    d->id = H5Dcreate2(h5->id, path, file_type(type), space, link, create, H5P_DEFAULT);
    (void)H5Pclose(link);
    (void)H5Pclose(create);
    (void)H5Sclose(space);
    if (d->id < 0) {
        status = fail(err, LO_IO, h5->part, "create a dataset");
    }
    status = lo_agree(h5->comm, status, err);
    if (status == LO_OK) {
        *number = h5->datasets++;
        status = lo_h5_int(h5, path, CRC_ATTRIBUTE, 0, err);
    }
    return status;
}

static lo_status attribute(lo_h5 *h5, const char *object, const char *name, hid_t type, const void *value,
                           lo_error *err)
{
    lo_status status = LO_OK;
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t id =
        H5Acreate_by_name(h5->id, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0 || H5Awrite(id, type, value) < 0) {
        status = fail(err, LO_IO, h5->part, "write an attribute");
    }
    if (id >= 0) {
        (void)H5Aclose(id);
    }
    (void)H5Sclose(space);
    return lo_agree(h5->comm, status, err);
}

lo_status lo_h5_text(lo_h5 *h5, const char *object, const char *name, const char *value, lo_error *err)
{
    /* Rank 0's text on all ranks: attributes must not differ. */
    char text[1024];
    (void)snprintf(text, sizeof(text), "%s", value);
    MPI_Bcast(text, sizeof(text), MPI_CHAR, 0, h5->comm);
    const hid_t type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, strlen(text) + 1);
    const lo_status status = attribute(h5, object, name, type, text, err);
    (void)H5Tclose(type);
    return status;
}

lo_status lo_h5_real(lo_h5 *h5, const char *object, const char *name, double value, lo_error *err)
{
    MPI_Bcast(&value, 1, MPI_DOUBLE, 0, h5->comm);
    return attribute(h5, object, name, H5T_IEEE_F64LE, &value, err);
}

lo_status lo_h5_int(lo_h5 *h5, const char *object, const char *name, int64_t value, lo_error *err)
{
    MPI_Bcast(&value, 1, MPI_INT64_T, 0, h5->comm);
    return attribute(h5, object, name, H5T_STD_I64LE, &value, err);
}

static lo_status write_rows(lo_h5_dataset *d, int64_t rows, const void *data, const char *file, lo_error *err)
{
    const hsize_t start[LO_H5_MAX_RANK] = {(hsize_t)d->next, 0};
    const hsize_t count[LO_H5_MAX_RANK] = {(hsize_t)rows, (hsize_t)d->row_items};
    const hid_t space = H5Dget_space(d->id);
    const hid_t memory = H5Screate_simple(d->rank, count, NULL);
    if (rows > 0) {
        (void)H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    } else {
        (void)H5Sselect_none(space);
        (void)H5Sselect_none(memory);
    }
    const hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    (void)H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
    static const char nothing = 0;
    lo_status status = LO_OK;
    if (H5Dwrite(d->id, file_type(d->type), memory, space, transfer, rows > 0 ? data : &nothing) < 0) {
        status = fail(err, LO_IO, file, "write data");
    }
    (void)H5Pclose(transfer);
    (void)H5Sclose(memory);
    (void)H5Sclose(space);
    if (status != LO_OK) {
        return status;
    }
    const size_t bytes = (size_t)rows * (size_t)d->row_items * lo_h5_size(d->type);
    d->crc = lo_crc32(d->crc, data, rows > 0 ? bytes : 0);
    d->next += rows;
    return LO_OK;
}

lo_status lo_h5_write(lo_h5 *h5, int number, int64_t rows, const void *data, lo_status status, lo_error *err)
{
    lo_h5_dataset *d = &h5->dataset[number];
    if (status == LO_OK && d->next + rows > d->last) {
        status =
            lo_fail(err, LO_INTERNAL, "%s: %s: more rows than the slab of this rank has", h5->file, d->path);
    }
    status = lo_agree(h5->comm, status, err);
    if (status != LO_OK) {
        return status;
    }
    /* Pieces below 2 GiB, as many on every rank. */
    const int64_t row_bytes = d->row_items * (int64_t)lo_h5_size(d->type);
    const int64_t piece = WRITE_BYTES / row_bytes > 0 ? WRITE_BYTES / row_bytes : 1;
    int64_t pieces = (rows + piece - 1) / piece;
    MPI_Allreduce(MPI_IN_PLACE, &pieces, 1, MPI_INT64_T, MPI_MAX, h5->comm);
    const char *at = data;
    for (int64_t p = 0; p < pieces; p++) {
        const int64_t now = rows < piece ? rows : piece;
        const lo_status written = write_rows(d, now, at, h5->part, err);
        status = status == LO_OK ? written : status;
        at += now * row_bytes;
        rows -= now;
    }
    return lo_agree(h5->comm, status, err);
}

/* The checksum of the whole dataset from those of the slabs, in the order of ranks. */
static uint32_t whole_crc(const lo_h5 *h5, const lo_h5_dataset *d)
{
    int rank;
    int ranks;
    MPI_Comm_rank(h5->comm, &rank);
    MPI_Comm_size(h5->comm, &ranks);
    struct {
        int64_t bytes;
        int64_t crc;
    } mine = {(d->next - d->first) * d->row_items * (int64_t)lo_h5_size(d->type), d->crc}, *all = NULL;
    all = calloc((size_t)ranks, sizeof(*all));
    if (all == NULL) {
        MPI_Abort(h5->comm, LO_INTERNAL);
        return 0;
    }
    MPI_Allgather(&mine, 2, MPI_INT64_T, all, 2, MPI_INT64_T, h5->comm);
    uint32_t crc = 0;
    for (int r = 0; r < ranks; r++) {
        crc = (uint32_t)crc32_combine(crc, (uint32_t)all[r].crc, (z_off_t)all[r].bytes);
    }
    free(all);
    return crc;
}

static lo_status write_crc(lo_h5 *h5, lo_h5_dataset *d, lo_error *err)
{
    const int64_t crc = whole_crc(h5, d);
    const hid_t id = H5Aopen(d->id, CRC_ATTRIBUTE, H5P_DEFAULT);
    lo_status status = LO_OK;
    if (id < 0 || H5Awrite(id, H5T_STD_I64LE, &crc) < 0) {
        status = fail(err, LO_IO, h5->part, "write a checksum");
    }
    if (id >= 0) {
        (void)H5Aclose(id);
    }
    return lo_agree(h5->comm, status, err);
}

static lo_status crc_of_rows(const lo_h5_reader *reader, const char *path, lo_h5_type type, int64_t row_items,
                             int64_t first, int64_t count, uint32_t *crc, lo_error *err)
{
    const int64_t row_bytes = row_items * (int64_t)lo_h5_size(type);
    const int64_t piece = READ_BYTES / row_bytes > 0 ? READ_BYTES / row_bytes : 1;
    void *buffer = malloc((size_t)(piece * row_bytes));
    if (buffer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to read %s", reader->file);
    }
    lo_status status = LO_OK;
    *crc = 0;
    while (count > 0 && status == LO_OK) {
        const int64_t now = count < piece ? count : piece;
        status = lo_h5_read(reader, path, type, first, now, buffer, err);
        *crc = lo_crc32(*crc, buffer, (size_t)(now * row_bytes));
        first += now;
        count -= now;
    }
    free(buffer);
    return status;
}

/* Each rank reads its own slabs back. */
static lo_status read_back(const lo_h5 *h5, lo_error *err)
{
    lo_h5_reader reader;
    LO_TRY(lo_h5_open(h5->part, &reader, err));
    lo_status status = LO_OK;
    for (int i = 0; i < h5->datasets && status == LO_OK; i++) {
        const lo_h5_dataset *d = &h5->dataset[i];
        uint32_t crc = 0;
        status =
            crc_of_rows(&reader, d->path, d->type, d->row_items, d->first, d->last - d->first, &crc, err);
        if (status == LO_OK && (crc != d->crc || d->next != d->last)) {
            status = lo_fail(err, LO_IO, "%s: %s does not read back as it was written (rows %lld to %lld)",
                             h5->part, d->path, (long long)d->first, (long long)d->last);
        }
    }
    lo_h5_close(&reader);
    return status;
}

lo_status lo_h5_commit(lo_h5 *h5, lo_status status, lo_error *err)
{
    status = lo_agree(h5->comm, status, err);
    for (int i = 0; i < h5->datasets && h5->id >= 0; i++) {
        if (status == LO_OK) {
            status = write_crc(h5, &h5->dataset[i], err);
        }
        (void)H5Dclose(h5->dataset[i].id);
    }
    const bool closed = h5->id < 0 || H5Fclose(h5->id) >= 0;
    if (!closed && status == LO_OK) {
        status = fail(err, LO_IO, h5->part, "close the file");
    }
    h5->id = -1;
    int torn = stuck || !closed;
    MPI_Allreduce(MPI_IN_PLACE, &torn, 1, MPI_INT, MPI_MAX, h5->comm);
    stuck = torn != 0;
    status = lo_agree(h5->comm, status, err);
    if (status == LO_OK) {
        status = lo_agree(h5->comm, read_back(h5, err), err);
    }
    free(h5->dataset);
    h5->dataset = NULL;
    h5->datasets = h5->room = 0;
    int rank;
    MPI_Comm_rank(h5->comm, &rank);
    if (rank == 0) {
        if (status == LO_OK) {
            status = lo_file_publish(h5->part, h5->file, err);
        }
        if (status != LO_OK) {
            (void)unlink(h5->part);
        }
    }
    return lo_agree(h5->comm, status, err);
}

/* ---- reading ---- */

lo_status lo_h5_open(const char *file, lo_h5_reader *out, lo_error *err)
{
    silence();
    *out = (lo_h5_reader){.id = -1};
    (void)snprintf(out->file, sizeof(out->file), "%s", file);
    if (access(file, R_OK) != 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot read", file);
    }
    out->id = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
    return out->id < 0 ? fail(err, LO_DATA, file, "open as HDF5") : LO_OK;
}

void lo_h5_close(lo_h5_reader *reader)
{
    if (reader->id >= 0) {
        (void)H5Fclose(reader->id);
        reader->id = -1;
    }
}

bool lo_h5_has(const lo_h5_reader *reader, const char *path)
{
    /* H5Lexists wants every step of the path to exist. */
    char step[256];
    for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
        (void)snprintf(step, sizeof(step), "%.*s", (int)(end != NULL ? end - path : (long)strlen(path)),
                       path);
        if (H5Lexists(reader->id, step, H5P_DEFAULT) <= 0) {
            return false;
        }
        if (end == NULL) {
            return true;
        }
    }
}

static lo_status open_dataset(const lo_h5_reader *reader, const char *path, hid_t *id, int *rank,
                              hsize_t *dims, lo_error *err)
{
    *id = H5Dopen2(reader->id, path, H5P_DEFAULT);
    if (*id < 0) {
        (void)H5Eclear2(H5E_DEFAULT);
        return lo_fail(err, LO_DATA, "%s: has no dataset %s", reader->file, path);
    }
    const hid_t space = H5Dget_space(*id);
    *rank = H5Sget_simple_extent_ndims(space);
    dims[0] = dims[1] = 1;
    if (*rank >= 1 && *rank <= LO_H5_MAX_RANK) {
        (void)H5Sget_simple_extent_dims(space, dims, NULL);
    }
    (void)H5Sclose(space);
    if (*rank < 1 || *rank > LO_H5_MAX_RANK) {
        (void)H5Dclose(*id);
        return lo_fail(err, LO_DATA, "%s: %s has %d dimensions; 1 or 2 are expected", reader->file, path,
                       *rank);
    }
    return LO_OK;
}

lo_status lo_h5_sizes(const lo_h5_reader *reader, const char *path, int64_t *rows, int64_t *row_items,
                      lo_error *err)
{
    hid_t id;
    int rank = 1;
    hsize_t dims[LO_H5_MAX_RANK];
    LO_TRY(open_dataset(reader, path, &id, &rank, dims, err));
    (void)H5Dclose(id);
    *rows = (int64_t)dims[0];
    *row_items = (int64_t)dims[1];
    return LO_OK;
}

lo_status lo_h5_read(const lo_h5_reader *reader, const char *path, lo_h5_type type, int64_t first,
                     int64_t count, void *data, lo_error *err)
{
    if (count == 0) {
        return LO_OK;
    }
    hid_t id;
    int rank = 1;
    hsize_t dims[LO_H5_MAX_RANK];
    LO_TRY(open_dataset(reader, path, &id, &rank, dims, err));
    lo_status status = LO_OK;
    const hid_t stored = H5Dget_type(id);
    if (H5Tequal(stored, file_type(type)) <= 0) {
        status = lo_fail(err, LO_DATA, "%s: %s is of another type than expected", reader->file, path);
    } else if (first < 0 || first + count > (int64_t)dims[0]) {
        status = lo_fail(err, LO_DATA, "%s: %s has %lld rows; rows %lld to %lld were asked for", reader->file,
                         path, (long long)dims[0], (long long)first, (long long)(first + count));
    } else {
        const hsize_t start[LO_H5_MAX_RANK] = {(hsize_t)first, 0};
        const hsize_t size[LO_H5_MAX_RANK] = {(hsize_t)count, dims[1]};
        const hid_t space = H5Dget_space(id);
        const hid_t memory = H5Screate_simple(rank, size, NULL);
        (void)H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL);
        if (H5Dread(id, file_type(type), memory, space, H5P_DEFAULT, data) < 0) {
            status = fail(err, LO_DATA, reader->file, "read data");
        }
        (void)H5Sclose(memory);
        (void)H5Sclose(space);
    }
    (void)H5Tclose(stored);
    (void)H5Dclose(id);
    return status;
}

lo_status lo_h5_read_all(const lo_h5_reader *reader, const char *path, lo_h5_type type, void **data,
                         int64_t *rows, int64_t *row_items, lo_error *err)
{
    int64_t r;
    int64_t items;
    *data = NULL;
    LO_TRY(lo_h5_sizes(reader, path, &r, &items, err));
    const size_t bytes = (size_t)r * (size_t)items * lo_h5_size(type);
    void *buffer = malloc(bytes > 0 ? bytes : 1);
    if (buffer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the %zu bytes of %s in %s", bytes, path,
                       reader->file);
    }
    const lo_status status = lo_h5_read(reader, path, type, 0, r, buffer, err);
    if (status != LO_OK) {
        free(buffer);
        return status;
    }
    *data = buffer;
    if (rows != NULL) {
        *rows = r;
    }
    if (row_items != NULL) {
        *row_items = items;
    }
    return LO_OK;
}

static lo_status get_attribute(const lo_h5_reader *reader, const char *object, const char *name, hid_t type,
                               void *value, lo_error *err)
{
    const hid_t id = H5Aopen_by_name(reader->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    const bool read = id >= 0 && H5Aread(id, type, value) >= 0;
    if (id >= 0) {
        (void)H5Aclose(id);
    }
    (void)H5Eclear2(H5E_DEFAULT);
    return read ? LO_OK
                : lo_fail(err, LO_DATA, "%s: %s has no readable attribute %s", reader->file, object, name);
}

lo_status lo_h5_get_int(const lo_h5_reader *reader, const char *object, const char *name, int64_t *value,
                        lo_error *err)
{
    return get_attribute(reader, object, name, H5T_STD_I64LE, value, err);
}

lo_status lo_h5_get_real(const lo_h5_reader *reader, const char *object, const char *name, double *value,
                         lo_error *err)
{
    return get_attribute(reader, object, name, H5T_IEEE_F64LE, value, err);
}

lo_status lo_h5_get_text(const lo_h5_reader *reader, const char *object, const char *name, char *value,
                         size_t size, lo_error *err)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, size);
    const lo_status status = get_attribute(reader, object, name, type, value, err);
    (void)H5Tclose(type);
    return status;
}

typedef struct verification {
    const lo_h5_reader *reader;
    int datasets;
    lo_status status;
    lo_error *err;
} verification;

static bool type_of(hid_t stored, lo_h5_type *type)
{
    for (int t = LO_H5_U8; t <= LO_H5_CHARS; t++) {
        if (H5Tequal(stored, file_type((lo_h5_type)t)) > 0) {
            *type = (lo_h5_type)t;
            return true;
        }
    }
    return false;
}

static herr_t verify_object(hid_t root, const char *name, const H5O_info_t *info, void *self)
{
    (void)root;
    verification *v = self;
    if (info->type != H5O_TYPE_DATASET) {
        return 0;
    }
    int64_t expected = 0;
    int64_t rows = 0;
    int64_t items = 0;
    uint32_t crc = 0;
    lo_h5_type type = LO_H5_U8;
    v->status = lo_h5_get_int(v->reader, name, CRC_ATTRIBUTE, &expected, v->err);
    if (v->status == LO_OK) {
        v->status = lo_h5_sizes(v->reader, name, &rows, &items, v->err);
    }
    if (v->status == LO_OK) {
        const hid_t id = H5Dopen2(v->reader->id, name, H5P_DEFAULT);
        const hid_t stored = H5Dget_type(id);
        if (!type_of(stored, &type)) {
            v->status = lo_fail(v->err, LO_DATA, "%s: %s is of a type that leaveout does not write",
                                v->reader->file, name);
        }
        (void)H5Tclose(stored);
        (void)H5Dclose(id);
    }
    if (v->status == LO_OK) {
        v->status = crc_of_rows(v->reader, name, type, items, 0, rows, &crc, v->err);
    }
    if (v->status == LO_OK && crc != (uint32_t)expected) {
        v->status = lo_fail(v->err, LO_DATA, "%s: /%s does not match its checksum", v->reader->file, name);
    }
    v->datasets++;
    return v->status == LO_OK ? 0 : -1;
}

lo_status lo_h5_verify(const lo_h5_reader *reader, int *datasets, lo_error *err)
{
    verification v = {.reader = reader, .err = err};
    const herr_t visited =
        H5Ovisit2(reader->id, H5_INDEX_NAME, H5_ITER_INC, verify_object, &v, H5O_INFO_BASIC);
    *datasets = v.datasets;
    if (visited < 0 && v.status == LO_OK) {
        return fail(err, LO_DATA, reader->file, "list its contents");
    }
    (void)H5Eclear2(H5E_DEFAULT);
    return v.status;
}
