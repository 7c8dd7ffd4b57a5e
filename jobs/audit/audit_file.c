#include "jobs/audit/audit_file.h"

#include "audit/feature.h"
#include "data/twins.h"
#include "jobs/audit/audit_u_lira.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of all tasks whose results it shows. */
static void state_of(const lo_audit *a, char state[32])
{
    char text[32];
    uint64_t digest = lo_digest(LO_DIGEST_START, a->in.state);
    for (int64_t t = 0; t < a->tasks; t++) {
        (void)snprintf(text, sizeof(text), "%016" PRIx64 "\n", a->done[t] ? a->digest[t] : 0);
        digest = lo_digest(digest, text);
    }
    (void)snprintf(state, 32, "%016" PRIx64, digest);
}

bool lo_audit_is_there(const lo_audit *a, const char *path)
{
    char now[32] = "", wanted[32], receipts[PATH_MAX];
    lo_h5_reader reader;
    bool there =
        a->study->run.rank == 0 && access(path, F_OK) == 0 && lo_h5_open(path, &reader, NULL) == LO_OK;
    if (there) {
        state_of(a, wanted);
        (void)lo_h5_get_text(&reader, "/", "state", now, sizeof(now), NULL);
        lo_h5_close(&reader);
        (void)snprintf(receipts, sizeof(receipts), "%s/receipts", a->study->run.study);
        there = strcmp(now, wanted) == 0 && access(receipts, F_OK) == 0;
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, a->study->run.comm);
    return there;
}

/* ---- what the file has ---- */

enum { RUN_METHOD, RUN_SET, RUN_SETTING, RUN_KIND, RUN_MODEL, RUN_TEXTS };
static const char *const run_texts[RUN_TEXTS] = {"/run/method", "/run/forget_set", "/run/setting",
                                                 "/run/kind", "/run/model"};
enum { VALUE, LOW, HIGH, CEILING, APART, APART_LOW, APART_HIGH, FIELDS };
static const char *const fields[FIELDS] = {"value", "low",       "high",      "ceiling",
                                           "apart", "apart_low", "apart_high"};
enum { RIGHT, EXAMPLES, GROUP_COUNTS };
static const char *const group_counts[GROUP_COUNTS] = {"/by_group/right", "/by_group/examples"};

/* A number: `columns` figures of a row, from `figure` on. */
typedef struct number {
    const lo_audit_number *is;
    char group[96];
    int figure, columns;
    int field[FIELDS], models, fitted; /* datasets */
} number;

typedef struct content {
    const lo_audit *a;
    int64_t mine; /* rows that this rank writes: the first all */
    number number[LO_AUDIT_NUMBERS + LO_BY_NUMBERS];
    int numbers;
    double *ceiling; /* [sets, LO_AUDIT_FIGURES] */
    char *text;      /* [rows, LO_H5_TEXT_SIZE]: room */
    double *real;    /* [rows, LO_AUDIT_GROUPS] */
    int64_t *count;
    int run_text[RUN_TEXTS], seed, reference, layer, layer_name; /* datasets */
    int by, mean, group_count[GROUP_COUNTS];
    int64_t overlap[2]; /* test and validation examples that are in the training set too */
    int point, curve[LO_AUDIT_CURVES];
    int sample, job_seed, rmia_a, features;
} content;

static void add_number(content *c, const lo_audit_number *is, const char *folder, int figure, int columns)
{
    number *n = &c->number[c->numbers++];
    *n = (number){.is = is, .figure = figure, .columns = columns};
    (void)snprintf(n->group, sizeof(n->group), "%s/%s", folder, is->name);
}

static void list_numbers(content *c)
{
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        if (c->a->wanted[k]) {
            add_number(c, lo_audit_number_at(k), "", k, 1);
        }
    }
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        if (c->a->wanted_by[k] && lo_audit_has_groups(c->a)) {
            add_number(c, lo_audit_by_number_at(k), "/by_group", lo_audit_by(k, 0), LO_AUDIT_GROUPS);
        }
    }
}

