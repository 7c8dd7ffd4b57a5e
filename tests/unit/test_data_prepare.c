/* Preparing a data set: limit, validation, noise and scaling against their definitions, computed here the
 * slow way. */
#include "base/random.h"
#include "data/dataset.h"
#include "data/readers.h"
#include "data/spool.h"

#include "unit/data_fixture.h"

#include <math.h>

enum { TRAIN = 1000, TEST = 300, CLASSES = 5, HEIGHT = 2, WIDTH = 3, PIXELS = HEIGHT * WIDTH };

static uint8_t train_labels[TRAIN];
static uint8_t test_labels[TEST];
static char directory[64];
static char made[96];

/* Classes of unequal sizes; number 3 is empty in the test set. */
static void fill_labels(void)
{
    static const uint8_t pattern[] = {0, 0, 0, 1, 4, 2, 0, 1, 3, 0, 2, 0, 4};
    for (int i = 0; i < TRAIN; i++) {
        train_labels[i] = pattern[(i + i / 13) % 13];
    }
    for (int i = 0; i < TEST; i++) {
        test_labels[i] = (uint8_t)(pattern[i % 13] == 3 ? 0 : pattern[i % 13]);
    }
}

static int set_up(void **state)
{
    (void)state;
    fill_labels();
    temp_make(directory);
    (void)snprintf(made, sizeof(made), "%s/made.dat", directory);
    set_make(directory, TRAIN, train_labels, TEST, test_labels, HEIGHT, WIDTH);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(directory);
    return 0;
}

static lo_data_spec spec_of(uint64_t seed)
{
    return (lo_data_spec){.reader = lo_reader_find("idx"), .path = directory, .seed = seed, .digest = 77};
}

static lo_dataset prepared(const lo_data_spec *spec)
{
    lo_dataset d = {0};
    lo_error err = {""};
    if (lo_dataset_prepare(spec, made, &err) != LO_OK ||
        lo_dataset_open(made, spec->digest, &d, &err) != LO_OK || lo_dataset_verify(made, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return d;
}

static void refused(const lo_data_spec *spec, const char *a, const char *b)
{
    lo_error err = {""};
    (void)remove(made);
    assert_int_equal(lo_dataset_prepare(spec, made, &err), LO_USAGE);
    assert_says(err.text, a, b, NULL);
    assert_int_equal(access(made, F_OK), -1);
}

/* Order, and content as in the sources. */
static void assert_faithful(const lo_examples *e, int part)
{
    const uint8_t *labels = part == 0 ? train_labels : test_labels;
    for (int64_t i = 0; i < e->count; i++) {
        const int64_t source = e->index[i];
        assert_true(source >= 0 && source < (part == 0 ? TRAIN : TEST) &&
                    (i == 0 || source > e->index[i - 1]));
        assert_int_equal(e->label_true[i], labels[source]);
        for (uint32_t at = 0; at < PIXELS; at++) {
            assert_int_equal(e->pixel[i * PIXELS + at], fixture_pixel(part, (uint32_t)source, at));
        }
    }
}

static void count_classes(const lo_examples *e, int64_t count[CLASSES])
{
    memset(count, 0, CLASSES * sizeof(*count));
    for (int64_t i = 0; i < e->count; i++) {
        count[e->label_true[i]]++;
    }
}

/* Largest remainders, one seat after the other. */
static void assert_proportional(const int64_t all[CLASSES], const int64_t taken[CLASSES], int64_t want)
{
    int64_t total = 0;
    int64_t sum = 0;
    for (int c = 0; c < CLASSES; c++) {
        total += all[c];
        sum += taken[c];
    }
    assert_int_equal(sum, want);
    int64_t seats[CLASSES];
    bool raised[CLASSES] = {false};
    int64_t left = want;
    for (int c = 0; c < CLASSES; c++) {
        seats[c] = want * all[c] / total;
        left -= seats[c];
    }
    for (; left > 0; left--) {
        int best = -1;
        for (int c = 0; c < CLASSES; c++) {
            if (!raised[c] && (best < 0 || want * all[c] % total > want * all[best] % total)) {
                best = c;
            }
        }
        raised[best] = true;
        seats[best]++;
    }
    for (int c = 0; c < CLASSES; c++) {
        assert_int_equal(taken[c], seats[c]);
    }
}

static bool holds(const lo_examples *e, int64_t source)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (e->index[i] == source) {
            return true;
        }
    }
    return false;
}

