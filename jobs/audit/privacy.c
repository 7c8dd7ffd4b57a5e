#include "jobs/audit/privacy.h"

#include "audit/lira.h"
#include "audit/members.h"
#include "audit/rmia.h"
#include "base/clock.h"
#include "jobs/study/derived.h"
#include "jobs/watch.h"
#include "mpi/agree.h"
#include "score/rank.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIRA, LIRA_OFFLINE, RMIA, ATTACKS };
static const struct {
    const char *name, *metric, *description, *source;
} attacks[ATTACKS] = {
    {"lira", "lira",
     "log-likelihood ratio of Gaussians of the margins of models with and without the example",
     "Carlini et al., IEEE S&P 2022, online"},
    {"lira_offline", "lira",
     "the margin's distance from those of models without the example, in their standard deviations",
     "Carlini et al., IEEE S&P 2022, offline"},
    {"rmia", "rmia",
     "share of the test examples whose probability, over the mean of other models, is further below",
     "Zarifzadeh et al., ICML 2024, offline, gamma = 1"},
};

/* Scores that rank 0 gathers for figures in all: at most so many, of as many targets. */
enum { MOST_SCORES = 1 << 26, FEWEST_TARGETS = 8 };

/* What an attack found. */
typedef struct result {
    bool wanted;
    float *auc, *accuracy; /* [count], this rank's examples; accuracy of lira alone */
    lo_members all;        /* the same on all ranks */
    double curve[LO_ROC_POINTS], agreement;
    double seconds;
    int auc_set, accuracy_set, curve_set; /* datasets */
} result;

typedef struct privacy {
    lo_study *study;
    const lo_ensemble_file *file;
    lo_watch watch;
    lo_tick tick;
    int64_t n, first, count, tests;
    int64_t targets;         /* models whose scores make the figures in all: the first ones */
    lo_columns mask;         /* of this rank's examples, by model number */
    float *phi, *population; /* [rows, count], [rows, tests] */
    lo_references examples, tested;
    float *score; /* [count, rows] */
    int *sizes;   /* [2, ranks]: examples of each rank, and the first one */
    /* Rank 0: */
    lo_columns whole_mask;
    lo_references whole;
    float *gathered;     /* [n, targets] */
    float *memorization; /* [n] */
    lo_lira lira;
    lo_rmia rmia;
    result result[ATTACKS];
    int point_set; /* dataset */
} privacy;

double lo_roc_point(int i)
{
    return pow(10, -5 * (1 - i / (double)(LO_ROC_POINTS - 1)));
}

static void release(privacy *p)
{
    lo_columns_destroy(&p->mask);
    lo_columns_destroy(&p->whole_mask);
    free(p->phi);
    free(p->population);
    free(p->score);
    free(p->sizes);
    free(p->gathered);
    free(p->memorization);
    for (int a = 0; a < ATTACKS; a++) {
        free(p->result[a].auc);
        free(p->result[a].accuracy);
    }
}

static lo_status no_memory(const privacy *p, lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the margins of %lld models on %lld examples",
                   (long long)p->file->rows, (long long)(p->count + p->tests));
}

/* Columns [first, first + count) of a dataset of margins; rows of models that are not in use are NaN. */
static lo_status read_margins(const privacy *p, const char *path, int64_t columns, int64_t first,
                              int64_t count, float **out, lo_error *err)
{
    const lo_ensemble_file *f = p->file;
    float *row = malloc((size_t)columns * sizeof(*row) + 1);
    *out = malloc((size_t)(f->rows * count) * sizeof(**out) + 1);
    lo_status status = row != NULL && *out != NULL ? LO_OK : no_memory(p, err);
    for (int64_t r = 0; r < f->rows && status == LO_OK; r++) {
        status = lo_h5_read(&f->reader, path, LO_H5_F32, r, 1, row, err);
        const int64_t model = f->model[r];
        const bool used = (f->use[model / 8] >> (model % 8) & 1) != 0;
        for (int64_t i = 0; i < count && status == LO_OK; i++) {
            (*out)[r * count + i] = used ? row[first + i] : NAN;
        }
    }
    free(row);
    return status;
}

