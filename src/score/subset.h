/* Scores from the outcomes of an ensemble: memorization, out-of-sample consistency and the train-to-test influence
 * contrast (Feldman and Zhang 2020), from packed bits. */
#ifndef LEAVEOUT_SCORE_SUBSET_H
#define LEAVEOUT_SCORE_SUBSET_H

#include "base/status.h"
#include "base/tick.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits by column: for every example the models' bits packed into 64-bit words, stored word-major so that neighbouring
 * examples sit in neighbouring lanes: bit (model m, column i) is bit m%64 of word[(m/64) * stride + i]. */
typedef struct lo_columns {
    int64_t models;
    int64_t count;  /* columns (examples) */
    int64_t stride; /* count rounded up to a multiple of 16 lanes; the spare lanes are zero */
    uint64_t *word; /* [ceil(models/64), stride], aligned to 64 bytes */
} lo_columns;

/* Room for models x count bits, all zero. Errors: LO_INTERNAL without memory. The caller frees it. */
lo_status lo_columns_create(int64_t models, int64_t count, lo_columns *out, lo_error *err);
void lo_columns_destroy(lo_columns *columns);

/* Sets the bits of one model: column j takes bit first + j of the packed row (bit i is bit i%8 of byte i/8). `first` is
 * any multiple of 1; rows may be set in any order, once each. */
void lo_columns_set_row(lo_columns *columns, int64_t model, const uint8_t *row, int64_t first);

/* One value per example, with errors: see docs/methods.md. All four are NaN where a side has no models. */
typedef struct lo_estimate {
    float value;
    float standard_error; /* one success and one failure added to each arm; never 0 */
    float low, high;      /* 95 %; they enclose the value */
} lo_estimate;

/* Difference of two proportions in_hit/in - out_hit/out. With p' = (in_hit + 1) / (in + 2), q' = (out_hit + 1) /
 * (out + 2):
 *   standard_error = sqrt(p'(1 - p')/(in + 2) + q'(1 - q')/(out + 2))       (Agresti and Caffo 2000, Am. Stat. 54:280)
 *   low, high      = the wider end, on each side, of Newcombe's hybrid score interval (1998, method 10) and of Agresti
 *                    and Caffo's, p' - q' -+ 1.96 standard_error; clipped to [-1, 1].
 * Newcombe's alone covers a memorized example (0.95 in, 0.05 out) only 88 % of the time with 5 models out and 89 % with
 * 8: one wrong model in each arm already ends it below the truth. The wider of the two covers at least 93.7 % for all
 * of (0, .05, .5, .95, 1) x the same and 4 to 400 models out at ratio 0.7, 96.5 % on average where both arms vary. */
lo_estimate lo_difference(int64_t in_hit, int64_t in, int64_t out_hit, int64_t out);

/* How much larger the error of a difference can be than that of two independent samples when models were drawn in
 * balanced blocks: sqrt(block / (block - 1)); 1 for a block below 2. Models of a block share all examples out among
 * them, so outcomes that are sums of what each example does add up to the same in every block: their correlation is
 * -1 / (block - 1), the least there is among so many, and the arms' means part by as much. */
double lo_block_factor(int64_t block);

/* The estimate with its error, and its interval on both sides of the value, this many times as wide; clipped to
 * [-most, most]. */
lo_estimate lo_widened(lo_estimate estimate, double factor, double most);

/* One proportion hit/count: Wilson's interval; standard_error = sqrt(p'(1 - p')/(count + 2)), p' = (hit + 1) /
 * (count + 2). */
lo_estimate lo_proportion(int64_t hit, int64_t count);

/* Mean of R paired differences of 0/1 outcomes, of which `plus` are +1 and `minus` are -1 (leave-one-out against its
 * full-data twin, pairs of a complementary design). With u = (plus + 1)/(R + 2), v = (minus + 1)/(R + 2):
 *   standard_error = sqrt((u + v - (u - v)^2)/(R + 2)), low and high = u - v -+ 1.96 standard_error, clipped
 *   (Bonett and Price 2012, J. Educ. Behav. Stat. 37:479: one pair added to either kind that differs).
 * Exact coverage for R = 1 to 100 and probabilities of +1 and -1 on a grid: at least 92.8 % for R >= 15, at least
 * 87.5 % for any R, the lowest where every pair differs and both signs are equally likely (R = 4); 98 % on average.
 * Agresti and Min's 1/2 in each of four cells (2005) falls to 70 % with one pair and 83 % with eight. The standard error
 * is conservative on purpose: for R = 4 the root of its mean square is 1.25 times the truth on average, for R = 20 1.13
 * times, for R = 100 1.03 times. */
lo_estimate lo_paired_difference(int64_t plus, int64_t minus, int64_t pairs);

typedef struct lo_counts {
    int32_t in, in_hit, out, out_hit;
} lo_counts;

/* Counts per example over the models (those whose bit in `use` is set; use [ceil(models/8)] or NULL for all). */
void lo_count(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, lo_counts *counts);

/* In-sample accuracy: the mean of in_hit / in over the examples that some model was trained on and, if select [n] is
 * not NULL, whose select is not 0. NaN where there are none. What memorization means depends on it: docs/methods.md. */
double lo_in_accuracy(const lo_counts *counts, int64_t n, const uint8_t *select);

/* The influence contrast of a block of test examples (rows) on all train examples (columns):
 *   contrast[j, i] = mean of correct_j over models with i - the same over models without i,   [rows, mask->count]
 * in float32 from exact integer counts; NaN where i is in all models or in none. error, if not NULL, takes the
 * Agresti-Caffo standard error of each, [rows, mask->count]. correct has the rows' test examples as its columns. `use`
 * as in lo_count. Portable, AVX2 and AVX-512 (VPOPCNTDQ) kernels are chosen at run time; all give equal bits. Rows are
 * worked on eight at a time: pass many. Cost: models x rows x columns / 64 and-popcount-adds.
 * Errors: LO_INTERNAL without memory, for masks and outcomes of different models, or for more than 2^24 models; what
 * the tick returns, with the results half written. */
lo_status lo_contrast(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, float *contrast,
                      float *error, const lo_tick *tick);

/* The k strongest (largest absolute value, ties to the lower column, NaN never) of each row of values [rows, count]:
 * index [rows, k] and value [rows, k], strongest first; index -1 and NaN where a row has fewer. */
void lo_strongest(const float *values, int64_t rows, int64_t count, int64_t k, int64_t *index, float *value);

/* Name of the instruction set level that lo_contrast uses here: "portable", "avx2" or "avx512". */
const char *lo_contrast_level(void);

#endif
