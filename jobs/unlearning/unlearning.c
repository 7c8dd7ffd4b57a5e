#include "jobs/unlearning/unlearning.h"

#include "base/file.h"
#include "jobs/scores/score_by_name.h"
#include "jobs/unlearning/forget_items.h"
#include "jobs/unlearning/unlearning_matched.h"
#include "mpi/agree.h"
#include "unlearn/rescore.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *lo_model_kind_name(lo_model_kind kind)
{
    static const char *const names[] = {[LO_MODEL_ORIGINAL] = "original",
                                        [LO_MODEL_ORACLE] = "oracle",
                                        [LO_MODEL_UNLEARNED] = "unlearned",
                                        [LO_MODEL_MATCHED] = "matched"};
    return names[kind];
}

uint64_t lo_oracle_seed(int64_t oracle)
{
    return (UINT64_C(1) << 32) + (uint64_t)oracle;
}

/* ---- forget sets ---- */

/* Names are parts of names of files and of HDF5 groups. */
static lo_status check_name(const lo_unlearning *u, const lo_item *item, lo_error *err)
{
    enum { LONGEST = 48 };
    const char *name = lo_item_name(item);
    const size_t length = strlen(name);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (length > LONGEST || strspn(name, allowed) != length || name[0] == '.' || name[0] == '-') {
        return lo_item_fail(item, err,
                            "a name of %zu characters; allowed: up to %d letters, digits, and _ . - but not "
                            "in front",
                            length, LONGEST);
    }
    for (int i = 0; i < u->listed_count; i++) {
        if (strcmp(u->listed[i].name, name) == 0) {
            return lo_item_fail(item, err, "two forget sets have this name");
        }
    }
    return LO_OK;
}

uint64_t lo_unlearning_digest_set(uint64_t digest, const lo_dataset *data, const lo_forget_set *set)
{
    char text[32];
    for (int64_t i = 0; i < set->count; i++) {
        (void)snprintf(text, sizeof(text), "%" PRId64 "\n", data->train.index[set->position[i]]);
        digest = lo_digest(digest, text);
    }
    return digest;
}

static lo_status read_listed(lo_unlearning *u, const char *study, lo_error *err)
{
    const int count = (int)lo_items_count(u->forget_items);
    if (count == 0) {
        return lo_fail(err, LO_USAGE, "unlearning.forget: names no forget set; allowed: one or more");
    }
    u->listed = calloc((size_t)count + 1, sizeof(*u->listed));
    if (u->listed == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d forget sets", count);
    }
    for (int i = 0; i < count; i++) {
        lo_forgotten *f = &u->listed[i];
        f->item = lo_items_at(u->forget_items, i);
        f->before = -1;
        LO_TRY(check_name(u, f->item, err));
        (void)snprintf(f->name, sizeof(f->name), "%s", lo_item_name(f->item));
        u->listed_count++;
        if (u->data == NULL) {
            LO_TRY(lo_forget_item_check(f->item, u->job, err));
            continue;
        }
        LO_TRY(lo_forget_item_select(f->item, u->job, u->data, study, &f->set, &f->size, err));
        f->digest = lo_unlearning_digest_set(lo_digest(LO_DIGEST_START, f->name), u->data, &f->set);
    }
    return LO_OK;
}

static int find_listed(const lo_unlearning *u, const char *name)
{
    int i = 0;
    while (i < u->listed_count && strcmp(u->listed[i].name, name) != 0) {
        i++;
    }
    return i < u->listed_count ? i : -1;
}

static lo_status copy_set(const lo_forget_set *set, lo_forget_set *out, lo_error *err)
{
    *out = *set;
    out->position = malloc((size_t)set->count * sizeof(*out->position) + 1);
    if (out->position == NULL) {
        *out = (lo_forget_set){0};
        return lo_fail(err, LO_INTERNAL, "no memory for a forget set");
    }
    if (set->count > 0) { /* not so while its score is not known */
        memcpy(out->position, set->position, (size_t)set->count * sizeof(*out->position));
    }
    return LO_OK;
}

