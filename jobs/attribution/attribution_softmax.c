/* alo and certified_loo: softmax regression, left out by one Newton step from the optimum, and by Newton's
 * method until the gradient of what is left says that it is the optimum. Every rank holds all examples' rows
 * and the inverse of the Hessian; the Hessian's blocks and the examples left out are spread over ranks. */
#include "attribute/linear.h"
#include "attribute/softmax.h"
#include "jobs/attribution/attribution.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256 };

/* Gradient norms at which the fit is handed from the cheap preconditioner to the whole Hessian's, and ends.
 */
#define FIT_COARSE 1e-3
#define FIT_FINE   1e-12

struct lo_softmax_fitted {
    lo_softmax model;
    int64_t p;
    double *rows, *target_rows; /* [n, d], [targets, d] */
    double *theta, *probability;
    double *inverse; /* of the Hessian at the optimum, if `inverted`; else of no meaning */
    bool inverted;
    lo_dense_preconditioner dense;
    lo_preconditioner preconditioner;
    lo_optimum optimum;
};

typedef struct softmax_method {
    const lo_attribution *a;
    struct lo_softmax_fitted *fitted;
    lo_attribution_notes *notes;
    bool certified;
    double *theta;  /* [BLOCK, p]: of the models in the block */
    double *logits; /* [TILE, classes] */
    int64_t block_first, block_count;
} softmax_method;

/* ---- the fit, shared ---- */

void lo_softmax_fitted_destroy(struct lo_softmax_fitted **fitted)
{
    struct lo_softmax_fitted *f = *fitted;
    if (f != NULL) {
        free(f->rows);
        free(f->target_rows);
        free(f->theta);
        free(f->probability);
        free(f->inverse);
        free(f);
    }
    *fitted = NULL;
}

static double bytes(const lo_attribution *a, int ranks)
{
    const double n = (double)a->train.count;
    const double d = (double)a->train.size + 1;
    const double p = d * (a->classes - 1);
    const double block = LO_ATTRIBUTION_BLOCK;
    (void)ranks;
    return 8 * (d * (n + (double)a->target.count + d) + p * p + n * a->classes +
                block * (n * a->classes + 8 * p + TILE * (double)a->classes));
}

/* ---- work ---- */

/* How often the gradient is evaluated and the Hessian multiplied with, which depends on the data: what was
 * found on Fashion-MNIST (docs/scalability.md). */
typedef struct search_work {
    double evaluations, products;
} search_work;
static const search_work coarse_fit = {9, 140}, fine_fit = {5, 10}, group_step = {2, 14};

/* The fewer examples there are beside parameters, the farther off is a refit. */
static search_work refit_of(const lo_attribution *a)
{
    const double p = ((double)a->train.size + 1) * (a->classes - 1);
    const double scarce = log2(1 + p / (double)(a->train.count > 0 ? a->train.count : 1));
    return (search_work){.evaluations = 2.5 + 0.2 * scarce, .products = 3 + 2 * scarce};
}

/* Numbers that are read and written for each class value that a pass goes by. */
static const double evaluation_visits = 12, product_visits = 9;

/* Of so many problems that go through the examples together: `kind` says whether that makes long products. */
static void add_search(const lo_attribution *a, search_work w, double problems, lo_work_kind kind,
                       double *work)
{
    const double n = (double)a->train.count;
    const double c = a->classes;
    const double p = ((double)a->train.size + 1) * (c - 1);
    work[kind] += problems * (w.evaluations + w.products) * 4 * n * p;
    work[LO_WORK_EXPONENTS] += problems * w.evaluations * n * c;
    work[LO_WORK_NUMBERS] +=
        problems * n * c * (w.evaluations * evaluation_visits + w.products * product_visits) +
        problems * w.products * 10 * p;
}

static void add_hessian(const lo_attribution *a, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double d = (double)a->train.size + 1;
    const double pairs = (double)a->classes * (a->classes - 1) / 2;
    const double p = d * (a->classes - 1);
    sum->shared[LO_WORK_PRODUCT] += pairs * n * d * d;
    sum->shared[LO_WORK_NUMBERS] += pairs * (n * (d + a->classes) + 2 * d * d);
    sum->alone[LO_WORK_NUMBERS] += p * p;
    sum->bytes += pairs * d * d * sizeof(double);
}

