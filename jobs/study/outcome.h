/* The payload of an ensemble model's journal record: what the model did on every example. */
#ifndef LEAVEOUT_JOBS_OUTCOME_H
#define LEAVEOUT_JOBS_OUTCOME_H

#include "base/status.h"
#include "jobs/study/study.h"

#include <stddef.h>
#include <stdint.h>

/* A view into one payload, or room to fill one: sections start at multiples of 8 bytes. */
typedef struct lo_outcome {
    int64_t n_train, n_test;
    uint64_t seed; /* what initial weights and order are keyed by */
    double seconds, test_accuracy, loss;
    int64_t members; /* training examples in the model */
    int64_t diverged;
    char processor[LO_MAX_PROCESSOR];
    uint8_t *mask, *train_correct, *test_correct; /* packed bits */
    float *train_margin, *test_margin;
} lo_outcome;

/* Bytes of packed bits for n examples. */
static inline size_t lo_bit_bytes(int64_t n)
{
    return (size_t)((n + 7) / 8);
}

/* How many of the first n bits are set; those after them are zero. */
static inline int64_t lo_count_bits(const uint8_t *bits, int64_t n)
{
    int64_t count = 0;
    for (size_t b = 0; b < lo_bit_bytes(n); b++) {
        count += __builtin_popcount(bits[b]);
    }
    return count;
}

/* Size of a payload, and the five arrays of `outcome` (whose n_train and n_test are set) pointed into buffer.
 */
size_t lo_outcome_size(int64_t n_train, int64_t n_test);
void lo_outcome_map(lo_outcome *outcome, char *buffer);

/* Writes the fixed part of the payload in front of the arrays. */
void lo_outcome_seal(const lo_outcome *outcome, char *buffer);

/* Reads a payload. Errors: LO_DATA when sizes are not those expected. */
lo_status lo_outcome_read(char *payload, size_t size, int64_t n_train, int64_t n_test, lo_outcome *out,
                          lo_error *err);

#endif
