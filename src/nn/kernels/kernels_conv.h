/* Part of kernels_body.h: convolution by Winograd's F(2x2, 3x3). Transforms are computed in float32 and
 * stored as words along the sum of the product that follows. */

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

/* Words between two of the 16 matrices of a group's transforms, which are written and read side by side: a
 * power of two would put them into one set of the cache. */
INLINE size_t plane_of(size_t rows, size_t columns)
{
    return rows * columns + LO_LANES;
}

/* Images whose transforms fit the second-level cache, more or less, 1.2 MB; or more of them where products
 * would have fewer rows than pay for reading the filter. Whole words: see transform_images_across. */
static size_t conv_group(const lo_conv *conv)
{
    enum { ROWS_THAT_PAY = 64 };
    const size_t count = tiles_down(conv) * tiles_across(conv);
    const size_t fit = 1250000 / (16 * count * (conv->in + conv->out) * sizeof(float));
    const size_t group = larger(fit, (ROWS_THAT_PAY + count - 1) / count);
    return (group + PAIRS - 1) / PAIRS * PAIRS;
}

static size_t conv_filter_size(const lo_conv *conv)
{
    return 16 * conv->in * conv->out;
}

/* A row of nothing, and the transforms of the two sides of a group. */
static size_t conv_scratch_size(const lo_conv *conv)
{
    return larger(conv->in, conv->out) +
           16 * plane_of(conv->group * tiles_down(conv) * tiles_across(conv), conv->in + conv->out + 1);
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

/* filter [9, in, out] to 16 packed matrices of words [in / PAIRS, out]; `turned` reads tap 8 - t for tap t.
 */
static void transform_filter(size_t in, size_t out, const float *filter, bool turned, float *transformed)
{
    const size_t plane = in / PAIRS * out;
    for (size_t i = 0; i < in; i += PAIRS) {
        for (size_t o = 0; o < out; o += VEC) {
            V g[9], u[PAIRS][16];
            for (size_t half = 0; half < PAIRS; half++) {
                for (size_t t = 0; t < 9; t++) {
                    g[t] = load(filter + ((turned ? 8 - t : t) * in + i + half) * out + o);
                }
                filter_transform(g, u[half]);
            }
            float *to = transformed + packed_at(i / PAIRS, o, in / PAIRS, out);
            for (size_t t = 0; t < 16; t++) {
                store(to + t * plane, word_(u[0][t], u[PAIRS - 1][t]));
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

/* Where the 4x4 pixels of tile (i, j) of an image lie, `outside` for those beyond its edges. */
INLINE void tile_pixels(const lo_conv *conv, const float *image, size_t channels, size_t i, size_t j,
                        const float *outside, const float *pixel[16])
{
#pragma GCC unroll 4
    for (size_t r = 0; r < 4; r++) {
        const size_t row = 2 * i + r - 1; /* wraps round above the image */
#pragma GCC unroll 4
        for (size_t q = 0; q < 4; q++) {
            const size_t column = 2 * j + q - 1;
            const bool inside = row < conv->height && column < conv->width;
            pixel[4 * r + q] = inside ? image + (row * conv->width + column) * channels : outside;
        }
    }
}

/* B' d B for the 4x4 values of a tile, of channels c and on. */
INLINE void input_transform(const float *const d[16], size_t c, V v[16])
{
    V h[16];
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) {
        const V d0 = load(d[j] + c), d1 = load(d[4 + j] + c);
        const V d2 = load(d[8 + j] + c), d3 = load(d[12 + j] + c);
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

/* The 4x4 tiles of images [images, height, width, channels], transformed, for a sum over channels: words [16,
 * tiles, channels / PAIRS]. */
static void transform_images(const lo_conv *conv, const float *x, size_t channels, size_t images,
                             const float *outside, float *transformed)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t plane = plane_of(images * down * across, channels / PAIRS);
    float *to = transformed;
    for (size_t n = 0; n < images; n++) {
        const float *image = x + n * conv->height * conv->width * channels;
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                const float *pixel[16];
                tile_pixels(conv, image, channels, i, j, outside, pixel);
                for (size_t c = 0; c < channels; c += VEC) {
                    V v[16];
                    input_transform(pixel, c, v);
#pragma GCC unroll 16
                    for (size_t t = 0; t < 16; t++) {
                        narrow_(to + t * plane + c / PAIRS, v[t]);
                    }
                }
                to += channels / PAIRS;
            }
        }
    }
}

/* The same for a sum over tiles, where a word holds the same tile of PAIRS images: words [16, ceil(images /
 * PAIRS) * tiles of an image, channels]. What is beyond the last image is zero, as `outside` is. */
static void transform_images_across(const lo_conv *conv, const float *x, size_t channels, size_t images,
                                    const float *outside, float *transformed)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t plane = plane_of(words_of(images) * down * across, channels);
    float *to = transformed;
    for (size_t n = 0; n < images; n += PAIRS) {
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                const float *pixel[PAIRS][16];
                for (size_t half = 0; half < PAIRS; half++) {
                    const lo_conv seen = {.height = n + half < images ? conv->height : 0,
                                          .width = conv->width};
                    const float *image = x + (n + half) * conv->height * conv->width * channels;
                    tile_pixels(&seen, image, channels, i, j, outside, pixel[half]);
                }
                for (size_t c = 0; c < channels; c += VEC) {
                    V v[PAIRS][16];
                    for (size_t half = 0; half < PAIRS; half++) {
                        input_transform(pixel[half], c, v[half]);
                    }
#pragma GCC unroll 16
                    for (size_t t = 0; t < 16; t++) {
                        store(to + t * plane + c, word_(v[0][t], v[PAIRS - 1][t]));
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
    const size_t in = conv->in, out = conv->out, words = in / PAIRS;
    const size_t v_plane = plane_of(count, words), m_plane = plane_of(count, out);
    float *outside = scratch;
    float *v = outside + larger(in, out);
    float *m = v + 16 * v_plane;
    memset(outside, 0, in * sizeof(float));
    transform_images(conv, x, in, images, outside, v);
    for (size_t t = 0; t < 16; t++) {
        for (size_t o = 0; o < out; o += PANEL) {
            const size_t width = out - o < PANEL ? out - o : PANEL;
            panel_product(count, words, v + t * v_plane, words, 1, transformed + t * words * out + o * words,
                          width / VEC, m + t * m_plane + o, out, false);
        }
    }
    for (size_t n = 0; n < images; n++) {
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++) {
                float *corner[4];
                tile_corners(conv, y + n * conv->height * conv->width * out, out, i, j, outside, corner);
                for (size_t c = 0; c < out; c += VEC) {
                    V value[4];
                    output_transform(m + c, m_plane, value);
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

/* A y A' for the four values of a 2x2 tile. */
INLINE void gradient_transform(float *const corner[4], size_t c, V d[16])
{
    const V y0 = load(corner[0] + c), y1 = load(corner[1] + c);
    const V y2 = load(corner[2] + c), y3 = load(corner[3] + c);
    const V left[4] = {y0, y0 + y2, y0 - y2, -y2};
    const V right[4] = {y1, y1 + y3, y1 - y3, -y3};
#pragma GCC unroll 4
    for (size_t r = 0; r < 4; r++) {
        d[4 * r] = left[r];
        d[4 * r + 1] = left[r] + right[r];
        d[4 * r + 2] = left[r] - right[r];
        d[4 * r + 3] = -right[r];
    }
}

/* The 2x2 gradients of all tiles, transformed, for a sum over tiles: 16 packed matrices of words [tiles of
 * images by PAIRS, channels]. What is beyond the last image is zero, as `outside` is, a row of channels. */
static void transform_gradients(const lo_conv *conv, const float *dy, size_t images, float *outside,
                                float *transformed)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t count = words_of(images) * down * across, out = conv->out;
    const size_t image_size = conv->height * conv->width * out, plane = plane_of(count, out);
    float *image = (float *)(uintptr_t)dy; /* is only read */
    size_t tile = 0;
    for (size_t n = 0; n < images; n += PAIRS, image += PAIRS * image_size) {
        for (size_t i = 0; i < down; i++) {
            for (size_t j = 0; j < across; j++, tile++) {
                float *corner[PAIRS][4];
                for (size_t half = 0; half < PAIRS; half++) {
                    for (size_t k = 0; k < 4; k++) {
                        corner[half][k] = outside;
                    }
                    if (n + half < images) {
                        tile_corners(conv, image + half * image_size, out, i, j, outside, corner[half]);
                    }
                }
                for (size_t c = 0; c < out; c += VEC) {
                    V d[PAIRS][16];
                    for (size_t half = 0; half < PAIRS; half++) {
                        gradient_transform(corner[half], c, d[half]);
                    }
                    float *to = transformed + packed_at(tile, c, count, out);
#pragma GCC unroll 16
                    for (size_t t = 0; t < 16; t++) {
                        store(to + t * plane, word_(d[0][t], d[PAIRS - 1][t]));
                    }
                }
            }
        }
    }
}

static void conv_gradient_add(const lo_conv *conv, const float *x, const float *dy, float *transformed,
                              size_t images, float *scratch)
{
    const size_t down = tiles_down(conv), across = tiles_across(conv);
    const size_t in = conv->in, out = conv->out, count = words_of(images) * down * across;
    float *outside = scratch;
    float *v = outside + larger(in, out);
    float *d = v + 16 * plane_of(count, in);
    memset(outside, 0, larger(in, out) * sizeof(float));
    transform_images_across(conv, x, in, images, outside, v);
    transform_gradients(conv, dy, images, outside, d);
    for (size_t t = 0; t < 16; t++) {
        for (size_t o = 0; o < out; o += PANEL) {
            const size_t width = out - o < PANEL ? out - o : PANEL;
            panel_product(in, count, v + t * plane_of(count, in), 1, in,
                          d + t * plane_of(count, out) + o * count, width / VEC,
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
