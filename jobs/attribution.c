#include "jobs/attribution.h"

#include <stdlib.h>
#include <string.h>

static const lo_attribution_type *const types[] = {&lo_attribution_ridge, &lo_attribution_kernel_ridge,
                                                   &lo_attribution_ggn, &lo_attribution_alo,
                                                   &lo_attribution_certified};

int lo_attribution_count(void)
{
    return (int)(sizeof(types) / sizeof(types[0]));
}

const lo_attribution_type *lo_attribution_at(int i)
{
    return types[i];
}

const lo_attribution_type *lo_attribution_find(const char *name)
{
    for (int i = 0; i < lo_attribution_count(); i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

int64_t lo_attribution_slab(int64_t total, int rank, int ranks, int64_t *first, int64_t *count)
{
    const int64_t grains = (total + LO_ATTRIBUTE_GRAIN - 1) / LO_ATTRIBUTE_GRAIN;
    const int64_t width = (grains + ranks - 1) / ranks * LO_ATTRIBUTE_GRAIN;
    const int64_t from = width * rank < total ? width * rank : total;
    *first = from;
    *count = total - from < width ? total - from : width;
    return width;
}

double *lo_attribution_numbers(int64_t count)
{
    return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}
