#include "nn/order.h"

#include "base/random.h"

#include <stddef.h>
#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = (64 + DIGIT_BITS - 1) / DIGIT_BITS };

/* One pass of a least-significant-digit radix sort, which keeps the order of equal digits. */
static void sort_by_digit(const lo_order_entry *from, lo_order_entry *to, int64_t count, int shift)
{
    uint32_t start[DIGITS];
    memset(start, 0, sizeof(start));
    for (int64_t i = 0; i < count; i++) {
        start[from[i].key >> shift & (DIGITS - 1)]++;
    }
    uint32_t sum = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
        const uint32_t here = start[digit];
        start[digit] = sum;
        sum += here;
    }
    for (int64_t i = 0; i < count; i++) {
        to[start[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
    }
}

void lo_epoch_order(uint64_t seed, uint64_t model_seed, int64_t epoch, const uint32_t *members, int64_t count,
                    lo_order_entry *work, uint32_t *order)
{
    const lo_random random = lo_random_make(seed, LO_FOR_ORDER);
    /* One 64-bit name for the pair (model, epoch). */
    const uint64_t stream = lo_random_u64(random, model_seed, (uint64_t)epoch);
    lo_order_entry *from = work, *to = work + count;
    for (int64_t i = 0; i < count; i++) {
        from[i] = (lo_order_entry){lo_random_u64(random, stream, members[i]), members[i]};
    }
    for (int pass = 0; pass < PASSES; pass++) {
        sort_by_digit(from, to, count, pass * DIGIT_BITS);
        lo_order_entry *swap = from;
        from = to;
        to = swap;
    }
    for (int64_t i = 0; i < count; i++) {
        order[i] = from[i].example;
    }
}
