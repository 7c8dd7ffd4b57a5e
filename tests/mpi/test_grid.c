/* Matrices on the grid against plain algebra on one rank, by backward error. About two seconds. */
#include "attribute/linear.h"
#include "mpi/grid.h"
#include "mpi/mpi_test.h"

#include <float.h>
#include <math.h>

enum { N = 201, SIDES = 37, MOST = 401 };

/* A positive definite matrix whose elements any rank can compute, with many equal eigenvalues: I + a a' of
 * rank 3. */
static double element(int64_t r, int64_t c)
{
    double sum = r == c ? 1 : 0;
    for (int k = 1; k <= 3; k++) {
        sum += sin(0.37 * k * (double)(r + 1)) * sin(0.37 * k * (double)(c + 1));
    }
    return sum;
}

static lo_status tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, double *out,
                      int64_t stride, lo_error *err)
{
    (void)err;
    const double shift = *(const double *)self;
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = 0; r < rows; r++) {
            out[c * stride + r] = element(row + r, column + c) - (row + r == column + c ? shift : 0);
        }
    }
    return LO_OK;
}

static int64_t width_of(int64_t columns)
{
    return (columns + mpi_test.ranks - 1) / mpi_test.ranks;
}

static int64_t first_of(int64_t columns)
{
    const int64_t first = width_of(columns) * mpi_test.rank;
    return first < columns ? first : columns;
}

static int64_t count_of(int64_t columns)
{
    const int64_t left = columns - first_of(columns);
    return left < width_of(columns) ? left : width_of(columns);
}

static double side(int64_t r, int64_t s)
{
    return cos(0.1 * (double)(r * (s + 1)));
}

/* The factor on every rank: its product is the matrix, and it solves as the grid does. */
static void whole_factors(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    lo_grid_matrix factor;
    double none = 0;
    double used = -1;
    double *full = malloc((size_t)(N * N) * sizeof(*full));
    double x[N];
    CHECK(full != NULL);
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &a, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &factor, &err));
    CHECK_OK(lo_grid_fill(&a, tile, &none, &err));
    CHECK_OK(lo_grid_cholesky_ladder(&a, 0, 5, &factor, &used, &err));
    CHECK_OK(lo_grid_whole(&factor, full, &err));
    for (int64_t r = 0; r < N; r++) {
        for (int64_t c = 0; c <= r; c++) {
            double sum = 0;
            for (int64_t k = 0; k <= c; k++) {
                sum += full[k * N + r] * full[k * N + c];
            }
            CHECK(fabs(sum - element(r, c)) < 1e-11);
        }
        x[r] = side(r, 3);
    }
    lo_factor_solve(full, N, false, x, 1);
    for (int64_t r = 0; r < N; r++) {
        double sum = 0;
        for (int64_t c = 0; c < N; c++) {
            sum += element(r, c) * x[c];
        }
        CHECK(fabs(sum - side(r, 3)) < 1e-11);
    }
    for (int64_t r = 0; r < N; r++) {
        x[r] = side(r, 3);
    }
    lo_factor_solve(full, N, true, x, 1); /* L x = b */
    for (int64_t r = 0; r < N; r++) {
        double sum = 0;
        for (int64_t c = 0; c <= r; c++) {
            sum += full[c * N + r] * x[c];
        }
        CHECK(fabs(sum - side(r, 3)) < 1e-11);
    }
    free(full);
    lo_grid_matrix_destroy(&factor);
    lo_grid_matrix_destroy(&a);
}

