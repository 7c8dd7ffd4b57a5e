/* Stage attribution: what every training example, and every group, does to models that can be had without it.
 * Ranks leave out the examples of their slab and say what that does to all targets; the file has a row a
 * target, so rows are exchanged at the end. */
#include "attribute/linear.h"
#include "base/clock.h"
#include "base/file.h"
#include "jobs/attribution/attribution.h"
#include "jobs/attribution/attribution_kept.h"
#include "jobs/attribution/attribution_network.h"
#include "jobs/stages.h"
#include "jobs/watch.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "nn/trainer.h"
#include "score/subset.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_METHODS = 16, TARGET_TILE = 256, EXCHANGE_BYTES = 64 << 20 };

/* What a method has found, of this rank's examples and groups. */
typedef struct result {
    const lo_attribution_type *type;
    lo_attribution_notes notes;
    double seconds;
    float *own[LO_EFFECTS];            /* [own] */
    float *value;                      /* [targets, own] */
    float *group_value;                /* [targets, own groups] */
    lo_attribution_direct direct;      /* of methods that have it: then value is [own targets, n], likewise of
                                        * groups */
    double *gradient, *group_gradient; /* [own], [own groups] */
    int own_set[LO_EFFECTS + 1], gradient_set, value_set, index_set;
    int spectrum_set, group_set, group_gradient_set; /* datasets */
} result;

typedef struct stage {
    lo_study *study;
    lo_attribution a;
    lo_reduction reduction;
    lo_tick tick;
    lo_watch watch;                   /* of the tick */
    int64_t group_first, group_count; /* this rank's groups */
    int64_t top;
    lo_effect output;
    int methods;
    result result[MAX_METHODS];
    int train_set[2], target_set[2], size_set; /* datasets */
} stage;

static void stage_free(stage *s)
{
    lo_softmax_fitted_destroy(&s->a.softmax_fitted);
    lo_attribution_undescribe(&s->a);
    for (int m = 0; m < s->methods; m++) {
        result *r = &s->result[m];
        for (int o = 0; o < LO_EFFECTS; o++) {
            free(r->own[o]);
        }
        free(r->value);
        free(r->group_value);
        free(r->gradient);
        free(r->group_gradient);
        free(r->direct.eigenvalue);
    }
}

/* ---- what the methods are given ---- */

static lo_status reduce(void *self, double *value, int64_t count, MPI_Op op)
{
    enum { PIECE = 1 << 24 };
    const lo_run *run = self;
    for (int64_t at = 0; at < count; at += PIECE) {
        const int now = (int)(count - at < PIECE ? count - at : PIECE);
        MPI_Allreduce(MPI_IN_PLACE, value + at, now, MPI_DOUBLE, op, run->comm);
    }
    return LO_OK;
}

static lo_status reduce_sum(void *self, double *value, int64_t count, lo_error *err)
{
    (void)err;
    return reduce(self, value, count, MPI_SUM);
}

static lo_status reduce_largest(void *self, double *value, int64_t count, lo_error *err)
{
    (void)err;
    return reduce(self, value, count, MPI_MAX);
}

/* Bytes that a rank may take, the same on all. */
static double memory_of_rank(const lo_study *study)
{
    MPI_Comm node;
    int neighbours = 1;
    MPI_Comm_split_type(study->run.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &neighbours);
    MPI_Comm_free(&node);
    double mine = lo_attribution_memory(study->job, neighbours);
    MPI_Allreduce(MPI_IN_PLACE, &mine, 1, MPI_DOUBLE, MPI_MIN, study->run.comm);
    return mine;
}

static lo_status describe(stage *s, lo_error *err)
{
    lo_study *study = s->study;
    const lo_job *job = study->job;
    lo_attribution *a = &s->a;
    s->watch = (lo_watch){.run = &s->study->run};
    s->tick = lo_watch_tick(&s->watch);
    s->reduction = (lo_reduction){reduce_sum, reduce_largest, &study->run};
    s->output = lo_effect_find(lo_job_text(job, "attribution.output"));
    const double memory = memory_of_rank(study); /* all ranks together, before anything may fail */
    LO_TRY(lo_attribution_describe(job, &study->data, a, err));
    a->study = study;
    a->memory = memory;
    a->tick = &s->tick;
    a->reduction = &s->reduction;
    s->top = lo_job_int(job, "attribution.top");
    s->top = s->top > a->train.count ? a->train.count : s->top;
    a->width = lo_attribution_slab(a->train.count, study->run.rank, study->run.ranks, &a->first, &a->count);
    (void)lo_attribution_slab(a->groups, study->run.rank, study->run.ranks, &s->group_first, &s->group_count);
    for (int64_t i = 0; i < lo_job_length(job, "attribution.methods") && s->methods < MAX_METHODS; i++) {
        s->result[s->methods++].type = lo_attribution_find(lo_job_text_at(job, "attribution.methods", i));
    }
    return LO_OK;
}

