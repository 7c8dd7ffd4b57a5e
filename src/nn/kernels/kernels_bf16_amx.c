/* The level amx in bfloat16: products and convolutions on tiles, all else by AVX-512. */
#ifdef LEAVEOUT_AMX
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_amx_bf16
#define LEVEL   "amx"

#include "nn/kernels/vectors_avx512.h"

#define PRECISION LO_BF16
#define PRODUCTS  "nn/kernels/kernels_tiles.h"

#include "nn/kernels/amx_tiles.h"

#include "nn/kernels/kernels_body.h"
#endif
