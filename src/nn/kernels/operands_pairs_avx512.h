/* Operands of products as pairs of bfloat16: of AVX512-BF16. See kernels_body.h. */
#define PRECISION LO_BF16
#define PAIRS     2
#define PACK_A    1

/* Word i holds even[i] below odd[i]. */
static inline V word_(V even, V odd)
{
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
}

#define narrow_(to, v)       _mm256_storeu_si256((__m256i *)(void *)(to), (__m256i)_mm512_cvtneps_pbh(v))
#define multiply_(a, b, sum) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
