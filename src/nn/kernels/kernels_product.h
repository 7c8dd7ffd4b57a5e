/* Part of kernels_body.h: products of matrices. Sizes and steps of operands are in words here. */

/* C [rows, vectors * VEC] (+)= A [rows, k] B [k, vectors * VEC]: a register tile. B is packed (its rows are
 * contiguous). A's rows are reached from every third one, to spare address registers. */
INLINE void tile_by_rows(const int rows, const int vectors, size_t k, const float *a, size_t a_row,
                         const float *b, float *c, size_t c_row, bool accumulate)
{
    V sum[ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        sum[i][0] = accumulate ? load(c + (size_t)i * c_row) : all(0);
        sum[i][1] = accumulate && vectors > 1 ? load(c + (size_t)i * c_row + VEC) : all(0);
    }
    const float *base[(ROWS + 2) / 3];
#pragma GCC unroll 16
    for (int i = 0; i < (rows + 2) / 3; i++) {
        base[i] = a + (size_t)(3 * i) * a_row;
    }
    for (size_t p = 0; p < k; p++) {
        const V b0 = load(b);
        const V b1 = vectors > 1 ? load(b + VEC) : b0;
        b += vectors * VEC;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const V x = all(base[i / 3][(size_t)(i % 3) * a_row + p]);
            sum[i][0] = multiply_(x, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = multiply_(x, b1, sum[i][1]);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        store(c + (size_t)i * c_row, sum[i][0]);
        if (vectors > 1) {
            store(c + (size_t)i * c_row + VEC, sum[i][1]);
        }
    }
}

/* The same with A given by columns: element (i, p) is a[i + p * a_column]. */
INLINE void tile_by_columns(const int rows, const int vectors, size_t k, const float *a, size_t a_column,
                            const float *b, float *c, size_t c_row, bool accumulate)
{
    V sum[ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        sum[i][0] = accumulate ? load(c + (size_t)i * c_row) : all(0);
        sum[i][1] = accumulate && vectors > 1 ? load(c + (size_t)i * c_row + VEC) : all(0);
    }
    for (size_t p = 0; p < k; p++) {
        const V b0 = load(b);
        const V b1 = vectors > 1 ? load(b + VEC) : b0;
        b += vectors * VEC;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const V x = all(a[i]);
            sum[i][0] = multiply_(x, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = multiply_(x, b1, sum[i][1]);
            }
        }
        a += a_column;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        store(c + (size_t)i * c_row, sum[i][0]);
        if (vectors > 1) {
            store(c + (size_t)i * c_row + VEC, sum[i][1]);
        }
    }
}

typedef void tile_function(size_t k, const float *a, size_t a_step, const float *b, float *c, size_t c_row,
                           bool accumulate);

#define TILE(rows, vectors)                                                                                  \
    static void tile_r##rows##_##vectors(size_t k, const float *a, size_t a_step, const float *b, float *c,  \
                                         size_t c_row, bool accumulate)                                      \
    {                                                                                                        \
        tile_by_rows(rows, vectors, k, a, a_step, b, c, c_row, accumulate);                                  \
    }                                                                                                        \
    static void tile_c##rows##_##vectors(size_t k, const float *a, size_t a_step, const float *b, float *c,  \
                                         size_t c_row, bool accumulate)                                      \
    {                                                                                                        \
        tile_by_columns(rows, vectors, k, a, a_step, b, c, c_row, accumulate);                               \
    }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define ENTRY(rows)                                                                                          \
    {                                                                                                        \
        {tile_r##rows##_1, tile_r##rows##_2},                                                                \
        {                                                                                                    \
            tile_c##rows##_1, tile_c##rows##_2                                                               \
        }                                                                                                    \
    }

TILES(1)
TILES(2)
TILES(3)
TILES(4)
#if ROWS >= 6
TILES(5)
TILES(6)
#endif
#if ROWS >= 14
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12) TILES(13) TILES(14)
#endif

    /* [rows - 1][A by columns][vectors - 1] */
    static tile_function *const tiles[ROWS][2][2] = {
        ENTRY(1), ENTRY(2), ENTRY(3), ENTRY(4),
#if ROWS >= 6
        ENTRY(5), ENTRY(6),
#endif
#if ROWS >= 14
        ENTRY(7), ENTRY(8), ENTRY(9), ENTRY(10), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14),
#endif
};

