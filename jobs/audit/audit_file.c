#include "jobs/audit/audit_file.h"

#include "audit/metrics.h"
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

/* What oracles have: the mean over those of the row's forget set but itself. */
static double ceiling(const lo_audit *a, int64_t r, int number)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows; o++) {
        if (a->in.row[o].oracle && a->in.row[o].set == a->in.row[r].set &&
            !isnan(lo_audit_cell(a, o, number)->value)) {
            sum += lo_audit_cell(a, o, number)->value;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

enum { RUN_METHOD, RUN_SET, RUN_SETTING, RUN_KIND, RUN_MODEL, RUN_TEXTS };
static const char *const run_texts[RUN_TEXTS] = {"/run/method", "/run/forget_set", "/run/setting",
                                                 "/run/kind", "/run/model"};
enum { VALUE, LOW, HIGH, CEILING, FIELDS };
static const char *const fields[FIELDS] = {"value", "low", "high", "ceiling"};

typedef struct datasets {
    int text[RUN_TEXTS], seed, field[LO_AUDIT_NUMBERS][FIELDS], models[LO_AUDIT_NUMBERS], layer, layer_name;
} datasets;

/* Why a number is missing, of a run or else of an oracle, for the file. */
static const char *refused(const lo_audit *a, int number)
{
    for (int oracles = 0; oracles < 2; oracles++) {
        for (int64_t r = 0; r < a->in.rows; r++) {
            const lo_audit_row *row = &a->in.row[r];
            const lo_audit_figure *f = lo_audit_cell(a, r, number);
            if (!row->original && row->oracle == (oracles == 1) && f->reason != LO_AUDIT_FOUND &&
                f->reason != LO_AUDIT_NO_MODEL) {
                return lo_audit_reason((int)f->reason);
            }
        }
    }
    return "";
}

static lo_status add_datasets(const lo_audit *a, lo_h5 *h, datasets *d, lo_error *err)
{
    const int64_t rows = a->in.rows, mine = a->study->run.rank == 0 ? rows : 0;
    char path[96], state[32];
    for (int t = 0; t < RUN_TEXTS; t++) {
        LO_TRY(lo_h5_add(h, run_texts[t], LO_H5_CHARS, rows, 0, 0, mine, &d->text[t], err));
    }
    LO_TRY(lo_h5_add(h, "/run/seed", LO_H5_I64, rows, 0, 0, mine, &d->seed, err));
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        if (!a->wanted[k]) {
            continue;
        }
        for (int f = 0; f < FIELDS; f++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", lo_audit_number_at(k)->name, fields[f]);
            LO_TRY(lo_h5_add(h, path, LO_H5_F64, rows, 0, 0, mine, &d->field[k][f], err));
        }
        (void)snprintf(path, sizeof(path), "/%s/models", lo_audit_number_at(k)->name);
        LO_TRY(lo_h5_add(h, path, LO_H5_I64, rows, 0, 0, mine, &d->models[k], err));
        (void)snprintf(path, sizeof(path), "/%s", lo_audit_number_at(k)->name);
        LO_TRY(lo_h5_text(h, path, "description", lo_audit_number_at(k)->description, err));
        LO_TRY(lo_h5_text(h, path, "best", lo_metric_find(lo_audit_number_at(k)->metric)->best, err));
        LO_TRY(lo_h5_text(h, path, "refused", refused(a, k), err));
    }
    state_of(a, state);
    if (a->wanted[LO_AUDIT_WEIGHTS] && a->layers > 0) {
        LO_TRY(lo_h5_add(h, "/weight_distance/layer", LO_H5_F64, rows, a->layers, 0, mine, &d->layer, err));
        LO_TRY(lo_h5_add(h, "/weight_distance/layer_name", LO_H5_CHARS, a->layers, 0, 0,
                         mine > 0 ? a->layers : 0, &d->layer_name, err));
    }
    if (a->wanted[LO_AUDIT_SVC]) {
        LO_TRY(lo_h5_int(h, "/mia_svc", "sample", lo_job_int(a->study->job, "audit.sample"), err));
    }
    if (a->wanted[LO_AUDIT_RMIA]) {
        LO_TRY(lo_h5_real(h, "/rmia", "a", lo_job_real(a->study->job, "audit.rmia_a"), err));
    }
    LO_TRY(lo_h5_int(h, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h, "/", "outputs", a->in.state, err));
    return lo_h5_text(h, "/", "state", state, err);
}

static lo_status write_rows(const lo_audit *a, lo_h5 *h, const datasets *d, char *texts, double *column,
                            int64_t *count, lo_error *err)
{
    const int64_t rows = a->in.rows, mine = a->study->run.rank == 0 ? rows : 0;
    for (int t = 0; t < RUN_TEXTS; t++) {
        memset(texts, 0, (size_t)rows * LO_H5_TEXT_SIZE);
        for (int64_t r = 0; r < rows; r++) {
            const lo_audit_row *row = &a->in.row[r];
            const char *const text[RUN_TEXTS] = {row->method, row->forget_set, row->setting, row->kind,
                                                 row->model};
            memcpy(texts + r * LO_H5_TEXT_SIZE, text[t], strlen(text[t]));
        }
        LO_TRY(lo_h5_write(h, d->text[t], mine, texts, LO_OK, err));
    }
    for (int64_t r = 0; r < rows; r++) {
        count[r] = a->in.row[r].seed;
    }
    LO_TRY(lo_h5_write(h, d->seed, mine, count, LO_OK, err));
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        for (int f = 0; f < FIELDS && a->wanted[k]; f++) {
            for (int64_t r = 0; r < rows; r++) {
                const lo_audit_figure *c = lo_audit_cell(a, r, k);
                column[r] = f == VALUE  ? c->value
                            : f == LOW  ? c->low
                            : f == HIGH ? c->high
                                        : ceiling(a, r, k);
            }
            LO_TRY(lo_h5_write(h, d->field[k][f], mine, column, LO_OK, err));
        }
        for (int64_t r = 0; r < rows; r++) {
            count[r] = lo_audit_cell(a, r, k)->models;
        }
        if (a->wanted[k]) {
            LO_TRY(lo_h5_write(h, d->models[k], mine, count, LO_OK, err));
        }
    }
    return LO_OK;
}

