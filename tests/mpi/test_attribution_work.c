/* What methods of attribution are said to cost, against the plain algorithms with their operations counted
 * one by one; how that grows; and that what methods share counts once. Nothing is measured: about a second.
 */
#include "jobs/attribution/attribution.h"
#include "jobs/attribution/attribution_network.h"
#include "mpi_test.h"
#include "nn/trainer.h"
#include "unit/nn_data.h"

#include <math.h>

/* ---- plain algorithms, which only count ---- */

static double count_product(int64_t m, int64_t n, int64_t k)
{
    double flops = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t l = 0; l < k; l++) {
                flops += 2;
            }
        }
    }
    return flops;
}

/* The lower triangle of X'X, X [n, d]. */
static double count_gram(int64_t n, int64_t d)
{
    double flops = 0;
    for (int64_t r = 0; r < d; r++) {
        for (int64_t c = 0; c <= r; c++) {
            flops += 2 * (double)n;
        }
    }
    return flops;
}

static double count_cholesky(int64_t d)
{
    double flops = 0;
    for (int64_t c = 0; c < d; c++) {
        for (int64_t r = c; r < d; r++) {
            for (int64_t k = 0; k < c; k++) {
                flops += 2;
            }
            flops += 1;
        }
    }
    return flops;
}

/* L x = b; the whole solution takes L' too. */
static double count_half_solve(int64_t d, int64_t sides)
{
    double flops = 0;
    for (int64_t r = 0; r < d; r++) {
        for (int64_t k = 0; k < r; k++) {
            flops += 2;
        }
        flops += 1;
    }
    return flops * (double)sides;
}

/* L^-1 column by column, of each what is below the diagonal; then the lower triangle of its square. */
static double count_inverse(int64_t d)
{
    double flops = 0;
    for (int64_t c = 0; c < d; c++) {
        flops += count_half_solve(d - c, 1);
        for (int64_t r = c; r < d; r++) {
            flops += 2 * (double)(d - r);
        }
    }
    return flops;
}

/* ---- what the methods say ---- */

static lo_attribution problem(int64_t n, int64_t size, int64_t targets, int32_t classes)
{
    return (lo_attribution){
        .train = {.count = n, .size = size}, .target = {.count = targets, .size = size}, .classes = classes};
}

static lo_attribution_work work_of(const lo_attribution *a, const lo_attribution_type *type)
{
    lo_attribution_work work = {0};
    type->work(a, &work);
    return work;
}

static double flops_of(const lo_attribution *a, const lo_attribution_type *type)
{
    const lo_attribution_work work = work_of(a, type);
    return lo_work_flops(work.shared) + lo_work_flops(work.alone);
}

static void check_near(const char *what, double found, double counted, double tolerance)
{
    mpi_test_check(fabs(found - counted) <= tolerance * counted, __FILE__, __LINE__,
                   "%s: %.0f operations are said, %.0f counted", what, found, counted);
}

static void test_ridge(void)
{
    const int64_t n = 90, d = 70, t = 31;
    const int32_t c = 4;
    lo_attribution a = problem(n, d - 1, t, c);
    const double alone = count_gram(n, d) + count_cholesky(d) + 2 * count_half_solve(d, c);
    const double left_out = 2 * count_half_solve(d, n) + 2 * count_product(n, c, d) + count_product(t, n, d) +
                            count_product(t, c, d);
    check_near("ridge_loo", flops_of(&a, &lo_attribution_ridge), alone + left_out, 0.03);
    /* A group by Woodbury's identity, one from the sums without it. */
    lo_left_out group[] = {{.count = 40}, {.count = 80}};
    a.groups = 2;
    a.group = group;
    const double small = 2 * count_half_solve(d, 40) + count_product(40, 40, d) + count_cholesky(40) +
                         2 * count_half_solve(40, c) + 2 * count_product(40, c, d);
    const double large = count_gram(80, d) + count_cholesky(d) + 2 * count_half_solve(d, c);
    check_near("ridge_loo with groups", flops_of(&a, &lo_attribution_ridge),
               alone + left_out + small + large + 2 * count_product(t, c, d), 0.03);
}

static void test_kernel(void)
{
    const int64_t n = 90, d = 70, t = 31;
    const int32_t c = 4;
    lo_attribution a = problem(n, d, t, c);
    const double counted = count_product(n, n, d) + count_cholesky(n) + count_inverse(n) +
                           count_product(t, n, d) + count_product(t, n, n) + count_product(t, c, n);
    check_near("kernel_ridge_loo", flops_of(&a, &lo_attribution_kernel_ridge), counted, 0.03);
}

