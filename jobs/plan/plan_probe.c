#include "jobs/plan/plan_probe.h"

#include "base/clock.h"
#include "base/journal.h"
#include "jobs/study/study.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "mpi/messages.h"
#include "nn/trainer.h"
#include "score/subset.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int64_t lo_plan_team(const lo_job *job)
{
    return lo_job_int(job, "train.team");
}

int64_t lo_plan_cores(const lo_job *job)
{
    return lo_plan_team(job) * lo_job_int(job, "train.threads");
}

/* ---- training ---- */

/* Seconds an example, and how they vary from one timed training to the next. */
typedef struct timing {
    double examples, seconds; /* of all that counts */
    double sum, squares;      /* over trainings, of seconds an example */
    int64_t runs, epochs;     /* trainings; epochs in each */
} timing;

static double relative_variance(const timing *t)
{
    if (t->runs < 2) {
        return 0;
    }
    const double mean = t->sum / (double)t->runs;
    const double variance = (t->squares - (double)t->runs * mean * mean) / (double)(t->runs - 1);
    return fmax(0, variance) / (mean * mean);
}

/* One training of `used` examples, `epochs` times over. It counts if `t` is there. */
static lo_status time_training(lo_trainer *net, const uint32_t *members, int64_t used, int64_t epochs,
                               timing *t, double *seconds, lo_error *err)
{
    lo_training training;
    const double start = lo_clock_monotonic();
    LO_TRY(lo_trainer_run(net, 0, members, used, NULL, &training, err));
    *seconds = lo_clock_monotonic() - start;
    if (t != NULL) {
        const double one = *seconds / (double)(used * epochs);
        t->examples += (double)(used * epochs);
        t->seconds += *seconds;
        t->sum += one;
        t->squares += one * one;
        t->runs++;
    }
    return LO_OK;
}

/* One epoch over more and more examples, until over all of them, or as many as time allows: the memory gets
 * warm, and the last says how long an epoch of *used takes. */
static lo_status warm_up(lo_trainer *net, const uint32_t *members, int64_t n, int64_t *used, double *seconds,
                         lo_error *err)
{
    enum { LEAST = 512 };
    const double largest = 0.4; /* seconds */
    *used = n < LEAST ? n : LEAST;
    LO_TRY(time_training(net, members, *used, 1, NULL, seconds, err));
    while (*used < n && *seconds < largest) {
        *used = *used > n / 2 ? n : *used * 2;
        LO_TRY(time_training(net, members, *used, 1, NULL, seconds, err));
    }
    return LO_OK;
}

/* Trainings again and again, as the job has them. */
static lo_status time_trainings(lo_trainer *net, const uint32_t *members, int64_t used, int64_t epochs,
                                timing *t, lo_error *err)
{
    const double enough = 0.8; /* seconds */
    double seconds;
    for (const double begun = lo_clock_monotonic(); t->runs == 0 || lo_clock_monotonic() - begun < enough;) {
        LO_TRY(time_training(net, members, used, epochs, t, &seconds, err));
    }
    return LO_OK;
}

/* Forward passes over some examples, again and again; the first is for the memory to get warm. */
static lo_status time_evaluation(lo_trainer *net, const lo_dataset *data, double *rate, lo_error *err)
{
    enum { MOST = 4096 };
    const double enough = 0.3; /* seconds */
    lo_examples some = data->train;
    some.count = some.count < MOST ? some.count : MOST;
    double seconds = 0;
    int64_t rounds = -1;
    for (const double begun = lo_clock_monotonic(); rounds < 1 || lo_clock_monotonic() - begun < enough;) {
        const double start = lo_clock_monotonic();
        LO_TRY(lo_trainer_evaluate(net, &some, NULL, NULL, NULL, err));
        seconds += rounds++ < 0 ? 0 : lo_clock_monotonic() - start;
    }
    *rate = (double)some.count * (double)rounds / seconds;
    return LO_OK;
}

/* What a training and its evaluation take here. A training begins with new weights and ends with its last
 * step, which in a short epoch is felt: so where an epoch is short, several are timed together. */
