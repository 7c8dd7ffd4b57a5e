/* leaveout merge: ensembles (and originals) of one job that were computed apart, as one study. Records go
 * from the sources' journals into the study's own; everything else is made from them, as if all had been
 * computed here. */
#include "base/fields.h"
#include "base/file.h"
#include "jobs/commands.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/kept.h"
#include "jobs/study/original.h"
#include "jobs/study/outcome.h"
#include "jobs/study/study.h"
#include "mpi/agree.h"
#include "mpi/run.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The stages whose records are merged. */
enum { STAGES = 2 };
static const struct {
    lo_stage stage;
    lo_key_group keys;
    const char *section, *what;
} stages[STAGES] = {{LO_STAGE_ENSEMBLE, LO_KEYS_ENSEMBLE, "ensemble", "model"},
                    {LO_STAGE_ORIGINALS, LO_KEYS_ORIGINALS, "originals", "original"}};

/* A study that is merged; of the one they go into only the ledgers are used. */
typedef struct source {
    const char *directory;
    lo_job *job;
    lo_ledger ledger[STAGES];
    lo_ensemble_file published; /* where models of compacted journals are */
    bool is_open;               /* that file */
    int64_t taken[STAGES];
} source;

typedef struct merge {
    source from[LO_MAX_OPERANDS], into;
    int count;
    int64_t keep; /* kept models that every source has */
    char processor[LO_MAX_PROCESSOR];
} merge;

static void source_close(source *s)
{
    lo_job_destroy(&s->job);
    for (int i = 0; i < STAGES; i++) {
        lo_ledger_destroy(&s->ledger[i]);
    }
    if (s->is_open) {
        lo_ensemble_close(&s->published);
    }
}

static void merge_free(merge *m)
{
    for (int i = 0; i < m->count; i++) {
        source_close(&m->from[i]);
    }
    source_close(&m->into);
    free(m);
}

/* ---- before anything is written ---- */

static lo_status nobody_works_there(const char *directory, lo_error *err)
{
    lo_attempt *list = NULL;
    int count = 0;
    const lo_attempt self = lo_attempt_self(1);
    LO_TRY(lo_attempt_list(directory, &self, &list, &count, err));
    lo_status status = LO_OK;
    for (int i = 0; i < count && status == LO_OK; i++) {
        if (list[i].live) {
            status = lo_fail(err, LO_STOPPED,
                             "%s: attempt %d works on this study (host %s, job %s); merge it when it is done",
                             directory, list[i].number, list[i].host,
                             list[i].job[0] != '\0' ? list[i].job : "none");
        }
    }
    free(list);
    return status;
}

/* Are the keys equal on which its records depend? */
static lo_status is_same_job(const source *first, const source *other, lo_error *err)
{
    for (int s = 0; s < STAGES; s++) {
        char text[1500] = "";
        if (!lo_job_has(first->job, stages[s].section) || !lo_job_has(other->job, stages[s].section) ||
            lo_job_digest(first->job, stages[s].keys) == lo_job_digest(other->job, stages[s].keys)) {
            continue;
        }
        (void)lo_job_differences(first->job, other->job, stages[s].keys, text, sizeof(text));
        text[strlen(text) - (text[0] != '\0')] = '\0'; /* the last line's end */
        return lo_fail(
            err, LO_USAGE,
            "%s is the study of another job than %s, which alone can be merged; it differs in (first "
            "as the study, second as the job)\n%s",
            other->directory, first->directory, text);
    }
    return LO_OK;
}

