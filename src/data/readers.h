/* Readers of data sets in the formats they come in. A new format is one file, reader_NAME.c, and one line in
 * the table of readers.c. */
#ifndef LEAVEOUT_DATA_READERS_H
#define LEAVEOUT_DATA_READERS_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The examples of one part of the sources, decoded; example i has source number i. Values are mapped where
 * the source's layout allows it, and go through a spool (data/spool.h) where it does not: sets may be larger
 * than memory. */
typedef struct lo_source_part {
    int64_t count;
    const uint8_t *pixel;  /* [count, channels, height, width] of pixels, */
    const float *feature;  /* or of finite features; the other is NULL */
    int32_t *label;        /* [count], 0 .. classes-1; malloc'ed, owned */
    int32_t *label_coarse; /* [count], 0 .. coarse_classes-1, or NULL; malloc'ed, owned */
    bool *missing; /* [count], or NULL: none; those left out, whose values mean nothing. malloc'ed, owned */
    void *map;     /* what pixel or feature lies in; unmapped when it is released */
    size_t map_size;
} lo_source_part;

/* What a reader delivers. Zeroed before it is read; released by lo_source_free, after an error too. */
typedef struct lo_source {
    lo_element element;
    lo_shape shape;
    int32_t classes;
    int32_t coarse_classes; /* 0: one level of classes */
    char **class_name;      /* [classes] or NULL; see lo_source_name for what is allowed. malloc'ed, owned */
    char **coarse_name;     /* [coarse_classes] or NULL; likewise */
    lo_source_part train, test;
} lo_source;

typedef struct lo_shared_read lo_shared_read;

typedef struct lo_reader {
    const char *name;        /* the job's data.format */
    const char *description; /* one line */
    /* Reads everything under `path` into the zeroed `out`. Guarantees: both parts have examples, all of out's
     * shape, every label is below classes, and features are finite. Errors: LO_DATA with file, position or
     * record, what was found and what is allowed; LO_IO for what cannot be opened or read; LO_INTERNAL when
     * there is no memory. */
    lo_status (*read)(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
    /* The same in pieces that processes can share (data/sharing.h); NULL: one process reads. */
    const lo_shared_read *shared;
} lo_reader;

int lo_reader_count(void);
const lo_reader *lo_reader_at(int i);

/* NULL if there is none of that name. */
const lo_reader *lo_reader_find(const char *name);

/* Gives out the names of `count` classes: an array of that many places, all NULL. Owned by the source, which
 * frees it. NULL: no memory. */
char **lo_source_names(int32_t count);

/* Sets names[i] to `length` bytes of text. Allowed are 1 to LO_MAX_CLASS_NAME bytes of UTF-8 without control
 * characters; false if they are not, or without memory. */
enum { LO_MAX_CLASS_NAME = 127 };
bool lo_source_name(char **names, int32_t i, const char *text, size_t length);
bool lo_source_name_allowed(const char *text, size_t length);

/* Releases the parts and zeroes the struct; accepts a zeroed one. */
void lo_source_free(lo_source *source);

/* The readers, for the table only. */
lo_status lo_read_idx(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_cifar10(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_cifar100(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_npy(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_csv(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_svmlight(const char *path, const lo_read_options *options, lo_source *out, lo_error *err);
lo_status lo_read_image_folder(const char *path, const lo_read_options *options, lo_source *out,
                               lo_error *err);
extern const lo_shared_read lo_shared_image_folder;

#endif
