/* Methods of unlearning: what each changes and what it must not, what it reads, and that its numbers are
 * those of direct, slow computations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unlearn/groups.h"
#include "unlearn/imu.h"
#include "unlearn/locate.h"

#include "unlearn_data.h"

#include <math.h>

/* The values of weights as vectors have them. */
static float *vector_of(unlearn_data *u)
{
    float *values = calloc(lo_pupil_size(u->pupil), sizeof(float));
    assert_non_null(values);
    lo_pupil_weights(u->pupil, values);
    return values;
}

static uint8_t *located(unlearn_data *u, const lo_locate *locate, int64_t batch)
{
    lo_error err = {""};
    uint8_t *chosen = calloc(lo_pupil_size(u->pupil), 1);
    assert_non_null(chosen);
    lo_pupil_permit(u->pupil, LO_READS_FORGET | LO_READS_RETAIN);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, batch, NULL, &err), &err);
    unlearn_check(lo_locate_weights(u->pupil, locate, &u->request, chosen, &err), &err);
    return chosen;
}

static size_t count_chosen(const unlearn_data *u, const uint8_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < lo_pupil_size(u->pupil); i++) {
        count += chosen[i];
    }
    return count;
}

/* |sum g|, of all examples at once. */
static double *sums_of(unlearn_data *u)
{
    lo_error err = {""};
    double *sum = calloc(lo_pupil_size(u->pupil), sizeof(double));
    const lo_members forget = lo_members_forget(&u->request);
    assert_non_null(sum);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_gradients(u->pupil, &forget, false, sum, &err), &err);
    return sum;
}

/* ---- localization ---- */

static void test_largest(void **state)
{
    (void)state;
    const double value[] = {3, 0, 7, 3, 1e-300, 7, 3, 2};
    static const char *const expected[] = {"00000000", "00100000", "00100100", "10100100", "10110100",
                                           "10110110", "10110111", "10111111", "11111111"};
    for (size_t count = 0; count <= 8; count++) {
        uint8_t chosen[8];
        lo_choose_largest(value, 8, count, chosen);
        for (size_t i = 0; i < 8; i++) {
            assert_int_equal(chosen[i], expected[count][i] - '0');
        }
    }
}

/* SalUn's: the largest absolute values of the sum, exactly so many, whatever the batch. */
static void test_salun_mask(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const lo_locate locate = {
        .criterion = LO_BY_GRADIENT, .share = 0.4, .members = lo_members_forget(&u->request)};
    uint8_t *chosen = located(u, &locate, 7), *again = located(u, &locate, 200);
    double *sum = sums_of(u), least = INFINITY, most = 0;
    const size_t size = lo_pupil_size(u->pupil);
    assert_memory_equal(chosen, again, size);
    assert_int_equal(count_chosen(u, chosen), (size_t)(0.4 * (double)size));
    for (size_t i = 0; i < size; i++) {
        least = chosen[i] != 0 ? fmin(least, fabs(sum[i])) : least;
        most = chosen[i] == 0 ? fmax(most, fabs(sum[i])) : most;
    }
    assert_true(least >= most);

    /* Another order of the examples: the same but where rounding decides. */
    uint32_t reversed[UNLEARN_TRAIN];
    lo_locate turned = locate;
    for (int64_t i = 0; i < u->request.forget_count; i++) {
        reversed[i] = u->request.forget[u->request.forget_count - 1 - i];
    }
    turned.members.rows = reversed;
    uint8_t *other = located(u, &turned, 7);
    for (size_t i = 0; i < size; i++) {
        assert_true(other[i] == chosen[i] || fabs(fabs(sum[i]) - least) < 1e-9 * least);
    }
    free(chosen);
    free(again);
    free(other);
    free(sum);
    unlearn_close(u);
}

typedef struct slow_unit {
    size_t start, count;
    double score;
    bool taken;
} slow_unit;

/* The units of the network of unlearn_layers and their scores, directly. */
static size_t slow_units(unlearn_data *u, const double *a, lo_h_rule rule, slow_unit *unit)
{
    const lo_network *network = lo_pupil_network(u->pupil);
    size_t units = 0, at = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        for (size_t row = 0; row < p->out && !p->statistic; row++, at += p->in * p->taps) {
            const size_t length = p->in * p->taps;
            size_t h = rule == LO_H_ROW ? length : (rule == LO_H_OF_ROWS ? p->out : length) / 10;
            h = h == 0 ? 1 : h > length ? length : h;
            double sum = 0;
            bool *used = calloc(length, sizeof(bool));
            for (size_t n = 0; n < h; n++) {
                size_t best = length;
                for (size_t i = 0; i < length; i++) {
                    best = !used[i] && (best == length || a[at + i] > a[at + best]) ? i : best;
                }
                used[best] = true;
                sum += a[at + best];
            }
            free(used);
            unit[units++] = (slow_unit){at, length, sum / (double)h, false};
        }
    }
    return units;
}

static void check_del_mask(const char *layers, double share)
{
    unlearn_data *u = unlearn_open(layers, NULL);
    const size_t size = lo_pupil_size(u->pupil), most = (size_t)(share * (double)size);
    double *a = sums_of(u);
    float *w = vector_of(u);
    for (size_t i = 0; i < size; i++) {
        a[i] = fabs(a[i] * (double)w[i]);
    }
    for (int rule = LO_H_OF_ROWS; rule <= LO_H_ROW; rule++) {
        slow_unit unit[256];
        const size_t units = slow_units(u, a, (lo_h_rule)rule, unit);
        lo_locate locate = {.channels = true,
                            .h = (lo_h_rule)rule,
                            .share = share,
                            .members = lo_members_forget(&u->request)};
        uint8_t *chosen = located(u, &locate, 9);
        locate.cut_last = true;
        uint8_t *cut = located(u, &locate, 100), *expected = calloc(size, 1);
        size_t taken = 0;
        for (;;) {
            size_t best = units;
            for (size_t i = 0; i < units; i++) {
                best = !unit[i].taken && (best == units || unit[i].score > unit[best].score) ? i : best;
            }
            if (taken + unit[best].count > most) {
                break;
            }
            unit[best].taken = true;
            memset(expected + unit[best].start, 1, unit[best].count);
            taken += unit[best].count;
        }
        assert_memory_equal(chosen, expected, size);
        assert_int_equal(count_chosen(u, cut), most);
        for (size_t i = 0; i < size; i++) {
            assert_true(cut[i] >= chosen[i]);
        }
        free(chosen);
        free(cut);
        free(expected);
    }
    free(a);
    free(w);
    unlearn_close(u);
}

/* DEL's: whole channels by |w sum g|, in the order of their scores, while they fit. In layers of 31 and 23
 * rows the default's h is 3 and 2, in those of less than 20 it is 1. */
static void test_del_mask(void **state)
{
    (void)state;
    static const double share[] = {0.3, 0.5, 0.7};
    for (int i = 0; i < 3; i++) {
        check_del_mask(NULL, share[i]);
        check_del_mask("[{conv: 6}, batch_norm, relu, {max_pool: 2}, {conv: 31, stride: 2}, relu, flatten, "
                       "{linear: 23}, relu, {linear: 4}]",
                       share[i]);
    }
}