static bool is_same_directory(const char *a, const char *b)
{
    struct stat x;
    struct stat y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static lo_status open_sources(const lo_command_line *line, const char *into, merge *m, lo_error *err)
{
    for (int i = 0; i < line->operand_count; i++) {
        source *s = &m->from[m->count++];
        s->directory = line->operand[i];
        if (is_same_directory(s->directory, into)) {
            return lo_fail(err, LO_USAGE, "merge: %s is to be merged into itself", s->directory);
        }
        for (int k = 0; k < i; k++) {
            if (is_same_directory(s->directory, m->from[k].directory)) {
                return lo_fail(err, LO_USAGE, "merge: %s is named twice", s->directory);
            }
        }
        LO_TRY(lo_study_read_job(s->directory, &s->job, err));
        LO_TRY(is_same_job(&m->from[0], s, err));
        LO_TRY(nobody_works_there(s->directory, err));
        if (lo_job_has(s->job, "ensemble")) {
            const int64_t keep = lo_job_int(s->job, "ensemble.keep_models");
            m->keep = m->keep < 0 || keep < m->keep ? keep : m->keep;
        }
    }
    m->into.directory = into;
    return LO_OK;
}

/* The largest value of a growing key in all studies that have its section. */
static int64_t largest(const merge *m, const char *section, const char *key)
{
    int64_t most = 0;
    for (int i = -1; i < m->count; i++) {
        const lo_job *job = i < 0 ? m->into.job : m->from[i].job;
        if (job != NULL && lo_job_has(job, section) && lo_job_int(job, key) > most) {
            most = lo_job_int(job, key);
        }
    }
    return most;
}

/* The merged job is the first study's, as large as the largest. */
enum { OVERRIDES = 3, OVERRIDE_SIZE = 64 };
static int make_overrides(const merge *m, char text[OVERRIDES][OVERRIDE_SIZE])
{
    const lo_job *job = m->from[0].job;
    int count = 0;
    if (lo_job_has(job, "ensemble")) {
        const bool seeds = strncmp(lo_job_text(job, "ensemble.design"), "leave_", 6) == 0;
        const char *key = seeds ? "ensemble.seeds" : "ensemble.models";
        (void)snprintf(text[count++], OVERRIDE_SIZE, "%s=%lld", key, (long long)largest(m, "ensemble", key));
        (void)snprintf(text[count++], OVERRIDE_SIZE, "ensemble.keep_models=%lld", (long long)m->keep);
    }
    if (lo_job_has(job, "originals")) {
        (void)snprintf(text[count++], OVERRIDE_SIZE, "originals.seeds=%lld",
                       (long long)largest(m, "originals", "originals.seeds"));
    }
    return count;
}

/* ---- records ---- */

static lo_status stopped(lo_study *study, lo_error *err)
{
    lo_run_watch(&study->run);
    return study->run.stopping
               ? lo_fail(err, LO_STOPPED, "stopped (%s); merge again to go on", study->run.stop_reason)
               : LO_OK;
}

/* The row of a model in the source's ensemble.h5, of which all checksums hold. */
static lo_status find_published(source *s, int64_t model, int64_t *row, lo_error *err)
{
    int datasets;
    if (!s->is_open) {
        s->is_open = true;
        LO_TRY(lo_ensemble_open(s->directory, &s->published, err));
        LO_TRY(lo_h5_verify(&s->published.reader, &datasets, err));
    }
    for (*row = 0; *row < s->published.rows; ++*row) {
        if (s->published.model[*row] == model) {
            return LO_OK;
        }
    }
    return lo_fail(err, LO_DATA,
                   "%s: model %lld was compacted out of the journal, but ensemble.h5 does not hold it",
                   s->directory, (long long)model);
}

/* The payload of a model whose record was compacted, from its row of ensemble.h5, which holds all of it but
 * the last loss. */
static lo_status published_payload(source *s, const lo_study *study, int64_t model, char **payload,
                                   lo_error *err)
{
    int64_t row;
    int64_t seed = 0;
    uint8_t diverged = 0;
    LO_TRY(find_published(s, model, &row, err));
    lo_outcome o = {
        .n_train = study->data.train.count, .n_test = study->data.test.count, .loss = (double)NAN};
    char *buffer = calloc(1, lo_outcome_size(o.n_train, o.n_test));
    if (buffer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the outcomes of a model");
    }
    lo_outcome_map(&o, buffer);
    const struct {
        const char *path;
        lo_h5_type type;
        void *to;
    } fields[] = {{"/mask", LO_H5_U8, o.mask},
                  {"/train/correct", LO_H5_U8, o.train_correct},
                  {"/test/correct", LO_H5_U8, o.test_correct},
                  {"/train/logit", LO_H5_F32, o.train_margin},
                  {"/test/logit", LO_H5_F32, o.test_margin},
                  {"/seconds", LO_H5_F64, &o.seconds},
                  {"/test_accuracy", LO_H5_F64, &o.test_accuracy},
                  {"/seed", LO_H5_I64, &seed},
                  {"/processor", LO_H5_CHARS, o.processor},
                  {"/diverged", LO_H5_U8, &diverged}};
    lo_status status = s->published.n_train == o.n_train && s->published.n_test == o.n_test
                           ? LO_OK
                           : lo_fail(err, LO_DATA, "%s: ensemble.h5 is of another data set", s->directory);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && status == LO_OK; i++) {
        status = lo_h5_read(&s->published.reader, fields[i].path, fields[i].type, row, 1, fields[i].to, err);
    }
    o.seed = (uint64_t)seed;
    o.diverged = diverged;
    o.members = lo_count_bits(o.mask, o.n_train);
    lo_outcome_seal(&o, buffer);
    if (status != LO_OK) {
        free(buffer);
        return status;
    }
    *payload = buffer;
    return LO_OK;
}
_Static_assert((int)LO_MAX_PROCESSOR == (int)LO_H5_TEXT_SIZE, "a processor's name is a text of the file");