/* Those taken of a class are those with the smallest keys: none that is out has a smaller key than one that
 * is in. */
static void assert_smallest_keys(const lo_examples *e, const uint8_t *labels, int64_t count, lo_random random,
                                 uint64_t stream)
{
    uint64_t largest_in[CLASSES] = {0};
    for (int64_t i = 0; i < count; i++) {
        const uint64_t key = lo_random_u64(random, stream, (uint64_t)i);
        if (holds(e, i) && key > largest_in[labels[i]]) {
            largest_in[labels[i]] = key;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if (!holds(e, i)) {
            assert_true(lo_random_u64(random, stream, (uint64_t)i) > largest_in[labels[i]]);
        }
    }
}

static void test_all(void **state)
{
    (void)state;
    const lo_data_spec spec = spec_of(1);
    lo_dataset d = prepared(&spec);
    assert_int_equal(d.train.count, TRAIN);
    assert_int_equal(d.validation.count, 0);
    assert_int_equal(d.test.count, TEST);
    assert_int_equal(d.classes, CLASSES);
    assert_int_equal(d.digest, 77);
    assert_faithful(&d.train, 0);
    assert_faithful(&d.test, 1);
    assert_memory_equal(d.train.label, d.train.label_true, TRAIN * sizeof(int32_t));
    lo_dataset_close(&d);
}

static void test_limits(void **state)
{
    (void)state;
    const int64_t limits[] = {2, 3, 7, 10, 100, 333, 999, 1000};
    lo_data_spec spec = spec_of(5);
    lo_dataset d = prepared(&spec);
    int64_t all[2][CLASSES];
    count_classes(&d.train, all[0]);
    count_classes(&d.test, all[1]);
    lo_dataset_close(&d);
    for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        spec.train_limit = limits[l];
        spec.test_limit = (limits[l] + 3) / 4;
        d = prepared(&spec);
        int64_t taken[CLASSES];
        assert_faithful(&d.train, 0);
        assert_faithful(&d.test, 1);
        count_classes(&d.train, taken);
        assert_proportional(all[0], taken, spec.train_limit);
        count_classes(&d.test, taken);
        assert_proportional(all[1], taken, spec.test_limit);
        const lo_random random = lo_random_make(spec.seed, LO_FOR_LIMIT);
        assert_smallest_keys(&d.train, train_labels, TRAIN, random, 0);
        assert_smallest_keys(&d.test, test_labels, TEST, random, 1);
        assert_int_equal(d.classes, CLASSES); /* even if the limit leaves a class without examples */
        lo_dataset_close(&d);
    }
}

static void test_a_larger_limit_holds_the_smaller(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(6);
    int64_t last[TRAIN];
    int64_t last_count = 0;
    int64_t last_classes[CLASSES] = {0};
    for (int64_t limit = 50; limit <= TRAIN; limit += 190) {
        spec.train_limit = limit;
        lo_dataset d = prepared(&spec);
        int64_t classes[CLASSES];
        count_classes(&d.train, classes);
        for (int c = 0; c < CLASSES; c++) {
            assert_true(classes[c] >= last_classes[c]); /* quotas allow it for these limits */
        }
        for (int64_t i = 0; i < last_count; i++) {
            assert_true(holds(&d.train, last[i]));
        }
        last_count = d.train.count;
        memcpy(last, d.train.index, (size_t)last_count * sizeof(*last));
        memcpy(last_classes, classes, sizeof(classes));
        lo_dataset_close(&d);
    }
    assert_true(last_count > 900);
}

static void test_validation(void **state)
{
    (void)state;
    const double shares[] = {0.0004, 0.1, 0.25, 0.333, 0.9};
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        for (int64_t limit = 0; limit <= 500; limit += 500) {
            lo_data_spec spec = spec_of(7);
            spec.train_limit = limit;
            lo_dataset whole = prepared(&spec);
            int64_t all[CLASSES];
            count_classes(&whole.train, all);
            const int64_t count = whole.train.count;
            int64_t index[TRAIN];
            memcpy(index, whole.train.index, (size_t)count * sizeof(*index));
            lo_dataset_close(&whole);

            spec.validation = shares[s];
            lo_dataset d = prepared(&spec);
            const int64_t held = (int64_t)floor(shares[s] * (double)count + 0.5);
            assert_int_equal(d.validation.count, held);
            assert_int_equal(d.train.count, count - held);
            assert_faithful(&d.train, 0);
            assert_faithful(&d.validation, 0);
            for (int64_t i = 0; i < count; i++) { /* each in exactly one of the two */
                assert_true(holds(&d.train, index[i]) != holds(&d.validation, index[i]));
            }
            int64_t taken[CLASSES];
            count_classes(&d.validation, taken);
            assert_proportional(all, taken, held);
            if (limit == 0) {
                assert_smallest_keys(&d.validation, train_labels, TRAIN, lo_random_make(7, LO_FOR_VALIDATION),
                                     0);
            }
            lo_dataset_close(&d);
        }
    }
}