/* The controls that look at no example. */
static void test_blind_masks(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil);
    lo_locate locate = {.criterion = LO_BY_DEPTH, .channels = true, .share = 0.2};
    uint8_t *first = located(u, &locate, 0);
    locate.criterion = LO_BY_HEIGHT;
    uint8_t *last = located(u, &locate, 0);
    locate.criterion = LO_BY_CHANCE;
    uint8_t *any = located(u, &locate, 0), *again = located(u, &locate, 50);
    assert_true(first[0] == 1 && first[size - 1] == 0 && last[size - 1] == 1 && last[0] == 0);
    for (size_t i = 1; i < size; i++) {
        assert_true(first[i] <= first[i - 1] && last[i] >= last[i - 1]);
    }
    assert_memory_equal(any, again, size);
    assert_memory_not_equal(any, first, size);
    assert_true(count_chosen(u, any) > size / 10 && count_chosen(u, any) <= size / 5);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 0);
    free(first);
    free(last);
    free(any);
    free(again);
    unlearn_close(u);
}

/* Greedy localization: the channels that it names are enough to lose the example, and the network is as it
 * was. */
static void test_greedy(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_measure measure;
    const size_t size = lo_pupil_size(u->pupil);
    float *before = vector_of(u), *without = vector_of(u);
    const lo_members one = {.rows = u->request.forget + 2, .count = 1};
    const lo_locate locate = {.criterion = LO_BY_FLIPPING, .share = 1, .members = one, .flips = 1000};
    uint8_t *chosen = located(u, &locate, 0);
    float *after = vector_of(u);
    assert_memory_equal(before, after, size * sizeof(float));
    unlearn_check(lo_pupil_measure(u->pupil, &one, false, 0, 0, &measure, &err), &err);
    assert_int_equal(measure.correct, 1);
    assert_true(count_chosen(u, chosen) > 0 && count_chosen(u, chosen) < size / 2);
    for (size_t i = 0; i < size; i++) {
        without[i] = chosen[i] != 0 ? 0 : before[i];
    }
    lo_pupil_set_weights(u->pupil, without);
    unlearn_check(lo_pupil_measure(u->pupil, &one, false, 0, 0, &measure, &err), &err);
    assert_int_equal(measure.correct, 0);
    free(before);
    free(without);
    free(after);
    free(chosen);
    unlearn_close(u);
}

/* What can go: channels of the convolutions, and each weight of the linear layer, which is the head. */
static size_t slow_flip_units(unlearn_data *u, const double *zero, slow_unit *unit)
{
    slow_unit row[64];
    const size_t rows = slow_units(u, zero, LO_H_ROW, row), head = lo_pupil_head(u->pupil);
    size_t units = 0;
    for (size_t k = 0; k < rows; k++) {
        const size_t length = row[k].start < head ? row[k].count : 1;
        for (size_t i = 0; row[k].count > 1 && i < row[k].count; i += length) {
            unit[units] = (slow_unit){.start = row[k].start + i, .count = length};
            units++;
        }
    }
    return units;
}

/* Directly: the mean over the batch of an example and all that is retained, the example's loss times minus
 * the size of the batch; the channel or weight of the largest sum of w g goes, until the example is lost or
 * `most` have gone. Counts at each weight the examples for which it did; returns how many channels went. */
static size_t slow_flips(unlearn_data *u, uint32_t example, size_t most, int *count)
{
    const size_t size = lo_pupil_size(u->pupil);
    lo_error err = {""};
    const lo_members one = {.rows = &example, .count = 1}, others = lo_members_retain(&u->request);
    float *original = vector_of(u), *w = vector_of(u);
    double *of_one = calloc(size, sizeof(double)), *of_others = calloc(size, sizeof(double));
    double *zero = calloc(size, sizeof(double));
    slow_unit unit[256];
    size_t gone = 0;
    const size_t units = slow_flip_units(u, zero, unit);
    for (lo_measure now; gone < most; gone++) {
        unlearn_check(lo_pupil_measure(u->pupil, &one, false, 0, 0, &now, &err), &err);
        if (now.correct == 0) {
            break;
        }
        unlearn_check(lo_pupil_gradients(u->pupil, &one, false, of_one, &err), &err);
        unlearn_check(lo_pupil_gradients(u->pupil, &others, false, of_others, &err), &err);
        slow_unit *next = NULL;
        for (size_t k = 0; k < units; k++) {
            unit[k].score = 0;
            for (size_t i = unit[k].start; i < unit[k].start + unit[k].count; i++) {
                unit[k].score += (double)w[i] * (of_others[i] / (double)(others.count + 1) - of_one[i]);
            }
            if (!unit[k].taken && (next == NULL || unit[k].score > next->score)) {
                next = &unit[k];
            }
        }
        assert_non_null(next);
        next->taken = true;
        for (size_t i = next->start; i < next->start + next->count; i++) {
            w[i] = 0;
            count[i]++;
        }
        lo_pupil_set_weights(u->pupil, w);
    }
    lo_pupil_set_weights(u->pupil, original);
    free(original);
    free(w);
    free(of_one);
    free(of_others);
    free(zero);
    return gone;
}

/* Which channels go, and in which order, of single examples; of several, those that go for any. */
static void test_greedy_order(void **state)
{
    (void)state;
    enum { EXAMPLES = 6 };
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    const size_t size = lo_pupil_size(u->pupil);
    int *any = calloc(size, sizeof(int)), *here = calloc(size, sizeof(int));
    size_t longest = 0;
    for (int e = 0; e < EXAMPLES; e++) {
        const lo_members one = {.rows = u->request.forget + e, .count = 1};
        for (size_t most = 1;; most++) {
            memset(here, 0, size * sizeof(int));
            unlearn_check(lo_pupil_begin(u->pupil, &u->request, 200, NULL, &err), &err);
            const size_t gone = slow_flips(u, one.rows[0], most, here);
            const lo_locate locate = {
                .criterion = LO_BY_FLIPPING, .share = 1, .members = one, .flips = (int64_t)most};
            uint8_t *chosen = located(u, &locate, 200);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(chosen[i], here[i]);
            }
            free(chosen);
            longest = gone > longest ? gone : longest;
            if (gone < most) {
                break;
            }
        }
        for (size_t i = 0; i < size; i++) {
            any[i] += here[i];
        }
    }
    assert_true(longest >= 3);
    const lo_locate all = {.criterion = LO_BY_FLIPPING,
                           .share = 1,
                           .members = {.rows = u->request.forget, .count = EXAMPLES},
                           .flips = 1000};
    uint8_t *chosen = located(u, &all, 200);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(chosen[i], any[i] > 0);
    }
    free(chosen);
    free(any);
    free(here);
    unlearn_close(u);
}

