#include "base/job.h"

#include "base/file.h"
#include "base/value.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_FILE = 64 << 20, /* bytes of a job file */
    MAX_PATH = 256       /* bytes of a key's path */
};

struct lo_job {
    lo_value *values; /* [lo_key_count()] */
};

/* A job that is being read. */
typedef struct reader {
    lo_reading in;
    lo_job *job;
    lo_place *places; /* [lo_key_count()]: where each key was given last */
} reader;

/* ---- the table ---- */

/* The number of the section that holds key i, or -1. */
static int parent_of(int i)
{
    const char *path = lo_key_at(i)->path;
    const char *dot = strrchr(path, '.');
    if (dot == NULL) {
        return -1;
    }
    char parent[MAX_PATH];
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(dot - path), path);
    return lo_key_find(parent);
}

/* Is key i the one named, or inside of it? */
static bool is_within(int i, const char *path)
{
    const char *own = lo_key_at(i)->path;
    const size_t length = strlen(path);
    return strncmp(own, path, length) == 0 && (own[length] == '\0' || own[length] == '.');
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

static bool is_list(lo_key_type type)
{
    return type == LO_KEY_INTS || type == LO_KEY_TEXTS || type == LO_KEY_NAMES ||
           type == LO_KEY_INTS_OR_FILE || type == LO_KEY_REALS || type == LO_KEY_ITEMS;
}

/* ---- reading ---- */

/* How good a proposal key i is for an unknown name inside `section` ("" at the top), or INT_MAX: edits count
 * two, another section one. */
static int proposal_cost(int i, const char *section, const char *name)
{
    const lo_key *key = lo_key_at(i);
    const char *last = last_part(key->path);
    const size_t prefix = last == key->path ? 0 : (size_t)(last - key->path) - 1;
    const bool here = strlen(section) == prefix && strncmp(section, key->path, prefix) == 0;
    const int edits = lo_edit_distance(name, last);
    int cost = lo_edit_near(name, last, edits) ? 2 * edits + !here : INT_MAX;
    if (strchr(name, '.') != NULL) { /* train.epochs, written as one name */
        const int whole = lo_edit_distance(name, key->path);
        if (lo_edit_near(name, key->path, whole) && 2 * whole < cost) {
            cost = 2 * whole;
        }
    }
    return cost;
}

static const char *nearest_path(const char *section, const char *name)
{
    int best = INT_MAX;
    const char *path = NULL;
    for (int i = 0; i < lo_key_count(); i++) {
        const int cost = proposal_cost(i, section, name);
        if (cost < best) {
            best = cost;
            path = lo_key_at(i)->path;
        }
    }
    return path;
}

/* "seed, data, model": the keys that a section holds. */
static void list_keys(const char *section, char *text, size_t size)
{
    const size_t length = strlen(section);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < lo_key_count(); i++) {
        const char *path = lo_key_at(i)->path;
        const char *last = last_part(path);
        const bool here =
            length == 0 ? last == path : last == path + length + 1 && strncmp(path, section, length) == 0;
        if (here && used < size) {
            const int wrote = snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", last);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static lo_status refuse_unknown(const reader *r, lo_place place, const char *section, const char *name)
{
    char allowed[512];
    if (strchr(name, '.') != NULL && lo_key_find(name) >= 0) {
        return lo_fail_at(r->in.err, place,
                          "%s: found as one name; allowed: maps, as in `train: {epochs: 10}`", name);
    }
    list_keys(section, allowed, sizeof(allowed));
    const char *nearest = nearest_path(section, name);
    const char *dot = section[0] != '\0' ? "." : "";
    if (nearest != NULL) {
        return lo_fail_at(r->in.err, place, "%s%s%.80s: unknown key; the nearest is %s; allowed here: %s",
                          section, dot, name, nearest, allowed);
    }
    return lo_fail_at(r->in.err, place, "%s%s%.80s: unknown key; allowed here: %s", section, dot, name,
                      allowed);
}

/* Gives key i the value of a node; a section the values of its keys. */
static lo_status assign(reader *r, int i, lo_place place, const lo_node *node)
{
    const lo_key *key = lo_key_at(i);
    lo_value *v = &r->job->values[i];
    if (key->type != LO_KEY_SECTION) {
        lo_value fresh = {.given = true};
        const lo_status status = lo_value_convert(&r->in, key, place, node, &fresh);
        lo_value_clear(status == LO_OK ? v : &fresh);
        if (status == LO_OK) {
            *v = fresh;
            r->places[i] = place;
        }
        return status;
    }
    if (node->kind != LO_NODE_MAP) {
        return lo_refuse_node(&r->in, key, place, node);
    }
    v->given = true;
    r->places[i] = place;
    for (int64_t k = 0; k < node->count; k++) {
        const lo_node *child = &node->child[k];
        const lo_place at = {place.name, place.line > 0 ? child->name_line : 0};
        char path[MAX_PATH];
        (void)snprintf(path, sizeof(path), "%s.%s", key->path, child->name);
        const int found = strchr(child->name, '.') == NULL ? lo_key_find(path) : -1;
        if (found < 0) {
            return refuse_unknown(r, at, key->path, child->name);
        }
        LO_TRY(assign(r, found, at, child));
    }
    return LO_OK;
}

static lo_status read_text(reader *r, const char *text, size_t size)
{
    lo_node root = {0};
    lo_status status = lo_tree_parse(text, size, r->in.file, true, &root, r->in.err);
    const lo_place start = {r->in.file, root.line};
    if (status == LO_OK && root.kind != LO_NODE_MAP) {
        char found[128];
        char allowed[512];
        list_keys("", allowed, sizeof(allowed));
        status = lo_fail_at(r->in.err, start, "found %s; allowed: a map of the keys %s",
                            lo_node_show(&root, found, sizeof(found)), allowed);
    }
    for (int64_t k = 0; status == LO_OK && k < root.count; k++) {
        const lo_node *child = &root.child[k];
        const lo_place place = {r->in.file, child->name_line};
        const int i = strchr(child->name, '.') == NULL ? lo_key_find(child->name) : -1;
        status = i >= 0 ? assign(r, i, place, child) : refuse_unknown(r, place, "", child->name);
    }
    lo_tree_free(&root);
    return status;
}

/* An override's key: marks the sections that hold it as given, or takes it out. */
static lo_status override_key(reader *r, int i, lo_place place, const lo_node *node)
{
    if (lo_node_is_null(node) && node->text[0] != '\0') {
        for (int k = 0; k < lo_key_count(); k++) {
            if (is_within(k, lo_key_at(i)->path)) {
                lo_value_clear(&r->job->values[k]);
            }
        }
        return LO_OK;
    }
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        if (!r->job->values[parent].given) {
            r->job->values[parent].given = true;
            r->places[parent] = place;
        }
    }
    return assign(r, i, place, node);
}

/* An override's path that the table does not have: the longest part of it that is a section says what is
 * allowed there. */
static lo_status refuse_path(const reader *r, lo_place place, const char *path)
{
    char section[MAX_PATH];
    (void)snprintf(section, sizeof(section), "%s", path);
    for (char *dot = strrchr(section, '.'); dot != NULL; dot = strrchr(section, '.')) {
        *dot = '\0';
        const int i = lo_key_find(section);
        if (i >= 0 && lo_key_at(i)->type == LO_KEY_SECTION) {
            return refuse_unknown(r, place, section, path + (dot - section) + 1);
        }
    }
    return refuse_unknown(r, place, "", path);
}

/* `name` stands for the override in errors. */
static lo_status apply_override(reader *r, const char *text, const char *name)
{
    const lo_place place = {name, 0};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals - text >= MAX_PATH) {
        return lo_fail_at(r->in.err, place, "found no KEY=VALUE; allowed: such as --set train.epochs=20");
    }
    char path[MAX_PATH];
    (void)snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text);
    const int i = lo_key_find(path);
    if (i < 0) {
        return refuse_path(r, place, path);
    }
    lo_node node = {0};
    lo_status status = lo_tree_parse(equals + 1, strlen(equals + 1), name, false, &node, r->in.err);
    if (status == LO_OK) {
        status = override_key(r, i, place, &node);
    }
    lo_tree_free(&node);
    return status;
}

