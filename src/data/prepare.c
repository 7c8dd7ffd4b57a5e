/* From the sources to the prepared data set: limit, validation split, label noise, scaling. Every choice
 * takes the examples with the smallest random keys, keyed by source number: what happens to one example
 * depends on no order. */
#include "base/random.h"
#include "data/prepared.h"
#include "data/readers.h"

#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Counters of the random keys. Values are part of every stored result. */
enum { STREAM_TRAIN = 0, STREAM_TEST = 1, STREAM_LABEL = 1 };

typedef struct ranked {
    uint64_t key;
    int64_t position;
    int32_t stratum;
} ranked;

static int by_stratum_and_key(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    if (a->stratum != b->stratum) {
        return a->stratum < b->stratum ? -1 : 1;
    }
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->position < b->position ? -1 : a->position > b->position;
}

typedef struct quota {
    int64_t count;     /* members of the stratum */
    int64_t want;      /* how many are taken */
    int64_t remainder; /* of want * count / total, what largest remainders are compared by */
    int32_t stratum;
} quota;

static int by_remainder(const void *left, const void *right)
{
    const quota *a = left;
    const quota *b = right;
    if (a->remainder != b->remainder) {
        return a->remainder > b->remainder ? -1 : 1;
    }
    return a->stratum < b->stratum ? -1 : a->stratum > b->stratum;
}

static int by_number(const void *left, const void *right)
{
    const quota *a = left;
    const quota *b = right;
    return a->stratum < b->stratum ? -1 : a->stratum > b->stratum;
}

/* Shares `want` out among strata in proportion to their counts, exactly: rounded down, and one more for those
 * with the largest remainders, the lower number first among equals. want <= total < 2^31. */
static void share_out(quota *q, int32_t strata, int64_t total, int64_t want)
{
    int64_t left = want;
    for (int32_t s = 0; s < strata; s++) {
        q[s].want = want * q[s].count / total;
        q[s].remainder = want * q[s].count % total;
        left -= q[s].want;
    }
    qsort(q, (size_t)strata, sizeof(*q), by_remainder);
    for (int64_t s = 0; s < left; s++) {
        q[s].want++;
    }
    qsort(q, (size_t)strata, sizeof(*q), by_number);
}

/* Marks `want` of `count` examples, none of which is marked yet: in each stratum its share, those with the
 * smallest keys. stratum[i] is below strata; NULL: all are of one stratum. */
static lo_status choose(lo_random random, uint64_t stream, const int64_t *index, const int32_t *stratum,
                        int32_t strata, int64_t count, int64_t want, bool *chosen, lo_error *err)
{
    if (count < 1 || want < 1) {
        return LO_OK;
    }
    lo_status status = LO_OK;
    ranked *order = calloc((size_t)count, sizeof(*order));
    quota *q = calloc((size_t)strata, sizeof(*q));
    if (order == NULL || q == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory to choose among %lld examples", (long long)count);
        goto end;
    }
    for (int32_t s = 0; s < strata; s++) {
        q[s].stratum = s;
    }
    for (int64_t i = 0; i < count; i++) {
        order[i].position = i;
        order[i].key = lo_random_u64(random, stream, (uint64_t)index[i]);
        order[i].stratum = stratum != NULL ? stratum[i] : 0;
        q[order[i].stratum].count++;
    }
    qsort(order, (size_t)count, sizeof(*order), by_stratum_and_key);
    share_out(q, strata, count, want);
    int64_t first = 0;
    for (int32_t s = 0; s < strata; s++) {
        for (int64_t i = 0; i < q[s].count; i++) {
            chosen[order[first + i].position] = i < q[s].want;
        }
        first += q[s].count;
    }
end:
    free(order);
    free(q);
    return status;
}

/* One flag an example, all false; one more, so that no examples are no special case. */
static bool *flags_make(int64_t count)
{
    return calloc((size_t)count + 1, sizeof(bool));
}

static lo_status part_reserve(lo_prepared_part *part, int64_t count, lo_error *err)
{
    const size_t room = count > 0 ? (size_t)count : 1;
    part->index = calloc(room, sizeof(*part->index));
    part->label = calloc(room, sizeof(*part->label));
    part->label_true = calloc(room, sizeof(*part->label_true));
    if (part->index == NULL || part->label == NULL || part->label_true == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)count);
    }
    return LO_OK;
}

static void part_append(lo_prepared_part *part, int64_t index, int32_t label)
{
    part->index[part->count] = index;
    part->label[part->count] = label;
    part->label_true[part->count] = label;
    part->count++;
}

/* The labels that are trained on. */
static const int32_t *labels_of(const lo_source_part *source, bool coarse)
{
    return coarse ? source->label_coarse : source->label;
}