static void add_inverse(const lo_attribution *a, lo_attribution_work *sum)
{
    const double p = ((double)a->train.size + 1) * (a->classes - 1);
    add_hessian(a, sum);
    lo_work_add_factor(p, sum->alone);
    lo_work_add_solve(p, p / 3, false, sum->alone);
    sum->alone[LO_WORK_NUMBERS] += p * p;
}

/* The fit goes on on every rank but for the Hessian. */
void lo_softmax_work(const lo_attribution *a, bool inverse, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double d = (double)a->train.size + 1;
    const double p = d * (a->classes - 1);
    double *alone = sum->alone;
    if (!sum->fitted) {
        alone[LO_WORK_NUMBERS] += 2 * d * (n + (double)a->target.count);
        alone[LO_WORK_PRODUCT] += n * d * d;
        lo_work_add_factor(d, alone);
        lo_work_add_solve(d, coarse_fit.products * (a->classes - 1), false, alone);
        add_search(a, coarse_fit, 1, LO_WORK_THIN, alone);
        add_inverse(a, sum);
        add_search(a, fine_fit, 1, LO_WORK_THIN, alone);
        alone[LO_WORK_NUMBERS] += fine_fit.products * p * p; /* of one vector: the matrix is read */
        sum->fitted = true;
    }
    if (inverse && !sum->inverted) {
        add_inverse(a, sum);
        sum->inverted = true;
    }
    if (!inverse) {
        add_hessian(a, sum);
        sum->inverted = false;
    }
}

static void work_alo(const lo_attribution *a, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double d = (double)a->train.size + 1;
    const double k = a->classes - 1;
    const double p = d * k;
    double *shared = sum->shared;
    lo_softmax_work(a, true, sum);
    shared[LO_WORK_PRODUCT] += n * (k * (k + 1) * d * d + 2 * p * p) + 2 * n * t * p;
    shared[LO_WORK_THIN] += 4 * n * p;
    shared[LO_WORK_NUMBERS] += n * (k * (k + 1) * d + 3 * p + 2 * k * k * k) + 2 * n * t * a->classes;
    sum->alone[LO_WORK_THIN] += 2 * t * p;
}

/* Refits with the inverse as preconditioner. It is read for each product of a block, which goes on till its
 * slowest refit is done: about `slowest` times the mean. */
static void add_refits(const lo_attribution *a, search_work w, double refits, double *work)
{
    const double slowest = 2.5;
    const double p = ((double)a->train.size + 1) * (a->classes - 1);
    add_search(a, w, refits, LO_WORK_PRODUCT, work);
    work[LO_WORK_PRODUCT] += refits * w.products * 2 * p * p;
    work[LO_WORK_NUMBERS] += ceil(refits / LO_ATTRIBUTION_BLOCK) * slowest * w.products * p * p;
}

static void work_groups(const lo_attribution *a, search_work w, lo_attribution_work *sum)
{
    const double p = ((double)a->train.size + 1) * (a->classes - 1);
    add_refits(a, w, (double)a->groups, sum->shared);
    sum->shared[LO_WORK_PRODUCT] += (double)a->groups * 2 * (double)a->target.count * p;
}

static void work_of_alo(const lo_attribution *a, lo_attribution_work *sum)
{
    work_alo(a, sum);
    work_groups(a, group_step, sum);
}

static void work_of_certified(const lo_attribution *a, lo_attribution_work *sum)
{
    work_alo(a, sum);
    add_refits(a, refit_of(a), (double)a->train.count, sum->shared);
    work_groups(a, refit_of(a), sum);
}

/* The Hessian: its blocks shared out over ranks, each made whole by one, so that its bits do not depend on
 * how many there are. */
