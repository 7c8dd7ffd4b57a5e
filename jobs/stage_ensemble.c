/* Stage ensemble: one task a model. Its record holds what the model did on every training and test example.
 */
#include "base/clock.h"
#include "data/readers.h"
#include "jobs/study/farmed.h"
#include "jobs/study/kept.h"
#include "jobs/study/outcome.h"
#include "jobs/study/recipe.h"
#include "jobs/stages.h"
#include "jobs/ensemble/until.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one task ---- */

typedef struct trainer {
    lo_study *study;
    int64_t keep; /* the first so many models' weights */
    lo_trainer *net;
    uint32_t *members;
    char *payload;
    lo_outcome outcome;
    lo_checkpoint checkpoint;
} trainer;

static lo_status train_model(void *self, int64_t model, const lo_tick *tick, lo_result *result, lo_error *err)
{
    trainer *t = self;
    lo_study *s = t->study;
    lo_outcome *o = &t->outcome;
    const double start = lo_clock_monotonic();
    o->seed = lo_design_model_seed(&s->design, model);
    o->members = lo_design_members(&s->design, model, t->members);
    lo_design_mask(&s->design, model, o->mask);
    lo_training training = {0};
    LO_TRY(lo_trainer_run(t->net, o->seed, t->members, o->members, tick, &training, err));
    LO_TRY(lo_trainer_evaluate(t->net, &s->data.train, tick, o->train_correct, o->train_margin, err));
    LO_TRY(lo_trainer_evaluate(t->net, &s->data.test, tick, o->test_correct, o->test_margin, err));
    o->loss = training.loss;
    o->diverged = training.diverged;
    o->test_accuracy =
        o->n_test > 0 ? (double)lo_count_bits(o->test_correct, o->n_test) / (double)o->n_test : (double)NAN;
    if (model < t->keep && lo_study_leads(s)) {
        char path[PATH_MAX];
        lo_kept_model_path(t->study->run.study, model, path, sizeof(path));
        LO_TRY(lo_save_weights(t->net, path, lo_job_digest(s->job, LO_KEYS_ENSEMBLE), o->seed, err));
    }
    o->seconds = (lo_clock_monotonic() - start + t->checkpoint.seconds) * s->run.task_cores;
    lo_outcome_seal(o, t->payload);
    *result = (lo_result){
        .payload = t->payload, .size = lo_outcome_size(o->n_train, o->n_test), .value = o->test_accuracy};
    return LO_OK;
}

static void trainer_close(trainer *t)
{
    lo_trainer_destroy(&t->net);
    free(t->members);
    free(t->payload);
}

static lo_status trainer_open(void *self, lo_error *err)
{
    trainer *t = self;
    const lo_study *study = t->study;
    if (study->design.kind == LO_DESIGN_IMPORTED) {
        return lo_fail(
            err, LO_USAGE,
            "%s: models of an imported ensemble are missing, and it is not trained here: `leaveout "
            "import` brings them",
            study->run.study);
    }
    t->outcome.n_train = study->data.train.count;
    t->outcome.n_test = study->data.test.count;
    t->members = calloc((size_t)t->outcome.n_train, sizeof(*t->members));
    t->payload = calloc(1, lo_outcome_size(t->outcome.n_train, t->outcome.n_test));
    if (t->members == NULL || t->payload == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the outcomes of a model");
    }
    lo_outcome_map(&t->outcome, t->payload);
    (void)snprintf(t->outcome.processor, sizeof(t->outcome.processor), "%s", study->run.processor);
    LO_TRY(lo_job_trainer_team(study->job, &study->data, lo_rank_team_view(study->team), &t->net, err));
    lo_trainer_checkpoint(t->net, &t->checkpoint);
    return LO_OK;
}

static lo_status check_kept(void *self, int64_t model, const lo_entry *entry, lo_error *err)
{
    (void)entry;
    const trainer *t = self;
    char path[PATH_MAX];
    if (model >= t->keep || t->study->design.kind == LO_DESIGN_IMPORTED) {
        return LO_OK;
    }
    lo_kept_model_path(t->study->run.study, model, path, sizeof(path));
    return lo_check_weights(path, lo_job_digest(t->study->job, LO_KEYS_ENSEMBLE), err);
}

/* ---- publishing ---- */

