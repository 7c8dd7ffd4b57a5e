#include "nn/product.h"

#include "nn/batch.h"
#include "nn/kernels/float_mode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BLOCK = 256, VALUES_A_TICK = 1 << 20 };

struct lo_product {
    lo_network *network;
    lo_arena *arena;
    float **tangent; /* [values]: [capacity, size] each */
    float **slope;   /* [values]: gradients, of those whose layers ask for them */
    double *own;     /* [4, classes]: of one example */
};

/* ---- memory ---- */

static void reserve(lo_product *product, lo_memory *memory)
{
    const lo_network *network = product->network;
    for (int v = 1; v <= network->layer_count; v++) {
        lo_layer *layer = network->layer[v - 1];
        const size_t count = network->capacity * network->flow[v].size;
        product->tangent[v] = lo_memory_floats(memory, count);
        product->slope[v] = layer->type->tangents->curve != NULL ? lo_memory_floats(memory, count) : NULL;
        if (layer->type->tangents->reserve != NULL) {
            layer->type->tangents->reserve(layer, network->capacity, memory);
        }
    }
    product->own = lo_memory_bytes(memory, 4 * (size_t)network->classes, sizeof(double));
}

static lo_status check_network(const lo_network *network, lo_error *err)
{
    if (network->kernels == NULL || network->kernels->precision != LO_F32) {
        return lo_fail(err, LO_USAGE,
                       "products with derivatives are computed in float32: the network must have the kernels "
                       "of that precision");
    }
    if (network->multiplied) {
        return lo_fail(err, LO_USAGE, "the network has products already");
    }
    for (int i = 0; i < network->layer_count; i++) {
        if (network->layer[i]->type->tangents == NULL) {
            return lo_fail(err, LO_USAGE,
                           "layer %d is of kind %s, which has no derivatives along a direction: products "
                           "with the Jacobian, Gauss-Newton and Hessian matrices are for networks without it",
                           i + 1, network->layer[i]->type->name);
        }
    }
    return LO_OK;
}

lo_status lo_product_create(lo_network *network, lo_product **out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_memory memory = {0};
    *out = NULL;
    LO_TRY(check_network(network, err));
    const size_t values = (size_t)network->layer_count + 1;
    lo_product *product = calloc(1, sizeof(*product));
    if (product == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for products");
    }
    product->network = network;
    product->tangent = calloc(values, sizeof(*product->tangent));
    product->slope = calloc(values, sizeof(*product->slope));
    if (product->tangent == NULL || product->slope == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for products");
        goto done;
    }
    reserve(product, &memory);
    product->arena = memory.arena = lo_arena_create(memory.bytes);
    if (product->arena == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for products: %zu MB for batches of %zu examples",
                         memory.bytes >> 20, network->capacity);
        goto done;
    }
    reserve(product, &memory);
    network->multiplied = true;
done:
    if (status != LO_OK) {
        lo_product_destroy(&product);
    }
    *out = product;
    return status;
}

void lo_product_destroy(lo_product **product)
{
    if (*product == NULL) {
        return;
    }
    if ((*product)->tangent != NULL && (*product)->slope != NULL) {
        reserve(*product, &(lo_memory){0}); /* leaves no layer a place */
        (*product)->network->multiplied = false;
    }
    free((*product)->tangent);
    free((*product)->slope);
    lo_arena_destroy(&(*product)->arena);
    free(*product);
    *product = NULL;
}

/* ---- vectors ---- */

/* How elements of a parameter are passed on between a vector in PyTorch's order and one in the network's. */
typedef enum way { FLOATS_FROM_VECTOR, SUM_PLUS_VECTOR, VECTOR_FROM_SUM } way;

typedef struct mover {
    way how;
    float *floats;
    double *sum;
    double factor;
    const double *from; /* the vector, read or ... */
    double *to;         /* ... written */
    const lo_tick *tick;
} mover;

/* Element `from` of the vector and `at` of the network's. */
static void move_one(const mover *m, size_t from, size_t at)
{
    if (m->how == FLOATS_FROM_VECTOR) {
        m->floats[at] = (float)m->from[from];
    } else if (m->how == SUM_PLUS_VECTOR) {
        m->sum[at] += m->factor * m->from[from];
    } else {
        m->to[from] = m->sum[at];
    }
}