/* Bytes of results on the largest of `ranks` ranks, and of what a method takes beside them. */
static double bytes_with(const stage *s, const lo_attribution_type *type, int ranks)
{
    int64_t first;
    const double own = (double)lo_attribution_slab(s->a.train.count, 0, ranks, &first, &first);
    const double groups = (double)lo_attribution_slab(s->a.groups, 0, ranks, &first, &first);
    const double targets = (double)s->a.target.count;
    const double results = s->methods * ((own + groups) * (targets * 4 + 20));
    const double saying = 8.0 * s->a.classes * (targets + TARGET_TILE * (LO_ATTRIBUTION_BLOCK + 1.0));
    return results + saying +
           2.0 * EXCHANGE_BYTES * (targets > 0 ? 1 : 0) * (own * targets * 4 > EXCHANGE_BYTES) +
           (s->a.model == LO_ATTRIBUTION_FEATURES ? s->a.network->memory : 0) + type->bytes(&s->a, ranks);
}

/* Refuses, before anything is computed, what does not fit. */
static lo_status size_up(const stage *s, lo_error *err)
{
    enum { MOST_RANKS = 1 << 16 };
    const double mib = 1048576;
    const int ranks = s->study->run.ranks;
    for (int m = 0; m < s->methods; m++) {
        const lo_attribution_type *type = s->result[m].type;
        const double needed = bytes_with(s, type, ranks);
        if (needed <= s->a.memory) {
            continue;
        }
        int enough = ranks;
        while (enough < MOST_RANKS && bytes_with(s, type, enough) > s->a.memory) {
            enough++;
        }
        if (enough < MOST_RANKS) {
            return lo_fail(
                err, LO_USAGE,
                "attribution: %s needs %.0f MiB on each of %d ranks; there are %.0f (attribution.memory); %d "
                "ranks with as much would do",
                type->name, needed / mib, ranks, s->a.memory / mib, enough);
        }
        return lo_fail(
            err, LO_USAGE,
            "attribution: %s needs %.0f MiB on each rank, however many there are; there are %.0f "
            "(attribution.memory): run fewer ranks on a node, or take %s",
            type->name, needed / mib, s->a.memory / mib,
            s->a.model == LO_ATTRIBUTION_NETWORK
                ? "fewer examples (attribution.form dual) or a layer alone (attribution.model features)"
                : "ridge_loo");
    }
    return LO_OK;
}

/* ---- computing ---- */

/* Rows of this rank's targets. */
static lo_status allocate_direct(const stage *s, result *r, lo_error *err)
{
    lo_attribution_direct *direct = &r->direct;
    bool there = true;
    lo_shard(s->a.target.count, 1, s->study->run.rank, s->study->run.ranks, &direct->first, &direct->count);
    direct->output = s->output;
    for (int o = 0; o < LO_EFFECTS; o++) {
        r->own[o] = calloc((size_t)s->a.count + 1, sizeof(float));
        direct->own[o] = r->own[o];
        there = there && r->own[o] != NULL;
    }
    r->value = calloc((size_t)(direct->count * s->a.train.count) + 1, sizeof(float));
    r->group_value = calloc((size_t)(direct->count * s->a.groups) + 1, sizeof(float));
    direct->value = r->value;
    return there && r->value != NULL && r->group_value != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for the results of %s", r->type->name);
}

static lo_status allocate(const stage *s, result *r, lo_error *err)
{
    const size_t own = (size_t)s->a.count + 1;
    const size_t groups = (size_t)s->group_count + 1;
    const size_t targets = (size_t)s->a.target.count + 1;
    if (r->type->direct != NULL) {
        return allocate_direct(s, r, err);
    }
    bool there = true;
    for (int o = 0; o < LO_EFFECTS; o++) {
        r->own[o] = calloc(own, sizeof(float));
        there = there && r->own[o] != NULL;
    }
    r->value = calloc(own * targets, sizeof(float));
    r->group_value = calloc(groups * targets, sizeof(float));
    r->gradient = calloc(own, sizeof(double));
    r->group_gradient = calloc(groups, sizeof(double));
    return there && r->value != NULL && r->group_value != NULL && r->gradient != NULL &&
                   r->group_gradient != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for the results of %s", r->type->name);
}

/* Scratch of a method's run: class values of all targets with everything, [targets, classes], and of a tile
 * of targets without: [TARGET_TILE, BLOCK, classes]. */
typedef struct scratch {
    double *full, *without;
} scratch;

/* What leaving out takes from targets' outputs: columns [first, first + models) of value [targets, columns].
 */
