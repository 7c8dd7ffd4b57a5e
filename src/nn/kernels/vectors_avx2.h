/* Vectors of the level avx2: AVX2 and FMA. See kernels_body.h. */
#include <immintrin.h>

#define VEC  8
#define ROWS 6
typedef __m256 V;

static inline V lanes_(unsigned bits, V a, V b)
{
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane), lane);
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(set));
}

#define all(x)               _mm256_set1_ps(x)
#define fma_(a, b, c)        _mm256_fmadd_ps(a, b, c)
#define max_(a, b)           _mm256_max_ps(a, b)
#define sqrt_(x)             _mm256_sqrt_ps(x)
#define greater_(x, y, a, b) _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_GT_OQ))
#define pick_(x, a, b)       greater_(x, _mm256_setzero_ps(), a, b)
