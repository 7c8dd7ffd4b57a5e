/* Lists of a job file whose elements have settings of their own: a name, or a map that holds the name,
 *
 *   methods: [retrain, {name: neggrad_plus, alpha: 0.97, epochs: 5}]
 *
 * What settings an element may have is its owner's to say: a table of lo_setting, such as that of a method of
 * unlearning. Keys of the type LO_KEY_ITEMS are such lists. */
#ifndef LEAVEOUT_BASE_ITEMS_H
#define LEAVEOUT_BASE_ITEMS_H

#include "base/job.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum lo_setting_type {
    LO_SETTING_INT,
    LO_SETTING_REAL,
    LO_SETTING_BOOL,   /* true or false */
    LO_SETTING_TEXT,   /* any text: names of files, of forget sets */
    LO_SETTING_CHOICE, /* one of `choices` */
    LO_SETTING_INTS,   /* a list; one number stands for a list of one */
    LO_SETTING_REALS,
    LO_SETTING_TEXTS,
    LO_SETTING_ITEMS /* a list of names or maps, once more: lo_item_inner */
} lo_setting_type;

typedef struct lo_setting {
    const char *name;
    lo_setting_type type;
    const char *fallback; /* default, as YAML; NULL: it must be given; "": none unless given */
    double low, high;     /* allowed values of numbers, both ends included; both 0: any */
    const char *choices;  /* separated by spaces */
    const char *help;     /* one line */
} lo_setting;

typedef struct lo_item lo_item;
typedef struct lo_items lo_items;

/* The list of `path`, a key of type LO_KEY_ITEMS; an empty one where the key has no value. Errors, all
 * LO_USAGE with FILE:LINE and the path: an element that is neither a name nor a map with the key name, a
 * setting given twice; LO_INTERNAL without memory. The caller destroys it; the job may go before it. */
lo_status lo_items_read(const lo_job *job, const char *path, lo_items **out, lo_error *err);

/* The same of a list as YAML text; `file` stands for it in errors, with lines, or NULL without. */
lo_status lo_items_parse(const char *text, const char *file, const char *path, lo_items **out, lo_error *err);
void lo_items_destroy(lo_items **items);
int64_t lo_items_count(const lo_items *items);
lo_item *lo_items_at(const lo_items *items, int64_t i);
const char *lo_item_name(const lo_item *item);

/* Takes the item's settings against table[count], which must outlive it; a second call takes them against
 * another one. Errors, all LO_USAGE with FILE:LINE, the path, the item's name and the setting: one that is
 * not in the table (the nearest that is), a value of another type or out of range, one that is missing. */
lo_status lo_item_accept(lo_item *item, const lo_setting *table, int count, lo_error *err);

/* The same with defaults of the item's own in place of some of the table's. They are other settings than the
 * table's: lo_item_canonical has them. Copies (lo_item_with) inherit them. They must outlive the item; one
 * that does not fit the table is a programming error. */
typedef struct lo_default {
    const char *name, *value; /* a setting; YAML */
} lo_default;
lo_status lo_item_accept_with(lo_item *item, const lo_setting *table, int count, const lo_default *defaults,
                              int default_count, lo_error *err);

/* After that: was it given, and its value or its default. A name or a type that the table does not have is a
 * programming error (abort). Texts are the item's. */
bool lo_item_given(const lo_item *item, const char *name);
int64_t lo_item_int(const lo_item *item, const char *name);
double lo_item_real(const lo_item *item, const char *name); /* INT too */
bool lo_item_bool(const lo_item *item, const char *name);
const char *lo_item_text(const lo_item *item, const char *name); /* TEXT, CHOICE; "" where there is none */
int64_t lo_item_length(const lo_item *item, const char *name);   /* of INTS, REALS, TEXTS, ITEMS */
int64_t lo_item_int_at(const lo_item *item, const char *name, int64_t i);
double lo_item_real_at(const lo_item *item, const char *name, int64_t i);
const char *lo_item_text_at(const lo_item *item, const char *name, int64_t i);
lo_item *lo_item_inner(const lo_item *item, const char *name, int64_t i); /* to be accepted in its turn */

/* The same item with one setting changed: a copy that is accepted already, `value` being YAML as in the job
 * file (searches over settings make such copies). The item it was made of must outlive it. Errors: as
 * lo_item_accept. lo_item_free releases copies, and nothing else. */
lo_status lo_item_with(const lo_item *item, const char *name, const char *value, lo_item **out,
                       lo_error *err);
void lo_item_free(lo_item **copy);

/* "{name: NAME, SETTING: VALUE, ...}": every setting that is not at its default, in the table's order, one
 * text for equal values (inner items stand as they were written); the name alone where there is none. What
 * digests of results are made of. malloc'ed, NULL without memory; the caller frees it. */
char *lo_item_canonical(const lo_item *item);

/* LO_USAGE with the item's place and name in front, for what only its owner can find wrong. */
lo_status lo_item_fail(const lo_item *item, lo_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
