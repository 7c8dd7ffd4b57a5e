#include "nn/kernels/kernels.h"
#include "nn/kernels/kernels_levels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool supported_function(void);

static bool supports_everything(void)
{
    return true;
}

#if defined(__x86_64__)
static bool supports_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

static bool supports_avx512(void)
{
    return supports_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool supports_avx512bf16(void)
{
    return supports_avx512() && __builtin_cpu_supports("avx512bf16");
}

#ifdef LEAVEOUT_AMX
static bool supports_amx(void)
{
    return supports_avx512bf16() && lo_amx_ready();
}
#endif
#endif

/* The best level first; of one level and precision, the first table that the processor runs is in use. */
static const struct {
    const lo_kernels *kernels;
    supported_function *supported;
} tables[] = {
#ifdef LEAVEOUT_AMX
    {&lo_kernels_amx, supports_amx},
    {&lo_kernels_amx_bf16, supports_amx},
#endif
#if defined(__x86_64__)
    {&lo_kernels_avx512, supports_avx512},
    {&lo_kernels_avx512_bf16, supports_avx512bf16},
    {&lo_kernels_avx512_rounded, supports_avx512},
    {&lo_kernels_avx2, supports_avx2},
    {&lo_kernels_avx2_bf16, supports_avx2},
#endif
    {&lo_kernels_portable, supports_everything},
    {&lo_kernels_portable_bf16, supports_everything},
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

static const char *pinned; /* a level's name */

const lo_kernels *lo_kernels_at(lo_precision precision, int i)
{
    for (int t = 0; t < TABLES; t++) {
        if (tables[t].kernels->precision == precision && tables[t].supported() && i-- == 0) {
            return tables[t].kernels;
        }
    }
    return NULL;
}

int lo_kernels_count(lo_precision precision)
{
    int count = 0;
    while (lo_kernels_at(precision, count) != NULL) {
        count++;
    }
    return count;
}

static const lo_kernels *find(lo_precision precision, const char *name)
{
    for (int i = 0; i < lo_kernels_count(precision); i++) {
        if (strcmp(lo_kernels_at(precision, i)->name, name) == 0) {
            return lo_kernels_at(precision, i);
        }
    }
    return NULL;
}

const lo_kernels *lo_kernels_chosen(lo_precision precision)
{
    const char *name = pinned != NULL ? pinned : getenv("LEAVEOUT_ISA");
    const lo_kernels *named = name != NULL ? find(precision, name) : NULL;
    return named != NULL ? named : lo_kernels_at(precision, 0);
}

static lo_status unknown_level(const char *source, const char *name, lo_error *err)
{
    char known[128] = "auto";
    for (int i = 0; i < lo_kernels_count(LO_F32); i++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, " %s", lo_kernels_at(LO_F32, i)->name);
    }
    return lo_fail(err, LO_USAGE, "%s '%s': this processor runs: %s", source, name, known);
}

lo_status lo_kernels_pin(const char *name, lo_error *err)
{
    const lo_kernels *named = find(LO_F32, name);
    if (named == NULL && strcmp(name, "auto") != 0) {
        return unknown_level("kernels", name, err);
    }
    pinned = named != NULL ? named->name : NULL;
    return LO_OK;
}

lo_status lo_kernels_check(lo_error *err)
{
    const char *name = getenv("LEAVEOUT_ISA");
    if (pinned == NULL && name != NULL && strcmp(name, "auto") != 0 && find(LO_F32, name) == NULL) {
        return unknown_level("environment variable LEAVEOUT_ISA is", name, err);
    }
    return LO_OK;
}
