/* Part of kernels_body.h: batch normalization, ReLU and pooling, and passes over elements. */

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

/* Of the four values of a window, at `from` of images y and t, those of t where the largest normalized y is,
 * the first of equal ones. */
INLINE V window_pick(V scale, V offset, const float *y, const float *t, const size_t at[4])
{
    V z = fma_(scale, load(y + at[0]), offset), picked = load(t + at[0]);
    for (int i = 1; i < 4; i++) {
        const V next = fma_(scale, load(y + at[i]), offset);
        picked = greater_(next, z, load(t + at[i]), picked);
        z = max_(z, next);
    }
    return picked;
}

static void norm_pool_tangent(const lo_norm *norm, const float *y, const float *y_dot, size_t height,
                              size_t width, size_t channels, float *top_dot)
{
    const size_t row = width * channels, at[4] = {0, channels, row, row + channels};
    for (size_t i = 0; i + 2 <= height; i += 2) {
        for (size_t j = 0; j + 2 <= width; j += 2, top_dot += channels) {
            const size_t window = i * row + j * channels;
            for (size_t c = 0; c < channels; c += VEC) {
                store(top_dot + c, window_pick(load(norm->scale + c), load(norm->offset + c), y + window + c,
                                               y_dot + window + c, at));
            }
        }
    }
}

static void norm_pool_spread(const lo_norm *norm, const float *y, const float *d, size_t height, size_t width,
                             size_t channels, float *dy)
{
    const size_t row = width * channels, at[4] = {0, channels, row, row + channels};
    if (height % 2 == 1 || width % 2 == 1) {
        memset(dy, 0, height * row * sizeof(float));
    }
    for (size_t i = 0; i + 2 <= height; i += 2) {
        for (size_t j = 0; j + 2 <= width; j += 2, d += channels) {
            const size_t window = i * row + j * channels;
            for (size_t c = 0; c < channels; c += VEC) {
                const V scale = load(norm->scale + c), offset = load(norm->offset + c);
                V z[4] = {fma_(scale, load(y + window + c), offset)}, largest = z[0];
                for (int k = 1; k < 4; k++) {
                    z[k] = fma_(scale, load(y + window + at[k] + c), offset);
                    largest = max_(largest, z[k]);
                }
                V left = load(d + c); /* until a place takes it */
                for (int k = 0; k < 4; k++) {
                    store(dy + window + at[k] + c, greater_(largest, z[k], all(0), left));
                    left = greater_(largest, z[k], left, all(0));
                }
            }
        }
    }
}

/* ---- the rest ---- */

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

INLINE void add_terms_of(const float *x, const float *y, size_t count, const lo_term term, double *to)
{
    double sum[LO_LANES];
    memcpy(sum, to, sizeof(sum));
    for (size_t n = 0; n < count; n++) {
        for (size_t lane = 0; lane < LO_LANES; lane++) {
            const float g = x[n] * y[n * LO_LANES + lane];
            sum[lane] += term == LO_TERM_GRADIENT   ? (double)g
                         : term == LO_TERM_ABSOLUTE ? (double)__builtin_fabsf(g)
                                                    : (double)g * (double)g;
        }
    }
    memcpy(to, sum, sizeof(sum));
}

static void add_terms(const float *x, const float *y, size_t count, lo_term term, double *sum)
{
    if (term == LO_TERM_GRADIENT) {
        add_terms_of(x, y, count, LO_TERM_GRADIENT, sum);
    } else if (term == LO_TERM_ABSOLUTE) {
        add_terms_of(x, y, count, LO_TERM_ABSOLUTE, sum);
    } else {
        add_terms_of(x, y, count, LO_TERM_SQUARE, sum);
    }
}

/* Stores what is new at p + i, where the weight there is trained. */
INLINE void store_trained(float *p, size_t i, V fresh, const uint16_t *trained, const bool masked)
{
    store(p + i, masked ? lanes_(trained[i / LO_LANES] >> i % LO_LANES, fresh, load(p + i)) : fresh);
}

INLINE void sgd_step(const lo_sgd *s, size_t count, float *w, float *v, const float *g,
                     const uint16_t *trained, const bool nesterov, const bool masked)
{
    const V lr = all(-s->lr), momentum = all(s->momentum), decay = all(s->weight_decay);
    const V scale = all(s->scale);
    for (size_t i = 0; i < count; i += VEC) {
        const V weight = load(w + i);
        const V slope = fma_(decay, weight, scale * load(g + i));
        const V velocity = fma_(momentum, load(v + i), slope);
        const V step = nesterov ? fma_(momentum, velocity, slope) : velocity;
        store_trained(v, i, velocity, trained, masked);
        store_trained(w, i, fma_(lr, step, weight), trained, masked);
    }
}

static void sgd(const lo_sgd *s, size_t count, float *w, float *v, const float *g, const uint16_t *trained)
{
    if (trained == NULL) {
        sgd_step(s, count, w, v, g, NULL, false, false);
    } else {
        sgd_step(s, count, w, v, g, trained, false, true);
    }
}

static void sgd_nesterov(const lo_sgd *s, size_t count, float *w, float *v, const float *g,
                         const uint16_t *trained)
{
    if (trained == NULL) {
        sgd_step(s, count, w, v, g, NULL, true, false);
    } else {
        sgd_step(s, count, w, v, g, trained, true, true);
    }
}

INLINE void adamw_step(const lo_adamw *a, size_t count, float *w, float *m, float *v, const float *g,
                       const uint16_t *trained, const bool masked)
{
    const V rate = all(-a->rate), keep = all(a->keep), correction = all(a->correction);
    const V epsilon = all(a->epsilon), scale = all(a->scale);
    const V beta1 = all(a->beta1), rest1 = all(a->rest1), beta2 = all(a->beta2), rest2 = all(a->rest2);
    for (size_t i = 0; i < count; i += VEC) {
        const V slope = scale * load(g + i);
        const V first = fma_(beta1, load(m + i), rest1 * slope);
        const V second = fma_(beta2, load(v + i), rest2 * (slope * slope));
        const V step = first / fma_(correction, sqrt_(second), epsilon);
        store_trained(m, i, first, trained, masked);
        store_trained(v, i, second, trained, masked);
        store_trained(w, i, fma_(rate, step, keep * load(w + i)), trained, masked);
    }
}

static void adamw(const lo_adamw *a, size_t count, float *w, float *m, float *v, const float *g,
                  const uint16_t *trained)
{
    if (trained == NULL) {
        adamw_step(a, count, w, m, v, g, NULL, false);
    } else {
        adamw_step(a, count, w, m, v, g, trained, true);
    }
}
