#include "score/contrast_kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Words whose ones can be added byte by byte before a byte of 255 overflows: 31 x 8 = 248. */
enum { WORDS_A_BYTE_HOLDS = 31, VECTORS = LO_CONTRAST_LANES / 4, PAIR = 2 };

/* Ones in each byte by table look-up of its nibbles (Mula, Kurz and Lemire 2018). */
static inline __m256i ones_by_byte(__m256i x)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2,
                                           2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i low = _mm256_and_si256(x, nibble);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

/* Two rows against sixteen lanes: eight accumulators of bytes stay in registers. */
static inline void count_pair(int64_t words, const uint64_t *mask, const uint64_t *correct,
                              int32_t count[PAIR][LO_CONTRAST_LANES])
{
    __m256i total[PAIR][VECTORS];
    for (int r = 0; r < PAIR; r++) {
        for (int v = 0; v < VECTORS; v++) {
            total[r][v] = _mm256_setzero_si256();
        }
    }
    for (int64_t start = 0; start < words; start += WORDS_A_BYTE_HOLDS) {
        const int64_t stop = words - start < WORDS_A_BYTE_HOLDS ? words : start + WORDS_A_BYTE_HOLDS;
        __m256i bytes[PAIR][VECTORS];
        for (int r = 0; r < PAIR; r++) {
            for (int v = 0; v < VECTORS; v++) {
                bytes[r][v] = _mm256_setzero_si256();
            }
        }
        for (int64_t w = start; w < stop; w++) {
            const __m256i first = _mm256_set1_epi64x((long long)correct[w * LO_CONTRAST_ROWS]);
            const __m256i second = _mm256_set1_epi64x((long long)correct[w * LO_CONTRAST_ROWS + 1]);
            for (int v = 0; v < VECTORS; v++) {
                const __m256i in = _mm256_load_si256((const __m256i *)(mask + w * LO_CONTRAST_LANES + v * 4));
                bytes[0][v] = _mm256_add_epi8(bytes[0][v], ones_by_byte(_mm256_and_si256(in, first)));
                bytes[1][v] = _mm256_add_epi8(bytes[1][v], ones_by_byte(_mm256_and_si256(in, second)));
            }
        }
        for (int r = 0; r < PAIR; r++) {
            for (int v = 0; v < VECTORS; v++) {
                total[r][v] =
                    _mm256_add_epi64(total[r][v], _mm256_sad_epu8(bytes[r][v], _mm256_setzero_si256()));
            }
        }
    }
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    for (int r = 0; r < PAIR; r++) {
        for (int v = 0; v < VECTORS; v++) {
            const __m256i narrow = _mm256_permutevar8x32_epi32(total[r][v], even);
            _mm_storeu_si128((__m128i *)&count[r][v * 4], _mm256_castsi256_si128(narrow));
        }
    }
}

void lo_contrast_avx2(const lo_contrast_block *block)
{
    int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES];
    for (int r = 0; r < LO_CONTRAST_ROWS; r += PAIR) {
        count_pair(block->words, block->mask, block->correct + r, count + r);
    }
    lo_contrast_finish(block, count);
}

#else
typedef int lo_contrast_avx2_is_for_x86_64;
#endif