/* One dataset with a row a model: where its rows lie in a buffer of rows. */
typedef enum column {
    COLUMN_MODEL,
    COLUMN_MASK,
    COLUMN_TRAIN_CORRECT,
    COLUMN_TEST_CORRECT,
    COLUMN_TRAIN_LOGIT,
    COLUMN_TEST_LOGIT,
    COLUMN_SECONDS,
    COLUMN_TEST_ACCURACY,
    COLUMN_SEED,
    COLUMN_PROCESSOR,
    COLUMN_DIVERGED,
    COLUMNS
} column;

typedef struct layout {
    const char *path;
    lo_h5_type type;
    int64_t items; /* 0: one value a row */
    int number;    /* of the dataset */
    char *rows;    /* [batch, items] */
} layout;

typedef struct publication {
    lo_study *study;
    const lo_ledger *ledger;
    int64_t *model; /* [models]: finished models, ascending */
    int64_t models;
    int64_t first, count; /* this rank's rows */
    int64_t batch;
    layout column[COLUMNS];
    lo_h5_reader old; /* ensemble.h5 as it was: where compacted models live on */
    int64_t *old_model;
    int64_t old_models;
    lo_until_answer enough;
    lo_h5 h5;
} publication;

static void describe_columns(publication *p)
{
    const int64_t n = p->study->data.train.count;
    const int64_t n_test = p->study->data.test.count;
    const layout described[COLUMNS] = {
        [COLUMN_MODEL] = {"/model", LO_H5_I64, 0, 0, NULL},
        [COLUMN_MASK] = {"/mask", LO_H5_U8, (int64_t)lo_bit_bytes(n), 0, NULL},
        [COLUMN_TRAIN_CORRECT] = {"/train/correct", LO_H5_U8, (int64_t)lo_bit_bytes(n), 0, NULL},
        [COLUMN_TEST_CORRECT] = {"/test/correct", LO_H5_U8, (int64_t)lo_bit_bytes(n_test), 0, NULL},
        [COLUMN_TRAIN_LOGIT] = {"/train/logit", LO_H5_F32, n, 0, NULL},
        [COLUMN_TEST_LOGIT] = {"/test/logit", LO_H5_F32, n_test, 0, NULL},
        [COLUMN_SECONDS] = {"/seconds", LO_H5_F64, 0, 0, NULL},
        [COLUMN_TEST_ACCURACY] = {"/test_accuracy", LO_H5_F64, 0, 0, NULL},
        [COLUMN_SEED] = {"/seed", LO_H5_I64, 0, 0, NULL},
        [COLUMN_PROCESSOR] = {"/processor", LO_H5_CHARS, 0, 0, NULL},
        [COLUMN_DIVERGED] = {"/diverged", LO_H5_U8, 0, 0, NULL},
    };
    memcpy(p->column, described, sizeof(described));
}

static size_t row_bytes(const layout *c)
{
    return (size_t)(c->items > 0 ? c->items : 1) * lo_h5_size(c->type);
}

static int64_t old_row_of(const publication *p, int64_t model)
{
    for (int64_t r = 0; r < p->old_models; r++) {
        if (p->old_model[r] == model) {
            return r;
        }
    }
    return -1;
}

static void put(publication *p, column c, int64_t row, const void *value)
{
    memcpy(p->column[c].rows + (size_t)row * row_bytes(&p->column[c]), value, row_bytes(&p->column[c]));
}

static lo_status fill_row_from_old(publication *p, int64_t model, int64_t row, lo_error *err)
{
    const int64_t from = old_row_of(p, model);
    if (from < 0) {
        return lo_fail(err, LO_DATA, "model %lld was compacted out of the journal, but %s does not hold it",
                       (long long)model, p->old.file[0] != '\0' ? p->old.file : "ensemble.h5");
    }
    for (int c = 0; c < COLUMNS; c++) {
        layout *l = &p->column[c];
        LO_TRY(lo_h5_read(&p->old, l->path, l->type, from, 1, l->rows + (size_t)row * row_bytes(l), err));
    }
    return LO_OK;
}

/* Fills buffer row `row` with a model's outcome. *damaged: its record does not hold, and was declared void.
 */