/* The key that decides whether this one applies. */
static const lo_value *deciding(const lo_job *job, const lo_key *key)
{
    char path[MAX_PATH];
    (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(key->only, " "), key->only);
    return &job->values[lo_key_find(path)];
}

/* A key's default, which may depend on the key that decides whether it applies. */
static const char *fallback_of(const lo_job *job, const lo_key *key, char buffer[MAX_PATH])
{
    const char *chosen = key->fallbacks != NULL ? deciding(job, key)->text : NULL;
    for (const char *pair = key->fallbacks; chosen != NULL && pair != NULL && *pair != '\0';) {
        const size_t name = strcspn(pair, " "), text = strcspn(pair + name + 1, " ");
        if (strlen(chosen) == name && strncmp(pair, chosen, name) == 0) {
            (void)snprintf(buffer, MAX_PATH, "%.*s", (int)text, pair + name + 1);
            return buffer;
        }
        pair += name + 1 + text;
        pair += strspn(pair, " ");
    }
    return key->fallback;
}

/* A default of the table, as a job file would give it. */
static lo_status convert_fallback(const reader *r, const lo_key *key, lo_value *out)
{
    lo_node node = {0};
    char buffer[MAX_PATH];
    const char *text = fallback_of(r->job, key, buffer);
    const lo_place place = {"default", 0};
    lo_status status = lo_tree_parse(text, strlen(text), place.name, false, &node, r->in.err);
    if (status == LO_OK) {
        status = lo_value_convert(&r->in, key, place, &node, out);
    }
    lo_tree_free(&node);
    return status;
}

