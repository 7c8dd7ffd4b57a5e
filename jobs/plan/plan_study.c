#include "jobs/plan/plan_study.h"

#include "base/file.h"
#include "base/journal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    const lo_job *job;
    lo_plan_seen *seen;
    int count;
    int attempt; /* whose journal is read */
    lo_error *err;
} reading;

/* The row of a stage in an attempt, a new one if need be; NULL without memory. */
static lo_plan_seen *row_of(reading *r, lo_stage stage, int attempt)
{
    for (int i = 0; i < r->count; i++) {
        if (r->seen[i].stage == stage && r->seen[i].attempt == attempt) {
            return &r->seen[i];
        }
    }
    lo_plan_seen *more = realloc(r->seen, (size_t)(r->count + 1) * sizeof(*more));
    if (more == NULL) {
        (void)lo_fail(r->err, LO_INTERNAL, "no memory for what the study's attempts did");
        return NULL;
    }
    r->seen = more;
    more[r->count] = (lo_plan_seen){.stage = stage, .attempt = attempt};
    return &more[r->count++];
}

static bool is_of_job(const reading *r, const lo_record *record)
{
    switch ((lo_stage)record->stage) {
    case LO_STAGE_ENSEMBLE:
        return record->digest == lo_job_digest(r->job, LO_KEYS_ENSEMBLE);
    case LO_STAGE_ORIGINALS:
        return record->digest == lo_job_digest(r->job, LO_KEYS_ORIGINALS);
    default:
        return true; /* digests of their own, task by task */
    }
}

static lo_status note_record(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    (void)at;
    (void)payload;
    reading *r = self;
    if (record->kind != LO_RECORD_DONE || record->seconds <= 0 || !is_of_job(r, record)) {
        return LO_OK;
    }
    lo_plan_seen *row = row_of(r, (lo_stage)record->stage, r->attempt);
    if (row == NULL) {
        return LO_INTERNAL;
    }
    row->tasks++;
    row->sum += record->seconds;
    row->squares += record->seconds * record->seconds;
    return LO_OK;
}

/* The number behind " key=" in a line of the log; 0 when there is none. */
static double number_in(const char *line, const char *key)
{
    const char *found = strstr(line, key);
    return found != NULL ? strtod(found + strlen(key), NULL) : 0;
}

/* A stage that looks whether it has models enough farms several times in an attempt. */
static void note_line(reading *r, const char *line, int attempt, int64_t *ranks)
{
    if (strstr(line, " event=begin ") != NULL) {
        *ranks = (int64_t)number_in(line, " ranks=");
    }
    const char *farmed = strstr(line, " event=farmed stage=");
    for (int i = 0; farmed != NULL && i < r->count; i++) {
        lo_plan_seen *row = &r->seen[i];
        char stage[64];
        (void)snprintf(stage, sizeof(stage), " stage=%s ", lo_stage_name(row->stage));
        if (row->attempt == attempt && strstr(farmed, stage) != NULL) {
            row->ranks = *ranks;
            row->farmed += (int64_t)number_in(farmed, " mine=");
            row->farm_seconds += number_in(farmed, " seconds=");
            row->record_seconds += number_in(farmed, " record_s=");
        }
    }
}

/* A log that is not there takes the check of its attempt along, and nothing else. */
static void read_log(reading *r, const char *directory, int attempt)
{
    enum { LONGEST = 1 << 28 };
    char path[PATH_MAX];
    char *text = NULL;
    size_t size;
    int64_t ranks = 1;
    (void)snprintf(path, sizeof(path), "%.3000s/log/attempt-%03d.log", directory, attempt);
    if (lo_file_read(path, LONGEST, &text, &size, NULL) != LO_OK) {
        return;
    }
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        note_line(r, line, attempt, &ranks);
    }
    free(text);
}

static lo_status read_journals(reading *r, const char *directory, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%.3000s/journal", directory);
    DIR *open = opendir(path);
    if (open == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? LO_OK
                                                   : lo_fail_errno(err, LO_IO, "%s: cannot be read", path);
    }
    lo_status status = LO_OK;
    for (struct dirent *e = readdir(open); e != NULL && status == LO_OK; e = readdir(open)) {
        uint64_t offset = 0;
        uint64_t skipped;
        if (sscanf(e->d_name, "attempt-%d-rank-", &r->attempt) == 1 && strstr(e->d_name, ".jnl") != NULL) {
            (void)snprintf(path, sizeof(path), "%.3000s/journal/%.200s", directory, e->d_name);
            status = lo_journal_scan(path, &offset, &skipped, note_record, r, err);
        }
    }
    (void)closedir(open);
    return status;
}

static int by_stage_and_attempt(const void *a, const void *b)
{
    const lo_plan_seen *x = a;
    const lo_plan_seen *y = b;
    return x->stage != y->stage ? (x->stage > y->stage) - (x->stage < y->stage)
                                : (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

lo_status lo_plan_study_read(const char *directory, const lo_job *job, lo_plan_seen **seen, int *count,
                             lo_error *err)
{
    reading r = {.job = job, .err = err};
    lo_status status = read_journals(&r, directory, err);
    if (status == LO_OK && r.count > 0) {
        qsort(r.seen, (size_t)r.count, sizeof(*r.seen), by_stage_and_attempt);
    }
    for (int i = 0; i < r.count && status == LO_OK; i++) {
        bool was_read = false;
        for (int before = 0; before < i; before++) {
            was_read = was_read || r.seen[before].attempt == r.seen[i].attempt;
        }
        if (!was_read) {
            read_log(&r, directory, r.seen[i].attempt);
        }
    }
    *seen = r.seen;
    *count = r.count;
    return status;
}
