/* leaveout run, report: the stages of a job. */
#include "jobs/commands.h"
#include "jobs/stages.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearning.h"
#include "jobs/unlearning/unlearning_files.h"

#include "base/clock.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"

#include <hdf5.h>
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The largest memory of a rank, for the log. */
static void say_usage(lo_study *study)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    long peak = usage.ru_maxrss; /* KiB */
    MPI_Allreduce(MPI_IN_PLACE, &peak, 1, MPI_LONG, MPI_MAX, study->run.comm);
    lo_run_say(&study->run, "event=usage peak_memory_per_rank_mib=%.0f", (double)peak / 1024);
}

/* Runs a stage, and journals what it took where it has done anything. A record that cannot be written makes
 * the stage cheaper in the report, and the run no worse. */
static lo_status run_stage(lo_study *study, lo_stage stage, lo_status (*run)(lo_study *study, lo_error *err),
                           lo_error *err)
{
    const bool before = study->news;
    const double start = lo_clock_monotonic();
    study->news = false;
    const lo_status status = run(study, err);
    if (study->news && study->run.rank == 0) {
        lo_record record = {.kind = LO_RECORD_SPENT,
                            .stage = (uint32_t)stage,
                            .seconds = lo_clock_monotonic() - start,
                            .value = study->run.ranks * study->run.threads};
        (void)lo_run_record(&study->run, &record, NULL, 0, false, NULL);
    }
    study->news = study->news || before;
    return status;
}

/* The stages after the ensemble. Some farm tasks too: what an older attempt waits for, and closes, is left to
 * it with all that comes after. */
static lo_status run_derived(lo_study *study, lo_error *err)
{
    LO_TRY(run_stage(study, LO_STAGE_SCORES, lo_stage_scores, err));
    if (study->left_to_others) {
        return LO_OK;
    }
    LO_TRY(run_stage(study, LO_STAGE_SCALING, lo_stage_scaling, err));
    LO_TRY(run_stage(study, LO_STAGE_INFLUENCE, lo_stage_influence, err));
    LO_TRY(run_stage(study, LO_STAGE_ATTRIBUTION, lo_stage_attribution, err));
    LO_TRY(run_stage(study, LO_STAGE_UNLEARNING, lo_stage_unlearning, err));
    if (study->left_to_others) {
        return LO_OK;
    }
    LO_TRY(run_stage(study, LO_STAGE_AUDIT, lo_stage_audit, err));
    return study->left_to_others ? LO_OK : lo_stage_report(study, err);
}

/* Data sets in use have such examples, so it is no error. */
static lo_status warn_of_overlap(lo_study *study, lo_error *err)
{
    char text[1024] = "";
    const lo_status status =
        study->run.rank == 0 ? lo_study_overlap(study->job, &study->data, text, sizeof(text), err) : LO_OK;
    if (text[0] != '\0') {
        lo_run_warn(&study->run, "%s", text);
    }
    return lo_agree(study->run.comm, status, err);
}

/* What has to be published again is published, what is missing is computed. A part of the ensemble is all
 * that is done where that was asked for. */
static lo_status run_stages(lo_study *study, const void *self, lo_error *err)
{
    (void)self;
    const bool part = study->part_end > 0;
    if (!part) {
        LO_TRY(lo_stage_attribution_foresee(study, err));
        if (lo_job_has(study->job, "unlearning")) { /* what is wrong is said before anything is trained */
            LO_TRY(lo_agree(study->run.comm, lo_unlearning_check(study->job, &study->data, err), err));
        }
        LO_TRY(warn_of_overlap(study, err));
        LO_TRY(run_stage(study, LO_STAGE_ORIGINALS, lo_stage_originals, err));
    }
    LO_TRY(run_stage(study, LO_STAGE_ENSEMBLE, lo_stage_ensemble, err));
    if (!part && !study->left_to_others) {
        LO_TRY(run_derived(study, err));
    }
    if (study->left_to_others) {
        lo_run_say(
            &study->run,
            "event=left_to_others reason=\"an older attempt waits for what is left and closes the stage\"");
        return LO_OK;
    }
    say_usage(study);
    if (study->given_up > 0) {
        return lo_fail(
            err, LO_INTERNAL,
            "%lld tasks were given up because they killed their rank every time; all others are done",
            (long long)study->given_up);
    }
    return LO_OK;
}

/* Neither HDF5 nor, which would do it, MPI can be shut down any more. The attempt has ended, nothing is open.
 */
