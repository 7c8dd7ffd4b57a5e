/* Examples that are left out together: one, or a group. */
#ifndef LEAVEOUT_ATTRIBUTE_LEFT_OUT_H
#define LEAVEOUT_ATTRIBUTE_LEFT_OUT_H

#include <stdint.h>

typedef struct lo_left_out {
    int64_t count;
    const int64_t *member; /* [count], positions, ascending */
} lo_left_out;

/* Sums over examples are taken in blocks of this many, so that shards that begin at its multiples give equal
 * bits. */
enum { LO_ATTRIBUTE_GRAIN = 64 };

#endif
