/* Kernels for any processor. */
#include "nn/kernels.h"
#include "nn/kernels_levels.h"

#include <string.h>

#define KERNELS lo_kernels_portable
#define LEVEL   "portable"

#include "nn/vectors_portable.h"

#include "nn/operands_f32.h"

#include "nn/kernels_body.h"