/* Takes all of a source, or a stratified sample of `limit`. */
static lo_status limit_part(const lo_source_part *source, bool coarse, int32_t classes, int64_t limit,
                            lo_random random, uint64_t stream, lo_prepared_part *out, lo_error *err)
{
    int64_t count = 0;
    const int32_t *label = labels_of(source, coarse);
    lo_status status = LO_OK;
    int64_t *index = calloc((size_t)source->count, sizeof(*index));
    int32_t *stratum = calloc((size_t)source->count, sizeof(*stratum));
    bool *chosen = flags_make(source->count);
    if (index == NULL || stratum == NULL || chosen == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)source->count);
        goto end;
    }
    for (int64_t i = 0; i < source->count; i++) {
        if (source->missing == NULL || !source->missing[i]) {
            index[count] = i;
            stratum[count] = label[i];
            count++;
        }
    }
    const int64_t want = limit > 0 ? limit : count;
    LO_TRY_GOTO(status, choose(random, stream, index, stratum, classes, count, want, chosen, err), end);
    LO_TRY_GOTO(status, part_reserve(out, want, err), end);
    for (int64_t i = 0; i < count; i++) {
        if (chosen[i]) {
            part_append(out, index[i], stratum[i]);
        }
    }
    out->source = source->pixel != NULL ? (const void *)source->pixel : source->feature;
    out->source_fine = source->label_coarse != NULL ? source->label : NULL;
    out->source_coarse = source->label_coarse;
end:
    free(index);
    free(stratum);
    free(chosen);
    return status;
}

/* Moves a stratified share of train to validation. */
static lo_status split_validation(lo_prepared_part *train, lo_prepared_part *validation, int32_t classes,
                                  double share, lo_random random, lo_error *err)
{
    const int64_t count = train->count;
    const int64_t held = llround(share * (double)count);
    validation->source = train->source;
    validation->source_fine = train->source_fine;
    validation->source_coarse = train->source_coarse;
    LO_TRY(part_reserve(validation, held, err));
    bool *chosen = flags_make(count);
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)count);
    }
    const lo_status status =
        choose(random, STREAM_TRAIN, train->index, train->label, classes, count, held, chosen, err);
    if (status == LO_OK) {
        train->count = 0; /* those that stay move down in place */
        for (int64_t i = 0; i < count; i++) {
            part_append(chosen[i] ? validation : train, train->index[i], train->label_true[i]);
        }
    }
    free(chosen);
    return status;
}

/* Replaces the labels of a share of the examples, any class alike, by one of the other classes. */
static lo_status add_noise(lo_prepared_part *train, int32_t classes, double share, lo_random random,
                           lo_error *err)
{
    const int64_t noisy = llround(share * (double)train->count);
    bool *chosen = flags_make(train->count);
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)train->count);
    }
    const lo_status status =
        choose(random, STREAM_TRAIN, train->index, NULL, 1, train->count, noisy, chosen, err);
    for (int64_t i = 0; status == LO_OK && i < train->count; i++) {
        if (chosen[i]) {
            const int32_t other = (int32_t)lo_random_below(random, STREAM_LABEL, (uint64_t)train->index[i],
                                                           (uint64_t)classes - 1);
            train->label[i] = other < train->label_true[i] ? other : other + 1;
        }
    }
    free(chosen);
    return status;
}

typedef struct pixel_sums {
    uint64_t sum, square;
} pixel_sums;

static pixel_sums sum_pixels(const uint8_t *pixel, size_t count)
{
    enum { CHUNK = 1 << 16 }; /* the most for which 255 * 255 * CHUNK fits 32 bits, in which it is fast */
    pixel_sums total = {0, 0};
    for (size_t start = 0; start < count; start += CHUNK) {
        const size_t end = count - start < CHUNK ? count : start + CHUNK;
        uint32_t sum = 0;
        uint32_t square = 0;
        for (size_t i = start; i < end; i++) {
            sum += pixel[i];
            square += (uint32_t)pixel[i] * pixel[i];
        }
        total.sum += sum;
        total.square += square;
    }
    return total;
}

/* From sums of whole numbers: the same on every machine. */
static void measure_pixels(lo_prepared *prepared)
{
    const lo_prepared_part *train = &prepared->part[LO_PART_TRAIN];
    const uint8_t *pixel = train->source;
    const int32_t channels = prepared->shape.channels;
    const size_t plane = (size_t)prepared->shape.height * (size_t)prepared->shape.width;
    for (int32_t c = 0; c < channels; c++) {
        uint64_t sum = 0;
        uint64_t square = 0;
        for (int64_t i = 0; i < train->count; i++) {
            const size_t at = ((size_t)train->index[i] * (size_t)channels + (size_t)c) * plane;
            const pixel_sums one = sum_pixels(pixel + at, plane);
            sum += one.sum;
            square += one.square;
        }
        const double n = (double)train->count * (double)plane;
        /* n^2 times the variance, exactly: both products need more than 64 bits. */
        const unsigned __int128 spread =
            (unsigned __int128)((uint64_t)train->count * plane) * square - (unsigned __int128)sum * sum;
        const double deviation = spread > 0 ? sqrt((double)spread) / n : 1.0;
        prepared->scale[c] = (float)(1.0 / deviation);
        prepared->shift[c] = (float)(-((double)sum / n) / deviation);
    }
}

