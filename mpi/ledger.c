#include "mpi/ledger.h"

#include "mpi/agree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *lo_stage_name(lo_stage stage)
{
    switch (stage) {
    case LO_STAGE_ENSEMBLE:
        return "ensemble";
    case LO_STAGE_ORIGINALS:
        return "originals";
    case LO_STAGE_UNLEARNING:
        return "unlearning";
    case LO_STAGE_SCORES:
        return "scores";
    case LO_STAGE_SCALING:
        return "scaling";
    case LO_STAGE_INFLUENCE:
        return "influence";
    case LO_STAGE_ATTRIBUTION:
        return "attribution";
    case LO_STAGE_AUDIT:
        return "audit";
    case LO_STAGES:
        break;
    }
    return "unknown";
}

lo_status lo_ledger_create(const char *study, lo_stage stage, uint64_t digest, int64_t tasks, lo_ledger *out,
                           lo_error *err)
{
    *out = (lo_ledger){.stage = stage, .digest = digest, .tasks = tasks};
    (void)snprintf(out->study, sizeof(out->study), "%s", study);
    out->entry = calloc((size_t)(tasks > 0 ? tasks : 1), sizeof(*out->entry));
    if (out->entry == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a ledger of %lld tasks", (long long)tasks);
    }
    for (int64_t t = 0; t < tasks; t++) {
        out->entry[t].file = -1;
    }
    return LO_OK;
}

struct lo_named {
    uint64_t digest;
    int64_t task;
};

static int by_digest(const void *a, const void *b)
{
    const struct lo_named *x = a, *y = b;
    return x->digest < y->digest ? -1 : x->digest > y->digest;
}

lo_status lo_ledger_name(lo_ledger *ledger, const uint64_t *name, lo_error *err)
{
    const size_t tasks = (size_t)ledger->tasks;
    ledger->named = calloc(tasks + 1, sizeof(*ledger->named));
    ledger->name = calloc(tasks + 1, sizeof(*ledger->name));
    if (ledger->named == NULL || ledger->name == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the names of %zu tasks", tasks);
    }
    for (size_t t = 0; t < tasks; t++) {
        ledger->name[t] = name[t];
        ledger->named[t] = (struct lo_named){name[t], (int64_t)t};
    }
    qsort(ledger->named, tasks, sizeof(*ledger->named), by_digest);
    for (size_t t = 1; t < tasks; t++) {
        if (ledger->named[t].digest == ledger->named[t - 1].digest) {
            return lo_fail(err, LO_INTERNAL, "tasks %lld and %lld of stage %s have one digest",
                           (long long)ledger->named[t - 1].task, (long long)ledger->named[t].task,
                           lo_stage_name(ledger->stage));
        }
    }
    return LO_OK;
}

uint64_t lo_ledger_digest(const lo_ledger *ledger, int64_t task)
{
    return ledger->name != NULL ? ledger->name[task] : ledger->digest;
}

/* Whose record it is; -1: of no task of this ledger. */
static int64_t task_of(const lo_ledger *ledger, const lo_record *record)
{
    if (ledger->named == NULL) {
        const bool ours = record->digest == ledger->digest && record->task < (uint64_t)ledger->tasks;
        return ours ? (int64_t)record->task : -1;
    }
    const struct lo_named key = {.digest = record->digest};
    const struct lo_named *found =
        bsearch(&key, ledger->named, (size_t)ledger->tasks, sizeof(key), by_digest);
    return found != NULL ? found->task : -1;
}

void lo_ledger_destroy(lo_ledger *ledger)
{
    for (int i = 0; i < ledger->sources; i++) {
        free(ledger->source[i].text);
    }
    free(ledger->source);
    free(ledger->entry);
    free(ledger->named);
    free(ledger->name);
    free(ledger->voided);
    *ledger = (lo_ledger){0};
}

void lo_ledger_path(const lo_ledger *ledger, int32_t file, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/journal/%s", ledger->study, ledger->source[file].name);
}

struct lo_void {
    char name[48];
    uint64_t at;
};

typedef struct reading {
    lo_ledger *ledger;
    int32_t file;
} reading;

