/* Kernels for AVX2 and FMA, operands rounded to bfloat16. */
#if defined(__x86_64__)
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_avx2_bf16
#define LEVEL   "avx2"

#include "nn/kernels/vectors_avx2.h"

#include "nn/kernels/operands_rounded.h"

#include "nn/kernels/kernels_body.h"
#endif
