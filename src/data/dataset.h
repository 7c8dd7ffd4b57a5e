/* The prepared data set: decoded once, one file in the study's cache, mapped read-only by every rank. */
#ifndef LEAVEOUT_DATA_DATASET_H
#define LEAVEOUT_DATA_DATASET_H

#include "base/status.h"
#include "base/tick.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lo_shape {
    int32_t channels, height, width;
} lo_shape;

static inline size_t lo_shape_size(lo_shape shape)
{
    return (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width;
}

/* What examples are made of. Values are part of the prepared file. */
typedef enum lo_element {
    LO_PIXELS = 0,  /* uint8, 0 .. 255 */
    LO_FEATURES = 1 /* float32, finite */
} lo_element;

/* Some examples in the order of their source numbers. All pointers lead into the mapped file. */
typedef struct lo_examples {
    int64_t count;
    const uint8_t *pixel;      /* [count, channels, height, width], or NULL where they are features */
    const int32_t *label;      /* [count], as trained on: label noise included */
    const int32_t *label_true; /* [count], as in the source files */
    const int64_t *index;      /* [count], number in the source files */
    const float *feature;      /* [count, channels, height, width], or NULL where they are pixels */
    /* [count], as in the source files; NULL where those have one level of classes. One of the two is
     * label_true. */
    const int32_t *label_fine, *label_coarse;
} lo_examples;

/* A vector of d features has the shape d x 1 x 1: each is a channel, with its own scale and shift. */
typedef struct lo_dataset {
    lo_shape shape;
    int32_t classes;
    int32_t fine_classes, coarse_classes; /* of label_fine and label_coarse; 0: one level of classes */
    const float *scale; /* [channels]: a network's input is pixel (or feature) * scale + shift; unless the */
    const float *shift; /* [channels]  spec says otherwise, of mean 0 and standard deviation 1 over the
                         * training examples in use */
    lo_examples train, validation, test;
    uint64_t digest; /* of the keys that made it: see lo_data_spec */
    /* [classes], [fine_classes], [coarse_classes]; UTF-8; NULL: the sources name none. They lead into the
     * map.
     */
    const char *const *class_name, *const *fine_name, *const *coarse_name;
    const char **names; /* what those three point into; owned */
    void *map;          /* owned; released by lo_dataset_close */
    size_t map_size;
} lo_dataset;

struct lo_reader;

/* What a reader passed over, for the user to know. */
typedef struct lo_read_remark {
    int64_t hidden, other; /* files: names that begin with a dot; of no kind that the reader reads */
    int64_t unreadable;    /* examples left out */
    char named[1536];      /* the first of these, and why; "" for none */
} lo_read_remark;

/* Where the channels of images are, which are arrays of four dimensions. Automatic: where 1 or 3 stands. */
typedef enum lo_layout { LO_LAYOUT_AUTO, LO_CHANNELS_FIRST, LO_CHANNELS_LAST } lo_layout;

/* Are the first lines of tables names of columns? Automatic: if a feature in them is no number. */
typedef enum lo_header { LO_HEADER_AUTO, LO_HEADER_PRESENT, LO_HEADER_ABSENT } lo_header;

/* What only some readers ask. */
typedef struct lo_read_options {
    const char *scratch;      /* directory for what must be decoded, a file that is gone when the program is;
                               * NULL: TMPDIR, or /tmp */
    lo_layout layout;         /* npy, hdf5 */
    lo_header header;         /* csv */
    const char *label_column; /* csv: a name in the header, a number from 1, or "last", as is NULL */
    int32_t first_index;      /* svmlight: what the first feature is numbered, 0 or 1 */
    int32_t resize_height, resize_width; /* scale images to this size; 0: they must have one size */
    int64_t max_unreadable;              /* so many unreadable images are left out; more are refused */
    const lo_tick *tick;                 /* or NULL */
    lo_read_remark *remark;              /* filled in by readers that pass over anything, or NULL */
} lo_read_options;

/* What to prepare: the job's data section, resolved. Strings are owned by the caller. */
typedef struct lo_data_spec {
    const struct lo_reader *reader;  /* how the sources are written */
    lo_read_options read;            /* scratch NULL: the directory of the prepared file */
    const char *path;                /* file or directory */
    int64_t train_limit, test_limit; /* 0: all; else a seeded, class-stratified sample */
    double validation;  /* share of the (limited) training set held back, stratified, in [0, 1) */
    double label_noise; /* share of the training labels replaced by another class, in [0, 1) */
    bool raw;           /* features as they are, pixels / 255, instead of standardized */
    bool coarse;        /* the coarse labels are trained on, where the sources have two levels */
    uint64_t seed;
    uint64_t digest; /* stored in the file and checked when it is opened */
} lo_data_spec;

/* Reads the sources, applies limit, validation split and noise, and writes the prepared data set to `file`
 * (as file.part.PID, synced, renamed). Two processes may do so at once: the bytes are equal.
 * Errors: LO_DATA with file, position, what was found and what is allowed; LO_USAGE for a limit larger than
 * the data, values out of range, no reader, coarse labels where there are none, fewer than 2 training
 * examples left, or noise with one class; LO_IO. Memory: about 60 bytes an example; examples are mapped, or
 * pass through buffers. */
lo_status lo_dataset_prepare(const lo_data_spec *spec, const char *file, lo_error *err);

struct lo_source;

/* The same in steps, for those who read the sources themselves. Errors of the first: LO_USAGE for what can be
 * seen before anything is read. */
lo_status lo_data_spec_check(const lo_data_spec *spec, lo_error *err);
lo_status lo_dataset_prepare_source(const lo_data_spec *spec, const struct lo_source *source,
                                    const char *file, lo_error *err);

/* Maps a prepared data set read-only. Errors: LO_IO if it cannot be opened; LO_DATA if it is damaged (sizes,
 * magic, checksum of the header), of another format version, or made from other keys than `digest`. The
 * caller closes it. */
lo_status lo_dataset_open(const char *file, uint64_t digest, lo_dataset *out, lo_error *err);

/* Reads the whole file and compares every checksum. Errors: as of lo_dataset_open, and LO_DATA for damaged
 * content. */
lo_status lo_dataset_verify(const char *file, lo_error *err);

/* Unmaps; accepts a zeroed struct. */
void lo_dataset_close(lo_dataset *dataset);

#endif
