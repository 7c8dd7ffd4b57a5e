/* Between the two halves of preparing a data set: prepare.c chooses, dataset.c writes. For these two only. */
#ifndef LEAVEOUT_DATA_PREPARED_H
#define LEAVEOUT_DATA_PREPARED_H

#include "data/dataset.h"

/* Bytes of an element. */
size_t lo_element_size(lo_element element);

enum { LO_PART_TRAIN, LO_PART_VALIDATION, LO_PART_TEST, LO_PARTS };

/* The examples of one part, ascending by source number. */
typedef struct lo_prepared_part {
    int64_t count;
    int64_t *index;      /* [count] source numbers */
    int32_t *label;      /* [count] as trained on */
    int32_t *label_true; /* [count] as in the sources */
    /* Not owned, by source number: the values of all examples of the source, and its labels of either level
     * (NULL where it has one). */
    const void *source;
    const int32_t *source_fine, *source_coarse;
} lo_prepared_part;

typedef struct lo_prepared {
    lo_shape shape;
    lo_element element;
    int32_t fine_classes;                        /* those of the sources, where they have one level */
    int32_t coarse_classes;                      /* 0: one level */
    bool coarse;                                 /* label is of the coarse level */
    char *const *fine_name, *const *coarse_name; /* or NULL; not owned */
    float *scale, *shift;                        /* [channels] */
    lo_prepared_part part[LO_PARTS];
    uint64_t digest;
} lo_prepared;

/* Writes the file that lo_dataset_open maps. Errors: LO_IO. */
lo_status lo_prepared_write(const lo_prepared *prepared, const char *file, lo_error *err);

#endif
