/* The common body of the kernels. A file of one level defines, before it includes this one:
 *   LEVEL      the table's name          VEC   floats in a vector V
 *   ROWS       rows of a register tile of the matrix product; it has two vectors of columns
 *   all(x), fma_(a, b, c), max_(a, b)   (max_ returns b when one of them is NaN)
 *   pick_(x, a, b)              x > 0 ? a : b, lane by lane
 *   greater_(x, y, a, b)        x > y ? a : b, lane by lane
 *   sqrt_(x)                    the square root, correctly rounded
 * and includes kernels.h. Sums run in an order that only the sizes and VEC decide. */

#define INLINE static inline __attribute__((always_inline))
enum { PANEL = 2 * VEC, DEPTH = 256 };

typedef float vector_memory __attribute__((vector_size(4 * VEC), aligned(4), may_alias));

INLINE V load(const float *p)
{
    return (V) * (const vector_memory *)p;
}

INLINE void store(float *p, V v)
{
    *(vector_memory *)p = (vector_memory)v;
}

/* ---- matrix products
 * ------------------------------------------------------------------------------------------ */

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
            sum[i][0] = fma_(x, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = fma_(x, b1, sum[i][1]);
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
            sum[i][0] = fma_(x, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = fma_(x, b1, sum[i][1]);
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
TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
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

static void pack_panel(const lo_gemm *g, size_t k0, size_t depth, size_t j0, size_t width, float *packed)
{
    if (g->b_column != 1) {
        transpose(g->b + j0 * g->b_column + k0, g->b_column, width, depth, packed, width);
        return;
    }
    const float *from = g->b + k0 * g->b_row + j0;
    for (size_t p = 0; p < depth; p++) {
        for (size_t j = 0; j < width; j += VEC) {
            store(packed + p * width + j, load(from + p * g->b_row + j));
        }
    }
}

static void gemm(const lo_gemm *g)
{
    float packed[DEPTH * PANEL] __attribute__((aligned(64)));
    size_t blocks = (g->k + DEPTH - 1) / DEPTH;
    for (size_t k0 = 0; k0 < g->k; blocks--) {
        const size_t depth = (g->k - k0 + blocks - 1) / blocks;
        for (size_t j = 0; j < g->n; j += PANEL) {
            const size_t width = g->n - j < PANEL ? g->n - j : PANEL;
            pack_panel(g, k0, depth, j, width, packed);
            panel_product(g->m, depth, g->a + k0 * g->a_column, g->a_row, g->a_column, packed, width / VEC,
                          g->c + j, g->c_row, g->accumulate || k0 > 0);
        }
        k0 += depth;
    }
}

/* ---- convolution: Winograd F(2x2, 3x3)
 * ------------------------------------------------------------------------- */

INLINE size_t tiles_down(const lo_conv *conv)
{
    return (conv->height + 1) / 2;
}

INLINE size_t tiles_across(const lo_conv *conv)
{
    return (conv->width + 1) / 2;
}

INLINE size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t conv_filter_size(const lo_conv *conv)
{
    return 16 * conv->in * conv->out;
}

/* A padded image, the transforms of the two sides of a group, and a row of nothing. */
static size_t conv_scratch_size(const lo_conv *conv)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t widest = larger(conv->in, conv->out);
    return (2 * down + 2) * (2 * across + 2) * widest +
           16 * conv->group * down * across * (conv->in + conv->out) + widest;
}

/* Where element (row, column) of a packed matrix [rows, columns] lies: panels of PANEL columns. */
INLINE size_t packed_at(size_t row, size_t column, size_t rows, size_t columns)
{
    const size_t panel = column / PANEL;
    const size_t width = columns - panel * PANEL < PANEL ? columns - panel * PANEL : PANEL;
    return panel * PANEL * rows + row * width + column % PANEL;
}

/* G g G' for 3x3 values. */
INLINE void filter_transform(const V g[9], V u[16])
{
    V h[12];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++) {
        const V even = g[j] + g[6 + j];
        h[j] = g[j];
        h[3 + j] = 0.5F * (even + g[3 + j]);
        h[6 + j] = 0.5F * (even - g[3 + j]);
        h[9 + j] = g[6 + j];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const V even = h[3 * i] + h[3 * i + 2];
        u[4 * i] = h[3 * i];
        u[4 * i + 1] = 0.5F * (even + h[3 * i + 1]);
        u[4 * i + 2] = 0.5F * (even - h[3 * i + 1]);
        u[4 * i + 3] = h[3 * i + 2];
    }
}

