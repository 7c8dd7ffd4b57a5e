/* The reader of data sets in HDF5 files. It lives here because src knows no HDF5; one process reads, no MPI.
 */
#ifndef LEAVEOUT_MPI_READER_HDF5_H
#define LEAVEOUT_MPI_READER_HDF5_H

#include "data/readers.h"

extern const lo_reader lo_reader_hdf5;

#endif
