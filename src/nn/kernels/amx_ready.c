/* May this process use AMX? Compiled without flags of any level: it runs on every processor. */
#include "nn/kernels/kernels_levels.h"

#ifdef LEAVEOUT_AMX
#include <cpuid.h>
#include <stdint.h>
#include <string.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel lends the 8 KB of tile registers on request only, and may refuse. The whole process has them
 * then, threads and children too. */
static bool ask_for_tiles(void)
{
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#else
static bool ask_for_tiles(void)
{
    return false;
}
#endif

/* By CPUID itself: not every compiler's __builtin_cpu_supports knows these. */
static bool processor_has_amx(void)
{
    enum { OSXSAVE = 1U << 27, AMX_BF16 = 1U << 22, AMX_TILE = 1U << 24, AVX512_BF16 = 1U << 5 };
    const uint32_t states = 0x600e6; /* tile configuration and data; AVX-512's, AVX's and SSE's registers */
    unsigned a, b, c, d, enabled, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & OSXSAVE) == 0) {
        return false;
    }
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_BF16) == 0 || (d & AMX_TILE) == 0) {
        return false;
    }
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || (a & AVX512_BF16) == 0) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
    return (enabled & states) == states;
}

/* A small product of whole numbers is exact. */
static bool product_is_right(void)
{
    enum { M = 20, N = 48, K = 37 };
    float a[M * K], b[K * N], c[M * N];
    for (int i = 0; i < M * K; i++) {
        a[i] = (float)(i % 13 - 6);
    }
    for (int i = 0; i < K * N; i++) {
        b[i] = (float)(i % 11 - 5);
    }
    const lo_gemm product = {.m = M,
                             .n = N,
                             .k = K,
                             .a = a,
                             .a_row = K,
                             .a_column = 1,
                             .b = b,
                             .b_row = N,
                             .b_column = 1,
                             .c = c,
                             .c_row = N};
    lo_kernels_amx_bf16.gemm(&product);
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++) {
            float sum = 0;
            for (int k = 0; k < K; k++) {
                sum += a[i * K + k] * b[k * N + j];
            }
            if (c[i * N + j] != sum) {
                return false;
            }
        }
    }
    return true;
}

bool lo_amx_ready(void)
{
    static enum { UNKNOWN, READY, ABSENT } answer;
    if (answer == UNKNOWN) {
        answer = processor_has_amx() && ask_for_tiles() && product_is_right() ? READY : ABSENT;
    }
    return answer == READY;
}
#endif