static lo_status read_all(privacy *p, lo_error *err)
{
    const lo_ensemble_file *f = p->file;
    if (!lo_h5_has(&f->reader, "/train/logit")) {
        return lo_fail(
            err, LO_USAGE,
            "audit.metrics: lira and rmia need the margins of the ensemble's models, and %s was imported "
            "without them (--train-logit)",
            f->reader.file);
    }
    LO_TRY(read_margins(p, "/train/logit", p->n, p->first, p->count, &p->phi, err));
    LO_TRY(lo_ensemble_columns(f, "/mask", p->first, p->count, &p->mask, err));
    if (p->result[RMIA].wanted) {
        LO_TRY(read_margins(p, "/test/logit", p->tests, 0, p->tests, &p->population, err));
    }
    p->examples = (lo_references){p->phi, f->rows, p->count, p->count, &p->mask, f->model};
    p->tested = (lo_references){p->population, f->rows, p->tests, p->tests, NULL, NULL};
    p->score = malloc((size_t)(p->count * f->rows) * sizeof(*p->score) + 1);
    p->sizes = calloc(2 * (size_t)p->study->run.ranks, sizeof(*p->sizes));
    for (int a = 0; a < ATTACKS; a++) {
        p->result[a].auc = calloc((size_t)p->count + 1, sizeof(float));
        p->result[a].accuracy = calloc((size_t)p->count + 1, sizeof(float));
        if (p->score == NULL || p->sizes == NULL || p->result[a].auc == NULL ||
            p->result[a].accuracy == NULL) {
            return no_memory(p, err);
        }
    }
    return LO_OK;
}

/* Rank 0: who was trained on what, of all examples, and their memorization. */
static lo_status read_whole(privacy *p, lo_error *err)
{
    if (p->study->run.rank != 0) {
        return LO_OK;
    }
    const lo_ensemble_file *f = p->file;
    lo_columns correct = {0};
    lo_counts *counts = malloc((size_t)p->n * sizeof(*counts) + 1);
    p->memorization = malloc((size_t)p->n * sizeof(*p->memorization) + 1);
    p->gathered = malloc((size_t)(p->n * p->targets) * sizeof(*p->gathered) + 1);
    lo_status status =
        counts != NULL && p->memorization != NULL && p->gathered != NULL ? LO_OK : no_memory(p, err);
    if (status == LO_OK) {
        status = lo_ensemble_columns(f, "/mask", 0, p->n, &p->whole_mask, err);
    }
    if (status == LO_OK) {
        status = lo_ensemble_columns(f, "/train/correct", 0, p->n, &correct, err);
    }
    if (status == LO_OK) {
        lo_count(&p->whole_mask, &correct, f->use, counts);
        for (int64_t i = 0; i < p->n; i++) {
            const lo_counts c = counts[i];
            p->memorization[i] = lo_difference(c.in_hit, c.in, c.out_hit, c.out).value;
        }
        p->whole = (lo_references){NULL, p->targets, p->n, p->n, &p->whole_mask, f->model};
    }
    lo_columns_destroy(&correct);
    free(counts);
    return status;
}

/* Floats of each rank's examples, `width` an example, put together on rank 0. Collective. */
static void gather(const privacy *p, const float *mine, int64_t width, float *all)
{
    const lo_run *run = &p->study->run;
    MPI_Datatype row;
    MPI_Type_contiguous((int)width, MPI_FLOAT, &row);
    MPI_Type_commit(&row);
    for (int r = 0; r < run->ranks; r++) {
        int64_t first, count;
        lo_shard(p->n, 1, r, run->ranks, &first, &count);
        p->sizes[r] = (int)count;
        p->sizes[run->ranks + r] = (int)first;
    }
    MPI_Gatherv(mine, (int)p->count, row, all, p->sizes, p->sizes + run->ranks, row, 0, run->comm);
    MPI_Type_free(&row);
}

