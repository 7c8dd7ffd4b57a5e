/* Where a training step's time goes, layer by layer: milliseconds forward and backward, and the share of the
 * processor's measured peak.
 *
 *     bench_layers [PRESET] [f32|bf16] [BATCH] [STEPS]
 *
 * Images of 3 x 32 x 32, 10 classes. Operations are counted as the plain algorithm does them, so that a fast
 * convolution can pass 1. Processor time, so that others on the machine disturb little. */
#include "nn/bench.h"
#include "nn/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The time of a layer by its type's functions, which are wrapped. */
typedef struct timed {
    lo_layer_type type;
    const lo_layer_type *own;
    double forward, backward;
} timed;

static timed *of(lo_layer *layer)
{
    return (timed *)(uintptr_t)layer->type; /* whose first member it is */
}

static lo_status forward(lo_layer *layer, const lo_pass *pass, const float *const x[], float *y)
{
    const double start = now();
    const lo_status status = of(layer)->own->forward(layer, pass, x, y);
    of(layer)->forward += now() - start;
    return status;
}

static lo_status backward(lo_layer *layer, const lo_pass *pass, const float *const x[], const float *y,
                          float *dy, float *const dx[])
{
    const double start = now();
    const lo_status status = of(layer)->own->backward(layer, pass, x, y, dy, dx);
    of(layer)->backward += now() - start;
    return status;
}

static void wrap(lo_network *network, timed *all)
{
    for (int i = 0; i < network->layer_count; i++) {
        all[i] = (timed){.type = *network->layer[i]->type, .own = network->layer[i]->type};
        all[i].type.forward = forward;
        all[i].type.backward = backward;
        network->layer[i]->type = &all[i].type;
    }
}

static void print(const lo_network *network, const timed *all, size_t batch, int steps, double peak)
{
    double total = 0;
    for (int i = 0; i < network->layer_count; i++) {
        total += (all[i].forward + all[i].backward) / steps;
    }
    for (int i = 0; i < network->layer_count; i++) {
        const lo_layer *layer = network->layer[i];
        const double ahead = all[i].forward / steps, back = all[i].backward / steps;
        const double rate = layer->type->flops(layer, i > 0) * (double)batch / (ahead + back) * 1e-9;
        (void)printf(
            "layer=%d type=%s in=%dx%dx%d out=%dx%dx%d forward_ms=%.2f backward_ms=%.2f share_of_step=%.3f "
            "gflops=%.1f share_of_peak=%.3f\n",
            i, layer->type->name, layer->in.channels, layer->in.height, layer->in.width, layer->out.channels,
            layer->out.height, layer->out.width, 1e3 * ahead, 1e3 * back, (ahead + back) / total, rate,
            rate / peak);
    }
    const double rate = lo_network_flops(network) * (double)batch / total * 1e-9;
    (void)printf("all layers: ms=%.1f images_per_s=%.1f gflops=%.1f share_of_peak=%.3f peak_gflops=%.1f\n",
                 1e3 * total, (double)batch / total, rate, rate / peak, peak);
}

int main(int argc, char **argv)
{
    const lo_precision precision = argc > 2 && strcmp(argv[2], "bf16") == 0 ? LO_BF16 : LO_F32;
    const int batch = argc > 3 ? atoi(argv[3]) : 128;
    const int steps = argc > 4 ? atoi(argv[4]) : 2;
    const lo_model_spec model = {.preset = argc > 1 ? argv[1] : "resnet9"};
    lo_bench_run run;
    lo_error err = {""};
    if (steps < 1 || lo_bench_open(&model, (lo_shape){3, 32, 32}, precision, batch, &run, &err) != LO_OK) {
        (void)fprintf(stderr, "bench_layers: %s\n", err.text);
        return 2;
    }
    lo_network *network = lo_trainer_network(run.trainer);
    timed *all = calloc((size_t)network->layer_count, sizeof(*all));
    if (all == NULL) {
        return 70;
    }
    (void)lo_bench_step(&run); /* touches the memory */
    wrap(network, all);
    for (int i = 0; i < steps; i++) {
        (void)lo_bench_step(&run);
    }
    print(network, all, (size_t)batch, steps, lo_bench_peak(precision));
    lo_bench_close(&run);
    free(all);
    return 0;
}
