/* Inside src/score: the kernels below lo_contrast, so that tests and benchmarks can force each of them.
 *
 * A kernel only counts; what turns counts into contrasts is one function for all levels, so all give equal
 * bits. Lanes are training examples, so a kernel never sums across a vector. */
#ifndef LEAVEOUT_SCORE_CONTRAST_KERNEL_H
#define LEAVEOUT_SCORE_CONTRAST_KERNEL_H

#include "score/subset.h"

enum { LO_CONTRAST_ROWS = 8, LO_CONTRAST_LANES = 16 };

/* count[r][i] = models m with mask(m, i) and correct(m, r), for one block of rows and lanes:
 * mask [words, LO_CONTRAST_LANES] and correct [words, LO_CONTRAST_ROWS], both packed and 64-byte aligned. */
typedef void lo_contrast_counter(int64_t words, const uint64_t *mask, const uint64_t *correct,
                                 int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES]);

typedef struct lo_contrast_kernel {
    const char *name;
    lo_contrast_counter *count;
} lo_contrast_kernel;

/* Level `i` of those that this processor can run, slowest first; NULL past the last. */
const lo_contrast_kernel *lo_contrast_kernel_at(int i);

/* lo_contrast with the kernel given. */
lo_status lo_contrast_with(const lo_contrast_kernel *kernel, const lo_columns *mask,
                           const lo_columns *correct, const uint8_t *use, float *contrast, float *error,
                           const lo_tick *tick);

lo_contrast_counter lo_contrast_count_portable;
#if defined(__x86_64__)
lo_contrast_counter lo_contrast_count_avx2;
lo_contrast_counter lo_contrast_count_avx512;
#endif

#endif