static lo_status make_hessian(const lo_attribution *a, struct lo_softmax_fitted *f, lo_error *err)
{
    const lo_run *run = &a->study->run;
    const int64_t items = f->model.d * f->model.d;
    double *own = lo_attribution_numbers(items);
    double *block = lo_attribution_numbers(items);
    lo_status status = own != NULL && block != NULL && items < INT_MAX
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for a block of the Hessian");
    LO_TRY_GOTO(status, lo_agree(run->comm, status, err), done);
    LO_TRY_GOTO(status, lo_softmax_probabilities(&f->model, f->theta, f->probability, err), done);
    const int64_t outputs = lo_softmax_outputs(&f->model);
    const int64_t pairs = outputs * (outputs + 1) / 2;
    int64_t at[2] = {0, 0};
    for (int64_t round = 0; round < pairs; round += run->ranks) {
        /* The pairs of a round: (k, l) is followed by (k, l + 1), or (k + 1, 0). */
        int64_t pair[2] = {at[0], at[1]};
        for (int r = 0; r < run->ranks && round + r < pairs; r++) {
            if (r == run->rank) {
                status =
                    lo_softmax_hessian_block(&f->model, f->probability, pair[0], pair[1], a->tick, own, err);
            }
            pair[1] = pair[1] < pair[0] ? pair[1] + 1 : 0;
            pair[0] += pair[1] == 0;
        }
        LO_TRY_GOTO(status, lo_agree(run->comm, status, err), done);
        for (int r = 0; r < run->ranks && round + r < pairs; r++) {
            if (r == run->rank) {
                memcpy(block, own, (size_t)items * sizeof(*own));
            }
            MPI_Bcast(block, (int)items, MPI_DOUBLE, r, run->comm);
            lo_softmax_place_block(&f->model, block, at[0], at[1], f->inverse);
            at[1] = at[1] < at[0] ? at[1] + 1 : 0;
            at[0] += at[1] == 0;
        }
    }
done:
    free(own);
    free(block);
    return status;
}

static lo_status factor_hessian(const lo_attribution *a, struct lo_softmax_fitted *f, lo_error *err)
{
    LO_TRY(make_hessian(a, f, err));
    LO_TRY(lo_tick_call(a->tick));
    if (!lo_cholesky(f->inverse, f->p)) {
        return lo_fail(err, LO_USAGE,
                       "the Hessian of softmax regression is singular with attribution.penalty %g; a larger "
                       "one makes it "
                       "definite",
                       a->penalty);
    }
    LO_TRY(lo_tick_call(a->tick));
    lo_cholesky_invert(f->inverse, f->p);
    return LO_OK;
}

/* All ranks go on from rank 0's numbers: the others' could differ on another processor. */
static void share_theta(const lo_attribution *a, struct lo_softmax_fitted *f)
{
    lo_broadcast(a->study->run.comm, f->theta, (size_t)f->p * sizeof(*f->theta));
}

static lo_status fit(const lo_attribution *a, struct lo_softmax_fitted *f, lo_error *err)
{
    MPI_Comm comm = a->study->run.comm;
    LO_TRY(lo_agree(comm, lo_softmax_fit(&f->model, FIT_COARSE, a->tick, f->theta, &f->optimum, err), err));
    share_theta(a, f);
    LO_TRY(lo_agree(comm, factor_hessian(a, f, err), err));
    const lo_newton newton = {.tolerance = FIT_FINE,
                              .steps = 30,
                              .inner = 1000,
                              .inner_factor = 1e-3,
                              .preconditioner = &f->preconditioner,
                              .tick = a->tick};
    LO_TRY(lo_agree(comm, lo_softmax_minimize(&f->model, &newton, NULL, 1, f->theta, &f->optimum, err), err));
    share_theta(a, f);
    const lo_status status =
        f->optimum.gradient <= 0.1 * a->tolerance
            ? LO_OK
            : lo_fail(err, LO_INTERNAL,
                      "the softmax fit ended with a gradient of norm %.3g, too large for a tolerance of %.3g",
                      f->optimum.gradient, a->tolerance);
    return lo_agree(comm, status, err);
}

