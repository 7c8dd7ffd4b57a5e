/* Agreement, broadcasts, shards. */
#include "mpi/agree.h"
#include "mpi_test.h"

/* Whoever fails, all learn the same status and the text of the one that failed. */
static void test_status_and_text(void)
{
    for (int failing = -1; failing < mpi_test.ranks; failing++) {
        lo_error err = {{0}};
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "rank %d has no disk", failing);
        lo_status status = LO_OK;
        if (mpi_test.rank == failing) {
            status = lo_fail(&err, LO_IO, "%s", expected);
        }
        status = lo_agree(MPI_COMM_WORLD, status, &err);
        CHECK_INT(status, failing < 0 ? LO_OK : LO_IO);
        CHECK_TEXT(err.text, failing < 0 ? "" : expected);
        /* Without a place for the text nobody hangs. */
        status = mpi_test.rank == failing ? LO_DATA : LO_OK;
        CHECK_INT(lo_agree(MPI_COMM_WORLD, status, mpi_test.rank % 2 == 0 ? NULL : &err),
                  failing < 0 ? LO_OK : LO_DATA);
    }
}

/* Of several failures the gravest counts, of equal ones the lowest rank's. A stop is none: it must not hide
 * that something is wrong. */
static void test_gravest(void)
{
    static const lo_status order[] = {LO_OK, LO_STOPPED, LO_USAGE, LO_DATA, LO_INTERNAL, LO_IO};
    enum { COUNT = sizeof(order) / sizeof(order[0]) };
    for (int a = 0; a < COUNT; a++) {
        for (int b = 0; b < COUNT; b++) {
            lo_error err = {{0}};
            const int mine = mpi_test.rank % 2 == 0 ? a : b;
            lo_status status = order[mine];
            if (status != LO_OK) {
                (void)lo_fail(&err, status, "rank %d: status %d", mpi_test.rank, (int)status);
            }
            status = lo_agree(MPI_COMM_WORLD, status, &err);
            const int worst = mpi_test.ranks > 1 && b > a ? b : a;
            CHECK_INT(status, order[worst]);
            if (worst > 0) {
                char expected[64];
                (void)snprintf(expected, sizeof(expected), "rank %d: status %d", worst == a ? 0 : 1,
                               (int)order[worst]);
                CHECK_TEXT(err.text, expected);
            }
        }
    }
}

static void test_broadcast(void)
{
    static const size_t sizes[] = {0, 1, 6, 7, 8, 1000, 100003};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t piece = 7; piece < 2000; piece = piece * 11 + 1) {
            unsigned char *data = calloc(sizes[s] + 1, 1);
            CHECK(data != NULL);
            for (size_t i = 0; i < sizes[s] && mpi_test.rank == 0; i++) {
                data[i] = (unsigned char)(i * 31 + s);
            }
            lo_broadcast_pieces(MPI_COMM_WORLD, data, sizes[s], piece);
            int wrong = 0;
            for (size_t i = 0; i < sizes[s]; i++) {
                wrong += data[i] != (unsigned char)(i * 31 + s);
            }
            CHECK_INT(wrong, 0);
            CHECK_INT(data[sizes[s]], 0);
            free(data);
        }
    }
}

static void test_broadcast_buffer(void)
{
    lo_error err = {{0}};
    static const char *const texts[] = {"", "seed: 1\n", "one\0two"};
    static const size_t sizes[] = {0, 8, 7};
    for (int i = 0; i < 3; i++) {
        char *data = NULL;
        size_t size = 0;
        if (mpi_test.rank == 0) {
            size = sizes[i];
            data = malloc(size + 1);
            memcpy(data, texts[i], size + 1);
        }
        CHECK_OK(lo_broadcast_buffer(MPI_COMM_WORLD, &data, &size, &err));
        CHECK_INT((long long)size, (long long)sizes[i]);
        CHECK(data != NULL && memcmp(data, texts[i], sizes[i] + 1) == 0); /* ends with a NUL everywhere */
        free(data);
    }
}

/* The blocks cover 0 .. total-1 exactly, in order, in equal shares. */
static void test_shard(void)
{
    static const int64_t totals[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000, 60000, 3000000000LL};
    static const int64_t grains[] = {1, 2, 8, 64, 4096};
    for (size_t t = 0; t < sizeof(totals) / sizeof(totals[0]); t++) {
        for (size_t g = 0; g < sizeof(grains) / sizeof(grains[0]); g++) {
            for (int ranks = 1; ranks < 70; ranks += 1 + ranks / 8) {
                int64_t next = 0;
                int64_t least = INT64_MAX;
                int64_t most = 0;
                int wrong = 0;
                for (int rank = 0; rank < ranks; rank++) {
                    int64_t first;
                    int64_t count;
                    lo_shard(totals[t], grains[g], rank, ranks, &first, &count);
                    wrong += first != next || count < 0;
                    wrong += next + count < totals[t] && count % grains[g] != 0;
                    next = first + count;
                    if (next < totals[t]) { /* the last may be short */
                        least = count < least ? count : least;
                    }
                    most = count > most ? count : most;
                }
                CHECK_INT(next, totals[t]);
                CHECK_INT(wrong, 0);
                CHECK(least == INT64_MAX || most - least <= grains[g]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    test_status_and_text();
    test_gravest();
    test_broadcast();
    test_broadcast_buffer();
    test_shard();
    return mpi_test_end("test_agree");
}
