/* The functions of src/nn/kernels/amx_tiles.h in plain C: includes of kernels_tiles.h after this one run anywhere,
 * under the sanitizers too. */
#ifndef LEAVEOUT_TESTS_AMX_EMULATED_TILES_H
#define LEAVEOUT_TESTS_AMX_EMULATED_TILES_H

#include "amx_emulator.h"

enum { TILE_SIDE = 16, TILE_DEPTH = 32, TILE = 256, TILE_ROW_BYTES = 64 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

#define TILE_INLINE static inline

TILE_INLINE void tiles_configure(const tile_config *config)
{
    amx_configure(config);
}

TILE_INLINE void tiles_release(void)
{
    amx_release();
}

TILE_INLINE void sum_zero(int i, int j)
{
    amx_zero(2 * i + j);
}

TILE_INLINE void sum_load(int i, int j, const float *from, size_t row)
{
    amx_load(2 * i + j, from, (ptrdiff_t)row);
}

TILE_INLINE void sum_store(int i, int j, float *to, size_t row)
{
    amx_store(2 * i + j, to, (ptrdiff_t)row);
}

TILE_INLINE void left_load(int i, const uint32_t *from)
{
    amx_load(4 + i, from, TILE_ROW_BYTES);
}

TILE_INLINE void right_load(int j, const uint32_t *from)
{
    amx_load(6 + j, from, TILE_ROW_BYTES);
}

TILE_INLINE void sum_add(int i, int j)
{
    amx_multiply(2 * i + j, 4 + i, 6 + j);
}

/* As vcvtneps2bf16 does: to nearest, ties to even, NaN made quiet, denormals to zero. */
TILE_INLINE uint32_t rounded(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof(word));
    if (isnan(x)) {
        return word >> 16 | 0x40U;
    }
    if (fabsf(x) < 0x1p-126F) {
        return word >> 16 & 0x8000U;
    }
    return (word + 0x7fffU + (word >> 16 & 1U)) >> 16;
}

TILE_INLINE void round_along(const float *from, size_t count, uint32_t *to)
{
    for (size_t i = 0; i < 32; i += 2) {
        to[i / 2] = (i < count ? rounded(from[i]) : 0) | (i + 1 < count ? rounded(from[i + 1]) : 0) << 16;
    }
}

TILE_INLINE void round_across(const float *even, const float *odd, size_t count, uint32_t *to)
{
    for (size_t i = 0; i < 16; i++) {
        to[i] = i < count ? rounded(even[i]) | (odd != NULL ? rounded(odd[i]) : 0) << 16 : 0;
    }
}

TILE_INLINE void tile_transpose(uint32_t *tile)
{
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < i; j++) {
            const uint32_t word = tile[16 * i + j];
            tile[16 * i + j] = tile[16 * j + i];
            tile[16 * j + i] = word;
        }
    }
}

#endif
