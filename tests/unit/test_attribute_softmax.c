/* Softmax regression: its fit, curvature, approximate and certified leave-one-out against brute force. About
 * two seconds. */
#include "attribute/effect.h"
#include "attribute/linear.h"
#include "attribute/softmax.h"
#include "unit/attribute_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct fitted {
    attribute_data data;
    lo_softmax model;
    int64_t p;
    double *theta, *probability, *hessian, *inverse;
    lo_dense_preconditioner dense;
    lo_preconditioner preconditioner;
} fitted;

static fitted *fit(int64_t n, int64_t features, int32_t classes, double penalty)
{
    fitted *f = calloc(1, sizeof(*f));
    lo_error err = {{0}};
    lo_optimum optimum;
    assert_non_null(f);
    f->data = attribute_data_create(n, features, classes);
    f->model = (lo_softmax){n, f->data.d, classes, penalty, f->data.rows, f->data.label};
    f->p = lo_softmax_parameters(&f->model);
    f->theta = numbers(f->p);
    f->probability = numbers(n * classes);
    f->hessian = numbers(f->p * f->p);
    f->inverse = numbers(f->p * f->p);
    assert_int_equal(lo_softmax_fit(&f->model, 1e-12, NULL, f->theta, &optimum, &err), LO_OK);
    assert_true(optimum.gradient <= 1e-12);
    assert_int_equal(lo_softmax_probabilities(&f->model, f->theta, f->probability, &err), LO_OK);
    double *block = numbers(f->data.d * f->data.d);
    for (int64_t k = 0; k < classes - 1; k++) {
        for (int64_t l = 0; l <= k; l++) {
            assert_int_equal(lo_softmax_hessian_block(&f->model, f->probability, k, l, NULL, block, &err),
                             LO_OK);
            lo_softmax_place_block(&f->model, block, k, l, f->hessian);
        }
    }
    free(block);
    memcpy(f->inverse, f->hessian, (size_t)(f->p * f->p) * sizeof(double));
    assert_true(lo_cholesky(f->inverse, f->p));
    lo_cholesky_invert(f->inverse, f->p);
    f->dense = (lo_dense_preconditioner){f->p, f->inverse};
    f->preconditioner = lo_precondition_dense(&f->dense);
    return f;
}

static void drop(fitted *f)
{
    attribute_data_destroy(&f->data);
    free(f->theta);
    free(f->probability);
    free(f->hessian);
    free(f->inverse);
    free(f);
}

static lo_newton certified(const fitted *f)
{
    return (lo_newton){.tolerance = 1e-11,
                       .steps = 20,
                       .inner = 1000,
                       .inner_factor = 1e-3,
                       .preconditioner = &f->preconditioner};
}

/* The margin of a row under weights [classes, d] with any common part. */
static double plain_margin(const double *weight, const double *row, const attribute_data *data, int32_t label)
{
    double z[16];
    for (int32_t c = 0; c < data->classes; c++) {
        z[c] = plain_dot(weight + c * data->d, row, data->d);
    }
    return lo_effect_value(LO_EFFECT_MARGIN, true, z, data->classes, label);
}

static double margin(const fitted *f, const double *theta, int64_t example)
{
    double z[16];
    assert_int_equal(lo_softmax_logits(&f->model, f->data.rows + example * f->data.d, 1, theta, 1, z, NULL),
                     LO_OK);
    return lo_effect_value(LO_EFFECT_MARGIN, true, z, f->data.classes, f->data.label[example]);
}

static void the_fit_is_that_of_another_parametrization(void **state)
{
    (void)state;
    static const int32_t classes[] = {2, 3, 5};
    for (int t = 0; t < 3; t++) {
        fitted *f = fit(60, 6, classes[t], 1e-2);
        double *weight = numbers(f->data.d * classes[t]);
        plain_softmax(&f->data, f->data.n, 1e-2, weight);
        for (int64_t i = 0; i < f->data.n; i++) {
            const double *row = f->data.rows + i * f->data.d;
            assert_true(fabs(margin(f, f->theta, i) - plain_margin(weight, row, &f->data, f->data.label[i])) <
                        1e-9);
        }
        free(weight);
        drop(f);
    }
}

