#include "score/columns.h"
#include "score/subset.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

lo_status lo_columns_create(int64_t models, int64_t count, lo_columns *out, lo_error *err)
{
    assert(models >= 0 && count >= 0);
    *out = (lo_columns){.models = models, .count = count, .stride = (count + 15) / 16 * 16};
    const size_t words = (size_t)lo_words_of(models);
    const size_t lanes = (size_t)out->stride;
    if (lanes != 0 && words > (SIZE_MAX / 2) / sizeof(uint64_t) / lanes) {
        return lo_fail(err, LO_INTERNAL, "%lld models of %lld examples do not fit the address space",
                       (long long)models, (long long)count);
    }
    const size_t bytes = words * lanes * sizeof(uint64_t);
    out->word = aligned_alloc(64, bytes > 0 ? bytes : 64);
    if (out->word == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the bits of %lld models on %lld examples (%zu bytes)",
                       (long long)models, (long long)count, bytes);
    }
    memset(out->word, 0, bytes);
    return LO_OK;
}

void lo_columns_destroy(lo_columns *columns)
{
    if (columns != NULL) {
        free(columns->word);
        *columns = (lo_columns){0};
    }
}

void lo_columns_set_row(lo_columns *columns, int64_t model, const uint8_t *row, int64_t first)
{
    assert(model >= 0 && model < columns->models && first >= 0);
    uint64_t *word = columns->word + (model / 64) * columns->stride;
    const int bit = (int)(model % 64);
    const int shift = (int)(first % 8);
    const uint8_t *byte = row + first / 8;
    int64_t j = 0;
    for (; j + 8 <= columns->count; j += 8, byte++) {
        /* Eight bits from position first + j. The second byte is read only when the eight bits reach into it.
         */
        const uint64_t bits =
            shift == 0 ? byte[0] : (uint64_t)(byte[0] >> shift | byte[1] << (8 - shift)) & 0xff;
        for (int lane = 0; lane < 8; lane++) {
            word[j + lane] |= (bits >> lane & 1) << bit;
        }
    }
    for (; j < columns->count; j++) {
        const int64_t i = first + j;
        word[j] |= (uint64_t)(row[i / 8] >> (i % 8) & 1) << bit;
    }
}

void lo_count(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, lo_counts *counts)
{
    assert(mask->models == correct->models && mask->count == correct->count);
    const int64_t words = lo_words_of(mask->models);
    int64_t used = 0;
    for (int64_t w = 0; w < words; w++) {
        used += lo_ones(lo_selection_word(use, mask->models, w));
    }
    memset(counts, 0, (size_t)mask->count * sizeof(*counts));
    for (int64_t w = 0; w < words; w++) {
        const uint64_t chosen = lo_selection_word(use, mask->models, w);
        const uint64_t *in = mask->word + w * mask->stride;
        const uint64_t *hit = correct->word + w * correct->stride;
        for (int64_t i = 0; i < mask->count; i++) {
            counts[i].in += (int32_t)lo_ones(in[i] & chosen);
            counts[i].in_hit += (int32_t)lo_ones(in[i] & hit[i] & chosen);
            counts[i].out_hit += (int32_t)lo_ones(~in[i] & hit[i] & chosen);
        }
    }
    for (int64_t i = 0; i < mask->count; i++) {
        counts[i].out = (int32_t)used - counts[i].in;
    }
}

double lo_in_accuracy(const lo_counts *counts, int64_t n, const uint8_t *select)
{
    double sum = 0;
    int64_t examples = 0;
    for (int64_t i = 0; i < n; i++) {
        if ((select == NULL || select[i] != 0) && counts[i].in > 0) {
            sum += (double)counts[i].in_hit / counts[i].in;
            examples++;
        }
    }
    return examples > 0 ? sum / (double)examples : (double)NAN;
}
