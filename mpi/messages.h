/* What messages take between the ranks of this run: for predictions. */
#ifndef LEAVEOUT_MPI_MESSAGES_H
#define LEAVEOUT_MPI_MESSAGES_H

#include "base/status.h"

#include <mpi.h>

typedef struct lo_messages {
    double one_way;     /* seconds of a small message, rank 0 to the last one */
    double each;        /* seconds that rank 0 spends on one of many small messages from all others */
    double reduce_rate; /* bytes a second and rank that move in an MPI_Allreduce of some megabytes */
} lo_messages;

/* Collective over comm, which has two ranks or more. Takes about a tenth of a second on few ranks. Errors:
 * LO_INTERNAL without memory. */
lo_status lo_measure_messages(MPI_Comm comm, lo_messages *out, lo_error *err);

#endif