/* filter [9, in, out] to 16 packed matrices [in, out]; `turned` reads tap 8 - t for tap t. */
static void transform_filter(size_t in, size_t out, const float *filter, bool turned, float *transformed)
{
    for (size_t i = 0; i < in; i++) {
        for (size_t o = 0; o < out; o += VEC) {
            V g[9], u[16];
            for (size_t t = 0; t < 9; t++) {
                g[t] = load(filter + ((turned ? 8 - t : t) * in + i) * out + o);
            }
            filter_transform(g, u);
            float *to = transformed + packed_at(i, o, in, out);
            for (size_t t = 0; t < 16; t++) {
                store(to + t * in * out, u[t]);
            }
        }
    }
}

static void conv_filter(const lo_conv *conv, const float *filter, float *transformed)
{
    transform_filter(conv->in, conv->out, filter, false, transformed);
}

static void conv_filter_turned(const lo_conv *conv, const float *filter, float *transformed, float *scratch)
{
    const size_t size = conv->in * conv->out;
    for (size_t t = 0; t < 9; t++) {
        transpose(filter + t * size, conv->out, conv->in, conv->out, scratch + t * size, conv->in);
    }
    transform_filter(conv->out, conv->in, scratch, true, transformed);
}

/* Copies an image into the middle of zeros: one row and column before it, one or two after it. */
static void pad_image(const lo_conv *conv, const float *x, size_t channels, float *padded)
{
    const size_t rows = 2 * tiles_down(conv) + 2, columns = 2 * tiles_across(conv) + 2;
    for (size_t r = 0; r < rows; r++) {
        float *to = padded + r * columns * channels;
        if (r == 0 || r > conv->height) {
            memset(to, 0, columns * channels * sizeof(float));
            continue;
        }
        memset(to, 0, channels * sizeof(float));
        memcpy(to + channels, x + (r - 1) * conv->width * channels, conv->width * channels * sizeof(float));
        memset(to + (conv->width + 1) * channels, 0, (columns - conv->width - 1) * channels * sizeof(float));
    }
}

/* B' d B for the 4x4 values at d. */
INLINE void input_transform(const float *d, size_t row, size_t column, V v[16])
{
    V h[16];
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) {
        const V d0 = load(d + j * column), d1 = load(d + row + j * column);
        const V d2 = load(d + 2 * row + j * column), d3 = load(d + 3 * row + j * column);
        h[j] = d0 - d2;
        h[4 + j] = d1 + d2;
        h[8 + j] = d2 - d1;
        h[12 + j] = d1 - d3;
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        v[4 * i] = h[4 * i] - h[4 * i + 2];
        v[4 * i + 1] = h[4 * i + 1] + h[4 * i + 2];
        v[4 * i + 2] = h[4 * i + 2] - h[4 * i + 1];
        v[4 * i + 3] = h[4 * i + 1] - h[4 * i + 3];
    }
}

/* The 4x4 tiles of images [images, height, width, channels], transformed: [16, tiles, channels]. */
static void transform_images(const lo_conv *conv, const float *x, size_t channels, size_t images,
                             float *padded, float *transformed)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t plane = images * down * across * channels;
    const size_t row = (2 * across + 2) * channels;
    float *to = transformed;
    for (size_t n = 0; n < images; n++) {
        pad_image(conv, x + n * conv->height * conv->width * channels, channels, padded);
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                const float *d = padded + 2 * i * row + 2 * j * channels;
                for (size_t c = 0; c < channels; c += VEC) {
                    V v[16];
                    input_transform(d + c, row, channels, v);
#pragma GCC unroll 16
                    for (size_t t = 0; t < 16; t++) {
                        store(to + t * plane + c, v[t]);
                    }
                }
                to += channels;
            }
        }
    }
}

/* A' m A for 16 values that are `plane` apart: 2x2 outputs. */
INLINE void output_transform(const float *m, size_t plane, V y[4])
{
    V h[8];
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) {
        const V m0 = load(m + j * plane), m1 = load(m + (4 + j) * plane);
        const V m2 = load(m + (8 + j) * plane), m3 = load(m + (12 + j) * plane);
        h[j] = m0 + m1 + m2;
        h[4 + j] = m1 - m2 - m3;
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        y[2 * i] = h[4 * i] + h[4 * i + 1] + h[4 * i + 2];
        y[2 * i + 1] = h[4 * i + 1] - h[4 * i + 2] - h[4 * i + 3];
    }
}

