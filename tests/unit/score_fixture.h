/* What the tests of src/score share: explicit random ensembles, one byte a bit. */
#ifndef LEAVEOUT_TESTS_SCORE_FIXTURE_H
#define LEAVEOUT_TESTS_SCORE_FIXTURE_H

#include "base/random.h"
#include "score/subset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* bit [models, count], one byte each, 1 with probability `share`. The caller frees it. */
static inline uint8_t *draw_bits(int64_t models, int64_t count, double share, uint64_t stream)
{
    const lo_random random = lo_random_make(2024, LO_FOR_TEST);
    uint8_t *bit = malloc((size_t)(models * count + 1));
    assert_non_null(bit);
    for (int64_t i = 0; i < models * count; i++) {
        bit[i] = lo_random_unit(random, stream, (uint64_t)i) < (float)share;
    }
    return bit;
}

/* Packs count bytes as bits, from bit `first`; the bits before are ones, to be ignored. The caller frees it.
 */
static inline uint8_t *pack_row(const uint8_t *bit, int64_t count, int64_t first)
{
    uint8_t *row = calloc((size_t)((first + count + 7) / 8 + 1), 1);
    assert_non_null(row);
    for (int64_t i = 0; i < first + count; i++) {
        if (i < first || bit[i - first] != 0) {
            row[i / 8] |= (uint8_t)(1 << (i % 8));
        }
    }
    return row;
}

static inline lo_columns columns_from(const uint8_t *bit, int64_t models, int64_t count)
{
    lo_columns columns;
    assert_int_equal(lo_columns_create(models, count, &columns, NULL), LO_OK);
    for (int64_t m = 0; m < models; m++) {
        uint8_t *row = pack_row(bit + m * count, count, 0);
        lo_columns_set_row(&columns, m, row, 0);
        free(row);
    }
    return columns;
}

#endif