/* Gradients by central differences of the objective, the Hessian by those of the gradient: all from
 * lo_softmax_minimize with no steps, which only evaluates. */
static void the_hessian_is_the_gradients_derivative(void **state)
{
    (void)state;
    fitted *f = fit(40, 4, 3, 1e-2);
    double *logits = numbers(f->data.n * 3);
    double *theta = numbers(f->p);
    const double h = 1e-4;
    for (int64_t r = 0; r < f->p; r++) {
        for (int64_t s = 0; s <= r; s++) {
            double second = 0;
            for (int corner = 0; corner < 4; corner++) {
                lo_optimum at;
                const lo_newton none = {.tolerance = 1, .steps = 0};
                memcpy(theta, f->theta, (size_t)f->p * sizeof(double));
                theta[r] += corner % 2 == 0 ? h : -h;
                theta[s] += corner / 2 == 0 ? h : -h;
                assert_int_equal(lo_softmax_minimize(&f->model, &none, NULL, 1, theta, &at, NULL), LO_OK);
                second += (corner == 0 || corner == 3 ? 1 : -1) * at.objective;
            }
            assert_true(fabs(second / (4 * h * h) - f->hessian[r * f->p + s]) < 1e-6);
            assert_true(f->hessian[r * f->p + s] == f->hessian[s * f->p + r]);
        }
    }
    free(logits);
    free(theta);
    drop(f);
}

/* Leaving out by Newton with a certificate, by brute-force retraining, and by one step: of every example. */
static void certified_equals_retraining_and_alo_is_near(void **state)
{
    (void)state;
    static const int32_t classes[] = {2, 4};
    for (int t = 0; t < 2; t++) {
        const double penalty = 1e-2;
        fitted *f = fit(48, 5, classes[t], penalty);
        const int64_t n = f->data.n;
        double *start = numbers(n * f->p);
        double *theta = numbers(n * f->p);
        double *weight = numbers(f->data.d * classes[t]);
        lo_left_out *set = calloc((size_t)n, sizeof(*set));
        int64_t *position = calloc((size_t)n, sizeof(*position));
        bool *out = calloc((size_t)n, sizeof(*out));
        lo_optimum *optimum = calloc((size_t)n, sizeof(*optimum));
        double alo_error = 0;
        double influence_error = 0;
        double effect = 0;
        assert_int_equal(lo_softmax_alo(&f->model, f->probability, f->theta, f->inverse, 0, n, start, NULL),
                         LO_OK);
        memcpy(theta, start, (size_t)(n * f->p) * sizeof(double));
        for (int64_t i = 0; i < n; i++) {
            position[i] = i;
            set[i] = (lo_left_out){1, &position[i]};
        }
        const lo_newton newton = certified(f);
        assert_int_equal(lo_softmax_minimize(&f->model, &newton, set, n, theta, optimum, NULL), LO_OK);
        for (int64_t i = 0; i < n; i++) {
            assert_true(optimum[i].gradient <= newton.tolerance);
            assert_true(optimum[i].steps >= 1 && optimum[i].steps <= 4);
            out[i] = true;
            attribute_data rest = attribute_data_without(&f->data, out);
            out[i] = false;
            plain_softmax(&rest, n, penalty, weight);
            const double *row = f->data.rows + i * f->data.d;
            const double truth = plain_margin(weight, row, &f->data, f->data.label[i]);
            assert_true(fabs(margin(f, theta + i * f->p, i) - truth) < 1e-8);
            const int64_t other = (i + 7) % n;
            assert_true(fabs(margin(f, theta + i * f->p, other) -
                             plain_margin(weight, f->data.rows + other * f->data.d, &f->data,
                                          f->data.label[other])) < 1e-8);
            alo_error += pow(margin(f, start + i * f->p, i) - truth, 2);
            effect += pow(margin(f, f->theta, i) - truth, 2);
            /* The plain influence function, H^-1 g / n, for comparison. */
            double *plain = numbers(f->p);
            memcpy(plain, f->theta, (size_t)f->p * sizeof(double));
            double *gradient = numbers(f->p);
            const lo_softmax one = {1, f->data.d, classes[t], 0, row, &f->data.label[i]};
            double u[16];
            double z[16];
            assert_int_equal(lo_softmax_probabilities(&one, f->theta, z, NULL), LO_OK);
            z[f->data.label[i]] -= 1;
            double all = 0;
            const double root = sqrt((double)classes[t]);
            for (int32_t c = 0; c < classes[t] - 1; c++) {
                all += z[c];
            }
            for (int32_t c = 0; c < classes[t] - 1; c++) {
                u[c] = z[c] - all / (classes[t] - root) + z[classes[t] - 1] / root;
                for (int64_t g = 0; g < f->data.d; g++) {
                    gradient[c * f->data.d + g] = u[c] * row[g] / (double)n;
                }
            }
            for (int64_t r = 0; r < f->p; r++) {
                plain[r] += plain_dot(f->inverse + r * f->p, gradient, f->p);
            }
            influence_error += pow(margin(f, plain, i) - truth, 2);
            free(plain);
            free(gradient);
            attribute_data_destroy(&rest);
        }
        assert_true(effect / (double)n > 1e-4);
        assert_true(alo_error < 0.05 * effect);
        assert_true(alo_error < 0.2 * influence_error);
        free(start);
        free(theta);
        free(weight);
        free(set);
        free(position);
        free(out);
        free(optimum);
        drop(f);
    }
}

