/* Stage originals: one task a seed, trained on the whole training set. Its record holds how the training
 * went; its weights, at the end and after chosen epochs, are files that are there before the record is. */
#include "base/clock.h"
#include "jobs/study/farmed.h"
#include "jobs/study/kept.h"
#include "jobs/study/original.h"
#include "jobs/study/outcome.h"
#include "jobs/study/recipe.h"
#include "jobs/stages.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "nn/trainer.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one task ---- */

/* What is gathered after each epoch, and kept in checkpoints. */
typedef struct progress {
    int64_t reached;      /* epochs that the training has finished */
    double weight_norm[]; /* [epochs] */
} progress;

typedef struct trainer {
    lo_study *study;
    uint64_t digest;
    lo_trainer *net;
    uint32_t *members;
    uint8_t *correct; /* [ceil(n_test/8)] */
    char *payload;
    lo_original original;
    struct progress *progress;
    size_t progress_size;
    double said; /* monotonic: when the last line about an epoch was printed */
    lo_checkpoint checkpoint;
} trainer;

static lo_status save(trainer *t, int64_t epochs, lo_error *err)
{
    char path[PATH_MAX];
    if (!lo_study_leads(t->study)) {
        return LO_OK; /* of the ranks that train it together one writes */
    }
    lo_original_path(t->study->run.study, (int64_t)t->original.seed, epochs, path, sizeof(path));
    return lo_save_weights(t->net, path, t->digest, t->original.seed, err);
}

static bool is_checkpoint(const lo_job *job, int64_t epochs)
{
    for (int64_t c = 0; c < lo_job_length(job, "originals.checkpoints"); c++) {
        if (lo_job_int_at(job, "originals.checkpoints", c) == epochs) {
            return true;
        }
    }
    return false;
}

/* A training may take an hour: rank 0's shows how far it is. */
static void say_epoch(trainer *t, int64_t epochs)
{
    enum { SECONDS_BETWEEN = 10 };
    const lo_original *o = &t->original;
    const double now = lo_clock_monotonic();
    if (now - t->said >= SECONDS_BETWEEN) {
        t->said = now;
        lo_run_say(&t->study->run,
                   "event=epoch stage=originals seed=%llu epoch=%lld of=%lld loss=%.4f accuracy=%.4f",
                   (unsigned long long)o->seed, (long long)epochs, (long long)o->epochs,
                   o->log.loss[epochs - 1], o->log.accuracy[epochs - 1]);
    }
}

/* The norm of everything that is trained; padding is 0. */
static double weight_norm(const lo_network *network)
{
    double sum = 0;
    for (size_t i = 0; i < network->weight_size; i++) {
        sum += (double)network->weights[i] * (double)network->weights[i];
    }
    return sqrt(sum);
}

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    trainer *t = self;
    t->progress->reached = epochs;
    t->progress->weight_norm[epochs - 1] = weight_norm(lo_trainer_network(t->net));
    say_epoch(t, epochs);
    return is_checkpoint(t->study->job, epochs) ? save(t, epochs, err) : LO_OK;
}

static double test_accuracy(const trainer *t)
{
    const int64_t n = t->study->data.test.count;
    return n > 0 ? (double)lo_count_bits(t->correct, n) / (double)n : (double)NAN;
}

