#include "jobs/audit/audit_runs.h"

#include "audit/relearn.h"
#include "audit/tow.h"
#include "base/clock.h"
#include "jobs/audit/audit_apart.h"
#include "jobs/audit/audit_file.h"
#include "jobs/audit/audit_run.h"
#include "jobs/audit/audit_tasks.h"
#include "jobs/audit/receipt.h"
#include "jobs/study/farmed.h"
#include "mpi/agree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- figures that need those of other rows ---- */

/* Is row o an oracle that row r is compared with? */
static bool is_compared(const lo_audit *a, int64_t r, int64_t o)
{
    const lo_audit_row *oracle = &a->in.row[o];
    return oracle->oracle && oracle->output >= 0 && oracle->set == a->in.row[r].set && o != r;
}

/* A mean over oracles, of `count` of them; else why there is none. */
static lo_audit_figure mean_or(const double *value, int64_t count, int reason)
{
    return reason == LO_AUDIT_FOUND ? lo_audit_found(lo_student_mean(value, count), count)
                                    : lo_audit_missing(reason);
}

/* relearn over that of the oracles but the model itself. ratio [rows]: room. */
static void finish_relearning(lo_audit *a, int64_t r, double *ratio)
{
    const lo_audit_figure *own = lo_audit_cell(a, r, LO_AUDIT_RELEARN);
    const double mine = own->value;
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows && !isnan(mine); o++) {
        const double its = lo_audit_cell(a, o, LO_AUDIT_RELEARN)->value;
        if (is_compared(a, r, o) && !isnan(its)) {
            ratio[count] = lo_anamnesis(mine > LO_RELEARN_EPOCHS ? -1 : (int64_t)mine,
                                        its > LO_RELEARN_EPOCHS ? 0 : (int64_t)its);
            count += !isnan(ratio[count]);
        }
    }
    const int reason = count > 0 ? LO_AUDIT_FOUND : isnan(mine) ? (int)own->reason : LO_AUDIT_NO_RELEARNING;
    *lo_audit_cell(a, r, LO_AUDIT_ANAMNESIS) = mean_or(ratio, count, reason);
}

/* ToW by the efficacy of mia_svc, and the mean gap. room [2, rows]. */
static void finish_gaps(lo_audit *a, int64_t r, double *room)
{
    double *tow = room, *gap = room + a->in.rows;
    const lo_audited *own = &a->audited[r];
    const lo_audit_figure *mine = lo_audit_cell(a, r, LO_AUDIT_SVC);
    int64_t count = 0;
    for (int64_t o = 0; o < a->in.rows && a->in.row[r].output >= 0; o++) {
        if (is_compared(a, r, o)) {
            const lo_accuracies its = a->audited[o].accuracies;
            const double efficacy = lo_audit_cell(a, o, LO_AUDIT_SVC)->value;
            tow[count] = lo_tow_mia(own->accuracies, mine->value, its, efficacy);
            gap[count++] = lo_avg_gap(own->accuracies, mine->value, its, efficacy);
        }
    }
    const int reason = a->in.row[r].output < 0 ? LO_AUDIT_NO_MODEL
                       : count == 0            ? LO_AUDIT_NO_ORACLE
                                               : (int)mine->reason;
    *lo_audit_cell(a, r, LO_AUDIT_TOW_MIA) = mean_or(tow, count, reason);
    *lo_audit_cell(a, r, LO_AUDIT_AVG_GAP) = mean_or(gap, count, reason);
}

/* What the oracles' accuracies are above the model's. room [rows]. */
static void finish_deltas(lo_audit *a, int64_t r, double *room)
{
    for (int number = LO_AUDIT_DELTA_FORGET; number <= LO_AUDIT_DELTA_TEST; number++) {
        int64_t count = 0, oracles = 0;
        for (int64_t o = 0; o < a->in.rows && a->in.row[r].output >= 0; o++) {
            if (is_compared(a, r, o)) {
                room[count] = lo_audit_delta(&a->audited[r], &a->audited[o], number);
                count += !isnan(room[count]); /* NaN: there is no such set */
                oracles++;
            }
        }
        const int reason = a->in.row[r].output < 0 ? LO_AUDIT_NO_MODEL
                           : oracles == 0          ? LO_AUDIT_NO_ORACLE
                           : count == 0            ? LO_AUDIT_NO_VALIDATION
                                                   : LO_AUDIT_FOUND;
        *lo_audit_cell(a, r, number) = mean_or(room, count, reason);
    }
}