/* A set that is forgotten first or alone. */
static lo_status add_alone(lo_unlearning *u, int listed, lo_error *err)
{
    lo_forgotten *f = &u->forgotten[u->forgotten_count++];
    *f = u->listed[listed];
    f->set = f->step = (lo_forget_set){0};
    f->step_size = f->size;
    LO_TRY(copy_set(&u->listed[listed].set, &f->set, err));
    return copy_set(&u->listed[listed].set, &f->step, err);
}

/* A set that is forgotten after those before it. */
static lo_status add_step(lo_unlearning *u, int listed, lo_error *err)
{
    const int before = u->forgotten_count - 1;
    const lo_forgotten *former = &u->forgotten[before];
    const lo_forgotten *next = &u->listed[listed];
    lo_forgotten *f = &u->forgotten[u->forgotten_count++];
    *f = (lo_forgotten){.before = before,
                        .depth = former->depth + 1,
                        .size = former->size + next->size,
                        .step_size = next->size};
    if (strlen(former->name) + strlen(next->name) + 2 > sizeof(f->name)) {
        return lo_fail(err, LO_USAGE,
                       "unlearning.sequence: %s+%s is too long for a name; allowed: %zu characters in all",
                       former->name, next->name, sizeof(f->name) - 1);
    }
    char name[LO_NAME_OF_SET];
    (void)snprintf(name, sizeof(name), "%s+%s", former->name, next->name);
    memcpy(f->name, name, sizeof(f->name));
    LO_TRY(copy_set(&next->set, &f->step, err));
    if (former->set.count > 0 && next->set.count > 0) {
        LO_TRY(lo_forget_unite(u->data, f->name, &former->set, &next->set, &f->set, err));
    }
    LO_TRY(lo_forget_check_size(f->name, f->size, u->data->train.count, err));
    f->digest = lo_unlearning_digest_set(lo_digest(former->digest, next->name), u->data, &next->set);
    return LO_OK;
}

/* The set that is step s of the sequence, which none before is. */
static lo_status find_step(const lo_unlearning *u, int64_t s, int *listed, lo_error *err)
{
    const char *name = lo_job_text_at(u->job, "unlearning.sequence", s);
    bool twice = false;
    for (int64_t before = 0; before < s; before++) {
        twice = twice || strcmp(lo_job_text_at(u->job, "unlearning.sequence", before), name) == 0;
    }
    *listed = find_listed(u, name);
    return *listed >= 0 && !twice
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "unlearning.sequence: '%s' %s; allowed: names of unlearning.forget, each once", name,
                         *listed < 0 ? "is no forget set" : "is there twice");
}

/* The sets in the order in which tasks have them: those of the sequence, then the others. Without data, only
 * whether there are such sets. */
static lo_status read_sequence(lo_unlearning *u, lo_error *err)
{
    const int64_t steps = lo_job_length(u->job, "unlearning.sequence");
    bool *used = calloc((size_t)u->listed_count + 1, sizeof(*used));
    u->forgotten = calloc((size_t)u->listed_count + 1, sizeof(*u->forgotten));
    lo_status status =
        used != NULL && u->forgotten != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for forget sets");
    for (int64_t s = 0; s < steps && status == LO_OK; s++) {
        int listed;
        status = find_step(u, s, &listed, err);
        if (status == LO_OK && u->data != NULL) {
            used[listed] = true;
            status = s == 0 ? add_alone(u, listed, err) : add_step(u, listed, err);
        }
    }
    for (int i = 0; i < u->listed_count && status == LO_OK && u->data != NULL; i++) {
        status = used[i] ? LO_OK : add_alone(u, i, err);
    }
    free(used);
    return status;
}

/* ---- methods ---- */

/* The score that a method splits by, where it does and has a setting for it (by, rescore). */
static const char *score_name(const lo_unlearner *l, const char *setting)
{
    for (int i = 0; i < l->method->setting_count; i++) {
        if (strcmp(l->method->settings[i].name, setting) == 0 &&
            l->method->settings[i].type == LO_SETTING_TEXT) {
            return lo_item_text(l->item, setting);
        }
    }
    return "";
}