/* What oracles have: means over those of a forget set. */
static void find_ceilings(const lo_audit *a, double *ceiling)
{
    for (int s = 0; s < a->in.sets; s++) {
        for (int k = 0; k < LO_AUDIT_FIGURES; k++) {
            double sum = 0;
            int64_t count = 0;
            for (int64_t o = 0; o < a->in.rows; o++) {
                const double value = lo_audit_cell(a, o, k)->value;
                if (a->in.row[o].oracle && a->in.row[o].set == s && !isnan(value)) {
                    sum += value;
                    count++;
                }
            }
            ceiling[s * LO_AUDIT_FIGURES + k] = count > 0 ? sum / (double)count : (double)NAN;
        }
    }
}

static lo_status reserve(content *c, lo_error *err)
{
    const size_t rows = (size_t)c->a->in.rows + 1;
    c->ceiling = calloc((size_t)c->a->in.sets * LO_AUDIT_FIGURES + 1, sizeof(*c->ceiling));
    c->text = calloc(rows, LO_H5_TEXT_SIZE);
    c->real = calloc(rows * LO_AUDIT_GROUPS, sizeof(*c->real));
    c->count = calloc(rows * LO_AUDIT_GROUPS, sizeof(*c->count));
    if (c->ceiling == NULL || c->text == NULL || c->real == NULL || c->count == NULL) {
        return lo_audit_no_memory(err);
    }
    find_ceilings(c->a, c->ceiling);
    if (c->a->study->run.rank == 0) {
        lo_twins test, validation;
        LO_TRY(lo_find_twins(&c->a->study->data, &test, &validation, err));
        c->overlap[0] = test.count;
        c->overlap[1] = validation.count;
    }
    return LO_OK;
}

static void release(content *c)
{
    free(c->ceiling);
    free(c->text);
    free(c->real);
    free(c->count);
}

/* Why a number is missing, of a run or else of an oracle. */
static const char *refused(const lo_audit *a, const number *n)
{
    for (int oracles = 0; oracles < 2; oracles++) {
        for (int64_t r = 0; r < a->in.rows; r++) {
            const lo_audit_row *row = &a->in.row[r];
            for (int k = 0; k < n->columns && !row->original && row->oracle == (oracles == 1); k++) {
                const int reason = (int)lo_audit_cell(a, r, n->figure + k)->reason;
                if (reason != LO_AUDIT_FOUND && reason != LO_AUDIT_NO_MODEL) {
                    return lo_audit_reason(reason);
                }
            }
        }
    }
    return "";
}

/* ---- its datasets ---- */

static lo_status create_number(const content *c, lo_h5 *h, number *n, lo_error *err)
{
    const int64_t rows = c->a->in.rows, items = n->columns > 1 ? n->columns : 0;
    char path[128];
    for (int f = 0; f < FIELDS; f++) {
        (void)snprintf(path, sizeof(path), "%s/%s", n->group, fields[f]);
        LO_TRY(lo_h5_add(h, path, LO_H5_F64, rows, items, 0, c->mine, &n->field[f], err));
    }
    (void)snprintf(path, sizeof(path), "%s/models", n->group);
    LO_TRY(lo_h5_add(h, path, LO_H5_I64, rows, items, 0, c->mine, &n->models, err));
    LO_TRY(lo_h5_text(h, n->group, "description", n->is->description, err));
    if (n->is->fitted) {
        (void)snprintf(path, sizeof(path), "%s/fitted", n->group);
        LO_TRY(lo_h5_add(h, path, LO_H5_I64, rows, 0, 0, c->mine, &n->fitted, err));
    }
    LO_TRY(lo_h5_text(h, n->group, "best", lo_audit_best(n->is), err));
    return lo_h5_text(h, n->group, "refused", refused(c->a, n), err);
}

static lo_status create_groups(content *c, lo_h5 *h, lo_error *err)
{
    const int64_t rows = c->a->in.rows;
    if (!lo_audit_has_groups(c->a)) {
        return LO_OK;
    }
    LO_TRY(lo_h5_add(h, "/by_group/score", LO_H5_CHARS, rows, 0, 0, c->mine, &c->by, err));
    LO_TRY(lo_h5_add(h, "/by_group/mean_score", LO_H5_F64, rows, LO_AUDIT_GROUPS, 0, c->mine, &c->mean, err));
    for (int k = 0; k < GROUP_COUNTS; k++) {
        LO_TRY(lo_h5_add(h, group_counts[k], LO_H5_I64, rows, LO_AUDIT_GROUPS, 0, c->mine, &c->group_count[k],
                         err));
    }
    return lo_h5_text(h, "/by_group", "groups", "low middle high", err);
}

