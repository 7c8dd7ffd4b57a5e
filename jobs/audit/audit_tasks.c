#include "jobs/audit/audit_tasks.h"

#include "base/file.h"
#include "jobs/audit/audit_populations.h"
#include "jobs/audit/audit_run.h"
#include "jobs/study/original.h"
#include "jobs/unlearning/unlearning_files.h"
#include "mpi/agree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what a task depends on ---- */

static uint64_t add_text(uint64_t digest, const char *text)
{
    return lo_digest(lo_digest(digest, text), "\n");
}

static uint64_t add_number(uint64_t digest, uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%016" PRIx64, number);
    return add_text(digest, text);
}

/* What all tasks depend on: how a record is laid out, and the job. */
static uint64_t digest_of_job(const lo_audit *a)
{
    const lo_job *job = a->study->job;
    char text[40];
    uint64_t d = add_text(LO_DIGEST_START, "audit 2");
    d = add_number(d, sizeof(lo_audited));
    d = add_number(d, (uint64_t)a->layers);
    d = add_number(d, (uint64_t)a->most_oracles);
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        d = a->wanted[k] ? add_text(d, lo_audit_number_at(k)->name) : add_text(d, "-");
    }
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        d = a->wanted_by[k] ? add_text(d, lo_audit_by_number_at(k)->name) : add_text(d, "-");
    }
    d = add_number(d, lo_job_digest(job, LO_KEYS_RECIPE));
    d = add_number(d, (uint64_t)lo_job_int(job, "audit.sample"));
    (void)snprintf(text, sizeof(text), "%a",
                   a->wanted[LO_AUDIT_RMIA] ? lo_job_real(job, "audit.rmia_a") : 0.0);
    d = add_text(d, text);
    return add_text(d, a->in.has_ensemble ? a->in.ensemble.identity : "");
}

/* The examples of a set, by their numbers, and its groups. */
static uint64_t digest_of_set(const lo_audit *a, const lo_audit_set *set, const lo_audit_groups *groups)
{
    uint64_t d = add_number(add_text(LO_DIGEST_START, set->name), set->whole_class);
    for (int64_t i = 0; i < set->forget_count; i++) {
        d = add_number(d, (uint64_t)a->study->data.train.index[set->forget[i]]);
    }
    for (int g = 0; g < LO_AUDIT_GROUPS; g++) {
        d = add_number(d, (uint64_t)groups->count[g]);
        for (int64_t i = 0; i < groups->count[g]; i++) {
            d = add_number(d, (uint64_t)groups->place[g][i]);
        }
    }
    return d;
}

/* The digest of the task that made a model; without a list of those, of all outputs. */
static uint64_t digest_of_model(const lo_audit *a, const lo_listed_task *listed, int64_t count,
                                const char *kind, const char *name)
{
    for (int64_t t = 0; t < count; t++) {
        if (strcmp(listed[t].name, name) == 0 && strcmp(listed[t].kind, kind) == 0) {
            return listed[t].digest;
        }
    }
    return add_text(LO_DIGEST_START, a->in.state);
}

typedef struct digests {
    uint64_t job, *set, *row; /* [sets], [rows]: of a row's model, and whether its weights are kept */
    uint64_t *matched;        /* [in.matched_count] */
} digests;

static lo_status make_digests(const lo_audit *a, digests *d, lo_error *err)
{
    lo_listed_task *listed = NULL;
    int64_t count = 0;
    d->set = malloc(((size_t)a->in.sets + 1) * sizeof(*d->set));
    d->row = malloc(((size_t)a->in.rows + 1) * sizeof(*d->row));
    d->matched = malloc(((size_t)a->in.matched_count + 1) * sizeof(*d->matched));
    if (d->set == NULL || d->row == NULL || d->matched == NULL) {
        return lo_audit_no_memory(err);
    }
    LO_TRY(lo_read_tasks(a->study->run.study, &listed, &count, err));
    d->job = digest_of_job(a);
    for (int s = 0; s < a->in.sets; s++) {
        d->set[s] = digest_of_set(a, &a->in.set[s], &a->groups[s]);
    }
    const bool asks = a->wanted[LO_AUDIT_WEIGHTS] || a->wanted[LO_AUDIT_RELEARN] ||
                      a->wanted[LO_AUDIT_ANAMNESIS] || a->wanted[LO_AUDIT_ENTANGLEMENT];
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        char path[PATH_MAX];
        const uint64_t model = digest_of_model(a, listed, count, row->kind, row->model);
        d->row[r] = add_number(add_text(add_text(LO_DIGEST_START, row->kind), row->model), model);
        d->row[r] = add_number(d->row[r], asks && lo_audit_weights_of(a, r, path));
    }
    for (int64_t m = 0; m < a->in.matched_count; m++) {
        const lo_audit_row *row = &a->in.matched[m];
        d->matched[m] = digest_of_model(a, listed, count, row->kind, row->model);
    }
    free(listed);
    return LO_OK;
}