/* A column panel of C, all m rows, in register tiles of nearly equal height. */
static void panel_product(size_t m, size_t k, const float *a, size_t a_row, size_t a_column,
                          const float *packed, size_t vectors, float *c, size_t c_row, bool accumulate)
{
    const bool by_columns = a_row == 1;
    size_t left = (m + ROWS - 1) / ROWS;
    for (size_t i = 0; i < m; left--) {
        const size_t rows = (m - i + left - 1) / left;
        tiles[rows - 1][by_columns][vectors - 1](k, a + i * a_row, by_columns ? a_column : a_row, packed,
                                                 c + i * c_row, c_row, accumulate);
        i += rows;
    }
}

/* Rows of A that are packed at once: with DEPTH, what the second-level cache holds beside the rest. An A that
 * is used as it is needs no blocks. */
enum {
    BLOCK_ROWS = PACK_A ? 256 : INT32_MAX,
    WORDS_STEP = DEPTH + LO_LANES,
    A_WORDS = PACK_A ? BLOCK_ROWS * WORDS_STEP : 1,
    B_WORDS = PACK_A ? PANEL * WORDS_STEP : 1
};

typedef float four_floats __attribute__((vector_size(16)));
typedef float four_memory __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define shuffle4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef shuffle4 /* GCC before 12 */
typedef int four_ints __attribute__((vector_size(16)));
#define shuffle4(a, b, ...) __builtin_shuffle(a, b, (four_ints){__VA_ARGS__})
#endif

/* to[j][i] = from[i][j] for a block of 4 by 4. */
INLINE void transpose4(const float *from, size_t from_row, float *to, size_t to_row)
{
    const four_floats r0 = *(const four_memory *)from;
    const four_floats r1 = *(const four_memory *)(from + from_row);
    const four_floats r2 = *(const four_memory *)(from + 2 * from_row);
    const four_floats r3 = *(const four_memory *)(from + 3 * from_row);
    const four_floats a = shuffle4(r0, r1, 0, 4, 1, 5);
    const four_floats b = shuffle4(r2, r3, 0, 4, 1, 5);
    const four_floats c = shuffle4(r0, r1, 2, 6, 3, 7);
    const four_floats d = shuffle4(r2, r3, 2, 6, 3, 7);
    *(four_memory *)to = shuffle4(a, b, 0, 1, 4, 5);
    *(four_memory *)(to + to_row) = shuffle4(a, b, 2, 3, 6, 7);
    *(four_memory *)(to + 2 * to_row) = shuffle4(c, d, 0, 1, 4, 5);
    *(four_memory *)(to + 3 * to_row) = shuffle4(c, d, 2, 3, 6, 7);
}