/* Curves of the attacks that have one. */
static lo_status create_curves(content *c, lo_h5 *h, lo_error *err)
{
    const int64_t points = c->a->study->run.rank == 0 ? LO_ROC_POINTS : 0;
    bool any = false;
    char path[64];
    for (int k = 0; k < LO_AUDIT_CURVES; k++) {
        const int attack = lo_audit_curve_number(k);
        if (c->a->wanted[attack]) {
            (void)snprintf(path, sizeof(path), "/%s/roc", lo_audit_number_at(attack)->name);
            LO_TRY(
                lo_h5_add(h, path, LO_H5_F32, c->a->in.rows, LO_ROC_POINTS, 0, c->mine, &c->curve[k], err));
            any = true;
        }
    }
    return any ? lo_h5_add(h, "/false_positive_rate", LO_H5_F64, LO_ROC_POINTS, 0, 0, points, &c->point, err)
               : LO_OK;
}

/* The audit's own settings, of one row each: datasets, since attributes have no checksum. */
static lo_status create_settings(content *c, lo_h5 *h, lo_error *err)
{
    const int64_t features = lo_job_length(c->a->study->job, "audit.mia_features");
    const bool first = c->a->study->run.rank == 0;
    LO_TRY(lo_h5_add(h, "/setting/sample", LO_H5_I64, 1, 0, 0, first, &c->sample, err));
    LO_TRY(lo_h5_add(h, "/setting/seed", LO_H5_I64, 1, 0, 0, first, &c->job_seed, err));
    LO_TRY(lo_h5_add(h, "/setting/rmia_a", LO_H5_F64, 1, 0, 0, first, &c->rmia_a, err));
    return lo_h5_add(h, "/setting/mia_features", LO_H5_CHARS, features, 0, 0, first ? features : 0,
                     &c->features, err);
}

static lo_status write_settings(const content *c, lo_h5 *h, lo_error *err)
{
    const lo_job *job = c->a->study->job;
    const int64_t first = c->a->study->run.rank == 0, features = lo_job_length(job, "audit.mia_features");
    const int64_t sample = lo_job_int(job, "audit.sample"), seed = lo_job_int(job, "seed");
    const double own = lo_job_real(job, "audit.rmia_a");
    char name[LO_FEATURE_KINDS][LO_H5_TEXT_SIZE] = {{0}};
    for (int64_t i = 0; i < features && i < LO_FEATURE_KINDS; i++) {
        (void)snprintf(name[i], sizeof(name[i]), "%s", lo_job_text_at(job, "audit.mia_features", i));
    }
    LO_TRY(lo_h5_write(h, c->sample, first, &sample, LO_OK, err));
    LO_TRY(lo_h5_write(h, c->job_seed, first, &seed, LO_OK, err));
    LO_TRY(lo_h5_write(h, c->rmia_a, first, &own, LO_OK, err));
    return lo_h5_write(h, c->features, first * features, name, LO_OK, err);
}

static bool has_layers(const lo_audit *a)
{
    return a->wanted[LO_AUDIT_WEIGHTS] && a->layers > 0;
}

