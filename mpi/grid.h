/* Dense matrices spread over all ranks, in double: ScaLAPACK's two-dimensional block-cyclic layout.
 *
 * Matrices are column-major, as ScaLAPACK's; a symmetric one is the same row by row, and n right-hand sides
 * are n columns, so rows of a row-major array that ranks hold are columns here. Everything is collective over
 * the grid's communicator and returns the same status on every rank, unless it says "local". Results depend
 * on the number of ranks by rounding.
 *
 * Never PDSYEVX: on matrices with many equal eigenvalues, as Gram matrices have, it returns vectors that are
 * not orthogonal. */
#ifndef LEAVEOUT_MPI_GRID_H
#define LEAVEOUT_MPI_GRID_H

#include "base/status.h"
#include "base/tick.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/* Rows and columns of a tile: with 64 the factorization takes a third longer on two ranks (bench_cholesky).
 */
enum { LO_GRID_BLOCK = 128 };

typedef struct lo_grid {
    MPI_Comm comm;
    int rank, ranks;
    int context, line;              /* BLACS contexts: the grid, and all ranks in one line */
    int rows, columns, row, column; /* of ranks; where this rank is */
    const lo_tick *tick; /* called between parts of what takes long, by all ranks; set it, or NULL */
} lo_grid;

typedef struct lo_grid_matrix {
    const lo_grid *grid;
    int64_t rows, columns, local_rows, local_columns;
    int descriptor[9];
    double *local; /* [local_columns, local_rows] */
} lo_grid_matrix;

/* A grid of all ranks of comm, as near to square as their number allows. Errors: LO_INTERNAL. */
lo_status lo_grid_create(MPI_Comm comm, lo_grid *out, lo_error *err);
void lo_grid_destroy(lo_grid *grid);

/* Local: bytes that a rank needs for a matrix on `ranks` ranks, the most that any of them holds. */
double lo_grid_bytes(int64_t rows, int64_t columns, int ranks);

/* A matrix of zeros. Errors: LO_USAGE when a rank's part has 2^31 elements or more, which ScaLAPACK cannot
 * count (the text says how many ranks would do); LO_INTERNAL without memory. Destroy it in any case; a zeroed
 * struct is allowed. */
lo_status lo_grid_matrix_create(const lo_grid *grid, int64_t rows, int64_t columns, lo_grid_matrix *out,
                                lo_error *err);
void lo_grid_matrix_destroy(lo_grid_matrix *matrix);

/* Fills the matrix tile by tile: each rank is asked for its own. The callback writes (or adds to) element
 * (row + r, column
 * + c) to out[c * stride + r]. */
typedef lo_status lo_grid_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns,
                               double *out, int64_t stride, lo_error *err);
lo_status lo_grid_fill(lo_grid_matrix *matrix, lo_grid_tile *tile, void *self, lo_error *err);

/* From and to slabs of whole columns: rank r holds the columns [r width, (r + 1) width), cut off at the end,
 * one behind the other. */
lo_status lo_grid_put_slabs(lo_grid_matrix *matrix, int64_t width, const double *slab, lo_error *err);
lo_status lo_grid_get_slabs(const lo_grid_matrix *matrix, int64_t width, double *slab, lo_error *err);

/* full [rows, columns] of a square matrix, whole on every rank: its columns one behind the other, what lies
 * above the diagonal of a factor being anything. Errors: what a rank's tick returned. */
lo_status lo_grid_whole(const lo_grid_matrix *matrix, double *full, lo_error *err);

/* dots [columns], on every rank: the products of the columns of a with those of b. */
void lo_grid_column_dots(const lo_grid_matrix *a, const lo_grid_matrix *b, double *dots);

/* Local: adds to the diagonal. */
void lo_grid_add_diagonal(lo_grid_matrix *matrix, double value);
double lo_grid_trace(const lo_grid_matrix *matrix);

/* The lower triangle of out = scale * a a' + keep * out. */
lo_status lo_grid_syrk(double scale, const lo_grid_matrix *a, double keep, lo_grid_matrix *out,
                       lo_error *err);

/* The lower triangle of out = scale * a' a + keep * out. */
lo_status lo_grid_gram(double scale, const lo_grid_matrix *a, double keep, lo_grid_matrix *out,
                       lo_error *err);

/* out [columns of a, columns of b] = scale * a' b + keep * out. */
lo_status lo_grid_product(double scale, const lo_grid_matrix *a, const lo_grid_matrix *b, double keep,
                          lo_grid_matrix *out, lo_error *err);

/* The lower triangle of a square matrix becomes the sum over ranks of what each has: full [n, n], the
 * upper triangle row by row (which is the lower one column by column). One reduce-scatter, a panel of columns
 * at a time; each number travels once. Memory: two panels, about n * LO_GRID_BLOCK * columns of the grid
 * numbers each.
 */
lo_status lo_grid_sum(lo_grid_matrix *out, const double *full, lo_error *err);

/* The lower triangle of a becomes its Cholesky factor. *definite: is a positive definite, to working
 * precision? If not, a is lost. In panels, with ticks. Errors: LO_INTERNAL;
 * what a rank's tick returned. */
lo_status lo_grid_cholesky(lo_grid_matrix *a, bool *definite, lo_error *err);

/* The factor of a + damping I, where damping is the smallest of `damping`, the larger of 10 damping and 1e-12
 * of the mean diagonal, 10 times that, ... with which there is one; *used takes it. a keeps its lower
 * triangle. Errors: LO_USAGE when none of `tries` dampings will do; LO_INTERNAL. */
lo_status lo_grid_cholesky_ladder(const lo_grid_matrix *a, double damping, int tries, lo_grid_matrix *factor,
                                  double *used, lo_error *err);

/* Columns of b become solutions: of A x = b, or (`half`) of L x = b. In panels of columns, with ticks. */
lo_status lo_grid_solve(const lo_grid_matrix *factor, bool half, lo_grid_matrix *b, lo_error *err);

/* The inverse, both triangles, in the factor's place. Takes the memory of one more such matrix meanwhile. */
lo_status lo_grid_invert(lo_grid_matrix *factor, lo_error *err);

/* Eigenvalues [rows], ascending, on every rank, and the vectors as columns; a is lost. By divide and conquer
 * (PDSYEVD; DSYEVD on rank 0 for fewer tiles than ranks in a row or column of the grid). */
lo_status lo_grid_eigen(lo_grid_matrix *a, double *value, lo_grid_matrix *vector, lo_error *err);

#endif