/* Fills a key's default in and writes both texts. */
static lo_status complete_value(const reader *r, const lo_key *key, lo_value *v)
{
    lo_value fallback = {0};
    lo_status status = LO_OK;
    char *standard = NULL;
    if (key->fallback != NULL) {
        LO_TRY_GOTO(status, convert_fallback(r, key, &fallback), done);
        standard = lo_value_text(key, &fallback);
        if (standard == NULL) {
            status = lo_fail_memory(&r->in);
            goto done;
        }
        if (!v->given) {
            lo_value_clear(v);
            *v = fallback;
            fallback = (lo_value){0};
        }
    }
    v->standard = standard;
    if (v->given || standard != NULL) {
        v->canonical = lo_value_text(key, v);
        status = v->canonical != NULL ? LO_OK : lo_fail_memory(&r->in);
    }
done:
    lo_value_clear(&fallback);
    return status;
}

/* The digest of the file that another key names. A job that was read before, a study's, gives it: then the
 * file is left alone. */
static lo_status take_digest(const reader *r, int i, lo_value *v)
{
    const lo_key *key = lo_key_at(i);
    const char *file = r->job->values[lo_key_find(key->digest_of)].text;
    const bool wanted = v->given && strcmp(v->text, key->fallback) != 0;
    if (strcmp(file, lo_key_at(lo_key_find(key->digest_of))->fallback) == 0) {
        return !wanted ? LO_OK
                       : lo_fail_at(r->in.err, r->places[i], "%s: found '%.80s'; allowed only with %s",
                                    key->path, v->text, key->digest_of);
    }
    if (wanted) {
        return LO_OK;
    }
    uint64_t digest;
    const lo_status status = lo_file_digest(file, &digest, r->in.err);
    if (status != LO_OK) {
        return lo_fail_prefix(r->in.err, status, "%s", key->digest_of);
    }
    lo_value_clear(v);
    v->given = true;
    v->text = malloc(17);
    if (v->text == NULL) {
        return lo_fail_memory(&r->in);
    }
    (void)snprintf(v->text, 17, "%016" PRIx64, digest);
    return LO_OK;
}

static lo_status complete(reader *r)
{
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        lo_value *v = &r->job->values[i];
        if (key->digest_of != NULL) {
            LO_TRY(take_digest(r, i, v));
        }
        if (key->type != LO_KEY_SECTION) {
            LO_TRY(complete_value(r, key, v));
        } else if (key->fallback != NULL && key->fallback[0] != '\0') {
            v->given = true;
        }
    }
    return LO_OK;
}