static void share(const privacy *p, void *value, size_t size)
{
    lo_broadcast(p->study->run.comm, value, size);
}

/* Spearman's correlation with memorization, on rank 0; gathered has the AUCs. */
static lo_status agreement(const privacy *p, const float *auc, double *out, lo_error *err)
{
    double *x = malloc(2 * (size_t)p->n * sizeof(*x) + 1), *y = x + p->n;
    lo_agreement found = {0};
    if (x == NULL) {
        return no_memory(p, err);
    }
    for (int64_t i = 0; i < p->n; i++) {
        x[i] = (double)auc[i];
        y[i] = (double)p->memorization[i];
    }
    const lo_status status = lo_spearman(x, y, p->n, &found, err);
    *out = found.value;
    free(x);
    return status;
}

/* From the scores of this rank's examples: figures in all, and the agreement of its AUCs. Collective. */
static lo_status sum_up(privacy *p, result *r, lo_error *err)
{
    lo_status status = LO_OK;
    double point[LO_ROC_POINTS];
    for (int i = 0; i < LO_ROC_POINTS; i++) {
        point[i] = lo_roc_point(i);
    }
    gather(p, r->auc, 1, p->gathered);
    if (p->study->run.rank == 0) {
        status = agreement(p, p->gathered, &r->agreement, err);
    }
    for (int64_t i = 0; i < p->count && p->targets < p->file->rows; i++) {
        memmove(p->score + i * p->targets, p->score + i * p->file->rows,
                (size_t)p->targets * sizeof(*p->score));
    }
    gather(p, p->score, p->targets, p->gathered);
    if (p->study->run.rank == 0 && status == LO_OK) {
        status = lo_members_in_all(&p->whole, p->gathered, &r->all, &p->tick, err);
    }
    if (p->study->run.rank == 0 && status == LO_OK) {
        status = lo_members_curve(&p->whole, p->gathered, point, LO_ROC_POINTS, r->curve, err);
    }
    LO_TRY(lo_agree(p->study->run.comm, status, err));
    share(p, &r->agreement, sizeof(r->agreement));
    share(p, r->curve, sizeof(r->curve));
    /* What is refused says so in texts, which are where they are on every rank: pointers do not travel. */
    bool refused[2 * LO_ROC_RATES];
    for (int k = 0; k < LO_ROC_RATES; k++) {
        refused[k] = r->all.refused[k] != NULL;
        refused[LO_ROC_RATES + k] = r->all.pooled.rate[k].refused != NULL;
    }
    share(p, refused, sizeof(refused));
    share(p, &r->all, sizeof(r->all));
    for (int k = 0; k < LO_ROC_RATES; k++) {
        r->all.refused[k] = refused[k] ? "too few" : NULL;
        r->all.pooled.rate[k].refused = refused[LO_ROC_RATES + k] ? "too few" : NULL;
    }
    return LO_OK;
}

/* One deviation for all examples where a side has too few models for its own. Collective. */
static lo_status choose_deviations(privacy *p, lo_error *err)
{
    lo_lira_sums *sums = malloc((size_t)p->n * sizeof(*sums) + 1);
    const MPI_Comm comm = p->study->run.comm;
    lo_status status =
        sums != NULL ? lo_lira_spread(&p->examples, sums + p->first, &p->tick, err) : no_memory(p, err);
    status = lo_agree(comm, status, err);
    for (int r = 0; r < p->study->run.ranks && status == LO_OK; r++) {
        int64_t first, count;
        lo_shard(p->n, 1, r, p->study->run.ranks, &first, &count);
        MPI_Bcast(sums + first, (int)(count * (int64_t)sizeof(*sums)), MPI_BYTE, r, comm);
    }
    double in = 0, out = 0;
    for (int64_t i = 0; i < p->n && status == LO_OK; i++) {
        in += (double)(sums[i].in_degrees + 1) / (double)p->n;
        out += (double)(sums[i].out_degrees + 1) / (double)p->n;
    }
    if (status == LO_OK && (in < LO_LIRA_FEW || out < LO_LIRA_FEW)) {
        lo_lira_pool(sums, p->n, &p->lira.in_deviation, &p->lira.out_deviation);
    }
    free(sums);
    return status;
}

