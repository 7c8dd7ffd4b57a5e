/* Scores computed anew in a sequence of requests, against a direct computation of two stages: the model that
 * has forgotten the first set, the score of the second set by that model's outputs, and then the method with
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unlearn/groups.h"
#include "unlearn/rescore.h"

#include "unlearn_data.h"

#include <math.h>

static const char rum[] = "{name: rum, inner: [{name: neggrad, epochs: 1, lr: 0.01}, {name: finetune, "
                          "epochs: 1}, {name: salun, epochs: 1}]}";

typedef struct scene {
    unlearn_data *u;
    uint32_t forget[UNLEARN_TRAIN], retain[UNLEARN_TRAIN];
    lo_request second;
    float *first; /* weights and statistics of the model that has forgotten the first set */
    lo_items *scores;
    double value[UNLEARN_TRAIN];
} scene;

static void set_network(const scene *s, const float *values)
{
    const lo_network *network = lo_pupil_network(s->u->pupil);
    memcpy(network->weights, values, network->weight_size * sizeof(float));
    memcpy(network->statistics, values + network->weight_size, network->statistic_size * sizeof(float));
}

/* The second request: every third of what the first one retains. */
static void open_scene(scene *s)
{
    *s = (scene){.u = unlearn_open(NULL, NULL)};
    unlearn_run(s->u, "{name: neggrad_plus, epochs: 2, alpha: 0.6}");
    s->first = unlearn_weights(s->u);
    s->second = s->u->request;
    s->second.forget = s->forget;
    s->second.retain = s->retain;
    s->second.run = 78;
    s->second.forget_count = s->second.retain_count = 0;
    for (int64_t i = 0; i < s->u->request.retain_count; i++) {
        if (i % 3 == 1) {
            s->forget[s->second.forget_count++] = s->u->retain[i];
        } else {
            s->retain[s->second.retain_count++] = s->u->retain[i];
        }
    }
}

static void close_scene(scene *s)
{
    lo_items_destroy(&s->scores);
    free(s->first);
    unlearn_close(s->u);
}

/* The second request, split by a score computed anew. */
static lo_request anew(scene *s, const char *text)
{
    char list[128];
    lo_error err = {""};
    lo_request request = s->second;
    lo_items_destroy(&s->scores);
    (void)snprintf(list, sizeof(list), "[%s]", text);
    unlearn_check(lo_items_parse(list, NULL, "scores", &s->scores, &err), &err);
    lo_item *item = lo_items_at(s->scores, 0);
    request.rescore = lo_score_find(lo_item_name(item));
    assert_non_null(request.rescore);
    unlearn_check(lo_item_accept(item, request.rescore->setting, request.rescore->settings, &err), &err);
    request.rescore_settings = item;
    return request;
}

