/* The tables of the levels; for kernels.c and the files that define them. */
#ifndef LEAVEOUT_NN_KERNELS_LEVELS_H
#define LEAVEOUT_NN_KERNELS_LEVELS_H

#include "nn/kernels/kernels.h"

extern const lo_kernels lo_kernels_portable, lo_kernels_portable_bf16;
#if defined(__x86_64__)
extern const lo_kernels lo_kernels_avx2, lo_kernels_avx2_bf16;
extern const lo_kernels lo_kernels_avx512, lo_kernels_avx512_bf16;
/* bfloat16 at the level avx512 where the processor has no instruction for it. */
extern const lo_kernels lo_kernels_avx512_rounded;

/* The level amx: its float32 table is avx512's by another name. */
extern const lo_kernels lo_kernels_amx, lo_kernels_amx_bf16;

/* Does the processor have AMX for bfloat16, does the system lend this process its registers, and is a product
 * right? Asked once. */
bool lo_amx_ready(void);
#endif

#endif
