/* Every layer and every preset for images, on every level of kernels, against PyTorch in double precision:
 * the values of tests/fixtures/networks.bin, made by make_networks.py, which describes the file. Forward
 * passes by the loss, every gradient by samples, three steps of SGD, running statistics, and evaluation mode.
 */
#include "nn/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TENSORS = 512, MOST_SAMPLES = 64, MOST_BATCH = 16, STEPS = 3, CASES = 19 };
typedef enum sampled { START, GRADIENT, END, SAMPLED } sampled;

typedef struct tensor {
    char name[96]; /* empty: by its number */
    int32_t kind, rows, count, stride, samples;
    float gradient_norm, moved;
    float sample[SAMPLED][MOST_SAMPLES];
} tensor;

typedef struct network_case {
    int number; /* from 1 */
    char *text;
    lo_model_spec model;
    lo_recipe recipe;
    lo_dataset dataset;
    float scale[8], shift[8];
    uint8_t *pixel;
    int32_t label[MOST_BATCH];
    double slack; /* by which rounding may be worse than usual */
    int32_t tensor_count;
    tensor *tensors;
    float loss[STEPS];
    float *logits;
} network_case;

static void take(FILE *file, void *to, size_t count, size_t size)
{
    assert_int_equal(fread(to, size, count, file), count);
}

static void *taken(FILE *file, size_t count, size_t size)
{
    void *data = calloc(count + 1, size);
    assert_non_null(data);
    take(file, data, count, size);
    return data;
}

static void read_tensor(FILE *file, tensor *t)
{
    int32_t head[4], length = 0;
    float norms[2];
    memset(t, 0, sizeof(*t));
    take(file, &length, 1, sizeof(length));
    assert_in_range(length, 0, (int)sizeof(t->name) - 1);
    take(file, t->name, (size_t)length, 1);
    take(file, head, 4, sizeof(int32_t));
    take(file, norms, 2, sizeof(float));
    t->kind = head[0];
    t->rows = head[1];
    t->count = head[2];
    t->stride = head[3];
    t->samples = (t->count + t->stride - 1) / t->stride;
    t->gradient_norm = norms[0];
    t->moved = norms[1];
    assert_in_range(t->samples, 1, MOST_SAMPLES);
    for (int s = 0; s < SAMPLED; s++) {
        take(file, t->sample[s], (size_t)t->samples, sizeof(float));
    }
}

static bool read_case(FILE *file, network_case *c)
{
    int32_t length = 0, head[9];
    float rate[2];
    memset(c, 0, sizeof(*c));
    if (fread(&length, sizeof(length), 1, file) != 1) {
        return false;
    }
    c->text = taken(file, (size_t)length, 1);
    take(file, head, 9, sizeof(int32_t));
    assert_in_range(head[4], 1, 8);
    assert_in_range(head[8], 1, MOST_BATCH);
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
    c->pixel = taken(file, (size_t)head[8] * lo_shape_size(c->dataset.shape), 1);
    take(file, c->label, (size_t)head[8], sizeof(int32_t));
    c->dataset.train = (lo_examples){.count = head[8], .pixel = c->pixel, .label = c->label};
    take(file, rate, 2, sizeof(float));
    c->slack = (double)rate[1];
    c->recipe = (lo_recipe){
        .epochs = 1, .batch = head[8], .lr = (double)rate[0], .weight_decay = 0.01, .momentum = 0.9};
    take(file, &c->tensor_count, 1, sizeof(int32_t));
    assert_in_range(c->tensor_count, 1, MOST_TENSORS);
    c->tensors = calloc((size_t)c->tensor_count, sizeof(*c->tensors));
    assert_non_null(c->tensors);
    for (int32_t t = 0; t < c->tensor_count; t++) {
        read_tensor(file, &c->tensors[t]);
    }
    take(file, c->loss, STEPS, sizeof(float));
    c->logits = taken(file, (size_t)(head[8] * head[7]), sizeof(float));
    return true;
}

static void free_case(network_case *c)
{
    free(c->text);
    free(c->pixel);
    free(c->tensors);
    free(c->logits);
}

