/* ridge_loo: least squares with a ridge, left out in closed form. The examples' rows stay on their ranks; the
 * matrix of their products, [features + 1] squared, is summed and factored on every rank. */
#include "attribute/linear.h"
#include "attribute/ridge.h"
#include "jobs/attribution/attribution.h"
#include "mpi/agree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ridge_method {
    const lo_attribution *a;
    int64_t d;
    double *rows, *target_rows; /* this rank's examples; all targets */
    lo_ridge ridge;
    double *vector, *shift, *gain; /* of a block: [B, d], [B, classes], [GRAIN, B] */
    double *group_weight;          /* [B, classes, d] */
    bool grouped;                  /* groups are left out */
    int64_t block_first, block_count;
} ridge_method;

static double bytes(const lo_attribution *a, int ranks)
{
    const double d = (double)a->train.size + 1;
    int64_t first;
    const int64_t own = lo_attribution_slab(a->train.count, 0, ranks, &first, &first);
    const double block = LO_ATTRIBUTION_BLOCK;
    return 8 * (d * (5 * d + (double)own + (double)a->target.count + block) +
                (a->groups > 0 ? block * a->classes * d + 2 * d * d : 0) + block * block);
}

/* Of the sums: one for each grain of examples, in two parts (lo_sums_add). */
static void work(const lo_attribution *a, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double d = (double)a->train.size + 1;
    const double c = a->classes;
    const double grains = ceil(n / LO_ATTRIBUTE_GRAIN);
    double *shared = sum->shared;
    double *alone = sum->alone;
    shared[LO_WORK_NUMBERS] += 5 * n * d + 3 * grains * d * (d + c) + t * n * c;
    shared[LO_WORK_PRODUCT] += n * d * d + 2 * n * d * t;
    shared[LO_WORK_THIN] += 4 * n * d * c;
    lo_work_add_solve(d, n, false, shared);
    alone[LO_WORK_NUMBERS] += 2 * t * d + 5 * d * d;
    lo_work_add_factor(d, alone);
    lo_work_add_solve(d, c, false, alone);
    alone[LO_WORK_THIN] += 2 * t * d * c;
    sum->bytes += 2 * d * (d + c) * sizeof(double);
    for (int64_t g = 0; g < a->groups; g++) {
        const double s = (double)a->group[g].count;
        const bool small = s <= d;
        shared[LO_WORK_NUMBERS] += 3 * s * d + (small ? s * s : 2 * d * d);
        shared[LO_WORK_PRODUCT] += (small ? 2 * s * s * d : s * d * d) + 2 * t * c * d;
        shared[LO_WORK_THIN] += small ? 4 * s * d * c : 0;
        lo_work_add_factor(small ? s : d, shared);
        lo_work_add_solve(small ? s : d, c, false, shared);
        lo_work_add_solve(d, small ? s : 0, false, shared);
    }
}

static lo_status begin(lo_attribution *a, void **self, lo_attribution_notes *notes, lo_error *err)
{
    ridge_method *m = calloc(1, sizeof(*m));
    *self = m;
    lo_status status = m != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for ridge_loo");
    if (status == LO_OK) {
        *m = (ridge_method){.a = a, .d = a->train.size + 1};
        m->vector = lo_attribution_numbers(LO_ATTRIBUTION_BLOCK * m->d);
        m->shift = lo_attribution_numbers(LO_ATTRIBUTION_BLOCK * (int64_t)a->classes);
        m->gain = lo_attribution_numbers(LO_ATTRIBUTE_GRAIN * LO_ATTRIBUTION_BLOCK);
        m->group_weight =
            lo_attribution_numbers(a->groups > 0 ? LO_ATTRIBUTION_BLOCK * (int64_t)a->classes * m->d : 1);
        if (m->vector == NULL || m->shift == NULL || m->gain == NULL || m->group_weight == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for ridge_loo");
        }
    }
    if (status == LO_OK) {
        status = lo_features_rows(&a->train, a->first, a->count, &m->rows, err);
    }
    if (status == LO_OK) {
        status = lo_features_rows(&a->target, 0, a->target.count, &m->target_rows, err);
    }
    LO_TRY(lo_agree(a->study->run.comm, status, err));
    const int64_t n = a->train.count;
    *notes = (lo_attribution_notes){(double)NAN, (double)NAN, 0, m->d * a->classes};
    return lo_ridge_fit(m->rows, a->train_examples->label + a->first, a->count, n, m->d, a->classes,
                        (double)n * a->penalty, a->reduction, a->tick, &m->ridge, err);
}