static lo_status unknown_method(const lo_item *item, lo_error *err)
{
    char names[2048] = "";
    char near[128];
    for (int i = 0; i < lo_unlearn_method_count(); i++) {
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? " " : "",
                       lo_unlearn_method_at(i)->name);
    }
    const char *nearest = lo_nearest(lo_item_name(item), names, near, sizeof(near));
    return nearest != NULL
               ? lo_item_fail(item, err, "no such method; the nearest is '%s'; allowed: %s", nearest, names)
               : lo_item_fail(item, err, "no such method; allowed: %s", names);
}

/* The score that steps of a sequence are split by, computed anew: one of the job's, that a model alone gives.
 */
static lo_status read_rescore(lo_unlearning *u, lo_unlearner *l, lo_error *err)
{
    const char *name = score_name(l, "rescore");
    int i = 0;
    if (name[0] == '\0') {
        return LO_OK;
    }
    while (i < u->scores.count && strcmp(u->scores.listed[i].name, name) != 0) {
        i++;
    }
    if (i == u->scores.count) {
        return lo_item_fail(
            l->item, err,
            "rescore: found '%s', which the job does not compute; allowed: a name of its list "
            "`scores`",
            name);
    }
    l->rescore = &u->scores.listed[i];
    const lo_status status = lo_rescore_check(l->rescore->score, l->rescore->item, err);
    return status == LO_OK ? LO_OK
                           : lo_fail_prefix(err, status, "unlearning.methods: %s: rescore", l->method->name);
}

static lo_status read_score(lo_unlearning *u, lo_unlearner *l, const char *study, lo_error *err)
{
    const char *name = score_name(l, "by");
    if (name[0] == '\0') {
        return l->method->needs_score
                   ? lo_item_fail(l->item, err, "splits the forget set by a score; `by: NAME` says which")
                   : LO_OK;
    }
    const lo_status planned = lo_score_named_check(u->job, name, err);
    if (planned != LO_OK) {
        return lo_fail_prefix(err, planned, "unlearning.methods: %s: by", l->method->name);
    }
    if (u->data == NULL) {
        return LO_OK;
    }
    LO_TRY(lo_score_named_read(study, name, u->data->train.count, &l->score, err));
    l->score_digest = LO_DIGEST_START;
    if (l->score == NULL) { /* not yet: requests are checked with any */
        l->score = calloc((size_t)u->data->train.count, sizeof(*l->score));
        return l->score != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a score");
    }
    for (int64_t i = 0; i < u->data->train.count; i++) {
        char text[40];
        (void)snprintf(text, sizeof(text), "%a\n", l->score[i]);
        l->score_digest = lo_digest(l->score_digest, text);
    }
    return LO_OK;
}

static lo_status read_unlearner(lo_unlearning *u, lo_unlearner *l, bool accepted, const char *study,
                                lo_error *err)
{
    l->rivals = -1;
    l->method = lo_unlearn_method_find(lo_item_name(l->item));
    if (l->method == NULL) {
        return unknown_method(l->item, err);
    }
    if (!accepted) {
        LO_TRY(lo_unlearn_accept(l->method, lo_job_text(u->job, "model.preset"), l->item, err));
    }
    if ((lo_unlearn_reads(l->method, l->item) & LO_READS_RETAIN) != 0 &&
        !lo_job_bool(u->job, "unlearning.retain")) {
        return lo_item_fail(l->item, err,
                            "reads the retain set, and the job declares that there is none "
                            "(unlearning.retain: false)");
    }
    l->canonical = lo_item_canonical(l->item);
    if (l->canonical == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the settings of %s", l->method->name);
    }
    if (strcmp(l->canonical, l->method->name) != 0) {
        (void)snprintf(l->suffix, sizeof(l->suffix), "-%08" PRIx32,
                       (uint32_t)lo_digest(LO_DIGEST_START, l->canonical));
    }
    for (const lo_unlearner *other = u->unlearner; other < l; other++) {
        if (other->method == l->method && strcmp(other->canonical, l->canonical) == 0) {
            return lo_item_fail(l->item, err, "is there twice with the same settings");
        }
    }
    LO_TRY(read_rescore(u, l, err));
    return read_score(u, l, study, err);
}

