/* One rank against all of them, training one network together:
 *
 *     mpirun -n RANKS bench_team PRESET PRECISION BATCH SLICES THREADS ROUNDS CHANNELS SIDE [WIDTH]
 *
 * In each round one step by rank 0 alone, in one thread, while the others sleep, and one by all ranks, each
 * with THREADS threads. One line: the medians of both in images a second, and of the rounds' ratios. */
#include "base/clock.h"
#include "mpi/team.h"
#include "nn/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIXED = 9, MOST = 100 };

typedef struct setting {
    lo_model_spec model;
    lo_precision precision;
    lo_shape shape;
    int batch, slices, threads, rounds;
} setting;

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double seconds_of_step(lo_bench_run *run)
{
    const double start = lo_clock_monotonic();
    (void)lo_bench_step(run);
    return lo_clock_monotonic() - start;
}

/* A barrier at which nobody spins. */
static void meet(void)
{
    int there = 0;
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (!there) {
        MPI_Test(&request, &there, MPI_STATUS_IGNORE);
        (void)usleep(there ? 0 : 2000);
    }
}

static lo_status measure(const setting *s, int rank, int ranks, const lo_team *team, lo_error *err)
{
    lo_bench_run alone = {0}, together = {0};
    double one[MOST], all[MOST], ratio[MOST];
    lo_status status = LO_OK;
    LO_TRY_GOTO(status,
                lo_bench_open_team(&s->model, s->shape, s->precision, s->batch, s->slices, team, s->threads,
                                   &together, err),
                done);
    if (rank == 0) {
        LO_TRY_GOTO(
            status,
            lo_bench_open_team(&s->model, s->shape, s->precision, s->batch, s->slices, NULL, 1, &alone, err),
            done);
    }
    for (int round = -1; round < s->rounds; round++) { /* the first touches the memory */
        const int at = round > 0 ? round : 0;
        meet();
        one[at] = rank == 0 ? seconds_of_step(&alone) : 0;
        meet();
        all[at] = seconds_of_step(&together);
        ratio[at] = one[at] / all[at];
    }
    if (rank == 0) {
        (void)printf("ranks=%d threads=%d slices=%d alone_images_per_s=%.1f together_images_per_s=%.1f "
                     "ratio=%.3f\n",
                     ranks, s->threads, s->slices, s->batch / median(one, s->rounds),
                     s->batch / median(all, s->rounds), median(ratio, s->rounds));
    }
done:
    lo_bench_close(&alone);
    lo_bench_close(&together);
    return status;
}

int main(int argc, char **argv)
{
    int rank, ranks, given;
    lo_error err = {""};
    lo_rank_team *team = NULL;
    if (argc < FIXED) {
        (void)fprintf(stderr, "usage: bench_team PRESET f32|bf16 BATCH SLICES THREADS ROUNDS CHANNELS SIDE "
                              "[WIDTH]\n");
        return 2;
    }
    setting s = {.model = {.preset = argv[1], .width = argc > FIXED ? atoi(argv[FIXED]) : 0},
                 .precision = strcmp(argv[2], "bf16") == 0 ? LO_BF16 : LO_F32,
                 .batch = atoi(argv[3]),
                 .slices = atoi(argv[4]),
                 .threads = atoi(argv[5]),
                 .rounds = atoi(argv[6]),
                 .shape = {atoi(argv[7]), atoi(argv[8]), atoi(argv[8])}};
    s.rounds = s.rounds < 1 ? 1 : s.rounds > MOST ? MOST : s.rounds;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    lo_status status = lo_rank_team_create(MPI_COMM_WORLD, ranks, &team, &err);
    if (status == LO_OK) {
        status = measure(&s, rank, ranks, lo_rank_team_view(team), &err);
    }
    if (status != LO_OK) {
        (void)fprintf(stderr, "bench_team: rank %d: %s\n", rank, err.text);
        MPI_Abort(MPI_COMM_WORLD, (int)status);
    }
    lo_rank_team_destroy(&team);
    MPI_Finalize();
    return 0;
}