/* Where the four values of the 2x2 tile (i, j) of an image lie; `outside` stands for those beyond its edge.
 */
INLINE void tile_corners(const lo_conv *conv, float *image, size_t channels, size_t i, size_t j,
                         float *outside, float *corner[4])
{
    const bool below = 2 * i + 1 < conv->height, right = 2 * j + 1 < conv->width;
    float *first = image + (2 * i * conv->width + 2 * j) * channels;
    corner[0] = first;
    corner[1] = right ? first + channels : outside;
    corner[2] = below ? first + conv->width * channels : outside;
    corner[3] = below && right ? first + (conv->width + 1) * channels : outside;
}

static void conv_apply(const lo_conv *conv, const float *transformed, const float *x, float *y, size_t images,
                       float *scratch)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv), count = images * down * across;
    const size_t in = conv->in, out = conv->out;
    float *padded = scratch;
    float *v = padded + (2 * down + 2) * (2 * across + 2) * larger(in, out);
    float *m = v + 16 * count * in;
    float *outside = m + 16 * count * out;
    transform_images(conv, x, in, images, padded, v);
    for (size_t t = 0; t < 16; t++) {
        for (size_t o = 0; o < out; o += PANEL) {
            const size_t width = out - o < PANEL ? out - o : PANEL;
            panel_product(count, in, v + t * count * in, in, 1, transformed + t * in * out + o * in,
                          width / VEC, m + t * count * out + o, out, false);
        }
    }
    for (size_t n = 0; n < images; n++) {
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                float *corner[4];
                tile_corners(conv, y + n * conv->height * conv->width * out, out, i, j, outside, corner);
                for (size_t c = 0; c < out; c += VEC) {
                    V value[4];
                    output_transform(m + c, count * out, value);
                    store(corner[3] + c, value[3]);
                    store(corner[2] + c, value[2]);
                    store(corner[1] + c, value[1]);
                    store(corner[0] + c, value[0]);
                }
                m += out;
            }
        }
    }
}

/* A y A' for the 2x2 gradients of all tiles: 16 packed matrices [tiles, channels]. */
static void transform_gradients(const lo_conv *conv, const float *dy, size_t images, float *outside,
                                float *transformed)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv), count = images * down * across;
    const size_t out = conv->out;
    memset(outside, 0, out * sizeof(float));
    size_t tile = 0;
    for (size_t n = 0; n < images; n++) {
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++, tile++) {
                float *corner[4];
                tile_corners(conv, (float *)(uintptr_t)dy + n * conv->height * conv->width * out, out, i, j,
                             outside, corner);
                for (size_t c = 0; c < out; c += VEC) {
                    const V y0 = load(corner[0] + c), y1 = load(corner[1] + c);
                    const V y2 = load(corner[2] + c), y3 = load(corner[3] + c);
                    const V left[4] = {y0, y0 + y2, y0 - y2, -y2};
                    const V right[4] = {y1, y1 + y3, y1 - y3, -y3};
                    float *to = transformed + packed_at(tile, c, count, out);
#pragma GCC unroll 4
                    for (size_t r = 0; r < 4; r++) {
                        store(to + (4 * r) * count * out, left[r]);
                        store(to + (4 * r + 1) * count * out, left[r] + right[r]);
                        store(to + (4 * r + 2) * count * out, left[r] - right[r]);
                        store(to + (4 * r + 3) * count * out, -right[r]);
                    }
                }
            }
        }
    }
}

static void conv_gradient_add(const lo_conv *conv, const float *x, const float *dy, float *transformed,
                              size_t images, float *scratch)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv), count = images * down * across;
    const size_t in = conv->in, out = conv->out;
    float *padded = scratch;
    float *v = padded + (2 * down + 2) * (2 * across + 2) * larger(in, out);
    float *d = v + 16 * count * in;
    transform_images(conv, x, in, images, padded, v);
    transform_gradients(conv, dy, images, d + 16 * count * out, d);
    for (size_t t = 0; t < 16; t++) {
        for (size_t o = 0; o < out; o += PANEL) {
            const size_t width = out - o < PANEL ? out - o : PANEL;
            panel_product(in, count, v + t * count * in, 1, in, d + t * count * out + o * count, width / VEC,
                          transformed + t * in * out + o, out, true);
        }
    }
}

