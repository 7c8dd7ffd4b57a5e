/* bench_log [PAIRS [SECONDS]]: what a log of every example's outputs adds to a training. For mlp
 * [512] and cnn (width 32) on 1x28x28 and both precisions, trainings of about so many seconds without and
 * with the log, in interleaved pairs of processor time; prints the median of the ratios, their quartiles, and
 * what the log's own code takes of an example when it is timed alone. Exit code 1: a median above 1.03. One
 * core, which should have nothing else to do. */
#include "nn/bench.h"
#include "nn/kernels/kernels.h"
#include "nn/kernels/precision.h"
#include "nn/training_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 128, MOST_PAIRS = 101 };
static const double LIMIT = 1.03;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void die(const char *why)
{
    (void)fprintf(stderr, "bench_log: %s\n", why);
    exit(70);
}

/* Other work on the machine does not count in it. */
static double processor_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double training(lo_trainer *trainer, const uint32_t *members, int64_t count,
                       const lo_observer *observer)
{
    const double start = processor_time();
    lo_error err = {{0}};
    lo_training result;
    lo_trainer_observe(trainer, observer);
    if (lo_trainer_run(trainer, 1, members, count, NULL, &result, &err) != LO_OK) {
        die(err.text);
    }
    return processor_time() - start;
}

/* Seconds that the log's own code takes for an example. */
static double logging_alone(const lo_bench_run *run, const lo_training_log *log)
{
    enum { ROUNDS = 2000, STEP = 16 };
    static float logits[BATCH * STEP];
    const int64_t n = run->data.train.count;
    for (int i = 0; i < BATCH * STEP; i++) {
        logits[i] = (float)(i * 37 % 101) / 20 - 2;
    }
    const lo_logging logging = lo_logging_begin(log, run->rows, n, n, 1);
    const double start = processor_time();
    for (int round = 0; round < ROUNDS; round++) {
        lo_logging_batch(&logging, run->rows, logits, STEP, run->label, BATCH, run->data.classes, 0);
    }
    return (processor_time() - start) / ROUNDS / BATCH;
}

static lo_trainer *open_trainer(const lo_bench_run *run, const lo_model_spec *model, int epochs)
{
    lo_error err = {{0}};
    lo_trainer *trainer = NULL;
    lo_recipe recipe = run->recipe;
    recipe.epochs = epochs;
    if (lo_trainer_create(model, &recipe, &run->data, &trainer, &err) != LO_OK) {
        die(err.text);
    }
    return trainer;
}

/* Median of with / without; prints a line. */
static double measure(const char *preset, lo_precision precision, int pairs, double seconds)
{
    const lo_model_spec model = {.preset = preset};
    lo_error err = {{0}};
    lo_bench_run run;
    if (lo_bench_open(&model, (lo_shape){1, 28, 28}, precision, BATCH, &run, &err) != LO_OK) {
        die(err.text);
    }
    const int64_t n = run.data.train.count;
    lo_trainer *trainer = open_trainer(&run, &model, 4);
    (void)training(trainer, run.rows, n, NULL);
    const double once = training(trainer, run.rows, n, NULL) / 4;
    const int epochs = once * 4 < seconds ? (int)(seconds / once) : 4;
    lo_trainer_destroy(&trainer);
    trainer = open_trainer(&run, &model, epochs);

    const size_t values = (size_t)(epochs * n);
    double *series = calloc(2 * (size_t)epochs, sizeof(*series));
    float *matrix = calloc(values * LO_LOG_QUANTITIES, sizeof(*matrix));
    uint8_t *correct = calloc(values, 1);
    if (series == NULL || matrix == NULL || correct == NULL) {
        die("no memory");
    }
    lo_training_log log = {.loss = series, .accuracy = series + epochs, .correct = correct};
    for (size_t q = 0; q < LO_LOG_INPUT_SQUARE; q++) { /* which takes more than reading, and says so */
        log.example[q] = matrix + q * values;
    }
    const lo_observer observer = {.log = &log};
    double ratio[MOST_PAIRS];
    for (int p = 0; p < pairs; p++) { /* the first of a pair takes turns */
        double took[2];
        for (int half = 0; half < 2; half++) {
            const int logged = (p + half) % 2;
            took[logged] = training(trainer, run.rows, n, logged == 1 ? &observer : NULL);
        }
        ratio[p] = took[1] / took[0];
    }
    const double alone = logging_alone(&run, &log);
    qsort(ratio, (size_t)pairs, sizeof(*ratio), by_size);
    (void)printf(
        "preset=%s precision=%s epochs=%d pairs=%d ratio=%.4f quartiles=%.4f,%.4f us_per_example=%.2f "
        "log_alone_us=%.3f share=%.4f\n",
        preset, lo_precision_name(precision), epochs, pairs, ratio[pairs / 2], ratio[pairs / 4],
        ratio[pairs - 1 - pairs / 4], once / (double)n * 1e6, alone * 1e6, alone * (double)n / once);
    (void)fflush(stdout);
    free(series);
    free(matrix);
    free(correct);
    lo_trainer_destroy(&trainer);
    lo_bench_close(&run);
    return ratio[pairs / 2];
}

int main(int argc, char **argv)
{
    static const char *const presets[] = {"mlp", "cnn"};
    static const lo_precision precisions[] = {LO_F32, LO_BF16};
    const int pairs = argc > 1 ? atoi(argv[1]) : 11;
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    if (pairs < 1 || pairs > MOST_PAIRS || !(seconds > 0)) {
        die("usage: bench_log [PAIRS, 1 to 101 [SECONDS]]");
    }
    int bad = 0;
    for (size_t p = 0; p < 2; p++) {
        for (size_t k = 0; k < 2; k++) {
            bad += measure(presets[p], precisions[k], pairs, seconds) > LIMIT;
        }
    }
    return bad > 0 ? 1 : 0;
}
