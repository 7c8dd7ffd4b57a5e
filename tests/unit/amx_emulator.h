/* The tile unit of AMX in plain C, by the operations of Intel's Software Developer's Manual (volume 2:
 * LDTILECFG, TILELOADD, TILESTORED, TILEZERO, TDPBF16PS), with what it refuses. tiles_emulated.h and
 * amx_trap.h stand on it. */
#ifndef LEAVEOUT_TESTS_AMX_EMULATOR_H
#define LEAVEOUT_TESTS_AMX_EMULATOR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64 };

typedef struct amx_state {
    bool configured;
    uint8_t rows[AMX_TILES];
    uint16_t row_bytes[AMX_TILES];
    uint8_t data[AMX_TILES][AMX_ROWS][AMX_ROW_BYTES];
    long products, loads, configurations;
} amx_state;

static amx_state amx;

/* What the processor answers by a fault ends the test. */
static inline void amx_demand(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "AMX: %s\n", what);
        abort();
    }
}

/* The 64 bytes that ldtilecfg reads. */
static inline void amx_configure(const void *memory)
{
    uint8_t bytes[64];
    memcpy(bytes, memory, sizeof(bytes));
    amx_demand(bytes[0] == 1 && bytes[1] == 0, "palette 1 from row 0");
    for (int i = 2; i < 16; i++) {
        amx_demand(bytes[i] == 0, "reserved bytes are zero");
    }
    for (int t = 0; t < 16; t++) {
        uint16_t row_bytes;
        memcpy(&row_bytes, bytes + 16 + 2 * t, sizeof(row_bytes));
        const uint8_t rows = bytes[48 + t];
        if (t >= AMX_TILES) {
            amx_demand(row_bytes == 0 && rows == 0, "eight tiles");
            continue;
        }
        amx_demand(row_bytes <= AMX_ROW_BYTES && rows <= AMX_ROWS, "tiles of 16 rows of 64 bytes");
        amx_demand((row_bytes == 0) == (rows == 0), "rows and bytes both or neither");
        amx.row_bytes[t] = row_bytes;
        amx.rows[t] = rows;
    }
    memset(amx.data, 0, sizeof(amx.data));
    amx.configured = true;
    amx.configurations++;
}

static inline void amx_release(void)
{
    amx.configured = false;
    memset(amx.data, 0, sizeof(amx.data));
}

static inline void amx_demand_tile(int t)
{
    amx_demand(amx.configured && amx.rows[t] > 0, "a tile that is configured");
}

static inline void amx_zero(int t)
{
    amx_demand_tile(t);
    memset(amx.data[t], 0, sizeof(amx.data[t]));
}

static inline void amx_load(int t, const void *from, ptrdiff_t step)
{
    amx_demand_tile(t);
    memset(amx.data[t], 0, sizeof(amx.data[t]));
    for (int r = 0; r < amx.rows[t]; r++) {
        memcpy(amx.data[t][r], (const uint8_t *)from + r * step, amx.row_bytes[t]);
    }
    amx.loads++;
}

static inline void amx_store(int t, void *to, ptrdiff_t step)
{
    amx_demand_tile(t);
    for (int r = 0; r < amx.rows[t]; r++) {
        memcpy((uint8_t *)to + r * step, amx.data[t][r], amx.row_bytes[t]);
    }
}

static inline float amx_flushed(float x)
{
    return fabsf(x) < 0x1p-126F ? copysignf(0, x) : x;
}

/* sums [16] += a right [16], each rounded once, to nearest; denormals are zeros. A product of two bfloat16 is
 * exact in float32 unless it leaves the range. */
static inline void amx_fused(float a, const float *right, float *sums)
{
    float sum[16];
    int inexact = 0;
    for (int n = 0; n < 16; n++) {
        const float product = a * right[n], size = fabsf(product);
        inexact |= size < 0x1p-126F ? a != 0 && right[n] != 0 : !(size <= 0x1.fffffep+127F);
        sum[n] = product + sums[n];
    }
    for (int n = 0; n < 16 && inexact; n++) {
        sum[n] = fmaf(a, right[n], sums[n]);
    }
    for (int n = 0; n < 16; n++) {
        sums[n] = amx_flushed(sum[n]);
    }
}

static inline float amx_bf16(const uint8_t *at)
{
    uint16_t half;
    float value;
    memcpy(&half, at, sizeof(half));
    const uint32_t word = (uint32_t)half << 16;
    memcpy(&value, &word, sizeof(value));
    return amx_flushed(value);
}

/* sum += left * right: the even and the odd elements of the pairs are summed up each for itself, then their
 * sums, then the old value. */
static inline void amx_multiply(int sum, int left, int right)
{
    amx_demand_tile(sum);
    amx_demand_tile(left);
    amx_demand_tile(right);
    amx_demand(sum != left && sum != right && left != right, "three different tiles");
    amx_demand(amx.row_bytes[sum] % 4 == 0 && amx.row_bytes[left] % 4 == 0, "whole words");
    amx_demand(amx.row_bytes[sum] == amx.row_bytes[right] && amx.rows[sum] == amx.rows[left] &&
                   amx.row_bytes[left] / 4 == amx.rows[right],
               "sizes of a product that agree");
    const int pairs = amx.row_bytes[left] / 4, columns = amx.row_bytes[sum] / 4;
    float even_right[16][16], odd_right[16][16]; /* columns that are not there are zero */
    for (int k = 0; k < pairs; k++) {
        for (int n = 0; n < 16; n++) {
            even_right[k][n] = amx_bf16(amx.data[right][k] + 4 * n);
            odd_right[k][n] = amx_bf16(amx.data[right][k] + 4 * n + 2);
        }
    }
    for (int m = 0; m < amx.rows[sum]; m++) {
        float even[16] = {0}, odd[16] = {0};
        for (int k = 0; k < pairs; k++) {
            amx_fused(amx_bf16(amx.data[left][m] + 4 * k), even_right[k], even);
            amx_fused(amx_bf16(amx.data[left][m] + 4 * k + 2), odd_right[k], odd);
        }
        for (int n = 0; n < columns; n++) {
            float old;
            memcpy(&old, amx.data[sum][m] + 4 * n, sizeof(old));
            const float now = amx_flushed(amx_flushed(old) + amx_flushed(even[n] + odd[n]));
            memcpy(amx.data[sum][m] + 4 * n, &now, sizeof(now));
        }
    }
    amx.products++;
}

#endif
