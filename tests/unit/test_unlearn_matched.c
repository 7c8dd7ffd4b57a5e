/* Other sets to forget: of the size and kind of the forget set, apart from it, by chance where chance is
 * meant, and none where there is none. */
#include "unlearn/matched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 240, CLASSES = 6 };

/* Class i % 6, fine class i % 12 of coarse class i % 6; source numbers with gaps. */
typedef struct fixture {
    int32_t label[N], fine[N];
    int64_t index[N];
    double score[N];
    lo_dataset dataset;
} fixture;

static void fill(fixture *f)
{
    for (int i = 0; i < N; i++) {
        f->label[i] = i % CLASSES;
        f->fine[i] = i % (2 * CLASSES);
        f->index[i] = 3 * i + 5;
        f->score[i] = (double)((i * 77) % N); /* a permutation */
    }
    f->dataset = (lo_dataset){.classes = CLASSES,
                              .fine_classes = 2 * CLASSES,
                              .coarse_classes = CLASSES,
                              .train = {.count = N,
                                        .label = f->label,
                                        .label_true = f->label,
                                        .index = f->index,
                                        .label_fine = f->fine,
                                        .label_coarse = f->label}};
}

static lo_forget_set select_it(const fixture *f, const lo_forget_spec *spec)
{
    lo_forget_set set;
    lo_error err = {""};
    if (lo_forget_select(spec, &f->dataset, &set, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return set;
}

static lo_forget_set other_set(const fixture *f, const lo_forget_spec *spec, const lo_forget_set *set,
                               int64_t number, const char *refused)
{
    lo_forget_set out;
    lo_error err = {""};
    char why[160];
    assert_int_equal(lo_matched_select(spec, &f->dataset, set, number, &out, why, sizeof(why), &err), LO_OK);
    if (refused == NULL ? why[0] != '\0' : strstr(why, refused) == NULL) {
        fail_msg("'%s' instead of '%s'", why, refused == NULL ? "" : refused);
    }
    assert_true((out.count == 0) == (refused != NULL));
    /* Ascending, and apart from the set. */
    for (int64_t i = 0; i < out.count; i++) {
        assert_true(i == 0 || out.position[i] > out.position[i - 1]);
        for (int64_t k = 0; k < set->count; k++) {
            assert_true(out.position[i] != set->position[k]);
        }
    }
    return out;
}

static int64_t shared(const lo_forget_set *a, const lo_forget_set *b)
{
    int64_t same = 0;
    for (int64_t i = 0; i < a->count; i++) {
        for (int64_t k = 0; k < b->count; k++) {
            same += a->position[i] == b->position[k];
        }
    }
    return same;
}

/* Every retained example is drawn as often as any other. */
static void random_sets_are_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 2000, SIZE = 40 };
    fixture f;
    fill(&f);
    const lo_forget_spec spec = {.name = "it", .select = LO_SELECT_RANDOM, .size = SIZE, .seed = 4};
    lo_forget_set set = select_it(&f, &spec);
    int drawn[N] = {0};
    for (int64_t k = 0; k < DRAWS; k++) {
        lo_forget_set other = other_set(&f, &spec, &set, k, NULL);
        assert_int_equal(other.count, SIZE);
        for (int64_t i = 0; i < SIZE; i++) {
            drawn[other.position[i]]++;
        }
        if (k == 0) {
            lo_forget_set again = other_set(&f, &spec, &set, 0, NULL),
                          next = other_set(&f, &spec, &set, 1, NULL);
            assert_int_equal(shared(&other, &again), SIZE);
            assert_in_range(shared(&other, &next), 1, 20); /* 8 are expected */
            lo_forget_free(&again);
            lo_forget_free(&next);
        }
        lo_forget_free(&other);
    }
    for (int i = 0; i < N; i++) {
        /* 400 are expected of a retained one, deviation 18. */
        assert_true(drawn[i] == 0 || (drawn[i] > 310 && drawn[i] < 490));
    }
    for (int64_t k = 0; k < set.count; k++) {
        assert_int_equal(drawn[set.position[k]], 0);
    }
    lo_forget_free(&set);
}

static void labels_and_files_keep_their_classes(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t classes[] = {1, 4}, numbers[] = {5, 8, 23, 26, 41, 47};
    const lo_forget_spec specs[] = {
        {.name = "it", .select = LO_SELECT_LABELS, .size = 17, .number = classes, .numbers = 2, .seed = 4},
        {.name = "it", .select = LO_SELECT_FILE, .number = numbers, .numbers = 6, .seed = 4}};
    for (size_t s = 0; s < sizeof(specs) / sizeof(specs[0]); s++) {
        lo_forget_set set = select_it(&f, &specs[s]);
        lo_forget_set first = other_set(&f, &specs[s], &set, 0, NULL);
        for (int64_t k = 1; k < 5; k++) {
            lo_forget_set other = other_set(&f, &specs[s], &set, k, NULL);
            int64_t count[CLASSES] = {0};
            assert_int_equal(other.count, set.count);
            for (int64_t i = 0; i < set.count; i++) {
                count[f.label[set.position[i]]]++;
                count[f.label[other.position[i]]]--;
            }
            for (int c = 0; c < CLASSES; c++) {
                assert_int_equal(count[c], 0);
            }
            assert_true(shared(&first, &other) < set.count);
            lo_forget_free(&other);
        }
        lo_forget_free(&first);
        lo_forget_free(&set);
    }
    const lo_forget_spec most = {
        .name = "it", .select = LO_SELECT_LABELS, .size = 21, .number = classes, .numbers = 1, .seed = 4};
    lo_forget_set set = select_it(&f, &most);
    (void)other_set(&f, &most, &set, 0, "class 1 has 21 examples to forget and only 19 others");
    lo_forget_free(&set);
}

