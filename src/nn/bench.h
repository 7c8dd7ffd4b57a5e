/* Training throughput of this processor: what `leaveout bench train` prints. */
#ifndef LEAVEOUT_NN_BENCH_H
#define LEAVEOUT_NN_BENCH_H

#include "base/status.h"
#include "nn/training.h"

enum { LO_BENCH_CHANNELS = 4 };

typedef struct lo_bench {
    double images_per_s;
    double gflops; /* operations of the plain algorithm per second: a fast convolution does fewer, so that */
    double share_of_peak; /* gflops over peak_gflops can pass 1 */
    double peak_gflops;   /* products on registers in the same precision, measured before */
} lo_bench;

/* Trains one model on one thread for about `seconds`: whole steps (forward, backward, SGD with momentum 0.9
 * and weight decay 5e-4), 10 classes, images of `shape` in memory. The first step is not counted. Errors:
 * those of lo_trainer_create; LO_USAGE for a batch or a time that is not positive. */
lo_status lo_bench_train(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                         double seconds, lo_bench *out, lo_error *err);

/* The same by single steps: a trainer and made-up data for it, which stay where lo_bench_open put them. The
 * caller closes it, after an error too. Errors: those of lo_bench_train. */
typedef struct lo_bench_run {
    struct lo_trainer *trainer;
    lo_recipe recipe;
    lo_dataset data;
    float scale[LO_BENCH_CHANNELS], shift[LO_BENCH_CHANNELS];
    uint8_t *pixel;
    int32_t *label;
    uint32_t *rows;
    int64_t steps;
} lo_bench_run;

lo_status lo_bench_open(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                        lo_bench_run *out, lo_error *err);
/* The same by a team (lo_trainer_create_team), each of its ranks with the whole data. */
lo_status lo_bench_open_team(const lo_model_spec *model, lo_shape shape, lo_precision precision, int batch,
                             int slices, const lo_team *ranks, int threads, lo_bench_run *out, lo_error *err);
lo_status lo_bench_step(lo_bench_run *run);
void lo_bench_close(lo_bench_run *run);

/* GFLOP/s of the product's instruction on registers on one core, at the level of the kernels in use. */
double lo_bench_peak(lo_precision precision);

#endif