/* Softmax regression: one Newton step for each example, given the fit. */
static void test_alo(void)
{
    const int64_t n = 60, d = 30, t = 17;
    const int32_t c = 4;
    const int64_t k = c - 1, p = d * k;
    const lo_attribution a = problem(n, d - 1, t, c);
    lo_attribution_work fit = {0};
    lo_softmax_work(&a, true, &fit);
    double counted =
        2 * count_product(1, n, p) + count_product(n, p, p) + count_product(n, t, p) + count_product(1, t, p);
    for (int64_t pair = 0; pair < k * (k + 1) / 2; pair++) {
        counted += count_product(n, d, d);
    }
    check_near("alo",
               flops_of(&a, &lo_attribution_alo) - lo_work_flops(fit.shared) - lo_work_flops(fit.alone),
               counted, 0.03);
    CHECK(flops_of(&a, &lo_attribution_certified) > flops_of(&a, &lo_attribution_alo));
    /* What comes after a fit: the blocks of the Hessian below the diagonal, its factor, its inverse. */
    double blocks = 0;
    for (int64_t pair = 0; pair < k * (k + 1) / 2; pair++) {
        blocks += count_gram(n, d);
    }
    lo_attribution_work after = {.fitted = true};
    lo_softmax_work(&a, true, &after);
    check_near("Hessian", after.shared[LO_WORK_PRODUCT], blocks, 0.05);
    check_near("its factor", after.alone[LO_WORK_FACTOR], count_cholesky(p), 0.03);
    check_near("its inverse", after.alone[LO_WORK_SOLVE], count_inverse(p), 0.05);
    CHECK(lo_work_flops(fit.alone) > 2 * lo_work_flops(after.alone));
}

static void test_dense(void)
{
    const int64_t n = 60, d = 30, t = 17;
    const int32_t c = 4;
    const int64_t p = d * (c - 1);
    lo_attribution a = problem(n, d - 1, t, c);
    lo_attribution_work fit = {0};
    lo_softmax_work(&a, false, &fit);
    const double counted = count_cholesky(p) + 2 * count_half_solve(p, t) + count_half_solve(p, n) +
                           count_product(n, t, p) + count_product(1, n, p);
    const double before = lo_work_flops(fit.shared) + lo_work_flops(fit.alone);
    const double plain = flops_of(&a, &lo_attribution_ggn);
    check_near("ggn", plain - before, counted, 0.04);
    a.spectrum = true;
    check_near("its spectrum", flops_of(&a, &lo_attribution_ggn) - plain, 9.0 * (double)(p * p * p), 1e-9);
}

/* ---- networks ---- */

/* A network of 12 inputs, 9 hidden units: p = 117 + 9 c + c. */
static lo_trainer *network_create(lo_attribution_network *network, lo_attribution *a, const nn_data *data)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = {.preset = "mlp", .hidden = {9}, .hidden_count = 1};
    const lo_recipe recipe = {.epochs = 1, .batch = 8, .lr = 0.1, .precision = LO_F32};
    CHECK_OK(lo_trainer_create(&model, &recipe, &data->dataset, &trainer, &err));
    *network = (lo_attribution_network){.trainer = trainer, .rows = {.classes = a->classes}};
    a->model = LO_ATTRIBUTION_NETWORK;
    a->network = network;
    a->parameters = trainer != NULL ? lo_trainer_parameters(trainer) : 0;
    return trainer;
}

