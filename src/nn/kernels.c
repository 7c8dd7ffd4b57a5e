#include "nn/kernels.h"
#include "nn/kernels_levels.h"

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
#endif

/* The best level first. */
static const struct {
    const lo_kernels *kernels;
    supported_function *supported;
} levels[] = {
#if defined(__x86_64__)
    {&lo_kernels_avx512, supports_avx512},
    {&lo_kernels_avx2, supports_avx2},
#endif
    {&lo_kernels_portable, supports_everything},
};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static const lo_kernels *pinned;

const lo_kernels *lo_kernels_at(int i)
{
    for (int level = 0; level < LEVELS; level++) {
        if (levels[level].supported() && i-- == 0) {
            return levels[level].kernels;
        }
    }
    return NULL;
}

int lo_kernels_count(void)
{
    int count = 0;
    while (lo_kernels_at(count) != NULL) {
        count++;
    }
    return count;
}

static const lo_kernels *find(const char *name)
{
    for (int i = 0; i < lo_kernels_count(); i++) {
        if (strcmp(lo_kernels_at(i)->name, name) == 0) {
            return lo_kernels_at(i);
        }
    }
    return NULL;
}

const lo_kernels *lo_kernels_chosen(void)
{
    if (pinned != NULL) {
        return pinned;
    }
    const char *name = getenv("LEAVEOUT_ISA");
    const lo_kernels *named = name != NULL ? find(name) : NULL;
    return named != NULL ? named : lo_kernels_at(0);
}

static lo_status unknown_level(const char *source, const char *name, lo_error *err)
{
    char known[128] = "auto";
    for (int i = 0; i < lo_kernels_count(); i++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, " %s", lo_kernels_at(i)->name);
    }
    return lo_fail(err, LO_USAGE, "%s '%s': this processor runs: %s", source, name, known);
}

lo_status lo_kernels_pin(const char *name, lo_error *err)
{
    const lo_kernels *named = find(name);
    if (named == NULL && strcmp(name, "auto") != 0) {
        return unknown_level("kernels", name, err);
    }
    pinned = named;
    return LO_OK;
}

lo_status lo_kernels_check(lo_error *err)
{
    const char *name = getenv("LEAVEOUT_ISA");
    if (pinned == NULL && name != NULL && strcmp(name, "auto") != 0 && find(name) == NULL) {
        return unknown_level("environment variable LEAVEOUT_ISA is", name, err);
    }
    return LO_OK;
}
