/* Products of matrices and 3x3 convolutions on the tiles of AMX, operands in bfloat16: see kernels_body.h. It
 * stands on amx_tiles.h, or on other functions of the same names.
 *
 * All operands are packed into tiles of 1 KB, rounded on the way, so that every load of a tile reads 16 whole
 * cache lines that follow each other. What an operand lacks of a whole tile along k is zero in both operands
 * (0 times infinity would not be 0). Rows of the sums beyond the last are left out by the tiles' shape. The
 * order of a sum is that of the steps along k. */

enum {
    SPAN = 2 * TILE_SIDE,     /* rows and columns of the 2 x 2 sums */
    MOST_DEPTH = 1024,        /* of k at once, at most */
    LEFT_WORDS = 1 << 16,     /* packed A at once: 256 KB */
    APPLY_WORDS = 1 << 17,    /* images of conv_apply at once: 512 KB */
    GRADIENT_WORDS = 3 << 16, /* packed rows of conv_gradient_add at once: 768 KB */
    GRADIENT_IMAGES = TILE_DEPTH,
};

TILE_INLINE size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

TILE_INLINE size_t blocks_of(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

/* Sums of rows0 and, in the second row of tiles, rows1 rows. Clears the tiles. */
static void shape_tiles(size_t rows0, size_t rows1)
{
    tile_config config = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        const size_t rows = t == 0 || t == 1 || t == 4   ? rows0
                            : t == 2 || t == 3 || t == 5 ? rows1
                                                         : TILE_SIDE;
        config.row_bytes[t] = TILE_ROW_BYTES;
        config.rows[t] = (uint8_t)rows;
    }
    tiles_configure(&config);
}

/* ---- what all of them do with tiles ---- */

/* Packs a tile of an operand whose element (outer, k) is from[outer * outer_step + k * k_step]; outer is the
 * row of A or the column of B. One of the steps is 1. A's tiles have their pairs along a row, B's across. */
TILE_INLINE void pack_tile(const float *from, size_t outer_step, size_t k_step, size_t outer, size_t depth,
                           const bool pairs_along, uint32_t *to)
{
    if (k_step == 1) {
        for (size_t i = 0; i < TILE_SIDE; i++) {
            if (i < outer) {
                round_along(from + i * outer_step, depth, to + i * TILE_SIDE);
            } else {
                memset(to + i * TILE_SIDE, 0, TILE_ROW_BYTES);
            }
        }
    } else {
        for (size_t k = 0; k < TILE_DEPTH; k += 2) {
            if (k < depth) {
                const float *even = from + k * k_step;
                round_across(even, k + 1 < depth ? even + k_step : NULL, outer, to + k / 2 * TILE_SIDE);
            } else {
                memset(to + k / 2 * TILE_SIDE, 0, TILE_ROW_BYTES);
            }
        }
    }
    if ((k_step == 1) != pairs_along) {
        tile_transpose(to);
    }
}

/* The sums before the first step: zeros, or C, whose two rows of tiles are at c0 and c1. */
TILE_INLINE void sums_begin(const bool two_rows, const bool two_columns, const float *c0, const float *c1,
                            size_t c_row, bool accumulate)
{
    for (int i = 0; i < 1 + two_rows; i++) {
        for (int j = 0; j < 1 + two_columns; j++) {
            if (accumulate) {
                sum_load(i, j, (i == 0 ? c0 : c1) + j * TILE_SIDE, c_row * sizeof(float));
            } else {
                sum_zero(i, j);
            }
        }
    }
}

TILE_INLINE void sums_end(const bool two_rows, const bool two_columns, float *c0, float *c1, size_t c_row)
{
    for (int i = 0; i < 1 + two_rows; i++) {
        for (int j = 0; j < 1 + two_columns; j++) {
            sum_store(i, j, (i == 0 ? c0 : c1) + j * TILE_SIDE, c_row * sizeof(float));
        }
    }
}

/* Steps along k. Loads stand between the products, which hide them. */
TILE_INLINE void sums_add(const bool two_rows, const bool two_columns, size_t steps, const uint32_t *left0,
                          const uint32_t *left1, size_t left_step, const uint32_t *right, size_t right_step)
{
    for (size_t s = 0; s < steps; s++) {
        right_load(0, right + s * right_step);
        left_load(0, left0 + s * left_step);
        sum_add(0, 0);
        if (two_columns) {
            right_load(1, right + s * right_step + TILE);
            sum_add(0, 1);
        }
        if (two_rows) {
            left_load(1, left1 + s * left_step);
            sum_add(1, 0);
        }
        if (two_rows && two_columns) {
            sum_add(1, 1);
        }
    }
}

