/* Scores made elsewhere: a file of numbers, one for each training example. */
#ifndef LEAVEOUT_SCORE_EXTERNAL_H
#define LEAVEOUT_SCORE_EXTERNAL_H

#include "base/status.h"
#include "data/dataset.h"
#include "score/scores.h"

/* The score of a name that the table does not have: settings `file` and `orientation`. */
extern const lo_score lo_score_external;

/* Reads an array of numpy of one dimension (.npy) or a text file with one number a line, and of lines with
 * several, separated by commas, the last; a first line that is no number is passed over. value
 * [examples->count]. There are as many numbers as examples in use, in their order; or more, one for each
 * example of the source files, by its number there. NaN: no score. Errors: LO_IO; LO_DATA, which says both
 * numbers where the file is too short, and for infinite ones; LO_INTERNAL without memory. */
lo_status lo_external_read(const char *file, const lo_examples *examples, float *value, lo_error *err);

#endif
