/* Ten trainings of mlp, and of cnn where LEAVEOUT_SLOW is set, on 10,000 images of Fashion-MNIST reach the
 * mean test accuracy of PyTorch within 0.3 points: tests/fixtures/accuracy.txt, made by make_accuracy.py. */
#include "nn/training.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define DATA "/usr/share/datasets/fashion-mnist"
enum { TRAIN = 10000, TEST = 10000, PIXELS = 784, SEEDS = 10, SKIPPED = 77 };

static uint8_t pixel[2][TRAIN * PIXELS];
static int32_t label[2][TRAIN];
static float scale, shift;
static lo_dataset dataset = {.shape = {1, 28, 28}, .classes = 10, .scale = &scale, .shift = &shift};

static bool read_idx(const char *path, unsigned header, uint8_t *out, unsigned size)
{
    uint8_t skipped[16];
    gzFile file = gzopen(path, "rb");
    const bool whole =
        file != NULL && gzread(file, skipped, header) == (int)header && gzread(file, out, size) == (int)size;
    if (file != NULL) {
        (void)gzclose(file);
    }
    return whole;
}

static bool read_part(int part, const char *name)
{
    static uint8_t bytes[TRAIN];
    char path[256];
    (void)snprintf(path, sizeof(path), DATA "/%s-images-idx3-ubyte.gz", name);
    if (!read_idx(path, 16, pixel[part], TRAIN * PIXELS)) {
        return false;
    }
    (void)snprintf(path, sizeof(path), DATA "/%s-labels-idx1-ubyte.gz", name);
    if (!read_idx(path, 8, bytes, TRAIN)) {
        return false;
    }
    for (size_t i = 0; i < TRAIN; i++) {
        label[part][i] = bytes[i];
    }
    return true;
}

/* One line of the fixture: a recipe and PyTorch's accuracies. */
typedef struct pytorch_runs {
    lo_model_spec model;
    lo_recipe recipe;
    double mean, deviation;
    int seeds;
} pytorch_runs;

static bool read_runs(const char *preset, pytorch_runs *out)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen(FIXTURES "/accuracy.txt", "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        double mean, std;
        int read = 0;
        char name[16];
        *out = (pytorch_runs){.model = {.preset = preset},
                              .recipe = {.schedule = LO_SCHEDULE_COSINE, .seed = 1}};
        if (sscanf(line, "standard %lf %lf", &mean, &std) == 2) {
            scale = (float)(1 / std);
            shift = (float)(-mean / std);
        }
        found = sscanf(line, "%15s width %d epochs %d batch %d lr %lf momentum %lf decay %lf seeds %d%n",
                       name, &out->model.width, &out->recipe.epochs, &out->recipe.batch, &out->recipe.lr,
                       &out->recipe.momentum, &out->recipe.weight_decay, &out->seeds, &read) == 8 &&
                strcmp(name, preset) == 0;
        const char *next = line + read;
        double sum = 0, square = 0;
        for (int i = 0; found && i < out->seeds; i++) {
            char *end = NULL;
            const double value = strtod(next, &end);
            assert_true(end != next);
            next = end;
            sum += value;
            square += value * value;
        }
        out->mean = sum / out->seeds;
        out->deviation = sqrt((square - sum * sum / out->seeds) / (out->seeds - 1));
    }
    (void)fclose(file);
    return found;
}

/* The mean test accuracy of SEEDS trainings, all of them printed in one line. */
static double mean_accuracy(const char *preset, const pytorch_runs *peer, lo_precision precision)
{
    static uint32_t members[TRAIN];
    static uint8_t correct[TEST / 8];
    lo_recipe recipe = peer->recipe;
    lo_trainer *trainer = NULL;
    lo_error err = {""};
    double sum = 0, square = 0, seconds = 0;
    recipe.precision = precision;
    assert_int_equal(lo_trainer_create(&peer->model, &recipe, &dataset, &trainer, &err), LO_OK);
    for (uint32_t i = 0; i < TRAIN; i++) {
        members[i] = i;
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lo_training out;
        assert_int_equal(lo_trainer_run(trainer, seed, members, TRAIN, NULL, &out, &err), LO_OK);
        assert_int_equal(lo_trainer_evaluate(trainer, &dataset.test, NULL, correct, NULL, &err), LO_OK);
        int right = 0;
        for (size_t i = 0; i < TEST; i++) {
            right += correct[i / 8] >> i % 8 & 1;
        }
        const double accuracy = (double)right / TEST;
        sum += accuracy;
        square += accuracy * accuracy;
        seconds += out.seconds;
    }
    lo_trainer_destroy(&trainer);
    const double mean = sum / SEEDS, deviation = sqrt((square - sum * sum / SEEDS) / (SEEDS - 1));
    printf("%s %s: test accuracy %.4f (deviation of a seed %.4f), PyTorch's in float32 %.4f (%.4f); %.2f s a "
           "training\n",
           preset, precision == LO_BF16 ? "bf16" : "f32", mean, deviation, peer->mean, peer->deviation,
           seconds / SEEDS);
    return mean;
}

/* float32 against PyTorch, bf16 against float32: 0.3 points. */
static void check_preset(const char *preset, bool bf16)
{
    pytorch_runs peer;
    assert_true(read_runs(preset, &peer));
    const double mean = mean_accuracy(preset, &peer, LO_F32);
    assert_true(fabs(mean - peer.mean) <= 0.003);
    if (bf16) {
        assert_true(fabs(mean_accuracy(preset, &peer, LO_BF16) - mean) <= 0.003);
    }
}

static bool slow(void)
{
    return getenv("LEAVEOUT_SLOW") != NULL;
}

static void test_mlp(void **state)
{
    (void)state;
    check_preset("mlp", slow());
}

static void test_cnn(void **state)
{
    (void)state;
    if (!slow()) {
        printf("cnn and bf16: left out; LEAVEOUT_SLOW=1 runs them (about two minutes)\n");
        return;
    }
    check_preset("cnn", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mlp), cmocka_unit_test(test_cnn)};
    if (!read_part(0, "train") || !read_part(1, "t10k")) {
        printf("skipped: no Fashion-MNIST in " DATA " (Debian: dataset-fashion-mnist)\n");
        return SKIPPED;
    }
    dataset.train = (lo_examples){.count = TRAIN, .pixel = pixel[0], .label = label[0]};
    dataset.test = (lo_examples){.count = TEST, .pixel = pixel[1], .label = label[1]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