static bool is_void(const lo_ledger *ledger, const char *name, uint64_t at)
{
    for (int i = 0; i < ledger->voids; i++) {
        if (ledger->voided[i].at == at && strcmp(ledger->voided[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A DONE record found damaged is named "FILE OFFSET"; whichever of the two is read first, it must not count.
 */
static lo_status void_record(lo_ledger *ledger, const char *text)
{
    struct lo_void v = {{0}, 0};
    unsigned long long at;
    if (sscanf(text, "%47s %llu", v.name, &at) != 2) {
        return LO_OK;
    }
    v.at = at;
    if (is_void(ledger, v.name, v.at)) {
        return LO_OK;
    }
    struct lo_void *larger = realloc(ledger->voided, (size_t)(ledger->voids + 1) * sizeof(*larger));
    if (larger == NULL) {
        return LO_INTERNAL;
    }
    ledger->voided = larger;
    ledger->voided[ledger->voids++] = v;
    for (int64_t t = 0; t < ledger->tasks; t++) {
        lo_entry *e = &ledger->entry[t];
        if (e->file >= 0 && e->at == v.at && strcmp(ledger->source[e->file].name, v.name) == 0) {
            ledger->outdated = true;
        }
    }
    return LO_OK;
}

/* What a record says that its stage took. */
static void add_spent(lo_journal_file *source, const lo_record *record)
{
    if (record->stage == 0 || record->stage >= LO_STAGES) {
        return;
    }
    lo_spent *spent = &source->spent[record->stage];
    if (record->kind == LO_RECORD_DONE) {
        spent->tasks++;
        spent->task_seconds += record->seconds;
    } else if (record->kind == LO_RECORD_SPENT) {
        spent->core_seconds += record->seconds * record->value;
    }
}

static lo_status take_record(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    reading *r = self;
    lo_ledger *ledger = r->ledger;
    lo_journal_file *source = &ledger->source[r->file];
    source->last = record->wall;
    if (record->kind == LO_RECORD_ATTEMPT) {
        free(source->text);
        source->text = strdup(payload);
        return LO_OK;
    }
    if (record->kind == LO_RECORD_END) {
        source->ended = true;
        source->open_task = -1;
        (void)snprintf(source->reason, sizeof(source->reason), "%s", payload);
        return LO_OK;
    }
    if (record->kind == LO_RECORD_VOID) {
        return void_record(ledger, payload);
    }
    add_spent(source, record);
    if (record->stage != (uint32_t)ledger->stage) {
        return LO_OK;
    }
    const int64_t task = task_of(ledger, record);
    const bool ours = task >= 0;
    if (record->kind == LO_RECORD_DONE) {
        source->open_task = -1;
        source->done++;
        if (!ours) {
            ledger->foreign++;
            return LO_OK;
        }
        if (is_void(ledger, source->name, at)) {
            return LO_OK;
        }
        lo_entry *e = &ledger->entry[task];
        /* Of two results of one task, which are equal, the first stands; a compacted one has less to offer.
         */
        if (e->file < 0) {
            ledger->done++;
        } else if (!e->compacted) {
            return LO_OK;
        }
        e->file = r->file;
        e->at = at;
        e->seconds = record->seconds;
        e->value = record->value;
        e->compacted = (record->flags & LO_RECORD_COMPACTED) != 0;
    } else if (ours && record->kind == LO_RECORD_SAVED) {
        /* It got on. What kills it again and again comes before that. */
        source->open_task = -1;
    } else if (ours && record->kind == LO_RECORD_START) {
        source->open_task = task;
        source->open_alone = (record->flags & LO_RECORD_ALONE) != 0;
        source->open_counted = false;
    } else if (ours && record->kind == LO_RECORD_GIVEN_UP) {
        ledger->entry[task].given_up = true;
    }
    return LO_OK;
}

static int find_source(const lo_ledger *ledger, const char *name)
{
    for (int i = 0; i < ledger->sources; i++) {
        if (strcmp(ledger->source[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_journal(const struct dirent *entry)
{
    int attempt;
    int rank;
    int end = 0;
    return sscanf(entry->d_name, "attempt-%d-rank-%d.jnl%n", &attempt, &rank, &end) == 2 && end > 0 &&
           entry->d_name[end] == '\0' && strlen(entry->d_name) < 48;
}

static lo_status read_source(lo_ledger *ledger, const char *name, lo_error *err)
{
    int file = find_source(ledger, name);
    if (file < 0) {
        lo_journal_file *larger = realloc(ledger->source, (size_t)(ledger->sources + 1) * sizeof(*larger));
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the list of journals");
        }
        ledger->source = larger;
        file = ledger->sources++;
        lo_journal_file *source = &ledger->source[file];
        *source = (lo_journal_file){.open_task = -1};
        (void)snprintf(source->name, sizeof(source->name), "%s", name);
        (void)sscanf(name, "attempt-%d-rank-%d", &source->attempt, &source->rank);
    }
    char path[PATH_MAX];
    lo_ledger_path(ledger, file, path, sizeof(path));
    reading r = {ledger, file};
    /* The scan may move ledger->source only by way of read_source, so these two stay valid. */
    lo_journal_file *source = &ledger->source[file];
    return lo_journal_scan(path, &source->offset, &source->skipped, take_record, &r, err);
}

static lo_status read_sources(lo_ledger *ledger, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/journal", ledger->study);
    struct dirent **name = NULL;
    const int count = scandir(path, &name, is_journal, by_name);
    if (count < 0) {
        return errno == ENOENT ? LO_OK : lo_fail_errno(err, LO_IO, "%s: cannot read the directory", path);
    }
    lo_status status = LO_OK;
    for (int i = 0; i < count; i++) {
        if (status == LO_OK) {
            status = read_source(ledger, name[i]->d_name, err);
        }
        free(name[i]);
    }
    free(name);
    return status;
}

/* Forgets what the journals say, but not what was declared void. */
static void start_again(lo_ledger *ledger)
{
    for (int64_t t = 0; t < ledger->tasks; t++) {
        ledger->entry[t].file = -1;
        ledger->entry[t].compacted = false;
    }
    for (int i = 0; i < ledger->sources; i++) {
        lo_journal_file *source = &ledger->source[i];
        source->offset = source->skipped = 0;
        source->done = 0;
        memset(source->spent, 0, sizeof(source->spent));
    }
    ledger->done = ledger->foreign = 0;
    ledger->outdated = false;
}

lo_status lo_ledger_read(lo_ledger *ledger, lo_error *err)
{
    lo_status status = read_sources(ledger, err);
    if (status == LO_OK && ledger->outdated) {
        /* A record that counted is void. The one made in its place may have been passed over as a second. */
        start_again(ledger);
        status = read_sources(ledger, err);
    }
    return status;
}

void lo_ledger_count_deaths(lo_ledger *ledger, bool (*is_live)(void *self, int attempt),
                            bool (*excused)(void *self, const lo_journal_file *source), void *self)
{
    for (int i = 0; i < ledger->sources; i++) {
        lo_journal_file *source = &ledger->source[i];
        if (source->open_task < 0 || source->open_counted || is_live(self, source->attempt)) {
            continue;
        }
        source->open_counted = true;
        lo_entry *e = &ledger->entry[source->open_task];
        if (!source->open_alone) {
            e->deaths++;
        } else if (!excused(self, source)) {
            e->lone_deaths++;
        }
    }
}

lo_status lo_ledger_share(lo_ledger *ledger, MPI_Comm comm, lo_error *err)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    lo_broadcast(comm, ledger->entry, (size_t)ledger->tasks * sizeof(*ledger->entry));
    MPI_Bcast(&ledger->done, 1, MPI_INT64_T, 0, comm);
    char *names = NULL;
    size_t size = (size_t)ledger->sources * sizeof(ledger->source->name);
    lo_status status = LO_OK;
    if (rank == 0) {
        names = malloc(size + 1);
        if (names == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the names of the journals");
        }
        for (int i = 0; status == LO_OK && i < ledger->sources; i++) {
            memcpy(names + (size_t)i * sizeof(ledger->source->name), ledger->source[i].name,
                   sizeof(ledger->source->name));
        }
    }
    status = lo_agree(comm, status, err);
    if (status == LO_OK) {
        status = lo_broadcast_buffer(comm, &names, &size, err);
    }
    if (status == LO_OK && rank != 0) {
        const int sources = (int)(size / sizeof(ledger->source->name));
        for (int i = 0; i < ledger->sources; i++) {
            free(ledger->source[i].text);
        }
        free(ledger->source);
        ledger->source = calloc((size_t)sources + 1, sizeof(*ledger->source));
        ledger->sources = ledger->source != NULL ? sources : 0;
        for (int i = 0; i < ledger->sources; i++) {
            memcpy(ledger->source[i].name, names + (size_t)i * sizeof(ledger->source->name),
                   sizeof(ledger->source->name));
            ledger->source[i].open_task = -1;
        }
        if (ledger->source == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the list of journals");
        }
    }
    free(names);
    return lo_agree(comm, status, err);
}

lo_status lo_ledger_payload(const lo_ledger *ledger, int64_t task, lo_record *record, char **payload,
                            lo_error *err)
{
    const lo_entry *e = &ledger->entry[task];
    char path[PATH_MAX];
    lo_ledger_path(ledger, e->file, path, sizeof(path));
    LO_TRY(lo_journal_payload(path, e->at, record, payload, err));
    if (record->kind != LO_RECORD_DONE || task_of(ledger, record) != task) {
        free(*payload);
        *payload = NULL;
        return lo_fail(err, LO_DATA, "%s: the record at byte %llu is not that of task %lld", path,
                       (unsigned long long)e->at, (long long)task);
    }
    return LO_OK;
}
