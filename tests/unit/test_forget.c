/* Forget sets: each selection against a slow one written down directly, ties, growth of random ones, and what
 * is refused. */
#include "base/random.h"
#include "unlearn/forget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 120, CLASSES = 4 };

/* Source numbers with gaps; class i % 4 of example i; coarse class i % 2. */
typedef struct fixture {
    int32_t label[N], coarse[N];
    int64_t index[N];
    double score[N];
    lo_dataset dataset;
} fixture;

static void fill(fixture *f)
{
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    for (int i = 0; i < N; i++) {
        f->label[i] = i % CLASSES;
        f->coarse[i] = i % 2;
        f->index[i] = 3 * i + 5;
        f->score[i] = (double)lo_random_below(random, 1, (uint64_t)i, 25) / 8; /* with many ties */
    }
    f->dataset = (lo_dataset){.classes = CLASSES,
                              .fine_classes = CLASSES,
                              .coarse_classes = 2,
                              .train = {.count = N,
                                        .label = f->label,
                                        .label_true = f->label,
                                        .index = f->index,
                                        .label_fine = f->label,
                                        .label_coarse = f->coarse}};
}

static lo_forget_set chosen(const fixture *f, lo_forget_spec spec)
{
    lo_forget_set set;
    lo_error err = {""};
    spec.name = "it";
    if (lo_forget_select(&spec, &f->dataset, &set, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    for (int64_t i = 1; i < set.count; i++) {
        assert_true(set.position[i] > set.position[i - 1]);
    }
    return set;
}

static void assert_set(lo_forget_set *set, const uint8_t *flag)
{
    int64_t next = 0;
    for (uint32_t i = 0; i < N; i++) {
        const bool in = next < set->count && set->position[next] == i;
        assert_int_equal(in, flag[i]);
        next += in;
    }
    assert_int_equal(next, set->count);
    lo_forget_free(set);
}

static void refused(const fixture *f, lo_forget_spec spec, const char *why)
{
    lo_forget_set set;
    lo_error err = {""};
    spec.name = "it";
    assert_int_equal(lo_forget_select(&spec, &f->dataset, &set, &err), LO_USAGE);
    assert_null(set.position);
    assert_non_null(strstr(err.text, "forget set it"));
    if (strstr(err.text, why) == NULL) {
        fail_msg("'%s' is not in: %s", why, err.text);
    }
}

static void names_lead_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < LO_SELECTIONS; i++) {
        assert_int_equal(lo_select_named(lo_select_name((lo_select)i)), i);
    }
    assert_int_equal(lo_select_named("most"), LO_SELECTIONS);
}

static void random_sets_are_samples_that_grow(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    lo_forget_set small = chosen(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .share = 0.1, .seed = 4});
    lo_forget_set large = chosen(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .size = 40, .seed = 4});
    lo_forget_set other =
        chosen(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .size = 40, .seed = 4, .draw = 1});
    assert_int_equal(small.count, 12);
    assert_int_equal(large.count, 40);
    assert_false(large.whole_class);
    int64_t same = 0;
    for (int64_t i = 0; i < small.count; i++) {
        int64_t j = 0;
        while (j < large.count && large.position[j] != small.position[i]) {
            j++;
        }
        assert_true(j < large.count);
    }
    for (int64_t i = 0; i < large.count; i++) {
        for (int64_t j = 0; j < other.count; j++) {
            same += large.position[i] == other.position[j];
        }
    }
    assert_in_range(same, 5, 25); /* of 40; 13.3 are expected, standard deviation 2.4 */
    /* The smallest keys, slowly; an example keeps its key where others are not in use. */
    const lo_random random = lo_random_make(4, LO_FOR_FORGET);
    uint8_t flag[N] = {0};
    for (int i = 0; i < N; i++) {
        int before = 0;
        for (int j = 0; j < N; j++) {
            before += lo_random_u64(random, 0, (uint64_t)f.index[j]) <
                      lo_random_u64(random, 0, (uint64_t)f.index[i]);
        }
        flag[i] = before < 40;
    }
    lo_forget_free(&small);
    lo_forget_free(&other);
    assert_set(&large, flag);
}

