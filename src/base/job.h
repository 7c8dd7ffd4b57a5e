/* The job file: YAML read against one table of keys. What `leaveout check`, --help, the effective job and the
 * digests of the stages know about keys comes from that table (lo_keys in base/keys.c). */
#ifndef LEAVEOUT_BASE_JOB_H
#define LEAVEOUT_BASE_JOB_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Which results a key changes. A stage's digest covers its own keys and those of the groups it builds on. */
typedef enum lo_key_group {
    LO_KEYS_NONE,        /* no result: train.checkpoint_minutes, reproducible, ... */
    LO_KEYS_DATA,        /* seed, data.* */
    LO_KEYS_RECIPE,      /* model.*, train.*, isa; builds on data */
    LO_KEYS_ENSEMBLE,    /* ensemble.*; builds on recipe */
    LO_KEYS_SCORES,      /* builds on ensemble */
    LO_KEYS_INFLUENCE,   /* builds on ensemble */
    LO_KEYS_ORIGINALS,   /* builds on recipe */
    LO_KEYS_ATTRIBUTION, /* attribution.*; builds on recipe */
    LO_KEYS_DAMPING,     /* what may be changed in a study that has an attribution; builds on attribution */
    LO_KEYS_UNLEARNING,  /* unlearning.*; builds on originals; its tasks have digests of their own */
    LO_KEY_GROUPS
} lo_key_group;

typedef enum lo_key_type {
    LO_KEY_SECTION, /* a map: "train" */
    LO_KEY_INT,
    LO_KEY_REAL,
    LO_KEY_BOOL, /* true or false */
    LO_KEY_TEXT,
    LO_KEY_CHOICE,       /* one of `choices` */
    LO_KEY_INTS,         /* a list of whole numbers */
    LO_KEY_TEXTS,        /* a list of texts */
    LO_KEY_NAMES,        /* a list of `choices`, each at most once */
    LO_KEY_INTS_OR_FILE, /* a list of whole numbers, or the path of a text file that holds them, one a line */
    LO_KEY_LAYERS,       /* a list of layers, of which the network's builder makes sense */
    LO_KEY_REALS,        /* a list of numbers */
    LO_KEY_ITEMS /* a list of names or maps with settings of their own: base/items.h makes sense of them */
} lo_key_type;

typedef struct lo_key {
    const char *path; /* "train.optimizer.lr" */
    lo_key_type type;
    const char
        *fallback; /* default as YAML text; NULL: required when its section is given (and the key applies). Of
                    * a section: "{}" there with its defaults when not given, "" not there unless given */
    double low,
        high; /* allowed values of a number, or of each in a list; open_low/open_high: without the end */
    bool open_low, open_high;
    int least, most; /* allowed lengths of a list; most 0: any */
    const char
        *fallbacks; /* other defaults, with some values of the key in `only`: "vit 192 ..."; NULL: none */
    const char *choices; /* separated by spaces */
    const char
        *only; /* the key that decides whether this one applies and the values with which it does (of a list:
                * any of them), such as "ensemble.design random balanced"; NULL: it always applies */
    const char *unit; /* "" for none */
    lo_key_group group;
    bool grows;            /* a study may raise it: models, seeds; no part of any digest */
    const char *digest_of; /* the key that names a file, of whose content this text is the digest: filled in
                            * when it is not given */
    const char *help;
} lo_key;

int lo_key_count(void);
const lo_key *lo_key_at(int i);    /* a section comes before its keys, and they follow it without a gap */
int lo_key_find(const char *path); /* its number, or -1 */

/* What values a key allows, for errors and help: "a whole number, 1 to 65536". Returns buffer. */
const char *lo_key_allowed(const lo_key *key, char *buffer, size_t size);

typedef struct lo_job lo_job;

