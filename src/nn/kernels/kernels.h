/* The arithmetic of training on one core: one table of kernels for each instruction set level and precision,
 * filled from common bodies, chosen at run time. A table's results are the same bits on every processor that
 * has its level.
 *
 * Activations are float32, [examples, height, width, channels], channels padded with zeros to a multiple of
 * LO_LANES; a vector is an image of 1 x 1. Padded lanes stay exactly zero through every kernel. */
#ifndef LEAVEOUT_NN_KERNELS_H
#define LEAVEOUT_NN_KERNELS_H

#include "base/status.h"
#include "nn/kernels/precision.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LO_LANES = 16 };

static inline size_t lo_padded(size_t count)
{
    return (count + LO_LANES - 1) / LO_LANES * LO_LANES;
}

/* C [m, n] = A [m, k] B [k, n], or C += A B. Element (i, j) of A is a[i * a_row + j * a_column], and so on;
 * one of A's steps is 1, one of B's steps is 1, C's columns are contiguous. n is a multiple of LO_LANES. The
 * order of the sum over k depends on k alone, so a row of C does not depend on m. */
typedef struct lo_gemm {
    size_t m, n, k;
    const float *a;
    size_t a_row, a_column;
    const float *b;
    size_t b_row, b_column;
    float *c;
    size_t c_row;
    bool accumulate;
} lo_gemm;

/* A convolution 3x3 with stride 1 and padding 1; channels are padded ones. Computed as Winograd's F(2x2, 3x3)
 * (Lavin and Gray, CVPR 2016): 16 products of matrices on tiles of 2x2 outputs, 2.25 times fewer
 * multiplications; where AMX makes those nearly free, directly. */
typedef struct lo_conv {
    size_t height, width;
    size_t in, out;
    size_t group; /* images that a call takes at most; lo_kernels.conv_group says how many are best */
} lo_conv;

static inline size_t lo_padded_image(size_t height, size_t width)
{
    return (height + 2) * (width + 2) + LO_LANES;
}

/* Statistics, per channel, of a fused batch normalization + ReLU + 2x2 maximum pooling. y is the
 * convolution's output; scale * y + offset is the normalized, scaled and shifted value. Odd last rows and
 * columns take part in no window. */
typedef struct lo_norm {
    const float *scale, *offset; /* [channels]: gamma / std, beta - mean gamma / std */
    const float *pull, *drift;   /* [channels], backward: dy = pull y + drift + scale dz */
    const float *mean;           /* [channels] */
} lo_norm;

/* Layer normalization of rows of `channels` values, padded to `columns`. */
typedef struct lo_layer_norm {
    size_t channels, columns;
    const float *weight, *bias; /* [columns] */
    const float *ones;          /* [columns]: 1, and 0 in the padding */
    float epsilon;
} lo_layer_norm;

/* Pooling of one image [height, width, channels] in windows of rows x columns, the first of which starts
 * `padding` before the image's corner. Every window has a part in the image. */
typedef struct lo_pool {
    size_t height, width, channels;
    size_t rows, columns, stride, padding;
    size_t out_height, out_width;
} lo_pool;

typedef struct lo_sgd {
    float lr, momentum, weight_decay;
    float scale; /* of the gradient: 1, or less where it is clipped */
} lo_sgd;

/* One step of AdamW; the bias corrections, which change from step to step, are in rate and correction. */
typedef struct lo_adamw {
    float rate;         /* lr / (1 - beta1^t) */
    float keep;         /* 1 - lr weight_decay */
    float beta1, rest1; /* rest1: 1 - beta1 */
    float beta2, rest2;
    float correction; /* 1 / sqrt(1 - beta2^t) */
    float epsilon;    /* above 0: padding divides by it */
    float scale;      /* of the gradient */
} lo_adamw;

/* What is summed of gradients of single examples, element by element. */
typedef enum lo_term {
    LO_TERM_GRADIENT, /* g: gradient of the sum of the outputs */
    LO_TERM_ABSOLUTE, /* |g| */
    LO_TERM_SQUARE    /* g^2: the empirical Fisher information's diagonal, with the loss */
} lo_term;