static lo_status make_fitted(lo_attribution *a, lo_error *err)
{
    struct lo_softmax_fitted *f = calloc(1, sizeof(*f));
    lo_status status = f != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for softmax regression");
    a->softmax_fitted = f;
    if (status == LO_OK) {
        status = lo_features_rows(&a->train, 0, a->train.count, &f->rows, err);
    }
    if (status == LO_OK) {
        status = lo_features_rows(&a->target, 0, a->target.count, &f->target_rows, err);
    }
    if (status == LO_OK) {
        f->model = (lo_softmax){a->train.count, a->train.size + 1, a->classes,
                                a->penalty,     f->rows,           a->train_examples->label};
        f->p = lo_softmax_parameters(&f->model);
        f->theta = lo_attribution_numbers(f->p);
        f->probability = lo_attribution_numbers(a->train.count * a->classes);
        f->inverse = lo_attribution_numbers(f->p * f->p);
        f->dense = (lo_dense_preconditioner){f->p, f->inverse};
        f->preconditioner = lo_precondition_dense(&f->dense);
        status =
            f->theta != NULL && f->probability != NULL && f->inverse != NULL
                ? LO_OK
                : lo_fail(err, LO_INTERNAL, "no memory for a Hessian of %lld parameters", (long long)f->p);
    }
    LO_TRY(lo_agree(a->study->run.comm, status, err));
    return fit(a, f, err);
}

lo_status lo_softmax_fitted(lo_attribution *a, lo_softmax_fit_view *out, lo_error *err)
{
    if (a->softmax_fitted == NULL) {
        LO_TRY(make_fitted(a, err));
    }
    const struct lo_softmax_fitted *f = a->softmax_fitted;
    *out = (lo_softmax_fit_view){&f->model, f->theta, f->target_rows, f->optimum.gradient};
    return LO_OK;
}

lo_status lo_softmax_fitted_hessian(lo_attribution *a, double **hessian, lo_error *err)
{
    struct lo_softmax_fitted *f = a->softmax_fitted;
    *hessian = f->inverse;
    f->inverted = false;
    return make_hessian(a, f, err);
}

/* ---- the methods ---- */

static lo_status begin(lo_attribution *a, bool certified, void **self, lo_attribution_notes *notes,
                       lo_error *err)
{
    softmax_method *m = calloc(1, sizeof(*m));
    *self = m;
    lo_status status = m != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for left-out models");
    if (status == LO_OK && !(a->penalty > 0)) {
        status = lo_fail(
            err, LO_USAGE,
            "attribution.penalty: found 0; alo and certified_loo need one above 0: without it softmax "
            "regression may have no optimum");
    }
    LO_TRY(lo_agree(a->study->run.comm, status, err));
    lo_softmax_fit_view view;
    LO_TRY(lo_softmax_fitted(a, &view, err));
    struct lo_softmax_fitted *f = a->softmax_fitted;
    if (!f->inverted) {
        LO_TRY(lo_agree(a->study->run.comm, factor_hessian(a, f, err), err));
        f->inverted = true;
    }
    *m = (softmax_method){.a = a,
                          .fitted = f,
                          .notes = notes,
                          .certified = certified,
                          .theta = lo_attribution_numbers(LO_ATTRIBUTION_BLOCK * f->p),
                          .logits = lo_attribution_numbers(TILE * (int64_t)a->classes)};
    *notes = (lo_attribution_notes){f->optimum.gradient, certified ? 0 : (double)NAN, 0, f->p};
    status = m->theta != NULL && m->logits != NULL
                 ? LO_OK
                 : lo_fail(err, LO_INTERNAL, "no memory for left-out models");
    return lo_agree(a->study->run.comm, status, err);
}

static lo_status begin_alo(lo_attribution *a, void **self, lo_attribution_notes *notes, lo_error *err)
{
    return begin(a, false, self, notes, err);
}

static lo_status begin_certified(lo_attribution *a, void **self, lo_attribution_notes *notes, lo_error *err)
{
    return begin(a, true, self, notes, err);
}

static void end(void *self)
{
    softmax_method *m = self;
    if (m != NULL) {
        free(m->theta);
        free(m->logits);
        free(m);
    }
}

static lo_status say_full(void *self, int64_t first, int64_t count, double *out, lo_error *err)
{
    const softmax_method *m = self;
    const struct lo_softmax_fitted *f = m->fitted;
    return lo_softmax_logits(&f->model, f->target_rows + first * f->model.d, count, f->theta, 1, out, err);
}

/* Newton's method for the block, from where its thetas are. */
static lo_status minimize(softmax_method *m, const lo_newton *newton, const lo_left_out *set, int64_t count,
                          double *gradient, lo_error *err)
{
    lo_optimum optimum[LO_ATTRIBUTION_BLOCK];
    LO_TRY(lo_softmax_minimize(&m->fitted->model, newton, set, count, m->theta, optimum, err));
    for (int64_t i = 0; i < count; i++) {
        gradient[i] = optimum[i].gradient;
        m->notes->worst = fmax(m->notes->worst, optimum[i].gradient);
        m->notes->products += optimum[i].products;
    }
    return LO_OK;
}

