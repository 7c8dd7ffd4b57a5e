#include "score/neighbours.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, QUERIES = 64, LANES = 8 };

static double squared_norm(const float *a, size_t dimension)
{
    double sum = 0;
    for (size_t i = 0; i < dimension; i++) {
        sum += (double)a[i] * (double)a[i];
    }
    return sum;
}

lo_status lo_neighbours_create(const float *query, int64_t first, int64_t count, size_t dimension, int64_t k,
                               lo_neighbours *out, lo_error *err)
{
    *out = (lo_neighbours){.count = count, .k = k, .dimension = dimension, .query = query, .first = first};
    out->nearest = calloc((size_t)(count * k) + 1, sizeof(*out->nearest));
    out->distance = calloc((size_t)(count * k) + 1, sizeof(*out->distance));
    out->norm = calloc((size_t)count + 1, sizeof(*out->norm));
    out->product = calloc((size_t)QUERIES * BLOCK, sizeof(*out->product));
    if (out->nearest == NULL || out->distance == NULL || out->norm == NULL || out->product == NULL) {
        lo_neighbours_destroy(out);
        return lo_fail(err, LO_INTERNAL, "no memory for %lld neighbours of %lld examples", (long long)k,
                       (long long)count);
    }
    for (int64_t i = 0; i < count * k; i++) {
        out->nearest[i] = -1;
        out->distance[i] = INFINITY;
    }
    for (int64_t q = 0; q < count; q++) {
        out->norm[q] = squared_norm(query + (size_t)q * dimension, dimension);
    }
    return LO_OK;
}

void lo_neighbours_destroy(lo_neighbours *neighbours)
{
    free(neighbours->nearest);
    free(neighbours->distance);
    free(neighbours->norm);
    free(neighbours->product);
    *neighbours = (lo_neighbours){0};
}

/* Sums of eight lanes, added up at the end: an order that vectors of any width keep. */
static double add_lanes(const double *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double squared_distance(const float *restrict a, const float *restrict b, size_t dimension)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            const double d = (double)a[i + l] - (double)b[i + l];
            lane[l] += d * d;
        }
    }
    for (size_t l = 0; i + l < dimension; l++) {
        const double d = (double)a[i + l] - (double)b[i + l];
        lane[l] += d * d;
    }
    return add_lanes(lane);
}

/* The place of a candidate among the k, which ascend by distance, then number. */
static void insert(int64_t *nearest, double *distance, int64_t k, int64_t number, double d)
{
    int64_t at = k;
    while (at > 0 && (d < distance[at - 1] || (d == distance[at - 1] && nearest[at - 1] > number))) {
        at--;
    }
    if (at == k || isinf(d)) {
        return;
    }
    memmove(nearest + at + 1, nearest + at, (size_t)(k - at - 1) * sizeof(*nearest));
    memmove(distance + at + 1, distance + at, (size_t)(k - at - 1) * sizeof(*distance));
    nearest[at] = number;
    distance[at] = d;
}

/* The products of a query with a block are known: who of it may be near? */
static void look_closer(lo_neighbours *n, int64_t q, const float *example, const double *norm,
                        const double *length, int64_t first, int64_t count, const float *product)
{
    /* A float32 inner product of d terms is off by at most d u / (1 - d u) times the norms' product. */
    const double du = (double)n->dimension * 0x1p-24;
    const double bound = du < 0.5 ? 2 * du / (1 - du) * 1.001 : (double)INFINITY;
    int64_t *nearest = n->nearest + q * n->k;
    double *distance = n->distance + q * n->k;
    const float *query = n->query + (size_t)q * n->dimension;
    const double scale = bound * sqrt(n->norm[q]);
    for (int64_t i = 0; i < count; i++) {
        const double about = n->norm[q] + norm[i] - 2 * (double)product[i];
        const double slack = scale * length[i] + 1e-12 * (n->norm[q] + norm[i]);
        if (first + i != n->first + q && !(about - slack > distance[n->k - 1])) {
            insert(nearest, distance, n->k, first + i,
                   squared_distance(query, example + (size_t)i * n->dimension, n->dimension));
        }
    }
}

static lo_status pass_block(lo_neighbours *n, const float *example, int64_t first, int64_t count,
                            const lo_tick *tick)
{
    double norm[BLOCK], length[BLOCK];
    for (int64_t i = 0; i < count; i++) {
        norm[i] = squared_norm(example + (size_t)i * n->dimension, n->dimension);
        length[i] = sqrt(norm[i]);
    }
    for (int64_t q = 0; q < n->count; q += QUERIES) {
        const int64_t queries = n->count - q < QUERIES ? n->count - q : QUERIES;
        const float *query = n->query + (size_t)q * n->dimension;
        const int d = (int)n->dimension;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)queries, (int)count, d, 1, query, d,
                    example, d, 0, n->product, BLOCK);
        for (int64_t i = 0; i < queries; i++) {
            look_closer(n, q + i, example, norm, length, first, count, n->product + i * BLOCK);
            LO_TRY(lo_tick_call(tick));
        }
    }
    return LO_OK;
}

lo_status lo_neighbours_pass(lo_neighbours *neighbours, const float *example, int64_t first, int64_t count,
                             const lo_tick *tick)
{
    for (int64_t at = 0; at < count; at += BLOCK) {
        LO_TRY(pass_block(neighbours, example + (size_t)at * neighbours->dimension, first + at,
                          count - at < BLOCK ? count - at : BLOCK, tick));
    }
    return LO_OK;
}

int32_t lo_vote(const int64_t *nearest, int64_t k, const int32_t *label, int32_t classes, int32_t *votes)
{
    memset(votes, 0, (size_t)classes * sizeof(*votes));
    int32_t most = 0, winner = -1;
    for (int64_t i = 0; i < k && nearest[i] >= 0; i++) {
        const int32_t count = ++votes[label[nearest[i]]];
        most = count > most ? count : most;
    }
    for (int64_t i = 0; i < k && nearest[i] >= 0 && winner < 0; i++) {
        winner = votes[label[nearest[i]]] == most ? label[nearest[i]] : -1;
    }
    return winner;
}
