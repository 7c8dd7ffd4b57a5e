/* Settings of methods of unlearning: that the defaults are the authors', and that each does what it says
 * where whole trainings would hardly show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/layers/layer.h"
#include "unlearn/groups.h"

#include "unlearn_data.h"

#include <math.h>

/* ---- defaults ---- */

/* An item's settings as text, only those that are not at the defaults for a preset. malloc'ed. */
static char *canonical_of(const char *text, const char *preset)
{
    char list[512];
    lo_items *items = NULL;
    lo_error err = {""};
    (void)snprintf(list, sizeof(list), "[%s]", text);
    unlearn_check(lo_items_parse(list, "case", "methods", &items, &err), &err);
    lo_item *item = lo_items_at(items, 0);
    const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
    assert_non_null(method);
    unlearn_check(lo_unlearn_accept(method, preset, item, &err), &err);
    char *canonical = lo_item_canonical(item);
    assert_non_null(canonical);
    lo_items_destroy(&items);
    return canonical;
}

/* What the authors' scripts have, or their publications; where they name several networks, ResNet-18 on
 * CIFAR-10. Whoever writes them down has the name alone. */
static void test_published_defaults(void **state)
{
    (void)state;
    static const char *const published[] = {
        "{name: finetune, epochs: 10, optimizer: sgd, lr: 0.01, momentum: 0.9, weight_decay: 5.0e-4, "
        "schedule: "
        "constant}",
        "{name: neggrad, epochs: 5, optimizer: sgd, lr: 1.0e-4, momentum: 0.9, weight_decay: 5.0e-4, "
        "clip_norm: "
        "0}",
        "{name: neggrad_plus, epochs: 5, optimizer: sgd, lr: 0.01, alpha: 0.95, schedule: constant}",
        "{name: random_label, epochs: 10, lr: 0.01, passes: separate, wrong_only: false, draw: epoch, "
        "retain: "
        "true}",
        "{name: amnesiac, epochs: 3, optimizer: adamw, lr: 1.0e-4, weight_decay: 0}",
        "{name: salun, epochs: 10, lr: 0.013, weight_decay: 5.0e-4, share: 0.5, strict_mask: true, passes: "
        "separate, wrong_only: false, draw: epoch}",
        "{name: l1_sparse, epochs: 10, lr: 0.01, weight_decay: 5.0e-4, l1: 5.0e-4, plain_epochs: 0}",
        "{name: scrub, epochs: 3, max_epochs: 2, optimizer: sgd, lr: 5.0e-4, momentum: 0.9, weight_decay: "
        "5.0e-4, gamma: 0.99, alpha: 0.001, temperature: 4, decay: 0.1, rewind: false}",
        "{name: bad_teacher, epochs: 1, optimizer: adamw, lr: 1.0e-4, weight_decay: 0, share: 0.3, "
        "temperature: "
        "1}",
        "{name: ssd, lambda: 1, importance: per_example}",
        "{name: influence, examples: 1000}",
        "{name: del, epochs: 30, optimizer: sgd, lr: 0.015, momentum: 0.9, weight_decay: 0, schedule: "
        "cosine, "
        "floor: 0.01, share: 0.3, criterion: weighted_grad, granularity: channel, h_rule: rows, over: "
        "forget}",
        "{name: nabla_tau, optimizer: adamw, lr: 1.0e-3, weight_decay: 0.01, mode: eval, end: 0.1, alpha: "
        "auto, "
        "alpha_decay: epoch, tau: auto, tau_refresh: 5, gate: relu_sq}",
        "{name: imu, epochs: 10, batch: 256, optimizer: sgd, lr: 0.01, momentum: 0.9, weight_decay: 5.0e-4, "
        "mode: train, weights: head, refresh: once, damping: 0.01, top: 0.1, quantile: 0.93, l1: 0.2}"};
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        char *canonical = canonical_of(published[i], NULL);
        if (strchr(canonical, '{') != NULL) {
            fail_msg("%s: not the default: %s", published[i], canonical);
        }
        free(canonical);
    }
}