/* Of a linear layer the single weight with the largest w g goes first, not a row of them. */
static void test_greedy_linear(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open("[flatten, {linear: 4}]", NULL);
    lo_error err = {""};
    lo_feed *feed = NULL;
    lo_batch others;
    const size_t size = lo_pupil_size(u->pupil), weights = size - 4; /* without the biases */
    double *own = calloc(size, sizeof(*own)), *theirs = calloc(size, sizeof(*theirs));
    float *w = vector_of(u);
    assert_non_null(own);
    assert_non_null(theirs);
    lo_members one = {.rows = u->request.forget, .count = 1};
    for (lo_measure m = {0}; m.correct == 0; one.rows += m.correct == 0 ? 1 : 0) {
        unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
        unlearn_check(lo_pupil_measure(u->pupil, &one, false, 0, 0, &m, &err), &err);
    }
    const lo_locate locate = {.criterion = LO_BY_FLIPPING, .share = 1, .members = one, .flips = 1};
    uint8_t *chosen = located(u, &locate, 0);
    /* The gradient of the mean of both, the example's with the weight minus their number, from exact sums. */
    const lo_feed_spec spec = {.rows = u->request.retain,
                               .count = u->request.retain_count,
                               .batch = (int64_t)lo_pupil_network(u->pupil)->capacity - 1,
                               .key = lo_pupil_key(u->pupil, LO_USE_CHOICE)};
    unlearn_check(lo_feed_open(u->pupil, &spec, &feed, &err), &err);
    lo_feed_cycle(feed, &others);
    const lo_members rest = {.rows = others.row, .count = (int64_t)others.count};
    unlearn_check(lo_pupil_gradients(u->pupil, &one, false, own, &err), &err);
    unlearn_check(lo_pupil_gradients(u->pupil, &rest, false, theirs, &err), &err);
    size_t first = 0;
    double largest = -(double)INFINITY;
    for (size_t i = 0; i < weights; i++) {
        const double g = theirs[i] / (double)(others.count + 1) - own[i];
        first = (double)w[i] * g > largest ? i : first;
        largest = fmax(largest, (double)w[i] * g);
    }
    assert_int_equal(count_chosen(u, chosen), 1);
    assert_int_equal(chosen[first], 1);
    lo_feed_close(&feed);
    free(own);
    free(theirs);
    free(w);
    free(chosen);
    unlearn_close(u);
}

/* ---- frozen weights ---- */

/* Weight decay and momentum would move them. */
static void test_frozen(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil), head = lo_pupil_head(u->pupil);
    float *before = vector_of(u);
    static const char *const text[] = {
        "{name: del, epochs: 2, weight_decay: 0.1}",
        "{name: del, epochs: 2, weight_decay: 0.1, optimizer: adamw, criterion: random}",
        "{name: del, epochs: 1, criterion: salun, clip_norm: 0.5}",
        "{name: salun, epochs: 2, weight_decay: 0.1}"};
    for (int m = 0; m < 4; m++) {
        const bool del = m < 3;
        const lo_locate locate = {.criterion = m == 0   ? LO_BY_WEIGHTED_GRADIENT
                                               : m == 1 ? LO_BY_CHANCE
                                                        : LO_BY_GRADIENT,
                                  .channels = m < 2,
                                  .share = del ? 0.3 : 0.5,
                                  .members = lo_members_forget(&u->request)};
        unlearn_reload(u);
        uint8_t *chosen = located(u, &locate, 0);
        unlearn_run(u, text[m]);
        float *after = vector_of(u);
        size_t moved = 0;
        for (size_t i = 0; i < size; i++) {
            const bool trained = chosen[i] != 0 || (del && i >= head);
            if (!trained && memcmp(&before[i], &after[i], sizeof(float)) != 0) {
                fail_msg("%s: element %zu of %zu was frozen and moved", text[m], i, size);
            }
            moved += trained && before[i] != after[i] ? 1 : 0;
        }
        assert_true(moved > size / 5);
        /* Statistics of batch normalization follow the batches everywhere. */
        const lo_network *network = lo_pupil_network(u->pupil);
        assert_memory_not_equal(network->statistics, lo_pupil_original(u->pupil) + network->weight_size,
                                network->statistic_size * sizeof(float));
        free(chosen);
        free(after);
    }
    /* The legacy mask is one of gradients alone: weight decay moves the rest. */
    unlearn_run(u, "{name: salun, epochs: 2, weight_decay: 0.1, strict_mask: false, share: 0.1}");
    float *after = vector_of(u);
    size_t moved = 0;
    for (size_t i = 0; i < size; i++) {
        moved += before[i] != after[i] ? 1 : 0;
    }
    assert_true(moved > size * 9 / 10);
    free(after);
    free(before);
    unlearn_close(u);
}

/* With lr 0 DEL is the reset: chosen weights are fresh, of another seed than the original's. */
static void test_reset(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil);
    const lo_locate locate = {.channels = true, .share = 0.3, .members = lo_members_forget(&u->request)};
    uint8_t *chosen = located(u, &locate, 0);
    float *before = vector_of(u);
    unlearn_run(u, "{name: del, epochs: 1, lr: 0}");
    float *after = vector_of(u);
    assert_int_equal(lo_pupil_renew(u->pupil, lo_pupil_key(u->pupil, LO_USE_WEIGHTS)), LO_OK);
    float *fresh = vector_of(u);
    for (size_t i = 0; i < size; i++) {
        assert_true(after[i] == (chosen[i] != 0 ? fresh[i] : before[i]));
    }
    assert_int_equal(lo_network_initialize(lo_pupil_network(u->pupil), u->recipe.seed, 1, NULL), LO_OK);
    float *first = vector_of(u);
    assert_memory_not_equal(first, fresh, size * sizeof(float));
    free(chosen);
    free(before);
    free(after);
    free(fresh);
    free(first);
    unlearn_close(u);
}

/* ---- IMU ---- */

static void test_imu_closed_form(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    const size_t size = lo_pupil_size(u->pupil);
    const lo_members forget = lo_members_forget(&u->request);
    double direct[UNLEARN_TRAIN], closed[UNLEARN_TRAIN], norm = 0, differs = 0, sum = 0;
    uint8_t *head = calloc(size, 1);
    memset(head + lo_pupil_head(u->pupil), 1, size - lo_pupil_head(u->pupil));
    lo_pupil_permit(u->pupil, LO_READS_FORGET);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    assert_true(lo_imu_has_closed_form(u->pupil));
    unlearn_check(lo_imu_head_influence(u->pupil, &forget, 0.01, closed, &err), &err);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), forget.count); /* one pass */
    unlearn_check(lo_pupil_train_only(u->pupil, head, &err), &err);
    unlearn_check(lo_imu_influence(u->pupil, &forget, 0.01, direct, &err), &err);
    for (int64_t i = 0; i < forget.count; i++) {
        norm += direct[i] * direct[i];
        differs += pow(direct[i] - closed[i], 2);
        sum += closed[i];
    }
    assert_true(norm > 0 && sqrt(differs) < 1e-5 * sqrt(norm));
    assert_true(sum < 0);
    free(head);
    unlearn_close(u);
}

/* It never reads the retain set, and needs none; the head alone is trained. */
static void test_imu_runs(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil), head = lo_pupil_head(u->pupil);
    lo_request alone = u->request;
    float *before = vector_of(u);
    static const char *const text[] = {"{name: imu, epochs: 2, l1: 0.001}",
                                       "{name: imu, epochs: 2, refresh: epoch, l1: 0, batch: 5}",
                                       "{name: imu, epochs: 1, refresh: batch, top: 0.5}",
                                       "{name: imu, epochs: 1, weights: all, l1: 0.0001}"};
    alone.retain_count = 0;
    for (int i = 0; i < 4; i++) {
        unlearn_reload(u);
        unlearn_run_on(u, &alone, text[i]);
        float *after = vector_of(u);
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 0);
        assert_false(lo_pupil_diverged(u->pupil));
        assert_memory_not_equal(before + head, after + head, (size - head) * sizeof(float));
        if (i < 3) {
            assert_memory_equal(before, after, head * sizeof(float));
        } else {
            assert_memory_not_equal(before, after, head * sizeof(float));
        }
        free(after);
    }
    free(before);
    unlearn_close(u);
}

