/* Sums over ranks: equal bits on every number of ranks, which one rank alone gives too, and the errors of
 * one rank. Term t has value i of t, made to cancel so that the order shows. About a second. */
#include "mpi/sum.h"
#include "mpi_test.h"

#include <math.h>
#include <stdint.h>

static double value_of(int64_t term, size_t i)
{
    uint64_t h = ((uint64_t)term + 1) * 0x9E3779B97F4A7C15U + (uint64_t)i * 0xBF58476D1CE4E5B9U;
    h ^= h >> 31;
    h *= 0x94D049BB133111EBU;
    h ^= h >> 29;
    return ldexp((double)(int64_t)h, -63) * ldexp(1, (int)(h % 40));
}

static void give(lo_pairwise *sum, int64_t first, int64_t count)
{
    lo_error err = {""};
    for (int64_t t = first; t < first + count; t++) {
        double *term = NULL;
        CHECK_OK(lo_pairwise_next(sum, NULL, &term, &err));
        for (size_t i = 0; i < lo_pairwise_size(sum); i++) {
            term[i] = value_of(t, i);
        }
        CHECK_OK(lo_pairwise_take(sum, NULL));
    }
}

/* By the definition, from the leaves up. */
static double plain(int64_t terms, size_t i)
{
    double *level = malloc((size_t)terms * sizeof(*level));
    for (int64_t t = 0; t < terms; t++) {
        level[t] = value_of(t, i);
    }
    for (; terms > 1; terms = (terms + 1) / 2) {
        for (int64_t t = 0; t < terms; t += 2) {
            level[t / 2] = t + 1 < terms ? level[t] + level[t + 1] : level[t];
        }
    }
    const double sum = level[0];
    free(level);
    return sum;
}

static void test_bits(int64_t terms, size_t size)
{
    lo_error err = {""};
    lo_pairwise *sum = NULL;
    int64_t first = 0, count = 0;
    double *total = calloc(size, sizeof(*total));
    CHECK_OK(lo_sum_create(MPI_COMM_WORLD, size, terms, &sum, &first, &count, &err));
    give(sum, first, count);
    CHECK_OK(lo_sum(MPI_COMM_WORLD, sum, LO_OK, total, &err));
    const size_t step = size > 2000 ? 997 : 1; /* the definition is slow */
    int64_t other = 0;
    for (size_t i = 0; i < size; i += step) {
        other += total[i] != plain(terms, i) ? 1 : 0;
    }
    CHECK_INT(other, 0);
    lo_pairwise_destroy(&sum);
    free(total);
}

static void test_nothing(void)
{
    lo_error err = {""};
    lo_pairwise *sum = NULL;
    int64_t first = 0, count = 0;
    double total[3] = {1, 2, 3};
    CHECK_OK(lo_sum_create(MPI_COMM_WORLD, 3, 0, &sum, &first, &count, &err));
    CHECK_INT(count, 0);
    CHECK_OK(lo_sum(MPI_COMM_WORLD, sum, LO_OK, total, &err));
    CHECK(total[0] == 0 && total[1] == 0 && total[2] == 0);
    lo_pairwise_destroy(&sum);
}

/* One rank's failure is everybody's, and nobody waits. */
static void test_failure(void)
{
    lo_error err = {""};
    lo_pairwise *sum = NULL;
    int64_t first = 0, count = 0;
    double total[2] = {0};
    const int last = mpi_test.ranks - 1;
    CHECK_OK(lo_sum_create(MPI_COMM_WORLD, 2, 9, &sum, &first, &count, &err));
    give(sum, first, mpi_test.rank == last ? count - 1 : count);
    CHECK_INT(lo_sum(MPI_COMM_WORLD, sum, LO_OK, total, &err), LO_INTERNAL);
    CHECK_TEXT(err.text, "lacks terms");
    lo_pairwise_destroy(&sum);
    CHECK_OK(lo_sum_create(MPI_COMM_WORLD, 2, 9, &sum, &first, &count, &err));
    give(sum, first, count);
    double *term = NULL;
    CHECK_INT(lo_pairwise_next(sum, NULL, &term, &err), LO_INTERNAL);
    const lo_status own = mpi_test.rank == last ? lo_fail(&err, LO_DATA, "not this one") : LO_OK;
    CHECK_INT(lo_sum(MPI_COMM_WORLD, sum, own, total, &err), LO_DATA);
    CHECK_TEXT(err.text, "not this one");
    lo_pairwise_destroy(&sum);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    static const int64_t terms[] = {1, 2, 3, 5, 7, 8, 13, 64, 100};
    for (size_t k = 0; k < sizeof(terms) / sizeof(terms[0]); k++) {
        test_bits(terms[k], 1);
        test_bits(terms[k], 1001);
    }
    test_bits(11, 200001); /* several rounds */
    test_nothing();
    test_failure();
    return mpi_test_end("test_sum");
}