static lo_status create_datasets(content *c, lo_h5 *h, lo_error *err)
{
    const lo_audit *a = c->a;
    const int64_t rows = a->in.rows;
    char state[32];
    for (int t = 0; t < RUN_TEXTS; t++) {
        LO_TRY(lo_h5_add(h, run_texts[t], LO_H5_CHARS, rows, 0, 0, c->mine, &c->run_text[t], err));
    }
    LO_TRY(lo_h5_add(h, "/run/seed", LO_H5_I64, rows, 0, 0, c->mine, &c->seed, err));
    for (int n = 0; n < c->numbers; n++) {
        LO_TRY(create_number(c, h, &c->number[n], err));
    }
    LO_TRY(a->wanted[LO_AUDIT_U_LIRA]
               ? lo_h5_add(h, "/u_lira/reference", LO_H5_CHARS, rows, 0, 0, c->mine, &c->reference, err)
               : LO_OK);
    LO_TRY(create_groups(c, h, err));
    LO_TRY(create_curves(c, h, err));
    LO_TRY(create_settings(c, h, err));
    if (has_layers(a)) {
        LO_TRY(
            lo_h5_add(h, "/weight_distance/layer", LO_H5_F64, rows, a->layers, 0, c->mine, &c->layer, err));
        LO_TRY(lo_h5_add(h, "/weight_distance/layer_name", LO_H5_CHARS, a->layers, 0, 0,
                         a->study->run.rank == 0 ? a->layers : 0, &c->layer_name, err));
    }
    if (a->wanted[LO_AUDIT_SVC]) { /* the most; how many there were of a row: fitted */
        LO_TRY(lo_h5_int(h, "/mia_svc", "sample", lo_job_int(a->study->job, "audit.sample"), err));
    }
    if (a->wanted[LO_AUDIT_RMIA]) {
        LO_TRY(lo_h5_real(h, "/rmia", "a", lo_job_real(a->study->job, "audit.rmia_a"), err));
    }
    LO_TRY(lo_h5_int(h, "/", "test_in_train", c->overlap[0], err));
    LO_TRY(lo_h5_int(h, "/", "validation_in_train", c->overlap[1], err));
    state_of(a, state);
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h, "/", "outputs", a->in.state, err));
    return lo_h5_text(h, "/", "state", state, err);
}

/* ---- its rows ---- */

static lo_status write_texts(const content *c, lo_h5 *h, int dataset,
                             const char *(*text)(const lo_audit *a, int64_t row, int which), int which,
                             lo_error *err)
{
    memset(c->text, 0, (size_t)c->a->in.rows * LO_H5_TEXT_SIZE);
    for (int64_t r = 0; r < c->a->in.rows; r++) {
        const char *it = text(c->a, r, which);
        memcpy(c->text + r * LO_H5_TEXT_SIZE, it, strlen(it));
    }
    return lo_h5_write(h, dataset, c->mine, c->text, LO_OK, err);
}

static const char *text_of_run(const lo_audit *a, int64_t r, int which)
{
    const lo_audit_row *row = &a->in.row[r];
    const char *const text[RUN_TEXTS] = {row->method, row->forget_set, row->setting, row->kind, row->model};
    return text[which];
}

static const char *score_of_groups(const lo_audit *a, int64_t r, int which)
{
    (void)which;
    return a->groups[a->in.row[r].set].by;
}

static const char *reference_of_u_lira(const lo_audit *a, int64_t r, int which)
{
    return lo_audit_against(lo_audit_cell(a, r, which)->reference);
}

static lo_status write_number(const content *c, lo_h5 *h, const number *n, lo_error *err)
{
    const lo_audit *a = c->a;
    for (int f = 0; f < FIELDS; f++) {
        for (int64_t i = 0; i < a->in.rows * n->columns; i++) {
            const int64_t r = i / n->columns;
            const int figure = n->figure + (int)(i % n->columns);
            const lo_audit_figure *it = lo_audit_cell(a, r, figure);
            const bool own = it->reference == LO_AUDIT_AGAINST_MATCHED || !isnan(it->ceiling.value);
            const double all[FIELDS] = {
                it->value,
                it->low,
                it->high,
                own ? it->ceiling.value : c->ceiling[a->in.row[r].set * LO_AUDIT_FIGURES + figure],
                it->apart.value,
                it->apart.low,
                it->apart.high};
            c->real[i] = all[f];
        }
        LO_TRY(lo_h5_write(h, n->field[f], c->mine, c->real, LO_OK, err));
    }
    for (int64_t i = 0; i < a->in.rows * n->columns; i++) {
        c->count[i] = lo_audit_cell(a, i / n->columns, n->figure + (int)(i % n->columns))->models;
    }
    LO_TRY(lo_h5_write(h, n->models, c->mine, c->count, LO_OK, err));
    for (int64_t r = 0; r < a->in.rows; r++) {
        c->count[r] = lo_audit_cell(a, r, n->figure)->fitted;
    }
    return n->is->fitted ? lo_h5_write(h, n->fitted, c->mine, c->count, LO_OK, err) : LO_OK;
}

