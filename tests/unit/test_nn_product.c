/* Products with the derivatives of whole presets, where no other program is needed to judge them: symmetry,
 * adjointness, definiteness, differences of gradients, bits of blocks, and what is refused. */
#include "base/random.h"
#include "nn/presets/presets.h"
#include "nn/product.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 11, CLASSES = 4, CAPACITY = 4, BLOCK = 5 };

typedef struct made {
    lo_network *network;
    lo_arena *arena;
    lo_product *product;
    lo_dataset data;
    lo_product_set set;
    float scale[3], shift[3];
    uint8_t *pixel;
    int32_t label[EXAMPLES];
    size_t length; /* of a vector */
} made;

static double *room(size_t count)
{
    double *values = calloc(count + 1, sizeof(*values));
    assert_non_null(values);
    return values;
}

/* Uniform in -1 .. 1, representable in float32. */
static double *random_values(uint64_t stream, size_t count)
{
    const lo_random random = lo_random_make(7, LO_FOR_TEST);
    double *values = room(count);
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * (double)lo_random_unit(random, stream, i) - 1;
    }
    return values;
}

static void make_network(made *m, const lo_model_spec *spec, lo_shape shape, const lo_kernels *kernels,
                         size_t capacity)
{
    lo_memory memory = {0};
    lo_error err = {""};
    if (lo_network_build(spec, shape, CLASSES, &m->network, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    lo_network_reserve(m->network, kernels, capacity, &memory);
    m->arena = memory.arena = lo_arena_create(memory.bytes);
    assert_non_null(m->arena);
    lo_network_reserve(m->network, kernels, capacity, &memory);
    assert_int_equal(lo_network_initialize(m->network, 1, 1, NULL), LO_OK);
    const lo_random random = lo_random_make(8, LO_FOR_TEST);
    for (int k = 0; k < m->network->parameter_count; k++) { /* nothing is 0, statistics are not as new */
        const lo_parameter *p = &m->network->parameter[k];
        const size_t count = p->out * p->in * p->taps;
        float *values = calloc(count, sizeof(*values));
        assert_non_null(values);
        lo_network_get(m->network, p, LO_VALUES, values);
        for (size_t i = 0; i < count; i++) {
            values[i] += 0.2F * (lo_random_unit(random, (uint64_t)k, i) - 0.5F);
        }
        lo_network_set(m->network, p, values);
        free(values);
    }
}

/* In place: sets point into it. */
static void make_at(made *m, const char *preset, lo_shape shape, size_t capacity)
{
    const lo_random random = lo_random_make(9, LO_FOR_TEST);
    const size_t size = lo_shape_size(shape);
    lo_error err = {""};
    const bool listed = preset[0] == '[';
    const lo_model_spec spec = {.preset = listed ? "layers" : preset,
                                .layers = listed ? preset : NULL,
                                .hidden = {9, 7},
                                .hidden_count = strcmp(preset, "mlp") == 0 ? 2 : 0,
                                .width = strcmp(preset, "cnn") == 0       ? 3
                                         : strcmp(preset, "resnet9") == 0 ? 2
                                                                          : 0};
    *m = (made){0};
    make_network(m, &spec, shape, lo_kernels_at(LO_F32, 0), capacity);
    m->pixel = calloc(EXAMPLES, size);
    assert_non_null(m->pixel);
    for (size_t i = 0; i < EXAMPLES * size; i++) {
        m->pixel[i] = (uint8_t)(255 * lo_random_unit(random, 1, i));
    }
    for (int n = 0; n < EXAMPLES; n++) {
        m->label[n] = n * 7 % CLASSES;
    }
    for (int c = 0; c < 3; c++) {
        m->scale[c] = 1.0F / 64;
        m->shift[c] = -2;
    }
    m->data = (lo_dataset){.shape = shape, .classes = CLASSES, .scale = m->scale, .shift = m->shift};
    m->data.train = (lo_examples){.count = EXAMPLES, .pixel = m->pixel, .label = m->label};
    m->set = (lo_product_set){
        .dataset = &m->data, .examples = &m->data.train, .count = EXAMPLES, .smoothing = 0.1, .block = BLOCK};
    m->length = (size_t)lo_network_parameters(m->network);
    if (lo_product_create(m->network, &m->product, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
}

static void destroy(made *m)
{
    lo_product_destroy(&m->product);
    lo_network_destroy(&m->network);
    lo_arena_destroy(&m->arena);
    free(m->pixel);
}

static double *apply(const made *m, lo_product_kind kind, const double *values, int count)
{
    lo_error err = {""};
    const lo_vectors vectors = {.kind = kind,
                                .count = count,
                                .length = kind == LO_TRANSPOSED ? EXAMPLES * CLASSES : m->length,
                                .values = values};
    double *out = room((size_t)count * m->length);
    if (lo_product_apply(m->product, &m->set, &vectors, NULL, out, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    return out;
}

static double dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static double distance(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum / dot(b, b, count));
}

static const struct {
    const char *preset;
    lo_shape shape;
} networks[] = {
    {"linear", {1, 5, 6}},
    {"mlp", {1, 5, 6}},
    {"cnn", {1, 9, 8}},
    {"resnet9", {3, 8, 8}},
    {"[batch_norm, {conv: 5}, relu, {residual: [{conv: 5}, gelu]}, {mean_pool: 2}, flatten, {linear: 4}]",
     {2, 6, 6}},
};
enum { NETWORKS = sizeof(networks) / sizeof(networks[0]) };

static void check_identities(const made *m, bool linear)
{
    double *u = random_values(1, m->length), *v = random_values(2, m->length);
    double *given = random_values(3, EXAMPLES * CLASSES), *jv = room(EXAMPLES * CLASSES);
    double *hu = apply(m, LO_HESSIAN, u, 1), *hv = apply(m, LO_HESSIAN, v, 1);
    double *gu = apply(m, LO_GAUSS_NEWTON, u, 1), *gv = apply(m, LO_GAUSS_NEWTON, v, 1);
    double *back = apply(m, LO_TRANSPOSED, given, 1);
    lo_error err = {""};
    const double size_u = sqrt(dot(u, u, m->length));
    assert_true(fabs(dot(u, hv, m->length) - dot(v, hu, m->length)) <
                1e-6 * size_u * sqrt(dot(hv, hv, m->length)));
    assert_true(fabs(dot(u, gv, m->length) - dot(v, gu, m->length)) <
                1e-6 * size_u * sqrt(dot(gv, gv, m->length)));
    assert_true(dot(v, gv, m->length) > 0 && dot(u, gu, m->length) > 0);
    assert_int_equal(lo_product_tangents(m->product, &m->set, v, 1, m->length, NULL, jv, &err), LO_OK);
    assert_true(fabs(dot(jv, given, EXAMPLES * CLASSES) - dot(v, back, m->length)) <
                1e-6 * sqrt(dot(jv, jv, EXAMPLES * CLASSES) * EXAMPLES * CLASSES));
    if (linear) {
        assert_true(distance(hv, gv, m->length) < 1e-6);
    } else {
        assert_true(distance(hv, gv, m->length) > 1e-3);
    }
    double *const all[] = {u, v, given, jv, hu, hv, gu, gv, back};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        free(all[i]);
    }
}

static void test_identities(void **state)
{
    (void)state;
    for (int i = 0; i < NETWORKS; i++) {
        made m;
        make_at(&m, networks[i].preset, networks[i].shape, CAPACITY);
        check_identities(&m, i == 0);
        destroy(&m);
    }
}

/* Moves the weights by step v. */
static void move(const made *m, const float *weights, const double *v, double step)
{
    for (int k = 0; k < m->network->parameter_count; k++) {
        const lo_parameter *p = &m->network->parameter[k];
        for (size_t o = 0; o < p->out && !p->statistic; o++) {
            for (size_t i = 0; i < p->in; i++) {
                for (size_t t = 0; t < p->taps; t++) {
                    const size_t at = p->offset + o * p->out_step + i * p->in_step + t * p->tap_step;
                    m->network->weights[at] = (float)((double)weights[at] + step * *v++);
                }
            }
        }
    }
}

/* H v as a central difference of gradients, which float32 and ReLU's switches leave about a per cent. */
static void test_differences(void **state)
{
    (void)state;
    static const char *const smooth[] = {
        "[{conv: 4}, batch_norm, gelu, {residual: [{conv: 4}, gelu]}, flatten, {linear: 4}]", "mlp"};
    for (int i = 0; i < 2; i++) {
        made m;
        make_at(&m, smooth[i], (lo_shape){2, 5, 4}, CAPACITY);
        const size_t bytes = m.network->weight_size * sizeof(float);
        const double step = i == 0 ? 3e-3 : 3e-4;
        float *weights = malloc(bytes);
        assert_non_null(weights);
        memcpy(weights, m.network->weights, bytes);
        double *v = random_values(4, m.length), *hv = apply(&m, LO_HESSIAN, v, 1);
        move(&m, weights, v, step);
        double *above = apply(&m, LO_GRADIENT, v, 1);
        move(&m, weights, v, -step);
        double *below = apply(&m, LO_GRADIENT, v, 1);
        for (size_t k = 0; k < m.length; k++) {
            above[k] = (above[k] - below[k]) / (2 * step);
        }
        const double error = distance(above, hv, m.length);
        if (!(error < 0.01)) {
            fail_msg("network %d: H v differs from differences by %g", i, error);
        }
        free(weights);
        free(v);
        free(hv);
        free(above);
        free(below);
        destroy(&m);
    }
}

/* Of a block each vector's product is the bits of that vector alone; batches of other sizes round otherwise,
 * a set's order and another block too, and no more. */
static void test_blocks(void **state)
{
    (void)state;
    enum { VECTORS = 3 };
    static const lo_product_kind kinds[] = {LO_HESSIAN, LO_GAUSS_NEWTON};
    made m, other;
    make_at(&m, "cnn", (lo_shape){1, 9, 8}, CAPACITY);
    make_at(&other, "cnn", (lo_shape){1, 9, 8}, 1);
    other.set.block = 100;
    double *v = random_values(5, VECTORS * m.length);
    for (int k = 0; k < 2; k++) {
        double *block = apply(&m, kinds[k], v, VECTORS), *single = apply(&other, kinds[k], v, VECTORS);
        assert_true(distance(block, single, VECTORS * m.length) < 1e-6);
        for (size_t i = 0; i < VECTORS; i++) {
            double *alone = apply(&m, kinds[k], v + i * m.length, 1);
            assert_memory_equal(alone, block + i * m.length, m.length * sizeof(double));
            free(alone);
        }
        free(block);
        free(single);
    }
    free(v);
    destroy(&m);
    destroy(&other);
}

/* Weights, chosen rows, means and damping. */
static void test_sums(void **state)
{
    (void)state;
    made m;
    lo_error err = {""};
    make_at(&m, "mlp", (lo_shape){1, 5, 6}, CAPACITY);
    const uint32_t rows[3] = {7, 2, 7};
    const double weight[3] = {0.5, -2, 1.25};
    double *v = random_values(6, m.length), *sum = room(m.length), *found = room(m.length);
    lo_vectors vectors = {.kind = LO_HESSIAN, .count = 1, .length = m.length, .values = v};
    for (int k = 0; k < 3; k++) {
        m.set.rows = rows + k;
        m.set.count = 1;
        double *one = apply(&m, LO_HESSIAN, v, 1);
        for (size_t i = 0; i < m.length; i++) {
            sum[i] += weight[k] * one[i] / 3;
        }
        free(one);
    }
    for (size_t i = 0; i < m.length; i++) {
        sum[i] += 0.25 * v[i];
    }
    m.set.rows = rows;
    m.set.count = 3;
    m.set.weight = weight;
    vectors.mean = true;
    vectors.damping = 0.25;
    assert_int_equal(lo_product_apply(m.product, &m.set, &vectors, NULL, found, &err), LO_OK);
    assert_true(distance(found, sum, m.length) < 1e-6);
    m.set.count = 0; /* of nothing: the damping */
    assert_int_equal(lo_product_apply(m.product, &m.set, &vectors, NULL, found, &err), LO_OK);
    for (size_t i = 0; i < m.length; i++) {
        assert_true(found[i] == 0.25 * v[i]);
    }
    free(v);
    free(sum);
    free(found);
    destroy(&m);
}

/* The product restricted to what is trained is that of the vector with zeros elsewhere, zeros elsewhere. */
static void test_frozen(void **state)
{
    (void)state;
    made m;
    lo_error err = {""};
    make_at(&m, "cnn", (lo_shape){1, 9, 8}, CAPACITY);
    const char *const frozen[] = {"conv2.weight", "bn2.weight", "bn2.bias", "conv1.weight"};
    double *v = random_values(7, m.length), *part = room(m.length);
    memcpy(part, v, m.length * sizeof(double));
    uint8_t *trained = calloc(m.length, 1);
    assert_non_null(trained);
    memset(trained, 1, m.length);
    for (size_t k = 0, at = 0; k < (size_t)m.network->parameter_count; k++) {
        const lo_parameter *p = &m.network->parameter[k];
        const size_t count = p->statistic ? 0 : p->out * p->in * p->taps;
        bool is_frozen = false;
        for (int f = 0; f < 4; f++) {
            is_frozen = is_frozen || strcmp(p->name, frozen[f]) == 0;
        }
        for (size_t i = 0; i < count; i++, at++) {
            trained[at] = !is_frozen && !(strcmp(p->name, "linear1.weight") == 0 && i % 3 == 0);
            part[at] = trained[at] ? v[at] : 0;
        }
        if (strcmp(p->name, "linear1.weight") == 0) {
            assert_int_equal(lo_network_mask(m.network, p->name, trained + at - count, &err), LO_OK);
        }
    }
    double *whole[2], *restricted[2];
    static const lo_product_kind kinds[] = {LO_HESSIAN, LO_GAUSS_NEWTON};
    assert_int_equal(lo_network_mask(m.network, "linear1.weight", NULL, &err), LO_OK);
    for (int k = 0; k < 2; k++) {
        whole[k] = apply(&m, kinds[k], part, 1);
    }
    for (int f = 0; f < 4; f++) {
        assert_int_equal(lo_network_freeze(m.network, frozen[f], true, &err), LO_OK);
    }
    size_t at = 0;
    for (int k = 0; k < m.network->parameter_count; k++) {
        const lo_parameter *p = &m.network->parameter[k];
        if (strcmp(p->name, "linear1.weight") == 0) {
            assert_int_equal(lo_network_mask(m.network, p->name, trained + at, &err), LO_OK);
        }
        at += p->statistic ? 0 : p->out * p->in * p->taps;
    }
    for (int k = 0; k < 2; k++) {
        restricted[k] = apply(&m, kinds[k], v, 1);
        for (size_t i = 0; i < m.length; i++) {
            whole[k][i] = trained[i] ? whole[k][i] : 0;
            assert_true(trained[i] || restricted[k][i] == 0);
        }
        assert_true(distance(restricted[k], whole[k], m.length) < 1e-6);
        free(whole[k]);
        free(restricted[k]);
    }
    free(v);
    free(part);
    free(trained);
    destroy(&m);
}

/* A loss of one's own: half the squared norm of the logits less a target; L = 1. */
static void square_slope(const void *self, int64_t example, const float *logits, double *g)
{
    for (int c = 0; c < CLASSES; c++) {
        g[c] = (double)logits[c] - ((const double *)self)[example * CLASSES + c];
    }
}

static void square_curve(const void *self, int64_t example, const float *logits, const double *z_dot,
                         double *product)
{
    (void)self;
    (void)example;
    (void)logits;
    memcpy(product, z_dot, CLASSES * sizeof(double));
}

static void test_outer(void **state)
{
    (void)state;
    made m;
    lo_error err = {""};
    make_at(&m, "mlp", (lo_shape){1, 5, 6}, CAPACITY);
    double *target = random_values(8, EXAMPLES * CLASSES), *v = random_values(9, m.length);
    double *jv = room(EXAMPLES * CLASSES);
    const lo_outer square = {square_slope, square_curve, target};
    m.set.outer = &square;
    assert_int_equal(lo_product_tangents(m.product, &m.set, v, 1, m.length, NULL, jv, &err), LO_OK);
    double *expected = apply(&m, LO_TRANSPOSED, jv, 1), *found = apply(&m, LO_GAUSS_NEWTON, v, 1);
    assert_true(distance(found, expected, m.length) < 1e-6);
    /* Of a linear map the Hessian is G whatever the loss. */
    made linear;
    make_at(&linear, "linear", (lo_shape){1, 5, 6}, CAPACITY);
    linear.set.outer = &square;
    double *h = apply(&linear, LO_HESSIAN, v, 1), *g = apply(&linear, LO_GAUSS_NEWTON, v, 1);
    assert_true(linear.length <= m.length && distance(h, g, linear.length) < 1e-6);
    double *const all[] = {target, v, jv, expected, found, h, g};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        free(all[i]);
    }
    destroy(&linear);
    destroy(&m);
}

static void refused(const made *m, const lo_vectors *vectors, lo_status status, const char *text)
{
    lo_error err = {""};
    double *out = room(2 * m->length);
    assert_int_equal(lo_product_apply(m->product, &m->set, vectors, NULL, out, &err), status);
    if (strstr(err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, err.text);
    }
    free(out);
}

static void test_refused(void **state)
{
    (void)state;
    made m;
    lo_error err = {""};
    make_at(&m, "cnn", (lo_shape){1, 9, 8}, CAPACITY);
    double *v = random_values(10, m.length + 1);
    lo_vectors vectors = {.kind = LO_HESSIAN, .count = 1, .length = m.length + 1, .values = v};
    refused(&m, &vectors, LO_USAGE, "it takes 1 or more of length");
    vectors.length = m.length;
    vectors.count = 0;
    refused(&m, &vectors, LO_USAGE, "it takes 1 or more of length");
    vectors.count = 1;
    v[3] = NAN;
    refused(&m, &vectors, LO_USAGE, "value 3 of vector 0 is nan");
    v[3] = 1e60;
    refused(&m, &vectors, LO_USAGE, "value 3 of vector 0 is 1e+60");
    v[3] = 0;
    m.label[4] = CLASSES;
    refused(&m, &vectors, LO_USAGE, "example 4 has label 4");
    m.label[4] = 0;
    const uint32_t rows[EXAMPLES] = {0, EXAMPLES};
    m.set.rows = rows;
    refused(&m, &vectors, LO_USAGE, "example 11 of 11");
    m.set.rows = NULL;
    m.data.shape.width = 9;
    refused(&m, &vectors, LO_USAGE, "examples of 1 x 9 x 9, and a network for 1 x 9 x 8");
    m.data.shape.width = 8;
    const lo_parameter *p = lo_network_find(m.network, "bn2.weight");
    m.network->weights[p->offset + 1] = INFINITY;
    refused(&m, &vectors, LO_DATA, "bn2.weight");
    m.network->weights[p->offset + 1] = 1;
    lo_product *second = NULL;
    assert_int_equal(lo_product_create(m.network, &second, &err), LO_USAGE);
    assert_null(second);
    destroy(&m);
    free(v);

    /* Kernels of another precision, and a kind of layer that nobody differentiated. */
    made n = {0};
    make_network(&n, &(lo_model_spec){.preset = "linear"}, (lo_shape){1, 2, 2}, lo_kernels_at(LO_BF16, 0), 1);
    assert_int_equal(lo_product_create(n.network, &second, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "float32"));
    n.network->kernels = lo_kernels_at(LO_F32, 0);
    lo_layer_type plain = *n.network->layer[0]->type;
    plain.tangents = NULL;
    n.network->layer[0]->type = &plain;
    assert_int_equal(lo_product_create(n.network, &second, &err), LO_USAGE);
    assert_non_null(strstr(err.text, plain.name));
    lo_network_destroy(&n.network);
    lo_arena_destroy(&n.arena);
}

/* A tick that stops ends the product with what it returned; until then it is called often. */
typedef struct counter {
    int calls, last;
} counter;

static lo_status count(void *self)
{
    counter *c = self;
    return ++c->calls >= c->last ? LO_STOPPED : LO_OK;
}

static void test_ticks(void **state)
{
    (void)state;
    made m;
    lo_error err = {""};
    make_at(&m, "resnet9", (lo_shape){3, 8, 8}, CAPACITY);
    double *v = random_values(11, m.length), *out = room(m.length);
    const lo_vectors vectors = {.kind = LO_HESSIAN, .count = 1, .length = m.length, .values = v};
    counter c = {0, INT32_MAX};
    const lo_tick tick = {count, &c};
    assert_int_equal(lo_product_apply(m.product, &m.set, &vectors, &tick, out, &err), LO_OK);
    const int calls = c.calls;
    /* Four passes through each layer of each of 4 batches, and more of convolutions. */
    assert_true(calls > 16 * m.network->layer_count);
    for (c.last = 1; c.last < calls; c.last += 37) {
        c.calls = 0;
        assert_int_equal(lo_product_apply(m.product, &m.set, &vectors, &tick, out, &err), LO_STOPPED);
        assert_int_equal(c.calls, c.last);
    }
    free(v);
    free(out);
    destroy(&m);
}

/* A training goes on as if there had been no product in between. */
static void test_no_trace(void **state)
{
    (void)state;
    made m[2];
    lo_error err = {""};
    float *gradient[2];
    for (int k = 0; k < 2; k++) {
        make_at(&m[k], "cnn", (lo_shape){1, 9, 8}, CAPACITY);
        const lo_network *network = m[k].network;
        if (k == 1) {
            double *v = random_values(12, m[k].length);
            free(apply(&m[k], LO_HESSIAN, v, 1));
            free(v);
        }
        lo_product_destroy(&m[k].product);
        for (size_t i = 0; i < CAPACITY * lo_network_input_size(network); i++) {
            lo_network_input(m[k].network)[i] = (float)(i * 37 % 101) / 50 - 1;
        }
        assert_int_equal(lo_network_forward(m[k].network, CAPACITY, true, NULL), LO_OK);
        for (size_t i = 0; i < CAPACITY * lo_network_logit_step(network); i++) {
            lo_network_logit_slope(m[k].network)[i] = i % lo_network_logit_step(network) < CLASSES ? 1 : 0;
            lo_network_logit_slope(m[k].network)[i] *= (float)(i % 7);
        }
        assert_int_equal(lo_network_backward(m[k].network, CAPACITY, NULL), LO_OK);
        gradient[k] = network->gradient;
    }
    assert_memory_equal(gradient[0], gradient[1], m[0].network->weight_size * sizeof(float));
    assert_int_equal(lo_product_create(m[1].network, &m[1].product, &err), LO_OK);
    destroy(&m[0]);
    destroy(&m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_blocks),     cmocka_unit_test(test_sums),
        cmocka_unit_test(test_frozen),     cmocka_unit_test(test_outer),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
