#include "score/probe.h"

#include "nn/presets/presets.h"
#include "score/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, ROOM = 256 << 20 };

/* Does no layer after the one that makes `value` look at an earlier value? */
static bool is_passage(const lo_network *network, int value)
{
    for (int i = value; i < network->layer_count; i++) {
        for (int k = 0; k < network->layer[i]->inputs; k++) {
            if (network->layer[i]->value[k] < value) {
                return false;
            }
        }
    }
    return true;
}

int lo_probe_values(const lo_network *network, int *values)
{
    int count = 0;
    for (int value = 1; value < network->layer_count; value++) {
        if (is_passage(network, value)) {
            values[count++] = value;
        }
    }
    return count;
}

typedef struct room {
    float *query, *block;
    lo_neighbours neighbours;
} room;

static lo_status pass_all(const lo_score_input *input, lo_per_example *pass, int value, room *r,
                          lo_error *err)
{
    const lo_examples *train = &input->data->train;
    for (int64_t at = 0; at < train->count; at += BLOCK) {
        const int64_t count = train->count - at < BLOCK ? train->count - at : BLOCK;
        const lo_example_list some = {train, NULL, at, count};
        LO_TRY(lo_per_example_features(pass, &some, value, r->block, input->tick, err));
        LO_TRY(lo_neighbours_pass(&r->neighbours, r->block, at, count, input->tick));
    }
    return LO_OK;
}

static lo_status find_some(const lo_score_input *input, lo_per_example *pass, int value, int64_t first,
                           int64_t count, int64_t k, room *r, int64_t *nearest, lo_error *err)
{
    const size_t size = lo_shape_size(lo_network_shape_of(input->network, value));
    const lo_example_list mine = {&input->data->train, NULL, first, count};
    LO_TRY(lo_per_example_features(pass, &mine, value, r->query, input->tick, err));
    LO_TRY(lo_neighbours_create(r->query, first, count, size, k, &r->neighbours, err));
    const lo_status status = pass_all(input, pass, value, r, err);
    if (status == LO_OK) {
        memcpy(nearest, r->neighbours.nearest, (size_t)(count * k) * sizeof(*nearest));
    }
    lo_neighbours_destroy(&r->neighbours);
    return status;
}

/* Examples whose features are in memory at once. */
static int64_t most_queries(size_t size)
{
    const int64_t fit = (int64_t)(ROOM / (size * sizeof(float)));
    return fit < BLOCK ? BLOCK : fit;
}

lo_status lo_probe_neighbours(const lo_score_input *input, lo_per_example *pass, int value, int64_t k,
                              int64_t *nearest, lo_error *err)
{
    const size_t size = lo_shape_size(lo_network_shape_of(input->network, value));
    const int64_t most = most_queries(size), queries = input->count < most ? input->count : most;
    room r = {.query = malloc((size_t)queries * size * sizeof(float) + 1),
              .block = malloc(BLOCK * size * sizeof(float))};
    lo_status status = r.query != NULL && r.block != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for features of %zu values", size);
    for (int64_t at = 0; at < input->count && status == LO_OK; at += queries) {
        const int64_t count = input->count - at < queries ? input->count - at : queries;
        status = find_some(input, pass, value, input->first + at, count, k, &r, nearest + at * k, err);
    }
    free(r.query);
    free(r.block);
    return status;
}

lo_network *lo_probe_network(const lo_score_input *input)
{
    lo_error unheard = {{0}};
    lo_network *network = NULL;
    (void)lo_network_build(input->model, input->data->shape, input->data->classes, &network, &unheard);
    return network;
}

void lo_probe_add_work(const lo_score_input *input, int value, int64_t k, lo_score_work *work)
{
    /* What is done for a pair beside the product, and for a value of a closer look, as if it were in float32
     * and in vectors. */
    const double pair = 40, look = 20;
    const double n = (double)input->n, near = fmin((double)k, n);
    const size_t size = lo_shape_size(lo_network_shape_of(input->network, value));
    const double passes = ceil(n / (double)most_queries(size));
    /* Of candidates in no order, number i is among the k nearest so far with probability k / i. */
    const double looks = near * (1 + log(fmax(n, 1) / fmax(near, 1)));
    work->everywhere += n;
    work->evaluated += n * passes; /* the queries once, and all examples for each room but the first */
    work->operations += n * n * (2 * (double)size + pair) + n * looks * (double)size * look;
}