static void test_noise(void **state)
{
    (void)state;
    const double shares[] = {0.0005, 0.05, 0.3, 0.99};
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        lo_data_spec spec = spec_of(8);
        spec.train_limit = 800;
        spec.validation = 0.125;
        spec.label_noise = shares[s];
        lo_dataset d = prepared(&spec);
        assert_int_equal(d.train.count, 700);
        assert_faithful(&d.train, 0);
        const lo_random random = lo_random_make(8, LO_FOR_NOISE);
        int64_t noisy = 0;
        uint64_t largest_noisy = 0;
        uint64_t smallest_clean = UINT64_MAX;
        for (int64_t i = 0; i < d.train.count; i++) {
            const uint64_t key = lo_random_u64(random, 0, (uint64_t)d.train.index[i]);
            assert_true(d.train.label[i] >= 0 && d.train.label[i] < CLASSES);
            if (d.train.label[i] != d.train.label_true[i]) {
                noisy++;
                largest_noisy = key > largest_noisy ? key : largest_noisy;
            } else {
                smallest_clean = key < smallest_clean ? key : smallest_clean;
            }
        }
        assert_int_equal(noisy, (int64_t)floor(shares[s] * 700 + 0.5));
        assert_true(noisy == 0 || largest_noisy < smallest_clean);
        assert_memory_equal(d.validation.label, d.validation.label_true, 100 * sizeof(int32_t));
        assert_memory_equal(d.test.label, d.test.label_true, TEST * sizeof(int32_t));
        lo_dataset_close(&d);
    }
}

/* A replaced label is any other class alike. */
static void test_noise_is_uniform(void **state)
{
    (void)state;
    int64_t seen[CLASSES][CLASSES] = {{0}};
    for (uint64_t seed = 100; seed < 130; seed++) {
        lo_data_spec spec = spec_of(seed);
        spec.label_noise = 0.5;
        lo_dataset d = prepared(&spec);
        for (int64_t i = 0; i < d.train.count; i++) {
            if (d.train.label[i] != d.train.label_true[i]) {
                seen[d.train.label_true[i]][d.train.label[i]]++;
            }
        }
        lo_dataset_close(&d);
    }
    double chi = 0.0;
    for (int from = 0; from < CLASSES; from++) {
        double total = 0.0;
        for (int to = 0; to < CLASSES; to++) {
            total += (double)seen[from][to];
        }
        for (int to = 0; to < CLASSES; to++) {
            const double expected = total / (CLASSES - 1);
            chi += to == from
                       ? 0.0
                       : ((double)seen[from][to] - expected) * ((double)seen[from][to] - expected) / expected;
        }
    }
    const double freedom = CLASSES * (CLASSES - 2);
    assert_true((chi - freedom) / sqrt(2.0 * freedom) < 5.0);
}

static void assert_scaled(const lo_dataset *d)
{
    const int64_t n = d->train.count * PIXELS;
    double mean = 0.0;
    for (int64_t i = 0; i < n; i++) {
        mean += d->train.pixel[i];
    }
    mean /= (double)n;
    double variance = 0.0;
    for (int64_t i = 0; i < n; i++) {
        variance += (d->train.pixel[i] - mean) * (d->train.pixel[i] - mean);
    }
    const double deviation = sqrt(variance / (double)n);
    assert_true(fabs(d->scale[0] * deviation - 1.0) < 1e-6);
    assert_true(fabs(d->shift[0] + mean / deviation) < 1e-6 * (1.0 + mean / deviation));
}

static void test_scale(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(9);
    lo_dataset d = prepared(&spec);
    assert_scaled(&d);
    const float scale = d.scale[0];
    lo_dataset_close(&d);
    spec.train_limit = 9;
    d = prepared(&spec);
    assert_scaled(&d); /* over the examples in use, not all */
    assert_true(d.scale[0] != scale);
    lo_dataset_close(&d);
}