/* ALO is one Newton step: the same from the closed form as by conjugate gradients. */
static void alo_is_one_newton_step(void **state)
{
    (void)state;
    fitted *f = fit(50, 6, 4, 1e-2);
    double *closed = numbers(f->p);
    double *iterated = numbers(f->p);
    const int64_t example = 17;
    const lo_left_out set = {1, &example};
    lo_newton newton = certified(f);
    lo_optimum optimum;
    newton.steps = 1;
    newton.inner_factor = 1e-13;
    newton.tolerance = 1e-300;
    memcpy(iterated, f->theta, (size_t)f->p * sizeof(double));
    assert_int_equal(
        lo_softmax_alo(&f->model, f->probability, f->theta, f->inverse, example, 1, closed, NULL), LO_OK);
    assert_int_equal(lo_softmax_minimize(&f->model, &newton, &set, 1, iterated, &optimum, NULL), LO_OK);
    assert_int_equal(optimum.steps, 1);
    for (int64_t r = 0; r < f->p; r++) {
        assert_true(fabs(closed[r] - iterated[r]) < 1e-10);
    }
    free(closed);
    free(iterated);
    drop(f);
}

static void leaving_a_group_out_is_retraining_without_it(void **state)
{
    (void)state;
    fitted *f = fit(60, 5, 3, 1e-2);
    const int64_t n = f->data.n;
    /* A few, and all of a class: the farthest from where Newton starts. */
    int64_t member[2][60];
    lo_left_out set[2] = {{0, member[0]}, {0, member[1]}};
    double *theta = numbers(2 * f->p);
    double *weight = numbers(f->data.d * 3);
    bool out[60];
    lo_optimum optimum[2];
    for (int64_t i = 0; i < n; i++) {
        if (i % 11 == 3) {
            member[0][set[0].count++] = i;
        }
        if (f->data.label[i] == 1) {
            member[1][set[1].count++] = i;
        }
    }
    for (int g = 0; g < 2; g++) {
        memcpy(theta + g * f->p, f->theta, (size_t)f->p * sizeof(double));
    }
    lo_newton newton = certified(f);
    newton.steps = 100; /* the intercept of a class without examples runs away, a step of 1 at a time */
    assert_int_equal(lo_softmax_minimize(&f->model, &newton, set, 2, theta, optimum, NULL), LO_OK);
    for (int g = 0; g < 2; g++) {
        memset(out, 0, sizeof(out));
        for (int64_t m = 0; m < set[g].count; m++) {
            out[set[g].member[m]] = true;
        }
        attribute_data rest = attribute_data_without(&f->data, out);
        assert_true(optimum[g].gradient <= newton.tolerance);
        if (g == 0) { /* without the class its intercept has no finite optimum; the certificate says how near
                         it came */
            plain_softmax(&rest, n, 1e-2, weight);
            for (int64_t i = 0; i < n; i++) {
                assert_true(fabs(margin(f, theta, i) - plain_margin(weight, f->data.rows + i * f->data.d,
                                                                    &f->data, f->data.label[i])) < 1e-8);
            }
        }
        attribute_data_destroy(&rest);
    }
    free(theta);
    free(weight);
    drop(f);
}