/* -log p of the label by the network as it is, of the second forget set. */
static void losses(scene *s, double *value)
{
    float logits[UNLEARN_TRAIN * UNLEARN_CLASSES];
    const lo_members members = lo_members_forget(&s->second);
    lo_error err = {""};
    unlearn_check(lo_pupil_begin(s->u->pupil, &s->second, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_outputs(s->u->pupil, &members, -1, logits, NULL, &err), &err);
    for (int64_t i = 0; i < members.count; i++) {
        const float *z = logits + i * UNLEARN_CLASSES;
        double sum = 0;
        for (int c = 0; c < UNLEARN_CLASSES; c++) {
            sum += exp((double)z[c]);
        }
        value[members.rows[i]] = log(sum) - (double)z[s->u->data->dataset.train.label[members.rows[i]]];
    }
}

static float *rum_with(scene *s, const lo_request *request)
{
    set_network(s, s->first);
    unlearn_run_on(s->u, request, rum);
    return unlearn_weights(s->u);
}

static void test_two_stages(void **state)
{
    scene s;
    lo_error err = {""};
    double old[UNLEARN_TRAIN] = {0}, new[UNLEARN_TRAIN] = {0};
    int before[UNLEARN_TRAIN], after[UNLEARN_TRAIN];
    (void)state;
    open_scene(&s);
    unlearn_reload(s.u);
    losses(&s, old);
    set_network(&s, s.first);
    losses(&s, new);
    unlearn_check(lo_group_scores(old, s.forget, s.second.forget_count, 3, false, 0.5, before, &err), &err);
    unlearn_check(lo_group_scores(new, s.forget, s.second.forget_count, 3, false, 0.5, after, &err), &err);
    assert_memory_not_equal(before, after, (size_t)s.second.forget_count * sizeof(*before));

    lo_request request = anew(&s, "final_loss");
    float *found = rum_with(&s, &request);
    request = s.second;
    request.score = new;
    float *expected = rum_with(&s, &request);
    request.score = old;
    float *other = rum_with(&s, &request);
    assert_memory_equal(found, expected, unlearn_weights_size(s.u));
    assert_memory_not_equal(found, other, unlearn_weights_size(s.u));
    free(found);
    free(expected);
    free(other);
    close_scene(&s);
}

enum { K = 60 }; /* more than a class has: some of them have another label */

/* How many of the K nearest of `row` among rows[count], itself left out, have another label. */
static double disagreement(const scene *s, const float *features, size_t size, uint32_t row,
                           const uint32_t *rows, int64_t count)
{
    const int32_t *label = s->u->data->dataset.train.label;
    double least[K];
    int32_t whose[K];
    int have = 0, others = 0;
    for (int64_t i = 0; i < count; i++) {
        double distance = 0;
        for (size_t d = 0; d < size; d++) {
            const double apart = (double)features[row * size + d] - (double)features[rows[i] * size + d];
            distance += apart * apart;
        }
        int at = have;
        while (at > 0 && distance < least[at - 1]) {
            at--;
        }
        if (rows[i] == row || at == K) {
            continue;
        }
        have += have < K ? 1 : 0;
        for (int k = have - 1; k > at; k--) {
            least[k] = least[k - 1];
            whose[k] = whose[k - 1];
        }
        least[at] = distance;
        whose[at] = label[rows[i]];
    }
    for (int k = 0; k < have; k++) {
        others += whose[k] != label[row] ? 1 : 0;
    }
    return (double)others / have;
}

/* Neighbours are those that are still there; who has been forgotten before is none. */
static void test_neighbours(void **state)
{
    scene s;
    lo_error err = {""};
    (void)state;
    open_scene(&s);
    const lo_request request = anew(&s, "{name: knn_disagreement, k: 60}");
    const lo_network *network = lo_pupil_network(s.u->pupil);
    const int value = network->layer[network->layer_count - 1]->value[0];
    const size_t size = lo_shape_size(lo_network_shape_of(network, value));
    float *features = calloc(UNLEARN_TRAIN * size, sizeof(*features));
    float *some = calloc(UNLEARN_TRAIN * size, sizeof(*some));
    assert_true(features != NULL && some != NULL);
    lo_request all = s.u->request; /* the first request has them all */
    const lo_members both[2] = {lo_members_forget(&all), lo_members_retain(&all)};
    set_network(&s, s.first);
    unlearn_check(lo_pupil_begin(s.u->pupil, &all, 0, NULL, &err), &err);
    for (int m = 0; m < 2; m++) {
        unlearn_check(lo_pupil_outputs(s.u->pupil, &both[m], value, NULL, some, &err), &err);
        for (int64_t i = 0; i < both[m].count; i++) {
            memcpy(features + both[m].rows[i] * size, some + (size_t)i * size, size * sizeof(*some));
        }
    }
    unlearn_check(lo_rescore(s.u->pupil, &request, NULL, s.value, &err), &err);
    int differ = 0;
    uint32_t everybody[UNLEARN_TRAIN];
    int64_t count = 0;
    for (int m = 0; m < 2; m++) {
        for (int64_t i = 0; i < both[m].count; i++) {
            everybody[count++] = both[m].rows[i];
        }
    }
    for (int64_t i = 0; i < request.forget_count; i++) {
        const uint32_t row = request.forget[i];
        const double expected = disagreement(&s, features, size, row, s.u->retain, s.u->request.retain_count);
        assert_true(fabs(s.value[row] - expected) < 1e-6);
        differ += fabs(disagreement(&s, features, size, row, everybody, count) - expected) > 1e-6 ? 1 : 0;
    }
    assert_true(differ > 0);
    free(features);
    free(some);
    close_scene(&s);
}

/* Of scores that look at nobody else an example's is the same whoever is asked beside it. */
static void test_alone(void **state)
{
    static const char *const texts[] = {"final_loss", "{name: loss_sensitivity, over: end}",
                                        "{name: loss_curvature, over: end, direction: sign}"};
    scene s;
    lo_error err = {""};
    (void)state;
    open_scene(&s);
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        lo_request request = anew(&s, texts[t]);
        double one[UNLEARN_TRAIN] = {0};
        set_network(&s, s.first);
        unlearn_check(lo_rescore(s.u->pupil, &request, NULL, s.value, &err), &err);
        float *after = unlearn_weights(s.u);
        assert_memory_equal(after, s.first, unlearn_weights_size(s.u));
        free(after);
        request.forget += 7;
        request.forget_count = 1;
        unlearn_check(lo_rescore(s.u->pupil, &request, NULL, one, &err), &err);
        assert_true(one[s.forget[7]] == s.value[s.forget[7]] && one[s.forget[7]] > 0);
    }
    close_scene(&s);
}