/* make_networks.py's start_values. */
static float start_value(int32_t number, const tensor *t, uint64_t i)
{
    static const float scales[] = {0.5F, 0.3F, 0.2F, 0.4F, 0.3F}, shifts[] = {0.9F, 0, 0, 1, 0};
    uint64_t h = (i + 1) * 0x9E3779B97F4A7C15U + ((uint64_t)number + 1) * 0xBF58476D1CE4E5B9U;
    h ^= h >> 31;
    h *= 0x94D049BB133111EBU;
    h ^= h >> 29;
    const float unit = (float)((double)(h >> 40) / 0x1p23 - 1);
    if (t->rows > 0) {
        return unit * (float)(1.7 / sqrt((double)t->count / t->rows));
    }
    return unit * scales[t->kind] + shifts[t->kind];
}

static const lo_parameter *parameter_of(const lo_network *network, const network_case *c, int32_t t)
{
    if (c->tensors[t].name[0] == '\0') {
        return &network->parameter[t];
    }
    const lo_parameter *parameter = lo_network_find(network, c->tensors[t].name);
    if (parameter == NULL) {
        fail_msg("case %d: %s has no parameter %s", c->number, c->model.preset, c->tensors[t].name);
    }
    return parameter;
}

static void start(lo_network *network, const network_case *c)
{
    assert_int_equal(network->parameter_count, c->tensor_count);
    for (int32_t k = 0; k < c->tensor_count; k++) {
        const tensor *t = &c->tensors[k];
        const lo_parameter *p = parameter_of(network, c, k);
        assert_int_equal(p->out * p->in * p->taps, t->count);
        float *values = calloc((size_t)t->count, sizeof(float));
        assert_non_null(values);
        for (int32_t i = 0; i < t->count; i++) {
            values[i] = start_value(k, t, (uint64_t)i);
        }
        for (int32_t s = 0; s < t->samples; s++) {
            assert_true(fabsf(values[s * t->stride] - t->sample[START][s]) < 1e-6F);
        }
        lo_network_set(network, p, values);
        free(values);
    }
}

/* Samples of all tensors against PyTorch's: in norm, relative to what the tensor as a whole has, plus a share
 * of the largest such norm, because where a gradient is zero, rounding is what there is. */
static void compare(const lo_network *network, const network_case *c, sampled what, double relative)
{
    double largest = 0;
    for (int32_t k = 0; k < c->tensor_count; k++) {
        largest =
            fmax(largest, (double)(what == GRADIENT ? c->tensors[k].gradient_norm : c->tensors[k].moved));
    }
    for (int32_t k = 0; k < c->tensor_count; k++) {
        const tensor *t = &c->tensors[k];
        const lo_parameter *p = parameter_of(network, c, k);
        if (p->statistic && what == GRADIENT) {
            continue;
        }
        float *values = calloc((size_t)t->count, sizeof(float));
        assert_non_null(values);
        lo_network_get(network, p, what == GRADIENT ? LO_GRADIENTS : LO_VALUES, values);
        double difference = 0;
        for (int32_t s = 0; s < t->samples; s++) {
            difference += pow((double)values[s * t->stride] - (double)t->sample[what][s], 2);
        }
        difference = sqrt(difference * t->count / t->samples);
        const double own = (double)(what == GRADIENT ? t->gradient_norm : t->moved);
        if (!(difference <= relative * own + 0.01 * relative * largest)) {
            fail_msg("case %d, %s with %s kernels, %s of %s: differs by %g; norm %g, the largest %g",
                     c->number, c->model.preset, network->kernels->name,
                     what == GRADIENT ? "gradient" : "end", p->name, difference, own, largest);
        }
        free(values);
    }
}

/* The norm of the differences of all gradients over the norm of all. */
static double gradient_off(const lo_network *network, const network_case *c)
{
    double difference = 0, size = 0;
    for (int32_t k = 0; k < c->tensor_count; k++) {
        const tensor *t = &c->tensors[k];
        const lo_parameter *p = parameter_of(network, c, k);
        if (p->statistic) {
            continue;
        }
        float *values = calloc((size_t)t->count, sizeof(float));
        assert_non_null(values);
        lo_network_get(network, p, LO_GRADIENTS, values);
        double own = 0;
        for (int32_t s = 0; s < t->samples; s++) {
            own += pow((double)values[s * t->stride] - (double)t->sample[GRADIENT][s], 2);
        }
        difference += own * t->count / t->samples;
        size += pow((double)t->gradient_norm, 2);
        free(values);
    }
    return sqrt(difference / size);
}

