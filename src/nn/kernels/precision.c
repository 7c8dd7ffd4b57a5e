#include "nn/kernels/precision.h"

#include "nn/kernels/kernels.h"

#include <math.h>
#include <string.h>
#include <time.h>

lo_precision lo_precision_named(const char *name)
{
    return strcmp(name, "bf16") == 0 ? LO_BF16 : LO_F32;
}

const char *lo_precision_name(lo_precision precision)
{
    return precision == LO_BF16 ? "bf16" : "f32";
}

/* Time that this thread has computed, in seconds: where processes share a core, waiting does not count. */
static double computed(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations per second in one short run. */
static double rate_of(const lo_kernels *kernels)
{
    enum { WORK = 1 << 22 };
    float result = 0.5F;
    const double start = computed();
    const double operations = kernels->peak(WORK, &result);
    return operations / (computed() - start);
}

/* The best of many runs, in turns: a study's precision must not depend on what else the machine does. */
bool lo_bf16_pays(void)
{
    enum { RUNS = 30 };
    const double gain = 1.5;
    const lo_kernels *bf16 = lo_kernels_chosen(LO_BF16), *f32 = lo_kernels_chosen(LO_F32);
    double best_bf16 = 0, best_f32 = 0;
    for (int i = 0; i < RUNS; i++) {
        best_bf16 = fmax(best_bf16, rate_of(bf16));
        best_f32 = fmax(best_f32, rate_of(f32));
    }
    return best_bf16 >= gain * best_f32;
}