static lo_status change_targets(const stage *s, const lo_attribution_type *type, void *self, const scratch *w,
                                int64_t first, int64_t models, int64_t columns, float *value, lo_error *err)
{
    const lo_attribution *a = &s->a;
    for (int64_t from = 0; from < a->target.count; from += TARGET_TILE) {
        const int64_t now = a->target.count - from < TARGET_TILE ? a->target.count - from : TARGET_TILE;
        const double *full = w->full + from * a->classes;
        LO_TRY(type->say(self, from, now, full, w->without, err));
        for (int64_t t = 0; t < now; t++) {
            const int32_t label = a->target_examples->label[from + t];
            const double with =
                lo_effect_value(s->output, type->logits, full + t * a->classes, a->classes, label);
            for (int64_t i = 0; i < models; i++) {
                const double *without = w->without + (t * models + i) * a->classes;
                value[(from + t) * columns + first + i] =
                    (float)(with - lo_effect_value(s->output, type->logits, without, a->classes, label));
            }
        }
        LO_TRY(lo_tick_call(a->tick));
    }
    return LO_OK;
}

static lo_status change_own(const stage *s, result *r, void *self, const scratch *w, int64_t first,
                            int64_t count, lo_error *err)
{
    const lo_attribution *a = &s->a;
    double *with = w->without + LO_ATTRIBUTION_BLOCK * (int64_t)a->classes;
    LO_TRY(r->type->say_own(self, with, w->without, err));
    for (int64_t i = 0; i < count; i++) {
        const int32_t label = a->train_examples->label[a->first + first + i];
        for (int o = 0; o < LO_EFFECTS; o++) {
            const lo_effect output = (lo_effect)o;
            const bool logits = r->type->logits;
            r->own[o][first + i] =
                (float)(lo_effect_value(output, logits, with + i * a->classes, a->classes, label) -
                        lo_effect_value(output, logits, w->without + i * a->classes, a->classes, label));
        }
    }
    return LO_OK;
}

static lo_status one_block(const stage *s, result *r, void *self, const scratch *w, int64_t first,
                           lo_error *err)
{
    const lo_attribution *a = &s->a;
    const int64_t left = a->count - first;
    const int64_t now = left < LO_ATTRIBUTION_BLOCK ? left : LO_ATTRIBUTION_BLOCK;
    if (now <= 0) {
        return LO_OK;
    }
    LO_TRY(r->type->leave(self, first, now, r->gradient + first, err));
    LO_TRY(change_own(s, r, self, w, first, now, err));
    return change_targets(s, r->type, self, w, first, now, a->count, r->value, err);
}

static lo_status group_block(const stage *s, result *r, void *self, const scratch *w, int64_t first,
                             lo_error *err)
{
    const int64_t left = s->group_count - first;
    const int64_t now = left < LO_ATTRIBUTION_BLOCK ? left : LO_ATTRIBUTION_BLOCK;
    if (now <= 0) {
        return LO_OK;
    }
    LO_TRY(r->type->leave_groups(self, s->group_first + first, now, r->group_gradient + first, err));
    return change_targets(s, r->type, self, w, first, now, s->group_count, r->group_value, err);
}

static lo_status stopped(lo_status status, lo_error *err)
{
    return status == LO_STOPPED && err->text[0] == '\0'
               ? lo_fail(err, status, "stopped during attribution, which starts anew in the next run")
               : status;
}

/* Every rank works through its blocks, all at the same pace, so that a failure or a stop is everybody's at
 * once. */
static lo_status run_blocks(stage *s, result *r, void *self, const scratch *w, lo_error *err)
{
    enum { SAY_SECONDS = 5 };
    const lo_attribution *a = &s->a;
    lo_run *run = &s->study->run;
    lo_status status = LO_OK;
    double said = lo_clock_monotonic();
    int64_t blocks = (s->group_count + LO_ATTRIBUTION_BLOCK - 1) / LO_ATTRIBUTION_BLOCK;
    for (int64_t first = 0; first < a->width; first += LO_ATTRIBUTION_BLOCK) {
        status = one_block(s, r, self, w, first, err);
        LO_TRY(lo_agree(run->comm, status, err));
        if (run->rank != 0 || lo_clock_monotonic() - said < SAY_SECONDS) {
            continue;
        }
        said = lo_clock_monotonic();
        lo_run_progress(run, (double)first / (double)a->width,
                        "event=progress stage=attribution method=%s share=%.2f examples=%lld", r->type->name,
                        (double)first / (double)a->width, (long long)a->train.count);
    }
    MPI_Allreduce(MPI_IN_PLACE, &blocks, 1, MPI_INT64_T, MPI_MAX, run->comm);
    for (int64_t block = 0; block < blocks; block++) {
        status = group_block(s, r, self, w, block * LO_ATTRIBUTION_BLOCK, err);
        LO_TRY(lo_agree(run->comm, status, err));
    }
    return LO_OK;
}

