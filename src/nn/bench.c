#include "nn/bench.h"

#include "base/clock.h"
#include "base/random.h"
#include "nn/trainer.h"

#include <stdlib.h>

enum { CLASSES = 10, SIDE = 28, IMAGE = SIDE * SIDE, BATCHES = 4 };

double lo_bench_peak(lo_precision precision)
{
    const lo_kernels *kernels = lo_kernels_chosen(precision);
    double best = 0;
    for (int i = 0; i < 10; i++) {
        float result = 0.5F;
        const double start = lo_clock_monotonic();
        const double flops = kernels->peak((size_t)1 << 28, &result);
        const double rate = flops / (lo_clock_monotonic() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

static lo_status measure(const lo_model_spec *model, const lo_recipe *recipe, const lo_dataset *dataset,
                         const uint32_t *rows, double seconds, lo_bench *out, lo_error *err)
{
    lo_trainer *trainer = NULL;
    lo_status status = LO_OK;
    const size_t batch = (size_t)recipe->batch;
    double loss = 0, elapsed = 0;
    int64_t correct = 0, steps = 0;
    LO_TRY_GOTO(status, lo_trainer_create(model, recipe, dataset, &trainer, err), done);
    LO_TRY_GOTO(status, lo_trainer_step(trainer, rows, batch, recipe->lr, NULL, &loss, &correct), done);
    const double start = lo_clock_monotonic();
    while (elapsed < seconds) {
        const uint32_t *now = rows + (size_t)(steps % BATCHES) * batch;
        LO_TRY_GOTO(status, lo_trainer_step(trainer, now, batch, recipe->lr, NULL, &loss, &correct), done);
        steps++;
        elapsed = lo_clock_monotonic() - start;
    }
    out->images_per_s = (double)steps * (double)batch / elapsed;
    out->gflops = out->images_per_s * lo_trainer_step_flops(trainer) * 1e-9;
    out->share_of_peak = out->gflops / out->peak_gflops;
done:
    lo_trainer_destroy(&trainer);
    return status;
}

lo_status lo_bench_train(const char *preset, lo_precision precision, int batch, double seconds, lo_bench *out,
                         lo_error *err)
{
    if (batch < 1 || !(seconds > 0)) {
        return lo_fail(err, LO_USAGE, "a benchmark with batch %d for %g seconds; both are positive", batch,
                       seconds);
    }
    const lo_model_spec model = {.preset = preset};
    const lo_recipe recipe = {.epochs = 1,
                              .batch = batch,
                              .lr = 0.01,
                              .momentum = 0.9,
                              .weight_decay = 5e-4,
                              .seed = 1,
                              .precision = precision};
    const size_t count = (size_t)batch * BATCHES;
    const float scale = 1.0F / 64, shift = -2;
    const lo_random random = lo_random_make(recipe.seed, LO_FOR_TEST);
    lo_status status = LO_OK;
    *out = (lo_bench){.peak_gflops = lo_bench_peak(precision)};
    uint8_t *pixel = malloc(count * IMAGE);
    int32_t *label = malloc(count * sizeof(*label));
    uint32_t *rows = malloc(count * sizeof(*rows));
    if (pixel == NULL || label == NULL || rows == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a benchmark of %d images", batch);
        goto done;
    }
    for (size_t i = 0; i < count * IMAGE; i++) {
        pixel[i] = (uint8_t)lo_random_u64(random, 0, i);
    }
    for (size_t i = 0; i < count; i++) {
        label[i] = (int32_t)lo_random_below(random, 1, i, CLASSES);
        rows[i] = (uint32_t)i;
    }
    const lo_dataset dataset = {.shape = {1, SIDE, SIDE},
                                .classes = CLASSES,
                                .scale = &scale,
                                .shift = &shift,
                                .train = {.count = (int64_t)count, .pixel = pixel, .label = label}};
    status = measure(&model, &recipe, &dataset, rows, seconds, out, err);
done:
    free(pixel);
    free(label);
    free(rows);
    return status;
}
