/* The level amx in float32: the kernels of AVX-512, by the level's name. */
#ifdef LEAVEOUT_AMX
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_amx
#define LEVEL   "amx"

#include "nn/kernels/vectors_avx512.h"

#include "nn/kernels/operands_f32.h"

#include "nn/kernels/kernels_body.h"
#endif