/* Where all is learnt by heart no gradient is left, and no influence negative: weights are alike. */
static void test_imu_fallback(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil);
    float *values = vector_of(u);
    lo_error err = {""};
    lo_measure measure;
    const lo_members forget = lo_members_forget(&u->request);
    for (size_t i = lo_pupil_head(u->pupil); i < size; i++) {
        values[i] *= 1e5F;
    }
    lo_pupil_set_weights(u->pupil, values);
    unlearn_run_on(u, &u->request, "{name: imu, epochs: 1, lr: 1.0e-6, l1: 0}");
    assert_false(lo_pupil_diverged(u->pupil));
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 3 * forget.count);
    free(values);
    unlearn_close(u);
}

/* ---- nabla-tau ---- */

/* Passes as published; more to forget than to retain goes too. */
static void test_nabla_tau_passes(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const int64_t f = u->request.forget_count, r = u->request.retain_count;
    unlearn_run(u, "{name: nabla_tau, batch: 8}");
    const int64_t epochs = 6 * ((r + 7) / 8) / (2 * ((f + 7) / 8));
    assert_true(epochs > 5);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), epochs * f);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), (epochs + 4) / 5 * UNLEARN_VALIDATION);
    assert_true(llabs(lo_pupil_shown(u->pupil, LO_SET_RETAIN) - epochs * ((f + 7) / 8) * 8) < 8 * 3);
    /* In evaluation mode statistics stay. */
    const lo_network *network = lo_pupil_network(u->pupil);
    assert_memory_equal(network->statistics, lo_pupil_original(u->pupil) + network->weight_size,
                        network->statistic_size * sizeof(float));

    lo_request turned = u->request;
    lo_item *item = NULL;
    lo_error err = {""};
    turned.forget = u->request.retain;
    turned.forget_count = r;
    turned.retain = u->request.forget;
    turned.retain_count = f;
    unlearn_reload(u);
    const lo_unlearn_method *method = unlearn_method(u, "{name: nabla_tau, batch: 8, mode: train}", &item);
    unlearn_check(method->run(u->pupil, &turned, item, NULL, &err), &err);
    /* Counted by the sets of `turned`: 15 batches of one, of the other 5 times its 3. */
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), r);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 5 * f);
    assert_false(lo_pupil_diverged(u->pupil));
    unlearn_close(u);
}

/* A closed gate: steps on batches of the retain set alone, directly. */
static float *retained_alone(unlearn_data *u, int steps, double share, double lr)
{
    lo_error err = {""};
    lo_feed *feed = NULL;
    lo_batch batch;
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_ADAMW, .lr = lr, .weight_decay = 0.01};
    const lo_feed_spec spec = {.rows = u->request.retain, .count = u->request.retain_count};
    lo_feed_spec keyed = spec;
    unlearn_reload(u);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
    lo_pupil_set_training(u->pupil, false);
    keyed.key = lo_pupil_key(u->pupil, LO_USE_RETAIN);
    unlearn_check(lo_feed_open(u->pupil, &keyed, &feed, &err), &err);
    for (int i = 0; i < steps; i++) {
        lo_feed_cycle(feed, &batch);
        unlearn_check(lo_pupil_learn(u->pupil, &batch, lo_loss_mean, &share, &err), &err);
        assert_int_equal(lo_pupil_step(u->pupil, lr), LO_OK);
    }
    lo_feed_close(&feed);
    return unlearn_weights(u);
}

/* The gate: with the loss above tau the forget set has no say; one that is open raises its loss, and not far
 * beyond tau. */
static void test_nabla_tau_gate(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_measure measure;
    const lo_members forget = lo_members_forget(&u->request);
    const int batches = (int)(u->request.forget_count + 15) / 16;
    unlearn_run(u, "{name: nabla_tau, tau: 1.0e-9, epochs: 3, alpha: 0.5, alpha_decay: none, end: 1}");
    float *closed = unlearn_weights(u), *direct = retained_alone(u, 3 * batches, 0.5, 1e-3);
    assert_memory_equal(closed, direct, unlearn_weights_size(u));
    free(closed);
    free(direct);
    unlearn_run(u, "{name: nabla_tau, tau: 1.5, batch: 64, optimizer: sgd, momentum: 0, lr: 0.02, epochs: "
                   "200, alpha: 0.9, "
                   "alpha_decay: none, end: 1}");
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    if (!(measure.loss > 1 && measure.loss < 1.8)) {
        fail_msg("a loss of %g where tau is 1.5", measure.loss);
    }
    unlearn_close(u);
}

