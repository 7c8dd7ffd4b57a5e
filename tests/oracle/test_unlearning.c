/* Methods of unlearning on a small network against PyTorch in double precision: the values of
 * tests/fixtures/unlearning.bin, made by make_unlearning.py, which describes the file. */
#include "nn/weights.h"
#include "unlearn/methods.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRAIN = 24, UNSEEN = 9, PIXELS = 72, TENSORS = 7, VALUES = 72 + 4 * 4 + 74, CASES = 21 };

typedef struct fixture {
    FILE *file;
    uint8_t pixel[2][TRAIN * PIXELS];
    int32_t label[2][TRAIN];
    float scale[2], shift[2];
    double score[TRAIN];
    float start[VALUES];
    uint32_t forget[TRAIN], retain[TRAIN];
    lo_dataset dataset;
    lo_request request;
    lo_pupil *pupil;
} fixture;

static void take(FILE *file, void *to, size_t count, size_t size)
{
    assert_int_equal(fread(to, size, count, file), count);
}

/* All parameters and statistics, tensor by tensor. */
static void get_all(const lo_network *network, float *values)
{
    assert_int_equal(network->parameter_count, TENSORS);
    for (int k = 0; k < TENSORS; k++) {
        const lo_parameter *p = &network->parameter[k];
        lo_network_get(network, p, LO_VALUES, values);
        values += p->out * p->in * p->taps;
    }
}

static void set_all(lo_network *network, const float *values)
{
    for (int k = 0; k < TENSORS; k++) {
        const lo_parameter *p = &network->parameter[k];
        lo_network_set(network, p, values);
        values += p->out * p->in * p->taps;
    }
}

static void read_data(fixture *f)
{
    const int count[] = {TRAIN, UNSEEN};
    for (int part = 0; part < 2; part++) {
        take(f->file, f->pixel[part], (size_t)count[part] * PIXELS, 1);
        take(f->file, f->label[part], (size_t)count[part], sizeof(int32_t));
    }
    take(f->file, f->score, TRAIN, sizeof(double));
    take(f->file, f->start, VALUES, sizeof(float));
    f->scale[0] = 0.02F;
    f->scale[1] = 0.018F;
    f->shift[0] = -2;
    f->shift[1] = -1.7F;
    f->dataset = (lo_dataset){.shape = {2, 6, 6}, .classes = 2, .scale = f->scale, .shift = f->shift};
    f->dataset.train = (lo_examples){.count = TRAIN, .pixel = f->pixel[0], .label = f->label[0]};
    f->dataset.validation = (lo_examples){.count = UNSEEN, .pixel = f->pixel[1], .label = f->label[1]};
    f->request = (lo_request){.dataset = &f->dataset,
                              .name = "thirds",
                              .forget = f->forget,
                              .retain = f->retain,
                              .seed = 3,
                              .run = 8,
                              .score = f->score};
    for (uint32_t i = 0; i < TRAIN; i++) {
        if (i % 3 == 1) {
            f->forget[f->request.forget_count++] = i;
        } else {
            f->retain[f->request.retain_count++] = i;
        }
    }
}

static void open_fixture(fixture *f)
{
    static const char layers[] = "[{conv: 4}, batch_norm, relu, {max_pool: 2}, flatten, {linear: 2}]";
    const lo_model_spec model = {.preset = "layers", .layers = layers};
    const lo_recipe recipe = {
        .epochs = 1, .batch = 32, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .seed = 3};
    lo_error err = {""};
    memset(f, 0, sizeof(*f));
    f->file = fopen(FIXTURES "/unlearning.bin", "rb");
    assert_non_null(f->file);
    read_data(f);
    if (lo_pupil_create(&model, &recipe, &f->dataset, &f->pupil, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
}

/* The original is loaded as a job's is, from a file. */
static void load_start(fixture *f)
{
    char name[64];
    lo_error err = {""};
    (void)snprintf(name, sizeof(name), "unlearning-%d.safetensors", (int)getpid());
    set_all(lo_pupil_network(f->pupil), f->start);
    assert_int_equal(lo_weights_save(lo_pupil_network(f->pupil), "layers", 0, name, NULL, 0, &err), LO_OK);
    assert_int_equal(lo_pupil_load(f->pupil, name, &err), LO_OK);
    (void)remove(name);
}

static void run_method(fixture *f, const char *text)
{
    char list[512];
    lo_items *items = NULL;
    lo_error err = {""};
    (void)snprintf(list, sizeof(list), "[%s]", text);
    lo_status status = lo_items_parse(list, "case", "methods", &items, &err);
    if (status == LO_OK) {
        lo_item *item = lo_items_at(items, 0);
        const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
        assert_non_null(method);
        status = lo_item_accept(item, method->settings, method->setting_count, &err);
        status = status == LO_OK ? lo_request_check(&f->request, method, item, &err) : status;
        lo_pupil_permit(f->pupil, lo_unlearn_reads(method, item));
        status = status == LO_OK ? method->run(f->pupil, &f->request, item, NULL, &err) : status;
    }
    if (status != LO_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    lo_items_destroy(&items);
}

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < VALUES; i++) {
        sum += pow((double)a[i] - (double)b[i], 2);
    }
    return sqrt(sum);
}

/* del: which weights were reset. Every parameter but the normalization's fresh values is another one. */
static void compare_mask(const fixture *f, const char *text, const float *got, const float *expected)
{
    for (int i = 0; i < VALUES; i++) {
        const bool statistic = i >= 72 + 8 && i < 72 + 16;
        if (!statistic && (got[i] != f->start[i]) != (expected[i] != 0)) {
            fail_msg("%s: value %d of %d was %sreset", text, i, VALUES, expected[i] != 0 ? "not " : "");
        }
    }
}

static void test_cases(void **state)
{
    (void)state;
    fixture f;
    int32_t length;
    int cases = 0;
    open_fixture(&f);
    while (fread(&length, sizeof(length), 1, f.file) == 1) {
        char text[400] = "";
        float expected[VALUES], got[VALUES];
        assert_in_range(length, 1, (int)sizeof(text) - 1);
        take(f.file, text, (size_t)length, 1);
        take(f.file, expected, VALUES, sizeof(float));
        load_start(&f);
        run_method(&f, text);
        get_all(lo_pupil_network(f.pupil), got);
        if (strncmp(text, "{name: del", 10) == 0) {
            compare_mask(&f, text, got, expected);
        } else {
            const double moved = distance(expected, f.start), differs = distance(got, expected);
            if (!(differs <= 2e-4 * moved)) {
                fail_msg("%s: moved by %g, PyTorch by %g, %g apart", text, distance(got, f.start), moved,
                         differs);
            }
        }
        cases++;
    }
    assert_int_equal(cases, CASES);
    (void)fclose(f.file);
    lo_pupil_destroy(&f.pupil);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
