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

enum {
    TRAIN = 24,
    UNSEEN = 9,
    PIXELS = 72,
    TENSORS = 7,
    NETWORKS = 2,
    WIDE = 20,
    VALUES = 72 + 4 * 4 + 74,
    MOST = 18 * WIDE + 4 * WIDE + 18 * WIDE + 2,
    CASES = 21 + 8 + 6
};

typedef struct fixture {
    FILE *file;
    uint8_t pixel[2][TRAIN * PIXELS];
    int32_t label[2][TRAIN];
    float scale[2], shift[2];
    double score[TRAIN];
    float fresh[2][VALUES]; /* of del, and of bad_teacher's teacher */
    float start[MOST];
    int values; /* of the network */
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
    take(f->file, f->fresh, 2 * (size_t)VALUES, sizeof(float));
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
    memset(f, 0, sizeof(*f));
    f->file = fopen(FIXTURES "/unlearning.bin", "rb");
    assert_non_null(f->file);
    read_data(f);
}

/* A pupil with one of the two networks. */
static void make_pupil(fixture *f, bool wide)
{
    static const char *const layers[] = {
        "[{conv: 4}, batch_norm, relu, {max_pool: 2}, flatten, {linear: 2}]",
        "[{conv: 20}, batch_norm, relu, {max_pool: 2}, flatten, {linear: 2}]"};
    const lo_model_spec model = {.preset = "layers", .layers = layers[wide ? 1 : 0]};
    const lo_recipe recipe = {
        .epochs = 1, .batch = 32, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .seed = 3};
    lo_error err = {""};
    f->values = wide ? MOST : VALUES;
    if (lo_pupil_create(&model, &recipe, &f->dataset, &f->pupil, &err) != LO_OK ||
        lo_pupil_begin(f->pupil, &f->request, 0, NULL, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
}

/* What begins afresh in this request: weights, and a teacher's. */
static void get_fresh(fixture *f, float fresh[2][VALUES])
{
    static const lo_use use[] = {LO_USE_WEIGHTS, LO_USE_TEACHER};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lo_pupil_renew(f->pupil, lo_pupil_key(f->pupil, use[i])), LO_OK);
        get_all(lo_pupil_network(f->pupil), fresh[i]);
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

static double distance(const float *a, const float *b, int values)
{
    double sum = 0;
    for (int i = 0; i < values; i++) {
        sum += pow((double)a[i] - (double)b[i], 2);
    }
    return sqrt(sum);
}

/* del: which weights were reset. Every parameter but the normalization's fresh values is another one. */
static void compare_mask(const fixture *f, const char *text, const float *got, const float *expected)
{
    const lo_network *network = lo_pupil_network(f->pupil);
    int at = 0;
    for (int k = 0; k < TENSORS; k++) {
        const lo_parameter *p = &network->parameter[k];
        for (size_t i = 0; i < p->out * p->in * p->taps; i++, at++) {
            if (!p->statistic && (got[at] != f->start[at]) != (expected[at] != 0)) {
                fail_msg("%s: value %d of %d was %sreset", text, at, f->values,
                         expected[at] != 0 ? "not " : "");
            }
        }
    }
    assert_int_equal(at, f->values);
}

static void run_case(fixture *f)
{
    char text[400] = "";
    float expected[MOST], got[MOST];
    int32_t length;
    take(f->file, &length, 1, sizeof(length));
    assert_in_range(length, 1, (int)sizeof(text) - 1);
    take(f->file, text, (size_t)length, 1);
    take(f->file, expected, (size_t)f->values, sizeof(float));
    load_start(f);
    run_method(f, text);
    get_all(lo_pupil_network(f->pupil), got);
    if (strncmp(text, "{name: del", 10) == 0 && strstr(text, "lr: 0, ") != NULL) {
        compare_mask(f, text, got, expected);
        return;
    }
    const double moved = distance(expected, f->start, f->values),
                 differs = distance(got, expected, f->values);
    if (!(differs <= 2e-4 * moved)) {
        fail_msg("%s: moved by %g, PyTorch by %g, %g apart", text, distance(got, f->start, f->values), moved,
                 differs);
    }
}

static void test_cases(void **state)
{
    (void)state;
    fixture f;
    int cases = 0;
    char end;
    open_fixture(&f);
    for (int n = 0; n < NETWORKS; n++) {
        int32_t count;
        make_pupil(&f, n == 1);
        take(f.file, f.start, (size_t)f.values, sizeof(float));
        take(f.file, &count, 1, sizeof(count));
        for (int i = 0; i < count; i++, cases++) {
            run_case(&f);
        }
        lo_pupil_destroy(&f.pupil);
    }
    assert_int_equal(cases, CASES);
    assert_int_equal(fread(&end, 1, 1, f.file), 0);
    (void)fclose(f.file);
}

/* The fixture begins with the same weights; if they ever are others, make it again. */
static void test_fresh(void **state)
{
    (void)state;
    fixture f;
    float fresh[2][VALUES];
    open_fixture(&f);
    make_pupil(&f, false);
    get_fresh(&f, fresh);
    assert_memory_equal(fresh, f.fresh, sizeof(fresh));
    assert_memory_not_equal(fresh[0], fresh[1], sizeof(fresh[0]));
    (void)fclose(f.file);
    lo_pupil_destroy(&f.pupil);
}

/* For make_unlearning.py: the fresh weights, to the standard output. */
static int write_fresh(void)
{
    fixture f;
    float fresh[2][VALUES];
    open_fixture(&f);
    make_pupil(&f, false);
    get_fresh(&f, fresh);
    (void)fclose(f.file);
    lo_pupil_destroy(&f.pupil);
    return fwrite(fresh, sizeof(fresh), 1, stdout) == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fresh), cmocka_unit_test(test_cases)};
    if (argc == 2 && strcmp(argv[1], "fresh") == 0) {
        return write_fresh();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