static lo_status move(const lo_parameter *p, const mover *m)
{
    const size_t rests = p->in * p->taps;
    for (size_t first = 0; first < p->out; first += LO_LANES) { /* whole cache lines of outputs */
        const size_t end = p->out - first < LO_LANES ? p->out : first + LO_LANES;
        for (size_t rest = 0; rest < rests; rest++) {
            const size_t at = p->offset + rest / p->taps * p->in_step + rest % p->taps * p->tap_step;
            for (size_t o = first; o < end; o++) {
                move_one(m, o * rests + rest, at + o * p->out_step);
            }
        }
        LO_TRY(lo_tick_call(m->tick));
    }
    return LO_OK;
}

static size_t count_of(const lo_parameter *p)
{
    return p->out * p->in * p->taps;
}

/* A direction as the network's weights lie in memory, of a vector. */
static lo_status take_direction(const lo_product *product, const double *vector, const lo_tick *tick,
                                float *direction)
{
    const lo_network *network = product->network;
    mover m = {.how = FLOATS_FROM_VECTOR, .floats = direction, .from = vector, .tick = tick};
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (!p->statistic) {
            LO_TRY(move(p, &m));
            m.from += count_of(p);
        }
    }
    lo_network_clear_untrained(network, direction);
    return LO_OK;
}

static lo_status check_finite(const lo_network *network, lo_error *err)
{
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const float *values = (p->statistic ? network->statistics : network->weights) + p->offset;
        for (size_t i = 0; i < p->size; i++) {
            if (!isfinite(values[i])) {
                return lo_fail(err, LO_DATA, "%s of the network is not finite: it has no derivatives",
                               p->name);
            }
        }
    }
    return LO_OK;
}

static lo_status check_vectors(const lo_vectors *vectors, size_t length, const lo_tick *tick, lo_error *err)
{
    if (vectors->count < 1 || vectors->length != length) {
        return lo_fail(err, LO_USAGE, "%d vectors of length %zu; it takes 1 or more of length %zu",
                       vectors->count, vectors->length, length);
    }
    for (size_t i = 0; i < (size_t)vectors->count * length; i++) {
        if (i % VALUES_A_TICK == 0) {
            LO_TRY(lo_tick_call(tick));
        }
        if (!isfinite((float)vectors->values[i])) {
            return lo_fail(err, LO_USAGE, "value %zu of vector %zu is %g; finite float32 are taken",
                           i % length, i / length, vectors->values[i]);
        }
    }
    return LO_OK;
}

static size_t row_of(const lo_product_set *set, int64_t n)
{
    return set->rows != NULL ? set->rows[n] : (size_t)n;
}

static lo_status check_set(const lo_network *network, const lo_product_set *set, bool labels, lo_error *err)
{
    const lo_shape shape = set->dataset->shape, input = network->input;
    if (shape.channels != input.channels || shape.height != input.height || shape.width != input.width) {
        return lo_fail(err, LO_USAGE, "examples of %d x %d x %d, and a network for %d x %d x %d",
                       shape.channels, shape.height, shape.width, input.channels, input.height, input.width);
    }
    for (int64_t n = 0; n < set->count; n++) {
        const size_t row = row_of(set, n);
        if (row >= (size_t)set->examples->count) {
            return lo_fail(err, LO_USAGE, "example %zu of %lld", row, (long long)set->examples->count);
        }
        const int32_t label = set->examples->label != NULL ? set->examples->label[row] : -1;
        if (labels && (label < 0 || label >= network->classes)) {
            return lo_fail(err, LO_USAGE, "example %zu has label %d, and the network %d classes", row, label,
                           network->classes);
        }
        if (set->weight != NULL && !isfinite(set->weight[n])) {
            return lo_fail(err, LO_USAGE, "the weight of example %zu is %g", row, set->weight[n]);
        }
    }
    return LO_OK;
}

/* ---- the loss ---- */

/* The probabilities of the classes. */
static void softmax(const float *z, int32_t classes, double *p)
{
    double largest = (double)z[0], sum = 0;
    for (int32_t c = 1; c < classes; c++) {
        largest = fmax(largest, (double)z[c]);
    }
    for (int32_t c = 0; c < classes; c++) {
        p[c] = exp((double)z[c] - largest);
        sum += p[c];
    }
    for (int32_t c = 0; c < classes; c++) {
        p[c] /= sum;
    }
}

