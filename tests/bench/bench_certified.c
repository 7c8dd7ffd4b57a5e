/* bench_certified DATA EXAMPLES PENALTY REFITS [POINTS]
 *
 * certified_loo of EXAMPLES training examples of an IDX data set, each left out once (or the first POINTS),
 * on one thread, against refitting each by Newton with plain conjugate gradients from the full solution, of
 * which REFITS examples are done, spread evenly. Prints penalty=1e-04 examples=5000 parameters=7065
 * setup_s=... certified_s=... worst_gradient=... per_point_s=... refit_per_point_s=... ratio=...  (setup
 * counted on the certified side) */
#include "attribute/features.h"
#include "attribute/linear.h"
#include "attribute/softmax.h"
#include "base/clock.h"
#include "data/readers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64 };

typedef struct bench {
    lo_softmax model;
    int64_t p;
    double *theta, *probability, *inverse, *block;
} bench;

static double *numbers(int64_t count)
{
    double *memory = malloc((size_t)count * sizeof(*memory));
    if (memory == NULL) {
        (void)fputs("no memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void must(lo_status status, const lo_error *err)
{
    if (status != LO_OK) {
        (void)fprintf(stderr, "%s\n", err->text);
        exit((int)status);
    }
}

static void factor(bench *b)
{
    lo_error err = {{0}};
    double *tile = numbers(b->model.d * b->model.d);
    double start = lo_clock_monotonic();
    must(lo_softmax_probabilities(&b->model, b->theta, b->probability, &err), &err);
    for (int64_t k = 0; k < lo_softmax_outputs(&b->model); k++) {
        for (int64_t l = 0; l <= k; l++) {
            must(lo_softmax_hessian_block(&b->model, b->probability, k, l, NULL, tile, &err), &err);
            lo_softmax_place_block(&b->model, tile, k, l, b->inverse);
        }
    }
    (void)printf("hessian_s=%.2f ", lo_clock_monotonic() - start);
    start = lo_clock_monotonic();
    if (!lo_cholesky(b->inverse, b->p)) {
        (void)fputs("the Hessian is not positive definite\n", stderr);
        exit(1);
    }
    (void)printf("cholesky_s=%.2f ", lo_clock_monotonic() - start);
    start = lo_clock_monotonic();
    lo_cholesky_invert(b->inverse, b->p);
    (void)printf("inverse_s=%.2f\n", lo_clock_monotonic() - start);
    free(tile);
}

/* As stage attribution does it: near the optimum with the cheap preconditioner, then with the Hessian's. */
static void fit(bench *b, const lo_preconditioner *preconditioner)
{
    lo_error err = {{0}};
    lo_optimum optimum;
    const double start = lo_clock_monotonic();
    must(lo_softmax_fit(&b->model, 1e-3, NULL, b->theta, &optimum, &err), &err);
    (void)printf("fit_s=%.2f steps=%d products=%d ", lo_clock_monotonic() - start, optimum.steps,
                 optimum.products);
    factor(b);
    const lo_newton newton = {.tolerance = 1e-12,
                              .steps = 30,
                              .inner = 1000,
                              .inner_factor = 1e-3,
                              .preconditioner = preconditioner};
    must(lo_softmax_minimize(&b->model, &newton, NULL, 1, b->theta, &optimum, &err), &err);
    factor(b);
}

/* Leaves out `count` examples, the first-th, (first + stride)-th, ...; from approximate starts or from the
 * full solution. */
static double leave_out(const bench *b, const lo_newton *newton, bool approximate, int64_t first,
                        int64_t stride, int64_t count, double *theta, int64_t *products)
{
    lo_error err = {{0}};
    lo_left_out set[BLOCK];
    int64_t position[BLOCK];
    lo_optimum optimum[BLOCK];
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        position[i] = first + i * stride;
        set[i] = (lo_left_out){1, &position[i]};
        if (!approximate) {
            memcpy(theta + i * b->p, b->theta, (size_t)b->p * sizeof(*theta));
        }
    }
    if (approximate) {
        must(lo_softmax_alo(&b->model, b->probability, b->theta, b->inverse, first, count, theta, &err),
             &err);
    }
    must(lo_softmax_minimize(&b->model, newton, set, count, theta, optimum, &err), &err);
    for (int64_t i = 0; i < count; i++) {
        worst = fmax(worst, optimum[i].gradient);
        *products += optimum[i].products;
    }
    return worst;
}

int main(int argc, char **argv)
{
    lo_error err = {{0}};
    lo_dataset data;
    char file[64];
    if (argc < 5 || argc > 6) {
        (void)fputs("usage: bench_certified DATA EXAMPLES PENALTY REFITS [POINTS]\n", stderr);
        return 2;
    }
    (void)snprintf(file, sizeof(file), "/tmp/bench_certified.%d", (int)getpid());
    const lo_data_spec spec = {
        .reader = lo_reader_find("idx"), .path = argv[1], .train_limit = atoll(argv[2]), .seed = 1};
    must(lo_dataset_prepare(&spec, file, &err), &err);
    must(lo_dataset_open(file, 0, &data, &err), &err);
    (void)unlink(file);
    lo_inputs inputs;
    const lo_features features = lo_features_of_inputs(&inputs, &data, &data.train);
    double *rows = NULL;
    must(lo_features_rows(&features, 0, features.count, &rows, &err), &err);
    bench b = {.model = {features.count, features.size + 1, data.classes, strtod(argv[3], NULL), rows,
                         data.train.label}};
    const int64_t n = b.model.count;
    b.p = lo_softmax_parameters(&b.model);
    b.theta = numbers(b.p);
    b.probability = numbers(n * data.classes);
    b.inverse = numbers(b.p * b.p);
    double *theta = numbers(BLOCK * b.p);
    double *again = numbers(BLOCK * b.p);
    lo_dense_preconditioner dense = {b.p, b.inverse};
    const lo_preconditioner preconditioner = lo_precondition_dense(&dense);
    const double begin = lo_clock_monotonic();
    fit(&b, &preconditioner);
    const double setup = lo_clock_monotonic() - begin;
    lo_newton newton = {.tolerance = 1e-9,
                        .steps = 30,
                        .inner = 20000,
                        .inner_factor = 1e-3,
                        .preconditioner = &preconditioner};
    int64_t refits = atoll(argv[4]) < BLOCK ? atoll(argv[4]) : BLOCK;
    refits = refits < n ? refits : n;
    const int64_t sample = argc == 6 && atoll(argv[5]) < n ? atoll(argv[5]) : n;
    double worst = 0;
    int64_t products = 0;
    const double start = lo_clock_monotonic();
    for (int64_t first = 0; first < sample; first += BLOCK) {
        const int64_t now = sample - first < BLOCK ? sample - first : BLOCK;
        worst = fmax(worst, leave_out(&b, &newton, true, first, 1, now, theta, &products));
    }
    const double certified = lo_clock_monotonic() - start;
    newton.preconditioner = NULL;
    int64_t refit_products = 0;
    const double from = lo_clock_monotonic();
    const double refit_worst = leave_out(&b, &newton, false, 0, n / refits, refits, again, &refit_products);
    const double refit = lo_clock_monotonic() - from;
    const double each = setup / (double)n + certified / (double)sample;
    (void)printf("penalty=%s examples=%lld parameters=%lld setup_s=%.1f certified_s=%.1f points=%lld "
                 "worst_gradient=%.2e "
                 "products_per_point=%.1f per_point_s=%.4f refits=%lld refit_worst_gradient=%.2e "
                 "refit_products_per_point=%.0f refit_per_point_s=%.3f ratio=%.1f\n",
                 argv[3], (long long)n, (long long)b.p, setup, certified, (long long)sample, worst,
                 (double)products / (double)sample, each, (long long)refits, refit_worst,
                 (double)refit_products / (double)refits, refit / (double)refits,
                 refit / (double)refits / each);
    free(rows);
    free(b.theta);
    free(b.probability);
    free(b.inverse);
    free(theta);
    free(again);
    lo_dataset_close(&data);
    return worst <= 1e-9 ? 0 : 1;
}
