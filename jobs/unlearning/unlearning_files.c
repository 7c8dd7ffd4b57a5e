#include "jobs/unlearning/unlearning_files.h"

#include "audit/feature.h"
#include "base/clock.h"
#include "base/file.h"
#include "jobs/study/farmed.h"
#include "jobs/study/kept.h"
#include "jobs/unlearning/evaluation.h"
#include "jobs/unlearning/forget_items.h"
#include "jobs/unlearning/unlearned.h"
#include "jobs/unlearning/unlearning_matched.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rank 0: is the file there, made from just this? `state` is a digest of all that it shows. */
static bool is_there(const lo_study *study, const char *name, uint64_t state)
{
    char path[PATH_MAX];
    char found[32] = "", wanted[32];
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, name);
    (void)snprintf(wanted, sizeof(wanted), "%016" PRIx64, state);
    if (access(path, F_OK) != 0 || lo_h5_open(path, &reader, NULL) != LO_OK) {
        return false;
    }
    (void)lo_h5_get_text(&reader, "/", "state", found, sizeof(found), NULL);
    lo_h5_close(&reader);
    return strcmp(found, wanted) == 0;
}

/* The same on all ranks: what rank 0 finds. */
static bool is_published(const lo_study *study, const char *name, uint64_t state)
{
    bool there = study->run.rank == 0 && is_there(study, name, state);
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

static lo_status write_common(const lo_study *study, lo_h5 *h, uint64_t state, lo_error *err)
{
    char text[32];
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    (void)snprintf(text, sizeof(text), "%016" PRIx64, lo_job_digest(study->job, LO_KEYS_UNLEARNING));
    LO_TRY(lo_h5_text(h, "/", "digest", text, err));
    (void)snprintf(text, sizeof(text), "%016" PRIx64, state);
    return lo_h5_text(h, "/", "state", text, err);
}

/* ---- forget.h5 and the list of tasks ---- */

static uint64_t state_of_sets(const lo_unlearning *u)
{
    uint64_t state = LO_DIGEST_START;
    for (int f = 0; f < u->forgotten_count; f++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%016" PRIx64 "\n", u->forgotten[f].digest);
        state = lo_digest(lo_digest(state, u->forgotten[f].name), text);
    }
    return lo_matched_digest(u, state);
}

/* How the set was chosen, as attributes of its group. */
static lo_status describe_set(lo_h5 *h, const lo_unlearning *u, const lo_forgotten *f, lo_error *err)
{
    char group[128];
    (void)snprintf(group, sizeof(group), "/%s", f->name);
    LO_TRY(
        lo_h5_text(h, group, "select", f->item != NULL ? lo_item_text(f->item, "select") : "sequence", err));
    LO_TRY(lo_h5_text(h, group, "by", f->item != NULL ? lo_item_text(f->item, "by") : "", err));
    LO_TRY(lo_h5_int(h, group, "seed", lo_job_int(u->job, "seed"), err));
    LO_TRY(lo_h5_int(h, group, "draw", f->item != NULL ? lo_item_int(f->item, "draw") : 0, err));
    LO_TRY(lo_h5_int(h, group, "whole_class", f->set.whole_class, err));
    return lo_h5_text(h, group, "after", f->before >= 0 ? u->forgotten[f->before].name : "", err);
}

static lo_status write_sets(lo_study *study, const lo_unlearning *u, lo_h5 *h, lo_error *err)
{
    const bool first = study->run.rank == 0;
    int *number = calloc((size_t)u->forgotten_count + 1, sizeof(*number));
    int64_t *index = calloc((size_t)u->data->train.count + 1, sizeof(*index));
    lo_matched_sets *other = calloc((size_t)u->forgotten_count + 1, sizeof(*other));
    lo_status status = number != NULL && index != NULL && other != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for forget.h5");
    status = lo_agree(study->run.comm, status, err);
    for (int f = 0; f < u->forgotten_count && status == LO_OK; f++) {
        const lo_forgotten *g = &u->forgotten[f];
        char path[128];
        (void)snprintf(path, sizeof(path), "/%s/index", g->name);
        status = lo_h5_add(h, path, LO_H5_I64, g->set.count, 0, 0, first ? g->set.count : 0, &number[f], err);
        if (status == LO_OK) {
            status = describe_set(h, u, g, err);
        }
        if (status == LO_OK) {
            status = lo_matched_add(h, u, f, first, &other[f], err);
        }
    }
    if (status == LO_OK) {
        status = write_common(study, h, state_of_sets(u), err);
    }
    for (int f = 0; f < u->forgotten_count && status == LO_OK; f++) {
        const lo_forget_set *set = &u->forgotten[f].set;
        for (int64_t i = 0; i < set->count; i++) {
            index[i] = u->data->train.index[set->position[i]];
        }
        status = lo_h5_write(h, number[f], first ? set->count : 0, index, LO_OK, err);
        if (status == LO_OK) {
            status = lo_matched_write(h, u, f, first, &other[f], err);
        }
    }
    free(number);
    free(index);
    free(other);
    return status;
}

static const char tasks_head[] = "# leaveout tasks 1: digest kind method forget_set seed model\n";

/* Rank 0. */
static lo_status write_task_names(const lo_study *study, const lo_unlearning *u, lo_error *err)
{
    char path[PATH_MAX];
    lo_file file;
    (void)snprintf(path, sizeof(path), "%s/unlearning.tasks", study->run.study);
    LO_TRY(lo_file_begin(path, &file, err));
    (void)fputs(tasks_head, file.stream);
    for (int64_t t = 0; t < u->tasks; t++) {
        const lo_unlearning_task *task = &u->task[t];
        char name[LO_NAME_OF_MODEL];
        lo_unlearning_name(u, task, name, sizeof(name));
        (void)fprintf(file.stream, "%016" PRIx64 " %s %s %s %" PRId64 " %s\n", task->digest,
                      lo_model_kind_name(task->kind),
                      task->unlearner >= 0 ? u->unlearner[task->unlearner].method->name : "-",
                      task->forgotten >= 0 ? u->forgotten[task->forgotten].name : "-", task->seed, name);
    }
    return lo_file_end(&file, LO_OK, err);
}

lo_status lo_publish_forget(lo_study *study, const lo_unlearning *u, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5 h = {.id = -1};
    LO_TRY(lo_study_lock(study, err));
    lo_status status =
        lo_agree(study->run.comm, study->run.rank == 0 ? write_task_names(study, u, err) : LO_OK, err);
    if (status == LO_OK && !is_published(study, "forget.h5", state_of_sets(u))) {
        (void)snprintf(path, sizeof(path), "%s/forget.h5", study->run.study);
        const uint64_t bytes = (uint64_t)u->data->train.count * (uint64_t)u->forgotten_count * 8 +
                               lo_matched_bytes(u) + (1 << 16);
        status = lo_h5_create(study->run.comm, path, bytes, &h, err);
        if (status == LO_OK) {
            status = lo_h5_commit(&h, write_sets(study, u, &h, err), err);
        }
        if (status == LO_OK) {
            study->news = true;
            lo_run_say(&study->run, "event=published file=forget.h5 forget_sets=%d", u->forgotten_count);
        }
    }
    lo_study_unlock(study);
    return status;
}

lo_status lo_read_tasks(const char *directory, lo_listed_task **tasks, int64_t *count, lo_error *err)
{
    enum { LIMIT = 1 << 28, LEAST_LINE = 24 };
    char path[PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    *tasks = NULL;
    *count = 0;
    (void)snprintf(path, sizeof(path), "%s/unlearning.tasks", directory);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_file_read(path, LIMIT, &text, &size, err));
    *tasks = calloc(size / LEAST_LINE + 1, sizeof(**tasks));
    lo_status status = *tasks != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %s", path);
    if (status == LO_OK && strncmp(text, tasks_head, strlen(tasks_head)) != 0) {
        status = lo_fail(err, LO_DATA, "%s:1: is not a list of tasks; `leaveout run` makes it again", path);
    }
    char *rest = text;
    for (char *line = strtok_r(text, "\n", &rest);
         status == LO_OK && (line = strtok_r(NULL, "\n", &rest)) != NULL;) {
        lo_listed_task *t = &(*tasks)[(*count)++];
        if (strlen(line) < LEAST_LINE - 1 ||
            sscanf(line, "%16" SCNx64 " %15s %*s %*s %*s %127s", &t->digest, t->kind, t->name) != 3) {
            status = lo_fail(err, LO_DATA, "%s:%lld: is not a task; `leaveout run` makes the file again",
                             path, (long long)*count + 1);
        }
    }
    free(text);
    if (status != LO_OK) {
        free(*tasks);
        *tasks = NULL;
        *count = 0;
    }
    return status;
}

lo_status lo_check_listed(const char *directory, const lo_job *job, const lo_listed_task *task,
                          const lo_entry *entry, lo_error *err)
{
    char path[PATH_MAX];
    const bool kept = lo_job_bool(job, "unlearning.keep_models") &&
                      strcmp(task->kind, lo_model_kind_name(LO_MODEL_ORIGINAL)) != 0 &&
                      strcmp(task->kind, lo_model_kind_name(LO_MODEL_MATCHED)) != 0;
    if (!kept || entry->file < 0 || entry->value == LO_NOTHING_MADE) {
        return LO_OK;
    }
    const bool oracle = strcmp(task->kind, lo_model_kind_name(LO_MODEL_ORACLE)) == 0;
    (void)snprintf(path, sizeof(path), "%s/%s/%s.safetensors", directory, oracle ? "oracles" : "unlearned",
                   task->name);
    return lo_check_weights(path, task->digest, err);
}

lo_status lo_read_listed(const char *directory, const lo_listed_task *tasks, int64_t count, lo_ledger *out,
                         lo_error *err)
{
    uint64_t *names = calloc((size_t)count + 1, sizeof(*names));
    if (names == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld tasks", (long long)count);
    }
    for (int64_t t = 0; t < count; t++) {
        names[t] = tasks[t].digest;
    }
    lo_status status = lo_ledger_create(directory, LO_STAGE_UNLEARNING, 0, count, out, err);
    if (status == LO_OK) {
        status = lo_ledger_name(out, names, err);
    }
    if (status == LO_OK) {
        status = lo_ledger_read(out, err);
    }
    free(names);
    return status;
}

/* ---- what the records hold ---- */

typedef struct publication {
    lo_study *study;
    const lo_ledger *ledger;
    lo_unlearning u;
    lo_measured *measured; /* [u.tasks] */
    lo_hits *hits;         /* [u.tasks, u.forgotten_count, LO_ON] */
    double *loss;          /* [u.tasks, u.forgotten_count, LO_LOSSES] */
    double *scratch;       /* [training or validation examples] */
    int64_t *model;        /* [models]: finished tasks that have one */
    int64_t models;
    int64_t first, count; /* those that this rank reads */
    uint64_t state;
} publication;

static lo_status prepare(publication *p, lo_error *err)
{
    const lo_unlearning *u = &p->u;
    const size_t tasks = (size_t)u->tasks + 1, row = (size_t)u->forgotten_count * LO_ON;
    p->measured = calloc(tasks, sizeof(*p->measured));
    p->hits = calloc(tasks * row + 1, sizeof(*p->hits));
    p->loss = calloc(tasks * (size_t)u->forgotten_count * LO_LOSSES + 1, sizeof(*p->loss));
    p->scratch = calloc((size_t)(u->data->train.count + u->data->validation.count) + 1, sizeof(*p->scratch));
    p->model = calloc(tasks, sizeof(*p->model));
    if (p->measured == NULL || p->hits == NULL || p->loss == NULL || p->scratch == NULL || p->model == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the evaluation of %lld models", (long long)u->tasks);
    }
    p->state = lo_digest(state_of_sets(u), lo_job_text(u->job, "unlearning.criterion"));
    for (int64_t t = 0; t < u->tasks; t++) {
        const lo_entry *e = &p->ledger->entry[t];
        char text[32];
        p->measured[t].hits = p->hits + (size_t)t * row;
        p->measured[t].loss = p->loss + (size_t)t * (size_t)u->forgotten_count * LO_LOSSES;
        if (e->file < 0) {
            continue;
        }
        if (e->value != LO_NOTHING_MADE) {
            p->model[p->models++] = t;
        }
        (void)snprintf(text, sizeof(text), "%016" PRIx64 "\n", u->task[t].digest);
        p->state = lo_digest(p->state, text);
    }
    lo_shard(p->models, 1, p->study->run.rank, p->study->run.ranks, &p->first, &p->count);
    return LO_OK;
}

static void publication_free(publication *p)
{
    free(p->measured);
    free(p->hits);
    free(p->loss);
    free(p->scratch);
    free(p->model);
    lo_unlearning_close(&p->u);
}

static lo_status count_hits(const publication *p, const lo_unlearned *model, int forgotten, lo_hits *hits,
                            lo_error *err)
{
    const lo_dataset *data = p->u.data;
    const lo_forget_set *set = &p->u.forgotten[forgotten].set;
    lo_logits logits[LO_PARTS];
    for (int part = 0; part < LO_PARTS; part++) {
        const lo_examples *e = lo_part(data, part);
        logits[part] = (lo_logits){model->logits[part], e->label, e->count, data->classes};
    }
    uint32_t *retained = lo_forget_retained(set, data->train.count);
    if (retained == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a retain set");
    }
    hits[LO_ON_FORGET] = lo_count_right(&logits[0], set->position, set->count);
    hits[LO_ON_RETAIN] = lo_count_right(&logits[0], retained, data->train.count - set->count);
    hits[LO_ON_VALIDATION] = lo_count_right(&logits[1], NULL, 0);
    hits[LO_ON_TEST] = lo_count_right(&logits[2], NULL, 0);
    free(retained);
    return LO_OK;
}

/* The mean loss on the rows [count] of a part (NULL: all) whose label is not `left` out (NULL: on all); NaN
 * without any. */
static double mean_loss(const publication *p, const lo_logits *logits, const uint32_t *rows, int64_t count,
                        const uint8_t *left)
{
    double sum = 0;
    int64_t used = 0;
    const int64_t n = rows != NULL ? count : logits->n;
    lo_features(logits, rows, count, LO_FEATURE_LOSS, p->scratch);
    for (int64_t i = 0; i < n; i++) {
        if (left == NULL || left[lo_logits_label(logits, rows, i)] == 0) {
            sum += p->scratch[i];
            used++;
        }
    }
    return used > 0 ? sum / (double)used : (double)NAN;
}

/* gone [classes]: 1 for classes of which no example is retained. */
static void mark_gone(const lo_dataset *data, const lo_forget_set *set, uint8_t *gone)
{
    memset(gone, 1, (size_t)data->classes);
    for (int64_t i = 0, next = 0; i < data->train.count; i++) {
        if (next < set->count && set->position[next] == (uint32_t)i) {
            next++;
        } else {
            gone[data->train.label[i]] = 0;
        }
    }
}

/* What criterion validation_loss compares. */
static lo_status measure_losses(const publication *p, const lo_unlearned *model, int forgotten, double *loss,
                                lo_error *err)
{
    const lo_dataset *data = p->u.data;
    const lo_forget_set *set = &p->u.forgotten[forgotten].set;
    const lo_logits train = {model->logits[0], data->train.label, data->train.count, data->classes};
    const lo_logits held = {model->logits[1], data->validation.label, data->validation.count, data->classes};
    uint8_t *gone = malloc((size_t)data->classes + 1);
    uint32_t *rows = calloc((size_t)set->count + 1, sizeof(*rows));
    if (gone == NULL || rows == NULL) {
        free(gone);
        free(rows);
        return lo_fail(err, LO_INTERNAL, "no memory for the classes");
    }
    mark_gone(data, set, gone);
    int64_t count = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (gone[data->train.label[set->position[i]]] != 0) {
            rows[count++] = set->position[i];
        }
    }
    loss[LO_LOSS_FORGET] = mean_loss(p, &train, set->position, set->count, gone);
    loss[LO_LOSS_UNSEEN] = mean_loss(p, &held, NULL, 0, gone);
    loss[LO_LOSS_GONE] = count > 0 ? lo_accuracy(lo_count_right(&train, rows, count)) : 0;
    free(gone);
    free(rows);
    return LO_OK;
}