/* What is looked at counts as read, and has to be permitted. */
static void test_account(void **state)
{
    scene s;
    lo_error err = {""};
    (void)state;
    open_scene(&s);
    for (int among = 0; among < 2; among++) {
        const lo_request request = anew(&s, among == 1 ? "prediction_depth" : "final_loss");
        unlearn_reload(s.u);
        lo_pupil_permit(s.u->pupil, LO_READS_FORGET);
        assert_int_equal(lo_rescore(s.u->pupil, &request, NULL, s.value, &err),
                         among == 1 ? LO_INTERNAL : LO_OK);
        unlearn_reload(s.u);
        lo_pupil_permit(s.u->pupil, LO_READS_FORGET | LO_READS_RETAIN);
        unlearn_check(lo_rescore(s.u->pupil, &request, NULL, s.value, &err), &err);
        assert_int_equal(lo_pupil_shown(s.u->pupil, LO_SET_FORGET), request.forget_count);
        assert_int_equal(lo_pupil_shown(s.u->pupil, LO_SET_RETAIN), among * request.retain_count);
    }
    lo_item *item = NULL;
    const lo_unlearn_method *method =
        unlearn_method(s.u, "{name: rum, inner: [none, neggrad, none], rescore: prediction_depth}", &item);
    assert_int_equal(lo_unlearn_reads(method, item), LO_READS_FORGET | LO_READS_RETAIN);
    method = unlearn_method(s.u, "{name: rum, inner: [none, neggrad, none], rescore: final_loss}", &item);
    assert_int_equal(lo_unlearn_reads(method, item), LO_READS_FORGET);
    close_scene(&s);
}

static void test_which(void **state)
{
    static const struct {
        const char *score, *says;
    } refused[] = {
        {"memorization", "ensemble's models"},
        {"confidence", "a training's history"},
        {"tracin", "a training's history"},
        {"el2n", "trainings of its own"},
        {"holdout_retraining", "trainings of its own"},
        {"hybrid", "other scores or a file"},
        {"loss_curvature", "over: end"},
        {"memorization", "loss_curvature, loss_sensitivity, final_loss, prediction_depth, knn_disagreement"}};
    scene s = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        lo_error err = {""};
        const lo_score *score = lo_score_find(refused[i].score);
        const bool has_over = strcmp(refused[i].score, "loss_curvature") == 0;
        const lo_item *item = has_over ? anew(&s, "loss_curvature").rescore_settings : NULL;
        assert_int_equal(lo_rescore_check(score, item, &err), LO_USAGE);
        if (strstr(err.text, refused[i].says) == NULL) {
            fail_msg("%s: '%s' does not say '%s'", refused[i].score, err.text, refused[i].says);
        }
    }
    lo_error err = {""};
    assert_int_equal(lo_rescore_check(lo_score_find("loss_curvature"),
                                      anew(&s, "{name: loss_curvature, over: end}").rescore_settings, &err),
                     LO_OK);
    assert_int_equal(lo_rescore_check(lo_score_find("final_loss"), NULL, &err), LO_OK);
    lo_items_destroy(&s.scores);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_stages), cmocka_unit_test(test_neighbours),
                                       cmocka_unit_test(test_alone), cmocka_unit_test(test_account),
                                       cmocka_unit_test(test_which)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
