#include "nn/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct attention {
    lo_layer base;
    size_t heads, tokens, size; /* size: values of a head */
    size_t rows, columns;       /* tokens and size, padded */
    size_t in_columns, out_columns;
    float *share; /* [capacity, heads, tokens, rows]: the softmax */
} attention;

/* A head's matrices, [rows, columns] each, zeros where there are no tokens or values. */
enum { QUERY, KEY, VALUE, MATRICES };

static void reserve(lo_layer *self, const lo_kernels *kernels, size_t capacity, lo_memory *memory)
{
    (void)kernels;
    attention *layer = (attention *)self;
    layer->share = lo_memory_floats(memory, capacity * layer->heads * layer->tokens * layer->rows);
}

static size_t scratch(const lo_layer *self, const lo_kernels *kernels)
{
    (void)kernels;
    const attention *layer = (const attention *)self;
    const size_t matrix = layer->rows * layer->columns;
    return (2 * MATRICES + 1) * matrix + layer->rows * layer->rows;
}

/* Where value 0 of token 0 of a head lies in an example's input, for query, key or value. */
static size_t place(const attention *layer, size_t matrix, size_t head)
{
    return (matrix * layer->heads + head) * layer->size;
}

static void take(const attention *layer, const float *from, size_t step, float *matrix)
{
    memset(matrix, 0, layer->rows * layer->columns * sizeof(float));
    for (size_t t = 0; t < layer->tokens; t++) {
        memcpy(matrix + t * layer->columns, from + t * step, layer->size * sizeof(float));
    }
}

static void put(const attention *layer, const float *matrix, float *to, size_t step)
{
    for (size_t t = 0; t < layer->tokens; t++) {
        memcpy(to + t * step, matrix + t * layer->columns, layer->size * sizeof(float));
    }
}

/* C [rows or tokens, n] = A B', A' B or A B of matrices with the given row steps. */
typedef enum product_kind { A_BT, AT_B, A_B } product_kind;

static void product(const lo_kernels *kernels, product_kind kind, size_t m, size_t n, size_t k,
                    const float *a, size_t a_step, const float *b, size_t b_step, float *c)
{
    const lo_gemm g = {.m = m,
                       .n = n,
                       .k = k,
                       .a = a,
                       .a_row = kind == AT_B ? 1 : a_step,
                       .a_column = kind == AT_B ? a_step : 1,
                       .b = b,
                       .b_row = kind == A_BT ? 1 : b_step,
                       .b_column = kind == A_BT ? b_step : 1,
                       .c = c,
                       .c_row = n};
    kernels->gemm(&g);
}

static lo_status forward(lo_layer *self, const lo_pass *pass, const float *const x[], float *y)
{
    const attention *layer = (const attention *)self;
    const lo_kernels *kernels = pass->kernels;
    const size_t rows = layer->rows, columns = layer->columns, tokens = layer->tokens;
    const size_t matrix = rows * columns;
    float *in = pass->scratch, *out = in + MATRICES * matrix;
    const float scale = 1 / sqrtf((float)layer->size);
    for (size_t n = 0; n < pass->examples; n++) {
        const float *own = x[0] + n * tokens * layer->in_columns;
        float *result = y + n * tokens * layer->out_columns;
        for (size_t head = 0; head < layer->heads; head++) {
            float *share = layer->share + (n * layer->heads + head) * tokens * rows;
            for (size_t k = 0; k < MATRICES; k++) {
                take(layer, own + place(layer, k, head), layer->in_columns, in + k * matrix);
            }
            product(kernels, A_BT, tokens, rows, columns, in + QUERY * matrix, columns, in + KEY * matrix,
                    columns, share);
            kernels->softmax(share, tokens, tokens, rows, scale);
            product(kernels, A_B, tokens, columns, tokens, share, rows, in + VALUE * matrix, columns, out);
            put(layer, out, result + head * layer->size, layer->out_columns);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static lo_status backward(lo_layer *self, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    (void)y;
    const attention *layer = (const attention *)self;
    const lo_kernels *kernels = pass->kernels;
    const size_t rows = layer->rows, columns = layer->columns, tokens = layer->tokens;
    const size_t matrix = rows * columns;
    float *in = pass->scratch, *din = in + MATRICES * matrix, *dout = din + MATRICES * matrix;
    float *dshare = dout + matrix;
    const float scale = 1 / sqrtf((float)layer->size);
    for (size_t n = 0; n < pass->examples && dx[0] != NULL; n++) {
        const float *own = x[0] + n * tokens * layer->in_columns;
        float *to = dx[0] + n * tokens * layer->in_columns;
        if (layer->in_columns > (size_t)self->in.channels) { /* padding stays zero */
            memset(to, 0, tokens * layer->in_columns * sizeof(float));
        }
        for (size_t head = 0; head < layer->heads; head++) {
            const float *share = layer->share + (n * layer->heads + head) * tokens * rows;
            for (size_t k = 0; k < MATRICES; k++) {
                take(layer, own + place(layer, k, head), layer->in_columns, in + k * matrix);
            }
            take(layer, dy + n * tokens * layer->out_columns + head * layer->size, layer->out_columns, dout);
            product(kernels, AT_B, tokens, columns, tokens, share, rows, dout, columns, din + VALUE * matrix);
            product(kernels, A_BT, tokens, rows, columns, dout, columns, in + VALUE * matrix, columns,
                    dshare);
            kernels->softmax_backward(share, tokens, rows, scale, dshare);
            product(kernels, A_B, tokens, columns, tokens, dshare, rows, in + KEY * matrix, columns,
                    din + QUERY * matrix);
            product(kernels, AT_B, tokens, columns, tokens, dshare, rows, in + QUERY * matrix, columns,
                    din + KEY * matrix);
            for (size_t k = 0; k < MATRICES; k++) {
                put(layer, din + k * matrix, to + place(layer, k, head), layer->in_columns);
            }
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static double flops(const lo_layer *self, bool with_dx)
{
    const attention *layer = (const attention *)self;
    const double both = 4.0 * (double)(layer->tokens * layer->tokens * layer->size * layer->heads);
    return (with_dx ? 3.0 : 1.0) * both;
}

static const lo_layer_type type = {"attention", reserve, scratch, forward, backward, flops};

lo_status lo_layer_add_attention(lo_network *network, int32_t heads, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    char name[LO_NAME_SIZE];
    (void)lo_network_name(network, &type, NULL, name);
    if (heads < 1 || in.channels % (MATRICES * heads) != 0) {
        return lo_fail(err, LO_USAGE,
                       "layer %s: %d heads of tokens of %d values; query, key and value of every head are of "
                       "one size",
                       name, heads, in.channels);
    }
    if (lo_network_head(network) == 0) {
        LO_TRY(lo_layer_add_image(network, err));
    }
    const lo_shape out = {in.channels / MATRICES, in.height, in.width};
    attention *layer = lo_layer_create(sizeof(*layer), &type, network, out);
    if (layer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for layer %s", name);
    }
    layer->heads = (size_t)heads;
    layer->tokens = (size_t)in.height * (size_t)in.width;
    layer->size = (size_t)out.channels / layer->heads;
    layer->rows = lo_padded(layer->tokens);
    layer->columns = lo_padded(layer->size);
    layer->in_columns = lo_padded((size_t)in.channels);
    layer->out_columns = lo_padded((size_t)out.channels);
    return lo_network_add(network, &layer->base, err);
}