static lo_status train_original(void *self, int64_t seed, const lo_tick *tick, lo_result *result,
                                lo_error *err)
{
    trainer *t = self;
    lo_original *o = &t->original;
    const double start = lo_clock_monotonic();
    const lo_observer observer = {.log = &o->log,
                                  .after_epoch = after_epoch,
                                  .self = t,
                                  .kept = t->progress,
                                  .kept_size = t->progress_size};
    lo_training training = {0};
    o->seed = (uint64_t)seed;
    t->progress->reached = 0;
    for (int64_t e = 0; e < o->epochs; e++) {
        t->progress->weight_norm[e] = (double)NAN;
    }
    t->said = start;
    lo_trainer_observe(t->net, &observer);
    LO_TRY(lo_trainer_run(t->net, o->seed, t->members, o->n, tick, &training, err));
    /* What a training that diverged did not reach has its weights too: NaN, like those at the end. */
    for (int64_t epochs = t->progress->reached + 1; training.diverged && epochs <= o->epochs; epochs++) {
        LO_TRY(is_checkpoint(t->study->job, epochs) ? save(t, epochs, err) : LO_OK);
    }
    memcpy(o->weight_norm, t->progress->weight_norm, (size_t)o->epochs * sizeof(double));
    LO_TRY(lo_trainer_evaluate(t->net, &t->study->data.test, tick, t->correct, NULL, err));
    LO_TRY(save(t, 0, err));
    o->diverged = training.diverged;
    o->test_accuracy = test_accuracy(t);
    o->seconds = (lo_clock_monotonic() - start + t->checkpoint.seconds) * t->study->run.task_cores;
    lo_original_seal(o, t->payload);
    *result = (lo_result){.payload = t->payload,
                          .size = lo_original_size(o->n, o->epochs, o->logged),
                          .value = o->test_accuracy};
    return LO_OK;
}

static lo_status trainer_open(void *self, lo_error *err)
{
    trainer *t = self;
    const lo_study *s = t->study;
    lo_original *o = &t->original;
    o->n = s->data.train.count;
    o->epochs = lo_job_int(s->job, "train.epochs");
    o->logged = lo_originals_logged(s->job);
    t->members = calloc((size_t)o->n, sizeof(*t->members));
    t->correct = calloc(lo_bit_bytes(s->data.test.count) + 1, 1);
    t->payload = calloc(1, lo_original_size(o->n, o->epochs, o->logged));
    t->progress_size = sizeof(*t->progress) + (size_t)o->epochs * sizeof(double);
    t->progress = calloc(1, t->progress_size);
    if (t->members == NULL || t->correct == NULL || t->payload == NULL || t->progress == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the log of an original: %zu bytes",
                       lo_original_size(o->n, o->epochs, o->logged));
    }
    for (int64_t i = 0; i < o->n; i++) {
        t->members[i] = (uint32_t)i;
    }
    lo_original_map(o, t->payload);
    (void)snprintf(o->processor, sizeof(o->processor), "%s", s->run.processor);
    LO_TRY(lo_job_trainer_team(s->job, &s->data, lo_rank_team_view(s->team), &t->net, err));
    lo_trainer_checkpoint(t->net, &t->checkpoint);
    return LO_OK;
}

static void trainer_close(trainer *t)
{
    lo_trainer_destroy(&t->net);
    free(t->members);
    free(t->correct);
    free(t->payload);
    free(t->progress);
}

static lo_status check_original(void *self, int64_t seed, const lo_entry *entry, lo_error *err)
{
    (void)entry;
    const trainer *t = self;
    return lo_original_check(t->study->run.study, t->study->job, seed, err);
}

/* ---- publishing ---- */

enum { SEED, TEST_ACCURACY, SECONDS, PROCESSOR, DIVERGED, TABLES };
static const struct {
    const char *path;
    lo_h5_type type;
} tables[TABLES] = {
    [SEED] = {"/seed", LO_H5_I64},        [TEST_ACCURACY] = {"/test_accuracy", LO_H5_F64},
    [SECONDS] = {"/seconds", LO_H5_F64},  [PROCESSOR] = {"/processor", LO_H5_CHARS},
    [DIVERGED] = {"/diverged", LO_H5_U8},
};