/* Does key i apply, as far as the key that decides so is concerned? */
static bool applies(const lo_job *job, int i)
{
    const char *only = lo_key_at(i)->only;
    if (only == NULL) {
        return true;
    }
    const lo_value *chosen = deciding(job, lo_key_at(i));
    const char *words = only + strcspn(only, " ");
    bool found = chosen->text != NULL && lo_in_words(chosen->text, words);
    for (int64_t k = 0; chosen->texts != NULL && k < chosen->count; k++) { /* of a list, any */
        found = found || lo_in_words(chosen->texts[k], words);
    }
    return found;
}

/* Has key i a value that means something: its section is there, it applies, it was given or has a default? */
static bool in_effect(const lo_job *job, int i)
{
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        if (!job->values[parent].given) {
            return false;
        }
    }
    return job->values[i].canonical != NULL && applies(job, i);
}

/* Keys that are missing, and keys that do not apply. */
static lo_status check_presence(const reader *r, int i)
{
    const lo_key *key = lo_key_at(i);
    const lo_job *job = r->job;
    const int parent = parent_of(i);
    if (parent >= 0 && !job->values[parent].given) {
        return LO_OK;
    }
    if (job->values[i].given && !applies(job, i)) {
        const size_t length = strcspn(key->only, " ");
        char path[MAX_PATH];
        (void)snprintf(path, sizeof(path), "%.*s", (int)length, key->only);
        return lo_fail_at(r->in.err, r->places[i], "%s: found with %s: %s; allowed only with %s: %s",
                          key->path, path, deciding(job, key)->canonical, path, key->only + length + 1);
    }
    if (!job->values[i].given && key->fallback == NULL && applies(job, i)) {
        char allowed[512];
        const lo_place place = parent >= 0 ? r->places[parent] : (lo_place){r->in.file, 0};
        return lo_fail_at(r->in.err, place, "%s: is missing; allowed: %s. %s", key->path,
                          lo_key_allowed(key, allowed, sizeof(allowed)), key->help);
    }
    return LO_OK;
}