typedef struct lo_kernels {
    const char *name; /* portable avx2 avx512 amx */
    lo_precision precision;

    void (*gemm)(const lo_gemm *g);

    /* Images that a call should take: what fits the second-level cache, or fills the registers. */
    size_t (*conv_group)(const lo_conv *conv);
    /* Sizes in floats of a transformed filter and of the scratch that the convolution's kernels need. */
    size_t (*conv_filter_size)(const lo_conv *conv);
    size_t (*conv_scratch_size)(const lo_conv *conv);
    /* filter [9, in, out] to its transform; the same for the gradient with respect to the input, which is a
     * convolution from `out` to `in` channels with the filter turned round; scratch holds 9 * in * out floats
     * at least. */
    void (*conv_filter)(const lo_conv *conv, const float *filter, float *transformed);
    void (*conv_filter_turned)(const lo_conv *conv, const float *filter, float *transformed, float *scratch);
    /* y [images, height, width, out] = x [images, height, width, in] * filter; images <= conv->group. */
    void (*conv_apply)(const lo_conv *conv, const float *transformed, const float *x, float *y, size_t images,
                       float *scratch);
    /* Adds the images' share to the transformed gradient of the filter; conv_gradient turns the sum into [9,
     * in, out]. */
    void (*conv_gradient_add)(const lo_conv *conv, const float *x, const float *dy, float *transformed,
                              size_t images, float *scratch);
    void (*conv_gradient)(const lo_conv *conv, const float *transformed, float *gradient);

    /* Adds sum(y - shift) and sum((y - shift)^2) over `rows` rows of y [rows, channels], per channel. */
    void (*moments)(const float *y, size_t rows, size_t channels, const float *shift, double *sum,
                    double *square);
    /* out, top [height/2, width/2, channels]: the window's maximum after ReLU, and the y that made it. One
     * image. */
    void (*norm_pool)(const lo_norm *norm, const float *y, size_t height, size_t width, size_t channels,
                      float *out, float *top);
    /* Adds sum(dz) and sum(dz (top - mean)) over `rows` rows; dz is dout where ReLU let it through. */
    void (*norm_pool_sums)(const lo_norm *norm, const float *dout, const float *top, size_t rows,
                           size_t channels, double *sum, double *product);
    /* Turns y into dy in place. One image. */
    void (*norm_pool_backward)(const lo_norm *norm, const float *dout, float *y, size_t height, size_t width,
                               size_t channels);

    /* The 3x3 patches of an image [channels, height, width] with zeros around it: patches [channels, 9,
     * height * width], followed by room for LO_LANES floats. padded: scratch of lo_padded_image(height,
     * width) floats. */
    void (*patches)(const float *image, size_t channels, size_t height, size_t width, float *padded,
                    float *patches);

    /* y [rows, columns] += bias [columns], then ReLU if asked for. */
    void (*bias_relu)(float *y, const float *bias, size_t rows, size_t columns, bool relu);
    /* dy = 0 where y is not positive. */
    void (*relu_backward)(float *dy, const float *y, size_t count);
    /* sums [columns] (+)= the sums over the rows of x. */
    void (*column_sums)(const float *x, size_t rows, size_t columns, float *sums, bool accumulate);
    /* The sum of the squares of x [count], count a multiple of LO_LANES, in an order that is the same at
     * every level. */
    double (*square_sum)(const float *x, size_t count);
    /* sum [LO_LANES] += the terms of g = x_n y_n, rounded to float, example n < count after the other: x
     * [count], y [count, LO_LANES]. */
    void (*add_terms)(const float *x, const float *y, size_t count, lo_term term, double *sum);
    /* out = in * scale + shift. */
    void (*convert)(const uint8_t *in, size_t count, float scale, float shift, float *out);
    /* v = momentum v + (scale g + weight_decay w); w -= lr v. Of this and the next two: trained [count /
     * LO_LANES] has a bit for each weight, lowest first; where it is 0, w and v keep their bits. NULL: all
     * are trained. count is a multiple of LO_LANES. */
    void (*sgd)(const lo_sgd *sgd, size_t count, float *w, float *v, const float *g, const uint16_t *trained);
    /* d = scale g + weight_decay w; v = momentum v + d; w -= lr (d + momentum v). */
    void (*sgd_nesterov)(const lo_sgd *sgd, size_t count, float *w, float *v, const float *g,
                         const uint16_t *trained);
    /* g = scale g; m = beta1 m + rest1 g; v = beta2 v + rest2 g^2; w = keep w - rate m / (correction sqrt(v)
     * + epsilon). */
    void (*adamw)(const lo_adamw *adamw, size_t count, float *w, float *m, float *v, const float *g,
                  const uint16_t *trained);
    /* Runs about `work` multiplications and additions of the product's instruction on registers and returns
     * how many floating point operations that were. */
    double (*peak)(size_t work, float *result);

    /* Batch normalization without pooling. out = scale y + offset (+ other, unless it is NULL), then ReLU if
     * asked for. */
    void (*norm_apply)(const lo_norm *norm, const float *y, const float *other, size_t rows, size_t channels,
                       bool relu, float *out);
    /* Adds sum(dz) and sum(dz (y - mean)) over `rows` rows. */
    void (*norm_sums)(const lo_norm *norm, const float *dz, const float *y, size_t rows, size_t channels,
                      double *sum, double *product);
    /* dy = pull y + drift + scale dz; dy may be y or dz. */
    void (*norm_backward)(const lo_norm *norm, const float *dz, const float *y, size_t rows, size_t channels,
                          float *dy);
    /* y [rows, columns]; moment [rows, 2]: each row's mean and 1 / standard deviation. */
    void (*layer_norm)(const lo_layer_norm *norm, const float *x, size_t rows, float *y, float *moment);
    /* dx (may be NULL), and what is added to the gradients of weight and bias. */
    void (*layer_norm_backward)(const lo_layer_norm *norm, const float *x, const float *moment,
                                const float *dy, size_t rows, float *dx, float *dweight, float *dbias);
    /* Each row of x [rows, step] becomes the softmax of its first `columns` values times scale, then zeros.
     */
    void (*softmax)(float *x, size_t rows, size_t columns, size_t step, float scale);
    /* From p, the softmax, and dp in place: the gradient before it. */
    void (*softmax_backward)(const float *p, size_t rows, size_t step, float scale, float *dp);
    /* x times the normal distribution function at x (Hendrycks and Gimpel, 2016, arXiv 1606.08415), to 2e-7.
     * dx may be dy. */
    void (*gelu)(const float *x, size_t count, float *y);
    void (*gelu_backward)(const float *x, const float *dy, size_t count, float *dx);
    /* One image. The mean counts padding as zeros. */
    void (*max_pool)(const lo_pool *pool, const float *x, float *y);
    void (*max_pool_backward)(const lo_pool *pool, const float *x, const float *y, float *dy, float *dx);
    void (*mean_pool)(const lo_pool *pool, const float *x, float *y);
    void (*mean_pool_backward)(const lo_pool *pool, float *dy, float *dx);

    /* Derivatives along a direction. top_dot [height/2, width/2, channels]: of y_dot, what stands where
     * norm_pool found the window's maximum of y. One image. */
    void (*norm_pool_tangent)(const lo_norm *norm, const float *y, const float *y_dot, size_t height,
                              size_t width, size_t channels, float *top_dot);
    /* The other way: dy is d of the window there and 0 elsewhere. One image. */
    void (*norm_pool_spread)(const lo_norm *norm, const float *y, const float *d, size_t height, size_t width,
                             size_t channels, float *dy);
    /* y_dot: x_dot where the window's largest value of x is. One image. */
    void (*max_pool_tangent)(const lo_pool *pool, const float *x, const float *x_dot, float *y_dot);
} lo_kernels;

/* The table of a precision in use: that of the best level that this processor runs, or of the one pinned by
 * lo_kernels_pin, or by the environment variable LEAVEOUT_ISA where nothing was pinned. */
const lo_kernels *lo_kernels_chosen(lo_precision precision);

/* All tables of a precision that this processor runs, the best one first. */
int lo_kernels_count(lo_precision precision);
const lo_kernels *lo_kernels_at(lo_precision precision, int i);

/* Pins a level by name for the whole process ("auto": the best); call it before trainers are created. Errors:
 * LO_USAGE when the processor has no such level. */
lo_status lo_kernels_pin(const char *name, lo_error *err);

/* LO_USAGE where the environment asks for a level that this processor does not have, and nothing was pinned.
 */
lo_status lo_kernels_check(lo_error *err);

#endif
