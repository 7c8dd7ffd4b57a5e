#include "jobs/audit/audit_runs.h"

#include "audit/relearn.h"
#include "audit/tow.h"
#include "base/clock.h"
#include "jobs/audit/audit_file.h"
#include "jobs/audit/audit_populations.h"
#include "jobs/audit/audit_run.h"
#include "jobs/audit/receipt.h"
#include "mpi/agree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lo_status audit_rows(lo_audit *a, lo_error *err)
{
    for (int64_t r = a->first; r < a->first + a->count; r++) {
        for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
            *lo_audit_cell(a, r, k) = lo_audit_missing(LO_AUDIT_NO_MODEL);
        }
        if (a->in.row[r].output >= 0) {
            LO_TRY(lo_audit_run(a, r, err));
        }
        if (lo_audit_group_of(a, r) == r &&
            (a->wanted[LO_AUDIT_U_LIRA] || a->wanted[LO_AUDIT_KLOM] || a->wanted[LO_AUDIT_QUALITY])) {
            LO_TRY(lo_audit_population(a, r, err));
        }
    }
    return LO_OK;
}

/* Every rank gets the rows of all. */
static void share_rows(lo_audit *a)
{
    const lo_run *run = &a->study->run;
    for (int k = 0; k < run->ranks; k++) {
        int64_t first, count;
        lo_shard(a->in.rows, 1, k, run->ranks, &first, &count);
        MPI_Bcast(a->figure + first * LO_AUDIT_NUMBERS,
                  (int)(count * LO_AUDIT_NUMBERS * (int64_t)sizeof(lo_audit_figure)), MPI_BYTE, k, run->comm);
        MPI_Bcast(a->accuracies + first, (int)(count * (int64_t)sizeof(lo_accuracies)), MPI_BYTE, k,
                  run->comm);
        MPI_Bcast(a->layer + first * LO_AUDIT_LAYERS, (int)(count * LO_AUDIT_LAYERS), MPI_DOUBLE, k,
                  run->comm);
    }
}

static void finish_relearning(lo_audit *a, int64_t r, double *ratio)
{
    const lo_audit_row *row = &a->in.row[r];
    const double mine = lo_audit_cell(a, r, LO_AUDIT_RELEARN)->value;
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows && !isnan(mine); o++) {
        const lo_audit_row *oracle = &a->in.row[o];
        const double its = lo_audit_cell(a, o, LO_AUDIT_RELEARN)->value;
        if (!oracle->oracle || oracle->set != row->set || o == r || isnan(its)) {
            continue;
        }
        ratio[count] = lo_anamnesis(mine > LO_RELEARN_EPOCHS ? -1 : (int64_t)mine,
                                    its > LO_RELEARN_EPOCHS ? 0 : (int64_t)its);
        count += !isnan(ratio[count]);
    }
    *lo_audit_cell(a, r, LO_AUDIT_ANAMNESIS) =
        count > 0     ? lo_audit_found(lo_student_mean(ratio, count), count)
        : isnan(mine) ? lo_audit_missing((int)lo_audit_cell(a, r, LO_AUDIT_RELEARN)->reason)
                      : lo_audit_missing(LO_AUDIT_NO_RELEARNING);
}

static lo_status finish_rows(lo_audit *a, lo_error *err)
{
    double *tow = malloc(2 * (size_t)a->in.rows * sizeof(*tow) + 1), *gap = tow + a->in.rows;
    if (tow == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        int64_t count = 0;
        for (int64_t o = 0; o < a->in.rows && row->output >= 0; o++) {
            const lo_audit_row *oracle = &a->in.row[o];
            if (oracle->oracle && oracle->output >= 0 && oracle->set == row->set && o != r) {
                const double mine = lo_audit_cell(a, r, LO_AUDIT_SVC)->value,
                             its = lo_audit_cell(a, o, LO_AUDIT_SVC)->value;
                tow[count] = lo_tow_mia(a->accuracies[r], mine, a->accuracies[o], its);
                gap[count++] = lo_avg_gap(a->accuracies[r], mine, a->accuracies[o], its);
            }
        }
        const int reason = row->output < 0 ? LO_AUDIT_NO_MODEL
                           : count == 0    ? LO_AUDIT_NO_ORACLE
                                           : (int)lo_audit_cell(a, r, LO_AUDIT_SVC)->reason;
        *lo_audit_cell(a, r, LO_AUDIT_TOW_MIA) = reason == LO_AUDIT_FOUND
                                                     ? lo_audit_found(lo_student_mean(tow, count), count)
                                                     : lo_audit_missing(reason);
        *lo_audit_cell(a, r, LO_AUDIT_AVG_GAP) = reason == LO_AUDIT_FOUND
                                                     ? lo_audit_found(lo_student_mean(gap, count), count)
                                                     : lo_audit_missing(reason);
        finish_relearning(a, r, tow);
        for (int k = LO_AUDIT_U_LIRA; k <= LO_AUDIT_QUALITY; k++) {
            *lo_audit_cell(a, r, k) = row->output < 0 ? lo_audit_missing(LO_AUDIT_NO_MODEL)
                                                      : *lo_audit_cell(a, lo_audit_group_of(a, r), k);
        }
        for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
            *lo_audit_cell(a, r, k) =
                a->wanted[k] ? *lo_audit_cell(a, r, k) : lo_audit_missing(LO_AUDIT_NOT_ASKED);
        }
    }
    free(tow);
    return LO_OK;
}