/* In bfloat16: one step, whose products are rounded to 8 bits. */
static void check_rounded(const network_case *c)
{
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    lo_recipe recipe = c->recipe;
    recipe.precision = LO_BF16;
    assert_int_equal(lo_trainer_create(&c->model, &recipe, &c->dataset, &trainer, &err), LO_OK);
    lo_network *network = lo_trainer_network(trainer);
    lo_network_without_dropout(network);
    start(network, c);
    uint32_t rows[MOST_BATCH];
    for (uint32_t i = 0; i < MOST_BATCH; i++) {
        rows[i] = i;
    }
    double loss = 0;
    int64_t correct = 0;
    const size_t batch = (size_t)recipe.batch;
    assert_int_equal(lo_trainer_step(trainer, rows, batch, recipe.lr, NULL, &loss, &correct), LO_OK);
    if (!(fabs(loss - (double)c->loss[0]) < 0.05 * (1 + (double)c->loss[0]))) {
        fail_msg("case %d, %s with %s kernels in bf16: loss %.9g, PyTorch's %.9g", c->number, c->model.preset,
                 network->kernels->name, loss, (double)c->loss[0]);
    }
    const double off = gradient_off(network, c);
    if (!(off < 0.3)) { /* ReLU and maxima may decide otherwise; a wrong gradient is off by 1 */
        fail_msg("case %d, %s with %s kernels in bf16: gradients are off by %g", c->number, c->model.preset,
                 network->kernels->name, off);
    }
    lo_trainer_destroy(&trainer);
}

static void check_case(const network_case *c)
{
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    const size_t batch = (size_t)c->recipe.batch, count = batch * (size_t)c->dataset.classes;
    if (lo_trainer_create(&c->model, &c->recipe, &c->dataset, &trainer, &err) != LO_OK) {
        fail_msg("case %d: %s", c->number, err.text);
    }
    lo_network *network = lo_trainer_network(trainer);
    lo_network_without_dropout(network);
    start(network, c);
    uint32_t rows[MOST_BATCH];
    for (uint32_t i = 0; i < batch; i++) {
        rows[i] = i;
    }
    for (int step = 0; step < STEPS; step++) {
        double loss = 0;
        int64_t correct = 0;
        assert_int_equal(lo_trainer_step(trainer, rows, batch, c->recipe.lr, NULL, &loss, &correct), LO_OK);
        if (!(fabs(loss - (double)c->loss[step]) <
              (step == 0 ? 2e-5 : 2e-3) * c->slack * (1 + (double)c->loss[step]))) {
            fail_msg("case %d, %s with %s kernels, step %d: loss %.9g, PyTorch's %.9g", c->number,
                     c->model.preset, network->kernels->name, step, loss, (double)c->loss[step]);
        }
        if (step == 0) {
            compare(network, c, GRADIENT, 1e-3 * c->slack);
        }
    }
    compare(network, c, END, 5e-3 * c->slack);
    float *got = calloc(count, sizeof(float));
    assert_non_null(got);
    assert_int_equal(lo_trainer_logits(trainer, &c->dataset.train, NULL, got, &err), LO_OK);
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)got[i] - (double)c->logits[i], 2);
        size += pow((double)c->logits[i], 2);
    }
    if (!(sqrt(difference) <= 1e-2 * c->slack * sqrt(size))) {
        fail_msg("case %d, %s with %s kernels: logits differ by %g of %g", c->number, c->model.preset,
                 network->kernels->name, sqrt(difference), sqrt(size));
    }
    free(got);
    lo_trainer_destroy(&trainer);
}

static void test_networks(void **state)
{
    (void)state;
    FILE *file = fopen(FIXTURES "/networks.bin", "rb");
    assert_non_null(file);
    network_case c;
    int cases = 0;
    while (read_case(file, &c)) {
        c.number = ++cases;
        for (int level = 0; level < lo_kernels_count(LO_F32); level++) {
            lo_error err;
            assert_int_equal(lo_kernels_pin(lo_kernels_at(LO_F32, level)->name, &err), LO_OK);
            check_case(&c);
            /* Deep networks of few values a normalization amplify rounding to any size. */
            if (strcmp(c.model.preset, "layers") == 0 || strcmp(c.model.preset, "vit") == 0) {
                check_rounded(&c);
            }
        }
        free_case(&c);
    }
    assert_int_equal(cases, CASES);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
