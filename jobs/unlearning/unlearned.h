/* The payload of a record of stage unlearning: what a model did on every example, and what it took to make
 * it. */
#ifndef LEAVEOUT_JOBS_UNLEARNED_H
#define LEAVEOUT_JOBS_UNLEARNED_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "unlearn/request.h"

#include <stddef.h>
#include <stdint.h>

enum { LO_PARTS = 3, LO_REASON = 128 };

/* The headline number of a record without a model: one that no accuracy is. */
#define LO_NOTHING_MADE (-1.0)

/* A view into one payload, or room to fill one. */
typedef struct lo_unlearned {
    int64_t classes, n[LO_PARTS]; /* examples: training, validation, test */
    double seconds;               /* of the method, or of the oracle's training; an original's: 0 */
    int64_t shown[LO_SETS];       /* examples that it read of each set, each time counted */
    int64_t diverged;
    int64_t applies;        /* 0: the method cannot treat this request or network, and there is no model */
    char reason[LO_REASON]; /* then why */
    char processor[LO_MAX_PROCESSOR];
    float *logits[LO_PARTS]; /* [n, classes], evaluation mode */
} lo_unlearned;

/* Size of a payload, and its arrays (classes, n and applies are set) pointed into buffer. */
size_t lo_unlearned_size(const lo_unlearned *model);
void lo_unlearned_map(lo_unlearned *model, char *buffer);

/* Writes the fixed part in front of the arrays. */
void lo_unlearned_seal(const lo_unlearned *model, char *buffer);

/* Reads a payload. Errors: LO_DATA when it is not of this data set's sizes. */
lo_status lo_unlearned_read(char *payload, size_t size, const lo_dataset *data, lo_unlearned *out,
                            lo_error *err);

/* The examples of a part, and a model of their sizes without anything else. */
const lo_examples *lo_part(const lo_dataset *data, int part);
lo_unlearned lo_unlearned_make(const lo_dataset *data);

#endif