/* 0 can be asked for: alpha 0 leaves the forget set out, tau 0 closes the gate, and neither is auto. */
static void test_nabla_tau_zero(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_item *item = NULL;
    lo_error err = {""};
    const int batches = (int)(u->request.forget_count + 15) / 16;
    unlearn_run(u, "{name: nabla_tau, epochs: 3, alpha: 0, end: 1}");
    float *weightless = unlearn_weights(u), *direct = retained_alone(u, 3 * batches, 1, 1e-3);
    assert_memory_equal(weightless, direct, unlearn_weights_size(u));
    free(direct);
    unlearn_run(u, "{name: nabla_tau, epochs: 3, tau: 0, alpha: 0.5, alpha_decay: none, end: 1}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), 0);
    float *closed = unlearn_weights(u);
    direct = retained_alone(u, 3 * batches, 0.5, 1e-3);
    assert_memory_equal(closed, direct, unlearn_weights_size(u));
    static const char *const bad[] = {"{name: nabla_tau, alpha: 1.5}", "{name: nabla_tau, alpha: -1}",
                                      "{name: nabla_tau, tau: much}", "{name: nabla_tau, tau: nan}"};
    for (int i = 0; i < 4; i++) {
        const lo_unlearn_method *method = unlearn_method(u, bad[i], &item);
        assert_int_equal(lo_request_check(&u->request, method, item, &err), LO_USAGE);
        assert_non_null(strstr(err.text, "allowed: auto, or a number from 0 to"));
    }
    free(weightless);
    free(closed);
    free(direct);
    unlearn_close(u);
}

static void test_nabla_tau_needs_validation(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_item *item = NULL;
    char why[256];
    u->data->dataset.validation.count = 0;
    const lo_unlearn_method *method = unlearn_method(u, "nabla_tau", &item);
    const char *reason = method->inapplicable(&u->request, u->pupil, item, why, sizeof(why));
    assert_non_null(reason);
    assert_non_null(strstr(reason, "data.validation"));
    method = unlearn_method(u, "{name: nabla_tau, tau: 0.4}", &item);
    assert_null(method->inapplicable(&u->request, u->pupil, item, why, sizeof(why)));
    unlearn_close(u);
}

/* The request becomes class 2, in forget and retain [UNLEARN_TRAIN]. Returns how many validation examples are
 * of others.
 */
static int64_t forget_class_2(const unlearn_data *u, uint32_t *forget, uint32_t *retain, lo_request *request)
{
    const int32_t *label = u->data->dataset.train.label, *unseen = u->data->dataset.validation.label;
    int64_t others = 0;
    request->forget = forget;
    request->retain = retain;
    request->forget_count = request->retain_count = 0;
    request->whole_class = true;
    for (uint32_t i = 0; i < UNLEARN_TRAIN; i++) {
        if (label[i] == 2) {
            forget[request->forget_count++] = i;
        } else {
            retain[request->retain_count++] = i;
        }
    }
    for (int i = 0; i < UNLEARN_VALIDATION; i++) {
        others += unseen[i] != 2;
    }
    assert_true(others > 0 && others < UNLEARN_VALIDATION);
    return others;
}

/* Of a whole class: tau is that of the other classes' validation examples, and at least that of a guess. */
static void test_nabla_tau_class(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    lo_measure measure;
    uint32_t forget[UNLEARN_TRAIN], retain[UNLEARN_TRAIN];
    lo_request request = u->request;
    const int64_t others = forget_class_2(u, forget, retain, &request);
    unlearn_reload(u);
    unlearn_run_on(u, &request, "{name: nabla_tau, epochs: 12, lr: 3.0e-3, alpha: 0.5}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), 3 * others);
    const lo_members gone = lo_members_forget(&request), kept = lo_members_retain(&request);
    unlearn_check(lo_pupil_measure(u->pupil, &gone, false, 0, 0, &measure, &err), &err);
    assert_true(measure.correct < request.forget_count / 2);
    unlearn_check(lo_pupil_measure(u->pupil, &kept, false, 0, 0, &measure, &err), &err);
    assert_true(measure.correct > request.retain_count * 9 / 10);
    unlearn_close(u);
}

/* The second request of a sequence, class 2 having been forgotten before: its validation examples, which the
 * model is meant to be bad at, have no say in tau. */
static void test_nabla_tau_sequence(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    uint32_t forget[UNLEARN_TRAIN], retain[UNLEARN_TRAIN];
    const int32_t *label = u->data->dataset.train.label, *unseen = u->data->dataset.validation.label;
    lo_request request = u->request;
    lo_item *item = NULL;
    char why[256];
    int64_t others = 0;
    request.forget = forget;
    request.retain = retain;
    request.forget_count = request.retain_count = 0;
    for (uint32_t i = 0; i < UNLEARN_TRAIN; i++) {
        if (label[i] != 2 && i % 7 == 3) {
            forget[request.forget_count++] = i;
        } else if (label[i] != 2) {
            retain[request.retain_count++] = i;
        }
    }
    for (int i = 0; i < UNLEARN_VALIDATION; i++) {
        others += unseen[i] != 2;
    }
    assert_true(others > 0 && others < UNLEARN_VALIDATION);
    unlearn_reload(u);
    unlearn_run_on(u, &request, "{name: nabla_tau, epochs: 12}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), 3 * others);
    /* With none of the other classes there is nothing to measure. */
    int32_t gone[UNLEARN_VALIDATION];
    for (int i = 0; i < UNLEARN_VALIDATION; i++) {
        gone[i] = 2;
    }
    u->data->dataset.validation.label = gone;
    const lo_unlearn_method *method = unlearn_method(u, "nabla_tau", &item);
    assert_non_null(method->inapplicable(&request, u->pupil, item, why, sizeof(why)));
    u->data->dataset.validation.label = unseen;
    unlearn_close(u);
}

/* ---- RUM ---- */

static void test_groups(void **state)
{
    (void)state;
    const double score[] = {0.5, 0.1, 0.9, 0.5, 0.2, 0.8, 0.5, 0.55};
    const uint32_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int rank[] = {1, 0, 2, 1, 0, 2, 2, 2}, median[] = {1, 0, 2, 1, 0, 2, 2, 2};
    int group[8];
    lo_error err = {""};
    unlearn_check(lo_group_scores(score, all, 8, 3, false, 0.5, group, &err), &err);
    assert_memory_equal(group, rank, sizeof(rank));
    unlearn_check(lo_group_scores(score, all, 8, 3, true, 0.5, group, &err), &err);
    assert_memory_equal(group, median, sizeof(median));
    /* By matched rank: the middle two around 3/4 of the order, and no further than the ends. */
    const int later[] = {0, 0, 2, 0, 0, 2, 1, 1}, last[] = {0, 0, 1, 0, 0, 1, 0, 0};
    unlearn_check(lo_group_scores(score, all, 8, 3, false, 1, group, &err), &err);
    assert_memory_equal(group, last, sizeof(last));
    const int first[] = {2, 1, 2, 2, 1, 2, 2, 2};
    unlearn_check(lo_group_scores(score, all, 8, 3, false, 0.1, group, &err), &err);
    assert_memory_equal(group, first, sizeof(first));
    unlearn_check(lo_group_scores(score, all, 8, 3, false, 0.75, group, &err), &err);
    assert_memory_equal(group, later, sizeof(later));
    /* Skewed: by rank the middle is in the middle, by the median it is what is near it. */
    const double skewed[] = {0, 0.40, 0.41, 0.42, 0.43, 1};
    const int near[] = {0, 0, 1, 1, 2, 2};
    unlearn_check(lo_group_scores(skewed, all, 6, 3, true, 0.5, group, &err), &err);
    assert_memory_equal(group, near, sizeof(near));
}

/* One group and one method: that method, bit for bit, and the same account. */
static void test_rum_of_one(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    static const char *const inner[] = {"{name: neggrad_plus, epochs: 2}", "{name: del, epochs: 2}",
                                        "{name: salun, epochs: 1}", "{name: nabla_tau, epochs: 3}",
                                        "{name: imu, epochs: 2}"};
    for (int i = 0; i < 5; i++) {
        char text[256];
        unlearn_run(u, inner[i]);
        float *alone = unlearn_weights(u);
        const int64_t forget = lo_pupil_shown(u->pupil, LO_SET_FORGET),
                      retain = lo_pupil_shown(u->pupil, LO_SET_RETAIN);
        (void)snprintf(text, sizeof(text), "{name: rum, groups: 1, inner: [%s]}", inner[i]);
        unlearn_run(u, text);
        float *within = unlearn_weights(u);
        assert_memory_equal(alone, within, unlearn_weights_size(u));
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), forget);
        assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), retain);
        (void)snprintf(text, sizeof(text), "{name: rum, control: vanilla, inner: [none, finetune, %s]}",
                       inner[i]);
        unlearn_run(u, text);
        float *vanilla = unlearn_weights(u);
        assert_memory_equal(alone, vanilla, unlearn_weights_size(u));
        free(alone);
        free(within);
        free(vanilla);
    }
    unlearn_close(u);
}

/* Groups still to come are retained, those done are read no more. */
static void test_rum_reads(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const int64_t f = u->request.forget_count, r = u->request.retain_count, third = f / 3;
    unlearn_run(u, "{name: rum, inner: [{name: finetune, epochs: 1}]}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), (f - third) + (f - 2 * third));
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 3 * r);
    float *upward = unlearn_weights(u);
    unlearn_run(u, "{name: rum, inner: [{name: finetune, epochs: 1}], control: reversed}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 2 * third + third);
    float *downward = unlearn_weights(u);
    unlearn_run(u, "{name: rum, inner: [{name: finetune, epochs: 1}], control: shuffled}");
    float *shuffled = unlearn_weights(u);
    assert_memory_not_equal(upward, downward, unlearn_weights_size(u));
    assert_memory_not_equal(upward, shuffled, unlearn_weights_size(u));
    unlearn_run(u, "{name: rum, inner: [none, none, none]}");
    float *nothing = unlearn_weights(u);
    assert_memory_equal(nothing, lo_pupil_original(u->pupil), unlearn_weights_size(u));
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET) + lo_pupil_shown(u->pupil, LO_SET_RETAIN), 0);
    unlearn_run(u, "{name: rum, inner: [none, {name: neggrad, lr: 1.0e-3}, {name: salun, epochs: 1}]}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 5 * third + 2 * (f - 2 * third));
    free(upward);
    free(downward);
    free(shuffled);
    free(nothing);
    unlearn_close(u);
}

