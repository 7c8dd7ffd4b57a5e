#include "score/contrast_kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Eight rows against two vectors of eight lanes: sixteen accumulators; each word costs two loads of masks and
 * eight broadcasts for sixteen and-popcount-add triples. */
__attribute__((target("avx512f,avx512vpopcntdq"))) static void
count_ones(int64_t words, const uint64_t *mask, const uint64_t *correct,
           int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES])
{
    __m512i left[LO_CONTRAST_ROWS], right[LO_CONTRAST_ROWS];
    for (int r = 0; r < LO_CONTRAST_ROWS; r++) {
        left[r] = _mm512_setzero_si512();
        right[r] = _mm512_setzero_si512();
    }
    for (int64_t w = 0; w < words; w++) {
        const __m512i in_left = _mm512_load_si512(mask + w * LO_CONTRAST_LANES);
        const __m512i in_right = _mm512_load_si512(mask + w * LO_CONTRAST_LANES + 8);
        for (int r = 0; r < LO_CONTRAST_ROWS; r++) {
            const __m512i hit = _mm512_set1_epi64((long long)correct[w * LO_CONTRAST_ROWS + r]);
            left[r] = _mm512_add_epi64(left[r], _mm512_popcnt_epi64(_mm512_and_si512(in_left, hit)));
            right[r] = _mm512_add_epi64(right[r], _mm512_popcnt_epi64(_mm512_and_si512(in_right, hit)));
        }
    }
    for (int r = 0; r < LO_CONTRAST_ROWS; r++) {
        _mm256_storeu_si256((__m256i *)&count[r][0], _mm512_cvtepi64_epi32(left[r]));
        _mm256_storeu_si256((__m256i *)&count[r][8], _mm512_cvtepi64_epi32(right[r]));
    }
}

void lo_contrast_avx512(const lo_contrast_block *block)
{
    int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES];
    count_ones(block->words, block->mask, block->correct, count);
    lo_contrast_finish(block, count);
}

#else
typedef int lo_contrast_avx512_is_for_x86_64;
#endif