/* DEL's ImageNet-100 and SVHN: settings that are not the table's. */
static void test_defaults_of_presets(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *written;
    } cases[] = {{"resnet50", "{name: del, epochs: 100, lr: 0.1}"},
                 {"vit", "{name: del, epochs: 30, lr: 0.05, h_rule: row}"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *by_preset = canonical_of("del", cases[i].preset),
             *written = canonical_of(cases[i].written, NULL), *other = canonical_of("del", "resnet18");
        assert_string_equal(by_preset, written);
        assert_string_not_equal(by_preset, other);
        free(by_preset);
        free(written);
        free(other);
    }
}

/* ---- steps ---- */

/* How far the weights have moved from the original's. */
static double moved(unlearn_data *u)
{
    const size_t size = lo_pupil_size(u->pupil);
    float *now = calloc(size, sizeof(*now)), *before = calloc(size, sizeof(*before));
    double sum = 0;
    assert_true(now != NULL && before != NULL);
    lo_pupil_weights(u->pupil, now);
    unlearn_reload(u);
    lo_pupil_weights(u->pupil, before);
    for (size_t i = 0; i < size; i++) {
        sum += pow((double)now[i] - (double)before[i], 2);
    }
    free(now);
    free(before);
    return sqrt(sum);
}

/* One step with lr 1 of a clipped gradient is as long as the limit; what is frozen does not count in the
 * gradient's length, though the penalty on absolute values touches it. */
static void test_clipping(void **state)
{
    (void)state;
    static const char *const text[] = {
        "{name: finetune, epochs: 1, batch: 200, lr: 1, momentum: 0, weight_decay: 0, clip_norm: 1.0e-3}",
        "{name: imu, epochs: 1, batch: 200, lr: 1, momentum: 0, weight_decay: 0, clip_norm: 1.0e-3, l1: 0.2}",
        "{name: salun, epochs: 1, batch: 200, lr: 1, momentum: 0, weight_decay: 0, clip_norm: 1.0e-3, "
        "passes: "
        "mixed, share: 0.1}",
        "{name: salun, epochs: 1, batch: 200, lr: 1, momentum: 0, weight_decay: 0, clip_norm: 1.0e-3, "
        "passes: "
        "mixed, share: 0.1, strict_mask: false}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    for (int i = 0; i < 4; i++) {
        unlearn_run(u, text[i]);
        const double length = moved(u);
        if (!(fabs(length - 1e-3) < 2e-5)) {
            fail_msg("%s: a step of %g", text[i], length);
        }
    }
    unlearn_close(u);
}

/* A pupil of another recipe in place of the request's own, which is returned. */
static lo_pupil *replace_pupil(unlearn_data *u, const lo_recipe *recipe)
{
    lo_pupil *former = u->pupil;
    lo_error err = {""};
    unlearn_check(lo_pupil_create(&u->model, recipe, &u->data->dataset, &u->pupil, &err), &err);
    unlearn_reload(u);
    return former;
}

