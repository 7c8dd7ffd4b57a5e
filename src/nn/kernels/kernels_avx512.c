/* Kernels for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_avx512
#define LEVEL   "avx512"

#include "nn/kernels/vectors_avx512.h"

#include "nn/kernels/operands_f32.h"

#include "nn/kernels/kernels_body.h"
#endif