/* Part of a class in a group, the rest in groups to come: no whole class, so tau is measured on that class
 * too; the last group leaves none of it. */
static void test_rum_whole_class(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    uint32_t forget[UNLEARN_TRAIN], retain[UNLEARN_TRAIN];
    const int32_t *label = u->data->dataset.train.label;
    lo_request request = u->request;
    lo_item *item = NULL;
    char why[256];
    const int64_t others = forget_class_2(u, forget, retain, &request);
    unlearn_reload(u);
    unlearn_run_on(u, &request, "{name: rum, inner: [{name: nabla_tau, epochs: 1}]}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_VALIDATION), 2 * UNLEARN_VALIDATION + others);
    /* The first group alone is what nabla_tau makes of it as a request that is no whole class. */
    int group[UNLEARN_TRAIN];
    uint32_t first[UNLEARN_TRAIN], rest[UNLEARN_TRAIN];
    lo_error err = {""};
    lo_request part = request;
    unlearn_check(lo_group_scores(u->score, forget, request.forget_count, 3, false, 0.5, group, &err), &err);
    part.forget = first;
    part.retain = rest;
    part.forget_count = part.retain_count = 0;
    part.whole_class = false;
    for (uint32_t i = 0, f = 0; i < UNLEARN_TRAIN; i++) {
        if (label[i] == 2 && group[f++] == 0) {
            first[part.forget_count++] = i;
        } else {
            rest[part.retain_count++] = i;
        }
    }
    static const char *const inner = "{name: nabla_tau, epochs: 3, alpha: 0.5}";
    char text[128];
    (void)snprintf(text, sizeof(text), "{name: rum, inner: [%s, none, none]}", inner);
    unlearn_reload(u);
    unlearn_run_on(u, &request, text);
    float *grouped = unlearn_weights(u);
    unlearn_reload(u);
    unlearn_run_on(u, &part, inner);
    float *alone = unlearn_weights(u);
    assert_memory_equal(grouped, alone, unlearn_weights_size(u));
    free(grouped);
    free(alone);
    /* Without validation examples whole classes can be forgotten, parts of them not. */
    u->data->dataset.validation.count = 0;
    const lo_unlearn_method *method = unlearn_method(u, "{name: rum, inner: [nabla_tau]}", &item);
    assert_non_null(method->inapplicable(&request, u->pupil, item, why, sizeof(why)));
    method = unlearn_method(u, "{name: rum, inner: [nabla_tau], control: vanilla}", &item);
    assert_null(method->inapplicable(&request, u->pupil, item, why, sizeof(why)));
    unlearn_close(u);
}

/* Methods by default have the settings of RUM's authors, not their own. */
static void test_rum_defaults(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    unlearn_run(u, "rum");
    float *defaults = unlearn_weights(u);
    unlearn_run(u, "{name: rum, inner: [none, {name: finetune, epochs: 10, lr: 0.1}, {name: salun, epochs: "
                   "5, lr: 0.1}]}");
    float *written = unlearn_weights(u);
    assert_memory_equal(defaults, written, unlearn_weights_size(u));
    free(defaults);
    free(written);
    unlearn_close(u);
}

static void test_rum_refuses(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_request bad = u->request;
    bad.score = NULL;
    unlearn_refused(u, &bad, "rum", "needs a score");
    unlearn_refused(u, &u->request, "{name: rum, inner: [none, finetune]}", "2 methods for 3 groups");
    unlearn_refused(u, &u->request, "{name: rum, inner: [none, none, retrain]}", "retrain");
    unlearn_refused(u, &u->request, "{name: rum, inner: [none, none, rum]}", "does not go on");
    unlearn_refused(u, &u->request, "{name: rum, inner: [none, none, fine]}", "fine");
    unlearn_refused(u, &u->request, "{name: rum, inner: [none, none, {name: finetune, apochs: 3}]}",
                    "epochs");
    unlearn_refused(u, &u->request, "{name: rum, groups: 2, inner: finetune, split: median}", "3 groups");
    unlearn_refused(u, &u->request, "{name: rum, at: 0.9, split: median}", "split: rank and 3 groups");
    bad = u->request;
    bad.forget_count = 2;
    unlearn_refused(u, &bad, "rum", "has 2 examples");
    u->score[u->request.forget[1]] = (double)NAN;
    unlearn_refused(u, &u->request, "rum", "has no score");
    unlearn_close(u);
}

/* ---- labels ---- */

static void test_relabel(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const int64_t f = u->request.forget_count, r = u->request.retain_count;
    unlearn_run(u, "{name: random_label, epochs: 2}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 2 * f);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 2 * r);
    float *separate = unlearn_weights(u);
    unlearn_run(u, "{name: random_label, epochs: 2, passes: mixed}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 2 * f);
    float *mixed = unlearn_weights(u);
    assert_memory_not_equal(separate, mixed, unlearn_weights_size(u));
    unlearn_run(u, "{name: random_label, epochs: 50, retain: false, lr: 0.05, stop_accuracy: 0.3}");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), 0);
    assert_true(lo_pupil_shown(u->pupil, LO_SET_FORGET) < 50 * f);
    /* Amnesiac: wrong labels, drawn once: they are learnt, and the true ones lost. */
    lo_error err = {""};
    lo_measure measure;
    const lo_members forget = lo_members_forget(&u->request), retain = lo_members_retain(&u->request);
    unlearn_run(u, "{name: amnesiac, epochs: 80, lr: 3.0e-3}");
    unlearn_check(lo_pupil_measure(u->pupil, &forget, false, 0, 0, &measure, &err), &err);
    assert_int_equal(measure.correct, 0);
    unlearn_check(lo_pupil_measure(u->pupil, &retain, false, 0, 0, &measure, &err), &err);
    assert_int_equal(measure.correct, r);
    free(separate);
    free(mixed);
    unlearn_close(u);
}

/* ---- importances and teachers ---- */

static void test_ssd_micro_batches(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    const size_t size = lo_pupil_size(u->pupil);
    float *before = vector_of(u);
    unlearn_run(u, "{name: ssd, alpha: 1.5}");
    float *exact = vector_of(u);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), u->request.forget_count);
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN), u->request.retain_count);
    unlearn_run(u, "{name: ssd, alpha: 1.5, importance: batch, batch: 1}");
    float *single = vector_of(u);
    unlearn_run(u, "{name: ssd, alpha: 1.5, importance: batch, batch: 16}");
    float *batches = vector_of(u);
    double differs = 0, moved = 0, apart = 0;
    for (size_t i = 0; i < size; i++) {
        differs += pow((double)exact[i] - (double)single[i], 2);
        moved += pow((double)exact[i] - (double)before[i], 2);
        apart += pow((double)exact[i] - (double)batches[i], 2);
        assert_true(fabs((double)exact[i]) <= fabs((double)before[i]));
    }
    assert_true(moved > 0 && sqrt(differs) < 1e-5 * sqrt(moved));
    assert_true(sqrt(apart) > 1e-2 * sqrt(moved)); /* of batches it is something else */
    free(before);
    free(exact);
    free(single);
    free(batches);
    unlearn_close(u);
}