/* g = p - target. */
static void loss_slope(const lo_product *product, const lo_product_set *set, int64_t n, const float *z,
                       double *g)
{
    const int32_t classes = product->network->classes;
    if (set->outer != NULL) {
        set->outer->slope(set->outer->self, n, z, g);
        return;
    }
    softmax(z, classes, g);
    for (int32_t c = 0; c < classes; c++) {
        g[c] -= set->smoothing / classes;
    }
    g[set->examples->label[row_of(set, n)]] -= 1 - set->smoothing;
}

/* L z_dot = p * z_dot - p (p' z_dot). */
static void loss_curve(const lo_product *product, const lo_product_set *set, int64_t n, const float *z,
                       const double *z_dot, double *result)
{
    const int32_t classes = product->network->classes;
    if (set->outer != NULL) {
        set->outer->curve(set->outer->self, n, z, z_dot, result);
        return;
    }
    double mean = 0;
    softmax(z, classes, result);
    for (int32_t c = 0; c < classes; c++) {
        mean += result[c] * z_dot[c];
    }
    for (int32_t c = 0; c < classes; c++) {
        result[c] *= z_dot[c] - mean;
    }
}

/* ---- a batch ---- */

/* A batch of a set: examples first .. first + count - 1; and, for steps backward, the direction's network. */
typedef struct batch {
    lo_product *product;
    const lo_product_set *set;
    int64_t first;
    size_t count;
    lo_pass pass;
    lo_network along;
} batch;

static lo_status forward(batch *b)
{
    lo_network *network = b->product->network;
    const lo_product_set *set = b->set;
    b->pass = (lo_pass){.kernels = network->kernels,
                        .examples = b->count,
                        .scratch = network->scratch,
                        .tick = b->pass.tick,
                        .draw = &network->draw};
    b->along = *network;
    for (size_t n = 0; n < b->count; n++) {
        lo_batch_example(network->kernels, set->dataset, set->examples, row_of(set, b->first + (int64_t)n),
                         lo_network_input(network) + n * lo_network_input_size(network));
        LO_TRY(lo_tick_call(b->pass.tick));
    }
    return lo_network_forward(network, b->count, false, b->pass.tick);
}

/* The tangents of an input of a layer, NULL where they are zero. */
static void tangents_of(const lo_product *product, const lo_layer *layer, const float *x_dot[])
{
    for (int k = 0; k < layer->inputs; k++) {
        const int v = layer->value[k];
        x_dot[k] = product->network->flow[v].learns && v > 0 ? product->tangent[v] : NULL;
    }
}

static void values_of(const lo_network *network, const lo_layer *layer, const float *x[])
{
    for (int k = 0; k < layer->inputs; k++) {
        x[k] = network->flow[layer->value[k]].activation;
    }
}

/* Carries a direction forward. */
static lo_status tangents(batch *b, float *direction)
{
    const lo_product *product = b->product;
    lo_network *network = product->network;
    b->along.weights = direction;
    if (!network->flow[network->layer_count].learns) { /* nothing is trained */
        memset(product->tangent[network->layer_count], 0,
               b->count * lo_network_logit_step(network) * sizeof(float));
    }
    for (int i = 0; i < network->layer_count; i++) {
        lo_layer *layer = network->layer[i];
        const float *x[LO_LAYER_INPUTS], *x_dot[LO_LAYER_INPUTS];
        if (!network->flow[i + 1].learns) {
            continue;
        }
        values_of(network, layer, x);
        tangents_of(product, layer, x_dot);
        LO_TRY(layer->type->tangents->tangent(layer, &b->pass, &b->along, x, x_dot,
                                              network->flow[i + 1].activation, product->tangent[i + 1]));
        LO_TRY(lo_tick_call(b->pass.tick));
    }
    return LO_OK;
}

static const float *logit_tangent(const lo_product *product, size_t n)
{
    const lo_network *network = product->network;
    return product->tangent[network->layer_count] + n * lo_network_logit_step(network);
}

/* What goes backward from the logits. */
typedef enum start { FROM_GIVEN, FROM_LOSS, FROM_TANGENTS } start;

