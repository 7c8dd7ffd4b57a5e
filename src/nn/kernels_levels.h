/* The tables of the levels; for kernels.c and the files that define them. */
#ifndef LEAVEOUT_NN_KERNELS_LEVELS_H
#define LEAVEOUT_NN_KERNELS_LEVELS_H

#include "nn/kernels.h"

extern const lo_kernels lo_kernels_portable;
#if defined(__x86_64__)
extern const lo_kernels lo_kernels_avx2;
extern const lo_kernels lo_kernels_avx512;
#endif

#endif