/* Means and sums of squared deviations of channels, updated by a plane of one example at a time (T. F. Chan,
 * G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
 * 1979): stable where the mean is large, in one pass over the examples. */
typedef struct moments {
    double mean, square;
} moments;

static void add_plane(moments *m, const float *value, size_t plane, int64_t planes_before)
{
    double sum = 0;
    double square = 0;
    for (size_t i = 0; i < plane; i++) {
        sum += (double)value[i];
    }
    const double mean = sum / (double)plane;
    for (size_t i = 0; i < plane; i++) {
        square += ((double)value[i] - mean) * ((double)value[i] - mean);
    }
    const double share = 1.0 / (double)(planes_before + 1);
    const double change = mean - m->mean;
    m->mean += change * share;
    m->square += square + change * change * (double)plane * (double)planes_before * share;
}

static lo_status measure_features(lo_prepared *prepared, lo_error *err)
{
    const lo_prepared_part *train = &prepared->part[LO_PART_TRAIN];
    const float *feature = train->source;
    const size_t channels = (size_t)prepared->shape.channels;
    const size_t plane = (size_t)prepared->shape.height * (size_t)prepared->shape.width;
    moments *m = calloc(channels, sizeof(*m));
    if (m == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu features", channels);
    }
    for (int64_t i = 0; i < train->count; i++) {
        const float *example = feature + (size_t)train->index[i] * channels * plane;
        for (size_t c = 0; c < channels; c++) {
            add_plane(&m[c], example + c * plane, plane, i);
        }
    }
    for (size_t c = 0; c < channels; c++) {
        const double variance = m[c].square / ((double)train->count * (double)plane);
        /* The values of a constant feature of which float32 has no exact mean must not be blown up. */
        const bool varies = sqrt(variance) > 1e-9 * fabs(m[c].mean) && sqrt(variance) > 1e-30;
        const double deviation = varies ? sqrt(variance) : 1.0;
        prepared->scale[c] = (float)(1.0 / deviation);
        prepared->shift[c] = (float)(-m[c].mean / deviation);
    }
    free(m);
    return LO_OK;
}

/* Mean 0 and standard deviation 1 over the training examples; a channel without variation is only shifted.
 * Raw: features as they are, and pixels from 0 to 1. */
static lo_status measure_scale(lo_prepared *prepared, bool raw, lo_error *err)
{
    const size_t channels = (size_t)prepared->shape.channels;
    prepared->scale = calloc(channels, sizeof(*prepared->scale));
    prepared->shift = calloc(channels, sizeof(*prepared->shift));
    if (prepared->scale == NULL || prepared->shift == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu channels", channels);
    }
    if (!raw && prepared->element == LO_FEATURES) {
        return measure_features(prepared, err);
    }
    if (!raw) {
        measure_pixels(prepared);
        return LO_OK;
    }
    for (size_t c = 0; c < channels; c++) {
        prepared->scale[c] = prepared->element == LO_FEATURES ? 1.0F : 1.0F / 255;
    }
    return LO_OK;
}

lo_status lo_data_spec_check(const lo_data_spec *spec, lo_error *err)
{
    if (spec->train_limit < 0 || spec->test_limit < 0) {
        return lo_fail(err, LO_USAGE, "data.%s: found %lld, allowed 0 (all) or more",
                       spec->train_limit < 0 ? "train_limit" : "test_limit",
                       (long long)(spec->train_limit < 0 ? spec->train_limit : spec->test_limit));
    }
    if (!(spec->validation >= 0.0 && spec->validation < 1.0)) { /* not a number is refused too */
        return lo_fail(err, LO_USAGE, "data.validation: found %g, allowed 0 to below 1", spec->validation);
    }
    if (!(spec->label_noise >= 0.0 && spec->label_noise < 1.0)) {
        return lo_fail(err, LO_USAGE, "data.label_noise: found %g, allowed 0 to below 1", spec->label_noise);
    }
    if ((spec->read.resize_height > 0) != (spec->read.resize_width > 0)) {
        return lo_fail(err, LO_USAGE, "data.resize: found one number, allowed two, [height, width], or none");
    }
    if (spec->reader == NULL) {
        return lo_fail(err, LO_USAGE,
                       "data.format: allowed is one of those that `leaveout methods` lists as readers");
    }
    return LO_OK;
}

