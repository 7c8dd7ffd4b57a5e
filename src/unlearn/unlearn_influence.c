/* One step of Newton's kind: what the weights would be without the forget set, to first order in its weight.
 */
#include "unlearn/common.h"

#include "base/random.h"
#include "nn/product.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    LO_SET_BATCH("0"),
    {.name = "damping",
     .type = LO_SETTING_REAL,
     .fallback = "0.01",
     .low = 1e-12,
     .high = 1e9,
     .help = "added to the diagonal of the Gauss-Newton matrix"},
    {.name = "scale",
     .type = LO_SETTING_REAL,
     .fallback = "1",
     .low = 0,
     .high = 1e9,
     .help = "times the step"},
    {.name = "examples",
     .type = LO_SETTING_INT,
     .fallback = "1000",
     .low = 0,
     .high = 1e9,
     .help = "of the retain set, drawn once, of which the matrix is the mean; 0: all"},
    {.name = "iterations",
     .type = LO_SETTING_INT,
     .fallback = "30",
     .low = 1,
     .high = 1e6,
     .help = "of conjugate gradients, at most"},
    {.name = "tolerance",
     .type = LO_SETTING_REAL,
     .fallback = "1.0e-3",
     .low = 0,
     .high = 1,
     .help = "residual, relative to the right-hand side, at which they end"}};

/* (G + damping I) x = v, by products with G. */
typedef struct solver {
    lo_pupil *pupil;
    lo_product *product;
    lo_product_set set;
    double damping;
    size_t size;
    double *x, *residual, *direction, *image; /* [size], one after the other */
    double square;                            /* of the residual's norm */
    double enough;                            /* of that at which it ends */
} solver;

