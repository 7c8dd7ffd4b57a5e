/* Examples that are in the training set and in the test or validation set too, byte for byte: what is
 * measured on them says nothing of examples never seen. Labels are not looked at. */
#ifndef LEAVEOUT_DATA_TWINS_H
#define LEAVEOUT_DATA_TWINS_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdint.h>

enum { LO_TWINS_SHOWN = 4 };

/* Of one set: how many of its examples are in the training set, and the first of them, as numbers in the
 * source files: its own and that of the first training example that equals it. */
typedef struct lo_twins {
    int64_t count;
    int64_t own[LO_TWINS_SHOWN], train[LO_TWINS_SHOWN]; /* min(count, LO_TWINS_SHOWN) */
} lo_twins;

/* Local; the same wherever it is called. Every byte of the data set is read once, those of examples that look
 * alike again: about a second a gigabyte, and 16 bytes of memory a training example. Errors: LO_INTERNAL
 * without memory. */
lo_status lo_find_twins(const lo_dataset *data, lo_twins *test, lo_twins *validation, lo_error *err);

/* "test 7 is training 12, test 9 is training 3, ...": the first pairs, for a message. part: "test". */
void lo_twins_text(const lo_twins *overlap, const char *part, char *out, size_t size);

#endif