static lo_status write_layers(const lo_audit *a, lo_h5 *h, const datasets *d, lo_error *err)
{
    const bool first = a->study->run.rank == 0;
    LO_TRY(lo_h5_write(h, d->layer, first ? a->in.rows : 0, a->layer, LO_OK, err));
    return lo_h5_write(h, d->layer_name, first ? a->layers : 0, a->layer_name, LO_OK, err);
}

lo_status lo_audit_publish(const lo_audit *a, const char *path, lo_error *err)
{
    const size_t rows = (size_t)a->in.rows + 1;
    char *texts = calloc(rows, LO_H5_TEXT_SIZE);
    double *column = calloc(rows, sizeof(*column));
    int64_t *count = calloc(rows, sizeof(*count));
    lo_h5 h = {.id = -1};
    datasets d = {0};
    lo_status status = texts != NULL && column != NULL && count != NULL ? LO_OK : lo_audit_no_memory(err);
    status = lo_agree(a->study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_h5_create(a->study->run.comm, path, rows * (LO_AUDIT_NUMBERS * 48 + 1024) + (1 << 18), &h,
                              err);
    }
    if (status == LO_OK) {
        status = add_datasets(a, &h, &d, err);
        if (status == LO_OK) {
            status = write_rows(a, &h, &d, texts, column, count, err);
        }
        if (status == LO_OK && a->wanted[LO_AUDIT_WEIGHTS] && a->layers > 0) {
            status = write_layers(a, &h, &d, err);
        }
        status = lo_h5_commit(&h, status, err);
    }
    free(texts);
    free(column);
    free(count);
    return status;
}