static void test_scale_of_constant_pixels(void **state)
{
    (void)state;
    bytes image = idx_make(3, (const uint32_t[]){TRAIN, HEIGHT, WIDTH}, TRAIN * PIXELS);
    memset(image.at + 16, 200, TRAIN * PIXELS);
    save(path_in(directory, TRAIN_IMAGES), image.at, image.size);
    bytes_free(&image);
    const lo_data_spec spec = spec_of(9);
    lo_dataset d = prepared(&spec);
    assert_true(d.scale[0] == 1.0F && d.shift[0] == -200.0F);
    lo_dataset_close(&d);
}

/* White pixels everywhere but one, in images larger than the sums' chunks: no sum overflows. */
static void test_scale_of_large_images(void **state)
{
    (void)state;
    enum { SIDE = 300, COUNT = 2 };
    const size_t pixels = (size_t)COUNT * SIDE * SIDE;
    const uint8_t labels[COUNT] = {0, 1};
    bytes image = idx_make(3, (const uint32_t[]){COUNT, SIDE, SIDE}, pixels);
    set_make(directory, COUNT, labels, COUNT, labels, SIDE, SIDE);
    memset(image.at + 16, 255, pixels);
    image.at[16] = 0;
    save(path_in(directory, TRAIN_IMAGES), image.at, image.size);
    bytes_free(&image);
    const lo_data_spec spec = spec_of(9);
    lo_dataset d = prepared(&spec);
    const double n = (double)pixels;
    const double deviation = 255.0 * sqrt((n - 1.0) / (n * n)); /* of one 0 among n - 1 times 255 */
    assert_true(fabs(d.scale[0] * deviation - 1.0) < 1e-6);
    assert_true(fabs(d.shift[0] * deviation / (255.0 * (n - 1.0) / n) + 1.0) < 1e-6);
    lo_dataset_close(&d);
}

/* ---- features, names and two levels of classes, by a reader of this test ---- */

enum { DEEP = 4 * 40, FINE = 6, COARSE = 2 };

static float feature_of(int64_t i, int c)
{
    const float around[4] = {0, 1e6F, -3, 7}; /* the last is constant */
    const float wide[4] = {1, 10, 1e-3F, 0};
    return around[c] + wide[c] * sinf((float)(i * 4 + c));
}

static lo_status read_made_up(const char *path, const lo_read_options *options, lo_source *out, lo_error *err)
{
    static const char *const fine[FINE] = {"a", "b", "c", "d\u00e9", "e", "f"};
    static const char *const coarse[COARSE] = {"low", "high"};
    (void)path;
    *out = (lo_source){.element = LO_FEATURES, .shape = {4, 1, 1}, .classes = FINE, .coarse_classes = COARSE};
    out->class_name = lo_source_names(FINE);
    out->coarse_name = lo_source_names(COARSE);
    for (int c = 0; c < FINE; c++) {
        assert_true(lo_source_name(out->class_name, c, fine[c], strlen(fine[c])));
    }
    for (int c = 0; c < COARSE; c++) {
        assert_true(lo_source_name(out->coarse_name, c, coarse[c], strlen(coarse[c])));
    }
    assert_false(lo_source_name(out->class_name, 0, "", 0));
    assert_false(lo_source_name(out->class_name, 0, "a\tb", 3));
    assert_false(lo_source_name(out->class_name, 0, "a\0b", 3));
    assert_false(lo_source_name(out->class_name, 0, "\xff", 1));
    lo_source_part *parts[2] = {&out->train, &out->test};
    for (int p = 0; p < 2; p++) {
        lo_spool spool = {0};
        assert_int_equal(lo_spool_open(options->scratch, &spool, err), LO_OK);
        parts[p]->count = DEEP / 4;
        parts[p]->label = calloc(DEEP / 4, sizeof(int32_t));
        parts[p]->label_coarse = calloc(DEEP / 4, sizeof(int32_t));
        for (int64_t i = 0; i < DEEP / 4; i++) {
            const float row[4] = {feature_of(i, 0), feature_of(i, 1), feature_of(i, 2), feature_of(i, 3)};
            assert_int_equal(lo_spool_put(&spool, row, sizeof(row), err), LO_OK);
            parts[p]->label[i] = (int32_t)(i % FINE);
            parts[p]->label_coarse[i] = (int32_t)(i % FINE) / 3;
        }
        assert_int_equal(lo_spool_map(&spool, parts[p], err), LO_OK);
        parts[p]->feature = parts[p]->map;
    }
    return LO_OK;
}