static void start_backward(const batch *b, start from, const double *given)
{
    lo_product *product = b->product;
    lo_network *network = product->network;
    const size_t classes = (size_t)network->classes, step = lo_network_logit_step(network);
    double *result = product->own, *z_dot = product->own + classes;
    memset(lo_network_logit_slope(network), 0, b->count * step * sizeof(float));
    for (size_t n = 0; n < b->count; n++) {
        const int64_t example = b->first + (int64_t)n;
        const float *z = lo_network_logits(network) + n * step;
        const double weight = b->set->weight != NULL ? b->set->weight[example] : 1;
        for (size_t c = 0; c < classes && from == FROM_TANGENTS; c++) {
            z_dot[c] = (double)logit_tangent(product, n)[c];
        }
        if (from == FROM_LOSS) {
            loss_slope(product, b->set, example, z, result);
        } else if (from == FROM_TANGENTS) {
            loss_curve(product, b->set, example, z, z_dot, result);
        } else {
            memcpy(result, given + (size_t)example * classes, classes * sizeof(*result));
        }
        for (size_t c = 0; c < classes; c++) {
            lo_network_logit_slope(network)[n * step + c] = (float)(weight * result[c]);
        }
    }
}

static lo_status step_plain(void *self, const lo_pass *pass, int i, const float *const x[], const float *y,
                            float *dy, float *const dx[])
{
    lo_layer *layer = ((const batch *)self)->product->network->layer[i];
    return layer->type->backward(layer, pass, x, y, dy, dx);
}

/* The same, and the gradients are kept for the steps that follow. */
static lo_status step_kept(void *self, const lo_pass *pass, int i, const float *const x[], const float *y,
                           float *dy, float *const dx[])
{
    const lo_product *product = ((const batch *)self)->product;
    if (product->slope[i + 1] != NULL) {
        memcpy(product->slope[i + 1], dy,
               pass->examples * product->network->flow[i + 1].size * sizeof(float));
    }
    return step_plain(self, pass, i, x, y, dy, dx);
}

static lo_status step_curve(void *self, const lo_pass *pass, int i, const float *const x[], const float *y,
                            float *dy, float *const dx[])
{
    const batch *b = self;
    const lo_product *product = b->product;
    lo_layer *layer = product->network->layer[i];
    const lo_layer_tangents *type = layer->type->tangents;
    const float *x_dot[LO_LAYER_INPUTS];
    if (type->curve == NULL) {
        return step_plain(self, pass, i, x, y, dy, dx);
    }
    tangents_of(product, layer, x_dot);
    const lo_curve curve = {
        .x = x, .x_dot = x_dot, .y = y, .dy = product->slope[i + 1], .dy_dot = dy, .dx_dot = dx};
    return type->curve(layer, pass, &b->along, &curve);
}

/* The product of one vector over a batch, after forward, in the network's gradient; given: the vector of
 * LO_TRANSPOSED. */
static lo_status multiply(batch *b, lo_product_kind kind, float *direction, const double *given)
{
    lo_network *network = b->product->network;
    if (kind == LO_GAUSS_NEWTON || kind == LO_HESSIAN) {
        LO_TRY(tangents(b, direction));
    }
    start_backward(b,
                   kind == LO_TRANSPOSED ? FROM_GIVEN
                   : kind == LO_GRADIENT ? FROM_LOSS
                                         : FROM_TANGENTS,
                   given);
    LO_TRY(lo_network_backward_by(network, &b->pass, kind == LO_HESSIAN ? step_curve : step_plain, b));
    lo_network_clear_untrained(network, network->gradient);
    return LO_OK;
}

/* ---- sums ---- */

/* What a call works with. */
typedef struct work {
    lo_product *product;
    const lo_product_set *set;
    const lo_vectors *vectors;
    const lo_tick *tick;
    float *directions; /* [vectors, weight_size] */
} work;

static int64_t block_of(const lo_product_set *set)
{
    return set->block > 0 ? set->block : DEFAULT_BLOCK;
}

int64_t lo_product_blocks(const lo_product_set *set)
{
    return (set->count + block_of(set) - 1) / block_of(set);
}

size_t lo_product_size(const lo_product *product, const lo_vectors *vectors)
{
    return (size_t)vectors->count * product->network->weight_size;
}

static bool takes_directions(lo_product_kind kind)
{
    return kind == LO_GAUSS_NEWTON || kind == LO_HESSIAN;
}