static lo_status read_unlearners(lo_unlearning *u, const char *study, lo_error *err)
{
    const int count = (int)lo_items_count(u->method_items);
    u->unlearner = calloc((size_t)count + 1, sizeof(*u->unlearner));
    if (u->unlearner == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d methods", count);
    }
    for (int i = 0; i < count; i++) {
        u->unlearner[i].item = lo_items_at(u->method_items, i);
        u->unlearner_count++;
        LO_TRY(read_unlearner(u, &u->unlearner[i], false, study, err));
    }
    u->listed_methods = count;
    return LO_OK;
}

static bool is_there(const lo_unlearning *u, const lo_unlearn_method *method, const char *canonical)
{
    for (int i = 0; i < u->unlearner_count; i++) {
        if (u->unlearner[i].method == method && strcmp(u->unlearner[i].canonical, canonical) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds the variants of a method that are not there yet. */
static lo_status add_variants(lo_unlearning *u, const lo_variants *v, const char *study, lo_error *err)
{
    lo_unlearner *larger =
        realloc(u->unlearner, (size_t)(u->unlearner_count + v->count) * sizeof(*u->unlearner));
    if (larger == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the settings of a search");
    }
    u->unlearner = larger;
    for (int64_t i = 0; i < v->count; i++) {
        char *canonical = lo_item_canonical(v->item[i]);
        const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(v->item[i]));
        const bool known = canonical != NULL && is_there(u, method, canonical);
        free(canonical);
        if (canonical == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the settings of a search");
        }
        if (!known) {
            lo_unlearner *l = &u->unlearner[u->unlearner_count++];
            *l = (lo_unlearner){.item = v->item[i]};
            LO_TRY(read_unlearner(u, l, true, study, err));
        }
    }
    return LO_OK;
}

static lo_status read_search(lo_unlearning *u, const char *study, lo_error *err)
{
    const int64_t count = lo_items_count(u->search_items);
    const bool by_loss = strcmp(lo_job_text(u->job, "unlearning.criterion"), "validation_loss") == 0;
    if (by_loss && u->data != NULL && u->data->validation.count == 0) {
        return lo_fail(err, LO_USAGE,
                       "unlearning.criterion: validation_loss needs a validation set (data.validation)");
    }
    if (!by_loss && count > 0 && u->oracles == 0) {
        return lo_fail(
            err, LO_USAGE,
            "unlearning.search: chooses by the gap to oracles, of which unlearning.oracles has none; "
            "allowed: oracles, or criterion: validation_loss");
    }
    u->search = calloc((size_t)count + 1, sizeof(*u->search));
    if (u->search == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a search");
    }
    for (int64_t i = 0; i < count; i++) {
        lo_item *spec = lo_items_at(u->search_items, i);
        int base = 0;
        while (base < u->unlearner_count &&
               strcmp(u->unlearner[base].method->name, lo_item_name(spec)) != 0) {
            base++;
        }
        if (base == u->unlearner_count) {
            return lo_item_fail(spec, err, "is none of the job's methods (unlearning.methods)");
        }
        lo_variants *v = &u->search[u->searches++];
        LO_TRY(lo_variants_make(u->job, spec, u->unlearner[base].method, u->unlearner[base].item, v, err));
        LO_TRY(add_variants(u, v, study, err));
        for (int m = 0; m < u->unlearner_count; m++) {
            if (u->unlearner[m].method == u->unlearner[base].method) {
                u->unlearner[m].rivals = base;
            }
        }
    }
    return LO_OK;
}

/* Whom a request is about, for checks. */
typedef struct trial {
    const char *name;
    const uint32_t *forget, *retain;
    int64_t forget_count, retain_count;
    bool whole_class;
    const double *score; /* NULL: the method's own */
} trial;

/* Every method must accept it. */
static lo_status try_methods(const lo_unlearning *u, const trial *t, lo_error *err)
{
    for (int m = 0; m < u->unlearner_count; m++) {
        const lo_unlearner *l = &u->unlearner[m];
        const lo_request request = {.dataset = u->data,
                                    .name = t->name,
                                    .forget = t->forget,
                                    .forget_count = t->forget_count,
                                    .retain = t->retain,
                                    .retain_count = t->retain_count,
                                    .whole_class = t->whole_class,
                                    .seed = (uint64_t)lo_job_int(u->job, "seed"),
                                    .score = l->score == NULL || t->score == NULL ? l->score : t->score};
        LO_TRY(lo_request_check(&request, l->method, l->item, err));
    }
    return LO_OK;
}

static lo_status check_known(const lo_unlearning *u, const lo_forgotten *g, lo_error *err)
{
    const int64_t n = u->data->train.count;
    uint32_t *retained = lo_forget_retained(&g->set, n);
    if (retained == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a retain set");
    }
    const trial known = {.name = g->name,
                         .forget = g->step.position,
                         .forget_count = g->step.count,
                         .retain = retained,
                         .retain_count = n - g->set.count,
                         .whole_class = g->step.whole_class};
    const lo_status status = try_methods(u, &known, err);
    free(retained);
    return status;
}

/* Of a request that waits for its score only the sizes are known: it is tried with other examples, as many,
 * that have a score. */
static lo_status check_unknown(const lo_unlearning *u, const lo_forgotten *g, lo_error *err)
{
    const int64_t n = u->data->train.count;
    uint32_t *any = calloc((size_t)n + 1, sizeof(*any));
    double *score = calloc((size_t)n + 1, sizeof(*score));
    lo_status status =
        any != NULL && score != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for the check of %lld examples", (long long)n);
    for (int64_t i = 0; i < n && status == LO_OK; i++) {
        any[i] = (uint32_t)i;
    }
    if (status == LO_OK) {
        const trial unknown = {.name = g->name,
                               .forget = any,
                               .forget_count = g->step_size,
                               .retain = any + g->step_size,
                               .retain_count = n - g->size,
                               .score = score};
        status = try_methods(u, &unknown, err);
    }
    free(any);
    free(score);
    return status;
}

/* Every method must accept every request. */
static lo_status check_requests(const lo_unlearning *u, lo_error *err)
{
    for (int f = 0; f < u->forgotten_count; f++) {
        const lo_forgotten *g = &u->forgotten[f];
        const bool known = g->set.count > 0 && g->step.count > 0;
        LO_TRY(known ? check_known(u, g, err) : check_unknown(u, g, err));
    }
    return LO_OK;
}

/* ---- tasks ---- */

static uint64_t task_digest(const lo_unlearning *u, const lo_unlearning_task *t)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "%s recipe %016" PRIx64 " seed %" PRId64 "\n",
                   lo_model_kind_name(t->kind), lo_job_digest(u->job, LO_KEYS_RECIPE), t->seed);
    uint64_t digest = lo_digest(LO_DIGEST_START, text);
    if (t->forgotten >= 0) {
        (void)snprintf(text, sizeof(text), "forget %016" PRIx64 "\n", u->forgotten[t->forgotten].digest);
        digest = lo_digest(digest, text);
    }
    if (t->unlearner >= 0) {
        const lo_unlearner *l = &u->unlearner[t->unlearner];
        (void)snprintf(text, sizeof(text), " score %016" PRIx64 "\n", l->score_digest);
        digest = lo_digest(lo_digest(digest, l->canonical), text);
        if (t->kind == LO_MODEL_UNLEARNED && l->rescore != NULL && u->forgotten[t->forgotten].depth > 0) {
            digest = lo_digest(lo_digest(digest, " anew "), l->rescore->settings);
        }
    }
    if (t->kind == LO_MODEL_MATCHED) {
        digest = lo_unlearning_digest_set(digest, u->data, &u->forgotten[t->forgotten].other[t->seed]);
    }
    return digest;
}