/* How the job's trainings step is no matter of a method's steps; of retraining it is. */
static void test_recipe_stays_out(void **state)
{
    (void)state;
    static const char *const text[] = {"{name: finetune, epochs: 1}", "{name: salun, epochs: 1}",
                                       "{name: retrain, epochs: 1}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_recipe other = u->recipe;
    other.nesterov = true;
    other.clip_norm = 0.01;
    other.weight_decay = 0.3;
    other.lr = 0.02;
    for (int i = 0; i < 3; i++) {
        unlearn_run(u, text[i]);
        float *own = unlearn_weights(u);
        lo_pupil *former = replace_pupil(u, &other);
        unlearn_run(u, text[i]);
        float *under = unlearn_weights(u);
        assert_int_equal(memcmp(own, under, unlearn_weights_size(u)) == 0, i < 2);
        lo_pupil_destroy(&u->pupil);
        u->pupil = former;
        free(own);
        free(under);
    }
    unlearn_close(u);
}

/* With label smoothing the loss that is measured, the one that is learnt and the sum of gradients are all
 * those of the smoothed targets. */
static void test_smoothing(void **state)
{
    (void)state;
    enum { MOST = 40 };
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_recipe smooth = u->recipe;
    lo_error err = {""};
    lo_measure measure;
    float logits[MOST * UNLEARN_CLASSES];
    const lo_members forget = lo_members_forget(&u->request);
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD, .lr = 1};
    smooth.label_smoothing = 0.2;
    lo_pupil *former = replace_pupil(u, &smooth);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    unlearn_check(lo_pupil_outputs(u->pupil, &forget, -1, logits, NULL, &err), &err);
    double plain = 0, smoothed = 0;
    for (int64_t i = 0; i < forget.count; i++) {
        const float *z = logits + i * UNLEARN_CLASSES;
        double sum = 0;
        for (int k = 0; k < UNLEARN_CLASSES; k++) {
            sum += exp((double)z[k]);
        }
        for (int k = 0; k < UNLEARN_CLASSES; k++) {
            const double loss = log(sum) - (double)z[k];
            const bool own = k == u->data->label[0][forget.rows[i]];
            plain += own ? loss : 0;
            smoothed += (own ? 0.8 + 0.05 : 0.05) * loss;
        }
    }
    const double count = (double)forget.count;
    assert_true(smoothed - plain > 0.05 * count);
    assert_true(fabs(measure.loss - smoothed / count) < 1e-5);

    const size_t size = lo_pupil_size(u->pupil);
    double *sum = calloc(size, sizeof(*sum)), differs = 0, norm = 0;
    float *gradient = calloc(size, sizeof(*gradient));
    assert_true(sum != NULL && gradient != NULL);
    unlearn_check(lo_pupil_gradients(u->pupil, &forget, false, sum, &err), &err);
    lo_pupil_set_training(u->pupil, false);
    lo_batch batch = {.row = forget.rows, .count = (size_t)forget.count};
    unlearn_check(lo_pupil_learn(u->pupil, &batch, lo_loss_mean, NULL, &err), &err);
    assert_true(fabs(batch.loss - measure.loss) < 1e-5);
    lo_pupil_take_gradient(u->pupil, gradient);
    for (size_t i = 0; i < size; i++) {
        differs += pow(sum[i] / count - (double)gradient[i], 2);
        norm += pow((double)gradient[i], 2);
    }
    assert_true(norm > 0 && sqrt(differs) < 1e-5 * sqrt(norm));
    free(sum);
    free(gradient);
    lo_pupil_destroy(&u->pupil);
    u->pupil = former;
    unlearn_close(u);
}

/* ---- single settings ---- */

/* With decay 0 nothing is learnt after the epochs that are named. */
static void test_scrub_decay(void **state)
{
    (void)state;
    static const char *const steps = "max_epochs: 5, lr: 0.01, momentum: 0, weight_decay: 0";
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_network(u->pupil)->weight_size * sizeof(float);
    char text[256];
    float *after[2];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), "{name: scrub, epochs: %d, %s%s}", i == 0 ? 2 : 5, steps,
                       i == 0 ? "" : ", decay_epochs: [2, 4], decay: 0");
        unlearn_run(u, text);
        after[i] = unlearn_weights(u);
    }
    assert_memory_equal(after[0], after[1], size);
    assert_memory_not_equal(after[0], lo_pupil_original(u->pupil), size);
    free(after[0]);
    free(after[1]);
    unlearn_close(u);
}

