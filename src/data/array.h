/* Examples that are the rows of an array, [n, d], [n, height, width], [n, height, width, channels] or [n,
 * channels, height, width], whatever file they are in, and their labels, an array of whole numbers. */
#ifndef LEAVEOUT_DATA_ARRAY_H
#define LEAVEOUT_DATA_ARRAY_H

#include "base/status.h"
#include "data/classes.h"
#include "data/readers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LO_ARRAY_DIMENSIONS = 4, LO_ARRAY_CHUNK = 1 << 20 /* bytes that are converted at a time */ };

/* An array as its file describes it. */
typedef struct lo_array {
    const char *name; /* for errors: the file, and what in it */
    int dimensions;   /* 1 to 4 */
    int64_t dimension[LO_ARRAY_DIMENSIONS];
} lo_array;

/* Sets element and shape of `out` from the training array, or, if out has a shape, compares; *channels_last
 * says how a row lies in the file. Errors: LO_DATA for dimensions that no examples have; LO_USAGE where only
 * data.layout can tell. */
lo_status lo_array_shape(const lo_array *x, lo_element element, lo_layout layout, lo_source *out,
                         bool *channels_last, lo_error *err);

/* `rows` rows from the file into `to`: channels first. */
void lo_array_channels_first(lo_shape shape, lo_element element, int64_t rows, const void *from, void *to);

/* Features must be finite. `first` is the number of the first of the rows. Errors: LO_DATA with the row. */
lo_status lo_array_check_finite(const lo_array *x, int64_t first, int64_t rows, size_t features,
                                const float *value, lo_error *err);

/* One label for every example: an array [n], or [n, 1]? Errors: LO_DATA. */
lo_status lo_array_labels(const lo_array *y, const lo_array *x, lo_error *err);

/* Numbers the labels of `part`, whose count and label[] are made here; see lo_classes_number. Errors:
 * LO_DATA, LO_INTERNAL. */
lo_status lo_array_classes(const lo_array *y, const int64_t *value, bool test, lo_classes *classes,
                           lo_source_part *part, lo_error *err);

#endif
