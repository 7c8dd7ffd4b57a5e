#include "nn/bench.h"

#include "base/clock.h"
#include "base/random.h"
#include "nn/trainer.h"

#include <stdlib.h>

enum { CLASSES = 10, BATCHES = 4 };

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

lo_status lo_bench_open(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                        lo_bench_run *out, lo_error *err)
{
    return lo_bench_open_team(model, shape, precision, batch, 1, NULL, 1, out, err);
}

lo_status lo_bench_open_team(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                             int slices, const lo_team *ranks, int threads, lo_bench_run *out, lo_error *err)
{
    *out = (lo_bench_run){0};
    if (batch < 1 || shape.channels < 1 || shape.channels > LO_BENCH_CHANNELS || shape.height < 1 ||
        shape.width < 1) {
        return lo_fail(err, LO_USAGE, "a benchmark with batch %d and images of %d x %d x %d", batch,
                       shape.channels, shape.height, shape.width);
    }
    const size_t count = (size_t)batch * BATCHES, size = lo_shape_size(shape);
    out->recipe = (lo_recipe){.epochs = 1,
                              .batch = batch,
                              .lr = 0.01,
                              .momentum = 0.9,
                              .weight_decay = 5e-4,
                              .seed = 1,
                              .precision = precision,
                              .slices = slices};
    const lo_random random = lo_random_make(out->recipe.seed, LO_FOR_TEST);
    out->pixel = malloc(count * size);
    out->label = malloc(count * sizeof(*out->label));
    out->rows = malloc(count * sizeof(*out->rows));
    if (out->pixel == NULL || out->label == NULL || out->rows == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a benchmark of %d images", batch);
    }
    for (size_t i = 0; i < count * size; i++) {
        out->pixel[i] = (uint8_t)lo_random_u64(random, 0, i);
    }
    for (size_t i = 0; i < count; i++) {
        out->label[i] = (int32_t)lo_random_below(random, 1, i, CLASSES);
        out->rows[i] = (uint32_t)i;
    }
    for (int c = 0; c < LO_BENCH_CHANNELS; c++) {
        out->scale[c] = 1.0F / 64;
        out->shift[c] = -2;
    }
    out->data = (lo_dataset){.shape = shape,
                             .classes = CLASSES,
                             .scale = out->scale,
                             .shift = out->shift,
                             .train = {.count = (int64_t)count, .pixel = out->pixel, .label = out->label}};
    LO_TRY(lo_trainer_create_team(model, &out->recipe, &out->data, ranks, threads, &out->trainer, err));
    return lo_network_initialize(lo_trainer_network(out->trainer), out->recipe.seed, 0, NULL);
}

lo_status lo_bench_step(lo_bench_run *run)
{
    const size_t batch = (size_t)run->recipe.batch;
    double loss;
    int64_t correct = 0;
    return lo_trainer_step(run->trainer, run->rows + (size_t)(run->steps++ % BATCHES) * batch, batch,
                           run->recipe.lr, NULL, &loss, &correct);
}

void lo_bench_close(lo_bench_run *run)
{
    lo_trainer_destroy(&run->trainer);
    free(run->pixel);
    free(run->label);
    free(run->rows);
    *run = (lo_bench_run){0};
}

lo_status lo_bench_train(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                         double seconds, lo_bench *out, lo_error *err)
{
    lo_bench_run run = {0};
    lo_status status = LO_OK;
    double elapsed = 0;
    *out = (lo_bench){0};
    if (!(seconds > 0)) {
        return lo_fail(err, LO_USAGE, "a benchmark of %g seconds; more than none are allowed", seconds);
    }
    LO_TRY_GOTO(status, lo_bench_open(model, shape, precision, batch, &run, err), done);
    out->peak_gflops = lo_bench_peak(precision);
    LO_TRY_GOTO(status, lo_bench_step(&run), done);
    const double start = lo_clock_monotonic();
    while (elapsed < seconds) {
        LO_TRY_GOTO(status, lo_bench_step(&run), done);
        elapsed = lo_clock_monotonic() - start;
    }
    out->images_per_s = (double)(run.steps - 1) * (double)batch / elapsed;
    out->gflops = out->images_per_s * lo_trainer_step_flops(run.trainer) * 1e-9;
    out->share_of_peak = out->gflops / out->peak_gflops;
done:
    lo_bench_close(&run);
    return status;
}
