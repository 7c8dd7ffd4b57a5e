/* What the arithmetic runs on, in one line of text. */
#include "nn/kernels/kernels.h"
#include "nn/training.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <gnu/libc-version.h>
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

const char *lo_processor_type(void)
{
    static char text[128];
    char processor[64];
    processor_name(processor, sizeof(processor));
    /* What bits depend on beside the job: the level of our kernels, and the C library's expf and logf. */
    (void)snprintf(text, sizeof(text), "%s %s glibc-%s", processor, lo_kernels_chosen(LO_F32)->name,
                   gnu_get_libc_version());
    return text;
}
