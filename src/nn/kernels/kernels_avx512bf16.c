/* Kernels for AVX-512 with its instructions for bfloat16. */
#if defined(__x86_64__)
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_avx512_bf16
#define LEVEL   "avx512"

#include "nn/kernels/vectors_avx512.h"

#include "nn/kernels/operands_pairs_avx512.h"

#include "nn/kernels/kernels_body.h"
#endif
