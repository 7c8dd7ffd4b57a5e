#include "mpi/sum.h"

#include "mpi/agree.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND = 1 << 16 }; /* values of the sum that are exchanged at a time */

lo_status lo_sum_create(MPI_Comm comm, size_t size, int64_t terms, lo_pairwise **out, int64_t *first,
                        int64_t *count, lo_error *err)
{
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    lo_shard(terms, 1, rank, ranks, first, count);
    return lo_pairwise_create(size, terms, *first, *count, out, err);
}

/* What an exchange needs; of each round every rank joins `width` values at most. */
typedef struct exchange {
    MPI_Comm comm;
    int rank, ranks;
    size_t width;
    int64_t terms;
    int own_nodes, all_nodes;
    const lo_pairwise_node *own;
    int *nodes;                /* [ranks] */
    lo_pairwise_node *planned; /* [all_nodes]: in the order of the ranks, and so of the terms */
    lo_pairwise_node *node;    /* [all_nodes]: of a round */
    int *give, *give_at, *get, *get_at, *part, *part_at; /* [ranks]: counts and places of a round */
    double *out;                                         /* [own_nodes, width ranks] */
    double *in;                                          /* [all_nodes, width] */
} exchange;

static void destroy(exchange *e)
{
    free(e->nodes);
    free(e->planned);
    free(e->node);
    free(e->give);
    free(e->out);
    free(e->in);
}

static lo_status prepare(exchange *e, lo_pairwise *own, lo_error *err)
{
    const size_t ranks = (size_t)e->ranks;
    e->own_nodes = lo_pairwise_nodes(own, &e->own);
    e->terms = lo_pairwise_terms(own);
    e->width = (ROUND + ranks - 1) / ranks;
    e->nodes = calloc(ranks, sizeof(*e->nodes));
    e->planned = calloc(ranks * LO_MOST_NODES, sizeof(*e->planned));
    e->node = calloc(ranks * LO_MOST_NODES, sizeof(*e->node));
    e->give = calloc(6 * ranks, sizeof(*e->give));
    if (e->nodes == NULL || e->planned == NULL || e->node == NULL || e->give == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a sum over %d ranks", e->ranks);
    }
    int **const lists[] = {&e->give_at, &e->get, &e->get_at, &e->part, &e->part_at};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        *lists[i] = e->give + (i + 1) * ranks;
    }
    for (int r = 0; r < e->ranks; r++) {
        int64_t first = 0, count = 0;
        lo_shard(e->terms, 1, r, e->ranks, &first, &count);
        e->nodes[r] = lo_pairwise_plan(first, count, e->planned + e->all_nodes);
        e->all_nodes += e->nodes[r];
    }
    e->out = malloc((size_t)e->own_nodes * e->width * ranks * sizeof(double) + 1);
    e->in = malloc((size_t)e->all_nodes * e->width * sizeof(double) + 1);
    if (e->out == NULL || e->in == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a sum over %d ranks", e->ranks);
    }
    if (e->nodes[e->rank] != e->own_nodes) {
        return lo_fail(err, LO_INTERNAL, "a sum over ranks lacks terms");
    }
    return LO_OK;
}

/* The part of a round's `count` values that rank r joins. */
static size_t part_of(const exchange *e, size_t count, int r)
{
    const size_t from = (size_t)r * e->width;
    return from >= count ? 0 : count - from < e->width ? count - from : e->width;
}

/* The sum's values at .. at + count - 1. */
static void exchange_round(exchange *e, size_t at, size_t count, double *total)
{
    const size_t own = part_of(e, count, e->rank);
    int given = 0, got = 0, parted = 0;
    for (int r = 0; r < e->ranks; r++) {
        const size_t part = part_of(e, count, r);
        e->give[r] = (int)part * e->own_nodes;
        e->get[r] = (int)own * e->nodes[r];
        e->part[r] = (int)part;
        e->give_at[r] = given;
        e->get_at[r] = got;
        e->part_at[r] = parted;
        for (int i = 0; i < e->own_nodes; i++) {
            memcpy(e->out + given + (size_t)i * part, e->own[i].value + at + (size_t)r * e->width,
                   part * sizeof(double));
        }
        given += e->give[r];
        got += e->get[r];
        parted += e->part[r];
    }
    MPI_Alltoallv(e->out, e->give, e->give_at, MPI_DOUBLE, e->in, e->get, e->get_at, MPI_DOUBLE, e->comm);
    for (int i = 0; i < e->all_nodes; i++) {
        e->node[i] = e->planned[i];
        e->node[i].value = e->in + (size_t)i * own;
    }
    (void)lo_pairwise_join(e->terms, e->node, e->all_nodes, own, NULL); /* without a tick it cannot fail */
    MPI_Allgatherv(e->in, (int)own, MPI_DOUBLE, total + at, e->part, e->part_at, MPI_DOUBLE, e->comm);
}

lo_status lo_sum(MPI_Comm comm, lo_pairwise *own, lo_status status, double *total, lo_error *err)
{
    exchange e = {.comm = comm};
    MPI_Comm_rank(comm, &e.rank);
    MPI_Comm_size(comm, &e.ranks);
    if (status == LO_OK) {
        status = prepare(&e, own, err);
    }
    status = lo_agree(comm, status, err);
    const size_t size = own != NULL ? lo_pairwise_size(own) : 0, round = e.width * (size_t)e.ranks;
    if (status == LO_OK && e.terms == 0) {
        memset(total, 0, size * sizeof(double));
    }
    for (size_t at = 0; status == LO_OK && e.terms > 0 && at < size; at += round) {
        exchange_round(&e, at, size - at < round ? size - at : round, total);
    }
    destroy(&e);
    return status;
}
