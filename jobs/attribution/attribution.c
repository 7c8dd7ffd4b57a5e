#include "jobs/attribution/attribution.h"

#include <stdlib.h>
#include <string.h>

static const lo_attribution_type *const types[] = {&lo_attribution_ridge, &lo_attribution_kernel_ridge,
                                                   &lo_attribution_ggn,   &lo_attribution_hessian,
                                                   &lo_attribution_alo,   &lo_attribution_certified};

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

lo_attribution_model lo_attribution_model_of(const lo_job *job)
{
    const char *name = lo_job_text(job, "attribution.model");
    return strcmp(name, "network") == 0    ? LO_ATTRIBUTION_NETWORK
           : strcmp(name, "features") == 0 ? LO_ATTRIBUTION_FEATURES
                                           : LO_ATTRIBUTION_LINEAR;
}

static lo_status check_original(const lo_job *job, lo_error *err)
{
    const int64_t seed = lo_job_int(job, "attribution.original");
    const int64_t seeds = lo_job_int(job, "originals.seeds");
    if (!lo_job_has(job, "originals")) {
        return lo_fail(
            err, LO_USAGE,
            "attribution.model: found %s, which needs the weights of an original, but the job has no section "
            "originals: give it one, such as originals: {seeds: %lld}",
            lo_job_text(job, "attribution.model"), (long long)(seed + 1));
    }
    return seed < seeds
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "attribution.original: found %lld; with originals.seeds %lld allowed are 0 to %lld",
                         (long long)seed, (long long)seeds, (long long)seeds - 1);
}

lo_status lo_attribution_check(const lo_job *job, lo_error *err)
{
    if (!lo_job_has(job, "attribution") || lo_attribution_model_of(job) == LO_ATTRIBUTION_LINEAR) {
        return LO_OK;
    }
    for (int i = 0; i < lo_attribution_count() && lo_attribution_model_of(job) == LO_ATTRIBUTION_NETWORK;
         i++) {
        if (!types[i]->networks && lo_job_lists(job, "attribution.methods", types[i]->name)) {
            return lo_fail(
                err, LO_USAGE,
                "attribution.methods: found %s, which is of linear models; with attribution.model "
                "network allowed are ggn, hessian; attribution.model features makes a linear model of a "
                "network's layer",
                types[i]->name);
        }
    }
    return check_original(job, err);
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
