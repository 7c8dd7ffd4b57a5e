/* Published files: written in slabs by all ranks, whole or not there at all.
 *
 * `test_h5file again SECONDS` writes and checks a larger file again and again: with several aggregators, Open
 * MPI 4.1.4 corrupts strided collective writes (Open MPI issue 12718); contiguous slabs must come through. */
#include "base/clock.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "mpi_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static lo_error err;

enum { TYPES = LO_H5_CHARS + 1 };

/* Byte `at` of dataset `number`: what every file of these tests holds. (Margins and seconds are bytes too.)
 */
static char byte_of(int number, int64_t at)
{
    return (char)((at * 2654435761LL >> 7) + at * 13 + number * 71);
}

static char *slab(int number, size_t row_bytes, int64_t first, int64_t count)
{
    char *data = malloc((size_t)count * row_bytes + 1);
    for (int64_t i = 0; i < count * (int64_t)row_bytes; i++) {
        data[i] = byte_of(number, first * (int64_t)row_bytes + i);
    }
    return data;
}

static void file_name(char *path, size_t size, const char *name)
{
    (void)snprintf(path, size, "%s/%s", mpi_test.study, name);
}

typedef struct shape {
    const char *path;
    lo_h5_type type;
    int64_t rows, items; /* items 0: one-dimensional */
} shape;

static size_t row_bytes(const shape *s)
{
    return (size_t)(s->items > 0 ? s->items : 1) * lo_h5_size(s->type);
}

/* Writes the datasets, each in `rounds` calls, and commits with this rank's `status`. */
static lo_status write_file(const char *file, const shape *shapes, int count, int rounds, lo_status status)
{
    lo_h5 h5;
    CHECK_OK(lo_h5_create(MPI_COMM_WORLD, file, 1 << 20, &h5, &err));
    enum { MOST = 128 };
    CHECK(count <= MOST);
    int number[MOST];
    int64_t first[MOST];
    int64_t rows[MOST];
    for (int i = 0; i < count; i++) {
        lo_shard(shapes[i].rows, 1, mpi_test.rank, mpi_test.ranks, &first[i], &rows[i]);
        CHECK_OK(lo_h5_add(&h5, shapes[i].path, shapes[i].type, shapes[i].rows, shapes[i].items, first[i],
                           rows[i], &number[i], &err));
        CHECK_OK(lo_h5_text(&h5, shapes[i].path, "unit", mpi_test.rank == 0 ? "s" : "another", &err));
    }
    CHECK_OK(lo_h5_real(&h5, "/", "ratio", 0.7 + mpi_test.rank, &err));
    CHECK_OK(lo_h5_int(&h5, "/", "models", (1LL << 40) + mpi_test.rank, &err));
    for (int i = 0; i < count; i++) {
        char *data = slab(i, row_bytes(&shapes[i]), first[i], rows[i]);
        for (int r = 0; r < rounds; r++) {
            const int64_t from = rows[i] * r / rounds;
            const int64_t to = rows[i] * (r + 1) / rounds;
            CHECK_OK(lo_h5_write(&h5, number[i], to - from, data + (size_t)from * row_bytes(&shapes[i]),
                                 LO_OK, &err));
        }
        free(data);
    }
    if (status != LO_OK) {
        (void)lo_fail(&err, status, "rank %d cannot go on", mpi_test.rank);
    }
    return lo_h5_commit(&h5, status, &err);
}

/* Every rank reads the whole file. */
static void check_file(const char *file, const shape *shapes, int count)
{
    lo_h5_reader reader;
    CHECK_OK(lo_h5_open(file, &reader, &err));
    int datasets = 0;
    CHECK_OK(lo_h5_verify(&reader, &datasets, &err));
    CHECK_INT(datasets, count);
    for (int i = 0; i < count; i++) {
        void *data = NULL;
        int64_t rows = 0;
        int64_t items = 0;
        int64_t crc = 0;
        const shape *s = &shapes[i];
        CHECK(lo_h5_has(&reader, s->path));
        CHECK_OK(lo_h5_read_all(&reader, s->path, s->type, &data, &rows, &items, &err));
        CHECK_INT(rows, s->rows);
        CHECK_INT(items, s->items > 0 ? s->items : 1);
        char *wanted = slab(i, row_bytes(s), 0, s->rows);
        CHECK(data != NULL && memcmp(data, wanted, (size_t)s->rows * row_bytes(s)) == 0);
        CHECK_OK(lo_h5_get_int(&reader, s->path, "crc32", &crc, &err));
        CHECK_INT(crc, lo_crc32(0, wanted, (size_t)s->rows * row_bytes(s))); /* the serial one */
        if (s->rows > 1) {
            CHECK_OK(lo_h5_read(&reader, s->path, s->type, 1, s->rows - 1, data, &err));
            CHECK(memcmp(data, wanted + row_bytes(s), (size_t)(s->rows - 1) * row_bytes(s)) == 0);
        }
        char text[16];
        CHECK_OK(lo_h5_get_text(&reader, s->path, "unit", text, sizeof(text), &err));
        CHECK_TEXT(text, "s"); /* rank 0's */
        CHECK_INT((long long)strlen(text), 1);
        CHECK_INT(
            lo_h5_read(&reader, s->path, s->type == LO_H5_U8 ? LO_H5_F32 : LO_H5_U8, 0, s->rows, data, &err),
            s->rows > 0 ? LO_DATA : LO_OK);
        CHECK_INT(lo_h5_read(&reader, s->path, s->type, 1, s->rows, data, &err),
                  s->rows > 0 ? LO_DATA : LO_OK);
        free(data);
        free(wanted);
    }
    double ratio = 0;
    int64_t models = 0;
    CHECK_OK(lo_h5_get_real(&reader, "/", "ratio", &ratio, &err));
    CHECK_OK(lo_h5_get_int(&reader, "/", "models", &models, &err));
    CHECK(ratio == 0.7 && models == 1LL << 40);
    CHECK_INT(lo_h5_get_int(&reader, "/", "nothing", &models, &err), LO_DATA);
    CHECK(!lo_h5_has(&reader, "/no/such/thing"));
    lo_h5_close(&reader);
    lo_h5_close(&reader);
}