static lo_status fill_row(publication *p, int64_t model, int64_t row, bool *damaged, lo_error *err)
{
    const lo_entry *e = &p->ledger->entry[model];
    if (e->compacted) {
        return fill_row_from_old(p, model, row, err);
    }
    lo_record record;
    char *payload = NULL;
    lo_outcome o;
    lo_status status = lo_ledger_payload(p->ledger, model, &record, &payload, err);
    if (status == LO_OK) {
        status = lo_outcome_read(payload, record.payload_size, p->study->data.train.count,
                                 p->study->data.test.count, &o, err);
    }
    if (status == LO_DATA) {
        *damaged = true;
        const lo_error why = *err;
        status = lo_farmed_void(p->study, p->ledger, model, why.text, err);
    } else if (status == LO_OK) {
        const uint8_t diverged = o.diverged != 0;
        put(p, COLUMN_MODEL, row, &model);
        put(p, COLUMN_MASK, row, o.mask);
        put(p, COLUMN_TRAIN_CORRECT, row, o.train_correct);
        put(p, COLUMN_TEST_CORRECT, row, o.test_correct);
        put(p, COLUMN_TRAIN_LOGIT, row, o.train_margin);
        put(p, COLUMN_TEST_LOGIT, row, o.test_margin);
        put(p, COLUMN_SECONDS, row, &o.seconds);
        put(p, COLUMN_TEST_ACCURACY, row, &o.test_accuracy);
        put(p, COLUMN_SEED, row, &o.seed);
        put(p, COLUMN_PROCESSOR, row, o.processor);
        put(p, COLUMN_DIVERGED, row, &diverged);
    }
    free(payload);
    return status;
}

/* What is known of examples, with its values, in the order in which it is written: their numbers and labels.
 * A level of labels that they do not have is NULL. */
enum { FACTS = 5 };
typedef struct fact {
    const char *name;
    lo_h5_type type;
    const void *value;
} fact;

static void list_facts(const lo_examples *examples, fact facts[FACTS])
{
    facts[0] = (fact){"index", LO_H5_I64, examples->index};
    facts[1] = (fact){"label", LO_H5_I32, examples->label};
    facts[2] = (fact){"label_true", LO_H5_I32, examples->label_true};
    facts[3] = (fact){"label_fine", LO_H5_I32, examples->label_fine};
    facts[4] = (fact){"label_coarse", LO_H5_I32, examples->label_coarse};
}

/* Slabs of examples. */
static lo_status add_examples(publication *p, const char *group, const lo_examples *examples,
                              int numbers[FACTS], lo_error *err)
{
    fact facts[FACTS];
    int64_t first;
    int64_t count;
    list_facts(examples, facts);
    lo_shard(examples->count, 1, p->study->run.rank, p->study->run.ranks, &first, &count);
    for (int i = 0; i < FACTS; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/%s/%s", group, facts[i].name);
        if (facts[i].value != NULL) {
            LO_TRY(
                lo_h5_add(&p->h5, path, facts[i].type, examples->count, 0, first, count, &numbers[i], err));
        }
    }
    return LO_OK;
}

static lo_status write_examples(publication *p, const lo_examples *examples, const int numbers[FACTS],
                                lo_error *err)
{
    fact facts[FACTS];
    int64_t first;
    int64_t count;
    list_facts(examples, facts);
    lo_shard(examples->count, 1, p->study->run.rank, p->study->run.ranks, &first, &count);
    for (int i = 0; i < FACTS; i++) {
        if (facts[i].value != NULL) {
            const char *mine = (const char *)facts[i].value + (size_t)first * lo_h5_size(facts[i].type);
            LO_TRY(lo_h5_write(&p->h5, numbers[i], count, mine, LO_OK, err));
        }
    }
    return LO_OK;
}

/* The names of classes that the data set has, one level a dataset; the job's own names are in the job. Rank 0
 * writes them all. */
enum { LEVELS = 3 };
_Static_assert((int)LO_MAX_CLASS_NAME < (int)LO_H5_TEXT_SIZE, "names fit their dataset");

typedef struct level {
    const char *path;
    const char *const *names; /* or NULL */
    int32_t classes;
} level;

static void list_levels(const lo_dataset *d, level levels[LEVELS])
{
    levels[0] = (level){"/class_name", d->class_name, d->classes};
    levels[1] = (level){"/class_name_fine", d->fine_name, d->fine_classes};
    levels[2] = (level){"/class_name_coarse", d->coarse_name, d->coarse_classes};
}

