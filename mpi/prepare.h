/* The data set prepared by all ranks together: each decodes a share of the sources, rank 0 writes the file.
 */
#ifndef LEAVEOUT_MPI_PREPARE_H
#define LEAVEOUT_MPI_PREPARE_H

#include "base/status.h"
#include "data/dataset.h"
#include "mpi/run.h"

/* Collective over run->comm. As lo_dataset_prepare, whose bytes it writes whatever the number of ranks.
 * Readers whose work cannot be shared are rank 0's alone. Rank 0 beats its heart and reports progress while
 * images are decoded. spec->read.tick is not used; spec->read.remark is filled on rank 0 only. Errors: the
 * same on all ranks; those of lo_dataset_prepare, and LO_STOPPED when the run is to stop. */
lo_status lo_prepare(lo_run *run, const lo_data_spec *spec, const char *file, lo_error *err);

#endif
