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

    /* For derivatives along a direction. */
    float *share_dot; /* as share: its tangent */
    float *room;      /* of a head: see room_of */
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

/* C [rows or tokens, n] (+)= A B', A' B or A B of matrices with the given row steps. */
typedef enum product_kind { A_BT, AT_B, A_B } product_kind;

static void product(const lo_kernels *kernels, product_kind kind, size_t m, size_t n, size_t k,
                    const float *a, size_t a_step, const float *b, size_t b_step, bool accumulate, float *c)
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
                       .c_row = n,
                       .accumulate = accumulate};
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
                    columns, false, share);
            kernels->softmax(share, tokens, tokens, rows, scale);
            product(kernels, A_B, tokens, columns, tokens, share, rows, in + VALUE * matrix, columns, false,
                    out);
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
            product(kernels, AT_B, tokens, columns, tokens, share, rows, dout, columns, false,
                    din + VALUE * matrix);
            product(kernels, A_BT, tokens, rows, columns, dout, columns, in + VALUE * matrix, columns, false,
                    dshare);
            kernels->softmax_backward(share, tokens, rows, scale, dshare);
            product(kernels, A_B, tokens, columns, tokens, dshare, rows, in + KEY * matrix, columns, false,
                    din + QUERY * matrix);
            product(kernels, AT_B, tokens, columns, tokens, dshare, rows, in + QUERY * matrix, columns, false,
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

/* ---- derivatives along a direction ---- */

/* A head's matrices: query, key and value, the gradient of the output and of the softmax before scaling, and
 * of the products before that; and a tangent of each. */
typedef struct head_room {
    float *in[MATRICES], *in_dot[MATRICES];
    float *dout, *dout_dot, *result;
    float *dshare, *dshare_dot, *dscore;
} head_room;

enum { ROOM_MATRICES = 2 * MATRICES + 3, ROOM_SQUARES = 3 };

static void reserve_tangents(lo_layer *self, size_t capacity, lo_memory *memory)
{
    attention *layer = (attention *)self;
    layer->share_dot = lo_memory_floats(memory, capacity * layer->heads * layer->tokens * layer->rows);
    layer->room = lo_memory_floats(memory, ROOM_MATRICES * layer->rows * layer->columns +
                                               ROOM_SQUARES * layer->rows * layer->rows);
}

static head_room room_of(const attention *layer)
{
    const size_t matrix = layer->rows * layer->columns, square = layer->rows * layer->rows;
    float *squares = layer->room + ROOM_MATRICES * matrix;
    head_room room = {.dout = layer->room + 2 * MATRICES * matrix,
                      .dshare = squares,
                      .dshare_dot = squares + square,
                      .dscore = squares + 2 * square};
    room.dout_dot = room.dout + matrix;
    room.result = room.dout_dot + matrix;
    for (size_t k = 0; k < MATRICES; k++) {
        room.in[k] = layer->room + k * matrix;
        room.in_dot[k] = layer->room + (MATRICES + k) * matrix;
    }
    return room;
}

static void take_head(const attention *layer, const float *x, const float *x_dot, size_t n, size_t head,
                      const head_room *room)
{
    const size_t at = n * layer->tokens * layer->in_columns;
    for (size_t k = 0; k < MATRICES; k++) {
        take(layer, x + at + place(layer, k, head), layer->in_columns, room->in[k]);
        take(layer, x_dot + at + place(layer, k, head), layer->in_columns, room->in_dot[k]);
    }
}

/* With S = scale Q K', P its softmax and O = P V: S_dot = scale (Q_dot K' + Q K_dot'), of which softmax's
 * derivative, a symmetric matrix, makes P_dot; O_dot = P_dot V + P V_dot. */
static lo_status tangent(lo_layer *self, const lo_pass *pass, const lo_network *along, const float *const x[],
                         const float *const x_dot[], const float *y, float *y_dot)
{
    (void)along;
    (void)y;
    const attention *layer = (const attention *)self;
    const lo_kernels *kernels = pass->kernels;
    const size_t rows = layer->rows, columns = layer->columns, tokens = layer->tokens;
    const head_room room = room_of(layer);
    const float scale = 1 / sqrtf((float)layer->size);
    for (size_t n = 0; n < pass->examples; n++) {
        for (size_t head = 0; head < layer->heads; head++) {
            const size_t at = (n * layer->heads + head) * tokens * rows;
            const float *share = layer->share + at;
            float *share_dot = layer->share_dot + at;
            take_head(layer, x[0], x_dot[0], n, head, &room);
            product(kernels, A_BT, tokens, rows, columns, room.in_dot[QUERY], columns, room.in[KEY], columns,
                    false, share_dot);
            product(kernels, A_BT, tokens, rows, columns, room.in[QUERY], columns, room.in_dot[KEY], columns,
                    true, share_dot);
            kernels->softmax_backward(share, tokens, rows, scale, share_dot);
            product(kernels, A_B, tokens, columns, tokens, share_dot, rows, room.in[VALUE], columns, false,
                    room.result);
            product(kernels, A_B, tokens, columns, tokens, share, rows, room.in_dot[VALUE], columns, true,
                    room.result);
            put(layer, room.result, y_dot + n * tokens * layer->out_columns + head * layer->size,
                layer->out_columns);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

/* Rows of p, its tangent, and the gradient dp of p and its tangent, to the gradient of the scores and its
 * tangent, which takes the place of dp_dot: scale p (dp - p' dp), differentiated. */
static void softmax_curve(const attention *layer, const float *p, const float *p_dot, const float *dp,
                          float scale, float *ds, float *dp_dot)
{
    for (size_t t = 0; t < layer->tokens; t++) {
        const size_t at = t * layer->rows;
        float mean = 0, mean_dot = 0;
        for (size_t i = at; i < at + layer->tokens; i++) {
            mean += p[i] * dp[i];
            mean_dot += p_dot[i] * dp[i] + p[i] * dp_dot[i];
        }
        for (size_t i = at; i < at + layer->rows; i++) {
            ds[i] = scale * p[i] * (dp[i] - mean);
            dp_dot[i] = scale * (p_dot[i] * (dp[i] - mean) + p[i] * (dp_dot[i] - mean_dot));
        }
    }
}

/* One head: dO and dO_dot are in the room, as is the input. */
static void head_curve(const attention *layer, const lo_kernels *kernels, const head_room *room,
                       const float *share, const float *share_dot, float *to)
{
    const size_t rows = layer->rows, columns = layer->columns, tokens = layer->tokens;
    const float scale = 1 / sqrtf((float)layer->size);
    product(kernels, AT_B, tokens, columns, tokens, share_dot, rows, room->dout, columns, false,
            room->result);
    product(kernels, AT_B, tokens, columns, tokens, share, rows, room->dout_dot, columns, true, room->result);
    put(layer, room->result, to + 2 * layer->heads * layer->size, layer->in_columns);
    product(kernels, A_BT, tokens, rows, columns, room->dout, columns, room->in[VALUE], columns, false,
            room->dshare);
    product(kernels, A_BT, tokens, rows, columns, room->dout_dot, columns, room->in[VALUE], columns, false,
            room->dshare_dot);
    product(kernels, A_BT, tokens, rows, columns, room->dout, columns, room->in_dot[VALUE], columns, true,
            room->dshare_dot);
    softmax_curve(layer, share, share_dot, room->dshare, scale, room->dscore, room->dshare_dot);
    product(kernels, A_B, tokens, columns, tokens, room->dshare_dot, rows, room->in[KEY], columns, false,
            room->result);
    product(kernels, A_B, tokens, columns, tokens, room->dscore, rows, room->in_dot[KEY], columns, true,
            room->result);
    put(layer, room->result, to, layer->in_columns);
    product(kernels, AT_B, tokens, columns, tokens, room->dshare_dot, rows, room->in[QUERY], columns, false,
            room->result);
    product(kernels, AT_B, tokens, columns, tokens, room->dscore, rows, room->in_dot[QUERY], columns, true,
            room->result);
    put(layer, room->result, to + layer->heads * layer->size, layer->in_columns);
}

static lo_status curve(lo_layer *self, const lo_pass *pass, const lo_network *along, const lo_curve *v)
{
    (void)along;
    const attention *layer = (const attention *)self;
    const size_t tokens = layer->tokens;
    const head_room room = room_of(layer);
    for (size_t n = 0; n < pass->examples && v->dx_dot[0] != NULL; n++) {
        float *to = v->dx_dot[0] + n * tokens * layer->in_columns;
        if (layer->in_columns > (size_t)self->in.channels) { /* padding stays zero */
            memset(to, 0, tokens * layer->in_columns * sizeof(float));
        }
        for (size_t head = 0; head < layer->heads; head++) {
            const size_t at = (n * layer->heads + head) * tokens * layer->rows;
            const size_t out = n * tokens * layer->out_columns + head * layer->size;
            take_head(layer, v->x[0], v->x_dot[0], n, head, &room);
            take(layer, v->dy + out, layer->out_columns, room.dout);
            take(layer, v->dy_dot + out, layer->out_columns, room.dout_dot);
            head_curve(layer, pass->kernels, &room, layer->share + at, layer->share_dot + at,
                       to + head * layer->size);
        }
        LO_TRY(lo_tick_call(pass->tick));
    }
    return LO_OK;
}

static const lo_layer_tangents tangents = {tangent, curve, reserve_tangents};

static const lo_layer_type type = {"attention", reserve, scratch, forward, backward, flops, &tangents};

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
