/* Vectors of the level avx512: AVX-512 F, BW, DQ and VL. See kernels_body.h. */
#include <immintrin.h>

#define VEC  16
#define ROWS 14
typedef __m512 V;
#define all(x)               _mm512_set1_ps(x)
#define fma_(a, b, c)        _mm512_fmadd_ps(a, b, c)
#define max_(a, b)           _mm512_max_ps(a, b)
#define sqrt_(x)             _mm512_sqrt_ps(x)
#define greater_(x, y, a, b) _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), b, a)
#define pick_(x, a, b)       greater_(x, _mm512_setzero_ps(), a, b)
#define lanes_(bits, a, b)   _mm512_mask_blend_ps((__mmask16)(bits), b, a)