static void end(void *self)
{
    ridge_method *m = self;
    if (m != NULL) {
        free(m->rows);
        free(m->target_rows);
        lo_ridge_destroy(&m->ridge);
        free(m->vector);
        free(m->shift);
        free(m->gain);
        free(m->group_weight);
        free(m);
    }
}

static lo_status say_full(void *self, int64_t first, int64_t count, double *out, lo_error *err)
{
    (void)err;
    const ridge_method *m = self;
    lo_product_rows(count, m->a->classes, m->d, 1, m->target_rows + first * m->d, m->d, m->ridge.weight, m->d,
                    0, out, m->a->classes);
    return LO_OK;
}

static lo_status leave(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    (void)err;
    (void)gradient;
    ridge_method *m = self;
    m->grouped = false;
    m->block_first = first;
    m->block_count = count;
    lo_ridge_leave_one(&m->ridge, m->rows + first * m->d, m->a->train_examples->label + m->a->first + first,
                       count, m->vector, m->shift);
    return LO_OK;
}

static lo_status leave_groups(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    (void)gradient;
    ridge_method *m = self;
    const lo_attribution *a = m->a;
    m->grouped = true;
    m->block_count = count;
    lo_status status = LO_OK;
    for (int64_t g = 0; g < count && status == LO_OK; g++) {
        const lo_left_out *set = &a->group[first + g];
        double *rows = lo_attribution_numbers(set->count * m->d);
        int32_t *label = calloc((size_t)set->count + 1, sizeof(*label));
        status =
            rows != NULL && label != NULL
                ? LO_OK
                : lo_fail(err, LO_INTERNAL, "no memory for a group of %lld examples", (long long)set->count);
        for (int64_t i = 0; i < set->count && status == LO_OK; i++) {
            status = a->train.fill(a->train.self, set->member[i], 1, rows + i * m->d, m->d, err);
            rows[(i + 1) * m->d - 1] = 1;
            label[i] = a->train_examples->label[set->member[i]];
        }
        if (status == LO_OK) {
            status = lo_ridge_leave_group(&m->ridge, rows, label, set->count,
                                          m->group_weight + g * a->classes * m->d, err);
        }
        free(rows);
        free(label);
    }
    return status;
}

static lo_status say_own(void *self, double *with, double *without, lo_error *err)
{
    (void)err;
    const ridge_method *m = self;
    const int32_t classes = m->a->classes;
    lo_product_rows(m->block_count, classes, m->d, 1, m->rows + m->block_first * m->d, m->d, m->ridge.weight,
                    m->d, 0, with, classes);
    for (int64_t i = 0; i < m->block_count; i++) {
        const int32_t label = m->a->train_examples->label[m->a->first + m->block_first + i];
        for (int32_t c = 0; c < classes; c++) {
            without[i * classes + c] = (c == label ? 1 : 0) - m->shift[i * classes + c];
        }
    }
    return LO_OK;
}

static lo_status say(void *self, int64_t first, int64_t count, const double *full, double *out, lo_error *err)
{
    (void)err;
    const ridge_method *m = self;
    const int32_t classes = m->a->classes;
    const int64_t models = m->block_count;
    const double *rows = m->target_rows + first * m->d;
    if (m->grouped) {
        lo_product_rows(count, models * classes, m->d, 1, rows, m->d, m->group_weight, m->d, 0, out,
                        models * classes);
        return LO_OK;
    }
    for (int64_t from = 0; from < count; from += LO_ATTRIBUTE_GRAIN) {
        const int64_t now = count - from < LO_ATTRIBUTE_GRAIN ? count - from : LO_ATTRIBUTE_GRAIN;
        lo_product_rows(now, models, m->d, 1, rows + from * m->d, m->d, m->vector, m->d, 0, m->gain, models);
        for (int64_t t = 0; t < now; t++) {
            for (int64_t i = 0; i < models; i++) {
                const double gain = m->gain[t * models + i];
                double *value = out + ((from + t) * models + i) * classes;
                for (int32_t c = 0; c < classes; c++) {
                    value[c] = full[(from + t) * classes + c] - gain * m->shift[i * classes + c];
                }
            }
        }
    }
    return LO_OK;
}

const lo_attribution_type lo_attribution_ridge = {
    .name = "ridge_loo",
    .description =
        "least squares on one-hot labels with a ridge: leave-one-out and leave-group-out in closed form",
    .source = "Cook and Weisberg 1982, Residuals and Influence in Regression, 2.2",
    .bytes = bytes,
    .work = work,
    .begin = begin,
    .end = end,
    .say_full = say_full,
    .leave = leave,
    .leave_groups = leave_groups,
    .say_own = say_own,
    .say = say};
