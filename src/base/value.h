/* Values of job keys: from YAML nodes, checked against the table, and back to text. A part of the job file's
 * reader. */
#ifndef LEAVEOUT_BASE_VALUE_H
#define LEAVEOUT_BASE_VALUE_H

#include "base/job.h"
#include "base/tree.h"

/* What a key holds. Which members are used depends on the key's type. */
typedef struct lo_value {
    bool given;      /* in the file or by an override, not by default */
    int64_t integer; /* INT, BOOL */
    double real;
    char *text;      /* TEXT, CHOICE; LAYERS and ITEMS, with line breaks where the file has them */
    char *file;      /* LAYERS, ITEMS: the file of those lines */
    int64_t count;   /* of ints, reals, texts or items */
    int64_t *ints;   /* INTS, INTS_OR_FILE */
    double *reals;   /* REALS */
    char **texts;    /* TEXTS, NAMES */
    char *canonical; /* as YAML, one text for equal values; NULL: there is no value */
    char *standard;  /* the default, likewise */
} lo_value;

/* The job file that is being read, and where its first error goes. */
typedef struct lo_reading {
    const char *file;
    lo_error *err;
} lo_reading;

/* What a node means to a key, into a zeroed value; the caller clears it, after an error too. Errors as
 * lo_job_read. */
lo_status lo_value_convert(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node,
                           lo_value *out);

/* The value as YAML, the same text for equal values; malloc'ed, NULL without memory. */
char *lo_value_text(const lo_key *key, const lo_value *v);

/* Releases what a value owns and zeroes it. */
void lo_value_clear(lo_value *v);

/* "PLACE: KEY: found WHAT; allowed: ...", where `node` is what was found. Returns LO_USAGE. */
lo_status lo_refuse_node(const lo_reading *r, const lo_key *key, lo_place place, const lo_node *node);

/* The error of a failed allocation. */
lo_status lo_fail_memory(const lo_reading *r);

/* Is word one of the space-separated words? */
bool lo_in_words(const char *word, const char *words);

#endif