static void add_task(lo_unlearning *u, lo_unlearning_task task)
{
    task.digest = task_digest(u, &task);
    u->digest[u->tasks] = task.digest;
    u->task[u->tasks++] = task;
}

/* How long a run may take, in examples: it matters for the order alone. */
static double expected(const lo_unlearning *u, const lo_unlearner *l, double forget, double retain)
{
    const double recipe = (double)lo_job_int(u->job, "train.epochs");
    double epochs = 1;
    for (int i = 0; i < l->method->setting_count; i++) {
        if (strcmp(l->method->settings[i].name, "epochs") == 0 &&
            l->method->settings[i].type == LO_SETTING_INT) {
            epochs = (double)lo_item_int(l->item, "epochs");
        }
    }
    if (l->method->afresh && epochs < 1) {
        epochs = recipe;
    }
    return fmax(epochs, 1) *
           (forget + ((lo_unlearn_reads(l->method, l->item) & LO_READS_RETAIN) != 0 ? retain : 0));
}

typedef struct turn {
    int forgotten, unlearner, depth;
    double expected;
} turn;

/* Steps of a sequence in their order; else the longest first. */
static int by_turn(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    return x->depth != y->depth           ? x->depth - y->depth
           : x->expected != y->expected   ? (x->expected > y->expected ? -1 : 1)
           : x->forgotten != y->forgotten ? x->forgotten - y->forgotten
                                          : x->unlearner - y->unlearner;
}