static lo_status leave(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    softmax_method *m = self;
    const struct lo_softmax_fitted *f = m->fitted;
    const lo_newton newton = {.tolerance = m->a->tolerance,
                              .steps = 30,
                              .inner = 1000,
                              .inner_factor = 1e-3,
                              .preconditioner = &f->preconditioner,
                              .tick = m->a->tick};
    int64_t member[LO_ATTRIBUTION_BLOCK];
    lo_left_out set[LO_ATTRIBUTION_BLOCK];
    m->block_first = m->a->first + first;
    m->block_count = count;
    LO_TRY(lo_softmax_alo(&f->model, f->probability, f->theta, f->inverse, m->block_first, count, m->theta,
                          err));
    LO_TRY(lo_tick_call(m->a->tick));
    if (!m->certified) {
        return LO_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        member[i] = m->block_first + i;
        set[i] = (lo_left_out){1, &member[i]};
    }
    return minimize(m, &newton, set, count, gradient, err);
}

/* Of groups alo takes its one Newton step by conjugate gradients, to rounding. */
static lo_status leave_groups(void *self, int64_t first, int64_t count, double *gradient, lo_error *err)
{
    softmax_method *m = self;
    const struct lo_softmax_fitted *f = m->fitted;
    const lo_newton newton = {.tolerance = m->certified ? m->a->tolerance : 0,
                              .steps = m->certified ? 100 : 1,
                              .inner = 1000,
                              .inner_factor = m->certified ? 1e-3 : 1e-11,
                              .preconditioner = &f->preconditioner,
                              .tick = m->a->tick};
    m->block_count = count;
    for (int64_t i = 0; i < count; i++) {
        memcpy(m->theta + i * f->p, f->theta, (size_t)f->p * sizeof(*m->theta));
    }
    return minimize(m, &newton, m->a->group + first, count, gradient, err);
}

static lo_status say_own(void *self, double *with, double *without, lo_error *err)
{
    const softmax_method *m = self;
    const struct lo_softmax_fitted *f = m->fitted;
    const int64_t d = f->model.d;
    const double *rows = f->rows + m->block_first * d;
    LO_TRY(lo_softmax_logits(&f->model, rows, m->block_count, f->theta, 1, with, err));
    for (int64_t i = 0; i < m->block_count; i++) {
        LO_TRY(lo_softmax_logits(&f->model, rows + i * d, 1, m->theta + i * f->p, 1,
                                 without + i * m->a->classes, err));
    }
    return LO_OK;
}

static lo_status say(void *self, int64_t first, int64_t count, const double *full, double *out, lo_error *err)
{
    (void)full;
    const softmax_method *m = self;
    const struct lo_softmax_fitted *f = m->fitted;
    return lo_softmax_logits(&f->model, f->target_rows + first * f->model.d, count, m->theta, m->block_count,
                             out, err);
}

const lo_attribution_type lo_attribution_alo = {
    .name = "alo",
    .description =
        "softmax regression with a ridge: approximate leave-one-out, one Newton step in closed form",
    .source = "Rahnama Rad and Maleki 2020, JRSS B 82:965",
    .logits = true,
    .bytes = bytes,
    .work = work_of_alo,
    .begin = begin_alo,
    .end = end,
    .say_full = say_full,
    .leave = leave,
    .leave_groups = leave_groups,
    .say_own = say_own,
    .say = say};

const lo_attribution_type lo_attribution_certified = {
    .name = "certified_loo",
    .description = "softmax regression with a ridge: leave-one-out refits, each with the norm of its "
                   "gradient as certificate",
    .source = "Newton with conjugate gradients from approximate leave-one-out (Rahnama Rad and Maleki 2020), "
              "docs/methods.md",
    .logits = true,
    .certificate = true,
    .bytes = bytes,
    .work = work_of_certified,
    .begin = begin_certified,
    .end = end,
    .say_full = say_full,
    .leave = leave,
    .leave_groups = leave_groups,
    .say_own = say_own,
    .say = say};
