/* Part of kernels_body.h: passes over the values of layers other than products. */

typedef uint32_t lane_bits __attribute__((vector_size(4 * VEC)));

/* exp(x) to some 1e-7 of itself (Cephes, Moshier 1989): 2^n times a polynomial; below -87 it is as at -87. */
INLINE V exp_(V x)
{
    const V magic = all(12582912.0F); /* 1.5 * 2^23: what is added to it is rounded to a whole number */
    x = greater_(x, all(-87.0F), x, all(-87.0F));
    x = greater_(x, all(88.0F), all(88.0F), x);
    const V shifted = fma_(x, all(1.44269504F), magic);
    const V n = shifted - magic;
    const V r = fma_(n, all(2.12194440e-4F), fma_(n, all(-0.693359375F), x));
    V p = fma_(all(1.9875691500e-4F), r, all(1.3981999507e-3F));
    p = fma_(p, r, all(8.3334519073e-3F));
    p = fma_(p, r, all(4.1665795894e-2F));
    p = fma_(p, r, all(1.6666665459e-1F));
    p = fma_(p, r, all(5.0000001201e-1F));
    p = fma_(p, r * r, r + all(1.0F));
    return (V)((lane_bits)p + ((lane_bits)shifted << 23));
}

INLINE float lane_sum(V v)
{
    float sum = 0;
    for (size_t lane = 0; lane < VEC; lane++) {
        sum += v[lane];
    }
    return sum;
}

/* ---- batch normalization without pooling ---- */

static void norm_apply(const lo_norm *norm, const float *y, const float *other, size_t rows, size_t channels,
                       bool relu, float *out)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < channels; c += VEC) {
            const size_t at = r * channels + c;
            V z = fma_(load(norm->scale + c), load(y + at), load(norm->offset + c));
            if (other != NULL) {
                z += load(other + at);
            }
            store(out + at, relu ? max_(all(0), z) : z);
        }
    }
}

static void norm_sums(const lo_norm *norm, const float *dz, const float *y, size_t rows, size_t channels,
                      double *sum, double *product)
{
    for (size_t r0 = 0; r0 < rows; r0 += SUM_ROWS) {
        const size_t end = rows - r0 < SUM_ROWS ? rows : r0 + SUM_ROWS;
        for (size_t c = 0; c < channels; c += VEC) {
            const V mean = load(norm->mean + c);
            V sum0 = all(0), product0 = all(0);
            for (size_t r = r0; r < end; r++) {
                const V d = load(dz + r * channels + c);
                sum0 += d;
                product0 = fma_(d, load(y + r * channels + c) - mean, product0);
            }
            add_to(sum + c, sum0);
            add_to(product + c, product0);
        }
    }
}

static void norm_backward(const lo_norm *norm, const float *dz, const float *y, size_t rows, size_t channels,
                          float *dy)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < channels; c += VEC) {
            const size_t at = r * channels + c;
            const V plain = fma_(load(norm->pull + c), load(y + at), load(norm->drift + c));
            store(dy + at, fma_(load(norm->scale + c), load(dz + at), plain));
        }
    }
}

/* ---- layer normalization ---- */

static void layer_norm(const lo_layer_norm *norm, const float *x, size_t rows, float *y, float *moment)
{
    const size_t columns = norm->columns;
    for (size_t r = 0; r < rows; r++, x += columns, y += columns, moment += 2) {
        V sum = all(0), square = all(0);
        for (size_t c = 0; c < columns; c += VEC) {
            sum += load(x + c);
        }
        const float mean = lane_sum(sum) / (float)norm->channels;
        const V middle = all(mean);
        for (size_t c = 0; c < columns; c += VEC) {
            const V d = (load(x + c) - middle) * load(norm->ones + c);
            square = fma_(d, d, square);
        }
        const float variance = lane_sum(square) / (float)norm->channels;
        const V rate = all(1.0F) / sqrt_(all(variance + norm->epsilon));
        for (size_t c = 0; c < columns; c += VEC) {
            const V unit = (load(x + c) - middle) * rate;
            store(y + c, fma_(unit, load(norm->weight + c), load(norm->bias + c)));
        }
        moment[0] = mean;
        moment[1] = rate[0];
    }
}

