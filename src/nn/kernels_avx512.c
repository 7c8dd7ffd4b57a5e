/* Kernels for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "nn/kernels.h"
#include "nn/kernels_levels.h"

#include <immintrin.h>
#include <string.h>

#define KERNELS lo_kernels_avx512
#define LEVEL   "avx512"
#define VEC     16
#define ROWS    14
typedef __m512 V;
#define all(x)               _mm512_set1_ps(x)
#define fma_(a, b, c)        _mm512_fmadd_ps(a, b, c)
#define max_(a, b)           _mm512_max_ps(a, b)
#define sqrt_(x)             _mm512_sqrt_ps(x)
#define greater_(x, y, a, b) _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), b, a)
#define pick_(x, a, b)       greater_(x, _mm512_setzero_ps(), a, b)

#include "nn/kernels_body.h"
#endif