static void solves(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    lo_grid_matrix factor;
    lo_grid_matrix b;
    double none = 0;
    double used = -1;
    double *slab = calloc((size_t)(width_of(SIDES) * N), sizeof(*slab));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &a, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &factor, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, SIDES, &b, &err));
    CHECK_OK(lo_grid_fill(&a, tile, &none, &err));
    double trace = 0;
    for (int64_t i = 0; i < N; i++) {
        trace += element(i, i);
    }
    CHECK(fabs(lo_grid_trace(&a) - trace) < 1e-9);
    CHECK_OK(lo_grid_cholesky_ladder(&a, 0, 5, &factor, &used, &err));
    CHECK(used == 0);
    for (int half = 0; half < 2; half++) {
        for (int64_t s = 0; s < count_of(SIDES); s++) {
            for (int64_t r = 0; r < N; r++) {
                slab[s * N + r] = side(r, first_of(SIDES) + s);
            }
        }
        CHECK_OK(lo_grid_put_slabs(&b, width_of(SIDES), slab, &err));
        CHECK_OK(lo_grid_solve(&factor, half != 0, &b, &err));
        CHECK_OK(lo_grid_get_slabs(&b, width_of(SIDES), slab, &err));
        for (int64_t s = 0; s < count_of(SIDES); s++) {
            double square = 0;
            double energy = 0;
            double worst = 0;
            for (int64_t r = 0; r < N; r++) {
                double sum = 0;
                for (int64_t c = 0; c < N; c++) {
                    sum += element(r, c) * slab[s * N + c];
                }
                worst = fmax(worst, fabs(sum - side(r, first_of(SIDES) + s)));
                energy += side(r, first_of(SIDES) + s) * slab[s * N + r];
                square += slab[s * N + r] * slab[s * N + r];
            }
            if (half == 0) {
                CHECK(worst < 1e-11);
            } else {
                /* |L^-1 b|^2 = b' A^-1 b: compared below with the whole solution's. */
                slab[s * N] = square;
            }
            if (half == 0) {
                slab[s * N] = energy;
            }
        }
        static double kept[SIDES];
        for (int64_t s = 0; s < count_of(SIDES); s++) {
            if (half == 0) {
                kept[s] = slab[s * N];
            } else {
                CHECK(fabs(kept[s] - slab[s * N]) < 1e-10);
            }
        }
    }
    free(slab);
    lo_grid_matrix_destroy(&a);
    lo_grid_matrix_destroy(&factor);
    lo_grid_matrix_destroy(&b);
}

static void inverts(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    double none = 0;
    bool definite = false;
    double *slab = calloc((size_t)(width_of(N) * N), sizeof(*slab));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &a, &err));
    CHECK_OK(lo_grid_fill(&a, tile, &none, &err));
    CHECK_OK(lo_grid_cholesky(&a, &definite, &err));
    CHECK(definite);
    CHECK_OK(lo_grid_invert(&a, &err));
    CHECK_OK(lo_grid_get_slabs(&a, width_of(N), slab, &err));
    for (int64_t s = 0; s < count_of(N); s++) {
        double worst = 0;
        for (int64_t r = 0; r < N; r++) {
            double sum = 0;
            for (int64_t c = 0; c < N; c++) {
                sum += element(r, c) * slab[s * N + c];
            }
            worst = fmax(worst, fabs(sum - (r == first_of(N) + s ? 1 : 0)));
        }
        CHECK(worst < 1e-11);
    }
    free(slab);
    lo_grid_matrix_destroy(&a);
}

/* With one subtracted from the diagonal the matrix has rank 3. */
static void climbs_the_ladder(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    lo_grid_matrix factor;
    double shift = 1;
    double used = 0;
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &a, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &factor, &err));
    CHECK_OK(lo_grid_fill(&a, tile, &shift, &err));
    CHECK_INT(lo_grid_cholesky_ladder(&a, 0, 1, &factor, &used, &err), LO_USAGE);
    CHECK_TEXT(err.text, "singular with a damping of 0");
    CHECK_OK(lo_grid_cholesky_ladder(&a, 0, 12, &factor, &used, &err));
    CHECK(used > 0 && used < 1e-6);
    lo_grid_matrix_destroy(&a);
    lo_grid_matrix_destroy(&factor);
}

static void finds_eigenvalues(const lo_grid *grid, int64_t n)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    lo_grid_matrix vector;
    double none = 0;
    double value[MOST];
    double *slab = calloc((size_t)(width_of(n) * n), sizeof(*slab));
    CHECK_OK(lo_grid_matrix_create(grid, n, n, &a, &err));
    CHECK_OK(lo_grid_matrix_create(grid, n, n, &vector, &err));
    CHECK_OK(lo_grid_fill(&a, tile, &none, &err));
    CHECK_OK(lo_grid_eigen(&a, value, &vector, &err));
    CHECK_OK(lo_grid_get_slabs(&vector, width_of(n), slab, &err));
    CHECK(fabs(value[0] - 1) < 1e-11 && fabs(value[n - 4] - 1) < 1e-11 && value[n - 3] > 2);
    for (int64_t s = 0; s < count_of(n); s++) {
        double worst = 0;
        double norm = 0;
        for (int64_t r = 0; r < n; r++) {
            double sum = 0;
            for (int64_t c = 0; c < n; c++) {
                sum += element(r, c) * slab[s * n + c];
            }
            worst = fmax(worst, fabs(sum - value[first_of(n) + s] * slab[s * n + r]));
            norm += slab[s * n + r] * slab[s * n + r];
        }
        CHECK(worst < 1e-10);
        CHECK(fabs(norm - 1) < 1e-11);
    }
    free(slab);
    lo_grid_matrix_destroy(&a);
    lo_grid_matrix_destroy(&vector);
}