static lo_status measure(publication *p, int64_t task, const lo_unlearned *model, lo_error *err)
{
    lo_measured *m = &p->measured[task];
    const int about = p->u.task[task].forgotten;
    m->done = 1;
    m->applies = model->applies;
    m->diverged = model->diverged;
    m->seconds = model->seconds;
    memcpy(m->shown, model->shown, sizeof(m->shown));
    memcpy(m->reason, model->reason, sizeof(m->reason));
    memcpy(m->processor, model->processor, sizeof(m->processor));
    for (int f = 0; f < p->u.forgotten_count && model->applies != 0; f++) {
        if (about < 0 || about == f) {
            LO_TRY(count_hits(p, model, f, m->hits + (size_t)f * LO_ON, err));
            LO_TRY(measure_losses(p, model, f, m->loss + (size_t)f * LO_LOSSES, err));
        }
    }
    return LO_OK;
}

/* A task's record, measured; *payload, which the caller frees, holds it. *damaged: it does not hold and was
 * declared void; `model` is then one without anything. */
static lo_status load(publication *p, int64_t task, lo_unlearned *model, char **payload, bool *damaged,
                      lo_error *err)
{
    lo_record record;
    lo_status status = lo_ledger_payload(p->ledger, task, &record, payload, err);
    if (status == LO_OK) {
        status = lo_unlearned_read(*payload, record.payload_size, p->u.data, model, err);
    }
    if (status == LO_DATA) {
        const lo_error why = *err;
        *damaged = true;
        *model = lo_unlearned_make(p->u.data);
        free(*payload);
        *payload = calloc(1, lo_unlearned_size(model));
        if (*payload == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the outputs of a model");
        }
        lo_unlearned_map(model, *payload);
        return lo_farmed_void(p->study, p->ledger, task, why.text, err);
    }
    return status == LO_OK ? measure(p, task, model, err) : status;
}