static lo_status check_limit(const lo_data_spec *spec, const char *key, int64_t limit, int64_t count,
                             lo_error *err)
{
    if (limit > count) {
        return lo_fail(err, LO_USAGE, "data.%s: found %lld, allowed at most %lld, the examples in %s", key,
                       (long long)limit, (long long)count, spec->path);
    }
    return LO_OK;
}

/* Examples of a part that can be taken. */
static int64_t available(const lo_source_part *part)
{
    int64_t count = part->count;
    for (int64_t i = 0; part->missing != NULL && i < part->count; i++) {
        count -= part->missing[i];
    }
    return count;
}

static int32_t classes_of(const lo_source *source, bool coarse)
{
    return coarse ? source->coarse_classes : source->classes;
}

static lo_status check_source(const lo_data_spec *spec, const lo_source *source, lo_error *err)
{
    LO_TRY(check_limit(spec, "train_limit", spec->train_limit, available(&source->train), err));
    LO_TRY(check_limit(spec, "test_limit", spec->test_limit, available(&source->test), err));
    if (source->train.count > INT32_MAX || source->test.count > INT32_MAX) {
        return lo_fail(err, LO_DATA, "%s: found %lld training and %lld test examples, allowed %d of each",
                       spec->path, (long long)source->train.count, (long long)source->test.count, INT32_MAX);
    }
    if (spec->coarse && source->coarse_classes == 0) {
        return lo_fail(err, LO_USAGE, "data.labels: found coarse, but %s has one level of classes",
                       spec->path);
    }
    if (spec->label_noise > 0.0 && classes_of(source, spec->coarse) < 2) {
        return lo_fail(err, LO_USAGE,
                       "data.label_noise: found %g, but %s has one class: no label can be replaced",
                       spec->label_noise, spec->path);
    }
    return LO_OK;
}

static lo_status prepare_parts(const lo_data_spec *spec, const lo_source *source, lo_prepared *prepared,
                               lo_error *err)
{
    lo_prepared_part *train = &prepared->part[LO_PART_TRAIN];
    const int32_t classes = classes_of(source, spec->coarse);
    const lo_random for_limit = lo_random_make(spec->seed, LO_FOR_LIMIT);
    LO_TRY(limit_part(&source->train, spec->coarse, classes, spec->train_limit, for_limit, STREAM_TRAIN,
                      train, err));
    LO_TRY(limit_part(&source->test, spec->coarse, classes, spec->test_limit, for_limit, STREAM_TEST,
                      &prepared->part[LO_PART_TEST], err));
    LO_TRY(split_validation(train, &prepared->part[LO_PART_VALIDATION], classes, spec->validation,
                            lo_random_make(spec->seed, LO_FOR_VALIDATION), err));
    if (train->count < 2) {
        return lo_fail(err, LO_USAGE,
                       "data: %lld training examples are left of %s (%lld examples, train_limit %lld, "
                       "validation %g); at "
                       "least 2 are needed",
                       (long long)train->count, spec->path, (long long)source->train.count,
                       (long long)spec->train_limit, spec->validation);
    }
    LO_TRY(add_noise(train, classes, spec->label_noise, lo_random_make(spec->seed, LO_FOR_NOISE), err));
    return measure_scale(prepared, spec->raw, err);
}

static void prepared_free(lo_prepared *prepared)
{
    for (int p = 0; p < LO_PARTS; p++) {
        free(prepared->part[p].index);
        free(prepared->part[p].label);
        free(prepared->part[p].label_true);
    }
    free(prepared->scale);
    free(prepared->shift);
}

lo_status lo_dataset_prepare_source(const lo_data_spec *spec, const lo_source *source, const char *file,
                                    lo_error *err)
{
    LO_TRY(check_source(spec, source, err));
    lo_prepared prepared = {.shape = source->shape,
                            .element = source->element,
                            .fine_classes = source->classes,
                            .coarse_classes = source->coarse_classes,
                            .coarse = spec->coarse,
                            .fine_name = source->class_name,
                            .coarse_name = source->coarse_name,
                            .digest = spec->digest};
    lo_status status = prepare_parts(spec, source, &prepared, err);
    if (status == LO_OK) {
        status = lo_prepared_write(&prepared, file, err);
    }
    prepared_free(&prepared);
    return status;
}

lo_status lo_dataset_prepare(const lo_data_spec *spec, const char *file, lo_error *err)
{
    LO_TRY(lo_data_spec_check(spec, err));
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof(directory), "%s", file);
    lo_read_options options = spec->read;
    options.scratch = options.scratch != NULL ? options.scratch : dirname(directory);
    lo_source source = {0};
    lo_status status = spec->reader->read(spec->path, &options, &source, err);
    if (status == LO_OK) {
        status = lo_dataset_prepare_source(spec, &source, file, err);
    }
    lo_source_free(&source);
    return status;
}
