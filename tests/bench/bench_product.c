/* GFLOP/s of one product of matrices, 512 x 512 x 512, again and again:
 *
 *     bench_product [SECONDS [PRECISION]]
 */
#include "base/clock.h"
#include "nn/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 512 };

int main(int argc, char **argv)
{
    static float a[SIZE * SIZE], b[SIZE * SIZE], c[SIZE * SIZE];
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
    const lo_kernels *kernels =
        lo_kernels_chosen(argc > 2 && strcmp(argv[2], "bf16") == 0 ? LO_BF16 : LO_F32);
    const lo_gemm product = {.m = SIZE,
                             .n = SIZE,
                             .k = SIZE,
                             .a = a,
                             .a_row = SIZE,
                             .a_column = 1,
                             .b = b,
                             .b_row = SIZE,
                             .b_column = 1,
                             .c = c,
                             .c_row = SIZE};
    for (int i = 0; i < SIZE * SIZE; i++) {
        a[i] = (float)(i % 7) - 3;
        b[i] = (float)(i % 11) - 5;
    }
    const double begun = lo_clock_monotonic();
    double elapsed = 0;
    long calls = 0;
    while (elapsed < seconds) {
        kernels->gemm(&product);
        calls++;
        elapsed = lo_clock_monotonic() - begun;
    }
    (void)printf("gflops=%.1f\n", 2.0 * SIZE * SIZE * SIZE * (double)calls / elapsed * 1e-9);
    return 0;
}