/* Large features and a small penalty: whole Newton steps overshoot. */
static void far_optima_are_found(void **state)
{
    (void)state;
    attribute_data data = attribute_data_create(60, 20, 4);
    for (int64_t i = 0; i < data.n; i++) {
        for (int64_t f = 0; f < data.d - 1; f++) {
            data.rows[i * data.d + f] *= 20 + 10 * (double)(f % 3);
        }
    }
    const double penalties[] = {1e-1, 1e-3, 1e-5};
    for (int t = 0; t < 3; t++) {
        const lo_softmax model = {data.n, data.d, 4, penalties[t], data.rows, data.label};
        double *theta = numbers(lo_softmax_parameters(&model));
        lo_optimum optimum;
        lo_error err = {{0}};
        assert_int_equal(lo_softmax_fit(&model, 1e-10, NULL, theta, &optimum, &err), LO_OK);
        assert_true(optimum.gradient <= 1e-10);
        free(theta);
    }
    attribute_data_destroy(&data);
}

static int countdown;

static lo_status stop_soon(void *self)
{
    (void)self;
    return countdown-- > 0 ? LO_OK : LO_STOPPED;
}

static void a_tick_stops_it(void **state)
{
    (void)state;
    fitted *f = fit(40, 4, 3, 1e-2);
    const lo_tick tick = {stop_soon, NULL};
    lo_optimum optimum;
    countdown = 3;
    assert_int_equal(lo_softmax_fit(&f->model, 1e-12, &tick, f->theta, &optimum, NULL), LO_STOPPED);
    drop(f);
}

/* The same problems in another order, and in other company: each is solved as if alone. */
static void problems_do_not_see_each_other(void **state)
{
    (void)state;
    fitted *f = fit(50, 6, 3, 1e-2);
    int64_t position[8];
    lo_left_out set[8];
    double *together = numbers(8 * f->p);
    double *alone = numbers(f->p);
    lo_optimum optimum[8];
    const lo_newton newton = certified(f);
    for (int b = 0; b < 8; b++) {
        position[b] = 6 * b;
        set[b] = (lo_left_out){1, &position[b]};
        memcpy(together + b * f->p, f->theta, (size_t)f->p * sizeof(double));
    }
    assert_int_equal(lo_softmax_minimize(&f->model, &newton, set, 8, together, optimum, NULL), LO_OK);
    for (int b = 7; b >= 0; b--) {
        memcpy(alone, f->theta, (size_t)f->p * sizeof(double));
        assert_int_equal(lo_softmax_minimize(&f->model, &newton, &set[b], 1, alone, optimum, NULL), LO_OK);
        for (int64_t r = 0; r < f->p; r++) {
            assert_true(fabs(alone[r] - together[b * f->p + r]) < 1e-9);
        }
    }
    free(together);
    free(alone);
    drop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fit_is_that_of_another_parametrization),
        cmocka_unit_test(the_hessian_is_the_gradients_derivative),
        cmocka_unit_test(certified_equals_retraining_and_alo_is_near),
        cmocka_unit_test(alo_is_one_newton_step),
        cmocka_unit_test(leaving_a_group_out_is_retraining_without_it),
        cmocka_unit_test(far_optima_are_found),
        cmocka_unit_test(a_tick_stops_it),
        cmocka_unit_test(problems_do_not_see_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