static double dot(const double *a, const double *b, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* image = (G + damping I) direction. */
static lo_status multiply(solver *s, lo_error *err)
{
    const lo_members members = {.rows = s->set.rows, .count = s->set.count};
    const lo_vectors vectors = {.kind = LO_GAUSS_NEWTON,
                                .count = 1,
                                .length = s->size,
                                .values = s->direction,
                                .mean = true,
                                .damping = s->damping};
    LO_TRY(lo_pupil_read(s->pupil, &members, err));
    return lo_pupil_agree(
        s->pupil, lo_product_apply(s->product, &s->set, &vectors, lo_pupil_tick(s->pupil), s->image, err));
}

/* The start of conjugate gradients: x = 0, and residual is the right-hand side. */
static void start(solver *s, double tolerance)
{
    s->square = dot(s->residual, s->residual, s->size);
    s->enough = tolerance * tolerance * s->square;
    memcpy(s->direction, s->residual, s->size * sizeof(*s->direction));
}

/* Conjugate gradients (Hestenes and Stiefel, 1952), of which `done` iterations are done. */
static lo_status solve(solver *s, int64_t done, int64_t iterations, lo_error *err)
{
    for (int64_t i = done; i < iterations && s->square > s->enough; i++) {
        LO_TRY(lo_pupil_save(s->pupil, i, iterations));
        LO_TRY(multiply(s, err));
        const double step = s->square / dot(s->direction, s->image, s->size);
        for (size_t k = 0; k < s->size; k++) {
            s->x[k] += step * s->direction[k];
            s->residual[k] -= step * s->image[k];
        }
        const double next = dot(s->residual, s->residual, s->size);
        for (size_t k = 0; k < s->size; k++) {
            s->direction[k] = s->residual[k] + next / s->square * s->direction[k];
        }
        s->square = next;
    }
    return LO_OK;
}

/* v = 1/n sum_f g_i - n_f / (n n_r) sum_r g_i. */
static lo_status right_hand_side(solver *s, const lo_request *request, lo_error *err)
{
    const lo_members forget = lo_members_forget(request), retain = lo_members_retain(request);
    const double n = (double)(forget.count + retain.count);
    LO_TRY(lo_pupil_gradients(s->pupil, &forget, false, s->residual, err));
    LO_TRY(lo_pupil_gradients(s->pupil, &retain, false, s->image, err));
    for (size_t i = 0; i < s->size; i++) {
        s->residual[i] = s->residual[i] / n - (double)forget.count / (n * (double)retain.count) * s->image[i];
    }
    return LO_OK;
}

static lo_status add_step(const solver *s, double scale, lo_error *err)
{
    float *weight = calloc(s->size + 1, sizeof(*weight));
    if (weight == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu weights", s->size);
    }
    lo_pupil_weights(s->pupil, weight);
    for (size_t i = 0; i < s->size; i++) {
        weight[i] = (float)((double)weight[i] + scale * s->x[i]);
    }
    lo_pupil_set_weights(s->pupil, weight);
    free(weight);
    return LO_OK;
}

/* The retained examples that the matrix is made of: rows [retain_count], ascending. */
static int64_t choose(const lo_pupil *pupil, const lo_request *request, int64_t wanted, uint32_t *rows)
{
    const lo_random random = lo_random_make(lo_pupil_key(pupil, LO_USE_CHOICE), LO_FOR_UNLEARNING);
    const lo_permutation permutation = lo_permutation_make(random, 0, (uint64_t)request->retain_count);
    int64_t count = 0;
    for (int64_t r = 0; r < request->retain_count; r++) {
        rows[count] = request->retain[r];
        count += wanted == 0 || (int64_t)lo_permutation_at(&permutation, (uint64_t)r) < wanted ? 1 : 0;
    }
    return count;
}

/* The right-hand side, or what was saved after *done iterations. */
static lo_status begin_solver(solver *s, const lo_request *request, double tolerance, int64_t *done,
                              lo_error *err)
{
    const lo_kept state[] = {{.data = s->x, .size = 3 * s->size * sizeof(*s->x)},
                             {.data = &s->square, .size = sizeof(s->square)},
                             {.data = &s->enough, .size = sizeof(s->enough)}};
    lo_pupil_keep(s->pupil, state, LO_COUNT(state));
    LO_TRY(lo_pupil_resume(s->pupil, done));
    if (*done == 0) {
        LO_TRY(right_hand_side(s, request, err));
        start(s, tolerance);
    }
    return LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_status status = LO_OK;
    int64_t before = 0;
    LO_TRY(lo_pupil_begin_f32(pupil, request, lo_item_int(settings, "batch"), tick, err));
    if (lo_pupil_diverged(pupil)) {
        return LO_OK;
    }
    solver s = {.pupil = pupil, .damping = lo_item_real(settings, "damping"), .size = lo_pupil_size(pupil)};
    uint32_t *rows = calloc((size_t)request->retain_count + 1, sizeof(*rows));
    s.x = calloc(4 * s.size + 1, sizeof(*s.x));
    if (rows == NULL || s.x == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for conjugate gradients of %zu weights", s.size);
        goto done;
    }
    s.residual = s.x + s.size;
    s.direction = s.residual + s.size;
    s.image = s.direction + s.size;
    s.set = (lo_product_set){.dataset = request->dataset,
                             .examples = &request->dataset->train,
                             .rows = rows,
                             .count = choose(pupil, request, lo_item_int(settings, "examples"), rows),
                             .smoothing = lo_pupil_recipe(pupil)->label_smoothing};
    LO_TRY_GOTO(status, begin_solver(&s, request, lo_item_real(settings, "tolerance"), &before, err), done);
    LO_TRY_GOTO(status, lo_product_create(lo_pupil_network(pupil), &s.product, err), done);
    LO_TRY_GOTO(status, solve(&s, before, lo_item_int(settings, "iterations"), err), done);
    status = add_step(&s, lo_item_real(settings, "scale"), err);

done:
    lo_product_destroy(&s.product);
    free(s.x);
    free(rows);
    return status;
}

static const char *inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                char *why, size_t size)
{
    const lo_network *network = lo_pupil_network((lo_pupil *)(uintptr_t)pupil);
    (void)request;
    (void)settings;
    for (int i = 0; i < network->layer_count; i++) {
        if (network->layer[i]->type->tangents == NULL) {
            (void)snprintf(why, size, "layers of type %s have no products with the Gauss-Newton matrix",
                           network->layer[i]->type->name);
            return why;
        }
    }
    return NULL;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t given = lo_item_int(settings, "examples");
    const int64_t examples = given > 0 && given < sizes->retain ? given : sizes->retain;
    lo_unlearn_work work = {.trained = 0};
    lo_work_sum(&work, LO_SET_FORGET, (double)sizes->forget);
    lo_work_sum(&work, LO_SET_RETAIN, (double)sizes->retain);
    work.products = (double)(lo_item_int(settings, "iterations") * examples);
    work.read[LO_SET_RETAIN] += work.products;
    return work;
}

const lo_unlearn_method lo_unlearn_influence = {
    .name = "influence",
    .description = "a step of conjugate gradients on the Gauss-Newton matrix away from the forget set",
    .source =
        "Koh and Liang, ICML 2017; as unlearning, Izzo et al., AISTATS 2021, and Jia et al., NeurIPS 2023",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .inapplicable = inapplicable,
    .work = foresee,
    .run = run};
