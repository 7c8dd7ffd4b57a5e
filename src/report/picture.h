/* Examples as pictures: PNG inside a data URI. */
#ifndef LEAVEOUT_REPORT_PICTURE_H
#define LEAVEOUT_REPORT_PICTURE_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stdio.h>

/* Can an example of this shape be shown? 1 (grey) or 3 (red, green, blue) channels, and more than one row. */
bool lo_picture_possible(lo_shape shape);

/* The shape it is shown in: `shape`, or scaled down, with its proportions, so that no side is above `side`
 * (>= 1). */
lo_shape lo_picture_shape(lo_shape shape, int side);

/* Writes "data:image/png;base64,..." for the pixels [channels, height, width] of one example, averaged down
 * to lo_picture_shape(shape, side). Errors: LO_INTERNAL without memory, or from libpng. Failed writes are
 * left in the stream's error flag. */
lo_status lo_picture_write(FILE *out, lo_shape shape, const uint8_t *pixel, int side, lo_error *err);

/* Writes `size` bytes in base64 (RFC 4648), padded. */
void lo_base64_write(FILE *out, const uint8_t *data, size_t size);

#endif