/* A task's payload, checked; *record its header. The caller frees it. */
static lo_status read_payload(source *s, const lo_study *study, int stage, int64_t task, lo_record *record,
                              char **payload, lo_error *err)
{
    const lo_ledger *ledger = &s->ledger[stage];
    const lo_entry *e = &ledger->entry[task];
    *payload = NULL;
    if (!e->compacted) {
        const lo_status status = lo_ledger_payload(ledger, task, record, payload, err);
        return status == LO_OK ? LO_OK
                               : lo_fail_prefix(err, status, "%s %lld cannot be merged", stages[stage].what,
                                                (long long)task);
    }
    *record = (lo_record){
        .task = (uint64_t)task, .digest = ledger->digest, .seconds = e->seconds, .value = e->value};
    if (stages[stage].stage != LO_STAGE_ENSEMBLE) {
        return lo_fail(err, LO_DATA,
                       "%s: original %lld was compacted out of the journal; originals are merged before",
                       s->directory, (long long)task);
    }
    record->payload_size = lo_outcome_size(study->data.train.count, study->data.test.count);
    return published_payload(s, study, task, payload, err);
}

/* Leaves of a payload what two computations of one task have in common: not how long it took, where, nor what
 * one of them may not hold: the last loss, which ensemble.h5 does not keep, and what the first logs of
 * originals did not have. */
static lo_status normalize(const lo_study *study, int stage, char **payload, size_t *size, lo_error *err)
{
    const int64_t n = study->data.train.count;
    if (stages[stage].stage == LO_STAGE_ENSEMBLE) {
        lo_outcome o;
        LO_TRY(lo_outcome_read(*payload, *size, n, study->data.test.count, &o, err));
        o.seconds = o.loss = 0;
        memset(o.processor, 0, sizeof(o.processor));
        lo_outcome_seal(&o, *payload);
        return LO_OK;
    }
    lo_original o;
    const int64_t epochs = lo_job_int(study->job, "train.epochs");
    LO_TRY(lo_original_read(payload, *size, n, epochs, 0, &o, err));
    *size = lo_original_size(n, epochs, o.logged);
    o.seconds = 0;
    memset(o.processor, 0, sizeof(o.processor));
    lo_original_without(&o, NULL);
    if (o.log.example[LO_LOG_GAP] != NULL) {
        lo_original_without(&o, o.log.example[LO_LOG_GAP]);
    }
    lo_original_seal(&o, *payload);
    return LO_OK;
}

/* Files that a finished task left beside its record. */
static lo_status check_files(const merge *m, const lo_study *study, const source *s, int stage, int64_t task,
                             lo_error *err)
{
    char path[PATH_MAX];
    if (stages[stage].stage == LO_STAGE_ORIGINALS) {
        return lo_original_check(s->directory, study->job, task, err);
    }
    lo_kept_model_path(s->directory, task, path, sizeof(path));
    return task < m->keep ? lo_check_weights(path, s->ledger[stage].digest, err) : LO_OK;
}

