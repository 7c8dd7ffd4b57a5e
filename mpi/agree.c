#include "mpi/agree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A stop is no failure: of two ranks, one stopped and one with a broken disk, the disk is what to report. */
static int gravity(lo_status status)
{
    return status == LO_STOPPED ? 1 : (int)status;
}

lo_status lo_agree(MPI_Comm comm, lo_status status, lo_error *err)
{
    struct {
        int gravity;
        int rank;
    } mine = {gravity(status), 0}, worst;
    MPI_Comm_rank(comm, &mine.rank);
    /* MAXLOC takes the lowest rank among equals. */
    MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, comm);
    const lo_status agreed = worst.gravity == 1 ? LO_STOPPED : (lo_status)worst.gravity;
    if (agreed != LO_OK) {
        lo_error text = {{0}};
        if (err != NULL) {
            text = *err;
        }
        MPI_Bcast(text.text, sizeof(text.text), MPI_CHAR, worst.rank, comm);
        if (err != NULL) {
            *err = text;
        }
    }
    return agreed;
}

void lo_broadcast_pieces(MPI_Comm comm, void *data, size_t size, size_t piece)
{
    char *at = data;
    while (size > 0) {
        const size_t now = size < piece ? size : piece;
        MPI_Bcast(at, (int)now, MPI_BYTE, 0, comm);
        at += now;
        size -= now;
    }
}

void lo_broadcast(MPI_Comm comm, void *data, size_t size)
{
    lo_broadcast_pieces(comm, data, size, 1 << 30);
}

lo_status lo_broadcast_buffer(MPI_Comm comm, char **data, size_t *size, lo_error *err)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    uint64_t bytes = rank == 0 ? *size : 0;
    MPI_Bcast(&bytes, 1, MPI_UINT64_T, 0, comm);
    lo_status status = LO_OK;
    if (rank != 0) {
        *data = malloc(bytes + 1);
        if (*data == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for a broadcast of %llu bytes",
                             (unsigned long long)bytes);
        } else {
            (*data)[bytes] = '\0';
        }
        *size = bytes;
    }
    status = lo_agree(comm, status, err);
    if (status != LO_OK) {
        if (rank != 0) {
            free(*data);
            *data = NULL;
        }
        return status;
    }
    lo_broadcast(comm, *data, bytes);
    return LO_OK;
}

void lo_shard(int64_t total, int64_t grain, int rank, int ranks, int64_t *first, int64_t *count)
{
    const int64_t grains = (total + grain - 1) / grain;
    const int64_t from = grains * rank / ranks * grain;
    int64_t to = grains * (rank + 1) / ranks * grain;
    if (to > total) {
        to = total;
    }
    *first = from < total ? from : total;
    *count = to > *first ? to - *first : 0;
}