static int compare_ints(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static lo_status check_distinct(const reader *r, const char *path)
{
    const int i = lo_key_find(path);
    const lo_value *v = &r->job->values[i];
    if (v->count < 2) {
        return LO_OK;
    }
    int64_t *sorted = malloc((size_t)v->count * sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail_memory(&r->in);
    }
    memcpy(sorted, v->ints, (size_t)v->count * sizeof(*sorted));
    qsort(sorted, (size_t)v->count, sizeof(*sorted), compare_ints);
    lo_status status = LO_OK;
    for (int64_t k = 1; k < v->count && status == LO_OK; k++) {
        if (sorted[k] == sorted[k - 1]) {
            status = lo_fail_at(r->in.err, r->places[i],
                                "%s: found %" PRId64 " twice; allowed: each number once", path, sorted[k]);
        }
    }
    free(sorted);
    return status;
}

static lo_status check_augment(const reader *r)
{
    return lo_job_lists(r->job, "train.augment", "flip") &&
                   lo_job_lists(r->job, "train.augment", "alternating_flip")
               ? lo_fail_at(r->in.err, r->places[lo_key_find("train.augment")],
                            "train.augment: found flip and alternating_flip; allowed: one of them")
               : LO_OK;
}

static lo_status check_checkpoints(const reader *r)
{
    const int i = lo_key_find("originals.checkpoints");
    const lo_value *v = &r->job->values[i];
    const int64_t epochs = lo_job_int(r->job, "train.epochs");
    for (int64_t k = 0; k < v->count; k++) {
        if (v->ints[k] > epochs) {
            return lo_fail_at(r->in.err, r->places[i],
                              "originals.checkpoints: found %" PRId64
                              "; allowed: up to train.epochs, %" PRId64,
                              v->ints[k], epochs);
        }
    }
    return check_distinct(r, "originals.checkpoints");
}

/* What a model without a group does to a test example is no example's influence. */
static lo_status check_influence(const reader *r)
{
    return lo_job_has(r->job, "influence") &&
                   strcmp(lo_job_text(r->job, "ensemble.design"), "leave_group_out") == 0
               ? lo_fail_at(r->in.err, r->places[lo_key_find("influence")],
                            "influence: found with ensemble.design: leave_group_out, whose models lack whole "
                            "groups, never one example; allowed: with the other designs")
               : LO_OK;
}

static lo_status fail_number(const reader *r, const char *path, const char *allowed)
{
    return lo_fail_at(r->in.err, r->places[lo_key_find(path)], "%s: found %" PRId64 "; allowed: %s", path,
                      lo_job_int(r->job, path), allowed);
}

/* Slices that the batch can be cut into, and members that can share them. */
static lo_status check_slices(const reader *r)
{
    char allowed[160];
    const int64_t slices = lo_job_int(r->job, "train.slices"), batch = lo_job_int(r->job, "train.batch");
    const int64_t team = lo_job_int(r->job, "train.team"), threads = lo_job_int(r->job, "train.threads");
    if ((slices & (slices - 1)) != 0) {
        return fail_number(r, "train.slices", "a power of two: 1, 2, 4, ... 256");
    }
    if (batch % slices != 0) {
        (void)snprintf(allowed, sizeof(allowed), "what divides train.batch, %" PRId64, batch);
        return fail_number(r, "train.slices", allowed);
    }
    if (slices % team != 0) {
        (void)snprintf(allowed, sizeof(allowed), "what divides train.slices, %" PRId64, slices);
        return fail_number(r, "train.team", allowed);
    }
    if (slices / team % threads != 0) {
        (void)snprintf(allowed, sizeof(allowed),
                       "what divides train.slices over train.team, %" PRId64 " / %" PRId64, slices, team);
        return fail_number(r, "train.threads", allowed);
    }
    return LO_OK;
}

/* Rules that take more than one key. Those that need the data are checked where the data are. */
static lo_status check_rules(const reader *r)
{
    static const char *const from_ensemble[] = {"influence"};
    for (int i = 0; i < lo_key_count(); i++) {
        LO_TRY(check_presence(r, i));
    }
    for (size_t k = 0; k < sizeof(from_ensemble) / sizeof(from_ensemble[0]); k++) {
        if (lo_job_has(r->job, from_ensemble[k]) && !lo_job_has(r->job, "ensemble")) {
            return lo_fail_at(
                r->in.err, r->places[lo_key_find(from_ensemble[k])],
                "%s: found without an ensemble; allowed: with the section ensemble, from which it is "
                "computed",
                from_ensemble[k]);
        }
    }
    LO_TRY(check_influence(r));
    LO_TRY(check_augment(r));
    LO_TRY(check_slices(r));
    LO_TRY(check_checkpoints(r));
    LO_TRY(check_distinct(r, "train.schedule.milestones"));
    return check_distinct(r, "ensemble.examples");
}

/* names[count] are kept until the job is read, as places of the keys. */
static lo_status apply_overrides(reader *r, const char *const *overrides, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        const size_t size = strlen(overrides[i]) + sizeof("--set ");
        names[i] = malloc(size);
        if (names[i] == NULL) {
            return lo_fail_memory(&r->in);
        }
        (void)snprintf(names[i], size, "--set %s", overrides[i]);
        LO_TRY(apply_override(r, overrides[i], names[i]));
    }
    return LO_OK;
}

static lo_status parse(const char *text, size_t size, const char *name, const char *const *overrides,
                       int count, lo_job **out, lo_error *err)
{
    const size_t keys = (size_t)lo_key_count();
    reader r = {.in = {name, err}};
    lo_status status = LO_OK;
    char **names = calloc((size_t)count + 1, sizeof(*names));
    *out = NULL;
    r.places = calloc(keys, sizeof(*r.places));
    r.job = calloc(1, sizeof(*r.job));
    if (r.job != NULL) {
        r.job->values = calloc(keys, sizeof(*r.job->values));
    }
    if (names == NULL || r.places == NULL || r.job == NULL || r.job->values == NULL) {
        status = lo_fail_memory(&r.in);
        goto done;
    }
    for (size_t i = 0; i < keys; i++) {
        r.places[i] = (lo_place){name, 0};
    }
    LO_TRY_GOTO(status, read_text(&r, text, size), done);
    LO_TRY_GOTO(status, apply_overrides(&r, overrides, count, names), done);
    LO_TRY_GOTO(status, complete(&r), done);
    LO_TRY_GOTO(status, check_rules(&r), done);
    *out = r.job;
    r.job = NULL;
done:
    lo_job_destroy(&r.job);
    for (int i = 0; names != NULL && i < count; i++) {
        free(names[i]);
    }
    free(names);
    free(r.places);
    return status;
}