/* G' u G: 16 matrices [in, out] to [9, in, out]. */
static void conv_gradient(const lo_conv *conv, const float *transformed, float *gradient)
{
    const size_t size = conv->in * conv->out;
    for (size_t i = 0; i < size; i += VEC) {
        V h[12];
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++) {
            const V u0 = load(transformed + j * size + i), u1 = load(transformed + (4 + j) * size + i);
            const V u2 = load(transformed + (8 + j) * size + i), u3 = load(transformed + (12 + j) * size + i);
            h[j] = u0 + 0.5F * (u1 + u2);
            h[4 + j] = 0.5F * (u1 - u2);
            h[8 + j] = 0.5F * (u1 + u2) + u3;
        }
#pragma GCC unroll 3
        for (size_t r = 0; r < 3; r++) {
            const V half = 0.5F * (h[4 * r + 1] + h[4 * r + 2]);
            store(gradient + (3 * r) * size + i, h[4 * r] + half);
            store(gradient + (3 * r + 1) * size + i, 0.5F * (h[4 * r + 1] - h[4 * r + 2]));
            store(gradient + (3 * r + 2) * size + i, half + h[4 * r + 3]);
        }
    }
}

static void patches(const float *image, size_t channels, size_t height, size_t width, float *padded,
                    float *to)
{
    const size_t row = width + 2;
    memset(padded, 0, lo_padded_image(height, width) * sizeof(float));
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < height; i++) {
            memcpy(padded + (i + 1) * row + 1, image + (c * height + i) * width, width * sizeof(float));
        }
        for (size_t t = 0; t < 9; t++) {
            for (size_t i = 0; i < height; i++, to += width) {
                const float *from = padded + (i + t / 3) * row + t % 3;
                for (size_t j = 0; j < width; j += VEC) { /* what is too much, the next row overwrites */
                    store(to + j, load(from + j));
                }
            }
        }
    }
}

/* ---- batch normalization, ReLU, pooling
 * ------------------------------------------------------------------------ */

/* Float sums over this many rows are added up in double: an error of at most some 1e-5 of one partial sum. */
enum { SUM_ROWS = 256 };

INLINE void add_to(double *sums, V v)
{
    for (size_t lane = 0; lane < VEC; lane++) {
        sums[lane] += (double)v[lane];
    }
}

static void moments(const float *y, size_t rows, size_t channels, const float *shift, double *sum,
                    double *square)
{
    for (size_t r0 = 0; r0 < rows; r0 += SUM_ROWS) {
        const size_t end = rows - r0 < SUM_ROWS ? rows : r0 + SUM_ROWS;
        for (size_t c = 0; c < channels; c += VEC) {
            const V s = load(shift + c);
            V sum0 = all(0), sum1 = all(0), square0 = all(0), square1 = all(0);
            size_t r = r0;
            for (; r + 2 <= end; r += 2) {
                const V a = load(y + r * channels + c) - s;
                const V b = load(y + (r + 1) * channels + c) - s;
                sum0 += a;
                sum1 += b;
                square0 = fma_(a, a, square0);
                square1 = fma_(b, b, square1);
            }
            if (r < end) {
                const V a = load(y + r * channels + c) - s;
                sum0 += a;
                square0 = fma_(a, a, square0);
            }
            add_to(sum + c, sum0 + sum1);
            add_to(square + c, square0 + square1);
        }
    }
}

static void norm_pool(const lo_norm *norm, const float *y, size_t height, size_t width, size_t channels,
                      float *out, float *top)
{
    const size_t row = width * channels;
    for (size_t i = 0; i + 2 <= height; i += 2) {
        for (size_t j = 0; j + 2 <= width; j += 2) {
            const float *window = y + i * row + j * channels;
            for (size_t c = 0; c < channels; c += VEC) {
                const V scale = load(norm->scale + c), offset = load(norm->offset + c);
                const V y0 = load(window + c), y1 = load(window + channels + c);
                const V y2 = load(window + row + c), y3 = load(window + row + channels + c);
                /* Strictly greater: the first maximum wins, as in PyTorch. */
                V best = y0, z = fma_(scale, y0, offset), next = fma_(scale, y1, offset);
                best = greater_(next, z, y1, best);
                z = max_(z, next);
                next = fma_(scale, y2, offset);
                best = greater_(next, z, y2, best);
                z = max_(z, next);
                next = fma_(scale, y3, offset);
                best = greater_(next, z, y3, best);
                z = max_(z, next);
                store(out + c, max_(all(0), z));
                store(top + c, best);
            }
            out += channels;
            top += channels;
        }
    }
}

