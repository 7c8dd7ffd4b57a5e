/* What the farm costs: how long a claim waits while rank 0 is in the middle of a long task, and what journal
 * and claims add to tasks of a second.
 *
 *   bench_claims latency DIR   rank 0 runs a task of 5 s, the others 90 of 50 ms and of nothing, in turn; a
 * claim must be answered within 100 ms bench_claims cost DIR      6 tasks of 1 s a rank, 300 kB each;
 * recording and waiting must cost less than 1 %
 *
 * DIR is made, and should be where studies are. Exit code 1: a bound is broken. */
#include "base/clock.h"
#include "base/file.h"
#include "mpi/agree.h"
#include "mpi/farm.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 5000, SHORT_MS = 50, SHORT_TASKS = 90, COST_MS = 1000, COST_TASKS = 6, STEP_MS = 3 };
enum { COST_PAYLOAD = 300000 };
#define CLAIM_BOUND_SECONDS 0.1
#define COST_BOUND          0.01

typedef struct bench {
    bool latency;
    int rank;
    char *payload;
} bench;

/* Busy, as a training is, with a tick between steps. */
static lo_status work_for(double seconds, const lo_tick *tick)
{
    const double start = lo_clock_monotonic();
    lo_status status = LO_OK;
    while (status == LO_OK && lo_clock_monotonic() - start < seconds) {
        const double step = lo_clock_monotonic();
        while (lo_clock_monotonic() - step < 1e-3 * STEP_MS) {
        }
        status = lo_tick_call(tick);
    }
    return status;
}

static lo_status run_task(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err)
{
    const bench *b = self;
    (void)err;
    double milliseconds = COST_MS;
    if (b->latency) {
        /* After a task of nothing its rank has nothing in hand and waits: what a claim takes shows in full.
         */
        milliseconds = b->rank == 0 ? LONG_MS : task % 2 == 0 ? SHORT_MS : 0;
    }
    LO_TRY(work_for(1e-3 * milliseconds, tick));
    *result = (lo_result){.payload = b->payload, .size = b->latency ? 1000 : COST_PAYLOAD, .value = 0};
    return LO_OK;
}

static lo_status make_study(const char *directory, lo_error *err)
{
    static const char *const names[] = {"/claims", "/journal", "/log"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s%s", directory, names[i]);
        LO_TRY(lo_file_mkdirs(path, err));
    }
    return LO_OK;
}

static double largest(MPI_Comm comm, double value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, comm);
    return value;
}

/* Prints the numbers; false when a bound is broken. */
static bool judge(const bench *b, MPI_Comm comm, const lo_harvest *harvest, double mine, double wall)
{
    int ranks;
    MPI_Comm_size(comm, &ranks);
    double sums[2] = {(double)harvest->claims, harvest->claim_sum};
    MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, comm);
    const double longest = largest(comm, harvest->claim_seconds);
    const double tasks_seconds = mine * 1e-3 * COST_MS;
    const double cost = largest(comm, (harvest->record_seconds + harvest->idle_seconds) / tasks_seconds);
    const double record = largest(comm, harvest->record_seconds / mine);
    if (b->latency) {
        if (b->rank == 0) {
            (void)printf("ranks=%d claims=%.0f longest_ms=%.2f mean_ms=%.3f bound_ms=%.0f wall_s=%.2f\n",
                         ranks, sums[0], 1e3 * longest, 1e3 * sums[1] / sums[0], 1e3 * CLAIM_BOUND_SECONDS,
                         wall);
        }
        return sums[0] >= (ranks - 1) * SHORT_TASKS / 2.0 && longest <= CLAIM_BOUND_SECONDS;
    }
    if (b->rank == 0) {
        (void)printf(
            "ranks=%d task_s=%.0f payload_bytes=%d record_ms=%.2f cost=%.4f bound=%.2f wall_s=%.3f\n", ranks,
            1e-3 * COST_MS, COST_PAYLOAD, 1e3 * record, cost, COST_BOUND, wall);
    }
    return cost < COST_BOUND;
}

static lo_status measure(bool latency, const char *directory, bool *kept, lo_error *err)
{
    lo_run run;
    lo_run_init(&run, directory);
    bench b = {.latency = latency, .rank = run.rank, .payload = calloc(1, COST_PAYLOAD)};
    lo_ledger ledger = {0};
    lo_harvest harvest = {0};
    const int64_t tasks =
        latency ? (int64_t)SHORT_TASKS * (run.ranks - 1) + 1 : (int64_t)COST_TASKS * run.ranks;
    lo_status status = b.payload != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory");
    if (status == LO_OK && run.rank == 0) {
        status = make_study(directory, err);
    }
    status = lo_agree(run.comm, status, err);
    if (status == LO_OK) {
        status = lo_run_begin(&run, false, err);
    }
    if (status == LO_OK) {
        status =
            lo_agree(run.comm, lo_ledger_create(directory, LO_STAGE_ENSEMBLE, 1, tasks, &ledger, err), err);
    }
    if (status == LO_OK) {
        const lo_work work = {.stage = LO_STAGE_ENSEMBLE, .tasks = tasks, .run = run_task, .self = &b};
        const double start = lo_clock_monotonic();
        status = lo_farm(&run, &work, &ledger, &harvest, err);
        const double mine = (double)COST_TASKS; /* equal tasks, equal ranks */
        *kept = status == LO_OK && harvest.done == tasks &&
                judge(&b, run.comm, &harvest, mine, lo_clock_monotonic() - start);
    }
    lo_ledger_destroy(&ledger);
    lo_run_end(&run, "complete");
    free(b.payload);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[1], "latency") != 0 && strcmp(argv[1], "cost") != 0)) {
        (void)fprintf(stderr, "usage: bench_claims latency|cost DIR\n");
        return LO_USAGE;
    }
    lo_error err = {{0}};
    bool kept = false;
    lo_run_environment();
    MPI_Init(NULL, NULL);
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const lo_status status = measure(strcmp(argv[1], "latency") == 0, argv[2], &kept, &err);
    if (rank == 0 && status != LO_OK) {
        (void)fprintf(stderr, "bench_claims: %s\n", err.text);
    } else if (rank == 0 && !kept) {
        (void)fprintf(stderr, "bench_claims: the bound is broken\n");
    }
    MPI_Finalize();
    return status != LO_OK ? (int)status : kept ? 0 : 1;
}