/* Of epochs that are equally near the last one: steps so small that no prediction changes. */
static void test_scrub_tie(void **state)
{
    (void)state;
    static const char *const text[] = {"{name: scrub, epochs: 3, lr: 1.0e-5, rewind: true}",
                                       "{name: scrub, epochs: 3, lr: 1.0e-5}",
                                       "{name: scrub, epochs: 2, lr: 1.0e-5}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    float *after[3];
    for (int i = 0; i < 3; i++) {
        unlearn_run(u, text[i]);
        after[i] = unlearn_weights(u);
    }
    assert_memory_equal(after[0], after[1], unlearn_weights_size(u));
    assert_memory_not_equal(after[1], after[2], unlearn_weights_size(u));
    for (int i = 0; i < 3; i++) {
        free(after[i]);
    }
    unlearn_close(u);
}

/* SCRUB+R has nothing to compare with where no validation example is of the forget set's classes: that is
 * said, and not passed over. */
static void test_scrub_without_reference(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    int32_t others[UNLEARN_VALIDATION];
    const int32_t *label = u->data->dataset.train.label;
    lo_item *item = NULL;
    char why[256];
    int64_t count = 0;
    for (int64_t i = 0; i < u->request.forget_count; i++) { /* of class 1 alone */
        if (label[u->forget[i]] == 1) {
            u->forget[count++] = u->forget[i];
        }
    }
    u->request.forget_count = count;
    assert_true(count > 0);
    const lo_unlearn_method *method = unlearn_method(u, "{name: scrub, rewind: true}", &item);
    assert_null(method->inapplicable(&u->request, u->pupil, item, why, sizeof(why)));
    for (int i = 0; i < UNLEARN_VALIDATION; i++) {
        others[i] = 2;
    }
    u->data->dataset.validation.label = others;
    const char *reason = method->inapplicable(&u->request, u->pupil, item, why, sizeof(why));
    assert_non_null(reason);
    assert_non_null(strstr(reason, "rewind"));
    method = unlearn_method(u, "scrub", &item);
    assert_null(method->inapplicable(&u->request, u->pupil, item, why, sizeof(why)));
    unlearn_close(u);
}

/* Weights are dampened, never made larger: with a lambda above all ratios nothing changes. */
static void test_ssd_never_amplifies(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    unlearn_run(u, "{name: ssd, alpha: 1.1, lambda: 1.0e+6}");
    float *same = unlearn_weights(u);
    assert_memory_equal(same, lo_pupil_original(u->pupil), unlearn_weights_size(u));
    free(same);
    unlearn_close(u);
}

/* So many iterations on so many examples, and none where the residual is small enough at once. */
static void test_influence_stops(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const int64_t r = u->request.retain_count;
    unlearn_run(u, "{name: influence, examples: 10, iterations: 3, tolerance: 0}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), r + 30);
    assert_true(moved(u) > 0);
    unlearn_run(u, "{name: influence, examples: 0, iterations: 2, tolerance: 0}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 3 * r);
    unlearn_run(u, "{name: influence, tolerance: 1}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), r);
    assert_true(moved(u) == 0);
    unlearn_close(u);
}

/* A linear classifier's features and probabilities on the retain set, and the right-hand side v. */
typedef struct quadratic {
    size_t examples, width, size; /* width: features and 1 */
    float *logits, *features;
    double *v, *sum; /* [size] */
} quadratic;

static void quadratic_open(unlearn_data *u, quadratic *q)
{
    const lo_network *network = lo_pupil_network(u->pupil);
    const lo_members forget = lo_members_forget(&u->request), retain = lo_members_retain(&u->request);
    const double f = (double)forget.count, r = (double)retain.count;
    lo_error err = {""};
    *q = (quadratic){.examples = (size_t)retain.count,
                     .width = lo_shape_size(u->data->dataset.shape) + 1,
                     .size = lo_pupil_size(u->pupil)};
    assert_int_equal(q->size, UNLEARN_CLASSES * q->width);
    q->logits = calloc(q->examples * UNLEARN_CLASSES, sizeof(float));
    q->features = calloc(q->examples * q->width, sizeof(float));
    q->v = calloc(2 * q->size, sizeof(double));
    assert_true(q->logits != NULL && q->features != NULL && q->v != NULL);
    q->sum = q->v + q->size;
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_outputs(u->pupil, &retain, network->layer[network->layer_count - 1]->value[0],
                                   q->logits, q->features, &err),
                  &err);
    unlearn_check(lo_pupil_gradients(u->pupil, &forget, false, q->v, &err), &err);
    unlearn_check(lo_pupil_gradients(u->pupil, &retain, false, q->sum, &err), &err);
    for (size_t i = 0; i < q->size; i++) {
        q->v[i] = q->v[i] / (f + r) - f / ((f + r) * r) * q->sum[i];
    }
}

/* |v - (G + damping) x| / |v|, with G = mean (diag p - p p') x h h' in full; weights [classes, features],
 * then biases. */
static double residual(const quadratic *q, const double *x, double damping)
{
    const size_t features = q->width - 1, bias = UNLEARN_CLASSES * features;
    double left = 0, all = 0;
    for (size_t i = 0; i < q->size; i++) {
        q->sum[i] = damping * x[i];
    }
    for (size_t n = 0; n < q->examples; n++) {
        const float *h = q->features + n * features, *z = q->logits + n * UNLEARN_CLASSES;
        double p[UNLEARN_CLASSES], along[UNLEARN_CLASSES], total = 0, mean = 0;
        for (size_t k = 0; k < UNLEARN_CLASSES; k++) {
            total += p[k] = exp((double)z[k]);
            along[k] = x[bias + k];
            for (size_t j = 0; j < features; j++) {
                along[k] += x[k * features + j] * (double)h[j];
            }
        }
        for (size_t k = 0; k < UNLEARN_CLASSES; k++) {
            mean += (p[k] /= total) * along[k];
        }
        for (size_t k = 0; k < UNLEARN_CLASSES; k++) {
            const double slope = p[k] * (along[k] - mean) / (double)q->examples;
            q->sum[bias + k] += slope;
            for (size_t j = 0; j < features; j++) {
                q->sum[k * features + j] += slope * (double)h[j];
            }
        }
    }
    for (size_t i = 0; i < q->size; i++) {
        left += pow(q->v[i] - q->sum[i], 2);
        all += q->v[i] * q->v[i];
    }
    return sqrt(left / all);
}

/* The residual that the step of so many iterations leaves; *used: how many they were. */
static double left_after(unlearn_data *u, const quadratic *q, int64_t iterations, double tolerance,
                         int64_t *used)
{
    const double scale = 1000;
    char text[160];
    float *w = calloc(2 * q->size, sizeof(*w)), *before = w + q->size;
    double *x = calloc(q->size, sizeof(*x));
    assert_true(w != NULL && x != NULL);
    (void)snprintf(
        text, sizeof(text),
        "{name: influence, examples: 0, damping: 1.0e-3, scale: 1000, iterations: %d, tolerance: %g}",
        (int)iterations, tolerance);
    unlearn_reload(u);
    lo_pupil_weights(u->pupil, before);
    unlearn_run_on(u, &u->request, text);
    lo_pupil_weights(u->pupil, w);
    *used = lo_pupil_shown(u->pupil, LO_SET_RETAIN) / u->request.retain_count - 1;
    for (size_t i = 0; i < q->size; i++) {
        x[i] = ((double)w[i] - (double)before[i]) / scale;
    }
    const double relative = residual(q, x, 1e-3);
    free(w);
    free(x);
    return relative;
}

/* Conjugate gradients end with the first iteration whose residual, by the whole matrix, is below the
 * tolerance. */
static void test_influence_residual(void **state)
{
    (void)state;
    static const double tolerance[] = {0.05, 0.01, 0.002};
    unlearn_data *u = unlearn_open("[flatten, {linear: 4}]", NULL);
    quadratic q;
    quadratic_open(u, &q);
    for (int i = 0; i < 3; i++) {
        int64_t needed = 0, used = 0;
        const double reached = left_after(u, &q, 1000, tolerance[i], &needed);
        if (!(reached <= 1.01 * tolerance[i])) {
            fail_msg("a residual of %g where %g is asked for", reached, tolerance[i]);
        }
        assert_in_range(needed, 2, 500);
        const double before = left_after(u, &q, needed - 1, 0, &used);
        assert_int_equal(used, needed - 1);
        if (!(before >= 0.99 * tolerance[i])) {
            fail_msg("%d iterations are enough for %g", (int)used, tolerance[i]);
        }
    }
    free(q.logits);
    free(q.features);
    free(q.v);
    unlearn_close(u);
}

/* No accuracy is above 1: they end with the first epoch, but not before it. */
static void test_stops_after_one(void **state)
{
    (void)state;
    static const char *const text[] = {"{name: neggrad, stop_accuracy: 1}",
                                       "{name: random_label, retain: false, stop_accuracy: 1}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    for (int i = 0; i < 2; i++) {
        unlearn_run(u, text[i]);
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), u->request.forget_count);
    }
    unlearn_close(u);
}

/* However small the share of the strongest, one is used; here that one alone in each epoch. */
static void test_imu_uses_one(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    unlearn_run(u, "{name: imu, epochs: 2, top: 0}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), u->request.forget_count + 2);
    unlearn_close(u);
}

/* Four equal images with four labels, and weights of 0: their gradients cancel, so no influence is negative,
 * and all weigh alike. Then it is plain ascent. */
static void test_imu_alike(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open("[flatten, {linear: 4}]", NULL);
    static const char *const text[] = {
        "{name: imu, epochs: 2, batch: 3, lr: 0.1, momentum: 0, weight_decay: 0, l1: 0}",
        "{name: neggrad, epochs: 2, batch: 3, lr: 0.1, momentum: 0, weight_decay: 0}"};
    const size_t size = lo_pupil_size(u->pupil), pixels = lo_shape_size(u->data->dataset.shape);
    float *zero = calloc(size, sizeof(*zero)), *after[2];
    assert_non_null(zero);
    u->request.forget_count = UNLEARN_CLASSES;
    for (int32_t k = 0; k < UNLEARN_CLASSES; k++) {
        uint8_t *image = u->data->pixel[0] + u->forget[k] * pixels;
        memmove(image, u->data->pixel[0] + u->forget[0] * pixels, pixels);
        u->data->label[0][u->forget[k]] = k;
    }
    for (int i = 0; i < 2; i++) {
        unlearn_reload(u);
        lo_pupil_set_weights(u->pupil, zero);
        unlearn_run_on(u, &u->request, text[i]);
        after[i] = calloc(size, sizeof(float));
        assert_non_null(after[i]);
        lo_pupil_weights(u->pupil, after[i]);
    }
    assert_memory_equal(after[0], after[1], size * sizeof(float));
    assert_memory_not_equal(after[0], zero, size * sizeof(float));
    free(zero);
    free(after[0]);
    free(after[1]);
    unlearn_close(u);
}

/* Which examples of class 2 are forgotten, and whether others are: all of the
 * class; all of it and some of others (a mixed set); every second one, the others having been forgotten
 * before.
 */
typedef enum class_set { WHOLE, MIXED, REST, CLASS_SETS } class_set;

static void forget_class(unlearn_data *u, class_set kind)
{
    const int32_t *label = u->data->dataset.train.label;
    u->request.whole_class = kind == WHOLE;
    u->request.forget_count = u->request.retain_count = 0;
    for (uint32_t i = 0, of_class = 0; i < UNLEARN_TRAIN; i++) {
        of_class += label[i] == 2;
        if (label[i] == 2 ? kind != REST || of_class % 2 == 0 : kind == MIXED && i % 7 == 3) {
            u->forget[u->request.forget_count++] = i;
        } else if (label[i] != 2) {
            u->retain[u->request.retain_count++] = i;
        }
    }
}

/* tau is the loss of unseen examples of the classes that are retained; where of those that are forgotten none
 * is, it is at least the loss of a guess, which these examples have not. */
static void test_tau_of_a_class(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const double guess = log(UNLEARN_CLASSES);
    uint32_t rows[UNLEARN_VALIDATION];
    lo_members others = {.validation = true, .rows = rows};
    lo_error err = {""};
    lo_measure measure;
    for (uint32_t i = 0; i < UNLEARN_VALIDATION; i++) {
        rows[others.count] = i;
        others.count += u->data->dataset.validation.label[i] != 2;
    }
    assert_true(others.count > 0 && others.count < UNLEARN_VALIDATION);
    for (int kind = WHOLE; kind < CLASS_SETS; kind++) {
        char text[128];
        forget_class(u, (class_set)kind);
        unlearn_reload(u);
        lo_pupil_permit(u->pupil, LO_READS_VALIDATION);
        unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
        unlearn_check(lo_pupil_measure(u->pupil, &others, false, 0, 0, &measure, &err), &err);
        assert_true(measure.loss > 0.01 && measure.loss < guess);
        unlearn_run(u, "{name: nabla_tau, epochs: 2, alpha: 0.5}");
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), others.count);
        float *own = unlearn_weights(u);
        (void)snprintf(text, sizeof(text), "{name: nabla_tau, epochs: 2, alpha: 0.5, tau: %.17g}",
                       kind == MIXED ? measure.loss : guess);
        unlearn_run(u, text);
        float *given = unlearn_weights(u);
        assert_memory_equal(own, given, unlearn_weights_size(u));
        free(own);
        free(given);
    }
    unlearn_close(u);
}