/* to [columns, rows] = the transpose of from [rows, columns]. */
static void transpose(const float *from, size_t from_row, size_t rows, size_t columns, float *to,
                      size_t to_row)
{
    for (size_t i = 0; i < rows; i += 4) {
        for (size_t j = 0; j < columns; j += 4) {
            if (i + 4 <= rows && j + 4 <= columns) {
                transpose4(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
                continue;
            }
            for (size_t p = i; p < rows && p < i + 4; p++) {
                for (size_t q = j; q < columns && q < j + 4; q++) {
                    to[q * to_row + p] = from[p * from_row + q];
                }
            }
        }
    }
}

/* Words of the values k, k + 1 of VEC columns; odd is NULL where the sum ends with k. */
INLINE V load_word(const float *even, const float *odd)
{
    return word_(load(even), PAIRS > 1 && odd != NULL ? load(odd) : all(0));
}

/* to [ceil(k / PAIRS), columns]: words of from [k, columns], a matrix whose rows follow each other along the
 * sum. `to` has room for whole vectors. */
static void pack_columns(const float *from, size_t from_row, size_t k, size_t columns, float *to,
                         size_t to_row)
{
    for (size_t p = 0; p < k; p += PAIRS, to += to_row) {
        const float *even = from + p * from_row;
        const float *odd = PAIRS > 1 && p + 1 < k ? even + from_row : NULL;
        size_t j = 0;
        for (; j + VEC <= columns; j += VEC) {
            store(to + j, load_word(even + j, odd != NULL ? odd + j : NULL));
        }
        if (j < columns) {
            float edge[2][VEC] = {{0}};
            memcpy(edge[0], even + j, (columns - j) * sizeof(float));
            if (odd != NULL) {
                memcpy(edge[1], odd + j, (columns - j) * sizeof(float));
            }
            store(to + j, load_word(edge[0], edge[1]));
        }
    }
}

/* to [rows, ceil(k / PAIRS)]: words of from [rows, k], a matrix whose columns follow each other along the
 * sum. A row of `to` has room for whole vectors. */
static void pack_rows(const float *from, size_t from_row, size_t k, size_t rows, float *to, size_t to_row)
{
    for (size_t i = 0; i < rows; i++, from += from_row, to += to_row) {
        size_t p = 0;
        for (; p + VEC <= k; p += VEC) {
            narrow_(to + p / PAIRS, load(from + p));
        }
        if (p < k) {
            float edge[VEC] = {0};
            memcpy(edge, from + p, (k - p) * sizeof(float));
            narrow_(to + p / PAIRS, load(edge));
        }
    }
}

INLINE size_t words_of(size_t k)
{
    return (k + PAIRS - 1) / PAIRS;
}

/* B's panel of `width` columns: words [ceil(k / PAIRS), width]. */
static void pack_panel(const lo_gemm *g, size_t k0, size_t k, size_t j0, size_t width, float *packed)
{
    if (g->b_column == 1) {
        pack_columns(g->b + k0 * g->b_row + j0, g->b_row, k, width, packed, width);
        return;
    }
    const float *from = g->b + j0 * g->b_column + k0;
    if (!PACK_A) {
        transpose(from, g->b_column, width, k, packed, width);
        return;
    }
    float words[B_WORDS] __attribute__((aligned(64)));
    pack_rows(from, g->b_column, k, width, words, WORDS_STEP);
    transpose(words, WORDS_STEP, width, words_of(k), packed, width);
}

/* One block of the sum, k values from k0 on, for `rows` rows of C from i0 on. */
static void block_product(const lo_gemm *g, size_t k0, size_t k, size_t i0, size_t rows)
{
    const float *a = g->a + i0 * g->a_row + k0 * g->a_column;
    size_t a_row = g->a_row, a_column = g->a_column;
    float words[A_WORDS] __attribute__((aligned(64)));
    if (PACK_A && g->a_column == 1) {
        pack_rows(a, g->a_row, k, rows, words, WORDS_STEP);
        a = words;
        a_row = WORDS_STEP;
    } else if (PACK_A) {
        a_column = lo_padded(rows);
        pack_columns(a, g->a_column, k, rows, words, a_column);
        a = words;
    }
    float packed[DEPTH * PANEL] __attribute__((aligned(64)));
    for (size_t j = 0; j < g->n; j += PANEL) {
        const size_t width = g->n - j < PANEL ? g->n - j : PANEL;
        pack_panel(g, k0, k, j, width, packed);
        panel_product(rows, words_of(k), a, a_row, a_column, packed, width / VEC, g->c + i0 * g->c_row + j,
                      g->c_row, g->accumulate || k0 > 0);
    }
}

static void gemm(const lo_gemm *g)
{
    /* A sum of equal blocks, but for the last, of whole words. */
    const size_t words = words_of(g->k);
    size_t blocks = (words + DEPTH - 1) / DEPTH;
    for (size_t w = 0; w < words; blocks--) {
        const size_t depth = (words - w + blocks - 1) / blocks, k0 = w * PAIRS;
        const size_t k = g->k - k0 < depth * PAIRS ? g->k - k0 : depth * PAIRS;
        for (size_t i = 0; i < g->m; i += BLOCK_ROWS) {
            block_product(g, k0, k, i, g->m - i < BLOCK_ROWS ? g->m - i : BLOCK_ROWS);
        }
        w += depth;
    }
}

static double peak(size_t work, float *result)
{
    enum { CHAINS = 12 };
    V x[CHAINS];
    const V factor = all(*result), term = all(1.0F);
    for (int i = 0; i < CHAINS; i++) {
        x[i] = all((float)i);
    }
    const size_t rounds = work / (CHAINS * PAIRS * VEC) + 1;
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            x[i] = multiply_(factor, term, x[i]);
        }
    }
    V sum = x[0];
    for (int i = 1; i < CHAINS; i++) {
        sum += x[i];
    }
    *result = sum[0];
    return 2.0 * (double)rounds * CHAINS * PAIRS * VEC;
}