static lo_status write_curves(const content *c, lo_h5 *h, lo_error *err)
{
    double point[LO_ROC_POINTS];
    bool any = false;
    for (int k = 0; k < LO_AUDIT_CURVES; k++) {
        if (!c->a->wanted[lo_audit_curve_number(k)]) {
            continue;
        }
        for (int64_t r = 0; r < c->a->in.rows; r++) { /* in memory they stand between others */
            LO_TRY(lo_h5_write(h, c->curve[k], c->mine > 0 ? 1 : 0, c->a->audited[r].curve[k], LO_OK, err));
        }
        any = true;
    }
    for (int i = 0; i < LO_ROC_POINTS; i++) {
        point[i] = lo_roc_point(i);
    }
    return any ? lo_h5_write(h, c->point, c->a->study->run.rank == 0 ? LO_ROC_POINTS : 0, point, LO_OK, err)
               : LO_OK;
}

static lo_status write_groups(const content *c, lo_h5 *h, lo_error *err)
{
    const lo_audit *a = c->a;
    if (!lo_audit_has_groups(a)) {
        return LO_OK;
    }
    LO_TRY(write_texts(c, h, c->by, score_of_groups, 0, err));
    for (int64_t i = 0; i < a->in.rows * LO_AUDIT_GROUPS; i++) {
        const lo_audit_groups *groups = &a->groups[a->in.row[i / LO_AUDIT_GROUPS].set];
        c->real[i] = groups->by[0] != '\0' ? groups->mean[i % LO_AUDIT_GROUPS] : (double)NAN;
    }
    LO_TRY(lo_h5_write(h, c->mean, c->mine, c->real, LO_OK, err));
    for (int k = 0; k < GROUP_COUNTS; k++) {
        for (int64_t i = 0; i < a->in.rows * LO_AUDIT_GROUPS; i++) {
            const lo_hits *hits = &a->audited[i / LO_AUDIT_GROUPS].hits[i % LO_AUDIT_GROUPS];
            c->count[i] = k == RIGHT ? hits->right : hits->examples;
        }
        LO_TRY(lo_h5_write(h, c->group_count[k], c->mine, c->count, LO_OK, err));
    }
    return LO_OK;
}

static lo_status write_all(const content *c, lo_h5 *h, lo_error *err)
{
    const lo_audit *a = c->a;
    for (int t = 0; t < RUN_TEXTS; t++) {
        LO_TRY(write_texts(c, h, c->run_text[t], text_of_run, t, err));
    }
    for (int64_t r = 0; r < a->in.rows; r++) {
        c->count[r] = a->in.row[r].seed;
    }
    LO_TRY(lo_h5_write(h, c->seed, c->mine, c->count, LO_OK, err));
    for (int n = 0; n < c->numbers; n++) {
        LO_TRY(write_number(c, h, &c->number[n], err));
    }
    LO_TRY(a->wanted[LO_AUDIT_U_LIRA]
               ? write_texts(c, h, c->reference, reference_of_u_lira, LO_AUDIT_U_LIRA, err)
               : LO_OK);
    LO_TRY(write_groups(c, h, err));
    LO_TRY(write_curves(c, h, err));
    LO_TRY(write_settings(c, h, err));
    if (!has_layers(a)) {
        return LO_OK;
    }
    LO_TRY(lo_h5_write(h, c->layer, c->mine, a->layer, LO_OK, err));
    return lo_h5_write(h, c->layer_name, a->study->run.rank == 0 ? a->layers : 0, a->layer_name, LO_OK, err);
}

lo_status lo_audit_publish(const lo_audit *a, const char *path, lo_error *err)
{
    enum { HEAD = 1 << 18, OF_ROW = 1024 };
    const MPI_Comm comm = a->study->run.comm;
    const uint64_t of_row = LO_AUDIT_FIGURES * 80 + sizeof(lo_audited) + (uint64_t)a->layers * 8 + OF_ROW;
    content c = {.a = a, .mine = a->study->run.rank == 0 ? a->in.rows : 0};
    lo_h5 h = {.id = -1};
    list_numbers(&c);
    lo_status status = lo_agree(comm, reserve(&c, err), err);
    lo_broadcast(comm, c.overlap, sizeof(c.overlap));
    if (status == LO_OK) {
        status = lo_h5_create(comm, path, (uint64_t)a->in.rows * of_row + HEAD, &h, err);
    }
    if (status == LO_OK) {
        status = create_datasets(&c, &h, err);
        if (status == LO_OK) {
            status = write_all(&c, &h, err);
        }
        status = lo_h5_commit(&h, status, err);
    }
    release(&c);
    return status;
}