/* Reads a job file and applies `key.path=value` overrides (values are YAML). Errors, all LO_USAGE but for a
 * file that cannot be read (LO_IO), say FILE:LINE (or --set KEY=VALUE), the key's path, what was found and
 * what is allowed; an unknown key names the nearest known one; a key given twice, a wrong type, a value out
 * of range, a missing required key, a key that does not apply. An override wins over the file and over those
 * before it, creates the section it needs, and takes a key or section out by the value null; a map gives
 * several keys of a section. Names of files with numbers (LO_KEY_INTS_OR_FILE) are relative to the job file's
 * directory; the files are read here. The caller destroys the job. */
lo_status lo_job_read(const char *file, const char *const *overrides, int override_count, lo_job **out,
                      lo_error *err);

/* The same from text; `name` stands for the file in errors. */
lo_status lo_job_parse(const char *text, const char *name, const char *const *overrides, int override_count,
                       lo_job **out, lo_error *err);
void lo_job_destroy(lo_job **job);

/* Was the section given ("ensemble")? A stage runs when its section is there. A section given as `{}` counts;
 * a list
 * ("scores") counts when it is not empty; data, model and train are always there. */
bool lo_job_has(const lo_job *job, const char *section);

/* Values, defaults filled in; 0, "" or an empty list for a key without default that was not given (its
 * section is not there, or it does not apply). Asking for a path or a type that the table does not have, or
 * for an element past the end of a list, is a programming error (abort). */
int64_t lo_job_int(const lo_job *job, const char *path);
bool lo_job_bool(const lo_job *job, const char *path);
double lo_job_real(const lo_job *job, const char *path);
const char *lo_job_text(const lo_job *job, const char *path); /* TEXT, CHOICE; owned by the job */
/* LAYERS, ITEMS: the list as YAML, its lines those of the file *file, or the text of an override, where *file
 * is NULL. Both owned by the job; "" where there is no value. */
const char *lo_job_layers(const lo_job *job, const char *path, const char **file);
int64_t lo_job_length(const lo_job *job, const char *path); /* of a list */
int64_t lo_job_int_at(const lo_job *job, const char *path, int64_t i);
double lo_job_real_at(const lo_job *job, const char *path, int64_t i);
const char *lo_job_text_at(const lo_job *job, const char *path, int64_t i);
bool lo_job_lists(const lo_job *job, const char *path, const char *name); /* is name in the list? */

/* The effective job as YAML: every key of the given sections that applies, with its value and the defaults
 * written out, in the table's order, with each key's help as a comment. Reading it back gives the same job.
 * malloc'ed (NULL: no memory); the caller frees it. */
char *lo_job_effective(const lo_job *job);

/* Digest of the keys of `group` and of the groups it builds on. Left out: growing keys, keys that do not
 * apply, and keys at their default, so that a later version that adds a key with a default still knows the
 * studies of this one. Keys of LO_KEYS_NONE are in no digest. */
uint64_t lo_job_digest(const lo_job *job, lo_key_group group);

/* Compares two jobs: appends one line "path: OLD in the study, NEW in the job" to `text` for every key of
 * `group` and of the groups it builds on that differs, growing keys left out. A key that is not in effect in
 * both (its section is not there, it does not apply) is not compared: the key that decides so is. Returns how
 * many differ. */
int lo_job_differences(const lo_job *study, const lo_job *job, lo_key_group group, char *text, size_t size);

/* The table as help text: path, type, default, range, unit, help. */
void lo_keys_print(FILE *stream);

/* Edits (insert, delete, change, swap neighbours) between two words, upper and lower case alike; words of
 * more than 96 bytes are far from everything. */
int lo_edit_distance(const char *a, const char *b);

/* Is that distance small enough to propose one word for the other? */
bool lo_edit_near(const char *a, const char *b, int distance);

/* The known word nearest to `word` by edit distance among space-separated `words`, or NULL if none is near.
 * The result is written to buffer. */
const char *lo_nearest(const char *word, const char *words, char *buffer, size_t size);

#endif
