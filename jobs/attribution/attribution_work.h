/* What the methods of stage attribution cost: operations of a few kinds, counted from their formulas
 * (docs/methods.md), and how long one of each takes here. Both forms of ggn say them in the log, and
 * `leaveout plan` makes seconds of them. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_WORK_H
#define LEAVEOUT_JOBS_ATTRIBUTION_WORK_H

#include <stdbool.h>
#include <stdint.h>

struct lo_attribution;

typedef enum lo_work_kind {
    /* Floating-point operations, a multiplication and an addition being two: */
    LO_WORK_PRODUCT, /* of products of matrices with sides of some hundreds */
    LO_WORK_THIN,    /* likewise, where one side is as short as classes are few */
    LO_WORK_FACTOR,  /* of Cholesky's factorizations: order^3 / 3 */
    LO_WORK_SOLVE,   /* of triangular solves, order^2 a side; of inverses from a factor */
    LO_WORK_EIGEN,   /* of eigenvalues and vectors: 9 order^3 (Golub and Van Loan 2013, 8.3) */
    LO_WORK_FLOPS,   /* how many of these kinds there are */
    /* Others: */
    LO_WORK_NUMBERS = LO_WORK_FLOPS, /* that loops read, change a little and write */
    LO_WORK_EXPONENTS,               /* and logarithms */
    LO_WORK_PANELS,    /* what factors and solves lose in short products: order^2 a factor, order a side */
    LO_WORK_FORWARDS,  /* of an example through the network */
    LO_WORK_GRADIENTS, /* an example forward and backward; its gradient's numbers come beside it */
    LO_WORK_KINDS
} lo_work_kind;

typedef struct lo_attribution_work {
    double shared[LO_WORK_KINDS]; /* by all ranks together, each its part */
    double alone[LO_WORK_KINDS];  /* by every rank, however many there are */
    double bytes;                 /* that every rank has of all in the end, where there are several */
    double kept_bytes;            /* of files beside attribution.h5 */
    bool fitted, inverted;        /* a method that counted has fitted softmax regression; has its inverse */
} lo_attribution_work;

/* Seconds of one unit of each kind, on one core. */
typedef struct lo_attribution_speed {
    double seconds[LO_WORK_KINDS];
} lo_attribution_speed;

/* Local, some 20 ms: the speed of all kinds but those of the network, which are 0. Products, loops and
 * exponentials are timed; factorizations, solves and eigenvectors are taken to be as much slower than
 * products as docs/scalability.md says. Without memory: 0. */
lo_attribution_speed lo_attribution_measure(void);

/* Sums over kinds: of floating-point operations alone, and of seconds. work [LO_WORK_KINDS]. */
double lo_work_flops(const double *work);
double lo_work_seconds(const double *work, const lo_attribution_speed *speed);

/* Adds a Cholesky factorization, and solutions (half: of L x = b alone) with so many sides. */
void lo_work_add_factor(double order, double *work);
void lo_work_add_solve(double order, double sides, bool half, double *work);

/* Class values of leaving-one-out models that become outputs, by all ranks. */
void lo_work_add_effects(const struct lo_attribution *a, bool logits, double values, double *work);

/* Adds what stage attribution does before its methods: opening the network, features. */
void lo_work_add_opening(const struct lo_attribution *a, lo_attribution_work *sum);

/* Adds what a method does, and what the stage does with its values. What sum says is there already, as
 * several methods share it, does not count again. */
struct lo_attribution_type;
void lo_work_add_method(const struct lo_attribution *a, const struct lo_attribution_type *type,
                        lo_attribution_work *sum);

#endif
