/* Training throughput at sizes that `leaveout bench train` does not choose:
 *
 *     bench_train PRESET PRECISION BATCH SECONDS CHANNELS SIDE [SIZE ...]
 *
 * One line: images_per_s=... SIZE: the hidden layers of mlp, or the width of the others. */
#include "nn/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED = 7 };

int main(int argc, char **argv)
{
    if (argc < FIXED || argc - FIXED > LO_MAX_HIDDEN) {
        (void)fprintf(stderr, "usage: bench_train PRESET f32|bf16 BATCH SECONDS CHANNELS SIDE [SIZE ...]\n");
        return 2;
    }
    lo_model_spec model = {.preset = argv[1]};
    const lo_precision precision = strcmp(argv[2], "bf16") == 0 ? LO_BF16 : LO_F32;
    const lo_shape shape = {atoi(argv[5]), atoi(argv[6]), atoi(argv[6])};
    lo_bench bench;
    lo_error error = {0};
    for (int i = FIXED; i < argc; i++) {
        if (strcmp(model.preset, "mlp") == 0) {
            model.hidden[model.hidden_count++] = atoi(argv[i]);
        } else {
            model.width = atoi(argv[i]);
        }
    }
    if (lo_bench_train(&model, shape, precision, atoi(argv[3]), strtod(argv[4], NULL), &bench, &error) !=
        LO_OK) {
        (void)fprintf(stderr, "bench_train: %s\n", error.text);
        return 1;
    }
    (void)printf("images_per_s=%.0f gflops=%.1f peak_gflops=%.1f\n", bench.images_per_s, bench.gflops,
                 bench.peak_gflops);
    return 0;
}