static lo_status run_lira(privacy *p, int attack, lo_error *err)
{
    result *r = &p->result[attack];
    lo_lira options = p->lira;
    options.offline = attack == LIRA_OFFLINE;
    lo_vulnerability *each = malloc((size_t)p->count * sizeof(*each) + 1);
    lo_status status =
        each != NULL ? lo_lira_vulnerability(&p->examples, &options, each, &p->tick, err) : no_memory(p, err);
    if (status == LO_OK) {
        status = lo_lira_scores(&p->examples, &options, p->score, &p->tick, err);
    }
    for (int64_t i = 0; i < p->count && status == LO_OK; i++) {
        r->auc[i] = each[i].auc;
        r->accuracy[i] = each[i].accuracy;
    }
    free(each);
    return status;
}

/* The AUC of reference `row` as the target, with one a, on rank 0. Collective. */
static lo_status try_a(privacy *p, lo_rmia_attack *attack, int64_t row, double a, double *auc, lo_error *err)
{
    const lo_rmia options = {a, 1};
    lo_status status = lo_rmia_reference(attack, &options, row, p->score, 1, &p->tick);
    status = lo_agree(p->study->run.comm, status, err);
    if (status == LO_OK) {
        gather(p, p->score, 1, p->gathered);
    }
    if (status == LO_OK && p->study->run.rank == 0) {
        lo_references one = p->whole;
        lo_members found = {0};
        one.models = 1;
        one.model += row;
        status = lo_members_in_all(&one, p->gathered, &found, &p->tick, err);
        *auc = found.pooled.auc.value;
    }
    return lo_agree(p->study->run.comm, status, err);
}

/* The row of the first model that did not diverge. */
static int64_t first_used(const lo_ensemble_file *f)
{
    int64_t row = 0;
    while (row + 1 < f->rows && (f->use[f->model[row] / 8] >> (f->model[row] % 8) & 1) == 0) {
        row++;
    }
    return row;
}

/* The best a for the first model in use, whose training set the attacker is given. Collective. */
static lo_status tune(privacy *p, lo_rmia_attack *attack, lo_error *err)
{
    const int64_t row = first_used(p->file);
    double best = -1;
    p->rmia = (lo_rmia){0, 1};
    for (int k = 0; k < LO_RMIA_TRIED; k++) {
        double auc = NAN;
        LO_TRY(try_a(p, attack, row, lo_rmia_a(k), &auc, err));
        if (auc > best) {
            best = auc;
            p->rmia.a = lo_rmia_a(k);
        }
    }
    share(p, &p->rmia.a, sizeof(p->rmia.a));
    return LO_OK;
}

static lo_status run_rmia(privacy *p, lo_error *err)
{
    lo_rmia_attack *attack = NULL;
    lo_status status = lo_rmia_create(&p->examples, &p->tested, &attack, &p->tick, err);
    status = lo_agree(p->study->run.comm, status, err);
    if (status == LO_OK) {
        status = tune(p, attack, err);
    }
    for (int64_t m = 0; m < p->file->rows && status == LO_OK; m++) {
        status = lo_rmia_reference(attack, &p->rmia, m, p->score + m, p->file->rows, &p->tick);
    }
    if (status == LO_OK) {
        status = lo_members_by_example(&p->examples, p->score, p->result[RMIA].auc, &p->tick, err);
    }
    lo_rmia_destroy(&attack);
    return status;
}