/* After the runs: by then their oracles are there, as a rule. */
static void add_matched(lo_unlearning *u, const turn *turns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int64_t s = 0; s < u->oracles && lo_matched_has(u, turns[i].forgotten, turns[i].unlearner);
             s++) {
            add_task(u, (lo_unlearning_task){.kind = LO_MODEL_MATCHED,
                                             .forgotten = turns[i].forgotten,
                                             .unlearner = turns[i].unlearner,
                                             .seed = s});
        }
    }
}

static lo_status add_runs(lo_unlearning *u, lo_error *err)
{
    const size_t count = (size_t)u->forgotten_count * (size_t)u->unlearner_count;
    turn *turns = calloc(count + 1, sizeof(*turns));
    if (turns == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the tasks of unlearning");
    }
    for (size_t i = 0; i < count; i++) {
        turn *t = &turns[i];
        t->forgotten = (int)(i / (size_t)u->unlearner_count);
        t->unlearner = (int)(i % (size_t)u->unlearner_count);
        t->depth = u->forgotten[t->forgotten].depth;
        const lo_forgotten *f = &u->forgotten[t->forgotten];
        t->expected = expected(u, &u->unlearner[t->unlearner], (double)f->step.count,
                               (double)(u->data->train.count - f->set.count));
    }
    qsort(turns, count, sizeof(*turns), by_turn);
    for (size_t i = 0; i < count; i++) {
        for (int64_t s = 0; s < u->seeds; s++) {
            add_task(u, (lo_unlearning_task){.kind = LO_MODEL_UNLEARNED,
                                             .forgotten = turns[i].forgotten,
                                             .unlearner = turns[i].unlearner,
                                             .seed = s});
        }
    }
    add_matched(u, turns, count);
    free(turns);
    return LO_OK;
}

static lo_status add_tasks(lo_unlearning *u, lo_error *err)
{
    const int64_t sets = u->forgotten_count;
    const int64_t matched = u->matched ? u->oracles * u->listed_methods : 0;
    const int64_t most = sets * (u->oracles + u->seeds * u->unlearner_count + matched) + u->seeds;
    u->task = calloc((size_t)most + 1, sizeof(*u->task));
    u->digest = calloc((size_t)most + 1, sizeof(*u->digest));
    if (u->task == NULL || u->digest == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld tasks of unlearning", (long long)most);
    }
    for (int64_t s = 0; s < u->oracles; s++) {
        for (int f = 0; f < u->forgotten_count; f++) {
            add_task(
                u, (lo_unlearning_task){.kind = LO_MODEL_ORACLE, .forgotten = f, .unlearner = -1, .seed = s});
        }
    }
    LO_TRY(add_runs(u, err));
    for (int64_t s = 0; s < u->seeds; s++) {
        add_task(
            u, (lo_unlearning_task){.kind = LO_MODEL_ORIGINAL, .forgotten = -1, .unlearner = -1, .seed = s});
    }
    return LO_OK;
}