/* Rank 0: the tasks that left no model. */
static lo_status load_others(publication *p, bool *damaged, lo_error *err)
{
    for (int64_t t = 0; t < p->u.tasks; t++) {
        const lo_entry *e = &p->ledger->entry[t];
        if (e->file >= 0 && e->value == LO_NOTHING_MADE) {
            lo_unlearned model;
            char *payload = NULL;
            const lo_status status = load(p, t, &model, &payload, damaged, err);
            free(payload);
            LO_TRY(status);
        }
    }
    return LO_OK;
}

/* What each rank measured, for all: one rank has a task, the others have zeros. */
static void share_measured(publication *p)
{
    MPI_Comm comm = p->study->run.comm;
    for (int64_t t = 0; t < p->u.tasks; t++) {
        lo_measured *m = &p->measured[t];
        int64_t numbers[3 + LO_SETS] = {m->done, m->applies, m->diverged};
        memcpy(numbers + 3, m->shown, sizeof(m->shown));
        MPI_Allreduce(MPI_IN_PLACE, numbers, 3 + LO_SETS, MPI_INT64_T, MPI_SUM, comm);
        m->done = numbers[0];
        m->applies = numbers[1];
        m->diverged = numbers[2];
        memcpy(m->shown, numbers + 3, sizeof(m->shown));
        MPI_Allreduce(MPI_IN_PLACE, &m->seconds, 1, MPI_DOUBLE, MPI_SUM, comm);
        MPI_Allreduce(MPI_IN_PLACE, m->reason, LO_REASON, MPI_CHAR, MPI_MAX, comm);
        MPI_Allreduce(MPI_IN_PLACE, m->processor, LO_MAX_PROCESSOR, MPI_CHAR, MPI_MAX, comm);
        MPI_Allreduce(MPI_IN_PLACE, m->loss, p->u.forgotten_count * LO_LOSSES, MPI_DOUBLE, MPI_SUM, comm);
        MPI_Allreduce(MPI_IN_PLACE, m->hits, p->u.forgotten_count * LO_ON * 2, MPI_INT64_T, MPI_SUM, comm);
    }
}