static lo_status compute(privacy *p, lo_error *err)
{
    if (p->result[LIRA].wanted) {
        LO_TRY(choose_deviations(p, err));
    }
    for (int a = 0; a < ATTACKS; a++) {
        result *r = &p->result[a];
        if (!r->wanted) {
            continue;
        }
        const double start = lo_clock_monotonic();
        LO_TRY(lo_agree(p->study->run.comm, a == RMIA ? run_rmia(p, err) : run_lira(p, a, err), err));
        LO_TRY(sum_up(p, r, err));
        r->seconds = lo_clock_monotonic() - start;
    }
    return LO_OK;
}

/* All ranks go through it together: whatever one fails at, all leave. */
static lo_status prepare(const lo_study *study, const lo_ensemble_file *file, void *self, uint64_t *bytes,
                         lo_error *err)
{
    privacy *p = self;
    p->file = file;
    p->watch.run = &p->study->run;
    p->tick = lo_watch_tick(&p->watch);
    p->n = study->data.train.count;
    p->tests = study->data.test.count;
    lo_shard(p->n, 1, study->run.rank, study->run.ranks, &p->first, &p->count);
    p->targets = MOST_SCORES / (p->n > 0 ? p->n : 1);
    p->targets = p->targets < FEWEST_TARGETS ? FEWEST_TARGETS : p->targets;
    p->targets = p->targets > file->rows ? file->rows : p->targets;
    *bytes = (uint64_t)p->n * ATTACKS * 2 * sizeof(float) + (1 << 17);
    lo_status status = read_all(p, err);
    if (status == LO_OK) {
        status = read_whole(p, err);
    }
    LO_TRY(lo_agree(study->run.comm, status, err));
    return compute(p, err);
}

/* ---- the file ---- */

static lo_status write_bounded(lo_h5 *h5, const char *path, const char *name, lo_bounded value, lo_error *err)
{
    char text[64];
    LO_TRY(lo_h5_real(h5, path, name, value.value, err));
    (void)snprintf(text, sizeof(text), "%s_low", name);
    LO_TRY(lo_h5_real(h5, path, text, value.low, err));
    (void)snprintf(text, sizeof(text), "%s_high", name);
    return lo_h5_real(h5, path, text, value.high, err);
}

static lo_status describe(const privacy *p, int a, lo_h5 *h5, lo_error *err)
{
    static const char *const rate[LO_ROC_RATES] = {"tpr_at_0.01", "tpr_at_0.001"};
    const result *r = &p->result[a];
    char path[64], name[64];
    (void)snprintf(path, sizeof(path), "/%s", attacks[a].name);
    LO_TRY(lo_h5_text(h5, path, "description", attacks[a].description, err));
    LO_TRY(lo_h5_text(h5, path, "source", attacks[a].source, err));
    LO_TRY(lo_h5_int(h5, path, "targets", r->all.models, err));
    LO_TRY(lo_h5_int(h5, path, "members", r->all.pooled.members, err));
    LO_TRY(lo_h5_int(h5, path, "others", r->all.pooled.others, err));
    LO_TRY(write_bounded(h5, path, "auc", r->all.auc, err));
    LO_TRY(write_bounded(h5, path, "pooled_auc", r->all.pooled.auc, err));
    LO_TRY(lo_h5_real(h5, path, "pooled_accuracy", r->all.pooled.accuracy, err));
    for (int k = 0; k < LO_ROC_RATES; k++) {
        LO_TRY(write_bounded(h5, path, rate[k], r->all.rate[k], err));
        (void)snprintf(name, sizeof(name), "pooled_%s", rate[k]);
        LO_TRY(write_bounded(h5, path, name, r->all.pooled.rate[k].tpr, err));
    }
    LO_TRY(lo_h5_real(h5, path, "agreement_with_memorization", r->agreement, err));
    LO_TRY(lo_h5_real(h5, path, "cost_core_seconds", r->seconds * p->study->run.ranks, err));
    if (a == RMIA) {
        LO_TRY(lo_h5_real(h5, path, "a", p->rmia.a, err));
        return lo_h5_real(h5, path, "gamma", p->rmia.gamma, err);
    }
    LO_TRY(lo_h5_real(h5, path, "in_deviation", p->lira.in_deviation, err));
    return lo_h5_real(h5, path, "out_deviation", p->lira.out_deviation, err);
}