static lo_status make(lo_audit *a, const char *path, lo_error *err)
{
    const double start = lo_clock_monotonic();
    const MPI_Comm comm = a->study->run.comm;
    const size_t rows = (size_t)a->in.rows + 1;
    a->figure = calloc(rows * LO_AUDIT_NUMBERS, sizeof(*a->figure));
    a->accuracies = calloc(rows, sizeof(*a->accuracies));
    a->layer = calloc(rows * LO_AUDIT_LAYERS, sizeof(*a->layer));
    a->layer_name = calloc(LO_AUDIT_LAYERS, sizeof(*a->layer_name));
    a->oracle = calloc(rows, sizeof(*a->oracle));
    a->oracle_model = calloc(rows, sizeof(*a->oracle_model));
    a->set = -1;
    lo_shard(a->in.rows, 1, a->study->run.rank, a->study->run.ranks, &a->first, &a->count);
    lo_status status = a->figure != NULL && a->accuracies != NULL && a->layer != NULL &&
                               a->layer_name != NULL && a->oracle != NULL && a->oracle_model != NULL
                           ? LO_OK
                           : lo_audit_no_memory(err);
    status = lo_agree(comm, status, err);
    if (status == LO_OK) {
        status = lo_agree(comm, a->wanted[LO_AUDIT_WEIGHTS] ? lo_audit_name_layers(a, err) : LO_OK, err);
    }
    const bool asks =
        a->wanted[LO_AUDIT_ZRF] || a->wanted[LO_AUDIT_RELEARN] || a->wanted[LO_AUDIT_ENTANGLEMENT];
    if (status == LO_OK && asks) {
        status = lo_agree(comm, lo_audit_network_open(&a->in, &a->tick, &a->network, err), err);
    }
    if (status == LO_OK) {
        status = lo_agree(comm, audit_rows(a, err), err);
    }
    if (status == LO_OK) {
        share_rows(a);
        status = lo_agree(comm, finish_rows(a, err), err);
    }
    if (status == LO_OK) {
        status = lo_audit_publish(a, path, err);
    }
    int64_t receipts = 0;
    if (status == LO_OK) {
        status = lo_agree(
            comm,
            lo_receipts_write(a->study->run.study, a->study->run.rank, a->study->run.ranks, &receipts, err),
            err);
        MPI_Allreduce(MPI_IN_PLACE, &receipts, 1, MPI_INT64_T, MPI_SUM, comm);
    }
    if (status == LO_OK) {
        a->study->news = true;
        lo_run_say(&a->study->run, "event=published file=audit.h5 rows=%lld receipts=%lld seconds=%.2f",
                   (long long)a->in.rows, (long long)receipts, lo_clock_monotonic() - start);
    }
    lo_audit_drop_oracles(a);
    lo_audit_network_close(&a->network);
    free(a->figure);
    free(a->accuracies);
    free(a->layer);
    free(a->layer_name);
    free(a->oracle);
    free(a->oracle_model);
    return status;
}

static bool is_unlearned(const lo_study *study)
{
    static const char *const names[] = {"outputs.h5", "evaluation.h5", "forget.h5"};
    bool there = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, names[i]);
        there = there && access(path, F_OK) == 0;
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

lo_status lo_audit_runs(lo_study *study, lo_error *err)
{
    if (!lo_job_has(study->job, "audit") || !lo_job_has(study->job, "unlearning") || !is_unlearned(study)) {
        return LO_OK;
    }
    lo_audit a = {.study = study, .watch = {.run = &study->run}};
    bool any = false;
    a.tick = lo_watch_tick(&a.watch);
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        a.wanted[k] = lo_job_length(study->job, "audit.metrics") == 0 ||
                      lo_job_lists(study->job, "audit.metrics", lo_audit_number_at(k)->metric);
        any = any || a.wanted[k];
    }
    if (!any) {
        return LO_OK;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/audit.h5", study->run.study);
    LO_TRY(lo_study_lock(study, err));
    lo_status status =
        lo_agree(study->run.comm,
                 lo_audit_open(study, a.wanted[LO_AUDIT_LIRA] || a.wanted[LO_AUDIT_RMIA], &a.in, err), err);
    if (status == LO_OK && !lo_audit_is_there(&a, path)) {
        status = make(&a, path, err);
    }
    lo_audit_close(&a.in);
    lo_study_unlock(study);
    return status;
}
