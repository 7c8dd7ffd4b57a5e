#include "nn/precision.h"

#include "base/clock.h"
#include "nn/kernels.h"

#include <string.h>

lo_precision lo_precision_named(const char *name)
{
    return strcmp(name, "bf16") == 0 ? LO_BF16 : LO_F32;
}

const char *lo_precision_name(lo_precision precision)
{
    return precision == LO_BF16 ? "bf16" : "f32";
}

/* Operations per second, the best of some tries of about a millisecond. */
static double peak_of(const lo_kernels *kernels)
{
    enum { TRIES = 5, WORK = 1 << 25 };
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        float result = 0.5F;
        const double start = lo_clock_monotonic();
        const double operations = kernels->peak(WORK, &result);
        const double rate = operations / (lo_clock_monotonic() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

bool lo_bf16_pays(void)
{
    const double gain = 1.5;
    return peak_of(lo_kernels_chosen(LO_BF16)) >= gain * peak_of(lo_kernels_chosen(LO_F32));
}
