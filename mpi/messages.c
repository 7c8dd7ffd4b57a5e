#include "mpi/messages.h"

#include "base/clock.h"
#include "mpi/agree.h"

#include <stdlib.h>

enum { TAG = 7, SMALL = 64, ROUNDS = 200 };

/* There and back between rank 0 and the last one. The first rounds make the connection. */
static double measure_one_way(MPI_Comm comm, int rank, int ranks)
{
    enum { WARM_UP = 20 };
    char text[SMALL] = {0};
    double start = 0;
    for (int i = 0; i < WARM_UP + ROUNDS; i++) {
        start = i == WARM_UP ? lo_clock_monotonic() : start;
        if (rank == 0) {
            MPI_Send(text, SMALL, MPI_BYTE, ranks - 1, TAG, comm);
            MPI_Recv(text, SMALL, MPI_BYTE, ranks - 1, TAG, comm, MPI_STATUS_IGNORE);
        } else if (rank == ranks - 1) {
            MPI_Recv(text, SMALL, MPI_BYTE, 0, TAG, comm, MPI_STATUS_IGNORE);
            MPI_Send(text, SMALL, MPI_BYTE, 0, TAG, comm);
        }
    }
    return (lo_clock_monotonic() - start) / (2 * ROUNDS);
}

/* All others send to rank 0, which takes what is there, as the farm does. */
static double measure_each(MPI_Comm comm, int rank, int ranks)
{
    char text[SMALL] = {0};
    MPI_Barrier(comm);
    const double start = lo_clock_monotonic();
    for (int i = 0; i < ROUNDS && rank > 0; i++) {
        MPI_Send(text, SMALL, MPI_BYTE, 0, TAG, comm);
    }
    for (int i = 0; i < ROUNDS * (ranks - 1) && rank == 0; i++) {
        MPI_Recv(text, SMALL, MPI_BYTE, MPI_ANY_SOURCE, TAG, comm, MPI_STATUS_IGNORE);
    }
    return (lo_clock_monotonic() - start) / (ROUNDS * (double)(ranks - 1));
}

static double measure_reduction(MPI_Comm comm, int ranks, double *values, double *sums, int count)
{
    double start = 0;
    enum { REPEATS = 3 };
    for (int i = 0; i <= REPEATS; i++) { /* the first touches the memory */
        start = i == 1 ? lo_clock_monotonic() : start;
        MPI_Allreduce(values, sums, count, MPI_DOUBLE, MPI_SUM, comm);
    }
    const double seconds = (lo_clock_monotonic() - start) / REPEATS;
    return 2 * (double)count * sizeof(double) * (ranks - 1) / ranks / seconds;
}

lo_status lo_measure_messages(MPI_Comm comm, lo_messages *out, lo_error *err)
{
    enum { VALUES = 1 << 19 };
    int rank;
    int ranks;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    double *values = calloc(VALUES, sizeof(*values));
    double *sums = calloc(VALUES, sizeof(*sums));
    const lo_status made = values != NULL && sums != NULL
                               ? LO_OK
                               : lo_fail(err, LO_INTERNAL, "no memory to measure reductions with");
    const lo_status status = lo_agree(comm, made, err);
    *out = (lo_messages){0};
    if (status == LO_OK) {
        out->one_way = measure_one_way(comm, rank, ranks);
        out->each = measure_each(comm, rank, ranks);
        out->reduce_rate = measure_reduction(comm, ranks, values, sums, VALUES);
        MPI_Bcast(out, sizeof(*out), MPI_BYTE, 0, comm);
    }
    free(values);
    free(sums);
    return status;
}