/* ---- outputs.h5 ---- */

static const char *const parts[LO_PARTS] = {"train", "validation", "test"};

enum { KIND, METHOD, FORGET_SET, SETTING, NAME, TEXTS };
static const char *const texts[TEXTS] = {"/model/kind", "/model/method", "/model/forget_set",
                                         "/model/setting", "/model/name"};

typedef struct output_sets {
    int text[TEXTS], seed, logit[LO_PARTS], index[LO_PARTS], label[LO_PARTS];
} output_sets;

static void describe_model(const lo_unlearning *u, const lo_unlearning_task *t,
                           char text[TEXTS][LO_H5_TEXT_SIZE])
{
    const lo_unlearner *l = t->unlearner >= 0 ? &u->unlearner[t->unlearner] : NULL;
    memset(text, 0, (size_t)TEXTS * LO_H5_TEXT_SIZE);
    (void)snprintf(text[KIND], LO_H5_TEXT_SIZE, "%s", lo_model_kind_name(t->kind));
    (void)snprintf(text[METHOD], LO_H5_TEXT_SIZE, "%s",
                   l != NULL ? l->method->name : lo_model_kind_name(t->kind));
    (void)snprintf(text[FORGET_SET], LO_H5_TEXT_SIZE, "%s",
                   t->forgotten >= 0 ? u->forgotten[t->forgotten].name : "");
    (void)snprintf(text[SETTING], LO_H5_TEXT_SIZE, "%s",
                   l != NULL && l->suffix[0] != '\0' ? l->canonical : "");
    lo_unlearning_name(u, t, text[NAME], LO_H5_TEXT_SIZE);
}

