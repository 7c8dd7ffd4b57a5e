/* A request to forget: who is to be forgotten, and who is remembered. */
#ifndef LEAVEOUT_UNLEARN_REQUEST_H
#define LEAVEOUT_UNLEARN_REQUEST_H

#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

/* One request: who is to be forgotten. Positions in dataset->train, ascending, disjoint; together they are
 * what the original was trained on and is still remembered (in a sequence of requests the former forget sets
 * are in neither). */
typedef struct lo_request {
    const lo_dataset *dataset;
    const char *name; /* of the forget set */
    const uint32_t *forget, *retain;
    int64_t forget_count, retain_count;
    bool whole_class;    /* the forget set is all examples of some classes (for class removal) */
    uint64_t seed;       /* the job's */
    uint64_t run;        /* what this run's random numbers are keyed by: original, seed of the run, ... */
    const double *score; /* [dataset->train.count], larger: more memorized (orientation applied): what rum and
                          * others split by; NULL: none */
    const struct lo_score *rescore; /* what is to be split by instead, computed anew of the network that the
                                     * method begins with (unlearn/rescore.h); NULL: score */
    const struct lo_item *rescore_settings; /* of that */
    const struct lo_request *whole; /* the request that this one is a part of, where a method (rum) hands
                                     * parts to others; NULL for those that a job makes */
} lo_request;

/* Which sets a method reads. */
enum { LO_READS_FORGET = 1, LO_READS_RETAIN = 2, LO_READS_VALIDATION = 4 };

/* Which examples: the training set's, or the validation set's. */
typedef enum lo_set { LO_SET_FORGET, LO_SET_RETAIN, LO_SET_VALIDATION, LO_SETS } lo_set;

#endif