static lo_status probe_training(const lo_job *job, const lo_dataset *data, timing *t, lo_plan_probe *p,
                                lo_error *err)
{
    const double long_enough = 0.2; /* seconds of a training */
    lo_trainer *net = NULL;
    const lo_model_spec model = lo_study_model_spec(job);
    lo_recipe recipe = lo_study_recipe(job);
    const int64_t epochs = recipe.epochs;
    int64_t used = 0;
    double seconds = 0;
    uint32_t *members = calloc((size_t)data->train.count, sizeof(*members));
    lo_status status = members != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the probe");
    for (int64_t i = 0; members != NULL && i < data->train.count; i++) {
        members[i] = (uint32_t)i;
    }
    recipe.epochs = 1;
    LO_TRY_GOTO(status, status, done);
    LO_TRY_GOTO(status, lo_trainer_create(&model, &recipe, data, &net, err), done);
    LO_TRY_GOTO(status, warm_up(net, members, data->train.count, &used, &seconds, err), done);
    *t = (timing){.epochs = (int64_t)fmin((double)epochs, ceil(long_enough / seconds))};
    if (t->epochs > 1) {
        recipe.epochs = (int32_t)t->epochs;
        lo_trainer_destroy(&net);
        LO_TRY_GOTO(status, lo_trainer_create(&model, &recipe, data, &net, err), done);
        LO_TRY_GOTO(status, time_training(net, members, used, t->epochs, NULL, &seconds, err), done);
    }
    LO_TRY_GOTO(status, time_trainings(net, members, used, t->epochs, t, err), done);
    LO_TRY_GOTO(status, time_evaluation(net, data, &p->evaluate_rate, err), done);
    p->trainer_bytes = lo_trainer_memory(net);
    p->parameters = lo_trainer_parameters(net);
done:
    lo_trainer_destroy(&net);
    free(members);
    return status;
}

/* Times a few rows of the influence contrast with made-up bits. */
static lo_status probe_contrast(int64_t models, int64_t n, bool errors, lo_plan_probe *p, lo_error *err)
{
    enum { ROWS = 32 };
    lo_columns mask = {0};
    lo_columns correct = {0};
    float *value = malloc((size_t)n * ROWS * sizeof(*value));
    float *error = errors ? malloc((size_t)n * ROWS * sizeof(*error)) : NULL;
    lo_status status = value != NULL && (!errors || error != NULL)
                           ? lo_columns_create(models, n, &mask, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for the probe");
    if (status == LO_OK) {
        status = lo_columns_create(models, ROWS, &correct, err);
    }
    for (int64_t w = 0; status == LO_OK && w < (models + 63) / 64 * mask.stride; w++) {
        mask.word[w] = (uint64_t)w * 0x9e3779b97f4a7c15ULL;
    }
    for (int round = 0; round < 2 && status == LO_OK; round++) { /* the first touches the memory */
        const double start = lo_clock_monotonic();
        status = lo_contrast(&mask, &correct, NULL, value, error, NULL);
        p->contrast_rate = (double)n * ROWS / (lo_clock_monotonic() - start);
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(value);
    free(error);
    return status;
}

static lo_status probe_alone(const lo_preview *v, timing *t, lo_plan_probe *p, lo_error *err)
{
    LO_TRY(probe_training(v->job, &v->data, t, p, err));
    if (lo_job_has(v->job, "attribution")) {
        p->algebra = lo_attribution_measure();
    }
    if (lo_job_has(v->job, "influence") && v->data.test.count > 0 && v->design.models > 0) {
        LO_TRY(probe_contrast(v->design.models, v->data.train.count, lo_job_bool(v->job, "influence.errors"),
                              p, err));
    }
    return LO_OK;
}

/* Means over ranks. A task's time varies by that of its epochs, and from rank to rank. */
static void combine(MPI_Comm comm, const lo_job *job, const timing *t, lo_plan_probe *p)
{
    const double seconds = t->seconds / t->examples;
    const double epochs = fmax(1, (double)lo_job_int(job, "train.epochs") / (double)t->epochs);
    double sum[6] = {seconds,
                     seconds * seconds,
                     relative_variance(t) / epochs,
                     1 / p->evaluate_rate,
                     p->contrast_rate > 0 ? 1 / p->contrast_rate : 0,
                     p->prepare_seconds};
    MPI_Allreduce(MPI_IN_PLACE, sum, 6, MPI_DOUBLE, MPI_SUM, comm);
    for (int i = 0; i < 6; i++) {
        sum[i] /= p->ranks;
    }
    const double between = fmax(0, sum[1] / (sum[0] * sum[0]) - 1);
    /* A team's members share each batch evenly; what they need to meet is left out. */
    const double cores = (double)lo_plan_cores(job);
    p->train_rate = cores / sum[0];
    p->train_spread = sqrt(between + sum[2]);
    p->evaluate_rate = cores / sum[3];
    p->contrast_rate = sum[4] > 0 ? 1 / sum[4] : 0;
    p->prepare_seconds = sum[5];
    MPI_Allreduce(MPI_IN_PLACE, p->algebra.seconds, LO_WORK_KINDS, MPI_DOUBLE, MPI_SUM, comm);
    for (int i = 0; i < LO_WORK_KINDS; i++) {
        p->algebra.seconds[i] /= p->ranks;
    }
}

/* ---- the machine ---- */

/* Records as a rank writes its own. */
static lo_status probe_records(int rank, const char *directory, double *seconds, lo_error *err)
{
    enum { RECORDS = 16, BYTES = 4096 };
    static const char payload[BYTES];
    char path[PATH_MAX];
    lo_journal journal = {.fd = -1};
    (void)snprintf(path, sizeof(path), "%.3000s/leaveout-plan-%ld-%d.jnl", directory, (long)getpid(), rank);
    LO_TRY(lo_journal_create(path, "probe=1\n", &journal, err));
    lo_status status = LO_OK;
    const double start = lo_clock_monotonic();
    for (int i = 0; i < RECORDS && status == LO_OK; i++) {
        lo_record record = {.kind = LO_RECORD_DONE, .stage = LO_STAGE_ENSEMBLE};
        status = lo_journal_append(&journal, &record, payload, BYTES, true, err);
    }
    *seconds = (lo_clock_monotonic() - start) / RECORDS;
    lo_journal_close(&journal);
    (void)unlink(path);
    return status;
}

/* A file as stages publish theirs: written by all ranks, read again, synced. */
static lo_status probe_published(MPI_Comm comm, int rank, int ranks, const char *directory, double *rate,
                                 lo_error *err)
{
    enum { ROWS = 32 };
    const int64_t items = 1 << 18; /* of four bytes */
    char path[PATH_MAX];
    lo_h5 h5 = {.id = -1};
    int number;
    int64_t first;
    int64_t count;
    long id = (long)getpid();
    MPI_Bcast(&id, 1, MPI_LONG, 0, comm);
    (void)snprintf(path, sizeof(path), "%.3000s/leaveout-plan-%ld.h5", directory, id);
    lo_shard(ROWS, 1, rank, ranks, &first, &count);
    float *row = calloc((size_t)(count * items + 1), sizeof(*row));
    const lo_status made =
        row != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to measure a file with");
    const double start = lo_clock_monotonic();
    lo_status status = lo_h5_create(comm, path, (uint64_t)(ROWS * items * 4), &h5, err);
    if (status == LO_OK) {
        status = lo_h5_add(&h5, "/probe", LO_H5_F32, ROWS, items, first, count, &number, err);
    }
    if (status == LO_OK) {
        status = lo_h5_write(&h5, number, count, row, made, err);
    }
    status = lo_h5_commit(&h5, status, err);
    *rate = (double)(ROWS * items * 4) / (lo_clock_monotonic() - start);
    if (rank == 0) {
        (void)unlink(path);
    }
    free(row);
    return status;
}

static lo_status probe_files(MPI_Comm comm, int rank, const char *directory, lo_plan_probe *p, lo_error *err)
{
    double seconds = 0;
    double rate = 0;
    LO_TRY(lo_agree(comm, probe_records(rank, directory, &seconds, err), err));
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, comm);
    LO_TRY(probe_published(comm, rank, p->ranks, directory, &rate, err));
    MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MIN, comm);
    p->machine.sync_seconds = seconds;
    p->machine.write_rate = rate;
    p->files = true;
    return LO_OK;
}

