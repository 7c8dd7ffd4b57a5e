#include "jobs/scores/score_tasks.h"

#include "base/clock.h"
#include "jobs/study/farmed.h"
#include "jobs/study/recipe.h"
#include "mpi/agree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A payload: how many values of an example, then the values. */
enum { HEAD = 8 };

static size_t payload_size(int64_t n, int columns)
{
    return HEAD + (size_t)(n * columns) * sizeof(float);
}

/* ---- one task ---- */

typedef struct farm {
    lo_score_source *source;
    const lo_listed_score *listed;
    char *payload;
    lo_checkpoint saving;
} farm;

/* input->score within a task: of scores.h5, valid until the next call. */
static lo_status published(void *self, const char *name, const float **value, int *orientation, lo_error *err)
{
    lo_score_source *source = self;
    char path[PATH_MAX];
    char group[96];
    int64_t found = 0;
    lo_h5_reader reader;
    if (source->published == NULL) {
        source->published = calloc((size_t)source->n + 1, sizeof(*source->published));
    }
    if (source->published == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for score %s", name);
    }
    (void)snprintf(path, sizeof(path), "%s/scores.h5", source->study->run.study);
    LO_TRY(lo_h5_open(path, &reader, err));
    (void)snprintf(group, sizeof(group), "/%s", name);
    lo_status status = lo_h5_get_int(&reader, group, "orientation", &found, err);
    (void)snprintf(group, sizeof(group), "/%s/value", name);
    if (status == LO_OK) {
        status = lo_h5_read(&reader, group, LO_H5_F32, 0, source->n, source->published, err);
    }
    lo_h5_close(&reader);
    *value = source->published;
    *orientation = (int)found;
    return status;
}

/* All examples are one rank's. */
static lo_score_input task_input(farm *f)
{
    const unsigned needs = f->listed->score->needs & (LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS);
    lo_score_input input = lo_score_source_input(f->source, needs);
    input.first = 0;
    input.count = input.n;
    input.gather = NULL;
    input.score = published;
    input.item = f->listed->item;
    input.saving = f->listed->score->saves ? &f->saving : NULL;
    return input;
}

static lo_status open_farm(void *self, lo_error *err)
{
    farm *f = self;
    const int columns = f->listed->score->columns;
    f->payload = calloc(1, payload_size(f->source->n, columns));
    if (f->payload == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the results of a training");
    }
    memcpy(f->payload, &(int64_t){columns}, HEAD);
    return lo_score_source_prepare(f->source, f->listed->score->needs, err);
}

static lo_status run_task(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err)
{
    farm *f = self;
    lo_score_input input = task_input(f);
    input.tick = tick;
    LO_TRY(f->listed->score->task(&input, task, (float *)(void *)(f->payload + HEAD), err));
    *result = (lo_result){.payload = f->payload, .size = payload_size(input.n, f->listed->score->columns)};
    return LO_OK;
}

static int64_t task_count(lo_score_source *source, const lo_listed_score *listed)
{
    farm f = {.source = source, .listed = listed};
    const lo_score_input input = task_input(&f);
    return listed->score->tasks(&input);
}

lo_status lo_score_tasks_run(lo_score_source *source, const lo_listed_score *listed, uint64_t identity,
                             lo_error *err)
{
    farm f = {.source = source, .listed = listed};
    const lo_farmed stage = {.stage = LO_STAGE_SCORES,
                             .digest = identity,
                             .tasks = task_count(source, listed),
                             .open = open_farm,
                             .run = run_task,
                             .checkpoint = listed->score->saves ? &f.saving : NULL,
                             .publish = lo_farmed_check,
                             .self = &f};
    const lo_status status = lo_run_farmed(source->study, &stage, err);
    free(f.payload);
    return status;
}

/* ---- results ---- */

lo_status lo_score_results_open(lo_score_source *source, const lo_listed_score *listed, uint64_t identity,
                                lo_score_results *out, lo_error *err)
{
    const lo_run *run = &source->study->run;
    *out = (lo_score_results){
        .n = source->n, .tasks = task_count(source, listed), .columns = listed->score->columns};
    lo_status status = lo_ledger_create(run->study, LO_STAGE_SCORES, identity, out->tasks, &out->ledger, err);
    if (status == LO_OK && run->rank == 0) {
        status = lo_ledger_read(&out->ledger, err);
    }
    status = lo_agree(run->comm, status, err);
    if (status == LO_OK) {
        status = lo_ledger_share(&out->ledger, run->comm, err);
    }
    for (int64_t t = 0; t < out->tasks && status == LO_OK; t++) {
        if (out->ledger.entry[t].file >= 0) {
            out->done++;
            out->seconds += out->ledger.entry[t].seconds;
        }
    }
    return status;
}

void lo_score_results_close(lo_score_results *results)
{
    lo_ledger_destroy(&results->ledger);
    free(results->payload);
    results->payload = NULL;
}

lo_status lo_score_results_read(lo_score_results *r, int64_t task, const float **values, lo_error *err)
{
    lo_record record;
    free(r->payload);
    r->payload = NULL;
    LO_TRY(lo_ledger_payload(&r->ledger, task, &record, &r->payload, err));
    if (record.payload_size != payload_size(r->n, r->columns)) {
        return lo_fail(err, LO_DATA, "the record of a score's training has %llu bytes; %zu are expected",
                       (unsigned long long)record.payload_size, payload_size(r->n, r->columns));
    }
    *values = (const float *)(const void *)(r->payload + HEAD);
    return LO_OK;
}