/* The default alpha: a fifth of n / n_f for importances of single examples, 10 for those of batches. */
static void test_ssd_alpha(void **state)
{
    (void)state;
    static const char *const how[] = {"", ", importance: batch, batch: 1"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    u->request.forget_count = 3;
    int32_t *label = &u->data->label[0][u->forget[0]]; /* what is forgotten must matter more than the rest */
    *label = (*label + 1) % UNLEARN_CLASSES;
    const double most = (double)(3 + u->request.retain_count) / 3;
    const double alpha[2][3] = {{0.2 * most, 0.12 * most, 0.28 * most}, {10, 6, 14}};
    for (int i = 0; i < 2; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "{name: ssd%s}", how[i]);
        unlearn_run(u, text);
        float *got = unlearn_weights(u);
        for (int k = 0; k < 3; k++) {
            (void)snprintf(text, sizeof(text), "{name: ssd%s, alpha: %.17g}", how[i], alpha[i][k]);
            unlearn_run(u, text);
            float *given = unlearn_weights(u);
            assert_int_equal(memcmp(got, given, unlearn_weights_size(u)) == 0, k == 0);
            free(given);
        }
        free(got);
    }
    unlearn_close(u);
}

/* softmax of logits [UNLEARN_CLASSES], directly. */
static void soften(const float *z, double *p)
{
    double sum = 0;
    for (int k = 0; k < UNLEARN_CLASSES; k++) {
        sum += p[k] = exp((double)z[k]);
    }
    for (int k = 0; k < UNLEARN_CLASSES; k++) {
        p[k] /= sum;
    }
}

typedef struct targets {
    double p[UNLEARN_TRAIN][UNLEARN_CLASSES]; /* by place in the batch */
} targets;

static double towards_targets(void *self, lo_batch *batch)
{
    const targets *t = self;
    memset(batch->slope, 0, batch->count * batch->step * sizeof(float));
    for (size_t n = 0; n < batch->count; n++) {
        double q[UNLEARN_CLASSES];
        soften(batch->logits + n * batch->step, q);
        for (int k = 0; k < UNLEARN_CLASSES; k++) {
            batch->slope[n * batch->step + (size_t)k] =
                (float)((q[k] - t->p[batch->row[n]][k]) / (double)batch->count);
        }
    }
    return 0;
}

/* One step towards what a fresh network says of the forget set and the original of the rest. */
static void test_bad_teacher(void **state)
{
    (void)state;
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_error err = {""};
    targets *target = calloc(1, sizeof(*target));
    float logits[UNLEARN_TRAIN * UNLEARN_CLASSES];
    uint32_t both[UNLEARN_TRAIN];
    size_t count = 0;
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 200, NULL, &err), &err);
    for (int part = 0; part < 2; part++) { /* the original is asked first */
        const lo_members members =
            part == 0 ? lo_members_retain(&u->request) : lo_members_forget(&u->request);
        if (part == 1) {
            lo_pupil_renew(u->pupil, lo_pupil_key(u->pupil, LO_USE_TEACHER));
        }
        unlearn_check(lo_pupil_outputs(u->pupil, &members, -1, logits, NULL, &err), &err);
        for (int64_t i = 0; i < members.count; i++) {
            both[count++] = members.rows[i];
            soften(logits + i * UNLEARN_CLASSES, target->p[members.rows[i]]);
        }
    }
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.9};
    unlearn_reload(u);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 200, NULL, &err), &err);
    unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
    lo_batch batch = {.row = both, .count = count};
    unlearn_check(lo_pupil_learn(u->pupil, &batch, towards_targets, target, &err), &err);
    assert_int_equal(lo_pupil_step(u->pupil, 0.1), LO_OK);
    float *expected = vector_of(u);
    unlearn_reload(u);
    float *before = vector_of(u);
    unlearn_run(u, "{name: bad_teacher, batch: 200, share: 1, optimizer: sgd, lr: 0.1}");
    float *got = vector_of(u);
    double differs = 0, moved = 0;
    for (size_t i = 0; i < lo_pupil_size(u->pupil); i++) {
        differs += pow((double)got[i] - (double)expected[i], 2);
        moved += pow((double)expected[i] - (double)before[i], 2);
    }
    assert_true(moved > 0 && sqrt(differs) < 1e-4 * sqrt(moved));
    /* Each example is seen by the pupil and both teachers; 0.3 of the retain set by default. */
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_FORGET), 3 * u->request.forget_count);
    unlearn_run(u, "bad_teacher");
    assert_int_equal(lo_pupil_shown(u->pupil, LO_SET_RETAIN),
                     3 * (int64_t)(0.3 * (double)u->request.retain_count));
    free(expected);
    free(before);
    free(got);
    free(target);
    unlearn_close(u);
}

/* Keeps of the forget set the examples of the first two classes; the others are in no set any more. */
static void forget_two_classes(unlearn_data *u)
{
    const int64_t count = u->request.forget_count;
    u->request.forget_count = 0;
    for (int64_t i = 0; i < count; i++) {
        if (u->data->dataset.train.label[u->forget[i]] < 2) {
            u->forget[u->request.forget_count++] = u->forget[i];
        }
    }
}

/* The error on the members, or on those with labels below `classes`. */
static double error_of(unlearn_data *u, const lo_members *members, int32_t classes)
{
    const lo_examples *from = members->validation ? &u->data->dataset.validation : &u->data->dataset.train;
    uint32_t rows[UNLEARN_TRAIN];
    lo_members some = {.validation = members->validation, .rows = rows};
    lo_measure measure;
    lo_error err = {""};
    for (int64_t i = 0; i < members->count; i++) {
        const uint32_t row = members->rows != NULL ? members->rows[i] : (uint32_t)i;
        if (from->label[row] < classes) {
            rows[some.count++] = row;
        }
    }
    lo_pupil_permit(u->pupil, LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION);
    unlearn_check(lo_pupil_measure(u->pupil, &some, false, 0, 0, &measure, &err), &err);
    return 1 - (double)measure.correct / (double)measure.count;
}

/* The epoch whose error is nearest to the reference, of equally near ones the last. */
static int find_nearest(const double *error, int epochs, double reference)
{
    int best = 0;
    for (int e = 1; e < epochs; e++) {
        best = fabs(error[e] - reference) <= fabs(error[best] - reference) ? e : best;
    }
    return best;
}

/* Rewinding gives the network of one of the epochs: that whose forget error is nearest to the last one's on
 * unseen examples of the same classes. It is not the last one, nor that of all unseen examples. */
static void test_scrub_rewinds(void **state)
{
    (void)state;
    enum { EPOCHS = 6 };
    static const char *const text =
        "{name: scrub, epochs: %d, max_epochs: 6, lr: 0.01, gamma: 1, batch_forget: 4, rewind: %s}";
    unlearn_data *u = unlearn_open(NULL, NULL);
    char list[256];
    float *after[EPOCHS];
    double error[EPOCHS], alike = 0, whole = 0;
    forget_two_classes(u);
    const lo_members forget = lo_members_forget(&u->request), validation = lo_members_validation(&u->request);
    for (int e = 0; e < EPOCHS; e++) {
        (void)snprintf(list, sizeof(list), text, e + 1, "false");
        unlearn_run(u, list);
        after[e] = unlearn_weights(u);
        error[e] = error_of(u, &forget, UNLEARN_CLASSES);
        alike = error_of(u, &validation, 2);
        whole = error_of(u, &validation, UNLEARN_CLASSES);
    }
    const int best = find_nearest(error, EPOCHS, alike);
    assert_true(best < EPOCHS - 1 && best != find_nearest(error, EPOCHS, whole));
    (void)snprintf(list, sizeof(list), text, EPOCHS, "true");
    unlearn_run(u, list);
    float *rewound = unlearn_weights(u);
    assert_memory_equal(rewound, after[best], unlearn_weights_size(u));
    free(rewound);
    for (int e = 0; e < EPOCHS; e++) {
        free(after[e]);
    }
    unlearn_close(u);
}

