/* Training throughput of this processor: what `leaveout bench train` prints. */
#ifndef LEAVEOUT_NN_BENCH_H
#define LEAVEOUT_NN_BENCH_H

#include "base/status.h"
#include "nn/training.h"

typedef struct lo_bench {
    double images_per_s;
    double gflops; /* operations of the plain algorithm per second: a fast convolution does fewer, so that */
    double share_of_peak; /* gflops over peak_gflops can pass 1 */
    double peak_gflops;   /* products on registers in the same precision, measured before */
} lo_bench;

/* Trains one model of a preset's default size on one thread for about `seconds`: whole steps (forward,
 * backward, SGD with momentum 0.9 and weight decay 5e-4), 10 classes, images 1x28x28 in memory. The first
 * step is not counted. Errors: those of lo_trainer_create; LO_USAGE for a batch or a time that is not
 * positive. */
lo_status lo_bench_train(const char *preset, lo_precision precision, int batch, double seconds, lo_bench *out,
                         lo_error *err);

/* GFLOP/s of the product's instruction on registers on one core, at the level of the kernels in use. */
double lo_bench_peak(lo_precision precision);

#endif