static lo_status add_outputs(publication *p, lo_h5 *h, output_sets *sets, lo_error *err)
{
    const lo_dataset *data = p->u.data;
    for (int i = 0; i < TEXTS; i++) {
        LO_TRY(lo_h5_add(h, texts[i], LO_H5_CHARS, p->models, 0, p->first, p->count, &sets->text[i], err));
    }
    LO_TRY(lo_h5_add(h, "/model/seed", LO_H5_I64, p->models, 0, p->first, p->count, &sets->seed, err));
    for (int i = 0; i < LO_PARTS; i++) {
        const int64_t n = lo_part(data, i)->count, mine = p->study->run.rank == 0 ? n : 0;
        char path[64];
        if (n == 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/%s/logit", parts[i]);
        LO_TRY(lo_h5_add(h, path, LO_H5_F32, p->models, n * data->classes, p->first, p->count,
                         &sets->logit[i], err));
        LO_TRY(lo_h5_text(h, path, "meaning",
                          "row: model; columns: `classes` logits of each example, in the order of index",
                          err));
        (void)snprintf(path, sizeof(path), "/%s/index", parts[i]);
        LO_TRY(lo_h5_add(h, path, LO_H5_I64, n, 0, 0, mine, &sets->index[i], err));
        (void)snprintf(path, sizeof(path), "/%s/label", parts[i]);
        LO_TRY(lo_h5_add(h, path, LO_H5_I32, n, 0, 0, mine, &sets->label[i], err));
    }
    LO_TRY(lo_h5_int(h, "/", "classes", data->classes, err));
    return write_common(p->study, h, p->state, err);
}

/* Collective. The row of a model, or of ranks that have none left, nothing. */
static lo_status write_output(publication *p, lo_h5 *h, const output_sets *sets, int64_t row, bool *damaged,
                              lo_error *err)
{
    const bool mine = row < p->count;
    const int64_t task = mine ? p->model[p->first + row] : -1;
    char text[TEXTS][LO_H5_TEXT_SIZE];
    lo_unlearned model = {0};
    char *payload = NULL;
    lo_status status = mine ? load(p, task, &model, &payload, damaged, err) : LO_OK;
    status = lo_agree(p->study->run.comm, status, err);
    if (mine) {
        describe_model(&p->u, &p->u.task[task], text);
    }
    for (int i = 0; i < TEXTS && status == LO_OK; i++) {
        status = lo_h5_write(h, sets->text[i], mine, text[i], LO_OK, err);
    }
    if (status == LO_OK) {
        status = lo_h5_write(h, sets->seed, mine, mine ? &p->u.task[task].seed : NULL, LO_OK, err);
    }
    for (int i = 0; i < LO_PARTS && status == LO_OK; i++) {
        if (lo_part(p->u.data, i)->count > 0) {
            status = lo_h5_write(h, sets->logit[i], mine, model.logits[i], LO_OK, err);
        }
    }
    free(payload);
    return status;
}

static lo_status write_outputs(publication *p, lo_h5 *h, bool *damaged, lo_error *err)
{
    output_sets sets;
    int64_t most = p->count;
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, p->study->run.comm);
    LO_TRY(add_outputs(p, h, &sets, err));
    for (int i = 0; i < LO_PARTS; i++) {
        const lo_examples *e = lo_part(p->u.data, i);
        const int64_t rows = p->study->run.rank == 0 ? e->count : 0;
        if (e->count > 0) {
            LO_TRY(lo_h5_write(h, sets.index[i], rows, e->index, LO_OK, err));
            LO_TRY(lo_h5_write(h, sets.label[i], rows, e->label, LO_OK, err));
        }
    }
    for (int64_t row = 0; row < most; row++) {
        LO_TRY(write_output(p, h, &sets, row, damaged, err));
        if (p->study->run.rank == 0) {
            lo_run_watch(&p->study->run); /* the heartbeat goes on */
        }
    }
    return LO_OK;
}