/* The oracles of a set that have outputs. */
static uint64_t add_oracles(const lo_audit *a, const digests *d, int set, uint64_t digest)
{
    for (int64_t o = 0; o < a->in.rows; o++) {
        const lo_audit_row *row = &a->in.row[o];
        digest = row->oracle && row->set == set && row->output >= 0 ? add_number(digest, d->row[o]) : digest;
    }
    return digest;
}

/* Originals of its seed, which aus and relearn compare it with. */
static uint64_t add_originals(const lo_audit *a, const digests *d, int64_t r, uint64_t digest)
{
    const lo_audit_row *row = &a->in.row[r];
    const int64_t seeds = lo_job_int(a->study->job, "unlearning.seeds");
    const int64_t seed = row->oracle ? row->seed % seeds : row->seed;
    char path[PATH_MAX];
    for (int64_t o = 0; o < a->in.rows; o++) {
        const lo_audit_row *other = &a->in.row[o];
        digest = other->original && other->seed == seed && other->set == row->set && other->output >= 0
                     ? add_number(digest, d->row[o])
                     : digest;
    }
    lo_audit_original_of(a, r, path);
    digest = add_text(digest, strrchr(path, '/'));
    return add_number(digest, access(path, F_OK) == 0);
}

/* Of what lo_audit_run reads. */
static uint64_t digest_of_run(const lo_audit *a, const digests *d, int64_t r)
{
    const int set = a->in.row[r].set;
    uint64_t digest = add_number(add_text(d->job, "run"), d->set[set]);
    digest = add_number(digest, d->row[r]);
    return add_originals(a, d, r, add_oracles(a, d, set, digest));
}

/* Of what lo_audit_population reads. */
static uint64_t digest_of_population(const lo_audit *a, const digests *d, int64_t first)
{
    const lo_audit_row *row = &a->in.row[first];
    uint64_t digest = add_number(add_text(d->job, "together"), d->set[row->set]);
    digest = add_text(add_text(add_text(digest, row->kind), row->method), row->setting);
    for (int64_t r = first; r < a->in.rows; r++) {
        digest = lo_audit_same_group(&a->in.row[r], row) && a->in.row[r].output >= 0
                     ? add_number(digest, d->row[r])
                     : digest;
    }
    for (int64_t m = 0; m < a->in.matched_count; m++) {
        digest = lo_audit_is_matched(&a->in.matched[m], row) ? add_number(digest, d->matched[m]) : digest;
    }
    return add_oracles(a, d, row->set, digest);
}

/* ---- the list ---- */

static void add_task(lo_audit *a, int64_t row, bool together, uint64_t digest)
{
    a->task[a->tasks] = (lo_audit_task){row, together};
    a->digest[a->tasks++] = digest;
}

static bool wants_populations(const lo_audit *a)
{
    return a->wanted[LO_AUDIT_U_LIRA] || a->wanted[LO_AUDIT_KLOM] || a->wanted[LO_AUDIT_QUALITY];
}

/* Populations first: they are the longest. */
static lo_status list(lo_audit *a, lo_error *err)
{
    digests d = {0};
    const size_t most = 2 * (size_t)a->in.rows + 1;
    a->task = calloc(most, sizeof(*a->task));
    a->digest = calloc(most, sizeof(*a->digest));
    a->done = calloc(most, sizeof(*a->done));
    lo_status status = a->task != NULL && a->digest != NULL && a->done != NULL ? make_digests(a, &d, err)
                                                                               : lo_audit_no_memory(err);
    for (int64_t r = 0; r < a->in.rows && status == LO_OK && wants_populations(a); r++) {
        if (!a->in.row[r].original && lo_audit_group_of(a, r) == r) {
            add_task(a, r, true, digest_of_population(a, &d, r));
        }
    }
    for (int64_t r = 0; r < a->in.rows && status == LO_OK; r++) {
        if (a->in.row[r].output >= 0) {
            add_task(a, r, false, digest_of_run(a, &d, r));
        }
    }
    free(d.set);
    free(d.row);
    free(d.matched);
    return status;
}

lo_status lo_audit_list_tasks(lo_audit *a, lo_error *err)
{
    const MPI_Comm comm = a->study->run.comm;
    LO_TRY(lo_agree(comm, list(a, err), err));
    lo_broadcast(comm, a->digest, (size_t)a->tasks * sizeof(*a->digest)); /* all look at the same files */
    return LO_OK;
}

/* ---- doing one ---- */

static size_t layers_size(const lo_audit *a)
{
    return (size_t)a->layers * sizeof(double);
}

static size_t distances_size(const lo_audit *a)
{
    return LO_AUDIT_DISTANCES * (size_t)a->most_oracles * sizeof(double);
}

static size_t payload_size(const lo_audit *a, int64_t task)
{
    return a->task[task].together ? sizeof(lo_audit_figure) * LO_AUDIT_TOGETHER
                                  : sizeof(lo_audited) + layers_size(a) + distances_size(a);
}

