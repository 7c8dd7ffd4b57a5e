/* Products with Jacobian, Gauss-Newton and Hessian matrices, on every level of kernels, against PyTorch in
 * double precision: the values of tests/fixtures/products.bin, made by make_products.py, which describes the
 * file. Of the smallest networks the matrices are compared whole, column by column, by blocks of all unit
 * vectors. Differences are relative, in norm, over a whole product (or matrix). */
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

enum { MOST_TENSORS = 256, MOST_BATCH = 16, CASES = 12, CAPACITY = 3 };

/* What float32 may take of a product; more where blocks of attention amplify it. The worst is printed. */
static const double ALLOWED = 1e-6, ALLOWED_ATTENTION = 3e-6;

typedef struct tensor {
    char name[96]; /* empty: by its number */
    int32_t statistic, count;
    float *values;
    size_t at; /* where it starts among the file's parameters */
} tensor;

typedef enum quantity { GRADIENT, HESSIAN, GAUSS_NEWTON, TRANSPOSED, TANGENT, QUANTITIES } quantity;
static const char *const names[] = {"gradient", "H v", "G v", "J' u", "J v"};

typedef struct product_case {
    int number; /* from 1 */
    char *text;
    lo_model_spec model;
    lo_dataset dataset;
    float scale[8], shift[8];
    uint8_t *pixel;
    int32_t label[MOST_BATCH];
    double weight[MOST_BATCH];
    double smoothing;
    int32_t tensor_count, vectors, unit;
    tensor tensors[MOST_TENSORS];
    size_t parameters, logits;    /* of a vector, of an image of it */
    double *v, *u;                /* [vectors, parameters], [vectors, logits] */
    double *expected[QUANTITIES]; /* in the order of the file's tensors */
} product_case;

static void take(FILE *file, void *to, size_t count, size_t size)
{
    assert_int_equal(fread(to, size, count, file), count);
}

static void *room(size_t count, size_t size)
{
    void *data = calloc(count + 1, size);
    assert_non_null(data);
    return data;
}

static double *taken(FILE *file, size_t count)
{
    float *floats = room(count, sizeof(float));
    double *values = room(count, sizeof(double));
    take(file, floats, count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)floats[i];
    }
    free(floats);
    return values;
}

static void read_tensors(FILE *file, product_case *c)
{
    take(file, &c->tensor_count, 1, sizeof(int32_t));
    assert_in_range(c->tensor_count, 1, MOST_TENSORS);
    for (int32_t k = 0; k < c->tensor_count; k++) {
        tensor *t = &c->tensors[k];
        int32_t length = 0;
        take(file, &length, 1, sizeof(length));
        assert_in_range(length, 0, (int)sizeof(t->name) - 1);
        take(file, t->name, (size_t)length, 1);
        take(file, &t->statistic, 1, sizeof(int32_t));
        take(file, &t->count, 1, sizeof(int32_t));
        t->values = room((size_t)t->count, sizeof(float));
        take(file, t->values, (size_t)t->count, sizeof(float));
        t->at = c->parameters;
        c->parameters += t->statistic != 0 ? 0 : (size_t)t->count;
    }
}

static bool read_case(FILE *file, product_case *c)
{
    int32_t length = 0, head[11];
    float weight[MOST_BATCH], smoothing = 0;
    memset(c, 0, sizeof(*c));
    if (fread(&length, sizeof(length), 1, file) != 1) {
        return false;
    }
    c->text = room((size_t)length, 1);
    take(file, c->text, (size_t)length, 1);
    take(file, head, 11, sizeof(int32_t));
    char *list = strchr(c->text, '\n');
    if (list != NULL) {
        *list++ = '\0';
    }
    c->model = (lo_model_spec){.preset = c->text,
                               .width = head[0],
                               .depth = head[1],
                               .heads = head[2],
                               .patch = head[3],
                               .layers = list};
    c->dataset = (lo_dataset){
        .shape = {head[4], head[5], head[6]}, .classes = head[7], .scale = c->scale, .shift = c->shift};
    for (int i = 0; i < 8; i++) {
        c->scale[i] = 1.0F / 64;
        c->shift[i] = -2;
    }
    assert_in_range(head[4], 1, 8);
    assert_in_range(head[8], 1, MOST_BATCH);
    c->vectors = head[9];
    c->unit = head[10];
    const size_t batch = (size_t)head[8];
    c->pixel = room(batch * lo_shape_size(c->dataset.shape), 1);
    take(file, c->pixel, batch * lo_shape_size(c->dataset.shape), 1);
    take(file, c->label, batch, sizeof(int32_t));
    take(file, weight, batch, sizeof(float));
    take(file, &smoothing, 1, sizeof(float));
    for (size_t n = 0; n < batch; n++) {
        c->weight[n] = (double)weight[n];
    }
    c->smoothing = (double)smoothing;
    c->dataset.train = (lo_examples){.count = head[8], .pixel = c->pixel, .label = c->label};
    c->logits = batch * (size_t)head[7];
    read_tensors(file, c);
    const size_t vectors = (size_t)c->vectors;
    if (c->unit != 0) {
        c->v = room(vectors * c->parameters, sizeof(double));
        for (size_t k = 0; k < vectors; k++) {
            c->v[k * c->parameters + k] = 1;
        }
    } else {
        c->v = taken(file, vectors * c->parameters);
    }
    c->u = taken(file, vectors * c->logits);
    c->expected[GRADIENT] = taken(file, c->parameters);
    for (int q = HESSIAN; q <= TRANSPOSED; q++) {
        c->expected[q] = taken(file, vectors * c->parameters);
    }
    c->expected[TANGENT] = taken(file, vectors * c->logits);
    return true;
}