/* Every left-out refit has its certificate, or the method has failed. */
static lo_status check_certificates(const stage *s, const result *r, lo_error *err)
{
    for (int64_t i = 0; i < s->a.count && r->type->certificate; i++) {
        if (!(r->gradient[i] <= s->a.tolerance)) {
            return lo_fail(
                err, LO_INTERNAL,
                "attribution: %s: without training example %lld the gradient's norm stays at %.3g, above "
                "attribution.tolerance %g; a larger penalty or tolerance would do",
                r->type->name, (long long)s->study->data.train.index[s->a.first + i], r->gradient[i],
                s->a.tolerance);
        }
    }
    return LO_OK;
}

/* What a method took and found on all ranks. */
static void add_up(const stage *s, result *r, double start)
{
    MPI_Comm comm = s->study->run.comm;
    r->seconds = lo_clock_monotonic() - start;
    MPI_Allreduce(MPI_IN_PLACE, &r->seconds, 1, MPI_DOUBLE, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, &r->notes.worst, 1, MPI_DOUBLE, MPI_MAX, comm);
    MPI_Allreduce(MPI_IN_PLACE, &r->notes.products, 1, MPI_DOUBLE, MPI_SUM, comm);
}

/* To first order a group does what its examples do. */
static void add_groups(const stage *s, result *r)
{
    const lo_attribution *a = &s->a;
    for (int64_t t = 0; t < r->direct.count; t++) {
        for (int64_t g = 0; g < a->groups; g++) {
            double sum = 0;
            for (int64_t i = 0; i < a->group[g].count; i++) {
                sum += (double)r->value[t * a->train.count + a->group[g].member[i]];
            }
            r->group_value[t * a->groups + g] = (float)sum;
        }
    }
}

/* From what is kept of another damping, or computed; with attribution.keep first that is made. */
static lo_status run_direct(stage *s, result *r, lo_error *err)
{
    lo_attribution *a = &s->a;
    const char *name = r->type->name;
    const int ranks = s->study->run.ranks;
    a->room = a->memory - (bytes_with(s, r->type, ranks) - r->type->bytes(a, ranks));
    a->spare = a->memory - bytes_with(s, r->type, ranks);
    if (!lo_kept_there(a, name)) {
        LO_TRY(r->type->direct(a, &r->direct, &r->notes, err));
        if (!a->keep) {
            return LO_OK;
        }
    }
    lo_run_say(&s->study->run, "event=kept method=%s file=curvature-%s.h5", name, name);
    return lo_kept_direct(a, name, &r->direct, &r->notes, err);
}

static lo_status compute_direct(stage *s, result *r, lo_error *err)
{
    const double start = lo_clock_monotonic();
    LO_TRY(lo_agree(s->study->run.comm, allocate(s, r, err), err));
    const lo_status status = run_direct(s, r, err);
    if (status == LO_OK) {
        add_groups(s, r);
    }
    add_up(s, r, start);
    return stopped(status, err);
}

static lo_status compute(stage *s, result *r, lo_error *err)
{
    lo_run *run = &s->study->run;
    lo_attribution *a = &s->a;
    const double start = lo_clock_monotonic();
    void *self = NULL;
    scratch w = {lo_attribution_numbers(a->target.count * a->classes),
                 lo_attribution_numbers((int64_t)TARGET_TILE * LO_ATTRIBUTION_BLOCK * a->classes)};
    lo_status status = allocate(s, r, err);
    if (status == LO_OK && (w.full == NULL || w.without == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the outputs of %lld targets",
                         (long long)a->target.count);
    }
    status = lo_agree(run->comm, status, err);
    if (status == LO_OK) {
        status = r->type->begin(a, &self, &r->notes, err);
        lo_run_say(run, "event=fitted method=%s seconds=%.1f", r->type->name, lo_clock_monotonic() - start);
    }
    if (status == LO_OK && a->target.count > 0) {
        status = r->type->say_full(self, 0, a->target.count, w.full, err);
    }
    status = lo_agree(run->comm, status, err);
    if (status == LO_OK) {
        status = run_blocks(s, r, self, &w, err);
    }
    if (status == LO_OK) {
        status = lo_agree(run->comm, check_certificates(s, r, err), err);
    }
    r->type->end(self);
    free(w.full);
    free(w.without);
    add_up(s, r, start);
    return stopped(status, err);
}

/* ---- the file ---- */

static lo_status add_sharded(stage *s, lo_h5 *h5, const char *method, const char *name, lo_h5_type type,
                             int *number, lo_error *err)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/%s/%s", method, name);
    return lo_h5_add(h5, path, type, s->a.train.count, 0, s->a.first, s->a.count, number, err);
}

static lo_status add_rows(stage *s, lo_h5 *h5, const char *method, const char *name, lo_h5_type type,
                          int64_t columns, int *number, lo_error *err)
{
    char path[128];
    int64_t first;
    int64_t count;
    lo_shard(s->a.target.count, 1, s->study->run.rank, s->study->run.ranks, &first, &count);
    (void)snprintf(path, sizeof(path), "/%s/%s", method, name);
    return lo_h5_add(h5, path, type, s->a.target.count, columns, first, count, number, err);
}

