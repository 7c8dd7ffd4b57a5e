/* Kernels for any processor. */
#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_portable
#define LEVEL   "portable"

#include "nn/kernels/vectors_portable.h"

#include "nn/kernels/operands_f32.h"

#include "nn/kernels/kernels_body.h"