/* ---- all of them ---- */

/* Settings decide what is read: who retains nothing can run what needs nothing. */
static void test_reads(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned reads;
    } cases[] = {{"random_label", LO_READS_FORGET | LO_READS_RETAIN},
                 {"{name: random_label, retain: false}", LO_READS_FORGET},
                 {"imu", LO_READS_FORGET},
                 {"scrub", LO_READS_FORGET | LO_READS_RETAIN},
                 {"{name: scrub, rewind: true}", LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION},
                 {"nabla_tau", LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION},
                 {"{name: nabla_tau, tau: 1}", LO_READS_FORGET | LO_READS_RETAIN},
                 {"rum", LO_READS_FORGET | LO_READS_RETAIN},
                 {"{name: rum, inner: [none, neggrad, {name: imu, epochs: 1}]}", LO_READS_FORGET}};
    unlearn_data *u = unlearn_open(NULL, NULL);
    lo_request alone = u->request;
    alone.retain_count = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lo_item *item = NULL;
        const lo_unlearn_method *method = unlearn_method(u, cases[i].text, &item);
        assert_int_equal(lo_unlearn_reads(method, item), cases[i].reads);
        if (cases[i].reads == LO_READS_FORGET) {
            unlearn_reload(u);
            unlearn_run_on(u, &alone, cases[i].text);
        } else {
            unlearn_run(u, cases[i].text);
        }
    }
    unlearn_close(u);
}

static char *read_docs(void)
{
    const char *source = getenv("LEAVEOUT_SOURCE");
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/docs/methods.md", source != NULL ? source : "");
    FILE *file = source != NULL ? fopen(path, "rb") : NULL;
    char *text = calloc(1 << 20, 1);
    assert_non_null(text);
    if (file != NULL) {
        assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
        (void)fclose(file);
    }
    return text;
}

/* In the part of a method, or in what holds for all, before the first method's. */
static void check_documents(const char *section, const char *end)
{
    const char *common = strstr(section, "\n### ");
    for (int m = 0; m < lo_unlearn_method_count(); m++) {
        const lo_unlearn_method *method = lo_unlearn_method_at(m);
        char heading[96], name[96];
        (void)snprintf(heading, sizeof(heading), "\n### `%s`\n", method->name);
        const char *own = strstr(section, heading);
        assert_non_null(own);
        const char *next = strstr(own + 1, "\n### ");
        next = next != NULL && next < end ? next : end;
        for (int i = 0; i < method->setting_count; i++) {
            (void)snprintf(name, sizeof(name), "`%s", method->settings[i].name);
            const char *here = strstr(own, name), *there = strstr(section, name);
            if (!((here != NULL && here < next) || (there != NULL && there < common))) {
                fail_msg("docs/methods.md: %s: no word of %s", method->name, method->settings[i].name);
            }
        }
    }
}

/* Every setting is in the documents. */
static void test_documents(void **state)
{
    (void)state;
    char *text = read_docs();
    const char *section = strstr(text, "\n## Unlearning\n");
    const bool found = section != NULL;
    if (found) {
        const char *end = strstr(section + 1, "\n## ");
        check_documents(section, end != NULL ? end : text + strlen(text));
    }
    free(text);
    if (!found) {
        skip(); /* LEAVEOUT_SOURCE is not there */
    }
}

typedef struct patience {
    int64_t calls, most;
} patience;

static lo_status stop_later(void *self)
{
    patience *p = self;
    p->calls++;
    return p->most > 0 && p->calls >= p->most ? LO_STOPPED : LO_OK;
}

/* Bits do not depend on what the pupil did before; reading what was not declared would be an error; a tick
 * that stops is obeyed. */
static void every_method_on(const char *layers)
{
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u = unlearn_open(layers, &augment);
    lo_error err = {""};
    lo_item *item = NULL;
    for (int m = 0; m < lo_unlearn_method_count(); m++) {
        const char *name = lo_unlearn_method_at(m)->name;
        patience left = {0};
        const lo_tick tick = {stop_later, &left};
        unlearn_run(u, name);
        float *first = unlearn_weights(u);
        int64_t shown[LO_SETS];
        for (int s = 0; s < LO_SETS; s++) {
            shown[s] = lo_pupil_shown(u->pupil, (lo_set)s);
        }
        unlearn_run(u, "{name: neggrad, batch: 100, optimizer: adamw}");
        unlearn_reload(u);
        const lo_unlearn_method *method = unlearn_method(u, name, &item);
        lo_pupil_permit(u->pupil, lo_unlearn_reads(method, item));
        unlearn_check(method->run(u->pupil, &u->request, item, &tick, &err), &err);
        float *second = unlearn_weights(u);
        if (memcmp(first, second, unlearn_weights_size(u)) != 0) {
            fail_msg("%s: other bits the second time", name);
        }
        for (int s = 0; s < LO_SETS; s++) {
            assert_int_equal(lo_pupil_shown(u->pupil, (lo_set)s), shown[s]);
        }
        assert_memory_not_equal(first, lo_pupil_original(u->pupil), unlearn_weights_size(u));
        assert_false(lo_pupil_diverged(u->pupil));
        assert_true(left.calls > 30);
        left.most = left.calls / 2;
        left.calls = 0;
        unlearn_reload(u);
        assert_int_equal(method->run(u->pupil, &u->request, item, &tick, &err), LO_STOPPED);
        assert_true(left.calls == left.most);
        free(first);
        free(second);
    }
    unlearn_close(u);
}

static void test_every_method(void **state)
{
    (void)state;
    every_method_on(
        "[{residual: [{conv: 4}, batch_norm], shortcut: [{conv: 4, kernel: 1}, batch_norm], relu: true}, "
        "{max_pool: 2}, flatten, {dropout: 0.1}, {linear: 12}, relu, {linear: 4}]");
    every_method_on(
        "[{conv: 8, kernel: 2, stride: 2, padding: 0}, tokens, {residual: [layer_norm, {attention: 2}]}, "
        "layer_norm, first_token, {linear: 4}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_salun_mask),
        cmocka_unit_test(test_del_mask),
        cmocka_unit_test(test_blind_masks),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_greedy_order),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_imu_closed_form),
        cmocka_unit_test(test_imu_runs),
        cmocka_unit_test(test_imu_fallback),
        cmocka_unit_test(test_nabla_tau_passes),
        cmocka_unit_test(test_nabla_tau_gate),
        cmocka_unit_test(test_nabla_tau_needs_validation),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_rum_of_one),
        cmocka_unit_test(test_rum_reads),
        cmocka_unit_test(test_ssd_micro_batches),
        cmocka_unit_test(test_ssd_alpha),
        cmocka_unit_test(test_bad_teacher),
        cmocka_unit_test(test_scrub_rewinds),
        cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_nabla_tau_class),
        cmocka_unit_test(test_rum_refuses),
        cmocka_unit_test(test_greedy_linear),
        cmocka_unit_test(test_nabla_tau_zero),
        cmocka_unit_test(test_rum_whole_class),
        cmocka_unit_test(test_rum_defaults),
        cmocka_unit_test(test_nabla_tau_sequence),
        cmocka_unit_test(test_relabel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