enum { EPOCH_LOSS, EPOCH_ACCURACY, EPOCH_NORM, EXAMPLE, CORRECT = EXAMPLE + LO_LOG_QUANTITIES, SERIES };
static const struct {
    const char *path;
    lo_h5_type type;
} series[SERIES] = {
    [EPOCH_LOSS] = {"epoch/loss", LO_H5_F64},
    [EPOCH_ACCURACY] = {"epoch/accuracy", LO_H5_F64},
    [EPOCH_NORM] = {"epoch/weight_norm", LO_H5_F64},
    [EXAMPLE + LO_LOG_LOSS] = {"example/loss", LO_H5_F32},
    [EXAMPLE + LO_LOG_PROBABILITY] = {"example/probability", LO_H5_F32},
    [EXAMPLE + LO_LOG_LARGEST] = {"example/largest", LO_H5_F32},
    [EXAMPLE + LO_LOG_ENTROPY] = {"example/entropy", LO_H5_F32},
    [EXAMPLE + LO_LOG_MARGIN] = {"example/margin", LO_H5_F32},
    [EXAMPLE + LO_LOG_GAP] = {"example/gap", LO_H5_F32},
    [EXAMPLE + LO_LOG_INPUT_SQUARE] = {"example/input_square", LO_H5_F32},
    [CORRECT] = {"example/correct", LO_H5_U8},
};

typedef struct publication {
    lo_study *study;
    const lo_ledger *ledger;
    int64_t *seed; /* [seeds]: finished ones, ascending */
    int64_t seeds;
    int64_t first, count; /* the ones that this rank reads and writes */
    int64_t n, epochs;
    unsigned logged;
    int table[TABLES];  /* datasets */
    int (*set)[SERIES]; /* [seeds] */
    lo_h5_reader old;   /* training.h5 as it was: where compacted originals live on */
    lo_h5 h5;
} publication;

static void *series_of(const lo_original *o, int s)
{
    return s == EPOCH_LOSS       ? (void *)o->log.loss
           : s == EPOCH_ACCURACY ? (void *)o->log.accuracy
           : s == EPOCH_NORM     ? (void *)o->weight_norm
           : s == CORRECT        ? (void *)o->log.correct
                                 : (void *)o->log.example[s - EXAMPLE];
}

/* Is it in the file? */
static bool is_series(const publication *p, int s)
{
    return s < EXAMPLE ||
           (s == EXAMPLE + LO_LOG_INPUT_SQUARE ? (p->logged & LO_LOGGED_GRADIENTS) != 0 : p->logged != 0);
}

static void series_path(int64_t seed, int s, char *path, size_t size)
{
    (void)snprintf(path, size, "/%lld/%s", (long long)seed, series[s].path);
}

static lo_status read_old(const publication *p, int64_t seed, lo_original *o, lo_error *err)
{
    int64_t *seeds = NULL;
    int64_t rows = 0, row = 0;
    uint8_t diverged = 0;
    char path[64];
    LO_TRY(lo_h5_read_all(&p->old, tables[SEED].path, LO_H5_I64, (void **)&seeds, &rows, NULL, err));
    while (row < rows && seeds[row] != seed) {
        row++;
    }
    free(seeds);
    if (row == rows) {
        return lo_fail(err, LO_DATA,
                       "original %lld was compacted out of the journal, but %s does not hold it",
                       (long long)seed, p->old.file);
    }
    LO_TRY(lo_h5_read(&p->old, tables[TEST_ACCURACY].path, LO_H5_F64, row, 1, &o->test_accuracy, err));
    LO_TRY(lo_h5_read(&p->old, tables[SECONDS].path, LO_H5_F64, row, 1, &o->seconds, err));
    LO_TRY(lo_h5_read(&p->old, tables[PROCESSOR].path, LO_H5_CHARS, row, 1, o->processor, err));
    LO_TRY(lo_h5_read(&p->old, tables[DIVERGED].path, LO_H5_U8, row, 1, &diverged, err));
    o->diverged = diverged;
    for (int s = 0; s < SERIES; s++) {
        series_path(seed, s, path, sizeof(path));
        if (!is_series(p, s)) {
            continue;
        }
        if (s == EPOCH_NORM && !lo_h5_has(&p->old, path)) {
            lo_original_without(o, NULL);
            continue;
        }
        LO_TRY(lo_h5_read(&p->old, path, series[s].type, 0, p->epochs, series_of(o, s), err));
    }
    return LO_OK;
}