static void norm_pool_sums(const lo_norm *norm, const float *dout, const float *top, size_t rows,
                           size_t channels, double *sum, double *product)
{
    for (size_t r0 = 0; r0 < rows; r0 += SUM_ROWS) {
        const size_t end = rows - r0 < SUM_ROWS ? rows : r0 + SUM_ROWS;
        for (size_t c = 0; c < channels; c += VEC) {
            const V scale = load(norm->scale + c), offset = load(norm->offset + c),
                    mean = load(norm->mean + c);
            V sum0 = all(0), product0 = all(0);
            for (size_t r = r0; r < end; r++) {
                const V y = load(top + r * channels + c);
                const V dz = pick_(fma_(scale, y, offset), load(dout + r * channels + c), all(0));
                sum0 += dz;
                product0 = fma_(dz, y - mean, product0);
            }
            add_to(sum + c, sum0);
            add_to(product + c, product0);
        }
    }
}

static void norm_backward_plain(const lo_norm *norm, float *y, size_t channels)
{
    for (size_t c = 0; c < channels; c += VEC) {
        store(y + c, fma_(load(norm->pull + c), load(y + c), load(norm->drift + c)));
    }
}

static void norm_pool_backward(const lo_norm *norm, const float *dout, float *y, size_t height, size_t width,
                               size_t channels)
{
    const size_t row = width * channels;
    for (size_t i = 0; i + 2 <= height; i += 2) {
        for (size_t j = 0; j + 2 <= width; j += 2) {
            float *window = y + i * row + j * channels;
            for (size_t c = 0; c < channels; c += VEC) {
                const V scale = load(norm->scale + c), offset = load(norm->offset + c);
                const V pull = load(norm->pull + c), drift = load(norm->drift + c);
                const V y0 = load(window + c), y1 = load(window + channels + c);
                const V y2 = load(window + row + c), y3 = load(window + row + channels + c);
                const V z0 = fma_(scale, y0, offset), z1 = fma_(scale, y1, offset);
                const V z2 = fma_(scale, y2, offset), z3 = fma_(scale, y3, offset);
                /* d wanders from each window's first value to the first maximum. */
                const V d = scale * load(dout + c), none = all(0);
                const V z01 = max_(z0, z1), z012 = max_(z01, z2), z = max_(z012, z3);
                const V d3 = greater_(z3, z012, d, none), d012 = greater_(z3, z012, none, d);
                const V d2 = greater_(z2, z01, d012, none), d01 = greater_(z2, z01, none, d012);
                const V d1 = greater_(z1, z0, d01, none), d0 = greater_(z1, z0, none, d01);
                store(window + c, fma_(pull, y0, drift) + pick_(z, d0, none));
                store(window + channels + c, fma_(pull, y1, drift) + pick_(z, d1, none));
                store(window + row + c, fma_(pull, y2, drift) + pick_(z, d2, none));
                store(window + row + channels + c, fma_(pull, y3, drift) + pick_(z, d3, none));
            }
            dout += channels;
        }
    }
    if (width % 2 == 1) {
        for (size_t i = 0; i < height; i++) {
            norm_backward_plain(norm, y + i * row + (width - 1) * channels, channels);
        }
    }
    if (height % 2 == 1) {
        for (size_t j = 0; j + 1 <= width / 2 * 2; j++) {
            norm_backward_plain(norm, y + (height - 1) * row + j * channels, channels);
        }
    }
}

/* ---- the rest
 * -------------------------------------------------------------------------------------------------- */

static void bias_relu(float *y, const float *bias, size_t rows, size_t columns, bool relu)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c += VEC) {
            const V v = load(y + r * columns + c) + load(bias + c);
            store(y + r * columns + c, relu ? max_(all(0), v) : v);
        }
    }
}

static void relu_backward(float *dy, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i += VEC) {
        store(dy + i, pick_(load(y + i), load(dy + i), all(0)));
    }
}