static lo_status publish_outputs(publication *p, bool *damaged, lo_error *err)
{
    const double start = lo_clock_monotonic();
    MPI_Comm comm = p->study->run.comm;
    char path[PATH_MAX];
    lo_h5 h = {.id = -1};
    lo_unlearned size = lo_unlearned_make(p->u.data);
    (void)snprintf(path, sizeof(path), "%s/outputs.h5", p->study->run.study);
    LO_TRY(lo_agree(comm, p->study->run.rank == 0 ? load_others(p, damaged, err) : LO_OK, err));
    LO_TRY(lo_h5_create(comm, path, (uint64_t)p->models * lo_unlearned_size(&size) + (1 << 20), &h, err));
    lo_status status = write_outputs(p, &h, damaged, err);
    MPI_Allreduce(MPI_IN_PLACE, damaged, 1, MPI_C_BOOL, MPI_LOR, comm);
    const lo_status committed = lo_h5_commit(&h, status == LO_OK && *damaged ? LO_DATA : status, err);
    if (*damaged && status == LO_OK) {
        return LO_OK;
    }
    if (committed == LO_OK) {
        p->study->news = true;
        lo_run_say(&p->study->run, "event=published file=outputs.h5 models=%lld seconds=%.2f",
                   (long long)p->models, lo_clock_monotonic() - start);
    }
    return committed;
}

/* ---- evaluation.h5 ---- */

/* One column of the file, all of it rank 0's. */
typedef struct column {
    char path[64];
    lo_h5_type type;
    char *data; /* owned */
    int number;
} column;

typedef struct table {
    column column[24 + 4 * LO_EVAL_METRICS];
    int columns;
    int64_t rows;
} table;

/* A column of zeros; NULL without memory. */
static char *add_column(table *t, lo_h5_type type, const char *group, const char *name)
{
    column *c = &t->column[t->columns++];
    (void)snprintf(c->path, sizeof(c->path), "/%s/%s", group, name);
    c->type = type;
    c->data = calloc((size_t)t->rows + 1, lo_h5_size(type));
    return c->data;
}

typedef const char *text_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE]);

static const char *method_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    (void)buffer;
    return lo_eval_method(&p->u, row);
}

static const char *set_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    (void)buffer;
    return p->u.forgotten[row->forgotten].name;
}

/* What does not fit keeps the digest of the whole at its end: methods that differ only there are two. */
static const char *setting_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    const char *text = lo_eval_setting(&p->u, row);
    if (strlen(text) < LO_H5_TEXT_SIZE) {
        return text;
    }
    const char *suffix = p->u.unlearner[row->task->unlearner].suffix;
    (void)snprintf(buffer, LO_H5_TEXT_SIZE, "%.*s...%s", LO_H5_TEXT_SIZE - 4 - (int)strlen(suffix), text,
                   suffix);
    return buffer;
}

lo_status lo_read_setting(const lo_h5_reader *evaluation, const char *method, const char *setting,
                          const char *model, char *out, size_t size, lo_error *err)
{
    char name[2 * LO_H5_TEXT_SIZE];
    const char *suffix = strrchr(model, '-');
    if (strlen(setting) < LO_H5_TEXT_SIZE - 1 || suffix == NULL) {
        (void)snprintf(out, size, "%s", setting);
        return LO_OK;
    }
    (void)snprintf(name, sizeof(name), "%s%s", method, suffix);
    return lo_h5_get_text(evaluation, "/run", name, out, size, err);
}

static const char *kind_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    (void)p;
    (void)buffer;
    return lo_model_kind_name(row->task->kind);
}

static const char *model_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    lo_unlearning_name(&p->u, row->task, buffer, LO_H5_TEXT_SIZE);
    return buffer;
}

static const char *reason_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    (void)p;
    (void)buffer;
    return row->measured->reason;
}

