/* The Cholesky factorization on the grid against what the same ranks' cores multiply: PDPOTRF of an n x n
 * matrix, and at once on every rank products of square matrices on one thread.
 *
 *   mpirun -n RANKS bench_cholesky [N] [REPEATS] [SHARE]
 *
 * Default: 8000, 3, 0. One line: the best of the repeats, in GFLOP/s of all ranks. Exit code 1 where the
 * share of the products' speed is below SHARE. Memory: 16 N^2 bytes, over the ranks. */
#include "attribute/linear.h"
#include "base/clock.h"
#include "mpi/grid.h"
#include "mpi/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQUARE = 2000 };

/* I + a a' / n: positive definite, with elements that any rank can compute. */
static lo_status tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, double *out,
                      int64_t stride, lo_error *err)
{
    const double n = *(const double *)self;
    (void)err;
    for (int64_t c = 0; c < columns; c++) {
        const double other = sin(0.7 * (double)(column + c));
        for (int64_t r = 0; r < rows; r++) {
            out[c * stride + r] = sin(0.7 * (double)(row + r)) * other / n + (row + r == column + c ? 1 : 0);
        }
    }
    return LO_OK;
}

/* The slowest rank's, in GFLOP/s of all together. */
static double speed_of(double flops, double seconds, int ranks)
{
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return flops * ranks / fmax(seconds, 1e-9) / 1e9;
}

static double multiply(int ranks)
{
    double *a = malloc((size_t)3 * SQUARE * SQUARE * sizeof(*a));
    double best = 0;
    for (int64_t i = 0; a != NULL && i < 3 * SQUARE * SQUARE; i++) {
        a[i] = 1e-3 * (double)(i % 1000);
    }
    for (int repeat = 0; a != NULL && repeat < 3; repeat++) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = lo_clock_monotonic();
        lo_product_rows(SQUARE, SQUARE, SQUARE, 1, a, SQUARE, a + SQUARE * SQUARE, SQUARE, 0,
                        a + 2 * SQUARE * SQUARE, SQUARE);
        best = fmax(best, speed_of(2.0 * SQUARE * SQUARE * SQUARE, lo_clock_monotonic() - start, ranks));
    }
    free(a);
    return best;
}

static lo_status factor(const lo_grid *grid, int64_t n, int repeats, double *best, double *seconds,
                        lo_error *err)
{
    lo_grid_matrix matrix;
    double order = (double)n;
    lo_status status = lo_grid_matrix_create(grid, n, n, &matrix, err);
    for (int repeat = 0; repeat < repeats && status == LO_OK; repeat++) {
        bool definite = false;
        status = lo_grid_fill(&matrix, tile, &order, err);
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = lo_clock_monotonic();
        if (status == LO_OK) {
            status = lo_grid_cholesky(&matrix, &definite, err);
        }
        const double took = lo_clock_monotonic() - start;
        const double speed = speed_of(order * order * order / 3 / grid->ranks, took, grid->ranks);
        if (speed > *best) {
            *best = speed;
            *seconds = order * order * order / 3 / speed / 1e9;
        }
        if (status == LO_OK && !definite) {
            status = lo_fail(err, LO_INTERNAL, "no factor of a definite matrix");
        }
    }
    lo_grid_matrix_destroy(&matrix);
    return status;
}

int main(int argc, char **argv)
{
    lo_error err = {""};
    lo_grid grid;
    double best = 0;
    double seconds = 0;
    int rank;
    int ranks;
    lo_run_environment();
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const int64_t n = argc > 1 ? strtoll(argv[1], NULL, 10) : 8000;
    const int repeats = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    const double least = argc > 3 ? strtod(argv[3], NULL) : 0;
    lo_status status = lo_grid_create(MPI_COMM_WORLD, &grid, &err);
    const double before = multiply(ranks);
    if (status == LO_OK) {
        status = factor(&grid, n, repeats, &best, &seconds, &err);
    }
    const double product = fmax(before, multiply(ranks));
    lo_grid_destroy(&grid);
    if (rank == 0 && status == LO_OK) {
        (void)printf("n=%lld ranks=%d seconds=%.2f cholesky_gflops=%.1f product_gflops=%.1f share=%.2f\n",
                     (long long)n, ranks, seconds, best, product, best / product);
    } else if (rank == 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    MPI_Finalize();
    return status != LO_OK || best < least * product;
}