/* What each method reads by default, in passes over the sets, teachers' and those that only look included:
 * its cost as docs/methods.md has it. */
static void test_passes(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        int forget, retain; /* -1: see below */
    } cases[] = {
        {"finetune", 0, 10},    {"neggrad", 5, 0},     {"neggrad_plus", -1, 5}, {"random_label", 10, 10},
        {"amnesiac", 3, 3},     {"salun", 1 + 10, 10}, {"l1_sparse", 0, 10},    {"scrub", 2 * 2, 2 * 3},
        {"bad_teacher", 3, -1}, {"ssd", 1, 1},         {"del", 1, 30},          {"imu", -1, 0},
        {"retrain", 0, 4},      {"influence", 1, -1}};
    unlearn_data *u = unlearn_open(NULL, NULL);
    const int64_t f = u->request.forget_count, r = u->request.retain_count, batch = 16;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unlearn_run(u, cases[i].method);
        const int64_t forget = lo_pupil_shown(u->pupil, LO_SET_FORGET),
                      retain = lo_pupil_shown(u->pupil, LO_SET_RETAIN);
        if ((cases[i].forget >= 0 && forget != cases[i].forget * f) ||
            (cases[i].retain >= 0 && retain != cases[i].retain * r)) {
            fail_msg("%s: read %lld of the forget set and %lld of the retain set, of %lld and %lld",
                     cases[i].method, (long long)forget, (long long)retain, (long long)f, (long long)r);
        }
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), 0);
    }
    /* A batch of the forget set for each of the retain set, over and over. */
    int64_t cycled = 0;
    for (int64_t step = 0, at = 0; step < 5 * ((r + batch - 1) / batch); step++) {
        const int64_t taken = f - at < batch ? f - at : batch;
        cycled += taken;
        at = (at + taken) % f;
    }
    unlearn_run(u, "neggrad_plus");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), cycled);
    unlearn_run(u, "{name: del, over: all, epochs: 1}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), f);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 2 * r);
    unlearn_run(u, "bad_teacher");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 3 * (int64_t)floor(0.3 * (double)r));
    /* The strongest tenth of those with a negative influence, which cannot be more than all. */
    unlearn_run(u, "imu");
    assert_in_range(lo_pupil_shown(u->pupil, LO_SET_FORGET), f + 10, f + 10 * (f / 10 + 1));
    unlearn_close(u);
}

