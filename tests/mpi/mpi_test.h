/* A harness for tests that run on several ranks: every rank checks, rank 0 prints one summary, and the exit
 * code is 1 on all ranks when a check failed on any.
 *
 *     int main(int argc, char **argv)
 *     {
 *         mpi_test_begin(&argc, &argv);
 *         mpi_test_folder("one");    // an empty study, the same on all ranks: mpi_test.study
 *         CHECK(1 + 1 == 2);
 *         return mpi_test_end("test_sums");
 *     } */
#ifndef LEAVEOUT_TESTS_MPI_TEST_H
#define LEAVEOUT_TESTS_MPI_TEST_H

#include "base/file.h"
#include "mpi/run.h"

#include <ftw.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    int rank, ranks;
    int checks, failures;
    char folder[256]; /* everything the test writes; removed at its end */
    char study[512];
} mpi_test;

__attribute__((format(printf, 4, 5))) static inline void mpi_test_check(int holds, const char *file, int line,
                                                                        const char *format, ...)
{
    enum { SHOWN = 20 };
    mpi_test.checks++;
    if (holds) {
        return;
    }
    mpi_test.failures++;
    if (mpi_test.failures <= SHOWN) {
        va_list args;
        (void)fprintf(stderr, "%s:%d: rank %d of %d: ", file, line, mpi_test.rank, mpi_test.ranks);
        va_start(args, format);
        (void)vfprintf(stderr, format, args);
        va_end(args);
        (void)fputc('\n', stderr);
    }
}

#define CHECK(condition) mpi_test_check((condition), __FILE__, __LINE__, "not so: %s", #condition)
#define CHECK_INT(found, wanted)                                                                             \
    do {                                                                                                     \
        const long long found_ = (found);                                                                    \
        const long long wanted_ = (wanted);                                                                  \
        mpi_test_check(found_ == wanted_, __FILE__, __LINE__, "%s is %lld, not %lld", #found, found_,        \
                       wanted_);                                                                             \
    } while (0)
#define CHECK_OK(call)                                                                                       \
    do {                                                                                                     \
        const lo_status status_ = (call);                                                                    \
        mpi_test_check(status_ == LO_OK, __FILE__, __LINE__, "%s: %d, %s", #call, (int)status_, err.text);   \
    } while (0)
#define CHECK_TEXT(text, part)                                                                               \
    mpi_test_check(strstr((text), (part)) != NULL, __FILE__, __LINE__, "no '%s' in '%s'", (part), (text))

static inline void mpi_test_make_folder(void)
{
    const char *root = getenv("TMPDIR");
    (void)snprintf(mpi_test.folder, sizeof(mpi_test.folder), "%s/leaveout-test-XXXXXX",
                   root != NULL ? root : "/tmp");
    if (mkdtemp(mpi_test.folder) == NULL) {
        perror(mpi_test.folder);
        exit(1);
    }
}

static inline void mpi_test_begin(int *argc, char ***argv)
{
    lo_run_environment();
    int given;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi_test.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi_test.ranks);
    if (mpi_test.rank == 0) {
        mpi_test_make_folder();
    }
    MPI_Bcast(mpi_test.folder, sizeof(mpi_test.folder), MPI_CHAR, 0, MPI_COMM_WORLD);
}

/* Local: the folders of a study at mpi_test.study. */
static inline void mpi_test_make_study(const char *name)
{
    static const char *const folders[] = {"claims", "journal", "log"};
    (void)snprintf(mpi_test.study, sizeof(mpi_test.study), "%s/%s", mpi_test.folder, name);
    for (int i = 0; i < 3; i++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/%s", mpi_test.study, folders[i]);
        if (lo_file_mkdirs(path, NULL) != LO_OK) {
            perror(path);
            exit(1);
        }
    }
}

/* Collective: an empty study for all ranks. */
static inline void mpi_test_folder(const char *name)
{
    MPI_Barrier(MPI_COMM_WORLD);
    mpi_test_make_study(name);
    MPI_Barrier(MPI_COMM_WORLD);
}

static inline int mpi_test_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void mpi_test_remove_folder(void)
{
    (void)nftw(mpi_test.folder, mpi_test_remove, 16, FTW_DEPTH | FTW_PHYS);
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
/* While Open MPI's components are still loaded: only then can tests/lsan.supp name them. */
static inline void mpi_test_leaks(void)
{
    __lsan_do_leak_check();
}
#else
static inline void mpi_test_leaks(void)
{
}
#endif

/* Collective: the last thing; returns the exit code. */
static inline int mpi_test_end(const char *name)
{
    int sum[2] = {mpi_test.checks, mpi_test.failures};
    MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (mpi_test.rank == 0) {
        printf("%s on %d ranks: %d checks, %d failed\n", name, mpi_test.ranks, sum[0], sum[1]);
        (void)fflush(stdout);
        mpi_test_remove_folder();
    }
    mpi_test_leaks();
    MPI_Finalize();
    return sum[1] != 0;
}

#endif