/* Calls a function whose first two arguments must be constants. */
#define BY_SHAPE(function, two_rows, two_columns, ...)                                                       \
    do {                                                                                                     \
        if ((two_rows) && (two_columns)) {                                                                   \
            function(true, true, __VA_ARGS__);                                                               \
        } else if (two_rows) {                                                                               \
            function(true, false, __VA_ARGS__);                                                              \
        } else if (two_columns) {                                                                            \
            function(false, true, __VA_ARGS__);                                                              \
        } else {                                                                                             \
            function(false, false, __VA_ARGS__);                                                             \
        }                                                                                                    \
    } while (0)

/* ---- matrix products ---- */

/* A [rows, depth] to [blocks of rows][steps along k][2 tiles]. */
static void pack_left(const lo_gemm *g, size_t i0, size_t rows, size_t k0, size_t depth, uint32_t *to)
{
    for (size_t i = 0; i < rows; i += SPAN) {
        for (size_t k = 0; k < depth; k += TILE_DEPTH, to += 2 * TILE) {
            for (size_t half = 0; half < 2 && i + half * TILE_SIDE < rows; half++) {
                const size_t row = i + half * TILE_SIDE;
                pack_tile(g->a + (i0 + row) * g->a_row + (k0 + k) * g->a_column, g->a_row, g->a_column,
                          smaller(rows - row, TILE_SIDE), smaller(depth - k, TILE_DEPTH), true,
                          to + half * TILE);
            }
        }
    }
}

/* B [depth, columns] to [steps along k][columns / TILE_SIDE tiles]. */
static void pack_right(const lo_gemm *g, size_t k0, size_t depth, size_t j, size_t columns, uint32_t *to)
{
    for (size_t k = 0; k < depth; k += TILE_DEPTH) {
        for (size_t column = 0; column < columns; column += TILE_SIDE, to += TILE) {
            pack_tile(g->b + (k0 + k) * g->b_row + (j + column) * g->b_column, g->b_column, g->b_row,
                      TILE_SIDE, smaller(depth - k, TILE_DEPTH), false, to);
        }
    }
}

TILE_INLINE void gemm_block(const bool two_rows, const bool two_columns, size_t steps, const uint32_t *left,
                            const uint32_t *right, float *c, size_t c_row, bool accumulate)
{
    float *lower = c + TILE_SIDE * c_row;
    sums_begin(two_rows, two_columns, c, lower, c_row, accumulate);
    sums_add(two_rows, two_columns, steps, left, left + TILE, 2 * TILE, right, two_columns ? 2 * TILE : TILE);
    sums_end(two_rows, two_columns, c, lower, c_row);
}

/* C [rows, columns] (+)= A B for packed A and B. */
static void gemm_panel(size_t rows, size_t columns, size_t steps, const uint32_t *left, const uint32_t *right,
                       float *c, size_t c_row, bool accumulate)
{
    size_t shaped = 0;
    for (size_t i = 0; i < rows; i += SPAN) {
        const size_t height = smaller(rows - i, SPAN);
        if (height != shaped) {
            shape_tiles(smaller(height, TILE_SIDE), height > TILE_SIDE ? height - TILE_SIDE : TILE_SIDE);
            shaped = height;
        }
        BY_SHAPE(gemm_block, height > TILE_SIDE, columns > TILE_SIDE, steps, left, right, c + i * c_row,
                 c_row, accumulate);
        left += steps * 2 * TILE;
    }
}

static void gemm(const lo_gemm *g)
{
    uint32_t left[LEFT_WORDS] __attribute__((aligned(64)));
    uint32_t right[MOST_DEPTH / TILE_DEPTH * 2 * TILE] __attribute__((aligned(64)));
    size_t blocks = blocks_of(g->k, MOST_DEPTH);
    for (size_t k0 = 0; k0 < g->k; blocks--) {
        const size_t steps = blocks_of(blocks_of(g->k - k0, blocks), TILE_DEPTH);
        const size_t depth = smaller(g->k - k0, steps * TILE_DEPTH);
        const size_t most = LEFT_WORDS / (steps * 2 * TILE) * SPAN;
        for (size_t i = 0; i < g->m; i += most) {
            const size_t rows = smaller(g->m - i, most);
            pack_left(g, i, rows, k0, depth, left);
            for (size_t j = 0; j < g->n; j += SPAN) {
                const size_t columns = smaller(g->n - j, SPAN);
                pack_right(g, k0, depth, j, columns, right);
                gemm_panel(rows, columns, steps, left, right, g->c + i * g->c_row + j, g->c_row,
                           g->accumulate || k0 > 0);
            }
        }
        k0 += depth;
    }
    tiles_release();
}