lo_status lo_job_parse(const char *text, const char *name, const char *const *overrides, int override_count,
                       lo_job **out, lo_error *err)
{
    return parse(text, strlen(text), name, overrides, override_count, out, err);
}

lo_status lo_job_read(const char *file, const char *const *overrides, int override_count, lo_job **out,
                      lo_error *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    lo_status status = lo_file_read(file, MAX_FILE, &text, &size, err);
    if (status == LO_OK) {
        status = parse(text, size, file, overrides, override_count, out, err);
    }
    free(text);
    return status == LO_DATA ? LO_USAGE : status;
}

void lo_job_destroy(lo_job **job)
{
    if (job == NULL || *job == NULL) {
        return;
    }
    for (int i = 0; (*job)->values != NULL && i < lo_key_count(); i++) {
        lo_value_clear(&(*job)->values[i]);
    }
    free((*job)->values);
    free(*job);
    *job = NULL;
}

/* ---- answers ---- */

/* The value of a path whose key has one of two types; anything else is a programming error. */
static const lo_value *value_at(const lo_job *job, const char *path, lo_key_type type, lo_key_type or_type)
{
    const int i = lo_key_find(path);
    if (i < 0 || (lo_key_at(i)->type != type && lo_key_at(i)->type != or_type)) {
        (void)fprintf(stderr, "lo_job: the table has no %s of the type that is asked for\n", path);
        abort();
    }
    return &job->values[i];
}

static const lo_value *list_at(const lo_job *job, const char *path, lo_key_type type, lo_key_type or_type,
                               int64_t i)
{
    const lo_value *v = value_at(job, path, type, or_type);
    if (i < 0 || i >= v->count) {
        (void)fprintf(stderr, "lo_job: %s has %" PRId64 " elements, no number %" PRId64 "\n", path, v->count,
                      i);
        abort();
    }
    return v;
}

bool lo_job_has(const lo_job *job, const char *section)
{
    const int i = lo_key_find(section);
    if (i < 0) {
        (void)fprintf(stderr, "lo_job: the table has no section %s\n", section);
        abort();
    }
    return is_list(lo_key_at(i)->type) ? job->values[i].count > 0 : job->values[i].given;
}

int64_t lo_job_int(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_INT, LO_KEY_INT)->integer;
}

bool lo_job_bool(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_BOOL, LO_KEY_BOOL)->integer != 0;
}

double lo_job_real(const lo_job *job, const char *path)
{
    return value_at(job, path, LO_KEY_REAL, LO_KEY_REAL)->real;
}

const char *lo_job_text(const lo_job *job, const char *path)
{
    const char *text = value_at(job, path, LO_KEY_TEXT, LO_KEY_CHOICE)->text;
    return text != NULL ? text : "";
}

const char *lo_job_layers(const lo_job *job, const char *path, const char **file)
{
    const lo_value *v = value_at(job, path, LO_KEY_LAYERS, LO_KEY_ITEMS);
    *file = v->file;
    return v->text != NULL ? v->text : "";
}

int64_t lo_job_length(const lo_job *job, const char *path)
{
    const int i = lo_key_find(path);
    const lo_key_type type = i >= 0 && is_list(lo_key_at(i)->type) ? lo_key_at(i)->type : LO_KEY_INTS;
    return value_at(job, path, type, type)->count;
}

int64_t lo_job_int_at(const lo_job *job, const char *path, int64_t i)
{
    return list_at(job, path, LO_KEY_INTS, LO_KEY_INTS_OR_FILE, i)->ints[i];
}

double lo_job_real_at(const lo_job *job, const char *path, int64_t i)
{
    return list_at(job, path, LO_KEY_REALS, LO_KEY_REALS, i)->reals[i];
}

const char *lo_job_text_at(const lo_job *job, const char *path, int64_t i)
{
    return list_at(job, path, LO_KEY_TEXTS, LO_KEY_NAMES, i)->texts[i];
}

