#include "score/pairs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The even models of a word, which are the first of their pairs. */
static const uint64_t even = 0x5555555555555555ULL;

static bool chosen(const uint8_t *use, int64_t model)
{
    return use == NULL || (use[model / 8] >> (model % 8) & 1) != 0;
}

/* One model's bits: bit `shift` of each of the words. */
typedef struct row {
    const uint64_t *word;
    int shift;
} row;

static row row_of(const lo_columns *columns, int64_t model)
{
    return (row){columns->word + model / 64 * columns->stride, (int)(model % 64)};
}

static inline unsigned bit_at(row r, int64_t column)
{
    return (unsigned)(r.word[column] >> r.shift) & 1U;
}

void lo_pairs_count(const lo_design *design, const lo_columns *mask, const lo_columns *correct,
                    const uint8_t *use, lo_pairs *pairs)
{
    assert(mask->models == correct->models && mask->count == correct->count);
    memset(pairs, 0, (size_t)mask->count * sizeof(*pairs));
    const int64_t count = lo_design_pairs(design, mask->models, 0, NULL, NULL);
    for (int64_t p = 0; p < count; p++) {
        int64_t a;
        int64_t b;
        (void)lo_design_pairs(design, mask->models, p, &a, &b);
        if (!chosen(use, a) || !chosen(use, b)) {
            continue;
        }
        const row in_a = row_of(mask, a), in_b = row_of(mask, b);
        const row right_a = row_of(correct, a), right_b = row_of(correct, b);
        for (int64_t i = 0; i < mask->count; i++) {
            const unsigned with_a = bit_at(in_a, i) & ~bit_at(in_b, i);
            const unsigned with_b = bit_at(in_b, i) & ~bit_at(in_a, i);
            const unsigned only_a = bit_at(right_a, i) & ~bit_at(right_b, i);
            const unsigned only_b = bit_at(right_b, i) & ~bit_at(right_a, i);
            pairs[i].pairs += (int32_t)(with_a | with_b);
            pairs[i].plus += (int32_t)((with_a & only_a) | (with_b & only_b));
            pairs[i].minus += (int32_t)((with_a & only_b) | (with_b & only_a));
        }
    }
}

/* Bits of `use` of the pairs that are in use as a whole: bytes hold four pairs. *pairs: how many those are.
 */
static uint8_t *whole_pairs(const uint8_t *use, int64_t models, int64_t *pairs)
{
    uint8_t *both = calloc((size_t)models / 8 + 1, 1);
    *pairs = 0;
    for (int64_t a = 0; both != NULL && a + 1 < models; a += 2) {
        if (chosen(use, a) && chosen(use, a + 1)) {
            both[a / 8] = (uint8_t)(both[a / 8] | 3U << (a % 8));
            ++*pairs;
        }
    }
    return both;
}

/* The outcomes of pairs that disagree; those of pairs that agree, which add nothing to a difference, are 0.
 */
static void keep_discordant(const lo_columns *correct, lo_columns *out)
{
    for (int64_t w = 0; w < (correct->models + 63) / 64 * correct->stride; w++) {
        const uint64_t bits = correct->word[w];
        const uint64_t differ = (bits ^ bits >> 1) & even;
        out->word[w] = bits & (differ | differ << 1);
    }
}

/* Pairs in use that disagree on a test example: one model of each is right. */
static int64_t discordant(const lo_columns *correct, const uint8_t *use, int64_t column)
{
    int64_t count = 0;
    for (int64_t m = 0; m < correct->models; m++) {
        count += chosen(use, m) && bit_at(row_of(correct, m), column) != 0;
    }
    return count;
}

/* A contrast v is (plus - minus) / pairs with plus + minus = differ, so it tells which of the errors it has.
 */
static void fill_errors(const float *contrast, int64_t count, int64_t differ, int64_t pairs, float *table,
                        float *error)
{
    for (int64_t plus = 0; plus <= differ; plus++) {
        table[plus] = lo_paired_difference(plus, differ - plus, pairs).standard_error;
    }
    for (int64_t i = 0; i < count; i++) {
        const double plus = round(((double)contrast[i] * (double)pairs + (double)differ) / 2);
        error[i] = isnan(plus) ? NAN : table[(int64_t)fmin(fmax(plus, 0), (double)differ)];
    }
}

lo_status lo_pairs_contrast(const lo_columns *mask, const lo_columns *correct, const uint8_t *use,
                            float *contrast, float *error, const lo_tick *tick)
{
    lo_columns differing = {0};
    int64_t pairs = 0;
    uint8_t *both = whole_pairs(use, correct->models, &pairs);
    float *table = calloc((size_t)pairs + 1, sizeof(*table));
    lo_status status = both != NULL && table != NULL
                           ? lo_columns_create(correct->models, correct->count, &differing, NULL)
                           : LO_INTERNAL;
    if (status == LO_OK) {
        keep_discordant(correct, &differing);
        status = lo_contrast(mask, &differing, both, contrast, NULL, tick);
    }
    for (int64_t j = 0; error != NULL && j < correct->count && status == LO_OK; j++) {
        fill_errors(contrast + j * mask->count, mask->count, discordant(&differing, both, j), pairs, table,
                    error + j * mask->count);
        status = lo_tick_call(tick);
    }
    lo_columns_destroy(&differing);
    free(table);
    free(both);
    return status;
}
