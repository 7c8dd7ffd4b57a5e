/* Products over examples that ranks share: the bits of one process, on every number of ranks, and the errors
 * of one rank. About a second. */
#include "base/random.h"
#include "mpi/products.h"
#include "mpi_test.h"
#include "nn/presets/presets.h"

enum { EXAMPLES = 45, CLASSES = 3, VECTORS = 2 };

static double *random_values(uint64_t stream, size_t count)
{
    const lo_random random = lo_random_make(7, LO_FOR_TEST);
    double *values = calloc(count, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        values[i] = 2 * (double)lo_random_unit(random, stream, i) - 1;
    }
    return values;
}

static lo_status stop(void *self)
{
    return --*(int *)self < 0 ? LO_STOPPED : LO_OK;
}

static void test_kind(lo_product *product, const lo_product_set *set, lo_product_kind kind, size_t parameters)
{
    lo_error err = {""};
    const size_t length = kind == LO_TRANSPOSED ? EXAMPLES * CLASSES : parameters;
    const int vectors = kind == LO_GRADIENT ? 1 : VECTORS;
    double *values = random_values((uint64_t)kind, VECTORS * length);
    double *alone = calloc(VECTORS * parameters, sizeof(double));
    double *together = calloc(VECTORS * parameters, sizeof(double));
    const lo_vectors list = {
        .kind = kind, .count = vectors, .length = length, .values = values, .mean = true, .damping = 0.5};
    CHECK_OK(lo_product_apply(product, set, &list, NULL, alone, &err));
    CHECK_OK(lo_products_apply(MPI_COMM_WORLD, product, set, &list, NULL, together, &err));
    CHECK(memcmp(alone, together, (size_t)vectors * parameters * sizeof(double)) == 0);
    /* The last rank is told to stop, which all return; it has something to do. */
    int left = mpi_test.rank == mpi_test.ranks - 1 ? 1 : 1 << 30;
    const lo_tick tick = {stop, &left};
    CHECK_INT(lo_products_apply(MPI_COMM_WORLD, product, set, &list, &tick, together, &err), LO_STOPPED);
    free(values);
    free(alone);
    free(together);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    lo_error err = {""};
    lo_network *network = NULL;
    lo_product *product = NULL;
    lo_memory memory = {0};
    const lo_shape shape = {1, 8, 8};
    const lo_model_spec spec = {.preset = "cnn", .width = 2};
    static uint8_t pixel[EXAMPLES * 64];
    static int32_t label[EXAMPLES];
    const float scale = 1.0F / 64, shift = -2;
    for (int i = 0; i < EXAMPLES * 64; i++) {
        pixel[i] = (uint8_t)(i * 7919 % 251);
    }
    for (int n = 0; n < EXAMPLES; n++) {
        label[n] = n % CLASSES;
    }
    const lo_dataset data = {.shape = shape, .classes = CLASSES, .scale = &scale, .shift = &shift};
    const lo_examples examples = {.count = EXAMPLES, .pixel = pixel, .label = label};
    const lo_product_set set = {.dataset = &data, .examples = &examples, .count = EXAMPLES, .block = 4};
    CHECK_OK(lo_network_build(&spec, shape, CLASSES, &network, &err));
    lo_network_reserve(network, lo_kernels_chosen(LO_F32), 3, &memory);
    lo_arena *arena = memory.arena = lo_arena_create(memory.bytes);
    lo_network_reserve(network, lo_kernels_chosen(LO_F32), 3, &memory);
    CHECK_OK(lo_network_initialize(network, 1, 1, NULL));
    CHECK_OK(lo_product_create(network, &product, &err));
    for (int kind = LO_TRANSPOSED; kind <= LO_HESSIAN; kind++) {
        test_kind(product, &set, (lo_product_kind)kind, (size_t)lo_network_parameters(network));
    }
    lo_product_destroy(&product);
    lo_network_destroy(&network);
    lo_arena_destroy(&arena);
    return mpi_test_end("test_shared_products");
}
