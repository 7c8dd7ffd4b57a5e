/* The readers of every format that data.format can name: those of src, and those that need HDF5. */
#ifndef LEAVEOUT_JOBS_FORMATS_H
#define LEAVEOUT_JOBS_FORMATS_H

#include "data/readers.h"

int lo_format_count(void);
const lo_reader *lo_format_at(int i);

/* NULL if there is none of that name. */
const lo_reader *lo_format_find(const char *name);

#endif