/* Reads a task in every study that has it. *differ: two of them are not equal; named in text. */
static lo_status check_task(merge *m, lo_study *study, int stage, int64_t task, bool *differ, char *text,
                            size_t text_size, lo_error *err)
{
    char *first = NULL;
    size_t size = 0;
    const char *where = NULL;
    bool wanted = false;
    lo_status status = LO_OK;
    *differ = false;
    for (int i = 0; i < m->count; i++) {
        wanted = wanted || m->from[i].ledger[stage].entry[task].file >= 0;
    }
    for (int i = -1; wanted && i < m->count && status == LO_OK; i++) {
        source *s = i < 0 ? &m->into : &m->from[i];
        lo_record record = {0};
        char *payload = NULL;
        if (s->ledger[stage].entry[task].file < 0) {
            continue;
        }
        status = read_payload(s, study, stage, task, &record, &payload, err);
        size_t own = record.payload_size;
        if (status == LO_OK) {
            status = normalize(study, stage, &payload, &own, err);
        }
        if (status == LO_OK && i >= 0) {
            status = check_files(m, study, s, stage, task, err);
        }
        if (status == LO_OK && first != NULL && (size != own || memcmp(first, payload, size) != 0)) {
            *differ = true;
            (void)snprintf(text, text_size, "%s %lld of %s and of %s", stages[stage].what, (long long)task,
                           where, s->directory);
        }
        if (status == LO_OK && first == NULL) {
            first = payload;
            size = own;
            where = s->directory;
            payload = NULL;
        }
        free(payload);
    }
    free(first);
    return status;
}

/* All of a stage, before any of it is copied. */
static lo_status check_stage(merge *m, lo_study *study, int stage, lo_error *err)
{
    enum { NAMED = 8 };
    char list[NAMED * 200] = "";
    int64_t different = 0;
    for (int64_t t = 0; t < m->into.ledger[stage].tasks; t++) {
        bool differ = false;
        char text[190];
        LO_TRY(stopped(study, err));
        LO_TRY(check_task(m, study, stage, t, &differ, text, sizeof(text), err));
        if (differ && different++ < NAMED) {
            const size_t used = strlen(list);
            (void)snprintf(list + used, sizeof(list) - used, "\n%s", text);
        }
    }
    return different == 0
               ? LO_OK
               : lo_fail(err, LO_DATA,
                         "merge: %lld %ss are there twice and not equal (other processors?); `isa` pins the "
                         "kernels, or merge studies that have none in common:%s%s",
                         (long long)different, stages[stage].what, list, different > NAMED ? "\n..." : "");
}

/* ---- files ---- */

static lo_status copy_file(const char *from, const char *to, lo_error *err)
{
    enum { PIECE = 1 << 20 };
    FILE *in = fopen(from, "rb");
    if (in == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", from);
    }
    lo_file out = {0};
    char *piece = malloc(PIECE);
    lo_status status = piece != NULL ? lo_file_begin(to, &out, err)
                                     : lo_fail(err, LO_INTERNAL, "no memory to copy %s", from);
    if (status == LO_OK) {
        for (size_t got = 1; got > 0 && status == LO_OK;) {
            got = fread(piece, 1, PIECE, in);
            if (fwrite(piece, 1, got, out.stream) != got) {
                status = lo_fail_errno(err, LO_IO, "%s: cannot write", to);
            }
        }
        if (status == LO_OK && ferror(in) != 0) {
            status = lo_fail_errno(err, LO_IO, "%s: cannot read", from);
        }
        status = lo_file_end(&out, status, err);
    }
    free(piece);
    (void)fclose(in);
    return status;
}

/* Before its record, as the task itself does it. */
static lo_status copy_weights(const merge *m, const lo_study *study, const source *s, int stage, int64_t task,
                              lo_error *err)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    if (stages[stage].stage == LO_STAGE_ENSEMBLE) {
        lo_kept_model_path(s->directory, task, from, sizeof(from));
        lo_kept_model_path(study->run.study, task, to, sizeof(to));
        return task < m->keep ? copy_file(from, to, err) : LO_OK;
    }
    const int64_t checkpoints = lo_job_length(study->job, "originals.checkpoints");
    for (int64_t c = 0; c <= checkpoints; c++) {
        const int64_t epochs = c < checkpoints ? lo_job_int_at(study->job, "originals.checkpoints", c) : 0;
        lo_original_path(s->directory, task, epochs, from, sizeof(from));
        lo_original_path(study->run.study, task, epochs, to, sizeof(to));
        LO_TRY(copy_file(from, to, err));
    }
    return LO_OK;
}