lo_status lo_audit_open_tasks(void *self, lo_error *err)
{
    lo_audit *a = self;
    const size_t rows = (size_t)a->in.rows + 1;
    a->payload = calloc(1, sizeof(lo_audited) + sizeof(lo_audit_figure) * LO_AUDIT_TOGETHER + layers_size(a) +
                               distances_size(a));
    a->oracle = calloc(rows, sizeof(*a->oracle));
    a->oracle_model = calloc(rows, sizeof(*a->oracle_model));
    if (a->payload == NULL || a->oracle == NULL || a->oracle_model == NULL) {
        return lo_audit_no_memory(err);
    }
    const bool asks =
        a->wanted[LO_AUDIT_ZRF] || a->wanted[LO_AUDIT_RELEARN] || a->wanted[LO_AUDIT_ENTANGLEMENT];
    return asks ? lo_audit_network_open(&a->in, &a->tick, &a->network, err) : LO_OK;
}

lo_status lo_audit_run_task(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err)
{
    lo_audit *a = self;
    const int64_t r = a->task[task].row;
    a->tick = *tick;
    lo_audit_clear(a, r, LO_AUDIT_NO_MODEL);
    if (a->task[task].together) {
        LO_TRY(lo_audit_population(a, r, err));
        memcpy(a->payload, lo_audit_cell(a, r, LO_AUDIT_U_LIRA), payload_size(a, task));
    } else {
        LO_TRY(lo_audit_run(a, r, err));
        memcpy(a->payload, &a->audited[r], sizeof(lo_audited));
        memcpy(a->payload + sizeof(lo_audited), a->layer + r * a->layers, layers_size(a));
        memcpy(a->payload + sizeof(lo_audited) + layers_size(a), lo_audit_distances(a, r, 0),
               distances_size(a));
    }
    *result = (lo_result){.payload = a->payload, .size = payload_size(a, task)};
    return LO_OK;
}

/* ---- what the journals hold ---- */

static lo_status read_record(lo_audit *a, const lo_ledger *ledger, int64_t task, lo_error *err)
{
    lo_record record;
    char *payload = NULL;
    const int64_t r = a->task[task].row;
    LO_TRY(lo_ledger_payload(ledger, task, &record, &payload, err));
    lo_status status = LO_OK;
    if (record.payload_size != payload_size(a, task)) {
        status = lo_fail(err, LO_DATA, "the record of an audit has %llu bytes; %zu are expected",
                         (unsigned long long)record.payload_size, payload_size(a, task));
    } else if (a->task[task].together) {
        memcpy(&a->together[r * LO_AUDIT_TOGETHER], payload, payload_size(a, task));
    } else {
        memcpy(&a->audited[r], payload, sizeof(lo_audited));
        memcpy(a->layer + r * a->layers, payload + sizeof(lo_audited), layers_size(a));
        memcpy(lo_audit_distances(a, r, 0), payload + sizeof(lo_audited) + layers_size(a), distances_size(a));
    }
    free(payload);
    return status;
}

/* Rank 0. What no record is about has no model, or was given up. */
static lo_status read_records(lo_audit *a, lo_error *err)
{
    lo_ledger ledger;
    for (int64_t i = 0; i < a->in.rows * a->layers; i++) {
        a->layer[i] = (double)NAN;
    }
    for (int64_t i = 0; i < a->in.rows * LO_AUDIT_DISTANCES * a->most_oracles; i++) {
        a->distance[i] = (double)NAN;
    }
    for (int64_t r = 0; r < a->in.rows; r++) {
        const int reason = a->in.row[r].output < 0 ? LO_AUDIT_NO_MODEL : LO_AUDIT_GIVEN_UP;
        lo_audit_clear(a, r, reason);
        for (int k = 0; k < LO_AUDIT_TOGETHER; k++) {
            a->together[r * LO_AUDIT_TOGETHER + k] =
                lo_audit_missing(a->in.row[r].original ? LO_AUDIT_NO_SCORE : LO_AUDIT_GIVEN_UP);
        }
    }
    lo_status status = lo_ledger_create(a->study->run.study, LO_STAGE_AUDIT, 0, a->tasks, &ledger, err);
    if (status == LO_OK) {
        status = lo_ledger_name(&ledger, a->digest, err);
    }
    if (status == LO_OK) {
        status = lo_ledger_read(&ledger, err);
    }
    for (int64_t t = 0; t < a->tasks && status == LO_OK; t++) {
        a->done[t] = ledger.entry[t].file >= 0;
        status = a->done[t] ? read_record(a, &ledger, t, err) : LO_OK;
    }
    lo_ledger_destroy(&ledger);
    return status;
}

lo_status lo_audit_collect(lo_audit *a, lo_error *err)
{
    const MPI_Comm comm = a->study->run.comm;
    const size_t rows = (size_t)a->in.rows;
    LO_TRY(lo_agree(comm, a->study->run.rank == 0 ? read_records(a, err) : LO_OK, err));
    lo_broadcast(comm, a->done, (size_t)a->tasks * sizeof(*a->done));
    lo_broadcast(comm, a->audited, rows * sizeof(*a->audited));
    lo_broadcast(comm, a->together, rows * LO_AUDIT_TOGETHER * sizeof(*a->together));
    lo_broadcast(comm, a->layer, rows * layers_size(a));
    lo_broadcast(comm, a->distance, rows * distances_size(a));
    return LO_OK;
}