/* A rank that has nothing to do waits for a tick of rank 0, which are a batch apart and a millisecond at
 * least, and looks for its answer every 0.3 ms (mpi/farm.c). */
static double unhidden_claim(const lo_job *job, const lo_plan_probe *p)
{
    const double tick = fmax(0.001, (double)lo_job_int(job, "train.batch") / p->train_rate);
    return tick / 2 + 2 * p->machine.message_seconds + 0.00015;
}

lo_status lo_plan_measure(MPI_Comm comm, const lo_preview *preview, const char *directory, lo_plan_probe *out,
                          lo_error *err)
{
    enum { MESSAGES_A_TASK = 3 }; /* it is asked for, granted and done */
    int rank;
    timing t = {0};
    *out = (lo_plan_probe){.prepare_seconds = preview->prepare_seconds,
                           .machine = {.sync_seconds = 0.004,
                                       .write_rate = 150e6,
                                       .message_seconds = 20e-6,
                                       .serve_seconds = 15e-6,
                                       .reduce_rate = 1e9}};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &out->ranks);
    MPI_Barrier(comm); /* side by side */
    LO_TRY(lo_agree(comm, probe_alone(preview, &t, out, err), err));
    combine(comm, preview->job, &t, out);
    if (directory != NULL) {
        LO_TRY(probe_files(comm, rank, directory, out, err));
    }
    if (out->ranks > 1) {
        lo_messages m;
        LO_TRY(lo_measure_messages(comm, &m, err));
        out->machine.message_seconds = m.one_way;
        out->machine.serve_seconds = MESSAGES_A_TASK * m.each;
        out->machine.reduce_rate = m.reduce_rate;
        out->messages = true;
    }
    out->machine.claim_seconds = unhidden_claim(preview->job, out);
    return LO_OK;
}