static lo_status add_method(stage *s, result *r, lo_h5 *h5, lo_error *err)
{
    const char *name = r->type->name;
    const lo_attribution *a = &s->a;
    char path[128];
    LO_TRY(add_sharded(s, h5, name, "self", LO_H5_F32, &r->own_set[LO_EFFECTS], err));
    for (int o = 0; o < LO_EFFECTS; o++) {
        (void)snprintf(path, sizeof(path), "self_%s", lo_effect_name((lo_effect)o));
        LO_TRY(add_sharded(s, h5, name, path, LO_H5_F32, &r->own_set[o], err));
    }
    if (r->type->certificate) {
        LO_TRY(add_sharded(s, h5, name, "gradient_norm", LO_H5_F64, &r->gradient_set, err));
    }
    if (a->target.count > 0 && s->top > 0) {
        LO_TRY(add_rows(s, h5, name, "top/index", LO_H5_I64, s->top, &r->index_set, err));
        LO_TRY(add_rows(s, h5, name, "top/value", LO_H5_F32, s->top, &r->value_set, err));
    } else if (a->target.count > 0) {
        LO_TRY(add_rows(s, h5, name, "value", LO_H5_F32, a->train.count, &r->value_set, err));
    }
    if (a->groups > 0) {
        LO_TRY(add_rows(s, h5, name, "group/value", LO_H5_F32, a->groups, &r->group_set, err));
    }
    if (a->groups > 0 && r->type->certificate) {
        (void)snprintf(path, sizeof(path), "/%s/group/gradient_norm", name);
        LO_TRY(lo_h5_add(h5, path, LO_H5_F64, a->groups, 0, s->group_first, s->group_count,
                         &r->group_gradient_set, err));
    }
    if (r->direct.spectrum > 0) {
        int64_t first;
        int64_t count;
        lo_shard(r->direct.spectrum, 1, s->study->run.rank, s->study->run.ranks, &first, &count);
        (void)snprintf(path, sizeof(path), "/%s/spectrum", name);
        LO_TRY(lo_h5_add(h5, path, LO_H5_F64, r->direct.spectrum, 0, first, count, &r->spectrum_set, err));
    }
    (void)snprintf(path, sizeof(path), "/%s", name);
    LO_TRY(lo_h5_text(h5, path, "description", r->type->description, err));
    LO_TRY(lo_h5_text(h5, path, "source", r->type->source, err));
    LO_TRY(lo_h5_int(h5, path, "orientation", 1, err));
    LO_TRY(lo_h5_text(h5, path, "output", lo_effect_name(s->output), err));
    LO_TRY(lo_h5_text(h5, path, "unit",
                      s->output == LO_EFFECT_MARGIN && r->type->logits ? "logits (natural)" : "share of 1",
                      err));
    LO_TRY(lo_h5_real(h5, path, "penalty", r->type->direct != NULL ? r->direct.ridge : a->penalty, err));
    LO_TRY(lo_h5_real(h5, path, "damping", r->direct.damping, err));
    if (r->direct.form != NULL) {
        LO_TRY(lo_h5_text(h5, path, "form", r->direct.form, err));
        LO_TRY(lo_h5_int(h5, path, "matrix_rows", r->direct.size, err));
    }
    if (r->direct.spectrum > 0) {
        LO_TRY(lo_h5_int(h5, path, "negative_eigenvalues",
                         lo_negative_eigenvalues(r->direct.eigenvalue, r->direct.spectrum), err));
    }
    LO_TRY(lo_h5_int(h5, path, "parameters", r->notes.parameters, err));
    LO_TRY(lo_h5_real(h5, path, "fit_gradient_norm", r->notes.fit_gradient, err));
    if (r->type->certificate) {
        LO_TRY(lo_h5_real(h5, path, "tolerance", a->tolerance, err));
        LO_TRY(lo_h5_real(h5, path, "largest_gradient_norm", r->notes.worst, err));
        LO_TRY(lo_h5_real(h5, path, "hessian_products", r->notes.products, err));
    }
    return lo_h5_real(h5, path, "cost_core_seconds", r->seconds, err);
}

/* What the values are of: a linear model of the inputs, of a layer's features, or a network. */
static lo_status add_model(const stage *s, lo_h5 *h5, lo_error *err)
{
    const lo_job *job = s->study->job;
    char layer[LO_NAME_SIZE];
    LO_TRY(lo_h5_text(h5, "/", "model", lo_job_text(job, "attribution.model"), err));
    if (s->a.model == LO_ATTRIBUTION_LINEAR) {
        return lo_h5_text(h5, "/", "features", "inputs", err);
    }
    LO_TRY(lo_h5_int(h5, "/", "original", lo_job_int(job, "attribution.original"), err));
    if (s->a.model == LO_ATTRIBUTION_FEATURES) {
        lo_network_value_name(lo_trainer_network(s->a.network->trainer), s->a.network->value, layer);
        return lo_h5_text(h5, "/", "features", layer, err);
    }
    return LO_OK;
}

