/* The common body of the kernels. A file of one level and precision defines KERNELS and LEVEL, the table and
 * its name, and includes two headers before this one:
 *
 * vectors_*.h, of the level:
 *   VEC        floats in a vector V
 *   ROWS       rows of a register tile of the matrix product; it has two vectors of columns
 *   all(x), fma_(a, b, c), max_(a, b)   (max_ returns b when one of them is NaN)
 *   pick_(x, a, b)              x > 0 ? a : b, lane by lane
 *   greater_(x, y, a, b)        x > y ? a : b, lane by lane
 *   sqrt_(x)                    the square root, correctly rounded
 *   lanes_(bits, a, b)          a in the lanes whose bit, of the lowest VEC, is set; else b
 *
 * operands_*.h, of products. An operand is made of words of the size of a float, each of which holds PAIRS
 * values that follow each other along the sum (k):
 *   PRECISION, PAIRS (1 or 2)
 *   PACK_A                      0 where a word is the float itself, so that A need not be packed
 *   word_(even, odd)            words of values k and k + 1 of VEC columns; odd counts with PAIRS 2 only
 *   narrow_(to, v)              stores VEC values along k as VEC / PAIRS words
 *   multiply_(a, b, sum)        sum + a b, or the sum over the pairs of a word
 *
 * Sums run in an order that only the sizes, VEC and PAIRS decide.
 *
 * Instead of operands_*.h, a file may define PRECISION and, as PRODUCTS, a header that has the functions of
 * kernels_product.h and kernels_conv.h that go into the table. */

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

#ifdef PRODUCTS
#include PRODUCTS
#else
#include "nn/kernels/kernels_product.h"

#include "nn/kernels/kernels_conv.h"
#endif

#include "nn/kernels/kernels_elements.h"

#include "nn/kernels/kernels_layers.h"

const lo_kernels KERNELS = {
    .name = LEVEL,
    .precision = PRECISION,
    .gemm = gemm,
    .conv_group = conv_group,
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
    .add_terms = add_terms,
    .sgd = sgd,
    .sgd_nesterov = sgd_nesterov,
    .adamw = adamw,
    .peak = peak,
    .norm_apply = norm_apply,
    .norm_sums = norm_sums,
    .norm_backward = norm_backward,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .max_pool = max_pool,
    .max_pool_backward = max_pool_backward,
    .mean_pool = mean_pool,
    .mean_pool_backward = mean_pool_backward,
    .norm_pool_tangent = norm_pool_tangent,
    .norm_pool_spread = norm_pool_spread,
    .max_pool_tangent = max_pool_tangent,
};