int64_t lo_unlearning_planned(const lo_job *job)
{
    if (!lo_job_has(job, "unlearning")) {
        return 0;
    }
    const int64_t seeds = lo_job_int(job, "unlearning.seeds");
    const int64_t sets = lo_job_length(job, "unlearning.forget");
    const int64_t oracles = lo_job_int(job, "unlearning.oracles");
    const int64_t methods = lo_job_length(job, "unlearning.methods");
    const int64_t matched = lo_job_bool(job, "unlearning.matched") ? oracles * methods : 0;
    return sets * (oracles + seeds * methods + matched) + seeds;
}

int64_t lo_unlearning_find(const lo_unlearning *u, lo_model_kind kind, int forgotten, int unlearner,
                           int64_t seed)
{
    for (int64_t t = 0; t < u->tasks; t++) {
        const lo_unlearning_task *task = &u->task[t];
        if (task->kind == kind && task->forgotten == forgotten && task->unlearner == unlearner &&
            task->seed == seed) {
            return t;
        }
    }
    return -1;
}

void lo_unlearning_name(const lo_unlearning *u, const lo_unlearning_task *task, char *name, size_t size)
{
    if (task->kind == LO_MODEL_ORIGINAL) {
        (void)snprintf(name, size, "%" PRId64, task->seed);
    } else if (task->kind == LO_MODEL_ORACLE) {
        (void)snprintf(name, size, "%s-%" PRId64, u->forgotten[task->forgotten].name, task->seed);
    } else {
        const lo_unlearner *l = &u->unlearner[task->unlearner];
        (void)snprintf(name, size, "%s-%s-%" PRId64 "%s", l->method->name, u->forgotten[task->forgotten].name,
                       task->seed, l->suffix);
    }
}

void lo_unlearning_path(const lo_unlearning *u, const char *study, const lo_unlearning_task *task, char *path,
                        size_t size)
{
    static const char *const folder[] = {[LO_MODEL_ORIGINAL] = "originals",
                                         [LO_MODEL_ORACLE] = "oracles",
                                         [LO_MODEL_UNLEARNED] = "unlearned",
                                         [LO_MODEL_MATCHED] = "matched"};
    char name[LO_NAME_OF_MODEL];
    lo_unlearning_name(u, task, name, sizeof(name));
    (void)snprintf(path, size, "%s/%s/%s.safetensors", study, folder[task->kind], name);
}

/* ---- all of it ---- */

/* study NULL: nothing was computed yet; data NULL: nor read. */
static lo_status read_all(lo_unlearning *u, const char *study, lo_error *err)
{
    if (!lo_job_has(u->job, "originals")) {
        return lo_fail(err, LO_USAGE,
                       "unlearning makes originals forget: the job needs the section originals");
    }
    u->seeds = lo_job_int(u->job, "unlearning.seeds");
    u->oracles = lo_job_int(u->job, "unlearning.oracles");
    if (u->seeds > lo_job_int(u->job, "originals.seeds")) {
        return lo_fail(
            err, LO_USAGE,
            "unlearning.seeds: found %lld; allowed: up to originals.seeds, %lld: every seed makes an "
            "original of its own forget",
            (long long)u->seeds, (long long)lo_job_int(u->job, "originals.seeds"));
    }
    LO_TRY(lo_items_read(u->job, "unlearning.forget", &u->forget_items, err));
    LO_TRY(lo_items_read(u->job, "unlearning.methods", &u->method_items, err));
    LO_TRY(lo_items_read(u->job, "unlearning.search", &u->search_items, err));
    LO_TRY(lo_score_list_read(u->job, &u->scores, err));
    LO_TRY(read_unlearners(u, study, err));
    LO_TRY(read_search(u, study, err));
    LO_TRY(read_listed(u, study, err));
    LO_TRY(read_sequence(u, err));
    if (u->data == NULL) {
        return LO_OK;
    }
    LO_TRY(check_requests(u, err));
    return lo_unlearning_match(u, study, err);
}