static lo_status add_datasets(stage *s, uint64_t digest, lo_h5 *h5, lo_error *err)
{
    const lo_attribution *a = &s->a;
    char text[32];
    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)digest);
    LO_TRY(lo_h5_int(h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h5, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h5, "/", "digest", text, err));
    LO_TRY(add_model(s, h5, err));
    LO_TRY(lo_h5_text(h5, "/", "targets", lo_job_text(s->study->job, "attribution.targets"), err));
    LO_TRY(lo_h5_int(h5, "/", "n_train", a->train.count, err));
    LO_TRY(lo_h5_int(h5, "/", "n_target", a->target.count, err));
    LO_TRY(lo_h5_text(
        h5, "/", "meaning",
        "the output with the training example (or group) minus without: positive where keeping it raises the "
        "output",
        err));
    LO_TRY(add_sharded(s, h5, "train", "index", LO_H5_I64, &s->train_set[0], err));
    LO_TRY(add_sharded(s, h5, "train", "label", LO_H5_I32, &s->train_set[1], err));
    if (a->target.count > 0) {
        LO_TRY(add_rows(s, h5, "target", "index", LO_H5_I64, 0, &s->target_set[0], err));
        LO_TRY(add_rows(s, h5, "target", "label", LO_H5_I32, 0, &s->target_set[1], err));
    }
    if (a->groups > 0) {
        LO_TRY(lo_h5_add(h5, "/group/size", LO_H5_I64, a->groups, 0, s->group_first, s->group_count,
                         &s->size_set, err));
    }
    for (int m = 0; m < s->methods; m++) {
        LO_TRY(add_method(s, &s->result[m], h5, err));
    }
    return LO_OK;
}

/* Rows of a matrix that ranks hold by columns: an exchange of blocks of rows at a time. */
typedef struct exchange {
    int64_t total, width;         /* columns of all ranks; of a rank's slab */
    int64_t columns;              /* this rank's */
    int64_t first, count, block;  /* this rank's rows; rows a round */
    float *send, *receive, *rows; /* [ranks, block, columns], likewise of all, [block, total] */
    int *counts;                  /* [4, ranks]: counts and displacements, sent and received */
} exchange;

static void exchange_free(exchange *x)
{
    free(x->send);
    free(x->receive);
    free(x->rows);
    free(x->counts);
}

static lo_status exchange_begin(const stage *s, int64_t total, exchange *x, lo_error *err)
{
    const lo_run *run = &s->study->run;
    int64_t from;
    *x = (exchange){.total = total};
    x->width = lo_attribution_slab(total, run->rank, run->ranks, &from, &x->columns);
    lo_shard(s->a.target.count, 1, run->rank, run->ranks, &x->first, &x->count);
    const int64_t most = (s->a.target.count + run->ranks - 1) / run->ranks;
    x->block = EXCHANGE_BYTES / ((total + 1) * (int64_t)sizeof(float));
    x->block = x->block < 1 ? 1 : x->block > most ? most : x->block;
    x->send = malloc(((size_t)(run->ranks * x->block * x->columns) + 1) * sizeof(float));
    x->receive = malloc(((size_t)(x->block * total) + 1) * sizeof(float));
    x->rows = malloc(((size_t)(x->block * total) + 1) * sizeof(float));
    x->counts = calloc(4 * (size_t)run->ranks, sizeof(int));
    return x->send != NULL && x->receive != NULL && x->rows != NULL && x->counts != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory to exchange rows of %lld numbers", (long long)total);
}

/* The round-th block of this rank's rows into x->rows; how many there are. Collective. */
static int64_t exchange_round(const stage *s, exchange *x, const float *value, int64_t round)
{
    const lo_run *run = &s->study->run;
    int *counts = x->counts;
    int *places = counts + run->ranks;
    int *coming = places + run->ranks;
    int *coming_places = coming + run->ranks;
    int64_t filled = 0;
    const int64_t left = x->count - round * x->block;
    const int64_t mine = left < 0 ? 0 : left < x->block ? left : x->block;
    int64_t expected = 0;
    for (int r = 0; r < run->ranks; r++) {
        int64_t first;
        int64_t count;
        int64_t column;
        int64_t columns;
        lo_shard(s->a.target.count, 1, r, run->ranks, &first, &count);
        count -= round * x->block;
        count = count < 0 ? 0 : count < x->block ? count : x->block;
        places[r] = (int)filled;
        counts[r] = (int)(count * x->columns);
        memcpy(x->send + filled, value + (first + round * x->block) * x->columns,
               (size_t)counts[r] * sizeof(float));
        filled += counts[r];
        (void)lo_attribution_slab(x->total, r, run->ranks, &column, &columns);
        coming_places[r] = (int)expected;
        coming[r] = (int)(mine * columns);
        expected += coming[r];
    }
    MPI_Alltoallv(x->send, counts, places, MPI_FLOAT, x->receive, coming, coming_places, MPI_FLOAT,
                  run->comm);
    for (int r = 0; r < run->ranks; r++) {
        int64_t column;
        int64_t columns;
        (void)lo_attribution_slab(x->total, r, run->ranks, &column, &columns);
        for (int64_t t = 0; t < mine; t++) {
            memcpy(x->rows + t * x->total + column, x->receive + coming_places[r] + t * columns,
                   (size_t)columns * sizeof(float));
        }
    }
    return mine;
}

