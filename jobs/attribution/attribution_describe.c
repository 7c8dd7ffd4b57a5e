/* What a job says of attribution, for the stage and for a plan. */
#include "jobs/attribution/attribution.h"
#include "jobs/attribution/attribution_network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- groups ---- */

static lo_status count_groups(const lo_job *job, const lo_examples *train, int64_t *groups, lo_error *err)
{
    const int64_t listed = lo_job_length(job, "attribution.groups");
    for (int64_t i = 0; i < train->count; i++) {
        if (train->index[i] >= listed) {
            return lo_fail(err, LO_USAGE,
                           "attribution.groups: found %lld numbers; needed is one for each training example "
                           "of the source "
                           "files, and example %lld is in use",
                           (long long)listed, (long long)train->index[i]);
        }
        const int64_t group = lo_job_int_at(job, "attribution.groups", train->index[i]);
        *groups = group + 1 > *groups ? group + 1 : *groups;
    }
    return *groups <= train->count
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "attribution.groups: found group %lld; groups are numbered from 0 on, below %lld",
                         (long long)(*groups - 1), (long long)train->count);
}

/* Groups by the number of each training example in the source files; -1: in none. */
static lo_status read_groups(const lo_job *job, const lo_examples *train, lo_attribution *a, lo_error *err)
{
    if (lo_job_length(job, "attribution.groups") == 0) {
        return LO_OK;
    }
    LO_TRY(count_groups(job, train, &a->groups, err));
    a->group = calloc((size_t)a->groups + 1, sizeof(*a->group));
    a->member = calloc((size_t)train->count + 1, sizeof(*a->member));
    if (a->group == NULL || a->member == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld groups", (long long)a->groups);
    }
    for (int64_t i = 0; i < train->count; i++) {
        const int64_t group = lo_job_int_at(job, "attribution.groups", train->index[i]);
        a->group[group >= 0 ? group : a->groups].count += group >= 0;
    }
    int64_t at = 0;
    for (int64_t g = 0; g < a->groups; g++) {
        a->group[g].member = a->member + at;
        at += a->group[g].count;
        a->group[g].count = 0;
    }
    for (int64_t i = 0; i < train->count; i++) {
        const int64_t group = lo_job_int_at(job, "attribution.groups", train->index[i]);
        if (group >= 0) {
            lo_left_out *set = &a->group[group];
            a->member[set->member - a->member + set->count++] = i;
        }
    }
    return LO_OK;
}

/* ---- the whole ---- */

lo_status lo_attribution_describe(const lo_job *job, const lo_dataset *data, lo_attribution *out,
                                  lo_error *err)
{
    const char *targets = lo_job_text(job, "attribution.targets");
    const char *form = lo_job_text(job, "attribution.form");
    const lo_examples *examples = strcmp(targets, "train") == 0 ? &data->train : &data->test;
    *out = (lo_attribution){.train_examples = &data->train,
                            .target_examples = examples,
                            .classes = data->classes,
                            .penalty = lo_job_real(job, "attribution.penalty"),
                            .tolerance = lo_job_real(job, "attribution.tolerance"),
                            .gamma = lo_job_real(job, "attribution.gamma"),
                            .damping = lo_job_real(job, "attribution.damping"),
                            .spectrum = lo_job_bool(job, "attribution.spectrum"),
                            .keep = lo_job_bool(job, "attribution.keep"),
                            .rbf = strcmp(lo_job_text(job, "attribution.kernel"), "rbf") == 0,
                            .model = lo_attribution_model_of(job),
                            .primal = strcmp(form, "primal") == 0,
                            .dual = strcmp(form, "dual") == 0};
    out->train = lo_features_of_inputs(&out->inputs[0], data, &data->train);
    out->target = lo_features_of_inputs(&out->inputs[1], data, examples);
    if (strcmp(targets, "none") == 0) {
        out->target.count = 0;
    } else if (out->target.count == 0) {
        return lo_fail(
            err, LO_USAGE,
            "attribution.targets: found %s, but the data set has no test examples; allowed here: train, none",
            targets);
    }
    LO_TRY(read_groups(job, &data->train, out, err));
    if (out->groups > 0 && out->target.count == 0) {
        return lo_fail(err, LO_USAGE,
                       "attribution.groups: the effect of a group is one on targets, and there are none");
    }
    LO_TRY(lo_attribution_check(job, err));
    return lo_attribution_network_open(job, data, out, err);
}

void lo_attribution_undescribe(lo_attribution *a)
{
    lo_attribution_network_close(a);
    free(a->member);
    free(a->group);
    a->member = NULL;
    a->group = NULL;
}

double lo_attribution_memory(const lo_job *job, int neighbours)
{
    const double asked = (double)lo_job_int(job, "attribution.memory") * 1048576;
    double node_memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    FILE *limit = fopen("/sys/fs/cgroup/memory.max", "r");
    double group_memory;
    if (limit != NULL && fscanf(limit, "%lf", &group_memory) == 1) {
        node_memory = fmin(node_memory, group_memory);
    }
    if (limit != NULL) {
        (void)fclose(limit);
    }
    return asked > 0 ? asked : 0.8 * node_memory / neighbours;
}

double lo_attribution_file_bytes(const lo_attribution *a, int64_t methods, int64_t top)
{
    const double n = (double)a->train.count, targets = (double)a->target.count, groups = (double)a->groups;
    const double values = targets * (top > 0 ? 3 * (double)top : n);
    return (double)methods * 4 * (values + 6 * n + groups * (targets + 2)) + (1 << 18);
}