static lo_status take_directions(work *w, lo_error *err)
{
    const size_t size = w->product->network->weight_size;
    w->directions = calloc((size_t)w->vectors->count * size + 1, sizeof(float));
    if (w->directions == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d vectors of %zu values", w->vectors->count,
                       w->vectors->length);
    }
    for (int k = 0; k < w->vectors->count; k++) {
        LO_TRY(take_direction(w->product, w->vectors->values + (size_t)k * w->vectors->length, w->tick,
                              w->directions + (size_t)k * size));
    }
    return LO_OK;
}

static lo_status check(const work *w, lo_error *err)
{
    const lo_network *network = w->product->network;
    const lo_vectors *v = w->vectors;
    const bool labels = v->kind != LO_TRANSPOSED && w->set->outer == NULL;
    LO_TRY(check_set(network, w->set, labels, err));
    if (v->kind == LO_GRADIENT) {
        if (v->count != 1) {
            return lo_fail(err, LO_USAGE, "%d vectors for the gradient, which is one", v->count);
        }
    } else {
        LO_TRY(check_vectors(v,
                             takes_directions(v->kind) ? (size_t)lo_network_parameters(network)
                                                       : (size_t)w->set->count * (size_t)network->classes,
                             w->tick, err));
    }
    return check_finite(network, err);
}

/* Adds the batch's gradients to a term. */
static void add_gradient(const lo_network *network, double *restrict term)
{
    const float *restrict gradient = network->gradient;
    for (size_t i = 0; i < network->weight_size; i++) {
        term[i] += (double)gradient[i];
    }
}

static lo_status add_batch(const work *w, int64_t first, size_t count, double *term)
{
    lo_product *product = w->product;
    lo_network *network = product->network;
    const lo_vectors *v = w->vectors;
    batch b = {.product = product, .set = w->set, .first = first, .count = count, .pass = {.tick = w->tick}};
    LO_TRY(forward(&b));
    if (v->kind == LO_HESSIAN) {
        start_backward(&b, FROM_LOSS, NULL);
        LO_TRY(lo_network_backward_by(network, &b.pass, step_kept, &b));
    }
    for (int k = 0; k < v->count; k++) {
        float *direction = w->directions != NULL ? w->directions + (size_t)k * network->weight_size : NULL;
        const double *given = v->kind == LO_TRANSPOSED ? v->values + (size_t)k * v->length : NULL;
        LO_TRY(multiply(&b, v->kind, direction, given));
        add_gradient(network, term + (size_t)k * network->weight_size);
        LO_TRY(lo_tick_call(w->tick));
    }
    return LO_OK;
}

static lo_status add_blocks(const work *w, int64_t first, int64_t count, lo_pairwise *sum, lo_error *err)
{
    const size_t capacity = w->product->network->capacity;
    for (int64_t block = first; block < first + count; block++) {
        const int64_t end =
            block + 1 < lo_product_blocks(w->set) ? (block + 1) * block_of(w->set) : w->set->count;
        double *term = NULL;
        LO_TRY(lo_pairwise_next(sum, w->tick, &term, err));
        for (int64_t n = block * block_of(w->set); n < end;) {
            const size_t examples = (size_t)(end - n) < capacity ? (size_t)(end - n) : capacity;
            LO_TRY(add_batch(w, n, examples, term));
            n += (int64_t)examples;
        }
        LO_TRY(lo_pairwise_take(sum, w->tick));
    }
    return LO_OK;
}

lo_status lo_product_terms(lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                           int64_t first, int64_t count, const lo_tick *tick, lo_pairwise *sum, lo_error *err)
{
    lo_status status = LO_OK;
    work w = {.product = product, .set = set, .vectors = vectors, .tick = tick};
    LO_TRY(check(&w, err));
    if (takes_directions(vectors->kind)) {
        LO_TRY_GOTO(status, take_directions(&w, err), done);
    }
    memset(product->network->gradient, 0, product->network->weight_size * sizeof(float));
    lo_network_find_learning(product->network);
    const lo_float_mode mode = lo_flush_denormals();
    status = add_blocks(&w, first, count, sum, err);
    lo_restore_floats(mode);
done:
    free(w.directions);
    return status;
}