/* "ensemble-000017.ckpt" is that of task 17; -1: it is another stage's, or something else. */
static int64_t task_of_checkpoint(const char *name, const char *stage)
{
    const size_t length = strlen(stage);
    if (strncmp(name, stage, length) != 0 || name[length] != '-') {
        return -1;
    }
    char *end = NULL;
    const char *number = name + length + 1;
    const long long task = strtoll(number, &end, 10);
    return end != number && strcmp(end, ".ckpt") == 0 ? task : -1;
}

/* Trainings that are not finished go on where they were saved. Of two of one task the first is taken. */
static lo_status copy_checkpoints(const merge *m, const lo_study *study, const source *s, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/checkpoints", s->directory);
    DIR *directory = opendir(path);
    lo_status status = LO_OK;
    for (struct dirent *e = NULL; status == LO_OK && directory != NULL && (e = readdir(directory)) != NULL;) {
        for (int i = 0; i < STAGES && status == LO_OK; i++) {
            const lo_ledger *ledger = &m->into.ledger[i];
            const int64_t task = task_of_checkpoint(e->d_name, lo_stage_name(stages[i].stage));
            if (task < 0 || task >= ledger->tasks || ledger->entry[task].file >= 0) {
                continue;
            }
            char from[2 * PATH_MAX];
            char to[PATH_MAX];
            (void)snprintf(from, sizeof(from), "%s/%s", path, e->d_name);
            (void)snprintf(to, sizeof(to), "%s/checkpoints/%s", study->run.study, e->d_name);
            status = access(to, F_OK) == 0 ? LO_OK : copy_file(from, to, err);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return status;
}

/* ---- merging ---- */

static lo_status copy_task(merge *m, lo_study *study, source *s, int stage, int64_t task, lo_error *err)
{
    lo_record header;
    char *payload = NULL;
    LO_TRY(read_payload(s, study, stage, task, &header, &payload, err));
    lo_record record = {.kind = LO_RECORD_DONE,
                        .stage = stages[stage].stage,
                        .task = (uint64_t)task,
                        .digest = header.digest,
                        .seconds = header.seconds,
                        .value = header.value};
    lo_status status = copy_weights(m, study, s, stage, task, err);
    if (status == LO_OK) {
        status = lo_run_record(&study->run, &record, payload, header.payload_size, true, err);
    }
    free(payload);
    return status;
}

static lo_status copy_stage(merge *m, lo_study *study, int stage, lo_error *err)
{
    for (int64_t t = 0; t < m->into.ledger[stage].tasks; t++) {
        if (m->into.ledger[stage].entry[t].file >= 0) {
            continue;
        }
        for (int i = 0; i < m->count; i++) {
            if (m->from[i].ledger[stage].entry[t].file >= 0) {
                LO_TRY(stopped(study, err));
                LO_TRY(copy_task(m, study, &m->from[i], stage, t, err));
                m->from[i].taken[stage]++;
                break;
            }
        }
    }
    for (int i = 0; i < m->count && m->into.ledger[stage].tasks > 0; i++) {
        lo_run_say(&study->run, "event=merged stage=%s from=%s done=%lld taken=%lld",
                   lo_stage_name(stages[stage].stage), m->from[i].directory,
                   (long long)m->from[i].ledger[stage].done, (long long)m->from[i].taken[stage]);
    }
    return lo_ledger_read(&m->into.ledger[stage], err);
}

/* What the records say they were made on, of the first source that says it. */
static void find_processor(merge *m)
{
    for (int i = 0; i < m->count && m->processor[0] == '\0'; i++) {
        for (int s = 0; s < STAGES; s++) {
            const lo_ledger *ledger = &m->from[i].ledger[s];
            for (int k = 0; k < ledger->sources && m->processor[0] == '\0'; k++) {
                if (ledger->source[k].done > 0) {
                    lo_field(ledger->source[k].text, "processor", m->processor, sizeof(m->processor));
                }
            }
        }
    }
}

static lo_status read_ledgers(merge *m, const lo_study *study, lo_error *err)
{
    const int64_t tasks[STAGES] = {
        lo_study_planned(study->job),
        lo_job_has(study->job, "originals") ? lo_job_int(study->job, "originals.seeds") : 0};
    for (int i = -1; i < m->count; i++) {
        source *s = i < 0 ? &m->into : &m->from[i];
        for (int k = 0; k < STAGES; k++) {
            LO_TRY(lo_ledger_create(s->directory, stages[k].stage, lo_job_digest(study->job, stages[k].keys),
                                    tasks[k], &s->ledger[k], err));
            LO_TRY(lo_ledger_read(&s->ledger[k], err));
            for (int j = 0; j < s->ledger[k].sources && i >= 0; j++) {
                if (s->ledger[k].source[j].skipped > 0) {
                    return lo_fail(err, LO_DATA,
                                   "%s/journal/%s is damaged; `leaveout run` makes again what it has lost",
                                   s->directory, s->ledger[k].source[j].name);
                }
            }
        }
    }
    return LO_OK;
}

/* Rank 0: all is looked at before anything is recorded. */
static lo_status merge_records(merge *m, lo_study *study, lo_error *err)
{
    const char *own = study->run.processor;
    LO_TRY(read_ledgers(m, study, err));
    find_processor(m);
    for (int s = 0; s < STAGES; s++) {
        LO_TRY(check_stage(m, study, s, err));
    }
    char path[PATH_MAX];
    if (m->keep > 0) {
        (void)snprintf(path, sizeof(path), "%s/models", study->run.study);
        LO_TRY(lo_file_mkdirs(path, err));
    }
    if (m->into.ledger[1].tasks > 0) {
        (void)snprintf(path, sizeof(path), "%s/originals", study->run.study);
        LO_TRY(lo_file_mkdirs(path, err));
    }
    /* The journal's first record names the processor of what follows. */
    study->run.processor = m->processor[0] != '\0' ? m->processor : own;
    lo_status status = LO_OK;
    for (int s = 0; s < STAGES && status == LO_OK; s++) {
        status = copy_stage(m, study, s, err);
    }
    study->run.processor = own;
    for (int i = 0; i < m->count && status == LO_OK; i++) {
        status = copy_checkpoints(m, study, &m->from[i], err);
    }
    return status;
}

static lo_status merge_and_publish(lo_study *study, const void *self, lo_error *err)
{
    merge *m = *(merge *const *)self;
    const lo_status status = study->run.rank == 0 ? merge_records(m, study, err) : LO_OK;
    LO_TRY(lo_agree(study->run.comm, status, err));
    return lo_publish_all(study, err);
}

lo_status lo_command_merge(const lo_command_line *line, lo_error *err)
{
    const char *into = lo_option_value(line, "into");
    if (into == NULL || into[0] == '\0') {
        return lo_fail(err, LO_USAGE, "merge: --into DIR says where the merged study goes");
    }
    merge *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to merge studies");
    }
    m->keep = -1;
    char text[OVERRIDES][OVERRIDE_SIZE];
    const char *overrides[OVERRIDES] = {text[0], text[1], text[2]};
    char job[PATH_MAX];
    char there[PATH_MAX];
    lo_status status = open_sources(line, into, m, err);
    (void)snprintf(there, sizeof(there), "%s/job.yaml", into);
    if (status == LO_OK && access(there, F_OK) == 0) {
        status = lo_study_read_job(into, &m->into.job, err);
    }
    if (status == LO_OK) {
        (void)snprintf(job, sizeof(job), "%s/job.yaml", m->from[0].directory);
        const lo_study_options options = {.job_file = job,
                                          .directory = into,
                                          .overrides = overrides,
                                          .override_count = make_overrides(m, text),
                                          .reading = true};
        const merge *const self = m;
        status = lo_with_study(&options, merge_and_publish, &self, err);
    }
    merge_free(m);
    return status;
}