/* An original's record, or what the file held of it; *buffer, which the caller frees, holds it. *damaged: its
 * record does not hold and was declared void; what is returned is empty then. */
static lo_status load(const publication *p, int64_t seed, lo_original *o, char **buffer, bool *damaged,
                      lo_error *err)
{
    lo_record record;
    lo_status status = LO_OK;
    const bool compacted = p->ledger->entry[seed].compacted;
    if (!compacted) {
        status = lo_ledger_payload(p->ledger, seed, &record, buffer, err);
        if (status == LO_OK) {
            status = lo_original_read(buffer, record.payload_size, p->n, p->epochs, p->logged, o, err);
        }
        if (status != LO_DATA) {
            return status;
        }
        const lo_error why = *err;
        *damaged = true;
        LO_TRY(lo_farmed_void(p->study, p->ledger, seed, why.text, err));
    }
    free(*buffer);
    *buffer = calloc(1, lo_original_size(p->n, p->epochs, p->logged));
    if (*buffer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the log of an original");
    }
    *o = (lo_original){.n = p->n, .epochs = p->epochs, .logged = p->logged, .seed = (uint64_t)seed};
    lo_original_map(o, *buffer);
    return compacted ? read_old(p, seed, o, err) : LO_OK;
}

static lo_status write_attributes(publication *p, lo_error *err)
{
    lo_h5 *h = &p->h5;
    char digest[32];
    (void)snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)p->ledger->digest);
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "digest", digest, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_int(h, "/", "seeds_planned", p->ledger->tasks, err));
    LO_TRY(lo_h5_int(h, "/", "n_train", p->n, err));
    LO_TRY(lo_h5_int(h, "/", "epochs", p->epochs, err));
    return lo_h5_text(h, "/seconds", "unit", "s", err);
}

/* The slab of seed number i: all of it is its reader's, ranks before and after have nothing. */
static lo_status add_series(publication *p, int64_t i, lo_error *err)
{
    const bool mine = i >= p->first && i < p->first + p->count;
    const bool before = i >= p->first + p->count; /* this rank's seeds come before it */
    char path[64];
    for (int s = 0; s < SERIES; s++) {
        if (!is_series(p, s)) {
            continue;
        }
        series_path(p->seed[i], s, path, sizeof(path));
        LO_TRY(lo_h5_add(&p->h5, path, series[s].type, p->epochs, s < EXAMPLE ? 0 : p->n,
                         mine || before ? 0 : p->epochs, mine ? p->epochs : 0, &p->set[i][s], err));
    }
    (void)snprintf(path, sizeof(path), "/%lld/example", (long long)p->seed[i]);
    return p->logged != 0
               ? lo_h5_text(&p->h5, path, "meaning",
                            "row: epoch, column: training example as in /train/index; from the pass of that "
                            "epoch that trained on it",
                            err)
               : LO_OK;
}

static lo_status write_original(publication *p, int64_t i, bool *damaged, lo_error *err)
{
    const bool mine = i >= p->first && i < p->first + p->count;
    lo_original o = {0};
    char *buffer = NULL;
    lo_status status = mine ? load(p, p->seed[i], &o, &buffer, damaged, err) : LO_OK;
    const int64_t seed = p->seed[i];
    const uint8_t diverged = o.diverged != 0;
    const void *const row[TABLES] = {[SEED] = &seed,
                                     [TEST_ACCURACY] = &o.test_accuracy,
                                     [SECONDS] = &o.seconds,
                                     [PROCESSOR] = o.processor,
                                     [DIVERGED] = &diverged};
    status = lo_agree(p->study->run.comm, status, err);
    for (int t = 0; t < TABLES && status == LO_OK; t++) {
        status = lo_h5_write(&p->h5, p->table[t], mine ? 1 : 0, row[t], LO_OK, err);
    }
    for (int s = 0; s < SERIES && status == LO_OK; s++) {
        if (!is_series(p, s)) {
            continue;
        }
        status = lo_h5_write(&p->h5, p->set[i][s], mine ? p->epochs : 0, mine ? series_of(&o, s) : NULL,
                             LO_OK, err);
    }
    free(buffer);
    return status;
}