/* ToW of each group. room [rows]. */
static void finish_groups(lo_audit *a, int64_t r, double *room)
{
    const lo_audited *own = &a->audited[r];
    for (int g = 0; g < LO_AUDIT_GROUPS && own->hits[g].examples > 0; g++) {
        int64_t count = 0;
        for (int64_t o = 0; o < a->in.rows; o++) {
            if (is_compared(a, r, o) && a->audited[o].hits[g].examples > 0) {
                lo_accuracies mine = own->accuracies, its = a->audited[o].accuracies;
                mine.forget = lo_accuracy(own->hits[g]);
                its.forget = lo_accuracy(a->audited[o].hits[g]);
                room[count++] = lo_tow(mine, its);
            }
        }
        *lo_audit_cell(a, r, lo_audit_by(LO_BY_TOW, g)) =
            mean_or(room, count, count > 0 ? LO_AUDIT_FOUND : LO_AUDIT_NO_ORACLE);
    }
}

static void drop_unasked(lo_audit *a, int64_t r)
{
    for (int k = 0; k < LO_AUDIT_FIGURES; k++) {
        const bool wanted =
            k < LO_AUDIT_NUMBERS ? a->wanted[k] : a->wanted_by[(k - LO_AUDIT_NUMBERS) / LO_AUDIT_GROUPS];
        *lo_audit_cell(a, r, k) = wanted ? *lo_audit_cell(a, r, k) : lo_audit_missing(LO_AUDIT_NOT_ASKED);
    }
}

static lo_status finish_rows(lo_audit *a, lo_error *err)
{
    double *room = malloc(2 * (size_t)a->in.rows * sizeof(*room) + 1);
    if (room == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t r = 0; r < a->in.rows; r++) {
        finish_gaps(a, r, room);
        finish_deltas(a, r, room);
        finish_relearning(a, r, room);
        finish_groups(a, r, room);
        const lo_audit_figure *together = &a->together[lo_audit_group_of(a, r) * LO_AUDIT_TOGETHER];
        for (int k = 0; k < LO_AUDIT_TOGETHER; k++) {
            *lo_audit_cell(a, r, LO_AUDIT_U_LIRA + k) =
                a->in.row[r].output < 0 ? lo_audit_missing(LO_AUDIT_NO_MODEL) : together[k];
        }
    }
    free(room);
    LO_TRY(lo_audit_tell_apart(a, err));
    for (int64_t r = 0; r < a->in.rows; r++) { /* after all rows: some need others' */
        drop_unasked(a, r);
    }
    return LO_OK;
}

/* ---- the stage ---- */

/* The most that a forget set has, of those with outputs. */
static int64_t most_oracles(const lo_audit *a)
{
    int64_t most = 0;
    for (int s = 0; s < a->in.sets; s++) {
        int64_t count = 0;
        for (int64_t r = 0; r < a->in.rows; r++) {
            count += a->in.row[r].oracle && a->in.row[r].set == s && a->in.row[r].output >= 0;
        }
        most = count > most ? count : most;
    }
    return most;
}

static lo_status reserve(lo_audit *a, lo_error *err)
{
    const size_t rows = (size_t)a->in.rows + 1;
    a->set = -1;
    a->layer_name = calloc(LO_AUDIT_LAYERS, sizeof(*a->layer_name));
    if (a->layer_name == NULL) {
        return lo_audit_no_memory(err);
    }
    LO_TRY(lo_audit_groups_read(&a->in, &a->groups, err));
    LO_TRY(a->wanted[LO_AUDIT_WEIGHTS] ? lo_audit_name_layers(a, err) : LO_OK);
    a->most_oracles = most_oracles(a);
    a->audited = calloc(rows, sizeof(*a->audited));
    a->distance = calloc(rows * LO_AUDIT_DISTANCES * (size_t)a->most_oracles + 1, sizeof(*a->distance));
    a->together = calloc(rows * LO_AUDIT_TOGETHER, sizeof(*a->together));
    a->layer = calloc(rows * (size_t)a->layers + 1, sizeof(*a->layer));
    return a->audited != NULL && a->together != NULL && a->layer != NULL && a->distance != NULL
               ? LO_OK
               : lo_audit_no_memory(err);
}

static void release(lo_audit *a)
{
    lo_audit_drop_oracles(a);
    lo_audit_network_close(&a->network);
    lo_audit_groups_free(&a->groups, a->in.sets);
    lo_audit_close(&a->in);
    free(a->task);
    free(a->digest);
    free(a->done);
    free(a->payload);
    free(a->audited);
    free(a->together);
    free(a->layer);
    free(a->distance);
    free(a->layer_name);
    free(a->oracle);
    free(a->oracle_model);
}