static void classes_are_whole(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t two[] = {3, 1}, one[] = {1};
    uint8_t flag[N];
    for (int i = 0; i < N; i++) {
        flag[i] = i % 4 == 3 || i % 4 == 1;
    }
    lo_forget_set set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = two, .numbers = 2});
    assert_true(set.whole_class);
    assert_set(&set, flag);
    /* The fine labels are trained on: one coarse class is two of them. */
    set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_SUBCLASS, .number = one, .numbers = 1});
    assert_true(set.whole_class);
    assert_set(&set, flag);
    /* The coarse ones are: a fine class is half of one. */
    f.dataset.train.label = f.dataset.train.label_true = f.coarse;
    f.dataset.classes = 2;
    set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_SUBCLASS, .number = two, .numbers = 1});
    assert_false(set.whole_class);
    for (int i = 0; i < N; i++) {
        flag[i] = i % 4 == 3;
    }
    assert_set(&set, flag);
    fill(&f);
    lo_forget_set some = chosen(
        &f,
        (lo_forget_spec){.select = LO_SELECT_LABELS, .number = two, .numbers = 2, .share = 0.5, .seed = 1});
    assert_int_equal(some.count, 30);
    assert_false(some.whole_class);
    for (int64_t i = 0; i < some.count; i++) {
        assert_int_equal(some.position[i] % 2, 1);
    }
    lo_forget_free(&some);
}

/* How many come before example i, by score (sign) and then by number. */
static int before(const fixture *f, int i, double sign)
{
    int count = 0;
    for (int j = 0; j < N; j++) {
        const double difference = sign * (f->score[j] - f->score[i]);
        count += difference < 0 || (difference == 0 && j < i);
    }
    return count;
}

static void scores_are_ranked_and_ties_broken_by_number(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    uint8_t flag[N];
    for (int i = 0; i < N; i++) {
        flag[i] = before(&f, i, -1) < 31;
    }
    lo_forget_set set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_TOP, .size = 31, .score = f.score});
    assert_set(&set, flag);
    for (int i = 0; i < N; i++) {
        flag[i] = before(&f, i, 1) < 17;
    }
    set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_BOTTOM, .size = 17, .score = f.score});
    assert_set(&set, flag);
    for (int i = 0; i < N; i++) {
        flag[i] = before(&f, i, 1) >= 51 && before(&f, i, 1) < 51 + 17;
    }
    set =
        chosen(&f, (lo_forget_spec){
                       .select = LO_SELECT_MIDDLE, .size = 17, .score = f.score, .by_rank = true, .at = 0.5});
    assert_set(&set, flag);
}

static void the_middle_is_nearest_the_median(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    /* 0 .. 117 scattered, two without a score: the median is 58.5. */
    for (int i = 0; i < N; i++) {
        f.score[i] = i * 7 % 118;
    }
    f.score[118] = f.score[119] = (double)NAN;
    uint8_t flag[N];
    for (int i = 0; i < N; i++) {
        flag[i] = f.score[i] >= 57 && f.score[i] <= 59; /* 58, 59, and of 57 and 60 the smaller */
    }
    lo_forget_set set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_MIDDLE, .size = 3, .score = f.score});
    assert_set(&set, flag);
    /* A mix: 4 smallest, 4 in the middle, 6 largest. */
    for (int i = 0; i < N; i++) {
        flag[i] = f.score[i] < 4 || (f.score[i] >= 57 && f.score[i] <= 60) || f.score[i] > 111;
    }
    set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_MIX, .size = 14, .score = f.score});
    assert_set(&set, flag);
}

/* The positions 0 .. 117 in order of score: around a quarter of them, and no further than the ends. */
static void the_middle_is_where_it_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        double at;
        int first;
    } cases[] = {{0.5, 54}, {0.25, 54 - 30}, {0.9, 54 + 47}, {0, 0}, {1, 118 - 10}};
    fixture f;
    uint8_t flag[N];
    fill(&f);
    for (int i = 0; i < N; i++) {
        f.score[i] = i * 7 % 118;
    }
    f.score[118] = f.score[119] = (double)NAN;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        for (int i = 0; i < N; i++) {
            flag[i] = f.score[i] >= cases[c].first && f.score[i] < cases[c].first + 10;
        }
        lo_forget_set set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_MIDDLE,
                                                        .size = 10,
                                                        .score = f.score,
                                                        .by_rank = true,
                                                        .at = cases[c].at});
        assert_set(&set, flag);
        /* In a mix the ten at both ends are taken already. */
        const int first = cases[c].first < 10 ? 10 : cases[c].first > 98 ? 98 : cases[c].first;
        for (int i = 0; i < N; i++) {
            flag[i] =
                f.score[i] < 10 || f.score[i] >= 108 || (f.score[i] >= first && f.score[i] < first + 10);
        }
        set = chosen(
            &f,
            (lo_forget_spec){
                .select = LO_SELECT_MIX, .size = 30, .score = f.score, .by_rank = true, .at = cases[c].at});
        assert_set(&set, flag);
    }
}

