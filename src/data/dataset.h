/* The prepared data set: decoded once, one file in the study's cache, mapped read-only by every rank. */
#ifndef LEAVEOUT_DATA_DATASET_H
#define LEAVEOUT_DATA_DATASET_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lo_shape {
    int32_t channels, height, width;
} lo_shape;

static inline size_t lo_shape_size(lo_shape shape)
{
    return (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width;
}

/* Some examples in the order of their source numbers. All pointers lead into the mapped file. */
typedef struct lo_examples {
    int64_t count;
    const uint8_t *pixel;      /* [count, channels, height, width], 0 .. 255 */
    const int32_t *label;      /* [count], as trained on: label noise included */
    const int32_t *label_true; /* [count], as in the source files */
    const int64_t *index;      /* [count], number in the source files */
} lo_examples;

typedef struct lo_dataset {
    lo_shape shape;
    int32_t classes;
    const float *scale; /* [channels]: a network's input is pixel * scale + shift, which has mean 0 and */
    const float *shift; /* [channels]  standard deviation 1 over the training examples in use */
    lo_examples train, validation, test;
    uint64_t digest; /* of the keys that made it: see lo_data_spec */
    void *map;       /* owned; released by lo_dataset_close */
    size_t map_size;
} lo_dataset;

/* What to prepare: the job's data section, resolved. Strings are owned by the caller. */
typedef struct lo_data_spec {
    const char *format;              /* a reader's name: "idx" */
    const char *path;                /* file or directory */
    int64_t train_limit, test_limit; /* 0: all; else a seeded, class-stratified sample */
    double validation;  /* share of the (limited) training set held back, stratified, in [0, 1) */
    double label_noise; /* share of the training labels replaced by another class, in [0, 1) */
    uint64_t seed;
    uint64_t digest; /* stored in the file and checked when it is opened */
} lo_data_spec;

/* Reads the sources, applies limit, validation split and noise, and writes the prepared data set to `file`
 * (as file.part.PID, synced, renamed). Two processes may do so at once: the bytes are equal.
 * Errors: LO_DATA with file, position, what was found and what is allowed; LO_USAGE for a limit larger than
 * the data, values out of range, an unknown format, fewer than 2 training examples left, or noise with one
 * class; LO_IO. */
lo_status lo_dataset_prepare(const lo_data_spec *spec, const char *file, lo_error *err);

/* Maps a prepared data set read-only. Errors: LO_IO if it cannot be opened; LO_DATA if it is damaged (sizes,
 * magic, checksum of the header) or made from other keys than `digest`. The caller closes it. */
lo_status lo_dataset_open(const char *file, uint64_t digest, lo_dataset *out, lo_error *err);

/* Reads the whole file and compares every checksum. Errors: as of lo_dataset_open, and LO_DATA for damaged
 * content. */
lo_status lo_dataset_verify(const char *file, lo_error *err);

/* Unmaps; accepts a zeroed struct. */
void lo_dataset_close(lo_dataset *dataset);

#endif
