/* The payload of an original's journal record: how its training went. Its weights are files of their own. */
#ifndef LEAVEOUT_JOBS_ORIGINAL_H
#define LEAVEOUT_JOBS_ORIGINAL_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "nn/training.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a log says about every example: bits. Gradients come with the rest only. */
enum { LO_LOGGED_OUTPUTS = 1, LO_LOGGED_GRADIENTS = 2 };

/* A view into one payload, or room to fill one: arrays start at multiples of 8 bytes. */
typedef struct lo_original {
    int64_t n, epochs; /* training examples; epochs of the recipe */
    unsigned logged;   /* what the log has about examples: LO_LOGGED_... */
    uint64_t seed;     /* what initial weights and order are keyed by */
    double seconds, test_accuracy;
    int64_t diverged;
    char processor[LO_MAX_PROCESSOR];
    lo_training_log log;
    double *weight_norm; /* [epochs]: the norm of all weights after each; NaN where nobody looked */
} lo_original;

/* Size of a payload, and the log of `original` (whose n, epochs and logged are set) pointed into buffer. */
size_t lo_original_size(int64_t n, int64_t epochs, unsigned logged);
void lo_original_map(lo_original *original, char *buffer);

/* Nobody has looked at a quantity of the examples, or with NULL at the norms: sets it to NaN. */
void lo_original_without(lo_original *original, float *quantity);

/* Writes the fixed part of the payload in front of the arrays. */
void lo_original_seal(const lo_original *original, char *buffer);

/* Reads a payload, which must have room for lo_original_size: one of an early version is
 * shorter, and is filled up with NaN. Errors: LO_DATA when it is not of these sizes; a log of examples may be
 * there unasked, but not lack. */
lo_status lo_original_read(char **payload, size_t size, int64_t n, int64_t epochs, unsigned logged,
                           lo_original *out, lo_error *err);

/* What the job, or a score that it lists, wants its originals' logs to say about every example. */
unsigned lo_originals_logged(const lo_job *job);

/* Where weights are: after `epochs` (a checkpoint), or with 0 those at the end. */
void lo_original_path(const char *study, int64_t seed, int64_t epochs, char *path, size_t size);

/* Are all weights of an original that the job wants there, sound, and of its keys? Errors as
 * lo_check_weights. */
lo_status lo_original_check(const char *study, const lo_job *job, int64_t seed, lo_error *err);

#endif