static void multiplies(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix b;
    lo_grid_matrix gram;
    double *slab = calloc((size_t)(width_of(N) * N), sizeof(*slab));
    CHECK_OK(lo_grid_matrix_create(grid, N, SIDES, &b, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &gram, &err));
    for (int64_t s = 0; s < count_of(SIDES); s++) {
        for (int64_t r = 0; r < N; r++) {
            slab[s * N + r] = side(r, first_of(SIDES) + s);
        }
    }
    CHECK_OK(lo_grid_put_slabs(&b, width_of(SIDES), slab, &err));
    CHECK_OK(lo_grid_syrk(0.5, &b, 0, &gram, &err));
    CHECK_OK(lo_grid_get_slabs(&gram, width_of(N), slab, &err));
    for (int64_t c = 0; c < count_of(N); c++) {
        for (int64_t r = first_of(N) + c; r < N; r += 17) {
            double sum = 0;
            for (int64_t s = 0; s < SIDES; s++) {
                sum += 0.5 * side(r, s) * side(first_of(N) + c, s);
            }
            CHECK(fabs(sum - slab[c * N + r]) < 1e-11);
        }
    }
    free(slab);
    lo_grid_matrix_destroy(&b);
    lo_grid_matrix_destroy(&gram);
}

static double row_of(int64_t r, int64_t c)
{
    return sin(0.3 * (double)(r + 1) * (double)(c + 2));
}

/* b'b, b'c and products of columns; what ranks hold, summed into tiles. */
static void adds_up(const lo_grid *grid)
{
    enum { K = 75 };
    lo_error err = {{0}};
    lo_grid_matrix b, gram, product, image;
    double *slab = calloc((size_t)(width_of(N) * N), sizeof(*slab));
    double *full = calloc((size_t)N * N, sizeof(*full));
    static double dots[N];
    CHECK_OK(lo_grid_matrix_create(grid, K, N, &b, &err));
    CHECK_OK(lo_grid_matrix_create(grid, K, SIDES, &image, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, N, &gram, &err));
    CHECK_OK(lo_grid_matrix_create(grid, N, SIDES, &product, &err));
    for (int64_t s = 0; s < count_of(N); s++) {
        for (int64_t r = 0; r < K; r++) {
            slab[s * K + r] = row_of(r, first_of(N) + s);
        }
    }
    CHECK_OK(lo_grid_put_slabs(&b, width_of(N), slab, &err));
    for (int64_t s = 0; s < count_of(SIDES); s++) {
        for (int64_t r = 0; r < K; r++) {
            slab[s * K + r] = side(r, first_of(SIDES) + s);
        }
    }
    CHECK_OK(lo_grid_put_slabs(&image, width_of(SIDES), slab, &err));
    CHECK_OK(lo_grid_gram(1, &b, 0, &gram, &err));
    CHECK_OK(lo_grid_gram(2, &b, 1, &gram, &err));
    CHECK_OK(lo_grid_product(-1, &b, &image, 0, &product, &err));
    CHECK_INT(lo_grid_product(1, &b, &gram, 0, &product, &err), LO_INTERNAL);
    CHECK_OK(lo_grid_get_slabs(&gram, width_of(N), slab, &err));
    lo_grid_column_dots(&b, &b, dots);
    for (int64_t c = 0; c < count_of(N); c++) {
        for (int64_t r = first_of(N) + c; r < N; r += 13) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++) {
                sum += row_of(k, r) * row_of(k, first_of(N) + c);
            }
            CHECK(fabs(3 * sum - slab[c * N + r]) < 1e-11);
            CHECK(r != first_of(N) + c || fabs(sum - dots[r]) < 1e-11);
        }
    }
    CHECK_OK(lo_grid_get_slabs(&product, width_of(SIDES), slab, &err));
    for (int64_t s = 0; s < count_of(SIDES); s++) {
        for (int64_t r = 0; r < N; r += 11) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++) {
                sum -= row_of(k, r) * side(k, first_of(SIDES) + s);
            }
            CHECK(fabs(sum - slab[s * N + r]) < 1e-11);
        }
    }
    for (int64_t r = 0; r < N; r++) {
        for (int64_t c = r; c < N; c++) {
            full[r * N + c] = (mpi_test.rank + 1) * row_of(r, c);
        }
    }
    CHECK_OK(lo_grid_sum(&gram, full, &err));
    CHECK_OK(lo_grid_get_slabs(&gram, width_of(N), slab, &err));
    const double times = mpi_test.ranks * (mpi_test.ranks + 1) / 2.0;
    for (int64_t c = 0; c < count_of(N); c++) {
        for (int64_t r = first_of(N) + c; r < N; r++) {
            CHECK(fabs(slab[c * N + r] - times * row_of(first_of(N) + c, r)) < 1e-13 * times);
        }
    }
    free(slab);
    free(full);
    lo_grid_matrix_destroy(&b);
    lo_grid_matrix_destroy(&image);
    lo_grid_matrix_destroy(&gram);
    lo_grid_matrix_destroy(&product);
}