static lo_status add_names(publication *p, int numbers[LEVELS], lo_error *err)
{
    level levels[LEVELS];
    const bool mine = p->study->run.rank == 0;
    list_levels(&p->study->data, levels);
    for (int l = 0; l < LEVELS; l++) {
        const int64_t rows = levels[l].classes;
        if (levels[l].names != NULL) {
            LO_TRY(lo_h5_add(&p->h5, levels[l].path, LO_H5_CHARS, rows, 0, mine ? 0 : rows, mine ? rows : 0,
                             &numbers[l], err));
        }
    }
    return LO_OK;
}

static lo_status write_names(publication *p, const int numbers[LEVELS], lo_error *err)
{
    level levels[LEVELS];
    list_levels(&p->study->data, levels);
    for (int l = 0; l < LEVELS; l++) {
        const int64_t rows = p->study->run.rank == 0 ? levels[l].classes : 0;
        if (levels[l].names == NULL) {
            continue;
        }
        char *text = calloc((size_t)rows + 1, LO_H5_TEXT_SIZE);
        for (int64_t c = 0; text != NULL && c < rows; c++) {
            (void)snprintf(text + c * LO_H5_TEXT_SIZE, LO_H5_TEXT_SIZE, "%s", levels[l].names[c]);
        }
        const lo_status made =
            text != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for names of classes");
        const lo_status status = lo_h5_write(&p->h5, numbers[l], rows, text, made, err);
        free(text);
        LO_TRY(status);
    }
    return LO_OK;
}

static lo_status write_attributes(publication *p, lo_error *err)
{
    lo_study *s = p->study;
    lo_h5 *h = &p->h5;
    char digest[32];
    (void)snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)p->ledger->digest);
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "digest", digest, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h, "/", "design", lo_design_name(s->design.kind), err));
    LO_TRY(lo_h5_real(h, "/", "ratio", s->design.ratio, err));
    LO_TRY(lo_h5_int(h, "/", "models_planned", s->design.models, err));
    if (p->enough.decided) {
        LO_TRY(lo_h5_real(h, "/", "until_standard_error",
                          lo_job_real(s->job, "ensemble.until.standard_error"), err));
        LO_TRY(lo_h5_text(h, "/", "until_over", lo_job_text(s->job, "ensemble.until.over"), err));
        LO_TRY(lo_h5_real(h, "/", "until_found", p->enough.error, err));
    }
    LO_TRY(lo_h5_int(h, "/", "n_train", s->data.train.count, err));
    LO_TRY(lo_h5_int(h, "/", "n_test", s->data.test.count, err));
    LO_TRY(lo_h5_text(h, "/seconds", "unit", "s", err));
    LO_TRY(lo_h5_text(h, "/train/logit", "meaning", "logit margin z_y - logsumexp of the other logits", err));
    LO_TRY(lo_h5_text(h, "/test/logit", "meaning", "logit margin z_y - logsumexp of the other logits", err));
    LO_TRY(lo_h5_text(h, "/mask", "meaning", "one row a model; example i is bit i%8 of byte i/8", err));
    LO_TRY(
        lo_h5_text(h, "/train/correct", "meaning", "one row a model; example i is bit i%8 of byte i/8", err));
    return lo_h5_text(h, "/test/correct", "meaning", "one row a model; example i is bit i%8 of byte i/8",
                      err);
}

/* Creates all datasets, then writes them in rounds that all ranks take part in. */
static lo_status write_file(publication *p, bool *damaged, lo_error *err)
{
    lo_study *s = p->study;
    int train[FACTS];
    int test[FACTS];
    int names[LEVELS];
    for (int c = 0; c < COLUMNS; c++) {
        layout *l = &p->column[c];
        LO_TRY(lo_h5_add(&p->h5, l->path, l->type, p->models, l->items, p->first, p->count, &l->number, err));
    }
    LO_TRY(add_examples(p, "train", &s->data.train, train, err));
    LO_TRY(add_examples(p, "test", &s->data.test, test, err));
    LO_TRY(add_names(p, names, err));
    LO_TRY(write_attributes(p, err));
    LO_TRY(write_examples(p, &s->data.train, train, err));
    LO_TRY(write_examples(p, &s->data.test, test, err));
    LO_TRY(write_names(p, names, err));
    int64_t rounds = (p->count + p->batch - 1) / p->batch;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, s->run.comm);
    for (int64_t round = 0; round < rounds; round++) {
        const int64_t done = round * p->batch;
        const int64_t left = p->count - done;
        const int64_t now = left < 0 ? 0 : left < p->batch ? left : p->batch;
        lo_status status = LO_OK;
        for (int64_t r = 0; r < now && status == LO_OK; r++) {
            status = fill_row(p, p->model[p->first + done + r], r, damaged, err);
        }
        if (s->run.rank == 0) {
            lo_run_watch(&s->run); /* the heartbeat goes on */
        }
        for (int c = 0; c < COLUMNS; c++) {
            status = lo_h5_write(&p->h5, p->column[c].number, now, p->column[c].rows, status, err);
            if (status != LO_OK) {
                return status;
            }
        }
    }
    return LO_OK;
}