/* The same of rows that this rank holds already. */
static int64_t own_round(exchange *x, const float *value, int64_t round)
{
    const int64_t left = x->count - round * x->block;
    const int64_t mine = left < 0 ? 0 : left < x->block ? left : x->block;
    if (mine > 0) {
        memcpy(x->rows, value + round * x->block * x->total, (size_t)(mine * x->total) * sizeof(float));
    }
    return mine;
}

/* Writes a matrix [targets, total] that ranks hold by columns, or by rows; with top > 0 the strongest of each
 * row. */
static lo_status write_rows(const stage *s, lo_h5 *h5, bool by_rows, const float *value, int64_t total,
                            int64_t top, int value_set, int index_set, lo_error *err)
{
    exchange x;
    MPI_Comm comm = s->study->run.comm;
    lo_status status = exchange_begin(s, total, &x, err);
    int64_t *index = calloc((size_t)(x.block * top) + 1, sizeof(*index));
    float *strong = calloc((size_t)(x.block * top) + 1, sizeof(*strong));
    if (status == LO_OK && (index == NULL || strong == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the strongest of %lld rows", (long long)x.block);
    }
    status = lo_agree(comm, status, err);
    int64_t rounds = (x.count + x.block - 1) / x.block;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, comm);
    for (int64_t round = 0; round < rounds && status == LO_OK; round++) {
        const int64_t now = by_rows ? own_round(&x, value, round) : exchange_round(s, &x, value, round);
        if (top > 0) {
            lo_strongest(x.rows, now, total, top, index, strong);
            status = lo_h5_write(h5, index_set, now, index, LO_OK, err);
        }
        if (status == LO_OK) {
            status = lo_h5_write(h5, value_set, now, top > 0 ? strong : x.rows, LO_OK, err);
        }
    }
    free(index);
    free(strong);
    exchange_free(&x);
    return status;
}

static lo_status write_spectrum(const stage *s, const result *r, lo_h5 *h5, lo_error *err)
{
    int64_t first;
    int64_t count;
    lo_shard(r->direct.spectrum, 1, s->study->run.rank, s->study->run.ranks, &first, &count);
    return lo_h5_write(h5, r->spectrum_set, count, r->direct.eigenvalue + first, LO_OK, err);
}

static lo_status write_method(const stage *s, const result *r, lo_h5 *h5, lo_error *err)
{
    const lo_attribution *a = &s->a;
    const bool by_rows = r->type->direct != NULL;
    if (r->direct.spectrum > 0) {
        LO_TRY(write_spectrum(s, r, h5, err));
    }
    LO_TRY(lo_h5_write(h5, r->own_set[LO_EFFECTS], a->count, r->own[s->output], LO_OK, err));
    for (int o = 0; o < LO_EFFECTS; o++) {
        LO_TRY(lo_h5_write(h5, r->own_set[o], a->count, r->own[o], LO_OK, err));
    }
    if (r->type->certificate) {
        LO_TRY(lo_h5_write(h5, r->gradient_set, a->count, r->gradient, LO_OK, err));
    }
    if (a->target.count > 0) {
        LO_TRY(write_rows(s, h5, by_rows, r->value, a->train.count, s->top, r->value_set, r->index_set, err));
    }
    if (a->groups > 0) {
        LO_TRY(write_rows(s, h5, by_rows, r->group_value, a->groups, 0, r->group_set, 0, err));
    }
    return a->groups > 0 && r->type->certificate
               ? lo_h5_write(h5, r->group_gradient_set, s->group_count, r->group_gradient, LO_OK, err)
               : LO_OK;
}

static lo_status write_sizes(const stage *s, lo_h5 *h5, lo_error *err)
{
    int64_t *size = calloc((size_t)s->group_count + 1, sizeof(*size));
    for (int64_t g = 0; size != NULL && g < s->group_count; g++) {
        size[g] = s->a.group[s->group_first + g].count;
    }
    const lo_status status =
        size != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the groups' sizes");
    const lo_status written = lo_h5_write(h5, s->size_set, s->group_count, size, status, err);
    free(size);
    return written;
}