static lo_status write_file(publication *p, bool *damaged, lo_error *err)
{
    lo_study *s = p->study;
    int index, label;
    int64_t first, count;
    lo_shard(p->n, 1, s->run.rank, s->run.ranks, &first, &count);
    for (int t = 0; t < TABLES; t++) {
        LO_TRY(lo_h5_add(&p->h5, tables[t].path, tables[t].type, p->seeds, 0, p->first, p->count,
                         &p->table[t], err));
    }
    LO_TRY(lo_h5_add(&p->h5, "/train/index", LO_H5_I64, p->n, 0, first, count, &index, err));
    LO_TRY(lo_h5_add(&p->h5, "/train/label", LO_H5_I32, p->n, 0, first, count, &label, err));
    for (int64_t i = 0; i < p->seeds; i++) {
        LO_TRY(add_series(p, i, err));
    }
    LO_TRY(write_attributes(p, err));
    LO_TRY(lo_h5_write(&p->h5, index, count, s->data.train.index + first, LO_OK, err));
    LO_TRY(lo_h5_write(&p->h5, label, count, s->data.train.label + first, LO_OK, err));
    for (int64_t i = 0; i < p->seeds; i++) {
        LO_TRY(write_original(p, i, damaged, err));
        if (s->run.rank == 0) {
            lo_run_watch(&s->run); /* the heartbeat goes on */
        }
    }
    return LO_OK;
}

/* Is training.h5 there already, with these originals? */
static bool is_published(const lo_study *study, const lo_ledger *ledger, int64_t seeds, int64_t seed)
{
    char path[PATH_MAX];
    char digest[32] = "", expected[32];
    int64_t planned = -1, rows = -1, items;
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/training.h5", study->run.study);
    (void)snprintf(expected, sizeof(expected), "%016llx", (unsigned long long)ledger->digest);
    if (lo_h5_open(path, &reader, NULL) != LO_OK) {
        return false;
    }
    const unsigned logged = lo_originals_logged(study->job);
    char output[64];
    char gradient[64];
    series_path(seed, EXAMPLE + LO_LOG_GAP, output, sizeof(output));
    series_path(seed, EXAMPLE + LO_LOG_INPUT_SQUARE, gradient, sizeof(gradient));
    const bool same = (logged == 0 || lo_h5_has(&reader, output)) &&
                      ((logged & LO_LOGGED_GRADIENTS) == 0 || lo_h5_has(&reader, gradient)) &&
                      lo_h5_get_text(&reader, "/", "digest", digest, sizeof(digest), NULL) == LO_OK &&
                      lo_h5_get_int(&reader, "/", "seeds_planned", &planned, NULL) == LO_OK &&
                      lo_h5_sizes(&reader, tables[SEED].path, &rows, &items, NULL) == LO_OK &&
                      strcmp(digest, expected) == 0 && planned == ledger->tasks && rows == seeds;
    lo_h5_close(&reader);
    return same;
}