bool lo_job_lists(const lo_job *job, const char *path, const char *name)
{
    const lo_value *v = value_at(job, path, LO_KEY_TEXTS, LO_KEY_NAMES);
    for (int64_t i = 0; i < v->count; i++) {
        if (strcmp(v->texts[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A key's line: the help after a short value, before a long one. */
static void write_line(FILE *stream, int i, const char *text)
{
    enum { COMMENT = 36 };
    const lo_key *key = lo_key_at(i);
    int depth = 0;
    for (int parent = parent_of(i); parent >= 0; parent = parent_of(parent)) {
        depth++;
    }
    const char *last = last_part(key->path);
    const bool unit = key->unit != NULL && key->unit[0] != '\0';
    char help[512];
    (void)snprintf(help, sizeof(help), "# %s%s%s%s", key->help, unit ? " [" : "", unit ? key->unit : "",
                   unit ? "]" : "");
    const size_t length = 2 * (size_t)depth + strlen(last) + 2 + strlen(text);
    if (length >= COMMENT) {
        (void)fprintf(stream, "%*s%s\n%*s%s: %s\n", 2 * depth, "", help, 2 * depth, "", last, text);
    } else {
        (void)fprintf(stream, "%*s%s:%s%s%*s%s\n", 2 * depth, "", last, text[0] != '\0' ? " " : "", text,
                      COMMENT - (int)length + (text[0] == '\0'), "", help);
    }
}

char *lo_job_effective(const lo_job *job)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        const bool stage = parent_of(i) < 0 && is_list(key->type);
        if (key->type == LO_KEY_SECTION || stage) {
            if (lo_job_has(job, key->path)) {
                write_line(stream, i, stage ? job->values[i].canonical : "");
            }
        } else if (in_effect(job, i)) {
            write_line(stream, i, job->values[i].canonical);
        }
    }
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Do the results of group `group` depend on the keys of group `own`? */
static bool covers(lo_key_group group, lo_key_group own)
{
    if (own == LO_KEYS_NONE) {
        return false;
    }
    if (group == LO_KEYS_DAMPING && own == LO_KEYS_ATTRIBUTION) {
        return true;
    }
    if (group == LO_KEYS_UNLEARNING && own == LO_KEYS_ORIGINALS) {
        return true;
    }
    const bool trained_on_all = group == LO_KEYS_ORIGINALS || group == LO_KEYS_ATTRIBUTION ||
                                group == LO_KEYS_DAMPING || group == LO_KEYS_UNLEARNING;
    return own == group || (own < group && own <= (trained_on_all ? LO_KEYS_RECIPE : LO_KEYS_ENSEMBLE));
}

/* Is key i one whose change makes other results of this group? */
static bool decides(const lo_job *job, int i, lo_key_group group)
{
    const lo_key *key = lo_key_at(i);
    return key->type != LO_KEY_SECTION && !key->grows && covers(group, key->group) && in_effect(job, i);
}

uint64_t lo_job_digest(const lo_job *job, lo_key_group group)
{
    uint64_t digest = LO_DIGEST_START;
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_value *v = &job->values[i];
        /* Keys at their default are left out: a version that knows more keys gives the same digest to a job
         * that does not use them. */
        if (!decides(job, i, group) || (v->standard != NULL && strcmp(v->canonical, v->standard) == 0)) {
            continue;
        }
        digest = lo_digest(digest, lo_key_at(i)->path);
        digest = lo_digest(digest, "=");
        digest = lo_digest(digest, v->canonical);
        digest = lo_digest(digest, "\n");
    }
    return digest;
}

int lo_job_differences(const lo_job *study, const lo_job *job, lo_key_group group, char *text, size_t size)
{
    int count = 0;
    size_t used = strnlen(text, size);
    for (int i = 0; i < lo_key_count(); i++) {
        if (!decides(study, i, group) || !decides(job, i, group) ||
            strcmp(study->values[i].canonical, job->values[i].canonical) == 0) {
            continue;
        }
        count++;
        if (used < size) {
            const int wrote =
                snprintf(text + used, size - used, "%s: %.200s in the study, %.200s in the job\n",
                         lo_key_at(i)->path, study->values[i].canonical, job->values[i].canonical);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
    return count;
}
