#include "score/subset.h"

#include <math.h>

/* A row's heap of the strongest so far, its weakest on top, kept in the caller's output. */
typedef struct heap {
    int64_t *index;
    float *value;
    int64_t size;
} heap;

static bool weaker(float a, int64_t a_index, float b, int64_t b_index)
{
    const float x = fabsf(a), y = fabsf(b);
    return x < y || (x == y && a_index > b_index);
}

static bool weaker_at(const heap *h, int64_t a, int64_t b)
{
    return weaker(h->value[a], h->index[a], h->value[b], h->index[b]);
}

static void swap(heap *h, int64_t a, int64_t b)
{
    const float value = h->value[a];
    const int64_t index = h->index[a];
    h->value[a] = h->value[b];
    h->index[a] = h->index[b];
    h->value[b] = value;
    h->index[b] = index;
}

static void sift_up(heap *h, int64_t at)
{
    while (at > 0 && weaker_at(h, at, (at - 1) / 2)) {
        swap(h, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(heap *h, int64_t at)
{
    for (;;) {
        int64_t weakest = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < h->size; child++) {
            weakest = weaker_at(h, child, weakest) ? child : weakest;
        }
        if (weakest == at) {
            return;
        }
        swap(h, at, weakest);
        at = weakest;
    }
}

static void strongest_of_row(const float *values, int64_t count, int64_t k, int64_t *index, float *value)
{
    heap h = {.index = index, .value = value};
    for (int64_t i = 0; i < count; i++) {
        if (isnan(values[i])) {
            continue;
        }
        if (h.size < k) {
            h.value[h.size] = values[i];
            h.index[h.size] = i;
            sift_up(&h, h.size++);
        } else if (weaker(h.value[0], h.index[0], values[i], i)) {
            h.value[0] = values[i];
            h.index[0] = i;
            sift_down(&h, 0);
        }
    }
    for (int64_t i = h.size; i < k; i++) {
        index[i] = -1;
        value[i] = NAN;
    }
    while (h.size > 1) { /* the weakest goes to the end: strongest first remains */
        swap(&h, 0, --h.size);
        sift_down(&h, 0);
    }
}

void lo_strongest(const float *values, int64_t rows, int64_t count, int64_t k, int64_t *index, float *value)
{
    if (k <= 0) {
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        strongest_of_row(values + r * count, count, k, index + r * k, value + r * k);
    }
}
