/* What the arithmetic runs on, in one line of text. */
#include "nn/kernels.h"
#include "nn/training.h"

#include <cblas.h>
#ifdef LEAVEOUT_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdio.h>
#include <string.h>

static void processor_name(char *text, size_t size)
{
#if defined(__x86_64__)
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    char vendor[13] = "x86";
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0) {
        memcpy(vendor, &ebx, 4);
        memcpy(vendor + 4, &edx, 4);
        memcpy(vendor + 8, &ecx, 4);
    }
    (void)__get_cpuid(1, &eax, &ebx, &ecx, &edx);
    unsigned family = eax >> 8 & 0xF, model = eax >> 4 & 0xF;
    if (family == 6 || family == 15) {
        model |= (eax >> 16 & 0xF) << 4;
    }
    if (family == 15) {
        family += eax >> 20 & 0xFF;
    }
    (void)snprintf(text, size, "%s-%u-%u", vendor, family, model);
#elif defined(__aarch64__)
    (void)snprintf(text, size, "aarch64");
#else
    (void)snprintf(text, size, "unknown");
#endif
}

/* "0.3.21" of "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...". */
static void openblas_version(char *text, size_t size)
{
    const char *config = openblas_get_config();
    const char *start = strpbrk(config, "0123456789");
    const size_t length = start != NULL ? strcspn(start, " ") : 0;
    (void)snprintf(text, size, "%.*s", (int)length, start != NULL ? start : "");
}

#ifdef LEAVEOUT_ONEDNN
static const char *onednn_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}
#endif

const char *lo_processor_type(void)
{
    static char text[256];
    char processor[64], blas[32];
    processor_name(processor, sizeof(processor));
    openblas_version(blas, sizeof(blas));
    int used = snprintf(text, sizeof(text), "%s leaveout-%s openblas-%s-%s", processor,
                        lo_kernels_chosen()->name, blas, openblas_get_corename());
#ifdef LEAVEOUT_ONEDNN
    const dnnl_version_t *version = dnnl_version();
    if (used > 0 && (size_t)used < sizeof(text)) {
        (void)snprintf(text + used, sizeof(text) - (size_t)used, " onednn-%d.%d.%d-%s", version->major,
                       version->minor, version->patch, onednn_isa());
    }
#else
    (void)used;
#endif
    return text;
}