/* Of one vector: the sum divided and damped, in place. */
static lo_status damp(const lo_product *product, double factor, double damping, const double *vector,
                      const lo_tick *tick, double *sum)
{
    const lo_network *network = product->network;
    mover m = {.how = SUM_PLUS_VECTOR, .sum = sum, .factor = damping, .from = vector, .tick = tick};
    for (size_t i = 0; i < network->weight_size; i++) {
        sum[i] *= factor;
    }
    for (int k = 0; k < network->parameter_count && damping != 0; k++) {
        const lo_parameter *p = &network->parameter[k];
        if (!p->statistic && !p->frozen) {
            LO_TRY(move(p, &m));
        }
        for (size_t i = p->offset; p->held > 0 && i < p->offset + p->size; i++) {
            sum[i] = lo_network_holds(network, i) ? 0 : sum[i];
        }
        m.from += p->statistic ? 0 : count_of(p);
    }
    return LO_OK;
}

lo_status lo_product_finish(const lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                            const lo_tick *tick, double *total, double *out)
{
    const lo_network *network = product->network;
    const double factor = vectors->mean && set->count > 0 ? 1 / (double)set->count : 1;
    const double damping = takes_directions(vectors->kind) ? vectors->damping : 0;
    mover m = {.how = VECTOR_FROM_SUM, .to = out, .tick = tick};
    for (int k = 0; k < vectors->count; k++) {
        m.sum = total + (size_t)k * network->weight_size;
        LO_TRY(damp(product, factor, damping, vectors->values + (size_t)k * vectors->length, tick, m.sum));
        for (int i = 0; i < network->parameter_count; i++) {
            const lo_parameter *p = &network->parameter[i];
            if (!p->statistic) {
                LO_TRY(move(p, &m));
                m.to += count_of(p);
            }
        }
    }
    return LO_OK;
}

lo_status lo_product_apply(lo_product *product, const lo_product_set *set, const lo_vectors *vectors,
                           const lo_tick *tick, double *out, lo_error *err)
{
    lo_status status = LO_OK;
    lo_pairwise *sum = NULL;
    double *total = NULL;
    const int64_t blocks = lo_product_blocks(set);
    LO_TRY(lo_pairwise_create(lo_product_size(product, vectors), blocks, 0, blocks, &sum, err));
    LO_TRY_GOTO(status, lo_product_terms(product, set, vectors, 0, blocks, tick, sum, err), done);
    LO_TRY_GOTO(status, lo_pairwise_total(sum, tick, &total, err), done);
    status = lo_product_finish(product, set, vectors, tick, total, out);
done:
    lo_pairwise_destroy(&sum);
    return status;
}

/* ---- J v ---- */

static lo_status batch_tangents(const work *w, int64_t first, size_t count, double *out)
{
    const lo_product *product = w->product;
    const lo_network *network = product->network;
    const size_t classes = (size_t)network->classes;
    batch b = {
        .product = w->product, .set = w->set, .first = first, .count = count, .pass = {.tick = w->tick}};
    LO_TRY(forward(&b));
    for (int k = 0; k < w->vectors->count; k++) {
        LO_TRY(tangents(&b, w->directions + (size_t)k * network->weight_size));
        for (size_t n = 0; n < count; n++) {
            double *own = out + ((size_t)k * (size_t)w->set->count + (size_t)first + n) * classes;
            for (size_t c = 0; c < classes; c++) {
                own[c] = (double)logit_tangent(product, n)[c];
            }
        }
    }
    return LO_OK;
}

lo_status lo_product_tangents(lo_product *product, const lo_product_set *set, const double *values,
                              int vectors, size_t length, const lo_tick *tick, double *out, lo_error *err)
{
    lo_status status = LO_OK;
    const lo_network *network = product->network;
    const lo_vectors list = {.kind = LO_GAUSS_NEWTON, .count = vectors, .length = length, .values = values};
    work w = {.product = product, .set = set, .vectors = &list, .tick = tick};
    LO_TRY(check_set(network, set, false, err));
    LO_TRY(check_vectors(&list, (size_t)lo_network_parameters(network), tick, err));
    LO_TRY(check_finite(network, err));
    LO_TRY_GOTO(status, take_directions(&w, err), done);
    lo_network_find_learning(product->network);
    const lo_float_mode mode = lo_flush_denormals();
    for (int64_t n = 0; n < set->count && status == LO_OK;) {
        const int64_t left = set->count - n;
        const size_t count = left < (int64_t)network->capacity ? (size_t)left : network->capacity;
        status = batch_tangents(&w, n, count, out);
        n += (int64_t)count;
    }
    lo_restore_floats(mode);
done:
    free(w.directions);
    return status;
}
