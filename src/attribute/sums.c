#include "attribute/sums.h"

#include <math.h>
#include <stdlib.h>

enum { MANTISSA = 52 };

/* A number whose unit in the last place is a whole multiple of which `addends` numbers up to `largest` add up
 * exactly: 2^e * 1.5 with 2^e >= 4 addends largest. */
static double rounder(double largest, int64_t addends)
{
    int exponent = 0;
    (void)frexp(4 * (double)addends * largest, &exponent);
    return ldexp(1.5, exponent);
}

lo_status lo_sums_create(int64_t count, double largest, int64_t addends, lo_sums *out, lo_error *err)
{
    *out = (lo_sums){.count = count, .part = calloc(2 * (size_t)(count > 0 ? count : 1), sizeof(double))};
    if (out->part == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld sums", (long long)count);
    }
    /* A bound of 0 leaves nothing to add. */
    out->round_high = rounder(largest > 0 ? largest : 1, addends);
    out->round_low = rounder(ldexp(out->round_high, -MANTISSA), addends);
    return LO_OK;
}

void lo_sums_destroy(lo_sums *sums)
{
    free(sums->part);
    *sums = (lo_sums){0};
}

void lo_sums_add(lo_sums *sums, const double *value)
{
    double *restrict high = sums->part;
    double *restrict low = sums->part + sums->count;
    for (int64_t i = 0; i < sums->count; i++) {
        const double coarse = (value[i] + sums->round_high) - sums->round_high;
        const double rest = value[i] - coarse;
        high[i] += coarse;
        low[i] += (rest + sums->round_low) - sums->round_low;
    }
}

lo_status lo_sums_end(lo_sums *sums, const lo_reduction *reduction, double *out, lo_error *err)
{
    if (reduction != NULL) {
        LO_TRY(reduction->sum(reduction->self, sums->part, 2 * sums->count, err));
    }
    for (int64_t i = 0; i < sums->count; i++) {
        out[i] = sums->part[i] + sums->part[sums->count + i];
    }
    return LO_OK;
}
