/* Inside src/score: the kernels below lo_contrast, so that tests and benchmarks can force each of them.
 *
 * A level has its own way to count; what turns counts into contrasts is one text, lo_contrast_finish, compiled for each
 * level. Lanes are training examples, so nothing is ever summed across a vector.
 *
 * With a the models that have i and are right on j, c the models right on j, in the models with i, out those without
 * and T = in + out,
 *
 *     a / in - (c - a) / out = (a T - c in) / (in out).
 *
 * Counts are at most 2^24, so both products and their difference are exact in double: the contrast carries the rounding
 * of 1 / (in out), of one product and of the conversion to float32 only, and a compiler that fuses the exact part into
 * one instruction changes nothing. That is why all levels give equal bits. */
#ifndef LEAVEOUT_SCORE_CONTRAST_KERNEL_H
#define LEAVEOUT_SCORE_CONTRAST_KERNEL_H

#include "score/subset.h"

#include <math.h>

enum { LO_CONTRAST_ROWS = 8, LO_CONTRAST_LANES = 16 };

/* What a group of columns adds to the formula. */
typedef struct lo_contrast_factors {
    double in[LO_CONTRAST_LANES];       /* models with the example */
    double scale[LO_CONTRAST_LANES];    /* 1 / (in out), NaN where in or out is 0 */
    double cube_in[LO_CONTRAST_LANES];  /* 1 / (in + 2)^3, NaN where in or out is 0 */
    double cube_out[LO_CONTRAST_LANES]; /* 1 / (out + 2)^3 */
} lo_contrast_factors;

/* One block of rows on one group of columns. */
typedef struct lo_contrast_block {
    int64_t words;
    const uint64_t *mask;    /* [words, LO_CONTRAST_LANES], aligned to 64 bytes */
    const uint64_t *correct; /* [words, LO_CONTRAST_ROWS], aligned to 64 bytes */
    const lo_contrast_factors *factors;
    const double *hits; /* [LO_CONTRAST_ROWS] models right on each row */
    double models;
    int64_t stride; /* of value and error, from row to row */
    float *value;   /* [LO_CONTRAST_ROWS, stride], LO_CONTRAST_LANES of each row */
    float *error;   /* the same, or NULL */
} lo_contrast_block;

typedef void lo_contrast_compute(const lo_contrast_block *block);

typedef struct lo_contrast_kernel {
    const char *name;
    lo_contrast_compute *compute;
} lo_contrast_kernel;

/* Level `i` of those that this processor can run, slowest first; NULL past the last. */
const lo_contrast_kernel *lo_contrast_kernel_at(int i);

/* lo_contrast with the kernel given. */
lo_status lo_contrast_with(const lo_contrast_kernel *kernel, const lo_columns *mask,
                           const lo_columns *correct, const uint8_t *use, float *contrast, float *error,
                           const lo_tick *tick);

lo_contrast_compute lo_contrast_portable;
#if defined(__x86_64__)
lo_contrast_compute lo_contrast_avx2;
lo_contrast_compute lo_contrast_avx512;
#endif

static inline void lo_contrast_values(const int32_t *restrict count, const lo_contrast_factors *restrict f,
                                      double hits, double models, float *restrict value)
{
    for (int i = 0; i < LO_CONTRAST_LANES; i++) {
        value[i] = (float)((count[i] * models - hits * f->in[i]) * f->scale[i]);
    }
}

/* Agresti and Caffo (2000): with x successes of n after one success and one failure were added to an arm, its share of
 * the variance is x (n - x) / n^3. The two shares are statements of their own, lest a compiler fuse the sum. */
static inline void lo_contrast_errors(const int32_t *restrict count, const lo_contrast_factors *restrict f,
                                      double hits, double models, float *restrict error)
{
    for (int i = 0; i < LO_CONTRAST_LANES; i++) {
        const double in = f->in[i];
        const double with = (count[i] + 1.0) * (in - count[i] + 1);
        const double missed = hits - count[i];
        const double without = (missed + 1) * (models - in - missed + 1);
        const double share_in = with * f->cube_in[i];
        const double share_out = without * f->cube_out[i];
        error[i] = sqrtf((float)(share_in + share_out));
    }
}

static inline void lo_contrast_finish(const lo_contrast_block *block,
                                      int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES])
{
    for (int r = 0; r < LO_CONTRAST_ROWS; r++) {
        lo_contrast_values(count[r], block->factors, block->hits[r], block->models, block->value + r * block->stride);
    }
    for (int r = 0; r < LO_CONTRAST_ROWS && block->error != NULL; r++) {
        lo_contrast_errors(count[r], block->factors, block->hits[r], block->models, block->error + r * block->stride);
    }
}

#endif
