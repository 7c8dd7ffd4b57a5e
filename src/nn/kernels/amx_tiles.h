/* The tile unit of AMX, as far as products of bfloat16 need it, and the packing of its operands by AVX-512.
 *
 * There are eight registers, tiles, of up to 16 rows of 64 bytes. They are used as one block: two tiles of
 * the left operand (A, a row of 16 pairs for each row of the sums), two of the right one (B, a row of 16
 * columns for each pair) and the 2 x 2 tiles of their products' sums in float32. A pair is two neighbours
 * along k, the even one in the low half of a word. In memory an operand's tile is 1 KB in one piece: TILE
 * words.
 *
 * kernels_tiles.h uses these functions and nothing else of the machine; the tests include it with others
 * that do the same in plain C. */
#ifndef LEAVEOUT_NN_AMX_TILES_H
#define LEAVEOUT_NN_AMX_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { TILE_SIDE = 16, TILE_DEPTH = 32, TILE = 256, TILE_ROW_BYTES = 64 };

/* What ldtilecfg reads. Tiles 0 to 3: sums, 4 and 5: left, 6 and 7: right. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

#define TILE_INLINE static inline __attribute__((always_inline))

/* GCC 12 declares 8 of the bytes that ldtilecfg reads, and none of those that tileloadd reads: stores before
 * them could be moved behind them, or dropped. */
TILE_INLINE void finish_stores(void)
{
    __asm__ volatile("" ::: "memory");
}

TILE_INLINE void tiles_configure(const tile_config *config)
{
    finish_stores();
    _tile_loadconfig(config);
}

TILE_INLINE void tiles_release(void)
{
    _tile_release();
}

/* The intrinsics want the tile's number as a literal. */
#define BY_SUM(i, j, use)                                                                                    \
    do {                                                                                                     \
        if ((i) == 0 && (j) == 0) {                                                                          \
            use(0, 4, 6);                                                                                    \
        } else if ((i) == 0) {                                                                               \
            use(1, 4, 7);                                                                                    \
        } else if ((j) == 0) {                                                                               \
            use(2, 5, 6);                                                                                    \
        } else {                                                                                             \
            use(3, 5, 7);                                                                                    \
        }                                                                                                    \
    } while (0)

TILE_INLINE void sum_zero(const int i, const int j)
{
#define ZERO(sum, left, right) _tile_zero(sum)
    BY_SUM(i, j, ZERO);
#undef ZERO
}

/* row: bytes from one row in memory to the next. */
TILE_INLINE void sum_load(const int i, const int j, const float *from, size_t row)
{
    finish_stores();
#define LOAD(sum, left, right) _tile_loadd(sum, from, row)
    BY_SUM(i, j, LOAD);
#undef LOAD
}

TILE_INLINE void sum_store(const int i, const int j, float *to, size_t row)
{
#define STORE(sum, left, right) _tile_stored(sum, to, row)
    BY_SUM(i, j, STORE);
#undef STORE
    finish_stores();
}

TILE_INLINE void left_load(const int i, const uint32_t *from)
{
    finish_stores();
    if (i == 0) {
        _tile_loadd(4, from, TILE_ROW_BYTES);
    } else {
        _tile_loadd(5, from, TILE_ROW_BYTES);
    }
}

TILE_INLINE void right_load(const int j, const uint32_t *from)
{
    finish_stores();
    if (j == 0) {
        _tile_loadd(6, from, TILE_ROW_BYTES);
    } else {
        _tile_loadd(7, from, TILE_ROW_BYTES);
    }
}

/* sum (i, j) += left i * right j */
TILE_INLINE void sum_add(const int i, const int j)
{
#define ADD(sum, left, right) _tile_dpbf16ps(sum, left, right)
    BY_SUM(i, j, ADD);
#undef ADD
}

TILE_INLINE __mmask16 lanes_below(size_t count)
{
    return (__mmask16)(count < 16 ? (1U << count) - 1 : 0xffff);
}

/* to [16] = the pairs of from [count], rounded to bfloat16, zeros behind them; 1 <= count <= 32. */
TILE_INLINE void round_along(const float *from, size_t count, uint32_t *to)
{
    const __m512 low = _mm512_maskz_loadu_ps(lanes_below(count), from);
    __m512 high = _mm512_setzero_ps();
    if (count > 16) {
        high = _mm512_maskz_loadu_ps(lanes_below(count - 16), from + 16);
    }
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* to [16] = pairs (even [i], odd [i]), rounded, zeros from i = count on; count <= 16. */
TILE_INLINE void round_across(const float *even, const float *odd, size_t count, uint32_t *to)
{
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                                23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __mmask16 lanes = lanes_below(count);
    const __m512 low = _mm512_maskz_loadu_ps(lanes, even);
    const __m512 high = odd != NULL ? _mm512_maskz_loadu_ps(lanes, odd) : _mm512_setzero_ps();
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(interleave, both));
}

/* Transposes 16 x 16 words in place. */
TILE_INLINE void tile_transpose(uint32_t *tile)
{
    __m512i a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        a[i] = _mm512_loadu_si512(tile + 16 * i);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) { /* 2 x 2 words within each quarter of a register */
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) { /* 4 x 4 */
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* whole quarters */
        b[i] = _mm512_shuffle_i32x4(a[i], a[4 + i], 0x88);
        b[4 + i] = _mm512_shuffle_i32x4(a[i], a[4 + i], 0xdd);
        b[8 + i] = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0x88);
        b[12 + i] = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0xdd);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        _mm512_storeu_si512(tile + 16 * i, _mm512_shuffle_i32x4(b[i], b[8 + i], 0x88));
        _mm512_storeu_si512(tile + 16 * (8 + i), _mm512_shuffle_i32x4(b[i], b[8 + i], 0xdd));
    }
}

#endif
