#include "data/twins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where an example's bytes are, and how many. */
static size_t bytes_of(const lo_dataset *data, const lo_examples *from, int64_t i, const uint8_t **at)
{
    const size_t values = lo_shape_size(data->shape);
    if (from->pixel != NULL) {
        *at = from->pixel + (size_t)i * values;
        return values;
    }
    *at = (const uint8_t *)(from->feature + (size_t)i * values);
    return values * sizeof(*from->feature);
}

/* Eight bytes at a time, each mixed in by a multiplication and a rotation; the finish is that of splitmix64
 * (Steele, Lea and Flood, OOPSLA 2014). Equal digests are no proof: bytes are compared. */
static uint64_t digest_of(const uint8_t *at, size_t size)
{
    uint64_t digest = 0x9e3779b97f4a7c15 ^ size;
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, at + i, size - i < sizeof(word) ? size - i : sizeof(word));
        digest = (digest ^ word) * 0xbf58476d1ce4e5b9;
        digest ^= digest >> 29;
    }
    digest = (digest ^ (digest >> 27)) * 0x94d049bb133111eb;
    return digest ^ (digest >> 31);
}

typedef struct known {
    uint64_t digest;
    int64_t example; /* of the training set */
} known;

static int by_digest(const void *a, const void *b)
{
    const known *x = a, *y = b;
    if (x->digest != y->digest) {
        return x->digest < y->digest ? -1 : 1;
    }
    return x->example < y->example ? -1 : x->example > y->example;
}

/* The first training example with these bytes; -1: none. */
static int64_t find(const lo_dataset *data, const known *all, const uint8_t *bytes, size_t size)
{
    const uint64_t digest = digest_of(bytes, size);
    int64_t low = 0, high = data->train.count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (all[middle].digest < digest) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < data->train.count && all[low].digest == digest; low++) {
        const uint8_t *its;
        if (bytes_of(data, &data->train, all[low].example, &its) == size && memcmp(its, bytes, size) == 0) {
            return all[low].example;
        }
    }
    return -1;
}

static void compare(const lo_dataset *data, const known *all, const lo_examples *part, lo_twins *out)
{
    *out = (lo_twins){0};
    for (int64_t i = 0; i < part->count; i++) {
        const uint8_t *bytes;
        const size_t size = bytes_of(data, part, i, &bytes);
        const int64_t example = find(data, all, bytes, size);
        if (example >= 0 && out->count < LO_TWINS_SHOWN) {
            out->own[out->count] = part->index[i];
            out->train[out->count] = data->train.index[example];
        }
        out->count += example >= 0;
    }
}

lo_status lo_find_twins(const lo_dataset *data, lo_twins *test, lo_twins *validation, lo_error *err)
{
    const int64_t n = data->train.count;
    known *all = malloc((size_t)n * sizeof(*all) + 1);
    if (all == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for digests of %" PRId64 " examples", n);
    }
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *bytes;
        const size_t size = bytes_of(data, &data->train, i, &bytes);
        all[i] = (known){digest_of(bytes, size), i};
    }
    qsort(all, (size_t)n, sizeof(*all), by_digest);
    compare(data, all, &data->test, test);
    compare(data, all, &data->validation, validation);
    free(all);
    return LO_OK;
}

void lo_twins_text(const lo_twins *overlap, const char *part, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int64_t i = 0; i < overlap->count && i < LO_TWINS_SHOWN && used < size; i++) {
        const int length = snprintf(out + used, size - used, "%s%s %" PRId64 " is training %" PRId64,
                                    i > 0 ? ", " : "", part, overlap->own[i], overlap->train[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    if (overlap->count > LO_TWINS_SHOWN && used < size) {
        (void)snprintf(out + used, size - used, ", ...");
    }
}
