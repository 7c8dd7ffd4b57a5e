/* Inside src/score: what its files share about packed bits. */
#ifndef LEAVEOUT_SCORE_COLUMNS_H
#define LEAVEOUT_SCORE_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

/* 64-bit words that hold the bits of so many models. */
static inline int64_t lo_words_of(int64_t models)
{
    return (models + 63) / 64;
}

/* Word w of a packed selection of models (bit m%8 of byte m/8); NULL selects all. Bits past the last model
 * are 0. */
static inline uint64_t lo_selection_word(const uint8_t *use, int64_t models, int64_t w)
{
    const int64_t left = models - w * 64;
    const uint64_t valid = left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
    if (use == NULL) {
        return valid;
    }
    const int64_t bytes = left >= 64 ? 8 : (left + 7) / 8;
    uint64_t word = 0;
    for (int64_t b = 0; b < bytes; b++) {
        word |= (uint64_t)use[w * 8 + b] << (8 * b);
    }
    return word & valid;
}

/* Number of ones in each byte: at most 8, so 31 such words can be added before a byte overflows. Written with
 * shifts and adds alone, so that loops over lanes become SSE2 or NEON code without a popcount instruction. */
static inline uint64_t lo_ones_by_byte(uint64_t x)
{
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    return (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
}

/* Sum of the eight bytes. */
static inline uint64_t lo_sum_of_bytes(uint64_t x)
{
    x = (x & UINT64_C(0x00ff00ff00ff00ff)) + ((x >> 8) & UINT64_C(0x00ff00ff00ff00ff));
    x += x >> 16;
    x += x >> 32;
    return x & 0xffff;
}

static inline int64_t lo_ones(uint64_t x)
{
    return (int64_t)lo_sum_of_bytes(lo_ones_by_byte(x));
}

#endif