static lo_status stop_last(void *self)
{
    return --*(int *)self < 0 && mpi_test.rank == mpi_test.ranks - 1 ? LO_STOPPED : LO_OK;
}

/* More than one panel: the factor of I + u u' / m, whose diagonal is known; the last rank is told to stop in
 * the second panel, which all ranks return. */
static lo_status bordered(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns, double *out,
                          int64_t stride, lo_error *err)
{
    const double m = *(const double *)self;
    (void)err;
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = 0; r < rows; r++) {
            out[c * stride + r] = 1 / m + (row + r == column + c ? 1 : 0);
        }
    }
    return LO_OK;
}

static void factors_in_panels(lo_grid *grid)
{
    enum { M = 16 * LO_GRID_BLOCK + 200 };
    lo_error err = {{0}};
    lo_grid_matrix a;
    double m = M;
    bool definite = false;
    int left = 1 << 30;
    const lo_tick tick = {stop_last, &left};
    CHECK_OK(lo_grid_matrix_create(grid, M, M, &a, &err));
    CHECK_OK(lo_grid_fill(&a, bordered, &m, &err));
    grid->tick = &tick;
    CHECK_OK(lo_grid_cholesky(&a, &definite, &err));
    CHECK(definite && left < 1 << 30);
    /* d_k^2 = 1 + 1 / (m + k - 1), k from 1: the trace of L is the sum of these roots. */
    double trace = 0;
    for (int k = 0; k < M; k++) {
        trace += sqrt(1 + 1 / (m + k));
    }
    CHECK(fabs(lo_grid_trace(&a) - trace) < 1e-9);
    left = 0;
    CHECK_OK(lo_grid_fill(&a, bordered, &m, &err));
    CHECK_INT(lo_grid_cholesky(&a, &definite, &err), LO_STOPPED);
    grid->tick = NULL;
    lo_grid_matrix_destroy(&a);
}

static void refuses_what_it_cannot_count(const lo_grid *grid)
{
    lo_error err = {{0}};
    lo_grid_matrix a;
    CHECK_INT(lo_grid_matrix_create(grid, 200000, 200000, &a, &err), LO_USAGE);
    CHECK_TEXT(err.text, "would do");
    lo_grid_matrix_destroy(&a);
    CHECK(lo_grid_bytes(1000, 1000, 4) >= 1000.0 * 1000 * 8 / 4 &&
          lo_grid_bytes(1000, 1000, 4) < 1000.0 * 1000 * 8 / 3);
}

int main(int argc, char **argv)
{
    lo_error err = {{0}};
    lo_grid grid;
    mpi_test_begin(&argc, &argv);
    CHECK_OK(lo_grid_create(MPI_COMM_WORLD, &grid, &err));
    solves(&grid);
    whole_factors(&grid);
    inverts(&grid);
    multiplies(&grid);
    adds_up(&grid);
    factors_in_panels(&grid);
    climbs_the_ladder(&grid);
    /* Fewer tiles than ranks in a row of the grid; more. */
    finds_eigenvalues(&grid, 100);
    finds_eigenvalues(&grid, N);
    finds_eigenvalues(&grid, MOST);
    refuses_what_it_cannot_count(&grid);
    lo_grid_destroy(&grid);
    return mpi_test_end("test_grid");
}
