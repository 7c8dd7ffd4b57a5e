/* The units that localization chooses among: output channels, or single weights. */
#ifndef LEAVEOUT_UNLEARN_UNITS_H
#define LEAVEOUT_UNLEARN_UNITS_H

#include "nn/network.h"

typedef struct lo_unit {
    size_t start, count; /* elements of a vector of all parameters */
    size_t rows;         /* units of its tensor */
    bool vector;         /* an element of a vector: a bias, a normalization's */
    double score;
} lo_unit;

typedef struct lo_units {
    size_t count;
    lo_unit *unit; /* in the order of the network */
} lo_units;

/* Rows of the tensors [out, rest], of vectors single elements; with `single` rows of convolutions alone, and
 * of all other tensors single elements. LO_INTERNAL without memory; free(units->unit) afterwards. */
lo_status lo_units_make(const lo_network *network, bool single, lo_units *units, lo_error *err);

/* Takes units in the order of their scores, of equal ones the earlier first, while no more than `most`
 * elements are chosen; those with a negative score never. cut: the next one in part. */
void lo_units_choose(lo_units *units, size_t most, bool cut, uint8_t *chosen);

#endif