static void layer_norm_backward(const lo_layer_norm *norm, const float *x, const float *moment,
                                const float *dy, size_t rows, float *dx, float *dweight, float *dbias)
{
    const size_t columns = norm->columns;
    for (size_t r = 0; r < rows; r++, x += columns, dy += columns, moment += 2) {
        const V middle = all(moment[0]), rate = all(moment[1]);
        V sum = all(0), product = all(0);
        for (size_t c = 0; c < columns; c += VEC) {
            const V d = load(dy + c), unit = (load(x + c) - middle) * rate * load(norm->ones + c);
            const V slope = d * load(norm->weight + c);
            sum += slope;
            product = fma_(slope, unit, product);
            store(dweight + c, fma_(d, unit, load(dweight + c)));
            store(dbias + c, load(dbias + c) + d);
        }
        if (dx == NULL) {
            continue;
        }
        const V mean = all(lane_sum(sum) / (float)norm->channels);
        const V pull = all(lane_sum(product) / (float)norm->channels);
        for (size_t c = 0; c < columns; c += VEC) {
            const V ones = load(norm->ones + c), unit = (load(x + c) - middle) * rate;
            const V slope = load(dy + c) * load(norm->weight + c);
            store(dx + c, rate * (slope - mean - pull * unit) * ones);
        }
        dx += columns;
    }
}

/* ---- softmax and GELU ---- */

static void softmax(float *rows_of_x, size_t rows, size_t columns, size_t step, float scale)
{
    for (size_t r = 0; r < rows; r++) {
        float *x = rows_of_x + r * step;
        float largest = x[0];
        for (size_t c = 1; c < columns; c++) {
            largest = x[c] > largest ? x[c] : largest;
        }
        V sum = all(0);
        for (size_t c = 0; c < step; c += VEC) {
            store(x + c, exp_((load(x + c) - all(largest)) * all(scale)));
        }
        for (size_t c = columns; c < step; c++) {
            x[c] = 0;
        }
        for (size_t c = 0; c < step; c += VEC) {
            sum += load(x + c);
        }
        const V share = all(1 / lane_sum(sum));
        for (size_t c = 0; c < step; c += VEC) {
            store(x + c, load(x + c) * share);
        }
    }
}

static void softmax_backward(const float *rows_of_p, size_t rows, size_t step, float scale, float *rows_of_dp)
{
    for (size_t r = 0; r < rows; r++) {
        const float *p = rows_of_p + r * step;
        float *dp = rows_of_dp + r * step;
        V sum = all(0);
        for (size_t c = 0; c < step; c += VEC) {
            sum = fma_(load(p + c), load(dp + c), sum);
        }
        const V mean = all(lane_sum(sum));
        for (size_t c = 0; c < step; c += VEC) {
            store(dp + c, all(scale) * load(p + c) * (load(dp + c) - mean));
        }
    }
}

/* The normal distribution function at x, and its density: erf by Abramowitz and Stegun 7.1.26, to 1.5e-7. */
INLINE V normal_share(V x, V *density)
{
    const V half = all(0.5F), one = all(1.0F);
    const V bell = exp_(x * x * all(-0.5F));
    const V z = max_(x, -x) * all(0.70710678F);
    const V t = one / fma_(all(0.3275911F), z, one);
    V p = fma_(all(1.061405429F), t, all(-1.453152027F));
    p = fma_(p, t, all(1.421413741F));
    p = fma_(p, t, all(-0.284496736F));
    p = fma_(p, t, all(0.254829592F));
    const V tail = half * p * t * bell; /* the share beyond |x| */
    *density = all(0.39894228F) * bell;
    return pick_(x, one - tail, tail);
}

static void gelu(const float *x, size_t count, float *y)
{
    for (size_t i = 0; i < count; i += VEC) {
        V density;
        const V v = load(x + i);
        store(y + i, v * normal_share(v, &density));
    }
}

static void gelu_backward(const float *x, const float *dy, size_t count, float *dx)
{
    for (size_t i = 0; i < count; i += VEC) {
        V density;
        const V v = load(x + i), share = normal_share(v, &density);
        store(dx + i, load(dy + i) * fma_(v, density, share));
    }
}

/* ---- pooling ---- */

/* The part of window `at` (of `size`, starting `padding` before the image) that lies inside 0 .. length - 1.
 */
INLINE size_t window_start(size_t at, size_t stride, size_t padding)
{
    return at * stride > padding ? at * stride - padding : 0;
}

INLINE size_t window_end(size_t at, size_t stride, size_t padding, size_t size, size_t length)
{
    const size_t end = at * stride + size - padding;
    return end < length ? end : length;
}

/* What is done with a window [r0, r1) x [c0, c1) of an image, lanes c to c + VEC - 1. */
typedef struct window {
    size_t r0, r1, c0, c1, c;
} window;

INLINE size_t in_image(const lo_pool *pool, const window *w, size_t r, size_t q)
{
    return (r * pool->width + q) * pool->channels + w->c;
}

INLINE V window_max(const lo_pool *pool, const window *w, const float *x)
{
    V best = load(x + in_image(pool, w, w->r0, w->c0));
    for (size_t r = w->r0; r < w->r1; r++) {
        for (size_t q = w->c0; q < w->c1; q++) {
            const V next = load(x + in_image(pool, w, r, q));
            best = greater_(next, best, next, best);
        }
    }
    return best;
}