/* ---- groups ---- */

/* As many groups as are asked for, in the order of the scores: sizes differ by one at most. */
static void test_many_groups(void **state)
{
    (void)state;
    const double score[] = {0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.6, 0.7, 0.4};
    const uint32_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const int expected[][9] = {{0, 0, 0, 0, 0, 0, 0, 0, 0},
                                      {1, 0, 1, 0, 0, 1, 1, 1, 0},
                                      {2, 0, 3, 1, 0, 3, 2, 3, 1},
                                      {2, 0, 4, 1, 1, 4, 3, 3, 2}};
    static const int groups[] = {1, 2, 4, 5};
    lo_error err = {""};
    for (int i = 0; i < 4; i++) {
        int group[9];
        unlearn_check(lo_group_scores(score, all, 9, groups[i], false, 0.5, group, &err), &err);
        assert_memory_equal(group, expected[i], sizeof(group));
    }
}

/* Scores that say nothing still make three groups. */
static void test_groups_of_ties(void **state)
{
    (void)state;
    const double score[] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    const uint32_t all[] = {0, 1, 2, 3, 4, 5};
    const int by_median[] = {1, 1, 0, 2, 2, 2}, by_rank[] = {0, 0, 1, 1, 2, 2};
    int group[6];
    lo_error err = {""};
    unlearn_check(lo_group_scores(score, all, 6, 3, true, 0.5, group, &err), &err);
    assert_memory_equal(group, by_median, sizeof(group));
    unlearn_check(lo_group_scores(score, all, 6, 3, false, 0.5, group, &err), &err);
    assert_memory_equal(group, by_rank, sizeof(group));
}

/* From the highest scores down each group still has its own method: the one that reads its group alone reads
 * the lowest, of which there are fewer. */
static void test_reversed_methods(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    u->request.forget_count = 7;
    unlearn_run(u, "{name: rum, groups: 2, control: reversed, inner: [{name: neggrad, epochs: 1}, none]}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 3);
    unlearn_run(u, "{name: rum, groups: 2, control: reversed, inner: [none, {name: neggrad, epochs: 1}]}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 4);
    unlearn_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_defaults),
        cmocka_unit_test(test_defaults_of_presets),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_recipe_stays_out),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_scrub_decay),
        cmocka_unit_test(test_scrub_tie),
        cmocka_unit_test(test_influence_residual),
        cmocka_unit_test(test_stops_after_one),
        cmocka_unit_test(test_groups_of_ties),
        cmocka_unit_test(test_scrub_without_reference),
        cmocka_unit_test(test_ssd_never_amplifies),
        cmocka_unit_test(test_influence_stops),
        cmocka_unit_test(test_imu_uses_one),
        cmocka_unit_test(test_imu_alike),
        cmocka_unit_test(test_tau_of_a_class),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_reversed_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
