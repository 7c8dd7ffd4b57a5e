/* Sums over examples on several ranks: the bits of one rank. */
#include "mpi/agree.h"
#include "mpi/sum.h"
#include "mpi_test.h"
#include "nn/per_example.h"
#include "nn/presets/presets.h"

enum { EXAMPLES = 5 * LO_SUM_BLOCK + 17, BLOCKS = 6, FEATURES = 6, CLASSES = 3 };

static uint8_t pixel[EXAMPLES * FEATURES];
static int32_t label[EXAMPLES];
static float scale[FEATURES], shift[FEATURES];

/* The sum of the squared gradients of the blocks of this rank of comm, put together. */
static void sum_on(MPI_Comm comm, lo_per_example *per, const lo_examples *examples, double *total)
{
    lo_pairwise *sum = NULL;
    lo_error err = {""};
    int64_t first = 0, count = 0;
    CHECK_OK(lo_sum_create(comm, lo_per_example_size(per), BLOCKS, &sum, &first, &count, &err));
    const int64_t from = first * LO_SUM_BLOCK, end = (first + count) * LO_SUM_BLOCK;
    const lo_example_list list = {
        .examples = examples, .first = from, .count = (end < EXAMPLES ? end : EXAMPLES) - from};
    const lo_status status =
        count > 0 ? lo_per_example_sums(per, &list, &(lo_output){0}, LO_TERM_SQUARE, sum, NULL, &err) : LO_OK;
    CHECK_OK(lo_sum(comm, sum, status, total, &err));
    lo_pairwise_destroy(&sum);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    const lo_model_spec spec = {.preset = "mlp", .hidden = {7}, .hidden_count = 1};
    const lo_shape shape = {FEATURES, 1, 1};
    lo_dataset dataset = {.shape = shape, .classes = CLASSES, .scale = scale, .shift = shift};
    const lo_random random = lo_random_make(4, LO_FOR_TEST);
    lo_network *network = NULL;
    lo_arena *arena = NULL;
    lo_per_example *per = NULL;
    lo_memory memory = {0};
    lo_error err = {""};
    for (size_t i = 0; i < EXAMPLES * FEATURES; i++) {
        pixel[i] = (uint8_t)(256 * lo_random_unit(random, 0, i));
        label[i / FEATURES] = (int32_t)(i / FEATURES % CLASSES);
        scale[i % FEATURES] = 1.0F / 64;
    }
    dataset.train = (lo_examples){.count = EXAMPLES, .pixel = pixel, .label = label};
    CHECK_OK(lo_network_build(&spec, shape, CLASSES, &network, &err));
    for (int pass = 0; pass < 2; pass++) {
        /* Batches of sizes that differ between ranks. */
        lo_network_reserve(network, lo_kernels_chosen(LO_F32), 20 + (size_t)mpi_test.rank, &memory);
        arena = pass == 0 ? lo_arena_create(memory.bytes) : arena;
        memory = (lo_memory){.arena = arena};
    }
    CHECK_OK(lo_network_initialize(network, 1, 1, NULL));
    CHECK_OK(lo_per_example_create(network, &dataset, NULL, 0, &per, &err));
    const size_t size = lo_per_example_size(per);
    double *total = calloc(size, sizeof(double)), *alone = calloc(size, sizeof(double));
    CHECK(total != NULL && alone != NULL && size == FEATURES * 7 + 7 + 7 * CLASSES + CLASSES);
    sum_on(MPI_COMM_WORLD, per, &dataset.train, total);
    sum_on(MPI_COMM_SELF, per, &dataset.train, alone);
    CHECK(memcmp(total, alone, size * sizeof(double)) == 0);
    CHECK(total[size - 1] > 0);
    free(total);
    free(alone);
    lo_per_example_destroy(&per);
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
    return mpi_test_end("test_example_sums");
}