/* The gradient goes to the first of the largest values. */
INLINE void window_max_backward(const lo_pool *pool, const window *w, const float *x, V best, V slope,
                                float *dx)
{
    for (size_t r = w->r0; r < w->r1; r++) {
        for (size_t q = w->c0; q < w->c1; q++) {
            const size_t at = in_image(pool, w, r, q);
            const V here = load(x + at);
            store(dx + at, load(dx + at) + greater_(best, here, all(0), slope));
            slope = greater_(best, here, slope, all(0));
        }
    }
}

/* What t has where x is largest, the first of equal ones. */
INLINE V window_max_pick(const lo_pool *pool, const window *w, const float *x, const float *t)
{
    V best = load(x + in_image(pool, w, w->r0, w->c0)), picked = load(t + in_image(pool, w, w->r0, w->c0));
    for (size_t r = w->r0; r < w->r1; r++) {
        for (size_t q = w->c0; q < w->c1; q++) {
            const size_t at = in_image(pool, w, r, q);
            const V next = load(x + at);
            picked = greater_(next, best, load(t + at), picked);
            best = greater_(next, best, next, best);
        }
    }
    return picked;
}

INLINE V window_sum(const lo_pool *pool, const window *w, const float *x)
{
    V sum = all(0);
    for (size_t r = w->r0; r < w->r1; r++) {
        for (size_t q = w->c0; q < w->c1; q++) {
            sum += load(x + in_image(pool, w, r, q));
        }
    }
    return sum;
}

INLINE void window_sum_backward(const lo_pool *pool, const window *w, V slope, float *dx)
{
    for (size_t r = w->r0; r < w->r1; r++) {
        for (size_t q = w->c0; q < w->c1; q++) {
            const size_t at = in_image(pool, w, r, q);
            store(dx + at, load(dx + at) + slope);
        }
    }
}

typedef enum pooling { MAX_FORWARD, MAX_BACKWARD, MAX_TANGENT, MEAN_FORWARD, MEAN_BACKWARD } pooling;

/* All windows of an image. x: the image; y: the windows' values (forward: written) or their gradients; top:
 * their values again; for tangents that of the image. */
INLINE void each_window(const pooling what, const lo_pool *pool, const float *x, const float *top, float *y,
                        float *dx)
{
    const V share = all(1.0F / (float)(pool->rows * pool->columns));
    for (size_t i = 0; i < pool->out_height; i++) {
        window w = {.r0 = window_start(i, pool->stride, pool->padding),
                    .r1 = window_end(i, pool->stride, pool->padding, pool->rows, pool->height)};
        for (size_t j = 0; j < pool->out_width; j++, y += pool->channels) {
            const size_t at = (i * pool->out_width + j) * pool->channels;
            w.c0 = window_start(j, pool->stride, pool->padding);
            w.c1 = window_end(j, pool->stride, pool->padding, pool->columns, pool->width);
            for (w.c = 0; w.c < pool->channels; w.c += VEC) {
                if (what == MAX_FORWARD) {
                    store(y + w.c, window_max(pool, &w, x));
                } else if (what == MAX_BACKWARD) {
                    window_max_backward(pool, &w, x, load(top + at + w.c), load(y + w.c), dx);
                } else if (what == MAX_TANGENT) {
                    store(y + w.c, window_max_pick(pool, &w, x, top));
                } else if (what == MEAN_FORWARD) {
                    store(y + w.c, window_sum(pool, &w, x) * share);
                } else {
                    window_sum_backward(pool, &w, load(y + w.c) * share, dx);
                }
            }
        }
    }
}

static void max_pool(const lo_pool *pool, const float *x, float *y)
{
    each_window(MAX_FORWARD, pool, x, NULL, y, NULL);
}

static void max_pool_backward(const lo_pool *pool, const float *x, const float *y, float *dy, float *dx)
{
    memset(dx, 0, pool->height * pool->width * pool->channels * sizeof(float));
    each_window(MAX_BACKWARD, pool, x, y, dy, dx);
}

static void max_pool_tangent(const lo_pool *pool, const float *x, const float *x_dot, float *y_dot)
{
    each_window(MAX_TANGENT, pool, x, x_dot, y_dot, NULL);
}

static void mean_pool(const lo_pool *pool, const float *x, float *y)
{
    each_window(MEAN_FORWARD, pool, x, NULL, y, NULL);
}

static void mean_pool_backward(const lo_pool *pool, float *dy, float *dx)
{
    memset(dx, 0, pool->height * pool->width * pool->channels * sizeof(float));
    each_window(MEAN_BACKWARD, pool, NULL, NULL, dy, dx);
}