static void test_network(void)
{
    const int64_t n = 40, t = 17;
    const int32_t c = 4;
    nn_data *data = nn_data_create((lo_shape){1, 3, 4}, c, n, t);
    lo_attribution a = problem(n, 12, t, c);
    lo_attribution_network network;
    lo_trainer *trainer = network_create(&network, &a, data);
    const int64_t p = a.parameters, order = n * (c - 1);
    CHECK_INT(p, 12 * 9 + 9 + 9 * c + c);
    /* Dual: of each layer slopes [9] and [c], and inputs, of examples alone, [12] and [9]. */
    a.dual = true;
    double counted = count_cholesky(order) + count_half_solve(order, n + t) + count_product(n, t, order);
    const int64_t outputs[] = {9, c};
    for (int l = 0; l < 2; l++) {
        counted += count_gram(outputs[l], order) + count_product(order, n + t, outputs[l]) +
                   count_product(n, t, outputs[l]);
    }
    const lo_attribution_work dual = work_of(&a, &lo_attribution_ggn);
    check_near("ggn, dual", lo_work_flops(dual.shared) - dual.shared[LO_WORK_THIN], counted, 0.04);
    /* A gradient for the objective's slope, and of each layer those of factors, examples and targets. */
    CHECK(dual.shared[LO_WORK_GRADIENTS] == (double)(n + 2 * (order + n + t)));
    a.dual = false;
    a.primal = true;
    counted = count_gram(order, p) + count_cholesky(p) + 2 * count_half_solve(p, t) + count_half_solve(p, n) +
              count_product(n, t, p);
    const lo_attribution_work primal = work_of(&a, &lo_attribution_ggn);
    check_near("ggn, primal", lo_work_flops(primal.shared), counted, 0.04);
    CHECK(primal.shared[LO_WORK_GRADIENTS] == (double)(n + order + n + t));
    /* The Hessian: two gradients of all examples for each column, and a little. */
    const lo_attribution_work hessian = work_of(&a, &lo_attribution_hessian);
    const double columns = hessian.shared[LO_WORK_GRADIENTS] - (double)(n + n + t);
    CHECK(columns >= 2.0 * (double)(n * p) && columns < 2.1 * (double)(n * p));
    lo_trainer_destroy(&trainer);
    nn_data_destroy(data);
}

/* ---- how it grows, and what is shared ---- */

/* The exponent with which operations grow when all of n, targets (or the size) double. */
static double exponent(const lo_attribution_type *type, bool examples)
{
    const lo_attribution small = problem(100000, 1000, 100000, 10),
                         large_n = problem(200000, 1000, 200000, 10), wide = problem(1000, 100000, 1000, 10),
                         wider = problem(1000, 200000, 1000, 10);
    return examples ? log2(flops_of(&large_n, type) / flops_of(&small, type))
                    : log2(flops_of(&wider, type) / flops_of(&wide, type));
}

static void test_growth(void)
{
    CHECK(fabs(exponent(&lo_attribution_ridge, true) - 2) < 0.05);
    CHECK(fabs(exponent(&lo_attribution_kernel_ridge, true) - 3) < 0.05);
    CHECK(fabs(exponent(&lo_attribution_certified, true) - 2) < 0.1);
    CHECK(fabs(exponent(&lo_attribution_ridge, false) - 3) < 0.1);
    CHECK(fabs(exponent(&lo_attribution_kernel_ridge, false) - 1) < 0.05);
    CHECK(fabs(exponent(&lo_attribution_alo, false) - 3) < 0.05);
    CHECK(fabs(exponent(&lo_attribution_ggn, false) - 3) < 0.05);
}

static double seconds(const lo_attribution *a, const lo_attribution_type *first,
                      const lo_attribution_type *second)
{
    lo_attribution_work work = {0};
    lo_attribution_speed speed;
    for (int k = 0; k < LO_WORK_KINDS; k++) {
        speed.seconds[k] = 1e-9;
    }
    lo_work_add_method(a, first, &work);
    if (second != NULL) {
        lo_work_add_method(a, second, &work);
    }
    return lo_work_seconds(work.shared, &speed) + lo_work_seconds(work.alone, &speed);
}

/* Both fit softmax regression, and both take its inverse. */
static void test_shared(void)
{
    const lo_attribution a = problem(100, 20, 10, 3);
    lo_attribution_work fit = {0};
    lo_softmax_work(&a, true, &fit);
    lo_attribution_speed speed;
    for (int k = 0; k < LO_WORK_KINDS; k++) {
        speed.seconds[k] = 1e-9;
    }
    const double once = lo_work_seconds(fit.shared, &speed) + lo_work_seconds(fit.alone, &speed);
    const double alo = seconds(&a, &lo_attribution_alo, NULL),
                 certified = seconds(&a, &lo_attribution_certified, NULL);
    const double both = seconds(&a, &lo_attribution_alo, &lo_attribution_certified);
    CHECK(fabs(both - (alo + certified - once)) < 1e-9 * both);
    CHECK(fabs(both - seconds(&a, &lo_attribution_certified, &lo_attribution_alo)) < 1e-9 * both);
}

static void test_speed(void)
{
    const lo_attribution_speed speed = lo_attribution_measure();
    for (int k = 0; k < LO_WORK_KINDS; k++) {
        CHECK(k == LO_WORK_FORWARDS || k == LO_WORK_GRADIENTS ? speed.seconds[k] == 0
                                                              : speed.seconds[k] > 0 && speed.seconds[k] < 1);
    }
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    test_ridge();
    test_kernel();
    test_alo();
    test_dense();
    test_network();
    test_growth();
    test_shared();
    test_speed();
    return mpi_test_end("test_attribution_work");
}