static void leave_without_hdf5(int rank, lo_status status, const lo_error *err)
{
    if (rank == 0) {
        (void)fprintf(stderr, "leaveout: %s\n", err->text);
        (void)fflush(NULL);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Abort(MPI_COMM_WORLD, (int)status);
}

lo_status lo_with_study(const lo_study_options *options,
                        lo_status (*work)(lo_study *study, const void *self, lo_error *err), const void *self,
                        lo_error *err)
{
    lo_study study;
    lo_run_environment();
    int rank, given; /* of a rank's threads (train.threads) the first alone calls MPI */
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS) {
        return lo_fail(err, LO_INTERNAL, "MPI cannot be initialized");
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    lo_status status = lo_study_open(options, &study, err);
    if (status == LO_OK) {
        status = work(&study, self, err);
    }
    if (status == LO_OK && rank == 0 && !study.left_to_others && study.part_end == 0) {
        (void)printf("report=%s/report.html\n", options->directory);
    }
    lo_study_close(&study, status, err);
    if (lo_h5_is_stuck()) {
        leave_without_hdf5(rank, status, err);
    }
    (void)H5close();
    /* One voice, and before any rank can leave: mpirun kills the others when one ends with another code than
     * 0. */
    if (rank == 0 && status != LO_OK) {
        (void)fprintf(stderr, "leaveout: %s\n", err->text);
    }
    err->text[0] = '\0';
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return status;
}

/* "A:B": the models A to B-1. */
static lo_status read_part(const char *text, lo_study_options *options, lo_error *err)
{
    long long first = -1;
    long long end = -1;
    int length = 0;
    if (sscanf(text, "%19lld:%19lld%n", &first, &end, &length) != 2 || text[length] != '\0' || first < 0 ||
        end <= first) {
        return lo_fail(err, LO_USAGE,
                       "--models: found '%s'; allowed is A:B, the models A to B-1, such as 0:100", text);
    }
    options->part_first = first;
    options->part_end = end;
    return LO_OK;
}

lo_status lo_command_run(const lo_command_line *line, lo_error *err)
{
    const char *overrides[LO_MAX_SETTINGS];
    lo_study_options options = {.job_file = line->operand[0],
                                .directory = lo_option_value(line, "study"),
                                .overrides = overrides,
                                .override_count = lo_option_values(line, "set", overrides)};
    if (options.directory == NULL) {
        return lo_fail(err, LO_USAGE, "run: --study DIR says where the results go");
    }
    if (lo_option_value(line, "models") != NULL) {
        LO_TRY(read_part(lo_option_value(line, "models"), &options, err));
    }
    /* Tasks of a job array are meant to work side by side. */
    options.join = lo_option_value(line, "join") != NULL || getenv("SLURM_ARRAY_TASK_ID") != NULL;
    return lo_with_study(&options, run_stages, NULL, err);
}

typedef lo_status publisher(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);

/* Publishes what the journals hold of a stage that farms tasks; *done: how many. */
static lo_status publish_stage(lo_study *study, lo_stage stage, lo_key_group keys, int64_t tasks,
                               publisher *publish, int64_t *done, lo_error *err)
{
    lo_ledger ledger = {0};
    bool damaged = false;
    lo_status status =
        lo_ledger_create(study->run.study, stage, lo_job_digest(study->job, keys), tasks, &ledger, err);
    if (status == LO_OK && study->run.rank == 0) {
        status = lo_ledger_read(&ledger, err);
    }
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK) {
        status = publish(study, &ledger, &damaged, err);
    }
    if (status == LO_OK && damaged) {
        status = lo_fail(err, LO_DATA,
                         "%s: records of the journal are damaged; `leaveout run` trains their models again",
                         study->run.study);
    }
    *done = ledger.done;
    lo_ledger_destroy(&ledger);
    return status;
}

/* What the journals hold of unlearning, if that has begun. */
static lo_status publish_unlearning(lo_study *study, lo_error *err)
{
    lo_ledger ledger = {0};
    lo_unlearning u = {0};
    char path[PATH_MAX];
    bool damaged = false;
    (void)snprintf(path, sizeof(path), "%s/unlearning.tasks", study->run.study);
    bool begun = lo_job_has(study->job, "unlearning") && study->run.rank == 0 && access(path, F_OK) == 0;
    MPI_Bcast(&begun, 1, MPI_C_BOOL, 0, study->run.comm);
    if (!begun) {
        return LO_OK;
    }
    lo_status status = lo_unlearning_open(study, &u, err);
    if (status == LO_OK) {
        status = lo_publish_forget(study, &u, err);
    }
    if (status == LO_OK) {
        status = lo_ledger_create(study->run.study, LO_STAGE_UNLEARNING, 0, u.tasks, &ledger, err);
    }
    if (status == LO_OK) {
        status = lo_ledger_name(&ledger, u.digest, err);
    }
    if (status == LO_OK && study->run.rank == 0) {
        status = lo_ledger_read(&ledger, err);
    }
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_publish_unlearning(study, &ledger, &damaged, err);
    }
    if (status == LO_OK && damaged) {
        status = lo_fail(err, LO_DATA,
                         "%s: records of the journal are damaged; `leaveout run` does their tasks again",
                         study->run.study);
    }
    lo_ledger_destroy(&ledger);
    lo_unlearning_close(&u);
    return status;
}

lo_status lo_publish_all(lo_study *study, lo_error *err)
{
    int64_t done = 0;
    study->news = true; /* written again in any case */
    if (lo_job_has(study->job, "originals")) {
        LO_TRY(publish_stage(study, LO_STAGE_ORIGINALS, LO_KEYS_ORIGINALS,
                             lo_job_int(study->job, "originals.seeds"), lo_publish_originals, &done, err));
    }
    done = 0;
    if (study->has_ensemble) {
        LO_TRY(publish_stage(study, LO_STAGE_ENSEMBLE, LO_KEYS_ENSEMBLE, study->design.models,
                             lo_publish_ensemble, &done, err));
    }
    LO_TRY(lo_publish_scores(study, err));
    LO_TRY(lo_stage_scaling(study, err));
    if (done > 0) {
        LO_TRY(lo_stage_influence(study, err));
    }
    LO_TRY(publish_unlearning(study, err));
    LO_TRY(lo_stage_audit(study, err));
    study->left_to_others = false; /* the page is made of what there is */
    return lo_stage_report(study, err);
}

static lo_status report_stages(lo_study *study, const void *self, lo_error *err)
{
    (void)self;
    return lo_publish_all(study, err);
}

lo_status lo_command_report(const lo_command_line *line, lo_error *err)
{
    char job[PATH_MAX];
    lo_study_options options = {
        .job_file = job, .directory = line->operand[0], .join = true, .reading = true};
    (void)snprintf(job, sizeof(job), "%s/job.yaml", options.directory);
    lo_job *there = NULL;
    LO_TRY(lo_study_read_job(options.directory, &there, err));
    lo_job_destroy(&there);
    return lo_with_study(&options, report_stages, NULL, err);
}
