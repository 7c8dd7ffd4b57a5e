/* Products with the derivatives of a network (nn/product.h) over examples that the ranks share. */
#ifndef LEAVEOUT_MPI_PRODUCTS_H
#define LEAVEOUT_MPI_PRODUCTS_H

#include "nn/product.h"

#include <mpi.h>

/* Collective over comm, with the same network, set and vectors on each rank: what lo_product_apply returns,
 * bit for bit, on every rank and whatever their number. Each rank computes a run of consecutive blocks of the
 * set; one reduction adds the blocks up in their order (mpi/sum.h). More ranks than blocks have nothing to
 * do. A failure of one rank, or its tick's, is that of all. Errors: those of lo_product_apply. */
lo_status lo_products_apply(MPI_Comm comm, lo_product *product, const lo_product_set *set,
                            const lo_vectors *vectors, const lo_tick *tick, double *out, lo_error *err);

#endif