static const char *processor_of(const publication *p, const lo_eval_row *row, char buffer[LO_H5_TEXT_SIZE])
{
    (void)p;
    (void)buffer;
    return row->measured->processor;
}

static bool fill_texts(const publication *p, const lo_eval_row *rows, table *t)
{
    static const struct {
        const char *name;
        text_of *text;
    } names[] = {{"method", method_of}, {"forget_set", set_of}, {"setting", setting_of},    {"kind", kind_of},
                 {"model", model_of},   {"reason", reason_of},  {"processor", processor_of}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *data = add_column(t, LO_H5_CHARS, "run", names[i].name);
        for (int64_t r = 0; data != NULL && r < t->rows; r++) {
            char buffer[LO_H5_TEXT_SIZE];
            (void)snprintf(data + r * LO_H5_TEXT_SIZE, LO_H5_TEXT_SIZE, "%s",
                           names[i].text(p, &rows[r], buffer));
        }
        if (data == NULL) {
            return false;
        }
    }
    return true;
}

static bool fill_numbers(const lo_eval_row *rows, table *t)
{
    static const char *const shown[LO_SETS] = {"read_forget", "read_retain", "read_validation"};
    int64_t *seed = (int64_t *)(void *)add_column(t, LO_H5_I64, "run", "seed");
    double *seconds = (double *)(void *)add_column(t, LO_H5_F64, "run", "seconds");
    uint8_t *diverged = (uint8_t *)add_column(t, LO_H5_U8, "run", "diverged");
    uint8_t *applies = (uint8_t *)add_column(t, LO_H5_U8, "run", "applies");
    uint8_t *chosen = (uint8_t *)add_column(t, LO_H5_U8, "run", "chosen");
    int64_t *read[LO_SETS];
    bool all = seed != NULL && seconds != NULL && diverged != NULL && applies != NULL && chosen != NULL;
    for (int s = 0; s < LO_SETS; s++) {
        read[s] = (int64_t *)(void *)add_column(t, LO_H5_I64, "run", shown[s]);
        all = all && read[s] != NULL;
    }
    for (int64_t r = 0; all && r < t->rows; r++) {
        const lo_measured *m = rows[r].measured;
        seed[r] = rows[r].task->seed;
        seconds[r] = m->seconds;
        diverged[r] = m->diverged != 0;
        applies[r] = m->applies != 0;
        chosen[r] = rows[r].chosen;
        for (int s = 0; s < LO_SETS; s++) {
            read[s][r] = m->shown[s];
        }
    }
    return all;
}

static bool fill_metrics(const lo_eval_row *rows, table *t)
{
    static const char *const fields[4] = {"value", "low", "high", "ceiling"};
    for (int m = 0; m < LO_EVAL_METRICS; m++) {
        for (int f = 0; f < 4; f++) {
            double *data =
                (double *)(void *)add_column(t, LO_H5_F64, lo_eval_name((lo_eval_metric)m), fields[f]);
            for (int64_t r = 0; data != NULL && r < t->rows; r++) {
                const lo_bounded *b = &rows[r].value[m];
                data[r] = f == 0 ? b->value : f == 1 ? b->low : f == 2 ? b->high : rows[r].ceiling[m];
            }
            if (data == NULL) {
                return false;
            }
        }
    }
    return true;
}

static lo_status write_table(publication *p, table *t, lo_h5 *h, lo_error *err)
{
    const int64_t mine = p->study->run.rank == 0 ? t->rows : 0;
    char path[64];
    for (int c = 0; c < t->columns; c++) {
        column *k = &t->column[c];
        LO_TRY(lo_h5_add(h, k->path, k->type, t->rows, 0, 0, mine, &k->number, err));
    }
    for (int m = 0; m < LO_EVAL_METRICS; m++) {
        (void)snprintf(path, sizeof(path), "/%s", lo_eval_name((lo_eval_metric)m));
        LO_TRY(lo_h5_text(h, path, "description", lo_eval_description((lo_eval_metric)m), err));
    }
    for (int i = 0; i < p->u.unlearner_count; i++) {
        const lo_unlearner *l = &p->u.unlearner[i];
        (void)snprintf(path, sizeof(path), "%s%s", l->method->name, l->suffix);
        LO_TRY(lo_h5_text(h, "/run", path, l->canonical, err));
    }
    char names[1024] = "";
    for (int m = 0; m < LO_EVAL_METRICS; m++) {
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof(names) - used, "%s%s", m > 0 ? " " : "",
                       lo_eval_name((lo_eval_metric)m));
    }
    LO_TRY(lo_h5_text(h, "/", "metrics", names, err));
    LO_TRY(write_common(p->study, h, p->state, err));
    for (int c = 0; c < t->columns; c++) {
        LO_TRY(lo_h5_write(h, t->column[c].number, mine, t->column[c].data, LO_OK, err));
    }
    return LO_OK;
}

