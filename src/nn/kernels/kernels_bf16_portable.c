/* Kernels for any processor, operands rounded to bfloat16. */
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_portable_bf16
#define LEVEL   "portable"

#include "nn/kernels/vectors_portable.h"

#include "nn/kernels/operands_rounded.h"

#include "nn/kernels/kernels_body.h"
