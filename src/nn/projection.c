#include "nn/projection.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 64, /* of the matrix at a time: they fit the cache */
    BITS = 128,
    BYTES = 256,
    TICK_WORK = 1 << 25
};

static lo_random stream_of(const lo_projection *projection)
{
    return lo_random_make(projection->seed, LO_FOR_PROJECTION);
}

size_t lo_projection_step(const lo_projection *projection)
{
    return lo_padded(projection->dimension);
}

size_t lo_projection_scratch(const lo_projection *projection)
{
    const size_t columns = (projection->dimension + BITS - 1) / BITS * BITS;
    return projection->kind == LO_PROJECT_DENSE ? BYTES * 8 + ROWS * columns : 2 * ROWS * projection->entries;
}

float lo_projection_scale(const lo_projection *projection)
{
    const size_t terms = projection->kind == LO_PROJECT_DENSE ? projection->dimension : projection->entries;
    return (float)(1 / sqrt((double)terms));
}

/* ---- dense ---- */

/* The signs of all bytes, [BYTES, 8], from the lowest bit on. */
static void tabulate(float *table)
{
    for (size_t i = 0; i < BYTES * 8; i++) {
        table[i] = (i / 8 >> i % 8 & 1) != 0 ? -1.0F : 1.0F;
    }
}

/* Signs of one parameter, [columns], columns a multiple of BITS: column j is bit j % 128 of the numbers
 * (parameter, j / 128). */
static void dense_row(lo_random random, uint64_t number, size_t columns, const float *table, float *signs)
{
    for (size_t j = 0; j < columns; j += BITS) {
        uint32_t bits[4];
        lo_random_u32x4(random, number, j / BITS, bits);
        for (size_t byte = 0; byte < BITS / 8; byte++) {
            const uint32_t which = bits[byte / 4] >> 8 * (byte % 4) & 0xFFU;
            memcpy(signs + j + 8 * byte, table + 8 * which, 8 * sizeof(float));
        }
    }
}

static lo_status add_dense(const lo_projection *projection, const lo_kernels *kernels, uint64_t number,
                           size_t count, const float *values, size_t step, size_t examples, float *sums,
                           float *scratch, const lo_tick *tick)
{
    const lo_random random = stream_of(projection);
    const size_t columns = (projection->dimension + BITS - 1) / BITS * BITS;
    const size_t piece = TICK_WORK / (ROWS * columns) + 1; /* examples between two ticks */
    float *table = scratch, *signs = scratch + BYTES * 8;
    tabulate(table);
    for (size_t i = 0; i < count; i += ROWS) {
        const size_t rows = count - i < ROWS ? count - i : ROWS;
        for (size_t r = 0; r < rows; r++) {
            dense_row(random, number + i + r, columns, table, signs + r * columns);
        }
        for (size_t n = 0; n < examples; n += piece) {
            kernels->gemm(&(lo_gemm){.m = examples - n < piece ? examples - n : piece,
                                     .n = lo_projection_step(projection),
                                     .k = rows,
                                     .a = values + n * step + i,
                                     .a_row = step,
                                     .a_column = 1,
                                     .b = signs,
                                     .b_row = columns,
                                     .b_column = 1,
                                     .c = sums + n * lo_projection_step(projection),
                                     .c_row = lo_projection_step(projection),
                                     .accumulate = true});
            LO_TRY(lo_tick_call(tick));
        }
    }
    return LO_OK;
}

/* ---- sparse ---- */

/* Entry e of a parameter: its column in run e of the dimensions, and its sign. */
static size_t sparse_entry(const lo_projection *projection, lo_random random, uint64_t number, size_t e,
                           float *sign)
{
    const size_t from = e * projection->dimension / projection->entries;
    const size_t to = (e + 1) * projection->dimension / projection->entries;
    uint32_t bits[4];
    lo_random_u32x4(random, number, e, bits);
    *sign = (bits[1] & 1U) != 0 ? -1.0F : 1.0F;
    return from + (size_t)((uint64_t)bits[0] * (to - from) >> 32);
}

static lo_status add_sparse(const lo_projection *projection, uint64_t number, size_t count,
                            const float *values, size_t step, size_t examples, float *sums, float *scratch,
                            const lo_tick *tick)
{
    const lo_random random = stream_of(projection);
    const size_t entries = projection->entries;
    float *sign = scratch;
    uint32_t *column = (uint32_t *)(void *)(scratch + ROWS * entries);
    for (size_t i = 0; i < count; i += ROWS) {
        const size_t rows = count - i < ROWS ? count - i : ROWS;
        for (size_t k = 0; k < rows * entries; k++) {
            column[k] =
                (uint32_t)sparse_entry(projection, random, number + i + k / entries, k % entries, &sign[k]);
        }
        for (size_t n = 0; n < examples; n++) {
            const float *value = values + n * step + i;
            float *own = sums + n * lo_projection_step(projection);
            for (size_t r = 0; r < rows; r++) {
                for (size_t e = 0; e < entries; e++) {
                    own[column[r * entries + e]] += sign[r * entries + e] * value[r];
                }
            }
        }
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

/* ---- both ---- */

void lo_projection_row(const lo_projection *projection, uint64_t number, float *row)
{
    const lo_random random = stream_of(projection);
    const float scale = lo_projection_scale(projection);
    uint32_t bits[4] = {0};
    for (size_t j = 0; j < projection->dimension; j++) {
        if (j % BITS == 0) {
            lo_random_u32x4(random, number, j / BITS, bits);
        }
        row[j] = (bits[j % BITS / 32] >> j % 32 & 1U) != 0 ? -scale : scale;
        row[j] = projection->kind == LO_PROJECT_DENSE ? row[j] : 0;
    }
    for (size_t e = 0; projection->kind == LO_PROJECT_SPARSE && e < projection->entries; e++) {
        float sign;
        const size_t column = sparse_entry(projection, random, number, e, &sign);
        row[column] = scale * sign;
    }
}

lo_status lo_projection_add(const lo_projection *projection, const lo_kernels *kernels, uint64_t number,
                            size_t count, const float *values, size_t step, size_t examples, float *sums,
                            float *scratch, const lo_tick *tick)
{
    return projection->kind == LO_PROJECT_DENSE
               ? add_dense(projection, kernels, number, count, values, step, examples, sums, scratch, tick)
               : add_sparse(projection, number, count, values, step, examples, sums, scratch, tick);
}
