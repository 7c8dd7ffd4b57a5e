/* An image folder prepared by all ranks: the bytes of one process, the first file's error on all, stops. */
#include "mpi/prepare.h"

#include "data/readers.h"

#include "image_fixture.h"
#include "mpi_test.h"

#include <signal.h>

/* Of this size a process takes 85 images a round: 300 are several rounds for any number of ranks here but 4.
 */
enum { SIDE = 128, PER_CLASS = 100, CLASSES = 3, TESTS = 60 };

static char root[300];

/* Rank 0 makes the folder: some of its many images are links, which decode all the same. */
static void make_set(void)
{
    (void)snprintf(root, sizeof(root), "%s/images", mpi_test.folder);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; mpi_test.rank == 0 && i < CLASSES * PER_CLASS + TESTS; i++) {
        char name[128];
        char path[512];
        const bool test = i >= CLASSES * PER_CLASS;
        const int class = test ? i % CLASSES : i / PER_CLASS;
        (void)snprintf(name, sizeof(name), "%s/class%d/%04d.jpg", test ? "test" : "train", class, i);
        if (i % PER_CLASS < 20) {
            image_save_jpeg(root, name, i, SIDE, SIDE, 3);
        } else {
            (void)snprintf(path, sizeof(path), "%s/%s", root, name);
            char target[64];
            (void)snprintf(target, sizeof(target), "%04d.jpg", i - 20);
            if (test) { /* another folder */
                image_save_jpeg(root, name, i, SIDE, SIDE, 3);
            } else if (symlink(target, path) != 0) {
                perror(path);
            }
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static lo_data_spec spec_of(void)
{
    return (lo_data_spec){.reader = lo_reader_find("image_folder"), .path = root, .seed = 3, .digest = 9};
}

static void begin(lo_run *run, const char *name)
{
    lo_error err = {{0}};
    mpi_test_folder(name);
    lo_run_init(run, mpi_test.study);
    CHECK_OK(lo_run_begin(run, false, &err));
}

/* Local: is the file what one process alone writes? */
static void check_bytes(const lo_data_spec *spec, const char *file)
{
    lo_error err = {{0}};
    char alone[600];
    char *data[2] = {NULL, NULL};
    size_t size[2] = {0, 0};
    (void)snprintf(alone, sizeof(alone), "%s/alone.dat", mpi_test.study);
    CHECK_OK(lo_dataset_prepare(spec, alone, &err));
    CHECK_OK(lo_file_read(alone, 1 << 28, &data[0], &size[0], &err));
    CHECK_OK(lo_file_read(file, 1 << 28, &data[1], &size[1], &err));
    CHECK_INT(size[1], size[0]);
    CHECK(size[0] > (size_t)CLASSES * PER_CLASS * SIDE * SIDE * 3);
    CHECK(size[0] == size[1] && memcmp(data[0], data[1], size[0]) == 0);
    free(data[0]);
    free(data[1]);
}

static void test_same_bytes(void)
{
    lo_error err = {{0}};
    lo_run run;
    char file[600];
    lo_data_spec spec = spec_of();
    begin(&run, "bytes");
    (void)snprintf(file, sizeof(file), "%s/data.dat", mpi_test.study);
    CHECK_OK(lo_prepare(&run, &spec, file, &err));
    if (mpi_test.rank == 0) {
        check_bytes(&spec, file);
    }
    spec.read.resize_height = 20;
    spec.read.resize_width = 200;
    spec.train_limit = 250;
    spec.validation = 0.2;
    spec.label_noise = 0.1;
    CHECK_OK(lo_prepare(&run, &spec, file, &err));
    if (mpi_test.rank == 0) {
        lo_dataset d;
        CHECK_OK(lo_dataset_open(file, 9, &d, &err));
        CHECK_INT(d.train.count, 200);
        CHECK_INT(d.validation.count, 50);
        CHECK_INT(d.test.count, TESTS);
        CHECK_INT(d.shape.width, 200);
        lo_dataset_close(&d);
    }
    lo_run_end(&run, "done");
}

static void replace(const char *name, const void *data, size_t size)
{
    MPI_Barrier(MPI_COMM_WORLD);
    if (mpi_test.rank == 0) {
        image_save(root, name, data, size);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Two images of another size, in two ranks' shares: the first of them is named, everywhere. Then unreadable
 * ones. */
static void test_errors(void)
{
    lo_run run;
    char file[600];
    size_t size = 0;
    uint8_t *small = image_jpeg(1, 8, 9, 3, 0, &size);
    begin(&run, "errors");
    (void)snprintf(file, sizeof(file), "%s/data.dat", mpi_test.study);
    replace("train/class2/last.jpg", small, size);
    replace("train/class1/last.jpg", small, size);
    lo_error err = {{0}};
    const lo_data_spec spec = spec_of();
    CHECK_INT(lo_prepare(&run, &spec, file, &err), LO_DATA);
    CHECK_TEXT(err.text, "train/class0/0000.jpg has 128 x 128 pixels (height x width), train/class1/last.jpg "
                         "has 8 x 9");
    CHECK(access(file, F_OK) != 0);

    replace("train/class2/last.jpg", small, size / 2);
    replace("train/class1/last.jpg", small, size / 3);
    lo_read_remark remark = {0};
    lo_data_spec lenient = spec_of();
    lenient.read.remark = &remark;
    err = (lo_error){{0}};
    CHECK_INT(lo_prepare(&run, &lenient, file, &err), LO_DATA);
    CHECK_TEXT(err.text, "2 of 362 images cannot be read; allowed: 0 (data.max_unreadable); the first: "
                         "train/class1/last.jpg: JPEG: ");
    lenient.read.max_unreadable = 2;
    CHECK_OK(lo_prepare(&run, &lenient, file, &err));
    CHECK_INT(remark.unreadable, mpi_test.rank == 0 ? 2 : 0);
    lenient.read.resize_height = 5;
    CHECK_INT(lo_prepare(&run, &lenient, file, &err), LO_USAGE);
    lenient.read.resize_height = 0;
    lenient.path = "/nowhere/at/all";
    CHECK_INT(lo_prepare(&run, &lenient, file, &err), LO_IO);
    CHECK_TEXT(err.text, "/nowhere/at/all: cannot open");
    MPI_Barrier(MPI_COMM_WORLD);
    if (mpi_test.rank == 0) {
        char path[512];
        for (int class = 1; class <= 2; class ++) {
            (void)snprintf(path, sizeof(path), "%s/train/class%d/last.jpg", root, class);
            CHECK_INT(unlink(path), 0);
        }
    }
    free(small);
    lo_run_end(&run, "done");
}

/* A signal to any rank stops all, and rank 0 knows why. */
static void test_signal(void)
{
    for (int rank = 0; rank < mpi_test.ranks; rank++) {
        lo_error err = {{0}};
        lo_run run;
        char file[600];
        const lo_data_spec spec = spec_of();
        char name[32];
        (void)snprintf(name, sizeof(name), "signal%d", rank);
        begin(&run, name);
        (void)snprintf(file, sizeof(file), "%s/data.dat", mpi_test.study);
        if (rank == mpi_test.rank) {
            (void)raise(SIGTERM);
        }
        CHECK_INT(lo_prepare(&run, &spec, file, &err), LO_STOPPED);
        CHECK_TEXT(err.text, "stopped while the data set was prepared");
        if (mpi_test.rank == 0) {
            CHECK(run.stopping);
            CHECK_TEXT(run.stop_reason, "signal TERM");
        }
        CHECK(access(file, F_OK) != 0);
        lo_run_end(&run, "stopped");
    }
}

static void test_halt(void)
{
    lo_error err = {{0}};
    lo_run run;
    char file[600];
    const lo_data_spec spec = spec_of();
    begin(&run, "halt");
    (void)snprintf(file, sizeof(file), "%s/data.dat", mpi_test.study);
    if (mpi_test.rank == 0) {
        image_save(mpi_test.study, "halt", "", 0);
    }
    CHECK_INT(lo_prepare(&run, &spec, file, &err), LO_STOPPED);
    if (mpi_test.rank == 0) {
        CHECK_TEXT(run.stop_reason, "asked by leaveout stop");
    }
    lo_run_end(&run, "stopped");
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    make_set();
    test_same_bytes();
    test_errors();
    test_signal();
    test_halt();
    return mpi_test_end("test_prepare");
}