static lo_status add_datasets(privacy *p, lo_h5 *h5, lo_error *err)
{
    const int64_t points = p->study->run.rank == 0 ? LO_ROC_POINTS : 0;
    char path[64];
    for (int a = 0; a < ATTACKS; a++) {
        result *r = &p->result[a];
        if (!r->wanted) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/%s/auc", attacks[a].name);
        LO_TRY(lo_h5_add(h5, path, LO_H5_F32, p->n, 0, p->first, p->count, &r->auc_set, err));
        if (a == LIRA) {
            LO_TRY(lo_h5_add(h5, "/lira/accuracy", LO_H5_F32, p->n, 0, p->first, p->count, &r->accuracy_set,
                             err));
        }
        (void)snprintf(path, sizeof(path), "/%s/roc", attacks[a].name);
        LO_TRY(lo_h5_add(h5, path, LO_H5_F64, LO_ROC_POINTS, 0, 0, points, &r->curve_set, err));
        LO_TRY(describe(p, a, h5, err));
    }
    return lo_h5_add(h5, "/false_positive_rate", LO_H5_F64, LO_ROC_POINTS, 0, 0, points, &p->point_set, err);
}

static lo_status write_file(lo_study *study, const lo_ensemble_file *ensemble, void *self, lo_h5 *h5,
                            lo_error *err)
{
    (void)ensemble;
    privacy *p = self;
    const int64_t points = study->run.rank == 0 ? LO_ROC_POINTS : 0;
    double point[LO_ROC_POINTS];
    for (int i = 0; i < LO_ROC_POINTS; i++) {
        point[i] = lo_roc_point(i);
    }
    LO_TRY(add_datasets(p, h5, err));
    LO_TRY(lo_h5_write(h5, p->point_set, points, point, LO_OK, err));
    for (int a = 0; a < ATTACKS; a++) {
        const result *r = &p->result[a];
        if (!r->wanted) {
            continue;
        }
        LO_TRY(lo_h5_write(h5, r->auc_set, p->count, r->auc, LO_OK, err));
        if (a == LIRA) {
            LO_TRY(lo_h5_write(h5, r->accuracy_set, p->count, r->accuracy, LO_OK, err));
        }
        LO_TRY(lo_h5_write(h5, r->curve_set, points, r->curve, LO_OK, err));
    }
    return LO_OK;
}

/* Which attacks: what the job lists, or all that the data can have. */
static bool wants(const lo_study *study, int a)
{
    const bool all = lo_job_length(study->job, "audit.metrics") == 0;
    return all ? a != RMIA || study->data.test.count > 0
               : lo_job_lists(study->job, "audit.metrics", attacks[a].metric);
}

lo_status lo_audit_privacy(lo_study *study, lo_error *err)
{
    if (!study->has_ensemble || !lo_job_has(study->job, "audit")) {
        return LO_OK;
    }
    privacy p = {.study = study};
    lo_derived derived = {"privacy.h5", lo_job_digest(study->job, LO_KEYS_ENSEMBLE), prepare, write_file, &p};
    bool any = false;
    for (int a = 0; a < ATTACKS; a++) {
        p.result[a].wanted = wants(study, a);
        derived.digest = p.result[a].wanted ? lo_digest(derived.digest, attacks[a].name) : derived.digest;
        any = any || p.result[a].wanted;
    }
    const lo_status status = any ? lo_derive(study, &derived, err) : LO_OK;
    release(&p);
    return status;
}
