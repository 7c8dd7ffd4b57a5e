/* Labels of any kind, numbers or names, turned into classes 0, 1, ... in sorted order. */
#ifndef LEAVEOUT_DATA_CLASSES_H
#define LEAVEOUT_DATA_CLASSES_H

#include "base/status.h"
#include "data/readers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LO_MAX_LABELS = 1 << 16 };

typedef struct lo_classes {
    char **text; /* [count] the labels, in the order in which they came */
    int32_t count, room;
    int32_t *slot; /* [slots] hash table: number of a label plus one, or 0 */
    int32_t slots; /* a power of two */
} lo_classes;

/* The number of a label, in the order of their first appearance, into *number; one that is new is added, or,
 * if `known`, refused: the training examples are read first, and test examples may have no other labels than
 * they. `where` begins the error's text (FILE:LINE). Texts are as lo_source_name allows. Numbers may be
 * written in any way ("+1", "1.0"), but must be whole. Errors: LO_DATA, LO_INTERNAL. */
lo_status lo_classes_number(lo_classes *classes, const char *where, const char *text, size_t length,
                            bool known, int32_t *number, lo_error *err);

/* When both parts have been read, with labels as they were numbered: sorts the labels, by value where all are
 * numbers and by their bytes where not, and numbers those of `source` in that order. Sets classes, and
 * class_name unless the labels are just 0 .. classes-1. Errors: LO_INTERNAL. */
lo_status lo_classes_settle(lo_classes *classes, lo_source *source, lo_error *err);

/* Accepts a zeroed struct. */
void lo_classes_free(lo_classes *classes);

#endif
