/* Between the two halves of preparing a data set: prepare.c chooses, dataset.c writes. For these two only. */
#ifndef LEAVEOUT_DATA_PREPARED_H
#define LEAVEOUT_DATA_PREPARED_H

#include "data/dataset.h"

enum { LO_PART_TRAIN, LO_PART_VALIDATION, LO_PART_TEST, LO_PARTS };

/* The examples of one part, ascending by source number. */
typedef struct lo_prepared_part {
    int64_t count;
    int64_t *index;      /* [count] source numbers */
    int32_t *label;      /* [count] as trained on */
    int32_t *label_true; /* [count] as in the sources */
    const uint8_t
        *source; /* pixels of all examples of the source, example i at i * shape's size; not owned */
} lo_prepared_part;

typedef struct lo_prepared {
    lo_shape shape;
    int32_t classes;
    float *scale, *shift; /* [channels] */
    lo_prepared_part part[LO_PARTS];
    uint64_t digest;
} lo_prepared;

/* Writes the file that lo_dataset_open maps. Errors: LO_IO. */
lo_status lo_prepared_write(const lo_prepared *prepared, const char *file, lo_error *err);

#endif