static lo_status write_all(const stage *s, lo_h5 *h5, lo_error *err)
{
    const lo_attribution *a = &s->a;
    LO_TRY(lo_h5_write(h5, s->train_set[0], a->count, a->train_examples->index + a->first, LO_OK, err));
    LO_TRY(lo_h5_write(h5, s->train_set[1], a->count, a->train_examples->label + a->first, LO_OK, err));
    if (a->target.count > 0) {
        int64_t first;
        int64_t count;
        lo_shard(a->target.count, 1, s->study->run.rank, s->study->run.ranks, &first, &count);
        LO_TRY(lo_h5_write(h5, s->target_set[0], count, a->target_examples->index + first, LO_OK, err));
        LO_TRY(lo_h5_write(h5, s->target_set[1], count, a->target_examples->label + first, LO_OK, err));
    }
    if (a->groups > 0) {
        LO_TRY(write_sizes(s, h5, err));
    }
    for (int m = 0; m < s->methods; m++) {
        LO_TRY(write_method(s, &s->result[m], h5, err));
    }
    return LO_OK;
}

/* ---- the stage ---- */

/* Is there a file of these keys? Rank 0 looks. */
static bool is_there(const lo_study *study, const char *path, uint64_t digest)
{
    char found[32] = "";
    char wanted[32];
    bool there = false;
    (void)snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)digest);
    if (study->run.rank == 0 && access(path, F_OK) == 0) {
        lo_h5_reader reader;
        there = lo_h5_open(path, &reader, NULL) == LO_OK &&
                lo_h5_get_text(&reader, "/", "digest", found, sizeof(found), NULL) == LO_OK &&
                strcmp(found, wanted) == 0;
        lo_h5_close(&reader);
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

static lo_status make(lo_study *study, const char *path, uint64_t digest, lo_error *err)
{
    stage s = {.study = study};
    lo_h5 h5 = {.id = -1};
    const double start = lo_clock_monotonic();
    lo_status status = lo_agree(study->run.comm, describe(&s, err), err);
    if (status == LO_OK) {
        status = lo_agree(study->run.comm, size_up(&s, err), err);
    }
    if (status == LO_OK) {
        status = lo_attribution_network_load(&s.a, err);
    }
    for (int m = 0; m < s.methods && status == LO_OK; m++) {
        result *r = &s.result[m];
        status = r->type->direct != NULL ? compute_direct(&s, r, err) : compute(&s, r, err);
    }
    lo_softmax_fitted_destroy(&s.a.softmax_fitted);
    if (status == LO_OK) {
        const double bytes = lo_attribution_file_bytes(&s.a, s.methods, s.top);
        status = lo_h5_create(study->run.comm, path, (uint64_t)bytes, &h5, err);
    }
    if (status == LO_OK) {
        status = add_datasets(&s, digest, &h5, err);
        if (status == LO_OK) {
            status = write_all(&s, &h5, err);
        }
        status = lo_h5_commit(&h5, status, err);
    }
    if (status == LO_OK) {
        study->news = true;
        lo_run_say(&study->run, "event=published file=attribution.h5 methods=%d seconds=%.2f", s.methods,
                   lo_clock_monotonic() - start);
    }
    stage_free(&s);
    return status;
}

uint64_t lo_attribution_digest(const lo_job *job)
{
    uint64_t digest = lo_job_digest(job, LO_KEYS_DAMPING);
    for (int i = 0; i < lo_attribution_count(); i++) {
        if (lo_job_lists(job, "attribution.methods", lo_attribution_at(i)->name)) {
            digest = lo_digest(digest, lo_attribution_at(i)->name);
        }
    }
    return digest;
}

lo_status lo_stage_attribution_foresee(lo_study *study, lo_error *err)
{
    char path[PATH_MAX];
    stage s = {.study = study};
    if (!lo_job_has(study->job, "attribution")) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/attribution.h5", study->run.study);
    if (is_there(study, path, lo_attribution_digest(study->job))) {
        return LO_OK;
    }
    lo_status status = lo_agree(study->run.comm, describe(&s, err), err);
    if (status == LO_OK) {
        status = lo_agree(study->run.comm, size_up(&s, err), err);
    }
    stage_free(&s);
    return status;
}

lo_status lo_stage_attribution(lo_study *study, lo_error *err)
{
    char path[PATH_MAX];
    if (!lo_job_has(study->job, "attribution")) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/attribution.h5", study->run.study);
    const uint64_t digest = lo_attribution_digest(study->job);
    LO_TRY(lo_study_lock(study, err));
    const lo_status status = is_there(study, path, digest) ? LO_OK : make(study, path, digest, err);
    lo_study_unlock(study);
    return status;
}