/* ---- convolution ---- */

static size_t conv_group(const lo_conv *conv)
{
    (void)conv;
    return GRADIENT_IMAGES;
}

/* The filter in tiles, and as large the sum of its gradient, which is [9, in, out] in float32. */
static size_t conv_filter_size(const lo_conv *conv)
{
    return 9 * conv->in * conv->out;
}

/* Tap t of the convolution is tap (turned ? 8 - t : t) of `filter`, whose element (in, out) is filter[in *
 * in_step + out * out_step]. To [panels of SPAN outputs][blocks of TILE_DEPTH inputs][9][1 or 2 tiles]. */
static void pack_filter(size_t in, size_t out, const float *filter, size_t in_step, size_t out_step,
                        bool turned, uint32_t *to)
{
    for (size_t panel = 0; panel < out; panel += SPAN) {
        for (size_t i = 0; i < in; i += TILE_DEPTH) {
            for (size_t t = 0; t < 9; t++) {
                const float *tap = filter + (turned ? 8 - t : t) * in * out + i * in_step;
                for (size_t o = panel; o < out && o < panel + SPAN; o += TILE_SIDE, to += TILE) {
                    pack_tile(tap + o * out_step, out_step, in_step, TILE_SIDE, smaller(in - i, TILE_DEPTH),
                              false, to);
                }
            }
        }
    }
}

static void conv_filter(const lo_conv *conv, const float *filter, float *transformed)
{
    pack_filter(conv->in, conv->out, filter, conv->out, 1, false, (uint32_t *)transformed);
}

static void conv_filter_turned(const lo_conv *conv, const float *filter, float *transformed, float *scratch)
{
    (void)scratch;
    pack_filter(conv->out, conv->in, filter, 1, conv->out, true, (uint32_t *)transformed);
}

/* Images with zeros around them, in blocks of TILE_DEPTH channels: [blocks][pixels][16 pairs]. A row of zeros
 * lies between two images, and one zero pixel between two rows, so that it is before one and after the
 * other. Then the pixels that a tap meets along a row of the output are whole cache lines that follow each
 * other. */
TILE_INLINE size_t padded_pixels(const lo_conv *conv, size_t images)
{
    return (images * (conv->height + 1) + 1) * (conv->width + 1) + 1;
}

TILE_INLINE size_t padded_words(const lo_conv *conv, size_t images)
{
    return blocks_of(conv->in, TILE_DEPTH) * padded_pixels(conv, images) * TILE_SIDE;
}

static void pad_images(const lo_conv *conv, const float *x, size_t images, uint32_t *to)
{
    const size_t zeros = (conv->width + 1) * TILE_SIDE, in = conv->in;
    for (size_t c = 0; c < in; c += TILE_DEPTH) {
        const size_t channels = smaller(in - c, TILE_DEPTH);
        const float *from = x + c;
        for (size_t n = 0; n < images; n++) {
            memset(to, 0, zeros * sizeof(uint32_t));
            to += zeros;
            for (size_t i = 0; i < conv->height; i++) {
                memset(to, 0, TILE_ROW_BYTES);
                to += TILE_SIDE;
                for (size_t j = 0; j < conv->width; j++, from += in, to += TILE_SIDE) {
                    round_along(from, channels, to);
                }
            }
        }
        memset(to, 0, (zeros + TILE_SIDE) * sizeof(uint32_t));
        to += zeros + TILE_SIDE;
    }
}

/* The geometry of a call of conv_apply. */
typedef struct apply_plan {
    size_t blocks; /* of channels */
    size_t plane;  /* words from a block's pixels to the next block's */
    size_t row;    /* words of a padded row */
    size_t y_row;  /* floats of an output pixel */
} apply_plan;

/* Pixels of two rows of the output: the padded images from x0 and x1, the upper left taps, to y0 and y1. */
TILE_INLINE void apply_block(const bool two_rows, const bool two_columns, const apply_plan *plan,
                             const uint32_t *x0, const uint32_t *x1, const uint32_t *filter, float *y0,
                             float *y1)
{
    const size_t step = two_columns ? 2 * TILE : TILE;
    sums_begin(two_rows, two_columns, y0, y1, plan->y_row, false);
    for (size_t b = 0; b < plan->blocks; b++) {
        for (size_t r = 0; r < 3; r++) {
            const size_t at = b * plan->plane + r * plan->row;
            sums_add(two_rows, two_columns, 3, x0 + at, x1 + at, TILE_SIDE, filter, step);
            filter += 3 * step;
        }
    }
    sums_end(two_rows, two_columns, y0, y1, plan->y_row);
}