lo_status lo_unlearning_check_settings(const lo_job *job, lo_error *err)
{
    return lo_unlearning_check(job, NULL, err);
}

lo_status lo_unlearning_check(const lo_job *job, const lo_dataset *data, lo_error *err)
{
    lo_unlearning u = {.job = job, .data = data};
    const lo_status status = read_all(&u, NULL, err);
    lo_unlearning_close(&u);
    return status;
}

/* Of so many runs. */
static void add_work(const lo_unlearner *l, const lo_unlearn_sizes *sizes, double runs, lo_unlearn_work *sum)
{
    const lo_unlearn_work one = l->method->work(sizes, l->item);
    for (int set = 0; set < LO_SETS; set++) {
        sum->read[set] += runs * one.read[set];
    }
    sum->trained += runs * one.trained;
    sum->evaluated += runs * one.evaluated;
    sum->summed += runs * one.summed;
    sum->products += runs * one.products;
    sum->drawn += runs * one.drawn;
}

lo_status lo_unlearning_foresee(const lo_job *job, const lo_dataset *data, lo_unlearning_estimate *out,
                                lo_error *err)
{
    lo_unlearning u = {.job = job, .data = data};
    const lo_status status = read_all(&u, NULL, err);
    const int64_t epochs = lo_job_int(job, "train.epochs");
    *out = (lo_unlearning_estimate){.originals = u.seeds};
    for (int f = 0; f < u.forgotten_count && status == LO_OK; f++) {
        const lo_unlearn_sizes sizes = {.forget = u.forgotten[f].step_size,
                                        .retain = data->train.count - u.forgotten[f].size,
                                        .validation = data->validation.count,
                                        .batch = lo_job_int(job, "train.batch"),
                                        .epochs = epochs};
        out->oracles += u.oracles;
        out->oracle_examples += (double)(u.oracles * sizes.retain * epochs);
        for (int m = 0; m < u.unlearner_count; m++) {
            out->runs += u.seeds;
            add_work(&u.unlearner[m], &sizes, (double)u.seeds, &out->run_work);
            if (lo_matched_has(&u, f, m)) {
                lo_unlearn_sizes other = sizes;
                other.retain -= sizes.forget;
                out->matched += u.oracles;
                add_work(&u.unlearner[m], &other, (double)u.oracles, &out->matched_work);
            }
        }
    }
    lo_unlearning_close(&u);
    return status;
}

lo_status lo_unlearning_open(const lo_study *study, lo_unlearning *out, lo_error *err)
{
    *out = (lo_unlearning){.job = study->job, .data = &study->data};
    lo_status status = read_all(out, study->run.study, err);
    if (status == LO_OK) {
        status = add_tasks(out, err);
    }
    return lo_agree(study->run.comm, status, err);
}

static void free_forgotten(lo_forgotten *f, int count)
{
    for (int i = 0; i < count; i++) {
        lo_forget_free(&f[i].set);
        lo_forget_free(&f[i].step);
        for (int64_t k = 0; k < f[i].others; k++) {
            lo_forget_free(&f[i].other[k]);
        }
        free(f[i].other);
    }
    free(f);
}

void lo_unlearning_close(lo_unlearning *u)
{
    free_forgotten(u->listed, u->listed_count);
    free_forgotten(u->forgotten, u->forgotten_count);
    for (int i = 0; i < u->unlearner_count; i++) {
        free(u->unlearner[i].canonical);
        free(u->unlearner[i].score);
    }
    free(u->unlearner);
    free(u->task);
    free(u->digest);
    for (int i = 0; i < u->searches; i++) {
        lo_variants_close(&u->search[i]);
    }
    free(u->search);
    lo_items_destroy(&u->search_items);
    lo_items_destroy(&u->forget_items);
    lo_items_destroy(&u->method_items);
    lo_score_list_destroy(&u->scores);
    *u = (lo_unlearning){0};
}
