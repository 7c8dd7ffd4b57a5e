#include "jobs/study/formats.h"

#include "mpi/reader_hdf5.h"

#include <string.h>

int lo_format_count(void)
{
    return lo_reader_count() + 1;
}

const lo_reader *lo_format_at(int i)
{
    return i < lo_reader_count() ? lo_reader_at(i) : &lo_reader_hdf5;
}

const lo_reader *lo_format_find(const char *name)
{
    for (int i = 0; i < lo_format_count(); i++) {
        if (strcmp(lo_format_at(i)->name, name) == 0) {
            return lo_format_at(i);
        }
    }
    return NULL;
}
