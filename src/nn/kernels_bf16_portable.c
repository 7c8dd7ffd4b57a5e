/* Kernels for any processor, operands rounded to bfloat16. */
#include "nn/kernels.h"
#include "nn/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_portable_bf16
#define LEVEL   "portable"

#include "nn/vectors_portable.h"

#include "nn/operands_rounded.h"

#include "nn/kernels_body.h"
