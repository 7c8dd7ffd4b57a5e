/* Forget sets: which training examples a model is to forget. Pure functions of the data, a score where one is
 * asked for, and counter-based random numbers: bits depend on nothing else. */
#ifndef LEAVEOUT_UNLEARN_FORGET_H
#define LEAVEOUT_UNLEARN_FORGET_H

#include "base/status.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum lo_select {
    LO_SELECT_RANDOM,   /* by chance */
    LO_SELECT_CLASS,    /* whole classes, as trained on */
    LO_SELECT_SUBCLASS, /* whole classes of the other level of labels: the fine ones where the coarse ones are
                         * trained on, and the other way round */
    LO_SELECT_TOP,      /* the largest scores */
    LO_SELECT_MIDDLE,   /* scores in the middle */
    LO_SELECT_BOTTOM,   /* the smallest scores */
    LO_SELECT_MIX,      /* a third of each of these: RUM's split (Zhao et al., NeurIPS 2024) */
    LO_SELECT_FILE,     /* by their numbers in the source files */
    LO_SELECT_LABELS,   /* some examples of given labels, by chance */
    LO_SELECTIONS
} lo_select;

/* "random", "class", ...; and back: LO_SELECTIONS for a name that there is not. */
const char *lo_select_name(lo_select select);
lo_select lo_select_named(const char *name);
bool lo_select_by_score(lo_select select); /* top, middle, bottom, mix */

typedef struct lo_forget_spec {
    const char *name; /* for errors */
    lo_select select;
    /* How many: `size`, or with size 0 a share, rounded, of the examples that may be chosen. random and what
     * goes by a score need one; labels without either takes all; the others take what they name. */
    int64_t size;
    double share;
    const int64_t *number; /* class, subclass, labels: classes; file: source numbers */
    int64_t numbers;
    const double *score; /* by score: [train.count], larger: more memorized; NaN: no score, never chosen */
    bool by_rank;        /* middle, mix: see lo_forget_select */
    double at;           /* by rank: where the middle is, as a share of the order; 0.5: in its middle */
    uint64_t seed;       /* the job's */
    uint64_t draw;       /* random, labels: another number, another set */
} lo_forget_spec;

typedef struct lo_forget_set {
    uint32_t *position; /* in dataset->train, ascending; owned */
    int64_t count;
    bool whole_class; /* all examples of one or more classes, as trained on, and no others */
} lo_forget_set;

/* Chooses. Chance is a random key of each source number, the smallest keys are taken: a larger share of one
 * draw holds a smaller one. By score, of equal ones the example with the lower number comes first. The middle
 * is what is nearest to the median of all scores, of two equally near ones the smaller; by rank, those around
 * the position `at` of the examples in order of score, moved inwards where it is too near to an end ("matched
 * rank": where a reference has its own middle). mix takes floor(K/3) smallest, floor(K/3) in the middle, and
 * the rest largest, none twice. Errors, all LO_USAGE and naming the set: it would be empty, or larger than
 * what remains; a number that is not among the training examples in use, or is given twice; a class that does
 * not occur; fewer scores than are asked for; labels of two levels that the data do not have. LO_INTERNAL
 * without memory. The caller frees the set. */
lo_status lo_forget_select(const lo_forget_spec *spec, const lo_dataset *dataset, lo_forget_set *out,
                           lo_error *err);
void lo_forget_free(lo_forget_set *set);

/* How many of n training examples a set by score will have, before the score is known, all examples being
 * taken to have one. Errors: as lo_forget_select says of sizes alone. */
lo_status lo_forget_foresee(const lo_forget_spec *spec, int64_t n, int64_t *count, lo_error *err);

/* The examples with chosen [train.count] = 1 (others have 0) as a set. Errors: LO_INTERNAL without memory,
 * and those of lo_forget_check_size. The caller frees it. */
lo_status lo_forget_of(const lo_dataset *dataset, const char *name, const uint8_t *chosen, lo_forget_set *out,
                       lo_error *err);

/* A set of `count` of n examples, `name` in errors: LO_USAGE when it is empty or larger than what remains. */
lo_status lo_forget_check_size(const char *name, int64_t count, int64_t n, lo_error *err);

/* Two sets as one, `name` in errors: LO_USAGE where they share an example, or together outnumber what
 * remains; LO_INTERNAL. The caller frees it. */
lo_status lo_forget_unite(const lo_dataset *dataset, const char *name, const lo_forget_set *set,
                          const lo_forget_set *more, lo_forget_set *out, lo_error *err);

/* The positions 0 .. n-1 that are not in the set: malloc'ed [n - set->count], ascending; NULL without memory.
 * The caller frees it. */
uint32_t *lo_forget_retained(const lo_forget_set *set, int64_t n);

#endif