/* y = padded x * filter. A tile of sums is a run of at most 16 pixels of a row, all runs of nearly the same
 * length. */
static void apply_padded(const lo_conv *conv, const uint32_t *filter, const uint32_t *x, float *y,
                         size_t images)
{
    const size_t width = conv->width, height = conv->height, out = conv->out, rows = images * height;
    const apply_plan plan = {.blocks = blocks_of(conv->in, TILE_DEPTH),
                             .plane = padded_pixels(conv, images) * TILE_SIDE,
                             .row = (width + 1) * TILE_SIDE,
                             .y_row = out};
    size_t runs = blocks_of(width, TILE_SIDE);
    for (size_t j = 0; j < width; runs--) {
        const size_t run = blocks_of(width - j, runs);
        const uint32_t *panel = filter;
        shape_tiles(run, run);
        for (size_t o = 0; o < out; o += SPAN) {
            for (size_t r = 0; r < rows; r += 2) {
                const size_t s = r + 1 < rows ? r + 1 : r; /* each image has a row of zeros above it */
                BY_SHAPE(apply_block, s > r, out - o > TILE_SIDE, &plan,
                         x + (r + r / height) * plan.row + j * TILE_SIDE,
                         x + (s + s / height) * plan.row + j * TILE_SIDE, panel,
                         y + (r * width + j) * out + o, y + (s * width + j) * out + o);
            }
            panel += plan.blocks * 9 * smaller(out - o, SPAN) * TILE_SIDE;
        }
        j += run;
    }
}

TILE_INLINE size_t apply_images(const lo_conv *conv)
{
    const size_t images = APPLY_WORDS / padded_words(conv, 1);
    return images < 1 ? 1 : smaller(images, conv->group);
}

static void conv_apply(const lo_conv *conv, const float *transformed, const float *x, float *y, size_t images,
                       float *scratch)
{
    const size_t pixels = conv->height * conv->width, most = apply_images(conv);
    uint32_t *padded = (uint32_t *)scratch;
    for (size_t n = 0; n < images; n += most) {
        const size_t some = smaller(images - n, most);
        pad_images(conv, x + n * pixels * conv->in, some, padded);
        apply_padded(conv, (const uint32_t *)transformed, padded, y + n * pixels * conv->out, some);
    }
    tiles_release();
}

/* The gradient sums over images first: k is up to 32 images at one pixel. So no tap needs a copy of its own,
 * and those beyond the border are left out. */

/* Rows of the image that are packed at once. */
TILE_INLINE size_t gradient_rows(const lo_conv *conv)
{
    const size_t row = conv->width * (conv->in + conv->out) * TILE_SIDE, rows = GRADIENT_WORDS / row;
    return rows < 1 ? 1 : smaller(rows, conv->height);
}

static size_t conv_scratch_size(const lo_conv *conv)
{
    const size_t rows = gradient_rows(conv), apply = padded_words(conv, apply_images(conv));
    const size_t gradient = conv->width * TILE_SIDE * ((rows + 2) * conv->in + rows * conv->out);
    return apply > gradient ? apply : gradient;
}

/* Pixels from `first` on, of `images` images that are `image` floats apart, to [panels of SPAN channels]
 * [pixels][1 or 2 tiles]. Each pixel's channels are read to their end: the images may be apart by a power of
 * two, so that the cache does not hold what else is read of them. */
static void pack_pixels(const float *x, size_t image, size_t images, size_t channels, size_t first,
                        size_t pixels, const bool pairs_along, uint32_t *to)
{
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c += TILE_SIDE) {
            const size_t panel = c - c % SPAN, width = smaller(channels - panel, SPAN);
            pack_tile(x + (first + p) * channels + c, 1, image, TILE_SIDE, images, pairs_along,
                      to + (panel * pixels + p * width + c % SPAN) * TILE_SIDE);
        }
    }
}

/* Packed rows of x and dy. */
typedef struct gradient_rows_packed {
    const lo_conv *conv;
    const uint32_t *x, *dy;
    size_t x_first, x_end, dy_first, dy_end; /* rows of the image */
} gradient_rows_packed;