static const lo_reader made_up = {"made_up", "features", read_made_up, NULL};

static void test_features(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(5);
    spec.reader = &made_up;
    spec.train_limit = 30;
    lo_dataset d = prepared(&spec);
    assert_null(d.train.pixel);
    assert_int_equal(d.shape.channels, 4);
    for (int64_t i = 0; i < 30; i++) {
        for (int c = 0; c < 4; c++) {
            assert_true(d.train.feature[i * 4 + c] == feature_of(d.train.index[i], c));
        }
    }
    for (int c = 0; c < 4; c++) {
        double mean = 0;
        double variance = 0;
        for (int64_t i = 0; i < 30; i++) {
            mean += (double)d.train.feature[i * 4 + c] / 30;
        }
        for (int64_t i = 0; i < 30; i++) {
            variance += pow((double)d.train.feature[i * 4 + c] - mean, 2) / 30;
        }
        const double deviation = c == 3 ? 1 : sqrt(variance);
        assert_true(fabs((double)d.scale[c] * deviation - 1) < 1e-6);
        assert_true(fabs((double)d.shift[c] * deviation + mean) <= 1e-6 * fabs(mean));
    }
    lo_dataset_close(&d);
    spec.raw = true;
    d = prepared(&spec);
    for (int c = 0; c < 4; c++) {
        assert_true(d.scale[c] == 1 && d.shift[c] == 0);
    }
    lo_dataset_close(&d);
    spec = spec_of(5);
    spec.raw = true;
    d = prepared(&spec);
    assert_true(d.scale[0] == 1.0F / 255 && d.shift[0] == 0);
    lo_dataset_close(&d);
}

static void test_two_levels(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(5);
    spec.reader = &made_up;
    spec.validation = 0.2;
    for (int level = 0; level < 2; level++) {
        spec.coarse = level == 1;
        lo_dataset d = prepared(&spec);
        const lo_examples *parts[] = {&d.train, &d.validation, &d.test};
        assert_int_equal(d.classes, level == 1 ? COARSE : FINE);
        assert_int_equal(d.fine_classes, FINE);
        assert_int_equal(d.coarse_classes, COARSE);
        for (int p = 0; p < 3; p++) {
            for (int64_t i = 0; i < parts[p]->count; i++) {
                const int32_t fine = (int32_t)(parts[p]->index[i] % FINE);
                assert_int_equal(parts[p]->label_fine[i], fine);
                assert_int_equal(parts[p]->label_coarse[i], fine / 3);
                assert_int_equal(parts[p]->label[i], level == 1 ? fine / 3 : fine);
                assert_int_equal(parts[p]->label_true[i], parts[p]->label[i]);
            }
        }
        assert_string_equal(d.class_name[1], level == 1 ? "high" : "b");
        assert_string_equal(d.fine_name[3], "d\u00e9");
        assert_string_equal(d.coarse_name[0], "low");
        lo_dataset_close(&d);
    }
    spec = spec_of(5);
    spec.coarse = true;
    refused(&spec, "data.labels: found coarse", "one level");
    spec.coarse = false;
    lo_dataset d = prepared(&spec);
    assert_null(d.class_name);
    assert_null(d.train.label_coarse);
    assert_int_equal(d.coarse_classes, 0);
    lo_dataset_close(&d);
}

static void test_same_keys_same_bytes(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(10);
    spec.train_limit = 400;
    spec.test_limit = 100;
    spec.validation = 0.2;
    spec.label_noise = 0.1;
    lo_dataset d = prepared(&spec);
    lo_dataset_close(&d);
    bytes first = load(made);
    d = prepared(&spec);
    lo_dataset_close(&d);
    bytes second = load(made);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.at, second.at, first.size);
    bytes_free(&second);
    spec.seed = 11;
    d = prepared(&spec);
    lo_dataset_close(&d);
    second = load(made);
    assert_int_equal(first.size, second.size);
    assert_memory_not_equal(first.at, second.at, first.size);
    bytes_free(&first);
    bytes_free(&second);
}

/* More noise or another validation share leaves what it does not concern alone: choices are keyed by source
 * number. */
static void test_choices_are_independent(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(12);
    spec.label_noise = 0.1;
    lo_dataset d = prepared(&spec);
    int32_t label[TRAIN];
    memcpy(label, d.train.label, sizeof(label));
    lo_dataset_close(&d);
    spec.label_noise = 0.4;
    d = prepared(&spec);
    for (int i = 0; i < TRAIN; i++) {
        if (label[i] != train_labels[i]) {
            assert_int_equal(d.train.label[i], label[i]);
        }
    }
    lo_dataset_close(&d);
}