/* 40 examples a class, 20 a fine one: other whole classes, all of them in turn. */
static void classes_are_other_classes(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t one[] = {2}, two[] = {0, 3}, most[] = {0, 1, 2};
    const lo_forget_spec class = {
        .name = "it", .select = LO_SELECT_CLASS, .number = one, .numbers = 1, .seed = 4};
    lo_forget_set set = select_it(&f, &class);
    int seen[CLASSES] = {0};
    for (int64_t k = 0; k < 2 * (CLASSES - 1); k++) {
        lo_forget_set other = other_set(&f, &class, &set, k, NULL);
        assert_true(other.whole_class && other.count == N / CLASSES);
        seen[f.label[other.position[0]]]++;
        for (int64_t i = 1; i < other.count; i++) {
            assert_int_equal(f.label[other.position[i]], f.label[other.position[0]]);
        }
        lo_forget_free(&other);
    }
    for (int c = 0; c < CLASSES; c++) {
        assert_int_equal(seen[c], c == 2 ? 0 : 2);
    }
    lo_forget_free(&set);

    const lo_forget_spec pair = {
        .name = "it", .select = LO_SELECT_CLASS, .number = two, .numbers = 2, .seed = 4};
    set = select_it(&f, &pair);
    lo_forget_set other = other_set(&f, &pair, &set, 1, NULL);
    assert_int_equal(other.count, 2 * N / CLASSES);
    lo_forget_free(&other);
    lo_forget_free(&set);

    const lo_forget_spec half = {
        .name = "it", .select = LO_SELECT_CLASS, .number = most, .numbers = 3, .seed = 4};
    set = select_it(&f, &half);
    (void)other_set(&f, &half, &set, 0, "120 of 120 retained examples, more than would remain");
    lo_forget_free(&set);

    const lo_forget_spec fine = {
        .name = "it", .select = LO_SELECT_SUBCLASS, .number = one, .numbers = 1, .seed = 4};
    set = select_it(&f, &fine);
    for (int64_t k = 0; k < 2 * CLASSES - 1; k++) {
        other = other_set(&f, &fine, &set, k, NULL);
        assert_true(other.count == 20 && !other.whole_class && f.fine[other.position[0]] != 2);
        assert_int_equal(f.fine[other.position[19]], f.fine[other.position[0]]);
        lo_forget_free(&other);
    }
    lo_forget_free(&set);

    /* Nearly all examples of one class: the others are no match. */
    for (int i = 0; i < N; i++) {
        f.label[i] = i < 100 ? 0 : i % 20 == 0 ? 1 : 2;
    }
    const int64_t large[] = {0}, small[] = {1};
    const lo_forget_spec unlike[] = {
        {.name = "it", .select = LO_SELECT_CLASS, .number = large, .numbers = 1, .seed = 4},
        {.name = "it", .select = LO_SELECT_CLASS, .number = small, .numbers = 1, .seed = 4}};
    set = select_it(&f, &unlike[0]);
    (void)other_set(&f, &unlike[0], &set, 0, "133 of 140 retained examples");
    lo_forget_free(&set);
    set = select_it(&f, &unlike[1]);
    (void)other_set(&f, &unlike[1], &set, 0, "1 classes are forgotten, and 0 others are of such a size");
    lo_forget_free(&set);
}

/* The same rule among the retained: after the largest the next largest, and so on. */
static void scores_go_by_the_same_rule(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    enum { SIZE = 30 };
    f.score[7] = (double)NAN;
    static const lo_select rules[] = {LO_SELECT_TOP, LO_SELECT_BOTTOM, LO_SELECT_MIDDLE, LO_SELECT_MIX};
    for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
        const lo_forget_spec spec = {
            .name = "it", .select = rules[r], .size = SIZE, .score = f.score, .seed = 4, .at = 0.5};
        lo_forget_set set = select_it(&f, &spec), other = other_set(&f, &spec, &set, 0, NULL);
        lo_forget_set later = other_set(&f, &spec, &set, 9, NULL);
        assert_int_equal(other.count, SIZE);
        assert_int_equal(shared(&other, &later), SIZE);
        /* Slowly: how many retained scores are above, and how far ranks are from the middle. */
        double low = INFINITY, high = -INFINITY, sum = 0;
        for (int64_t i = 0; i < SIZE; i++) {
            const double s = f.score[other.position[i]];
            low = fmin(low, s);
            high = fmax(high, s);
            sum += s / SIZE;
        }
        if (rules[r] == LO_SELECT_TOP) {
            assert_true(low >= N - 2 * SIZE - 1 && high < N - SIZE);
        } else if (rules[r] == LO_SELECT_BOTTOM) {
            assert_true(low >= SIZE && high <= 2 * SIZE);
        } else {
            if (!(fabs(sum - N / 2.0) < 2)) {
                fail_msg("rule %d: mean %g from %g to %g", (int)rules[r], sum, low, high);
            }
        }
        lo_forget_free(&set);
        lo_forget_free(&other);
        lo_forget_free(&later);
    }
    for (int i = 100; i < N; i++) {
        f.score[i] = (double)NAN;
    }
    const lo_forget_spec spec = {.name = "it", .select = LO_SELECT_TOP, .size = 60, .score = f.score};
    lo_forget_set set = select_it(&f, &spec);
    (void)other_set(&f, &spec, &set, 0, "among the retained: forget set it: 60 examples are asked for");
    lo_forget_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sets_are_uniform),
        cmocka_unit_test(labels_and_files_keep_their_classes),
        cmocka_unit_test(classes_are_other_classes),
        cmocka_unit_test(scores_go_by_the_same_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