/* Adds a tap's share to SPAN x SPAN values at sum. */
TILE_INLINE void gradient_block(const bool two_rows, const bool two_columns, const gradient_rows_packed *rows,
                                const uint32_t *x, const uint32_t *dy, size_t tap, float *sum)
{
    const size_t width = rows->conv->width, out = rows->conv->out;
    const size_t x_step = two_rows ? 2 * TILE : TILE, dy_step = two_columns ? 2 * TILE : TILE;
    const size_t down = tap / 3, across = tap % 3; /* x is at row i + down - 1, column j + across - 1 */
    const size_t j = across == 0 ? 1 : 0, end = across == 2 ? width - 1 : width;
    sums_begin(two_rows, two_columns, sum, sum + TILE_SIDE * out, out, true);
    for (size_t i = rows->dy_first; i < rows->dy_end; i++) {
        if (i + down < 1 || i + down > rows->conv->height || j >= end) {
            continue;
        }
        const uint32_t *left = x + ((i + down - 1 - rows->x_first) * width + j + across - 1) * x_step;
        sums_add(two_rows, two_columns, end - j, left, left + TILE, x_step,
                 dy + ((i - rows->dy_first) * width + j) * dy_step, dy_step);
    }
    sums_end(two_rows, two_columns, sum, sum + TILE_SIDE * out, out);
}

static void gradient_add_rows(const gradient_rows_packed *rows, float *sum)
{
    const size_t in = rows->conv->in, out = rows->conv->out, width = rows->conv->width;
    const size_t x_pixels = (rows->x_end - rows->x_first) * width;
    const size_t dy_pixels = (rows->dy_end - rows->dy_first) * width;
    shape_tiles(TILE_SIDE, TILE_SIDE);
    for (size_t i = 0; i < in; i += SPAN) {
        for (size_t o = 0; o < out; o += SPAN) {
            for (size_t tap = 0; tap < 9; tap++) {
                BY_SHAPE(gradient_block, in - i > TILE_SIDE, out - o > TILE_SIDE, rows,
                         rows->x + i * x_pixels * TILE_SIDE, rows->dy + o * dy_pixels * TILE_SIDE, tap,
                         sum + (tap * in + i) * out + o);
            }
        }
    }
}

static void conv_gradient_add(const lo_conv *conv, const float *x, const float *dy, float *transformed,
                              size_t images, float *scratch)
{
    const size_t width = conv->width, most = gradient_rows(conv);
    const size_t x_size = conv->height * width * conv->in, dy_size = conv->height * width * conv->out;
    uint32_t *packed_x = (uint32_t *)scratch;
    uint32_t *packed_dy = packed_x + (most + 2) * width * conv->in * TILE_SIDE;
    for (size_t n = 0; n < images; n += GRADIENT_IMAGES) {
        const size_t some = smaller(images - n, GRADIENT_IMAGES);
        for (size_t i = 0; i < conv->height; i += most) {
            const size_t end = smaller(i + most, conv->height);
            const gradient_rows_packed rows = {.conv = conv,
                                               .x = packed_x,
                                               .dy = packed_dy,
                                               .x_first = i > 0 ? i - 1 : 0,
                                               .x_end = smaller(end + 1, conv->height),
                                               .dy_first = i,
                                               .dy_end = end};
            pack_pixels(x + n * x_size, x_size, some, conv->in, rows.x_first * width,
                        (rows.x_end - rows.x_first) * width, true, packed_x);
            pack_pixels(dy + n * dy_size, dy_size, some, conv->out, i * width, (end - i) * width, false,
                        packed_dy);
            gradient_add_rows(&rows, transformed);
        }
    }
    tiles_release();
}

static void conv_gradient(const lo_conv *conv, const float *transformed, float *gradient)
{
    memcpy(gradient, transformed, 9 * conv->in * conv->out * sizeof(float));
}

static double peak(size_t work, float *result)
{
    enum { ADDITIONS = SPAN * SPAN * TILE_DEPTH }; /* of a round */
    float sums[SPAN * SPAN];
    const size_t rounds = work / ADDITIONS + 1;
    uint32_t tile[TILE];
    for (size_t i = 0; i < TILE; i++) {
        tile[i] = 0x3f803f80; /* ones */
    }
    shape_tiles(TILE_SIDE, TILE_SIDE);
    for (int i = 0; i < 2; i++) {
        left_load(i, tile);
        right_load(i, tile);
    }
    for (size_t r = 0; r < rounds; r++) {
        sum_add(0, 0);
        sum_add(0, 1);
        sum_add(1, 0);
        sum_add(1, 1);
    }
    sums_end(true, true, sums, sums + TILE_SIDE * SPAN, SPAN);
    tiles_release();
    *result = sums[0];
    return 2.0 * (double)rounds * ADDITIONS;
}