/* The finished originals, the same on all ranks, and which of them are this rank's. */
static lo_status prepare(publication *p, lo_error *err)
{
    const lo_study *s = p->study;
    bool compacted = false;
    p->n = s->data.train.count;
    p->epochs = lo_job_int(s->job, "train.epochs");
    p->logged = lo_originals_logged(s->job);
    p->seed = calloc((size_t)p->ledger->tasks + 1, sizeof(*p->seed));
    p->set = calloc((size_t)p->ledger->tasks + 1, sizeof(*p->set));
    if (p->seed == NULL || p->set == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the list of originals");
    }
    for (int64_t t = 0; t < p->ledger->tasks; t++) {
        if (p->ledger->entry[t].file >= 0) {
            p->seed[p->seeds++] = t;
            compacted = compacted || p->ledger->entry[t].compacted;
        }
    }
    lo_shard(p->seeds, 1, s->run.rank, s->run.ranks, &p->first, &p->count);
    if (!compacted) {
        return LO_OK;
    }
    char path[PATH_MAX];
    int datasets;
    (void)snprintf(path, sizeof(path), "%s/training.h5", s->run.study);
    lo_status status = lo_h5_open(path, &p->old, err);
    if (status == LO_OK && s->run.rank == 0) {
        status = lo_h5_verify(&p->old, &datasets, err);
    }
    return status == LO_OK
               ? LO_OK
               : lo_fail_prefix(err, status,
                                "the journal was compacted, and the only copy of its originals cannot "
                                "be used");
}

static lo_status publish(publication *p, bool *damaged, lo_error *err)
{
    const double start = lo_clock_monotonic();
    MPI_Comm comm = p->study->run.comm;
    const uint64_t bytes =
        (uint64_t)p->seeds * (lo_original_size(p->n, p->epochs, p->logged) + 4096) + (uint64_t)p->n * 12;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/training.h5", p->study->run.study);
    lo_status status = lo_h5_create(comm, path, bytes, &p->h5, err);
    if (status != LO_OK) {
        return status;
    }
    status = write_file(p, damaged, err);
    MPI_Allreduce(MPI_IN_PLACE, damaged, 1, MPI_C_BOOL, MPI_LOR, comm);
    /* A file with a damaged log in it is not published. */
    const lo_status committed = lo_h5_commit(&p->h5, status == LO_OK && *damaged ? LO_DATA : status, err);
    if (*damaged && status == LO_OK) {
        return LO_OK;
    }
    if (committed == LO_OK) {
        p->study->news = true;
        lo_run_say(&p->study->run, "event=published file=training.h5 originals=%lld seconds=%.2f",
                   (long long)p->seeds, lo_clock_monotonic() - start);
    }
    return committed;
}

lo_status lo_publish_originals(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err)
{
    MPI_Comm comm = study->run.comm;
    publication p = {.study = study, .ledger = ledger, .old = {.id = -1}};
    *damaged = false;
    LO_TRY(lo_ledger_share(ledger, comm, err));
    LO_TRY(lo_study_lock(study, err));
    lo_status status = lo_agree(comm, prepare(&p, err), err);
    /* Ranks may see a shared file system differently for a moment: all do what rank 0 finds. */
    bool up_to_date =
        p.seeds == 0 || (study->run.rank == 0 && is_published(study, ledger, p.seeds, p.seed[0]));
    MPI_Bcast(&up_to_date, 1, MPI_C_BOOL, 0, comm);
    if (status == LO_OK && !up_to_date) {
        status = publish(&p, damaged, err);
    }
    lo_h5_close(&p.old);
    free(p.seed);
    free(p.set);
    lo_study_unlock(study);
    return status;
}

lo_status lo_stage_originals(lo_study *study, lo_error *err)
{
    if (!lo_job_has(study->job, "originals")) {
        return LO_OK;
    }
    trainer t = {.study = study, .digest = lo_job_digest(study->job, LO_KEYS_ORIGINALS)};
    const lo_farmed stage = {.stage = LO_STAGE_ORIGINALS,
                             .digest = t.digest,
                             .tasks = lo_job_int(study->job, "originals.seeds"),
                             .open = trainer_open,
                             .run = train_original,
                             .checkpoint = &t.checkpoint,
                             .check = check_original,
                             .in_teams = true,
                             .publish = lo_publish_originals,
                             .self = &t};
    const lo_status status = lo_run_farmed(study, &stage, err);
    trainer_close(&t);
    return status;
}