static void test_refusals(void **state)
{
    (void)state;
    lo_data_spec spec = spec_of(1);
    spec.train_limit = TRAIN + 1;
    refused(&spec, "data.train_limit: found 1001", "at most 1000");
    spec = spec_of(1);
    spec.test_limit = TEST + 1;
    refused(&spec, "data.test_limit: found 301", "at most 300");
    spec.test_limit = -1;
    refused(&spec, "data.test_limit: found -1", "0 (all) or more");
    const double bad[] = {-0.1, 1.0, (double)NAN, (double)INFINITY};
    for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
        spec = spec_of(1);
        spec.validation = bad[b];
        refused(&spec, "data.validation: found", "0 to below 1");
        spec = spec_of(1);
        spec.label_noise = bad[b];
        refused(&spec, "data.label_noise: found", "0 to below 1");
    }
    spec = spec_of(1);
    spec.train_limit = 1;
    refused(&spec, "1 training examples are left", "train_limit 1");
    spec.train_limit = 10;
    spec.validation = 0.95;
    refused(&spec, "0 training examples are left", "validation 0.95");
    spec = spec_of(1);
    spec.reader = lo_reader_find("idy");
    refused(&spec, "data.format", "readers");
    const uint8_t zero[4] = {0};
    set_make(directory, 4, zero, 4, zero, HEIGHT, WIDTH);
    spec = spec_of(1);
    spec.label_noise = 0.01;
    refused(&spec, "data.label_noise: found 0.01", "one class");
    spec.label_noise = 0.0;
    lo_dataset d = prepared(&spec);
    assert_int_equal(d.classes, 1);
    lo_dataset_close(&d);
}

static void test_where_nothing_can_be_written(void **state)
{
    (void)state;
    const lo_data_spec spec = spec_of(1);
    lo_error err = {""};
    assert_int_equal(lo_dataset_prepare(&spec, path_in(directory, "none/made.dat"), &err), LO_IO);
    assert_says(err.text, "none/", "No such file", NULL);
}

static void test_fashion_mnist(void **state)
{
    (void)state;
    const char *path = "/usr/share/datasets/fashion-mnist";
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is missing (Debian: dataset-fashion-mnist)\n", path);
        skip();
    }
    lo_data_spec spec = spec_of(1);
    spec.path = path;
    lo_dataset d = prepared(&spec);
    assert_int_equal(d.train.count, 60000);
    assert_int_equal(d.test.count, 10000);
    assert_int_equal(d.classes, 10);
    assert_int_equal(lo_shape_size(d.shape), 28 * 28);
    /* As torchvision's reader gives them; mean and deviation as published everywhere, 0.2860 and 0.3530. */
    const int32_t train_first[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5};
    const int32_t test_first[] = {9, 2, 1, 1, 6, 1, 4, 6, 5, 7};
    assert_memory_equal(d.train.label, train_first, sizeof(train_first));
    assert_memory_equal(d.test.label, test_first, sizeof(test_first));
    assert_true(fabs(1.0 / d.scale[0] / 255.0 - 0.3530) < 5e-5);
    assert_true(fabs(-d.shift[0] / d.scale[0] / 255.0 - 0.2860) < 5e-5);
    int64_t count[10] = {0};
    for (int64_t i = 0; i < d.train.count; i++) {
        count[d.train.label[i]]++;
    }
    for (int c = 0; c < 10; c++) {
        assert_int_equal(count[c], 6000);
    }
    lo_dataset_close(&d);
}

#define WITH_SET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SET(test_all),
        WITH_SET(test_limits),
        WITH_SET(test_a_larger_limit_holds_the_smaller),
        WITH_SET(test_validation),
        WITH_SET(test_noise),
        WITH_SET(test_noise_is_uniform),
        WITH_SET(test_scale),
        WITH_SET(test_scale_of_constant_pixels),
        WITH_SET(test_scale_of_large_images),
        WITH_SET(test_features),
        WITH_SET(test_two_levels),
        WITH_SET(test_same_keys_same_bytes),
        WITH_SET(test_choices_are_independent),
        WITH_SET(test_refusals),
        WITH_SET(test_where_nothing_can_be_written),
        WITH_SET(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
