#include "data/readers.h"

#include <stdlib.h>
#include <string.h>

static const lo_reader readers[] = {
    {"idx", "MNIST's files of images and labels, plain or gzip, in one directory", lo_read_idx},
};

int lo_reader_count(void)
{
    return (int)(sizeof(readers) / sizeof(readers[0]));
}

const lo_reader *lo_reader_at(int i)
{
    return &readers[i];
}

const lo_reader *lo_reader_find(const char *name)
{
    for (int i = 0; i < lo_reader_count(); i++) {
        if (strcmp(readers[i].name, name) == 0) {
            return &readers[i];
        }
    }
    return NULL;
}

void lo_source_free(lo_source *source)
{
    free(source->train.pixel);
    free(source->train.label);
    free(source->test.pixel);
    free(source->test.label);
    *source = (lo_source){0};
}
