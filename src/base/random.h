/* Counter-based random numbers (Philox 4x32-10 of Random123; Salmon et al., SC'11): any number of any stream
 * can be computed alone, without generating the others. No hidden state anywhere. */
#ifndef LEAVEOUT_BASE_RANDOM_H
#define LEAVEOUT_BASE_RANDOM_H

#include <stdint.h>

/* What a stream is for. Two purposes never share numbers. The values are part of every stored result:
 * append, never renumber. */
typedef enum lo_purpose {
    LO_FOR_LIMIT = 1,       /* which examples a limit keeps */
    LO_FOR_VALIDATION = 2,  /* which examples are held back */
    LO_FOR_NOISE = 3,       /* which labels are replaced, and by what */
    LO_FOR_MEMBERSHIP = 4,  /* which examples a model is trained on */
    LO_FOR_WEIGHTS = 5,     /* initial weights */
    LO_FOR_ORDER = 6,       /* order of the examples in an epoch */
    LO_FOR_AUGMENT = 7,     /* views of the examples */
    LO_FOR_TEST = 8,        /* the tests' own needs */
    LO_FOR_DROPOUT = 9,     /* values that dropout takes away */
    LO_FOR_PROJECTION = 10, /* random projections of gradients */
    LO_FOR_UNLEARNING = 11, /* whatever methods of unlearning draw: see lo_use */
    LO_FOR_FORGET = 12,     /* which examples are to be forgotten */
    LO_FOR_BOOTSTRAP = 13,  /* resamples of the examples */
    LO_FOR_SPLIT = 14,      /* halves of an ensemble */
    LO_FOR_FOLDS = 15,      /* folds of a cross-fitted regression */
    LO_FOR_AUDIT = 16,      /* which scores an attack is fitted to */
    LO_FOR_CURVATURE = 17,  /* directions of loss curvature */
    LO_FOR_PLAN = 18,       /* task times of farms that are foreseen: in no result */
    LO_FOR_MATCHED = 19     /* other sets to forget, for oracles */
} lo_purpose;

typedef struct lo_random {
    uint32_t key[2];
} lo_random;

/* The stream family of a job's seed and a purpose. */
lo_random lo_random_make(uint64_t seed, lo_purpose purpose);

/* Four independent 32-bit numbers for counter (a, b). By convention a is the task and b the step or example.
 */
void lo_random_u32x4(lo_random random, uint64_t a, uint64_t b, uint32_t out[4]);

uint64_t lo_random_u64(lo_random random, uint64_t a, uint64_t b);

/* Uniform in [0, 1), 24 bits. */
float lo_random_unit(lo_random random, uint64_t a, uint64_t b);

/* Standard normal (Box and Muller, 1958), at most 6.7 from 0. */
float lo_random_normal(lo_random random, uint64_t a, uint64_t b);

/* Uniform in 0 .. n-1 (n >= 1); bias below n / 2^64. */
uint64_t lo_random_below(lo_random random, uint64_t a, uint64_t b, uint64_t n);

/* A keyed permutation of 0 .. n-1 (Feistel network with cycle walking): position of one element in O(1),
 * which makes "is example i in model k" a computation instead of a table. */
typedef struct lo_permutation {
    uint64_t n;
    uint32_t right_bits; /* the low half has as many bits as the high one, or one more */
    uint32_t mask[2];    /* of the high half, of the low one */
    uint32_t round_key[8];
} lo_permutation;

/* The permutation number `stream` of `random`. n >= 1. */
lo_permutation lo_permutation_make(lo_random random, uint64_t stream, uint64_t n);

/* Where the permutation puts i, i < n. */
uint64_t lo_permutation_at(const lo_permutation *permutation, uint64_t i);

#endif