/* Is ensemble.h5 there already, with these models? */
static bool is_published(const lo_study *study, const lo_ledger *ledger, const lo_until_answer *enough,
                         int64_t models)
{
    char path[PATH_MAX];
    char digest[32] = "";
    char expected[32];
    int64_t planned = -1;
    int64_t rows = -1;
    int64_t items;
    double until = 0;
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", study->run.study);
    (void)snprintf(expected, sizeof(expected), "%016llx", (unsigned long long)ledger->digest);
    if (lo_h5_open(path, &reader, NULL) != LO_OK) {
        return false;
    }
    const bool same = lo_h5_get_text(&reader, "/", "digest", digest, sizeof(digest), NULL) == LO_OK &&
                      lo_h5_get_int(&reader, "/", "models_planned", &planned, NULL) == LO_OK &&
                      lo_h5_sizes(&reader, "/model", &rows, &items, NULL) == LO_OK &&
                      strcmp(digest, expected) == 0 && planned == study->design.models && rows == models;
    /* Why there are no more models is told too. */
    const bool says = lo_h5_get_real(&reader, "/", "until_standard_error", &until, NULL) == LO_OK;
    const bool why = says == enough->decided &&
                     (!says || until == lo_job_real(study->job, "ensemble.until.standard_error"));
    lo_h5_close(&reader);
    return same && why;
}

static void publication_free(publication *p)
{
    for (int c = 0; c < COLUMNS; c++) {
        free(p->column[c].rows);
    }
    free(p->model);
    free(p->old_model);
    lo_h5_close(&p->old);
}

/* After compacting, the models live on in ensemble.h5 alone: what is taken over from it is checked first. */
static lo_status open_old(publication *p, lo_error *err)
{
    char path[PATH_MAX];
    int datasets;
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", p->study->run.study);
    lo_status status = lo_h5_open(path, &p->old, err);
    if (status == LO_OK && p->study->run.rank == 0) {
        status = lo_h5_verify(&p->old, &datasets, err);
    }
    if (status == LO_OK) {
        status =
            lo_h5_read_all(&p->old, "/model", LO_H5_I64, (void **)&p->old_model, &p->old_models, NULL, err);
    }
    return status == LO_OK
               ? LO_OK
               : lo_fail_prefix(err, status,
                                "the journal was compacted, and the only copy of its models cannot be used");
}

/* The finished models, the same list on all ranks; where it was decided how many are enough, no more. */
static lo_status list_models(publication *p, lo_error *err)
{
    const int64_t most = p->study->design.models;
    p->model = calloc((size_t)p->ledger->tasks + 1, sizeof(*p->model));
    if (p->model == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the list of models");
    }
    for (int64_t t = 0; t < p->ledger->tasks && t < most; t++) {
        if (p->ledger->entry[t].file >= 0) {
            p->model[p->models++] = t;
        }
    }
    return LO_OK;
}

static lo_status prepare(publication *p, lo_error *err)
{
    enum { BATCH_BYTES = 32 << 20 };
    lo_study *s = p->study;
    bool compacted = false;
    for (int64_t m = 0; m < p->models; m++) {
        compacted = compacted || p->ledger->entry[p->model[m]].compacted;
    }
    lo_shard(p->models, 1, s->run.rank, s->run.ranks, &p->first, &p->count);
    describe_columns(p);
    p->batch = BATCH_BYTES / (int64_t)lo_outcome_size(s->data.train.count, s->data.test.count);
    p->batch = p->batch < 1 ? 1 : p->batch > 64 ? 64 : p->batch;
    for (int c = 0; c < COLUMNS; c++) {
        p->column[c].rows = calloc((size_t)p->batch, row_bytes(&p->column[c]));
        if (p->column[c].rows == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory to publish the ensemble");
        }
    }
    return compacted ? open_old(p, err) : LO_OK;
}

/* Collective. Are the models enough? Then the design has no more. The answer has no models if the job does
 * not ask. */
