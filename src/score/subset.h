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

/* One value per example, with errors: see docs/methods.md. NaN where a side has no models. */
typedef struct lo_estimate {
    float value;
    float standard_error; /* Agresti-Caffo: one success and one failure added to each arm */
    float low, high;      /* 95 %: Newcombe's interval from Wilson's for differences, Wilson's for proportions */
} lo_estimate;

/* Difference of two proportions in_hit/in and out_hit/out. */
lo_estimate lo_difference(int64_t in_hit, int64_t in, int64_t out_hit, int64_t out);

/* One proportion hit/count. */
lo_estimate lo_proportion(int64_t hit, int64_t count);

/* Mean of R paired differences of 0/1 outcomes, of which `plus` are +1 and `minus` are -1 (leave-one-out against its
 * full-data twin, pairs of a complementary design). */
lo_estimate lo_paired_difference(int64_t plus, int64_t minus, int64_t pairs);

typedef struct lo_counts {
    int32_t in, in_hit, out, out_hit;
} lo_counts;

/* Counts per example over the models (those whose bit in `use` is set; use [ceil(models/8)] or NULL for all). */
void lo_count(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, lo_counts *counts);

/* The influence contrast of a block of test examples (rows) on all train examples (columns):
 *   contrast[j, i] = mean of correct_j over models with i - the same over models without i,   [rows, mask->count]
 * in float32 from exact integer counts; NaN where i is in all models or in none. error, if not NULL, takes the
 * Agresti-Caffo standard error of each. correct has the rows' test examples as its columns. `use` as in lo_count.
 * Portable, AVX2 and AVX-512 (VPOPCNTDQ) kernels are chosen at run time; all give equal bits. */
lo_status lo_contrast(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, float *contrast,
                      float *error, const lo_tick *tick);

/* The k strongest (largest absolute value, ties to the lower column, NaN never) of each row of values [rows, count]:
 * index [rows, k] and value [rows, k], strongest first; index -1 and NaN where a row has fewer. */
void lo_strongest(const float *values, int64_t rows, int64_t count, int64_t k, int64_t *index, float *value);

/* Name of the instruction set level that lo_contrast uses here: "portable", "avx2" or "avx512". */
const char *lo_contrast_level(void);

#endif
