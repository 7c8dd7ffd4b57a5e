/* YAML text as a small tree with line numbers, read by libyaml: maps, lists and scalars, nothing that would
 * make a job file mean something else than it shows (anchors, aliases, tags, several documents, a key given
 * twice). */
#ifndef LEAVEOUT_BASE_TREE_H
#define LEAVEOUT_BASE_TREE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum lo_node_kind { LO_NODE_SCALAR, LO_NODE_LIST, LO_NODE_MAP } lo_node_kind;

typedef struct lo_node lo_node;
struct lo_node {
    lo_node_kind kind;
    int line;       /* from 1 */
    char *name;     /* its key in the map that holds it, else NULL */
    int name_line;  /* where that key stands */
    char *text;     /* of a scalar */
    bool plain;     /* a scalar without quotes */
    lo_node *child; /* [count] of a list or map */
    int64_t count;
};

/* Where something was given, for errors: "name:line", or only the name when line is 0 (a command line
 * option). */
typedef struct lo_place {
    const char *name;
    int line;
} lo_place;

/* Writes "PLACE: text" into err (may be NULL) and returns LO_USAGE. */
lo_status lo_fail_at(lo_error *err, lo_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads text[size] into *root. `name` stands for the file in errors; with numbered = false they leave line
 * numbers out. A text without any value gives a plain empty scalar. Errors: LO_USAGE; LO_INTERNAL when there
 * is no memory. The caller releases the tree by lo_tree_free, after an error too. */
lo_status lo_tree_parse(const char *text, size_t size, const char *name, bool numbered, lo_node *root,
                        lo_error *err);

/* Releases what a node owns; accepts a zeroed node. */
void lo_tree_free(lo_node *node);

/* Is it `null`, `~` or nothing, without quotes? */
bool lo_node_is_null(const lo_node *node);

/* What a node is, for errors: 'the text', a list, a map, nothing. Control characters become '?', long texts
 * are cut. */
const char *lo_node_show(const lo_node *node, char *buffer, size_t size);

#endif