/* Rank 0: a line for each method on each set, the mean over seeds. Rows of one stand together. */
static void say_table(publication *p, const lo_eval_row *rows, int64_t count)
{
    static const lo_eval_metric shown[] = {
        LO_EVAL_UNLEARNING_ACCURACY,      LO_EVAL_RETAIN_ACCURACY, LO_EVAL_TEST_ACCURACY, LO_EVAL_TOW,
        LO_EVAL_ORIGINAL_FORGET_ACCURACY, LO_EVAL_TIME_RATIO};
    enum { SHOWN = sizeof(shown) / sizeof(shown[0]) };
    for (int64_t r = 0, next; r < count; r = next) {
        double mean[SHOWN] = {0};
        int64_t seeds = 0;
        const lo_eval_row *first = &rows[r];
        for (next = r;
             next < count && rows[next].task->kind == first->task->kind &&
             rows[next].forgotten == first->forgotten && rows[next].task->unlearner == first->task->unlearner;
             next++) {
            seeds += rows[next].measured->applies != 0;
            for (int m = 0; m < SHOWN && rows[next].measured->applies != 0; m++) {
                mean[m] += rows[next].value[shown[m]].value;
            }
        }
        const char *suffix = first->task->unlearner >= 0 ? p->u.unlearner[first->task->unlearner].suffix : "";
        if (seeds == 0) {
            lo_run_say(&p->study->run, "event=evaluation forget_set=%s method=%s%s applies=no reason=\"%s\"",
                       p->u.forgotten[first->forgotten].name, lo_eval_method(&p->u, first), suffix,
                       first->measured->reason);
            continue;
        }
        const bool searched =
            first->task->unlearner >= 0 && p->u.unlearner[first->task->unlearner].rivals >= 0;
        const char *choice = !searched ? "" : first->chosen ? " chosen=yes" : " chosen=no";
        char time[32] = "";
        if (first->task->kind != LO_MODEL_ORIGINAL) {
            (void)snprintf(time, sizeof(time), " time_ratio=%.4f", mean[5] / (double)seeds);
        }
        lo_run_say(&p->study->run,
                   "event=evaluation forget_set=%s method=%s%s seeds=%lld UA=%.4f RA=%.4f TA=%.4f tow=%.4f "
                   "tow_ceiling=%.4f original_forget_accuracy=%.4f%s%s",
                   p->u.forgotten[first->forgotten].name, lo_eval_method(&p->u, first), suffix,
                   (long long)seeds, mean[0] / (double)seeds, mean[1] / (double)seeds,
                   mean[2] / (double)seeds, mean[3] / (double)seeds, first->ceiling[LO_EVAL_TOW],
                   mean[4] / (double)seeds, time, choice);
    }
}

static lo_status publish_evaluation(publication *p, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5 h = {.id = -1};
    table t = {0};
    lo_eval_row *rows = NULL;
    share_measured(p);
    lo_status status = lo_evaluate(&p->u, p->measured, &rows, &t.rows, err);
    if (status == LO_OK && !(fill_texts(p, rows, &t) && fill_numbers(rows, &t) && fill_metrics(rows, &t))) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the table of evaluation.h5");
    }
    status = lo_agree(p->study->run.comm, status, err);
    if (status == LO_OK) {
        (void)snprintf(path, sizeof(path), "%s/evaluation.h5", p->study->run.study);
        status = lo_h5_create(p->study->run.comm, path, (uint64_t)t.rows * 2048 + (1 << 20), &h, err);
    }
    if (status == LO_OK) {
        status = lo_h5_commit(&h, write_table(p, &t, &h, err), err);
    }
    if (status == LO_OK) {
        say_table(p, rows, t.rows);
        lo_run_say(&p->study->run, "event=published file=evaluation.h5 runs=%lld", (long long)t.rows);
    }
    for (int c = 0; c < t.columns; c++) {
        free(t.column[c].data);
    }
    free(rows);
    return status;
}

lo_status lo_publish_unlearning(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err)
{
    publication p = {.study = study, .ledger = ledger};
    *damaged = false;
    LO_TRY(lo_ledger_share(ledger, study->run.comm, err));
    LO_TRY(lo_study_lock(study, err));
    lo_status status = lo_unlearning_open(study, &p.u, err);
    if (status == LO_OK && p.u.tasks != ledger->tasks) {
        status = lo_fail(err, LO_INTERNAL, "%lld tasks of unlearning are known, %lld are asked for",
                         (long long)ledger->tasks, (long long)p.u.tasks);
    }
    if (status == LO_OK) {
        status = lo_agree(study->run.comm, prepare(&p, err), err);
    }
    const bool wanted =
        status == LO_OK && ledger->done > 0 &&
        !(is_published(study, "outputs.h5", p.state) && is_published(study, "evaluation.h5", p.state));
    if (wanted) {
        status = publish_outputs(&p, damaged, err);
    }
    if (wanted && status == LO_OK && !*damaged) {
        status = publish_evaluation(&p, err);
    }
    publication_free(&p);
    lo_study_unlock(study);
    return status;
}