/* Every type in one and two dimensions, with more and fewer rows than ranks. */
static void test_types(void)
{
    static const char *const paths[2][TYPES] = {
        {"/u8", "/i32", "/deep/er/i64", "/f32", "/f64", "/chars"},
        {"/two/u8", "/two/i32", "/two/i64", "/two/f32", "/two/f64", "/two/chars"}};
    static const int64_t rows[] = {1, 2, 3, 5, 64, 1001};
    mpi_test_folder("types");
    char file[1024];
    file_name(file, sizeof(file), "types.h5");
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        shape shapes[2 * TYPES];
        for (int t = 0; t < TYPES; t++) {
            shapes[2 * t] = (shape){paths[0][t], (lo_h5_type)t, rows[r], 0};
            shapes[2 * t + 1] = (shape){paths[1][t], (lo_h5_type)t, rows[r], 3 + t};
        }
        CHECK_OK(write_file(file, shapes, 2 * TYPES, 1 + (int)r % 3, LO_OK)); /* over the last one */
        check_file(file, shapes, 2 * TYPES);
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

static bool there(const char *file, const char *ending)
{
    char path[2048];
    (void)snprintf(path, sizeof(path), "%s%s", file, ending);
    return access(path, F_OK) == 0;
}

/* A failure of one rank, at the end or before a write: all learn it, no part stays, and the file that was
 * there before is as it was. */
static void test_failures(void)
{
    static const shape shapes[] = {{"/one", LO_H5_F32, 10, 4}};
    mpi_test_folder("failures");
    char file[1024];
    file_name(file, sizeof(file), "file.h5");
    for (int failing = 0; failing < mpi_test.ranks; failing++) {
        const lo_status status = write_file(file, shapes, 1, 1, mpi_test.rank == failing ? LO_DATA : LO_OK);
        CHECK_INT(status, LO_DATA);
        char text[64];
        (void)snprintf(text, sizeof(text), "rank %d cannot go on", failing);
        CHECK_TEXT(err.text, text);
        MPI_Barrier(MPI_COMM_WORLD);
        CHECK(!there(file, ".part"));
        CHECK(there(file, "") == (failing > 0));
        MPI_Barrier(MPI_COMM_WORLD);
        CHECK_OK(write_file(file, shapes, 1, 2, LO_OK));
        check_file(file, shapes, 1);

        lo_h5 h5;
        int number;
        int64_t first;
        int64_t rows;
        const float data[40] = {0};
        lo_shard(10, 1, mpi_test.rank, mpi_test.ranks, &first, &rows);
        CHECK_OK(lo_h5_create(MPI_COMM_WORLD, file, 1 << 16, &h5, &err));
        CHECK_OK(lo_h5_add(&h5, "/one", LO_H5_F32, 10, 4, first, rows, &number, &err));
        const lo_status mine =
            mpi_test.rank == failing ? lo_fail(&err, LO_IO, "rank %d cannot read", failing) : LO_OK;
        (void)snprintf(text, sizeof(text), "rank %d cannot read", failing);
        CHECK_INT(lo_h5_write(&h5, number, rows, data, mine, &err), LO_IO);
        CHECK_TEXT(err.text, text);
        CHECK_INT(lo_h5_commit(&h5, LO_IO, &err), LO_IO);
        MPI_Barrier(MPI_COMM_WORLD);
        CHECK(!there(file, ".part"));
        check_file(file, shapes, 1);

        /* Rows that were never written are noticed; more than the slab has are refused. */
        CHECK_OK(lo_h5_create(MPI_COMM_WORLD, file, 1 << 16, &h5, &err));
        CHECK_OK(lo_h5_add(&h5, "/one", LO_H5_F32, 10, 4, first, rows, &number, &err));
        CHECK_INT(lo_h5_write(&h5, number, rows + (mpi_test.rank == failing), data, LO_OK, &err),
                  LO_INTERNAL);
        CHECK_OK(lo_h5_write(&h5, number, mpi_test.rank == failing && rows > 0 ? rows - 1 : rows, data, LO_OK,
                             &err));
        CHECK_INT(lo_h5_commit(&h5, LO_OK, &err), LO_IO);
        MPI_Barrier(MPI_COMM_WORLD);
        check_file(file, shapes, 1);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    lo_h5 h5;
    CHECK_INT(lo_h5_create(MPI_COMM_WORLD, file, 1ULL << 60, &h5, &err), LO_IO); /* no disk is so large */
    CHECK_TEXT(err.text, "No space left");
    file_name(file, sizeof(file), "no/such/folder/file.h5");
    CHECK_INT(lo_h5_create(MPI_COMM_WORLD, file, 1 << 16, &h5, &err), LO_IO);
}

/* A byte that changed on disk is found by verify and named; a file cut short, or none, is an error. */
static void test_damage(void)
{
    static const shape shapes[] = {{"/one", LO_H5_U8, 1000, 0}, {"/group/two", LO_H5_F64, 500, 2}};
    mpi_test_folder("damage");
    char file[1024];
    file_name(file, sizeof(file), "file.h5");
    CHECK_OK(write_file(file, shapes, 2, 1, LO_OK));
    if (mpi_test.rank == 0) {
        char *data;
        size_t size;
        CHECK_OK(lo_file_read(file, 1 << 24, &data, &size, &err));
        char *wanted = slab(1, row_bytes(&shapes[1]), 0, shapes[1].rows);
        char *at = memmem(data, size, wanted, 8000);
        CHECK(at != NULL);
        lo_h5_reader reader;
        int datasets;
        static const int64_t bytes[] = {0, 1, 3999, 7999};
        for (int i = 0; i < 4 && at != NULL; i++) {
            at[bytes[i]] = (char)(at[bytes[i]] ^ 0x10);
            CHECK_OK(lo_file_write(file, data, size, &err));
            at[bytes[i]] = (char)(at[bytes[i]] ^ 0x10);
            CHECK_OK(lo_h5_open(file, &reader, &err));
            CHECK_INT(lo_h5_verify(&reader, &datasets, &err), LO_DATA);
            CHECK_TEXT(err.text, "/group/two");
            lo_h5_close(&reader);
        }
        CHECK_OK(lo_file_write(file, data, size / 2, &err));
        CHECK_INT(lo_h5_open(file, &reader, &err), LO_DATA);
        CHECK_TEXT(err.text, file);
        lo_h5_close(&reader);
        CHECK_OK(lo_file_write(file, "no HDF5", 7, &err));
        CHECK_INT(lo_h5_open(file, &reader, &err), LO_DATA);
        CHECK(unlink(file) == 0);
        CHECK_INT(lo_h5_open(file, &reader, &err), LO_IO);
        free(data);
        free(wanted);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* The shapes of an ensemble, with rows that end anywhere in a file system's blocks. */
static void write_again_and_again(double seconds)
{
    static const shape shapes[] = {
        {"/mask", LO_H5_U8, 203, 125},         {"/train/correct", LO_H5_U8, 203, 125},
        {"/train/logit", LO_H5_F32, 203, 997}, {"/test/logit", LO_H5_F32, 203, 313},
        {"/seconds", LO_H5_F64, 203, 0},       {"/index", LO_H5_I64, 10007, 0},
        {"/processor", LO_H5_CHARS, 203, 0},   {"/contrast", LO_H5_F32, 313, 997}};
    mpi_test_folder("again");
    char file[1024];
    file_name(file, sizeof(file), "file.h5");
    const double end = lo_clock_monotonic() + seconds;
    int more = 1;
    int trials = 0;
    while (more) {
        CHECK_OK(write_file(file, shapes, 8, 1 + trials % 4, LO_OK));
        if (trials % mpi_test.ranks == mpi_test.rank) {
            check_file(file, shapes, 8);
        }
        trials++;
        more = lo_clock_monotonic() < end;
        MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    if (mpi_test.rank == 0) {
        const char *aggregators = getenv("OMPI_MCA_io_ompio_num_aggregators");
        printf("trials=%d aggregators=%s\n", trials, aggregators != NULL ? aggregators : "default");
    }
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    if (argc > 2 && strcmp(argv[1], "again") == 0) {
        write_again_and_again(strtod(argv[2], NULL));
    } else {
        test_types();
        test_failures();
        test_damage();
    }
    return mpi_test_end("test_h5file");
}
