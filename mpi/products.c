#include "mpi/products.h"

#include "mpi/agree.h"
#include "mpi/sum.h"

#include <stdlib.h>

lo_status lo_products_apply(MPI_Comm comm, lo_product *product, const lo_product_set *set,
                            const lo_vectors *vectors, const lo_tick *tick, double *out, lo_error *err)
{
    const size_t size = lo_product_size(product, vectors);
    lo_pairwise *sum = NULL;
    int64_t first = 0, count = 0;
    double *total = malloc(size * sizeof(*total) + 1);
    lo_status status = lo_sum_create(comm, size, lo_product_blocks(set), &sum, &first, &count, err);
    if (status == LO_OK && total == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for products of %zu values", size);
    }
    if (status == LO_OK) {
        status = lo_product_terms(product, set, vectors, first, count, tick, sum, err);
    }
    status = lo_sum(comm, sum, status, total, err);
    if (status == LO_OK) {
        status = lo_agree(comm, lo_product_finish(product, set, vectors, tick, total, out), err);
    }
    lo_pairwise_destroy(&sum);
    free(total);
    return status;
}
