/* Newton's method with preconditioned conjugate gradients, for many left-out problems in one pass over the
 * examples. */
#include "attribute/linear.h"
#include "attribute/softmax.h"
#include "attribute/softmax_basis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256 };

typedef struct problem {
    lo_left_out left_out;
    double *theta;                                  /* the caller's */
    double *gradient, *step, *residual, *direction; /* [p] */
    double *probability;                            /* [n, classes] */
    double objective, norm;                         /* where theta is */
    double scale;                                   /* of the step that was tried; 0: none was */
    double before, decline; /* the step: the objective, and its slope along the step */
    double target, slope;   /* of the inner residual; residual . preconditioned */
    int32_t steps, products, halvings, inner;
} problem;

typedef struct search {
    const lo_softmax *model;
    const lo_newton *newton;
    int64_t p, outputs;
    lo_basis basis;
    double *memory, *in, *out, *tile; /* in, out [problems, p]; tile [TILE, problems * outputs] */
    problem *problem;
    problem **open, **inner; /* problems that are not solved; those whose equations are not */
} search;

static int64_t first_member(const lo_left_out *set, int64_t from)
{
    int64_t low = 0;
    int64_t high = set->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (set->member[middle] < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Examples left out have no part: their entries of the tile are zero. */
static void clear_left_out(const search *s, problem *const *list, int64_t count, int64_t first, int64_t now)
{
    const int64_t width = count * s->outputs;
    for (int64_t b = 0; b < count; b++) {
        const lo_left_out *set = &list[b]->left_out;
        for (int64_t m = first_member(set, first); m < set->count && set->member[m] < first + now; m++) {
            memset(s->tile + (set->member[m] - first) * width + b * s->outputs, 0,
                   (size_t)s->outputs * sizeof(*s->tile));
        }
    }
}

static bool is_left_out(const lo_left_out *set, int64_t example)
{
    const int64_t at = first_member(set, example);
    return at < set->count && set->member[at] == example;
}

/* Logits become probabilities, which are kept, and Q'(p - y); losses add to the objectives. */
static void tile_gradient(const search *s, problem *const *list, int64_t count, int64_t first, int64_t now,
                          double *z)
{
    const lo_softmax *m = s->model;
    for (int64_t i = 0; i < now; i++) {
        const int32_t label = m->label[first + i];
        for (int64_t b = 0; b < count; b++) {
            double *entry = s->tile + (i * count + b) * s->outputs;
            double *p = list[b]->probability + (first + i) * m->classes;
            lo_basis_expand(&s->basis, entry, p);
            const double z_label = p[label];
            const double loss = lo_basis_softmax(m->classes, p) - z_label;
            if (list[b]->left_out.count == 0 || !is_left_out(&list[b]->left_out, first + i)) {
                list[b]->objective += loss / (double)m->count;
            }
            memcpy(z, p, (size_t)m->classes * sizeof(*z));
            z[label] -= 1;
            lo_basis_reduce(&s->basis, z, entry);
        }
    }
}

/* Entries u become R_i u. */
static void tile_product(const search *s, problem *const *list, int64_t count, int64_t first, int64_t now,
                         double *z)
{
    const lo_softmax *m = s->model;
    for (int64_t i = 0; i < now; i++) {
        for (int64_t b = 0; b < count; b++) {
            double *entry = s->tile + (i * count + b) * s->outputs;
            const double *p = list[b]->probability + (first + i) * m->classes;
            double mean = 0;
            lo_basis_expand(&s->basis, entry, z);
            for (int32_t c = 0; c < m->classes; c++) {
                mean += p[c] * z[c];
            }
            for (int32_t c = 0; c < m->classes; c++) {
                z[c] = p[c] * (z[c] - mean);
            }
            lo_basis_reduce(&s->basis, z, entry);
        }
    }
}

typedef void tile_function(const search *s, problem *const *list, int64_t count, int64_t first, int64_t now,
                           double *z);

/* out = (1/n) sum over the examples of f(in x_i) x_i', one pass for all problems of the list. */
static lo_status pass(const search *s, problem *const *list, int64_t count, tile_function *f, lo_error *err)
{
    const lo_softmax *m = s->model;
    const int64_t width = count * s->outputs;
    double *z = malloc((size_t)m->classes * sizeof(*z));
    lo_status status =
        z != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a pass over the examples");
    memset(s->out, 0, (size_t)(count * s->p) * sizeof(*s->out));
    for (int64_t first = 0; first < m->count && status == LO_OK; first += TILE) {
        const int64_t now = m->count - first < TILE ? m->count - first : TILE;
        const double *rows = m->rows + first * m->d;
        lo_product_rows(now, width, m->d, 1, rows, m->d, s->in, m->d, 0, s->tile, width);
        f(s, list, count, first, now, z);
        clear_left_out(s, list, count, first, now);
        lo_product_sum(width, m->d, now, 1 / (double)m->count, s->tile, width, rows, m->d, 1, s->out, m->d);
        status = lo_tick_call(s->newton->tick);
    }
    free(z);
    return status;
}

/* to += penalty * from, but for the intercepts. Returns |from but for the intercepts|^2. */
static double add_penalty(const search *s, const double *from, double *to)
{
    double sum = 0;
    for (int64_t i = 0; i < s->p; i++) {
        if ((i + 1) % s->model->d != 0) {
            to[i] += s->model->penalty * from[i];
            sum += from[i] * from[i];
        }
    }
    return sum;
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Gradients, objectives and probabilities where the problems' thetas are. */
static lo_status evaluate(const search *s, problem *const *list, int64_t count, lo_error *err)
{
    for (int64_t b = 0; b < count; b++) {
        memcpy(s->in + b * s->p, list[b]->theta, (size_t)s->p * sizeof(double));
        list[b]->objective = 0;
    }
    LO_TRY(pass(s, list, count, tile_gradient, err));
    for (int64_t b = 0; b < count; b++) {
        memcpy(list[b]->gradient, s->out + b * s->p, (size_t)s->p * sizeof(double));
        list[b]->objective += s->model->penalty / 2 * add_penalty(s, list[b]->theta, list[b]->gradient);
        list[b]->norm = sqrt(dot(list[b]->gradient, list[b]->gradient, s->p));
    }
    return LO_OK;
}

/* out = the preconditioner times the residuals. */
static void precondition(const search *s, problem *const *list, int64_t count)
{
    const lo_preconditioner *preconditioner = s->newton->preconditioner;
    for (int64_t b = 0; b < count; b++) {
        memcpy(s->in + b * s->p, list[b]->residual, (size_t)s->p * sizeof(double));
    }
    if (preconditioner == NULL) {
        memcpy(s->out, s->in, (size_t)(count * s->p) * sizeof(double));
    } else if (count > 0) {
        preconditioner->apply(preconditioner->self, count, s->in, s->out);
    }
}

static void inner_begin(const search *s, problem *const *list, int64_t count)
{
    for (int64_t b = 0; b < count; b++) {
        problem *q = list[b];
        for (int64_t i = 0; i < s->p; i++) {
            q->step[i] = 0;
            q->residual[i] = -q->gradient[i];
        }
        q->inner = 0;
        q->target = fmax(s->newton->inner_factor * q->norm, 0.3 * s->newton->tolerance);
    }
    precondition(s, list, count);
    for (int64_t b = 0; b < count; b++) {
        memcpy(list[b]->direction, s->out + b * s->p, (size_t)s->p * sizeof(double));
        list[b]->slope = dot(list[b]->residual, list[b]->direction, s->p);
    }
}

/* One step of conjugate gradients, given the Hessian's product with the direction. False when it was the
 * last. */
static bool inner_step(const search *s, problem *q, double *product)
{
    (void)add_penalty(s, q->direction, product);
    q->products++;
    q->inner++;
    const double curvature = dot(q->direction, product, s->p);
    if (!(curvature > 0)) {
        return false;
    }
    const double alpha = q->slope / curvature;
    double norm = 0;
    for (int64_t i = 0; i < s->p; i++) {
        q->step[i] += alpha * q->direction[i];
        q->residual[i] -= alpha * product[i];
        norm += q->residual[i] * q->residual[i];
    }
    return sqrt(norm) > q->target && q->inner < s->newton->inner;
}

/* Solves Hessian * step = -gradient for all problems of s->inner. */
static lo_status solve_steps(const search *s, int64_t count, lo_error *err)
{
    problem **list = s->inner;
    inner_begin(s, list, count);
    while (count > 0) {
        int64_t left = 0;
        for (int64_t b = 0; b < count; b++) {
            memcpy(s->in + b * s->p, list[b]->direction, (size_t)s->p * sizeof(double));
        }
        LO_TRY(pass(s, list, count, tile_product, err));
        for (int64_t b = 0; b < count; b++) {
            problem *q = list[b];
            if (inner_step(s, q, s->out + b * s->p)) {
                list[left++] = q;
            }
        }
        count = left;
        precondition(s, list, count);
        for (int64_t b = 0; b < count; b++) {
            problem *q = list[b];
            const double *preconditioned = s->out + b * s->p;
            const double slope = dot(q->residual, preconditioned, s->p);
            const double beta = slope / q->slope;
            q->slope = slope;
            for (int64_t i = 0; i < s->p; i++) {
                q->direction[i] = preconditioned[i] + beta * q->direction[i];
            }
        }
    }
    return LO_OK;
}

static void take_step(const search *s, problem *q, double scale)
{
    for (int64_t i = 0; i < s->p; i++) {
        q->theta[i] += scale * q->step[i];
    }
}

/* What has become of a problem whose theta was just evaluated: solved or given up (false), to be evaluated
 * again with half the step, or (*wants_step) in need of a new one. Who asks for one step gets that step. */
static bool go_on(const search *s, problem *q, bool *wants_step)
{
    enum { HALVINGS = 40 };
    const double rounding = 1e-13 * (1 + fabs(q->before));
    *wants_step = false;
    /* Armijo's condition: a step that only just lowers the objective may go back and forth for ever. */
    if (q->scale > 0 && s->newton->steps > 1 &&
        !(q->objective <= q->before + 1e-4 * q->scale * q->decline + rounding)) {
        take_step(s, q, -q->scale / 2);
        q->scale /= 2;
        return ++q->halvings < HALVINGS;
    }
    *wants_step = q->norm > s->newton->tolerance && q->steps < s->newton->steps;
    return *wants_step;
}

static lo_status run_search(const search *s, int64_t problems, lo_error *err)
{
    int64_t open = problems;
    while (open > 0) {
        LO_TRY(evaluate(s, s->open, open, err));
        int64_t left = 0;
        int64_t steps = 0;
        for (int64_t b = 0; b < open; b++) {
            problem *q = s->open[b];
            bool wants_step;
            if (go_on(s, q, &wants_step)) {
                s->open[left++] = q;
            }
            if (wants_step) {
                s->inner[steps++] = q;
            }
        }
        open = left;
        const int64_t stepping = steps;
        problem **list = s->inner + problems; /* solve_steps reorders s->inner */
        memcpy(list, s->inner, (size_t)steps * sizeof(problem *));
        LO_TRY(solve_steps(s, steps, err));
        for (int64_t b = 0; b < stepping; b++) {
            problem *q = list[b];
            q->before = q->objective;
            q->decline = dot(q->gradient, q->step, s->p);
            q->scale = 1;
            q->halvings = 0;
            q->steps++;
            take_step(s, q, 1);
        }
    }
    return LO_OK;
}

static lo_status allocate(search *s, const lo_left_out *left_out, int64_t problems, double *theta,
                          lo_error *err)
{
    const lo_softmax *m = s->model;
    const int64_t own = 4 * s->p + m->count * m->classes;
    s->memory = malloc((size_t)(problems * (own + 2 * s->p + TILE * s->outputs)) * sizeof(double));
    s->problem = calloc((size_t)problems, sizeof(*s->problem));
    s->open = calloc((size_t)problems, sizeof(problem *));
    s->inner = calloc(2 * (size_t)problems, sizeof(problem *));
    if (s->memory == NULL || s->problem == NULL || s->open == NULL || s->inner == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld left-out problems of %lld parameters",
                       (long long)problems, (long long)s->p);
    }
    double *next = s->memory;
    for (int64_t b = 0; b < problems; b++) {
        problem *q = &s->problem[b];
        if (left_out != NULL) {
            q->left_out = left_out[b];
        }
        q->theta = theta + b * s->p;
        q->gradient = next;
        q->step = next + s->p;
        q->residual = next + 2 * s->p;
        q->direction = next + 3 * s->p;
        q->probability = next + 4 * s->p;
        next += own;
        s->open[b] = q;
    }
    s->in = next;
    s->out = s->in + problems * s->p;
    s->tile = s->out + problems * s->p;
    return LO_OK;
}

lo_status lo_softmax_minimize(const lo_softmax *model, const lo_newton *newton, const lo_left_out *left_out,
                              int64_t problems, double *theta, lo_optimum *result, lo_error *err)
{
    search s = {.model = model,
                .newton = newton,
                .p = lo_softmax_parameters(model),
                .outputs = lo_softmax_outputs(model),
                .basis = lo_basis_make(model->classes)};
    if (problems == 0) {
        return LO_OK;
    }
    lo_linear_one_thread();
    lo_status status = allocate(&s, left_out, problems, theta, err);
    if (status == LO_OK) {
        status = run_search(&s, problems, err);
    }
    for (int64_t b = 0; b < problems && status == LO_OK; b++) {
        const problem *q = &s.problem[b];
        result[b] = (lo_optimum){q->norm, q->objective, q->steps, q->products};
    }
    free(s.memory);
    free(s.problem);
    free(s.open);
    free(s.inner);
    return status;
}

/* ---- preconditioners ---- */

static void apply_dense(void *self, int64_t count, const double *in, double *out)
{
    const lo_dense_preconditioner *dense = self;
    lo_product_rows(count, dense->size, dense->size, 1, in, dense->size, dense->inverse, dense->size, 0, out,
                    dense->size);
}

lo_preconditioner lo_precondition_dense(lo_dense_preconditioner *self)
{
    return (lo_preconditioner){apply_dense, self};
}

typedef struct bound {
    int64_t d, outputs;
    const double *factor; /* [d, d] */
} bound;

static void apply_bound(void *self, int64_t count, const double *in, double *out)
{
    const bound *b = self;
    memcpy(out, in, (size_t)(count * b->outputs * b->d) * sizeof(*out));
    lo_cholesky_solve(b->factor, b->d, out, count * b->outputs);
}

lo_status lo_softmax_fit(const lo_softmax *model, double tolerance, const lo_tick *tick, double *theta,
                         lo_optimum *result, lo_error *err)
{
    enum { STEPS = 100, INNER = 5000 };
    const int64_t d = model->d;
    double *factor = calloc((size_t)(d * d), sizeof(*factor));
    if (factor == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the fit of %lld features", (long long)d);
    }
    lo_linear_one_thread();
    for (int64_t first = 0; first < model->count; first += TILE) {
        const int64_t now = model->count - first < TILE ? model->count - first : TILE;
        lo_gram_add(model->rows + first * d, now, d, 0.5 / (double)model->count, factor);
    }
    for (int64_t f = 0; f < d - 1; f++) {
        factor[f * d + f] += model->penalty;
    }
    lo_status status = LO_OK;
    if (!lo_cholesky(factor, d)) {
        status = lo_fail(
            err, LO_USAGE,
            "the softmax fit of %lld examples to %lld features is singular with a penalty of %g; a larger "
            "one makes it determined",
            (long long)model->count, (long long)d, model->penalty);
    }
    bound self = {d, lo_softmax_outputs(model), factor};
    const lo_preconditioner preconditioner = {apply_bound, &self};
    const lo_newton newton = {.tolerance = tolerance,
                              .steps = STEPS,
                              .inner = INNER,
                              .inner_factor = 0.05,
                              .preconditioner = &preconditioner,
                              .tick = tick};
    if (status == LO_OK) {
        memset(theta, 0, (size_t)lo_softmax_parameters(model) * sizeof(*theta));
        status = lo_softmax_minimize(model, &newton, NULL, 1, theta, result, err);
    }
    if (status == LO_OK && !(result->gradient <= tolerance)) {
        status = lo_fail(
            err, LO_INTERNAL,
            "the softmax fit ended with a gradient of norm %.3g, not below %.3g, after %d Newton steps; a "
            "larger penalty makes it easier",
            result->gradient, tolerance, result->steps);
    }
    free(factor);
    return status;
}