static void column_sums(const float *x, size_t rows, size_t columns, float *sums, bool accumulate)
{
    enum { BLOCK = 32 }; /* rows whose cache lines are still there when the next columns are summed */
    for (size_t r0 = 0; r0 < rows; r0 += BLOCK) {
        const size_t end = rows - r0 < BLOCK ? rows : r0 + BLOCK;
        for (size_t c = 0; c < columns; c += VEC) {
            V sum = accumulate || r0 > 0 ? load(sums + c) : all(0);
            for (size_t r = r0; r < end; r++) {
                sum += load(x + r * columns + c);
            }
            store(sums + c, sum);
        }
    }
}

static void convert(const uint8_t *in, size_t count, float scale, float shift, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)in[i] * scale + shift;
    }
}

/* A product of two floats is exact in double, so fused or not, every level rounds alike. */
static double square_sum(const float *x, size_t count)
{
    double lanes[LO_LANES] = {0};
    for (size_t i = 0; i < count; i += LO_LANES) {
        for (size_t lane = 0; lane < LO_LANES; lane++) {
            lanes[lane] += (double)x[i + lane] * (double)x[i + lane];
        }
    }
    double sum = 0;
    for (size_t lane = 0; lane < LO_LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

INLINE void sgd_step(const lo_sgd *s, size_t count, float *w, float *v, const float *g, const bool nesterov)
{
    const V lr = all(-s->lr), momentum = all(s->momentum), decay = all(s->weight_decay);
    const V scale = all(s->scale);
    for (size_t i = 0; i < count; i += VEC) {
        const V weight = load(w + i);
        const V slope = fma_(decay, weight, scale * load(g + i));
        const V velocity = fma_(momentum, load(v + i), slope);
        store(v + i, velocity);
        store(w + i, fma_(lr, nesterov ? fma_(momentum, velocity, slope) : velocity, weight));
    }
}

static void sgd(const lo_sgd *s, size_t count, float *w, float *v, const float *g)
{
    sgd_step(s, count, w, v, g, false);
}

static void sgd_nesterov(const lo_sgd *s, size_t count, float *w, float *v, const float *g)
{
    sgd_step(s, count, w, v, g, true);
}

static void adamw(const lo_adamw *a, size_t count, float *w, float *m, float *v, const float *g)
{
    const V rate = all(-a->rate), keep = all(a->keep), correction = all(a->correction);
    const V epsilon = all(a->epsilon), scale = all(a->scale);
    const V beta1 = all(a->beta1), rest1 = all(a->rest1), beta2 = all(a->beta2), rest2 = all(a->rest2);
    for (size_t i = 0; i < count; i += VEC) {
        const V slope = scale * load(g + i);
        const V first = fma_(beta1, load(m + i), rest1 * slope);
        const V second = fma_(beta2, load(v + i), rest2 * (slope * slope));
        store(m + i, first);
        store(v + i, second);
        const V step = first / fma_(correction, sqrt_(second), epsilon);
        store(w + i, fma_(rate, step, keep * load(w + i)));
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
    const size_t rounds = work / (CHAINS * VEC) + 1;
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            x[i] = fma_(x[i], factor, term);
        }
    }
    V sum = x[0];
    for (int i = 1; i < CHAINS; i++) {
        sum += x[i];
    }
    *result = sum[0];
    return 2.0 * (double)rounds * CHAINS * VEC;
}

const lo_kernels KERNELS = {
    .name = LEVEL,
    .gemm = gemm,
    .conv_filter_size = conv_filter_size,
    .conv_scratch_size = conv_scratch_size,
    .conv_filter = conv_filter,
    .conv_filter_turned = conv_filter_turned,
    .conv_apply = conv_apply,
    .conv_gradient_add = conv_gradient_add,
    .conv_gradient = conv_gradient,
    .patches = patches,
    .moments = moments,
    .norm_pool = norm_pool,
    .norm_pool_sums = norm_pool_sums,
    .norm_pool_backward = norm_pool_backward,
    .bias_relu = bias_relu,
    .relu_backward = relu_backward,
    .column_sums = column_sums,
    .convert = convert,
    .square_sum = square_sum,
    .sgd = sgd,
    .sgd_nesterov = sgd_nesterov,
    .adamw = adamw,
    .peak = peak,
};