static lo_status look_whether_enough(lo_study *study, const lo_ledger *ledger, lo_until_answer *out,
                                     bool *damaged, lo_error *err)
{
    lo_until_rule rule;
    *out = (lo_until_answer){0};
    if (!lo_until_of(study->job, &rule)) {
        return LO_OK;
    }
    if (study->until == NULL) {
        LO_TRY(lo_agree(study->run.comm, lo_until_create(study, &study->until, err), err));
    }
    LO_TRY(lo_until_look(study->until, study, ledger, out, damaged, err));
    if (out->decided) {
        study->design.models = out->models;
    }
    return LO_OK;
}

lo_status lo_publish_ensemble(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err)
{
    MPI_Comm comm = study->run.comm;
    *damaged = false;
    LO_TRY(lo_ledger_share(ledger, comm, err));
    publication p = {.study = study, .ledger = ledger, .old = {.id = -1}, .h5 = {.id = -1}};
    LO_TRY(look_whether_enough(study, ledger, &p.enough, damaged, err));
    if (*damaged) {
        return LO_OK;
    }
    LO_TRY(lo_study_lock(study, err));
    lo_status status = lo_agree(comm, list_models(&p, err), err);
    /* Ranks may see a shared file system differently for a moment: all do what rank 0 finds. */
    bool up_to_date =
        p.models == 0 || (study->run.rank == 0 && is_published(study, ledger, &p.enough, p.models));
    MPI_Bcast(&up_to_date, 1, MPI_C_BOOL, 0, comm);
    if (status == LO_OK && !up_to_date) {
        status = lo_agree(comm, prepare(&p, err), err);
    }
    if (status == LO_OK && !up_to_date) {
        const double start = lo_clock_monotonic();
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/ensemble.h5", study->run.study);
        uint64_t bytes = 1 << 16;
        for (int c = 0; c < COLUMNS; c++) {
            bytes += (uint64_t)p.models * row_bytes(&p.column[c]);
        }
        bytes += 24 * (uint64_t)(study->data.train.count + study->data.test.count);
        bytes += (uint64_t)LO_H5_TEXT_SIZE *
                 (uint64_t)(study->data.classes + study->data.fine_classes + study->data.coarse_classes);
        status = lo_h5_create(comm, path, bytes, &p.h5, err);
        if (status == LO_OK) {
            status = write_file(&p, damaged, err);
        }
        int any = *damaged;
        MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_MAX, comm);
        *damaged = any != 0;
        /* A file with a damaged model in it is not published. */
        const lo_status committed = lo_h5_commit(&p.h5, status == LO_OK && *damaged ? LO_DATA : status, err);
        status = *damaged && status == LO_OK ? LO_OK : committed;
        if (status == LO_OK && !*damaged) {
            study->news = true;
            lo_run_say(&study->run, "event=published file=ensemble.h5 models=%lld seconds=%.2f",
                       (long long)p.models, lo_clock_monotonic() - start);
        }
    }
    publication_free(&p);
    lo_study_unlock(study);
    return status;
}

/* ---- the stage ---- */

static lo_status wanted_models(void *self, const lo_ledger *ledger, int64_t *end, bool *damaged,
                               lo_error *err)
{
    const trainer *t = self;
    lo_until_answer answer;
    LO_TRY(look_whether_enough(t->study, ledger, &answer, damaged, err));
    *end = answer.models;
    return LO_OK;
}

lo_status lo_stage_ensemble(lo_study *study, lo_error *err)
{
    if (!study->has_ensemble) {
        return LO_OK;
    }
    trainer t = {.study = study, .keep = lo_job_int(study->job, "ensemble.keep_models")};
    lo_farmed stage = {.stage = LO_STAGE_ENSEMBLE,
                       .digest = lo_job_digest(study->job, LO_KEYS_ENSEMBLE),
                       .tasks = study->design.models,
                       .first = study->part_first,
                       .end = study->part_end,
                       .open = trainer_open,
                       .run = train_model,
                       .checkpoint = &t.checkpoint,
                       .check = check_kept,
                       .in_teams = true,
                       .publish = lo_publish_ensemble,
                       .self = &t};
    lo_until_rule rule;
    if (study->part_end == 0 && lo_until_of(study->job, &rule)) {
        stage.wanted = wanted_models;
    }
    const lo_status status = lo_run_farmed(study, &stage, err);
    trainer_close(&t);
    return status;
}
