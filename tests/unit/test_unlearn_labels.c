/* The labels that methods of unlearning draw, read from the weights: a linear classifier that begins at zero,
 * of examples that have one pixel each, so that a step moves the weights of an example's pixel up for its
 * label and down for the others. */
#include "unlearn/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 30, EXAMPLES = SIDE * SIDE, CLASSES = 4, WEIGHTS = CLASSES * EXAMPLES + CLASSES, EPOCHS = 3 };

typedef struct signs {
    uint8_t *pixel; /* [EXAMPLES, EXAMPLES]: the unit matrix */
    int32_t truth[EXAMPLES];
    float scale[1], shift[1];
    uint32_t forget[EXAMPLES], retain[EXAMPLES];
    lo_dataset dataset;
    lo_request request;
    lo_pupil *pupil;
    int32_t drawn[EPOCHS][EXAMPLES];
} signs;

static signs *signs_open(void)
{
    static const lo_model_spec model = {.preset = "layers", .layers = "[flatten, {linear: 4}]"};
    static const lo_recipe recipe = {
        .epochs = 1, .batch = 32, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .seed = 7};
    lo_error err = {""};
    signs *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->pixel = calloc((size_t)EXAMPLES * EXAMPLES, 1);
    assert_non_null(s->pixel);
    s->scale[0] = 1.0F / 255;
    s->dataset =
        (lo_dataset){.shape = {1, SIDE, SIDE}, .classes = CLASSES, .scale = s->scale, .shift = s->shift};
    s->dataset.train = (lo_examples){.count = EXAMPLES, .pixel = s->pixel, .label = s->truth};
    s->request = (lo_request){.dataset = &s->dataset,
                              .name = "halves",
                              .forget = s->forget,
                              .retain = s->retain,
                              .seed = 7,
                              .run = 12};
    for (uint32_t i = 0; i < EXAMPLES; i++) {
        s->pixel[(size_t)i * EXAMPLES + i] = 255;
        s->truth[i] = (int32_t)(i / 2 % CLASSES);
        if (i % 2 == 0) {
            s->forget[s->request.forget_count++] = i;
        } else {
            s->retain[s->request.retain_count++] = i;
        }
    }
    if (lo_pupil_create(&model, &recipe, &s->dataset, &s->pupil, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(lo_pupil_size(s->pupil), WEIGHTS);
    return s;
}

static void signs_close(signs *s)
{
    lo_pupil_destroy(&s->pupil);
    free(s->pixel);
    free(s);
}

/* The weights after so many epochs, each set one batch, from zero: to[WEIGHTS]. */
static void train(signs *s, const char *settings, int epochs, float *to)
{
    char text[256];
    lo_items *items = NULL;
    lo_error err = {""};
    (void)snprintf(text, sizeof(text),
                   "[{%s, batch: 900, optimizer: sgd, lr: 1, momentum: 0, weight_decay: 0, epochs: %d}]",
                   settings, epochs);
    lo_status status = lo_items_parse(text, "case", "methods", &items, &err);
    if (status == LO_OK) {
        lo_item *item = lo_items_at(items, 0);
        const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
        assert_non_null(method);
        status = lo_item_accept(item, method->settings, method->setting_count, &err);
        status = status == LO_OK ? lo_pupil_begin(s->pupil, &s->request, 0, NULL, &err) : status;
        memset(to, 0, WEIGHTS * sizeof(*to));
        lo_pupil_set_weights(s->pupil, to);
        status = status == LO_OK ? method->run(s->pupil, &s->request, item, NULL, &err) : status;
    }
    lo_items_destroy(&items);
    if (status != LO_OK) {
        fail_msg("%s: %s", settings, err.text);
    }
    lo_pupil_weights(s->pupil, to);
}

/* drawn[epoch][example] of all epochs, -1 for an example that was not shown in one. Nothing else draws, and
 * an epoch's labels do not depend on how many epochs follow. */
static void read_labels(signs *s, const char *settings)
{
    float *before = calloc(WEIGHTS, sizeof(*before)), *after = calloc(WEIGHTS, sizeof(*after));
    assert_true(before != NULL && after != NULL);
    for (int e = 0; e < EPOCHS; e++) {
        train(s, settings, e + 1, after);
        for (int i = 0; i < EXAMPLES; i++) {
            int32_t up = -1;
            for (int32_t c = 0; c < CLASSES; c++) {
                const float moved = after[c * EXAMPLES + i] - before[c * EXAMPLES + i];
                if (moved > 0) {
                    assert_int_equal(up, -1);
                    up = c;
                }
            }
            s->drawn[e][i] = up;
        }
        memcpy(before, after, WEIGHTS * sizeof(*before));
    }
    free(before);
    free(after);
}

/* How many of the forget set have a label so far above the true one, round the classes. */
static void count_distances(const signs *s, int epoch, int count[CLASSES])
{
    memset(count, 0, CLASSES * sizeof(*count));
    for (int64_t k = 0; k < s->request.forget_count; k++) {
        const uint32_t i = s->forget[k];
        assert_in_range(s->drawn[epoch][i], 0, CLASSES - 1);
        count[(s->drawn[epoch][i] - s->truth[i] + CLASSES) % CLASSES]++;
    }
}

static int count_equal(const signs *s, int a, int b)
{
    int equal = 0;
    for (int64_t k = 0; k < s->request.forget_count; k++) {
        equal += s->drawn[a][s->forget[k]] == s->drawn[b][s->forget[k]];
    }
    return equal;
}

/* Within three and a half standard deviations of a binomial distribution. */
static void check_share(int count, double share, int64_t of)
{
    const double n = (double)of, away = (double)count - share * n;
    if (away * away > 3.5 * 3.5 * n * share * (1 - share)) {
        fail_msg("%d of %d where a share of %g is expected", count, (int)of, share);
    }
}

static void check_labels(signs *s, const char *settings, bool wrong, bool once, bool retains)
{
    const int64_t n = s->request.forget_count;
    read_labels(s, settings);
    for (int e = 0; e < EPOCHS; e++) {
        int count[CLASSES];
        count_distances(s, e, count);
        check_share(count[0], wrong ? 0 : 1.0 / CLASSES, n);
        for (int d = 1; d < CLASSES; d++) {
            check_share(count[d], wrong ? 1.0 / (CLASSES - 1) : 1.0 / CLASSES, n);
        }
        for (int64_t k = 0; k < s->request.retain_count; k++) {
            assert_int_equal(s->drawn[e][s->retain[k]], retains ? s->truth[s->retain[k]] : -1);
        }
        for (int earlier = 0; earlier < e; earlier++) {
            check_share(count_equal(s, earlier, e), once ? 1 : 1.0 / (wrong ? CLASSES - 1 : CLASSES), n);
        }
    }
}

/* By default any label, the true one as often as others, and others in every epoch. */
static void test_random_label(void **state)
{
    (void)state;
    signs *s = signs_open();
    check_labels(s, "name: random_label", false, false, true);
    check_labels(s, "name: random_label, retain: false", false, false, false);
    check_labels(s, "name: random_label, passes: mixed", false, false, true);
    check_labels(s, "name: random_label, draw: once", false, true, true);
    check_labels(s, "name: random_label, wrong_only: true", true, false, true);
    check_labels(s, "name: random_label, wrong_only: true, draw: once, passes: mixed", true, true, true);
    signs_close(s);
}

static void test_salun(void **state)
{
    (void)state;
    signs *s = signs_open();
    check_labels(s, "name: salun, share: 1", false, false, true);
    check_labels(s, "name: salun, share: 1, draw: once, wrong_only: true", true, true, true);
    signs_close(s);
}

/* Never the true label, and one draw for all epochs. */
static void test_amnesiac(void **state)
{
    (void)state;
    signs *s = signs_open();
    check_labels(s, "name: amnesiac", true, true, true);
    signs_close(s);
}

/* Another run draws others. */
static void test_runs_differ(void **state)
{
    (void)state;
    signs *s = signs_open();
    int32_t first[EXAMPLES];
    read_labels(s, "name: amnesiac");
    s->request.run++;
    memcpy(first, s->drawn[0], sizeof(first));
    read_labels(s, "name: amnesiac");
    memcpy(s->drawn[1], first, sizeof(first));
    check_share(count_equal(s, 0, 1), 1.0 / (CLASSES - 1), s->request.forget_count);
    signs_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_label),
        cmocka_unit_test(test_salun),
        cmocka_unit_test(test_amnesiac),
        cmocka_unit_test(test_runs_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