static void a_mix_takes_none_twice(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    for (int i = 0; i < N; i++) {
        f.score[i] = 1; /* all equal: largest, smallest and middle at once */
    }
    lo_forget_set set = chosen(&f, (lo_forget_spec){.select = LO_SELECT_MIX, .share = 0.5, .score = f.score});
    assert_int_equal(set.count, 60);
    lo_forget_free(&set);
}

static void numbers_are_those_of_the_source(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t number[] = {5 + 3 * 9, 5, 5 + 3 * 119};
    uint8_t flag[N] = {[0] = 1, [9] = 1, [119] = 1};
    lo_forget_set set =
        chosen(&f, (lo_forget_spec){.select = LO_SELECT_FILE, .number = number, .numbers = 3});
    uint32_t *rest = lo_forget_retained(&set, N);
    for (int i = 0, r = 0; i < N; i++) {
        if (flag[i] == 0) {
            assert_int_equal(rest[r++], i);
        }
    }
    free(rest);
    assert_set(&set, flag);
}

static void sets_are_united(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t first[] = {5, 11}, second[] = {8}, class[] = {0}, more[] = {1};
    lo_error err = {""};
    lo_forget_set both;
    lo_forget_set a = chosen(&f, (lo_forget_spec){.select = LO_SELECT_FILE, .number = first, .numbers = 2});
    lo_forget_set b = chosen(&f, (lo_forget_spec){.select = LO_SELECT_FILE, .number = second, .numbers = 1});
    lo_forget_set c = chosen(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = class, .numbers = 1});
    lo_forget_set d = chosen(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = more, .numbers = 1});
    assert_int_equal(lo_forget_unite(&f.dataset, "a+b", &a, &b, &both, &err), LO_OK);
    assert_set(&both, (uint8_t[N]){1, 1, 1});
    assert_int_equal(lo_forget_unite(&f.dataset, "c+d", &c, &d, &both, &err), LO_OK);
    assert_true(both.whole_class && both.count == 60);
    lo_forget_free(&both);
    assert_int_equal(lo_forget_unite(&f.dataset, "a+c", &a, &c, &both, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "example 5"));
    lo_forget_free(&a);
    lo_forget_free(&b);
    lo_forget_free(&c);
    lo_forget_free(&d);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    fixture f;
    fill(&f);
    const int64_t twice[] = {5, 8, 5}, absent[] = {6}, class[] = {4}, same[] = {1, 1}, most[] = {0, 1, 2};
    refused(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .share = 0.001}, "is empty");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_FILE}, "is empty");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .size = 61}, "allowed: 1 to 60");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_RANDOM, .size = 121}, "only 120 can be chosen");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = most, .numbers = 3},
            "allowed: 1 to 60");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = class, .numbers = 1},
            "class 4 does not occur");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_CLASS, .number = same, .numbers = 2},
            "class 1 is given twice");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_FILE, .number = twice, .numbers = 3},
            "example 5 is given twice");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_FILE, .number = absent, .numbers = 1},
            "example 6 is not among the 120");
    refused(&f, (lo_forget_spec){.select = LO_SELECT_MIX, .size = 2, .score = f.score}, "at least 3");
    for (int i = 20; i < N; i++) {
        f.score[i] = (double)NAN;
    }
    refused(&f, (lo_forget_spec){.select = LO_SELECT_TOP, .size = 21, .score = f.score},
            "only 20 have a score");
    f.dataset.train.label_fine = NULL;
    refused(&f, (lo_forget_spec){.select = LO_SELECT_SUBCLASS, .number = class, .numbers = 1}, "two levels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_there_and_back),
        cmocka_unit_test(random_sets_are_samples_that_grow),
        cmocka_unit_test(classes_are_whole),
        cmocka_unit_test(scores_are_ranked_and_ties_broken_by_number),
        cmocka_unit_test(the_middle_is_nearest_the_median),
        cmocka_unit_test(the_middle_is_where_it_is_asked_for),
        cmocka_unit_test(a_mix_takes_none_twice),
        cmocka_unit_test(numbers_are_those_of_the_source),
        cmocka_unit_test(sets_are_united),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