/* The file and the receipts, from what the journals hold, unless they are there with that. */
static lo_status publish(lo_audit *a, const char *path, double start, lo_error *err)
{
    lo_study *study = a->study;
    const MPI_Comm comm = study->run.comm;
    int64_t receipts = 0;
    if (lo_audit_is_there(a, path)) {
        return LO_OK;
    }
    LO_TRY(lo_agree(comm, finish_rows(a, err), err));
    LO_TRY(lo_audit_publish(a, path, err));
    LO_TRY(lo_agree(
        comm, lo_receipts_write(study->run.study, study->run.rank, study->run.ranks, &receipts, err), err));
    MPI_Allreduce(MPI_IN_PLACE, &receipts, 1, MPI_INT64_T, MPI_SUM, comm);
    study->news = true;
    lo_run_say(&study->run, "event=published file=audit.h5 rows=%lld receipts=%lld seconds=%.2f",
               (long long)a->in.rows, (long long)receipts, lo_clock_monotonic() - start);
    return LO_OK;
}

/* Does what no journal holds; publishes when nothing is left to others. */
static lo_status make(lo_audit *a, const char *path, lo_error *err)
{
    lo_study *study = a->study;
    const double start = lo_clock_monotonic();
    const int64_t given_up = study->given_up;
    int64_t done = 0;
    const lo_farmed stage = {.stage = LO_STAGE_AUDIT,
                             .names = a->digest,
                             .tasks = a->tasks,
                             .open = lo_audit_open_tasks,
                             .run = lo_audit_run_task,
                             .publish = lo_farmed_check,
                             .self = a};
    LO_TRY(lo_run_farmed(study, &stage, err));
    LO_TRY(lo_audit_collect(a, err));
    for (int64_t t = 0; t < a->tasks; t++) {
        done += a->done[t];
    }
    if (done + study->given_up - given_up < a->tasks) {
        return LO_OK;
    }
    LO_TRY(lo_study_lock(study, err));
    const lo_status status = publish(a, path, start, err);
    lo_study_unlock(study);
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

static bool asks_for(const lo_job *job, const lo_audit_number *number)
{
    return (lo_job_length(job, "audit.metrics") == 0 || lo_job_lists(job, "audit.metrics", number->metric)) &&
           (number->feature == NULL || lo_job_lists(job, "audit.mia_features", number->feature));
}

static void choose_numbers(lo_audit *a)
{
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        a->wanted[k] = asks_for(a->study->job, lo_audit_number_at(k));
    }
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        a->wanted_by[k] = asks_for(a->study->job, lo_audit_by_number_at(k));
    }
}

/* Does the job ask for a number that the file can have? */
static bool is_asked(const lo_audit *a)
{
    bool any = false;
    for (int k = 0; k < LO_AUDIT_NUMBERS; k++) {
        any = any || a->wanted[k];
    }
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        any = any || (a->wanted_by[k] && lo_audit_has_groups(a));
    }
    return any;
}

/* As long as the lock is held nobody changes the files that rows and digests are read from. */
static lo_status prepare(lo_audit *a, lo_error *err)
{
    const MPI_Comm comm = a->study->run.comm;
    LO_TRY(lo_study_lock(a->study, err));
    lo_status status = lo_agree(
        comm, lo_audit_open(a->study, a->wanted[LO_AUDIT_LIRA] || a->wanted[LO_AUDIT_RMIA], &a->in, err),
        err);
    if (status == LO_OK) {
        status = lo_agree(comm, reserve(a, err), err);
    }
    if (status == LO_OK) {
        status = lo_audit_list_tasks(a, err);
    }
    lo_study_unlock(a->study);
    return status;
}

lo_status lo_audit_runs(lo_study *study, lo_error *err)
{
    if (!lo_job_has(study->job, "audit") || !lo_job_has(study->job, "unlearning") || !is_unlearned(study)) {
        return LO_OK;
    }
    lo_audit a = {.study = study};
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/audit.h5", study->run.study);
    choose_numbers(&a);
    lo_status status = prepare(&a, err);
    for (int64_t t = 0; t < a.tasks; t++) {
        a.done[t] = true; /* as it should be: what the file is compared with */
    }
    if (status == LO_OK && is_asked(&a) && !lo_audit_is_there(&a, path)) {
        status = make(&a, path, err);
    }
    release(&a);
    return status;
}