static void free_case(product_case *c)
{
    for (int32_t k = 0; k < c->tensor_count; k++) {
        free(c->tensors[k].values);
    }
    for (int q = 0; q < QUANTITIES; q++) {
        free(c->expected[q]);
    }
    free(c->text);
    free(c->pixel);
    free(c->v);
    free(c->u);
}

static int parameter_of(const lo_network *network, const product_case *c, int32_t t)
{
    if (c->tensors[t].name[0] == '\0') {
        return t;
    }
    const lo_parameter *parameter = lo_network_find(network, c->tensors[t].name);
    assert_non_null(parameter);
    return (int)(parameter - network->parameter);
}

/* Vectors in the order of the file to the network's, or back. */
static void reorder(const lo_network *network, const product_case *c, size_t vectors, double *file,
                    double *own, bool back)
{
    size_t *at = room((size_t)network->parameter_count, sizeof(*at)), end = 0;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        at[k] = end;
        end += p->statistic ? 0 : p->out * p->in * p->taps;
    }
    assert_int_equal(end, c->parameters);
    for (size_t v = 0; v < vectors; v++) {
        for (int32_t t = 0; t < c->tensor_count; t++) {
            const size_t count = (size_t)c->tensors[t].count * sizeof(double);
            double *there = file + v * end + c->tensors[t].at;
            double *here = own + v * end + at[parameter_of(network, c, t)];
            if (c->tensors[t].statistic == 0) {
                memcpy(back ? there : here, back ? here : there, count);
            }
        }
    }
    free(at);
}

static double distance(const double *a, const double *b, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += pow(a[i] - b[i], 2);
        size += pow(b[i], 2);
    }
    return sqrt(difference / size);
}

/* The quantity as the file has it. */
static double *compute(const product_case *c, lo_product *product, const lo_network *network,
                       const lo_product_set *set, quantity q)
{
    static const lo_product_kind kinds[] = {LO_GRADIENT, LO_HESSIAN, LO_GAUSS_NEWTON, LO_TRANSPOSED};
    const size_t vectors = q == GRADIENT ? 1 : (size_t)c->vectors;
    double *direction = room(vectors * c->parameters, sizeof(double));
    double *own = room(vectors * c->parameters, sizeof(double));
    double *result = room(vectors * (q == TANGENT ? c->logits : c->parameters), sizeof(double));
    lo_error err = {""};
    lo_status status = LO_OK;
    reorder(network, c, vectors, c->v, direction, false);
    if (q == TANGENT) {
        status = lo_product_tangents(product, set, direction, c->vectors, c->parameters, NULL, result, &err);
    } else {
        const bool given = q == TRANSPOSED;
        const lo_vectors list = {.kind = kinds[q],
                                 .count = (int)vectors,
                                 .length = given ? c->logits : c->parameters,
                                 .values = given ? c->u : direction};
        status = lo_product_apply(product, set, &list, NULL, own, &err);
        reorder(network, c, vectors, result, own, true);
    }
    if (status != LO_OK) {
        fail_msg("case %d, %s: %s", c->number, names[q], err.text);
    }
    free(direction);
    free(own);
    return result;
}

static void check_case(const product_case *c, const lo_kernels *kernels, double worst[QUANTITIES])
{
    lo_network *network = NULL;
    lo_product *product = NULL;
    lo_memory memory = {0};
    lo_error err = {""};
    if (lo_network_build(&c->model, c->dataset.shape, c->dataset.classes, &network, &err) != LO_OK) {
        fail_msg("case %d: %s", c->number, err.text);
    }
    lo_network_reserve(network, kernels, CAPACITY, &memory);
    lo_arena *arena = memory.arena = lo_arena_create(memory.bytes);
    assert_non_null(arena);
    lo_network_reserve(network, kernels, CAPACITY, &memory);
    assert_int_equal(network->parameter_count, c->tensor_count);
    for (int32_t t = 0; t < c->tensor_count; t++) {
        lo_network_set(network, &network->parameter[parameter_of(network, c, t)], c->tensors[t].values);
    }
    if (lo_product_create(network, &product, &err) != LO_OK) {
        fail_msg("case %d: %s", c->number, err.text);
    }
    const lo_product_set set = {.dataset = &c->dataset,
                                .examples = &c->dataset.train,
                                .count = c->dataset.train.count,
                                .weight = c->weight,
                                .smoothing = c->smoothing,
                                .block = 4};
    const double allowed = strcmp(c->model.preset, "vit") == 0 ? ALLOWED_ATTENTION : ALLOWED;
    for (quantity q = GRADIENT; q < QUANTITIES; q++) {
        double *found = compute(c, product, network, &set, q);
        const size_t length = q == TANGENT ? c->logits : c->parameters;
        const double error =
            distance(found, c->expected[q], length * (q == GRADIENT ? 1 : (size_t)c->vectors));
        if (!(error <= allowed)) {
            fail_msg("case %d, %s with %s kernels, %s: differs by %g of its norm", c->number, c->model.preset,
                     kernels->name, names[q], error);
        }
        worst[q] = fmax(worst[q], error);
        free(found);
    }
    lo_product_destroy(&product);
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
}

static void test_products(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/products.bin", "rb");
    assert_non_null(file);
    product_case c;
    int cases = 0;
    double worst[QUANTITIES] = {0};
    while (read_case(file, &c)) {
        double own[QUANTITIES] = {0};
        c.number = ++cases;
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            check_case(&c, lo_kernels_at(LO_F32, level), own);
        }
        printf("case %2d %-8s", cases, c.model.preset);
        for (int q = 0; q < QUANTITIES; q++) {
            printf("  %s %.1e", names[q], own[q]);
            worst[q] = fmax(worst[q], own[q]);
        }
        printf("\n");
        free_case(&c);
    }
    assert_int_equal(cases, CASES);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
